"""Browsers at nodes of an engine: event streams and WebSockets that go on at another node, what is published over HTTP, and what
they are told while the engine is down or when it has lost something. A page in Chromium: test_nodes_browser.py."""

import contextlib
import json
import random
import select
import time

import pytest

from lib.browser import Http, ask
from lib.edge_socket import EdgeSocket
from lib.nodes import Proxy, link, wait_for_state
from lib.nodes_edge import EdgeNodes, Page, Socket, connected, data_of, post, since
from lib.tokens import make_token
from lib.wait import seconds, wait_until

PATIENCE = 12  # seconds for which a client that resumes waits for the link


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def nodes(start_fanfared, redis):
    return EdgeNodes(start_fanfared, redis)


@pytest.fixture
def open_page():
    """open_page(node, channel...) gives a Page that is connected."""
    with contextlib.ExitStack() as ends:
        yield lambda node, *channels, **more: ends.enter_context(Page(*channels, **more)).connect(node)


@pytest.fixture
def proxy(redis):
    with Proxy(redis.address) as proxy:
        yield proxy


def reload_of(*channels):
    return "lagged", {"channels": list(channels), "reload": True}


# Event streams


def test_a_stream_goes_on_at_another_node(nodes, open_page):
    here, there = nodes.node(), nodes.node()
    page = open_page(here, "k1", "k2", "k3")
    post(there, "k1", 1)
    post(here, "k2", 2)
    page.read(2)
    here.kill()
    post(there, "k1", 3)
    post(there, "k3", 4)
    post(there, "other", 0)
    post(there, "k2", 5, 6)
    page.connect(there)
    post(there, "k1", 7)
    page.read(5)
    assert page.got == [("k1", 1), ("k2", 2), ("k1", 3), ("k3", 4), ("k2", 5), ("k2", 6), ("k1", 7)]
    assert page.notices == []


def test_a_stream_goes_on_at_a_node_that_is_behind(nodes, proxy, open_page):
    """The link of the other node is slow, so that the browser is there before its message."""
    here, there = nodes.node(), nodes.node(port=proxy.port)
    stays, page = open_page(there, "k1", "k2"), open_page(here, "k1", "k2")
    proxy.down.delay = 0.1
    for n in range(5):
        page.connect(here)
        post(here, "k1", n)
        page.read(1 if n == 0 else 2)
        page.leave()
        post(here, "k2", n)
        page.connect(there)
    page.read()
    stays.read(10)
    assert page.got == stays.got == [(channel, n) for n in range(5) for channel in ("k1", "k2")]
    assert page.notices == []


def test_a_stream_without_messages_goes_on_at_another_node(nodes, open_page):
    """Its id is from before any message, or of a message of another channel."""
    here, there = nodes.node(), nodes.node()
    page, other = open_page(here, "k1", "k2"), open_page(here, "k9")
    post(here, "k9", 0)
    other.read()
    page.leave()
    post(here, "k1", 1)
    page.connect(there)
    page.read()
    with Page("k2", last_id=other.last_id).connect(there) as late:
        post(here, "k2", 2)
        late.read()
        page.read()
        assert late.got == [("k2", 2)] and late.notices == []
    assert page.got == [("k1", 1), ("k2", 2)] and page.notices == []


@pytest.mark.parametrize("position", ["1-1", "99999999999999999-5", "of another server", "future"])
def test_a_position_that_is_unknown_tells_to_reload(nodes, open_page, position):
    node = nodes.node()
    page = open_page(node, "k1", "k2", "plain")
    post(node, "k1", 1)
    page.read()
    epoch, _, seq = page.last_id.partition("-")
    page.last_id = f"{epoch}-{int(seq) + 2 ** 40}" if position == "future" else position
    page.connect(node)
    post(node, "k1", 2)
    page.read()
    assert page.notices == [reload_of("k1", "k2")] and page.of("k1") == [1, 2]


def test_only_the_channel_that_was_trimmed_is_told(nodes, open_page):
    keep = ("--channel", "k*", "history-size", 3, "history-ttl", 600)
    here, there = nodes.node(keep=keep), nodes.node(keep=keep)
    page = open_page(here, "k1", "k2")
    post(here, "k1", 0)
    page.read()
    page.leave()
    post(here, "k1", *range(1, 6))
    post(here, "k2", 6)
    page.connect(there)
    page.read()
    post(here, "k1", 7)
    page.read()
    assert page.notices == [reload_of("k1")] and page.got == [("k1", 0), ("k2", 6), ("k1", 7)]


