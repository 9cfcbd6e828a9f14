"""Moving in with a configuration of Redis: what is accepted, ignored and refused, in a file and by CONFIG.

redis-conf/ has the lines that are active in the redis.conf of Debian's 7.0 and of upstream's 5.0, 6.2 and 7.2, and
`examples`: the lines that these files show in comments, each with whether fanfared accepts it.
"""

import os
import pathlib
import shlex
import signal
import subprocess

import pytest

from lib.resp import Error, error
from lib.wait import seconds, wait_until
from test_config import config, start_from_file

FOLDER = pathlib.Path(__file__).resolve().parent / "redis-conf"
DEBIAN = pathlib.Path("/etc/redis/redis.conf")
FILES = sorted(FOLDER.glob("*.conf")) + ([DEBIAN] if os.access(DEBIAN, os.R_OK) else [])
SUMMARY = "directives of redis.conf that mean nothing here were ignored: "


@pytest.fixture
def check(folder):
    """Runs --check-config on a text or on the bytes of a file; a start, if the option is left out."""
    def run(text, *options, option="--check-config"):
        path = folder / "given.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return subprocess.run([os.environ["FANFARED"], "-c", path.name, *options, *filter(None, [option])], cwd=folder,
                              text=True, errors="replace", capture_output=True, timeout=seconds(20), check=False)

    return run


def active_lines(path):
    """The names of a file, each with all its values as CONFIG GET shows them."""
    values = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, *words = shlex.split(line)
            values.setdefault(name, []).extend(words)
    return {name: " ".join(words) for name, words in values.items()}


def foreign_lines(path, own):
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return [line for line in lines if line.partition(" ")[0] not in own]


def own_names():
    shown = subprocess.run([os.environ["FANFARED"], "--show-config"], capture_output=True, text=True,
                           timeout=seconds(10), check=True).stdout
    return {line.split()[0] for line in shown.splitlines() if line}


# Whole files

@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_of_redis_starts_the_daemon_and_the_log_says_what_was_ignored(start_fanfared, folder, path):
    copy = folder / "redis.conf"
    copy.write_bytes(path.read_bytes())
    daemon = start_from_file(start_fanfared, copy, "--dir", folder, "--logfile", "", "--pidfile", "pid", "--daemonize",
                             "no")
    client = daemon.connect()
    lines, own = active_lines(path), own_names()
    ignored = {name for name in lines if name not in own and "ziplist" not in name and name != "lua-time-limit"}
    (summary,) = [line for line in daemon.log().splitlines() if SUMMARY in line]
    assert set(summary.partition(SUMMARY)[2].split(", ")) == ignored
    assert f" {len(ignored)} {SUMMARY}" in summary
    warned = "keys are not kept on disk: there is no line of save" in daemon.log()
    assert warned == ("save" not in lines)
    known = config(client, "*")
    for name in lines:
        if name not in own:
            assert known[name.encode()] == lines[name].encode(), name
    if "save" in lines:
        assert known[b"save"] == lines["save"].encode()
    client.ok("CONFIG", "REWRITE")
    assert foreign_lines(copy, own) == foreign_lines(path, own)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_check_config_prints_what_would_be_ignored(check, folder, path):
    done = check(path.read_bytes(), "--dir", folder)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert SUMMARY in first and "hz" in first
    assert len(rest) == (0 if "save" in active_lines(path) else 1)


def test_each_example_of_the_files_is_accepted_or_refused_as_it_says(check):
    """All in one file: each mistake names its line, and a directive does not depend on the ones before it."""
    verdicts, directives = zip(*(line.split(" ", 1) for line in (FOLDER / "examples").read_text().splitlines()))
    done = check("\n".join(directives) + "\n")
    mistaken = {int(line.split(":")[1]) for line in done.stderr.splitlines()}
    assert {directives[number - 1] for number in mistaken} == {
        directive for verdict, directive in zip(verdicts, directives) if verdict == "refused"}
    accepted = "\n".join(d for v, d in zip(verdicts, directives) if v == "accepted")
    assert check(accepted).stderr == ""


