"""The JSON protocol of WebSockets: the examples of fanfare-edge(7), commands, errors, limits and invalid input."""

import asyncio
import functools
import json
import threading

import pytest
import websockets

from lib.edge_socket import Edge
from lib.tokens import make_token
from lib.wait import seconds, wait_until
from lib.websocket import BINARY, CLOSE, TEXT, WebSocket

INTERNAL, UNAUTHORIZED, DENIED, UNKNOWN, ALREADY, LIMIT = 100, 101, 103, 104, 105, 106
BAD_REQUEST, NOT_AVAILABLE, EXPIRED, TOO_MANY, UNRECOVERABLE = 107, 108, 109, 111, 112
CLOSE_BAD_REQUEST = 3501


def str_id(text):
    return text[:20]


@pytest.fixture
def start_edge(start_fanfared):
    return functools.partial(Edge, start_fanfared)


@pytest.fixture
def edge(start_edge):
    return start_edge()


def test_the_example_of_the_manual_byte_for_byte(edge):
    for n in (41, 42, 43):
        edge.publish("news", b'{"n":%d}' % n)
    epoch, last = edge.position()
    with edge.open() as ws:
        token = make_token(sub="u", exp=2 ** 31)
        ws.send_text('{"id":1,"connect":{"token":"%s"}}' % token)
        reply = ws.read_text()
        ttl = json.loads(reply)["connect"]["ttl"]
        client = json.loads(reply)["connect"]["client"]
        version = json.loads(reply)["connect"]["version"]
        assert reply == ('{"id":1,"connect":{"client":"%s","version":"%s","ping":25,"pong":true,"expires":true,"ttl":%d}}'
                         % (client, version, ttl))
        ws.send_text('{"id":2,"subscribe":{"channel":"news","recover":true,"epoch":"%s","offset":%d}}' % (epoch, last - 2))
        assert ws.read_text() == (
            '{"id":2,"subscribe":{"recoverable":true,"epoch":"%s","offset":%d,"was_recovering":true,"recovered":true,'
            '"publications":[{"data":{"n":42},"offset":%d},{"data":{"n":43},"offset":%d}]}}'
            % (epoch, last, last - 1, last))
        edge.publish("news", b'{"n":44}')
        assert ws.read_text() == '{"push":{"channel":"news","pub":{"data":{"n":44},"offset":%d}}}' % (last + 1)
        ws.send_text('{"id":3,"subscribe":{"channel":"glob:news.*"}}')
        assert json.loads(ws.read_text()) == {"id": 3, "subscribe": {"recoverable": True, "epoch": epoch, "offset": last + 1}}
        edge.publish("news.sport", b"1")
        assert ws.read_text() == ('{"push":{"channel":"glob:news.*","pub":{"data":1,"offset":%d,"tags":{"channel":"news.sport"}}}}'
                                  % (last + 2))
        ws.send_text('{"id":4,"publish":{"channel":"chat","data":{"t":"hi"}}}')
        assert ws.read_text() == '{"id":4,"publish":{}}'
        ws.send_text('{"id":5,"unsubscribe":{"channel":"news"}}')
        assert ws.read_text() == '{"id":5,"unsubscribe":{}}'
        ws.send_text('{"id":6,"refresh":{"token":"%s"}}' % token)
        assert ws.read_text().startswith('{"id":6,"refresh":{"client":"%s","version":"%s","expires":true,"ttl":' % (client, version))
        edge.allow("resetchannels", "&news.*", "+psubscribe")
        ws.send_text('{"id":8,"subscribe":{"channel":"other"}}')
        assert ws.read_text() == '{"id":8,"error":{"code":103,"message":"permission denied"}}'


def test_a_ping_is_an_empty_object_and_so_is_its_answer(start_edge):
    edge = start_edge("--edge-ping-interval", 1, "--edge-pong-timeout", 60)
    with edge.join() as ws:
        for _ in range(2):
            assert ws.read_text() == "{}"
            ws.send_text("{}")


