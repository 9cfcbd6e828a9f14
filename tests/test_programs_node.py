"""Programs of npm: BullMQ, three libraries of locks and limits, and servers of Socket.IO and GraphQL that share messages."""

import pytest

from lib.graphql import GraphqlServer, check_news, wait_for_subscriptions
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


def test_graphql_servers_share_messages(server, program_modules):
    with GraphqlServer(program_modules, server.port) as first, GraphqlServer(program_modules, server.port) as second:
        first.listen()
        second.listen()
        check_news([first, second], first, range(20))
        for kind in ("name", "pattern"):
            second.stop(kind)
        wait_for_subscriptions(1, 1, server)
        check_news([first], second, range(20, 40))
        second.subscribe("late", "news")
        wait_for_subscriptions(2, 1, server)
        first.do("publish", "news", 40, 60)
        assert second.numbers(59, "late") == [[*range(40, 60)]]
