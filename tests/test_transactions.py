"""MULTI, EXEC, WATCH: other clients see all of a transaction or nothing, and no state is left behind."""

import threading

import pytest

from lib.resp import Error, Push, encode
from lib.wait import wait_until

BOTH_FORMS = pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])


def queue(client, *commands):
    client.ok("MULTI")
    for words in commands:
        assert client.call(*words) == b"QUEUED", words


def execute(client, *commands):
    queue(client, *commands)
    return client.call("EXEC")


def read_until(client, end):
    data = b""
    while not data.endswith(end):
        data += client.read_exactly(1)
    return data


def test_nobody_sees_half_of_a_transaction(server):
    """Two keys that are always set together, read together by others all the while."""
    writer, reader = server.connect(), server.connect()
    execute(writer, ("SET", "a", "0"), ("SET", "b", "0"))
    done = threading.Event()

    def write():
        for number in range(500):
            writer.send(b"".join(encode(*words) for words in (
                ("MULTI",), ("SET", "a", str(number)), ("SET", "b", str(number)), ("EXEC",))))
            for _ in range(3):
                writer.read_value()
            assert writer.read_value() == [b"OK", b"OK"]
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        a, b = execute(reader, ("GET", "a"), ("GET", "b"))
        assert a == b
    thread.join()


