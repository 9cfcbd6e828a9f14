"""Event streams: the wire, parameters, resuming against a model, gaps in the stream, refusals and ends."""

import base64
import fnmatch
import json
import random
import re
import urllib.parse

import pytest

from lib.browser import EventStream, Http, metrics, open_stream, serve_browsers
from lib.wait import seconds, wait_until

KEEP = ("--channel", "*", "history-size", 100, "history-ttl", 600)
LOOPS = pytest.mark.parametrize("loops", [1, 4], ids=["one loop", "four loops"])
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def serve(start_fanfared):
    return lambda *options, **more: serve_browsers(start_fanfared, "--http-doors", *"sse publish health metrics".split(),
                                                   *options, **more)


@pytest.fixture
def served(serve):
    return serve(*KEEP)


@pytest.fixture
def plain(serve):
    """Nothing is kept."""
    return serve()


def query(channels=(), patterns=(), **more):
    pairs = [("channel", name) for name in channels] + [("pattern", name) for name in patterns] + list(more.items())
    return "/sse?" + urllib.parse.urlencode(pairs)


def publish(served, channel, payload):
    """Over RESP; returns the position behind it."""
    client = served.server.connect()
    receivers = client.call("PUBLISH", channel, payload)
    position = client.call("HISTORY", "POSITION").decode()
    client.close()
    return receivers, position


def subscribers(served, channel):
    with served.server.connect() as client:
        return client.call("PUBSUB", "NUMSUB", channel)[1]


# The wire


def test_the_example_of_the_manual_byte_for_byte(served):
    _, first = publish(served, "orders.17", "before")
    with EventStream(served.port, "/sse?channel=orders.17") as stream:
        assert stream.response.lines == [
            "HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Cache-Control: no-cache, no-store, no-transform",
            "X-Accel-Buffering: no", "Vary: Origin", "Connection: close"]
        stream.block()
        _, second = publish(served, "orders.17", '{"n":44}')
        stream.block()
        assert re.fullmatch(rb"retry: [1-5]\d{3}\nid: %b\n\nid: %b\ndata: {\"n\":44}\n\n" % (first.encode(), second.encode()),
                            stream.raw)


def test_without_history_there_are_no_ids_byte_for_byte(plain):
    with EventStream(plain.port, "/sse/news") as stream:
        stream.block()
        publish(plain, "news", "hello")
        stream.block()
        assert re.fullmatch(rb"retry: \d+\n\ndata: hello\n\n", stream.raw)


def test_json_byte_for_byte(served):
    with EventStream(served.port, query(["news.sport", "chat"])) as stream:
        stream.block()
        at = len(stream.raw)
        _, position = publish(served, "news.sport", '{"n":44}')
        stream.block()
        epoch, seq = position.split("-")
        assert stream.raw[at:].decode() == (
            f'id: {epoch}-{seq}\ndata: {{"channel":"news.sport","data":{{"n":44}},"seq":{seq}}}\n\n')


def lines_of(payload):
    return re.split(rb"\r\n|\r|\n", payload)


RAW = [b"", b"a", b"a\nb", b"a\rb", b"a\r\nb", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r\n\n", b"a\n\nevent: lagged\ndata: x\n\n",
       b"a\r\rid: 1-1\r", b"x\nretry: 1", b"\n:comment", b" leading", b"tab\t\0nul", b"a\x0bb\x0cc\xc2\x85d\xe2\x80\xa8e",
       b"data: x", "ä€😀".encode(), b"x" * 70000, b"line\r\n" * 5000, b"a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"]


def test_raw_payloads_are_split_into_lines_and_inject_nothing(plain):
    with EventStream(plain.port, "/sse?channel=a&format=raw") as stream:
        stream.block()
        for payload in RAW:
            at = len(stream.raw)
            publish(plain, "a", payload)
            event = stream.block()
            assert stream.raw[at:] == b"".join(b"data: " + line + b"\n" for line in lines_of(payload)) + b"\n", payload
            assert (event.id, event.event, event.retry) == (None, None, None)
            assert event.data == b"\n".join(lines_of(payload)).decode(), payload


