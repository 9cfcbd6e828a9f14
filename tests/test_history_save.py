"""history-save: kept messages and their positions survive a graceful restart, and no position ever has two payloads."""

import itertools
import os
import signal
import subprocess
import time

import pytest

from lib.disk import preload
from lib.lineage import Lineage, can_upgrade, is_alive
from lib.resp import Closed, Connection, Error
from lib.wait import seconds, wait_until
from test_upgrade_keys import Calls, shim  # noqa: F401  (a fixture)

FILE = "fanfared.history"


@pytest.fixture
def start(folder, start_fanfared):
    """start(line, ...) gives a daemon with these lines of configuration; start() one with the same as before."""
    path = folder / "fanfared.conf"

    def begin(*lines, **more):
        if lines:
            path.write_text("".join(f"{line}\n" for line in lines))
        return start_fanfared("-c", path, **more)

    return begin


KEEP = ("history-save yes", "channel c* history-size 100 history-ttl 600")


def run_daemon(folder, *options):
    """A daemon that cannot start."""
    return subprocess.run([os.environ["FANFARED"], *options, "--port", "0", "--unixsocket", folder / "other"], cwd=folder,
                          capture_output=True, text=True, timeout=seconds(20), check=False)


def position(client):
    epoch, _, seq = client.call("HISTORY", "POSITION").decode().partition("-")
    return int(epoch), int(seq)


def kept(client, channel="c"):
    return client.call("HISTORY", "RANGE", channel, "-", "+")


def restart(daemon, start, *lines, **more):
    daemon.stop()
    return start(*lines, **more)


def test_positions_and_messages_continue_after_a_restart(start, folder):
    daemon = start(*KEEP)
    client = daemon.client()
    for n in range(150):
        client.call("PUBLISH", "c", f"message {n}")
    client.call("PUBLISH", "cold", b"\0\r\n" * 1000)
    was, messages, cold = position(client), kept(client), kept(client, "cold")
    assert len(messages) == 100 and len(cold) == 1
    for _ in range(3):
        daemon = restart(daemon, start)
        assert not (folder / FILE).exists()
        client = daemon.client()
        assert position(client) == was
        assert kept(client) == messages and kept(client, "cold") == cold
    since = messages[-1][0]
    assert client.call("HISTORY", "READ", "CHANNELS", "c", "cnone", since, since) is None
    client.call("PUBLISH", "c", "next")
    assert position(client) == (was[0], was[1] + 1)
    read = client.call("HISTORY", "READ", "CHANNELS", "c", since)
    assert [entry[1] for entry in read[0][1]] == [b"next"]


def is_lost(reply):
    return isinstance(reply, Error) and reply.text.startswith(b"LOST ")


def test_after_a_kill_positions_begin_anew(start, folder):
    daemon = start(*KEEP)
    client = daemon.client()
    client.call("PUBLISH", "c", "x")
    daemon = restart(daemon, start)
    client = daemon.client()
    since, was = kept(client)[0][0], position(client)
    client.call("PUBLISH", "c", "y")
    daemon.kill()
    daemon = start()
    client = daemon.client()
    assert position(client)[0] != was[0] and kept(client) == []
    assert is_lost(client.call("HISTORY", "READ", "CHANNELS", "c", since))
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("save", ["yes", "no"])
def test_without_the_directive_no_file_is_written_or_read(start, folder, save):
    daemon = start(f"history-save {save}", KEEP[1])
    client = daemon.client()
    client.call("PUBLISH", "c", "x")
    was = position(client)
    daemon.stop()
    assert (folder / FILE).exists() == (save == "yes")
    daemon = start("history-save no", KEEP[1])
    assert position(daemon.client())[0] != was[0]
    # What it publishes is not in that file, which a later start must not continue.
    assert not (folder / FILE).exists()
    daemon.stop()
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("save", ["yes", "no"])
def test_a_file_that_cannot_be_removed_prevents_the_start(folder, save):
    (folder / FILE).mkdir()
    done = run_daemon(folder, "--history-save", save)
    assert done.returncode == 1 and f"{FILE}: it cannot be removed: Is a directory" in done.stderr, done.stderr


def test_the_file_of_another_daemon_is_left_alone(start, start_fanfared, folder):
    """Without files of its own a daemon does not lock the folder, and may share it."""
    keeper = start(*KEEP)
    (folder / FILE).write_bytes(b"as if it was just being written")
    guest = start_fanfared("--dir", folder)
    assert f"{FILE}: left to the daemon that uses the folder" in guest.log()
    assert (folder / FILE).exists()
    guest.stop()
    keeper.stop()
    # The lock is not kept either.
    guest = start_fanfared("--dir", folder)
    assert not (folder / FILE).exists()
    start()


