"""maxmemory-pubsub: total queued output is limited; publishers wait, then the longest queues are closed."""

import re
import socket
import threading
import time

import pytest

from lib.resp import Closed, Connection, Error, encode
from lib.wait import SLOW, seconds, wait_until

MB = 1 << 20
PAYLOAD = b"x" * 65536
OPTIONS = ("--client-output-buffer-limit", "pubsub 0 0 0", "--outbox-limit-bytes", "0")


def stuck(daemon, channel, version=2):
    """A subscriber that reads nothing any more."""
    connection = Connection(daemon.address, receive_buffer=4096)
    daemon.connections.append(connection)
    if version == 3:
        connection.hello(3)
    connection.subscribe(channel)
    return connection


class Publisher(threading.Thread):
    """Publishes until told to end; how many were accepted."""

    def __init__(self, daemon, channel, count, payload=PAYLOAD):
        super().__init__()
        self.connection = daemon.connect(timeout=60)
        self.channel, self.count, self.payload = channel, count, payload
        self.done = 0
        self.error = None
        self.start()

    def run(self):
        try:
            for _ in range(self.count):
                assert isinstance(self.connection.call("PUBLISH", self.channel, self.payload), int)
                self.done += 1
        except (Closed, OSError, AssertionError) as error:
            self.error = error


def watch(admin, publishers, limit):
    """Waits until all publishers are done; returns the largest memory of queued output."""
    most = 0
    while any(publisher.is_alive() for publisher in publishers):
        figures = admin.info("pubsub")
        most = max(most, int(figures["owed_memory_bytes"]))
        assert most <= limit * 1.1, figures
    for publisher in publishers:
        publisher.join()
        assert publisher.error is None and publisher.done == publisher.count
    return most


@pytest.mark.parametrize("subscribers", [1, 50])
def test_stuck_subscribers_are_cut_and_the_publishers_go_on(start_fanfared, subscribers):
    limit = 16 * MB
    daemon = start_fanfared("--maxmemory-pubsub", limit, *OPTIONS)
    admin = daemon.connect()
    before = daemon.resident_bytes()
    late = [stuck(daemon, "c", 2 + n % 2) for n in range(subscribers)]
    healthy = daemon.connect(timeout=60)
    healthy.subscribe("other")
    publishers = [Publisher(daemon, "c", 500) for _ in range(2)]
    most = watch(admin, publishers, limit)
    assert most > limit / 2
    if SLOW == 1:  # a sanitizer keeps what was freed
        assert daemon.resident_bytes() - before < 3 * limit
    figures = admin.info("pubsub")
    assert int(figures["memory_waits"]) > 0
    assert int(figures["memory_cut_clients"]) == len(late), figures
    assert "maxmemory-pubsub reached: publishers wait" in daemon.log()
    assert daemon.log().count(": maxmemory-pubsub exceeded, ") == len(late)
    closed = re.findall(r"maxmemory-pubsub: (\d+) clients with the most queued bytes were closed", daemon.log())
    assert sum(map(int, closed)) == len(late), closed
    assert admin.call("PUBLISH", "other", "still here") == 1
    assert healthy.read_value() == [b"message", b"other", b"still here"]
    wait_until(lambda: admin.info("pubsub")["subscriptions"] == "1", "only the healthy one is left")


def test_the_one_that_is_owed_the_most_is_cut_and_the_others_stay(start_fanfared):
    limit = 16 * MB
    daemon = start_fanfared("--maxmemory-pubsub", limit, *OPTIONS)
    admin = daemon.connect()
    small = stuck(daemon, "small")
    large = stuck(daemon, "large")
    name = "127.0.0.1:%d" % large.socket.getsockname()[1]
    for _ in range(32):
        assert admin.call("PUBLISH", "small", PAYLOAD) == 1
    watch(daemon.connect(), [Publisher(daemon, "large", 400)], limit)
    assert admin.info("pubsub")["memory_cut_clients"] == "1"
    assert f"addr={name} " in daemon.log()
    wait_until(lambda: admin.call("PUBSUB", "NUMSUB", "large", "small") == [b"large", 0, b"small", 1], "it is gone")
    for _ in range(32):
        assert small.read_value()[-1] == PAYLOAD
    large.read_to_end()


