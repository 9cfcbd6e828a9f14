"""Nodes of an engine through an upgrade, a restart with saved history, and many channels."""

import pytest

from lib.lineage import lineages_of
from lib.nodes import HELLO, kill_links, link, wait_for_state
from lib.resp import Error, encode
from lib.tls import Listener
from lib.wait import wait_until

KEEP = ("--channel", "k*", "history-size", 100, "history-ttl", 600)


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def options_of(redis):
    return ("--upstream", f"redis://127.0.0.1:{redis.port}", "--upstream-mode", "engine", *KEEP)


def publish(node, channel, *payloads):
    with node.connect() as client:
        for payload in payloads:
            reply = client.call("PUBLISH", channel, payload)
            assert isinstance(reply, int), reply


def position_of_newest(node, channel):
    with node.connect() as client:
        reply = client.call("HISTORY", "RANGE", channel, "-", "+")
        assert not isinstance(reply, Error), reply
        return reply[-1][0]


def resumed_from(node, position, channel="k1"):
    """The payloads behind the position."""
    with node.client(3) as client:
        verdict = client.call("RESUME", channel, position)[0]
        assert verdict[1] == b"resumed", verdict
        client.subscribe(channel)
        return [client.read_value()[2] for _ in range(verdict[3])]


@pytest.mark.parametrize(
    "busy", [False, True])
def test_an_upgrade_keeps_positions(start_fanfared, start_redis, start_lineage, busy):
    redis = start_redis()
    other = start_fanfared(*options_of(redis))
    lineage = start_lineage(*options_of(redis), "--shutdown-grace", 1)
    wait_for_state(other)
    wait_for_state(lineage.daemon)
    stays = lineage.daemon.client(3)
    stays.subscribe("k1")
    publish(other, "k1", "1", "2")
    position = position_of_newest(lineage.daemon, "k1")
    if busy:
        publish(other, "k1", *map(str, range(50)))
    lineage.upgrade()
    wait_for_state(lineage.daemon)
    publish(other, "k1", "3")
    wanted = [*(str(n).encode() for n in range(50 * busy)), b"3"]
    assert resumed_from(lineage.daemon, position) == wanted
    assert resumed_from(other, position) == wanted


def test_saved_history_of_an_earlier_process_is_not_used(start_fanfared, start_redis):
    """It lacks what was published meanwhile; the engine has it."""
    redis = start_redis()
    other = start_fanfared(*options_of(redis))
    node = start_fanfared(*options_of(redis), "--history-save", "yes")
    wait_for_state(other)
    wait_for_state(node)
    with node.client(3) as client:
        client.subscribe("k1")
        publish(other, "k1", "1")
        assert client.read_value()[2] == b"1"
    position = position_of_newest(node, "k1")
    node.stop()
    publish(other, "k1", "2")
    node.start(node.port)
    wait_for_state(node)
    assert resumed_from(node, position) == [b"2"]


def test_many_channels_are_loaded_and_filled(start_fanfared, start_redis):
    redis = start_redis()
    here, there = (start_fanfared(*options_of(redis)) for _ in range(2))
    for node in (here, there):
        wait_for_state(node)
    names = [b"k%d" % n for n in range(3000)]
    with here.connect() as publisher, there.client(3) as client:
        for name in names:
            publisher.command("PUBLISH", name, "before")
        for _ in names:
            assert publisher.read_value() == 0
        client.ok("OUTBOX", "SET", "NOTIFY", "yes")
        client.command("SUBSCRIBE", *names)
        for _ in names:
            assert client.read_value()[0] == b"subscribe"
        assert link(there)["history_channels"] == "3000"
        with redis.connect() as killer:
            lines = killer.call("CLIENT", "LIST").decode().splitlines()
            busiest = max((line for line in lines if "name=fanfare-link" in line), key=lambda line: int(line.split(" sub=")[1].split()[0]))
            killer.call("CLIENT", "KILL", "ID", busiest.split("id=")[1].split()[0])
        for name in reversed(names):
            publisher.command("PUBLISH", name, "after")
        for _ in names:
            assert isinstance(publisher.read_value(), int)
        got = [client.read_value() for _ in names]
        assert [(frame[1], frame[2]) for frame in got] == [(name, b"after") for name in reversed(names)]
    wait_until(lambda: link(there)["connections"] == "2", "it was made again")
    assert link(there)["history_resets"] == "1"


def wait_for_connections(node, count):
    wait_until(lambda: link(node)["connections"] == str(count) and link(node)["state"] == "up", f"connection {count}", 30)


def test_a_broken_link_after_a_restart_of_the_engine(start_fanfared, start_redis, folder):
    """Seqs were left out at the restart; the position behind them is valid."""
    (folder / "engine").mkdir()
    redis = start_redis("--dir", folder / "engine", "--appendonly", "yes", "--appendfsync", "always")
    node = start_fanfared(*options_of(redis))
    wait_for_state(node)
    publish(node, "k1", "1", "2")
    with node.connect() as client:
        position = client.call("HISTORY", "RANGE", "k1", "-", "+")[0][0]
    redis.kill()
    wait_for_state(node, "down")
    redis.start(redis.port)
    wait_for_connections(node, 2)
    with node.client(3) as client:
        client.subscribe("k1")
        kill_links(redis)
        wait_for_connections(node, 3)
        assert link(node)["history_resets"] == "1"
    assert resumed_from(node, position) == [b"2"]


