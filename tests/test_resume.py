"""RESUME and SUBSCRIBE, PRESUME and PSUBSCRIBE: a client that comes back gets every message, once, or is told that it cannot."""

import collections
import threading

import pytest
import redis

from lib.resp import Closed, Error, Push
from lib.wait import seconds, wait_until

BOTH_FORMS = pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])


@pytest.fixture
def daemon(start_fanfared):
    daemon = start_fanfared()
    keep(daemon, "k*")
    return daemon


def keep(daemon, glob, size=100000, ttl=600, **options):
    more = [word for name, value in options.items() for word in (name.replace("_", "-"), value)]
    daemon.connect().ok("CHANNEL", "SET", glob, "history-size", size, "history-ttl", ttl, "history-bytes", "64mb", *more)


def with_positions(daemon, version=2, **options):
    connection = daemon.connect(timeout=60, **options)
    if version == 3:
        connection.hello(3)
    connection.ok("OUTBOX", "SET", "POSITIONS", "yes")
    return connection


def read_message(connection):
    """The next message as (channel, position, payload)."""
    value = connection.read_value()
    assert value[0] == b"message", value
    position, _, payload = value[2].partition(b" ")
    return value[1], position, payload


def read_pattern_message(connection):
    """The next message of a pattern as (pattern, channel, position, payload)."""
    value = connection.read_value()
    assert value[0] == b"pmessage", value
    position, _, payload = value[3].partition(b" ")
    return value[1], value[2], position, payload


def read_payloads(connection, count):
    return [read_message(connection)[2] for _ in range(count)]


def publish(connection, channel, payloads):
    for payload in payloads:
        connection.command("PUBLISH", channel, payload)
    return [connection.read_value() for _ in payloads]


def numbers(start, end):
    return [b"%d" % number for number in range(start, end)]


def current_position(connection):
    return connection.call("HISTORY", "POSITION")


@BOTH_FORMS
def test_a_client_that_was_away_gets_what_it_missed_and_then_live_messages(daemon, version):
    publisher = daemon.connect()
    first = with_positions(daemon, version)
    first.subscribe("k")
    publish(publisher, "k", numbers(0, 50))
    for number in range(30):
        _, position, payload = read_message(first)
        assert payload == b"%d" % number
    first.close()
    publish(publisher, "k", numbers(50, 100))
    second = with_positions(daemon, version)
    assert second.call("RESUME", "k", position) == [[b"k", b"resumed", position, 70]]
    second.command("SUBSCRIBE", "k")
    confirmation = second.read_value()
    assert confirmation == [b"subscribe", b"k", 1]
    assert isinstance(confirmation, Push) == (version == 3)
    assert read_payloads(second, 70) == numbers(30, 100)
    assert publish(publisher, "k", [b"live"]) == [1]
    assert read_payloads(second, 1) == [b"live"]


def test_resume_and_subscribe_may_be_pipelined_before_anything_is_read(daemon):
    publisher = daemon.connect()
    position = current_position(publisher)
    publish(publisher, "k1", [b"a"])
    publish(publisher, "k2", [b"b"])
    publish(publisher, "k1", [b"c"])
    client = with_positions(daemon)
    client.command("RESUME", "k1", position, "k2", position, "k3", "$")
    client.command("SUBSCRIBE", "k1", "k2", "k3")
    reply = client.read_value()
    assert [row[:2] for row in reply] == [[b"k1", b"resumed"], [b"k2", b"resumed"], [b"k3", b"new"]]
    # All confirmations, then the messages of all channels in their order.
    assert [client.read_value() for _ in range(3)] == [
        [b"subscribe", b"k1", 1], [b"subscribe", b"k2", 2], [b"subscribe", b"k3", 3]]
    assert [read_message(client)[::2] for _ in range(3)] == [(b"k1", b"a"), (b"k2", b"b"), (b"k1", b"c")]


@BOTH_FORMS
def test_a_subscribed_client_may_resume_more_channels(daemon, version):
    publisher = daemon.connect()
    publish(publisher, "k1", [b"old"])
    client = with_positions(daemon, version)
    client.subscribe("k0")
    rows = client.call("RESUME", "k0", "0", "k1", "0")
    assert [(name, verdict, count) for name, verdict, _, count in rows] == [
        (b"k0", b"subscribed", 0), (b"k1", b"new", 1)]
    client.command("SUBSCRIBE", "k1")
    assert client.read_value() == [b"subscribe", b"k1", 2]
    assert read_message(client)[::2] == (b"k1", b"old")


