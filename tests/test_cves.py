"""Inputs that have crashed Redis, each under its CVE.

Others need what Fanfare does not have: Lua (CVE-2018-11218, CVE-2022-0543, CVE-2022-24735, CVE-2022-24834,
CVE-2024-31449, CVE-2024-46981, CVE-2025-46817 to 46819, CVE-2025-49844), data types of the keyspace (CVE-2019-10192,
CVE-2021-29477, CVE-2021-32627, CVE-2021-32687, CVE-2023-25155, CVE-2023-28856, CVE-2023-41053, CVE-2025-32023),
the file of a cluster's nodes (CVE-2017-15047), replication and modules.
"""

import os
import socket
import stat
import subprocess
import threading
import time

import pytest

from lib.resp import Closed, Connection, Error, encode
from lib.wait import SLOW, seconds, wait_until

MB = 1 << 20


def promptly(call, within=1.0):
    """What call() returns, which must not take long: a blown-up match takes minutes."""
    start = time.monotonic()
    value = call()
    assert time.monotonic() - start < within * SLOW
    return value


def used_memory(client):
    return int(client.info("memory")["used_memory"])


# CVE-2022-36021: a glob of many stars made one match take exponential time.

@pytest.mark.parametrize("pattern", ["a*" * 60 + "b", "*a" * 60 + "b", "?*" * 60 + "b", "*[a-z]" * 60 + "b",
                                     "a" * 30 + "*" * 900 + "b"], ids=range(5))
