"""What clients of pub/sub must see: the model that the chaos test of waiting is checked against.

Every event has a number, which is also its time (Loop.now()). A command takes effect somewhere between the number of
its sending and that of its reply, so the model knows for most things two bounds: what is certain and what is possible.
"""

import bisect
import collections
import fnmatch
import itertools

from lib.resp import Error
from lib.wait import SLOW

DROPPING = {"drop-oldest", "drop-newest"}
FOREVER = float("inf")
# A reply that was made is read within this time: what is answered later was done later than this before. That of a
# client that also changes keys may have waited for the disk.
MARGIN = 0.4 * SLOW
MARGIN_OF_WRITER = 4.0 * SLOW


class Violation(AssertionError):
    pass


class History:
    """The values of a setting: each is in force from some moment between its command and the reply to it."""

    def __init__(self, value):
        self.entries = [[-FOREVER, -FOREVER, value]]

    def set(self, sent, value):
        """The change, for answered()."""
        self.entries.append([sent, FOREVER, value])
        return self.entries[-1]

    def answered(self, change, when, was_accepted=True):
        if was_accepted:
            change[1] = when
        else:
            self.entries.remove(change)

    @property
    def last(self):
        return self.entries[-1][2]

    def possible(self, start, end):
        """Each value that may have been in force at some moment between these."""
        found = []
        until = FOREVER
        for sent, answered, value in reversed(self.entries):
            if sent <= end and until > start:
                found.append(value)
            if until <= start:
                break
            until = answered
        return found


class Rules:
    """The channels of one user: names and patterns. "*" is all."""

    def __init__(self, names):
        self.names = frozenset(names)

    def __repr__(self):
        return " ".join(sorted(name[:12] for name in self.names))

    def may_publish(self, channel):
        return any(fnmatch.fnmatchcase(channel, name) for name in self.names)

    def may_hear(self, kind, name):
        return "*" in self.names or (name in self.names if kind == "pmessage" else self.may_publish(name))


class Message:
    __slots__ = ("id", "publisher", "user", "channel", "shard", "size", "sent", "done", "outcome", "left", "margin")

    def __init__(self, number, publisher, user, channel, shard, size, sent, margin):
        self.id = number
        self.publisher = publisher
        self.user = user
        self.channel = channel
        self.shard = shard
        self.size = size
        self.sent = sent
        self.done = FOREVER
        self.outcome = None  # None: no reply yet; a number; "refused"; "unknown": its publisher left before
        self.left = None  # when its publisher did
        self.margin = margin

    def __repr__(self):
        return (f"message {self.id} of client {self.publisher} to {'shard ' if self.shard else ''}{self.channel[:12]} "
                f"({self.size} bytes, sent {self.sent:.4f}, done {self.done:.4f}, {self.outcome})")

    def payload(self):
        head = b"%d:%d:" % (self.id, self.size)
        return head + b"." * (self.size - len(head))


class Subscription:
    """From its confirmation on; kind is the first word of its messages."""

    def __init__(self, client, kind, name, sent, confirmed):
        self.client = client
        self.kind = kind
        self.name = name
        self.sent = sent
        self.confirmed = confirmed
        self.unsent = FOREVER  # its UNSUBSCRIBE was sent
        self.ended = FOREVER  # ... and confirmed
        self.floor = confirmed  # what was sent before this has been checked, or need not come
        self.floor_place = 0
        self.received = {}  # id: its place in the stream
        self.last_of = {}  # publisher: id

    def __repr__(self):
        return (f"subscription of client {self.client.number} to {self.kind} {self.name[:12]} (confirmed "
                f"{self.confirmed:.4f}, unsubscribed {self.unsent:.4f}, ended {self.ended:.4f})")

    def hears(self, channel, shard):
        if shard != (self.kind == "smessage"):
            return False
        return fnmatch.fnmatchcase(channel, self.name) if self.kind == "pmessage" else channel == self.name


