"""Shutdown without loss for clients: lame duck, and the upgrade by SIGUSR2."""

import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from lib.daemon import Fanfared, free_port
from lib.lineage import Lineage, is_alive, lineages_of
from lib.resp import Closed, Connection, Push, encode, error
from lib.tls import TlsConnection
from lib.wait import SLOW, seconds, wait_until
from test_daemon import ACTIVATE, notify_socket, refuses

LOOPS = [(), ("--io-threads", 4)]


# Lame duck


class Reader:
    """Reads what a subscriber gets until it is closed, without blocking."""

    def __init__(self, connection):
        self.connection = connection
        self.socket = connection.socket
        self.socket.setblocking(False)
        self.data = b""
        self.closed_at = None

    def read(self):
        try:
            part = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        self.data += part
        if not part:
            self.closed_at = time.monotonic()

    def numbers(self):
        return [int(n) for n in re.findall(rb"\$7\r\nmessage\r\n\$1\r\nc\r\n\$\d+\r\n(\d+)\r\n", self.data)]


@pytest.mark.parametrize("options", LOOPS, ids=["one loop", "four loops"])
def test_a_lame_duck_closes_evenly_and_loses_no_message(start_fanfared, options):
    """300 subscribers get numbered messages: each all of them up to its close, and as many as PUBLISH said."""
    window, count = 4 * SLOW, 300
    daemon = start_fanfared(*options)
    readers = []
    for _ in range(count):
        connection = daemon.connect()
        connection.subscribe("c")
        readers.append(Reader(connection))
    publisher = daemon.connect()  # the last to come is the last to go
    publisher.ok("SHUTDOWN", "GRACE", window)
    begun = time.monotonic()
    selector = selectors.DefaultSelector()
    for reader in readers:
        selector.register(reader.socket, selectors.EVENT_READ, reader)
    replies, number = [], 0
    while selector.get_map():
        if time.monotonic() - begun < window * 0.95:
            replies.append(publisher.call("PUBLISH", "c", number))
            number += 1
        for key, _ in selector.select(0.01):
            key.data.read()
            if key.data.closed_at is not None:
                selector.unregister(key.fileobj)
        assert time.monotonic() - begun < window + seconds(10)
    selector.close()
    assert daemon.wait() == 0
    received = [reader.numbers() for reader in readers]
    for numbers in received:
        assert numbers == list(range(len(numbers)))
    assert sum(map(len, received)) == sum(replies)
    # The oldest first, and spread: no quarter of the window has much more than a quarter of the closes.
    times = [reader.closed_at - begun for reader in readers]
    assert times[0] < window * 0.5 < times[-1] < window + seconds(1)
    for quarter in range(4):
        closes = sum(quarter <= t / window * 4 < quarter + 1 for t in times)
        assert count / 8 < closes < count / 2, (quarter, closes)


def test_who_asked_for_it_is_told_that_the_daemon_is_going_away(fanfared):
    asked, silent, old = fanfared.client(3), fanfared.client(3), fanfared.client(2)
    for client in (asked, old):
        client.ok("OUTBOX", "SET", "GOING-AWAY", "yes")
    for client in (asked, silent, old):
        client.subscribe("c")
    other = fanfared.connect()
    other.ok("SHUTDOWN", "GRACE", 30)
    going = asked.read_value()
    assert isinstance(going, Push) and going == [b"going-away", 30]
    assert silent.nothing_arrives() and old.nothing_arrives()
    # Served as ever meanwhile.
    assert other.call("PUBLISH", "c", "x") == 3
    assert asked.read_value() == [b"message", b"c", b"x"]
    info = other.info("server")
    assert info["lame_duck"] == "1" and 20000 < int(info["shutdown_in_milliseconds"]) <= 30000
    other.command("SHUTDOWN", "NOW")
    assert fanfared.wait() == 0


def test_what_is_wrong_with_a_grace_is_said(fanfared):
    client = fanfared.connect()
    for words, text in ((("GRACE",), "ERR syntax error"),
                        (("GRACE", "soon"), "ERR value is not an integer or out of range"),
                        (("GRACE", "-1"), "ERR value is out of range, must be positive"),
                        (("GRACE", "99999999999"), "ERR value is out of range, must be positive"),
                        (("GRACE", "1", "NOW"), "ERR syntax error"),
                        (("GRACE", "1", "ABORT"), "ERR syntax error"),
                        (("ABORT",), "ERR No shutdown in progress.")):
        assert client.call("SHUTDOWN", *words) == error(text), words
    assert client.call("OUTBOX", "SET", "GOING-AWAY", "x") == error("ERR GOING-AWAY must be 'yes' or 'no'")
    assert client.info("server")["lame_duck"] == "0"


