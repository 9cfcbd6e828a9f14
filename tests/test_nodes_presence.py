"""Presence of several nodes of an engine: a member is one member wherever its connections are, and its events are those of all
nodes, in one order."""

import contextlib
import json
import os
import random
import signal

import pytest

from lib.lineage import lineages_of
from lib.nodes import Nodes, Proxy, link, url, wait_for_state
from lib.nodes_edge import EdgeSocket
from lib.resp import Error, encode
from lib.tokens import SECRET, make_token
from lib.wait import wait_until

# A lease is three times upstream-probe: a node that was killed has no members any more after about 4 s.
OPTIONS = ("--upstream-mode", "engine", "--upstream-probe", 1)
ROOM = ("--channel", "room*", "presence", "members", "events", "occupied,join", "leave-delay", 1, "vacate-delay", 1)
DOWN = Error(b"CLUSTERDOWN The link to the upstream is down")
MANY = 10000


class PresenceNodes(Nodes):
    def node(self, *options, room=ROOM, **more):
        return self.leaf(*OPTIONS, *room, *options, **more)

    def edge(self, *options):
        return self.browsed(*OPTIONS, *ROOM, "--token-hmac-secret", SECRET, *options)


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def nodes(start_fanfared, redis):
    return PresenceNodes(start_fanfared, redis)


class Watcher:
    """Reads all events at a node. events: (channel, event) of rooms, and (channel, event, member) of members."""

    def __init__(self, node):
        self.node = node
        self.events = []
        self.client = node.client()
        self.client.subscribe("__presence__:*", "__occupancy__:*", kind="PSUBSCRIBE")
        self.ends = 0

    def read(self):
        _, _, channel, payload = self.client.read_value()
        kind, channel = channel.decode().split("__:", 1)
        event = json.loads(payload)
        self.events.append((channel, event["event"], event["member"]) if kind == "__presence" else (channel, event["event"]))

    def read_until(self, *event):
        while not self.events or self.events[-1] != event:
            self.read()

    def drain(self):
        """Reads what the engine has published up to now, and returns all events so far."""
        self.ends += 1
        name = f"end {id(self)} {self.ends}"
        with self.node.connect() as client:
            client.call("PUBLISH", "__presence__:end", json.dumps({"event": name, "member": ""}))
        while ("end", name, "") not in self.events:
            self.read()
        self.events = [event for event in self.events if event[0] != "end"]
        return list(self.events)


def members(node, channel="room", count=100):
    """{name: (info, connections)}"""
    found, cursor = {}, b"0"
    with node.connect() as client:
        while True:
            reply = client.call("PRESENCE", "MEMBERS", channel, "CURSOR", cursor, "COUNT", count)
            assert not isinstance(reply, Error), reply
            cursor, flat = reply
            found.update({flat[at].decode(): (flat[at + 1].decode(), flat[at + 2]) for at in range(0, len(flat), 3)})
            if cursor == b"0":
                return found


def members_or_error(node):
    """The names of up to 100 members; None while the link is down."""
    with node.connect() as client:
        reply = client.call("PRESENCE", "MEMBERS", "room")
    return None if isinstance(reply, Error) else sorted(name.decode() for name in reply[1][::3])


def names(node, channel="room"):
    return sorted(members(node, channel))


def count(node, channel="room"):
    with node.connect() as client:
        return client.call("PRESENCE", "COUNT", channel)[1]


def wait_for_names(node, *expected, within=20):
    wait_until(lambda: names(node) == sorted(expected), f"members {expected}", within)


def joined(node, *who, channel="room", info=""):
    """A connection that has joined the members."""
    client = node.client()
    for member in who:
        assert client.call("PRESENCE", "JOIN", channel, member, "INFO", info) in (0, 1)
    return client


# One member


