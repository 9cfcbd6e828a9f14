"""Admission of connections: limits of an address, its accept rate, and the PROXY protocol of balancers."""

import socket
import ssl

import pytest

from lib.resp import Connection, Error, encode
from lib.wait import SLOW, wait_until

TOO_MANY = b"-ERR max number of connections from this address reached\r\n"
TOO_FAST = b"-ERR too many new connections from this address, try again later\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n"


class From(Connection):
    """A connection from this local address."""

    def __init__(self, address, source):
        plain = socket.create_connection

        self.socket = plain(address, timeout=10 * SLOW, source_address=(source, 0))
        self._held = bytearray()
        self._at = 0


@pytest.fixture
def admin(start_fanfared, folder):
    """A connection that no limit of addresses counts, and how to start its daemon."""
    def start(*options):
        path = folder / "admin"
        daemon = start_fanfared("--unixsocket", path, *options)
        connection = Connection(path)
        daemon.connections.append(connection)
        assert connection.call("PING") == b"PONG"
        return daemon, connection
    return start


def test_an_address_has_so_many_connections_and_no_more(admin):
    daemon, unix = admin("--max-connections-per-address", 3)
    wait_until(lambda: unix.info("clients")["known_addresses"] == "0", "the start's probe is gone")
    clients = [daemon.connect() for _ in range(3)]
    for client in clients:
        assert client.call("PING") == b"PONG"
    assert daemon.connect().read_to_end() == TOO_MANY
    with From(daemon.address, "127.0.0.2") as other:
        assert other.call("PING") == b"PONG"
    assert unix.info("stats")["refused_address_connections"] == "1"
    assert "refusing client addr=127.0.0.1:" in daemon.log()
    assert "max-connections-per-address 3 reached" in daemon.log()
    clients[0].close()
    wait_until(lambda: len(unix.client_list()) == 3, "one has left")
    wait_until(lambda: daemon.connect().call("PING") == b"PONG", "its address has room")
    assert daemon.connect().read_to_end() == TOO_MANY
    unix.ok("CONFIG", "SET", "max-connections-per-address", "0")
    assert daemon.connect().call("PING") == b"PONG"


def test_unix_sockets_are_not_counted(admin, folder):
    _, unix = admin("--max-connections-per-address", 1)
    others = [Connection(folder / "admin") for _ in range(5)]
    for other in others:
        assert other.call("PING") == b"PONG"
        other.close()
    assert unix.info("stats")["refused_address_connections"] == "0"


def test_an_address_comes_so_fast_and_no_faster(admin):
    daemon, unix = admin()
    unix.ok("CONFIG", "SET", "max-accept-rate", "1", "max-accept-burst", "5")
    answers = []
    for _ in range(30):
        with daemon.connect() as connection:
            connection.send(encode("QUIT"))
            answers.append(connection.read_to_end())
    taken = answers.count(b"+OK\r\n")
    assert taken >= 5 and (SLOW > 1 or taken < 15), answers
    # A reset may be faster than the line.
    assert set(answers) <= {b"+OK\r\n", TOO_FAST, b""}
    assert unix.info("stats")["refused_accept_rate"] == str(30 - taken)
    with From(daemon.address, "127.0.0.3") as other:
        assert other.call("PING") == b"PONG"


def test_a_storm_is_refused_with_few_words(admin):
    daemon, unix = admin("--max-connections-per-address", 1)
    held = daemon.connect()
    wait_until(lambda: held.call("PING") == b"PONG", "it is in")
    for _ in range(1000):
        socket.create_connection(daemon.address).close()
    wait_until(lambda: unix.info("stats")["refused_address_connections"] >= "1000"
               or int(unix.info("stats")["refused_address_connections"]) >= 1000, "all refused")
    assert daemon.log().count("refusing client") < 200
    assert held.call("PING") == b"PONG"
    assert unix.info("clients")["known_addresses"] == "1"


