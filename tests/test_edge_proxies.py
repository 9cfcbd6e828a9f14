"""nginx and haproxy in front, with the configurations of examples/edge: streams, WebSockets, addresses."""

import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import zlib

import pytest

from conftest import missing
from lib.browser import EventStream, Http, serve_browsers
from lib.daemon import free_port
from lib.wait import seconds, wait_until
from lib.websocket import TEXT, WebSocket

EDGE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "edge"
BROWSER = "127.0.0.7"
BALANCER = "127.0.0.3"
KEEP = "--channel * history-size 100 history-ttl 600".split()


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") or missing(name)


def replaced(text, *pairs):
    for old, new in pairs:
        assert old in text, f"no {old!r} in the example"
        text = text.replace(old, str(new))
    return text


class Backend(http.server.BaseHTTPRequestHandler):
    """What serves the other pages."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"backend")

    def log_message(self, *_):
        pass


class Proxy:
    """A running proxy, which serves HTTPS on `port`."""

    def __init__(self, folder, certificates, upstream, backend):
        self.backend = backend
        self.folder = folder
        self.port = free_port()
        self.tls = certificates.client_context()
        self.log = folder / "proxy.log"
        both = folder / "both.pem"
        both.write_text((certificates.folder / "server.pem").read_text() + (certificates.folder / "server.key").read_text())
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in self.command(upstream, both)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def command(self, upstream, both):
        raise NotImplementedError

    def wait_until_it_serves(self):
        def serves():
            assert self.process.poll() is None, self.log.read_text()
            try:
                with Http(self.port, tls=self.tls) as browser:
                    return browser.ask("POST", "/pub/up", body=b"").status == 200
            except OSError:
                return False

        wait_until(serves, "the proxy")
        return self

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=seconds(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def http(self, **options):
        return Http(self.port, tls=self.tls, **options)

    def stream(self, target, headers=(), **options):
        stream = EventStream(self.port, target, headers, tls=self.tls, **options)
        assert stream.response.status == 200, stream.response
        return stream


class Nginx(Proxy):
    in_http = ""     # more lines of the http block
    changes = ()     # in the example
    daemon_options = ("--http-forwarded-from", "127.0.0.1")

    def command(self, upstream, both):
        text = replaced((EDGE / "nginx.conf").read_text(), ("/etc/ssl/certs/app.example.com.pem", both),
                        ("/etc/ssl/private/app.example.com.key", both), ("listen 443 ", f"listen 127.0.0.1:{self.port} "),
                        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"), ("127.0.0.1:3000", f"127.0.0.1:{self.backend}"),
                        *self.changes)
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        path = self.folder / "nginx.conf"
        path.write_text(f"daemon off;\nmaster_process off;\npid {self.folder}/pid;\nerror_log stderr;\nevents {{}}\n"
                        f"http {{\naccess_log off;\n{self.in_http}{temporary}{text}}}\n")
        return tool("nginx"), "-e", "stderr", "-p", self.folder, "-c", path


class Nginx10(Nginx):
    """HTTP/1.0 to the daemon, which is nginx's default. WebSockets need 1.1."""
    changes = (("proxy_http_version 1.1;", ""), ("proxy_set_header Upgrade $http_upgrade;", ""),
               ("proxy_set_header Connection $fanfare_connection;", ""))


class NginxThatBuffers(Nginx):
    """As most are configured: with buffers and compression, and nothing that knows of events."""
    in_http = "gzip on;\ngzip_types text/event-stream application/json;\ngzip_min_length 0;\n"
    changes = (("proxy_buffering off;", ""), ("gzip off;", ""))


class Haproxy(Proxy):
    changes = ()
    daemon_options = ("--http-forwarded-from", "127.0.0.1")

    def command(self, upstream, both):
        text = replaced((EDGE / "haproxy.cfg").read_text(), ("/etc/ssl/private/app.example.com.pem", both),
                        ("bind :443 ", f"bind 127.0.0.1:{self.port} "), ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
                        ("127.0.0.1:3000", f"127.0.0.1:{self.backend}"), *self.changes)
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        return tool("haproxy"), "-db", "-f", path


