"""History: messages that channels keep, and the commands that read them."""

import os
import threading
import time

import pytest
import redis

from lib.pinger import Pinger
from lib.resp import Error, encode
from lib.wait import seconds, wait_until

LOOPS = pytest.mark.parametrize("loops", [int(os.environ.get("FANFARE_TEST_IO_THREADS", at)) for at in (1, 4)][
    :1 if "FANFARE_TEST_IO_THREADS" in os.environ else 2])
PROTOCOLS = pytest.mark.parametrize("protocol", (2, 3))


def keep(connection, glob="*", size=100, ttl=60, **options):
    """Sets the options of channels and waits until they apply to channels that exist."""
    words = ["history-size", size, "history-ttl", ttl]
    for name, value in options.items():
        words += [name.replace("_", "-"), value]
    connection.ok("CHANNEL", "SET", glob, *words)


def position(connection):
    return connection.call("HISTORY", "POSITION").decode()


class Client:
    """redis-py with RESP2; a bare connection with RESP3, which this redis-py does not speak."""

    def __init__(self, daemon, protocol):
        self.redis = redis.Redis(port=daemon.port, socket_timeout=seconds(30)) if protocol == 2 else None
        self.connection = daemon.client(3) if protocol == 3 else None

    def __call__(self, *words):
        if self.redis is None:
            return self.connection.call(*words)
        try:
            return self.redis.execute_command(*words)
        except redis.ResponseError as refusal:
            return Error(str(refusal).encode())

    def pairs(self, *words):
        """A map, or the pairs that stand for one in RESP2."""
        reply = self(*words)
        if isinstance(reply, dict):
            return reply
        return dict(reply if isinstance(reply[0], list) else zip(reply[::2], reply[1::2]))


@pytest.fixture(name="daemon")
def _daemon(start_fanfared, loops):
    return start_fanfared("--io-threads", loops)


@PROTOCOLS
@LOOPS
def test_a_client_reads_what_a_channel_keeps(daemon, loops, protocol):
    keep(daemon.connect(), "news.*", 3)
    client = Client(daemon, protocol)
    for text in (b"one", b"two", b"\0\xff\r\n", b""):
        assert client("PUBLISH", "news.a", text) == 0
    client("PUBLISH", "other", "not kept")
    assert client("HISTORY", "LEN", "news.a") == 3
    entries = client("HISTORY", "RANGE", "news.a", "-", "+")
    assert [payload for _, payload in entries] == [b"two", b"\0\xff\r\n", b""]
    assert client.pairs("HISTORY", "READ", "CHANNELS", "news.a", "0") == {b"news.a": entries}
    last = client("HISTORY", "POSITION")
    assert entries[-1][0] == last
    assert client("HISTORY", "READ", "CHANNELS", "news.a", last) is None
    info = client.pairs("HISTORY", "INFO", "news.a")
    assert info[b"messages"] == 3 and info[b"last"] == last and info[b"history-size"] == 3
    assert client("HISTORY", "DEL", "news.a") == 3
    assert client("HISTORY", "READ", "CHANNELS", "news.a", entries[0][0]) == Error(
        b"LOST channel 'news.a' has no messages since %s any more" % entries[0][0])


@PROTOCOLS
@LOOPS
def test_a_read_loop_gets_every_message_once(daemon, loops, protocol):
    """The pattern of a backend that reads instead of subscribing; three publishers at once."""
    keep(daemon.connect(), "job.*", 100000)
    reader = Client(daemon, protocol)
    since = reader("HISTORY", "POSITION")
    count = 600

    def publish(name):
        connection = daemon.connect()
        for number in range(count):
            connection.call("PUBLISH", f"job.{name}", f"{name} {number}")

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    channels, at, got = ["job.a", "job.b", "job.c"], [since] * 3, {b"a": [], b"b": [], b"c": []}
    while sum(map(len, got.values())) < 3 * count:
        reply = reader.pairs("HISTORY", "READ", "COUNT", "50", "BLOCK", "20000", "CHANNELS", *channels, *at)
        for channel, entries in reply.items():
            at[channels.index(channel.decode())] = entries[-1][0]
            for _, payload in entries:
                name, number = payload.split()
                got[name].append(int(number))
    for thread in threads:
        thread.join()
    assert all(numbers == list(range(count)) for numbers in got.values())


