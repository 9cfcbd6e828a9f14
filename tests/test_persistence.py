"""Persistence: acknowledged changes survive, damaged files are not loaded, and only clients that must wait for the disk do."""

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import missing
from lib.daemon import Fanfared, Redis
from lib.resp import Closed, Connection, Error, encode
from lib.wait import SLOW, seconds, wait_until

AOF = "appendonly.aof"
HEADER = 62
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
EVERYSEC = ("--appendonly", "yes")


class Writer(threading.Thread):
    """Sets its keys one after the other, and knows which were acknowledged."""

    def __init__(self, daemon, name, pipeline=1):
        super().__init__(daemon=True)
        self.connection = Connection(daemon.address, timeout=30)
        self.name, self.pipeline = name, pipeline
        self.acknowledged = 0
        self.sent = 0
        self.start()

    def run(self):
        try:
            while True:
                batch = range(self.sent, self.sent + self.pipeline)
                self.sent += self.pipeline
                self.connection.send(b"".join(encode("SET", f"{self.name}:{i}", f"v{i}") for i in batch))
                for _ in batch:
                    assert self.connection.read_value() == b"OK"
                    self.acknowledged += 1
        except (Closed, OSError):
            pass


def start_writers(daemon, count=8, pipeline=1):
    return [Writer(daemon, f"w{i}", pipeline) for i in range(count)]


def check_writers(daemon, writers, others=0):
    """All that was acknowledged is there, and nothing that was not sent."""
    client = daemon.client()
    total = 0
    for writer in writers:
        writer.join(10)
        assert writer.acknowledged > 0
        for i in range(writer.acknowledged):
            client.command("GET", f"{writer.name}:{i}")
        for i in range(writer.acknowledged):
            assert client.read_value() == b"v%d" % i, (writer.name, i, writer.acknowledged)
        total += writer.sent
    assert client.call("DBSIZE") <= total + others


def fails_to_start(daemon_class, folder, *options):
    """Its log, once it has refused to start."""
    daemon = daemon_class(folder, *options)
    with pytest.raises(AssertionError):
        daemon.start()
    daemon.check_log()
    return daemon.log()


def fill(client, count, size=20, prefix="k"):
    client.send(b"".join(encode("SET", f"{prefix}{i}", "x" * size) for i in range(count)))
    for _ in range(count):
        assert client.read_value() == b"OK"


def rewrite(client):
    before = int(client.info("persistence")["aof_rewrites"])
    reply = client.call("BGREWRITEAOF")
    assert reply == b"Background append only file rewriting started", reply
    wait_until(lambda: int(client.info("persistence")["aof_rewrites"]) > before, "rewritten")


@pytest.mark.parametrize("pipeline", [1, 50])
def test_what_was_acknowledged_under_always_is_there_after_kill_9(start_fanfared, pipeline):
    daemon = start_fanfared(*ALWAYS)
    for round in range(3):
        writers = start_writers(daemon, pipeline=pipeline)
        wait_until(lambda: all(writer.acknowledged >= 20 * pipeline for writer in writers), "writes")
        daemon.kill()
        daemon = start_fanfared(*ALWAYS)
        check_writers(daemon, writers)
        client = daemon.client()
        for writer in writers:  # the next round has other keys
            client.call("DEL", *(f"{writer.name}:{i}" for i in range(writer.sent)))


def test_under_everysec_nothing_is_lost_by_kill_9_but_what_was_not_written_yet(start_fanfared):
    daemon = start_fanfared(*EVERYSEC)
    writers = start_writers(daemon)
    wait_until(lambda: all(writer.acknowledged >= 200 for writer in writers), "writes")
    acknowledged = [writer.acknowledged for writer in writers]
    client = daemon.client()
    wait_until(lambda: client.info("persistence")["aof_buffer_length"] == "0", "all written")
    daemon.kill()
    daemon = start_fanfared(*EVERYSEC)
    client = daemon.client()
    for writer, count in zip(writers, acknowledged):
        for i in range(count):
            assert client.call("GET", f"{writer.name}:{i}") == b"v%d" % i


