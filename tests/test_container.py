"""examples/container: carries out the recipe line by line, and runs its image with the settings of compose.yaml."""

import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile

import pytest

from conftest import missing
from lib.container import ELSEWHERE, Container, Image, Room, missing_tool
from lib.recipe import read_duration, read_recipe
from lib.resp import Closed, Connection, Error
from lib.tls import TlsConnection
from lib.wait import wait_until

TOP = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = TOP / "examples" / "container"
SOCKET = "/run/fanfare/fanfared.sock"
DATA = "/var/lib/fanfare"


@pytest.fixture(scope="module")
def room():
    if tool := missing_tool():
        missing(tool)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fft-"))
    room = Room(folder)
    yield room
    room.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(room):
    return Image(room, read_recipe((EXAMPLE / "Containerfile").read_text(encoding="utf-8")), TOP)


@pytest.fixture
def start(image):
    """start("--requirepass", "x", mounts=...) starts a container with these options of fanfared."""
    containers = []

    def call(*arguments, **more):
        containers.append(Container(image, *arguments, **more))
        return containers[-1]

    yield call
    for container in containers:
        container.end()


@pytest.fixture
def container(start):
    container = start()
    container.wait_until_healthy()
    return container


def local(container):
    return Connection(container.path(SOCKET))


def from_elsewhere(container, port=None):
    with container.network():
        return Connection((ELSEWHERE, port or container.image.port))


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: words.split() for name, _, words in (line.partition(":") for line in file)}


# The image


def test_the_image_has_the_two_programs_and_nothing_that_built_them(image):
    for name in ("usr/sbin/fanfared", "usr/bin/fanfare", "usr/share/doc/fanfare/LICENSE", "etc/fanfare/fanfared.conf"):
        assert image.path(f"/{name}").is_file(), name
    for name in ("usr/bin/gcc", "usr/bin/make", "usr/include/event2", "source", "image"):
        assert not image.path(f"/{name}").exists(), name
    assert list(image.path("/var/lib/apt/lists").iterdir()) == []
    assert os.path.exists(f"{image.room.path(image.build_root)}/usr/bin/gcc")


def test_only_the_volumes_belong_to_the_user(image):
    done = subprocess.run(["find", image.path("/"), "-xdev", "-uid", str(image.user)], capture_output=True, text=True,
                          check=True)
    assert sorted(done.stdout.split()) == sorted(str(image.path(path)) for path in image.volumes)


# The container


def test_it_runs_as_its_user_without_a_capability(container):
    status = status_of(container.pid)
    assert status["Uid"] == [str(container.image.user)] * 4 and status["Gid"] == [str(container.image.group)] * 4
    assert status["Groups"] == [] and status["NoNewPrivs"] == ["1"] and status["NSpid"][-1] == "1"
    for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind][0], 16) == 0, (kind, status)


def test_the_root_file_system_is_read_only_even_for_root(container):
    for path in ("/new", "/etc/fanfare/new", "/usr/sbin/new", "/tmp/new"):
        for touched in (container.execute("touch", path), container.execute_as_root("touch", path)):
            assert touched.returncode != 0 and "Read-only file system" in touched.stderr, (path, touched.stderr)
    for path in container.image.volumes:
        assert container.execute("touch", f"{path}/new").returncode == 0


def test_messages_keys_and_snapshots_work(container):
    with local(container) as subscriber, local(container) as publisher:
        subscriber.subscribe("c")
        assert publisher.call("PUBLISH", "c", b"x" * (1 << 20)) == 1
        assert subscriber.read_value() == [b"message", b"c", b"x" * (1 << 20)]
        publisher.ok("SET", "key", "value")
        publisher.ok("SAVE")
    said = container.execute("fanfare", "call", "GET", "key")
    assert (said.returncode, said.stdout) == (0, "value\n"), said.stderr


def test_the_health_check_fails_when_the_daemon_hangs_or_refuses(container):
    assert container.is_healthy()
    container.signal(signal.SIGSTOP)
    assert not container.is_healthy()
    container.signal(signal.SIGCONT)
    wait_until(container.is_healthy, "it is healthy again")
    with local(container) as client:
        client.ok("CONFIG", "SET", "requirepass", "secret")
    assert not container.is_healthy()
    container.environment["FANFARE_PASSWORD"] = "secret"
    assert container.is_healthy()


def test_clients_outside_are_refused_until_there_is_a_password(start):
    container = start()
    container.wait_until_healthy()
    with from_elsewhere(container) as client:
        client.send(b"PING\r\n")
        assert client.read_to_end().startswith(b"-DENIED")
    container.end()
    container = start("--requirepass", "secret", environment={"FANFARE_PASSWORD": "secret"})
    container.wait_until_healthy()
    with from_elsewhere(container) as client:
        assert isinstance(client.call("PING"), Error)
        client.ok("AUTH", "secret")
        assert client.call("PING") == b"PONG"


def test_the_stop_signal_drains_a_slow_subscriber_and_ends_with_0(container):
    payload, count = b"x" * 100000, 100
    with local(container) as subscriber, local(container) as publisher:
        subscriber.subscribe("c")
        for _ in range(count):
            assert publisher.call("PUBLISH", "c", payload) == 1
        container.signal(container.image.stop_signal)
        wait_until(lambda: not container.path(SOCKET).exists(), "it listens no more")
        assert container.process.poll() is None
        for _ in range(count):
            assert subscriber.read_value() == [b"message", b"c", payload]
        assert subscriber.read_to_end() == b""
    assert container.wait() == 0, container.log()