class HaproxyWithProxyProtocol(Haproxy):
    """The address in front of the connection; it is sent from an address of its own, so that RESP clients need none."""
    changes = (("check inter 2s", f"check inter 2s source {BALANCER} send-proxy-v2 check-send-proxy"),
               ("http-request set-header X-Forwarded-For %[src]", ""), ("http-reuse safe", "http-reuse never"))
    daemon_options = ("--proxy-protocol", "yes", "--proxy-protocol-from", BALANCER)


KINDS = [Nginx, Nginx10, NginxThatBuffers, Haproxy, HaproxyWithProxyProtocol]
IDS = ["nginx", "nginx with 1.0", "nginx that buffers", "haproxy", "haproxy with PROXY"]
UPGRADES = [kind for kind in KINDS if kind is not Nginx10]


@pytest.fixture
def put_in_front(start_fanfared, certificates, tmp_path):
    """put_in_front(Haproxy) gives a proxy and the daemon behind it."""
    started = []
    backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = threading.Thread(target=backend.serve_forever, daemon=True)
    thread.start()

    def start(kind, *options):
        served = serve_browsers(start_fanfared, *KEEP, *kind.daemon_options, *options)
        started.append(kind(tmp_path, certificates, served.port, backend.server_port))
        return started[-1].wait_until_it_serves(), served

    yield start
    for proxy in started:
        proxy.stop()
    backend.shutdown()
    backend.server_close()
    thread.join()


def subscribers(served, channel):
    with served.server.connect() as client:
        return client.call("PUBSUB", "NUMSUB", channel)[1]


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_events_pass_at_once(put_in_front, kind):
    proxy, served = put_in_front(kind, "--sse-heartbeat", 1)
    client = served.server.connect()
    with proxy.stream("/sse?channel=a") as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert "no-transform" in stream.response.headers["cache-control"]
        assert stream.block().retry
        for number in range(5):
            begun = time.monotonic()
            assert client.call("PUBLISH", "a", str(number)) == 1
            event = stream.event()
            assert event.data == str(number) and event.id
            assert time.monotonic() - begun < seconds(0.8), "held back until the heartbeat"
        beat = stream.block()
        assert (beat.id, beat.data) == (event.id, None)
    wait_until(lambda: subscribers(served, "a") == 0, "the daemon hears that the browser has left")


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_stream_resumes_through_a_proxy(put_in_front, kind):
    proxy, served = put_in_front(kind)
    client = served.server.connect()
    stream = proxy.stream("/sse?channel=a&channel=b")
    client.call("PUBLISH", "a", "1")
    last_id = stream.event().id
    stream.close()
    for number in range(2, 50):
        client.call("PUBLISH", "ab"[number % 2], str(number))
    with proxy.stream("/sse?channel=a&channel=b", {"Last-Event-ID": last_id}) as stream:
        assert [json.loads(stream.event().data)["data"] for _ in range(2, 50)] == list(range(2, 50))


def test_compressed_events_pass_at_once(put_in_front):
    """nginx compresses in spite of no-transform if it is told to; it must not hold events."""
    proxy, served = put_in_front(NginxThatBuffers, "--sse-heartbeat", 3600)
    client = served.server.connect()
    with proxy.stream("/sse?channel=a", {"Accept-Encoding": "gzip"}) as stream:
        inflater, text = zlib.decompressobj(31), b""
        if stream.response.headers.get("content-encoding") != "gzip":
            inflater = None
        for number in range(3):
            assert client.call("PUBLISH", "a", f"event {number}") == 1
            while b"data: event %d\n\n" % number not in text:
                data = stream.more()
                text += inflater.decompress(data) if inflater else data


