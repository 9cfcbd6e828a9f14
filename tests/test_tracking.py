"""Client-side caching: CLIENT TRACKING tells what redis-server tells, and is bounded where redis-server is not."""

import random
import shutil
import subprocess

import pytest

from lib.lineage import lineages_of
from lib.resp import Closed, Error, Push, encode
from lib.wait import seconds, wait_until

ALL = None  # all keys may have changed
CHANNEL = b"__redis__:invalidate"


class Cacher:
    """A connection: its replies, and apart from them the keys that it was told of."""

    def __init__(self, daemon, version=3):
        self.connection = daemon.client(version)
        self.id = self.connection.call("CLIENT", "ID")
        self.version = version
        self.told = []

    def read(self):
        """The next reply; what it is told before is kept."""
        while True:
            value = self.connection.read_value()
            if isinstance(value, Push) and value[0] == b"invalidate":
                self.note(value[1])
            elif isinstance(value, list) and value[:2] == [b"message", CHANNEL]:
                self.note(value[2])
            elif isinstance(value, Push):
                self.told.append(value[0])
            else:
                return value

    def note(self, keys):
        self.told.extend([ALL] if keys is None else keys)

    def call(self, *words):
        self.connection.command(*words)
        return self.read()

    def ok(self, *words):
        assert self.call(*words) == b"OK", words

    def take(self):
        """What it was told since the last call, sorted. Its reply to PING is behind all that was queued before."""
        reply = self.call("PING", "mark")
        assert reply in (b"mark", [b"pong", b"mark"]), reply
        told, self.told = self.told, []
        return sorted(told, key=str)


def test_redis_cli_can_switch_it_on(server):
    if not shutil.which("redis-cli"):
        pytest.skip("redis-cli is missing")
    done = subprocess.run(["redis-cli", "-3", "-p", str(server.port), "client", "tracking", "on", "optin"],
                          capture_output=True, timeout=seconds(20), check=False)
    assert done.stdout == b"OK\n"


def test_rueidis_connects_and_caches(fanfared):
    """What this Go client sends on every connect, and for each cached read, in one write each."""
    reader, writer = fanfared.connect(), fanfared.connect()
    reader.send(encode("HELLO", "3") + encode("CLIENT", "TRACKING", "ON", "OPTIN") +
                encode("CLIENT", "SETINFO", "LIB-NAME", "rueidis") + encode("CLIENT", "SETINFO", "LIB-VER", "1.0.0"))
    assert reader.read_value()[b"proto"] == 3
    assert [reader.read_value() for _ in range(3)] == [b"OK"] * 3
    writer.ok("SET", "k", "old")
    reader.send(b"".join(encode(*words) for words in (
        ("CLIENT", "CACHING", "YES"), ("MULTI",), ("PTTL", "k"), ("GET", "k"), ("EXEC",))))
    assert [reader.read_value() for _ in range(5)] == [b"OK", b"OK", b"QUEUED", b"QUEUED", [-1, b"old"]]
    writer.ok("SET", "k", "new")
    assert reader.read_value() == Push([b"invalidate", [b"k"]])


ORDERS = {
    "own write": ["HELLO 3", "CLIENT TRACKING ON", "GET k", "SET k 1", "PING"],
    "own writes in a transaction": [
        "HELLO 3", "CLIENT TRACKING ON", "MGET k l", "MULTI", "SET k 1", "SET l 1", "PING", "EXEC", "PING"],
    "own flush in a transaction": [
        "HELLO 3", "CLIENT TRACKING ON", "GET k", "MULTI", "FLUSHALL", "PING", "EXEC", "PING"],
    "own expired key": ["HELLO 3", "CLIENT TRACKING ON", "SET k 1 PXAT 1", "GET k", "PING"],
    "without replies": ["HELLO 3", "CLIENT TRACKING ON", "GET k", "CLIENT REPLY OFF", "SET k 1", "CLIENT REPLY ON"],
    "refused write": ["HELLO 3", "CLIENT TRACKING ON", "SET k 1", "LLEN k", "LPUSH k 1", "DEL k", "PING"],
    "reset": ["HELLO 3", "CLIENT TRACKING ON BCAST NOLOOP", "RESET", "CLIENT TRACKINGINFO", "HELLO 3", "SET k 1", "PING"],
    "RESP2": ["CLIENT TRACKING ON", "GET k", "SET k 1", "CLIENT TRACKINGINFO", "HELLO 3", "GET k", "SET k 2", "PING"],
    "RESP3 and back": ["HELLO 3", "CLIENT TRACKING ON", "GET k", "HELLO 2", "SET k 1", "PING"],
}


