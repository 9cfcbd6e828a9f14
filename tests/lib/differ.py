"""The same input to two daemons, the replies beside each other.

A table is a text file: one command a line in redis-cli's notation (quotes and \\x escapes), all on one
connection. A line `# ...` is a comment; `>N COMMAND` runs on connection N instead (made at need);
`=N` closes connection N. `~` before the command: Redis gives its answer in the order of a hash table,
so the lines of the answer are compared as a set.
"""

import re

from lib.resp import Closed, encode

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}


def split_words(line):
    """The words of a line as bytes: bare, 'single' or "double" with escapes."""
    words = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        word = bytearray()
        while at < len(line) and not line[at].isspace():
            if line[at] == '"':
                at = _double(line, at + 1, word)
            elif line[at] == "'":
                end = line.index("'", at + 1)
                word += line[at + 1:end].encode()
                at = end + 1
            else:
                word += line[at].encode()
                at += 1
        words.append(bytes(word))
    return words


def _double(line, at, word):
    while line[at] != '"':
        if line[at] == "\\":
            following = line[at + 1]
            if following == "x":
                word.append(int(line[at + 2:at + 4], 16))
                at += 4
                continue
            word += _ESCAPES.get(following, following.encode())
            at += 2
        else:
            word += line[at].encode()
            at += 1
    return at + 1


def read_table(path):
    """[(line number, connection number, words or None for its closing, order is free)]"""
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("# ") or line == "#":
            continue
        which = 0
        if line[0] in ">=" and line[1:2].isdigit():
            head, _, rest = line.partition(" ")
            which = int(head[1:])
            if line[0] == "=":
                rows.append((number, which, None, False))
                continue
            line = rest
        free = line.startswith("~")
        rows.append((number, which, split_words(line[free:]), free))
    return rows


class Dialogue:
    """The connections of one table on one daemon."""

    def __init__(self, server, version):
        self.server = server
        self.version = version
        self.connections = {}
        self.markers = 0

    def run(self, which, words):
        """The bytes that this connection answers, and whether it was closed."""
        if words is None:
            self.connections.pop(which).close()
            return b"", False
        if which not in self.connections:
            self.connections[which] = self.server.client(self.version)
        connection = self.connections[which]
        # What follows shows where the answer ends, in subscribe mode too.
        self.markers += 1
        marker = b"marker-%d" % self.markers
        answer = b""
        try:
            connection.send(encode(*words) + encode("PING", marker))
            while True:
                value = connection.read_raw()
                if marker in value:
                    return answer, False
                answer += value
        except (Closed, BrokenPipeError, ConnectionResetError):
            del self.connections[which]
            return answer + connection.read_to_end(), True

    def close(self):
        for connection in self.connections.values():
            connection.close()


# What two daemons may say differently: ids, addresses, times, and what Redis 7.2 words anew.
_NORMAL = [
    (re.compile(rb"Prints this help"), b"Print this help"),
    # Bounds of ours are lower where Redis has none to speak of.
    (re.compile(rb"(argument must be between \d+ and) \d{7,}( inclusive)"), rb"\1 _\2"),
    (re.compile(rb"(?<![a-z-])(id|addr|laddr|fd|age|idle|qbuf|qbuf-free|argv-mem|multi-mem|rbs|rbp|obl|oll|omem"
                rb"|tot-mem)=[^ \r\n]*"), rb"\1=_"),
]


def normalised(answer, free):
    if free:
        answer = b"\n".join(sorted(answer.split(b"\r\n")))
    for pattern, replacement in _NORMAL:
        answer = pattern.sub(replacement, answer)
    return answer


def compare(rows, first, second, version):
    """Lines that say where two daemons differ."""
    different = []
    a, b = Dialogue(first, version), Dialogue(second, version)
    for number, which, words, free in rows:
        ours, theirs = b.run(which, words), a.run(which, words)
        if (normalised(ours[0], free), ours[1]) != (normalised(theirs[0], free), theirs[1]):
            line = b" ".join(words or [b"(close)"])
            different.append(f"line {number}: {line[:120]!r}\n   {second.name}: {ours[0][:400]!r}"
                             f"{' closed' * ours[1]}\n   {first.name}: {theirs[0][:400]!r}{' closed' * theirs[1]}")
    a.close()
    b.close()
    return different
