"""Freeing, expiring and moving any number of keys does not delay other clients. The limits are loose; bench/keyspace
measures the exact delays."""

import itertools
import time

import pytest

from lib.pinger import Pinger
from lib.resp import encode
from lib.wait import SANITIZED, wait_until

# A sanitizer build has a tenth of the state, and the same bound stretched.
COUNT = 600_000 // (10 if SANITIZED else 1)
BOUND_CPU_S = 0.06
BATCH = 1000


def fill(server, commands):
    """Sends them while it reads what comes, and returns how many there were; each is answered by one line."""
    connection = server.connect(timeout=60)
    sent = 0
    while part := [encode(*words) for words in itertools.islice(commands, 200)]:
        connection.send(b"".join(part))
        for _ in part:
            assert connection.read_line()[:1] in b":+"
        sent += len(part)
    connection.close()
    return sent


def in_batches(word, count, each):
    for start in range(0, count, BATCH):
        yield [*word, *(part for i in range(start, min(start + BATCH, count)) for part in each(i))]


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
    pinger.assert_no_stall(BOUND_CPU_S)


@pytest.mark.parametrize("kind", ["hash", "list", "zset"])
def test_large_values_of_the_other_types_are_freed_in_slices(fanfared, kind):
    word, each = LARGE[kind]
    fill(fanfared, in_batches(word, COUNT, each))
    control = fanfared.connect(timeout=60)
    with Pinger(fanfared) as pinger:
        assert control.call("DEL", "large") == 1
    pinger.assert_no_stall(BOUND_CPU_S)


@pytest.mark.parametrize("command", [["FLUSHALL"], ["FLUSHDB"], ["FLUSHALL", "SYNC"], ["FLUSHALL", "ASYNC"]], ids=" ".join)
def test_all_keys_are_freed_in_slices(fanfared, command):
    fill(fanfared, in_batches(["MSET"], COUNT, lambda i: (b"key:%d" % i, b"value:%d" % i)))
    control = fanfared.connect(timeout=60)
    assert control.call("DBSIZE") == COUNT
    with Pinger(fanfared) as pinger:
        control.ok(*command)
        assert control.call("DBSIZE") == 0
    pinger.assert_no_stall(BOUND_CPU_S)


def test_keys_that_expire_within_a_second_hold_up_nobody_and_are_gone_soon(fanfared):
    control = fanfared.connect(timeout=60)
    due_s = time.time() + 8
    # All keys are set before the first expires; a machine that is busy sets fewer of them until then.
    count = fill(fanfared, (["SET", b"key:%d" % i, "value", "PXAT", int(due_s * 1000) + i % 1000]
                            for i in itertools.takewhile(lambda _: time.time() < due_s - 2, range(COUNT // 2))))
    assert time.time() < due_s, "filling took longer than the keys live"
    assert control.call("DBSIZE") == count
    with Pinger(fanfared) as pinger:
        wait_until(lambda: time.time() > due_s + 1, "they are due", 30)
        wait_until(lambda: control.call("DBSIZE") == 0, "they are gone", 10)
    pinger.assert_no_stall(BOUND_CPU_S)
    assert int(control.info("stats")["expired_keys"]) == count


def test_a_table_that_grows_holds_up_nobody(fanfared):
    with Pinger(fanfared) as pinger:
        fill(fanfared, in_batches(["MSET"], 2 * COUNT, lambda i: (b"key:%d" % i, b"v")))
    pinger.assert_no_stall(BOUND_CPU_S)


def test_a_value_that_grows_holds_up_nobody(fanfared):
    with Pinger(fanfared) as pinger:
        for kind, (word, each) in LARGE.items():
            fill(fanfared, in_batches([word[0], kind], COUNT // 2, each))
    pinger.assert_no_stall(BOUND_CPU_S)
