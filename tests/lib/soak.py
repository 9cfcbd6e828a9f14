"""A soak of history and resume: very many subscribers are killed, reset, stalled and resumed at random, and what each one
received is compared with what was published.

There is one publisher, so the sequence number of each message is known when it is sent. A subscriber that is missing a
message must have been told so before it got a later one: by a `lagged` mark of the right size, or by a verdict `lost`. All
else is wrong."""

import bisect
import collections
import errno
import fnmatch
import random
import re
import select
import socket
import time

from lib.resp import encode
from lib.wait import seconds

MESSAGE = re.compile(
    rb"[*>](?:3\r\n\$7\r\nmessage|4\r\n\$8\r\npmessage\r\n\$\d+\r\n[^\r]*)\r\n\$\d+\r\n([^\r]*)\r\n\$\d+\r\n"
    rb"(\d+)-(\d+) (\d+):(x*)\r\n"
    rb"|[*>]2\r\n\$6\r\nlagged\r\n:(\d+)\r\n")
LINE = re.compile(rb"([^\r\n]*)\r\n")

CHANNELS = 200
GLOBS = (b"soak.[0-9]", b"soak.1?", b"soak.?7", b"soak.1?5", b"soak.*99")  # a subscriber has one of them
POLICIES = ("catch-up", "catch-up", "drop-oldest", "drop-newest", "disconnect")


FLOOD = 400                # messages of LONG bytes: more than sockets and an outbox take
LONG = 9000                # bytes; longer than a chunk of a ring


class Incomplete(Exception):
    """The rest of the value has not come yet."""


def parse_value(data, at):
    """One value from data[at:], and where it ends. Raises Incomplete."""
    line = LINE.match(data, at)
    if line is None:
        raise Incomplete
    kind, text, at = line.group(1)[:1], line.group(1)[1:], line.end()
    if kind in b"+-":
        return (line.group(1) if kind == b"-" else text), at
    if kind == b":":
        return int(text), at
    if kind == b"_":
        return None, at
    size = int(text)
    if kind == b"$":
        if size < 0:
            return None, at
        if len(data) < at + size + 2:
            raise Incomplete
        return bytes(data[at:at + size]), at + size + 2
    assert kind in b"*>~%", f"not RESP: {line.group(0)!r}"
    values = []
    for _ in range(size * (2 if kind == b"%" else 1)):
        value, at = parse_value(data, at)
        values.append(value)
    return values, at


class Truth:
    """What was published: the sequence numbers of each channel."""

    def __init__(self, base):
        self.base = base  # the position before the first message
        self.count = 0
        self.of_channel = {b"soak.%d" % n: [] for n in range(CHANNELS)}
        self.channels = list(self.of_channel)
        self.channel_of = []
        self.lengths = []  # of what is behind the number of each message

    def matching(self, glob):
        return [channel for channel in self.channels if fnmatch.fnmatchcase(channel, glob)]

    def publish(self, channel, length):
        self.count += 1
        self.of_channel[channel].append(self.base + self.count)
        self.channel_of.append(channel)
        self.lengths.append(length)
        return encode("PUBLISH", channel, b"%d:%s" % (self.count, b"x" * length))


