"""WAITAOF: waits until the changes of a connection are on disk, under each policy of appendfsync."""

import time

from lib.resp import encode, error
from lib.wait import seconds, wait_until

LOG = ("--appendonly", "yes", "--appendfsync")
NO_LOG = error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
LONG = int(seconds(60) * 1000)


def wait_for_blocked(admin, count=1):
    wait_until(lambda: int(admin.info("clients")["blocked_clients"]) == count, f"{count} clients are blocked")


def test_everysec_is_waited_for(start_fanfared):
    server = start_fanfared(*LOG, "everysec")
    client, idle = server.client(), server.client(3)
    client.ok("SET", "k", 0)
    # Within a second or so, over and over: each time behind a change that is not synced yet.
    for value in range(2):
        client.send(encode("SET", "k", value) + encode("WAITAOF", 0, 0, 0) + encode("WAITAOF", 1, 0, LONG))
        assert [client.read_value() for _ in range(3)] == [b"OK", [0, 0], [1, 0]]
        assert client.call("WAITAOF", 0, 0, 0) == [1, 0]
    # One that has changed nothing does not wait for the changes of others.
    client.ok("SET", "k", 3)
    assert idle.call("WAITAOF", 1, 1, 0) == [1, 0]


def test_always_has_synced_when_a_change_is_answered(start_fanfared):
    client = start_fanfared(*LOG, "always").client()
    for value in range(20):
        client.send(encode("SET", "k", value) + encode("WAITAOF", 1, 0, LONG))
        assert [client.read_value(), client.read_value()] == [b"OK", [1, 0]]


def test_no_is_waited_for_until_the_time_is_up_or_the_policy_changes(start_fanfared):
    server = start_fanfared(*LOG, "no")
    client, admin = server.client(), server.client()
    client.ok("SET", "k", "v")
    begun = time.monotonic()
    assert client.call("WAITAOF", 1, 0, 150) == [0, 0]
    assert time.monotonic() - begun >= 0.15
    client.send(encode("WAITAOF", 1, 0, 0))
    wait_for_blocked(admin)
    assert {row["flags"] for row in admin.client_list() if row["cmd"] == "waitaof"} == {"b"}
    admin.ok("CONFIG", "SET", "appendfsync", "everysec")
    assert client.read_value() == [1, 0]
    wait_for_blocked(admin, 0)


def test_switching_the_log_off_ends_the_wait(start_fanfared):
    server = start_fanfared(*LOG, "no")
    client, admin = server.client(), server.client()
    client.ok("SET", "k", "v")
    client.send(encode("WAITAOF", 1, 0, 0))
    wait_for_blocked(admin)
    admin.ok("CONFIG", "SET", "appendonly", "no")
    assert client.read_value() == NO_LOG
    assert client.call("WAITAOF", 1, 0, 0) == NO_LOG
    assert client.call("WAITAOF", 0, 0, 0) == [0, 0]
    admin.ok("CONFIG", "SET", "appendonly", "yes")
    assert client.call("WAITAOF", 1, 0, LONG) == [1, 0]


def test_a_client_that_leaves_waits_no_longer(start_fanfared):
    server = start_fanfared(*LOG, "no")
    client, admin = server.client(), server.client()
    client.ok("SET", "k", "v")
    client.send(encode("WAITAOF", 1, 0, 0))
    wait_for_blocked(admin)
    client.close()
    wait_for_blocked(admin, 0)
