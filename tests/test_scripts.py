"""Scripts: EVAL and its kin beside what else the daemon does. tests/differential/script.txt compares replies with Redis's."""

import hashlib
import os
import random
import signal

import pytest
import redis

from lib.lineage import can_upgrade
from lib.resp import Connection, Error, Push, encode
from lib.wait import seconds, wait_until

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
FOREVER = "while true do end"
# Counts KEYS[1] twice, so many ms apart; nobody sees it between.
FOR_MS = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local from = ms()
redis.call('INCR', KEYS[1])
while ms() - from < tonumber(ARGV[1]) do end
redis.call('INCR', KEYS[1])
redis.call('PUBLISH', 'done', KEYS[1])
return redis.call('GET', KEYS[1])
"""


def text(reply):
    """The text of an error."""
    assert isinstance(reply, Error), reply
    return reply.text.decode()


def digest(body):
    return hashlib.sha1(body.encode()).hexdigest().encode()


def is_suspended(client):
    """PING waits while a script is suspended, and is refused once that takes too long."""
    reply = client.call("PING")
    return isinstance(reply, Error) and text(reply).startswith("BUSY")


@pytest.fixture
def busy(start_fanfared):
    return start_fanfared("--busy-reply-threshold", 100)


# ---- What programs do


def test_a_lock_of_redis_py_is_released(server):
    client = redis.Redis(port=server.port)
    with client.lock("lock", timeout=30):
        assert client.exists("lock")
    assert not client.exists("lock")
    client.close()


def test_a_framework_publishes_on_several_channels_with_one_script(server):
    body = "for i=2,#ARGV do redis.call('publish',ARGV[i],ARGV[1]) end"
    with server.client() as subscriber, server.client() as publisher:
        subscriber.subscribe("orders", "users.7")
        assert publisher.call("EVAL", body, 0, '{"event":"paid"}', "orders", "users.7") is None
        for channel in (b"orders", b"users.7"):
            assert subscriber.read_value() == [b"message", channel, b'{"event":"paid"}']


def test_a_script_is_known_by_its_digest_until_the_flush(server):
    body = "return ARGV[1]"
    with server.client() as client:
        assert text(client.call("EVALSHA", digest(body), 0, "a")) == "NOSCRIPT No matching script. Please use EVAL."
        assert client.call("EVAL", body, 0, "a") == b"a"
        assert client.call("EVALSHA", digest(body), 0, "b") == b"b"
        assert client.call("SCRIPT", "LOAD", "return 2") == digest("return 2")
        assert client.call("SCRIPT", "EXISTS", digest(body), digest("return 2"), "x") == [1, 1, 0]
        client.ok("SCRIPT", "FLUSH")
        assert client.call("SCRIPT", "EXISTS", digest(body), digest("return 2")) == [0, 0]
        assert client.call("EVAL", body, 0, "a") == b"a"


# ---- Messages, subscribers, users


def test_messages_of_a_script_come_in_order_and_after_its_reply(fanfared):
    with fanfared.client(3) as client:
        client.subscribe("a")
        client.send(encode("EVAL", "for i=1,100 do redis.call('publish','a',i) end return 7", 0) + encode("PING"))
        assert client.read_value() == 7
        numbers = [client.read_value() for _ in range(101)]
        assert [value[2] for value in numbers if isinstance(value, Push)] == [b"%d" % i for i in range(1, 101)]
        assert [value for value in numbers if not isinstance(value, Push)] == [b"PONG"]


def test_messages_of_scripts_are_kept(start_fanfared):
    server = start_fanfared("--channel", "news.*", "history-size", "10", "history-ttl", "60")
    with server.client() as client:
        assert client.call("EVAL", "return redis.call('PUBLISH', 'news.1', 'a')", 0) == 0
        assert client.call("HISTORY", "LEN", "news.1") == 1


def test_the_select_of_a_script_is_its_own(server):
    with server.client() as client:
        client.ok("EVAL", "redis.call('SELECT', 3) return redis.call('SET', 'k', 'v')", 0)
        assert client.call("GET", "k") is None
        client.ok("SELECT", 3)
        assert client.call("GET", "k") == b"v"


def test_blocked_clients_get_what_a_script_pushes_when_it_is_done(server):
    with server.client() as waiting, server.client() as client:
        waiting.command("BLPOP", "list", 0)
        wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
        assert client.call("EVAL", "redis.call('RPUSH', 'list', 'a', 'b') return redis.call('RPUSH', 'list', 'c')", 0) == 3
        assert waiting.read_value() == [b"list", b"a"]


def test_a_script_breaks_a_watch(server):
    with server.client() as client, server.client() as other:
        client.ok("WATCH", "k")
        other.ok("EVAL", "return redis.call('SET', KEYS[1], 'v')", 1, "k")
        client.ok("MULTI")
        client.call("PING")
        assert client.call("EXEC") is None


def test_a_monitor_sees_the_commands_of_a_script(server):
    with server.client() as monitor, server.client() as client:
        monitor.ok("MONITOR")
        client.ok("EVAL", "return redis.call('SET', 'k', 'v')", 0)
        assert b'"EVAL"' in monitor.read_line()
        assert b' [0 lua] "SET" "k" "v"' in monitor.read_line()


READS_ONLY = "#!lua flags=no-writes\nreturn redis.call('GET', 'k')"


def test_scripts_that_do_not_write_go_on_while_writes_are_paused(server):
    with server.client() as admin, server.client() as client, server.client() as writer:
        admin.ok("SET", "k", "v")
        loaded = client.call("SCRIPT", "LOAD", READS_ONLY + " .. '!'")
        admin.ok("CLIENT", "PAUSE", 600000, "WRITE")
        assert [client.call("EVAL", READS_ONLY, 0) for _ in range(2)] == [b"v", b"v"]
        assert client.call("EVAL_RO", READS_ONLY + " .. ''", 0) == b"v"
        assert client.call("EVALSHA", loaded, 0) == b"v!"
        client.ok("MULTI")
        assert client.call("EVAL", READS_ONLY, 0) == client.call("EVALSHA", loaded, 0) == b"QUEUED"
        assert client.call("EXEC") == [b"v", b"v!"]
        for command in (["EVAL", "return 1", 0], ["EVAL", "#!lua\nreturn 1", 0], ["EVALSHA", "0" * 40, 0]):
            writer.command(*command)
            wait_until(lambda: admin.info("clients")["blocked_clients"] == "1", f"{command} waits")
            admin.ok("CLIENT", "UNPAUSE")
            reply = writer.read_value()
            assert reply == 1 or text(reply).startswith("NOSCRIPT")
            admin.ok("CLIENT", "PAUSE", 600000, "WRITE")
        admin.ok("CLIENT", "UNPAUSE")


# ---- Scripts that take long


def start_script(server, body, *args):
    connection = Connection(server.address, timeout=seconds(20))
    connection.command("EVAL", body, *args)
    return connection


def test_others_wait_for_a_script_and_are_refused_when_it_takes_too_long(busy):
    with busy.client() as client, start_script(busy, FOREVER, 0) as script:
        wait_until(lambda: is_suspended(client), "the script is busy")
        for command in (("GET", "k"), ("SUBSCRIBE", "a"), ("PUBLISH", "a", "b"), ("EVAL", "return 1", "0"), ("SHUTDOWN",),
                        ("CLIENT", "LIST")):
            assert text(client.call(*command)).startswith("BUSY "), command
        client.ok("SCRIPT", "KILL")
        assert text(script.read_value()).startswith("ERR Script killed by user with SCRIPT KILL")
        assert text(client.call("SCRIPT", "KILL")) == "NOTBUSY No scripts in execution right now."
        assert client.call("PING") == b"PONG"


@pytest.mark.parametrize("body", [
    "while true do pcall(function() while true do end end) end",
    "local f = function() while true do pcall(function() while true do end end) end end "
    "while true do pcall(coroutine.wrap(f)) end",
    "table.sort({3, 2, 1}, function() while true do end end)",
    "string.gsub('aaa', 'a', function() while true do end end)",
    "xpcall(function() while true do end end, function() while true do end end)",
    "setmetatable({}, {__index = function() while true do end end}).x = setmetatable({}, {__index = function() while true "
    "do end end}).x",
], ids=["pcall", "coroutines", "sort", "gsub", "xpcall", "metatable"])
def test_no_script_resists_its_end(busy, body):
    with busy.client() as client, start_script(busy, body, 0) as script:
        wait_until(lambda: is_suspended(client), "the script is busy")
        client.ok("SCRIPT", "KILL")
        assert text(script.read_value()).startswith("ERR Script killed by user")


# Appends ARGV[1] to KEYS[1], and ARGV[3] after so many ms; or removes it again without ARGV[3].
PUSH_TWICE = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local from = ms()
redis.call('LPUSH', KEYS[1], ARGV[1])
while ms() - from < tonumber(ARGV[2]) do end
if ARGV[3] then redis.call('LPUSH', KEYS[1], ARGV[3]) else redis.call('DEL', KEYS[1]) end
return 'done'
"""


