"""What a failed upgrade leaves behind: no process, no wrong name in the lock file, and a line that says what failed."""

import os
import re
import signal
import subprocess

import pytest

from lib.daemon import free_port
from lib.lineage import is_alive, lineages_of
from lib.resp import Connection
from lib.wait import seconds, wait_until


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def processes_in(folder):
    """The pids of the daemons whose working folder this is."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (os.readlink(f"/proc/{name}/cwd") == str(folder) and is_alive(int(name)) and
                    os.readlink(f"/proc/{name}/exe") == os.path.realpath(os.environ["FANFARED"])):
                found.add(int(name))
        except OSError:
            continue
    return found


def failures(log):
    return re.findall(r"upgrade failed, this process goes on: (.*)", log)


def test_the_lock_file_names_the_process_that_serves(start_lineage, folder):
    """The successor fails at the last moment, after it has got the lock."""
    lock = folder / "fanfared.lock"
    path = folder / "fanfared.conf"
    path.write_text("appendonly yes\nappendfsync always\nshutdown-grace 1\n")
    lineage = start_lineage("-c", path)
    daemon = lineage.daemon
    client = daemon.client()
    client.ok("SET", "k", 1)
    assert lock.read_text() == f"{daemon.pid}\n"
    # The successor finds a file that is longer than it was told.
    with open(folder / "appendonly.aof", "ab") as file:
        file.write(b"x")
    os.kill(daemon.pid, signal.SIGUSR2)
    wait_until(lambda: failures(daemon.log()), "the failure", 40)
    assert "bytes long, not" in failures(daemon.log())[0]
    assert lock.read_text() == f"{daemon.pid}\n"
    with open(folder / "appendonly.aof", "r+b") as file:
        file.truncate(os.path.getsize(folder / "appendonly.aof") - 1)
    second = lineage.upgrade()
    wait_until(lambda: lock.read_text() == f"{second}\n", "the name of the successor")


def test_a_successor_in_the_background_that_hangs_is_ended(folder):
    port, log = free_port(), folder / "d.log"
    done = subprocess.run(
        [os.environ["FANFARED"], "--port", str(port), "--daemonize", "yes", "--pidfile", folder / "d.pid",
         "--logfile", log, "--appendonly", "yes", "--shutdown-grace", "1"],
        cwd=folder, capture_output=True, timeout=seconds(10), check=False)
    assert done.returncode == 0, done.stderr
    first = int((folder / "d.pid").read_text())
    try:
        with Connection(("127.0.0.1", port)) as client:
            client.call("RPUSH", "ballast", *(b"x" * 100000 for _ in range(400)))
            os.kill(first, signal.SIGUSR2)
            wait_until(lambda: "the keys are being sent" in log.read_text(), "keys are sent", 30)
            # Whichever process is the successor, also one that nobody knows.
            others = processes_in(folder) - {first}
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            client.ok("CONFIG", "SET", "appendonly", "no")
            wait_until(lambda: failures(log.read_text()), "the failure")
            assert "appendonly was set to no meanwhile" in failures(log.read_text())[0]
            wait_until(lambda: processes_in(folder) == {first}, "the successor is gone")
    finally:
        for pid in processes_in(folder):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes_in(folder), "the end of all")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return {int(child) for child in file.read().split()}


def test_a_failure_of_the_kept_messages_is_not_reported_as_one_of_the_keys(start_lineage, folder):
    """The child process that sends them is killed while the successor is stopped."""
    path = folder / "fanfared.conf"
    path.write_text("channel c* history-size 100000 history-ttl 600 history-bytes 200mb\nshutdown-grace 1\n")
    lineage = start_lineage("-c", path)
    daemon = lineage.daemon
    client = daemon.client()
    for _ in range(400):
        client.command("PUBLISH", "c", b"x" * 60000)
    for _ in range(400):
        assert client.read_value() == 0
    pid = daemon.pid
    while True:
        log = len(daemon.log())
        done = len(lineage.pids())
        os.kill(pid, signal.SIGUSR2)
        started = wait_until(lambda log=log: re.findall(r"started \S+ as process (\d+)", daemon.log()[log:]), "a successor")
        successor = int(started[0])
        wait_until(lambda log=log: "the keys are being sent" in daemon.log()[log:], "keys are sent", 30)
        os.kill(successor, signal.SIGSTOP)
        senders = wait_until(
            lambda pid=pid, successor=successor, done=done: children_of(pid) - {successor} or len(lineage.pids()) > done,
            "the child that sends", 10)
        if senders is True:  # it was too fast
            os.kill(successor, signal.SIGCONT)
            pid = successor
            continue

        def kill_senders(pid=pid, successor=successor, log=log):
            """The one of the keys may have ended, and that of the kept messages not begun."""
            for sender in children_of(pid) - {successor}:
                os.kill(sender, signal.SIGKILL)
            return failures(daemon.log()[log:])

        outcome = wait_until(kill_senders, "the failure", 20)
        if "the keys: " in outcome[0]:  # it was too early
            continue
        assert outcome[0] == "the child process that sends the kept messages and members: it ended without a result"
        break
    assert len(client.call("HISTORY", "RANGE", "c", "-", "+", "COUNT", 500)) == 400
