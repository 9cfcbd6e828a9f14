"""Numbered writers, and what the daemon has promised to keep of each."""

import threading
import time

from lib.resp import Closed, Connection, Error, encode

# Replies that a change may get on a failing disk, and after an upgrade.
REFUSALS = (b"MISCONF", b"EXECABORT", b"READONLY")


class Strange(Exception):
    """A result that no order of events explains."""


class Mode:
    """appendonly and appendfsync as CONFIG SET last confirmed them; None while they are unknown."""

    def __init__(self):
        self.lock = threading.Lock()
        self.begin(None, None, "")

    def begin(self, appendonly, appendfsync, save):
        with self.lock:
            self.values = {"appendonly": appendonly, "appendfsync": appendfsync, "save": save}
            self.generation = getattr(self, "generation", 0) + 1

    def set(self, name, value):
        with self.lock:
            self.values[name] = value
            self.generation += 1

    def stamp(self):
        with self.lock:
            return self.generation, self.values["appendonly"], self.values["appendfsync"]

    def get(self, name):
        with self.lock:
            return self.values[name]


class Writer(threading.Thread):
    """Writes 1, 2, 3, ... under keys of its own, one after the other.

    memory: numbers that the running daemon has acknowledged or loaded. log: numbers that must be in the append-only
    file after kill -9; log_synced: after a loss of power; snapshot: numbers that the snapshot must contain."""

    def __init__(self, name, mode):
        super().__init__(daemon=True)
        self.name, self.mode = name, mode
        self.sent = 0
        self.memory, self.log, self.log_synced, self.snapshot = set(), set(), set(), set()
        self.next = 1
        self.acknowledged = 0
        self.waiting_since = None
        self.failure = None
        self.is_allowed = False
        self.is_over = False
        self.address = None
        self.connection = None
        self.turn = threading.Condition()
        self.is_resting = True

    # Each kind defines changes(), accept(reply), present(client)

    # The thread

    def run(self):
        while not self.is_over:
            with self.turn:
                if not self.is_allowed:
                    self.is_resting = True
                    self.turn.notify_all()
                    self.turn.wait(0.1)
                    continue
                self.is_resting = False
            try:
                self.write_next()
            except (Closed, OSError):
                self.waiting_since = None
                self.disconnect()
                time.sleep(0.01)
            except (Strange, AssertionError, ValueError, IndexError, TypeError, AttributeError) as error:
                self.failure = f"{self.name}: {error!r}"
                self.waiting_since = None
                self.is_allowed = False

    def connect(self):
        if self.connection is None:
            connection = Connection(self.address, timeout=600)
            self.connection = connection
            self.look()

    def disconnect(self):
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None

    def look(self):
        """After an error it is unknown whether the change was made; reads the current state."""
        self.waiting_since = time.monotonic()
        present = self.present(self.connection)
        self.waiting_since = None
        missing = self.memory - present
        if missing:
            raise Strange(f"{sorted(missing)[:5]} were acknowledged and are not in memory")
        self.next = max(present, default=0) + 1

    def write_next(self):
        self.connect()
        before = self.mode.stamp()
        numbers = self.numbers()
        self.sent = max(self.sent, numbers[-1])
        self.waiting_since = time.monotonic()
        self.connection.send(b"".join(self.changes(number) for number in numbers))
        refused = False
        for number in numbers:
            reply = self.read_reply()
            if isinstance(reply, Error):
                if not reply.text.startswith(REFUSALS):
                    raise Strange(f"answer to {number}: {reply!r}")
                refused = True
            elif self.accept(number, reply):
                self.acknowledge(number, before)
        self.waiting_since = None
        if refused:
            time.sleep(0.005)
            self.look()
        else:
            self.next = numbers[-1] + 1

    def acknowledge(self, number, before):
        with self.turn:
            self.memory.add(number)
            if before == self.mode.stamp() and before[1:] == ("yes", "always"):
                self.log.add(number)
                self.log_synced.add(number)
            self.acknowledged += 1

    def numbers(self):
        return [self.next]

    def read_reply(self):
        return self.connection.read_value()

    # For the admin

    def go(self, address):
        with self.turn:
            self.address = address
            self.is_allowed = True
            self.turn.notify_all()

    def rest(self):
        """Sends nothing more; a client that waits for a reply continues to wait."""
        with self.turn:
            self.is_allowed = False

    def has_ended(self):
        """The daemon has ended."""
        self.rest()
        connection = self.connection
        if connection is not None:
            connection.abandon()
        with self.turn:
            self.turn.wait_for(lambda: self.is_resting, 10)
        self.disconnect()
        self.waiting_since = None

    def copy_memory(self):
        with self.turn:
            return set(self.memory)

    def check_loaded(self, client, promised, what):
        present = self.present(client)
        missing = promised - present
        if missing:
            raise Strange(f"{self.name}: {what}: {len(missing)} acknowledged changes are gone: "
                          f"{sorted(missing)[:10]}; there are {len(present)}, to {max(present, default=0)}")
        if present and max(present) > self.sent:
            raise Strange(f"{self.name}: {max(present)} is there, and {self.sent} was the last sent")
        with self.turn:
            self.memory = present
            self.log &= present
            self.log_synced &= present
            self.snapshot &= present


