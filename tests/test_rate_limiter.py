"""examples/python/rate_limiter.py: what it allows, with one client and with many at once."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from lib.wait import seconds, wait_until

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "python"
sys.path.insert(0, str(EXAMPLES))

from rate_limiter import RateLimiter  # noqa: E402  (the path must be set first)


@pytest.fixture
def client(server):
    client = redis.Redis(port=server.port)
    yield client
    client.close()


def test_so_many_are_allowed_and_then_again_when_the_span_is_over(client):
    limiter = RateLimiter(client, "test", 3, 0.3)
    assert [limiter.attempt("ada") for _ in range(3)] == [(True, 2), (True, 1), (True, 0)]
    allowed, again = limiter.attempt("ada")
    assert not allowed and 0 < again <= 0.3
    assert limiter.attempt("bob") == (True, 2)
    wait_until(lambda: limiter.attempt("ada")[0], "the span is over")
    wait_until(lambda: client.dbsize() == 0, "nothing is left behind")


def test_what_is_refused_does_not_count(client):
    limiter = RateLimiter(client, "test", 2, 100)
    assert [limiter.attempt("ada")[0] for _ in range(20)] == [True] * 2 + [False] * 18
    assert client.zcard("rate:test:ada") == 2


def test_no_more_are_allowed_when_many_ask_at_once(server):
    allowed = []

    def ask():
        client = redis.Redis(port=server.port)
        limiter = RateLimiter(client, "test", 10, 100)
        allowed.extend(limiter.attempt("ada")[0] for _ in range(20))
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds(20))
    # One that is refused may stand for a moment before another that then is refused too: never more than the limit.
    assert len(allowed) == 160 and 1 <= sum(allowed) <= 10


def test_the_example_says_who_may(server):
    done = subprocess.run([sys.executable, EXAMPLES / "rate_limiter.py", "ada", "ada", "bob", "ada"], check=False,
                          env=dict(os.environ, FANFARE_PORT=str(server.port), LIMIT="2", SPAN="1000"),
                          capture_output=True, text=True, timeout=seconds(20))
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[:3] == ["ada: yes, 1 left", "ada: yes, 0 left", "bob: yes, 1 left"]
    assert lines[3].startswith("ada: no, again in ")
