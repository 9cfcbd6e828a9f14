"""Pages in Chromium at one leaf of a Redis, and a backend at another, while their nodes are killed: what the backend publishes
arrives, in order, and a page is told where messages may be missing. At nodes of an engine none are."""

import urllib.parse

import pytest

from conftest import TESTS
from lib.nodes import Backend, Balancer, Nodes, Proxy, wait_for_state
from lib.page import PageServer
from lib.wait import wait_until

PAGES = {f"/{name}": TESTS / "pages" / name for name in ("stream.html", "socket.html")}
ENGINE = ("--upstream-mode", "engine")
KEPT = ("--channel", "news", "history-size", 1000, "history-ttl", 600)
NOT_RESUMED = 'lagged {"channels":["news"],"reload":true}'
LINK_WAS_DOWN = 'lagged {"missed":null}'
END = "0"


class Streams:
    """A page with an EventSource. Its node is chosen by a balancer, because an EventSource knows one URL only."""

    # What a page shows where messages may be missing, by whether the channel keeps messages.
    notices = {True: {NOT_RESUMED, LINK_WAS_DOWN}, False: {"open", LINK_WAS_DOWN}}
    never = {"closed for ever"}

    @staticmethod
    def url(pages, balancer, _):
        query = {"url": f"http://127.0.0.1:{balancer.port}/sse?channel=news"}
        return f"{pages.origin}/stream.html?" + urllib.parse.urlencode(query)


class Sockets:
    """A page with a WebSocket, which knows all nodes."""

    notices = {True: {"lost", LINK_WAS_DOWN}, False: {"subscribed", LINK_WAS_DOWN}}
    never = {"recovered"}  # positions are of one node

    @staticmethod
    def url(pages, _, nodes):
        query = [("url", f"ws://127.0.0.1:{node.http_port}/ws") for node in nodes]
        return f"{pages.origin}/socket.html?" + urllib.parse.urlencode([*query, ("channel", "news")])


@pytest.fixture(params=[Streams, Sockets], ids=["sse", "ws"])
def door(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["kept", "not kept"])
def is_kept(request):
    return request.param


@pytest.fixture
def pages():
    with PageServer(PAGES) as server:
        yield server


@pytest.fixture
def redis(start_redis):
    return start_redis()


@pytest.fixture
def start_node(start_fanfared, redis, pages):
    """start_node(is_kept, option...) gives a leaf with a port for browsers, as its attribute http_port."""
    nodes = Nodes(start_fanfared, redis)

    def started(is_kept, *options, **more):
        return nodes.browsed("--http-allowed-origins", pages.origin, "--sse-retry-min", 200, "--sse-retry-max", 300,
                             *(KEPT if is_kept else ()), *options, **more)

    return started


def balancer_of(nodes):
    return Balancer(*(("127.0.0.1", node.http_port) for node in nodes))


@pytest.fixture
def start_backend():
    """start_backend(node...) gives one that publishes until the end of the test."""
    started = []

    def start(*nodes):
        started.append(Backend("news", *nodes))
        started[-1].start()
        return started[-1]

    yield start
    for backend in started:
        backend.stop()


def received(page):
    return [text.removeprefix("message ") for text in page.texts() if text.startswith("message ")]


def others(page):
    """What the page shows beside messages."""
    return [text for text in page.texts() if not text.startswith("message ")]


def wait_for_news(page, backend):
    """Until the page has messages whose publishing had not begun at the call."""
    number = backend.number
    wait_until(lambda: int((received(page) or [END])[-1]) > number + 5, f"messages after {number}", 30)


def restart(*nodes):
    for node in nodes:
        node.start(node.port)


def published(watcher):
    """All messages in the order of the upstream, without the last one."""
    messages = []
    while (message := watcher.read_value()[2].decode()) != END:
        messages.append(message)
    return messages


def check_published(messages, backend):
    """Each number is published in its order; only those that were sent again come several times."""
    assert list(dict.fromkeys(messages)) == [str(n) for n in range(1, backend.number + 1)]
    assert messages == sorted(messages, key=int)
    assert {int(n) for n in set(messages) if messages.count(n) > 1} <= backend.repeated


def check_page(texts, messages, notices):
    """The page got parts of the messages, in order, each part without a gap, and a notice before each part."""
    last, has_notice = -1, True
    for text in texts:
        if text.startswith("message "):
            number = text.removeprefix("message ")
            assert number in messages[last + 1:], f"{number} after {messages[last]}: it was not published, or came before"
            at = messages.index(number, last + 1)
            assert has_notice or at == last + 1, f"{messages[last]}, {messages[at]}: messages are missing without a notice"
            last, has_notice = at, False
        elif text in notices:
            has_notice = True
    assert last == len(messages) - 1, "the end is missing"


