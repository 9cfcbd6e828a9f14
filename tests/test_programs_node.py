"""Programs of npm: BullMQ, three libraries of locks and limits, and Socket.IO servers that share messages."""

import pytest

from lib.nodes import Nodes
from lib.programs import FOLDER, environment, need, run
from lib.wait import seconds


@pytest.fixture
def node(program_modules):
    """node(script, word...) runs a script of tests/programs."""
    env = environment(NODE_PATH=program_modules)
    return lambda script, *words: run(need("node"), FOLDER / script, *words, env=env)


def test_bullmq_performs_jobs(server, node):
    node("bullmq.js", server.port, seconds(10))


@pytest.mark.parametrize("library", ["limiter", "redlock", "semaphore"])
def test_a_library_of_locks_works(server, node, library):
    node("locks.js", server.port, library)


@pytest.mark.parametrize("adapter", ["pubsub", "streams"])
def test_socket_io_servers_share_messages(server, node, adapter):
    node("socket_io.js", adapter, seconds(10), server.port)


def test_socket_io_servers_share_messages_through_two_leaves(start_fanfared, node):
    nodes = Nodes(start_fanfared, start_fanfared())
    node("socket_io.js", "pubsub", seconds(10), nodes.leaf().port, nodes.leaf().port)
