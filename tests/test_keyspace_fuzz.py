"""Hostile commands on few keys, from short-lived clients: no crash, no hang, and the file has the same keys as memory."""

import os
import random
import select
import socket
import struct
import time

import pytest

from lib.random_commands import ALL_KEYS, KEYS, LEX_KEYS, random_commands
from lib.resp import Closed, Connection, encode
from lib.wait import SLOW, seconds, wait_until
from test_random_differential import contents

# More of both by hand: FANFARE_FUZZ_ROUNDS=5000 FANFARE_FUZZ_SEED=7.
ROUNDS = int(os.environ.get("FANFARE_FUZZ_ROUNDS", "100"))
SEED = int(os.environ.get("FANFARE_FUZZ_SEED", "1"))
COMMANDS_A_ROUND = 100
CLIENTS = 6

# Very loose: the machine is shared, and there are sanitizers.
PING_S = 2 * SLOW

# They end the daemon or make it wait, as they should; or the test would be locked out.
LEFT_OUT = {b"shutdown", b"client", b"config", b"acl", b"auth", b"debug", b"lame-duck"}

NUMBERS = [b"0", b"-0", b"-1", b"1", b"2", b"7", b"-2147483649", b"2147483647", b"2147483648", b"4294967295", b"4294967296",
           b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"18446744073709551615", b"1e400",
           b"-1e400", b"1e308", b"4e-324", b"nan", b"inf", b"+inf", b"-inf", b"-nan", b"0x10", b"1.5", b"007", b" 1", b"1 ",
           b"(1", b"(-inf", b"(", b"4294967295999", b"1048575", b"8388607", b"33554432", b"-1048576", b"1" * 200,
           b"9" * 5000, b"0." + b"3" * 400]
STRINGS = [b"", b"a", b"\0", b"\xff\xfe\0\r\n", b"[a", b"(a", b"-", b"+", b"[", b"[\xff", b"*", b"*a*a*a*b", b"[", b"[^", b"\\",
           b"[a-", b"w_*", b"h*->f", b"#", b"x" * 64, b"x" * 65, b"y" * 300, b"m1", b"m2", b"%s%n", b"v1"]
LONG = [b"z" * 65536, b"a" * 65536, bytes(range(256)) * 256, b"*a" * 1000, b"[" * 60000]
OPTIONS = [b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR", b"LIMIT", b"WITHSCORES", b"BYSCORE", b"BYLEX", b"REV", b"STORE", b"BY",
           b"GET", b"DESC", b"ALPHA", b"COUNT", b"MATCH", b"TYPE", b"LEFT", b"RIGHT", b"MIN", b"MAX", b"BEFORE", b"AFTER", b"EX",
           b"PX", b"EXAT", b"PXAT", b"KEEPTTL", b"PERSIST", b"REPLACE", b"DB", b"WEIGHTS", b"AGGREGATE", b"SUM", b"RANK",
           b"MAXLEN", b"IDX", b"LEN", b"MINMATCHLEN", b"WITHMATCHLEN", b"WITHVALUES", b"BIT", b"BYTE", b"ASYNC", b"ENCODING",
           b"USAGE", b"SAMPLES", b"HELP", b"FREQ"]

