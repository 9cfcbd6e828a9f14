"""Keyspace notifications: which events, on which channels, in which order, and when."""

import time

import pytest

from lib.resp import Error
from lib.wait import seconds, wait_until

KEYSPACE, KEYEVENT = b"__keyspace@0__:", b"__keyevent@0__:"


def listening(server, letters, pattern="__key*"):
    """A client that changes keys, and one that receives the notifications."""
    client, listener = server.connect(), server.connect()
    client.ok("CONFIG", "SET", "notify-keyspace-events", letters)
    listener.subscribe(pattern, kind="PSUBSCRIBE")
    return client, listener


def heard(client, listener):
    """[(channel, message)] of all that was published so far."""
    client.call("PUBLISH", "__key-end", "")
    messages = []
    while True:
        _, _, channel, message = listener.read_value()
        if channel == b"__key-end":
            return messages
        messages.append((channel, message))


@pytest.mark.parametrize("letters, shown", [
    ("", ""), ("K", "K"), ("KEA", "AKE"), ("g$lshzxetdK", "AK"), ("Kzlg", "glzK"), ("mAE", "AEm"), ("nE", "nE"), ("gg", "g"),
    ("AKE$", "AKE"),
])
def test_letters_are_shown_in_the_normal_form(server, letters, shown):
    client = server.connect()
    client.ok("CONFIG", "SET", "notify-keyspace-events", letters)
    assert client.call("CONFIG", "GET", "notify-keyspace-events") == [b"notify-keyspace-events", shown.encode()]


@pytest.mark.parametrize("letters", ["Q", "KEA ", "ke", "K\0"])
def test_a_letter_that_is_none_is_refused_and_changes_nothing(server, letters):
    client = server.connect()
    client.ok("CONFIG", "SET", "notify-keyspace-events", "KA")
    answer = client.call("CONFIG", "SET", "notify-keyspace-events", letters)
    if letters != "K\0":  # Redis sees it end at the NUL
        assert answer == Error(b"CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event "
                               b"class character. Use 'Ag$lshzxeKEtmdn'.") or answer.text.startswith(b"ERR CONFIG")
        assert client.call("CONFIG", "GET", "notify-keyspace-events")[1] == b"AK"


def test_it_is_off_by_default(server):
    client, listener = server.connect(), server.connect()
    listener.subscribe("*", kind="PSUBSCRIBE")
    client.ok("SET", "a", "1")
    assert heard_any(client, listener) == []


def heard_any(client, listener):
    client.call("PUBLISH", "end", "")
    messages = []
    while (message := listener.read_value()[2:])[0] != b"end":
        messages.append(message)
    return messages


def test_each_event_goes_to_the_keys_channel_and_to_its_own(server):
    client, listener = listening(server, "KEA")
    client.ok("SET", "a", "1")
    client.call("DEL", "a", "none")
    assert heard(client, listener) == [
        (KEYSPACE + b"a", b"set"), (KEYEVENT + b"set", b"a"), (KEYSPACE + b"a", b"del"), (KEYEVENT + b"del", b"a")]


# Commands and their effects on keys. Some commands do not exist in every daemon.
SCRIPTS = {
    "strings": ["SET a 1", "SET a 2 EX 100", "SET a 2 NX", "SETEX a 10 v", "PSETEX a 10000 v", "SETNX a 1", "SETNX n 1",
                "GETSET a 2", "INCR i", "DECR i", "INCRBY i 4", "DECRBY i 2", "INCRBYFLOAT i 1", "APPEND a x", "SETRANGE a 0 yy",
                "MSET p 1 q 2", "MSETNX p 1 z 2", "MSETNX x1 1 x2 2", "GETDEL p", "GETEX q EX 100", "GETEX q PERSIST", "GET none",
                "SETBIT bits 7 1"],
    "times": ["SET a 1", "EXPIRE a 100", "PEXPIRE a 100000", "PERSIST a", "PERSIST a", "EXPIREAT a 9999999999", "EXPIRE none 1",
              "EXPIRE a -1", "SET b 1", "PEXPIREAT b 1"],
    "keys": ["SET a 1", "RENAME a b", "RENAMENX b c", "SET d 1", "RENAMENX c d", "COPY c e", "COPY c e REPLACE", "MOVE c 1",
             "DEL d", "UNLINK e", "EXISTS none", "TOUCH none", "TYPE none", "TTL none"],
    "hashes": ["HSET h a 1 b 2", "HSET h a 3", "HSETNX h a 3", "HSETNX h c 3", "HMSET h d 4", "HINCRBY h n 1",
               "HINCRBYFLOAT h n 1.5", "HDEL h a none", "HDEL h b c d n"],
    "lists": ["RPUSH l a b c d", "LPUSH l z", "LPUSHX none a", "LINSERT l BEFORE a y", "LINSERT l BEFORE none y", "LSET l 0 q",
              "LREM l 0 a", "LREM l 0 none", "LTRIM l 0 2", "LPOP l", "RPOP l", "LMOVE l m LEFT RIGHT", "RPOPLPUSH m l",
              "LPOP l 5"],
    "sets": ["SADD s a b c", "SADD s a", "SREM s a none", "SMOVE s t b", "SUNIONSTORE u s t", "SINTERSTORE u s t",
             "SDIFFSTORE u s t", "SPOP s", "SREM t b"],
    "sorted sets": ["ZADD z 1 a 2 b 3 c", "ZADD z 1 a", "ZADD z INCR 2 a", "ZINCRBY z 1 a", "ZREM z a none", "ZADD y 1 b",
                    "ZUNIONSTORE u 2 z y", "ZINTERSTORE u 2 z none", "ZRANGESTORE w z 0 -1", "ZPOPMIN w", "ZPOPMAX w",
                    "ZREMRANGEBYSCORE z 2 2", "ZREMRANGEBYRANK z 0 -1", "ZREMRANGEBYLEX y - +", "ZDIFFSTORE v 1 y"],
    "transactions": ["MULTI", "SET a 1", "DEL a", "SELECT 1", "SET a 1", "EXEC", "SET b 1"],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_commands_cause_the_events_that_they_cause_in_redis(start_redis, start_fanfared, name):
    outcomes = []
    for server in (start_redis(), start_fanfared()):
        client, listener = listening(server, "KEAmn")
        control = server.connect()
        outcome = []
        for line in SCRIPTS[name]:
            client.call(*line.split())
            outcome.append((line, heard(control, listener)))
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1]


