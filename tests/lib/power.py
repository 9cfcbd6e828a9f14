"""What a loss of power leaves: synced bytes and names, any part of the others, and the last batch torn."""

import os
import random

(WRITE, SYNC_BEGIN, SYNC_END, TRUNCATE, CREATE, RENAME, UNLINK, UNDONE, FOLDER_BEGIN, FOLDER_END) = range(1, 11)
BATCH = b"#FANFARE1"


class Range:
    """Bytes that were written and not synced. Lost: a sync failed, and the kernel marked the pages clean."""

    def __init__(self, begin, end, serial):
        self.begin, self.end, self.serial, self.is_lost = begin, end, serial, False

    def without(self, begin, end):
        """What remains of it when these bytes are written again."""
        for left, right in ((self.begin, min(self.end, begin)), (max(self.begin, end), self.end)):
            if left < right:
                part = Range(left, right, self.serial)
                part.is_lost = self.is_lost
                yield part


class Contents:
    """One inode."""

    def __init__(self):
        self.ranges = []
        self.end = None
        self.syncs = {}
        self.serial = 0

    def write(self, begin, end):
        if self.end is None or begin < self.end:
            self.ranges = [part for old in self.ranges for part in old.without(begin, end)]
        self.ranges.append(Range(begin, end, self.serial))
        self.serial += 1
        self.end = max(self.end or 0, end)

    def cut(self, end):
        self.ranges = [part for old in self.ranges for part in old.without(end, 1 << 62)]
        self.end = end

    def begin_sync(self, token, size):
        self.syncs[token] = (self.serial, size)

    def end_sync(self, token, failed):
        serial, size = self.syncs.pop(token, (0, 0))
        if failed:
            for one in self.ranges:
                one.is_lost = one.is_lost or one.serial < serial
        else:
            self.ranges = [one for one in self.ranges if one.is_lost or one.serial >= serial]
            if self.end is not None:
                self.end = max(self.end, size)  # including writes by calls that are not recorded

    def lose(self, path, rng):
        """Leaves a possible state of the disk. Returns a description, or None if nothing is lost."""
        data = path.read_bytes()
        size = len(data)
        if self.end is not None and size > self.end:
            self.ranges.append(Range(self.end, size, self.serial))
        ranges = sorted((one for one in self.ranges if one.begin < size), key=lambda one: one.begin)
        if not ranges:
            return None
        tail = []
        at = size
        while ranges and ranges[-1].end >= at > ranges[-1].begin:
            at = ranges[-1].begin
            tail.append(ranges.pop())
        tail.reverse()
        damaged = bytearray(data)
        done = []
        for one in ranges:  # synced bytes follow it
            if one.is_lost and rng.random() < 0.5:
                damaged[one.begin:one.end] = bytes(one.end - one.begin)
                done.append(f"lost {one.begin} to {one.end}")
        for number, one in enumerate(tail):
            if one.is_lost and rng.random() < 0.5:
                tail = tail[:number + 1]
                del damaged[one.end:]
        if tail:
            done.append(tear(damaged, tail, rng))
        path.write_bytes(damaged)
        return f"{path.name} of {size} bytes: " + ", ".join(done)


def tear(data, tail, rng):
    """Keeps some of the writes of the tail and a part of the next, followed by nothing, zeros or garbage."""
    size = len(data)
    torn = rng.choice(tail)
    at = rng.randint(torn.begin, torn.end) if torn.end <= size else torn.begin
    following = data.find(BATCH, at + 1)
    end = min(size, following if following >= 0 else size)
    kind = rng.choice(("cut", "zeros", "garbage"))
    rest = b""
    if kind != "cut" and end > at:
        length = rng.randint(1, end - at)
        rest = bytes(length) if kind == "zeros" else rng.randbytes(length)
    del data[at:]
    data += rest
    return f"{kind} from {at} to {len(data)}, synced to {tail[0].begin}"


class Unsynced:
    """The part of a folder that is not on disk yet."""

    def __init__(self, folder, kept):
        self.folder, self.kept = folder, kept
        self.contents = {}
        self.names = []  # (number of the record, event, inode, name, other name, number of the kept file)
        self.folder_syncs = {}

    def take(self, number, event, inode, offset, length, token, name, other):
        contents = self.contents.setdefault(inode, Contents())
        if event == WRITE:
            contents.write(offset, offset + length)
        elif event == SYNC_BEGIN:
            contents.begin_sync(number, offset)
        elif event == SYNC_END:
            contents.end_sync(token, length != 0)
        elif event == TRUNCATE:
            contents.cut(length)
        elif event == FOLDER_BEGIN:
            self.folder_syncs[number] = len(self.names)
        elif event == FOLDER_END:
            count = self.folder_syncs.pop(token, 0)
            if length == 0:
                del self.names[:count]
                self.folder_syncs = {key: max(0, value - count) for key, value in self.folder_syncs.items()}
        elif event == UNDONE:
            self.names = [one for one in self.names if one[0] != token]
        else:
            if event == CREATE:
                self.contents[inode] = Contents()
                self.contents[inode].end = 0
            self.names.append((number, event, inode, name, other, offset))

    def end_of_process(self):
        """A call may have been interrupted between its record and its execution; numbers restart."""
        if self.names:
            _, event, inode, name, other, kept = self.names[-1]
            if event in (RENAME, UNLINK) and inode_of(self.folder / name) == inode:
                self.names.pop()
        self.names = [(-1, *one[1:]) for one in self.names]
        self.folder_syncs.clear()
        for contents in self.contents.values():
            contents.syncs.clear()

    def lose(self, rng):
        done = []
        left = rng.randint(0, len(self.names))
        for _, event, inode, name, other, kept in reversed(self.names[left:]):
            done.append(self._undo(event, inode, name, other, kept))
        for path in sorted(self.folder.iterdir()):
            contents = self.contents.get(inode_of(path))
            if contents is not None and path.is_file():
                done.append(contents.lose(path, rng))
        self.contents.clear()
        self.names.clear()
        return "; ".join(one for one in done if one)

    def _undo(self, event, inode, name, other, kept):
        path = self.folder / name
        if event == CREATE:
            if inode_of(path) != inode:
                return None
            path.unlink()
            return f"{name} not created"
        new = self.folder / other
        if event == RENAME:
            if inode_of(new) == inode:
                os.rename(new, path)
            if kept >= 0:
                os.link(self.kept / str(kept), new)
            return f"{name} not renamed to {other}"
        if kept >= 0 and not path.exists():
            os.link(self.kept / str(kept), path)
        return f"{name} not removed"


class Worst(random.Random):
    """Instead of a seeded generator: only what must remain does."""

    def random(self):
        return 0.0

    def randint(self, a, b):
        return a

    def choice(self, seq):
        return seq[0]


def inode_of(path):
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
