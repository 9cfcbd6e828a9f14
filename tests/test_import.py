"""Keys of Redis: "fanfare import" and "fanfared --import" read its snapshots and append-only files."""

import os
import pty
import random
import signal
import subprocess
import threading
import time

import pytest

from lib.daemon import Fanfared, Redis, free_port
from lib.resp import encode
from lib.wait import SANITIZED, seconds, wait_until

OK, ERROR_REPLY, USAGE, TIMEOUT, NO_CONNECTION, FAILED = range(6)
END_WITHOUT_CHECKSUM = b"\xff" + bytes(8)


@pytest.fixture
def folders(folder):
    """Folders of their own for Redis and for fanfared."""
    made = folder / "redis", folder / "fanfared"
    for each in made:
        each.mkdir()
    return made


@pytest.fixture
def redis(folders):
    """redis(*options) starts redis-server in its folder."""
    started = []

    def start(*options):
        started.append(Redis(folders[0], "--save", "", "--aof-use-rdb-preamble", "yes", *options).start())
        return started[-1]
    yield start
    for each in started:
        each.stop()


def fill(client, draw):
    """Keys of all types, with small and large values, in two databases."""
    def some_bytes(most):
        return draw.randbytes(draw.randrange(most + 1))

    def word():
        return draw.choice([str(draw.randrange(-9, 300)), str(draw.randrange(-(1 << 63), 1 << 63)), some_bytes(6),
                            b"abc" * draw.randrange(40), some_bytes(100)])

    for number in range(20):
        size = draw.choice([1, 2, 30, 200])
        words = [word() for _ in range(size)]
        client.call("SET", f"string{number}", draw.choice([word(), some_bytes(5000), b"ab" * 3000]))
        client.call("RPUSH", f"list{number}", *words)
        client.call("RPUSH", f"large{number}", *([some_bytes(9000)] + words))
        client.call("SADD", f"set{number}", *words)
        first = draw.choice([-5, 40000, 5000000000])
        client.call("SADD", f"numbers{number}", *range(first, first + size))
        client.call("ZADD", f"zset{number}", *sum(([draw.choice(["1", "-2.5", "inf", "-inf", "1e300", "0.1"]), each]
                                                   for each in words), []))
        client.call("HSET", f"hash{number}", *sum(([each, word()] for each in words), []))
        for name in "string", "list", "zset":
            if draw.random() < 0.5:
                client.call("PEXPIREAT", f"{name}{number}", int(time.time() * 1000) + 3600000 + number)
    client.call("SELECT", 5)
    client.call("SET", "elsewhere", "5")
    client.call("SELECT", 0)


READ = {
    b"string": lambda client, key: client.call("GET", key),
    b"list": lambda client, key: client.call("LRANGE", key, 0, -1),
    b"set": lambda client, key: sorted(client.call("SMEMBERS", key)),
    b"zset": lambda client, key: client.call("ZRANGE", key, 0, -1, "WITHSCORES"),
    b"hash": lambda client, key: dict(zip(*[iter(client.call("HGETALL", key))] * 2)),
}


def keys_of(daemon):
    """All keys that both kinds have: type, value, and when they expire."""
    client, keys = daemon.client(), {}
    for database in 0, 5:
        client.call("SELECT", database)
        for key in client.call("KEYS", "*"):
            kind = client.call("TYPE", key)
            keys[database, key] = kind, READ[kind](client, key), client.call("PEXPIRETIME", key)
    return keys


def start_with(folder, *options):
    return Fanfared(folder, *options).start()


def start_is_refused(folder, reason, *options):
    """The start fails for this reason, and leaves no data."""
    daemon = Fanfared(folder, *options)
    with pytest.raises(AssertionError):
        daemon.start()
    daemon.check_log()
    assert reason in daemon.log()


def data_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".aof"))