def test_a_lame_duck_can_be_aborted(start_fanfared, folder):
    path = folder / "sock"
    daemon = start_fanfared("--unixsocket", path, "--unixsocketperm", "700")
    client = daemon.connect()
    client.ok("SHUTDOWN", "GRACE", 1000)
    wait_until(lambda: refuses(daemon.address), "nobody listens any more")
    assert not path.exists()
    client.ok("SHUTDOWN", "ABORT")
    assert client.call("SHUTDOWN", "ABORT") == error("ERR No shutdown in progress.")
    for address in (daemon.address, path):
        with Connection(address) as newcomer:
            assert newcomer.call("PING") == b"PONG"
    assert path.stat().st_mode & 0o777 == 0o700
    # What took the place meanwhile keeps it, and the lame duck goes on.
    client.ok("SHUTDOWN", "GRACE", 1000)
    with socket.create_server(daemon.address):
        reply = client.call("SHUTDOWN", "ABORT")
        assert reply.text.startswith(b"ERR Cannot listen again: ") and b"in use" in reply.text
        assert client.info("server")["lame_duck"] == "1" and not path.exists()
    client.ok("SHUTDOWN", "ABORT")
    with Connection(daemon.address) as newcomer:
        assert newcomer.call("PING") == b"PONG"


def test_sigterm_begins_a_lame_duck_and_the_second_ends_it_at_once(start_fanfared):
    daemon = start_fanfared("--shutdown-grace", "600")
    client = daemon.connect()
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait_for_log("lame duck")
    assert client.call("PING") == b"PONG"
    wait_until(lambda: refuses(daemon.address), "nobody listens any more")
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.wait() == 0
    assert "stopping at once" in daemon.log()


def test_a_lame_duck_without_clients_is_over(start_fanfared):
    daemon = start_fanfared("--shutdown-grace", "600")
    client = daemon.connect()
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait_for_log("lame duck")
    assert client.call("PING") == b"PONG"
    client.close()
    assert daemon.wait() == 0


def test_at_the_end_of_the_window_what_does_not_read_has_the_shutdown_timeout(start_fanfared):
    daemon = start_fanfared("--shutdown-timeout", 1)
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.subscribe("c")
    publisher = daemon.connect()
    for _ in range(16):
        publisher.call("PUBLISH", "c", b"x" * 1000000)
    start = time.monotonic()
    publisher.ok("SHUTDOWN", "GRACE", 1)
    assert daemon.wait() == 0
    assert 1.5 < time.monotonic() - start < 3 + 5 * SLOW


def test_systemd_is_told_of_a_lame_duck_and_of_how_long_it_lasts(start_fanfared, folder):
    listener, path = notify_socket(folder)
    daemon = start_fanfared("--supervised", "systemd", "--shutdown-timeout", 7, env={"NOTIFY_SOCKET": path})
    listener.recv(4096)
    client = daemon.connect()
    client.ok("SHUTDOWN", "GRACE", 100)
    state = listener.recv(4096).decode().splitlines()
    assert "STOPPING=1" in state, state
    extension = int(next(line for line in state if line.startswith("EXTEND_TIMEOUT_USEC=")).partition("=")[2])
    assert 117_000_000 <= extension < 130_000_000
    # That cannot be taken back.
    assert b"service manager" in client.call("SHUTDOWN", "ABORT").text
    client.command("SHUTDOWN", "NOW")
    assert daemon.wait() == 0
    listener.close()


# Upgrade


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


@pytest.fixture
def start_tls_lineage(start_tls_fanfared):
    yield from lineages_of(start_tls_fanfared)


class Callers:
    """Threads that connect, ask and leave all the time, and count what goes wrong."""

    def __init__(self, *addresses, threads=3):
        self.stopped = False
        self.calls = 0
        self.pids = set()
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(address,))
                        for address in addresses for _ in range(threads)]

    def _run(self, address):
        while not self.stopped:
            try:
                with Connection(address) as connection:
                    self.pids.add(int(connection.info("server")["process_id"]))
                    connection.command("QUIT")
                    connection.read_to_end()
                self.calls += 1
            except (OSError, Closed, AssertionError) as problem:
                self.errors.append(repr(problem))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("options", LOOPS, ids=["one loop", "four loops"])
