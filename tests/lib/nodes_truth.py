"""What subscribers of leaves get while links fail, against what was published: publishers and listeners in threads, and a verdict.

A publisher numbers its messages in each channel, which makes a stream. At the end each message of each stream of each listener is
  delivered   in its order, and once,
  marked      missing, and there was a `lagged` between the messages around it,
  in doubt    its publisher got an error that says so, or lost its connection; whether delivered or not, early or late,
  refused     its publisher got an error that says that it was not published, or could not connect; and it was not delivered,
or it is wrong.
"""

import bisect
import collections
import random
import re
import threading
import time

from lib.nodes import link
from lib.resp import Closed, Error
from lib.wait import seconds, wait_until

KEPT = [b"kept.%d" % n for n in range(6)]
CHANNELS = KEPT + [b"plain.%d" % n for n in range(2)]
END = b"end"
IN_DOUBT = b"CLUSTERDOWN The link to the upstream was lost: the message may have been published or not"
REFUSALS = (b"CLUSTERDOWN The link to the upstream is down", b"CLUSTERDOWN The history of the upstream is gone", b"READONLY ",
            b"LOADING ", b"MASTERDOWN ")


class Publisher(threading.Thread):
    """Publishes small batches in a pipeline until it is told to stop. `connect` gives a connection; it may raise OSError."""

    def __init__(self, number, connect, seed):
        super().__init__(daemon=True)
        self.number, self.connect = number, connect
        self.random = random.Random(seed)
        self.next = collections.Counter()
        self.doubtful, self.refused = set(), set()  # (stream, number)
        self.is_over = threading.Event()
        self.failure = self.client = None

    def run(self):
        try:
            while not self.is_over.is_set():
                self.publish([self.random.choice(CHANNELS) for _ in range(self.random.randrange(1, 12))])
                self.is_over.wait(0.02)
        except Exception as failure:
            self.failure = failure

    def publish(self, channels):
        messages = []
        for channel in channels:
            stream = (channel, self.number)
            messages.append((stream, self.next[stream]))
            self.next[stream] += 1
        try:
            self.client = self.client or self.connect()
        except OSError:
            self.refused.update(messages)
            return
        try:
            for (channel, publisher), number in messages:
                self.client.command("PUBLISH", channel, b"%d %d" % (publisher, number))
            while messages:
                self.judge(messages[0], self.client.read_value())
                messages.pop(0)
        except (OSError, Closed):
            self.doubtful.update(messages)
            self.client.close()
            self.client = None

    def end(self):
        """Publishes the end of each channel. Returns whether all were accepted."""
        try:
            self.client = self.client or self.connect()
            return all(isinstance(self.client.call("PUBLISH", channel, END), int) for channel in CHANNELS)
        except (OSError, Closed):
            self.client = None
            return False

    def judge(self, message, reply):
        if isinstance(reply, int):
            return
        assert isinstance(reply, Error), reply
        if reply.text == IN_DOUBT:
            self.doubtful.add(message)
        else:
            assert reply.text.startswith(REFUSALS), reply
            self.refused.add(message)


class Listener(threading.Thread):
    """A client of a leaf with marks, subscribed by channels or by a pattern."""

    OPTIONS = ("NOTIFY", "yes")

    def __init__(self, leaf, kind, *names):
        super().__init__(daemon=True)
        self.names = names
        self.client = leaf.connect(timeout=600)
        self.client.hello(3)
        self.client.ok("OUTBOX", "SET", *self.OPTIONS)
        self.client.subscribe(*names, kind=kind)
        self.last = {}
        self.gaps = collections.defaultdict(list)   # by stream: (first, end, marks before the end)
        self.heard = collections.defaultdict(list)  # by stream: (number, marks before it), where the marks are other ones
        self.ended = set()  # channels
        self.late = []  # (stream, number) that came behind a later one
        self.delivered = self.marks = 0
        self.counted = 0  # messages that marks with a number have counted
        self.failure = None
        self.start()

    def run(self):
        try:
            while (frame := self.client.read_value()) != b"over":
                self.take(frame)
        except Exception as failure:
            self.failure = failure

    def take(self, frame):
        assert not isinstance(frame, Error), frame
        if frame[0] == b"lagged":
            assert frame[1] == -1 or frame[1] > 0, frame
            self.marks += 1
            self.counted += max(frame[1], 0)
        elif frame[0] in (b"message", b"pmessage") and frame[-1] == END:
            self.ended.add(bytes(frame[-2]))
        elif frame[0] in (b"message", b"pmessage") and frame[-2] in CHANNELS:
            publisher, number = map(int, frame[-1].split())
            self.hear((bytes(frame[-2]), publisher), number)

    def hear(self, stream, number):
        before = self.last.get(stream, -1)
        if number <= before:
            self.late.append((stream, number))
            return
        self.end_gap(stream, number)
        self.last[stream] = number
        heard = self.heard[stream]
        if not heard or heard[-1][1] != self.marks:
            heard.append((number, self.marks))
        self.delivered += 1

    def end_gap(self, stream, number):
        before = self.last.get(stream, -1)
        if number > before + 1:
            self.gaps[stream].append((before + 1, number, self.marks))

    def is_marked(self, stream, gap, doubtful):
        """Whether there was a mark in this gap. Messages in doubt may have come behind the mark that hides them."""
        first, _, marks = gap
        before = first - 1
        while (stream, before) in doubtful:
            before -= 1
        at = bisect.bisect_right(self.heard[stream], before, key=lambda item: item[0])
        return marks > (self.heard[stream][at - 1][1] if at else 0)

    def has_ended(self):
        return self.failure or self.ended.issuperset(channel for channel in CHANNELS if self.hears(channel))

    def hears(self, channel):
        return any(re.fullmatch(name.replace(b"*", b".*"), channel) for name in self.names)


