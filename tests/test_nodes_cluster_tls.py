"""Nodes at a Redis Cluster over TLS, whose nodes speak TLS with each other, too."""

import re

import pytest

from lib.nodes import Reader, link, wait_for_error, wait_for_state
from lib.redis_cluster import RedisCluster
from lib.resp import Error
from lib.wait import wait_until

RIGHTS = "+hello +ping +spublish +ssubscribe +sunsubscribe +cluster|info +cluster|slots"


@pytest.fixture
def start_cluster(start_tls_redis, certificates):
    """start_cluster(names): a cluster whose masters have these certificates."""
    def start(*names):
        names = iter(names)
        return RedisCluster(
            lambda *options: start_tls_redis(*options, certificate=next(names)), options=(
                "--tls-cluster", "yes", "--tls-auth-clients", "yes", "--cluster-require-full-coverage", "no",
                "--tls-client-cert-file", certificates.cert("alice"), "--tls-client-key-file", certificates.key("alice")))
    return start


def urls(cluster, login=""):
    return " ".join(f"rediss://{login}localhost:{master.tls_port}" for master in cluster.masters)


@pytest.fixture
def start_node(start_fanfared, certificates):
    def start(cluster, login="", ca=certificates.ca, name="alice", waits=True, more=()):
        pair = ("--upstream-tls-cert-file", certificates.cert(name), "--upstream-tls-key-file", certificates.key(name)) if name else ()
        node = start_fanfared("--upstream", urls(cluster, login), "--upstream-mode", "cluster", "--upstream-tls-ca-cert-file", ca,
                              *pair, *more)
        if waits:
            wait_for_state(node)
        return node
    return start


def test_nodes_speak_tls_with_each_master(start_cluster, start_node, certificates):
    cluster = start_cluster(*["server"] * 3)
    for master in cluster.masters:
        assert cluster.call(master, "ACL", "SETUSER", "edge", "on", ">s3cret", "resetchannels", "&orders.*", "&__fanfare__:probe:*",
                            *RIGHTS.split()) == b"OK"
    one, two = (start_node(cluster, "edge:s3cret@", more=("--upstream-linger", "0")) for _ in range(2))
    channels = [cluster.channel_at(master, prefix="orders.") for master in cluster.masters]
    reader = Reader(two, 3, *(("SUBSCRIBE", channel) for channel in channels))
    with one.connect() as client:
        for n in range(10):
            for channel in channels:
                assert client.call("PUBLISH", channel, n) == 0
        assert "NOPERM" in str(client.call("PUBLISH", "other", "x"))
    reader.read_until(lambda got: sum(map(len, got.values())) == 30)
    assert all([payload for _, payload in reader.got[channel]] == [b"%d" % n for n in range(10)] for channel in channels)
    reader.client.close()
    wait_until(lambda: link(two)["names"] == "0", "the names were left", 20)
    for node in (one, two):
        assert (link(node)["state"], link(node)["connections"], link(node)["shards_up"]) == ("up", "3", "3")
        ports = {int(value.split("=")[1].partition(",")[0].rpartition(":")[2])
                 for name, value in link(node).items() if re.fullmatch(r"shard\d+", name)}
        assert ports == {master.tls_port for master in cluster.masters}

    for options, why in (
            (dict(login="edge:wrong@"), "WRONGPASS"),
            (dict(login="edge:s3cret@", ca=certificates.other / "ca.pem"), "TLS handshake with localhost:\\d+: self-signed certificate in certificate chain"),
            (dict(login="edge:s3cret@", name=None), "certificate required"),
            (dict(login="edge:s3cret@", more=("--upstream-tls-name", "wrong.example.org")), "TLS handshake with localhost:\\d+: hostname mismatch")):
        node = start_node(cluster, waits=False, **options)
        wait_until(lambda node=node, why=why: re.search(why, link(node)["last_error"]), f"link_last_error {why}", 20)
        assert link(node)["state"] == "seeking"


def test_a_master_with_a_wrong_certificate_is_refused_alone(start_cluster, start_node, certificates):
    cluster = start_cluster("server", "server", "elsewhere")
    node = start_node(cluster, waits=False)
    wait_for_state(node, "partial")
    wait_for_error(node, f"TLS handshake with 127.0.0.1:{cluster.masters[2].tls_port}: IP address mismatch")
    good, bad = (cluster.channel_at(master) for master in cluster.masters[1:])
    reader = Reader(node, 3, ("SUBSCRIBE", good))
    with node.connect() as client:
        assert client.call("PUBLISH", good, "x") == 1
        assert client.call("PUBLISH", bad, "x") == Error(b"CLUSTERDOWN The link to the upstream is down")
    reader.read_until(lambda got: got[good])
    assert f"the link to 127.0.0.1:{cluster.masters[2].tls_port} of the cluster is down" in node.log()