def numbered(values, name):
    """The values must be 1 to their count."""
    found = [int(value) for value in values]
    if found != list(range(1, len(found) + 1)):
        at = next(i for i, value in enumerate(found) if value != i + 1)
        raise Strange(f"{name}: a hole or a double at {at}: {found[max(0, at - 3):at + 4]}")
    return set(found)


class ListWriter(Writer):
    """RPUSH of one number after the other: a gap or a duplicate is detected."""

    def changes(self, number):
        return encode("RPUSH", f"list:{self.name}", number)

    def accept(self, number, reply):
        if reply != number:
            raise Strange(f"RPUSH of {number} answers {reply!r}")
        return True

    def present(self, client):
        return numbered(client.call("LRANGE", f"list:{self.name}", 0, -1), self.name)


class SetWriter(Writer):
    """Ten SADD at a time, sent again until all are there."""

    def numbers(self):
        return list(range(self.next, self.next + 10))

    def changes(self, number):
        return encode("SADD", f"set:{self.name}", number)

    def accept(self, number, reply):
        if reply not in (0, 1):
            raise Strange(f"SADD of {number} answers {reply!r}")
        return reply == 1

    def look(self):
        super().look()
        present = self.found
        # The first missing one, so that gaps are filled.
        self.next = next(number for number in range(1, len(present) + 2) if number not in present)

    def present(self, client):
        self.found = {int(value) for value in client.call("SMEMBERS", f"set:{self.name}")}
        return self.found


class TransactionWriter(Writer):
    """Several keys at a time, each of which gets the same number."""

    def commands(self, number):
        name = self.name
        return [("RPUSH", f"list:{name}", number), ("SET", f"string:{name}", number),
                ("HSET", f"hash:{name}", "a", number, "b", number), ("ZADD", f"zset:{name}", number, "member"),
                ("INCR", f"count:{name}")]

    def changes(self, number):
        return b"".join(encode(*command) for command in [("MULTI",), *self.commands(number), ("EXEC",)])

    def read_reply(self):
        reply = self.connection.read_value()
        queued = [self.connection.read_value() for _ in range(self.length())]
        if reply != b"OK" or any(one != b"QUEUED" and not isinstance(one, Error) for one in queued):
            raise Strange(f"MULTI answers {reply!r}, {queued!r}")
        for one in queued:
            if isinstance(one, Error) and not one.text.startswith(REFUSALS):
                raise Strange(f"in MULTI: {one!r}")
        return self.connection.read_value()

    def length(self):
        return len(self.commands(0))

    def accept(self, number, reply):
        if reply[0] != number or reply[1] != b"OK" or reply[4] != number:
            raise Strange(f"EXEC of {number} answers {reply!r}")
        return True

    def present(self, client):
        name = self.name
        reads = [("LRANGE", f"list:{name}", 0, -1), ("GET", f"string:{name}"), ("HMGET", f"hash:{name}", "a", "b"),
                 ("ZSCORE", f"zset:{name}", "member"), ("GET", f"count:{name}")]
        client.send(b"".join(encode(*read) for read in [("MULTI",), *reads, ("EXEC",)]))
        for _ in range(len(reads) + 1):
            client.read_value()
        values, string, fields, score, count = client.read_value()
        present = numbered(values, name)
        last = b"%d" % len(present) if present else None
        if [string, *fields, score, count] != [last] * 5:
            raise Strange(f"{name}: half a transaction: list to {last}, string {string}, hash {fields}, "
                          f"score {score}, counter {count}")
        return present


class ConfigWriter(TransactionWriter):
    """A transaction with a CONFIG SET in its midst. It has no thread: the admin calls write_one()."""

    setting = ("appendfsync", "always")

    def commands(self, number):
        commands = super().commands(number)
        return [*commands[:3], ("CONFIG", "SET", *self.setting), *commands[3:]]

    def accept(self, number, reply):
        """The reply to CONFIG SET may be an error; the other replies must be normal."""
        changes = [*reply[:3], *reply[4:]]
        return super().accept(number, changes)

    def write_one(self, client, setting):
        """The reply to CONFIG SET, or the error of EXEC."""
        self.connection, self.setting = client, setting
        try:
            self.look()
            number = self.next
            self.sent = max(self.sent, number)
            client.send(self.changes(number))
            reply = self.read_reply()
        finally:
            # It no longer waits for anything, even if the daemon has ended.
            self.connection = self.waiting_since = None
        if isinstance(reply, Error):
            if not reply.text.startswith(REFUSALS):
                raise Strange(f"EXEC of {number}: {reply!r}")
            return reply
        self.accept(number, reply)
        with self.turn:
            self.memory.add(number)
        return reply[3]
