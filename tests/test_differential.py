"""The same commands to redis-server and fanfared give identical replies, in RESP2 and RESP3."""

import pathlib
import random

import pytest

from lib.differ import compare
from lib.table import Row, has_two_forms, read_table

TABLES = sorted((pathlib.Path(__file__).parent / "differential").glob("*.txt"))


def test_the_tables_hold_enough_commands():
    commands = {path.stem: sum(bool(row.words) for row in read_table(path)) for path in TABLES}
    assert sum(commands.values()) >= 5000
    assert sum(count for name, count in commands.items() if name.startswith("ks_")) >= 1500


# So low that nearly every value of the tables is past them.
LARGE = {"hash-max-listpack-entries": 1, "hash-max-listpack-value": 4, "set-max-intset-entries": 1,
         "set-max-listpack-entries": 0, "set-max-listpack-value": 1, "zset-max-listpack-entries": 0,
         "zset-max-listpack-value": 1, "list-max-listpack-size": 2}
FORMS = [(path, form) for path in TABLES for form in (("packed", "large") if has_two_forms(path) else ("packed",))]


def make_values_large(server):
    with server.client() as client:
        known = [name for name in LARGE if client.call("CONFIG", "GET", name)]
        # Redis before 7.2 packs no set of strings.
        assert len(known) >= len(LARGE) - 2
        for name in known:
            client.ok("CONFIG", "SET", name, LARGE[name])


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("path, form", FORMS, ids=lambda value: getattr(value, "stem", value))
def test_the_same_input_gives_the_same_bytes(start_redis, start_fanfared, path, form, version):
    redis, fanfared = start_redis(), start_fanfared()
    if form == "large":
        make_values_large(redis)
        make_values_large(fanfared)
    different = compare(read_table(path), redis, fanfared, version)
    assert not different, "\n".join([f"{len(different)} lines of {path.name} differ", *different])


def random_commands(source, steps):
    """Rows as of a table: pub/sub commands of four connections, with few names, so that they meet."""
    names = [b"a", b"b", b"ab", b"", b"\x00", b"a*", b"news.1"]
    patterns = [b"*", b"a*", b"?", b"[ab]", b"\\a", b"n*.?", b"", b"a*"]
    kinds = [(b"SUBSCRIBE", names), (b"UNSUBSCRIBE", names), (b"PSUBSCRIBE", patterns), (b"PUNSUBSCRIBE", patterns),
             (b"SSUBSCRIBE", names), (b"SUNSUBSCRIBE", names)]
    questions = [[b"CHANNELS"], [b"CHANNELS", b"a*"], [b"NUMPAT"], [b"SHARDCHANNELS"], [b"NUMSUB", b"a", b"b"],
                 [b"SHARDNUMSUB", b"a", b"b"]]
    for number in range(steps):
        which = source.randrange(4)
        choice = source.random()
        if choice < 0.5:
            kind, pool = source.choice(kinds)
            words = [kind, *source.choices(pool, k=source.randrange(0, 4))]
        elif choice < 0.85:
            words = [source.choice([b"PUBLISH", b"PUBLISH", b"SPUBLISH"]), source.choice(names), b"%d" % number]
        elif choice < 0.97:
            words = [b"PUBSUB", *source.choice(questions)]
        else:
            words = [source.choice([b"RESET", b"PING", b"QUIT", b"NOSUCH"])]
        # Patterns are tried, and all subscriptions are left, in the order of a hash table.
        yield Row(number, which, words, {"~": ""})
        # What it caused is looked at on the other connections as well, before the next command.
        for other in range(4):
            if other != which:
                yield Row(number, other, [b"PING"], {"~": ""})


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("seed", range(4))
def test_random_subscribing_and_publishing_is_answered_alike(start_redis, start_fanfared, seed, version):
    rows = list(random_commands(random.Random(seed), 400))
    different = compare(rows, start_redis(), start_fanfared(), version)
    assert not different, "\n".join([f"{len(different)} steps differ", *different[:10]])


@pytest.mark.parametrize("seed", range(3))
def test_random_globs_match_the_same_names(start_redis, start_fanfared, seed):
    source = random.Random(seed)
    alphabet = ["a", "b", "c", "*", "?", "[", "]", "^", "-", "\\", "ab", "[a-b]", "[^b]", "**"]
    patterns = list(dict.fromkeys("".join(source.choices(alphabet, k=source.randrange(0, 7))) for _ in range(400)))
    names = list(dict.fromkeys("".join(source.choices("abc[]^-\\*?", k=source.randrange(0, 6))) for _ in range(300)))
    matches = []
    for server in (start_redis(), start_fanfared()):
        subscriber, publisher = server.connect(), server.connect()
        subscriber.subscribe(*patterns, kind="PSUBSCRIBE")
        found = {}
        for name in names:
            count = publisher.call("PUBLISH", name, "x")
            got = [subscriber.read_value() for _ in range(count)]
            assert all(value[2] == name.encode() for value in got)
            found[name] = sorted(value[1] for value in got)
        matches.append(found)
    assert matches[0] == matches[1]


# Errors of commands in scripts, handled or not, and errors that scripts make; "x" is a string.
FAILING_SCRIPTS = [
    "return redis.call('select', 99)", "return redis.pcall('select', 99)",
    "return redis.pcall('select', 99).err", "return {redis.pcall('select', 99), 1}",
    "local ok, e = pcall(redis.call, 'lpush', 'x', 1) error(e)",
    "local ok, e = pcall(redis.call, 'lpush', 'x', 1) return 1",
    "return redis.call('lpush', 'x')", "return redis.pcall('lpush', 'x')", "return redis.call('nosuch')",
    "return redis.pcall('subscribe', 'x')", "return redis.call()", "return redis.pcall({})", "error('x')", "error({err='A b'})",
    "error({err='Ab'})", "return redis.error_reply('MY_CODE text')", "return redis.error_reply('single')",
    "return redis.error_reply('')", "return {err='single'}", "return {err='-A b'}", "return {err=''}",
    "return {err='%s b'}" % ("A" * 29), "return {err='%s b'}" % ("A" * 31), "return {{err='A b'}, {err='C d'}, 1}",
    "return {map={a={err='A b'}}}", "return nosuch", "syntax error", "#!lua flags=no-writes\nreturn redis.pcall('set', 'x', 1)",
    "#!lua flags=nosuch\nreturn 1",
]


def error_counts(client):
    """The numbers of calls and errors in INFO, without times."""
    calls = {name: {key: value for key, value in (part.split("=") for part in text.split(",")) if "usec" not in key}
             for name, text in client.info("commandstats").items() if not name.startswith("cmdstat_config")}
    return client.info("errorstats"), client.info("stats")["total_error_replies"], calls


def test_errors_of_scripts_are_counted_alike(start_redis, start_fanfared):
    found = []
    for server in (start_redis(), start_fanfared()):
        with server.client() as client:
            client.ok("SET", "x", "y")
            for script in FAILING_SCRIPTS:
                client.ok("CONFIG", "RESETSTAT")
                client.call("EVAL", script, 0)
                client.call("EVAL_RO", script, 0)
                found.append((script, error_counts(client)))
    half = len(FAILING_SCRIPTS)
    different = [(redis, fanfared) for redis, fanfared in zip(found[:half], found[half:]) if redis != fanfared]
    assert not different
