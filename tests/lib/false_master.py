"""A server that looks like a master of a cluster, and lies."""

import contextlib
import threading

from lib.tls import Listener

INFO = b"cluster_enabled:1\r\ncluster_state:ok\r\ncluster_current_epoch:%d\r\n"
HELLO = (b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n"
         b"$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")


def bulk(text):
    text = text.encode() if isinstance(text, str) else text
    return b"$%d\r\n%s\r\n" % (len(text), text)


def slots_reply(*items):
    """CLUSTER SLOTS, of (first, last, host, port)."""
    return b"*%d\r\n" % len(items) + b"".join(
        b"*3\r\n:%d\r\n:%d\r\n*4\r\n%s:%d\r\n%s*0\r\n" % (first, last, bulk(host), port, bulk("0" * 40)) for first, last, host, port in items)


class FalseMaster(Listener):
    """Serves all slots, as it says. `replies` are functions, by the command in lower case, that return bytes, or None for the usual
    reply; they get the server, the arguments, and the channels that the connection is subscribed to."""

    def __init__(self, **replies):
        self.replies = replies
        self.epoch = 1
        self.asked = 0  # CLUSTER SLOTS
        self.count = {}
        self.lock = threading.Lock()
        super().__init__(self.talk)

    def slots(self):
        return slots_reply((0, 16383, "127.0.0.1", self.port))

    def talk(self, connection):
        connection.settimeout(None)
        names = set()
        with contextlib.suppress(EOFError, ConnectionError), connection.makefile("rb") as stream:
            while True:
                words = read_request(stream)
                connection.sendall(self.answer(words, names))

    def answer(self, words, names):
        verb = words[0].decode().lower()
        verb = f"{verb}_{words[1].decode().lower()}" if verb == "cluster" else verb
        with self.lock:
            self.count[verb] = self.count.get(verb, 0) + 1
        reply = self.replies[verb](self, words, names) if verb in self.replies else None
        return reply if reply is not None else self.usual(verb, words, names)

    def usual(self, verb, words, names):
        if verb == "hello":
            return HELLO
        if verb == "cluster_info":
            return bulk(INFO % self.epoch)
        if verb == "cluster_slots":
            return self.slots()
        if verb == "ping":
            return b"+PONG\r\n"
        if verb == "role":
            return b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
        if verb in ("ssubscribe", "sunsubscribe"):
            (names.add if verb == "ssubscribe" else names.discard)(words[1])
            return b">3\r\n%s%s:%d\r\n" % (bulk(verb), bulk(words[1]), len(names))
        if verb == "spublish":
            copy = b">3\r\n%s%s%s" % (bulk("smessage"), bulk(words[1]), bulk(words[2])) if words[1] in names else b""
            return copy + b":%d\r\n" % (words[1] in names)
        return b"-ERR unknown command\r\n"


def read_line(stream):
    line = stream.readline()
    if not line:
        raise EOFError
    return line


def read_request(stream):
    words = []
    for _ in range(int(read_line(stream)[1:])):
        length = int(read_line(stream)[1:])
        words.append(stream.read(length + 2)[:-2])
    return words
