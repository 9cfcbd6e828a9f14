"""HTTP and event streams over a bare socket: bytes out, responses and events in, nothing hidden."""

import dataclasses

from lib.daemon import free_port
from lib.resp import Connection


@dataclasses.dataclass
class Response:
    status: int
    headers: dict  # names in lower case
    body: bytes
    lines: list    # of the head, as sent


@dataclasses.dataclass
class Event:
    """An event as a browser dispatches it, with what it does not show: blocks without data too."""
    id: str = None
    event: str = None
    data: str = None
    retry: int = None
    comments: list = dataclasses.field(default_factory=list)


def head_of(method, target, headers=(), version="1.1", host="a"):
    lines = [f"{method} {target} HTTP/{version}", *([f"Host: {host}"] if host else []),
             *(f"{name}: {value}" for name, value in dict(headers).items()), "", ""]
    return "\r\n".join(lines).encode()


class Http(Connection):
    """A connection to an HTTP port; with a context of ssl, to an HTTPS port. The other options are those of Connection."""

    def __init__(self, port, tls=None, **options):
        super().__init__(("127.0.0.1", port), **options)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")

    def request(self, method, target, headers=(), body=None, **options):
        headers = dict(headers)
        if body is not None:
            headers.setdefault("Content-Length", len(body))
        self.send(head_of(method, target, headers, **options) + (body or b""))

    def read_head(self):
        lines = []
        while line := self.read_line():
            lines.append(line.decode("latin-1"))
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"twice: {line}"
            headers[name.lower()] = value
        return Response(int(status), headers, b"", lines)

    def read_response(self, is_head=False):
        response = self.read_head()
        if not is_head and response.status not in (100, 101, 204, 304):
            length = response.headers.get("content-length")
            response.body = self.read_to_end() if length is None else self.read_exactly(int(length))
        return response

    def ask(self, method, target, headers=(), body=None, **options):
        self.request(method, target, headers, body, **options)
        return self.read_response(is_head=method == "HEAD")


def ask(port, method, target, headers=(), body=None, **options):
    """One request on a connection of its own."""
    with Http(port) as http:
        return http.ask(method, target, headers, body, **options)


class EventStream:
    """An open stream: the head was read."""

    def __init__(self, port, target, headers=(), method="GET", body=None, version="1.1", **options):
        self.http = Http(port, **options)
        self.http.request(method, target, headers, body, version=version)
        self.response = self.http.read_head()
        self.is_chunked = self.response.headers.get("transfer-encoding") == "chunked"  # by a proxy
        self.raw = bytearray()  # the body so far
        self.at = 0             # what was read as events

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.http.close()

    def more(self):
        """The next bytes of the body."""
        if not self.is_chunked:
            return self.http.read_available()
        data = self.http.read_exactly(int(self.http.read_line(), 16))
        self.http.read_line()
        return data

    def _line(self):
        """The next line; they all end with LF alone."""
        while (end := self.raw.find(b"\n", self.at)) < 0:
            self.raw += self.more()
        line = bytes(self.raw[self.at:end])
        self.at = end + 1
        assert b"\r" not in line, line
        return line.decode("utf-8", errors="replace")

    def block(self):
        """What stands before the next empty line, as the standard of HTML reads it."""
        event, data = Event(), None
        while line := self._line():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "":
                event.comments.append(value)
            elif name == "data":
                data = value if data is None else data + "\n" + value
            elif name == "retry":
                event.retry = int(value)
            elif name in ("id", "event"):
                setattr(event, name, value)
            else:
                raise AssertionError(f"a field that no browser knows: {line!r}")
        event.data = data
        return event

    def event(self):
        """The next event that a page sees: blocks without data are left out."""
        while True:
            event = self.block()
            if event.data is not None:
                return event

    def rest(self):
        """All to the end of the stream."""
        self.raw += self.http.read_to_end()
        data = bytes(self.raw[self.at:])
        self.at = len(self.raw)
        return data


def open_stream(port, target, headers=(), **options):
    """A stream of status 200 and the right type, and its first block, which has the retry time."""
    stream = EventStream(port, target, headers, **options)
    assert (stream.response.status, stream.response.headers["content-type"]) == (200, "text/event-stream")
    return stream, stream.block()


def metrics(port):
    """The samples of /metrics by name, with labels as they stand there."""
    response = ask(port, "GET", "/metrics")
    assert response.status == 200, response
    pairs = (line.rsplit(" ", 1) for line in response.body.decode().splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


class Served:
    """A daemon with an HTTP port."""

    def __init__(self, server, port):
        self.server = server
        self.port = port

    def ask(self, *args, **options):
        return ask(self.port, *args, **options)

    def stream(self, target, headers=(), **options):
        return open_stream(self.port, target, headers, **options)[0]


# The rights of browsers without a token, unless a test has others.
EVERYTHING = "edge on nopass resetchannels &* +@all".split()


def serve_browsers(start, *options, loops=None, rights=EVERYTHING):
    """A daemon, by start(), whose anonymous browsers have these rights."""
    port = free_port()
    more = ("--user", *rights) if rights else ()
    if loops is not None:
        more += ("--io-threads", loops)
    return Served(start("--http-port", port, "--edge-anonymous", "yes", *more, *options), port)
