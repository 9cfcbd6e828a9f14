"""Access control end to end: users in files, changes that affect open connections, and the delay after wrong passwords.

The replies of ACL itself are compared with redis-server in differential/acl.txt, its verdicts in
test_acl_verdicts.py.
"""

import os
import subprocess
import threading
import time

import pytest

from lib.resp import Error, error
from lib.wait import seconds, wait_until

WRONGPASS = error("WRONGPASS invalid username-password pair or user is disabled.")
NO_COMMAND = "NOPERM this user has no permissions to run the '{}' command"
NO_CHANNEL = error("NOPERM this user has no permissions to access one of the channels used as arguments")


def start_from_file(start_server, path):
    """fanfared reads a file named by -c, redis-server one that comes first."""
    server = start_server.kind(start_server.folder)
    usual = server.arguments

    def arguments(port):
        program, *rest = usual(port)
        return [program, *(["-c"] if server.name == "fanfared" else []), str(path), *rest]

    server.arguments = arguments
    start_server.started.append(server)
    return server.start()


def refused(folder, *options):
    """The one line with which a start was refused."""
    done = subprocess.run([os.environ["FANFARED"], "--port", "0", "--unixsocket", "s", *map(str, options)], cwd=folder,
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def login(server, user, password, version=2):
    client = server.connect()
    if version == 3:
        assert isinstance(client.call("HELLO", "3", "AUTH", user, password), dict)
    else:
        client.ok("AUTH", user, password)
    return client


@pytest.mark.parametrize("version", [2, 3])
def test_a_user_may_do_what_its_rules_say(server, version):
    server.connect().ok("ACL", "SETUSER", "alice", "on", ">secret", "+@pubsub", "+acl|whoami", "&news.*")
    alice = login(server, "alice", "secret", version)
    assert alice.call("ACL", "WHOAMI") == b"alice"
    assert alice.call("PUBLISH", "news.1", "x") == 0
    assert alice.call("PUBLISH", "other", "x") == NO_CHANNEL
    assert alice.call("ECHO", "x") == error(NO_COMMAND.format("echo"))
    assert alice.call("CLIENT", "LIST") == error(NO_COMMAND.format("client|list"))
    assert alice.call("PSUBSCRIBE", "*") == NO_CHANNEL
    assert alice.call("PSUBSCRIBE", "news.1*") == NO_CHANNEL
    assert alice.call("PSUBSCRIBE", "news.*")[0] == b"psubscribe"


def test_client_list_and_kill_know_users(server):
    master = server.connect()
    master.ok("ACL", "SETUSER", "alice", "on", "nopass", "+@all")
    alice = login(server, "alice", "x")
    assert b" user=alice " in master.call("CLIENT", "LIST")
    assert b" user=alice " in alice.call("CLIENT", "INFO")
    assert master.call("CLIENT", "KILL", "USER", "alice") == 1
    assert alice.is_closed()
    assert master.call("PING") == b"PONG"


def test_a_rule_that_is_taken_away_ends_what_it_allowed(server):
    master = server.connect()
    master.ok("ACL", "SETUSER", "alice", "on", "nopass", "+@all", "&a", "&b", "&p*")
    a, b, pattern = (login(server, "alice", "x") for _ in range(3))
    a.call("SUBSCRIBE", "a")
    b.call("SUBSCRIBE", "b")
    pattern.call("PSUBSCRIBE", "p*")
    master.ok("ACL", "SETUSER", "alice", "resetchannels", "&b", "&pp*")
    assert a.is_closed() and pattern.is_closed()
    assert master.call("PUBLISH", "b", "still") == 1
    assert b.read_value() == [b"message", b"b", b"still"]
    assert master.call("ACL", "DELUSER", "alice") == 1
    assert b.is_closed()


def test_without_a_login_the_user_default_says_what_is_allowed(server):
    master = server.connect()
    other = server.connect()
    assert other.call("PING") == b"PONG"
    master.ok("ACL", "SETUSER", "default", "resetpass", ">secret", "-publish")
    assert other.call("PUBLISH", "a", "x") == error(NO_COMMAND.format("publish"))
    new = server.connect()
    assert new.call("PING") == error("NOAUTH Authentication required.")
    new.ok("AUTH", "secret")
    assert new.call("PING") == b"PONG"
    master.ok("ACL", "SETUSER", "default", "off")
    new = server.connect()
    assert new.call("AUTH", "default", "secret") == WRONGPASS
    assert new.call("PING") == error("NOAUTH Authentication required.")
    master.ok("ACL", "SETUSER", "default", "on", "nopass")
    assert server.connect().call("PING") == b"PONG"


def test_the_log_counts_repeats(server):
    master = server.connect()
    master.ok("ACL", "SETUSER", "alice", "on", ">x", "+publish")
    alice = login(server, "alice", "x")
    for _ in range(5):
        assert alice.call("PUBLISH", "a", "x") == NO_CHANNEL
    assert alice.call("PING") == error(NO_COMMAND.format("ping"))
    assert server.connect().call("AUTH", "alice", "wrong") == WRONGPASS
    entries = [dict(zip(entry[::2], entry[1::2])) for entry in master.call("ACL", "LOG")]
    seen = [(e[b"count"], e[b"reason"], e[b"context"], e[b"object"], e[b"username"]) for e in entries]
    assert seen == [(1, b"auth", b"toplevel", b"AUTH", b"alice"), (1, b"command", b"toplevel", b"ping", b"alice"),
                    (5, b"channel", b"toplevel", b"a", b"alice")]
    assert all(float(e[b"age-seconds"]) < 60 and b"user=" in e[b"client-info"] for e in entries)
    master.ok("ACL", "LOG", "RESET")
    assert master.call("ACL", "LOG") == []


def test_users_in_the_configuration(start_server, folder):
    path = folder / "users.conf"
    path.write_text("user alice on >secret +@all &a*\nuser bob off\n")
    server = start_from_file(start_server, path)
    client = server.connect()
    assert [line.split()[1] for line in client.call("ACL", "LIST")] == [b"alice", b"bob", b"default"]
    assert login(server, "alice", "secret").call("PUBLISH", "b", "x") == NO_CHANNEL
    client.ok("ACL", "SETUSER", "carol", "on", "nopass", "~x", "+ping")
    client.ok("CONFIG", "REWRITE")
    lines = path.read_text().splitlines()
    assert sorted(line.split()[1] for line in lines if line.startswith("user ") and " default " not in line) == [
        "alice", "bob", "carol"]
    assert "secret" not in path.read_text()


def test_a_rewritten_configuration_gives_the_same_users(start_fanfared, folder):
    path = folder / "users.conf"
    path.write_text("# first\nuser alice on >secret +@all &a*\nmaxclients 100\nuser bob off '&quo\"te'\n")
    server = start_fanfared("-c", path)
    client = server.connect()
    client.ok("ACL", "SETUSER", "carol", "on", "(+publish &x)", ">p")
    client.ok("ACL", "SETUSER", "default", ">d")
    listed = client.call("ACL", "LIST")
    client.ok("CONFIG", "REWRITE")
    assert path.read_text().startswith("# first\nuser alice on sanitize-payload #")
    again = start_fanfared("-c", path).connect()
    assert again.call("PING") == error("NOAUTH Authentication required.")
    again.ok("AUTH", "d")
    assert again.call("ACL", "LIST") == listed
    again.ok("CONFIG", "REWRITE")
    text = path.read_text()
    again.ok("CONFIG", "REWRITE")
    assert path.read_text() == text


@pytest.mark.parametrize("text, fault", [
    ("\nuser alice +nosuch\n", ":2: rule '+nosuch': Unknown command or category name in ACL"),
    ("user alice on\nuser alice off\n", ":2: Duplicate user found"),
    ("user\n", ":1: a line is 'user NAME rule ...'"),
    ("user alice <secret\n", ":1: rule '<': The password"),
    ("aclfile users.acl\nuser alice on\n", "exclude each other"),
])
@pytest.mark.usefixtures("start_fanfared")
def test_a_mistake_in_a_user_line_stops_the_start(folder, text, fault):
    path = folder / "users.conf"
    path.write_text(text)
    (folder / "users.acl").write_text("")
    line = refused(folder, "-c", path)
    assert fault in line and "secret" not in line


def test_a_file_of_users_is_read_whole_or_not_at_all(start_server, folder):
    path = folder / "users.acl"
    path.write_text("user alice on >secret +@all &*\nuser default on nopass ~* &* +@all\n")
    server = start_server("--aclfile", path)
    client = server.connect()
    alice = login(server, "alice", "secret")
    path.write_text("user alice on >secret +ping\nuser bob on +nosuch\nuser default on nopass ~* &* +@all\n")
    reply = client.call("ACL", "LOAD")
    assert isinstance(reply, Error) and reply.text.startswith(b"ERR ") and b":2: " in reply.text
    assert b"no change to the previously active ACL rules was performed" in reply.text
    assert alice.call("ECHO", "x") == b"x"
    client.ok("ACL", "SETUSER", "carol", "on", ">p", "&c")
    listed = client.call("ACL", "LIST")
    client.ok("ACL", "SAVE")
    assert sorted(path.read_bytes().splitlines()) == sorted(listed)
    client.ok("ACL", "LOAD")
    assert client.call("ACL", "LIST") == listed


@pytest.mark.usefixtures("start_fanfared")
def test_a_mistake_in_the_file_of_users_stops_the_start(folder):
    path = folder / "users.acl"
    path.write_text("user alice on\nuser bob on +nosuch\n")
    assert f"{path}:2: rule '+nosuch': Unknown command" in refused(folder, "--aclfile", path)
    assert "No such file" in refused(folder, "--aclfile", "nosuch.acl")


def test_sighup_reads_the_users_again_and_drops_nobody_who_may_stay(start_fanfared, folder):
    path = folder / "users.acl"
    path.write_text("user alice on >secret +@all &*\nuser bob on >secret +@all &*\n")
    server = start_fanfared("--aclfile", path)
    alice, bob = login(server, "alice", "secret"), login(server, "bob", "secret")
    alice.call("SUBSCRIBE", "a")
    path.write_text("user alice on +nosuch\n")
    server.process.send_signal(1)
    wait_until(lambda: "reload failed, nothing changed" in server.log(), "the refusal")
    assert bob.call("PING") == b"PONG"
    path.write_text("user alice on >secret +@all &a\n")
    server.process.send_signal(1)
    assert bob.is_closed()
    assert server.connect().call("PUBLISH", "a", "x") == 1
    assert alice.read_value() == [b"message", b"a", b"x"]
    assert [line.split()[1] for line in server.connect().call("ACL", "LIST")] == [b"alice", b"default"]


def test_acl_save_keeps_the_file_where_it_cannot_be_written(start_fanfared, folder):
    """Written beside and renamed: a folder that takes no new file leaves the old one whole."""
    inner = folder / "inner"
    inner.mkdir()
    path = inner / "users.acl"
    path.write_text("user alice on\n")
    server = start_fanfared("--aclfile", path)
    client = server.connect()
    inner.rename(folder / "gone")
    reply = client.call("ACL", "SAVE")
    assert reply == error("ERR There was an error trying to save the ACLs. Please check the server logs for more "
                          "information")
    (folder / "gone").rename(inner)
    assert path.read_text() == "user alice on\n"
    client.ok("ACL", "SAVE")
    assert [file.name for file in inner.iterdir()] == ["users.acl"]


def test_each_category_has_the_commands_that_redis_puts_there(start_redis, start_fanfared):
    redis, fanfared = start_redis().connect(), start_fanfared().connect()
    categories = fanfared.call("ACL", "CAT")
    assert categories == redis.call("ACL", "CAT")
    known = [set(client.call("COMMAND", "LIST")) for client in (redis, fanfared)]
    both = known[0] & known[1]
    assert len(both) > 200
    for category in categories:
        theirs, ours = (set(client.call("ACL", "CAT", category)) for client in (redis, fanfared))
        assert ours & both == theirs & both, category


def test_acl_pubsub_default(start_server):
    server = start_server("--acl-pubsub-default", "allchannels")
    client = server.connect()
    client.ok("ACL", "SETUSER", "alice", "sanitize-payload")
    assert b"user alice off sanitize-payload &* -@all" in client.call("ACL", "LIST")


def test_wrong_passwords_cost_time_and_others_do_not_wait(start_fanfared):
    server = start_fanfared("--auth-delay-max", 400)
    master = server.connect()
    master.ok("ACL", "SETUSER", "alice", "on", ">secret", "+@all")
    guesser = server.connect()
    took = []
    for _ in range(9):
        begun = time.monotonic()
        assert guesser.call("AUTH", "alice", "wrong") == WRONGPASS
        took.append(time.monotonic() - begun)
    # The first delays are shorter; on a busy machine some of these requests take longer all the same.
    assert min(took[:4]) < 0.3
    assert all(0.35 < t < seconds(3) for t in took[-2:]), took
    # The right password is delayed too, or the delay would reveal it; logged-in clients are not delayed.
    begun = time.monotonic()
    thread = threading.Thread(target=login, args=(server, "alice", "secret"))
    thread.start()
    answered = 0
    while thread.is_alive():
        assert master.call("PING") == b"PONG"
        answered += 1
    assert time.monotonic() - begun > 0.2
    assert answered > 20
    info = master.call("INFO", "stats")
    assert b"acl_access_denied_auth:9\r\n" in info
    assert b"acl_delayed_logins:0\r\n" not in info


def test_passwords_are_not_in_the_log_nor_in_monitor_nor_in_the_slow_log(start_fanfared):
    server = start_fanfared("--slowlog-log-slower-than", 0, "--loglevel", "debug")
    monitor, client = server.connect(), server.connect()
    monitor.ok("MONITOR")
    client.ok("ACL", "SETUSER", "alice", "on", ">hunter2", "+@all")
    client.call("ACL", "SETUSER", "alice", "<hunter2wrong")
    client.call("AUTH", "alice", "hunter2-wrong")
    login(server, "alice", "hunter2")
    login(server, "alice", "hunter2", 3)
    client.ok("CONFIG", "SET", "requirepass", "hunter2")
    shown = b"".join(repr(client.call("SLOWLOG", "GET", "100")).encode() for _ in range(1))
    shown += server.log().encode()
    monitor.socket.settimeout(0.3)
    try:
        while True:
            shown += monitor.read_line()
    except OSError:
        pass
    assert b"redacted" in shown
    assert b"hunter2" not in shown


def test_a_users_name_cannot_forge_lines_of_the_log(start_fanfared):
    server = start_fanfared("--loglevel", "debug")
    server.connect().ok("ACL", "SETUSER", b"x\x1b[31m\xff", "on", "nopass", "+@all")
    login(server, b"x\x1b[31m\xff", "x").close()
    wait_until(lambda: "user=x?[31m? closed" in server.log(), "the line of its end")
    assert "\x1b" not in server.log()


def test_limits_of_a_user(start_fanfared, folder):
    """Shown only where set, written to the file and read again."""
    path = folder / "users.conf"
    path.write_text("user app on nopass +@all &* limit:connections=2 limit:subscriptions=1 limit:publish-messages=5\n")
    server = start_fanfared("-c", path)
    master = server.connect()
    first, second = login(server, "app", "x"), login(server, "app", "x")
    assert server.connect().call("AUTH", "app", "x") == error(
        "ERR max number of connections of this user reached (limit:connections 2)")
    first.call("SUBSCRIBE", "a")
    assert first.call("SUBSCRIBE", "b") == error(
        "ERR max number of subscriptions per client of this user reached (limit:subscriptions 1)")
    replies = [second.call("PUBLISH", "a", "x") for _ in range(20)]
    assert replies[:5] == [1] * 5
    assert replies[-1] == error("ERR max publish rate of this user reached")
    first.close()

    def comes_in():
        third = server.connect()
        return third.call("AUTH", "app", "x") == b"OK"

    wait_until(comes_in, "room for another connection")
    listed = b"user app on nopass sanitize-payload limit:connections=2 limit:subscriptions=1 limit:publish-messages=5 &* +@all"
    assert master.call("ACL", "LIST")[0] == listed
    master.ok("CONFIG", "REWRITE")
    assert "limit:connections=2 limit:subscriptions=1" in path.read_text()
    assert start_fanfared("-c", path).connect().call("ACL", "LIST") == master.call("ACL", "LIST")


def test_sighup_reads_users_under_the_new_acl_pubsub_default(start_fanfared, folder):
    path = folder / "users.conf"
    path.write_text("acl-pubsub-default allchannels\nuser alice on nopass +@all\n")
    server = start_fanfared("-c", path)
    alice = login(server, "alice", "x")
    assert alice.call("SUBSCRIBE", "a")[0] == b"subscribe"
    path.write_text("acl-pubsub-default resetchannels\nuser alice on nopass +@all\n")
    server.process.send_signal(1)
    assert alice.is_closed()
    assert server.connect().call("ACL", "LIST")[0] == b"user alice on nopass sanitize-payload resetchannels +@all"


def test_config_rewrite_writes_no_more_users_than_it_reads(start_fanfared, folder):
    path = folder / "users.conf"
    path.write_text("maxclients 100\n")
    client = start_fanfared("-c", path).connect()
    for i in range(1001):
        client.ok("ACL", "SETUSER", f"u{i}")
    reply = client.call("CONFIG", "REWRITE")
    assert isinstance(reply, Error) and b"more than 1000 users: allowed is an aclfile for more" in reply.text
    assert path.read_text() == "maxclients 100\n"
    assert client.call("ACL", "DELUSER", "u0") == 1
    client.ok("CONFIG", "REWRITE")
    assert len(start_fanfared("-c", path).connect().call("ACL", "LIST")) == 1001


def test_sighup_gives_default_the_password_that_a_start_would(start_fanfared, folder):
    """The file of users overrides other sources for its users; requirepass applies to default if it is not in the file."""
    path, users = folder / "fanfared.conf", folder / "users.acl"
    users.write_text("user default on >file ~* &* +@all\n")
    path.write_text(f"aclfile {users}\nrequirepass first\n")
    server = start_fanfared("-c", path)
    assert server.connect().call("AUTH", "first") == WRONGPASS
    path.write_text(f"aclfile {users}\nrequirepass second\n")
    server.process.send_signal(1)
    wait_until(lambda: server.log().count("reload: done") == 1, "the reload")
    assert server.connect().call("AUTH", "second") == WRONGPASS
    server.connect().ok("AUTH", "file")
    users.write_text("user alice off\n")
    path.write_text(f"aclfile {users}\nrequirepass third\n")
    server.process.send_signal(1)
    wait_until(lambda: server.log().count("reload: done") == 2, "the reload")
    client = server.connect()
    assert client.call("AUTH", "file") == WRONGPASS
    client.ok("AUTH", "third")
    client.ok("CONFIG", "SET", "requirepass", "fourth")
    client.ok("AUTH", "fourth")


def restarted(start_fanfared, path, client):
    """Who may do what after CONFIG REWRITE and another start from the file, which is as before."""
    client.ok("CONFIG", "REWRITE")
    return start_fanfared("-c", path).connect().call("ACL", "LIST")


def test_config_rewrite_leaves_users_to_the_included_file_that_names_them(start_fanfared, folder):
    path, included = folder / "fanfared.conf", folder / "users.conf"
    path.write_text("include users.conf\n")
    included.write_text("user bob on >secret ~* +@all\nuser alice off\n")
    client = start_fanfared("-c", path).connect()
    users = client.call("ACL", "LIST")
    assert restarted(start_fanfared, path, client) == users
    assert path.read_text().startswith("include users.conf\n") and "user" not in path.read_text().split("\n", 1)[1]
    client.ok("ACL", "SETUSER", "carol", "on", "nopass")
    assert restarted(start_fanfared, path, client) == client.call("ACL", "LIST")
    assert path.read_text().count("\nuser ") == 1 and "\nuser carol " in path.read_text()
    client.ok("ACL", "SETUSER", "alice", "on")
    assert restarted(start_fanfared, path, client) == client.call("ACL", "LIST")
    assert client.call("ACL", "DELUSER", "bob", "carol") == 2
    assert restarted(start_fanfared, path, client) == client.call("ACL", "LIST")
    rewritten = path.read_text()
    assert restarted(start_fanfared, path, client) == client.call("ACL", "LIST")
    assert path.read_text() == rewritten
    assert included.read_text() == "user bob on >secret ~* +@all\nuser alice off\n"


def test_config_rewrite_takes_back_included_users_where_an_aclfile_has_them(start_fanfared, folder):
    path, included, acl = folder / "fanfared.conf", folder / "users.conf", folder / "users.acl"
    acl.write_text("user alice on nopass ~* +@all\n")
    included.write_text("")
    path.write_text(f"aclfile {acl}\ninclude users.conf\n")
    client = start_fanfared("-c", path).connect()
    included.write_text("user bob on nopass\n")
    assert restarted(start_fanfared, path, client) == client.call("ACL", "LIST")


def test_a_user_of_the_command_line_is_none_too_many_after_config_rewrite(start_fanfared, folder):
    path = folder / "fanfared.conf"
    path.write_text("user alice off\n")
    words = ("-c", path, "--user", "bob", "on", "nopass")
    client = start_fanfared(*words).connect()
    client.ok("CONFIG", "REWRITE")
    assert "\nuser bob " in path.read_text()
    assert start_fanfared(*words).connect().call("ACL", "LIST") == client.call("ACL", "LIST")