def test_each_verdict_says_where_the_client_stands(daemon):
    publisher = daemon.connect()
    keep(daemon, "ksmall", size=3)
    start = current_position(publisher)
    epoch, _, seq = start.partition(b"-")
    publish(publisher, "ksmall", numbers(0, 5))
    client = daemon.connect()
    client.subscribe("ksubscribed")
    top = current_position(publisher)
    # Messages 3, 4 and 5 are kept.
    everything = b"%s-%d" % (epoch, int(seq) + 2)
    last = b"%s-%d" % (epoch, int(seq) + 4)
    assert client.call("RESUME", "ksmall", start) == [[b"ksmall", b"lost", everything, 3]]
    assert client.call("RESUME", "ksmall", everything) == [[b"ksmall", b"resumed", everything, 3]]
    assert client.call("RESUME", "ksmall", "0") == [[b"ksmall", b"new", everything, 3]]
    assert client.call("RESUME", "ksmall", "-1") == [[b"ksmall", b"new", last, 1]]
    assert client.call("RESUME", "ksmall", "-99") == [[b"ksmall", b"new", everything, 3]]
    assert client.call("RESUME", "ksmall", "$") == [[b"ksmall", b"new", top, 0]]
    assert client.call("RESUME", "ksmall", b"7-1") == [[b"ksmall", b"lost", everything, 3]]
    future = b"%s-%d" % (epoch, int(seq) + 6)
    assert client.call("RESUME", "ksmall", future) == [[b"ksmall", b"lost", everything, 3]]
    assert client.call("RESUME", "ksubscribed", start) == [[b"ksubscribed", b"subscribed", top, 0]]
    assert client.call("RESUME", "other", start) == [[b"other", b"none", b"0-0", 0]]
    assert client.call("RESUME", "kunheard", "0") == [[b"kunheard", b"new", top, 0]]
    fields = publisher.info("history")
    assert [int(fields[f"resumes_{name}"]) for name in ("resumed", "lost", "new", "subscribed", "none")] == [1, 3, 5, 1, 1]


def test_a_channel_that_is_lost_before_subscribe_is_an_error_and_nothing_is_done(daemon):
    keep(daemon, "ksmall", size=3)
    publisher = daemon.connect()
    client = with_positions(daemon)
    publish(publisher, "ksmall", numbers(0, 3))
    [[_, _, position, _]] = client.call("RESUME", "ksmall", "0")
    client.call("RESUME", "k", "0")
    publish(publisher, "ksmall", numbers(3, 4))
    reply = client.call("SUBSCRIBE", "k", "ksmall")
    assert reply == Error(b"LOST channel 'ksmall' has no messages since " + position + b" any more")
    assert client.call("PUBSUB", "NUMSUB", "k", "ksmall") == [b"k", 0, b"ksmall", 0]
    # The other channel is still armed.
    publish(publisher, "k", [b"x"])
    client.command("SUBSCRIBE", "k")
    assert client.read_value() == [b"subscribe", b"k", 1]
    assert read_payloads(client, 1) == [b"x"]


@pytest.mark.parametrize("disarm", [("UNSUBSCRIBE", "k"), ("UNSUBSCRIBE",), ("RESET",)], ids=" ".join)
def test_unsubscribe_and_reset_disarm(daemon, disarm):
    publisher = daemon.connect()
    publish(publisher, "k", [b"old"])
    client = daemon.connect()
    client.call("RESUME", "k", "0")
    assert int(publisher.info("history")["armed_channels"]) == 1
    client.call(*disarm)
    assert int(publisher.info("history")["armed_channels"]) == 0
    client.subscribe("k")
    publish(publisher, "k", [b"new"])
    assert client.read_value() == [b"message", b"k", b"new"]


def test_errors_of_resume_change_nothing(start_fanfared):
    daemon = start_fanfared("--resume-max-channels", 3)
    keep(daemon, "k*")
    client = daemon.connect()
    for position in ("", "x", "1", "1-", "-", "-0", "--1", "1-2-3", "+", "99999999999999999999-1"):
        assert client.call("RESUME", "k1", "0", "k2", position) == Error(
            b"ERR Invalid position '%s': must be EPOCH-SEQ, 0, $ or -N" % position.encode())
    wrong_number = Error(b"ERR wrong number of arguments for 'resume' command")
    assert client.call("RESUME") == wrong_number
    assert client.call("RESUME", "k1") == wrong_number
    assert client.call("RESUME", "k1", "0", "k2") == wrong_number
    assert client.call("RESUME", "k" * 5000, "0") == Error(b"ERR channel name too long (max-channel-length 4096)")
    too_many = Error(b"ERR max number of armed channels reached (resume-max-channels 3)")
    assert client.call("RESUME", "k1", "0", "k2", "0", "k3", "0", "k4", "0") == too_many
    assert int(client.info("history")["armed_channels"]) == 0
    assert len(client.call("RESUME", "k1", "0", "k2", "0", "k3", "0")) == 3
    assert client.call("RESUME", "k4", "0") == too_many
    assert len(client.call("RESUME", "k1", "$", "k3", "$")) == 2
    assert int(client.info("history")["armed_channels"]) == 3
    client.close()
    watcher = daemon.connect()
    wait_until(lambda: int(watcher.info("history")["armed_channels"]) == 0, "nothing is armed")


