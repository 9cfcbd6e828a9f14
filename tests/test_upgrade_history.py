"""Kept messages and positions pass to the successor of an upgrade: readers that resume lose nothing."""

import threading
import time

import pytest

from lib.lineage import lineages_of
from lib.resp import Closed, Connection, Error
from lib.wait import seconds, wait_until

READONLY = b"READONLY Another process has taken over from this one. Connect again."


@pytest.fixture
def start_lineage(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("channel c* history-size 100000 history-ttl 600\nshutdown-grace 1\n")
    for start in lineages_of(start_fanfared):
        yield lambda *options: start("-c", path, *options)


def kept(client, channel):
    return client.call("HISTORY", "RANGE", channel, "-", "+")


def test_positions_and_messages_are_the_same_afterwards(start_lineage):
    lineage = start_lineage()
    client = lineage.daemon.client()
    for n in range(200):
        client.call("PUBLISH", f"c{n % 7}", b"x" * n * 50)
    before = [client.call("HISTORY", "POSITION"), *(kept(client, f"c{n}") for n in range(7))]
    pid = lineage.daemon.pid
    for _ in range(2):
        pid = lineage.upgrade(pid)
        with Connection(lineage.daemon.address) as newcomer:
            assert [newcomer.call("HISTORY", "POSITION"), *(kept(newcomer, f"c{n}") for n in range(7))] == before


def test_the_old_process_keeps_no_message_after_the_hand_over(start_lineage):
    lineage = start_lineage("--shutdown-grace", 600)
    client, subscriber = lineage.daemon.client(), lineage.daemon.client()
    client.call("PUBLISH", "c", "first")
    subscriber.subscribe("plain")
    lineage.upgrade()
    at = client.call("HISTORY", "POSITION")
    for command in (("PUBLISH", "c", "x"), ("PUBLISHX", "c", "x"), ("HISTORY", "DEL", "c")):
        reply = client.call(*command)
        assert isinstance(reply, Error) and reply.text == READONLY, reply
    assert client.call("PUBLISH", "plain", "y") == 1
    assert client.call("HISTORY", "POSITION") == at
    with Connection(lineage.daemon.address) as newcomer:
        newcomer.call("PUBLISH", "c", "second")
        assert [payload for _, payload in kept(newcomer, "c")] == [b"first", b"second"]
    for connection in (client, subscriber):
        connection.close()


class Worker(threading.Thread):
    """Calls step(connection) again and again; after READONLY or a closed connection it connects again."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.is_over, self.failure = address, False, None

    def run(self):
        while not self.is_over and self.failure is None:
            try:
                with Connection(self.address, timeout=60) as connection:
                    while not self.is_over and self.step(connection):
                        pass
            except (Closed, OSError):
                time.sleep(0.005)

    def end(self):
        self.is_over = True
        self.join(seconds(60))
        assert not self.is_alive() and self.failure is None, self.failure


class Publisher(Worker):
    def __init__(self, address, channel):
        super().__init__(address)
        self.channel, self.number, self.acknowledged = channel, 0, []

    def step(self, connection):
        self.number += 1
        reply = connection.call("PUBLISH", self.channel, self.number)
        if isinstance(reply, Error):
            if reply.text != READONLY:
                self.failure = reply
            return False
        self.acknowledged.append(self.number)
        return True


class Reader(Worker):
    """Reads on from the last position, across processes."""

    def __init__(self, address, channel, since):
        super().__init__(address)
        self.channel, self.since, self.seen = channel, since, []

    def step(self, connection):
        reply = connection.call("HISTORY", "READ", "BLOCK", 100, "CHANNELS", self.channel, self.since)
        if isinstance(reply, Error):
            self.failure = reply
            return False
        for position, payload in reply[0][1] if reply else ():
            self.seen.append((position, int(payload)))
            self.since = position
        return True


@pytest.mark.parametrize("loops", [1, 4])
def test_readers_that_resume_lose_nothing_through_upgrades_under_load(start_lineage, loops):
    lineage = start_lineage("--io-threads", loops)
    address = lineage.daemon.address
    with Connection(address) as client:
        since = client.call("HISTORY", "POSITION")
    channels = [f"c{n}" for n in range(3)]
    publishers = [Publisher(address, channel) for channel in channels]
    readers = [Reader(address, channel, since) for channel in channels]
    workers = [*publishers, *readers]
    for worker in workers:
        worker.start()
    pid = lineage.daemon.pid
    for _ in range(3):
        before = [len(one.seen) for one in readers]
        wait_until(lambda before=before: all(len(one.seen) > had + 50 or one.failure
                                             for one, had in zip(readers, before)), "messages", 30)
        pid = lineage.upgrade(pid)
    before = [len(one.seen) for one in readers]
    wait_until(lambda: all(len(one.seen) > had + 50 or one.failure for one, had in zip(readers, before)), "messages", 30)
    for publisher in publishers:
        publisher.end()
    for publisher, reader in zip(publishers, readers):
        last = publisher.acknowledged[-1]
        wait_until(lambda reader=reader, last=last: reader.seen[-1][1] >= last or reader.failure, "the last message", 20)
        reader.end()
        numbers = [number for _, number in reader.seen]
        assert numbers == sorted(set(numbers))
        assert not set(publisher.acknowledged) - set(numbers)
    positions = [position for reader in readers for position, _ in reader.seen]
    assert len(positions) == len(set(positions)), "a position was given twice"
    assert len({position.split(b"-")[0] for position in positions}) == 1
