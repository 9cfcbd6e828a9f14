"""Long work is done in slices: it does not delay other clients, and a client that leaves in the middle leaves no state."""

import threading

import pytest

from lib.flood import Account, flood, payload
from lib.pinger import Pinger
from lib.resp import Push, encode
from lib.wait import wait_until

MANY = 100000


def names(start, end):
    return [b"channel:%d" % n for n in range(start, end)]


@pytest.fixture
def heavy(fanfared):
    """A client with very many subscriptions."""
    client = fanfared.connect(timeout=60)
    for at in range(0, MANY, 10000):
        client.command("SUBSCRIBE", *names(at, at + 10000))
        for _ in range(10000):
            client.read_value()
    return client


def test_a_pinger_that_gets_no_answers_fails(start_fanfared):
    daemon = start_fanfared()
    with pytest.raises(AssertionError, match="no answer after"), Pinger(daemon):
        daemon.kill()


def test_listing_very_many_channels_stalls_nobody(fanfared, heavy):
    asking = fanfared.connect(timeout=60)
    with Pinger(fanfared) as pinger:
        for pattern, count in (("*", MANY), ("channel:99*", 1111), ("*9", MANY // 10), ("nosuch*", 0)):
            asking.command("PUBSUB", "CHANNELS", pattern)
            raw = asking.read_raw()
            assert raw.startswith(b"*%d\r\n" % count)
    pinger.assert_no_stall()


def test_unsubscribing_from_very_many_channels_stalls_nobody(fanfared, heavy):
    with Pinger(fanfared) as pinger:
        heavy.send(encode("UNSUBSCRIBE") + encode("ECHO", "done"))
        for left in range(MANY - 1, -1, -1):
            reply = heavy.read_value()
            assert reply[0] == b"unsubscribe" and reply[2] == left
        assert heavy.read_value() == b"done"
    pinger.assert_no_stall()
    assert fanfared.connect().call("PUBSUB", "CHANNELS") == []


def test_resetting_very_many_subscriptions_stalls_nobody(fanfared, heavy):
    with Pinger(fanfared) as pinger:
        assert heavy.call("RESET") == b"RESET"
        assert heavy.call("CLIENT", "GETNAME") is None
    pinger.assert_no_stall()
    assert fanfared.connect().call("PUBSUB", "CHANNELS") == []


def test_a_large_message_arrives_whole_in_either_protocol_and_stalls_nobody(start_fanfared):
    daemon = start_fanfared("--outbox-limit-bytes", "0", "--client-output-buffer-limit", "pubsub 0 0 0")
    # No stretch of it is like another: a piece that is lost, doubled or moved shows.
    message = b"".join(b"%09d," % n for n in range(1600000))
    old, new = daemon.connect(timeout=60), daemon.connect(timeout=60)
    new.hello(3)
    for subscriber in (old, new):
        subscriber.subscribe("large")
        subscriber.subscribe("l*", kind="PSUBSCRIBE")
    publishers = [daemon.connect(timeout=60) for _ in range(2)]
    with Pinger(daemon) as pinger:
        for publisher in publishers:
            publisher.send(encode("PUBLISH", "large", message) + encode("ECHO", "after"))
        for publisher in publishers:
            assert publisher.read_value() == 4
            assert publisher.read_value() == b"after"
        for subscriber in (old, new):
            for _ in publishers:
                assert list(subscriber.read_value()) == [b"message", b"large", message]
                assert list(subscriber.read_value()) == [b"pmessage", b"l*", b"large", message]
    pinger.assert_no_stall()


def test_a_publisher_of_a_large_message_that_leaves_holds_up_no_other(start_fanfared):
    daemon = start_fanfared("--outbox-limit-bytes", "0", "--client-output-buffer-limit", "pubsub 0 0 0")
    subscriber = daemon.connect(timeout=60)
    subscriber.subscribe("large")
    for length in (5 << 20, 6 << 20, 7 << 20):
        leaving = daemon.connect(timeout=60)
        leaving.send(encode("PUBLISH", "large", b"x" * length))
        leaving.abandon()
    staying = daemon.connect(timeout=60)
    assert staying.call("PUBLISH", "large", b"y" * (8 << 20)) == 1
    while (got := subscriber.read_value()[2]) != b"y" * (8 << 20):
        assert got == b"x" * len(got)
    assert staying.call("PUBLISH", "large", b"small") == 1
    assert subscriber.read_value()[2] == b"small"


def test_a_client_that_leaves_in_the_middle_of_its_long_command_leaves_nothing(fanfared, heavy):
    watcher = fanfared.connect(timeout=60)
    for command in (("PUBSUB", "CHANNELS"), ("CLIENT", "LIST"), ("OUTBOX", "LIST"), ("COMMAND", "DOCS"),
                    ("PUBSUB", "NUMSUB", *names(0, 20000))):
        for _ in range(3):
            leaving = fanfared.connect()
            leaving.command(*command)
            leaving.close()
    heavy.send(encode("UNSUBSCRIBE"))
    heavy.close()
    wait_until(lambda: len(watcher.client_list()) == 1, "all have left", 30)
    wait_until(lambda: watcher.info("pubsub")["subscriptions"] == "0", "no subscription is left", 30)
    assert watcher.call("PUBSUB", "CHANNELS") == []


def test_channels_that_come_and_go_while_they_are_listed_do_no_harm(fanfared, heavy):
    stop = threading.Event()
    changing = fanfared.connect(timeout=60)

    def change():
        number = 0
        while not stop.is_set():
            changing.subscribe(f"changing:{number % 1000}")
            if number % 3:
                changing.call("UNSUBSCRIBE", f"changing:{number % 1000}")
            number += 1

    thread = threading.Thread(target=change)
    thread.start()
    asking = fanfared.connect(timeout=60)
    try:
        for _ in range(5):
            listed = asking.call("PUBSUB", "CHANNELS")
            stable = [name for name in listed if name.startswith(b"channel:")]
            assert len(stable) == len(set(stable)) == MANY
    finally:
        stop.set()
        thread.join()


def test_many_clients_are_listed_and_killed_without_a_stall(fanfared):
    clients = [fanfared.connect(timeout=60) for _ in range(500)]
    for client in clients:
        client.command("SUBSCRIBE", "c")
    for client in clients:
        client.read_value()
    admin = fanfared.connect(timeout=60)
    assert len(admin.client_list("TYPE", "pubsub")) == 500
    with Pinger(fanfared) as pinger:
        assert admin.call("CLIENT", "KILL", "TYPE", "pubsub") == 500
    pinger.assert_no_stall()
    assert admin.call("PUBLISH", "c", "x") == 0
    for client in clients:
        assert client.is_closed()


def test_churn_leaves_no_memory_behind(fanfared):
    watcher = fanfared.connect(timeout=60)

    def turn(number):
        client = fanfared.connect(timeout=60)
        client.command("SUBSCRIBE", *(b"turn:%d:%d" % (number, n) for n in range(2000)))
        for _ in range(2000):
            client.read_value()
        client.subscribe(*(f"turn:{number}:*{n}" for n in range(50)), kind="PSUBSCRIBE")
        client.subscribe(*(f"turn:{number}:{n}" for n in range(50)), kind="SSUBSCRIBE")
        flood(watcher, f"turn:{number}:7", range(100))
        client.close()
        wait_until(lambda: watcher.info("pubsub")["subscriptions"] == "0", "all is left")

    def used():
        return int(watcher.info("memory")["used_memory"])

    for number in range(5):
        turn(number)
    before = used()
    for number in range(5, 45):
        turn(number)
    assert used() < before + (256 << 10)


def test_messages_owed_in_one_protocol_come_before_those_in_the_next(fanfared):
    """HELLO in the middle of a stream: each message in a form that stands, none lost, none out of order."""
    client, publisher = fanfared.client(3), fanfared.connect(timeout=60)
    client.subscribe("c")
    version = 3
    number = 0
    for _ in range(20):
        flood(publisher, "c", range(number, number + 50))
        client.command("HELLO", 5 - version)
        flood(publisher, "c", range(number + 50, number + 100))
        seen = number
        hello = False
        while seen < number + 100 or not hello:
            value = client.read_value()
            if isinstance(value, dict) or value[0] == b"server":
                hello = True
                version = 5 - version
                continue
            assert value == [b"message", b"c", payload(seen)]
            assert isinstance(value, Push) == (version == 3)
            seen += 1
        number += 100
        if version == 2:
            # Subscribe mode allows no HELLO in RESP2, so leave, switch, come back.
            client.call("UNSUBSCRIBE")
            client.hello(3)
            client.subscribe("c")
            version = 3


def test_lower_limits_hold_for_what_is_owed_already(start_fanfared):
    """OUTBOX SET while much is queued: nothing breaks, and every message is accounted for."""
    daemon = start_fanfared("--outbox-policy", "drop-oldest")
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.hello(3)
    stuck.ok("OUTBOX", "SET", "NOTIFY", "yes")
    stuck.subscribe("c")
    publisher = daemon.connect(timeout=60)
    flood(publisher, "c", range(8000))
    stuck.send(encode("OUTBOX", "SET", "MESSAGES", "10"))
    wait_until(lambda: any(c["cmd"] == "outbox|set" for c in publisher.client_list()), "the limit is set")
    flood(publisher, "c", range(8000, 9000))
    account = Account(stuck, notify=True, version=3)
    ok = 0

    class WithoutReplies:
        """The OK of OUTBOX SET stands somewhere between the messages."""

        @staticmethod
        def read_value():
            nonlocal ok
            while not isinstance(value := stuck.read_value(), Push):
                assert value == b"OK"
                ok += 1
            return value

    account.connection = WithoutReplies
    account.take_until(8999)
    assert account.received + account.lagged == 9000
    assert account.lagged > 0 and ok == 1
