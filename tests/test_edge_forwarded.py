"""Clients behind HTTP proxies: X-Forwarded-For from http-forwarded-from, and from nobody else."""

import pytest

from lib.browser import Http, metrics, serve_browsers
from lib.resp import Connection
from lib.wait import wait_until

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


def test_open_streams_are_counted_once(behind):
    with behind.stream("/sse?channel=a"), behind.stream("/sse?channel=a"):
        assert metrics(behind.port)["fanfare_edge_streams"] == 2
    wait_until(lambda: metrics(behind.port)["fanfare_edge_streams"] == 0, "no stream is counted")
