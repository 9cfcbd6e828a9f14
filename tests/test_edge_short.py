"""Each way of a browser once: a stream, a WebSocket, a publication, a page, over HTTP and HTTPS, with one loop and with four.

.ci/run runs this file within the filter of system calls as well.
"""

import contextlib
import json
import zlib

import pytest

from lib.browser import Http, serve_browsers
from lib.daemon import free_port
from lib.websocket import TEXT, WebSocket


# Long enough that compression is worth it.
PAYLOADS = [json.dumps({"n": n, "text": "a" * 300}) for n in range(3)]


@pytest.fixture(params=[1, 4], ids=["one loop", "four loops"])
def served(request, start_fanfared, certificates):
    """A daemon with an HTTP and an HTTPS port, whose messages are kept and compressed."""
    https = free_port()
    served = serve_browsers(start_fanfared, "--http-doors", *"sse ws publish health metrics demo".split(), "--https-port", https,
                            "--ws-deflate", "yes", "--ws-deflate-min", 1, "--channel", *"* history-size 100 history-ttl 600".split(),
                            *certificates.server_options(), loops=request.param)
    served.https = https
    return served


class Https(Http):
    """A connection to an HTTPS port."""

    def __init__(self, port, certificates):
        super().__init__(port)
        self.socket = certificates.client_context().wrap_socket(self.socket, server_hostname="localhost")


def text_of(frame):
    opcode, is_compressed, payload = frame
    assert opcode == TEXT
    return zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff") if is_compressed else payload


def join(socket):
    """Connects and subscribes to news."""
    socket.send_frame(TEXT, '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}')
    for n in (b'{"id":1,"connect"', b'{"id":2,"subscribe"'):
        assert text_of(socket.read_frame()).startswith(n)


def publish(http, payload):
    response = http.ask("POST", "/pub/news", body=payload)
    assert response.status == 200, response
    return json.loads(response.body)


def test_messages_go_each_way(served, certificates):
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(Http(served.port))
        secured = stack.enter_context(Https(served.https, certificates))
        stream = stack.enter_context(served.stream("/sse?channel=news"))
        sockets = [stack.enter_context(WebSocket(("127.0.0.1", served.port), extra=extra))
                   for extra in ([], ["Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover"])]
        for socket in sockets:
            join(socket)
        first = None
        for n, http in enumerate([plain, secured, plain]):
            result = publish(http, PAYLOADS[n].encode())
            assert result["receivers"] == 3
            first = result if n == 0 else first
            event = stream.event()
            assert (event.id, event.data) == (result["position"], PAYLOADS[n])
            for socket, is_compressed in zip(sockets, (False, True)):
                frame = socket.read_frame()
                assert frame[1] == is_compressed and json.loads(text_of(frame))["push"]["pub"]["data"] == json.loads(PAYLOADS[n])
        with served.stream("/sse?channel=news", {"Last-Event-ID": first["position"]}) as late:
            assert [late.event().data for _ in range(2)] == PAYLOADS[1:]
        for http in (plain, secured):
            for path in ("/healthz", "/readyz", "/metrics", "/demo"):
                assert http.ask("GET", path).status == 200, path
    assert served.ask("GET", "/healthz").status == 200
