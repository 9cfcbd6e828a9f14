"""The keyspace as a whole: KEYS and SCAN over very many keys, moved keys, DEBUG, LCS, SORT and their access rules."""

import time

import pytest

from lib.pinger import Pinger
from lib.resp import Error, encode, error
from lib.wait import wait_until

MANY = 500000


def put_many(connection, count):
    for at in range(0, count, 10000):
        words = [b"MSET"]
        for n in range(at, at + 10000):
            words += [b"key:%d" % n, b"v"]
        assert connection.call(*words) == b"OK"


@pytest.fixture
def crowded(fanfared):
    put_many(fanfared.connect(timeout=60), MANY)
    return fanfared


def raw_names(connection):
    """The answer to KEYS, read quicker than a value at a time."""
    count = int(connection.read_line()[1:])
    names = []
    for _ in range(count):
        names.append(connection.read_exactly(int(connection.read_line()[1:]) + 2)[:-2])
    return names


def test_keys_over_very_many_stalls_nobody(crowded):
    asking = crowded.connect(timeout=60)
    with Pinger(crowded) as pinger:
        asking.command("KEYS", "key:1234*")
        first = raw_names(asking)
        for _ in range(3):
            asking.command("KEYS", "nosuch*")
            assert raw_names(asking) == []
    pinger.assert_no_stall()
    assert sorted(first) == sorted(b"key:%d" % n for n in range(MANY) if str(n).startswith("1234"))


def test_keys_names_each_key_once_while_others_come(crowded):
    asking, other = crowded.connect(timeout=60), crowded.connect(timeout=60)
    asking.command("KEYS", "key:*")
    for n in range(2000):
        assert other.call("SET", b"new:%d" % n, "v") == b"OK"
    names = raw_names(asking)
    assert len(names) == MANY and len(set(names)) == MANY


def test_who_leaves_in_the_middle_of_keys_leaves_nothing(crowded):
    asking = crowded.connect(timeout=60)
    asking.command("KEYS", "*")
    asking.close()
    other = crowded.connect()
    assert other.call("PING") == b"PONG"
    assert other.call("DBSIZE") == MANY


def test_keys_in_a_transaction_are_those_of_that_moment(crowded):
    client = crowded.connect(timeout=60)
    client.send(encode("MULTI") + encode("SET", "x", "1") + encode("KEYS", "x*") + encode("DEL", "x") + encode("EXEC"))
    assert [client.read_value() for _ in range(4)] == [b"OK"] + [b"QUEUED"] * 3
    assert client.read_value() == [b"OK", [b"x"], 1]


def test_scan_sees_all_that_is_there_all_the_time(crowded):
    client, other = crowded.connect(timeout=60), crowded.connect(timeout=60)
    seen = set()
    cursor, steps = b"0", 0
    while steps == 0 or cursor != b"0":
        cursor, names = client.call("SCAN", cursor, "COUNT", 2000)
        seen.update(names)
        # The table shrinks and grows meanwhile.
        if steps < 100:
            at = steps * 3000
            assert other.call("DEL", *(b"key:%d" % n for n in range(at, at + 3000))) == 3000
        steps += 1
    assert seen >= {b"key:%d" % n for n in range(300000, MANY)}


def test_random_key_is_any_key(fanfared):
    client = fanfared.connect()
    for n in range(10):
        client.call("SET", b"%d" % n, "v")
    assert {client.call("RANDOMKEY") for _ in range(300)} == {b"%d" % n for n in range(10)}


@pytest.mark.parametrize("words", [["RENAME", "other", "l"], ["RENAMENX", "other", "l"], ["COPY", "other", "l"]])
def test_who_waits_for_a_list_gets_one_that_is_renamed_or_copied(fanfared, words):
    waiting, other = fanfared.connect(), fanfared.connect()
    waiting.command("BLPOP", "l", "0")
    wait_until(lambda: other.info("clients")["blocked_clients"] == "1", "it waits")
    assert other.call("RPUSH", "other", "a", "b") == 2
    other.call(*words)
    assert waiting.read_value() == [b"l", b"a"]


