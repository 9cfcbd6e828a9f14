"""The configurations in examples/nodes, and the commands of README.md that start leaves: messages cross from one to the other."""

import contextlib
import os
import pathlib
import re
import shutil

import pytest

from conftest import starter_of
from lib.browser import EventStream
from lib.daemon import Redis, free_port
from lib.program import Program
from lib.resp import Connection, Error
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
def leaves(start_upstream, start_fanfared):
    """The two leaves, with their attribute http_port."""
    url = re.search(r"^upstream (\S+):6400$", (NODES / "leaf.conf").read_text(), re.M)[1]
    port = start_upstream().port
    started = []
    for number in (1, 2):
        http_port = free_port()
        leaf = start_fanfared("-c", NODES / f"leaf-{number}.conf", "--upstream", f"{url}:{port}", "--http-port", http_port)
        leaf.http_port = http_port
        started.append(leaf)
    for leaf in started:
        wait_until(lambda leaf=leaf: is_linked(leaf.port), "a link", 20)
    return started


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


# README.md


def readme_commands():
    """The commands of the section, with unused ports, and those of the leaves."""
    section = (SOURCE / "README.md").read_text().split("## More than one machine\n")[1].split("\n## ")[0]
    ports = {str(port): str(free_port()) for port in (6400, 6401, 6402)}
    lines = [re.sub(r"\b640[0-2]\b", lambda found: ports[found[0]], line.strip())
             for line in section.splitlines() if line.startswith("    ")]
    return lines, [int(ports["6401"]), int(ports["6402"])]


def test_the_readme_starts_leaves_and_a_message_crosses(folder):
    programs = [str(pathlib.Path(os.environ[name]).parent) for name in ("FANFARED", "FANFARE")]
    environment = dict(os.environ, PATH=":".join([*programs, os.environ["PATH"]]))
    lines, ports = readme_commands()
    assert len(lines) == 4 and all(line.endswith(" &") for line in lines[:3])
    with contextlib.ExitStack() as stack:
        for line in lines[:3]:
            stack.enter_context(Program("sh", "-c", f"exec {line.removesuffix(' &')}", env=environment, cwd=folder))
        for port in ports:
            wait_until(lambda port=port: is_linked(port), "a link", 20)
        heard = stack.enter_context(Program("sh", "-c", lines[3], env=environment, cwd=folder))
        assert b"hello" in b"\n".join(heard.rest())
        assert heard.status() == 0, heard.errors.decode()