def test_keys_outlive_the_container_in_the_volume(start):
    container = start("--appendonly", "yes", "--appendfsync", "always")
    container.wait_until_healthy()
    volume = next(source for source, target, _ in container.mounts if target == DATA)
    run = next(source for source, target, _ in container.mounts if target == "/run/fanfare")
    with local(container) as client:
        client.ok("SET", "key", "value")
    container.end()  # without a shutdown: the socket's file remains in its volume
    container = start("--appendonly", "yes", mounts=[(volume, DATA, "rw"), (run, "/run/fanfare", "rw")])
    container.wait_until_healthy()
    with local(container) as client:
        assert client.call("GET", "key") == b"value"
    assert container.stop() == 0, container.log()


# compose.yaml


def readme_commands():
    """The commands of the README that create the service's files."""
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^    [$#] ((?:sh|install) .*)$", text, re.MULTILINE)


class Service:
    """The service of compose.yaml. Its relative paths start in `folder`. A key that is not applied here is an error."""

    def __init__(self, yaml, folder):
        file = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))
        assert set(file) == {"services", "volumes"} and set(file["services"]) == {"fanfare"}
        service = file["services"]["fanfare"]
        build = service.pop("build")
        assert (EXAMPLE / build["context"]).resolve() == TOP and TOP / build["dockerfile"] == EXAMPLE / "Containerfile"
        assert service.pop("read_only") is True and service.pop("cap_drop") == ["ALL"]
        assert service.pop("security_opt") == ["no-new-privileges:true"]
        self.ports = [tuple(map(int, words.split(":"))) for words in service.pop("ports")]
        self.stop_seconds = read_duration(service.pop("stop_grace_period"))
        self.mounts = [(None, target, options) for target, options in
                       (words.split(":", 1) for words in service.pop("tmpfs"))]
        for words in service.pop("volumes"):
            source, target, *options = words.split(":")
            if source in file["volumes"]:
                continue  # Container creates it
            self.mounts.append(((folder / source).resolve(), target, *(options or ["rw"])))
        assert service.pop("restart") == "unless-stopped"
        assert not service, f"not applied: {service}"


@pytest.fixture
def service(folder):
    """The service, after the commands of the README created its files."""
    if not shutil.which("openssl"):
        missing("openssl")
    try:
        import yaml
    except ImportError:
        missing("python3-yaml")
    shutil.copytree(TOP / "examples" / "tls", folder / "tls")
    shutil.copytree(EXAMPLE, folder / "container")
    commands = readme_commands()
    assert len(commands) == 6, commands
    for command in commands:
        subprocess.run(["sh", "-c", command], cwd=folder / "container", check=True, capture_output=True)
    return Service(yaml, folder / "container")


@pytest.fixture
def served(start, service):
    container = start(mounts=service.mounts)
    container.wait_until_healthy()
    return container


def connect_by_tls(served, service, folder, name=None):
    """Connects to the port that the service publishes, from an address that is not loopback."""
    certificates = folder / "container" / "certificates"
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if name:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    [(_, port)] = service.ports
    with served.network():
        return TlsConnection((ELSEWHERE, port), context, "fan.example.org")


def test_the_service_serves_a_client_with_a_certificate(served, service, folder):
    with connect_by_tls(served, service, folder, "backend") as client, local(served) as subscriber:
        subscriber.subscribe("c")
        assert client.call("PUBLISH", "c", "hello") == 1
        assert subscriber.read_value() == [b"message", b"c", b"hello"]


def test_the_service_refuses_clients_without_a_certificate_or_without_tls(served, service, folder):
    with pytest.raises((ssl.SSLError, OSError, Closed)):
        with connect_by_tls(served, service, folder) as client:
            client.call("PING")
    with from_elsewhere(served) as client:
        client.send(b"PING\r\n")
        assert b"PONG" not in client.read_to_end()


def test_the_service_is_healthy_keeps_its_rights_and_stops_in_time(served, service):
    assert served.is_healthy()
    assert served.execute("test", "-w", "/etc/fanfare/tls/server.key").returncode == 1
    assert served.execute("test", "-r", "/etc/fanfare/tls/server.key").returncode == 0
    with local(served) as client:
        drain_seconds = int(client.call("CONFIG", "GET", "shutdown-timeout")[1])
        assert client.call("CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]
    assert service.stop_seconds > drain_seconds
    assert served.stop() == 0, served.log()
    assert (served.mounts[-1][1], served.mounts[-1][2]) == (DATA, "rw")


def test_a_renewed_certificate_is_read_on_sighup(served, service, folder):
    def serial():
        with connect_by_tls(served, service, folder, "backend") as client:
            return client.peer_serial()

    before = serial()
    for command in readme_commands():
        subprocess.run(["sh", "-c", command], cwd=folder / "container", check=True, capture_output=True)
    served.signal(signal.SIGHUP)
    wait_until(lambda: serial() != before, "the renewed certificate")
