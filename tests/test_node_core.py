"""The core in WebAssembly, as the npm package fanfare-core: installed into a fresh folder, without a compiler."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import missing

from lib.program import Program

SOURCE = pathlib.Path(__file__).parent.parent
TESTS = SOURCE / "bindings" / "node" / "test"
EXAMPLE = SOURCE / "examples" / "node-wasi-server"


@pytest.fixture(scope="module")
def package():
    """The archive that `make npm-package` made."""
    folder = os.environ.get("FANFARE_NPM")
    archives = sorted(pathlib.Path(folder).glob("fanfare-core-*.tgz")) if folder else []
    if not archives:
        missing("the package for Node (make npm-package)")
    return archives[-1]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The environment of a machine that has node and npm and nothing else."""
    programs = tmp_path_factory.mktemp("bin")
    for name in ("node", "npm", "sh", "env"):
        path = shutil.which(name) or missing(name)
        (programs / name).symlink_to(path)
    version = subprocess.run(["node", "-p", "process.versions.node"], capture_output=True, text=True, check=True).stdout
    if int(version.split(".")[0]) < 20:
        missing("node 20")
    return dict(PATH=str(programs), HOME=str(programs), NODE_NO_WARNINGS="1", npm_config_update_notifier="false")


@pytest.fixture(scope="module")
def installed(package, node, tmp_path_factory):
    """A fresh folder with the package, which needs no registry."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(["npm", "install", "--offline", "--no-audit", "--no-fund", package], cwd=folder, env=node, check=True,
                   capture_output=True, timeout=120)
    return folder


def run_node(arguments, env, folder, timeout=300):
    done = subprocess.run(["node", *map(str, arguments)], cwd=folder, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


def test_the_package_has_the_module_types_and_readme_and_nothing_to_compile(installed):
    folder = installed / "node_modules" / "fanfare-core"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"LICENSE", "README.md", "fanfare_core.wasm", "index.d.ts", "index.js", "package.json", "lib/core.js",
                     "lib/errors.js", "lib/hub.js", "lib/listened.js", "lib/message.js", "lib/subscriber.js"}
    about = json.loads((folder / "package.json").read_text())
    assert not {"dependencies", "scripts", "gypfile"} & set(about)
    configure = (SOURCE / "configure.ac").read_text()
    assert f"AC_INIT([Fanfare], [{about['version']}]" in configure


@pytest.mark.parametrize("load", ["const { Hub } = require('fanfare-core');", "import { Hub } from 'fanfare-core';"])
def test_a_fresh_program_publishes_and_subscribes(installed, node, load):
    program = installed / ("program.cjs" if "require" in load else "program.mjs")
    program.write_text(load + """
        const hub = new Hub();
        hub.on('message', (message) => console.log(message.channel, message.payload));
        hub.psubscribe('news.*');
        hub.publish('news.tech', 'hello');
    """)
    assert run_node([program], node, installed) == "news.tech hello\n"


def test_the_tests_of_the_package_pass_with_the_installed_one(installed, node):
    env = dict(node, FANFARE_CORE_PACKAGE=str(installed / "node_modules" / "fanfare-core"),
               FANFARE_GLOBS=str(SOURCE / "src" / "base" / "testing_glob.def"))
    output = run_node(["--test", *sorted(TESTS.glob("*.test.js"))], env, installed)
    assert int(re.search(r"^# pass (\d+)$", output, re.M)[1]) > 40
    assert "# skipped 0" in output


def test_the_types_allow_what_works_and_refuse_the_rest(installed, node, node_modules):
    compiler = pathlib.Path(node_modules) / "typescript" / "lib" / "tsc.js"
    if not compiler.exists():
        missing("typescript")
    shutil.copy(TESTS / "types.ts", installed / "types.ts")
    run_node([compiler, "--noEmit", "--strict", "--target", "es2022", "--module", "node16", "--typeRoots",
              pathlib.Path(node_modules) / "@types", "--types", "node", "types.ts"], node, installed)


def test_the_model_test_has_the_same_trace_in_the_module_and_natively(package, node):
    build = package.parent.parent
    seeds, steps = 20, 5000
    native = subprocess.run([build / "tests" / "core_trace", str(seeds), str(steps)], capture_output=True, text=True,
                            check=True, timeout=300).stdout
    assert len(set(native.split())) == seeds
    assert "0" * 16 not in native, "the C library differs from the model"
    assert run_node([SOURCE / "tests" / "js" / "core_trace.js", build / "core_model.wasm", seeds, steps], node, build) == native


def test_the_readme_shows_programs_that_run(installed, node):
    readme = (SOURCE / "bindings" / "node" / "README.md").read_text()
    programs = re.findall(r"```js\n(.*?)```\n(?:\n```text\n(.*?)```)?", readme, re.S)
    assert len(programs) >= 2
    for i, (text, expected) in enumerate(programs):
        program = installed / f"readme{i}.js"
        program.write_text(text)
        assert run_node([program], node, installed) == expected, text


def test_a_thousand_websocket_clients_share_the_example_server(installed, node, node_modules):
    env = dict(node, NODE_PATH=f"{installed / 'node_modules'}:{node_modules}", PORT="0")
    with Program("node", EXAMPLE / "server.js", env=env) as server:
        port = int(server.line().split()[-1])
        output = run_node([SOURCE / "tests" / "js" / "core_clients.js", port, 1000], env, installed, timeout=120)
        server.process.terminate()
        assert server.process.wait(timeout=20) == 0
    assert json.loads(output) == {"clients": 1000, "wrong": 0, "refused": 2000, "receivers": 0}


def test_the_example_server_refuses_bad_names_and_bounds_what_it_keeps_for_a_client(installed, node, node_modules):
    env = dict(node, NODE_PATH=f"{installed / 'node_modules'}:{node_modules}", PORT="0")
    with Program("node", EXAMPLE / "server.js", env=env) as server:
        port = int(server.line().split()[-1])
        output = run_node([SOURCE / "tests" / "js" / "core_hostile_clients.js", port], env, installed, timeout=120)
        assert server.process.poll() is None
    result = json.loads(output)
    assert result["names"] == {"*": 1008, "a.b": 1008, "": 1008, "[a-z]nn": 1008, "ann\n": 1008}
    assert result["url"] == 1008
    assert result["unread"] < 40 << 20, "the server took the requests of a client that reads no answers"
    assert result["answers"] == result["requests"]
    assert result["subscriptions"] == 1000
    assert result["longNames"] == 0
