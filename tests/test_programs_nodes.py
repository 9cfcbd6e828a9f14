"""Servers of Socket.IO and of GraphQL, each with another of three nodes as its Redis, and servers that go to another node
when their own is killed."""

import contextlib

import pytest

from lib.graphql import GraphqlServer, check_news, wait_for_subscriptions
from lib.nodes import Balancer, Nodes, names_at, wait_for_state
from lib.programs import Node
from lib.wait import wait_until

# In engine mode also with a history of all channels: it changes how messages go to the other nodes.
MODES = {"leaf": (), "engine": ("--upstream-mode", "engine"),
         "engine, kept": ("--upstream-mode", "engine", "--channel", "*", "history-size", 1000, "history-ttl", 600)}


class Clients(Node):
    """Clients by name; got[name] are their events."""

    def __init__(self, modules, script):
        super().__init__(modules, script)
        self.got = {}

    def read(self):
        name, *event = self.json_line()
        assert event[0] != "failed", event
        self.got.setdefault(name, []).append(event)
        return name, event

    def read_until(self, event, *names):
        """Until each of them has this event, which must be its last one."""
        while any(event not in self.got.get(name, []) for name in names):
            self.read()
        return [self.got.pop(name)[:-1] for name in names]


@pytest.fixture(params=MODES)
def nodes(request, start_fanfared, start_redis):
    field = Nodes(start_fanfared, start_redis())
    return [field.leaf(*MODES[request.param]) for _ in range(3)]


@pytest.fixture
def ways(nodes):
    """For each node a balancer that prefers it, and then the next ones."""
    addresses = [node.address for node in nodes]
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Balancer(*addresses[at:], *addresses[:at])) for at in range(3)]


@pytest.fixture
def start(program_modules):
    """start(kind, script, word...) gives a running program."""
    with contextlib.ExitStack() as stack:
        yield lambda kind, script, *words: stack.enter_context(kind(program_modules, script, *words))


# Socket.IO


@pytest.fixture(params=["pubsub", "sharded"])
def adapter(request):
    return request.param


@pytest.fixture
def servers(start, ways, adapter):
    return [start(Node, "socket_io_server.js", adapter, way.port) for way in ways]


@pytest.fixture
def wait_for_room(nodes, adapter):
    """wait_for_room(node number, room): until the server has subscribed to it. The adapter pubsub has one pattern for all."""
    def wait(at, room=""):
        if adapter == "sharded":
            channel = f"socket.io#/#{room and room + '#'}"
            wait_until(lambda: channel in names_at(nodes[at], kind="SHARDCHANNELS"), f"subscribed to {channel}", 20)
        else:
            wait_until(lambda: "socket.io-request#/#" in names_at(nodes[at]), "subscribed", 20)

    return wait


@pytest.fixture
def clients(start, servers, wait_for_room):
    """The clients a, b and c of the three servers: a is in the room one, b in one and two, c in two."""
    clients = start(Clients, "socket_io_clients.js")
    for name, server, rooms in zip("abc", servers, (["one"], ["one", "two"], ["two"])):
        clients.do(name, server.port(), *rooms)
    clients.read_until(["here"], *"abc")
    for at, room in ((0, ""), (0, "one"), (1, ""), (1, "one"), (1, "two"), (2, ""), (2, "two")):
        wait_for_room(at, room)
    return clients


def messages(clients, server, *names):
    """What these clients got until a message to all from this server."""
    server.do("emit", {}, "end")
    return [[event[1] for event in events if event[0] == "message"] for events in clients.read_until(["message", "end"], *names)]


def test_socket_io_rooms_span_nodes(servers, clients, wait_for_room):
    first, second, third = servers
    for server in servers:
        server.do("emit", {}, "to all")
        assert messages(clients, server, *"abc") == [["to all"]] * 3
    second.do("emit", {"rooms": ["one"], "except": ["two"]}, "to one, not two")
    assert messages(clients, second, *"abc") == [["to one, not two"], [], []]
    third.do("emit", {"rooms": ["one", "two"]}, "to both, once")
    assert messages(clients, third, *"abc") == [["to both, once"]] * 3
    first.do("emit", {"except": ["one"]}, "to all but one")
    assert messages(clients, first, *"abc") == [[], [], ["to all but one"]]
    first.do("emit", {"local": True}, "to its own")
    assert messages(clients, first, *"abc") == [["to its own"], [], []]
    first.do("bytes", *range(256))
    assert messages(clients, first, *"abc") == [[list(range(256))]] * 3
    first.do("join", ["two"], ["three"])
    wait_for_room(1, "three")
    wait_for_room(2, "three")
    first.do("emit", {"rooms": ["three"]}, "to three")
    assert messages(clients, first, *"abc") == [[], ["to three"], ["to three"]]
    third.do("leave", ["one"], ["three"])
    third.do("emit", {"rooms": ["three"]}, "to three")
    assert messages(clients, third, *"abc") == [[], [], ["to three"]]
    first.do("disconnect", ["three"])
    assert clients.read() == ("c", ["gone", "io server disconnect"])
    assert messages(clients, third, *"ab") == [[], []]


