"""Browsers and administrators that do everything in a random order: event streams, WebSockets and requests, valid and not;
kills, rules, settings, options of channels, tokens that expire, peers that stall, are half open, or go away.

What each peer receives is compared with a model: the payload of each message is its number in its channel, so the messages
of one subscription must rise, and be of a channel that was asked for. At the end nothing may be left."""

import base64
import collections
import json
import random
import re
import select
import socket
import struct
import time

from lib.browser import metrics
from lib.tokens import make_token
from lib.wait import wait_until

CHANNELS = [f"{kind}{n}" for kind in ("plain", "keep") for n in range(6)]
GLOBS = ("*", "keep*", "plain[0-3]", "*[135]")
CLOSES = {1000, 1002, 1007, 1009, 3001, 3004, 3005, 3008, 3010, 3011, 3012, 3013, 3015, 3500, 3501, 3503, 3504, 3505, 3507}
STATUSES = {b"100", b"101", b"200", b"204", b"400", b"401", b"403", b"404", b"405", b"408", b"413", b"414", b"426", b"429",
            b"431", b"501", b"503", b"505"}
SETTINGS = {
    "edge-anonymous": ("yes", "yes", "yes", "no"),
    "edge-max-channels": ("1", "3", "128"),
    "edge-max-message": ("10", "64kb"),
    "edge-outbox-limit-bytes": ("1kb", "16kb", "1mb"),
    "edge-outbox-policy": ("disconnect", "drop-oldest", "drop-newest", "catch-up", "block"),
    "edge-ping-interval": ("1", "2", "25"),
    "edge-pong-timeout": ("1", "10"),
    "edge-max-age": ("0", "0", "1", "3"),
    "sse-heartbeat": ("1", "15"),
    "ws-deflate": ("yes", "no"),
    "ws-deflate-min": ("0", "128"),
    "ws-glob-prefix": ("glob:", "glob:", "p:"),
    "http-doors": (*["sse ws publish health metrics"] * 5, "ws metrics", "sse metrics"),
    "http-request-timeout": ("1", "10"),
    "http-keepalive": ("1", "60"),
    "history-maxmemory": ("20000", "100000000"),
    "max-subscribers-per-channel": ("5", "1000000"),
    "maxclients": ("30", "1000"),
}
RULES = (*["on resetchannels &* +@all"] * 8, "resetchannels &keep* &*", "resetchannels &plain*", "off",
         "on limit:subscriptions=2", "resetlimits", "reset on nopass +@all &*")
OPTIONS = ("history-size 50 history-ttl 2", "history-size 5 history-ttl 60", "presence members", "no-echo yes", "replay 2",
           "max-message 2kb", "max-publish-rate 50")
