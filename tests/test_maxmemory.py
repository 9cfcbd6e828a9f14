"""maxmemory: keys are evicted by maxmemory-policy, or commands are refused; evictions are announced."""

import pytest

from lib.resp import Connection, encode, error
from lib.wait import wait_until

KB = 1 << 10
MB = 1 << 20
VALUE = b"x" * 1200  # nearly fills a size class of each allocator
OOM = error("OOM command not allowed when used memory > 'maxmemory'.")


def start(start_fanfared, policy, limit=4 * MB, *options):
    daemon = start_fanfared("--maxmemory", limit, "--maxmemory-policy", policy, *options)
    return daemon, daemon.connect(timeout=30)


def call_all(connection, commands, at_once=1000):
    """The answers to many commands."""
    answers = []
    commands = list(commands)
    for at in range(0, len(commands), at_once):
        part = commands[at:at + at_once]
        connection.send(b"".join(encode(*words) for words in part))
        answers += [connection.read_value() for _ in part]
    return answers


def fill(connection, prefix, count, *options):
    answers = call_all(connection, (["SET", b"%s:%d" % (prefix, n), VALUE, *options] for n in range(count)))
    assert set(answers) == {b"OK"}


def left(connection, prefix, count):
    """How many of these keys are there."""
    return sum(call_all(connection, (["EXISTS", b"%s:%d" % (prefix, n)] for n in range(count))))


def used(connection):
    return int(connection.info("memory")["used_memory_dataset"])


def evicted(connection):
    return int(connection.info("stats")["evicted_keys"])


def test_under_noeviction_commands_that_need_memory_are_refused(start_fanfared):
    _, client = start(start_fanfared, "noeviction")
    answers = call_all(client, (["SET", b"k:%d" % n, VALUE] for n in range(6000)))
    count = answers.index(OOM)
    assert 3000 < count < 4096 and set(answers[count:]) == {OOM}
    for words in (["APPEND", "k:0", "x"], ["LPUSH", "l", "x"], ["HSET", "h", "f", "v"], ["SADD", "s", "m"],
                  ["ZADD", "z", "1", "m"], ["INCR", "n"], ["MSET", "a", "b"], ["COPY", "k:0", "k:x"]):
        assert client.call(*words) == OOM
    assert client.call("GET", "k:0") == VALUE
    assert client.call("EXPIRE", "k:0", "100") == 1
    assert client.call("RENAME", "k:0", "k:y") == b"OK"
    assert client.call("PUBLISH", "c", "m") == 0
    assert client.call("DBSIZE") == count and evicted(client) == 0
    assert client.call("DEL", *(b"k:%d" % n for n in range(1, 100))) == 99
    assert client.call("SET", "new", VALUE) == b"OK"
    assert client.call("CONFIG", "SET", "maxmemory", "0") == b"OK"
    fill(client, b"more", 2000)


def test_a_transaction_is_refused_as_a_whole(start_fanfared):
    _, client = start(start_fanfared, "noeviction")
    call_all(client, (["SET", b"k:%d" % n, VALUE] for n in range(6000)))
    assert client.call("MULTI") == b"OK"
    assert client.call("GET", "k:0") == OOM
    assert client.call("EXEC") == error("EXECABORT Transaction discarded because of previous errors.")
    assert client.call("CONFIG", "SET", "maxmemory", "0") == b"OK"
    assert client.call("MULTI") == b"OK"
    assert client.call("SET", "a", "b") == b"QUEUED"
    other = client
    other.command("GET", "k:0")
    assert other.read_value() == b"QUEUED"
    daemon_client = Connection(client.socket.getpeername())
    assert daemon_client.call("CONFIG", "SET", "maxmemory", "1mb") == b"OK"
    assert client.call("EXEC").text.startswith(b"EXECABORT Transaction discarded because of: OOM")
    assert client.call("GET", "a") is None
    # What needs no memory is done, once it is queued.
    assert daemon_client.call("CONFIG", "SET", "maxmemory", "0") == b"OK"
    assert client.call("MULTI") == b"OK"
    assert client.call("DEL", "k:0") == b"QUEUED"
    assert daemon_client.call("CONFIG", "SET", "maxmemory", "1mb") == b"OK"
    assert client.call("EXEC") == [1]
    daemon_client.close()