def test_blocked_clients_are_served_when_a_long_script_is_over(start_fanfared, tmp_path):
    options = ("--appendonly", "yes", "--dir", tmp_path)
    server = start_fanfared(*options)
    with server.client() as waiting, server.client() as client:
        waiting.command("BLPOP", "list", 0)
        wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
        assert client.call("EVAL", PUSH_TWICE, 1, "list", "a", 60) == b"done"
        assert client.info("clients")["blocked_clients"] == "1"
        assert client.call("EVAL", PUSH_TWICE, 1, "list", "b", 60, "c") == b"done"
        assert waiting.read_value() == [b"list", b"c"]
        assert client.call("LRANGE", "list", 0, -1) == [b"b"]
    server.stop()
    with start_fanfared(*options).client() as client:
        assert client.call("LRANGE", "list", 0, -1) == [b"b"]


def test_a_blocked_client_is_served_though_its_time_is_up_meanwhile(start_fanfared):
    server = start_fanfared("--busy-reply-threshold", 50)
    with server.client() as waiting, server.client() as client:
        waiting.command("BLPOP", "list", 1)
        wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
        body = "redis.call('RPUSH', KEYS[1], 'a') local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end " \
               "local from = ms() while ms() - from < 1500 do end return 1"
        assert client.call("EVAL", body, 1, "list") == 1
        assert waiting.read_value() == [b"list", b"a"]


