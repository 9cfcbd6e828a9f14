"""Connection storms, and their effect on a normal subscriber.

A storm runs in a process of its own, so that it does not share an interpreter with the measurement. Each is a function
of the address and the number of connections, and runs until it is killed; to add one, add it to STORMS.
"""

import errno
import math
import multiprocessing
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
    selector = selectors.DefaultSelector()
    request = b"*2\r\n$4\r\nPING\r\n$1000000\r\n" + b"x" * 1000000
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
                connection.send(request[at[connection]:at[connection] + 1])
                at[connection] += 1
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


def _forget(selector, at, connection):
    if connection in at:
        del at[connection]
        selector.unregister(connection)
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


STORMS = {"catch-up": catch_up, "connects": connects, "loris": loris, "garbage": garbage, "handshakes": handshakes,
          "one-address": one_address}


class Storm:
    """A context manager; the storm runs within it."""

    def __init__(self, name, address, count):
        self.process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(STORMS[name], address, count), daemon=True)

    @staticmethod
    def _run(storm, address, count):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        storm(address, count)

    def __enter__(self):
        self.process.start()
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

    def percentile(self, percent):
        ordered = sorted(self.waits_ms)
        return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)]

    def close(self):
        self.publisher.close()
        self.reader.close()