def test_a_member_at_two_nodes_is_one_member(nodes):
    one, two, third = nodes.node(), nodes.node(), nodes.node()
    watchers = [Watcher(node) for node in (one, two, third)]
    here = joined(one, "ann", info="x")
    there = joined(two, "ann", info="x")
    for node in (one, two, third):
        wait_until(lambda node=node: members(node) == {"ann": ("x", 2)}, "the member at two nodes")
        assert count(node) == 1
        with node.connect() as client:
            assert client.call("PRESENCE", "CHANNELS") == [b"room"]
    here.close()
    wait_until(lambda: members(third) == {"ann": ("x", 1)}, "the member at one node")
    there.close()
    for watcher in watchers:
        watcher.read_until("room", "vacated")
        assert sorted(watcher.events) == sorted([("room", "occupied"), ("room", "join", "ann"), ("room", "leave", "ann"), ("room", "vacated")])
    assert members(one) == {} and count(two) == 0
    with third.connect() as client:
        assert client.call("PRESENCE", "CHANNELS") == []


def test_the_newest_info_is_shown(nodes):
    one, two = nodes.node(), nodes.node()
    joined(one, "ann", info="x")
    wait_until(lambda: members(two) == {"ann": ("x", 1)}, "the member")
    joined(two, "ann", info="y")
    wait_until(lambda: members(one) == {"ann": ("y", 2)}, "the new info")


def test_a_member_that_moves_has_no_events(nodes):
    one, two = nodes.node(), nodes.node()
    watcher = Watcher(two)
    client = joined(one, "ann")
    watcher.read_until("room", "occupied")
    before = watcher.drain()
    client.close()
    client = joined(two, "ann")
    wait_until(lambda: members(one) == {"ann": ("", 1)}, "the member at one node")
    with one.connect() as other:  # the delay at the first node is over
        wait_until(lambda: other.info("presence")["presence_members"] == "0", "no member at the first node")
    assert watcher.drain() == before
    client.close()
    watcher.read_until("room", "vacated")


def test_leases_are_those_of_all_nodes(nodes):
    one, two = nodes.node(), nodes.node()
    with one.connect() as client:
        assert client.call("PRESENCE", "TOUCH", "room", "ann", "TTL", 100) == 1
        wait_until(lambda: members(two) == {"ann": ("", 0)}, "the member without a connection")
        assert client.call("PRESENCE", "TOUCH", "room", "ann", "TTL", 0) == 0
    wait_for_names(two)


def test_channels_that_are_only_counted(nodes):
    counted = ("--channel", "room*", "presence", "count", "events", "occupied", "leave-delay", 0, "vacate-delay", 0)
    one, two = nodes.node(room=counted), nodes.node(room=counted)
    watcher = Watcher(two)
    client = joined(one, "ann", "ben")
    wait_until(lambda: count(two) == 2, "both members")
    with two.connect() as other:
        assert other.call("PRESENCE", "MEMBERS", "room") == Error(b"ERR the members of this channel are only counted")
    client.close()
    watcher.read_until("room", "vacated")
    assert watcher.events == [("room", "occupied"), ("room", "vacated")]


def test_occupancy_is_that_of_all_nodes(nodes):
    one, two = nodes.node(), nodes.node()
    watcher = Watcher(one)
    here, there = joined(one, "ann"), joined(two, "ben")
    wait_for_names(one, "ann", "ben")
    here.close()
    wait_for_names(two, "ben")
    with one.connect() as client:
        wait_until(lambda: client.info("presence")["presence_bytes"] == "0", "nothing at the first node")
    assert [event for event in watcher.drain() if len(event) == 2] == [("room", "occupied")]
    there.close()
    watcher.read_until("room", "vacated")


def test_events_are_kept_like_other_messages(nodes):
    keep = ("--channel", "__presence__:*", "history-size", 10, "history-ttl", 600)
    one, two = nodes.node(*keep), nodes.node(*keep)
    joined(one, "ann").close()
    watcher = Watcher(two)
    watcher.read_until("room", "vacated")
    with two.connect() as client:
        kept = [json.loads(payload) for _, payload in client.call("HISTORY", "RANGE", "__presence__:room", "-", "+")]
    assert [event["event"] for event in kept] == ["join", "leave"]


# Nodes that end


