"""WebSocket frames as in Autobahn's test suite, families 1 to 7, 9, 10, 12 and 13, with its numbers, against the daemon.

The daemon does not echo: where the suite has a message, this has a command and its reply. src/http/ws_conformance_test.c
and ws_messages_test.c have all cases of the families at the level of frames.
"""

import json
import struct
import zlib

import pytest

from lib.daemon import free_port
from lib.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket

DEFLATE = ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",)
PROTOCOL_ERROR, INVALID, TOO_LARGE = 1002, 1007, 1009


class Door:
    """A daemon, and the address of its WebSockets."""

    def __init__(self, server, port):
        self.server = server
        self.address = ("127.0.0.1", port)

    def open(self, extra=()):
        ws = WebSocket(self.address, extra=extra)
        assert ws.status == 101, ws.headers
        return ws

    def join(self, extra=()):
        """A WebSocket that has connected and is subscribed to the channel echo."""
        ws = self.open(extra)
        ws.send_frame(TEXT, '{"id":1,"connect":{}}')
        assert "client" in read_json(ws)["connect"]
        ws.send_frame(TEXT, '{"id":2,"subscribe":{"channel":"echo"}}')
        assert "subscribe" in read_json(ws)
        return ws


@pytest.fixture
def door(start_fanfared):
    port = free_port()
    server = start_fanfared("--http-port", port, "--edge-anonymous", "yes", "--ws-deflate", "yes", "--edge-max-message",
                          "1mb", "--edge-outbox-limit-bytes", "64mb")
    assert server.connect().call("ACL", "SETUSER", "edge", "on", "nopass", "resetchannels", "&echo", "+subscribe",
                                 "+publish") == b"OK"
    return Door(server, port)


def read_json(ws):
    """The next text, inflated if it is compressed, as JSON; the server's pings are left out."""
    while True:
        opcode, is_compressed, payload = ws.read_frame()
        assert opcode == TEXT, (opcode, payload)
        if is_compressed:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        if payload != b"{}":
            return json.loads(payload)


def deflate(data, flush=zlib.Z_SYNC_FLUSH, level=6, bits=15):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (compressor.compress(data) + compressor.flush(flush)).removesuffix(b"\0\0\xff\xff")


def publish(number, data):
    return json.dumps({"id": number, "publish": {"channel": "echo", "data": data}}, ensure_ascii=False).encode()


def assert_echo(ws, number, data):
    """The reply to a publish and the message itself, in either order."""
    answers = [read_json(ws), read_json(ws)]
    assert {"id": number, "publish": {}} in answers, answers
    assert [data] == [a["push"]["pub"]["data"] for a in answers if "push" in a]


def assert_alive(ws):
    ws.send_frame(PING, b"alive")
    assert ws.read_frame() == (PONG, False, b"alive")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 128, 65535, 65536])
def test_1_messages_of_all_lengths(door, length):
    with door.join() as ws:
        for number, chopsize in enumerate((None, 997, 7 if length < 1000 else None), 3):
            ws.send_frame(TEXT, publish(number, "*" * length), chopsize=chopsize)
            assert_echo(ws, number, "*" * length)