def test_an_expired_key_is_told_within_a_tenth_of_a_second(start_fanfared):
    fanfared = start_fanfared()
    client, listener = listening(fanfared, "Ex")
    begun = time.time()
    at_ms = int(begun * 1000) + 200
    for number in range(50):
        client.ok("SET", f"k{number}", "1", "PXAT", str(at_ms + number * 10))
    for number in range(50):
        assert listener.read_value()[2:] == [KEYEVENT + b"expired", b"k%d" % number]
        late = time.time() - (at_ms + number * 10) / 1000
        assert 0 <= late < seconds(0.1), f"k{number} came {late} s late"


def test_many_that_expire_at_once_are_all_told(start_fanfared):
    fanfared = start_fanfared()
    client, listener = listening(fanfared, "Ex")
    at_ms = str(int(time.time() * 1000) + 500)
    for number in range(2000):
        client.ok("SET", f"k{number}", "1", "PXAT", at_ms)
    assert {listener.read_value()[3] for _ in range(2000)} == {b"k%d" % number for number in range(2000)}
    assert client.call("DBSIZE") == 0


# What only fanfared has.


def test_a_subscriber_under_block_never_makes_a_writer_wait(start_fanfared):
    fanfared = start_fanfared("--outbox-limit-messages", 10, "--outbox-block-timeout", 600000)
    slow = fanfared.connect(receive_buffer=4096)
    slow.ok("CLIENT", "SETNAME", "slow")
    slow.ok("OUTBOX", "SET", "POLICY", "block")
    slow.subscribe("__keyevent@0__:set")
    client = fanfared.connect()
    client.ok("CONFIG", "SET", "notify-keyspace-events", "KEA")
    name = "k" * 4000

    def is_gone():
        for _ in range(100):
            client.ok("SET", name, "1")
        return all(line["name"] != "slow" for line in client.client_list())

    wait_until(is_gone, "the subscriber is closed", 30)


def test_a_key_with_a_name_longer_than_a_channels_is_skipped_and_counted(start_fanfared):
    fanfared = start_fanfared("--max-channel-length", 100)
    client, listener = listening(fanfared, "KE$")
    client.ok("SET", "k" * 85, "1")
    client.ok("SET", "k" * 86, "1")
    assert [channel for channel, _ in heard(client, listener)] == [
        KEYSPACE + b"k" * 85, KEYEVENT + b"set", KEYEVENT + b"set"]
    assert client.info("pubsub")["notifications_skipped"] == "1"


def test_the_empty_name_is_a_payload_as_well(start_fanfared):
    fanfared = start_fanfared("--notify-keyspace-events", "Em")
    listener, client = fanfared.connect(), fanfared.connect()
    listener.subscribe(KEYEVENT + b"keymiss")
    assert client.call("GET", "") is None
    assert listener.read_value() == [b"message", KEYEVENT + b"keymiss", b""]


def test_it_can_stand_in_the_configuration_file_and_is_written_there(start_fanfared, folder):
    path = folder / "events.conf"
    path.write_text("notify-keyspace-events KEA\n")
    fanfared = start_fanfared("-c", path)
    client = fanfared.connect()
    assert client.call("CONFIG", "GET", "notify-keyspace-events")[1] == b"AKE"
    client.ok("CONFIG", "SET", "notify-keyspace-events", "")
    client.ok("CONFIG", "REWRITE")
    assert 'KEA' not in path.read_text()
