"""The byte stream: splits, malformed input, half-close, large values, pipelines."""

import socket
import threading
import time

import pytest

from lib.malformed import MALFORMED
from lib.resp import Connection, encode, error
from lib.streams import STREAMS
from lib.wait import SLOW, wait_until


@pytest.fixture
def both(start_redis, start_fanfared):
    return start_redis(), start_fanfared()


def answer(server, version, pieces, other=None):
    """All bytes that the server answers to a stream delivered in these pieces.

    A round trip on another connection between two pieces makes the server read them apart.
    """
    with Connection(server.address) as connection:
        if version == 3:
            connection.hello(3)
        for piece in pieces:
            connection.send(piece)
            if other is not None:
                assert other.call("PING") == b"PONG"
        return connection.read_to_end()


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_answered_as_redis_answers_it(both, name):
    redis, fanfared = both
    version, stream = STREAMS[name]
    assert answer(fanfared, version, [stream]) == answer(redis, version, [stream])


@pytest.mark.parametrize("name", STREAMS)
def test_bytes_that_come_one_at_a_time_are_answered_as_if_they_came_at_once(server, name):
    version, stream = STREAMS[name]
    whole = answer(server, version, [stream])
    single = answer(server, version, [stream[at:at + 1] for at in range(len(stream))], server.connect())
    assert single == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_in_two_anywhere_is_answered_as_if_it_came_at_once(server, name):
    version, stream = STREAMS[name]
    whole = answer(server, version, [stream])
    other = server.connect()
    for at in range(1, len(stream)):
        assert answer(server, version, [stream[:at], stream[at:]], other) == whole, f"cut at {at}"


def answer_to_malformed(server, data):
    """What comes back, whether the server closes by itself or only because we finished sending."""
    with Connection(server.address) as connection:
        try:
            connection.send(data)
            connection.finish_sending()
        except OSError:
            pass  # closed while we were sending
        return connection.read_to_end()


def redis_goes_its_own_way(data):
    """Redis takes a NUL for the end of what arrived, so that a line with one is never complete; whether it
    finds a line too long depends on the sizes of its reads; and it takes up to 2^31 arguments."""
    return b"\0" in data or len(data) > 65536 or data.startswith((b"*1048577", b"*2147483647"))


def test_malformed_input_gets_the_error_that_redis_gives(both):
    redis, fanfared = both
    assert len(MALFORMED) >= 200
    different = []
    compared = 0
    for data in MALFORMED:
        if redis_goes_its_own_way(data):
            continue
        expected, got = answer_to_malformed(redis, data), answer_to_malformed(fanfared, data)
        compared += 1
        if got != expected:
            different.append(f"{data[:80]!r} ({len(data)} bytes): {got[:200]!r}, redis: {expected[:200]!r}")
    assert not different, "\n".join([f"{len(different)} differ", *different])
    assert compared >= 200


def test_a_nul_in_a_header_is_an_error_and_a_line_too_long_is_too(fanfared):
    assert answer_to_malformed(fanfared, b"*1\0\r\n") == b"-ERR Protocol error: invalid multibulk length\r\n"
    assert answer_to_malformed(fanfared, b"*1\r\n$4\0\r\n") == b"-ERR Protocol error: invalid bulk length\r\n"
    assert answer_to_malformed(fanfared, b"x" * 65537) == b"-ERR Protocol error: too big inline request\r\n"
    assert answer_to_malformed(fanfared, b"*1048577\r\n") == b"-ERR Protocol error: invalid multibulk length\r\n"


def test_after_each_malformed_input_ping_is_answered_and_no_connection_is_left(server):
    watcher = server.connect()
    for data in MALFORMED:
        answer_to_malformed(server, data)
        assert watcher.call("PING") == b"PONG", data
        wait_until(lambda: len(watcher.client_list()) == 1, f"only the watcher is left after {data[:80]!r}")
    assert watcher.info("clients")["connected_clients"] == "1"


