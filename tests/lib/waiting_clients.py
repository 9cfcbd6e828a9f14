"""The clients of the chaos test of waiting: subscribers, publishers, users of keys, monitors.

Each has a source of random numbers of its own, so that what it does depends on the seed and on its own past only.
"""

import collections
import itertools
import random

from lib.resp import Error, Push, encode
from lib.wait import SLOW
from lib.waiting_model import FOREVER, History, Subscription, Violation
from lib.waiting_wire import Wire

CHANNELS = ["c0", "c1", "c2", "d0", "long" + "n" * 200]
SHARDS = ["s0", "s1"]
PATTERNS = ["c*", "*", "c?", "d*", "long*"]
LISTS = ["l0", "l1", "l2"]
ZSETS = ["z0", "z1"]
MESSAGES = {b"message": "message", b"pmessage": "pmessage", b"smessage": "smessage"}
VERBS = {"message": "SUBSCRIBE", "pmessage": "PSUBSCRIBE", "smessage": "SSUBSCRIBE"}
POLICIES = ["disconnect", "drop-oldest", "drop-newest", "block"]
CONFIRMATIONS = {b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe"}
ENDING = {"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "RESET", "QUIT", "EXEC"}  # subscriptions
USERS = ["u1", "u2"]
UNREAD = 30000  # bytes behind a command that waits, of which the socket buffers surely have room for the end


class Pending:
    """A command without its reply. take(value) is true once that was all of it."""

    __slots__ = ("words", "sent", "take", "names")

    def __init__(self, words, sent, take):
        self.words = words
        self.sent = sent
        self.take = take
        self.names = ()  # (kind, name) of what it may subscribe to


def shown(words):
    return " ".join(str(word)[:24] if not isinstance(word, bytes) else repr(word[:24]) for word in words)


class Client:
    receive_buffer = None

    def __init__(self, chaos, number):
        self.chaos = chaos
        self.model = chaos.model
        self.number = number
        self.random = random.Random(f"{chaos.seed}/{number}")
        self.id = None
        self.user = "default"
        self.proto = 2  # at this place of the stream
        self.place = 0
        self.pending = collections.deque()
        self.ended = False
        self.left = False  # it went by itself
        self.may_end = set()  # reasons for the daemon to close it
        self.proof = 0.0  # the daemon had it at that time
        self.certain_end = self.possible_end = FOREVER
        self.active = {}  # (kind, name): Subscription
        self.policy = History("disconnect")
        self.notify_always = False
        self.may_notice = False
        self.lagged = 0
        self.notice_places = []
        self.next_step = 0.0
        self.wire = Wire(chaos.loop, chaos.address, self, self.receive_buffer)
        self.born = chaos.loop.now()
        self.call("CLIENT", "ID", take=self._take_id)

    def __repr__(self):
        return f"{type(self).__name__} {self.number} (id {self.id}, {self.user}, RESP{self.proto})"

    def note(self, text):
        self.chaos.note(f"{type(self).__name__} {self.number}: {text}")

    # Sending

    def call(self, *words, take=None):
        self.send([(words, take or self._take_any)])

    def send(self, commands):
        """[(words, take)], in one go. Returns the time."""
        now = self.chaos.loop.now()
        data = []
        for words, take in commands:
            self.note(shown(words))
            data.append(encode(*words))
            self.pending.append(Pending(words, now, take))
        self.wire.send(b"".join(data))
        return now

    def _take_any(self, value):
        return True

    def _take_id(self, value):
        self.id = value
        self.chaos.by_id[value] = self
        return True

    def expect(self, wanted):
        def take(value):
            if value != wanted:
                self.fail(f"answered {value!r} where {wanted!r} was due")
            return True
        return take

    def fail(self, text):
        pending = self.pending[0].words if self.pending else ()
        raise Violation(f"{self}: {text}; the first command without a reply: {shown(pending)}")

    # Receiving

    def on_value(self, value):
        self.place += 1
        if isinstance(value, list) and value and isinstance(value[0], bytes):
            first = value[0]
            if first in MESSAGES or first == b"lagged":
                if isinstance(value, Push) != (self.proto == 3):
                    self.fail(f"RESP{self.proto} at this place of the stream, and {first.decode()} came as "
                              f"{type(value).__name__}")
                return self._on_lagged(value) if first == b"lagged" else self._on_message(value)
            if first in CONFIRMATIONS and isinstance(value, Push) != (self.proto == 3):
                self.fail(f"a confirmation in the wrong form: {value!r}")
        elif isinstance(value, Push):
            self.fail(f"an unknown push: {value!r}")
        if not self.pending:
            self.fail(f"a reply that nobody asked for: {str(value)[:300]}")
        pending = self.pending[0]
        self.proof = max(self.proof, pending.sent)
        if pending.take(value):
            self.pending.popleft()

    def _on_message(self, value):
        kind = MESSAGES[value[0]]
        if len(value) != (4 if kind == "pmessage" else 3):
            self.fail(f"a message of {len(value)} elements")
        name = value[1].decode()
        subscription = self.active.get((kind, name))
        if subscription is None:
            self.fail(f"{kind} of {name[:12]} came where it is not subscribed: {value[-1][:40]!r}")
        self.model.receive(self, subscription, value[-2].decode(), value[-1], self.place)
        self.proof = max(self.proof, self.model.messages[int(value[-1].split(b":", 1)[0])].sent)

    def _on_lagged(self, value):
        if len(value) != 2 or not isinstance(value[1], int) or value[1] < 1:
            self.fail(f"a wrong notice: {value!r}")
        if not self.may_notice:
            self.fail(f"a notice without NOTIFY: {value!r}")
        self.lagged += value[1]
        self.notice_places.append(self.place)

    def on_end(self):
        self.note("closed by the daemon")
        now = self.chaos.loop.now()
        self._finish(now, now)
        self.chaos.was_closed(self, now)

    def leave(self, reset=False):
        # The end of a connection is behind what is not read: with more than the socket buffers hold it does not arrive.
        behind = sum(len(word) for pending in itertools.islice(self.pending, 1, None) for word in pending.words
                     if isinstance(word, (str, bytes)))
        reset = reset or behind > UNREAD
        self.note("leaves" + (" with a reset" if reset else ""))
        now = self.chaos.loop.now()
        self.left = True
        self.wire.close(reset)
        self._finish(now, FOREVER)

    def _finish(self, now, possible):
        """The daemon may have closed it some time before that was seen."""
        self.ended = True
        self.end_time = now
        for pending in self.pending:
            for kind, name in pending.names:
                self.model.may_have_subscribed(self, kind, name, pending.sent)
        self.certain_end = min([self.proof, *(pending.sent for pending in self.pending if pending.words[0] in ENDING)])
        self.possible_end = possible
        self.gone()

    def gone(self):
        """For each kind to say what becomes of its unanswered commands."""

    # Subscriptions

    def subscribe(self, kind, *names):
        left = collections.deque(names)
        verb = VERBS[kind]

        def take(value):
            name = left[0]
            if isinstance(value, Error):
                if not value.text.startswith((b"NOPERM", b"ERR channel name too long")):
                    self.fail(f"{verb} was refused: {value!r}")
                self._check_refusal(kind, names, value, pending_sent)
                return True
            self._confirm(value, verb, name)
            if (kind, name) not in self.active:
                self._add(kind, name, pending_sent)
            self._check_count(kind, value)
            left.popleft()
            return not left
        pending_sent = self.send([((verb, *names), take)])
        self.pending[-1].names = [(kind, name) for name in names]

    def _add(self, kind, name, sent):
        subscription = Subscription(self, kind, name, sent, self.chaos.loop.now())
        subscription.floor_place = self.place
        self.active[kind, name] = subscription
        self.model.subscriptions.append(subscription)

    def _check_refusal(self, kind, names, error, sent):
        now = self.chaos.loop.now()
        rules = self.model.rules.get(self.user)
        if error.text.startswith(b"NOPERM"):
            if rules is None or all(all(rule.may_hear(kind, name) for name in names)
                                    for rule in rules.possible(sent, now)):
                self.fail(f"refused though allowed all the time: {error!r}")
        elif min(self.model.settings["max-channel-length"].possible(sent, now)) >= max(map(len, names)):
            self.fail(f"refused though short enough: {error!r}")

    def _confirm(self, value, verb, name):
        wanted = [verb.lower().encode(), None if name is None else name.encode()]
        if not isinstance(value, list) or len(value) != 3 or value[:2] != wanted:
            self.fail(f"{str(value)[:200]} where the confirmation {wanted} was due")

    def _check_count(self, kind, value):
        count = sum((k == "smessage") == (kind == "smessage") for k, _ in self.active)
        if value[2] != count:
            self.fail(f"{value!r}: the count must be {count}")

    def unsubscribe(self, kind, *names):
        verb = {"message": "UNSUBSCRIBE", "pmessage": "PUNSUBSCRIBE", "smessage": "SUNSUBSCRIBE"}[kind]
        state = {"left": len(names)}

        def take(value):
            if not names and state["left"] == 0:
                mine = [name for k, name in self.active if k == kind]
                state["left"] = max(1, len(mine))
                if not mine:
                    self._confirm(value, verb, None)
            if names:
                name = names[len(names) - state["left"]]
                self._confirm(value, verb, name)
            else:
                name = value[1].decode() if isinstance(value, list) and value[1] else None
                if name is not None:
                    self._confirm(value, verb, name)
            self._end(kind, name, sent)
            self._check_count(kind, value)
            state["left"] -= 1
            return state["left"] == 0
        sent = self.send([((verb, *names), take)])

    def _end(self, kind, name, sent):
        subscription = self.active.pop((kind, name), None)
        if subscription is not None:
            subscription.unsent = sent
            subscription.ended = self.chaos.loop.now()

    def end_all(self, sent):
        for kind, name in list(self.active):
            self._end(kind, name, sent)

    def subscribed_mode(self):
        return self.proto == 2 and bool(self.active)

    def ping(self, on_reply=None):
        def take(value):
            wanted = [b"pong", b""] if self.subscribed_mode() else b"PONG"
            if value != wanted or isinstance(value, Push):
                self.fail(f"PING was answered {value!r}")
            if on_reply:
                on_reply()
            return True
        self.call("PING", take=take)

    # What it does

    def step(self, now):
        raise NotImplementedError


class Publishing:
    """PUBLISH in all forms, for whoever mixes it in."""

    writes = True  # keys, too

    def size(self):
        roll = self.random.random()
        if self.chaos.flavour == "large" and roll < 0.12:
            return self.random.choice([2 << 20, 4 << 20, 7 << 20])
        if roll < 0.62:
            return self.random.randrange(24, 200)
        if roll < 0.9:
            return self.random.randrange(2000, 60000)
        if roll < 0.95:
            return self.random.randrange(100000, 1000000)
        large = self.random.choice([2 << 20, (2 << 20) + 5, 3 << 20, 5 << 20])
        return large if self.chaos.does("large") else 1 << 20

    def target(self):
        if self.random.random() < 0.12:
            return self.random.choice(SHARDS), True
        return self.random.choices(CHANNELS, [5, 3, 2, 2, 2])[0], False

    def publish_words(self, size=None, target=None):
        channel, shard = target or self.target()
        message = self.model.new_message(self, channel, shard, size or self.size(), self.chaos.loop.now())
        self.unsettled[message.id] = message
        return ("SPUBLISH" if shard else "PUBLISH", channel, message.payload()), message

    def settle(self, message, value):
        self.unsettled.pop(message.id, None)
        self.model.settle(message, value, self.chaos.loop.now())

    def take_count(self, message):
        def take(value):
            self._expect_refusal(value)
            self.settle(message, value)
            return True
        return take

    def _expect_refusal(self, value):
        if isinstance(value, Error) and not value.text.startswith(
                (b"NOPERM", b"ERR channel name too long", b"OOM", b"EXECABORT")):
            self.fail(f"PUBLISH was answered {value!r}")

    def publish(self, count=1):
        commands = []
        for _ in range(count):
            words, message = self.publish_words()
            commands.append((words, self.take_count(message)))
        self.send(commands)

    def publish_in_transaction(self, also=()):
        """MULTI, some PUBLISH, EXEC; `also` are (words, take) put first."""
        made = [self.publish_words(self.random.randrange(24, 50000)) for _ in range(self.random.randrange(1, 5))]
        state = {"queued": True}

        def queued(value):
            if isinstance(value, Error):
                self._expect_refusal(value)
                state["queued"] = False
            elif value != b"QUEUED":
                self.fail(f"{value!r} in place of QUEUED")
            return True

        def executed(value):
            messages = [message for _, message in made]
            if isinstance(value, Error):
                if not value.text.startswith(b"EXECABORT"):
                    self.fail(f"EXEC was answered {value!r}")
                for message in messages:
                    self.unsettled.pop(message.id, None)
                    message.done, message.outcome = self.chaos.loop.now(), "refused"
                return True
            if not state["queued"] or not isinstance(value, list) or len(value) != len(also) + len(made):
                self.fail(f"EXEC was answered {str(value)[:300]}")
            for element, (_, take) in zip(value, also):
                take(element)
            for element, message in zip(value[len(also):], messages):
                self._expect_refusal(element)
                self.settle(message, element)
            return True

        words = [words for words, _ in also] + [words for words, _ in made]
        self.send([(("MULTI",), self.expect(b"OK")), *[(w, queued) for w in words], (("EXEC",), executed)])

    def gone(self):
        for message in self.unsettled.values():
            message.outcome = "unknown"
            message.left = self.chaos.loop.now()
        self.chaos.abandoned += len(self.unsettled)
        self.unsettled = {}


class Publisher(Publishing, Client):
    def __init__(self, chaos, number):
        self.unsettled = {}
        super().__init__(chaos, number)
        self.writes = self.random.random() < 0.4
        self.patience = self.random.choice([0.2, 0.6, 2, 30])  # it leaves when it has waited for so long
        if self.random.random() < 0.6:
            self.user = self.random.choice(USERS)
            self.call("AUTH", self.user, "x", take=self.expect(b"OK"))

    def step(self, now):
        self.next_step = now + self.random.expovariate(1 / 0.02)
        if self.pending and now - self.pending[0].sent > self.patience * SLOW and self.chaos.does("leave"):
            return self.leave(self.random.random() < 0.3)
        if len(self.pending) > 30 or self.wire.unsent:
            return None
        roll = self.random.random()
        if roll < 0.70:
            return self.publish()
        if roll < 0.82:
            return self.publish(self.random.randrange(2, 25))
        if roll < 0.94:
            key = self.random.choice(["k0", "k1"])
            also = [(("SET", key, "v"), self.expect(b"OK"))] if self.writes else []
            return self.publish_in_transaction(also)
        if roll < 0.98 and self.writes:
            return self.call("SET", "k%d" % self.random.randrange(9), "v", take=self.expect(b"OK"))
        return self.leave(self.random.random() < 0.3) if self.random.random() < 0.3 else None


class Subscriber(Publishing, Client):
    # Less has windows so small, and so many segments dropped, that reading megabytes takes seconds.
    receive_buffer = 1 << 18

    def __init__(self, chaos, number):
        self.unsettled = {}
        super().__init__(chaos, number)
        self.sent_proto = 2
        self.mode = "fast"
        self.gave_up = False
        self.has_caught_up = True
        self.assumed = 0  # at most so many subscriptions, counting what is on its way
        if self.random.random() < 0.4:
            self.user = self.random.choice(USERS)
            self.call("AUTH", self.user, "x", take=self.expect(b"OK"))
        if self.random.random() < 0.6:
            self.hello(3)
        notify = self.random.choice(["always", "always", "no", "no", "at times"])
        self.sometimes_notifies = notify == "at times"
        policy = self.random.choices(POLICIES, [1, 2, 2, 4])[0]
        self.set_outbox(policy, "yes" if notify == "always" else "no")
        self.notify_always = notify == "always"
        self.add_subscription()

    # Commands

    def hello(self, version):
        self.sent_proto = version

        def take(value):
            if isinstance(value, dict) != (version == 3) or isinstance(value, Error):
                self.fail(f"HELLO {version} was answered {str(value)[:200]}")
            self.proto = version
            return True
        self.call("HELLO", version, take=take)

    def set_outbox(self, policy, notify=None, sizes=True):
        words = ["OUTBOX", "SET", "POLICY", policy]
        if sizes and self.random.random() < 0.8:
            words += ["MESSAGES", self.random.choice([1, 3, 10, 100])]
        if sizes and self.random.random() < 0.7:
            words += ["BYTES", self.random.choice([1000, 100000, 1000000, 8000000])]
        if notify is not None:
            words += ["NOTIFY", notify]
            self.may_notice = self.may_notice or notify == "yes"

        def take(value):
            is_refused = isinstance(value, Error) and value.text.startswith(b"ERR outbox limit must be")
            if is_refused:
                self.notify_always = False
            else:
                self.expect(b"OK")(value)
            self.policy.answered(change, self.chaos.loop.now(), not is_refused)
            return True
        change = self.policy.set(self.chaos.loop.now(), policy)
        self.call(*words, take=take)

    def add_subscription(self):
        kind = self.random.choices(["message", "pmessage", "smessage"], [5, 3, 1])[0]
        names = {"message": CHANNELS, "pmessage": PATTERNS, "smessage": SHARDS}[kind]
        names = self.random.sample(names, self.random.choice([1, 1, 2]))
        self.assumed += len(names)
        self.subscribe(kind, *names)

    def drop_subscription(self):
        kind = self.random.choices(["message", "pmessage", "smessage"], [5, 3, 1])[0]
        mine = [name for k, name in self.active if k == kind]
        if mine and self.random.random() < 0.8:
            self.unsubscribe(kind, self.random.choice(mine))
        else:
            self.unsubscribe(kind)

    def unsubscribe_from_all(self):
        for kind in ("message", "pmessage", "smessage"):
            self.unsubscribe(kind)

    def reset(self):
        self.notify_always = False

        def take(value):
            self.expect(b"RESET")(value)
            self.end_all(sent)
            self.proto = 2
            self.user = "default"
            self.policy.answered(change, self.chaos.loop.now())
            return True
        self.sent_proto = 2
        change = self.policy.set(self.chaos.loop.now(), "disconnect")
        sent = self.send([(("RESET",), take)])

    def subscribe_in_transaction(self):
        """A change, a subscription, EXEC: no message of the subscription before EXEC's reply."""
        name = self.random.choice(CHANNELS[:3])
        if self.random.random() < 0.5 and self.sent_proto == 3:
            also = [(("SET", "t", "v"), self.expect(b"OK"))]
            return self.publish_in_transaction(also)
        state = {}

        def queued(value):
            state["refused"] = isinstance(value, Error) or state.get("refused", False)
            if value != b"QUEUED" and not isinstance(value, Error):
                self.fail(f"{value!r} in place of QUEUED")
            return True

        def executed(value):
            if isinstance(value, Error):
                if not value.text.startswith(b"EXECABORT"):
                    self.fail(f"EXEC was answered {value!r}")
                return True
            if not isinstance(value, list) or len(value) != 2 or value[0] != b"OK":
                self.fail(f"EXEC was answered {str(value)[:300]}")
            if isinstance(value[1], Error):
                return True
            self._confirm(value[1], "SUBSCRIBE", name)
            if ("message", name) not in self.active:
                self._add("message", name, sent)
            self._check_count("message", value[1])
            return True
        self.assumed += 1
        sent = self.send([(("MULTI",), self.expect(b"OK")), (("SET", "t", "v"), queued),
                          (("SUBSCRIBE", name), queued), (("EXEC",), executed)])
        self.pending[-1].names = [("message", name)]
        return None

    # Reading

    def set_mode(self, mode):
        if mode != self.mode:
            self.note(mode)
            self.has_caught_up = False
            if mode == "fast":
                self.ping(self._caught_up)
        self.mode = mode
        self.gave_up = False
        self.wire.set_reading(mode == "fast")

    def _caught_up(self):
        self.has_caught_up = True

    def step(self, now):
        self.next_step = now + self.random.expovariate(1 / 0.05)
        if self.mode == "slow":
            self.wire.read(self.random.choice([1000, 8000, 40000]))
            if self.ended:
                return None
        roll = self.random.random()
        if roll < 0.06:
            return self.set_mode(self.random.choices(["fast", "slow", "stopped"], [4, 2, 4])[0])
        if roll < 0.07:
            return self.leave(self.random.random() < 0.3)
        if roll > 0.3 or len(self.pending) > (4 if self.mode == "stopped" else 0):
            return None
        if not self.pending:
            self.assumed = len(self.active)
        return self._command(self.random.random())

    def _command(self, roll):
        is_free = self.sent_proto == 3 or self.assumed == 0
        if roll < 0.30:
            return self.add_subscription() if self.assumed < 5 else self.drop_subscription()
        if roll < 0.42:
            return self.drop_subscription()
        if roll < 0.52:
            return self.ping()
        if roll < 0.60:
            return self.reset() if self.random.random() < 0.3 and self.chaos.does("hello") else None
        if not is_free:
            return self.ping() if roll < 0.7 else None
        if roll < 0.70:
            return self.chaos.does("hello") and self.hello(self.random.choice([2, 3]))
        if roll < 0.82:
            notify = self.random.choice(["yes", "no"]) if self.sometimes_notifies else None
            return self.set_outbox(self.random.choices(POLICIES, [1, 2, 2, 4])[0], notify)
        if roll < 0.90:
            return self.chaos.does("exec") and self.subscribe_in_transaction()
        return self.publish()

    def give_up(self):
        """It reads; or it gives up without reading what publishers wait for it to take. Says how."""
        choice = self.random.random()
        if self.pending or choice < 0.2:
            self.set_mode("fast")
            return "reads"
        if choice < 0.3:
            self.leave(self.random.random() < 0.3)
            return "leaves"
        self.gave_up = True
        if choice < 0.5 and self.sent_proto == 3:
            self.set_outbox(self.random.choice(["drop-newest", "drop-oldest"]), sizes=False)
            return "changes its policy"
        if not self.chaos.does("unsubscribe"):
            self.set_mode("fast")
            return "reads"
        if choice < 0.6:
            self.reset()
            return "resets"
        self.unsubscribe_from_all()
        return "unsubscribes"


class Monitor(Client):
    def __init__(self, chaos, number):
        super().__init__(chaos, number)
        self.lines = 0
        self.is_on = False
        self.reads_badly = self.random.random() < 0.3
        if self.random.random() < 0.5:
            self.call("HELLO", 3, take=self._take_hello)
        self.call("MONITOR", take=self._take_on)

    def _take_hello(self, value):
        self.proto = 3
        return True

    def _take_on(self, value):
        self.is_on = True
        return self.expect(b"OK")(value)

    def on_value(self, value):
        if self.is_on and isinstance(value, bytes) and value[:1].isdigit() and b" [" in value[:40]:
            self.lines += 1
            return None
        return super().on_value(value)

    def step(self, now):
        self.next_step = now + 0.1
        if self.reads_badly:
            self.may_end.add("a monitor that does not read")
            self.wire.set_reading(self.random.random() < 0.5)


class KeyUser(Client):
    """Pushes numbered values, and waits for them; each value goes to one client only."""

    def step(self, now):
        self.next_step = now + self.random.expovariate(1 / 0.04)
        if self.pending:
            if self.random.random() < 0.02:
                self.leave(self.random.random() < 0.3)
            return None
        roll = self.random.random()
        if roll < 0.4:
            return self.push()
        if roll < 0.5:
            return self.call("SELECT", self.random.choice([0, 0, 0, 1]), take=self.expect(b"OK"))
        timeout = self.random.choice(["0", "0.05", "0.3", "1"])
        words = self.random.choice([
            ("BLPOP", *self.random.sample(LISTS, 2), timeout), ("BRPOP", self.random.choice(LISTS), timeout),
            ("BLMOVE", self.random.choice(LISTS), self.random.choice(LISTS), "LEFT", "RIGHT", timeout),
            ("BZPOPMIN", *ZSETS, timeout)])
        return self.wait_for(words, float(timeout))

    def push(self):
        value = next(self.chaos.values)
        if self.random.random() < 0.3:
            return self.call("ZADD", self.random.choice(ZSETS), value, f"v{value}", take=self._take_number)
        return self.call("RPUSH", self.random.choice(LISTS), f"v{value}", take=self._take_number)

    def _take_number(self, value):
        if not isinstance(value, int):
            self.fail(f"answered {value!r}")
        return True

    def wait_for(self, words, timeout):
        begun = self.chaos.loop.now()

        def take(value):
            now = self.chaos.loop.now()
            if isinstance(value, Error):
                if not value.text.startswith(b"UNBLOCKED") or not self.chaos.may_unblock(self, begun):
                    self.fail(f"answered {value!r}")
                return True
            if value is None:
                if timeout == 0 and not self.chaos.may_unblock(self, begun):
                    self.fail("a wait without an end ended with nothing")
                return True
            if timeout and now - begun > timeout + 5 * SLOW + self.chaos.paused_within(begun, now):
                self.fail(f"answered {now - begun:.2f} s after it began, with a timeout of {timeout} s")
            if words[0] != "BLMOVE":
                taken = value[1]
                if taken in self.chaos.popped:
                    self.fail(f"{taken} was taken twice, first by client {self.chaos.popped[taken]}")
                self.chaos.popped[taken] = self.number
            return True
        self.call(*words, take=take)
