"""A network that fails as it is told: a switch between TUN devices, because not every kernel has netem.

    emulator.py SEED FD=ADDRESS...

Each FD is a TUN device, and ADDRESS the IPv4 address behind it. A line of JSON on standard input sets the faults of one
direction of one link: {"address": ..., "way": "up" or "down", "faults": {...}}; up is from the node into the network. Or it
moves a second address to a node: {"address": ..., "to": the node's own address}. Each line is answered by a line of JSON: what
was done to packets so far. Faults, all of them off by default:

    delay, jitter         seconds; jitter is added or subtracted at random, so that packets overtake one another
    lose, duplicate, damage, reorder
                          probabilities; damage inverts a bit, and reorder sends a packet without its delay
    is_down               nothing passes
    resets                TCP segments are answered by a reset to their sender, as a firewall does
"""

import collections
import heapq
import json
import os
import random
import selectors
import socket
import struct
import sys
import time

ROOM = 65536
FIN, SYN, RST, ACK = 1, 2, 4, 16


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def reset_to_sender(packet):
    """The packet that resets the TCP connection of this one, or None; see RFC 9293, 3.10.7.1."""
    header = (packet[0] & 15) * 4
    if packet[9] != socket.IPPROTO_TCP or len(packet) < header + 20:
        return None
    source, target, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", packet, header)
    if flags & RST:
        return None
    length = len(packet) - header - (offset >> 4) * 4 + bool(flags & SYN) + bool(flags & FIN)
    seq, ack, flags = (ack, 0, RST) if flags & ACK else (0, (seq + length) & 0xffffffff, RST | ACK)
    addresses = packet[16:20] + packet[12:16]
    segment = struct.pack("!HHIIBBHHH", target, source, seq, ack, 5 << 4, flags, 0, 0, 0)
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    outer = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    return outer[:10] + struct.pack("!H", checksum(outer)) + outer[12:] + segment


class Link:
    def __init__(self, fd):
        self.fd = fd
        self.ways = {"up": {}, "down": {}}


class Switch:
    def __init__(self, seed, links):
        self.random = random.Random(seed)
        self.links = links  # by address as bytes
        self.queue = []     # (due, number, fd, packet)
        self.number = 0
        self.done = collections.Counter()

    def happens(self, faults, name):
        if self.random.random() >= faults.get(name, 0):
            return False
        self.done[name] += 1
        return True

    def send(self, link, packet, delay=0):
        self.number += 1
        heapq.heappush(self.queue, (time.monotonic() + delay, self.number, link.fd, packet))

    def take(self, link, packet):
        target = self.links.get(packet[16:20])
        if target is None or self.links.get(packet[12:16]) is not link:  # or IPv6, or the node no longer has this address
            return
        self.done["packets"] += 1
        delay, is_first, is_damaged, copies = 0, False, False, 1
        for faults in (link.ways["up"], target.ways["down"]):
            if faults.get("is_down"):
                self.done["is_down"] += 1
                return
            if faults.get("resets"):
                answer = reset_to_sender(packet)
                if answer:
                    self.done["resets"] += 1
                    self.send(link, answer)
                return
            if self.happens(faults, "lose"):
                return
            copies += self.happens(faults, "duplicate")
            is_first |= self.happens(faults, "reorder")
            if not is_damaged and self.happens(faults, "damage"):  # once: a checksum may not find two wrong bits
                is_damaged = True
                packet = bytearray(packet)
                bit = self.random.randrange(len(packet) * 8)
                packet[bit // 8] ^= 1 << bit % 8
            delay += faults.get("delay", 0) + faults.get("jitter", 0) * self.random.uniform(-1, 1)
        for _ in range(copies):
            self.send(target, bytes(packet), 0 if is_first else max(delay, 0))

    def deliver(self):
        """Returns the time until the next packet is due."""
        while self.queue:
            wait = self.queue[0][0] - time.monotonic()
            if wait > 0:
                return wait
            _, _, fd, packet = heapq.heappop(self.queue)
            try:
                os.write(fd, packet)
            except OSError:  # its header is damaged, or the device is not up
                pass
        return None

    def obey(self, line):
        order = json.loads(line)
        address = socket.inet_aton(order["address"])
        if "to" in order:
            self.links[address] = self.links[socket.inet_aton(order["to"])]
        else:
            self.links[address].ways[order["way"]] = order["faults"]
        print(json.dumps(self.done), flush=True)


def main():
    seed, *pairs = sys.argv[1:]
    links = {}
    for pair in pairs:
        fd, _, address = pair.partition("=")
        links[socket.inet_aton(address)] = Link(int(fd))
        os.set_blocking(int(fd), False)
    switch = Switch(int(seed), links)
    selector = selectors.DefaultSelector()
    for link in links.values():
        selector.register(link.fd, selectors.EVENT_READ, link)
    selector.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(switch.deliver()):
            if key.fd == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                switch.obey(line)
                continue
            try:
                for _ in range(64):
                    switch.take(key.data, os.read(key.fd, ROOM))
            except BlockingIOError:
                pass


if __name__ == "__main__":
    main()
