"""Streams: random commands beside redis-server, restarts, upgrades, clients that wait, and what client libraries send."""

import random
import threading

import pytest
import redis

from lib.daemon import Redis
from lib.lineage import lineages_of
from lib.resp import Error, encode, error
from lib.wait import wait_until
from test_blocking import Waiter, is_blocked, control, server  # noqa: F401  (fixtures)

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
GONE = error("NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option")
WRONG = error("WRONGTYPE Operation against a key holding the wrong kind of value")
COMMANDS = 1500


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


class Commands:
    """Seeded commands on three streams, whose ids are small, so that they meet. None of them depends on the time."""

    TEMPLATES = """
        XADD k new f v|XADD k new f v|XADD k new f v g w|XADD k new h v|XADD k id f v|XADD k new f v|XADD k new g v f w
        XADD k MAXLEN most new f v|XADD k MAXLEN ~ most new f v|XADD k MINID id new f v|XADD k MINID ~ id new f v
        XADD k NOMKSTREAM new f v|XDEL k id|XDEL k id id|XTRIM k MAXLEN most|XTRIM k MAXLEN ~ most LIMIT most|XTRIM k MINID id
        XTRIM k MINID ~ id|XSETID k new|XSETID k id ENTRIESADDED most|XSETID k new MAXDELETEDID id|XLEN k|XRANGE k id id
        XRANGE k - + COUNT most|XREVRANGE k + - COUNT most|XREVRANGE k id (id|XREAD COUNT most STREAMS k k id id|XINFO STREAM k
        XGROUP CREATE k group id|XGROUP CREATE k group $ MKSTREAM|XGROUP CREATE k group 0 ENTRIESREAD most|XGROUP SETID k group id
        XGROUP SETID k group id ENTRIESREAD most|XGROUP DESTROY k group|XGROUP CREATECONSUMER k group c|XGROUP DELCONSUMER k group c
        XREADGROUP GROUP group c COUNT most STREAMS k >|XREADGROUP GROUP group c COUNT most STREAMS k k > >
        XREADGROUP GROUP group c STREAMS k >|XREADGROUP GROUP group c NOACK COUNT most STREAMS k >
        XREADGROUP GROUP group c COUNT most STREAMS k id|XREADGROUP GROUP group c COUNT most STREAMS k >|XACK k group id id id
        XACK k group id|XPENDING k group|XPENDING k group IDLE 1000000 - + 10|XCLAIM k group c 0 id id id|XCLAIM k group c 0 id FORCE
        XCLAIM k group c 0 id id RETRYCOUNT most|XCLAIM k group c 0 id id JUSTID|XCLAIM k group c 0 id LASTID id FORCE JUSTID
        XCLAIM k group c 1000000 id|XAUTOCLAIM k group c 0 id COUNT 3|XAUTOCLAIM k group c 0 - COUNT most JUSTID
        XAUTOCLAIM k group c 1000000 - COUNT 2|DEL k|COPY k k REPLACE|RENAME k k|SET k v|TYPE k
    """

    def __init__(self, seed):
        self.source = random.Random(seed)
        self.templates = [part.split() for line in self.TEMPLATES.strip().splitlines() for part in line.strip().split("|")]
        self.rare = [words for words in self.templates if words[0] in ("DEL", "SET", "RENAME", "COPY", "XSETID")]
        self.top = 0

    def word(self, word):
        source = self.source
        if word == "new":
            self.top += source.randrange(3)
            return f"1-{self.top}"
        return {"k": lambda: source.choice("abc"), "group": lambda: source.choice("gh"), "c": lambda: source.choice("xyz"),
                "id": lambda: f"1-{max(0, self.top - source.randrange(40))}", "(id": lambda: f"(1-{source.randrange(1 + self.top)}",
                "most": lambda: source.choice((0, 1, 2, 5, 20)), "v": lambda: "v" * source.choice((0, 1, 3, 30)),
                }.get(word, lambda: word)()

    def __iter__(self):
        for _ in range(COMMANDS):
            words = self.source.choice(self.templates)
            if words in self.rare and self.source.random() < 0.8:
                continue
            yield [self.word(word) for word in words]


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def both(start_fanfared, start_redis, version):
    """A client of each of the two servers, with small blocks, and one that asks in RESP2."""
    for start in (start_fanfared, start_redis):
        daemon = start()
        client = daemon.client(version)
        client.ok("CONFIG", "SET", "stream-node-max-entries", 5)
        yield client, daemon.client()


