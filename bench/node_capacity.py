"""What a number of leaves on one redis-server carry: the constants of a formula, measured, and what follows from it."""

import statistics

from node_load import WebLeaf, loaded
from node_peers import MEMBERS, PACES, PLACES, ROOMS

LEAVES = 8  # beside the one that publishes
INTERESTED = (0, 1, 2, 4, 8)  # leaves with a member
FANS = (1, 5, 25)  # members at one leaf
LOADS = {"burst": f"bursts of {ROOMS}, to as many channels", "channel": f"bursts of {ROOMS}, to one channel",
         "single": "one at a time"}
EXAMPLES = [(1, "one node"), (MEMBERS, "one node"), (MEMBERS, "all nodes"), (1000, "all nodes")]
NODES = (1, 2, 3, 8)


def line(points):
    """(constant, slope, worst relative error) of the line through the points (x, y), by least squares of relative errors."""
    weights = [1 / y ** 2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points)) / total
    slope = (sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points)) /
             sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points)))
    constant = mean_y - slope * mean_x
    return constant, slope, max(abs(constant + slope * x - y) / y for x, y in points)


class Constants:
    """For a load; all in microseconds of processor time."""

    def __init__(self, costs):
        """Costs are {group of rooms: [Cost of each round]}; a group is wanted.K or fan.D."""
        def middle(group, figure):
            return statistics.median(figure(cost) for cost in costs[group])
        self.engine_points = [(k, middle(f"wanted.{k}", lambda cost: cost.engine)) for k in INTERESTED]
        self.fan_points = [(d, middle(f"fan.{d}", lambda cost: cost.nodes[1])) for d in FANS]
        self.a, self.b, self.engine_error = line(self.engine_points)
        self.e, self.g, self.fan_error = line(self.fan_points)
        self.c = statistics.median(cost.nodes[0] for rounds in costs.values() for cost in rounds)

    def engine(self, k):
        """For each message that k nodes want."""
        return self.a + self.b * k

    def nodes(self, k, deliveries):
        """Of all nodes together, for each message that k nodes want and that is delivered so many times."""
        return self.c + self.e * k + self.g * deliveries


def turns_of(group, load):
    rooms = tuple(f"{group}.{n}" for n in range(ROOMS))
    return {"burst": [rooms], "channel": [rooms[:1] * ROOMS], "single": [(room,) for room in rooms]}[load]


def measure(build, rounds, seconds):
    """{load: Constants}"""
    groups = {f"wanted.{k}": [(number, 1) for number in range(1, k + 1)] for k in INTERESTED}
    groups.update((f"fan.{d}", [(1, d)]) for d in FANS)
    with loaded(WebLeaf, build, LEAVES + 1) as system:
        for group, members in groups.items():
            for n in range(ROOMS):
                system.sizes[f"{group}.{n}"] = 0
                for number, count in members:
                    system.join(system.nodes[number], f"{group}.{n}", count)
        costs = {load: {group: [] for group in groups} for load in LOADS}
        for number in range(rounds + 1):
            for load in LOADS:
                for group in groups:
                    cost = system.measure(turns_of(group, load), seconds if number else seconds / 4)
                    if number:  # the first one only makes it warm
                        costs[load][group].append(cost)
    return {load: Constants(costs[load]) for load in LOADS}


def points(found):
    return ", ".join(f"{x}: {y:.2f}" for x, y in found)


