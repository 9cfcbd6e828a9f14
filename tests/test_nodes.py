"""Leaves of a Redis and of a fanfared: messages, order, confirmations, interest. Faults of the link: test_nodes_faults.py."""

import random
import threading

import pytest

from lib.browser import EventStream, ask
from lib.edge_socket import EdgeSocket
from lib.nodes import Nodes, Proxy, Reader, link, names_at
from lib.resp import encode
from lib.tokens import SECRET, make_token
from lib.wait import cpu_seconds, wait_until

CHANNELS = ("a", "ab", "b")
# Of one client each: in what protocol, and to what it subscribes.
SETS = (
    (2, ("SUBSCRIBE", "a")),
    (3, ("SUBSCRIBE", "a"), ("SUBSCRIBE", "ab"), ("SUBSCRIBE", "b")),
    (2, ("PSUBSCRIBE", "a*")),
    (3, ("SUBSCRIBE", "a"), ("PSUBSCRIBE", "a*"), ("PSUBSCRIBE", "*"), ("PSUBSCRIBE", "[ab]")),
    (3, ("SSUBSCRIBE", "a"), ("SUBSCRIBE", "a")),
)


@pytest.fixture
def nodes(start_fanfared, start_redis):
    return Nodes(start_fanfared, start_redis())


@pytest.fixture(params=["redis", "fanfared"])
def any_nodes(request, start_fanfared, start_redis):
    return Nodes(start_fanfared, start_redis() if request.param == "redis" else start_fanfared())


# Messages


def publish_many(server, number, seed, count, failures):
    """Publishes in all channels, some payloads several times in a row, and at last an end in each."""
    try:
        rand = random.Random(seed)
        with server.connect() as client:
            sent = 0
            for n in range(count):
                channel = rand.choice(CHANNELS)
                payload = rand.choice([b"same", b"", f"{number}:{n}".encode(), bytes([rand.randrange(256)]) * 70000
                                       if rand.random() < 0.02 else b"\r\n\0"])
                for _ in range(rand.choice([1, 1, 2, 3])):
                    client.command("PUBLISH", channel, payload)
                    sent += 1
                while sent > rand.randrange(40):
                    assert isinstance(client.read_value(), int)
                    sent -= 1
            for channel in CHANNELS:
                client.command("PUBLISH", channel, f"end {number}")
            for _ in range(sent + len(CHANNELS)):
                assert isinstance(client.read_value(), int)
    except Exception as error:
        failures.append(error)
        raise


def ends_of(frames):
    return sum(payload.startswith(b"end ") for _, payload in frames)


def channels_of(name):
    """Of those in CHANNELS, which the pattern or channel matches."""
    return {"a*": ("a", "ab"), "*": CHANNELS, "[ab]": ("a", "b")}.get(name, (name,))


def test_each_message_comes_once_and_in_one_order_everywhere(any_nodes):
    """Publishers at all nodes at once: each channel has the same sequence at each subscription of each node."""
    leaves = [any_nodes.leaf() for _ in range(3)]
    servers = [any_nodes.upstream, *leaves]
    truth = Reader(any_nodes.upstream, 2, *(("SUBSCRIBE", name) for name in CHANNELS))
    readers = [(Reader(server, version, *names), names) for server in servers for version, *names in SETS]
    failures = []
    threads = [threading.Thread(target=publish_many, args=(server, n, 7 + n, 150, failures))
               for n, server in enumerate(servers)]
    for thread in threads:
        thread.start()
    truth.read_until(lambda got: sum(map(ends_of, got.values())) == len(servers) * len(CHANNELS))
    for reader, names in readers:
        wanted = [(name, len(channels_of(name)) * len(servers)) for kind, name in names if kind != "SSUBSCRIBE"]
        reader.read_until(lambda got, wanted=wanted: all(ends_of(got[name]) == count for name, count in wanted))
        reader.rest()
        for name, _ in wanted:
            for channel in channels_of(name):
                got = [frame for frame in reader.got[name] if frame[0] == channel]
                assert got == truth.got[channel], (names, name, channel)
    for thread in threads:
        thread.join()
    assert not failures
    for leaf in leaves:
        figures = link(leaf)
        assert figures["refused"] == figures["unconfirmed"] == figures["missed"] == "0"
        assert int(figures["copies"]) > 0