def test_bytes_that_are_not_utf_8_do_not_end_a_raw_stream(plain):
    with EventStream(plain.port, "/sse/a") as stream:
        stream.block()
        payload = bytes(byte for byte in range(256) if byte not in b"\r\n")
        publish(plain, "a", payload)
        stream.block()
        assert stream.raw.endswith(b"data: " + payload + b"\n\n")
        publish(plain, "a", "next")
        assert stream.event().data == "next"


JSON = ['{"a":[1,2,{"b":null}]}', "1", "-0.5e10", '"text"', "null", "[]", ' {"a" : 1 } ', '{\n\t"a":\r\n1}\r\n', '"\\n\\u0000"',
        '{"a":"ä€😀"}', '{"a":1,"a":2}', "123456789012345678901234567890"]
TEXTS = ["", "hello", "{", '{"a":1}x', "NaN", "01", "'a'", '"a\nb"', "a\r\nb", "\0", "nul\0", "\x1b\x7f", "ä€😀", "\u2028", "[1,]",
         "</script>"]
BINARY = [b"\xff", b"a\x80b", b"\xc0\x80", b"\xed\xa0\x80", bytes(range(256)), b"\xf8\x88\x80\x80\x80"]


def test_json_data_is_a_value_a_string_or_base64(plain):
    with EventStream(plain.port, query(["a"], format="json")) as stream:
        stream.block()
        for payload in JSON:
            publish(plain, "a", payload)
            assert json.loads(stream.event().data) == {"channel": "a", "data": json.loads(payload)}
        for payload in TEXTS:
            publish(plain, "a", payload)
            assert json.loads(stream.event().data) == {"channel": "a", "data": payload}
        for payload in BINARY:
            publish(plain, "a", payload)
            expected = {"channel": "a", "data": base64.b64encode(payload).decode(), "encoding": "base64"}
            assert json.loads(stream.event().data) == expected


def test_valid_json_is_passed_on_as_it_is_in_one_line(plain):
    with EventStream(plain.port, query(["a"], format="json")) as stream:
        stream.block()
        for payload, shown in ((b'{"b":1, "a":1.0}', b'{"b":1, "a":1.0}'), (b'{\r\n"a":\n1}', b'{  "a": 1}')):
            publish(plain, "a", payload)
            stream.block()
            assert stream.raw.endswith(b'data: {"channel":"a","data":' + shown + b"}\n\n")


@pytest.mark.parametrize("name", ["a b", 'quo"te\\', "new\nline\r", "ä€", "a&b=c", "a/b", "*", "x" * 200])
def test_names_of_channels_arrive_in_json(plain, name):
    with open_stream(plain.port, query([name], format="json"))[0] as stream:
        publish(plain, name, "1")
        assert json.loads(stream.event().data) == {"channel": name, "data": 1}


@pytest.mark.parametrize("target, is_json", [
    ("/sse/a", False), ("/sse?channel=a", False), ("/sse?channel=a&channel=a", False), ("/sse?channel=a&channel=b", True),
    ("/sse?pattern=a", True), ("/sse?pattern=a*&channel=a", True), ("/sse?channel=a&format=json", True),
    ("/sse/a?format=json", True), ("/sse?channel=a&channel=b&format=raw", False), ("/sse?pattern=*&format=raw", False),
    ("/sse/a?channel=b", True), ("/sse?unknown=1&channel=a&&x", False), ("/sse?%63hannel=%61", False)])
def test_the_format_that_fits_is_the_default(plain, target, is_json):
    with open_stream(plain.port, target)[0] as stream:
        publish(plain, "a", "1")
        assert stream.event().data == ('{"channel":"a","data":1}' if is_json else "1")


