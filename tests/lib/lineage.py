"""A daemon and the successors that it and they start by SIGUSR2."""

import os
import re
import signal

import pytest

from lib.wait import wait_until


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Lineage:
    """A daemon and the successors that it and they started; all write to one log."""

    def __init__(self, daemon):
        self.daemon = daemon

    def pids(self):
        return [int(pid) for pid in re.findall(r"upgrade: process (\d+) serves from now on", self.daemon.log())]

    def upgrade(self, pid=None):
        """SIGUSR2 to the one that serves; the pid of the next."""
        before, log = len(self.pids()), len(self.daemon.log())
        os.kill(pid or self.daemon.pid, signal.SIGUSR2)
        wait_until(lambda: len(self.pids()) > before or "upgrade failed" in self.daemon.log()[log:], "a successor", 40)
        assert len(self.pids()) > before, self.daemon.log()
        return self.pids()[-1]

    def end(self):
        """SIGTERM to all there are; none may be left."""
        started = [int(pid) for pid in re.findall(r"started \S+ as process (\d+)", self.daemon.log())]
        for pid in {*started, *self.pids()}:
            if is_alive(pid):
                os.kill(pid, signal.SIGTERM)
            try:
                wait_until(lambda pid=pid: not is_alive(pid), f"the end of process {pid}")
            except AssertionError:
                os.kill(pid, signal.SIGKILL)
                raise


def can_upgrade():
    """False within the filter of system calls: no process can be started there, and so no successor."""
    return not re.search("--seccomp (yes|kill)", os.environ.get("FANFARE_TEST_OPTIONS", ""))


def lineages_of(start_daemon):
    if not can_upgrade():
        pytest.skip("under seccomp no process can be started, and so no successor")
    started = []

    def start(*options, **more):
        started.append(Lineage(start_daemon(*options, **more)))
        return started[-1]

    yield start
    for lineage in started:
        lineage.end()
        lineage.daemon.check_log()
