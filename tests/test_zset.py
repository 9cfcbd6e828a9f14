"""Sorted sets, beyond the tables of tests/differential: ZQUERY, random choices, scans during changes, limits."""

import random

import pytest

from lib.resp import error

PACKED, LARGE = 100, 20000
NOT_AN_INTEGER = error("ERR value is not an integer or out of range")


def add(client, key, entries):
    entries = list(entries)
    for at in range(0, len(entries), 10000):
        client.call("ZADD", key, *[word for score, name in entries[at:at + 10000] for word in (repr(score), name)])


def pages(client, key, score, name, offset, limit):
    """ZQUERY's reply as [(score, name)]."""
    reply = client.call("ZQUERY", key, repr(score), name, offset, limit)
    return [(float(s), n) for n, s in zip(reply[::2], reply[1::2])]


@pytest.mark.parametrize("count", [0, 1, PACKED, LARGE])
def test_zquery_gives_the_page_that_begins_at_a_score_and_a_name(fanfared, count):
    source = random.Random(count)
    entries = {b"%x" % source.randrange(1 << 40): source.randrange(-20, 20) / 4 for _ in range(count)}
    order = sorted((score, name) for name, score in entries.items())
    with fanfared.connect() as client:
        add(client, "z", [(score, name) for score, name in order])
        for _ in range(300):
            score, name = source.choice(order or [(0.0, b"")])
            if source.random() < 0.5:
                score, name = source.randrange(-90, 90) / 16, source.choice([b"", b"\x00", b"7", b"\xff"])
            offset = source.choice([0, 1, 50, count // 2, count, 1 << 62])
            limit = source.choice([0, 1, 20, count, 9223372036854775807])
            expected = [entry for entry in order if entry >= (score, name)]
            assert pages(client, "z", score, name, offset, limit) == expected[offset:offset + limit]


def test_zquery_walks_through_a_whole_set_by_pages(fanfared):
    entries = [(n % 7, b"%d" % n) for n in range(LARGE)]
    with fanfared.connect() as client:
        add(client, "z", entries)
        found, score, name, skip = [], float("-inf"), b"", 0
        while page := pages(client, "z", score, name, skip, 999):
            found += page
            (score, name), skip = page[-1], 1
        assert found == sorted(entries)


def test_zquery_says_what_is_wrong(fanfared):
    with fanfared.connect() as client:
        client.call("ZADD", "z", 1, "a")
        client.ok("SET", "text", "x")
        negative = error("ERR offset and limit must not be negative")
        assert client.call("ZQUERY", "z", "nan", "", 0, 1) == error("ERR value is not a valid float")
        assert client.call("ZQUERY", "z", "x", "", 0, 1) == error("ERR value is not a valid float")
        for wrong in ("x", "", "1.5", " 1", "9223372036854775808"):
            assert client.call("ZQUERY", "z", 0, "", wrong, 1) == NOT_AN_INTEGER
            assert client.call("ZQUERY", "z", 0, "", 0, wrong) == NOT_AN_INTEGER
        for wrong in (-1, -9223372036854775808):
            assert client.call("ZQUERY", "z", 0, "", wrong, 1) == negative
            assert client.call("ZQUERY", "z", 0, "", 0, wrong) == negative
        assert client.call("ZQUERY", "text", 0, "", 0, 1).text.startswith(b"WRONGTYPE ")
        assert client.call("ZQUERY", "nosuch", 0, "", 0, 1) == []
        assert client.call("ZQUERY", "z", 0, "", 0).text.startswith(b"ERR wrong number of arguments")
        assert client.call("ZQUERY", "z", "-inf", "", 0, 1) == [b"a", b"1"]
        assert client.call("ZQUERY", "z", "inf", "", 0, 1) == []


def test_zquery_nests_pairs_in_resp3(fanfared):
    with fanfared.connect() as client:
        client.hello(3)
        add(client, "z", [(1.5, "a"), (float("inf"), "b")])
        assert client.call("ZQUERY", "z", 0, "", 0, 9) == [[b"a", 1.5], [b"b", float("inf")]]


@pytest.mark.parametrize("count", [10, PACKED, LARGE])
def test_choices_are_members_and_a_positive_count_gives_none_twice(server, count):
    with server.connect() as client:
        add(client, "z", [(n, b"%d" % n) for n in range(count)])
        everything = {b"%d" % n for n in range(count)}
        for wanted in (1, count // 3, count - 1, count, count + 1):
            chosen = client.call("ZRANDMEMBER", "z", wanted)
            assert len(chosen) == min(wanted, count) == len(set(chosen))
            assert set(chosen) <= everything
        pairs = client.call("ZRANDMEMBER", "z", -3 * count, "WITHSCORES")
        assert pairs[::2] == pairs[1::2] and len(pairs) == 6 * count and set(pairs) <= everything
        drawn = client.call("ZRANDMEMBER", "z", -3000)
        assert len(drawn) == 3000 and set(drawn) <= everything
        assert count > 10 or set(drawn) == everything


@pytest.mark.parametrize("count", [-9223372036854775807, -21000000])
def test_a_short_request_gets_no_reply_without_end(fanfared, count):
    with fanfared.connect(timeout=60) as client:
        add(client, "packed", [(1, "a"), (2, "b")])
        add(client, "large", [(n, "m%d" % n) for n in range(1000)])
        refused = error("ERR the reply would be longer than 64 MiB")
        for key in ("packed", "large"):
            assert client.call("ZRANDMEMBER", key, count) == refused
            assert client.call("ZRANDMEMBER", key, max(count, -4611686018427387903), "WITHSCORES") == refused
        assert client.call("PING") == b"PONG"


def test_a_scan_finds_all_that_stays_whatever_comes_and_goes(server):
    with server.connect() as client, server.connect() as other:
        add(client, "z", [(n, b"stays%d" % n) for n in range(2000)])
        goes = [(n, b"goes%d" % n) for n in range(2000)]
        cursor, found, turn = b"0", {}, 0
        while True:
            cursor, elements = client.call("ZSCAN", "z", cursor, "COUNT", 50)
            found.update(zip(elements[::2], elements[1::2]))
            if cursor == b"0":
                break
            turn += 1
            if turn % 2:
                add(other, "z", goes)
            else:
                other.call("ZREM", "z", *[name for _, name in goes])
        assert turn > 2
        assert all(found[b"stays%d" % n] == b"%d" % n for n in range(2000))


def test_large_sets_combine_as_dictionaries_do(server):
    source = random.Random(1)
    sets = [{b"%d" % source.randrange(30000): source.randrange(100) for _ in range(count)} for count in (20000, 9000, 50)]
    with server.connect() as client:
        for number, entries in enumerate(sets):
            add(client, f"z{number}", [(score, name) for name, score in entries.items()])
        names = set().union(*sets)
        union = {name: sum(weight * s.get(name, 0) for weight, s in zip((1, 2, 3), sets)) for name in names}
        assert client.call("ZUNIONSTORE", "to", 3, "z0", "z1", "z2", "WEIGHTS", 1, 2, 3) == len(union)
        reply = client.call("ZRANGE", "to", 0, -1, "WITHSCORES")
        ordered = sorted((score, name) for name, score in union.items())
        assert [(int(s), n) for n, s in zip(reply[::2], reply[1::2])] == ordered
        both = sets[0].keys() & sets[1].keys()
        assert client.call("ZINTERCARD", 2, "z0", "z1") == len(both)
        assert set(client.call("ZINTER", 2, "z0", "z1")) == both
        for first, others in ((0, (1, 2)), (2, (0, 1)), (1, (2,))):
            left = set(sets[first]).difference(*(sets[other] for other in others))
            keys = [f"z{number}" for number in (first, *others)]
            assert set(client.call("ZDIFF", len(keys), *keys)) == left
            assert client.call("ZDIFFSTORE", "to", len(keys), *keys) == len(left)


def test_forms_follow_the_directives_and_the_members_stay(start_fanfared):
    with start_fanfared("--zset-max-listpack-entries", 4, "--zset-max-listpack-value", 3).connect() as client:
        for number in range(6):
            add(client, "z", [(-number, "x" * number)])
            assert client.call("ZRANGE", "z", 0, -1) == [b"x" * n for n in range(number, -1, -1)]
        assert client.call("CONFIG", "GET", "zset-max-listpack-value") == [b"zset-max-listpack-value", b"3"]
        client.ok("CONFIG", "SET", "zset-max-listpack-entries", 1000)