def test_a_message_that_several_names_match_comes_once(served):
    with open_stream(served.port, query(["a", "b"], ["a", "*", "?"]))[0] as stream:
        for number in range(20):
            publish(served, "a", str(number))
            assert json.loads(stream.event().data)["data"] == number
        publish(served, "other", "end")
        assert json.loads(stream.event().data)["data"] == "end"


def test_a_form_has_the_parameters_of_a_query(served):
    body = urllib.parse.urlencode([("channel", "a b"), ("channel", "ä"), ("pattern", "n.*"), ("format", "json")]).encode()
    with EventStream(served.port, "/sse?channel=q", FORM, "POST", body) as stream:
        assert stream.response.status == 200
        stream.block()
        for name in ("a b", "ä", "n.1", "q"):
            publish(served, name, "1")
            assert json.loads(stream.event().data)["channel"] == name
    _, position = publish(served, "q", "2")
    publish(served, "q", "3")
    with EventStream(served.port, "/sse", FORM, "POST", b"last_event_id=%b&channel=q" % position.encode()) as stream:
        assert stream.event().data == "3"
    response = served.ask("POST", "/sse", {"Content-Type": "application/json"}, b'{"channel":"a"}')
    assert response.status == 400 and b"application/x-www-form-urlencoded" in response.body


def test_head_has_the_head_of_a_stream_and_subscribes_to_nothing(served):
    with Http(served.port) as http, EventStream(served.port, "/sse?channel=a") as stream:
        assert http.ask("HEAD", "/sse?channel=a").lines == stream.response.lines
        assert http.read_to_end() == b""
    wait_until(lambda: subscribers(served, "a") == 0, "the end of the stream")
    assert served.ask("HEAD", "/sse").status == 400


def test_http_1_0_gets_a_stream_without_chunks(served):
    with EventStream(served.port, "/sse/a", version="1.0") as stream:
        assert "transfer-encoding" not in stream.response.headers
        stream.block()
        publish(served, "a", "x")
        assert stream.event().data == "x"


def test_a_stream_may_follow_other_requests_on_its_connection(served):
    with Http(served.port) as http:
        assert http.ask("GET", "/healthz").status == 200
        http.request("GET", "/sse/a")
        assert http.read_head().status == 200
        http.request("GET", "/healthz")  # discarded
        wait_until(lambda: subscribers(served, "a") == 1, "the stream")
        publish(served, "a", "x")
        received = b""
        while not received.endswith(b"data: x\n\n"):
            received += http.read_available()
        assert re.fullmatch(rb"retry: \d+\nid: \d+-\d+\n\nid: \d+-\d+\ndata: x\n\n", received)
        assert http.nothing_arrives()


@pytest.mark.parametrize("target, text", [
    ("/sse", "no channel and no pattern"), ("/sse?channel=", "a channel must have a name"),
    ("/sse?channel=a&pattern=", "a channel must have a name"), ("/sse?channel=a&format=xml", "format must be raw or json"),
    ("/sse?channel=" + "x" * 101, "channel name too long (max-channel-length)"),
    ("/sse/" + "x" * 101, "channel name too long (max-channel-length)"),
    ("/sse?channel=a&channel=b&channel=c&channel=d&channel=e", "too many channels (edge-max-channels)"),
    ("/sse?channel=%zz", "invalid encoding of a parameter"), ("/sse?channel=a%00", "invalid encoding of a parameter")])
def test_wrong_parameters_are_refused_for_ever(serve, target, text):
    served = serve("--edge-max-channels", 4, "--max-channel-length", 100)
    with Http(served.port) as http:
        for _ in range(2):
            response = http.ask("GET", target)
            assert (response.status, json.loads(response.body)) == (400, {"error": text})
    with open_stream(served.port, "/sse?channel=a&channel=b&channel=c&pattern=d")[0] as stream:
        assert stream.response.status == 200


