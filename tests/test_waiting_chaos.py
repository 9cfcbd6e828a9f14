"""Random clients and waits: no message is lost, duplicated or reordered, no refused command is executed, and no wait
outlives its reason.

FANFARE_CHAOS_SEED=n runs one seed, FANFARE_CHAOS_SECONDS=s as long; FANFARE_CHAOS_SEED=random takes new seeds until the
seconds are over, FANFARE_CHAOS_WITHOUT=hello,lagged leaves out what would find a known fault again (Chaos.does()),
FANFARE_CHAOS_FLAVOUR=memory makes all rounds of that kind.
For an hour: FANFARE_CHAOS_SEED=random FANFARE_CHAOS_SECONDS=3600 FANFARE_TEST_TIMEOUT=4000 make check
TESTS=tests/test_waiting_chaos.py, with FANFARE_TEST_IO_THREADS=4 for four loops only.
"""

import os
import random
import time

import pytest

from lib.resp import Closed, parse_client
from lib.wait import SLOW
from lib.waiting_chaos import Chaos

SEEDS = (1, 2, 3)
SECONDS_A_SEED = 8.0
# Both, unless the run of the tests says how many.
LOOPS = (os.environ["FANFARE_TEST_IO_THREADS"],) if "FANFARE_TEST_IO_THREADS" in os.environ else ("1", "4")
SECONDS_A_ROUND = 2.5
LIMITS = ("--stall-timeout", 600, "--tcp-user-timeout", 0, "--outbox-block-timeout", 600000,
          "--auto-aof-rewrite-percentage", 0, "--notify-keyspace-events", "")


def seen_from_outside(daemon):
    """The clients that the daemon has at the moment of a fault, and what it says of their outboxes."""
    try:
        with daemon.connect(timeout=3) as admin:
            listed = admin.call("OUTBOX", "LIST")
            lines = [line for reply in (admin.call("CLIENT", "LIST"), listed) if isinstance(reply, bytes)
                     for line in reply.decode().splitlines()]
    except (OSError, Closed) as error:
        return f"no CLIENT LIST: {error!r}"
    wanted = ("id", "flags", "sub", "psub", "ssub", "qbuf", "omem", "cmd", "resp", "outbox-bytes",
              "outbox-messages", "policy")
    return "clients:\n" + "\n".join("  " + " ".join(f"{name}={fields[name]}" for name in wanted if name in fields)
                                   for fields in map(parse_client, lines))


def run_seed(start_fanfared, seed, seconds, loops):
    source = random.Random(f"{seed}/daemon")
    options = ["--io-threads", loops]
    options += ["--appendonly", "yes", "--appendfsync", "always"] if source.random() < 0.5 else []
    daemon = start_fanfared(*LIMITS, *options)
    without = os.environ.get("FANFARE_CHAOS_WITHOUT", "").split(",")
    chaos = Chaos(daemon, seed, without, os.environ.get("FANFARE_CHAOS_FLAVOUR"))
    end = time.monotonic() + seconds
    try:
        chaos.open()
        while True:
            chaos.round(SECONDS_A_ROUND * (2 if SLOW > 1 else 1))
            if time.monotonic() > end:
                break
        chaos.close()
    except BaseException as error:
        print(f"\nFANFARE_CHAOS_SEED={seed} ({' '.join(map(str, options))}): {error!r}\n{chaos.told(str(error))}")
        print(seen_from_outside(daemon))
        print("the last lines of the log:\n" + "\n".join(daemon.log().splitlines()[-40:]))
        raise
    finally:
        chaos.release()
    if os.environ.get("FANFARE_CHAOS_EVENTS"):
        print(chaos.told("", 1 << 30))
    print(f"seed {seed}: {dict(chaos.model.checked)}, rounds {dict(chaos.rounds)}")
    assert chaos.model.checked["received"] > 100 and chaos.model.checked["counts"] > 100
    daemon.stop()


def chosen_seeds():
    text = os.environ.get("FANFARE_CHAOS_SEED", "")
    if text == "random":
        return ("random",)
    return (int(text),) if text else SEEDS


@pytest.mark.parametrize("loops", LOOPS)
@pytest.mark.parametrize("seed", chosen_seeds())
def test_no_wait_outlives_its_reason(start_fanfared, seed, loops):
    seconds = float(os.environ.get("FANFARE_CHAOS_SECONDS", SECONDS_A_SEED))
    if seed != "random":
        return run_seed(start_fanfared, seed, seconds, loops)
    end = time.monotonic() + seconds / len(LOOPS)
    while time.monotonic() < end:
        run_seed(start_fanfared, random.randrange(1 << 31), min(20.0, end - time.monotonic()), loops)
    return None
