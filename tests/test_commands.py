"""Introspection commands: CLIENT, MONITOR, SLOWLOG, INFO, COMMAND, MEMORY, TIME, LOLWUT."""

import threading
import time

import pytest

from lib.resp import Closed, Error, Push, encode, error, parse_client
from lib.wait import SLOW, wait_until


def named(server, name, version=2):
    client = server.client(version)
    client.ok("CLIENT", "SETNAME", name)
    return client


def names(watcher):
    return sorted(client["name"] for client in watcher.client_list())


# HELLO


def test_hello_tells_who_answers(server):
    client = server.connect()
    reply = client.call("HELLO")
    fields = dict(zip(reply[::2], reply[1::2]))
    assert fields[b"proto"] == 2 and fields[b"mode"] == b"standalone" and fields[b"role"] == b"master"
    assert fields[b"server"] == b"redis" and fields[b"modules"] == []
    assert fields[b"id"] == client.call("CLIENT", "ID")
    reply = client.call("HELLO", "3", "SETNAME", "me")
    assert isinstance(reply, dict) and reply[b"proto"] == 3 and list(reply) == list(fields)
    assert client.call("CLIENT", "GETNAME") == b"me"
    assert isinstance(client.call("HELLO", "2"), list)


# CLIENT


def test_client_list_has_a_line_for_each_client(server):
    first, second = named(server, "first"), named(server, "second")
    second.subscribe("a", "b")
    second_p = named(server, "patterns")
    second_p.subscribe("p*", kind="PSUBSCRIBE")
    by_name = {client["name"]: client for client in first.client_list()}
    assert set(by_name) == {"first", "second", "patterns"}
    assert by_name["second"]["sub"] == "2" and by_name["second"]["flags"] == "P"
    assert by_name["patterns"]["psub"] == "1" and by_name["first"]["flags"] == "N"
    assert by_name["first"]["cmd"] == "client|list" and by_name["second"]["cmd"] == "subscribe"
    assert by_name["first"]["addr"].startswith("127.0.0.1:")
    assert by_name["first"]["laddr"] == f"127.0.0.1:{server.port}"
    assert by_name["first"]["user"] == "default"
    identities = [int(client["id"]) for client in first.client_list()]
    assert identities == sorted(identities)


def test_client_list_has_the_fields_of_redis_in_their_order(start_redis, start_fanfared):
    theirs = list(parse_client(start_redis().connect().call("CLIENT", "INFO").decode().rstrip("\n")))
    ours = list(parse_client(start_fanfared().connect().call("CLIENT", "INFO").decode().rstrip("\n")))
    assert [field for field in ours if field in theirs] == theirs
    for field in ("resp", "lib-name", "lib-ver"):  # Redis 7.2
        assert field in ours


def test_client_list_selects_by_type_and_id(server):
    normal, subscriber = named(server, "normal"), named(server, "subscriber")
    numbers = [normal.call("CLIENT", "ID"), subscriber.call("CLIENT", "ID")]
    subscriber.subscribe("c")
    assert [c["name"] for c in normal.client_list("TYPE", "pubsub")] == ["subscriber"]
    assert [c["name"] for c in normal.client_list("TYPE", "normal")] == ["normal"]
    assert [c["name"] for c in normal.client_list("ID", numbers[1], 999999)] == ["subscriber"]
    assert [c["name"] for c in normal.client_list("ID", numbers[0], numbers[1])] == ["normal", "subscriber"]


def test_client_info_is_the_own_line(server):
    client = named(server, "me")
    line = client.call("CLIENT", "INFO").decode()
    assert parse_client(line.rstrip("\n"))["name"] == "me"
    assert "cmd=client|info" in line


def test_setinfo_names_the_library(fanfared):
    client = fanfared.connect()
    client.ok("CLIENT", "SETINFO", "LIB-NAME", "trumpet(v1)")
    client.ok("client", "setinfo", "lib-ver", "1.2.3")
    fields = client.client_list()[0]
    assert (fields["lib-name"], fields["lib-ver"]) == ("trumpet(v1)", "1.2.3")
    assert client.call("CLIENT", "SETINFO", "LIB-NAME", "with space") == error(
        "ERR LIB-NAME cannot contain spaces, newlines or special characters.")
    assert client.call("CLIENT", "SETINFO", "NOSUCH", "x") == error("ERR Unrecognized option 'NOSUCH'")
    assert client.call("CLIENT", "SETINFO", "LIB-NAME") == error(
        "ERR wrong number of arguments for 'client|setinfo' command")
    client.ok("CLIENT", "SETINFO", "LIB-NAME", "")
    assert client.client_list()[0]["lib-name"] == ""


