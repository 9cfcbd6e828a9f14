"""The configurations in examples/nodes, and the commands of README.md that start leaves: messages cross from one to the other."""

import contextlib
import os
import pathlib
import re
import shutil
import urllib.parse

import pytest

from conftest import missing, starter_of
from lib.browser import EventStream
from lib.cutter import Cutter
from lib.daemon import Redis, free_port
from lib.page import PageServer
from lib.program import Program
from lib.resp import Closed, Connection, Error
from lib.wait import wait_until

SOURCE = pathlib.Path(__file__).resolve().parent.parent
NODES = SOURCE / "examples" / "nodes"
REFUSED = b"NOPERM the upstream does not let this node subscribe to one of the channels or patterns"


def is_linked(port):
    with contextlib.suppress(OSError), Connection(("127.0.0.1", port)) as client:
        return client.info("link")["link_state"] == "up"
    return False


# examples/nodes


class Upstream(Redis):
    """A Redis with the example's configuration, on another port."""

    def arguments(self, port):
        return [shutil.which("redis-server"), str(NODES / "redis.conf"), "--port", str(port), "--dir", str(self.folder)]


@pytest.fixture
def start_upstream(folder):
    yield from starter_of(Upstream, folder)


@pytest.fixture
def pages():
    with PageServer({f"/{door}.html": SOURCE / "tests" / "pages" / f"{door}.html" for door in ("stream", "socket")}) as server:
        yield server


@pytest.fixture
def leaves(start_upstream, start_fanfared, pages):
    """The two leaves, with their attributes http_port and cutter, which cuts the link."""
    url = re.search(r"^upstream (\S+):6400$", (NODES / "leaf.conf").read_text(), re.M)[1]
    address = start_upstream().address
    started = []
    with contextlib.ExitStack() as cutters:
        for number in (1, 2):
            http_port, cutter = free_port(), cutters.enter_context(Cutter(address))
            leaf = start_fanfared("-c", NODES / f"leaf-{number}.conf", "--upstream", f"{url}:{cutter.port}", "--http-port",
                                  http_port, "--http-allowed-origins", pages.origin)
            leaf.http_port, leaf.cutter = http_port, cutter
            started.append(leaf)
        for leaf in started:
            wait_until(lambda leaf=leaf: is_linked(leaf.port), "a link", 20)
        yield started


def test_a_message_crosses_from_leaf_to_leaf(leaves):
    reader = leaves[0].client(3)
    reader.subscribe("orders.17")
    reader.subscribe("chat.*", kind="PSUBSCRIBE")
    with EventStream(leaves[0].http_port, "/sse?channel=orders.17") as stream, leaves[1].connect() as publisher:
        stream.block()
        assert publisher.call("PUBLISH", "orders.17", "paid") == 0, "no receiver at this leaf"
        assert publisher.call("PUBLISH", "chat.a", "hello") == 0
        assert reader.read_value() == [b"message", b"orders.17", b"paid"]
        assert reader.read_value() == [b"pmessage", b"chat.*", b"chat.a", b"hello"]
        assert stream.event().data == "paid"


def test_a_browser_that_comes_back_to_its_leaf_misses_nothing_and_one_at_another_is_told(leaves):
    here, there = leaves
    with here.connect() as keeper:  # keeps the leaf subscribed, as other browsers do
        keeper.subscribe("orders.17")
        with EventStream(here.http_port, "/sse?channel=orders.17") as stream, there.connect() as publisher:
            stream.block()
            publisher.call("PUBLISH", "orders.17", "paid")
            last = stream.event().id
            publisher.call("PUBLISH", "orders.17", "packed")
            assert stream.event().data == "packed"
        with EventStream(here.http_port, f"/sse?channel=orders.17&last_event_id={last}") as stream:
            assert stream.event().data == "packed"
        with EventStream(there.http_port, f"/sse?channel=orders.17&last_event_id={last}") as stream:
            assert stream.event().event == "lagged"


def test_the_user_of_the_leaves_has_no_more_rights_than_it_needs(leaves):
    with leaves[0].connect() as client:
        assert client.call("SUBSCRIBE", "other") == Error(REFUSED)
        assert client.call("PSUBSCRIBE", "*") == Error(REFUSED)
        assert client.call("SSUBSCRIBE", "orders.17") == [b"ssubscribe", b"orders.17", 1]


# haproxy.cfg


