"""A normal subscriber during connection storms, a tenth of the size of bench/storms."""

import pytest

from lib.daemon import free_port
from lib.storms import STORMS, Storm, Subscriber
from lib.wait import SLOW, wait_until

COUNTS = {"catch-up": 100, "connects": 1000, "loris": 100, "garbage": 200, "handshakes": 200, "one-address": 500,
          "browsers": 500, "loris-heads": 100, "loris-bodies": 100, "stuck-sockets": 20}
HTTP_NAMES = ("browsers", "loris-heads", "loris-bodies", "stuck-sockets")

# Very loose, because the storm runs on the same machine. bench/storms measures the promised figure.
BOUND_MS = 500 * SLOW


@pytest.mark.parametrize("name", list(STORMS))
def test_a_subscriber_is_served_through_a_storm(start_tls_fanfared, folder, name):
    http_port = free_port()
    daemon = start_tls_fanfared("--unixsocket", folder / "admin", "--auth-timeout", "1", "--max-connections-per-address",
                                "50", "--maxclients", "2000", "--tcp-backlog", "4096", "--tls-handshake-timeout", "1",
                                "--http-port", http_port, "--edge-anonymous", "yes", "--http-request-timeout", "1",
                                "--channel", "storm:kept", "history-size", "10", "history-ttl", "600")
    admin = daemon.connect()
    admin.call("ACL", "SETUSER", "edge", "on", "&*", "+@all")
    before = int(admin.info("stats")["total_connections_received"])
    subscriber = Subscriber(daemon.address)
    address = ("127.0.0.1", http_port) if name in HTTP_NAMES else daemon.address
    with Storm(name, daemon.tls_address if name == "handshakes" else address, COUNTS[name]):
        subscriber.measure(3)
        figures = admin.info("stats")
    assert int(figures["total_connections_received"]) - before > COUNTS[name]
    assert subscriber.percentile(99) < BOUND_MS
    if name.startswith("loris"):
        assert int(figures["closed_unauthenticated"]) > 0
    if name == "handshakes":
        assert int(admin.info("tls")["tls_failed_handshakes"]) > 0
    if name == "one-address":
        assert int(figures["refused_address_connections"]) > 0
    if name == "garbage":
        assert int(figures["closed_protocol_errors"]) > 0
    wait_until(lambda: len(admin.client_list()) == 3, "the storm has left", 20)
    wait_until(lambda: admin.info("clients")["known_addresses"] == "1", "and is forgotten")
    assert admin.call("PING") == b"PONG"
    subscriber.close()
