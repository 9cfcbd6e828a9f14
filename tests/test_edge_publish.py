"""POST /pub/CHANNEL: what is published, what is refused and why, and what a publisher waits for."""

import json
import re
import urllib.parse

import pytest

from lib.browser import Http, ask, open_stream, serve_browsers
from lib.resp import Connection
from lib.wait import wait_until

POSITION = re.compile(r"\d+-\d+")


@pytest.fixture
def serve(start_fanfared):
    return lambda *options, **more: serve_browsers(start_fanfared, *options, **more)


@pytest.fixture
def served(serve):
    return serve()


def publish(port, channel, body=b"x", headers=()):
    """The answer as JSON, with its status."""
    response = ask(port, "POST", "/pub/" + urllib.parse.quote(channel, safe=""), headers, body)
    assert response.headers["content-type"] == "application/json"
    return response.status, json.loads(response.body)


def text(answer):
    return answer[0], answer[1]["error"]


def test_the_answer_has_receivers_and_a_position(serve):
    served = serve("--channel", "kept", "history-size", 10, "history-ttl", 60)
    subscriber, pattern = served.server.connect(), served.server.connect()
    subscriber.subscribe("news", "kept")
    pattern.subscribe("*", kind="PSUBSCRIBE")
    stream = served.stream("/sse?channel=news")
    assert publish(served.port, "news") == (200, {"receivers": 3})
    assert publish(served.port, "nobody") == (200, {"receivers": 1})
    status, answer = publish(served.port, "kept", b"y")
    assert (status, answer["receivers"]) == (200, 2) and POSITION.fullmatch(answer["position"])
    assert served.server.connect().call("HISTORY", "POSITION") == answer["position"].encode()
    assert stream.event().data == "x"
    assert [subscriber.read_value() for _ in range(2)] == [[b"message", b"news", b"x"], [b"message", b"kept", b"y"]]
    stream.close()


@pytest.mark.parametrize("body", [
    b"", bytes(range(256)), b"\r\n\r\n", b"\0", b"a=b&c=%20+", b"\xff\xfe", b'{"a":1}', b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"x" * 100000, bytes(range(256)) * 4096], ids=lambda body: f"{len(body)} bytes")
