"""Sends the same input to two daemons and compares the replies. lib/table.py describes the tables of commands."""

import re
import time

from lib.resp import Closed, encode
from lib.wait import seconds, wait_until

# Instead of a reply. Even if both daemons do it, the table is wrong.
NO_ANSWER = b"(no answer)"
NOT_BLOCKED = b"(does not block)"


class Dialogue:
    """The connections of one table on one daemon."""

    def __init__(self, server, version):
        self.server = server
        self.version = version
        self.connections = {}
        self.queuing = set()  # connections with commands queued by MULTI
        self.markers = 0
        self._control = None

    @property
    def control(self):
        """A connection that no row uses."""
        if self._control is None:
            self._control = self.server.client()
        return self._control

    def connection(self, which):
        if which not in self.connections:
            self.connections[which] = self.server.client(self.version)
            self.connections[which].socket.settimeout(seconds(3))
        return self.connections[which]

    def run(self, row):
        """The bytes of the reply on this row's connection, and whether it was closed."""
        if row.which is None:
            self.begin_block()
            return b"", False
        if row.words is None:
            self.queuing.discard(row.which)
            self.connections.pop(row.which).close()
            return b"", False
        if "@blocks" in row.marks:
            return self.block(row), False
        if "@scan" in row.marks:
            return self.scan(row), False
        if "@until" in row.marks:
            return self.repeat(row, row.marks["@until"].encode() + b"\r\n"), False
        if row.which in self.queuing:
            return self.queue(row)
        if row.words and row.words[0].upper() == b"MULTI":
            answer, closed = self.exchange(row.which, encode(*row.words), marked=False)
            if answer == b"+OK\r\n":
                self.queuing.add(row.which)
            return answer, closed
        return self.exchange(row.which, encode(*row.words) if row.words else b"")

    def queue(self, row):
        """Each queued command has a reply of one value; only the reply of the last one may have several."""
        answer, closed = self.exchange(row.which, encode(*row.words), marked=False)
        ends = row.words[0].upper() in (b"EXEC", b"DISCARD", b"RESET", b"QUIT")
        if closed or (ends and b"wrong number of arguments" not in answer):
            self.queuing.discard(row.which)
        if closed or row.which in self.queuing:
            return answer, closed
        rest, closed = self.exchange(row.which, b"")
        return answer + rest, closed

    def exchange(self, which, request, marked=True):
        """The reply to a request: one value, or all values if it is marked so."""
        connection = self.connection(which)
        # The reply to a PING marks the end of the reply, also in subscribe mode.
        self.markers += 1
        marker = b"marker-%d" % self.markers
        answer = b""
        try:
            connection.send(request + (encode("PING", marker) if marked else b""))
            while True:
                value = connection.read_raw()
                if marker in value:
                    return answer, False
                answer += value
                if not marked:
                    return answer, False
        except TimeoutError:
            # A difference like any other; the rest of the table is still compared.
            self.connections.pop(which).close()
            return answer + NO_ANSWER, True
        except (Closed, BrokenPipeError, ConnectionResetError):
            del self.connections[which]
            return answer + connection.read_to_end(), True

    def begin_block(self):
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()
        self.queuing.clear()
        self.control.ok("FLUSHALL")

    def block(self, row):
        connection = self.connection(row.which)
        own = connection.call("CLIENT", "ID")
        connection.send(encode(*row.words))
        try:
            wait_until(lambda: "b" in self.control.client_list("ID", own)[0]["flags"], "it blocks", 3)
        except AssertionError:
            return NOT_BLOCKED
        return b""

    def scan(self, row):
        """As one array: the elements of all replies, each once."""
        words = list(row.words)
        at = 1 if words[0].upper() == b"SCAN" else 2
        whole = words[0].upper() in (b"SCAN", b"SSCAN")
        found = set()
        for _ in range(100000):
            reply = self.connection(row.which).call(*words)
            if not isinstance(reply, list):
                return repr(reply).encode()
            items = reply[1] if whole else list(zip(reply[1][::2], reply[1][1::2]))
            found.update(items)
            words[at] = reply[0]
            if reply[0] == b"0":
                return repr(sorted(found)).encode()
        raise AssertionError(f"{row.words} does not end")

    def repeat(self, row, wanted):
        end = time.monotonic() + seconds(5)
        while True:
            answer = self.exchange(row.which, encode(*row.words))[0]
            if answer.startswith(wanted) or time.monotonic() > end:
                return answer
            time.sleep(0.002)

    def close(self):
        for connection in self.connections.values():
            connection.close()


