"""Fixtures. FANFARED names the daemon under test, FANFARE the tool; redis-server is found in PATH.

`server` runs a test against both redis-server and fanfared: a test that also
passes with redis-server is known to be right. `fanfared` is for features that only fanfared has.
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))

pytest.register_assert_rewrite("lib.graphql", "lib.resp", "lib.daemon", "lib.wait")

from lib.daemon import Fanfared, Redis  # noqa: E402  (the path must be set first)
from lib.page import Page  # noqa: E402
from lib.program import Program  # noqa: E402
from lib.tls import Certificates, TlsFanfared, TlsRedis, knows_tls  # noqa: E402
from lib.wait import seconds  # noqa: E402


def missing(what):
    """Skips a test because something is missing; fails it if FANFARE_REQUIRE_ALL=1, as in CI."""
    if os.environ.get("FANFARE_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing", pytrace=False)
    pytest.skip(f"{what} is missing")


def require_kind(kind):
    if issubclass(kind, Fanfared) and not os.environ.get("FANFARED"):
        missing("FANFARED (the path of the daemon)")
    if issubclass(kind, Redis) and not shutil.which("redis-server"):
        missing("redis-server")


def tests_only_redis(item):
    """True for a test with redis-server and nothing of ours. The tool is ours."""
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "fanfare_tool" not in item.fixturenames and any(kind in (Redis, TlsRedis, Redis.name) for kind in params)


def pytest_collection_modifyitems(config, items):
    """With FANFARE_TEST_REDIS=0, tests that only show that redis-server agrees are left out: one run shows it."""
    if os.environ.get("FANFARE_TEST_REDIS") != "0":
        return
    left_out = [item for item in items if tests_only_redis(item)]
    items[:] = [item for item in items if not tests_only_redis(item)]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def folder():
    """A fresh folder with a short path, because the path of a Unix socket has at most 107 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="fft-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Starter:
    """Starts daemons of one kind and stops them all."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.folder = folder
        self.started = []

    def __call__(self, *options, port=None, **more):
        daemon = self.kind(self.folder, *options, **more)
        self.started.append(daemon)
        return daemon.start(port)

    def stop(self):
        errors = []
        for daemon in self.started:
            try:
                daemon.stop()
            except AssertionError as error:
                errors.append(error)
        if errors:
            raise errors[0]


def starter_of(kind, folder):
    require_kind(kind)
    starter = Starter(kind, folder)
    try:
        yield starter
    finally:
        starter.stop()


@pytest.fixture
def start_fanfared(folder):
    """start_fanfared("--maxclients", 10) gives a running daemon with these settings."""
    yield from starter_of(Fanfared, folder)


@pytest.fixture
def start_redis(folder):
    yield from starter_of(Redis, folder)


@pytest.fixture(params=[Redis, Fanfared], ids=lambda kind: kind.name)
def start_server(request, folder):
    yield from starter_of(request.param, folder)


@pytest.fixture
def fanfared(start_fanfared):
    return start_fanfared()


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates of examples/tls/make-certificates, and invalid ones that must be refused."""
    if not shutil.which("openssl"):
        missing("openssl")
    return Certificates(tmp_path_factory.mktemp("tls"))


def tls_starter_of(kind, folder, certificates):
    for starter in starter_of(kind, folder):
        yield functools.partial(starter, certificates=certificates)


@pytest.fixture(params=[TlsRedis, TlsFanfared] if knows_tls() else [TlsRedis], ids=lambda kind: kind.name)
def start_tls_server(request, folder, certificates):
    """start_tls_server("--tls-auth-clients", "yes") gives a daemon with a plain port and a tls_port."""
    yield from tls_starter_of(request.param, folder, certificates)


@pytest.fixture
def start_tls_redis(folder, certificates):
    yield from tls_starter_of(TlsRedis, folder, certificates)


@pytest.fixture
def start_tls_fanfared(folder, certificates):
    yield from tls_starter_of(TlsFanfared, folder, certificates)


@pytest.fixture
def tls_server(start_tls_server):
    return start_tls_server()


@pytest.fixture
def tls_fanfared(start_tls_fanfared):
    return start_tls_fanfared()


@pytest.fixture(scope="session")
def fanfare_tool():
    """Runs the tool: fanfare_tool("-p", port, "ping") gives a CompletedProcess."""
    path = os.environ.get("FANFARE")
    if not path:
        missing("FANFARE (the path of the tool)")
    return path


@pytest.fixture
def import_files(fanfare_tool):
    """import_files(path, daemon, *words) runs "fanfare import" to its end."""
    def run(path, daemon, *words):
        return subprocess.run([fanfare_tool, "import", str(path), "--to", f"redis://127.0.0.1:{daemon.port}", *words],
                              capture_output=True, check=False, text=True, timeout=seconds(20))
    return run


@pytest.fixture(scope="session")
def node_modules():
    """The folder with ioredis and redis, made by `npm ci` in tests/js or named by FANFARE_NODE_MODULES."""
    if not shutil.which("node"):
        missing("node")
    for path in (os.environ.get("FANFARE_NODE_MODULES"), TESTS / "js" / "node_modules"):
        if path and (pathlib.Path(path) / "ioredis").is_dir():
            return path
    missing("tests/js/node_modules (npm ci --prefix tests/js)")


@pytest.fixture(scope="session")
def program_modules():
    """The folder with the programs of npm, made by scripts/test-programs."""
    path = os.environ.get("FANFARE_PROGRAM_MODULES", str(TESTS / "programs" / "node_modules"))
    if not (pathlib.Path(path) / "bullmq").is_dir():
        missing("tests/programs/node_modules (scripts/test-programs)")
    return path


@pytest.fixture(scope="session")
def chromium(node_modules):
    """Drives one Chromium for all tests of a file: its start takes longer than a test."""
    browser = shutil.which("chromium") or missing("chromium")
    if not (pathlib.Path(node_modules) / "playwright-core").is_dir():
        missing("playwright-core")
    environment = dict(os.environ, NODE_PATH=str(node_modules), CHROMIUM=browser)
    with Program("node", TESTS / "js" / "page.js", env=environment, stdin=subprocess.PIPE) as program:
        yield program
        program.process.stdin.close()
        program.process.wait(seconds(20))


@pytest.fixture
def page(chromium):
    """A page in Chromium, with storage of its own."""
    page = Page(chromium)
    yield page
    page("close")


@pytest.fixture(scope="session")
def hiredis_client(tmp_path_factory):
    """The program tests/hiredis_client.c: compiled here, or named by HIREDIS_CLIENT."""
    path = os.environ.get("HIREDIS_CLIENT")
    if path:
        return path
    if not shutil.which("cc") or not pathlib.Path("/usr/include/hiredis/hiredis.h").exists():
        missing("hiredis or a compiler")
    path = tmp_path_factory.mktemp("hiredis") / "hiredis_client"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-g", "-o", str(path),
                    str(TESTS / "hiredis_client.c"), "-lhiredis", "-levent"], check=True)
    return str(path)
