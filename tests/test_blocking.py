"""Commands that wait for a key: which client is served, in which order, and what ends a wait."""

import concurrent.futures
import os
import socket
import struct
import threading
import time

import pytest
import redis

from conftest import require_kind
from lib.daemon import Fanfared, Redis
from lib.resp import encode, error
from lib.wait import seconds, wait_until

UNBLOCKED = error("UNBLOCKED client unblocked via CLIENT UNBLOCK")


# With one loop and with four, unless the run of the tests says how many.
LOOPS = [os.environ["FANFARE_TEST_IO_THREADS"]] if "FANFARE_TEST_IO_THREADS" in os.environ else ["1", "4"]


@pytest.fixture(params=[Redis.name, *LOOPS], ids=lambda param: param if param == Redis.name else f"io-threads {param}")
def server(request, start_redis, start_fanfared):
    """Each test runs beside redis-server, and with other threads that read and write."""
    if request.param == Redis.name:
        require_kind(Redis)
        return start_redis()
    require_kind(Fanfared)
    return start_fanfared("--io-threads", request.param)


@pytest.fixture
def control(server):
    return server.client()


def is_blocked(control, client_id):
    lines = control.client_list("ID", client_id)
    return bool(lines) and "b" in lines[0]["flags"]


class Waiter:
    """A connection with a command that has been seen to wait."""

    def __init__(self, server, control, *words, version=2):
        self.connection = server.client(version)
        self.id = self.connection.call("CLIENT", "ID")
        self.connection.command(*words)
        wait_until(lambda: is_blocked(control, self.id), f"{words} waits")

    def answer(self):
        return self.connection.read_value()

    def still_waits(self, control):
        return is_blocked(control, self.id)


def blocked_clients(control):
    return int(control.info("clients")["blocked_clients"])


def test_who_waits_gets_what_is_pushed(server, control):
    waiter = Waiter(server, control, "BLPOP", "a", "b", 0)
    assert control.call("RPUSH", "b", "x", "y") == 2
    assert waiter.answer() == [b"b", b"x"]
    assert control.call("LRANGE", "b", 0, -1) == [b"y"]


@pytest.mark.parametrize("words, answer", [
    (("BRPOP", "k", 0), [b"k", b"2"]),
    (("BLMPOP", 0, 2, "none", "k", "LEFT"), [b"k", [b"1"]]),
    (("BLMPOP", 0, 1, "k", "RIGHT", "COUNT", 10), [b"k", [b"2", b"1"]]),
    (("BLMOVE", "k", "d", "RIGHT", "LEFT", 0), b"2"),
    (("BRPOPLPUSH", "k", "d", 0), b"2"),
])
def test_each_command_answers_as_the_one_that_does_not_wait(server, control, words, answer):
    waiter = Waiter(server, control, *words)
    control.call("RPUSH", "k", 1, 2)
    assert waiter.answer() == answer


@pytest.mark.parametrize("words, two, three", [
    (("BZPOPMIN", "z", 0), [b"z", b"a", b"1"], [b"z", b"a", 1.0]),
    (("BZPOPMAX", "none", "z", 0), [b"z", b"b", b"2"], [b"z", b"b", 2.0]),
    (("BZMPOP", 0, 1, "z", "MAX", "COUNT", 5), [b"z", [[b"b", b"2"], [b"a", b"1"]]],
     [b"z", [[b"b", 2.0], [b"a", 1.0]]]),
])
@pytest.mark.parametrize("version", [2, 3])
def test_sorted_sets_are_waited_for(server, control, words, two, three, version):
    waiter = Waiter(server, control, *words, version=version)
    control.call("ZADD", "z", 1, "a", 2, "b")
    assert waiter.answer() == (two if version == 2 else three)


def test_they_are_served_in_the_order_in_which_they_began_to_wait(server, control):
    waiters = [Waiter(server, control, "BLPOP", "k", 0) for _ in range(10)]
    assert control.call("RPUSH", "k", *range(7)) == 7
    assert [waiter.answer()[1] for waiter in waiters[:7]] == [b"%d" % n for n in range(7)]
    assert all(waiter.still_waits(control) for waiter in waiters[7:])
    assert control.call("EXISTS", "k") == 0
    assert control.call("RPUSH", "k", *range(7, 12)) == 5
    assert [waiter.answer()[1] for waiter in waiters[7:]] == [b"7", b"8", b"9"]
    assert control.call("LLEN", "k") == 2


