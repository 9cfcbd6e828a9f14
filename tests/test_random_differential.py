"""200 000 seeded random commands to redis-server and fanfared: the same replies, and the same keys at every step."""

import random

import pytest

from lib.differ import are_alike, by_order, parse
from lib.random_commands import ALL_KEYS, APART, FAR, LEX_KEYS, marks_of, random_commands
from lib.resp import encode
from test_differential import make_values_large

COMMANDS = 50_000
BATCH = 200
BATCHES_TO_A_LOOK = 20
CONTENTS = {b"string": ["GET"], b"hash": ["HGETALL"], b"list": ["LRANGE", 0, -1], b"set": ["SMEMBERS"],
            b"zset": ["ZRANGE", 0, -1, "WITHSCORES"], b"stream": ["XRANGE", "-", "+"]}


def replies_of(connection, commands):
    connection.send(b"".join(encode(*words) for words in commands))
    return [connection.read_raw() for _ in commands]


def reply_is_alike(words, ours, theirs):
    if ours == theirs:
        return True
    marks = marks_of(words)
    if words[0].endswith(b"SCAN") and ours[:1] == theirs[:1] == b"*":
        # The cursor and an array: one round holds all.
        pairs = "@pairs" in marks
        (_, (our_cursor, our_items)), (_, (their_cursor, their_items)) = parse(ours)[0], parse(theirs)[0]
        return our_cursor == their_cursor and by_order(our_items, pairs) == by_order(their_items, pairs)
    return bool(marks) and are_alike(ours, theirs, marks)


def parts(raw):
    """The raw elements of an array."""
    start = raw.index(b"\r\n") + 2
    found = []
    while start < len(raw):
        end = parse(raw, start)[1]
        found.append(raw[start:end])
        start = end
    return found


def is_alike(words, queued, ours, theirs):
    if words[0] != b"EXEC" or ours == theirs or ours[:1] != b"*" or theirs[:1] != b"*":
        return reply_is_alike(words, ours, theirs)
    mine, other = parts(ours), parts(theirs)
    return len(mine) == len(other) == len(queued) and all(map(reply_is_alike, queued, mine, other))


def contents(connection, database):
    """{key: (type, value, time of expiry)}, values in an order of their own."""
    connection.ok("SELECT", database)
    keys = sorted(connection.call("KEYS", "*"))
    types = [connection.call("TYPE", key) for key in keys]
    values = replies_of(connection, [[CONTENTS[kind][0], key, *CONTENTS[kind][1:]] for key, kind in zip(keys, types)])
    times = [connection.call("EXPIRETIME", key) for key in keys]
    parsed = (parse(value)[0] for value in values)
    ordered = [by_order(value, kind == b"hash") if kind in (b"hash", b"set") else value for kind, value in zip(types, parsed)]
    return {key: (kind, value, time) for key, kind, value, time in zip(keys, types, ordered, times)}


def same_content(ours, theirs):
    if ours is None or theirs is None or ours[:2] != theirs[:2]:
        return False
    (*_, mine), (*_, other) = ours, theirs
    return mine == other or (0 < min(mine, other) and max(mine, other) < int(FAR[0]) and abs(mine - other) <= APART)


def history(done, keys):
    """The last commands that named one of these keys."""
    concerned = [words for words in done if keys & set(words) or words[0] in (b"FLUSHDB", b"FLUSHALL", b"SWAPDB", b"SELECT")]
    return "\n".join("  " + repr(b" ".join(word[:40] for word in words)) for words in concerned[-25:])


class Pair:
    def __init__(self, redis, fanfared, version, seed):
        self.ours, self.theirs = fanfared.client(version), redis.client(version)
        self.our_look, self.their_look = fanfared.client(), redis.client()
        self.seed = seed
        self.done = []
        self.queued = None

    def run(self, commands):
        ours, theirs = replies_of(self.ours, commands), replies_of(self.theirs, commands)
        for words, mine, other in zip(commands, ours, theirs):
            self.done.append(words)
            assert is_alike(words, self.queued, mine, other), (
                f"seed {self.seed}, command {len(self.done)}: {words!r}\n  fanfared {mine[:600]!r}\n  redis    "
                f"{other[:600]!r}\nqueued: {self.queued}\nbefore:\n"
                f"{history(self.done, set(words) & set(ALL_KEYS + LEX_KEYS) or set(ALL_KEYS))}")
            self.follow(words, other)

    def follow(self, words, reply):
        if words[0] == b"MULTI" and reply == b"+OK\r\n":
            self.queued = []
        elif words[0] in (b"EXEC", b"DISCARD"):
            self.queued = None
        elif self.queued is not None and reply == b"+QUEUED\r\n":
            self.queued.append(words)

    def look(self):
        for database in (0, 1):
            mine, other = contents(self.our_look, database), contents(self.their_look, database)
            for key in sorted(mine.keys() | other.keys()):
                assert same_content(mine.get(key), other.get(key)), (
                    f"seed {self.seed}, after command {len(self.done)}: key {key!r} of database {database}\n"
                    f"  fanfared {repr(mine.get(key))[:800]}\n  redis    {repr(other.get(key))[:800]}\nbefore:\n"
                    f"{history(self.done, {key})}")


@pytest.mark.parametrize("form", ["packed", "large"])
@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
def test_random_commands_are_answered_alike_and_leave_the_same_keys(start_redis, start_fanfared, version, form):
    redis, fanfared = start_redis(), start_fanfared()
    if form == "large":
        make_values_large(redis)
        make_values_large(fanfared)
    seed = version * 10 + (form == "large")
    pair = Pair(redis, fanfared, version, seed)
    commands = list(random_commands(random.Random(seed), COMMANDS))
    for number, start in enumerate(range(0, COMMANDS, BATCH)):
        pair.run(commands[start:start + BATCH])
        if number % BATCHES_TO_A_LOOK == 0:
            pair.look()
    pair.look()