def test_resume_in_a_transaction_replays_behind_the_reply_of_exec(daemon):
    publisher = daemon.connect()
    publish(publisher, "k", numbers(0, 3))
    client = daemon.connect()
    client.ok("MULTI")
    for command in (("RESUME", "k", "0"), ("SUBSCRIBE", "k"), ("PUBLISH", "k", "3")):
        assert client.call(*command) == b"QUEUED"
    reply = client.call("EXEC")
    assert reply[0][0][1] == b"new" and reply[1] == [b"subscribe", b"k", 1] and reply[2] == 1
    assert [client.read_value()[2] for _ in range(4)] == numbers(0, 4)


def stalled(daemon, count, *options, version=2, size=1000, receive_buffer=4096):
    """A client that resumes count messages of `size` bytes and reads none of them: it has a cursor."""
    publisher = daemon.connect(timeout=60)
    publish(publisher, "k", [b"%d " % number + b"x" * size for number in range(count)])
    client = with_positions(daemon, version, receive_buffer=receive_buffer)
    if options:
        client.ok("OUTBOX", "SET", *options)
    client.call("RESUME", "k", "0")
    client.command("SUBSCRIBE", "k")
    assert client.read_value() == [b"subscribe", b"k", 1]
    wait_until(lambda: cursors(publisher) == 1 and int(behind(publisher)) < count, "it is replayed")
    return client, publisher


def cursors(watcher):
    return int(watcher.info("history")["history_cursors"])


def behind(watcher):
    return next((line["behind"] for line in watcher.outbox_list() if line["cursor"] != "0"), 0)


@BOTH_FORMS
def test_a_slow_reader_is_replayed_from_the_history_and_misses_nothing(daemon, version):
    client, publisher = stalled(daemon, 2000, "BYTES", 100000, version=version, size=5000, receive_buffer=65536)
    # Meanwhile messages go to the history only, but it counts as a receiver.
    assert publish(publisher, "k", [b"%d x" % number for number in range(2000, 2500)]) == [1] * 500
    line = next(line for line in publisher.outbox_list() if line["cursor"] == "1")
    assert int(line["outbox-bytes"]) <= 100000 and int(line["behind"]) > 500
    last = 0
    for number in range(2500):
        _, position, payload = read_message(client)
        assert payload.split()[0] == b"%d" % number
        seq = int(position.split(b"-")[1])
        assert seq > last
        last = seq
    wait_until(lambda: cursors(publisher) == 0, "the replay is over")
    publish(publisher, "k", [b"live"])
    assert read_payloads(client, 1) == [b"live"]
    assert int(publisher.info("history")["history_replayed"]) >= 2500


@pytest.mark.parametrize("chosen", ["by the client", "by the channel"])
@BOTH_FORMS
def test_under_catch_up_a_slow_subscriber_misses_nothing(daemon, version, chosen):
    publisher = daemon.connect(timeout=60)
    client = with_positions(daemon, version, receive_buffer=65536)
    client.ok("OUTBOX", "SET", "BYTES", 100000)
    if chosen == "by the client":
        client.ok("OUTBOX", "SET", "POLICY", "catch-up")
    else:
        publisher.ok("CHANNEL", "SET", "k*", "outbox-policy", "catch-up")
    client.subscribe("k", "k2")
    count = 8000
    for number in range(count):
        publisher.command("PUBLISH", "k2" if number % 3 == 0 else "k", b"%d " % number + b"x" * 1000)
    assert [publisher.read_value() for _ in range(count)] == [1] * count
    assert cursors(publisher) == 1
    for number in range(count):
        assert read_message(client)[2].split()[0] == b"%d" % number
    wait_until(lambda: cursors(publisher) == 0, "it has caught up")
    publish(publisher, "k", [b"live"])
    assert read_payloads(client, 1) == [b"live"]


def test_catch_up_needs_a_history(daemon):
    publisher = daemon.connect()
    client = daemon.connect(receive_buffer=4096)
    client.ok("OUTBOX", "SET", "BYTES", 1000, "POLICY", "catch-up")
    client.subscribe("other")
    publish(publisher, "other", [b"x" * 2000])
    assert client.is_closed()
    daemon.wait_for_log("outbox exceeded its limits")


