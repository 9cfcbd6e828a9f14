"""The same commands to redis-server and fanfared: the same bytes back, in RESP2 and RESP3."""

import pathlib

import pytest

from lib.differ import compare, read_table

TABLES = sorted((pathlib.Path(__file__).parent / "differential").glob("*.txt"))


def test_the_tables_hold_at_least_300_commands():
    assert sum(len(read_table(path)) for path in TABLES) >= 300


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_same_input_gives_the_same_bytes(start_redis, start_fanfared, path, version):
    different = compare(read_table(path), start_redis(), start_fanfared(), version)
    assert not different, "\n".join([f"{len(different)} lines of {path.name} differ", *different])