def test_payloads_that_are_not_json_have_a_type(edge):
    with edge.join("a", "glob:b*") as ws:
        for payload, data, tags in ((b"plain", "plain", {"type": "text"}), (b"\xff\x00", "/wA=", {"type": "base64"}),
                                    (b"", "", {"type": "text"}), (b'{"a":\r\n1}', {"a": 1}, None), (b"null", None, None)):
            edge.publish("a", payload)
            publication = ws.publication("a")
            assert (publication["data"], publication.get("tags")) == (data, tags)
            edge.publish("b1", payload)
            assert ws.publication("glob:b*")["tags"] == {"channel": "b1", **(tags or {})}


def test_several_commands_in_a_frame_are_answered_in_order(edge):
    with edge.open() as ws:
        ws.send_text('{"id":1,"connect":{}}\n\n{"id":2,"subscribe":{"channel":"a"}}\r\n{}\n'
                     '{"id":3,"publish":{"channel":"a","data":1}}\n{"id":4,"nothing":{}}\n'
                     '{"id":5,"unsubscribe":{"channel":"a"}}\n')
        messages = [ws.read_message() for _ in range(5)]
        replies = [m for m in messages if "id" in m]
        assert [m["id"] for m in replies] == [1, 2, 3, 4, 5][:len(replies)]
        assert {m["id"]: m["error"]["code"] for m in replies if "error" in m} == {4: UNKNOWN}