def test_no_connection_attempt_is_lost_through_upgrades(start_lineage, folder, options):
    path, pidfile = folder / "sock", folder / "pid"
    lineage = start_lineage("--unixsocket", path, "--pidfile", pidfile, "--shutdown-grace", 2, *options)
    daemon = lineage.daemon
    held = daemon.connect(timeout=30)
    held.subscribe("c")
    with Callers(daemon.address, path) as callers:
        wait_until(lambda: callers.calls > 50, "calls")
        second = lineage.upgrade()
        wait_until(lambda: int(pidfile.read_text()) == second, "the successor's pidfile")
        # The old process serves its clients until it closes them.
        assert held.call("PING") == [b"pong", b""]
        seen = callers.calls
        wait_until(lambda: callers.calls > seen + 50, "calls")
        assert daemon.wait(30) == 0
        assert path.exists() and int(pidfile.read_text()) == second
        third = lineage.upgrade(second)
        wait_until(lambda: not is_alive(second), "the end of the second", 30)
        seen = callers.calls
        wait_until(lambda: callers.calls > seen + 50, "calls")
    assert callers.errors == []
    assert {daemon.pid, second, third} <= callers.pids
    assert path.exists() and int(pidfile.read_text()) == third
    assert held.read_to_end() == b""
    os.kill(third, signal.SIGTERM)
    wait_until(lambda: not is_alive(third), "the end of the third")
    assert not path.exists() and not pidfile.exists()


def test_what_waits_to_be_accepted_is_served_by_the_successor(start_lineage):
    """While the old process is stopped, no connection is accepted; new ones wait in the queue of the socket."""
    lineage = start_lineage("--shutdown-grace", 1)
    daemon = lineage.daemon
    second = lineage.upgrade()
    os.kill(second, signal.SIGSTOP)
    try:
        waiting = [daemon.connect() for _ in range(20)]
        for connection in waiting:
            connection.command("PING")
    finally:
        os.kill(second, signal.SIGCONT)
    for connection in waiting:
        assert connection.read_value() == b"PONG"


@pytest.mark.parametrize("options", LOOPS, ids=["one loop", "four loops"])
def test_over_tls_no_connection_attempt_is_lost_through_upgrades(start_tls_lineage, options):
    lineage = start_tls_lineage("--shutdown-grace", 1, *options)
    daemon = lineage.daemon
    held = daemon.tls()
    held.subscribe("c")
    served = {daemon.pid}
    for number in range(1, 3):
        os.kill(([daemon.pid] + lineage.pids())[-1], signal.SIGUSR2)
        deadline = time.monotonic() + seconds(30)
        while len(served) <= number:
            with daemon.tls() as client:
                served.add(int(client.info("server")["process_id"]))
            assert time.monotonic() < deadline, daemon.log()
        wait_until(lambda number=number: len(lineage.pids()) == number, "the line in the log")
    assert served == {daemon.pid, *lineage.pids()}
    assert held.read_to_end() == b""


def test_a_successor_that_cannot_speak_tls_or_read_the_users_leaves_the_old_one_in_place(
        start_tls_lineage, certificates, folder):
    cert, key = certificates.copy_pair("server", folder)
    users = folder / "users"
    users.write_text("user default on nopass allcommands allchannels\n")
    lineage = start_tls_lineage("--tls-cert-file", cert, "--tls-key-file", key, "--aclfile", users)
    daemon = lineage.daemon
    held = daemon.tls()
    for path, words in ((key, "TLS: "), (users, f"{users}:1: ")):
        good = path.read_text()
        path.write_text("nonsense\n")
        os.kill(daemon.pid, signal.SIGUSR2)
        wait_until(lambda words=words: words in daemon.log() and "ended with status 1" in daemon.log().split(words)[-1],
                   "the end of the successor")
        path.write_text(good)
        assert held.call("PING") == b"PONG"
        with daemon.tls() as fresh:
            assert fresh.call("PING") == b"PONG"
    lineage.end()


