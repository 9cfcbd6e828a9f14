"""Nodes at a Redis Cluster: sharded channels, slots that move, masters that fail."""

import os
import signal
import threading

import pytest

from lib.nodes import Reader, link, names_at, wait_for_error, wait_for_state
from lib.redis_cluster import RedisCluster, slot_of
from lib.resp import Error
from lib.wait import wait_until

CLUSTER = ("--upstream-mode", "cluster")


class ClusterNodes:
    def __init__(self, start, cluster):
        self.start = start
        self.cluster = cluster

    def node(self, *options, urls=None, waits=True):
        node = self.start("--upstream", urls or self.cluster.urls(), *CLUSTER, "--ignore-redis-files", "yes", *options)
        if waits:
            wait_for_state(node)
        return node


@pytest.fixture
def cluster(start_redis):
    return RedisCluster(start_redis)


@pytest.fixture
def nodes(start_fanfared, cluster):
    return ClusterNodes(start_fanfared, cluster)


def test_messages_go_to_the_subscribers_of_each_node(nodes):
    one, two = nodes.node(), nodes.node()
    channels = [f"channel:{i}" for i in range(200)]
    readers = [Reader(node, version, *(("SUBSCRIBE", name) for name in channels)) for node in (one, two) for version in (2, 3)]
    with one.connect() as a, two.connect() as b:
        for n in range(3):
            for name in channels:
                for publisher, payload in ((a, f"a{n}"), (b, f"b{n}")):
                    assert publisher.call("PUBLISH", name, payload) == 2
    for reader in readers:
        reader.read_until(lambda got: all(len(got[name]) == 6 for name in channels))
        for name in channels:
            assert [payload for _, payload in reader.got[name]] == [b"a0", b"b0", b"a1", b"b1", b"a2", b"b2"]
    assert link(one)["shards"] == link(one)["shards_up"] == "3"


def shards_up(node):
    return int(link(node)["shards_up"])


def shards(node):
    """INFO link of each shard, by its address."""
    lines = (dict(pair.split("=") for pair in value.split(","))
             for name, value in link(node).items() if name.removeprefix("shard").isdigit())
    return {line["address"]: line for line in lines}


def test_info_has_a_line_for_each_shard(nodes, cluster):
    node = nodes.node("--upstream-linger", 0)
    busy, down = cluster.masters[:2]
    channel = cluster.channel_at(busy)
    address, lost = (f"127.0.0.1:{master.port}" for master in (busy, down))
    reader = Reader(node, 3, ("SUBSCRIBE", channel))
    with node.connect() as client:
        for n in range(7):
            client.call("PUBLISH", channel, n)
    reader.read_until(lambda got: len(got[channel]) == 7)
    lines = shards(node)
    assert set(lines) == {f"127.0.0.1:{master.port}" for master in cluster.masters}
    assert lines[address] == dict(address=address, state="up", slots="5461", queued="0", unanswered="0", received="7", sent="7")
    assert sum(int(line["slots"]) for line in lines.values()) == 16384
    assert lines[lost]["received"] == lines[lost]["sent"] == "0"
    down.kill()
    wait_until(lambda: shards(node)[lost]["state"] == "down", "the loss is shown")
    os.kill(busy.pid, signal.SIGSTOP)
    try:
        with node.connect() as client:
            client.command("PUBLISH", channel, "waits")
            wait_until(lambda: shards(node)[address]["unanswered"] == "1", "the message waits for its answer")
    finally:
        os.kill(busy.pid, signal.SIGCONT)
    wait_until(lambda: shards(node)[address]["unanswered"] == "0", "the message was answered")


class Stream:
    """Numbers that are published in some channels at a node, one after the other in each, until it is stopped."""

    def __init__(self, node, *channels, window=20):
        self.node = node
        self.channels = channels
        self.window = window
        self.stops = threading.Event()
        self.sent = dict.fromkeys(channels, 0)
        self.errors = []
        self.refused = {channel: set() for channel in channels}
        self.thread = threading.Thread(target=self.run)

    def run(self):
        asked = []

        def answer(client):
            channel, number = asked.pop(0)
            reply = client.read_value()
            if isinstance(reply, Error):
                self.errors.append(reply)
                self.refused[channel].add(number)

        try:
            with self.node.connect(timeout=60) as client:
                while not self.stops.is_set():
                    for channel in self.channels:
                        client.command("PUBLISH", channel, self.sent[channel])
                        asked.append((channel, self.sent[channel]))
                        self.sent[channel] += 1
                    while len(asked) > self.window:
                        answer(client)
                while asked:
                    answer(client)
        except Exception as error:
            self.errors.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stops.set()
        self.thread.join()


