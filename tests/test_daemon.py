"""The daemon as a process: command line, start and its errors, sockets, supervision, signals, shutdown."""

import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from lib.daemon import Fanfared, free_port
from lib.flood import flood, payload
from lib.resp import Connection, encode
from lib.wait import SLOW, seconds, wait_until


@pytest.fixture
def run(folder):
    """run("--version") gives the CompletedProcess of a fanfared that ends by itself."""
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")

    def call(*arguments, env=None):
        return subprocess.run([os.environ["FANFARED"], *map(str, arguments)], cwd=folder, capture_output=True,
                              text=True, timeout=seconds(10), check=False, env=dict(os.environ, **(env or {})))

    return call


def refused(done):
    """The one line with which a start was refused."""
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


class Unmanaged(Fanfared):
    """Started with exactly the options given: no port, no address."""

    def arguments(self, port):
        return [os.environ["FANFARED"]]


@pytest.fixture
def start_bare(folder):
    """start_bare(options, address) starts fanfared with these options alone and waits for the address."""
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    started = []

    def start(*options, address, **more):
        class Bare(Unmanaged):
            address = None

        Bare.address = address
        daemon = Bare(folder, *options, **more)
        started.append(daemon)
        return daemon.start(port=0)

    yield start
    for daemon in started:
        daemon.stop()


# Command line


def test_version_and_help_are_printed(run):
    for option in ("--version", "-v"):
        done = run(option)
        assert done.returncode == 0 and re.match(r"fanfared \d+\.\d+", done.stdout), done
    for option in ("--help", "-h"):
        done = run(option)
        assert done.returncode == 0 and done.stdout.startswith("usage: fanfared"), done
        assert all(word in done.stdout for word in ("-c", "--check-config", "--show-config", "--version"))


def test_check_config_says_whether_a_file_is_valid(run, folder):
    (folder / "good.conf").write_text("port 7000\n# a comment\n\nmaxclients 12\n")
    assert run("-c", "good.conf", "--check-config").returncode == 0
    (folder / "bad.conf").write_text("port 7000\n\nmaxclients many\n")
    line = refused(run("-c", "bad.conf", "--check-config"))
    assert "bad.conf:3:" in line and "maxclients" in line and "many" in line


@pytest.mark.parametrize("options, words", [
    (["--tls-port", "7001", "--tls-cert-file", "gone.pem"], "gone.pem"),
    (["--tls-port", "7001"], "tls-cert-file"),
    (["--https-port", "7001"], "https-port needs a certificate: tls-cert-file is not set"),
    (["--sse-retry-min", "6000"], "sse-retry-max 5000 is below sse-retry-min 6000"),
    (["--upstream", "redis://u:pw@h/1"], "all databases share the channels; allowed is redis://"),
    (["--upstream-tls-name", "h"], "upstream-tls-name is set, but upstream is not a rediss:// URL"),
    (["--token-jwks-file", "gone.json"], "gone.json"),
    (["--aclfile", "gone.acl"], "gone.acl"), (["--aclfile", "bad.acl"], "bad.acl:2"),
    (["--dir", "/nonexistent"], "/nonexistent"),
])
def test_check_config_looks_into_the_files_that_a_start_would_read(run, folder, options, words):
    (folder / "bad.acl").write_text("user default on nopass +@all\nuser alice +nosuch\n")
    line = refused(run(*options, "--check-config"))
    assert words in line
    assert line == refused(run(*options)).split(" error: ")[-1]


def test_check_config_takes_no_port_and_writes_nothing(run, start_fanfared, folder):
    (folder / "good.acl").write_text("user default on nopass +@all\n")
    daemon = start_fanfared("--pidfile", "pid")
    before = sorted(folder.iterdir())
    done = run("--port", str(daemon.port), "--pidfile", "other", "--logfile", "log", "--unixsocket", "sock", "--aclfile",
               "good.acl", "--check-config")
    assert done.returncode == 0 and done.stdout == done.stderr == ""
    assert sorted(folder.iterdir()) == before


def test_show_config_prints_every_setting_in_a_form_that_can_be_read_again(run, folder):
    done = run("--port", 7123, "--maxclients", 77, "--show-config")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "port 7123" in lines and "maxclients 77" in lines
    (folder / "again.conf").write_text(done.stdout)
    again = run("-c", "again.conf", "--show-config")
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


