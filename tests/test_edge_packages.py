"""Packages of npm that read event streams, unchanged: they resume over lost connections and come back after refusals."""

import os
from urllib.parse import urlencode

import pytest

from conftest import TESTS
from lib.daemon import free_port
from lib.page import PageServer
from lib.program import Program
from lib.tokens import make_token
from lib.wait import wait_until

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def start_edge(start_fanfared):
    http_port = free_port()

    def start(*more, port=None):
        server = start_fanfared("--http-port", http_port, "--edge-anonymous", "yes", "--channel", "news", "history-size", 100,
                                "history-ttl", 600, "--history-save", "yes", "--sse-retry-min", 100, "--sse-retry-max", 200,
                                *more, port=port)
        return server, f"http://127.0.0.1:{http_port}/sse?channel=news"

    return start


RULES = ("--user", "edge", "on", "resetchannels", "&news", "+subscribe")


def publish(server, text):
    with server.connect() as client:
        return client.call("PUBLISH", "news", text)


def kill_browsers(server):
    with server.connect() as client:
        client.call("CLIENT", "KILL", "USER", "edge")


# eventsource, in Node


@pytest.fixture
def event_source(node_modules):
    """event_source(url) gives the running program."""
    started = []

    def start(url):
        started.append(Program("node", TESTS / "js" / "event_source.js", url, env=dict(os.environ, NODE_PATH=str(node_modules))))
        return started[-1]

    yield start
    for program in started:
        program.__exit__()


def next_of(program, what):
    while (line := program.json_line())[0] != what:
        assert line[0] in ("open", "lost"), line
    return line


def test_eventsource_resumes_when_its_connection_was_killed(start_edge, event_source):
    server, url = start_edge(*RULES)
    program = event_source(url)
    assert program.json_line() == ["open"]
    for turn in range(3):
        publish(server, f"{turn} before")
        assert next_of(program, "message")[1] == f"{turn} before"
        kill_browsers(server)
        publish(server, f"{turn} meanwhile")
        assert next_of(program, "message")[1] == f"{turn} meanwhile"


def test_eventsource_resumes_over_a_restart_and_is_told_of_a_crash(start_edge, event_source):
    server, url = start_edge(*RULES)
    program = event_source(url)
    assert program.json_line() == ["open"]
    publish(server, "before")
    assert next_of(program, "message")[1] == "before"
    server.stop()
    assert program.json_line() == ["lost"]
    server, _ = start_edge(*RULES, port=server.port)
    publish(server, "after")
    assert next_of(program, "message")[1] == "after"
    server.kill()
    server, _ = start_edge(*RULES, port=server.port)
    assert next_of(program, "lagged")[1] == '{"channels":["news"],"reload":true}'


def test_eventsource_comes_back_when_the_channel_has_room(start_edge, event_source):
    server, url = start_edge(*RULES, "--max-subscribers-per-channel", 1)
    holder = server.connect()
    holder.subscribe("news")
    program = event_source(url)
    for word in ("open", "lost", "open", "lost"):
        assert program.json_line() == [word]
    holder.command("QUIT")
    holder.read_to_end()
    wait_until(lambda: publish(server, "here") == 1, "a subscriber")
    assert next_of(program, "message")[1] == "here"


# @microsoft/fetch-event-source, in Chromium: it needs a document


@pytest.fixture
def fetch_pages(node_modules):
    """The page, and the package's modules under the names by which they import each other."""
    folder = os.path.join(str(node_modules), "@microsoft", "fetch-event-source", "lib", "esm")
    with PageServer({"/fetch.html": TESTS / "pages" / "fetch.html"}, modules={"/fetch-event-source": folder}) as pages:
        yield pages


def open_page(page, pages, url, **more):
    page.open(f"{pages.origin}/fetch.html?" + urlencode({"url": url, **more}))


def messages(page):
    return [text for text in page.texts() if text.startswith(("message", "lagged"))]


def test_fetch_event_source_resumes_when_its_connection_was_killed(start_edge, fetch_pages, page):
    """From another origin: the headers Last-Event-ID and Authorization need a preflight."""
    server, url = start_edge("--http-allowed-origins", fetch_pages.origin, "--token-hmac-secret", SECRET)
    token = make_token(SECRET, sub="ann", caps=[{"channels": ["news"], "allow": ["sub"]}])
    open_page(page, fetch_pages, url, authorization=f"Bearer {token}")
    page.wait("open 200")
    for turn in range(3):
        publish(server, f"{turn} before")
        page.wait(f"message {turn} before")
        kill_browsers(server)
        publish(server, f"{turn} meanwhile")
        page.wait(f"message {turn} meanwhile")
    assert messages(page) == [f"message {turn} {when}" for turn in range(3) for when in ("before", "meanwhile")]


def test_fetch_event_source_is_told_of_a_crash(start_edge, fetch_pages, page):
    options = (*RULES, "--http-allowed-origins", fetch_pages.origin)
    server, url = start_edge(*options)
    open_page(page, fetch_pages, url)
    page.wait("open 200")
    server.kill()
    server, _ = start_edge(*options, port=server.port)
    page.wait('lagged {"channels":["news"],"reload":true}')
    publish(server, "afterwards")
    page.wait("message afterwards")
