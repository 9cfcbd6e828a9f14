"""centrifuge-js and ws, unchanged: WebSockets with the clients that browsers and Node programs use."""

import json
import os
import pathlib
import subprocess
import time

import pytest

from lib.centrifuge import Client
from lib.edge_socket import Edge
from lib.tokens import make_token
from lib.wait import seconds

JS = pathlib.Path(__file__).parent / "js"


@pytest.fixture
def edge(start_fanfared):
    return Edge(start_fanfared)


def test_centrifuge_js_subscribes_publishes_and_reads(edge, node_modules):
    with Client(edge, node_modules) as client:
        client.do("connect", [make_token(sub="ann", info={"name": "Ann"})])
        client.wait_for("connected")
        client.subscribe("news")
        client.subscribe("room")
        _, base = edge.position()
        edge.publish("news", b'{"n":1}')
        client.expect("publication", "news", {"n": 1}, base + 1, None)
        client.do("publish", "news", {"n": 2})
        assert sorted(client.json_line()[0] for _ in range(2)) == ["publication", "published"]
        client.do("history", "news", {"limit": 10})
        client.expect("history", [{"n": 1}, {"n": 2}], base + 2)
        client.do("history", "news", {"limit": 1, "reverse": True})
        client.expect("history", [{"n": 2}], base + 2)
        client.do("presence", "room")
        client.expect("presence", [["ann", {"name": "Ann"}]])
        client.do("stats", "room")
        client.expect("stats", {"numClients": 1, "numUsers": 1})
        client.do("history", "plain", {"limit": 1})
        client.expect("failed", "history", 108)
        client.subscribe("glob:new*")
        edge.publish("news", b"text")
        assert [client.json_line() for _ in range(2)] == [
            ["publication", "news", "text", base + 3, {"type": "text"}],
            ["publication", "glob:new*", "text", base + 3, {"channel": "news", "type": "text"}]]
        client.do("unsubscribe", "news")
        client.expect("unsubscribed", "news")
        client.do("disconnect")
        client.wait_for("disconnected", 0)


def test_centrifuge_js_recovers_what_it_missed_over_a_lost_connection(edge, node_modules):
    with Client(edge, node_modules) as client:
        client.connect()
        client.subscribe("news.a")
        client.subscribe("glob:news.*")
        _, base = edge.position()
        seen = {"news.a": [], "glob:news.*": []}
        for n in range(40):
            edge.publish("news.a", b"%d" % n)
            if n % 10 == 5:
                client.do("drop")
        while any(len(numbers) < 40 for numbers in seen.values()):
            event = client.json_line()
            if event[0] == "publication":
                seen[event[1]].append(event[2])
            elif event[0] == "subscribed":
                assert event[2:] == [True, True], event
        assert seen == {"news.a": list(range(40)), "glob:news.*": list(range(40))}


def test_centrifuge_js_recovers_over_a_restart_of_the_daemon(start_fanfared, node_modules):
    options = ("--history-save", "yes")
    edge = Edge(start_fanfared, *options)
    with Client(edge, node_modules) as client:
        client.connect()
        client.subscribe("news")
        edge.publish("news", b"1")
        client.expect("publication", "news", 1)
        edge.server.stop()
        client.wait_for("connecting", 3001)
        again = Edge(start_fanfared, *options, http_port=edge.port)
        again.publish("news", b"2")
        seen = []
        while len(seen) < 1:
            event = client.json_line()
            if event[0] == "publication":
                seen.append(event[2])
            elif event[0] == "subscribed":
                assert event[2:] == [True, True], event
        assert seen == [2]


def test_centrifuge_js_is_told_that_messages_are_lost(start_fanfared, node_modules):
    edge = Edge(start_fanfared)
    with Client(edge, node_modules) as client:
        client.connect()
        client.subscribe("news")
        edge.publish("news", b"1")
        client.expect("publication", "news", 1)
        edge.server.stop()
        client.wait_for("connecting", 3001)
        again = Edge(start_fanfared, http_port=edge.port)
        (_, _, was_recovering, recovered), _ = client.wait_for("subscribed", "news")
        assert (was_recovering, recovered) == (True, False)
        again.publish("news", b"2")
        client.wait_for("publication", "news", 2)


