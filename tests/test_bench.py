"""fanfare bench, against redis-server and fanfared alike, and against a server with protocol faults."""

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import missing
from lib.daemon import free_port
from lib.resp import encode
from lib.wait import seconds, wait_until

OK, ERROR_REPLY, USAGE, TIMEOUT, NO_CONNECTION, FAILED = range(6)
SHORT = ("--seconds", "0.4", "--warmup", "0.1")


@pytest.fixture
def bench(fanfare_tool):
    """bench(port, *words) runs it to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FANFARE")}

    def run(port, *words):
        return subprocess.run([fanfare_tool, "-p", str(port), "bench", *map(str, words)], capture_output=True,
                              text=True, timeout=seconds(60), env=environment, check=False)
    return run


def report_of(done):
    assert done.returncode == OK, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def check_nothing_lost(total, fanout):
    assert total["due"] == total["messages"] * fanout
    assert total["delivered"] == total["due"] > 0
    assert (total["lost"], total["duplicated"], total["strays"], total["given_up"]) == (0, 0, 0, 0)


SHAPES = {
    "one channel": (["-c", 20, "-P", 16], 20),
    "resp3": (["-c", 20, "-P", 16, "--resp3"], 20),
    "half resp3": (["-c", 20, "-P", 16, "--resp3-share", 50], 20),
    "patterns": (["-c", 10, "--channels", 7, "--pattern", "-P", 16], 10),
    "a channel each": (["-c", 30, "--channels", 30, "-P", 16], 1),
    "several channels each": (["-c", 7, "--channels", 30, "-P", 16], 1),
    "several publishers": (["-c", 10, "--publishers", 8, "--channels", 5], 2),
    "a window of several pipelines": (["-c", 10, "-P", 4, "--window", 16], 10),
    "an open loop": (["-c", 10, "--rate", 500], 10),
    "large messages": (["-c", 5, "--size", 300000], 5),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_delivery_arrives_once_and_the_counts_agree(server, bench, shape):
    words, fanout = SHAPES[shape]
    report = report_of(bench(server.port, "--json", *SHORT, "--pid", server.pid, *words))
    check_nothing_lost(report["total"], fanout)
    assert 0 < report["messages_sent"] <= report["total"]["messages"]
    assert 0 < report["deliveries"] <= report["total"]["delivered"]
    assert 0 < report["latency_us"]["count"] <= report["total"]["delivered"]
    latency = report["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99_9"] <= latency["max"]
    assert report["server"]["cpu_us_per_delivery"] > 0
    assert report["server"]["resident_bytes"]["at_start"] > 100000
    assert report["generator"]["cores"] > 0


def test_exactly_so_many_messages_are_sent_as_are_asked_for(server, bench):
    before = server.client()
    published = int(before.call("INFO", "stats").split(b"total_commands_processed:")[1].split()[0])
    total = report_of(bench(server.port, "--json", "-n", 1001, "-c", 3, "-P", 10))["total"]
    assert total["messages"] == 1001
    check_nothing_lost(total, 3)
    after = int(before.call("INFO", "stats").split(b"total_commands_processed:")[1].split()[0])
    assert after - published >= 1001


def test_an_open_loop_keeps_its_rate(server, bench):
    report = report_of(bench(server.port, "--json", "--seconds", 1, "--warmup", 0.1, "--rate", 300, "-c", 2))
    # Each message has its moment, and is sent whatever comes late: so the number is that of the time.
    assert 300 * 0.9 <= report["messages_sent"] <= 300 * 1.1 * report["seconds"]


def watch(server):
    """A connection that gets all messages."""
    watcher = server.client()
    watcher.socket.settimeout(seconds(30))
    watcher.subscribe("*", kind="PSUBSCRIBE")
    return watcher


@contextlib.contextmanager
def when_it_publishes(server, act):
    """Calls act() in a thread when the benchmark has published to the server."""
    with watch(server) as watcher:
        def wait_and_act():
            watcher.read_value()
            act()
        thread = threading.Thread(target=wait_and_act)
        thread.start()
        yield
        thread.join()


def test_a_stall_of_the_server_stands_in_the_latency_of_an_open_loop(server, bench):
    def stall():
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(server.pid, signal.SIGCONT)
    with when_it_publishes(server, stall):
        report = report_of(bench(server.port, "--json", "--seconds", 1.5, "--warmup", 0.01, "--rate", 1000, "-c", 2))
    check_nothing_lost(report["total"], 2)
    assert report["latency_us"]["max"] > 200000
    # Messages that were due meanwhile were delayed too, although none was sent.
    assert report["latency_us"]["p99"] > 100000


def test_idle_state_is_set_up_and_its_memory_measured(server, bench):
    # Much, for memory comes in pages and a server starts with some of its own.
    report = report_of(bench(server.port, "--json", "-n", 10, "-c", 1, "--pid", server.pid, "--idle-channels", 50000,
                             "--idle-patterns", 50000, "--idle-connections", 200))
    check_nothing_lost(report["total"], 1)
    assert 30 < report["server"]["bytes_per_idle_subscription"] < 5000
    assert report["options"]["idle_connections"] == 200


def test_stuck_subscribers_do_not_count_as_losses(start_fanfared, bench):
    server = start_fanfared("--outbox-limit-bytes", "0", "--client-output-buffer-limit", "pubsub 0 0 0")
    report = report_of(bench(server.port, "--json", "-n", 2000, "--size", 4096, "-c", 2, "-P", 50, "--stuck", 5,
                             "--pid", server.pid))
    check_nothing_lost(report["total"], 2)
    assert report["total"]["stuck_closed"] == 0


def test_stuck_subscribers_that_the_server_closes_are_counted(start_fanfared, bench):
    server = start_fanfared("--client-output-buffer-limit", "pubsub 1mb 0 0", "--loglevel", "error")
    # The window counts the deliveries to both subscribers: at most 80 messages, a third of the limit, wait for one.
    report = report_of(bench(server.port, "--json", "-n", 4000, "--size", 4096, "-c", 2, "-P", 20, "--window", 40,
                             "--stuck", 5))
    check_nothing_lost(report["total"], 2)
    assert report["total"]["stuck_closed"] == 5


def test_no_subscriber_is_a_shape_too(server, bench):
    report = report_of(bench(server.port, "--json", *SHORT, "-c", 0, "-P", 16, "--pid", server.pid))
    assert report["deliveries"] == 0 < report["messages_sent"]
    assert report["server"]["cpu_us_per_message"] > 0


def test_the_text_for_people_has_the_same_figures(server, bench):
    # With a rate, the stuck subscriber does not come near the server's limits.
    done = bench(server.port, *SHORT, "-c", 4, "--rate", 2000, "--pid", server.pid, "--stuck", 1)
    assert (done.returncode, done.stderr) == (OK, "")
    for line in (r"deliveries +[1-9]\d* a second", r"messages +[1-9]\d* a second", r"server CPU +[\d.e+-]+ us a delivery",
                 r"server memory +[\d.]+ MiB", r"latency +p50 [\d.]+ ms, p99 [\d.]+ ms, p99.9 [\d.]+ ms, max [\d.]+ ms",
                 r"lost +0 of [1-9]\d* deliveries, 0 came twice", r"stuck +1, of which the server closed 0",
                 r"load generator +[\d.e+-]+ us a delivery"):
        assert re.search("^" + line, done.stdout, re.MULTILINE), (line, done.stdout)


@pytest.mark.parametrize("words, complaint", [
    (["--protocol", "amqp"], "--protocol"), (["--size", 15], "--size"), (["--channels", 0], "--channels"),
    (["-P", 8, "--window", 4], "--window"), (["--protocol", "nats", "--resp3"], "--resp3"), (["--insecure"], "--tls"),
    (["--prefix", "a b"], "--prefix"), (["an-operand"], "too many arguments")])
def test_a_wrong_command_line_is_refused_before_anything_is_connected(bench, words, complaint):
    done = bench(1, *words)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert complaint in done.stderr


def test_nobody_there_is_no_connection(bench):
    done = bench(free_port(), *SHORT)
    assert (done.returncode, done.stdout) == (NO_CONNECTION, "")
    assert "cannot connect" in done.stderr


def test_an_error_reply_is_shown(start_server, bench):
    done = bench(start_server("--requirepass", "secret").port, *SHORT)
    assert (done.returncode, done.stdout) == (ERROR_REPLY, "")
    assert "NOAUTH" in done.stderr


def test_a_password_opens_the_door(start_server, bench):
    check_nothing_lost(report_of(bench(start_server("--requirepass", "secret").port, "--json", *SHORT, "-c", 2,
                                       "--password", "secret"))["total"], 2)


def test_the_end_of_the_server_ends_the_run(start_fanfared, bench):
    server = start_fanfared()
    with when_it_publishes(server, server.process.terminate):
        done = bench(server.port, "--seconds", 30, "-c", 3)
    assert done.returncode == NO_CONNECTION
    assert "closed by the server" in done.stderr or "reset" in done.stderr


def test_the_deadline_of_the_run_holds(server, bench):
    done = bench(server.port, "--seconds", 30, "-c", 3, "--timeout", 0.5)
    assert done.returncode == TIMEOUT
    assert "timed out" in done.stderr


def test_an_interrupted_run_still_shows_what_it_measured(server, fanfare_tool):
    with watch(server) as watcher:
        process = subprocess.Popen([fanfare_tool, "-p", str(server.port), "bench", "--seconds", "30", "--warmup", "0.1",
                                    "--json", "-c", "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watcher.read_value()
        measured_from = time.monotonic() + 0.2
        while time.monotonic() < measured_from:
            watcher.read_value()
        for _ in range(100):  # more than a window: so some of those that are measured were delivered
            watcher.read_value()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=seconds(20))
    assert process.returncode == 130, err
    assert json.loads(out)["deliveries"] > 0


class Scripted:
    """A server that answers each new client with the same bytes, whatever it says."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
                client.sendall(self.answer)
                client.recv(1000)
            except OSError:
                return

    def close(self):
        self.listener.close()