@pytest.mark.parametrize("end", ["UNSUBSCRIBE", "RESET"])
def test_a_command_ends_a_replay(daemon, end):
    client, publisher = stalled(daemon, 20000, "BYTES", 100000)
    client.command(end)
    wait_until(lambda: cursors(publisher) == 0, "the replay is over")
    count = 0
    while (value := client.read_value())[0] == b"message":
        count += 1
    assert value == ([b"unsubscribe", b"k", 0] if end == "UNSUBSCRIBE" else b"RESET")
    assert count < 20000
    assert publish(publisher, "k", [b"gone"]) == [0]
    client.subscribe("k")
    publish(publisher, "k", [b"again"])
    assert client.read_value()[2].endswith(b"again")


def test_a_disconnect_ends_a_replay(daemon):
    client, publisher = stalled(daemon, 20000, "BYTES", 100000)
    client.close()
    wait_until(lambda: cursors(publisher) == 0, "the replay is over")
    wait_until(lambda: publish(publisher, "k", [b"x"]) == [0], "nobody hears it")


def test_client_kill_ends_a_replay(daemon):
    client, publisher = stalled(daemon, 20000, "BYTES", 100000)
    ident = next(line["id"] for line in publisher.outbox_list() if line["cursor"] == "1")
    assert publisher.call("CLIENT", "KILL", "ID", ident) == 1
    wait_until(lambda: cursors(publisher) == 0, "the replay is over")
    client.read_to_end()


def test_rights_that_are_taken_away_end_a_replay(daemon):
    admin = daemon.connect()
    admin.ok("ACL", "SETUSER", "reader", "on", "nopass", "+@all", "~*", "resetchannels", "&k", "&k2")
    publish(admin, "k", [b"x" * 1000] * 20000)
    client = daemon.connect(timeout=60, receive_buffer=4096)
    client.ok("AUTH", "reader", "")
    denied = Error(b"NOPERM this user has no permissions to access one of the channels used as arguments")
    assert client.call("RESUME", "k", "0", "kother", "0") == denied
    client.ok("OUTBOX", "SET", "BYTES", 100000)
    client.call("RESUME", "k", "0", "k2", "0")
    client.command("SUBSCRIBE", "k")
    wait_until(lambda: cursors(admin) == 1, "it is replayed")
    admin.ok("ACL", "SETUSER", "reader", "resetchannels", "&k2")
    client.read_to_end()
    wait_until(lambda: cursors(admin) == 0, "the replay is over")


def test_rights_are_checked_when_an_armed_channel_is_subscribed(daemon):
    admin = daemon.connect()
    admin.ok("ACL", "SETUSER", "reader", "on", "nopass", "+@all", "~*", "resetchannels", "&k")
    client = daemon.connect()
    client.ok("AUTH", "reader", "")
    client.call("RESUME", "k", "0")
    admin.ok("ACL", "SETUSER", "reader", "resetchannels")
    assert client.call("SUBSCRIBE", "k") == Error(
        b"NOPERM this user has no permissions to access one of the channels used as arguments")


def test_a_reader_that_is_overtaken_gets_a_mark_of_the_right_size(daemon):
    keep(daemon, "k", size=2000)
    client, publisher = stalled(daemon, 2000, "BYTES", 100000, "NOTIFY", "yes", size=5000, receive_buffer=65536)
    publish(publisher, "k", [b"%d x" % number for number in range(2000, 4500)])
    expected, missed = 0, 0
    while expected < 4500:
        value = client.read_value()
        if value[0] == b"lagged":
            missed += value[1]
            expected += value[1]
            continue
        assert value[2].split()[1] == b"%d" % expected
        expected += 1
    assert missed > 0
    assert int(publisher.info("history")["history_overtaken"]) == missed


def test_a_reader_that_is_overtaken_without_notify_is_closed(daemon):
    keep(daemon, "k", size=2000)
    client, publisher = stalled(daemon, 2000, "BYTES", 100000, size=5000, receive_buffer=65536)
    publish(publisher, "k", [b"x"] * 4500)
    with pytest.raises(Closed):
        while True:
            client.read_value()
    daemon.wait_for_log("history dropped messages before they were replayed to it")
    assert cursors(publisher) == 0


