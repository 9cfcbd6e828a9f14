"""Seeded random commands of the keyspace, with few keys and values so that they meet; and how to compare the replies.

Only what has one right answer: nothing is popped at random, and times are either long or in the past.
"""

KEYS = {kind: [f"{kind}{n}".encode() for n in range(4)] for kind in ("string", "hash", "list", "set", "zset", "stream")}
ALL_KEYS = [key for keys in KEYS.values() for key in keys]
LEX_KEYS = [b"lex0", b"lex1"]  # all scores are 0, or what a range by names is would not be said
FAR = [b"4000000000", b"4000000001", b"4100000000"]
PAST = [b"0", b"-1", b"-20"]
# Two servers get a relative time at different moments, so their times of expiry differ by at most so many seconds.
APART = 300

# In a template a word in capitals stands for itself, one that a method of Words has the name of for what that gives,
# and `word*` for one to four of these.
STRINGS = """
    GET k|SET k value|SET k value NX|SET k value XX|SET k value GET|SET k number|SET k value EX 1000|SET k value KEEPTTL
    SET k value EXAT far|SETNX k value|SETEX k 1000 value|GETSET k value|GETDEL k|GETEX k|GETEX k PERSIST
    GETEX k EXAT far|MGET k* any|MSET k value k value|MSETNX k value k value|APPEND k value|STRLEN k
    SETRANGE k offset value|GETRANGE k index index|SUBSTR k index index|INCR k|DECR k|INCRBY k number|DECRBY k number
    INCRBYFLOAT k float|LCS k k|LCS k k LEN|LCS k k IDX WITHMATCHLEN|SETBIT k offset bit|GETBIT k offset|BITCOUNT k
    BITCOUNT k index index|BITCOUNT k index index BIT|BITPOS k bit|BITPOS k bit index|BITPOS k bit index index BIT
    BITOP operation k k|BITOP operation k k any|BITOP operation k k k k|BITFIELD k GET width place GET width place
    BITFIELD k SET width place amount|BITFIELD k OVERFLOW excess SET width place amount GET width place
    BITFIELD k INCRBY width place amount|BITFIELD k OVERFLOW excess INCRBY width place amount INCRBY width place amount
    BITFIELD_RO k GET width place|BITFIELD k INCRBY width place amount OVERFLOW excess INCRBY width place amount
"""
HASHES = """
    HSET k field value|HSET k field value field number field value|HSET k field number|HSETNX k field value
    HMSET k field value|HGET k field|HMGET k field*|HGETALL k|HDEL k field|HDEL k field*|HLEN k|HEXISTS k field|HKEYS k
    HVALS k|HINCRBY k field number|HINCRBYFLOAT k field float|HSTRLEN k field|HRANDFIELD k|HRANDFIELD k index
    HRANDFIELD k index WITHVALUES|HSCAN k 0 COUNT 100000|HSCAN k 0 MATCH glob COUNT 100000
"""
LISTS = """
    LPUSH k value*|RPUSH k value*|RPUSH k member*|LPUSHX k value|RPUSHX k value|LPOP k|RPOP k|LPOP k offset
    RPOP k offset|LLEN k|LINDEX k index|LSET k index value|LINSERT k BEFORE member value|LINSERT k AFTER member value
    LRANGE k index index|LREM k index member|LTRIM k index index|LPOS k member|LPOS k member RANK index
    LPOS k member COUNT offset MAXLEN offset|LMOVE k k LEFT RIGHT|LMOVE k k RIGHT LEFT|RPOPLPUSH k k
    LMPOP 2 k k LEFT|LMPOP 2 k k RIGHT COUNT offset|RPUSH k value* member* number*|LRANGE k 0 -1
"""
SETS = """
    SADD k member*|SADD k small*|SREM k member*|SREM k small|SISMEMBER k member|SMISMEMBER k member*|SMEMBERS k|SCARD k
    SPOP k 100000|SRANDMEMBER k|SRANDMEMBER k index|SMOVE k k member|SINTER k k|SUNION k k|SDIFF k k|SINTER k*
    SINTERSTORE k k k|SUNIONSTORE k k k|SDIFFSTORE k k k|SINTERCARD 2 k k|SINTERCARD 2 k k LIMIT offset
    SSCAN k 0 COUNT 100000|SSCAN k 0 MATCH glob COUNT 100000|SORT k ALPHA|SORT k|SADD k small small small small
"""
ZSETS = """
    ZADD k score member|ZADD k score member score member|ZADD k NX score member|ZADD k XX CH score member
    ZADD k GT score member|ZADD k LT CH score member|ZADD k INCR score member|ZADD k XX GT INCR score member
    ZREM k member*|ZSCORE k member|ZMSCORE k member*|ZINCRBY k score member|ZCARD k|ZCOUNT k bound bound
    ZLEXCOUNT equal lex lex|ZRANK k member|ZREVRANK k member|ZRANGE k index index|ZRANGE k index index REV WITHSCORES
    ZRANGE k bound bound BYSCORE WITHSCORES|ZRANGE k bound bound BYSCORE REV LIMIT index index
    ZRANGE equal lex lex BYLEX|ZRANGE equal lex lex BYLEX REV LIMIT offset index|ZRANGESTORE k k index index
    ZRANGESTORE k k bound bound BYSCORE|ZRANGEBYSCORE k bound bound
    ZRANGEBYSCORE k bound bound WITHSCORES LIMIT offset index
    ZRANGEBYLEX equal lex lex|ZREVRANGE k index index WITHSCORES|ZREVRANGEBYSCORE k bound bound|ZREVRANGEBYLEX equal lex lex
    ZREMRANGEBYRANK k index index|ZREMRANGEBYSCORE k bound bound|ZREMRANGEBYLEX equal lex lex|ZPOPMIN k|ZPOPMAX k offset
    ZMPOP 2 k k MIN|ZMPOP 2 k k MAX COUNT offset|ZUNION 2 k k WITHSCORES|ZUNION 2 k any WEIGHTS score score WITHSCORES
    ZINTER 2 k k WITHSCORES|ZINTER 2 k k AGGREGATE MAX WITHSCORES|ZDIFF 2 k k|ZDIFF 2 k k WITHSCORES
    ZUNIONSTORE k 2 k k|ZUNIONSTORE k 2 k any AGGREGATE MIN|ZINTERSTORE k 2 k k WEIGHTS small small
    ZDIFFSTORE k 2 k k|ZINTERCARD 2 k k|ZRANDMEMBER k|ZRANDMEMBER k index|ZRANDMEMBER k index WITHSCORES
    ZADD equal 0 member|ZADD equal 0 member 0 member 0 member|ZREM equal member*|ZUNIONSTORE equal 2 equal equal
    ZADD equal 0 member 0 member|ZRANGE equal 0 -1|ZRANK equal member|ZREVRANGE equal index index
    ZSCAN k 0 COUNT 100000|ZSCAN k 0 MATCH glob COUNT 100000|ZADD k score member score member score member score member
"""
STREAMS = """
    XADD k stamp field value|XADD k stamp field value field value|XADD k MAXLEN offset stamp field value|XADD k stamp member member
    XADD k MINID id stamp field value|XADD k NOMKSTREAM stamp field value|XADD k MAXLEN ~ offset LIMIT offset stamp field value
    XLEN k|XRANGE k - +|XRANGE k id id|XRANGE k id + COUNT index|XREVRANGE k + - COUNT offset|XREVRANGE k id id|XDEL k id*
    XTRIM k MAXLEN offset|XTRIM k MINID id|XTRIM k MAXLEN ~ offset|XSETID k stamp|XREAD COUNT offset STREAMS k any id id
    XGROUP CREATE k member id|XGROUP CREATE k member $ MKSTREAM|XGROUP CREATE k a 0|XGROUP SETID k a id|XGROUP DESTROY k member
    XGROUP DELCONSUMER k a member|XREADGROUP GROUP a member COUNT offset STREAMS k >|XREADGROUP GROUP a b STREAMS k >
    XREADGROUP GROUP a b COUNT offset STREAMS k id|XREADGROUP GROUP a member NOACK COUNT offset STREAMS k >|XACK k a id*
    XPENDING k a|XCLAIM k a member 0 id* FORCE|XCLAIM k a b 0 id* JUSTID|XAUTOCLAIM k a member 0 id COUNT small|XINFO STREAM none
"""
GENERIC = """
    DEL any|UNLINK any any|EXISTS any any any|TYPE any|TOUCH any any|RENAME any any|RENAMENX any any|COPY any any
    COPY any any REPLACE|EXPIRE any 1000|EXPIRE any 1000 NX|EXPIREAT any far|EXPIREAT any far GT|EXPIREAT any far LT
    EXPIREAT any far XX|EXPIREAT any 1|PEXPIREAT any 1000|PEXPIRE any 1000000|EXPIRE any past|TTL any|EXPIRETIME any
    PERSIST any|KEYS *|KEYS glob|DBSIZE|RANDOMKEY|SCAN 0 COUNT 100000|SCAN 0 MATCH glob COUNT 100000
    SCAN 0 TYPE set COUNT 100000|SORT any ALPHA|SORT any ALPHA STORE k|SORT any LIMIT offset offset DESC ALPHA|MOVE any 1
    COPY any any DB 1|COPY any any DB 1 REPLACE|WATCH any|UNWATCH|PING
"""
RARE = "FLUSHDB|FLUSHALL ASYNC|SELECT 1|SELECT 0|SELECT 0|SWAPDB 0 1|NOSUCH any|GET|EXEC|DISCARD|SET k value EX 0"


