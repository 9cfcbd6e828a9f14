"""Nodes of an engine: positions that are valid at each node, what is loaded and filled, and what clients are told when the
engine has lost something. Links that break at random: test_nodes_truth.py."""

import random
import re

import pytest

from lib.nodes import Nodes, Proxy, kill_links, link, names_at, wait_for_error, wait_for_state
from lib.resp import Error
from lib.wait import seconds, wait_until

KEEP = ("--channel", "k*", "history-size", 100, "history-ttl", 600)
ENGINE = ("--upstream-mode", "engine")
MEMBERS = ("--channel", "m*", "presence", "members", "events", "join,occupied")


class EngineNodes(Nodes):
    def node(self, *options, keep=KEEP, **more):
        return self.leaf(*ENGINE, *keep, *options, **more)


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def nodes(start_fanfared, redis):
    return EngineNodes(start_fanfared, redis)


class Follower:
    """A client that wants every message of some channels: it resumes each from the newest position that it has."""

    def __init__(self, *channels):
        self.channels = channels
        self.position = None
        self.got = {channel: [] for channel in channels}
        self.marks = []
        self.verdicts = {}

    def connect(self, node):
        self.client = node.client(3)
        self.client.ok("OUTBOX", "SET", "NOTIFY", "yes", "POSITIONS", "yes")
        pairs = [word for channel in self.channels for word in (channel, self.position or "$")]
        reply = self.client.call("RESUME", *pairs)
        assert not isinstance(reply, Error), reply
        self.verdicts = {name.decode(): verdict.decode() for name, verdict, *_ in reply}
        for channel in self.channels:
            if self.verdicts[channel] == "lost":
                self.marks.append((channel, -1))
        self.client.command("SUBSCRIBE", *self.channels)
        for _ in self.channels:
            self.take(self.client.read_value())
        return self

    def take(self, frame):
        assert not isinstance(frame, Error), frame
        if frame[0] == b"lagged":
            self.marks.append((None, frame[1]))
        elif frame[0] == b"message":
            position, _, payload = frame[2].partition(b" ")
            self.got[frame[1].decode()].append(payload.decode())
            self.position = position.decode()
        else:
            assert frame[0] == b"subscribe", frame

    def read(self, count=1):
        for _ in range(count):
            self.take(self.client.read_value())

    def drain(self):
        self.client.command("PING", "drained")
        while (frame := self.client.read_value()) != b"drained":
            self.take(frame)

    def leave(self):
        self.client.close()


def publish(node, channel, *payloads):
    with node.connect() as client:
        for payload in payloads:
            reply = client.call("PUBLISH", channel, payload)
            assert isinstance(reply, int), reply


def position_of(server):
    with server.connect() as client:
        return client.call("HISTORY", "POSITION").decode()


def history(node, channel):
    """[(position, payload)]"""
    with node.connect() as client:
        reply = client.call("HISTORY", "RANGE", channel, "-", "+")
        assert not isinstance(reply, Error), reply
        return [(position.decode(), payload.decode()) for position, payload in reply]


# Positions


def test_a_message_has_the_same_position_at_each_node(nodes):
    here, there, late = nodes.node(), nodes.node(), nodes.node()
    followers = [Follower("k1").connect(node) for node in (here, there)]
    publish(here, "k1", "1", "2")
    publish(there, "k1", "3")
    for follower in followers:
        follower.read(3)
        assert follower.got["k1"] == ["1", "2", "3"]
    assert followers[0].position == followers[1].position
    assert history(here, "k1") == history(there, "k1") == history(late, "k1")
    assert history(late, "k1")[-1] == (followers[0].position, "3")


def test_a_client_goes_on_at_another_node(nodes):
    here, there = nodes.node(), nodes.node()
    follower = Follower("k1", "k2").connect(here)
    assert follower.verdicts == {"k1": "new", "k2": "new"}
    publish(there, "k1", "1")
    publish(there, "k2", "2")
    follower.read(2)
    here.kill()
    publish(there, "k1", "3")
    publish(there, "k2", "4", "5")
    publish(there, "k1", "6")
    follower.connect(there)
    assert follower.verdicts == {"k1": "resumed", "k2": "resumed"}
    publish(there, "k1", "7")
    follower.read(5)
    assert follower.got == {"k1": ["1", "3", "6", "7"], "k2": ["2", "4", "5"]}
    assert follower.marks == []


