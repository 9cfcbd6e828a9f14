"""WebSockets against a model: whatever is published, dropped and resumed, each message comes once, in order, or a gap is reported.

A plain list has every message. Clients subscribe to channels and globs, lose their connections, come back with the last offset
of each subscription as Centrifugo's clients do, and at times do not read. SEED=number repeats a run.
"""

import os
import random
import socket

import pytest

from lib.daemon import free_port
from lib.edge_socket import ClosedByServer, EdgeSocket

CHANNELS = [f"news.{n}" for n in range(4)] + ["short.0", "short.1", "plain.0"]
NAMES = [*CHANNELS, "glob:news.*", "glob:short.*", "glob:*.1", "glob:*"]
DEFLATE = ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",)
STEPS = 400


def matches(name, channel):
    """Whether a subscription of this name gets messages of this channel."""
    start, star, end = name.removeprefix("glob:").partition("*")
    if not star:
        return name == channel
    return channel.startswith(start) and channel.endswith(end)


class Truth:
    """All messages, by their number. Numbers of kept messages are offsets from the base."""

    def __init__(self, resp):
        self.resp = resp
        self.epoch, _, base = resp.call("HISTORY", "POSITION").decode().partition("-")
        self.base = int(base)
        self.kept = []  # (channel, data)
        self.plain = []

    def publish(self, channel, size):
        log = self.plain if channel.startswith("plain") else self.kept
        data = {"n": len(log), "x": "x" * size}
        log.append((channel, data))
        self.resp.command("PUBLISH", channel, '{"n":%d,"x":"%s"}' % (data["n"], data["x"]))

    def flush(self, count):
        for _ in range(count):
            assert isinstance(self.resp.read_value(), int)

    def count_between(self, name, after, upto, log=None):
        """Messages of the subscription with offsets in (after, upto)."""
        log = self.kept if log is None else log
        base = self.base if log is self.kept else -1
        return sum(matches(name, channel) for channel, _ in log[after - base:upto - base - 1])


class Subscription:
    def __init__(self, name):
        self.name = name
        self.offset = None  # of the last kept message; None: never subscribed
        self.plain = None   # the number of the last message that is not kept


class Client:
    def __init__(self, truth, port, rng, may_be_closed):
        self.truth, self.port, self.rng, self.may_be_closed = truth, port, rng, may_be_closed
        self.subscriptions = {}
        self.ws = None
        self.gaps = self.missed = self.received = self.recovered = self.lost = self.closed = self.all_missed = 0

    # The connection

    def open(self):
        self.ws = EdgeSocket(self.port, extra=self.rng.choice([(), DEFLATE]))
        self.ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.gaps = self.missed = 0
        assert "client" in self.ws.call("connect")
        for name in list(self.subscriptions):
            if self.ws is None:
                return
            self.subscribe(name)

    def drop(self):
        if self.ws is not None:
            self.ws.socket.close()
            self.ws = None

    def subscribe(self, name):
        known = self.subscriptions.get(name)
        params = {"channel": name}
        if known is not None and known.offset is not None:
            params |= {"recover": True, "epoch": self.truth.epoch, "offset": known.offset}
        result = self.call("subscribe", **params)
        if result is None:
            return
        subscription = self.subscriptions[name] = known or Subscription(name)
        recovered = result.get("recovered", False)
        if "recover" in params:
            self.recovered += recovered
            self.lost += not recovered
        if recovered:
            for publication in result.get("publications", ()):
                self.take_kept(subscription, publication, may_miss=False)
            assert self.truth.count_between(name, subscription.offset, result["offset"] + 1) == 0, "the reply is not complete"
        else:
            assert "publications" not in result
        # Messages that are not kept cannot be recovered: their subscription begins anew.
        subscription.plain = len(self.truth.plain) - 1
        if "offset" in result:
            subscription.offset = result["offset"]

    def unsubscribe(self, name):
        if self.call("unsubscribe", channel=name) is not None:
            self.subscriptions.pop(name)

    def call(self, method, **params):
        """The result; pushes before it are taken. None: the server closed the connection."""
        ws = self.ws
        ws.last_id += 1
        ws.send_json({"id": ws.last_id, method: params})
        while (message := self.read()) is not None:
            if "id" in message:
                assert message["id"] == ws.last_id and "error" not in message, message
                return message[method]
            self.take(message["push"])
        return None

    def read(self):
        """The next message; None: the connection has ended with a code after which clients come back."""
        try:
            return self.ws.read_message()
        except ClosedByServer as error:
            assert error.code in (3008, 3010) and self.may_be_closed, error
            self.closed += 1
        except ConnectionResetError:
            assert self.may_be_closed  # it sent a command after the server had closed
        self.drop()
        return None

    # What comes

    def take(self, push):
        if "lagged" in push:
            self.missed += push["lagged"]["missed"]
            self.all_missed += push["lagged"]["missed"]
            return
        assert push["channel"] in self.subscriptions, push["channel"]
        subscription = self.subscriptions[push["channel"]]
        if "offset" in push["pub"]:
            self.take_kept(subscription, push["pub"], may_miss=True)
        else:
            self.take_plain(subscription, push["pub"])

    def check(self, subscription, publication, message):
        channel, data = message
        assert matches(subscription.name, channel)
        assert publication["data"] == data
        if subscription.name.startswith("glob:"):
            assert publication["tags"] == {"channel": channel}
        self.received += 1

    def skip(self, count, may_miss):
        self.gaps += count
        assert may_miss or count == 0, "a recovery has a gap"
        assert self.gaps <= self.missed, f"{self.gaps} messages are missing, {self.missed} are reported"

    def take_kept(self, subscription, publication, may_miss):
        truth, offset = self.truth, publication["offset"]
        assert offset > subscription.offset, "a message comes twice, or too late"
        self.check(subscription, publication, truth.kept[offset - truth.base - 1])
        self.skip(truth.count_between(subscription.name, subscription.offset, offset), may_miss)
        subscription.offset = offset

    def take_plain(self, subscription, publication):
        number = publication["data"]["n"]
        assert number > subscription.plain
        self.check(subscription, publication, self.truth.plain[number])
        self.skip(self.truth.count_between(subscription.name, subscription.plain, number, self.truth.plain), True)
        subscription.plain = number

    # At the end

    def behind(self):
        """Messages behind the last one of each subscription."""
        truth, count = self.truth, 0
        for subscription in self.subscriptions.values():
            if subscription.offset is not None:
                count += truth.count_between(subscription.name, subscription.offset, truth.base + len(truth.kept) + 1)
            count += truth.count_between(subscription.name, subscription.plain, len(truth.plain), truth.plain)
        return count

    def check_end(self, catches_up):
        """Everything was read, so the messages behind the last one are missing, too, and all are reported. One that catches
        up gets them from the history, behind the reply."""
        if self.call("unsubscribe", channel="nothing") is None:
            return
        while catches_up and self.gaps + self.behind() > self.missed:
            message = self.read()
            if message is None:
                return
            self.take(message["push"])
        self.gaps += self.behind()
        assert self.gaps <= self.missed, f"{self.gaps} messages are missing at the end, {self.missed} are reported"


