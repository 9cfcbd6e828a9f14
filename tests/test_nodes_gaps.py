"""Kept messages of a leaf from before its link was made: what was published meanwhile is not there, so they count as lost."""

import contextlib
import socket
import threading

import pytest

from lib.cutter import Cutter
from lib.false_master import HELLO, FalseMaster, bulk
from lib.lineage import lineages_of
from lib.nodes import Proxy
from lib.wait import seconds, wait_until

KEPT = ("--channel", "news*", "history-size", 100, "history-ttl", 600)


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def upstream_of(redis):
    return "--upstream", f"redis://127.0.0.1:{redis.port}"


def wait_for_link(leaf, state="up"):
    def is_so():
        with leaf.connect() as client:
            return client.info("link")["link_state"] == state

    wait_until(is_so, f"link_state {state}", 20)


def position_of_a_message(leaf, redis):
    """That of a message that came over the link."""
    with leaf.client(3) as client, redis.connect() as publisher:
        client.ok("OUTBOX", "SET", "POSITIONS", "yes")
        client.subscribe("news")
        assert publisher.call("PUBLISH", "news", "1") == 1
        return client.read_value()[2].split()[0]


def check_lost(leaf, position):
    wait_for_link(leaf)
    with leaf.client(3) as client:
        assert client.call("RESUME", "news", position)[0][1] == b"lost"
        assert client.call("PRESUME", "news*", position)[0][1] == b"lost"
        assert client.call("HISTORY", "READ", "CHANNELS", "news", position).text.startswith(b"LOST ")


def publish_unheard(redis):
    with redis.connect() as publisher:
        assert publisher.call("PUBLISH", "news", "2") == 0


def test_after_a_restart_with_saved_history(start_fanfared, start_redis):
    redis = start_redis()
    leaf = start_fanfared(*upstream_of(redis), *KEPT, "--history-save", "yes")
    wait_for_link(leaf)
    position = position_of_a_message(leaf, redis)
    leaf.stop()
    publish_unheard(redis)
    leaf.start(leaf.port)
    check_lost(leaf, position)


def test_after_an_upgrade(start_lineage, start_redis):
    redis = start_redis()
    lineage = start_lineage(*upstream_of(redis), *KEPT, "--shutdown-grace", 1)
    leaf = lineage.daemon
    wait_for_link(leaf)
    position = position_of_a_message(leaf, redis)
    lineage.upgrade()
    check_lost(leaf, position)


def test_after_the_leaf_was_not_subscribed(start_fanfared, start_redis):
    """A channel was left, and something was published before it is joined again."""
    redis = start_redis()
    leaf = start_fanfared(*upstream_of(redis), *KEPT, "--upstream-linger", 1)
    wait_for_link(leaf)
    with leaf.client(3) as client:
        client.subscribe("news")
        with redis.connect() as publisher:
            publisher.call("PUBLISH", "news", "heard")
            assert client.read_value()[0] == b"message"
            position = client.call("HISTORY", "POSITION")
    with redis.connect() as publisher:
        wait_until(lambda: publisher.call("PUBSUB", "NUMSUB", "news")[1] == 0, "the leaf leaves the channel")
        publisher.call("PUBLISH", "news", "missed")
    check_lost(leaf, position)


def test_a_quiet_channel_goes_on_when_others_are_joined(start_fanfared, start_redis):
    redis = start_redis()
    leaf = start_fanfared(*upstream_of(redis), *KEPT)
    wait_for_link(leaf)
    with leaf.client(3) as client, leaf.client(3) as other:
        client.subscribe("news")
        position = client.call("HISTORY", "POSITION")
        other.subscribe("not-kept")
        assert client.call("RESUME", "news", position)[0][1] == b"subscribed"
    with leaf.client(3) as client:
        assert client.call("RESUME", "news", position)[0][1] == b"resumed"


def test_after_messages_that_were_delivered_here_only(start_fanfared, start_redis):
    redis = start_redis()
    leaf = start_fanfared(*upstream_of(redis), *KEPT, "--upstream-down", "local")
    wait_for_link(leaf)
    redis.kill()
    wait_for_link(leaf, "down")
    with leaf.connect() as client:
        assert client.call("PUBLISH", "news", "1") == 0
        position = client.call("HISTORY", "POSITION")
    redis.start(redis.port)
    wait_for_link(leaf)
    publish_unheard(redis)
    check_lost(leaf, position)


class Pausing(Proxy):
    """Calls meanwhile() before the first bytes of a PRESUME go to the upstream, each time that it is set."""

    meanwhile = None

    def _forward(self, source, target):
        try:
            is_up = source.getsockname()[1] == self.port
            way = self.up if is_up else self.down
            while data := way.read(source):
                at = data.find(b"*3\r\n$7\r\nPRESUME\r\n") if is_up and self.meanwhile else -1
                if at >= 0:
                    way.pass_on(target, data[:at])
                    self.meanwhile()
                    self.meanwhile = None
                    data = data[at:]
                way.pass_on(target, data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)


