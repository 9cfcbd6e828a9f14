"""Many RESP connections in one selector loop, for tests that need hundreds of clients and few processors.

A connection hands each value that arrives to its owner, in the order of the stream. Nothing here blocks.
"""

import collections
import os
import selectors
import socket
import struct
import time

from lib.resp import Error, Push

PIECE = 1 << 18


class Simple(bytes):
    """A simple string, as opposed to a bulk string."""


class Parser:
    """Parses RESP values from a stream split into pieces of any size."""

    def __init__(self):
        self._held = bytearray()
        self._at = 0
        self._needed = 0  # bytes needed before the next value can be complete

    def feed(self, data):
        self._held += data

    @property
    def unread(self):
        return len(self._held)

    def values(self):
        """Returns each complete value; a part of the next one is kept."""
        while len(self._held) >= self._needed and self._held:
            self._at = 0
            try:
                value = self._value()
            except IndexError:
                return
            del self._held[:self._at]
            self._needed = 0
            yield value

    def _line(self):
        end = self._held.find(b"\r\n", self._at)
        if end < 0:
            raise IndexError
        line = bytes(self._held[self._at:end])
        self._at = end + 2
        return line

    def _bulk(self, size):
        end = self._at + size
        if len(self._held) < end + 2:
            self._needed = end + 2
            raise IndexError
        data = bytes(self._held[self._at:end])
        assert self._held[end:end + 2] == b"\r\n", "a bulk string does not end with CRLF"
        self._at = end + 2
        return data

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return None if rest == b"-1" else [self._value() for _ in range(int(rest))]
        if kind == b">":
            return Push(self._value() for _ in range(int(rest)))
        if kind == b"+":
            return Simple(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b"_":
            return None
        if kind == b",":
            return float(rest)
        if kind == b"%":
            return {self._value(): self._value() for _ in range(int(rest))}
        if kind == b"=":
            return self._bulk(int(rest))[4:]
        raise AssertionError(f"not RESP: {line[:200]!r}")


class Wire:
    """One connection. Its owner has on_value(value) and on_end()."""

    def __init__(self, loop, address, owner, receive_buffer=None):
        self.loop = loop
        self.owner = owner
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = Parser()
        self.is_open = True
        self.reads = True
        self._out = collections.deque()
        self._mask = 0
        self._watch()

    def _watch(self):
        mask = 0
        if self.is_open:
            mask = (selectors.EVENT_READ if self.reads else 0) | (selectors.EVENT_WRITE if self._out else 0)
        if mask == self._mask:
            return
        if self._mask == 0:
            self.loop.selector.register(self.socket, mask, self)
        elif mask == 0:
            self.loop.selector.unregister(self.socket)
        else:
            self.loop.selector.modify(self.socket, mask, self)
        self._mask = mask

    def send(self, data):
        if self.is_open:
            self._out.append(memoryview(data))
            self.flush()

    def flush(self):
        while self._out and self.is_open:
            try:
                sent = self.socket.send(self._out[0][:PIECE])
            except BlockingIOError:
                break
            except OSError:
                self._out.clear()  # the end is read after all earlier data
                break
            if sent == len(self._out[0]):
                self._out.popleft()
            else:
                self._out[0] = self._out[0][sent:]
        self._watch()

    @property
    def unsent(self):
        return len(self._out) > 0

    def read(self, limit=PIECE):
        """Reads up to this many bytes; their values go to the owner."""
        try:
            data = self.socket.recv(limit)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self.parser.feed(data)
        for value in self.parser.values():
            self.owner.on_value(value)
            if not self.is_open:
                return

    def set_reading(self, reads):
        self.reads = reads
        self._watch()

    def _end(self):
        self.is_open = False
        self._watch()
        self.socket.close()
        self.owner.on_end()

    def close(self, reset=False):
        """Closes the connection. The owner is not notified."""
        if not self.is_open:
            return
        self.is_open = False
        self._watch()
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Loop:
    """Serves connections until it is stopped."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self._last = 0.0

    def now(self):
        """The time in seconds; each call returns a later one, so that it also numbers the events."""
        self._last = max(time.monotonic(), self._last + 1e-7)
        return self._last

    def turn(self, within):
        for key, mask in self.selector.select(within):
            wire = key.data
            if mask & selectors.EVENT_WRITE:
                wire.flush()
            if mask & selectors.EVENT_READ and wire.is_open and wire.reads:
                wire.read()

    def close(self):
        self.selector.close()


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
