"""Members of channels and keys of PUBLISHX pass to the successor of an upgrade: nobody seems to leave or to come, no member
stays without a connection or a lease, and no message is published twice."""

import json
import os
import random
import re
import signal
import threading
import time

import pytest

from lib.disk import preload
from lib.lineage import is_alive, lineages_of
from lib.resp import Closed, Connection, Error, error
from lib.wait import seconds, wait_until
from test_upgrade_keys import Calls, shim, survivor  # noqa: F401  (a fixture)

READONLY = b"READONLY Another process has taken over from this one. Connect again."
ROOMS = "channel room* presence members events occupied,join vacate-delay 0 leave-delay"


@pytest.fixture
def start_lineage(start_fanfared, folder):
    path = folder / "fanfared.conf"
    for start in lineages_of(start_fanfared):
        def begin(*lines, start=start, **more):
            path.write_text("".join(f"{line}\n" for line in lines))
            return start("-c", path, **more)
        yield begin


def members(client, channel="room"):
    """{name: (info, connections)}; there are as many as are counted."""
    cursor, found = b"0", {}
    while True:
        client.ok("MULTI")
        client.call("PRESENCE", "MEMBERS", channel, "CURSOR", cursor, "COUNT", 1000)
        client.call("PRESENCE", "COUNT", channel)
        is_whole = cursor == b"0"
        (cursor, flat), (_, count) = client.call("EXEC")
        found.update({flat[at]: (flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3)})
        if cursor == b"0":
            assert not is_whole or count == len(found)
            return found


class Listener:
    """Collects the events of all channels."""

    def __init__(self, address):
        self.connection = Connection(address, timeout=60)
        self.connection.subscribe("__*__:room*", kind="PSUBSCRIBE")
        self.events = []

    def read(self):
        self.connection.command("PING")
        while True:
            frame = self.connection.read_value()
            if frame[0] == b"pong":
                return self.events
            event = json.loads(frame[3])
            self.events.append((event["event"], event.get("member", frame[2].decode().partition(":")[2])))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


# PUBLISHX


def test_a_repeated_message_gets_its_first_answer_from_the_successor(start_lineage):
    lineage = start_lineage("channel kept history-size 10 history-ttl 60", "shutdown-grace 600")
    client = lineage.daemon.client()
    for channel in ("kept", "plain"):
        client.call("PUBLISHX", channel, "x", "IDKEY", "k", "RESULT")
    first = {channel: client.call("PUBLISHX", channel, "x", "IDKEY", "k", "RESULT") for channel in ("kept", "plain")}
    pid = lineage.daemon.pid
    for _ in range(2):
        pid = lineage.upgrade(pid)
        with Connection(lineage.daemon.address) as newcomer:
            with Connection(lineage.daemon.address) as subscriber:
                subscriber.subscribe("kept", "plain")
                for channel in ("kept", "plain"):
                    assert newcomer.call("PUBLISHX", channel, "x", "IDKEY", "k", "RESULT") == first[channel]
                assert newcomer.call("HISTORY", "LEN", "kept") == 1
                assert newcomer.call("PUBLISHX", "plain", "x", "IDKEY", "other") == 1
    # The old process knows the keys that it has passed on, and takes no new one.
    assert client.call("PUBLISHX", "plain", "x", "IDKEY", "k", "RESULT") == first["plain"]
    assert client.call("PUBLISHX", "plain", "x", "IDKEY", "new") == error(READONLY)
    assert client.call("PUBLISHX", "plain", "x") == 0
    client.close()


def test_the_window_of_a_key_ends_when_it_would_have(start_lineage):
    lineage = start_lineage("shutdown-grace 1")
    client = lineage.daemon.client()
    client.call("PUBLISHX", "c", "x", "IDKEY", "long", "WINDOW", 600)
    begun = time.monotonic()
    client.call("PUBLISHX", "c", "x", "IDKEY", "short", "WINDOW", 3)
    lineage.upgrade()
    with Connection(lineage.daemon.address) as newcomer:
        with Connection(lineage.daemon.address) as subscriber:
            subscriber.subscribe("c")
            # Repeats have no receiver, as the first one had none.
            wait_until(lambda: newcomer.call("PUBLISHX", "c", "x", "IDKEY", "short") == 1, "the end of the window", 20)
            assert time.monotonic() - begun > 2.9
            assert newcomer.call("PUBLISHX", "c", "x", "IDKEY", "long") == 0


# Members


