"""HTTP at the daemon: routes, methods, connections, hostile requests and refusals, with one loop and with four."""

import re
import subprocess

import pytest

from lib.browser import Http, head_of, metrics, open_stream, serve_browsers
from lib.resp import Connection
from lib.wait import seconds, wait_until

DOORS = "sse ws publish health metrics demo"
LOOPS = pytest.mark.parametrize("loops", [1, 4], ids=["one loop", "four loops"])


@pytest.fixture
def serve(start_fanfared):
    """serve("--directive", value) gives a daemon whose anonymous browsers may use all channels."""
    return lambda *options, loops=None: serve_browsers(start_fanfared, "--http-doors", *DOORS.split(), *options, loops=loops)


@pytest.fixture
def served(serve):
    return serve()


# Routes and methods

ROUTES = {
    # path: methods, and the status of a GET and of a POST without a body
    "/sse?channel=a": ("GET, HEAD, POST, OPTIONS", None, None),
    "/sse/a": ("GET, HEAD, OPTIONS", None, 405),
    "/ws": ("GET, HEAD, OPTIONS", 426, 405),
    "/connection/websocket": ("GET, HEAD, OPTIONS", 426, 405),
    "/pub/a": ("POST, OPTIONS", 405, 200),
    "/healthz": ("GET, HEAD, OPTIONS", 200, 405),
    "/readyz": ("GET, HEAD, OPTIONS", 200, 405),
    "/metrics": ("GET, HEAD, OPTIONS", 200, 405),
    "/demo": ("GET, HEAD, OPTIONS", 200, 405),
}


def test_each_route_has_its_methods(served):
    for path, (allowed, get, post) in ROUTES.items():
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"):
            response = served.ask(method, path)
            assert (response.status, response.headers["allow"]) == (405, allowed), (method, path)
            assert response.body == b'{"error":"method not allowed"}\n'
        if get:
            assert served.ask("GET", path).status == get, path
        if post:
            assert served.ask("POST", path, body=b"").status == post, path
        options = served.ask("OPTIONS", path)
        assert (options.status, options.headers["allow"], options.body) == (204, allowed, b""), path
        assert "content-length" not in options.headers


def test_head_has_the_head_of_get_and_no_body(served):
    for path in ("/healthz", "/readyz", "/demo", "/nothing"):
        with Http(served.port) as http:
            get, head = http.ask("GET", path), http.ask("HEAD", path)
            assert head.lines == get.lines, path
            assert int(head.headers["content-length"]) == len(get.body)
            assert http.ask("GET", "/healthz").status == 200  # the stream of responses is in step


def test_options_of_the_server_itself(served):
    assert served.ask("OPTIONS", "*").status == 204


@pytest.mark.parametrize("path", [
    "/", "/nothing", "/sse/", "/pub/", "/pub", "/healthz/", "/healthz/a", "/ws/a", "/SSE?channel=a", "//healthz", "/./healthz",
    "/metrics%20", "/../healthz"])
def test_other_paths_are_not_found(served, path):
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        assert served.ask(method, path).status == 404, method


def test_a_path_is_decoded_before_it_is_looked_up(served):
    assert served.ask("GET", "/%68ealthz?a=b").status == 200


@pytest.mark.parametrize("door, paths", [
    ("sse", ["/sse?channel=a", "/sse/a"]), ("ws", ["/ws", "/connection/websocket"]), ("publish", ["/pub/a"]),
    ("health", ["/healthz", "/readyz"]), ("metrics", ["/metrics"]), ("demo", ["/demo"])])
def test_a_door_that_is_switched_off_is_not_found(served, door, paths):
    client = served.server.connect()
    client.ok("CONFIG", "SET", "http-doors", DOORS.replace(door, "").strip())
    for path in paths:
        for method in ("GET", "POST", "OPTIONS"):
            assert served.ask(method, path).status == 404, (method, path)
    client.ok("CONFIG", "SET", "http-doors", DOORS)
    assert served.ask("OPTIONS", paths[0]).status == 204


