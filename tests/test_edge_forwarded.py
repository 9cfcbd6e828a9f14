"""Clients behind HTTP proxies: X-Forwarded-For from http-forwarded-from, and from nobody else."""

import contextlib

import pytest

from lib.browser import Http, metrics, open_stream, serve_browsers
from lib.resp import Connection
from lib.wait import wait_until
from lib.websocket import WebSocket

LOOPS = pytest.mark.parametrize("loops", [1, 4], ids=["one loop", "four loops"])


@pytest.fixture
def serve(start_fanfared):
    return lambda *options, **more: serve_browsers(
        start_fanfared, "--http-doors", *"sse ws publish health metrics demo".split(), *options, **more)


@pytest.fixture
def behind(serve):
    """A daemon whose proxies are this machine and 10.0.0.0/8."""
    return serve("--http-forwarded-from", "127.0.0.1", "10.0.0.0/8")


def addresses(served):
    """The addresses in CLIENT LIST, without their own one."""
    with Connection(served.server.address) as admin:
        return sorted(client["addr"] for client in admin.client_list() if not client["cmd"].startswith("client"))


def status_of(served, path, forwarded=None):
    return served.ask("GET", path, {"X-Forwarded-For": forwarded} if forwarded is not None else {}).status


@LOOPS
def test_a_stream_has_the_address_of_its_client(serve, loops):
    served = serve("--http-forwarded-from", "127.0.0.1", "10.0.0.0/8", loops=loops)
    for forwarded, address in {"203.0.113.9": "203.0.113.9:0", "198.51.100.1, 203.0.113.9:4711": "203.0.113.9:4711",
                               "198.51.100.1,203.0.113.9, 10.1.2.3": "203.0.113.9:0",
                               "2001:db8::7": "[2001:db8::7]:0", "[2001:db8::7]:99": "[2001:db8::7]:99",
                               "10.0.0.1, 10.0.0.2": "10.0.0.1:0"}.items():
        with served.stream("/sse?channel=a", {"X-Forwarded-For": forwarded}) as stream:
            assert addresses(served) == [address], forwarded
            with Connection(served.server.address) as admin:
                admin.ok("CLIENT", "KILL", address)
            stream.rest()
        wait_until(lambda: addresses(served) == [], "the stream is gone")


@pytest.mark.parametrize("forwarded", ["unknown", "", "203.0.113.9, _hidden", "1.2.3", "203.0.113.9:x", "a" * 3000, "10.0.0.1," * 40],
                         ids=["word", "empty", "name", "short", "port", "long", "many"])
def test_a_malformed_list_is_ignored(behind, forwarded):
    with behind.stream("/sse?channel=a", {"X-Forwarded-For": forwarded}):
        assert addresses(behind)[0].startswith("127.0.0.1:")


def test_the_header_of_other_peers_has_no_effect(serve):
    served = serve("--http-forwarded-from", "192.0.2.1")
    with served.stream("/sse?channel=a", {"X-Forwarded-For": "203.0.113.9"}):
        assert addresses(served)[0].startswith("127.0.0.1:")
    # The peer itself is an admin, but seems to be a proxy that http-forwarded-from forgot.
    assert status_of(served, "/metrics") == 200
    assert status_of(served, "/metrics", "203.0.113.9") == 404
    assert status_of(served, "/metrics", "127.0.0.1") == 404
    assert served.ask("GET", "/metrics", {"Forwarded": "for=203.0.113.9"}).status == 404
    served = serve("--http-admin-from", "203.0.113.9")
    assert status_of(served, "/metrics", "203.0.113.9") == 404


def test_who_is_behind_a_proxy_is_an_admin_only_by_an_address_of_its_own(behind):
    for path in ("/metrics", "/demo"):
        assert status_of(behind, path) == 200  # from this machine, without a proxy
        assert status_of(behind, path, "203.0.113.9") == 404
        assert status_of(behind, path, "127.0.0.1, 203.0.113.9") == 404
        assert status_of(behind, path, "127.0.0.1, unknown") == 404
        assert status_of(behind, path, "127.0.0.1") == 200


def test_each_request_of_a_proxy_has_a_client_of_its_own(behind):
    with Http(behind.port) as proxy:
        own = [f"127.0.0.1:{proxy.socket.getsockname()[1]}"]
        for forwarded, status, expected in [("203.0.113.9", 404, ["203.0.113.9:0"]), ("127.0.0.1", 200, ["127.0.0.1:0"]),
                                            ("203.0.113.10", 404, ["203.0.113.10:0"]), ("unknown", 404, own), (None, 200, own),
                                            ("203.0.113.11", 404, ["203.0.113.11:0"])]:
            headers = {"X-Forwarded-For": forwarded} if forwarded else {}
            assert proxy.ask("GET", "/metrics", headers).status == status, forwarded
            assert addresses(behind) == expected, forwarded


def test_the_list_of_proxies_can_be_changed(behind):
    with Connection(behind.server.address) as admin, Http(behind.port) as proxy:
        assert proxy.ask("GET", "/metrics", {"X-Forwarded-For": "203.0.113.9"}).status == 404
        admin.ok("CONFIG", "SET", "http-forwarded-from", "")
        assert proxy.ask("GET", "/metrics", {"X-Forwarded-For": "203.0.113.9"}).status == 404
        assert proxy.ask("GET", "/metrics").status == 200
        assert addresses(behind)[0].startswith("127.0.0.1:")


def test_limits_by_address_do_not_count_the_connections_of_a_proxy(serve):
    served = serve("--http-forwarded-from", "127.0.0.1", "--max-connections-per-address", 2)
    streams = [served.stream("/sse?channel=a") for _ in range(5)]
    with Connection(served.server.address) as admin, Connection(served.server.address):
        with Connection(served.server.address) as third:  # clients of RESP are counted
            assert b"max number of connections" in third.read_line()
        for stream in streams:
            stream.close()
        admin.ok("CONFIG", "SET", "http-forwarded-from", "")
        with Http(served.port) as http:
            assert http.read_to_end() == b""  # an EventSource comes back from this