def constants(add, found):
    add("", "## What n nodes carry", "",
        "In a second p messages are published, in equal parts at n nodes. A fraction f of the nodes want a message, on average, so "
        "that n f nodes get it, and it is delivered d times in all. The processor time of a second, in microseconds, is", "",
        "    redis-server:  p (a + b n f)",
        "    each node:     (p / n) c  +  p f e  +  (p d / n) g",
        "", "with a to take a message, b for each node that wants it, c to publish it at a node, e to receive it from redis-server "
        "and g for each delivery. A process with one thread is saturated at 1 000 000 us. So the system carries the lower of", "",
        "    redis-server:  p = 1 000 000 / (a + b n f)",
        "    nodes:         p = 1 000 000 n / (c + n f e + d g)",
        "", f"Measured, in us, with {LEAVES + 1} leaves, of which one only publishes, 64 B, over WebSocket: a and b by the line "
        "through the points of redis-server, c and the line of e and g from two leaves. The constants depend on how messages come, "
        "because messages that come at once share system calls: a burst to many channels between redis-server and the nodes, a "
        "burst to one channel also between a node and its clients.", "",
        "| load | a | b | c | e | g |", "| --- |" + " --- |" * 5)
    for load, of in found.items():
        add(f"| {LOADS[load]} | {of.a:.2f} | {of.b:.2f} | {of.c:.2f} | {of.e:.2f} | {of.g:.2f} |")
    add("", "The points, in us, and the largest distance of the line from one of them:", "",
        "| load | redis-server, by leaves that want the message | line | a leaf, by members | line |", "| --- |" + " --- |" * 4)
    for load, of in found.items():
        add(f"| {LOADS[load]} | {points(of.engine_points)} | {of.engine_error:.0%} | {points(of.fan_points)} | "
            f"{of.fan_error:.0%} |")


def check(add, found, compared):
    """The formula beside the measured rows of fanfared in the comparison: three nodes."""
    add("", "The formula beside the rows of fanfared above, which have no part in the constants:", "",
        "| members | pace | redis-server, us a message: formula | measured | nodes, us a delivery: formula | measured |",
        "| --- |" + " --- |" * 5)
    for (place, pace), costs in compared.items():
        k = {"one": 1, "all": 3}[place]
        engine = statistics.median(cost.engine for cost in costs)
        delivery = statistics.median(cost.delivery for cost in costs)
        add(f"| {PLACES[place]} | {PACES[pace]} | {found[pace].engine(k):.2f} | {engine:.2f} | "
            f"{found[pace].nodes(k, MEMBERS) / MEMBERS:.2f} | {delivery:.2f} |")
    add("", f"With the members of each room at one node, a burst is split: each node gets {ROOMS // 3} of its {ROOMS} messages at once, "
        f"and not {ROOMS} as in the measurement of the constants. Fewer messages share a system call, so such bursts cost "
        "redis-server more than the formula says, and less than messages that come one at a time.")


def rounded(number):
    """To two digits, with spaces between thousands."""
    digits = len(str(int(number)))
    return f"{round(number, 2 - digits):,.0f}".replace(",", " ")


def examples(add, found):
    add("", "Examples: messages a second, and what is saturated first.", "",
        "| d | members | n | " + " | ".join(LOADS.values()) + " |", "| --- |" + " --- |" * (2 + len(LOADS)))
    for deliveries, place in EXAMPLES:
        for n in NODES:
            cells = []
            for of in found.values():
                k = 1 if place == "one node" else n
                carried = [(1e6 / of.engine(k), "redis-server"), (1e6 * n / of.nodes(k, deliveries), "nodes")]
                cells.append("{}, {}".format(*(f(x) for f, x in zip((rounded, str), min(carried)))))
            add(f"| {deliveries} | at {place} | {n} | " + " | ".join(cells) + " |")
    of = found["burst"]
    limits = ", ".join(f"{of.nodes(1, d) / of.engine(1):.0f} nodes for d = {d}" for d in (1, MEMBERS, 1000))
    add("", "With more nodes than n = (c + n f e + d g) / (a + b n f), redis-server is saturated before the nodes, and a further node "
        f"adds nothing. With members at one node (n f = 1) and bursts to many channels this is at {limits}.", "",
        "Measured are the constants, on one machine over loopback, and the rows of three nodes. Extrapolated are all of the "
        "examples: those of redis-server lie within its measured points, those of a node with 1 000 deliveries far outside. The "
        "formula assumes a processor for each process. It leaves out the network and its interrupts, other sizes of messages, "
        "TLS, history, and nodes with several threads. Messages that come one at a time cost most. A busy process finds several "
        "messages at once, so before it is saturated its costs come near those of bursts.")
