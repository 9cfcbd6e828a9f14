"""A wait ends when its reason ends: a full outbox, a waiting publisher, limits, access rules, pauses."""

import select
import socket
import time

import pytest

from lib.outbox import outbox_of
from lib.resp import Closed, Error, Push, encode, parse_client
from lib.wait import seconds, wait_until

LONG = ("--outbox-block-timeout", 600000)
NO_LIMITS = ("--outbox-limit-bytes", 0, "--client-output-buffer-limit", "pubsub 0 0 0")
BIG = b"x" * 100000
MIB = 1 << 20


def number(client, name):
    """A figure of INFO."""
    return int(client.info()[name])


def is_connected(admin, client_id):
    return bool(admin.client_list("ID", client_id))


def waiting_for_room(admin):
    return number(admin, "blocked_clients")


class Stuck:
    """A subscriber that does not read, with RESP3, so that it can change its mind."""

    def __init__(self, daemon, *names, kind="SUBSCRIBE", outbox=("POLICY", "block", "MESSAGES", 10)):
        self.connection = daemon.connect(timeout=30, receive_buffer=4096)
        self.connection.hello(3)
        self.id = self.connection.call("CLIENT", "ID")
        if outbox:
            self.connection.ok("OUTBOX", "SET", *outbox)
        self.connection.subscribe(*names, kind=kind)

    def send(self, *words):
        self.connection.command(*words)


class Publisher:
    """One that publishes until it has to wait."""

    def __init__(self, daemon, admin, words=("PUBLISH", "a"), before=0):
        self.connection = daemon.connect(timeout=30)
        self.id = self.connection.call("CLIENT", "ID")
        self.words = words
        for _ in range(2000):
            self.connection.command(*words, BIG)
            if wait_until(lambda: self.has_reply() or waiting_for_room(admin) > before and "waits", "reply") != "waits":
                self.connection.read_value()
                continue
            # INFO was asked a moment before: the reply may have come meanwhile.
            if not self.has_reply(0.2):
                return
            self.connection.read_value()
        raise AssertionError("it never has to wait")

    def has_reply(self, within=0.0):
        connection = self.connection.socket
        before = connection.gettimeout()
        connection.settimeout(within or 0.0001)
        try:
            return len(connection.recv(1, socket.MSG_PEEK)) > 0
        except (TimeoutError, BlockingIOError):
            return False
        finally:
            connection.settimeout(before)

    def goes_on(self, within=3):
        wait_until(self.has_reply, "the publisher goes on", within)
        return self.connection.read_value()


@pytest.fixture
def daemon(start_fanfared):
    return start_fanfared(*LONG)


# Under `block`: free room, closed clients


GIVING_UP = {
    "UNSUBSCRIBE": ("UNSUBSCRIBE", "a"),
    "UNSUBSCRIBE from all": ("UNSUBSCRIBE",),
    "RESET": ("RESET",),
    "OUTBOX SET POLICY drop-newest": ("OUTBOX", "SET", "POLICY", "drop-newest"),
    "OUTBOX SET POLICY drop-oldest": ("OUTBOX", "SET", "POLICY", "drop-oldest"),
    "OUTBOX SET MESSAGES": ("OUTBOX", "SET", "POLICY", "block", "MESSAGES", 100000),
}


@pytest.mark.parametrize("words", GIVING_UP.values(), ids=GIVING_UP.keys())
def test_a_publisher_goes_on_when_the_subscriber_gives_up_without_reading(daemon, words):
    admin = daemon.client()
    stuck = Stuck(daemon, "a")
    publisher = Publisher(daemon, admin)
    stuck.send(*words)
    reply = publisher.goes_on()
    assert reply == (0 if words[0] in ("UNSUBSCRIBE", "RESET") else 1)
    assert is_connected(admin, stuck.id)
    assert waiting_for_room(admin) == 0


