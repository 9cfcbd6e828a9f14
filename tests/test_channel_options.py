"""Options of channels: the directive `channel`, the commands CHANNEL, and what the options forbid to publishers.

How globs match is compared with a model in src/pubsub/channel_classes_model_test.c.
"""

import os
import shutil
import signal
import subprocess

import pytest

from lib.resp import error
from lib.wait import cpu_seconds, seconds, wait_until

NOT_ALLOWED = error("NOPERM this user may not publish to this channel")
TOO_FAST = error("ERR max publish rate of this channel reached")


def too_long(limit):
    return error(f"ERR message too long for this channel (max-message {limit})")


def config_check(folder, *options):
    return subprocess.run([os.environ["FANFARED"], "--check-config", *map(str, options)], cwd=folder, text=True,
                          capture_output=True, timeout=seconds(20), check=False)


def pairs(reply):
    """A map of RESP3, or the flat array of RESP2, as a dict."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def listed(client):
    """CHANNEL LIST as a list of (glob, dict)."""
    return [(glob, pairs(options)) for glob, options in client.call("CHANNEL", "LIST")]


def options_of(client, channel):
    """CHANNEL OPTIONS as a dict of name -> (value, glob or None)."""
    return {name: tuple(entry) for name, entry in pairs(client.call("CHANNEL", "OPTIONS", channel)).items()}


def is_error(text, fault):
    """The error for an unknown option ends with the options that there are, which are more in each release."""
    if fault.startswith("unknown channel option"):
        return text.startswith(fault + ": allowed are ") and ", publish-users" in text
    return text == fault


def rewritten(client, path):
    """The file after CONFIG REWRITE, without the lines that only this run's command line adds."""
    client.ok("CONFIG", "REWRITE")
    return "".join(line for line in path.read_text().splitlines(keepends=True)
                   if not line.startswith(("# Generated", "bind ", "port ", "io-threads ")))


def reload(daemon):
    before = daemon.log().count("reload: done") + daemon.log().count("reload failed")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.log().count("reload: done") + daemon.log().count("reload failed") > before, "the reload")


# The directive


FILE = """# limits for all
channel * max-message 1kb
timeout 0
# the news
channel news.* publish-users backend,admin max-message 100
channel "with blank*" publish-rate 5
"""