def test_all_that_changes_keys_is_the_same_after_a_restart(start_fanfared):
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    client.ok("SET", "plain", b"\x00\r\n$\xff")
    client.ok("SET", "short", "v", "PX", "1")
    client.ok("SET", "long", "v", "EX", "1000")
    client.ok("SET", "gone", "v")
    assert client.call("DEL", "gone") == 1
    client.ok("SELECT", "3")
    client.ok("SET", "elsewhere", "v")
    assert client.call("EXPIRE", "elsewhere", "500") == 1
    client.ok("SELECT", "0")
    ends = client.call("PEXPIRETIME", "long")
    wait_until(lambda: client.call("GET", "short") is None, "the short key ends")
    daemon.kill()
    client = start_fanfared(*ALWAYS).client()
    assert client.call("DBSIZE") == 2
    assert client.call("GET", "plain") == b"\x00\r\n$\xff"
    assert client.call("PEXPIRETIME", "long") == ends
    client.ok("SELECT", "3")
    assert 0 < client.call("TTL", "elsewhere") <= 500


@pytest.mark.parametrize("seed", range(6))
def test_kill_9_in_the_midst_of_a_rewrite_loses_nothing(start_fanfared, folder, seed):
    rng = random.Random(seed)
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    fill(client, 30000, size=100)
    writers = start_writers(daemon, 4, pipeline=10)
    wait_until(lambda: all(writer.acknowledged for writer in writers), "writes")
    for _ in range(rng.randrange(2)):
        rewrite(client)
    client.call("BGREWRITEAOF")
    time.sleep(rng.random() * 0.25)  # anywhere in it: the seed says where
    daemon.kill()
    daemon = start_fanfared(*ALWAYS)
    check_writers(daemon, writers, 30000)
    client = daemon.client()
    for i in range(0, 30000, 997):
        assert client.call("GET", f"k{i}") == b"x" * 100
    assert not list(folder.glob("*.tmp"))


def test_a_rewrite_makes_the_file_small_and_loses_nothing_that_comes_meanwhile(start_fanfared, folder):
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    for _ in range(20):
        fill(client, 1000)
    large = (folder / AOF).stat().st_size
    writers = start_writers(daemon, 4, pipeline=10)
    wait_until(lambda: all(writer.acknowledged for writer in writers), "writes")
    for _ in range(5):
        rewrite(client)
    figures = client.info("persistence", "stats")
    assert figures["aof_last_bgrewrite_status"] == "ok"
    assert int(figures["latest_fork_usec"]) > 0
    daemon.kill()
    daemon = start_fanfared(*ALWAYS)
    check_writers(daemon, writers, 1000)
    client = daemon.client()
    client.call("DEL", *(f"{writer.name}:{i}" for writer in writers for i in range(writer.sent)))
    rewrite(client)
    assert (folder / AOF).stat().st_size < large / 5
    assert client.call("DBSIZE") == 1000


def test_the_file_is_rewritten_by_itself_when_it_has_grown(start_fanfared, folder):
    daemon = start_fanfared(*EVERYSEC, "--auto-aof-rewrite-min-size", "64kb")
    client = daemon.client()
    for _ in range(10):
        fill(client, 1000)
    wait_until(lambda: int(client.info("persistence")["aof_rewrites"]) > 0, "a rewrite")
    wait_until(lambda: (folder / AOF).stat().st_size < 200000, "the small file")


def test_a_cut_tail_loads_with_a_warning_and_loses_only_the_tail(start_fanfared, folder):
    rng = random.Random(4)
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    for i in range(200):
        client.ok("SET", f"k{i}", i)
    daemon.stop()
    whole = (folder / AOF).read_bytes()
    for _ in range(8):
        cut = rng.randrange(1, len(whole))
        (folder / AOF).write_bytes(whole[:cut])
        daemon = start_fanfared(*ALWAYS)
        client = daemon.client()
        kept = client.call("DBSIZE")
        # Every command before the cut is there: each has a batch of its own here.
        assert kept == len(re.findall(rb"\r\nset\r\n\$\d+\r\n[^\r]+\r\n\$\d+\r\n\d+\r\n", whole[:cut], re.I))
        for i in range(kept):
            assert client.call("GET", f"k{i}") == b"%d" % i
        client.ok("SET", "after", "1")
        assert "ends early" in daemon.log() or (folder / AOF).read_bytes()[:cut] == whole[:cut]
        daemon.kill()
        daemon = start_fanfared(*ALWAYS)
        assert daemon.client().call("DBSIZE") == kept + 1
        assert "ends early" not in daemon.log()
        daemon.stop()
    (folder / AOF).write_bytes(whole[:-3])
    log = fails_to_start(Fanfared, folder, *ALWAYS, "--aof-load-truncated", "no")
    assert "ends early" in log and "aof-load-truncated" in log
    assert (folder / AOF).read_bytes() == whole[:-3]


