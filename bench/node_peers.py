"""Three nodes on one redis-server: leaves beside nodes of Socket.IO with its redis-adapter, under the same load."""

import contextlib
import json
import os
import statistics
import subprocess
import time

import edge_cases as edge
import peers as brokers
from node_load import PAYLOAD, WebLeaf, loaded

HERE = os.path.dirname(os.path.abspath(__file__))
ROOMS, MEMBERS, NODES = 30, 12, 3
PLACES = {"one": "at one node", "all": "at all nodes"}
PACES = {"burst": f"bursts of {ROOMS}", "single": "one at a time"}


class SocketNode(brokers.Peer):
    name = "Socket.IO"
    program = "node"
    adapter = "plain"
    modules = None  # the folder node_modules

    def __init__(self, build, engine):
        super().__init__(build)
        self.engine = engine
        self.http_port = self.port
        self.control_port = brokers.free_port()

    def arguments(self):
        if not os.path.isdir(os.path.join(self.modules, "@socket.io", "redis-adapter")):
            raise brokers.Unavailable(f"{self.modules} has no @socket.io/redis-adapter")
        return [os.path.join(HERE, "socket_io_node.js"), self.modules, self.adapter,
                *map(str, (self.engine.port, self.port, self.control_port)), PAYLOAD.decode()]

    def versions(self):
        def of(package):
            with open(os.path.join(self.modules, package, "package.json"), encoding="utf-8") as file:
                return f"{package.rpartition('/')[2]} {json.load(file)['version']}"
        node = subprocess.run([self.path(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{', '.join(map(of, ('socket.io', '@socket.io/redis-adapter', 'ioredis')))}, Node {node.lstrip('v')}"

    def begin(self, connection, room):
        edge.shake_hands(connection, "/socket.io/?EIO=4&transport=websocket")
        connection.sendall(edge.text_frame(b"40"))
        edge.read_until(connection, b'40{"sid"')
        connection.sendall(edge.text_frame(b'420["join","%s"]' % room.encode()))
        edge.read_until(connection, b"430[")

    def source(self):
        return edge.connect(self.control_port)

    @staticmethod
    def request(rooms):
        return b"emit %s\n" % ",".join(rooms).encode(), 1

    def bytes_from_engine(self):
        with edge.connect(self.control_port) as connection:
            connection.sendall(b"bytes\n")
            return int(edge.read_until(connection, b"\n"))


class ShardedSocketNode(SocketNode):
    adapter = "sharded"


SYSTEMS = {"fanfared": WebLeaf, "Socket.IO": SocketNode, "Socket.IO, sharded": ShardedSocketNode}


def rooms_of(place):
    return tuple(f"{place}.{n}" for n in range(ROOMS))


def turns_of(place, pace):
    return [rooms_of(place)] if pace == "burst" else [(room,) for room in rooms_of(place)]


def fill(load):
    """Room n has all its members at node n, modulo the nodes, or the same share of them at each node."""
    for n in range(ROOMS):
        load.join(load.nodes[n % NODES], f"one.{n}", MEMBERS)
        for node in load.nodes:
            load.join(node, f"all.{n}", MEMBERS // NODES)
    for place in PLACES:
        load.settle(rooms_of(place))


def bytes_to_nodes(load):
    """From redis-server to each node, for each message to a room with members at the second node only."""
    rooms = rooms_of("one")[1::NODES]
    before = settled(load)
    messages, _ = load.run([rooms], 0.1)
    return [(after - was) / messages for after, was in zip(settled(load), before)]


def settled(load):
    """The bytes that each node has had, when no more come."""
    last, since = None, time.monotonic()
    while time.monotonic() < since + 0.2:
        now = [node.bytes_from_engine() for node in load.nodes]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)
    return last


def compare(build, rounds, seconds, systems):
    """{system: {(place, pace): [Cost of each round]}} and {system: bytes to each node}."""
    loads = [(place, pace) for place in PLACES for pace in PACES]
    with contextlib.ExitStack() as stack:
        found, traffic, running = {}, {}, {}
        for name in systems:
            running[name] = stack.enter_context(loaded(SYSTEMS[name], build, NODES))
            fill(running[name])
            for place, pace in loads:
                running[name].run(turns_of(place, pace), seconds)  # compilers of V8 need some time
            traffic[name] = bytes_to_nodes(running[name])
            found[name] = {load: [] for load in loads}
        for _ in range(rounds):
            for place, pace in loads:
                for name, load in running.items():
                    found[name][place, pace].append(load.measure(turns_of(place, pace), seconds))
    return found, traffic


def middle(costs, what):
    return statistics.median(getattr(cost, what) for cost in costs)


def spread(numbers):
    return f"{statistics.median(numbers):.1f} ({min(numbers):.1f} to {max(numbers):.1f})"


def report(add, found, traffic, versions):
    """Adds the tables, line by line."""
    add("", "## Beside Socket.IO with its redis-adapter", "",
        f"{versions}. Each system has three nodes on one redis-server, and {ROOMS} rooms with {MEMBERS} members each, over WebSocket. "
        "Either all members of a room are at one node, so that the other two nodes have no interest in the room, or a third of "
        "them is at each node. Messages of 64 B are published at the first node, to each room in turn. A RESP client publishes "
        "them to fanfared, whose processor time includes that of this connection; Socket.IO sends them by `io.to(room).emit` "
        "within the server's process. The WebSocket clients are the same program for all systems; it waits for all deliveries of "
        "a burst before it starts the next one. The sharded adapter, of the same package, needs Redis 7 and has a channel for "
        "each room.", "",
        "Medians of interleaved rounds; processor time of redis-server for each message, and of the three nodes together for each "
        "delivery to a client.", "",
        "| members | pace | system | bytes from redis-server a message | redis-server, us a message | nodes, us a delivery |",
        "| --- |" + " --- |" * 5)
    loads = list(found["fanfared"])
    for place, pace in loads:
        for name, rows in found.items():
            costs = rows[place, pace]
            add(f"| {PLACES[place]} | {PACES[pace]} | {name} | {middle(costs, 'bytes'):.1f} | {middle(costs, 'engine'):.2f} | "
                f"{middle(costs, 'delivery'):.2f} |")
    others = [name for name in found if name != "fanfared"]
    if others:
        add("", "How many times as much as fanfared, in the same round: median (lowest to highest).", "",
            "| members | pace | system | bytes | redis-server | nodes |", "| --- |" + " --- |" * 5)
    for place, pace in loads:
        for name in others:
            pairs = list(zip(found[name][place, pace], found["fanfared"][place, pace]))
            cells = [spread([getattr(other, what) / getattr(own, what) for other, own in pairs])
                     for what in ("bytes", "engine", "delivery")]
            add(f"| {PLACES[place]} | {PACES[pace]} | {name} | " + " | ".join(cells) + " |")
    add("", "One at a time, most of redis-server's time is that of the system calls for each message, so the systems differ less "
        "there, and other programs change the figures more.", "",
        "Bytes that each node gets from redis-server, for each message to a room whose members are all at the second node "
        "(its commands' replies are in the column of the node that publishes):", "",
        "| system | the node that publishes | the node with the members | the third node |", "| --- |" + " --- |" * 3)
    for name, figures in traffic.items():
        add(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")
