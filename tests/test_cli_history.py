"""fanfare sub --resume, history, channels and presence."""

import contextlib
import json
import os
import subprocess

import pytest

from lib.program import Program
from lib.resp import Error
from lib.wait import seconds, wait_until

OK, ERROR_REPLY, USAGE, TIMEOUT, NO_CONNECTION, FAILED = range(6)
KEEPING = ("--channel", "news*", "history-size", 10000, "history-ttl", 600)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FANFARE")}


@pytest.fixture
def tool(fanfare_tool):
    """tool(*words) runs the tool to its end."""
    def run(*words):
        return subprocess.run([fanfare_tool, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=seconds(20), env=ENVIRONMENT, check=False)
    return run


@pytest.fixture
def start_tool(fanfare_tool):
    return lambda *words: Program(fanfare_tool, *words, env=ENVIRONMENT)


def lines(done):
    assert (done.returncode, done.stderr) == (OK, b"")
    return done.stdout.splitlines()


def publish(server, channel, *payloads):
    with server.connect() as publisher:
        for payload in payloads:
            assert not isinstance(publisher.call("PUBLISH", channel, payload), Error)


# channels


def test_channels_lists_the_channels_with_their_subscribers(server, tool):
    first, second = server.client(), server.client()
    first.call("SUBSCRIBE", "b")
    second.call("SUBSCRIBE", "b")
    second.call("SUBSCRIBE", b"\xff")
    assert sorted(lines(tool("-p", server.port, "channels"))) == [b"b\t2", b"\xff\t1"]
    assert lines(tool("-p", server.port, "channels", "b*")) == [b"b\t2"]
    assert lines(tool("-p", server.port, "channels", "none")) == []
    assert sorted(map(json.loads, lines(tool("-p", server.port, "channels", "--json"))), key=str) == [
        {"channel": "b", "subscribers": 2}, {"channel_base64": "/w==", "subscribers": 1}]


def test_channels_lists_shard_channels_apart(fanfared, tool):
    subscriber = fanfared.client()
    subscriber.call("SSUBSCRIBE", "s")
    assert lines(tool("-p", fanfared.port, "channels", "--shard")) == [b"s\t1"]
    assert lines(tool("-p", fanfared.port, "channels")) == []


def test_channels_lists_very_many(server, tool):
    subscriber = server.client()
    names = [b"channel:%d" % number for number in range(1700)]
    subscriber.command("SUBSCRIBE", *names)
    for _ in names:
        subscriber.read_value()
    assert sorted(lines(tool("-p", server.port, "channels"))) == sorted(name + b"\t1" for name in names)


def test_channels_prints_an_error_of_the_server(start_fanfared, tool):
    server = start_fanfared("--requirepass", "secret")
    done = tool("-p", server.port, "channels")
    assert (done.returncode, done.stdout) == (ERROR_REPLY, b"")
    assert done.stderr.startswith(b"fanfare: NOAUTH")


# history


def test_history_prints_what_is_kept(start_fanfared, tool):
    server = start_fanfared(*KEEPING)
    publish(server, "news", "one", "two", b"\xff")
    rows = [line.split(b"\t") for line in lines(tool("-p", server.port, "history", "news"))]
    assert [payload for _, payload in rows] == [b"one", b"two", b"\xff"]
    positions = [position.decode() for position, _ in rows]
    assert lines(tool("-p", server.port, "history", "news", "--payload", "-r")) == [b"\xff", b"two", b"one"]
    assert lines(tool("-p", server.port, "history", "--payload", "--from", positions[1], "news")) == [b"two", b"\xff"]
    assert lines(tool("-p", server.port, "history", "--payload", "--to", "(" + positions[1], "news")) == [b"one"]
    assert lines(tool("-p", server.port, "history", "--payload", "-n", 1, "news")) == [b"one"]
    assert [json.loads(line) for line in lines(tool("-p", server.port, "history", "--json", "news"))] == [
        {"position": positions[0], "payload": "one"}, {"position": positions[1], "payload": "two"},
        {"position": positions[2], "payload_base64": "/w=="}]
    assert lines(tool("-p", server.port, "history", "other")) == []


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
def test_history_prints_very_many(start_fanfared, tool, count):
    server = start_fanfared(*KEEPING)
    expected = [b"%d" % number for number in range(count)]
    publish(server, "news", *expected)
    assert lines(tool("-p", server.port, "history", "--payload", "news")) == expected
    assert lines(tool("-p", server.port, "history", "--payload", "--reverse", "news")) == expected[::-1]
    assert lines(tool("-p", server.port, "history", "--payload", "-n", count - 1, "news")) == expected[:-1]


def test_history_prints_an_error_of_the_server(start_fanfared, tool):
    server = start_fanfared(*KEEPING)
    done = tool("-p", server.port, "history", "--from", "x", "news")
    assert (done.returncode, done.stdout) == (ERROR_REPLY, b"")
    assert done.stderr.startswith(b"fanfare: ERR Invalid position 'x'")


# presence


def test_presence_prints_the_members(start_fanfared, tool):
    server = start_fanfared("--channel", "room", "presence", "members")
    member = server.client()
    assert not isinstance(member.call("PRESENCE", "JOIN", "room", "ann", "INFO", "reads"), Error)
    assert not isinstance(member.call("PRESENCE", "JOIN", "room", b"\xff"), Error)
    assert sorted(lines(tool("-p", server.port, "presence", "room"))) == [b"ann\t1\treads", b"\xff\t1\t"]
    assert sorted(map(json.loads, lines(tool("-p", server.port, "presence", "--json", "room"))), key=str) == [
        {"member": "ann", "info": "reads", "connections": 1}, {"member_base64": "/w==", "info": "", "connections": 1}]


def test_presence_prints_very_many(start_fanfared, tool):
    server = start_fanfared("--channel", "room", "presence", "members")
    client = server.client()
    for number in range(3000):
        client.command("PRESENCE", "JOIN", "room", b"member:%d" % number)
    for _ in range(3000):
        assert not isinstance(client.read_value(), Error)
    assert len(set(lines(tool("-p", server.port, "presence", "room")))) == 3000


def test_presence_prints_an_error_of_the_server(fanfared, tool):
    done = tool("-p", fanfared.port, "presence", "room")
    assert (done.returncode, done.stdout) == (ERROR_REPLY, b"")
    assert done.stderr.startswith(b"fanfare: ERR presence is off for this channel")


# sub --resume


@contextlib.contextmanager
def resuming(start_tool, server, *words):
    with start_tool("-p", server.port, "sub", "-v", *words) as sub:
        wait_until(lambda: b"subscribed" in sub.errors, "the subscription")
        yield sub


def kill(sub):
    sub.process.kill()
    sub.process.wait()


def test_what_came_while_it_was_killed_is_printed(start_fanfared, start_tool, folder):
    server = start_fanfared(*KEEPING)
    file = folder / "positions"
    publish(server, "news", "before the first run")
    with resuming(start_tool, server, "--resume", file, "news") as sub:
        publish(server, "news", "1")
        assert sub.line() == b"1"
        wait_until(lambda: file.exists() and not (folder / "positions.new").exists(), "the file")
        kill(sub)
    publish(server, "news", "2", "3")
    with resuming(start_tool, server, "--resume", file, "news") as sub:
        # 1 too, if it was killed before it had replaced the file.
        first = sub.line()
        if first == b"1":
            first = sub.line()
        assert [first, sub.line()] == [b"2", b"3"]
        publish(server, "news", "4")
        assert sub.line() == b"4"
        sub.process.terminate()
        assert sub.status() == 128 + 15
    publish(server, "news", "5")
    with resuming(start_tool, server, "--resume", file, "news") as sub:
        assert sub.line() == b"5"


def test_each_channel_goes_on(start_fanfared, start_tool, folder):
    server = start_fanfared(*KEEPING)
    options = ("--resume", folder / "positions", "-n", 2, "news.a", "news.b")
    with resuming(start_tool, server, *options) as sub:
        publish(server, "news.a", "1")
        publish(server, "news.b", "2")
        assert sub.rest() == [b"news.a\t1", b"news.b\t2"]
        assert sub.status() == OK
    publish(server, "news.b", "3")
    publish(server, "news.a", "4")
    with resuming(start_tool, server, *options) as sub:
        assert sub.rest() == [b"news.b\t3", b"news.a\t4"]


def test_a_connection_that_is_lost_misses_nothing(start_fanfared, start_tool, folder):
    server = start_fanfared(*KEEPING)
    admin = server.client()
    with resuming(start_tool, server, "--resume", folder / "positions", "news") as sub:
        publish(server, "news", "1")
        assert sub.line() == b"1"
        assert admin.call("CLIENT", "KILL", "TYPE", "pubsub") == 1
        publish(server, "news", "2")
        assert sub.line() == b"2"
        wait_until(lambda: b"nothing was missed" in sub.errors, "the report")


def test_patterns_go_on(start_fanfared, start_tool, folder):
    server = start_fanfared(*KEEPING)
    admin = server.client()
    options = ("--pattern", "--resume", folder / "positions", "news.*", "n*s")
    with resuming(start_tool, server, *options, "-n", 3) as sub:
        publish(server, "news.a", "1")
        publish(server, "news", "2")
        publish(server, "news.b", "3")
        assert sub.rest() == [b"news.a\t1", b"news\t2", b"news.b\t3"]
    publish(server, "news.c", "4")
    publish(server, "other", "5")
    with resuming(start_tool, server, *options) as sub:
        assert sub.line() == b"news.c\t4"
        assert admin.call("CLIENT", "KILL", "TYPE", "pubsub") == 1
        publish(server, "news.d", "6")
        assert sub.line() == b"news.d\t6"
        wait_until(lambda: b"nothing was missed" in sub.errors, "the report")


def test_lost_messages_of_a_pattern_are_reported(start_fanfared, start_tool, folder):
    server = start_fanfared(*KEEPING)
    file = folder / "positions"
    with resuming(start_tool, server, "--pattern", "--resume", file, "-n", 1, "news*") as sub:
        publish(server, "news", "1")
        assert sub.rest() == [b"news\t1"]
    position = file.read_text().splitlines()[1].split()[0]
    publish(server, "news.a", "2")
    assert server.client().call("HISTORY", "DEL", "news.a") == 1
    with resuming(start_tool, server, "--pattern", "--json", "--resume", file, "news*") as sub:
        assert sub.json_line() == {"lost": {"pattern": "news*", "after": position}}
        assert b"news*: messages were lost" in sub.errors
        publish(server, "news.b", "3")
        assert sub.json_line()["payload"] == "3"


def test_lost_messages_are_reported(start_fanfared, start_tool, folder):
    server = start_fanfared(*KEEPING)
    file = folder / "positions"
    with resuming(start_tool, server, "--resume", file, "-n", 1, "news") as sub:
        publish(server, "news", "1")
        assert sub.rest() == [b"1"]
    position = file.read_text().splitlines()[1].split()[0]
    server.kill()
    server = start_fanfared(*KEEPING)
    publish(server, "news", "2")
    with resuming(start_tool, server, "--json", "--resume", file, "news") as sub:
        assert sub.json_line() == {"lost": {"channel": "news", "after": position}}
        assert b"news: messages were lost" in sub.errors
        publish(server, "news", "3")
        assert sub.json_line()["payload"] == "3"


def test_a_channel_without_history_is_warned_about(fanfared, start_tool, folder):
    with resuming(start_tool, fanfared, "--resume", folder / "positions", "news") as sub:
        assert b"news keeps no history" in sub.errors
        publish(fanfared, "news", "1")
        assert sub.line() == b"1"
    with resuming(start_tool, fanfared, "--pattern", "--resume", folder / "others", "n*") as sub:
        assert b"n*: the server keeps no history" in sub.errors


def test_bad_files_and_servers_are_errors(start_fanfared, start_redis, tool, folder):
    file = folder / "positions"
    file.write_text("fanfare positions 1\n12-3 ne")
    done = tool("-p", start_fanfared().port, "sub", "--resume", file, "news")
    assert (done.returncode, done.stderr) == (
        FAILED, f"fanfare: {file} is not a complete file of positions\n".encode())
    done = tool("-p", start_redis().port, "sub", "--resume", folder / "other", "news")
    assert (done.returncode, done.stdout) == (ERROR_REPLY, b"")
    assert b"unknown command" in done.stderr
    done = tool("sub", "--shard", "--resume", file, "news")
    assert done.returncode == USAGE
    assert b"--resume and --shard exclude each other" in done.stderr
