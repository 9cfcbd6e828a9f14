"""redis-py on the keyspace: every type, transactions with WATCH, blocking pops, SCAN iterators, pipelines."""

import asyncio
import threading

import pytest
import redis
import redis.asyncio

from lib.wait import seconds, wait_until


@pytest.fixture
def client(server):
    client = redis.Redis(port=server.port, socket_timeout=seconds(10), decode_responses=True)
    yield client
    client.close()


def test_strings_and_their_times(client):
    assert client.set("k", "v", ex=100, nx=True) is True
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", xx=True, get=True, keepttl=True) == "v"
    assert client.get("k") == "w" and 98 <= client.ttl("k") <= 100
    assert client.incr("n") == 1 and client.incrby("n", 41) == 42 and client.decr("n") == 41
    assert client.incrbyfloat("f", 0.5) == 0.5
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "none", "b") == ["1", None, "2"]
    assert client.append("k", "x") == 2 and client.getrange("k", 0, 0) == "w" and client.strlen("k") == 2
    assert client.setbit("bits", 7, 1) == 0 and client.getbit("bits", 7) == 1 and client.bitcount("bits") == 1
    assert client.expire("k", 50) and client.persist("k") and client.ttl("k") == -1
    assert client.getdel("k") == "wx" and client.exists("k") == 0
    assert client.rename("a", "c") and client.type("c") == "string" and client.delete("c", "b") == 2
    client.psetex("soon", 20, "x")
    wait_until(lambda: client.get("soon") is None, "the key has expired")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.lpush("n", "x")


def test_binary_values_come_back_as_they_went(server):
    client = redis.Redis(port=server.port)
    every_byte = bytes(range(256))
    assert client.set(every_byte, every_byte) and client.get(every_byte) == every_byte
    assert client.hset("h", every_byte, every_byte) == 1 and client.hgetall("h") == {every_byte: every_byte}
    assert client.rpush("l", every_byte, b"") == 2 and client.lrange("l", 0, -1) == [every_byte, b""]
    client.close()


def test_hashes(client):
    assert client.hset("h", mapping={"name": "Ada", "visits": 1, "": "empty"}) == 3
    assert client.hgetall("h") == {"name": "Ada", "visits": "1", "": "empty"}
    assert client.hincrby("h", "visits", 4) == 5 and client.hincrbyfloat("h", "score", 1.5) == 1.5
    assert client.hmget("h", "name", "none") == ["Ada", None] and client.hexists("h", "name")
    assert client.hsetnx("h", "name", "Bob") == 0 and client.hdel("h", "name", "none") == 1
    assert sorted(client.hkeys("h")) == ["", "score", "visits"] and client.hlen("h") == 3
    client.hset("big", mapping={f"f{n}": n for n in range(1000)})
    assert dict(client.hscan_iter("big", count=50)) == {f"f{n}": str(n) for n in range(1000)}
    assert len(client.hrandfield("big", 10, withvalues=True)) == 20


def test_lists(client):
    assert client.rpush("l", "a", "b", "c") == 3 and client.lpush("l", "z") == 4
    assert client.lrange("l", 0, -1) == ["z", "a", "b", "c"] and client.lindex("l", -1) == "c"
    assert client.linsert("l", "before", "b", "ab") == 5 and client.lpos("l", "b") == 3
    assert client.lset("l", 0, "first") and client.lrem("l", 1, "ab") == 1
    assert client.lmove("l", "m", "RIGHT", "LEFT") == "c" and client.lpop("l", 2) == ["first", "a"]
    assert client.lmpop(2, "none", "l", direction="LEFT") == ["l", ["b"]] and not client.exists("l")
    client.rpush("long", *range(1000))
    assert client.ltrim("long", 10, -11) and client.llen("long") == 980


def test_sets(client):
    assert client.sadd("s", "a", "b", "c") == 3 and client.sadd("t", "b", "c", "d") == 3
    assert client.smembers("s") == {"a", "b", "c"} and client.smismember("s", ["a", "x"]) == [1, 0]
    assert client.sinter("s", "t") == {"b", "c"} and client.sunion("s", "t") == {"a", "b", "c", "d"}
    assert client.sdiff("s", "t") == {"a"} and client.sintercard(2, ["s", "t"]) == 2
    assert client.sunionstore("u", "s", "t") == 4 and client.smove("s", "t", "a") is True
    assert client.srem("t", "b") == 1 and client.spop("u") in {"a", "b", "c", "d"} and client.scard("u") == 3
    client.sadd("many", *range(1000))
    assert {int(member) for member in client.sscan_iter("many", count=30)} == set(range(1000))