def read_upto(client, last, number=0):
    """Reads until the message with this number; each one follows the message before, or a notice."""
    is_marked = False
    while number != last:
        frame = client.read_value()
        if frame == [b"lagged", -1]:
            is_marked = True
            continue
        before, number = number, int(frame[-1])
        assert number == before + 1 or (is_marked and number > before), f"{number} behind {before}"
        is_marked = False


@pytest.mark.parametrize("size", [3, 100], ids=["trimmed", "whole"])
def test_a_channel_that_is_live_again_before_a_pattern(start_fanfared, size):
    """Subscribers of the pattern are told that messages are missing before they get one that comes by the channel."""
    upstream = start_fanfared("--channel", "c*", "history-size", size, "history-ttl", 600)
    with Pausing(upstream.address) as proxy, upstream.connect() as publisher:
        leaf = start_fanfared("--upstream", f"redis://127.0.0.1:{proxy.port}")
        wait_for_link(leaf)
        with leaf.client(3) as by_channel, leaf.client(3) as by_pattern:
            for client in (by_channel, by_pattern):
                client.ok("OUTBOX", "SET", "NOTIFY", "yes")
            by_channel.subscribe("c1")
            by_pattern.call("PSUBSCRIBE", "c*")
            publisher.call("PUBLISH", "c1", "1")
            read_upto(by_channel, 1)
            read_upto(by_pattern, 1)
            paused = threading.Event()

            def meanwhile():
                publisher.call("PUBLISH", "c1", "12")
                read_upto(by_channel, 12, 1)
                paused.set()

            proxy.stop()
            for n in range(2, 12):
                publisher.call("PUBLISH", "c1", str(n))
            proxy.meanwhile = meanwhile
            proxy.cut()
            assert paused.wait(seconds(20))
            wait_for_link(leaf)
            publisher.call("PUBLISH", "c1", "13")
            read_upto(by_channel, 13, 12)
            read_upto(by_pattern, 13, 1)


def push(*words):
    return b">%d\r\n" % len(words) + b"".join(b":%d\r\n" % word if isinstance(word, int) else bulk(word) for word in words)


class FalseUpstream(FalseMaster):
    """Looks like a fanfared that gives positions. Its channel c1 is live at once, before a pattern has got what it resumes."""

    HELLO = HELLO.replace(b"%7", b"%8").replace(bulk("cluster"), bulk("standalone")) + bulk("fanfare") + bulk("0.1.0")

    def usual(self, verb, words, names):
        names_at = b"".join(push(verb, name, n + 1) for n, name in enumerate(words[1:]))
        if verb == "hello":
            return self.HELLO
        if verb == "info":
            return bulk("# Server\r\nrun_id:" + "f" * 40 + "\r\nloading:0\r\n")
        if verb == "outbox":
            return b"+OK\r\n"
        if verb == "publish":
            return push("message", words[1], b"0-0 " + words[2]) + b":1\r\n"
        if verb == "history":
            return bulk("7-3" if self.count["hello"] == 1 else "7-20")
        if verb == "presume":
            verdict = "resumed" if self.count["presume"] == 1 else "subscribed"
            return b"*1\r\n*4\r\n" + bulk(words[1]) + bulk(verdict) + bulk("7-3") + b":0\r\n"
        if verb == "psubscribe" and self.count["hello"] == 2:
            return names_at + push("pmessage", "c?", "c1", "7-4 4")
        if verb == "subscribe" and words[1] == b"c1":
            return names_at + push("message", "c1", "7-9 9") + push("pmessage", "c?", "c1", "7-5 5") + push("message", "c1", "7-10 10")
        return names_at


def test_a_live_channel_that_overtakes_a_pattern_that_resumes(start_fanfared):
    with FalseUpstream() as upstream, Cutter(("127.0.0.1", upstream.port)) as cutter:
        leaf = start_fanfared("--upstream", f"redis://127.0.0.1:{cutter.port}")
        wait_for_link(leaf)
        with leaf.client(3) as by_pattern, leaf.client(3) as by_channel:
            by_pattern.ok("OUTBOX", "SET", "NOTIFY", "yes")
            by_pattern.call("PSUBSCRIBE", "c?")
            wait_until(lambda: upstream.count.get("history"), "the position is known")
            cutter.cut()
            assert by_pattern.read_value() == [b"lagged", -1]
            assert by_pattern.read_value()[-1] == b"4"
            by_channel.subscribe("c1")
            assert by_pattern.read_value() == [b"lagged", -1]
            assert [by_pattern.read_value()[-1] for _ in range(2)] == [b"9", b"10"]
