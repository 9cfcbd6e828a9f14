"""Publishers and subscribers at nodes of a cluster, and faults of the cluster in an order that a seed gives."""

import collections
import os
import re
import signal
import threading
import time

from lib.redis_cluster import slot_of
from lib.resp import Closed, Error
from lib.wait import seconds, wait_until

# After these errors nobody gets the message; after any other it may have been published or not.
REFUSALS = re.compile(rb"CLUSTERDOWN The link to the upstream is down|CLUSTERDOWN No shard|CLUSTERDOWN The cluster redirects|"
                      rb"CLUSTERDOWN The slot of the channel|CLUSTERDOWN Hash slot|CLUSTERDOWN The cluster is down|OOM ")


class Publisher(threading.Thread):
    """Numbers its messages in each channel, and sends many before it reads the replies."""

    def __init__(self, node, name, channels, rand, pause=0.002):
        super().__init__(daemon=True)
        self.node, self.name, self.channels, self.rand, self.pause = node, name, channels, rand, pause
        self.sent = collections.Counter()
        self.times = collections.defaultdict(list)
        self.refused = collections.defaultdict(set)  # nobody gets these
        self.unknown = collections.defaultdict(set)  # these may have been published
        self.errors = collections.Counter()
        self.is_over = threading.Event()
        self.failure = None

    def run(self):
        try:
            with self.node.connect(timeout=60) as client:
                while not self.is_over.is_set():
                    self.publish(client)
                    time.sleep(self.pause)
        except Exception as failure:
            self.failure = failure

    def publish(self, client):
        batch = [self.rand.choice(self.channels) for _ in range(self.rand.randrange(1, 40))]
        kind = self.rand.choice(("PUBLISH", "PUBLISH", "SPUBLISH"))
        asked = []
        for channel in batch:
            client.command(kind, channel, f"{self.name}:{self.sent[channel]}")
            asked.append((channel, self.sent[channel]))
            self.times[channel].append(time.monotonic())
            self.sent[channel] += 1
        for channel, number in asked:
            reply = client.read_value()
            if isinstance(reply, Error):
                self.errors[reply.text] += 1
                (self.refused if REFUSALS.match(reply.text) else self.unknown)[channel].add(number)

    def stop(self):
        self.is_over.set()
        self.join(seconds(60))
        assert not self.is_alive() and self.failure is None, self.failure


class Subscriber(threading.Thread):
    """events[channel]: (publisher, number, time), or None for a notice that messages may be missing. With PSUBSCRIBE there is a
    pattern for each channel."""

    def __init__(self, node, channels, kind):
        super().__init__(daemon=True)
        self.client = node.client(3)
        self.client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        self.client.subscribe(*(f"[{name[0]}]{name[1:]}" if kind == "PSUBSCRIBE" else name for name in channels), kind=kind)
        self.client.socket.settimeout(seconds(120))
        self.events = {channel: [] for channel in channels}
        self.ended = set()
        self.failure = None
        self.start()

    def run(self):
        try:
            while len(self.ended) < len(self.events):
                frame = self.client.read_value()
                if frame[0] == b"lagged":
                    for events in self.events.values():
                        events.append(None)
                    continue
                assert frame[0] in (b"message", b"smessage", b"pmessage"), frame
                channel, payload = frame[-2].decode(), frame[-1]
                if payload == b"end":
                    self.ended.add(channel)
                else:
                    name, number = payload.decode().split(":")
                    self.events[channel].append((name, int(number), time.monotonic()))
        except (Closed, OSError, AssertionError) as failure:
            self.failure = failure

    def check(self, publishers):
        """Each message once and in order, or refused, or behind a notice. Returns how many are behind one."""
        return sum(check_channel(channel, events, publisher) for channel, events in self.events.items() for publisher in publishers)


def near(events, publisher, number):
    """For the text of a failure: numbers and times of messages near this one, and all notices."""
    return [event and event[1:] for event in events if event is None or (event[0] == publisher.name and abs(event[1] - number) < 8)]


def check_channel(channel, events, publisher):
    missing, expected, has_mark = 0, 0, False

    def pass_over(upto):
        lost = set(range(expected, upto)) - publisher.refused[channel] - publisher.unknown[channel]
        assert not lost or has_mark, (
            "missing", channel, publisher.name, sorted(lost)[:10], "sent at", publisher.times[channel][min(lost)], near(events, publisher, min(lost)))
        return len(lost)

    for event in events:
        if event is None:
            has_mark = True
        elif event[0] == publisher.name:
            number = event[1]
            assert number >= expected, ("twice or late", channel, publisher.name, number, expected, near(events, publisher, number))
            assert number not in publisher.refused[channel], ("refused, but published", channel, publisher.name, number)
            missing += pass_over(number)
            expected, has_mark = number + 1, False
    return missing + pass_over(publisher.sent[channel])