@pytest.mark.parametrize("kind, name, verb, end", [
    ("PSUBSCRIBE", "a*", "PUBLISH", ("PUNSUBSCRIBE", "a*")),
    ("PSUBSCRIBE", "a*", "PUBLISH", ("PUNSUBSCRIBE",)),
    ("SSUBSCRIBE", "a", "SPUBLISH", ("SUNSUBSCRIBE", "a")),
])
def test_so_it_does_with_patterns_and_shard_channels(daemon, kind, name, verb, end):
    admin = daemon.client()
    stuck = Stuck(daemon, name, kind=kind)
    publisher = Publisher(daemon, admin, (verb, "a"))
    stuck.send(*end)
    assert publisher.goes_on() == 0
    assert is_connected(admin, stuck.id)


def test_a_transaction_goes_on_when_the_subscriber_unsubscribes(daemon):
    admin = daemon.client()
    stuck = Stuck(daemon, "a")
    publisher = Publisher(daemon, admin)
    client = daemon.client()
    client.send(encode("MULTI") + encode("PUBLISH", "a", "x") + encode("EXEC"))
    assert [client.read_value(), client.read_value()] == [b"OK", b"QUEUED"]
    wait_until(lambda: waiting_for_room(admin) == 2, "EXEC waits, too")
    stuck.send("UNSUBSCRIBE", "a")
    assert client.read_value() == [0]
    assert publisher.goes_on() == 0


def test_the_subscriber_that_unsubscribed_is_not_closed_for_it(start_fanfared):
    daemon = start_fanfared("--outbox-block-timeout", 1500)
    admin = daemon.client()
    stuck = Stuck(daemon, "a", "b")
    Publisher(daemon, admin)
    stuck.send("UNSUBSCRIBE", "a")
    time.sleep(2.5)
    assert is_connected(admin, stuck.id)


LEAVING = {
    "closes": lambda publisher, admin: publisher.connection.close(),
    "is killed": lambda publisher, admin: admin.call("CLIENT", "KILL", "ID", publisher.id),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING.keys())
def test_a_subscriber_is_not_closed_when_the_only_publisher_that_waited_has_left(start_fanfared, leave):
    daemon = start_fanfared("--outbox-block-timeout", 1500)
    admin = daemon.client()
    stuck = Stuck(daemon, "a")
    publisher = Publisher(daemon, admin)
    leave(publisher, admin)
    time.sleep(2.5)
    assert is_connected(admin, stuck.id)
    assert waiting_for_room(admin) == 0


def test_the_time_of_a_later_publisher_is_its_own(start_fanfared):
    daemon = start_fanfared("--outbox-block-timeout", 3000)
    admin = daemon.client()
    for _ in range(10):
        stuck = Stuck(daemon, "a")
        first = Publisher(daemon, admin)
        first_ends = time.monotonic() + 3
        time.sleep(1.5)
        admin.call("CLIENT", "KILL", "ID", first.id)
        wait_until(lambda: waiting_for_room(admin) == 0, "the first one is gone")
        second_from = time.monotonic()
        second = Publisher(daemon, admin)
        time.sleep(max(0, first_ends + 0.2 - time.monotonic()))
        was_connected = is_connected(admin, stuck.id)
        # On a busy machine the second one's time may be over as well; then another round tells.
        in_time = time.monotonic() < second_from + 2.9
        assert second.goes_on(within=5) in (0, 1)
        assert not is_connected(admin, stuck.id)
        if in_time:
            assert was_connected
            return
    pytest.fail("no round was in time")


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_publisher_that_leaves_while_it_waits_is_noticed_at_once(daemon, reset):
    admin = daemon.client()
    Stuck(daemon, "a")
    publisher = Publisher(daemon, admin)
    if reset:
        publisher.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    publisher.connection.close()
    wait_until(lambda: not is_connected(admin, publisher.id), "its end is seen", 3)
    assert waiting_for_room(admin) == 0


def test_a_client_that_has_sent_the_next_command_and_leaves_is_noticed_too(daemon):
    admin = daemon.client()
    Stuck(daemon, "a")
    publisher = Publisher(daemon, admin)
    publisher.connection.command("PING")
    publisher.connection.close()
    wait_until(lambda: not is_connected(admin, publisher.id), "its end is seen", 3)