def test_members_that_reconnect_in_time_neither_leave_nor_join(start_lineage):
    """Each is closed by the old process and joins again in the new one; a subscriber there hears nothing."""
    lineage = start_lineage(f"{ROOMS} 20", "shutdown-grace 1")
    daemon = lineage.daemon
    names = [b"m%d" % n for n in range(20)]
    clients = []
    for name in names:
        clients.append(daemon.client())
        assert clients[-1].call("PRESENCE", "JOIN", "room", name, "INFO", b"of " + name) == 1
    infos = {name: b"of " + name for name in names}

    def known(observer):
        return {name: info for name, (info, _) in members(observer).items()}

    with Connection(daemon.address) as observer:
        assert known(observer) == infos
    lineage.upgrade()
    with Listener(daemon.address) as listener, Connection(daemon.address) as observer:
        assert known(observer) == infos
        again = []
        for name, client in zip(names, clients):
            client.read_to_end()
            again.append(Connection(daemon.address))
            assert again[-1].call("PRESENCE", "JOIN", "room", name) == 0
        assert daemon.wait(20) == 0
        assert known(observer) == infos
        wait_until(lambda: all(connections == 1 for _, connections in members(observer).values()), "the old ones are gone")
        assert listener.read() == []
        for connection in again:
            connection.close()


def test_members_that_do_not_come_back_leave_once_after_the_delay(start_lineage):
    lineage = start_lineage(f"{ROOMS} 1", "shutdown-grace 600")
    daemon = lineage.daemon
    clients = {name: daemon.client() for name in (b"ann", b"ben", b"cat")}
    for name, client in clients.items():
        client.call("PRESENCE", "JOIN", "room", name)
    clients[b"dan"] = clients[b"cat"]
    clients[b"cat"].call("PRESENCE", "JOIN", "room", "dan")
    lineage.upgrade()
    with Listener(daemon.address) as listener, Connection(daemon.address) as observer:
        assert set(members(observer)) == set(clients)
        clients[b"ann"].close()
        wait_until(lambda: listener.read() == [("leave", "ann")], "ann leaves")
        assert set(members(observer)) == {b"ben", b"cat", b"dan"}
        assert clients[b"ben"].call("PRESENCE", "LEAVE", "room", "ben") == 1
        wait_until(lambda: listener.read()[1:] == [("leave", "ben")], "ben leaves")
        # The old process changes nothing else, and its own subscribers hear nothing of it.
        for command in (("PRESENCE", "JOIN", "room", "eve"), ("PRESENCE", "TOUCH", "room", "eve", "TTL", 10)):
            assert clients[b"ben"].call(*command) == error(READONLY)
        # It is killed: all others leave.
        daemon.kill()
        wait_until(lambda: members(observer) == {}, "nobody is left")
        assert sorted(listener.read()[2:4]) == [("leave", "cat"), ("leave", "dan")]
        wait_until(lambda: listener.read()[4:] == [("vacated", "room")], "the channel is vacated")


def test_subscribers_of_the_old_process_hear_no_leave_of_members_that_have_moved(start_lineage):
    lineage = start_lineage(f"{ROOMS} 0", "shutdown-grace 600")
    daemon = lineage.daemon
    with Listener(daemon.address) as listener:
        client = daemon.client()
        client.call("PRESENCE", "JOIN", "room", "ann")
        wait_until(lambda: listener.read() == [("occupied", "room"), ("join", "ann")], "the join")
        lineage.upgrade()
        with Connection(daemon.address) as again:
            assert again.call("PRESENCE", "JOIN", "room", "ann") == 0
            client.close()
            wait_until(lambda: members(again) == {b"ann": (b"", 1)}, "the old connection is gone")
        with Connection(daemon.address) as observer:
            wait_until(lambda: members(observer) == {}, "she has left")
        assert listener.read() == [("occupied", "room"), ("join", "ann")]


def test_a_lease_goes_on_and_ends_when_it_would_have(start_lineage):
    lineage = start_lineage(f"{ROOMS} 0", "shutdown-grace 1")
    client = lineage.daemon.client()
    client.call("PRESENCE", "TOUCH", "room", "long", "TTL", 600, "INFO", "x")
    begun = time.monotonic()
    client.call("PRESENCE", "TOUCH", "room", "short", "TTL", 3)
    lineage.upgrade()
    with Listener(lineage.daemon.address) as listener, Connection(lineage.daemon.address) as observer:
        assert members(observer) == {b"long": (b"x", 0), b"short": (b"", 0)}
        wait_until(lambda: listener.read() == [("leave", "short")], "the end of the lease", 20)
        assert 2.9 < time.monotonic() - begun < 3 + seconds(5)
        assert members(observer) == {b"long": (b"x", 0)}
        assert observer.call("PRESENCE", "TOUCH", "room", "long", "TTL", 0) == 0
        wait_until(lambda: listener.read()[1:] == [("leave", "long"), ("vacated", "room")], "the end of the other")