@pytest.mark.parametrize("options", LOOPS, ids=["one loop", "four loops"])
def test_who_is_in_a_handshake_is_served_by_the_old_one(start_tls_lineage, options):
    lineage = start_tls_lineage("--shutdown-grace", 5, *options)
    daemon = lineage.daemon
    with daemon.connect() as client:
        handshake = socket.create_connection(daemon.tls_address, timeout=seconds(5))
        wait_until(lambda: client.info("tls")["tls_handshakes_in_progress"] == "1", "the handshake")
    lineage.upgrade()
    with daemon.certificates.client_context().wrap_socket(handshake, server_hostname="localhost") as secured:
        secured.sendall(b"PING\r\n")
        assert secured.recv(100) == b"+PONG\r\n"


def awaits_header(daemon):
    """A connection from which a header of the PROXY protocol is to come, and that is the only one."""
    with daemon.connect() as client:
        client.ok("CONFIG", "SET", "proxy-protocol", "yes", "proxy-protocol-from", "127.0.0.1")
        header = socket.create_connection(daemon.address, timeout=seconds(5))
        wait_until(lambda: client.info("clients")["awaited_proxy_headers"] == "1", "the one without a header")
    return header


@pytest.mark.parametrize("options", LOOPS, ids=["one loop", "four loops"])
def test_who_is_about_to_say_for_whom_it_comes_is_served_by_the_old_one(start_lineage, options):
    lineage = start_lineage("--shutdown-grace", 5, *options)
    with awaits_header(lineage.daemon) as header:
        lineage.upgrade()
        time.sleep(0.1)  # in which an old one without clients would end
        header.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\nPING\r\n")
        assert header.recv(100) == b"+PONG\r\n"


def test_who_never_says_for_whom_it_comes_does_not_hold_up_the_end(start_fanfared):
    daemon = start_fanfared("--shutdown-grace", 2)
    with awaits_header(daemon) as header:
        start = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0
        assert 1.9 < time.monotonic() - start < 4 * SLOW
        assert header.recv(100) == b""


def test_a_successor_holds_no_descriptor_more_than_its_predecessor(start_lineage):
    lineage = start_lineage("--shutdown-grace", 1)
    before = len(os.listdir(f"/proc/{lineage.daemon.pid}/fd"))
    held = [lineage.daemon.connect() for _ in range(10)]
    for connection in held:
        connection.call("PING")
    second = lineage.upgrade()
    assert lineage.daemon.wait(30) == 0
    wait_until(lambda: len(os.listdir(f"/proc/{second}/fd")) == before, "the descriptors are as many")
    environment = pathlib.Path(f"/proc/{second}/environ").read_bytes().split(b"\0")
    assert b"LISTEN_PID=%d" % second in environment and b"LISTEN_FDNAMES=resp" in environment


def test_a_mistake_in_the_configuration_leaves_the_old_one_in_place(start_lineage, folder):
    path = folder / "fanfared.conf"
    path.write_text("timeout 0\n")
    lineage = start_lineage("-c", "fanfared.conf", "--shutdown-grace", 1)
    daemon = lineage.daemon
    held = daemon.connect()
    path.write_text("timeout soon\n")
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.wait_for_log("upgrade failed, this process goes on: the new process ended before it could serve")
    assert "fanfared.conf:1:" in daemon.log()
    daemon.wait_for_log("of an upgrade ended with status 1")
    assert held.call("PING") == b"PONG"
    assert int(daemon.connect().info("server")["process_id"]) == daemon.pid
    assert held.info("server")["lame_duck"] == "0"
    # Then the configuration is corrected. No zombie process is left.
    path.write_text("timeout 77\n")
    os.kill(daemon.pid, signal.SIGUSR2)
    wait_until(lambda: lineage.pids(), "a successor")
    with Connection(daemon.address) as newcomer:
        assert newcomer.call("CONFIG", "GET", "timeout") == [b"timeout", b"77"]


class Copied(Fanfared):
    """Runs a copy of the program that lies in its folder, by a relative path."""

    def arguments(self, port):
        return ["./copy", *super().arguments(port)[1:]]


def replace(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o755)
    new.rename(path)


@pytest.fixture
def start_copied(folder):
    """start_copied(kind) gives (daemon, path of the program)"""
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    path = folder / "copy"
    started = []

    def start(kind):
        shutil.copy(os.environ["FANFARED"], path)
        started.append(kind(folder, "--shutdown-grace", 1, "--dir", "/"))
        return started[-1].start(), path

    yield start
    for daemon in started:
        daemon.stop()
        Lineage(daemon).end()


