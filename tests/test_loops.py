"""Several loops (io-threads): the guarantees of one loop also hold for many, and each does its share of the work."""

import asyncio
import random
import re
import signal
import time

import pytest

from lib.resp import encode
from lib.wait import SLOW, wait_until

PUBLISHERS, SUBSCRIBERS, CHANNELS = 20, 200, 8
CHURN_S = {1: 5, 2: 5, 4: 20}


class Peer:
    """A client in the one thread of the test, so that what it knows of the others is never half true."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, daemon, proto=2):
        peer = cls(*await asyncio.open_connection(daemon.host, daemon.port, limit=1 << 20))
        peer.writer.write(encode("HELLO", proto))
        await peer.read()
        return peer

    async def read(self):
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return (await self.reader.readexactly(int(rest) + 2))[:-2]
        if kind in b"*>":
            return [await self.read() for _ in range(int(rest))]
        if kind == b"%":
            return [await self.read() for _ in range(2 * int(rest))]
        return int(rest) if kind == b":" else rest


class Publisher:
    """Numbers its messages on each channel; sent and answered are the last number of each."""

    def __init__(self, name):
        self.name = name
        self.sent, self.answered = [0] * CHANNELS, [0] * CHANNELS

    async def run(self, daemon, chance, until):
        clock = asyncio.get_running_loop().time
        while clock() < until:
            peer = await Peer.connect(daemon)
            for _ in range(chance.randint(1, 60)):
                batch = [chance.randrange(CHANNELS) for _ in range(chance.randint(1, 8))]
                for channel in batch:
                    self.sent[channel] += 1
                    peer.writer.write(encode("PUBLISH", f"churn.{channel}", f"{self.name} {self.sent[channel]}"))
                for channel in batch:
                    assert isinstance(await peer.read(), int)
                    self.answered[channel] += 1
                await asyncio.sleep(chance.random() * 0.02)
            peer.writer.close()


class Subscription:
    """The required messages: consecutive numbers from each publisher, starting after the confirmation."""

    def __init__(self, publishers, channel):
        self.publishers, self.channel = publishers, channel
        self.sent_before = [p.sent[channel] for p in publishers]
        self.answered_before = [p.answered[channel] for p in publishers]
        self.last = [None] * len(publishers)
        self.received = 0

    def take(self, text):
        name, number = (int(word) for word in text.split())
        if self.last[name] is None:
            assert self.answered_before[name] < number <= self.sent_before[name] + 1, "not the first"
        else:
            assert number == self.last[name] + 1, f"{number} after {self.last[name]} of publisher {name}"
        self.last[name] = number
        self.received += 1

    def check_end(self, answered):
        """All that were answered before the end of the subscription was asked for."""
        for name, number in enumerate(answered):
            got = self.last[name] if self.last[name] is not None else self.sent_before[name]
            assert got >= number, f"publisher {name}: {number} was answered, {got} came"


async def subscriber(daemon, publishers, chance, until):
    """How many messages it received, over all of its connections."""
    clock = asyncio.get_running_loop().time
    received = 0
    while clock() < until:
        peer = await Peer.connect(daemon, chance.choice((2, 3)))
        for _ in range(chance.randint(1, 4)):
            channel = chance.randrange(CHANNELS)
            is_pattern = chance.random() < 0.3
            prefix, name = ("P", f"churn.{channel}*") if is_pattern else ("", f"churn.{channel}")
            answered = [p.answered[channel] for p in publishers]
            peer.writer.write(encode(f"{prefix}SUBSCRIBE", name))
            assert (await peer.read())[0].endswith(b"subscribe")
            subscription = Subscription(publishers, channel)
            subscription.answered_before = answered
            end = min(until, clock() + chance.random() * 2)
            while clock() < end:
                try:
                    message = await asyncio.wait_for(asyncio.shield(peek := asyncio.ensure_future(peer.read())),
                                                     max(0.001, end - clock()))
                except asyncio.TimeoutError:
                    break
                peek = None
                subscription.take(message[-1])
            else:
                peek = None
            if chance.random() < 0.2:
                if peek is not None:
                    peek.cancel()
                peer.writer.transport.abort()
                received += subscription.received
                break
            answered = [p.answered[channel] for p in publishers]
            peer.writer.write(encode(f"{prefix}UNSUBSCRIBE", name))
            while True:
                message = await (peek or peer.read())
                peek = None
                if message[0].endswith(b"unsubscribe"):
                    break
                subscription.take(message[-1])
            subscription.check_end(answered)
            received += subscription.received
        else:
            peer.writer.close()
    return received


@pytest.mark.parametrize("loops", CHURN_S)
def test_nothing_is_lost_doubled_or_reordered_while_clients_come_and_go(start_fanfared, loops):
    daemon = start_fanfared("--io-threads", loops)

    async def churn():
        until = asyncio.get_running_loop().time() + CHURN_S[loops]
        publishers = [Publisher(i) for i in range(PUBLISHERS)]
        done = await asyncio.wait_for(asyncio.gather(
            *(p.run(daemon, random.Random(p.name), until) for p in publishers),
            *(subscriber(daemon, publishers, random.Random(1000 + i), until) for i in range(SUBSCRIBERS))),
            (CHURN_S[loops] + 60) * SLOW)
        return sum(done[PUBLISHERS:])

    assert asyncio.run(churn()) > 1000
    watcher = daemon.connect()
    wait_until(lambda: watcher.info("clients")["connected_clients"] == "1", "all have left")
    assert watcher.info("pubsub")["subscriptions"] == "0"
    assert watcher.info("pubsub")["queued_bytes"] == "0"
    assert watcher.info("stats")["total_error_replies"] == "0"


def shares(client):
    """The figures of each loop, as INFO gives them."""
    lines = client.info("threads")
    return [dict(pair.split("=") for pair in lines[name].split(",")) for name in sorted(
        (name for name in lines if name.startswith("io_thread_")), key=lambda name: int(name.rsplit("_", 1)[1]))]


def test_connections_are_spread_evenly_and_stay(start_fanfared):
    daemon = start_fanfared("--io-threads", 4)
    clients = [daemon.connect() for _ in range(40)]
    for client in clients:
        client.subscribe("news")
    watcher = daemon.connect()
    assert watcher.info("threads")["io_threads"] == "4"
    assert sorted(int(share["clients"]) for share in shares(watcher)) == [10, 10, 10, 11]
    before = {entry["id"]: entry["io-thread"] for entry in watcher.outbox_list()}
    assert len(set(before.values())) == 4
    assert watcher.call("PUBLISH", "news", "x" * 1000) == 40
    for client in clients:
        assert client.read_value() == [b"message", b"news", b"x" * 1000]
    wait_until(lambda: all(int(share["written_bytes"]) > 10000 for share in shares(watcher)), "each loop wrote its share")
    assert all(int(share["cpu_usec"]) > 0 for share in shares(watcher))
    for client in clients[:20]:
        client.close()
    wait_until(lambda: watcher.info("clients")["connected_clients"] == "21", "half have left")
    for entry in watcher.outbox_list():
        assert entry["io-thread"] == before[entry["id"]]
    clients += [daemon.connect() for _ in range(20)]
    for client in clients[40:]:
        assert client.call("PING") == b"PONG"
    assert max(int(share["clients"]) for share in shares(watcher)) <= 12


def test_one_loop_shows_itself_as_one(start_fanfared):
    watcher = start_fanfared("--io-threads", 1).connect()
    assert watcher.info("threads") == {"io_threads": "1"}


def test_clients_of_all_loops_are_listed_watched_and_killed(start_fanfared):
    daemon = start_fanfared("--io-threads", 3)
    clients = [daemon.connect() for _ in range(9)]
    for i, client in enumerate(clients):
        client.ok("CLIENT", "SETNAME", f"c{i}")
    watcher, monitor = daemon.connect(), daemon.connect()
    monitor.ok("MONITOR")
    for i, client in enumerate(clients):
        client.call("ECHO", f"from {i}")
        assert f'"from {i}"'.encode() in monitor.read_value()
    listed = {entry["name"]: entry for entry in watcher.outbox_list()}
    assert {f"c{i}" for i in range(9)} <= set(listed)
    for i in range(0, 9, 2):
        assert watcher.call("CLIENT", "KILL", "ID", listed[f"c{i}"]["id"]) == 1
    for i, client in enumerate(clients):
        if i % 2 == 0:
            assert client.is_closed()
        else:
            assert client.call("PING") == b"PONG"


def test_a_login_and_what_it_allows_may_come_in_one_packet(start_fanfared):
    """Before a login a request may have ten arguments; how many the next one has, it decides."""
    daemon = start_fanfared("--io-threads", 2, "--requirepass", "secret")
    client = daemon.connect()
    names = [f"channel{i}" for i in range(50)]
    client.send(encode("AUTH", "secret") + encode("SUBSCRIBE", *names) + encode("PING"))
    assert client.read_value() == b"OK"
    for i, name in enumerate(names):
        assert client.read_value() == [b"subscribe", name.encode(), i + 1]
    assert client.read_value() == [b"pong", b""]
    stranger = daemon.connect()
    stranger.send(encode("SUBSCRIBE", *names))
    assert "unauthenticated multibulk length" in str(stranger.read_value())
    assert stranger.is_closed()


def test_what_is_owed_by_all_loops_is_flushed_at_the_end(start_fanfared):
    daemon = start_fanfared("--io-threads", 4)
    subscribers = [daemon.connect(receive_buffer=4096) for _ in range(12)]
    for subscriber in subscribers:
        subscriber.subscribe("news")
    publisher = daemon.connect()
    message = b"y" * 100000
    for _ in range(40):
        assert publisher.call("PUBLISH", "news", message) == 12
    daemon.process.send_signal(signal.SIGTERM)
    frame = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$100000\r\n" + message + b"\r\n"
    for subscriber in subscribers:
        assert subscriber.read_to_end() == frame * 40
    assert daemon.process.wait(20 * SLOW) == 0


def test_limits_changed_at_run_time_reach_every_loop(start_fanfared):
    daemon = start_fanfared("--io-threads", 3)
    clients = [daemon.connect() for _ in range(6)]
    clients[0].ok("CONFIG", "SET", "max-multibulk-len", "20")
    for client in clients:
        assert client.call("PING", "x") == b"x"
        client.command("SUBSCRIBE", *range(30))
        assert re.search("invalid multibulk length", str(client.read_value()))


def test_clients_killed_while_much_is_owed_to_them_leave_nothing(start_fanfared):
    daemon = start_fanfared("--io-threads", 4, "--outbox-limit-bytes", "0", "--client-output-buffer-limit",
                            "pubsub 0 0 0")
    watcher = daemon.connect()
    for _ in range(5):
        stuck = [daemon.connect(receive_buffer=4096) for _ in range(20)]
        for client in stuck:
            client.subscribe("news")
        for _ in range(20):
            assert watcher.call("PUBLISH", "news", b"z" * 300000) == 20
        assert watcher.call("CLIENT", "KILL", "TYPE", "pubsub") == 20
        for client in stuck:
            client.close()
    wait_until(lambda: watcher.info("pubsub")["queued_bytes"] == "0", "no output is queued any more")
    wait_until(lambda: int(watcher.info("pubsub")["frame_log_bytes"]) < 2 << 20, "the messages' memory is given back")


def test_a_newcomer_that_subscribes_is_answered_at_once(start_fanfared):
    """Its first request comes after the loops were told what to write in this turn."""
    daemon = start_fanfared("--io-threads", "4")
    waits = []
    for _ in range(20):
        client = daemon.connect()
        start = time.monotonic()
        client.subscribe("c")
        waits.append(time.monotonic() - start)
    assert sorted(waits)[10] < 0.05 * SLOW, waits