def test_a_member_whose_delay_runs_leaves_or_returns_in_the_successor(start_lineage):
    lineage = start_lineage(f"{ROOMS} 3", "shutdown-grace 1")
    client = lineage.daemon.client()
    for name in ("leaves", "returns"):
        client.call("PRESENCE", "JOIN", "room", name)
    client.close()
    wait_until(lambda: lineage.daemon.client().info("presence")["presence_joins"] == "0", "the end of the joins")
    lineage.upgrade()
    with Listener(lineage.daemon.address) as listener, Connection(lineage.daemon.address) as again:
        assert again.call("PRESENCE", "JOIN", "room", "returns") == 0
        wait_until(lambda: listener.read() == [("leave", "leaves")], "the end of the delay", 20)
        assert members(again) == {b"returns": (b"", 1)}


def test_connections_of_two_processes_before_hold_a_member(start_lineage):
    """The process in the middle passes on what it learns from the first one."""
    lineage = start_lineage(f"{ROOMS} 0", "shutdown-grace 600")
    daemon = lineage.daemon
    oldest = daemon.client()
    for name in ("ann", "ben"):
        oldest.call("PRESENCE", "JOIN", "room", name)
    second = lineage.upgrade()
    with Connection(daemon.address) as middle:
        middle.call("PRESENCE", "JOIN", "room", "ben")
        lineage.upgrade(second)
        with Listener(daemon.address) as listener, Connection(daemon.address) as observer:
            assert members(observer) == {b"ann": (b"", 1), b"ben": (b"", 1)}
            oldest.close()
            wait_until(lambda: set(members(observer)) == {b"ben"}, "ann leaves")
            middle.close()
            wait_until(lambda: members(observer) == {}, "ben leaves")
            assert [event for event in listener.read() if event[0] != "vacated"] == [("leave", "ann"), ("leave", "ben")]


def test_many_members_pass_and_leave_in_slices(start_lineage):
    lineage = start_lineage(f"{ROOMS} 0", "shutdown-grace 600", "presence-max-joins 100000", "presence-max-members 100000")
    daemon = lineage.daemon
    clients = [daemon.connect(timeout=60) for _ in range(4)]
    for which, client in enumerate(clients):
        for n in range(5000):
            client.command("PRESENCE", "JOIN", "room", f"{which} {n}", "INFO", "x" * 50)
        for n in range(5000):
            assert client.read_value() == 1
    lineage.upgrade()
    with Connection(daemon.address, timeout=60) as observer:
        assert len(members(observer)) == 20000
        for left in (2, 1):
            clients.pop().close()
            clients.pop(0).close() if left == 2 else None
            wait_until(lambda left=left: len(members(observer)) == left * 5000, "those of the closed ones leave", 30)
        daemon.kill()
        wait_until(lambda: members(observer) == {}, "all others leave", 30)


# The lines of options


def test_options_set_at_run_time_are_lost_as_other_settings_are_and_the_log_says_so(start_lineage):
    lineage = start_lineage("channel kept history-size 10 history-ttl 60", "shutdown-grace 1")
    daemon = lineage.daemon
    client = daemon.client()
    client.ok("CONFIG", "SET", "maxclients", 1234)
    client.ok("CHANNEL", "SET", "room", "presence", "members", "history-size", 5, "history-ttl", 60, "events", "join")
    for channel in ("kept", "room"):
        client.call("PUBLISH", channel, "x")
    since = client.call("HISTORY", "POSITION")
    client.call("PRESENCE", "TOUCH", "room", "ann", "TTL", 600)
    lineage.upgrade()
    assert daemon.log().count("the channel options differ from those of the process before") == 1
    with Connection(daemon.address) as newcomer:
        assert newcomer.call("CONFIG", "GET", "maxclients")[1] != b"1234"
        assert len(newcomer.call("CHANNEL", "LIST")) == 1
        assert newcomer.call("PRESENCE", "CHANNELS") == []
        assert len(newcomer.call("HISTORY", "RANGE", "kept", "-", "+")) == 1
        assert newcomer.call("HISTORY", "LEN", "room") == 0
        reply = newcomer.call("HISTORY", "READ", "CHANNELS", "room", since)
        assert reply is None or isinstance(reply, Error)


# kill -9