# As in lib.random_commands, plus the commands with more than one correct reply.
MORE = """
    BLPOP key key 0|BLPOP key key time|BRPOP key time|BLMOVE key key LEFT RIGHT time|BLMPOP time 2 key key LEFT COUNT number
    BRPOPLPUSH key key time|BZPOPMIN key key time|BZPOPMAX key time|BZMPOP time 2 key key MAX COUNT number
    BLMOVE key key RIGHT RIGHT 0|BLPOP key key key 0|BZPOPMIN key key 0
    PEXPIRE key short|PEXPIRE key short|SET key string PX short|GETEX key PX short|PSETEX key short string
    PEXPIREAT key number|EXPIRE key number NX|EXPIREAT key number GT|SPOP key|SPOP key number|RPUSH key string string string
    SADD key string string number|HSET key string string number number|ZADD key number string number number
    SRANDMEMBER key number|HRANDFIELD key number WITHVALUES|ZRANDMEMBER key number WITHSCORES|ZQUERY key number string number number
    SORT key BY string GET string GET # LIMIT number number STORE key|SORT key BY nosort STORE key|SORT key ALPHA GET string
    OBJECT ENCODING key|OBJECT FREQ key|OBJECT IDLETIME key|MEMORY USAGE key SAMPLES number|SCAN number MATCH string COUNT number
    HSCAN key number MATCH string COUNT number|ZSCAN key number COUNT number|SSCAN key number COUNT number
    XADD key * string string|XADD key MAXLEN number * string string string string|XADD key MINID number number string string
    XADD key MAXLEN = short * string string|XADD key NOMKSTREAM MAXLEN ~ number LIMIT number * string string|XADD key stamp string string
    XADD key stamp string string|XRANGE key number number COUNT number|XREVRANGE key + - COUNT short|XDEL key stamp stamp stamp|XLEN key
    XTRIM key MAXLEN number|XTRIM key MINID ~ stamp LIMIT number|XSETID key number ENTRIESADDED number MAXDELETEDID number
    XREAD COUNT number BLOCK short STREAMS key key stamp $|XREAD BLOCK 0 STREAMS key $|XGROUP CREATE key a number MKSTREAM
    XGROUP CREATE key a 0 MKSTREAM ENTRIESREAD number|XGROUP CREATE key - $|XGROUP DESTROY key a|XGROUP SETID key a number ENTRIESREAD number
    XGROUP CREATECONSUMER key a string|XGROUP DELCONSUMER key a m1|XREADGROUP GROUP a m1 COUNT short STREAMS key >
    XREADGROUP GROUP a string COUNT number BLOCK short STREAMS key >|XREADGROUP GROUP a m1 BLOCK 0 STREAMS key key > >
    XREADGROUP GROUP a m1 NOACK STREAMS key >|XREADGROUP GROUP a m1 COUNT number STREAMS key number|XACK key a stamp stamp number
    XPENDING key a IDLE number number number number string|XPENDING key a|XCLAIM key a m2 number stamp stamp number
    XCLAIM key a m1 0 stamp stamp RETRYCOUNT number FORCE|XCLAIM key a string 0 stamp IDLE number LASTID number JUSTID FORCE
    XAUTOCLAIM key a m1 0 number COUNT number|XAUTOCLAIM key a m2 number 0 JUSTID|XINFO STREAM key FULL COUNT number|XINFO GROUPS key
    XINFO CONSUMERS key a|XINFO STREAM key
    SETRANGE key offset string|SETBIT key offset 1|GETRANGE key number number|BITCOUNT key number number BIT
    BITPOS key 1 number number BIT|LCS key key IDX MINMATCHLEN number|LPOS key string RANK number COUNT number MAXLEN number
    COPY key key DB database REPLACE|MOVE key database|SWAPDB database database|SELECT database|SELECT 0
    ZUNIONSTORE key number key key WEIGHTS number number AGGREGATE MAX|ZINTERSTORE key 2 key key WEIGHTS number number
    ZADD key INCR number string|ZINCRBY key number string|INCRBYFLOAT key number|HINCRBYFLOAT key string number|INCRBY key number
    HINCRBY key string number|ZRANGESTORE key key number number BYSCORE LIMIT number number|SINTERCARD number key key LIMIT number
    ZRANGE key number number BYSCORE REV LIMIT number number|ZREMRANGEBYRANK key number number|LTRIM key number number
    ZREMRANGEBYSCORE key number number|ZREMRANGEBYLEX key string string|LREM key number string|LINSERT key BEFORE string string
    LSET key number string|WATCH key key|UNWATCH|MULTI|EXEC|EXEC|DISCARD|RENAME key key|GETDEL key
    CLIENT KILL ID id|CLIENT UNBLOCK id|CLIENT UNBLOCK id ERROR|CLIENT LIST|CLIENT NO-EVICT on|CLIENT NO-TOUCH on|CLIENT REPLY SKIP
    HELLO 3|HELLO 2|RESET|SUBSCRIBE __keyevent@0__:set|PSUBSCRIBE __key*|PUNSUBSCRIBE|UNSUBSCRIBE|INFO|MEMORY STATS|SLOWLOG GET number
    FLUSHALL|FLUSHDB ASYNC|BGREWRITEAOF|DBSIZE|KEYS string|RANDOMKEY|OBJECT REFCOUNT key|COMMAND GETKEYS SORT key STORE key
"""
RARE = {b"FLUSHALL", b"FLUSHDB", b"BGREWRITEAOF", b"RESET", b"SWAPDB", b"MEMORY", b"INFO", b"MULTI", b"bgrewriteaof", b"bgsave",
        b"save", b"flushall", b"flushdb", b"monitor", b"quit", b"lolwut", b"command"}
TEMPLATES = [template.split() for line in MORE.strip().splitlines() for template in line.strip().split("|")]