@pytest.mark.parametrize("words", [["MOVE", "l", "1"], ["SWAPDB", "0", "1"], ["COPY", "l", "l", "DB", "1"]])
def test_who_waits_for_a_list_gets_one_from_another_database(fanfared, words):
    waiting, other = fanfared.connect(), fanfared.connect()
    assert waiting.call("SELECT", "1") == b"OK"
    waiting.command("BLPOP", "l", "0")
    wait_until(lambda: other.info("clients")["blocked_clients"] == "1", "it waits")
    assert other.call("RPUSH", "l", "a", "b") == 2
    other.call(*words)
    assert waiting.read_value() == [b"l", b"a"]


@pytest.mark.parametrize("words", [["RENAME", "other", "k"], ["COPY", "other", "k", "REPLACE"], ["SWAPDB", "0", "1"]])
def test_a_watched_key_that_is_replaced_was_changed(server, words):
    client, other = server.connect(), server.connect()
    client.call("MSET", "k", "1", "other", "2")
    assert client.call("WATCH", "k") == b"OK"
    other.call(*words)
    assert client.call("MULTI") == b"OK"
    assert client.call("PING") == b"QUEUED"
    assert client.call("EXEC") is None


@pytest.mark.parametrize("words, events", [
    (["RENAME", "s", "t"], [b"new", b"rename_from", b"rename_to"]),
    (["COPY", "s", "t"], [b"new", b"copy_to"]),
    (["SETEX", "t", "100", "v"], [b"new", b"set", b"expire"]),
    (["SETEX", "s", "100", "v"], [b"set", b"expire"]),
    (["SETNX", "t", "v"], [b"new", b"set"]),
    (["GETSET", "s", "v"], [b"set"]),
    (["GETDEL", "s"], [b"del"]),
    (["GETEX", "s", "EX", "100"], [b"expire"]),
    (["GETEX", "s", "EXAT", "1"], [b"del"]),
    (["GETEX", "s"], []),
    (["GETEX", "nosuch", "EX", "1"], [b"keymiss"]),
    (["MSET", "s", "1", "t", "2"], [b"set", b"new", b"set"]),
    (["MSETNX", "t", "1", "u", "2"], [b"new", b"set", b"new", b"set"]),
    (["APPEND", "t", "v"], [b"new", b"append"]),
    (["SETRANGE", "t", "3", "v"], [b"new", b"setrange"]),
    (["SETRANGE", "t", "3", ""], []),
    (["INCR", "t"], [b"new", b"incrby"]),
    (["DECRBY", "n", "5"], [b"incrby"]),
    (["INCRBYFLOAT", "n", "5"], [b"incrbyfloat"]),
    (["SETBIT", "t", "3", "1"], [b"new", b"setbit"]),
    (["SETBIT", "s", "0", "0"], []),
    (["SORT", "l", "ALPHA", "STORE", "t"], [b"new", b"sortstore"]),
    (["SORT", "nosuch", "STORE", "s"], [b"keymiss", b"del"]),
    (["MOVE", "s", "1"], [b"new", b"move_from", b"move_to"]),
    (["GET", "nosuch"], [b"keymiss"]),
    (["EXISTS", "nosuch"], [b"keymiss"]),
    (["MGET", "s", "nosuch"], [b"keymiss"]),
    (["BITCOUNT", "nosuch"], [b"keymiss"]),
    (["TYPE", "nosuch"], [b"keymiss"]),
    (["TTL", "nosuch"], [b"keymiss"]),
    (["OBJECT", "ENCODING", "nosuch"], []),
], ids=lambda value: value[0] if value and isinstance(value[0], str) else "")
def test_events_are_those_of_redis_in_its_order(server, words, events):
    client, listener = server.connect(), server.connect()
    client.call("MSET", "s", "value", "n", "1")
    client.call("RPUSH", "l", "b", "a")
    # A = all classes but m and n.
    client.call("CONFIG", "SET", "notify-keyspace-events", "KAmn")
    listener.subscribe("__keyspace@*", kind="PSUBSCRIBE")
    client.call(*words)
    client.call("PUBLISH", "__keyspace@end", "end")
    heard = []
    while not heard or heard[-1] != b"end":
        heard.append(listener.read_value()[3])
    assert heard[:-1] == events


