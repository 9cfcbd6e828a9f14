"""Nodes whose cluster is none: servers that name masters which there are not, redirect to themselves, or change their minds."""

import itertools

import pytest

from lib.daemon import free_port
from lib.false_master import FalseMaster, bulk, slots_reply
from lib.nodes import Reader, link, wait_for_error, wait_for_state
from lib.resp import Error
from lib.wait import wait_until


@pytest.fixture
def start_node(start_fanfared):
    def start(*masters, state="up", options=()):
        urls = " ".join(f"redis://127.0.0.1:{master.port}" for master in masters)
        node = start_fanfared("--upstream", urls, "--upstream-mode", "cluster", *options)
        wait_for_state(node, state)
        return node
    return start


def test_what_looks_like_a_cluster_is_one(start_node):
    with FalseMaster() as master:
        node = start_node(master)
        reader = Reader(node, 3, ("SUBSCRIBE", "a"))
        with node.connect() as client:
            assert client.call("PUBLISH", "a", "x") == 1
        reader.read_until(lambda got: got["a"])


@pytest.mark.parametrize("reply, why", [
    (b"+OK\r\n", "the reply to CLUSTER SLOTS is not a list of slots"),
    (b"*0\r\n", "the node of the cluster knows no master that serves slots"),
    (slots_reply((5, 4, "127.0.0.1", 7000)), "CLUSTER SLOTS has an item that is not a range of slots"),
    (slots_reply((0, 16383, "evil\r\nhost", 7000)), "CLUSTER SLOTS has a master without host and port"),
    (slots_reply(*((i, i, "127.0.0.1", 7000 + i) for i in range(257))), "CLUSTER SLOTS names more than 256 masters"),
    (b"-NOPERM no\r\n", "the upstream refuses CLUSTER SLOTS: NOPERM no"),
    (b"%x\r\n", "the upstream does not speak RESP"),
])
def test_nonsense_is_refused_and_the_next_seed_is_asked(start_node, reply, why):
    with FalseMaster(cluster_slots=lambda *_: reply) as liar, FalseMaster() as master:
        node = start_node(liar, master)
        assert why in link(node)["last_error"]


def test_a_seed_that_names_masters_that_are_not_there_is_passed_over(start_node):
    gone = free_port()
    with FalseMaster(cluster_slots=lambda *_: slots_reply((0, 16383, "127.0.0.1", gone))) as liar, FalseMaster() as master:
        node = start_node(liar, master)
        assert link(node)["shards"] == "1"


def redirection(kind="MOVED"):
    return lambda master, words, names: None if b"__fanfare__" in words[1] else b"-%s 0 127.0.0.1:%d\r\n" % (kind.encode(), master.port)


@pytest.mark.parametrize("kind", ["MOVED", "ASK"])
def test_a_master_that_redirects_messages_to_itself_has_them_refused(start_node, kind):
    with FalseMaster(spublish=redirection(kind)) as master:
        node = start_node(master)
        with node.connect() as client:
            for _ in range(200):
                client.command("PUBLISH", "a", "x")
            for _ in range(200):
                assert client.read_value() == Error(b"CLUSTERDOWN The cluster redirects messages of this channel in circles")
        figures = link(node)
        assert (figures["state"], figures["connections"], figures["sent"], figures["refused"]) == ("up", "1", "200", "200")
        assert master.count["cluster_slots"] < 100


def test_nobody_waits_for_ever_for_a_subscription_that_is_redirected(start_node):
    with FalseMaster(ssubscribe=redirection()) as master:
        node = start_node(master)
        reader = Reader(node, 3, ("SUBSCRIBE", "a"))
        del master.replies["ssubscribe"]
        wait_until(lambda: link(node)["waiting_names"] == "0", "the name is subscribed to")
        with node.connect() as client:
            client.call("PUBLISH", "a", "x")
        reader.read_until(lambda got: got["a"])


def test_a_master_that_unsubscribes_at_once_does_not_keep_the_node_busy_or_a_client_waiting(start_node):
    def confirm_and_leave(master, words, names):
        if b"__fanfare__" in words[1]:
            return None
        return b"".join(b">3\r\n%s%s:0\r\n" % (bulk(verb), bulk(words[1])) for verb in ("ssubscribe", "sunsubscribe"))

    with FalseMaster(ssubscribe=confirm_and_leave) as master:
        node = start_node(master)
        with node.client(3) as client:
            client.command("SUBSCRIBE", "a")
            wait_until(lambda: master.count["ssubscribe"] > 3, "the name was asked for again")
            assert client.read_value() == [b"subscribe", b"a", 1]
        assert master.count["ssubscribe"] < 100


def test_maps_that_change_each_time_take_no_more_than_some_memory(start_node):
    ports = itertools.cycle(range(1, 60000))

    def many(master, *_):
        return slots_reply((0, 0, "127.0.0.1", master.port), *((i, i, "127.0.0.1", next(ports)) for i in range(1, 256)))

    with FalseMaster(cluster_slots=many) as master:
        node = start_node(master, state="partial", options=("--upstream-probe", "1"))
        wait_until(lambda: master.count["cluster_slots"] > 8, "maps were taken", 20)
        figures = link(node)
        assert 256 <= int(figures["shards"]) <= 512
        assert sum(name.startswith("shard") for name in figures) <= 514
        del master.replies["cluster_slots"]
        wait_for_state(node)
        wait_until(lambda: link(node)["shards"] == "1", "the others are closed")
