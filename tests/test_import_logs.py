"""Append-only files of Redis: what they have beside the commands of clients, and where they are."""

import shutil

import pytest

from lib.daemon import Fanfared, Redis
from lib.resp import encode
from lib.wait import wait_until

OK, FAILED = 0, 5


@pytest.fixture
def folders(folder):
    """A folder of Redis, and one that makes folders for fanfared."""
    made = folder / "redis"
    made.mkdir()

    def own(name):
        (folder / name).mkdir()
        return folder / name
    return made, own


@pytest.fixture
def redis(folders):
    """redis(*options) starts redis-server in its folder, with an append-only file."""
    started = []

    def start(*options):
        started.append(Redis(folders[0], "--save", "", "--appendonly", "yes", "--appendfsync", "always", *options).start())
        return started[-1]
    yield start
    for each in started:
        each.stop()


def increment_of(folder):
    (found,) = folder.glob("*.incr.aof")
    return found


# ---- Where they are


def test_files_in_another_folder_than_redis_s_own_are_found(folders, redis, import_files):
    source = redis("--appenddirname", "journal")
    client = source.client()
    client.call("SET", "k", "old")
    client.call("SAVE")
    client.call("SET", "k", "new")
    source.stop()
    manifest = folders[0] / "journal" / "appendonly.aof.manifest"
    daemon = Fanfared(folders[1]("empty")).start()
    try:
        done = import_files(folders[0], daemon)
        assert done.returncode == OK and "dump.rdb, which is not" in done.stderr, done
        assert daemon.client().call("GET", "k") == b"new"
        first = Fanfared(folders[1]("first"), "--import", folders[0]).start()
        assert first.client().call("GET", "k") == b"new"
        first.stop()
        manifest.rename(folders[0] / "journal" / "temp-appendonly.aof.manifest")
        told = "but no manifest, which says which of them are read and in what order: restore it, or name the file to be read"
        done = import_files(folders[0], daemon)
        assert done.returncode == FAILED and told in done.stderr, done
        second = Fanfared(folders[1]("second"), "--import", folders[0])
        with pytest.raises(AssertionError, match=told):
            second.start()
    finally:
        daemon.stop()


# ---- Expiry times


def test_a_restored_key_whose_life_was_made_longer_is_not_lost(folders, redis, import_files):
    source = redis()
    client = source.client()
    client.call("SET", "k", "v")
    dumped = client.call("DUMP", "k")
    for name in "renewed", "kept", "gone":
        client.call("RESTORE", name, 1000, dumped)
    client.call("PEXPIRE", "renewed", 50000)
    client.call("PERSIST", "kept")
    wait_until(lambda: client.call("EXISTS", "gone") == 0, "its time has passed")
    ends = client.call("PEXPIRETIME", "renewed")
    source.stop()
    (folders[0] / "target").mkdir()
    target = Redis(folders[0] / "target", "--save", "").start()
    try:
        done = import_files(folders[0], target)
        assert done.returncode == OK, done
        client = target.client()
        assert sorted(client.call("KEYS", "*")) == [b"k", b"kept", b"renewed"]
        assert [client.call("PEXPIRETIME", key) for key in ("renewed", "kept")] == [ends, -1]
        assert client.call("GET", "renewed") == b"v"
    finally:
        target.stop()


# ---- Pending entries of streams


def pending_ids(daemon):
    return {key: [entry[0] for entry in daemon.client().call("XPENDING", key, "group", "-", "+", 10)] for key in ("one", "two")}


def test_pending_entries_that_redis_has_dropped_do_not_come_back(folders, redis, import_files):
    """It logs them as claimed, and drops them again when it reads its file."""
    source = redis()
    client = source.client()
    for key in "one", "two":
        for number in range(1, 5):
            client.call("XADD", key, f"{number}-0", "field", "value")
        client.call("XGROUP", "CREATE", key, "group", "0")
        client.call("XREADGROUP", "GROUP", "group", "first", "STREAMS", key, ">")
        client.call("XDEL", key, "2-0")
    client.call("XCLAIM", "one", "group", "second", 0, "1-0", "2-0")
    client.call("XAUTOCLAIM", "two", "group", "second", 0, "0")
    expected = pending_ids(source)
    assert expected == {key: [b"1-0", b"3-0", b"4-0"] for key in ("one", "two")}
    source.stop()
    increment = increment_of(folders[0] / "appendonlydir")
    assert increment.read_bytes().count(b"2-0") >= 8  # added, read, deleted and dropped
    daemon = Fanfared(folders[1]("empty")).start()
    try:
        done = import_files(folders[0], daemon)
        assert done.returncode == OK and "left out" not in done.stdout, done
        assert pending_ids(daemon) == expected
    finally:
        daemon.stop()
    first, plain = folders[1]("first"), folders[1]("plain")
    shutil.copy(increment, plain / "appendonly.aof")
    for own, options in (first, ("--import", folders[0])), (plain, ()), (first, ()), (plain, ()):
        daemon = Fanfared(own, "--appendonly", "yes", *options).start()
        assert pending_ids(daemon) == expected
        daemon.stop()


# ---- Scripts


def test_scripts_are_executed_over_a_connection_and_named_at_the_first_start(folders, import_files):
    """Redis before 5 logs the scripts themselves, later ones what they have changed."""
    body = "return redis.call('SET', KEYS[1], ARGV[1])"
    commands = [("SET", "k", "v"), ("SCRIPT", "LOAD", body), ("EVAL", body, 1, "a", 1), ("eval", body, 1, "b", 2), ("SET", "z", 3),
                ("BLPOP", "list", 1), ("NO-SUCH-COMMAND",)]
    (folders[0] / "appendonly.aof").write_bytes(b"".join(encode(*command) for command in commands))
    daemon = Fanfared(folders[1]("empty")).start()
    try:
        done = import_files(folders[0], daemon)
        assert done.stdout.splitlines()[1].startswith("not here: NO-SUCH-COMMAND: 1 ("), done
        assert daemon.client().call("MGET", "k", "a", "b", "z") == [b"v", b"1", b"2", b"3"]
    finally:
        daemon.stop()
    daemon = Fanfared(folders[1]("first"), "--import", folders[0]).start()
    assert daemon.client().call("MGET", "k", "a", "b", "z") == [b"v", None, None, b"3"]
    daemon.stop()
    why = "--import executes no scripts: start the daemon, and import with 'fanfare import'"
    for told in (f"import: refused: EVAL: 2 ({why})", f"import: refused: SCRIPT: 1 ({why})", "import: not here: NO-SUCH-COMMAND: 1",
                 "import: refused: BLPOP: 1 (not a command that is kept on disk: 'BLPOP')"):
        assert told in daemon.log(), daemon.log()
