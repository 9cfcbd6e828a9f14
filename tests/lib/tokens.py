"""JSON Web Tokens signed with HS256."""

import base64
import hashlib
import hmac
import json

SECRET = "a secret of the tests, of 32 bytes or more"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def make_token(secret=SECRET, **claims):
    """The claim fanfare_user is written fanfare.user."""
    if "fanfare_user" in claims:
        claims["fanfare"] = {"user": claims.pop("fanfare_user")}
    signed = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()
