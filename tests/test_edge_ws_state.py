"""What WebSockets get of kept messages, members and tokens: recovery, history, presence, subscriptions of the server."""

import functools
import json
import time

import pytest

from lib.edge_socket import Edge
from lib.tokens import make_token
from lib.wait import wait_until

DENIED, NOT_AVAILABLE, EXPIRED, UNRECOVERABLE = 103, 108, 109, 112


@pytest.fixture(params=[1, 4], ids=["one loop", "four loops"])
def start_edge(request, start_fanfared):
    return functools.partial(Edge, start_fanfared, "--io-threads", request.param)


@pytest.fixture
def edge(start_edge):
    return start_edge()


def offsets(result):
    return [publication["offset"] for publication in result.get("publications", [])]


def recover(ws, channel, epoch, offset):
    return ws.call("subscribe", channel=channel, recover=True, epoch=epoch, offset=offset)


def test_recovery_is_exact(edge):
    epoch, base = edge.position()
    for n in range(10):
        edge.publish("news.a", b"%d" % n)
        edge.publish("news.b", b"%d" % n)
    with edge.join() as ws:
        result = recover(ws, "news.a", epoch, base + 7)  # position 7 is that of news.a's message 3
        assert result["recovered"] and result["was_recovering"] and result["recoverable"]
        assert [p["data"] for p in result["publications"]] == [4, 5, 6, 7, 8, 9]
        assert offsets(result) == list(range(base + 9, base + 20, 2)) and result["offset"] == base + 20
        edge.publish("news.a", b"10")
        assert ws.publication("news.a") == {"data": 10, "offset": base + 21}
        # Up to date, and in the middle of other channels' messages.
        ws.call("unsubscribe", channel="news.a")
        result = recover(ws, "news.a", epoch, base + 21)
        assert result["recovered"] and "publications" not in result
        result = recover(ws, "news.b", epoch, base + 19)
        assert result["recovered"] and offsets(result) == [base + 20]


def test_positions_that_cannot_be_recovered(edge):
    epoch, base = edge.position()
    edge.publish("news.a", b"1")
    with edge.join() as ws:
        for wrong_epoch, offset in (("1", base), (epoch, base + 2), ("", 0), ("no number", base), (epoch + "0", base)):
            result = recover(ws, "news.a", wrong_epoch, offset)
            assert (result["was_recovering"], result["recovered"], offsets(result)) == (True, False, []), wrong_epoch
            ws.call("unsubscribe", channel="news.a")
        result = recover(ws, "plain", epoch, base)
        assert result == {"was_recovering": True, "recovered": False}


def test_too_many_missed_messages_are_not_recovered(edge):
    epoch, base = edge.position()
    for n in range(1001):
        edge.resp.command("PUBLISH", "news.a", b"%d" % n)
    for n in range(1001):
        edge.resp.read_value()
    with edge.join() as ws:
        result = recover(ws, "news.a", epoch, base)
        assert not result["recovered"] and "publications" not in result and result["offset"] == base + 1001
        ws.call("unsubscribe", channel="news.a")
        result = recover(ws, "news.a", epoch, base + 1)
        assert result["recovered"] and offsets(result) == list(range(base + 2, base + 1002))


def test_too_many_missed_bytes_are_not_recovered(start_edge):
    edge = start_edge("--edge-outbox-limit-bytes", "4mb")
    epoch, base = edge.position()
    for _ in range(20):
        edge.publish("news.a", b'"' + b"x" * 60000 + b'"')
    with edge.join() as ws:
        result = recover(ws, "news.a", epoch, base)
        assert not result["recovered"] and "publications" not in result
        ws.call("unsubscribe", channel="news.a")
        result = recover(ws, "news.a", epoch, base + 5)
        assert result["recovered"] and len(result["publications"]) == 15