# Allowed differences: ids, addresses, times, and texts that Redis 7.2 changed.
_NORMAL = [
    (re.compile(rb"Prints this help"), b"Print this help"),
    # Limits of fanfared that are lower than those of Redis.
    (re.compile(rb"(argument must be between \d+ and) \d{7,}( inclusive)"), rb"\1 _\2"),
    (re.compile(rb"(?<![a-z-])(id|addr|laddr|fd|age|idle|qbuf|qbuf-free|argv-mem|multi-mem|rbs|rbp|obl|oll|omem"
                rb"|tot-mem)=[^ \r\n]*"), rb"\1=_"),
]


def parse(raw, at=0):
    """(value, where it ends): (type, its bytes or None), or (type, list of values) where it is an array of some sort."""
    end = raw.index(b"\r\n", at)
    kind, head = raw[at:at + 1], raw[at + 1:end]
    at = end + 2
    if kind in b"$*" and head == b"-1":
        return (kind, None), at
    if kind in b"$=!":
        return (kind, raw[at:at + int(head)]), at + int(head) + 2
    if kind not in b"*~>%":
        return (kind, head), at
    items = []
    for _ in range(int(head) * (2 if kind == b"%" else 1)):
        item, at = parse(raw, at)
        items.append(item)
    return (kind, items), at


def parse_all(raw):
    values = []
    at = 0
    while at < len(raw):
        value, at = parse(raw, at)
        values.append(value)
    return values


def by_order(value, in_pairs):
    kind, items = value
    if not isinstance(items, list):
        return value
    if kind == b"%" or (in_pairs and not all(isinstance(item[1], list) for item in items)):
        items = list(zip(items[::2], items[1::2]))
    return kind, sorted(items, key=repr)


def shape(value, allowed):
    """Removes the contents, except strings that are not allowed."""
    kind, items = value
    if isinstance(items, list):
        return kind, [shape(item, allowed) for item in items]
    if kind in b"$+" and allowed is not None:
        return kind, "allowed" if items in allowed else items
    return kind, items is None


def are_near(a, b, most):
    if a[0] != b[0]:
        return False
    if isinstance(a[1], list) and isinstance(b[1], list):
        return len(a[1]) == len(b[1]) and all(are_near(x, y, most) for x, y in zip(a[1], b[1]))
    if a[0] == b":" and min(int(a[1]), int(b[1])) >= 0:
        return abs(int(a[1]) - int(b[1])) <= most
    return a[1] == b[1]


def normalised(answer, marks):
    if "@sorted" in marks or "@pairs" in marks:
        return [by_order(value, "@pairs" in marks) for value in parse_all(answer)]
    if "@of" in marks or "@shape" in marks:
        allowed = [word.encode() for word in marks["@of"].split(",")] if "@of" in marks else None
        return [shape(value, allowed) for value in parse_all(answer)]
    if "~" in marks:
        answer = b"\n".join(sorted(answer.split(b"\r\n")))
    for pattern, replacement in _NORMAL:
        answer = pattern.sub(replacement, answer)
    return answer


def are_alike(ours, theirs, marks):
    if "@near" in marks:
        return are_near((b"*", parse_all(ours)), (b"*", parse_all(theirs)), int(marks["@near"]))
    return normalised(ours, marks) == normalised(theirs, marks)


def compare_row(row, ours, theirs, version):
    """The difference of the two replies, or None. Each is (bytes, whether it was closed)."""
    if ours[0].endswith((NO_ANSWER, NOT_BLOCKED)) or theirs[0].endswith((NO_ANSWER, NOT_BLOCKED)):
        return "is not answered"
    if ours[1] != theirs[1]:
        return "closed or not"
    expected = row.expected.get(version)
    if expected is None:
        return None if are_alike(ours[0], theirs[0], row.marks) else "differs"
    if not are_alike(ours[0], expected, row.marks):
        return f"is not {expected!r}"
    # A mark that is no longer needed would hide the next difference.
    return "the mark @7.2 is not needed" if are_alike(ours[0], theirs[0], row.marks) else None


def compare(rows, first, second, version):
    """Lines that describe the differences of two daemons."""
    different = []
    a, b = Dialogue(first, version), Dialogue(second, version)
    for row in rows:
        ours, theirs = b.run(row), a.run(row)
        wrong = compare_row(row, ours, theirs, version)
        if wrong:
            line = b" ".join(row.words or [b"(close)"])
            different.append(f"line {row.number}: {line[:120]!r} {wrong}\n   {second.name}: {ours[0][:400]!r}"
                             f"{' closed' * ours[1]}\n   {first.name}: {theirs[0][:400]!r}{' closed' * theirs[1]}")
    a.close()
    b.close()
    return different
