"""hiredis, blocking and asynchronous (tests/hiredis_client.c)."""

import subprocess

import pytest

from lib.program import Program
from lib.wait import seconds


@pytest.mark.parametrize("scenario", ["sync", "pipeline", "async"])
def test_hiredis_works_as_with_redis(server, hiredis_client, scenario):
    done = subprocess.run([hiredis_client, str(server.port), scenario], capture_output=True, text=True,
                          timeout=seconds(40), check=False)
    assert done.returncode == 0, done.stderr


def test_hiredis_reconnects_after_a_restart(start_server, hiredis_client):
    first = start_server()
    with Program(hiredis_client, first.port, "reconnect", stdin=subprocess.PIPE) as program:
        assert program.line() == b"subscribed"
        first.kill()
        assert program.line() == b"lost"
        again = start_server(port=first.port)
        program.write(b"go\n")
        assert program.line() == b"subscribed"
        assert again.connect().call("PUBLISH", "a", "after") == 1
        assert program.status() == 0, program.errors.decode()
