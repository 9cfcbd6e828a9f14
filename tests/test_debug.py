"""DEBUG ERROR, PROTOCOL, DIGEST, DIGEST-VALUE and RELOAD reply with the bytes of redis-server."""

import random
import select
import signal
import time

import pytest

from lib.random_commands import ALL_KEYS, LEX_KEYS, random_commands
from lib.resp import encode
from test_differential import make_values_large

DEBUG = ("--enable-debug-command", "yes")
TYPES = "string integer double bignum null array set map attrib push verbatim true false".split()
LINES = [
    *(("PROTOCOL", kind) for kind in [*TYPES, "MAP", "nosuch", ""]), ("PROTOCOL",), ("PROTOCOL", "map", "x"),
    ("ERROR", "LOADING x"), ("ERROR", "a\r\nb\n"), ("ERROR", ""), ("ERROR", "x" * 2000), ("ERROR",), ("ERROR", "a", "b"),
    ("DIGEST",), ("DIGEST", "x"), ("DIGEST-VALUE",), ("DIGEST-VALUE", "nosuch"), ("digest-value", "a", "a"), ("NOSUCH",),
    ("NOSUCH", "x"), ("SLEEP",), ("SLEEP", "0"), ("SLEEP", "0", "0"), ("OBJECT",), ("SET-ACTIVE-EXPIRE",), (),
]


def raw(connection, *words):
    """The bytes of all replies to DEBUG, which may send a push before its reply."""
    connection.send(encode("DEBUG", *words) + encode("ECHO", "end"))
    replies = []
    while not replies or replies[-1] != b"$3\r\nend\r\n":
        replies.append(connection.read_raw())
    return replies


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
def test_the_same_input_gives_the_same_bytes(start_redis, start_fanfared, version):
    redis, fanfared = (start(*DEBUG).client(version) for start in (start_redis, start_fanfared))
    for words in LINES:
        assert raw(fanfared, *words) == raw(redis, *words), words
    assert "errorstat_LOADING" not in fanfared.info("errorstats")


@pytest.mark.parametrize("form", ["packed", "large"])
def test_the_digests_of_the_same_keys_are_the_same(start_redis, start_fanfared, form):
    servers = [start(*DEBUG) for start in (start_redis, start_fanfared)]
    if form == "large":
        for server in servers:
            make_values_large(server)
    clients, looks = ([server.client() for server in servers] for _ in range(2))
    seen = set()
    commands = list(random_commands(random.Random(form), 6000))
    for start in range(0, len(commands), 1000):
        for client in clients:
            client.send(b"".join(encode(*words) for words in commands[start:start + 1000]))
            for _ in range(1000):
                client.read_raw()
        # Of one key after the other, so that a difference is named.
        for key in ALL_KEYS + LEX_KEYS:
            [theirs], [ours] = (look.call("DEBUG", "DIGEST-VALUE", key) for look in looks)
            assert ours == theirs, key
        theirs, ours = (look.call("DEBUG", "DIGEST") for look in looks)
        assert ours == theirs
        seen.add(ours)
        for look in looks:
            look.ok("DEBUG", "RELOAD")
            assert look.call("DEBUG", "DIGEST") == ours
    assert len(seen) > 3


def test_a_reload_keeps_databases_times_and_what_is_logged(start_fanfared):
    server = start_fanfared(*DEBUG, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "allkeys-lru")
    with server.client() as client:
        client.call("SET", "a", "b", "PX", "9999999")
        client.ok("SELECT", "3")
        client.call("RPUSH", "l", *range(1000))
        client.call("XADD", "x", "1-1", "f", "v")
        client.call("XGROUP", "CREATE", "x", "g", "0")
        client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">")
        before = client.call("DEBUG", "DIGEST"), client.call("XPENDING", "x", "g"), client.call("PEXPIRETIME", "a")
        size = client.info("persistence")["aof_current_size"]
        client.ok("DEBUG", "RELOAD")
        assert (client.call("DEBUG", "DIGEST"), client.call("XPENDING", "x", "g"), client.call("PEXPIRETIME", "a")) == before
        assert client.info("persistence")["aof_current_size"] == size
        client.ok("MULTI")
        client.call("SET", "later", "1")
        client.call("DEBUG", "RELOAD")
        done, refused = client.call("EXEC")
        assert done == b"OK" and b"transaction" in refused.text
        before = client.call("DEBUG", "DIGEST")
    server.kill()
    server.start()
    with server.client() as client:
        assert client.call("DEBUG", "DIGEST") == before


def test_a_signal_does_not_end_sleep(start_fanfared):
    server = start_fanfared(*DEBUG)
    with server.client() as client:
        begun = time.monotonic()
        client.command("DEBUG", "SLEEP", "0.4")
        while not select.select([client.socket], [], [], 0.02)[0]:
            server.process.send_signal(signal.SIGHUP)
        assert client.read_value() == b"OK"
        assert time.monotonic() - begun >= 0.4
