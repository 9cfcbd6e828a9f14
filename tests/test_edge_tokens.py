"""Tokens of browsers: every algorithm and place, what they allow, every wrong kind, their end, and new keys."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import time
import urllib.parse

import pytest
import redis

from conftest import missing
from lib.daemon import free_port
from lib.jose import ALGORITHMS, Jose, assemble, encode
from lib.wait import seconds, wait_until
from lib.websocket import CLOSE, TEXT, WebSocket

LOOPS = (os.environ["FANFARE_TEST_IO_THREADS"],) if "FANFARE_TEST_IO_THREADS" in os.environ else ("1", "4")
SECRET = b"a secret of 32 bytes or of more!"
SITE = "http://app.example.com"
# The second is that of an older redis-py.
REFUSED = (redis.AuthenticationError, redis.ResponseError)


class Edge:
    """A daemon with keys, and what browsers do with it."""

    def __init__(self, server, port, keys):
        self.server, self.port, self.keys = server, port, keys
        self.resp = server.connect()

    def request(self, method, path, headers=None, body=None):
        """(status, text of the error or the body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds(10))
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            text = response.read().decode()
            with contextlib.suppress(ValueError, KeyError, TypeError):
                text = json.loads(text)["error"]
            return response.status, text

    def publish(self, channel, token=None, headers=None, body="x"):
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.request("POST", f"/pub/{urllib.parse.quote(channel)}", headers, body)

    def stream(self, names, token=None, headers=()):
        query = urllib.parse.urlencode([(kind, name) for kind, name in names])
        lines = list(headers) + ([f"Authorization: Bearer {token}"] if token else [])
        return Stream(self.port, f"/sse?{query}", lines)

    def opens(self, token, *channels, kind="channel"):
        """The status of a stream of these names."""
        with self.stream([(kind, name) for name in channels], token) as stream:
            return stream.status

    def socket(self, path="/ws", extra=()):
        return Socket(("127.0.0.1", self.port), path, extra)

    def join(self, token, **params):
        ws = self.socket()
        result = ws.call("connect", token=token, **params)
        assert "client" in result, (result, self.server.log()[-400:])
        return ws

    def metric(self, name):
        _, page = self.request("GET", "/metrics")
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"fanfare_{name} "))

    def checked(self, result):
        return self.metric(f'tokens_checked_total{{result="{result}"}}')

    def config(self, *words):
        return self.resp.call("CONFIG", "SET", *words)


class Stream:
    """An event stream. Lines are read as they come."""

    def __init__(self, port, path, headers=()):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds(10))
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def begun(self):
        """Reads the first block (retry), behind which the subscriptions exist."""
        self.block()
        return self

    def block(self):
        """The lines to the next empty one; None at the end."""
        lines = []
        while line := self.file.readline():
            if line == b"\n":
                return lines
            lines.append(line.decode().rstrip("\n"))
        return None

    def data(self):
        """The next message."""
        while True:
            lines = self.block()
            assert lines is not None, "the stream ended"
            for line in lines:
                if line.startswith("data: "):
                    return line[len("data: "):]


class Socket(WebSocket):
    def __init__(self, *args):
        self.pushes = []
        super().__init__(*args)

    def call(self, method, **params):
        """The result of a command, or the code of its error, or ("closed", code)."""
        self.send_frame(TEXT, json.dumps({"id": 1, method: params}))
        return self.answer(method)

    def answer(self, method):
        while True:
            opcode, _, payload = self.read_frame()
            if opcode == CLOSE:
                return "closed", int.from_bytes(payload[:2], "big")
            message = json.loads(payload)
            if "id" in message:
                return message["error"]["code"] if "error" in message else message[method]
            if "push" in message:
                self.pushes.append(message["push"])

    def push(self):
        if self.pushes:
            return self.pushes.pop(0)
        while True:
            opcode, _, payload = self.read_frame()
            assert opcode == TEXT, (opcode, payload)
            message = json.loads(payload)
            if "push" in message:
                return message["push"]

    def close_code(self):
        while True:
            opcode, _, payload = self.read_frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")


@pytest.fixture(scope="session")
def jose(node_modules):
    if not (pathlib.Path(node_modules) / "jose").is_dir():
        missing("jose")
    with Jose(node_modules) as program:
        yield program


@pytest.fixture
def start_edge(start_fanfared, folder, jose):
    def start(*options):
        port = free_port()
        keys = jose.write_keys(folder / "keys.json")
        server = start_fanfared(
            "--http-port", port, "--http-doors", "sse ws publish metrics", "--token-jwks-file", keys, "--loglevel", "debug",
            "--auth-delay-max", 0, *options)
        return Edge(server, port, keys)

    return start


@pytest.fixture
def edge(start_edge):
    return start_edge()


