"""Nodes at a cluster whose slots move, whose masters change, and whose links break: each message is delivered once and in order,
or refused to its publisher, or behind a notice. FANFARE_CLUSTER_SEED gives the order of the faults, FANFARE_CLUSTER_SECONDS their
time, and FANFARE_CLUSTER_FAULTS which ones there are: "usual", the default, "moves", with which all readers get all messages in the same
order, or "rough". With that, masters end and stop, too: rarely, what an old master still accepts then is missing or late."""

import os
import random
import time

from lib.cluster_chaos import Faults, Publisher, Subscriber, check_same_order
from lib.nodes import link, wait_for_state
from lib.redis_cluster import RedisCluster, slot_of
from lib.wait import wait_until

SEED = int(os.environ.get("FANFARE_CLUSTER_SEED", "1"))
SECONDS = float(os.environ.get("FANFARE_CLUSTER_SECONDS", "5"))
FAULTS = os.environ.get("FANFARE_CLUSTER_FAULTS", "usual")
CHANNELS = [f"c{n}" for n in range(24)]


def faults_of(kind, faults):
    slots = [slot_of(channel) for channel in CHANNELS]
    kinds = [lambda: faults.move(slots)] * 6 + [faults.kill_links, faults.sleep]
    if kind != "moves":
        kinds.append(faults.fail_over)
    if kind == "rough":
        kinds += [faults.stop, faults.crash]
    return kinds


def finish(nodes, readers):
    """Until each reader has the last message of each channel."""
    for node in nodes:
        wait_for_state(node, within=30)
        wait_until(lambda: link(node)["waiting_names"] == "0", "all names are subscribed to", 30)
    with nodes[0].connect() as client:
        def ask_to_end():
            for channel in CHANNELS:
                client.call("PUBLISH", channel, "end")
            return not any(reader.is_alive() for reader in readers)

        wait_until(ask_to_end, "the end of the readers", 30)


def test_faults_of_a_cluster(start_fanfared, start_redis):
    rand = random.Random(SEED)
    cluster = RedisCluster(start_redis, replicas=True, options=(
        "--enable-debug-command", "yes", "--cluster-require-full-coverage", rand.choice(("yes", "no"))))
    nodes = [start_fanfared("--upstream", cluster.urls(*cluster.nodes), "--upstream-mode", "cluster", "--ignore-redis-files", "yes",
                            "--upstream-probe", rand.choice((1, 2)), "--upstream-linger", rand.choice((0, 5))) for _ in range(3)]
    for node in nodes:
        wait_for_state(node)
    readers = [Subscriber(node, CHANNELS[at:at + 3], kind) for node in nodes[:2] for at in range(0, len(CHANNELS), 3)
               for kind in ("SUBSCRIBE", "SSUBSCRIBE")]
    readers += [Subscriber(node, CHANNELS, "PSUBSCRIBE") for node in nodes[1:]]  # the last one has nothing else
    publishers = [Publisher(nodes[i], f"p{i}", rand.sample(CHANNELS, 16), random.Random(rand.random())) for i in range(3)]
    for publisher in publishers:
        publisher.start()
    faults = Faults(cluster, rand)
    kinds = faults_of(FAULTS, faults)
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            rand.choice(kinds)()
            time.sleep(rand.choice((0, 0.05, 0.3)))
        for publisher in publishers:
            publisher.stop()
            print(publisher.name, sum(publisher.sent.values()), dict(publisher.errors))
        faults.settle()
        finish(nodes, readers)
        for reader in readers:
            assert reader.failure is None, reader.failure
            print("behind notices:", reader.check(publishers))
        for one in readers if FAULTS == "moves" else ():
            for two in readers:
                for channel in set(one.events) & set(two.events):
                    check_same_order(channel, one, two)
    finally:
        print(*faults.log, sep="\n")
        print(*(link(node) for node in nodes if node.is_running()), sep="\n")
