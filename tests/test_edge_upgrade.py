"""Event streams and WebSockets over upgrades, restarts, a lame duck and a crash: they resume exactly, or are told."""

import re
import socket
import threading
import time

import pytest

from lib.daemon import free_port
from lib.edge_socket import ClosedByServer, EdgeSocket
from lib.lineage import lineages_of
from lib.resp import Closed, Connection, Error
from lib.wait import seconds, wait_until

EVENT = re.compile(rb"(?:event: (\w+)\n)?(?:id: (\d+-\d+)\n)?(?:data: ([^\n]*)\n)?(?:id: (\d+-\d+)\n)?\n")
KEEP = ("--channel", "c", "history-size", 10000, "history-ttl", 600)
BROWSERS = ("--edge-anonymous", "yes", "--user", *"edge on nopass resetchannels &* +@all".split())


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


class Worker(threading.Thread):
    """Calls visit() again and again: one connection each time."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.is_over, self.failure = port, False, None

    def run(self):
        while not self.is_over and self.failure is None:
            try:
                self.visit()
            except (Closed, ClosedByServer, OSError, EOFError):
                pass
            except AssertionError as error:
                # The daemon may end in the middle of a handshake.
                if "closed in the handshake" not in str(error):
                    self.failure = error
            time.sleep(0.01)

    def end(self):
        self.is_over = True
        self.join(seconds(30))
        assert not self.is_alive() and self.failure is None, self.failure


class Publisher(Worker):
    """Publishes 1, 2, ... to the channel c; acknowledged are those that got a reply."""

    def __init__(self, port):
        super().__init__(port)
        self.number, self.acknowledged = 0, []

    def visit(self):
        with Connection(("127.0.0.1", self.port), timeout=60) as connection:
            while not self.is_over:
                self.number += 1
                reply = connection.call("PUBLISH", "c", self.number)
                if isinstance(reply, Error):
                    assert reply.text.startswith(b"READONLY "), reply
                    return
                self.acknowledged.append(self.number)
                time.sleep(0.001)


class Reader(Worker):
    """seen: the messages. ends: how connections ended. told: how often it was told that something is lost."""

    def __init__(self, port):
        super().__init__(port)
        self.seen, self.ends, self.told, self.opened, self.resumed = [], [], 0, 0, 0


class StreamReader(Reader):
    """An EventSource."""

    last_id = None

    def visit(self):
        resume = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(f"GET /sse?channel=c HTTP/1.1\r\nHost: a\r\n{resume}\r\n".encode())
            data = b""
            while b"\r\n\r\nretry: " not in data or not data.partition(b"\r\n\r\nretry: ")[2].count(b"\n"):
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            assert data.startswith(b"HTTP/1.1 200 "), data
            self.opened += 1
            self.resumed += self.last_id is not None
            data = data.partition(b"\r\n\r\nretry: ")[2].partition(b"\n")[2]
            connection.settimeout(0.2)
            self.listen(connection, data)

    def listen(self, connection, data):
        while not self.is_over:
            at = 0
            while (event := EVENT.match(data, at)) is not None and event.end() > at:
                self.take(*event.groups())
                at = event.end()
            data = data[at:]
            try:
                more = connection.recv(65536)
            except TimeoutError:
                continue
            if not more:
                self.ends.append("end")
                return
            data += more

    def take(self, kind, early, data, late):
        self.last_id = (early or late or self.last_id.encode()).decode()
        if kind == b"lagged":
            assert b'"reload":true' in data, data
            self.told += 1
        elif data is not None:
            self.seen.append(int(data))


class SocketReader(Reader):
    """A WebSocket that recovers."""

    position = None

    def visit(self):
        with EdgeSocket(self.port) as ws:
            ws.call("connect")
            result = ws.call("subscribe", channel="c", **({"recover": True, **self.position} if self.position else {}))
            self.opened += 1
            if self.position:
                self.resumed += 1
                self.told += not result["recovered"]
            for publication in result.get("publications", ()):
                self.seen.append(publication["data"])
            self.position = {"epoch": result["epoch"], "offset": result["offset"]}
            ws.socket.settimeout(seconds(20))
            try:
                while not self.is_over:
                    publication = ws.publication("c")
                    self.seen.append(publication["data"])
                    self.position["offset"] = publication["offset"]
            except ClosedByServer as closed:
                self.ends.append(closed.code)


def all_saw(readers, number):
    return all(reader.failure or reader.seen and reader.seen[-1] >= number for reader in readers)


class Scene:
    """Readers of both kinds, and a publisher."""

    def __init__(self, daemon, port):
        self.readers = [StreamReader(port), StreamReader(port), SocketReader(port), SocketReader(port)]
        self.publisher = Publisher(daemon.port)
        for reader in self.readers:
            reader.start()
        wait_until(lambda: all(reader.opened for reader in self.readers), "the first connections")
        self.publisher.start()

    def go_on(self):
        """Until everybody has seen 50 more messages, on a connection of its own."""
        goal = self.publisher.number + 50
        wait_until(lambda: self.publisher.failure or self.publisher.acknowledged[-1:] > [goal] and all_saw(self.readers, goal),
                   "messages", 40)

    def end(self):
        """All that was acknowledged has come, in order, each once, but for messages without a reply."""
        self.go_on()
        self.publisher.end()
        last = self.publisher.acknowledged[-1]
        wait_until(lambda: all_saw(self.readers, last), "the last message", 40)
        for reader in self.readers:
            reader.is_over = True
        with Connection(("127.0.0.1", self.publisher.port)) as connection:
            connection.call("PUBLISH", "c", last + 1)
        for reader in self.readers:
            reader.end()
            numbers = reader.seen
            assert numbers == sorted(set(numbers))

    def assert_complete(self):
        for reader in self.readers:
            assert not set(self.publisher.acknowledged) - set(reader.seen)
            assert reader.told == 0


@pytest.mark.parametrize("loops", [1, 4], ids=["one loop", "four loops"])
def test_browsers_lose_nothing_through_upgrades(start_lineage, loops):
    port = free_port()
    lineage = start_lineage("--io-threads", loops, "--http-port", port, "--shutdown-grace", 1, *KEEP, *BROWSERS)
    scene = Scene(lineage.daemon, port)
    pid = lineage.daemon.pid
    for _ in range(3):
        scene.go_on()
        resumed = [reader.resumed for reader in scene.readers]
        pid = lineage.upgrade(pid)
        wait_until(lambda resumed=resumed: all(reader.failure or reader.resumed > had
                                               for reader, had in zip(scene.readers, resumed)), "resumed connections", 40)
    scene.end()
    scene.assert_complete()
    for reader in scene.readers:
        assert len(reader.ends) >= 3 and set(reader.ends) <= {3001, "end"}, reader.ends


@pytest.mark.parametrize("is_graceful", [True, False], ids=["restarted", "killed"])
def test_browsers_resume_after_a_restart_or_are_told_after_a_kill(start_fanfared, is_graceful):
    port = free_port()
    options = ("--http-port", port, "--history-save", "yes", *KEEP, *BROWSERS)
    daemon = start_fanfared(*options)
    scene = Scene(daemon, port)
    scene.go_on()
    if is_graceful:
        daemon.stop()
    else:
        daemon.kill()
    start_fanfared(*options, port=daemon.port)
    wait_until(lambda: all(reader.failure or reader.resumed for reader in scene.readers), "resumed connections", 40)
    scene.end()
    if is_graceful:
        scene.assert_complete()
        assert [reader.ends[0] for reader in scene.readers] == ["end", "end", 3001, 3001]
    else:
        assert [reader.told for reader in scene.readers] == [1, 1, 1, 1]


def test_a_lame_duck_sends_browsers_away(start_fanfared):
    port = free_port()
    daemon = start_fanfared("--http-port", port, *KEEP, *BROWSERS)
    stay = daemon.client()
    stay.call("PING")
    readers = [StreamReader(port), SocketReader(port)]
    for reader in readers:
        reader.start()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as kept:
        wait_until(lambda: all(reader.opened for reader in readers), "connections")
        assert stay.call("SHUTDOWN", "GRACE", 3) in (b"OK", None)
        for reader in readers:
            reader.is_over = True
        # Of a connection that was open before: the stream is refused so that an EventSource comes back.
        kept.sendall(b"GET /sse?channel=c HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b"".join(iter(lambda: kept.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ") and re.search(rb"\r\n\r\nretry: \d+\n", answer), answer
        assert b"shutting down" in answer
    for reader in readers:
        reader.join(seconds(30))
        assert not reader.is_alive()
    assert readers[0].ends in ([], ["end"]) and readers[1].ends == [3001]
    assert daemon.wait() == 0