def check_same_order(channel, one, two):
    """What both subscribers got, they got in the same order."""
    a, b = ([event[:2] for event in reader.events[channel] if event] for reader in (one, two))
    common = set(a) & set(b)
    a, b = ([event for event in events if event in common] for events in (a, b))
    if a != b:
        at = next(i for i in range(len(a)) if a[i] != b[i])
        raise AssertionError(("other order", channel, a[at:at + 5], b[at:at + 5]))


class Faults:
    """One of these methods is a fault; each leaves a cluster that can serve all slots again."""

    def __init__(self, cluster, rand):
        self.cluster, self.rand = cluster, rand
        self.log = []

    def alive(self):
        return [node for node in self.cluster.nodes if node.is_running()]

    def role_of(self, node):
        return self.cluster.call(node, "ROLE")[0]

    def masters(self):
        """Those that serve slots, as one of the nodes says."""
        items = self.cluster.call(self.rand.choice(self.alive()), "CLUSTER", "SLOTS")
        ports = {item[2][1] for item in items}
        return [node for node in self.alive() if node.port in ports]

    def move(self, slots):
        """Slots that are in use, each to another master, in one or several steps."""
        slot = self.rand.choice(slots)
        target = self.rand.choice(self.masters())
        source = self.cluster.owner(slot, target)
        if source is None or source is target or not source.is_running():
            return
        self.log.append((time.monotonic(), "move", slot, target.port))
        steps = [(target, "IMPORTING", source), (source, "MIGRATING", target)]
        last = [(target, "NODE", target), (source, "NODE", target)]
        self.rand.shuffle(last) if self.rand.random() < 0.2 else None
        for node, what, other in steps + last:
            self.cluster.call(node, "CLUSTER", "SETSLOT", slot, what, self.cluster.id(other))
            time.sleep(self.rand.choice((0, 0, 0.02)))

    def kill_links(self):
        node = self.rand.choice(self.masters())
        self.log.append((time.monotonic(), "kill links", node.port))
        with self.cluster.connect(node) as admin:
            for client in admin.client_list():
                if client["name"] == "fanfare-link":
                    admin.call("CLIENT", "KILL", "ID", client["id"])

    def sleep(self, longest=0.8):
        node = self.rand.choice(self.masters())
        self.log.append((time.monotonic(), "sleep", node.port))
        with node.connect() as client:
            client.command("DEBUG", "SLEEP", f"{self.rand.uniform(0.05, longest):.2f}")
            client.read_value()

    def stop(self, longest=2.5):
        """Longer than the cluster waits for a node: a replica may take over."""
        node = self.rand.choice(self.alive())
        self.log.append((time.monotonic(), "stop", node.port))
        os.kill(node.pid, signal.SIGSTOP)
        try:
            time.sleep(self.rand.uniform(0.2, longest))
        finally:
            os.kill(node.pid, signal.SIGCONT)

    def fail_over(self):
        """By a command to a replica."""
        replicas = [node for node in self.alive() if self.role_of(node) == b"slave"]
        if replicas:
            node = self.rand.choice(replicas)
            how = self.rand.choice(((), ("FORCE",), ("TAKEOVER",)))
            self.log.append((time.monotonic(), "fail over", node.port, *how))
            self.cluster.call(node, "CLUSTER", "FAILOVER", *how)
            time.sleep(0.3)

    def crash(self):
        """A master ends, a replica takes over, and the server comes back, as a replica."""
        node = self.rand.choice(self.masters())
        others = [other for other in self.alive() if other is not node]
        self.log.append((time.monotonic(), "crash", node.port))
        node.kill()
        time.sleep(self.rand.uniform(0, 3))
        node.start(node.port)
        wait_until(lambda: all(self.is_ok(other) for other in others), "the cluster is whole", 30)

    def is_ok(self, node):
        try:
            return b"cluster_state:ok" in self.cluster.call(node, "CLUSTER", "INFO")
        except OSError:
            return False

    def settle(self):
        wait_until(lambda: all(self.is_ok(node) for node in self.cluster.nodes), "the cluster is whole", 60)
        for slot in range(0, 16384, 997):
            wait_until(lambda: len({self.cluster.owner(slot, node) for node in self.cluster.nodes}) == 1, "the nodes agree", 30)

