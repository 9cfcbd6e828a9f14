"""The upgrade by SIGUSR2 of a daemon with keys: the successor gets them all, or the old process goes on."""

import errno
import mmap
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import threading
import time

import pytest

from lib.disk import preload
from lib.lineage import Lineage, is_alive, lineages_of
from lib.resp import Closed, Connection, Error, error
from lib.wait import seconds, wait_until

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
MODES = {"memory": (), "snapshot": ("--save", "3600 1"), "everysec": ("--appendonly", "yes"), "always": ALWAYS}
AOF = "appendonly.aof"


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def process_of(client):
    return int(client.info("server")["process_id"])


def fill(client):
    """One key of each kind, in three databases."""
    client.ok("SET", "string", "value")
    client.ok("SET", "number", 7)
    client.ok("SET", "empty", "")
    client.ok("SET", "large", b"\0\r\n" * 500000)
    client.ok("SET", "soon", "x", "PXAT", 4000000000123)
    client.call("RPUSH", "list", *range(200))
    client.call("SADD", "set", *(f"m{n}" for n in range(200)))
    client.call("ZADD", "zset", *(word for n in range(200) for word in (f"{n / 3}", f"m{n}")))
    client.call("HSET", "hash", *(word for n in range(200) for word in (f"f{n}", n)))
    client.call("HSET", "tiny", "f", "v")
    client.call("PEXPIREAT", "hash", 4000000000456)
    client.ok("SELECT", 5)
    client.ok("SET", "fifth", 1)
    client.ok("SELECT", 15)
    client.ok("SET", "fifteenth", 1)
    client.ok("SELECT", 0)


def contents(client):
    """Everything that a client can see of the keys."""
    seen = {}
    for number in range(16):
        client.ok("SELECT", number)
        for key in sorted(client.call("KEYS", "*")):
            kind = client.call("TYPE", key)
            read = {b"string": ("GET", key), b"list": ("LRANGE", key, 0, -1), b"set": ("SMEMBERS", key),
                    b"zset": ("ZRANGE", key, 0, -1, "WITHSCORES"), b"hash": ("HGETALL", key)}[kind]
            value = client.call(*read)
            if kind in (b"set", b"hash"):
                value = sorted(value)
            seen[number, key] = (kind, value, client.call("PEXPIRETIME", key))
    client.ok("SELECT", 0)
    return seen