@pytest.mark.parametrize("position, expected", [("0", [0, 1, 2, 3]), ("-2", [2, 3])])
def test_a_page_begins_with_messages_of_other_nodes(nodes, open_page, position, expected):
    here, there = nodes.node(), nodes.node()
    post(here, "k1", *range(4))
    page = open_page(there, "k1", last_id=position)
    page.read(len(expected))
    post(here, "k1", 4)
    page.read()
    assert page.of("k1") == [*expected, 4] and page.notices == []


def test_patterns_cannot_be_resumed(nodes, open_page):
    here, there = nodes.node(), nodes.node()
    page = open_page(here, "k1", patterns=["k2*"])
    post(here, "k1", 1)
    page.read()
    page.leave()
    post(here, "k1", 2)
    page.connect(there)
    page.read()
    post(here, "k22", 3)
    page.read()
    assert page.notices == [reload_of("k2*")] and page.got == [("k1", 1), ("k1", 2), ("k22", 3)]


# WebSockets


def test_a_subscription_is_recovered_at_another_node(nodes):
    here, there = nodes.node(), nodes.node()
    with connected(here) as ws, connected(there) as stays:
        begin = ws.call("subscribe", channel="k1")
        assert begin["recoverable"] and stays.call("subscribe", channel="k1")["epoch"] == begin["epoch"]
        post(here, "k1", 1)
        post(there, "k1", 2)
        got = [ws.publication("k1") for _ in range(2)]
        assert [one["data"] for one in got] == [1, 2]
        assert [stays.publication("k1") for _ in range(2)] == got
    here.kill()
    post(there, "k1", 3)
    post(there, "k2", 0)
    post(there, "k1", 4)
    with connected(there) as ws:
        result = ws.call("subscribe", channel="k1", **since(begin, got[-1]["offset"]))
        assert result["recovered"] and result["was_recovering"] and data_of(result) == [3, 4]
        assert result["epoch"] == begin["epoch"] and result["offset"] >= result["publications"][-1]["offset"]
        post(there, "k1", 5)
        assert ws.publication("k1")["data"] == 5
        assert not ws.pushes


def test_several_subscriptions_of_one_text_are_recovered_at_a_node_that_is_behind(nodes, proxy):
    here, there = nodes.node(), nodes.node(port=proxy.port)
    channels = ["k1", "k2", "k3"]
    with connected(here) as ws, connected(there) as stays:
        begin = [one.call("subscribe", channel=channel) for channel in channels for one in (ws, stays)][0]
        proxy.down.delay = 0.2
        post(here, "k1", 1)
        post(here, "k3", 3)
        newest = [ws.publication(channel) for channel in ("k1", "k3")][-1]["offset"]
        post(here, "k2", 2)
        with connected(there) as late:
            late.send_json(*({"id": 10 + n, "subscribe": {"channel": channel, **since(begin, newest)}}
                             for n, channel in enumerate(channels)))
            replies = [late.read_message() for _ in channels]
            results = {reply["id"]: reply["subscribe"] for reply in replies}
            assert [results[10 + n]["recovered"] for n in range(3)] == [True] * 3, replies
            assert not data_of(results[10]) and not data_of(results[12])
            assert data_of(results[11]) in ([2], []) and (data_of(results[11]) or late.publication("k2")["data"] == 2)
        assert sorted(stays.push()["channel"] for _ in range(3)) == channels


@pytest.mark.parametrize("epoch, more", [("1", 0), ("none", 0), (None, 2 ** 40)], ids=["old", "no number", "future"])
def test_a_subscription_from_an_unknown_position_is_not_recovered(nodes, epoch, more):
    node = nodes.node()
    post(node, "k1", 1)
    with connected(node) as ws, connected(node) as again:
        begin = ws.call("subscribe", channel="k1")
        position = since(begin, begin["offset"] + more)
        result = again.call("subscribe", channel="k1", **{**position, "epoch": epoch or begin["epoch"]})
        assert result["was_recovering"] and not result["recovered"] and not data_of(result)
        assert (result["epoch"], result["offset"]) == (begin["epoch"], begin["offset"])
        post(node, "k1", 2)
        assert again.publication("k1")["data"] == 2