def caps(*channels, allow=("sub", "pub", "hst", "prs"), **match):
    return {"channels": list(channels), "allow": list(allow), **match}


def later(count=600):
    return int(time.time()) + count


# Algorithms and places


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_tokens_of_each_algorithm_open_every_door(edge, jose, alg):
    token = jose.token(alg, sub="u", exp=later(), caps=[caps("news")])
    with edge.stream([("channel", "news")], token) as stream, edge.join(token) as ws:
        assert stream.status == 200
        stream.begun()
        assert ws.call("subscribe", channel="news") == {}
        assert edge.publish("news", token, body='{"n":1}') == (200, '{"receivers":2}\n')
        assert stream.data() == '{"n":1}'
        assert ws.push() == {"channel": "news", "pub": {"data": {"n": 1}}}
    assert edge.checked("valid") == 3 and edge.metric("token_cache_hits_total") == 2


def test_tokens_of_the_standard_library_and_of_a_key_without_an_id(start_edge):
    edge = start_edge("--token-jwks-file", "", "--token-hmac-secret", SECRET.decode())
    for header in ({"alg": "HS256"}, {"alg": "HS256", "typ": "JWT"}):
        assert edge.publish("a", assemble(header, {"caps": [caps("a")]}, SECRET))[0] == 200


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_in_a_file_verifies_tokens_and_is_no_secret(start_edge, jose, folder, alg):
    path = folder / "key.pem"
    path.write_text(jose.pem(alg))
    edge = start_edge("--token-jwks-file", "", "--token-public-key-file", path)
    claims = {"caps": [caps("a")]}
    assert edge.publish("a", jose.token(alg, header={"kid": None}, **claims)) == (200, '{"receivers":0}\n')
    for secret in (path.read_bytes(), path.read_bytes().strip()):
        assert edge.publish("a", assemble({"alg": "HS256"}, claims, secret)) == (
            401, "the algorithm of the token is not one of its key")


def test_the_places_of_a_token_in_their_order(start_edge, jose):
    edge = start_edge("--token-cookie", "session", "--http-allowed-origins", SITE)
    good, bad = jose.token(caps=[caps("a")]), "a.b.c"
    same = f"http://127.0.0.1:{edge.port}"
    assert edge.request("POST", f"/pub/a?token={good}", body="x")[0] == 200
    assert edge.request("POST", f"/pub/a?token={bad}", {"Authorization": f"bearer  {good}"}, "x")[0] == 200
    for origin in (SITE, same):
        assert edge.request("POST", f"/pub/a?token={bad}", {"Cookie": f"x=1; session={good}", "Origin": origin}, "x")[0] == 200
    # A page of another origin, or none, does not use the cookie.
    with_cookie = {"Cookie": f"session={good}"}
    assert edge.request("POST", "/pub/a", {**with_cookie, "Origin": "http://evil.example.com"}, "x")[0] == 403
    assert edge.request("POST", "/pub/a", with_cookie, "x") == (401, "a token is needed")
    for headers, status in (([], 200), (["Sec-Fetch-Site: same-origin"], 200), (["Sec-Fetch-Site: cross-site"], 401),
                            ([f"Origin: {SITE}", "Sec-Fetch-Site: cross-site"], 200), (["Origin: null"], 403)):
        with edge.stream([("channel", "a")], headers=[f"Cookie: session={good}", *headers]) as stream:
            assert stream.status == status, headers


def test_with_any_origin_allowed_no_cookie_counts(start_edge, jose):
    edge = start_edge("--token-cookie", "session", "--http-allowed-origins", "*")
    headers = {"Cookie": f"session={jose.token(caps=[caps('a')])}", "Origin": SITE}
    assert edge.request("POST", "/pub/a", headers, "x") == (401, "a token is needed")


def test_a_websocket_takes_the_token_of_its_request_or_of_connect(edge, jose):
    token = jose.token(sub="u", caps=[caps("a")])
    for path, extra in ((f"/ws?token={token}", ()), ("/ws", [f"Authorization: Bearer {token}"])):
        with edge.socket(path, extra) as ws:
            assert "client" in ws.call("connect")
            assert ws.call("subscribe", channel="a") == {}
            assert ws.call("subscribe", channel="b") == 103
    with edge.socket("/ws?token=a.b.c") as ws:
        assert ws.status == 401
    with edge.socket() as ws:
        assert ws.call("connect") == 101
        assert "client" in ws.call("connect", token=token)


