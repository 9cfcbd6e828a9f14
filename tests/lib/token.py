"""JSON Web Tokens for tests."""

import base64
import hashlib
import hmac
import json


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def hs256(secret, claims):
    text = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + encoded(hmac.new(secret.encode(), text, hashlib.sha256).digest())).decode()