def test_members_of_a_killed_node_leave(nodes):
    one, two, third = nodes.node(), nodes.node(), nodes.node()
    watchers = [Watcher(node) for node in (one, two)]
    joined(one, "ann")
    joined(two, "ben")
    joined(third, "cid", "dan", "ben")
    joined(third, "eve", channel="room:2")
    wait_for_names(one, "ann", "ben", "cid", "dan")
    wait_until(lambda: count(one, "room:2") == 1, "the other channel")
    third.kill()
    for watcher in watchers:
        watcher.read_until("room:2", "vacated")
        assert {event for event in watcher.drain() if event[1] in ("leave", "vacated")} == {
            ("room", "leave", "cid"), ("room", "leave", "dan"), ("room:2", "leave", "eve"), ("room:2", "vacated")}
        assert len(watcher.events) == len(set(watcher.events))
    assert members(one) == {"ann": ("", 1), "ben": ("", 1)}
    assert count(two, "room:2") == 0


def test_a_node_that_stops_leaves_its_members_time_to_move(nodes):
    one, two = nodes.node(), nodes.node()
    watcher = Watcher(two)
    joined(one, "ann", "ben")
    watcher.read_until("room", "join", "ben")
    wait_for_names(two, "ann", "ben")
    before = watcher.drain()
    one.stop()
    client = joined(two, "ann")
    wait_for_names(two, "ann", within=30)
    assert watcher.drain() == [*before, ("room", "leave", "ben")]
    client.close()


@pytest.mark.parametrize("has_clients", [False, True])
def test_the_lease_of_a_node_that_stops_is_short(nodes, redis, has_clients):
    one = nodes.node("--upstream-probe", 100)
    with one.connect() as client:
        client.call("PRESENCE", "TOUCH", "room", "ann", "TTL", 1000)
    wait_for_names(one, "ann")
    stays = one.client() if has_clients else None
    with redis.connect() as client:
        def lease():
            seconds, us = client.call("TIME")
            return float(client.call("ZRANGE", "fanfare:nodes", 0, -1, "WITHSCORES")[1]) / 1000 - int(seconds) - int(us) / 1e6
        assert lease() > 200
        os.kill(one.pid, signal.SIGTERM)
        if stays:
            assert stays.is_closed()
        one.wait()
        assert lease() <= 10


def test_all_nodes_end_and_another_one_starts(nodes):
    one = nodes.node()
    joined(one, "ann")
    wait_for_names(one, "ann")
    one.kill()
    two = nodes.node()
    watcher = Watcher(two)
    wait_for_names(two)
    assert ("room", "leave", "ann") in watcher.drain()
    watcher.read_until("room", "vacated")


def test_a_node_that_stood_still_has_its_members_again(nodes):
    one, two = nodes.node(), nodes.node()
    watcher = Watcher(two)
    stays, leaves = joined(one, "ann"), joined(one, "ben")
    wait_for_names(two, "ann", "ben")
    os.kill(one.pid, signal.SIGSTOP)
    try:
        wait_for_names(two)
        leaves.close()
    finally:
        os.kill(one.pid, signal.SIGCONT)
    wait_for_names(two, "ann")
    wait_for_names(one, "ann")
    events = [event for event in watcher.drain() if event[-1] == "ann"]
    assert events == [("room", "join", "ann"), ("room", "leave", "ann"), ("room", "join", "ann")]
    stays.close()
    watcher.read_until("room", "vacated")


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def test_an_upgrade_has_no_events_of_those_who_come_back(nodes, redis, start_lineage):
    lineage = start_lineage("--upstream", url(redis.port), *OPTIONS, "--shutdown-grace", 1, "--channel", "room*", "presence", "members",
                            "events", "occupied,join", "leave-delay", 10)
    wait_for_state(lineage.daemon)
    two = nodes.node()
    watcher = Watcher(two)
    joined(lineage.daemon, "ann", "ben")
    wait_for_names(two, "ann", "ben")
    before = watcher.drain()
    lineage.upgrade()
    wait_for_state(lineage.daemon)
    client = joined(lineage.daemon, "ann")
    wait_for_names(two, "ann", within=40)
    assert watcher.drain() == [*before, ("room", "leave", "ben")]
    client.close()


# The link


@pytest.fixture
def proxy(redis):
    with Proxy(redis.address) as proxy:
        yield proxy


