"""Libraries through restarts of the daemon: a loop of HISTORY READ BLOCK, sent as a raw command, and RESUME with SUBSCRIBE of
three channels. Every message that was acknowledged arrives, in order, or the client is told that some are lost."""

import os
import pathlib
import sys
import threading

import pytest

from lib.lineage import lineages_of
from lib.program import Program
from lib.resp import Closed, Connection, Error
from lib.wait import seconds, wait_until

TESTS = pathlib.Path(__file__).parent
CHANNELS = [b"orders", b"payments", b"shipments"]
LIBRARIES = ["redis-py", "ioredis", "node-redis-RESP2", "node-redis-RESP3", "hiredis"]
CONFIGURATION = "history-save yes\nshutdown-grace 1\nchannel [ops]* history-size 100000 history-ttl 600\n"


@pytest.fixture(params=LIBRARIES)
def start_client(request):
    """start_client(port, mode): one that prints what it gets."""
    started = []

    def start(port, mode):
        environment = dict(os.environ)
        if request.param == "redis-py":
            words = [sys.executable, TESTS / "lib" / "resuming_client.py"]
        elif request.param == "hiredis":
            words = [request.getfixturevalue("hiredis_client")]
        else:
            words = ["node", TESTS / "js" / "resuming_client.js", request.param]
            environment["NODE_PATH"] = str(request.getfixturevalue("node_modules"))
        started.append(Program(*words, port, mode, *[name.decode() for name in CHANNELS], env=environment))
        return started[-1]

    yield start
    for program in started:
        program.__exit__()


class Publisher(threading.Thread):
    """Publishes 1, 2, 3 ... to the channels in turn, and connects again if it must. A number of which it is not known whether
    it was published is not published again."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.number, self.is_over, self.failure = address, 0, False, None
        self.acknowledged = {name: [] for name in CHANNELS}

    def run(self):
        while not self.is_over and self.failure is None:
            try:
                with Connection(self.address) as connection:
                    while not self.is_over and self.publish(connection):
                        pass
            except (Closed, OSError):
                pass

    def publish(self, connection):
        channel = CHANNELS[self.number % 3]
        self.number += 1
        reply = connection.call("PUBLISH", channel, self.number)
        if isinstance(reply, Error):
            if not reply.text.startswith((b"READONLY", b"LOADING")):
                self.failure = reply
            return False
        self.acknowledged[channel].append(self.number)
        return True

    def end(self):
        self.is_over = True
        self.join(seconds(30))
        assert not self.is_alive() and self.failure is None, self.failure


class Reader:
    """What a program has printed: the numbers of each channel, with None where some are lost."""

    def __init__(self, program):
        self.program = program
        self.got = {name: [] for name in CHANNELS}

    def count(self):
        while not self.program.lines.empty():
            line = self.program.line()
            assert line is not None, self.program.errors.decode()
            channel, _, word = line.partition(b" ")
            self.got[channel].append(None if word == b"lost" else int(word))
        return min(sum(number is not None for number in numbers) for numbers in self.got.values())

    def losses(self):
        self.count()
        return min(numbers.count(None) for numbers in self.got.values())

    def last(self, channel):
        self.count()
        return next((number for number in reversed(self.got[channel]) if number is not None), 0)


def missing(acknowledged, got):
    """The acknowledged numbers that neither came nor were reported as lost; numbers come in order and once."""
    silently, at = [], 0
    is_lost = False
    for number in got:
        if number is None:
            is_lost = True
            continue
        passed = []
        while at < len(acknowledged) and acknowledged[at] < number:
            passed.append(acknowledged[at])
            at += 1
        if not is_lost:
            silently += passed
        is_lost = False
        at += at < len(acknowledged) and acknowledged[at] == number
    return silently + acknowledged[at:]


class Graceful:
    """Each kind: the daemon is restarted in this way; may it lose messages?"""

    may_lose = False

    def __init__(self, start, path):
        self.start, self.path = start, path
        self.daemon = start("-c", path)

    def restart(self):
        self.daemon.stop()
        self.daemon = self.start("-c", self.path, port=self.daemon.port)


class Crash(Graceful):
    may_lose = True

    def restart(self):
        self.daemon.kill()
        self.daemon = self.start("-c", self.path, port=self.daemon.port)


class Upgrade(Graceful):
    def __init__(self, start, path):
        self.lineage = start("-c", path)
        self.daemon, self.serving = self.lineage.daemon, self.lineage.daemon.pid

    def restart(self):
        self.serving = self.lineage.upgrade(self.serving)


@pytest.fixture(params=[Graceful, Crash, Upgrade])
def server(request, folder, start_fanfared):
    path = folder / "fanfared.conf"
    path.write_text(CONFIGURATION)
    if request.param is not Upgrade:
        yield request.param(start_fanfared, path)
        return
    for start in lineages_of(start_fanfared):
        yield Upgrade(start, path)


@pytest.mark.parametrize("mode", ["read", "subscribe"])
def test_a_library_gets_every_message_or_is_told(server, start_client, mode):
    reader = Reader(start_client(server.daemon.port, mode))
    publisher = Publisher(server.daemon.address)
    publisher.start()
    for _ in range(3):
        had = reader.count()
        wait_until(lambda had=had: reader.count() > had + 20 or publisher.failure, "messages", 30)
        losses = reader.losses()
        server.restart()
        wait_until(lambda losses=losses: not server.may_lose or reader.losses() > losses, "the client is told", 30)
    had = reader.count()
    wait_until(lambda: reader.count() > had + 20 or publisher.failure, "messages", 30)
    publisher.end()
    for channel, acknowledged in publisher.acknowledged.items():
        wait_until(lambda channel=channel, last=acknowledged[-1]: reader.last(channel) >= last, f"{channel} {acknowledged[-1]}; {reader.last(channel)} came", 30)
        numbers = [number for number in reader.got[channel] if number is not None]
        assert numbers == sorted(set(numbers))
        assert not missing(acknowledged, reader.got[channel])
        assert server.may_lose or None not in reader.got[channel]
