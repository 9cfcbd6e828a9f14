"""How WebSockets end: the close codes of fanfare-edge(7), each provoked, and limits of rate and time."""

import functools
import signal
import time

import pytest

from lib.edge_socket import Edge
from lib.tokens import make_token
from lib.wait import wait_until
from lib.websocket import CLOSE, PING, PONG, TEXT

SHUTDOWN, EXPIRED, SLOW, MAX_AGE, NO_PONG, TOO_MANY, NOT_JOINED = 3001, 3005, 3008, 3011, 3012, 3013, 3015
TOKEN, BAD_REQUEST, KICKED, CHANNELS, DENIED = 3500, 3501, 3503, 3505, 3507


@pytest.fixture(params=[1, 4], ids=["one loop", "four loops"])
def start_edge(request, start_fanfared):
    return functools.partial(Edge, start_fanfared, "--io-threads", request.param)


def test_the_end_of_the_daemon_is_a_code_after_which_clients_come_back(start_edge):
    edge = start_edge()
    with edge.join("a") as ws, edge.open() as joining:
        edge.publish("a", b"1")
        edge.server.process.send_signal(signal.SIGTERM)
        assert ws.publication("a") == {"data": 1}
        assert ws.close_code() == SHUTDOWN
        assert joining.close_code() == SHUTDOWN


def test_nothing_is_behind_the_close_frame(start_edge):
    edge = start_edge()
    with edge.join("a") as ws:
        ws.send_text('{"id":7,"publish":{"channel":"a","data":1}}\n{"publish":{"channel":"a","data":2}}')  # no id
        assert ws.close_code() == BAD_REQUEST  # and the end of the connection, see close_code()


def test_a_connection_ends_with_its_token(start_edge):
    edge = start_edge("--token-leeway", 0)
    with edge.join(token=make_token(sub="u", exp=int(time.time()) + 2)) as ws:
        assert ws.close_code() == EXPIRED


def test_another_token_prolongs_the_connection(start_edge):
    edge = start_edge("--token-leeway", 0)
    token = make_token(sub="u", exp=int(time.time()) + 2)
    with edge.join(token=token) as ws, edge.join(token=token) as other:
        assert ws.call("refresh", token=make_token(sub="u", exp=int(time.time()) + 600))["ttl"] > 500
        assert other.close_code() == EXPIRED
        assert ws.call("unsubscribe", channel="a") == {}
        assert ws.call("refresh", token=make_token(sub="u", exp=5)) == {"error": 109}
        ws.send_json({"id": 9, "refresh": {"token": make_token(sub="somebody else")}})
        assert ws.close_code() == TOKEN


@pytest.mark.parametrize("token", ["a.b.c", "x", make_token(secret="a wrong secret of thirty-two bytes", sub="u"),
                                   make_token(sub="u", nbf=2 ** 40)])
def test_a_token_that_no_other_one_can_mend_ends_the_connection(start_edge, token):
    edge = start_edge()
    with edge.open() as ws:
        ws.send_json({"id": 1, "connect": {"token": token}})
        assert ws.close_code() == TOKEN


def fill(edge, channel, ws_count=1):
    """Publishes until the sockets of its subscribers are full and their outboxes are over their limits."""
    for _ in range(400):
        if edge.publish(channel, b'"' + b"x" * 60000 + b'"') < ws_count:
            return
    raise AssertionError("no subscriber is slow")


def test_a_slow_reader_gets_what_was_sent_then_the_code(start_edge):
    edge = start_edge("--edge-outbox-limit-bytes", "256kb")
    with edge.join("a") as ws:
        fill(edge, "a")
        count = 0
        while True:
            opcode, _, payload = ws.read_frame()
            if opcode == CLOSE:
                break
            assert opcode == TEXT and payload.startswith((b'{"push":{"channel":"a"', b'{"push":{"lagged"')), payload[:99]
            count += 1
        assert int.from_bytes(payload[:2], "big") == SLOW and count > 0
        assert ws.read_to_end() == b""


