"""The chaos of waits: rounds of random clients and an admin, each with a quiet second and an end that checks all."""

import collections
import itertools
import random
import re
import time

from lib.resp import parse_client
from lib.wait import SLOW
from lib.waiting_clients import (
    CHANNELS, LISTS, PATTERNS, SHARDS, USERS, ZSETS, Client, KeyUser, Monitor, Publisher, Publishing, Subscriber, shown)
from lib.waiting_model import FOREVER, History, Model, Rules, Subscription, Violation
from lib.waiting_wire import Loop, processor_seconds

WANTED = {Subscriber: 14, Publisher: 7, KeyUser: 5, Monitor: 2}
LONG_MS = 600000
QUIET_SECONDS = 1.0
# What the main loop may do in a quiet second: memory_guard polls 200 times, timers and the observer come on top.
TURNS_A_QUIET_SECOND = 8000
TURNS_A_BUSY_SECOND = 60000
SPAN = 0.25 * SLOW  # within which a closed client is seen to be gone


class Observer(Client):
    """Looks at CLIENT LIST and INFO."""

    def __init__(self, chaos, number):
        super().__init__(chaos, number)
        self.looks = []  # (asked, answered, {ids})
        self.info = {}
        self.turns = None
        self.looked = 0

    def look(self):
        def take(value):
            ids = {int(parse_client(line)["id"]) for line in value.decode().splitlines() if line}
            self.looks.append((asked, self.chaos.loop.now(), ids))
            return True
        asked = self.send([(("CLIENT", "LIST"), take)])

    def ask(self):
        """INFO as a dict of numbers, in self.info."""
        def take(value):
            self.info = {}
            for line in value.decode().splitlines():
                name, _, number = line.partition(":")
                if number.isdigit():
                    self.info[name] = int(number)
            return True
        self.info = None
        self.call("INFO", take=take)

    def watch_turns(self):
        """Whether the main loop turns more often than anything that the clients do can explain."""
        def take(value):
            turns = int(value.partition(b"loop_turns:")[2].split()[0])
            now = self.chaos.loop.now()
            if self.turns and now - self.turns[1] > 0.2:
                rate = (turns - self.turns[0]) / (now - self.turns[1])
                if rate > TURNS_A_BUSY_SECOND:
                    self.fail(f"the main loop spins: {rate:.0f} turns a second; quiet or not, nobody asks for so many")
            self.turns = (turns, now)
            return True
        self.call("INFO", "stats", take=take)

    def step(self, now):
        self.next_step = now + 0.08
        if not self.pending:
            self.look()
            self.looked += 1
            if self.looked % 4 == 0:
                self.watch_turns()