def test_a_websocket_does_not_inherit_the_token_of_an_earlier_request(edge, jose):
    """A proxy sends requests of many browsers over one connection."""
    token = jose.token(sub="u", caps=[caps("a")])
    connection = socket.create_connection(("127.0.0.1", edge.port), timeout=seconds(10))
    with connection, connection.makefile("rb") as replies:
        connection.sendall(f"POST /pub/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 1\r\n\r\nx"
                           .encode())
        assert replies.readline() == b"HTTP/1.1 200 OK\r\n"
        while replies.readline() != b"\r\n":
            pass
        assert replies.readline() == b'{"receivers":0}\n'
        ws = Socket.__new__(Socket)
        ws.socket, ws.received, ws.pushes = connection, b"", []
        ws.status, _ = ws._shake_hands(("127.0.0.1", edge.port), "/ws", ())
        assert ws.status == 101 and ws.call("connect") == 101


def test_a_token_that_cannot_be_read_never_makes_an_anonymous_client(start_edge, jose):
    edge = start_edge("--edge-anonymous", "yes", "--user", "edge", *"on resetchannels &a +subscribe +publish".split())
    expired = jose.token(exp=1000)
    assert edge.request("POST", "/pub/a", body="x")[0] == 200
    for query in (f"x=%zz&token={expired}", "token=%zz", "token=%00", f"%zz=1&token={expired}"):
        assert edge.request("POST", f"/pub/a?{query}", body="x")[0] == 401, query
        with edge.socket(f"/ws?{query}") as ws:
            assert ws.status == 401, query
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert edge.request("POST", "/sse", form, f"channel=a&token={expired}") == (
        400, "a token must be in the header Authorization, a cookie or the URL")


# What a token allows


def test_caps_grant_names_globs_and_kinds_of_use(edge, jose):
    token = jose.token(caps=[caps("exact"), caps("news.*", match="wildcard", allow=["sub"]), caps("in", allow=["pub"])])
    assert edge.opens(token, "exact", "news.sport", "news.") == 200
    for name in ("Exact", "exact2", "newsx", "in", "exac*"):
        assert edge.opens(token, "exact", name) == 403, name
    assert [edge.publish(name, token)[0] for name in ("exact", "in", "news.sport")] == [200, 200, 403]
    # A glob is granted literally.
    assert edge.opens(token, "news.*", kind="pattern") == 200
    for glob in ("news.a*", "news.**", "*", "exact"):
        assert edge.opens(token, glob, kind="pattern") == 403, glob
    assert edge.opens(jose.token(caps=[caps("*", match="wildcard")]), "news.a*", "x[yz]", kind="pattern") == 200


def test_history_and_presence_need_their_own_kinds_of_use(start_edge, jose):
    edge = start_edge("--channel", "a", *"history-size 10 history-ttl 60 presence members".split())
    allowed = {}
    for kind in ("hst", "prs", "sub"):
        with edge.join(jose.token(sub="u", caps=[caps("a", allow=[kind])])) as ws:
            allowed[kind] = [method for method in ("history", "presence", "presence_stats", "subscribe")
                             if ws.call(method, channel="a") != 103]
    assert allowed == {"hst": ["history"], "prs": ["presence", "presence_stats"], "sub": ["subscribe"]}


def test_the_claim_channels_subscribes_a_websocket_and_allows_to_receive(edge, jose):
    token = jose.token(sub="u", channels=["a", "b"])
    with edge.socket() as ws:
        assert ws.call("connect", token=token)["subs"] == {"a": {}, "b": {}}
        assert edge.resp.call("PUBLISH", "b", "1") == 1
        assert ws.push() == {"channel": "b", "pub": {"data": 1}}
        assert ws.call("publish", channel="a", data=1) == 103
    assert edge.opens(token, "a", "b") == 200 and edge.opens(token, "c") == 403
    assert edge.publish("a", token)[0] == 403


def test_the_token_of_a_subscription(edge, jose):
    def of(channel="private", sub="u", **more):
        return jose.token(sub=sub, channel=channel, **more)

    with edge.join(jose.token(sub="u", caps=[])) as ws:
        assert ws.call("subscribe", channel="private") == 103
        assert ws.call("subscribe", channel="private", token=of(sub="other")) == 103
        assert ws.call("subscribe", channel="private", token=of(channel="other")) == 103
        assert ws.call("subscribe", channel="private", token=jose.token(sub="u", caps=[caps("private")])) == 103
        assert ws.call("subscribe", channel="private", token=of(exp=1000)) == 109
        assert ws.call("subscribe", channel="private", token="a.b.c") == 103
        result = ws.call("subscribe", channel="private", token=of(exp=later(100)))
        assert result["expires"] is True and 90 <= result["ttl"] <= 110
    # The rules of a user bound this token as well.
    edge.resp.ok("ACL", "SETUSER", "web", "on", "resetchannels", "&open.*", "+subscribe")
    bound = {"fanfare": {"user": "web"}}
    with edge.join(jose.token(sub="u", caps=[], **bound)) as ws:
        assert ws.call("subscribe", channel="private", token=of(**bound)) == 103
        assert ws.call("subscribe", channel="open.1", token=of("open.1", **bound)) == {}
    with edge.join(jose.token(sub="u", caps=[])) as ws:
        assert ws.call("subscribe", channel="open.1", token=of("open.1", **bound)) == 103
    # ... also later.
    with edge.join(jose.token(sub="u", caps=[], **bound)) as free, edge.join(jose.token(sub="u", caps=[], **bound)) as ws:
        assert free.call("subscribe", channel="open.1", token=of("open.1")) == {}
        assert ws.call("subscribe", channel="open.1", token=of("open.1", **bound)) == {}
        edge.resp.ok("ACL", "SETUSER", "web", "resetchannels")
        assert ws.close_code() == 3507
        assert free.call("unsubscribe", channel="open.1") == {}


