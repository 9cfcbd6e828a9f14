"""Subscribers of channels and of globs that are killed, reset, stalled and resumed at random get every message, or are told
which are missing: RESP clients, event streams and WebSockets.

FANFARE_SOAK_SEED=n and FANFARE_SOAK_SECONDS=s repeat a seed or run longer; for an hour:
FANFARE_SOAK_SECONDS=3600 FANFARE_TEST_TIMEOUT=8000 make check TESTS=tests/test_history_soak.py"""

import os

import pytest

from lib.daemon import free_port
from lib.soak import Soak, Subscriber
from lib.soak_edge import Socket, Stream

SEED = int(os.environ.get("FANFARE_SOAK_SEED", "1"))
SECONDS = float(os.environ.get("FANFARE_SOAK_SECONDS", "30"))
SUBSCRIBERS = 5000
# Both, unless the run of the tests says how many.
LOOPS = (os.environ["FANFARE_TEST_IO_THREADS"],) if "FANFARE_TEST_IO_THREADS" in os.environ else ("1", "4")
OPTIONS = ("--channel", "soak.*", "history-size", 100, "history-ttl", 20, "--outbox-limit-bytes", 65536, "--outbox-block-timeout",
           60000, "--stall-timeout", 600, "--tcp-user-timeout", 0, "--resume-max-channels", 4, "--edge-anonymous", "yes", "--user",
           "edge", "on", "resetchannels", "&*", "+@all", "--edge-outbox-limit-bytes", 65536, "--edge-outbox-policy", "catch-up",
           "--sse-heartbeat", 2, "--ws-deflate", "yes", "--edge-pong-timeout", 600)
KINDS = {Subscriber: 3, Stream: 1, Socket: 1}


@pytest.mark.parametrize("loops", LOOPS)
def test_every_message_arrives_or_is_marked_as_missing(start_fanfared, loops, capsys):
    port = free_port()
    soak = Soak(start_fanfared("--io-threads", loops, "--http-port", port, *OPTIONS), SEED, SUBSCRIBERS, KINDS, port)
    soak.run(SECONDS)
    soak.finish()
    count = soak.count
    with capsys.disabled():
        print(f"\nsoak, io-threads {loops}, seed {SEED}: {count['delivered']} delivered, {count['marked']} marked, "
              f"{count['wrong']} wrong; {dict(count)}")
    assert count["wrong"] == 0, "\n".join(soak.faults)
    # All of it happened.
    for what in ("delivered", "marked", "verdict resumed", "verdict new", "verdict lost", "glob's verdict resumed",
                 "glob's verdict new", "glob's verdict lost", "kill", "reset", "stall", "evict", "policy", "delivered to streams",
                 "streams resumed", "streams told to reload", "lagged marks of streams", "delivered to sockets",
                 "sockets recovered", "sockets not recovered", "lagged marks of sockets", "compressed"):
        assert count[what] > 0, (what, count)