class KeptListener(Listener):
    """A client of a node of an engine, subscribed only to kept channels, with positions."""

    OPTIONS = (*Listener.OPTIONS, "POSITIONS", "yes")

    def __init__(self, leaf):
        self.leaf = leaf
        self.got = []  # (channel, position, payload)
        self.begin = 0  # where history began anew in `got`
        super().__init__(leaf, "SUBSCRIBE", *KEPT)

    def take(self, frame):
        if frame[0] == b"lagged" and frame[1] == -1:
            self.begin = len(self.got)
        elif frame[0] == b"message":
            position, _, payload = frame[2].partition(b" ")
            self.got.append((bytes(frame[1]), position, payload))
            frame = [*frame[:2], payload]
        super().take(frame)

    def behind(self, at):
        """What was heard in the channel behind this message, up to its end."""
        channel = self.got[at][0]
        heard = [item for item in self.got[at + 1:] if item[0] == channel]
        return heard[:next(n for n, (_, _, payload) in enumerate(heard) if payload == END) + 1]

    def resume(self, at, leaf):
        """What a client gets at the leaf that resumes from the position of a message, or None if it is lost."""
        channel, position, _ = self.got[at]
        with leaf.connect(timeout=30) as client:
            client.hello(3)
            client.ok("OUTBOX", "SET", *self.OPTIONS)
            (_, verdict, *_), = client.call("RESUME", channel, position)
            if verdict == b"lost":
                return None
            assert verdict == b"resumed", verdict
            client.subscribe(channel)
            got = []
            while not got or got[-1][2] != END:
                kind, name, payload = client.read_value()
                assert kind == b"message", kind
                got.append((bytes(name), *payload.split(b" ", 1)))
            return got


