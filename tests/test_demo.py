"""The page /demo in Chromium: messages over SSE and WebSocket, resumed over restarts, told what is missing."""

import pytest

from lib.daemon import free_port
from lib.wait import seconds, wait_until

LOGS = ("#sse-log li", "#ws-log li")


@pytest.fixture
def page(page):
    """Waits for texts in both panes if not told otherwise."""
    page.selectors = LOGS
    return page


@pytest.fixture
def start(start_fanfared):
    """start(port) gives a daemon and the URL of its page; port: that of an earlier one."""
    http_port = free_port()

    def started(port=None):
        server = start_fanfared(
            "--http-port", http_port, "--http-doors", "sse ws publish demo", "--edge-anonymous", "yes", "--user", "edge", "on",
            "resetchannels", "&*", "+subscribe", "+publish", "--channel", "news", "history-size", 100, "history-ttl", 3600,
            "--history-save", "yes", "--sse-retry-min", 100, "--sse-retry-max", 200, port=port)
        return server, f"http://127.0.0.1:{http_port}/demo?redis-port={server.port}"

    return started


def publish(server, text, channel="news"):
    return server.connect().call("PUBLISH", channel, text)


def test_the_page_shows_messages_of_others_and_its_own(start, page):
    server, url = start()
    page("open", url, 1000, 900, "light")
    page.wait("connected")
    assert publish(server, '{"n":1}') == 2
    page.wait('{"n":1}')
    assert publish(server, "<b>two\nlines</b>") == 2
    page.wait("<b>two\nlines</b>")
    page("fill", "#message", "it's me")
    page("press", "Enter")
    page.wait("it's me")
    page("wait", "#published", "Published to 2 subscribers at position ", 1, seconds(20) * 1000)
    assert page("texts", "#command") == [f"redis-cli -h 127.0.0.1 -p {server.port} publish news 'it'\\''s me'"]
    assert page("texts", "#sse-count") == page("texts", "#ws-count") == ["3"]
    assert page("requests_outside", url.partition("/demo")[0]) == []


def test_nothing_is_missed_over_a_restart_and_a_crash_is_told(start, page):
    server, url = start()
    page("open", url, 1000, 900, "light")
    page.wait("connected")
    publish(server, "first")
    page.wait("first")
    server.stop()
    server, _ = start(server.port)
    publish(server, "while away")
    page.wait("resumed: nothing was missed")
    page.wait("while away")
    assert page("texts", "#sse-missed") == page("texts", "#ws-missed") == ["0"]
    server.kill()
    server, _ = start(server.port)
    page.wait("messages are missing here")
    publish(server, "afterwards")
    page.wait("afterwards")
    assert page("texts", "#sse-missed") == page("texts", "#ws-missed") == ["an unknown number"]
    assert page("texts", "#sse-count") == page("texts", "#ws-count") == ["3"]


def test_the_page_fits_a_narrow_screen_and_the_keyboard_reaches_everything(start, page, tmp_path):
    server, url = start()
    page("open", url, 360, 740, "dark")
    page.wait("connected")
    publish(server, "x" * 300)
    page.wait("x" * 300)
    assert page("overflow") == 0
    reached = []
    for _ in range(8):
        page("press", "Tab")
        reached.append(page("focused"))
    assert reached == ["channel", "Show this channel", "message", "Publish", "sse-switch", "sse-log", "ws-switch", "ws-log"]
    page("screenshot", str(tmp_path / "demo.png"))


def test_another_channel_can_be_shown_that_keeps_nothing(start, page):
    server, url = start()
    page("open", url, 1000, 900, "light")
    page.wait("connected")
    page("fill", "#channel", "other/one two")
    page("press", "Enter")
    page.wait("connected")
    wait_until(lambda: publish(server, "here", "other/one two") == 2, "both sides show the other channel", 20)
    page.wait("here")
    server.kill()
    start(server.port)
    page.wait("this channel keeps no messages")
