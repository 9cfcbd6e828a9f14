"""The fanfare tool over TLS: against daemons with a TLS port, and against servers with one fault each."""

import os
import signal
import ssl
import subprocess
import time

import pytest

from lib.program import Program
from lib.tls import Listener, pong_over_tls
from lib.wait import seconds, wait_until

OK, ERROR_REPLY, USAGE, TIMEOUT, NO_CONNECTION, FAILED = range(6)


@pytest.fixture
def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("FANFARE")}


@pytest.fixture
def tool(fanfare_tool, environment):
    """tool(*words) runs the tool to its end."""
    def run(*words, data=b"", env=None):
        return subprocess.run([fanfare_tool, *map(str, words)], input=data, capture_output=True,
                              timeout=seconds(30), env=environment | (env or {}), check=False)
    return run


@pytest.fixture
def start_tool(fanfare_tool, environment):
    return lambda *words: Program(fanfare_tool, *words, env=environment)


def check_refused(done, *texts):
    """No connection was made, said in one line with each of these texts in it."""
    assert (done.returncode, done.stdout) == (NO_CONNECTION, b""), done
    assert done.stderr.count(b"\n") == 1
    for text in texts:
        assert text.encode() in done.stderr


def wait_for_subscriber(server, channel):
    with server.connect() as connection:
        wait_until(lambda: connection.call("PUBSUB", "NUMSUB", channel)[1] == 1, f"a subscriber of {channel}")


# What works

def test_every_command_works_over_tls(tls_server, certificates, tool):
    own = ["-p", tls_server.tls_port, *certificates.client_options()]
    assert tool(*own, "ping").stdout.startswith(b"PONG from 127.0.0.1:%d: " % tls_server.tls_port)
    assert tool(*own, "pub", "a", "x").stdout == b"0\n"
    assert tool("info", "clients", *own).stdout.startswith(b"# Clients\n")
    assert tool(*own, "call", "-3", "ECHO", "x").stdout == b"x\n"
    done = tool("bench", *own, "--seconds", "0.2", "--warmup", "0.1", "-c", "3", "-P", "8")
    assert (done.returncode, done.stderr) == (OK, b"")
    assert b"0 of " in done.stdout


def test_a_rediss_url_is_tls(tls_server, certificates, tool):
    url = f"rediss://localhost:{tls_server.tls_port}"
    assert tool("-u", url, "--cacert", certificates.ca, "ping").returncode == OK
    assert tool("--cacert", certificates.ca, "ping", env={"FANFARE_URL": url}).returncode == OK
    check_refused(tool("-u", url, "ping"), "not signed by a trusted authority")


def test_a_subscriber_gets_messages_in_order(tls_server, certificates, start_tool, tool):
    own = ["-p", tls_server.tls_port, *certificates.client_options()]
    count = 20000
    with start_tool(*own, "sub", "-n", count, "a") as sub:
        wait_for_subscriber(tls_server, "a")
        done = tool(*own, "pub", "a", data=b"".join(b"%d\n" % number for number in range(count)))
        assert done.returncode == OK, done.stderr
        assert sub.rest() == [b"%d" % number for number in range(count)]
        assert sub.status() == OK


def test_large_messages_pass_both_ways(tls_server, certificates, start_tool, tool):
    own = ["-p", tls_server.tls_port, *certificates.client_options()]
    lines = [bytes([65 + number]) * 10_000_000 for number in range(3)]
    with start_tool(*own, "sub", "-n", len(lines), "a") as sub:
        wait_for_subscriber(tls_server, "a")
        assert tool(*own, "pub", "a", data=b"\n".join(lines)).returncode == OK
        assert sub.rest() == lines


def test_the_password_goes_over_tls(start_tls_server, certificates, tool):
    server = start_tls_server("--requirepass", "secret")
    url = f"rediss://:secret@localhost:{server.tls_port}"
    assert tool("-u", url, "--cacert", certificates.ca, "ping").returncode == OK
    own = ["-p", server.tls_port, *certificates.client_options()]
    assert tool(*own, "ping", env={"FANFARE_PASSWORD": "secret"}).returncode == OK
    assert tool(*own, "ping").returncode == ERROR_REPLY


def test_a_subscriber_comes_back_after_a_restart(start_tls_server, certificates, start_tool):
    server = start_tls_server()
    with start_tool("-p", server.tls_port, *certificates.client_options(), "sub", "a") as sub:
        wait_for_subscriber(server, "a")
        server.connect().call("PUBLISH", "a", "before")
        assert sub.line() == b"before"
        server.kill()
        wait_until(lambda: b"trying again in" in sub.errors, "the tool notices")
        again = start_tls_server("--tls-port", server.tls_port)
        wait_for_subscriber(again, "a")
        again.connect().call("PUBLISH", "a", "after")
        assert sub.line() == b"after"