def test_socket_io_servers_tell_each_other_but_count_only_those_at_their_node(servers, clients):
    """As fanfare-nodes(7) says of PUBSUB NUMSUB."""
    for server, name in zip(servers, "abc"):
        assert server.ask("count") == ["count", 1]
        assert server.ask("fetch", []) == ["sockets", [name]]
        assert server.ask("ask", "word") == ["answers", []]
        messages(clients, server, *"abc")
    for server in servers:
        server.do("tell", "a word", 17)
        for other in servers:
            if other is not server:
                # A request that it only counts is answered as well.
                while (line := other.json_line()) == ["server", "word"]:
                    pass
                assert line == ["server", "a word", 17]


def wait_for_servers(node, adapter, *with_rooms):
    """Until servers whose clients are in these rooms are subscribed to all they need at this node."""
    with node.connect() as client:
        if adapter == "sharded":
            counts = {"socket.io#/#": len(with_rooms)}
            counts |= {f"socket.io#/#{room}#": sum(room in rooms for rooms in with_rooms) for room in ("one", "two")}
            wait_until(lambda: client.call("PUBSUB", "SHARDNUMSUB", *counts)[1::2] == [*counts.values()], "all channels", 20)
        else:
            wait_until(lambda: client.call("PUBSUB", "NUMSUB", "socket.io-request#/#")[1] == len(with_rooms) and
                       client.call("PUBSUB", "NUMPAT") == 1, "all channels", 20)


def numbers(clients, server, *names):
    return dict(zip(names, messages(clients, server, *names)))


def test_a_socket_io_server_goes_to_another_node(nodes, servers, clients, adapter):
    first, second, third = servers
    first.do("burst", [], 0, 20)
    assert numbers(clients, first, *"abc") == {name: list(range(20)) for name in "abc"}
    nodes[1].kill()
    second.expect("redis lost")
    first.do("burst", [], 20, 40)
    wait_for_servers(nodes[2], adapter, ["one", "two"], ["two"])
    first.do("burst", [], 40, 60)
    first.do("burst", ["two"], 60, 80)
    got = numbers(clients, first, *"abc")
    assert (got["a"], got["c"]) == (list(range(20, 60)), list(range(20, 80)))
    # Its client may have missed the first of those that were sent meanwhile.
    assert got["b"] == list(range(80 - len(got["b"]), 80)) and len(got["b"]) >= 40
    second.do("burst", ["one"], 80, 100)
    assert numbers(clients, second, *"abc") == {"a": list(range(80, 100)), "b": list(range(80, 100)), "c": []}
    # Now two servers are at one node.
    assert second.ask("count") == ["count", 2]
    word, sockets = second.ask("fetch", [])
    assert word == "sockets" and "b" in sockets and len(sockets) == 2
    nodes[1].start(nodes[1].port)
    wait_for_state(nodes[1])
    nodes[2].kill()  # one of the two goes to the second node, the other to the first one
    second.expect("redis lost")
    third.expect("redis lost")
    wait_for_servers(nodes[0], adapter, ["one"], ["two"])
    wait_for_servers(nodes[1], adapter, ["one", "two"])
    first.do("burst", [], 100, 120)
    assert numbers(clients, first, *"abc") == {name: list(range(100, 120)) for name in "abc"}


# GraphQL


@pytest.fixture
def graphql_servers(program_modules, ways):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(GraphqlServer(program_modules, way.port)) for way in ways]
        for server in servers:
            server.listen()
        yield servers


def test_graphql_subscriptions_go_to_another_node(nodes, graphql_servers):
    first, second, third = graphql_servers
    for node in nodes:
        wait_for_subscriptions(1, 1, node)
    check_news(graphql_servers, first, range(20))
    nodes[1].kill()
    second.subscribe("late", "late")
    wait_for_subscriptions(1 + 2, 1 + 1, nodes[2])
    check_news(graphql_servers, second, range(20, 40))
    first.do("publish", "late", 40, 60)
    assert second.numbers(59, "late") == [[*range(40, 60)]]
    nodes[1].start(nodes[1].port)
    wait_for_state(nodes[1])
    nodes[2].kill()
    wait_for_subscriptions(2, 2, nodes[0])
    wait_for_subscriptions(2, 1, nodes[1])
    check_news(graphql_servers, third, range(60, 80))
    second.stop("late")
    wait_for_subscriptions(1, 1, nodes[1])
    check_news(graphql_servers, first, range(80, 100))


def test_graphql_subscriptions_return_to_nodes_that_are_restarted_at_once(nodes, graphql_servers):
    for turn in range(4):
        # A client may be back before the link of its node: then its subscription is confirmed at once.
        for node in nodes[turn % 2:]:
            node.kill()
            node.start(node.port)
        for node in nodes:
            wait_for_state(node)
        wait_for_subscriptions(3, 3, *nodes)
        check_news(graphql_servers, graphql_servers[turn % 3], range(20 * turn, 20 * turn + 20))