@pytest.mark.parametrize("line, words", [("tls-port 6379", "No tls-cert-file configured"),
                                         ("aclfile /gone.acl", "/gone.acl")])
def test_an_example_that_needs_a_file_says_so_if_there_is_none(check, line, words):
    assert words in check(line).stderr


@pytest.mark.parametrize("line, words", [
    ("replicaof 10.0.0.1 6379", ["replicaof '10.0.0.1 6379' is refused: there is no replication", "remove the line"]),
    ("slaveof 10.0.0.1 6379", ["replicaof '10.0.0.1 6379' is refused"]),
    ("cluster-enabled yes", ["cluster-enabled 'yes' is refused: there is no cluster mode", "set it to no"]),
    ("loadmodule /x.so 1 2", ["loadmodule '/x.so 1 2' is refused: modules cannot be loaded; remove the line"]),
    ('rename-command FLUSHALL ""', ["rename-command 'FLUSHALL ' is refused", "forbid commands to users by rules"]),
    ("min-replicas-to-write 1", ["min-replicas-to-write '1' is refused", "set it to 0"]),
    ("maxmemory-clients 5%", ["maxmemory-clients '5%' is refused", "maxmemory-pubsub"]),
    ("aof-timestamp-enabled yes", ["aof-timestamp-enabled 'yes' is refused", "set it to no"]),
    ("socket-mark-id 5", ["socket-mark-id '5' is refused", "set it to 0"]),
    ("shutdown-on-sigterm nosave now", ["shutdown-on-sigterm 'nosave now' is refused", "set it to default"]),
    ("shutdown-on-sigint save", ["shutdown-on-sigint 'save' is refused", "set it to default"]),
    ("locale-collate fr_FR", ["locale-collate 'fr_FR' is refused", "set it to C"]),
    ("gopher-enabled yes", ["gopher-enabled 'yes' is refused"]),
    ("sentinel monitor m 127.0.0.1 6379 2", ["sentinel 'monitor m 127.0.0.1 6379 2' is refused", "Redis Sentinel"]),
    ("cluster-enabled maybe", ["'maybe' is no value for cluster-enabled: allowed is yes or no"]),
    ("hz often", ["'often' is no value for hz: allowed is 0 to 2147483647"]),
    ("replica-priority -1", ["'-1' is no value for replica-priority"]),
    ("repl-diskless-load always", ["'always' is no value for repl-diskless-load: allowed is one of disabled"]),
    ("save 900", ["'900' is no value for save: allowed is pairs of seconds and changes"]),
    ("nosuchdirective 1", ["unknown directive 'nosuchdirective': allowed are those of fanfared.conf(5)"]),
    ("maxclient 1", ["unknown directive 'maxclient': did you mean maxclients?"]),
])
def test_a_line_that_breaks_a_promise_stops_the_start_and_says_what_to_do(check, line, words):
    for option in ("--check-config", None):
        done = check(f"# first\n{line}\n", option=option)
        assert done.returncode == 1 and done.stdout == ""
        (mistake,) = done.stderr.splitlines()
        assert mistake.startswith("given.conf:2: "), mistake
        assert all(word in mistake for word in words), mistake


@pytest.mark.parametrize("option", ["--check-config", None])
def test_all_mistakes_are_listed_in_one_try(check, folder, option):
    (folder / "part.conf").write_text("hz 10\nloadmodule a.so\n")
    (folder / "more-1.conf").write_text("port 70000\n")
    (folder / "more-2.conf").write_text('"\n')
    done = check("cluster-enabled yes\nport 7000\ninclude part.conf\ninclude gone.conf\ninclude more-*.conf\ntimeout x\n",
                 "--hz", "often", "--sse-retry-min", "6000", option=option)
    assert done.returncode == 1
    starts = ["given.conf:1: cluster-enabled", "part.conf:2: loadmodule",
              "given.conf:4: include gone.conf: No such file or directory", "more-1.conf:1: '70000'",
              "more-2.conf:1: unbalanced quotes", "given.conf:6: 'x' is no value for timeout", "--hz: 'often'",
              "sse-retry-max 5000 is below"]
    lines = done.stderr.splitlines()
    assert [line[:len(start)] for line, start in zip(lines, starts)] == starts and len(lines) == len(starts)