def test_a_node_that_starts_knows_positions_from_before(nodes):
    here = nodes.node()
    follower = Follower("k1").connect(here)
    publish(here, "k1", "1")
    follower.read()
    here.kill()
    other = nodes.node()
    publish(other, "k1", "2")
    here.start(here.port)
    wait_for_state(here)
    follower.connect(here)
    follower.read()
    assert follower.verdicts == {"k1": "resumed"}
    assert follower.got == {"k1": ["1", "2"]} and follower.marks == []


def test_a_channel_without_messages_can_be_resumed(nodes):
    here, there = nodes.node(), nodes.node()
    other = Follower("k1").connect(here)
    publish(here, "k1", "1")
    other.read()
    follower = Follower("k2")
    follower.position = other.position
    follower.connect(there)
    assert follower.verdicts == {"k2": "resumed"}
    publish(here, "k2", "2")
    follower.read()
    assert follower.got == {"k2": ["2"]} and follower.marks == []


def test_a_position_that_a_node_has_not_seen_yet_is_waited_for(nodes, redis):
    """The link of the other node is slow, so that the client is there before its message."""
    here, proxy = nodes.node(), Proxy(redis.address)
    there = nodes.node(port=proxy.port)
    mover, stays = Follower("k1", "k2"), Follower("k1", "k2").connect(there)
    proxy.down.delay = 0.2
    for n in range(5):
        mover.connect(here)
        publish(here, "k1", f"{n}")
        mover.read()
        mover.leave()
        publish(here, "k2", f"{n}")
        mover.connect(there)
        assert mover.verdicts == {"k1": "resumed", "k2": "resumed"}
        mover.read()
        mover.leave()
    stays.read(10)
    assert mover.got == stays.got == {"k1": list("01234"), "k2": list("01234")}
    assert mover.marks == []


def test_a_position_from_after_a_load_under_way_is_waited_for(nodes, redis):
    """The node has asked for the channel before the message, which comes behind the answer."""
    here, proxy = nodes.node(), Proxy(redis.address)
    there = nodes.node(port=proxy.port)
    mover = Follower("k1").connect(here)
    publish(here, "k1", "1")
    mover.read()
    proxy.stop(proxy.down)
    other, client = there.client(3), there.client(3)
    other.command("SUBSCRIBE", "k1")
    with redis.connect() as admin:
        wait_until(lambda: admin.call("PUBSUB", "NUMSUB", "k1") == [b"k1", 2], "the node has asked")
        publish(here, "k1", "2")
        mover.read()
        client.command("RESUME", "k1", mover.position)
        with there.connect() as viewer:
            wait_until(lambda: b"cmd=resume" in viewer.call("CLIENT", "LIST"), "the client waits")
        proxy.down.delay = 0.5  # the answer comes now, the message later
        proxy.go()
        assert client.read_value()[0][1] == b"resumed"
        proxy.down.delay = 0
        client.command("SUBSCRIBE", "k1")
        assert client.read_value()[0] == b"subscribe"
        publish(here, "k1", "3")
        assert client.read_value()[2] == b"3"


@pytest.mark.parametrize("position", ["1-1", "99999999999999999-5", "9007199254740992-1"])
def test_a_position_of_another_epoch_is_lost(nodes, position):
    node = nodes.node()
    follower = Follower("k1")
    follower.position = position
    follower.connect(node)
    assert follower.verdicts == {"k1": "lost"}


def test_a_position_in_the_future_is_lost(nodes):
    node = nodes.node()
    publish(node, "k1", "1")
    epoch, seq = map(int, history(node, "k1")[0][0].split("-"))
    follower = Follower("k1")
    for more in (1, 2 ** 40, 2 ** 63):
        follower.position = f"{epoch}-{seq + more}"
        follower.connect(node)
        assert follower.verdicts == {"k1": "lost"}


# What is kept


def test_trimmed_messages_are_lost_at_each_node(nodes):
    keep = ("--channel", "k*", "history-size", 3, "history-ttl", 600)
    here, there = nodes.node(keep=keep), nodes.node(keep=keep)
    follower = Follower("k1").connect(here)
    publish(here, "k1", "0")
    follower.read()
    follower.leave()
    publish(here, "k1", "1", "2", "3")
    follower.connect(there)
    assert follower.verdicts == {"k1": "resumed"}
    follower.read(3)
    follower.leave()
    publish(here, "k1", "4", "5", "6", "7")
    follower.connect(there)
    assert follower.verdicts == {"k1": "lost"}
    assert [payload for _, payload in history(there, "k1")] == ["5", "6", "7"]
    assert [payload for _, payload in history(here, "k1")] == ["5", "6", "7"]