class Marked:
    """A subscriber that is told of gaps: events[channel] are numbers, and None for a mark."""

    def __init__(self, node, *channels):
        self.client = node.client(3)
        self.client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        self.events = {channel: [] for channel in channels}
        self.client.subscribe(*channels)

    def read(self):
        frame = self.client.read_value()
        if frame[0] == b"lagged":
            for events in self.events.values():
                events.append(None)
        else:
            self.events[frame[1].decode()].append(frame[2])

    def read_until(self, payload):
        """The last message of each channel."""
        while not all(events and payload in events[-3:] for events in self.events.values()):
            self.read()

    def check(self, stream, channel, last):
        """In order, each once, and what is missing is behind a mark or was refused. Returns the number of missing ones."""
        missing, expected, has_mark = 0, 0, False
        for event in self.events[channel]:
            if event is None:
                has_mark = True
            elif event != last:
                number = int(event)
                assert number >= expected, (channel, number, expected)
                lost = set(range(expected, number)) - stream.refused[channel]
                assert not lost or has_mark, (channel, sorted(lost)[:10])
                missing += len(lost)
                expected, has_mark = number + 1, False
        lost = set(range(expected, stream.sent[channel])) - stream.refused[channel]
        assert not lost or has_mark, (channel, sorted(lost)[:10])
        return missing + len(lost)


def test_a_channel_and_a_shard_channel_of_a_name_are_one(nodes):
    one, two = nodes.node(), nodes.node()
    reader = Reader(one, 3, ("SUBSCRIBE", "x"), ("SSUBSCRIBE", "x"))
    other = Reader(two, 2, ("SSUBSCRIBE", "x"))
    with two.connect() as client:
        assert client.call("PUBLISH", "x", "p") == client.call("SPUBLISH", "x", "s") == 1
    reader.read_until(lambda got: len(got["x"]) == 4)
    other.read_until(lambda got: len(got["x"]) == 2)
    assert [payload for _, payload in reader.got["x"]] == [b"p", b"p", b"s", b"s"]
    assert [payload for _, payload in other.got["x"]] == [b"p", b"s"]


def test_a_node_without_interest_receives_nothing(nodes):
    one, two = nodes.node("--upstream-probe", 3600), nodes.node()
    reader = Reader(two, 3, ("SUBSCRIBE", "big"))
    before = int(link(one)["input_bytes"])
    with two.connect() as client:
        for _ in range(1000):
            client.call("PUBLISH", "big", "x" * 1000)
    reader.read_until(lambda got: len(got["big"]) == 1000)
    assert int(link(one)["input_bytes"]) - before < 1000
    assert link(one)["received"] == "0"


def test_a_name_is_left_when_its_last_subscriber_has_gone(nodes, cluster):
    node = nodes.node("--upstream-linger", 0)
    channel = cluster.channel_at(cluster.masters[1])
    reader = Reader(node, 3, ("SUBSCRIBE", channel), ("SSUBSCRIBE", channel))
    assert names_at(cluster.masters[1], kind="SHARDCHANNELS") == {channel}
    reader.client.call("UNSUBSCRIBE", channel)
    with node.connect() as client:
        client.call("PUBLISH", channel, "still")
    reader.read_until(lambda got: len(got[channel]) == 1)
    reader.client.close()
    wait_until(lambda: names_at(cluster.masters[1], kind="SHARDCHANNELS") == set(), "the name was left", 20)
    assert link(node)["state"] == "up"


def test_a_slot_moves_while_its_channel_is_used(nodes, cluster):
    one, two = nodes.node("--upstream-linger", 0), nodes.node("--upstream-linger", 0)
    channel = cluster.channel_at(cluster.masters[0])
    still = cluster.channel_at(cluster.masters[2])
    reader = Marked(two, channel, still)
    with Stream(one, channel, still) as stream:
        for target in (1, 2, 0, 1):
            before = stream.sent[channel]
            cluster.move(slot_of(channel), cluster.masters[target])
            wait_until(lambda: stream.sent[channel] > before + 200, "the stream goes on", 30)
    assert stream.errors == []
    with one.connect() as client:
        wait_until(lambda: names_at(cluster.masters[1], kind="SHARDCHANNELS") >= {channel}, "the name has moved", 20)
        for name in (channel, still):
            assert client.call("PUBLISH", name, "end") == 0
    reader.read_until(b"end")
    reader.check(stream, channel, b"end")
    assert reader.check(stream, still, b"end") == 0
    for node in (one, two):
        assert link(node)["state"] == "up"
        assert link(node)["connections"] == "3"