@pytest.fixture
def haproxy(leaves, folder):
    """The port of haproxy in front of the leaves."""
    port = free_port()
    ports = {"8000": port, "6401": leaves[0].port, "8001": leaves[0].http_port, "6402": leaves[1].port, "8002": leaves[1].http_port}
    path = folder / "haproxy.cfg"
    path.write_text(re.sub(r"\b(800[012]|640[12])\b", lambda found: str(ports[found[0]]), (NODES / "haproxy.cfg").read_text()))
    tool = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin") or missing("haproxy")
    with Program(tool, "-db", "-f", path) as program:
        wait_until(lambda: status_of(port) == 200, f"haproxy, which serves: {program.errors.decode()}", 20)
        yield port


def status_of(port, target="/sse?channel=orders.none"):
    with contextlib.suppress(OSError, Closed), EventStream(port, target) as stream:
        return stream.response.status


def subscribers(leaf, channel="orders.17"):
    with Connection(leaf.address) as client:
        return client.call("PUBSUB", "NUMSUB", channel)[1]


def leaf_of_the_page(leaves):
    """That which has the page's subscription."""
    return wait_until(lambda: next((leaf for leaf in leaves if subscribers(leaf)), None), "a leaf with the page", 20)


def open_page(page, pages, port, door):
    url = {"stream": f"http://127.0.0.1:{port}/sse?channel=orders.17", "socket": f"ws://127.0.0.1:{port}/ws"}[door]
    page.open(f"{pages.origin}/{door}.html?" + urllib.parse.urlencode({"url": url, "channel": "orders.17"}))
    page.wait({"stream": "open", "socket": "subscribed"}[door])


@pytest.mark.parametrize("door", ["stream", "socket"])
def test_a_page_behind_haproxy_goes_on_at_the_other_leaf_when_its_own_is_killed(leaves, haproxy, pages, page, door):
    told = {"stream": 'lagged {"channels":["orders.17"],"reload":true}', "socket": "lost"}[door]
    open_page(page, pages, haproxy, door)
    for turn in (1, 2):
        here = leaf_of_the_page(leaves)
        there = leaves[1 - leaves.index(here)]
        with there.connect() as publisher:
            publisher.call("PUBLISH", "orders.17", turn)
            page.wait(f"message {turn}")
            here.kill()
            page.wait(told, turn)
            publisher.call("PUBLISH", "orders.17", 10 * turn)
            page.wait(f"message {10 * turn}")
        here.start(here.port)
        wait_until(lambda here=here: is_linked(here.port), "a link", 20)
    assert [text for text in page.texts() if text.startswith(("message ", told))] == [
        "message 1", told, "message 10", "message 2", told, "message 20"]


@pytest.mark.parametrize("door", ["stream", "socket"])
def test_haproxy_sends_no_new_browsers_to_a_leaf_whose_link_is_down(leaves, haproxy, pages, page, door):
    open_page(page, pages, haproxy, door)
    here = leaf_of_the_page(leaves)
    there = leaves[1 - leaves.index(here)]
    before = page.texts()
    here.cutter.cut(for_good=True)

    def a_new_one_is_there():
        with EventStream(haproxy, "/sse?channel=orders.new") as stream:
            stream.block()
            return subscribers(there, "orders.new")

    wait_until(a_new_one_is_there, "a stream at the other leaf", 20)
    here.cutter.forward_again()
    page.wait('lagged {"missed":null}')
    assert page.texts() == [*before, 'lagged {"missed":null}'], "the page has stayed at its leaf"


# README.md and fanfare-nodes(7)


def unused_ports(*numbers):
    """Unused ports by those of a text, and a function that replaces them."""
    ports = {str(number): free_port() for number in numbers}
    return ports, lambda text: re.sub(rf"\b({'|'.join(ports)})\b", lambda found: str(ports[found[0]]), text)


@pytest.fixture
def readme(folder):
    """The commands of the section, with unused ports, and these ports by those of README.md. The current folder of commands
    has the configurations, with the same ports."""
    section = (SOURCE / "README.md").read_text().split("## More than one machine\n")[1].split("\n## ")[0]
    ports, replaced = unused_ports(6400, 6401, 6402, 6403, 6404, 8001, 8002)
    copies = folder / "examples" / "nodes"
    copies.mkdir(parents=True)
    for path in NODES.glob("*.conf"):
        (copies / path.name).write_text(replaced(path.read_text()))
    lines = [replaced(line.strip()) for line in section.splitlines() if line.startswith("    ")]
    assert len(lines) == 7 and all(line.endswith(" &") for line in lines[:3] + lines[4:6])
    (url,) = re.findall(r"http://\S+/demo\S+", replaced(section))
    return lines, url, ports