def test_a_message_that_is_too_long_is_delivered_and_not_kept(nodes):
    keep = (*KEEP, "history-message-bytes", 10)
    here, there = nodes.node(keep=keep), nodes.node(keep=keep)
    readers = [Follower("k1").connect(node) for node in (here, there)]
    publish(here, "k1", "1", "x" * 11, "2")
    for reader in readers:
        reader.read(3)
        assert reader.got["k1"] == ["1", "x" * 11, "2"]
    late = nodes.node(keep=keep)
    for node in (here, there, late):
        assert [payload for _, payload in history(node, "k1")] == ["2"]


def test_a_node_with_a_shorter_time_does_not_shorten_that_of_the_stream(nodes, redis):
    long, short = nodes.node(), nodes.node(keep=("--channel", "k*", "history-size", 100, "history-ttl", 10))
    with redis.connect() as client:
        def left():
            return client.call("PTTL", "fanfare:history:k1")

        publish(short, "k1", "1")
        assert 0 < left() <= 20000
        publish(long, "k1", "2")
        publish(short, "k1", "3")
        assert left() > 1100000
        with short.connect() as other:
            assert other.call("HISTORY", "DEL", "k1") == 3
        assert left() > 1100000


def test_what_expires_is_gone_at_each_node(nodes, redis):
    keep = ("--channel", "k*", "history-size", 100, "history-ttl", 1)
    here = nodes.node(keep=keep)
    follower = Follower("k1").connect(here)
    publish(here, "k1", "1")
    follower.read()
    follower.leave()
    wait_until(lambda: history(here, "k1") == [], "it has expired at this node")
    there = nodes.node(keep=keep)
    assert history(there, "k1") == []
    follower.connect(there)
    assert follower.verdicts == {"k1": "resumed"}
    publish(there, "k1", "2")
    follower.read()
    assert follower.got == {"k1": ["1", "2"]}


def test_channels_that_keep_nothing_go_as_in_a_leaf(nodes, redis):
    here, there = nodes.node(), nodes.node()
    reader = there.client(3)
    reader.subscribe("plain")
    publish(here, "plain", "1")
    assert reader.read_value() == [b"message", b"plain", b"1"]
    with redis.connect() as client:
        assert not client.call("EXISTS", "fanfare:history:plain")
        assert client.call("PUBLISH", "plain", "2") == 1
    assert reader.read_value() == [b"message", b"plain", b"2"]


def test_what_is_published_at_the_engine_itself_is_delivered_and_not_kept(nodes, redis):
    here = nodes.node()
    follower = Follower("k1").connect(here)
    with redis.connect() as client:
        client.call("PUBLISH", "k1", "direct")
    assert follower.client.read_value()[2].split(b" ", 1)[1] == b"direct"
    publish(here, "k1", "1")
    follower.read()
    assert history(here, "k1") == [(follower.position, "1")]


def test_patterns_get_messages_and_cannot_resume(nodes):
    here, there = nodes.node(), nodes.node()
    client = there.client(3)
    client.ok("OUTBOX", "SET", "POSITIONS", "yes")
    client.subscribe("k*", kind="PSUBSCRIBE")
    publish(here, "k1", "1")
    assert client.read_value()[3].endswith(b" 1")
    follower = Follower("k1").connect(there)  # now the channel is loaded at this node
    publish(here, "k1", "2")
    follower.read()
    frame = client.read_value()
    assert frame[:3] == [b"pmessage", b"k*", b"k1"] and frame[3] == follower.position.encode() + b" 2"
    assert client.call("PRESUME", "k?", follower.position)[0][1] == b"lost"


def test_replay_begins_with_messages_of_other_nodes(nodes):
    keep = (*KEEP, "replay", 2)
    here, there = nodes.node(keep=keep), nodes.node(keep=keep)
    publish(here, "k1", "1", "2", "3")
    client = there.client(3)
    client.subscribe("k1")
    assert [client.read_value()[2] for _ in range(2)] == [b"2", b"3"]


def test_history_read_waits_for_messages_of_other_nodes(nodes, redis):
    """Longer than names without subscribers stay subscribed to at the engine."""
    here, there = nodes.node(), nodes.node("--upstream-linger", 0)
    publish(here, "k1", "1")
    reader = there.connect(timeout=60)
    reader.command("HISTORY", "READ", "BLOCK", 50000, "CHANNELS", "k1", "$")
    with redis.connect() as client:
        wait_until(lambda: "cmdstat_unsubscribe" in client.info("commandstats"), "the name was left", 30)
        wait_until(lambda: "k1" in names_at(redis), "it is subscribed to again", 5)
    publish(here, "k1", "2")
    assert reader.read_value()[0][1][0][1] == b"2"


