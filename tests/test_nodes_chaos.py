"""Leaves whose links break at random: each subscriber gets all messages in their order, or a notice where some may be missing.
And upstreams that send what is no RESP."""

import os
import random
import threading
import time

import pytest

from lib.nodes import Nodes, Proxy, link, wait_for_state
from lib.resp import Connection
from lib.wait import seconds, wait_until

CHANNELS = [f"c{n}" for n in range(6)]


# A fanfared that keeps messages of no channel, of some, and of all.
KEEPS = {"fanfared": (), "some history": ("--channel", "c[0-2]", "history-size", 100000, "history-ttl", 600),
         "history": ("--channel", "c*", "history-size", 100000, "history-ttl", 600),
         "short history": ("--channel", "c*", "history-size", 20, "history-ttl", 600)}


@pytest.fixture(params=["redis", *KEEPS])
def kind(request):
    return request.param


@pytest.fixture
def any_nodes(kind, start_fanfared, start_redis):
    return Nodes(start_fanfared, start_redis() if kind == "redis" else start_fanfared(*KEEPS[kind]))


class Publisher(threading.Thread):
    """Numbers the messages of its own channels, and publishes them until it is told to stop."""

    def __init__(self, server, number, channels):
        super().__init__(daemon=True)
        self.client = server.connect(timeout=60)
        self.number, self.channels = number, channels
        self.sent = dict.fromkeys(channels, 0)
        self.is_over = threading.Event()
        self.failure = None
        self.rand = random.Random(number)

    def run(self):
        try:
            while not self.is_over.is_set():
                batch = [self.rand.choice(self.channels) for _ in range(self.rand.randrange(1, 40))]
                for channel in batch:
                    self.client.command("PUBLISH", channel, str(self.sent[channel]))
                    self.sent[channel] += 1
                for _ in batch:
                    assert isinstance(self.client.read_value(), int)
                time.sleep(0.005)
        except Exception as failure:
            self.failure = failure


