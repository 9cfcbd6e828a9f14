"""Patterns at nodes of a Redis Cluster: who gets copies, what is told when some may be missing, and strangers."""

import itertools
import pathlib
import random
import shutil
import tempfile

import pytest

from lib.daemon import Redis, free_port
from lib.nodes import Reader, lagged_within, link, names_at, wait_for_state
from lib.nodes_edge import Page
from lib.redis_cluster import RedisCluster, slot_of
from lib.resp import Error
from lib.wait import wait_until
from conftest import starter_of
from test_nodes_cluster import ClusterNodes, Stream

PROBE = 2
GLOBS = "fanfare:globs"


@pytest.fixture(scope="module")
def cluster():
    """One for all tests: what they change there they change back."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fft-"))
    for start in starter_of(Redis, folder):
        yield RedisCluster(start, options=("--cluster-require-full-coverage", "no"), timeout_ms=2000)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes(start_fanfared, cluster):
    made = ClusterNodes(start_fanfared, cluster)
    made.start = lambda *options: start_fanfared(*options, "--upstream-probe", PROBE)
    return made


@pytest.fixture
def unique():
    """Names that no other test uses: nodes that have ended may be known for a while."""
    prefix = f"t{next(COUNTER)}"
    return lambda name: f"{prefix}:{name}"


COUNTER = itertools.count()


def known(node):
    return int(link(node)["pattern_nodes"])


def copies(node):
    return int(link(node)["pattern_copies_sent"])


def notified(node, *patterns):
    client = node.client(3)
    client.ok("OUTBOX", "SET", "NOTIFY", "yes")
    for pattern in patterns:
        client.subscribe(pattern, kind="PSUBSCRIBE")
    return client


def payloads(client, last):
    """What comes up to this message, and None for notices."""
    got = []
    while not got or got[-1] != last:
        frame = client.read_value()
        if frame[0] == b"lagged":
            assert frame[1] == -1
            got.append(None)
        else:
            assert frame[0] == b"pmessage"
            got.append(frame[3])
    return got


def test_a_pattern_gets_what_all_nodes_publish_in_the_order_of_each_channel(nodes, unique):
    one, two = nodes.node(), nodes.node()
    pattern = unique("a*")
    readers = [Reader(one, version, ("PSUBSCRIBE", pattern)) for version in (2, 3)]
    channels = [unique(f"a{i}") for i in range(20)]
    with one.connect() as a, two.connect() as b:
        for n in range(20):
            for channel in channels:
                assert a.call("PUBLISH", channel, f"a{n}") == 2
                assert b.call("SPUBLISH", channel, f"b{n}") == 0
    expected = [f"{who}{n}".encode() for n in range(20) for who in "ab"]
    for reader in readers:
        reader.read_until(lambda got: len(got[pattern]) == 800)
        for channel in channels:
            assert [payload for name, payload in reader.got[pattern] if name == channel] == expected


def test_nodes_get_nothing_that_no_pattern_matches(nodes, unique):
    one, two, three = (nodes.node("--upstream-probe", 3600) for _ in range(3))
    reader = Reader(one, 3, ("PSUBSCRIBE", unique("a*")))
    before = {node: int(link(node)["input_bytes"]) for node in (one, three)}
    with two.connect() as client:
        for n in range(200):
            client.call("PUBLISH", unique(f"b{n}"), "x" * 1000)
            client.call("PUBLISH", unique(f"a{n}"), "x" * 1000)
    reader.read_until(lambda got: len(got[unique("a*")]) == 200)
    assert int(link(three)["input_bytes"]) - before[three] < 500
    assert 200_000 < int(link(one)["input_bytes"]) - before[one] < 250_000
    assert copies(two) == 200
    assert link(one)["received"] == "200"
    assert link(three)["received"] == "0"


def test_nothing_is_lost_after_the_confirmation(nodes, unique):
    made = [nodes.node() for _ in range(3)]
    seed = random.randrange(1 << 32)
    print("seed", seed)
    choice = random.Random(seed)
    publishers = {node: node.connect() for node in made}
    for n in range(60):
        reader_at, publisher = choice.choice(made), publishers[choice.choice(made)]
        name = unique(f"{choice.randrange(1000)}:{n}")
        pattern = choice.choice((name[:-1] + "?", name + "*", "*" + name))
        both = choice.random() < 0.3
        reader = Reader(reader_at, 3, *([("SUBSCRIBE", name)] if both else []), ("PSUBSCRIBE", pattern))
        for i in range(3):
            publisher.call("PUBLISH", name, i)
        reader.read_until(lambda got: len(got[pattern]) == 3 and len(got[name]) == 3 * both)
        assert [payload for _, payload in reader.got[pattern]] == [b"0", b"1", b"2"]
        if choice.random() < 0.7:
            reader.client.close()
    for client in publishers.values():
        client.close()


def test_a_channel_and_patterns_get_a_message_once_each(nodes, unique):
    one, two = nodes.node(), nodes.node()
    name = unique("x")
    three = Reader(one, 3, ("SUBSCRIBE", name), ("PSUBSCRIBE", unique("*")), ("PSUBSCRIBE", unique("x*")), ("SSUBSCRIBE", name))
    once = one.client(3)
    once.ok("OUTBOX", "SET", "DEDUP", "yes")
    once.subscribe(name)
    once.subscribe(unique("*"), kind="PSUBSCRIBE")
    other = Reader(one, 2, ("PSUBSCRIBE", unique("?")))
    with two.connect() as client:
        for n in range(50):
            client.call("PUBLISH", name, "same")
        client.call("PUBLISH", name, "end")
    other.read_until(lambda got: got[unique("?")][-1:] == [(name, b"end")])
    assert len(other.got[unique("?")]) == 51
    three.read_until(lambda got: got[unique("x*")][-1:] == got[unique("*")][-1:] == [(name, b"end")] and len(got[name]) == 102)
    three.rest()
    assert [len(three.got[key]) for key in (name, unique("*"), unique("x*"))] == [102, 51, 51]
    for n in range(51):
        frame = once.read_value()
        assert frame == [b"message", name.encode(), b"end" if n == 50 else b"same"]


def test_a_pattern_of_a_transaction_is_told_what_it_may_miss(nodes, unique):
    one, two = nodes.node(), nodes.node()
    client = notified(one)
    client.ok("MULTI")
    client.call("PSUBSCRIBE", unique("*"))
    client.call("EXEC")
    with two.connect() as publisher:
        wait_until(lambda: is_heard(publisher, client, unique("x")), "the pattern is in force", 20)
    first = client.got.index(b"ping")
    assert None in client.got[:first]


def test_the_lease_of_a_node_that_was_killed_ends(nodes, unique):
    one, two = nodes.node(), nodes.node()
    client = notified(one, unique("*"))
    with two.connect() as publisher:
        publisher.call("PUBLISH", unique("x"), "1")
        assert payloads(client, b"1") == [b"1"]
        assert known(two) >= 1
        one.kill()
        before = copies(two)
        publisher.call("PUBLISH", unique("x"), "2")
        assert copies(two) == before + 1
        wait_until(lambda: known(two) == 0, "the lease has ended", 4 * PROBE + 5)
        publisher.call("PUBLISH", unique("x"), "3")
        assert copies(two) == before + 1


def test_copies_end_with_the_last_subscriber(nodes, cluster, unique):
    one, two = nodes.node("--upstream-linger", 0), nodes.node()
    client = notified(one, unique("*"))
    wait_until(lambda: known(two) == 1, "the pattern is known", 4 * PROBE + 5)
    client.call("PUNSUBSCRIBE")
    wait_until(lambda: known(two) == 0, "the pattern is gone", 30)
    wait_until(lambda: not any(name.startswith("fanfare:feed:") for name in names_at(cluster.masters[0], kind="SHARDCHANNELS")),
               "the feed is left", 30)


def test_more_patterns_than_are_told_one_by_one(nodes, unique):
    one, two = nodes.node(), nodes.node()
    reader = Reader(one, 3)
    names = [unique(f"user:{n}:x") for n in range(600)]
    patterns = [name[:-1] + "*" for name in names]
    reader.client.subscribe(*patterns, kind="PSUBSCRIBE")
    with two.connect() as client:
        for name in names:
            client.call("PUBLISH", name, "1")
        client.call("PUBLISH", "other", "1")
    reader.read_until(lambda got: sum(map(len, got.values())) == 600)
    assert all(reader.got[pattern] == [(name, b"1")] for pattern, name in zip(patterns, names))
    assert copies(two) == 600


def test_a_slot_moves_while_a_pattern_is_used(nodes, cluster, unique):
    one, two = nodes.node(), nodes.node()
    channel, still = unique("moves"), unique("stays")
    clients = {name: notified(two, name + "*") for name in (channel, still)}
    target = cluster.owner(slot_of(channel))
    with Stream(one, channel, still) as stream:
        for master in itertools.islice(itertools.cycle(cluster.masters), 4):
            before = stream.sent[channel]
            cluster.move(slot_of(channel), master)
            wait_until(lambda: stream.sent[channel] > before + 100, "the stream goes on", 30)
    cluster.move(slot_of(channel), target)
    assert stream.errors == []
    wait_until(lambda: "fanfare:feed:" in " ".join(names_at(target, kind="SHARDCHANNELS")), "the feed is back", 20)
    with one.connect() as publisher:
        wait_until(lambda: is_heard(publisher, clients[channel], channel), "the pattern gets messages again", 20)
        publisher.call("PUBLISH", still, "end")
    missing, expected, has_mark = 0, 0, False
    for payload in clients[channel].got:
        if payload is None or not payload.isdigit():
            has_mark = has_mark or payload is None
            continue
        assert int(payload) >= expected, "each once, in order"
        assert int(payload) == expected or has_mark, "nothing is missing without a notice"
        missing += int(payload) - expected
        expected, has_mark = int(payload) + 1, False
    got = [payload for payload in payloads(clients[still], b"end") if payload is not None]
    assert got == [str(n).encode() for n in range(stream.sent[still])] + [b"end"]
    assert link(one)["connections"] == link(two)["connections"] == "3"


def is_heard(publisher, client, channel):
    """Publishes, and reads what has come into client.got."""
    publisher.call("PUBLISH", channel, "ping")
    client.got = getattr(client, "got", [])
    client.command("PING", "rest")
    while True:
        frame = client.read_value()
        if frame == b"rest":
            return b"ping" in client.got
        if frame[0] in (b"lagged", b"pmessage"):
            client.got.append(None if frame[0] == b"lagged" else frame[3])


def shard_of(cluster, channel):
    return cluster.owner(slot_of(channel))


def test_a_link_that_was_lost_is_told_and_made_good(nodes, cluster, unique):
    one, two = nodes.node(), nodes.node()
    client = notified(one, unique("*"))
    shard = shard_of(cluster, unique("x"))
    with cluster.connect(shard) as admin:
        for other in admin.client_list():
            if other["name"] == "fanfare-link":
                admin.call("CLIENT", "KILL", "ID", other["id"])
    lagged_within(client)
    for node in (one, two):
        wait_for_state(node)
    with two.connect() as publisher:
        wait_until(lambda: is_heard(publisher, client, unique("x")), "the pattern gets messages again", 20)


def test_who_could_not_know_a_pattern_says_so(nodes, cluster, unique):
    """The link of a publisher to the shard of the announcements is down, and those to others are not."""
    shard = shard_of(cluster, GLOBS)
    channel = next(name for name in (unique(n) for n in range(1000)) if shard_of(cluster, name) is not shard)
    for master in cluster.masters:
        cluster.call(master, "ACL", "SETUSER", "far", "on", ">secret", "&*", "+@all")
    one, two = nodes.node(), nodes.node(urls=cluster.urls(login="far:secret@"))
    first = notified(one, unique("none"))
    with two.connect() as publisher, cluster.connect(shard) as admin:
        admin.call("ACL", "SETUSER", "far", "off")
        admin.call("CLIENT", "KILL", "USER", "far")
        wait_for_state(two, "partial")
        second = notified(one, unique("*"))
        assert publisher.call("PUBLISH", channel, "lost") == 0
        admin.call("ACL", "SETUSER", "far", "on")
        wait_for_state(two)
        lagged_within(second)
        lagged_within(first)
        publisher.call("PUBLISH", channel, "end")
    got = payloads(second, b"end")
    assert [payload for payload in got if payload is not None] == [b"end"]


def test_a_node_without_rights_to_the_announcements_has_no_patterns(nodes, cluster, unique):
    for master in cluster.masters:
        cluster.call(master, "ACL", "SETUSER", "few", "on", ">secret", "resetchannels", f"&{unique('')}*", "&__fanfare__:probe:*", "+@all")
    node = nodes.node(urls=cluster.urls(login="few:secret@"))
    reader = Reader(node, 3, ("SUBSCRIBE", unique("x")))
    with node.connect() as client:
        assert client.call("PSUBSCRIBE", unique("*")) == Error(
            b"NOPERM the upstream does not let this node subscribe to one of the channels or patterns")
        assert client.call("PUBLISH", unique("x"), "1") == 1
    reader.read_until(lambda got: got[unique("x")] == [(unique("x"), b"1")])


def test_what_strangers_publish_is_left_out(nodes, cluster, unique):
    one, two = nodes.node(), nodes.node()
    client = notified(one, unique("*"))
    name = unique("x")
    shard = shard_of(cluster, name)
    feed = next(feed for feed in names_at(shard, kind="SHARDCHANNELS")
                if feed.startswith("fanfare:feed:") and slot_of(feed) == slot_of(name))
    inbox = next(inbox for inbox in names_at(shard_of(cluster, GLOBS), kind="SHARDCHANNELS") if inbox.startswith(GLOBS + ":"))
    garbage = ["", "x", "fanfare-globs 1 ", "fanfare-globs 1 set a 1 2 1 1 999 ", "fanfare-globs 1 set a 1 0 0 1 1 99999:a", "\x00" * 5000]
    for text in garbage:
        cluster.call(shard_of(cluster, GLOBS), "SPUBLISH", GLOBS, text)
        cluster.call(shard_of(cluster, GLOBS), "SPUBLISH", inbox, text)
        cluster.call(shard, "SPUBLISH", feed, text)
    cluster.call(shard, "SPUBLISH", feed, f"{len(unique('other'))}:{unique('other')}forged")  # of another slot
    with two.connect() as publisher:
        publisher.call("PUBLISH", name, "end")
    assert [payload for payload in payloads(client, b"end") if payload is not None] == [b"end"]
    assert int(link(one)["pattern_strangers"]) >= 2 * len(garbage)
    assert link(one)["connections"] == "3"


def test_patterns_do_not_go_on_at_a_position(nodes, unique):
    node = nodes.node("--channel", "*", "history-size", 100, "history-ttl", 600)
    name = unique("x")
    reader = Reader(node, 3, ("SUBSCRIBE", name))
    other = Reader(node, 3, ("PSUBSCRIBE", unique("*")))
    with node.connect() as client:
        position = client.call("HISTORY", "POSITION")
        client.call("PUBLISH", name, "1")
        client.call("PUBLISH", unique("y"), "2")
        reader.read_until(lambda got: len(got[name]) == 1)
        other.read_until(lambda got: len(got[unique("*")]) == 2)
        assert client.call("PRESUME", unique("*"), position)[0][1] == b"lost"
        assert client.call("RESUME", name, position)[0][1] == b"resumed"


def test_key_events_are_those_of_the_node(nodes, unique):
    one, two = nodes.node("--notify-keyspace-events", "KA"), nodes.node("--notify-keyspace-events", "KA")
    reader = Reader(one, 3, ("PSUBSCRIBE", "__keyspace@0__:*"))
    with one.connect() as a, two.connect() as b:
        b.ok("SET", unique("b"), 1)
        a.ok("SET", unique("a"), 1)
    reader.read_until(lambda got: len(got["__keyspace@0__:*"]) == 1)
    reader.rest()
    assert reader.got["__keyspace@0__:*"] == [("__keyspace@0__:" + unique("a"), b"set")]


def test_a_page_follows_a_pattern(nodes, unique):
    port = free_port()
    one, two = nodes.node("--http-port", port, "--edge-anonymous", "yes", "--user", *"edge on nopass resetchannels &* +@all".split()), nodes.node()
    one.http_port = port
    with Page(patterns=[unique("*")]) as page, two.connect() as publisher:
        page.connect(one)
        for n in range(3):
            publisher.call("PUBLISH", unique(f"c{n}"), n)
        page.read(3)
        assert sorted(page.got) == [(unique(f"c{n}"), n) for n in range(3)]


def test_a_master_that_was_killed_and_comes_back(nodes, cluster, unique):
    """The last test, because the cluster is not whole for a while."""
    one, two = nodes.node(), nodes.node()
    client = notified(one, unique("*"))
    shard = shard_of(cluster, GLOBS)
    port = shard.port
    shard.kill()
    lagged_within(client)
    wait_for_state(two, "partial")
    still = next(name for name in (unique(n) for n in range(1000))
                 if any(first <= slot_of(name) <= last and node[1] != port
                        for first, last, node, *_ in cluster.call(next(m for m in cluster.masters if m is not shard), "CLUSTER", "SLOTS")))
    with two.connect() as publisher:
        publisher.call("PUBLISH", still, "meanwhile")
        client.got = payloads(client, b"meanwhile")
        shard.start(port)
        for node in (one, two):
            wait_for_state(node, within=30)
        wait_until(lambda: is_heard(publisher, client, unique("x")), "the pattern gets messages again", 20)
