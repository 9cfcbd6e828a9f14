"""Pages of other origins: which are served, which headers they get, and preflights."""

import json

import pytest

from lib.browser import EventStream, Http, metrics, serve_browsers
from lib.daemon import free_port
from lib.websocket import WebSocket

APP = "https://app.example.com"


@pytest.fixture
def serve(start_fanfared):
    """serve("https://a", ...) gives a daemon with these origins."""
    def start(*origins, options=()):
        allowed = ("--http-allowed-origins", *origins) if origins else ()
        return serve_browsers(start_fanfared, "--http-doors", *"sse ws publish health metrics".split(), *allowed, *options)

    return start


def cors_of(response):
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def allowed(origin):
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}


def answers(served, origin, host="h.example.com"):
    """What each kind of request is answered with: the status of each, and the headers, which must be the same."""
    headers = {"Origin": origin} if origin is not None else {}
    responses = [served.ask("POST", "/pub/a", headers, b"x", host=host), served.ask("GET", "/healthz", headers, host=host)]
    with Http(served.port) as http:
        http.request("GET", "/sse?channel=a", headers, host=host)
        responses.append(http.read_head())
    statuses = {response.status for response in responses}
    kinds = {tuple(cors_of(response).items()) for response in responses}
    assert len(statuses) == len(kinds) == 1, responses
    assert all(response.headers["vary"] == "Origin" for response in responses)
    return statuses.pop(), dict(kinds.pop())


def opens_websocket(served, origin):
    with WebSocket(("127.0.0.1", served.port), extra=(f"Origin: {origin}",)) as ws:
        return ws.status


def test_programs_send_no_origin_and_are_served(serve):
    assert answers(serve(), None) == (200, {})


@pytest.mark.parametrize("origin, host", [
    ("http://h.example.com", "h.example.com"), ("https://h.example.com", "h.example.com"),
    ("https://H.Example.com", "h.example.COM"), ("http://h.example.com:8080", "h.example.com:8080"),
    ("http://h.example.com", "h.example.com:80"), ("https://h.example.com", "h.example.com:443"),
    ("https://h.example.com:443", "h.example.com"), ("http://[::1]:8000", "[::1]:8000"), ("http://127.0.0.1:1", "127.0.0.1:1")])
def test_the_same_origin_is_served(serve, origin, host):
    assert answers(serve(), origin, host) == (200, allowed(origin))


@pytest.mark.parametrize("origin, host", [
    ("http://h.example.com:8080", "h.example.com"), ("http://h.example.com", "h.example.com:8080"),
    ("http://h.example.com:443", "h.example.com:8443"), ("http://evil.com", "h.example.com"),
    ("http://h.example.com.evil.com", "h.example.com"), ("http://evil-h.example.com", "h.example.com"),
    ("http://example.com", "h.example.com"), ("http://h.example.com@evil.com", "h.example.com"),
    ("http://h.example.com/", "h.example.com"), ("http://h.example.com:", "h.example.com"),
    ("http://h.example.com:80:80", "h.example.com"), ("null", "null"), ("null", "h.example.com"), ("h.example.com", "h.example.com"),
    ("http://", "h.example.com"), ("*", "h.example.com"), ("http://h.example.com http://evil.com", "h.example.com"),
    ("http://[::1]", "[::2]")])
def test_another_origin_is_refused_and_counted(serve, origin, host):
    served = serve()
    assert answers(served, origin, host) == (403, {})
    assert metrics(served.port)["fanfare_edge_denied_origins_total"] == 3
    response = served.ask("POST", "/pub/a", {"Origin": origin}, b"x", host=host)
    assert json.loads(response.body) == {"error": "origin not allowed (http-allowed-origins)"}


@pytest.mark.parametrize("loops", [1, 4])
def test_over_https_a_page_of_plain_http_is_of_another_origin(serve, certificates, loops):
    port = free_port()
    served = serve(options=("--https-port", port, "--io-threads", loops, *certificates.server_options()))
    context = certificates.client_context()

    def statuses(origin, host):
        headers = {"Origin": origin}
        with Http(port, context) as http:
            yield http.ask("POST", "/pub/a", headers, b"x", host=host).status
            yield http.ask("GET", "/healthz", headers, host=host).status
            http.request("GET", "/sse?channel=a", headers, host=host)
            yield http.read_head().status

    for origin, host, status in (
            ("https://h.example.com", "h.example.com", 200), ("https://h.example.com:443", "h.example.com", 200),
            ("https://h.example.com:8443", "h.example.com:8443", 200), ("HTTPS://H.example.com", "h.example.com", 200),
            ("http://h.example.com", "h.example.com", 403), ("http://h.example.com:443", "h.example.com:443", 403),
            ("http://h.example.com:8443", "h.example.com:8443", 403), ("HTTP://h.example.com", "h.example.com", 403),
            ("https://evil.com", "h.example.com", 403)):
        assert set(statuses(origin, host)) == {status}, origin
    for scheme, status in (("https", 101), ("http", 403)):
        with WebSocket(("127.0.0.1", port), extra=(f"Origin: {scheme}://127.0.0.1:{port}",), tls=context) as ws:
            assert ws.status == status
    # A list allows it all the same.
    served.server.connect().ok("CONFIG", "SET", "http-allowed-origins", "http://h.example.com")
    assert set(statuses("http://h.example.com", "h.example.com")) == {200}
    assert set(statuses("http://other.example.com", "other.example.com")) == {403}


def test_a_refused_request_does_nothing(serve):
    served = serve()
    subscriber = served.server.connect()
    subscriber.subscribe("a")
    assert served.ask("POST", "/pub/a", {"Origin": "http://evil.com"}, b"evil").status == 403
    assert served.ask("POST", "/pub/a", {}, b"good").status == 200
    assert subscriber.read_value() == [b"message", b"a", b"good"]


