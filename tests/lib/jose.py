"""Tokens and key sets made by npm's jose, and tokens with any header that are put together here."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess

from lib.program import Program

ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA")
SCRIPT = pathlib.Path(__file__).parents[1] / "js" / "tokens.js"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def assemble(header, claims, secret, digest="sha256"):
    """A token with an HMAC. header and claims are texts or what json.dumps takes."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    text = ".".join(encode(part.encode()) for part in parts)
    return text + "." + encode(hmac.new(secret, text.encode(), digest).digest())


class Jose(Program):
    """Two sets of keys with the same key ids, and tokens that are signed with them."""

    def __init__(self, node_modules):
        super().__init__("node", SCRIPT, env=dict(os.environ, NODE_PATH=str(node_modules)), stdin=subprocess.PIPE)
        self.sets = self.json_line()

    def _ask(self, **order):
        self.write(json.dumps(order).encode() + b"\n")
        return self.json_line()

    def token(self, alg="ES256", of=0, header=None, **claims):
        return self._ask(set=of, alg=alg, claims=claims, header=header or {})["token"]

    def tokens(self, alg, count, of=0, **claims):
        """Tokens that differ in jti."""
        return self._ask(set=of, alg=alg, claims=claims, header={}, count=count)["tokens"]

    def write_keys(self, path, of=0, algorithms=ALGORITHMS):
        """Writes a key set (JWKS)."""
        keys = [key for key in self.sets[of]["keys"] if key["alg"] in algorithms]
        path.write_text(json.dumps({"keys": keys}))
        return path

    def pem(self, alg, of=0):
        return self.sets[of]["pem"][alg]