class Subscriber(threading.Thread):
    """Subscribes, reads, leaves and comes back; checks that numbers are consecutive but where a notice was."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server = server
        self.rand = random.Random(seed)
        self.last = {}       # channel: the number of the newest message
        self.doubt = set()   # channels with a notice since
        self.received = self.notices = 0
        self.is_over = threading.Event()
        self.ended = set()
        self.failure = None
        self.has_pattern = seed % 3 == 0
        self.client = self.connect()

    def connect(self):
        client = Connection(self.server.address, timeout=60)
        client.hello(3)
        client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        return client

    def run(self):
        try:
            while not self.is_over.is_set() or len(self.ended) < len(CHANNELS):
                self.life()
        except Exception as failure:
            self.failure = failure

    def life(self):
        """One connection."""
        self.last, self.doubt, self.ended = {}, set(), set()
        if self.has_pattern:
            self.client.command("PSUBSCRIBE", "c?")
        else:
            self.client.command("SUBSCRIBE", *CHANNELS)
        left = self.rand.randrange(100, 1500)
        while len(self.ended) < len(CHANNELS):
            self.read(self.client.read_value())
            left -= 1
            if left <= 0 and not self.is_over.is_set():
                self.client.close()
                self.client = self.connect()
                return

    def read(self, frame):
        if frame[0] == b"lagged":
            assert frame[1] == -1
            self.notices += 1
            self.doubt = set(CHANNELS)
            return
        if frame[0] not in (b"message", b"pmessage"):
            assert frame[0] in (b"subscribe", b"psubscribe"), frame
            return
        channel, payload = frame[-2].decode(), frame[-1]
        if payload == b"end":
            self.ended.add(channel)
            return
        number, last = int(payload), self.last.get(channel)
        self.received += 1
        if channel in self.doubt:
            assert last is None or number > last, f"{channel}: {number} after {last}"
            self.doubt.discard(channel)
        else:
            assert last is None or number == last + 1, f"{channel}: {number} after {last}, and no notice"
        self.last[channel] = number


def test_every_message_arrives_or_is_told_to_be_missing(any_nodes, kind):
    rand = random.Random(int(os.environ.get("FANFARE_SEED", "5")))
    with Proxy(any_nodes.upstream.address) as first, Proxy(any_nodes.upstream.address) as second:
        proxies = (first, second)
        leaves = [any_nodes.leaf("--upstream-probe", 1, "--upstream-linger", 1, port=proxy.port) for proxy in proxies]
        publishers = [Publisher(any_nodes.upstream, n, CHANNELS[n::2]) for n in range(2)]
        subscribers = [Subscriber(leaf, 10 * n + k) for n, leaf in enumerate(leaves) for k in range(4)]
        for thread in (*publishers, *subscribers):
            thread.start()
        for number in range(6):  # more take long: the delay before the next attempt grows with each
            leaf, proxy = leaves[number % 2], proxies[number % 2]
            way = rand.choice((proxy.up, proxy.down))
            way.piece = rand.choice([100, 65536])
            if rand.random() < 0.5:  # a short pause
                proxy.stop(way)
                time.sleep(0.05)
                proxy.go()
            if rand.random() < 0.7:  # bytes are lost with the connection
                proxy.stop(way)
                time.sleep(rand.random() * 0.1)
            before = link(leaf)["connections"]
            proxy.cut()
            wait_until(lambda leaf=leaf, before=before: link(leaf)["connections"] != before, "a new connection", 30)
            time.sleep(0.05)
        for publisher in publishers:
            publisher.is_over.set()
            publisher.join(seconds(20))
            assert publisher.failure is None and not publisher.is_alive()
        for leaf in leaves:
            wait_for_state(leaf)
            wait_until(lambda leaf=leaf: link(leaf)["waiting_names"] == "0", "all subscriptions")
        for subscriber in subscribers:
            subscriber.is_over.set()
        with any_nodes.upstream.connect() as client:
            def ask_to_end():
                for channel in CHANNELS:
                    client.call("PUBLISH", channel, "end")
                return not any(subscriber.is_alive() for subscriber in subscribers)
            wait_until(ask_to_end, "the end of the subscribers", 30)
        failures = [subscriber.failure for subscriber in subscribers if subscriber.failure]
        assert not failures, failures
        assert sum(subscriber.received for subscriber in subscribers) > 1000
        # A history tells nothing to those that have all, unless the link breaks again while it is read.
        assert kind == "history" or sum(subscriber.notices for subscriber in subscribers) > 0


# Nonsense


@pytest.mark.parametrize("kind", ["redis", "some history"])
def test_damaged_bytes_of_the_upstream_end_the_connection_and_no_more(any_nodes):
    """Real answers and messages with a wrong byte, a missing part, or more of it, at any place."""
    rand = random.Random(9)

    class Damaging(Proxy):
        def _forward(self, source, target):
            try:
                is_up = source.getsockname()[1] == self.port
                left = rand.randrange(1, 700)
                while data := source.recv(65536):
                    if not is_up:
                        if len(data) > left >= 0:
                            at = left
                            data = rand.choice([
                                lambda: data[:at] + bytes([rand.randrange(256)]) + data[at + 1:],
                                lambda: data[:at] + data[at + rand.randrange(1, 20):],
                                lambda: data[:at] + data[at // 2:],
                                lambda: data[:at] + rand.choice([b"\r\n", b"*-1\r\n", b">0\r\n", b"$-1\r\n", b"_\r\n", b"+OK\r\n",
                                                                 b"-ERR x\r\n", b"-NOPERM x\r\n", b":1\r\n"]) + data[at:]])()
                        left -= len(data)
                    target.sendall(data)
                target.shutdown(1)
            except OSError:
                pass

    with Damaging(any_nodes.upstream.address) as proxy:
        # Each leaf gets damage of its own, several times: a delay before the next attempt grows with each.
        leaves = [any_nodes.leaf("--upstream-probe", 1, port=proxy.port, waits=False) for _ in range(8)]
        clients = [leaf.client(3) for leaf in leaves]
        with any_nodes.upstream.connect() as publisher:
            for n in range(150):
                for at, client in enumerate(clients):
                    client.command(rand.choice(("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE")),
                                   *(f"c{rand.randrange(20)}" for _ in range(rand.randrange(1, 5))))
                    client.command("PUBLISH", f"c{at}", "x")
                for _ in range(3):
                    publisher.call("PUBLISH", f"c{rand.randrange(20)}", "y")
                time.sleep(0.01)
        # Some damage is inside of a payload, where nobody can see it.
        assert sum(link(leaf)["last_error"] != "" for leaf in leaves) >= 1