def header_v2(source, destination=("127.0.0.1", 6379), command=0x21, more=b""):
    six = ":" in source[0]
    family = socket.AF_INET6 if six else socket.AF_INET
    body = (socket.inet_pton(family, source[0]) + socket.inet_pton(family, destination[0])
            + source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big") + more)
    return V2 + bytes([command, 0x21 if six else 0x11]) + len(body).to_bytes(2, "big") + body


def addresses(unix):
    return [client["addr"] for client in unix.client_list()]


@pytest.mark.parametrize("header, seen", [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 6379\r\n", "192.0.2.1:56324"),
    (b"PROXY TCP6 2001:db8::1 ::1 7 6379\r\n", "[2001:db8::1]:7"),
    (header_v2(("192.0.2.9", 99)), "192.0.2.9:99"),
    (header_v2(("2001:db8::9", 99), ("::1", 1), more=b"\x04\0\x03abc"), "[2001:db8::9]:99"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
    (V2 + b"\x20\0\0\0", "127.0.0.1:"),
])
@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_the_client_is_the_one_behind_the_balancer(admin, header, seen, pieces):
    daemon, unix = admin("--proxy-protocol", "no", "--proxy-protocol-from", "127.0.0.0/30", "--protected-mode", "no")
    unix.ok("CONFIG", "SET", "proxy-protocol", "yes")
    client = daemon.connect()
    if pieces == "whole":
        client.send(header + encode("PING"))
    else:
        for i in range(len(header)):
            client.send(header[i:i + 1])
        client.send(encode("PING"))
    assert client.read_value() == b"PONG"
    assert any(address.startswith(seen) for address in addresses(unix)), addresses(unix)
    assert unix.info("clients")["awaited_proxy_headers"] == "0"


def proxied(admin, *options):
    daemon, unix = admin("--proxy-protocol-from", "127.0.0.1 ::1", *options)
    unix.ok("CONFIG", "SET", "proxy-protocol", "yes")
    return daemon, unix


def test_limits_see_the_client_behind_the_balancer(admin):
    daemon, _ = proxied(admin, "--max-connections-per-address", "2", "--protected-mode", "no")
    held = []
    for port in (1, 2):
        held.append(daemon.connect())
        held[-1].send(header_v2(("192.0.2.1", port)) + encode("PING"))
        assert held[-1].read_value() == b"PONG"
    third = daemon.connect()
    third.send(header_v2(("192.0.2.1", 3)))
    assert third.read_to_end() == TOO_MANY
    other = daemon.connect()
    other.send(header_v2(("192.0.2.2", 3)) + encode("PING"))
    assert other.read_value() == b"PONG"
    assert "refusing client addr=192.0.2.1:3:" in daemon.log()


def test_protected_mode_sees_the_client_behind_the_balancer(admin):
    daemon, _ = proxied(admin)
    client = daemon.connect()
    client.send(header_v2(("192.0.2.1", 1)))
    assert client.read_to_end().startswith(b"-DENIED ")


class BehindBalancer:
    """TLS whose first bytes are a PROXY header, in pieces of so many bytes: header and hello share one of them."""

    def __init__(self, address, header, context, name, piece):
        self.socket = socket.create_connection(address, timeout=10 * SLOW)
        self.incoming, self.outgoing, self.piece = ssl.MemoryBIO(), ssl.MemoryBIO(), piece
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.outgoing.write(header)
        self.do(self.tls.do_handshake)

    def send(self):
        data = self.outgoing.read()
        for at in range(0, len(data), self.piece):
            self.socket.sendall(data[at:at + self.piece])

    def do(self, call, *args):
        while True:
            try:
                value = call(*args)
                self.send()
                return value
            except ssl.SSLWantReadError:
                self.send()
                data = self.socket.recv(65536)
                assert data, "the daemon closed it"
                self.incoming.write(data)


@pytest.mark.parametrize("piece", [1, 20, 40, 100000])
@pytest.mark.parametrize("name, header, seen", [
    ("localhost", header_v2(("192.0.2.1", 77)), "192.0.2.1:77"),
    ("sni.example.org", b"PROXY TCP6 ::ffff:192.0.2.2 ::1 78 6379\r\n", "[::ffff:192.0.2.2]:78"),
    ("localhost", V2 + b"\x20\0\0\0", "127.0.0.1:"),
])
def test_a_header_comes_before_the_tls_hello(start_tls_fanfared, folder, certificates, name, header, seen, piece):
    daemon = start_tls_fanfared("--unixsocket", folder / "admin", "--proxy-protocol-from", "127.0.0.1",
                                "--protected-mode", "no", "--max-connections-per-address", "1",
                                "--tls-sni", "sni.example.org", certificates.cert("sni"), certificates.key("sni"))
    with Connection(folder / "admin") as unix:
        unix.ok("CONFIG", "SET", "proxy-protocol", "yes")
        wait_until(lambda: unix.info("clients")["known_addresses"] == "0", "the start's probe is gone")
        client = BehindBalancer(daemon.tls_address, header, certificates.client_context(), name, piece)
        client.do(client.tls.write, encode("PING"))
        assert client.do(client.tls.read, 100) == b"+PONG\r\n"
        assert any(address.startswith(seen) for address in addresses(unix)), addresses(unix)
        assert unix.info("clients")["known_addresses"] == "1"
        client.socket.close()
        wait_until(lambda: unix.info("clients")["known_addresses"] == "0", "it is forgotten")
        # One that goes in the middle of its hello leaves nothing behind.
        with socket.create_connection(daemon.tls_address) as half:
            half.sendall(header + b"\x16\x03\x01\x02\0\x01")
            wait_until(lambda: unix.info("tls")["tls_handshakes_in_progress"] == "1", "its handshake began")
        wait_until(lambda: unix.info("tls")["tls_handshakes_in_progress"] == "0", "it is gone")
        wait_until(lambda: unix.info("clients")["known_addresses"] == "0", "it is forgotten too")
        wait_until(lambda: unix.info("clients")["unauthenticated_clients"] == "0", "and no longer counted")


def test_handshakes_behind_a_balancer_are_bounded_as_others(start_tls_fanfared, folder):
    daemon = start_tls_fanfared("--unixsocket", folder / "admin", "--proxy-protocol-from", "127.0.0.1",
                                "--protected-mode", "no", "--tls-max-handshakes", "3")
    with Connection(folder / "admin") as unix:
        unix.ok("CONFIG", "SET", "proxy-protocol", "yes")
        crowd = [socket.create_connection(daemon.tls_address) for _ in range(20)]
        wait_until(lambda: unix.info("clients")["awaited_proxy_headers"] != "0", "some are let in")
        for connection in crowd:
            connection.sendall(header_v2(("192.0.2.1", 1)) + b"\x16\x03\x01\x02\0\x01")
        wait_until(lambda: unix.info("tls")["tls_handshakes_in_progress"] == "3", "there are as many as may be")
        for _ in range(200):
            assert int(unix.info("tls")["tls_handshakes_in_progress"]) <= 3
        for connection in crowd:
            connection.close()
        # Silent connections are closed at their timeout, and the waiting ones are accepted.
        silent = [socket.create_connection(daemon.tls_address) for _ in range(3)]
        wait_until(lambda: unix.info("clients")["awaited_proxy_headers"] == "3", "they are waited for")
        late = socket.create_connection(daemon.tls_address)
        late.sendall(header_v2(("192.0.2.1", 1)) + b"\x16\x03\x01\x02\0\x01")
        wait_until(lambda: unix.info("tls")["tls_handshakes_in_progress"] == "1", "it came in", 20)
        for connection in [*silent, late]:
            connection.close()


def test_the_log_names_the_client_behind_the_balancer(admin):
    daemon, _ = proxied(admin, "--protected-mode", "no")
    for start in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"):
        client = daemon.connect()
        client.send(header_v2(("192.0.2.1", 77)) + start)
        assert client.read_to_end() == b""
    wait_until(lambda: daemon.log().count("closing 192.0.2.1:77: ") == 2, "both are logged")


def test_who_is_no_balancer_cannot_claim_an_address(admin):
    daemon, unix = proxied(admin)
    with From(daemon.address, "127.0.0.2") as client:
        assert client.call("PING") == b"PONG"
        assert any(address.startswith("127.0.0.2:") for address in addresses(unix))
        client.send(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 6379\r\n")
        assert isinstance(client.read_value(), Error)
    assert not any(address.startswith("192.0.2.1:") for address in addresses(unix))


@pytest.mark.parametrize("start", [b"PING\r\n", encode("PING"), b"PROXY TCP4 x y 1 1\r\n", b"PROXY" + b" " * 200,
                                   V2 + b"\x21\x11\xff\xff", b"\x16\x03\x01\x02\0"])
def test_a_balancer_that_sends_no_header_is_closed(admin, start):
    daemon, unix = proxied(admin)
    client = daemon.connect()
    client.send(start)
    assert client.read_to_end() == b""
    assert unix.info("stats")["refused_proxy_headers"] == "1"
    assert "closing connection of balancer addr=127.0.0.1:" in daemon.log()


def test_a_header_that_does_not_come_is_not_waited_for(admin):
    daemon, unix = proxied(admin)
    silent, slow = daemon.connect(), daemon.connect()
    slow.send(b"PROXY TCP4 192")
    wait_until(lambda: unix.info("clients")["awaited_proxy_headers"] == "2", "both are waited for")
    assert silent.read_to_end() == b""
    assert slow.read_to_end() == b""
    assert unix.info("clients")["awaited_proxy_headers"] == "0"
    assert unix.info("stats")["refused_proxy_headers"] == "2"
    assert "did not come in time" in daemon.log()


def test_the_number_of_headers_waited_for_is_bounded(admin):
    daemon, unix = proxied(admin)
    held = [socket.create_connection(daemon.address) for _ in range(1100)]
    wait_until(lambda: int(unix.info("stats")["refused_proxy_headers"]) >= 76, "the last ones are closed")
    assert int(unix.info("clients")["awaited_proxy_headers"]) <= 1024
    for connection in held:
        connection.close()
    wait_until(lambda: unix.info("clients")["awaited_proxy_headers"] == "0", "all are gone")


@pytest.mark.parametrize("value", ["localhost", "10.0.0.0/33", "1.2.3", "::1/129", "10.0.0.0/8 x"])
def test_a_bad_network_is_refused(admin, value):
    _, unix = admin()
    reply = unix.call("CONFIG", "SET", "proxy-protocol-from", value)
    assert isinstance(reply, Error) and b"IPv4 or IPv6 addresses" in reply.text, reply
    unix.ok("CONFIG", "SET", "proxy-protocol-from", "10.0.0.0/8 fd00::/8 192.0.2.1")
    assert unix.call("CONFIG", "GET", "proxy-protocol-from") == [
        b"proxy-protocol-from", b"10.0.0.0/8 fd00::/8 192.0.2.1"]


@pytest.mark.parametrize("sent", [b"", b"*2\r\n$4\r\nPING\r\n$100\r\nabc", b"PIN"])
def test_a_connection_that_completes_no_request_is_closed(admin, sent):
    daemon, unix = admin("--auth-timeout", "1")
    loris, idle = daemon.connect(), daemon.connect()
    assert idle.call("PING") == b"PONG"
    loris.send(sent)
    assert loris.read_to_end() == b""
    assert unix.info("stats")["closed_unauthenticated"] == "1"
    assert idle.call("PING") == b"PONG"
    assert unix.info("clients")["unauthenticated_clients"] == "0"


def test_bytes_that_trickle_in_do_not_help(admin):
    daemon, unix = admin("--auth-timeout", "1")
    loris = daemon.connect()
    loris.socket.settimeout(0.05)
    loris.send(b"*2\r\n$4\r\nPING\r\n$1000000\r\n")
    ended = False
    for _ in range(1000):
        try:
            loris.send(b"x")
            ended = loris.socket.recv(1) == b""
        except socket.timeout:
            continue
        except OSError:
            ended = True
        if ended:
            break
    assert ended and unix.info("stats")["closed_unauthenticated"] == "1"


def test_who_does_not_authenticate_is_closed_though_it_asks(start_fanfared):
    daemon = start_fanfared("--auth-timeout", "1", "--requirepass", "secret")
    guest, member = daemon.connect(), daemon.connect()
    member.ok("AUTH", "secret")
    assert isinstance(guest.call("PING"), Error)
    assert guest.read_to_end() == b""
    assert member.call("PING") == b"PONG"
    assert member.info("stats")["closed_unauthenticated"] == "1"
    # After RESET it has to log in again, within the same time from then on.
    assert member.call("RESET") == b"RESET"
    member.ok("AUTH", "secret")
    assert member.info("clients")["unauthenticated_clients"] == "0"
    assert member.call("RESET") == b"RESET"
    assert member.read_to_end() == b""


def test_wrong_passwords_that_wait_for_their_answer_do_not_help(start_fanfared):
    daemon = start_fanfared("--auth-timeout", "1", "--auth-delay-max", "500", "--requirepass", "secret")
    guest = daemon.connect(timeout=30 * SLOW)
    guest.send(encode("AUTH", "wrong") * 100)
    answers = guest.read_to_end()
    assert 3 <= answers.count(b"WRONGPASS") < 50
    member = daemon.connect()
    member.ok("AUTH", "secret")
    assert member.info("stats")["closed_unauthenticated"] == "1"
    assert member.info("clients")["unauthenticated_clients"] == "0"


def test_unauthenticated_connections_are_bounded_in_number(start_fanfared):
    daemon = start_fanfared("--max-unauthenticated", "3", "--requirepass", "secret")
    members = []
    for _ in range(5):
        members.append(daemon.connect())
        members[-1].ok("AUTH", "secret")
    guests = [daemon.connect() for _ in range(3)]
    wait_until(lambda: members[0].info("clients")["unauthenticated_clients"] == "3", "they are there")
    assert daemon.connect().read_to_end() == b"-ERR max number of unauthenticated clients reached\r\n"
    assert members[0].info("stats")["refused_unauthenticated"] == "1"
    guests[0].ok("AUTH", "secret")
    daemon.connect().ok("AUTH", "secret")
