"""Operations on kept messages, options and presence that could block the loop: more cases for bench/stalls.

A million messages are kept without limits of memory. What redis-server does instead, where it has something comparable,
is beside it: keys with a value that expire, a stream.
"""

import contextlib
import itertools
import os
import selectors
import signal
import socket
import time

from stall_cases import BATCH, Case, command, connect, read_lines, read_number, subscribe_many

PAYLOAD = b"x" * 64
CROWD_CHANNELS = 20000


def is_ours(peer):
    return peer.name.startswith("fanfared")


class Admin:
    """A connection for commands one after the other."""

    def __init__(self, peer):
        self.connection = connect(peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ok(self, *words):
        self.connection.sendall(command(*words))
        reply = self.connection.recv(1 << 16)
        if not reply.startswith((b"+", b":")):
            raise ConnectionError(f"{words[0]} {words[1]}: {reply[:200]}")

    def number(self, *words):
        return read_number(self.connection, *words)

    def info(self, name):
        self.connection.sendall(command("INFO", "everything"))
        text = b""
        while not (text.endswith(b"\r\n") and len(text) > int(text[1:text.index(b"\r\n")])):
            text += self.connection.recv(1 << 20)
        return int(text.split(b"\n" + name.encode() + b":")[1].split(b"\r")[0])

    def until(self, done):
        while not done():
            time.sleep(0.02)


def send_all(connection, commands, lines_each=1):
    """In batches, with the replies read after each."""
    batch, n = [], 0
    for words in commands:
        batch.append(words)
        if len(batch) == BATCH:
            connection.sendall(b"".join(batch))
            read_lines(connection, lines_each * BATCH)
            batch.clear()
        n += 1
    connection.sendall(b"".join(batch))
    read_lines(connection, lines_each * len(batch))


def keep(peer, name, count, *options):
    """Lines of options; the limits are raised so that nothing is evicted."""
    with Admin(peer) as admin:
        admin.ok("CONFIG", "SET", "history-maxmemory", 0)
        admin.ok("CONFIG", "SET", "history-max-channels", 10000000)
        admin.ok("CHANNEL", "SET", name, "history-size", count, "history-bytes", "64gb", "history-ttl", 3600, *options)


def fill_many(peer, count):
    """A channel with one message each; for Redis a key."""
    with Admin(peer) as admin:
        word = b"PUBLISH" if is_ours(peer) else b"SET"
        send_all(admin.connection, (command(word, b"channel:%d" % i, PAYLOAD) for i in range(count)))


def fill_one(peer, count, name=b"one"):
    """One channel with all messages; for Redis a stream."""
    with Admin(peer) as admin:
        if is_ours(peer):
            send_all(admin.connection, (command(b"PUBLISH", name, PAYLOAD) for _ in range(count)))
        else:
            send_all(admin.connection, (command(b"XADD", name, b"*", b"m", PAYLOAD) for _ in range(count)), 2)


def left(admin):
    return admin.info("history_messages")


@contextlib.contextmanager
def expire_many(peer, count):
    """All expire within a second: the options that say so come when all messages are there."""
    with Admin(peer) as admin:
        if not is_ours(peer):
            admin.ok("CONFIG", "SET", "hz", 10)
            at = int(time.time()) + max(4, count // 20000)
            with Admin(peer) as other:
                send_all(other.connection, (command(b"SET", b"channel:%d" % i, PAYLOAD, b"EXAT", at)
                                            for i in range(count)))
            yield lambda: admin.until(lambda: admin.number("DBSIZE") == 0)
            return
        keep(peer, "channel:*", 1)
        fill_many(peer, count)

        def act():
            admin.ok("CHANNEL", "SET", "channel:*", "history-ttl", 1)
            admin.until(lambda: left(admin) == 0)

        yield act


@contextlib.contextmanager
def with_one(peer, count):
    if is_ours(peer):
        keep(peer, "one", count)
    fill_one(peer, count)
    with Admin(peer) as admin:
        yield admin


def one_ring(ours, redis):
    """An operation on one ring or stream; `ours` and `redis` are commands, then a wait until nothing is left to do."""
    @contextlib.contextmanager
    def prepare(peer, count):
        with with_one(peer, count) as admin:
            def act():
                admin.ok(*(ours if is_ours(peer) else redis))
                if is_ours(peer):
                    admin.until(lambda: left(admin) <= 10)
            yield act
    return prepare


@contextlib.contextmanager
def expire_one(peer, count):
    with with_one(peer, count) as admin:
        def act():
            if is_ours(peer):
                admin.ok("CHANNEL", "SET", "one", "history-ttl", 1)
                admin.until(lambda: left(admin) == 0)
            else:
                admin.ok("PEXPIRE", "one", 500)
                admin.until(lambda: admin.number("EXISTS", "one") == 0)
        yield act


@contextlib.contextmanager
def expire_but_last(peer, count):
    """Half of a ring expires when somebody looks at it first: nobody waited for the turn that does."""
    ours_only(peer)
    with with_one(peer, count) as admin:
        time.sleep(3)
        fill_one(peer, 10)

        def act():
            admin.ok("CHANNEL", "SET", "one", "history-ttl", 3)
            admin.until(lambda: admin.number("HISTORY", "LEN", "one") <= 10)
        yield act


def many_rings(ours, redis=None, done=10, size=1, before=()):
    @contextlib.contextmanager
    def prepare(peer, count):
        if redis is None:
            ours_only(peer)
        if is_ours(peer):
            keep(peer, "channel:*", size, *before)
        with Admin(peer) as admin:
            for _ in range(size):
                fill_many(peer, count // size)

            def act():
                for words in (ours if is_ours(peer) else redis):
                    admin.ok(*words)
                if is_ours(peer) and done is not None:
                    admin.until(lambda: left(admin) <= done)
                elif is_ours(peer):
                    time.sleep(3)  # nothing shows that channels have their new options
            yield act
    return prepare


def ours_only(peer):
    if not is_ours(peer):
        raise ConnectionError("it has nothing comparable")


@contextlib.contextmanager
def publish_while_lowered(peer, count):
    """The memory limit is lowered, and publishers go on meanwhile: they must not be the ones who free all of it."""
    if is_ours(peer):
        keep(peer, "channel:*", 1)
    fill_many(peer, count)
    with Admin(peer) as admin, Admin(peer) as other:
        def act():
            if is_ours(peer):
                admin.ok("CONFIG", "SET", "history-maxmemory", "1mb")
            else:
                admin.ok("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
                admin.ok("CONFIG", "SET", "maxmemory", "5mb")
            word = b"PUBLISH" if is_ours(peer) else b"SET"
            send_all(other.connection, (command(word, b"channel:%d" % i, PAYLOAD) for i in range(50000)))
            if is_ours(peer):
                admin.until(lambda: admin.info("history_bytes") <= 2 << 20)
        yield act


def lines_of(count, ttl):
    return "".join(f"channel other.{n}.* history-size {n % 7 + 1} history-ttl {ttl}\n" for n in range(count))


@contextlib.contextmanager
def set_lines(peer, count):
    ours_only(peer)
    with Admin(peer) as admin:
        words = [command("CHANNEL", "SET", f"other.{n}.*", "history-size", n % 7 + 1, "history-ttl", 60)
                 for n in range(count)]
        yield lambda: send_all(admin.connection, words)


@contextlib.contextmanager
def reload_lines(peer, count):
    """The file is read again on SIGHUP, with other lines."""
    ours_only(peer)
    path = os.path.join(peer.folder, "broker.conf")
    with Admin(peer) as admin:
        def act():
            for ttl in (70, 80):
                with open(path, "w", encoding="ascii") as file:
                    file.write(lines_of(count, ttl))
                os.kill(peer.pid, signal.SIGHUP)
                admin.until(lambda: ttl_is(admin, ttl))
        yield act


def ttl_is(admin, ttl):
    admin.connection.sendall(command("CHANNEL", "OPTIONS", "other.1.x"))
    time.sleep(0.05)
    return b"history-ttl\r\n*2\r\n$2\r\n%d\r\n" % ttl in admin.connection.recv(1 << 16)


def covering_globs(count):
    """Different globs that match channel:*."""
    letters = "abdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return itertools.islice((f"[c{''.join(more)}]hannel:*" for more in itertools.combinations(letters, 3)), count)


@contextlib.contextmanager
def covering_lines(peer, count):
    """Lines that all match every channel are looked up for every channel."""
    ours_only(peer)
    with Admin(peer) as admin, connect(peer) as holder:
        subscribe_many(holder, b"SUBSCRIBE", b"channel:%d", 2 * count)
        send_all(admin.connection, (command("CHANNEL", "SET", glob, "max-message", 1000 + n)
                                    for n, glob in enumerate(covering_globs(count))))

        def act():
            admin.ok("CHANNEL", "SET", "c*", "max-message", 77)
            time.sleep(10)
        yield act


@contextlib.contextmanager
def many_classes(peer, count):
    """More different options than there are classes, over a million channels."""
    ours_only(peer)
    with Admin(peer) as admin, connect(peer) as holder:
        subscribe_many(holder, b"SUBSCRIBE", b"channel:%d", count)

        def act():
            send_all(admin.connection, [command("CHANNEL", "SET", f"channel:{n}*", "max-message", 1000 + n)
                                        for n in range(1000)])
            time.sleep(3)
        yield act


@contextlib.contextmanager
def rewrite_lines(peer, count):
    ours_only(peer)
    with Admin(peer) as admin:
        def act():
            admin.ok("CHANNEL", "SET", "more", "max-message", 1000)
            admin.ok("CONFIG", "REWRITE")
        yield act


@contextlib.contextmanager
def list_range(peer, count, *reverse):
    with with_one(peer, count) as admin:
        def act():
            if is_ours(peer):
                words = ("HISTORY", "RANGE", "one", "-", "+", *reverse)
            else:
                words = ("XREVRANGE", "one", "+", "-") if reverse else ("XRANGE", "one", "-", "+")
            admin.connection.sendall(command(*words))
            read_lines(admin.connection, 1 + count * (5 if is_ours(peer) else 8))
        yield act


@contextlib.contextmanager
def read_history(peer, count):
    with with_one(peer, count) as admin:
        def act():
            if is_ours(peer):
                read_all(admin.connection, count)
            else:
                admin.connection.sendall(command("XREAD", "COUNT", count, "STREAMS", "one", 0))
                read_lines(admin.connection, 5 + count * 8)
        yield act


def read_all(connection, count):
    """A reply has about 1 MiB of messages: the next request goes on behind them."""
    since = 0
    while count > 0:
        connection.sendall(command("HISTORY", "READ", "COUNT", count, "CHANNELS", "one", since))
        lines = connection.recv(1 << 20)
        while lines.count(b"\n") < 5 or lines.count(b"\n") < 5 + 5 * int(lines.split(b"\r\n", 5)[4][1:]):
            lines += connection.recv(1 << 20)
        since = lines.rsplit(b"\r\n", 4)[1]
        count -= int(lines.split(b"\r\n", 5)[4][1:])


@contextlib.contextmanager
def publish_at_once(peer, count, word):
    """To as many channels in one request; for Redis, and with EXEC, one transaction."""
    if is_ours(peer):
        keep(peer, "channel:*", 10)
    with Admin(peer) as admin:
        names = [b"channel:%d" % i for i in range(count)]
        if word == "EXEC" or not is_ours(peer):
            send_all(admin.connection, [command("MULTI"), *(command("PUBLISH", name, PAYLOAD) for name in names)])
            request = command("EXEC")
        elif word == "MPUBLISH":
            request = command(word, *(part for name in names for part in (name, PAYLOAD)))
        else:
            request = command(word, PAYLOAD, *names)

        def act():
            admin.connection.sendall(request)
            read_lines(admin.connection, 1 + count)
        yield act


class Resumers:
    """Connections that are open; resume() makes all go on at once and waits for their messages."""

    def __init__(self, peer, count, channels, messages, size=64):
        self.peer, self.messages, self.size = peer, messages, size
        if is_ours(peer):
            keep(peer, "news:*", messages)
        with Admin(peer) as admin:
            self.payload = b"x" * size
            for n in range(messages):
                if is_ours(peer):
                    send_all(admin.connection, (command(b"PUBLISH", b"news:%d" % i, self.payload)
                                                for i in range(channels)))
                else:
                    send_all(admin.connection, (command(b"XADD", b"news:%d" % i, b"*", b"m", self.payload)
                                                for i in range(channels)), 2)
        self.connections = []
        for i in range(count):
            connection = socket.create_connection(("127.0.0.1", peer.port), 60)
            connection.setblocking(False)
            name = b"news:%d" % (i % channels)
            if is_ours(peer):
                request = command("RESUME", name, 0) + command("SUBSCRIBE", name)
            else:
                request = command("XRANGE", name, "-", "+") + command("SUBSCRIBE", name)
            self.connections.append((connection, request))

    def resume(self):
        due = {}
        room = bytearray(1 << 18)
        with selectors.EpollSelector() as selector:
            for connection, request in self.connections:
                connection.send(request)
                selector.register(connection, selectors.EVENT_READ)
                due[connection.fileno()] = self.messages * self.size
            while due:
                ready = selector.select(60)
                if not ready:
                    raise ConnectionError(f"{len(due)} of {len(self.connections)} clients miss messages")
                for key, _ in ready:
                    n = key.fileobj.recv_into(room)
                    if n == 0:
                        raise ConnectionError("the broker closed a client")
                    due[key.fd] -= room.count(b"x", 0, n)
                    if due[key.fd] <= 0:
                        del due[key.fd]
                        selector.unregister(key.fileobj)

    def close(self):
        for connection, _ in self.connections:
            connection.close()


@contextlib.contextmanager
def resumes(peer, count, channels=1, messages=100):
    resumers = Resumers(peer, count, min(channels, count), messages)
    yield resumers.resume
    resumers.close()


@contextlib.contextmanager
def resume_long(peer, count):
    """From the middle of a long ring, by a thousand clients."""
    resumers = Resumers(peer, count // 1000, 1, 1)
    with Admin(peer) as admin:
        if is_ours(peer):
            keep(peer, "news:*", count)
        fill_one(peer, count, b"news:0")
        if is_ours(peer):
            admin.connection.sendall(command("HISTORY", "POSITION"))
            epoch, seq = admin.connection.recv(100).split(b"\r\n")[1].split(b"-")
            since = b"%s-%d" % (epoch, int(seq) - count // 2)
            resumers.connections = [(connection, command("RESUME", "news:0", since))
                                    for connection, _ in resumers.connections]
        else:
            resumers.connections = [(connection, command("XLEN", "news:0"))
                                    for connection, _ in resumers.connections]

        def act():
            for connection, request in resumers.connections:
                connection.send(request)
            for connection, _ in resumers.connections:
                connection.setblocking(True)
                if not connection.recv(100).startswith((b"*", b":")):
                    raise ConnectionError("a request was refused")
        yield act
    resumers.close()


@contextlib.contextmanager
def forget_while_resuming(peer, count):
    """A channel keeps nothing any more while its subscribers catch up: all are told, or closed."""
    ours_only(peer)
    resumers = Resumers(peer, count, 1, 20000, 200)
    with Admin(peer) as admin:
        for connection, request in resumers.connections:
            connection.send(request)
        admin.until(lambda: admin.info("history_cursors") > count * 9 // 10)

        def act():
            admin.ok("CHANNEL", "UNSET", "news:*")
            admin.until(lambda: admin.info("history_cursors") == 0)
        yield act
    resumers.close()


@contextlib.contextmanager
def arm_and_leave(peer, count):
    ours_only(peer)
    keep(peer, "channel:*", 1)
    with Admin(peer) as admin:
        admin.ok("CONFIG", "SET", "resume-max-channels", 1000000)
        connection = connect(peer)

        def act():
            for start in range(0, count, BATCH):
                names = [b"channel:%d" % i for i in range(start, min(start + BATCH, count))]
                connection.sendall(command("RESUME", *(word for name in names for word in (name, b"$"))))
                read_lines(connection, 1 + 8 * len(names))
            connection.close()
            admin.until(lambda: admin.info("armed_channels") == 0)
        yield act


@contextlib.contextmanager
def subscribe_armed(peer, count):
    """One SUBSCRIBE of all armed channels, as many as a replay can have; then it leaves."""
    ours_only(peer)
    keep(peer, "channel:*", 1)
    fill_many(peer, count)
    with Admin(peer) as admin:
        admin.ok("CONFIG", "SET", "resume-max-channels", 1000000)
        connection = connect(peer)
        names = [b"channel:%d" % i for i in range(count)]
        request = command("RESUME", *(word for name in names for word in (name, b"0"))) + command("SUBSCRIBE", *names)

        def act():
            connection.sendall(request)
            read_lines(connection, 1 + count * 8 + count * 6 + count * 7)
            connection.close()
            time.sleep(1)
        yield act


@contextlib.contextmanager
def leave_kept(peer, count):
    """The channels stay, because they have messages."""
    if is_ours(peer):
        keep(peer, "channel:*", 1)
        fill_many(peer, count)
    connection = connect(peer)
    subscribe_many(connection, b"SUBSCRIBE", b"channel:%d", count)
    yield connection.close


@contextlib.contextmanager
def join_members(peer, count, then=None):
    ours_only(peer)
    with Admin(peer) as admin:
        admin.ok("CHANNEL", "SET", "room", "presence", "members", "events", "occupied,join")
        connection = connect(peer)
        requests = [command("PRESENCE", "JOIN", "room", b"user:%d" % i) for i in range(count)]

        def act():
            send_all(connection, requests)
        yield act
        connection.close()


@contextlib.contextmanager
def list_members(peer, count):
    with join_members(peer, count) as join:
        join()
        with connect(peer) as connection:
            def act():
                cursor = b"0"
                while True:
                    connection.sendall(command("PRESENCE", "MEMBERS", "room", "CURSOR", cursor, "COUNT", 1000))
                    data = b""
                    while data.count(b"\n") < 4 or data.count(b"\n") < 4 + lines_of_members(data):
                        data += connection.recv(1 << 20)
                    cursor = data.split(b"\r\n", 3)[2]
                    if cursor == b"0":
                        return
            yield act


def lines_of_members(data):
    """Of a reply of PRESENCE MEMBERS, behind the header: name, info and connections of each."""
    words = int(data.split(b"\r\n", 4)[3][1:])
    return words // 3 * 5


HISTORY_CASES = [
    Case("expire-many", "{} messages of as many channels expire in the same second", expire_many, 1000000),
    Case("expire-one", "{} messages of one channel expire in the same second", expire_one, 1000000),
    Case("expire-half", "HISTORY LEN of a channel of which {} messages have expired", expire_but_last, 1000000),
    Case("evict", "history-maxmemory is lowered, {} channels with a message", many_rings(
        [("CONFIG", "SET", "history-maxmemory", "1mb")],
        [("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), ("CONFIG", "SET", "maxmemory", "5mb")],
        done=20000), 1000000),
    Case("evict-publish", "the same while others publish", publish_while_lowered, 1000000),
    Case("size-one", "history-size 10 by CHANNEL SET for a channel with {} messages",
         one_ring(("CHANNEL", "SET", "one", "history-size", 10), ("XTRIM", "one", "MAXLEN", 10)), 1000000),
    Case("ttl-one", "history-ttl 1 by CHANNEL SET for a channel with {} messages",
         one_ring(("CHANNEL", "SET", "one", "history-ttl", 1), ("PEXPIRE", "one", 1)), 1000000),
    Case("unset-one", "CHANNEL UNSET of a channel with {} messages",
         one_ring(("CHANNEL", "UNSET", "one"), ("DEL", "one")), 1000000),
    Case("del-one", "HISTORY DEL of {} messages", one_ring(("HISTORY", "DEL", "one"), ("DEL", "one")), 1000000),
    Case("size-many", "history-size 1 by CHANNEL SET, {} messages in channels of ten",
         many_rings([("CHANNEL", "SET", "channel:*", "history-size", 1)], done=100000, size=10), 1000000),
    Case("unset-many", "CHANNEL UNSET of {} channels with a message",
         many_rings([("CHANNEL", "UNSET", "channel:*")]), 1000000),
    Case("options-many", "CHANNEL SET of other options of {} channels with a message",
         many_rings([("CHANNEL", "SET", "channel:*", "max-message", 1000)], done=None), 1000000),
    Case("classes", "1000 different options for {} channels", many_classes, 1000000),
    Case("covering-lines", "{} lines that match twice as many channels", covering_lines, 10000),
    Case("set-lines", "{} times CHANNEL SET", set_lines, 10000),
    Case("reload-lines", "a reload of {} lines of options", reload_lines, 10000,
         config=lambda count: lines_of(count, 60)),
    Case("rewrite-lines", "CONFIG REWRITE with {} lines of options", rewrite_lines, 10000,
         config=lambda count: lines_of(count, 60)),
    Case("range", "HISTORY RANGE of {} messages", list_range, 1000000),
    Case("range-rev", "HISTORY RANGE REV of {} messages", lambda peer, count: list_range(peer, count, "REV"), 1000000),
    Case("read", "HISTORY READ of {} messages", read_history, 1000000),
    Case("mpublish", "MPUBLISH of {} messages", lambda peer, count: publish_at_once(peer, count, "MPUBLISH"), 10000),
    Case("publishmany", "PUBLISHMANY to {} channels",
         lambda peer, count: publish_at_once(peer, count, "PUBLISHMANY"), 10000),
    Case("exec", "EXEC of {} PUBLISHes, which is one step as in Redis",
         lambda peer, count: publish_at_once(peer, count, "EXEC"), 10000),
    Case("resume-one", "{} resumes of one channel at once, 100 messages each", resumes, 19500),
    Case("resume-many", "{} resumes of as many channels at once, 10 messages each",
         lambda peer, count: resumes(peer, count, CROWD_CHANNELS, 10), 19500),
    Case("resume-long", "RESUME by 1000 clients from the middle of {} messages", resume_long, 1000000),
    Case("forget", "CHANNEL UNSET while {} subscribers catch up", forget_while_resuming, 15000),
    Case("arm-leave", "RESUME of {} channels, then the client leaves", arm_and_leave, 1000000),
    Case("subscribe-armed", "RESUME and SUBSCRIBE of {} channels with a message", subscribe_armed, 10000),
    Case("leave-kept", "a client with {} channels that have messages leaves", leave_kept, 1000000),
    Case("join-members", "{} members join one channel", join_members, 100000),
    Case("list-members", "PRESENCE MEMBERS of {} members, by its cursor", list_members, 100000),
]