def test_a_broken_link_has_no_events(nodes, proxy):
    one, two = nodes.node(port=proxy.port), nodes.node()
    watcher = Watcher(two)
    client = joined(one, "ann", "ben")
    wait_for_names(two, "ann", "ben")
    watcher.read_until("room", "occupied") if ("room", "occupied") not in watcher.events else None
    before = watcher.drain()
    for number in range(2, 7):
        proxy.cut()
        wait_until(lambda number=number: link(one)["connections"] == str(number), "a new connection")
    wait_for_names(one, "ann", "ben")
    assert watcher.drain() == before
    client.call("PRESENCE", "LEAVE", "room", "ben")
    wait_for_names(two, "ann")
    assert watcher.drain() == [*before, ("room", "leave", "ben")]


def test_what_changes_while_the_link_is_down_is_told_later(nodes, proxy):
    one, two = nodes.node(port=proxy.port), nodes.node("--upstream-probe", 5)
    watcher = Watcher(two)
    leaves = joined(one, "ann")
    stays = joined(one, "ben")
    wait_for_names(two, "ann", "ben")
    proxy.stop()
    leaves.close()
    comes = joined(one, "cid")
    short = joined(one, "dan")
    short.close()
    with one.connect() as client:
        wait_until(lambda: client.info("presence")["presence_members"] == "2", "two members at the node")
    proxy.go()
    wait_for_names(two, "ben", "cid")
    events = watcher.drain()
    for member in ("ben", "cid"):
        assert [event[1] for event in events if event[-1] == member][-1] == "join"
    stays.close()
    comes.close()


def test_without_a_link_nobody_is_shown(nodes, proxy):
    one = nodes.node(port=proxy.port)
    client = joined(one, "ann")
    wait_for_names(one, "ann")
    proxy.cut(for_good=True)
    wait_for_state(one, "down")
    for command in (("MEMBERS", "room"), ("COUNT", "room"), ("CHANNELS",)):
        wait_until(lambda command=command: client.call("PRESENCE", *command) == DOWN, "an error")
    assert client.call("PRESENCE", "JOIN", "room", "ben") == 1


def test_a_question_under_way_is_refused_when_the_link_is_lost(nodes, proxy):
    one = nodes.node("--upstream-probe", 100, port=proxy.port)
    proxy.stop(proxy.down)
    client = one.client()
    client.command("PRESENCE", "MEMBERS", "room")
    with one.connect() as admin:
        wait_until(lambda: admin.info("clients")["blocked_clients"] == "1", "the question waits")
    proxy.cut()
    assert client.read_value() == DOWN


def test_a_transaction_cannot_ask(nodes):
    one = nodes.node()
    client = joined(one, "ann")
    client.ok("MULTI")
    client.call("PRESENCE", "COUNT", "room")
    (reply,) = client.call("EXEC")
    assert isinstance(reply, Error) and b"outside of MULTI" in reply.text


# The engine


def test_an_engine_that_starts_empty_is_told_all_members(nodes, redis):
    one, two = nodes.node(), nodes.node()
    joined(one, "ann", info="x")
    joined(two, "ben", "ann", info="x")
    wait_for_names(two, "ann", "ben")
    port = redis.port
    redis.kill()
    redis.start(port)
    wait_for_state(one)
    wait_for_state(two)
    for node in (one, two):
        wait_until(lambda node=node: members(node) == {"ann": ("x", 2), "ben": ("x", 1)}, "all members again")


def test_nothing_is_left_at_the_engine(nodes, redis):
    one, two = nodes.node(), nodes.node()
    for client in (joined(one, "ann", "ben"), joined(two, "ann", channel="room:2")):
        client.close()
    wait_for_names(one)
    with redis.connect() as client:
        wait_until(lambda: not [key for key in client.call("KEYS", "fanfare:*")
                                if key.split(b":")[1] in (b"presence", b"present", b"members", b"occupied")], "no keys")


def test_the_engine_takes_no_writes_for_a_while(nodes, redis):
    one, two = nodes.node(), nodes.node()
    watcher = Watcher(two)
    client = joined(one, "ann")
    wait_for_names(two, "ann")
    with redis.connect() as admin:
        admin.ok("CONFIG", "SET", "maxmemory", 1)
        client.call("PRESENCE", "JOIN", "room", "ben")
        client.call("PRESENCE", "LEAVE", "room", "ann")
        wait_until(lambda: int(link(one)["refused"]) >= 0 and names(two) != [], "an answer")
        admin.ok("CONFIG", "SET", "maxmemory", 0)
    wait_for_names(two, "ben")
    assert [event for event in watcher.drain() if len(event) == 3 and event[2] in ("ann", "ben")].count(("room", "join", "ben")) == 1


