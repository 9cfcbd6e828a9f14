"""Operations that could block a broker's loop, with a PING of another client every millisecond."""

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import tempfile
import time

BATCH = 10000
NOTICED_S = 0.3  # until the broker has noticed the operation
AFTERWARDS_S = 1.0  # sampling continues for this time after the broker replies again


def command(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def connect(peer):
    connection = socket.create_connection(("127.0.0.1", peer.port), 10)
    connection.settimeout(120)
    return connection


def read_lines(connection, count):
    """Reads this many lines; more data is an error."""
    while count > 0:
        data = connection.recv(1 << 20)
        if not data:
            raise ConnectionError("the broker closed a connection")
        count -= data.count(b"\n")


def subscribe_many(connection, word, form, count):
    """In batches; each confirmation has six lines."""
    for start in range(0, count, BATCH):
        names = [form % i for i in range(start, min(start + BATCH, count))]
        connection.sendall(command(word, *names))
        read_lines(connection, 6 * len(names))


def await_answer(peer):
    """Waits until a stall is over, because an interrupted one would not be counted."""
    time.sleep(NOTICED_S)
    with connect(peer) as connection:
        connection.sendall(command("PING"))
        read_lines(connection, 1)


class Pinger:
    """`fanfare ping` every millisecond; the longest wait once it is stopped."""

    def __init__(self, peer):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [os.path.join(peer.build, "fanfare"), "-p", str(peer.port), "ping", "-n", "0", "-i", "0.001"],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.DEVNULL,
            # It ends on SIGINT, which a shell makes background processes ignore.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(0.2)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.output.seek(0)
        waits = [float(found) for found in re.findall(r"time=([\d.]+) ms", self.output.read())]
        self.output.close()
        if not waits:
            raise ConnectionError("no PING was answered")
        return {"longest_ms": max(waits), "pings": len(waits)}


@contextlib.contextmanager
def leaver(peer, count, word, form):
    connection = connect(peer)
    subscribe_many(connection, word, form, count)
    yield connection.close


@contextlib.contextmanager
def leave_channels(peer, count):
    with leaver(peer, count, b"SUBSCRIBE", b"channel:%d") as leave:
        yield leave


@contextlib.contextmanager
def leave_patterns(peer, count):
    with leaver(peer, count, b"PSUBSCRIBE", b"user:%d:*") as leave:
        yield leave


def read_number(connection, *words):
    """The number at the end of the reply."""
    connection.sendall(command(*words))
    return int(connection.recv(1 << 16).split(b":")[-1])


@contextlib.contextmanager
def members(peer, count, *join):
    """Members of one channel, and a function that waits until all have left."""
    if not peer.name.startswith("fanfared"):
        raise ConnectionError("it has no members of channels")
    admin, connection = connect(peer), connect(peer)
    admin.sendall(command("CHANNEL", "SET", "room", "presence", "members", "events", "occupied,join", "leave-delay", 1))
    read_lines(admin, 1)
    for start in range(0, count, BATCH):
        connection.sendall(b"".join(command("PRESENCE", join[0], "room", "user:%d" % i, *join[1:])
                                    for i in range(start, min(start + BATCH, count))))
        read_lines(connection, min(BATCH, count - start))

    def leave():
        connection.close()
        while read_number(admin, "PRESENCE", "COUNT", "room") > 0:
            time.sleep(0.01)

    yield leave
    admin.close()


@contextlib.contextmanager
def leave_members(peer, count):
    with members(peer, count, "JOIN") as leave:
        yield leave


@contextlib.contextmanager
def leave_leases(peer, count):
    with members(peer, count, "TOUCH", "TTL", 10) as leave:
        yield leave


@contextlib.contextmanager
def pipeline(peer, count):
    """PUBLISHes without subscribers, written as fast as possible, with replies read meanwhile."""
    connection = connect(peer)
    batch = command("PUBLISH", "nobody", "x" * 64) * BATCH

    def publish():
        connection.setblocking(False)
        unsent, replies, sent = b"", 0, 0
        with selectors.DefaultSelector() as selector:
            while replies < count:
                if not unsent and sent < count:
                    unsent = memoryview(batch)
                    sent += BATCH
                selector.register(connection, selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0))
                selector.select(30)
                selector.unregister(connection)
                with contextlib.suppress(BlockingIOError):
                    if unsent:
                        unsent = unsent[connection.send(unsent):]
                with contextlib.suppress(BlockingIOError):
                    data = connection.recv(1 << 20)
                    if not data:
                        raise ConnectionError("the broker closed the publisher")
                    replies += data.count(b"\n")

    yield publish
    connection.close()


