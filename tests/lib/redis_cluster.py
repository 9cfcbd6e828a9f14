"""A Redis Cluster of a few processes on loopback."""

from lib.daemon import free_port
from lib.wait import wait_until

SLOTS = 16384


def crc16(data):
    """CRC-16/XMODEM, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def slot_of(name):
    name = name.encode() if isinstance(name, str) else name
    head, brace, tail = name.partition(b"{")
    tag, end, _ = tail.partition(b"}")
    return crc16(tag if brace and end and tag else name) % SLOTS


class RedisCluster:
    """start is start_redis. nodes are the servers: first the masters, then one replica of each, if any."""

    def __init__(self, start, masters=3, replicas=False, options=(), password=None, timeout_ms=1000):
        self.password = password
        self.count = masters
        self.nodes = []
        for _ in range(masters * (1 + replicas)):
            bus = free_port()
            more = ("--requirepass", password, "--masterauth", password) if password else ()
            node = start("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{bus}.conf", "--cluster-port", bus,
                         "--cluster-node-timeout", timeout_ms, "--cluster-replica-validity-factor", 0, "--repl-diskless-sync-delay", 0, *more, *options)
            node.bus = bus
            self.nodes.append(node)
        self.masters = self.nodes[:masters]
        self.replicas = self.nodes[masters:]
        for i, node in enumerate(self.masters):
            first, last = SLOTS * i // masters, SLOTS * (i + 1) // masters - 1
            self.call(node, "CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            self.call(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            self.call(self.nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        for node in self.nodes:
            wait_until(lambda: self.known(node) == len(self.nodes), "the nodes of the cluster know each other", 30)
        for i, node in enumerate(self.replicas):
            self.call(node, "CLUSTER", "REPLICATE", self.id(self.masters[i]))
        for node in self.nodes:
            wait_until(lambda: self.is_whole(node), "the cluster is up", 30)
        for node in self.replicas:
            wait_until(lambda: b"master_link_status:up" in self.call(node, "INFO", "replication"), "the replica follows", 30)

    def connect(self, node):
        client = node.connect()
        if self.password:
            client.ok("AUTH", self.password)
        return client

    def call(self, node, *words):
        with self.connect(node) as client:
            return client.call(*words)

    def known(self, node):
        lines = self.call(node, "CLUSTER", "NODES").decode().splitlines()
        return sum("handshake" not in line for line in lines)

    def is_whole(self, node):
        info = self.call(node, "CLUSTER", "INFO")
        slots = self.call(node, "CLUSTER", "SLOTS")
        return b"cluster_state:ok" in info and all(
            len(item) == 3 + (len(self.replicas) > 0) for item in slots) and len(slots) >= self.count

    def id(self, node):
        return self.call(node, "CLUSTER", "MYID").decode()

    def urls(self, *nodes, login=""):
        """The value of upstream."""
        if self.password and not login:
            login = f":{self.password}@"
        return " ".join(f"redis://{login}127.0.0.1:{node.port}" for node in nodes or self.masters)

    def owner(self, slot, asked=None):
        """The server that serves the slot, as one node says."""
        for first, last, master, *_ in self.call(asked or self.masters[0], "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        return None

    def move(self, slot, target):
        """A whole migration of a slot that has no keys."""
        source = self.owner(slot, target)
        if source is target:
            return
        self.call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        self.call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(target))
        self.call(target, "CLUSTER", "SETSLOT", slot, "NODE", self.id(target))
        self.call(source, "CLUSTER", "SETSLOT", slot, "NODE", self.id(target))

    def channel_at(self, node, prefix="c"):
        """A channel that the master serves."""
        return next(name for name in (f"{prefix}{i}" for i in range(100000)) if self.owner(slot_of(name)) is node)