def test_no_touch_and_no_evict_are_flags(fanfared):
    client = fanfared.connect()
    client.ok("CLIENT", "NO-TOUCH", "ON")
    client.ok("CLIENT", "NO-EVICT", "on")
    assert client.client_list()[0]["flags"] == "eT"
    client.ok("CLIENT", "NO-TOUCH", "off")
    client.ok("CLIENT", "NO-EVICT", "OFF")
    assert client.client_list()[0]["flags"] == "N"
    assert client.call("CLIENT", "NO-TOUCH", "maybe") == error("ERR syntax error")


@pytest.fixture
def crowd(server):
    """(killer, victims by name): two normal clients and a subscriber."""
    killer = named(server, "killer")
    victims = {name: named(server, name) for name in ("a", "b", "sub")}
    victims["sub"].subscribe("c")
    return killer, victims


def test_kill_by_id(crowd):
    killer, victims = crowd
    number = victims["a"].call("CLIENT", "ID")
    assert killer.call("CLIENT", "KILL", "ID", number) == 1
    assert victims["a"].is_closed()
    assert names(killer) == ["b", "killer", "sub"]


def test_kill_by_address_old_and_new_form(crowd):
    killer, victims = crowd
    addresses = {c["name"]: c["addr"] for c in killer.client_list()}
    assert killer.call("CLIENT", "KILL", addresses["a"]) == b"OK"
    assert killer.call("CLIENT", "KILL", "ADDR", addresses["b"]) == 1
    assert victims["a"].is_closed() and victims["b"].is_closed()
    assert killer.call("CLIENT", "KILL", addresses["a"]) == error("ERR No such client")
    assert killer.call("CLIENT", "KILL", "ADDR", addresses["b"]) == 0