def test_malformed_input_that_is_not_finished_is_dropped_with_its_connection(server):
    watcher = server.connect()
    for data in MALFORMED[::5]:
        with Connection(server.address) as connection:
            try:
                connection.send(data)
            except OSError:
                pass
        assert watcher.call("PING") == b"PONG", data
    wait_until(lambda: len(watcher.client_list()) == 1, "only the watcher is left")


def test_the_bytes_behind_a_protocol_error_are_not_run(server):
    watcher = server.connect()
    watcher.subscribe("c")
    bad = server.connect()
    bad.send(b"*1\r\n$x\r\n" + encode("PUBLISH", "c", "must not arrive"))
    assert bad.read_to_end() == b"-ERR Protocol error: invalid bulk length\r\n"
    assert server.connect().call("PUBLISH", "c", "arrives") == 1
    assert watcher.read_value() == [b"message", b"c", b"arrives"]


def test_commands_before_a_protocol_error_are_answered(server):
    bad = server.connect()
    bad.send(encode("ECHO", "first") + b"*x\r\n")
    assert bad.read_to_end() == b"$5\r\nfirst\r\n-ERR Protocol error: invalid multibulk length\r\n"


def test_what_is_owed_is_delivered_after_a_half_close(server):
    connection = server.connect()
    connection.send(b"PING\r\nECHO owed\r\n" + encode("ECHO", b"x" * 100000))
    connection.finish_sending()
    assert connection.read_to_end() == b"+PONG\r\n$4\r\nowed\r\n$100000\r\n" + b"x" * 100000 + b"\r\n"


def test_a_large_answer_is_delivered_after_a_half_close(fanfared):
    """More than the socket buffers hold (Redis closes early here)."""
    asking = fanfared.connect()
    asking.command("COMMAND")
    answer = asking.read_raw()
    times = 10000000 // len(answer) + 1
    connection = fanfared.connect(receive_buffer=4096)
    connection.send(encode("COMMAND") * times)
    connection.finish_sending()
    assert connection.read_to_end() == answer * times


def test_quit_answers_and_closes_and_what_follows_is_not_run(server):
    connection = server.connect()
    connection.send(encode("ECHO", "a") + encode("QUIT") + encode("ECHO", "b"))
    assert connection.read_to_end() == b"$1\r\na\r\n+OK\r\n"


def test_quit_in_subscribe_mode_answers_and_closes(server):
    connection = server.connect()
    connection.subscribe("c")
    connection.send(encode("QUIT"))
    assert connection.read_to_end() == b"+OK\r\n"


def test_a_client_that_quit_is_no_subscriber_any_more(server):
    connection = server.connect()
    connection.subscribe("c")
    connection.send(encode("QUIT") + encode("PING"))
    assert connection.read_to_end() == b"+OK\r\n"
    other = server.connect()
    assert other.call("PUBLISH", "c", "x") == 0
    assert other.call("PUBSUB", "NUMSUB", "c") == [b"c", 0]


UNBOUNDED = ("--client-output-buffer-limit", "pubsub", "0", "0", "0")


