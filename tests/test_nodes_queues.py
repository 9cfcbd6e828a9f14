"""Queue groups with members at several nodes of an engine: each kept message goes to one member of all nodes."""

import collections
import os
import signal
import threading
import time

import pytest

from lib.nodes import Nodes, kill_links, link, wait_for_state
from lib.resp import Closed, Error
from lib.wait import seconds, wait_until

KEEP = ("--channel", "k*", "history-size", 10000, "history-ttl", 600)


class EngineNodes(Nodes):
    def node(self, *options, **more):
        return self.leaf("--upstream-mode", "engine", *KEEP, *options, **more)


@pytest.fixture
def nodes(start_fanfared, start_redis):
    return EngineNodes(start_fanfared, start_redis())


class Member(threading.Thread):
    """A member of a queue group; got are the numbers that it was sent, in their order."""

    def __init__(self, node, *names, group="g", version=3, starts=True):
        super().__init__(daemon=True)
        self.got, self.marks = [], 0
        self.client = node.client(version)
        if version == 3:
            self.client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        for name in names:
            if name.startswith("$queue/"):
                self.client.subscribe(name, kind="PSUBSCRIBE" if "*" in name else "SUBSCRIBE")
            else:
                self.client.command("QSUBSCRIBE", group, name)
                reply = self.client.read_value()
                assert not isinstance(reply, Error), reply
        if starts:
            self.start()

    def run(self):
        try:
            while True:
                frame = self.client.read_value()
                if frame[0] == b"lagged":
                    self.marks += 1
                else:
                    self.got.append(int(frame[-1][-8:]))
        except (OSError, Closed):
            pass

    def leave(self):
        self.client.abandon()


def publish(node, channel, first, count):
    """In a pipeline; each is accepted."""
    with node.connect() as client:
        for start in range(first, first + count, 500):
            numbers = range(start, min(start + 500, first + count))
            for number in numbers:
                client.command("PUBLISH", channel, number)
            for _ in numbers:
                reply = client.read_value()
                assert isinstance(reply, int), reply


def count_of(members):
    return sum(len(member.got) for member in members)


def assert_each_once(members, last, within=20):
    """1 to last came, each to one member, and to each member in their order."""
    wait_until(lambda: count_of(members) >= last, f"{last} messages", within)
    numbers = collections.Counter(number for member in members for number in member.got)
    assert numbers == collections.Counter(range(1, last + 1))
    for member in members:
        assert member.got == sorted(member.got)


def assert_nothing_waits(*servers):
    for server in servers:
        wait_until(lambda: link(server)["claims_waiting"] == "0", "no claims")


def test_each_message_goes_to_one_member_of_all_nodes(nodes):
    all_nodes = [nodes.node() for _ in range(3)]
    members = [Member(node, "k1") for node in all_nodes for _ in range(2)]
    for i in range(3):
        publish(all_nodes[i], "k1", 1 + i * 1000, 1000)
    assert_each_once(members, 3000)
    assert_nothing_waits(*all_nodes)
    shares = [int(link(node)["claims"]) for node in all_nodes]
    assert sum(shares) == 3000 and min(shares) > 500, shares
    assert [link(node)["claims_dropped"] for node in all_nodes] == ["0"] * 3


def test_a_group_at_one_node_does_not_wait_for_others(nodes):
    here, there = nodes.node(), nodes.node()
    member = Member(here, "k1", starts=False)
    wait_until(lambda: int(link(here)["sent"]) >= 0, "the link")
    with there.connect() as client:
        began = time.monotonic()
        for number in range(50):
            client.call("PUBLISH", "k1", number)
            assert member.client.read_value()[-1] == str(number).encode()
    assert time.monotonic() - began < seconds(2.5)  # claims out of turn take 5 s


def test_messages_that_are_not_kept_go_to_one_member_at_each_node(nodes):
    here, there = nodes.node(), nodes.node()
    members = [Member(node, "plain") for node in (here, here, there)]
    publish(there, "plain", 1, 100)
    wait_until(lambda: count_of(members) == 200, "the messages of both nodes")
    assert sorted(members[0].got + members[1].got) == sorted(members[2].got) == list(range(1, 101))
    assert link(here)["claims"] == "0"


def test_groups_of_patterns_and_queue_names_are_shared_too(nodes):
    here, there, publisher = (nodes.node("--queue-groups", "yes") for _ in range(3))
    patterns = [Member(here, "k*"), Member(there, "$queue/g/k*")]
    names = [Member(here, "$queue/h/k1", version=2), Member(there, "k1", group="h")]
    other = Member(there, "k1", group="i")
    with publisher.connect() as client:
        for number in range(1, 301):
            client.call("PUBLISH", f"k{number % 3}", number)
    assert_each_once(patterns, 300)
    assert all(len(member.got) > 50 for member in patterns)
    expected = [number for number in range(1, 301) if number % 3 == 1]
    wait_until(lambda: count_of(names) >= 100 and len(other.got) >= 100, "messages of the channel")
    assert sorted(names[0].got + names[1].got) == other.got == expected
    assert all(len(member.got) > 10 for member in names)


