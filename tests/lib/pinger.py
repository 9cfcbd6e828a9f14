"""Measures how long a daemon leaves a PING unanswered while it does something else."""

import os
import threading
import time

from .wait import cpu_seconds, seconds, wait_until


class Pinger(threading.Thread):
    """Sends PINGs one after another within a `with` block.

    A stall is measured in processor time: what one thread of the daemon computes between a PING and its answer.
    Unlike the time on the clock, that does not grow when other processes take the processors away.
    """

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.connection = daemon.connect(timeout=60)
        tasks = f"/proc/{daemon.pid}/task"
        self.schedstats = [open(f"{tasks}/{task}/schedstat", "rb", buffering=0) for task in os.listdir(tasks)]
        self.stopping = threading.Event()
        self.longest_s = 0.0
        self.longest_cpu_s = 0.0
        self.count = 0
        self.failure = None  # what ended the thread early

    def __enter__(self):
        self.start()
        wait_until(lambda: self.count > 10 or not self.is_alive(), "the first answers")
        return self

    def __exit__(self, kind, *_):
        # The daemon may go on with its work after it has replied to the command.
        seen = self.count
        wait_until(lambda: self.count > seen + 300 or not self.is_alive(), "more answers", 30)
        self.stopping.set()
        self.join()
        for schedstat in self.schedstats:
            schedstat.close()
        if self.failure is not None and kind is None:  # otherwise the test has its own reason to fail
            raise AssertionError(f"no answer after {self.count} PINGs") from self.failure

    def run(self):
        try:
            self._ping()
        except Exception as failure:
            self.failure = failure

    def _ping(self):
        while not self.stopping.is_set():
            before, start = self._cpu_ns(), time.monotonic()
            assert self.connection.call("PING") == b"PONG"
            end, after = time.monotonic(), self._cpu_ns()
            self.longest_s = max(self.longest_s, end - start)
            self.longest_cpu_s = max(self.longest_cpu_s, *((b - a) / 1e9 for a, b in zip(before, after)))
            self.count += 1
            time.sleep(0.0005)

    def _cpu_ns(self):
        """The processor time that each thread has used so far, in ns."""
        return [int(os.pread(schedstat.fileno(), 64, 0).split()[0]) for schedstat in self.schedstats]

    def assert_no_stall(self, cpu_s=0.15):
        """No PING waited for cpu_s of computing, and none for long on the clock: a stall may be a wait as well."""
        assert self.longest_cpu_s < cpu_seconds(cpu_s), f"{self.count} PINGs, {self.longest_s} s on the clock"
        assert self.longest_s < seconds(2), f"{self.count} PINGs"
