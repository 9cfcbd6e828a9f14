"""Blocked publishers, and what ends their wait, with one loop and with several."""

import os
import select
import socket
import struct
import time

import pytest

from lib.resp import Error, Push, encode
from lib.wait import seconds, wait_until

# With one loop and with four, unless the run of the tests says how many.
LOOPS = pytest.mark.parametrize("loops", [int(os.environ.get("FANFARE_TEST_IO_THREADS", at)) for at in (1, 4)][
    :1 if "FANFARE_TEST_IO_THREADS" in os.environ else 2])
TIMEOUT_MS = 2000
PART = b"x" * 100000


def leave_with_fin(connection):
    connection.socket.close()


def leave_with_reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()


def leave_half_closed(connection):
    connection.socket.shutdown(socket.SHUT_WR)


LEAVING = pytest.mark.parametrize("leave", [leave_with_fin, leave_with_reset, leave_half_closed])


@pytest.fixture(name="daemon")
def _daemon(start_fanfared, loops):
    return start_fanfared("--io-threads", loops, "--outbox-block-timeout", TIMEOUT_MS,
                          "--outbox-limit-bytes", "4mb")


def full_subscriber(daemon, watcher, *channels):
    """A subscriber under `block` that does not read and has no room."""
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.hello(3)
    stuck.ok("CLIENT", "SETNAME", "stuck")
    stuck.ok("OUTBOX", "SET", "POLICY", "block", "MESSAGES", 3)
    stuck.subscribe(*channels)
    filler = daemon.connect(timeout=60)
    while True:
        filler.command("PUBLISH", channels[0], PART)
        wait_until(lambda: is_readable(filler) or blocked(watcher) > 0, "a message goes out or waits")
        if not is_readable(filler):
            return stuck, filler
        assert filler.read_value() == 1


def is_readable(connection):
    return bool(select.select([connection.socket], [], [], 0)[0])


def blocked(watcher):
    return int(watcher.info("clients")["blocked_clients"])


def is_there(watcher, name):
    return any(client["name"] == name for client in watcher.client_list())


def outlive_the_timeout(watcher):
    """The subscriber is still there when outbox-block-timeout would have closed it."""
    end = time.monotonic() + TIMEOUT_MS / 1000 + 1
    wait_until(lambda: not is_there(watcher, "stuck") or time.monotonic() > end, "the time is over",
               TIMEOUT_MS / 1000 + 5)
    assert is_there(watcher, "stuck")


@LOOPS
@LEAVING
def test_a_waiting_publisher_that_leaves_is_noticed_and_its_message_dropped(daemon, leave):
    watcher = daemon.connect()
    stuck, filler = full_subscriber(daemon, watcher, "c")
    leave(filler)
    wait_until(lambda: blocked(watcher) == 0, "the publisher is noticed to have left")
    outlive_the_timeout(watcher)
    stuck.command("UNSUBSCRIBE", "c")
    sent = 0
    while (value := stuck.read_value())[0] == b"message":
        sent += 1
    assert value[0] == b"unsubscribe"
    assert f"calls={sent}," in watcher.info("commandstats")["cmdstat_publish"]


@LOOPS
@pytest.mark.parametrize("how", [
    ("UNSUBSCRIBE", "c"), ("UNSUBSCRIBE",), ("OUTBOX", "SET", "POLICY", "drop-newest"),
    ("OUTBOX", "SET", "MESSAGES", 0, "BYTES", 0), ("RESET",)], ids=lambda how: how[0])
def test_a_subscriber_that_is_waited_for_ends_the_waiting(daemon, how):
    watcher = daemon.connect()
    stuck, filler = full_subscriber(daemon, watcher, "c", "other")
    stuck.command(*how)
    assert filler.read_value() in (0, 1)
    assert blocked(watcher) == 0
    end = time.monotonic() + TIMEOUT_MS / 1000 + 1
    wait_until(lambda: time.monotonic() > end, "the time is over", TIMEOUT_MS / 1000 + 5)
    assert len(watcher.client_list()) == 3


@LOOPS
def test_who_waits_for_the_end_of_a_pause_and_leaves_publishes_nothing(daemon):
    watcher = daemon.connect()
    ear = daemon.connect()
    ear.subscribe("c")
    watcher.ok("CLIENT", "PAUSE", 60000, "WRITE")
    publisher = daemon.connect()
    publisher.command("PUBLISH", "c", "late")
    wait_until(lambda: blocked(watcher) == 1, "the publisher waits")
    publisher.close()
    wait_until(lambda: blocked(watcher) == 0, "the publisher is noticed to have left")
    watcher.ok("CLIENT", "UNPAUSE")
    assert watcher.call("PUBLISH", "c", "next") == 1
    assert ear.read_value()[2] == b"next"