def test_blocking_subscribers_are_those_with_a_subscription(daemon):
    admin = daemon.client()
    client = daemon.client(3)
    client.ok("OUTBOX", "SET", "POLICY", "block")
    assert number(admin, "blocking_subscribers") == 0
    client.subscribe("a", "b")
    assert number(admin, "blocking_subscribers") == 1
    client.call("UNSUBSCRIBE", "a")
    assert number(admin, "blocking_subscribers") == 1
    client.call("UNSUBSCRIBE", "b")
    assert number(admin, "blocking_subscribers") == 0
    client.subscribe("a")
    client.close()
    wait_until(lambda: number(admin, "blocking_subscribers") == 0, "it is gone")


def test_notify_does_not_pin_the_policy_and_limits_of_that_moment(daemon):
    admin = daemon.client()
    client = daemon.client(3)
    client.ok("OUTBOX", "SET", "NOTIFY", "yes")
    admin.ok("CONFIG", "SET", "outbox-policy", "drop-oldest")
    admin.ok("CONFIG", "SET", "outbox-limit-messages", 77)
    wait_until(lambda: client.call("OUTBOX", "GET")[b"policy"] == b"drop-oldest", "the policy changes", 5)
    assert client.call("OUTBOX", "GET")[b"messages"] == 77


# maxmemory-pubsub: which publishers wait


def waiting_for_memory(daemon, admin, size=55000000):
    """A subscriber with 20 MB of 64 queued, and a publisher that waits for more than is free."""
    stuck = Stuck(daemon, "a", outbox=())
    filler = daemon.connect(timeout=30)
    for _ in range(20):
        assert filler.call("PUBLISH", "a", b"x" * 1000000) == 1
    publisher = daemon.connect(timeout=30)
    publisher_id = publisher.call("CLIENT", "ID")
    publisher.command("PUBLISH", "a", b"y" * size)
    wait_until(lambda: waiting_for_room(admin) == 1, "the publisher waits")
    return stuck, publisher, publisher_id


MEMORY = ("--maxmemory-pubsub", "64mb", *LONG, *NO_LIMITS)


@pytest.mark.parametrize("other", ["nobody", "a pause"])
def test_a_publisher_that_waited_for_memory_and_left_costs_nobody_his_connection(start_fanfared, other):
    daemon = start_fanfared(*MEMORY)
    admin = daemon.client()
    stuck, publisher, publisher_id = waiting_for_memory(daemon, admin)
    if other == "a pause":
        admin.ok("CLIENT", "PAUSE", 60000, "WRITE")
        daemon.connect().command("SET", "k", "v")
    publisher.close()
    admin.call("CLIENT", "KILL", "ID", publisher_id)
    time.sleep(2.5)
    assert is_connected(admin, stuck.id)
    assert admin.info()["memory_cut_clients"] == "0"


def test_a_lowered_limit_refuses_the_message_that_is_too_large_for_it_and_closes_nobody(start_fanfared):
    daemon = start_fanfared(*MEMORY)
    admin = daemon.client()
    stuck, publisher, _ = waiting_for_memory(daemon, admin)
    admin.ok("CONFIG", "SET", "maxmemory-pubsub", "40mb")  # room for the queued output, but not for that message
    reply = publisher.read_value()
    assert isinstance(reply, Error) and reply.text.startswith(b"OOM")
    time.sleep(1.5)
    assert is_connected(admin, stuck.id)
    assert waiting_for_room(admin) == 0


def test_a_raised_limit_and_none_let_publishers_go_on(start_fanfared):
    daemon = start_fanfared(*MEMORY)
    admin = daemon.client()
    stuck, publisher, _ = waiting_for_memory(daemon, admin)
    admin.ok("CONFIG", "SET", "maxmemory-pubsub", 0)
    assert publisher.read_value() == 1
    assert is_connected(admin, stuck.id)


