"""Pages in Chromium: event streams and WebSockets over lost connections, restarts, upgrades and refusals."""

import os
import re
import shutil
import subprocess
import time
import urllib.parse

import pytest

from conftest import TESTS, missing
from lib.cutter import Cutter
from lib.daemon import free_port
from lib.lineage import lineages_of
from lib.page import Page, PageServer
from lib.program import Program
from lib.resp import Connection, Error
from lib.tokens import make_token
from lib.wait import SLOW, wait_until

PAGES = {f"/{name}": TESTS / "pages" / name for name in ("stream.html", "socket.html")}
EVERYBODY = ("--edge-anonymous", "yes", "--user", "edge", "on", "resetchannels", "&*", "+subscribe", "+psubscribe", "+publish")
QUICK = ("--sse-retry-min", 100, "--sse-retry-max", 200)


@pytest.fixture
def pages():
    with PageServer(PAGES) as server:
        yield server


@pytest.fixture
def edge_options(pages):
    """Directives of a daemon that keeps messages of the channel news for pages of another origin."""
    return ("--http-port", free_port(), "--http-allowed-origins", pages.origin, *EVERYBODY, "--channel", "news", "history-size",
            100, "history-ttl", 600, *QUICK)


@pytest.fixture
def start_edge(start_fanfared, edge_options):
    return lambda *more, port=None: start_fanfared(*edge_options, *more, port=port)


@pytest.fixture
def start_lineage(start_fanfared):
    yield from lineages_of(start_fanfared)


def http_port(server):
    return int(server.options[server.options.index("--http-port") + 1])


def stream_url(pages, port, query="channel=news", **more):
    url = f"http://127.0.0.1:{port}/sse?{query}"
    return f"{pages.origin}/stream.html?" + urllib.parse.urlencode({"url": url, **more})


def open_stream(page, *what, **more):
    page.open(stream_url(*what, **more))


def socket_url(pages, port, channel="news"):
    query = urllib.parse.urlencode({"url": f"ws://127.0.0.1:{port}/ws", "channel": channel})
    return f"{pages.origin}/socket.html?{query}"


def open_socket(page, *what, **more):
    page.open(socket_url(*what, **more))


def publish(server, *messages, channel="news"):
    """Returns the number of receivers of the last one."""
    with server.connect() as client:
        return [client.call("PUBLISH", channel, message) for message in messages][-1]


def kill_browsers(server):
    """CLIENT KILL of all clients of HTTP."""
    with server.connect() as client:
        assert client.call("CLIENT", "KILL", "USER", "edge") >= 1


def received(page):
    return [text.partition(" ")[2] for text in page.texts() if text.startswith("message ")]


def numbers(*parts):
    return [str(n) for part in parts for n in part]


def test_an_event_source_resumes_when_its_connection_was_killed(start_edge, pages, page):
    server = start_edge()
    open_stream(page, pages, http_port(server))
    page.wait("open")
    for turn in range(3):
        publish(server, *numbers(range(10 * turn, 10 * turn + 5)))
        page.wait("message", 10 * turn + 5)
        kill_browsers(server)
        publish(server, *numbers(range(10 * turn + 5, 10 * turn + 10)))
        page.wait("open", turn + 2)
        page.wait("message", 10 * turn + 10)
    assert received(page) == numbers(range(30))
    assert not any(text.startswith("lagged") for text in page.texts())


def test_an_event_source_resumes_when_its_connection_was_reset(start_edge, pages, page):
    server = start_edge()
    with Cutter(("127.0.0.1", http_port(server))) as cutter:
        open_stream(page, pages, cutter.port)
        page.wait("open")
        for turn in range(3):
            publish(server, f"{turn} before")
            page.wait(f"{turn} before")
            cutter.cut()
            publish(server, f"{turn} meanwhile")
            page.wait(f"{turn} meanwhile")
    assert received(page) == [f"{turn} {when}" for turn in range(3) for when in ("before", "meanwhile")]


