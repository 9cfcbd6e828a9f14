"""The programs in examples/, README.md and fanfare-history(7) that miss nothing: each is killed and started again, and so is
the daemon."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from conftest import missing
from lib.program import Program
from lib.wait import wait_until

SOURCE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = SOURCE / "examples"
READERS = ["history_reader.py", "history_reader.c"]
RESUMERS = ["resume.py", "resume.js"]
PROGRAMS = [*READERS, *RESUMERS]
CHANNELS = {**dict.fromkeys(READERS, ["orders"]), **dict.fromkeys(RESUMERS, ["orders", "payments", "shipments"])}


@pytest.fixture(scope="session")
def c_reader(tmp_path_factory):
    if not shutil.which("cc") or not shutil.which("pkg-config"):
        missing("a compiler or pkg-config")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "hiredis"], capture_output=True, text=True, check=False)
    if flags.returncode != 0:
        missing("hiredis")
    path = tmp_path_factory.mktemp("examples") / "history_reader"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", str(path),
                    str(EXAMPLES / "c" / "history_reader.c"), *flags.stdout.split()], check=True)
    return path


@pytest.fixture
def start(folder, start_fanfared):
    """start(line, ...) gives a daemon with these lines of configuration; start() one with the same as before."""
    path = folder / "fanfared.conf"

    def begin(*lines, **more):
        if lines:
            path.write_text("".join(f"{line}\n" for line in lines))
        return start_fanfared("-c", path, **more)

    return begin


KEEP = tuple(f"channel {name} history-size 10000 history-ttl 600" for name in ("orders", "payments", "shipments"))


@pytest.fixture
def run(request, folder):
    """run("resume.py", daemon, count) starts an example that ends after that many events; 0: never."""
    started = []

    def begin(name, daemon, count=0):
        if name.endswith(".py"):
            words = [sys.executable, EXAMPLES / "python" / name]
        elif name.endswith(".js"):
            request.getfixturevalue("node_modules")
            words = ["node", EXAMPLES / "node" / name]
        else:
            words = [request.getfixturevalue("c_reader")]
        modules = os.environ.get("FANFARE_NODE_MODULES") or str(SOURCE / "tests" / "js" / "node_modules")
        program = Program(*words, folder / "positions", env=dict(
            os.environ, FANFARE_HOST="127.0.0.1", FANFARE_PORT=str(daemon.port), COUNT=str(count), NODE_PATH=modules))
        started.append(program)
        return program

    yield begin
    for program in started:
        program.__exit__()


def kill(program):
    program.process.kill()
    program.process.wait()


def publish(daemon, channels, begin, end):
    """Publishes the numbers, to one channel after the other; returns what an example prints of them."""
    with daemon.connect() as client:
        lines = []
        for number in range(begin, end):
            channel = channels[number % len(channels)]
            client.call("PUBLISH", channel, number)
            lines.append(b"%s: %d" % (channel.encode(), number))
    return lines


def next_lines(program, expected, repeated=None):
    """Reads the expected lines. The first one may be one that was printed before, if that had not been saved."""
    first = program.line()
    if first == repeated:
        first = program.line()
    got = [first, *(program.line() for _ in expected[1:])]
    assert got == expected, (got, program.errors.decode())


@pytest.mark.parametrize("name", PROGRAMS)
def test_events_that_are_published_while_it_is_killed_are_not_missed(start, run, name):
    daemon = start(*KEEP)
    program = run(name, daemon)
    last = None
    for round_ in range(4):
        lines = publish(daemon, CHANNELS[name], round_ * 200, round_ * 200 + 100)  # while it starts and runs
        next_lines(program, lines, last)
        kill(program)
        last = lines[-1]
        lines = publish(daemon, CHANNELS[name], round_ * 200 + 100, round_ * 200 + 200)
        program = run(name, daemon)
        next_lines(program, lines, last)
        last = lines[-1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_ends_after_count_events_and_goes_on_behind_them(start, run, name):
    daemon = start(*KEEP)
    lines = publish(daemon, CHANNELS[name], 0, 10)
    for begin in (0, 5):
        program = run(name, daemon, 5)
        assert program.rest() == lines[begin:begin + 5], program.errors.decode()
        assert program.status() == 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_graceful_restart_with_history_save_loses_nothing(start, run, name):
    daemon = start("history-save yes", *KEEP)
    program = run(name, daemon)
    next_lines(program, publish(daemon, CHANNELS[name], 0, 50))
    for round_ in (1, 2):
        lines = publish(daemon, CHANNELS[name], round_ * 100, round_ * 100 + 50)
        daemon.stop()
        daemon = start(port=daemon.port)
        lines += publish(daemon, CHANNELS[name], round_ * 100 + 50, round_ * 100 + 100)
        next_lines(program, lines)
    kill(program)
    assert program.rest() == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_after_a_crash_it_says_that_events_are_lost_and_goes_on(start, run, name):
    daemon = start("history-save yes", *KEEP)
    program = run(name, daemon)
    next_lines(program, publish(daemon, CHANNELS[name], 0, 50))
    daemon.kill()
    daemon = start(port=daemon.port)
    lines = publish(daemon, CHANNELS[name], 50, 60)
    lost = [program.line() for _ in CHANNELS[name]]
    assert all(b"lost" in line for line in lost), (lost, program.errors.decode())
    next_lines(program, lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_events_that_are_not_kept_any_more_are_reported(start, run, name):
    daemon = start(*(f"channel {channel} history-size 5 history-ttl 600" for channel in CHANNELS["resume.py"]))
    program = run(name, daemon)
    channels = CHANNELS[name]
    for number in range(3 * len(channels)):
        next_lines(program, publish(daemon, channels, number, number + 1))
    kill(program)
    lines = publish(daemon, channels, 30, 30 + 20 * len(channels))
    program = run(name, daemon)
    lost = [program.line() for _ in channels]
    assert all(b"lost" in line for line in lost), (lost, program.errors.decode())
    next_lines(program, lines[-5 * len(channels):])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_channel_without_history_is_an_error(fanfared, run, name):
    program = run(name, fanfared)
    assert program.status() == 1
    program.rest()
    wait_until(lambda: b"keeps no history" in program.errors, "the error")


@pytest.mark.parametrize("name", [*READERS, "resume.py"])
def test_a_quiet_channel_is_not_reported_as_lost(start, run, folder, name):
    """Its position follows that of the server, so that messages of others that expire do not concern it."""
    daemon = start("channel orders history-size 10 history-ttl 600", "channel other history-size 10 history-ttl 2")
    begun = b"subscribed to orders" if name in RESUMERS else b""
    if name in RESUMERS:
        daemon.connect().ok("CHANNEL", "SET", "[ps]*ments", "history-size", 10, "history-ttl", 600)
    program = run(name, daemon)
    wait_until(lambda: begun in program.errors and (folder / "positions").exists(), "the first position")
    publish(daemon, ["other"], 0, 5)
    with daemon.connect() as client:
        newest = client.call("HISTORY", "POSITION")
        file = folder / "positions"  # it is written anew for each channel
        wait_until(lambda: file.exists() and file.read_bytes().count(newest) == len(CHANNELS[name]),
                   "the position of the server for each channel", 30)
        kill(program)
        # Positions before messages of the other channel are lost when these have expired.
        wait_until(lambda: newest in client.call("HISTORY", "INFO", "orders"), "the end of the other messages")
    lines = publish(daemon, ["orders"], 5, 6)
    program = run(name, daemon, 1)
    assert program.rest() == lines, program.errors.decode()


# README.md and fanfare-history(7)

def run_python(program, port):
    return Program(sys.executable, "-u", "-c", program.replace("6379", str(port)))


def manual_blocks():
    """The configuration and the programs of the page's section EXAMPLES, as they are displayed."""
    text = (SOURCE / "man" / "fanfare-history.7").read_text().partition(".Sh EXAMPLES\n")[2].partition("\n.Sh ")[0]
    return [block.replace("\\e", "\\").replace("\\&", "")
            for block in re.findall(r"\.Bd -literal[^\n]*\n(.*?)\.Ed", text, re.DOTALL)]