def test_readers_that_read_are_only_waited_for(start_fanfared):
    limit = 4 * MB
    daemon = start_fanfared("--maxmemory-pubsub", limit, *OPTIONS)
    admin = daemon.connect()
    readers = []
    for _ in range(4):
        connection = daemon.connect(timeout=60)
        connection.subscribe("c")
        readers.append(connection)
    counts = [0] * len(readers)

    def read(index):
        for _ in range(1200):
            readers[index].read_value()
            counts[index] += 1

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(readers))]
    for thread in threads:
        thread.start()
    watch(admin, [Publisher(daemon, "c", 300) for _ in range(4)], limit)
    for thread in threads:
        thread.join(seconds(60))
    assert counts == [1200] * len(readers)
    assert admin.info("pubsub")["memory_cut_clients"] == "0"


@pytest.mark.parametrize("command", ["PUBLISH", "SPUBLISH"])
def test_a_message_larger_than_all_of_it_is_an_error(start_fanfared, command):
    daemon = start_fanfared("--maxmemory-pubsub", "2mb", *OPTIONS)
    client = daemon.connect()
    reader = daemon.connect()
    reader.subscribe("c", kind="SUBSCRIBE" if command == "PUBLISH" else "SSUBSCRIBE")
    reply = client.call(command, "c", b"x" * (2 * MB))
    assert reply == Error(b"OOM command not allowed when used memory > 'maxmemory-pubsub'.")
    assert client.call(command, "nobody", b"x" * (2 * MB)) == 0
    assert client.call(command, "c", b"x" * (MB + MB // 2)) == 1
    assert len(reader.read_value()[-1]) == MB + MB // 2


def test_the_limit_may_be_taken_away_while_publishers_wait(start_fanfared):
    daemon = start_fanfared("--maxmemory-pubsub", "2mb", *OPTIONS)
    admin = daemon.connect()
    slow = stuck(daemon, "c")
    publisher = Publisher(daemon, "c", 200)
    wait_until(lambda: int(admin.info("pubsub")["memory_waits"]) > 0, "it waits")
    admin.ok("CONFIG", "SET", "maxmemory-pubsub", "0")
    publisher.join()
    assert publisher.error is None
    assert admin.info("pubsub")["memory_cut_clients"] == "0"
    for _ in range(200):
        slow.read_value()


def test_publishers_that_leave_while_they_wait_are_forgotten(start_fanfared):
    daemon = start_fanfared("--maxmemory-pubsub", "2mb", *OPTIONS)
    admin = daemon.connect()
    stuck(daemon, "c")
    publishers = [daemon.connect() for _ in range(20)]
    for publisher in publishers:
        publisher.socket.setblocking(False)
        try:
            for _ in range(100):
                publisher.socket.send(encode("PUBLISH", "c", PAYLOAD))
        except BlockingIOError:
            pass
    wait_until(lambda: int(admin.info("clients")["blocked_clients"]) > 0, "they wait")
    for publisher in publishers:
        publisher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        publisher.close()
    wait_until(lambda: len(admin.client_list()) == 2, "the publishers have left", 20)
    assert admin.info("clients")["blocked_clients"] == "0"
    time.sleep(1.5)  # debtors are cut after a second, where a publisher waits
    assert admin.info("pubsub")["memory_cut_clients"] == "0"
    assert len(admin.client_list()) == 2


def test_a_crowd_of_stuck_subscribers_stalls_nobody(start_fanfared):
    """Each looked at, a few thousand cut: another client's PING waits for none of it."""
    limit = 8 * MB
    # On a loaded machine the cuts may take longer than the default of tcp-user-timeout, which would close the rest.
    daemon = start_fanfared("--maxmemory-pubsub", limit, "--tcp-user-timeout", 0, *OPTIONS)
    admin = daemon.connect()
    crowd = [stuck(daemon, "c") for _ in range(400)]
    publisher = Publisher(daemon, "c", 400)
    watch(admin, [publisher], limit)
    assert admin.info("pubsub")["memory_cut_clients"] == str(len(crowd))
    assert int(admin.info("stats")["longest_turn_usec"]) < seconds(1) * 1_000_000


def test_large_messages_of_several_publishers_stay_under_it_too(start_fanfared):
    """They are copied in steps, several at a time, for both protocols and a pattern."""
    limit = 64 * MB
    daemon = start_fanfared("--maxmemory-pubsub", limit, *OPTIONS)
    admin = daemon.connect(timeout=60)
    for version in (2, 3):
        stuck(daemon, "c", version)
    watcher = Connection(daemon.address, receive_buffer=4096)
    daemon.connections.append(watcher)
    watcher.subscribe("c*", kind="PSUBSCRIBE")
    publishers = [Publisher(daemon, "c", 4, b"x" * (3 * MB)) for _ in range(12)]
    watch(admin, publishers, limit)
    assert int(admin.info("pubsub")["memory_cut_clients"]) == 3
