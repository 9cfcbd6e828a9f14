"""GET /metrics: promtool and prometheus_client read it, and it costs little."""

import http.client
import shutil
import subprocess
import time

import pytest

from conftest import missing
from lib.daemon import free_port
from lib.wait import seconds

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def served(start_fanfared):
    port = free_port()
    server = start_fanfared("--http-port", port, "--http-doors", "metrics health")
    client = server.connect()
    client.call("SET", "k", "v")
    client.call("SUBSCRIBE", "secret.channel")
    server.connect().call("NOPE")
    return server, port


def get(port, accept=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds(10))
    connection.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200
    return response.getheader("Content-Type"), body


def test_promtool_has_nothing_against_the_page(served):
    if not shutil.which("promtool"):
        missing("promtool")
    kind, body = get(served[1])
    assert kind.startswith("text/plain; version=0.0.4")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True,
                          timeout=seconds(30), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_a_strict_reader_of_openmetrics_reads_the_page(served):
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    except ImportError:
        missing("prometheus_client")
    kind, body = get(served[1], OPENMETRICS)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert len(families) > 150
    assert all(family.documentation for family in families.values())
    commands = {sample.labels["cmd"]: sample.value for sample in families["fanfare_commands"].samples}
    assert commands["set"] == 1
    assert [sample.value for sample in families["fanfare_errors"].samples if sample.labels["code"] == "ERR"] == [1]
    assert families["fanfare_turn_seconds"].type == "histogram"


def test_names_of_channels_and_keys_are_not_on_the_page(served):
    assert "secret" not in get(served[1])[1]


def test_a_page_costs_less_than_10_ms(served):
    server, port = served
    count = 50
    before = server.cpu_seconds()
    begun = time.monotonic()
    for _ in range(count):
        get(port)
    assert (server.cpu_seconds() - before) / count < 0.010 * seconds(1), time.monotonic() - begun