def test_centrifuge_js_refreshes_its_tokens(edge, node_modules):
    now = int(time.time())
    edge.resp.ok("CONFIG", "SET", "token-leeway", "3")
    edge.allow("resetchannels")

    def tokens(**claims):
        return [make_token(sub="u", exp=now + 3, **claims), make_token(sub="u", exp=now + 3600, **claims)]

    with Client(edge, node_modules) as client, edge.join(token=tokens()[0]) as last:
        client.connect(*tokens())
        client.do("subscribe", "a", {}, tokens(channel="a"))
        client.expect("token", "a")
        client.expect("subscribed", "a")
        assert sorted(client.json_line() for _ in range(2)) == [["token", "a"], ["token", "connection"]]
        edge.publish("a", b"1")
        client.expect("publication", "a", 1)
        assert last.close_code() == 3005  # the first tokens have ended
        edge.publish("a", b"2")
        client.expect("publication", "a", 2)


def test_centrifuge_js_gets_another_token_for_an_expired_one(edge, node_modules):
    with Client(edge, node_modules) as client:
        client.do("connect", [make_token(sub="u", exp=1000), make_token(sub="u")])
        _, skipped = client.wait_for("connected")
        assert skipped.count(["token", "connection"]) == 2, skipped
        client.do("subscribe", "a", {}, [make_token(sub="u", channel="a", exp=1000), make_token(sub="u", channel="a")])
        _, skipped = client.wait_for("subscribed", "a")
        assert skipped.count(["token", "a"]) == 2, skipped


@pytest.mark.parametrize("token", ["a.b.c", make_token(secret="a wrong secret of thirty-two bytes", sub="u")])
def test_centrifuge_js_stops_after_an_invalid_token(edge, node_modules, token):
    with Client(edge, node_modules) as client:
        client.do("connect", [token])
        client.wait_for("disconnected", 3500)


def test_centrifuge_js_stops_when_it_is_killed(edge, node_modules):
    with Client(edge, node_modules) as client:
        client.connect()
        client.subscribe("a")
        client.do("subscribe", "glob:", {})
        client.wait_for("unsubscribed", "glob:")
        listed = edge.resp.call("CLIENT", "LIST").decode().splitlines()
        number = next(line.split()[0].removeprefix("id=") for line in listed if " user=edge " in line)
        assert edge.resp.call("CLIENT", "KILL", "ID", number) == 1
        client.wait_for("disconnected", 3503)


def test_centrifuge_js_has_subscriptions_of_its_token(edge, node_modules):
    with Client(edge, node_modules) as client:
        client.do("connect", [make_token(sub="u", channels=["news", "plain"])])
        client.wait_for("connected")
        assert sorted(client.json_line()[1] for _ in range(2)) == ["news", "plain"]
        edge.publish("news", b"1")
        client.expect("publication", "news", 1)
        client.do("drop")
        edge.publish("news", b"2")
        event, _ = client.wait_for("publication", "news")
        assert event[2] == 2


@pytest.mark.parametrize("compress", ["yes", "no"])
def test_ws_sends_and_receives_with_and_without_compression(start_fanfared, node_modules, compress):
    edge = Edge(start_fanfared, "--ws-deflate", "yes")
    done = subprocess.run(["node", JS / "ws_client.js", f"ws://127.0.0.1:{edge.port}/ws", compress, "200"],
                          env=dict(os.environ, NODE_PATH=str(node_modules)), capture_output=True, text=True,
                          timeout=seconds(20), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    extensions, received = json.loads(done.stdout)
    assert ("permessage-deflate" in extensions) == (compress == "yes")
    assert received < 60000 if compress == "yes" else received > 200000
