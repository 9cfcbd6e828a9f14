"""Patterns at nodes of a Redis Cluster."""

import pytest

from lib.nodes import Reader, link
from lib.redis_cluster import RedisCluster
from test_nodes_cluster import ClusterNodes


@pytest.fixture
def cluster(start_redis):
    return RedisCluster(start_redis)


@pytest.fixture
def nodes(start_fanfared, cluster):
    return ClusterNodes(start_fanfared, cluster)


def test_a_pattern_gets_what_other_nodes_publish(nodes):
    one, two, three = nodes.node(), nodes.node(), nodes.node()
    reader = Reader(one, 3, ("PSUBSCRIBE", "a*"))
    before = int(link(three)["input_bytes"])
    with two.connect() as a, one.connect() as b:
        for n in range(300):
            a.call("PUBLISH", f"a{n % 7}", n)
            a.call("PUBLISH", f"b{n % 7}", n)
            b.call("PUBLISH", f"a{n % 7}", f"own{n}")
    reader.read_until(lambda got: len(got["a*"]) == 600)
    for n in range(7):
        assert [p for c, p in reader.got["a*"] if c == f"a{n}"] == [
            v for i in range(n, 300, 7) for v in (str(i).encode(), f"own{i}".encode())]
    assert int(link(three)["input_bytes"]) - before < 200
    print(link(one))
