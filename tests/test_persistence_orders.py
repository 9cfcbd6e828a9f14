"""Orders of events on a failing disk that once lost acknowledged changes, ended the daemon or gave false replies."""

import errno
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from conftest import require_kind
from lib.daemon import Fanfared
from lib.disk import CHILD, PARENT, Disk, shim_disk  # noqa: F401  (a fixture)
from lib.power import Worst
from lib.resp import Closed, Error, encode
from lib.wait import seconds, wait_until

AOF = "appendonly.aof"
SNAPSHOT = "dump.aof"
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
RULES = ("--save", "100000", "1000000")


@pytest.fixture
def disk(folder, shim_disk):  # noqa: F811
    require_kind(Fanfared)
    return Disk(folder, shim_disk)


@pytest.fixture
def start(disk):
    """start(*options) gives a daemon whose data lies on `disk`."""
    started = []

    def one(*options):
        daemon = Fanfared(disk.folder, *options, env=disk.env)
        started.append(daemon)
        return daemon.start()
    yield one
    disk.heal()
    for daemon in started:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.kill()
        daemon.check_log()


def persistence(client):
    return client.info("persistence")


def set_all(client, names, value="1"):
    for name in names:
        client.ok("SET", name, value)


def there(client, names):
    """The names that are not there."""
    return [name for name in names if client.call("GET", name) is None]


def is_refused(reply):
    return isinstance(reply, Error) and reply.text.startswith(b"MISCONF")