@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN", "FORCE"])
def test_a_failed_save_is_in_the_exit_status(start, folder, how):
    daemon = start(*KEEP)
    client = daemon.client()
    client.call("PUBLISH", "c", "x")
    (folder / "fanfared-history.tmp").mkdir()
    if how == "SIGTERM":
        daemon.process.send_signal(signal.SIGTERM)
    else:
        client.command("SHUTDOWN", *(["FORCE"] if how == "FORCE" else []))
    assert daemon.wait() == (0 if how == "FORCE" else 1)
    assert f"cannot write {FILE}: Is a directory: the kept messages of channels are lost" in daemon.log()
    daemon.process = None
    (folder / "fanfared-history.tmp").rmdir()
    start()


class Chain:
    """Processes after one another in one folder; every message that any of them took, in order."""

    def __init__(self, folder, start):
        self.folder, self.start = folder, start
        self.published, self.readers, self.positions = [], [], {}
        self.daemon = self.lineage = self.pid = None

    def write(self, save):
        (self.folder / "fanfared.conf").write_text(
            f"history-save {save}\nchannel c* history-size 100000 history-ttl 600\nshutdown-grace 1\n")

    def begin(self, save):
        self.write(save)
        self.daemon = self.start()
        self.lineage, self.pid = Lineage(self.daemon), self.daemon.pid
        self.look()

    def end(self, how):
        if how == "SIGTERM":
            os.kill(self.pid, signal.SIGTERM)
        else:
            os.kill(self.pid, signal.SIGKILL)
        pids = {self.daemon.pid, *self.lineage.pids()}
        wait_until(lambda: not any(map(is_alive, pids)), "the end", 20)
        self.daemon.process.wait()
        self.daemon.process = None

    def upgrade(self, save):
        self.write(save)
        self.pid = self.lineage.upgrade(self.pid)
        self.look()

    def look(self):
        """Each reader gets everything that was published after its position, or is told that it is lost."""
        with Connection(self.daemon.address) as client:
            assert int(client.info("server")["process_id"]) == self.pid
            kept_now = kept(client)
            for where, payload in kept_now:
                assert self.positions.setdefault(where, payload) == payload, f"{where} has two payloads"
            for since, already in self.readers:
                reply = client.call("HISTORY", "READ", "COUNT", 100000, "CHANNELS", "c", since)
                if not is_lost(reply):
                    got = [payload for _, payload in reply[0][1]] if reply else []
                    assert got == self.published[already:], f"{since}: a silent gap"

    def publish(self):
        with Connection(self.daemon.address) as client:
            for _ in range(2):
                payload = b"%d" % len(self.published)
                client.call("PUBLISH", "c", payload)
                self.published.append(payload)
                self.readers.append((client.call("HISTORY", "POSITION"), len(self.published)))
        self.look()


def test_in_all_orders_of_yes_no_kill_and_upgrade_no_gap_is_silent(folder, start):
    ends, saves = ["SIGTERM", "SIGKILL"] + ["SIGUSR2"] * can_upgrade(), ("yes", "no")
    for first, end, second, next_end, third in itertools.product(saves, ends, saves, ends, saves):
        chain = Chain(folder, start)
        chain.begin(first)
        for how, save in ((end, second), (next_end, third)):
            chain.publish()
            if how == "SIGUSR2":
                chain.upgrade(save)
            else:
                chain.end(how)
                chain.begin(save)
        chain.publish()
        chain.end("SIGTERM")


@pytest.mark.parametrize("damage", ["byte", "cut", "empty"])
def test_a_damaged_file_is_kept_beside(start, folder, damage):
    daemon = start(*KEEP)
    client = daemon.client()
    client.call("PUBLISH", "c", "x")
    was = position(client)
    daemon.stop()
    content = (folder / FILE).read_bytes()
    at = content.index(b"FANFARED.KEPT")
    (folder / FILE).write_bytes({"byte": content[:at] + b"G" + content[at + 1:], "cut": content[:-5],
                                 "empty": b""}[damage])
    daemon = start()
    client = daemon.client()
    assert position(client)[0] != was[0] and kept(client) == []
    assert (folder / f"{FILE}.broken").exists() and not (folder / FILE).exists()
    assert "clients that resume are told that they lost some" in daemon.log()