class Touching(threading.Thread):
    """A backend: renews its lease and publishes with keys, in whichever process serves."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.is_over, self.failure = address, False, None
        self.touched, self.answers = 0, {}

    def run(self):
        number = 0
        while not self.is_over and self.failure is None:
            try:
                with Connection(self.address, timeout=60) as connection:
                    while not self.is_over and self.failure is None:
                        number += 1
                        for command in (("PRESENCE", "TOUCH", "room", "backend", "TTL", 600),
                                        ("PUBLISHX", "kept", number, "IDKEY", number, "RESULT")):
                            reply = connection.call(*command)
                            if isinstance(reply, Error):
                                break
                            if command[0] == "PUBLISHX":
                                self.answers[number] = reply
                            else:
                                self.touched += 1
                        if isinstance(reply, Error):
                            if reply.text != READONLY:
                                self.failure = reply
                            break
            except (Closed, OSError):
                time.sleep(0.005)

    def end(self):
        self.is_over = True
        self.join(seconds(60))
        assert not self.is_alive() and self.failure is None, self.failure


@pytest.mark.parametrize("victim", ["old", "new"])
@pytest.mark.parametrize("seed", range(6))
def test_after_a_kill_at_any_moment_the_survivor_knows_members_and_keys(start_lineage, victim, seed):
    rng = random.Random(f"{victim} {seed}")
    lineage = start_lineage(f"{ROOMS} 1", "channel kept history-size 100000 history-ttl 600", "shutdown-grace 600")
    daemon = lineage.daemon
    client = daemon.client()
    client.call("PRESENCE", "JOIN", "room", "connected")
    for n in range(300):
        client.call("PUBLISHX", "kept", b"x" * 10000, "IDKEY", f"ballast {n}")
    backend = Touching(daemon.address)
    backend.start()
    wait_until(lambda: backend.touched > 5, "the backend works")
    os.kill(daemon.pid, signal.SIGUSR2)
    started = wait_until(lambda: re.findall(r"started \S+ as process (\d+)", daemon.log()), "the successor")
    time.sleep(rng.uniform(0, 0.1))
    new = int(started[0])
    os.kill(daemon.pid if victim == "old" else new, signal.SIGKILL)
    serves = "ready to accept connections"
    if victim == "old":
        daemon.process.wait()
        daemon.process = None
        wait_until(lambda: not is_alive(new) or daemon.log().count(serves) == 2, "the successor serves or ends", 20)
    else:
        wait_until(lambda: lineage.pids() or "upgrade failed" in daemon.log(), "the outcome", 20)
    backend.end()
    survivor = new if victim == "old" else None if lineage.pids() else daemon.pid
    if survivor is None or not is_alive(survivor):
        return  # the one that served was killed
    with Connection(daemon.address) as observer:
        assert int(observer.info("server")["process_id"]) == survivor
        if victim == "old":
            # Its connections have ended.
            wait_until(lambda: set(members(observer)) == {b"backend"}, "the connected one leaves")
        else:
            assert set(members(observer)) == {b"backend", b"connected"}
        for number, first in backend.answers.items():
            again = observer.call("PUBLISHX", "kept", number, "IDKEY", number, "RESULT")
            assert again[again.index(b"position") + 1] == first[first.index(b"position") + 1]
            assert again[again.index(b"duplicate") + 1] == 1


def test_whichever_call_is_the_last_of_a_process_the_survivor_knows_members_and_keys(start_lineage, folder, shim):  # noqa: F811
    """An upgrade in which the process that makes the nth call is killed by it, for every n."""
    calls = Calls(folder)
    env = {"LD_PRELOAD": preload(shim, os.environ["FANFARED"]), "FANFARE_CALLS": str(calls.path)}
    lineage, pid, names, number = None, None, set(), 0
    while True:
        number += 1
        if lineage is None:
            lineage = start_lineage(f"{ROOMS} 0", "channel kept history-size 1000 history-ttl 600", "shutdown-grace 1", env=env)
            pid = lineage.daemon.pid
        daemon = lineage.daemon
        log, done = len(daemon.log()), len(lineage.pids())
        publish = ("PUBLISHX", "kept", "x", "IDKEY", number, "RESULT")
        with Connection(daemon.address) as client:
            assert client.call("PRESENCE", "TOUCH", "room", "backend", "TTL", 600) in (0, 1)
            first = client.call(*publish)
        calls.arm(number, 0)
        os.kill(pid, signal.SIGUSR2)
        wait_until(lambda log=log, done=done, pid=pid: len(lineage.pids()) > done or not is_alive(pid) or
                   "upgrade failed" in daemon.log()[log:], "the outcome", 60)
        calls.disarm()
        name = calls.failed()
        names.add(name)
        left = wait_until(lambda: survivor(lineage), "one process serves, or none is left", 20)
        if left == "none":
            lineage.daemon.process.wait()
            lineage.daemon.process = None
            lineage = None
            continue
        pid = left
        with Connection(daemon.address) as client:
            assert set(members(client)) == {b"backend"}, f"call {number}, {name}"
            again = client.call(*publish)
            assert again[again.index(b"position") + 1] == first[first.index(b"position") + 1], f"call {number}, {name}"
            assert again[again.index(b"duplicate") + 1] == 1
        if not name:
            break
    assert number > 30 and {"sendmsg", "recvmsg"} <= names, (number, names)