@pytest.mark.parametrize("how", ["options", "delete"])
def test_the_end_of_a_history_ends_its_replays(daemon, how):
    client, publisher = stalled(daemon, 20000, "BYTES", 100000, "NOTIFY", "yes")
    if how == "options":
        publisher.ok("CHANNEL", "SET", "k*", "history-size", 0)
        wait_until(lambda: cursors(publisher) == 0, "the replay is over")
    else:
        assert publisher.call("HISTORY", "DEL", "k") == 20000
    assert publish(publisher, "k", [b"last"]) == [1]
    expected = 0
    while (value := client.read_value())[2 if len(value) == 3 else 1] and not value[-1] == b"last":
        if value[0] == b"lagged":
            expected += value[1]
        elif value[2].endswith(b"last"):
            break
        else:
            assert value[2].split()[1] == b"%d" % expected
            expected += 1
    assert expected == 20000
    assert cursors(publisher) == 0


def test_large_messages_have_their_positions(daemon):
    publisher = daemon.connect(timeout=60)
    client = with_positions(daemon)
    client.ok("OUTBOX", "SET", "BYTES", 0)
    client.subscribe("k", "other")
    for channel in (b"k", b"other"):
        payload = channel + b"x" * (3 << 20)
        assert publisher.call("PUBLISH", channel, payload) == 1
        name, position, received = read_message(client)
        assert (name, received == payload) == (channel, True)
        assert position == (current_position(publisher) if channel == b"k" else b"0-0")


@BOTH_FORMS
def test_a_thousand_clients_resume_at_once(daemon, version):
    publisher = daemon.connect(timeout=60)
    position = current_position(publisher)
    publish(publisher, "k", numbers(0, 200))
    clients = [daemon.connect(timeout=60) for _ in range(1000)]
    for client in clients:
        if version == 3:
            client.command("HELLO", 3)
        client.command("RESUME", "k", position)
        client.command("SUBSCRIBE", "k")
    publish(publisher, "k", numbers(200, 300))
    for client in clients:
        if version == 3:
            client.read_value()
        assert client.read_value()[0][1] == b"resumed"
        assert client.read_value() == [b"subscribe", b"k", 1]
        assert [client.read_value()[2] for _ in range(300)] == numbers(0, 300)
    assert publish(publisher, "k", [b"live"]) == [1000]


def next_data(pubsub):
    message = wait_until(lambda: pubsub.get_message(timeout=0.1, ignore_subscribe_messages=True), "a message")
    return message["data"].partition(b" ")[::2]


def test_redis_py_resumes_after_its_connection_was_killed(daemon):
    publisher = redis.Redis(port=daemon.port, socket_timeout=seconds(10))
    positions = {}
    got = []
    stop = threading.Event()

    def publish_all():
        for number in range(2000):
            publisher.publish("k", number)
        stop.set()

    thread = threading.Thread(target=publish_all)
    client = redis.Redis(port=daemon.port, socket_timeout=seconds(10))

    def connect():
        pubsub = client.pubsub()
        pubsub.execute_command("OUTBOX", "SET", "POSITIONS", "yes")
        assert pubsub.parse_response() == b"OK"
        pubsub.execute_command("RESUME", "k", positions.get("k", "0"))
        assert pubsub.parse_response()[0][1] in (b"new", b"resumed")
        pubsub.subscribe("k")
        return pubsub

    thread.start()
    kills = 0
    pubsub = connect()
    while len(got) < 2000:
        position, payload = next_data(pubsub)
        positions["k"] = position
        got.append(int(payload))
        if len(got) % 300 == 0:
            pubsub.connection.disconnect()
            pubsub.close()
            pubsub = connect()
            kills += 1
    thread.join()
    assert stop.is_set() and kills > 3
    assert got == list(range(2000))
    pubsub.close()
    publisher.close()
    client.close()


# Patterns


@BOTH_FORMS
def test_a_pattern_goes_on_where_it_was(daemon, version):
    publisher = daemon.connect()
    first = with_positions(daemon, version)
    first.command("PSUBSCRIBE", "k*")
    first.read_value()
    for number in range(60):
        publish(publisher, f"k{number % 7}", [b"%d" % number])
    for number in range(20):
        _, channel, position, payload = read_pattern_message(first)
        assert (channel, payload) == (b"k%d" % (number % 7), b"%d" % number)
    first.close()
    for number in range(60, 100):
        publish(publisher, f"k{number % 9}", [b"%d" % number])
        publish(publisher, "other", [b"x"])
    second = with_positions(daemon, version)
    assert second.call("PRESUME", "k*", position) == [[b"k*", b"resumed", position, 80]]
    second.command("PSUBSCRIBE", "k*")
    confirmation = second.read_value()
    assert confirmation == [b"psubscribe", b"k*", 1]
    assert isinstance(confirmation, Push) == (version == 3)
    for number in range(20, 100):
        pattern, channel, _, payload = read_pattern_message(second)
        assert (pattern, payload) == (b"k*", b"%d" % number)
        assert channel == b"k%d" % (number % (7 if number < 60 else 9))
    assert publish(publisher, "knew", [b"live"]) == [1]
    assert read_pattern_message(second)[1::2] == (b"knew", b"live")