def test_an_event_source_that_has_had_no_message_yet_resumes_too(start_edge, pages, page):
    server = start_edge()
    publish(server, "before it came")
    open_stream(page, pages, http_port(server))
    page.wait("open")
    kill_browsers(server)
    publish(server, "while it was away")
    page.wait("message")
    assert received(page) == ["while it was away"]


def test_an_event_source_goes_on_over_upgrades(start_lineage, edge_options, pages, page):
    lineage = start_lineage(*edge_options, "--shutdown-grace", 1)
    server, pid = lineage.daemon, None
    open_stream(page, pages, http_port(server))
    page.wait("open")
    for turn in range(2):
        publish(server, f"{turn} before")
        page.wait(f"{turn} before")
        pid = lineage.upgrade(pid)
        publish(server, f"{turn} to the successor")
        page.wait(f"{turn} to the successor")
    assert received(page) == [f"{turn} {when}" for turn in range(2) for when in ("before", "to the successor")]
    assert not any(text.startswith("lagged") for text in page.texts())


def test_an_event_source_goes_on_over_a_restart_that_saves_the_history(start_edge, pages, page):
    server = start_edge("--history-save", "yes")
    open_stream(page, pages, http_port(server))
    page.wait("open")
    publish(server, "before")
    page.wait("before")
    server.stop()
    page.wait("lost")
    server = start_edge("--history-save", "yes", port=server.port)
    publish(server, "after")
    page.wait("after")
    assert received(page) == ["before", "after"]
    assert not any(text.startswith("lagged") for text in page.texts())


def test_a_page_is_told_when_the_history_is_gone(start_edge, pages, page):
    server = start_edge("--sse-retry-min", 1000, "--sse-retry-max", 1000, "--channel", "brief", "history-size", 3, "history-ttl",
                        600)
    open_stream(page, pages, http_port(server), "channel=brief&format=raw")
    page.wait("open")
    publish(server, "first", channel="brief")
    page.wait("first")
    kill_browsers(server)
    publish(server, *numbers(range(10)), channel="brief")
    page.wait("lagged")
    publish(server, "last", channel="brief")
    page.wait("last")
    texts = [text for text in page.texts() if text.startswith(("message", "lagged"))]
    assert texts[:2] == ["message first", 'lagged {"channels":["brief"],"reload":true}']
    assert texts[-1] == "message last"


def test_a_crash_is_told(start_edge, pages, page):
    server = start_edge("--history-save", "yes")
    open_stream(page, pages, http_port(server))
    page.wait("open")
    publish(server, "before")
    page.wait("before")
    server.kill()
    server = start_edge("--history-save", "yes", port=server.port)
    page.wait('lagged {"channels":["news"],"reload":true}')
    publish(server, "after")
    page.wait("after")
    assert received(page) == ["before", "after"]


# Refusals that pass


def test_a_browser_comes_back_when_a_channel_has_room_again(start_edge, pages, page):
    server = start_edge("--max-subscribers-per-channel", 1)
    holder = server.connect()
    holder.subscribe("news")
    open_stream(page, pages, http_port(server))
    page.wait("lost", 2)
    holder.command("QUIT")
    holder.read_to_end()
    wait_until(lambda: publish(server, "here") == 1, "the browser's subscription", 20)
    page.wait("here")
    assert "closed for ever" not in page.texts()


@pytest.mark.parametrize("limit", ["maxclients", "max-connections-per-address", "max-unauthenticated"])
def test_a_browser_comes_back_when_there_is_room_for_clients_again(start_edge, pages, page, limit):
    server = start_edge("--" + limit, 3)
    if limit == "max-unauthenticated":
        held = [Connection(("127.0.0.1", http_port(server))) for _ in range(3)]
        for client in held:
            client.send(b"GET /sse HTTP/1.1\r\n")
    else:
        held = [server.connect() for _ in range(3)]
        for client in held:
            assert client.call("PING") == b"PONG"
    open_stream(page, pages, http_port(server))
    page.wait("lost", 2)
    for client in held:
        client.abandon()
    page.wait("open")
    publish(server, "here")
    page.wait("here")
    assert "closed for ever" not in page.texts()