def templates(text):
    return [template.split() for line in text.strip().splitlines() for template in line.strip().split("|")]


FAMILIES = [("string", templates(STRINGS), 20), ("hash", templates(HASHES), 17), ("list", templates(LISTS), 17),
            ("set", templates(SETS), 17), ("zset", templates(ZSETS), 22), ("stream", templates(STREAMS), 17),
            ("string", templates(GENERIC), 9), ("string", templates(RARE), 0.2)]


class Words:
    """What stands in place of the words of a template."""

    VALUES = [b"", b"a", b"abc", b"hello world", b"\xfe\x00\r\n", b"x" * 70, b"0", b"-1", b"007", b"3.14", b"1e3",
              b"y" * 2500]
    MEMBERS = [b"a", b"b", b"c", b"d", b"", b"\x01", b"\xff", b"1", b"2", b"-7", b"m" * 66, b"1.5"]
    SCORES = [b"0", b"1", b"2", b"-1", b"1.5", b"0.1", b"1e20", b"inf", b"-inf", b"3", b"nan", b"x", b"1e-5"]
    BOUNDS = [b"-inf", b"+inf", b"0", b"(0", b"1", b"(1", b"2", b"(2", b"-1", b"1.5", b"x"]
    LEXES = [b"-", b"+", b"[a", b"(a", b"[b", b"(c", b"[", b"[d", b"(1", b"x"]
    NUMBERS = [b"0", b"1", b"2", b"10", b"-3", b"100000", b"9223372036854775807", b"-9223372036854775808", b"x", b"70000"]
    FLOATS = [b"0.1", b"1.5", b"-2.25", b"1e10", b"3", b"-0.1", b"nan", b"x", b"1e300"]
    INDEXES = [b"0", b"1", b"2", b"3", b"5", b"-1", b"-2", b"-4", b"10", b"-20"]

    def __init__(self, source):
        self.source = source
        self.kind = "string"
        self.stamps = 0

    def k(self):
        """A key that should have the type of the command."""
        return self.any() if self.source.random() < 0.06 else self.source.choice(KEYS[self.kind])

    def any(self):
        return self.source.choice(ALL_KEYS)

    def equal(self):
        return self.source.choice(LEX_KEYS)

    def value(self):
        if self.source.random() < 0.3:
            return b"v%d" % self.source.randrange(300)
        return self.source.choice(self.VALUES[:-1] if self.source.random() < 0.97 else self.VALUES)

    def field(self):
        return self.member()

    def member(self):
        if self.source.random() < 0.4:
            return b"m%d" % self.source.randrange(200)
        return self.source.choice(self.MEMBERS)

    def small(self):
        return b"%d" % self.source.randrange(-5, 60)

    def score(self):
        return b"%d" % self.source.randrange(-5, 30) if self.source.random() < 0.5 else self.source.choice(self.SCORES)

    def bound(self):
        return self.score() if self.source.random() < 0.3 else self.source.choice(self.BOUNDS)

    def lex(self):
        return self.source.choice(self.LEXES)

    def number(self):
        return self.source.choice(self.NUMBERS)

    def float(self):
        return self.source.choice(self.FLOATS)

    def index(self):
        return self.source.choice(self.INDEXES)

    def offset(self):
        return b"%d" % self.source.choice([0, 1, 2, 3, 5, 8, 20, 33, 100])

    def stamp(self):
        """An id that grows, so that most streams can have it."""
        self.stamps += self.source.randrange(2)
        return b"1-%d" % self.stamps

    def id(self):
        return b"1-%d" % max(0, self.stamps - self.source.randrange(60))

    def bit(self):
        return self.source.choice([b"0", b"1"])

    def operation(self):
        return self.source.choice([b"AND", b"OR", b"XOR", b"NOT"])

    def width(self):
        """The type of a bit field."""
        kind = self.source.choice(["i", "u"])
        return f"{kind}{self.source.choice([1, 2, 5, 8, 13, 31, 32, 47, 62, 63, 64])}".encode()

    def place(self):
        """The offset of a bit field."""
        return f"{self.source.choice(['', '#'])}{self.source.randrange(0, 70)}".encode()

    def excess(self):
        # FAIL is in the tables: a string that grows for nothing has changed for WATCH, but not in Redis 7.0.
        return self.source.choice([b"WRAP", b"SAT"])

    def amount(self):
        return self.small() if self.source.random() < 0.5 else self.number()

    def far(self):
        return self.source.choice(FAR)

    def past(self):
        return self.source.choice(PAST)

    def glob(self):
        return self.source.choice([b"*", b"m1*", b"[abc]", b"set?", b"*1", b"?", b"", b"z*[02]"])

    def filled(self, template):
        for word in template:
            many = word.endswith("*") and len(word) > 1
            make = getattr(self, word.rstrip("*"), None) if word.islower() and word.rstrip("*").isalpha() else None
            if make is None:
                yield word.encode()
                continue
            for _ in range(self.source.randrange(1, 5) if many else 1):
                yield make()