def test_a_pause_that_others_wait_for_closes_no_subscriber(start_fanfared):
    """The memory is nearly used up, but the writers wait for the end of the pause, not for memory."""
    daemon = start_fanfared("--maxmemory-pubsub", "24mb", *NO_LIMITS)
    admin = daemon.client()
    stuck = Stuck(daemon, "a", outbox=())
    publisher = daemon.connect(timeout=30)
    for _ in range(22):
        assert publisher.call("PUBLISH", "a", b"x" * 1000000) == 1
    admin.ok("CLIENT", "PAUSE", 60000, "WRITE")
    writers = [daemon.connect() for _ in range(3)]
    for writer in writers:
        writer.command("PUBLISH", "a", b"x" * 1000000)
        writer.command("SET", "k", "v")
    time.sleep(2.5)
    assert is_connected(admin, stuck.id)


def test_what_is_owed_falls_to_nothing_when_nobody_is_owed_anything(daemon):
    admin = daemon.client()
    subscribers = [daemon.client(version) for version in (2, 3)]
    for subscriber in subscribers:
        subscriber.subscribe("a")
    for size in (10, 1000, 100000, 3000000):
        for _ in range(20):
            assert admin.call("PUBLISH", "a", b"x" * size) == 2
            for subscriber in subscribers:
                assert len(subscriber.read_value()[2]) == size
    # INFO's own reply is the last queued output.
    wait_until(lambda: number(admin, "owed_memory_bytes") < 150000, "owed_memory_bytes falls", 5)


def test_a_large_message_is_not_kept_waiting_by_small_ones_for_ever(daemon):
    admin = daemon.client()
    subscriber = daemon.connect(timeout=30, receive_buffer=4096)
    subscriber.hello(3)
    subscriber.ok("OUTBOX", "SET", "POLICY", "block", "BYTES", MIB)
    subscriber.subscribe("a")
    small = [daemon.connect(timeout=30) for _ in range(4)]
    for publisher in small:
        publisher.send(encode("PUBLISH", "a", b"s" * 20000) * 150)
    # The sockets' buffers may take all that one or two of them send.
    wait_until(lambda: waiting_for_room(admin) >= 2, "the small ones wait")
    waiting = waiting_for_room(admin)
    large = daemon.connect(timeout=30)
    large.command("PUBLISH", "a", b"L" * 900000)
    wait_until(lambda: waiting_for_room(admin) > waiting, "the large one waits, too")
    taken = 0
    while not is_large(subscriber.read_value()):
        taken += 1
        assert taken < 400, "most of the 600 small messages went first"
    assert large.read_value() == 1


# Large messages, which are copied in steps


def is_readable(connection):
    return bool(select.select([connection.socket], [], [], 0)[0])


def large_publish_that_waits(daemon, delay, channel="a"):
    """
    A subscriber under `block` and a PUBLISH of 29 MB to it by the user u: begun while there was room, which another
    message takes after `delay` seconds, in the middle of the copying if that hits.
    """
    admin = daemon.client()
    admin.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "&*")
    stuck = Stuck(daemon, channel, "z", outbox=("POLICY", "drop-newest", "MESSAGES", 1000))
    filler, publisher = daemon.connect(timeout=30), daemon.connect(timeout=30)
    publisher.ok("AUTH", "u", "x")
    while outbox_of(admin, stuck.id)["messages"] < 3:
        filler.call("PUBLISH", "z", b"s" * 60000)
    # Data in the socket buffers is no longer queued; the rest stays.
    owed = [-1]

    def stands_still():
        before, owed[0] = owed[0], outbox_of(admin, stuck.id)["messages"]
        time.sleep(0.05)
        return before == owed[0]
    wait_until(stands_still, "the sockets are full")
    stuck.connection.command("OUTBOX", "SET", "POLICY", "block", "MESSAGES", owed[0] + 1)
    wait_until(lambda: outbox_of(admin, stuck.id)["policy"] == "block", "it blocks")
    publisher.send(encode("PUBLISH", channel, b"L" * 29000000))
    time.sleep(delay)
    filler.command("PUBLISH", "z", b"s")
    # With several loops both may find room: the kernel has taken more meanwhile.
    wait_until(lambda: waiting_for_room(admin) >= 1 or is_readable(publisher) and is_readable(filler),
               "one of them waits, or none has to")
    return admin, stuck, filler, publisher