@contextlib.contextmanager
def crowd(peer, count):
    """Connects all at once, waits for a PONG on each, and closes all at once."""
    def come_and_go():
        connections = []
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                connection = socket.socket()
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", peer.port))
                selector.register(connection, selectors.EVENT_WRITE)
                connections.append(connection)
            waiting = count
            while waiting > 0:
                ready = selector.select(30)
                if not ready:
                    raise ConnectionError(f"{waiting} of {count} clients had no answer")
                for key, events in ready:
                    if events & selectors.EVENT_WRITE:
                        key.fileobj.send(b"PING\r\n")
                        selector.modify(key.fileobj, selectors.EVENT_READ)
                    elif key.fileobj.recv(100).startswith(b"+PONG"):
                        selector.unregister(key.fileobj)
                        waiting -= 1
                    else:
                        raise ConnectionError("a client was turned away")
        for connection in connections:
            connection.close()

    yield come_and_go


@contextlib.contextmanager
def list_channels(peer, count):
    holder, asker = connect(peer), connect(peer)
    subscribe_many(holder, b"SUBSCRIBE", b"channel:%d", count)

    def ask():
        asker.sendall(command("PUBSUB", "CHANNELS"))
        read_lines(asker, 1 + 2 * count)

    yield ask
    asker.close()
    holder.close()


@contextlib.contextmanager
def large_message(peer, count):
    """One message of `count` bytes to 100 subscribers, which read as fast as this process can."""
    subscribers = [connect(peer) for _ in range(100)]
    publisher = connect(peer)
    for connection in subscribers:
        connection.sendall(command("SUBSCRIBE", "large"))
        read_lines(connection, 6)
        connection.setblocking(False)
    message = command("PUBLISH", "large", b"x" * count)
    room = bytearray(1 << 20)

    def publish():
        due = 100 * count
        got = 0
        publisher.sendall(message)
        with selectors.DefaultSelector() as selector:
            for connection in subscribers:
                selector.register(connection, selectors.EVENT_READ)
            while got < due:
                ready = selector.select(60)
                if not ready:
                    raise ConnectionError(f"{got} of {due} bytes were delivered")
                for key, _ in ready:
                    n = key.fileobj.recv_into(room)
                    if n == 0:
                        raise ConnectionError("the broker closed a subscriber")
                    got += n

    yield publish
    for connection in [*subscribers, publisher]:
        connection.close()


class Case:
    def __init__(self, name, title, prepare, count, memory=0, redis_count=None, config=None):
        self.name = name
        self.title = title
        self.prepare = prepare  # a context manager that returns the operation to run while PINGs are sampled
        self.count = count
        self.redis_count = redis_count  # the largest count for Redis; None: the same as for fanfared
        self.config = config  # a function of the count: the configuration file of the broker
        self.memory = memory  # free bytes needed by a broker that copies for each subscriber


CASES = {case.name: case for case in [
    Case("leave-channels", "a client with {} channels leaves", leave_channels, 1000000),
    Case("leave-patterns", "a client with {} patterns leaves", leave_patterns, 1000000,
         # Redis 7.0 looks through all patterns of the client for each new one: a million would take hours.
         redis_count=50000),
    Case("leave-members", "{} members of one channel leave in the same second", leave_members, 100000),
    Case("leave-leases", "the leases of {} members of one channel end", leave_leases, 100000),
    Case("pipeline", "a pipeline of {} PUBLISHes to no one", pipeline, 1000000),
    Case("crowd", "{} clients connect at once, and leave at once", crowd, 10000),
    Case("list-channels", "PUBSUB CHANNELS over {} channels", list_channels, 1000000),
    Case("large-message", "a message of {} bytes to 100 subscribers", large_message, 64 << 20, memory=10 << 30),
]}


def count_for(peer_name, case, count):
    if peer_name == "fanfared" or case.redis_count is None:
        return count
    return min(count, case.redis_count)


def run_case(peer, case, count, turns):
    """{"longest_ms": ..., "pings": ..., "took_s": ..., "count": ...}, and figures of the broker's turns (bench/turns.py).
    OSError if the broker failed.
    """
    count = count_for(peer.name, case, count)
    peer.turns = turns
    if case.config and peer.name.startswith("fanfared"):
        peer.config = case.config(count)
    with peer, case.prepare(peer, count) as act:
        pinger = Pinger(peer)
        started = time.monotonic()
        turns.begin()
        try:
            act()
        finally:
            took = time.monotonic() - started
            await_answer(peer)
            time.sleep(AFTERWARDS_S)
            result = pinger.stop()
    return dict(result, took_s=took, count=count, **turns.figures())