def random_commands(source, count):
    """Lists of words; some in transactions."""
    words = Words(source)
    families = [family[:2] for family in FAMILIES]
    weights = [family[2] for family in FAMILIES]
    left_in_transaction = 0
    for _ in range(count):
        if left_in_transaction == 0 and source.random() < 0.01:
            left_in_transaction = source.randrange(2, 12)
            yield [b"MULTI"]
            continue
        if left_in_transaction == 1:
            left_in_transaction = 0
            yield [b"DISCARD" if source.random() < 0.1 else b"EXEC"]
            continue
        left_in_transaction = max(0, left_in_transaction - 1)
        words.kind, choices = source.choices(families, weights)[0]
        if choices is families[-2][1] or choices is families[-1][1]:
            words.kind = source.choice(list(KEYS))
        yield list(words.filled(source.choice(choices)))


MARKS = {
    b"SMEMBERS": "@sorted", b"SINTER": "@sorted", b"SUNION": "@sorted", b"SDIFF": "@sorted", b"SPOP": "@sorted",
    b"HKEYS": "@sorted", b"HVALS": "@sorted", b"KEYS": "@sorted", b"HGETALL": "@pairs", b"SRANDMEMBER": "@shape",
    b"HRANDFIELD": "@shape", b"ZRANDMEMBER": "@shape", b"RANDOMKEY": "@shape", b"TTL": "@near", b"EXPIRETIME": "@near",
    b"SCAN": "@sorted", b"SSCAN": "@sorted", b"HSCAN": "@pairs", b"ZSCAN": "@pairs",
}


def marks_of(words):
    mark = MARKS.get(words[0])
    return {mark: str(APART)} if mark else {}
