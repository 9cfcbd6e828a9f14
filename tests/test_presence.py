"""Presence: members of channels, their delays and leases, and the events that tell of them."""

import json
import time

import pytest

from lib.pinger import Pinger
from lib.resp import Error, encode
from lib.wait import wait_until

MANY = 100000
OFF = Error(b"ERR presence is off for this channel")
FULL = Error(b"ERR max number of members reached")


def presence_of(daemon, *options, glob="room*", events="occupied,join"):
    """A client, after the options of these channels were set."""
    client = daemon.connect(timeout=60)
    client.ok("CHANNEL", "SET", glob, "presence", "members", "events", events, *options)
    return client


def listening(daemon, pattern="__*__:*"):
    listener = daemon.connect(timeout=60)
    listener.subscribe(pattern, kind="PSUBSCRIBE")
    return listener


def next_event(listener):
    """(channel, event) of the next event."""
    _, _, channel, message = listener.read_value()
    return channel.decode(), json.loads(message)


def member_event(event, member, info="", channel="room"):
    return f"__presence__:{channel}", {"event": event, "member": member, "info": info}


def occupancy(event, channel="room"):
    return f"__occupancy__:{channel}", {"event": event}


def list_members(client, channel, count=100):
    """{name: [info, connections]} of a whole listing, and how often a name came."""
    found, cursor, times = {}, b"0", 0
    while True:
        cursor, flat = client.call("PRESENCE", "MEMBERS", channel, "CURSOR", cursor, "COUNT", count)
        times += len(flat) // 3
        found.update({flat[at]: flat[at + 1:at + 3] for at in range(0, len(flat), 3)})
        if cursor == b"0":
            return found, times


def join_many(client, channel, start, end):
    names = [b"m%d" % n for n in range(start, end)]
    client.send(b"".join(encode("PRESENCE", "JOIN", channel, name) for name in names))
    for _ in names:
        assert client.read_value() == 1


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_member_with_two_connections_joins_once_and_leaves_once(start_fanfared, threads, version):
    daemon = start_fanfared("--io-threads", threads)
    presence_of(daemon, "leave-delay", "1", "vacate-delay", "1")
    listener, first, second = listening(daemon), daemon.client(version), daemon.client(version)
    assert first.call("PRESENCE", "JOIN", "room", "ann", "INFO", '{"name":"Ann"}') == 1
    assert second.call("PRESENCE", "JOIN", "room", "ann") == 0
    assert second.call("PRESENCE", "MEMBERS", "room") == [b"0", [b"ann", b'{"name":"Ann"}', 2]]
    assert next_event(listener) == occupancy("occupied")
    assert next_event(listener) == member_event("join", "ann", '{"name":"Ann"}')
    first.close()
    assert second.call("PRESENCE", "TOUCH", "room", "clock", "TTL", "2") == 1
    assert next_event(listener) == member_event("join", "clock")
    assert next_event(listener) == member_event("leave", "clock")
    second.abandon()
    assert next_event(listener) == member_event("leave", "ann", '{"name":"Ann"}')
    assert next_event(listener) == occupancy("vacated")


def test_a_member_that_returns_in_time_has_not_left(fanfared):
    client = presence_of(fanfared, "leave-delay", "2")
    listener = listening(fanfared, "__presence__:*")
    for _ in range(20):
        with fanfared.connect() as tab:
            tab.call("PRESENCE", "JOIN", "room", "ann")
    assert next_event(listener) == member_event("join", "ann")
    with fanfared.connect() as tab:
        assert tab.call("PRESENCE", "JOIN", "room", "ann") == 0
        client.call("PRESENCE", "TOUCH", "room", "clock", "TTL", "3")
        assert next_event(listener) == member_event("join", "clock")
        assert next_event(listener) == member_event("leave", "clock")
    assert next_event(listener) == member_event("leave", "ann")