def test_they_are_served_before_the_pushers_next_command(server, control):
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.send(encode("RPUSH", "k", "x") + encode("LLEN", "k") + encode("RPUSH", "k", "y"))
    assert [control.read_value() for _ in range(3)] == [1, 0, 1]
    assert waiter.answer() == [b"k", b"x"]


def test_what_follows_a_request_that_waits_is_answered_after_it(server, control):
    waiter = server.client()
    waiter.send(encode("PING", "1") + encode("BLPOP", "k", 0) + encode("PING", "2") + encode("BLPOP", "k2", 0))
    assert waiter.read_value() == b"1"
    assert waiter.nothing_arrives()
    control.call("RPUSH", "k2", "y")
    control.call("RPUSH", "k", "x")
    assert [waiter.read_value() for _ in range(3)] == [[b"k", b"x"], b"2", [b"k2", b"y"]]


def test_one_that_waits_for_the_same_key_twice_is_served_once(server, control):
    waiter = Waiter(server, control, "BLPOP", "k", "k", "k", 0)
    control.call("RPUSH", "k", 1, 2)
    assert waiter.answer() == [b"k", b"1"]
    assert control.call("LRANGE", "k", 0, -1) == [b"2"]


def test_a_transaction_serves_when_it_is_whole(server, control):
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.call("MULTI")
    for words in [("RPUSH", "k", "a"), ("DEL", "k"), ("RPUSH", "k", "b", "c"), ("LPOP", "k")]:
        control.call(*words)
    assert control.call("EXEC") == [1, 1, 2, b"b"]
    assert waiter.answer() == [b"k", b"c"]


def test_the_first_key_to_be_written_is_the_one_that_serves(server, control):
    waiter = Waiter(server, control, "BLPOP", "a", "b", 0)
    control.call("MULTI")
    control.call("RPUSH", "b", "second")
    control.call("RPUSH", "a", "first")
    control.call("EXEC")
    assert waiter.answer() == [b"b", b"second"]
    assert control.call("LLEN", "a") == 1


def test_a_key_that_is_gone_again_or_of_another_type_serves_nobody(server, control):
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.send(b"".join(encode(*words) for words in [
        ("MULTI",), ("RPUSH", "k", "x"), ("DEL", "k"), ("SET", "k", "y"), ("EXEC",)]))
    assert [control.read_value() for _ in range(5)][4][0] == 1
    assert waiter.still_waits(control)
    control.ok("SET", "k", "z")
    control.call("DEL", "k")
    control.call("ZADD", "k", 1, "m")
    assert waiter.still_waits(control)
    control.call("DEL", "k")
    control.call("LPUSH", "k", "at last")
    assert waiter.answer() == [b"k", b"at last"]


def test_those_who_wait_for_another_type_go_on_waiting(server, control):
    lists, sets = Waiter(server, control, "BLPOP", "k", 0), Waiter(server, control, "BZPOPMIN", "k", 0)
    control.call("ZADD", "k", 1, "m")
    assert sets.answer() == [b"k", b"m", b"1"]
    assert lists.still_waits(control)
    control.call("RPUSH", "k", "x")
    assert lists.answer() == [b"k", b"x"]


def test_inside_a_transaction_nothing_waits(server, control):
    control.call("MULTI")
    for words in [("BLPOP", "k", 0), ("BLMOVE", "k", "d", "LEFT", "LEFT", 0), ("BLMPOP", 0, 1, "k", "LEFT"),
                  ("BZPOPMIN", "k", 0), ("RPUSH", "k", "x"), ("BLPOP", "k", 0)]:
        assert control.call(*words) == b"QUEUED"
    assert control.call("EXEC") == [None, None, None, None, 1, [b"k", b"x"]]


def test_a_chain_of_moves_goes_on_to_its_end(server, control):
    movers = [Waiter(server, control, "BLMOVE", f"k{n}", f"k{n + 1}", "LEFT", "RIGHT", 0) for n in range(20)]
    last = Waiter(server, control, "BLPOP", "k20", 0)
    control.send(encode("RPUSH", "k0", "x") + encode("EXISTS", *[f"k{n}" for n in range(21)]))
    assert [control.read_value(), control.read_value()] == [1, 0]
    assert [mover.answer() for mover in movers] == [b"x"] * 20
    assert last.answer() == [b"k20", b"x"]