def test_check_config_looks_into_every_file_even_if_one_of_them_is_wrong(check, folder):
    (folder / "bad.acl").write_text("user alice +nosuch\n")
    done = check("aclfile bad.acl\ntoken-jwks-file gone.json\ntls-port 7001\n")
    assert done.returncode == 1
    one, two, three = done.stderr.splitlines()
    assert "bad.acl:1" in one and "gone.json" in two and "tls-cert-file" in three


# Hostile files

@pytest.mark.parametrize("text, count", [
    (b"nosuch 1\n" * 100000, 51),
    (b"a" * (8 << 20) + b"\n", 1),
    (b"hz " + b"1 " * (1 << 20) + b"\nhz " + b"x" * (1 << 20), 2),
    (b"hz 10\0\n\0\n", 2),
    (b'hz "10\nhz 1"0"\nhz \'10\n', 2),
    (b"include given.conf\ninclude given.conf\nhz x\n", 1),
    (b"include *.conf\n" * 300, 1),
    (b"hz x\ninclude more.conf\n", 51),
    (b"include \"a\\nb\"\nnosuch\x01\x1b[2J\xff 1\n", 2),
    (bytes(range(256)) * 400, 51),
    (b"rename-command " + b"x " * 100000, 1),
], ids=range(11))
def test_a_hostile_file_gets_a_bounded_list_of_mistakes(check, folder, text, count):
    (folder / "more.conf").write_text("include leaf.conf\n" * 1000)
    (folder / "leaf.conf").write_text("hz y\n")
    done = check(text)
    assert done.returncode == 1
    lines = done.stderr.split("\n")
    assert lines.pop() == "" and len(lines) == count
    assert all(len(line) < 2000 and line.isprintable() for line in lines), lines


# CONFIG

def test_every_directive_that_redis_lists_is_known_with_the_same_default(start_redis, start_fanfared):
    """And CONFIG SET gives the same replies: to this value, and to one that is no number."""
    redis, ours = start_redis().client(), start_fanfared().client()
    listed, known = config(redis, "*"), config(ours, "*")
    assert set(listed) <= set(known)
    own = own_names()
    foreign = {name for name in listed if name.decode() not in own}
    assert len(foreign) > 100
    assert {name: known[name] for name in foreign} == {name: listed[name] for name in foreign}
    # Texts that Redis checks more closely than directives without effect need it, and values with another reason here.
    differ = {b"oom-score-adj-values", b"proc-title-template",
              b"maxmemory-clients", b"shutdown-on-sigint", b"shutdown-on-sigterm", b"cluster-announce-hostname",
              b"hash-max-ziplist-entries", b"hash-max-ziplist-value", b"zset-max-ziplist-entries",
              b"zset-max-ziplist-value", b"list-max-ziplist-size"}
    for name in sorted(foreign):
        values = [listed[name]] + ([b"-7", b"x y"] if name not in differ else [])
        for value in values:
            for spelled in (name, name.upper()):
                expected = redis.call("CONFIG", "SET", spelled, value)
                assert ours.call("CONFIG", "SET", spelled, value) == expected, (spelled, value)


def test_config_set_of_an_ignored_directive_holds_and_is_rewritten(start_fanfared, folder):
    path = folder / "redis.conf"
    text = "# of Redis\nhz 10\nslave-priority 100\nrepl-backlog-size 1mb\ncluster-enabled no\nhash-max-ziplist-value 64\n"
    path.write_text(text)
    daemon = start_from_file(start_fanfared, path)
    client = daemon.connect()
    client.ok("CONFIG", "REWRITE")
    kept = path.read_text()
    assert kept.startswith(text)
    client.ok("CONFIG", "SET", "hz", "50", "replica-priority", "7", "lazyfree-lazy-expire", "yes",
              "hash-max-ziplist-value", "32")
    assert config(client, "hz", "slave-*", "lazyfree-lazy-expire", "hash-max-*-value") == {
        **config(client, "slave-*"), b"hz": b"50", b"slave-priority": b"7", b"lazyfree-lazy-expire": b"yes",
        b"hash-max-ziplist-value": b"32", b"hash-max-listpack-value": b"32"}
    client.ok("CONFIG", "REWRITE")
    lines = path.read_text().splitlines()
    assert lines[:6] == ["# of Redis", "hz 50", "replica-priority 7", "repl-backlog-size 1mb", "cluster-enabled no",
                         "hash-max-listpack-value 32"]
    assert "lazyfree-lazy-expire yes" in lines
    before = config(client, "*")
    daemon.stop()
    again = start_from_file(start_fanfared, path)
    after = config(again.connect(), "*")
    before.pop(b"port"), after.pop(b"port")
    assert after == before