def test_all_ways_to_publish_reach_all_nodes(any_nodes):
    here, there = any_nodes.browsed(), any_nodes.browsed()
    readers = [Reader(server, version, ("SUBSCRIBE", "c"), ("SSUBSCRIBE", "s"))
               for server in (any_nodes.upstream, here, there) for version in (2, 3)]
    stream = EventStream(there.http_port, "/sse?channel=c")
    stream.block()
    with EdgeSocket(there.http_port) as ws, EdgeSocket(here.http_port) as publisher:
        for socket in (ws, publisher):
            assert "client" in socket.call("connect")
        assert ws.call("subscribe", channel="c") == {}
        client = here.connect()
        assert client.call("PUBLISH", "c", "publish") == 2
        client.ok("MULTI")
        for n in range(3):
            client.call("PUBLISH", "c", f"multi {n}")
        client.call("SPUBLISH", "s", "multi s")
        assert client.call("EXEC") == [2, 2, 2, 2]
        script = "for n = 1, 3 do redis.call('PUBLISH', 'c', 'eval ' .. n) end return redis.call('PUBLISH', 'c', 'eval')"
        assert client.call("EVAL", script, 0) == 2
        assert client.call("MPUBLISH", "c", "m 1", "none", "m 2", "c", "m 3") == [2, 0, 2]
        assert client.call("PUBLISHMANY", "many", "c", "c", "none") == [2, 2, 0]
        for _ in range(2):
            assert client.call("PUBLISHX", "c", "x", "IDKEY", "k") == 2
        assert client.call("SPUBLISH", "s", "shard") == 2
        assert ask(here.http_port, "POST", "/pub/c", body=b"http").body == b'{"receivers":2}\n'
        one = ask(here.http_port, "POST", "/pub/none", body=b"x", headers={"Connection": "close"})
        assert one.body == b'{"receivers":0}\n'
        assert publisher.call("publish", channel="c", data="ws") == {}
        expected = ["publish", "multi 0", "multi 1", "multi 2", "eval 1", "eval 2", "eval 3", "eval", "m 1", "m 3", "many",
                    "many", "x", "http", '"ws"']
        for reader in readers:
            reader.read_until(lambda got: got["c"] and got["c"][-1][1] == b'"ws"')
            reader.rest()
            assert [payload.decode() for _, payload in reader.got["c"]] == expected
            assert [payload for _, payload in reader.got["s"]] == [b"multi s", b"shard"]
        assert [stream.event().data for _ in expected] == expected
        assert [ws.publication("c")["data"] for _ in expected] == [*expected[:-1], "ws"]
    stream.close()


def test_a_queue_group_gets_each_message_once_at_each_node(nodes):
    leaves = [nodes.leaf() for _ in range(2)]
    groups = []
    for leaf in leaves:
        members = [leaf.client(version) for version in (2, 3, 3)]
        for member, names in zip(members, (("jobs",), ("jobs",), ("jobs", "jo*"))):
            member.command("QSUBSCRIBE", "g", *names)
            for count, name in enumerate(names):
                assert list(member.read_value()) == [b"qsubscribe", b"g", name.encode(), count + 1]
        groups.append(members)
    with nodes.upstream.connect() as publisher:
        for n in range(30):
            assert publisher.call("PUBLISH", "jobs", str(n)) == 4  # a channel and a pattern of each node
    for leaf in leaves:
        wait_until(lambda leaf=leaf: link(leaf)["received"] == "30", "all messages")
    for members in groups:
        got, by_pattern = [], []
        for member in members:
            member.command("PING", "end")
            while (frame := member.read_value()) not in (b"end", [b"pong", b"end"]):
                (got if frame[0] == b"message" else by_pattern).append(int(frame[-1]))
        assert sorted(got) == by_pattern == list(range(30))


# Confirmations


