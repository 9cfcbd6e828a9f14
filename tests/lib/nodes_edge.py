"""Browsers that go from node to node of an engine: an event stream and a WebSocket that go on from the newest position they
have, and nodes for them."""

import json
import urllib.parse

from lib.browser import Http, ask, open_stream
from lib.edge_socket import EdgeSocket
from lib.nodes import Nodes
from lib.tokens import SECRET, make_token
from lib.wait import seconds

KEEP = ("--channel", "k*", "history-size", 2000, "history-ttl", 600)


class EdgeNodes(Nodes):
    def node(self, *options, keep=KEEP, **more):
        return self.browsed("--upstream-mode", "engine", "--token-hmac-secret", SECRET, *keep, *options, **more)


def post(node, channel, *payloads):
    for payload in payloads:
        response = ask(node.http_port, "POST", f"/pub/{channel}", body=str(payload).encode())
        assert response.status == 200, response


class Page:
    """An event stream as a browser has one: it comes back with the last id."""

    def __init__(self, *channels, patterns=(), last_id=None):
        names = [("channel", name) for name in channels] + [("pattern", name) for name in patterns]
        self.channels = channels
        self.target = "/sse?" + urllib.parse.urlencode([*names, ("format", "json")])
        self.last_id = last_id
        self.got = []  # (channel, data)
        self.notices = []
        self.stream = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def ask(self, node):
        """Sends the request and returns its connection."""
        http = Http(node.http_port)
        http.request("GET", self.target, {"Last-Event-ID": self.last_id} if self.last_id else {})
        return http

    def connect(self, node):
        self.leave()
        self.stream, first = open_stream(node.http_port, self.target, {"Last-Event-ID": self.last_id} if self.last_id else {},
                                         timeout=seconds(20))
        self.take(first)
        return self

    def take(self, event):
        self.last_id = event.id or self.last_id
        if event.event:
            self.notices.append((event.event, json.loads(event.data)))
        elif event.data is not None:
            message = json.loads(event.data)
            self.got.append((message["channel"], message["data"]))

    def read(self, count=1):
        """Until it has so many messages more."""
        count += len(self.got)
        while len(self.got) < count:
            self.take(self.stream.block())

    def read_notice(self):
        count = len(self.notices)
        while len(self.notices) == count:
            self.take(self.stream.block())
        return self.notices[-1]

    def leave(self):
        if self.stream:
            self.stream.close()
        self.stream = None

    def of(self, channel):
        return [data for name, data in self.got if name == channel]


def connected(node, **options):
    ws = EdgeSocket(node.http_port, **options)
    assert "client" in ws.call("connect")
    return ws


def since(result, offset=None):
    """The parameters that recover a subscription from its result, or from a later offset."""
    return {"recover": True, "epoch": result["epoch"], "offset": result["offset"] if offset is None else offset}


def data_of(result):
    return [publication["data"] for publication in result.get("publications", [])]


class Socket:
    """A WebSocket that is subscribed by itself or by its token, and recovers each channel from the newest position it has."""

    def __init__(self, *channels):
        self.channels = channels
        self.positions = {}
        self.got = []
        self.notices = []
        self.ws = None

    def connect(self, node, by_token=False):
        self.leave()
        self.ws = EdgeSocket(node.http_port)
        if by_token:
            token = make_token(sub="u", channels=list(self.channels))
            for channel, result in self.ws.call("connect", token=token, subs=self.positions)["subs"].items():
                self.take_result(channel, result)
        else:
            assert "client" in self.ws.call("connect")
            for channel in self.channels:
                self.take_result(channel, self.ws.call("subscribe", channel=channel, **self.positions.get(channel, {})))
        return self

    def take_result(self, channel, result):
        if result.get("was_recovering") and not result["recovered"]:
            self.notices.append((channel, result))
        self.positions[channel] = since(result)
        for publication in result.get("publications", []):
            self.take_publication(channel, publication)
            assert publication["offset"] <= result["offset"]

    def take_publication(self, channel, publication):
        self.positions[channel]["offset"] = publication["offset"]
        self.got.append((channel, publication["data"]))

    def read(self):
        push = self.ws.push()
        if "pub" in push:
            self.take_publication(push["channel"], push["pub"])
        else:
            self.notices.append(push)

    def leave(self):
        if self.ws:
            self.ws.__exit__()
        self.ws = None

    def of(self, channel):
        return [data for name, data in self.got if name == channel]