def test_retry_times_are_random_and_in_their_range(serve):
    served = serve("--sse-retry-min", 200, "--sse-retry-max", 300)
    times = set()
    for _ in range(40):
        stream, block = open_stream(served.port, "/sse/a")
        stream.close()
        times.add(block.retry)
    assert min(times) >= 200 and max(times) <= 300 and len(times) > 10


# Resuming


def test_a_stream_goes_on_behind_the_id_of_its_last_event(served):
    _, before = publish(served, "b", "other")
    stream, first = open_stream(served.port, "/sse/a")
    assert first.id == before
    _, seen = publish(served, "a", "1")
    assert stream.event().id == seen
    stream.close()
    for number in (2, 3):
        publish(served, "a", str(number))
    with open_stream(served.port, "/sse/a", {"Last-Event-ID": seen})[0] as stream:
        assert [stream.event().data for _ in range(2)] == ["2", "3"]
        publish(served, "a", "4")
        assert stream.event().data == "4"


def test_the_header_wins_over_the_query(served):
    positions = [publish(served, "a", str(number))[1] for number in range(4)]
    for name in ("last_event_id", "lastEventId"):
        with open_stream(served.port, query(["a"], **{name: positions[1]}))[0] as stream:
            assert stream.event().data == "2"
        with open_stream(served.port, query(["a"], **{name: positions[1]}), {"Last-Event-ID": positions[2]})[0] as stream:
            assert stream.event().data == "3"
        with open_stream(served.port, query(["a"], **{name: positions[1]}), {"Last-Event-ID": ""})[0] as stream:
            assert stream.event().data == "2"


def test_without_a_position_a_stream_begins_with_new_messages(served):
    publish(served, "a", "old")
    for target in ("/sse/a", "/sse?channel=a&last_event_id="):
        with open_stream(served.port, target)[0] as stream:
            publish(served, "a", "new")
            assert stream.event().data == "new"


def test_a_channel_may_begin_with_its_last_messages(serve):
    served = serve("--channel", "*", "history-size", 100, "history-ttl", 600, "replay", 2)
    for number in range(5):
        publish(served, "a", str(number))
    with open_stream(served.port, "/sse/a")[0] as stream:
        assert [stream.event().data for _ in range(2)] == ["3", "4"]


def test_lagged_names_the_channels_whose_messages_are_gone(serve):
    served = serve(*KEEP, "--channel", "short", "history-size", 2, "history-ttl", 600)
    _, seen = publish(served, "long", "0")
    for number in range(1, 6):
        publish(served, "short", str(number))
        publish(served, "long", str(number))
    before = metrics(served.port)
    stream = EventStream(served.port, query(["short", "long", 'sho"rt']), {"Last-Event-ID": seen})
    with stream:
        first = stream.block()
        assert first.retry and first.event == "lagged"
        assert json.loads(first.data) == {"channels": ["short"], "reload": True}
        got = [json.loads(stream.event().data) for _ in range(5)]
        assert [(message["channel"], message["data"]) for message in got] == [("long", number) for number in range(1, 6)]
        publish(served, "short", "live")
        assert json.loads(stream.event().data)["data"] == "live"
    after = metrics(served.port)
    assert after["fanfare_edge_lost_total"] == before["fanfare_edge_lost_total"] + 1
    with open_stream(served.port, query(["long"]), {"Last-Event-ID": seen})[0] as stream:
        assert stream.event().data == "1"
    assert metrics(served.port)["fanfare_edge_resumed_total"] == after["fanfare_edge_resumed_total"] + 1


def test_lagged_names_a_pattern_whose_messages_are_gone(serve):
    served = serve(*KEEP, "--channel", "short.*", "history-size", 2, "history-ttl", 600)
    _, seen = publish(served, "long.1", "0")
    for number in range(1, 6):
        publish(served, "short.1", str(number))
    publish(served, "long.1", "6")
    with EventStream(served.port, query([], ["short.*", "long.*"]), {"Last-Event-ID": seen}) as stream:
        assert json.loads(stream.event().data) == {"channels": ["short.*"], "reload": True}
        assert json.loads(stream.event().data)["data"] == 6