def without_server(raw):
    """The reply of HELLO names the server: only its protocol is compared."""
    return raw if b"$5\r\nproto\r\n" not in raw else raw[raw.index(b"$5\r\nproto\r\n"):][:15]


ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")  # replies are held until the disk has the change


def answers(daemon, lines):
    """The bytes of each value, up to a last reply, behind which nothing may come."""
    with daemon.connect() as client:
        client.ok("FLUSHALL")
        client.send(b"".join(encode(*line.split(" ")) for line in lines) + encode("ECHO", "end"))
        values = []
        while not values or values[-1] != b"$3\r\nend\r\n":
            values.append(without_server(client.read_raw()))
        return values


@pytest.mark.parametrize("options", [(), ALWAYS], ids=["memory", "disk"])
def test_the_order_of_bytes_is_that_of_redis(start_redis, start_fanfared, options):
    redis, fanfared = start_redis(), start_fanfared(*options)
    for name, lines in ORDERS.items():
        assert answers(fanfared, lines) == answers(redis, lines), name


class Model:
    """Random commands of several clients, sent to both servers."""

    KEYS = [f"{letter}{number}" for letter in "ab" for number in range(4)]
    OPTIONS = [(), ("OPTIN",), ("OPTOUT",), ("NOLOOP",), ("OPTIN", "NOLOOP"), ("BCAST",), ("BCAST", "NOLOOP"),
               ("BCAST", "PREFIX", "a"), ("BCAST", "PREFIX", "b", "PREFIX", "a1"), ("BCAST", "PREFIX", "a1"),
               ("OPTIN", "OPTOUT"), ("PREFIX", "x"), ("BCAST", "OPTIN")]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def key(self):
        return self.random.choice(self.KEYS)

    def write(self):
        key, other = self.key(), self.key()
        return self.random.choice([
            ("SET", key, "1"), ("SET", key, "2", "NX"), ("MSET", key, "1", other, "2"), ("DEL", key, other),
            ("UNLINK", key), ("RENAME", key, other), ("COPY", key, other), ("COPY", key, other, "REPLACE"),
            ("EXPIRE", key, "100"), ("PERSIST", key), ("APPEND", key, "x"), ("INCR", key), ("GETDEL", key),
            ("GETSET", key, "5"), ("GETEX", key, "EX", "100"), ("LPUSH", key, "x"), ("RPOP", key), ("SADD", key, "m"),
            ("SREM", key, "m"), ("HSET", key, "f", "v"), ("ZADD", key, "1", "m"), ("SUNIONSTORE", key, other),
            ("SORT", key, "STORE", other), ("SETRANGE", key, "1", "x"), ("MOVE", key, "1"), ("EXPIRE", key, "-1"),
            ("LMOVE", key, other, "LEFT", "LEFT"), ("SETBIT", key, "1", "1"), ("BLPOP", key, other, "0.001")])

    def read(self):
        key, other = self.key(), self.key()
        return self.random.choice([
            ("GET", key), ("MGET", key, other), ("EXISTS", key, other), ("STRLEN", key), ("TYPE", key), ("TTL", key),
            ("LRANGE", key, "0", "-1"), ("SUNION", key, other), ("SINTERCARD", "2", key, other), ("HGETALL", key),
            ("ZRANGE", key, "0", "-1"), ("ZUNION", "2", key, other), ("TOUCH", key), ("GETRANGE", key, "0", "1"),
            ("OBJECT", "ENCODING", key), ("SORT_RO", key), ("BITCOUNT", key), ("SINTERCARD", "x", key), ("DBSIZE",),
            ("RANDOMKEY",), ("SCARD", key), ("MEMORY", "USAGE", key)])

    def command(self):
        roll = self.random.random()
        if roll < 0.40:
            return self.read()
        if roll < 0.75:
            return self.write()
        if roll < 0.85:
            return ("CLIENT", "TRACKING", "ON", *self.random.choice(self.OPTIONS), *self.random.choice(
                [(), (), (), ("REDIRECT", "listener"), ("REDIRECT", "123456789")]))
        return self.random.choice([
            ("CLIENT", "TRACKING", "OFF"), ("CLIENT", "CACHING", "YES"), ("CLIENT", "CACHING", "YES"),
            ("CLIENT", "CACHING", "NO"), ("CLIENT", "TRACKINGINFO"), ("CLIENT", "GETREDIR"), ("FLUSHALL",), ("FLUSHDB",),
            ("SWAPDB", "0", "1"), ("SELECT", "0"), ("SELECT", "1"), ("NOSUCH",), ("GET",),
            ("HELLO", "3"), ("RESET",)])

    def commands(self):
        """One command, or a transaction."""
        if self.random.random() < 0.85:
            return [self.command()]
        inner = [self.random.choice((self.read, self.write))() for _ in range(self.random.randrange(1, 4))]
        if self.random.random() < 0.3:
            inner.insert(0, ("CLIENT", "CACHING", "YES"))
        return [("MULTI",), *inner, ("EXEC",)]