def subscribe_and_check(node, upstream, version, kind, names):
    """Each name is served as soon as it is confirmed: what the upstream publishes then is received."""
    with node.connect(timeout=60) as client:
        if version == 3:
            client.hello(3)
        client.subscribe(*names, kind=kind)
        with upstream.connect() as publisher:
            verb = "SPUBLISH" if kind == "SSUBSCRIBE" else "PUBLISH"
            publisher.send(b"".join(encode(verb, name, f"to {name}") for name in names))
            for name in names:
                frame = client.read_value()
                assert frame[-2:] == [name.encode(), f"to {name}".encode()], (frame[:3], name)
                assert publisher.read_value() == 1


def test_a_confirmed_subscription_misses_nothing(any_nodes):
    leaf = any_nodes.leaf("--upstream-linger", 1)
    for n in range(60):
        kind = ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE")[n % 3]
        subscribe_and_check(leaf, any_nodes.upstream, 2 + n % 2, kind, [f"{kind}:{n}"])
    for kind in ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"):
        subscribe_and_check(leaf, any_nodes.upstream, 3, kind, [f"{kind}:many:{n}" for n in range(5000)])


def test_a_confirmed_subscription_misses_nothing_over_a_slow_link(nodes):
    """Behind a proxy whose delay makes a confirmation without that of the upstream certain to be too early."""
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.browsed("--token-hmac-secret", SECRET, port=proxy.port)
        proxy.up.delay = proxy.down.delay = 0.05
        for n in range(3):
            subscribe_and_check(leaf, nodes.upstream, 2, "SUBSCRIBE", [f"slow:{n}:{k}" for k in range(3)])
        with nodes.upstream.connect() as publisher:
            for target, channel in (("channel=s1", "s1"), ("pattern=s2*", "s2x"), ("channel=s3&channel=s4", "s4")):
                with EventStream(leaf.http_port, "/sse?" + target) as stream:
                    stream.block()
                    assert publisher.call("PUBLISH", channel, "now") == 1
                    assert "now" in stream.event().data
            with EdgeSocket(leaf.http_port) as ws:
                ws.call("connect")
                for channel in ("w1", "glob:w2*", "w3"):
                    assert ws.call("subscribe", channel=channel) == {}
                    assert publisher.call("PUBLISH", channel.removeprefix("glob:").replace("*", "x"), "1") == 1
                    assert ws.publication(channel)["data"] == 1
            with EdgeSocket(leaf.http_port) as ws:
                token = make_token(sub="u", exp=2 ** 31, channels=["t1", "t2"])
                assert set(ws.call("connect", token=token)["subs"]) == {"t1", "t2"}
                assert publisher.call("PUBLISH", "t2", "1") == publisher.call("PUBLISH", "t1", "1") == 1
                assert ws.publication("t2") and ws.publication("t1")
        client = leaf.connect()
        client.ok("MULTI")
        client.call("SUBSCRIBE", "in:multi")
        assert client.call("EXEC") == [[b"subscribe", b"in:multi", 1]]


def test_clients_that_leave_while_they_wait_leave_nothing_behind(nodes):
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.browsed("--upstream-linger", 1, "--upstream-probe", 600, port=proxy.port)
        admin = leaf.connect()
        proxy.stop(proxy.down)
        waiting = [leaf.client(2 + n % 2) for n in range(6)]
        for n, client in enumerate(waiting):
            client.command("SUBSCRIBE", f"left:{n}", "left")
        with EdgeSocket(leaf.http_port) as ws:
            ws.call("connect")
            ws.send_json({"id": 9, "subscribe": {"channel": "left:ws"}})
            wait_until(lambda: link(leaf)["waiting_names"] == "8", "names that wait")
            killed = waiting[0].socket.getsockname()
            assert admin.call("CLIENT", "KILL", "ADDR", f"127.0.0.1:{killed[1]}") == 1
        assert waiting[0].is_closed()
        waiting[1].close()
        waiting[2].finish_sending()
        assert waiting[3].nothing_arrives()
        proxy.go()
        for client in waiting[3:]:
            assert [list(client.read_value())[1] for _ in range(2)][1] == b"left"
            client.close()
        wait_until(lambda: names_at(nodes.upstream) == set(), "no interest at the upstream")
        assert link(leaf)["names"] == "0"


