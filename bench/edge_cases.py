"""The servers and subscribers of bench/edge.

Subscribers of a kind form a group with a channel of its own in the same server. The publisher sends a batch and waits for
its replies and until each subscriber of the group has all of it, so that each delivery has the same part of a turn of the
server. A payload is JSON and has one MARK, by which messages are counted.
"""

import os
import select
import socket
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests")]

import peers as brokers  # noqa: E402  (the path must be set first)
from lib.resp import Connection, encode  # noqa: E402

MARK = b"^"  # no byte of a frame's head with the lengths here, nor of other text
TIMEOUT_S = 60
SOURCES = [f"127.0.1.{n}" for n in range(1, 21)]  # a single address has 28 000 ports
NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so"
FRAME_KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
KEEPS = "history-size 10 history-ttl 600"  # as nchan does without options


class Fanfared(brokers.Fanfared):
    """With RESP, HTTP and, if asked for, HTTPS. Channels plain.* keep nothing, other ones KEEPS."""

    options = ""

    def __init__(self, build, tls=False):
        super().__init__(build)
        self.http_port = brokers.free_port()
        self.https_port = brokers.free_port() if tls else 0

    def arguments(self):
        path = self.write("edge.conf", f"""
http-port {self.http_port}
http-bind 127.0.0.1
edge-anonymous yes
edge-ping-interval 3600
sse-heartbeat 3600
edge-outbox-limit-bytes 64mb
user edge on resetchannels &* +@all
channel * {KEEPS}
channel plain.* history-size 0
{self.options}
""")
        tls = self.tls_arguments(brokers.free_port()) if self.https_port else []
        return [path, *super().arguments(), *tls, "--https-port", str(self.https_port)]


class Nchan(brokers.Peer):
    name = "nchan"
    program = "nginx"
    worker = None

    def __init__(self, build, tls=False):
        super().__init__(build, tls)
        self.http_port = self.port
        self.https_port = self.port

    def version(self):
        text = subprocess.run([self.path(), "-v"], capture_output=True, text=True, check=False).stderr
        found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"], capture_output=True,
                               text=True, check=False)
        return f"{found.stdout or '?'} in nginx {text.strip().rpartition('/')[2]}"

    def arguments(self):
        if not os.path.exists(NCHAN):
            raise brokers.Unavailable(f"{NCHAN} is missing: install libnginx-mod-nchan")
        tls = ""
        if self.tls:
            self.tls_arguments(0)
            tls = "ssl_certificate server.pem; ssl_certificate_key server.key;"
        return ["-p", self.folder, "-e", "stderr", "-c", self.write("nginx.conf", f"""
daemon off; user root; worker_processes 1; pid nginx.pid; error_log stderr crit;
load_module {NCHAN};
events {{ worker_connections {self.clients()}; }}
http {{
  access_log off; keepalive_requests 1000000000; nchan_shared_memory_size 512M;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{self.port} {'ssl' if self.tls else ''} backlog=4096; {tls}
    location ~ ^/pub/(.+)$ {{ nchan_publisher http; nchan_channel_id $1; }}
    location ~ ^/sub/(.+)$ {{ nchan_subscriber websocket eventsource; nchan_channel_id $1;
                              nchan_subscriber_first_message newest; }}
  }}
}}
""")]

    @property
    def pid(self):
        """Of the worker."""
        if self.worker is None:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
                self.worker = int(file.read().split()[0])
        return self.worker


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def connect(port, number=0, context=None):
    """From one of several addresses, by the number."""
    connection = socket.socket()
    connection.settimeout(TIMEOUT_S)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.bind((SOURCES[number % len(SOURCES)], 0))
    connection.connect(("127.0.0.1", port))
    return context.wrap_socket(connection) if context else connection


def read_until(connection, text):
    data = b""
    while text not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"closed after {data[-300:]!r}")
        data += more
    return data


def request(path, *headers):
    return b"".join([b"GET ", path.encode(), b" HTTP/1.1\r\nHost: localhost\r\n", *headers, b"\r\n"])


def text_frame(text):
    """Of a client, with a mask that changes nothing."""
    head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else b"\x81\xfe" + len(text).to_bytes(2, "big")
    return head + bytes(4) + text