def journal(folder):
    """The commands in the append-only file; lines that Redis skips are skipped."""
    data, at, commands = (folder / "appendonly.aof").read_bytes(), 0, []

    def line():
        nonlocal at
        end = data.index(b"\r\n", at)
        found, at = data[at:end], end + 2
        return found

    while at < len(data):
        if data[at:at + 1] == b"#":
            at = data.index(b"\n", at) + 1
            continue
        words = []
        for _ in range(int(line()[1:])):
            size = int(line()[1:])
            words.append(data[at:at + size])
            at += size + 2
        commands.append(words)
    return commands


MOMENT = b"<moment>"


@pytest.mark.parametrize("words, kept", [
    (["SETEX", "a", "100", "v"], [[b"SET", b"a", b"v", b"PXAT", MOMENT]]),
    (["PSETEX", "a", "100000", "v"], [[b"SET", b"a", b"v", b"PXAT", MOMENT]]),
    (["SETNX", "a", "v"], [[b"SETNX", b"a", b"v"]]),
    (["SETNX", "s", "v"], []),
    (["GETSET", "s", "v"], [[b"SET", b"s", b"v"]]),
    (["GETDEL", "s"], [[b"DEL", b"s"]]),
    (["GETDEL", "nosuch"], []),
    (["GETEX", "s"], []),
    (["GETEX", "s", "EX", "100"], [[b"PEXPIREAT", b"s", MOMENT]]),
    (["GETEX", "s", "EXAT", "1"], [[b"DEL", b"s"]]),
    (["GETEX", "s", "PERSIST"], []),
    (["GETEX", "ends", "PERSIST"], [[b"PERSIST", b"ends"]]),
    (["MSET", "s", "1", "a", "2"], [[b"MSET", b"s", b"1", b"a", b"2"]]),
    (["MSETNX", "s", "1"], []),
    (["APPEND", "s", "v"], [[b"APPEND", b"s", b"v"]]),
    (["SETRANGE", "s", "3", "v"], [[b"SETRANGE", b"s", b"3", b"v"]]),
    (["SETRANGE", "s", "3", ""], []),
    (["INCRBY", "n", "5"], [[b"INCRBY", b"n", b"5"]]),
    (["INCR", "s"], []),
    (["INCRBYFLOAT", "n", "0.5"], [[b"SET", b"n", b"1.5", b"KEEPTTL"]]),
    (["SETBIT", "s", "0", "1"], [[b"SETBIT", b"s", b"0", b"1"]]),
    (["SETBIT", "s", "0", "0"], []),
    (["RENAME", "s", "a"], [[b"RENAME", b"s", b"a"]]),
    (["RENAME", "s", "s"], []),
    (["RENAMENX", "s", "n"], []),
    (["COPY", "s", "a"], [[b"COPY", b"s", b"a"]]),
    (["COPY", "s", "n"], []),
    (["MOVE", "s", "1"], [[b"MOVE", b"s", b"1"]]),
    (["SWAPDB", "0", "1"], [[b"SWAPDB", b"0", b"1"]]),
    (["SORT", "l", "ALPHA", "STORE", "a"], [[b"SORT", b"l", b"ALPHA", b"STORE", b"a"]]),
    (["SORT", "l", "ALPHA"], []),
    (["SORT", "nosuch", "STORE", "s"], [[b"SORT", b"nosuch", b"STORE", b"s"]]),
    (["SORT", "nosuch", "STORE", "a"], []),
    (["TOUCH", "s"], []),
    (["GET", "s"], []),
], ids=lambda value: value[0] if value and isinstance(value[0], str) else "")
def test_what_is_kept_is_the_effect_at_that_moment(start_fanfared, folder, words, kept):
    client = start_fanfared("--appendonly", "yes", "--appendfsync", "always").connect()
    client.call("MSET", "s", "value", "n", "1")
    client.call("SET", "ends", "v", "PXAT", "99999999999999")
    client.call("RPUSH", "l", "b", "a")
    before = len(journal(folder))
    client.call(*words)
    found = journal(folder)[before:]
    for command in found:
        if command[0] in (b"SET", b"PEXPIREAT") and command[-1].isdigit() and command[-2] in (b"PXAT", b"s"):
            assert len(command[-1]) == 13
            command[-1] = MOMENT
    assert found == kept