def test_a_script_whose_client_leaves_serves_the_blocked_clients(start_fanfared):
    server = start_fanfared()
    with server.client() as waiting, server.client() as client:
        waiting.command("BLPOP", "list", 0)
        wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
        start_script(server, PUSH_TWICE, 1, "list", "a", 100, "b").close()
        assert waiting.read_value() == [b"list", b"b"]


def test_a_script_that_has_written_is_not_killed(busy):
    with busy.client() as client, start_script(busy, FOR_MS, 1, "n", 700) as script:
        wait_until(lambda: is_suspended(client), "the script is busy")
        assert text(client.call("SCRIPT", "KILL")).startswith("UNKILLABLE ")
        assert script.read_value() == b"2"
        assert client.call("GET", "n") == b"2"


def test_the_daemon_goes_on_while_a_script_is_suspended(start_fanfared):
    """Commands wait, connections are accepted; nothing is refused before busy-reply-threshold."""
    server = start_fanfared("--busy-reply-threshold", 60000)
    with start_script(server, FOR_MS, 1, "n", 400) as script, server.client() as client:
        assert wait_until(lambda: client.call("GET", "n"), "it has begun") == b"2"
        assert script.read_value() == b"2"


def test_a_script_whose_client_left_goes_on(start_fanfared):
    server = start_fanfared("--busy-reply-threshold", 50)
    with server.client() as subscriber, server.client() as client:
        subscriber.subscribe("done")
        script = start_script(server, FOR_MS, 1, "n", 300)
        wait_until(lambda: is_suspended(client), "the script is busy")
        script.close()
        assert subscriber.read_value() == [b"message", b"done", b"n"]
        assert wait_until(lambda: client.call("GET", "n"), "it is done") == b"2"


def test_a_script_in_a_transaction_ends_in_time(start_fanfared):
    server = start_fanfared("--busy-reply-threshold", 100)
    with server.client() as client:
        client.ok("MULTI")
        client.call("SET", "a", 1)
        client.call("EVAL", FOREVER, 0)
        client.call("EVAL", "return redis.call('INCR', 'a')", 0)
        first, second, third = client.call("EXEC")
        assert (first, third) == (b"OK", 2)
        assert "Script in a transaction ran longer than busy-reply-threshold allows" in text(second)
        client.ok("MULTI")
        client.call("EVAL", "local n = 0 for i = 1, 1e5 do n = n + i end return n", 0)
        assert client.call("EXEC") == [5000050000]


