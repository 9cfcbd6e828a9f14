"""Seeded random commands, kill -9 and a restart: under always all keys have exactly the same values and expiry times."""

import random
import time

import pytest

from lib.random_commands import Words, random_commands
from lib.resp import Error, encode
from lib.wait import wait_until
from test_random_differential import CONTENTS, replies_of

ROUNDS = 12
COMMANDS_A_ROUND = 1500
BATCH = 100
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")

# Commands that are logged in another form, and keys that expire during other commands.
MORE = """
    SPOP k|SPOP k offset|HINCRBYFLOAT k field float|INCRBYFLOAT k float|ZADD k -0 member|ZINCRBY k -0 member|SET k value PX 2
    SET k number PX 1|PEXPIRE any 1|PEXPIRE any 3|GETEX k PX 2|APPEND k value|INCR k|SADD k member* small*|LPUSH k value*
    HSET k field value field value|ZADD k score member score member|SORT any ALPHA STORE k|BLPOP k k 0.001|BRPOP k 0.001
    BLMOVE k k LEFT RIGHT 0.001|BLMPOP 0.001 2 k k LEFT COUNT offset|BZPOPMIN k 0.001|BZMPOP 0.001 2 k k MAX COUNT offset
    ZUNIONSTORE k 2 any k|SINTERSTORE k any k|SUNIONSTORE k any k|ZRANGESTORE k k bound bound BYSCORE|PERSIST any
    COPY any any DB 1 REPLACE|MOVE any 1|RENAME any any|LMPOP 2 k k LEFT COUNT offset|ZMPOP 2 k k MIN COUNT offset
    SELECT 0|SELECT 1|SWAPDB 0 1|SETRANGE k offset value|SETBIT k offset bit|BITCOUNT k
"""
KINDS = ("string", "hash", "list", "set", "zset", "stream")


def commands_of(source, count):
    """Those of the differential test, with some of these among them."""
    words = Words(source)
    more = [template.split() for line in MORE.strip().splitlines() for template in line.strip().split("|")]
    for command in random_commands(source, count):
        yield command
        if source.random() < 0.3:
            words.kind = source.choice(KINDS)
            yield list(words.filled(source.choice(more)))


def state(daemon):
    """{(database, key): (type, time of expiry, the reply with its contents)}"""
    client = daemon.client()
    found = {}
    for database in (0, 1):
        client.ok("SELECT", database)
        keys = sorted(client.call("KEYS", "*"))
        for key in keys:
            kind = client.call("TYPE", key)
            expiry = client.call("PEXPIRETIME", key)
            if kind == b"none":
                continue
            value = replies_of(client, [[CONTENTS[kind][0], key, *CONTENTS[kind][1:]]])[0]
            if kind in (b"set", b"hash"):
                client.send(encode(CONTENTS[kind][0], key))
                value = client.read_value()
                pairs = zip(value[::2], value[1::2]) if kind == b"hash" else value
                value = sorted(pairs)
            elif kind == b"zset":  # a small one has no -0, as in Redis, and a large one may be small when it is read
                value = value.replace(b"$2\r\n-0\r\n", b"$1\r\n0\r\n")
            found[database, key] = (kind, expiry, value)
    return found


def lasting(keys):
    """Those that will not end while they are compared."""
    end = (time.time() + 600) * 1000
    return {name: key for name, key in keys.items() if key[1] == -1 or key[1] > end}


def send(clients, source, commands):
    commands = list(commands)
    while commands:
        client = source.choice(clients)
        some, commands = commands[:BATCH], commands[BATCH:]
        replies_of(client, some)


def rewrite_some(daemon, source):
    """Begun, and at times also waited for."""
    client = daemon.client()
    if source.random() < 0.5:
        before = int(client.info("persistence")["aof_rewrites"])
        reply = client.call("BGREWRITEAOF")
        assert not isinstance(reply, Error), reply
        if source.random() < 0.5:
            wait_until(lambda: int(client.info("persistence")["aof_rewrites"]) > before, "rewritten")


@pytest.mark.parametrize("seed", range(3))
def test_random_commands_leave_the_same_keys_after_kill_9(start_fanfared, seed):
    source = random.Random(seed)
    daemon = start_fanfared(*ALWAYS)
    for number in range(ROUNDS):
        clients = [daemon.client() for _ in range(3)]
        send(clients, source, commands_of(source, COMMANDS_A_ROUND // 2))
        rewrite_some(daemon, source)
        send(clients, source, commands_of(source, COMMANDS_A_ROUND // 2))
        for client in clients:
            client.call("DISCARD")
        before = lasting(state(daemon))
        daemon.kill()
        daemon.start()
        after = lasting(state(daemon))
        for name in sorted(before.keys() | after.keys()):
            assert before.get(name) == after.get(name), f"seed {seed}, round {number}, {name}"
        assert "could not be carried out" not in daemon.log(), f"seed {seed}, round {number}"