@PROTOCOLS
@LOOPS
def test_a_blocked_read_ends_with_a_message_its_time_or_its_client(daemon, loops, protocol):
    watcher, reader, publisher = daemon.connect(), daemon.client(protocol), daemon.connect()
    keep(watcher)
    reader.command("HISTORY", "READ", "BLOCK", 0, "CHANNELS", "a", "b", "$", "$")
    wait_until(lambda: watcher.info("history")["history_readers"] == "1", "the reader waits")
    assert watcher.info("clients")["blocked_clients"] == "1"
    assert publisher.call("PUBLISH", "b", "x") == 0
    top = position(watcher).encode()
    entries = [[top, b"x"]]
    assert reader.read_value() == ({b"b": entries} if protocol == 3 else [[b"b", entries]])
    begin = time.monotonic()
    assert reader.call("HISTORY", "READ", "BLOCK", 100, "CHANNELS", "a", "$") is None
    assert time.monotonic() - begin >= 0.1
    reader.command("HISTORY", "READ", "BLOCK", 0, "CHANNELS", "a", "$")
    wait_until(lambda: watcher.info("history")["history_readers"] == "1", "the reader waits again")
    reader.close()
    wait_until(lambda: watcher.info("history")["history_readers"] == "0", "the reader is gone")


@LOOPS
def test_many_readers_of_one_channel_are_all_served(daemon, loops):
    watcher, publisher = daemon.connect(), daemon.connect()
    keep(watcher)
    readers = [daemon.connect() for _ in range(600)]
    for reader in readers:
        reader.command("HISTORY", "READ", "BLOCK", 0, "CHANNELS", "a", "$")
    wait_until(lambda: watcher.info("history")["history_readers"] == "600", "all wait")
    publisher.call("PUBLISH", "a", "x")
    expected = [[b"a", [[position(watcher).encode(), b"x"]]]]
    for reader in readers:
        assert reader.read_value() == expected


@LOOPS
def test_messages_expire_and_memory_returns(daemon, loops):
    watcher = daemon.connect()
    keep(watcher, "*", 1000, 1)
    for channel in range(200):
        watcher.send(b"".join(encode("PUBLISH", f"c{channel}", b"x" * 1000) for _ in range(50)))
        for _ in range(50):
            watcher.read_value()
    most = int(watcher.info("history")["history_bytes"])
    assert most > 100000
    wait_until(lambda: watcher.info("history")["history_bytes"] == "0", "everything has expired", 20)
    info = watcher.info("history")
    assert info["history_messages"] == "0" and info["history_channels"] == "0" and info["history_expired"] == "10000"