def take_until(connection, condition, within):
    """Reads values until one meets the condition; None when that takes too long or the connection ends."""
    connection.socket.settimeout(seconds(within))
    try:
        while True:
            value = connection.read_value()
            if condition(value):
                return value
    except (TimeoutError, Closed):
        return None


def is_large(value):
    return isinstance(value, Push) and len(value) == 3 and value[0] == b"message" and value[2][:1] == b"L"


def reply_of(publisher, within):
    publisher.socket.settimeout(seconds(within))
    try:
        return publisher.read_value()
    except TimeoutError:
        return None


def has_gone_on(publisher):
    """It was quicker than the message that should have taken its room."""
    return reply_of(publisher, 0.05) is not None


def came_before(admin, stuck, *words):
    """Carries out this command. True if the large message was published before it."""
    admin.send(encode(*words) + encode("OUTBOX", "LIST", "ID", stuck.id))
    assert admin.read_value() == b"OK"
    return int(parse_client(admin.read_value().decode().splitlines()[0])["outbox-bytes"]) > 20_000_000


DELAYS = (0.0, 0.002, 0.004, 0.007, 0.01, 0.014, 0.02)
LARGE = (*LONG, *NO_LIMITS)


def test_a_large_message_does_not_come_after_its_right_was_taken_away(start_fanfared):
    daemon = start_fanfared(*LARGE)
    for delay in DELAYS:
        admin, stuck, filler, publisher = large_publish_that_waits(daemon, delay)
        done = has_gone_on(publisher)
        if not came_before(admin, stuck, "ACL", "SETUSER", "u", "resetchannels") and not done:
            came = take_until(stuck.connection, is_large, 0.5)
            reply = reply_of(publisher, 5)
            assert came is None, f"after {delay} s, reply {reply!r}"
            assert isinstance(reply, Error) and reply.text.startswith(b"NOPERM")
        for client in (admin, stuck.connection, filler, publisher):
            client.close()


def test_a_large_message_waits_for_the_end_of_a_pause_that_began_while_it_was_copied(start_fanfared):
    daemon = start_fanfared(*LARGE)
    for delay in DELAYS:
        admin, stuck, filler, publisher = large_publish_that_waits(daemon, delay)
        done = has_gone_on(publisher)
        if not came_before(admin, stuck, "CLIENT", "PAUSE", 600000, "WRITE") and not done:
            assert take_until(stuck.connection, is_large, 0.5) is None, f"after {delay} s"
            admin.ok("CLIENT", "UNPAUSE")
            assert take_until(stuck.connection, is_large, 10) is not None
            assert reply_of(publisher, 5) == 1
        admin.ok("CLIENT", "UNPAUSE")
        for client in (admin, stuck.connection, filler, publisher):
            client.close()


def test_a_large_message_whose_channel_is_too_long_by_now_is_refused_and_given_up(start_fanfared):
    daemon = start_fanfared("--max-channel-length", 1000, *NO_LIMITS)
    admin = daemon.client()
    name = b"n" * 500
    subscriber = daemon.connect(timeout=30, receive_buffer=4096)
    subscriber.subscribe(*[b"n" * i + b"*" for i in range(1, 12)], kind="PSUBSCRIBE")
    before = number(admin, "used_memory")
    refused = 0
    for _ in range(5):
        admin.ok("CONFIG", "SET", "max-channel-length", 1000)
        publisher = daemon.connect(timeout=30)
        request = encode("PUBLISH", name, b"L" * (8 * MIB))
        publisher.send(request[:-2])
        wait_until(lambda: any(int(c["qbuf"]) > 8 * MIB - 100000 for c in admin.client_list()), "almost all came")
        publisher.send(request[-2:])
        time.sleep(0.002)
        admin.ok("CONFIG", "SET", "max-channel-length", 100)
        reply = publisher.read_value()
        refused += isinstance(reply, Error)
        assert reply == 11 or isinstance(reply, Error) and b"channel name too long" in reply.text
        publisher.close()
    subscriber.close()
    wait_until(lambda: number(admin, "connected_clients") == 1, "all are gone")
    wait_until(lambda: number(admin, "used_memory") < before + 4 * MIB, f"memory comes back, {refused} refused", 5)
    assert number(admin, "owed_memory_bytes") < MIB