def test_the_token_of_a_subscription_opens_no_websocket(start_edge, jose):
    edge = start_edge("--token-cookie", "session")
    token = jose.token(sub="u", channel="private")
    for path, header in (("/ws", f"Authorization: Bearer {token}"), ("/ws", f"Cookie: session={token}"),
                         (f"/ws?token={token}", "X-Nothing: 1")):
        with edge.socket(path, (header,)) as refused:
            assert refused.status == 401
    with edge.join(jose.token(sub="u", caps=[])) as ws:
        assert ws.call("subscribe", channel="private", token=token) == {}
        assert ws.call("sub_refresh", channel="private", token=token) == {}
        assert ws.call("refresh", token=token) == ("closed", 3500)
    assert edge.checked("subscription") == 4


def test_a_user_of_the_access_control_bounds_its_tokens(edge, jose):
    edge.resp.ok("ACL", "SETUSER", "web", "on", "resetchannels", "&news.*", "&both", "+subscribe", "+publish")
    edge.resp.ok("ACL", "SETUSER", "gone", "off", "allchannels", "+@all")

    def token(**claims):
        return jose.token(fanfare={"user": "web"}, **claims)

    assert edge.opens(token(), "news.1", "both") == 200 and edge.opens(token(), "other") == 403
    assert edge.publish("both", token())[0] == 200
    assert edge.opens(token(), "news.*", kind="pattern") == 403  # there is no +psubscribe
    some = token(caps=[caps("both", "other")])
    assert edge.opens(some, "both") == 200
    assert edge.opens(some, "news.1") == 403 and edge.opens(some, "other") == 403
    assert edge.opens(token(caps=[]), "both") == 403
    for user in ("gone", "nosuch"):
        assert edge.publish("both", jose.token(fanfare={"user": user})) == (401, "the user of the token may not log in")
    with edge.join(token()) as ws:
        assert b"user=web" in edge.resp.call("CLIENT", "LIST")
        assert ws.call("subscribe", channel="both") == {}
        edge.resp.ok("ACL", "SETUSER", "web", "resetchannels", "&news.*")
        assert ws.close_code() == 3507


def test_the_rules_of_edge_user_are_added_to_tokens_without_a_user(start_edge, jose):
    edge = start_edge("--edge-anonymous", "yes", "--user", "edge", *"on resetchannels &public.* +subscribe +psubscribe".split())
    token = jose.token(caps=[caps("mine")])
    assert edge.opens(token, "mine", "public.1") == 200 and edge.opens(token, "other") == 403
    assert edge.opens(None, "public.1") == 200 and edge.opens(None, "mine") == 403
    assert edge.opens(None, "public.*", kind="pattern") == 200 and edge.opens(None, "public.a*", kind="pattern") == 403
    assert edge.publish("public.1", token)[0] == 403
    edge.config("edge-anonymous", "no")
    assert edge.opens(None, "public.1") == 401


# Wrong tokens


RULES = {"aud": "fanfare", "iss": "me"}


