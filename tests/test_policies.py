"""Subscribers that do not read: policies, limits, notices, statistics."""

import socket
import threading
import time

import pytest

from lib.flood import Account, flood, payload
from lib.resp import Closed, Error, Push, encode
from lib.wait import SLOW, seconds, wait_until

MIB = 1 << 20
BOTH_FORMS = pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
DROPPING = pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])


def pairs(reply):
    """OUTBOX GET as a dict: a map in RESP3, a flat array in RESP2."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def stuck_subscriber(daemon, *options, version=2, channel="c"):
    """A subscriber with a small window, named `stuck`, with these OUTBOX SET options."""
    connection = daemon.connect(timeout=60, receive_buffer=4096)
    if version == 3:
        connection.hello(3)
    connection.ok("CLIENT", "SETNAME", "stuck")
    if options:
        connection.ok("OUTBOX", "SET", *options)
    connection.subscribe(channel)
    return connection


def outbox_of(watcher, name):
    """The line of OUTBOX LIST of the client with this name."""
    return next((outbox for outbox in watcher.outbox_list() if outbox["name"] == name), None)


def end_number(daemon, account, published):
    """Reads all queued output, then one more message, which has room under any policy."""
    watcher = daemon.connect(timeout=60)
    reader_done = threading.Event()
    failures = []

    def read():
        try:
            account.take_until(published)
        except BaseException as error:  # told by the test's own thread
            failures.append(error)
        reader_done.set()

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: failures or int(outbox_of(watcher, "stuck")["outbox-messages"]) == 0, "all is read", 30)
    assert flood(watcher, "c", [published]) == [1]
    reader.join(seconds(30))
    if failures:
        raise failures[0]
    assert reader_done.is_set()


@BOTH_FORMS
@DROPPING
def test_received_and_missed_messages_together_are_all_published(start_fanfared, policy, version):
    daemon = start_fanfared("--outbox-policy", policy, "--outbox-limit-bytes", "1mb")
    stuck = stuck_subscriber(daemon, "NOTIFY", "yes", version=version)
    account = Account(stuck, notify=True, version=version)
    publisher = daemon.connect(timeout=60)
    published = 12000
    assert flood(publisher, "c", range(published)) == [1] * published
    fields = outbox_of(publisher, "stuck")
    assert int(fields["dropped"]) > 0
    assert int(fields["outbox-bytes"]) <= MIB + 4096
    end_number(daemon, account, published)
    assert account.received + account.lagged == published + 1
    assert account.lagged >= int(fields["dropped"])
    assert account.lagged == int(outbox_of(publisher, "stuck")["dropped"])
    assert account.notices >= 1


@DROPPING
def test_without_notify_messages_are_dropped_silently_and_counted(start_fanfared, policy):
    daemon = start_fanfared("--outbox-policy", policy, "--outbox-limit-bytes", "1mb")
    stuck = stuck_subscriber(daemon)
    account = Account(stuck, notify=False)
    publisher = daemon.connect(timeout=60)
    published = 12000
    flood(publisher, "c", range(published))
    end_number(daemon, account, published)
    dropped = int(outbox_of(publisher, "stuck")["dropped"])
    assert dropped > 0 and account.received + dropped == published + 1


@BOTH_FORMS
@DROPPING
def test_a_reader_that_comes_and_goes_is_told_of_each_gap_in_its_place(start_fanfared, policy, version):
    daemon = start_fanfared("--outbox-policy", policy, "--outbox-limit-messages", "100")
    stuck = stuck_subscriber(daemon, "NOTIFY", "yes", version=version)
    account = Account(stuck, notify=True, version=version)
    publisher = daemon.connect(timeout=60)
    published = 0
    # How much the kernel takes of each flood decides when a gap is sent: until there were two.
    while account.notices < 2 and published < 600000:
        flood(publisher, "c", range(published, published + 6000))
        published += 6000
        for _ in range(500):
            account.take()
    end_number(daemon, account, published)
    assert account.received + account.lagged == published + 1
    assert account.notices >= 2


@pytest.mark.parametrize("policy, kept", [("drop-oldest", 50), ("drop-newest", 0)])
def test_drop_oldest_keeps_the_newest_and_drop_newest_does_not(start_fanfared, policy, kept):
    daemon = start_fanfared("--outbox-limit-messages", "50", "--outbox-policy", policy)
    account = Account(stuck_subscriber(daemon, "NOTIFY", "yes"), notify=True)
    published = 12000
    assert flood(daemon.connect(timeout=60), "c", range(published)) == [1] * published
    end_number(daemon, account, published)
    # And the one that end_number sent; less one that was half on its way and stands before the notice.
    assert account.since_notice in (kept, kept + 1)


def test_no_notice_comes_to_a_subscriber_that_misses_nothing(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "drop-oldest")
    subscriber = stuck_subscriber(daemon, "NOTIFY", "yes")
    account = Account(subscriber, notify=True)
    flood(daemon.connect(timeout=60), "c", range(5000))
    account.take_until(4999)
    assert account.notices == 0 and account.received == 5000


def test_replies_are_never_dropped(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "drop-oldest", "--outbox-limit-messages", "10")
    stuck = stuck_subscriber(daemon, version=3)
    publisher = daemon.connect(timeout=60)
    flood(publisher, "c", range(3000))
    stuck.send(b"".join(encode("ECHO", n) for n in range(1000)))
    flood(publisher, "c", range(3000, 9000))
    replies = []
    while len(replies) < 1000:
        value = stuck.read_value()
        if not isinstance(value, Push):
            replies.append(value)
    assert replies == [b"%d" % n for n in range(1000)]


def test_a_drop_for_one_is_no_drop_for_another(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "drop-newest", "--outbox-limit-bytes", "1mb")
    stuck_subscriber(daemon)
    fast = daemon.connect(timeout=60)
    fast.subscribe("c")
    publisher = daemon.connect(timeout=60)
    for batch in range(100):
        numbers = range(batch * 120, batch * 120 + 120)
        assert flood(publisher, "c", numbers) == [2] * 120
        for n in numbers:
            assert fast.read_value() == [b"message", b"c", payload(n)]
    assert int(outbox_of(publisher, "stuck")["dropped"]) > 0
    assert publisher.info("pubsub")["dropped"] == outbox_of(publisher, "stuck")["dropped"]


def test_disconnect_closes_the_subscriber_and_says_why(start_fanfared):
    daemon = start_fanfared("--outbox-limit-bytes", "1mb")
    stuck = stuck_subscriber(daemon)
    fast = daemon.connect(timeout=60)
    fast.subscribe("c")
    publisher = daemon.connect(timeout=60)
    replies = []
    for batch in range(100):
        numbers = range(batch * 120, batch * 120 + 120)
        replies += flood(publisher, "c", numbers)
        for n in numbers:
            assert fast.read_value() == [b"message", b"c", payload(n)]
    # Both at first, then the fast one alone; never the other way round.
    assert sorted(set(replies)) == [1, 2] and replies == sorted(replies, reverse=True)
    assert stuck.is_closed()
    assert outbox_of(publisher, "stuck") is None
    assert any("outbox" in line or "output" in line for line in daemon.log().splitlines()), daemon.log()


class Publisher(threading.Thread):
    """Publishes one after another and keeps count."""

    def __init__(self, daemon, channel, count):
        super().__init__()
        self.connection = daemon.connect(timeout=120)
        self.channel = channel
        self.count = count
        self.published = 0
        self.slowest = 0.0
        self.replies = []

    def run(self):
        for number in range(self.count):
            start = time.monotonic()
            self.replies.append(self.connection.call("PUBLISH", self.channel, payload(number)))
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.published += 1

    def wait_until_it_waits(self):
        """No progress over several round trips of another client: it waits for room."""
        seen = [-1, 0]

        def stands_still():
            if self.published != seen[0]:
                seen[:] = [self.published, time.monotonic()]
            return time.monotonic() - seen[1] > 0.3 * SLOW

        wait_until(stands_still, "the publisher waits", 60)


def test_block_makes_publishers_wait_and_loses_nothing(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "256kb",
                            "--outbox-block-timeout", "600000")
    stuck = stuck_subscriber(daemon)
    publisher = Publisher(daemon, "c", 12000)
    publisher.start()
    publisher.wait_until_it_waits()
    assert publisher.published < publisher.count
    # Neither other channels nor other commands wait.
    other = daemon.connect()
    assert other.call("PING") == b"PONG"
    assert other.call("PUBLISH", "elsewhere", "x") == 0
    assert int(outbox_of(other, "stuck")["outbox-bytes"]) <= (256 << 10) + 4096
    account = Account(stuck, notify=True)
    account.take_until(publisher.count - 1)
    publisher.join()
    assert account.lagged == 0 and account.received == publisher.count
    assert publisher.replies == [1] * publisher.count
    assert outbox_of(other, "stuck")["dropped"] == "0"


def test_after_the_block_timeout_the_subscriber_is_closed_and_publishers_go_on(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "256kb",
                            "--outbox-block-timeout", "700")
    stuck = stuck_subscriber(daemon)
    fast = daemon.connect(timeout=60)
    fast.subscribe("c")
    publisher = Publisher(daemon, "c", 9000)
    publisher.start()
    for n in range(publisher.count):
        assert fast.read_value() == [b"message", b"c", payload(n)]
    publisher.join()
    assert 0.65 < publisher.slowest < 5 * SLOW
    assert stuck.is_closed()
    assert publisher.replies == sorted(publisher.replies, reverse=True)
    assert publisher.replies[-1] == 1


def test_a_waiting_publisher_goes_on_when_the_subscriber_leaves(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "256kb",
                            "--outbox-block-timeout", "600000")
    stuck = stuck_subscriber(daemon)
    publisher = Publisher(daemon, "c", 9000)
    publisher.start()
    publisher.wait_until_it_waits()
    stuck.close()
    publisher.join(seconds(20))
    assert publisher.published == publisher.count
    assert publisher.replies[-1] == 0


def test_a_waiting_publisher_goes_on_when_the_subscriber_is_killed_or_changes_its_mind(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "256kb",
                            "--outbox-block-timeout", "600000")
    stuck_subscriber(daemon)
    publisher = Publisher(daemon, "c", 9000)
    publisher.start()
    publisher.wait_until_it_waits()
    other = daemon.connect()
    assert other.call("CLIENT", "KILL", "ID", outbox_of(other, "stuck")["id"]) == 1
    publisher.join(seconds(20))
    assert publisher.published == publisher.count


def flood_until_reset(publisher):
    try:
        flood(publisher, "c", range(100000))
    except (OSError, Closed):
        pass


def test_a_waiting_publisher_that_leaves_is_forgotten(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "256kb",
                            "--outbox-block-timeout", "600000")
    stuck = stuck_subscriber(daemon)
    publisher = daemon.connect()
    watcher = daemon.connect()
    sender = threading.Thread(target=flood_until_reset, args=(publisher,))
    sender.start()
    wait_until(lambda: int(outbox_of(watcher, "stuck")["outbox-bytes"]) > 255 << 10, "the outbox is full")
    publisher.socket.shutdown(socket.SHUT_RDWR)
    sender.join()
    publisher.close()
    # Its reading was stopped, so its end shows when there is room again.
    account = Account(stuck, notify=True)
    reader = threading.Thread(target=take_until_closed, args=(account,))
    reader.start()
    wait_until(lambda: len(watcher.client_list()) == 2, "the publisher is gone")
    wait_until(lambda: account.received > 255, "the queued output is read")
    stuck.socket.shutdown(socket.SHUT_RDWR)
    reader.join()
    assert account.lagged == 0


def take_until_closed(account):
    try:
        while True:
            account.take()
    except Closed:
        pass


def test_a_blocking_subscriber_that_publishes_to_itself_does_not_hang_the_daemon(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "64kb",
                            "--outbox-block-timeout", "500")
    both = stuck_subscriber(daemon, version=3)
    sender = threading.Thread(target=both.send, args=(b"".join(
        encode("PUBLISH", "c", payload(n)) for n in range(2000)),))
    sender.start()
    other = daemon.connect()
    for _ in range(50):
        assert other.call("PING") == b"PONG"
    got = 0
    while got < 2000:
        value = both.read_value()
        if isinstance(value, Push):
            assert value == [b"message", b"c", payload(got)]
            got += 1
        else:
            assert value == 1
    sender.join()
    assert outbox_of(other, "stuck")["dropped"] == "0"


def test_a_blocking_subscriber_that_publishes_to_itself_and_never_reads_is_closed(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "block", "--outbox-limit-bytes", "64kb",
                            "--outbox-block-timeout", "500")
    both = stuck_subscriber(daemon, version=3)
    sender = threading.Thread(target=send_ignoring_the_end, args=(both, b"".join(
        encode("PUBLISH", "c", payload(n)) for n in range(10000))))
    sender.start()
    other = daemon.connect()
    wait_until(lambda: other.call("PUBSUB", "NUMSUB", "c") == [b"c", 0], "it is closed", 20)
    sender.join()


def send_ignoring_the_end(connection, data):
    try:
        connection.send(data)
    except OSError:
        pass  # closed while we were sending


def test_the_hard_limit_of_redis_closes_a_subscriber(start_server):
    daemon = start_server("--client-output-buffer-limit", "pubsub", "1mb", "0", "0")
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.subscribe("c")
    publisher = daemon.connect(timeout=60)
    replies = flood(publisher, "c", range(12000))
    assert replies[0] == 1 and replies[-1] == 0
    assert stuck.is_closed()


def test_the_soft_limit_of_redis_closes_a_subscriber_after_its_time(start_server):
    daemon = start_server("--client-output-buffer-limit", "pubsub", "0", "512kb", "1")
    stuck = daemon.connect(timeout=60, receive_buffer=4096)
    stuck.subscribe("c")
    publisher = daemon.connect(timeout=60)
    start = time.monotonic()
    assert flood(publisher, "c", range(9000))[-1] == 1
    wait_until(lambda: flood(publisher, "c", [0]) == [0], "the subscriber is closed", 20)
    assert time.monotonic() - start > 0.9


def test_a_subscriber_below_the_soft_limit_stays(start_server):
    daemon = start_server("--client-output-buffer-limit", "pubsub", "0", "512kb", "1")
    reader = daemon.connect(timeout=60)
    reader.subscribe("c")
    publisher = daemon.connect(timeout=60)
    for turn in range(15):
        assert flood(publisher, "c", range(turn * 100, turn * 100 + 100)) == [1] * 100
        for n in range(turn * 100, turn * 100 + 100):
            assert reader.read_value()[2] == payload(n)
    assert publisher.call("PUBSUB", "NUMSUB", "c") == [b"c", 1]


@BOTH_FORMS
def test_outbox_get_tells_policy_limits_and_what_is_queued(start_fanfared, version):
    daemon = start_fanfared("--outbox-limit-bytes", "2mb", "--outbox-limit-messages", "5000")
    client = daemon.client(version)
    shown = pairs(client.call("OUTBOX", "GET"))
    epoch, _, seq = shown.pop(b"position").partition(b"-")
    assert int(epoch) > 0 and int(seq) == 0
    assert shown == {
        b"policy": b"disconnect", b"bytes": 2 * MIB, b"messages": 5000, b"notify": b"no", b"queued-bytes": 0,
        b"queued-messages": 0, b"dropped": 0, b"going-away": b"no",
        b"echo": b"yes", b"positions": b"no", b"dedup": b"no", b"channel-policies": b"yes"}


def test_outbox_set_chooses_within_the_global_maximum(start_fanfared):
    daemon = start_fanfared("--outbox-limit-bytes", "2mb", "--outbox-limit-messages", "5000")
    client = daemon.connect()
    client.ok("OUTBOX", "SET", "POLICY", "drop-oldest", "BYTES", 4096, "MESSAGES", 10, "NOTIFY", "yes")
    chosen = pairs(client.call("OUTBOX", "GET"))
    assert (chosen[b"policy"], chosen[b"bytes"], chosen[b"messages"], chosen[b"notify"]) == (
        b"drop-oldest", 4096, 10, b"yes")
    client.ok("outbox", "set", "policy", "BLOCK", "notify", "NO")
    assert pairs(client.call("OUTBOX", "GET"))[b"policy"] == b"block"
    chosen = client.call("OUTBOX", "GET")
    for wrong in (("POLICY", "nosuch"), ("BYTES", "x"), ("BYTES", -1), ("BYTES", 2 * MIB + 1),
                  ("MESSAGES", 5001), ("MESSAGES", "1.5"), ("NOTIFY", "maybe"), ("NOSUCH", "x"), ("POLICY",),
                  ("NOTIFY", "yes", "POLICY", "nosuch"), ("BYTES", 100, "MESSAGES")):
        reply = client.call("OUTBOX", "SET", *wrong)
        assert isinstance(reply, Error) and reply.text.startswith(b"ERR "), (wrong, reply)
        assert client.call("OUTBOX", "GET") == chosen, f"{wrong} changed something"


def test_reset_takes_the_choice_back(start_fanfared):
    daemon = start_fanfared()
    client = daemon.connect()
    before = client.call("OUTBOX", "GET")
    client.ok("OUTBOX", "SET", "POLICY", "drop-oldest", "BYTES", 4096, "NOTIFY", "yes")
    assert client.call("RESET") == b"RESET"
    assert client.call("OUTBOX", "GET") == before


def test_a_new_default_holds_for_clients_that_did_not_choose(start_fanfared):
    daemon = start_fanfared()
    chose, did_not, admin = daemon.connect(), daemon.connect(), daemon.connect()
    chose.ok("OUTBOX", "SET", "POLICY", "drop-newest")
    admin.ok("CONFIG", "SET", "outbox-policy", "drop-oldest")
    assert pairs(chose.call("OUTBOX", "GET"))[b"policy"] == b"drop-newest"
    assert pairs(did_not.call("OUTBOX", "GET"))[b"policy"] == b"drop-oldest"
    assert pairs(daemon.connect().call("OUTBOX", "GET"))[b"policy"] == b"drop-oldest"


def test_figures_show_what_is_queued_dropped_and_which_policy(start_fanfared):
    daemon = start_fanfared("--outbox-policy", "drop-oldest", "--outbox-limit-bytes", "1mb")
    stuck = stuck_subscriber(daemon, version=3)
    publisher = daemon.connect(timeout=60)
    flood(publisher, "c", range(12000))
    fields = outbox_of(publisher, "stuck")
    assert fields["policy"] == "drop-oldest"
    queued = int(fields["outbox-messages"])
    assert 900 < queued < 1100
    assert 0.9 * MIB < int(fields["outbox-bytes"]) <= MIB + 4096
    info = publisher.info()
    assert int(info["queued_messages"]) == queued
    assert int(info["queued_bytes"]) >= int(fields["outbox-bytes"])
    assert info["dropped"] == fields["dropped"]
    assert int(publisher.call("OUTBOX", "DROPPED", "c")[1]) == int(fields["dropped"])
    stuck.close()
    wait_until(lambda: publisher.info()["queued_messages"] == "0", "no message is queued any more")
    assert publisher.info()["dropped"] == fields["dropped"]


def test_stuck_subscribers_of_one_channel_share_one_copy(start_fanfared):
    """The frame log: 50 times 8 MB owed, held about once."""
    daemon = start_fanfared()
    for _ in range(50):
        subscriber = daemon.connect(timeout=60, receive_buffer=4096)
        subscriber.subscribe("c")
    publisher = daemon.connect(timeout=60)
    before = daemon.resident_bytes()
    flood(publisher, "c", range(8000))
    owed = int(publisher.info()["queued_bytes"])
    assert owed > 50 * 2 * MIB
    assert daemon.resident_bytes() - before < 40 * MIB


FIELDS = ["id", "name", "policy", "limit-bytes", "limit-messages", "notify", "outbox-bytes", "outbox-messages", "dropped",
          "io-thread", "watch", "channel-policies", "cursor", "behind"]


@pytest.mark.parametrize("version", [2, 3])
def test_outbox_list_has_a_line_for_each_client_or_for_those_named(start_fanfared, version):
    daemon = start_fanfared("--outbox-policy", "drop-oldest", "--outbox-limit-bytes", "1mb")
    first, second, third = daemon.connect(), daemon.connect(), daemon.client(version)
    first.ok("CLIENT", "SETNAME", "first")
    second.ok("OUTBOX", "SET", "POLICY", "block", "BYTES", "5000", "NOTIFY", "yes")
    second.ok("WATCH", "a", "b")
    ids = [int(client.call("CLIENT", "ID")) for client in (first, second, third)]
    lines = third.outbox_list()
    assert [list(line) for line in lines] == [FIELDS] * 3
    assert [int(line["id"]) for line in lines] == ids
    assert [line["name"] for line in lines] == ["first", "", ""]
    assert [line["policy"] for line in lines] == ["drop-oldest", "block", "drop-oldest"]
    assert [line["limit-bytes"] for line in lines] == [str(MIB), "5000", str(MIB)]
    assert [line["notify"] for line in lines] == ["no", "yes", "no"]
    assert [line["watch"] for line in lines] == ["0", "2", "0"]
    # As CLIENT LIST ID: in the given order, repeated as given, nothing for unknown ids.
    assert [int(line["id"]) for line in third.outbox_list("ID", ids[1], 999999, ids[0], ids[1])] == [
        ids[1], ids[0], ids[1]]
    assert third.outbox_list("id", 999999, -1) == []
    assert third.call("OUTBOX", "LIST", "ID", "x") == Error(b"ERR Invalid client ID")
    for words in (("ID",), ("TYPE", "normal"), ("x", "1")):
        assert third.call("OUTBOX", "LIST", *words) == Error(b"ERR syntax error"), words


def test_outbox_list_is_not_for_everyone_who_may_subscribe(fanfared):
    fanfared.connect().ok("ACL", "SETUSER", "alice", "on", "nopass", "&*", "+@pubsub")
    client = fanfared.connect()
    client.ok("AUTH", "alice", "x")
    assert client.call("OUTBOX", "GET")
    assert client.call("OUTBOX", "LIST").text.startswith(b"NOPERM ")
