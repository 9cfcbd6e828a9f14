"""Seeded chaos on a failing disk. FANFARE_CHAOS_SEED and FANFARE_CHAOS_SECONDS repeat one seed or run longer.

FANFARE_CHAOS_EVENTS=1 prints every step even on success, FANFARE_CHAOS_KEEP=1 keeps the folder."""

import os

import pytest

from conftest import require_kind
from lib import chaos
from lib.daemon import Fanfared
from lib.disk import shim_disk  # noqa: F401  (a fixture)

SEEDS = [int(seed) for seed in os.environ.get("FANFARE_CHAOS_SEED", "1 2 3 4 5 6 7 8").split()]
SECONDS = float(os.environ.get("FANFARE_CHAOS_SECONDS", "7"))


@pytest.mark.parametrize("seed", SEEDS)
def test_promises_hold_whatever_happens(shim_disk, seed):  # noqa: F811
    require_kind(Fanfared)
    chaos.run(shim_disk, seed, SECONDS)
