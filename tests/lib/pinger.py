"""The delay of a PING during other work."""

import threading
import time

from .wait import wait_until


class Pinger(threading.Thread):
    """PINGs without pause; `worst` is the longest wait for a reply."""

    def __init__(self, daemon):
        super().__init__()
        self.connection = daemon.connect(timeout=60)
        self.stopping = threading.Event()
        self.worst = 0.0
        self.count = 0

    def __enter__(self):
        self.start()
        wait_until(lambda: self.count > 10, "the first answers")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

    def run(self):
        while not self.stopping.is_set():
            start = time.monotonic()
            assert self.connection.call("PING") == b"PONG"
            self.worst = max(self.worst, time.monotonic() - start)
            self.count += 1