def test_a_recovery_larger_than_the_outbox_limit(start_edge):
    edge = start_edge("--edge-outbox-limit-bytes", "64kb")
    epoch, base = edge.position()
    for _ in range(10):
        edge.publish("news.a", b'"' + b"x" * 60000 + b'"')
    with edge.join() as ws:
        result = recover(ws, "news.a", epoch, base)
        assert result["recovered"] and len(result["publications"]) == 10
        edge.publish("news.a", b"1")
        assert ws.publication("news.a")["data"] == 1


def test_trimmed_messages_are_not_recovered(start_edge):
    edge = start_edge("--channel", "short", "history-size", 3, "history-ttl", 600)
    epoch, base = edge.position()
    for n in range(5):
        edge.publish("short", b"%d" % n)
    with edge.join() as ws:
        assert not recover(ws, "short", epoch, base + 1)["recovered"]
        ws.call("unsubscribe", channel="short")
        result = recover(ws, "short", epoch, base + 2)
        assert result["recovered"] and offsets(result) == [base + 3, base + 4, base + 5]


def test_globs_recover_what_all_their_channels_missed_in_order(edge):
    epoch, base = edge.position()
    for n in range(300):
        edge.publish(f"news.{n % 100}", b"%d" % n)
    with edge.join() as ws:
        result = recover(ws, "glob:news.*", epoch, base + 50)
        assert result["recovered"] and [p["data"] for p in result["publications"]] == list(range(50, 300))
        assert [p["tags"]["channel"] for p in result["publications"]] == [f"news.{n % 100}" for n in range(50, 300)]
        edge.publish("news.new", b'"live"')
        assert ws.publication("glob:news.*")["tags"] == {"channel": "news.new"}
        assert not recover(ws, "glob:news.?", "7", base)["recovered"]


def test_a_glob_recovers_while_messages_are_published_and_many_channels_are_looked_at(edge):
    epoch, base = edge.position()
    for n in range(4500):
        edge.publish(f"news.{n}", b"%d" % n)
    for n in range(4500, 5000):
        edge.resp.command("PUBLISH", f"news.{n}", b"%d" % n)
    with edge.join() as ws:
        ws.send_json({"id": 50, "subscribe": {"channel": "glob:news.*", "recover": True, "epoch": epoch, "offset": base + 4500}})
        for n in range(4500, 5000):
            edge.resp.read_value()
        for n in range(5000, 5200):
            edge.publish(f"news.{n}", b"%d" % n)
        messages = [ws.read_message()]
        assert messages[0]["subscribe"]["recovered"]
        seen = [p["data"] for p in messages[0]["subscribe"].get("publications", [])]
        while not seen or seen[-1] != 5199:
            seen.append(ws.publication("glob:news.*")["data"])
        assert seen == list(range(seen[0], 5200)) and seen[0] <= 4500


def test_the_option_replay_begins_with_the_last_messages(start_edge):
    edge = start_edge("--channel", "last", "history-size", 5, "history-ttl", 600, "replay", 2)
    for n in range(4):
        edge.publish("last", b"%d" % n)
    with edge.join() as ws:
        assert [p["data"] for p in ws.call("subscribe", channel="last")["publications"]] == [2, 3]


# Subscriptions of the server


def test_the_token_names_channels_and_connect_recovers_them(edge):
    epoch, base = edge.position()
    for n in range(3):
        edge.publish("news.a", b"%d" % n)
    token = make_token(sub="u", channels=["news.a", "plain", "glob:news.*", "news.a"])
    with edge.open() as ws:
        result = ws.call("connect", token=token, subs={"news.a": {"recover": True, "epoch": epoch, "offset": base + 1},
                                                       "not in the token": {"recover": True}})
        assert sorted(result["subs"]) == ["glob:news.*", "news.a", "plain"]
        assert [p["data"] for p in result["subs"]["news.a"]["publications"]] == [1, 2]
        assert result["subs"]["news.a"]["recovered"] and result["subs"]["plain"] == {}
        edge.publish("news.a", b"3")
        assert sorted(ws.push()["channel"] for _ in range(2)) == ["glob:news.*", "news.a"]
        assert ws.call("subscribe", channel="plain") == {"error": 105}