def test_presume_and_psubscribe_may_be_pipelined_before_anything_is_read(daemon):
    publisher = daemon.connect()
    position = current_position(publisher)
    for channel, payload in ((b"k1", b"a"), (b"k2", b"b"), (b"k1", b"c"), (b"k3", b"d")):
        publish(publisher, channel, [payload])
    client = with_positions(daemon)
    client.command("PRESUME", "k1*", position, "*2", position, "x*", "$")
    client.command("RESUME", "k3", position)
    client.command("PSUBSCRIBE", "k1*", "*2", "x*")
    client.command("SUBSCRIBE", "k3")
    reply = client.read_value()
    assert [row[:2] + row[3:] for row in reply] == [
        [b"k1*", b"resumed", 2], [b"*2", b"resumed", 1], [b"x*", b"new", 0]]
    assert client.read_value() == [[b"k3", b"resumed", position, 1]]
    got, confirmed = [], 0
    while len(got) < 4 or confirmed < 4:
        value = client.read_value()
        if value[0] in (b"psubscribe", b"subscribe"):
            confirmed += 1
        else:
            # Nothing of PSUBSCRIBE is replayed before its last confirmation.
            assert confirmed >= 3
            got.append(value[-1].split(b" ")[1])
    assert got == [b"a", b"b", b"c", b"d"]


def test_each_verdict_of_presume_says_where_the_client_stands(daemon):
    publisher = daemon.connect()
    keep(daemon, "ksmall*", size=3)
    start = current_position(publisher)
    epoch, _, seq = start.partition(b"-")
    publish(publisher, "ksmall1", numbers(0, 5))
    publish(publisher, "ksmall2", [b"x"])
    client = daemon.connect()
    client.command("PSUBSCRIBE", "ksubscribed*")
    client.read_value()
    top = current_position(publisher)

    def at(number):
        return b"%s-%d" % (epoch, int(seq) + number)

    # Of ksmall1, messages 3, 4 and 5 are kept.
    assert client.call("PRESUME", "ksmall*", start) == [[b"ksmall*", b"lost", top, 0]]
    assert client.call("PRESUME", "ksmall*", at(1)) == [[b"ksmall*", b"lost", top, 0]]
    assert client.call("PRESUME", "ksmall*", at(2)) == [[b"ksmall*", b"resumed", at(2), 4]]
    assert client.call("PRESUME", "ksmall2*", start) == [[b"ksmall2*", b"resumed", start, 1]]
    assert client.call("PRESUME", "ksmall*", "0") == [[b"ksmall*", b"new", epoch + b"-0", 4]]
    assert client.call("PRESUME", "ksmall*", "-2") == [[b"ksmall*", b"new", at(4), 2]]
    assert client.call("PRESUME", "ksmall*", "-99") == [[b"ksmall*", b"new", epoch + b"-0", 4]]
    assert client.call("PRESUME", "ksmall*", "$") == [[b"ksmall*", b"new", top, 0]]
    assert client.call("PRESUME", "ksmall*", b"7-1") == [[b"ksmall*", b"lost", top, 0]]
    assert client.call("PRESUME", "ksmall*", at(7)) == [[b"ksmall*", b"lost", top, 0]]
    assert client.call("PRESUME", "ksubscribed*", start) == [[b"ksubscribed*", b"subscribed", top, 0]]
    # A pattern of channels that keep nothing misses nothing that it could have got.
    assert client.call("PRESUME", "other*", start) == [[b"other*", b"resumed", start, 0]]
    fields = publisher.info("history")
    assert [int(fields[f"resumes_{name}"]) for name in ("resumed", "lost", "new", "subscribed", "none")] == [3, 4, 4, 1, 0]
    publisher.ok("CHANNEL", "UNSET", "k*")
    publisher.ok("CHANNEL", "UNSET", "ksmall*")
    wait_until(lambda: client.call("PRESUME", "k*", "0") == [[b"k*", b"none", b"0-0", 0]], "nothing is kept")


@pytest.mark.parametrize("since, expected", [("0", 10), ("-3", 3), ("$", 0)])
@BOTH_FORMS
def test_a_new_pattern_begins_where_it_says(daemon, version, since, expected):
    publisher = daemon.connect()
    for number in range(10):
        publish(publisher, f"k{number % 3}", [b"%d" % number])
    client = with_positions(daemon, version)
    assert client.call("PRESUME", "k*", since)[0][1::2] == [b"new", expected]
    publish(publisher, "k1", [b"10"])
    client.command("PSUBSCRIBE", "k*")
    assert client.read_value() == [b"psubscribe", b"k*", 1]
    publish(publisher, "k2", [b"11"])
    assert [read_pattern_message(client)[3] for _ in range(expected + 2)] == numbers(10 - expected, 12)