def test_listed_origins_are_compared_as_a_whole(serve):
    served = serve(APP, "http://localhost:3000")
    for origin in (APP, "https://app.example.com:443", "http://localhost:3000", "http://h.example.com"):
        assert answers(served, origin) == (200, allowed(origin)), origin
    for origin in ("http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.com",
                   "https://xapp.example.com", "https://example.com", "http://localhost", "https://localhost:3000", "null"):
        assert answers(served, origin) == (403, {}), origin
    assert opens_websocket(served, APP) == 101
    assert opens_websocket(served, f"http://127.0.0.1:{served.port}") == 101
    assert opens_websocket(served, "http://127.0.0.1:1") == 403
    assert opens_websocket(served, "https://evil.com") == 403
    served.server.connect().ok("CONFIG", "SET", "http-allowed-origins", "https://evil.com")
    assert opens_websocket(served, "https://evil.com") == 101


def test_any_origin_is_served_without_credentials(serve):
    served = serve("*", APP)
    for origin in ("https://evil.com", "null", "http://app.example.com"):
        assert answers(served, origin) == (200, {"access-control-allow-origin": "*"})
    assert answers(served, APP) == (200, allowed(APP))
    assert opens_websocket(served, "https://evil.com") == 101


@pytest.mark.parametrize("path, methods", [("/sse?channel=a", "GET, POST"), ("/sse/a", "GET"), ("/pub/a", "GET, POST")])
def test_a_preflight_allows_what_browsers_send(serve, path, methods):
    served = serve(APP)
    response = served.ask("OPTIONS", path, {"Origin": APP, "Access-Control-Request-Method": "GET",
                                            "Access-Control-Request-Headers": "last-event-id,authorization"})
    assert (response.status, response.body) == (204, b"")
    cors = cors_of(response)
    names = cors.pop("access-control-allow-headers").lower().split(", ")
    assert {"last-event-id", "authorization", "content-type", "cache-control", "x-idempotency-key"} == set(names)
    assert int(cors.pop("access-control-max-age")) > 0
    assert cors == {**allowed(APP), "access-control-allow-methods": methods}
    assert response.headers["vary"] == "Origin"


def test_a_preflight_of_a_denied_origin_is_refused(serve):
    served = serve(APP)
    for origin in ("https://evil.com", "null"):
        response = served.ask("OPTIONS", "/pub/a", {"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert (response.status, cors_of(response)) == (403, {})
    assert served.ask("OPTIONS", "/nothing", {"Origin": APP}).status == 404


def test_a_preflight_needs_no_token(serve):
    served = serve(APP)
    served.server.connect().ok("CONFIG", "SET", "edge-anonymous", "no")
    assert served.ask("OPTIONS", "/sse", {"Origin": APP, "Access-Control-Request-Method": "GET"}).status == 204
    response = served.ask("GET", "/sse?channel=a", {"Origin": APP})
    assert (response.status, cors_of(response)) == (401, allowed(APP)), "a page can read the status"


def test_errors_can_be_read_by_pages(serve):
    served = serve(APP, options=("--channel", "small", "max-message", 1))
    for method, path, body, status in (("GET", "/sse", None, 400), ("POST", "/pub/small", b"long", 413),
                                       ("PUT", "/pub/a", b"", 405), ("GET", "/nothing", None, 404)):
        response = served.ask(method, path, {"Origin": APP}, body)
        assert (response.status, cors_of(response)) == (status, allowed(APP)), path


def test_origins_cannot_add_lines_to_a_response(serve):
    served = serve("*")
    for origin in ("https://a\tb", "https://\xe4.com", "x" * 4000):
        response = served.ask("GET", "/healthz", {"Origin": origin.encode("latin-1").decode("latin-1")})
        assert cors_of(response) == {"access-control-allow-origin": "*"}, origin


def test_a_page_whose_name_was_made_to_lead_here_is_refused(serve):
    """DNS rebinding: Origin and Host agree, or there is no Origin, and the name is of the page's own site."""
    served = serve(options=("--http-hosts", "localhost", "127.0.0.1"))
    for host in ("evil.example:8000", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost"):
        for headers in ({}, {"Origin": f"http://{host}"}):
            for path in ("/sse?channel=a", "/metrics", "/demo", "/healthz"):
                assert served.ask("GET", path, headers, host=host).status == 403, (host, path)
            assert served.ask("POST", "/pub/a", headers, b"x", host=host).status == 403
    for host in ("LOCALHOST:1", "127.0.0.1"):
        assert served.ask("GET", "/healthz", {"Origin": f"http://{host.lower()}"}, host=host).status == 200


def test_two_origins_are_refused(serve):
    served = serve(APP)
    with Http(served.port) as http:
        http.send(b"POST /pub/a HTTP/1.1\r\nHost: a\r\nOrigin: %b\r\nOrigin: https://evil.com\r\nContent-Length: 0\r\n\r\n"
                  % APP.encode())
        assert http.read_response().status == 403


def test_a_stream_of_another_origin_resumes(serve):
    served = serve(APP, options="--channel * history-size 10 history-ttl 60".split())
    first = json.loads(served.ask("POST", "/pub/a", {"Origin": APP}, b"1").body)["position"]
    served.ask("POST", "/pub/a", {"Origin": APP}, b"2")
    with EventStream(served.port, "/sse/a", {"Origin": APP, "Last-Event-ID": first}) as stream:
        assert cors_of(stream.response) == allowed(APP)
        assert stream.event().data == "2"