def test_a_subscriber_ends_on_a_signal(tls_server, certificates, start_tool):
    with start_tool("-p", tls_server.tls_port, *certificates.client_options(), "sub", "a") as sub:
        wait_for_subscriber(tls_server, "a")
        sub.process.send_signal(signal.SIGINT)
        assert sub.status() == 130


# Client certificates

def test_a_client_certificate_is_shown(start_tls_server, certificates, tool, folder):
    server = start_tls_server("--tls-auth-clients", "yes")
    own = ["-p", server.tls_port, *certificates.client_options("alice")]
    assert tool(*own, "ping").returncode == OK
    assert tool(*own, "bench", "--seconds", "0.1", "--warmup", "0.1", "-c", 2).returncode == OK
    both = folder / "both.pem"
    both.write_bytes(certificates.cert("alice").read_bytes() + certificates.key("alice").read_bytes())
    assert tool("-p", server.tls_port, *certificates.client_options(), "--cert", both, "ping").returncode == OK


@pytest.mark.parametrize("command", [["ping"], ["sub", "a"], ["pub", "a", "x"], ["call", "PING"], ["bench"]],
                         ids=lambda command: command[0])
@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_a_missing_client_certificate_is_said(start_tls_server, certificates, tool, command, protocol):
    server = start_tls_server("--tls-auth-clients", "yes", "--tls-protocols", protocol)
    done = tool("-p", server.tls_port, *certificates.client_options(), *command)
    check_refused(done, "require", "a certificate (--cert and --key)")


@pytest.mark.parametrize("name", ["other/alice", "late"])
def test_a_client_certificate_that_the_server_refuses_is_said(start_tls_server, certificates, tool, name):
    server = start_tls_server("--tls-auth-clients", "yes")
    done = tool("-p", server.tls_port, *certificates.client_options(name), "ping")
    check_refused(done, "the server refused our certificate: ")


# Server certificates that are not valid

FAULTS = {"expired": ("expired", [], "certificate has expired"),
          "wrong name": ("elsewhere", ["-h", "localhost"], "hostname mismatch"),
          "wrong address": ("elsewhere", [], "IP address mismatch"),
          "unknown authority": ("other/server", [], "not signed by a trusted authority")}


@pytest.mark.parametrize("command", [["ping"], ["bench", "--seconds", "0.1", "-c", "1"]], ids=lambda command: command[0])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_certificate_that_is_no_good_is_refused_and_why(tls_server, start_tls_server, certificates, tool, fault,
                                                                 command):
    name, words, text = FAULTS[fault]
    server = start_tls_server(certificate=name)
    own = [*words, "-p", server.tls_port]
    check_refused(tool(*own, *certificates.client_options(), *command), text)
    assert tool(*own, "--tls", "--insecure", *command).returncode == OK


def test_authorities_come_from_a_folder_too(tls_server, certificates, tool, folder):
    (folder / "ca.pem").write_bytes(certificates.ca.read_bytes())
    own = ["-p", tls_server.tls_port, "--tls", "--cacertdir", folder]
    check_refused(tool(*own, "ping"), "not signed by a trusted authority")
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    assert tool(*own, "ping").returncode == OK


def test_sni_says_which_name_is_wanted(certificates, tool):
    seen = []
    with Listener(pong_over_tls(certificates.server_context("server"), seen)) as server:
        own = ["-p", server.port, *certificates.client_options(), "ping"]
        assert tool("-h", "localhost", *own).returncode == OK
        assert tool("--sni", "fan.example.org", *own).returncode == OK
        # An address is no name, and the dot that ends a name is no part of it: RFC 6066 3.
        assert tool(*own).returncode == OK
        assert tool("--sni", "localhost.", *own).returncode == OK
        check_refused(tool("--sni", "sni.example.org", *own), "hostname mismatch")
        check_refused(tool("--sni", "127.0.0.2", *own), "IP address mismatch")
    assert seen == ["localhost", "fan.example.org", None, "localhost", "sni.example.org", None]


def test_an_ipv6_address_is_looked_for_among_the_addresses(start_tls_server, certificates, tool):
    server = start_tls_server(host="::1")
    assert tool("-h", "::1", "-p", server.tls_port, *certificates.client_options(), "ping").returncode == OK


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions_before_1_2_are_not_spoken(certificates, tool):
    context = certificates.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Listener(pong_over_tls(context)) as server:
        check_refused(tool("-p", server.port, *certificates.client_options(), "ping"), "neither TLS 1.2 nor TLS 1.3")