def test_messages_of_commands_in_one_frame_come_between_their_replies(edge):
    """A push comes behind the reply to the subscription that it is for, and before that which ends it."""
    epoch, base = edge.position()
    with edge.open() as ws:
        ws.send_json({"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "news"}},
                     *({"id": 3 + n, "publish": {"channel": "news", "data": n}} for n in range(2)),
                     {"id": 5, "unsubscribe": {"channel": "news"}},
                     {"id": 6, "subscribe": {"channel": "news", "recover": True, "epoch": epoch, "offset": base + 1}},
                     {"id": 7, "publish": {"channel": "news", "data": 2}})
        messages = [ws.read_message() for _ in range(10)]
        order = [m["id"] if "id" in m else m["push"]["pub"]["data"] for m in messages]
        # A slow step ends behind the first publish.
        assert order in ([1, 2, 3, 4, 0, 1, 5, 6, 7, 2], [1, 2, 3, 0, 4, 1, 5, 6, 7, 2])
        assert [p["data"] for p in messages[7]["subscribe"]["publications"]] == [1]


@pytest.mark.parametrize("end", ["nonsense", '{"id":9,"connect":{}}', '{"id":9,"publish":{}}\n[]'])
def test_messages_published_before_an_error_in_the_same_frame_come_before_its_close_frame(edge, end):
    with edge.join("a") as ws, edge.join("a") as other:
        ws.send_text('{"id":7,"publish":{"channel":"a","data":1}}\n{"id":8,"publish":{"channel":"a","data":2}}\n' + end)
        ids = []
        # A slow step ends behind the first publish: then its message is in front of the next reply.
        while (frame := ws.read_frame())[0] == TEXT:
            ids.append(json.loads(frame[2]).get("id"))
        assert [i for i in ids if i in (7, 8)] == [7, 8]
        assert frame[0] == CLOSE and ws.read_to_end() == b""
        assert [other.publication("a")["data"] for _ in range(2)] == [1, 2]


def test_commands_that_need_no_connect_or_reply(edge):
    with edge.open() as ws:
        ws.send_text("{}")
        ws.send_text('{"id":1,"connect":{}}')
        assert ws.read_message()["id"] == 1
        ws.send_text('{"send":{"data":1}}')
        ws.last_id = 1
        assert ws.call("unsubscribe", channel="never subscribed") == {}


@pytest.mark.parametrize("text", [
    '{"id":1,"subscribe":{"channel":"a"}}', '{"id":1,"publish":{"channel":"a","data":1}}', '{"id":1,"ping":{}'
    '{"id":1,"refresh":{"token":"a"}}', '{"id":1', "[]", "1", '"a"', "null", "{'id':1}", '{"id":1,}', "\x00", '{"id":1}{}',
    '{"connect":{}}', '{"id":0,"connect":{}}', '{"id":-1,"connect":{}}', '{"id":1.5,"connect":{}}', '{"id":"1","connect":{}}',
    '{"id":4294967296,"connect":{}}', '{"id":null,"connect":{}}', '{"id":1,"id":2,"connect":{}}', '{"connect":{},"id":1e2}',
    '{"id":1,"connect":' + "[" * 70 + "]" * 70 + "}", "[" * 3000, '{"a":' * 1000,
    '{"id":1,"connect":{"token":"x.y.z"}}\n{"id":1,"connect":{}}'], ids=str_id)
def test_invalid_commands_end_the_connection(edge, text):
    with edge.open() as ws:
        ws.send_text(text)
        assert ws.close_code() == (CLOSE_BAD_REQUEST if "x.y.z" not in text else 3500)
    with edge.join():
        pass


@pytest.mark.parametrize("text", ['{"id":9,"connect":{}}', '{"publish":{"channel":"a","data":1}}', "nothing",
                                  '{"id":9,"publish":{"channel":"a","data":' + "[" * 64 + "]" * 64 + "}}"], ids=str_id)
def test_invalid_commands_of_a_connected_client_end_it(edge, text):
    with edge.join() as ws:
        ws.send_text(text)
        assert ws.close_code() == CLOSE_BAD_REQUEST


@pytest.mark.parametrize("command", [
    {"subscribe": {}}, {"subscribe": []}, {"subscribe": None}, {"subscribe": "a"}, {"subscribe": {"channel": ""}},
    {"subscribe": {"channel": 1}}, {"subscribe": {"channel": "a", "recover": 1}}, {"subscribe": {"channel": "a", "offset": -1}},
    {"subscribe": {"channel": "a", "epoch": 5}}, {"subscribe": {"channel": "glob:"}}, {"publish": {"channel": "a"}},
    {"publish": {"data": 1}}, {"unsubscribe": {}}, {"history": {}}, {"history": {"channel": "news", "limit": "all"}},
    {"history": {"channel": "news", "since": 7}}, {"presence": {}}, {"presence_stats": {"channel": []}}, {"refresh": {}},
    {"sub_refresh": {"channel": "a"}}, {"subscribe": {"channel": "a" * 70000}}])
def test_wrong_parameters_are_a_bad_request(start_edge, command):
    edge = start_edge("--edge-max-message", "1mb")
    with edge.join() as ws:
        (method, params), = command.items()
        ws.send_json({"id": 7, method: params})
        assert ws.read_message()["error"]["code"] == BAD_REQUEST
        assert ws.call("subscribe", channel="still here") == {}


@pytest.mark.parametrize("text", [
    '{"id":7,"subscribe":{"channel":"a","channel":"b"}}', '{"id":7,"publish":{"channel":"a","data":1,"data":2}}',
    '{"id":7,"history":{"channel":"news","limit":1,"limit":2}}', '{"id":7,"subscribe":{"channel":"\\ud800"}}',
    '{"id":7,"subscribe":{"channel":"a"},"subscribe":{"channel":"b"}}'])
def test_duplicate_members_and_half_surrogates_are_a_bad_request(edge, text):
    with edge.join() as ws:
        ws.send_text(text)
        assert ws.read_message()["error"]["code"] == BAD_REQUEST


def test_unknown_methods_have_an_error_of_their_own(edge):
    with edge.join() as ws:
        for text in ('{"id":7,"rpc":{"method":"a"}}', '{"id":7,"":{}}', '{"id":7}', '{"id":7,"Subscribe":{}}'):
            ws.send_text(text)
            assert ws.read_message()["error"] == {"code": UNKNOWN, "message": "method not found"}


def test_a_binary_frame_ends_the_connection(edge):
    with edge.join() as ws:
        ws.send_frame(BINARY, b'{"id":7,"subscribe":{"channel":"a"}}')
        assert ws.close_code() == CLOSE_BAD_REQUEST


def test_a_message_above_edge_max_message_is_refused_and_a_huge_frame_ends_the_connection(start_edge):
    edge = start_edge("--edge-max-message", "1kb")
    with edge.join() as ws:
        assert ws.call("publish", channel="a", data="x" * 1022) == {}
        assert ws.call("publish", channel="a", data="x" * 1023) == {"error": LIMIT}
        ws.send_text("{}" + " " * (65536 + 1022))
        assert ws.call("publish", channel="a", data=1) == {}
        ws.send_text("{}" + " " * (65536 + 1023))
        assert ws.close_code() == 1009


def test_a_connect_command_has_at_most_16_kib(edge):
    epoch, base = edge.position()

    def command(size):
        position = {"recover": True, "epoch": epoch, "offset": base}
        subs = {f"a channel of the page {n}": position for n in range(150)}
        text = json.dumps({"id": 1, "connect": {"subs": subs, "pad": ""}})
        assert len(text) < size
        return text[:-3] + "x" * (size - len(text)) + text[-3:]

    with edge.open() as ws:
        ws.send_text(command(16384))
        assert "client" in ws.read_message()["connect"]
        ws.send_text(json.dumps({"id": 2, "publish": {"channel": "a", "data": "x" * 32768}}))
        assert ws.read_message() == {"id": 2, "publish": {}}
    with edge.open() as ws:
        ws.send_text(command(16385))
        assert ws.close_code() == 1009


def test_rights(edge):
    edge.allow("resetchannels", "&open*", "+subscribe", "+publish")
    with edge.join() as ws:
        assert ws.call("subscribe", channel="open") == {}
        assert ws.call("subscribe", channel="open") == {"error": ALREADY}
        assert ws.call("publish", channel="openness", data=1) == {}
        for method, params in (("subscribe", {}), ("publish", {"data": 1}), ("history", {}), ("presence", {}),
                               ("presence_stats", {}), ("sub_refresh", {"token": "a.b.c"})):
            assert ws.call(method, channel="shut", **params) == {"error": DENIED}, method
        assert ws.call("subscribe", channel="glob:open*") == {"error": DENIED}
        assert ws.call("publish", channel="glob:open*", data=1) == {"error": DENIED}
        assert ws.call("history", channel="open") == {"error": DENIED}


def test_without_a_token_and_with_an_expired_one(start_edge):
    edge = start_edge("--edge-anonymous", "no")
    with edge.open() as ws:
        assert ws.call("connect") == {"error": UNAUTHORIZED}
        assert ws.call("connect", token=make_token(sub="u", exp=1000)) == {"error": EXPIRED}
        assert "client" in ws.call("connect", token=make_token(sub="u"))


def test_what_a_channel_does_not_keep_is_not_available(edge):
    with edge.join() as ws:
        assert ws.call("history", channel="plain", limit=1) == {"error": NOT_AVAILABLE}
        assert ws.call("presence", channel="plain") == {"error": NOT_AVAILABLE}
        assert ws.call("presence_stats", channel="plain") == {"error": NOT_AVAILABLE}
        assert ws.call("history", channel="glob:news*", limit=1) == {"error": NOT_AVAILABLE}


def test_the_number_of_channels_is_limited(start_edge):
    edge = start_edge("--edge-max-channels", 3)
    with edge.join("a", "b", "glob:c*") as ws:
        assert ws.call("subscribe", channel="d") == {"error": LIMIT}
        assert ws.call("unsubscribe", channel="glob:c*") == {}
        assert ws.call("subscribe", channel="d") == {}


def test_the_publish_rate_of_a_channel_is_a_temporary_error(start_edge):
    edge = start_edge("--channel", "slow", "publish-rate", 1)
    with edge.join() as ws:
        for number in range(2, 40):
            ws.send_json({"id": number, "publish": {"channel": "slow", "data": 1}})
        errors = [m["error"] for m in (ws.read_message() for _ in range(2, 40)) if "error" in m]
        assert errors and errors[0] == {"code": TOO_MANY, "message": "too many requests", "temporary": True}


def test_a_message_that_a_channel_does_not_take_is_over_a_limit(start_edge):
    edge = start_edge("--channel", "short", "max-message", 10)
    with edge.join() as ws:
        assert ws.call("publish", channel="short", data="x" * 20) == {"error": LIMIT}


def test_the_largest_message(start_edge):
    edge = start_edge("--edge-max-message", "1mb", "--edge-outbox-limit-bytes", "64mb")
    with edge.join("a") as ws:
        assert ws.call("publish", channel="a", data="x" * (1048576 - 2)) == {}
        assert len(ws.publication("a")["data"]) == 1048576 - 2
        assert ws.call("publish", channel="a", data="x" * (1048576 - 1)) == {"error": LIMIT}


def test_a_message_that_is_too_large_for_browsers_is_marked_as_missing(start_edge):
    edge = start_edge("--edge-outbox-limit-bytes", "64mb")
    with edge.join("a") as ws:
        assert edge.publish("a", b"x" * (1048576 + 1)) == 1
        edge.publish("a", b"1")
        assert ws.push() == {"lagged": {"missed": 1}}
        assert ws.publication("a") == {"data": 1}


def test_a_publisher_waits_for_a_subscriber_that_blocks(edge):
    blocking = edge.server.connect()
    blocking.ok("OUTBOX", "SET", "POLICY", "block", "BYTES", 100000)
    blocking.subscribe("a")
    data, count = "x" * 60000, 200

    def send(ws):
        for number in range(count):
            ws.send_json({"id": 10 + number, "publish": {"channel": "a", "data": data}})
        ws.send_json({"id": 1000, "unsubscribe": {"channel": "a"}})

    with edge.join() as ws:
        sender = threading.Thread(target=send, args=(ws,))
        sender.start()
        wait_until(lambda: b"blocked_clients:1" in edge.resp.call("INFO"), "the publisher waits")
        for _ in range(count):
            assert blocking.read_value()[2] == b'"%s"' % data.encode()
        sender.join()
        assert [ws.read_message()["id"] for _ in range(count + 1)] == [10 + n for n in range(count)] + [1000]


def test_python_websockets_subscribe_and_publish(edge):
    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{edge.port}/connection/websocket",
                                      subprotocols=["centrifuge-json"]) as ws:
            assert ws.subprotocol == "centrifuge-json"
            await ws.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a"}}')
            assert [json.loads(await ws.recv())["id"] for _ in range(2)] == [1, 2]
            await ws.send('{"id":3,"publish":{"channel":"a","data":"hello"}}')
            messages = [json.loads(await ws.recv()) for _ in range(2)]
            assert {"push": {"channel": "a", "pub": {"data": "hello"}}} in messages
            await (await ws.ping())
            await ws.close()
            assert ws.close_code == 1000

    asyncio.run(asyncio.wait_for(talk(), seconds(20)))