RAW = (b"GET / HTTP/1.1\r\n", b"GET /sse?channel=a HTTP/1.1\r\nHost: a\r\n", b"POST /pub/plain1 HTTP/1.1\r\nHost: a\r\n"
       b"Content-Length: 10\r\n\r\nabc", b"\x16\x03\x01", b"*1\r\n$4\r\nPING\r\n", b"GET /sse HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
       b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 20, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
EVENT = re.compile(rb"(?:event: (\w+)\n)?(?:id: (\d+-\d+)\n)?(?:data: ([^\n]*)\n)?(?:id: (\d+-\d+)\n)?\n")


class Peer:
    def __init__(self, chaos, kind):
        self.chaos, self.kind = chaos, kind
        self.data, self.is_open, self.reads = b"", False, True
        self.highest = collections.defaultdict(int)  # (subscription, channel): number of the last message
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.socket.connect(chaos.address)
        self.socket.setblocking(False)
        chaos.poll.register(self.socket, select.EPOLLIN)
        chaos.peers[self.socket.fileno()] = self

    def send(self, data):
        try:
            self.socket.send(data)
        except OSError:
            pass

    def drop(self, abruptly=False):
        if abruptly:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.reads:
            self.chaos.poll.unregister(self.socket)
        del self.chaos.peers[self.socket.fileno()]
        self.socket.close()

    def stall(self, stalls):
        if self.reads == stalls:
            self.reads = not stalls
            (self.chaos.poll.unregister if stalls else self.chaos.poll.register)(self.socket)

    def read(self):
        try:
            more = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self.chaos.count["ended by the server"] += 1
            self.drop()
            return
        self.data += more
        while self.kind != "raw" and self.parse():
            pass

    def parse(self):
        """Takes one thing from self.data; False: it is not complete."""
        if not self.is_open:
            return self.head()
        return self.event() if self.kind == "stream" else self.frame()

    def head(self):
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return False
        status = head[9:12]
        assert status in STATUSES, head
        self.chaos.count[f"status {status.decode()}"] += 1
        self.is_open = status == b"101" or status == b"200" and b"text/event-stream" in head
        if not self.is_open:
            self.kind = "raw"
            return False
        self.data = rest
        return True

    def event(self):
        if self.data.startswith((b"retry: ", b": ", b":\n")):
            line, end, rest = self.data.partition(b"\n")
            self.data = rest if end else self.data
            return bool(end)
        if self.data.startswith(b"\n"):
            self.data = self.data[1:]
            return True
        found = EVENT.match(self.data)
        if found is None:
            assert b"\n\n" not in self.data, self.data[:200]
            return False
        self.data = self.data[found.end():]
        kind, _, data, _ = found.groups()
        if kind is None and data is not None:
            message = json.loads(data)
            self.message("stream", message["channel"], message["data"])
        elif kind is not None:
            assert kind in (b"lagged", b"expired"), kind
            self.chaos.count[kind.decode()] += 1
            if b"reload" in data:
                self.highest.clear()
        return True

    def message(self, name, channel, text):
        number = int(str(text).partition(":")[0])
        assert channel in CHANNELS and number > self.highest[name, channel], (name, channel, number, self.highest[name, channel])
        assert number <= self.chaos.numbers[channel]
        self.highest[name, channel] = number
        self.chaos.count["messages"] += 1

    def frame(self):
        if len(self.data) < 4:
            return False
        size, at = self.data[1], 2
        if size == 126:
            size, at = struct.unpack(">H", self.data[2:4])[0], 4
        elif size == 127:
            if len(self.data) < 10:
                return False
            size, at = struct.unpack(">Q", self.data[2:10])[0], 10
        if len(self.data) < at + size:
            return False
        opcode, payload = self.data[0], self.data[at:at + size]
        self.data = self.data[at + size:]
        if opcode == 0x88:
            code = struct.unpack(">H", payload[:2])[0] if payload else 1000
            assert code in CLOSES, payload
            self.chaos.count[f"close {code}"] += 1
        elif opcode == 0x81:
            self.text(json.loads(payload))
        else:
            assert opcode == 0x8a, self.data[:2]
        return True

    def text(self, message):
        if message == {}:
            if self.chaos.draw.random() < 0.8:
                self.command({})
            return
        push = message.get("push", {})
        if "pub" in push:
            pub = push["pub"]
            self.message(push["channel"], pub.get("tags", {}).get("channel", push["channel"]), pub["data"])
        if "error" in message:
            self.chaos.count[f"error {message['error']['code']}"] += 1

    def command(self, *commands):
        text = "\n".join(map(json.dumps, commands)).encode()
        head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else struct.pack(">BBH", 0x81, 0xfe, len(text))
        self.send(head + bytes(4) + text)


class Chaos:
    def __init__(self, daemon, port, seed):
        self.daemon, self.port, self.address = daemon, port, ("127.0.0.1", port)
        self.draw, self.count = random.Random(seed), collections.Counter()
        self.poll, self.peers = select.epoll(), {}
        self.numbers = dict.fromkeys(CHANNELS, 0)
        self.admin = daemon.client()
        self.epoch, self.last_id = self.admin.call("HISTORY", "POSITION").decode().split("-")[0], 10
        self.witness = daemon.client()
        self.witness.subscribe("plain0")
        self.seen = 0

    def name(self):
        return self.draw.choice(CHANNELS)

    def token(self):
        """Valid for a short time, with all or some rights, or invalid; or none."""
        draw, now = self.draw, time.time()
        if draw.random() < 0.6:
            return None
        claims = {"sub": draw.choice(("u", "v")), "exp": int(now) + draw.choice((-10, 0, 1, 2, 600))}
        claims.update(draw.choice(({}, {"channels": [self.name(), self.name()]}, {"fanfare_user": "edge"}, {"fanfare_user": "none"},
                                   {"caps": [{"channels": ["keep*"], "match": "wildcard", "allow": ["sub", "pub", "hst", "prs"]}]},
                                   {"channel": self.name()})))
        return make_token(**claims) if draw.random() < 0.9 else "x." + make_token(**claims)

    # Events

    def open_stream(self):
        draw, token = self.draw, self.token()
        fields = [f"channel={self.name()}" for _ in range(draw.randrange(4))]
        fields += [f"pattern={draw.choice(GLOBS)}" for _ in range(draw.randrange(3))] + ["format=json"]
        fields += [f"token={token}"] if token else []
        fields += ["strict=1"] if draw.random() < 0.2 else []
        headers = "Host: a\r\n"
        if draw.random() < 0.4:
            headers += f"Last-Event-ID: {draw.choice((self.epoch, '7', 'x'))}-{draw.randrange(1 << 22)}\r\n"
        Peer(self, "stream").send(f"GET /sse?{'&'.join(fields)} HTTP/1.1\r\n{headers}\r\n".encode())

    def open_socket(self):
        peer, token = Peer(self, "socket"), self.token()
        key = base64.b64encode(self.draw.randbytes(16)).decode()
        peer.send(f"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        if self.draw.random() < 0.9:
            peer.command({"id": 1, "connect": {"token": token} if token else {}},
                         *({"id": n, "subscribe": self.wish()} for n in range(2, 2 + self.draw.randrange(5))))

    def wish(self):
        draw = self.draw
        wish = {"channel": draw.choice((self.name(), self.name(), "glob:" + draw.choice(GLOBS)))}
        if draw.random() < 0.3:
            wish.update(recover=True, epoch=draw.choice((self.epoch, "7", "x")), offset=draw.randrange(1 << 22))
        if draw.random() < 0.2:
            wish["token"] = make_token(sub="u", channel=wish["channel"], exp=int(time.time()) + draw.choice((0, 1, 5)))
        return wish

    def some(self, *kinds):
        peers = [peer for peer in self.peers.values() if peer.kind in kinds and peer.is_open]
        return self.draw.choice(peers) if peers else None

    def use_socket(self):
        peer, draw = self.some("socket"), self.draw
        if peer is None:
            return
        method = draw.choice(("unsubscribe", "history", "presence", "presence_stats", "refresh", "sub_refresh", "rpc"))
        params = {"channel": self.name(), "limit": draw.randrange(20), "token": self.token() or ""}
        peer.command(*({"id": draw.randrange(9, 99), method: params} for _ in range(draw.choice((1, 1, 1, 50)))))
        if method in ("unsubscribe", "refresh", "sub_refresh"):
            return
        if draw.random() < 0.1:
            peer.send(draw.choice((b"\x81\x01a", b"\xc1\x80abcd", b"\x89\xfe\x00\x80", b"\x82\x80abcd", b"\x88\x80abcd", b"\x01\x81abcd")))

    def ask(self):
        peer = Peer(self, "raw")
        peer.send(self.draw.choice(RAW))

    def publish(self, channel=None, size=0, count=1):
        for _ in range(count):
            name = channel or self.name()
            self.numbers[name] += 1
            reply = self.admin.call("PUBLISH", name, f"{self.numbers[name]}:{'x' * (size or self.draw.randrange(200))}")
            assert isinstance(reply, (int, Exception)), reply

    def flood(self):
        self.publish(self.name(), 4000, 100)

    def kill(self):
        peer = self.some("socket", "stream")
        if peer is not None:
            host, port = peer.socket.getsockname()
            self.admin.call("CLIENT", "KILL", "ADDR", f"{host}:{port}")

    def rules(self):
        self.admin.call("ACL", "SETUSER", "edge", *self.draw.choice(RULES).split())

    def setting(self):
        name = self.draw.choice(list(SETTINGS))
        self.admin.call("CONFIG", "SET", name, self.draw.choice(SETTINGS[name]))

    def options(self):
        draw = self.draw
        if draw.random() < 0.5:
            self.admin.call("CHANNEL", "SET", draw.choice(("keep*", "plain[1-5]", "*5")), *draw.choice(OPTIONS).split())
        else:
            self.admin.call("CHANNEL", "UNSET", draw.choice(("keep*", "plain[1-5]", "*5")))

    def stall(self):
        if (peer := self.some("socket", "stream")) is not None:
            peer.stall(peer.reads)

    def leave(self):
        if self.peers:
            peer = self.draw.choice(list(self.peers.values()))
            if self.draw.random() < 0.3:
                try:
                    peer.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            else:
                peer.drop(self.draw.random() < 0.5)

    def serve(self, timeout):
        for handle, _ in self.poll.poll(timeout):
            if handle in self.peers:
                self.peers[handle].read()

    def run(self, duration):
        events = {self.open_stream: 6, self.open_socket: 6, self.use_socket: 8, self.ask: 2, self.publish: 20, self.flood: 1,
                  self.kill: 1, self.rules: 1, self.setting: 3, self.options: 2, self.stall: 2, self.leave: 3}
        end = time.monotonic() + duration
        while time.monotonic() < end:
            event, = self.draw.choices(list(events), list(events.values()))
            event()
            self.count[event.__name__] += 1
            self.serve(0.001)
            if len(self.peers) > 200:
                self.leave()

    def finish(self):
        """Nothing is left: no client, no subscription, no queued byte; and a browser can still come."""
        for peer in list(self.peers.values()):
            peer.drop()
        self.poll.close()
        for words in (("ACL", "SETUSER", "edge", *RULES[0].split()), ("CONFIG", "SET", "http-doors", "health metrics")):
            assert self.admin.call(*words) == b"OK"
        self.witness.close()

        def left():
            info = self.admin.call("INFO", "clients", "pubsub").decode()
            return {name: int(re.search(rf"^{name}:(\d+)", info, re.MULTILINE).group(1))
                    for name in ("connected_clients", "subscriptions", "queued_bytes")}

        try:
            wait_until(lambda: left() == {"connected_clients": 1, "subscriptions": 0, "queued_bytes": 0}, "nothing is left", 20)
        except AssertionError as error:
            raise AssertionError(f"{left()} {self.admin.call('CLIENT', 'LIST')}") from error
        samples = metrics(self.port)
        assert samples["fanfare_edge_streams"] == samples["fanfare_edge_sockets"] == 0, samples