def seen(client, key):
    """What XINFO STREAM FULL says of a stream, without the times at which consumers were seen."""
    info = client.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    if isinstance(info, Error):
        return info
    info = pairs(info)
    groups = []
    for group in map(pairs, info.pop(b"groups")):
        consumers = [pairs(consumer) for consumer in group.pop(b"consumers")]
        for consumer in consumers:
            del consumer[b"seen-time"]
            consumer.pop(b"active-time", None)
        groups.append((group, consumers))
    return info, groups


def comparable(state):
    """Without what only one of the two servers has, and the times of deliveries."""
    if isinstance(state, Error):
        return state
    info, groups = state
    info = {name: value for name, value in info.items() if not name.startswith(b"radix")}
    return info, [({**group, b"pending": [[*entry[:2], entry[3]] for entry in group[b"pending"]]},
                   [(one[b"name"], [[entry[0], entry[2]] for entry in one[b"pending"]])
                    for one in consumers if one[b"pending"]])
                  for group, consumers in groups]


def without_consumers(words, reply):
    """Redis 7.2 creates a consumer also if it gets nothing, 7.0 does not: what counts them is left out."""
    return None if words[:2] in (["XGROUP", "CREATECONSUMER"], ["COPY"]) else reply


@pytest.mark.parametrize("seed, version", [(0, 2), (1, 3), (2, 2)])
def test_random_commands_have_the_same_replies(start_redis, start_fanfared, seed, version):
    ours, theirs = both(start_fanfared, start_redis, version)
    for number, words in enumerate(Commands(seed)):
        if words[0] == "XINFO":
            assert comparable(seen(ours[1], words[2])) == comparable(seen(theirs[1], words[2])), (number, words)
            continue
        replies = []
        for client, _ in (ours, theirs):
            client.send(encode(*words))
            replies.append(without_consumers(words, client.read_raw()))
        assert replies[0] == replies[1], (number, words)


def states(client):
    return {key: (client.call("TYPE", key), seen(client, key)) for key in ("a", "b", "c")}


@pytest.mark.parametrize("seed", range(2))
def test_streams_are_the_same_after_kill_9(start_fanfared, folder, seed):
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    for number, words in enumerate(Commands(100 + seed)):
        if words[0] == "XREADGROUP" and words[-1] != ">":
            continue  # it counts deliveries, which is not logged
        client.call(*words)
        if number == COMMANDS // 3 and seed == 1:
            assert b"started" in client.call("BGREWRITEAOF")
    before = states(client)
    assert any(kind == b"stream" and state[1] for kind, state in before.values())
    daemon.kill()
    daemon.start()
    assert states(daemon.client()) == before


def whole(client):
    return [client.call("XINFO", "STREAM", key, "FULL", "COUNT", 0) for key in ("a", "b", "c", "empty")]


def fill(client, seed):
    for words in Commands(seed):
        client.call(*words)
    client.ok("XGROUP", "CREATE", "empty", "g", "$", "MKSTREAM")
    client.call("XGROUP", "CREATECONSUMER", "empty", "g", "never active")
    client.call("DEL", "a")
    client.call("XADD", "a", "9-9", "f", "v", "g", b"\0\r\n" * 1000)
    client.call("XGROUP", "CREATE", "a", "g", "0")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", ">")
    client.call("XDEL", "a", "9-9")  # its pending entry stays


@pytest.mark.parametrize("how", ["rewrite", "snapshot"])
def test_a_rewrite_and_a_snapshot_keep_all_of_a_stream(start_fanfared, folder, how):
    options = ALWAYS if how == "rewrite" else ("--save", "3600 1")
    daemon = start_fanfared(*options)
    client = daemon.client()
    fill(client, 7)
    before = whole(client)
    client.call("BGREWRITEAOF" if how == "rewrite" else "BGSAVE")
    name = "aof_rewrite_in_progress" if how == "rewrite" else "rdb_bgsave_in_progress"
    wait_until(lambda: client.info("persistence")[name] == "0", how)
    daemon.kill()
    daemon.start()
    assert whole(daemon.client()) == before


