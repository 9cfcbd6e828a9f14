"""Links of leaves that break: what subscribers and publishers are told, and how it goes on; leaves that end."""

import contextlib
import os
import re
import signal
import threading

import pytest

from lib.browser import EventStream, Http, ask
from lib.edge_socket import EdgeSocket
from lib.lineage import is_alive, lineages_of
from lib.nodes import Nodes, Proxy, Reader, kill_links, lagged_within, link, names_at, url, wait_for_state
from lib.resp import Closed, error
from lib.wait import wait_until

DOWN = error("CLUSTERDOWN The link to the upstream is down")
LOST = error("CLUSTERDOWN The link to the upstream was lost: the message may have been published or not")


@pytest.fixture
def nodes(start_fanfared, start_redis):
    return Nodes(start_fanfared, start_redis())


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


@contextlib.contextmanager
def repeating(action):
    """Does it again and again in a thread: the link may be down at any time."""
    is_over = threading.Event()

    def repeat():
        while not is_over.wait(0.05):
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


# The link breaks


class Scene:
    """A leaf with subscribers of each kind, over a proxy."""

    def __init__(self, nodes, proxy, *options):
        self.nodes = nodes
        self.leaf = nodes.browsed("--upstream-probe", 1, *options, port=proxy.port)
        self.told = self.leaf.client(3)
        self.told.ok("OUTBOX", "SET", "NOTIFY", "yes")
        self.told.subscribe("a", "b")
        self.told.subscribe("p*", kind="PSUBSCRIBE")
        self.told.subscribe("s", kind="SSUBSCRIBE")
        self.shard = self.leaf.client(2)
        self.shard.ok("OUTBOX", "SET", "NOTIFY", "yes")
        self.shard.subscribe("s", kind="SSUBSCRIBE")
        self.plain = self.leaf.client(3)
        self.plain.subscribe("a")
        self.stream = EventStream(self.leaf.http_port, "/sse?channel=a")
        self.stream.block()
        self.publisher = self.leaf.connect()
        self.check()

    def wait_down(self, text):
        wait_until(lambda: link(self.leaf)["last_error"] != "", "a broken link", 20)
        assert re.search(text, link(self.leaf)["last_error"]), link(self.leaf)["last_error"]

    def check(self):
        """All subscriptions are served, and a message published here comes back."""
        with self.nodes.upstream.connect() as publisher:
            assert publisher.call("PUBLISH", "a", "1") == 1
            assert publisher.call("PUBLISH", "b", "2") == 1
            assert publisher.call("PUBLISH", "px", "3") == 1
            assert publisher.call("SPUBLISH", "s", "4") == 1
        assert self.publisher.call("PUBLISH", "a", "5") == 3
        got = [self.told.read_value() for _ in range(5)]
        assert got == [[b"message", b"a", b"1"], [b"message", b"b", b"2"], [b"pmessage", b"p*", b"px", b"3"],
                       [b"smessage", b"s", b"4"], [b"message", b"a", b"5"]]
        assert self.shard.read_value() == [b"smessage", b"s", b"4"]
        assert [self.plain.read_value() for _ in range(2)] == [[b"message", b"a", b"1"], [b"message", b"a", b"5"]]
        assert [self.stream.event().data for _ in range(2)] == ["1", "5"]

    def check_after_a_gap(self):
        wait_for_state(self.leaf, within=30)
        wait_until(lambda: link(self.leaf)["waiting_names"] == "0", "all subscriptions")
        assert lagged_within(self.told) == []
        assert lagged_within(self.shard) == []
        # Gaps of several channels right after one another may be one notice.
        self.told.command("PING", "behind")
        while (frame := self.told.read_value()) not in (b"behind", [b"pong", b"behind"]):
            assert frame == [b"lagged", -1]
        event = self.stream.event()
        assert (event.event, event.data) == ("lagged", '{"missed":null}')
        self.check()