class Truth:
    """Publishers at all nodes and listeners at each leaf. connect_first() gives a connection for the first publisher, or raises
    OSError: to the upstream, or to another node of an engine."""

    def __init__(self, connect_first, leaves, seed, is_engine=False):
        self.leaves = leaves
        self.random = rand = random.Random(seed)
        self.at = {}
        for leaf in leaves:
            wait_until(lambda leaf=leaf: is_joined(leaf), "the link is up", 30)
            self.at[leaf] = [Listener(leaf, "SUBSCRIBE", *rand.sample(CHANNELS, len(CHANNELS)), b"ballast"),
                             Listener(leaf, "PSUBSCRIBE", b"kept.*", b"other.*")]
            if is_engine:
                self.at[leaf].append(KeptListener(leaf))
        self.listeners = [listener for leaf in leaves for listener in self.at[leaf]]
        self.of_kept = [listener for listener in self.listeners if isinstance(listener, KeptListener)]
        wait_until(lambda: all(is_joined(leaf) for leaf in leaves), "the subscriptions")
        connects = [connect_first] + [leaf.connect for leaf in leaves]
        self.publishers = [Publisher(n, connect, rand.random()) for n, connect in enumerate(connects)]
        for publisher in self.publishers:
            publisher.start()

    def marks(self, leaf):
        return sum(listener.marks for listener in self.at[leaf])

    def flow(self, within=30):
        """Messages of all publishers pass, now."""
        before = [sum(publisher.next.values()) - len(publisher.refused) - len(publisher.doubtful)
                  for publisher in self.publishers]
        heard = [listener.delivered for listener in self.listeners]
        wait_until(lambda: all(sum(one.next.values()) - len(one.refused) - len(one.doubtful) > count + 20
                               for one, count in zip(self.publishers, before)) and
                   all(one.delivered > count + 20 for one, count in zip(self.listeners, heard)), "messages pass", within)

    def wait_for_links(self, within=40):
        wait_until(lambda: all(is_joined(leaf) for leaf in self.leaves), "all links are up", within)

    def stop(self):
        """Ends the publishers, also after a failure."""
        for publisher in self.publishers:
            publisher.is_over.set()
        for publisher in self.publishers:
            publisher.join(seconds(30))
            assert not publisher.is_alive()

    def finish(self, kept_are_whole=False, recent=300, marks_are_late=False):
        """Ends when what was published before has arrived, then judges; returns the figures. At the end each listener's last
        `recent` kept messages can be resumed. marks_are_late: a mark may come behind its place."""
        self.wait_for_links()
        self.stop()
        # Behind everything else; again and again, because a link may break once more.
        wait_until(lambda: self.publishers[0].end() and all(one.has_ended() for one in self.listeners), "the end arrives", 30)
        for listener in self.listeners:
            listener.client.command("PING", "over")
            listener.join(seconds(30))
            assert not listener.is_alive()
        for thread in (*self.publishers, *self.listeners):
            if thread.failure is not None:
                raise thread.failure
        figures = self.judge(kept_are_whole, marks_are_late)
        self.check_positions(kept_are_whole, recent)
        return figures

    def missing(self, listener):
        """How many messages it did not get, at the end: (accepted ones, those in doubt)."""
        missing = {(stream, number) for stream, gaps in listener.gaps.items() for first, end, _ in gaps
                   for number in range(first, end)}
        for publisher in self.publishers:
            missing -= publisher.refused
        doubtful = missing & set().union(*(publisher.doubtful for publisher in self.publishers))
        return len(missing - doubtful), len(doubtful)

    def check_positions(self, kept_are_whole, recent, samples=10):
        """A position is that of one message at all nodes, positions increase, and can be resumed at any node, unless lost."""
        messages, verdicts = {}, collections.Counter()
        for listener in self.of_kept:
            assert not (kept_are_whole and listener.marks), "a mark at a listener of kept channels"
            before = ()
            for channel, position, payload in listener.got:
                number = tuple(map(int, re.split(rb"\D", position)))
                assert number > before, f"{position} behind {before}"
                assert messages.setdefault(number, (channel, payload)) == (channel, payload), position
                before = number
        for listener in self.of_kept:
            first_end = next(n for n, item in enumerate(listener.got) if item[2] == END)
            sure = max(listener.begin, first_end - recent)
            chosen = [self.random.randrange(begin, first_end) for begin in (0, sure) if begin < first_end
                      for _ in range(samples)]
            for at in chosen:
                leaf = self.random.choice(self.leaves)
                resumed = listener.resume(at, leaf)
                verdicts["lost" if resumed is None else "exact"] += 1
                assert resumed is None or (at >= listener.begin and resumed == listener.behind(at)), \
                    f"{listener.got[at]} is resumed wrongly"
                assert resumed is not None or at < sure, f"{listener.got[at]} is lost"
        if self.of_kept:
            print(f"positions: exact {verdicts['exact']}, lost {verdicts['lost']}", flush=True)

    def judge(self, kept_are_whole, marks_are_late):
        figures = collections.Counter({"published": sum(sum(one.next.values()) for one in self.publishers)})
        doubtful = set().union(*(one.doubtful for one in self.publishers))
        refused = set().union(*(one.refused for one in self.publishers))
        wrong = []
        for listener in self.listeners:
            assert self.of_kept or listener.counted == 0, "only nodes of an engine count what is missing"
            figures["marks"] += listener.marks
            figures["delivered"] += listener.delivered
            ends = [item for one in self.publishers for item in one.next.items() if listener.hears(item[0][0])]
            figures["expected"] += sum(end for _, end in ends)
            missing = set()
            for stream, end in ends:
                listener.end_gap(stream, end)
                for gap in listener.gaps[stream]:
                    is_marked = listener.is_marked(stream, gap, doubtful) or (marks_are_late and listener.marks > gap[2])
                    for number in range(gap[0], gap[1]):
                        message = (stream, number)
                        missing.add(message)
                        if message in refused:
                            figures["refused"] += 1
                        elif message in doubtful:
                            figures["in doubt"] += 1
                        elif is_marked and not (kept_are_whole and stream[0].startswith(b"kept.")):
                            figures["marked"] += 1
                        else:
                            wrong.append(f"{message} is missing without a mark")
            wrong += [f"{message} was refused and arrived" for message in refused
                      if listener.hears(message[0][0]) and message not in missing]
            for message in listener.late:
                figures["late"] += 1
                if message not in missing:
                    wrong.append(f"{message} came twice")
                elif message not in doubtful:
                    wrong.append(f"{message} came late")
                missing.discard(message)
        figures["wrong"] = len(wrong)
        names = ("published", "expected", "delivered", "marked", "in doubt", "refused", "late", "marks", "wrong")
        print(", ".join(f"{name} {figures[name]}" for name in names), flush=True)
        assert not wrong, wrong[:20]
        parts = ("delivered", "marked", "in doubt", "refused")
        assert figures["expected"] == sum(figures[name] for name in parts)
        return figures


def is_joined(leaf):
    figures = link(leaf)
    return figures["state"] == "up" and figures["waiting_names"] == "0"


def connections(leaf):
    return int(link(leaf)["connections"])


def wait_for_new_link(leaf, before, within=40):
    wait_until(lambda: connections(leaf) > before and is_joined(leaf), "the link is made again", within)


def keep_going(duration):
    """Lets messages flow for a while: the duration is that of a fault, not a deadline."""
    time.sleep(duration)