class Admin(Client):
    """Commands that change what others wait for, one at a time."""

    def step(self, now):
        self.next_step = now + self.random.expovariate(1 / 0.06)
        if self.pending:
            return
        self.random.choices(
            [self.pause, self.kill, self.unblock, self.change_rules, self.change_limits, self.change_keys],
            [1, 2, 2, 4, 4, 1])[0]()

    def pause(self):
        kind = self.random.choice(["WRITE", "WRITE", "ALL"])
        self.pause_for(kind, self.random.choice([50, 200, 600]))

    def pause_for(self, kind, ms):
        def take(value):
            self.expect(b"OK")(value)
            self.model.pauses.append([self.chaos.loop.now(), sent + ms / 1000])
            self.chaos.pauses.append((sent, sent + ms / 1000))
            return True
        sent = self.send([(("CLIENT", "PAUSE", ms, kind), take)])
        if self.random.random() < 0.3:
            self.unpause()

    def unpause(self):
        now = self.chaos.loop.now()
        for pause in self.model.pauses:
            pause[1] = min(pause[1], now)

        def take(value):
            for pause in self.model.pauses:
                pause[1] = min(pause[1], now)
            return self.expect(b"OK")(value)
        self.call("CLIENT", "UNPAUSE", take=take)

    def victims(self):
        return [c for c in self.chaos.clients if not c.ended and c.id is not None and c not in self.chaos.own]

    def kill(self):
        if self.random.random() < 0.5 or not self.victims():
            return
        victim = self.random.choice(self.victims())
        victim.may_end.add("CLIENT KILL")
        self.call("CLIENT", "KILL", "ID", victim.id)

    def unblock(self):
        users = [c for c in self.victims() if isinstance(c, KeyUser)]
        if users:
            victim = self.random.choice(users)
            self.chaos.unblocked[victim].append(self.chaos.loop.now())
            self.call("CLIENT", "UNBLOCK", victim.id, self.random.choice(["TIMEOUT", "ERROR"]))

    def change_rules(self):
        names = [name for name in [*CHANNELS, *PATTERNS, *SHARDS] if name != "*" and self.random.random() < 0.7]
        self.set_rules(self.random.choice(USERS), ["*"] if self.random.random() < 0.2 else names)

    def set_rules(self, user, names):
        rules = self.model.rules[user]
        change = rules.set(self.chaos.loop.now(), Rules(names))
        for client in self.chaos.clients:
            if client.user == user and not client.ended:
                client.may_end.add("ACL SETUSER")

        def take(value):
            self.expect(b"OK")(value)
            rules.answered(change, self.chaos.loop.now())
            return True
        self.call("ACL", "SETUSER", user, "resetchannels", *["&" + name for name in names], take=take)

    def change_limits(self):
        name, value = self.random.choice(self.chaos.changes)
        if name != "max-channel-length" or self.chaos.does("names"):
            self.set(name, value)

    def set(self, name, value):
        history = self.model.settings.setdefault(name, History(None))
        change = history.set(self.chaos.loop.now(), value)

        def take(reply):
            self.expect(b"OK")(reply)
            history.answered(change, self.chaos.loop.now())
            return True
        self.call("CONFIG", "SET", name, value, take=take)

    def change_keys(self):
        self.call(*self.random.choice([("SWAPDB", 0, 1), ("SWAPDB", 0, 1), ("FLUSHALL",), ("DEL", *LISTS)]))


# What the admin of a round changes; "memory" and "output" close clients that would be innocent otherwise.
COMMON = [("max-channel-length", value) for value in (4096, 100, 4096, 150)]
COMMON += [("outbox-limit-bytes", value) for value in (100000, 2000000, 33554432)]
COMMON += [("outbox-limit-messages", value) for value in (5, 100, 1000000)]
FLAVOURS = {
    "block": COMMON + [("outbox-block-timeout", value) for value in (400, 900, 1500)] * 2,
    "memory": COMMON + [("maxmemory-pubsub", value) for value in (0, 4 << 20, 12 << 20, 30 << 20)] * 3,
    "output": COMMON + [("client-output-buffer-limit", value) for value in (
        "normal 0 0 0 pubsub 1mb 0 0", "normal 2mb 0 0 pubsub 8mb 0 0", "normal 0 0 0 pubsub 32mb 8mb 60")] * 2,
    "idle": [("timeout", 1), ("max-channel-length", 100), ("max-channel-length", 4096)],
    "large": COMMON + [("outbox-block-timeout", value) for value in (900, 1500, 4000)],
}
AT_FIRST = {"block": ("outbox-block-timeout", 900), "large": ("outbox-block-timeout", 4000), "idle": ("timeout", 1),
            "memory": ("maxmemory-pubsub", 12 << 20)}
AT_REST = {"max-channel-length": 4096, "outbox-limit-bytes": 33554432, "outbox-limit-messages": 1000000,
           "outbox-block-timeout": LONG_MS, "maxmemory-pubsub": 0, "timeout": 0,
           "client-output-buffer-limit": "normal 0 0 0 pubsub 32mb 8mb 60"}