@pytest.mark.parametrize("position", ["abc", "1-1", "99999999999999999999999-1", "-", "1-", "a" * 5000, "1858390000000000-5",
                                      "0-0", "\xe4", "1-1-1", "<script>"])
def test_a_foreign_id_is_lagged(served, position):
    publish(served, "a", "1")
    with EventStream(served.port, query(["a", "b"]), {"Last-Event-ID": position}) as stream:
        event = stream.block()
        assert (event.event, json.loads(event.data)) == ("lagged", {"channels": ["a", "b"], "reload": True})
        publish(served, "a", "2")
        assert json.loads(stream.event().data)["data"] == 2


def test_a_position_after_the_newest_is_lagged(served):
    _, position = publish(served, "a", "1")
    epoch, seq = position.split("-")
    with EventStream(served.port, "/sse/a", {"Last-Event-ID": f"{epoch}-{int(seq) + 1}"}) as stream:
        assert stream.block().event == "lagged"


class Reader:
    """A browser: it drops its stream at will, comes back with the last id, and notes what it has received."""

    def __init__(self, served, channels, patterns):
        self.served = served
        self.channels = channels
        self.patterns = patterns
        self.last_id = None
        self.stream = None
        self.received = []

    def matches(self, channel):
        return channel in self.channels or any(fnmatch.fnmatchcase(channel, pattern) for pattern in self.patterns)

    def connect(self):
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self.stream = EventStream(self.served.port, query(self.channels, self.patterns, format="json"), headers)
        assert self.stream.response.status == 200
        self.take(self.stream.block())

    def take(self, block):
        if block.id:
            self.last_id = block.id
        assert block.event is None, block
        if block.data is not None:
            message = json.loads(block.data)
            assert not block.id or block.id.endswith(f"-{message['seq']}")
            self.received.append((message["channel"], message["data"]))

    def drop(self):
        self.stream.close()
        self.stream = None


@LOOPS
def test_streams_that_drop_and_resume_at_random_receive_each_message_once(serve, loops):
    served = serve("--channel", "*", "history-size", 2000, "history-ttl", 600, loops=loops)
    source = random.Random(20261129)
    names = ["a", "b", "n.1", "n.2", "n.3", "zz"]
    readers = [Reader(served, ["a"], []), Reader(served, ["a", "b"], []), Reader(served, [], ["n.*"]),
               Reader(served, ["a", "n.1"], ["n.*", "z?"]), Reader(served, [], ["*"]), Reader(served, ["b"], ["n.[12]", "*1"])]
    log = []
    publisher = served.server.connect()
    for reader in readers:
        reader.connect()
    for number in range(1500):
        name = source.choice(names)
        assert publisher.call("PUBLISH", name, str(number)) >= 0
        log.append((name, number))
        reader = source.choice(readers)
        act = source.random()
        if reader.stream is None:
            if act < 0.3:
                reader.connect()
        elif act < 0.05:
            reader.drop()  # with messages unread
        else:
            due = [m for m in log if reader.matches(m[0])][len(reader.received):]
            for _ in range(source.randrange(len(due) + 1)):
                reader.take(reader.stream.block())
    for reader in readers:
        if reader.stream is None:
            reader.connect()
        expected = [message for message in log if reader.matches(message[0])]
        while len(reader.received) < len(expected):
            reader.take(reader.stream.block())
        assert reader.received == expected
        reader.drop()


def test_a_long_replay_is_exact(serve):
    served = serve("--channel", "*", "history-size", 20000, "history-ttl", 600, "--edge-outbox-limit-bytes", "64kb")
    client = served.server.connect()
    start = client.call("HISTORY", "POSITION").decode()
    for number in range(5000):
        client.command("PUBLISH", f"c{number % 7}", b"%d" % number + b" " * 200)
    for _ in range(5000):
        client.read_value()
    with open_stream(served.port, query([], ["c*"]), {"Last-Event-ID": start})[0] as stream:
        assert [json.loads(stream.event().data)["data"] for _ in range(5000)] == list(range(5000))