def test_a_move_to_itself_and_back_ends(server, control):
    waiters = [Waiter(server, control, "BLMOVE", "a", "b", "LEFT", "RIGHT", 0),
               Waiter(server, control, "BLMOVE", "b", "a", "LEFT", "RIGHT", 0),
               Waiter(server, control, "BLMOVE", "a", "a", "LEFT", "RIGHT", 0)]
    control.call("RPUSH", "a", "x")
    assert [waiter.answer() for waiter in waiters] == [b"x"] * 3
    assert control.call("LRANGE", "a", 0, -1) == [b"x"]


def test_a_move_to_a_key_of_another_type_is_refused_and_takes_nothing(server, control):
    control.ok("SET", "d", "string")
    waiter, next_one = Waiter(server, control, "BLMOVE", "k", "d", "LEFT", "LEFT", 0), \
        Waiter(server, control, "BLPOP", "k", 0)
    control.call("RPUSH", "k", "x")
    assert waiter.answer() == error("WRONGTYPE Operation against a key holding the wrong kind of value")
    assert next_one.answer() == [b"k", b"x"]


def test_the_database_counts(server, control):
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.ok("SELECT", 1)
    control.call("RPUSH", "k", "other")
    assert waiter.still_waits(control)
    control.ok("SELECT", 0)
    control.call("RPUSH", "k", "mine")
    assert waiter.answer() == [b"k", b"mine"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("words", [
    ("BLPOP", "k", "0.1"), ("BRPOP", "k", "k2", "0.1"), ("BLMOVE", "k", "d", "LEFT", "LEFT", "0.1"),
    ("BLMPOP", "0.1", 1, "k", "LEFT"), ("BRPOPLPUSH", "k", "d", "0.1"), ("BZPOPMIN", "k", "0.1"),
    ("BZMPOP", "0.1", 1, "k", "MIN")])
def test_time_ends_the_waiting(server, words, version):
    client = server.client(version)
    begun = time.monotonic()
    assert client.call(*words) is None
    assert 0.1 <= time.monotonic() - begun < seconds(1)
    assert client.call("PING", "still there") == b"still there"


def test_times_end_in_their_order_and_exactly(start_fanfared):
    server = start_fanfared()
    times_ms = [300, 20, 250, 1, 130, 130, 400, 55, 201]
    clients = [server.client() for _ in times_ms]
    # How long the process waits for a processor is in each measurement, so each time has several; a time that ends late
    # by design is late in all of them.
    least_late = dict.fromkeys(times_ms, 60.0)

    def wait(client, ms):
        begun = time.monotonic()
        assert client.call("BLPOP", "k", str(ms / 1000)) is None
        late = time.monotonic() - begun - ms / 1000
        assert late >= 0
        least_late[ms] = min(least_late[ms], late)

    for _ in range(20):
        with concurrent.futures.ThreadPoolExecutor(len(times_ms)) as pool:
            list(pool.map(wait, clients, times_ms))
        if max(least_late.values()) < 0.02:
            break
    assert max(least_late.values()) < 0.02, least_late


def test_unblock_answers_as_if_time_were_up_or_with_an_error(server, control):
    first, second = Waiter(server, control, "BLPOP", "k", 0), Waiter(server, control, "BZPOPMIN", "k", 0)
    third = Waiter(server, control, "BLMOVE", "k", "d", "LEFT", "LEFT", 0)
    assert control.call("CLIENT", "UNBLOCK", first.id) == 1
    assert control.call("CLIENT", "UNBLOCK", second.id, "ERROR") == 1
    assert control.call("CLIENT", "UNBLOCK", third.id, "timeout") == 1
    assert first.answer() is None
    assert second.answer() == UNBLOCKED
    assert third.answer() is None
    assert control.call("CLIENT", "UNBLOCK", first.id) == 0
    assert control.call("CLIENT", "UNBLOCK", 123456789) == 0
    assert control.call("RPUSH", "k", "x") == 1
    assert control.call("LLEN", "k") == 1


def test_unblock_inside_a_transaction(server, control):
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.call("MULTI")
    control.call("PING")
    control.call("CLIENT", "UNBLOCK", waiter.id, "ERROR")
    control.call("PING")
    assert control.call("EXEC") == [b"PONG", 1, b"PONG"]
    assert waiter.answer() == UNBLOCKED


def test_who_waits_is_counted_and_marked(server, control):
    before = blocked_clients(control)
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    assert blocked_clients(control) == before + 1
    assert control.client_list("ID", waiter.id)[0]["cmd"] == "blpop"
    control.call("RPUSH", "k", "x")
    waiter.answer()
    assert blocked_clients(control) == before
    calls = control.info("commandstats")["cmdstat_blpop"]
    assert calls.startswith("calls=1,")


def test_killing_ends_the_waiting(server, control):
    victim, other = Waiter(server, control, "BLPOP", "k", 0), Waiter(server, control, "BLPOP", "k", 0)
    control.send(encode("CLIENT", "KILL", "ID", victim.id) + encode("RPUSH", "k", "x"))
    assert [control.read_value(), control.read_value()] == [1, 1]
    assert other.answer() == [b"k", b"x"]
    assert victim.connection.is_closed()


def leave_with_fin(connection):
    connection.close()


def leave_with_reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def leave_half_closed(connection):
    connection.finish_sending()


LEAVING = [leave_with_fin, leave_with_reset, leave_half_closed]


@pytest.mark.parametrize("leave", LEAVING)
def test_nothing_is_given_to_one_that_has_left(server, control, leave):
    before = blocked_clients(control)
    leaver, other = Waiter(server, control, "BLPOP", "k", 0), Waiter(server, control, "BLPOP", "k", 0)
    leave(leaver.connection)
    wait_until(lambda: blocked_clients(control) == before + 1, "the end is noticed")
    assert not control.client_list("ID", leaver.id)
    control.call("RPUSH", "k", "x")
    assert other.answer() == [b"k", b"x"]


@pytest.mark.parametrize("leave", LEAVING)
def test_one_that_leaves_is_noticed_though_it_had_sent_more(server, control, leave):
    before = blocked_clients(control)
    leaver = server.client()
    leaver.send(encode("BLPOP", "k", 0) + encode("PING") * 1000)
    wait_until(lambda: blocked_clients(control) == before + 1, "it waits")
    leaver.send(encode("SET", "x", "y" * 100000))
    leave(leaver)
    wait_until(lambda: blocked_clients(control) == before, "the end is noticed")
    control.call("RPUSH", "k", "x")
    assert control.call("LLEN", "k") == 1
    assert control.call("EXISTS", "x") == 0


@pytest.mark.parametrize("leave", LEAVING)
def test_one_that_waited_before_is_noticed_the_second_time(server, control, leave):
    before = blocked_clients(control)
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.call("RPUSH", "k", "x")
    assert waiter.answer() == [b"k", b"x"]
    waiter.connection.command("BRPOP", "k", 0)
    wait_until(lambda: blocked_clients(control) == before + 1, "it waits")
    leave(waiter.connection)
    wait_until(lambda: blocked_clients(control) == before, "the end is noticed")


def test_no_time_is_spent_on_one_that_was_reset(start_fanfared):
    """libevent goes round and round where only the end of a socket is watched that was reset."""
    server = start_fanfared()
    control = server.client()
    for _ in range(5):
        waiter = Waiter(server, control, "BLPOP", "k", 0)
        leave_with_reset(waiter.connection)
    wait_until(lambda: blocked_clients(control) == 0, "all ends are noticed")
    begun, spent = time.monotonic(), server.cpu_seconds()
    wait_until(lambda: time.monotonic() - begun > 0.5, "half a second")
    assert server.cpu_seconds() - spent < 0.25


def test_a_pipeline_whose_sender_has_finished_is_answered(server, control):
    """As of printf ... | nc: it reads on, though it will send no more."""
    client = server.client()
    client.send(encode("RPUSH", "k", *range(5)) + encode("BLPOP", "k", 0) + encode("PING", "end"))
    client.finish_sending()
    assert client.read_value() == 5
    assert client.read_value() == [b"k", b"0"]
    assert client.read_value() == b"end"
    assert client.is_closed()


@pytest.mark.parametrize("threads", [1, 4])
def test_who_has_finished_sending_still_gets_what_waits_for_other_things(start_fanfared, threads):
    server = start_fanfared("--io-threads", threads)
    control, client = server.client(), server.client()
    control.ok("CLIENT", "PAUSE", 300, "WRITE")
    client.send(encode("RPUSH", "k", "x") + encode("PING", "end"))
    client.finish_sending()
    assert client.read_value() == 1
    assert client.read_value() == b"end"
    assert client.is_closed()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("leave", LEAVING)
def test_one_that_leaves_is_noticed_over_tls(start_tls_fanfared, threads, leave):
    server = start_tls_fanfared("--io-threads", threads)
    control, client = server.client(), server.tls()
    own = client.call("CLIENT", "ID")
    client.command("BLPOP", "k", 0)
    wait_until(lambda: is_blocked(control, own), "it waits")
    leave(client)
    wait_until(lambda: not control.client_list("ID", own), "the end is noticed")
    control.call("RPUSH", "k", "x")
    assert control.call("LLEN", "k") == 1


def test_over_tls_who_stays_is_served(start_tls_fanfared):
    server = start_tls_fanfared()
    control, client = server.client(), server.tls()
    for n in range(3):
        client.command("BLPOP", "k", 0)
        control.call("RPUSH", "k", n)
        assert client.read_value() == [b"k", b"%d" % n]


def test_what_the_user_may_not_do_any_more_is_refused(server, control):
    control.ok("ACL", "SETUSER", "joe", "on", "nopass", "~*", "+@all")
    client = server.client()
    client.ok("AUTH", "joe", "x")
    own = client.call("CLIENT", "ID")
    client.command("BLPOP", "k", 0)
    wait_until(lambda: is_blocked(control, own), "it waits")
    control.ok("ACL", "SETUSER", "joe", "-blpop")
    control.call("RPUSH", "k", "x")
    if isinstance(server, Redis):
        assert client.read_value() == [b"k", b"x"]  # 7.2 refuses
        return
    assert client.read_value() == error("NOPERM this user has no permissions to run the 'blpop' command")
    assert control.call("LLEN", "k") == 1


def test_a_user_that_is_deleted_waits_no_more(server, control):
    control.ok("ACL", "SETUSER", "joe", "on", "nopass", "~*", "+@all")
    client = server.client()
    client.ok("AUTH", "joe", "x")
    own = client.call("CLIENT", "ID")
    client.command("BLPOP", "k", 0)
    wait_until(lambda: is_blocked(control, own), "it waits")
    assert control.call("ACL", "DELUSER", "joe") == 1
    assert client.is_closed()
    control.call("RPUSH", "k", "x")
    assert control.call("LLEN", "k") == 1


def test_subscribers_of_the_third_protocol_may_wait_and_get_messages_meanwhile(server, control):
    client = server.client(3)
    client.subscribe("news")
    client.command("BLPOP", "k", 0)
    wait_until(lambda: blocked_clients(control) == 1, "it waits")
    assert control.call("PUBLISH", "news", "m") == 1
    assert client.read_value() == [b"message", b"news", b"m"]
    control.call("RPUSH", "k", "x")
    assert client.read_value() == [b"k", b"x"]


def test_muted_clients_get_no_answer(server, control):
    client = server.client()
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode("BLPOP", "k", 0) + encode("PING", "next"))
    wait_until(lambda: blocked_clients(control) == 1, "it waits")
    control.call("RPUSH", "k", "x")
    assert client.read_value() == b"next"
    assert control.call("EXISTS", "k") == 0


