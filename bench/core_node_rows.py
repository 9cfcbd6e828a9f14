#!/usr/bin/env python3
"""Measures the package fanfare-core beside libfanfare-core (bench/core.c), an EventEmitter and a Map, and prints a table.

Rounds alternate between them, so that other work on the machine meets all. Needs a build folder with optimization:

    make bench/core npm-package && ../../bench/core_node_rows.py --build . --rounds 5
"""

import argparse
import os
import pathlib
import statistics
import subprocess

# What the row is about: subscribers, idle patterns, bytes of a payload, messages of a turn. Turns are short, so that on a busy
# machine some of them are not interrupted.
ROWS = [
    ("1 subscriber", 1, 0, 100, 5000),
    ("100 subscribers", 100, 0, 100, 300),
    ("10 000 subscribers", 10000, 0, 100, 10),
    ("1 subscriber, 100 idle patterns", 1, 100, 100, 5000),
    ("1 subscriber, 1 000 idle patterns", 1, 1000, 100, 2000),
    ("1 subscriber, 100 000 idle patterns", 1, 100000, 100, 300),
]
WAYS = ("library", "module", "emitter", "map")


def measure(build, way, row):
    env = dict(os.environ, FANFARE_CORE_PACKAGE=str((build / "npm" / "fanfare-core").resolve()), NODE_NO_WARNINGS="1")
    if way in ("emitter", "map") and row[2] >= 100000:
        row = (*row[:4], 3)
    command = [build / "bench" / "core", "hub"]
    if way != "library":
        command = ["node", pathlib.Path(__file__).parent / "core.js", way]
    output = subprocess.run([*map(str, command), *map(str, row[1:])], check=True, capture_output=True, text=True, timeout=900,
                            env=env).stdout
    return sum(float(word) for word in output.split())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=".", type=pathlib.Path, help="the build folder")
    parser.add_argument("--rounds", default=5, type=int)
    arguments = parser.parse_args()
    print("| publish and read, ns for each message | library | module | ratio | emitter | map |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in ROWS:
        rounds = [{way: measure(arguments.build, way, row) for way in WAYS} for _ in range(arguments.rounds)]
        cells = [f"{statistics.median(r[way] for r in rounds):,.0f}".replace(",", " ") for way in WAYS]
        cells.insert(2, f"{statistics.median(r['module'] / r['library'] for r in rounds):.2g}")
        print(f"| {row[0]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