# Silence


@LOOPS
def test_a_silent_stream_gets_an_id_or_a_comment(serve, loops):
    served = serve("--sse-heartbeat", 1, "--channel", "kept*", "history-size", 10, "history-ttl", 60, loops=loops)
    kept, plain = open_stream(served.port, "/sse/kept")[0], open_stream(served.port, "/sse/plain")[0]
    pattern = open_stream(served.port, query([], ["k*"]))[0]
    with kept, plain, pattern:
        _, position = publish(served, "kept2", "not for the first")
        pattern.event()
        for _ in range(2):
            beat = kept.block()
            assert (beat.id, beat.data, beat.event, beat.comments) == (position, None, None, [])
            assert pattern.block().id == position
            beat = plain.block()
            assert (beat.id, beat.data, beat.comments) == (None, None, [""])
        assert plain.raw.endswith(b"\n:\n\n:\n\n")


def test_a_stream_that_is_not_silent_gets_no_heartbeat(serve):
    served = serve("--sse-heartbeat", 1)
    with open_stream(served.port, "/sse/a")[0] as stream:
        client = served.server.connect()
        for number in range(15):
            assert client.call("PUBLISH", "a", str(number)) == 1
            assert stream.block().data == str(number)
            assert stream.http.nothing_arrives(0.1)


# Readers that are too slow


def publish_until(client, stop, body=b"x" * 1000, channel="a", most=40000):
    """Publishes numbered messages until stop(); returns how many."""
    for number in range(0, most, 50):
        for offset in range(50):
            client.command("PUBLISH", channel, b"%d %s" % (number + offset, body))
        for _ in range(50):
            client.read_value()
        if stop():
            return number + 50
    raise AssertionError("it did not happen")


def figure(client, name):
    return int(client.info("stats")[name])


@LOOPS
def test_dropped_messages_are_marked_in_their_place(serve, loops):
    served = serve("--edge-outbox-policy", "drop-oldest", "--edge-outbox-limit-bytes", "64kb", loops=loops)
    client = served.server.connect()
    with open_stream(served.port, "/sse/a", receive_buffer=4096)[0] as stream:
        count = publish_until(client, lambda: dropped(client) > 100)
        assert client.call("PUBLISH", "a", "end") == 1
        next_number, marks = 0, 0
        while (event := stream.event()).data != "end":
            if event.event == "lagged":
                next_number += json.loads(event.data)["missed"]
                marks += 1
            else:
                assert int(event.data.split()[0]) == next_number
                next_number += 1
        assert (next_number, marks > 0) == (count, True)


def dropped(client):
    return sum(int(row["dropped"]) for row in client.outbox_list())


@LOOPS
def test_a_stuck_reader_is_closed_and_misses_nothing_when_it_comes_back(serve, loops):
    served = serve("--channel", "*", "history-size", 100000, "history-ttl", 600, "--edge-outbox-limit-bytes", "64kb", loops=loops)
    client = served.server.connect()
    stream, _ = open_stream(served.port, "/sse/a", receive_buffer=4096)
    count = publish_until(client, lambda: subscribers(served, "a") == 0)
    got, last_id = [], None
    data = stream.rest()
    stream.close()
    for block in data.split(b"\n\n")[:-1]:  # what is behind the last empty line was cut off
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
        got.append(int(fields[b"data"].split()[0]))
        last_id = fields[b"id"].decode()
    assert got == list(range(len(got))) and len(got) < count
    with open_stream(served.port, "/sse/a", {"Last-Event-ID": last_id})[0] as stream:
        for number in range(len(got), count):
            assert int(stream.event().data.split()[0]) == number


