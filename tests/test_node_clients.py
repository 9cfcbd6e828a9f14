"""ioredis and node-redis: publish, subscribe, queue groups, and reconnect after a restart."""

import os
import pathlib
import subprocess

import pytest

from lib.program import Program
from lib.wait import seconds, wait_until

JS = pathlib.Path(__file__).parent / "js"
CLIENTS = {"ioredis": ("ioredis.js", ()), "node-redis-RESP2": ("node_redis.js", ("2",)),
           "node-redis-RESP3": ("node_redis.js", ("3",))}


@pytest.fixture(params=CLIENTS)
def command(request, node_modules):
    """command(port, scenario): what to run, and its environment."""
    script, more = CLIENTS[request.param]
    environment = dict(os.environ, NODE_PATH=str(node_modules))
    return lambda port, scenario: (["node", str(JS / script), str(port), scenario, *more], environment)


def run(command, server, scenario):
    arguments, environment = command(server.port, scenario)
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=seconds(20), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", ["messages", "shards", "binary", "pipeline"])
def test_a_node_client_works_as_with_redis(server, command, scenario):
    run(command, server, scenario)


@pytest.mark.parametrize("scenario", ["busy", "cache"])
@pytest.mark.parametrize("kind", ["node-redis-RESP3"])
def test_a_resp3_client_uses_what_resp2_lacks(server, node_modules, kind, scenario):
    script, more = CLIENTS[kind]
    environment = dict(os.environ, NODE_PATH=str(node_modules))
    run(lambda port, what: (["node", str(JS / script), str(port), what, *more], environment), server, scenario)


def test_node_clients_are_workers_of_a_queue_group(start_fanfared, command):
    run(command, start_fanfared("--queue-groups", "yes"), "queue")


def test_a_node_client_gives_the_password(start_server, command):
    run(command, start_server("--requirepass", "secret"), "password")


def test_a_node_client_subscribes_again_after_a_restart(start_server, command):
    first = start_server()
    arguments, environment = command(first.port, "reconnect")
    with Program(*arguments, env=environment) as program:
        assert program.json_line() == ["subscribed"]
        assert first.connect().call("PUBLISH", "a", "before") == 1
        assert program.json_line() == ["message", "a", "before"]
        first.kill()
        again = start_server(port=first.port)
        publisher = again.connect()
        wait_until(lambda: publisher.call("PUBSUB", "NUMSUB", "a", "b") == [b"a", 1, b"b", 1]
                   and publisher.call("PUBSUB", "NUMPAT") == 1, "the client has subscribed again", 20)
        assert publisher.call("PUBLISH", "b", "after") == 1
        assert program.json_line() == ["message", "b", "after"]
        assert publisher.call("PUBLISH", "p1", "end") == 1
        assert program.json_line() == ["pmessage", "p*", "p1", "end"]
        assert program.json_line() == ["end"]
        assert program.status() == 0, program.errors.decode()