def test_an_upgrade_passes_streams_on(start_lineage, folder):
    lineage = start_lineage()
    client = lineage.daemon.client()
    fill(client, 8)
    before = whole(client)
    lineage.upgrade()
    assert whole(lineage.daemon.client()) == before


# Clients that wait

def test_xread_waits_for_an_entry_behind_the_last_one(server, control):  # noqa: F811
    control.call("XADD", "s", "1-1", "f", "old")
    waiter = Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "s", "t", "$", "$")
    if server.name != Redis.name:  # 7.0 answers with no entries
        control.call("XADD", "s", "MAXLEN", 0, "1-2", "f", "trimmed")
        assert waiter.still_waits(control)
    control.call("XADD", "s", "1-3", "f", "new")
    assert waiter.answer() == [[b"s", [[b"1-3", [b"f", b"new"]]]]]


def test_xread_in_resp3_is_answered_with_a_map(server, control):  # noqa: F811
    waiter = Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "s", "$", version=3)
    control.call("XADD", "s", "1-3", "f", "new")
    assert waiter.answer() == {b"s": [[b"1-3", [b"f", b"new"]]]}


def test_every_waiting_xread_gets_the_entry(server, control):  # noqa: F811
    waiters = [Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "s", "$") for _ in range(3)]
    control.call("XADD", "s", "1-1", "f", "v")
    assert [waiter.answer() for waiter in waiters] == [[[b"s", [[b"1-1", [b"f", b"v"]]]]]] * 3


def test_the_group_serves_the_consumer_that_waited_longest(server, control):  # noqa: F811
    control.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    first, second = (Waiter(server, control, "XREADGROUP", "GROUP", "g", name, "COUNT", 1, "BLOCK", 0, "STREAMS", "s", ">")
                     for name in ("one", "two"))
    control.call("XADD", "s", "1-1", "f", "a")
    assert first.answer() == [[b"s", [[b"1-1", [b"f", b"a"]]]]]
    assert second.still_waits(control)
    control.call("XADD", "s", "1-2", "f", "b")
    assert second.answer() == [[b"s", [[b"1-2", [b"f", b"b"]]]]]
    assert control.call("XPENDING", "s", "g") == [2, b"1-1", b"1-2", [[b"one", b"1"], [b"two", b"1"]]]


def test_a_transaction_serves_waiting_consumers_at_its_end(server, control):  # noqa: F811
    control.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiter = Waiter(server, control, "XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", "s", ">")
    control.ok("MULTI")
    control.call("XADD", "s", "1-1", "f", "a")
    control.call("XADD", "s", "1-2", "f", "b")
    control.call("EXEC")
    assert waiter.answer() == [[b"s", [[b"1-1", [b"f", b"a"]], [b"1-2", [b"f", b"b"]]]]]