def test_a_body_arrives_byte_for_byte(served, body):
    subscriber = served.server.client(3)
    subscriber.subscribe("a")
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/json"}):
        assert publish(served.port, "a", body, headers) == (200, {"receivers": 1})
        assert subscriber.read_value() == [b"message", b"a", body]
    with Http(served.port) as http:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + 1000]), body[at:at + 1000]) for at in range(0, len(body), 1000))
        http.send(b"POST /pub/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert http.read_response().status == 200
    assert subscriber.read_value() == [b"message", b"a", body]


def test_without_a_length_the_body_is_empty(served):
    subscriber = served.server.connect()
    subscriber.subscribe("a")
    assert served.ask("POST", "/pub/a").status == 200
    assert subscriber.read_value() == [b"message", b"a", b""]


@pytest.mark.parametrize("channel", ["a b", "ä€", "a+b", "a?b", "a#b", "..", ".", "a:b;c=d", "%", "a\r\nb", "x" * 1000])
def test_names_are_decoded(served, channel):
    subscriber = served.server.connect()
    subscriber.subscribe(channel)
    assert publish(served.port, channel) == (200, {"receivers": 1})
    assert subscriber.read_value() == [b"message", channel.encode(), b"x"]


def test_a_name_may_have_slashes_that_are_not_encoded(served):
    subscriber = served.server.connect()
    subscriber.subscribe("a/b", "a+b", "a//")
    for path in ("a/b", "a+b", "a//"):
        assert served.ask("POST", "/pub/" + path, body=b"x").status == 200
        assert subscriber.read_value() == [b"message", path.encode(), b"x"]


def test_wrong_names_are_refused(serve):
    served = serve("--max-channel-length", 100)
    assert publish(served.port, "x" * 100)[0] == 200
    assert text(publish(served.port, "x" * 101)) == (400, "channel name too long (max-channel-length 100)")
    assert text(publish(served.port, "a/b")) == (400, "invalid path")
    assert text(publish(served.port, "a\0b")) == (400, "invalid path")
    assert publish(served.port, "")[0] == 404


def test_the_same_key_publishes_once(serve):
    served = serve("--channel", "kept", "history-size", 10, "history-ttl", 60)
    subscriber = served.server.connect()
    subscriber.subscribe("kept", "news")
    key = {"X-Idempotency-Key": "order-17"}
    first = publish(served.port, "kept", b"1", key)
    again = publish(served.port, "kept", b"2", key)
    assert first == (200, {"receivers": 1, "position": first[1]["position"]})
    assert again == (200, {**first[1], "duplicate": True})
    assert publish(served.port, "news", b"3", key) == (200, {"receivers": 1})  # keys are of a channel
    assert publish(served.port, "kept", b"4", {"X-Idempotency-Key": ""})[1].get("duplicate") is None
    assert [subscriber.read_value()[2] for _ in range(3)] == [b"1", b"3", b"4"]
    # The same key of PUBLISHX.
    reply = served.server.client(3).call("PUBLISHX", "kept", "5", "IDKEY", "order-17", "RESULT")
    assert reply[b"duplicate"] == 1, reply
    assert publish(served.port, "kept", b"6", {"X-Idempotency-Key": "k" * 256})[0] in (200, 400)
    status, error = text(publish(served.port, "kept", b"6", {"X-Idempotency-Key": "k" * 10000}))
    assert status == 400 and error.startswith("X-Idempotency-Key must have 1 to ")


def test_a_key_is_not_kept_for_a_message_that_was_refused(serve):
    served = serve("--channel", "small", "max-message", 2)
    key = {"X-Idempotency-Key": "k"}
    assert publish(served.port, "small", b"abc", key)[0] == 413
    assert publish(served.port, "small", b"ab", key) == (200, {"receivers": 0})


def test_rights_are_those_of_publish(serve):
    served = serve(rights="edge on nopass resetchannels &public.* +publish".split())
    assert publish(served.port, "public.a")[0] == 200
    assert text(publish(served.port, "secret")) == (403, "no permission to publish to channel 'secret'")
    client = served.server.connect()
    client.ok("ACL", "SETUSER", "edge", "-publish")
    assert publish(served.port, "public.a")[0] == 403
    client.ok("ACL", "SETUSER", "edge", "+publish")
    assert publish(served.port, "public.a")[0] == 200
    client.ok("ACL", "SETUSER", "edge", "off")
    assert publish(served.port, "public.a")[0] in (401, 403)


@pytest.mark.parametrize("name, shown", [(b"\xff", "\ufffd"), (b"a\xc3", "a\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3),
                                         ("a" + "\xe9" * 64, "a" + "\xe9" * 63 + "\ufffd")])
def test_a_refused_name_need_not_be_utf8_nor_short(serve, name, shown):
    served = serve(rights="edge on nopass resetchannels &public.* +publish +subscribe".split())
    assert text(publish(served.port, name)) == (403, f"no permission to publish to channel '{shown}'")
    response = served.ask("GET", "/sse?channel=" + urllib.parse.quote(name, safe=""))
    assert (response.status, json.loads(response.body)["error"]) == (403, f"no permission for channel '{shown}'")
    assert publish(served.port, "public.a")[0] == 200


def test_the_user_of_the_edge_has_no_rights_at_first(serve):
    served = serve(rights=None)
    assert publish(served.port, "a")[0] == 403
    served.server.connect().ok("CONFIG", "SET", "edge-anonymous", "no")
    response = served.ask("POST", "/pub/a", body=b"")
    assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")


def test_rates_of_channels_and_users_are_429(serve):
    served = serve("--channel", "rated", "publish-rate", 2)
    answers = [publish(served.port, "rated") for _ in range(5)]
    assert {status for status, _ in answers} == {200, 429}
    assert text(answers[-1]) == (429, "max publish rate of this channel reached")
    assert publish(served.port, "other")[0] == 200
    assert int(served.ask("POST", "/pub/rated", body=b"").headers["retry-after"]) >= 1
    served.server.connect().ok("ACL", "SETUSER", "edge", "limit:publish-messages=1")
    answers = [publish(served.port, "other") for _ in range(3)]
    assert text(answers[-1]) == (429, "max publish rate of this user reached")


def test_messages_that_are_too_long_are_413(serve):
    served = serve("--channel", "small", "max-message", 10)
    assert publish(served.port, "small", b"x" * 10)[0] == 200
    assert text(publish(served.port, "small", b"x" * 11)) == (413, "message too long for this channel (max-message 10)")
    response = served.ask("POST", "/pub/a", body=b"x" * ((1 << 20) + 1))
    assert response.status == 413


def test_users_of_a_channel(serve):
    served = serve("--channel", "closed", "publish-users", "default")
    assert publish(served.port, "closed")[0] == 403


@pytest.mark.parametrize("loops", [1, 4])
def test_a_publisher_waits_for_a_blocking_subscriber_and_goes_on(serve, loops):
    served = serve("--outbox-policy", "block", "--outbox-limit-bytes", "256kb", "--outbox-block-timeout", 600000, loops=loops)
    stuck = Connection(served.server.address, receive_buffer=4096)
    stuck.subscribe("c")
    body, count = b"y" * 60000, 0
    client = served.server.connect()
    with Http(served.port) as http:
        while not is_waiting(client):
            http.request("POST", "/pub/c", body=body)
            count += 1
            assert count < 1000
            if http.nothing_arrives(0.3):
                continue
            assert http.read_response().body == b'{"receivers":1}\n'
        assert publish(served.port, "elsewhere") == (200, {"receivers": 0})
        assert served.ask("GET", "/healthz").status == 200
        for _ in range(count):
            assert stuck.read_value() == [b"message", b"c", body]
        assert http.read_response().body == b'{"receivers":1}\n'
        assert http.ask("GET", "/healthz").status == 200
    stuck.close()


def is_waiting(client):
    return any("b" in row["flags"] for row in client.client_list())


def test_a_publisher_that_waits_and_leaves_publishes_nothing(served):
    client, subscriber = served.server.connect(), served.server.connect()
    subscriber.subscribe("a")
    client.ok("CLIENT", "PAUSE", 60000, "WRITE")
    with Http(served.port) as http:
        http.request("POST", "/pub/a", body=b"lost")
        assert http.nothing_arrives()
    wait_until(lambda: len(client.client_list()) == 2, "the end of the publisher")
    client.ok("CLIENT", "UNPAUSE")
    assert publish(served.port, "a", b"later") == (200, {"receivers": 1})
    assert subscriber.read_value() == [b"message", b"a", b"later"]


def test_a_pause_holds_publishers_and_not_health_checks(served):
    client, subscriber = served.server.connect(), served.server.connect()
    subscriber.subscribe("a")
    client.ok("CLIENT", "PAUSE", 1000)  # also CLIENT UNPAUSE would have to wait
    with Http(served.port) as http:
        http.request("POST", "/pub/a", body=b"held")
        http.request("GET", "/healthz")
        assert http.nothing_arrives()
        for path in ("/healthz", "/readyz"):
            assert served.ask("GET", path).status == 200
        assert http.nothing_arrives(0.01)
        assert http.read_response().body == b'{"receivers":1}\n'
        assert http.read_response().body == b"ok\n"
    assert subscriber.read_value() == [b"message", b"a", b"held"]


def test_a_stream_gets_what_is_published_at_once(served):
    stream, _ = open_stream(served.port, "/sse?channel=a")
    with stream:
        for number in range(100):
            assert publish(served.port, "a", b"%d" % number) == (200, {"receivers": 1})
            assert stream.event().data == str(number)


def test_published_messages_are_counted(served):
    served.server.connect().ok("CONFIG", "SET", "http-doors", "publish metrics")
    for _ in range(3):
        publish(served.port, "a")
    page = served.ask("GET", "/metrics").body
    assert b"\nfanfare_edge_published_total 3\n" in page