def test_under_catch_up_a_slow_stream_reads_from_the_history(serve):
    served = serve("--channel", "*", "history-size", 100000, "history-bytes", "16mb", "history-ttl", 600,
                   "--edge-outbox-limit-bytes", "64kb", "--edge-outbox-policy", "catch-up")
    client = served.server.connect()
    with open_stream(served.port, "/sse/a", receive_buffer=4096)[0] as stream:
        for number in range(2500):
            client.command("PUBLISH", "a", b"%d " % number + b"x" * 1000)
        for _ in range(2500):
            assert client.read_value() == 1
        for number in range(2500):
            assert int(stream.event().data.split()[0]) == number


# Refusals that may pass


def is_refused_for_now(served, target, text):
    """A browser comes back after the retry time; a program with strict=1 gets a status."""
    with EventStream(served.port, target) as stream:
        assert (stream.response.status, stream.response.headers["content-type"]) == (200, "text/event-stream")
        assert re.fullmatch(rb"retry: \d+\n(: %b\n)?\n" % re.escape(text), stream.rest()), stream.raw
    response = served.ask("GET", target + "&strict=1")
    assert (response.status, json.loads(response.body)) == (503, {"error": text.decode()})
    return int(response.headers["retry-after"]) > 0


def test_too_many_subscribers_are_asked_to_come_back(serve):
    served = serve("--max-subscribers-per-channel", 1)
    with open_stream(served.port, "/sse/a")[0]:
        assert is_refused_for_now(served, "/sse?channel=b&channel=a", b"max number of subscribers reached")
        assert subscribers(served, "b") == 0
    wait_until(lambda: subscribers(served, "a") == 0, "the end of the stream")
    with Http(served.port) as http:  # after a refusal of strict=1 the connection may be used
        with open_stream(served.port, "/sse/a")[0]:
            assert http.ask("GET", "/sse?channel=a&strict=1").status == 503
        wait_until(lambda: subscribers(served, "a") == 0, "the end of the stream")
        http.request("GET", "/sse?channel=a&strict=1")
        assert http.read_head().status == 200


def test_too_many_subscriptions_are_refused(serve):
    served = serve("--max-subscriptions-per-client", 2)
    assert is_refused_for_now(served, "/sse?channel=a&channel=b&channel=c", b"max number of subscriptions reached")
    served.server.connect().ok("ACL", "SETUSER", "edge", "limit:subscriptions=1")
    assert served.ask("GET", "/sse?channel=a&channel=b").status == 400


def test_a_lame_duck_asks_to_come_back(served):
    client = served.server.connect()
    with Http(served.port) as first, Http(served.port) as second:
        assert first.ask("GET", "/healthz").status == second.ask("GET", "/healthz").status == 200
        client.ok("SHUTDOWN", "GRACE", 1000)
        response = second.ask("GET", "/sse?channel=a&strict=1")
        assert response.status == 503 and response.headers["retry-after"]
        first.request("GET", "/sse?channel=a")
        assert first.read_head().status == 200
        assert re.fullmatch(rb"retry: \d+\n(: .*\n)?\n", first.read_to_end())


@LOOPS
def test_a_lame_duck_ends_streams_behind_what_was_queued(serve, loops):
    served = serve(*KEEP, loops=loops)
    with open_stream(served.port, "/sse/a")[0] as stream:
        publish(served, "a", "last")
        served.server.connect().ok("SHUTDOWN", "GRACE", 1)
        assert stream.event().data == "last"
        assert stream.rest() == b""
    assert served.server.wait() == 0


# Ends


@LOOPS
@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_a_stream_whose_browser_leaves_is_cleaned_up(serve, loops, how):
    served = serve(*KEEP, loops=loops)
    stream, _ = open_stream(served.port, query(["a"], ["b*"]))
    client = served.server.connect()
    assert subscribers(served, "a") == 1 and client.call("PUBSUB", "NUMPAT") == 1
    if how == "half-close":
        stream.http.finish_sending()
        assert stream.rest() == b""
    elif how == "reset":
        stream.http.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: close() sends RST
    stream.close()
    wait_until(lambda: subscribers(served, "a") == 0 and client.call("PUBSUB", "NUMPAT") == 0, "no subscriber")
    assert metrics(served.port)["fanfare_edge_streams"] == 0