def test_messages_of_matching_channels_without_history_come_live(daemon):
    publisher = daemon.connect()
    position = current_position(publisher)
    publish(publisher, "k1", [b"kept"])
    publish(publisher, "other", [b"gone"])
    client = with_positions(daemon)
    client.call("PRESUME", "*", position)
    client.command("PSUBSCRIBE", "*")
    client.read_value()
    publish(publisher, "other", [b"live"])
    got = {read_pattern_message(client)[1:] for _ in range(2)}
    assert got == {(b"k1", current_position(publisher), b"kept"), (b"other", b"0-0", b"live")}


def test_a_pattern_that_is_lost_before_psubscribe_is_an_error_and_nothing_is_done(daemon):
    keep(daemon, "ksmall", size=3)
    publisher = daemon.connect()
    client = with_positions(daemon)
    publish(publisher, "ksmall", numbers(0, 3))
    position = current_position(publisher)
    client.call("PRESUME", "ksm*", position, "k[0-9]", position)
    publish(publisher, "ksmall", numbers(3, 7))
    assert client.call("PSUBSCRIBE", "k[0-9]", "ksm*") == Error(
        b"LOST pattern 'ksm*' has no messages since " + position + b" any more")
    assert client.call("PUBSUB", "NUMPAT") == 0
    # The other pattern is still armed.
    publish(publisher, "k1", [b"x"])
    client.command("PSUBSCRIBE", "k[0-9]")
    assert client.read_value() == [b"psubscribe", b"k[0-9]", 1]
    assert read_pattern_message(client)[3] == b"x"


@pytest.mark.parametrize("disarm", [("PUNSUBSCRIBE", "k*"), ("PUNSUBSCRIBE",), ("RESET",)], ids=" ".join)
def test_punsubscribe_and_reset_disarm(daemon, disarm):
    publisher = daemon.connect()
    publish(publisher, "k", [b"old"])
    client = daemon.connect()
    client.call("PRESUME", "k*", "0")
    assert int(publisher.info("history")["armed_channels"]) == 1
    client.call(*disarm)
    assert int(publisher.info("history")["armed_channels"]) == 0
    client.command("PSUBSCRIBE", "k*")
    client.read_value()
    publish(publisher, "k", [b"new"])
    assert client.read_value() == [b"pmessage", b"k*", b"k", b"new"]


def test_errors_of_presume_change_nothing(start_fanfared):
    daemon = start_fanfared("--resume-max-channels", 3)
    keep(daemon, "k*")
    client = daemon.connect()
    for position in ("", "x", "1", "1-", "-", "-0", "--1", "1-2-3", "+", "99999999999999999999-1"):
        assert client.call("PRESUME", "k1*", "0", "k2*", position) == Error(
            b"ERR Invalid position '%s': must be EPOCH-SEQ, 0, $ or -N" % position.encode())
    wrong_number = Error(b"ERR wrong number of arguments for 'presume' command")
    assert client.call("PRESUME") == wrong_number
    assert client.call("PRESUME", "k*") == wrong_number
    assert client.call("PRESUME", "k*", "0", "k2*") == wrong_number
    assert client.call("PRESUME", "k" * 5000, "0") == Error(b"ERR channel name too long (max-channel-length 4096)")
    too_many = Error(b"ERR max number of armed channels reached (resume-max-channels 3)")
    assert client.call("PRESUME", "1*", "0", "2*", "0", "3*", "0", "4*", "0") == too_many
    assert int(client.info("history")["armed_channels"]) == 0
    # Channels and patterns count together.
    client.call("RESUME", "k1", "0", "k2", "0")
    assert client.call("PRESUME", "1*", "0", "2*", "0") == too_many
    assert len(client.call("PRESUME", "1*", "0")) == 1
    assert int(client.info("history")["armed_channels"]) == 3


def test_presume_in_a_transaction_replays_behind_the_reply_of_exec(daemon):
    publisher = daemon.connect()
    publish(publisher, "k", numbers(0, 3))
    client = daemon.connect()
    client.ok("MULTI")
    for command in (("PRESUME", "k*", "0"), ("PSUBSCRIBE", "k*"), ("PUBLISH", "k2", "3")):
        assert client.call(*command) == b"QUEUED"
    reply = client.call("EXEC")
    assert reply[0][0][1] == b"new" and reply[1] == [b"psubscribe", b"k*", 1] and reply[2] == 1
    assert [client.read_value()[3] for _ in range(4)] == numbers(0, 4)


