"""Clients of others at three nodes: centrifuge-js, EventSource, and libraries of Redis that resume or only subscribe again. Each
has another node, and goes on at the next one when its node is killed. Socket.IO: test_programs_nodes.py."""

import contextlib
import os
import random
import sys

import pytest

from conftest import TESTS
from lib.centrifuge import Client
from lib.nodes import Backend, Balancer, Nodes, wait_for_state
from lib.nodes_edge import post
from lib.program import Program
from lib.wait import wait_until

MODES = {"engine": ("--upstream-mode", "engine"), "leaf": ()}
KEPT = ("--channel", "[nop]*", "history-size", 5000, "history-ttl", 600)


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def start_nodes(start_fanfared, start_redis):
    """start_nodes(mode, option...) gives three nodes of one Redis."""
    def start(mode, *options):
        nodes = Nodes(start_fanfared, start_redis())
        return [nodes.browsed(*MODES[mode], *KEPT, "--sse-retry-min", 50, "--sse-retry-max", 100, *options) for _ in range(3)]

    return start


@pytest.fixture
def nodes(start_nodes, mode):
    return start_nodes(mode)


@pytest.fixture
def ways():
    """ways(nodes, port name) gives a balancer for a client of each node, which prefers that node, and then the next ones."""
    with contextlib.ExitStack() as stack:
        def start(nodes, port="http_port"):
            addresses = [("127.0.0.1", getattr(node, port)) for node in nodes]
            return [stack.enter_context(Balancer(*addresses[at:], *addresses[:at])) for at in range(len(nodes))]

        yield start


