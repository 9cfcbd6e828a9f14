"""A RESP connection over a bare socket: bytes out, values or bytes in, nothing hidden."""

import socket

from lib.wait import seconds


class Error(Exception):
    """An error reply; two are equal when their bytes are."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Error) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return f"Error({self.text!r})"


class Push(list):
    """A RESP3 push; as a list it equals the RESP2 array of the same message."""


class Closed(Exception):
    """The daemon closed the connection in place of the bytes that were asked for."""


def encode(*args):
    """A request: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif isinstance(arg, int):
            arg = b"%d" % arg
        parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(parts)


def error(text):
    """The error value with this text, as read_value() gives it."""
    return Error(text.encode() if isinstance(text, str) else text)


class Connection:
    """One connection. `address` is (host, port) or the path of a unix socket."""

    def __init__(self, address, timeout=10, receive_buffer=None, source=None):
        if isinstance(address, (str, bytes)) or hasattr(address, "__fspath__"):
            family, address = socket.AF_UNIX, str(address)
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            # Before the connect, or the window has been offered already.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds(timeout))
        if source is not None:
            self.socket.bind((source, 0))
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = bytearray()
        self._at = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def abandon(self):
        """Close, though another thread may be in the middle of sending."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed before
        self.socket.close()

    # Sending

    def send(self, data):
        self.socket.sendall(data)

    def command(self, *args):
        self.send(encode(*args))

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    # Receiving bytes

    def _receive(self):
        """More bytes into the buffer; Closed when there will be none."""
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed("connection closed by the daemon; unread: %r" % bytes(self._held[self._at:]))
        if self._at > 1 << 20:
            del self._held[:self._at]
            self._at = 0
        self._held += data

    def read_exactly(self, count):
        while len(self._held) - self._at < count:
            self._receive()
        data = bytes(self._held[self._at:self._at + count])
        self._at += count
        return data

    def read_line(self):
        """One line without its CRLF."""
        start = self._at
        while True:
            end = self._held.find(b"\r\n", start)
            if end >= 0:
                line = bytes(self._held[self._at:end])
                self._at = end + 2
                return line
            held = self._at
            start = max(self._at, len(self._held) - 1)
            self._receive()
            start -= held - self._at

    def read_to_end(self):
        """Everything until the daemon closes."""
        while True:
            try:
                self._receive()
            except Closed:
                data = bytes(self._held[self._at:])
                self._held.clear()
                self._at = 0
                return data

    def read_available(self, limit=1 << 20):
        """What one recv gives, or what is held."""
        if self._at == len(self._held):
            self._receive()
        return self.read_exactly(min(limit, len(self._held) - self._at))

    def is_closed(self, within=5):
        """True if the daemon closes before `within` seconds; what it sent before is kept."""
        self.socket.settimeout(seconds(within))
        try:
            while True:
                self._receive()
        except Closed:
            return True
        except (TimeoutError, socket.timeout):
            return False

    def nothing_arrives(self, within=0.1):
        """True if no byte comes within that time; for what must never come, use after a reply."""
        if self._at != len(self._held):
            return False
        before = self.socket.gettimeout()
        self.socket.settimeout(within)
        try:
            self._receive()
            return False
        except (TimeoutError, socket.timeout):
            return True
        finally:
            self.socket.settimeout(before)

    # Receiving values

    def read_raw(self):
        """The bytes of exactly one value."""
        line = self.read_line()
        raw = line + b"\r\n"
        kind = line[:1]
        if kind in b"$=!":
            size = int(line[1:])
            return raw if size < 0 else raw + self.read_exactly(size + 2)
        if kind in b"*~>%":
            count = int(line[1:]) * (2 if kind == b"%" else 1)
            return raw + b"".join(self.read_raw() for _ in range(count))
        if kind == b"|":
            count = int(line[1:]) * 2 + 1
            return raw + b"".join(self.read_raw() for _ in range(count))
        if not kind or kind not in b"+-:_#,(":
            raise AssertionError(f"not RESP: {line!r}")
        return raw

    def read_value(self):
        line = self.read_line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Error(rest)
        if kind in (b":", b"("):
            return int(rest)
        if kind == b"_":
            return None
        if kind == b"#":
            return {b"t": True, b"f": False}[rest]
        if kind == b",":
            return float(rest)
        if kind in (b"$", b"=", b"!"):
            return self._bulk(kind, int(rest))
        if kind in (b"*", b"~"):
            return None if rest == b"-1" else [self.read_value() for _ in range(int(rest))]
        if kind == b">":
            return Push(self.read_value() for _ in range(int(rest)))
        if kind == b"%":
            return {_hashable(self.read_value()): self.read_value() for _ in range(int(rest))}
        raise AssertionError(f"not RESP: {line!r}")

    def _bulk(self, kind, size):
        if size < 0:
            return None
        data = self.read_exactly(size + 2)
        assert data[-2:] == b"\r\n", f"bulk string not ended by CRLF: {data[-20:]!r}"
        data = data[:-2]
        if kind == b"=":
            assert data[3:4] == b":", data[:10]
            return data[4:]
        return Error(data) if kind == b"!" else data

    # Both

    def call(self, *args):
        """Send a command and return its reply, errors too."""
        self.command(*args)
        return self.read_value()

    def ok(self, *args):
        """A command that must answer OK."""
        reply = self.call(*args)
        assert reply == b"OK", f"{args}: {reply!r}"

    def hello(self, version):
        reply = self.call("HELLO", version)
        assert not isinstance(reply, Error), reply
        return reply

    def subscribe(self, *channels, kind="SUBSCRIBE"):
        """Subscribe and read every confirmation; returns the last count."""
        self.command(kind, *channels)
        count = 0
        for channel in channels:
            name = channel.encode() if isinstance(channel, str) else channel
            reply = self.read_value()
            assert reply[:2] == [kind.lower().encode(), name], reply
            count = reply[2]
        return count

    def info(self, *sections):
        """INFO as a dict of strings."""
        fields = {}
        for line in self.call("INFO", *sections).decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.partition(":")
                fields[name] = value
        return fields

    def client_list(self, *args):
        """CLIENT LIST as a list of dicts of strings."""
        return [parse_client(line) for line in
                self.call("CLIENT", "LIST", *args).decode().splitlines() if line]

    def outbox_list(self, *args):
        """OUTBOX LIST likewise; fanfared alone has it."""
        return [parse_client(line) for line in
                self.call("OUTBOX", "LIST", *args).decode().splitlines() if line]


def parse_client(line):
    return dict(field.partition("=")[::2] for field in line.split(" "))


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value