def test_a_channel_that_is_kept_from_now_on_cannot_be_resumed(start):
    daemon = start(*KEEP)
    client = daemon.client()
    client.call("PUBLISH", "c", "x")
    client.call("PUBLISH", "d", "not kept")
    since = b"%d-%d" % position(client)
    daemon = restart(daemon, start, *KEEP, "channel d* history-size 5 history-ttl 60")
    client = daemon.client()
    assert is_lost(client.call("HISTORY", "READ", "CHANNELS", "d", since))
    assert client.call("HISTORY", "READ", "CHANNELS", "c", since) is None
    # With fewer messages, and none.
    client.call("PUBLISH", "c", "y")
    daemon = restart(daemon, start, "history-save yes", "channel c* history-size 1 history-ttl 600")
    assert [entry[1] for entry in kept(daemon.client())] == [b"y"]
    daemon = restart(daemon, start, "history-save yes")
    assert kept(daemon.client()) == []


def test_messages_expire_when_they_would_have(start):
    daemon = start("history-save yes", "channel c* history-size 100 history-ttl 4")
    client = daemon.client()
    begun = time.monotonic()
    client.call("PUBLISH", "c", "x")
    published = time.monotonic()

    def age():
        info = client.call("HISTORY", "INFO", "c")
        return dict(zip(info[::2], info[1::2]))[b"first-age-ms"] / 1000

    wait_until(lambda: age() > 1, "the message is a second old")
    daemon = restart(daemon, start)
    client = daemon.client()
    least = time.monotonic() - published
    # The times of the two processes are compared by the clock of the wall, which may be adjusted a little.
    assert least - 0.5 <= age() <= time.monotonic() - begun + 0.5
    wait_until(lambda: kept(client) == [], "the message has expired", 20)
    assert time.monotonic() - published > 3.5


def test_the_folder_is_locked(start, folder):
    """Two daemons would write the same file."""
    daemon = start(*KEEP)
    other = run_daemon(folder, "-c", folder / "fanfared.conf")
    assert other.returncode == 1 and f"in use by another fanfared (process {daemon.pid})" in other.stderr


class Truth:
    """All positions that were seen, each with its payload."""

    def __init__(self):
        self.seen = {}

    def look(self, client):
        for where, payload in kept(client):
            assert self.seen.setdefault(where, payload) == payload, f"{where} has two payloads"


TRUTH = Truth()


def begin_and_die(folder, env):
    """Starts a daemon that is killed at a call of its start, or by this test when it serves."""
    with open(folder / "short.log", "ab") as log:
        process = subprocess.Popen([os.environ["FANFARED"], "-c", folder / "fanfared.conf", "--port", "0",
                                    "--unixsocket", folder / "short"], cwd=folder, stdout=log, stderr=log,
                                   env={**os.environ, **env})
    wait_until(lambda: process.poll() is not None or serves(folder / "short"), "it serves or was killed")
    process.kill()
    process.wait()
    (folder / "short").unlink(missing_ok=True)


def serves(path):
    try:
        with Connection(path) as client:
            client.call("PUBLISH", "c", f"short-lived {time.monotonic()}")
            TRUTH.look(client)
            return True
    except (OSError, Closed):
        return False


def test_no_position_has_two_payloads_wherever_the_daemon_is_killed(start, folder, shim):  # noqa: F811
    """The daemon is killed at the nth call of its end, or of its start, for every n."""
    calls = Calls(folder)
    env = {"LD_PRELOAD": preload(shim, os.environ["FANFARED"]), "FANFARE_CALLS": str(calls.path)}
    truth, names = TRUTH, {"end": set(), "start": set()}
    truth.seen.clear()
    daemon = start(*KEEP, env=env)
    for moment in ("end", "start"):
        number = 0
        while True:
            number += 1
            client = daemon.client()
            for n in range(3):
                client.call("PUBLISH", "c", f"{moment} {number} {n}")
            truth.look(client)
            if moment == "end":
                calls.arm(number, 0)
            os.kill(daemon.pid, signal.SIGTERM)
            daemon.process.wait()
            daemon.process = None
            if moment == "start":
                calls.arm(number, 0)
                begin_and_die(folder, env)
            name = calls.failed()
            calls.disarm()
            daemon = start(env=env)
            names[moment].add(name)
            truth.look(daemon.client())
            if not name:
                break
    assert {"pwritev", "fdatasync", "rename"} <= names["end"], names
    assert {"unlink"} <= names["start"], names