@pytest.fixture
def run(folder):
    """run(line) starts a command of README.md."""
    programs = [str(pathlib.Path(os.environ[name]).parent) for name in ("FANFARED", "FANFARE")]
    environment = dict(os.environ, PATH=":".join([*programs, os.environ["PATH"]]))
    with contextlib.ExitStack() as stack:
        yield lambda line: stack.enter_context(Program("sh", "-c", line, env=environment, cwd=folder))


@pytest.fixture
def started(readme, run):
    """The three programs of README.md, which are linked."""
    lines, _, ports = readme
    programs = [run(f"exec {line.removesuffix(' &')}") for line in lines[:3]]
    for port in ("6401", "6402"):
        wait_until(lambda port=port: is_linked(ports[port]), "a link", 20)
    return programs


def test_the_readme_starts_leaves_and_a_message_crosses(readme, started, run):
    shutil.which("curl") or missing("curl")
    publishing, is_and, receiving = readme[0][3].partition(" & ")
    assert is_and and receiving.startswith("curl ")
    heard = run(f"{publishing} & exec {receiving}")
    while (line := heard.line()) != b"data: paid":
        assert line is not None, heard.errors.decode()


def test_the_readme_starts_nodes_of_an_engine(readme, run):
    lines, _, ports = readme
    for line, port in zip([lines[0], *lines[4:6]], ("6400", "6403", "6404")):
        run(f"exec {line.removesuffix(' &')}")
        if port != "6400":
            wait_until(lambda port=port: is_linked(ports[port]), "a link", 20)
    shown = run(lines[6])
    while (line := shown.line()) is None or b"paid" not in line:
        assert line is not None, shown.errors.decode()


def test_the_page_of_the_readme_shows_what_is_published_through_a_kill_of_either_leaf(readme, started, run, page):
    lines, url, ports = readme

    def publish(port, text):
        with Connection(("127.0.0.1", ports[port])) as client:
            assert isinstance(client.call("PUBLISH", "orders.17", text), int)

    def restart(number):
        run(f"exec {lines[number].removesuffix(' &')}")
        wait_until(lambda: is_linked(ports[f"640{number}"]), "a link", 20)

    def kill(number):
        started[number].process.kill()
        started[number].status()

    page.selectors = ("#sse-log li", "#ws-log li")
    page.open(url)
    page.wait("connected")
    publish("6402", "first")
    page.wait("first")

    kill(2)
    publish("6401", "after the other leaf")
    page.wait("after the other leaf")
    restart(2)
    publish("6402", "from the leaf that is there again")
    page.wait("from the leaf that is there again")

    kill(1)
    publish("6402", "which the page cannot get")
    restart(1)
    page.wait("messages are missing here")
    publish("6402", "last")
    page.wait("last")
    assert page("texts", "#sse-count") == page("texts", "#ws-count") == ["4"]


def test_the_manual_starts_leaves_and_a_message_crosses(run):
    ports, replaced = unused_ports(6400, 6401, 6402)
    blocks = re.findall(r"\.Bd -literal -offset indent\n(.*?)\.Ed", (SOURCE / "man" / "fanfare-nodes.7").read_text(), re.DOTALL)
    servers, (subscribe, publish) = blocks[0].splitlines(), blocks[-1].splitlines()
    assert len(servers) == 3
    for line in servers:
        run(f"exec {replaced(line).removesuffix(' &')}")
    for port in ("6401", "6402"):
        wait_until(lambda port=port: is_linked(ports[port]), "a link", 20)
    heard = run("exec " + replaced(subscribe).removeprefix("$ ").removesuffix(" &"))
    with Connection(("127.0.0.1", ports["6401"])) as client:
        wait_until(lambda: client.call("PUBSUB", "NUMSUB", "news")[1], "a subscriber", 20)
    assert run("exec " + replaced(publish).removeprefix("$ ")).status() == 0
    assert b"hello" in b"\n".join(heard.rest())
    assert heard.status() == 0, heard.errors.decode()