@pytest.mark.parametrize("options", [(), ("--io-threads", 4)], ids=["one loop", "four loops"])
@pytest.mark.parametrize("mode", MODES)
def test_all_keys_are_the_same_afterwards(start_lineage, mode, options, fanfare_tool, folder):
    lineage = start_lineage(*MODES[mode], "--shutdown-grace", 1, *options)
    daemon = lineage.daemon
    client = daemon.client()
    fill(client)
    before = contents(client)
    second = lineage.upgrade()
    with Connection(daemon.address) as newcomer:
        assert process_of(newcomer) == second
        assert contents(newcomer) == before
        newcomer.ok("SET", "later", 1)
        third = lineage.upgrade(second)
    with Connection(daemon.address) as newcomer:
        assert process_of(newcomer) == third
        later = contents(newcomer)
        assert later.pop((0, b"later")) == (b"string", b"1", -1)
        assert later == before
        if mode == "snapshot":
            newcomer.ok("SAVE")
    if mode == "memory":
        return
    os.kill(third, signal.SIGKILL)
    wait_until(lambda: not is_alive(third) and not is_alive(second), "the end of both", 20)
    assert daemon.wait(20) == 0
    name = AOF if mode != "snapshot" else "dump.aof"
    checked = subprocess.run([fanfare_tool, "aof", "check", str(folder / name)], capture_output=True, text=True,
                             timeout=seconds(30), check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    again = start_lineage(*MODES[mode])
    after = contents(again.daemon.client())
    assert after.pop((0, b"later")) == (b"string", b"1", -1)
    assert after == before


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
def test_how_keys_were_used_is_known_afterwards(start_lineage, policy):
    lineage = start_lineage("--shutdown-grace", 1, "--maxmemory-policy", policy, "--lfu-log-factor", 0, "--lfu-decay-time", 0)
    client = lineage.daemon.client()
    for key in ("often", "seldom"):
        client.ok("SET", key, 1)
    for _ in range(50):
        client.call("GET", "often")
    if policy == "allkeys-lru":
        wait_until(lambda: client.call("OBJECT", "IDLETIME", "seldom") >= 2, "an idle key")
        client.call("GET", "often")
        lineage.upgrade()
        with Connection(lineage.daemon.address) as newcomer:
            assert newcomer.call("OBJECT", "IDLETIME", "seldom") >= 2
            assert newcomer.call("OBJECT", "IDLETIME", "often") <= newcomer.call("OBJECT", "IDLETIME", "seldom") - 1
        return
    counts = [client.call("OBJECT", "FREQ", key) for key in ("often", "seldom")]
    assert counts[0] > 40 > counts[1]
    lineage.upgrade()
    with Connection(lineage.daemon.address) as newcomer:
        assert [newcomer.call("OBJECT", "FREQ", key) for key in ("often", "seldom")] == counts


def test_what_expires_meanwhile_expires_in_the_successor(start_lineage):
    lineage = start_lineage("--shutdown-grace", 1)
    client = lineage.daemon.client()
    client.ok("SET", "k", 1, "PX", 1500)
    at = client.call("PEXPIRETIME", "k")
    lineage.upgrade()
    with Connection(lineage.daemon.address) as newcomer:
        assert newcomer.call("PEXPIRETIME", "k") in (at, -2)
        wait_until(lambda: newcomer.call("DBSIZE") == 0, "the key has expired")


# What clients see


READONLY = b"READONLY Another process has taken over from this one. Connect again."


def test_after_the_hand_over_the_old_process_changes_nothing(start_lineage):
    lineage = start_lineage("--shutdown-grace", 600)
    daemon = lineage.daemon
    writer, blocked, watcher, endless = (daemon.client() for _ in range(4))
    writer.ok("SET", "k", 1)
    blocked.command("BLPOP", "list", 0)
    endless.command("BZPOPMIN", "zset", 500)
    watcher.ok("WATCH", "k")
    watcher.ok("MULTI")
    assert watcher.call("SET", "k", 2) == b"QUEUED"
    wait_until(lambda: writer.info("clients")["blocked_clients"] == "2", "both wait")
    lineage.upgrade()
    for client in (blocked, endless):
        reply = client.read_value()
        assert isinstance(reply, Error) and reply.text.startswith(b"UNBLOCKED "), reply
    assert writer.call("SET", "k", 3) == error(READONLY)
    assert watcher.call("EXEC") == error(b"EXECABORT Transaction discarded because of: " + READONLY)
    assert blocked.call("BLPOP", "list", 0) == error(READONLY)
    assert writer.call("GET", "k") == b"1"
    assert writer.call("PUBLISH", "c", "x") == 0
    assert writer.call("BGSAVE").text.startswith(b"ERR")
    with Connection(daemon.address) as newcomer:
        assert newcomer.call("INCR", "k") == 2
        newcomer.call("RPUSH", "list", "x")
        assert newcomer.call("BLPOP", "list", 1) == [b"list", b"x"]
    for client in (writer, blocked, watcher, endless):
        client.close()


class Writer(threading.Thread):
    """Appends 1, 2, 3, ... to a list. After READONLY or a closed connection it connects again and goes on."""

    def __init__(self, address, name):
        super().__init__(daemon=True)
        self.address, self.name = address, name
        self.acknowledged, self.refused = set(), set()  # of other numbers it is not known whether they are there
        self.last = 0
        self.is_over = False
        self.failure = None

    def run(self):
        while not self.is_over and self.failure is None:
            try:
                with Connection(self.address, timeout=60) as connection:
                    while not self.is_over and self.append(connection):
                        pass
            except (Closed, OSError):
                time.sleep(0.005)

    def append(self, connection):
        """False: another connection is needed."""
        self.last += 1
        reply = connection.call("RPUSH", self.name, self.last)
        if not isinstance(reply, Error):
            self.acknowledged.add(self.last)
            return True
        self.refused.add(self.last)
        if not reply.text.startswith(b"READONLY"):
            self.failure = reply
        return False


class Load:
    """Several writers. What they have acknowledged must be there, and what was refused must not."""

    def __init__(self, address, count=4):
        self.writers = [Writer(address, f"w{n}") for n in range(count)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_):
        for writer in self.writers:
            writer.is_over = True
        for writer in self.writers:
            writer.join(seconds(60))
            assert not writer.is_alive(), "a writer waits for ever"

    def wait_for_more(self, count=20):
        before = [len(writer.acknowledged) for writer in self.writers]
        wait_until(lambda: all(len(writer.acknowledged) >= had + count for writer, had in zip(self.writers, before)),
                   "writers write", 30)

    def check(self, address):
        with Connection(address) as client:
            for writer in self.writers:
                assert writer.failure is None, writer.failure
                numbers = [int(number) for number in client.call("LRANGE", writer.name, 0, -1)]
                assert numbers == sorted(set(numbers)), f"{writer.name}: out of order, or twice"
                lost = writer.acknowledged - set(numbers)
                assert not lost, f"{writer.name}: acknowledged and not there: {sorted(lost)[:10]}"
                wrong = writer.refused & set(numbers)
                assert not wrong, f"{writer.name}: refused and there all the same: {sorted(wrong)[:10]}"


@pytest.mark.parametrize("options", [(), ("--io-threads", 4)], ids=["one loop", "four loops"])
@pytest.mark.parametrize("mode", MODES)
def test_no_acknowledged_change_is_lost_through_upgrades_under_load(start_lineage, mode, options):
    lineage = start_lineage(*MODES[mode], "--shutdown-grace", 1, *options)
    daemon = lineage.daemon
    with daemon.client() as client:
        client.call("RPUSH", "ballast", *(b"x" * 1000 for _ in range(5000)))
    pid = daemon.pid
    with Load(daemon.address) as load:
        for _ in range(3):
            pid = lineage.upgrade(pid)
            load.wait_for_more()
    load.check(daemon.address)
    if mode == "always":
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(each) for each in (daemon.pid, *lineage.pids())), "the end of all", 20)
        load.check(start_lineage(*MODES[mode]).daemon.address)


