"""permessage-deflate: the same messages compressed and not, small and large, over channels, globs and recoveries; bombs."""

import functools
import json
import random
import zlib

import pytest

from lib.edge_socket import ClosedByServer, Edge
from lib.websocket import CLOSE, CONTINUATION, TEXT

OFFER = "Sec-WebSocket-Extensions: "
TOO_LARGE, PROTOCOL_ERROR, INVALID = 1009, 1002, 1007


@pytest.fixture(params=[1, 4], ids=["one loop", "four loops"])
def start_edge(request, start_fanfared):
    return functools.partial(Edge, start_fanfared, "--io-threads", request.param, "--ws-deflate", "yes", "--edge-outbox-limit-bytes",
                             "64mb")


@pytest.fixture
def edge(start_edge):
    return start_edge()


def join(edge, *channels, offer="permessage-deflate"):
    ws = edge.join(*channels, extra=(OFFER + offer,))
    assert ws.headers["sec-websocket-extensions"].startswith("permessage-deflate")
    return ws


def deflate(text):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def read_frame(ws):
    """(text, whether it was compressed, the length of the frame's payload) of the next text."""
    opcode, is_compressed, payload = ws.read_frame()
    if opcode == CLOSE:
        raise ClosedByServer(payload)
    assert opcode == TEXT
    text = payload
    if is_compressed:
        inflater = zlib.decompressobj(-15)
        text = inflater.decompress(payload + b"\0\0\xff\xff")
        assert not inflater.unconsumed_tail
    return text, is_compressed, len(payload)