def wrong_tokens(jose):
    """name of the result: a token, and the text for the peer."""
    good = jose.token(caps=[caps("a")])
    head, claims, signature = good.split(".")
    oct_key = next(key for key in jose.sets[0]["keys"] if key["kid"] == "hs256")
    secret = base64.urlsafe_b64decode(oct_key["k"] + "==")

    def hs256(text, header='{"alg":"HS256","kid":"hs256"}'):
        return assemble(header, text, secret)

    malformed = "the token is not a signed JSON web token"
    wrong = "the algorithm of the token is not one of its key"
    signed = "the signature of the token is wrong"
    invalid = "a claim of the token is invalid"
    return [
        ("algorithm", encode(b'{"alg":"none"}') + f".{claims}.", wrong),
        ("algorithm", encode(b'{"alg":"None","kid":"es256"}') + f".{claims}.{signature}", wrong),
        ("algorithm", hs256("{}", '{"alg":"HS256","kid":"es256"}'), wrong),
        ("algorithm", encode(b'{"alg":"RS256","kid":"es256"}') + f".{claims}.{signature}", wrong),
        ("unknown_key", jose.token(header={"kid": "../../etc/passwd"}), "the key id of the token is unknown"),
        ("critical", jose.token("HS256", header={"crit": ["b64"], "b64": True}), "the header of the token demands an unknown"
         " extension"),
        ("signature", jose.token(of=1, caps=[caps("a")]), signed),
        ("signature", f"{head}.{encode(b'{}')}.{signature}", signed),
        ("signature", f"{head}.{claims}.", signed),
        ("malformed", "undefined", malformed),
        ("malformed", f"{head}.{claims}", malformed),
        ("malformed", good + "=", malformed),
        ("malformed", good + ".", malformed),
        ("malformed", "....", malformed),
        ("malformed", "\\x00\\xff", malformed),
        ("malformed", encode(b'{"alg":"ES256","alg":"none","kid":"es256"}') + f".{claims}.{signature}", malformed),
        ("too_large", jose.token(pad="x" * 16384), "the token is longer than 16384 bytes"),
        ("expired", jose.token(exp=later(-60), **RULES), "the token has expired"),
        ("expired", jose.token(exp=later(), expire_at=later(-60), **RULES), "the token has expired"),
        ("not_yet", jose.token(nbf=later(60), **RULES), "the token is not valid yet"),
        ("audience", jose.token(iss="me"), "the token is for another audience"),
        ("audience", jose.token(aud=["x", "y"], iss="me"), "the token is for another audience"),
        ("issuer", jose.token(aud="fanfare"), "the token is from another issuer"),
        ("issuer", jose.token(aud="fanfare", iss="me2"), "the token is from another issuer"),
        ("subscription", jose.token(channel="a", **RULES), "the token is for a subscription only"),
        ("subscription", jose.token(channel="a", caps=[caps("a")], **RULES), "the token is for a subscription only"),
        ("claim", hs256('{"sub":"a","sub":"b"}'), invalid),
        ("claim", hs256('{"exp":9999999999,"exp":1}'), invalid),
        ("claim", hs256('{"exp":"9999999999"}'), invalid),
        ("claim", hs256('{"exp":-1}'), invalid),
        ("claim", hs256('{"fanfare":{"user":""}}'), invalid),
        ("malformed", hs256("[]"), malformed),
        ("malformed", hs256("{"), malformed),
        ("claim", jose.token(caps=[{"channels": ["a"], "allow": ["everything"]}]), invalid),
        ("regex", jose.token(caps=[caps(".*", match="regex")]), "the token has caps with regular expressions; use wildcards"),
    ]


def test_every_wrong_token_is_refused_with_its_reason_and_counted(start_edge, jose):
    edge = start_edge("--token-audience", "fanfare", "--token-issuer", "me", "--edge-anonymous", "yes", "--http-max-head", "64kb",
                      "--user", "edge", *"on resetchannels &* +@all".split())
    expected = {}
    for result, token, why in wrong_tokens(jose):
        assert edge.publish("a", token) == (401, why), (result, token)
        with edge.stream([("channel", "a")], token) as stream:
            assert stream.status == 401
        with edge.socket() as ws:
            answer = ws.call("connect", token=token)
            assert answer == {"expired": 109, "too_large": ("closed", 1009)}.get(result, ("closed", 3500)), (result, answer)
        expected[result] = expected.get(result, 0) + (2 if result == "too_large" else 3)
        for part in token.split("."):
            assert len(part) < 8 or part not in edge.server.log()
    assert {result: edge.checked(result) for result in expected} == expected
    assert edge.metric("edge_denied_tokens_total") == sum(expected.values())
    assert edge.publish("a", jose.token(**RULES))[0] == 200
    log = edge.server.log()
    assert "refusing a token of client " in log and "the algorithm of the token is not" in log
    assert log.count("refusing a token of client ") < sum(expected.values())


def test_no_token_is_logged(edge, jose):
    good, bad = jose.token(caps=[caps("a")]), jose.token(of=1)
    for token in (good, bad):
        edge.request("POST", f"/pub/a?token={token}", body="x")
        edge.request("GET", f"/nosuch?token={token}")
        edge.request("GET", f"/sse?channel=%zz&token={token}")
        edge.publish("a", token)
        with edge.stream([("channel", "a"), ("token", token)]):
            pass
        with edge.socket(f"/ws?token={token}") as ws:
            if ws.status == 101:
                ws.call("connect")
        with edge.socket() as ws:
            ws.call("connect", token=token)
            ws.send_frame(TEXT, json.dumps({"id": 1, "connect": {"token": token}}) + "x")
            ws.read_to_end()
    edge.resp.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    edge.request("POST", f"/pub/a?token={good}", body="x")
    shown = edge.server.log().encode() + repr(edge.resp.call("SLOWLOG", "GET", "-1")).encode()
    shown += edge.resp.call("CLIENT", "LIST")
    for token in (good, bad):
        for part in token.split("."):
            assert part.encode() not in shown