def test_a_wait_ends_in_time_or_by_client_unblock(server, control):  # noqa: F811
    control.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiters = [Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "s", "$"),
               Waiter(server, control, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")]
    assert [control.call("CLIENT", "UNBLOCK", waiter.id) for waiter in waiters] == [1, 1]
    assert [waiter.answer() for waiter in waiters] == [None, None]
    waiter = Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    control.call("CLIENT", "UNBLOCK", waiter.id, "ERROR")
    assert waiter.answer() == error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    assert control.call("XREAD", "BLOCK", 20, "STREAMS", "s", "$") is None
    assert control.call("XREADGROUP", "GROUP", "g", "c", "BLOCK", 20, "STREAMS", "s", ">") is None


def cpu_of_entries(daemon, control, count):  # noqa: F811
    before = daemon.cpu_seconds()
    for n in range(count):
        control.call("XADD", "s", "*", "f", "v")
    return daemon.cpu_seconds() - before


@pytest.mark.parametrize("kind", ["one stream", "many streams", "options", "limited user"])
def test_an_entry_costs_the_same_whatever_else_clients_wait_for(start_fanfared, kind):
    daemon = start_fanfared()
    control = daemon.client()  # noqa: F811
    control.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~s*", "~t*")
    cpu_of_entries(daemon, control, 500)
    alone = cpu_of_entries(daemon, control, 1000)
    names = ["s"] * 100000 if kind == "one stream" else ["s", *(f"t{n}" for n in range(100000))]
    words = ["XREAD", "BLOCK", 0, "STREAMS", *names, *["9999999999999-0"] * len(names)]
    if kind == "options":
        words = ["XREAD", *["COUNT", 1] * 100000, "BLOCK", 0, "STREAMS", "s", "9999999999999-0"]
    waiters = []
    for _ in range(3):
        connection = daemon.client()
        if kind == "limited user":
            connection.ok("AUTH", "u", "any")
        waiters.append(connection)
        connection.command(*words)
        wait_until(lambda: int(control.info("clients")["blocked_clients"]) == len(waiters), "it waits")
    assert cpu_of_entries(daemon, control, 1000) < 3 * alone + 0.2
    control.call("XADD", "s", "9999999999999-1", "f", "v")
    assert [waiter.read_value() for waiter in waiters] == [[[b"s", [[b"9999999999999-1", [b"f", b"v"]]]]]] * 3


def test_a_stream_that_is_named_twice_is_served_once(server, control):  # noqa: F811
    control.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiters = [Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "t", "s", "t", "s", "$", "$", "$", "$"),
               Waiter(server, control, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", "s", ">", ">")]
    control.call("XADD", "s", "1-1", "f", "v")
    assert [waiter.answer() for waiter in waiters] == [[[b"s", [[b"1-1", [b"f", b"v"]]]]]] * 2


def test_a_client_that_may_no_longer_read_is_told_when_it_is_woken(server, control):  # noqa: F811
    control.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~s", "~t")
    waiter = server.client()
    waiter.ok("AUTH", "u", "any")
    waiter.command("XREAD", "BLOCK", 0, "STREAMS", "s", "t", "$", "$")
    wait_until(lambda: int(control.info("clients")["blocked_clients"]) == 1, "it waits")
    control.call("ACL", "SETUSER", "u", "resetkeys", "~s")
    if server.name != Redis.name:  # 7.0 does not check again
        control.call("XADD", "s", "1-1", "f", "v")
        assert isinstance(waiter.read_value(), Error)


def test_a_timeout_at_the_limit_does_not_end_a_wait(start_fanfared):
    daemon = start_fanfared()
    client = daemon.client()
    begun = int(client.call("TIME")[0])
    most = 2**63 - 1 - (begun + 4) * 1000
    waiters = [Waiter(daemon, client, "XREAD", "BLOCK", most, "STREAMS", "s", "$"),
               Waiter(daemon, client, "BLPOP", "l", most // 1000)]
    wait_until(lambda: int(client.call("TIME")[0]) > begun + 4, "such a timeout is too long")
    client.call("XADD", "s", "1-1", "f", "v")
    client.call("RPUSH", "l", "x")
    assert [waiter.answer() for waiter in waiters] == [[[b"s", [[b"1-1", [b"f", b"v"]]]]], [b"l", b"x"]]


# As Redis 7.2; 7.0 answers some of them in another way.
@pytest.mark.parametrize("words, answer", [
    (["XGROUP", "DESTROY", "s", "g"], GONE), (["DEL", "s"], GONE), (["UNLINK", "s"], GONE), (["FLUSHDB"], GONE),
    (["FLUSHALL"], GONE), (["RENAME", "s", "t"], GONE), (["MOVE", "s", 1], GONE), (["SWAPDB", 0, 1], GONE),
    (["PEXPIRE", "s", -1], GONE), (["PEXPIRE", "s", 1], GONE), (["SET", "s", "v"], WRONG), (["RENAME", "list", "s"], WRONG),
    (["COPY", "list", "s", "REPLACE"], WRONG), (["SORT", "list", "ALPHA", "STORE", "s"], WRONG)],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else None)
def test_a_consumer_does_not_wait_without_its_group(start_fanfared, words, answer):
    daemon = start_fanfared()
    client = daemon.client()
    client.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    client.call("RPUSH", "list", "x")
    waiter = Waiter(daemon, client, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    client.call(*words)
    assert waiter.answer() == answer


def test_xread_waits_on_without_its_stream(server, control):  # noqa: F811
    control.call("XADD", "s", "1-1", "f", "v")
    waiter = Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    for words in (["DEL", "s"], ["SET", "s", "v"], ["DEL", "s"], ["RPUSH", "s", "v"], ["FLUSHALL"]):
        control.call(*words)
        assert waiter.still_waits(control)
    control.call("XADD", "s", "1-2", "f", "v")
    assert waiter.answer() == [[b"s", [[b"1-2", [b"f", b"v"]]]]]


def test_a_renamed_or_copied_stream_wakes_those_that_wait_for_the_name(server, control):  # noqa: F811
    control.call("XADD", "s", "1-1", "f", "v")
    waiter = Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "t", "0")
    control.ok("RENAME", "s", "t")
    assert waiter.answer() == [[b"t", [[b"1-1", [b"f", b"v"]]]]]
    waiter = Waiter(server, control, "XREAD", "BLOCK", 0, "STREAMS", "u", "0")
    control.call("COPY", "t", "u")
    assert waiter.answer() == [[b"u", [[b"1-1", [b"f", b"v"]]]]]


def test_a_consumer_that_waits_is_on_disk(start_fanfared, folder):
    daemon = start_fanfared(*ALWAYS)
    control = daemon.client()  # noqa: F811
    control.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiter = Waiter(daemon, control, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    control.ok("SET", "other", 1)
    daemon.kill()
    daemon.start()
    control = daemon.client()  # noqa: F811
    assert control.call("XGROUP", "CREATECONSUMER", "s", "g", "c") == 0
    waiter = Waiter(daemon, control, "XREADGROUP", "GROUP", "g", "d", "BLOCK", 0, "STREAMS", "s", ">")
    control.call("XADD", "s", "1-1", "f", "v")
    assert waiter.answer() == [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    before = seen(control, "s")
    daemon.kill()
    daemon.start()
    assert seen(daemon.client(), "s") == before


# Times of consumers

def test_a_consumer_is_seen_when_it_tries_and_active_when_it_gets_something(start_fanfared):
    client = start_fanfared().client(3)
    client.ok("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    (consumer,) = client.call("XINFO", "CONSUMERS", "s", "g")
    assert consumer[b"inactive"] == -1 and 0 <= consumer[b"idle"] < 10000
    client.call("XADD", "s", "1-1", "f", "v")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    (consumer,) = client.call("XINFO", "CONSUMERS", "s", "g")
    assert 0 <= consumer[b"inactive"] < 10000
    client.call("XAUTOCLAIM", "s", "g", "d", 100000, 0)
    client.call("XCLAIM", "s", "g", "e", 100000, "1-1")
    assert [(one[b"name"], one[b"inactive"]) for one in client.call("XINFO", "CONSUMERS", "s", "g")][1:] == \
        [(b"d", -1), (b"e", -1)]
    full = client.call("XINFO", "STREAM", "s", "FULL")[b"groups"][0][b"consumers"]
    assert list(full[0]) == [b"name", b"seen-time", b"active-time", b"pel-count", b"pending"]
    assert full[0][b"active-time"] == full[0][b"seen-time"] > 10**12 and full[1][b"active-time"] == -1


def consumers_of(client):
    return [pairs(consumer) for consumer in pairs(pairs(client.call("XINFO", "STREAM", "s", "FULL"))[b"groups"][0])[b"consumers"]]


@pytest.mark.parametrize("options", [["IDLE", 100000], ["TIME", 1000], ["TIME", 2**62], []], ids=str)
def test_the_times_of_consumers_are_the_same_after_kill_9(start_fanfared, folder, options):
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    client.ok("XGROUP", "CREATE", "s", "g", 0, "MKSTREAM")
    client.call("XADD", "s", "1-1", "f", "v")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    assert client.call("XCLAIM", "s", "g", "d", 0, "1-1", *options)
    client.call("MULTI")
    client.call("XCLAIM", "s", "g", "e", 0, "1-1", *options)
    client.call("EXEC")
    before = consumers_of(client)
    assert all(one[b"active-time"] == one[b"seen-time"] > 10**12 for one in before)
    daemon.kill()
    daemon.start()
    assert consumers_of(daemon.client()) == before


def test_a_read_of_pending_entries_is_not_logged(start_fanfared, folder):
    daemon = start_fanfared(*ALWAYS)
    client = daemon.client()
    client.ok("XGROUP", "CREATE", "s", "g", 0, "MKSTREAM")
    client.call("XADD", "s", "1-1", "f", "v")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    size, active = client.info("persistence")["aof_current_size"], consumers_of(client)[0][b"active-time"]
    for _ in range(3):
        assert client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", 0)
    assert client.info("persistence")["aof_current_size"] == size
    assert client.call("XPENDING", "s", "g", "-", "+", 1)[0][3] == 4
    daemon.kill()
    daemon.start()
    assert consumers_of(daemon.client())[0][b"active-time"] == active


def test_deliveries_are_counted_from_what_a_claim_set(server, control):  # noqa: F811
    control.ok("XGROUP", "CREATE", "s", "g", 0, "MKSTREAM")
    for n in range(5):
        control.call("XADD", "s", f"1-{n + 1}", "f", "v")
    control.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 4, "STREAMS", "s", ">")
    control.call("XCLAIM", "s", "g", "c", 0, "1-1", "1-2", "1-3", "1-4", "RETRYCOUNT", 0)
    control.call("XCLAIM", "s", "g", "c", 0, "1-1")
    control.call("XCLAIM", "s", "g", "c", 0, "1-2", "JUSTID")
    control.call("XAUTOCLAIM", "s", "g", "d", 0, "1-3", "COUNT", 1)
    control.call("XAUTOCLAIM", "s", "g", "d", 0, "1-4", "COUNT", 1, "JUSTID")
    control.call("XCLAIM", "s", "g", "d", 0, "1-5", "FORCE")
    assert [entry[3] for entry in control.call("XPENDING", "s", "g", "-", "+", 9)] == [1, 0, 1, 0, 2]


def test_the_lag_of_a_group_counts_what_is_deleted_before_the_first_entry(server, control):  # noqa: F811
    for n in range(4):
        control.call("XADD", "s", f"1-{n + 1}", "f", "v")
    control.ok("XGROUP", "CREATE", "s", "g", 0)
    control.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">")

    def lag():
        return pairs(control.call("XINFO", "GROUPS", "s")[0])[b"lag"]

    control.call("XDEL", "s", "1-3")
    assert lag() is None
    control.call("XTRIM", "s", "MAXLEN", 1)
    assert lag() == 3


# Notifications

def test_changes_of_streams_are_published(start_redis, start_fanfared):
    heard = []
    for daemon in (start_redis(), start_fanfared()):
        client, subscriber = daemon.client(), daemon.client()
        client.ok("CONFIG", "SET", "notify-keyspace-events", "Et")
        subscriber.subscribe("__keyevent@0__:*", kind="PSUBSCRIBE")
        for words in (["XADD", "s", "1-1", "f", "v"], ["XADD", "s", "MAXLEN", 1, "1-2", "f", "v"], ["XTRIM", "s", "MAXLEN", 1],
                      ["XTRIM", "s", "MAXLEN", 0], ["XADD", "s", "1-3", "f", "v"], ["XDEL", "s", "1-3", "1-4"],
                      ["XDEL", "s", "1-3"], ["XSETID", "s", "2-1"], ["XGROUP", "CREATE", "s", "g", 0],
                      ["XGROUP", "SETID", "s", "g", 0], ["XGROUP", "CREATECONSUMER", "s", "g", "c"],
                      ["XGROUP", "CREATECONSUMER", "s", "g", "c"], ["XADD", "s", "2-2", "f", "v"],
                      ["XREADGROUP", "GROUP", "g", "d", "STREAMS", "s", ">"], ["XACK", "s", "g", "2-2"],
                      ["XCLAIM", "s", "g", "e", 0, "2-2", "FORCE"], ["XAUTOCLAIM", "s", "g", "f", 0, 0],
                      ["XGROUP", "DELCONSUMER", "s", "g", "c"], ["XGROUP", "DESTROY", "s", "g"], ["XADD", "end", "*", "f", "v"]):
            assert not isinstance(client.call(*words), Error), words
        events = []
        while not events or events[-1][1] != b"end":
            message = subscriber.read_value()
            events.append((message[2], message[3]))
        heard.append(events)
    assert heard[0] == heard[1]


def test_watch_sees_what_it_sees_in_redis(start_redis, start_fanfared):
    results = []
    for daemon in (start_redis(), start_fanfared()):
        client, other = daemon.client(), daemon.client()
        other.call("XADD", "s", "1-1", "f", "v")
        results.append([])
        for words in (["XGROUP", "CREATE", "s", "g", 0], ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"],
                      ["XACK", "s", "g", "1-1"], ["XCLAIM", "s", "g", "c", 0, "1-1", "FORCE"], ["XSETID", "s", "2-2"],
                      ["XADD", "s", "2-3", "f", "v"], ["XTRIM", "s", "MAXLEN", 1], ["XDEL", "s", "2-3"],
                      ["XGROUP", "DESTROY", "s", "g"]):
            client.ok("WATCH", "s")
            other.call(*words)
            client.ok("MULTI")
            client.call("PING")
            results[-1].append((words[:2], client.call("EXEC")))
    assert results[0] == results[1]


# As client libraries use them

def test_workers_of_a_queue_lose_no_job(start_fanfared):
    """As Symfony Messenger: a group of workers, an acknowledged job is deleted, a stale one is claimed by another worker."""
    daemon = start_fanfared()
    jobs, done = 200, []

    def work(name):
        client = redis.Redis(port=daemon.port, decode_responses=True)
        while len(done) < jobs:
            claimed = client.xautoclaim("jobs", "workers", name, 50, "0", count=1)[1]
            read = client.xreadgroup("workers", name, {"jobs": ">"}, count=1, block=20)
            for identity, fields in claimed + (read[0][1] if read else []):
                if int(fields["number"]) % 10 == 0 and not claimed:
                    continue  # this worker fails
                done.append(int(fields["number"]))
                client.xack("jobs", "workers", identity)
                client.xdel("jobs", identity)

    client = redis.Redis(port=daemon.port, decode_responses=True)
    client.xgroup_create("jobs", "workers", "0", mkstream=True)
    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for number in range(jobs):
        client.xadd("jobs", {"number": number, "body": "x" * 50}, maxlen=1000, approximate=True)
    for thread in threads:
        thread.join(60)
    assert sorted(set(done)) == list(range(jobs))
    assert client.xlen("jobs") == 0
    assert client.xpending("jobs", "workers")["pending"] == 0


def test_an_adapter_that_reads_on_misses_nothing(start_fanfared):
    """As the streams adapter of socket.io: each server reads the whole stream, from where it was."""
    daemon = start_fanfared()
    client = redis.Redis(port=daemon.port, decode_responses=True)
    got = [[], []]

    def follow(mine):
        reader, last = redis.Redis(port=daemon.port, decode_responses=True), "0-0"
        while len(mine) < 300:
            for _, entries in reader.xread({"socket.io": last}, count=100, block=200):
                for last, fields in entries:
                    mine.append(int(fields["nsp"]))

    threads = [threading.Thread(target=follow, args=(mine,)) for mine in got]
    for thread in threads:
        thread.start()
    for number in range(300):
        client.xadd("socket.io", {"uid": "a", "nsp": number, "type": 3}, maxlen=10000, approximate=True)
    for thread in threads:
        thread.join(60)
    assert got == [list(range(300))] * 2


def test_redis_py_reads_what_xinfo_says(start_fanfared):
    client = redis.Redis(port=start_fanfared().port, decode_responses=True)
    identity = client.xadd("s", {"a": 1})
    client.xgroup_create("s", "g", "0")
    assert client.xreadgroup("g", "c", {"s": ">"}) == [["s", [(identity, {"a": "1"})]]]
    assert client.xinfo_stream("s")["first-entry"] == (identity, {"a": "1"})
    assert client.xinfo_stream("s", full=True)["groups"][0]["pel-count"] == 1
    assert client.xinfo_groups("s")[0]["lag"] == 0
    assert client.xinfo_consumers("s", "g")[0]["pending"] == 1
    assert client.xpending_range("s", "g", "-", "+", 10)[0]["times_delivered"] == 1
    assert client.xclaim("s", "g", "d", 0, [identity]) == [(identity, {"a": "1"})]
    assert client.xautoclaim("s", "g", "e", 0, justid=True) == [identity]
    assert client.xrange("s") == client.xrevrange("s") == [(identity, {"a": "1"})]
    assert client.xtrim("s", maxlen=0) == 1


# Access, memory

def test_a_user_reads_only_the_streams_of_its_keys(start_fanfared):
    client = start_fanfared().client()
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@stream", "~mine*")
    assert client.call("ACL", "DRYRUN", "u", "XREAD", "STREAMS", "mine1", "mine2", "0", "0") == b"OK"
    assert b"permissions" in client.call("ACL", "DRYRUN", "u", "XREAD", "STREAMS", "mine1", "other", "0", "0")
    assert b"permissions" in client.call("ACL", "DRYRUN", "u", "XREADGROUP", "GROUP", "mine", "mine", "STREAMS", "other", ">")
    assert client.call("ACL", "DRYRUN", "u", "XREADGROUP", "GROUP", "streams", "other", "STREAMS", "mine", ">") == b"OK"
    assert b"permissions" in client.call("ACL", "DRYRUN", "u", "XGROUP", "CREATE", "other", "g", "0")
    assert b"permissions" in client.call("ACL", "DRYRUN", "u", "GET", "mine")


# Each has a word STREAMS that is no option before the one that is.
@pytest.mark.parametrize("words", [
    "NOACK NOACK NOACK GROUP STREAMS x STREAMS secret >", "COUNT 1 GROUP x STREAMS STREAMS secret >",
    "COUNT 1 GROUP STREAMS x STREAMS secret >", "GROUP x x GROUP STREAMS x STREAMS secret >",
    "NOACK BLOCK 1 GROUP STREAMS STREAMS STREAMS secret >"])
def test_no_name_of_a_group_hides_the_keys_of_a_read(start_fanfared, words):
    client = start_fanfared().client()
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~x", "~STREAMS", "~>")
    client.call("XADD", "secret", "1-1", "f", "v")
    for group in ("x", "STREAMS"):
        client.ok("XGROUP", "CREATE", "secret", group, 0)
        client.call("XGROUP", "CREATE", "STREAMS", group, 0, "MKSTREAM")
    assert client.call("XREADGROUP", *words.split()) == [[b"secret", [[b"1-1", [b"f", b"v"]]]]]  # it may read all keys
    assert client.call("XREADGROUP", *words.split()) is None
    client.call("XADD", "secret", "2-1", "f", "v")
    assert client.call("XREADGROUP", "GROUP", "STREAMS", "STREAMS", "STREAMS", "STREAMS", ">") is None
    assert client.call("XREADGROUP", "COUNT", 1, "NOACK", "GROUP", "x", "x", "STREAMS", "secret", ">")
    client.ok("AUTH", "u", "any")
    assert "NOPERM the keys cannot be checked" in str(client.call("XREADGROUP", *words.split()))
    assert "NOPERM" in str(client.call("XREADGROUP", "GROUP", "x", "x", "STREAMS", "secret", ">"))


@pytest.mark.parametrize("rule", ["~x", "%W~*"])
def test_a_waiting_client_that_may_not_read_all_keys_any_more_reads_none(start_fanfared, rule):
    """Its group has such a name that the keys that the rules see are others than those that it reads."""
    server = start_fanfared()
    client, waiting = server.client(), server.client()
    client.ok("XGROUP", "CREATE", "secret", "STREAMS", 0, "MKSTREAM")
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*")
    waiting.ok("AUTH", "u", "any")
    waiting.command("XREADGROUP", "COUNT", 1, "GROUP", "STREAMS", "c", "BLOCK", 0, "STREAMS", "secret", ">")
    wait_until(lambda: client.info("clients")["blocked_clients"] == "1", "it waits")
    client.ok("ACL", "SETUSER", "u", "resetkeys", "~BLOCK", "~STREAMS", "~0", "~c", rule)
    client.call("XADD", "secret", "1-1", "f", "v")
    assert "NOPERM" in str(waiting.read_value())


def test_memory_is_known_and_freed(start_fanfared):
    client = start_fanfared().client()
    empty = int(client.info("memory")["used_memory_dataset"]) if "used_memory_dataset" in client.info("memory") else None
    client.ok("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    for start in range(0, 20000, 100):
        client.send(b"".join(encode("XADD", "s", f"1-{n + 1}", "field", "v" * 100) for n in range(start, start + 100)))
        for _ in range(100):
            client.read_value()
    assert 2_000_000 < client.call("MEMORY", "USAGE", "s") < 2_600_000
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    assert client.call("MEMORY", "USAGE", "s") > 3_000_000
    client.call("XGROUP", "DESTROY", "s", "g")
    client.call("DEL", "s")
    wait_until(lambda: client.info("memory")["lazyfree_pending_objects"] == "0", "the end of freeing")
    assert empty is None or int(client.info("memory")["used_memory_dataset"]) < empty + 1_000_000
