"""Byte streams of requests with identical replies from both daemons, however the streams are split."""

from lib.resp import encode

BINARY = bytes(range(256))


def _requests(*commands):
    return b"".join(encode(*command) for command in commands)


# name: (protocol version, bytes). Each ends with QUIT, so that the reply is all bytes up to the end.
STREAMS = {
    "arrays": (2, _requests(
        ("PING",), ("ping", "hello"), ("ECHO", ""), ("ECHO", BINARY), ("PUBLISH", "a", "b"),
        ("CLIENT", "GETNAME"), ("ECHO",), ("nosuchcommand", "with", "arguments"), ("QUIT",))),
    "inline": (2, b"PING\r\nping hello\r\n\r\n  \r\nECHO \"quoted \\x41\\n\"\r\nECHO 'single'\r\n"
                  b"ECHO \"it's\"\nPING\n  PING   spaced  \r\nPUBLISH a b\r\nQUIT\r\n"),
    "mixed": (2, b"PING\r\n" + encode("ECHO", "array") + b"*0\r\nECHO inline\r\n*-1\r\n"
              + encode("PING") + b"QUIT\r\n"),
    "subscriptions": (2, _requests(
        ("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "a*"), ("PING",), ("PING", "text"), ("ECHO", "x"),
        ("UNSUBSCRIBE", "a"), ("UNSUBSCRIBE",), ("PUNSUBSCRIBE", "a*", "none"), ("ECHO", "y"), ("QUIT",))),
    "RESP3": (3, _requests(
        ("PING",), ("SUBSCRIBE", "a", "b"), ("ECHO", "x"), ("PING", "text"), ("PSUBSCRIBE", "*"),
        ("UNSUBSCRIBE", "a"), ("UNSUBSCRIBE",), ("PUNSUBSCRIBE",), ("CLIENT", "GETNAME"), ("PUBSUB", "NUMSUB", "a"),
        ("QUIT",))),
    "pipeline": (2, _requests(*[("ECHO", str(n)) for n in range(20)], ("QUIT",))),
    "long values": (2, _requests(("ECHO", b"v" * 300), ("ECHO", b"\r\n" * 40), ("QUIT",))),
}
