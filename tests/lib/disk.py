"""A disk that fails, delays and loses its power on demand; the counterpart of shim_disk.c."""

import errno
import mmap
import os
import pathlib
import re
import shutil
import struct
import subprocess

import pytest

from lib.power import Unsynced
from lib.wait import wait_until

SOURCE = pathlib.Path(__file__).with_name("shim_disk.c")
RULES, RECORDS = 16, 400000
HEAD = struct.Struct("<QqQQ")
RULE = struct.Struct("<12I32s")
RECORD = struct.Struct("<IIQqqq72s72s")
CALLS = ("write", "sync", "rename", "truncate", "open", "unlink", "fork")
PARENT, CHILD, BOTH = 1, 2, 3
FOR_EVER = 0xFFFFFFFF
FIELDS = ("on", "call", "who", "error", "delay_us", "chance", "shorten", "hold", "skip", "left", "acted", "held")


def compiled_shim(folder):
    """The path of the library, compiled into `folder` unless it exists already."""
    path = pathlib.Path(folder) / "shim_disk.so"
    if not path.exists():
        subprocess.run([*os.environ.get("SHIM_CC", "cc").split(), "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-shared",
                        "-fPIC", "-o", str(path), str(SOURCE), "-ldl"], check=True)
    return path


def preload(shim, daemon):
    """LD_PRELOAD for this daemon; a sanitizer's library must precede."""
    linked = subprocess.run(["ldd", daemon], capture_output=True, text=True, check=True).stdout
    return " ".join([*re.findall(r"=> (/\S*/lib[atu]b?san\S*)", linked), str(shim)])


class Rule:
    """A fault of certain calls, until it is removed."""

    def __init__(self, disk, slot):
        self._disk, self._at = disk, HEAD.size + slot * RULE.size

    def _get(self, field):
        return struct.unpack_from("<I", self._disk.map, self._at + 4 * FIELDS.index(field))[0]

    def _set(self, field, value):
        struct.pack_into("<I", self._disk.map, self._at + 4 * FIELDS.index(field), value)

    @property
    def acted(self):
        """The number of calls that failed or were delayed."""
        return self._get("acted")

    @property
    def held(self):
        """The number of calls that are waiting."""
        return self._get("held")

    def lift(self):
        self._set("on", 0)
        self._set("hold", 0)

    def wait_held(self):
        wait_until(lambda: self.held, "a call that is held")

    def wait_acted(self, times=1):
        wait_until(lambda: self.acted >= times, f"{times} calls that fail")


class Disk:
    """The data folder of a daemon, with faults of system calls on it.

    disk.folder is the data folder, disk.env the environment of the daemon."""

    def __init__(self, root, shim, seed=1):
        self.folder = root / "data"
        self.kept = root / "kept"
        self.folder.mkdir()
        self.kept.mkdir()
        path = root / "disk"
        with open(path, "wb") as file:
            file.truncate(HEAD.size + RULES * RULE.size + RECORDS * RECORD.size)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        HEAD.pack_into(self.map, 0, seed, -1, 0, 0)
        self.unsynced = Unsynced(self.folder, self.kept)
        self.sync_delay = 0  # the environment with a working disk
        self._next = 0
        self.env = {"FANFARE_DISK": str(path), "FANFARE_DISK_FOLDER": str(self.folder.resolve()),
                    "FANFARE_DISK_KEPT": str(self.kept.resolve()),
                    "LD_PRELOAD": preload(shim, os.environ["FANFARED"])}

    # Faults

    def rule(self, call, error=0, who=BOTH, times=FOR_EVER, skip=0, chance=1.0, delay=0.0, hold=False, shorten=False,
             suffix=""):
        slot = self._next % RULES
        self._next += 1
        at = HEAD.size + slot * RULE.size
        RULE.pack_into(self.map, at, 0, CALLS.index(call), who, error, int(delay * 1e6), int(chance * 65536),
                       int(shorten), int(hold), skip, times, 0, 0, suffix.encode())
        struct.pack_into("<I", self.map, at, 1)
        return Rule(self, slot)

    def fail(self, call, error=errno.EIO, **more):
        return self.rule(call, error=error, **more)

    def hold(self, call, **more):
        """Calls wait until the rule is removed."""
        return self.rule(call, hold=True, **more)

    def set_room(self, room):
        """The number of bytes that can still be written; -1: no limit."""
        struct.pack_into("<q", self.map, 8, room)

    def heal(self):
        self.set_room(-1)
        for slot in range(RULES):
            Rule(self, slot).lift()
        if self.sync_delay:
            self.rule("sync", delay=self.sync_delay)

    # Loss of power

    def take_records(self):
        """Reads the record of what the daemon, which has ended, did to the folder."""
        _, _, used, _ = HEAD.unpack_from(self.map, 0)
        assert used < RECORDS, "more records than there is room for"
        base = HEAD.size + RULES * RULE.size
        for number in range(used):
            at = base + number * RECORD.size
            event, _, inode, offset, length, token, name, other = RECORD.unpack_from(self.map, at)
            if event != 0:
                self.unsynced.take(number, event, inode, offset, length, token, text(name), text(other))
        self.map[base:base + used * RECORD.size] = bytes(used * RECORD.size)
        struct.pack_into("<Q", self.map, 16, 0)
        self.unsynced.end_of_process()

    def lose_power(self, rng):
        """Keeps all synced data and a random part (rng) of the rest. Returns a description."""
        self.take_records()
        done = self.unsynced.lose(rng)
        shutil.rmtree(self.kept)
        self.kept.mkdir()
        return done


def text(name):
    return name.partition(b"\0")[0].decode()


@pytest.fixture(scope="session")
def shim_disk(tmp_path_factory):
    if not shutil.which("cc"):
        from conftest import missing
        missing("a compiler")
    return compiled_shim(tmp_path_factory.mktemp("shim"))
