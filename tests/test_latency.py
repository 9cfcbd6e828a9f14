"""LATENCY and INFO latencystats: what redis-server shows for the same commands, in the same form."""

import re

import pytest

from lib.resp import Error

DEBUG = ("--enable-debug-command", "yes")


def start(start_server):
    return start_server(*DEBUG)


def sleep(client, seconds_):
    client.ok("DEBUG", "SLEEP", str(seconds_))


def test_a_long_command_is_a_sample(start_server):
    client = start(start_server).connect()
    sleep(client, 0.02)
    assert client.call("LATENCY", "LATEST") == []
    client.ok("CONFIG", "SET", "latency-monitor-threshold", 10)
    before = int(client.call("TIME")[0])
    sleep(client, 0.012)
    sleep(client, 0.03)
    [[event, at, last, longest]] = client.call("LATENCY", "LATEST")
    assert event == b"command" and 0 <= at - before <= 60 and 12 <= last <= longest and 30 <= longest
    history = client.call("LATENCY", "HISTORY", "command")
    assert 1 <= len(history) <= 2 and max(ms for _, ms in history) == longest and history[-1] == [at, last]
    graph = client.call("LATENCY", "GRAPH", "command")
    assert re.match(rb"command - high %d ms, low \d+ ms \(all time high %d ms\)\n-{80}\n" % (longest, longest), graph)
    assert b"command: " in client.call("LATENCY", "DOCTOR")
    assert client.call("LATENCY", "RESET", "fast-command") == 0
    assert client.call("LATENCY", "RESET", "command") == 1
    assert client.call("LATENCY", "HISTORY", "command") == []
    client.ok("CONFIG", "SET", "latency-monitor-threshold", 0)
    sleep(client, 0.012)
    assert client.call("LATENCY", "LATEST") == []


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
def test_the_histogram_of_a_command(start_server, version):
    client = start(start_server).client(version)
    client.ok("CONFIG", "RESETSTAT")
    for _ in range(5):
        client.call("GET", "k")
    sleep(client, 0.02)
    reply = client.call("LATENCY", "HISTOGRAM", "debug", "get", "nosuch", "set")
    if version == 2:
        reply = dict(zip(reply[::2], (dict(zip(entry[::2], entry[1::2])) for entry in reply[1::2])))
    assert sorted(reply) == [b"debug", b"get"] and reply[b"get"][b"calls"] == 5 and reply[b"debug"][b"calls"] == 1
    steps = reply[b"debug"][b"histogram_usec"]
    steps = steps if isinstance(steps, dict) else dict(zip(steps[::2], steps[1::2]))
    [[upto, count]] = steps.items()
    # The end of the bucket of a power of two from 1.024 us on.
    assert upto in (33816, 67633, 135266) and count == 1
    steps = reply[b"get"][b"histogram_usec"]
    counts = list(steps.values()) if isinstance(steps, dict) else steps[1::2]
    assert counts == sorted(counts) and counts[-1] == 5


def test_percentiles_in_info(start_server):
    client = start(start_server).connect()
    client.ok("CONFIG", "RESETSTAT")
    sleep(client, 0.02)
    client.ok("CONFIG", "SET", "latency-tracking-info-percentiles", "0 50 99.9 100")
    shown = client.info("latencystats")["latency_percentiles_usec_debug"]
    match = re.fullmatch(r"p0=(\d+\.\d{3}),p50=(\d+\.\d{3}),p99.9=(\d+\.\d{3}),p100=(\d+\.\d{3})", shown)
    lowest, *others = map(float, match.groups())
    assert 20000 * 0.99 <= lowest < others[0] <= lowest * 1.01 and len(set(others)) == 1
    assert "latency_percentiles_usec_debug" not in client.info()
    assert "latency_percentiles_usec_debug" in client.info("everything")
    client.ok("CONFIG", "SET", "latency-tracking", "no")
    assert "latency_percentiles_usec_debug" not in client.info("latencystats")


def test_more_names_than_commands_are_refused(fanfared):
    client = fanfared.connect()
    assert isinstance(client.call("LATENCY", "HISTOGRAM", *["get"] * 1000), Error)