def test_the_limit_of_names_counts_for_a_large_message_that_waits(start_fanfared):
    daemon = start_fanfared("--maxmemory-pubsub", "90mb", *LARGE)
    name = "n" * 150
    for delay in DELAYS:
        admin, stuck, filler, publisher = large_publish_that_waits(daemon, delay, name)
        done = has_gone_on(publisher)
        if not came_before(admin, stuck, "CONFIG", "SET", "max-channel-length", 100) and not done:
            assert take_until(stuck.connection, is_large, 0.5) is None, f"after {delay} s"
            reply = reply_of(publisher, 5)
            assert isinstance(reply, Error) and b"channel name too long" in reply.text
        admin.ok("CONFIG", "SET", "max-channel-length", 1000)
        admin.call("CLIENT", "KILL", "ID", stuck.id)
        wait_until(lambda: number(admin, "owed_memory_bytes") < MIB, "what was copied is given up", 5)
        for client in (admin, stuck.connection, filler, publisher):
            client.close()


def test_two_large_messages_that_wait_do_not_keep_the_main_loop_busy(start_fanfared):
    daemon = start_fanfared("--maxmemory-pubsub", "80mb", *LARGE)
    for delay in DELAYS:
        admin, stuck, filler, publisher = large_publish_that_waits(daemon, delay)
        second = daemon.connect(timeout=30)
        second.send(encode("PUBLISH", "a", b"M" * 29000000))
        wait_until(lambda: waiting_for_room(admin) >= 2 or has_gone_on(publisher), "both wait")
        time.sleep(0.3)
        begun, turns = time.monotonic(), number(admin, "loop_turns")
        time.sleep(0.5)
        rate = (number(admin, "loop_turns") - turns) / (time.monotonic() - begun)
        assert rate < 5000, f"{rate:.0f} turns a second, after {delay} s"
        for client in (admin, stuck.connection, filler, publisher, second):
            client.close()


def test_a_large_message_that_waits_and_whose_publisher_leaves_is_given_up(start_fanfared):
    daemon = start_fanfared(*LARGE)
    watcher = daemon.client()
    for delay in DELAYS[::2]:
        admin, stuck, filler, publisher = large_publish_that_waits(daemon, delay)
        publisher.close()
        filler.close()
        wait_until(lambda: waiting_for_room(admin) == 0, "nobody waits", 5)
        stuck.connection.close()
        wait_until(lambda: number(watcher, "owed_memory_bytes") < MIB, "what was copied is given up", 5)
        admin.close()


# The order of the stream


@pytest.mark.parametrize("words", [("HELLO", 2), ("RESET",)], ids=["HELLO 2", "RESET"])
@pytest.mark.parametrize("policy", ["drop-newest", "drop-oldest"])
def test_a_notice_has_the_form_of_the_messages_that_are_missing(daemon, words, policy):
    stuck = Stuck(daemon, "a", outbox=("POLICY", policy, "MESSAGES", 5, "NOTIFY", "yes"))
    publisher = daemon.connect(timeout=30)
    for _ in range(100):
        assert publisher.call("PUBLISH", "a", BIG) == 1
    stuck.send(*words)
    stuck.connection.command("PING")
    seen = []
    while True:
        value = stuck.connection.read_value()
        if not isinstance(value, (Push, list)) or value[0] not in (b"message", b"lagged"):
            break
        seen.append((value[0], isinstance(value, Push)))
    assert value == b"RESET" if words == ("RESET",) else b"proto" in value
    assert {is_push for _, is_push in seen} == {True}, seen[-6:]
    assert (b"lagged", True) in seen
    after = [b"pong", b""] if words[0] == "HELLO" else b"PONG"
    while (value := stuck.connection.read_value()) != after:
        assert isinstance(value, list) and not isinstance(value, Push) and value[0] in (b"message", b"lagged"), value