NO_PROTOCOL = [
    ("resp", b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("nats", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("mqtt", b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("resp", b"+" + b"x" * 200000), ("nats", b"INFO " + b"x" * 200000),
    ("mqtt", b"\x90\xff\xff\xff\x7f"), ("resp", b"*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$3\r\nabc\r\n")]


@pytest.mark.parametrize("protocol, answer", NO_PROTOCOL,
                         ids=[f"{protocol}-{number}" for number, (protocol, _) in enumerate(NO_PROTOCOL)])
def test_a_server_that_speaks_something_else_is_found_out(bench, protocol, answer):
    server = Scripted(answer)
    try:
        done = bench(server.port, "--protocol", protocol, *SHORT)
    finally:
        server.close()
    assert done.returncode == NO_CONNECTION, done
    assert "does not speak this protocol" in done.stderr or "did not send" in done.stderr or "reset" in done.stderr


def test_nats_and_mqtt_logins_that_are_refused_end_it(bench):
    for protocol, answer, text in (("nats", b"INFO {}\r\n-ERR 'Authorization Violation'\r\n", "Authorization Violation"),
                                   ("mqtt", b"\x20\x02\x00\x05", "not authorized")):
        server = Scripted(answer)
        try:
            done = bench(server.port, "--protocol", protocol, *SHORT)
        finally:
            server.close()
        assert (done.returncode, done.stdout) == (ERROR_REPLY, "")
        assert text in done.stderr


def take_resp(data):
    """What stands in front of what a client has sent: (kind, what answers it, its delivery, its length), or None."""
    head = re.match(rb"\*(\d+)\r\n", data)
    if not head:
        return None
    words, at = [], head.end()
    for _ in range(int(head[1])):
        length = re.compile(rb"\$(\d+)\r\n").match(data, at)
        if not length or len(data) < length.end() + int(length[1]) + 2:
            return None
        at = length.end() + int(length[1]) + 2
        words.append(bytes(data[length.end():at - 2]))
    if words[0] == b"PING":
        return "ping", b"+PONG\r\n", b"", at
    if words[0] == b"SUBSCRIBE":
        return "subscribe", b"*3" + encode("subscribe", words[1])[2:] + b":1\r\n", b"", at
    assert words[0] == b"PUBLISH"
    return "publish", b":1\r\n", encode("message", *words[1:]), at


def take_nats(data):
    line = re.match(rb"([A-Z]+)(?: (\S+) (\d+)| \{.*\})?\r\n", data)
    if not line:
        return None
    if line[1] == b"PING":
        return "ping", b"PONG\r\n", b"", line.end()
    if line[1] != b"PUB":
        return "login" if line[1] == b"CONNECT" else "subscribe", b"", b"", line.end()
    end = line.end() + int(line[3]) + 2
    if len(data) < end:
        return None
    return "publish", b"", b"MSG %s 1 %s\r\n%s" % (line[2], line[3], data[line.end():end]), end


def take_mqtt(data):
    # No packet of these tests is longer than what one byte of length says.
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    packet = bytes(data[:2 + data[1]])
    kind, answer = {0x10: ("login", b"\x20\x02\0\0"), 0x82: ("subscribe", b"\x90\x03" + packet[2:4] + b"\0"),
                    0xC0: ("ping", b"\xd0\0"), 0x30: ("publish", b"")}[packet[0]]
    return kind, answer, packet if kind == "publish" else b"", len(packet)


class Grudging:
    """A server that answers its publishers, and delivers to its one subscriber, no more often than it was told to.

    When `until` answers were asked for, it hangs up on the subscriber. That stands behind all that it has answered
    and delivered, so what the generator makes of this is sent before the generator sees the end of the run.
    """

    TAKE = {"resp": take_resp, "nats": take_nats, "mqtt": take_mqtt}

    def __init__(self, protocol, until, answers, deliveries):
        self.protocol, self.until, self.answers, self.deliveries = protocol, until, answers, deliveries
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.unread = {}  # of each client: the bytes that are no whole request yet
        self.traces = {}  # of each publisher: "m" for a message, "?" for a ping after it
        self.subscriber = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while self.subscriber is None or self.unread:
                for key, _ in selector.select():
                    if key.fileobj is self.listener:
                        client, _ = self.listener.accept()
                        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        self.unread[client] = bytearray()
                        selector.register(client, selectors.EVENT_READ)
                        client.sendall(b"INFO {}\r\n" if self.protocol == "nats" else b"")
                    elif not self.read(key.fileobj):
                        selector.unregister(key.fileobj)
                        del self.unread[key.fileobj]
                        key.fileobj.close()
        self.listener.close()

    def read(self, client):
        """False at the end of this client."""
        unread = self.unread[client]
        try:
            data = client.recv(65536)
        except OSError:
            return False
        unread += data
        while taken := self.TAKE[self.protocol](unread):
            kind, answer, delivery, length = taken
            del unread[:length]
            with contextlib.suppress(OSError):  # the generator may have gone
                self.handle(client, kind, answer, delivery)
        return data != b""

    def handle(self, client, kind, answer, delivery):
        if kind == "subscribe":
            self.subscriber = client
        if kind != "publish" and client not in self.traces:
            client.sendall(answer)
            return
        self.traces[client] = self.traces.get(client, "") + ("m" if kind == "publish" else "?")
        if answer and self.answers > 0:
            self.answers -= 1
            client.sendall(answer)
        if delivery and self.deliveries > 0:
            self.deliveries -= 1
            self.subscriber.sendall(delivery)
        self.until -= answer != b""
        if answer and self.until == 0:
            self.subscriber.shutdown(socket.SHUT_WR)

    def all_traces(self):
        """Those of all publishers, when the last client has gone."""
        self.thread.join(seconds(20))
        assert not self.thread.is_alive()
        return list(self.traces.values())


NEVER, ALWAYS = 0, 1 << 30

# protocol, answers, deliveries, options beside a pipeline of 4; what each publisher sends
PACES = {
    "no answer": ("resp", NEVER, ALWAYS, (), ["m" * 4]),
    "not all answers": ("resp", 7, ALWAYS, (), ["m" * 8]),
    "no answer to any publisher": ("resp", NEVER, ALWAYS, ("--publishers", 3), ["m" * 4] * 3),
    "no delivery": ("resp", ALWAYS, NEVER, (), ["m" * 64]),
    "not all deliveries": ("resp", ALWAYS, 4, (), ["m" * 68]),
    "no delivery to a window of two pipelines": ("resp", ALWAYS, NEVER, ("--window", 8), ["m" * 8]),
    "no delivery to a closed loop": ("resp", ALWAYS, NEVER, ("--window", 4), ["m" * 4]),
    "not all deliveries to a closed loop": ("resp", ALWAYS, 7, ("--window", 4), ["m" * 8]),
    "nats, no answer": ("nats", NEVER, ALWAYS, (), ["mmmm?"]),
    "nats, no delivery": ("nats", ALWAYS, NEVER, (), ["mmmm?" * 16]),
    "mqtt, no answer": ("mqtt", NEVER, ALWAYS, (), ["mmmm?"]),
    "mqtt, no delivery": ("mqtt", ALWAYS, NEVER, (), ["mmmm?" * 16]),
}


@pytest.mark.parametrize("pace", PACES)
def test_publishers_wait_for_answers_to_a_pipeline_and_for_deliveries_of_a_window(bench, pace):
    protocol, answers, deliveries, words, expected = PACES[pace]
    asked = "".join(expected).count("m" if protocol == "resp" else "?")
    server = Grudging(protocol, asked, answers, deliveries)
    done = bench(server.port, "--protocol", protocol, "-c", 1, "-P", 4, "--seconds", 60, "--timeout", seconds(20),
                 *words)
    assert server.all_traces() == expected
    assert done.returncode == NO_CONNECTION, done
    assert "a subscriber: " in done.stderr


@pytest.fixture
def tls_port(start_redis, certificates):
    port = free_port()
    start_redis("--tls-port", port, "--tls-cert-file", certificates.cert("server"), "--tls-key-file",
                certificates.key("server"), "--tls-ca-cert-file", certificates.ca)
    return port


def test_tls_works_in_both_directions(tls_port, certificates, bench):
    own = ["--cert", certificates.cert("alice"), "--key", certificates.key("alice")]
    for more in (["-c", 10, "-P", 16], ["-c", 3, "--size", 300000], ["-c", 2, "--rate", 200]):
        done = bench(tls_port, "--json", *SHORT, "--tls", "--cacert", certificates.ca, *own, "--sni", "localhost", *more)
        total = report_of(done)["total"]
        assert total["lost"] == total["duplicated"] == 0 < total["delivered"]
    check_nothing_lost(report_of(bench(tls_port, "--json", *SHORT, "-c", 2, "--tls", *own, "--insecure"))["total"], 2)


def test_a_certificate_that_is_not_trusted_is_refused(tls_port, certificates, bench):
    own = ["--cert", certificates.cert("alice"), "--key", certificates.key("alice")]
    for more, status, text in ((["--cacert", certificates.ca, "--sni", "elsewhere"], NO_CONNECTION, "hostname mismatch"),
                               (["--sni", "localhost"], NO_CONNECTION, "certificate"),
                               (["--cacert", certificates.folder / "nothing.pem"], USAGE, "nothing.pem")):
        done = bench(tls_port, *SHORT, "--tls", *own, *more)
        assert (done.returncode, done.stdout) == (status, "")
        assert text in done.stderr


PEERS = {"nats": ("nats-server", "-a 127.0.0.1 -p {port}"), "mqtt": ("mosquitto", "-p {port}")}


@pytest.fixture(params=PEERS)
def peer(request):
    """(protocol, port, pid) of another broker, as the benchmark is run against."""
    program, words = PEERS[request.param]
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if path is None:
        missing(program)
    port = free_port()
    process = subprocess.Popen([path, *words.format(port=port).split()], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False
    wait_until(listens, f"{program} to listen", 10)
    yield request.param, port, process.pid
    process.terminate()
    process.wait()


@pytest.mark.parametrize("shape", [name for name in SHAPES if "resp3" not in name])
def test_other_brokers_deliver_the_same_work(peer, bench, shape):
    protocol, port, pid = peer
    words, fanout = SHAPES[shape]
    report = report_of(bench(port, "--json", "--protocol", protocol, *SHORT, "--pid", pid, *words))
    check_nothing_lost(report["total"], fanout)
    assert report["server"]["cpu_us_per_delivery"] > 0
