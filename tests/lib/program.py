"""A program that runs beside the daemon: its output lines, and its exit status."""

import json
import queue
import subprocess
import threading

from lib.wait import seconds


class Program:
    """Lines of its stdout are read by a thread, so that nothing blocks without a deadline."""

    def __init__(self, *command, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
            cwd=cwd)
        self.lines = queue.Queue()
        self.errors = b""
        self._threads = [threading.Thread(target=self._read_lines, daemon=True),
                         threading.Thread(target=self._read_errors, daemon=True)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def _read_lines(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip(b"\r\n"))
        self.lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors += line

    def line(self, within=10):
        """The next line of stdout, or None at the end."""
        try:
            return self.lines.get(timeout=seconds(within))
        except queue.Empty:
            raise AssertionError(f"no line from the program; stderr:\n{self.errors.decode()}") from None

    def json_line(self):
        line = self.line()
        assert line is not None, f"the program ended; stderr:\n{self.errors.decode()}"
        return json.loads(line)

    def rest(self):
        """All remaining lines, to the end of the program."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def status(self, within=10):
        return self.process.wait(timeout=seconds(within))