# ---- The append-only file


def test_effects_are_logged_as_one_transaction_and_scripts_never(start_fanfared, folder):
    server = start_fanfared(*ALWAYS)
    body = "redis.call('SET', KEYS[1], 'v') redis.call('SPOP', 'set') return redis.call('EXPIRE', KEYS[1], 100)"
    with server.client() as client:
        client.call("SADD", "set", "a", "b")
        assert client.call("EVAL", body, 1, "key") == 1
        members = client.call("SMEMBERS", "set")
    log = b"".join(path.read_bytes() for path in folder.rglob("appendonly*") if path.is_file())
    assert b"EVAL" not in log and b"SREM" in log
    begin, end = log.index(b"MULTI"), log.index(b"EXEC")
    assert begin < log.index(b"SREM") < end
    server.kill()
    server.start()
    with server.client() as client:
        assert client.call("GET", "key") == b"v"
        assert client.call("SMEMBERS", "set") == members
        assert 0 < client.call("TTL", "key") <= 100


def test_what_a_script_did_before_its_error_is_kept(start_fanfared):
    server = start_fanfared(*ALWAYS)
    with server.client() as client:
        assert text(client.call("EVAL", "redis.call('SET', 'a', 1) error('x')", 0)).startswith("ERR user_script:1: x script: ")
    server.kill()
    server.start()
    with server.client() as client:
        assert client.call("GET", "a") == b"1"


def test_set_repl_keeps_effects_out_of_the_file(start_fanfared):
    server = start_fanfared(*ALWAYS)
    with server.client() as client:
        client.call("EVAL", "redis.call('SET', 'a', 1) redis.set_repl(redis.REPL_NONE) redis.call('SET', 'b', 1) "
                            "redis.set_repl(redis.REPL_ALL) redis.call('SET', 'c', 1)", 0)
        assert client.call("MGET", "a", "b", "c") == [b"1", b"1", b"1"]
    server.kill()
    server.start()
    with server.client() as client:
        assert client.call("MGET", "a", "b", "c") == [b"1", None, b"1"]


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"] + ["SIGUSR2"] * can_upgrade())
def test_a_suspended_script_is_whole_or_absent_after_the_end(start_fanfared, end):
    server = start_fanfared(*ALWAYS, "--busy-reply-threshold", 50)
    with server.client() as client:
        script = start_script(server, FOR_MS, 1, "n", 400)
        wait_until(lambda: is_suspended(client), "the script is busy")
        if end == "SIGUSR2":
            os.kill(server.pid, signal.SIGUSR2)
            assert script.read_value() == b"2"
            server.wait_for_log("serves from now on")
            with Connection(server.address, timeout=seconds(10)) as fresh:
                assert wait_until(lambda: fresh.call("GET", "n"), "the key is there") == b"2"
                successor = int(fresh.info("server")["process_id"])
            assert successor != server.pid
            os.kill(successor, signal.SIGKILL)
            return
        if end == "SIGKILL":
            server.kill()
        else:
            server.stop()
        script.close()
    server.start()
    with server.client() as client:
        assert client.call("GET", "n") == (None if end == "SIGKILL" else b"2")


def test_no_half_of_a_script_is_on_disk_because_a_client_waits_for_its_key(start_fanfared):
    server = start_fanfared(*ALWAYS, "--busy-reply-threshold", 50)
    body = "redis.call('DECRBY', 'from', 10) redis.call('RPUSH', 'queue', 'job') " + FOR_MS.rpartition("return")[0]
    body += "redis.call('INCRBY', 'to', 10) return redis.call('LLEN', 'queue')"
    for ends in (False, True):
        with server.client() as waiting, server.client() as client:
            waiting.command("BLPOP", "queue", 0)
            wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
            script = start_script(server, body, 1, "n", 400)
            wait_until(lambda: is_suspended(client), "the script is busy")
            if ends:
                assert script.read_value() == 1
                assert waiting.read_value() == [b"queue", b"job"]
            server.kill()
            script.close()
        server.start()
        with server.client() as client:
            assert client.call("MGET", "from", "to", "n") == ([b"-10", b"10", b"2"] if ends else [None] * 3)
            assert client.call("LLEN", "queue") == 0