@pytest.mark.parametrize("options", [
    (),
    ("--rdbcompression", "no"),
    ("--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--set-max-intset-entries", "0",
     "--list-max-listpack-size", "3", "--list-compress-depth", "1"),
])
def test_snapshot_gives_the_same_keys_both_ways(folders, redis, import_files, options):
    source = redis(*options)
    fill(source.client(), random.Random(repr(options)))
    source.client().call("SAVE")
    expected = keys_of(source)
    daemon = start_with(folders[1])
    try:
        done = import_files(folders[0] / "dump.rdb", daemon)
        assert (done.returncode, done.stderr) == (OK, ""), done
        assert done.stdout.startswith(f"imported: keys: {len(expected)}, string: 21, list: 40, set: 40, "
                                      "sorted set: 20, hash: 20\n"), done
        assert keys_of(daemon) == expected
        # A key that exists already is replaced.
        assert import_files(folders[0], daemon).returncode == OK
        assert keys_of(daemon) == expected
    finally:
        daemon.stop()
    for number, persistence in enumerate([("--appendonly", "yes"), ("--appendonly", "no")]):
        own = folders[1] / str(number)
        own.mkdir()
        daemon = start_with(own, *persistence, "--import", folders[0])
        assert keys_of(daemon) == expected
        daemon.kill()
        start_is_refused(own, "an import is for the first start only", *persistence, "--import", folders[0])
        daemon = start_with(own, *persistence)
        assert keys_of(daemon) == expected
        daemon.stop()


def test_append_only_files_give_the_same_keys_both_ways(folders, redis, import_files):
    source = redis("--appendonly", "yes", "--appendfsync", "always")
    client, draw = source.client(), random.Random(7)
    fill(client, draw)
    client.call("BGREWRITEAOF")
    wait_until(lambda: b"aof_rewrite_in_progress:0" in client.call("INFO", "persistence")
               and b"aof_rewrite_scheduled:0" in client.call("INFO", "persistence"), "the rewrite to end")
    client.call("MULTI")
    client.call("SET", "in transaction", "1")
    client.call("RPUSH", "list1", "behind the base")
    client.call("EXEC")
    client.call("SELECT", 5)
    client.call("SET", "for a while", "v", "EX", 3600)
    client.call("INCR", "elsewhere")
    client.call("DEL", "not there")
    client.call("SELECT", 0)
    client.call("PERSIST", "string1")
    client.call("EXPIRE", "set1", 1000)
    expected = keys_of(source)
    source.kill()
    increment = max((folders[0] / "appendonlydir").glob("*.incr.aof"))
    whole = increment.stat().st_size
    with open(increment, "ab") as file:
        file.write(encode("MULTI") + encode("SET", "torn", "v"))
    told = (f"ends early: the last {increment.stat().st_size - whole} bytes, from offset {whole} on, are an "
            "incomplete transaction and are left out")
    daemon = start_with(folders[1])
    try:
        done = import_files(folders[0], daemon)
        assert done.returncode == OK and told in done.stderr, done
        assert keys_of(daemon) == expected
    finally:
        daemon.stop()
    own = folders[1] / "own"
    own.mkdir()
    start_is_refused(own, f"incomplete transaction at offset {whole}", "--import", folders[0],
                     "--aof-load-truncated", "no")
    assert data_in(own) == []
    daemon = start_with(own, "--appendonly", "yes", "--import", folders[0])
    assert keys_of(daemon) == expected and told in daemon.log()
    daemon.stop()


def add_streams(client):
    for number in range(300):
        client.call("XADD", "stream", f"{number + 1}-{number}", "field", number, *(("more", "x") if number % 3 else ()))
    client.call("XADD", "emptied", "*", "field", "value")
    client.call("XTRIM", "emptied", "MAXLEN", 0)
    client.call("XDEL", "stream", "5-4", "300-299")
    client.call("XGROUP", "CREATE", "stream", "group", "10-0")
    client.call("XGROUP", "CREATE", "stream", "other", "0")
    client.call("XREADGROUP", "GROUP", "group", "first", "COUNT", 5, "STREAMS", "stream", ">")
    client.call("XREADGROUP", "GROUP", "group", "second", "COUNT", 2, "STREAMS", "stream", ">")
    client.call("XGROUP", "CREATECONSUMER", "stream", "group", "idle")


def test_all_that_redis_has_arrives_at_redis(folders, redis, import_files):
    """Redis has what fanfared may lack. Its digest covers keys, values and expiry times of all databases."""
    source = redis("--enable-debug-command", "yes")
    client = source.client()
    fill(client, random.Random(5))
    add_streams(client)
    client.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    client.call("SAVE")
    target = Redis(folders[1], "--save", "", "--enable-debug-command", "yes").start()
    try:
        done = import_files(folders[0], target)
        assert done.returncode == OK and "stream: 2; libraries of functions: 1\n" in done.stdout, done
        for command in [("DEBUG", "DIGEST"), ("FUNCTION", "LIST", "WITHCODE"), ("XINFO", "STREAM", "emptied"),
                        ("XPENDING", "stream", "group"), ("XINFO", "GROUPS", "stream")]:
            assert target.client().call(*command) == client.call(*command), command
        consumers = [each.client().call("XINFO", "CONSUMERS", "stream", "group") for each in (source, target)]
        assert [each[:4] for each in consumers[0]] == [each[:4] for each in consumers[1]]
        pending = [each.client().call("XPENDING", "stream", "group", "-", "+", 10) for each in (source, target)]
        assert [(each[0], each[1], each[3]) for each in pending[0]] == [(each[0], each[1], each[3]) for each in pending[1]]
    finally:
        target.stop()


