"""Programs of the Redis world: tests/programs has what they run, Debian and npm have the programs."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

from conftest import missing
from lib.program import Program
from lib.wait import seconds, wait_until

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "programs"


def need(program):
    """The path of a program, or the test is skipped."""
    return shutil.which(program) or missing(program)


def need_python(*modules):
    """Debian's Python, which has these modules of Debian."""
    python = "/usr/bin/python3"
    find = "import sys, importlib.util as util; sys.exit(not all(map(util.find_spec, sys.argv[1:])))"
    if not os.path.exists(python) or subprocess.run([python, "-c", find, *modules], check=False).returncode != 0:
        missing(f"a module of {python}: one of {', '.join(modules)}")
    return python


def environment(server=None, **more):
    """That of this process. Python finds modules in tests/programs and writes nothing there."""
    port = {"PORT": str(server.port)} if server else {}
    return dict(os.environ, PYTHONPATH=str(FOLDER), PYTHONDONTWRITEBYTECODE="1", TIMEOUT=str(seconds(20)), **port, **more)


def kill_family(pid):
    """Kills a program of this process that runs, and all its descendants."""
    pids = [pid]
    for parent in pids:  # it grows
        for children in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids += map(int, children.read_text(encoding="ascii").split())
    for each in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def run(*command, within=30, env=None, cwd=None):
    """Runs a program to its end and returns its output. It must succeed."""
    with subprocess.Popen([str(word) for word in command], env=env or environment(), cwd=cwd or FOLDER, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            output = process.communicate(timeout=seconds(within))[0]
        except BaseException:
            kill_family(process.pid)
            print(f"{command}:\n{process.communicate()[0]}")
            raise
    assert process.returncode == 0, f"{command} ended with {process.returncode}\n{output}"
    return output


@contextlib.contextmanager
def worker(*command, env, cwd, ready=b"", within=30):
    """A program that runs beside the test, and must end well on SIGTERM. It is ready when its stderr has these words."""
    with Program(*command, env=env, cwd=cwd) as program:
        try:
            wait_until(lambda: ready in program.errors or program.process.poll() is not None, "the program is ready", within)
            yield program
            program.process.send_signal(signal.SIGTERM)
            program.status(within)
        finally:
            if program.process.poll() is None:
                kill_family(program.process.pid)
            print(f"{command}:\n{program.errors.decode()}")  # pytest shows it if the test fails
    assert program.process.returncode == 0, f"{command} ended with {program.process.returncode}"


class Node(Program):
    """A program of Node.js that is told what to do by lines of JSON."""

    def __init__(self, modules, script, *words):
        super().__init__(need("node"), FOLDER / script, *words, stdin=subprocess.PIPE, env=environment(NODE_PATH=modules))

    def do(self, *words):
        self.write(json.dumps(words).encode() + b"\n")

    def expect(self, *words):
        line = self.json_line()
        assert line == list(words), line

    def ask(self, *words):
        self.do(*words)
        return self.json_line()

    def port(self):
        """The port of a server, which it says when it has started."""
        word, port = json.loads(self.line(within=40))
        assert word == "port"
        return port
