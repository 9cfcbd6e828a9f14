"""Laravel (Debian's php-illuminate-*) over phpredis: its queue, broadcaster, cache, locks and limiters."""

import json

import pytest

from conftest import missing
from lib.programs import FOLDER, need, run


@pytest.fixture
def laravel(server):
    """laravel(scenario) runs it with the server."""
    php = need("php")
    needed = "extension_loaded('redis') && stream_resolve_include_path('Illuminate/Queue/autoload.php')"
    if run(php, "-r", f"echo json_encode((bool)({needed}));") != "true":
        missing("php-redis or php-illuminate-queue")
    return lambda scenario: run(php, "-d", "display_errors=stderr", FOLDER / "laravel.php", server.port, scenario)


@pytest.mark.parametrize("scenario", ["queue", "locks"])
def test_laravel_works(laravel, scenario):
    laravel(scenario)


def test_laravel_broadcasts(server, laravel):
    subscriber = server.connect()
    assert subscriber.call("PSUBSCRIBE", "*") == [b"psubscribe", b"*", 1]
    laravel("messages")
    for channel in (b"orders.17", b"orders"):
        kind, pattern, name, text = subscriber.read_value()
        assert (kind, pattern) == (b"pmessage", b"*")
        assert name.endswith(channel)
        message = json.loads(text)
        assert (message["event"], message["data"]) == ("OrderPaid", {"order": 17, "text": "ключ 🎺"})
