"""Subscribers of channels and of globs that are killed, reset, stalled and resumed at random get every message, or are told
which are missing.

FANFARE_SOAK_SEED=n and FANFARE_SOAK_SECONDS=s repeat a seed or run longer; for an hour:
FANFARE_SOAK_SECONDS=3600 FANFARE_TEST_TIMEOUT=8000 make check TESTS=tests/test_history_soak.py"""

import os

import pytest

from lib.soak import Soak

SEED = int(os.environ.get("FANFARE_SOAK_SEED", "1"))
SECONDS = float(os.environ.get("FANFARE_SOAK_SECONDS", "30"))
SUBSCRIBERS = 5000
# Both, unless the run of the tests says how many.
LOOPS = (os.environ["FANFARE_TEST_IO_THREADS"],) if "FANFARE_TEST_IO_THREADS" in os.environ else ("1", "4")
OPTIONS = ("--channel", "soak.*", "history-size", 100, "history-ttl", 20, "--outbox-limit-bytes", 65536, "--outbox-block-timeout",
           60000, "--stall-timeout", 600, "--tcp-user-timeout", 0, "--resume-max-channels", 4)


@pytest.mark.parametrize("loops", LOOPS)
def test_every_message_arrives_or_is_marked_as_missing(start_fanfared, loops, capsys):
    soak = Soak(start_fanfared("--io-threads", loops, *OPTIONS), SEED, SUBSCRIBERS)
    soak.run(SECONDS)
    soak.finish()
    count = soak.count
    with capsys.disabled():
        print(f"\nsoak, io-threads {loops}, seed {SEED}: {count['delivered']} delivered, {count['marked']} marked, "
              f"{count['wrong']} wrong; {dict(count)}")
    assert count["wrong"] == 0, "\n".join(soak.faults)
    # All of it happened.
    for what in ("delivered", "marked", "verdict resumed", "verdict new", "verdict lost", "glob's verdict resumed",
                 "glob's verdict new", "glob's verdict lost", "kill", "reset", "stall", "evict"):
        assert count[what] > 0, (what, count)