def test_debug_is_off_unless_it_is_enabled(start_fanfared):
    refused = (b"ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it "
               b"from a local connection, otherwise you need to set this option in the configuration file, and then "
               b"restart the server.")
    assert start_fanfared().connect().call("DEBUG", "SLEEP", "0") == error(refused)
    client = start_fanfared("--enable-debug-command", "local").connect()
    assert client.call("DEBUG", "SLEEP", "0.01") == b"OK"
    assert client.call("DEBUG", "OBJECT", "nosuch") == error("ERR no such key")
    client.call("SET", "k", "value")
    assert b" encoding:embstr serializedlength:5 " in client.call("DEBUG", "OBJECT", "k")
    assert client.call("DEBUG", "HELP")[0].startswith(b"DEBUG <subcommand>")
    assert client.call("DEBUG", "NOSUCH").text.startswith(b"ERR unknown subcommand")
    assert client.call("CONFIG", "SET", "enable-debug-command", "yes").text.startswith(b"ERR CONFIG SET failed")


def test_without_active_expiry_a_key_goes_when_it_is_looked_for(start_fanfared):
    client = start_fanfared("--enable-debug-command", "yes").connect()
    assert client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"OK"
    assert client.call("SET", "k", "v", "PX", "1") == b"OK"
    wait_until(lambda: client.call("KEYS", "*") == [], "its end")
    assert client.call("SCAN", "0")[1] == []
    assert client.call("DBSIZE") == 1
    assert client.call("GET", "k") is None
    assert client.call("DBSIZE") == 0
    assert client.call("SET", "k", "v", "PX", "1") == b"OK"
    assert client.call("DEBUG", "SET-ACTIVE-EXPIRE", "1") == b"OK"
    wait_until(lambda: client.call("DBSIZE") == 0, "its end without a look")


def test_a_long_pattern_with_a_star_is_refused(fanfared):
    """Its length times that of a name is what it takes: 64 KB of both were eight seconds."""
    client = fanfared.connect()
    client.ok("SET", "a" * 65536, "1")
    client.call("HSET", "hash", "a" * 65536, "1")
    evil = "*" + "a" * 1023 + "b"
    refused = error("ERR a pattern with * is longer than 1024 bytes")
    assert client.call("KEYS", evil) == refused
    assert client.call("SCAN", 0, "MATCH", evil) == refused
    assert client.call("HSCAN", "hash", 0, "MATCH", evil) == refused
    assert client.call("KEYS", evil[:1024]) == [b"a" * 65536]
    assert client.call("KEYS", "a" * 65536) == [b"a" * 65536]


def test_lcs_of_long_strings_is_refused_before_any_work(fanfared):
    client = fanfared.connect(timeout=30)
    client.call("MSET", "a", b"x" * 4000, "b", b"xy" * 2000, "long", b"x" * 100000, "huge", b"x" * (64 << 20))
    assert client.call("LCS", "a", "b", "LEN") == 2000
    refused = error("ERR Insufficient memory, transient memory for LCS exceeds 64 MiB")
    assert client.call("LCS", "long", "long") == refused
    assert client.call("LCS", "huge", "huge", "LEN") == refused
    assert client.call("LCS", "huge", "nosuch", "LEN") == refused


def test_sort_looks_up_no_keys_for_those_who_may_not_read_all(server):
    admin, client = server.connect(), server.connect()
    admin.call("ACL", "SETUSER", "u", "on", "nopass", "~l", "+sort", "+sort_ro", "+auth")
    admin.call("RPUSH", "l", "2", "1")
    admin.call("MSET", "secret_1", "a", "secret_2", "b")
    assert client.call("AUTH", "u", "x") == b"OK"
    assert client.call("SORT", "l") == [b"1", b"2"]
    assert client.call("SORT", "l", "BY", "nosort") == [b"2", b"1"]
    for option in ("BY", "GET"):
        assert client.call("SORT", "l", option, "secret_*") == error(
            f"ERR {option} option of SORT denied due to insufficient ACL permissions.")
    assert client.call("SORT_RO", "l", "GET", "#").text.startswith(b"ERR GET option")
    assert client.call("SORT", "l", "STORE", "other").text.startswith(b"NOPERM")
    admin.call("ACL", "SETUSER", "u", "%R~*")
    assert client.call("SORT", "l", "GET", "secret_*") == [b"a", b"b"]
    assert client.call("SORT", "l", "STORE", "other").text.startswith(b"NOPERM")