def test_monitors_see_it_once_and_the_slow_log_not_at_all(server, control):
    monitor = server.client()
    monitor.ok("MONITOR")
    waiter = Waiter(server, control, "BLPOP", "k", 0)
    control.call("RPUSH", "k", "x")
    waiter.answer()
    control.call("PING", "the end")
    seen = []
    while not seen or b"the end" not in seen[-1]:
        seen.append(monitor.read_line())
    assert sum(b'"BLPOP"' in line for line in seen) == 1


def test_many_wait_and_each_is_served_once(server, control):
    connections = [server.connect() for _ in range(300)]
    for n, connection in enumerate(connections):
        connection.command("BLPOP", "k", f"own{n}", 0)
    wait_until(lambda: blocked_clients(control) == 300, "all wait")
    control.call("RPUSH", "own7", "for 7")
    assert connections.pop(7).read_value() == [b"own7", b"for 7"]
    control.call("RPUSH", "k", *range(299))
    got = [connection.read_value()[1] for connection in connections]
    assert sorted(map(int, got)) == list(range(299))
    assert control.call("EXISTS", "k") == 0


def test_shutting_down_ends_the_waiting(server, control):
    waiters = [Waiter(server, control, "BLPOP", "k", 0) for _ in range(3)]
    server.process.terminate()
    assert all(waiter.connection.is_closed() for waiter in waiters)
    server.wait()


