"""Rooms with members at several nodes, over WebSocket, and messages that are published at the first node.

A turn publishes a message to each of some rooms and waits until the publisher has its replies and each member its messages,
so that all systems have the same load. A message is JSON and has one MARK, by which messages are counted.
"""

import contextlib
import select
import time

import edge_cases as edge
import peers as brokers
from lib.resp import Connection, encode
from node_cases import Leaf

MARK, TIMEOUT_S = edge.MARK, edge.TIMEOUT_S
PAYLOAD = edge.payload_of(64)
LOST_S = 2  # a message that has not come after it is lost


class WebLeaf(Leaf):
    """With WebSocket. Its first node publishes by PUBLISH."""

    def __init__(self, build, engine):
        super().__init__(build, engine)
        self.http_port = brokers.free_port()
        self.config = f"""
http-port {self.http_port}
http-bind 127.0.0.1
edge-anonymous yes
edge-ping-interval 3600
user edge on resetchannels &* +@all
"""

    def begin(self, connection, room):
        edge.begin_ws(connection, room)

    def source(self):
        return edge.connect(self.port)

    @staticmethod
    def request(rooms):
        """Returns what publishes a message to each room, and the number of lines of the answer."""
        return b"".join(encode("PUBLISH", room, PAYLOAD) for room in rooms), len(rooms)

    def bytes_from_engine(self):
        return int(self.link()["link_input_bytes"])


class Load:
    """The members and the publisher of a system: redis-server and its nodes."""

    def __init__(self, engine, nodes):
        self.engine = engine
        self.nodes = nodes
        self.poll = select.epoll()
        self.room = bytearray(1 << 18)
        self.members = {}  # by handle
        self.sizes = {}  # by room: its members
        self.requests = {}  # by rooms
        self.source = nodes[0].source()
        self.poll.register(self.source.fileno(), select.EPOLLIN)
        self.admin = Connection(("127.0.0.1", engine.port), timeout=TIMEOUT_S)

    def join(self, node, room, count):
        self.sizes.setdefault(room, 0)
        for _ in range(count):
            connection = edge.connect(node.http_port, len(self.members))
            node.begin(connection, room)
            self.members[connection.fileno()] = connection
            self.poll.register(connection.fileno(), select.EPOLLIN)
        self.sizes[room] += count

    def due(self, rooms):
        return sum(self.sizes[room] for room in rooms)

    def turn(self, rooms, timeout_s=TIMEOUT_S):
        """Returns the number of messages that did not come. The rooms are a tuple."""
        if rooms not in self.requests:
            self.requests[rooms] = (*self.nodes[0].request(rooms), self.due(rooms))
        request, replies, due = self.requests[rooms]
        source = self.source.fileno()
        self.source.sendall(request)
        while due > 0 or replies > 0:
            ready = self.poll.poll(timeout_s, 1024)
            if not ready:
                return due
            for handle, _ in ready:
                n = (self.source if handle == source else self.members[handle]).recv_into(self.room)
                if n == 0:
                    raise ConnectionError("a node closed a connection")
                if handle == source:
                    replies -= self.room.count(b"\n", 0, n)
                else:
                    due -= self.room.count(MARK, 0, n)
        if due < 0 or replies < 0:
            raise ConnectionError(f"more came than was sent: {-due} messages, {-replies} replies")
        return 0

    def settle(self, rooms):
        """Until no message is lost, for an adapter of Socket.IO does not wait until it is subscribed."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.turn(rooms, LOST_S):
            if time.monotonic() > deadline:
                raise ConnectionError("messages are lost")

    def run(self, turns, seconds):
        """Repeats the turns, each a tuple of rooms. Returns the messages and the deliveries."""
        messages = deliveries = 0
        end = time.monotonic() + seconds
        while messages == 0 or time.monotonic() < end:
            for rooms in turns:
                if self.turn(rooms):
                    raise ConnectionError("messages are lost")
                messages += len(rooms)
                deliveries += self.requests[rooms][2]
        return messages, deliveries

    def engine_bytes(self):
        """What redis-server has sent until now, and what it sends by this question."""
        reply = self.admin.call("INFO", "stats")
        sent = next(int(line.split(b":")[1]) for line in reply.split(b"\n") if line.startswith(b"total_net_output_bytes:"))
        return sent, len(b"$%d\r\n" % len(reply)) + len(reply) + 2

    def measure(self, turns, seconds):
        return Cost(self, turns, seconds)

    def close(self):
        for connection in (*self.members.values(), self.source, self.admin, self.poll):
            connection.close()


class Cost:
    """Of the processes, in microseconds, and of redis-server in bytes, while the turns are run."""

    def __init__(self, load, turns, seconds):
        pids = [load.engine.pid, *(node.pid for node in load.nodes)]
        sent, question = load.engine_bytes()
        before = [brokers.cpu_seconds(pid) for pid in pids]
        self.messages, self.deliveries = load.run(turns, seconds)
        spent = [(brokers.cpu_seconds(pid) - was) * 1e6 for pid, was in zip(pids, before)]
        self.engine = spent[0] / self.messages
        self.nodes = [us / self.messages for us in spent[1:]]
        self.all_nodes = sum(self.nodes)
        self.delivery = sum(spent[1:]) / self.deliveries if self.deliveries else 0
        self.bytes = (load.engine_bytes()[0] - sent - question) / self.messages


@contextlib.contextmanager
def loaded(node_class, build, count):
    """A Load for redis-server and so many nodes."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(brokers.Redis(build))
        nodes = [stack.enter_context(node_class(build, engine)) for _ in range(count)]
        for node in nodes:
            if isinstance(node, WebLeaf):
                node.wait(lambda link: link["link_state"] == "up")
        load = Load(engine, nodes)
        stack.callback(load.close)
        yield load
