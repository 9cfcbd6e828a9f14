"""Messages and replies that subscribers get, and their order."""

import threading

import pytest

from lib.resp import Push, encode
from lib.wait import wait_until


def message(channel, payload):
    return [b"message", channel, payload]


def pmessage(pattern, channel, payload):
    return [b"pmessage", pattern, channel, payload]


def test_subscribing_is_confirmed_for_each_channel_with_a_running_count(server):
    c = server.connect()
    c.command("SUBSCRIBE", "a", "b", "a")
    assert [c.read_value() for _ in range(3)] == [
        [b"subscribe", b"a", 1], [b"subscribe", b"b", 2], [b"subscribe", b"a", 2]]
    c.command("PSUBSCRIBE", "p*", "p*")
    assert [c.read_value() for _ in range(2)] == [[b"psubscribe", b"p*", 3], [b"psubscribe", b"p*", 3]]


def test_shard_channels_are_counted_apart(server):
    c = server.connect()
    assert c.call("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    assert c.call("SSUBSCRIBE", "a") == [b"ssubscribe", b"a", 1]
    assert c.call("PSUBSCRIBE", "a") == [b"psubscribe", b"a", 2]
    assert c.call("SUNSUBSCRIBE", "a") == [b"sunsubscribe", b"a", 0]
    assert c.call("UNSUBSCRIBE", "a") == [b"unsubscribe", b"a", 1]


def test_a_client_subscribed_twice_gets_a_message_once(server):
    c = server.connect()
    c.command("SUBSCRIBE", "a", "a")
    c.read_value(), c.read_value()
    assert server.connect().call("PUBLISH", "a", "x") == 1
    assert c.read_value() == message(b"a", b"x")
    assert c.call("PING") == [b"pong", b""]


def test_unsubscribing_from_all_names_each_and_counts_down(server):
    c = server.connect()
    c.subscribe("a", "b", "c")
    c.subscribe("p*", kind="PSUBSCRIBE")
    c.command("UNSUBSCRIBE")
    replies = [c.read_value() for _ in range(3)]
    assert {reply[0] for reply in replies} == {b"unsubscribe"}
    assert sorted(reply[1] for reply in replies) == [b"a", b"b", b"c"]
    assert [reply[2] for reply in replies] == [3, 2, 1]
    assert c.call("PUNSUBSCRIBE") == [b"punsubscribe", b"p*", 0]


def test_unsubscribing_from_nothing_is_confirmed_once_with_null(server):
    c = server.connect()
    assert c.call("UNSUBSCRIBE") == [b"unsubscribe", None, 0]
    assert c.call("PUNSUBSCRIBE") == [b"punsubscribe", None, 0]
    assert c.call("SUNSUBSCRIBE") == [b"sunsubscribe", None, 0]
    assert c.call("UNSUBSCRIBE", "a", ) == [b"unsubscribe", b"a", 0]


def test_publish_counts_each_matching_subscription(server):
    c = server.connect()
    c.subscribe("news")
    c.subscribe("n*", "*s", "x*", kind="PSUBSCRIBE")
    publisher = server.connect()
    assert publisher.call("PUBLISH", "news", "x") == 3
    replies = [c.read_value() for _ in range(3)]
    assert replies[0] == message(b"news", b"x")
    assert sorted(replies[1:]) == sorted([pmessage(b"n*", b"news", b"x"), pmessage(b"*s", b"news", b"x")])


def test_a_pattern_without_wildcards_matches_its_own_name_only(server):
    c = server.connect()
    c.subscribe("exact", kind="PSUBSCRIBE")
    publisher = server.connect()
    assert publisher.call("PUBLISH", "exact", "1") == 1
    assert publisher.call("PUBLISH", "exact2", "2") == 0
    assert c.read_value() == pmessage(b"exact", b"exact", b"1")


def test_shard_channels_are_a_namespace_of_their_own(server):
    c = server.connect()
    c.subscribe("a", kind="SSUBSCRIBE")
    publisher = server.connect()
    assert publisher.call("PUBLISH", "a", "x") == 0
    assert publisher.call("SPUBLISH", "a", "y") == 1
    assert c.read_value() == [b"smessage", b"a", b"y"]


def test_patterns_do_not_see_shard_channels(server):
    c = server.connect()
    c.subscribe("*", kind="PSUBSCRIBE")
    publisher = server.connect()
    assert publisher.call("SPUBLISH", "a", "x") == 0
    assert publisher.call("PUBLISH", "a", "y") == 1
    assert c.read_value() == pmessage(b"*", b"a", b"y")


def test_messages_are_pushes_in_resp3_and_arrays_in_resp2(server):
    old, new = server.connect(), server.client(3)
    assert not isinstance(old.call("SUBSCRIBE", "c"), Push)
    assert isinstance(new.call("SUBSCRIBE", "c"), Push)
    assert server.connect().call("PUBLISH", "c", "x") == 2
    got_old, got_new = old.read_value(), new.read_value()
    assert got_old == got_new == message(b"c", b"x")
    assert isinstance(got_new, Push) and not isinstance(got_old, Push)


def test_confirmations_are_pushes_in_resp3(server):
    c = server.client(3)
    for command, name in (("SUBSCRIBE", "a"), ("PSUBSCRIBE", "p"), ("SSUBSCRIBE", "s"), ("UNSUBSCRIBE", "a"),
                          ("PUNSUBSCRIBE", "p"), ("SUNSUBSCRIBE", "s"), ("UNSUBSCRIBE", "none")):
        reply = c.call(command, name)
        assert isinstance(reply, Push), command
        assert reply[:2] == [command.lower().encode(), name.encode()]


def test_the_reply_of_publish_comes_before_the_message_to_oneself(fanfared):
    """As in Redis 7.2; Redis 7.0 sends them the other way round."""
    c = fanfared.client(3)
    c.subscribe("me")
    c.subscribe("m*", kind="PSUBSCRIBE")
    c.command("PUBLISH", "me", "x")
    assert c.read_value() == 2
    assert c.read_value() == message(b"me", b"x")
    assert c.read_value() == pmessage(b"m*", b"me", b"x")


def test_pipelined_publishes_to_oneself_keep_each_reply_before_its_message(fanfared):
    c = fanfared.client(3)
    c.subscribe("me")
    c.send(b"".join(encode("PUBLISH", "me", n) for n in range(100)))
    for n in range(100):
        assert c.read_value() == 1
        assert c.read_value() == message(b"me", b"%d" % n)


def test_a_message_from_another_stands_between_two_replies_in_order(server):
    """What was published before a command ran is in front of the command's reply."""
    c, publisher = server.client(3), server.connect()
    c.subscribe("c")
    for n in range(50):
        assert publisher.call("PUBLISH", "c", n) == 1
        c.command("ECHO", n)
        assert c.read_value() == message(b"c", b"%d" % n)
        assert c.read_value() == b"%d" % n


@pytest.mark.parametrize("name", [b"", b"\0", b"\0a\0", b"\r\n", b"$-1\r\n", bytes(range(256)), b" ", b"a" * 4096,
                                  "é🎺".encode()], ids=lambda name: repr(name[:12]))
def test_any_bytes_are_a_name_and_a_message(server, name):
    c = server.connect()
    c.subscribe(name)
    publisher = server.connect()
    assert publisher.call("PUBLISH", name, name) == 1
    assert c.read_value() == message(name, name)
    assert publisher.call("PUBSUB", "CHANNELS") == [name]
    assert publisher.call("PUBSUB", "NUMSUB", name) == [name, 1]


def test_pubsub_answers_what_is_subscribed_now(server):
    a, b, asking = server.connect(), server.connect(), server.connect()
    a.subscribe("news.a", "news.b", "other")
    b.subscribe("news.b")
    a.subscribe("p*", "q*", kind="PSUBSCRIBE")
    b.subscribe("p*", kind="PSUBSCRIBE")
    b.subscribe("shard", kind="SSUBSCRIBE")
    assert sorted(asking.call("PUBSUB", "CHANNELS")) == [b"news.a", b"news.b", b"other"]
    assert sorted(asking.call("PUBSUB", "CHANNELS", "news.*")) == [b"news.a", b"news.b"]
    assert asking.call("PUBSUB", "NUMSUB", "news.a", "news.b", "none") == [b"news.a", 1, b"news.b", 2, b"none", 0]
    assert asking.call("PUBSUB", "NUMPAT") == 2
    assert asking.call("PUBSUB", "SHARDCHANNELS") == [b"shard"]
    assert asking.call("PUBSUB", "SHARDNUMSUB", "shard") == [b"shard", 1]
    b.close()
    wait_until(lambda: asking.call("PUBSUB", "NUMSUB", "news.b") == [b"news.b", 1], "the left one is counted out")
    assert asking.call("PUBSUB", "SHARDCHANNELS") == []
    assert asking.call("PUBSUB", "NUMPAT") == 2


def test_a_channel_without_subscribers_is_forgotten(server):
    c, asking = server.connect(), server.connect()
    for n in range(100):
        c.subscribe(f"c{n}")
        assert c.call("UNSUBSCRIBE", f"c{n}")[2] == 0
    assert asking.call("PUBSUB", "CHANNELS") == []


def test_10000_channels_are_subscribed_listed_and_left(server):
    c, asking = server.connect(timeout=30), server.connect(timeout=30)
    names = [b"user:%d" % n for n in range(10000)]
    for at in range(0, len(names), 1000):
        assert c.subscribe(*names[at:at + 1000]) == at + 1000
    assert sorted(asking.call("PUBSUB", "CHANNELS")) == sorted(names)
    assert len(asking.call("PUBSUB", "CHANNELS", "user:12*")) == 111
    for name in names[::997]:
        assert asking.call("PUBLISH", name, "x") == 1
        assert c.read_value() == message(name, b"x")
    c.command("UNSUBSCRIBE")
    left = [c.read_value() for _ in names]
    assert sorted(reply[1] for reply in left) == sorted(names)
    assert [reply[2] for reply in left] == list(range(9999, -1, -1))


def test_1000_subscribers_each_get_every_message_in_order(server):
    subscribers = [server.connect(timeout=60) for _ in range(1000)]
    for subscriber in subscribers:
        subscriber.command("SUBSCRIBE", "all")
    for subscriber in subscribers:
        assert subscriber.read_value() == [b"subscribe", b"all", 1]
    publisher = server.connect(timeout=60)
    publisher.send(b"".join(encode("PUBLISH", "all", n) for n in range(20)))
    for _ in range(20):
        assert publisher.read_value() == 1000
    for subscriber in subscribers:
        for n in range(20):
            assert subscriber.read_value() == message(b"all", b"%d" % n)


class Publisher(threading.Thread):
    """Publishes numbers until told to stop."""

    def __init__(self, server, channel):
        super().__init__()
        self.connection = server.connect(timeout=60)
        self.channel = channel
        self.stopping = threading.Event()
        self.published = 0

    def run(self):
        while not self.stopping.is_set():
            batch = range(self.published, self.published + 16)
            self.connection.send(b"".join(encode("PUBLISH", self.channel, n) for n in batch))
            for _ in batch:
                self.connection.read_value()
            self.published += 16

    def stop(self):
        self.stopping.set()
        self.join()


def check_round(connection, kind, name, want):
    """One subscribe, at least `want` messages, one unsubscribe; nothing missing, doubled or out of order."""
    connection.command(kind, name)
    assert connection.read_value() == [kind.lower().encode(), name, 1]
    numbers = []
    while len(numbers) < want:
        numbers.append(int(connection.read_value()[-1]))
    leaving = kind.replace("SUBSCRIBE", "UNSUBSCRIBE")
    connection.command(leaving, name)
    while True:
        value = connection.read_value()
        if value[0] == leaving.lower().encode():
            assert value[1:] == [name, 0]
            break
        numbers.append(int(value[-1]))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers[-1]


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
def test_churning_subscribers_miss_nothing_between_their_confirmations(server, version):
    publisher = Publisher(server, "ticks")
    publisher.start()
    try:
        stable = server.client(version)
        stable.subscribe("ticks")
        clients = [server.client(version) for _ in range(4)]
        for turn in range(40):
            client = clients[turn % 4]
            last = check_round(client, "PSUBSCRIBE" if turn % 2 else "SUBSCRIBE", b"tick?" if turn % 2 else b"ticks",
                               1 + turn % 30)
            assert client.call("PING") == b"PONG"  # nothing comes behind the confirmation
            if turn % 5 == 4:  # a client that leaves without a word
                client.subscribe("ticks")
                client.close()
                clients[turn % 4] = server.client(version)
    finally:
        publisher.stop()
    first = int(stable.read_value()[-1])
    for n in range(first + 1, last + 1):
        assert stable.read_value() == message(b"ticks", b"%d" % n)


def test_a_stuck_subscriber_does_not_hold_up_a_fast_one(server):
    stuck = server.connect(receive_buffer=4096)
    stuck.subscribe("c")
    fast, publisher = server.connect(timeout=60), server.connect(timeout=60)
    fast.subscribe("c")
    payload = b"x" * 1000
    for batch in range(100):
        publisher.send(b"".join(encode("PUBLISH", "c", b"%d:%s" % (batch * 100 + n, payload)) for n in range(100)))
        for n in range(100):
            assert fast.read_value() == message(b"c", b"%d:%s" % (batch * 100 + n, payload))
        for _ in range(100):
            assert publisher.read_value() == 2
    # 10 MB wait for the stuck one; it gets them all once it reads.
    for n in range(10000):
        assert stuck.read_value() == message(b"c", b"%d:%s" % (n, payload))


def test_a_client_that_ends_sending_still_gets_what_was_published_before(server):
    c, publisher = server.connect(), server.connect()
    c.subscribe("c")
    publisher.call("PUBLISH", "c", "before")
    c.finish_sending()
    assert c.read_value() == message(b"c", b"before")
    assert c.is_closed()
    wait_until(lambda: publisher.call("PUBLISH", "c", "after") == 0, "the client has left")


def test_unsubscribing_and_publishing_in_one_pipeline_happen_in_order(server):
    c = server.client(3)
    c.send(encode("SUBSCRIBE", "c") + encode("UNSUBSCRIBE", "c") + encode("PUBLISH", "c", "x") + encode("PING"))
    assert c.read_value() == [b"subscribe", b"c", 1]
    assert c.read_value() == [b"unsubscribe", b"c", 0]
    assert c.read_value() == 0
    assert c.read_value() == b"PONG"


def test_switching_the_protocol_while_subscribed_changes_the_form_of_messages(server):
    c, publisher = server.client(3), server.connect()
    c.subscribe("c")
    publisher.call("PUBLISH", "c", "1")
    assert isinstance(c.read_value(), Push)
    c.hello(2)
    publisher.call("PUBLISH", "c", "2")
    value = c.read_value()
    assert value == message(b"c", b"2") and not isinstance(value, Push)
