"""What nodes keep of their members at an engine: names of any bytes, keys that are changed or lost, leases."""

import json
import os
import signal
import time

import pytest

from lib.nodes import Nodes, link, wait_for_state
from lib.resp import encode
from lib.wait import wait_until

OPTIONS = ("--upstream-mode", "engine", "--upstream-probe", 1, "--channel", "*", "presence", "members", "events",
           "occupied,join", "leave-delay", 0, "vacate-delay", 0)
MEMBERS = [b"ann", b"a b* c", b"line\nbreak\r\n", b"\0\0", b"3:abc", b"*", b"0123456789abcdef*", bytes(range(1, 256))]
CHANNELS = [b"room", b"1:room", b"12:", b"a\0b\n", b"%d%s"]
MANY = 350


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def nodes(start_fanfared, redis):
    return Nodes(start_fanfared, redis)


def members(node, channel):
    """{name: (info, connections)} of up to 1000 members."""
    with node.connect() as client:
        cursor, flat = client.call("PRESENCE", "MEMBERS", channel, "COUNT", 1000)
    assert cursor == b"0"
    return {flat[at]: (flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3)}


def wait_for_members(node, channel, *expected):
    wait_until(lambda: sorted(members(node, channel)) == sorted(expected), f"members {expected}", 20)


def join(client, channel, *names, info=b""):
    for name in names:
        assert client.call("PRESENCE", "JOIN", channel, name, "INFO", info) == 1


def presence_keys(redis):
    with redis.connect() as client:
        keys = client.call("KEYS", "fanfare:*")
    return {key for key in keys if key.split(b":")[1] in (b"presence", b"present", b"occupied", b"members")}


def ids(redis):
    with redis.connect() as client:
        return client.call("ZRANGE", "fanfare:nodes", "0", "-1")


def members_of(redis, channel):
    with redis.connect() as client:
        return client.call("HKEYS", b"fanfare:presence:" + channel)


class Events:
    """The events of members at a node."""

    def __init__(self, node):
        self.client = node.client()
        self.client.subscribe("__presence__:*", kind="PSUBSCRIBE")
        self.got = []

    def read_until(self, *expected):
        while expected not in self.got:
            event = json.loads(self.client.read_value()[3])
            self.got.append((event["event"], event["member"]))


def test_names_and_infos_may_have_any_bytes(nodes, redis):
    here, there = nodes.leaf(*OPTIONS), nodes.leaf(*OPTIONS)
    with here.connect() as one:
        for channel in CHANNELS:
            with there.connect() as other:
                join(other, channel, *MEMBERS, info=b"old")
                wait_for_members(here, channel, *MEMBERS)
            wait_for_members(here, channel)
        with there.connect() as other:
            for channel in CHANNELS:
                join(one, channel, *MEMBERS[::2], info=b"line\none\n*")
                join(other, channel, *MEMBERS[1:])
            for channel in CHANNELS:
                wait_for_members(here, channel, *MEMBERS)
                wait_until(lambda channel=channel: members(here, channel)[b"*"][1] == 1, "one node has it")
                assert members(here, channel)[b"ann"] == (b"line\none\n*", 1)
                wait_until(lambda channel=channel: members(here, channel)[b"3:abc"][1] == 2, "both nodes have it")
            there.kill()
            for channel in CHANNELS:
                wait_for_members(here, channel, *MEMBERS[::2])
            assert sorted(one.call("PRESENCE", "CHANNELS")) == sorted(CHANNELS)
    wait_until(lambda: not presence_keys(redis), "nothing is left at the engine", 20)


def test_several_nodes_remove_many_members_once(nodes, redis):
    here, there, dies = (nodes.leaf(*OPTIONS) for _ in range(3))
    events = Events(here)
    names = [b"m%d" % i for i in range(MANY)]
    client = dies.client()
    join(client, b"room", *names)
    wait_for_members(there, b"room", *names)
    dies.kill()
    wait_for_members(there, b"room")
    with here.connect() as last:
        join(last, b"room", b"last")
        events.read_until("join", "last")
    assert sorted(events.got) == sorted([(what, name.decode()) for what in ("join", "leave") for name in names]
                                        + [("join", "last")])
    wait_until(lambda: len(ids(redis)) == 2, "the node is forgotten")