# fanfare-nodes(7) has them.
RIGHTS = """~fanfare:* +hello +info +script|load +evalsha +hget +hset +hmget +hincrby +hexists +hscan +hdel +del +set +exists
    +pexpire +time +xadd +xdel +xrevrange +hlen +sadd +srem +srandmember +zadd +zrem +zscore +zcount +zrangebyscore +zrangebylex"""


def test_the_rights_of_the_manual_are_enough(nodes, redis):
    with redis.connect() as client:
        client.ok("ACL", "SETUSER", "node", "on", ">secret", "&*", "-@all", "+@pubsub", *RIGHTS.split())
    one, two, third = (nodes.node(login="node:secret@") for _ in range(3))
    watcher = Watcher(two)
    joined(third, "cid")
    client = joined(one, "ann")
    wait_for_names(two, "ann", "cid")
    with two.connect() as other:
        assert other.call("PRESENCE", "CHANNELS") == [b"room"]
    third.kill()
    watcher.read_until("room", "leave", "cid")
    client.close()
    watcher.read_until("room", "vacated")
    assert count(two) == 0 and link(two)["last_error"] == ""


def test_a_flush_of_scripts_is_repaired(nodes, redis):
    one, two = nodes.node(), nodes.node()
    watcher = Watcher(two)
    client = joined(one, "ann")
    wait_for_names(two, "ann")
    with redis.connect() as admin:
        admin.ok("SCRIPT", "FLUSH")
    client.call("PRESENCE", "JOIN", "room", "ben")
    client.call("PRESENCE", "LEAVE", "room", "ann")
    wait_until(lambda: members_or_error(two) == ["ben"], "the other member", 20)
    wait_for_state(one)
    wait_for_state(two)
    client.close()
    wait_for_names(two)


# Order