def publish_channels(connection, count, payload=b"x"):
    """One message in each of so many channels."""
    for start in range(0, count, 10000):
        numbers_now = range(start, min(count, start + 10000))
        for number in numbers_now:
            connection.command("PUBLISH", b"k%d" % number, payload)
        for _ in numbers_now:
            connection.read_value()


def test_too_many_channels_are_lost(daemon):
    publisher, client = daemon.connect(timeout=60), with_positions(daemon)
    position = current_position(publisher)
    publish_channels(publisher, 8192)
    assert client.call("PRESUME", "k*", position) == [[b"k*", b"resumed", position, 8192]]
    publish(publisher, "kmore", [b"x"])
    top = current_position(publisher)
    assert client.call("PSUBSCRIBE", "k*") == Error(
        b"LOST pattern 'k*' has too many channels with messages since " + position +
        b" (more than 8192 with those of other patterns)")
    assert client.call("PRESUME", "k*", position, "k1*", position)[0] == [b"k*", b"lost", top, 0]
    client.command("PSUBSCRIBE", "k1*")
    assert client.read_value() == [b"psubscribe", b"k1*", 1]
    expected = [name for name in (b"k%d" % number for number in range(8192)) if name.startswith(b"k1")]
    assert [read_pattern_message(client)[1] for _ in expected] == expected


def test_clients_are_killed_while_their_psubscribe_is_in_slices(daemon):
    admin = daemon.connect(timeout=60)
    publish_channels(admin, 1)
    clients = [daemon.connect(timeout=60) for _ in range(9)]
    idents = [client.call("CLIENT", "ID") for client in clients]
    for client in clients:
        client.call("PRESUME", "k*0", "$", "k5*", "$")
    publish_channels(admin, 50000)
    for client in clients:
        client.command("PSUBSCRIBE", "k*0", "k5*", "other")
    for number, client in enumerate(clients):
        if number % 3 == 0:
            client.close()
        elif number % 3 == 1:
            assert admin.call("CLIENT", "KILL", "ID", idents[number]) == 1
    for client in clients[2::3]:
        assert [client.read_value() for _ in range(3)] == [
            [b"psubscribe", b"k*0", 1], [b"psubscribe", b"k5*", 2], [b"psubscribe", b"other", 3]]
        # k0 was published to once more.
        counts = collections.Counter(client.read_value()[1] for _ in range(5000 + 1111))
        assert counts == {b"k*0": 5000, b"k5*": 1111}
    wait_until(lambda: cursors(admin) == 0, "the replays are over")


@BOTH_FORMS
def test_rights_that_are_taken_away_end_a_pattern(daemon, version):
    admin = daemon.connect()
    admin.ok("ACL", "SETUSER", "reader", "on", "nopass", "+@all", "~*", "resetchannels", "&k*")
    denied = Error(b"NOPERM this user has no permissions to access one of the channels used as arguments")
    client = daemon.connect()
    if version == 3:
        client.hello(3)
    client.ok("AUTH", "reader", "")
    # As for PSUBSCRIBE, the pattern itself must be among the user's.
    assert client.call("PRESUME", "k*", "0", "k1*", "0") == denied
    assert int(admin.info("history")["armed_channels"]) == 0
    client.call("PRESUME", "k*", "0")
    client.command("PSUBSCRIBE", "k*")
    assert client.read_value() == [b"psubscribe", b"k*", 1]
    admin.ok("ACL", "SETUSER", "reader", "resetchannels")
    client.read_to_end()


def test_redis_py_resumes_a_pattern_after_its_connection_was_killed(daemon):
    publisher = redis.Redis(port=daemon.port, socket_timeout=seconds(10))
    client = redis.Redis(port=daemon.port, socket_timeout=seconds(10))
    position = b"0"
    got = []
    thread = threading.Thread(target=lambda: [publisher.publish(f"k{number % 5}", number) for number in range(1000)])

    def connect():
        pubsub = client.pubsub()
        pubsub.execute_command("OUTBOX", "SET", "POSITIONS", "yes")
        assert pubsub.parse_response() == b"OK"
        pubsub.execute_command("PRESUME", "k*", position)
        assert pubsub.parse_response()[0][1] in (b"new", b"resumed")
        pubsub.psubscribe("k*")
        return pubsub

    thread.start()
    pubsub = connect()
    while len(got) < 1000:
        position, payload = next_data(pubsub)
        got.append(int(payload))
        if len(got) % 150 == 0:
            pubsub.connection.disconnect()
            pubsub.close()
            pubsub = connect()
    thread.join()
    assert got == list(range(1000))
    pubsub.close()
    publisher.close()
    client.close()
