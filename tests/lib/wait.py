"""Deadlines: a test waits for a condition, never for a fixed time."""

import os
import time

# For sanitizer builds and loaded machines every deadline is multiplied by the same factor.
SLOW = 5 if os.environ.get("FANFARE_SLOW") == "1" else 1
# Set by the Makefile. Bounds on processor time are stretched for these builds only: other load does not change them.
SANITIZED = os.environ.get("FANFARE_SANITIZED") == "1"


def seconds(count):
    """A deadline of count seconds, multiplied for slow builds."""
    return count * SLOW


def cpu_seconds(count):
    """A bound of count seconds of processor time, stretched for a sanitizer build."""
    return count * (5 if SANITIZED else 1)


def wait_until(condition, what, within=10):
    """Return the first true value of condition(), or fail after `within` seconds."""
    end = time.monotonic() + seconds(within)
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds(within)} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