def test_all_nodes_have_the_events_in_one_order(nodes):
    """Random joins and leaves of the same members at three nodes."""
    quick = ("--channel", "room*", "presence", "members", "events", "occupied,join", "leave-delay", 0, "vacate-delay", 0)
    three = [nodes.node(room=quick) for _ in range(3)]
    watchers = [Watcher(node) for node in three]
    clients = [node.client() for node in three]
    chance = random.Random(5)
    has = set()
    for _ in range(3000):
        at, channel, member = chance.randrange(3), f"room:{chance.randrange(2)}", f"m{chance.randrange(5)}"
        joins = chance.random() < 0.5
        clients[at].call("PRESENCE", "JOIN" if joins else "LEAVE", channel, member)
        (has.add if joins else has.discard)((at, channel, member))
    for channel in ("room:0", "room:1"):
        expected = sorted({member for _, where, member in has if where == channel})
        for node in three:
            wait_until(lambda node=node, channel=channel, expected=expected: names(node, channel) == expected, "the last members")
    all_events = [watcher.drain() for watcher in watchers]
    assert all_events[0] == all_events[1] == all_events[2]
    assert len(all_events[0]) > 100
    for subject in {event[:1] + event[2:] for event in all_events[0]}:
        kinds = [event[1] for event in all_events[0] if event[:1] + event[2:] == subject]
        begin, end = ("occupied", "vacated") if len(subject) == 1 else ("join", "leave")
        assert kinds == [begin, end] * (len(kinds) // 2) + [begin] * (len(kinds) % 2), (subject, kinds)
        if len(subject) == 2:
            assert (len(kinds) % 2 == 1) == any((at, *subject) in has for at in range(3))


def test_nodes_that_die_and_links_that_break_leave_no_ghosts(nodes, redis):
    """Random joins, leaves, cuts and one killed node: at the end each node shows the members that are there."""
    with contextlib.ExitStack() as ends:
        proxies = [ends.enter_context(Proxy(redis.address)) for _ in range(3)]
        three = [nodes.node(port=proxy.port) for proxy in proxies]
        watcher = Watcher(nodes.node())
        clients = [node.client() for node in three]
        chance = random.Random(9)
        has = set()
        for _ in range(1000):
            at, member = chance.randrange(3), f"m{chance.randrange(20)}"
            if chance.random() < 0.01:
                proxies[at].cut()
                if chance.random() < 0.3:
                    wait_for_state(three[at])
            joins = chance.random() < 0.5
            clients[at].call("PRESENCE", "JOIN" if joins else "LEAVE", "room", member)
            (has.add if joins else has.discard)((at, member))
        three[2].kill()
        expected = sorted({member for at, member in has if at < 2})
        for node in three[:2]:
            wait_for_state(node)
            wait_until(lambda node=node: names(node) == expected, "the members that are there", 30)
        there = {}
        for event in watcher.drain():
            if len(event) == 3:
                assert there.get(event[2], "leave") != event[1], event
                there[event[2]] = event[1]
        assert sorted(member for member, last in there.items() if last == "join") == expected


# Many members


def test_many_members(nodes):
    one, two = nodes.node(), nodes.node()
    client = one.connect(timeout=60)
    client.send(b"".join(encode("PRESENCE", "JOIN", "room", f"m{n}", "INFO", f"i{n}") for n in range(MANY)))
    for _ in range(MANY):
        assert client.read_value() == 1
    wait_until(lambda: count(two) == MANY, "all members", 60)
    assert members(two, count=1000) == {f"m{n}": (f"i{n}", 1) for n in range(MANY)}
    one.kill()
    wait_until(lambda: count(two) == 0, "no member of the killed node", 60)


def test_many_channels(nodes):
    one, two = nodes.node(), nodes.node()
    client = one.connect(timeout=60)
    rooms = [f"room:{n}" for n in range(2500)]
    client.send(b"".join(encode("PRESENCE", "JOIN", room, "ann") for room in rooms))
    for _ in rooms:
        assert client.read_value() == 1
    wait_until(lambda: count(two, rooms[-1]) == 1, "the last channel", 60)
    with two.connect() as other:
        assert other.call("PRESENCE", "CHANNELS") == [room.encode() for room in sorted(rooms)]
        assert other.call("PRESENCE", "CHANNELS", "room:1?") == [f"room:{n}".encode() for n in range(10, 20)]
        assert other.call("PRESENCE", "COUNT", *rooms) == [word for room in rooms for word in (room.encode(), 1)]


# Browsers


def test_browsers_see_members_of_another_node(nodes):
    one, two = nodes.edge(), nodes.edge()
    sockets = []
    for node, name in ((one, "ann"), (two, "ben"), (two, "ann")):
        ws = EdgeSocket(node.http_port)
        assert "client" in ws.call("connect", token=make_token(sub=name, info={"n": name}))
        assert "error" not in ws.call("subscribe", channel="room")
        sockets.append(ws)
    expected = {name: {"client": name, "user": name, "conn_info": {"n": name}} for name in ("ann", "ben")}
    for ws in sockets:
        wait_until(lambda ws=ws: ws.call("presence", channel="room") == {"presence": expected}, "both members")
        assert ws.call("presence_stats", channel="room") == {"num_clients": 2, "num_users": 2}
    sockets[1].socket.close()
    wait_until(lambda: list(sockets[0].call("presence", channel="room")["presence"]) == ["ann"], "one member")


def test_browsers_without_a_name_are_different_members(nodes):
    sockets, ids = [], []
    for node in (nodes.edge(), nodes.edge()):  # the first connection of each
        sockets.append(EdgeSocket(node.http_port))
        ids.append(sockets[-1].call("connect")["client"])
        assert "error" not in sockets[-1].call("subscribe", channel="room")
    for ws in sockets:
        wait_until(lambda ws=ws: sorted(ws.call("presence", channel="room")["presence"]) == sorted(ids), "both members")
    assert len(set(ids)) == 2


def test_browsers_are_told_that_the_link_is_down(nodes, redis):
    with Proxy(redis.address) as proxy:
        one = nodes.browsed(*OPTIONS, *ROOM, "--token-hmac-secret", SECRET, port=proxy.port)
        ws = EdgeSocket(one.http_port)
        assert "client" in ws.call("connect", token=make_token(sub="ann"))
        proxy.cut(for_good=True)
        wait_for_state(one, "down")
        wait_until(lambda: ws.call("presence", channel="room") == {"error": 100}, "an error")
        assert ws.call("presence_stats", channel="room") == {"error": 100}
