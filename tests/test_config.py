"""CONFIG GET, SET, REWRITE and RESETSTAT; include; the syntax of the file."""

import signal

import pytest

from lib.resp import Error, error
from lib.wait import wait_until


def config(client, *patterns):
    reply = client.call("CONFIG", "GET", *patterns)
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def test_config_get_knows_every_setting_by_name_and_by_glob(fanfared):
    client = fanfared.client(3)
    everything = config(client, "*")
    assert len(everything) > 30
    for name, value in everything.items():
        assert config(client, name) == {name: value}
    assert config(client, "outbox-*") == {n: v for n, v in everything.items() if n.startswith(b"outbox-")}
    assert config(client, "nosuch*") == {}


def test_config_set_takes_back_what_config_get_gives(fanfared):
    """Every setting that may change takes its own value; the others say that they may not."""
    client = fanfared.connect()
    changed = 0
    for name, value in config(client, "*").items():
        reply = client.call("CONFIG", "SET", name, value)
        if reply == b"OK":
            changed += 1
        else:
            assert reply.text.endswith(b"can't set immutable config"), (name, reply)
    assert changed > 15


def test_config_set_sets_all_or_nothing(server):
    client = server.connect()
    client.ok("CONFIG", "SET", "timeout", "11", "slowlog-max-len", "22")
    assert config(client, "timeout", "slowlog-max-len") == {b"timeout": b"11", b"slowlog-max-len": b"22"}
    reply = client.call("CONFIG", "SET", "timeout", "33", "slowlog-max-len", "abc")
    assert reply == error("ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument"
                          " couldn't be parsed into an integer")
    assert config(client, "timeout") == {b"timeout": b"11"}


@pytest.mark.parametrize("value, bytes_", [("1048576", b"1048576"), ("2mb", b"2097152"), ("2m", b"2000000"),
                                           ("3MB", b"3145728"), ("1gb", b"1073741824"), ("4096kb", b"4194304")])
def test_memory_values_have_the_units_of_redis(server, value, bytes_):
    client = server.connect()
    client.ok("CONFIG", "SET", "proto-max-bulk-len", value)
    assert config(client, "proto-max-bulk-len") == {b"proto-max-bulk-len": bytes_}


def test_the_url_of_the_upstream_is_kept_as_it_was_written(start_fanfared, folder):
    """The password is shown, like requirepass; a line that is unchanged stays, and cannot be changed."""
    path, url = folder / "fanfared.conf", b"redis://ann:a%20secret@127.0.0.1:1"
    line = b"upstream '" + url + b"'\n"
    path.write_bytes(line + b"upstream-linger 5\n")
    server = start_from_file(start_fanfared, path)
    client = server.connect()
    assert config(client, "upstream", "upstream-linger") == {b"upstream": url, b"upstream-linger": b"5"}
    assert client.call("CONFIG", "SET", "upstream", "redis://other") == error(
        "ERR CONFIG SET failed (possibly related to argument 'upstream') - can't set immutable config")
    client.ok("CONFIG", "SET", "upstream-linger", "7", "upstream-down", "local", "upstream-probe", "3600",
              "upstream-output-limit", "1mb")
    client.ok("CONFIG", "REWRITE")
    written = path.read_bytes()
    assert written.startswith(line + b"upstream-linger 7\n")
    assert b"upstream-down local\n" in written and b"upstream-output-limit 1mb\n" in written