def test_a_subscription_of_a_slot_that_has_moved_goes_to_its_shard(nodes, cluster):
    node = nodes.node("--upstream-probe", 3600)
    channel = cluster.channel_at(cluster.masters[0])
    cluster.move(slot_of(channel), cluster.masters[1])
    reader = Reader(node, 3, ("SUBSCRIBE", channel))
    assert channel in names_at(cluster.masters[1], kind="SHARDCHANNELS")
    cluster.move(slot_of(channel), cluster.masters[2])
    with node.connect() as client:
        for n in range(10):
            assert client.call("PUBLISH", channel, n) == 1
    wait_until(lambda: channel in names_at(cluster.masters[2], kind="SHARDCHANNELS"), "the name has moved", 20)
    with node.connect() as client:
        client.call("PUBLISH", channel, "end")
    reader.read_until(lambda got: got[channel][-1:] == [(channel, b"end")])


def test_a_shard_without_master_does_not_stop_the_others(start_fanfared, start_redis):
    cluster = RedisCluster(start_redis, options=("--cluster-require-full-coverage", "no"))
    nodes = ClusterNodes(start_fanfared, cluster)
    node = nodes.node("--upstream-probe", 1)
    lost, good = cluster.channel_at(cluster.masters[0]), cluster.channel_at(cluster.masters[1])
    reader = Marked(node, good, lost)
    cluster.masters[0].kill()
    wait_for_state(node, "partial")
    with node.connect() as client:
        assert client.call("PUBLISH", lost, "x") == Error(b"CLUSTERDOWN The link to the upstream is down")
        assert client.call("PUBLISH", good, "1") == 1
    while reader.events[good] != [b"1"]:
        reader.read()
    assert link(node)["shards_up"] == "2"


def test_nobody_waits_for_a_cluster_that_is_down(start_fanfared, start_redis):
    """It serves no slots when one of them has no master."""
    cluster = RedisCluster(start_redis, options=("--cluster-allow-pubsubshard-when-down", "no"))
    node = ClusterNodes(start_fanfared, cluster).node()
    lost, good = cluster.masters[:2]
    channel = cluster.channel_at(good)
    lost.kill()
    wait_until(lambda: b"cluster_state:fail" in cluster.call(good, "CLUSTER", "INFO"), "the cluster is down", 20)
    reader = Marked(node, channel)
    with node.connect() as client:
        assert "CLUSTERDOWN" in str(client.call("PUBLISH", channel, "x"))
    lost.start(lost.port)
    reader.read()
    assert reader.events[channel] == [None]
    with node.connect() as client:
        client.call("PUBLISH", channel, "y")
    reader.read_until(b"y")


def test_a_replica_takes_over(start_fanfared, start_redis):
    cluster = RedisCluster(start_redis, replicas=True)
    nodes = ClusterNodes(start_fanfared, cluster)
    one, two = nodes.node("--upstream-probe", 2), nodes.node("--upstream-probe", 2)
    moved, still = cluster.channel_at(cluster.masters[0]), cluster.channel_at(cluster.masters[1])
    readers = [Marked(two, moved), Marked(two, still)]
    with Stream(one, still, moved) as stream:
        wait_until(lambda: stream.sent[still] > 100, "the stream goes on")
        cluster.masters[0].kill()
        wait_until(lambda: link(one)["state"] != "up", "the loss is noticed", 20)
        for node in (one, two):
            wait_for_state(node, within=30)
        before = stream.sent[moved]
        wait_until(lambda: stream.sent[moved] > before + 100, "the stream goes on", 20)
    assert all(isinstance(error, Error) and "CLUSTERDOWN" in str(error) for error in stream.errors), stream.errors[-1]
    wait_until(lambda: moved in names_at(cluster.replicas[0], kind="SHARDCHANNELS"), "the name has moved", 20)
    with one.connect() as client:
        for name in (moved, still):
            client.call("PUBLISH", name, "end")
    for reader, name in zip(readers, (moved, still)):
        reader.read_until(b"end")
    readers[0].check(stream, moved, b"end")
    assert None in readers[0].events[moved]