@pytest.mark.parametrize("kind", UPGRADES, ids=[name for kind, name in zip(KINDS, IDS) if kind is not Nginx10])
def test_websockets_pass(put_in_front, kind):
    proxy, served = put_in_front(kind, "--edge-ping-interval", 1)
    client = served.server.connect()
    with WebSocket(("127.0.0.1", proxy.port), extra=(f"Origin: https://127.0.0.1:{proxy.port}",), tls=proxy.tls) as ws:
        assert ws.status == 101
        ws.send_frame(TEXT, '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a"}}')
        received = b""
        while b'"id":2' not in received:
            received += ws.read_frame()[2]
        assert client.call("PUBLISH", "a", '"x"') == 1
        while b'"data":"x"' not in received:
            received += ws.read_frame()[2]
        while received[-2:] != b"{}":  # a ping
            received = ws.read_frame()[2]
    wait_until(lambda: subscribers(served, "a") == 0, "the daemon hears that the browser has left")


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_the_address_of_the_browser_arrives(put_in_front, kind):
    proxy, served = put_in_front(kind)
    client = served.server.connect()
    headers = {"X-Forwarded-For": "198.51.100.9", "Forwarded": "for=198.51.100.9"}  # a lie of the browser
    with proxy.stream("/sse?channel=a", headers, source=BROWSER):
        wait_until(lambda: subscribers(served, "a") == 1, "the stream")
        addresses = [row["addr"].rpartition(":")[0] for row in client.client_list() if row["sub"] == "1"]
        assert addresses == [BROWSER]


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_origins_are_compared_with_what_the_browser_sees(put_in_front, kind):
    proxy, _ = put_in_front(kind)
    host = f"127.0.0.1:{proxy.port}"
    with proxy.http() as browser:
        for origin, status in ((f"https://{host}", 200), ("https://127.0.0.1", 403), ("https://evil.com", 403)):
            assert browser.ask("POST", "/pub/a", {"Origin": origin}, b"x", host=host).status == status, origin


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_pages_for_administrators_are_not_passed_on(put_in_front, kind):
    proxy, served = put_in_front(kind, "--http-doors", *"sse ws publish health metrics demo".split())
    assert served.ask("GET", "/metrics").status == 200
    for path in ("/metrics", "/demo", "/%6detrics", "//metrics"):
        with proxy.http() as browser:
            assert browser.ask("GET", path).body == b"backend", path


@pytest.mark.parametrize("kind", [Nginx, Haproxy], ids=["nginx", "haproxy"])
def test_connections_to_the_daemon_are_used_again(put_in_front, kind):
    proxy, served = put_in_front(kind)
    client = served.server.connect()
    before = int(client.info("stats")["total_connections_received"])
    with proxy.http() as browser:
        for number in range(30):
            response = browser.ask("POST", "/pub/a", body=b"%d" % number)
            assert response.status == 200 and json.loads(response.body)["receivers"] == 0
    assert int(client.info("stats")["total_connections_received"]) - before < 15  # among them the checks of haproxy


@pytest.mark.parametrize("kind", [Nginx, Haproxy], ids=["nginx", "haproxy"])
def test_limits_by_address_count_browsers_and_not_the_proxy(put_in_front, kind):
    proxy, served = put_in_front(kind)
    served.server.connect().ok("CONFIG", "SET", "max-connections-per-address", "3")
    streams = [proxy.stream("/sse?channel=a", source=f"127.0.1.{number}") for number in range(1, 9)]
    wait_until(lambda: subscribers(served, "a") == 8, "all streams")
    for stream in streams:
        stream.close()


def test_a_proxy_is_free_to_send_several_requests_at_once(put_in_front):
    proxy, _ = put_in_front(Haproxy)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds(10)) as plain:
        with proxy.tls.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            request = b"POST /pub/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
            tls.sendall(request * 10)
            received = b""
            while received.count(b"HTTP/1.1 200 OK") < 10:
                received += tls.recv(65536)