def test_a_position_that_the_engine_has_lost_is_lost_at_a_node_that_did_not_see_it(start_fanfared, start_redis, folder):
    """The engine returns with older data, and the node whose client has newer messages is gone."""
    (folder / "engine").mkdir()
    redis = start_redis("--dir", folder / "engine")
    here, there = (start_fanfared(*options_of(redis)) for _ in range(2))
    for node in (here, there):
        wait_for_state(node)
    publish(here, "k1", "1")
    with redis.connect() as client:
        client.ok("SAVE")
    publish(here, "k1", "2", "3")
    position = position_of_newest(here, "k1")
    here.kill()
    redis.kill()
    redis.start(redis.port)
    wait_for_connections(there, 2)
    publish(there, "k1", "4")
    with there.client(3) as client:
        assert client.call("RESUME", "k1", position)[0][1] == b"lost"
        assert client.call("HISTORY", "READ", "CHANNELS", "k1", position).text.startswith(b"LOST ")


def test_a_transaction_does_not_show_a_history_that_is_not_loaded_as_empty(start_fanfared, start_redis):
    redis = start_redis()
    here, there = (start_fanfared(*options_of(redis)) for _ in range(2))
    for node in (here, there):
        wait_for_state(node)
    publish(here, "k1", "1")
    with there.client(3) as client:
        client.ok("MULTI")
        client.call("HISTORY", "LEN", "k1")
        assert client.call("EXEC")[0].text.startswith(b"ERR the history of a channel is not loaded")
        assert client.call("HISTORY", "LEN", "k1") == 1
        client.ok("MULTI")
        client.call("HISTORY", "LEN", "k1")
        assert client.call("EXEC") == [1]


def test_a_client_of_a_node_that_has_just_started_waits_for_its_link(start_fanfared, start_redis):
    redis = start_redis()
    here, there = (start_fanfared(*options_of(redis)) for _ in range(2))
    for node in (here, there):
        wait_for_state(node)
    publish(here, "k1", "1", "2")
    with here.connect() as client:
        position = client.call("HISTORY", "RANGE", "k1", "-", "+")[0][0]
    for _ in range(3):
        there.kill()
        there.start(there.port)
        assert resumed_from(there, position) == [b"2"]


def commands(connection):
    """The commands that come over a connection, as lists of words."""
    with connection.makefile("rb") as stream:
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(stream.readline()[1:])
                words.append(stream.read(size + 2)[:-2])
            yield words


class FakeEngine:
    """As much of an engine as a node with the channel k1 needs. On its second connection history begins anew, and a message comes
    before the name is confirmed."""

    SECRET = b"0" * 32
    INFO = b"run_id:someone\r\n"

    def __init__(self):
        self.connections = []
        self.listener = Listener(self.serve)

    def serve(self, connection):
        self.connections.append(connection)
        epoch, seq, scripts, names = b"%d" % len(self.connections), 0, [], set()
        for verb, *words in commands(connection):
            if verb == b"HELLO":
                reply = HELLO
            elif verb == b"INFO":
                reply = b"$%d\r\n%s\r\n" % (len(self.INFO), self.INFO)
            elif verb == b"SCRIPT":
                scripts.append(b"%040d" % len(scripts))
                reply = b"$40\r\n" + scripts[-1] + b"\r\n"
            elif verb == b"SUBSCRIBE":
                reply = b"".join(b">3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(name), name) for name in words)
                if b"k1" in words and b"k1" not in names and epoch == b"2":
                    reply += self.message(b"k1", b"\0ff1 %s 2-%d %d after" % (self.SECRET, seq + 1, seq * 2 + 2))
                names.update(words)
            elif verb == b"PUBLISH":
                reply = self.message(*words) + b":1\r\n"
            elif words[0] == scripts[0]:
                seq = int(words[-2])  # the highest one at the node
                reply = encode(epoch, seq, "same", self.SECRET, "", "0").replace(b"$4\r\nsame\r\n", b":0\r\n")
            elif words[0] == scripts[2]:
                reply = encode("k1", "0", epoch, seq + 1, "0", "0 0 0")
            else:
                reply = encode(epoch, self.SECRET)
            connection.sendall(reply)

    @staticmethod
    def message(channel, payload):
        return encode("message", channel, payload).replace(b"*", b">", 1)


def test_what_is_missing_is_told_before_a_message_of_a_history_that_begins_anew(start_fanfared):
    engine = FakeEngine()
    with engine.listener as listener:
        node = start_fanfared("--upstream", f"redis://127.0.0.1:{listener.port}", "--upstream-mode", "engine", *KEEP)
        wait_for_state(node)
        with node.client(3) as client:
            client.ok("OUTBOX", "SET", "NOTIFY", "yes")
            client.subscribe("k1")
            engine.connections[0].shutdown(2)
            assert client.read_value() == [b"lagged", -1]
            assert client.read_value() == [b"message", b"k1", b"after"]