# The end of a token


def test_a_stream_ends_with_its_token(start_edge, jose):
    edge = start_edge("--token-leeway", 0)
    with edge.stream([("channel", "a")], jose.token(exp=later(2), caps=[caps("a")])) as stream:
        stream.begun()
        assert edge.resp.call("PUBLISH", "a", "1") == 1
        assert stream.data() == "1"
        block = stream.block()
        while block is not None and "event: expired" not in block:
            block = stream.block()
        assert block == ["event: expired", "data: {}"] and stream.block() is None
    assert edge.metric("edge_expired_sessions_total") == 1
    wait_until(lambda: edge.resp.call("PUBLISH", "a", "2") == 0, "the end of the subscription")


def test_a_websocket_is_closed_with_its_token_unless_it_gets_another(start_edge, jose):
    edge = start_edge("--token-leeway", 0)

    def token(ends, sub="u"):
        return jose.token(sub=sub, exp=later(ends), caps=[caps("a")])

    with edge.socket() as first, edge.socket() as second:
        result = first.call("connect", token=token(2))
        assert result["expires"] is True and 1 <= result["ttl"] <= 2
        assert "client" in second.call("connect", token=token(2))
        assert second.call("refresh", token=token(-5)) == 109
        result = second.call("refresh", token=token(100))
        assert result["expires"] is True and 90 < result["ttl"] <= 100
        assert first.close_code() == 3005
        assert second.call("subscribe", channel="a") == {}
        assert second.call("refresh", token=token(100, sub="other")) == ("closed", 3500)


def test_a_refresh_to_fewer_channels_ends_the_others(edge, jose):
    with edge.join(jose.token(sub="u", caps=[caps("a", "b")])) as ws:
        assert ws.call("subscribe", channel="a") == ws.call("subscribe", channel="b") == {}
        assert "client" in ws.call("refresh", token=jose.token(sub="u", caps=[caps("a")]))
        push = ws.push()
        assert push["channel"] == "b" and "unsubscribe" in push
        assert edge.resp.call("PUBLISH", "b", "1") == 0 and edge.resp.call("PUBLISH", "a", "1") == 1


def test_expire_at_replaces_the_end(start_edge, jose):
    edge = start_edge("--token-leeway", 0)
    with edge.socket() as ws:
        result = ws.call("connect", token=jose.token(exp=later(2), expire_at=later(1000)))
        assert 900 < result["ttl"] <= 1000
    with edge.socket() as ws:
        result = ws.call("connect", token=jose.token(exp=later(1), expire_at=0))
        assert "expires" not in result


def test_an_expired_token_never_becomes_an_anonymous_client(start_edge, jose):
    edge = start_edge("--edge-anonymous", "yes", "--token-cookie", "session", "--user", "edge",
                      *"on resetchannels &* +@all".split())
    token = jose.token(exp=later(-60))
    cookie = [f"Cookie: session={token}"]
    assert edge.opens(None, "a") == 200 and edge.opens(token, "a") == 401
    assert edge.request("GET", f"/sse?channel=a&token={token}")[0] == 401
    with edge.stream([("channel", "a")], headers=cookie) as stream:
        assert stream.status == 401
    assert edge.publish("a", token)[0] == 401
    with edge.socket(extra=cookie) as ws:
        assert ws.status == 401
    with edge.socket() as ws:
        assert ws.call("connect", token=token) == 109
        assert ws.call("subscribe", channel="a") == ("closed", 3501)


# New keys


@pytest.mark.parametrize("how", ["SIGHUP", "CONFIG SET"])
def test_new_keys_end_old_tokens_but_not_the_sessions_that_they_opened(edge, jose, how):
    tokens = [jose.token(sub="u", caps=[caps("a")], of=of) for of in (0, 1)]
    assert [edge.publish("a", token)[0] for token in tokens] == [200, 401]
    with edge.stream([("channel", "a")], tokens[0]) as stream, edge.join(tokens[0]) as ws:
        stream.begun()
        assert ws.call("subscribe", channel="a") == {}
        jose.write_keys(edge.keys, of=1)
        if how == "SIGHUP":
            edge.server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: edge.publish("a", tokens[1])[0] == 200, "the new keys")
        else:
            assert edge.config("token-jwks-file", str(edge.keys)) == b"OK"
        assert edge.publish("a", tokens[0]) == (401, "the signature of the token is wrong")
        assert edge.publish("a", tokens[1], body="new")[0] == 200
        while stream.data() != "new":
            pass
        assert ws.call("publish", channel="a", data=1) == {}
        assert ws.call("refresh", token=tokens[0]) == ("closed", 3500)