def demand(connection, data, status):
    connection.sendall(data)
    head = read_until(connection, b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 %d " % status):
        raise ConnectionError(f"refused: {head[:300]!r}")


# How a subscriber of each kind begins: with its connection and the name of its channel.


def begin_resp(connection, channel):
    connection.sendall(encode("SUBSCRIBE", channel))
    read_until(connection, b":1\r\n")


def begin_sse(connection, channel):
    demand(connection, request(f"/sse?channel={channel}"), 200)


def shake_hands(connection, path):
    demand(connection, request(path, b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                               FRAME_KEY), 101)


def begin_ws(connection, channel):
    shake_hands(connection, "/ws")
    connection.sendall(text_frame(b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"%s"}}' % channel.encode()))
    read_until(connection, b'"subscribe":{')


def begin_nchan_sse(connection, channel):
    demand(connection, request(f"/sub/{channel}", b"Accept: text/event-stream\r\n"), 200)


def begin_nchan_ws(connection, channel):
    shake_hands(connection, f"/sub/{channel}")


# kind: the server, the function, whether it speaks HTTP
KINDS = {
    "RESP": (Fanfared, begin_resp, False),
    "SSE": (Fanfared, begin_sse, True),
    "WebSocket": (Fanfared, begin_ws, True),
    "SSE by POST": (Fanfared, begin_sse, True),
    "nchan SSE": (Nchan, begin_nchan_sse, True),
    "nchan WebSocket": (Nchan, begin_nchan_ws, True),
}


class Publisher:
    """By RESP or HTTP."""

    def __init__(self, server, channel, payload, pipeline, by_http):
        if by_http:
            self.connection = connect(server.http_port)
            message = b"".join([b"POST /pub/", channel.encode(), b" HTTP/1.1\r\nHost: localhost\r\nAccept: text/json\r\n"
                                b"Content-Length: %d\r\n\r\n" % len(payload), payload])
            self.reply_mark = b"}"
        else:
            self.connection = connect(server.port)
            message = encode("PUBLISH", channel, payload)
            self.reply_mark = b"\n"
        self.pipeline = pipeline
        self.batch = message * pipeline

    def send(self):
        self.connection.sendall(self.batch)


def payload_of(size):
    return b'{"text":"' + b"x" * (size - 12) + MARK + b'"}'


class Group:
    """The subscribers of a kind and their publisher."""

    def __init__(self, server, kind, channel, count, size, pipeline):
        _, begin, is_http = KINDS[kind]
        self.server = server
        self.name = kind
        self.publisher = Publisher(server, channel, payload_of(size), pipeline,
                                   isinstance(server, Nchan) or kind == "SSE by POST")
        self.room = bytearray(1 << 20)
        self.poll = select.epoll()
        self.connections = {}
        for n in range(count):
            connection = connect(server.http_port if is_http else server.port, n)
            begin(connection, channel)
            self.connections[connection.fileno()] = connection
            self.poll.register(connection.fileno(), select.EPOLLIN)
        self.poll.register(self.publisher.connection.fileno(), select.EPOLLIN)

    def turn(self):
        """Sends a batch and waits until all is there."""
        replies = self.publisher.pipeline
        due = replies * len(self.connections)
        publisher = self.publisher.connection
        self.publisher.send()
        while due > 0 or replies > 0:
            ready = self.poll.poll(TIMEOUT_S, 1024)
            if not ready:
                raise ConnectionError(f"{due} deliveries and {replies} replies did not come")
            for handle, _ in ready:
                is_reply = handle == publisher.fileno()
                n = (publisher if is_reply else self.connections[handle]).recv_into(self.room)
                if n == 0:
                    raise ConnectionError("the server closed a connection")
                if is_reply:
                    replies -= self.room.count(self.publisher.reply_mark, 0, n)
                else:
                    due -= self.room.count(MARK, 0, n)
        if due < 0 or replies < 0:
            raise ConnectionError(f"more came than was sent: {self.name}: {-due} deliveries, {-replies} replies")

    def cost(self, seconds):
        """Microseconds of the server for each delivery."""
        deliveries, end = 0, time.monotonic() + seconds
        before = brokers.cpu_seconds(self.server.pid)
        while deliveries == 0 or time.monotonic() < end:
            self.turn()
            deliveries += self.publisher.pipeline * len(self.connections)
        return (brokers.cpu_seconds(self.server.pid) - before) * 1e6 / deliveries

    def close(self):
        for connection in (*self.connections.values(), self.publisher.connection, self.poll):
            connection.close()


def costs(build, kinds, shape, options):
    """{kind: [us/delivery of each round]}; shape is (subscribers, bytes, pipeline). A kind may be (kind, channel)."""
    count, size, pipeline = shape
    servers, groups = {}, {}
    found = {kind: [] for kind in kinds}
    try:
        for number, kind in enumerate(kinds):
            name, channel = kind if isinstance(kind, tuple) else (kind, f"news.{number}")
            server = KINDS[name][0]
            if server not in servers:
                servers[server] = server(build).__enter__()
            groups[kind] = Group(servers[server], name, channel, count, size, pipeline)
        for group in groups.values():
            group.cost(options.seconds / 4)
        for _ in range(options.rounds):
            for kind, group in groups.items():
                found[kind].append(group.cost(options.seconds))
    finally:
        for group in groups.values():
            group.close()
        for server in servers.values():
            server.__exit__()
    return found


def idle_bytes(build, kind, count, tls):
    """Memory of the server for each of this many connections that have a channel each and are silent."""
    server_class, begin, is_http = KINDS[kind]
    with server_class(build, tls) as server:
        context = None
        if tls:
            context = ssl.create_default_context(cafile=os.path.join(server.folder, "ca.pem"))
            context.check_hostname = False
        port = (server.https_port if tls else server.http_port) if is_http else server.port
        connections = []

        def add(first, last):
            for n in range(first, last):
                connections.append(connect(port, n, context))
                begin(connections[-1], f"plain.{n:015}")

        try:
            add(0, count // 50)
            before = settled_bytes(server.pid)
            add(count // 50, count // 50 + count)
            return (settled_bytes(server.pid) - before) / count
        finally:
            for connection in connections:
                connection.close()


def settled_bytes(pid):
    """When it has not changed for a second."""
    last, since = resident_bytes(pid), time.monotonic()
    while time.monotonic() < since + 1:
        time.sleep(0.1)
        now = resident_bytes(pid)
        if now != last:
            last, since = now, time.monotonic()
    return last


class WithKey(Fanfared):
    """Knows the key of the tokens that bench/tokens makes. Each allows news and a channel of its own, user.N."""

    options = "token-public-key-file public.pem"

    def __init__(self, build, count):
        super().__init__(build)
        self.count = count
        self.tokens = None

    def arguments(self):
        program = os.path.join(self.build, "bench", "tokens")
        if not os.path.exists(program):
            raise brokers.Unavailable(f"{program} is missing: `make bench/tokens`")
        made = subprocess.run([program, str(self.count), "public.pem"], cwd=self.folder, capture_output=True, check=True)
        self.tokens = made.stdout.split()
        return super().arguments()


class Resuming:
    """Clients that come back at once, each with a token and a channel of its own, for the messages that they missed."""

    NEWS = 3  # that all have missed; and each a message of its own channel
    AT_ONCE = 2000  # connections that have no answer yet: fewer than the backlog

    def __init__(self, server, most):
        self.server = server
        self.most = most  # connections that may be open
        self.poll = select.epoll()
        self.missed = self.NEWS + 1
        self.open = {}  # by handle: [connection, messages due]
        self.admin = Connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)
        self.position = self.miss()

    def miss(self):
        """Publishes what all have missed; returns the position before it."""
        with connect(self.server.http_port) as first:
            first.sendall(self.request_of(0))
            position = read_until(first, b"\n\n").partition(b"id: ")[2].split()[0]
        words = [encode("PUBLISH", "news", payload_of(64))] * self.NEWS
        words += [encode("PUBLISH", f"user.{n}", payload_of(64)) for n in range(self.server.count)]
        for at in range(0, len(words), 1000):
            self.admin.send(b"".join(words[at:at + 1000]))
            for _ in words[at:at + 1000]:
                self.admin.read_line()
        return position

    def request_of(self, number, *headers):
        return request(f"/sse?channel=news&channel=user.{number}",
                       b"Authorization: Bearer " + self.server.tokens[number] + b"\r\n", *headers)

    def begin(self, number):
        connection = connect(self.server.http_port, number)
        connection.sendall(self.request_of(number, b"Last-Event-ID: " + self.position + b"\r\n"))
        self.open[connection.fileno()] = [connection, self.missed]
        self.poll.register(connection.fileno(), select.EPOLLIN)

    def receive(self, wait_s):
        """Returns the handles of those that have all now."""
        complete = []
        for handle, _ in self.poll.poll(wait_s, 1024):
            entry = self.open[handle]
            data = entry[0].recv(1 << 16)
            if not data or b"lagged" in data or data.count(MARK) > entry[1]:
                raise ConnectionError(f"a client lost something, or has something twice, {entry[1]} due: {data!r}")
            entry[1] -= data.count(MARK)
            if entry[1] == 0 and MARK in data:
                complete.append(handle)
        return complete

    def storm(self):
        """Seconds until all have what they missed."""
        begun = done = 0
        count, start = self.server.count, time.monotonic()
        while done < count:
            while begun < min(count, done + self.AT_ONCE) and len(self.open) < self.most:
                self.begin(begun)
                begun += 1
            for handle in self.receive(0 if begun < count else TIMEOUT_S):
                done += 1
                if done <= count - self.most:
                    self.close(handle)
        return time.monotonic() - start

    def hear(self):
        """A message that is published now reaches those that have stayed."""
        left = len(self.open)
        for entry in self.open.values():
            entry[1] = 1
        self.admin.call("PUBLISH", "news", payload_of(64))
        while left > 0:
            left -= len(self.receive(TIMEOUT_S))
        self.missed += 1  # in the next storm

    def close(self, handle):
        self.poll.unregister(handle)
        self.open.pop(handle)[0].close()

    def leave(self):
        for handle in list(self.open):
            self.close(handle)


def resume_seconds(build, count, most):
    """Of a storm of this many, and of the same again with tokens that the server knows."""
    with WithKey(build, count) as server:
        clients = Resuming(server, most)
        found = []
        for _ in range(2):
            before = brokers.cpu_seconds(server.pid)
            found.append((clients.storm(), brokers.cpu_seconds(server.pid) - before))
            clients.hear()
            clients.leave()
        clients.admin.close()
        return found