def test_a_single_changed_bit_anywhere_stops_the_start_with_its_place(start_fanfared, folder):
    rng = random.Random(5)
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    for i in range(40):
        client.ok("SET", f"k{i}", i)
    daemon.stop()
    whole = (folder / AOF).read_bytes()
    places = [0, 7, len(whole) * 8 - 1, (len(whole) - 5) * 8] + [rng.randrange(len(whole) * 8) for _ in range(20)]
    for bit in places:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (folder / AOF).write_bytes(damaged)
        log = fails_to_start(Fanfared, folder, *ALWAYS)
        found = re.search(r"appendonly\.aof: damaged at offset (\d+): .+", log)
        assert found, (bit, log)
        assert int(found[1]) <= bit // 8
        assert (folder / AOF).read_bytes() == damaged


def test_a_second_daemon_on_the_same_folder_is_refused(start_fanfared, folder):
    daemon = start_fanfared(*EVERYSEC)
    log = fails_to_start(Fanfared, folder, *EVERYSEC)
    assert f"in use by another fanfared (process {daemon.pid})" in log
    # One that keeps nothing may be there, until it wants to.
    other = start_fanfared()
    client = other.client()
    reply = client.call("CONFIG", "SET", "appendonly", "yes")
    assert isinstance(reply, Error) and b"another fanfared" in reply.text
    assert isinstance(client.call("SAVE"), Error)
    daemon.kill()
    client.ok("SAVE")


def test_a_full_disk_refuses_changes_and_they_go_on_when_there_is_room(start_fanfared, folder):
    for options in (ALWAYS, EVERYSEC):
        for file in folder.glob("*.aof"):
            file.unlink()
        daemon = start_fanfared(*options, prefix=("prlimit", "--fsize=40000:unlimited"))
        client, other = daemon.client(), daemon.client()
        subscriber = daemon.client()
        subscriber.subscribe("news")
        kept = 0
        full = Error(b"MISCONF Errors writing to the AOF file: File too large")
        while True:
            reply = client.call("SET", f"k{kept}", "x" * 500)
            if reply != b"OK":
                break
            kept += 1
            assert kept < 200 or options is not ALWAYS
            assert kept < 1000000
        assert reply == full
        size = (folder / AOF).stat().st_size
        assert size <= 40000
        assert other.call("GET", "k0") == b"x" * 500
        assert other.call("PUBLISH", "news", "hello") == 1
        assert subscriber.read_value() == [b"message", b"news", b"hello"]
        assert other.call("DEL", "k0") == full
        assert other.info("persistence")["aof_last_write_status"] == "err"
        subprocess.run(["prlimit", "--pid", str(daemon.pid), "--fsize=unlimited:unlimited"], check=True)
        wait_until(lambda: client.call("SET", "again", "1") == b"OK", "writing again")
        assert client.info("persistence")["aof_last_write_status"] == "ok"
        assert "changes are refused" in daemon.log() and "writes succeed again" in daemon.log()
        if options is EVERYSEC:
            wait_until(lambda: client.info("persistence")["aof_buffer_length"] == "0", "all written")
        daemon.kill()
        daemon = start_fanfared(*options)
        client = daemon.client()
        for i in range(kept):
            assert client.call("GET", f"k{i}") == b"x" * 500
        assert client.call("GET", "again") == b"1"
        daemon.stop()