def test_a_blocked_reader_is_told_of_a_lost_history(nodes, redis):
    node = nodes.node()
    publish(node, "k1", "1")
    reader = node.connect(timeout=60)
    reader.command("HISTORY", "READ", "BLOCK", 50000, "CHANNELS", "k1", "$")
    wait_until(lambda: link(node)["history_channels"] == "1", "the channel is loaded")
    with node.connect() as client:
        wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "the reader waits")
    with redis.connect() as client:
        client.ok("FLUSHALL")
        client.call("CLIENT", "KILL", "TYPE", "pubsub")
    reply = reader.read_value()
    assert isinstance(reply, Error) and reply.text.startswith(b"LOST "), reply


def test_a_channel_that_begins_to_keep_messages(nodes):
    here, there = nodes.node(), nodes.node()
    reader = there.client(3)
    reader.ok("OUTBOX", "SET", "POSITIONS", "yes")
    reader.subscribe("new")
    publish(here, "new", "1")
    assert reader.read_value()[2].split()[-1] == b"1"
    for node in (here, there):
        with node.connect() as client:
            client.ok("CHANNEL", "SET", "new", "history-size", 10, "history-ttl", 60)
    publish(here, "new", "2")
    assert reader.read_value()[2].split()[-1] == b"2"
    assert [payload for _, payload in history(there, "new")] == ["2"]
    publish(here, "new", "3")
    assert reader.read_value()[2].split()[-1] == b"3"
    assert [payload for _, payload in history(there, "new")] == ["2", "3"]


# The link breaks


def test_what_was_missed_is_filled_in_order(nodes, redis):
    here, proxy = nodes.node(), Proxy(redis.address)
    there = nodes.node(port=proxy.port)
    follower = Follower("k1", "k2", "k3").connect(there)
    publish(here, "k1", "1")
    follower.read()
    proxy.stop()
    for n in range(20):
        publish(here, f"k{n % 3 + 1}", f"m{n}")
    proxy.cut()
    follower.read(20)
    assert follower.got["k1"] == ["1"] + [f"m{n}" for n in range(0, 20, 3)]
    assert follower.got["k2"] == [f"m{n}" for n in range(1, 20, 3)]
    assert follower.got["k3"] == [f"m{n}" for n in range(2, 20, 3)]
    assert follower.marks == []
    assert link(there)["history_filled"] in ("20", "0") and link(there)["history_resets"] == "1"


def test_what_cannot_be_filled_is_told_with_its_number(nodes, redis):
    keep = ("--channel", "k*", "history-size", 3, "history-ttl", 600)
    here, proxy = nodes.node(keep=keep), Proxy(redis.address)
    there = nodes.node(port=proxy.port, keep=keep)
    follower = Follower("k1", "k2").connect(there)
    publish(here, "k1", "1")
    follower.read()
    proxy.cut(for_good=True)
    wait_for_state(there, "down")
    publish(here, "k1", *"23456789")
    publish(here, "k2", *"abc")
    proxy.forward_again()
    follower.read(7)
    assert follower.got == {"k1": list("1789"), "k2": list("abc")}
    assert follower.marks == [(None, 5)]
    follower.leave()
    assert [payload for _, payload in history(there, "k1")] == ["7", "8", "9"]
    assert link(there)["history_lost"] == "5"


def test_kept_channels_refuse_messages_while_the_link_is_down(nodes, redis):
    node = nodes.node("--upstream-down", "local")
    follower = Follower("k1").connect(node)
    redis.kill()
    wait_for_state(node, "down")
    with node.connect() as client:
        assert client.call("PUBLISH", "k1", "1").text.startswith(b"CLUSTERDOWN ")
        assert client.call("PUBLISH", "plain", "1") == 0
    assert history(node, "k1") == [] and follower.marks == []


# The engine has lost something


@pytest.mark.parametrize("how", ["FLUSHALL", "restart"])
def test_an_engine_that_has_lost_everything(nodes, redis, how):
    here, there = nodes.node(), nodes.node()
    followers = [Follower("k1").connect(node) for node in (here, there)]
    publish(here, "k1", "1", "2")
    for follower in followers:
        follower.read(2)
    before = followers[0].position
    if how == "restart":
        redis.kill()
        redis.start(redis.port)
    else:
        with redis.connect() as client:
            client.ok("FLUSHALL")
        with here.connect() as client:
            reply = client.call("PUBLISH", "k1", "refused")
            assert isinstance(reply, Error) and reply.text.startswith(b"CLUSTERDOWN "), reply
    for node in (here, there):
        wait_until(lambda node=node: link(node)["history_resets"] == "2" and link(node)["state"] == "up", "it begins anew", 30)
    publish(there, "k1", "3")
    for follower in followers:
        follower.read(2)
        assert follower.got["k1"] == ["1", "2", "3"] and follower.marks == [(None, -1)]
    late = Follower("k1")
    late.position = before
    late.connect(here)
    assert late.verdicts == {"k1": "lost"}
    assert followers[0].position == followers[1].position != before