def refused_of(served):
    page = metrics(served.port)
    return page["fanfare_refused_address_connections_total"], page["fanfare_refused_accept_rate_total"]


@LOOPS
def test_streams_and_sockets_behind_a_proxy_count_for_their_clients(serve, loops):
    served = serve("--http-forwarded-from", "127.0.0.1", "--max-connections-per-address", 2, loops=loops)
    of = {name: {"X-Forwarded-For": address} for name, address in (("ann", "203.0.113.9"), ("bob", "203.0.113.10"))}
    of["neighbour"] = {"X-Forwarded-For": "2001:db8::1"}
    strict = "/sse?channel=a&strict=1"

    def socket(name):
        return WebSocket(("127.0.0.1", served.port), extra=[f"X-Forwarded-For: {of[name]['X-Forwarded-For']}"])

    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(served.stream("/sse?channel=a", of["ann"]))
        ws = stack.enter_context(socket("ann"))
        assert ws.status == 101
        # A stream that comes back later, and answers for programs.
        refused, block = open_stream(served.port, "/sse?channel=a", of["ann"])
        with refused:
            assert block.comments == ["too many connections of this address"] and 1000 <= block.retry <= 5000
            assert refused.rest() == b""
        with Http(served.port) as proxy:
            answer = proxy.ask("GET", strict, of["ann"])
            assert answer.status == 503 and b"too many connections of this address" in answer.body and answer.headers["retry-after"]
            # Single requests are not limited, and the connection goes on with another client.
            assert proxy.ask("POST", "/pub/a", of["ann"], b"x").status == 200
            assert proxy.ask("HEAD", "/sse?channel=a", of["bob"]).status == 200
        with socket("ann") as ws_refused:
            assert ws_refused.status == 503
        assert refused_of(served) == (3, 0)
        # Others have their own, a network of IPv6 as one.
        for name in ("bob", "bob", "neighbour"):
            assert stack.enter_context(socket(name)).status == 101
        stack.enter_context(served.stream("/sse?channel=a", {"X-Forwarded-For": "2001:db8::2"}))
        assert served.ask("GET", strict, {"X-Forwarded-For": "2001:db8::3"}).status == 503
        # One that ends makes room.
        stream.close()
        wait_until(lambda: addresses(served).count("203.0.113.9:0") == 1, "the stream is gone")
        with socket("ann") as another:
            assert another.status == 101
            assert served.ask("GET", strict, of["ann"]).status == 503
        wait_until(lambda: addresses(served).count("203.0.113.9:0") == 1, "the WebSocket is gone")
        stack.enter_context(served.stream("/sse?channel=a", of["ann"]))
        # Those that the proxy opens for itself, or for nobody, are not counted.
        for forwarded in (None, "unknown"):
            for _ in range(4):
                stack.enter_context(served.stream("/sse?channel=a", {"X-Forwarded-For": forwarded} if forwarded else {}))
        assert refused_of(served) == (5, 0)


def test_a_stream_that_is_refused_for_another_reason_does_not_count(serve):
    served = serve("--http-forwarded-from", "127.0.0.1", "--max-connections-per-address", 1, "--max-subscribers-per-channel", 1,
                   rights=("edge", "on", "resetchannels", "&a", "&b", "+subscribe"))
    ann = {"X-Forwarded-For": "203.0.113.9"}
    with served.stream("/sse?channel=a"), Http(served.port) as proxy:
        assert proxy.ask("GET", "/sse?channel=other", ann).status == 403
        assert proxy.ask("GET", "/sse?channel=a&strict=1", ann).status == 503
        assert proxy.ask("GET", "/sse?channel=%zz", ann).status == 400
        stream, block = open_stream(served.port, "/sse?channel=b", ann)
        with stream:
            assert block.comments == []
        assert refused_of(served) == (0, 0)


def test_the_rate_of_an_address_holds_for_clients_behind_a_proxy(serve):
    served = serve("--http-forwarded-from", "127.0.0.1", "--max-accept-rate", 1, "--max-accept-burst", 3)
    path = "/sse?channel=a&strict=1"

    def status(address):
        with Http(served.port) as proxy:
            proxy.request("GET", path, {"X-Forwarded-For": address})
            return proxy.read_head().status

    assert [status("203.0.113.9") for _ in range(4)] == [200] * 3 + [503]
    assert status("203.0.113.10") == 200
    assert refused_of(served) == (0, 1)
    wait_until(lambda: status("203.0.113.9") == 200, "a second has passed")


def test_a_list_of_proxies_that_changes_leaves_the_counts_right(serve):
    served = serve("--http-forwarded-from", "127.0.0.1", "--max-connections-per-address", 3)
    ann = {"X-Forwarded-For": "203.0.113.9"}

    def configure(proxies):
        with Connection(served.server.address) as admin:
            admin.ok("CONFIG", "SET", "http-forwarded-from", proxies)

    for _ in range(2):
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(served.stream("/sse?channel=a", ann))
            assert served.ask("GET", "/sse?channel=a&strict=1", ann).status == 503
            configure("")
        wait_until(lambda: addresses(served) == [], "the streams are gone")
        configure("127.0.0.1")


def test_open_streams_are_counted_once(behind):
    with behind.stream("/sse?channel=a"), behind.stream("/sse?channel=a"):
        assert metrics(behind.port)["fanfare_edge_streams"] == 2
    wait_until(lambda: metrics(behind.port)["fanfare_edge_streams"] == 0, "no stream is counted")