def test_names_with_escapes_in_the_positions_of_connect(edge):
    names = [f"news.é{n}" for n in range(60)]
    epoch, base = edge.position()
    for name in names:
        edge.publish(name, b"1")
    subs = {name: {"recover": True, "epoch": epoch, "offset": base} for name in names}
    text = json.dumps({"id": 1, "connect": {"token": make_token(sub="u", channels=names), "subs": subs}})
    text = text.replace(f'"{epoch}"', '"' + "".join(f"\\u{ord(digit):04x}" for digit in epoch) + '"')
    with edge.open() as ws:
        ws.send_text(text)
        result = ws.read_message()["connect"]
        assert all(result["subs"][name]["recovered"] for name in names)


@pytest.mark.parametrize("subs", ['{"a":1}', '{"a":{"offset":"x"}}', '{"a":{},"a":{}}', '{"a":{"epoch":1}}'])
def test_wrong_positions_of_connect_end_the_connection(edge, subs):
    with edge.open() as ws:
        ws.send_text('{"id":1,"connect":{"token":"%s","subs":%s}}' % (make_token(sub="u", channels=["a", "b"]), subs))
        assert ws.close_code() == 3501


def test_a_channel_of_the_token_that_its_user_may_not_have_ends_the_connection(edge):
    assert edge.resp.call("ACL", "SETUSER", "u", "on", "nopass", "resetchannels", "&b", "+@all") == b"OK"
    with edge.open() as ws:
        ws.send_json({"id": 1, "connect": {"token": make_token(sub="u", channels=["a"], fanfare_user="u")}})
        assert ws.close_code() == 3507


# Tokens of subscriptions


def channel_token(channel, **claims):
    return make_token(channel=channel, **claims)


def test_a_subscription_may_have_a_token_of_its_own(edge):
    edge.allow("resetchannels")
    with edge.join(token=make_token(sub="u")) as ws:
        assert ws.call("subscribe", channel="a") == {"error": DENIED}
        assert ws.call("subscribe", channel="a", token=channel_token("b", sub="u")) == {"error": DENIED}
        assert ws.call("subscribe", channel="a", token=channel_token("a", sub="v")) == {"error": DENIED}
        assert ws.call("subscribe", channel="a", token=make_token(sub="u")) == {"error": DENIED}
        assert ws.call("subscribe", channel="a", token="a.b.c") == {"error": DENIED}
        assert ws.call("subscribe", channel="a", token=channel_token("a", sub="u", exp=5)) == {"error": EXPIRED}
        assert ws.call("subscribe", channel="a", token=channel_token("a", sub="u")) == {}
        result = ws.call("subscribe", channel="glob:a*", token=channel_token("glob:a*", sub="u", exp=int(time.time()) + 60))
        assert result["expires"] and 50 < result["ttl"] <= 60
        edge.publish("a", b"1")
        assert sorted(ws.push()["channel"] for _ in range(2)) == ["a", "glob:a*"]


def test_a_subscription_ends_with_its_token_unless_it_is_refreshed(start_edge):
    edge = start_edge("--token-leeway", 0)
    edge.allow("resetchannels")
    now = int(time.time())
    with edge.join(token=make_token(sub="u")) as ws:
        for channel in ("a", "b"):
            result = ws.call("subscribe", channel=channel, token=channel_token(channel, sub="u", exp=now + 3))
            assert result["expires"] and result["ttl"] <= 3
        assert ws.call("sub_refresh", channel="c", token=channel_token("c", sub="u")) == {"error": DENIED}
        assert ws.call("sub_refresh", channel="a", token=channel_token("a", sub="u", exp=5)) == {"error": EXPIRED}
        assert ws.call("sub_refresh", channel="a", token=channel_token("a", sub="u", exp=now + 600))["ttl"] > 500
        assert ws.push() == {"channel": "b", "unsubscribe": {"code": 2501, "reason": "subscription expired"}}
        edge.publish("b", b"1")
        edge.publish("a", b"2")
        assert ws.publication("a") == {"data": 2}
        assert ws.call("subscribe", channel="b", token=channel_token("b", sub="u", exp=now + 600))["ttl"] > 500


