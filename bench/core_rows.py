#!/usr/bin/env python3
"""Measures libfanfare-core beside a hash map of vectors (bench/core.c), and prints a table.

Rounds alternate between the two, so that other work on the machine meets both. Needs a build folder with optimization:

    make bench/core && ../../bench/core_rows.py --build . --rounds 5
"""

import argparse
import pathlib
import statistics
import subprocess

# What the row is about: subscribers, idle patterns, bytes of a payload, messages of a turn.
ROWS = [
    ("1 subscriber", 1, 0, 100, 200000),
    ("100 subscribers", 100, 0, 100, 10000),
    ("100 subscribers, 4 KiB", 100, 0, 4096, 2000),
    ("10 000 subscribers", 10000, 0, 100, 200),
    ("100 subscribers, 100 000 idle patterns", 100, 100000, 100, 300),
]


def measure(program, way, row):
    output = subprocess.run(
        [str(program), way, *map(str, row[1:])], check=True, capture_output=True, text=True, timeout=600
    ).stdout
    return [float(word) for word in output.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=".", type=pathlib.Path, help="the build folder")
    parser.add_argument("--rounds", default=5, type=int)
    arguments = parser.parse_args()
    program = arguments.build / "bench" / "core"
    print("| | publish: hub | map | ratio | publish and read: hub | map | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in ROWS:
        rounds = [(measure(program, "hub", row), measure(program, "map", row)) for _ in range(arguments.rounds)]
        cells = []
        for cost in (lambda pair: pair[0], sum):
            hub = statistics.median(cost(pair[0]) for pair in rounds)
            map_ = statistics.median(cost(pair[1]) for pair in rounds)
            ratio = statistics.median(cost(pair[0]) / cost(pair[1]) for pair in rounds)
            cells += [f"{hub:,.0f}".replace(",", " "), f"{map_:,.0f}".replace(",", " "), f"{ratio:.2g}"]
        print(f"| {row[0]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
