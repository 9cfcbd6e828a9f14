"""The listeners of HTTP and HTTPS: their time limits, refusals, certificates, upgrades and settings."""

import http.client
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from lib.daemon import free_port
from lib.lineage import is_alive
from lib.resp import Connection, error
from lib.wait import seconds, wait_until
from test_daemon import ACTIVATE


def get(port, path="/healthz", tls=None):
    connection = (http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=20) if tls
                  else http.client.HTTPConnection("127.0.0.1", port, timeout=20))
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def dial(port, sent=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


def rest_of(connection):
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def status_of(response):
    return response.split(b"\r\n")[0]


@pytest.fixture(params=[1, 4], ids=["one loop", "four loops"])
def start_http(request, start_fanfared):
    def start(*options):
        port = free_port()
        daemon = start_fanfared("--http-port", port, "--io-threads", request.param, *options)
        return daemon, port

    return start


HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize("sent", [HEAD, b"POST /pub/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"],
                         ids=["head", "body"])
def test_a_request_that_is_not_complete_in_time_is_answered_with_408(start_http, sent):
    daemon, port = start_http("--http-request-timeout", 1)
    assert status_of(rest_of(dial(port, sent))) == b"HTTP/1.1 408 Request Timeout"
    later = rest_of(dial(port, HEAD + b"\r\n" + sent))
    assert later.startswith(b"HTTP/1.1 200 OK\r\n") and later.count(b"HTTP/1.1 408 Request Timeout\r\n") == 1
    assert b"closed_slow_requests:2" in daemon.connect().call("INFO", "stats")


def test_an_idle_connection_is_closed_without_a_word(start_http):
    _, port = start_http("--http-keepalive", 1)
    start = time.monotonic()
    response = rest_of(dial(port, HEAD + b"\r\n"))
    assert time.monotonic() - start > 0.9
    assert response.count(b"HTTP/1.1") == 1


def test_what_is_refused_is_closed_and_logged(start_http):
    daemon, port = start_http("--max-connections-per-address", 1)
    with dial(port, HEAD + b"\r\n") as first:
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert rest_of(dial(port)) == b""
    daemon.wait_for_log("max-connections-per-address 1 reached")


def test_https_asks_for_no_certificate(start_fanfared, certificates):
    port, tls_port = free_port(), free_port()
    start_fanfared("--https-port", port, "--tls-port", tls_port, *certificates.server_options())
    assert get(port, tls=certificates.client_context()) == 200
    with pytest.raises((OSError, ssl.SSLError)):
        get(tls_port, tls=certificates.client_context())


def test_https_needs_no_tls_port_and_no_authority(start_fanfared, certificates):
    port = free_port()
    daemon = start_fanfared("--https-port", port, "--tls-cert-file", certificates.cert("server"), "--tls-key-file",
                            certificates.key("server"))
    assert get(port, tls=certificates.client_context()) == 200
    daemon.connect().ok("CONFIG", "SET", "tls-cert-file", str(certificates.cert("server")))
    assert get(port, tls=certificates.client_context()) == 200


def test_an_upgrade_keeps_the_listeners(start_fanfared, certificates, folder):
    ports = free_port(), free_port()
    daemon = start_fanfared("--http-port", ports[0], "--https-port", ports[1], "--shutdown-grace", 1, "--pidfile", "pid",
                            *certificates.server_options())
    pidfile = folder / "pid"
    first = pidfile.read_text()
    os.kill(daemon.pid, signal.SIGUSR2)
    wait_until(lambda: pidfile.read_text() not in ("", first), "the successor")
    successor = int(pidfile.read_text())
    try:
        assert get(ports[0]) == 200 and get(ports[1], tls=certificates.client_context()) == 200
        environment = pathlib.Path(f"/proc/{successor}/environ").read_bytes()
        names = next(word for word in environment.split(b"\0") if word.startswith(b"LISTEN_FDNAMES="))
        assert b":http:" in names + b":" and b":https:" in names + b":"
    finally:
        os.kill(successor, signal.SIGTERM)
        wait_until(lambda: not pathlib.Path(f"/proc/{successor}").exists(), "the end of the successor")


def test_keys_for_tokens_are_all_or_nothing(start_http, folder):
    daemon, port = start_http()
    client = daemon.connect()
    (folder / "bad.pem").write_text("no key\n")
    for name, value in (("token-public-key-file", "gone.pem"), ("token-public-key-file", "bad.pem"),
                        ("token-hmac-secret", "short")):
        reply = client.call("CONFIG", "SET", name, value)
        assert reply.text.startswith(b"ERR CONFIG SET failed (possibly related to argument '%s') - Unable to update"
                                     b" token configuration: " % name.encode()), reply
    client.ok("CONFIG", "SET", "token-hmac-secret", "x" * 32)
    assert get(port) == 200


def test_settings_that_depend_on_each_other_must_agree(start_http):
    daemon, _ = start_http()
    client = daemon.connect()
    assert client.call("CONFIG", "SET", "sse-retry-min", "6000") == error(
        "ERR CONFIG SET failed (possibly related to argument 'sse-retry-max') - sse-retry-max 5000 is below"
        " sse-retry-min 6000")
    client.ok("CONFIG", "SET", "sse-retry-min", "6000", "sse-retry-max", "7000")


def test_http_on_the_resp_port_is_closed_with_a_clear_line(start_http):
    daemon, _ = start_http()
    assert b"HTTP/1.1" not in rest_of(dial(daemon.port, HEAD + b"\r\n"))
    daemon.wait_for_log("HTTP request on a RESP port")
    assert daemon.connect().call("PING") == b"PONG"


@pytest.mark.parametrize("threads", [1, 4], ids=["one loop", "four loops"])
def test_sockets_called_http_and_https_speak_it_before_and_after_an_upgrade(folder, certificates, threads):
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    resp, plain, secured = (one.getsockname()[1] for one in sockets)
    pidfile, log = folder / "pid", folder / "activated.log"
    numbers = [one.fileno() for one in sockets]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, ",".join(map(str, numbers)), os.environ["FANFARED"], "--port", "0",
             "--http-port", "1", "--https-port", "1", "--io-threads", str(threads), "--pidfile", pidfile, "--shutdown-grace", "1",
             *(str(word) for word in certificates.server_options())],
            pass_fds=numbers, stdout=out, stderr=out, env={**os.environ, "LISTEN_FDNAMES": "fanfared.socket:http:https"})
    pids = [process.pid]
    try:
        for _ in range(3):
            with Connection(("127.0.0.1", resp)) as client:
                assert client.call("PING") == b"PONG"
            assert get(plain) == 200 and get(secured, tls=certificates.client_context()) == 200
            wait_until(lambda: pidfile.exists() and pidfile.read_text() == f"{pids[-1]}\n", "the pidfile")
            os.kill(pids[-1], signal.SIGUSR2)
            wait_until(lambda: pidfile.read_text() not in ("", f"{pids[-1]}\n"), "the next pidfile")
            pids.append(int(pidfile.read_text()))
        environment = pathlib.Path(f"/proc/{pids[-1]}/environ").read_bytes().split(b"\0")
        assert b"LISTEN_FDNAMES=resp-passed:http-passed:https-passed" in environment
    finally:
        os.kill(pids[-1], signal.SIGTERM)
        for pid in pids[1:]:
            wait_until(lambda pid=pid: not is_alive(pid), "the end of all")
        assert process.wait(timeout=seconds(10)) == 0, log.read_text()
        for one in sockets:
            one.close()


@pytest.mark.parametrize("name", ["http", "https"])
def test_a_passed_socket_needs_the_port_of_its_kind(folder, certificates, name):
    if not os.environ.get("FANFARED"):
        pytest.skip("FANFARED (the path of the daemon) is missing")
    with socket.create_server(("127.0.0.1", 0)) as passed:
        done = subprocess.run(
            [sys.executable, "-c", ACTIVATE, str(passed.fileno()), os.environ["FANFARED"], "--port", "0",
             *(str(word) for word in certificates.server_options()), "--tls-port", "1"],
            pass_fds=[passed.fileno()], capture_output=True, timeout=seconds(20), cwd=folder, check=False,
            env={**os.environ, "LISTEN_FDNAMES": name})
    assert done.returncode != 0
    assert f"a socket is for {name.upper()}, and there is no {name}-port".encode() in done.stderr + done.stdout
