"""Daemons under test: each on a port of its own, in a fresh folder, stopped and checked at the end."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time

from lib.resp import Connection
from lib.wait import SANITIZED, seconds, wait_until

REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
           "runtime error:", "Assertion `", "assertion failed", "REDIS BUG REPORT")


def free_port():
    """An unused port, below the ephemeral range, from which clients get their ports."""
    for _ in range(1000):
        port = random.randrange(10240, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Server:
    """Common to both kinds: start, addresses, connections, stop with a check."""

    name = None

    def __init__(self, folder, *options, prefix=(), env=None, host="127.0.0.1"):
        self.folder = folder
        self.options = [str(option) for option in options]
        self.prefix = list(prefix)
        self.env = env or {}
        self.host = host
        self.port = None
        self.process = None
        self.log_path = folder / f"{self.name}-{random.randrange(1 << 30)}.log"
        self.connections = []

    # Defined by each kind.

    def arguments(self, port):
        raise NotImplementedError

    # Starting

    def start(self, port=None):
        for _ in range(5):
            self.port = port or free_port()
            self._launch()
            if self._came_up():
                return self
            if port is not None or "in use" not in self.log():
                break
        raise AssertionError(f"{self.name} did not start, exit status {self.process.returncode}:\n{self.log()}")

    def _launch(self):
        environment = dict(os.environ, **self.env)
        environment.pop("NOTIFY_SOCKET", None) if "NOTIFY_SOCKET" not in self.env else None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self.arguments(self.port), *self.options], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def _came_up(self):
        end = time.monotonic() + seconds(10)
        while self.process.poll() is None:
            try:
                # QUIT, so that the daemon no longer counts this client when the test begins.
                with Connection(self.address, timeout=5) as probe:
                    probe.send(b"QUIT\r\n")
                    if probe.read_to_end():
                        return True
            except OSError:
                pass
            if time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                return False
            time.sleep(0.01)
        return False

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="backslashreplace")

    # Talking

    def connect(self, **options):
        connection = Connection(self.address, **options)
        self.connections.append(connection)
        return connection

    def client(self, version=2):
        """A connection that uses RESP `version`."""
        connection = self.connect()
        if version != 2:
            connection.hello(version)
        return connection

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def held_bytes(self):
        """Resident, or what it says that it holds: sanitizers keep what was freed."""
        if not SANITIZED:
            return self.resident_bytes()
        with self.connect() as connection:
            return int(connection.info("memory")["used_memory"])

    def wait_for_log(self, text, within=10):
        wait_until(lambda: text in self.log(), f"{text!r} in the log", within)

    # Ending

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Kills the daemon as a power cut would; this is not an error of the daemon."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def wait(self, within=10):
        """The exit status, after the daemon has exited by itself."""
        return self.process.wait(timeout=seconds(within))

    def stop(self):
        """Sends SIGTERM, then checks exit status and log."""
        for connection in self.connections:
            connection.abandon()
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=seconds(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end on SIGTERM:\n{self.log()}") from None
        finally:
            self.process_status = self.process.returncode
            self.process = None
        self.check_log()
        assert status == 0, f"{self.name} ended with {status}:\n{self.log()[-4000:]}"

    def check_log(self):
        log = self.log()
        for report in REPORTS:
            assert report not in log, f"in the log of {self.name}:\n{log[-8000:]}"


class Redis(Server):
    name = "redis-server"

    def arguments(self, port):
        return [shutil.which("redis-server"), "--port", str(port), "--bind", self.host, "--save", "",
                "--appendonly", "no", "--dir", str(self.folder)]


class Fanfared(Server):
    name = "fanfared"

    def arguments(self, port):
        loops = os.environ.get("FANFARE_TEST_IO_THREADS", "1")
        # Directives for all daemons of a run of the tests, as in FANFARE_TEST_OPTIONS='--seccomp kill'.
        more = os.environ.get("FANFARE_TEST_OPTIONS", "").split()
        return [os.environ["FANFARED"], "--port", str(port), "--bind", self.host, "--io-threads", loops, *more]
