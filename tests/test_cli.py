"""The fanfare tool, against redis-server and fanfared alike."""

import base64
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from lib.program import Program
from lib.wait import seconds, wait_until

OK, ERROR_REPLY, USAGE, TIMEOUT, NO_CONNECTION, FAILED = range(6)


@pytest.fixture
def environment():
    """The environment without variables of the user who runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FANFARE")}


@pytest.fixture
def tool(fanfare_tool, environment):
    """tool(*words) runs the tool to its end."""
    def run(*words, data=b"", env=None, **more):
        return subprocess.run([fanfare_tool, *map(str, words)], input=data, capture_output=True,
                              timeout=seconds(20), env=environment | (env or {}), check=False, **more)
    return run


@pytest.fixture
def start_tool(fanfare_tool, environment):
    """start_tool(*words) starts the tool, to be used in a `with`."""
    return lambda *words, **more: Program(fanfare_tool, *words, env=environment, **more)


def subscribers(server, channel):
    with server.connect() as connection:
        return connection.call("PUBSUB", "NUMSUB", channel)[1]


def patterns(server):
    with server.connect() as connection:
        return connection.call("PUBSUB", "NUMPAT")


def wait_for_subscriber(server, channel, count=1):
    wait_until(lambda: subscribers(server, channel) == count, f"a subscriber of {channel}")


def publish(server, channel, payload):
    with server.connect() as connection:
        return connection.call("PUBLISH", channel, payload)


def readable_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"1234"))[0]


# sub

def test_sub_prints_payloads_of_one_channel_alone(server, start_tool):
    with start_tool("-p", server.port, "sub", "a") as sub:
        wait_for_subscriber(server, "a")
        publish(server, "a", b"\xff\x00 x")
        publish(server, "a", b"")
        assert sub.line() == b"\xff\x00 x"
        assert sub.line() == b""


def test_sub_prints_the_channel_too_when_there_are_several(server, start_tool):
    with start_tool("sub", "-p", server.port, "a", "b") as sub:
        wait_for_subscriber(server, "b")
        publish(server, "b", "2")
        publish(server, "a", "1")
        assert sub.line() == b"b\t2"
        assert sub.line() == b"a\t1"


def test_sub_by_pattern_prints_the_channel(server, start_tool):
    with start_tool("-p", server.port, "sub", "--pattern", "o.*") as sub:
        wait_until(lambda: patterns(server) == 1, "a pattern")
        publish(server, "o.7", "paid")
        assert sub.line() == b"o.7\tpaid"


def test_sub_receives_shard_channels(server, start_tool, tool):
    with start_tool("-p", server.port, "sub", "--shard", "-v", "s") as sub:
        wait_until(lambda: b"subscribed" in sub.errors, "the subscription")
        assert tool("-p", server.port, "pub", "--shard", "s", "hello").stdout == b"1\n"
        assert sub.line() == b"hello"


def test_sub_writes_json_a_line(server, start_tool):
    with start_tool("-p", server.port, "sub", "--json", "a") as sub:
        wait_for_subscriber(server, "a")
        publish(server, "a", 'q"\n\u20ac')
        publish(server, "a", b"\xff\xfe")
        first = sub.json_line()
        assert abs(first.pop("time") - time.time()) < 60
        assert first == {"channel": "a", "pattern": None, "payload": 'q"\n\u20ac'}
        second = sub.json_line()
        assert base64.b64decode(second["payload_base64"]) == b"\xff\xfe"
        assert "payload" not in second


def test_sub_json_names_the_pattern(server, start_tool):
    with start_tool("-p", server.port, "sub", "--json", "--pattern", "o.*") as sub:
        wait_until(lambda: patterns(server) == 1, "a pattern")
        publish(server, "o.7", "x")
        message = sub.json_line()
        assert (message["channel"], message["pattern"], message["payload"]) == ("o.7", "o.*", "x")


def test_sub_ends_after_count_messages(server, start_tool):
    with start_tool("-p", server.port, "sub", "--count", "2", "a") as sub:
        wait_for_subscriber(server, "a")
        with server.connect() as publisher:
            publisher.send(b"PUBLISH a 1\r\nPUBLISH a 2\r\nPUBLISH a 3\r\n")
            assert sub.rest() == [b"1", b"2"]
        assert sub.status() == OK
    wait_for_subscriber(server, "a", 0)


def test_sub_gives_up_after_its_timeout(server, tool):
    done = tool("-p", server.port, "sub", "--timeout", "0.2", "-n", "1", "a")
    assert done.returncode == TIMEOUT
    assert b"timed out after 0.2 s" in done.stderr


def test_sub_ends_quietly_when_its_reader_has_gone(server, fanfare_tool, environment):
    reader, writer = os.pipe()
    sub = subprocess.Popen([fanfare_tool, "-p", str(server.port), "sub", "a"], stdout=writer,
                           stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    try:
        wait_for_subscriber(server, "a")
        os.close(reader)
        publish(server, "a", "x")
        _, errors = sub.communicate(timeout=seconds(10))
        assert (sub.returncode, errors) == (OK, b"")
    finally:
        sub.kill()
        sub.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sub_ends_on_a_signal(server, start_tool, number):
    with start_tool("-p", server.port, "sub", "a") as sub:
        wait_for_subscriber(server, "a")
        sub.process.send_signal(number)
        assert sub.status() == 128 + number
        assert sub.rest() == []


def test_sub_ends_on_a_signal_while_its_reader_is_stuck(server, fanfare_tool, environment):
    sub = subprocess.Popen([fanfare_tool, "-p", str(server.port), "sub", "a"], stdout=subprocess.PIPE, env=environment)
    try:
        wait_for_subscriber(server, "a")
        publish(server, "a", b"x" * 1000000)
        wait_until(lambda: readable_bytes(sub.stdout) >= 65536, "the pipe is full")
        sub.send_signal(signal.SIGINT)
        assert sub.wait(seconds(10)) == 130
    finally:
        sub.kill()
        sub.communicate()


def test_sub_comes_back_after_a_restart(start_server, start_tool):
    server = start_server()
    with start_tool("-p", server.port, "sub", "a", "b") as sub:
        wait_for_subscriber(server, "b")
        publish(server, "a", "before")
        assert sub.line() == b"a\tbefore"
        server.kill()
        wait_until(lambda: b"trying again in" in sub.errors, "the tool notices")
        again = start_server(port=server.port)
        wait_until(lambda: subscribers(again, "b") == 1, "the tool is back", 20)
        publish(again, "b", "after")
        assert sub.line() == b"b\tafter"
        wait_until(lambda: b"subscribed again" in sub.errors, "the tool says so")


def test_sub_does_not_try_for_ever_what_never_worked(tool):
    done = tool("-p", 1, "sub", "a")
    assert done.returncode == NO_CONNECTION
    assert done.stderr == b"fanfare: cannot connect to 127.0.0.1:1: Connection refused\n"


def test_sub_says_why_a_full_server_turned_it_away(start_server, tool):
    server = start_server("--maxclients", 1)
    with server.connect() as first:
        assert first.call("PING") == b"PONG"
        done = tool("-p", server.port, "sub", "a")
        assert done.returncode == NO_CONNECTION
        assert b"max number of clients reached" in done.stderr


def test_sub_reports_what_it_missed(start_fanfared, start_tool):
    server = start_fanfared("--outbox-policy", "drop-oldest", "--outbox-limit-messages", 10)
    with start_tool("-p", server.port, "sub", "--json", "a") as sub:
        wait_for_subscriber(server, "a")
        sub.process.send_signal(signal.SIGSTOP)
        with server.connect() as publisher:
            for number in range(400):
                publisher.call("PUBLISH", "a", b"%d " % number + b"x" * 100000)
        sub.process.send_signal(signal.SIGCONT)
        seen = 0
        lagged = 0
        while seen + lagged < 400:
            line = sub.json_line()
            lagged += line.get("lagged", 0)
            seen += "payload" in line
        assert lagged > 0
        wait_until(lambda: b"messages were missed" in sub.errors, "the tool says so")


def test_sub_says_that_an_unknown_number_was_missed(start_tool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(seconds(10))
        with start_tool("-p", listener.getsockname()[1], "sub", "--json", "-n", 1, "a") as sub, listener.accept()[0] as client:
            request = b""
            while not request.endswith(b"SUBSCRIBE\r\n$1\r\na\r\n"):
                request += client.recv(1000)
            client.sendall(b"+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*2\r\n$6\r\nlagged\r\n:-1\r\n"
                           b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n")
            assert sub.json_line() == {"lagged": None}
            assert sub.json_line()["payload"] == "m"
            wait_until(lambda: b"an unknown number of messages was missed" in sub.errors, "the tool says so")


# pub

def test_pub_prints_the_number_of_receivers(server, tool):
    with server.connect() as a, server.connect() as b:
        a.call("SUBSCRIBE", "x")
        b.call("PSUBSCRIBE", "*")
        done = tool("-p", server.port, "pub", "x", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (OK, b"2\n", b"")


def test_pub_sends_each_line_of_stdin_as_it_is(server, tool, start_tool):
    lines = [b"one", b"", b"\x00\xff\r", b"x" * 300000, b"no newline"]
    with start_tool("-p", server.port, "sub", "--json", "-n", len(lines), "a") as sub:
        wait_for_subscriber(server, "a")
        done = tool("-p", server.port, "pub", "a", "-", data=b"\n".join(lines))
        assert (done.returncode, done.stdout) == (OK, b"")
        assert done.stderr.startswith(b"5 messages, 5 receivers, ")
        got = [json.loads(line) for line in sub.rest()]
    assert [message["payload"].encode() if "payload" in message else base64.b64decode(message["payload_base64"])
            for message in got] == lines


def test_pub_sends_a_line_as_soon_as_it_comes(server, start_tool):
    with start_tool("-p", server.port, "sub", "a") as sub:
        wait_for_subscriber(server, "a")
        with start_tool("-p", server.port, "pub", "a", stdin=subprocess.PIPE) as pub:
            pub.write(b"first\nsec")
            assert sub.line() == b"first"
            pub.write(b"ond\n")
            assert sub.line() == b"second"
            pub.process.stdin.close()
            assert pub.status() == OK


def test_pub_keeps_the_order_of_many_lines(server, start_tool, tool):
    count = 20000
    with start_tool("-p", server.port, "sub", "-n", count, "a") as sub:
        wait_for_subscriber(server, "a")
        done = tool("-p", server.port, "pub", "a", data=b"".join(b"%d\n" % number for number in range(count)))
        assert done.returncode == OK
        assert sub.rest() == [b"%d" % number for number in range(count)]


def test_pub_reads_a_file(server, fanfare_tool, environment, tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"1\n2\n3\n")
    with server.connect() as subscriber, open(path, "rb") as file:
        subscriber.call("SUBSCRIBE", "a")
        done = subprocess.run([fanfare_tool, "-p", str(server.port), "pub", "a"], stdin=file, env=environment,
                              capture_output=True, timeout=seconds(10), check=False)
    assert done.stderr.startswith(b"3 messages, 3 receivers, ")


def test_pub_holds_its_rate(server, tool):
    start = time.monotonic()
    done = tool("-p", server.port, "pub", "--rate", "100", "--repeat", "51", "a", "x")
    took = time.monotonic() - start
    assert done.returncode == OK
    assert done.stderr.startswith(b"51 messages, 0 receivers, ")
    assert took >= 0.5


def test_pub_stops_at_an_error(start_server, tool):
    server = start_server("--requirepass", "secret")
    done = tool("-p", server.port, "pub", "a", data=b"x\n" * 100000)
    assert done.returncode == ERROR_REPLY
    assert done.stderr.count(b"NOAUTH") == 1
    assert b"were refused" in done.stderr


def test_pub_says_what_was_not_confirmed(start_server, start_tool):
    server = start_server()
    with start_tool("-p", server.port, "pub", "a", stdin=subprocess.PIPE) as pub:
        pub.write(b"x\n")
        wait_until(lambda: b"calls=1" in tool_stats(server), "the first is published")
        server.kill()
        assert pub.status() == NO_CONNECTION
        wait_until(lambda: b"1 messages, 0 receivers" in pub.errors, "the summary")


def tool_stats(server):
    with server.connect() as connection:
        info = connection.call("INFO", "commandstats")
        return next((line for line in info.splitlines() if line.startswith(b"cmdstat_publish:")), b"")


def test_pub_quiet_says_nothing(server, tool):
    for words, data in ((["a", "x"], b""), (["a", "-"], b"x\ny\n")):
        done = tool("-p", server.port, "pub", "-q", *words, data=data)
        assert (done.returncode, done.stdout, done.stderr) == (OK, b"", b"")


# ping, info, call

def test_ping_prints_times_and_a_summary(server, tool):
    done = tool("-p", server.port, "ping", "-n", "3", "-i", "0.01")
    lines = done.stdout.splitlines()
    assert done.returncode == OK
    assert len(lines) == 4
    assert lines[0].startswith(b"PONG from 127.0.0.1:%d: seq=1 time=" % server.port)
    assert lines[3].startswith(b"3 sent, 3 answered, min/mean/max ")


def test_ping_gives_up_on_a_server_that_hangs(server, tool):
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert tool("-p", server.port, "ping", "--timeout", "0.3").returncode == TIMEOUT
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_info_prints_lines_without_carriage_returns(server, tool):
    done = tool("-p", server.port, "info", "clients")
    assert done.returncode == OK
    assert done.stdout.startswith(b"# Clients\n")
    assert b"\r" not in done.stdout


def test_call_prints_bare_bytes_into_a_pipe(server, tool):
    assert tool("-p", server.port, "call", "ECHO", "a\"b").stdout == b'a"b\n'
    assert tool("-p", server.port, "call", "PUBSUB", "NUMSUB", "a", "b").stdout == b"a\n0\nb\n0\n"


def test_call_shows_types_when_asked(server, tool):
    done = tool("-p", server.port, "call", "--pretty", "PUBSUB", "NUMSUB", "a")
    assert done.stdout == b'1) "a"\n2) (integer) 0\n'


def test_call_speaks_resp3_and_json(server, tool):
    done = tool("-p", server.port, "call", "-3", "--json", "HELLO")
    assert json.loads(done.stdout)["proto"] == 3


def test_call_sends_what_looks_like_an_option(server, tool):
    assert tool("-p", server.port, "call", "ECHO", "--json").stdout == b"--json\n"


def test_call_prints_an_error_to_stderr(server, tool):
    done = tool("-p", server.port, "call", "NOSUCH")
    assert (done.returncode, done.stdout) == (ERROR_REPLY, b"")
    assert done.stderr.startswith(b"fanfare: ERR unknown command 'NOSUCH'")


# Address and credentials

def test_password_by_option_url_and_environment(start_server, tool):
    server = start_server("--requirepass", "s:cret@1")
    port = server.port
    url = f"redis://:s%3Acret%401@127.0.0.1:{port}"
    assert tool("-p", port, "ping").returncode == ERROR_REPLY
    assert tool("-p", port, "--password", "wrong", "ping").returncode == ERROR_REPLY
    assert tool("-p", port, "--password", "s:cret@1", "ping").returncode == OK
    assert tool("-p", port, "--user", "default", "--password", "s:cret@1", "ping").returncode == OK
    assert tool("ping", "-u", url).returncode == OK
    assert tool("ping", env={"FANFARE_URL": url}).returncode == OK
    assert tool("-p", port, "ping", env={"FANFARE_PASSWORD": "s:cret@1"}).returncode == OK
    assert tool("-p", port, "--password", "s:cret@1", "call", "-3", "PING").stdout == b"PONG\n"


def test_unix_socket_by_option_and_url(start_server, folder, tool):
    start_server("--unixsocket", folder / "s")
    assert tool("-s", folder / "s", "ping").returncode == OK
    assert tool("-u", f"unix://{folder}/s", "ping").returncode == OK


def test_every_address_of_a_name_is_tried(server, tool):
    assert tool("-h", "localhost", "-p", server.port, "ping").returncode == OK


@pytest.mark.parametrize("words", [(), ("nosuch",), ("sub",), ("pub",), ("call",), ("ping", "x"), ("sub", "--nosuch", "a"),
                                   ("-p", "0", "ping"), ("sub", "--count", "0", "a"), ("pub", "a", "b", "c"),
                                   ("sub", "--pattern", "--shard", "a"), ("pub", "--repeat", "2", "a", "-"),
                                   ("--user", "x", "ping"), ("-s", "x", "-h", "y", "ping")])
def test_a_mistake_on_the_command_line_is_status_2(tool, words):
    done = tool(*words)
    assert (done.returncode, done.stdout) == (USAGE, b"")
    assert done.stderr.startswith(b"fanfare: ")


def test_output_that_cannot_be_written_is_a_failure(server, fanfare_tool, environment):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([fanfare_tool, "-p", str(server.port), "ping"], stdout=full, stderr=subprocess.PIPE,
                              env=environment, timeout=seconds(10), check=False)
    assert done.returncode == FAILED
    assert b"cannot write output" in done.stderr


def test_the_manual_has_every_option_of_the_help(tool):
    path = os.path.join(os.path.dirname(__file__), "..", "man", "fanfare.1")
    with open(path, encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    for command in ("sub", "pub", "ping", "info", "call"):
        options = [word for line in tool(command, "--help").stdout.decode().splitlines()
                   for word in line[:28].replace(",", "").split() if word.startswith("-")]
        assert "--help" in options
        for option in options:
            assert f"Fl {option[1:]}" in manual, f"{option} of {command}"


@pytest.mark.parametrize("words, usage", [
    (("--frobnicate",), "usage: fanfare [OPTION...] COMMAND"),
    (("-Z", "ping"), "usage: fanfare [OPTION...] COMMAND"),
    (("nosuch",), "usage: fanfare [OPTION...] COMMAND"),
    (("ping", "--frobnicate"), "usage: fanfare ping"),
    (("--url", "nonsense", "ping"), "usage: fanfare ping"),
    (("sub", "--pattern", "--shard", "x"), "usage: fanfare sub"),
    (("call", "--json", "--raw", "PING"), "usage: fanfare call"),
    (("aof", "frobnicate", "x"), "usage: fanfare aof"),
])
def test_a_wrong_command_line_gets_the_usage(tool, words, usage):
    done = tool(*words)
    assert (done.returncode, done.stdout) == (USAGE, b"")
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("fanfare: ")
    assert lines[-1].startswith(usage) and not lines[-1].endswith(" ")
