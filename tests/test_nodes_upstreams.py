"""What a leaf says of upstreams that are none, or that refuse it or some channels; the filter of system calls, TLS."""

import contextlib
import re
import time

import pytest

from lib.browser import EventStream, ask
from lib.daemon import free_port
from lib.edge_socket import EdgeSocket
from lib.nodes import HELLO, Nodes, kill_links, lagged_within, link, url, wait_for_error, wait_for_state
from lib.resp import encode, error
from lib.tls import Listener
from lib.tokens import SECRET, make_token
from lib.wait import wait_until

DOWN = error("CLUSTERDOWN The link to the upstream is down")
REFUSED = error("NOPERM the upstream does not let this node subscribe to one of the channels or patterns")


@pytest.fixture
def nodes(start_fanfared, start_redis):
    return Nodes(start_fanfared, start_redis())


# Upstreams that are none


@contextlib.contextmanager
def answers(*replies):
    """A server that gives these replies, one for each read."""
    def serve(connection):
        for reply in replies:
            if not connection.recv(65536):
                return
            connection.sendall(reply)
        while connection.recv(65536):
            pass
    with Listener(serve) as listener:
        yield listener.port


INFO = b"$5\r\na:b\r\n\r\n"
WRONG = {
    "not RESP": ((b"\0\1\2\3\r\n",), "does not speak RESP"),
    "HTTP": ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "does not speak RESP"),
    "RESP2 only": ((b"-ERR unknown command `HELLO`\r\n",), "Redis 6 or later is needed"),
    "no map": ((b"+OK\r\n",), "not that of Redis"),
    "a replica": ((HELLO.replace(b"master", b"slave!"[:6]).replace(b"$6\r\nslave!", b"$5\r\nslave"),), "is a replica"),
    "a number for INFO": ((HELLO + b":1\r\n",), "INFO"),
    "nonsense later": ((HELLO, INFO, b":1\r\n:1\r\n:1\r\n"), "does not fit|replied"),
    "a wrong push": ((HELLO, INFO, b">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"), "was not asked for"),
    "a short push": ((HELLO, INFO, b">2\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n"), "other items"),
    "loading": ((HELLO, INFO, b"-LOADING Redis is loading the dataset in memory\r\n"), "LOADING"),
    "deep": ((b"*1\r\n" * 50,), "does not speak RESP"),
    "huge": ((b"$99999999999\r\n",), "does not speak RESP"),
    "an escape": ((b"-ERR \x1b[2J\x07\r\n",), r"\\x1b"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_upstream_is_named_and_tried_again_more_rarely(start_fanfared, name):
    replies, text = WRONG[name]
    with answers(*replies) as port:
        leaf = start_fanfared("--upstream", url(port))
        wait_until(lambda: re.search(text, link(leaf)["last_error"]), text)
        wait_until(lambda: leaf.log().count("is down: ") == 1, "one line of the log")
        with leaf.connect() as client:
            assert client.call("PUBLISH", "a", "x") == DOWN
            assert client.subscribe("a") == 1


def test_the_delays_between_attempts_grow_and_one_line_is_logged(start_fanfared):
    times = []

    def serve(connection):
        times.append(time.monotonic())
        connection.recv(65536)
        connection.sendall(b"nonsense\r\n")

    with Listener(serve) as listener:
        leaf = start_fanfared("--upstream", url(listener.port))
        wait_until(lambda: len(times) >= 5, "attempts", 30)
        assert times[4] - times[3] > times[1] - times[0]
        assert leaf.log().count("is down: ") == 1


def test_nothing_listens(start_fanfared):
    leaf = start_fanfared("--upstream", url(free_port()))
    wait_for_error(leaf, "Connection refused")
    with leaf.connect() as client:
        assert client.info("link")["link_mode"] == "leaf"
        assert client.call("CONFIG", "SET", "upstream", "") != b"OK"


def test_a_name_that_cannot_be_looked_up(start_fanfared):
    leaf = start_fanfared("--upstream", "redis://nohost.invalid:1")
    wait_for_error(leaf, "look up nohost.invalid:1")


def test_an_upstream_that_is_a_replica(nodes, start_redis):
    replica = start_redis("--replicaof", f"127.0.0.1 {nodes.upstream.port}")
    leaf = nodes.leaf(port=replica.port, waits=False)
    wait_for_error(leaf, "the upstream is a replica")


def test_an_upstream_that_becomes_a_replica_and_a_master_again(nodes, start_redis):
    leaf = nodes.leaf("--upstream-probe", 1)
    with nodes.upstream.connect() as admin:
        admin.ok("REPLICAOF", "127.0.0.1", start_redis().port)
        wait_for_error(leaf, "the upstream is a replica")
        admin.ok("REPLICAOF", "NO", "ONE")
        wait_for_state(leaf)


def test_a_node_that_is_its_own_upstream(start_fanfared):
    port = free_port()
    leaf = start_fanfared("--upstream", url(port), port=port)
    wait_for_error(leaf, "the upstream is this server itself")
    assert leaf.log().count("is down: ") <= 2  # before it listened, it was refused


def test_leaves_that_are_linked_in_a_circle(start_fanfared):
    ports = free_port(), free_port()
    leaves = [start_fanfared("--upstream", url(ports[1 - n]), port=ports[n]) for n in range(2)]
    for leaf in leaves:
        wait_for_error(leaf, "the upstream is a leaf itself")


# Users


def test_a_password(start_fanfared, start_redis):
    redis = start_redis("--requirepass", "sec:ret/%1")
    good = start_fanfared("--upstream", url(redis.port, login=":sec%3Aret%2F%251@"))
    wait_for_state(good)
    for login, text in (("", "NOAUTH"), (":wrong-one@", "WRONGPASS"), ("nobody:sec%3Aret%2F%251@", "WRONGPASS")):
        leaf = start_fanfared("--upstream", url(redis.port, login=login))
        wait_for_error(leaf, text)
        assert "later is needed" not in link(leaf)["last_error"], "a wrong password is no old server"
        assert "wrong-one" not in leaf.log() and "sec:ret" not in leaf.log() and "sec%3A" not in leaf.log()


@pytest.fixture
def limited(start_fanfared, start_redis):
    """A leaf whose user at the upstream may use some channels only, and the admin there."""
    redis = start_redis()
    with redis.connect() as admin:
        admin.ok("ACL", "SETUSER", "edge", "on", ">x", "resetchannels", "&ok*", "&__fanfare__:probe:*", "+@all")
        leaf = Nodes(start_fanfared, redis).browsed("--token-hmac-secret", SECRET, login="edge:x@")
        yield leaf, admin


def test_a_channel_that_the_upstream_refuses(limited):
    leaf, admin = limited
    good, bad = leaf.client(3), leaf.client(2)
    good.subscribe(*(f"ok{n}" for n in range(600)))
    for words in (("SUBSCRIBE", "no"), ("SUBSCRIBE", "ok1", "no", "ok2"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "no"),
                  ("QSUBSCRIBE", "g", "no"), ("SUBSCRIBE", *(f"ok{n}" for n in range(1000)), "no")):
        assert bad.call(*words) == REFUSED, words
    # At once: names of others that go in one command with a refused one are not refused.
    clients = [leaf.connect() for _ in range(20)]
    for n, client in enumerate(clients):
        client.command("SUBSCRIBE", f"no:{n}" if n % 2 else f"ok:{n}")
    for n, client in enumerate(clients):
        assert client.read_value() == (REFUSED if n % 2 else [b"subscribe", b"ok:%d" % n, 1])
    assert bad.call("PING") == b"PONG"
    assert bad.subscribe("ok7") == 1
    admin.call("PUBLISH", "ok7", "x")
    assert bad.read_value() == good.read_value() == [b"message", b"ok7", b"x"]
    figures = link(leaf)
    assert figures["connections"] == "1" and int(figures["refused_names"]) >= 12 and figures["state"] == "up"
    assert leaf.log().count("refuses a message or a subscription: NOPERM") >= 1


def test_browsers_are_told_that_the_upstream_refuses_a_channel(limited):
    leaf, admin = limited
    for target in ("channel=no", "channel=ok1&channel=no", "pattern=n*&channel=ok1"):
        response = ask(leaf.http_port, "GET", "/sse?" + target)
        assert response.status == 403 and b"does not let this node subscribe" in response.body
    with EdgeSocket(leaf.http_port) as ws:
        ws.call("connect")
        assert ws.call("subscribe", channel="no") == ws.call("subscribe", channel="glob:*") == {"error": 103}
        assert ws.call("subscribe", channel="ok1") == {}
        admin.call("PUBLISH", "ok1", "1")
        assert ws.publication("ok1")["data"] == 1
    with EdgeSocket(leaf.http_port) as ws:
        ws.send_json({"id": 1, "connect": {"token": make_token(sub="u", exp=2 ** 31, channels=["ok1", "no"])}})
        assert ws.close_code() == 3507
    with EventStream(leaf.http_port, "/sse?channel=ok1") as stream:
        stream.block()
        admin.call("PUBLISH", "ok1", "2")
        assert stream.event().data == "2"


def test_messages_that_the_upstream_refuses_are_counted_and_logged(limited):
    leaf, admin = limited
    before = int(link(leaf)["refused"])
    with leaf.connect() as client:
        client.send(b"".join(encode("PUBLISH", "no" if n % 2 else "ok", "x") for n in range(1000)))
        for n in range(1000):
            reply = client.read_value()
            assert b"NOPERM" in reply.text if n % 2 else reply == 0
    wait_until(lambda: int(link(leaf)["refused"]) == before + 500, "500 refused messages")
    assert 1 <= leaf.log().count("refuses a message") <= 20
    assert link(leaf)["state"] == "up"


def test_a_command_with_several_messages_fails_if_one_is_refused(limited):
    leaf, _ = limited
    with leaf.connect() as client:
        script = "redis.call('PUBLISH', 'no', 'x') return redis.call('PUBLISH', 'ok', 'x')"
        for command in (["MPUBLISH", "ok1", "a", "no", "b", "ok2", "c"], ["EVAL", script, 0]):
            assert b"NOPERM" in client.call(*command).text
        client.ok("MULTI")
        client.command("PUBLISH", "ok", "x")
        client.command("PUBLISH", "no", "x")
        client.command("PUBLISH", "ok", "x")
        client.command("EXEC")
        client.command("GET", "k")
        assert [client.read_value() for _ in range(3)] == [b"QUEUED"] * 3
        assert b"NOPERM" in client.read_value().text
        assert client.read_value() is None


def test_a_user_without_the_channel_of_probes(start_fanfared, start_redis):
    redis = start_redis()
    with redis.connect() as admin:
        admin.ok("ACL", "SETUSER", "edge", "on", ">x", "resetchannels", "&ok*", "+@all")
    leaf = start_fanfared("--upstream", url(redis.port, login="edge:x@"))
    wait_for_error(leaf, "__fanfare__:probe:*")


def test_rights_that_are_taken_away(limited):
    """Redis kills a client that has lost the right to one of its channels."""
    leaf, admin = limited
    client = leaf.client(3)
    client.ok("OUTBOX", "SET", "NOTIFY", "yes")
    client.subscribe("ok1", "ok2")
    admin.ok("ACL", "SETUSER", "edge", "resetchannels", "&ok1", "&__fanfare__:probe:*")
    assert lagged_within(client) == []
    wait_for_state(leaf)
    admin.call("PUBLISH", "ok1", "x")
    assert client.read_value() == [b"message", b"ok1", b"x"]
    assert link(leaf)["refused_names"] == "1"


# The filter of system calls, TLS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_under_the_filter_a_leaf_connects_again_and_again(nodes, start_fanfared, host):
    leaf = start_fanfared("--upstream", url(nodes.upstream.port, host=host), "--seccomp", "kill",
                          env={"ASAN_OPTIONS": "detect_leaks=0"})
    wait_for_state(leaf)
    kill_links(nodes.upstream)
    wait_until(lambda: link(leaf)["connections"] == "2", "a second connection")
    nodes.upstream.kill()
    wait_for_error(leaf, "Connection refused")
    nodes.upstream.start(nodes.upstream.port)
    wait_for_state(leaf)


def test_tls(start_tls_server, start_fanfared, certificates):
    upstream = start_tls_server()
    ca = ("--upstream-tls-ca-cert-file", certificates.ca)
    for host, more in (("localhost", ()), ("127.0.0.1", ()), ("localhost", ("--upstream-tls-name", "fan.example.org"))):
        leaf = start_fanfared("--upstream", url(upstream.tls_port, host, "rediss"), *ca, *more)
        wait_for_state(leaf)
        with leaf.connect() as client, leaf.connect() as publisher:
            client.subscribe("a")
            for size in (0, 1, 16384, 3000000):
                publisher.call("PUBLISH", "a", b"x" * size)
                assert client.read_value() == [b"message", b"a", b"x" * size]
            for n in range(300):
                publisher.command("PUBLISH", "a", b"%d" % n * 1000)
            for n in range(300):
                assert client.read_value()[2] == b"%d" % n * 1000


def test_tls_with_what_is_not_trusted(start_tls_server, start_fanfared, certificates):
    upstream = start_tls_server()
    here = url(upstream.tls_port, "localhost", "rediss")
    ca = ("--upstream-tls-ca-cert-file", certificates.ca)
    for address, options, text in (
            (here, (*ca, "--upstream-tls-name", "wrong.example.org"), "ostname"),
            (here, ("--upstream-tls-ca-cert-file", certificates.other / "ca.pem"), "verify failed|certificate"),
            (here, (), "verify failed|certificate"),
            (url(upstream.port, "localhost", "rediss"), ca, "TLS handshake|not done|closed")):
        leaf = start_fanfared("--upstream", address, *options)
        wait_until(lambda leaf=leaf, text=text: re.search(text, link(leaf)["last_error"]), text)
        assert link(leaf)["connections"] == "0"
    leaf = start_fanfared("--upstream", url(upstream.tls_port, "localhost"))
    wait_until(lambda: link(leaf)["last_error"], "an error")


def test_an_upstream_that_never_answers(start_fanfared):
    """Listens, and says nothing: HELLO has ten seconds."""
    with Listener(lambda connection: [None for _ in iter(lambda: connection.recv(65536), b"")]) as listener:
        leaf = start_fanfared("--upstream", url(listener.port))
        wait_for_state(leaf, "greeting")
        with leaf.connect() as client:
            assert client.call("PUBLISH", "a", "x") == DOWN
            assert client.subscribe("a") == 1
        wait_for_error(leaf, "does not answer HELLO", 15)
