"""What happens to slow subscribers by channel: the option outbox-policy, and max-subscribers."""

import threading

import pytest

from lib.flood import Account, flood, payload
from lib.resp import Error
from lib.wait import seconds, wait_until

KIB256 = 256 << 10
LIMITS = ("--outbox-limit-bytes", "256kb", "--outbox-block-timeout", "600000")
BOTH_FORMS = pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])


def slow_subscriber(daemon, *channels, version=2, pattern=None, options=()):
    """A subscriber with a small window that is told of what it missed."""
    connection = daemon.connect(timeout=60, receive_buffer=4096)
    if version == 3:
        connection.hello(3)
    connection.ok("CLIENT", "SETNAME", "slow")
    connection.ok("OUTBOX", "SET", "NOTIFY", "yes", *options)
    if pattern is not None:
        connection.subscribe(pattern, kind="PSUBSCRIBE")
    for channel in channels:
        connection.subscribe(channel)
    return connection


def slow_line(watcher):
    return next((line for line in watcher.outbox_list() if line["name"] == "slow"), None)


class Publisher(threading.Thread):
    """Publishes numbered messages one by one."""

    def __init__(self, daemon, channel, count):
        super().__init__()
        self.connection = daemon.connect(timeout=120)
        self.channel = channel
        self.numbers = range(count)
        self.replies = []

    def run(self):
        for number in self.numbers:
            self.replies.append(self.connection.call("PUBLISH", self.channel, payload(number)))


def blocked_clients(watcher):
    return int(watcher.info("clients")["blocked_clients"])


@BOTH_FORMS
def test_one_client_follows_the_policies_of_several_channels(start_fanfared, version):
    daemon = start_fanfared(*LIMITS)
    admin = daemon.connect(timeout=60)
    admin.ok("CHANNEL", "SET", "last.*", "outbox-policy", "drop-oldest")
    admin.ok("CHANNEL", "SET", "first.*", "outbox-policy", "drop-newest")
    slow = slow_subscriber(daemon, "last.a", "first.a", version=version)
    published = 9000
    assert flood(admin, "last.a", range(published)) == [1] * published
    assert int(slow_line(admin)["dropped"]) > 0
    account = Account(slow, notify=True, version=version)
    account.take_until(published - 1)
    assert account.received + account.lagged == published
    assert account.since_notice > 0, "the newest messages were kept"
    # Without a policy of its channel a message closes the client, as the directive says.
    slow.subscribe("plain")
    flood(admin, "plain", range(published))
    wait_until(lambda: slow_line(admin) is None, "the slow subscriber is closed")


def test_the_choice_of_the_client_wins(start_fanfared):
    daemon = start_fanfared(*LIMITS)
    admin = daemon.connect(timeout=60)
    admin.ok("CHANNEL", "SET", "c", "outbox-policy", "disconnect")
    slow_subscriber(daemon, "c", options=("POLICY", "drop-newest"))
    assert set(flood(admin, "c", range(9000))) == {1}
    line = slow_line(admin)
    assert int(line["dropped"]) > 0 and line["channel-policies"] == "no"


def test_block_makes_publishers_of_the_channel_wait_and_loses_nothing(start_fanfared):
    daemon = start_fanfared(*LIMITS)
    admin = daemon.connect(timeout=60)
    admin.ok("CHANNEL", "SET", "sure.*", "outbox-policy", "block")
    slow = slow_subscriber(daemon, pattern="sure.*")
    publisher = Publisher(daemon, "sure.a", 6000)
    publisher.start()
    wait_until(lambda: blocked_clients(admin) == 1, "the publisher waits", 60)
    assert int(slow_line(admin)["outbox-bytes"]) <= KIB256 + 4096
    assert admin.call("PUBLISH", "elsewhere", "x") == 0
    account = Account(slow, notify=True)
    account.take_until(publisher.numbers[-1])
    publisher.join(seconds(60))
    assert account.lagged == 0 and account.received == len(publisher.numbers)
    assert publisher.replies == [1] * len(publisher.numbers)


def test_another_policy_frees_publishers_that_wait(start_fanfared):
    daemon = start_fanfared(*LIMITS)
    admin = daemon.connect(timeout=60)
    admin.ok("CHANNEL", "SET", "c", "outbox-policy", "block")
    slow_subscriber(daemon, "c")
    publisher = Publisher(daemon, "c", 6000)
    publisher.start()
    wait_until(lambda: blocked_clients(admin) == 1, "the publisher waits", 60)
    admin.ok("CHANNEL", "SET", "c", "outbox-policy", "drop-newest")
    publisher.join(seconds(60))
    assert publisher.replies == [1] * len(publisher.numbers)
    assert int(slow_line(admin)["dropped"]) > 0


def test_a_channel_may_have_fewer_subscribers(start_fanfared):
    daemon = start_fanfared("--max-subscribers-per-channel", "3")
    clients = [daemon.connect() for _ in range(4)]
    clients[0].ok("CHANNEL", "SET", "room.*", "max-subscribers", "2")
    for client in clients[:2]:
        client.subscribe("room.1")
    assert clients[2].call("SUBSCRIBE", "room.1") == Error(
        b"ERR max number of subscribers of this channel reached (max-subscribers 2)")
    for client in clients[:3]:
        client.subscribe("hall")
    assert clients[3].call("SUBSCRIBE", "hall") == Error(
        b"ERR max number of subscribers of this channel reached (max-subscribers-per-channel 3)")