@pytest.fixture
def durable(start_redis, folder):
    (folder / "engine").mkdir()
    return start_redis("--dir", folder / "engine", "--appendonly", "yes", "--appendfsync", "always")


def test_an_engine_that_restarts_with_all_it_had(start_fanfared, durable):
    nodes = EngineNodes(start_fanfared, durable)
    here, there = nodes.node(), nodes.node()
    followers = [Follower("k1").connect(node) for node in (here, there)]
    publish(here, "k1", "1", "2")
    for follower in followers:
        follower.read(2)
    durable.kill()
    for node in (here, there):
        wait_for_state(node, "down")
    durable.start(durable.port)
    for node in (here, there):
        wait_for_state(node, "up", 30)
    publish(there, "k1", "3")
    for follower in followers:
        follower.read()
        assert follower.got["k1"] == ["1", "2", "3"] and follower.marks == []
        assert link(here)["history_resets"] == "1"
    followers[0].leave()
    publish(here, "k1", "4")
    followers[0].connect(there)
    followers[0].read()
    assert followers[0].verdicts == {"k1": "resumed"} and followers[0].got["k1"] == ["1", "2", "3", "4"]


def test_a_client_that_resumes_outlasts_a_restart_of_ten_seconds(start_fanfared, durable):
    nodes = EngineNodes(start_fanfared, durable)
    here, there = nodes.node(), nodes.node()
    follower = Follower("k1", "k2").connect(here)
    publish(here, "k1", "1", "2")
    follower.read(2)
    follower.leave()
    publish(here, "k1", "3")
    durable.kill()
    wait_for_state(there, "down")
    with there.client(3) as client:  # this node has not seen the channel
        client.command("RESUME", "k1", follower.position)
        assert client.nothing_arrives(within=9.5), "the time of the restart"
        client.socket.settimeout(seconds(20))
        durable.start(durable.port)
        assert client.read_value()[0][1:2] == [b"resumed"]


def fail_over(redis, start_redis):
    """A replica that lags takes over: it has what was written before it was cut off."""
    replica = start_redis("--replicaof", "127.0.0.1", redis.port)
    with replica.connect() as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", "it is a replica")
    return replica


def test_a_replica_that_lags_takes_over(start_fanfared, start_redis, redis):
    proxy = Proxy(redis.address)
    nodes = EngineNodes(start_fanfared, redis)
    here, there = nodes.node(port=proxy.port), nodes.node(port=proxy.port)
    followers = [Follower("k1").connect(node) for node in (here, there)]
    publish(here, "k1", "1", "2")
    for follower in followers:
        follower.read(2)
    replica = fail_over(redis, start_redis)
    with replica.connect() as client:
        client.ok("REPLICAOF", "NO", "ONE")  # it has 1 and 2 only
    publish(here, "k1", "3")
    for follower in followers:
        follower.read(1)
    before = followers[0].position
    redis.kill()
    proxy.address = replica.address
    proxy.cut()
    for node in (here, there):
        wait_until(lambda node=node: link(node)["state"] == "up" and link(node)["history_resets"] == "2", "it begins anew", 30)
    publish(there, "k1", "4")
    for follower in followers:
        follower.read(2)
        assert follower.got["k1"] == ["1", "2", "3", "4"] and (None, -1) in follower.marks
    late = Follower("k1")
    late.position = before
    late.connect(there)
    assert late.verdicts == {"k1": "lost"}


def test_a_replica_that_has_everything_takes_over(start_fanfared, start_redis, redis):
    proxy = Proxy(redis.address)
    nodes = EngineNodes(start_fanfared, redis)
    here, there = nodes.node(port=proxy.port), nodes.node(port=proxy.port)
    followers = [Follower("k1").connect(node) for node in (here, there)]
    replica = fail_over(redis, start_redis)
    publish(here, "k1", "1", "2")
    for follower in followers:
        follower.read(2)
    with replica.connect() as client, redis.connect() as master:
        master.ok("SET", "marker", "1")  # WAIT waits for what its own client has written, and what was before that
        assert master.call("WAIT", 1, 5000) == 1
        client.ok("REPLICAOF", "NO", "ONE")
    redis.kill()
    proxy.address = replica.address
    proxy.cut()
    for node in (here, there):
        wait_for_state(node, "up", 30)
    publish(there, "k1", "3")
    for follower in followers:
        follower.read()
        assert follower.got["k1"] == ["1", "2", "3"] and follower.marks == []
    for node in (here, there):
        assert link(node)["history_resets"] == "1"