def test_under_allkeys_lru_what_was_used_lately_stays(start_fanfared):
    _, client = start(start_fanfared, "allkeys-lru")
    fill(client, b"old", 1300)
    fill(client, b"hot", 1300)
    wait_until(lambda: client.call("OBJECT", "IDLETIME", "old:0") >= 2, "two seconds of idleness")
    call_all(client, (["GET", b"hot:%d" % n] for n in range(1300)))
    fill(client, b"new", 1300)
    assert evicted(client) >= 500
    assert used(client) <= 4 * MB
    assert left(client, b"hot", 1300) >= 1250
    assert left(client, b"new", 1300) >= 1250
    assert left(client, b"old", 1300) < 1000


def test_under_allkeys_lfu_what_is_used_often_stays(start_fanfared):
    _, client = start(start_fanfared, "allkeys-lfu")
    fill(client, b"hot", 1000)
    for _ in range(30):
        call_all(client, (["GET", b"hot:%d" % n] for n in range(1000)))
    assert client.call("OBJECT", "FREQ", "hot:0") > 5
    fill(client, b"new", 6000)
    assert evicted(client) >= 3000
    assert left(client, b"hot", 1000) >= 950


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_under_volatile_policies_only_keys_that_end_go(start_fanfared, policy):
    _, client = start(start_fanfared, policy)
    fill(client, b"stays", 1000)
    fill(client, b"goes", 1000, "EX", 1000)
    answers = call_all(client, (["SET", b"new:%d" % n, VALUE] for n in range(4000)))
    assert left(client, b"stays", 1000) == 1000
    assert left(client, b"goes", 1000) == 0
    assert evicted(client) == 1000
    # Then there is nothing more that may go.
    count = answers.index(OOM)
    assert set(answers[:count]) == {b"OK"} and set(answers[count:]) == {OOM}
    assert left(client, b"new", 4000) == count


def test_under_volatile_ttl_the_one_that_ends_first_goes_first(start_fanfared):
    _, client = start(start_fanfared, "volatile-ttl")
    call_all(client, (["SET", b"k:%d" % n, VALUE, "EX", 10000 - n] for n in range(3000)))
    fill(client, b"new", 1500)
    gone = 3000 - left(client, b"k", 3000)
    assert gone == evicted(client) > 0
    assert left(client, b"k", 3000 - gone) == 3000 - gone


def test_under_allkeys_random_any_key_goes(start_fanfared):
    _, client = start(start_fanfared, "allkeys-random")
    fill(client, b"a", 2000)
    assert client.call("SELECT", "7") == b"OK"
    fill(client, b"b", 5000)
    assert 1000 < left(client, b"b", 5000) < 4000
    assert client.call("SELECT", "0") == b"OK"
    assert left(client, b"a", 2000) < 2000
    assert used(client) <= 4 * MB


def test_who_hears_of_keys_hears_that_they_were_evicted(start_fanfared):
    daemon, client = start(start_fanfared, "allkeys-lru", 4 * MB, "--notify-keyspace-events", "Ee")
    listener = daemon.connect()
    listener.subscribe("__keyevent@0__:evicted")
    fill(client, b"k", 5000)
    count = evicted(client)
    heard = {listener.read_value()[2] for _ in range(count)}
    assert len(heard) == count
    assert client.call("EXISTS", *heard) == 0


