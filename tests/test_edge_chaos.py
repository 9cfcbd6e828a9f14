"""Browsers in random orders of everything that can happen to them (lib/chaos_edge.py): the daemon goes on, no message comes
twice or out of order, and nothing is left at the end.

FANFARE_CHAOS_SEED=n and FANFARE_CHAOS_SECONDS=s repeat a seed or run longer."""

import os

import pytest

from lib.chaos_edge import Chaos
from lib.daemon import free_port
from lib.tokens import SECRET

SEED = int(os.environ.get("FANFARE_CHAOS_SEED", "1"))
SECONDS = float(os.environ.get("FANFARE_CHAOS_SECONDS", "8"))
LOOPS = (os.environ["FANFARE_TEST_IO_THREADS"],) if "FANFARE_TEST_IO_THREADS" in os.environ else ("1", "4")


@pytest.mark.parametrize("loops", LOOPS)
def test_random_orders_leave_nothing(start_fanfared, loops, capsys):
    port = free_port()
    daemon = start_fanfared("--io-threads", loops, "--http-port", port, "--http-doors", "sse ws publish health metrics",
                            "--edge-anonymous", "yes", "--token-hmac-secret", SECRET, "--token-leeway", 0, "--outbox-block-timeout",
                            100, "--user", *"edge on nopass resetchannels &* +@all".split(), "--channel",
                            *"keep* history-size 100 history-ttl 60".split())
    chaos = Chaos(daemon, port, SEED)
    chaos.run(SECONDS)
    chaos.finish()
    with capsys.disabled():
        print(f"\nchaos of browsers, io-threads {loops}, seed {SEED}: {dict(chaos.count)}")
    for what in ("messages", "status 101", "status 200", "lagged", "error 103", "kill", "leave"):
        assert chaos.count[what] > 0, (what, chaos.count)