def test_config_set_of_what_is_refused_changes_nothing(start_fanfared):
    client = start_fanfared().client()
    before = config(client, "*")
    for name, value, reason in (("min-slaves-to-write", "2", "there are no replicas"),
                                ("maxmemory-clients", "1g", "the clients have other limits"),
                                ("aof-timestamp-enabled", "yes", "the append-only file has no timestamps"),
                                ("shutdown-on-sigterm", "save", "SIGTERM always ends the daemon in the same way")):
        reply = client.call("CONFIG", "SET", "hz", "77", name, value)
        assert reply.text.decode().startswith(
            f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    assert config(client, "*") == before


@pytest.mark.parametrize("name", ["loadmodule", "rename-command", "include", "sentinel", "LoadModule"])
def test_what_only_a_file_can_name_is_unknown_to_config(server, name):
    client = server.connect()
    assert config(client, name) == {}
    assert client.call("CONFIG", "SET", name, "x") == error(
        f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")


@pytest.mark.parametrize("name", ["masterauth", "masteruser", "requirepass"])
def test_passwords_are_not_shown_by_the_slow_log(server, name):
    slow_log_hides(server.connect(), name)


@pytest.mark.parametrize("name", ["tls-client-key-file-pass", "token-hmac-secret"])
def test_passwords_of_ours_and_some_that_redis_shows_are_not_shown_either(fanfared, name):
    slow_log_hides(fanfared.connect(), name)


def test_the_url_of_the_upstream_is_not_shown_by_the_slow_log(fanfared):
    client = fanfared.connect()
    client.ok("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.call("CONFIG", "SET", "upstream", "redis://:hunter2@h")
    log = repr(client.call("SLOWLOG", "GET", "10"))
    assert "hunter2" not in log and "(redacted)" in log


def slow_log_hides(client, name):
    client.ok("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.ok("CONFIG", "SET", name, "hunter2" * 8)
    if name == "requirepass":
        client.ok("AUTH", "hunter2" * 8)
    log = repr(client.call("SLOWLOG", "GET", "10"))
    assert "hunter2" not in log and "(redacted)" in log


def test_a_password_that_is_refused_is_not_printed(check):
    done = check("masterauth hunter2 hunter3\n")
    assert done.returncode == 1 and "hunter" not in done.stderr


@pytest.mark.parametrize("commands", [
    # Celery and kombu, Spring Session, Laravel Horizon, Sidekiq, redis_exporter, BullMQ, Redis Commander
    [("CONFIG", "GET", "notify-keyspace-events"), ("CONFIG", "SET", "notify-keyspace-events", "Egx")],
    [("CONFIG", "SET", "notify-keyspace-events", "KEA"), ("CONFIG", "GET", "maxmemory-policy")],
    [("CONFIG", "GET", "*"), ("CONFIG", "GET", "databases"), ("CONFIG", "GET", "cluster-enabled")],
    [("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"), ("CONFIG", "SET", "lua-time-limit", "10000")],
    [("CONFIG", "SET", "slave-read-only", "no"), ("CONFIG", "SET", "latency-monitor-threshold", "100")],
    [("CONFIG", "SET", "activedefrag", "no"), ("CONFIG", "SET", "rdbcompression", "no", "hz", "100")],
])
def test_commands_of_tools_get_the_replies_of_redis(server, commands):
    client = server.connect()
    for command in commands:
        reply = client.call(*command)
        assert not isinstance(reply, Error) and reply != [], command


def test_an_error_of_config_set_spells_the_name_as_in_redis(server):
    client = server.connect()
    assert client.call("CONFIG", "SET", "hz", "12", "Hz", "13") == error(
        "ERR CONFIG SET failed (possibly related to argument 'Hz') - duplicate parameter")
    assert client.call("CONFIG", "SET", "Slave-Priority", "x") == error(
        "ERR CONFIG SET failed (possibly related to argument 'slave-priority') - argument couldn't be parsed into an"
        " integer")
    assert client.call("CONFIG", "SET", "Always-Show-Logo", "yes") == error(
        "ERR CONFIG SET failed (possibly related to argument 'Always-Show-Logo') - can't set immutable config")


# SIGHUP

def test_a_reload_takes_over_ignored_directives_without_a_word_and_logs_every_mistake(start_fanfared, folder):
    parts = folder / "parts"
    parts.mkdir()
    path = folder / "redis.conf"
    path.write_text("hz 10\nalways-show-logo yes\ninclude parts/*.conf\n")
    daemon = start_from_file(start_fanfared, path)
    client = daemon.connect()
    (parts / "a.conf").write_text("hz 33\nalways-show-logo no\ntimeout 44\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: config(client, "timeout") == {b"timeout": b"44"}, "the reload")
    assert config(client, "hz", "always-show-logo") == {b"hz": b"33", b"always-show-logo": b"no"}
    assert "reload: hz" not in daemon.log() and "logo" not in daemon.log().partition("SIGHUP")[2]
    (parts / "b.conf").write_text("cluster-enabled yes\ntimeout 55\nnosuch 1\n")
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.wait_for_log("b.conf:3: unknown directive 'nosuch'")
    assert "reload failed, nothing changed: " in daemon.log() and "b.conf:1: cluster-enabled 'yes'" in daemon.log()
    assert config(client, "timeout") == {b"timeout": b"44"}


# Persistence

def test_lines_of_save_add_up_and_the_command_line_replaces_them(start_fanfared, folder):
    path = folder / "redis.conf"
    path.write_text("save 7 7\nsave \"\"\nsave 900 1\nsave 300 10\nsave 60 10000\n")
    daemon = start_from_file(start_fanfared, path)
    client = daemon.connect()
    assert config(client, "save") == {b"save": b"900 1 300 10 60 10000"}
    client.ok("CONFIG", "REWRITE")
    assert path.read_text().startswith("save 7 7\nsave \"\"\nsave 900 1\nsave 300 10\nsave 60 10000\n")
    client.ok("CONFIG", "SET", "save", "100 2")
    client.ok("CONFIG", "REWRITE")
    assert [line for line in path.read_text().splitlines() if line.startswith("save")] == ["save 100 2"]
    daemon.stop()
    again = start_from_file(start_fanfared, path, "--save", "50", "5", "--save", "40", "4")
    assert config(again.connect(), "save") == {b"save": b"50 5 40 4"}


def test_a_folder_of_redis_is_found_under_its_configured_name(check, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    done = check("appenddirname mine\nappendonly yes\nport 0\nunixsocket socket\n", option=None)
    assert done.returncode == 1 and "dir: mine was written by Redis" in done.stderr
    done = check("appenddirname a/b\nappendonly yes\nport 0\nunixsocket socket\n", option=None)
    assert done.returncode == 1 and "appenddirname a/b: can't be a path" in done.stderr


def test_check_config_tells_defaults_that_differ_and_names_of_files_that_are_no_names(check):
    done = check("port 7000\n")
    assert done.returncode == 0 and "keys are not kept on disk: there is neither" in done.stdout, done
    assert "there is no line of bind" in done.stdout, done
    assert check('save ""\nbind 127.0.0.1\nreplicaof no one\n').stdout.count("\n") == 1
    for line in "appendfilename a/b.aof", "dbfilename ..", "appenddirname a/b":
        done = check(line + "\n")
        assert done.returncode == 1 and line in done.stderr, done
