"""Files at the start: which are loaded, cut or refused, and that "fanfare aof check" reports the same."""

import random
import re
import subprocess

from lib.daemon import Fanfared
from lib.resp import encode

AOF = "appendonly.aof"
SNAPSHOT = "dump.aof"
HEADER = 62
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


def start_says(folder, *options):
    """Whether the daemon starts in this folder, and its log."""
    daemon = Fanfared(folder, *options)
    try:
        daemon.start()
    except AssertionError:
        daemon.check_log()
        return False, daemon.log()
    daemon.stop()
    return True, daemon.log()


def check_says(tool, path, *options):
    done = subprocess.run([tool, "aof", "check", *options, str(path)], capture_output=True, check=False, text=True)
    said = done.stdout or done.stderr.removeprefix("fanfare: ")
    return done.returncode, said.strip().removeprefix(f"{path}: ")


def check_agrees(folder, tool, what, daemon_options=(), check_options=()):
    """Start and check on a file as it is: cut tails refused, then allowed; and the file mended. What the check said."""
    whole = (folder / AOF).read_bytes() if (folder / AOF).is_file() else None
    status, said = check_says(tool, folder / AOF, *check_options)
    up, log = start_says(folder, "--appendonly", "yes", "--aof-load-truncated", "no", *daemon_options)
    assert up == (status == 0), (what, status, said, log)
    assert status == 0 or f"{AOF}: {said}" in log, (what, status, said, log)
    assert (status == 0) == said.startswith("good: "), (what, status, said)
    # An empty file gets its first batch, a mark, at once.
    assert not whole or (folder / AOF).read_bytes() == whole
    if said.startswith("ends early"):
        up, log = start_says(folder, "--appendonly", "yes", *daemon_options)
        assert up and f"{AOF}: {said}" in log, (what, said, log)
        kept = (folder / AOF).read_bytes() if not (folder / f"{AOF}.cut-0").exists() else b""
        assert whole == kept + (folder / f"{AOF}.cut-{len(kept)}").read_bytes()
    elif status == 1:
        fixed, _ = check_says(tool, folder / AOF, "--fix", *check_options)
        kept = (folder / AOF).read_bytes()
        assert fixed == 0 and whole == kept + (folder / f"{AOF}.cut-{len(kept)}").read_bytes(), what
    if status == 1:
        assert check_says(tool, folder / AOF, *check_options)[1].startswith("good: "), what
        for cut in folder.glob(f"{AOF}.cut-*"):
            cut.unlink()
    return status, said


def batches(start_fanfared, folder, *commands):
    """A file of one batch for each of these."""
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    for command in commands:
        client.call(*command.split())
    daemon.kill()
    return (folder / AOF).read_bytes()


def transaction(*commands):
    return b"".join(encode(*command.split()) for command in ("MULTI", *commands, "EXEC"))