def test_a_refresh_with_fewer_rights_ends_subscriptions(edge):
    edge.allow("resetchannels")

    def token(*channels):
        return make_token(sub="u", caps=[{"channels": list(channels), "allow": ["sub"]}])

    with edge.join("a", "b", token=token("a", "b")) as ws:
        ws.call("refresh", token=token("b", "c"))
        assert ws.push() == {"channel": "a", "unsubscribe": {"code": 2000, "reason": "permission denied"}}
        assert ws.call("subscribe", channel="c") == {}
        assert ws.call("subscribe", channel="a") == {"error": DENIED}
        edge.publish("a", b"1")
        edge.publish("b", b"2")
        assert ws.publication("b") == {"data": 2}


# History


def test_history(edge):
    epoch, base = edge.position()
    for n in range(10):
        edge.publish("news", b"%d" % n)

    with edge.join() as ws:
        def read(**params):
            result = ws.call("history", channel="news", **params)
            if "error" in result:
                return result["error"]
            assert (result["epoch"], result["offset"]) == (epoch, base + 10)
            return [p["data"] for p in result["publications"]]

        assert read() == read(limit=0) == []
        assert read(limit=3) == [0, 1, 2] and read(limit=100) == read(limit=2 ** 63) == list(range(10))
        assert read(limit=3, reverse=True) == [9, 8, 7]
        assert read(limit=100, since={"epoch": epoch, "offset": base + 4}) == [4, 5, 6, 7, 8, 9]
        assert read(limit=2, since={"epoch": epoch, "offset": base + 4}) == [4, 5]
        assert read(limit=100, since={"epoch": epoch, "offset": base + 4}, reverse=True) == [2, 1, 0]
        assert read(limit=5, since={"epoch": epoch, "offset": base}, reverse=True) == []
        assert read(limit=5, since={"epoch": epoch, "offset": base + 10}) == []
        assert read(limit=5, since={"epoch": "7", "offset": base}) == UNRECOVERABLE
        assert read(limit=5, since={"epoch": "x", "offset": base}) == UNRECOVERABLE
        assert read(limit=5, since={"epoch": epoch, "offset": base + 11}) == UNRECOVERABLE
        assert ws.call("history", channel="news.empty", limit=5)["publications"] == []


def test_history_of_trimmed_messages_and_of_a_large_channel(start_edge):
    edge = start_edge("--channel", "short", "history-size", 3, "history-ttl", 600)
    epoch, base = edge.position()
    for _ in range(30):
        edge.publish("news", b'"' + b"x" * 60000 + b'"')
    for n in range(5):
        edge.publish("short", b"%d" % n)
    with edge.join() as ws:
        assert ws.call("history", channel="short", limit=9, since={"epoch": epoch, "offset": base + 30}) == {"error": UNRECOVERABLE}
        count = len(ws.call("history", channel="news", limit=1000)["publications"])
        assert 17 <= count <= 19  # 1 MiB
        result = ws.call("history", channel="news", limit=1000, since={"epoch": epoch, "offset": base + count})
        assert len(result["publications"]) == 30 - count