# Files


def persistence(client):
    return client.info("persistence")


def children_of(pid):
    files = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for file in files for child in file.read_text().split())


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def stopped_child(client, daemon, kind):
    """Stops the process that writes the file before it is ready. None: it was ready before."""
    client.call(kind)
    while True:
        under_way = persistence(client)
        for child in children_of(daemon.pid):
            os.kill(child, signal.SIGSTOP)
            if wait_until(lambda child=child: state_of(child) in "TZ" and state_of(child), "it has stopped") == "T":
                return child
        if under_way["rdb_bgsave_in_progress"] == under_way["aof_rewrite_in_progress"] == "0":
            return None


@pytest.mark.parametrize("kind", ["BGSAVE", "BGREWRITEAOF"])
def test_a_dump_under_way_ends_first(start_lineage, kind):
    lineage = start_lineage(*ALWAYS, "--shutdown-grace", 1)
    daemon = lineage.daemon
    client = daemon.client()
    for n in range(40):
        client.call("RPUSH", f"l{n}", *(b"x" * 1000 for _ in range(1000)))
    done = "writing a snapshot: done" if kind == "BGSAVE" else "rewriting the append-only file: done"
    child = wait_until(lambda: stopped_child(client, daemon, kind), "a process that writes", 30)
    before = daemon.log().count(done)
    os.kill(daemon.pid, signal.SIGUSR2)
    (successor,) = wait_until(lambda: set(children_of(daemon.pid)) - {child}, "a successor")
    # It was started and has nothing to take over yet: both processes are idle.
    wait_until(lambda: state_of(successor) == "S", "the successor waits")
    assert client.call("SET", "meanwhile", 1) == b"OK" and client.call("DEL", "meanwhile") == 1
    assert not lineage.pids() and children_of(daemon.pid) == sorted((child, successor))
    os.kill(child, signal.SIGCONT)
    (second,) = wait_until(lineage.pids, "the upgrade", 40)
    assert daemon.log().partition(f"process {second} serves from now on")[0].count(done) == before + 1
    with Connection(daemon.address) as newcomer:
        assert process_of(newcomer) == second
        assert newcomer.call("DBSIZE") == 40
        # The successor continues the file that the rewrite has made.
        newcomer.ok("SET", "k", 1)
        assert persistence(newcomer)["aof_enabled"] == "1"
        newcomer.call("BGREWRITEAOF")
        wait_until(lambda: persistence(newcomer)["aof_rewrite_in_progress"] == "0", "the end of the rewrite")
        assert persistence(newcomer)["aof_last_bgrewrite_status"] == "ok"


def test_the_successor_saves_at_its_end_what_the_predecessor_has_not_saved(start_lineage, folder):
    options = ("--save", "3600 1", "--shutdown-grace", 1)
    lineage = start_lineage(*options)
    with lineage.daemon.client() as client:
        client.ok("SET", "k", 1)
    second = lineage.upgrade()
    with Connection(lineage.daemon.address) as client:
        assert persistence(client)["rdb_changes_since_last_save"] == "1"
    assert lineage.daemon.wait(20) == 0
    assert not (folder / "dump.aof").exists()
    assert (folder / "fanfared.lock").read_text() == f"{second}\n"
    os.kill(second, signal.SIGTERM)
    wait_until(lambda: not is_alive(second), "the end of the second")
    assert start_lineage(*options).daemon.client().call("GET", "k") == b"1"