def test_cve_2022_36021_a_glob_of_stars_costs_no_more_than_another(fanfared, pattern):
    reader, client = fanfared.connect(), fanfared.connect()
    name = "a" * 4000
    reader.subscribe(pattern, kind="PSUBSCRIBE")
    fanfared.connect().subscribe(name)
    assert promptly(lambda: client.call("PUBLISH", name, "x")) == 1
    assert promptly(lambda: client.call("PUBSUB", "CHANNELS", pattern)) == []
    assert promptly(lambda: client.call("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern)) == []
    assert promptly(lambda: client.call("CONFIG", "GET", pattern)) == []
    assert promptly(lambda: client.call("PUBLISH", name[:-1] + "b", "x")) == 1


# CVE-2024-31228: a very long pattern made the match recurse until the stack was used up.

@pytest.mark.parametrize("unit", ["*?", "*a", "[", "\\", "[^a]*", "*" * 100 + "?"], ids=range(6))
def test_cve_2024_31228_a_very_long_pattern_does_not_use_up_the_stack(fanfared, unit):
    client = fanfared.connect()
    reader = fanfared.connect()
    reader.subscribe("a" * 100)
    pattern = unit * (MB // len(unit))
    reply = client.call("PSUBSCRIBE", pattern)
    assert isinstance(reply, Error) and b"max-channel-length" in reply.text
    for command in (("PUBSUB", "CHANNELS"), ("COMMAND", "LIST", "FILTERBY", "PATTERN"), ("CONFIG", "GET"),
                    ("PUBSUB", "SHARDCHANNELS")):
        reply = promptly(lambda words=command: client.call(*words, pattern), 5)
        assert reply == [] or b"longer than" in reply.text or b"max-channel-length" in reply.text
    longest = (unit * 4096)[:4096]
    confirmed = client.call("PSUBSCRIBE", longest)
    assert confirmed[1] == longest.encode()
    promptly(lambda: reader.call("PING"))
    promptly(lambda: fanfared.connect().call("PUBLISH", "a" * 4096, "x"), 5)
    client.close()
    wait_until(lambda: fanfared.connect().call("PUBSUB", "NUMPAT") == 0, "the pattern is gone")


# CVE-2021-32675: a few bytes of an unauthenticated client reserved gigabytes.

@pytest.mark.parametrize("data, text", [
    (b"*11\r\n", b"unauthenticated multibulk length"),
    (b"*1048576\r\n", b"unauthenticated multibulk length"),
    (b"*2\r\n$16385\r\n", b"unauthenticated bulk length"),
    (b"*10\r\n$536870912\r\n", b"unauthenticated bulk length"),
])
def test_cve_2021_32675_who_has_not_logged_in_announces_little(start_server, data, text):
    server = start_server("--requirepass", "secret")
    client = server.connect()
    client.send(data)
    assert client.read_to_end() == b"-ERR Protocol error: " + text + b"\r\n"
    member = server.connect()
    member.ok("AUTH", "secret")
    member.send(b"*11\r\n$4\r\nPING\r\n" + b"$1\r\nx\r\n" * 10)
    assert isinstance(member.read_value(), Error)


def test_cve_2021_32675_what_is_only_announced_is_not_reserved(fanfared):
    admin = fanfared.connect()
    before = used_memory(admin)
    crowd = []
    for _ in range(200):
        crowd.append(fanfared.connect())
        crowd[-1].send(b"*1048576\r\n$536870912\r\n")
    wait_until(lambda: len(admin.client_list()) == 201, "they are there")
    assert used_memory(admin) - before < 16 * MB


# CVE-2021-41099, CVE-2021-21309: lengths near the end of what an integer holds, or a proto-max-bulk-len that let them
# through, overflowed when room for them was reckoned.

@pytest.mark.parametrize("data", [
    b"*9223372036854775807\r\n", b"*9223372036854775808\r\n", b"*18446744073709551616\r\n", b"*2147483648\r\n",
    b"*4294967297\r\n", b"*1\r\n$9223372036854775807\r\n", b"*1\r\n$18446744073709551615\r\n",
    b"*1\r\n$4294967296\r\n", b"*1\r\n$2147483648\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$-9223372036854775808\r\n",
])
def test_cve_2021_41099_a_length_that_overflows_is_a_protocol_error(server, data):
    client = server.connect()
    client.send(data)
    assert client.read_to_end().startswith(b"-ERR Protocol error: invalid ")
    assert server.connect().call("PING") == b"PONG"


@pytest.mark.parametrize("value", ["4gb", "9223372036854775807", "18446744073709551615", "-1", "8589934592gb"])
def test_cve_2021_21309_proto_max_bulk_len_cannot_be_raised_to_where_it_overflows(fanfared, value):
    client = fanfared.connect()
    assert isinstance(client.call("CONFIG", "SET", "proto-max-bulk-len", value), Error)
    assert client.call("CONFIG", "GET", "proto-max-bulk-len") == [b"proto-max-bulk-len", b"536870912"]


# CVE-2022-35977: integers in arguments overflowed.

HUGE = ["9223372036854775807", "-9223372036854775808", "18446744073709551615", "4294967296", "2147483648", "-1",
        "99999999999999999999999999"]


@pytest.mark.parametrize("number", HUGE)
def test_cve_2022_35977_integers_at_their_ends_are_answered(fanfared, number):
    for words in (("SELECT", number), ("SLOWLOG", "GET", number), ("HELLO", number), ("CLIENT", "KILL", "ID", number),
                  ("CLIENT", "UNBLOCK", number), ("CLIENT", "LIST", "ID", number), ("OUTBOX", "SET", "BYTES", number),
                  ("OUTBOX", "SET", "MESSAGES", number), ("CLIENT", "NO-EVICT", number), ("MEMORY", "USAGE", number),
                  ("CONFIG", "SET", "maxclients", number), ("CONFIG", "SET", "slowlog-max-len", number)):
        with fanfared.connect() as client:
            client.command(*words)
            client.read_value()
    assert fanfared.connect().call("PING") == b"PONG"


# CVE-2023-41056: buffers that grew by certain sizes were reckoned wrongly and overrun.

def test_cve_2023_41056_arguments_of_all_sizes_about_a_power_of_two_come_back_whole(fanfared):
    client = fanfared.connect(timeout=60)
    sizes = [2 ** power + more for power in range(4, 21) for more in (-2, -1, 0, 1, 2)]
    for size in sizes:
        data = os.urandom(16) * (size // 16 + 1)
        client.send(encode("PING", data[:size]))
        assert client.read_value() == data[:size]
    pipeline = [b"%d" % size + b"." * size for size in sizes if size < 70000]
    client.send(b"".join(encode("PING", data) for data in pipeline))
    for data in pipeline:
        assert client.read_value() == data


# CVE-2025-21605: an unauthenticated client that does not read its errors made the output buffer grow without end.

def test_cve_2025_21605_errors_that_are_not_read_do_not_pile_up(start_fanfared):
    daemon = start_fanfared("--requirepass", "secret", "--auth-timeout", "0")
    admin = daemon.connect()
    admin.ok("AUTH", "secret")
    before = used_memory(admin)
    guest = Connection(daemon.address, receive_buffer=4096)
    guest.socket.settimeout(0.5)
    sent = 0
    with pytest.raises(socket.timeout):
        while sent < 200 * MB:
            sent += guest.socket.send(encode("GET", "x") * 1000)
    assert used_memory(admin) - before < 8 * MB
    guest.close()


# CVE-2025-48367: an unauthenticated connection that sends protocol errors without end starved the others.

def test_cve_2025_48367_a_protocol_error_is_a_connections_last_word(fanfared):
    client = fanfared.connect()
    stop = threading.Event()

    def storm():
        while not stop.is_set():
            with Connection(fanfared.address) as bad:
                try:
                    bad.send(b"*-x\r\n" * 1000)
                    assert bad.read_to_end().count(b"\r\n") <= 1
                except (Closed, OSError):
                    pass  # a reset was faster

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        promptly(lambda: client.call("PING"))
    stop.set()
    for thread in threads:
        thread.join(seconds(10))


# CVE-2016-10517: a web page made a browser send commands within an HTTP request.

@pytest.mark.parametrize("head", [b"POST / HTTP/1.1\r\nHost: 127.0.0.1:6379\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n",
                                  b"OPTIONS / HTTP/1.1\r\nhost: x\r\n"])
def test_cve_2016_10517_a_command_within_an_http_request_is_not_executed(fanfared, head):
    reader = fanfared.connect()
    reader.subscribe("c")
    browser = fanfared.connect()
    browser.send(head + b"\r\nPUBLISH c hijacked\r\n")
    browser.read_to_end()
    assert fanfared.connect().call("PUBLISH", "c", "own") == 1
    assert reader.read_value() == [b"message", b"c", b"own"]
    assert "HTTP" in fanfared.log()


# CVE-2016-8339: CONFIG SET client-output-buffer-limit took a class of clients that has no limits, and wrote past them.

@pytest.mark.parametrize("value", ["master 1 1 1", "master 1 1 1 normal 0 0 0", "normal 0 0 0 master 1 1 1", "normal 1",
                                   "normal 0 0 0 " * 1000 + "x", "x " * 4000, "normal -1 0 0", "pubsub 1 1 4294967296"])
def test_cve_2016_8339_limits_of_a_class_that_has_none_are_refused(fanfared, value):
    client = fanfared.connect()
    before = client.call("CONFIG", "GET", "client-output-buffer-limit")
    assert isinstance(client.call("CONFIG", "SET", "client-output-buffer-limit", value), Error)
    assert client.call("CONFIG", "GET", "client-output-buffer-limit") == before


# CVE-2024-31227, CVE-2024-51741: key rules that say neither R nor W were taken, and to show them ended the server.

@pytest.mark.parametrize("rule", ["%~x", "%~", "%", "(%~x)", "(%)", "%RR~x", "%X~x"])
def test_cve_2024_31227_a_key_rule_without_a_permission_is_refused(fanfared, rule):
    client = fanfared.connect()
    reply = client.call("ACL", "SETUSER", "x", rule)
    assert isinstance(reply, Error) and b"Syntax error" in reply.text
    assert client.call("ACL", "GETUSER", "x") is None
    client.ok("ACL", "SETUSER", "x", "%R", "(%RW)", "(%W~)")
    for words in (("ACL", "LIST"), ("ACL", "GETUSER", "x"), ("ACL", "DRYRUN", "x", "PING")):
        client.call(*words)
    assert client.call("PING") == b"PONG"


# CVE-2026-23479: a request that had waited was tried again, its client was evicted on the way, and used after that.

def test_cve_2026_23479_who_is_evicted_as_its_request_is_tried_again_is_let_go_of_once(fanfared):
    admin, reader, filler = fanfared.connect(), fanfared.connect(receive_buffer=4096), fanfared.connect()
    admin.ok("CONFIG", "SET", "outbox-block-timeout", "600000")
    reader.ok("OUTBOX", "SET", "POLICY", "block", "BYTES", "100000")
    reader.subscribe("c")
    # Connections are refused only when the system's buffers are full as well.
    while not all(admin.info("clients")["blocked_clients"] == "1" for _ in range(100)):
        filler.send(encode("PUBLISH", "c", "x" * 90000))
    waiting = [fanfared.connect() for _ in range(20)]
    for client in waiting:
        client.call("HELLO", "3")
        client.ok("OUTBOX", "SET", "POLICY", "disconnect", "BYTES", "50000")
        client.subscribe("c")
        client.send(encode("PUBLISH", "c", "x" * 60000))
    wait_until(lambda: admin.info("clients")["blocked_clients"] == "21", "all wait")
    # Each receives its own message, which exceeds the limit of its outbox.
    while len(admin.client_list()) > 3:
        reader.socket.recv(1 << 20)
    assert admin.call("PING") == b"PONG"
    for client in waiting:
        client.close()


# No number known to us: what an error repeats of a command's words could end the line and begin a reply of its own.

@pytest.mark.parametrize("word", ["x\r\n+OK", "x\n:1", "x\r\n$3\r\nabc"])
def test_an_error_that_repeats_words_stays_one_line(fanfared, word):
    client = fanfared.connect()
    for words in ((word,), ("PING" + word, word), ("CLIENT", word), ("CONFIG", "SET", word, word),
                  ("COMMAND", "GETKEYS", word), ("CONFIG", "SET", "maxclients", word), ("HELLO", "3", word)):
        client.send(encode(*words) + encode("PING", "marker"))
        assert isinstance(client.read_value(), Error)
        assert client.read_value() == b"marker"


# No CVE, but of the same kind: a few bytes of request for a reply of hundreds of kilobytes, again and again.

@pytest.mark.parametrize("words", [("COMMAND", "DOCS"), ("COMMAND",), ("INFO", "everything"), ("CONFIG", "GET", "*")])
def test_replies_much_larger_than_their_requests_are_not_made_ahead(fanfared, words):
    admin, greedy = fanfared.connect(), fanfared.connect(receive_buffer=4096)
    before = used_memory(admin)
    greedy.socket.settimeout(0.5)
    greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sent = 0
    with pytest.raises(socket.timeout):
        while sent < 50 * MB:
            sent += greedy.socket.send(encode(*words) * 1000)
    for _ in range(20):
        promptly(lambda: admin.call("PING"))
    assert used_memory(admin) - before < 8 * MB


# CVE-2023-36824: to find the keys among a command's arguments, as COMMAND GETKEYS does, overran a buffer.

@pytest.mark.parametrize("words", [
    ("COMMAND", "GETKEYS"), ("COMMAND", "GETKEYS", "publish"), ("COMMAND", "GETKEYS", "publish", "a", "b"),
    ("COMMAND", "GETKEYS", "spublish", "a", "b"), ("COMMAND", "GETKEYSANDFLAGS", "spublish"),
    ("COMMAND", "GETKEYS", "command", "getkeys", "command", "getkeys"), ("COMMAND", "GETKEYS", "", ""),
    ("COMMAND", "INFO", *["x" * 10000] * 100), ("COMMAND", "DOCS", *["publish"] * 10000),
    ("COMMAND", "GETKEYS", "client", "kill", *["id"] * 10000),
])
def test_cve_2023_36824_the_command_that_explains_commands_bears_all_arguments(fanfared, words):
    client = fanfared.connect()
    client.send(encode(*words) + encode("PING", "marker"))
    promptly(client.read_value, 5)
    assert client.read_value() == b"marker"


# CVE-2023-45145: between listen() and chmod() anyone could connect to the Unix socket.

def test_cve_2023_45145_a_unix_socket_has_its_mode_before_it_takes_connections(start_fanfared, folder):
    path = folder / "socket"
    modes = []

    def watch():
        end = time.monotonic() + seconds(10)
        while not modes and time.monotonic() < end:
            try:
                with Connection(path, timeout=1):
                    modes.append(stat.S_IMODE(os.stat(path).st_mode))
            except OSError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    start_fanfared("--unixsocket", path, "--unixsocketperm", "700")
    watcher.join()
    assert modes == [0o700]


# CVE-2021-32762: a server's reply that announces a huge array made redis-cli reserve too little, and overrun it.

@pytest.mark.parametrize("reply", [b"*1152921504606846976\r\n", b"*9223372036854775807\r\n:1\r\n", b"%4611686018427387904\r\n",
                                   b"$9223372036854775807\r\nabc", b"*1\r\n" * 10000, b"~18446744073709551615\r\n"])
def test_cve_2021_32762_the_tool_bears_replies_that_announce_too_much(fanfare_tool, reply):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            try:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(reply)
                    peer.shutdown(socket.SHUT_WR)
                    peer.recv(65536)
            except OSError:
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        run = subprocess.run([fanfare_tool, "-p", str(listener.getsockname()[1]), "call", "PING"], capture_output=True,
                             timeout=seconds(30), check=False)
        thread.join(seconds(10))
    assert 0 < run.returncode < 128 and run.stderr != b"", run
    assert len(run.stderr) < 10000


# CVE-2018-12326: a long host name on the command line overran a buffer of redis-cli.

@pytest.mark.parametrize("option", ["-h", "-p", "-u", "-s"])
def test_cve_2018_12326_the_tool_bears_long_words(fanfare_tool, option):
    run = subprocess.run([fanfare_tool, option, "x" * 100000, "ping"], capture_output=True, timeout=seconds(30),
                         check=False)
    assert 0 < run.returncode < 128, run.returncode