def test_long_replies_of_one_frame_are_bounded(edge):
    """Each would be 1 MiB, and they are queued whether they are read or not."""
    for _ in range(20):
        edge.publish("news", b'"' + b"x" * 60000 + b'"')
    with edge.join() as ws:
        before = edge.server.held_bytes()
        ws.send_json(*({"id": 10 + n, "history": {"channel": "news", "limit": 1000}} for n in range(500)))
        messages = [ws.read_message() for _ in range(500)]
        assert [m["id"] for m in messages] == list(range(10, 510))
        failed = ["error" in m for m in messages]
        assert failed == sorted(failed) and failed.count(False) == 3 and messages[-1]["error"]["code"] == 111, failed.count(False)
        assert edge.server.held_bytes() < before + (32 << 20)
        assert len(ws.call("history", channel="news", limit=1000)["publications"]) > 10


def test_what_connect_recovers_is_bounded(edge):
    names = [f"news.{n}" for n in range(8)]
    epoch, base = edge.position()
    for name in names:
        for _ in range(10):
            edge.publish(name, b'"' + b"x" * 60000 + b'"')
    with edge.open() as ws:
        result = ws.call("connect", token=make_token(sub="u", channels=names),
                         subs={name: {"recover": True, "epoch": epoch, "offset": base} for name in names})
        assert [result["subs"][name]["recovered"] for name in names] == [True] * 3 + [False] * 5


# Presence


def test_presence(start_edge):
    edge = start_edge("--channel", "hall", "presence", "members", "leave-delay", 1)
    with edge.join("hall", token=make_token(sub="ann", info={"name": "Ann"})) as ann, edge.join("hall") as nameless:
        with edge.join("hall", token=make_token(sub="ann")) as again:
            result = ann.call("presence", channel="hall")["presence"]
            assert len(result) == 2
            assert result["ann"]["user"] == "ann" and result["ann"]["conn_info"] == {"name": "Ann"}
            assert ann.call("presence_stats", channel="hall") == {"num_clients": 2, "num_users": 2}
            again.call("unsubscribe", channel="hall")
        assert sorted(ann.call("presence", channel="hall")["presence"]) == sorted(result)
        assert nameless.call("unsubscribe", channel="hall") == {}
        wait_until(lambda: list(ann.call("presence", channel="hall")["presence"]) == ["ann"], "only ann is there", 30)
        assert ann.call("presence", channel="room2")["presence"] == {}
        assert edge.resp.call("PRESENCE", "COUNT", "hall") == [b"hall", 1]


@pytest.mark.parametrize("info", [b'{\n "name": "Bob"\n}', b'{\r\n"name"\r:\n"Bob"}'])
def test_presence_is_one_line_whatever_a_member_says(edge, info):
    with edge.join() as ws:
        edge.resp.call("PRESENCE", "JOIN", "room", "bob", "INFO", info)
        ws.send_json({"id": 99, "presence": {"channel": "room"}})
        text = ws.read_text()
        assert "\n" not in text and "\r" not in text
        assert json.loads(text)["presence"]["presence"]["bob"]["conn_info"] == {"name": "Bob"}


def test_members_leave_when_their_connection_ends_and_stay_when_they_come_back(start_edge):
    edge = start_edge("--channel", "fast", "presence", "members", "leave-delay", 1)
    with edge.join() as watcher:
        for sub in ("ann", "bob"):
            with edge.join("fast", token=make_token(sub=sub)):
                assert sub in watcher.call("presence", channel="fast")["presence"]
        assert "bob" in watcher.call("presence", channel="fast")["presence"]
        with edge.join("fast", token=make_token(sub="bob")):
            wait_until(lambda: list(watcher.call("presence", channel="fast")["presence"]) == ["bob"], "ann has left")


def test_a_channel_that_counts_its_members_does_not_name_them(start_edge):
    edge = start_edge("--channel", "counted", "presence", "count")
    with edge.join("counted", token=make_token(sub="ann")) as ws:
        assert ws.call("presence", channel="counted") == {"error": NOT_AVAILABLE}
        assert ws.call("presence_stats", channel="counted") == {"num_clients": 1, "num_users": 1}