@pytest.mark.parametrize("payload", [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
@pytest.mark.parametrize("chopsize", [None, 1])
def test_2_pings_are_answered(door, payload, chopsize):
    with door.open() as ws:
        ws.send_frame(PONG, b"unsolicited")
        for _ in range(10):
            ws.send_frame(PING, payload, chopsize=chopsize)
        for _ in range(10):
            assert ws.read_frame() == (PONG, False, payload)


def test_2_5_a_long_ping_is_refused(door):
    with door.open() as ws:
        ws.send_frame(PING, b"\xfe" * 126)
        assert ws.read_close() == PROTOCOL_ERROR


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_3_reserved_bits(door, rsv, opcode):
    with door.open() as ws:
        assert_alive(ws)
        ws.send_frame(opcode, b"", rsv=rsv)
        ws.send_frame(PING)
        assert ws.read_close() == PROTOCOL_ERROR


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_4_unknown_opcodes(door, opcode):
    with door.open() as ws:
        assert_alive(ws)
        ws.send_frame(opcode, b"hello")
        ws.send_frame(PING)
        assert ws.read_close() == PROTOCOL_ERROR


@pytest.mark.parametrize("chopsize", [None, 1])
def test_5_fragments_with_pings_between_them(door, chopsize):
    text = publish(3, "fragmented")
    with door.join() as ws:
        ws.send_frame(TEXT, text[:5], fin=False, chopsize=chopsize)
        ws.send_frame(PING, b"1", chopsize=chopsize)
        ws.send_frame(CONTINUATION, text[5:9], fin=False, chopsize=chopsize)
        ws.send_frame(CONTINUATION, b"", fin=False, chopsize=chopsize)
        ws.send_frame(PING, b"2", chopsize=chopsize)
        ws.send_frame(CONTINUATION, text[9:], chopsize=chopsize)
        assert ws.read_frame() == (PONG, False, b"1")
        assert ws.read_frame() == (PONG, False, b"2")
        assert_echo(ws, 3, "fragmented")


@pytest.mark.parametrize("frames", [
    [(PING, b"1", False), (CONTINUATION, b"2", True)],
    [(PONG, b"1", False), (CONTINUATION, b"2", True)],
    [(CONTINUATION, b"none", True), (TEXT, b"{}", True)],
    [(CONTINUATION, b"none", False), (TEXT, b"{}", True)],
    [(TEXT, b"{", False), (TEXT, b"}", True)],
    [(TEXT, b"{", False), (BINARY, b"}", True)],
], ids=["5.1", "5.2", "5.9", "5.12", "5.18", "5.18 binary"])
def test_5_fragments_in_an_invalid_order(door, frames):
    with door.open() as ws:
        for opcode, payload, fin in frames:
            ws.send_frame(opcode, payload, fin=fin)
        assert ws.read_close() == PROTOCOL_ERROR


def test_6_texts_are_utf8_in_any_fragments(door):
    data = "Hello-µ@ßöäüàá-UTF-8!! κόσμε 😀"
    text = publish(3, data)
    with door.join() as ws:
        for at in range(len(text)):
            ws.send_frame(TEXT if at == 0 else CONTINUATION, text[at:at + 1], fin=at + 1 == len(text))
        assert_echo(ws, 3, data)


@pytest.mark.parametrize("text", [b"\xce\xba\xed\xa0\x80edited", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\x80", b"\xff", b"\xce"])
def test_6_invalid_texts(door, text):
    with door.open() as ws:
        ws.send_frame(TEXT, text)
        assert ws.read_close() == INVALID


@pytest.mark.parametrize("start", [b"\xce\xba\xf4\x90", b"ok\xff", b"\xed\xa0"])
def test_6_4_invalid_text_is_refused_before_its_frame_has_ended(door, start):
    with door.open() as ws:
        ws.send_frame(TEXT, start, payload_len=1000, chopsize=1)
        assert ws.read_close() == INVALID


@pytest.mark.parametrize("payload", [b"", *(struct.pack(">H", code) for code in (
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)), b"\x03\xe8" + b"*" * 123])
def test_7_a_close_is_answered_with_its_code(door, payload):
    with door.open() as ws:
        ws.send_frame(CLOSE, payload)
        ws.send_frame(PING)
        ws.send_frame(TEXT, b"{}")
        assert ws.read_close() == (struct.unpack(">H", payload[:2])[0] if payload else None)


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xe8" + b"*" * 124, *(struct.pack(">H", code) for code in (
    0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535))])
def test_7_invalid_closes(door, payload):
    with door.open() as ws:
        ws.send_frame(CLOSE, payload)
        assert ws.read_close() == PROTOCOL_ERROR


