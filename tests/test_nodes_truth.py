"""What subscribers of several leaves get while links break: everything, or a mark where something is missing.

Seeded: FANFARE_SEED=N repeats a run. Publishers at all nodes number the messages of each channel; each subscriber's stream is
checked at the end: nothing twice, nothing out of order, no number missing without a `lagged` between its neighbours. A message
whose PUBLISH got an error may be missing or not.
"""

import collections
import os
import random
import re

import pytest

from lib.resp import Error
from lib.wait import SANITIZED, wait_until

CHANNELS = [b"kept.%d" % n for n in range(12)] + [b"plain.%d" % n for n in range(4)]
KEEP = ("--channel", "kept.*", "history-size", 100000, "history-ttl", 600)
ROUNDS = 3 if SANITIZED else 5  # each more waits longer for the next connection


def link(server):
    with server.connect() as client:
        return client.info("link")


class Listener:
    """A client with marks, subscribed by channels or patterns."""

    def __init__(self, leaf, kind, *names):
        self.client = leaf.client(3)
        self.names = names
        self.events = []  # (stream, number), or None for a mark
        self.client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        self.client.command(kind, *names)
        for _ in names:
            self.client.read_value()

    def drain(self):
        """Reads what was sent before the reply to a PING."""
        self.client.command("PING", "drained")
        while True:
            frame = self.client.read_value()
            assert not isinstance(frame, Error), frame
            if frame == b"drained":
                return
            if frame[0] == b"lagged":
                self.events.append(None)
            elif frame[0] in (b"message", b"pmessage"):
                publisher, number = frame[-1].split()
                self.events.append(((bytes(frame[-2]), int(publisher)), int(number)))

    def hears(self, channel):
        return any(re.fullmatch(name.replace(b"*", b".*"), channel) for name in self.names)


class Truth:
    """What was published: each node's publisher numbers its messages in each channel, which is a stream (channel, publisher)."""

    def __init__(self, nodes, seed):
        self.random = random.Random(seed)
        self.publishers = [node.client() for node in nodes]
        self.next = collections.Counter()
        self.doubtful = set()  # (stream, number): its reply was an error
        self.delivered = self.marked = 0

    def publish(self, count, publisher):
        """In a pipeline."""
        messages = []
        for _ in range(count):
            channel = self.random.choice(CHANNELS)
            stream = (channel, publisher)
            messages.append((stream, self.next[stream]))
            self.publishers[publisher].command("PUBLISH", channel, "%d %d" % (publisher, self.next[stream]))
            self.next[stream] += 1
        return messages

    def read_replies(self, publisher, messages):
        for message in messages:
            reply = self.publishers[publisher].read_value()
            if isinstance(reply, Error):
                assert reply.text.startswith(b"CLUSTERDOWN "), reply
                self.doubtful.add(message)

    def check(self, listener, kept_are_whole):
        last, marks_at, marks = {}, {}, 0
        ends = [(stream, end) for stream, end in self.next.items() if listener.hears(stream[0])]
        for event in [*listener.events, *ends]:
            if event is None:
                marks += 1
                continue
            stream, number = event
            before = last.get(stream, -1)
            assert number > before, f"{stream} {number} after {before}: twice or out of order"
            missing = [n for n in range(before + 1, number) if (stream, n) not in self.doubtful]
            if missing:
                assert marks > marks_at.get(stream, 0), f"{stream}: {missing} are missing without a mark"
                assert not (kept_are_whole and stream[0].startswith(b"kept.")), f"{stream}: {missing} are missing"
                self.marked += len(missing)
            last[stream], marks_at[stream] = number, marks
            self.delivered += 1


@pytest.fixture(params=["redis", "fanfared", "engine"])
def mode(request):
    return request.param


@pytest.fixture
def upstream(mode, start_redis, start_fanfared):
    return start_fanfared(*KEEP) if mode == "fanfared" else start_redis()


def link_ids(client):
    """The connections of leaves, as the upstream numbers them."""
    lines = client.call("CLIENT", "LIST").decode().splitlines()
    return [re.search(r"\bid=(\d+)", line)[1] for line in lines if "name=fanfare-link" in line]


def is_joined(leaf):
    figures = link(leaf)
    return figures["link_state"] == "up" and figures["link_waiting_names"] == "0"


def test_nothing_is_missing_without_a_mark_while_links_break(mode, upstream, start_fanfared):
    seed = int(os.environ.get("FANFARE_SEED", random.randrange(1 << 30)))
    print(f"FANFARE_SEED={seed}")
    link_options = ("--upstream", f"redis://127.0.0.1:{upstream.port}", *KEEP)
    if mode == "engine":
        link_options += ("--upstream-mode", "engine")
    leaves = [start_fanfared(*link_options) for _ in range(3)]
    killer = upstream.client()
    # What is published at an engine itself is not kept; the link of this node is never cut.
    entrance = start_fanfared(*link_options) if mode == "engine" else upstream
    for leaf in leaves + [entrance] * (mode == "engine"):
        wait_until(lambda leaf=leaf: is_joined(leaf), "the link is up")
    spared = {max(link_ids(killer), key=int)} if mode == "engine" else set()
    truth = Truth([entrance, *leaves], seed)
    listeners = []
    for leaf in leaves:
        # What is subscribed first is first again after a loss; many other names are in between.
        kinds = [("PSUBSCRIBE", b"*.1*"), ("SUBSCRIBE", *(b"other.%d" % n for n in range(3000))), ("PSUBSCRIBE", b"kept.*"),
                 ("SUBSCRIBE", *truth.random.sample(CHANNELS, 6)), ("SUBSCRIBE", *CHANNELS)]
        truth.random.shuffle(kinds)
        listeners += [Listener(leaf, *kind) for kind in kinds]
    for _ in range(ROUNDS):
        sent = [truth.publish(truth.random.randrange(40), publisher) for publisher in range(4)]
        victims = [victim for victim in link_ids(killer) if victim not in spared]
        truth.random.shuffle(victims)
        for victim in victims[:truth.random.randrange(1, 4)]:
            killer.call("CLIENT", "KILL", "ID", victim)
            sent[0] += truth.publish(truth.random.choice([0, 1, 30, 200]), 0)
        for publisher, messages in enumerate(sent):
            truth.read_replies(publisher, messages)
        if truth.random.random() < 0.5:  # another one while it may be catching up
            for leaf in leaves:
                wait_until(lambda leaf=leaf: link(leaf)["link_state"] in ("joining", "up"), "the link is made again")
        wait_until(lambda: truth.read_replies(0, truth.publish(20, 0)) or all(is_joined(leaf) for leaf in leaves),
                   "the links are up again")
    truth.read_replies(0, truth.publish(50, 0))
    # What was published before is delivered at a leaf when a later message is.
    for leaf in leaves:
        with leaf.client(3) as client:
            client.subscribe("last")
            truth.publishers[0].call("PUBLISH", "last", 1)
            assert client.read_value()[0] == b"message"
    for listener in listeners:
        listener.drain()
        truth.check(listener, kept_are_whole=mode != "redis")
    print(f"delivered {truth.delivered}, marked {truth.marked}, in doubt {len(truth.doubtful)}, wrong 0")
    assert truth.delivered > 100