def test_sorted_sets(client):
    assert client.zadd("z", {"a": 1, "b": 2, "c": 3.5}) == 3
    assert client.zrange("z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.0), ("c", 3.5)]
    assert client.zadd("z", {"a": 5}, gt=True, ch=True) == 1 and client.zincrby("z", 1, "b") == 3.0
    assert client.zrevrange("z", 0, 0) == ["a"] and client.zrank("z", "a") == 2 and client.zscore("z", "c") == 3.5
    assert client.zrangebyscore("z", "(3", "+inf", start=0, num=1) == ["c"] and client.zcount("z", 3, 4) == 2
    assert client.zrange("z", "-", "+", bylex=True, offset=0, num=1) == ["b"] and client.zmscore("z", ["a", "x"]) == [5.0, None]
    assert client.zpopmin("z") == [("b", 3.0)] and client.zremrangebyscore("z", 4, 9) == 1
    client.zadd("y", {"c": 1, "d": 2})
    assert client.zunion(["z", "y"], withscores=True) == [("d", 2.0), ("c", 4.5)]
    assert client.zinterstore("out", {"z": 2, "y": 1}) == 1 and client.zscore("out", "c") == 8.0
    client.zadd("many", {f"m{n}": n for n in range(1000)})
    assert dict(client.zscan_iter("many", count=50)) == {f"m{n}": float(n) for n in range(1000)}


def test_scan_finds_every_key_of_a_type(client):
    with client.pipeline(transaction=False) as pipeline:
        for n in range(500):
            pipeline.set(f"user:{n}", n).sadd(f"friends:{n}", n)
        assert len(pipeline.execute()) == 1000
    assert set(client.scan_iter("user:*", count=17)) == {f"user:{n}" for n in range(500)}
    assert set(client.scan_iter(count=17, _type="SET")) == {f"friends:{n}" for n in range(500)}
    assert client.dbsize() == 1000 and client.flushdb() and client.keys() == []


def test_a_transaction_is_repeated_when_another_client_was_faster(client, server):
    other = redis.Redis(port=server.port)
    client.set("stock", 10)
    tries = []

    def take_one(pipeline):
        left = int(pipeline.get("stock"))
        tries.append(left)
        if len(tries) == 1:
            other.decr("stock")
        pipeline.multi()
        pipeline.set("stock", left - 1)
        pipeline.rpush("sold", left)

    assert client.transaction(take_one, "stock") == [True, 1]
    assert tries == [10, 9] and client.get("stock") == "8" and client.lrange("sold", 0, -1) == ["9"]
    with client.pipeline() as pipeline:
        pipeline.watch("stock")
        other.set("stock", 0)
        pipeline.multi()
        pipeline.incr("stock")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    other.close()


def test_an_error_within_a_transaction_names_its_command(client):
    client.set("text", "x")
    with client.pipeline() as pipeline:
        pipeline.set("a", 1).incr("text").set("b", 2)
        with pytest.raises(redis.ResponseError, match="Command # 2 .*not an integer"):
            pipeline.execute()
    assert client.mget("a", "b") == ["1", "2"]


def test_blocking_pops_get_what_another_client_gives(client, server):
    got = []

    def wait():
        waiter = redis.Redis(port=server.port, decode_responses=True)
        got.append(waiter.blpop(["jobs", "urgent"], timeout=seconds(10)))
        got.append(waiter.bzpopmin("queue", timeout=seconds(10)))
        got.append(waiter.blmove("from", "to", seconds(10), "LEFT", "RIGHT"))
        got.append(waiter.brpop("never", timeout=1))
        waiter.close()

    thread = threading.Thread(target=wait)
    thread.start()
    for give in (lambda: client.rpush("urgent", "one"), lambda: client.zadd("queue", {"two": 2}),
                 lambda: client.rpush("from", "three")):
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1, "a client waits")
        count = len(got)
        give()
        wait_until(lambda: len(got) > count, "it got it")
    thread.join(seconds(10))
    assert got == [("urgent", "one"), ("queue", "two", 2.0), "three", None]
    assert client.lrange("to", 0, -1) == ["three"]


def test_a_lock_is_taken_and_let_go(client):
    """As redis-py's Lock without its scripts: SET NX PX, and WATCH to let go of it only while it is one's own."""
    assert client.set("lock", "mine", nx=True, px=100_000) and not client.set("lock", "other", nx=True, px=100_000)

    def release(pipeline):
        owner = pipeline.get("lock")
        pipeline.multi()
        if owner == "mine":
            pipeline.delete("lock")

    assert client.transaction(release, "lock") == [1] and client.set("lock", "other", nx=True, px=100_000)


def test_notifications_tell_of_what_happens_to_keys(client):
    client.config_set("notify-keyspace-events", "KEA")
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.psubscribe("__key*__:*")
        wait_until(lambda: client.pubsub_numpat() == 1, "subscribed")
        client.set("k", "v")
        client.psetex("soon", 10, "x")
        found = set()

        def expired():
            message = pubsub.get_message(timeout=0.1)
            if message:
                found.add((message["channel"], message["data"]))
            return ("__keyevent@0__:expired", "soon") in found

        wait_until(expired, "the event of the expired key")
        assert ("__keyspace@0__:k", "set") in found and ("__keyevent@0__:set", "k") in found


def test_asyncio_clients_share_the_keyspace(server):
    async def talk():
        client = redis.asyncio.Redis(port=server.port, decode_responses=True)

        async def add(number):
            await client.incr("count")
            await client.zadd("board", {f"p{number}": number})

        await asyncio.gather(*(add(number) for number in range(100)))
        async with client.pipeline(transaction=True) as pipeline:
            result = await pipeline.get("count").zcard("board").execute()
        found = [key async for key in client.scan_iter("*")]
        await client.close()
        return result, sorted(found)

    assert asyncio.run(asyncio.wait_for(talk(), seconds(20))) == (["100", 100], ["board", "count"])