def test_lines_of_the_file_apply_in_order(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text(FILE)
    client = start_fanfared("-c", path).connect()
    assert listed(client) == [(b"*", {b"max-message": b"1kb"}),
                              (b"news.*", {b"max-message": b"100", b"publish-users": b"backend,admin"}),
                              (b"with blank*", {b"publish-rate": b"5"})]
    found = options_of(client, "news.today")
    assert found[b"max-message"] == (b"100", b"news.*")
    assert found[b"publish-users"] == (b"backend,admin", b"news.*")
    assert found[b"publish-rate"] == (b"0", None)
    found = options_of(client, "with blanks")
    assert found[b"max-message"] == (b"1kb", b"*") and found[b"publish-rate"] == (b"5", b"with blank*")


def test_lines_of_included_files_and_of_the_command_line_count(start_fanfared, folder):
    (folder / "part.conf").write_text("channel b max-message 2\n")
    path = folder / "fanfared.conf"
    path.write_text("channel a max-message 1\ninclude part.conf\nchannel c max-message 3\n")
    client = start_fanfared("-c", path, "--channel", "d", "max-message", "4", "--channel", "a", "max-message", "5",
                            "publish-rate", "6").connect()
    assert listed(client) == [(b"b", {b"max-message": b"2"}), (b"c", {b"max-message": b"3"}),
                              (b"d", {b"max-message": b"4"}),
                              (b"a", {b"max-message": b"5", b"publish-rate": b"6"})]


MISTAKES = [
    ("channel", "a line is 'channel GLOB option value ...'"),
    ("channel a", "a channel line needs an option and its value"),
    ("channel '' max-message 1", "invalid channel glob: must have 1 to 4096 bytes"),
    (f"channel {'x' * 4097} max-message 1", "invalid channel glob: must have 1 to 4096 bytes"),
    ("channel a max-mesage 1", "unknown channel option 'max-mesage'"),
    ("channel a max-message", "missing value of channel option 'max-message'"),
    ("channel a max-message 1 publish-rate", "missing value of channel option 'publish-rate'"),
    ("channel a max-message 1 Max-Message 2", "repeated channel option 'Max-Message'"),
    ("channel a max-message x",
     "invalid value 'x' of channel option 'max-message': must be a size from 0 to 512mb"),
    ("channel a max-message 513mb",
     "invalid value '513mb' of channel option 'max-message': must be a size from 0 to 512mb"),
    ("channel a publish-rate 1000001",
     "invalid value '1000001' of channel option 'publish-rate': must be a number from 0 to 1000000"),
    ("channel a publish-bytes -1",
     "invalid value '-1' of channel option 'publish-bytes': must be a size from 0 to 64gb"),
    ("channel a max-subscribers 4294967296",
     "invalid value '4294967296' of channel option 'max-subscribers': must be a number from 0 to 4294967295"),
    ("channel a no-echo maybe", "invalid value 'maybe' of channel option 'no-echo': must be yes or no"),
    ("channel a idempotency-window 0",
     "invalid value '0' of channel option 'idempotency-window': must be a number of seconds from 1 to 86400"),
    ("channel a history-size 10",
     "history-size of channel line 'a' needs a history-ttl above 0, in this line or in an earlier one that matches the "
     "same channels"),
    ("channel a publish-users 'a b'",
     "invalid value 'a b' of channel option 'publish-users': must be all, or names of users separated by commas, "
     "without blanks, of 1024 bytes at most in all"),
]


@pytest.mark.parametrize("line, fault", MISTAKES)
def test_a_mistake_in_a_line_stops_the_start_with_file_and_line(folder, line, fault):
    path = folder / "fanfared.conf"
    path.write_text(f"# first\nchannel ok max-message 1\n{line}\n")
    done = config_check(folder, "-c", path)
    assert done.returncode == 1 and done.stderr.startswith(f"{path}:3: ") and done.stderr.count("\n") == 1
    assert is_error(done.stderr[len(f"{path}:3: "):-1], fault)


def test_a_glob_has_one_line(folder):
    (folder / "part.conf").write_text("\nchannel a publish-rate 1\n")
    path = folder / "fanfared.conf"
    path.write_text("channel a max-message 1\ninclude part.conf\n")
    done = config_check(folder, "-c", path)
    assert done.stderr == f"{folder}/part.conf:2: more than one channel line with glob 'a'\n"


def test_a_history_size_may_have_its_ttl_from_an_earlier_line(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("channel news.* history-ttl 60\nchannel news.live.* history-size 10\n")
    client = start_fanfared("-c", path).connect()
    needs_ttl = "ERR history-size of channel line '{}' needs a history-ttl above 0, in this line or in an earlier one " \
                "that matches the same channels"
    for words in (("UNSET", "news.*"), ("UNSET", "news.*", "history-ttl"), ("SET", "news.*", "history-ttl", "0")):
        assert client.call("CHANNEL", *words) == error(needs_ttl.format("news.live.*"))
    assert client.call("CHANNEL", "SET", "old.*", "history-size", "10") == error(needs_ttl.format("old.*"))
    client.ok("CHANNEL", "SET", "old.*", "history-size", "10", "history-ttl", "5")
    assert client.call("CHANNEL", "UNSET", "old.*", "history-ttl") == error(needs_ttl.format("old.*"))
    client.ok("CHANNEL", "SET", "news.live.*", "history-ttl", "0", "history-size", "0")
    client.ok("CHANNEL", "UNSET", "news.*")
    assert listed(client)[-1] == (b"old.*", {b"history-size": b"10", b"history-ttl": b"5"})


def test_a_mistake_on_the_command_line_names_the_directive(folder):
    done = config_check(folder, "--channel", "a", "max-message")
    assert (done.returncode, done.stderr) == (1, "--channel: missing value of channel option 'max-message'\n")


def test_there_is_a_most_of_lines(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("".join(f"channel c{i} max-message 1\n" for i in range(65537)))
    assert config_check(folder, "-c", path).stderr == (
        f"{path}:65537: max number of channel lines reached (65536)\n")
    path.write_text("".join(f"channel c{i} max-message 1\n" for i in range(65536)))
    client = start_fanfared("-c", path).connect()
    assert client.call("CHANNEL", "SET", "more", "max-message", "1") == error(
        "ERR max number of channel lines reached (65536)")
    client.ok("CHANNEL", "SET", "c7", "max-message", "2")
    client.ok("CHANNEL", "UNSET", "c8")
    client.ok("CHANNEL", "SET", "more", "max-message", "1")
    lines = client.call("CHANNEL", "LIST")
    assert len(lines) == 65536 and lines[7] == [b"c7", [b"max-message", b"2"]] and lines[-1][0] == b"more"


def test_ten_thousand_lines_start_quickly(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("".join(f"channel area{i}.*.news max-message {i % 7 + 1} publish-rate {i % 5}\n"
                            for i in range(10000)))
    daemon = start_fanfared("-c", path)
    assert daemon.cpu_seconds() < cpu_seconds(2)
    client = daemon.connect()
    assert options_of(client, "area9999.x.news")[b"max-message"] == (b"4", b"area9999.*.news")
    reload(daemon)
    assert client.call("PUBLISH", "area9999.x.news", "12345") == too_long(4)


def test_show_config_prints_the_lines(folder):
    path = folder / "fanfared.conf"
    path.write_text(FILE)
    done = subprocess.run([os.environ["FANFARED"], "--show-config", "-c", str(path)], text=True, capture_output=True,
                          timeout=seconds(20), check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("channel ")] == [
        "channel * max-message 1kb", "channel news.* max-message 100 publish-users backend,admin",
        'channel "with blank*" publish-rate 5']


def test_config_knows_no_value_channel(start_fanfared):
    """As with `user`: the lines have commands of their own."""
    client = start_fanfared("--channel", "a", "max-message", "1").connect()
    assert client.call("CONFIG", "GET", "channel") == []
    assert client.call("CONFIG", "SET", "channel", "a max-message 1") == error(
        "ERR Unknown option or number of arguments for CONFIG SET - 'channel'")


# Reload, rewrite, restart, upgrade


def test_sighup_reads_all_lines_or_none(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("channel a max-message 1\n")
    daemon = start_fanfared("-c", path)
    client = daemon.connect()
    client.ok("CHANNEL", "SET", "b", "max-message", "2")
    path.write_text("timeout 77\nchannel c max-message 3\nchannel d nosuch 4\n")
    reload(daemon)
    assert f"{path}:3: unknown channel option 'nosuch'" in daemon.log()
    assert listed(client) == [(b"a", {b"max-message": b"1"}), (b"b", {b"max-message": b"2"})]
    assert client.call("PUBLISH", "a", "xx") == too_long(1) and client.call("PUBLISH", "c", "xxxx") == 0
    path.write_text("channel c max-message 3\nchannel d max-message 4\n")
    reload(daemon)
    assert "reload: channel changed: 2 lines, were 2" in daemon.log()
    assert listed(client) == [(b"c", {b"max-message": b"3"}), (b"d", {b"max-message": b"4"})]
    assert client.call("PUBLISH", "a", "xx") == 0 and client.call("PUBLISH", "c", "xxxx") == too_long(3)
    reload(daemon)
    assert daemon.log().count("reload: channel changed") == 1
    path.write_text("")
    reload(daemon)
    assert listed(client) == [] and client.call("PUBLISH", "c", "xxxx") == 0


def test_rewrite_keeps_places_and_comments_and_writes_what_was_set(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text(FILE)
    client = start_fanfared("-c", path).connect()
    assert rewritten(client, path) == FILE
    client.ok("CHANNEL", "SET", "*", "max-message", "2kb", "publish-bytes", "1mb")
    client.ok("CHANNEL", "UNSET", "with blank*")
    client.ok("CHANNEL", "SET", "new", "publish-users", "all")
    assert rewritten(client, path) == ("# limits for all\n"
                                       "channel * max-message 2kb publish-bytes 1mb\n"
                                       "timeout 0\n"
                                       "# the news\n"
                                       "channel news.* publish-users backend,admin max-message 100\n"
                                       "channel new publish-users all\n")
    before = client.call("CHANNEL", "LIST")
    assert start_fanfared("-c", path).connect().call("CHANNEL", "LIST") == before


def test_rewrite_leaves_lines_to_the_included_file_while_they_are_in_force(start_fanfared, folder):
    path, part = folder / "fanfared.conf", folder / "part.conf"
    part.write_text("channel b max-message 2\n")
    path.write_text("channel a max-message 1\ninclude part.conf\n")
    client = start_fanfared("-c", path).connect()
    assert rewritten(client, path) == "channel a max-message 1\ninclude part.conf\n"
    client.ok("CHANNEL", "SET", "b", "max-message", "9")
    assert rewritten(client, path) == ('include part.conf\nchannel ""\n'
                                       "channel a max-message 1\nchannel b max-message 9\n")
    assert start_fanfared("-c", path).connect().call("CHANNEL", "LIST") == client.call("CHANNEL", "LIST")
    assert part.read_text() == "channel b max-message 2\n"


def test_a_line_of_the_command_line_survives_rewrite_and_restart(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("channel a max-message 1\n")
    words = ("-c", path, "--channel", "b", "max-message", "2")
    client = start_fanfared(*words).connect()
    assert rewritten(client, path) == "channel a max-message 1\nchannel b max-message 2\n"
    assert start_fanfared(*words).connect().call("CHANNEL", "LIST") == client.call("CHANNEL", "LIST")


def test_without_rewrite_a_restart_has_the_lines_of_the_file(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("channel a max-message 1\n")
    daemon = start_fanfared("-c", path)
    daemon.connect().ok("CHANNEL", "SET", "b", "max-message", "2")
    daemon.stop()
    assert listed(start_fanfared("-c", path).connect()) == [(b"a", {b"max-message": b"1"})]


def test_an_upgrade_has_the_lines_of_the_file(start_fanfared, folder):
    """As for other settings that were changed at run time."""
    path = folder / "fanfared.conf"
    path.write_text("channel a max-message 1\n")
    daemon = start_fanfared("-c", path, "--shutdown-grace", "1")
    with daemon.connect() as client:
        client.ok("CHANNEL", "SET", "b", "max-message", "2")
        client.ok("CONFIG", "REWRITE")
        client.ok("CHANNEL", "SET", "c", "max-message", "3")
    os.kill(daemon.pid, signal.SIGUSR2)
    assert daemon.wait() == 0
    with daemon.connect() as client:
        assert listed(client) == [(b"a", {b"max-message": b"1"}), (b"b", {b"max-message": b"2"})]
        client.command("SHUTDOWN")
        assert client.read_to_end() == b""


# CHANNEL


@pytest.mark.parametrize("version", [2, 3])
def test_set_changes_a_line_in_its_place_or_adds_one(fanfared, version):
    client = fanfared.client(version)
    client.ok("CHANNEL", "SET", "a*", "max-message", "10")
    client.ok("channel", "set", "b*", "PUBLISH-RATE", "3", "publish-bytes", "1KB")
    client.ok("CHANNEL", "SET", "a*", "publish-users", "x", "max-message", "20")
    expected = [(b"a*", {b"max-message": b"20", b"publish-users": b"x"}),
                (b"b*", {b"publish-rate": b"3", b"publish-bytes": b"1kb"})]
    assert listed(client) == expected
    reply = client.call("CHANNEL", "LIST")
    assert [type(line[1]) for line in reply] == [dict if version == 3 else list] * 2


@pytest.mark.parametrize("version", [2, 3])
def test_unset_removes_options_or_the_line(fanfared, version):
    client = fanfared.client(version)
    client.ok("CHANNEL", "SET", "a", "max-message", "1", "publish-rate", "2", "publish-bytes", "3")
    client.ok("CHANNEL", "UNSET", "a", "publish-rate")
    assert listed(client) == [(b"a", {b"max-message": b"1", b"publish-bytes": b"3"})]
    client.ok("CHANNEL", "UNSET", "a", "publish-bytes", "max-message")
    assert listed(client) == []
    client.ok("CHANNEL", "SET", "a", "max-message", "1", "publish-rate", "2")
    client.ok("CHANNEL", "UNSET", "a")
    assert client.call("CHANNEL", "LIST") == []
    assert client.call("PUBLISH", "a", "long enough") == 0


@pytest.mark.parametrize("version", [2, 3])
def test_options_tells_each_value_and_its_line(start_fanfared, version):
    client = start_fanfared("--proto-max-bulk-len", "2mb").client(version)
    client.ok("CHANNEL", "SET", "*", "max-message", "1kb", "publish-rate", "5")
    client.ok("CHANNEL", "SET", "news.*", "max-message", "100")
    reply = client.call("CHANNEL", "OPTIONS", "news.1")
    assert isinstance(reply, dict if version == 3 else list)
    found = options_of(client, "news.1")
    assert found[b"max-message"] == (b"100", b"news.*")
    assert found[b"publish-rate"] == (b"5", b"*")
    assert found[b"publish-users"] == (b"all", None)
    client.ok("CHANNEL", "UNSET", "*")
    # Without a line the directive says what holds.
    assert options_of(client, "other")[b"max-message"] == (b"2mb", None)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("words, fault", [
    (("a", "nosuch", "1"), "unknown channel option 'nosuch'"),
    (("a", "max-message", "1", "publish-rate"), "missing value of channel option 'publish-rate'"),
    (("a", "max-message", "1", "max-message", "2"), "repeated channel option 'max-message'"),
    (("a", "max-message", "513mb"),
     "invalid value '513mb' of channel option 'max-message': must be a size from 0 to 512mb"),
    (("a", "publish-users", "x,,y"),
     "invalid value 'x,,y' of channel option 'publish-users': must be all, or names of users separated by commas, "
     "without blanks, of 1024 bytes at most in all"),
    (("", "max-message", "1"), "invalid channel glob: must have 1 to 4096 bytes"),
    (("x" * 4097, "max-message", "1"), "invalid channel glob: must have 1 to 4096 bytes"),
    (("a", "publish-rate", "1", "nosuch\r\n-x", "1"), "unknown channel option 'nosuch\\r\\n-x'"),
])
def test_set_is_all_or_nothing(fanfared, version, words, fault):
    client = fanfared.client(version)
    client.ok("CHANNEL", "SET", "a", "max-message", "7")
    reply = client.call("CHANNEL", "SET", *words).text.decode()
    assert reply.startswith("ERR ") and is_error(reply[4:], fault)
    assert listed(client) == [(b"a", {b"max-message": b"7"})]


def test_unset_says_what_there_is_not(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", "a", "max-message", "7")
    assert client.call("CHANNEL", "UNSET", "b") == error("ERR no channel line with glob 'b'")
    assert client.call("CHANNEL", "UNSET", "a", "publish-rate") == error(
        "ERR this channel line does not set option 'publish-rate'")
    assert is_error(client.call("CHANNEL", "UNSET", "a", "max-message", "nosuch").text[4:].decode(),
                    "unknown channel option 'nosuch'")
    assert client.call("CHANNEL", "UNSET", "a", "max-message", "max-message") == error(
        "ERR repeated channel option 'max-message'")
    assert listed(client) == [(b"a", {b"max-message": b"7"})]


def test_wrong_numbers_of_arguments_and_unknown_subcommands(fanfared):
    client = fanfared.connect()
    for words in (("SET", "a", "max-message"), ("UNSET",), ("LIST", "x"), ("OPTIONS",), ("OPTIONS", "a", "b")):
        assert client.call("CHANNEL", *words) == error(
            f"ERR wrong number of arguments for 'channel|{words[0].lower()}' command")
    assert client.call("CHANNEL") == error("ERR wrong number of arguments for 'channel' command")
    assert client.call("CHANNEL", "NOSUCH") == error("ERR unknown subcommand 'NOSUCH'. Try CHANNEL HELP.")
    assert client.call("CHANNEL", "OPTIONS", "x" * 4097) == error(
        "ERR channel name too long (max-channel-length 4096)")
    help_lines = client.call("CHANNEL", "HELP")
    for name in (b"SET glob option value", b"UNSET glob", b"LIST", b"OPTIONS channel"):
        assert any(line.startswith(name) for line in help_lines)


def test_names_and_globs_may_hold_any_bytes(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", b"\x00\xff\n*", "max-message", "1")
    assert listed(client) == [(b"\x00\xff\n*", {b"max-message": b"1"})]
    assert client.call("PUBLISH", b"\x00\xff\n?", "xx") == too_long(1)
    assert client.call("CHANNEL", "UNSET", b"\x01\n") == error("ERR no channel line with glob '\\x01\\n'")


def test_access_is_by_the_category_admin(fanfared):
    client = fanfared.connect()
    client.ok("ACL", "SETUSER", "alice", "on", "nopass", "+@all", "-@admin", "&*")
    alice = fanfared.connect()
    alice.ok("AUTH", "alice", "x")
    for words in (("SET", "a", "max-message", "1"), ("UNSET", "a"), ("LIST",), ("OPTIONS", "a")):
        assert alice.call("CHANNEL", *words) == error(
            f"NOPERM this user has no permissions to run the 'channel|{words[0].lower()}' command")
    assert isinstance(alice.call("CHANNEL", "HELP"), list)
    for name in (b"channel|set", b"channel|unset", b"channel|list", b"channel|options"):
        assert name in client.call("ACL", "CAT", "admin") and name in client.call("ACL", "CAT", "dangerous")
    assert listed(client) == []


def test_channel_works_in_a_transaction(fanfared):
    client = fanfared.connect()
    client.ok("MULTI")
    for words in (("CHANNEL", "SET", "a", "max-message", "1"), ("PUBLISH", "a", "xx"), ("CHANNEL", "LIST"),
                  ("CHANNEL", "UNSET", "a"), ("PUBLISH", "a", "xx")):
        assert client.call(*words) == b"QUEUED"
    assert client.call("EXEC") == [b"OK", too_long(1), [[b"a", [b"max-message", b"1"]]], b"OK", 0]


def test_redis_cli_sets_lists_and_shows(fanfared):
    if not shutil.which("redis-cli"):
        pytest.skip("redis-cli is missing")

    def cli(*arguments):
        return subprocess.run(["redis-cli", "-p", str(fanfared.port), *arguments], capture_output=True,
                              timeout=seconds(20), check=False).stdout

    assert cli("CHANNEL", "SET", "news.*", "max-message", "3", "publish-rate", "9") == b"OK\n"
    assert cli("--json", "-3", "CHANNEL", "LIST") == b'[["news.*",{"max-message":"3","publish-rate":"9"}]]\n'
    assert b'"max-message":["3","news.*"]' in cli("--json", "-3", "CHANNEL", "OPTIONS", "news.1")
    assert cli("PUBLISH", "news.1", "hello") == b"ERR message too long for this channel (max-message 3)\n\n"
    assert b"SET glob option value [option value ...]" in cli("CHANNEL", "HELP")


# What publishers may not do


@pytest.mark.parametrize("version", [2, 3])
def test_a_message_longer_than_max_message_is_refused(fanfared, version):
    client, subscriber = fanfared.client(version), fanfared.connect()
    client.ok("CHANNEL", "SET", "a*", "max-message", "5")
    subscriber.subscribe("ab")
    assert client.call("PUBLISH", "ab", "12345") == 1
    assert client.call("PUBLISH", "ab", "123456") == too_long(5)
    assert client.call("PUBLISH", "b", "123456") == 0
    assert subscriber.read_value() == [b"message", b"ab", b"12345"]
    client.ok("CHANNEL", "SET", "ab", "max-message", "0")
    assert client.call("PUBLISH", "ab", "123456") == 1
    assert subscriber.read_value() == [b"message", b"ab", b"123456"]
    assert subscriber.nothing_arrives()


@pytest.mark.parametrize("words, place", [(("MPUBLISH", "b", "123456", "ab", "123456"), 3),
                                          (("PUBLISHMANY", "123456", "b", "ab"), 3)])
def test_all_messages_of_a_command_are_checked_before_the_first_is_published(fanfared, words, place):
    client, subscriber = fanfared.connect(), fanfared.connect()
    subscriber.subscribe("b")
    client.ok("CHANNEL", "SET", words[place], "max-message", "5")
    assert client.call(*words) == too_long(5)
    client.ok("CHANNEL", "SET", words[place], "max-message", "6", "publish-users", "nobody")
    assert client.call(*words) == NOT_ALLOWED
    client.ok("MULTI")
    assert client.call(*words) == NOT_ALLOWED
    assert client.call("EXEC") == error("EXECABORT Transaction discarded because of previous errors.")
    assert subscriber.nothing_arrives()
    client.ok("CHANNEL", "UNSET", words[place])
    assert client.call(*words) == [1, 0]
    assert subscriber.read_value() == [b"message", b"b", b"123456"]


def test_messages_of_one_command_may_exceed_a_rate_and_then_count(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", "a", "publish-rate", "1")
    assert client.call("MPUBLISH", *["a", "x"] * 3600) == [0] * 3600
    assert client.call("PUBLISH", "a", "x") == TOO_FAST


def test_options_do_not_concern_shard_channels(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", "*", "max-message", "1", "publish-users", "nobody", "publish-rate", "1")
    assert [client.call("SPUBLISH", "a", "long enough") for _ in range(3)] == [0, 0, 0]
    assert client.call("PUBLISH", "a", "x") == NOT_ALLOWED


def test_keyspace_notifications_are_not_limited(start_fanfared):
    """Only publishers are: the daemon itself is none."""
    daemon = start_fanfared("--notify-keyspace-events", "KEA")
    client, subscriber = daemon.connect(), daemon.connect()
    client.ok("CHANNEL", "SET", "__key*", "max-message", "1", "publish-users", "nobody", "publish-rate", "1")
    subscriber.subscribe("__keyspace@0__:key")
    for _ in range(3):
        client.ok("SET", "key", "value")
    assert [subscriber.read_value()[2] for _ in range(3)] == [b"set"] * 3
    assert client.call("PUBLISH", "__keyspace@0__:key", "set") == NOT_ALLOWED


@pytest.mark.parametrize("version", [2, 3])
def test_publish_rate_limits_each_channel(fanfared, version):
    client, other = fanfared.client(version), fanfared.client(version)
    client.ok("CHANNEL", "SET", "a*", "publish-rate", "5")
    replies = [(client, other)[i % 2].call("PUBLISH", "a1", "x") for i in range(20)]
    assert replies[:5] == [0] * 5 and replies[-1] == TOO_FAST
    assert client.call("PUBLISH", "a2", "x") == 0
    assert [client.call("PUBLISH", "b", "x") for _ in range(20)] == [0] * 20
    wait_until(lambda: client.call("PUBLISH", "a1", "x") == 0, "the rate to allow one more")


def test_publish_bytes_limits_the_bytes_of_a_channel(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", "a", "publish-bytes", "1000")
    assert client.call("PUBLISH", "a", "x" * 2000) == 0
    assert client.call("PUBLISH", "a", "x") == TOO_FAST
    client.ok("CHANNEL", "UNSET", "a")
    assert client.call("PUBLISH", "a", "x" * 2000) == 0


def test_records_of_rates_are_bounded_and_freed(start_fanfared):
    daemon = start_fanfared("--max-rated-channels", "100")
    client = daemon.connect()
    client.ok("CHANNEL", "SET", "*", "publish-rate", "1")
    for i in range(200):
        client.command("PUBLISH", f"c{i}", "x")
    replies = [client.read_value() for _ in range(200)]
    assert replies[:100] == [0] * 100
    assert replies[-1] == error(
        "ERR max number of channels with a publish rate reached (max-rated-channels 100)")
    assert client.info("limits")["limit_max_rated_channels"] == "limit=100,used=100"
    assert client.call("PUBLISH", "c0", "x") == TOO_FAST
    wait_until(lambda: client.info("limits")["limit_max_rated_channels"] == "limit=100,used=0", "all records are freed")
    assert client.call("PUBLISH", "c150", "x") == 0
    client.ok("CONFIG", "SET", "max-rated-channels", "1")
    assert client.call("PUBLISH", "c151", "x") == error(
        "ERR max number of channels with a publish rate reached (max-rated-channels 1)")


def login(daemon, user):
    client = daemon.connect()
    client.ok("AUTH", user, "x")
    return client


def test_publish_users_names_who_may_publish(fanfared):
    master = fanfared.connect()
    for user in ("backend", "web", "back"):
        master.ok("ACL", "SETUSER", user, "on", "nopass", "+@all", "&*")
    master.ok("CHANNEL", "SET", "private:*", "publish-users", "backend,web")
    backend, web, back = (login(fanfared, user) for user in ("backend", "web", "back"))
    assert backend.call("PUBLISH", "private:1", "x") == 0 and web.call("PUBLISH", "private:1", "x") == 0
    assert back.call("PUBLISH", "private:1", "x") == NOT_ALLOWED
    assert master.call("PUBLISH", "private:1", "x") == NOT_ALLOWED
    assert back.call("PUBLISH", "public", "x") == 0
    entry = pairs(master.call("ACL", "LOG", "1")[0])
    assert (entry[b"reason"], entry[b"object"], entry[b"username"]) == (b"channel", b"private:1", b"default")
    assert back.subscribe("private:1") == 1
    assert int(master.info("stats")["acl_access_denied_channel"]) == 2
    master.ok("CHANNEL", "SET", "private:1", "publish-users", "all")
    assert master.call("PUBLISH", "private:1", "x") == 1


def test_a_transaction_with_a_forbidden_publish_is_discarded(fanfared):
    master = fanfared.connect()
    master.ok("CHANNEL", "SET", "a", "publish-users", "backend")
    master.ok("MULTI")
    assert master.call("SET", "key", "1") == b"QUEUED"
    assert master.call("PUBLISH", "a", "x") == NOT_ALLOWED
    assert master.call("EXEC") == error("EXECABORT Transaction discarded because of previous errors.")
    assert master.call("EXISTS", "key") == 0
    # Forbidden after it was queued: an error in its place, as when rules of ACL change.
    other = fanfared.connect()
    other.ok("MULTI")
    assert other.call("PUBLISH", "b", "x") == b"QUEUED" and other.call("PING") == b"QUEUED"
    master.ok("CHANNEL", "SET", "b", "publish-users", "backend")
    assert other.call("EXEC") == [NOT_ALLOWED, b"PONG"]


def test_limits_of_a_channel_are_errors_within_a_transaction(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", "a", "publish-rate", "1", "max-message", "3")
    client.ok("MULTI")
    for message in ("1234", "x", "x"):
        assert client.call("PUBLISH", "a", message) == b"QUEUED"
    assert client.call("EXEC") == [too_long(3), 0, TOO_FAST]


def test_a_change_applies_at_once_to_a_channel_with_subscribers(fanfared):
    client, subscriber = fanfared.connect(), fanfared.connect()
    subscriber.subscribe("a")
    for limit in (3, 5, 2):
        client.ok("CHANNEL", "SET", "a", "max-message", str(limit))
        assert client.call("PUBLISH", "a", "x" * (limit + 1)) == too_long(limit)
        assert client.call("PUBLISH", "a", "x" * limit) == 1


# Options for subscribers


@pytest.mark.parametrize("version", [2, 3])
def test_max_subscribers_of_a_channel(fanfared, version):
    client = fanfared.client(version)
    client.ok("CHANNEL", "SET", "a*", "max-subscribers", "2")
    subscribers = [fanfared.client(version) for _ in range(3)]
    assert [subscriber.subscribe("ab") for subscriber in subscribers[:2]] == [1, 1]
    assert subscribers[2].call("SUBSCRIBE", "ab") == error(
        "ERR max number of subscribers of this channel reached (max-subscribers 2)")
    assert subscribers[2].subscribe("b") == 1
    client.ok("CHANNEL", "UNSET", "a*")
    assert subscribers[2].subscribe("ab") == 2
    # A lower limit closes nobody.
    client.ok("CHANNEL", "SET", "a*", "max-subscribers", "1")
    assert client.call("PUBLISH", "ab", "x") == 3


def test_a_channel_has_an_outbox_policy_of_its_own(start_fanfared):
    daemon = start_fanfared("--outbox-limit-bytes", "1mb", "--channel", "lossy.*", "outbox-policy", "drop-oldest")
    client = daemon.connect()
    assert options_of(client, "lossy.1")[b"outbox-policy"] == (b"drop-oldest", b"lossy.*")
    assert options_of(client, "plain")[b"outbox-policy"] == (b"disconnect", None)
    lossy, plain = daemon.connect(receive_buffer=4096), daemon.connect(receive_buffer=4096)
    lossy.subscribe("lossy.1")
    plain.subscribe("plain")
    message = "x" * 100000
    assert [client.call("PUBLISH", "lossy.1", message) for _ in range(200)] == [1] * 200
    client.call("PUBLISH", "lossy.1", "last")
    assert client.call("PUBSUB", "NUMSUB", "lossy.1") == [b"lossy.1", 1]
    received = 0
    while lossy.read_value()[2] != b"last":
        received += 1
    assert received < 200
    wait_until(lambda: client.call("PUBLISH", "plain", message) == 0, "the slow subscriber is closed")
    # Applied to a channel that has subscribers.
    client.ok("CHANNEL", "SET", "lossy.*", "outbox-policy", "disconnect")
    wait_until(lambda: client.call("PUBLISH", "lossy.1", message) == 0, "the slow subscriber is closed")


def test_no_echo_keeps_messages_from_their_publisher(fanfared):
    client, other = fanfared.client(3), fanfared.connect()
    client.ok("CHANNEL", "SET", "chat", "no-echo", "yes")
    client.subscribe("chat")
    other.subscribe("chat")
    assert client.call("PUBLISH", "chat", "x") == 1
    assert other.read_value() == [b"message", b"chat", b"x"]
    assert client.nothing_arrives()


def test_idempotency_window_is_how_long_a_key_is_known(fanfared):
    client = fanfared.connect()
    client.ok("CHANNEL", "SET", "short", "idempotency-window", "1")

    def is_duplicate(channel):
        return pairs(client.call("PUBLISHX", channel, "x", "IDKEY", "key", "RESULT"))[b"duplicate"]

    assert [is_duplicate(channel) for channel in ("short", "long", "short", "long")] == [0, 0, 1, 1]
    wait_until(lambda: is_duplicate("short") == 0, "the key is forgotten")
    assert is_duplicate("long") == 1