@pytest.mark.parametrize("how", ["QUIT", "RESET", "LEAVE", "CLIENT KILL", "close", "ACL DELUSER"])
def test_whatever_ends_a_connection_ends_its_membership(fanfared, how):
    client = presence_of(fanfared, "leave-delay", "0", "vacate-delay", "0")
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "&*")
    listener, member = listening(fanfared, "__presence__:*"), fanfared.connect()
    member.ok("AUTH", "u", "x")
    member.call("PRESENCE", "JOIN", "room", "ann")
    assert next_event(listener) == member_event("join", "ann")
    if how == "LEAVE":
        assert member.call("PRESENCE", "LEAVE", "room", "ann") == 1
    elif how == "close":
        member.close()
    elif how == "CLIENT KILL":
        assert client.call("CLIENT", "KILL", "ID", member.call("CLIENT", "ID")) == 1
    elif how == "ACL DELUSER":
        assert client.call("ACL", "DELUSER", "u") == 1
    else:
        member.call(how)
    assert next_event(listener) == member_event("leave", "ann")
    wait_until(lambda: client.info("presence")["presence_bytes"] == "0", "nothing is left")


def test_a_client_that_loses_the_right_to_its_channel_is_closed(fanfared):
    client = presence_of(fanfared, "leave-delay", "0")
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "resetchannels", "&room:*")
    member = fanfared.connect()
    member.ok("AUTH", "u", "x")
    assert member.call("PRESENCE", "JOIN", "room:1", "ann") == 1
    assert member.call("PRESENCE", "JOIN", "hall", "ann").text.startswith(b"NOPERM ")
    client.ok("ACL", "SETUSER", "u", "resetchannels", "&room:2")
    assert member.is_closed()
    wait_until(lambda: client.call("PRESENCE", "COUNT", "room:1") == [b"room:1", 0], "the member has left")


def test_a_listing_has_every_member_that_stays(fanfared):
    client = presence_of(fanfared, "leave-delay", "0", events="none")
    staying, leaving = fanfared.connect(timeout=60), fanfared.connect(timeout=60)
    join_many(staying, "room", 0, 3000)
    join_many(leaving, "room", 3000, 12000)
    found, cursor, pages = set(), b"0", 0
    while pages == 0 or cursor != b"0":
        cursor, flat = client.call("PRESENCE", "MEMBERS", "room", "CURSOR", cursor, "COUNT", 100)
        found.update(flat[::3])
        pages += 1
        if pages == 10:
            leaving.close()
            wait_until(lambda: client.call("PRESENCE", "COUNT", "room") == [b"room", 3000], "most have left")
        if pages == 20:
            join_many(staying, "room", 20000, 29000)
    assert found >= {b"m%d" % n for n in range(3000)}
    members, times = list_members(client, "room", 1000)
    assert len(members) == times == 12000 == client.call("PRESENCE", "COUNT", "room")[1]


def test_a_page_is_bounded_in_bytes(fanfared):
    client = presence_of(fanfared)
    for n in range(200):
        client.call("PRESENCE", "JOIN", "room", "m%d" % n, "INFO", b"x" * 4096)
    cursor, flat = client.call("PRESENCE", "MEMBERS", "room", "COUNT", "1000")
    assert cursor != b"0" and 60 < len(flat) // 3 < 80
    assert len(list_members(client, "room")[0]) == 200


@pytest.mark.parametrize("threads", ["1", "4"])
def test_very_many_members_that_leave_in_the_same_second_stall_nobody(start_fanfared, threads):
    daemon = start_fanfared("--io-threads", threads)
    client = presence_of(daemon, "leave-delay", "1", "vacate-delay", "0")
    member, others = daemon.connect(timeout=60), [daemon.connect() for _ in range(200)]
    join_many(member, "room", 0, MANY - len(others))
    for n, other in enumerate(others):
        assert other.call("PRESENCE", "JOIN", "room", "other%d" % n) == 1
    assert client.call("PRESENCE", "COUNT", "room") == [b"room", MANY]
    assert client.call("PRESENCE", "JOIN", "room", "another") == FULL
    with Pinger(daemon) as pinger:
        for other in others:
            other.close()
        member.close()
        wait_until(lambda: client.call("PRESENCE", "COUNT", "room") == [b"room", 0], "all have left", 60)
    pinger.assert_no_stall()
    wait_until(lambda: client.info("presence")["presence_bytes"] == "0", "the events are published", 60)