@pytest.fixture
def manual(start, folder):
    configuration, *programs = manual_blocks()
    assert len(programs) == 3
    return start(*configuration.splitlines()), [program.replace("/var/tmp/", f"{folder}/") for program in programs]


def restarted(program, daemon, channels, line, file=None):
    """The program prints each message once, whether it runs or not when they are published: from the first one on or, with
    file, as soon as that exists."""
    last = None
    for round_ in range(3):
        process = run_python(program, daemon.port)
        with process:
            wait_until(lambda: file is None or file.exists(), "the first position")
            lines = publish(daemon, channels, round_ * 20, round_ * 20 + 10)
            next_lines(process, [line(text) for text in lines], last)
            last = line(lines[-1])
            kill(process)
        between = publish(daemon, channels, round_ * 20 + 10, round_ * 20 + 20)
        with run_python(program, daemon.port) as process:
            next_lines(process, [line(text) for text in between], last)
            last = line(between[-1])
            kill(process)


def payload(text):
    return text.partition(b": ")[2]


def test_the_read_loop_in_the_manual_misses_nothing(manual):
    daemon, (read_loop, _, _) = manual
    restarted(read_loop, daemon, ["news"], payload)


def test_the_resuming_subscriber_in_the_manual_misses_nothing(manual):
    daemon, (_, resume, _) = manual
    restarted(resume, daemon, ["news", "news.sport"], lambda text: text.replace(b":", b""))


@pytest.mark.parametrize("which", [0, 1], ids=["read", "resume"])
def test_the_programs_in_the_manual_say_what_is_lost(manual, start, which):
    daemon, programs = manual
    with run_python(programs[which], daemon.port) as process:
        publish(daemon, ["news"], 0, 1)
        assert process.line()
        daemon.kill()
        daemon = start(port=daemon.port)
        kill(process)
    with run_python(programs[which], daemon.port) as process:
        assert b"lost" in process.line(), process.errors.decode()
        publish(daemon, ["news"], 7, 8)
        line = process.line()
        assert (process.line() if b"lost" in line else line).endswith(b"7")


def test_the_last_value_in_the_manual_comes_first(manual):
    daemon, (_, _, last_value) = manual
    with daemon.connect() as client:
        for price in ("1", "2", "3"):
            client.call("PUBLISH", "price.gold", price)
    with run_python(last_value, daemon.port) as process:
        assert process.line() == b"3"
        with daemon.connect() as client:
            assert client.call("PUBLISH", "price.gold", "4") == 1
        assert process.line() == b"4"


def test_the_reader_in_the_readme_misses_nothing(start, folder):
    section = (SOURCE / "README.md").read_text().partition("## Nothing is lost silently\n")[2].partition("\n## ")[0]
    (configuration,) = re.findall(r"^    (channel .*)$", section, re.MULTILINE)
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    daemon = start(configuration)
    file = folder / "position"
    restarted(program.replace('"position"', repr(str(file))), daemon, ["orders.status"], payload, file)
    daemon.kill()
    daemon = start(port=daemon.port)
    with run_python(program.replace('"position"', repr(str(file))), daemon.port) as process:
        assert process.status() == 1
        process.rest()
        wait_until(lambda: b"LOST channel 'orders.status'" in process.errors, "the error")
