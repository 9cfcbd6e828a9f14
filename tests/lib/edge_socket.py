"""The JSON protocol of WebSockets, over the raw client of lib/websocket.py, and a daemon that serves it."""

import json
import zlib

from lib.daemon import free_port
from lib.tokens import SECRET
from lib.websocket import CLOSE, TEXT, WebSocket


class ClosedByServer(Exception):
    """A close frame where a message was expected."""

    def __init__(self, payload):
        super().__init__(payload)
        self.code = int.from_bytes(payload[:2], "big")


class EdgeSocket(WebSocket):
    """Pushes that come before a reply are kept for push()."""

    def __init__(self, port, path="/ws", extra=()):
        super().__init__(("127.0.0.1", port), path, extra)
        assert self.status == 101, (self.status, self.headers)
        self.pushes = []
        self.last_id = 0
        self.answers_pings = True

    # Sending

    def send_json(self, *commands):
        self.send_text("\n".join(json.dumps(command, ensure_ascii=False) for command in commands))

    def send_text(self, text):
        self.send_frame(TEXT, text)

    # Receiving

    def read_text(self):
        """The next text, inflated if it is compressed."""
        opcode, is_compressed, payload = self.read_frame()
        if opcode == CLOSE:
            raise ClosedByServer(payload)
        assert opcode == TEXT, (opcode, payload)
        if is_compressed:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        return payload.decode()

    def read_message(self):
        """The next text that is not a ping."""
        while True:
            text = self.read_text()
            if text != "{}":
                return json.loads(text)
            if self.answers_pings:
                self.send_text("{}")

    def call(self, method, **params):
        """The result of a command. An error is returned as {"error": code}."""
        self.last_id += 1
        self.send_json({"id": self.last_id, method: params})
        while True:
            message = self.read_message()
            if "id" not in message:
                self.pushes.append(message["push"])
                continue
            assert message["id"] == self.last_id, message
            if "error" in message:
                return {"error": message["error"]["code"]}
            return message[method]

    def push(self):
        if self.pushes:
            return self.pushes.pop(0)
        message = self.read_message()
        assert "push" in message, message
        return message["push"]

    def publication(self, channel):
        """The next push, which must be a publication of this channel."""
        push = self.push()
        assert push["channel"] == channel and "pub" in push, push
        return push["pub"]

    def close_code(self):
        """The code with which the server closes; messages before it are skipped."""
        while True:
            opcode, _, payload = self.read_frame()
            if opcode == CLOSE:
                assert self.read_to_end() == b""
                return int.from_bytes(payload[:2], "big")


class Edge:
    """A daemon, the port of its WebSockets, and a RESP connection."""

    # News are kept, rooms have members; anybody may do everything, unless a test says so.
    OPTIONS = ("--edge-anonymous", "yes", "--token-hmac-secret", SECRET, "--user", *"edge on nopass resetchannels &* +@all".split(),
               "--channel", *"news* history-size 10000 history-ttl 600".split(), "--channel", *"room* presence members".split())

    def __init__(self, start_fanfared, *options, http_port=None, **more):
        self.port = http_port or free_port()
        self.server = start_fanfared("--http-port", self.port, *self.OPTIONS, *options, **more)
        self.resp = self.server.connect()

    def open(self, **options):
        return EdgeSocket(self.port, **options)

    def join(self, *channels, token=None, **options):
        """A WebSocket that is connected and subscribed."""
        ws = self.open(**options)
        result = ws.call("connect", **({"token": token} if token else {}))
        assert "client" in result, result
        for channel in channels:
            result = ws.call("subscribe", channel=channel)
            assert "error" not in result, result
        return ws

    def publish(self, channel, payload):
        return self.resp.call("PUBLISH", channel, payload)

    def allow(self, *rules):
        """The rules of edge-user from now on."""
        assert self.resp.call("ACL", "SETUSER", "edge", "reset", "on", "nopass", *rules) == b"OK"

    def position(self):
        epoch, _, seq = self.resp.call("HISTORY", "POSITION").decode().partition("-")
        return epoch, int(seq)