@pytest.fixture(scope="session")
def slow_disk(tmp_path_factory):
    """A library that makes fdatasync take 0.5 s, for LD_PRELOAD."""
    if not shutil.which("cc"):
        missing("a compiler")
    path = tmp_path_factory.mktemp("slow") / "slow.so"
    path.with_suffix(".c").write_text(
        "#include <time.h>\n"
        "int fdatasync(int fd) { struct timespec t = {0, 500000000}; (void)fd; return nanosleep(&t, 0); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(path), str(path.with_suffix(".c"))], check=True)
    # A sanitizer's own library has to come before.
    linked = subprocess.run(["ldd", os.environ["FANFARED"]], capture_output=True, text=True, check=True).stdout
    return " ".join([*re.findall(r"=> (/\S*/lib[atu]b?san\S*)", linked), str(path)])


def test_a_slow_sync_holds_up_nobody_but_who_waits_for_it(start_fanfared, slow_disk):
    daemon = start_fanfared(*ALWAYS, env={"LD_PRELOAD": slow_disk})
    writer, other, subscriber = daemon.client(), daemon.client(), daemon.client()
    subscriber.subscribe("news")
    begun = time.monotonic()
    for i in range(20):
        writer.command("SET", "key", i)
    writer.command("GET", "key")
    quickest = 60
    while time.monotonic() - begun < 0.4:
        sent = time.monotonic()
        assert other.call("PUBLISH", "news", "x") == 1
        assert subscriber.read_value() == [b"message", b"news", b"x"]
        assert other.call("GET", "key") in (None, b"19")
        quickest = min(quickest, time.monotonic() - sent)
    # Held up by the sync, all of them would take what is left of its 0.5 s.
    assert quickest < 0.1
    for _ in range(20):
        assert writer.read_value() == b"OK"
    assert writer.read_value() == b"19"  # in order, behind what it acknowledges
    assert time.monotonic() - begun > 0.4


def test_messages_are_not_held_back_but_replies_stay_in_order(start_fanfared, slow_disk):
    daemon = start_fanfared(*ALWAYS, env={"LD_PRELOAD": slow_disk})
    client, other = daemon.client(version=3), daemon.client()
    client.subscribe("news")
    client.command("SET", "key", "1")
    client.command("PING")
    client.command("SUBSCRIBE", "more")
    assert other.call("PUBLISH", "news", "now") == 1
    assert client.read_value() == [b"message", b"news", b"now"]
    assert client.read_value() == b"OK"
    assert client.read_value() == b"PONG"
    assert client.read_value() == [b"subscribe", b"more", 2]


def test_who_ends_after_writing_still_gets_the_replies(start_fanfared, slow_disk):
    daemon = start_fanfared(*ALWAYS, env={"LD_PRELOAD": slow_disk})
    for end in (b"", encode("QUIT")):
        client = daemon.client()
        client.send(encode("SET", "key", "1") + encode("GET", "key") + end)
        client.finish_sending()
        assert client.read_to_end() == b"+OK\r\n$1\r\n1\r\n" + (b"+OK\r\n" if end else b"")
    client = daemon.client()
    client.command("SET", "key", "2")
    wait_until(lambda: daemon.client().call("GET", "key") == b"2", "it was carried out")
    daemon.process.send_signal(signal.SIGTERM)
    assert client.read_value() == b"OK"
    assert daemon.wait() == 0


def test_a_snapshot_is_written_loaded_and_refused_when_damaged(start_fanfared, folder):
    daemon = start_fanfared()
    client = daemon.client()
    before = client.call("LASTSAVE")
    client.ok("SET", "a", "1")
    client.ok("SET", "b", "2", "EX", "1000")
    assert client.info("persistence")["rdb_changes_since_last_save"] != "0"
    client.ok("SAVE")
    assert client.call("LASTSAVE") >= before
    assert client.info("persistence")["rdb_changes_since_last_save"] == "0"
    client.ok("SET", "c", "lost")
    daemon.kill()
    daemon = start_fanfared()
    client = daemon.client()
    assert client.call("DBSIZE") == 2 and client.call("GET", "a") == b"1"
    client.ok("SET", "d", "4")
    assert client.call("BGSAVE") == b"Background saving started"
    wait_until(lambda: client.info("persistence")["rdb_saves"] == "1", "the snapshot")
    daemon.kill()
    whole = (folder / "dump.aof").read_bytes()
    # Cut, even behind a batch: a snapshot says where it ends.
    last = whole.rfind(b"#FANFARE1")
    for bad in (whole[:-1], whole[:last], whole[:20] + b"x" + whole[21:]):
        (folder / "dump.aof").write_bytes(bad)
        assert "dump.aof: " in fails_to_start(Fanfared, folder)
    (folder / "dump.aof").write_bytes(whole)
    daemon = start_fanfared(*ALWAYS)  # goes on from the snapshot
    assert daemon.client().call("DBSIZE") == 3
    (folder / "dump.aof").unlink()
    daemon.kill()
    assert start_fanfared(*ALWAYS).client().call("DBSIZE") == 3


def test_save_rules_write_snapshots_and_the_last_one_at_the_end(start_fanfared, folder):
    daemon = start_fanfared("--save", "1", "3")
    client = daemon.client()
    assert client.call("CONFIG", "GET", "save") == [b"save", b"1 3"]
    fill(client, 5)
    wait_until(lambda: client.info("persistence")["rdb_saves"] == "1", "a snapshot", within=20)
    client.ok("SET", "last", "1")
    daemon.stop()
    daemon = start_fanfared("--save", "1000", "1")
    client = daemon.client()
    assert client.call("GET", "last") == b"1"
    client.ok("SET", "lost", "1")
    client.command("SHUTDOWN", "NOSAVE")
    assert daemon.wait() == 0
    client = start_fanfared().client()
    assert client.call("GET", "lost") is None
    client.ok("SET", "saved", "1")
    client.command("SHUTDOWN", "SAVE")
    assert client.is_closed()
    assert start_fanfared().client().call("GET", "saved") == b"1"


def test_a_snapshot_that_fails_refuses_changes_if_there_are_rules(start_fanfared, folder):
    daemon = start_fanfared("--save", "10000", "1000000", prefix=("prlimit", "--fsize=40000:unlimited"))
    client = daemon.client()
    fill(client, 1000, size=100)
    assert client.call("SAVE") == Error(b"ERR")
    reply = client.call("SET", "a", "1")
    assert isinstance(reply, Error) and reply.text.startswith(b"MISCONF Redis is configured to save RDB snapshots")
    client.ok("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    client.ok("SET", "a", "1")
    client.ok("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
    assert isinstance(client.call("SHUTDOWN"), Error)
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait_for_log("shutdown cancelled: the last snapshot failed")
    assert client.call("GET", "a") == b"1"
    subprocess.run(["prlimit", "--pid", str(daemon.pid), "--fsize=unlimited:unlimited"], check=True)
    client.ok("SAVE")
    client.ok("SET", "a", "1")


def test_what_flushall_emptied_does_not_come_back_from_a_snapshot(start_fanfared, folder):
    daemon = start_fanfared("--save", "10000", "1000000")
    client = daemon.client()
    client.ok("SET", "a", "1")
    client.ok("SAVE")
    client.ok("FLUSHALL")
    wait_until(lambda: client.info("persistence")["rdb_changes_since_last_save"] == "0", "a snapshot")
    daemon.kill()
    assert start_fanfared().client().call("DBSIZE") == 0


def test_appendonly_can_be_switched_on_and_off_while_it_runs(start_fanfared, folder):
    daemon = start_fanfared()
    client = daemon.client()
    fill(client, 1000)
    client.ok("CONFIG", "SET", "appendonly", "yes")
    client.ok("SET", "since", "1")
    wait_until(lambda: client.info("persistence")["aof_rewrites"] == "1", "the file")
    client.ok("SET", "after", "1")
    client.ok("CONFIG", "SET", "appendfsync", "always")
    client.ok("SET", "always", "1")
    daemon.kill()
    daemon = start_fanfared(*EVERYSEC)
    client = daemon.client()
    assert client.call("DBSIZE") == 1003
    client.ok("CONFIG", "SET", "appendonly", "no")
    size = (folder / AOF).stat().st_size
    fill(client, 10, prefix="more")
    assert (folder / AOF).stat().st_size == size
    client.ok("CONFIG", "SET", "appendonly", "yes")
    wait_until(lambda: client.info("persistence")["aof_rewrites"] == "1", "the file")
    daemon.kill()
    assert start_fanfared(*EVERYSEC).client().call("DBSIZE") == 1013


def test_a_key_that_ended_is_logged_behind_what_its_transaction_did_before(start_fanfared):
    daemon = start_fanfared(*ALWAYS, "--enable-debug-command", "yes")
    client = daemon.client()
    client.ok("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    client.ok("SELECT", "1")
    client.ok("SET", "k", "v", "PX", "1")
    client.ok("SELECT", "0")
    ended = time.time() + 0.003
    wait_until(lambda: time.time() > ended, "the end of the key")
    client.ok("MULTI")
    for command in (("SWAPDB", "0", "1"), ("SADD", "k", "member")):
        client.call(*command)
    assert client.call("EXEC") == [b"OK", 1]
    daemon.kill()
    assert start_fanfared(*ALWAYS).client().call("SMEMBERS", "k") in ({b"member"}, [b"member"])


def test_who_ends_while_appendonly_is_switched_on_leaves_a_whole_file(start_fanfared, folder):
    daemon = start_fanfared()
    client = daemon.client()
    fill(client, 1000)
    client.send(encode("CONFIG", "SET", "appendonly", "yes") + encode("SET", "since", "1") + encode("SHUTDOWN", "NOW"))
    daemon.wait()
    assert start_fanfared(*EVERYSEC).client().call("DBSIZE") == 1001


NAMES = ("string", "ends", "float", "range", "list", "long-list", "ints", "large-set", "hash", "large-hash", "zset",
         "large-zset", "by-redis")


def keys_of(client):
    """All keys with all there is to say of them."""
    readers = {b"string": ("GET",), b"list": ("LRANGE", "0", "-1"), b"set": ("SMEMBERS",),
               b"hash": ("HGETALL",), b"zset": ("ZRANGE", "0", "-1", "WITHSCORES")}
    found = {}
    for database in (0, 5):
        client.ok("SELECT", database)
        found[database] = client.call("DBSIZE")
        for key in NAMES:
            kind = client.call("TYPE", key)
            if kind == b"none":
                continue
            value = client.call(readers[kind][0], key, *readers[kind][1:])
            if kind == b"set":
                value = sorted(value)
            elif kind == b"hash":
                value = sorted(zip(value[::2], value[1::2]))
            found[database, key] = (kind, value, client.call("PEXPIRETIME", key))
    client.ok("SELECT", 0)
    return found


def write_some_of_all(client):
    """Keys of each type, in two databases, packed and large; random and relative commands too."""
    for database in (0, 5):
        client.ok("SELECT", database)
        client.ok("SET", "string", b"\x00binary\r\n")
        client.ok("SET", "ends", "v", "EX", "5000")
        client.call("APPEND", "string", "more")
        client.call("INCRBYFLOAT", "float", "3.25")
        client.call("SETRANGE", "range", "5", "x")
        for i in range(500):
            client.call("RPUSH", "long-list", f"e{i}")
            client.call("SADD", "large-set", f"m{i}")
            client.call("SADD", "ints", i)
            client.call("HSET", "large-hash", f"f{i}", i)
            client.call("ZADD", "large-zset", repr(i / 7), f"m{i}")
        client.call("RPUSH", "list", "a", "b", "c")
        client.call("LPOP", "list")
        client.call("HSET", "hash", "f", "v", "g", "w")
        client.call("ZADD", "zset", "1.5", "a", "-inf", "b", "inf", "c")
        client.call("SPOP", "large-set", "30")
        client.call("EXPIRE", "large-set", "4000")


def test_what_is_stopped_right_after_appendonly_yes_has_all(start_fanfared):
    daemon = start_fanfared()
    client = daemon.client()
    fill(client, 100)
    client.command("CONFIG", "SET", "appendonly", "yes")
    client.command("INFO", "persistence")
    client.command("SET", "last", "one")
    assert client.read_value() == b"OK"
    figures = client.read_value()
    assert b"aof_enabled:1" in figures
    assert client.read_value() == b"OK"
    daemon.stop()
    again = start_fanfared(*EVERYSEC).client()
    assert again.call("GET", "last") == b"one"
    assert again.call("DBSIZE") == 101


def test_the_tool_finds_what_is_wrong_with_a_file_and_mends_it(start_fanfared, folder, fanfare_tool):
    def check(*options):
        done = subprocess.run([fanfare_tool, "aof", "check", str(folder / AOF), *options], capture_output=True,
                              check=False, text=True)
        return done.returncode, done.stdout

    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    for i in range(10):
        client.ok("SET", f"k{i}", i)
    daemon.stop()
    whole = (folder / AOF).read_bytes()
    status, text = check()
    assert status == 0 and f"good: {len(whole)} bytes, 11 commands in 11 batches" in text
    (folder / AOF).write_bytes(whole[:-5])
    status, text = check()
    assert status == 1 and "ends early" in text
    assert (folder / AOF).read_bytes() == whole[:-5]
    assert check("--fix")[0] == 0 and check()[0] == 0
    damaged = bytearray(whole)
    at = whole.rfind(b"#FANFARE1", 0, whole.rfind(b"#FANFARE1"))
    damaged[at + 70] ^= 4
    (folder / AOF).write_bytes(damaged)
    status, text = check()
    assert status == 1 and f"damaged at offset {at}: batch checksum mismatch" in text
    assert check("--fix")[0] == 0
    assert (folder / AOF).read_bytes() == whole[:at]
    assert start_fanfared(*ALWAYS).client().call("DBSIZE") == 8


@pytest.mark.parametrize("rewritten", [False, True])
def test_redis_loads_our_file_and_we_load_its(start_fanfared, start_redis, folder, rewritten):
    daemon = start_fanfared(*EVERYSEC)
    client = daemon.client()
    write_some_of_all(client)
    if rewritten:
        rewrite(client)
        client.ok("SET", "string", "since")
    expected = keys_of(client)
    daemon.stop()
    # Redis 7 has a folder with a list of files.
    shutil.rmtree(folder / "appendonlydir", ignore_errors=True)
    (folder / "appendonlydir").mkdir()
    shutil.copy(folder / AOF, folder / "appendonlydir" / "appendonly.aof.1.incr.aof")
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.incr.aof seq 1 type i\n")
    redis = start_redis("--appendonly", "yes", "--aof-use-rdb-preamble", "no")
    client = redis.client()
    wait_until(lambda: client.info("persistence")["loading"] == "0", "Redis has loaded it")
    assert keys_of(client) == expected
    check = subprocess.run(["redis-check-aof", str(folder / "appendonlydir" / "appendonly.aof.manifest")],
                           capture_output=True, check=False, text=True)
    assert check.returncode == 0, check.stdout
    # ... and back: what Redis wrote anew, commands only, and what it wrote since.
    client.call("BGREWRITEAOF")
    wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "0"
               and client.info("persistence")["aof_rewrite_scheduled"] == "0", "Redis's rewrite")
    client.ok("SET", "by-redis", "1")
    expected = keys_of(client)
    redis.stop()
    manifest = (folder / "appendonlydir" / "appendonly.aof.manifest").read_text()
    names = re.findall(r"^file (\S+) .* type ([bi])$", manifest, re.M)
    (folder / AOF).write_bytes(b"".join(
        (folder / "appendonlydir" / name).read_bytes() for kind in "bi" for name, of in names if of == kind))
    daemon = start_fanfared(*EVERYSEC)
    client = daemon.client()
    assert keys_of(client) == expected
    client.ok("SET", "by-us", "2")
    daemon.stop()
    client = start_fanfared(*EVERYSEC).client()
    assert client.call("GET", "by-us") == b"2"
    assert client.call("DEL", "by-us") == 1
    assert keys_of(client) == expected


def test_a_child_that_is_not_wanted_any_more_is_ended_within_the_system_call_filter(start_fanfared):
    # LeakSanitizer traces the process, which the filter forbids.
    daemon = start_fanfared("--seccomp", "kill", "--appendonly", "yes", env={"ASAN_OPTIONS": "detect_leaks=0"})
    client = daemon.client()
    for at in range(0, 300000, 10000):
        client.ok("MSET", *(word for n in range(at, at + 10000) for word in (f"key:{n}", n)))
    client.call("BGREWRITEAOF")
    daemon.wait_for_log("rewriting the append-only file: process")
    client.ok("CONFIG", "SET", "appendonly", "no")
    daemon.wait_for_log("rewriting the append-only file: cancelled")
    assert client.call("PING") == b"PONG"
