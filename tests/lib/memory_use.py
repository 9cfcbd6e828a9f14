"""Loads that make a broker allocate much memory and then free it; each load is one function.

The function gets a Target and a count. It returns when nothing of the load is left in the broker except memory that
the broker can return. To add one, add it to USES.
"""

import contextlib
import selectors
import socket
import ssl
import threading
import time

BATCH = 10000
SOURCES = ["127.0.0.%d" % n for n in range(2, 12)]  # a single address has 28 000 ports
STUCK_MESSAGE = b"x" * 1000
STUCK_MESSAGES = 800


def command(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Target:
    """The broker: its address or the path of its Unix socket, and with TLS its certificate authority."""

    def __init__(self, pid, address, ca=None):
        self.pid = pid
        self.address = address
        self.context = None
        if ca is not None:
            self.context = ssl.create_default_context(cafile=ca)
            self.context.check_hostname = False

    def connect(self, source=None):
        connection = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        connection.settimeout(120)
        if source is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind((source, 0))
        connection.connect(self.address)
        if self.context is not None:
            connection = self.context.wrap_socket(connection)
        return connection

    def status(self, field):
        """A value of /proc/<pid>/status, in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))

    def resident_bytes(self):
        return self.status("VmRSS")

    def peak_bytes(self):
        return self.status("VmHWM")


def read_lines(connection, count):
    """Reads this many lines; more data is an error."""
    while count > 0:
        data = connection.recv(1 << 20)
        if not data:
            raise ConnectionError("the broker closed a connection")
        count -= data.count(b"\n")


def ask(connection, words, lines=1):
    connection.sendall(command(*words))
    read_lines(connection, lines)


def subscribe_many(target, word, form, count):
    """In batches; each confirmation has six lines. Then the subscriber leaves."""
    with target.connect() as connection:
        for start in range(0, count, BATCH):
            names = [form % i for i in range(start, min(start + BATCH, count))]
            ask(connection, [word, *names], 6 * len(names))


def subscriptions(target, count):
    subscribe_many(target, b"SUBSCRIBE", b"channel:%d", count)


def patterns(target, count):
    subscribe_many(target, b"PSUBSCRIBE", b"user:%d:*", count)


def keys(target, count):
    with target.connect() as connection:
        for start in range(0, count, BATCH):
            names = range(start, min(start + BATCH, count))
            connection.sendall(b"".join(command(b"SET", b"key:%08d" % i, b"x" * 20) for i in names))
            read_lines(connection, len(names))
        ask(connection, ["FLUSHALL"])


def stuck(target, count):
    """Subscribers that read nothing: each has queued messages of its own channel and of a shared one.

    The outboxes must be unlimited, and the sockets Unix sockets, which buffer little.
    """
    with contextlib.ExitStack() as stack:
        for i in range(count):
            connection = stack.enter_context(target.connect())
            ask(connection, ["SUBSCRIBE", "all", f"own:{i}"], 12)
        with target.connect() as publisher:
            # In turn, so that the messages of different clients are interleaved in memory.
            for _ in range(STUCK_MESSAGES):
                publisher.sendall(command("PUBLISH", "all", STUCK_MESSAGE) +
                                  b"".join(command("PUBLISH", f"own:{i}", STUCK_MESSAGE) for i in range(count)))
                read_lines(publisher, count + 1)


def connections(target, count):
    """Each sends a command and subscribes to a channel. All disconnect at once."""
    with contextlib.ExitStack() as stack:
        for i in range(count):
            connection = stack.enter_context(target.connect(source=SOURCES[i % len(SOURCES)]))
            ask(connection, ["SUBSCRIBE", f"channel:{i}"], 6)


def large_message(target, count):
    """One message of `count` bytes to 100 subscribers, which read as fast as this process can."""
    room = bytearray(1 << 20)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(100):
            connection = stack.enter_context(target.connect())
            ask(connection, ["SUBSCRIBE", "large"], 6)
            selector.register(connection, selectors.EVENT_READ)
        publisher = stack.enter_context(target.connect())
        publisher.sendall(command("PUBLISH", "large", b"x" * count))
        due = 100 * count
        while due > 0:
            ready = selector.select(60)
            if not ready:
                raise ConnectionError(f"{due} bytes were not delivered")
            for key, _ in ready:
                n = key.fileobj.recv_into(room)
                if n == 0:
                    raise ConnectionError("the broker closed a subscriber")
                due -= n


def pipeline(target, count):
    """A pipeline of commands; replies are read only when no more commands fit, and then all of them."""
    batch = command("SET", "key", "x" * 1000) * 10 + command("GET", "key") * 90
    rounds = count // 100
    with target.connect() as connection:
        sender = threading.Thread(target=lambda: [connection.sendall(batch) for _ in range(rounds)])
        sender.start()
        sender.join(1)
        read_lines(connection, rounds * (10 + 90 * 2))
        sender.join()
        ask(connection, ["DEL", "key"])


def number(connection, *words):
    """The number at the end of the reply."""
    connection.sendall(command(*words))
    return int(connection.recv(1 << 16).split(b":")[-1])


def has_channel_options(connection, *words):
    """Sets options of channels; False for a broker that has none."""
    connection.sendall(command("CHANNEL", "SET", *words))
    return connection.recv(1 << 16).startswith(b"+OK")


def send_each(connection, count, make, lines_each=1):
    """In batches, with the replies read after each."""
    for start in range(0, count, BATCH):
        names = range(start, min(start + BATCH, count))
        connection.sendall(b"".join(make(i) for i in names))
        read_lines(connection, lines_each * len(names))


def await_zero(connection, *words):
    while number(connection, *words) > 0:
        time.sleep(0.02)


def last_values(target, count):
    """Channels that keep a message of 64 bytes each, until it expires; for Redis keys, which expire."""
    with target.connect() as connection:
        if has_channel_options(connection, "value:*", "history-size", 1, "history-ttl", 3600):
            ask(connection, ["CONFIG", "SET", "history-maxmemory", 0])
            send_each(connection, count, lambda i: command(b"PUBLISH", b"value:%08d" % i, b"x" * 64))
            ask(connection, ["CHANNEL", "SET", "value:*", "history-ttl", 1])
            await_zero(connection, "HISTORY", "LEN", "value:%08d" % (count - 1))
            return
        send_each(connection, count, lambda i: command(b"SET", b"value:%08d" % i, b"x" * 64, b"EX", 3600))
        send_each(connection, count, lambda i: command(b"PEXPIRE", b"value:%08d" % i, 1000))
        await_zero(connection, "DBSIZE")


def one_ring(target, count):
    """Messages of 64 bytes of one channel, which are deleted; for Redis a stream."""
    with target.connect() as connection:
        if has_channel_options(connection, "ring", "history-size", count, "history-ttl", 3600, "history-bytes", "64gb"):
            ask(connection, ["CONFIG", "SET", "history-maxmemory", 0])
            send_each(connection, count, lambda i: command(b"PUBLISH", b"ring", b"x" * 64))
            ask(connection, ["HISTORY", "DEL", "ring"])
            return
        send_each(connection, count, lambda i: command(b"XADD", b"ring", b"*", b"m", b"x" * 64), 2)
        ask(connection, ["DEL", "ring"])


def members(target, count):
    """Members of one channel, joined by one connection, which leaves."""
    with target.connect() as admin:
        if not has_channel_options(admin, "room", "presence", "members", "leave-delay", 0):
            raise ConnectionError("it has no members of channels")
        with target.connect() as connection:
            send_each(connection, count, lambda i: command(b"PRESENCE", b"JOIN", b"room", b"user:%08d" % i))
        await_zero(admin, "PRESENCE", "COUNT", "room")


class Use:
    def __init__(self, title, act, count, tls=False, unix=False):
        self.title = title
        self.act = act
        self.count = count
        self.tls = tls
        self.unix = unix  # over the Unix socket

    def name_of(self, count):
        return self.title.format(f"{count:,}".replace(",", " "))


USES = {
    "subscriptions": Use("{} subscriptions of a client that leaves", subscriptions, 1000000),
    "patterns": Use("{} patterns of a client that leaves", patterns, 1000000),
    "keys": Use("{} keys, then FLUSHALL", keys, 1000000),
    "stuck": Use("{} stuck subscribers that leave", stuck, 500, unix=True),
    "connections": Use("{} connections that leave", connections, 20000),
    "tls-connections": Use("{} TLS connections that leave", connections, 20000, tls=True),
    "large-message": Use("a message of {} bytes to 100 subscribers", large_message, 64 << 20),
    "last-values": Use("{} channels with a message that expires", last_values, 1000000),
    "ring": Use("{} messages of one channel that are deleted", one_ring, 1000000),
    "members": Use("{} members of one channel that leave", members, 100000),
    "pipeline": Use("a pipeline of {} commands", pipeline, 1000000),
}