def test_more_than_a_reply_may_have_is_not_recovered(nodes):
    here, there = nodes.node(), nodes.node()
    with connected(here) as ws:
        begin = ws.call("subscribe", channel="k1")
    with here.connect() as client:
        for n in range(1001):
            client.command("PUBLISH", "k1", n)
        for _ in range(1001):
            assert isinstance(client.read_value(), int)
    with connected(there) as ws:
        result = ws.call("subscribe", channel="k1", **since(begin))
        assert not result["recovered"] and not data_of(result)
        ws.call("unsubscribe", channel="k1")
        newest = ws.call("history", channel="k1", limit=1, reverse=True)["publications"][0]
        post(here, "k1", 1001)
        result = ws.call("subscribe", channel="k1", **since(begin, newest["offset"]))
        assert result["recovered"]
        data = data_of(result)
        assert (data or [ws.publication("k1")["data"]]) == [1001]


def test_the_channels_of_a_token_are_recovered_at_another_node(nodes, proxy):
    here, there = nodes.node(), nodes.node(port=proxy.port)
    names = ["k1", "k2", "k3", "plain"]
    token = make_token(sub="u", channels=names)
    with EdgeSocket(here.http_port) as ws, EdgeSocket(there.http_port) as stays:
        begin = ws.call("connect", token=token)["subs"]
        assert sorted(begin) == names and begin["plain"] == {}
        assert stays.call("connect", token=make_token(sub="v", channels=["k2"]))["subs"]["k2"]["epoch"] == begin["k1"]["epoch"]
        post(here, "k1", 1)
        newest = ws.publication("k1")["offset"]
    proxy.down.delay = 0.1
    post(here, "k2", 2, 3)
    post(here, "k3", 4)
    with EdgeSocket(here.http_port) as ws:  # the newest position, which the other node has not seen
        last = ws.call("connect", token=token)["subs"]["k3"]["offset"]
    subs = {"k1": since(begin["k1"], newest), "k2": since(begin["k1"], newest), "k3": since(begin["k1"], last)}
    with EdgeSocket(there.http_port) as ws:
        result = ws.call("connect", token=token, subs=subs)["subs"]
        assert {name: (result[name]["recovered"], data_of(result[name])) for name in subs} == {
            "k1": (True, []), "k2": (True, [2, 3]), "k3": (True, [])}
        post(there, "k3", 5)
        assert ws.publication("k3")["data"] == 5
    with EdgeSocket(there.http_port) as ws:
        result = ws.call("connect", token=token, subs={"k1": {**since(begin["k1"]), "epoch": "5"}, "k2": since(begin["k1"])})
        assert not result["subs"]["k1"]["recovered"] and data_of(result["subs"]["k2"]) == [2, 3]


def test_history_of_a_node_without_subscribers(nodes):
    here, there = nodes.node(), nodes.node()
    post(here, "k1", *range(5))
    with connected(there) as ws:
        history = ws.call("history", channel="k1", limit=10)
        assert data_of(history) == list(range(5))
        offsets = [one["offset"] for one in history["publications"]]
        assert offsets == sorted(offsets) and history["offset"] >= offsets[-1]
        position = {"epoch": history["epoch"], "offset": offsets[1]}
        assert data_of(ws.call("history", channel="k1", limit=2, since=position)) == [2, 3]
        assert data_of(ws.call("history", channel="k1", limit=2, reverse=True)) == [4, 3]
        post(here, "k1", 5)
        wait_until(lambda: data_of(ws.call("history", channel="k1", limit=1, reverse=True)) == [5], "it follows")
        assert ws.call("history", channel="plain", limit=10) == {"error": 108}
        assert data_of(ws.call("history", channel="k2", limit=10)) == []
        assert ws.call("history", channel="k1", limit=10, since={"epoch": "1", "offset": 1}) == {"error": 112}
    with connected(here) as ws:
        assert [one["offset"] for one in ws.call("history", channel="k1", limit=5)["publications"]] == offsets


# Publishing


def test_what_is_published_over_http_has_one_position_at_all_nodes(nodes, open_page):
    here, there = nodes.node(), nodes.node()
    pages = [open_page(node, "k1") for node in (here, there)]
    first = json.loads(ask(here.http_port, "POST", "/pub/k1", body=b"1").body)
    with connected(there) as ws:
        assert ws.call("publish", channel="k1", data=2) == {}
    key = {"X-Idempotency-Key": "once"}
    third = json.loads(ask(here.http_port, "POST", "/pub/k1", key, b"3").body)
    assert json.loads(ask(here.http_port, "POST", "/pub/k1", key, b"3").body) == {**third, "duplicate": True}
    ids = []
    for _ in range(3):
        for page in pages:
            page.read()
        ids.append({page.last_id for page in pages})
    assert [len(one) for one in ids] == [1, 1, 1]
    assert (first, third) == tuple({"receivers": 1, "position": ids[n].copy().pop()} for n in (0, 2))
    assert [page.of("k1") for page in pages] == [[1, 2, 3]] * 2
    post(here, "k1", 4)
    for page in pages:
        page.read()
    assert [page.got[-1] for page in pages] == [("k1", 4)] * 2