def test_a_planned_failover_refuses_no_message(start_fanfared, start_redis):
    """The old master is a replica then, and takes messages until the nodes know. A replica can be the seed, too."""
    cluster = RedisCluster(start_redis, replicas=True)
    nodes = ClusterNodes(start_fanfared, cluster)
    one, two = nodes.node("--upstream-probe", 1, urls=cluster.urls(cluster.replicas[1])), nodes.node("--upstream-probe", 1)
    assert shards_up(one) == 3
    channel = cluster.channel_at(cluster.masters[0])
    reader = Marked(two, channel)
    with Stream(one, channel) as stream:
        for node in (cluster.replicas[0], cluster.masters[0]):
            wait_until(lambda: b"master_link_status:up" in cluster.call(node, "INFO", "replication"), "the replica follows", 20)
            assert cluster.call(node, "CLUSTER", "FAILOVER") == b"OK"
            for server in (one, two):
                wait_until(lambda: f"127.0.0.1:{node.port}" in shards(server) and shards_up(server) == 3, "the replica has taken over", 20)
            before = stream.sent[channel]
            wait_until(lambda: stream.sent[channel] > before + 200, "the stream goes on", 20)
    assert stream.errors == []
    wait_until(lambda: channel in names_at(cluster.masters[0], kind="SHARDCHANNELS"), "the name has moved", 20)
    with one.connect() as client:
        client.call("PUBLISH", channel, "end")
    reader.read_until(b"end")
    reader.check(stream, channel, b"end")
    assert link(one)["connections"] == "5"


def test_a_seed_that_does_not_answer_is_passed_over(nodes, cluster, start_redis):
    alone = start_redis()
    port = alone.port
    node = nodes.node(urls=f"redis://127.0.0.1:1 redis://127.0.0.1:{port} {cluster.urls(cluster.masters[2])}")
    assert shards_up(node) == 3


def test_servers_that_are_no_nodes_of_a_cluster_are_refused(start_fanfared, start_redis):
    for server, why in ((start_redis(), "the upstream is not a node of a Redis Cluster"),
                        (start_fanfared(), "the upstream is a fanfared")):
        node = start_fanfared("--upstream", f"redis://127.0.0.1:{server.port}", *CLUSTER)
        wait_for_error(node, why)
        assert link(node)["state"] == "seeking"


def test_nodes_log_in_at_each_shard(start_fanfared, start_redis):
    cluster = RedisCluster(start_redis, password="s3cret")
    nodes = ClusterNodes(start_fanfared, cluster)
    node = nodes.node()
    reader = Reader(node, 3, *(("SUBSCRIBE", f"c{i}") for i in range(10)))
    with node.connect() as client:
        for i in range(10):
            assert client.call("PUBLISH", f"c{i}", "x") == 1
    reader.read_until(lambda got: sum(map(len, got.values())) == 10)
    wrong = nodes.node(urls=cluster.urls(login=":wrong@"), waits=False)
    wait_for_error(wrong, "WRONGPASS")


def test_the_rights_of_the_manual_suffice(nodes, cluster):
    for master in cluster.masters:
        assert cluster.call(master, "ACL", "SETUSER", "edge", "on", ">secret", "resetchannels", "&orders.*", "&__fanfare__:probe:*",
                            *"&fanfare:globs* &fanfare:feed:* +eval".split(),
                            *"+hello +ping +spublish +ssubscribe +sunsubscribe +cluster|info +cluster|slots".split()) == b"OK"
    node = nodes.node("--upstream-linger", 0, urls=cluster.urls(login="edge:secret@"))
    reader = Reader(node, 3, ("SUBSCRIBE", "orders.1"))
    with node.connect() as client:
        assert client.call("PUBLISH", "orders.1", "x") == 1
        assert "NOPERM" in str(client.call("PUBLISH", "other", "x"))
        assert "NOPERM the upstream does not let this node" in str(client.call("SUBSCRIBE", "other"))
    reader.read_until(lambda got: len(got["orders.1"]) == 1)
    pattern = Reader(node, 3, ("PSUBSCRIBE", "orders.*"))
    with node.connect() as client:
        assert client.call("PUBLISH", "orders.2", "y") == 1
    pattern.read_until(lambda got: got["orders.*"] == [("orders.2", b"y")])
    reader.client.close()
    wait_until(lambda: link(node)["names"] == "1", "the name was left", 20)  # "other" is remembered
    assert link(node)["connections"] == "3"


def test_history_is_that_of_the_node_until_a_slot_moves(nodes, cluster):
    node = nodes.node("--channel", "k*", "history-size", 100, "history-ttl", 600)
    channel = cluster.channel_at(cluster.masters[0], prefix="k")
    reader = Reader(node, 3, ("SUBSCRIBE", channel))
    with node.connect() as client:
        position = client.call("HISTORY", "POSITION")
        for n in range(5):
            client.call("PUBLISH", channel, n)
        reader.read_until(lambda got: len(got[channel]) == 5)
        assert client.call("RESUME", channel, position)[0][1] == b"resumed"
        cluster.move(slot_of(channel), cluster.masters[1])
        wait_until(lambda: client.call("RESUME", channel, position)[0][1] == b"lost", "the position is lost")
        wait_until(lambda: channel in names_at(cluster.masters[1], kind="SHARDCHANNELS"), "the name has moved", 20)