def test_ciphers_can_be_chosen(certificates, tool):
    context = certificates.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with Listener(pong_over_tls(context)) as server:
        own = ["-p", server.port, *certificates.client_options(), "ping"]
        assert tool("--tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256", *own).returncode == OK
        check_refused(tool("--tls-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384", *own), "other ciphers")
        done = tool("--tls-ciphers", "nonsense", *own)
        assert (done.returncode, done.stderr) == (USAGE, b"fanfare: --tls-ciphers: no cipher match\n")
        assert tool("--tls-ciphersuites", "nonsense", *own).returncode == USAGE


# One speaks TLS, the other does not

@pytest.mark.parametrize("command", [["ping"], ["sub", "a"], ["call", "-3", "PING"], ["bench"]],
                         ids=lambda command: command[0])
def test_plain_text_to_a_tls_port_is_guessed(tls_server, tool, command):
    done = tool("-p", tls_server.tls_port, *command)
    check_refused(done, "the port may use TLS (--tls")


def test_an_alert_in_answer_to_plain_text_is_known(tool):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
    with Listener(serve) as server:
        check_refused(tool("-p", server.port, "ping"), "the port may use TLS (--tls")


@pytest.mark.parametrize("command", [["ping"], ["bench"]], ids=lambda command: command[0])
def test_a_plain_answer_to_a_handshake_is_known(certificates, tool, command):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(b"-ERR unknown command\r\n")
    with Listener(serve) as server:
        check_refused(tool("-p", server.port, *certificates.client_options(), *command),
                      "the server does not speak TLS on this port")


@pytest.mark.parametrize("command", [["ping"], ["bench"]], ids=lambda command: command[0])
def test_an_end_or_silence_in_the_handshake_is_guessed(certificates, tool, command):
    def close(connection):
        connection.recv(65536)
        connection.close()
    own = [*certificates.client_options(), "--connect-timeout", "0.5"]
    with Listener(close) as server:
        check_refused(tool("-p", server.port, *own, *command), "during the TLS handshake", "may not use TLS")
    with Listener(lambda connection: time.sleep(seconds(3))) as server:
        check_refused(tool("-p", server.port, *own, *command), "the port may not use TLS")


def test_a_connection_that_is_cut_is_an_end(certificates, tool):
    context = certificates.server_context()

    def serve(connection):
        stream = context.wrap_socket(connection, server_side=True)
        stream.recv(65536)
        stream.sendall(b"+PONG\r\n")
        stream.recv(65536)
        os.close(stream.detach())
    with Listener(serve) as server:
        done = tool("-p", server.port, *certificates.client_options(), "ping", "-n", "2", "-i", "0.01")
    assert done.returncode == NO_CONNECTION
    assert b"fanfare: the server closed the connection\n" in done.stderr


def test_nobody_at_the_port_is_said_as_ever(certificates, tool):
    done = tool("-p", 1, *certificates.client_options(), "ping")
    check_refused(done, "fanfare: cannot connect to 127.0.0.1:1: Connection refused\n")


# The command line

def test_files_that_cannot_be_used_are_named(certificates, tool, folder):
    ca, cert, key = certificates.ca, certificates.cert("alice"), certificates.key("bob")
    for words, text in ((["--cacert", folder / "none"], f"{folder}/none: No such file or directory"),
                        (["--cacert", key], f"{key}: no certificate or crl found"),
                        (["--cacertdir", folder / "none"], f"{folder}/none: No such file or directory"),
                        (["--cacertdir", ca], f"{ca}: Not a directory"),
                        (["--cert", folder / "none"], f"{folder}/none: No such file or directory"),
                        (["--cert", cert], f"{cert}: "),
                        (["--cert", cert, "--key", key], f"{key}: key values mismatch")):
        done = tool("--tls", *words, "ping")
        assert (done.returncode, done.stdout) == (USAGE, b"")
        assert done.stderr.startswith(f"fanfare: {text}".encode())


@pytest.mark.parametrize("name", ["", "%:", "x" * 256])
def test_a_name_that_could_not_be_checked_is_refused(tls_server, certificates, tool, name):
    done = tool("-p", tls_server.tls_port, *certificates.client_options(), "--sni", name, "ping")
    assert (done.returncode, done.stdout) == (USAGE, b"")
    assert done.stderr.startswith(b"fanfare: a server's name has 1 to 255 bytes: ")


@pytest.mark.parametrize("words", [["--insecure"], ["--cacert", "x"], ["--cert", "x"], ["--sni", "x"],
                                   ["--tls", "--key", "x"], ["--tls", "-s", "/x"],
                                   ["--tls", "-u", "unix:///x"]], ids=" ".join)
def test_options_that_do_not_fit_together_are_refused(tool, words):
    done = tool(*words, "ping")
    assert done.returncode == USAGE
    assert b"--" in done.stderr or b"Unix" in done.stderr