def test_start_and_check_say_the_same_of_commands(folder, fanfare_tool):
    a = encode("SET", "a", "1")
    files = {
        "nothing": (b"", "good: 0 bytes"),
        "good": (a, "good: "),
        "annotations": (b"#TS:1700000000\r\n" + a + b"#TS:1700000001\r\n", "good: "),
        "a transaction": (transaction("SET b 1", "INCR b"), "good: "),
        "a database": (encode("SELECT", "15") + a, "good: "),
        "no such database": (a + encode("SELECT", "16"), f"damaged at offset {len(a)}: SELECT of an unknown database"),
        "far database": (encode("SELECT", "99") + a, "damaged at offset 0: SELECT"),
        "database no number": (encode("SELECT", "x") + a, "damaged at offset 0: SELECT"),
        "unknown": (a + encode("NOSUCH", "a"), f"damaged at offset {len(a)}: unknown command 'NOSUCH'"),
        "unknown bytes": (encode("\x1b[2J\n", "a"), "damaged at offset 0: unknown command"),
        "too few": (a + encode("SET", "a"), f"damaged at offset {len(a)}: wrong number of arguments for 'SET'"),
        "too many": (encode("GETDEL", "a", "b"), "damaged at offset 0: wrong number of arguments for 'GETDEL'"),
        "wrong type": (a + encode("RPUSH", "a", "x"), f"damaged at offset {len(a)}: rpush failed: -WRONGTYPE"),
        "no number": (a + encode("SET", "a", "x") + encode("INCR", "a"), "damaged at offset "),
        "bad syntax": (encode("SET", "a", "1", "NOSUCH"), "damaged at offset 0: set failed: -ERR syntax error"),
        "reads": (encode("GET", "a"), "damaged at offset 0: not a command that is kept on disk: 'GET'"),
        "waits": (encode("BLPOP", "a", "0"), "damaged at offset 0: not a command that is kept on disk: 'BLPOP'"),
        "publishes": (encode("PUBLISH", "a", "0"), "damaged at offset 0: not a command that is kept"),
        "subscribes": (encode("SUBSCRIBE", "a"), "damaged at offset 0: not a command that is kept"),
        "ends the daemon": (encode("SHUTDOWN", "NOSAVE"), "damaged at offset 0: not a command that is kept"),
        "configures": (encode("CONFIG", "SET", "dir", "/"), "damaged at offset 0: not a command that is kept"),
        "saves": (encode("SAVE"), "damaged at offset 0: not a command that is kept"),
        "debugs": (encode("DEBUG", "SEGFAULT"), "damaged at offset 0: not a command that is kept"),
        "half a transaction": (a + encode("MULTI") + a, f"ends early: the last {15 + len(a)} bytes, at offset {len(a)},"),
        "a lone MULTI": (encode("MULTI"), "ends early: "),
        "a lone EXEC": (a + encode("EXEC"), f"damaged at offset {len(a)}: EXEC without MULTI"),
        "EXEC twice": (transaction("SET a 1") + encode("EXEC"), "damaged at offset "),
        "MULTI twice": (encode("MULTI") + transaction("SET a 1"), "damaged at offset 15: MULTI in a transaction"),
        "DISCARD": (encode("MULTI") + a + encode("DISCARD"), "ends early: "),
        "half a command": (a + a[:-3], f"ends early: the last {len(a) - 3} bytes, at offset {len(a)},"),
        "zeros": (bytes(1000), "ends early: the last 1000 bytes, at offset 0,"),
        "zeros behind": (a + bytes(1000), f"ends early: the last 1000 bytes, at offset {len(a)},"),
        "text": (b"# what is this?\n", "damaged at offset 0: neither a batch nor an annotation of Redis"),
        "inline": (b"SET a 1\r\n", "damaged at offset 0: expected a command"),
        "Redis's snapshot": (b"REDIS0011\xfa\tredis-ver\x057.2.0", "damaged at offset 0: this is Redis's binary form"),
        "... and commands": (b"REDIS0011\xff12345678" + a, "damaged at offset 0: this is Redis's binary form"),
        "no length": (b"*3\r\n$3\r\nSET\r\n$-1\r\n", "damaged at offset 0: invalid length"),
        "wrong length": (b"*2\r\n$3\r\nDEL\r\n$1\r\nab\r\n", "damaged at offset 0: argument without CR LF at its end"),
        "a header alone": (b"#FANFARE1 ", "ends early: the last 10 bytes, at offset 0, are incomplete"),
    }
    for what, (content, expected) in files.items():
        (folder / AOF).write_bytes(content)
        _, said = check_agrees(folder, fanfare_tool, what)
        assert said.startswith(expected), (what, said)


def test_start_and_check_say_the_same_of_batches_cut_flipped_and_torn(start_fanfared, folder, fanfare_tool):
    rng = random.Random(8)
    whole = batches(start_fanfared, folder, "SET a 1", "RPUSH list x y", "SET b 2")
    headers = [found.start() for found in re.finditer(rb"#FANFARE1", whole)]
    assert len(headers) == 4  # the mark of the beginning is the first
    for cut in sorted(rng.sample(range(1, len(whole)), 20)) + headers[1:]:
        (folder / AOF).write_bytes(whole[:cut])
        status, said = check_agrees(folder, fanfare_tool, cut)
        kept = max(at for at in [*headers, len(whole)] if at <= cut)
        assert status == (0 if cut in headers else 1)
        assert said.startswith(f"ends early: the last {cut - kept} bytes, at offset {kept}," if status else "good: ")
    for bit in rng.sample(range(len(whole) * 8), 20) + [len(whole) * 8 - 1]:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / AOF).write_bytes(flipped)
        assert re.match(r"damaged at offset \d+: ", check_agrees(folder, fanfare_tool, bit)[1])
    last = headers[-1]
    for what, torn in {
            "zeros": bytes(len(whole) - last),
            "zeros behind the header": whole[last:last + HEADER] + bytes(len(whole) - last - HEADER),
            "zeros to a sector": whole[last:-5] + bytes(5),
            "no header": bytes(HEADER) + whole[last + HEADER:],
            "noise": rng.randbytes(len(whole) - last),
            "a longer tail": bytes(4096),
            "stale": whole[headers[0] + 30:][:len(whole) - last],
            "short": bytes(20)}.items():
        (folder / AOF).write_bytes(whole[:last] + torn)
        _, said = check_agrees(folder, fanfare_tool, what)
        assert said.startswith(f"ends early: the last {len(torn)} bytes, at offset {last}, are incomplete"), what