@LOOPS
def test_rules_and_pauses_reach_a_publisher_that_waits(daemon):
    watcher = daemon.connect()
    watcher.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "&*")
    stuck, filler = full_subscriber(daemon, watcher, "c")
    publisher = daemon.connect()
    publisher.ok("AUTH", "u", "x")
    publisher.command("PUBLISH", "c", "m")
    wait_until(lambda: blocked(watcher) == 2, "both wait")
    watcher.ok("ACL", "SETUSER", "u", "resetchannels")
    reply = publisher.read_value()
    assert isinstance(reply, Error) and reply.text.startswith(b"NOPERM")
    watcher.ok("CLIENT", "PAUSE", 60000, "WRITE")
    outlive_the_timeout(watcher)  # paused publishers wait for the pause
    watcher.ok("CLIENT", "UNPAUSE")
    stuck.command("UNSUBSCRIBE")
    assert filler.read_value() == 0


@LOOPS
def test_a_large_message_is_refused_where_rules_changed_while_it_was_copied(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--outbox-limit-bytes", 0,
                            "--client-output-buffer-limit", "pubsub 0 0 0")
    watcher = daemon.connect(timeout=60)
    watcher.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "&*")
    ear = daemon.connect(timeout=60)
    ear.subscribe("c")
    for i in range(1, 12):  # many copies, so that it takes a while
        ear.command("PSUBSCRIBE", "[c]" + "*" * i)
        ear.read_value()
    publisher = daemon.connect(timeout=60)
    publisher.ok("AUTH", "u", "x")
    request = encode("PUBLISH", "c", b"L" * 8000000)
    refused = 0
    for _ in range(5):
        watcher.ok("ACL", "SETUSER", "u", "allchannels")
        publisher.send(request[:-2])
        wait_until(lambda: any(int(c["qbuf"]) > 7900000 for c in watcher.client_list()), "all but the end is there", 30)
        publisher.send(request[-2:])
        watcher.ok("ACL", "SETUSER", "u", "resetchannels")
        answered = time.monotonic()
        reply = publisher.read_value()
        if isinstance(reply, Error):
            assert reply.text.startswith(b"NOPERM")
            refused += 1
        else:
            # Delivered before the rules changed: the reply does not come long after.
            assert time.monotonic() - answered < seconds(5)
    assert int(watcher.info("pubsub")["owed_memory_bytes"]) < (5 - refused) * 12 * 8100000 + 1000000
    ear.close()
    wait_until(lambda: int(watcher.info("pubsub")["owed_memory_bytes"]) == 0, "no output is queued", 30)


@LOOPS
def test_nobody_is_closed_for_a_large_publisher_that_left(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--maxmemory-pubsub", "64mb", "--outbox-limit-bytes", 0,
                            "--client-output-buffer-limit", "pubsub 0 0 0")
    watcher = daemon.connect()
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.ok("CLIENT", "SETNAME", "stuck")
    stuck.subscribe("c")
    for _ in range(20):
        assert watcher.call("PUBLISH", "c", b"x" * 1000000) == 1
    publisher = daemon.connect(timeout=60)
    publisher.command("PUBLISH", "c", b"y" * 55000000)
    wait_until(lambda: blocked(watcher) == 1, "the large publisher waits")
    watcher.ok("CLIENT", "PAUSE", 60000, "WRITE")
    writer = daemon.connect(timeout=60)
    writer.command("SET", "k", "v")
    wait_until(lambda: blocked(watcher) == 2, "the writer waits for the pause")
    publisher.close()
    wait_until(lambda: blocked(watcher) == 1, "the publisher is gone")
    end = time.monotonic() + 2.5
    wait_until(lambda: time.monotonic() > end, "debtors would have been cut")
    assert is_there(watcher, "stuck")
    assert watcher.info("pubsub")["memory_cut_clients"] == "0"
    watcher.ok("CLIENT", "UNPAUSE")
    assert writer.read_value() == b"OK"


@LOOPS
def test_an_idle_monitor_is_not_closed_by_timeout(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--timeout", 1)
    monitor, idle = daemon.connect(), daemon.connect()
    monitor.ok("MONITOR")
    assert idle.call("ECHO", "x") == b"x"
    monitor.read_value()
    assert idle.is_closed(within=10)
    watcher = daemon.connect()
    assert watcher.call("ECHO", "y") == b"y"
    assert b'"ECHO" "y"' in monitor.read_value()


@LOOPS
def test_messages_come_behind_the_reply_of_the_exec_that_subscribed(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--appendonly", "yes", "--appendfsync", "always")
    publisher = daemon.connect()
    for i in range(50):
        client = daemon.connect()
        client.send(encode("MULTI") + encode("SET", "k", i) + encode("SUBSCRIBE", "c") + encode("EXEC"))
        receivers = 0
        while receivers == 0:
            receivers = publisher.call("PUBLISH", "c", i)
        replies = [client.read_value() for _ in range(5)]
        assert replies[:3] == [b"OK", b"QUEUED", b"QUEUED"]
        assert replies[3] == [b"OK", [b"subscribe", b"c", 1]]
        assert replies[4] == [b"message", b"c", b"%d" % i]
        client.close()
        wait_until(lambda: publisher.call("PUBSUB", "NUMSUB", "c") == [b"c", 0], "it has left")