@pytest.fixture
def copied(start_copied):
    """(lineage, path of the program)"""
    daemon, path = start_copied(Copied)
    return Lineage(daemon), path


def test_a_broken_program_leaves_the_old_one_in_place(copied):
    lineage, path = copied
    daemon = lineage.daemon
    for text, words in (("garbage", "Exec format error"), ("#!/bin/sh\nexit 3\n", "ended with status 3")):
        replace(path, text)
        os.kill(daemon.pid, signal.SIGUSR2)
        daemon.wait_for_log(words)
        wait_until(lambda: not children(daemon.pid), "the child was waited for")
        assert daemon.connect().call("PING") == b"PONG"
    assert daemon.log().count("upgrade failed, this process goes on") == 2
    path.unlink()
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.wait_for_log("No such file or directory")
    # The program at the path at that time is started, even if the folder was replaced.
    shutil.copy(os.environ["FANFARED"], path)
    os.kill(daemon.pid, signal.SIGUSR2)
    second = wait_until(lineage.pids, "a successor")[0]
    assert os.readlink(f"/proc/{second}/exe") == str(path)


class OnUnixSocket(Copied):
    """Listens on a Unix socket only."""

    def arguments(self, port):
        return [*super().arguments(0), "--unixsocket", self.address]

    @property
    def address(self):
        return str(self.folder / "sock")


def test_a_successor_that_fails_late_leaves_the_unix_socket_in_place(start_copied):
    daemon, path = start_copied(OnUnixSocket)
    # A descriptor that is no listener is found when the socket has been taken already.
    for line, words in (("LISTEN_FDS=2 LISTEN_FDNAMES=resp:resp", "not a listening socket"),
                        ("LISTEN_FDNAMES=gopher", "no listener is called 'gopher' here"),
                        ("FANFARED_UPGRADE=99", "FANFARED_UPGRADE: no such descriptor")):
        replace(path, f"#!/bin/sh\n{line} exec {os.environ['FANFARED']} \"$@\"\n")
        failures = daemon.log().count("of an upgrade ended with status 1")
        os.kill(daemon.pid, signal.SIGUSR2)
        daemon.wait_for_log(words)
        wait_until(lambda: daemon.log().count("of an upgrade ended with status 1") > failures, "the child's end")
        with Connection(daemon.address) as client:
            assert int(client.info("server")["process_id"]) == daemon.pid
    daemon.stop()
    assert not os.path.exists(daemon.address)


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_one_upgrade_at_a_time_and_none_of_who_ends(copied):
    lineage, path = copied
    daemon = lineage.daemon
    replace(path, "#!/bin/sh\nexec sleep 60\n")
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.wait_for_log("upgrade: started")
    child = int(children(daemon.pid)[0])
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.wait_for_log("an upgrade is under way already")
    client = daemon.connect()
    client.ok("SHUTDOWN", "GRACE", 600)
    daemon.wait_for_log("upgrade given up")
    wait_until(lambda: not is_alive(child), "the end of the successor")
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.wait_for_log("no upgrade, this process is stopping")
    client.close()
    assert daemon.wait() == 0


def test_after_an_upgrade_there_is_no_way_back(start_lineage):
    lineage = start_lineage("--shutdown-grace", 600)
    held = lineage.daemon.connect()
    lineage.upgrade()
    assert held.info("server")["lame_duck"] == "1"
    assert b"Another process" in held.call("SHUTDOWN", "ABORT").text
    held.close()
    assert lineage.daemon.wait() == 0
    # The successor's own listeners are as good as its predecessor's.
    with Connection(lineage.daemon.address) as client:
        client.ok("SHUTDOWN", "GRACE", 600)
        wait_until(lambda: refuses(lineage.daemon.address), "nobody listens any more")
        client.ok("SHUTDOWN", "ABORT")
        assert not refuses(lineage.daemon.address)


def test_systemd_learns_of_the_new_main_process_and_no_stop(start_lineage, folder):
    listener, path = notify_socket(folder)
    lineage = start_lineage("--supervised", "systemd", "--shutdown-grace", 1, env={"NOTIFY_SOCKET": path})
    listener.recv(4096)
    second = lineage.upgrade()
    assert listener.recv(4096).decode() == f"MAINPID={second}"
    ready = listener.recv(4096).decode().splitlines()
    assert "READY=1" in ready and f"MAINPID={second}" in ready
    assert lineage.daemon.wait(30) == 0
    os.kill(second, signal.SIGHUP)
    assert "RELOADING=1" in listener.recv(4096).decode()
    listener.close()