SETTINGS = {
    "hash-max-listpack-entries": [0, 1, 4, 512], "hash-max-listpack-value": [0, 8, 64], "set-max-intset-entries": [0, 3, 512],
    "set-max-listpack-entries": [0, 3, 128], "set-max-listpack-value": [0, 8, 64], "list-max-listpack-size": [-5, -1, 0, 1, 3],
    "zset-max-listpack-entries": [0, 3, 128], "zset-max-listpack-value": [0, 8, 64],
    "stream-node-max-bytes": [0, 1, 100, 4096], "stream-node-max-entries": [0, 1, 3, 100],
    "maxmemory": [0, 0, "3mb", "10mb"], "maxmemory-samples": [1, 5, 64],
    "maxmemory-policy": ["noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
                         "volatile-random", "volatile-ttl"],
    "notify-keyspace-events": ["", "KEA", "KEAmn", "Kg$x"], "appendonly": ["yes", "yes", "no"],
    "appendfsync": ["no", "everysec", "always"], "proto-max-bulk-len": ["1mb", "8mb"], "lfu-log-factor": [0, 10],
}


class Hostile:
    """Commands from one source of chance."""

    def __init__(self, source, commands):
        self.source = source
        self.commands = commands

    def key(self):
        return self.source.choice(ALL_KEYS + LEX_KEYS)

    def string(self):
        return self.source.choice(LONG if self.source.random() < 0.01 else STRINGS)

    def number(self):
        return self.source.choice(NUMBERS) if self.source.random() < 0.6 else b"%d" % self.source.randrange(-9, 30)

    def offset(self):
        return self.source.choice(NUMBERS) if self.source.random() < 0.1 else b"%d" % self.source.randrange(20000)

    def short(self):
        return b"%d" % self.source.randrange(1, 40)

    def stamp(self):
        return b"%d-%d" % (self.source.randrange(3), self.source.randrange(100))

    def time(self):
        return self.source.choice([b"0.001", b"0.01", b"0", b"0.0000001", b"1e300", b"-1", b"1"])

    def database(self):
        return self.source.choice([b"0", b"1", b"2"])

    def id(self):
        return b"%d" % self.source.randrange(1, 80)

    def anything(self):
        chance = self.source.random()
        if chance < 0.35:
            return self.key()
        if chance < 0.6:
            return self.number()
        return self.string() if chance < 0.8 else self.source.choice(OPTIONS)

    def from_template(self):
        return [getattr(self, word)() if hasattr(self, word) else word.encode() for word in self.source.choice(TEMPLATES)]

    def from_nothing(self):
        return [self.source.choice(self.commands)] + [self.anything() for _ in range(self.source.choice([0, 1, 2, 3, 4, 5, 6, 9, 30]))]

    def altered(self, words):
        """One argument is another, is there twice, is left out, or more follow."""
        at = self.source.randrange(len(words))
        change = self.source.randrange(5)
        if change == 0 and at > 0:
            words[at] = self.anything()
        elif change == 1:
            words.insert(at, words[at])
        elif change == 2 and len(words) > 1:
            del words[max(1, at)]
        elif change == 3:
            words += [self.source.choice(OPTIONS), self.number()]
        elif at > 0:
            words[at] = self.number()
        return words

    def batch(self):
        made = []
        for words in random_commands(self.source, COMMANDS_A_ROUND):
            chance = self.source.random()
            if chance < 0.4:
                words = self.from_template()
            elif chance < 0.6:
                words = self.from_nothing()
            if self.source.random() < 0.25:
                words = self.altered(words)
            if words[0] not in RARE or self.source.random() < 0.05:
                made.append(words)
        return made


class Client:
    """A client that reads any reply, and may be closed at any time."""

    def __init__(self, address):
        self.address = address
        self.socket = None

    def leave(self, with_reset):
        if self.socket is None:
            return
        if with_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.socket = None

    def drain(self):
        """False: it was closed."""
        try:
            while self.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def send(self, data):
        """All, or it is gone: one that waits for a key may be read no more, and then not even its FIN."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=seconds(10))
            self.socket.setblocking(False)
        end = time.monotonic() + 0.2
        while data and time.monotonic() < end:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 0.1)
            if readable and not self.drain():
                self.leave(False)
                return
            try:
                data = data[self.socket.send(data):] if writable else data
            except OSError:
                self.leave(False)
                return
        if data:
            self.leave(True)

    def read(self):
        if self.socket is not None and not self.drain():
            self.leave(False)


class Admin:
    """One that looks whether all is well; it may be killed as well."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.connection = None

    def call(self, *words):
        for _ in range(10):
            try:
                if self.connection is None:
                    self.connection = Connection(self.daemon.address, timeout=10)
                return self.connection.call(*words)
            except (Closed, BrokenPipeError, ConnectionResetError):
                self.connection.close()
                self.connection = None
        raise AssertionError(f"killed again and again, running: {self.daemon.is_running()}\n{self.daemon.log()[-4000:]}")

    def ping_seconds(self):
        began = time.monotonic()
        assert self.call("PING") == b"PONG"
        return time.monotonic() - began