def test_a_browser_comes_back_after_a_lame_duck(start_edge, pages, page):
    server = start_edge()
    admin = server.connect()
    open_stream(page, pages, http_port(server))
    page.wait("open")
    assert admin.call("SHUTDOWN", "GRACE", 60) == b"OK"
    admin.call("CLIENT", "KILL", "USER", "edge")
    page.wait("lost", 2)
    wait_until(lambda: not isinstance(admin.call("SHUTDOWN", "ABORT"), Error), "the end of the lame duck")
    page.wait("open", 2)
    publish(server, "here")
    page.wait("here")


# What browsers do


def test_a_seventh_stream_waits_until_one_of_six_is_closed(start_edge, pages, page):
    server = start_edge()
    open_stream(page, pages, http_port(server), count=7)
    page.wait("open", 6)
    wait_until(lambda: publish(server, "to six") == 6, "six streams")
    page.wait("message to six", 6)
    assert page("evaluate", "sources.filter((s) => s.readyState === EventSource.CONNECTING).length") == 1
    page("evaluate", "sources.find((s) => s.readyState === EventSource.OPEN).close()")
    page.wait("open", 7)


@pytest.mark.parametrize("name", ["stream", "socket"])
def test_a_page_in_the_background_goes_on(start_edge, pages, node_modules, tmp_path, name):
    """Its timers fire once a second at most. The server's pings need none, and messages come at once."""
    server = start_edge("--edge-ping-interval", 1, "--edge-pong-timeout", 2, "--sse-heartbeat", 1)
    url = stream_url(pages, http_port(server)) if name == "stream" else socket_url(pages, http_port(server))
    environment = dict(os.environ, NODE_PATH=str(node_modules), CHROMIUM=shutil.which("chromium") or missing("chromium"))
    with Program("node", TESTS / "js" / "background.js", tmp_path / "profile", url, env=environment,
                 stdin=subprocess.PIPE) as program:
        page = Page(program)
        wait_until(lambda: publish(server, "in front") == 1, "the subscription", 60)
        page("hide")
        # Not a wait for a condition: the page has to be hidden for so long.
        time.sleep(120 if SLOW > 1 else 20)
        publish(server, "hidden")
        wait_until(lambda: len(received(page)) == 2, "a message in the background")
        page("show")
        publish(server, "in front again")
        wait_until(lambda: len(received(page)) == 3, "a message in front")
        assert len([text for text in page.texts() if text.startswith("open")]) == 1
        program.process.stdin.close()
        assert program.status(20) == 0


@pytest.fixture
def start_with_cookie(start_fanfared):
    """start_with_cookie(listed) gives a server of pages that sets a cookie with a token, and a daemon that lists it or not."""
    secret = "0123456789abcdef0123456789abcdef"
    token = make_token(secret, sub="ann", caps=[{"channels": ["user.ann"], "allow": ["sub"]}])
    with PageServer(PAGES, cookie=f"fanfare_token={token}") as pages:
        yield lambda listed: (pages, start_fanfared(
            "--http-port", free_port(), "--http-allowed-origins", pages.origin if listed else "http://127.0.0.1:1",
            "--token-hmac-secret", secret, "--token-cookie", "fanfare_token", *QUICK))


def test_a_cookie_of_a_listed_origin_is_a_token(start_with_cookie, page):
    pages, server = start_with_cookie(listed=True)
    open_stream(page, pages, http_port(server), "channel=user.ann", credentials=1)
    page.wait("open")
    publish(server, "for ann", channel="user.ann")
    page.wait("message for ann")
    # Without credentials there is no token, and with them no other channel.
    open_stream(page, pages, http_port(server), "channel=user.ann")
    page.wait("closed for ever")
    open_stream(page, pages, http_port(server), "channel=user.bob", credentials=1)
    page.wait("closed for ever")