def step(clients, truth, rng):
    client = rng.choice(clients)
    action = rng.random()
    if action < 0.5:
        large = rng.random() < 0.1
        count = rng.randrange(1, 30)
        for _ in range(count):
            truth.publish(rng.choice(CHANNELS), rng.randrange(60000) if large else rng.randrange(500))
        truth.flush(count)
    elif client.ws is None:
        client.open()
    elif action < 0.6:
        client.drop()
    elif action < 0.75:
        free = [name for name in NAMES if name not in client.subscriptions]
        if free:
            client.subscribe(rng.choice(free))
    elif action < 0.8 and client.subscriptions:
        client.unsubscribe(rng.choice(list(client.subscriptions)))
    else:
        client.call("unsubscribe", channel="nothing")


@pytest.mark.parametrize("loops", [1, 4], ids=["one loop", "four loops"])
@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "drop-newest", "catch-up"])
def test_each_message_comes_once_or_is_reported_as_missing(start_fanfared, policy, loops):
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print("SEED", seed)
    rng = random.Random(seed)
    port = free_port()
    server = start_fanfared(
        "--http-port", port, "--edge-anonymous", "yes", "--user", *"edge on nopass resetchannels &* +@all".split(), "--io-threads",
        loops, "--edge-ping-interval", 3600, "--ws-deflate", "yes", "--edge-outbox-policy", policy, "--edge-outbox-limit-bytes", "64kb", "--channel",
        *"news.* history-size 1000 history-ttl 600".split(), "--channel", *"short.* history-size 20 history-ttl 600".split())
    truth = Truth(server.connect())
    clients = [Client(truth, port, rng, policy in ("disconnect", "catch-up")) for _ in range(4)]
    for _ in range(STEPS):
        step(clients, truth, rng)
    for client in clients:
        if client.ws is None:
            client.open()
        if client.ws is not None:
            client.check_end(policy == "catch-up")
        client.drop()
    sums = {what: sum(getattr(client, what) for client in clients)
            for what in ("received", "recovered", "lost", "closed", "all_missed")}
    print(sums)
    assert sums["received"] > 500 and sums["recovered"] > 10 and sums["lost"] > 0