def test_a_lame_duck_closes_who_waits(start_fanfared):
    server = start_fanfared("--shutdown-grace", 1)
    control = server.client()
    waiters = [Waiter(server, control, "BLPOP", "k", 0) for _ in range(3)]
    server.process.terminate()
    assert all(waiter.connection.is_closed() for waiter in waiters)
    server.wait()


def test_a_queue_between_redis_py_clients_loses_and_doubles_nothing(server):
    got, lock = [], threading.Lock()

    def consume():
        with redis.Redis(port=server.port, socket_timeout=seconds(30)) as client:
            while True:
                _, value = client.blpop(["jobs", "more jobs"], timeout=0)
                if value == b"stop":
                    return
                with lock:
                    got.append(value)

    def produce(first):
        with redis.Redis(port=server.port, socket_timeout=seconds(30)) as client:
            for n in range(first, first + 250):
                client.rpush("jobs" if n % 3 else "more jobs", n)

    consumers = [threading.Thread(target=consume) for _ in range(6)]
    producers = [threading.Thread(target=produce, args=(n * 250,)) for n in range(4)]
    for thread in consumers + producers:
        thread.start()
    for thread in producers:
        thread.join()
    with redis.Redis(port=server.port) as client:
        # A "stop" would overtake the rest of the second list.
        wait_until(lambda: not client.exists("jobs", "more jobs"), "all jobs are taken", 30)
        for _ in consumers:
            client.rpush("jobs", "stop")
    for thread in consumers:
        thread.join()
    assert sorted(map(int, got)) == list(range(1000))