def test_a_page_of_an_origin_that_is_not_listed_gets_nothing(start_with_cookie, page):
    pages, server = start_with_cookie(listed=False)
    open_stream(page, pages, http_port(server), "channel=user.ann", credentials=1)
    page.wait("closed for ever")
    open_socket(page, pages, http_port(server), channel="user.ann")
    page.wait("closed 1006")
    assert not any(text.startswith("open") for text in page.texts())


# WebSockets


@pytest.mark.parametrize("deflate", ["no", "yes"])
def test_a_websocket_recovers_what_it_missed(start_edge, pages, page, deflate):
    server = start_edge("--ws-deflate", deflate)
    large = [f'{{"n":{n},"text":"{"abc" * 200}"}}' for n in range(6)]
    with Cutter(("127.0.0.1", http_port(server))) as cutter:
        open_socket(page, pages, cutter.port)
        page.wait("subscribed")
        assert ("open permessage-deflate" in page.texts()[0]) == (deflate == "yes")
        publish(server, large[0], large[1])
        page.wait("message {", 2)
        cutter.cut()
        publish(server, large[2], large[3])
        page.wait("recovered")
        page.wait("message {", 4)
        cutter.cut()
        publish(server, large[4], large[5])
        page.wait("message {", 6)
    assert received(page) == large


def test_a_websocket_is_told_when_the_history_is_gone(start_edge, pages, page):
    server = start_edge("--channel", "brief", "history-size", 2, "history-ttl", 600)
    with Cutter(("127.0.0.1", http_port(server))) as cutter:
        open_socket(page, pages, cutter.port, "brief")
        page.wait("subscribed")
        cutter.cut(for_good=True)
        publish(server, *numbers(range(5)), channel="brief")
        page.wait("closed 1006", 2)
        cutter.forward_again()
        page.wait("lost")
        publish(server, "5", channel="brief")
        page.wait("message 5")
        assert received(page) == ["5"]


def test_a_websocket_that_was_killed_does_not_come_back(start_edge, pages, page):
    server = start_edge()
    open_socket(page, pages, http_port(server))
    page.wait("subscribed")
    kill_browsers(server)
    page.wait("closed 3503")


def test_a_websocket_goes_on_over_an_upgrade(start_lineage, edge_options, pages, page):
    lineage = start_lineage(*edge_options, "--shutdown-grace", 1)
    server = lineage.daemon
    open_socket(page, pages, http_port(server))
    page.wait("subscribed")
    publish(server, "1")
    page.wait("message 1")
    lineage.upgrade()
    publish(server, "2")
    page.wait("message 2")
    assert "closed 3001" in page.texts()
    assert received(page) == ["1", "2"]


# README.md


def test_the_page_of_the_readme_shows_the_status_of_an_order(start_fanfared, page):
    text = (TESTS.parent / "README.md").read_text()
    port = free_port()
    (html,) = re.findall(r"```html\n(.*?)```", text, re.DOTALL)
    (lines,) = re.findall(r"\n\n((?: {4}[^\n]*\n)*    http-port 8000\n(?: {4}[^\n]*\n)*)", text)
    with PageServer({"/": html.replace("8000", str(port))}) as pages:
        lines = lines.replace("8000", str(port)).replace("3000", str(pages.port))
        options = [words for line in lines.splitlines() for words in ["--" + line.split()[0], *line.split()[1:]]]
        server = start_fanfared(*options)
        page.open(f"http://localhost:{pages.port}/")
        wait_until(lambda: publish(server, '{"order":17,"status":"paid"}', channel="orders.17.status") == 1, "a subscription", 20)
        page.wait("paid", selectors=["#log"])
