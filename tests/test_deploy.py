"""Least privilege: another user, a root directory, the system call filter, and that all functions still work with them."""

import grp
import os
import pathlib
import pwd
import shutil
import signal
import stat
import subprocess

import pytest

from conftest import missing
from lib.daemon import Fanfared, free_port
from lib.resp import Connection
from lib.wait import seconds, wait_until

# LeakSanitizer stops the process by ptrace, which neither a filter nor a process without dumps allows.
WITHOUT_LEAK_CHECK = {name: os.environ.get(name, "") + ":detect_leaks=0" for name in ("ASAN_OPTIONS", "LSAN_OPTIONS")}
USER, OTHER_GROUP = "nobody", "daemon"


@pytest.fixture
def user(folder):
    """A user to become, and the folder is theirs."""
    if os.geteuid() != 0:
        missing("root")
    entry = pwd.getpwnam(USER)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return entry


@pytest.fixture
def run(folder):
    """run("--port", 0) gives the CompletedProcess of a fanfared that ends by itself."""
    if not os.environ.get("FANFARED"):
        missing("FANFARED (the path of the daemon)")

    def call(*arguments, env=None):
        return subprocess.run([os.environ["FANFARED"], "--port", str(free_port()), *map(str, arguments)],
                              cwd=folder, capture_output=True, text=True, timeout=seconds(10), check=False,
                              env=dict(os.environ, **(env or {})))

    return call


