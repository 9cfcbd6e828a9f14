"""ioredis and node-redis on the keyspace, and a web server's sessions in it; the scripts are in tests/js."""

import os
import pathlib
import subprocess

import pytest

from lib.wait import seconds

JS = pathlib.Path(__file__).parent / "js"
CLIENTS = {"ioredis": ("ioredis_keyspace.js", ()), "node-redis-RESP2": ("node_redis_keyspace.js", ("2",)),
           "node-redis-RESP3": ("node_redis_keyspace.js", ("3",))}


def run(node_modules, script, server, *arguments):
    done = subprocess.run(["node", str(JS / script), str(server.port), *arguments], capture_output=True, text=True,
                          env=dict(os.environ, NODE_PATH=str(node_modules)), timeout=seconds(20), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", ["strings", "hashes", "lists", "sets", "zsets", "transactions", "blocking", "scan"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_node_client_keeps_what_it_keeps_in_redis(server, node_modules, client, scenario):
    script, more = CLIENTS[client]
    run(node_modules, script, server, scenario, *more)


def test_sessions_of_a_web_server_are_kept_and_expire(server, node_modules):
    run(node_modules, "session_store.js", server)
