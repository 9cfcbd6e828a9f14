"""The longest turn of a broker's event loop in processor time, measured inside the unchanged program: bench/turns.c."""

import mmap
import os
import shutil
import struct
import subprocess
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "turns.c")
FIGURES = struct.Struct("=7Q")


class Unmeasurable(Exception):
    """There is no compiler."""


class Turns:
    """For one broker at a time: begin() starts a measurement, longest_ms() ends it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="fanfare-turns-")
        self.library = os.path.join(self.folder, "turns.so")
        built = subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", self.library, SOURCE], check=False)
        if built.returncode != 0:
            self.close()
            raise Unmeasurable(f"cannot compile {SOURCE}")
        self.path = os.path.join(self.folder, "figures")
        with open(self.path, "wb") as file:
            file.write(bytes(FIGURES.size))
        self.file = open(self.path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), FIGURES.size)

    def environment(self):
        return {"LD_PRELOAD": self.library, "TURNS_FILE": self.path}

    def begin(self):
        wanted, *_ = FIGURES.unpack(self.map)
        self.map[:8] = struct.pack("=Q", wanted + 1)

    def figures(self):
        wanted, begun, cpu_ns, wall_ns, count, all_ns, over_5ms = FIGURES.unpack(self.map)
        if wanted != begun:
            return {"turn_ms": 0, "turns": 0}
        return {"turn_ms": cpu_ns / 1e6, "turn_wall_ms": wall_ns / 1e6, "turns": count, "cpu_s": all_ns / 1e9,
                "over_5ms": over_5ms}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
