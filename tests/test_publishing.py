"""Publishing commands beyond PUBLISH: MPUBLISH, PUBLISHMANY, and what OUTBOX SET changes for a client's own messages."""

import threading

import pytest
import redis

from lib.pinger import Pinger
from lib.resp import encode, error
from lib.wait import seconds, wait_until

BOTH_FORMS = pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
NO_CHANNEL = error("NOPERM this user has no permissions to access one of the channels used as arguments")


@pytest.fixture(params=["1", "4"], ids=["1 loop", "4 loops"])
def daemon(request, start_fanfared):
    return start_fanfared("--io-threads", request.param)


def message(channel, payload):
    return [b"message", channel, payload]


def pairs(reply):
    """A map, or RESP2's flat array, as a dict."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


@BOTH_FORMS
def test_several_messages_are_published_in_their_order(daemon, version):
    subscribers = [daemon.client(version) for _ in range(4)]
    for subscriber in subscribers:
        subscriber.subscribe("a", "b")
    publisher = daemon.client(version)
    assert publisher.call("MPUBLISH", "a", "1", "b", "2", "none", "x", "a", "3") == [4, 4, 0, 4]
    assert publisher.call("PUBLISHMANY", b"\0\xff", "b", "none", "a") == [4, 0, 4]
    for subscriber in subscribers:
        assert [list(subscriber.read_value()) for _ in range(5)] == [
            message(b"a", b"1"), message(b"b", b"2"), message(b"a", b"3"), message(b"b", b"\0\xff"),
            message(b"a", b"\0\xff")]


def test_redis_py_publishes_several_messages(daemon):
    with redis.Redis(port=daemon.port, socket_timeout=seconds(10)) as client, client.pubsub() as pubsub:
        pubsub.subscribe("a")
        assert wait_until(lambda: pubsub.get_message(timeout=0.1), "the confirmation")["type"] == "subscribe"
        assert client.execute_command("MPUBLISH", "a", "1", "b", "2") == [1, 0]
        assert client.execute_command("PUBLISHMANY", "3", "b", "a") == [0, 1]
        with client.pipeline() as pipeline:
            pipeline.execute_command("MPUBLISH", "a", "4")
            pipeline.execute_command("PUBLISHMANY", "5", "a")
            assert pipeline.execute() == [[1], [1]]
        got = [wait_until(lambda: pubsub.get_message(timeout=0.1), "a message")["data"] for _ in range(4)]
        assert got == [b"1", b"3", b"4", b"5"]


def test_none_is_published_if_one_may_not_be(daemon):
    subscriber, publisher = daemon.connect(), daemon.connect()
    subscriber.subscribe("a")
    publisher.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "&a")
    publisher.ok("AUTH", "u", "x")
    assert publisher.call("MPUBLISH", "a", "1", "b", "2") == NO_CHANNEL
    assert publisher.call("PUBLISHMANY", "1", "a", "b") == NO_CHANNEL
    assert publisher.call("MPUBLISH", "a", "1", "a" * 70000, "2") == NO_CHANNEL
    publisher.ok("AUTH", "default", "")
    assert publisher.call("MPUBLISH", "a", "1", "a" * 70000, "2") == error(
        "ERR channel name too long (max-channel-length 4096)")
    assert publisher.call("MPUBLISH", "a", "1", "b") == error("ERR wrong number of arguments for 'mpublish' command")
    assert publisher.call("PUBLISHMANY", "a") == error("ERR wrong number of arguments for 'publishmany' command")
    assert publisher.call("MPUBLISH", "a", "only") == [1]
    assert subscriber.read_value() == message(b"a", b"only")


def test_messages_that_wait_for_a_slow_subscriber_are_delivered_once(daemon):
    """Two publishers with requests of many messages, and a subscriber under `block` that reads with pauses."""
    count = 1000
    reader = daemon.connect(timeout=60, receive_buffer=4096)
    reader.ok("OUTBOX", "SET", "POLICY", "block", "MESSAGES", "10")
    reader.subscribe("a", "b")
    publishers = [daemon.connect(timeout=60) for _ in range(2)]
    for name, publisher in zip("ab", publishers):
        publisher.send(encode("MPUBLISH", *(word for n in range(count) for word in (name, f"{n:08000}"))))
    watcher = daemon.connect()
    wait_until(lambda: b"blocked_clients:2" in watcher.call("INFO", "clients"), "both publishers wait")
    got = {b"a": [], b"b": []}
    for _ in range(2 * count):
        kind, channel, payload = reader.read_value()
        assert kind == b"message"
        got[channel].append(int(payload[-8:]))
    assert got == {b"a": list(range(count)), b"b": list(range(count))}
    for publisher in publishers:
        assert publisher.read_value() == [1] * count


def test_a_request_of_very_many_messages_stalls_nobody(daemon):
    subscribers = [daemon.connect(timeout=60) for _ in range(50)]
    for subscriber in subscribers:
        subscriber.ok("OUTBOX", "SET", "POLICY", "drop-newest", "MESSAGES", "1000")
        subscriber.subscribe("*", kind="PSUBSCRIBE")
    publisher = daemon.connect(timeout=60)
    names = [f"channel:{n}" for n in range(20000)]
    with Pinger(daemon) as pinger:
        publisher.command("PUBLISHMANY", "m", *names)
        assert publisher.read_value() == [50] * len(names)
    pinger.assert_no_stall()


def test_messages_of_a_transaction_are_published_as_one_step(daemon):
    subscriber, publisher = daemon.connect(), daemon.connect()
    subscriber.subscribe("a")
    stop = threading.Event()
    other = daemon.connect()

    def publish():
        while not stop.is_set():
            other.call("PUBLISH", "a", "between")

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        publisher.ok("MULTI")
        assert publisher.call("MPUBLISH", "a", "1", "a", "2") == b"QUEUED"
        assert publisher.call("PUBLISHMANY", "3", "a", "none", "a") == b"QUEUED"
        assert publisher.call("EXEC") == [[1, 1], [1, 0, 1]]
    finally:
        stop.set()
        thread.join()
    got = []
    other.call("PUBLISH", "a", "end")
    while not got or got[-1] != b"end":
        got.append(subscriber.read_value()[2])
    at = got.index(b"1")
    assert got[at:at + 4] == [b"1", b"2", b"3", b"3"]


@BOTH_FORMS
def test_a_client_without_echo_gets_the_messages_of_others_only(daemon, version):
    client, other = daemon.client(3), daemon.client(version)
    client.subscribe("a")
    client.ok("OUTBOX", "SET", "ECHO", "no")
    assert pairs(other.call("OUTBOX", "GET"))[b"echo"] == b"yes"
    assert client.call("OUTBOX", "GET")[b"echo"] == b"no"
    assert client.call("PUBLISH", "a", "mine") == 0
    assert client.call("MPUBLISH", "a", "mine", "b", "mine") == [0, 0]
    assert other.call("PUBLISH", "a", "theirs") == 1
    assert list(client.read_value()) == message(b"a", b"theirs")
    assert client.call("OUTBOX", "SET", "ECHO", "2") == error("ERR ECHO must be 'yes' or 'no'")
    client.ok("OUTBOX", "SET", "ECHO", "yes")
    assert client.call("PUBLISH", "a", "mine") == 1
    assert list(client.read_value()) == message(b"a", b"mine")


RESULT_FIELDS = (b"receivers", b"queued", b"dropped", b"catching-up", b"position", b"duplicate")


def result(receivers, queued, duplicate=0):
    return dict(zip(RESULT_FIELDS, (receivers, queued, receivers - queued, 0, b"0-0", duplicate)))


@BOTH_FORMS
def test_publishx_tells_what_became_of_a_message(daemon, version):
    subscriber, publisher = daemon.client(version), daemon.client(version)
    subscriber.subscribe("a")
    assert publisher.call("PUBLISHX", "a", "1") == 1
    assert pairs(publisher.call("PUBLISHX", "a", "2", "RESULT")) == result(1, 1)
    assert pairs(publisher.call("PUBLISHX", "none", "3", "RESULT", "NOECHO", "IDKEY", "k", "WINDOW", 5)) == result(0, 0)
    assert [list(subscriber.read_value()) for _ in range(2)] == [message(b"a", b"1"), message(b"a", b"2")]
    assert publisher.call("PUBLISHX", "a", "1", "WINDOW", "5") == error("ERR syntax error")
    assert publisher.call("PUBLISHX", "a", "1", "IDKEY", "") == error(
        "ERR idempotency key must be 1 to 256 bytes long")
    assert publisher.call("PUBLISHX", "a", "1", "IDKEY", "k", "WINDOW", "86401") == error(
        "ERR WINDOW must be between 1 and 86400 seconds")


def test_a_publisher_that_sends_again_after_a_lost_connection_publishes_once(daemon):
    """With redis-py, which sends a command again if the connection breaks before the reply."""
    subscriber = daemon.connect()
    subscriber.subscribe("a")
    with redis.Redis(port=daemon.port, socket_timeout=seconds(10)) as client:
        assert client.execute_command("PUBLISHX", "a", "1", "IDKEY", "order:1") == 1
    with redis.Redis(port=daemon.port, socket_timeout=seconds(10)) as client:
        assert client.execute_command("PUBLISHX", "a", "1", "IDKEY", "order:1") == 1
        got = client.execute_command("PUBLISHX", "a", "1", "IDKEY", "order:1", "RESULT")
        assert pairs(got) == result(1, 1, duplicate=1)
        assert client.execute_command("PUBLISHX", "a", "2", "IDKEY", "order:2") == 1
    assert [subscriber.read_value()[2] for _ in range(2)] == [b"1", b"2"]
    assert b"duplicate_messages:2" in subscriber_figures(daemon)


def subscriber_figures(daemon):
    with daemon.connect() as watcher:
        return watcher.call("INFO", "pubsub")


def used_keys(watcher):
    line = next(line for line in watcher.call("INFO", "limits").split(b"\r\n") if b"idempotency_max_keys" in line)
    return int(line.split(b"used=")[1])


def test_a_key_is_known_for_its_window(start_fanfared):
    daemon = start_fanfared("--idempotency-max-keys", 2)
    client = daemon.connect()
    assert client.call("PUBLISHX", "a", "1", "IDKEY", "k1", "WINDOW", 1) == 0
    assert client.call("PUBLISHX", "a", "1", "IDKEY", "k2", "WINDOW", 600) == 0
    full = error("ERR max number of idempotency keys reached (idempotency-max-keys 2)")
    assert client.call("PUBLISHX", "a", "1", "IDKEY", "k3", "WINDOW", 600) in (full, 0)
    wait_until(lambda: client.call("PUBLISHX", "a", "1", "IDKEY", "k3", "WINDOW", 600) == 0, "the end of a window")
    assert client.call("PUBLISHX", "a", "1", "IDKEY", "k1") == full
    assert pairs(client.call("PUBLISHX", "a", "1", "IDKEY", "k2", "RESULT"))[b"duplicate"] == 1
    assert used_keys(client) == 2
    client.ok("CONFIG", "SET", "idempotency-max-keys", "3")
    assert client.call("PUBLISHX", "a", "1", "IDKEY", "k1") == 0


def test_very_many_keys_end_at_once_and_stall_nobody(daemon):
    count = 100000
    client = daemon.connect(timeout=60)
    for at in range(0, count, 10000):
        client.send(b"".join(
            encode("PUBLISHX", "a", "1", "IDKEY", f"k{n}", "WINDOW", 2) for n in range(at, at + 10000)))
        assert [client.read_value() for _ in range(10000)] == [0] * 10000
    watcher = daemon.connect()
    with Pinger(daemon) as pinger:
        wait_until(lambda: used_keys(watcher) == 0, "the end of all windows", 30)
    pinger.assert_no_stall()


@BOTH_FORMS
def test_a_client_with_dedup_gets_one_copy_of_each_message(daemon, version):
    client, other, publisher = daemon.client(version), daemon.client(version), daemon.connect()
    client.ok("OUTBOX", "SET", "DEDUP", "yes")
    for subscriber in (client, other):
        subscriber.subscribe("n*", "*", kind="PSUBSCRIBE")
        subscriber.subscribe("news")
    assert publisher.call("PUBLISH", "news", "1") == 1 + 3
    assert publisher.call("MPUBLISH", "nuts", "2", "other", "3") == [1 + 2, 1 + 1]
    assert list(client.read_value()) == message(b"news", b"1")
    assert client.read_value()[2:] == [b"nuts", b"2"]
    assert list(client.read_value()) == [b"pmessage", b"*", b"other", b"3"]
    assert sorted(other.read_value()[0] for _ in range(6)) == [b"message"] + [b"pmessage"] * 5
    assert publisher.call("OUTBOX", "SET", "DEDUP", "1") == error("ERR DEDUP must be 'yes' or 'no'")


@BOTH_FORMS
def test_options_of_channels_apply_to_all_publishing_commands(daemon, version):
    admin, client, other = daemon.connect(), daemon.client(3), daemon.client(version)
    admin.ok("CHANNEL", "SET", "quiet*", "no-echo", "yes", "max-message", "10")
    client.subscribe("quiet", "plain")
    other.subscribe("quiet")
    assert client.call("PUBLISH", "quiet", "1") == 1
    assert client.call("MPUBLISH", "quiet", "2", "plain", "mine") == [1, 1]
    assert list(client.read_value()) == message(b"plain", b"mine")
    assert client.call("PUBLISHMANY", "3", "quiet", "none") == [1, 0]
    assert client.call("PUBLISHX", "quiet", "4") == 1
    too_long = error("ERR message too long for this channel (max-message 10)")
    for request in (("MPUBLISH", "plain", "5", "quiet", "12345678901"), ("PUBLISHMANY", "12345678901", "plain", "quiet"),
                    ("PUBLISHX", "quiet", "12345678901", "IDKEY", "k")):
        assert client.call(*request) == too_long
    assert client.call("PUBLISHX", "quiet", "5", "IDKEY", "k") == 1
    assert [list(other.read_value()) for _ in range(5)] == [message(b"quiet", b"%d" % n) for n in range(1, 6)]


def test_a_channel_has_a_window_of_its_own_for_keys(daemon):
    client = daemon.connect()
    client.ok("CHANNEL", "SET", "short*", "idempotency-window", "1")
    assert client.call("CHANNEL", "SET", "short*", "idempotency-window", "0") != b"OK"
    assert client.call("PUBLISHX", "other", "1", "IDKEY", "k") == 0
    assert client.call("PUBLISHX", "short", "1", "IDKEY", "k") == 0
    assert client.call("PUBLISHX", "short", "1", "IDKEY", "own", "WINDOW", "60") == 0

    def is_duplicate(channel, key):
        return pairs(client.call("PUBLISHX", channel, "1", "IDKEY", key, "RESULT"))[b"duplicate"] == 1

    wait_until(lambda: not is_duplicate("short", "k"), "the end of the window of the channel")
    assert is_duplicate("short", "own") and is_duplicate("other", "k")