def test_pages_for_administrators_are_hidden_from_others(serve):
    served = serve("--http-admin-from", "192.0.2.0/24")
    nothing = served.ask("GET", "/nothing")
    for path in ("/metrics", "/demo"):
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            assert served.ask(method, path).status == 404
        assert served.ask("GET", path) == nothing
    served.server.connect().ok("CONFIG", "SET", "http-admin-from", "127.0.0.1")
    assert served.ask("GET", "/metrics").status == 200


def test_readyz_refuses_in_a_lame_duck_and_healthz_does_not(served):
    # The oldest client is closed first, the last one at the end of the window.
    client = served.server.connect()
    with Http(served.port) as older, Http(served.port) as http:
        assert older.ask("GET", "/readyz").body == http.ask("GET", "/readyz").body == b"ready\n"
        client.ok("SHUTDOWN", "GRACE", 1000)
        response = http.ask("GET", "/readyz")
        assert (response.status, response.headers["retry-after"]) == (503, "5")
        assert http.ask("GET", "/healthz").status == 200


# Connections


def test_a_connection_of_http_1_1_is_kept_until_it_is_to_be_closed(served):
    with Http(served.port) as http:
        for _ in range(3):
            assert http.ask("GET", "/healthz").headers["connection"] == "keep-alive"
        for value in ("Close", "upgrade, close", "close,"):
            with Http(served.port) as other:
                other.send(head_of("GET", "/healthz", {"Connection": value}) * 2)
                assert other.read_response().headers["connection"] == "close", value
                assert other.read_to_end() == b"", "the second request must not be answered"
        assert http.ask("GET", "/healthz").status == 200


def test_a_connection_of_http_1_0_is_closed_unless_it_is_to_be_kept(served):
    with Http(served.port) as http:
        assert http.ask("GET", "/healthz", version="1.0", host=None).headers["connection"] == "close"
        assert http.is_closed()
    with Http(served.port) as http:
        for _ in range(2):
            response = http.ask("GET", "/healthz", {"Connection": "Keep-Alive"}, version="1.0")
            assert (response.lines[0], response.headers["connection"]) == ("HTTP/1.1 200 OK", "keep-alive")


@LOOPS
def test_pipelined_requests_are_answered_in_order(serve, loops):
    served = serve("--channel", *"* history-size 10 history-ttl 60".split(), loops=loops)
    asked = b""
    for number in range(200):
        body = b"%d" % number
        asked += head_of("POST", f"/pub/a{number}", {"Content-Length": len(body)}) + body + head_of("HEAD", "/healthz")
        asked += head_of("GET", "/nothing")
    with Http(served.port) as http:
        http.send(asked)
        for number in range(200):
            assert re.fullmatch(rb'{"receivers":0,"position":"\d+-\d+"}\n', http.read_response().body)
            assert http.read_response(is_head=True).status == 200
            assert http.read_response().status == 404
        assert http.nothing_arrives()


def test_a_request_in_single_bytes(served):
    with Http(served.port) as http:
        for byte in head_of("POST", "/pub/a", {"Transfer-Encoding": "chunked"}) + b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n":
            http.send(bytes([byte]))
        assert http.read_response().body == b'{"receivers":0}\n'
        assert http.ask("GET", "/healthz").status == 200


@LOOPS
def test_a_client_that_waits_for_100_continue_gets_it(serve, loops):
    served = serve(loops=loops)
    with Http(served.port) as http:
        http.send(head_of("POST", "/pub/a", {"Expect": "100-continue", "Content-Length": 2}))
        assert http.read_head().lines == ["HTTP/1.1 100 Continue"]
        assert http.nothing_arrives()
        http.send(b"ab")
        assert http.read_response().status == 200
        http.send(head_of("POST", "/pub/a", {"Expect": "100-continue", "Content-Length": 2}) + b"ab")
        assert http.read_response().status == 200  # the body was there
        assert http.ask("POST", "/pub/a", {"Expect": "200-maybe"}, b"ab").status == 417
        assert http.is_closed()
    with Http(served.port) as http:  # refused before the body is sent
        http.send(head_of("POST", "/pub/a", {"Expect": "100-continue", "Content-Length": 2 << 20}))
        assert http.read_response().status == 413