def test_kill_by_type_user_and_local_address(crowd):
    killer, victims = crowd
    assert killer.call("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert victims["sub"].is_closed()
    assert killer.call("PUBSUB", "NUMSUB", "c") == [b"c", 0]
    local = killer.client_list()[0]["laddr"]
    assert killer.call("CLIENT", "KILL", "LADDR", local, "USER", "default", "SKIPME", "yes") == 2
    assert victims["a"].is_closed() and victims["b"].is_closed()
    assert names(killer) == ["killer"]


def test_kill_oneself_answers_first(server):
    client = server.connect()
    assert client.call("CLIENT", "KILL", "USER", "default", "SKIPME", "no") == 1
    assert client.is_closed()


def test_reply_off_skip_and_on(server):
    client = server.connect()
    client.send(encode("CLIENT", "REPLY", "OFF") + encode("PING") + encode("NOSUCHCOMMAND") + encode("PING")
                + encode("CLIENT", "REPLY", "ON") + encode("ECHO", "1"))
    assert client.read_value() == b"OK"
    assert client.read_value() == b"1"
    client.send(encode("CLIENT", "REPLY", "SKIP") + encode("ECHO", "skipped") + encode("ECHO", "2"))
    assert client.read_value() == b"2"


def test_a_subscriber_with_replies_off_still_gets_messages(server):
    client = server.client(3)
    client.send(encode("SUBSCRIBE", "c"))
    client.read_value()
    client.send(encode("CLIENT", "REPLY", "OFF") + encode("PING"))
    other = server.connect()
    wait_until(lambda: any(c["cmd"] == "ping" for c in other.client_list()), "replies are off")
    assert other.call("PUBLISH", "c", "x") == 1
    assert client.read_value() == [b"message", b"c", b"x"]


def test_pause_holds_publishing_until_its_end(server):
    subscriber, publisher, admin = server.connect(), server.connect(), server.connect()
    subscriber.subscribe("c")
    admin.ok("CLIENT", "PAUSE", "600000", "WRITE")
    assert admin.call("PING") == b"PONG"  # others are not held
    admin.ok("CLIENT", "UNPAUSE")
    start = time.monotonic()
    admin.ok("CLIENT", "PAUSE", "400", "WRITE")
    publisher.command("PUBLISH", "c", "x")
    assert subscriber.read_value() == [b"message", b"c", b"x"]
    assert publisher.read_value() == 1
    assert time.monotonic() - start > 0.39


def test_unpause_lets_everything_go_on(server):
    admin, other = server.connect(), server.connect()
    admin.ok("CLIENT", "PAUSE", "600000", "WRITE")
    other.command("PUBLISH", "c", "x")
    assert other.nothing_arrives()
    assert int(admin.info("clients")["blocked_clients"]) >= 0
    admin.ok("CLIENT", "UNPAUSE")
    assert other.read_value() == 0


def test_pause_all_holds_every_command_of_others_and_ends(server):
    admin, other = server.connect(), server.connect()
    assert other.call("PING") == b"PONG"
    start = time.monotonic()
    admin.ok("CLIENT", "PAUSE", "300")
    other.command("PING")
    assert other.read_value() == b"PONG"
    assert time.monotonic() - start > 0.29


def test_a_client_that_leaves_while_paused_is_forgotten(server):
    admin, other = server.connect(), server.connect()
    admin.ok("CLIENT", "PAUSE", "600000", "WRITE")
    other.command("PUBLISH", "c", "x")
    assert other.nothing_arrives()
    other.close()
    admin.ok("CLIENT", "UNPAUSE")
    wait_until(lambda: len(admin.client_list()) == 1, "it is gone")


# MONITOR


def test_monitor_shows_the_commands_of_others(server):
    monitor, other = server.connect(), server.connect()
    assert monitor.call("MONITOR") == b"OK"
    other.call("PUBLISH", "a", b'\x00"\\\r\n\t\xff')
    line = monitor.read_value()
    stamp, _, rest = line.partition(b" ")
    assert abs(float(stamp) - time.time()) < 60 * SLOW
    assert rest.endswith(rb'] "PUBLISH" "a" "\x00\"\\\r\n\t\xff"'), rest
    assert rest.startswith(b"[0 127.0.0.1:")
    assert [c["flags"] for c in other.client_list()] == ["O", "N"]


def test_monitor_hides_passwords(start_server):
    server = start_server("--requirepass", "secret")
    monitor, other = server.connect(), server.connect()
    monitor.ok("AUTH", "secret")
    assert monitor.call("MONITOR") == b"OK"
    other.ok("AUTH", "secret")
    other.call("HELLO", "3", "AUTH", "default", "secret")
    other.call("ECHO", "end")
    seen = b""
    while b'"end"' not in seen:
        seen += monitor.read_value()
    assert b"secret" not in seen


def test_a_monitor_that_leaves_or_resets_is_none_any_more(server):
    monitor, other = server.connect(), server.connect()
    assert monitor.call("MONITOR") == b"OK"
    monitor.command("RESET")
    while monitor.read_value() != b"RESET":
        pass
    other.call("PING")
    assert monitor.call("ECHO", "quiet") == b"quiet"
    second = server.connect()
    assert second.call("MONITOR") == b"OK"
    second.close()
    for _ in range(10):
        assert other.call("PING") == b"PONG"


def test_a_monitor_that_does_not_read_is_closed_and_stops_nobody(start_fanfared):
    daemon = start_fanfared("--client-output-buffer-limit", "normal", "1mb", "0", "0")
    monitor, other = daemon.connect(receive_buffer=4096), daemon.connect(timeout=60)
    assert monitor.call("MONITOR") == b"OK"
    for _ in range(200):
        other.send(encode("ECHO", b"x" * 1000) * 100)
        for _ in range(100):
            other.read_value()
    wait_until(lambda: len(other.client_list()) == 1, "the monitor is closed")


# SLOWLOG


def test_the_slow_log_keeps_the_newest_first(server):
    client = named(server, "slow")
    client.ok("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "3")
    for n in range(5):
        client.call("ECHO", n)
    assert client.call("SLOWLOG", "LEN") == 3
    entries = client.call("SLOWLOG", "GET", "2")
    assert len(entries) == 2
    number, stamp, duration, arguments, address, name = entries[1]
    assert arguments == [b"ECHO", b"4"] or arguments == [b"SLOWLOG", b"LEN"]
    assert entries[0][0] == number + 1 and duration >= 0 and abs(stamp - time.time()) < 60 * SLOW
    assert name == b"slow" and address.startswith(b"127.0.0.1:")
    client.ok("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    client.ok("SLOWLOG", "RESET")
    client.call("ECHO", "x")
    assert client.call("SLOWLOG", "GET") == []


def test_the_slow_log_cuts_long_arguments_and_long_lists(server):
    client = server.connect()
    client.ok("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.call("PUBSUB", "NUMSUB", *[str(n) for n in range(100)])
    client.call("ECHO", b"x" * 1000)
    entries = client.call("SLOWLOG", "GET")
    assert entries[0][3] == [b"ECHO", b"x" * 128 + b"... (872 more bytes)"]
    assert len(entries[1][3]) == 32 and entries[1][3][31] == b"... (71 more arguments)"


# INFO


def test_info_has_sections_that_can_be_asked_for(server):
    client = server.connect()
    text = client.call("INFO").decode()
    for section in ("Server", "Clients", "Memory", "Stats", "CPU"):
        assert f"# {section}\r\n" in text
    assert "# Commandstats" not in text
    assert client.call("INFO", "server").startswith(b"# Server\r\n")
    assert b"# Clients" not in client.call("INFO", "server")
    both = client.call("INFO", "clients", "server").decode()
    assert "# Server" in both and "# Clients" in both
    assert client.call("INFO", "SERVER").startswith(b"# Server\r\n")
    everything = client.call("INFO", "everything").decode()
    assert "# Commandstats" in everything and "cmdstat_info:calls=" in everything
    assert "# Commandstats" in client.call("INFO", "commandstats").decode()


def test_info_counts_what_happens(server):
    client, subscriber = server.connect(), server.connect()
    subscriber.subscribe("a", "b")
    subscriber.subscribe("p*", kind="PSUBSCRIBE")
    subscriber.subscribe("s", kind="SSUBSCRIBE")
    info = client.info("everything")
    assert info["connected_clients"] == "2" and info["tcp_port"] == str(server.port)
    assert info["pubsub_channels"] == "2" and info["pubsub_patterns"] == "1" and info["pubsubshard_channels"] == "1"
    assert int(info["process_id"]) == server.pid
    assert int(info["total_connections_received"]) >= 2
    assert float(info["used_cpu_user"]) >= 0
    assert int(info["used_memory"]) > 10000
    assert info["redis_version"].split(".")[0] == "7" and len(info["run_id"]) == 40
    client.call("NOSUCHCOMMAND")
    assert client.info("errorstats")["errorstat_ERR"] == "count=1"


def test_info_of_the_hub_counts_messages(fanfared):
    client, subscriber = fanfared.connect(), fanfared.connect()
    subscriber.subscribe("c")
    for n in range(7):
        client.call("PUBLISH", "c", n)
    client.call("PUBLISH", "nobody", "x")
    info = client.info("pubsub")
    assert (info["published"], info["delivered"], info["dropped"]) == ("8", "7", "0")
    assert info["subscriptions"] == "1" and info["queued_bytes"] is not None


def test_info_is_a_verbatim_string_in_resp3(server):
    client = server.client(3)
    client.command("INFO", "server")
    assert client.read_raw().split(b"\r\n")[1].startswith(b"txt:# Server")


# COMMAND


def commands(client):
    return {entry[0]: entry for entry in client.call("COMMAND")}


# What Redis does not have.
OURS = (b"channel", b"history", b"mpublish", b"outbox", b"presence", b"presume", b"publishmany", b"publishx", b"qsubscribe",
        b"qunsubscribe", b"resume", b"zquery")

# What Redis has since 7.2.
NEW = (b"waitaof",)

# Redis 7.2 takes one argument less, or one more.
DIFFERENT = (b"command|getkeys", b"command|getkeysandflags", b"zrank", b"zrevrank")


def test_command_describes_each_command_as_redis_does(start_redis, start_fanfared):
    """Arity and flags, place of keys, for every command that both have."""
    redis, fanfared = start_redis().connect(), start_fanfared().connect()
    theirs, ours = commands(redis), commands(fanfared)
    assert fanfared.call("COMMAND", "COUNT") == len(ours)
    different = []
    for name, entry in ours.items():
        if name in OURS + NEW:
            continue
        assert name in theirs, name
        if (entry[1:6] != theirs[name][1:6] and name not in DIFFERENT) or sorted(entry[6]) != sorted(theirs[name][6]):
            different.append((name, entry[1:7], theirs[name][1:7]))
        if len(entry) != len(theirs[name]):
            different.append((name, len(entry), len(theirs[name])))
        mine = {sub[0]: sub for sub in entry[9]}
        their = {sub[0]: sub for sub in theirs[name][9]}
        for sub in mine.keys() & their.keys():
            if mine[sub][1:6] != their[sub][1:6] and sub not in DIFFERENT:
                different.append((sub, mine[sub][1:6], their[sub][1:6]))
    assert not different, "\n".join(map(str, different))


def test_the_commands_of_the_broker_are_there(fanfared):
    client = fanfared.connect()
    have = set(client.call("COMMAND", "LIST"))
    for name in ("subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe publish spublish pubsub ping"
                 " echo hello auth quit reset select client command config info time lolwut monitor slowlog memory"
                 " shutdown outbox presence").split():
        assert name.encode() in have, name


def test_command_info_and_list_agree(server):
    client = server.connect()
    listed = sorted(client.call("COMMAND", "LIST"))
    # The list has subcommands beside their containers.
    assert [name for name in listed if b"|" not in name] == sorted(commands(client))
    assert b"client|list" in listed
    info = client.call("COMMAND", "INFO", "publish", "nosuch", "CLIENT|LIST")
    assert info[0][0] == b"publish" and info[0][1] == 3 and info[1] is None and info[2][0] == b"client|list"
    matching = client.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "*publish")
    assert set(matching) - set(OURS) == {b"publish", b"spublish"}
    by_category = client.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "pubsub")
    assert b"publish" in by_category and b"ping" not in by_category


def docs_of(client, *names):
    reply = client.call("COMMAND", "DOCS", *names)
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


@pytest.mark.parametrize("version", [2, 3], ids=["RESP2", "RESP3"])
def test_command_docs_tell_what_a_command_is_for(server, version):
    client = server.client(version)
    docs = docs_of(client, "publish")
    assert list(docs) == [b"publish"]
    publish = docs[b"publish"]
    publish = publish if isinstance(publish, dict) else dict(zip(publish[::2], publish[1::2]))
    assert publish[b"since"] == b"2.0.0" and publish[b"group"] == b"pubsub"
    assert b"message" in publish[b"summary"]
    arguments = publish[b"arguments"]
    first = arguments[0] if isinstance(arguments[0], dict) else dict(zip(arguments[0][::2], arguments[0][1::2]))
    assert first[b"name"] == b"channel" and first[b"type"] == b"string"
    everything = docs_of(client)
    assert len(everything) == client.call("COMMAND", "COUNT")


def test_getkeys_tells_the_shard_channel(server):
    client = server.connect()
    assert client.call("COMMAND", "GETKEYS", "SPUBLISH", "channel", "message") in ([b"channel"], error(
        "ERR The command has no key arguments"))
    assert client.call("COMMAND", "GETKEYS", "PUBLISH", "a", "b") == error("ERR The command has no key arguments")


def test_help_of_each_container_lists_its_subcommands(server):
    client = server.connect()
    for container in ("CLIENT", "COMMAND", "CONFIG", "MEMORY", "PUBSUB", "SLOWLOG"):
        lines = client.call(container, "HELP")
        assert lines[0] == b"%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % container.encode()
        assert lines[-2] == b"HELP" and lines[-1] in (b"    Print this help.", b"    Prints this help.")


# The rest


def test_time_is_the_time(server):
    seconds_, micros = server.connect().call("TIME")
    assert abs(int(seconds_) + int(micros) / 1e6 - time.time()) < 5 * SLOW


def test_lolwut_draws_something(server):
    text = server.connect().call("LOLWUT")
    assert len(text) > 10 and text.endswith(b"\n")


def test_memory_stats_and_usage_speak_of_channels(fanfared):
    client = fanfared.client(3)
    client.subscribe("c")
    assert client.call("MEMORY", "USAGE", "c") > 0
    assert client.call("MEMORY", "USAGE", "nosuch") is None
    stats = client.call("MEMORY", "STATS")
    assert isinstance(stats, dict) and stats[b"total.allocated"] > 0


def test_select_is_seen_in_the_list(server):
    client = server.connect()
    client.ok("SELECT", "3")
    assert client.client_list()[0]["db"] == "3"
    assert client.call("RESET") == b"RESET"
    assert client.client_list()[0]["db"] == "0"


def test_channels_are_common_to_all_databases(server):
    a, b = server.connect(), server.connect()
    a.ok("SELECT", "1")
    a.subscribe("c")
    b.ok("SELECT", "2")
    assert b.call("PUBLISH", "c", "x") == 1
    assert a.read_value() == [b"message", b"c", b"x"]


def test_commands_of_parts_that_are_not_there_are_unknown(fanfared):
    client = fanfared.connect()
    for command in ("GEOADD", "PFADD", "FCALL"):
        reply = client.call(command, "x")
        assert reply.text == b"ERR unknown command '%s', with args beginning with: 'x' " % command.encode()


def test_many_clients_asking_at_once_each_get_their_own_answer(server):
    failures = []

    def ask(number):
        try:
            client = server.connect()
            for n in range(200):
                text = b"%d-%d" % (number, n)
                assert client.call("ECHO", text) == text
        except (AssertionError, Closed, OSError) as error_:
            failures.append(error_)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_push_never_stands_between_parts_of_a_reply(server):
    """A long reply, while messages come to the same RESP3 connection."""
    client, publisher = server.client(3), server.connect()
    client.subscribe("c", *(f"channel:{n}" for n in range(500)))
    stop = threading.Event()

    def publish():
        while not stop.is_set():
            publisher.call("PUBLISH", "c", "x")

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(30):
            client.command("PUBSUB", "CHANNELS")
            while isinstance(value := client.read_value(), Push):
                assert value == [b"message", b"c", b"x"]
            assert not isinstance(value, Error) and len(value) == 501
    finally:
        stop.set()
        thread.join()


# Clients refuse fields that they do not know: exactly those of Redis, in its order. The last two came with 7.2.
FIELDS_OF_REDIS = ["id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "psub", "ssub", "multi",
                   "qbuf", "qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl", "oll", "omem", "tot-mem", "events",
                   "cmd", "user", "redir", "resp", "lib-name", "lib-ver"]


@pytest.mark.parametrize("version", [2, 3])
def test_a_client_has_the_fields_of_redis_and_no_others(server, version):
    fields = FIELDS_OF_REDIS if server.name == "fanfared" else FIELDS_OF_REDIS[:-2]
    client = server.client(version)

    def names_in(line):
        return [field.partition(b"=")[0].decode() for field in line.strip().split(b" ")]

    assert names_in(client.call("CLIENT", "INFO")) == fields
    assert names_in(client.call("CLIENT", "LIST")) == fields
    assert names_in(client.call("CLIENT", "LIST", "ID", client.call("CLIENT", "ID"))) == fields
    assert isinstance(client.call("AUTH", "nobody", "wrong"), Error)
    entry = client.call("ACL", "LOG")[0]
    entry = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2]))
    assert names_in(entry[b"client-info"]) == fields


@pytest.mark.parametrize("name, words", [
    ("client|no-evict", b"no maxmemory-clients"), ("wait", b"no replicas")])
def test_docs_say_of_what_is_not_there_that_it_is_not(fanfared, name, words):
    docs = fanfared.client(3).call("COMMAND", "DOCS", name)[name.encode()]
    assert words in docs[b"summary"]


def test_wait_finds_no_replicas_as_the_docs_say(fanfared):
    client = fanfared.connect()
    assert client.call("WAIT", "1", "0") == 0
