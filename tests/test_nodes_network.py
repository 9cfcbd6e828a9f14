"""Three leaves, or nodes of an engine, each in a network namespace of its own, over a network that fails: packets are lost,
damaged and overtake one another, links are down, connections are reset, the upstream hangs, restarts empty, and closes links.

Messages flow from publishers at all nodes meanwhile; see lib/nodes_truth.py for the verdict. Seeded: FANFARE_SEED=N repeats the
faults. FANFARE_SOAK_S=600 lets the last test run for that long, and another one stop the upstream for a minute.
"""

import contextlib
import os
import random
import signal
import time

import pytest
from conftest import missing, starter_of

from lib.namespaces import MESS, FanfaredInNamespace, Network, RedisInNamespace, missing_for_namespaces
from lib.nodes import link
from lib.nodes_truth import Truth, connections, keep_going, wait_for_new_link
from lib.wait import SANITIZED, wait_until

KEEP = ("--channel", "kept.*", "history-size", 100000, "history-ttl", 3600)
SOAK_S = float(os.environ.get("FANFARE_SOAK_S", "10"))
PATIENT, NORMAL, QUICK = 30, 5, 2 if SANITIZED else 1  # upstream-probe


class Scene:
    """An upstream, three leaves, and messages."""

    def __init__(self, network, start_redis, start_fanfared, seed):
        self.network, self.start_redis, self.start_fanfared = network, start_redis, start_fanfared
        self.seed, self.random = seed, random.Random(seed)
        self.upstream, self.leaves, self.truth = None, [], None

    def begin(self, probe_s, upstream="redis", keep=KEEP, options=()):
        """`options` are those of a Redis."""
        first, *others = self.network.namespaces
        self.upstream = self.start_fanfared(*keep, namespace=first) if upstream == "fanfared" else \
            self.start_redis(*options, namespace=first)
        node = ("--upstream", f"redis://{first.address}:{self.upstream.port}", "--upstream-probe", probe_s, *keep)
        if upstream == "engine":
            node += ("--upstream-mode", "engine")
        self.leaves = [self.start_fanfared(*node, namespace=namespace) for namespace in others]
        # What is published at an engine itself is not kept: a node beside it, behind no wire, takes its messages.
        entrance = self.start_fanfared(*node, namespace=first, port=6380) if upstream == "engine" else self.upstream
        self.truth = Truth(entrance.connect, self.leaves, self.seed, upstream == "engine")
        self.truth.flow()
        return self.truth

    def failing(self, node, **faults):
        return self.network.failing(node.namespace, **faults)

    @contextlib.contextmanager
    def stopped(self, node):
        os.kill(node.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(node.pid, signal.SIGCONT)

    def restart_upstream(self):
        self.upstream.kill()
        self.upstream.start(self.upstream.port)

    def kill_clients(self, kind):
        with self.upstream.connect() as admin:
            assert admin.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes") >= 0

    def breaks_all_links(self):
        """A context: the fault in it breaks the link of each leaf, and messages flow again behind it."""
        return self.breaks(*self.leaves)

    @contextlib.contextmanager
    def breaks(self, *leaves):
        before = {leaf: connections(leaf) for leaf in self.leaves}
        marks = {leaf: self.truth.marks(leaf) for leaf in self.leaves}
        yield
        for leaf in leaves:
            wait_for_new_link(leaf, before[leaf])
        self.truth.flow()
        for leaf in self.leaves:
            if leaf in leaves:
                wait_until(lambda leaf=leaf: self.truth.marks(leaf) > marks[leaf], "a mark")
            else:
                assert connections(leaf) == before[leaf], "the link of another leaf broke"
                assert self.truth.marks(leaf) == marks[leaf], "a mark at another leaf"


@pytest.fixture
def scene(folder):
    lack = missing_for_namespaces()
    if lack:
        missing(lack)
    seed = int(os.environ.get("FANFARE_SEED", random.randrange(1 << 30)))
    print(f"FANFARE_SEED={seed}")
    network = Network(4, seed)
    try:
        with contextlib.contextmanager(starter_of)(RedisInNamespace, folder) as start_redis, \
                contextlib.contextmanager(starter_of)(FanfaredInNamespace, folder) as start_fanfared:
            scene = Scene(network, start_redis, start_fanfared, seed)
            yield scene
            if scene.truth is not None:
                scene.truth.stop()
    finally:
        network.close()


# What TCP hides, and what ends before a probe is late


def test_lost_and_damaged_packets_are_hidden_by_tcp(scene):
    truth = scene.begin(PATIENT)
    with contextlib.ExitStack() as faults:
        for node in (scene.upstream, *scene.leaves):
            faults.enter_context(scene.failing(node, **MESS))
        keep_going(4)
        truth.flow(60)
    done = scene.network.set(scene.upstream.namespace)
    assert all(done.get(name, 0) > 5 for name in ("lose", "duplicate", "reorder", "damage")), done
    check_that_nothing_broke(scene)


def test_short_interruptions_are_waited_for(scene):
    """The upstream is stopped for a second, then the link of each leaf is down for a moment, in one direction or both."""
    truth = scene.begin(PATIENT)
    with scene.stopped(scene.upstream):
        keep_going(1)
    truth.flow()
    for leaf, ways in zip(scene.leaves, (("up",), ("down",), ("up", "down"))):
        with scene.failing(leaf, ways=ways, is_down=True):
            keep_going(0.5)
    truth.flow()
    assert scene.network.set(scene.upstream.namespace)["is_down"] > 0
    check_that_nothing_broke(scene)


def check_that_nothing_broke(scene):
    figures = scene.truth.finish()
    assert figures["delivered"] == figures["expected"] > 300
    assert figures["marks"] == 0
    assert [connections(leaf) for leaf in scene.leaves] == [1, 1, 1]


# Broken links


def test_a_link_that_is_down(scene):
    """For longer than the probe waits; in one direction or both. The link of one leaf, then those of all."""
    truth = scene.begin(QUICK)
    first = scene.leaves[0]
    with scene.breaks(first), scene.failing(first, is_down=True):
        wait_until(lambda: link(first)["state"] != "up", "the link is down", 30)
        keep_going(1)
    with scene.breaks_all_links(), contextlib.ExitStack() as faults:
        for leaf, ways in zip(scene.leaves, (("up",), ("down",), ("up", "down"))):
            faults.enter_context(scene.failing(leaf, ways=ways, is_down=True))
        for leaf in scene.leaves:
            wait_until(lambda leaf=leaf: "comes back" in link(leaf)["last_error"], "the probe is late", 30)
        keep_going(1)
    figures = truth.finish()
    assert figures["marked"] > 0 and figures["refused"] > 0


def test_connections_that_the_network_resets(scene):
    """Only their senders are told. A leaf that does not send anything notices by the probe."""
    truth = scene.begin(NORMAL)
    one = scene.leaves[1]
    with scene.breaks(one), scene.failing(one, resets=True):
        wait_until(lambda: link(one)["state"] != "up", "the link is down", 30)
        keep_going(0.3)
    assert any(text in one.log() for text in ("reset by peer", "Broken pipe", "refused"))
    with scene.breaks_all_links(), scene.failing(scene.upstream, resets=True):
        for leaf in scene.leaves:
            wait_until(lambda leaf=leaf: link(leaf)["state"] != "up", "the link is down", 30)
    assert truth.finish()["marked"] > 0


@pytest.mark.parametrize("duration", [5, 60] if SOAK_S >= 60 else [5])
def test_an_upstream_that_is_stopped(scene, duration):
    truth = scene.begin(QUICK)
    with scene.breaks_all_links(), scene.stopped(scene.upstream):
        for leaf in scene.leaves:
            wait_until(lambda leaf=leaf: link(leaf)["state"] != "up", "the link is down", 30)
        keep_going(duration - 2 * QUICK)
    assert truth.finish()["refused"] > 0


def test_an_upstream_that_restarts_empty(scene):
    truth = scene.begin(PATIENT)
    for _ in range(2):
        with scene.breaks_all_links():
            scene.restart_upstream()
    truth.finish()


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_client_kill(scene, kind):
    """Links are of the type pubsub for Redis, while the test's publisher there is a normal client."""
    truth = scene.begin(PATIENT)
    for _ in range(2):
        with scene.breaks_all_links() if kind == "pubsub" else scene.breaks():
            scene.kill_clients(kind)
    figures = truth.finish()
    assert kind == "pubsub" or figures["marks"] == 0


def test_a_leaf_that_is_stopped_loses_its_link_to_the_output_limit(scene):
    truth = scene.begin(PATIENT)
    let_output_limit_close_link(scene, scene.leaves[2])
    assert truth.finish()["marked"] > 0


def let_output_limit_close_link(scene, stopped):
    with scene.upstream.connect() as admin:
        admin.ok("CONFIG", "SET", "client-output-buffer-limit", "pubsub 262144 0 0")
        with scene.breaks(stopped), scene.stopped(stopped):
            links = count_links(admin)
            ballast = b"x" * 65536

            def is_closed():
                admin.call("PUBLISH", "ballast", ballast)
                return count_links(admin) < links

            wait_until(is_closed, "redis-server closes the link of the stopped leaf", 60)


def count_links(admin):
    return sum(client["name"] == "fanfare-link" for client in admin.client_list())


# Nodes of an engine


def test_kept_messages_of_an_engine_are_filled_in(scene):
    """Behind a link that is down, resets, an upstream that is stopped, killed clients and an output limit."""
    truth = scene.begin(QUICK, "engine")
    first, second, third = scene.leaves
    with scene.breaks(first, second), scene.failing(first, is_down=True), scene.failing(second, resets=True):
        for leaf in (first, second):
            wait_until(lambda leaf=leaf: link(leaf)["state"] != "up", "the link is down", 30)
        keep_going(0.5)
    with scene.breaks_all_links(), scene.stopped(scene.upstream):
        for leaf in scene.leaves:
            wait_until(lambda leaf=leaf: link(leaf)["state"] != "up", "the link is down", 30)
    with scene.breaks_all_links():
        scene.kill_clients("pubsub")
    let_output_limit_close_link(scene, third)
    figures = truth.finish(kept_are_whole=True)
    assert figures["marked"] > 0 and figures["refused"] > 0
    assert all(int(link(leaf)["history_resets"]) == 1 for leaf in scene.leaves)
    assert sum(int(link(leaf)["history_filled"]) for leaf in scene.leaves) > 0


def test_what_an_engine_has_trimmed_is_counted(scene):
    truth = scene.begin(QUICK, "engine", ("--channel", "kept.*", "history-size", 5, "history-ttl", 3600))
    one = scene.leaves[0]
    with scene.breaks(one), scene.failing(one, is_down=True):
        wait_until(lambda: link(one)["state"] != "up", "the link is down", 30)
        keep_going(0.5)
    truth.finish(recent=0)
    listener = truth.at[one][-1]
    missing, in_doubt = truth.missing(listener)
    assert 20 < missing <= listener.counted <= missing + in_doubt
    assert listener.begin == 0


@pytest.mark.parametrize("keeps", [False, True], ids=["empty", "append-only"])
def test_an_engine_that_restarts(scene, folder, keeps):
    """Nothing of kept channels is missing if the engine has written all to its disk; otherwise history begins anew."""
    (folder / "engine").mkdir()
    options = ("--dir", folder / "engine", "--appendonly", "yes", "--appendfsync", "always") if keeps else ()
    truth = scene.begin(PATIENT, "engine", options=options)
    for _ in range(2):
        with scene.breaks_all_links():
            scene.restart_upstream()
    figures = truth.finish(kept_are_whole=keeps)
    # With its data, nothing is published before all nodes are linked again.
    assert keeps or figures["marked"] > 0
    for leaf in scene.leaves:
        resets = int(link(leaf)["history_resets"])
        assert resets == 1 if keeps else resets > 1
    assert keeps or all(listener.begin > 0 for listener in truth.of_kept)


# Everything, at random


@pytest.mark.parametrize("upstream", ["redis", "fanfared", "engine"])
def test_everything_arrives_or_is_marked_while_the_network_fails(scene, upstream):
    """With a fanfared as upstream, and at an engine, everything arrives that is kept."""
    truth = scene.begin(QUICK, upstream)
    rand = scene.random

    def mess():
        with contextlib.ExitStack() as faults:
            for node in rand.sample([scene.upstream, *scene.leaves], 2):
                chosen = {name: value * rand.uniform(0, 2) for name, value in MESS.items()}
                faults.enter_context(scene.failing(node, **chosen))
            keep_going(rand.uniform(0.5, 3))

    def network(**faults):
        node = rand.choice([scene.upstream, *scene.leaves])
        with scene.failing(node, ways=rand.choice([("up",), ("down",), ("up", "down")]), **faults):
            keep_going(rand.uniform(0.1, 4 * QUICK))

    def stop(nodes):
        with scene.stopped(rand.choice(nodes)):
            keep_going(rand.uniform(0.1, 5 * QUICK))

    def kill_one():
        with scene.upstream.connect() as admin:
            victims = [client["id"] for client in admin.client_list() if client["name"] == "fanfare-link"]
            for victim in victims[:1]:
                admin.call("CLIENT", "KILL", "ID", victim)

    faults = {"mess": mess, "link down": lambda: network(is_down=True), "resets": lambda: network(resets=True),
              "upstream stopped": lambda: stop([scene.upstream]), "leaf stopped": lambda: stop(scene.leaves),
              "restart": scene.restart_upstream, "kill pubsub": lambda: scene.kill_clients("pubsub"),
              "kill normal": lambda: scene.kill_clients("normal"), "kill one": kill_one}
    if upstream != "redis":
        del faults["restart"]
    end = time.monotonic() + SOAK_S
    chosen = []
    while time.monotonic() < end:
        name = rand.choice(list(faults))
        chosen.append(name)
        faults[name]()
        if rand.random() < 0.5:  # else another one while links are made again
            truth.wait_for_links(60)
            truth.flow(60)
    print(", ".join(f"{name} {chosen.count(name)}" for name in faults))
    figures = truth.finish(kept_are_whole=upstream != "redis")
    assert figures["delivered"] > 300