def words_of(batch):
    return "\n".join(repr([word if len(word) < 80 else word[:20] + b"..." for word in words]) for words in batch)


def free_waiting(admin, source):
    """Unblocks most of the blocked clients, because otherwise all would soon be blocked."""
    for line in admin.call("CLIENT", "LIST").split(b"\n"):
        fields = dict(field.partition(b"=")[::2] for field in line.split(b" "))
        if b"b" in fields.get(b"flags", b"") and source.random() < 0.8:
            admin.call("CLIENT", "UNBLOCK", fields[b"id"], source.choice(["TIMEOUT", "ERROR"]))


def attack(daemon, source, rounds):
    admin = Admin(daemon)
    names = sorted(name for name in admin.call("COMMAND", "LIST") if name.lower() not in LEFT_OUT)
    hostile = Hostile(source, names)
    clients = [Client(daemon.address) for _ in range(CLIENTS)]
    for _ in range(rounds):
        client, batch = source.choice(clients), hostile.batch()
        client.send(b"".join(encode(*words) for words in batch))
        if source.random() < 0.3:
            setting = source.choice(list(SETTINGS))
            admin.call("CONFIG", "SET", setting, source.choice(SETTINGS[setting]))
        took = admin.ping_seconds()
        assert took < PING_S, f"PING took {took} s, last {admin.call('INFO', 'commandstats')}\nafter\n{words_of(batch)}"
        free_waiting(admin, source)
        for other in clients:
            other.read()
        if source.random() < 0.15:
            source.choice(clients).leave(source.random() < 0.5)
    for client in clients:
        client.leave(True)
    return admin


def without_minus_zero(kind, value, time_of_expiry):
    """A score of -0 becomes 0 in the packed form, as in Redis; and which form it is, the settings say."""
    if kind == b"zset":
        value = (value[0], [(b"$", b"0") if item == (b"$", b"-0") else item for item in value[1]])
    return kind, value, time_of_expiry


def settled_contents(client):
    """Of all databases that the clients use, without keys that are about to expire."""
    kept = {}
    for database in range(3):
        client.ok("SELECT", database)
        for key in client.call("KEYS", "*"):
            if client.call("PTTL", key) != -1:
                client.call("DEL", key)
        kept[database] = {key: without_minus_zero(*held) for key, held in contents(client, database).items()}
    client.ok("SELECT", 0)
    return kept


def is_written(figures):
    return figures["aof_rewrite_in_progress"] == figures["aof_rewrite_scheduled"] == "0"


@pytest.mark.parametrize("threads", [1, 4])
def test_hostile_commands_do_no_harm(start_fanfared, threads):
    options = ("--proto-max-bulk-len", "1mb", "--appendonly", "yes", "--appendfsync", "no", "--enable-debug-command", "no")
    daemon = start_fanfared("--io-threads", threads, "--notify-keyspace-events", "KEA", *options)
    admin = attack(daemon, random.Random(SEED * 10 + threads), ROUNDS)
    wait_until(lambda: len(admin.connection.client_list()) == 1 if admin.call("PING") else False, "all others have gone")
    assert int(admin.connection.info("clients")["blocked_clients"]) == 0
    for setting, value in (("maxmemory", 0), ("appendonly", "yes"), ("notify-keyspace-events", "")):
        admin.call("CONFIG", "SET", setting, value)
    wait_until(lambda: is_written(admin.connection.info("persistence")), "no rewrite runs or is to run")
    before = settled_contents(admin.connection)
    admin.connection.close()
    daemon.stop()
    again = start_fanfared(*options)
    after = settled_contents(again.client())
    for database, keys in before.items():
        for key in keys.keys() | after[database].keys():
            mine, other = after[database].get(key), keys.get(key)
            assert mine == other, f"{key!r} of {database}\n  loaded {repr(mine)[:800]}\n  before {repr(other)[:800]}\n{daemon.log()}"