def test_7_5_1_a_reason_is_utf8(door):
    with door.open() as ws:
        ws.send_frame(CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80")
        assert ws.read_close() == INVALID


def test_frames_must_be_masked(door):
    with door.open() as ws:
        ws.send_frame(TEXT, b"{}", mask=None)
        assert ws.read_close() == PROTOCOL_ERROR


@pytest.mark.parametrize("frame_len", [None, 64, 1300, 65536])
def test_9_and_10_large_messages(door, frame_len):
    data = "x" * 1000000  # a message for browsers has at most 1 MiB
    text = publish(3, data)
    frame_len = frame_len or len(text)
    with door.join() as ws:
        for at in range(0, len(text), frame_len):
            ws.send_frame(TEXT if at == 0 else CONTINUATION, text[at:at + frame_len], fin=at + frame_len >= len(text))
        assert_echo(ws, 3, data)


def test_9_a_message_larger_than_the_limit_is_refused_at_its_head(door):
    with door.join() as ws:
        ws.send_frame(TEXT, b"", payload_len=1 << 30)
        assert ws.read_close() == TOO_LARGE


@pytest.mark.parametrize("length", [0, 16, 256, 4096, 65536, 1000000])
def test_12_compressed_messages(door, length):
    data = ("deflate " * (length // 8 + 1))[:length]
    with door.join(DEFLATE) as ws:
        for number, (level, bits) in enumerate([(0, 15), (1, 9), (6, 15), (9, 15)], 3):
            ws.send_frame(TEXT, deflate(publish(number, data), level=level, bits=bits), rsv=4)
            assert_echo(ws, number, data)
            ws.send_frame(TEXT, publish(number, data))
            assert_echo(ws, number, data)


@pytest.mark.parametrize("frame_len", [1, 7, 1000])
def test_13_compressed_messages_in_fragments(door, frame_len):
    data = [number * number for number in range(200)]
    text = deflate(publish(3, data))
    with door.join(DEFLATE) as ws:
        for at in range(0, len(text), frame_len):
            ws.send_frame(TEXT if at == 0 else CONTINUATION, text[at:at + frame_len], rsv=4 if at == 0 else 0,
                          fin=at + frame_len >= len(text))
        assert_echo(ws, 3, data)


@pytest.mark.parametrize("offer, is_accepted", [
    ("permessage-deflate", True),
    ("permessage-deflate; client_max_window_bits", True),
    ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", True),
    ("permessage-deflate; server_max_window_bits=9", False),
    ("permessage-deflate; server_max_window_bits=9, permessage-deflate", True),
    ("permessage-deflate; unknown", False),
    ("", False),
])
def test_13_the_offer_decides(door, offer, is_accepted):
    with door.open([f"Sec-WebSocket-Extensions: {offer}"]) as ws:
        answer = ws.headers.get("sec-websocket-extensions", "")
        assert answer.startswith("permessage-deflate; server_no_context_takeover") == is_accepted
        ws.send_frame(TEXT, deflate(b'{"id":1,"connect":{}}'), rsv=4)
        if is_accepted:
            assert "client" in read_json(ws)["connect"]
        else:
            assert ws.read_close() == PROTOCOL_ERROR


def test_a_bomb_is_refused_while_it_is_inflated(door):
    with door.join(DEFLATE) as ws:
        before = door.server.held_bytes()
        ws.send_frame(TEXT, deflate(b"x" * (64 << 20)), rsv=4)
        assert ws.read_close() == TOO_LARGE
        assert door.server.held_bytes() < before + (32 << 20)


@pytest.mark.parametrize("payload", [b"\x07", b"\xf2\x48", deflate(b"caf\xe9")])
def test_invalid_compressed_messages(door, payload):
    with door.open(DEFLATE) as ws:
        ws.send_frame(TEXT, payload, rsv=4)
        assert ws.read_close() == INVALID
