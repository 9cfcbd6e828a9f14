"""Connection storms, and their effect on a normal subscriber.

A storm runs in a process of its own, so that it does not share an interpreter with the measurement. Each is a function
of the address and the number of connections, and runs until it is killed; to add one, add it to STORMS.
"""

import errno
import math
import multiprocessing
import select
import selectors
import signal
import socket
import ssl
import time

from lib.resp import Connection, encode

# Sources: one address alone has 28 000 ports, and connections that were closed keep theirs for a minute.
SOURCES = ["127.0.%d.%d" % (n // 200, n % 200 + 2) for n in range(400)]


def _begin(address, number):
    """A connection in progress, or None if the system has no resources left."""
    connection = socket.socket()
    connection.setblocking(False)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((SOURCES[number % len(SOURCES)], 0))
        status = connection.connect_ex(address)
    except OSError as error:
        status = error.errno
    if status not in (0, errno.EINPROGRESS):
        connection.close()
        return None
    return connection


def _crowd(address, count, number):
    """As many connections in progress as the system allows, from the source addresses after this number."""
    crowd = (_begin(address, number + n) for n in range(1, count + 1))
    return [connection for connection in crowd if connection is not None]


def connects(address, count):
    """All connect at once, send nothing, and disconnect at once, again and again."""
    number = 0
    while True:
        crowd = _crowd(address, count, number)
        number += count
        time.sleep(0.2)
        for connection in crowd:
            connection.close()


def loris(address, count):
    """Each sends a request byte by byte, ten per second, and reconnects when it is closed."""
    _loris(address, count, b"*2\r\n$4\r\nPING\r\n$1000000\r\n" + b"x" * 1000000)


def loris_heads(address, count):
    """The same with the head of an HTTP request."""
    _loris(address, count, b"GET /sse?channel=storm HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 10000)


def loris_bodies(address, count):
    """The same with the body of an HTTP request, behind a head that is sent at once."""
    head = b"POST /pub/storm HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    _loris(address, count, head + b"x" * 100000, len(head))


def _loris(address, count, request, first=1):
    """The first send has so many bytes, and each later one has one."""
    selector = selectors.DefaultSelector()
    at = {}
    number = 0
    while True:
        while len(at) < count:
            number += 1
            connection = _begin(address, number)
            if connection is None:
                break
            selector.register(connection, selectors.EVENT_READ)
            at[connection] = 0
        for connection in list(at):
            try:
                at[connection] += connection.send(request[at[connection]:max(first, at[connection] + 1)])
            except BlockingIOError:
                pass
            except OSError:
                _forget(selector, at, connection)
        for key, _ in selector.select(0):
            try:
                ended = not key.fileobj.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                _forget(selector, at, key.fileobj)
        time.sleep(0.1)


def _forget(selector, at, connection, closes=True):
    if connection in at:
        del at[connection]
        selector.unregister(connection)
        if closes:
            connection.close()


def garbage(address, count):
    """Connections that send invalid RESP and are closed for it, again and again."""
    number = 0
    while True:
        crowd = _crowd(address, count, number)
        number += count
        time.sleep(0.1)
        for connection in crowd:
            try:
                connection.send(b"*-1x\r\n" * 10)
            except OSError:
                pass
        time.sleep(0.1)
        for connection in crowd:
            connection.close()


def handshakes(address, count):
    """Each sends a TLS client hello and then nothing, and reconnects when it is closed."""
    hello = _hello()
    said = {}  # by connection: whether the hello was sent
    number = 0
    while True:
        while len(said) < count:
            number += 1
            connection = _begin(address, number)
            if connection is None:
                break
            said[connection] = False
        time.sleep(0.05)
        for connection in list(said):
            try:
                if not said[connection]:
                    connection.send(hello)
                    said[connection] = True
                elif not connection.recv(65536):
                    raise ConnectionError
            except BlockingIOError:
                continue
            except OSError:
                del said[connection]
                connection.close()


def _hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def one_address(address, count):
    """All connect from one address, over its limit."""
    while True:
        crowd = [_begin(address, 0) for _ in range(count)]
        time.sleep(0.1)
        for connection in crowd:
            if connection is not None:
                connection.close()


def catch_up(address, count):
    """All resume one channel from its first message at once, and again when all have what it keeps."""
    name, messages, size = "storm:kept", 1000, 100
    with Connection(address, timeout=60) as admin:
        ours = admin.call("CHANNEL", "SET", name, "history-size", messages, "history-ttl", 3600) == b"OK"
        for _ in range(messages):
            admin.call(*(("PUBLISH", name) if ours else ("XADD", name, "*", "m")), "x" * size)
    request = encode("RESUME", name, 0) + encode("SUBSCRIBE", name) if ours else encode("XRANGE", name, "-", "+")
    again = encode("UNSUBSCRIBE", name) + request if ours else request
    selector = selectors.DefaultSelector()
    crowd = []
    for connection in _crowd(address, count, 0):
        connection.setblocking(True)
        crowd.append(connection)
        selector.register(connection, selectors.EVENT_READ)
    room = bytearray(1 << 18)
    while True:
        due = {connection: messages * size for connection in crowd}
        for connection in crowd:
            connection.sendall(request)
        request = again
        while due:
            for key, _ in selector.select():
                n = key.fileobj.recv_into(room)
                if n == 0:
                    raise ConnectionError("the broker closed a client")
                due[key.fileobj] = due.get(key.fileobj, 0) - room.count(b"x", 0, n)
                if due[key.fileobj] <= 0:
                    del due[key.fileobj]


def _post(address, path, body):
    """A response's status line, of a connection of its own."""
    with socket.create_connection(address, 60) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                           % (path, len(body)) + body)
        return connection.makefile("rb").readline()


def browsers(address, count):
    """Event streams come back at once for the messages that they missed, and leave at once, again and again."""
    messages, mark = 5, b"^"
    with socket.create_connection(address, 60) as first:
        first.sendall(b"GET /sse?channel=storm:kept HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b"\n\n"):
            received += first.recv(4096)
    position = received.rpartition(b"id: ")[2].strip()
    for _ in range(messages):
        assert b" 200 " in _post(address, b"/pub/storm:kept", b"x" * 99 + mark)
    request = b"GET /sse?channel=storm:kept HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %s\r\n\r\n" % position
    number = 0
    while True:
        due = dict.fromkeys(_crowd(address, count, number), messages)
        number += count
        selector = selectors.DefaultSelector()
        for connection in due:
            selector.register(connection, selectors.EVENT_WRITE)
        crowd = list(due)
        while due:
            for key, events in selector.select():
                connection = key.fileobj
                try:
                    if events & selectors.EVENT_WRITE:
                        connection.send(request)
                        selector.modify(connection, selectors.EVENT_READ)
                        continue
                    data = connection.recv(65536)
                    due[connection] = due[connection] - data.count(mark) if data else 0
                except OSError:
                    due[connection] = 0
                if due[connection] <= 0:
                    _forget(selector, due, connection, closes=False)
        selector.close()
        for connection in crowd:
            connection.close()


def stuck_sockets(address, count):
    """WebSockets that subscribe and then read nothing. Large messages fill the buffers of the system, then 100 small
    ones a second come. A WebSocket that is closed returns."""
    fill = 48
    poll = select.poll()
    sockets = {}
    commands = b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"storm:stuck"}}'
    request = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
               b"\x81" + bytes([0x80 | len(commands)]) + bytes(4) + commands)
    number = 0
    while True:
        while len(sockets) < count:
            number += 1
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.bind((SOURCES[number % len(SOURCES)], 0))
            connection.connect(address)
            connection.send(request)
            sockets[connection.fileno()] = connection
            poll.register(connection, select.POLLRDHUP)
        assert b" 200 " in _post(address, b"/pub/storm:stuck", b"x" * (65536 if fill > 0 else 4096))
        fill -= 1
        if fill == 0:
            READY.set()
        for handle, _ in poll.poll(10):
            poll.unregister(handle)
            sockets.pop(handle).close()