def child_of(daemon):
    """The process that writes a snapshot or a rewrite, as it runs; None: there is none."""
    try:
        with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            with open(f"/proc/{child}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] != "Z":
                    return int(child)
    except OSError:
        pass
    return None


def may_act(rule, times=1, within=3):
    """Give calls the time to fail; a daemon that makes none has to be right as well."""
    end = time.monotonic() + within
    while rule.acted < times and time.monotonic() < end:
        time.sleep(0.002)


def wait_written(client):
    wait_until(lambda: persistence(client)["aof_buffer_length"] == "0", "all written")


def wait_quiet(client):
    """No snapshot, no rewrite, no error of the file."""
    def is_quiet():
        info = persistence(client)
        return info["aof_last_write_status"] == "ok" and \
            info["rdb_bgsave_in_progress"] == info["aof_rewrite_in_progress"] == info["aof_rewrite_scheduled"] == "0"
    wait_until(is_quiet, "the end of snapshots, rewrites and errors", within=20)


def end_orderly(daemon, client, *words):
    try:
        reply = client.call("SHUTDOWN", *words)
        assert not isinstance(reply, Error), reply
    except Closed:
        pass
    assert daemon.wait(30) == 0
    daemon.process = None


# What loses acknowledged changes, or ends the daemon


def test_appendonly_off_within_a_transaction_that_changed_something(start):
    daemon = start(*ALWAYS)
    client = daemon.client()
    client.send(encode("MULTI") + encode("SET", "a", 1) + encode("CONFIG", "SET", "appendonly", "no") +
                encode("SET", "b", 1) + encode("EXEC"))
    assert [client.read_value() for _ in range(4)] == [b"OK"] + [b"QUEUED"] * 3
    assert client.read_value() == [b"OK", b"OK", b"OK"]
    assert daemon.client().call("MGET", "a", "b") == [b"1", b"1"]


@pytest.mark.parametrize("first, then", [("no", "yes"), ("yes", "no")])
def test_a_switch_within_a_transaction_leaves_all_of_it_or_nothing(start, first, then):
    daemon = start("--appendonly", first, "--appendfsync", "always")
    client = daemon.client()
    client.ok("SET", "before", 1)
    client.send(encode("MULTI") + encode("SET", "a", 1) + encode("CONFIG", "SET", "appendonly", then) +
                encode("SET", "b", 1) + encode("EXEC"))
    replies = [client.read_value() for _ in range(5)][-1]
    # Switching on takes a rewrite, for which a transaction cannot wait.
    assert [replies[0], replies[2]] == [b"OK", b"OK"] and isinstance(replies[1], Error) == (then == "yes"), replies
    assert client.call("CONFIG", "GET", "appendonly")[1] == b"no"
    daemon.kill()
    found = start(*ALWAYS).client().call("MGET", "a", "b")
    assert found[0] == found[1]


def test_appendonly_off_during_a_write_error_with_a_rewrite_that_is_done(start, disk):
    daemon = start(*ALWAYS)
    client, admin = daemon.client(), daemon.client()
    set_all(client, [f"k{i}" for i in range(20)], "x" * 1000)
    child = disk.hold("write", who=CHILD)
    admin.call("BGREWRITEAOF")
    child.wait_held()
    full = disk.fail("write", errno.ENOSPC, who=PARENT)
    assert is_refused(client.call("SET", "big", "y"))
    pid = child_of(daemon)
    child.lift()
    wait_until(lambda: child_of(daemon) != pid, "the end of the child")
    admin = daemon.client()
    admin.ok("CONFIG", "SET", "appendonly", "no")
    full.lift()
    admin.ok("CONFIG", "SET", "appendonly", "yes")
    wait_quiet(admin)
    assert admin.call("BGSAVE") == b"Background saving started"
    wait_quiet(admin)
    admin.ok("SAVE")
    admin.ok("SET", "acknowledged", 1)
    daemon.kill()
    assert there(start(*ALWAYS).client(), ["acknowledged", "k0", "k19"]) == []


def test_a_failed_sync_after_everysec_cuts_nothing_that_was_acknowledged(start, disk):
    daemon = start(*EVERYSEC)
    client = daemon.client()
    names = []
    for attempt in range(3):  # a sync may come between the changes and the switch
        client.ok("CONFIG", "SET", "appendfsync", "everysec")
        synced = int(persistence(client)["aof_fsyncs"])
        names += [f"{attempt}:first", *(f"{attempt}:{i}" for i in range(5)), f"{attempt}:after"]
        client.ok("SET", f"{attempt}:first", 1)
        wait_until(lambda: int(persistence(client)["aof_fsyncs"]) > synced, "a sync")
        set_all(client, [f"{attempt}:{i}" for i in range(5)])
        fault = disk.fail("sync", who=PARENT)
        client.send(encode("CONFIG", "SET", "appendfsync", "always") + encode("SET", "pending", 1))
        assert client.read_value() == b"OK"
        may_act(fault, 2)  # that of the switch, and one that is tried again with the change behind it
        fault.lift()
        client.read_value()
        wait_quiet(client)
        wait_until(lambda: client.call("SET", f"{attempt}:after", 1) == b"OK", "changes are accepted")
    end_orderly(daemon, client)
    assert there(start(*ALWAYS).client(), names) == []


def test_what_was_acknowledged_after_a_failed_sync_and_a_failed_write_is_there(start, disk):
    daemon = start(*ALWAYS, "--enable-debug-command", "yes")
    client, other = daemon.client(), daemon.client()
    client.ok("SET", "first", 1)
    held = disk.hold("sync", who=PARENT)
    client.command("SET", "x", 1)
    held.wait_held()
    other.command("DEBUG", "SLEEP", "2")  # longer than the writer waits before it tries again
    failed = disk.fail("sync", who=PARENT)
    full = disk.fail("write", errno.ENOSPC, who=PARENT)
    held.lift()
    failed.wait_acted()
    may_act(full)
    reply = client.read_value()
    daemon.kill()
    disk.heal()
    assert reply != b"OK" or there(start(*ALWAYS).client(), ["x"]) == []


def test_a_failed_sync_then_a_failed_write_then_both_work_again(start, disk):
    daemon = start(*ALWAYS)
    client, watcher = daemon.client(), daemon.client()
    failed = disk.fail("sync", who=PARENT)
    client.command("SET", "x", 1)
    failed.wait_acted()
    full = disk.fail("write", errno.ENOSPC, who=PARENT)
    failed.lift()
    may_act(full)
    full.lift()
    client.read_value()
    wait_quiet(watcher)
    client.ok("SET", "y", 1)
    daemon.kill()
    disk.lose_power(Worst())
    assert there(start(*ALWAYS).client(), ["y"]) == []


class Switching(threading.Thread):
    """CONFIG SET appendonly yes on a connection of its own, because the reply may take long."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.client = daemon.client()
        self.reply = None
        self.start()

    def run(self):
        try:
            self.reply = self.client.call("CONFIG", "SET", "appendonly", "yes")
        except (Closed, OSError):
            pass


def stuck_client(daemon):
    """A client with more queued output than it reads, so that a shutdown waits for it."""
    client = daemon.connect(receive_buffer=4096)
    client.ok("SET", "large", "x" * 1000000)
    client.send(encode("GET", "large") * 30)
    client.read_exactly(10)
    return client


def begin_stale_rewrite(daemon, disk):
    """A rewrite goes on that was begun before appendonly was off and on again; (its held child, the switch)."""
    client = daemon.client()
    set_all(client, ["old"])
    child = disk.hold("write", who=CHILD)
    client.call("BGREWRITEAOF")
    child.wait_held()
    client.ok("CONFIG", "SET", "appendonly", "no")
    set_all(client, ["between"])
    switching = Switching(daemon)
    wait_until(lambda: switching.reply or client.call("CONFIG", "GET", "appendonly")[1] == b"yes" or
               "1" in (persistence(client)["aof_rewrite_scheduled"], persistence(client)["aof_rewrite_in_progress"]),
               "appendonly is to be on")
    set_all(client, ["new", "newer"])  # so that the new file is longer than the old one when the rewrite began
    return child, switching


def test_a_stale_rewrite_is_not_taken_during_shutdown_save(start, disk):
    daemon = start(*ALWAYS, "--shutdown-timeout", "30")
    child, switching = begin_stale_rewrite(daemon, disk)
    client = daemon.client()
    stuck = stuck_client(daemon)
    client.command("SHUTDOWN", "SAVE")
    daemon.wait_for_log("snapshot written to")
    pid = child_of(daemon)
    child.lift()
    wait_until(lambda: child_of(daemon) != pid, "the end of the child")
    time.sleep(0.2)  # for its file to be taken; it must not be
    stuck.abandon()
    assert daemon.wait(40) == 0
    switching.join(seconds(20))
    daemon = start(*ALWAYS)
    assert switching.reply != b"OK" or there(daemon.client(), ["old", "between", "new", "newer"]) == []


@pytest.mark.parametrize("end", ["SIGTERM, ABORT", "failed SHUTDOWN SAVE"])
def test_a_stale_rewrite_is_not_taken_after_an_end_that_does_not_come(start, disk, end):
    daemon = start(*ALWAYS, *RULES, "--shutdown-grace", "60")
    child, switching = begin_stale_rewrite(daemon, disk)
    client = daemon.client()
    if end == "SIGTERM, ABORT":
        os.kill(daemon.pid, signal.SIGTERM)
        wait_until(lambda: client.info("server")["lame_duck"] == "1", "the lame duck")
        # Another test may have the port for a moment.
        wait_until(lambda: client.call("SHUTDOWN", "ABORT") == b"OK", "the daemon listens again")
    else:
        rule = disk.fail("rename", who=PARENT, suffix=SNAPSHOT)
        assert isinstance(client.call("SHUTDOWN", "SAVE"), Error)
        rule.lift()
    child.lift()
    switching.join(seconds(20))
    assert switching.reply == b"OK"
    client = daemon.client()
    client.ok("CONFIG", "SET", "save", "")
    set_all(client, ["since"])
    wait_quiet(client)
    end_orderly(daemon, client)
    assert there(start(*ALWAYS).client(), ["old", "between", "new", "newer", "since"]) == []


def test_a_snapshot_that_was_begun_earlier_does_not_replace_a_later_one(start, disk):
    daemon = start(*EVERYSEC)
    client = daemon.client()
    client.ok("SET", "a", 1)
    sync = disk.hold("sync", who=PARENT, times=1, suffix=AOF)
    client.ok("SET", "b", 1)
    sync.wait_held()
    assert client.call("BGSAVE") == b"Background saving started"
    wait_until(lambda: child_of(daemon) is None, "the end of the child")
    client.ok("SET", "late", 1)
    client.command("SHUTDOWN", "SAVE")
    time.sleep(0.3)  # for the end to write its snapshot; either order has to be right
    sync.lift()
    assert daemon.wait(30) == 0
    assert there(start("--appendonly", "no").client(), ["a", "b", "late"]) == []


@pytest.mark.parametrize("power", ["kept", "lost"])
def test_kill_9_right_after_appendonly_yes_loses_nothing(start, disk, power):
    daemon = start("--appendfsync", "always")
    client = daemon.client()
    set_all(client, [f"k{i}" for i in range(100)], "x" * 100)
    client.ok("CONFIG", "SET", "appendonly", "yes")
    client.ok("SET", "acknowledged", 1)
    daemon.kill()
    if power == "lost":
        disk.lose_power(Worst())
    client = start(*ALWAYS).client()
    assert client.call("DBSIZE") == 101 and client.call("GET", "acknowledged") == b"1"


@pytest.mark.parametrize("fault", ["fork", "open", "rename", "write", "sync"])
def test_appendonly_yes_says_whether_it_came_true(start, disk, fault):
    daemon = start("--appendfsync", "always")
    client, other = daemon.client(), daemon.client()
    client.ok("SET", "before", 1)
    rule = disk.fail(fault, {"fork": errno.EAGAIN, "open": errno.EMFILE, "write": errno.ENOSPC}.get(fault, errno.EIO))
    reply = client.call("CONFIG", "SET", "appendonly", "yes")
    if reply == b"OK":
        client.command("SET", "since", 1)
        time.sleep(0.3)
        daemon.kill()
        disk.heal()
        assert there(start(*ALWAYS).client(), ["before"]) == []
        return
    assert isinstance(reply, Error) and reply.text.startswith(b"ERR"), reply
    assert other.call("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]
    assert persistence(other)["aof_enabled"] == "0"
    other.ok("SET", "meanwhile", 1)
    rule.lift()
    wait_until(lambda: other.call("CONFIG", "SET", "appendonly", "yes") == b"OK", "appendonly is on")
    other.ok("SET", "since", 1)
    daemon.kill()
    assert there(start(*ALWAYS).client(), ["before", "meanwhile", "since"]) == []


def successor_or_self(daemon):
    """The process that serves at the end of an upgrade, or of what did not become one."""
    wait_until(lambda: "serves from now on" in daemon.log() or child_of(daemon) is None, "the outcome of the upgrade",
               within=40)
    return wait_until(lambda: int(daemon.client().info("server")["process_id"]), "a process that serves")


@pytest.mark.parametrize("switch", [False, True])
def test_a_key_that_comes_during_an_upgrade_stays(start, switch):
    daemon = start("--shutdown-timeout", "1", "--appendfsync", "always")
    client = daemon.client()
    os.kill(daemon.pid, signal.SIGUSR2)
    wait_until(lambda: "SIGUSR2" in daemon.log(), "the upgrade begins")
    pid = daemon.pid
    try:
        if switch:
            client.call("CONFIG", "SET", "appendonly", "yes")
        try:
            reply = client.call("SET", "k", 1)
        except Closed:
            reply = None
        pid = successor_or_self(daemon)
        if reply == b"OK":
            assert daemon.client().call("GET", "k") == b"1", f"process {pid} serves, it was {daemon.pid}"
    finally:
        if pid != daemon.pid:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("names", [("same.aof", "same.aof"), ("dump.aof", None), (None, "appendonly.aof")])
def test_one_name_for_both_files_is_refused(disk, start, names):
    options = []
    for option, name in zip(("--appendfilename", "--dbfilename"), names):
        options += [option, name] if name else []
    with pytest.raises(AssertionError, match="did not start"):
        start(*ALWAYS, *options)


# What waits for ever, or answers falsely


def test_who_waits_for_the_file_is_answered_when_it_is_switched_off(start, disk):
    daemon = start(*ALWAYS)
    clients = [daemon.client() for _ in range(3)]
    full = disk.fail("write", errno.ENOSPC, who=PARENT)
    for client in clients:
        client.command("SET", "k", 1)
        client.command("PING")
    full.wait_acted()
    admin = daemon.client()
    admin.ok("CONFIG", "SET", "appendonly", "no")
    for client in clients:
        reply = client.read_value()
        assert reply == b"OK" or is_refused(reply), reply
        assert client.read_value() == b"PONG"
    full.lift()
    wait_until(lambda: admin.call("CONFIG", "SET", "appendonly", "yes") == b"OK", "appendonly is on")
    for client in clients:
        assert client.call("PING") == b"PONG"
    for client in clients:
        client.ok("SET", "k", 2)


def test_who_waits_for_a_slow_sync_is_answered_when_the_file_is_switched_off(start, disk):
    daemon = start(*ALWAYS)
    first, second, admin = daemon.client(), daemon.client(), daemon.client()
    sync = disk.hold("sync", who=PARENT)
    first.command("SET", "a", 1)
    sync.wait_held()
    second.command("SET", "b", 1)
    wait_until(lambda: admin.call("EXISTS", "b") == 1, "the second change")
    admin.command("CONFIG", "SET", "appendonly", "no")
    time.sleep(0.1)  # for it to be seen; either order has to be right
    sync.lift()
    assert first.read_value() == b"OK" and second.read_value() == b"OK"
    assert admin.read_value() == b"OK"
    admin.ok("SET", "c", 1)


@pytest.mark.parametrize("fault", ["sync", "write"])
@pytest.mark.parametrize("policy", [ALWAYS, EVERYSEC], ids=["always", "everysec"])
def test_after_appendonly_no_the_file_refuses_nothing(start, disk, policy, fault):
    daemon = start(*policy)
    client, admin = daemon.client(), daemon.client()
    client.ok("SET", "first", 1)
    rule = disk.fail(fault, errno.EIO, who=PARENT)
    client.command("SET", "second", 1)
    rule.wait_acted()
    client.read_value()
    admin.ok("CONFIG", "SET", "appendonly", "no")
    wait_until(lambda: admin.call("SET", "third", 1) == b"OK", "changes are accepted while appendonly is no")
    rule.lift()
    wait_until(lambda: admin.call("CONFIG", "SET", "appendonly", "yes") == b"OK", "appendonly is on")
    wait_until(lambda: admin.call("SET", "fourth", 1) == b"OK", "changes are accepted")
    wait_quiet(admin)
    wait_written(admin)
    daemon.kill()
    assert there(start(*ALWAYS).client(), ["first", "third", "fourth"]) == []


def test_a_failed_sync_of_switching_off_refuses_nothing(start, disk):
    daemon = start(*EVERYSEC)
    client = daemon.client()
    client.ok("SET", "a", 1)
    rule = disk.fail("sync", who=PARENT)
    client.ok("CONFIG", "SET", "appendonly", "no")
    for i in range(10):
        client.ok("SET", f"b{i}", 1)
        time.sleep(0.03)  # a late error would come here
    rule.lift()
    wait_until(lambda: client.call("CONFIG", "SET", "appendonly", "yes") == b"OK", "appendonly is on")
    client.ok("SET", "c", 1)


@pytest.mark.parametrize("fault", ["sync", "write"])
@pytest.mark.parametrize("times", [1, 1000])
def test_appendonly_no_right_behind_a_change_that_fails_refuses_nothing(start, disk, fault, times):
    daemon = start(*ALWAYS)
    client, admin = daemon.client(), daemon.client()
    busy = disk.hold("sync", who=PARENT, times=1)
    admin.command("SET", "first", 1)
    busy.wait_held()
    client.command("SET", "second", 1)
    other, switch = daemon.client(), daemon.client()
    wait_until(lambda: other.call("EXISTS", "second"), "the change is made")
    switch.command("CONFIG", "SET", "appendonly", "no")
    time.sleep(0.1)  # for it to be seen; either order has to be right
    rule = disk.fail(fault, who=PARENT, times=times, skip=1 if fault == "sync" else 0)
    busy.lift()
    assert admin.read_value() == b"OK"
    may_act(rule)
    reply = client.read_value()
    assert reply == b"OK" or is_refused(reply), reply
    assert switch.read_value() == b"OK"
    assert admin.call("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]
    for i in range(10):
        wait_until(lambda: admin.call("SET", f"third{i}", 1) == b"OK", "changes are accepted while appendonly is no")
        time.sleep(0.03)  # a late error would come here
    assert persistence(admin)["aof_last_write_status"] == "ok"
    rule.lift()
    wait_until(lambda: admin.call("CONFIG", "SET", "appendonly", "yes") == b"OK", "appendonly is on")
    for one in (client, admin):
        one.ok("SET", "fourth", 1)
    wait_quiet(admin)
    daemon.kill()
    assert there(start(*ALWAYS).client(), ["first", "third9", "fourth"]) == []


@pytest.mark.parametrize("heals", [False, True])
def test_the_end_comes_during_a_copy_with_failing_syncs(start, disk, heals):
    daemon = start(*EVERYSEC, "--shutdown-timeout", "1")
    client = daemon.client()
    set_all(client, ["a"])
    child = disk.hold("write", who=CHILD)
    client.call("BGREWRITEAOF")
    child.wait_held()
    for i in range(200):
        client.ok("SET", f"k{i}", "x" * 50000)
    rule = disk.fail("sync", who=PARENT, suffix=AOF)
    rule.wait_acted()
    pid = child_of(daemon)
    child.lift()
    wait_until(lambda: child_of(daemon) != pid, "the end of the child")
    wait_until(lambda: persistence(client)["aof_last_write_status"] == "err", "the failure")
    client.close()
    os.kill(daemon.pid, signal.SIGTERM)
    if heals:
        time.sleep(0.5)
        disk.heal()
    status = daemon.wait(60)
    assert status == 0 if heals else status >= 0
    if heals:
        assert start(*EVERYSEC).client().call("DBSIZE") == 201


def refuse_children(disk):
    return disk.fail("write", errno.ENOSPC, who=CHILD)


def test_shutdown_grace_does_not_end_without_its_snapshot(start, disk):
    daemon = start(*RULES)
    client = daemon.client()
    client.ok("SET", "a", 1)
    rule = disk.fail("rename", who=PARENT, suffix=SNAPSHOT)
    assert isinstance(client.call("SHUTDOWN", "GRACE", "0"), Error)
    assert client.call("SHUTDOWN", "GRACE", "1") == b"OK"
    daemon.wait_for_log("shutdown cancelled: the last snapshot failed")
    rule.lift()
    client = wait_until(lambda: connected(daemon), "a connection to the daemon that goes on")
    end_orderly(daemon, client, "SAVE")
    assert there(start(*RULES).client(), ["a"]) == []


def connected(daemon):
    try:
        client = daemon.client()
        return client if client.call("PING") == b"PONG" else None
    except (Closed, OSError):
        return None


@pytest.mark.parametrize("end", ["SIGTERM", "GRACE", "SAVE"])
def test_a_snapshot_cut_short_by_an_end_that_is_taken_back_refuses_nothing(start, disk, end):
    daemon = start(*RULES, "--shutdown-grace", "60", "--shutdown-timeout", "60")
    client, other = daemon.client(), daemon.client()
    client.ok("SET", "a", 1)
    child = disk.hold("write", who=CHILD)
    assert client.call("BGSAVE") == b"Background saving started"
    child.wait_held()
    if end == "SIGTERM":
        os.kill(daemon.pid, signal.SIGTERM)
        wait_until(lambda: other.info("server")["lame_duck"] == "1", "the lame duck")
    elif end == "GRACE":
        assert other.call("SHUTDOWN", "GRACE", "60") == b"OK"
    else:
        client.command("SHUTDOWN", "SAVE")
        time.sleep(0.2)  # for it to be seen; either order has to be right
    try:
        reply = other.call("SHUTDOWN", "ABORT")
    except Closed:
        reply = None
    child.lift()
    if reply != b"OK":
        assert daemon.wait(30) == 0
        return
    other.ok("SET", "b", 1)
    wait_until(lambda: persistence(other)["rdb_bgsave_in_progress"] == "0", "the end of the snapshot")
    other.ok("SET", "c", 1)
    assert persistence(other)["rdb_last_bgsave_status"] == "ok"


@pytest.mark.parametrize("log", [(), ALWAYS], ids=["no log", "always"])
@pytest.mark.parametrize("fault", ["fork", "write"])
def test_after_a_good_save_changes_are_accepted(start, disk, log, fault):
    daemon = start(*RULES, *log)
    client, other = daemon.client(), daemon.client()
    client.ok("SET", "a", 1)
    rule = disk.fail("fork", errno.EAGAIN) if fault == "fork" else refuse_children(disk)
    client.call("BGSAVE")
    wait_until(lambda: persistence(client)["rdb_last_bgsave_status"] == "err", "the failure")
    wait_until(lambda: is_refused(client.call("SET", "b", 1)), "the refusal")
    assert is_refused(other.call("SET", "b", 1))
    rule.lift()
    other.ok("SAVE")
    for one in (client, other):
        one.ok("SET", "c", 1)
    assert persistence(client)["rdb_last_bgsave_status"] == "ok"


@pytest.mark.parametrize("end", ["SIGTERM", "GRACE"])
def test_after_the_good_snapshot_of_an_end_that_is_taken_back_changes_are_accepted(start, disk, end):
    daemon = start(*RULES, "--shutdown-grace", "60")
    client = daemon.client()
    client.ok("SET", "a", 1)
    rule = refuse_children(disk)
    client.call("BGSAVE")
    wait_until(lambda: is_refused(client.call("SET", "b", 1)), "the refusal")
    rule.lift()
    if end == "SIGTERM":
        os.kill(daemon.pid, signal.SIGTERM)
        wait_until(lambda: client.info("server")["lame_duck"] == "1", "the lame duck")
    else:
        assert client.call("SHUTDOWN", "GRACE", "60") == b"OK"
    assert client.call("SHUTDOWN", "ABORT") == b"OK"
    if persistence(client)["rdb_last_bgsave_status"] != "ok":
        client.ok("SAVE")
    assert persistence(client)["rdb_last_bgsave_status"] == "ok"
    client.ok("SET", "c", 1)


def test_the_end_of_the_rules_ends_the_refusal(start, disk):
    daemon = start(*RULES)
    client = daemon.client()
    client.ok("SET", "a", 1)
    refuse_children(disk)
    client.call("BGSAVE")
    wait_until(lambda: is_refused(client.call("SET", "b", 1)), "the refusal")
    client.ok("CONFIG", "SET", "save", "")
    client.ok("SET", "b", 1)


def test_a_failing_snapshot_fails_no_reply_that_waits_for_the_log(start, disk):
    daemon = start(*ALWAYS, *RULES)
    writer, admin = daemon.client(), daemon.client()
    writer.ok("SET", "a", 1)
    rule = refuse_children(disk)
    sync = disk.hold("sync", who=PARENT, suffix=AOF)
    writer.command("SET", "b", 1)
    sync.wait_held()
    admin.call("BGSAVE")
    wait_until(lambda: persistence(admin)["rdb_last_bgsave_status"] == "err", "the failure")
    sync.lift()
    assert writer.read_value() == b"OK"
    rule.lift()
    daemon.kill()
    assert there(start(*ALWAYS).client(), ["a", "b"]) == []


def test_a_failing_rewrite_is_not_begun_again_at_once(start, disk):
    daemon = start("--appendonly", "yes", "--auto-aof-rewrite-percentage", "1", "--auto-aof-rewrite-min-size", "1",
                   "--enable-debug-command", "yes")
    forks = disk.rule("fork")  # counts them
    disk.fail("write", errno.ENOSPC, who=CHILD, delay=0.1)
    client = daemon.client()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        client.send(encode("SET", "k", "v" * 100) + encode("DEBUG", "SLEEP", "0.31"))
        client.read_value()
        client.read_value()
    assert 1 <= forks.acted <= 3, f"{forks.acted} rewrites in 6 s, each of which failed"


def test_a_failing_rewrite_keeps_no_snapshot_from_its_turn(start, disk):
    daemon = start("--appendonly", "yes", "--save", "1", "1", "--auto-aof-rewrite-percentage", "0",
                   "--auto-aof-rewrite-min-size", "1", "--stop-writes-on-bgsave-error", "no")
    client = daemon.client()
    client.ok("SET", "k", 1)
    rule = refuse_children(disk)
    client.call("BGSAVE")
    wait_until(lambda: persistence(client)["rdb_last_bgsave_status"] == "err", "a failed snapshot")
    renames = disk.fail("rename", errno.EIO, suffix=AOF)
    client.ok("CONFIG", "SET", "auto-aof-rewrite-percentage", "1")

    def changed(condition):
        client.call("SET", "k", "v" * 100)
        return condition(persistence(client))
    wait_until(lambda: changed(lambda info: info["aof_last_bgrewrite_status"] == "err"), "a failed rewrite", within=20)
    rule.lift()
    wait_until(lambda: changed(lambda info: int(info["rdb_saves"]) >= 1), "a snapshot by the rule", within=30)
    renames.lift()


def test_after_a_failed_sync_under_everysec_all_is_written_again(start, disk):
    daemon = start(*EVERYSEC)
    client = daemon.client()
    synced = int(persistence(client)["aof_fsyncs"])
    client.ok("SET", "first", 1)
    wait_until(lambda: int(persistence(client)["aof_fsyncs"]) > synced, "a sync")
    rule = disk.fail("sync", who=PARENT, times=1, suffix=AOF)
    client.ok("SET", "lost by the system", 1)
    rule.wait_acted()
    wait_until(lambda: persistence(client)["aof_last_write_status"] == "ok", "the file can be written")
    synced = int(persistence(client)["aof_fsyncs"])
    wait_until(lambda: client.call("SET", "since", 1) == b"OK", "changes are accepted")
    wait_until(lambda: int(persistence(client)["aof_fsyncs"]) >= synced + 1, "a sync")
    daemon.kill()
    disk.lose_power(Worst())
    assert there(start(*EVERYSEC).client(), ["first", "lost by the system", "since"]) == []


def tails(whole):
    """The file with its last batch torn, in ways that a loss of power leaves behind."""
    last = whole.rfind(b"#FANFARE1")
    body = whole.find(b"\n", last) + 1
    rng = random.Random(1)
    for at in (last + 1, last + 30, body, body + 5, len(whole) - 3):
        yield f"zeros from {at}", whole[:at] + bytes(len(whole) - at)
        yield f"garbage from {at}", whole[:at] + rng.randbytes(len(whole) - at)
        yield f"cut at {at}", whole[:at]
    yield "zeros for the batch", whole[:last] + bytes(len(whole) - last)


@pytest.mark.parametrize("number", range(16))
def test_a_torn_last_batch_keeps_no_daemon_from_starting(start, disk, fanfare_tool, number):
    daemon = start(*ALWAYS)
    client = daemon.client()
    set_all(client, ["a", "b"])
    client.ok("SET", "c", "x" * 500)
    daemon.kill()
    path = disk.folder / AOF
    what, torn = list(tails(path.read_bytes()))[number]
    path.write_bytes(torn)
    check = subprocess.run([fanfare_tool, "aof", "check", str(path)], capture_output=True, text=True, check=False)
    client = start(*ALWAYS).client()
    assert client.call("MGET", "a", "b", "c") == [b"1", b"1", None], what
    client.ok("SET", "d", 1)
    assert check.returncode == 1 and "ends early" in check.stdout, (what, check.stdout)


@pytest.mark.parametrize("name", ["dump.rdb", "appendonlydir"])
def test_a_folder_with_files_of_redis_alone_stops_the_start(disk, name):
    path = disk.folder / name
    if name == "dump.rdb":
        path.write_bytes(b"REDIS0011")
    else:
        path.mkdir()
        (path / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS0011")
    daemon = Fanfared(disk.folder, *ALWAYS)
    with pytest.raises(AssertionError):
        daemon.start()
        daemon.kill()
    assert name in daemon.log(), daemon.log()