def test_a_reader_that_reads_nothing_at_all_is_closed_in_time(start_edge):
    edge = start_edge("--edge-outbox-limit-bytes", "256kb", "--edge-outbox-policy", "drop-oldest",
                      "--edge-ping-interval", 1, "--edge-pong-timeout", 1, "--stall-timeout", 2)
    with edge.join("a"):
        for _ in range(300):
            edge.publish("a", b'"' + b"x" * 60000 + b'"')
        wait_until(lambda: edge.resp.call("PUBSUB", "NUMSUB", "a") == [b"a", 0], "the stuck reader is closed", 20)


def test_a_reader_that_lags_behind_gets_pings_and_stays(start_edge):
    """Messages are queued whenever a ping is due: it must come nevertheless."""
    edge = start_edge("--edge-ping-interval", 1, "--edge-pong-timeout", 1, "--edge-outbox-policy", "drop-oldest",
                      "--edge-outbox-limit-bytes", "4mb")
    payload = b'"' + b"x" * 30000 + b'"'
    with edge.join("a") as ws:
        for _ in range(300):
            edge.publish("a", payload)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            text = ws.read_text()
            edge.publish("a", payload)
            if text == "{}":
                ws.send_text("{}")
        assert edge.resp.call("PUBSUB", "NUMSUB", "a") == [b"a", 1]


def test_dropped_messages_are_marked_in_their_place(start_edge):
    edge = start_edge("--edge-outbox-policy", "drop-newest", "--edge-outbox-limit-bytes", "256kb")
    with edge.join("a") as ws:
        sent = 300
        for number in range(sent):
            edge.publish("a", b'{"n":%d,"x":"%s"}' % (number, b"x" * 60000))
        seen = missed = 0
        while seen + missed < sent:
            push = ws.push()
            if "lagged" in push:
                missed += push["lagged"]["missed"]
            else:
                assert push["pub"]["data"]["n"] == seen + missed
                seen += 1
        assert missed > 0 and seen > 0


def test_the_maximum_age(start_edge):
    edge = start_edge("--edge-max-age", 2)
    start = time.monotonic()
    with edge.join("a") as ws:
        assert ws.close_code() == MAX_AGE
    assert time.monotonic() - start > 1.7


def test_no_pong(start_edge):
    edge = start_edge("--edge-ping-interval", 1, "--edge-pong-timeout", 1)
    with edge.join("a") as ws:
        ws.answers_pings = False
        assert ws.read_text() == "{}"
        ws.send_frame(PONG)  # of the WebSocket protocol: not the answer
        assert ws.call("unsubscribe", channel="b") == {}
        assert ws.close_code() == NO_PONG


def test_a_pong_behind_a_request_that_waits_is_in_time(start_edge):
    edge = start_edge("--edge-ping-interval", 1, "--edge-pong-timeout", 1)
    with edge.join("a") as ws:
        assert edge.resp.call("CLIENT", "PAUSE", 4000, "WRITE") == b"OK"
        assert ws.read_text() == "{}"
        ws.send_text("{}")
        assert ws.call("unsubscribe", channel="a") == {}  # when the pause is over


def test_no_connect_in_time(start_edge):
    edge = start_edge("--http-request-timeout", 1)
    with edge.open() as ws, edge.join("a") as joined:
        ws.send_text("{}")
        ws.send_frame(PING)
        assert ws.read_frame() == (PONG, False, b"")
        assert ws.close_code() == NOT_JOINED
        assert joined.call("unsubscribe", channel="b") == {}


def test_a_killed_client_stays_away(start_edge):
    edge = start_edge()
    with edge.join("a") as ws, edge.open() as joining:
        listed = edge.resp.call("CLIENT", "LIST").decode().splitlines()
        ids = [dict(word.partition("=")[::2] for word in line.split())["id"] for line in listed if " user=edge " in line]
        assert len(ids) == 2
        for number in ids:
            assert edge.resp.call("CLIENT", "KILL", "ID", number) == 1
        assert ws.close_code() == KICKED
        assert joining.close_code() == KICKED