# Their replies depend on the server, or on chance.
UNCOMPARED = {"HELLO", "MEMORY", "RANDOMKEY", "OBJECT"}


class Side:
    """One of the two servers, with clients of both protocols and a listener that they can redirect to."""

    def __init__(self, daemon):
        self.clients = [Cacher(daemon, version) for version in (3, 3, 2, 2)]
        self.listener = Cacher(daemon, 2)
        self.listener.connection.subscribe(CHANNEL)

    def run(self, which, words):
        words = [str(self.listener.id) if word == "listener" else word for word in words]
        reply = self.clients[which].call(*words)
        if words[0] != "CLIENT":
            return reply
        if isinstance(reply, list):
            reply = [b"listener" if value == self.listener.id else value for value in reply]
        if isinstance(reply, dict):
            return {name: b"listener" if value == self.listener.id else value for name, value in reply.items()}
        return b"listener" if reply == self.listener.id else reply

    def take(self):
        return [client.take() for client in (*self.clients, self.listener)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_commands_tell_what_redis_tells(start_redis, start_fanfared, seed):
    model, sides = Model(seed), [Side(start_redis()), Side(start_fanfared())]
    for step in range(700):
        which = model.random.randrange(4)
        for words in model.commands():
            replies = [side.run(which, words) for side in sides]
            if words[0] not in UNCOMPARED and words[0] != "EXEC":
                assert replies[0] == replies[1], (step, which, words)
        told = [side.take() for side in sides]
        assert told[0] == told[1], (step, which, words)


def test_scripts_read_and_change_keys_for_their_client(fanfared):
    """As in Redis 7.2: the commands of a script count, and not the keys that are named for it."""
    reader, writer = Cacher(fanfared), Cacher(fanfared)
    reader.ok("CLIENT", "TRACKING", "ON")
    assert reader.call("EVAL", "return redis.call('GET', 'read')", "1", "named") is None
    assert reader.call("EVAL_RO", "return redis.call('GET', 'too')", "1", "named") is None
    writer.ok("MSET", "named", "1", "read", "1", "too", "1")
    assert reader.take() == [b"read", b"too"]
    reader.call("GET", "k")
    reader.connection.command("EVAL", "redis.call('SET', KEYS[1], 'x'); return redis.call('GET', KEYS[1])", "1", "k")
    assert reader.connection.read_value() == b"x"
    assert reader.connection.read_value() == Push([b"invalidate", [b"k"]])
    reader.ok("CLIENT", "TRACKING", "OFF")
    reader.ok("CLIENT", "TRACKING", "ON", "OPTIN")
    reader.ok("CLIENT", "CACHING", "YES")
    assert reader.call("EVAL", "return redis.call('MGET', 'a', 'b')", "0") == [None, None]
    writer.ok("MSET", "a", "1", "b", "1")
    assert reader.take() == [b"a", b"b"]


def test_a_read_that_waits_tracks_its_keys(server):
    """It is told of the entry that ends its wait before it gets the reply."""
    reader, writer = Cacher(server), server.client()
    reader.ok("CLIENT", "TRACKING", "ON")
    reader.connection.command("XREAD", "BLOCK", 0, "STREAMS", "s", "t", "$", "$")
    wait_until(lambda: writer.info("clients")["blocked_clients"] == "1", "it waits")
    writer.call("XADD", "s", "1-1", "f", "v")
    assert reader.connection.read_value() == Push([b"invalidate", [b"s"]])
    assert reader.read() == {b"s": [[b"1-1", [b"f", b"v"]]]}
    writer.call("XADD", "t", "1-1", "f", "v")
    assert reader.take() == [b"t"]
    reader.connection.command("BLPOP", "l", 0)
    wait_until(lambda: writer.info("clients")["blocked_clients"] == "1", "it waits")
    writer.call("RPUSH", "l", "x")
    assert reader.read() == [b"l", b"x"]
    assert reader.take() == []


def test_a_read_that_has_waited_tracks_its_keys_again(fanfared):
    """As in Redis 7.2; a client that has switched it on for this read alone, too."""
    reader, writer = Cacher(fanfared), fanfared.client()
    reader.ok("CLIENT", "TRACKING", "ON", "OPTIN")
    reader.ok("CLIENT", "CACHING", "YES")
    reader.connection.command("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    wait_until(lambda: writer.info("clients")["blocked_clients"] == "1", "it waits")
    writer.call("XADD", "s", "1-1", "f", "v")
    assert reader.read() == {b"s": [[b"1-1", [b"f", b"v"]]]}
    assert reader.take() == [b"s"]
    for n in range(2, 4):
        writer.call("XADD", "s", f"1-{n}", "f", "v")
    assert reader.take() == [b"s"]
    reader.call("XREAD", "STREAMS", "s", "0")
    writer.call("XADD", "s", "2-1", "f", "v")
    assert reader.take() == []


def test_both_tell_of_expired_keys(server):
    reader, writer = Cacher(server), Cacher(server)
    reader.ok("CLIENT", "TRACKING", "ON")
    others = Cacher(server)
    others.ok("CLIENT", "TRACKING", "ON", "BCAST")
    writer.ok("SET", "k", "1", "PX", "60")
    reader.call("GET", "k")
    assert others.take() == [b"k"]
    assert wait_until(reader.take, "the key expires") == [b"k"]
    assert wait_until(others.take, "the key expires") == [b"k"]


def test_both_tell_of_evicted_keys(start_server):
    server = start_server("--maxmemory-policy", "allkeys-lru")
    reader, writer = Cacher(server), Cacher(server)
    reader.ok("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "old")
    for number in range(100):
        writer.ok("SET", f"old{number}", "x" * 10000)
    assert len(reader.take()) == 100
    writer.ok("CONFIG", "SET", "maxmemory", "1")
    assert set(wait_until(reader.take, "keys are evicted")) <= {b"old%d" % number for number in range(100)}


def test_both_tell_of_a_broken_redirect(server):
    reader, listener, writer = Cacher(server), Cacher(server, 2), Cacher(server)
    reader.ok("CLIENT", "TRACKING", "ON", "REDIRECT", listener.id)
    flags = lambda: writer.connection.client_list("ID", reader.id)[0]  # noqa: E731
    reader.call("GET", "k")
    assert (flags()["flags"], flags()["redir"]) == ("t", str(listener.id))
    listener.connection.close()
    wait_until(lambda: not writer.connection.client_list("ID", listener.id), "the listener leaves")
    writer.ok("SET", "k", "1")
    assert reader.take() == [b"tracking-redir-broken"]
    assert (flags()["flags"], flags()["redir"]) == ("tR", str(listener.id))
    assert b"broken_redirect" in reader.call("CLIENT", "TRACKINGINFO")[b"flags"]


def test_both_bound_the_table_of_keys(start_server):
    server = start_server("--tracking-table-max-keys", "10")
    reader, writer = Cacher(server), Cacher(server)
    assert writer.call("CONFIG", "GET", "tracking-table-max-keys") == {b"tracking-table-max-keys": b"10"}
    reader.ok("CLIENT", "TRACKING", "ON")
    told = []
    for number in range(300):
        reader.call("GET", f"k{number}")
        told += reader.take()
    assert len(set(told)) == len(told) >= 289
    assert int(writer.connection.info("stats")["tracking_total_keys"]) <= 11
    writer.ok("CONFIG", "SET", "tracking-table-max-keys", "0")
    reader.call("MGET", *[f"k{number}" for number in range(300)])
    assert int(writer.connection.info("stats")["tracking_total_keys"]) == 300


def test_large_reads_stay_within_the_bound_too(start_fanfared):
    fanfared = start_fanfared("--tracking-table-max-keys", "1000")
    reader, writer = Cacher(fanfared), Cacher(fanfared)
    reader.ok("CLIENT", "TRACKING", "ON")
    for start in range(0, 30000, 5000):
        reader.call("MGET", *[f"k{number}" for number in range(start, start + 5000)])
        assert int(writer.connection.info("stats")["tracking_total_keys"]) <= 1000
    assert len(reader.take()) == 29000


def test_a_closed_client_leaves_nothing_in_the_table(fanfared):
    reader, writer = Cacher(fanfared), Cacher(fanfared)
    reader.ok("CLIENT", "TRACKING", "ON")
    reader.call("MGET", *[f"k{number}" for number in range(5000)])
    figures = lambda: writer.connection.info("clients", "stats")  # noqa: E731
    assert (figures()["tracking_clients"], figures()["tracking_total_items"]) == ("1", "5000")
    reader.connection.close()
    wait_until(lambda: figures()["tracking_total_keys"] == "0", "its keys are forgotten")
    assert figures()["tracking_clients"] == "0"


def test_the_pairs_are_bounded(start_fanfared):
    fanfared = start_fanfared("--tracking-table-max-items", "100")
    writer, readers = Cacher(fanfared), [Cacher(fanfared) for _ in range(10)]
    for reader in readers:
        reader.ok("CLIENT", "TRACKING", "ON")
        reader.call("MGET", *[f"k{number}" for number in range(50)])
    assert int(writer.connection.info("stats")["tracking_total_items"]) <= 100
    limit = writer.connection.info("limits")["limit_tracking_table_max_items"]
    assert limit.startswith("limit=100,used=")


def test_a_client_that_does_not_read_is_closed(start_fanfared):
    fanfared = start_fanfared("--outbox-limit-bytes", "1mb")
    writer = Cacher(fanfared)
    reader = fanfared.connect(receive_buffer=4096)
    reader.hello(3)
    reader.ok("CLIENT", "TRACKING", "ON", "BCAST")
    before = fanfared.held_bytes()
    name = "k" * 200
    for number in range(100):
        writer.connection.send(b"".join(encode("SET", f"{name}{at}", "") for at in range(number * 500, number * 500 + 500)))
        for _ in range(500):
            assert writer.read() == b"OK"
    writer.ok("FLUSHALL")
    wait_until(lambda: writer.connection.info("clients")["tracking_clients"] == "0", "it is closed")
    assert "it does not read its invalidations" in fanfared.log()
    assert fanfared.held_bytes() - before < 80 << 20
    with pytest.raises(Closed):
        while True:
            reader.read_value()


def cpu_of_writes(fanfared, count):
    """Processor time that the daemon needs for so many writes to keys with other prefixes."""
    client = fanfared.connect()
    before = fanfared.cpu_seconds()
    for _ in range(count // 1000):
        client.send(encode("SET", "key:12345", "1") * 1000)
        assert client.read_exactly(5000) == b"+OK\r\n" * 1000
    return fanfared.cpu_seconds() - before


def test_a_write_costs_the_same_with_100000_prefixes(fanfared):
    cacher = Cacher(fanfared)
    cacher.ok("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "other:")
    cpu_of_writes(fanfared, 20000)
    few = cpu_of_writes(fanfared, 100000)
    for start in range(0, 100000, 20000):
        words = [word for number in range(start, start + 20000) for word in ("PREFIX", f"key:{number:06}:")]
        cacher.ok("CLIENT", "TRACKING", "ON", "BCAST", *words)
    assert cacher.connection.info("stats")["tracking_total_prefixes"] == "100001"
    many = cpu_of_writes(fanfared, 100000)
    assert many < 1.5 * few + 0.2, (few, many)
    assert len(cacher.call("CLIENT", "TRACKINGINFO")[b"prefixes"]) == 100001
    other = Cacher(fanfared)
    other.ok("SET", "key:012345:x", "1")
    assert cacher.take() == [b"key:012345:x"]
    cacher.ok("CLIENT", "TRACKING", "OFF")
    assert other.connection.info("stats")["tracking_total_prefixes"] == "0"


def test_others_wait_at_most_a_moment_while_prefixes_come_and_go(fanfared):
    """A client with many prefixes comes, is refused, and leaves, and others are served meanwhile."""
    cacher, other = Cacher(fanfared), Cacher(fanfared)
    words = [word for number in range(100000) for word in ("PREFIX", f"p{number:06}")]
    cacher.connection.command("CLIENT", "TRACKING", "ON", "BCAST", *words, "PREFIX", "p00")
    other.call("PING")
    assert isinstance(cacher.read(), Error)
    assert other.connection.info("stats")["tracking_total_prefixes"] == "0"
    cacher.ok("CLIENT", "TRACKING", "ON", "BCAST", *words)
    cacher.connection.close()
    wait_until(lambda: other.connection.info("stats")["tracking_total_prefixes"] == "0", "its prefixes are removed")
    assert int(other.connection.info("stats")["longest_turn_usec"]) < seconds(0.05) * 1000000


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def test_a_takeover_tells_that_all_keys_may_have_changed(start_lineage, folder):
    path = folder / "fanfared.conf"
    path.write_text("shutdown-grace 60\n")
    lineage = start_lineage("-c", path)
    reader = Cacher(lineage.daemon)
    reader.ok("CLIENT", "TRACKING", "ON")
    reader.call("GET", "k")
    lineage.upgrade()
    assert reader.take() == [ALL]