def test_a_reload_says_that_the_upstream_needs_a_restart_and_logs_no_password(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("upstream redis://:secret@127.0.0.1:1\n")
    daemon = start_from_file(start_fanfared, path)
    path.write_text("upstream redis://:secret@127.0.0.1:2\n")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload: upstream changed: it needs a restart" in daemon.log(), "the reload is logged", 10)
    assert "secret" not in daemon.log()
    assert config(daemon.connect(), "upstream") == {b"upstream": b"redis://:secret@127.0.0.1:1"}


def test_what_cannot_change_while_running_says_so(server):
    client = server.connect()
    assert client.call("CONFIG", "SET", "databases", "3") == error(
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config")


REWRITTEN = """# a comment that stays
port {port}

   # another
maxclients 100
timeout   5
"""


def test_rewrite_keeps_comments_and_order_and_writes_what_changed(start_server, folder):
    path = folder / "rewritten.conf"
    path.write_text(REWRITTEN.format(port=7000))
    server = start_from_file(start_server, path)
    client = server.connect()
    client.ok("CONFIG", "SET", "timeout", "9", "slowlog-max-len", "77")
    client.ok("CONFIG", "REWRITE")
    text = path.read_text()
    lines = text.splitlines()
    assert lines[0] == "# a comment that stays"
    assert "timeout 9" in lines and "slowlog-max-len 77" in lines and "maxclients 100" in lines
    assert lines.index("maxclients 100") < lines.index("timeout 9")
    assert "timeout 5" not in text and "timeout   5" not in text
    client.ok("CONFIG", "REWRITE")
    assert path.read_text().rstrip("\n") == text.rstrip("\n")


def start_from_file(start_server, path, *options):
    """fanfared reads a file named by -c, redis-server one that comes first."""
    server = start_server.kind(start_server.folder, *options)
    usual = server.arguments

    def arguments(port):
        program, *rest = usual(port)
        return [program, *(["-c"] if server.name == "fanfared" else []), str(path), *rest]

    server.arguments = arguments
    start_server.started.append(server)
    return server.start()


def test_a_rewritten_file_gives_the_same_settings_after_a_restart(start_fanfared, folder):
    path = folder / "rewritten.conf"
    path.write_text("# mine\n")
    daemon = start_from_file(start_fanfared, path)
    client = daemon.connect()
    client.ok("CONFIG", "SET", "requirepass", "a b\"c'\\ \x7f", "outbox-policy", "drop-oldest", "outbox-limit-bytes",
              "5mb", "client-output-buffer-limit", "normal 1mb 0 0 pubsub 3mb 2mb 10", "loglevel", "verbose", "timeout",
              "123")
    client.ok("CONFIG", "REWRITE")
    before = config(client, "*")
    daemon.stop()
    again = start_from_file(start_fanfared, path)
    client = again.connect()
    client.ok("AUTH", "a b\"c'\\ \x7f")
    after = config(client, "*")
    for name in (b"port",):
        before.pop(name), after.pop(name)
    assert after == before


def test_rewrite_without_a_file_is_an_error(server):
    assert server.connect().call("CONFIG", "REWRITE") == error("ERR The server is running without a config file")


def test_rewrite_to_a_folder_that_is_gone_is_an_error_and_no_end(start_fanfared, folder):
    inner = folder / "inner"
    inner.mkdir()
    path = inner / "fanfared.conf"
    path.write_text("timeout 1\n")
    daemon = start_from_file(start_fanfared, path)
    path.unlink()
    inner.rmdir()
    client = daemon.connect()
    client.ok("CONFIG", "SET", "timeout", "2")
    assert isinstance(client.call("CONFIG", "REWRITE"), Error)
    assert client.call("PING") == b"PONG"


def test_include_reads_the_other_file_in_its_place(start_fanfared, folder):
    (folder / "part.conf").write_text("timeout 1\nmaxclients 50\n")
    path = folder / "main.conf"
    path.write_text("timeout 5\ninclude part.conf\nmaxclients 60\n")
    client = start_from_file(start_fanfared, path).connect()
    assert config(client, "timeout", "maxclients") == {b"timeout": b"1", b"maxclients": b"60"}


def test_the_file_has_the_language_of_redis_conf(start_server, folder):
    path = folder / "language.conf"
    path.write_text("  # indented comment\r\nTIMEOUT\t7\r\n\r\nrequirepass \"tab\\tquote\\\" \\x41\"\n"
                    "slowlog-max-len '33'\nclient-output-buffer-limit pubsub 1mb 2mb 3\n")
    client = start_from_file(start_server, path).connect()
    client.ok("AUTH", 'tab\tquote" A')
    assert config(client, "timeout", "slowlog-max-len") == {b"timeout": b"7", b"slowlog-max-len": b"33"}
    assert config(client, "client-output-buffer-limit")[b"client-output-buffer-limit"].endswith(
        b"pubsub 1048576 2097152 3")


def test_the_last_line_holds_without_a_newline(start_server, folder):
    path = folder / "last.conf"
    path.write_text("timeout 1\ntimeout 2")
    client = start_from_file(start_server, path).connect()
    assert config(client, "timeout") == {b"timeout": b"2"}


def test_resetstat_begins_to_count_anew(server):
    client = server.connect()
    for _ in range(20):
        client.call("PING")
    client.call("NOSUCHCOMMAND")
    before = client.info("everything")
    assert int(before["total_commands_processed"]) >= 20
    assert before["cmdstat_ping"].startswith("calls=20,")
    assert before["total_error_replies"] == "1"
    client.ok("CONFIG", "RESETSTAT")
    after = client.info("everything")
    assert int(after["total_commands_processed"]) < 5
    assert "cmdstat_ping" not in after
    assert after["total_error_replies"] == "0"


def test_a_change_of_the_log_level_holds_at_once(start_fanfared):
    daemon = start_fanfared()
    client = daemon.connect()
    client.ok("CONFIG", "SET", "loglevel", "debug")
    with daemon.connect() as other:
        other.call("PING")
    wait_until(lambda: len(daemon.log().splitlines()) > 3, "something is logged in detail", 5)