@pytest.mark.parametrize("text, place, words", [
    ("nosuchdirective 1\n", 1, ["nosuchdirective"]),
    ("port 1\nport x\n", 2, ["port", "x", "65535"]),
    ("port 70000\n", 1, ["port", "70000", "65535"]),
    ("port -1\n", 1, ["port"]),
    ("port\n", 1, ["port"]),
    ("port 1 2\n", 1, ["port"]),
    ("\n\n\ndaemonize perhaps\n", 4, ["daemonize", "perhaps", "yes or no"]),
    ("outbox-policy nosuch\n", 1, ["outbox-policy", "nosuch", "drop-oldest"]),
    ("outbox-limit-bytes 12xb\n", 1, ["outbox-limit-bytes", "12xb"]),
    ("loglevel chatty\n", 1, ["loglevel", "chatty"]),
    ("unixsocketperm 999\n", 1, ["unixsocketperm", "999"]),
    ("client-output-buffer-limit pubsub 1\n", 1, ["client-output-buffer-limit"]),
    ("client-output-buffer-limit nosuch 1 1 1\n", 1, ["client-output-buffer-limit"]),
    ('pidfile "unbalanced\n', 1, []),
    ("maxclients 0\n", 1, ["maxclients"]),
    ("timeout 1s\n", 1, ["timeout", "1s"]),
    ("include nowhere.conf\n", 1, ["nowhere.conf"]),
    ("max-channel-length 999999999999999999999999\n", 1, ["max-channel-length"]),
    ("port 1\0\n", 1, []),
], ids=lambda value: repr(value)[:30] if isinstance(value, str) else "")
def test_a_mistake_in_the_file_is_named_with_its_line(run, folder, text, place, words):
    (folder / "fanfared.conf").write_text(text)
    line = refused(run("-c", "fanfared.conf"))
    assert f"fanfared.conf:{place}:" in line, line
    for word in words:
        assert word in line, line


@pytest.mark.parametrize("arguments, words", [
    (("--port", "x"), ["port", "x"]),
    (("--port",), ["port"]),
    (("-c", "nowhere.conf"), ["nowhere.conf", "No such file"]),
    (("--dir", "/nonexistent/folder"), ["/nonexistent/folder"]),
    (("--port", "0"), []),
])
def test_a_mistake_on_the_command_line_is_named(run, arguments, words):
    line = refused(run(*arguments))
    for word in words:
        assert word in line, line