def test_start_and_check_say_the_same_of_databases_and_what_is_no_file(folder, fanfare_tool):
    content = encode("SELECT", "20") + encode("SET", "a", "1")
    (folder / AOF).write_bytes(content)
    assert check_agrees(folder, fanfare_tool, "20 of 16")[0] == 1
    (folder / AOF).write_bytes(content)
    for options in (("--databases", "21"), ("--config", str(folder / "fanfared.conf"))):
        (folder / "fanfared.conf").write_text("databases 21\n")
        assert check_agrees(folder, fanfare_tool, options, ("--databases", "21"), options)[0] == 0
    assert check_agrees(folder, fanfare_tool, "20 of 20", ("--databases", "20"), ("--databases", "20"))[0] == 1
    assert check_says(fanfare_tool, folder / AOF, "--config", str(folder / "none"))[0] == 2
    (folder / AOF).unlink()
    (folder / AOF).mkdir()
    assert check_agrees(folder, fanfare_tool, "a folder") == (5, "Is a directory")


def test_a_snapshot_is_checked_as_one(start_fanfared, folder, fanfare_tool):
    daemon = start_fanfared()
    client = daemon.client()
    client.ok("SET", "a", "1")
    client.ok("SAVE")
    daemon.kill()
    path = folder / SNAPSHOT
    whole = path.read_bytes()
    assert check_says(fanfare_tool, path)[1].startswith("good: ")
    mark = whole.rfind(b"#FANFARE1")
    for bad in (whole[:mark], whole[:-1], whole[:mark - 1], whole[:mark] + bytes(len(whole) - mark), b"",
                whole + bytes(10)):
        path.write_bytes(bad)
        status, said = check_says(fanfare_tool, path)
        up, log = start_says(folder)
        assert status == 1 and not up and f"{SNAPSHOT}: {said}" in log
        assert check_says(fanfare_tool, path, "--fix")[0] == 2
        assert path.read_bytes() == bad
    # With another name it is a snapshot only if --snapshot is given.
    (folder / "other").write_bytes(whole[:mark])
    assert check_says(fanfare_tool, folder / "other")[0] == 0
    assert check_says(fanfare_tool, folder / "other", "--snapshot")[0] == 1
    (folder / "fanfared.conf").write_text("dbfilename other\n")
    assert check_says(fanfare_tool, folder / "other", "--config", str(folder / "fanfared.conf"))[0] == 1


def test_after_a_torn_tail_the_file_goes_on(start_fanfared, folder):
    whole = batches(start_fanfared, folder, "SET a 1", "SET b 2", "SET c 3")
    last = whole.rfind(b"#FANFARE1")
    (folder / AOF).write_bytes(whole[:last] + bytes(512))
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    assert client.call("DBSIZE") == 2
    assert (folder / f"{AOF}.cut-{last}").read_bytes() == bytes(512)
    assert f"the other 512 are saved in {AOF}.cut-{last}" in daemon.log()
    client.ok("SET", "d", "4")
    daemon.kill()
    daemon = start_fanfared(*ALWAYS)
    assert daemon.client().call("MGET", "a", "b", "c", "d") == [b"1", b"2", None, b"4"]
    assert "ends early" not in daemon.log()


def test_damage_before_batches_that_followed_it_is_not_cut_off(start_fanfared, folder):
    whole = batches(start_fanfared, folder, "SET a 1", "SET b 2", "SET c 3")
    second = whole.find(b"#FANFARE1", 1)
    for at in (second, second + 30, second + HEADER + 10, HEADER + 3):
        damaged = whole[:at] + bytes(9) + whole[at + 9:]
        (folder / AOF).write_bytes(damaged)
        up, log = start_says(folder, *ALWAYS)
        assert not up and f"{AOF}: damaged at offset {second if at >= second else 0}: " in log
        assert (folder / AOF).read_bytes() == damaged


def test_a_folder_with_files_of_redis_and_none_of_ours_is_refused(start_fanfared, start_redis, folder):
    redis = start_redis("--appendonly", "yes")
    client = redis.client()
    client.ok("SET", "a", "1")
    client.ok("SAVE")
    redis.stop()
    assert (folder / "dump.rdb").exists() and (folder / "appendonlydir").is_dir()
    for options in ((), ("--appendonly", "yes"), ("--save", "1 1"), ("--appendfilename", "other.aof")):
        up, log = start_says(folder, *options)
        assert not up and "dump.rdb was written by Redis" in log and "ignore-redis-files" in log, log
    (folder / "dump.rdb").rename(folder / "elsewhere")
    up, log = start_says(folder, "--appendonly", "yes")
    assert not up and "appendonlydir was written by Redis" in log
    daemon = start_fanfared(*ALWAYS, "--ignore-redis-files", "yes")
    daemon.client().ok("SET", "ours", "1")
    daemon.stop()
    # Now there is a file of fanfared, and the start succeeds.
    (folder / "elsewhere").rename(folder / "dump.rdb")
    daemon = start_fanfared(*ALWAYS)
    assert daemon.client().call("DBSIZE") == 1
    daemon.stop()
    # What it would have to load is never overwritten, whatever is said.
    (folder / AOF).write_bytes((folder / "dump.rdb").read_bytes())
    up, log = start_says(folder, *ALWAYS, "--ignore-redis-files", "yes")
    assert not up and "this is Redis's binary form" in log
    up, log = start_says(folder)
    assert not up and f"{AOF} was written by Redis" in log
