#!/usr/bin/env python3
"""A backend that issues tokens for browsers, and serves the pages of this folder.

    TOKEN_SECRET=... python3 backend.py        PORT=3000

GET /token?user=ann answers {"token":"...","expires_in":600} and sets the same token as a cookie. Your application looks the
user up in its session instead of believing the URL.

It needs no packages. With PyJWT (Debian: python3-jwt) the function token() is

    jwt.encode(claims, SECRET, algorithm="HS256")

and with a private key and algorithm "ES256" or "EdDSA" the daemon needs only the public key: token-public-key-file.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SECRET = os.environ.get("TOKEN_SECRET", "").encode()
LIFE_S = 600
FOLDER = pathlib.Path(__file__).resolve().parent
PAGES = {
    "/sse.html": ("sse.html", "text/html; charset=utf-8"),
    "/centrifuge.html": ("centrifuge.html", "text/html; charset=utf-8"),
    "/centrifuge.js": ("node_modules/centrifuge/dist/centrifuge.js", "text/javascript"),
}


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(user):
    now = int(time.time())
    claims = {
        "sub": user,
        "aud": "fanfare",
        "iat": now,
        "exp": now + LIFE_S,
        "caps": [
            {"channels": ["news", f"user.{user}"], "allow": ["sub", "hst"]},
            {"channels": ["chat"], "allow": ["sub", "pub", "hst"]},
        ],
    }
    text = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + encoded(hmac.new(SECRET, text, hashlib.sha256).digest())).decode()


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, kind, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_token(self, user):
        # A name that is part of a channel's name must not have characters with a meaning of their own.
        if not re.fullmatch("[a-z0-9_-]{1,64}", user):
            self.answer(403, "application/json", b'{"error":"who are you?"}\n')
            return
        value = token(user)
        secure = "; Secure" if self.headers.get("X-Forwarded-Proto") == "https" else ""
        cookie = f"fanfare_token={value}; Path=/; Max-Age={LIFE_S}; HttpOnly; SameSite=Strict{secure}"
        body = json.dumps({"token": value, "expires_in": LIFE_S}) + "\n"
        self.answer(200, "application/json", body.encode(), [("Set-Cookie", cookie)])

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/token":
            self.answer_token(parse_qs(url.query).get("user", [""])[0])
            return
        name, kind = PAGES.get(url.path, (None, None))
        if name is None or not (FOLDER / name).is_file():
            self.answer(404, "text/plain", b"not found\n")
            return
        self.answer(200, kind, (FOLDER / name).read_bytes())

    def log_message(self, *_):
        pass


if len(SECRET) < 32:
    sys.exit("TOKEN_SECRET must have at least 32 bytes: openssl rand -hex 32")
with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler) as server:
    print(f"http://127.0.0.1:{server.server_address[1]}/sse.html?user=ann", flush=True)
    server.serve_forever()
