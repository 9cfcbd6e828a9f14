"""Leaves of a Redis with a replica that lags and a sentinel: the upstream is an address that moves to the new master. It is
also the engine of nodes.

Everything is in network namespaces of its own, and messages flow from publishers at all nodes; see lib/nodes_truth.py.
Seeded: FANFARE_SEED.
"""

import contextlib
import os
import random
import signal
import threading

import pytest
from conftest import missing, starter_of

from lib.namespaces import FanfaredInNamespace, Network, RedisInNamespace, SentinelInNamespace, missing_for_namespaces
from lib.nodes import link, wait_for_error
from lib.nodes_truth import Truth, connections, wait_for_new_link
from lib.resp import Closed, Connection
from lib.wait import SANITIZED, wait_until

LAG_S = 0.3
CONFIGURATION = """\
protected-mode no
sentinel monitor upstream {master} 6379 1
sentinel down-after-milliseconds upstream 600000
sentinel failover-timeout upstream 5000
"""


class Follower(threading.Thread):
    """Moves the shared address to the master that the sentinel names, as the script of a virtual address does."""

    def __init__(self, network, sentinel):
        super().__init__(daemon=True)
        self.network, self.client = network, sentinel.connect()
        self.nodes = {one.address.encode(): one for one in network.namespaces}
        self.master = network.namespaces[0]
        self.is_over = threading.Event()
        self.start()

    def ask(self):
        return self.nodes[self.client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "upstream")[0]]

    def run(self):
        while not self.is_over.wait(0.05):
            master = self.ask()
            if master is not self.master:
                self.network.move_shared(master)
                self.master = master


class Scene:
    def __init__(self, mode, network, folder, seed, start_redis, start_sentinel, start_leaf):
        self.network = network
        first, second, self.outside, *others = network.namespaces
        self.master = start_redis("--repl-diskless-sync-delay", 0, namespace=first)
        self.replica = start_redis("--replicaof", first.address, self.master.port, "--repl-diskless-sync-delay", 0,
                                   namespace=second)
        network.set(second, ways=("down",), delay=LAG_S)
        wait_until(lambda: role(self.replica) == [b"slave", b"connected"], "the replica is connected", 30)
        path = folder / "sentinel.conf"
        path.write_text(CONFIGURATION.format(master=first.address))
        self.sentinel = start_sentinel(configuration=path, namespace=self.outside)
        with self.sentinel.connect() as client:
            wait_until(lambda: len(client.call("SENTINEL", "REPLICAS", "upstream")) == 1, "the sentinel knows the replica", 30)
        self.follower = Follower(network, self.sentinel)
        options = ("--upstream", f"redis://{network.SHARED}:6379", "--upstream-mode", mode, "--upstream-probe",
                   2 if SANITIZED else 1, "--channel", "kept.*", "history-size", 10000, "history-ttl", 600)
        self.leaves = [start_leaf(*options, namespace=namespace) for namespace in others]
        connect_first = self.connect_to_master
        if mode == "engine":  # what is published at an engine itself is not kept
            connect_first = start_leaf(*options, namespace=self.outside, port=6380).connect
        self.truth = Truth(connect_first, self.leaves, seed, mode == "engine")
        self.truth.flow()

    def fail_over_after(self, duration_s):
        """The sentinel takes a master for dead that does not answer for so long; at first ten minutes, so that it takes none."""
        with self.sentinel.connect() as client:
            client.ok("SENTINEL", "SET", "upstream", "down-after-milliseconds", int(duration_s * 1000))

    def connect_to_master(self):
        """As a client of the upstream does: a replica takes messages, but passes them on to nobody."""
        with self.outside.entered():
            client = Connection((self.network.SHARED, 6379), timeout=3)
        if client.call("ROLE")[0] != b"master":
            client.close()
            raise OSError("not the master")
        return client


def role(redis):
    """Nothing: a sentinel that gives it another role has ended the connection."""
    try:
        with redis.connect() as client:
            reply = client.call("ROLE")
    except (OSError, Closed):
        return []
    return [reply[0], reply[3]] if reply[0] == b"slave" else [reply[0]]


@pytest.fixture
def mode(request):
    return getattr(request, "param", "leaf")


