"""The programs in examples/ and README.md: each notifier with each receiver, also across a restart."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from conftest import missing
from lib.program import Program
from lib.wait import seconds, wait_until

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
RECEIVERS = ["python", "node", "c"]
NOTIFIERS = ["python", "node", "shell"]


@pytest.fixture(scope="session")
def c_subscriber(tmp_path_factory):
    if not shutil.which("cc") or not shutil.which("pkg-config"):
        pytest.skip("no compiler")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "hiredis"], capture_output=True, text=True, check=False)
    if flags.returncode != 0:
        pytest.skip("hiredis is missing")
    path = tmp_path_factory.mktemp("examples") / "subscriber"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", str(path),
                    str(EXAMPLES / "c" / "subscriber.c"), *flags.stdout.split()], check=True)
    return path


@pytest.fixture
def commands(request):
    """commands("python", "receiver.py") gives the words that run an example."""

    def words(language, role, *arguments):
        if language == "python":
            return [sys.executable, EXAMPLES / "python" / f"{role}.py"]
        if language == "node":
            request.getfixturevalue("node_modules")
            return ["node", EXAMPLES / "node" / f"{role}.js"]
        if language == "c":
            return [request.getfixturevalue("c_subscriber")]
        if not shutil.which("redis-cli"):
            pytest.skip("redis-cli is missing")
        return ["sh", EXAMPLES / "shell" / "notify.sh", *arguments]

    return words


@pytest.fixture
def environment(request):
    def make(server, **more):
        modules = os.environ.get("FANFARE_NODE_MODULES") or str(EXAMPLES.parent / "tests" / "js" / "node_modules")
        return dict(os.environ, FANFARE_HOST="127.0.0.1", FANFARE_PORT=str(server.port), NODE_PATH=modules,
                    **{name: str(value) for name, value in more.items()})

    return make


def heard(line):
    """(order, status) of a line of a receiver. The C one prints channel and payload as they came."""
    what, _, rest = line.partition(b": ")
    if what.startswith(b"orders."):
        event = json.loads(rest)
        assert what == b"orders.%d.status" % event["order"]
        return event["order"], event["status"]
    return int(what.removeprefix(b"order ")), rest.decode()


def wait_until_subscribed(server, program):
    asking = server.connect()

    def subscribed():
        assert program.process.poll() is None, program.errors.decode()
        return asking.call("PUBSUB", "NUMPAT") == 1

    wait_until(subscribed, "the receiver has subscribed", 20)


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_what_a_notifier_tells_a_receiver_hears(fanfared, commands, environment, notifier, receiver):
    statuses = ["placed", "paid", "packed"]
    with Program(*commands(receiver, "receiver"), env=environment(fanfared, COUNT=3)) as program:
        wait_until_subscribed(fanfared, program)
        done = subprocess.run([str(word) for word in commands(notifier, "notifier", "17", *statuses)],
                              env=environment(fanfared, COUNT=3, INTERVAL=0.01), capture_output=True, text=True,
                              timeout=seconds(20), check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"order 17: {status}, heard by 1" for status in statuses]
        assert [heard(line) for line in program.rest()] == [(17, status) for status in statuses]
        assert program.status() == 0, program.errors.decode()


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_a_receiver_passes_over_what_is_no_event(fanfared, commands, environment, receiver):
    with Program(*commands(receiver, "receiver"), env=environment(fanfared, COUNT=1)) as program:
        wait_until_subscribed(fanfared, program)
        publisher = fanfared.connect()
        if receiver != "c":  # the C one prints payloads as they are
            for wrong in ("", "no json", "{}", '{"order": 1}', b"\xff\x00"):
                assert publisher.call("PUBLISH", "orders.1.status", wrong) == 1
        assert publisher.call("PUBLISH", "orders.1.status", '{"order":1,"status":"paid","at":1}') == 1
        assert [heard(line) for line in program.rest()] == [(1, "paid")]
        assert program.status() == 0, program.errors.decode()


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_a_receiver_finds_back_after_a_restart(start_fanfared, commands, environment, receiver):
    first = start_fanfared()
    with Program(*commands(receiver, "receiver"), env=environment(first, COUNT=2)) as program:
        wait_until_subscribed(first, program)
        event = '{"order":1,"status":"%s","at":1}'
        assert first.connect().call("PUBLISH", "orders.1.status", event % "before") == 1
        assert heard(program.line()) == (1, "before")
        first.kill()
        again = start_fanfared(port=first.port)
        wait_until_subscribed(again, program)
        assert again.connect().call("PUBLISH", "orders.1.status", event % "after") == 1
        assert [heard(line) for line in program.rest()] == [(1, "after")]
        assert program.status() == 0, program.errors.decode()


def test_the_shell_notifier_says_what_is_wrong(fanfared, commands, environment):
    def run(*arguments, server=fanfared):
        return subprocess.run([str(word) for word in commands("shell", "notify", *arguments)],
                              env=environment(server), capture_output=True, text=True, timeout=seconds(20), check=False)

    assert run("17").returncode == 2
    assert run("x", "paid").returncode == 2
    assert run("17", 'pa"id').returncode == 2
    fanfared.stop()
    assert run("17", "paid").returncode == 1


def test_the_annotated_configuration_is_valid(fanfared):
    path = EXAMPLES / "fanfared.conf"
    done = subprocess.run([os.environ["FANFARED"], "-c", str(path), "--check-config"], capture_output=True, text=True,
                          timeout=seconds(10), check=False)
    assert done.returncode == 0, done.stderr


def test_the_annotated_configuration_shows_every_directive_with_its_default(fanfared):
    shown = [line[1:] for line in (EXAMPLES / "fanfared.conf").read_text().splitlines() if re.match("#[a-z]", line)]
    defaults = subprocess.run([os.environ["FANFARED"], "--show-config"], capture_output=True, text=True,
                              timeout=seconds(10), check=True).stdout.splitlines()
    none = iter(['user ""', 'channel ""'])  # an empty line shows that there are no users, or no options of channels
    assert shown == [line or next(none) for line in defaults]
    assert next(none, None) is None


# README.md

def readme_programs(language, port):
    """The README's programs in a language, with the port of a test's daemon in place of 6379."""
    text = (EXAMPLES.parent / "README.md").read_text()
    return [block.replace("6379", str(port)) for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def run_python(program):
    subprocess.run([sys.executable, "-c", program], check=True, timeout=seconds(20))


def test_the_subscriber_in_the_readme_prints_what_the_publisher_sends(fanfared, environment, node_modules):
    publisher = readme_programs("python", fanfared.port)[0]
    (subscriber,) = readme_programs("js", fanfared.port)
    with Program("node", "-e", subscriber, env=environment(fanfared)) as program:
        wait_until_subscribed(fanfared, program)
        run_python(publisher)
        assert program.line() == b"orders.17.status paid"


def test_the_state_program_in_the_readme_keeps_what_it_says(fanfared):
    state = readme_programs("python", fanfared.port)[1]
    run_python(state)
    client = fanfared.connect()
    assert client.call("GET", "order:17") == b"paid"
    assert 0 < client.call("TTL", "online:ann") <= 30
    assert client.call("ZSCORE", "scores", "ann") == b"5"


# examples/tls

@pytest.fixture
def make_certificates(tmp_path):
    """make_certificates(*words) runs the script in an empty folder; what it makes lies in tmp_path / "certificates"."""
    if not shutil.which("openssl"):
        missing("openssl")
    return lambda *words: subprocess.run(["sh", str(EXAMPLES / "tls" / "make-certificates"), *words], cwd=tmp_path,
                                         capture_output=True, text=True, timeout=seconds(20), check=False)


def verify(folder, *words):
    done = subprocess.run(["openssl", "verify", "-CAfile", "ca.pem", *words], cwd=folder, capture_output=True, text=True,
                          check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_certificates_are_made_renewed_and_revoked(make_certificates, tmp_path):
    folder = tmp_path / "certificates"
    assert make_certificates("server", "fan.example.org", "*.fan.example.org", "10.0.0.1", "fd00::1").stdout == (
        "certificates/ca.pem\ncertificates/server.pem\n")
    authority = (folder / "ca.pem").read_bytes()
    for name in ("localhost", "fan.example.org", "a.fan.example.org"):
        assert verify(folder, "-purpose", "sslserver", "-verify_hostname", name, "server.pem")[0]
    for address in ("127.0.0.1", "::1", "10.0.0.1", "fd00::1"):
        assert verify(folder, "-purpose", "sslserver", "-verify_ip", address, "server.pem")[0]
    assert not verify(folder, "-verify_hostname", "example.org", "server.pem")[0]
    assert make_certificates("-d", "30", "client", "alice", "bob@example.org").returncode == 0
    assert verify(folder, "-purpose", "sslclient", "alice.pem", "bob@example.org.pem")[0]
    assert not verify(folder, "-purpose", "sslserver", "alice.pem")[0]
    renewed = (folder / "server.pem").read_bytes()
    assert make_certificates("server", "fan.example.org").stdout == "certificates/server.pem\n"
    assert (folder / "server.pem").read_bytes() != renewed
    assert (folder / "ca.pem").read_bytes() == authority
    assert make_certificates("revoke", "alice").stdout == "certificates/crl.pem\n"
    assert make_certificates("crl").returncode == 0
    revoked = verify(folder, "-crl_check", "-CRLfile", "crl.pem", "alice.pem")
    assert not revoked[0] and "certificate revoked" in revoked[1]
    assert verify(folder, "-crl_check", "-CRLfile", "crl.pem", "server.pem", "bob@example.org.pem")[0]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.key"))
    assert (folder / "server.pem").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("words", [[], ["nosuch"], ["ca", "x"], ["client"], ["client", "a/b"], ["client", "ca"], ["revoke"],
                                   ["client", "x" * 65], ["server", "a b"], ["server", "a,DNS:b"], ["server", "1.2"],
                                   ["server", "::x"], ["-d", "0", "ca"], ["-d", "x", "ca"], ["-x", "ca"]], ids=" ".join)
def test_a_mistake_makes_no_certificate(make_certificates, tmp_path, words):
    done = make_certificates(*words)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr != ""
    assert list(tmp_path.glob("**/*.pem")) == []


def test_what_was_never_made_cannot_be_revoked(make_certificates):
    assert make_certificates("revoke", "alice").returncode == 1
    assert make_certificates("ca").returncode == 0
    done = make_certificates("revoke", "alice")
    assert (done.returncode, done.stderr) == (1, "make-certificates: no alice.pem in certificates\n")