def test_very_many_leases_that_end_in_the_same_second_stall_nobody(fanfared):
    client = presence_of(fanfared, "vacate-delay", "0", events="none")
    touches = b"".join(encode("PRESENCE", "TOUCH", "room", "m%d" % n, "TTL", 5) for n in range(MANY))
    client.send(touches)
    for _ in range(MANY):
        assert client.read_value() == 1
    with Pinger(fanfared) as pinger:
        wait_until(lambda: client.call("PRESENCE", "COUNT", "room") == [b"room", 0], "the leases have ended", 60)
    pinger.assert_no_stall()
    assert client.info("presence")["presence_bytes"] == "0"


def test_switching_presence_off_removes_very_many_members_and_stalls_nobody(fanfared):
    client = presence_of(fanfared, events="none")
    member = fanfared.connect(timeout=60)
    join_many(member, "room", 0, MANY)
    with Pinger(fanfared) as pinger:
        client.ok("CHANNEL", "UNSET", "room*", "presence")
        assert client.call("PRESENCE", "JOIN", "room", "ann") == OFF
        wait_until(lambda: client.info("presence")["presence_members"] == "0", "all were removed", 60)
    pinger.assert_no_stall()
    assert member.call("PRESENCE", "LEAVE", "room", "m1") == 0
    client.ok("CHANNEL", "SET", "room*", "presence", "members")
    assert member.call("PRESENCE", "JOIN", "room", "m1") == 1


def test_a_reset_with_very_many_members_stalls_nobody(fanfared):
    client = presence_of(fanfared, "leave-delay", "0", "vacate-delay", "0", events="none")
    member = fanfared.connect(timeout=60)
    join_many(member, "room", 0, MANY)
    with Pinger(fanfared) as pinger:
        assert member.call("RESET") == b"RESET"
    pinger.assert_no_stall()
    assert client.call("PRESENCE", "COUNT", "room") == [b"room", 0]


def test_events_come_at_a_bounded_rate_and_cancel_each_other(fanfared):
    client = presence_of(fanfared, "leave-delay", "0")
    listener, member = listening(fanfared, "__presence__:*"), fanfared.connect(timeout=60)

    def most(since):
        """How many events can have been published since then: 10000 at once, and as many in each further second."""
        return 10000 * (int(time.monotonic() - since) + 2)

    begun = time.monotonic()
    join_many(member, "room", 0, 30000)
    for number in range(30000):
        assert next_event(listener)[1]["event"] == "join"
        assert number < most(begun)
    assert time.monotonic() - begun >= 2
    begun = time.monotonic()
    join_many(member, "room", 30000, 60000)
    member.close()
    wait_until(lambda: client.call("PRESENCE", "COUNT", "room") == [b"room", 0], "all have left", 60)
    most_joined = most(begun)
    last, joined = {}, 0
    while len(last) < 30000 or "join" in last.values():
        event = next_event(listener)[1]
        number = int(event["member"][1:])
        assert last.get(number, "join" if number < 30000 else "leave") != event["event"]
        last[number] = event["event"]
        joined += event["event"] == "join"
    # Whoever left before the join was published has no event.
    assert joined == sum(number >= 30000 for number in last) <= most_joined
    assert all(number in last for number in range(30000))
    assert fanfared.connect().call("PUBLISH", "__presence__:end", '"no more"') == 1
    assert next_event(listener) == ("__presence__:end", "no more")


def test_bytes_of_any_value_are_kept_and_told(fanfared):
    client = presence_of(fanfared)
    listener = listening(fanfared, "__presence__:*")
    name, info = b'\0\xff"\\\r\n', "\u00e9\u2028\U0001F600\t\x7f".encode()
    assert client.call("PRESENCE", "JOIN", b"room\xff", name, "INFO", info) == 1
    assert client.call("PRESENCE", "MEMBERS", b"room\xff") == [b"0", [name, info, 1]]
    _, _, channel, message = listener.read_value()
    assert channel == b"__presence__:room\xff"
    assert json.loads(message) == {"event": "join", "member_base64": "AP8iXA0K", "info": info.decode()}


