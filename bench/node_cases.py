"""redis-server and linked fanfared nodes: what a message costs them, without browsers."""

import contextlib
import os
import statistics
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests")]

import peers as brokers  # noqa: E402  (the path must be set first)
from readers import Readers  # noqa: E402
from lib.resp import Connection, encode  # noqa: E402

PIPELINE = 64
KEPT = ("--upstream-mode", "engine", "--channel", "*", "history-size", "100", "history-ttl", "600")  # options of nodes
DEADLINE_S = 120


class Leaf(brokers.Fanfared):
    name = "leaf"

    def __init__(self, build, engine, options=()):
        super().__init__(build)
        self.engine = engine
        self.options = options

    def arguments(self):
        # No probe comes in between.
        return [*super().arguments(), "--upstream", f"redis://127.0.0.1:{self.engine.port}", "--upstream-probe", "3600",
                "--max-subscriptions-per-client", "200000", *self.options]

    def link(self):
        with Connection(("127.0.0.1", self.port)) as connection:
            lines = connection.call("INFO", "link").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def wait(self, is_so):
        deadline = time.monotonic() + DEADLINE_S
        while not is_so(self.link()):
            if time.monotonic() > deadline:
                raise SystemExit(f"nodes: the link did not become ready: {self.link()}")
            time.sleep(0.02)


@contextlib.contextmanager
def system(build, count, turns=None, options=()):
    """redis-server and so many leaves with these options, with their links up. Turns measure a single leaf."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(brokers.Redis(build))
        leaves = [Leaf(build, engine, options) for _ in range(count)]
        for leaf in leaves:
            leaf.turns = turns
            stack.enter_context(leaf)
        for leaf in leaves:
            leaf.wait(lambda link: link["link_state"] == "up")
        yield engine, leaves


class Publisher:
    def __init__(self, broker, channel, size):
        self.connection = Connection(("127.0.0.1", broker.port))
        self.batch = encode("PUBLISH", channel, b"x" * size) * PIPELINE

    def run(self, seconds):
        """Returns the number of messages."""
        sent, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            self.connection.send(self.batch)
            for _ in range(PIPELINE):
                self.connection.read_line()
            sent += PIPELINE
        return sent

    def close(self):
        self.connection.close()


def processor_time(build, count, size, seconds, options=()):
    """Microseconds for each message: of redis-server, of the node that publishes, of each other node."""
    with system(build, count, options=options) as (engine, leaves):
        readers = [Readers(leaf.port, 1, b"news") for leaf in leaves]
        publisher = Publisher(leaves[0], b"news", size)
        try:
            total = publisher.run(seconds / 4)
            pids = [engine.pid, *(leaf.pid for leaf in leaves)]
            for leaf in leaves:
                leaf.wait(lambda link: int(link["link_received"]) == total)
            before = [brokers.cpu_seconds(pid) for pid in pids]
            sent = publisher.run(seconds)
            for leaf in leaves:
                leaf.wait(lambda link: int(link["link_received"]) == total + sent)
            spent = [(brokers.cpu_seconds(pid) - was) * 1e6 / sent for pid, was in zip(pids, before)]
        finally:
            publisher.close()
            for reader in readers:
                reader.close()
    return spent[0], spent[1], statistics.mean(spent[2:]) if count > 1 else 0


def alone(peer, build, size, seconds):
    """The same of one broker without a link."""
    with peer(build) as broker:
        readers = Readers(broker.port, 1, b"news")
        publisher = Publisher(broker, b"news", size)
        try:
            publisher.run(seconds / 4)
            before = brokers.cpu_seconds(broker.pid)
            sent = publisher.run(seconds)
            return (brokers.cpu_seconds(broker.pid) - before) * 1e6 / sent
        finally:
            publisher.close()
            readers.close()


def bytes_without_interest(build, seconds):
    """Bytes that a node gets that has no subscriber, and the number of messages meanwhile."""
    with system(build, 2) as (_, (first, second)):
        readers = Readers(first.port, 1, b"news")
        publisher = Publisher(first, b"news", 64)
        try:
            before = int(second.link()["link_input_bytes"])
            sent = publisher.run(seconds)
            first.wait(lambda link: int(link["link_received"]) == sent)
            return int(second.link()["link_input_bytes"]) - before, sent
        finally:
            publisher.close()
            readers.close()


def subscribe_again(build, names, turns, options=(), messages=0):
    """Seconds until all names are confirmed after the connection was lost; meanwhile, in ms, the longest turn of the leaf's
    loop in processor time and the longest wait for a PING. So many channels get a message before."""
    with system(build, 1, turns, options) as (engine, (leaf,)):
        subscriber = Connection(("127.0.0.1", leaf.port), timeout=DEADLINE_S)
        for at in range(0, names, 1000):
            subscriber.call("SUBSCRIBE", *(b"channel.%d" % n for n in range(at, at + 1000)))
            for _ in range(999):
                subscriber.read_value()
        for n in range(messages):
            subscriber.call("PUBLISH", b"channel.%d" % n, "x" * 64)
        waits, done = [0.0], threading.Event()

        def ping():
            with Connection(("127.0.0.1", leaf.port)) as connection:
                while not done.is_set():
                    begun = time.monotonic()
                    connection.call("PING")
                    waits.append(time.monotonic() - begun)

        thread = threading.Thread(target=ping)
        thread.start()
        try:
            turns.begin()
            with Connection(("127.0.0.1", engine.port)) as connection:
                connection.call("CLIENT", "KILL", "TYPE", "pubsub")
            leaf.wait(lambda link: link["link_state"] not in ("down", "up") or link["link_connections"] == "2")
            begun = time.monotonic()
            leaf.wait(lambda link: link["link_connections"] == "2" and link["link_waiting_names"] == "0")
            return time.monotonic() - begun, turns.figures()["turn_ms"], max(waits) * 1e3
        finally:
            done.set()
            thread.join()
            subscriber.close()


def medians(rounds, measure):
    figures = [measure() for _ in range(rounds)]
    return tuple(statistics.median(column) for column in zip(*figures))
