"""Unused memory is returned to the system within seconds: the cases of bench/memory, with smaller numbers."""

import re
import resource

import pytest

from lib.memory_use import USES, Target, keys
from lib.wait import wait_until

MIB = 1 << 20
COUNTS = {"subscriptions": 100000, "patterns": 50000, "keys": 200000, "stuck": 50, "connections": 1500,
          "tls-connections": 300, "large-message": 16 * MIB, "last-values": 100000, "ring": 200000,
          "members": 50000, "pipeline": 100000}
# What each grows by at least; a pipeline is bounded, and grows by next to nothing.
GROWTHS = {"pipeline": 0, "connections": MIB, "tls-connections": 2 * MIB}
PIPELINE_MAX = 16 * MIB
LEFT = 0.35
NOISE = MIB  # pages of programs and stacks that were not touched before
OPTIONS = ("--client-output-buffer-limit", "pubsub 0 0 0", "--outbox-limit-bytes", 0, "--outbox-limit-messages", 0,
           "--maxmemory-pubsub", 0, "--maxclients", 2000)


def is_sanitized(daemon):
    """A sanitizer has a malloc of its own, which keeps what was freed."""
    with open(f"/proc/{daemon.pid}/maps", encoding="ascii", errors="replace") as maps:
        return re.search("lib[a-z]san", maps.read()) is not None


def gives_back(daemon, name):
    """True where the allocator gives the system what this use has freed; else it is enough that it was freed."""
    if is_sanitized(daemon):
        return False
    # libevent keeps a block for each descriptor; libc keeps the pages that these lie in.
    return name != "connections" or daemon.connect().info("memory")["mem_allocator"] != "libc"


def used_bytes(daemon):
    return int(daemon.connect(timeout=60).info("memory")["used_memory"])


def start(use, start_fanfared, start_tls_fanfared):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    if use.tls:
        daemon = start_tls_fanfared(*OPTIONS)
        return daemon, Target(daemon.pid, daemon.tls_address, daemon.certificates.ca)
    daemon = start_fanfared(*OPTIONS, "--unixsocket", "socket")
    return daemon, Target(daemon.pid, str(daemon.folder / "socket") if use.unix else daemon.address)


@pytest.mark.parametrize("name", list(USES))
def test_memory_goes_back_within_seconds(start_fanfared, start_tls_fanfared, name):
    daemon, target = start(USES[name], start_fanfared, start_tls_fanfared)
    USES[name].act(target, max(COUNTS[name] // 100, 1))
    if not gives_back(daemon, name):
        used = used_bytes(daemon)
        USES[name].act(target, max(COUNTS[name] // 10, 1))
        wait_until(lambda: used_bytes(daemon) <= used + NOISE, f"{name}: all that was used is freed", 20)
        return
    before = target.resident_bytes()
    USES[name].act(target, COUNTS[name])
    growth = target.peak_bytes() - before
    assert growth >= GROWTHS.get(name, 4 * MIB), "the use has become too small to show anything"
    if name == "pipeline":
        assert growth < PIPELINE_MAX
    wait_until(lambda: target.resident_bytes() <= before + LEFT * growth + NOISE,
               f"{name}: less than {before + LEFT * growth + NOISE} of {before} + {growth} bytes", 8)


def test_a_purge_gives_back_at_once_what_is_free(start_fanfared):
    daemon = start_fanfared()
    admin = daemon.connect(timeout=60)
    target = Target(daemon.pid, daemon.address)
    before = target.resident_bytes()
    keys(target, 200000)
    wait_until(lambda: admin.info("memory")["lazyfree_pending_objects"] == "0", "all keys are freed")
    growth = target.peak_bytes() - before
    assert growth > 8 * MIB
    admin.ok("MEMORY", "PURGE")
    if not is_sanitized(daemon):
        assert target.resident_bytes() < before + LEFT * growth + NOISE


def test_the_allocator_is_shown_as_redis_shows_it(start_fanfared, start_redis):
    ours, theirs = start_fanfared().connect(), start_redis().connect()
    pattern = re.compile("allocator|frag|rss")
    shown = {name: value for name, value in ours.info("memory").items() if pattern.search(name)}
    assert set(shown) >= {name for name in theirs.info("memory") if pattern.search(name)} - {"active_defrag_running"}
    allocated, active, resident = (int(shown["allocator_" + name]) for name in ("allocated", "active", "resident"))
    assert 0 < allocated <= active <= resident
    assert int(shown["allocator_frag_bytes"]) == active - allocated
    assert int(shown["allocator_rss_bytes"]) == resident - active
    assert float(shown["allocator_frag_ratio"]) == pytest.approx(active / allocated, abs=0.01)
    assert re.fullmatch(r"jemalloc-5\.\d+\.\d+|libc", shown["mem_allocator"])


@pytest.mark.parametrize("version", [2, 3])
def test_memory_stats_has_the_rows_of_redis_in_its_order_and_types(start_fanfared, start_redis, version):
    replies = []
    for daemon in (start_redis(), start_fanfared()):
        client = daemon.client(version)
        reply = client.call("MEMORY", "STATS")
        replies.append(reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2])))
    theirs, ours = replies
    assert list(ours)[:len(theirs)] == list(theirs)
    for name, value in theirs.items():
        # RESP2 has no doubles but strings.
        assert type(ours[name]) is type(value), name


def test_the_doctor_speaks_of_what_was_freed_or_finds_nothing(start_fanfared):
    daemon = start_fanfared()
    admin = daemon.connect(timeout=60)
    assert b"Too little memory" in admin.call("MEMORY", "DOCTOR") or is_sanitized(daemon)
    with daemon.connect(timeout=60) as client:
        for n in range(100):
            client.call("SET", f"key:{n}", b"x" * 100000)
        assert re.search(rb"\* |No problems found", admin.call("MEMORY", "DOCTOR"))
        client.call("FLUSHALL")
    assert admin.call("MEMORY", "MALLOC-STATS")