def test_the_lock_of_the_folder_is_never_free(start_lineage, folder):
    lineage = start_lineage(*ALWAYS, "--shutdown-grace", 1)
    lineage.daemon.client().ok("SET", "k", 1)
    second = lineage.upgrade()
    for _ in range(2):
        other = subprocess.run([os.environ["FANFARED"], "--port", "0", "--unixsocket", folder / "other", *ALWAYS],
                               cwd=folder, capture_output=True, text=True, timeout=seconds(20), check=False)
        assert other.returncode == 1 and "in use by another fanfared" in other.stderr, other.stderr
        assert lineage.daemon.wait(20) == 0
    assert is_alive(second)


# What goes wrong


def fails(lineage, words):
    """SIGUSR2, and the upgrade fails for this reason."""
    log = lineage.daemon.log()
    os.kill(lineage.daemon.pid, signal.SIGUSR2)
    wait_until(lambda: "upgrade failed, this process goes on: " in lineage.daemon.log()[len(log):], "the failure", 60)
    assert words in lineage.daemon.log()[len(log):], lineage.daemon.log()[len(log):]


@pytest.mark.parametrize("before, after, words", [
    ("appendonly yes", "appendonly no", "appendonly is yes in the process that runs, and no in the configuration"),
    ("appendonly no", "appendonly yes", "appendonly is no in the process that runs"),
    ("appendonly yes", "appendonly yes\nappendfilename other.aof", "appendfilename is appendonly.aof in the process"),
    ("save 3600 1", "save 3600 1\ndbfilename other.aof", "dbfilename is dump.aof in the process that runs"),
    ("appendonly yes\ndir a", "appendonly yes\ndir b", "dir is not the folder of the process that runs"),
    ("databases 16", "databases 2", "SELECT of an unknown database"),
], ids=lambda text: text.replace("\n", ", "))
def test_what_cannot_change_in_an_upgrade_is_named(start_lineage, folder, before, after, words):
    for name in "ab":
        (folder / name).mkdir()
    path = folder / "fanfared.conf"
    path.write_text(before + "\n")
    lineage = start_lineage("-c", path, "--shutdown-grace", 1)
    daemon = lineage.daemon
    with Load(daemon.address, 2) as load:
        client = daemon.client()
        fill(client)
        path.write_text(after + "\n")
        for _ in range(2):
            fails(lineage, words)
            load.wait_for_more()
        # With the old configuration it comes off.
        path.write_text(before + "\n")
        os.kill(daemon.pid, signal.SIGUSR2)
        wait_until(lineage.pids, "a successor", 30)
        load.wait_for_more()
    load.check(daemon.address)


def test_a_snapshot_that_the_old_process_has_not_loaded_is_not_overwritten(start_lineage, folder):
    lineage = start_lineage("--shutdown-grace", 1)
    client = lineage.daemon.client()
    client.ok("SET", "k", 1)
    (folder / "dump.aof").write_bytes(b"anything")
    fails(lineage, "dump.aof exists, and the process that runs has not loaded it")
    assert client.call("INCR", "k") == 2
    (folder / "dump.aof").unlink()
    lineage.upgrade()


def test_appendonly_no_ends_an_upgrade_and_yes_has_to_wait(start_lineage, folder):
    """The successor is stopped before it can say anything."""
    path = folder / "fanfared.conf"
    path.write_text("appendonly yes\n")
    lineage = start_lineage("-c", path, "--shutdown-grace", 1)
    daemon = lineage.daemon
    client = daemon.client()
    client.call("RPUSH", "ballast", *(b"x" * 100000 for _ in range(200)))
    with stopped_while_it_receives(lineage):
        client.ok("SET", "k", 1)
        client.ok("CONFIG", "SET", "appendonly", "no")
        daemon.wait_for_log("upgrade failed, this process goes on: appendonly was set to no meanwhile")
    client.ok("SET", "k", 2)
    path.write_text("appendonly no\n")
    with stopped_while_it_receives(lineage):
        reply = client.call("CONFIG", "SET", "appendonly", "yes")
        assert isinstance(reply, Error) and b"an upgrade is under way" in reply.text, reply
    wait_until(lineage.pids, "a successor", 30)
    with Connection(daemon.address) as newcomer:
        assert newcomer.call("GET", "k") == b"2"


