"""Tables of commands for two daemons, as text.

One command a line in redis-cli's notation (quotes and \\x escapes), all on one connection.

    # ...           a comment
    ---             a new block: all connections are closed, all keys are gone
    --- keys        the same, then the keys of STANDARD_KEYS are made, one or two of each type
    >N COMMAND      on connection N instead (made at need)
    =N              connection N is closed
    < WORDS         the reply required from fanfared to the command above, see @7.2
    @forms          (a line of its own, at the top) the table is run twice, with values packed and with large ones

A word may stand for several: `x{1..300}` for x1 to x300, `{1..300:m}` for 1 m1 2 m2 to 300 m300; or for a long one:
`{a*1000}` for a thousand a, `{bytes}` for all 256 bytes in order.

Before the command there may be marks. They define how the two replies are compared if not byte by byte:

    ~               lines of the reply in any order: for replies of several values
    @sorted         elements in any order (SMEMBERS, KEYS, SUNION; a RESP3 map by pairs)
    @pairs          the same, two elements of a flat array belonging together (HGETALL, CONFIG GET)
    @shape          types and lengths of arrays only, not what is in them (RANDOMKEY, OBJECT IDLETIME)
    @of=a,b,c       as @shape, and every string in it is one of these (SRANDMEMBER)
    @near=N         numbers may differ by up to N (TTL, PTTL, EXPIRETIME)
    @7.2(reason)    Redis 7.2 replies differently from 7.0, the version of Debian. The lines of fanfared's reply
                    are on the next line of the table, as words after `< `; or `<2 ` and `<3 `, for one protocol

and how the command is executed:

    @each=k,l,m     once for each of these words (they may be quoted), put in place of the word `$`: as many cases
    @scan           again with the cursor of the reply until that is 0; the elements of all replies are compared, each
                    once, in any order (SCAN, HSCAN, SSCAN, ZSCAN)
    @until=REPLY    again until the reply's first line is REPLY, for at most some seconds (EXISTS of a key that expires)
    @blocks         waits until the daemon reports the client as blocked, not for the reply; @answer, a line without a
                    command, waits for the reply on the same connection
"""

import re
from dataclasses import dataclass, field

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}
_RANGE = re.compile(rb"(.*)\{(\d+)\.\.(\d+)(?::([^}]*))?\}(.*)", re.DOTALL)
_ITEM = re.compile(r'''(?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s,"'])+''')
_TIMES = re.compile(rb"\{(.)\*(\d+)\}", re.DOTALL)

STANDARD_KEYS = [
    "SET s hello", "SET n 10", "SET e ''", "RPUSH l a b c", "RPUSH l2 c d", "HSET h f1 v1 f2 v2 n 5", "SADD t a b c",
    "SADD t2 c d", "SADD i 1 2 3", "ZADD z 1 a 2 b 3 c", "ZADD z2 5 c 6 d",
]


@dataclass
class Row:
    """What is done on a connection: a command, or closing it (words is None), or a new block (which is None)."""

    number: int
    which: int = 0
    words: list = None
    marks: dict = field(default_factory=dict)
    expected: dict = field(default_factory=dict)  # protocol: bytes


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


def _expanded(words):
    for word in words:
        if word == b"{bytes}":
            yield bytes(range(256))
        elif times := _TIMES.fullmatch(word):
            yield times[1] * int(times[2])
        elif span := _RANGE.fullmatch(word):
            for number in range(int(span[2]), int(span[3]) + 1):
                yield b"%s%d%s" % (span[1], number, span[5])
                if span[4] is not None:
                    yield b"%s%d" % (span[4], number)
        else:
            yield word


def _take_items(line):
    """Words with commas between them, and the rest of the line before them."""
    items = []
    while True:
        item = _ITEM.match(line)
        items += _expanded(split_words(item[0]))
        line = line[item.end():]
        if not line.startswith(","):
            return line, items
        line = line[1:]


def _take_marks(line):
    """The marks before a command, and the rest of the line."""
    marks = {}
    while True:
        line = line.lstrip()
        if line.startswith("~"):
            marks["~"] = ""
            line = line[1:]
        elif line.startswith("@7.2("):
            marks["@7.2"], _, line = line[len("@7.2("):].partition(")")
        elif line.startswith("@each="):
            line, marks["@each"] = _take_items(line[len("@each="):])
        elif line.startswith("@"):
            mark, _, line = line.partition(" ")
            name, _, value = mark.partition("=")
            assert name in {"@sorted", "@pairs", "@shape", "@of", "@near", "@scan", "@until", "@blocks",
                            "@answer"}, f"no such mark: {mark}"
            marks[name] = value
        else:
            return marks, line


def _command_rows(number, which, line):
    marks, line = _take_marks(line)
    words = list(_expanded(split_words(line)))
    if "@each" not in marks:
        return [Row(number, which, words, marks)]
    items = marks.pop("@each")
    return [Row(number, which, [item if word == b"$" else word for word in words], marks) for item in items]


def _expect(row, line):
    assert row.marks.get("@7.2"), f"line {row.number}: a reply of its own and no reason"
    head, _, rest = line.partition(" ")
    answer = b"".join(word + b"\r\n" for word in split_words(rest))
    for protocol in (head[1:] or "23"):
        row.expected[int(protocol)] = answer


def read_table(path):
    """The rows of a table."""
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("# ") or line in ("#", "@forms"):
            continue
        head, _, rest = line.partition(" ")
        if head == "---":
            rows.append(Row(number, None))
            rows += [Row(number, 0, split_words(command)) for command in STANDARD_KEYS if rest == "keys"]
        elif re.fullmatch(r"<[23]?", head):
            for row in last:
                _expect(row, line)
        elif re.fullmatch(r"=\d+", head):
            rows.append(Row(number, int(head[1:])))
        elif re.fullmatch(r">\d+", head):
            last = _command_rows(number, int(head[1:]), rest)
            rows += last
        else:
            last = _command_rows(number, 0, line)
            rows += last
    return rows


def has_two_forms(path):
    return "\n@forms\n" in path.read_text()