def test_messages_of_a_transaction_come_together(server):
    """Of two that publish to the same channel, each in transactions, no message stands between another's."""
    listener = server.connect()
    listener.subscribe("c")
    publishers = [server.connect() for _ in range(3)]

    def publish(which):
        for number in range(100):
            replies = execute(publishers[which], *[("PUBLISH", "c", f"{which} {number} {part}") for part in range(5)])
            assert replies == [1] * 5

    threads = [threading.Thread(target=publish, args=(which,)) for which in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        group = [listener.read_value()[2].decode().split() for _ in range(5)]
        assert [part for _, _, part in group] == ["0", "1", "2", "3", "4"]
        assert len({(which, number) for which, number, _ in group}) == 1
    for thread in threads:
        thread.join()


def test_a_counter_by_watch_loses_nothing(server):
    """The usual loop: many clients add to one value, and each retries after a conflict."""
    clients = [server.connect() for _ in range(4)]
    clients[0].ok("SET", "n", "0")

    def add(client):
        for _ in range(25):
            while True:
                client.ok("WATCH", "n")
                value = int(client.call("GET", "n"))
                if execute(client, ("SET", "n", str(value + 1))) is not None:
                    break

    threads = [threading.Thread(target=add, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clients[0].call("GET", "n") == b"100"


def test_a_watched_key_that_expires_aborts(server):
    client, other = server.connect(), server.connect()
    client.ok("SET", "a", "1", "PX", "50")
    client.ok("WATCH", "a")
    wait_until(lambda: other.call("EXISTS", "a") == 0, "the key expires", 5)
    assert execute(client, ("SET", "b", "1")) is None
    assert client.call("GET", "b") is None


def test_a_key_that_had_expired_before_it_was_watched_does_not_abort(server):
    client = server.connect()
    client.ok("SET", "a", "1", "PX", "1")
    wait_until(lambda: client.call("PTTL", "a") == -2, "the key is due", 5)
    client.ok("WATCH", "a")
    assert execute(client, ("PING",)) == [b"PONG"]


def test_who_goes_in_the_middle_leaves_nothing(server):
    client, other = server.connect(), server.connect()
    client.ok("WATCH", "a")
    queue(client, ("SET", "a", "1"))
    client.close()
    assert execute(other, ("GET", "a")) == [None]


@BOTH_FORMS
def test_subscribing_inside_confirms_inside(server, version):
    client = server.client(version)
    push = b"*3" if version == 2 else b">3"
    queue(client, ("SUBSCRIBE", "x", "y"), ("PING",))
    client.command("EXEC")
    pong = b"+PONG\r\n" if version == 3 else b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    expected = (b"*2\r\n" + push + b"\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"
                + push + b"\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:2\r\n" + pong)
    assert client.read_exactly(len(expected)) == expected


@BOTH_FORMS
def test_replies_switched_off_inside_are_not_sent(server, version):
    """The array says how many there would be: so does Redis."""
    client = server.client(version)
    queue(client, ("PING", "one"), ("CLIENT", "REPLY", "OFF"), ("PING", "two"), ("SUBSCRIBE", "c"),
          ("UNSUBSCRIBE", "c"), ("CLIENT", "REPLY", "ON"), ("PING", "three"))
    client.command("EXEC")
    client.command("PING", "end")
    push = b"*3" if version == 2 else b">3"
    expected = (b"*7\r\n$3\r\none\r\n" + push + b"\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
                + push + b"\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n+OK\r\n$5\r\nthree\r\n$3\r\nend\r\n")
    assert read_until(client, b"$3\r\nend\r\n") == expected


def test_a_change_of_protocol_holds_from_there_on(server):
    client = server.connect()
    queue(client, ("GET", "none"), ("HELLO", "3"), ("GET", "none"))
    client.command("EXEC")
    data = read_until(client, b"_\r\n")
    assert data.startswith(b"*3\r\n$-1\r\n%")


def test_monitors_see_what_is_executed_and_exec_behind_it(server):
    monitor, client = server.connect(), server.connect()
    monitor.ok("MONITOR")
    execute(client, ("SET", "a", "1"), ("GET", "a"))
    names = []
    while b'"exec"' not in b"".join(names).lower():
        names.append(monitor.read_line().split(b"] ", 1)[1])
    assert [name.lower() for name in names] == [b'"multi"', b'"set" "a" "1"', b'"get" "a"', b'"exec"']


def test_client_list_shows_a_transaction(server):
    client, other = server.connect(), server.connect()
    own = client.call("CLIENT", "ID")
    client.ok("WATCH", "a")
    queue(client, ("PING",), ("PING",))
    line = other.client_list("ID", own)[0]
    assert (line["multi"], line["flags"]) == ("2", "x")
    other.ok("SET", "a", "1")
    assert other.client_list("ID", own)[0]["flags"] == "xd"
    assert client.call("EXEC") is None
    line = other.client_list("ID", own)[0]
    assert (line["multi"], line["flags"]) == ("-1", "N")


def test_rules_are_asked_again_when_it_is_executed(server):
    client, other = server.connect(), server.connect()
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "&*")
    other.ok("AUTH", "u", "x")
    queue(other, ("SET", "a", "1"), ("SET", "b", "1"), ("PUBLISH", "c", "m"), ("PING",))
    client.ok("ACL", "SETUSER", "u", "resetkeys", "~b", "resetchannels")
    replies = other.call("EXEC")
    changed = (b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
               b"command is no longer allowed for the following reason: ")
    assert replies == [
        Error(changed + b"no permission to touch the specified keys"), b"OK",
        Error(changed + b"no permission to access one of the channels used as arguments"), b"PONG"]
    assert {entry[5] for entry in client.call("ACL", "LOG")} == {b"multi"}


def test_a_pause_of_writes_holds_a_transaction_that_writes(server):
    client, other = server.connect(), server.connect()
    client.ok("CLIENT", "PAUSE", "60000", "WRITE")
    assert execute(other, ("GET", "a")) == [None]
    other.ok("MULTI")
    other.command("SET", "a", "1")
    assert other.nothing_arrives()
    client.ok("CLIENT", "UNPAUSE")
    assert other.read_value() == b"QUEUED"
    assert other.call("EXEC") == [b"OK"]


# What only fanfared has.

MANY = 30


def waiting(client):
    return sum("b" in line["flags"] for line in client.client_list())


def test_a_transaction_waits_for_a_full_subscriber_as_a_whole(start_fanfared):
    fanfared = start_fanfared("--outbox-limit-messages", 2, "--outbox-block-timeout", 600000)
    slow = fanfared.connect(timeout=30, receive_buffer=4096)
    slow.ok("OUTBOX", "SET", "POLICY", "block")
    slow.subscribe("c")
    payload = b"x" * (1 << 20)
    other, client, publisher = fanfared.connect(), fanfared.connect(), fanfared.connect(timeout=30)
    thread = threading.Thread(target=lambda: [publisher.command("PUBLISH", "c", payload) for _ in range(MANY)])
    thread.start()
    wait_until(lambda: waiting(other) == 1, "a publisher waits", 10)
    queue(client, ("SET", "k", "1"), ("PUBLISH", "c", "last"))
    client.command("EXEC")
    wait_until(lambda: waiting(other) == 2, "EXEC waits", 10)
    assert other.call("EXISTS", "k") == 0
    assert sorted(len(slow.read_value()[2]) for _ in range(MANY + 1)) == [4] + [len(payload)] * MANY
    assert client.read_value() == [b"OK", 1]
    thread.join()
    assert [publisher.read_value() for _ in range(MANY)] == [1] * MANY


def test_what_is_too_much_for_one_transaction_is_refused(start_fanfared):
    fanfared = start_fanfared("--max-transaction-commands", 100, "--client-query-buffer-limit", "1mb")
    client = fanfared.connect()
    queue(client, *[("PING",)] * 100)
    assert client.call("PING") == Error(
        b"ERR transaction too large (max-transaction-commands 100, client-query-buffer-limit 1048576)")
    assert client.call("EXEC") == Error(b"EXECABORT Transaction discarded because of previous errors.")
    client.ok("MULTI")
    replies = [client.call("SET", "k", b"x" * 300000) for _ in range(4)]
    assert replies[:3] == [b"QUEUED"] * 3 and isinstance(replies[3], Error)
    assert client.call("EXEC") == Error(b"EXECABORT Transaction discarded because of previous errors.")
    assert client.call("PING") == b"PONG"


def test_own_messages_come_behind_the_replies_as_in_redis_7_2(fanfared):
    client = fanfared.client(3)
    queue(client, ("SUBSCRIBE", "c"), ("PUBLISH", "c", "m"), ("PING",))
    client.command("EXEC")
    assert client.read_line() == b"*3"
    values = [client.read_value() for _ in range(4)]
    assert values == [Push([b"subscribe", b"c", 1]), 1, b"PONG", Push([b"message", b"c", b"m"])]


NOWHERE, STALE, THERE = (), ("PX", "1"), ("PX", "100000")


@pytest.mark.parametrize("here, there, fails", [
    (NOWHERE, NOWHERE, False), (NOWHERE, STALE, False), (NOWHERE, THERE, True),
    (STALE, NOWHERE, False), (STALE, STALE, False), (STALE, THERE, True),
    (THERE, NOWHERE, True), (THERE, STALE, True), (THERE, THERE, True)],
    ids=lambda place: " ".join(place) or "nowhere" if isinstance(place, tuple) else None)
@pytest.mark.parametrize("active", ["0", "1"], ids=["stays", "goes"])
def test_a_swapped_key_is_a_change_if_its_time_is_not_up(start_server, here, there, fails, active):
    """WATCH of a key in database 0, in whose place database 1 comes; a key whose time is up is no key."""
    server = start_server("--enable-debug-command", "yes")
    client, other = server.connect(), server.connect()
    other.ok("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    if here:
        other.ok("SET", "k", "v", *here)
    other.ok("SELECT", "1")
    if there:
        other.ok("SET", "k", "v", *there)
    for database, place in (("0", here), ("1", there)):
        other.ok("SELECT", database)
        wait_until(lambda: other.call("KEYS", "*") == ([b"k"] if place == THERE else []), "its time is up")
    client.ok("WATCH", "k")
    other.ok("SWAPDB", "0", "1")
    other.ok("DEBUG", "SET-ACTIVE-EXPIRE", active)
    if active == "1":
        wait_until(lambda: other.call("INFO", "keyspace").count(b"keys=1") == (here, there).count(THERE), "it is gone")
    client.ok("MULTI")
    assert client.call("EXEC") == (None if fails else [])


@pytest.mark.parametrize("words", [("EXISTS", "k"), ("FLUSHDB",), ("FLUSHALL",), ("PING",), ("SWAPDB", "0", "0")])
def test_a_key_whose_time_was_up_is_not_changed_by_going(start_server, words):
    server = start_server("--enable-debug-command", "yes")
    client, other = server.connect(), server.connect()
    other.ok("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    other.ok("SET", "k", "v", "PX", "1")
    wait_until(lambda: other.call("KEYS", "*") == [], "its time is up")
    client.ok("WATCH", "k")
    other.call(*words)
    client.ok("MULTI")
    assert client.call("EXEC") == []