# The engine is down


@pytest.mark.parametrize("down", ["refuse", "local"])
def test_publishers_are_refused_while_the_engine_is_down(nodes, redis, open_page, down):
    node = nodes.node("--upstream-down", down)
    page = open_page(node, "k1")
    with connected(node) as ws:
        begin = ws.call("subscribe", channel="k1")
        redis.kill()
        wait_for_state(node, "down")
        response = ask(node.http_port, "POST", "/pub/k1", body=b"1")
        assert (response.status, response.headers.get("retry-after")) == (503, "1")
        assert ask(node.http_port, "POST", "/pub/plain", body=b"1").status == (503 if down == "refuse" else 200)
        assert ws.call("publish", channel="k1", data=1) == {"error": 100}
        assert ws.call("history", channel="k1", limit=10)["publications"] == []
        with connected(node) as late:
            began = time.monotonic()
            result = late.call("subscribe", channel="k1", **since(begin))
            assert result["recovered"] and data_of(result) == []
            assert open_page(node, "k1", last_id=page.last_id).notices == []
            assert time.monotonic() - began < PATIENCE / 2, "what the node has is not waited for"
        assert not ws.pushes and page.got == [] and page.notices == []


def test_messages_on_their_way_when_the_link_breaks_have_no_answer(nodes, proxy):
    node = nodes.node(port=proxy.port)
    with Http(node.http_port) as http, connected(node) as ws:
        proxy.stop(proxy.up)
        http.request("POST", "/pub/k1", body=b"1")
        ws.send_json({"id": 5, "publish": {"channel": "k1", "data": 2}})
        wait_until(lambda: link(node)["sent"] == "2", "both are sent")
        proxy.cut()
        assert http.is_closed() and ws.read_to_end() == b""


def test_a_client_that_resumes_waits_for_the_link(nodes, proxy, open_page):
    here, there = nodes.node(), nodes.node(port=proxy.port)
    stays, page = open_page(there, "k1", "k2"), open_page(here, "k1", "k2")
    token = make_token(sub="u", channels=["k1"])
    with EdgeSocket(here.http_port) as ws, EdgeSocket(there.http_port) as moved:
        begin = ws.call("connect", token=token)["subs"]["k1"]
        proxy.cut(for_good=True)
        wait_for_state(there, "down")
        post(here, "k1", 1)
        newest = ws.publication("k1")["offset"]
        post(here, "k1", 2)
        page.read()
        page.leave()
        post(here, "k2", 3)
        with page.ask(there) as http, connected(there) as other:
            moved.send_json({"id": 1, "connect": {"token": token, "subs": {"k1": since(begin, newest)}}})
            other.send_json({"id": 2, "subscribe": {"channel": "k1", **since(begin, newest)}})
            assert not select.select([one.socket for one in (http, moved, other)], [], [], 0.2)[0]
            proxy.forward_again()
            for reply in (moved.read_message()["connect"]["subs"]["k1"], other.read_message()["subscribe"]):
                assert reply["recovered"] and data_of(reply) == [2]
            assert http.read_head().status == 200
    page.connect(there)
    for one in (page, stays):
        one.read(3 - len(one.got))
        assert sorted(one.got) == [("k1", 1), ("k1", 2), ("k2", 3)] and one.notices == []


def test_a_client_that_resumes_waits_for_a_while_only(nodes, proxy, open_page):
    here, there = nodes.node(), nodes.node(port=proxy.port)
    page, token = open_page(here, "k1", "k2"), make_token(sub="u", channels=["k1"])
    stays = open_page(there, "k1", "k2")
    post(here, "k1", 0)
    stays.read()
    proxy.cut(for_good=True)
    wait_for_state(there, "down")
    began = time.monotonic()
    post(here, "k1", 1)
    with EdgeSocket(here.http_port) as ws, EdgeSocket(there.http_port) as moved:
        begin = ws.call("connect", token=token)["subs"]["k1"]
        moved.send_json({"id": 1, "connect": {"token": token, "subs": {"k1": since(begin)}}})
        page.read(2)
        page.connect(there)
        assert PATIENCE - 1 < time.monotonic() - began < PATIENCE + seconds(5)
        assert page.notices == [reload_of("k1", "k2")]
        assert not moved.read_message()["connect"]["subs"]["k1"]["recovered"]
        with connected(there) as late:
            assert not late.call("subscribe", channel="k1", **since(begin))["recovered"]
        proxy.forward_again()
        stays.read()
        post(here, "k1", 2)
        while page.of("k1")[-1] != 2:
            page.read()
        stays.read()
        while (push := moved.push())["pub"]["data"] != 2:
            assert push["pub"]["data"] == 1
    assert stays.of("k1") == [0, 1, 2] and stays.notices == []
    assert page.of("k1") in ([0, 1, 2], [0, 1, 1, 2])  # it came to a node that was behind