def test_after_hello_3_a_notice_of_before_is_an_array(daemon):
    stuck = daemon.connect(timeout=30, receive_buffer=4096)
    stuck.ok("OUTBOX", "SET", "POLICY", "drop-newest", "MESSAGES", 5, "NOTIFY", "yes")
    stuck.subscribe("a")
    publisher = daemon.connect(timeout=30)
    for _ in range(100):
        assert publisher.call("PUBLISH", "a", BIG) == 1
    stuck.command("UNSUBSCRIBE", "a")
    stuck.command("HELLO", 3)
    kinds = []
    while not isinstance(value := stuck.read_value(), dict):
        assert not isinstance(value, Push), kinds
        kinds.append(value[0])
    assert b"lagged" in kinds and b"unsubscribe" in kinds


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
def test_no_message_comes_before_the_reply_of_the_exec_that_subscribed(start_fanfared, version):
    daemon = start_fanfared("--appendonly", "yes", "--appendfsync", "always")
    publisher = daemon.connect(timeout=30)
    for turn in range(30):
        client = daemon.client(version)
        publisher.send(encode("PUBLISH", "c", "m") * 200)
        client.send(encode("MULTI") + encode("SET", "k", turn) + encode("SUBSCRIBE", "c") + encode("EXEC"))
        publisher.send(encode("PUBLISH", "c", "m") * 300)
        assert [client.read_value() for _ in range(3)] == [b"OK", b"QUEUED", b"QUEUED"]
        assert client.read_value() == [b"OK", [b"subscribe", b"c", 1]], f"turn {turn}"
        for _ in range(500):
            publisher.read_value()
        # What came after EXEC came after its reply, and none of it is missing before the next command's.
        client.command("UNSUBSCRIBE", "c")
        while (value := client.read_value())[0] == b"message":
            assert value == [b"message", b"c", b"m"]
        assert value == [b"unsubscribe", b"c", 0]
        client.close()


def test_a_message_that_the_exec_itself_publishes_comes_behind_its_reply(start_fanfared):
    daemon = start_fanfared("--appendonly", "yes", "--appendfsync", "always")
    client = daemon.client(3)
    client.subscribe("own")
    for turn in range(20):
        client.send(encode("MULTI") + encode("SET", "k", turn) + encode("PUBLISH", "own", turn) + encode("EXEC"))
        assert [client.read_value() for _ in range(3)] == [b"OK", b"QUEUED", b"QUEUED"]
        assert client.read_value() == [b"OK", 1]
        assert client.read_value() == Push([b"message", b"own", b"%d" % turn])


# Idle clients


def test_timeout_closes_idle_clients_but_no_monitor_and_no_subscriber(start_fanfared):
    daemon = start_fanfared()
    admin = daemon.client()
    monitor, subscriber, blocked, idle = [daemon.client() for _ in range(4)]
    monitor.ok("MONITOR")
    subscriber.subscribe("a")
    blocked.command("BLPOP", "k", 0)
    admin.ok("CONFIG", "SET", "timeout", 1)
    # Commands would be shown to the monitor, which is no rest; these are not.
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        admin.call("CONFIG", "GET", "timeout")
        time.sleep(0.2)
    assert idle.is_closed()
    assert not monitor.is_closed(within=0.1), "the monitor"
    assert not subscriber.is_closed(within=0.1), "the subscriber"
    assert not blocked.is_closed(within=0.1), "the client that waits for a key"
