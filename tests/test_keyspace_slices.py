"""Freeing, expiring and moving any number of keys does not delay other clients. The limits are loose, because the machine
may be busy; bench/keyspace measures the exact delays."""

import threading
import time

import pytest

from lib.resp import encode
from lib.wait import SLOW, seconds, wait_until

# A sanitizer build has a tenth of the state, and the same bound stretched.
COUNT = 1_000_000 // (10 if SLOW > 1 else 1)
BOUND_S = seconds(0.2)
BATCH = 1000


def fill(server, commands):
    """Sends them while it reads what comes; each is answered by one line."""
    connection = server.connect(timeout=60)
    part, count = b"", 0
    for words in commands:
        part += encode(*words)
        count += 1
        if len(part) > 1 << 18:
            connection.send(part)
            for _ in range(count):
                assert connection.read_line()[:1] in b":+"
            part, count = b"", 0
    connection.send(part)
    for _ in range(count):
        assert connection.read_line()[:1] in b":+"
    connection.close()


def in_batches(word, count, each):
    for start in range(0, count, BATCH):
        yield [*word, *(part for i in range(start, min(start + BATCH, count)) for part in each(i))]


class Pinger:
    """PINGs one after another; the longest that one took."""

    def __init__(self, server):
        self.connection = server.connect(timeout=60)
        self.longest = 0.0
        self.count = 0
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._ping)

    def _ping(self):
        while not self.ends.is_set():
            began = time.perf_counter()
            assert self.connection.call("PING") == b"PONG"
            self.longest = max(self.longest, time.perf_counter() - began)
            self.count += 1
            time.sleep(0.0005)

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.count > 10, "PINGs are answered")
        return self

    def __exit__(self, *_):
        # What was begun goes on after its reply.
        seen = self.count
        wait_until(lambda: self.count > seen + 300, "PINGs are answered", 30)
        self.ends.set()
        self.thread.join()


LARGE = {
    "set": (["SADD", "large"], lambda i: (b"member:%d" % i,)),
    "hash": (["HSET", "large"], lambda i: (b"field:%d" % i, b"value")),
    "list": (["RPUSH", "large"], lambda i: (b"element:%d" % i,)),
    "zset": (["ZADD", "large"], lambda i: (b"%d" % i, b"member:%d" % i)),
}


@pytest.mark.parametrize("command", [["DEL", "large"], ["UNLINK", "large"], ["SET", "large", "x"], ["RENAME", "other", "large"],
                                     ["EXPIRE", "large", "-1"]], ids=lambda words: words[0])
def test_a_large_set_is_freed_in_slices(fanfared, command):
    word, each = LARGE["set"]
    fill(fanfared, in_batches(word, COUNT, each))
    control = fanfared.connect(timeout=60)
    control.ok("SET", "other", "x")
    with Pinger(fanfared) as pinger:
        assert control.call(*command) in (b"OK", 1)
    assert pinger.longest < BOUND_S


@pytest.mark.parametrize("kind", ["hash", "list", "zset"])
def test_large_values_of_the_other_types_are_freed_in_slices(fanfared, kind):
    word, each = LARGE[kind]
    fill(fanfared, in_batches(word, COUNT, each))
    control = fanfared.connect(timeout=60)
    with Pinger(fanfared) as pinger:
        assert control.call("DEL", "large") == 1
    assert pinger.longest < BOUND_S


@pytest.mark.parametrize("command", [["FLUSHALL"], ["FLUSHDB"], ["FLUSHALL", "SYNC"], ["FLUSHALL", "ASYNC"]], ids=" ".join)
def test_all_keys_are_freed_in_slices(fanfared, command):
    fill(fanfared, in_batches(["MSET"], COUNT, lambda i: (b"key:%d" % i, b"value:%d" % i)))
    control = fanfared.connect(timeout=60)
    assert control.call("DBSIZE") == COUNT
    with Pinger(fanfared) as pinger:
        control.ok(*command)
        assert control.call("DBSIZE") == 0
    assert pinger.longest < BOUND_S


def test_keys_that_expire_within_a_second_hold_up_nobody_and_are_gone_soon(fanfared):
    control = fanfared.connect(timeout=60)
    # Far enough away to have them all set by then, near enough to be waited for.
    due_ms = int(time.time() * 1000) + int(seconds(8) * 1000)
    count = COUNT // 2
    fill(fanfared, (["SET", b"key:%d" % i, "value", "PXAT", due_ms + i % 1000] for i in range(count)))
    assert time.time() * 1000 < due_ms, "filling took longer than the keys live"
    assert control.call("DBSIZE") == count
    with Pinger(fanfared) as pinger:
        wait_until(lambda: time.time() * 1000 > due_ms + 1000, "they are due", 30)
        wait_until(lambda: control.call("DBSIZE") == 0, "they are gone", 10)
    assert pinger.longest < BOUND_S
    assert int(control.info("stats")["expired_keys"]) == count


def test_a_table_that_grows_holds_up_nobody(fanfared):
    with Pinger(fanfared) as pinger:
        fill(fanfared, in_batches(["MSET"], 2 * COUNT, lambda i: (b"key:%d" % i, b"v")))
    assert pinger.longest < BOUND_S


def test_a_value_that_grows_holds_up_nobody(fanfared):
    with Pinger(fanfared) as pinger:
        for kind, (word, each) in LARGE.items():
            fill(fanfared, in_batches([word[0], kind], COUNT // 2, each))
    assert pinger.longest < BOUND_S
