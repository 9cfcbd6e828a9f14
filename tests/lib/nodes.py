"""Several nodes at one upstream: leaves, what their links say, a proxy for a link, and readers of channels."""

import collections
import contextlib
import socket
import threading
import time

from lib.cutter import Cutter
from lib.daemon import free_port
from lib.resp import Closed, Connection, Error
from lib.wait import seconds, wait_until


# What a Redis replies.
HELLO = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"


def url(port, host="127.0.0.1", scheme="redis", login=""):
    return f"{scheme}://{login}{host}:{port}"


def link(server):
    """INFO link of a leaf as a dict, without the prefix of its names."""
    with server.connect() as client:
        return {name.removeprefix("link_"): value for name, value in client.info("link").items()}


def wait_for_state(server, state="up", within=20):
    wait_until(lambda: link(server)["state"] == state, f"link_state {state}", within)


def wait_for_error(server, text, within=20):
    """The link says that its last connection ended for this reason."""
    wait_until(lambda: text in link(server)["last_error"], f"link_last_error {text!r}", within)


class Nodes:
    """An upstream with leaves. start_leaf is start_fanfared."""

    def __init__(self, start_leaf, upstream):
        self.start_leaf = start_leaf
        self.upstream = upstream

    def leaf(self, *options, port=None, login="", waits=True, **more):
        """A leaf of the upstream, or of what listens on this port there."""
        leaf = self.start_leaf("--upstream", url(port or self.upstream.port, login=login), *options, **more)
        if waits:
            wait_for_state(leaf)
        return leaf

    def browsed(self, *options, **more):
        """A leaf with a port for browsers, as its attribute http_port."""
        port = free_port()
        leaf = self.leaf("--http-port", port, "--edge-anonymous", "yes", "--user",
                         *"edge on nopass resetchannels &* +@all".split(), *options, **more)
        leaf.http_port = port
        return leaf


def names_at(server, prefix="", kind="CHANNELS"):
    """The channels of `server` with subscribers, but those of probes."""
    with server.connect() as client:
        names = client.call("PUBSUB", kind, prefix + "*")
    return {name.decode() for name in names if not name.startswith(b"__fanfare__:probe:")}


class Reader:
    """A subscriber; got[name] are the payloads that came by the subscription to that name, with their channel if it is a
    pattern."""

    KINDS = {b"message": 1, b"pmessage": 1, b"smessage": 1}

    def __init__(self, server, version, *subscriptions):
        self.client = server.client(version)
        self.got = collections.defaultdict(list)
        for kind, name in subscriptions:
            self.client.subscribe(name, kind=kind)

    def read(self):
        frame = self.client.read_value()
        assert not isinstance(frame, Error), frame
        if frame[0] == b"pmessage":
            self.got[frame[1].decode()].append((frame[2].decode(), frame[3]))
        else:
            assert frame[0] in self.KINDS, frame
            self.got[frame[1].decode()].append((frame[1].decode(), frame[2]))

    def read_until(self, is_over):
        while not is_over(self.got):
            self.read()

    def rest(self):
        """Reads all that was sent before the reply to a PING."""
        self.client.command("PING", "rest")
        while True:
            frame = self.client.read_value()
            if frame in (b"rest", [b"pong", b"rest"]):
                return
            self.got[frame[1].decode()].append(tuple(frame[2:]) if frame[0] == b"pmessage" else (frame[1].decode(), frame[2]))


class Way:
    """One direction of a Proxy."""

    def __init__(self):
        self.goes = threading.Event()
        self.goes.set()
        self.delay = 0
        self.bytes_per_second = None
        self.piece = 65536
        self.bytes = 0

    def pass_on(self, target, data):
        if self.delay:
            time.sleep(self.delay)
        piece = self.piece  # a test may change it meanwhile
        for at in range(0, len(data), piece):
            self.goes.wait()
            target.sendall(data[at:at + piece])
        self.bytes += len(data)
        if self.bytes_per_second:
            time.sleep(len(data) / self.bytes_per_second)

    def read(self, source):
        return source.recv(16384 if self.bytes_per_second else 65536)


class Proxy(Cutter):
    """A proxy for links. `up` and `down` are its directions: up is to the upstream. Each can be stopped (a black hole: both
    ends stay connected, and nothing arrives), delayed, limited, and passed on in pieces; see Way. cut() resets connections."""

    def __init__(self, address):
        self.up, self.down = Way(), Way()
        super().__init__(address)

    def _forward(self, source, target):
        try:
            way = self.up if source.getsockname()[1] == self.port else self.down
            while data := way.read(source):
                way.pass_on(target, data)
            target.shutdown(socket.SHUT_WR)
        except OSError:  # a reset ends the other connection, too
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def stop(self, *ways):
        for way in ways or (self.up, self.down):
            way.goes.clear()

    def go(self):
        for way in (self.up, self.down):
            way.goes.set()

    def cut(self, for_good=False):
        super().cut(for_good)
        self.go()  # threads of the old connections end

    def __exit__(self, *ends):
        self.go()
        super().__exit__(*ends)


def lagged_within(client, within=10):
    """Reads until [lagged, -1], and returns the frames before it."""
    frames, end = [], time.monotonic() + seconds(within)
    while time.monotonic() < end:
        frame = client.read_value()
        if frame == [b"lagged", -1]:
            return frames
        frames.append(frame)
    raise AssertionError(f"no notice in {frames}")


def kill_links(upstream):
    """As CLIENT KILL at the upstream."""
    with upstream.connect() as admin:
        for client in admin.client_list():
            if client["name"] == "fanfare-link":
                admin.call("CLIENT", "KILL", "ID", client["id"])


class Balancer(Cutter):
    """Forwards each connection to the first of these addresses that accepts it. When one side ends, so does the other."""

    def __init__(self, *addresses):
        self.addresses = addresses
        super().__init__(None)

    def _connect(self):
        for address in self.addresses:
            with contextlib.suppress(OSError):
                return socket.create_connection(address)
        raise ConnectionError("no node is there")

    def _forward(self, source, target):
        super()._forward(source, target)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Backend(threading.Thread):
    """Publishes the numbers 1, 2, 3 ... to a channel, each after the reply to the one before. If a node refuses a message or
    closes the connection instead of a reply, the message is sent again to the next node."""

    def __init__(self, channel, *nodes):
        super().__init__(daemon=True)
        self.channel, self.nodes = channel, list(nodes)
        self.turn = self.number = 0
        self.repeated = set()
        self.is_over = threading.Event()
        self.client = self.failure = None

    @property
    def node(self):
        return self.nodes[self.turn % len(self.nodes)]

    def _is_published(self):
        try:
            self.client = self.client or Connection(self.node.address)
            reply = self.client.call("PUBLISH", self.channel, str(self.number))
        except (OSError, Closed):
            return False
        assert isinstance(reply, int) or reply.text.startswith(b"CLUSTERDOWN "), reply
        return isinstance(reply, int)

    def _go_to_the_next_node(self):
        self._leave()
        self.turn += 1
        time.sleep(0.01)

    def _leave(self):
        if self.client:
            self.client.close()
        self.client = None

    def run(self):
        try:
            while not self.is_over.wait(0.01):
                self.number += 1
                while not self._is_published():
                    self.repeated.add(self.number)
                    self._go_to_the_next_node()
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.is_over.set()
        self.join(seconds(20))
        assert not self.is_alive() and self.failure is None, self.failure
        self._leave()