@LOOPS
def test_limits_hold_whatever_is_published(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--history-maxmemory", "1mb", "--history-max-channels", 50)
    watcher = daemon.connect()
    keep(watcher, "*", 10000, 600)
    for number in range(3000):
        watcher.send(encode("PUBLISH", f"c{number % 300}", os.urandom(number % 3000)))
        assert watcher.read_value() == 0
        if number % 100 == 0:
            info = watcher.info("history")
            assert int(info["history_bytes"]) <= 1 << 20 and int(info["history_channels"]) <= 50
    assert int(watcher.info("history")["history_evicted"]) > 1000
    watcher.ok("CONFIG", "SET", "history-max-channels", 5)
    wait_until(lambda: int(watcher.info("history")["history_channels"]) <= 5, "a lower limit applies")
    watcher.ok("CONFIG", "SET", "history-maxmemory", 1)
    wait_until(lambda: watcher.info("history")["history_messages"] == "0", "nothing fits any more")
    assert watcher.call("PUBLISH", "c1", "x") == 0
    assert watcher.call("HISTORY", "LEN", "c1") == 0


@LOOPS
def test_a_message_that_is_too_long_is_delivered_and_not_kept(daemon, loops):
    watcher, subscriber = daemon.connect(), daemon.connect()
    keep(watcher, "a", history_message_bytes="10kb")
    subscriber.subscribe("a")
    assert watcher.call("PUBLISH", "a", "before") == 1
    since = position(watcher)
    assert watcher.call("PUBLISH", "a", b"x" * 10241) == 1
    assert subscriber.read_value() == [b"message", b"a", b"before"]
    assert subscriber.read_value() == [b"message", b"a", b"x" * 10241]
    assert watcher.call("HISTORY", "LEN", "a") == 0
    assert watcher.call("HISTORY", "READ", "CHANNELS", "a", since) == Error(
        b"LOST channel 'a' has no messages since %s any more" % since.encode())
    assert watcher.call("HISTORY", "READ", "CHANNELS", "a", position(watcher)) is None


@LOOPS
def test_options_that_change_apply_to_what_is_kept(daemon, loops):
    watcher = daemon.connect()
    keep(watcher, "*", 100)
    for number in range(100):
        watcher.call("PUBLISH", "a", number)
        watcher.call("PUBLISH", "b", number)
    keep(watcher, "a", 7)
    wait_until(lambda: watcher.call("HISTORY", "LEN", "a") == 7, "the ring has shrunk")
    assert watcher.call("HISTORY", "RANGE", "a", "-", "+", "COUNT", 1)[0][1] == b"93"
    assert watcher.call("HISTORY", "LEN", "b") == 100
    before = position(watcher)
    watcher.ok("CHANNEL", "UNSET", "*")
    wait_until(lambda: watcher.call("HISTORY", "LEN", "b") == 0, "b keeps nothing any more")
    assert watcher.call("HISTORY", "READ", "CHANNELS", "b", before) == Error(b"ERR channel 'b' keeps no history")
    watcher.call("PUBLISH", "b", "not kept")
    keep(watcher, "*", 100)
    assert watcher.call("HISTORY", "READ", "CHANNELS", "b", before) == Error(
        b"LOST channel 'b' has no messages since %s any more" % before.encode())


@LOOPS
def test_key_events_and_transactions_are_kept(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--notify-keyspace-events", "KEA")
    watcher = daemon.connect()
    keep(watcher, "__keyevent@*", 10)
    keep(watcher, "tx", 10)
    watcher.ok("SET", "k", "v")
    watcher.call("DEL", "k")
    assert [watcher.call("HISTORY", "LEN", f"__keyevent@0__:{event}") for event in ("set", "del")] == [1, 1]
    watcher.ok("MULTI")
    for number in range(3):
        watcher.call("PUBLISH", "tx", number)
    watcher.call("HISTORY", "READ", "BLOCK", 0, "CHANNELS", "tx", "$")
    watcher.call("HISTORY", "LEN", "tx")
    assert watcher.call("EXEC") == [0, 0, 0, None, 3]


@PROTOCOLS
@LOOPS
def test_rights_that_are_taken_away_end_a_read(daemon, loops, protocol):
    admin = daemon.connect()
    keep(admin)
    admin.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "resetchannels", "&a")
    reader = daemon.client(protocol)
    reader.ok("AUTH", "u", "x")
    denied = Error(b"NOPERM this user has no permissions to access one of the channels used as arguments")
    for command in (["LEN", "b"], ["INFO", "b"], ["DEL", "b"], ["RANGE", "b", "-", "+"],
                    ["READ", "CHANNELS", "a", "b", "0", "0"]):
        assert reader.call("HISTORY", *command) == denied
    reader.command("HISTORY", "READ", "BLOCK", 0, "CHANNELS", "a", "$")
    wait_until(lambda: admin.info("history")["history_readers"] == "1", "the reader waits")
    admin.ok("ACL", "SETUSER", "u", "resetchannels", "&other")
    assert reader.read_value() == denied
    log = admin.call("ACL", "LOG")
    assert any(b"channel" in entry for entry in log)


@PROTOCOLS
@LOOPS
def test_a_long_reply_does_not_hold_the_loop(daemon, loops, protocol):
    """A million messages of one channel: read forward, backward, and freed at once."""
    watcher, reader = daemon.connect(timeout=120), daemon.client(protocol)
    keep(watcher, "*", 2000000, 600, history_bytes="1gb")
    count = 200000 if os.environ.get("FANFARE_SLOW") else 1000000
    batch = encode("PUBLISH", "a", b"x" * 32) * 1000
    for _ in range(count // 1000):
        watcher.send(batch)
        watcher.read_exactly(4 * 1000)
    with Pinger(daemon) as pinger:
        reader.command("HISTORY", "RANGE", "a", "-", "+")
        reply = reader.read_value()
        assert len(reply) == count and reply[0][1] == b"x" * 32
        reader.command("HISTORY", "RANGE", "a", "-", "+", "REV")
        assert [entry[0] for entry in reader.read_value()] == [entry[0] for entry in reversed(reply)]
        assert watcher.call("HISTORY", "DEL", "a") == count
        wait_until(lambda: int(watcher.info("history")["history_bytes"]) < 1000, "its memory is free", 30)
    pinger.assert_no_stall(0.05)


@LOOPS
def test_a_million_messages_that_expire_at_once_do_not_hold_the_loop(daemon, loops):
    watcher = daemon.connect(timeout=120)
    keep(watcher, "*", 1, 600)
    count = 50000 if os.environ.get("FANFARE_SLOW") else 300000
    for first in range(0, count, 1000):
        watcher.send(b"".join(encode("PUBLISH", f"channel:{number}", b"x" * 64)
                              for number in range(first, first + 1000)))
        watcher.read_exactly(4 * 1000)
    assert watcher.info("history")["history_channels"] == str(count)
    with Pinger(daemon) as pinger:
        keep(watcher, "*", 1, 1)
        wait_until(lambda: watcher.info("history")["history_channels"] == "0", "all have expired", 60)
    pinger.assert_no_stall(0.05)


@LOOPS
def test_hostile_requests_get_errors_and_nothing_else_happens(daemon, loops):
    connection = daemon.connect()
    keep(connection)
    connection.call("PUBLISH", "a", "x")
    huge = "9" * 5000
    requests = [
        (["LEN", b"\0" * 5000], b"ERR channel name too long (max-channel-length 4096)"),
        (["RANGE", "a", huge, "+"],
         b"ERR Invalid position '%s': must be EPOCH-SEQ, EPOCH, - or +, with ( to exclude it" % huge[:128].encode()),
        (["RANGE", "a", "-", "+", "COUNT", huge], b"ERR value is out of range, must be positive"),
        (["READ", "BLOCK", "9223372036854775808", "CHANNELS", "a", "$"],
         b"ERR timeout is not an integer or out of range"),
        (["READ", "CHANNELS", "a", "\r\n"], b"ERR Invalid position '  ': must be EPOCH-SEQ, 0, $ or -N"),
        (["READ", "CHANNELS"] + ["a"] * 257 + ["0"] * 257,
         b"ERR max number of channels of HISTORY READ reached (256)"),
        (["READ", "CHANNELS", "CHANNELS", "a"], b"ERR Invalid position 'a': must be EPOCH-SEQ, 0, $ or -N"),
        (["POSITION", "x"], b"ERR wrong number of arguments for 'history|position' command"),
    ]
    for arguments, text in requests:
        assert connection.call("HISTORY", *arguments) == Error(text)
    # The longest wait that can be given is no overflow.
    connection.command("HISTORY", "READ", "BLOCK", "9223372036854775807", "CHANNELS", "a", "$")
    watcher = daemon.connect()
    wait_until(lambda: watcher.info("history")["history_readers"] == "1", "it waits")
    watcher.call("PUBLISH", "a", "y")
    assert connection.read_value()[0][1][0][1] == b"y"
    assert watcher.call("HISTORY", "LEN", "a") == 2


@LOOPS
def test_replies_that_wait_for_the_disk_keep_the_order(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--appendonly", "yes", "--appendfsync", "always")
    connection = daemon.connect()
    keep(connection)
    connection.send(b"".join([encode("SET", "k", "v"), encode("PUBLISH", "a", "x"), encode("HISTORY", "LEN", "a"),
                              encode("INCR", "n"), encode("HISTORY", "READ", "CHANNELS", "a", "0")]))
    assert [connection.read_value() for _ in range(4)] == [b"OK", 0, 1, 1]
    assert connection.read_value()[0][0] == b"a"


@PROTOCOLS
@LOOPS
def test_a_subscriber_begins_with_the_last_messages(daemon, loops, protocol):
    publisher, subscriber = daemon.connect(), daemon.client(protocol)
    keep(publisher, "*", 10, replay=2)
    for channel, payload in (("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")):
        publisher.call("PUBLISH", channel, payload)
    subscriber.command("SUBSCRIBE", "a", "b")
    expected = [[b"subscribe", b"a", 1], [b"subscribe", b"b", 2], [b"message", b"a", b"2"],
                [b"message", b"b", b"3"], [b"message", b"a", b"4"]]
    assert [subscriber.read_value() for _ in expected] == expected
    publisher.call("PUBLISH", "a", "5")
    assert subscriber.read_value() == [b"message", b"a", b"5"]


@LOOPS
def test_redis_py_gets_the_last_value_on_subscribe(daemon, loops):
    keep(daemon.connect(), "price.*", 1, replay=1)
    client = redis.Redis(port=daemon.port, socket_timeout=seconds(30))
    for value in range(100):
        client.publish("price.x", value)
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("price.x", "price.y")
        message = wait_until(lambda: pubsub.get_message(timeout=0.1), "the last value")
        assert (message["channel"], message["data"]) == (b"price.x", b"99")
        client.publish("price.y", "new")
        message = wait_until(lambda: pubsub.get_message(timeout=0.1), "a new value")
        assert (message["channel"], message["data"]) == (b"price.y", b"new")
    client.close()


@LOOPS
def test_last_values_are_followed_by_every_new_message_under_load(daemon, loops):
    """Rings of one message, and a publisher that does not stop: each subscriber sees consecutive numbers."""
    watcher, publisher = daemon.connect(), daemon.connect()
    keep(watcher, "*", 1, replay=1)
    stopping = threading.Event()

    def publish():
        number = 0
        while not stopping.is_set():
            publisher.send(b"".join(encode("PUBLISH", "n", number + i) for i in range(10)))
            for _ in range(10):
                publisher.read_value()
            number += 10

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        wait_until(lambda: watcher.call("HISTORY", "LEN", "n") == 1, "the first message")
        for _ in range(100):
            with daemon.connect() as subscriber:
                subscriber.command("SUBSCRIBE", "n")
                assert subscriber.read_value() == [b"subscribe", b"n", 1]
                numbers = [int(subscriber.read_value()[2]) for _ in range(50)]
                assert numbers == list(range(numbers[0], numbers[0] + 50))
    finally:
        stopping.set()
        thread.join()


@LOOPS
def test_last_values_come_behind_replies_that_wait_for_the_disk(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops, "--appendonly", "yes", "--appendfsync", "always")
    publisher, subscriber = daemon.connect(), daemon.client(3)
    keep(publisher, "*", 1, replay=1)
    publisher.call("PUBLISH", "a", "x")
    subscriber.send(encode("SET", "k", "v") + encode("MULTI") + encode("INCR", "n") + encode("SUBSCRIBE", "a") + encode("EXEC"))
    assert [subscriber.read_value() for _ in range(4)] == [b"OK", b"OK", b"QUEUED", b"QUEUED"]
    assert subscriber.read_value() == [1, [b"subscribe", b"a", 1]]
    assert subscriber.read_value() == [b"message", b"a", b"x"]