def test_no_rewrite_begins_in_the_middle_of_a_script(start_fanfared):
    """It is to begin when the snapshot has ended, which it does while the script is suspended."""
    server = start_fanfared(*ALWAYS, "--busy-reply-threshold", 50)
    with server.client() as client:
        client.send(encode("BGSAVE") + encode("BGREWRITEAOF") + encode("EVAL", FOR_MS, 1, "n", 500))
        assert b"scheduled" in [client.read_value() for _ in range(2)][1]
        assert client.read_value() == b"2"
        wait_until(lambda: client.info("persistence")["aof_rewrites"] == "1", "the rewrite is done")
    server.kill()
    server.start()
    with server.client() as client:
        assert client.call("GET", "n") == b"2"


# ---- Bounds


def test_memory_is_bounded_and_the_daemon_goes_on(start_fanfared):
    server = start_fanfared("--script-maxmemory", "4mb")
    with server.client() as client:
        for body in ("local t = {} for i = 1, 1e9 do t[i] = {} end", "return string.rep('x', 1e8)",
                     "local s = 'x' while true do s = s .. s end", "return {pcall(string.rep, 'x', 1e8)}"):
            assert "script-maxmemory" in str(client.call("EVAL", body, 0)) or "not enough memory" in str(
                client.call("EVAL", body, 0)), body
            assert client.call("EVAL", "return ARGV[1]", 0, "x") == b"x"
        assert int(client.info("memory")["used_memory_lua"]) < 4 << 20
        reply = client.call("SCRIPT", "LOAD", "return '" + "x" * (5 << 20) + "'")
        assert text(reply).startswith("OOM ")


def test_large_states_are_freed_while_other_scripts_run(start_fanfared):
    server = start_fanfared("--script-maxmemory", "128mb")
    fill = "local t = {} for i = 1, 500000 do t[i] = {} end return #t"
    with server.client() as client:
        before = int(client.info("memory")["used_memory"])
        for _ in range(3):
            assert client.call("EVAL", fill, 0) == 500000
            assert int(client.info("memory")["used_memory_lua"]) > 20 << 20
            client.ok("SCRIPT", "FLUSH")
            assert client.info("memory")["used_memory_lua"] == "0"
            assert client.call("EVAL", "return ARGV[1]", 0, "x") == b"x"
        wait_until(lambda: int(client.info("memory")["used_memory"]) < before + (4 << 20), "the memory is free")
        # The daemon ends while this one is being freed.
        assert client.call("EVAL", fill, 0) == 500000
        client.ok("SCRIPT", "FLUSH")


def test_scripts_that_came_with_eval_are_bounded_and_loaded_ones_stay(start_fanfared):
    server = start_fanfared()
    with server.client() as client:
        loaded = client.call("SCRIPT", "LOAD", "return 'loaded'")
        for number in range(700):
            assert client.call("EVAL", f"return {number}", 0) == number
            if number % 100 == 0:
                assert client.call("EVAL", "return 'used'", 0) == b"used"
        assert client.call("SCRIPT", "EXISTS", loaded, digest("return 'used'"), digest("return 699"),
                           digest("return 0")) == [1, 1, 1, 0]
        assert int(client.info("memory")["number_of_cached_scripts"]) == 501


def test_a_script_cannot_fill_the_memory_for_messages(start_fanfared):
    server = start_fanfared("--maxmemory-pubsub", "1mb")
    with server.client() as subscriber, server.client() as client:
        subscriber.ok("OUTBOX", "SET", "POLICY", "block")
        subscriber.subscribe("a")
        reply = client.call("EVAL", "local p = string.rep('x', 100000) for i = 1, 1000 do redis.call('PUBLISH', 'a', p) end", 0)
        assert text(reply).startswith("OOM command not allowed when used memory > 'maxmemory-pubsub'")
        assert client.call("PING") == b"PONG"