def test_memory_usage_grows_with_the_value(fanfared):
    client = fanfared.connect()
    client.call("SET", "small", "v")
    client.call("SET", "large", b"x" * 100000)
    small, large = client.call("MEMORY", "USAGE", "small"), client.call("MEMORY", "USAGE", "large")
    assert 10 < small < 100 and 100000 <= large < 120000
    for kind, words in {"list": ["RPUSH"], "set": ["SADD"], "hash": ["HSET"], "zset": ["ZADD"]}.items():
        one = ["1", "member:1"] if kind == "zset" else ["member:1", "v"] if kind == "hash" else ["member:1"]
        assert client.call(*words, kind, *one) == 1
        before = client.call("MEMORY", "USAGE", kind)
        for n in range(2, 2000):
            pair = [b"%d" % n, b"member:%d" % n] if kind == "zset" else [b"member:%d" % n, b"v"] if kind == "hash" else [
                b"member:%d" % n]
            client.call(*words, kind, *pair)
        assert client.call("MEMORY", "USAGE", kind) > before + 2000 * 8
    stats = client.call("MEMORY", "STATS")
    figures = dict(zip(stats[::2], stats[1::2]))
    assert figures[b"keys.count"] == 6 and figures[b"keys.bytes-per-key"] > 0


def test_info_counts_hits_misses_and_keys(fanfared):
    client = fanfared.connect()
    client.call("SET", "a", "v")
    client.call("SET", "b", "v", "EX", "100")
    for name in ("a", "b", "nosuch"):
        client.call("GET", name)
    client.call("MGET", "a", "nosuch")
    stats = client.info("stats")
    assert stats["keyspace_hits"] == "3" and stats["keyspace_misses"] == "2"
    figures = dict(part.split("=") for part in client.info("keyspace")["db0"].split(","))
    assert figures["keys"] == "2" and figures["expires"] == "1"
    assert 90000 < int(figures["avg_ttl"]) <= 100000
    client.call("SET", "c", "v", "PX", "1")
    wait_until(lambda: client.info("stats")["expired_keys"] == "1", "its end is counted")
    assert client.call("CONFIG", "RESETSTAT") == b"OK"
    assert client.info("stats")["keyspace_hits"] == "0"


def test_while_writes_are_paused_keys_end_for_who_looks_and_no_further(server):
    client, listener = server.connect(), server.connect()
    client.ok("CONFIG", "SET", "notify-keyspace-events", "Ex")
    listener.subscribe("__keyevent@0__:expired")
    client.ok("SET", "a", "v", "PX", "200")
    client.ok("SET", "b", "v", "PX", "200")
    client.ok("CLIENT", "PAUSE", "600000", "WRITE")
    wait_until(lambda: client.call("EXISTS", "a", "b") == 0, "their time is up")
    assert client.call("GET", "a") is None
    assert client.call("TTL", "a") == -2 and client.call("TYPE", "a") == b"none"
    assert client.call("KEYS", "*") == [] and client.call("SCAN", "0")[1] == []
    if server.name == "fanfared":  # Redis 7.0 draws for ever; 7.2 does this
        assert client.call("RANDOMKEY") in (b"a", b"b")
    assert client.call("DBSIZE") == 2
    assert client.info("stats")["expired_keys"] == "0"
    assert listener.nothing_arrives()
    client.ok("CLIENT", "UNPAUSE")
    wait_until(lambda: client.call("DBSIZE") == 0, "they are gone")
    assert client.info("stats")["expired_keys"] == "2"
    assert sorted(listener.read_value()[2] for _ in range(2)) == [b"a", b"b"]