class Model:
    def __init__(self):
        self.numbers = itertools.count(1)
        self.messages = {}
        self.by_channel = collections.defaultdict(list)
        self.subscriptions = []
        self.rules = {}  # user: History of Rules
        self.settings = {}  # name: History
        self.pauses = []  # [from, until] in which every write surely waits
        self.checked = collections.Counter()

    # Publishing

    def new_message(self, client, channel, shard, size, now):
        number = next(self.numbers)
        message = Message(number, client.number, client.user, channel, shard, max(size, 24), now,
                          MARGIN_OF_WRITER if client.writes else MARGIN)
        self.messages[number] = message
        self.by_channel[shard, channel].append(message)
        return message

    def settle(self, message, reply, now):
        """The reply to its PUBLISH, or its element in EXEC's."""
        message.done = now
        message.outcome = "refused" if isinstance(reply, Error) else reply
        if not isinstance(reply, (Error, int)):
            raise Violation(f"{message} was answered {reply!r}")
        late = max(message.sent, now - message.margin)
        self._check_rules(message, reply, late, now)
        limits = self.settings["max-channel-length"]
        if isinstance(reply, Error):
            if b"too long" in reply.text and min(limits.possible(message.sent, now)) >= len(message.channel):
                raise Violation(f"{message} was refused: {reply!r}, with max-channel-length "
                                f"{limits.possible(message.sent, now)}")
            return
        if max(limits.possible(late, now)) < len(message.channel):
            raise Violation(f"{message}: published though max-channel-length forbade it since before {late:.4f}: "
                            f"{limits.entries[-3:]}")
        for start, end in self.pauses:
            if start < late and now < end:
                raise Violation(f"{message}: published in the middle of CLIENT PAUSE ({start:.4f} to {end:.4f})")

    def _check_rules(self, message, reply, late, now):
        rules = self.rules.get(message.user)
        if rules is None:
            return
        is_refused = isinstance(reply, Error) and reply.text.startswith(b"NOPERM")
        if is_refused:
            if all(rule.may_publish(message.channel) for rule in rules.possible(message.sent, now)):
                raise Violation(f"{message} was refused though {message.user} might all the time: {reply!r}")
        elif not isinstance(reply, Error):
            if not any(rule.may_publish(message.channel) for rule in rules.possible(late, now)):
                raise Violation(f"{message}: published though {message.user} lost the channel before {late:.4f}: "
                                f"{rules.entries[-3:]}")
        self.checked["rules"] += 1

    # Receiving

    def receive(self, client, subscription, channel, payload, place):
        head = payload[:40].split(b":", 2)
        message = self.messages.get(int(head[0])) if len(head) == 3 else None
        if message is None:
            raise Violation(f"client {client.number} got an unknown message, or one of long ago: {payload[:60]!r}")
        if channel != message.channel or not subscription.hears(channel, message.shard):
            raise Violation(f"{message} came on {channel} to {subscription}")
        if payload != message.payload():
            raise Violation(f"{message} was changed: {len(payload)} bytes {payload[:40]!r} to {payload[-20:]!r}")
        before = subscription.last_of.get(message.publisher, 0)
        if message.id <= before:
            raise Violation(f"{message} came after {before}, which was published later, or twice: {subscription}")
        subscription.last_of[message.publisher] = message.id
        subscription.received[message.id] = place
        self.checked["received"] += 1

    # At the end of a round: everything is answered, whoever is left has read all of it

    def check(self, upto):
        """upto: each client that is left has answered something that was sent then, or later."""
        channels = list(self.by_channel.items())
        starts = {key: [message.sent for message in messages] for key, messages in channels}
        missing_of = collections.defaultdict(lambda: [0, 0])
        for subscription in self.subscriptions:
            for key, messages in channels:
                if subscription.hears(key[1], key[0]):
                    self._check_subscription(subscription, messages, starts[key], upto, missing_of)
        self._check_notices(missing_of)
        for key, messages in channels:
            self._check_counts(key, messages)

    def _check_subscription(self, subscription, messages, starts, upto, missing_of):
        client = subscription.client
        self._check_heard(subscription, messages)
        end = FOREVER if client.ended else min(subscription.unsent, upto)
        totals = missing_of[client]
        for message in messages[bisect.bisect_left(starts, subscription.sent - 10 * SLOW):]:
            if (message.id in subscription.received or message.outcome == "refused" or message.sent > subscription.ended
                    or message.done < subscription.sent):
                continue
            totals[1] += 1
            if (message.sent < subscription.floor or message.done > end or not isinstance(message.outcome, int)):
                continue
            if client.ended and message.id > subscription.last_of.get(message.publisher, 0):
                continue  # it may have been on its way
            totals[0] += 1
            self._check_missing(subscription, message, upto)
        self.checked["subscriptions"] += 1

    def _check_missing(self, subscription, message, upto):
        client = subscription.client
        policies = client.policy.possible(message.sent, upto)
        if not DROPPING & set(policies):
            raise Violation(f"{message} did not come to {subscription}, with the policies {policies}")
        if not client.notify_always:
            return
        places = [(number, place) for number, place in subscription.received.items()
                  if self.messages[number].publisher == message.publisher]
        after = [place for number, place in places if number < message.id]
        before = [place for number, place in places if number > message.id]
        start, end = max(after, default=subscription.floor_place), min(before, default=FOREVER)
        at = bisect.bisect_right(client.notice_places, start)
        if at == len(client.notice_places) or client.notice_places[at] > end:
            raise Violation(f"{message} did not come to {subscription}, and nothing tells of it in its place")

    def _check_heard(self, subscription, messages):
        rules = self.rules.get(subscription.client.user)
        for message in messages:
            if message.id not in subscription.received:
                continue
            if message.outcome == "refused":
                raise Violation(f"{message} came to {subscription} though it was refused")
            if rules is not None and not any(rule.may_hear(subscription.kind, subscription.name)
                                             for rule in rules.possible(message.sent, message.done)):
                raise Violation(f"{message} came to {subscription}, whose user {subscription.client.user} may not "
                                f"hear it: {rules.entries[-4:]}")

    def _check_notices(self, missing_of):
        for client, (certain, possible) in missing_of.items():
            if client.ended or not client.notify_always:
                continue
            if not certain <= client.lagged <= possible:
                raise Violation(f"client {client.number} misses {certain} to {possible} messages and was told of "
                                f"{client.lagged}")
            self.checked["notices"] += client.lagged

    def may_have_subscribed(self, client, kind, name, sent):
        """Its confirmation never came, for the client ended before."""
        subscription = Subscription(client, kind, name, sent, FOREVER)
        subscription.unsent = sent
        self.subscriptions.append(subscription)

    def _check_counts(self, key, messages):
        heard = [s for s in self.subscriptions if s.hears(key[1], key[0])]
        surely_from, surely_to, perhaps_from, perhaps_to = [], [], [], []
        for s in heard:
            certain_end = min(s.unsent, s.client.certain_end)
            if certain_end > s.confirmed:
                surely_from.append(s.confirmed)
                surely_to.append(certain_end)
            perhaps_from.append(s.sent)
            perhaps_to.append(min(s.ended, s.client.possible_end))
        for times in (surely_from, surely_to, perhaps_from, perhaps_to):
            times.sort()
        for m in messages:
            if not isinstance(m.outcome, int):
                continue
            least = bisect.bisect_left(surely_from, m.sent) - bisect.bisect_right(surely_to, m.done)
            most = bisect.bisect_right(perhaps_from, m.done) - bisect.bisect_left(perhaps_to, m.sent)
            if not least <= m.outcome <= most:
                self._fail_count(m, heard, least, most)
            self.checked["counts"] += 1

    def _fail_count(self, message, heard, least, most):
        is_less = message.outcome < least
        lines = []
        for s in heard:
            end = min(s.unsent, s.client.certain_end)
            if s.confirmed < message.sent and end > message.done if is_less else (
                    s.sent < message.done and min(s.ended, s.client.possible_end) > message.sent):
                got = "got it" if message.id in s.received else "did not get it"
                lines.append(f"  {s} {got}; surely until {end:.4f}, perhaps until {s.client.possible_end:.4f}")
        lines.sort(key=lambda line: ("got it;" in line) != is_less, reverse=True)
        raise Violation(f"{message}: its count must be {least} to {most}; subscribed "
                        f"{'were' if is_less else 'may have been'}\n" + "\n".join(lines))

    def begin_round(self, clients, now):
        """What was checked is forgotten."""
        self.messages.clear()
        self.by_channel.clear()
        self.pauses.clear()
        self.subscriptions = [s for s in self.subscriptions if s.ended == FOREVER and not s.client.ended]
        for subscription in self.subscriptions:
            subscription.received.clear()
            subscription.floor = now
            subscription.floor_place = subscription.client.place
        for client in clients:
            client.lagged = 0
