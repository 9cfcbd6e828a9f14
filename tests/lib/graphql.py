"""GraphQL servers that have their subscriptions in a Redis."""

import json

from lib.programs import Node
from lib.wait import wait_until


class GraphqlServer(Node):
    """It listens to the channel news, once by its name and once by a pattern."""

    def __init__(self, modules, port):
        super().__init__(modules, "graphql_server.js", port)

    def listen(self):
        self.subscribe("name", "news")
        self.subscribe("pattern", "ne*", is_pattern=True)

    def subscribe(self, name, topic, is_pattern=False):
        self.do("subscribe", name, topic, is_pattern)
        assert json.loads(self.line(within=40)) == ["subscribed", topic]

    def stop(self, name):
        assert self.ask("stop", name) == ["stopped", name]

    def numbers(self, end, *names):
        """What these subscriptions brought, each up to this number."""
        got = {name: [] for name in names}
        while any(end not in numbers for numbers in got.values()):
            name, _, number = self.json_line()
            got[name].append(number)
        return [*got.values()]


def subscriptions(*nodes):
    """Those of all clients there, to channels and to patterns."""
    clients = []
    for node in nodes:
        with node.connect() as client:
            clients += client.client_list()
    return [sum(int(client[kind]) for client in clients) for kind in ("sub", "psub")]


def wait_for_subscriptions(channels, patterns, *nodes):
    wait_until(lambda: subscriptions(*nodes) == [channels, patterns], f"{channels} channels, {patterns} patterns", 20)


def check_news(servers, publisher, numbers):
    """All subscriptions to news get these numbers, each once."""
    publisher.do("publish", "news", numbers.start, numbers.stop)
    for server in servers:
        assert server.numbers(numbers[-1], "name", "pattern") == [[*numbers]] * 2
