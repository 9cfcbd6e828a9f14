"""The brokers that bench/compare and bench/stalls start, each alone on a free loopback port.

All get generous limits for queued output, so that no subscriber is closed in the middle of a run.
"""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CLIENTS = 20000


MAKE_CERTIFICATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "tls", "make-certificates")


class Unavailable(Exception):
    """The peer is not installed, or did not start."""


def raise_file_limit():
    """For this process and for the brokers, which inherit it. Returns the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 1000
    for limits in ((wanted, max(hard, wanted)), (min(wanted, hard), hard)):
        if soft >= limits[0] and limits[0] == wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def end_on_signals():
    """Raises an exception, so that every broker is stopped and its folder removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """Of all threads, in the scheduler's nanoseconds."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


class Peer:
    """A broker in a folder of its own; to be used in a `with`."""

    name = None
    protocol = "resp"
    program = None
    start_s = 10  # after that it is taken as failed

    def __init__(self, build, tls=False):
        self.build = build
        self.tls = tls  # the port speaks TLS only
        self.port = free_port()
        self.process = None
        self.folder = None
        self.config = None  # the text of a configuration file
        self.turns = None  # a Turns: see bench/turns.py

    def path(self):
        path = shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/usr/local/sbin")
        if path is None:
            raise Unavailable(f"{self.program} is not installed")
        return path

    def clients(self):
        """The limit of clients, as high as the limit of open files allows."""
        return min(CLIENTS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)

    def arguments(self):
        raise NotImplementedError

    def config_arguments(self):
        return [self.write("broker.conf", self.config)] if self.config else []

    def version(self):
        words = subprocess.run([self.path(), "--version"], capture_output=True, text=True, check=False).stdout.split()
        return next((word for word in words if any(c.isdigit() for c in word)), "?").removeprefix("v=").removeprefix("v")

    def port_arguments(self):
        """The arguments of redis-server."""
        if not self.tls:
            return ["--port", str(self.port)]
        return ["--port", "0", *self.tls_arguments(self.port)]

    def tls_arguments(self, port):
        subprocess.run(["sh", MAKE_CERTIFICATES, "-f", self.folder, "server"], check=True, capture_output=True)
        return ["--tls-port", str(port), "--tls-auth-clients", "no",
                *(word for name, file in (("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem"))
                  for word in (f"--tls-{name}-file", os.path.join(self.folder, file)))]

    def client_arguments(self):
        """The arguments that `fanfare bench` needs to connect."""
        return ["--tls", "--cacert", os.path.join(self.folder, "ca.pem")] if self.tls else []

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def __enter__(self):
        path = self.path()
        self.folder = tempfile.mkdtemp(prefix="fanfare-bench-")
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen([path, *self.config_arguments(), *self.arguments()], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.turns and {**os.environ, **self.turns.environment()})
        deadline = time.monotonic() + self.start_s
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
                        text = log.read().strip()[-500:]
                    self.__exit__()
                    raise Unavailable(f"{self.name} did not start: {text}") from None
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid


class Fanfared(Peer):
    name = "fanfared"

    def path(self):
        path = os.path.join(self.build, "fanfared")
        if not os.path.exists(path):
            raise Unavailable(f"{path} is missing: build it")
        return path

    def arguments(self):
        return [*self.port_arguments(), "--bind", "127.0.0.1", "--loglevel", "warning", "--maxclients",
                str(self.clients()), "--outbox-limit-bytes", "0", "--outbox-limit-messages", "0",
                "--client-output-buffer-limit", "pubsub 0 0 0", "--tcp-backlog", "4096"]


class TwoLoops(Fanfared):
    name = "fanfared-2-loops"

    def arguments(self):
        return [*super().arguments(), "--io-threads", "2"]


class Before(Fanfared):
    """Another build, for comparison."""

    name = "before"
    folder_of_build = None

    def __init__(self, build, tls=False):
        super().__init__(self.folder_of_build or build, tls)


class Redis(Peer):
    name = program = "redis-server"

    def arguments(self):
        return [*self.port_arguments(), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", "--maxclients",
                str(self.clients()), "--client-output-buffer-limit", "pubsub 0 0 0", "--tcp-backlog", "4096"]


class Nats(Peer):
    name = program = "nats-server"
    protocol = "nats"

    def arguments(self):
        return ["-c", self.write("nats.conf", f"""
            listen: "127.0.0.1:{self.port}"
            max_connections: {self.clients()}
            max_payload: 64MB
            max_pending: 16GB
            write_deadline: "600s"
            """)]


class Mosquitto(Peer):
    name = program = "mosquitto"
    protocol = "mqtt"

    def version(self):
        text = subprocess.run([self.path(), "-h"], capture_output=True, text=True, check=False).stdout
        return text.split()[2]

    def arguments(self):
        # As root it would change to another user, which may not read the folder.
        return ["-c", self.write("mosquitto.conf", f"""
listener {self.port} 127.0.0.1
allow_anonymous true
user root
max_connections {self.clients()}
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
log_type error
""")]


ALL = [Fanfared, Redis, Nats, Mosquitto]
ON_DEMAND = [TwoLoops, Before]