def test_nothing_passes_from_one_script_to_another(server):
    attempts = ["_G.x = 1", "rawset(_G, 'x', 1)", "string.x = 1", "rawset(string, 'x', 1)", "table.insert(string, 1)",
                "getmetatable('').x = 1", "getmetatable('').__index.x = 1", "setmetatable(_G, {})", "setmetatable(redis, {})",
                "redis.call = nil", "math.random = nil", "cjson.x = 1", "x = 1", "function x() end", "KEYS = {}",
                "local t = {} for k, v in pairs(_G) do t[k] = v end t.string.x = 1", "_G._G.x = 1",
                "table.sort(string, function() end) string.x = 1", "select(2, pairs(string)).x = 1",
                "local f = loadstring('x = 1') f()", "local n = next(string) string[n] = 1"]
    with server.client() as client:
        for attempt in attempts:
            reply = client.call("EVAL", attempt, 0)
            assert "readonly" in text(reply), (attempt, reply)
        assert client.call("EVAL", "return rawget(_G, 'x') or rawget(string, 'x') or rawget(string, 1)", 0) is None


@pytest.mark.parametrize("seed", [1, 2])
def test_any_command_may_be_called_with_anything(start_fanfared, seed):
    """Random commands with random arguments, in both forms of replies: each has one whole reply, and the daemon lives."""
    source = random.Random(seed)
    server = start_fanfared("--channel", "c*", "history-size", "5", "history-ttl", "60", "presence", "members")
    pool = ["c1", "s", "l", "h", "z", "t", "0", "1", "-1", "5", "a", "b", "f", "*", "COUNT", "LIMIT", "WITHSCORES", "GET", "EX", "NX",
            "(1", "[a", "-", "+", "inf", "HELP", "ASYNC", "LEFT", "RIGHT", "MATCH", "BYSCORE", "x" * 300, "", "\r\n", "\0", "1.5"]
    make = ("SET s v", "RPUSH l a b", "HSET h f 1", "ZADD z 1 a 2 b", "SADD t a b")
    body = """
        if ARGV[1] == '3' then redis.setresp(3) end
        local results = {}
        for i = 3, #ARGV do
            local words = {}
            for word in ARGV[i]:gmatch('[^\1]*\1') do words[#words + 1] = word:sub(1, -2) end
            results[#results + 1] = redis.pcall(unpack(words)) or 'nothing'
        end
        redis.setresp(2)
        return {#results, results[tonumber(ARGV[2])]}"""
    with server.client() as client, server.client(3) as other:
        names = []
        for row in client.call("COMMAND"):
            names += [row[0].decode().split("|")] if not row[9] else [sub[0].decode().split("|") for sub in row[9]]
        assert len(names) > 200
        for number in range(150):
            for line in make:
                client.call(*line.split())
            calls = [b"".join(word.encode() + b"\1" for word in [*source.choice(names), *source.choices(pool, k=source.randrange(6))])
                     for _ in range(20)]
            asker = source.choice([client, other])
            reply = asker.call("EVAL", body, 0, source.choice("23"), source.randrange(1, 21), *calls)
            assert isinstance(reply, list) and reply[0] == 20, (number, reply)
            assert asker.call("ECHO", str(number)) == str(number).encode()
        assert len(client.info("commandstats")) > 100


@pytest.mark.parametrize("body", [
    "local function f() return (('x'):gsub('x', f)) end return f()",
    "local function f() return f() + 1 end return f()",
    "local t = {} for i = 1, 100000 do t = {t} end return t",
    "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
    "local function f(a, b) return table.sort({3, 2, 1}, f) end return f()",
    "local co co = coroutine.wrap(function() return co() end) return co()",
    "local function f() return coroutine.wrap(f)() end return f()",
    "return cjson.decode(string.rep('[', 100000))",
    "local t = {} for i = 1, 5000 do t = {t} end return cjson.encode(t)",
    "return string.format('%99.99f', 1e308)",
    "return ('('):rep(300):find(('('):rep(300))",
    "return loadstring('return ' .. ('('):rep(300) .. '1' .. (')'):rep(300))()",
    "return select('#', unpack({}, 1, 7000))",
    "return {pcall(error, setmetatable({}, {__tostring = function() error('x') end}))}",
    "error(setmetatable({}, {__tostring = function() error('x') end, __index = function() error('y') end}))",
    "return setmetatable({}, {__index = function() error('y') end})",
    "error({err = {}})",
    "error({})",
    "coroutine.yield()",
    "return coroutine.wrap(function() redis.call('SET', 'a', 'b') coroutine.yield(1) end)()",
    "return redis.call('SET', 'a', ('x'):rep(1000000))",
    "return math.floor(1e308) + redis.call('INCR', 'n')",
], ids=range(22))
def test_odd_scripts_leave_the_daemon_whole(fanfared, body):
    with fanfared.client() as client:
        with Connection(fanfared.address, timeout=seconds(20)) as other:
            other.send(encode("EVAL", body, 0))
            other.read_exactly(1)
        assert client.call("EVAL", "return ARGV[1]", 0, "x") == b"x"


