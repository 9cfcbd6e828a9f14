"""redis-cli: commands, subscribing, --pipe, RESP3, its monitors."""

import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from lib.program import Program
from lib.resp import encode
from lib.wait import seconds, wait_until


@pytest.fixture
def cli(server):
    if not shutil.which("redis-cli"):
        pytest.skip("redis-cli is missing")

    def run(*arguments, stdin=b""):
        done = subprocess.run(["redis-cli", "-p", str(server.port), *arguments], input=stdin, capture_output=True,
                              timeout=seconds(20), check=False)
        return done.stdout + done.stderr

    return run


def subscriber(server, *arguments):
    return Program("redis-cli", "-p", server.port, *arguments)


def lines(program, count):
    return [program.line() for _ in range(count)]


def test_commands_print_their_replies(cli):
    assert cli("PING") == b"PONG\n"
    assert cli("ECHO", "hello world") == b"hello world\n"
    assert cli("PUBLISH", "nobody", "x") == b"0\n"
    assert cli("--no-raw", "PUBSUB", "NUMSUB", "a") == b'1) "a"\n2) (integer) 0\n'
    assert cli("NOSUCHCOMMAND").startswith(b"ERR unknown command 'NOSUCHCOMMAND'")
    assert b"connected_clients:1" in cli("INFO", "clients")


def test_resp3_is_spoken_on_request(cli):
    assert cli("-3", "PING") == b"PONG\n"
    assert cli("-3", "--json", "CONFIG", "GET", "maxclients") == b'{"maxclients":"10000"}\n'
    # A map in RESP3, a flat array in RESP2.
    assert cli("-2", "--json", "CONFIG", "GET", "maxclients") == b'["maxclients","10000"]\n'


def test_subscribe_prints_confirmations_and_messages(server):
    with subscriber(server, "SUBSCRIBE", "a", "b") as program:
        assert lines(program, 6) == [b"subscribe", b"a", b"1", b"subscribe", b"b", b"2"]
        publisher = server.connect()
        assert publisher.call("PUBLISH", "b", "hello world") == 1
        assert lines(program, 3) == [b"message", b"b", b"hello world"]


@pytest.mark.parametrize("version", ["-2", "-3"])
def test_psubscribe_prints_pattern_and_channel(server, version):
    with subscriber(server, version, "PSUBSCRIBE", "n*") as program:
        assert lines(program, 3) == [b"psubscribe", b"n*", b"1"]
        assert server.connect().call("PUBLISH", "news", "x") == 1
        assert lines(program, 4) == [b"pmessage", b"n*", b"news", b"x"]


def test_pipe_mode_counts_replies_and_errors(server, cli):
    watcher = server.connect()
    watcher.subscribe("c")
    data = b"".join(encode("PUBLISH", "c", n) for n in range(1000)) + encode("NOSUCHCOMMAND")
    output = cli("--pipe", stdin=data)
    assert b"errors: 1, replies: 1001" in output, output
    for n in range(1000):
        assert watcher.read_value() == [b"message", b"c", b"%d" % n]


def test_lines_of_stdin_are_commands(cli):
    output = cli(stdin=b"PING\nECHO hello\nPUBLISH a b\nHELLO 3\nCLIENT GETNAME\n")
    assert output.startswith(b"PONG\nhello\n0\n")


@pytest.mark.parametrize("version", ["-2", "-3"])
def test_on_a_terminal_it_helps_and_runs_commands(server, version):
    """On a terminal it asks COMMAND DOCS first, and its help is made of the answer."""
    master, slave = pty.openpty()
    environment = dict(os.environ, TERM="dumb", HOME=str(server.folder))
    process = subprocess.Popen(["redis-cli", version, "-p", str(server.port)], stdin=slave, stdout=slave,
                               stderr=slave, env=environment)
    os.close(slave)
    shown = bytearray()

    def show(text):
        while text not in re.sub(rb"\x1b\[\d*m", b"", shown):
            ready, _, _ = select.select([master], [], [], seconds(10))
            assert ready, f"{text!r} is not in {bytes(shown)!r}"
            shown.extend(os.read(master, 65536))
        shown.clear()

    try:
        show(b"> ")
        os.write(master, b"help publish\n")
        show(b"PUBLISH channel message")
        os.write(master, b"help client kill\n")
        show(b"CLIENT KILL")
        os.write(master, b"ECHO interactive\n")
        show(b'"interactive"')
        os.write(master, b"exit\n")
        assert process.wait(timeout=seconds(10)) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_monitor_prints_what_others_run(server):
    with subscriber(server, "MONITOR") as program:
        assert program.line() == b"OK"
        other = server.connect()
        other.call("PUBLISH", "a", 'quote " and \r\n')
        line = program.line()
        assert line.endswith(rb'"PUBLISH" "a" "quote \" and \r\n"'), line
        assert b"[0 127.0.0.1:" in line


def test_the_password_is_given(start_server):
    server = start_server("--requirepass", "secret")

    def run(*arguments):
        return subprocess.run(["redis-cli", "-p", str(server.port), *arguments], capture_output=True,
                              timeout=seconds(20), check=False).stdout

    assert run("PING").startswith(b"NOAUTH Authentication required.")
    assert run("--no-auth-warning", "-a", "secret", "PING") == b"PONG\n"
    assert run("--no-auth-warning", "--user", "default", "-a", "secret", "-3", "PING") == b"PONG\n"


def test_latency_and_stat_modes_run(server, cli):
    output = cli("--latency", "-i", "0.2", "--raw")
    assert len(output.split()) >= 4, output
    wait_until(lambda: server.connect().info("stats")["total_commands_processed"] != "0", "commands were counted")
