"""HISTORY DEL at a node of an engine: all nodes remove the messages, also those that were away, and positions from before
are lost at each of them."""

import pytest

from lib.nodes import Nodes, Proxy, link, wait_for_state
from lib.resp import Error
from lib.wait import wait_until

KEEP = ("--channel", "k*", "history-size", 100, "history-ttl", 600)


class EngineNodes(Nodes):
    def node(self, *options, **more):
        return self.leaf("--upstream-mode", "engine", *KEEP, *options, **more)


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def nodes(start_fanfared, redis):
    return EngineNodes(start_fanfared, redis)


def publish(node, channel, *payloads):
    with node.connect() as client:
        for payload in payloads:
            reply = client.call("PUBLISH", channel, payload)
            assert isinstance(reply, int), reply


def delete(node, channel):
    with node.connect() as client:
        return client.call("HISTORY", "DEL", channel)


def history(node, channel):
    """[(position, payload)]"""
    with node.connect() as client:
        reply = client.call("HISTORY", "RANGE", channel, "-", "+")
        assert not isinstance(reply, Error), reply
        return [(position.decode(), payload.decode()) for position, payload in reply]


def payloads(node, channel):
    return [payload for _, payload in history(node, channel)]


def becomes(node, channel, wanted):
    wait_until(lambda: payloads(node, channel) == wanted, f"the history is {wanted}")


def verdict(node, channel, position):
    with node.client(3) as client:
        return client.call("RESUME", channel, position)[0][1].decode()


def test_a_deletion_is_that_of_all_nodes(nodes, redis):
    here, there, late = nodes.node(), nodes.node(), nodes.node()
    publish(here, "k1", "1", "2", "3")
    publish(there, "k2", "other")
    before = history(there, "k1")
    assert history(here, "k1") == before
    assert delete(here, "k1") == 3
    with redis.connect() as client:
        assert client.call("XLEN", "fanfare:history:k1") == 1, "the engine has the mark only"
    assert payloads(here, "k1") == []
    becomes(there, "k1", [])
    assert payloads(late, "k1") == []
    assert delete(there, "k1") == 0 and delete(late, "unknown") == 0 and delete(here, "knew") == 0
    publish(late, "k1", "4")
    for node in (here, there, late, nodes.node()):
        becomes(node, "k1", ["4"])
        assert payloads(node, "k2") == ["other"]
        for position, _ in before[:-1]:
            assert verdict(node, "k1", position) == "lost"
        assert verdict(node, "k1", before[-1][0]) == "resumed"  # nothing behind it was removed


def test_subscribers_miss_nothing_by_a_deletion(nodes):
    here, there = nodes.node(), nodes.node()
    with there.client(3) as client:
        client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        client.subscribe("k1")
        for n in range(6):
            publish(here, "k1", f"{n}")
            if n % 2:
                assert delete(here, "k1") == 2
        assert [client.read_value()[2] for _ in range(6)] == [b"%d" % n for n in range(6)]
        assert client.nothing_arrives()


def test_a_node_that_was_away_removes_them_later(nodes, redis):
    proxy = Proxy(redis.address)
    here, there = nodes.node(), nodes.node(port=proxy.port)
    with there.client(3) as client:
        client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        client.subscribe("k1", "k2")
        publish(here, "k1", "1", "2")
        publish(here, "k2", "3")
        assert [client.read_value()[2] for _ in range(3)] == [b"1", b"2", b"3"]
        before = history(there, "k1")
        proxy.stop()
        proxy.cut()
        proxy.stop()
        assert delete(here, "k1") == 2
        publish(here, "k1", "4")
        publish(here, "k2", "5")
        assert delete(here, "k2") == 2
        proxy.go()
        wait_until(lambda: link(there)["connections"] == "2", "it is linked again", 30)
        wait_for_state(there)
        # 5 was published while the node was away, and is gone.
        assert client.read_value()[2] == b"4"
        assert client.read_value() == [b"lagged", 1]
    becomes(there, "k1", ["4"])
    assert payloads(there, "k2") == []
    assert verdict(there, "k1", before[0][0]) == "lost" and verdict(there, "k1", before[1][0]) == "resumed"


def test_a_pipeline_and_a_transaction(nodes):
    here = nodes.node()
    assert payloads(here, "k1") == []
    with here.connect() as client:
        for words in [("PUBLISH", "k1", "1"), ("HISTORY", "DEL", "k1"), ("HISTORY", "LEN", "k1"), ("PUBLISH", "k1", "2"),
                      ("HISTORY", "LEN", "k1")]:
            client.command(*words)
        assert [client.read_value() for _ in range(3)] == [0, 1, 0]
        assert client.read_value() == 0
        client.read_value()
        becomes(here, "k1", ["2"])
        client.ok("MULTI")
        client.call("HISTORY", "DEL", "k1")
        client.call("HISTORY", "DEL", "k9")
        replies = client.call("EXEC")
        assert replies[0] == 1 and isinstance(replies[1], Error)
    becomes(here, "k1", [])


def test_a_reader_that_waits_is_not_disturbed(nodes):
    here, there = nodes.node(), nodes.node()
    publish(here, "k1", "1")
    becomes(there, "k1", ["1"])  # a reader that waits until it is loaded begins behind that
    with there.connect() as reader:
        reader.command("HISTORY", "READ", "BLOCK", 10000, "CHANNELS", "k1", "$")
        with there.connect() as client:
            wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
        assert delete(here, "k1") == 1
        publish(here, "k1", "2")
        assert reader.read_value()[0][1][0][1] == b"2"


def test_it_is_refused_while_the_engine_is_down(nodes, redis):
    here = nodes.node()
    publish(here, "k1", "1")
    assert payloads(here, "k1") == ["1"]
    redis.kill()
    wait_for_state(here, "down")
    assert delete(here, "k1").text.startswith(b"CLUSTERDOWN ")
    assert delete(here, "plain") == 0