@pytest.mark.parametrize("arguments", [(), ("a",), ("a", "b"), ("a", "b", "c")], ids=len)
def test_a_script_in_a_transaction_may_have_any_number_of_arguments(server, arguments):
    with server.client() as client:
        client.ok("MULTI")
        client.call("EVAL", "return #ARGV", 0, *arguments)
        client.call("EVALSHA", digest("return #ARGV"), 0, *arguments)
        assert client.call("EXEC") == [len(arguments)] * 2


def test_errors_that_are_shared_tables_are_not_changed(server):
    with server.client() as client:
        for body in ("error(redis)", "error(string)", "return {pcall(__redis__err__handler, string)}", "error(_G)"):
            client.send(encode("EVAL", body, 0))
            client.read_raw()
        assert client.call("EVAL", "return rawget(redis, 'source') or rawget(string, 'line') or rawget(_G, 'source')", 0) is None


def test_a_reply_that_takes_long_is_made_in_slices(busy):
    body = "local t = {} for i = 1, 27 do t = {t, t} end return t"
    with busy.client() as client, start_script(busy, body, 0) as script:
        wait_until(lambda: is_suspended(client), "the script is busy")
        client.ok("SCRIPT", "KILL")
        assert "Script killed by user" in text(script.read_value())


def test_dropping_scripts_at_the_limit_of_memory_is_safe(start_fanfared):
    server = start_fanfared()
    with server.client() as client:
        for count in range(1, 12):
            client.ok("CONFIG", "SET", "script-maxmemory", "0")
            client.ok("SCRIPT", "FLUSH")
            for number in range(count):
                client.call("EVAL", f"return {number}", 0)
            client.ok("CONFIG", "SET", "script-maxmemory", "20000")
            assert text(client.call("EVAL", "return 'new'", 0)).startswith("OOM ")
        client.ok("CONFIG", "SET", "script-maxmemory", "0")
        assert client.call("EVAL", "return 'new'", 0) == b"new"


def test_a_script_goes_on_though_its_client_does_not_read(start_fanfared):
    server = start_fanfared("--busy-reply-threshold", 50, "--reply-pause-bytes", "64mb")
    with server.client() as client:
        client.call("SETRANGE", "large", 20_000_000, "x")
        stuck = Connection(server.address, timeout=seconds(20), receive_buffer=4096)
        stuck.send(encode("GET", "large") + encode("EVAL", FOR_MS, 1, "n", 300))
        assert wait_until(lambda: client.call("GET", "n") == b"2", "the script is done")
        stuck.close()


def test_bytecode_is_refused(start_fanfared):
    server = start_fanfared()
    with server.client() as client:
        for body in ("return {loadstring(string.dump(function() return 1 end))}",
                     "local s = string.dump(function() return 1 end) return {load(function() local t = s s = nil return t end)}",
                     "local s = string.dump(function() return 1 end) local i = 0 "
                     "return {load(function() i = i + 1 if i <= #s then return s:sub(i, i) end end)}"):
            assert client.call("EVAL", body, 0) == [], body
        bytecode = client.call("EVAL", "return string.dump(function() return 1 end)", 0)
        assert "bytecode" in text(client.call("EVAL", bytecode, 0))


def test_figures_of_scripts(fanfared):
    with fanfared.client() as client:
        assert client.info("memory")["used_memory_lua"] == "0"
        client.call("EVAL", "return 1", 0)
        memory = client.info("memory")
        assert int(memory["used_memory_lua"]) > 10000
        assert memory["number_of_cached_scripts"] == "1"
        assert 0 < int(memory["used_memory_scripts_eval"]) < 1000


def test_a_long_script_that_fails_is_counted_as_failed(start_fanfared):
    with start_fanfared().client() as client:
        assert text(client.call("EVAL", FOR_MS + " .. nosuch()", 1, "n", 50)).startswith("ERR")
        assert "failed_calls=1" in client.info("commandstats")["cmdstat_eval"]
        assert client.info("errorstats") == {"errorstat_ERR": "count=1"}