@pytest.fixture
def scene(folder, mode):
    lack = missing_for_namespaces()
    if lack:
        missing(lack)
    seed = int(os.environ.get("FANFARE_SEED", random.randrange(1 << 30)))
    print(f"FANFARE_SEED={seed}")
    network = Network(6, seed, sharing=2)
    try:
        with contextlib.ExitStack() as stack:
            starters = []
            for kind in (RedisInNamespace, SentinelInNamespace, FanfaredInNamespace):
                (folder / kind.name).mkdir()  # a replica writes a file, with which no fanfared starts
                starters.append(stack.enter_context(contextlib.contextmanager(starter_of)(kind, folder / kind.name)))
            scene = Scene(mode, network, folder, seed, *starters)
            yield scene
            scene.truth.stop()
            scene.follower.is_over.set()
            scene.follower.join()
    finally:
        network.close()


@pytest.mark.parametrize("way", ["killed", "stopped", "commanded"])
def test_failover_to_a_replica_that_lags(scene, way):
    before = {leaf: connections(leaf) for leaf in scene.leaves}
    if way != "commanded":
        scene.fail_over_after(2)
    if way == "killed":
        scene.master.kill()
    elif way == "stopped":
        os.kill(scene.master.pid, signal.SIGSTOP)
    else:
        with scene.sentinel.connect() as client:
            wait_until(lambda: client.call("SENTINEL", "FAILOVER", "upstream") == b"OK", "a failover begins", 30)
    try:
        wait_until(lambda: scene.follower.master is scene.replica.namespace, "the sentinel names the other one", 40)
        scene.fail_over_after(600)
        for leaf in scene.leaves:
            wait_for_new_link(leaf, before[leaf])
        scene.truth.flow()
    finally:
        if way == "stopped":
            os.kill(scene.master.pid, signal.SIGCONT)
    if way == "killed":
        scene.master.start(scene.master.port)
    wait_until(lambda: role(scene.master)[:1] == [b"slave"], "the old master becomes a replica", 60)
    scene.truth.flow()
    marks = [scene.truth.marks(leaf) for leaf in scene.leaves]
    assert all(marks), marks
    # If the address moves back by mistake, nobody publishes to the replica.
    scene.network.move_shared(scene.master.namespace)
    for leaf in scene.leaves:
        wait_for_error(leaf, "is a replica", 40)
        assert link(leaf)["state"] != "up"
    scene.network.move_shared(scene.replica.namespace)
    scene.truth.wait_for_links()
    scene.truth.flow()
    figures = scene.truth.finish()
    assert figures["refused"] > 0


@pytest.mark.parametrize("mode", ["engine"], indirect=True)
@pytest.mark.parametrize("way", ["killed", "cut off"])
def test_failover_of_an_engine(scene, way):
    """History begins anew if the replica lacks messages that nodes have seen: always if its link was cut before. A replica that
    only lags may still get all that a killed master has written: then nothing of kept channels is missing. A node that links
    before one that had seen more may get new messages before the mark."""
    before = {leaf: connections(leaf) for leaf in scene.leaves}
    scene.fail_over_after(2)
    with contextlib.ExitStack() as faults:
        if way == "cut off":
            faults.enter_context(scene.network.failing(scene.replica.namespace, ways=("down",), resets=True))
            with scene.master.connect() as client:
                wait_until(lambda: client.info("replication")["connected_slaves"] == "0", "the replica is cut off", 30)
            scene.truth.flow()
        scene.master.kill()
    wait_until(lambda: scene.follower.master is scene.replica.namespace, "the sentinel names the other one", 40)
    scene.network.set(scene.replica.namespace)  # it lags no more
    scene.fail_over_after(600)
    for leaf in scene.leaves:
        wait_for_new_link(leaf, before[leaf])
    scene.truth.flow()
    is_same = all(link(leaf)["history_resets"] == "1" for leaf in scene.leaves)
    assert not is_same or way != "cut off"
    figures = scene.truth.finish(kept_are_whole=is_same, marks_are_late=not is_same)
    assert figures["refused"] > 0
    if way == "cut off":
        assert all(listener.begin > 0 for listener in scene.truth.of_kept)