class Subscriber:
    """One subscriber through all of its connections. `state` is idle (no connection), connecting, asking (RESUME was sent),
    joining (SUBSCRIBE was sent) or live. Those of a glob do the same with PRESUME and PSUBSCRIBE."""

    def __init__(self, soak, number):
        self.soak, self.number = soak, number
        draw = soak.draw
        self.is_glob = draw.random() < 0.2
        self.names = [draw.choice(GLOBS)] if self.is_glob else draw.sample(soak.truth.channels, draw.choice((1, 1, 3)))
        self.policy = draw.choice(POLICIES)
        self.resp = draw.choice((2, 3))
        self.socket = None
        self.state = "idle"
        self.seen = 0          # sequence number of the last message
        self.start = {}        # name: sequence number behind which it was subscribed to
        self.next = {}         # channel: index of the next message in the truth
        self.marked = 0        # missing messages that a mark announced and no gap used yet
        self.may_be_told_more = False  # a mark may announce more messages than are missing
        self.held = bytearray()
        self.awaited = collections.deque()  # what the next replies are

    # Connections

    @property
    def address(self):
        return self.soak.daemon.address

    def channels(self):
        """Those that it receives."""
        return list(self.next)

    def open(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.socket.setblocking(False)
        status = self.socket.connect_ex(self.address)
        assert status in (0, errno.EINPROGRESS), status
        self.soak.watch(self, select.EPOLLIN | select.EPOLLOUT)
        self.state = "connecting"

    def connected(self):
        self.soak.watch(self, select.EPOLLIN)
        request = encode("HELLO", self.resp) + encode("OUTBOX", "SET", "POLICY", self.policy, "NOTIFY", "yes",
                                                      "POSITIONS", "yes")
        self.awaited = collections.deque([("hello", None), ("set", None)])
        self.ask(self.names, request)

    def since(self, name):
        """The position behind which this channel is continued."""
        if name not in self.start:
            return b"$"
        return b"%d-%d" % (self.soak.epoch, max(self.start[name], self.seen))

    def ask(self, names, before=b""):
        words = [word for name in names for word in (name, self.since(name))]
        self.send(before + encode("PRESUME" if self.is_glob else "RESUME", *words))
        self.awaited.append(("verdicts", names))
        self.state = "asking"

    def join(self):
        self.send(encode("PSUBSCRIBE" if self.is_glob else "SUBSCRIBE", *self.names))
        self.awaited.extend([("confirmation", None)] * len(self.names))
        self.state = "joining"

    def send(self, data):
        try:
            sent = self.socket.send(data)
        except OSError:
            return  # the server has closed it; the next read says so
        assert sent == len(data)

    def close(self):
        """The subscriber forgets what it has not read: it goes on behind the last message that it has seen."""
        self.soak.unwatch(self)
        self.socket.close()
        self.socket = None
        self.held.clear()
        self.forget()
        self.state = "idle"

    def forget(self):
        """It goes on behind the last message that it has seen, and a mark of later ones counts no more."""
        self.skip_to(self.seen)
        self.marked = 0

    # What comes

    def receive(self):
        """None: there is nothing; empty: the server has closed the connection."""
        try:
            return self.socket.recv(1 << 18)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def closed_by_server(self):
        if self.state != "live":
            self.soak.count["closed while joining"] += 1
        self.soak.count["closed by the server"] += 1
        self.close()

    def read(self):
        data = self.receive()
        if data is None:
            return
        if not data:
            self.closed_by_server()
            return
        self.held += data
        at = 0
        while self.socket is not None and at < len(self.held):
            found = MESSAGE.match(self.held, at)
            if found is not None:
                at = found.end()
                self.take(found)
                continue
            try:
                value, end = parse_value(self.held, at)
            except Incomplete:
                break
            at = end
            self.reply(value)
        if self.socket is not None:
            del self.held[:at]

    def take(self, found):
        group = found.groups()
        if group[5] is not None:
            self.marked += int(group[5])
            self.soak.count["lagged marks"] += 1
            return
        channel, epoch, seq, counter, rest = group[:5]
        self.message(channel, int(epoch), int(seq), int(counter), len(rest))

    def message(self, channel, epoch, seq, counter, length):
        truth = self.soak.truth
        if epoch != self.soak.epoch or seq != truth.base + counter or truth.channel_of[counter - 1] != channel or \
                length != truth.lengths[counter - 1]:
            self.wrong(f"{channel!r} {epoch}-{seq} has the payload of message {counter}")
            return
        if self.state not in ("joining", "live") or channel not in self.next:
            self.wrong(f"{seq} of {channel!r} before it was asked for ({self.state})")
            return
        if seq <= self.seen:
            self.wrong(f"{seq} after {self.seen}")
            return
        at = self.next[channel]
        published = truth.of_channel[channel]
        if published[at] > seq:
            self.wrong(f"{seq} of {channel!r} was before its start")
            return
        if published[at] < seq:
            self.missing(bisect.bisect_left(published, seq) - at, f"before {seq} of {channel!r}")
            at = bisect.bisect_left(published, seq)
        self.next[channel] = at + 1
        self.seen = seq
        self.soak.count["delivered"] += 1

    def skip_to(self, seq):
        """Whatever was published until seq and did not come was dropped: a mark must have said so."""
        for channel, at in self.next.items():
            to = bisect.bisect_right(self.soak.truth.of_channel[channel], seq)
            if to > at:
                self.missing(to - at, f"of {channel!r} until {seq}")
                self.next[channel] = to

    def missing(self, count, where):
        if count <= self.marked:
            self.marked -= count
            self.soak.count["marked"] += count
        else:
            self.wrong(f"{count} messages are missing {where}, {self.marked} were marked")
            self.marked = 0

    def wrong(self, what):
        self.soak.count["wrong"] += 1
        if len(self.soak.faults) < 20:
            self.soak.faults.append(f"{self}: {what}")

    def reply(self, value):
        if not self.awaited:
            self.wrong(f"unexpected {value!r}")
            return
        awaited, names = self.awaited.popleft()
        if isinstance(value, bytes) and value.startswith(b"-"):
            self.refused(awaited, value)
        elif awaited == "verdicts":
            self.verdicts(names, value)
        elif awaited == "confirmation":
            if value[0] != (b"psubscribe" if self.is_glob else b"subscribe"):
                self.wrong(f"{value!r} in place of a confirmation")
            elif not self.awaited:
                self.state = "live"
        elif awaited == "reset":
            self.forget()
            self.connected()

    def refused(self, awaited, error):
        if awaited == "confirmation" and error.startswith(b"-LOST "):
            self.soak.count["lost at PSUBSCRIBE" if self.is_glob else "lost at SUBSCRIBE"] += 1
            self.awaited.clear()
            self.ask(self.names)
        else:
            self.wrong(f"{awaited}: {error!r}")
            self.close()

    def verdicts(self, names, rows):
        lost = []
        for name, (replied, verdict, position, _) in zip(names, rows):
            self.soak.count[("glob's " if self.is_glob else "") + "verdict " + verdict.decode()] += 1
            epoch, _, seq = position.partition(b"-")
            if replied != name or int(epoch) != self.soak.epoch:
                self.wrong(f"{replied!r} at {position!r} in place of {name!r}")
            elif verdict == b"lost":
                self.start.pop(name, None)
                lost.append(name)
            elif verdict not in (b"resumed", b"new"):
                self.wrong(f"verdict {verdict!r} for {name!r}")
            elif name not in self.start:
                self.begin(name, int(seq))
        if lost:
            self.ask(lost)
        else:
            self.join()

    def begin(self, name, seq):
        self.start[name] = seq
        for channel in self.soak.truth.matching(name) if self.is_glob else [name]:
            self.next[channel] = bisect.bisect_right(self.soak.truth.of_channel[channel], seq)

    # What the test does to it

    def reset(self):
        """RESET, and everything again on the same connection. What was on its way is read until the reply."""
        self.send(encode("RESET"))
        self.awaited.append(("reset", None))

    def is_settled(self):
        """Nothing more is to come: as many messages are missing as marks announced."""
        truth = self.soak.truth.of_channel
        return self.state == "live" and self.marked == sum(len(truth[channel]) - at for channel, at in self.next.items())

    def __repr__(self):
        what = self.names[0].decode() if self.is_glob else f"{len(self.names)} channels"
        return f"subscriber {self.number} ({what}, RESP{self.resp}, {self.policy}, {self.state})"


class Soak:
    """count: how many messages were delivered, marked as missing, and wrong. kinds: class of subscribers: their share."""

    def __init__(self, daemon, seed, subscribers, kinds, browsers_port):
        self.daemon = daemon
        self.browsers_address = ("127.0.0.1", browsers_port)
        self.draw = random.Random(seed)
        self.count = collections.Counter()
        self.faults = []
        self.poll = select.epoll()
        self.watched = {}
        self.stalled = {}  # subscriber: until when it reads nothing
        self.admin = daemon.client()
        self.publisher = daemon.client()
        epoch, _, seq = self.admin.call("HISTORY", "POSITION").partition(b"-")
        self.epoch, self.truth = int(epoch), Truth(int(seq))
        drawn = self.draw.choices(list(kinds), list(kinds.values()), k=subscribers)
        self.subscribers = [kind(self, number) for number, kind in enumerate(drawn)]

    def watch(self, subscriber, events):
        handle = subscriber.socket.fileno()
        if handle in self.watched:
            self.poll.modify(handle, events)
        else:
            self.poll.register(handle, events)
        self.watched[handle] = subscriber

    def unwatch(self, subscriber):
        handle = subscriber.socket.fileno()
        del self.watched[handle]
        if self.stalled.pop(subscriber, None) is None:
            self.poll.unregister(handle)

    # One turn each

    def serve(self, timeout):
        for handle, events in self.poll.poll(timeout):
            subscriber = self.watched.get(handle)
            if subscriber is None:
                continue
            if subscriber.state == "connecting" and events & select.EPOLLOUT:
                subscriber.connected()
            elif events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                subscriber.read()

    def publish(self, channels, length=0):
        """length 0: a random one."""
        draw = self.draw
        lengths = [length or (LONG if draw.random() < 0.01 else draw.randrange(300)) for _ in channels]
        self.publisher.send(b"".join(map(self.truth.publish, channels, lengths)))
        for _ in channels:
            receivers = self.publisher.read_value()
            assert isinstance(receivers, int), receivers

    def open_some(self, count):
        for subscriber in self.subscribers:
            if subscriber.socket is None and count > 0:
                subscriber.open()
                count -= 1

    def stall(self, subscriber, until):
        if subscriber not in self.stalled:
            self.poll.unregister(subscriber.socket.fileno())
            self.stalled[subscriber] = until

    def wake(self, now):
        for subscriber in [subscriber for subscriber, until in self.stalled.items() if until <= now]:
            del self.stalled[subscriber]
            self.poll.register(subscriber.socket.fileno(), select.EPOLLIN)

    def disturb(self):
        """One random event."""
        draw = self.draw
        live = [subscriber for subscriber in draw.sample(self.subscribers, 20) if subscriber.state == "live"]
        event = draw.choice(("kill", "kill", "kill by the server", "reset", "stall", "stall", "flood", "evict", "policy"))
        if event == "evict":
            assert self.admin.call("CONFIG", "SET", "history-maxmemory", draw.choice((50_000, 300_000, 100_000_000))) == b"OK"
        elif event == "policy":
            assert self.admin.call("CONFIG", "SET", "edge-outbox-policy", draw.choice(POLICIES)) == b"OK"
        elif not live:
            return
        elif event == "kill":
            for subscriber in live:
                subscriber.close()
        elif event == "reset":
            live[0].reset()
        elif event == "flood":
            channel = draw.choice(live[0].channels())
            for subscriber in self.subscribers:
                if subscriber.state == "live" and channel in subscriber.channels() and draw.random() < 0.5:
                    self.stall(subscriber, time.monotonic() + draw.uniform(0.1, 2))
            for _ in range(0, FLOOD, 20):
                self.publish([channel] * 20, LONG)
        elif event == "stall":
            for subscriber in live[:5]:
                self.stall(subscriber, time.monotonic() + draw.uniform(0.1, 5))
        else:
            host, port = live[0].socket.getsockname()
            self.admin.call("CLIENT", "KILL", "ADDR", f"{host}:{port}")
        self.count[event] += 1

    def run(self, duration, rate=200, disturbances=20):
        begin = time.monotonic()
        sent = disturbed = 0
        while (elapsed := time.monotonic() - begin) < duration:
            due = min(int(elapsed * rate) - sent, 50)
            if due > 0:
                self.publish(self.draw.choices(self.truth.channels, k=due))
                sent += due
            if int(elapsed * disturbances) > disturbed:
                self.disturb()
                disturbed += 1
            self.open_some(20)
            self.wake(time.monotonic())
            self.serve(0.005)

    def finish(self):
        """Everybody reads all that is left. A last message of each channel shows what is missing before it."""
        assert self.admin.call("CONFIG", "SET", "history-maxmemory", 1 << 30) == b"OK"
        for _ in range(2):
            self.settle()
            self.publish(self.truth.channels)
        self.settle()
        for subscriber in self.subscribers:
            if subscriber.marked > 0 and not subscriber.may_be_told_more:
                subscriber.wrong(f"{subscriber.marked} messages were marked as missing that are not")
        self.poll.close()
        for subscriber in self.subscribers:
            subscriber.socket.close()

    def settle(self):
        end = time.monotonic() + seconds(60)
        while not all(subscriber.is_settled() for subscriber in self.subscribers):
            if time.monotonic() > end:
                late = [subscriber for subscriber in self.subscribers if not subscriber.is_settled()]
                raise AssertionError(f"{len(late)} do not get what they wait for: {late[:5]}")
            self.open_some(50)
            self.wake(end)
            self.serve(0.05)