def finish(page, backend, watcher, redis, notices):
    """Checks all that was published and received."""
    backend.stop()
    with redis.connect() as client:
        assert client.call("PUBLISH", "news", END) >= 2
    page.wait(f"message {END}")
    messages = published(watcher)
    check_published(messages, backend)
    texts = page.texts()
    assert texts.count(f"message {END}") == 1
    check_page([text for text in texts if text != f"message {END}"], messages, notices)
    return messages


def test_a_browser_gets_what_a_backend_at_another_node_publishes_through_kills_of_both(
        door, is_kept, redis, start_node, start_backend, pages, page):
    watcher = redis.connect()
    watcher.subscribe("news")
    first, second, third = (start_node(is_kept) for _ in range(3))
    with balancer_of([first, second]) as balancer:
        page.open(door.url(pages, balancer, [first, second]))
        page.wait("open")
        backend = start_backend(third, first)
        wait_for_news(page, backend)
        assert backend.node is third

        first.kill()  # the page's node: it goes on at the second one
        wait_for_news(page, backend)
        restart(first)
        wait_for_state(first)
        before = others(page)

        third.kill()  # the backend's node: it goes on at the first one
        wait_for_news(page, backend)
        assert backend.node is first and backend.repeated
        assert others(page) == before, "the page notices nothing"
        restart(third)
        wait_for_state(third)

        second.kill()  # the page's node again: it goes on at the first one, where the backend is
        wait_for_news(page, backend)
        restart(second)
        wait_for_state(second)

        first.kill()  # the node of both
        wait_for_news(page, backend)
        assert backend.node is third

        messages = finish(page, backend, watcher, redis, door.notices[is_kept])
    shown = others(page)
    assert not set(shown) & door.never
    assert sum(text in door.notices[is_kept] for text in shown) == (3 if is_kept else 4)  # each connection but the first, or each
    assert len(received(page)) < len(messages), "some messages were published while the page had no node"


def test_a_browser_waits_until_a_node_is_there_again(door, is_kept, redis, start_node, start_backend, pages, page):
    """It may come to a node before that is linked."""
    watcher = redis.connect()
    watcher.subscribe("news")
    first, second, third = (start_node(is_kept) for _ in range(3))
    with balancer_of([first, second]) as balancer:
        page.open(door.url(pages, balancer, [first, second]))
        page.wait("open")
        backend = start_backend(third, first, second)
        wait_for_news(page, backend)
        for _ in range(3):
            first.kill()
            second.kill()
            number = backend.number
            wait_until(lambda number=number: backend.number > number + 20, "messages that no browser gets", 30)
            restart(second, first)
            wait_for_news(page, backend)
        finish(page, backend, watcher, redis, door.notices[is_kept])
    assert not set(others(page)) & door.never


def test_a_browser_goes_on_exactly_at_another_node_of_an_engine(door, start_node, start_backend, pages, page):
    """It may come to a node before that is linked."""
    first, second, third = (start_node(True, *ENGINE) for _ in range(3))
    with balancer_of([first, second]) as balancer:
        page.open(door.url(pages, balancer, [first, second]))
        page.wait("open" if door is Streams else "subscribed")
        backend = start_backend(third)
        wait_for_news(page, backend)
        for node in (first, second, first):
            node.kill()
            wait_for_news(page, backend)
            restart(node)
        first.kill()
        second.kill()
        number = backend.number
        wait_until(lambda: backend.number > number + 20, "messages that no browser gets", 30)
        restart(second, first)
        wait_for_news(page, backend)
        backend.stop()
        page.wait(f"message {backend.number}")
    assert received(page) == [str(n) for n in range(1, backend.number + 1)]
    assert not set(others(page)) & door.notices[True], others(page)


def test_messages_may_come_again_from_a_node_that_is_behind(door, is_kept, redis, start_node, pages, page):
    with Proxy(redis.address) as proxy:
        nodes = [start_node(is_kept), start_node(is_kept, port=proxy.port)]
        with nodes[1].connect() as keeper, balancer_of(nodes) as balancer, redis.connect() as publisher:
            keeper.subscribe("news")  # the node gets the messages for others, too
            page.open(door.url(pages, balancer, nodes))
            page.wait("open" if door is Streams else "subscribed")
            proxy.stop(proxy.down)
            for number in (1, 2, 3):
                assert publisher.call("PUBLISH", "news", number) == 2
            page.wait("message 3")
            nodes[0].kill()
            page.wait("open", 2)
            if door is Sockets or is_kept:
                page.wait({Streams: NOT_RESUMED, Sockets: "lost" if is_kept else "subscribed"}[door], 1 if is_kept else 2)
            proxy.go()
            page.wait("message 3", 2)
    assert received(page) == ["1", "2", "3"] * 2