def refused(done):
    """The one line with which a start was refused."""
    assert done.returncode == 1, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def status_of(pid):
    """/proc/PID/status as a dictionary of words."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: words.split() for name, _, words in (line.partition(":") for line in file)}


def start_as(start_fanfared, *options, **more):
    return start_fanfared("--run-as-user", USER, *options, env=WITHOUT_LEAK_CHECK, **more)


# Another user


def test_nothing_of_root_is_left(start_fanfared, user):
    daemon = start_as(start_fanfared, "--io-threads", "4")
    for task in os.listdir(f"/proc/{daemon.pid}/task"):
        status = status_of(task)
        assert status["Uid"] == [str(user.pw_uid)] * 4 and status["Gid"] == [str(user.pw_gid)] * 4
        assert status["Groups"] == [str(user.pw_gid)]
        for kind in ("CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind][0], 16) == 0, (kind, status)
        assert status["NoNewPrivs"] == ["1"]
    # What a process without core dumps has in /proc is root's.
    assert os.stat(f"/proc/{daemon.pid}/mem").st_uid == 0


def test_another_group_is_taken_when_it_is_named(start_fanfared, user):
    daemon = start_as(start_fanfared, "--run-as-group", OTHER_GROUP)
    gid = str(grp.getgrnam(OTHER_GROUP).gr_gid)
    status = status_of(daemon.pid)
    assert status["Gid"] == [gid] * 4 and gid in status["Groups"]


def test_a_port_of_root_is_bound_and_what_is_made_belongs_to_the_user(start_fanfared, user, folder):
    port = next(number for number in range(1023, 600, -1) if is_free(number))
    daemon = start_as(start_fanfared, "--pidfile", "d.pid", "--unixsocket", "d.sock", "--unixsocketperm", "700",
                      "--logfile", "d.log", port=port)
    with Connection(("127.0.0.1", port)) as connection:
        assert connection.call("PING") == b"PONG"
    for name in ("d.pid", "d.sock", "d.log"):
        assert (folder / name).stat().st_uid == user.pw_uid, name
    assert stat.S_IMODE((folder / "d.sock").stat().st_mode) == 0o700
    daemon.stop()
    assert not (folder / "d.pid").exists() and not (folder / "d.sock").exists()


def is_free(port):
    try:
        with Connection(("127.0.0.1", port)):
            return False
    except OSError:
        return True


def reload_rotate_and_rewrite(daemon, folder):
    """What a user may want of a daemon that has become one: each is seen to work."""
    (folder / "d.log").rename(folder / "d.log.1")
    with open(folder / "d.conf", "a", encoding="ascii") as file:
        file.write("timeout 77\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: (folder / "d.log").exists() and "reload: done" in (folder / "d.log").read_text(), "a new log")
    with daemon.connect() as connection:
        assert connection.call("CONFIG", "GET", "timeout") == [b"timeout", b"77"]
        connection.ok("CONFIG", "SET", "timeout", "78")
        connection.ok("CONFIG", "REWRITE")
    assert "timeout 78\n" in (folder / "d.conf").read_text()


def write_configuration(folder, owner, *lines):
    path = folder / "d.conf"
    path.write_text("".join(f"{line}\n" for line in ("logfile d.log", *lines)))
    os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


def test_reload_rotation_and_rewrite_work_as_the_user(start_fanfared, user, folder):
    path = write_configuration(folder, user, f"run-as-user {USER}")
    daemon = start_fanfared("-c", path, env=WITHOUT_LEAK_CHECK)
    reload_rotate_and_rewrite(daemon, folder)


def test_a_configuration_that_the_user_cannot_read_is_warned_of(start_fanfared, user, folder):
    path = write_configuration(folder, pwd.getpwuid(0), f"run-as-user {USER}")
    path.chmod(0o600)
    daemon = start_fanfared("-c", path, env=WITHOUT_LEAK_CHECK)
    log = (folder / "d.log").read_text()
    assert "d.conf: Permission denied: nobody cannot read it again" in log
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: "reload failed, nothing changed" in (folder / "d.log").read_text(), "a line about it")


def test_what_the_user_may_not_write_stops_the_start(run, user, folder):
    closed = folder / "closed"
    closed.mkdir(0o755)
    for option in ("pidfile", "logfile"):
        assert "Permission denied" in refused(run("--run-as-user", USER, f"--{option}", closed / "x"))
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("options, words", [
    (("--run-as-user", "no-such-user"), "run-as-user no-such-user: unknown user"),
    (("--run-as-user", "root"), "run-as-user root: this user has all privileges"),
    (("--run-as-user", USER, "--run-as-group", "no-such-group"), "run-as-group no-such-group: unknown group"),
    (("--run-as-user", USER, "--run-as-group", "root"), "the group of root would be kept"),
    (("--run-as-group", OTHER_GROUP), "run-as-group needs run-as-user"),
    (("--chroot", "/tmp"), "chroot needs run-as-user: it does not hold root"),
    (("--run-as-user", USER, "--chroot", "/nonexistent"), "chroot /nonexistent: No such file or directory"),
    (("--run-as-user", USER, "--dir", "/", "--chroot", "/tmp"), "chroot /tmp: dir must be in it, not /"),
])
def test_a_mistake_is_one_line(run, user, options, words):
    assert words in refused(run(*options))


def as_user(entry):
    if not shutil.which("setpriv"):
        missing("setpriv")
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def reachable(folder):
    """The daemon where any user can execute it."""
    path = folder / "fanfared"
    shutil.copy(os.environ["FANFARED"], path)
    path.chmod(0o755)
    return path


def test_only_root_can_become_somebody_else(user, folder):
    done = subprocess.run([*as_user(user), reachable(folder), "--port", str(free_port()), "--run-as-user", "daemon"],
                          cwd=folder, capture_output=True, text=True, timeout=seconds(10), check=False)
    assert "run-as-user daemon: only root can do this" in refused(done)


def test_who_is_that_user_already_has_nothing_to_drop(user, folder):
    class Reachable(Fanfared):
        def arguments(self, port):
            return [reachable(folder), *super().arguments(port)[1:]]

    daemon = Reachable(folder, "--run-as-user", USER, prefix=as_user(user), env=WITHOUT_LEAK_CHECK).start()
    with daemon.connect() as connection:
        assert connection.call("PING") == b"PONG"
    daemon.stop()


def test_a_successor_that_cannot_give_up_its_privileges_leaves_the_old_one_in_place(start_fanfared, user, folder):
    """With no_setuid_fixup a process keeps its capabilities when it changes its user."""
    if not shutil.which("setpriv"):
        missing("setpriv")
    path = folder / "d.conf"
    path.write_text("unixsocket d.sock\n")
    daemon = start_fanfared("-c", path, prefix=["setpriv", "--securebits", "+no_setuid_fixup"], env=WITHOUT_LEAK_CHECK)
    path.write_text(f"unixsocket d.sock\nrun-as-user {USER}\n")
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.wait_for_log("of an upgrade ended with status 1")
    assert "privileges are left after all were given up" in daemon.log()
    assert "upgrade failed, this process goes on" in daemon.log()
    for address in (daemon.address, folder / "d.sock"):
        with Connection(address) as connection:
            assert int(connection.info("server")["process_id"]) == daemon.pid


def test_a_successor_may_be_locked_up_further_than_its_predecessor(start_fanfared, user, folder):
    require_filter()
    path = folder / "d.conf"
    path.write_text("pidfile d.pid\n")
    daemon = start_fanfared("-c", path, "--shutdown-grace", "1", env=WITHOUT_LEAK_CHECK)
    old = (folder / "d.pid").read_text()
    (folder / "d.pid").chmod(0o666)
    path.write_text(f"pidfile d.pid\nrun-as-user {USER}\nchroot {folder}\nseccomp kill\n")
    os.kill(daemon.pid, signal.SIGUSR2)
    assert daemon.wait() == 0
    wait_until(lambda: (folder / "d.pid").read_text() not in ("", old), "the successor's pidfile")
    second = int((folder / "d.pid").read_text())
    status = status_of(second)
    assert status["Uid"] == [str(user.pw_uid)] * 4 and status["Seccomp"] == ["2"]
    with daemon.connect() as connection:
        assert int(connection.info("server")["process_id"]) == second
        connection.command("SHUTDOWN")
        assert connection.read_to_end() == b""
    wait_until(lambda: not (folder / "d.pid").exists(), "the end of the successor")


# A root folder


def test_relative_paths_mean_the_same_within_a_chroot(start_fanfared, user, folder):
    inner = folder / "work"
    inner.mkdir()
    os.chown(inner, user.pw_uid, user.pw_gid)
    path = write_configuration(inner, user, f"run-as-user {USER}", f"chroot {folder}", f"dir {inner}",
                               "pidfile d.pid", "unixsocket d.sock")
    daemon = start_fanfared("-c", path, env=WITHOUT_LEAK_CHECK)
    assert os.readlink(f"/proc/{daemon.pid}/root") == str(folder.resolve())
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == str(inner.resolve())
    reload_rotate_and_rewrite(daemon, inner)
    with Connection(inner / "d.sock") as connection:
        assert f"config_file:/{inner.name}/d.conf".encode() in connection.call("INFO", "server")
    daemon.stop()
    assert not (inner / "d.pid").exists() and not (inner / "d.sock").exists()


def test_a_configuration_outside_of_the_chroot_is_warned_of(start_fanfared, user, folder):
    inner = folder / "work"
    inner.mkdir(mode=0o755)
    path = write_configuration(folder, user, f"run-as-user {USER}", f"chroot {inner}", f"dir {inner}")
    os.chown(inner, user.pw_uid, user.pw_gid)
    start_fanfared("-c", path, env=WITHOUT_LEAK_CHECK)
    assert "is outside of the chroot: it cannot be read again" in (inner / "d.log").read_text()


def test_an_absolute_path_that_is_none_within_the_chroot_is_warned_of(start_fanfared, user, folder):
    inner = folder / "work"
    inner.mkdir(mode=0o755)
    os.chown(inner, user.pw_uid, user.pw_gid)
    start_fanfared("--run-as-user", USER, "--chroot", inner, "--dir", inner, "--logfile", "d.log", "--unixsocket", "d.sock",
                   "--pidfile", inner / "d.pid", env=WITHOUT_LEAK_CHECK)
    lines = [line for line in (inner / "d.log").read_text().splitlines() if " warn: " in line]
    assert len(lines) == 1 and f"pidfile {inner / 'd.pid'}: No such file or directory within the chroot" in lines[0]


# The system call filter


@pytest.fixture(params=[1, 4], ids=["1 loop", "4 loops"])
def filtered(request, start_fanfared, folder):
    """A daemon that a system call outside of the list kills."""
    require_filter()
    path = folder / "d.conf"
    path.write_text("logfile d.log\nseccomp kill\npidfile d.pid\nunixsocket d.sock\ninclude more/*.conf\n")
    (folder / "more").mkdir()
    (folder / "more" / "one.conf").write_text("hz 10\n")
    return start_fanfared("-c", path, "--io-threads", request.param, env=WITHOUT_LEAK_CHECK)


def require_filter():
    with open(os.environ["FANFARED"], "rb") as file:
        if b"built without libseccomp" in file.read():
            missing("libseccomp")


def test_the_filter_holds_for_all_threads(filtered):
    for task in os.listdir(f"/proc/{filtered.pid}/task"):
        status = status_of(task)
        assert status["Seccomp"] == ["2"] and status["NoNewPrivs"] == ["1"]


def test_each_command_runs_under_the_filter(filtered):
    """Each with no argument, with one and with three; and what they are for, by a few that work."""
    asking = filtered.connect()
    names = [tuple(name.decode().split("|")) for name in asking.call("COMMAND", "LIST")]
    names += [tuple(name.decode().split("|")) for container in (b"client", b"config", b"pubsub", b"command")
              for name in subcommands(asking, container)]
    for name in names:
        if name[0] in ("shutdown", "debug"):
            continue
        for more in ((), ("1",), ("a", "b", "1")):
            with Connection(filtered.address) as connection:
                connection.send(b"".join(encoded(words) for words in ((*name, *more), ("QUIT",))))
                connection.read_to_end()
    with filtered.connect() as subscriber, filtered.connect() as publisher:
        subscriber.subscribe("c")
        big = b"x" * (1 << 22)
        for payload in (b"small", big):
            assert publisher.call("PUBLISH", "c", payload) == 1
            assert subscriber.read_value() == [b"message", b"c", payload]
    assert asking.call("PING") == b"PONG" and filtered.is_running()


def encoded(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


def subcommands(connection, container):
    info = connection.call("COMMAND", "INFO", container)[0]
    return [row[0] for row in info[9]]


def test_reload_rotation_rewrite_and_the_end_work_under_the_filter(filtered, folder):
    reload_rotate_and_rewrite(filtered, folder)
    with Connection(folder / "d.sock") as connection:
        assert connection.call("PING") == b"PONG"
    filtered.stop()
    assert not (folder / "d.pid").exists() and not (folder / "d.sock").exists()


def test_what_the_filter_forbids_is_not_tried(filtered, folder):
    """No other process is started, and closed listening sockets are not opened again."""
    os.kill(filtered.pid, signal.SIGUSR2)
    log = folder / "d.log"
    wait_until(lambda: "no upgrade, seccomp does not allow" in log.read_text(), "the line")
    with filtered.connect() as connection:
        connection.ok("SHUTDOWN", "GRACE", "60")
        answer = connection.call("SHUTDOWN", "ABORT")
        assert "seccomp keeps this process from listening again" in str(answer)
        assert filtered.is_running()


def test_tls_is_spoken_and_renewed_under_the_filter(start_tls_fanfared):
    require_filter()
    for threads in (1, 4):
        daemon = start_tls_fanfared("--seccomp", "kill", "--io-threads", threads, env=WITHOUT_LEAK_CHECK)
        for _ in range(2):
            assert daemon.tls().call("ECHO", b"x" * 1000000) == b"x" * 1000000
            with daemon.connect() as connection:
                connection.ok("CONFIG", "SET", "tls-session-cache-timeout", "60")
        assert daemon.is_running()


def test_another_user_a_root_folder_and_the_filter_go_together(start_fanfared, user, folder):
    require_filter()
    path = write_configuration(folder, user, f"run-as-user {USER}", f"chroot {folder}", "seccomp kill", "pidfile d.pid")
    daemon = start_fanfared("-c", path, "--io-threads", "2", env=WITHOUT_LEAK_CHECK)
    reload_rotate_and_rewrite(daemon, folder)
    assert status_of(daemon.pid)["Seccomp"] == ["2"]
    with daemon.connect() as connection:
        connection.command("SHUTDOWN")
        assert connection.read_to_end() == b""
    assert daemon.wait() == 0


def test_it_all_holds_for_a_daemon_in_the_background(run, user, folder):
    """Started by root, from an init script: the caller waits, and holds no end of a pipe afterwards."""
    path = write_configuration(folder, user, f"dir {folder}", f"run-as-user {USER}", f"chroot {folder}",
                               "pidfile d.pid", "daemonize yes")
    done = run("-c", path, "--bind", "127.0.0.1", env=WITHOUT_LEAK_CHECK)
    assert done.returncode == 0, done.stderr
    pid = int((folder / "d.pid").read_text())
    assert status_of(pid)["Uid"] == [str(user.pw_uid)] * 4
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not (folder / "d.pid").exists(), "the daemon has ended")


# The systemd unit


@pytest.fixture
def unit(folder):
    """The unit as make would install it, with the daemon under test."""
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze")
    examples = pathlib.Path(__file__).resolve().parent.parent / "examples" / "systemd"
    text = (examples / "fanfared.service.in").read_text(encoding="utf-8")
    daemon = pathlib.Path(os.environ["FANFARED"])
    path = folder / "fanfared.service"
    path.write_text(text.replace("@sbindir@", str(daemon.parent)).replace("@sysconfdir@", "/etc"), encoding="utf-8")
    shutil.copy(examples / "fanfared.socket", folder)
    return path


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_systemd_has_nothing_to_say_about_the_units(unit):
    done = analyze("verify", "--man=no", unit, unit.with_suffix(".socket"))
    # Ignore messages about other units of this machine.
    assert done.returncode == 0 and "fanfared" not in done.stderr, done.stderr


def test_the_exposure_of_the_unit_is_at_most_one_and_a_half_of_ten(unit):
    done = analyze("security", "--offline=yes", "--threshold=15", "--no-pager", unit)
    assert done.returncode == 0, done.stdout


class Sandboxed(Fanfared):
    unit = None

    def arguments(self, port):
        sandbox = pathlib.Path(__file__).resolve().parent / "lib" / "sandbox.py"
        return ["/usr/bin/python3", str(sandbox), str(self.unit), USER, *super().arguments(port)]


def may_mount():
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def upgrade_once(daemon, pidfile):
    """To a successor in the same sandbox, which ends."""
    old, root = pidfile.read_text(), os.open(pidfile.parent, os.O_PATH)
    pidfile = pathlib.Path(f"/proc/self/fd/{root}/pid")
    os.kill(int(old), signal.SIGUSR2)
    assert daemon.wait(20) == 0
    wait_until(lambda: pidfile.read_text() not in ("", old), "the successor's pidfile")
    with daemon.connect() as connection:
        assert connection.info("server")["process_id"] == pidfile.read_text().strip()
        assert connection.call("GET", "key") == b"other"
        connection.command("SHUTDOWN")
        assert connection.read_to_end() == b""
    wait_until(lambda: not pidfile.exists(), "the end of the successor")
    os.close(root)


def keep_keys(client):
    """In all their files, including those written by another process."""
    client.ok("CONFIG", "SET", "appendfsync", "always")
    client.ok("CONFIG", "SET", "appendonly", "yes")
    client.ok("SET", "key", "value")
    wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "0", "the first append-only file")
    assert client.info("persistence")["aof_enabled"] == "1"
    client.ok("SAVE")
    client.ok("SET", "key", "other")


@pytest.mark.parametrize("seccomp", ["no", "kill"])
def test_the_daemon_runs_with_the_lines_of_the_unit_applied_by_hand(user, unit, folder, seccomp):
    if seccomp != "no":
        require_filter()
    if not may_mount():
        missing("the right to make a mount namespace")
    Sandboxed.unit = unit
    options = ("--io-threads", "2", "--pidfile", "/run/fanfare/pid", "--logfile", "/var/log/fanfare/log",
               "--unixsocket", "/run/fanfare/sock", "--seccomp", seccomp)
    if seccomp == "no":  # It is to hand over its keys, to a successor with the same files.
        options += ("--appendonly", "yes")
    daemon = Sandboxed(folder, *options, env=WITHOUT_LEAK_CHECK).start()
    root = pathlib.Path(f"/proc/{daemon.pid}/root")
    status = status_of(daemon.pid)
    assert status["Uid"] == [str(user.pw_uid)] * 4 and status["NoNewPrivs"] == ["1"] and status["Seccomp"] == ["2"]
    assert int(status["CapBnd"][0], 16) == 0
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/var/lib/fanfare"
    mounts = {line.split()[4]: line.split()[5] for line in
              pathlib.Path(f"/proc/{daemon.pid}/mountinfo").read_text(encoding="utf-8").splitlines()}
    assert mounts["/"].startswith("ro") and mounts["/run/fanfare"].startswith("rw")
    (root / "var/log/fanfare/log").rename(root / "var/log/fanfare/log.1")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: (root / "var/log/fanfare/log").exists(), "the log is opened anew")
    with daemon.connect() as subscriber, daemon.connect() as publisher:
        subscriber.subscribe("c")
        assert publisher.call("PUBLISH", "c", b"x" * (1 << 20)) == 1
        assert subscriber.read_value() == [b"message", b"c", b"x" * (1 << 20)]
        assert b"used_memory_rss:0" not in publisher.call("INFO", "memory")
        keep_keys(publisher)
        assert (root / "var/lib/fanfare/dump.aof").exists()
    # PrivateTmp hides a program that was built in /tmp.
    if seccomp == "no" and (root / os.environ["FANFARED"].lstrip("/")).exists():
        upgrade_once(daemon, root / "run/fanfare/pid")
    else:
        daemon.stop()
    log = daemon.log()
    assert "EPERM" not in log and "not permitted" not in log, log