def test_append_only_files_are_for_an_empty_server_unless_told(folders, import_files):
    (folders[0] / "appendonly.aof").write_bytes(encode("SELECT", 5) + encode("RPUSH", "list", "element"))
    daemon = start_with(folders[1], "--user", "blind", "on", ">secret", "~*", "&*", "+@all", "-info")
    client = daemon.client()
    client.call("SELECT", 5)
    try:
        assert import_files(folders[0], daemon).returncode == OK
        done = import_files(folders[0], daemon)
        assert (done.returncode, done.stdout) == (ERROR_REPLY, ""), done
        assert "the server has keys already" in done.stderr and "--add" in done.stderr, done
        assert client.call("LRANGE", "list", 0, -1) == [b"element"]
        assert import_files(folders[0], daemon, "--add").returncode == OK
        assert client.call("LRANGE", "list", 0, -1) == [b"element", b"element"]
        client.call("FLUSHALL")
        done = import_files(folders[0], daemon, "--user", "blind", "--password", "secret")
        assert (done.returncode, done.stdout) == (ERROR_REPLY, "") and "NOPERM" in done.stderr, done
        assert client.call("DBSIZE") == 0
    finally:
        daemon.stop()


def test_pending_entries_of_deleted_entries_are_kept_or_told(folders, redis, import_files):
    source = redis()
    client = source.client()
    client.call("XGROUP", "CREATE", "stream", "group", "0", "MKSTREAM")
    for number in range(1, 6):
        client.call("XADD", "stream", number, "field", "value")
    client.call("XREADGROUP", "GROUP", "group", "consumer", "STREAMS", "stream", ">")
    client.call("XDEL", "stream", 2, 4)
    client.call("SAVE")
    daemon = start_with(folders[1])
    try:
        done = import_files(folders[0], daemon)
        assert done.returncode == OK, done
        assert "left out: pending entries of streams whose entries were deleted: 2\n" in done.stdout, done
        assert daemon.client().call("XPENDING", "stream", "group")[0] == 3
    finally:
        daemon.stop()
    own = folders[1] / "own"
    own.mkdir()
    daemon = start_with(own, "--import", folders[0])
    assert daemon.client().call("XPENDING", "stream", "group")[0] == 5
    daemon.stop()


def test_expiry_times_that_have_passed_act_when_all_is_read(folders, redis, import_files):
    past, future = int(time.time() * 1000) - 5000, int(time.time() * 1000) + 3600000
    commands = [("SELECT", 5), ("SET", "gone", "v", "PXAT", past), ("SELECT", 0)]
    for name in "renewed", "gone", "kept", "moved", "removed":
        commands.append(("SET", name, "v", "PXAT", past))
    commands += [("PEXPIREAT", "renewed", future), ("PERSIST", "kept"), ("RENAME", "moved", "there"),
                 ("DEL", "removed"), ("RPUSH", "list", "a"), ("PEXPIREAT", "list", past), ("SET", "last", "v")]
    (folders[0] / "appendonly.aof").write_bytes(b"".join(encode(*command) for command in commands))
    daemon = start_with(folders[1])
    try:
        done = import_files(folders[0], daemon)
        assert done.returncode == OK and "left out: expired keys: 4," in done.stdout, done
        imported = keys_of(daemon)
    finally:
        daemon.stop()
    assert {key: when for (_, key), (_, _, when) in imported.items()} == {b"renewed": future, b"kept": -1, b"last": -1}
    own = folders[1] / "own"
    own.mkdir()
    daemon = start_with(own, "--appendonly", "yes", "--import", folders[0])
    assert keys_of(daemon) == imported
    daemon.stop()
    assert keys_of(redis("--appendonly", "yes")) == imported