def log_of(folder):
    """The commands in the append-only file, without its annotations."""
    lines = (folder / "appendonly.aof").read_bytes().split(b"\r\n")
    commands, at = [], 0
    while at < len(lines):
        if not lines[at].startswith(b"*"):
            at += 1
            continue
        count = int(lines[at][1:])
        commands.append(b" ".join(lines[at + 2:at + 2 + 2 * count:2]))
        at += 1 + 2 * count
    return commands


def test_the_log_does_not_wait(start_fanfared, folder):
    server = start_fanfared("--appendonly", "yes", "--appendfsync", "always")
    control = server.client()
    waiters = [Waiter(server, control, *words) for words in [
        ("BLPOP", "a", 0), ("BRPOP", "a", 0), ("BLMOVE", "b", "c", "LEFT", "RIGHT", 0), ("BRPOPLPUSH", "c", "d", 0),
        ("BLMPOP", 0, 1, "e", "LEFT", "COUNT", 9), ("BZPOPMIN", "z", 0), ("BZMPOP", 0, 1, "y", "MAX", "COUNT", 9)]]
    for words in [("RPUSH", "a", 1, 2, 3), ("RPUSH", "b", "v"), ("RPUSH", "e", 1, 2), ("ZADD", "z", 1, "m"),
                  ("ZADD", "y", 1, "m", 2, "n", 3, "o")]:
        control.call(*words)
    for waiter in waiters:
        waiter.answer()
    assert [command for command in log_of(folder) if not command.startswith(b"SELECT")] == [
        b"RPUSH a 1 2 3", b"LPOP a", b"RPOP a", b"RPUSH b v", b"LMOVE b c LEFT RIGHT", b"LMOVE c d RIGHT LEFT",
        b"RPUSH e 1 2", b"LPOP e 2", b"ZADD z 1 m", b"ZPOPMIN z 1", b"ZADD y 1 m 2 n 3 o", b"ZPOPMAX y 3"]
    server.kill()
    control = server.start().client()
    assert sorted(control.call("KEYS", "*")) == [b"a", b"d"]
    assert control.call("LRANGE", "a", 0, -1) == [b"2"]