def test_curl_sends_a_long_body_after_100_continue(served, tmp_path):
    (tmp_path / "body").write_bytes(bytes(range(256)) * 4000)
    subscriber = served.server.connect()
    subscriber.subscribe("a")
    done = subprocess.run(
        ["curl", "-sv", "--max-time", str(seconds(20)), "--data-binary", f"@{tmp_path}/body", "-H", "Expect: 100-continue",
         f"http://127.0.0.1:{served.port}/pub/a"], capture_output=True, check=True)
    assert done.stdout == b'{"receivers":1}\n'
    assert b"HTTP/1.1 100 Continue" in done.stderr
    assert subscriber.read_value() == [b"message", b"a", (tmp_path / "body").read_bytes()]


# Hostile requests

HOST = b"Host: a\r\n"
POST = b"POST /pub/a HTTP/1.1\r\n" + HOST
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"

# What each is answered with; the connection is closed behind it.
HOSTILE = {
    "length and chunks": (400, POST + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n"),
    "chunks and length": (400, POST + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n"),
    "chunks in 1.0": (400, b"POST /pub/a HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "two equal lengths": (400, POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "a list of lengths": (400, POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    "a length with a sign": (400, POST + b"Content-Length: +3\r\n\r\nabc"),
    "a negative length": (400, POST + b"Content-Length: -3\r\n\r\nabc"),
    "a hexadecimal length": (400, POST + b"Content-Length: 0x3\r\n\r\nabc"),
    "an empty length": (400, POST + b"Content-Length:\r\n\r\nabc"),
    "a length over 64 bits": (413, POST + b"Content-Length: 18446744073709551619\r\n\r\nabc"),
    "a length that is too large": (413, POST + b"Content-Length: 1048577\r\n\r\n"),
    "another coding": (501, POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "a coding before chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    "chunked that is not": (501, POST + b"Transfer-Encoding: xchunked\r\n\r\n"),
    "chunked in vertical tabs": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n"),
    "chunked twice": (400, POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n"),
    "chunked twice in a list": (501, POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n"),
    "an empty coding": (400, POST + b"Transfer-Encoding:\r\n\r\n"),
    "a chunk of a negative size": (400, POST + CHUNKED + b"\r\n-1\r\n"),
    "a chunk with 0x": (400, POST + CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n"),
    "a chunk of no size": (400, POST + CHUNKED + b"\r\n\r\n"),
    "a chunk over 64 bits": (413, POST + CHUNKED + b"\r\n10000000000000001\r\na\r\n"),
    "a chunk that is too large": (413, POST + CHUNKED + b"\r\n100001\r\n"),
    "chunks that are too large": (413, POST + CHUNKED + b"\r\n" + b"40000\r\n" + b"x" * 0x40000 + b"\r\nc0001\r\n"),
    "a chunk that ends with LF": (400, POST + CHUNKED + b"\r\n1\na\r\n0\r\n\r\n"),
    "a chunk with more than its size": (400, POST + CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n"),
    "a long extension": (400, POST + CHUNKED + b"\r\n1;" + b"x" * 20000 + b"\r\na\r\n0\r\n\r\n"),
    "long trailers": (431, POST + CHUNKED + b"\r\n0\r\nX: " + b"x" * 20000 + b"\r\n\r\n"),
    "a folded line": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "a folded line with a tab": (400, GET + b"X: a\r\n\tb\r\n\r\n"),
    "a blank before the first field": (400, b"GET /healthz HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n"),
    "a bare LF": (400, GET + b"X: a\nY: b\r\n\r\n"),
    "a bare LF at the end": (400, GET + b"\n"),
    "a bare LF in the first line": (400, b"GET /healthz HTTP/1.1\n" + HOST + b"\r\n"),
    "a bare CR": (400, GET + b"X: a\rY: b\r\n\r\n"),
    "a NUL in a value": (400, GET + b"X: a\0b\r\n\r\n"),
    "a NUL in a name": (400, GET + b"X\0: a\r\n\r\n"),
    "a blank before the colon": (400, GET + b"X : a\r\n\r\n"),
    "a name that is none": (400, GET + b": a\r\n\r\n"),
    "a name with a colon missing": (400, GET + b"X\r\n\r\n"),
    "a name in brackets": (400, GET + b"(X): a\r\n\r\n"),
    "an escape in a value": (400, GET + b"X: \x1b[2J\r\n\r\n"),
    "no host": (400, b"GET /healthz HTTP/1.1\r\n\r\n"),
    "two hosts": (400, GET + HOST + b"\r\n"),
    "two hosts in 1.0": (400, b"GET /healthz HTTP/1.0\r\n" + HOST + HOST + b"\r\n"),
    "absolute-form": (400, b"GET http://a/healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "authority-form": (501, b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a target without a slash": (400, b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "* of GET": (400, b"GET * HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a fragment": (400, b"GET /healthz#a HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a byte over 127 in the target": (400, b"GET /healthz\xff HTTP/1.1\r\n" + HOST + b"\r\n"),
    "two blanks": (400, b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a blank at the end": (400, b"GET /healthz HTTP/1.1 \r\n" + HOST + b"\r\n"),
    "a blank at the start": (400, b" GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a method that is none": (400, b"G(T /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "no version": (400, b"GET /healthz\r\n" + HOST + b"\r\n"),
    "http in small letters": (400, b"GET /healthz http/1.1\r\n" + HOST + b"\r\n"),
    "another protocol": (400, b"GET /healthz RTSP/1.0\r\n" + HOST + b"\r\n"),
    "0.9": (505, b"GET /healthz HTTP/0.9\r\n" + HOST + b"\r\n"),
    "2.0": (505, b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n"),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "1.10": (400, b"GET /healthz HTTP/1.10\r\n" + HOST + b"\r\n"),
    "a long target": (414, b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a long field": (431, GET + b"X: " + b"a" * 17000 + b"\r\n\r\n"),
    "a long name": (431, GET + b"a" * 17000),
    "many fields": (431, GET + b"X: a\r\n" * 1000 + b"\r\n"),
    "noise": (400, bytes(range(128, 256)) + b"\r\n\r\n"),
}

# Other protocols: the connection is closed, and the log says what it was.
FOREIGN = {
    "RESP on an HTTP port; use port or tls-port": b"*1\r\n$4\r\nPING\r\n",
    "TLS handshake on a plain port; use https-port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
}

# Valid HTTP that is refused; the connection is kept.
REFUSED = {
    "%00 in the path": (400, "POST", "/pub/a%00b"),
    "%2F in the path": (400, "POST", "/pub/a%2Fb"),
    "%2f in the path": (400, "POST", "/pub/a%2fb"),
    "an escape that is cut off": (400, "POST", "/pub/a%2"),
    "an escape that is none": (400, "POST", "/pub/a%zz"),
    "%00 in a parameter": (400, "GET", "/sse?channel=a%00b"),
    "an invalid escape in a parameter": (400, "GET", "/sse?channel=a%f"),
    "a channel without a name": (400, "GET", "/sse?channel="),
}


class Bystanders:
    """A stream and a connection that must not notice anything."""

    def __init__(self, port):
        self.stream, _ = open_stream(port, "/sse?channel=bystander")
        self.http = Http(port)
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.http.close()

    def assert_served(self):
        self.count += 1
        assert self.http.ask("POST", "/pub/bystander", body=b"%d" % self.count).body == b'{"receivers":1}\n'
        assert self.stream.event().data == str(self.count)


@LOOPS
def test_a_hostile_request_is_refused_and_counted_and_others_are_unaffected(serve, loops):
    served = serve(loops=loops)
    with Bystanders(served.port) as bystanders:
        for name, (status, sent) in HOSTILE.items():
            before = metrics(served.port)
            with Http(served.port) as http:
                http.send(sent)
                response = http.read_response()
                assert response.status == status, (name, response)
                assert response.headers["connection"] == "close" and response.body, name
                assert response.body.decode().startswith(f"{status} "), (name, response)
                assert http.read_to_end() == b"", name
            after = metrics(served.port)
            kind = 'fanfare_edge_responses_total{status="%dxx"}' % (status // 100)
            assert after["fanfare_edge_broken_requests_total"] == before["fanfare_edge_broken_requests_total"] + 1, name
            assert after[kind] == before[kind] + 1, name
        bystanders.assert_served()


@LOOPS
def test_a_refused_request_leaves_its_connection_in_step(serve, loops):
    served = serve(loops=loops)
    with Bystanders(served.port) as bystanders, Http(served.port) as http:
        for name, (status, method, target) in REFUSED.items():
            before = metrics(served.port)['fanfare_edge_responses_total{status="4xx"}']
            response = http.ask(method, target, body=b"" if method == "POST" else None)
            assert response.status == status, (name, response)
            assert metrics(served.port)['fanfare_edge_responses_total{status="4xx"}'] == before + 1, name
        assert http.ask("GET", "/healthz").status == 200
        bystanders.assert_served()


@LOOPS
def test_what_follows_a_hostile_request_is_never_executed(serve, loops):
    """The point of smuggling: the body, or what is behind it, as a request of its own."""
    served = serve(loops=loops)
    subscriber = served.server.connect()
    subscriber.subscribe("smuggled")
    smuggled = b"POST /pub/smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    for name, (status, sent) in HOSTILE.items():
        with Http(served.port) as http:
            http.send(head_of("GET", "/healthz") + sent + smuggled)
            assert http.read_response().status == 200, name
            if name.startswith(("a long name", "a length that", "a bare LF at the end")):
                continue  # what follows belongs to it
            assert http.read_response().status in (status, 413, 431), name
            assert http.read_to_end() == b"", name
    assert served.ask("POST", "/pub/smuggled", body=b"end").status == 200
    assert subscriber.read_value() == [b"message", b"smuggled", b"end"]


def test_a_valid_request_behind_the_refusal_of_its_predecessor_is_not_answered(served):
    with Http(served.port) as http:
        http.send(GET + b"\r\n" + GET + b"X: a\nb\r\n\r\n" + GET + b"\r\n")
        assert [http.read_response().status for _ in range(2)] == [200, 400]
        assert http.read_to_end() == b""


@LOOPS
def test_another_protocol_gets_no_http(serve, loops):
    served = serve(loops=loops)
    with Bystanders(served.port) as bystanders:
        for text, sent in FOREIGN.items():
            with Http(served.port) as http:
                http.send(sent)
                assert http.read_to_end() == b""
            served.server.wait_for_log(text)
        bystanders.assert_served()


def test_a_later_minor_version_is_read_as_1_1(served):
    """RFC 9110, 2.5."""
    with Http(served.port) as http:
        assert http.ask("GET", "/healthz", version="1.2").headers["connection"] == "keep-alive"
        assert http.ask("GET", "/healthz", version="1.2", host=None).status == 400


def test_limits_of_heads_and_bodies_are_exact(serve):
    served = serve("--http-max-head", "1kb", "--http-max-body", "1kb")
    start = head_of("GET", "/healthz")[:-2] + b"X: "
    for length, status in ((1024, 200), (1025, 431)):
        with Http(served.port) as http:
            http.send(start + b"a" * (length - len(start) - 4) + b"\r\n\r\n")
            assert http.read_response().status == status, length
    for length, status in ((1024, 200), (1025, 413)):
        assert served.ask("POST", "/pub/a", body=b"a" * length).status == status
        chunks = b"%x\r\n%s\r\n1\r\na\r\n0\r\n\r\n" % (length - 1, b"a" * (length - 1))
        with Http(served.port) as http:
            http.send(head_of("POST", "/pub/a", {"Transfer-Encoding": "chunked"}) + chunks)
            assert http.read_response().status == status


@LOOPS
def test_slow_heads_and_bodies_are_answered_with_408(serve, loops):
    served = serve("--http-request-timeout", 1, loops=loops)
    slow = {
        "head": GET,
        "first byte": b"G",
        "body": POST + b"Content-Length: 9\r\n\r\nabc",
        "chunks": POST + CHUNKED + b"\r\n3\r\nab",
        "behind another": GET + b"\r\n" + GET,
        "after 100 Continue": POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    }
    with Bystanders(served.port) as bystanders:
        connections = {name: Http(served.port) for name in slow}
        for name, http in connections.items():
            http.send(slow[name])
        for name, http in connections.items():
            if name in ("behind another", "after 100 Continue"):
                http.read_response()
            response = http.read_response()
            assert (response.status, response.headers["connection"]) == (408, "close"), (name, response)
            assert http.read_to_end() == b"", name
            http.close()
        bystanders.assert_served()
    assert served.server.connect().info("stats")["closed_slow_requests"] == str(len(slow))


def test_a_request_that_comes_drop_by_drop_has_one_time_limit(serve):
    served = serve("--http-request-timeout", 1)
    with Http(served.port) as http:
        http.send(GET)

        def drip():
            try:
                http.send(b"X: a\r\n")
            except OSError:
                return True
            return not http.nothing_arrives(0.05)

        wait_until(drip, "408", within=5)
        assert http.read_response().status == 408


def test_a_connection_that_has_sent_nothing_is_closed_without_a_word(serve):
    """A browser connects in advance: it would take a 408 for the answer to its next request."""
    served = serve("--auth-timeout", 1, "--http-request-timeout", 1, "--http-keepalive", 1)
    with Http(served.port) as http, Http(served.port) as idle:
        assert idle.ask("GET", "/healthz").status == 200
        assert http.read_to_end() == b""
        assert idle.read_to_end() == b""


def test_a_connection_that_never_logs_in_is_closed_without_a_word_between_its_requests(serve):
    served = serve("--auth-timeout", 1)
    with Http(served.port) as http:
        assert http.ask("GET", "/nothing").status == 404
        assert http.read_to_end() == b""


# Refusals before a request


def refused(port):
    """All that a connection gets, whether it is closed before or after the request."""
    with Http(port) as http:
        try:
            http.request("GET", "/healthz")
            return http.read_to_end()
        except OSError:
            return b""


def test_a_client_too_many_is_closed_without_a_response(serve):
    """An EventSource never comes back after status 503, but it does after a lost connection."""
    served = serve("--maxclients", 2)
    client = served.server.connect()
    client.call("PING")
    with Http(served.port) as http:
        assert http.ask("GET", "/healthz").status == 200
        assert refused(served.port) == b""
        assert http.ask("GET", "/healthz").status == 200
    served.server.wait_for_log(": maxclients")
    wait_until(lambda: len(client.client_list()) == 1, "the end of the other client")
    assert served.ask("GET", "/healthz").status == 200


def test_a_connection_too_many_from_an_address_is_closed_without_a_response(serve):
    served = serve("--max-connections-per-address", 1)
    with Http(served.port) as http:
        assert http.ask("GET", "/healthz").status == 200
        assert refused(served.port) == b""
    served.server.wait_for_log("max-connections-per-address 1 reached")


def test_browsers_are_clients_that_can_be_listed_and_killed(served):
    client = served.server.connect()
    with Http(served.port) as http:
        assert http.ask("GET", "/healthz").status == 200
        listed = [row for row in client.client_list() if row["id"] != str(client.call("CLIENT", "ID"))]
        assert len(listed) == 1, listed
        assert client.call("CLIENT", "KILL", "ID", listed[0]["id"]) == 1
        assert http.read_to_end() == b""


def test_resp_clients_are_unaffected_by_http(served):
    with Connection(served.server.address) as connection, Http(served.port) as http:
        assert connection.call("PING") == b"PONG"
        assert http.ask("GET", "/healthz").body == b"ok\n"


@LOOPS
def test_a_client_that_reads_no_responses_makes_the_daemon_hold_little(serve, loops):
    served = serve(loops=loops)
    served.ask("GET", "/metrics")
    before = served.server.held_bytes()
    with Http(served.port, receive_buffer=4096) as http, Bystanders(served.port) as bystanders:
        http.socket.setblocking(False)
        asked = head_of("GET", "/metrics") * 1000
        for _ in range(50):
            try:
                http.socket.send(asked)
            except BlockingIOError:
                break
            bystanders.assert_served()
        bystanders.assert_served()
        assert served.server.held_bytes() - before < 20 << 20