def test_a_node_that_hangs_or_fails_leaves_its_messages_to_others(nodes):
    all_nodes = [nodes.node() for _ in range(3)]
    members = [Member(node, "k1") for node in all_nodes]
    publish(all_nodes[0], "k1", 1, 300)
    assert_each_once(members, 300)
    assert_nothing_waits(*all_nodes)
    os.kill(all_nodes[2].pid, signal.SIGSTOP)
    publish(all_nodes[0], "k1", 301, 300)
    assert_each_once(members, 600)
    os.kill(all_nodes[2].pid, signal.SIGCONT)
    assert_nothing_waits(*all_nodes)
    publish(all_nodes[0], "k1", 601, 300)
    assert_each_once(members, 900)
    os.kill(all_nodes[2].pid, signal.SIGSTOP)
    publish(all_nodes[0], "k1", 901, 300)
    all_nodes[2].kill()
    publish(all_nodes[0], "k1", 1201, 300)
    assert_each_once(members, 1500)


def test_a_node_that_fails_in_the_middle_loses_what_it_had_claimed(nodes):
    all_nodes = [nodes.node() for _ in range(3)]
    members = [Member(node, "k1") for node in all_nodes]
    publisher = threading.Thread(target=publish, args=(all_nodes[0], "k1", 1, 6000))
    publisher.start()
    wait_until(lambda: count_of(members) > 1000, "some messages")
    all_nodes[2].kill()
    publisher.join(seconds(20))
    publish(all_nodes[0], "k1", 6001, 1)
    wait_until(lambda: any(6001 in member.got for member in members), "the last message")
    assert_nothing_waits(*all_nodes[:2])
    numbers = collections.Counter(number for member in members for number in member.got)
    assert max(numbers.values()) == 1
    assert 6001 - len(numbers) <= 2048 and all(member.got == sorted(member.got) for member in members)


def cut_links(upstream, keeps):
    """Ends the links at the upstream, but those with these ids."""
    with upstream.connect() as admin:
        for client in admin.client_list():
            if client["name"] == "fanfare-link" and client["id"] not in keeps:
                admin.call("CLIENT", "KILL", "ID", client["id"])


def test_nothing_is_lost_or_comes_twice_when_links_break(nodes):
    publisher = nodes.node()
    with nodes.upstream.connect() as admin:
        keeps = {client["id"] for client in admin.client_list() if client["name"] == "fanfare-link"}
    members = [Member(node, "k1") for node in (nodes.node(), nodes.node(), publisher)]
    thread = threading.Thread(target=publish, args=(publisher, "k1", 1, 6000))
    thread.start()
    for part in range(1, 6):
        wait_until(lambda: count_of(members) > part * 800, "some messages")
        cut_links(nodes.upstream, keeps)
    thread.join(seconds(20))
    assert_each_once(members, 6000, within=30)
    assert all(member.marks == 0 for member in members)


def test_members_without_room_leave_messages_to_other_nodes(nodes):
    options = ("--outbox-limit-bytes", "4mb", "--outbox-policy", "drop-newest")
    here, there = nodes.node(*options), nodes.node(*options)
    slow, fast = Member(here, "k1", starts=False), Member(there, "k1")
    fill = "0" * 10000  # half of the messages are more than the outbox and the buffers of the sockets hold
    with there.connect() as client:
        for first in range(1, 4001, 100):
            for number in range(first, first + 100):
                client.command("PUBLISH", "k1", f"{fill}{number}")
            for _ in range(100):
                client.read_value()
            assert_nothing_waits(there)
    slow.start()
    assert_each_once([slow, fast], 4000)
    assert len(fast.got) > len(slow.got)


def test_a_group_goes_on_after_the_engine_has_lost_its_data(nodes):
    here, there = nodes.node(), nodes.node()
    members = [Member(here, "k1"), Member(there, "k1")]
    publish(here, "k1", 1, 100)
    assert_each_once(members, 100)
    assert_nothing_waits(here, there)  # what nobody has claimed yet could come twice
    with nodes.upstream.connect() as client:
        client.ok("FLUSHALL")
    kill_links(nodes.upstream)
    for node in (here, there):
        wait_for_state(node)
    wait_until(lambda: link(here)["history_resets"] == "2", "the new history")
    publish(here, "k1", 101, 100)
    assert_each_once(members, 200)