def test_events_are_kept_like_other_messages(fanfared):
    client = presence_of(fanfared, "leave-delay", "0", "vacate-delay", "0")
    client.ok("CHANNEL", "SET", "__presence__:*", "history-size", "10", "history-ttl", "60")
    client.call("PRESENCE", "JOIN", "room", "ann")
    wait_until(lambda: client.call("HISTORY", "LEN", "__presence__:room") == 1, "the join is kept")
    client.call("PRESENCE", "LEAVE", "room", "ann")
    wait_until(lambda: client.call("HISTORY", "LEN", "__presence__:room") == 2, "the leave is kept")
    kept = [json.loads(message) for _, message in client.call("HISTORY", "RANGE", "__presence__:room", "-", "+")]
    assert kept == [member_event("join", "ann")[1], member_event("leave", "ann")[1]]


@pytest.mark.parametrize("version", [2, 3])
def test_lists_look_alike_in_both_protocols(fanfared, version):
    presence_of(fanfared)
    client = fanfared.client(version)
    client.call("PRESENCE", "JOIN", "room:1", "ann")
    client.call("PRESENCE", "JOIN", "room:2", "ann")
    client.call("PRESENCE", "JOIN", "room:2", "ben")
    assert client.call("PRESENCE", "COUNT", "room:1", "x", "room:2") == [b"room:1", 1, b"x", 0, b"room:2", 2]
    assert client.call("PRESENCE", "CHANNELS") == [b"room:1", b"room:2"]
    assert client.call("PRESENCE", "CHANNELS", "*2") == [b"room:2"]
    assert list_members(client, "room:2")[0] == {b"ann": [b"", 1], b"ben": [b"", 1]}
    client.command("MULTI")
    client.read_value()
    for words in (("LEAVE", "room:1", "ann"), ("COUNT", "room:1"), ("MEMBERS", "room:1")):
        assert client.call("PRESENCE", *words) == b"QUEUED"
    assert client.call("EXEC") == [1, [b"room:1", 1], [b"0", [b"ann", b"", 0]]]


def test_the_bounds_are_directives(start_fanfared):
    daemon = start_fanfared("--presence-max-members", "2", "--presence-max-joins", "3", "--presence-maxmemory", "64kb")
    client, other = presence_of(daemon), daemon.connect()
    assert [client.call("PRESENCE", "JOIN", "room", name) for name in ("a", "b", "c", "a")] == [1, 1, FULL, 0]
    assert client.call("PRESENCE", "JOIN", "room2", "a") == 1
    assert client.call("PRESENCE", "JOIN", "room3", "a") == Error(
        b"ERR max number of members of this client reached (presence-max-joins 3)")
    client.ok("CONFIG", "SET", "presence-max-members", "3")
    assert other.call("PRESENCE", "JOIN", "room", "c") == 1
    errors = [other.call("PRESENCE", "TOUCH", "room:%d" % n, "m", "TTL", "60") for n in range(1000)]
    assert errors[0] == 1 and errors[-1] == Error(b"OOM command not allowed when used memory > 'presence-maxmemory'.")
    assert int(client.info("presence")["presence_bytes"]) <= 65536
    limits = client.info("limits")
    assert limits["limit_presence_max_members"] == "limit=3"
    assert limits["limit_presence_maxmemory"].startswith("limit=65536,used=6")


def test_hostile_arguments_do_no_harm(fanfared):
    client = presence_of(fanfared, glob="*")
    long = b"x" * (1 << 20)
    for words in (
        ("JOIN", long, "m"), ("JOIN", "room", long), ("JOIN", "room", ""), ("JOIN", "room", "m", "INFO", long),
        ("LEAVE", long, "m"), ("LEAVE", "room", long), ("TOUCH", "room", "m", "TTL", "99999999999999999999"),
        ("TOUCH", "room", "m", "TTL", "-0"), ("MEMBERS", long), ("MEMBERS", "room", "CURSOR", "18446744073709551616"),
        ("MEMBERS", "room", "COUNT", "18446744073709551615"), ("COUNT", long, ""), ("CHANNELS", b"*a" * 60000),
        ("NOSUCH",), ("JOIN",),
    ):
        reply = client.call("PRESENCE", *words)
        assert isinstance(reply, Error) or words[0] in ("LEAVE", "COUNT"), words
    assert client.call("PRESENCE", "MEMBERS", "room", "CURSOR", "18446744073709551615") == [b"0", []]
    assert client.call("PRESENCE", "JOIN", "", "m") == OFF  # as in Redis, no pattern with a star matches it
    assert client.call("PRESENCE", "CHANNELS") == []
    assert client.info("presence")["presence_bytes"] == "0"