def test_nobody_publishes_before_a_node_that_had_seen_more_is_linked(start_fanfared, start_redis, redis):
    proxies = [Proxy(redis.address) for _ in range(2)]
    nodes = EngineNodes(start_fanfared, redis)
    first, second = (nodes.node(port=proxy.port) for proxy in proxies)
    follower, other = Follower("k1").connect(first), Follower("k2").connect(second)
    publish(first, "k1", "1")
    publish(first, "k2", "2")
    follower.read()
    other.read()
    replica = fail_over(redis, start_redis)
    with replica.connect() as client:
        client.ok("REPLICAOF", "NO", "ONE")
    publish(second, "k2", "the replica lacks it")
    other.read()
    redis.kill()
    for proxy in proxies:
        proxy.address = replica.address
    proxies[1].cut(for_good=True)
    proxies[0].cut()
    wait_for_state(first, "joining")
    with first.client(3) as publisher:
        publisher.command("PUBLISH", "k1", "3")
        assert publisher.nothing_arrives(within=1)
        proxies[1].forward_again()
        reply = publisher.read_value()  # the node is linked again, as it has missed that history begins anew
        assert isinstance(reply, Error) and reply.text == b"CLUSTERDOWN The link to the upstream is down", reply
        wait_for_state(first)
        assert publisher.call("PUBLISH", "k1", "3") == 1
    follower.read(2)
    assert follower.got["k1"] == ["1", "3"] and follower.marks == [(None, -1)]
    epoch = history(first, "k1")[-1][0].split("-")[0]
    assert follower.position.split("-")[0] == epoch, "the mark comes before the message"
    wait_for_state(second)
    assert position_of(second).split("-")[0] == epoch


# Engines that do not fit


def test_a_fanfared_is_not_an_engine(start_fanfared):
    upstream = start_fanfared()
    nodes = EngineNodes(start_fanfared, upstream)
    node = nodes.node(waits=False)
    wait_for_error(node, "is not an engine")


def test_a_node_of_an_engine_is_not_an_upstream(nodes, start_fanfared):
    node = nodes.node()
    leaf = Nodes(start_fanfared, node).leaf(waits=False)
    wait_for_error(leaf, "link this node to that engine")