def test_bad_keys_change_nothing(edge, jose):
    token = jose.token(caps=[caps("a")])
    edge.keys.write_text('{"keys":[{"kty":"oct","k":"AAAA"}]}')
    assert b"keys.json" in edge.config("token-jwks-file", str(edge.keys)).text
    edge.server.process.send_signal(signal.SIGHUP)
    edge.server.wait_for_log("keys.json")
    assert edge.publish("a", token)[0] == 200


def test_a_file_without_the_key_ends_its_tokens(edge, jose):
    token = jose.token("EdDSA", caps=[caps("a")])
    assert edge.publish("a", token)[0] == 200
    jose.write_keys(edge.keys, algorithms=("RS256",))
    assert edge.config("token-jwks-file", str(edge.keys)) == b"OK"
    assert edge.publish("a", token) == (401, "the algorithm of the token is not one of its key")
    assert edge.config("token-jwks-file", "") == b"OK"
    assert edge.publish("a", token) == (401, "no key for tokens is configured")


# I/O threads


def send_streams(edge, tokens):
    """A connection for each token, with a request for a stream that is not answered yet."""
    connections = []
    for token in tokens:
        connections.append(socket.create_connection(("127.0.0.1", edge.port), timeout=seconds(20)))
        connections[-1].sendall(f"GET /sse?channel=a&token={token} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connections


def statuses(connections):
    found = []
    for connection in connections:
        with connection, connection.makefile("rb") as answer:
            found.append(int(answer.readline().split()[1]))
    return found


@pytest.mark.parametrize("loops", LOOPS)
def test_io_threads_verify_each_token_once(start_edge, jose, loops):
    edge = start_edge("--io-threads", loops)
    threaded = lambda: int(edge.resp.info("stats")["token_threaded_checks"])  # noqa: E731
    tokens = jose.tokens("ES256", 100, caps=[caps("a")])
    for _ in range(2):
        assert statuses(send_streams(edge, tokens)) == [200] * 100
        assert threaded() == (100 if loops != "1" else 0)
    assert edge.checked("valid") == 200 and edge.metric("token_cache_hits_total") == 100
    assert edge.metric("token_threaded_checks_total") == threaded()
    with edge.join(jose.token(sub="u", caps=[])) as ws:
        assert ws.call("subscribe", channel="a", token=jose.token(sub="u", channel="a")) == {}
        assert ws.call("refresh", token=jose.token("EdDSA", sub="u", caps=[])) != {}
        assert ws.call("sub_refresh", channel="a", token=jose.token("RS256", sub="u", channel="a")) == {}
    assert threaded() == (104 if loops != "1" else 0)


def test_io_threads_verify_few_wrong_tokens_of_an_address(start_edge, jose):
    edge = start_edge("--io-threads", 4, "--auth-delay-max", 100)
    assert set(statuses(send_streams(edge, jose.tokens("EdDSA", 300, of=1)))) <= {200, 401}
    first = int(edge.resp.info("stats")["token_threaded_checks"])
    assert 0 < first <= 64
    assert edge.publish("a", jose.token("EdDSA", of=1))[0] in (401, 429)
    assert edge.publish("a", jose.token("EdDSA", caps=[caps("a")]))[0] in (200, 429)
    assert int(edge.resp.info("stats")["token_threaded_checks"]) == first


def test_new_keys_refuse_old_tokens_in_the_middle_of_a_storm(start_edge, jose):
    edge = start_edge("--io-threads", 4)
    for turn in range(4):
        old, new = turn % 2, 1 - turn % 2
        tokens = jose.tokens("ES256", 300, of=old, caps=[caps("a")], iat=turn)
        early = send_streams(edge, tokens[:200])
        jose.write_keys(edge.keys, of=new)
        for connection in early[::4]:
            connection.close()  # whatever the threads do with its token
        assert edge.config("token-jwks-file", str(edge.keys)) == b"OK"
        late = send_streams(edge, tokens[100:])
        now = send_streams(edge, jose.tokens("ES256", 20, of=new, caps=[caps("a")], iat=turn))
        assert set(statuses(late)) == {401}
        assert set(statuses(now)) == {200}
        assert set(statuses([connection for connection in early if connection.fileno() != -1])) <= {200, 401}
    assert edge.resp.call("PING") == b"PONG"


# Many wrong tokens


def test_wrong_signatures_delay_the_next_tokens_of_the_address(start_edge, jose):
    edge = start_edge("--auth-delay-max", 400)
    good = jose.token(caps=[caps("a")])
    assert edge.publish("a", good)[0] == 200
    for token in jose.tokens("ES256", 7, of=1):
        assert edge.publish("a", token)[0] == 401
    begin = time.monotonic()
    assert edge.publish("a", good)[0] == 200  # it is known
    assert time.monotonic() - begin < 0.3 * seconds(1)
    begin = time.monotonic()
    assert edge.publish("a", jose.token(sub="new", caps=[caps("a")]))[0] == 200
    assert time.monotonic() - begin > 0.2
    assert b"acl_delayed_logins:" in edge.resp.call("INFO", "stats")
    with edge.join(jose.token(sub="u", caps=[])) as ws:
        assert ws.call("subscribe", channel="a", token=jose.token(of=1, channel="a")) == 103


def test_a_flood_of_wrong_tokens_takes_little_of_the_loop(start_edge, jose):
    edge = start_edge("--auth-delay-max", 300)
    wrong = jose.tokens("EdDSA", 600, of=1)
    socks = [edge.socket() for _ in range(len(wrong))]
    answers = []
    begin = time.monotonic()
    for ws, token in zip(socks, wrong):
        ws.send_frame(TEXT, json.dumps({"id": 1, "connect": {"token": token}}))
    for ws in socks:
        answers.append(ws.close_code())
        ws.socket.close()
    # Few signatures were verified: those that I/O threads had before the first was found to be wrong, and 200 a second. The
    # clients of the others may come again.
    assert answers.count(3500) < 110 + 210 * (time.monotonic() - begin)
    assert answers.count(3013) > 0 and answers.count(3500) + answers.count(3013) == len(wrong)


def test_requests_of_a_flood_of_wrong_tokens_may_come_again(start_edge, jose):
    edge = start_edge("--auth-delay-max", 300, "--edge-anonymous", "yes")
    lines = {"stream": "GET /sse?channel=a", "strict": "GET /sse?channel=a&strict=1", "socket": "GET /ws?",
             "publish": "POST /pub/a?"}
    upgrade = ("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
               "Connection: Upgrade")
    plain = "Content-Length: 0\r\nConnection: close"
    answers = {kind: set() for kind in lines}
    pending = []
    for number, token in enumerate(jose.tokens("ES256", 240, of=1)):
        kind = list(lines)[number % 4]
        pending.append((kind, socket.create_connection(("127.0.0.1", edge.port), timeout=seconds(10))))
        pending[-1][1].sendall((f"{lines[kind]}&token={token} HTTP/1.1\r\nHost: a\r\n"
                                f"{upgrade if kind == 'socket' else plain}\r\n\r\n").encode())
    for kind, connection in pending:
        with connection, connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            answers[kind].add(status)
            if status == 200:
                assert answer.read().partition(b"\r\n\r\n")[2].endswith(b"\n: too many wrong tokens from this address\n\n")
    for kind, status in (("stream", 200), ("strict", 429), ("socket", 429), ("publish", 429)):
        assert status in answers[kind] and answers[kind] <= {status, 401}, answers


# AUTH


def test_redis_py_logs_in_with_a_token_until_it_expires(start_edge, jose):
    edge = start_edge("--token-leeway", 0)
    edge.resp.ok("ACL", "SETUSER", "web", "on", "jwt", "allchannels", "allkeys", "+@all")

    def client(token, user="web"):
        return redis.Redis(port=edge.server.port, username=user, password=token, socket_timeout=seconds(10),
                           retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))

    with contextlib.closing(client(jose.token(exp=later(2), fanfare={"user": "web"}))) as c:
        assert c.acl_whoami() in ("web", b"web")
        c.set("k", "v")
        pubsub = c.pubsub()
        pubsub.subscribe("a")
        assert pubsub.get_message(timeout=seconds(5))["type"] == "subscribe"
        with pytest.raises(redis.ConnectionError):
            while True:
                pubsub.get_message(timeout=seconds(5))
        with pytest.raises(REFUSED, match="the token has expired"):
            client(jose.token(exp=later(-60), fanfare={"user": "web"})).ping()
    for token, why in ((jose.token(sub="web"), "does not name this user"),
                       (jose.token(fanfare={"user": "web"}, caps=[]), "for HTTP only"),
                       (jose.token(fanfare={"user": "web"}, of=1), "invalid username-password pair")):
        with pytest.raises(REFUSED, match=why):
            client(token).ping()
    edge.resp.ok("ACL", "SETUSER", "plain", "on", "+@all")
    with pytest.raises(REFUSED, match="WRONGPASS"):
        client(jose.token(fanfare={"user": "plain"}), "plain").ping()
