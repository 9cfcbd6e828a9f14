"""Network namespaces that a test makes itself, the network between them, and servers in them. Nothing is left behind: a
namespace ends with its last process, and its devices with it.

A thread enters a namespace, opens a socket or starts a process there, and leaves it again: a socket stays in the namespace
in which it was opened. So one test process talks to servers in several namespaces.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys

from lib.daemon import Fanfared, Redis
from lib.resp import Connection
from lib.wait import wait_until

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
DEVICE = "wire"
EMULATOR = pathlib.Path(__file__).with_name("emulator.py")
MESS = {"delay": 0.01, "jitter": 0.008, "lose": 0.01, "duplicate": 0.02, "reorder": 0.05, "damage": 0.01}

libc = ctypes.CDLL(None, use_errno=True)


def missing_for_namespaces():
    """Names what is missing here to make namespaces with a network, or returns None."""
    if os.geteuid() != 0:
        return "root"
    if not shutil.which("ip"):
        return "ip (iproute2)"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        return "the right to make network namespaces"
    return None


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def _returning():
    """The thread is in its namespace again at the end."""
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _check(libc.setns(outside, CLONE_NEWNET), "setns")
        os.close(outside)


class Namespace:
    """A machine with a loopback device, and `address` on a wire to the network, whose other end is the file `wire`.

    It may have addresses that are shared: the network gives packets to the one that has the address now."""

    def __init__(self, address, shared=()):
        self.address, self.shared = address, shared
        with _returning():
            _check(libc.unshare(CLONE_NEWNET), "unshare")
            self.file = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self.wire = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(self.wire, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
            for words in (*(f"address add {one}/24 dev {DEVICE}" for one in (address, *shared)), f"link set {DEVICE} up",
                          "link set lo up"):
                subprocess.run(["ip", *words.split()], check=True)

    @contextlib.contextmanager
    def entered(self):
        with _returning():
            _check(libc.setns(self.file, CLONE_NEWNET), "setns")
            yield

    def close(self):
        os.close(self.wire)
        os.close(self.file)
        self.file = -1  # a thread of a failed test must not enter another one


class Network:
    """Namespaces with the addresses 10.77.0.1 and on, and an emulator of the network between them. The first `sharing` ones
    share the address SHARED, which the first one has."""

    SHARED = "10.77.0.100"

    def __init__(self, count, seed, sharing=0):
        self.namespaces = [Namespace(f"10.77.0.{n + 1}", [self.SHARED] if n < sharing else []) for n in range(count)]
        pairs = [f"{one.wire}={one.address}" for one in self.namespaces]
        self.emulator = subprocess.Popen(
            [sys.executable, str(EMULATOR), str(seed), *pairs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            pass_fds=[one.wire for one in self.namespaces])
        if sharing:
            self.move_shared(self.namespaces[0])

    def order(self, **words):
        """Returns what was done to packets so far."""
        self.emulator.stdin.write(json.dumps(words) + "\n")
        self.emulator.stdin.flush()
        return json.loads(self.emulator.stdout.readline())

    def move_shared(self, namespace):
        """Connections to the one that had the address are reset when they send."""
        self.order(address=self.SHARED, to=namespace.address)

    def set(self, namespace, ways=("up", "down"), **faults):
        """The faults of a link from now on, none without arguments; returns what was done to packets so far."""
        for way in ways:
            done = self.order(address=namespace.address, way=way, faults=faults)
        return done

    @contextlib.contextmanager
    def failing(self, namespace, ways=("up", "down"), **faults):
        self.set(namespace, ways, **faults)
        try:
            yield
        finally:
            self.set(namespace, ways)

    def close(self):
        self.emulator.stdin.close()
        self.emulator.wait()
        self.emulator.stdout.close()
        for one in self.namespaces:
            one.close()


class InNamespace:
    """A server in a namespace; the connections of the test to it are made there. Ports need not be free elsewhere."""

    def __init__(self, *arguments, namespace, **more):
        super().__init__(*arguments, **more)
        self.namespace = namespace

    def start(self, port=None):
        with self.namespace.entered():
            return super().start(port or 6379)

    def connect(self, **options):
        with self.namespace.entered():
            return super().connect(**options)


    def addresses(self):
        return [self.host, self.namespace.address, *self.namespace.shared]


class RedisInNamespace(InNamespace, Redis):
    def arguments(self, port):
        return [*super().arguments(port), "--bind", *self.addresses(), "--protected-mode", "no"]


class SentinelInNamespace(RedisInNamespace):
    """`configuration` is the path of its file, which it rewrites."""

    name = "redis-sentinel"

    def __init__(self, *arguments, configuration, **more):
        super().__init__(*arguments, **more)
        self.configuration = configuration

    def arguments(self, port):
        return [shutil.which("redis-server"), str(self.configuration), "--sentinel", "--port", str(port)]

    def _came_up(self):
        """A sentinel does not know QUIT."""
        def answers():
            try:
                with Connection(self.address, timeout=5) as probe:
                    return probe.call("PING") == b"PONG"
            except OSError:
                return False

        wait_until(answers, "the sentinel answers")
        return True


class FanfaredInNamespace(InNamespace, Fanfared):
    def arguments(self, port):
        return [*super().arguments(port), "--bind", " ".join(self.addresses()), "--protected-mode", "no"]