@pytest.mark.parametrize("arguments, words", [
    (("--nosuchdirective", "1"), "unknown directive 'nosuchdirective'"),
    (("--port=7000",), "unknown directive 'port=7000'"),
    (("-x",), "unknown option '-x'"),
    (("-c",), "-c takes one value"),
    (("a.conf", "b.conf"), "one configuration file is allowed"),
])
def test_a_wrong_command_line_gets_the_usage(run, arguments, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    error, usage, where = done.stderr.splitlines()
    assert error.startswith("fanfared: ") and words in error
    assert usage.startswith("usage: fanfared ") and "fanfared --help" in where


def test_a_folder_is_no_configuration_file(run, folder):
    (folder / "sub").mkdir()
    assert "sub" in refused(run("-c", "sub"))


def test_a_mistake_in_an_included_file_is_named_there(run, folder):
    (folder / "main.conf").write_text("port 7000\ninclude part.conf\n")
    (folder / "part.conf").write_text("maxclients 10\nnosuch 1\n")
    assert "part.conf:2:" in refused(run("-c", "main.conf"))


def test_a_file_that_includes_itself_is_refused(run, folder):
    (folder / "loop.conf").write_text("include loop.conf\n")
    assert "loop.conf" in refused(run("-c", "loop.conf"))


def test_a_port_in_use_is_named(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", port, "--bind", "127.0.0.1")
    assert done.returncode == 1
    assert str(port) in done.stderr and "in use" in done.stderr
    assert len([line for line in done.stderr.splitlines() if "in use" in line]) == 1


def test_an_address_that_this_machine_lacks_stops_the_start_unless_it_is_marked_optional(run, start_bare):
    port = free_port()
    done = run("--port", port, "--bind", "192.0.2.1")
    assert done.returncode == 1 and "192.0.2.1" in done.stderr
    start_bare("--port", port, "--bind", "127.0.0.1", "-192.0.2.1", address=("127.0.0.1", port))


# Listening


def test_several_addresses_are_listened_on(start_bare):
    port = free_port()
    daemon = start_bare("--port", port, "--bind", "127.0.0.1", "127.0.0.2", address=("127.0.0.2", port))
    for host in ("127.0.0.1", "127.0.0.2"):
        with Connection((host, port)) as connection:
            assert connection.call("PING") == b"PONG"
    assert daemon.is_running()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_is_listened_on_beside_ipv4(start_bare):
    port = free_port()
    start_bare("--port", port, "--bind", "127.0.0.1", "::1", address=("::1", port))
    with Connection(("::1", port)) as six, Connection(("127.0.0.1", port)) as four:
        assert six.call("PING") == b"PONG" and four.call("PING") == b"PONG"
        addresses = [client["addr"] for client in six.client_list()]
        assert any(address.startswith("[::1]:") for address in addresses), addresses
        assert any(address.startswith("127.0.0.1:") for address in addresses), addresses


def test_the_default_is_loopback_only(start_bare):
    port = free_port()
    daemon = start_bare("--port", port, address=("127.0.0.1", port))
    assert "0.0.0.0" not in daemon.log()
    with Connection(("127.0.0.1", port)) as connection:
        assert connection.call("PING") == b"PONG"


def test_a_unix_socket_is_listened_on_with_its_mode(start_bare, folder):
    path = folder / "sock"
    daemon = start_bare("--port", 0, "--unixsocket", path, "--unixsocketperm", "700", address=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with Connection(path) as connection:
        assert connection.call("PING") == b"PONG"
        client = connection.client_list()[0]
        assert client["addr"] == f"{path}:0" and "U" in client["flags"]
    daemon.stop()
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced_and_a_plain_file_is_not(start_bare, run, folder):
    path = folder / "sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    start_bare("--port", 0, "--unixsocket", path, address=path)
    (folder / "file").write_text("precious")
    done = run("--port", 0, "--unixsocket", folder / "file")
    assert done.returncode == 1 and (folder / "file").read_text() == "precious"


# Being a daemon


def test_the_pidfile_names_the_process_and_goes_with_it(start_fanfared, folder):
    path = folder / "fanfared.pid"
    daemon = start_fanfared("--pidfile", path)
    assert int(path.read_text()) == daemon.pid
    daemon.stop()
    assert not path.exists()


def test_daemonize_returns_when_everything_is_ready(run, folder):
    port, pidfile, log = free_port(), folder / "d.pid", folder / "d.log"
    done = run("--port", port, "--bind", "127.0.0.1", "--daemonize", "yes", "--pidfile", pidfile, "--logfile", log)
    assert done.returncode == 0, done.stderr
    pid = int(pidfile.read_text())
    try:
        with Connection(("127.0.0.1", port)) as connection:
            assert connection.call("PING") == b"PONG"
            assert int(connection.info("server")["process_id"]) == pid
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pidfile.exists(), "the daemon has ended")
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or is_zombie(pid), "the process has ended")
    assert "ready to accept connections" in log.read_text()


def is_zombie(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def test_what_goes_wrong_before_is_told_to_the_caller_of_daemonize(run, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", port, "--bind", "127.0.0.1", "--daemonize", "yes", "--logfile", folder / "d.log")
    assert done.returncode == 1 and "in use" in done.stderr


def notify_socket(folder):
    path = folder / "notify"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(path))
    listener.settimeout(seconds(10))
    return listener, str(path)


def test_systemd_is_notified_of_readiness_reload_and_stop(start_fanfared, folder):
    listener, path = notify_socket(folder)
    daemon = start_fanfared("--supervised", "systemd", env={"NOTIFY_SOCKET": path})
    first = listener.recv(4096).decode()
    assert "READY=1" in first.splitlines(), first
    os.kill(daemon.pid, signal.SIGHUP)
    reloading = listener.recv(4096).decode()
    assert "RELOADING=1" in reloading.splitlines()
    stamp = int(re.search(r"MONOTONIC_USEC=(\d+)", reloading).group(1))
    assert abs(stamp / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < 30 * SLOW
    assert "READY=1" in listener.recv(4096).decode().splitlines()
    daemon.stop()
    assert "STOPPING=1" in listener.recv(4096).decode().splitlines()
    listener.close()


def test_an_abstract_notify_socket_is_understood(start_fanfared):
    name = f"fanfare-test-{os.getpid()}-{free_port()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind("\0" + name)
    listener.settimeout(seconds(10))
    start_fanfared("--supervised", "auto", env={"NOTIFY_SOCKET": "@" + name})
    assert b"READY=1" in listener.recv(4096)
    listener.close()


# LISTEN_PID must be the pid of the daemon, which only the process itself knows before the exec.
ACTIVATE = """
import fcntl, os, sys
sockets = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",")]
for place, fd in enumerate(sockets):
    os.dup2(fd, 3 + place, inheritable=True)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_sockets_of_socket_activation_are_served(folder):
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(folder / "activated"))
    unix.listen()
    listeners = (tcp, unix)
    # Connected before anybody runs: the point of socket activation.
    early = Connection(tcp.getsockname())
    early.send(encode("PING"))
    numbers = [listener.fileno() for listener in listeners]
    log = open(folder / "activated.log", "wb")
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, ",".join(map(str, numbers)), os.environ["FANFARED"], "--port", "1"],
        pass_fds=numbers, stdout=log, stderr=log)
    try:
        assert early.read_value() == b"PONG"
        with Connection(folder / "activated") as connection:
            assert connection.call("PING") == b"PONG"
    finally:
        process.terminate()
        assert process.wait(timeout=seconds(10)) == 0
        log.close()
        early.close()
        for listener in listeners:
            listener.close()
    assert (folder / "activated").exists()  # it is the supervisor's, not the daemon's


def test_protected_mode_serves_this_machine_only_without_a_password(start_fanfared):
    """Loopback counts as this machine; its other addresses count as the network."""
    address = own_address()
    if not address:
        pytest.skip("no address but loopback")
    daemon = start_fanfared("--protected-mode", "yes", host="0.0.0.0")
    with Connection((address, daemon.port)) as stranger:
        assert stranger.read_to_end().startswith(b"-DENIED ")
    with Connection(("127.0.0.1", daemon.port)) as friend:
        assert friend.call("PING") == b"PONG"
        friend.ok("CONFIG", "SET", "protected-mode", "no")
    with Connection((address, daemon.port)) as stranger:
        assert stranger.call("PING") == b"PONG"


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


# Signals and the end


def test_sigterm_delivers_what_is_owed_and_exits_with_0(start_fanfared):
    daemon = start_fanfared("--shutdown-timeout", "30")
    slow = daemon.connect(timeout=60, receive_buffer=4096)
    slow.subscribe("c")
    publisher = daemon.connect(timeout=60)
    assert flood(publisher, "c", range(8000)) == [1] * 8000
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait_for_log("stopping")
    # No new clients while it stops.
    wait_until(lambda: refuses(daemon.address), "nobody listens any more")
    for n in range(8000):
        assert slow.read_value() == [b"message", b"c", payload(n)]
    assert slow.read_to_end() == b""
    assert daemon.wait() == 0


def refuses(address):
    try:
        with Connection(address):
            return False
    except OSError:
        return True


def test_the_shutdown_timeout_ends_the_wait_for_a_client_that_does_not_read(start_fanfared):
    daemon = start_fanfared("--shutdown-timeout", "1")
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.subscribe("c")
    flood(daemon.connect(timeout=60), "c", range(8000))
    start = time.monotonic()
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.wait() == 0
    assert 0.8 < time.monotonic() - start < 5 * SLOW


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_clients_do_not_delay_the_end(start_fanfared, number):
    daemon = start_fanfared("--shutdown-timeout", "30")
    clients = [daemon.connect() for _ in range(10)]
    for client in clients:
        client.subscribe("c")
    start = time.monotonic()
    os.kill(daemon.pid, number)
    assert daemon.wait() == 0
    assert time.monotonic() - start < 5 * SLOW
    for client in clients:
        assert client.read_to_end() == b""


def test_a_second_sigterm_stops_at_once(start_fanfared):
    daemon = start_fanfared("--shutdown-timeout", "600")
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.subscribe("c")
    flood(daemon.connect(timeout=60), "c", range(8000))
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait_for_log("stopping")
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.wait() == 0


@pytest.mark.parametrize("arguments", [(), ("NOSAVE",), ("NOW",), ("nosave", "now", "force")])
def test_shutdown_by_a_client_ends_the_daemon(start_server, arguments):
    server = start_server()
    client = server.connect()
    client.command("SHUTDOWN", *arguments)
    assert client.read_to_end() == b""
    assert server.wait() == 0


def test_sigpipe_and_sigusr1_are_no_end(start_fanfared):
    daemon = start_fanfared()
    os.kill(daemon.pid, signal.SIGPIPE)
    assert daemon.connect().call("PING") == b"PONG"


# Reload


@pytest.fixture
def configured(start_fanfared, folder):
    """A daemon with a file of its own to change: (daemon, path)."""
    path = folder / "fanfared.conf"
    path.write_text("maxclients 100\ntimeout 0\n")
    return start_fanfared("-c", path), path


def reload(daemon, text):
    """SIGHUP, until the log says `text` once more."""
    before = daemon.log().count(text)
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: daemon.log().count(text) > before, f"{text!r} in the log")


def setting(client, name):
    return client.call("CONFIG", "GET", name)[1]


def test_sighup_takes_over_what_changed_in_the_file(configured):
    daemon, path = configured
    client = daemon.connect()
    path.write_text("maxclients 200\ntimeout 77\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: setting(client, "timeout") == b"77", "the new timeout holds")
    assert setting(client, "maxclients") == b"200"


def test_a_file_with_a_mistake_changes_nothing(configured):
    daemon, path = configured
    client = daemon.connect()
    path.write_text("maxclients 200\ntimeout soon\n")
    reload(daemon, "fanfared.conf:2:")
    assert setting(client, "maxclients") == b"100"
    assert setting(client, "timeout") == b"0"
    path.unlink()
    reload(daemon, "fanfared.conf")
    assert setting(client, "maxclients") == b"100"
    path.write_text("maxclients 200\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: setting(client, "maxclients") == b"200", "the mended file is taken over")


def test_a_change_that_needs_a_restart_is_said_and_the_rest_is_taken_over(configured):
    daemon, path = configured
    client = daemon.connect()
    path.write_text("maxclients 200\ntimeout 0\ntcp-backlog 77\n")
    reload(daemon, "tcp-backlog")
    wait_until(lambda: setting(client, "maxclients") == b"200", "the rest is taken over")
    assert setting(client, "tcp-backlog") == b"511"


def test_the_command_line_stands_above_the_file_at_a_reload_too(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("timeout 10\n")
    daemon = start_fanfared("-c", path, "--timeout", "20")
    client = daemon.connect()
    assert setting(client, "timeout") == b"20"
    path.write_text("timeout 30\nmaxclients 50\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: setting(client, "maxclients") == b"50", "the file was read")
    assert setting(client, "timeout") == b"20"


def test_a_reload_keeps_clients_and_their_subscriptions(configured):
    daemon, path = configured
    client = daemon.connect()
    client.subscribe("c")
    path.write_text("timeout 77\n")
    other = daemon.connect()
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: setting(other, "timeout") == b"77", "the new timeout holds")
    assert other.call("PUBLISH", "c", "x") == 1
    assert client.read_value() == [b"message", b"c", b"x"]


def test_sighup_opens_the_log_anew(start_fanfared, folder):
    log, moved = folder / "own.log", folder / "own.log.1"
    daemon = start_fanfared("--logfile", log)
    wait_until(lambda: "ready" in log.read_text(), "the log is written")
    log.rename(moved)
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(log.exists, "the log is opened anew")
    wait_until(lambda: "SIGHUP" in moved.read_text() + log.read_text(), "the reload is logged")


def test_foreign_bytes_are_escaped_in_the_log(start_fanfared):
    daemon = start_fanfared("--loglevel", "debug")
    client = daemon.connect()
    client.send(b"*1\r\n$4\r\n\x1b[2J\r\n" + b"*\x1b[31m\r\n")
    client.read_to_end()
    assert "\x1b" not in daemon.log()


def test_the_password_is_in_no_log_and_no_list(start_fanfared):
    daemon = start_fanfared("--requirepass", "verysecret", "--loglevel", "debug", "--slowlog-log-slower-than", "0")
    client = daemon.connect()
    client.call("AUTH", "wrongsecret")
    client.ok("AUTH", "verysecret")
    client.hello(3)
    client.call("HELLO", "3", "AUTH", "default", "verysecret")
    client.ok("CONFIG", "SET", "requirepass", "nextsecret")
    seen = repr(client.call("SLOWLOG", "GET", "-1")) + repr(client.client_list()) + daemon.log()
    assert "secret" not in seen