@pytest.mark.parametrize("target", [Fanfared, Redis])
def test_expiry_times_that_pass_during_the_import_act_at_its_end(folders, import_files, target):
    """The server is stopped until the times have passed; the commands are behind others in the file."""
    now = int(time.time() * 1000)
    soon, later = now + 1500, now + 3600000
    commands = [("SET", "x" * 1000, "y" * 1000)] * 10
    for name in "renewed", "kept", "appended", "gone", "moved", "copied", "swapped", "shortened":
        commands.append(("SET", name, "v", "PXAT", soon))
    commands += [("PEXPIREAT", "renewed", later), ("PERSIST", "kept"), ("APPEND", "appended", "more"),
                 ("PERSIST", "appended"), ("INCR", "rate"), ("PEXPIREAT", "rate", soon), ("INCR", "rate"),
                 ("INCR", "rate"), ("PERSIST", "rate"), ("MOVE", "moved", 5), ("COPY", "copied", "copied", "DB", 5),
                 ("PEXPIREAT", "shortened", now + 86400000 * 2), ("PEXPIREAT", "shortened", later, "LT"),
                 ("SELECT", 3), ("SET", "swapped", "v", "PXAT", soon), ("SET", "in 7", "v", "PXAT", later),
                 ("SWAPDB", 3, 7), ("DEL", "swapped")]
    (folders[0] / "appendonly.aof").write_bytes(b"".join(encode(*command) for command in commands))
    expected = {b"renewed": later, b"kept": -1, b"appended": -1, b"rate": -1, b"shortened": later, b"x" * 1000: -1}

    def check(daemon):
        client = daemon.client()
        assert {key: client.call("PEXPIRETIME", key) for key in client.call("KEYS", "*")} == expected
        assert (client.call("GET", "appended"), client.call("GET", "rate")) == (b"vmore", b"3")
        client.call("SELECT", 7)
        assert [(key, client.call("PEXPIRETIME", key)) for key in client.call("KEYS", "*")] == [(b"in 7", later)]
        for database in 3, 5:
            client.call("SELECT", database)
            assert client.call("DBSIZE") == 0

    daemon = target(folders[1]).start()
    try:
        os.kill(daemon.pid, signal.SIGSTOP)
        thaw = threading.Timer(max(soon / 1000 - time.time(), 0) + 0.5, os.kill, (daemon.pid, signal.SIGCONT))
        thaw.start()
        done = import_files(folders[0], daemon)
        thaw.join()
        assert done.returncode == OK and "left out: expired keys: 6," in done.stdout, done
        check(daemon)
    finally:
        daemon.stop()
    own = folders[1] / "own"
    own.mkdir()
    daemon = start_with(own, "--import", folders[0])
    check(daemon)
    daemon.stop()


def test_expiry_times_are_set_without_pexpiretime_and_their_loss_is_told(folders, import_files):
    later = int(time.time() * 1000) + 3600000
    (folders[0] / "appendonly.aof").write_bytes(encode("SET", "k", "v", "PXAT", later) + encode("SET", "own", "v"))
    daemon = start_with(folders[1], "--user", "old", "on", ">secret", "~*", "&*", "+@all", "-pexpiretime",
                        "--user", "blind", "on", ">secret", "~*", "&*", "+@all", "-scan")
    try:
        done = import_files(folders[0], daemon, "--user", "old", "--password", "secret")
        assert done.returncode == OK, done
        assert abs(daemon.client().call("PEXPIRETIME", "k") - later) < seconds(10) * 1000
        assert daemon.client().call("PEXPIRETIME", "own") == -1
        daemon.client().call("FLUSHALL")
        done = import_files(folders[0], daemon, "--user", "blind", "--password", "secret")
        assert done.returncode == ERROR_REPLY and "NOPERM" in done.stderr, done
        assert "1111 years later, because the import did not end: empty the server" in done.stderr, done
    finally:
        daemon.stop()


def write_snapshot(path, *records):
    path.write_bytes(b"REDIS0012" + b"".join(records) + END_WITHOUT_CHECKSUM)


def record(kind, key, *parts):
    return bytes([kind, len(key)]) + key + b"".join(parts)


def text(value):
    return bytes([len(value)]) + value


MODULE = b"\x81" + bytes.fromhex("1234567812345678")  # the type EjRWeBI0V
VALUE_OF_MODULE = MODULE + b"\x02\x40\x63\x05" + text(b"data") + b"\x00"