def test_lost_rights_end_the_connection(start_edge):
    edge = start_edge()
    with edge.join("a") as ws, edge.join() as other:
        edge.allow("resetchannels", "&b", "+subscribe")
        assert ws.close_code() == DENIED
        assert other.call("subscribe", channel="b") == {}


def test_a_deleted_user_ends_the_connection(start_edge):
    edge = start_edge()
    assert edge.resp.call("ACL", "SETUSER", "u", "on", "nopass", "&*", "+@all") == b"OK"
    with edge.join("a", token=make_token(sub="x", fanfare_user="u")) as ws:
        assert edge.resp.call("ACL", "DELUSER", "u") == 1
        assert ws.close_code() == DENIED


def test_more_channels_in_a_token_than_a_connection_may_have(start_edge):
    edge = start_edge("--edge-max-channels", 2)
    with edge.open() as ws:
        ws.send_json({"id": 1, "connect": {"token": make_token(sub="u", channels=["a", "b", "c"])}})
        assert ws.close_code() == CHANNELS


@pytest.mark.parametrize("frame", [(TEXT, '{"id":7,"unsubscribe":{"channel":"a"}}'), (TEXT, "{}"), (TEXT, ""), (TEXT, "\n" * 50),
                                   (PING, b""), (PONG, b"")], ids=["commands", "pongs", "empty", "blank", "pings", "frames"])
def test_a_flood_of_commands_or_control_frames_ends_the_connection(start_edge, frame):
    edge = start_edge("--edge-command-rate", 50)
    with edge.join("a") as ws, edge.join("a") as calm:
        for _ in range(3000):
            ws.send_frame(*frame)
        while (received := ws.read_frame())[0] != CLOSE:
            pass
        assert int.from_bytes(received[2][:2], "big") == TOO_MANY
        assert calm.call("unsubscribe", channel="a") == {}


def test_a_burst_of_commands_passes_and_the_limit_can_be_switched_off(start_edge):
    edge = start_edge("--edge-command-rate", 50)
    with edge.join() as ws:
        ws.send_json(*({"id": n, "unsubscribe": {"channel": "a"}} for n in range(10, 200)))
        assert [ws.read_message()["id"] for _ in range(10, 200)] == list(range(10, 200))
        edge.resp.ok("CONFIG", "SET", "edge-command-rate", 0)
        ws.send_json(*({"id": n, "unsubscribe": {"channel": "a"}} for n in range(200, 1200)))
        assert [ws.read_message()["id"] for _ in range(200, 1200)] == list(range(200, 1200))


def test_a_close_frame_is_answered_and_commands_behind_it_are_not(start_edge):
    edge = start_edge()
    with edge.join("a") as ws:
        ws.send_frame(CLOSE, (1000).to_bytes(2, "big") + b"bye")
        ws.send_json({"id": 9, "publish": {"channel": "a", "data": 1}})
        assert ws.read_close() == 1000
        assert edge.resp.call("PUBSUB", "NUMSUB", "a") == [b"a", 0]


def test_a_lame_duck_ends_connections_behind_what_was_queued(start_edge):
    edge = start_edge()
    with edge.join("a") as ws, edge.open() as joining:
        edge.publish("a", b"1")
        edge.resp.ok("SHUTDOWN", "GRACE", 1)
        assert ws.publication("a") == {"data": 1}
        assert ws.close_code() == joining.close_code() == SHUTDOWN
    assert edge.server.wait() == 0


def test_a_reader_that_the_history_has_overtaken_is_told_how_much_it_missed(start_edge):
    edge = start_edge("--edge-outbox-policy", "catch-up", "--edge-outbox-limit-bytes", "64kb", "--channel", "short", "history-size", 5,
                      "history-ttl", 600)
    with edge.join("short") as ws:
        for n in range(300):
            edge.publish("short", b'{"n":%d,"x":"%s"}' % (n, b"x" * 60000))
        seen, missed = [], 0
        while not seen or seen[-1] < 299:
            push = ws.push()
            if "lagged" in push:
                missed += push["lagged"]["missed"]
            else:
                seen.append(push["pub"]["data"]["n"])
                assert seen[-1] + 1 == len(seen) + missed
        assert missed > 0 and len(seen) >= 5