def test_urls_and_handshakes_that_are_refused(edge):
    address = ("127.0.0.1", edge.port)
    for extra, status in ((("Sec-WebSocket-Key: a",), 400), (("Origin: http://elsewhere.example",), 403)):
        with WebSocket(address, extra=extra) as ws:
            assert ws.status == status, extra
    with WebSocket(address, path="/other") as ws:
        assert ws.status == 404
    with WebSocket(address, path="/ws?token=a.b.c") as ws:
        assert ws.status == 401


def test_a_token_in_the_url_is_that_of_the_connection(edge):
    with edge.open(path="/ws?token=" + make_token(sub="u", caps=[{"channels": ["mine"], "allow": ["sub"]}])) as ws:
        edge.allow("resetchannels")
        assert "client" in ws.call("connect")
        assert ws.call("subscribe", channel="mine") == {}
        assert ws.call("subscribe", channel="yours") == {"error": DENIED}
        assert ws.call("publish", channel="mine", data=1) == {"error": DENIED}


def test_many_frames_in_one_write_and_bytes_one_by_one(edge):
    with edge.join() as ws:
        mask = b"\0\0\0\0"
        text = b'{"id":%d,"unsubscribe":{"channel":"a"}}'
        frames = b"".join(bytes([0x81, 0x80 | len(text % n)]) + mask + text % n for n in range(100, 200))
        ws.send_bytes(frames)
        assert [ws.read_message()["id"] for _ in range(100)] == list(range(100, 200))
        ws.send_frame(TEXT, text % 7, chopsize=1)
        assert ws.read_message() == {"id": 7, "unsubscribe": {}}
