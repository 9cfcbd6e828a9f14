"""Pages in Chromium, which tests/js/page.js drives, and a server for pages of another origin than the daemon's."""

import json
import pathlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from lib.wait import seconds

WITHIN = 20


class Page:
    """Calls are commands of tests/js/page.js."""

    selectors = ("#log li",)

    def __init__(self, program):
        self.program = program

    def __call__(self, *command):
        self.program.write(json.dumps(command).encode() + b"\n")
        answer = json.loads(self.program.line(150) or b'{"error": "the driver ended"}')
        assert "error" not in answer, answer["error"] + self.program.errors.decode()
        return answer["value"]

    def open(self, url):
        self("open", url, 1000, 900, "light")

    def wait(self, text, count=1, selectors=None, within=WITHIN):
        """Until `count` elements that each selector finds have the text."""
        for selector in selectors or self.selectors:
            self("wait", selector, text, count, seconds(within) * 1000)

    def texts(self, selector="#log li"):
        return self("texts", selector)


class PageServer:
    """Serves pages at an origin of its own: {path: text or file}. What it sets as cookie goes to the daemon, too, because
    a cookie belongs to a host and not to a port. modules: {path: folder} of modules that import each other without '.js'."""

    def __init__(self, pages, cookie=None, modules=None, port=0):
        def found(path):
            for prefix, folder in (modules or {}).items():
                if path.startswith(prefix + "/"):
                    return (pathlib.Path(folder) / path[len(prefix) + 1:]).with_suffix(".js"), "text/javascript"
            return pages.get(path), "text/html"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page, kind = found(urlsplit(self.path).path)
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", kind + "; charset=utf-8")
                if cookie:
                    self.send_header("Set-Cookie", cookie + "; Path=/; HttpOnly; SameSite=Strict")
                self.end_headers()
                self.wfile.write(page.encode() if isinstance(page, str) else page.read_bytes() if page else b"")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