def test_a_daemon_in_the_background_is_upgraded(folder, start_fanfared):
    port, pidfile, log = free_port(), folder / "d.pid", folder / "d.log"
    done = subprocess.run(
        [os.environ["FANFARED"], "--port", str(port), "--daemonize", "yes", "--pidfile", pidfile, "--logfile", log,
         "--shutdown-grace", "1", "--io-threads", os.environ.get("FANFARE_TEST_IO_THREADS", "1")],
        cwd=folder, capture_output=True, timeout=seconds(10), check=False)
    assert done.returncode == 0, done.stderr
    first = int(pidfile.read_text())
    pids = {first}
    try:
        os.kill(first, signal.SIGUSR2)
        wait_until(lambda: int(pidfile.read_text() or first) != first, "a successor's pidfile")
        second = int(pidfile.read_text())
        pids.add(second)
        wait_until(lambda: not is_alive(first), "the end of the first", 30)
        with Connection(("127.0.0.1", port)) as client:
            assert int(client.info("server")["process_id"]) == second
    finally:
        for pid in pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not any(map(is_alive, pids)), "the end of all")
    assert not pidfile.exists()
    assert "of an upgrade ended" not in log.read_text()


def test_sockets_of_socket_activation_stay_the_supervisors(folder):
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    path, pidfile = folder / "activated", folder / "pid"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    with open(folder / "activated.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(unix.fileno()), os.environ["FANFARED"], "--port", "1",
             "--pidfile", pidfile, "--shutdown-grace", "1"],
            pass_fds=[unix.fileno()], stdout=log, stderr=log)
    try:
        with Connection(path) as client:
            assert int(client.info("server")["process_id"]) == process.pid
        wait_until(pidfile.exists, "the pidfile")
        os.kill(process.pid, signal.SIGUSR2)
        assert process.wait(timeout=seconds(30)) == 0
        wait_until(lambda: int(pidfile.read_text()) != process.pid, "the successor's pidfile")
        second = int(pidfile.read_text())
        with Connection(path) as client:
            client.ok("SHUTDOWN", "GRACE", 600)
            assert b"were passed" in client.call("SHUTDOWN", "ABORT").text
            client.command("SHUTDOWN", "NOW")
        wait_until(lambda: not is_alive(second), "the end of the second")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        unix.close()
    assert path.exists()


def test_a_socket_called_tls_speaks_it_before_and_after_an_upgrade(folder, certificates):
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    plain, secured = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    pidfile, log = folder / "pid", folder / "activated.log"
    numbers = [plain.fileno(), secured.fileno()]
    words = [str(word) for word in certificates.server_options()]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, ",".join(map(str, numbers)), os.environ["FANFARED"], "--port", "0",
             "--tls-port", "1", "--tls-auth-clients", "no", *words, "--pidfile", pidfile, "--shutdown-grace", "1"],
            pass_fds=numbers, stdout=out, stderr=out, env={**os.environ, "LISTEN_FDNAMES": "fanfared.socket:tls"})
    pids = [process.pid]
    try:
        for _ in range(3):
            with Connection(plain.getsockname()) as client:
                assert client.call("PING") == b"PONG"
            with TlsConnection(secured.getsockname(), certificates.client_context()) as client:
                assert client.call("PING") == b"PONG"
            wait_until(lambda: pidfile.exists() and pidfile.read_text() == f"{pids[-1]}\n", "the pidfile")
            os.kill(pids[-1], signal.SIGUSR2)
            wait_until(lambda: pidfile.read_text() not in ("", f"{pids[-1]}\n"), "the next pidfile")
            pids.append(int(pidfile.read_text()))
        environment = pathlib.Path(f"/proc/{pids[-1]}/environ").read_bytes().split(b"\0")
        assert b"LISTEN_FDNAMES=resp-passed:tls-passed" in environment
    finally:
        os.kill(pids[-1], signal.SIGTERM)
        for pid in pids[1:]:
            wait_until(lambda pid=pid: not is_alive(pid), "the end of all")
        assert process.wait(timeout=seconds(10)) == 0, log.read_text()
        plain.close()
        secured.close()