def test_what_is_not_here_is_counted_and_named(folders, import_files):
    path = folders[0] / "dump.rdb"
    write_snapshot(path, record(0, b"k", text(b"v")), record(7, b"m", VALUE_OF_MODULE),
                   record(7, b"n", VALUE_OF_MODULE), b"\xfc" + (1000).to_bytes(8, "little"),
                   record(0, b"expired", text(b"v")), record(2, b"empty", b"\x00"))
    lines = ["imported: keys: 1, string: 1", "left out: expired keys: 1, expired fields: 0, empty keys: 1",
             "not here: keys of module type EjRWeBI0V: 2"]
    daemon = start_with(folders[1])
    try:
        done = import_files(path, daemon)
        assert done.returncode == ERROR_REPLY and done.stdout.splitlines() == lines, done
        (folders[0] / "appendonly.aof").write_bytes(
            encode("SET", "k", "v") + encode("NO-SUCH-COMMAND", "k") + encode("LPUSH", "k", "v"))
        done = import_files(folders[0], daemon, "--add")
        assert done.returncode == ERROR_REPLY and "dump.rdb, which is not" in done.stderr, done
        assert done.stdout.splitlines()[0] == "imported: keys: 0; commands of append-only files: 1", done
        assert done.stdout.splitlines()[1].startswith("not here: NO-SUCH-COMMAND: 1 (ERR unknown command"), done
        assert done.stdout.splitlines()[2].startswith("refused: LPUSH: 1 (WRONGTYPE"), done
    finally:
        daemon.stop()
    own = folders[1] / "own"
    own.mkdir()
    daemon = start_with(own, "--import", path)
    assert all(f"import: {line}" in daemon.log() for line in lines)
    daemon.stop()
    daemon = start_with(folders[1], "--import", folders[0])
    assert "not here: NO-SUCH-COMMAND: 1" in daemon.log() and "refused: LPUSH: 1 (" in daemon.log()
    assert daemon.client().call("GET", "k") == b"v"
    daemon.stop()


def test_damaged_file_is_refused_before_anything_is_imported(folders, redis, import_files):
    source = redis()
    for number in range(300):
        source.client().call("SET", f"key{number}", f"value{number}")
    source.client().call("SAVE")
    path = folders[0] / "dump.rdb"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[whole.index(b"value7")] ^= 1
    daemon = start_with(folders[1])
    try:
        for content, reason in [(damaged, f"damaged at offset {len(whole) - 8}: the checksum does not match"),
                                (whole[:-9], f"damaged at offset {len(whole) - 9}: the file ends early"),
                                (b"hello", "damaged at offset 0: a snapshot begins with REDIS"),
                                (b"", "damaged at offset 0: a snapshot begins with REDIS")]:
            path.write_bytes(content)
            done = import_files(path, daemon)
            assert (done.returncode, done.stderr) == (FAILED, f"fanfare: {path}: {reason}\n"), done
            assert daemon.client().call("DBSIZE") == 0
            own = folders[1] / "own"
            own.mkdir(exist_ok=True)
            start_is_refused(own, f"import: {path}: {reason}", "--appendonly", "yes", "--import", path)
            assert data_in(own) == []
    finally:
        daemon.stop()


def test_files_of_redis_in_dir_are_to_be_moved_and_imported(folders):
    own, path = folders[1], folders[1] / "dump.rdb"
    write_snapshot(path, record(0, b"k", text(b"v")))
    told = "move the files of Redis to another folder"
    start_is_refused(own, "dir: dump.rdb was written by Redis and cannot be loaded, and there is no file of fanfared: "
                     f"{told} and start once with '--import' and its path")
    start_is_refused(own, f"which is only imported: {told} and start once with --import", "--dbfilename", "dump.rdb")
    start_is_refused(own, f"dir: dump.rdb was written by Redis: {told}, and name it with --import",
                     "--dbfilename", "dump.rdb", "--import", own)
    path.rename(folders[0] / "dump.rdb")
    daemon = start_with(own, "--dbfilename", "dump.rdb", "--import", folders[0])
    assert daemon.client().call("GET", "k") == b"v"
    daemon.stop()


def test_databases_that_are_missing_end_the_import(folders, import_files):
    path = folders[0] / "dump.rdb"
    write_snapshot(path, b"\xfe\x14", record(0, b"k", text(b"v")))
    daemon = start_with(folders[1])
    try:
        done = import_files(path, daemon)
        assert done.returncode == ERROR_REPLY and "cannot be selected" in done.stderr, done
        assert daemon.client().call("DBSIZE") == 0
    finally:
        daemon.stop()
    start_is_refused(folders[1], "import: database 20: start with more databases", "--import", path)