def test_more_names_than_may_linger_are_subscribed_to_in_one_command(nodes):
    """And the time for them grows with their number only."""
    leaf = nodes.leaf()
    names = [f"n{n}" for n in range(150000)]
    with leaf.connect(timeout=30) as client:
        client.command("SUBSCRIBE", *names)
        for count in range(len(names)):
            assert client.read_value()[2] == count + 1
        assert leaf.cpu_seconds() < cpu_seconds(3)
        with nodes.upstream.connect() as publisher:
            for name in names[::1000]:
                assert publisher.call("PUBLISH", name, "x") == 1
                assert client.read_value() == [b"message", name.encode(), b"x"]


# Interest


def test_the_upstream_sends_what_is_wanted_and_nothing_else(nodes):
    leaf = nodes.leaf("--upstream-linger", 1)
    other = nodes.leaf()
    client, second = leaf.connect(), leaf.client(3)
    client.subscribe("a", "b")
    client.subscribe("p*", kind="PSUBSCRIBE")
    second.subscribe("a")
    second.subscribe("s", kind="SSUBSCRIBE")
    with nodes.upstream.connect() as redis:
        assert names_at(nodes.upstream) == {"a", "b"}
        assert redis.call("PUBSUB", "NUMSUB", "a", "b") == [b"a", 1, b"b", 1]
        assert redis.call("PUBSUB", "NUMPAT") == 1
        assert names_at(nodes.upstream, kind="SHARDCHANNELS") == {"s"}
        client.call("UNSUBSCRIBE", "a")
        client.call("UNSUBSCRIBE", "b")
        assert names_at(nodes.upstream) == {"a", "b"}, "it lingers"
        wait_until(lambda: names_at(nodes.upstream) == {"a"}, "the end of b")
        # One that comes back in time keeps the subscription.
        client.call("PUNSUBSCRIBE", "p*")
        client.subscribe("p*", kind="PSUBSCRIBE")
        client.subscribe("b")
        client.call("UNSUBSCRIBE", "b")
        wait_until(lambda: link(leaf)["lingering_names"] == "1", "b lingers")
        client.subscribe("b")
        second.close()
        wait_until(lambda: names_at(nodes.upstream) == {"b"}, "the end of a")
        wait_until(lambda: names_at(nodes.upstream, kind="SHARDCHANNELS") == set(), "the end of s")
        assert redis.call("PUBSUB", "NUMPAT") == 1
        for n in range(20):
            redis.call("PUBLISH", "b", str(n))
            assert client.read_value() == [b"message", b"b", b"%d" % n]
        client.close()
        wait_until(lambda: redis.call("PUBSUB", "NUMPAT") == 0 and names_at(nodes.upstream) == set(), "no interest")
    assert link(other)["received"] == "0"


def test_a_subscription_that_comes_back_while_it_is_left_is_made_again(nodes):
    """Over a slow link: UNSUBSCRIBE is on its way when the next subscriber comes."""
    with Proxy(nodes.upstream.address) as proxy:
        leaf = nodes.leaf("--upstream-linger", 0, port=proxy.port)
        proxy.up.delay = proxy.down.delay = 0.02
        with nodes.upstream.connect() as publisher:
            for n in range(10):
                client = leaf.connect()
                client.subscribe("back")
                publisher.call("PUBLISH", "back", str(n))
                assert client.read_value() == [b"message", b"back", b"%d" % n]
                client.close()
                wait_until(lambda: link(leaf)["lingering_names"] == "1" or link(leaf)["names"] == "0", "it lingers")
    assert link(leaf)["connections"] == "1"


def test_a_node_without_interest_receives_nothing(nodes):
    leaf = nodes.leaf("--upstream-probe", 3600)
    busy = nodes.leaf()
    reader = Reader(busy, 3, ("PSUBSCRIBE", "*"))
    # What belongs to the start is over when nothing is expected any more.
    before = wait_until(lambda: (now := link(leaf)["input_bytes"]) == link(leaf)["input_bytes"] and now, "quiet")
    with nodes.upstream.connect() as publisher:
        publisher.send(b"".join(encode("PUBLISH", f"c{n % 9}", f"{n}") for n in range(2000)))
        for _ in range(2000):
            publisher.read_value()
    reader.read_until(lambda got: len(got["*"]) == 2000)
    assert link(leaf)["input_bytes"] == before
    assert int(link(leaf)["received"]) == 0