def payloads(rng):
    """Of all kinds and of lengths around the limits of frames and of ws-deflate-min."""
    for length in (0, 1, 90, 120, 125, 126, 127, 128, 129, 200, 4000, 65535, 65536, 70000, 1048576):
        yield b"x" * length
        yield b'"' + b"y" * max(length - 2, 0) + b'"'
    for length in (10, 200, 70000):
        yield rng.randbytes(length)
        yield json.dumps([rng.randrange(1 << 30) for _ in range(length // 10)], indent=1).encode()
    yield "π".encode() * 300
    yield b'{"a":\r\n"b"}' * 100


def test_compressed_and_plain_subscribers_get_the_same(edge):
    names = ("a", "glob:a*", "news.b", "glob:*.b")
    with join(edge, *names) as compressed, edge.join(*names) as plain:
        count = small = large = 0
        for payload in payloads(random.Random(1)):
            for channel in ("a", "news.b"):
                assert edge.publish(channel, payload) == 4
                for _ in range(2):
                    expected, flag, plain_len = read_frame(plain)
                    assert not flag
                    text, is_compressed, length = read_frame(compressed)
                    assert text == expected
                    json.loads(text)
                    # Heads and tails are stored, so a frame is never much longer than the text.
                    assert length <= plain_len + 64
                    if is_compressed:
                        large += plain_len
                        small += length
                    count += 1
        assert small < large / 4, (small, large, count)


def test_the_threshold_of_compression(start_edge):
    edge = start_edge("--ws-deflate-min", 1000)
    with join(edge, "a") as ws:
        for length, expected in ((999, False), (1000, True), (5000, True)):
            edge.publish("a", b"[" + b" " * (length - 2) + b"]")
            assert read_frame(ws)[1] == expected, length
        edge.resp.ok("CONFIG", "SET", "ws-deflate-min", "10")
        edge.publish("a", b"[" + b" " * 100 + b"]")
        assert read_frame(ws)[1]


def test_each_message_is_inflated_by_itself(edge):
    """No context is kept, so a message that repeats the one before is not shorter."""
    payload = random.Random(2).randbytes(3000).hex().encode()
    with join(edge, "a") as ws:
        lengths = []
        for _ in range(3):
            edge.publish("a", b'"' + payload + b'"')
            text, is_compressed, length = read_frame(ws)
            assert is_compressed and json.loads(text)["push"]["pub"]["data"] == payload.decode()
            lengths.append(length)
        assert len(set(lengths)) == 1 and lengths[0] > 2000


@pytest.mark.parametrize("offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits",
                                   "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
                                   "permessage-deflate; client_max_window_bits=10"])
def test_compressed_commands(edge, offer):
    with join(edge, "a", offer=offer) as ws:
        bits = 10 if "=10" in offer else 15
        for number in range(3):
            text = json.dumps({"id": 70 + number, "publish": {"channel": "a", "data": "hello " * 2000}}).encode()
            compressor = zlib.compressobj(6, zlib.DEFLATED, -bits)
            frame = (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
            ws.send_frame(TEXT, frame[:20], fin=False, rsv=4)
            ws.send_frame(CONTINUATION, frame[20:])
            assert json.loads(read_frame(ws)[0]) == {"id": 70 + number, "publish": {}}
            assert json.loads(read_frame(ws)[0])["push"]["pub"]["data"] == "hello " * 2000


def test_a_recovery_over_a_compressed_connection(edge):
    epoch, base = edge.position()
    for n in range(50):
        edge.publish("news.a", json.dumps({"n": n, "text": "word " * 100}).encode())
    with join(edge) as ws:
        result = ws.call("subscribe", channel="news.a", recover=True, epoch=epoch, offset=base + 10)
        assert result["recovered"] and [p["data"]["n"] for p in result["publications"]] == list(range(10, 50))


@pytest.mark.parametrize("size", [200 << 10, 64 << 20, 200 << 20])
def test_a_bomb_is_refused_before_it_is_inflated(edge, size):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(compressor.compress(b" " * (1 << 20)) for _ in range(size >> 20)) or compressor.compress(b" " * size)
    bomb += compressor.flush(zlib.Z_SYNC_FLUSH)
    before = edge.server.held_bytes()
    used = edge.server.cpu_seconds()
    with join(edge) as ws, join(edge, "a") as other:
        at = range(0, len(bomb), 60000)
        for n, start in enumerate(at):
            ws.send_frame(TEXT if n == 0 else CONTINUATION, bomb[start:start + 60000], rsv=4 if n == 0 else 0, fin=n + 1 == len(at))
        assert ws.close_code() == TOO_LARGE
        edge.publish("a", b"1")
        assert other.publication("a") == {"data": 1}
    assert edge.server.held_bytes() < before + (16 << 20)
    assert edge.server.cpu_seconds() < used + 1


def test_many_bombs_at_once(edge):
    bomb = deflate(b" " * (8 << 20))
    before = edge.server.held_bytes()
    sockets = [join(edge) for _ in range(50)]
    for ws in sockets:
        ws.send_frame(TEXT, bomb, rsv=4)
    for ws in sockets:
        assert ws.close_code() == TOO_LARGE
        ws.socket.close()
    assert edge.server.held_bytes() < before + (32 << 20)


@pytest.mark.parametrize("data, code", [(b"\xff\xff\xff", (PROTOCOL_ERROR, INVALID)), (b"", (3501, PROTOCOL_ERROR)),
                                        (deflate(b"\xff\xfe"), (INVALID,)), (deflate(b"[]")[:-1] + b"\x07", (PROTOCOL_ERROR, INVALID))],
                         ids=["no deflate", "empty", "no UTF-8", "broken end"])
def test_what_cannot_be_inflated_ends_the_connection(edge, data, code):
    with join(edge) as ws:
        ws.send_frame(TEXT, data, rsv=4)
        if data == b"":  # an empty deflate stream: nothing was said
            ws.send_text("[]")
        assert ws.close_code() in code


def test_a_client_that_did_not_ask_gets_no_compression_and_may_not_use_it(edge):
    with edge.join("a") as ws:
        assert "sec-websocket-extensions" not in ws.headers
        edge.publish("a", b"[" + b" " * 5000 + b"]")
        assert not read_frame(ws)[1]
        ws.send_frame(TEXT, deflate(b"{}"), rsv=4)
        assert ws.close_code() == PROTOCOL_ERROR