class stopped_while_it_receives:
    """SIGUSR2; the successor is stopped by SIGSTOP when it has begun to receive keys, which fill the socket."""

    def __init__(self, lineage, serving_pid=None):
        self.lineage = lineage
        self.serving_pid = serving_pid or lineage.daemon.pid

    def __enter__(self):
        log = self.lineage.daemon.log()
        os.kill(self.serving_pid, signal.SIGUSR2)
        started = wait_until(lambda: re.findall(r"started \S+ as process (\d+)", self.lineage.daemon.log()[len(log):]),
                             "the successor")
        self.pid = int(started[0])
        wait_until(lambda: "the keys are being sent" in self.lineage.daemon.log()[len(log):], "keys are sent", 30)
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        if is_alive(self.pid):
            os.kill(self.pid, signal.SIGCONT)


def test_writers_wait_if_the_successor_does_not_keep_up_and_nothing_is_lost(start_lineage):
    """More changes than aof-unsynced-max-bytes come while the successor is stopped."""
    lineage = start_lineage("--shutdown-grace", 1, "--aof-unsynced-max-bytes", "64kb")
    daemon = lineage.daemon
    client = daemon.client()
    client.call("RPUSH", "ballast", *(b"x" * 100000 for _ in range(300)))
    with Load(daemon.address, 2) as load:
        with stopped_while_it_receives(lineage):
            for n in range(20):
                client.command("SET", "big", b"%d" % n * 10000)
            wait_until(lambda: client_waits(daemon), "a writer waits")
        for _ in range(20):
            reply = client.read_value()
            assert reply == b"OK" or reply == error(READONLY), reply
        wait_until(lineage.pids, "a successor", 60)
        load.wait_for_more()
    load.check(daemon.address)


def client_waits(daemon):
    with daemon.connect() as observer:
        return int(observer.info("clients")["blocked_clients"]) > 0


def test_a_successor_that_hangs_is_given_up_and_changes_go_on(start_lineage):
    """It is stopped when everything is on its way: changes wait for it, until its time is over."""
    lineage = start_lineage(*ALWAYS, "--shutdown-grace", 1)
    daemon = lineage.daemon
    pid, failed = daemon.pid, False
    with Load(daemon.address, 2) as load:
        while not failed:
            done = len(lineage.pids())
            stopped = stopped_while_it_receives(lineage, pid)
            with stopped:
                outcome = wait_until(lambda: "failed" if "upgrade failed, this process goes on: " in daemon.log() else
                                     len(lineage.pids()) > done, "the end of the upgrade", 45)
                failed = outcome == "failed"
                if failed:
                    wait_until(lambda: not is_alive(stopped.pid), "the successor was killed")
                    load.wait_for_more()
            if not failed:
                pid = stopped.pid  # it was done before it was stopped
        lineage.upgrade(pid)
        load.wait_for_more()
    load.check(daemon.address)


@pytest.mark.parametrize("victim", ["old", "new"])
@pytest.mark.parametrize("seed", range(6))
def test_after_a_kill_at_any_moment_everything_acknowledged_is_there(start_lineage, victim, seed):
    rng = random.Random(f"{victim} {seed}")
    lineage = start_lineage(*ALWAYS, "--shutdown-grace", 1)
    daemon = lineage.daemon
    daemon.client().call("RPUSH", "ballast", *(b"x" * 10000 for _ in range(500)))
    with Load(daemon.address) as load:
        os.kill(daemon.pid, signal.SIGUSR2)
        started = wait_until(lambda: re.findall(r"started \S+ as process (\d+)", daemon.log()), "the successor")
        time.sleep(rng.uniform(0, 0.15))
        os.kill(daemon.pid if victim == "old" else int(started[0]), signal.SIGKILL)
        handed_over = wait_until(
            lambda: lineage.pids() or "upgrade failed" in daemon.log() or not is_alive(daemon.pid), "the outcome")
        if victim == "new" and not lineage.pids():
            load.wait_for_more()
    del handed_over
    new = int(started[0])
    if is_alive(new):
        # It may have been told to serve just before the other was killed; if not, it ends.
        wait_until(lambda: not is_alive(new) or "ready to accept connections" in daemon.log().split("taken over")[-1],
                   "the successor serves or ends", 20)
    if victim == "new" and is_alive(daemon.pid) and not lineage.pids():
        load.check(daemon.address)
    for pid in (daemon.pid, new):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(daemon.pid) and not is_alive(new), "the end of both")
    daemon.process.wait()
    daemon.process = None
    load.check(start_lineage(*ALWAYS).daemon.address)