def test_a_node_whose_lease_was_ended_takes_another_id(nodes, redis):
    here, there = nodes.leaf(*OPTIONS), nodes.leaf(*OPTIONS)
    events = Events(here)
    with there.connect() as one, here.connect() as other:
        join(one, b"room", b"ann")
        join(other, b"room", b"ben")
        wait_for_members(here, b"room", b"ann", b"ben")
        before = ids(redis)
        with redis.connect() as client:
            for name in before:
                client.call("ZADD", "fanfare:nodes", "XX", "0", name)
        wait_until(lambda: len(ids(redis)) == 2 and not set(ids(redis)) & set(before), "other ids", 20)
        wait_for_members(here, b"room", b"ann", b"ben")
        join(one, b"room", b"cat")
        events.read_until("join", "cat")
    for name in ("ann", "ben"):
        of_name = [what for what, who in events.got if who == name]
        assert of_name == ["join", "leave"] * (len(of_name) // 2) + ["join"]
    assert link(here)["connections"] == link(there)["connections"] == "1"


@pytest.mark.parametrize("command", [("FLUSHALL",), ("DEL", "fanfare:nodes")])
def test_what_the_engine_has_forgotten_is_told_again(nodes, redis, command):
    here, there = nodes.leaf(*OPTIONS), nodes.leaf(*OPTIONS)
    with there.connect() as one, here.connect() as other:
        join(one, b"room", b"ann")
        join(other, b"room", b"ben")
        wait_for_members(here, b"room", b"ann", b"ben")
        with redis.connect() as client:
            client.call(*command)
        wait_until(lambda: len(ids(redis)) == 2, "both nodes are there again", 20)
        wait_for_state(here)
        wait_for_state(there)
        join(one, b"room", b"cat")
        wait_until(lambda: sorted(members_of(redis, b"room")) == [b"ann", b"ben", b"cat"], "all members", 20)
        one.call("PRESENCE", "LEAVE", "room", "ann")
        wait_for_members(here, b"room", b"ben", b"cat")


def test_nobody_leaves_because_the_engine_stood_still(nodes, redis):
    """For longer than all leases."""
    here, there = nodes.leaf(*OPTIONS), nodes.leaf(*OPTIONS)
    events = Events(here)
    with there.connect() as one, here.connect() as other:
        join(one, b"room", b"ann")
        join(other, b"room", b"ben")
        wait_for_members(here, b"room", b"ann", b"ben")
        with redis.connect() as client:
            ends_ms = max(int(score) for score in client.call("ZRANGE", "fanfare:nodes", "0", "-1", "WITHSCORES")[1::2])
            os.kill(redis.pid, signal.SIGSTOP)
            try:
                wait_until(lambda: link(here)["state"] != "up" and link(there)["state"] != "up", "links are down", 20)
                wait_until(lambda: time.time() * 1000 > ends_ms + 1000, "the leases are over", 20)
            finally:
                os.kill(redis.pid, signal.SIGCONT)
        wait_for_state(here)
        wait_for_state(there)
        join(one, b"room", b"cat")
        events.read_until("join", "cat")
    assert sorted(events.got) == [("join", "ann"), ("join", "ben"), ("join", "cat")]  # the nodes are not in step


def test_a_pipeline_of_a_client_has_its_own_changes(nodes, redis):
    here = nodes.leaf(*OPTIONS)
    with here.connect() as client:
        for at in range(50):
            client.send(encode("PRESENCE", "JOIN", "room", f"m{at}") + encode("PRESENCE", "COUNT", "room")
                        + encode("PRESENCE", "MEMBERS", "room", "COUNT", 1000))
            assert client.read_value() == 1
            assert client.read_value() == [b"room", at + 1]
            assert b"m%d" % at in client.read_value()[1][::3]


# What a user at the engine needed before nodes had presence in common.
FORMER_RIGHTS = """~fanfare:* +hello +info +ping +script|load +evalsha +hget +hset +hmget +hincrby +hexists +hscan +hdel +del +set +exists
    +pexpire +time +xadd +xdel +xrevrange"""


def test_a_node_without_members_asks_nothing_of_the_engine(nodes, redis):
    """A user with the rights of before is enough; with all rights, presence begins when it is used."""
    with redis.connect() as client:
        client.ok("ACL", "SETUSER", "node", "on", ">secret", "&*", "-@all", "+@pubsub", *FORMER_RIGHTS.split())
    former = nodes.leaf(*OPTIONS, login="node:secret@")
    node = nodes.leaf(*OPTIONS)
    wait_until(lambda: int(link(node)["probe_usec"]) > 0 and int(link(former)["probe_usec"]) > 0, "probes")
    assert ids(redis) == [] and presence_keys(redis) == set()
    assert [link(each)["connections"] for each in (former, node)] == ["1", "1"]
    with node.connect() as client:
        assert client.call("PRESENCE", "COUNT", "room") == [b"room", 0]
    wait_until(lambda: len(ids(redis)) == 1, "a lease")


def test_a_channel_only_counted_has_no_leave(nodes, redis):
    options = (*OPTIONS[:4], "--channel", "*", "presence", "count", "events", "occupied,join", "leave-delay", 0, "vacate-delay", 0)
    here = nodes.leaf(*options)
    watcher = here.client()
    watcher.subscribe("__*", kind="PSUBSCRIBE")
    with here.connect() as client:
        join(client, b"room", b"ann")
        assert client.call("PRESENCE", "COUNT", "room") == [b"room", 1]
        assert client.call("PRESENCE", "LEAVE", "room", "ann") == 1
    assert [json.loads(watcher.read_value()[3]) for _ in range(2)] == [{"event": "occupied"}, {"event": "vacated"}]


def test_a_key_of_a_wrong_type_is_that_of_one_channel_only(nodes, redis):
    here, there = nodes.leaf(*OPTIONS), nodes.leaf(*OPTIONS)
    with redis.connect() as client:
        client.call("SET", "fanfare:presence:broken", "x")
    with here.connect() as client:
        for channel in (b"broken", b"room"):
            join(client, channel, b"ann")
        wait_for_members(there, b"room", b"ann")
        assert client.info("presence")["presence_skipped_events"] == "1"
        client.call("PRESENCE", "LEAVE", "broken", "ann")
        client.call("PRESENCE", "LEAVE", "room", "ann")
        wait_for_members(there, b"room")
        assert client.info("presence")["presence_skipped_events"] == "2"
    assert link(here)["connections"] == "1" and link(here)["state"] == "up"


def test_an_engine_that_restarts_with_all_members(start_fanfared, start_redis, folder):
    """What nodes told under their ids of before is removed at once: the lease would last for 30 s."""
    (folder / "engine").mkdir()
    redis = start_redis("--dir", folder / "engine", "--appendonly", "yes", "--appendfsync", "always")
    nodes = Nodes(start_fanfared, redis)
    options = tuple(10 if value == 1 else value for value in OPTIONS)
    here, there = nodes.leaf(*options), nodes.leaf(*options)
    events = Events(there)
    with here.connect() as client:
        join(client, b"room", b"ann", b"ben")
        wait_for_members(there, b"room", b"ann", b"ben")
        redis.kill()
        for node in (here, there):
            wait_for_state(node, "down")
        redis.start(redis.port)
        for node in (here, there):
            wait_for_state(node, "up", 30)
        wait_until(lambda: members(there, b"room") == {b"ann": (b"", 1), b"ben": (b"", 1)}, "one connection each", 9)
        client.call("PRESENCE", "LEAVE", "room", "ann")
        wait_until(lambda: sorted(members(there, b"room")) == [b"ben"], "ann has left", 9)
        events.read_until("leave", "ann")
    assert sorted(events.got) == [("join", "ann"), ("join", "ben"), ("leave", "ann")]