STORMS = {"catch-up": catch_up, "connects": connects, "loris": loris, "garbage": garbage, "handshakes": handshakes,
          "one-address": one_address, "browsers": browsers, "loris-heads": loris_heads, "loris-bodies": loris_bodies,
          "stuck-sockets": stuck_sockets}


# These set READY, in their process, when they have begun.
SLOW_TO_BEGIN = {"stuck-sockets"}
READY = multiprocessing.get_context("fork").Event()


class Storm:
    """A context manager; the storm runs within it."""

    def __init__(self, name, address, count):
        self.is_slow = name in SLOW_TO_BEGIN
        self.process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(STORMS[name], address, count), daemon=True)

    @staticmethod
    def _run(storm, address, count):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        storm(address, count)

    def __enter__(self):
        READY.clear()
        self.process.start()
        while self.is_slow and self.process.is_alive() and not READY.wait(0.1):
            pass
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join(10)


class Subscriber:
    """A normal subscriber and its publisher, with the delay of each message between them."""

    def __init__(self, address):
        self.publisher, self.reader = Connection(address, timeout=60), Connection(address, timeout=60)
        self.reader.subscribe("storm")
        self.waits_ms = []

    def measure(self, for_s, every_s=0.002):
        self.waits_ms = []
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            start = time.monotonic()
            self.publisher.send(encode("PUBLISH", "storm", b"%f" % start))
            assert self.reader.read_value()[-1] == b"%f" % start
            self.waits_ms.append((time.monotonic() - start) * 1000)
            assert self.publisher.read_value() == 1
            time.sleep(every_s)
        return self.waits_ms

    def settle(self, most_s=60):
        """Waits until messages come quickly: a storm that is slow to begin fills the buffers of the system first."""
        end = time.monotonic() + most_s
        while len(self.measure(1)) < 100 and time.monotonic() < end:
            pass

    def percentile(self, percent):
        ordered = sorted(self.waits_ms)
        return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)]

    def close(self):
        self.publisher.close()
        self.reader.close()