@LOOPS
def test_bytes_that_are_sent_on_a_stream_are_discarded(serve, loops):
    served = serve(loops=loops)
    with open_stream(served.port, "/sse/a")[0] as stream:
        for _ in range(20):
            stream.http.send(b"\0\xffGET / HTTP/1.1\n\r\n" * 5000)
        publish(served, "a", "x")
        assert stream.event().data == "x"
    assert metrics(served.port)["fanfare_edge_broken_requests_total"] == 0


def test_client_kill_ends_a_stream(served):
    client = served.server.connect()
    with open_stream(served.port, "/sse/a")[0] as stream:
        listed = [row for row in client.client_list() if row["sub"] == "1"]
        assert len(listed) == 1 and listed[0]["user"] == "edge"
        assert client.call("CLIENT", "KILL", "ID", listed[0]["id"]) == 1
        assert stream.rest() == b""
    assert subscribers(served, "a") == 0


@pytest.mark.parametrize("rule", [("SETUSER", "edge", "resetchannels", "&b"), ("DELUSER", "edge")],
                         ids=["resetchannels", "DELUSER"])
def test_a_stream_ends_when_its_user_loses_the_right_to_it(serve, rule):
    served = serve(rights="edge on nopass resetchannels &a &b +subscribe".split())
    with open_stream(served.port, "/sse/a")[0] as stream:
        client = served.server.connect()
        client.ok("ACL", "SETUSER", "edge", "+ping")
        publish(served, "a", "x")
        assert stream.event().data == "x"
        assert client.call("ACL", *rule) in (b"OK", 1)
        assert stream.rest() == b""
    assert served.ask("GET", "/sse/a").status in (401, 403)


def test_rights_are_those_of_subscribe_and_psubscribe(serve):
    served = serve(rights="edge on nopass resetchannels &public.* +subscribe +psubscribe".split())
    for target, status in ((query(["public.a"]), 200), (query(["secret"]), 403), (query(["public.a", "secret"]), 403),
                           (query([], ["public.*"]), 200), (query([], ["public.a*"]), 403), (query([], ["*"]), 403)):
        with EventStream(served.port, target) as stream:
            assert stream.response.status == status, target
    served.server.connect().ok("ACL", "SETUSER", "edge", "-psubscribe")
    assert served.ask("GET", query([], ["public.*"])).status == 403
    assert served.ask("GET", query([], ["public.*"], strict=1)).status == 403


def test_a_stream_ends_at_its_age(serve):
    served = serve("--edge-max-age", 1, *KEEP)
    with open_stream(served.port, "/sse/a")[0] as stream:
        publish(served, "a", "x")
        assert stream.event().data == "x"
        assert stream.rest() == b""
    assert metrics(served.port)["fanfare_edge_aged_sessions_total"] == 1


def test_an_idle_stream_outlives_the_time_limits_of_requests(serve):
    served = serve("--http-request-timeout", 1, "--http-keepalive", 1, "--auth-timeout", 1, "--timeout", 1)
    with open_stream(served.port, "/sse/a")[0] as stream:
        assert stream.http.nothing_arrives(3)
        publish(served, "a", "x")
        assert stream.event().data == "x"


def test_hundreds_of_streams(serve):
    served = serve(*KEEP)
    streams = [open_stream(served.port, f"/sse?channel=all&channel=c{number}")[0] for number in range(300)]
    assert subscribers(served, "all") == 300
    publish(served, "all", "1")
    for stream in streams:
        assert json.loads(stream.event().data)["data"] == 1
        stream.close()
    wait_until(lambda: subscribers(served, "all") == 0, "no subscriber", within=seconds(10))
    assert metrics(served.port)["fanfare_edge_streams_opened_total"] == 300