def test_errors_have_a_status_and_a_text(folders, fanfare_tool, import_files):
    daemon = start_with(folders[1], "--requirepass", "secret")
    write_snapshot(folders[0] / "dump.rdb", record(0, b"k", text(b"v")))
    try:
        done = import_files(folders[0], daemon)
        assert done.returncode == ERROR_REPLY and "NOAUTH" in done.stderr, done
        done = import_files(folders[0], daemon, "--password", "secret")
        assert done.returncode == OK, done
        done = import_files(folders[0] / "none", daemon)
        assert done.returncode == FAILED and "none: No such file or directory" in done.stderr, done
    finally:
        daemon.stop()
    done = import_files(folders[0], daemon)
    assert done.returncode == NO_CONNECTION and "cannot connect to" in done.stderr, done
    assert subprocess.run([fanfare_tool, "import"], capture_output=True, check=False).returncode == USAGE
    start_is_refused(folders[1], "", "--import", folders[0] / "none")
    done = subprocess.run([daemon.arguments(0)[0], "--import"], capture_output=True, check=False, text=True)
    assert done.returncode == 1 and "--import takes one value" in done.stderr, done


@pytest.mark.parametrize("moment", ["fanfared.lock", "fanfared-rewrite.tmp", "appendonly.aof"])
def test_a_crash_during_the_import_leaves_nothing_or_everything(folders, redis, moment):
    source = redis("--enable-debug-command", "yes")
    source.client().call("DEBUG", "POPULATE", 30000)
    source.client().call("SAVE")
    options = "--appendonly", "yes"
    arguments = Fanfared(folders[1]).arguments(free_port())
    process = subprocess.Popen([*arguments, *options, "--import", folders[0]], cwd=folders[1],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + seconds(10)
        # It may be killed later than at this moment, on a busy machine even after the import.
        while not {moment, "appendonly.aof"} & set(os.listdir(folders[1])):
            assert time.monotonic() < deadline and process.poll() is None
    finally:
        process.kill()
        process.wait()
    found = data_in(folders[1])
    assert found in ([], ["appendonly.aof"])
    daemon = start_with(folders[1], *options, *(() if found else ("--import", folders[0])))
    assert daemon.client().call("DBSIZE") == 30000
    daemon.stop()


def test_memory_does_not_grow_with_values(folders, fanfare_tool):
    with open(folders[0] / "dump.rdb", "wb") as file:
        file.write(b"REDIS0009" + record(1, b"list", b"\x80" + (80000).to_bytes(4, "big")))
        for _ in range(800):
            file.write((b"\x43\xe8" + b"x" * 1000) * 100)
        file.write(END_WITHOUT_CHECKSUM)
    daemon = start_with(folders[1])
    try:
        process = subprocess.Popen([fanfare_tool, "import", folders[0], "--to", f"redis://127.0.0.1:{daemon.port}"],
                                   stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == OK
        # It cannot be less than what this process had at the fork. Sanitizers keep what was freed.
        assert usage.ru_maxrss < (1024 if SANITIZED else 64) << 10, usage.ru_maxrss
        assert daemon.client().call("LLEN", "list") == 80000
    finally:
        daemon.stop()


def test_progress_is_shown_on_a_terminal_only(folders, fanfare_tool):
    write_snapshot(folders[0] / "dump.rdb", *(record(0, b"%d" % number, text(b"v")) for number in range(1000)))
    daemon = start_with(folders[1])
    try:
        ours, theirs = pty.openpty()
        words = [fanfare_tool, "import", folders[0], "--to", f"redis://127.0.0.1:{daemon.port}"]
        subprocess.run(words, stderr=theirs, stdout=subprocess.DEVNULL, check=True, timeout=seconds(20))
        shown = os.read(ours, 4096)
        assert b"checking  [" in shown and b"] " in shown and shown.endswith(b"\r\x1b[K"), shown
        os.close(ours)
        os.close(theirs)
        done = subprocess.run(words, capture_output=True, check=True, timeout=seconds(20))
        assert done.stderr == b""
    finally:
        daemon.stop()


def test_what_was_not_answered_in_time_is_told(folders, fanfare_tool):
    write_snapshot(folders[0] / "dump.rdb", *(record(0, b"%d" % number, text(b"v")) for number in range(1000)))
    daemon = start_with(folders[1])
    try:
        os.kill(daemon.pid, signal.SIGSTOP)
        process = subprocess.Popen([fanfare_tool, "import", folders[0], "--timeout", "0.5", "--to",
                                    f"redis://127.0.0.1:{daemon.port}"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        out, _ = process.communicate(timeout=seconds(20))
        assert process.returncode == TIMEOUT and "not answered: commands: 1000" in out, out
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
        daemon.stop()