@pytest.fixture
def programs():
    """Programs that end with the test."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


def publish(node, channel, payloads):
    with node.connect() as client:
        for payload in payloads:
            reply = client.call("PUBLISH", channel, payload)
            assert isinstance(reply, int), reply


# centrifuge-js


class Recovering(Client):
    """A client of the channel news, whose messages are the numbers 1, 2, 3 ... It recovers, or reads its state again."""

    def start(self):
        self.got = []
        self.verdicts = []  # of subscriptions after the first: was it recovered?
        self.awaited = 0  # replies to requests for the history
        self.do("connect", None)
        self.wait_for("connected")
        self.subscribe("news")
        return self

    def take(self):
        event = self.json_line()
        if event[0] == "publication":
            self.got.append(event[2:4])
        elif event[0] == "subscribed":
            assert event[1:3] == ["news", True], event
            self.verdicts.append(event[3])
            if not event[3]:
                self.got = []
                self.awaited += 1
                self.do("history", "news", {"limit": 5000})
        elif event[0] == "history":
            self.awaited -= 1
            numbers, offset = event[1:]
            self.got = [*([number, 0] for number in numbers), *(message for message in self.got if message[1] > offset)]
        else:
            assert event[0] in ("connecting", "connected", "error"), event

    def read(self, last):
        while self.awaited or not self.got or self.got[-1][0] != last:
            self.take()

    def read_verdicts(self, count):
        while len(self.verdicts) < count:
            self.take()

    def numbers(self):
        return [number for number, _ in self.got]


@pytest.fixture
def recovering(programs, node_modules):
    return lambda ways: [programs(Recovering(way, node_modules)).start() for way in ways]


def test_centrifuge_js_recovers_at_another_node(nodes, mode, ways, recovering):
    clients = recovering(ways(nodes))
    first, second, third = nodes
    post(first, "news", *range(1, 21))
    for client in clients:
        client.read(20)
    second.kill()
    post(first, "news", *range(21, 41))
    clients[1].read_verdicts(1)
    post(first, "news", *range(41, 61))
    for client in clients:
        client.read(60)
        assert client.numbers() == list(range(1, 61))
    assert [client.verdicts for client in clients] == [[], [mode == "engine"], []]
    third.kill()  # two clients go to the first node, one of them for the second time
    post(first, "news", *range(61, 81))
    for client in clients:
        client.read(80)
        assert client.numbers() == list(range(1, 81))
    assert [client.verdicts for client in clients] == [[], [mode == "engine"] * 2, [mode == "engine"]]


@pytest.mark.parametrize("seed", [1, 2])
def test_centrifuge_js_gets_all_through_kills_of_any_node(start_nodes, ways, recovering, seed):
    rng = random.Random(seed)
    nodes = start_nodes("engine")
    clients = recovering(ways(nodes))
    backend = Backend("news", *nodes)
    backend.start()
    try:
        for _ in range(12):
            number = backend.number + rng.randrange(30)
            wait_until(lambda number=number: backend.number > number, "messages", 30)
            killed = rng.sample(nodes, rng.choice([1, 1, 2]))
            for node in killed:
                node.kill()
            number = backend.number + rng.randrange(10)
            wait_until(lambda number=number: backend.number > number, "messages", 30)
            for node in killed:
                node.start(node.port)
                if rng.random() < 0.5:
                    wait_for_state(node)
    finally:
        backend.stop()
    end = backend.number + 1
    wait_for_state(nodes[0])
    publish(nodes[0], "news", [str(end)])
    for client in clients:
        client.read(end)
        assert set(client.verdicts) <= {True}
    for client in clients[1:]:
        assert client.numbers() == clients[0].numbers()
    numbers = clients[0].numbers()
    assert list(dict.fromkeys(numbers)) == list(range(1, end + 1))
    assert {number for number in set(numbers) if numbers.count(number) > 1} <= backend.repeated


# EventSource


class Stream(Program):
    """event_source.js on the channel news."""

    def __init__(self, way, node_modules):
        super().__init__("node", TESTS / "js" / "event_source.js", f"http://127.0.0.1:{way.port}/sse?channel=news",
                         env=dict(os.environ, NODE_PATH=str(node_modules)))
        self.got = []
        self.notices = []

    def take(self):
        event = self.json_line()
        if event[0] == "message":
            self.got.append(int(event[1]))
        elif event[0] == "lagged":
            self.notices.append(event[1])
        else:
            assert event[0] in ("open", "lost"), event

    def read(self, last):
        while last not in self.got[-1:]:
            self.take()

    def read_notice(self):
        count = len(self.notices)
        while len(self.notices) == count:
            self.take()


RELOAD = '{"channels":["news"],"reload":true}'


def test_an_event_source_goes_from_node_to_node(nodes, mode, ways, programs, node_modules):
    streams = [programs(Stream(way, node_modules)) for way in ways(nodes)]
    for stream in streams:
        assert stream.json_line() == ["open"]
    first, second, third = nodes
    post(first, "news", *range(1, 21))
    for stream in streams:
        stream.read(20)
    second.kill()
    post(first, "news", *range(21, 41))
    if mode == "leaf":
        streams[1].read_notice()
    post(first, "news", *range(41, 61))
    for stream in streams:
        stream.read(60)
    second.start(second.port)
    wait_for_state(second)
    first.kill()  # its stream goes to the second node
    post(third, "news", *range(61, 81))
    if mode == "leaf":
        streams[0].read_notice()
    post(third, "news", *range(81, 101))
    for stream in streams:
        stream.read(100)
    all_numbers = list(range(1, 101))
    if mode == "engine":
        assert [stream.got for stream in streams] == [all_numbers] * 3
        assert [stream.notices for stream in streams] == [[], [], []]
        return
    assert streams[2].got == all_numbers and streams[2].notices == []
    for stream, missing in ((streams[0], range(61, 81)), (streams[1], range(21, 41))):
        # What was published while the stream had no node is missing, from some moment on.
        assert stream.notices == [RELOAD]
        assert stream.got == [number for number in all_numbers if number not in missing or number in stream.got]
        assert stream.got == sorted(set(stream.got))


# Libraries of Redis that subscribe again


LIBRARIES = {"ioredis": ("node", TESTS / "js" / "ioredis.js"), "node-redis-RESP2": ("node", TESTS / "js" / "node_redis.js"),
             "node-redis-RESP3": ("node", TESTS / "js" / "node_redis.js"),
             "redis-py": (sys.executable, TESTS / "lib" / "subscribing_client.py")}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_subscribes_again_at_another_node(nodes, ways, programs, node_modules, library):
    environment = dict(os.environ, NODE_PATH=str(node_modules))
    subscribers = [programs(Program(*LIBRARIES[library], way.port, "reconnect", library[-1], env=environment))
                   for way in ways(nodes, "port")]
    for subscriber in subscribers:
        assert subscriber.json_line() == ["subscribed"]
    first, second, third = nodes
    numbers = [str(number) for number in range(60)]
    publish(first, "a", numbers[:20])
    for subscriber in subscribers[:2]:
        assert [subscriber.json_line() for _ in range(20)] == [["message", "a", number] for number in numbers[:20]]
    second.kill()
    with third.connect() as client:
        wait_until(lambda: client.call("PUBSUB", "NUMSUB", "a", "b") == [b"a", 2, b"b", 2] and
                   client.call("PUBSUB", "NUMPAT") == 1, "the client of the second node is at the third one", 20)
    publish(first, "b", numbers[20:40])
    publish(third, "p", numbers[40:])
    publish(third, "p1", ["end"])
    for subscriber in subscribers:
        before = [["message", "a", number] for number in numbers[:20]] if subscriber is subscribers[2] else []
        after = [["message", "b", number] for number in numbers[20:40]]
        patterns = [["pmessage", "p*", "p", number] for number in numbers[40:]]
        lines = [subscriber.json_line() for _ in range(len(before) + 60 - 20 + 2)]
        assert [line for line in lines if line[0] == "message"] == before + after
        assert [line for line in lines if line[0] == "pmessage"] == [*patterns, ["pmessage", "p*", "p1", "end"]]
        assert lines[-1] == ["end"]
        assert subscriber.status() == 0, subscriber.errors.decode()


# Libraries that resume


RESUMING = ["redis-py", "ioredis", "node-redis-RESP2", "node-redis-RESP3"]


class Resuming(Program):
    """A program that prints `CHANNEL NUMBER`, and `CHANNEL lost` where messages are missing."""

    def __init__(self, library, way, kind, node_modules):
        words = [sys.executable, TESTS / "lib" / "resuming_client.py"] if library == "redis-py" else \
            ["node", TESTS / "js" / "resuming_client.js", library]
        super().__init__(*words, way.port, kind, "orders", "payments", env=dict(os.environ, NODE_PATH=str(node_modules)))
        self.got = {"orders": [], "payments": []}

    def take(self):
        channel, _, word = self.line().decode().partition(" ")
        self.got[channel].append(None if word == "lost" else int(word))

    def read(self, last):
        while any(last not in words[-1:] for words in self.got.values()):
            self.take()

    def read_loss(self):
        while any(None not in words for words in self.got.values()):
            self.take()


def publish_both(node, numbers):
    for number in numbers:
        publish(node, "orders", [number])
        publish(node, "payments", [number])


@pytest.mark.parametrize("kind", ["read", "subscribe"])
@pytest.mark.parametrize("library", RESUMING)
def test_a_library_that_resumes_misses_nothing_at_nodes_of_an_engine(start_nodes, ways, programs, node_modules, library, kind):
    nodes = start_nodes("engine")
    publish_both(nodes[0], [1])
    clients = [programs(Resuming(library, way, kind, node_modules)) for way in ways(nodes, "port")]
    for client in clients:
        client.read(1)
    for turn, killed in enumerate((1, 2, 0)):
        begin = 20 * turn + 2
        publish_both(nodes[killed - 1], range(begin, begin + 10))
        clients[turn].read(begin + 9)
        nodes[killed].kill()
        publish_both(nodes[killed - 1], range(begin + 10, begin + 20))
        for client in clients:
            client.read(begin + 19)
        nodes[killed].start(nodes[killed].port)
        wait_for_state(nodes[killed])
    for client in clients:
        assert client.got == {"orders": list(range(1, 62)), "payments": list(range(1, 62))}


@pytest.mark.parametrize("library", RESUMING)
def test_a_library_that_resumes_is_told_of_losses_at_leaves(start_nodes, ways, programs, node_modules, library):
    nodes = start_nodes("leaf")
    holders = [node.connect() for node in nodes]
    for holder in holders:
        holder.subscribe("orders", "payments")  # so that the history begins before the clients
    publish_both(nodes[0], [1])
    for holder in holders:
        assert [holder.read_value()[2] for _ in range(2)] == [b"1", b"1"]
    clients = [programs(Resuming(library, way, "subscribe", node_modules)) for way in ways(nodes, "port")]
    for client in clients:
        client.read(1)
    for client in clients:
        client.got = {channel: words[-1:] for channel, words in client.got.items()}  # it had no position at first
    publish_both(nodes[0], range(2, 12))
    clients[1].read(11)
    nodes[1].kill()
    publish_both(nodes[0], range(12, 22))
    clients[1].read_loss()
    publish_both(nodes[0], range(22, 32))
    for client in clients:
        client.read(31)
        # After a loss it reads what there is.
        expected = [*range(1, 12), None, *range(1, 32)] if client is clients[1] else list(range(1, 32))
        assert client.got == {"orders": expected, "payments": expected}