def test_a_watched_key_that_is_evicted_was_changed(start_fanfared):
    daemon, client = start(start_fanfared, "volatile-ttl")
    assert client.call("SET", "k", VALUE, "EX", "100") == b"OK"
    assert client.call("WATCH", "k") == b"OK"
    fill(daemon.connect(timeout=30), b"more", 3000, "EX", 1000)
    fill(daemon.connect(timeout=30), b"yet", 3000, "EX", 1000)
    assert client.call("EXISTS", "k") == 0
    assert client.call("MULTI") == b"OK"
    assert client.call("PING") == b"QUEUED"
    assert client.call("EXEC") is None


def test_a_lower_limit_is_put_to_use_without_any_command(start_fanfared):
    _, client = start(start_fanfared, "allkeys-lru", 64 * MB)
    fill(client, b"k", 20000)
    assert evicted(client) == 0
    assert client.call("CONFIG", "SET", "maxmemory", "2mb") == b"OK"
    wait_until(lambda: used(client) <= 2 * MB, "what is too much gone")
    assert 0 < client.call("DBSIZE") < 2000
    assert client.info("memory")["maxmemory"] == "2097152"
    assert client.info("memory")["maxmemory_policy"] == "allkeys-lru"
    assert client.call("CONFIG", "SET", "maxmemory-policy", "nosuch").text.startswith(b"ERR CONFIG SET failed")


def test_a_large_value_that_went_makes_room_though_it_is_freed_in_slices(start_fanfared):
    _, client = start(start_fanfared, "volatile-lru", 32 * MB)
    for at in range(0, 300000, 1000):
        client.call("SADD", "large", *(b"member:%d" % n for n in range(at, at + 1000)))
    assert client.call("EXPIRE", "large", "1000") == 1
    # It goes at the first command past the limit, and none is refused while its members are freed.
    assert client.call("CONFIG", "SET", "maxmemory", "4mb") == b"OK"
    fill(client, b"k", 1000)
    assert client.call("EXISTS", "large") == 0
    assert evicted(client) == 1
    assert left(client, b"k", 1000) == 1000


def test_flushing_makes_room_at_once(start_fanfared):
    _, client = start(start_fanfared, "noeviction", 16 * MB)
    call_all(client, (["SET", b"k:%d" % n, VALUE] for n in range(20000)))
    assert client.call("SET", "new", VALUE) == OOM
    client.send(encode("FLUSHALL") + encode("SET", "new", VALUE))
    assert client.read_value() == b"OK"
    assert client.read_value() == b"OK"
    assert client.call("DBSIZE") == 1


def test_what_clients_are_owed_does_not_count(start_fanfared):
    daemon, client = start(start_fanfared, "allkeys-lru")
    fill(client, b"k", 1000)
    listener = daemon.connect()
    listener.subscribe("c")
    for _ in range(100):
        assert client.call("PUBLISH", "c", b"x" * 100 * KB) == 1
    assert client.call("SET", "new", "v") == b"OK"
    assert left(client, b"k", 1000) == 1000 and evicted(client) == 0


def test_what_was_evicted_is_gone_after_a_restart_too(start_fanfared):
    options = ("--appendonly", "yes", "--appendfsync", "always")
    daemon, client = start(start_fanfared, "allkeys-random", 2 * MB, *options)
    fill(client, b"k", 3000)
    assert evicted(client) > 1000
    names = sorted(client.call("KEYS", "*"))
    daemon.kill()
    client = start_fanfared("--maxmemory", 2 * MB, *options).connect(timeout=30)
    assert sorted(client.call("KEYS", "*")) == names


def test_what_is_on_disk_is_loaded_though_it_is_more_than_maxmemory(start_fanfared):
    options = ("--appendonly", "yes", "--appendfsync", "always")
    daemon, client = start(start_fanfared, "noeviction", 0, *options)
    fill(client, b"k", 3000)
    daemon.kill()
    _, client = start(start_fanfared, "noeviction", MB, *options)
    assert client.call("DBSIZE") == 3000
    assert client.call("SET", "new", "v") == OOM