def test_an_engine_that_evicts_is_warned_of(nodes, redis):
    with redis.connect() as client:
        client.ok("CONFIG", "SET", "maxmemory", "1gb")
        node = nodes.node()
        assert link(node)["warning"] == ""
        client.ok("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        kill_links(redis)
        wait_until(lambda: link(node)["connections"] == "2", "it is linked again")
    warning = "its maxmemory-policy is volatile-lru, which may remove history; use noeviction"
    assert link(node)["warning"] == warning
    assert f"may lose history: {warning}" in node.log()


@pytest.mark.parametrize("rules, error", [
    ("&* +@all -evalsha", "evalsha"),
    ("&* +@all -script", "script"),
    ("&* +@all -info", "INFO has no run_id"),
    ("&* ~other:* +@all", "cannot be an engine"),
    ("&* +@all -set", "cannot be an engine"),  # of a check
    ("&* +@all -hscan", "cannot be an engine"),
])
def test_a_user_without_the_rights_is_told(nodes, redis, rules, error):
    with redis.connect() as client:
        client.ok("ACL", "SETUSER", "node", "on", ">secret", *rules.split(), "~fanfare:*" if "~" not in rules else "~nothing")
    node = nodes.node("--upstream-probe", 1, login="node:secret@", waits=False)
    wait_for_error(node, error)


def test_rights_that_queue_groups_need_are_told_when_there_is_one(nodes, redis):
    with redis.connect() as client:
        client.ok("ACL", "SETUSER", "node", "on", ">secret", "&*", "+@all", "-zadd", "~fanfare:*")
    node = nodes.node("--upstream-probe", 1, login="node:secret@")
    follower = Follower("k1").connect(node)
    publish(node, "k1", "1")
    follower.read()
    member = node.client(3)
    member.command("QSUBSCRIBE", "g", "k1")
    member.read_value()
    publish(node, "k1", "2")
    wait_for_error(node, "cannot be an engine")


def test_the_rights_of_the_manual_are_enough(nodes, redis):
    with redis.connect() as client:
        client.ok("ACL", "SETUSER", "node", "on", ">secret", "&*", "resetkeys", "~fanfare:*", "-@all", "+@pubsub", "+hello",
                  "+info", "+script|load", "+evalsha", "+hget", "+hset", "+hmget", "+hincrby", "+hexists", "+hscan", "+hdel", "+hgetall",
                  "+hlen", "+del", "+set", "+exists", "+pexpire", "+pttl", "+time", "+xadd", "+xdel", "+xrevrange", "+sadd", "+srem",
                  "+srandmember", "+zadd", "+zrem", "+zcard", "+zscore", "+zcount", "+zrange", "+zrangebyscore", "+zrangebylex",
                  "+zremrangebyrank")
    here, there = (nodes.node("--upstream-probe", 1, *MEMBERS, login="node:secret@") for _ in range(2))
    follower = Follower("k1").connect(here)
    member = here.client(3)
    member.command("QSUBSCRIBE", "g", "k1")
    member.read_value()
    publish(there, "k1", "1")
    follower.read()
    assert member.read_value() == [b"message", b"k1", b"1"]
    wait_until(lambda: int(link(here)["sent"]) >= 0 and int(link(here)["output_bytes"]) > 5000, "some probes")
    with here.connect() as client, there.connect() as other:
        assert client.call("PRESENCE", "JOIN", "m", "ann") == 1 and other.call("PRESENCE", "JOIN", "m", "ben") == 1
        wait_until(lambda: client.call("PRESENCE", "COUNT", "m") == [b"m", 2], "two members")
        assert len(client.call("PRESENCE", "MEMBERS", "m")[1]) == 6 and client.call("PRESENCE", "CHANNELS") == [b"m"]
        there.kill()
        wait_until(lambda: client.call("PRESENCE", "COUNT", "m") == [b"m", 1], "the other node's member has left")
    assert link(here)["last_error"] == "" and link(here)["refused"] == "0"


def test_a_key_of_a_wrong_type_refuses_messages_of_its_channel(nodes, redis):
    node = nodes.node()
    with redis.connect() as client:
        client.call("SET", "fanfare:history:k2", "x")
    with node.connect() as client:
        assert client.call("PUBLISH", "k2", "1").text.startswith(b"WRONGTYPE ")
        assert client.call("PUBLISH", "k1", "1") == 0
    assert link(node)["state"] == "up"


def test_a_flush_of_scripts_is_repaired(nodes, redis):
    node = nodes.node()
    follower = Follower("k1").connect(node)
    with redis.connect() as client:
        client.ok("SCRIPT", "FLUSH")
    with node.connect() as client:
        reply = client.call("PUBLISH", "k1", "1")
        assert isinstance(reply, Error) and reply.text.startswith(b"CLUSTERDOWN "), reply
    wait_for_state(node)
    publish(node, "k1", "2")
    follower.read()
    assert follower.got["k1"] == ["2"] and follower.marks == []


def test_forged_messages_do_no_harm(nodes, redis):
    """They look as kept messages do, without the secret. In a kept channel of a node they are payloads like others."""
    here, there = nodes.node(), nodes.node()
    follower = Follower("k1", "plain").connect(there)
    publish(here, "k1", "1")
    follower.read()
    epoch = int(follower.position.split("-")[0])
    texts = (b"", b"nonsense", b"%032d %d-%d 1 x" % (0, epoch, 2 ** 53 - 1), b"%032d " % 0)
    for server in (here, redis):
        for text in texts:
            for channel in ("k1", "plain"):
                with server.connect() as client:
                    assert isinstance(client.call("PUBLISH", channel, b"\0ff1 " + text), int)
    publish(here, "k1", "2")
    follower.read(5)
    assert follower.got == {"k1": ["1", *("\0ff1 " + text.decode() for text in texts), "2"], "plain": []}
    assert follower.marks == []
    for node in (here, there):
        assert link(node)["connections"] == "1"


@pytest.mark.parametrize("field, value", [("seq", 2 ** 53 - 1), ("seq", "x"), ("epoch", "x"), ("epoch", 0), ("holes", "5-1"),
                                          ("secret", "")])
def test_keys_that_somebody_has_changed_can_be_removed(nodes, redis, field, value):
    """As DIAGNOSTICS says; what nodes mend themselves needs no such help."""
    node = nodes.node()
    publish(node, "k1", "1")
    with redis.connect() as client:
        client.call("HSET", "fanfare:engine", field, value)
        client.call("CLIENT", "KILL", "TYPE", "pubsub")
        wait_until(lambda: link(node)["last_error"] != "", "the link breaks")
        wait_until(lambda: link(node)["state"] == "up" or "its history is not valid" in link(node)["last_error"]
                   or "cannot be an engine" in link(node)["last_error"], "it is up again, or says why not")
        client.call("DEL", "fanfare:engine", "fanfare:channels")
        client.call("CLIENT", "KILL", "TYPE", "pubsub")
    follower = Follower("k1")
    wait_until(lambda: link(node)["state"] == "up" and int(link(node)["history_resets"]) > 1, "history begins anew", 30)
    follower.connect(node)
    publish(node, "k1", "2")
    follower.read()
    assert follower.got == {"k1": ["2"]} and follower.marks == []


def test_missing_keys_are_noticed_by_checks(nodes, redis):
    """A message that was published without this node: nobody but a faulty engine does that."""
    node = nodes.node("--upstream-probe", 1)
    follower = Follower("k1").connect(node)
    publish(node, "k1", "1")
    follower.read()
    epoch, seq = map(int, follower.position.split("-"))
    with redis.connect() as client:
        number, _, start = map(int, client.call("HGET", "fanfare:channels", "k1").split())
        client.call("XADD", "fanfare:history:k1", f"{epoch}-{seq + 1}", "n", number + 1, "t", 0, "p", "silent")
        client.call("HSET", "fanfare:engine", "seq", seq + 1)
        client.call("HSET", "fanfare:channels", "k1", f"{number + 1} {seq + 1} {start}")
    follower.read()
    assert follower.got["k1"] == ["1", "silent"] and follower.marks == []


def test_forgotten_channels_leave_nothing_at_the_engine(nodes, redis):
    keep = ("--channel", "k*", "history-size", 100, "history-ttl", 1)
    node = nodes.node("--upstream-probe", 1, keep=keep)
    follower = Follower("k1").connect(node)
    publish(node, "k1", "1")
    for n in range(200):
        publish(node, f"k{n}", "x")
    with redis.connect() as client:
        wait_until(lambda: client.call("HKEYS", "fanfare:channels") == [b"\0fanfare"], "all are forgotten", 40)
        assert client.call("KEYS", "fanfare:history:*") == []
    publish(node, "k1", "2")
    follower.drain()
    assert follower.got["k1"] == ["1", "x", "2"] and follower.marks == []
    assert link(node)["last_error"] == ""


# Random


def test_random_moves_of_clients_between_nodes(nodes, redis):
    """Followers go from node to node while messages are published and links break: nothing is missing or comes twice."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rand = random.Random(seed)
    proxies = [Proxy(redis.address) for _ in range(2)]
    servers = [nodes.node(), *(nodes.node(port=proxy.port) for proxy in proxies)]
    followers = [Follower(*rand.sample(["k1", "k2", "k3", "k4"], rand.randrange(1, 5))) for _ in range(8)]
    begins, published = {}, {f"k{n}": [] for n in range(1, 5)}
    for follower in followers:
        follower.connect(rand.choice(servers))
        publish(servers[0], follower.channels[0], "first")
        published[follower.channels[0]].append("first")
        begins[follower] = {channel: len(published[channel]) for channel in follower.channels}
        follower.drain()
        wait_until(lambda f=follower: f.drain() or f.position is not None, "it has a position")
        begins[follower] = {channel: len(published[channel]) - len(follower.got[channel]) for channel in follower.channels}
    for n in range(150):
        what = rand.random()
        if what < 0.55:
            channel = rand.choice(list(published))
            publish(servers[0], channel, f"{n}")
            published[channel].append(f"{n}")
        elif what < 0.9:
            follower = rand.choice(followers)
            follower.drain()
            follower.leave()
            follower.connect(rand.choice(servers))
            assert "lost" not in follower.verdicts.values()
        elif what < 0.95:
            rand.choice(proxies).cut()
        else:
            for node in servers:
                wait_until(lambda node=node: link(node)["state"] == "up", "it is linked", 30)
    for node in servers:
        wait_until(lambda node=node: link(node)["state"] == "up", "it is linked", 30)
    for follower in followers:
        for channel in follower.channels:
            wanted = published[channel][begins[follower][channel]:]
            wait_until(lambda: follower.drain() or len(follower.got[channel]) >= len(wanted), f"{channel} {wanted}")
            assert follower.got[channel] == wanted
        assert follower.marks == []
