"""Nodes of an engine: the position in the replies to publishers, also to those that repeat a message, and while the engine
does not answer."""

import json

import pytest

from lib.browser import Http, ask
from lib.nodes import Proxy, link, wait_for_state
from lib.nodes_edge import EdgeNodes
from lib.resp import Error
from lib.wait import wait_until


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def nodes(start_fanfared, redis):
    return EdgeNodes(start_fanfared, redis)


def history(node, channel):
    """[(position, payload)]"""
    with node.connect() as client:
        reply = client.call("HISTORY", "RANGE", channel, "-", "+")
        assert not isinstance(reply, Error), reply
        return [(position.decode(), payload.decode()) for position, payload in reply]


def result(client, *words):
    reply = client.call("PUBLISHX", *words, "RESULT")
    assert not isinstance(reply, Error), reply
    return dict(zip((name.decode() for name in reply[::2]), reply[1::2]))


def in_flight(node, count=1):
    """The node waits for the answers to this many messages."""
    with node.connect() as client:
        wait_until(lambda: client.info("clients")["blocked_clients"] == str(count), "clients that wait for positions")


def test_a_publisher_gets_the_position_of_its_message(nodes):
    here, there = nodes.node(), nodes.node()
    with here.connect() as client:
        first = result(client, "k1", "1")
        assert result(client, "plain", "x")["position"] == b"0-0"
        second = result(client, "k1", "2", "IDKEY", "a")
        assert second["duplicate"] == 0
    body = json.loads(ask(there.http_port, "POST", "/pub/k1", body=b"3").body)
    assert body == {"receivers": 0, "position": history(here, "k1")[2][0]}
    positions = [first["position"].decode(), second["position"].decode(), body["position"]]
    assert list(zip(positions, "123")) == history(here, "k1") == history(there, "k1")


def test_a_repeat_returns_the_first_position(nodes):
    here = nodes.node()
    with here.connect() as client, here.connect() as other:
        assert client.call("PUBLISHX", "k1", "1", "IDKEY", "a") == 0
        first = result(other, "k1", "1", "IDKEY", "a")
        assert first["duplicate"] == 1 and first["position"].decode() == history(here, "k1")[0][0]
        assert result(client, "k1", "1", "IDKEY", "a") == first
    key = {"X-Idempotency-Key": "a"}
    assert json.loads(ask(here.http_port, "POST", "/pub/k1", key, b"1").body) == {
        "receivers": 0, "position": first["position"].decode(), "duplicate": True}
    assert len(history(here, "k1")) == 1


def test_a_repeat_waits_for_the_position_of_a_message_on_its_way(nodes, redis):
    proxy = Proxy(redis.address)
    here = nodes.node(port=proxy.port)
    with here.connect() as client, here.connect() as other:
        proxy.stop(proxy.up)
        client.command("PUBLISHX", "k1", "1", "IDKEY", "a")
        wait_until(lambda: link(here)["sent"] == "1", "it is sent")
        other.command("PUBLISHX", "k1", "1", "IDKEY", "a", "RESULT")
        in_flight(here)
        proxy.go()
        assert client.read_value() == 0
        reply = other.read_value()
        assert reply[9].decode() == history(here, "k1")[0][0] and reply[11] == 1


def test_replies_of_a_pipeline_have_their_positions(nodes):
    here = nodes.node()
    with here.connect() as client:
        for n in range(20):
            client.command("PUBLISHX", "k1", f"{n}", *(["RESULT"] if n % 3 else []))
            client.command("PING")
        got = []
        for n in range(20):
            reply = client.read_value()
            got.append(reply[9].decode() if n % 3 else reply)
            assert client.read_value() == b"PONG"
    kept = history(here, "k1")
    assert [payload for _, payload in kept] == [f"{n}" for n in range(20)]
    assert got == [position if n % 3 else 0 for n, (position, _) in enumerate(kept)]


def test_a_transaction_and_a_script_get_no_position(nodes):
    here = nodes.node()
    with here.connect() as client:
        client.ok("MULTI")
        client.call("PUBLISHX", "k1", "1", "RESULT")
        client.call("PING")
        replies = client.call("EXEC")
        assert replies[0][9] == b"0-0" and replies[1] == b"PONG"
        script = "return redis.call('PUBLISHX', 'k1', '2', 'RESULT')"
        assert client.call("EVAL", script, 0)[9] == b"0-0"
    assert len(history(here, "k1")) == 2


def test_a_message_that_is_too_long_to_be_kept_has_no_position(nodes):
    keep = ("--channel", "k*", "history-size", 10, "history-ttl", 600, "history-message-bytes", 10)
    here = nodes.node(keep=keep)
    with here.connect() as client:
        assert result(client, "k1", "short")["position"] != b"0-0"
        assert result(client, "k1", "x" * 11)["position"] == b"0-0"


def test_a_lost_link_is_an_error(nodes, redis):
    proxy = Proxy(redis.address)
    here = nodes.node(port=proxy.port)
    with here.connect() as client, Http(here.http_port) as http:
        proxy.stop(proxy.up)
        client.command("PUBLISHX", "k1", "1", "IDKEY", "a", "RESULT")
        http.request("POST", "/pub/k1", {}, b"2")
        in_flight(here, 2)
        proxy.cut()
        reply = client.read_value()
        assert isinstance(reply, Error) and reply.text.startswith(b"CLUSTERDOWN The link to the upstream was lost"), reply
        assert http.is_closed()
        wait_for_state(here)
        assert result(client, "k1", "1", "IDKEY", "a")["position"] == b"0-0"  # the key is used up


def test_an_error_of_the_engine_is_that_of_the_message(nodes, redis):
    here = nodes.node()
    with redis.connect() as client:
        client.call("SET", "fanfare:history:k2", "x")
    with here.connect() as client, Http(here.http_port) as http:
        assert client.call("PUBLISHX", "k2", "1", "RESULT").text.startswith(b"WRONGTYPE ")
        http.request("POST", "/pub/k2", {}, b"2")
        assert http.is_closed()
        assert result(client, "k1", "1")["position"] != b"0-0"


def test_a_publisher_that_leaves_while_it_waits(nodes, redis):
    proxy = Proxy(redis.address)
    here = nodes.node(port=proxy.port)
    with here.connect() as stays:
        with here.connect() as leaves:
            proxy.stop(proxy.up)
            leaves.command("PUBLISHX", "k1", "1", "RESULT")
            in_flight(here)
            stays.command("PUBLISHX", "k1", "2", "RESULT")
            in_flight(here, 2)
        proxy.go()
        reply = stays.read_value()
    assert history(here, "k1") == [(history(here, "k1")[0][0], "1"), (reply[9].decode(), "2")]
