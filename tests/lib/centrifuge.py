"""centrifuge-js, unchanged, in a program that is told what to do."""

import json
import os
import pathlib
import subprocess

from lib.program import Program

JS = pathlib.Path(__file__).resolve().parent.parent / "js"


class Client(Program):
    """centrifuge.js."""

    def __init__(self, edge, node_modules, path="/connection/websocket"):
        super().__init__("node", JS / "centrifuge.js", f"ws://127.0.0.1:{edge.port}{path}", stdin=subprocess.PIPE,
                         env=dict(os.environ, NODE_PATH=str(node_modules)))

    def do(self, *operation):
        self.write(json.dumps(operation).encode() + b"\n")

    def expect(self, *event):
        """The next event, which must begin with these words."""
        line = self.json_line()
        assert line[:len(event)] == list(event), line
        return line[len(event):]

    def wait_for(self, *event):
        """Skips events until one that begins with these words; returns it and what was skipped."""
        skipped = []
        while (line := self.json_line())[:len(event)] != list(event):
            skipped.append(line)
        return line, skipped

    def connect(self, *tokens):
        self.do("connect", list(tokens) or None)
        self.expect("connecting")
        if tokens:
            self.expect("token", "connection")
        self.expect("connected")

    def subscribe(self, channel, *more):
        self.do("subscribe", channel, *more)
        self.wait_for("subscribed", channel)