def test_64_mib_in_pieces_of_1_kib_cost_linear_time(start_server):
    server = start_server(*UNBOUNDED)
    if server.name == "fanfared":
        # The outbox has a bound of its own.
        server.connect().ok("CONFIG", "SET", "outbox-limit-bytes", "0")
    size = 64 << 20
    subscriber = server.connect(timeout=60)
    subscriber.subscribe("large")
    publisher = server.connect(timeout=60)
    piece = bytes(range(256)) * 4
    before = server.cpu_seconds()

    def send():
        publisher.send(b"*3\r\n$7\r\nPUBLISH\r\n$5\r\nlarge\r\n$%d\r\n" % size)
        for _ in range(size // len(piece)):
            publisher.send(piece)
        publisher.send(b"\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    message = subscriber.read_value()
    sender.join()
    assert publisher.read_value() == 1
    assert message[:2] == [b"message", b"large"]
    assert message[2] == piece * (size // len(piece))
    # Quadratic copying would take minutes; linear, well under a second.
    assert server.cpu_seconds() - before < 5 * SLOW


def test_a_pipeline_of_100000_commands_is_answered_in_order(server):
    connection = server.connect(timeout=60)
    count = 100000
    data = b"".join(encode("ECHO", n) for n in range(count))
    sender = threading.Thread(target=connection.send, args=(data,))
    sender.start()
    for n in range(count):
        expected = b"%d" % n
        assert connection.read_value() == expected
    sender.join()


def test_a_pipeline_of_a_million_commands_does_not_starve_another_client(server):
    count = 1000000
    greedy, other = server.connect(timeout=120), server.connect(timeout=30)
    data = b"*1\r\n$4\r\nPING\r\n" * count
    expected = len(b"+PONG\r\n") * count
    received = []

    def drain():
        total = 0
        while total < expected:
            total += len(greedy.read_available())
        received.append(total)

    sender = threading.Thread(target=greedy.send, args=(data,))
    drainer = threading.Thread(target=drain)
    worst, pings = 0.0, 0
    sender.start()
    drainer.start()
    while drainer.is_alive():
        start = time.monotonic()
        assert other.call("PING") == b"PONG"
        worst = max(worst, time.monotonic() - start)
        pings += 1
    sender.join()
    drainer.join()
    assert received == [expected]
    assert pings > 5
    # A loose limit, because the machine is shared: a starved client would wait for the whole pipeline.
    assert worst < 0.5 * SLOW, f"{pings} pings, the slowest {worst:.3f} s"


def test_an_empty_request_is_passed_over(server):
    connection = server.connect()
    connection.send(b"\r\n\r\n*0\r\n*-1\r\n\n" + encode("PING"))
    assert connection.read_line() == b"+PONG"
    assert connection.nothing_arrives()


def test_urgent_data_and_a_sudden_reset_leave_the_daemon_alone(server):
    watcher = server.connect()
    for _ in range(20):
        connection = Connection(server.address)
        connection.send(encode("SUBSCRIBE", "c") + b"*3\r\n$7\r\nPUBLISH\r\n")
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()  # lingers for no time: a reset, not an end
    wait_until(lambda: len(watcher.client_list()) == 1, "only the watcher is left")
    assert watcher.call("PUBSUB", "NUMSUB", "c") == [b"c", 0]


def test_subscribe_mode_refuses_other_commands_in_the_words_of_redis(server):
    connection = server.connect()
    connection.subscribe("c")
    for command in (("ECHO", "x"), ("PUBLISH", "c", "x"), ("CLIENT", "ID"), ("HELLO", "3"), ("PUBSUB", "NUMPAT")):
        name = command[0].lower()
        if name in ("client", "pubsub"):
            name += "|" + command[1].lower()
        text = (f"ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET"
                " are allowed in this context")
        assert connection.call(*command) == error(text)
    assert connection.call("PING") == [b"pong", b""]
    assert connection.call("PING", "x") == [b"pong", b"x"]
    assert connection.call("UNSUBSCRIBE", "c") == [b"unsubscribe", b"c", 0]
    assert connection.call("ECHO", "x") == b"x"


def test_every_command_stays_allowed_while_subscribed_in_resp3(server):
    connection = server.client(3)
    connection.subscribe("c")
    assert connection.call("ECHO", "x") == b"x"
    assert connection.call("PING") == b"PONG"
    assert connection.call("CLIENT", "GETNAME") is None


def test_reset_ends_subscriptions_protocol_and_name(server):
    connection = server.client(3)
    connection.ok("CLIENT", "SETNAME", "me")
    connection.subscribe("a", "b")
    connection.subscribe("p*", kind="PSUBSCRIBE")
    connection.subscribe("s", kind="SSUBSCRIBE")
    assert connection.call("RESET") == b"RESET"
    other = server.connect()
    assert other.call("PUBSUB", "NUMSUB", "a", "b") == [b"a", 0, b"b", 0]
    assert other.call("PUBSUB", "SHARDNUMSUB", "s") == [b"s", 0]
    assert other.call("PUBSUB", "NUMPAT") == 0
    connection.command("CLIENT", "GETNAME")
    assert connection.read_line() == b"$-1"  # RESP2's null again
    connection.ok("CLIENT", "SETNAME", "again")