def test_a_pause_that_ends_by_itself_ends_the_keys(server):
    client = server.connect()
    client.ok("SET", "a", "v", "PX", "1")
    client.ok("SET", "b", "v", "PX", "100")
    client.ok("CLIENT", "PAUSE", "400", "WRITE")
    wait_until(lambda: client.call("EXISTS", "b") == 0, "its time is up")
    wait_until(lambda: client.call("DBSIZE") == 0, "the end of the pause")
    assert client.call("SET", "b", "v", "NX") == b"OK"


def test_a_transaction_that_pauses_writes_replaces_keys_whose_time_is_up(start_fanfared):
    """What is in it is executed all the same."""
    client = start_fanfared("--enable-debug-command", "yes").connect()
    client.ok("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    client.call("RPUSH", "l", "1")
    client.call("PEXPIRE", "l", "1")
    wait_until(lambda: client.call("KEYS", "*") == [], "its time is up")
    client.ok("MULTI")
    for words in (("CLIENT", "PAUSE", "1000000", "WRITE"), ("GET", "l"), ("SET", "l", "v"), ("GET", "l"),
                  ("CLIENT", "UNPAUSE")):
        assert client.call(*words) == b"QUEUED"
    assert client.call("EXEC") == [b"OK", None, b"OK", b"v", b"OK"]


def test_while_writes_are_paused_nothing_goes_to_the_log(start_fanfared, folder):
    client = start_fanfared("--appendonly", "yes", "--appendfsync", "always").connect()
    client.ok("SET", "k", "v", "PX", "100")
    client.ok("CLIENT", "PAUSE", "600000", "WRITE")
    wait_until(lambda: client.call("GET", "k") is None, "its time is up")
    log, = folder.glob("*.aof")
    assert b"DEL" not in log.read_bytes()
    client.ok("CLIENT", "UNPAUSE")
    wait_until(lambda: b"DEL" in log.read_bytes(), "it goes there, too")


def test_while_writes_are_paused_nothing_is_evicted(server):
    client, writer = server.connect(), server.connect()
    for number in range(100):
        client.ok("SET", f"k{number}", "v" * 1000)
    client.ok("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    client.ok("CLIENT", "PAUSE", "600000", "WRITE")
    client.ok("CONFIG", "SET", "maxmemory", "1")
    writer.command("SET", "other", "v")
    assert writer.nothing_arrives()
    assert client.call("DBSIZE") == 100
    assert client.info("stats")["evicted_keys"] == "0"
    client.ok("CLIENT", "UNPAUSE")
    assert isinstance(writer.read_value(), (bytes, Error))
    wait_until(lambda: client.call("DBSIZE") == 0, "all are gone")
    assert client.info("stats")["evicted_keys"] == "100"


def test_what_a_client_reads_after_no_touch_is_not_used(start_fanfared):
    client = start_fanfared("--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0").connect()
    client.ok("SET", "k", "1")
    client.call("HSET", "h", "f", "v")

    def used(*words):
        before = client.call("OBJECT", "FREQ", words[1])
        client.call(*words)
        return client.call("OBJECT", "FREQ", words[1]) > before

    assert used("GET", "k") and used("HGET", "h", "f")
    client.ok("CLIENT", "NO-TOUCH", "ON")
    for words in (("GET", "k"), ("STRLEN", "k"), ("HGET", "h", "f"), ("HSET", "h", "f", "v"), ("INCR", "k"),
                  ("HRANDFIELD", "h")):
        assert not used(*words), words
    assert used("TOUCH", "k")
    before = client.call("OBJECT", "FREQ", "k")
    client.ok("MULTI")
    assert client.call("GET", "k") == b"QUEUED"
    assert client.call("EXEC") == [b"2"]
    assert client.call("OBJECT", "FREQ", "k") == before
    client.ok("CLIENT", "NO-TOUCH", "OFF")
    assert used("GET", "k")
    client.ok("CLIENT", "NO-TOUCH", "ON")
    assert client.call("RESET") == b"RESET"
    assert used("GET", "k")