def test_a_client_that_resumes_waits_for_a_node_that_starts(nodes, proxy, open_page):
    here, there = nodes.node(), nodes.node(port=proxy.port)
    page = open_page(here, "k1")
    post(here, "k1", 1)
    page.read()
    page.leave()
    post(here, "k1", 2)
    there.kill()
    proxy.cut(for_good=True)
    there.start(there.port)
    with connected(here) as ws:
        begin = ws.call("subscribe", channel="k1")
    with page.ask(there) as http, connected(there) as ws:
        ws.send_json({"id": 2, "subscribe": {"channel": "k1", **since(begin)}})
        assert not select.select([http.socket, ws.socket], [], [], 0.2)[0]
        proxy.forward_again()
        assert ws.read_message()["subscribe"]["recovered"]
        assert http.read_head().status == 200
    page.connect(there)
    page.read()
    assert page.of("k1") == [1, 2] and page.notices == []


# The engine has lost something


def test_browsers_are_told_of_a_lost_history(nodes, redis, open_page):
    here, there = nodes.node(), nodes.node()
    pages = [open_page(node, "k1") for node in (here, there)]
    with connected(there) as ws:
        begin = ws.call("subscribe", channel="k1")
        post(here, "k1", 1)
        offset = ws.publication("k1")["offset"]
        for page in pages:
            page.read()
        before = pages[0].last_id
        redis.kill()
        redis.start(redis.port)
        for page in pages:
            assert page.read_notice() == ("lagged", {"missed": None})
        assert ws.push() == {"lagged": {"missed": None}}
        for node in (here, there):
            wait_for_state(node)
        post(here, "k1", 2)
        assert ws.publication("k1")["data"] == 2
        for page in pages:
            page.read()
            page.leave()
        post(here, "k1", 3)
        pages[0].connect(there)  # with a position of the new history
        pages[0].read()
        assert pages[0].of("k1") == [1, 2, 3] and len(pages[0].notices) == 1
        with connected(here) as late:
            assert not late.call("subscribe", channel="k1", **since(begin, offset))["recovered"]
        late = open_page(here, "k1", last_id=before)
        post(there, "k1", 4)
        late.read()
        assert late.notices == [reload_of("k1")] and late.got == [("k1", 4)]


# Random


def test_random_moves_of_browsers_between_nodes(nodes, redis):
    """Browsers go from node to node while messages are published and links break: nothing is missing or comes twice."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rand = random.Random(seed)
    channels = ["k1", "k2", "k3", "k4"]
    published = {channel: [] for channel in channels}
    with contextlib.ExitStack() as ends:
        proxies = [ends.enter_context(Proxy(redis.address)) for _ in range(2)]
        proxies[1].down.delay = 0.03
        servers = [nodes.node(), *(nodes.node(port=proxy.port) for proxy in proxies)]
        pages = [kind(*rand.sample(channels, rand.randrange(1, 5))) for kind in (Page, Socket) for _ in range(3)]
        for page in pages:
            ends.callback(page.leave)
            page.connect(rand.choice(servers))
        for n in range(100):
            what = rand.random()
            if what < 0.5:
                channel = rand.choice(channels)
                post(servers[0], channel, n)
                published[channel].append(n)
            elif what < 0.7:
                page = rand.choice(pages)
                if len(page.got) < sum(len(published[channel]) for channel in page.channels):
                    page.read()
            elif what < 0.95:
                page = rand.choice(pages)
                page.connect(rand.choice(servers), **({"by_token": rand.random() < 0.5} if isinstance(page, Socket) else {}))
            else:
                rand.choice(proxies).cut()
        for page in pages:
            while len(page.got) < sum(len(published[channel]) for channel in page.channels):
                page.read()
            assert {channel: page.of(channel) for channel in page.channels} == {
                channel: published[channel] for channel in page.channels}
            assert page.notices == []
