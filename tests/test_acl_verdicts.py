"""Decisions of access control, compared with redis-server's: rules and commands of differential/acl.rules."""

import pathlib

import pytest

from lib.table import split_words
from lib.resp import Closed, Error

TABLE = pathlib.Path(__file__).parent / "differential" / "acl.rules"


def read_rules():
    """[(rules, [command, ...])], each a list of words."""
    sets = []
    for line in TABLE.read_text().splitlines():
        if not line.strip() or line.startswith("# "):
            continue
        if line.startswith("  "):
            sets[-1][1].append(split_words(line))
        else:
            sets.append((split_words(line), []))
    return sets


SETS = read_rules()


def verdict(server, name, words):
    """What a client of this user is answered: an error, or that there was none."""
    with server.connect() as client:
        assert client.call("AUTH", name, "x") == b"OK"
        try:
            answer = client.call(*words)
        except Closed:
            return "closed"
        return answer if isinstance(answer, Error) else "answered"


def login(client, *words):
    answer = client.call(*words)
    assert answer == b"OK", answer


def test_the_table_holds_at_least_150_pairs():
    assert sum(len(commands) for _, commands in SETS) >= 150


def test_each_pair_has_the_same_verdict_and_the_same_error(start_redis, start_fanfared):
    servers = [start_redis(), start_fanfared()]
    masters = [server.connect() for server in servers]
    different = []
    for number, (rules, commands) in enumerate(SETS):
        name = f"u{number}"
        for master in masters:
            login(master, "ACL", "SETUSER", name, "on", "nopass", *rules)
        closed = any(word == b"reset" for word in rules) and b"on" not in rules
        for words in commands:
            said = [master.call("ACL", "DRYRUN", name, *words) for master in masters]
            if said[0] != said[1]:
                different.append((rules, "DRYRUN", words, said))
            if closed:
                continue
            said = [verdict(server, name, words) for server in servers]
            if said[0] != said[1]:
                different.append((rules, words, said))
    assert not different, "\n".join(map(repr, different))


# Rules, and the line of ACL LIST that redis-server shows for them.
@pytest.mark.parametrize("rules", [
    "", "on", "on nopass", "off >p", "on >p >q", "on >p <p", "nopass resetpass", "nopass >p", ">p nopass",
    "skip-sanitize-payload", "skip-sanitize-payload sanitize-payload", "~*", "allkeys", "~a ~b ~a", "%R~a", "%W~a",
    "%RW~a", "%wr~a", "%R~a %W~a", "~a resetkeys ~b", "~* resetkeys ~b", "&*", "allchannels", "&a &b &a",
    "&a resetchannels &b", "allchannels resetchannels", "+@all", "allcommands", "+@all nocommands", "-@all +ping",
    "+@all -ping", "+PING", "+client|ID", "+select|0 +select|1", "+@all -client|kill", "-@all +@pubsub",
    "+@all -@dangerous", "(+ping)", "(~a &b +ping) (%R~c -@all)", "(+ping ~a) clearselectors", "(+@all ~* &*)",
    "+@all ~* &* on nopass reset", "%R", "~", "&", "()", "(  +ping   ~a )",
])
def test_a_user_is_shown_as_redis_shows_it(start_redis, start_fanfared, rules):
    lines = []
    for server in (start_redis(), start_fanfared()):
        client = server.connect()
        # Redis shows this flag from the start only since 7.2.
        for name in ("default", "u"):
            client.ok("ACL", "SETUSER", name, "sanitize-payload")
        login(client, "ACL", "SETUSER", "u", *split_words(rules) if "(" not in rules else merged(rules))
        lines.append([client.call("ACL", "LIST"), client.call("ACL", "GETUSER", "u")])
    assert lines[0] == lines[1]


def merged(rules):
    """The words of rules, a selector whole."""
    words, depth = [], ""
    for word in rules.split(" "):
        depth = f"{depth} {word}" if depth else word
        if depth.startswith("(") and not depth.endswith(")"):
            continue
        words.append(depth)
        depth = ""
    return [word for word in words if word]