# Each call fails once


CONTROL = struct.Struct("<IIIiI64s")


class Calls:
    """The table of shim_calls.c."""

    def __init__(self, folder):
        self.path = folder / "calls"
        self.path.write_bytes(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def arm(self, fail_at, code):
        CONTROL.pack_into(self.map, 0, 0, 0, fail_at, code, 0, b"")
        struct.pack_into("<I", self.map, 0, 1)

    def disarm(self):
        struct.pack_into("<I", self.map, 0, 0)

    def failed(self):
        """The name of the call that has failed, or ''."""
        _, _, _, _, has_failed, name = CONTROL.unpack_from(self.map)
        return name.rstrip(b"\0").decode() if has_failed else ""


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("calls") / "shim_calls.so"
    source = pathlib.Path(__file__).with_name("lib") / "shim_calls.c"
    subprocess.run([*os.environ.get("SHIM_CC", "cc").split(), "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-shared",
                    "-fPIC", "-o", str(path), str(source), "-ldl"], check=True)
    return path


def serving(lineage):
    """The pids of all processes of the lineage that are alive."""
    started = [int(pid) for pid in re.findall(r"started \S+ as process (\d+)", lineage.daemon.log())]
    return [pid for pid in {lineage.daemon.pid, *started, *lineage.pids()} if is_alive(pid)]


def survivor(lineage):
    """The pid of the process that serves; "none" if no process is left; None while that is open."""
    if not serving(lineage):
        return "none"
    try:
        with Connection(lineage.daemon.address, timeout=2) as client:
            return process_of(client)
    except (OSError, Closed):
        return None


@pytest.mark.parametrize("mode, code", [("always", errno.EIO), ("memory", errno.ENOMEM), ("always", 0)],
                         ids=["always, EIO", "memory, ENOMEM", "always, killed"])
def test_whichever_call_fails_exactly_one_process_serves_with_everything(start_lineage, folder, shim, mode, code):
    """One writer, and an upgrade in which the nth call of any of the processes fails, for every n."""
    calls = Calls(folder)
    env = {"LD_PRELOAD": preload(shim, os.environ["FANFARED"]), "FANFARE_CALLS": str(calls.path)}
    lineage, pid, names = None, None, set()
    number = value = 0
    while True:
        number += 1
        if lineage is None:
            lineage = start_lineage(*MODES[mode], "--shutdown-grace", 1, env=env)
            pid = lineage.daemon.pid
        daemon = lineage.daemon
        with Connection(daemon.address) as client:
            assert process_of(client) == pid
            was = client.call("GET", "k")
            assert was is None or int(was) >= value, f"{was} after {value}: {names}"
            log = len(daemon.log())
            done = len(lineage.pids())
            calls.arm(number, code)
            os.kill(pid, signal.SIGUSR2)
            end = time.monotonic() + seconds(60)
            try:
                while len(lineage.pids()) == done and "upgrade failed" not in daemon.log()[log:]:
                    reply = client.call("INCR", "k")
                    if not isinstance(reply, Error):
                        value = reply
                    assert time.monotonic() < end, daemon.log()[log:]
            except (Closed, OSError):
                assert code == 0, daemon.log()[log:]
            calls.disarm()
        name = calls.failed()
        names.add(name)
        if not name:
            assert len(lineage.pids()) > done
            break
        left = wait_until(lambda: survivor(lineage), "one process serves, or none is left", 20)
        if left == "none":
            assert code == 0, f"call {number}, {name}"
            lineage.daemon.process.wait()
            lineage.daemon.process = None
            lineage = None
            continue
        assert left == pid or left in lineage.pids(), f"call {number}, {name}: {left} serves"
        pid = left
        with Connection(daemon.address) as client:
            wait_until(lambda client=client: not isinstance(client.call("INCR", "k"), Error), "a change", 20)
            assert int(client.call("GET", "k")) > value
            value = int(client.call("GET", "k"))
    # The writer's own calls are counted as well, in no certain order: any one call may have been passed over.
    expected = {"sendmsg", "recvmsg"} | ({"fork", "socketpair", "execve"} if mode == "memory" else set())
    assert len(expected - names) <= 1, names
    with Connection(daemon.address) as client:
        assert int(client.call("GET", "k")) >= value
