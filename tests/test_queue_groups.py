"""Queue groups: QSUBSCRIBE, queue names, messages to one member of a group, members that leave."""

import random

import pytest
import redis

from lib.resp import Closed, error
from lib.wait import seconds, wait_until

BOTH_FORMS = pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])


@pytest.fixture(params=["1", "4"], ids=["1 loop", "4 loops"])
def daemon(request, start_fanfared):
    return start_fanfared("--io-threads", request.param)


def member(daemon, version, group, *names):
    client = daemon.client(version)
    client.command("QSUBSCRIBE", group, *names)
    for count, name in enumerate(names):
        assert list(client.read_value()) == [b"qsubscribe", group.encode(), name.encode(), count + 1]
    return client


@BOTH_FORMS
def test_members_get_messages_in_turn(daemon, version):
    workers = [member(daemon, version, "g", "jobs") for _ in range(3)]
    audit = member(daemon, version, "audit", "jo*")
    plain = daemon.client(version)
    plain.subscribe("jobs")
    publisher = daemon.connect()
    assert publisher.call("PUBSUB", "NUMSUB", "jobs") == [b"jobs", 2]
    assert publisher.call("MPUBLISH", *(word for n in range(9) for word in ("jobs", str(n)))) == [3] * 9
    got = [[int(worker.read_value()[2]) for _ in range(3)] for worker in workers]
    assert sorted(sum(got, [])) == list(range(9)) and all(part == sorted(part) for part in got)
    assert [list(audit.read_value()) for _ in range(9)] == [
        [b"pmessage", b"jo*", b"jobs", b"%d" % n] for n in range(9)]
    assert [int(plain.read_value()[2]) for _ in range(9)] == list(range(9))
    workers[0].command("QUNSUBSCRIBE")
    assert list(workers[0].read_value()) == [b"qunsubscribe", b"g", b"jobs", 0]
    assert workers[0].call("PING") in (b"PONG", [b"pong", b""])


def test_a_worker_with_redis_py(daemon):
    with redis.Redis(port=daemon.port, socket_timeout=seconds(10)) as client:
        connection = client.connection_pool.get_connection("QSUBSCRIBE")
        connection.send_command("QSUBSCRIBE", "g", "jobs")
        assert connection.read_response() == [b"qsubscribe", b"g", b"jobs", 1]
        assert client.publish("jobs", "1") == 1
        assert connection.read_response() == [b"message", b"jobs", b"1"]
        connection.disconnect()


def test_workers_with_pubsub_objects_of_redis_py(daemon):
    """Handlers are found by the names that were subscribed to, so messages must carry them."""
    with redis.Redis(port=daemon.port, socket_timeout=seconds(10)) as client:
        assert client.config_set("queue-groups", "yes")
        jobs, audits = [], []
        workers = [client.pubsub(ignore_subscribe_messages=True) for _ in range(2)]
        for worker in workers:
            worker.subscribe(**{"$queue/workers/jobs": jobs.append})
            worker.psubscribe(**{"$queue/audit/jo*": audits.append})
        for worker in workers:
            wait_until(lambda: worker.get_message(timeout=0.1) is None, "confirmations")
        wait_until(lambda: client.pubsub_numsub("$queue/workers/jobs", "jobs") ==
                   [(b"$queue/workers/jobs", 2), (b"jobs", 1)], "two members of one group")
        assert [client.publish("jobs", str(n)) for n in range(10)] == [2] * 10

        def all_have_come():
            for worker in workers:
                worker.get_message(timeout=0.1)
            return len(jobs) == len(audits) == 10
        wait_until(all_have_come, "each message once for each group")
        assert {m["channel"] for m in jobs} == {b"$queue/workers/jobs"}
        assert {(m["pattern"], m["channel"]) for m in audits} == {(b"$queue/audit/jo*", b"jobs")}
        expected = [b"%d" % n for n in range(10)]
        assert sorted(m["data"] for m in jobs) == sorted(m["data"] for m in audits) == expected
        workers[0].close()
        wait_until(lambda: client.pubsub_numsub("$queue/workers/jobs") == [(b"$queue/workers/jobs", 1)], "one is left")
        workers[1].unsubscribe("$queue/workers/jobs")
        workers[1].punsubscribe()
        wait_until(lambda: not workers[1].get_message(timeout=0.1) and not workers[1].subscribed, "none is left")
        assert client.publish("jobs", "x") == 0
        workers[1].close()


@BOTH_FORMS
def test_the_directive_decides_what_a_queue_name_is(daemon, version):
    admin = daemon.connect()
    assert admin.call("CONFIG", "GET", "queue-groups") == [b"queue-groups", b"no"]
    plain = daemon.client(version)
    plain.subscribe("$queue/g/a")
    admin.ok("CONFIG", "SET", "queue-groups", "yes")
    named = daemon.client(version)
    named.subscribe("$queue/g/a")
    assert named.call("SUBSCRIBE", "$queue/g") == error("ERR Invalid queue name '$queue/g': must be $queue/GROUP/NAME")
    assert admin.call("PUBLISH", "a", "1") == 1
    assert admin.call("PUBLISH", "$queue/g/a", "2") == 1
    assert list(named.read_value()) == [b"message", b"$queue/g/a", b"1"]
    assert list(plain.read_value()) == [b"message", b"$queue/g/a", b"2"]


def test_a_user_may_join_what_it_may_subscribe_to(daemon):
    client = daemon.connect()
    client.ok("ACL", "SETUSER", "u", "on", "nopass", "+@all", "&jobs*")
    client.ok("AUTH", "u", "x")
    refused = error("NOPERM this user has no permissions to access one of the channels used as arguments")
    assert client.call("QSUBSCRIBE", "g", "other") == refused
    assert client.call("QSUBSCRIBE", "g", "jobs?") == refused
    assert client.call("QSUBSCRIBE", "other", "jobs*") == [b"qsubscribe", b"other", b"jobs*", 1]


def test_no_message_is_lost_when_members_that_have_not_read_leave(daemon):
    """Members that never read leave one after the other; the last one reads. What the kernel has taken is gone."""
    count, payload = 4000, "x" * 5000
    stuck = []
    for _ in range(4):
        client = daemon.connect(receive_buffer=4096, timeout=60)
        client.ok("OUTBOX", "SET", "POLICY", "block", "MESSAGES", "0", "BYTES", "0")
        assert client.call("QSUBSCRIBE", "g", "jobs") == [b"qsubscribe", b"g", b"jobs", 1]
        stuck.append(client)
    publisher = daemon.connect(timeout=60)
    for n in range(count):
        publisher.command("PUBLISH", "jobs", f"{n:06d}{payload}")
    assert [publisher.read_value() for _ in range(count)] == [1] * count
    last = member(daemon, 3, "g", "jobs")
    dice = random.Random(3)
    got = set()
    while stuck:
        leaver = stuck.pop(dice.randrange(len(stuck)))
        leaver.finish_sending()  # the daemon sends what it has taken from the outbox, and closes
        leaver.socket.settimeout(seconds(10))
        got |= read_ids(leaver)
    while len(got) < count:
        got.add(int(last.read_value()[2][:6]))
    assert got == set(range(count))


def read_ids(client):
    ids = set()
    try:
        while True:
            ids.add(int(client.read_value()[2][:6]))
    except Closed:
        return ids