def test_a_killed_link_is_made_again(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        scene = Scene(nodes, proxy)
        kill_links(nodes.upstream)
        scene.wait_down("closed by the server|reset")
        scene.check_after_a_gap()
        assert link(scene.leaf)["connections"] == "2"
        log = scene.leaf.log()
        assert log.count("is down: ") == 1 and log.count("linked to the upstream") == 2


def test_an_upstream_that_restarts_empty_gets_all_subscriptions_again(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        scene = Scene(nodes, proxy)
        nodes.upstream.kill()
        scene.wait_down("closed by the server|reset")
        assert scene.publisher.call("PUBLISH", "a", "x") == DOWN
        nodes.upstream.start(nodes.upstream.port)
        scene.check_after_a_gap()
        assert names_at(nodes.upstream) == {"a", "b"}


@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_a_black_hole_is_noticed_by_the_probe(nodes, way):
    with Proxy(nodes.upstream.address) as proxy:
        scene = Scene(nodes, proxy)
        proxy.stop(*({"up": (proxy.up,), "down": (proxy.down,), "both": ()}[way]))
        scene.wait_down("no message comes back")
        proxy.cut()
        scene.check_after_a_gap()


def test_a_stopped_upstream_is_noticed_by_the_probe(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        scene = Scene(nodes, proxy)
        os.kill(nodes.upstream.pid, signal.SIGSTOP)
        try:
            scene.wait_down("no message comes back")
            assert link(scene.leaf)["up"] == "0"
            assert scene.publisher.call("PUBLISH", "a", "x") == DOWN
        finally:
            os.kill(nodes.upstream.pid, signal.SIGCONT)
        scene.check_after_a_gap()


def test_what_a_fanfared_has_kept_is_not_missed(start_fanfared):
    """Exactly once and in order, by channels and by a pattern; only what is not kept is told to be missing."""
    upstream = start_fanfared("--channel", "k*", "history-size", 10000, "history-ttl", 600)
    with Proxy(upstream.address) as proxy, upstream.connect() as publisher:
        leaf = Nodes(start_fanfared, upstream).leaf(port=proxy.port)
        clients = [leaf.client(3) for _ in range(3)]
        for client in clients:
            client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        clients[0].subscribe("k1", "k2", "k3")
        clients[1].subscribe("k*", kind="PSUBSCRIBE")
        clients[2].subscribe("plain", "k1")
        for number in range(3):
            # Before: on their way when the link breaks; behind: while it is down, or up again.
            proxy.stop(proxy.down)
            sent = [(f"k{n % 3 + 1}", b"%d" % n) for n in range(600)]
            for channel, payload in sent[:300]:
                publisher.call("PUBLISH", channel, payload)
            proxy.cut()
            for channel, payload in sent[300:]:
                publisher.call("PUBLISH", channel, payload)
            wait_until(lambda number=number: link(leaf)["connections"] == str(number + 2), "a new connection")
            wait_until(lambda: link(leaf)["waiting_names"] == "0", "all subscriptions")
            for channel in ("k1", "plain"):
                publisher.call("PUBLISH", channel, "end")
            for client, wanted in zip(clients, ({"k1", "k2", "k3"}, {"k1", "k2", "k3"}, {"k1"})):
                got, notices, ends = [], 0, 0
                while ends < (2 if client is clients[2] else 1):
                    frame = client.read_value()
                    notices += frame[0] == b"lagged"
                    ends += frame[-1] == b"end"
                    if frame[0] != b"lagged" and frame[-1] != b"end":
                        got.append((frame[-2].decode(), frame[-1]))
                assert got == [one for one in sent if one[0] in wanted]
                assert (notices > 0) == (client is not clients[0])


def test_split_bytes_are_put_together(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        proxy.up.piece = proxy.down.piece = 7
        scene = Scene(nodes, proxy)
        with nodes.upstream.connect() as publisher:
            for n in range(50):
                publisher.call("PUBLISH", "a", b"\r\n$3\r\n" * n)
                assert scene.plain.read_value() == [b"message", b"a", b"\r\n$3\r\n" * n]
                assert scene.told.read_value()[2] == b"\r\n$3\r\n" * n


def test_a_small_output_limit_of_the_upstream_breaks_the_link_again_and_again(nodes):
    """What was lost is told."""
    with nodes.upstream.connect() as admin, Proxy(nodes.upstream.address) as proxy:
        admin.ok("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 0")
        leaf = nodes.leaf(port=proxy.port)
        client = leaf.client(3)
        client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        client.subscribe("a")
        for n in range(2):
            proxy.stop(proxy.down)
            sent = 0
            # The system's buffers take several megabytes before Redis queues anything.
            while any(one["name"] == "fanfare-link" for one in admin.client_list()) and sent < 400:
                admin.call("PUBLISH", "a", b"x" * 200000)
                sent += 1
            assert sent < 400
            proxy.go()
            lost = [frame[2] for frame in lagged_within(client, 20)]
            assert len(lost) < sent and all(payload in (b"x" * 200000, b"y") for payload in lost)
            wait_for_state(leaf)
            admin.call("PUBLISH", "a", "y")
            assert client.read_value() == [b"message", b"a", b"y"]


@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "drop-newest", "catch-up"])
@pytest.mark.parametrize("keep", [(), ("--channel", "a", "history-size", 1000, "history-ttl", 600)], ids=["plain", "history"])
def test_messages_that_a_fanfared_drops_are_told_or_come_from_its_history(start_fanfared, policy, keep):
    upstream = start_fanfared("--outbox-policy", policy, "--outbox-limit-bytes", 1000000, *keep)
    with Proxy(upstream.address) as proxy:
        leaf = Nodes(start_fanfared, upstream).leaf(port=proxy.port)
        client = leaf.client(3)
        client.ok("OUTBOX", "SET", "NOTIFY", "yes", "POLICY", "block")
        client.subscribe("a")
        proxy.stop(proxy.down)
        with upstream.connect() as publisher:
            for n in range(300):
                publisher.call("PUBLISH", "a", b"%d " % n + b"x" * 100000)
            proxy.go()
            got, notices = [], 0
            with repeating(lambda: publisher.call("PUBLISH", "a", "end")):
                while (frame := client.read_value())[-1] != b"end":
                    if frame == [b"lagged", -1]:
                        notices += 1
                    else:
                        got.append(int(frame[2].split(b" ")[0]))
        assert got == sorted(set(got))
        assert notices > 0 or got == list(range(300))


# Publishing meanwhile


def test_while_the_link_is_down_messages_are_refused_or_delivered_here(nodes):
    leaf = nodes.browsed()
    client, publisher = leaf.client(3), leaf.connect()
    client.subscribe("a")
    nodes.upstream.kill()
    wait_for_state(leaf, "down")
    script = "return redis.pcall('PUBLISH', 'a', 'script')"
    assert publisher.call("PUBLISH", "a", "1") == DOWN
    assert publisher.call("SPUBLISH", "a", "1") == DOWN
    assert publisher.call("MPUBLISH", "a", "1", "b", "2") in (DOWN, [DOWN, DOWN])
    assert publisher.call("PUBLISHMANY", "1", "a", "b") in (DOWN, [DOWN, DOWN])
    assert publisher.call("PUBLISHX", "a", "1", "IDKEY", "k") == DOWN
    assert publisher.call("EVAL", script, 0) == DOWN
    publisher.ok("MULTI")
    publisher.call("PUBLISH", "a", "1")
    assert publisher.call("EXEC") == [DOWN]
    response = ask(leaf.http_port, "POST", "/pub/a", body=b"1")
    assert (response.status, response.headers.get("retry-after")) == (503, "1")
    with EdgeSocket(leaf.http_port) as ws:
        ws.call("connect")
        assert ws.call("publish", channel="a", data=1) == {"error": 100}
        # A subscription is granted, and is joined later.
        assert ws.call("subscribe", channel="a") == {}
    wait_until(lambda: publisher.call("PUBSUB", "NUMSUB", "a") == [b"a", 1], "the browser has gone")
    publisher.ok("CONFIG", "SET", "upstream-down", "local")
    assert publisher.call("PUBLISH", "a", "2") == 1
    assert publisher.call("MPUBLISH", "a", "3", "b", "x") == [1, 0]
    assert publisher.call("PUBLISHX", "a", "4", "IDKEY", "k") == 1, "the key was not used"
    assert publisher.call("EVAL", script, 0) == 1
    assert ask(leaf.http_port, "POST", "/pub/a", body=b"5").status == 200
    for payload in (b"2", b"3", b"4", b"script", b"5"):
        assert client.read_value() == [b"message", b"a", payload]
    publisher.ok("CONFIG", "SET", "upstream-down", "refuse")
    assert publisher.call("PUBLISH", "a", "6") == DOWN
    nodes.upstream.start(nodes.upstream.port)
    wait_for_state(leaf)
    assert publisher.call("PUBLISH", "a", "7") == 1
    assert client.read_value() == [b"message", b"a", b"7"]


def test_publishers_wait_when_too_much_is_queued_and_nothing_is_lost(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.leaf("--upstream-output-limit", "1mb", port=proxy.port)
        truth = Reader(nodes.upstream, 2, ("SUBSCRIBE", "a"))
        proxy.stop(proxy.up)
        count, payload = 300, b"x" * 100000

        def publish():
            with leaf.connect(timeout=60) as client:
                for n in range(count):
                    client.command("PUBLISH", "a", b"%d " % n + payload)
                for n in range(count):
                    assert client.read_value() == 0

        thread = threading.Thread(target=publish)
        thread.start()
        wait_until(lambda: int(link(leaf)["queued_bytes"]) >= 1 << 20, "a full queue", 20)
        with leaf.connect() as admin:
            wait_until(lambda: admin.info("clients")["blocked_clients"] == "1", "a publisher that waits")
            assert int(link(leaf)["queued_bytes"]) < (1 << 20) + 2 * len(payload)
        proxy.go()
        truth.read_until(lambda got: len(got["a"]) == count)
        thread.join()
        assert [int(message.split(b" ")[0]) for _, message in truth.got["a"]] == list(range(count))
        assert link(leaf)["unconfirmed"] == "0"


def test_a_script_cannot_queue_without_end(nodes):
    """It does not wait: beyond twice the limit its messages are refused."""
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.leaf("--upstream-output-limit", "1mb", "--upstream-probe", 600, port=proxy.port)
        proxy.stop(proxy.up)
        script = "local payload = string.rep('x', 100000) for n = 1, 1000 do redis.call('PUBLISH', 'a', payload) end"
        with leaf.connect() as client:
            client.command("EVAL", script, 0)
            wait_until(lambda: int(link(leaf)["sent"]) > 0, "the script has run", 20)
            assert int(link(leaf)["queued_bytes"]) < (2 << 20) + 200000
            proxy.go()
            assert b"OOM" in client.read_value().text


def test_a_client_whose_message_waits_for_the_upstream_is_not_idle(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.leaf("--timeout", 1, "--upstream-probe", 600, port=proxy.port)
        with leaf.connect() as client, leaf.connect() as idle:
            proxy.stop(proxy.down)
            client.command("PUBLISH", "a", "x")
            assert idle.is_closed()
            proxy.go()
            assert client.read_value() == 0


@pytest.mark.parametrize("is_lost", [False, True], ids=["in time", "lost"])
def test_a_publisher_is_answered_when_the_upstream_has_the_message(nodes, is_lost):
    replies = {
        ("PUBLISH", "a", "x"): 0, ("SPUBLISH", "a", "x"): 0, ("MPUBLISH", "a", "x", "b", "x"): [0, 0],
        ("PUBLISHMANY", "x", "a", "b"): [0, 0], ("PUBLISHX", "a", "x", "IDKEY", "k"): 0, ("EXEC",): [0],
        ("EVAL", "return redis.call('PUBLISH', 'a', 'x')", 0): 0,
    }
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.browsed(port=proxy.port)
        publishers = {words: leaf.connect() for words in replies}
        publishers["EXEC",].ok("MULTI")
        publishers["EXEC",].call("PUBLISH", "a", "x")
        proxy.stop(proxy.up)
        with Http(leaf.http_port) as http:
            http.request("POST", "/pub/a", body=b"x")
            for words, client in publishers.items():
                client.command(*words)
                client.command("PING")
            wait_until(lambda: link(leaf)["sent"] == "10", "sent messages")
            assert all(client.nothing_arrives(0.02) for client in (http, *publishers.values()))
            if is_lost:
                proxy.cut()
            else:
                proxy.go()
            for words, client in publishers.items():
                assert client.read_value() == (LOST if is_lost else replies[words]), words
                assert client.read_value() == b"PONG"
            if is_lost:  # no response says it
                assert http.is_closed()
            else:
                assert http.read_response().status == 200


def test_a_slow_link_with_a_long_queue_is_not_a_broken_one(nodes):
    """The probe is behind more bytes than the link can carry within upstream-probe."""
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.leaf("--upstream-probe", 1, "--upstream-output-limit", "8mb", port=proxy.port)
        truth = Reader(nodes.upstream, 2, ("SUBSCRIBE", "a"))
        proxy.up.bytes_per_second = 2000000
        with leaf.connect() as client:
            for n in range(60):
                client.command("PUBLISH", "a", b"%d " % n + b"x" * 100000)
            for n in range(60):
                assert client.read_value() == 0
        truth.read_until(lambda got: len(got["a"]) == 60)
        figures = link(leaf)
        assert (figures["connections"], figures["unconfirmed"], figures["last_error"]) == ("1", "0", "")


# Its end


def test_an_upgrade_of_a_leaf(nodes, start_lineage):
    lineage = start_lineage("--upstream", url(nodes.upstream.port), "--shutdown-grace", 2)
    leaf = lineage.daemon
    wait_for_state(leaf)
    old = leaf.client(3)
    old.subscribe("a")
    first = leaf.pid
    lineage.upgrade()
    wait_for_state(leaf)
    with leaf.connect() as new, leaf.connect() as publisher, nodes.upstream.connect() as redis:
        new.subscribe("a")
        redis.call("PUBLISH", "a", "1")
        assert new.read_value() == [b"message", b"a", b"1"]
        assert publisher.call("PUBLISH", "a", "2") == 1
        assert new.read_value() == [b"message", b"a", b"2"]
        got = []
        with contextlib.suppress(Closed):
            while True:
                got.append(old.read_value())
        assert got in ([], [[b"message", b"a", b"1"]], [[b"message", b"a", b"1"], [b"message", b"a", b"2"]])
        wait_until(lambda: not is_alive(first), "the end of the first process")
        redis.call("PUBLISH", "a", "3")
        assert new.read_value() == [b"message", b"a", b"3"]
        wait_until(lambda: sum(one["name"] == "fanfare-link" for one in redis.client_list()) == 1, "one link")


@pytest.mark.parametrize("state", ["up", "down", "deaf", "greeting"])
def test_a_leaf_ends_in_every_state(nodes, state):
    """With a publisher and a subscriber that wait for the upstream."""
    with Proxy(nodes.upstream.address) as proxy:
        if state != "up":
            proxy.stop(proxy.down)
        if state == "down":
            proxy.cut(for_good=True)
        leaf = nodes.leaf("--upstream-probe", 600, port=proxy.port, waits=state == "up")
        if state == "deaf":  # it is up, and nothing comes back any more
            proxy.down.goes.set()
            wait_for_state(leaf)
            proxy.stop(proxy.down)
        clients = [leaf.connect() for _ in range(3)]
        clients[0].command("SUBSCRIBE", "a")
        clients[1].command("PUBLISH", "a", "x")
        clients[2].call("PING")
        wait_until(lambda: link(leaf)["state"] in (state, "up"), state)
        if state == "up":
            leaf.connect().ok("SHUTDOWN", "GRACE", 1)
            assert leaf.wait() == 0
        else:
            os.kill(leaf.pid, signal.SIGTERM)
            assert leaf.wait(20) == 0  # a reply that waits for the upstream is waited for, ten seconds
        leaf.stop()