class Chaos:
    def __init__(self, daemon, seed, without=(), flavour=None):
        self.flavours = flavour  # of all rounds
        self.without = frozenset(without)
        self.daemon = daemon
        self.address = daemon.address
        self.seed = seed
        self.random = random.Random(f"{seed}/chaos")
        self.loop = Loop()
        self.model = Model()
        self.model.rules = {user: History(Rules(["*"])) for user in USERS}
        self.model.settings = {name: History(value) for name, value in AT_REST.items()}
        self.events = collections.deque(maxlen=200000)
        self.begun = time.monotonic()
        self.numbers = itertools.count(1)
        self.values = itertools.count(1)
        self.popped = {}
        self.unblocked = collections.defaultdict(list)
        self.pauses = []
        self.clients = []
        self.by_id = {}
        self.abandoned = 0
        self.to_look_at = []
        self.own = []
        self.rounds = collections.Counter()
        self.flavour = None
        self.changes = []

    def does(self, what):
        """Whether this is part of the chaos: while one fault is known, others can be looked for without it."""
        return what not in self.without

    def note(self, text):
        self.events.append((time.monotonic() - self.begun, text))

    def told(self, error, count=100):
        """The last events, and before them those of the clients that the error names."""
        named = list(dict.fromkeys(re.findall(r"(?:client|Subscriber|Publisher|KeyUser|Monitor) (\d+)", error)))[:6]
        events = list(self.events)
        of_them = []
        for number in named:
            of_them += [e for e in events if (e[1].split(":")[0].split() or [""])[-1] == number][-50:]
        lines = [f"  {when:9.4f} {text}" for when, text in [*sorted(of_them), (0, "..."), *events[-count:]]]
        return "\n".join([f"(the times are since {self.begun:.4f})", *lines])

    # Clients

    def add(self, kind):
        client = kind(self, next(self.numbers))
        self.clients.append(client)
        return client

    def staff(self):
        """Whoever left is replaced."""
        counts = collections.Counter(type(c) for c in self.clients if not c.ended)
        for kind, wanted in WANTED.items():
            for _ in range(wanted - counts[kind]):
                self.add(kind)

    def may_unblock(self, client, begun):
        """The admin's command may have been sent before the client's, and come after it."""
        return any(when >= begun - 3 * SLOW for when in self.unblocked[client])

    def paused_within(self, start, end):
        return sum(max(0, min(until, end) - max(since, start)) for since, until in self.pauses)

    # Turns

    def run(self, until, steps=True):
        while (now := self.loop.now()) < until:
            if steps:
                self.staff()
                for client in self.clients:
                    if not client.ended and client.next_step <= now:
                        client.step(now)
                self.clients = [c for c in self.clients if not c.ended]
                self.check_ends()
            self.loop.turn(0.004)

    def wait_for(self, condition, what, within, look=None):
        end = self.loop.now() + within * SLOW
        while not (found := condition()):
            if self.loop.now() > end:
                raise Violation(f"not within {within * SLOW} s: {what() if callable(what) else what}")
            if look:
                look()
            self.loop.turn(0.01)
        return found

    def settled(self, client, within=10):
        self.wait_for(lambda: client.ended or not client.pending, lambda: f"replies to {client}: " + "; ".join(
            shown(p.words) for p in client.pending), within)

    # Ends

    def was_closed(self, client, now):
        if client in self.own:
            raise Violation(f"{client}, which has done nothing, was closed")
        self.to_look_at.append(client)

    def check_ends(self, all_of_them=False):
        """Whether each client that the daemon closed gave it a reason."""
        left = []
        for client in self.to_look_at:
            if self.observer.looks and self.observer.looks[-1][0] > client.end_time or all_of_them:
                self.check_end(client)
            else:
                left.append(client)
        self.to_look_at = left

    def check_end(self, client):
        present = [asked for asked, _, ids in self.observer.looks if client.id in ids]
        absent = [answered for asked, answered, ids in self.observer.looks
                  if client.id not in ids and asked > client.born + 0.01 and answered > (present or [0])[-1]]
        alive_at = max([client.proof, *present])
        gone_by = min([client.end_time, *absent])
        reasons = set(client.may_end)
        reasons |= self.reasons_of_settings(client, alive_at, gone_by)
        if isinstance(client, Subscriber) and "disconnect" in client.policy.possible(alive_at - 1 * SLOW, gone_by):
            reasons.add("disconnect")
        self.note(f"end of {client}: alive at {alive_at - self.begun:.4f}, gone by {gone_by - self.begun:.4f}, "
                  f"{reasons}")
        if reasons:
            return
        if isinstance(client, Subscriber) and "block" in client.policy.possible(alive_at, gone_by):
            self.check_blocked_end(client, alive_at, gone_by)
        else:
            raise Violation(f"{client} was closed and nothing explains it; policy {client.policy.entries}")

    def reasons_of_settings(self, client, start, end):
        settings = self.model.settings
        start -= 2 * SLOW  # limits that were changed are seen within a second or so
        reasons = set()
        if any(settings["maxmemory-pubsub"].possible(start, end)):
            reasons.add("maxmemory-pubsub")
        if any("normal 0 0 0" not in value for value in settings["client-output-buffer-limit"].possible(start, end)):
            reasons.add("client-output-buffer-limit")
        if isinstance(client, Monitor) and min(settings["outbox-limit-bytes"].possible(start, end)) < 33554432:
            reasons.add("outbox-limit-bytes, which is for a monitor's lines as well")
        idle_too = not isinstance(client, Monitor) and not client.active
        if idle_too and any(settings["timeout"].possible(start, end)):
            reasons.add("timeout")
        return reasons

    def check_blocked_end(self, client, alive_at, gone_by):
        """It was closed for publishers that waited for it: some did all the time."""
        timeout = min(self.model.settings["outbox-block-timeout"].possible(alive_at - SPAN, gone_by)) / 1000
        start, end = gone_by - timeout + SPAN, alive_at
        if self.wait_was_unbroken(client, start, end):
            self.model.checked["closed by outbox-block-timeout"] += 1
            return
        raise Violation(f"{client} was closed by outbox-block-timeout ({timeout} s) between "
                        f"{alive_at - self.begun:.4f} and {gone_by - self.begun:.4f}, though there was a moment since "
                        f"{start - self.begun:.4f} at which nobody waited for it")

    def wait_was_unbroken(self, client, start, end):
        heard = [s for s in self.model.subscriptions if s.client is client]
        spans = []
        for (shard, channel), messages in self.model.by_channel.items():
            if not any(s.hears(channel, shard) for s in heard):
                continue
            for m in messages:
                until = m.left + SPAN if m.left else m.done
                if until >= start and m.sent <= end:
                    spans.append((m.sent, until))
        at = start
        for since, until in sorted(spans):
            if since > at + 0.05:
                break
            at = max(at, until)
        return at >= end

    # A round

    def open(self):
        self.admin = self.add(Admin)
        self.observer = self.add(Observer)
        self.own = [self.admin, self.observer]
        for user in USERS:
            self.admin.call("ACL", "SETUSER", user, "on", "nopass", "+@all", "~*", "resetchannels", "&*",
                            take=self.admin.expect(b"OK"))
        self.settled(self.admin)
        self.first_info = self.ask_info()
        self.idle_memory = self.first_info["used_memory"]

    def ask_info(self):
        self.observer.ask()
        self.settled(self.observer)
        return self.observer.info

    def round(self, seconds):
        # Three seeds in a row with two rounds each have all of them.
        order = ["block", "large", "memory", "idle", "output", "large"]
        flavour = order[(2 * self.seed + sum(self.rounds.values())) % len(order)]
        flavour = self.flavours or (flavour if self.does(flavour) else "block")
        self.flavour = flavour
        self.rounds[flavour] += 1
        self.changes = FLAVOURS[flavour]
        self.note(f"---- a round of the flavour {flavour}")
        if flavour in AT_FIRST:
            self.admin.set(*AT_FIRST[flavour])
        self.run(self.loop.now() + seconds)
        self.admin_lifts_limits(keep_pauses=self.random.random() < 0.4)
        self.be_quiet()
        self.settle_all()
        self.check_round()

    def admin_lifts_limits(self, keep_pauses):
        """Nothing is to end by time from now on: what waits goes on when its reason ends, and only then."""
        self.settled(self.admin, 5)
        self.admin.set("maxmemory-pubsub", 0)
        self.admin.set("outbox-block-timeout", LONG_MS)
        self.settled(self.admin, 5)
        if keep_pauses:
            self.admin.pause_for("WRITE", 4000 * SLOW)

    def be_quiet(self):
        """Some publishers leave, then nobody does anything: the daemon is idle, though much is waiting."""
        leaving = [c for c in self.clients if isinstance(c, Publisher) and not c.ended and c.pending
                   and self.does("leave") and self.random.random() < 0.4]
        for client in leaving:
            client.leave(self.random.random() < 0.3)
        self.rest(0.7 * SLOW if self.flavour != "idle" else 2)
        before, used, since = self.ask_info(), processor_seconds(self.daemon.pid), self.loop.now()
        self.rest(QUIET_SECONDS)
        after, passed = self.ask_info(), self.loop.now() - since
        used = processor_seconds(self.daemon.pid) - used
        turns = (after["loop_turns"] - before["loop_turns"]) / passed
        self.note(f"quiet: {turns:.0f} turns/s, {used / passed:.0%} of a processor, blocked {after['blocked_clients']}")
        if turns > TURNS_A_QUIET_SECOND or used / passed > 0.5 * SLOW:
            raise Violation(f"the main loop spins: {turns:.0f} turns and {used / passed:.2f} s of processor time in "
                            f"each second in which nothing happens; {after['blocked_clients']} clients wait")
        self.check_gone(leaving)

    def rest(self, count):
        """Only the admin and the observer say something, that `timeout` leaves them alone; no monitor hears of it."""
        end = self.loop.now() + count
        while self.loop.now() < end:
            self.run(min(end, self.loop.now() + 0.3), steps=False)
            self.admin.call("CONFIG", "GET", "timeout")
            self.observer.call("CONFIG", "GET", "timeout")

    def check_gone(self, leaving):
        """A client that left while it waited is not kept until its wait is over."""
        ids = self.look()
        for client in leaving:
            if client.id in ids and self.does("gone"):
                raise Violation(f"{client} left while it waited, {self.loop.now() - client.end_time:.2f} s ago, and "
                                "CLIENT LIST still shows it")
            client.possible_end = self.observer.looks[-1][1]

    def settle_all(self):
        self.admin.unpause()
        for name, value in AT_REST.items():
            self.admin.set(name, value)
        for user in USERS:
            self.admin.set_rules(user, ["*"])
        self.settled(self.admin)
        for client in self.clients:
            if isinstance(client, Monitor) and not client.ended:
                client.reads_badly = False
                client.wire.set_reading(True)
        if self.random.random() < 0.4 and self.does("all leave"):
            self.let_all_waiting_leave()
        self.wait_for_reasons("nobody does anything")
        self.give_up_one_by_one()
        waiting = [c for c in self.clients if isinstance(c, (Publisher, Subscriber)) and not c.ended]
        for client in waiting:
            if not client.ended and isinstance(client, Subscriber):
                client.set_mode("fast")
        for client in waiting:
            if not client.ended:
                self.settled(client)
        self.serve_keys()
        self.barrier()
        self.mark_channels()
        self.barrier()

    # Reasons: what still waits while nothing happens has somebody to wait for

    def is_waited_for(self, subscriber, message):
        """Whether it may be this one, that does not read, whom the message waits for."""
        if subscriber.ended or subscriber.gave_up or subscriber.mode == "fast" and subscriber.has_caught_up:
            return False
        if "block" not in subscriber.policy.possible(self.loop.now() - 3 * SLOW, FOREVER):
            return False
        names = [*subscriber.active, *(name for pending in subscriber.pending for name in pending.names)]
        return any(Subscription(subscriber, kind, name, 0, 0).hears(message.channel, message.shard)
                   for kind, name in names)

    def without_reason(self):
        """The first command of each publisher that waits for nobody."""
        subscribers = [c for c in self.clients if isinstance(c, Subscriber)]
        found = []
        for client in self.clients:
            if client.ended or not client.pending or not isinstance(client, Publishing) or not client.wire.reads:
                continue
            sent = client.pending[0].sent
            messages = [m for m in client.unsettled.values() if m.sent <= sent]
            if client.pending[0].words[0] in ("PUBLISH", "SPUBLISH"):
                messages = messages[:1]
            if not any(self.is_waited_for(s, m) for s in subscribers for m in messages):
                found.append((client, messages))
        return found

    def let_all_waiting_leave(self):
        """Nobody waits for a subscriber any more: none is closed for it, however soon its time would have been over."""
        for client in self.clients:
            if isinstance(client, Publishing) and client.unsettled and not client.ended:
                client.leave(self.random.random() < 0.3)
        self.run(self.loop.now() + 0.3 * SLOW, steps=False)
        before = self.look()
        self.admin.set("outbox-block-timeout", 200)
        self.settled(self.admin)
        self.run(self.loop.now() + 0.6 * SLOW, steps=False)
        after = self.look()
        self.admin.set("outbox-block-timeout", LONG_MS)
        self.settled(self.admin)
        for client in self.clients:
            if isinstance(client, Subscriber) and not client.left and client.id in before - after:
                raise Violation(f"{client} was closed, though all publishers that waited had left {0.3 * SLOW} s "
                                f"before outbox-block-timeout became 0.2 s; policy {client.policy.entries[-2:]}")

    def look(self):
        """The ids of the clients that the daemon has."""
        self.settled(self.observer)
        self.observer.look()
        self.settled(self.observer)
        return self.observer.looks[-1][2]

    def wait_for_reasons(self, event):
        self.wait_for(lambda: not self.without_reason(),
                      lambda: f"the replies to these, whom nobody keeps waiting, after this: {event}\n" + "\n".join(
                          f"  {c}: {shown(c.pending[0].words)} (since {c.pending[0].sent - self.begun:.4f}) {m[:1]}"
                          for c, m in self.without_reason()), 8)
        # One that reads again has to take first what the kernel kept for it.
        self.wait_for(lambda: all(c.ended or c.pending and c.pending[0].words[0] != "PING" or c.mode != "fast"
                                  or c.has_caught_up for c in self.clients if isinstance(c, Subscriber)),
                      lambda: f"the replies to PING, after this: {event}", 20)

    def give_up_one_by_one(self):
        """Each that does not read ends the wait for it in one of the ways that there are, and nothing else happens."""
        stuck = [c for c in self.clients if isinstance(c, Subscriber) and not c.ended and c.mode != "fast"]
        self.random.shuffle(stuck)
        for client in stuck:
            if not client.ended:
                how = client.give_up()
                self.wait_for_reasons(f"{client} {how}")

    def serve_keys(self):
        """Whoever waits for a key gets something: as many values as there are clients, again and again."""
        users = [c for c in self.clients if isinstance(c, KeyUser) and not c.ended]
        end = self.loop.now() + 10 * SLOW
        while any(c.pending and not c.ended for c in users):
            if self.loop.now() > end:
                raise Violation("these still wait for a key that values were pushed to: " + "; ".join(
                    f"{c}: {shown(c.pending[0].words)}" for c in users if c.pending))
            for database in (0, 1):
                self.admin.call("SELECT", database)
                for name in LISTS:
                    self.admin.call("RPUSH", name, *[f"v{next(self.values)}" for _ in users])
                for name in ZSETS:
                    self.admin.call("ZADD", name, *[w for _ in users for w in (1, f"v{next(self.values)}")])
            self.admin.call("SELECT", 0)
            self.settled(self.admin)
            self.run(self.loop.now() + 0.05, steps=False)
        self.admin.call("FLUSHALL")
        self.settled(self.admin)

    def barrier(self):
        """Each client has answered something that was sent now: it has read all that came before."""
        now = self.loop.now()
        for client in self.clients:
            if not client.ended and not (isinstance(client, Monitor) and client.is_on):
                client.ping()
        for client in self.clients:
            if not client.ended and not (isinstance(client, Monitor) and client.is_on):
                self.settled(client)
        return now

    def mark_channels(self):
        """A last message to each channel: whoever missed some before is told so in front of it."""
        marker = self.add(Publisher)
        self.settled(marker)
        for client in [marker]:
            if client.user != "default":
                client.call("AUTH", "default", "x")
                client.user = "default"
        for channel in CHANNELS:
            words, message = marker.publish_words(30, (channel, False))
            marker.send([(words, marker.take_count(message))])
        for shard in SHARDS:
            words, message = marker.publish_words(30, (shard, True))
            marker.send([(words, marker.take_count(message))])
        self.settled(marker)

    def check_round(self):
        self.look()
        asked = self.observer.looks[-1][0]
        self.check_ends(all_of_them=True)
        for client in {s.client for s in self.model.subscriptions if s.client.ended}:
            if client.possible_end == FOREVER:
                seen = [t for a, t, present in self.observer.looks if a > client.end_time and client.id not in present]
                client.possible_end = seen[0] if seen else FOREVER
        self.model.check(asked)
        self.check_figures(self.ask_info(), subscriptions=None)
        self.model.begin_round(self.clients, self.loop.now())
        self.observer.looks = self.observer.looks[-1:]
        self.pauses.clear()
        self.unblocked.clear()

    def check_figures(self, info, subscriptions):
        """INFO while no client waits and no output is queued."""
        wrong = {}
        for name in ("blocked_clients", "queued_messages"):
            if info[name] != 0:
                wrong[name] = info[name]
        if info["queued_bytes"] > 100000:
            wrong["queued_bytes"] = info["queued_bytes"]
        if subscriptions is not None:
            for name in ("blocking_subscribers", "pubsub_clients", "subscriptions"):
                if info[name] != subscriptions:
                    wrong[name] = info[name]
        if info["owed_memory_bytes"] > self.first_info["owed_memory_bytes"] + (2 << 20):
            wrong["owed_memory_bytes"] = info["owed_memory_bytes"]
        if wrong:
            raise Violation(f"no client waits and no output is queued, but INFO shows {wrong}")

    def close(self):
        """All leave: what they had goes back."""
        for client in self.clients:
            if client not in self.own and not client.ended:
                client.leave()
        self.clients = list(self.own)
        self.admin.call("FLUSHALL")
        self.settled(self.admin)
        info = {}

        def is_idle():
            nonlocal info
            info = self.ask_info()
            return info["connected_clients"] == len(self.own) and info["lazyfree_pending_objects"] == 0
        self.wait_for(is_idle, lambda: f"the clients are gone: {info['connected_clients']} are left", 10)
        self.check_figures(info, subscriptions=0)
        grown = info["used_memory"] - self.idle_memory
        if grown > 8 << 20:
            raise Violation(f"used_memory grew by {grown} bytes, and everybody has left")
        self.note(f"used_memory grew by {grown} bytes")

    def release(self):
        """Everything closed, after a fault too."""
        for client in {*self.clients, *self.own}:
            client.wire.close(reset=True)
        self.loop.close()
