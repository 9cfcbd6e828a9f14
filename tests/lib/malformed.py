"""Malformed input, which the daemon must survive."""

import itertools
import random


def _numbers():
    """Lengths that are missing, too large, or almost numbers."""
    return [b"", b"-", b"+1", b"-2", b"-10", b" 1", b"1 ", b"01", b"1x", b"x1", b"0x1", b"1.0", b"1e1",
            b"2147483648", b"-2147483649", b"4294967296", b"9223372036854775807",
            b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809", b"9" * 40,
            b"1\0", b"\0", b"\xff", b"1\t", b"$1", b"*1", b"1,000"]


def _headers():
    for number in _numbers():
        yield b"*" + number + b"\r\nPING\r\n"
        yield b"*1\r\n$" + number + b"\r\nPING\r\n"
        yield b"*2\r\n$4\r\nECHO\r\n$" + number + b"\r\nx\r\n"


def _types():
    for kind in b"+-:_#,(=!~>%|. \0\xffA":
        yield b"*1\r\n" + bytes([kind]) + b"4\r\nPING\r\n"
    for kind in b"+-:_#,(=!~>%|$\0\xff":
        yield bytes([kind]) + b"1\r\n$4\r\nPING\r\n"


def _truncated():
    whole = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$5\r\nhello\r\n"
    for end in range(1, len(whole)):
        yield whole[:end]


def _wrong_ends():
    yield b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n"
    yield b"*1\r\n$4\r\nPING\n\n*1\r\n$4\r\nPING\r\n"
    yield b"*1\n$4\nPING\r\n"
    yield b"*1\r$4\r\nPING\r\n"
    yield b"*1\r\n$3\r\nPING\r\n"
    yield b"*1\r\n$5\r\nPING\r\n\r\n"
    yield b"*2\r\n$4\r\nPING\r\n*1\r\n$1\r\nx\r\n"
    yield b"\r\n\r\n\r\n*1\r\n$4\r\nPING\r\n"
    yield b"\n\n\nPING\r\n"
    yield b"*1\r\n\r\n"
    yield b"*1\r\n$0\r\n\r\n"
    yield b"*1\r\n$-1\r\n"
    yield b"*3\r\n$4\r\nPING\r\n$-1\r\n$1\r\nx\r\n"


def _inline():
    yield b'ECHO "unbalanced\r\n'
    yield b"ECHO 'unbalanced\r\n"
    yield b'ECHO "a"b\r\n'
    yield b"ECHO 'a'b\r\n"
    yield b'ECHO "\\x4\r\n'
    yield b'"\r\n'
    yield b"'\r\n"
    yield b'""\r\n'
    yield b"'' ''\r\n"
    yield b'"\\"\r\n'
    yield b"\0\r\n"
    yield b"\0PING\r\n"
    yield b"PING\0\r\n"
    yield b"\xff\xfe\xfd\r\n"
    yield b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield b"HEAD /x HTTP/1.0\r\n\r\n"
    yield b"Host: localhost\r\n\r\n"
    yield b"host:\r\n"
    yield b"post x\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n"
    yield b"SSH-2.0-OpenSSH_9.2\r\n"
    yield b"{\"json\": true}\r\n"
    yield b"x" * 65537
    yield b"x" * 65537 + b"\r\n"
    yield b" " * 70000
    yield b" " * 70000 + b"PING\r\n"
    yield b"*" + b"1" * 65537
    yield b"*1\r\n$" + b"1" * 65537
    yield b"*1\r\n" + b"x" * 65537
    yield b"nosuch " + b"argument " * 200 + b"\r\n"
    yield b"nosuch " + b"\x01\x02\r \x7f\xff" * 40 + b"\r\n"
    yield b"x" * 300 + b"\r\n"


def _large():
    yield b"*1048577\r\n"
    yield b"*1048577\r\n$4\r\nPING\r\n"
    yield b"*2147483647\r\n$4\r\nPING\r\n"
    yield b"*2147483648\r\n"
    yield b"*1\r\n$536870912\r\nstart"
    yield b"*1\r\n$536870913\r\n"
    yield b"*2\r\n$4\r\nECHO\r\n$536870912\r\nstart"
    yield b"*2\r\n$4\r\nECHO\r\n$536870913\r\n"
    yield b"*1000000\r\n" + b"$0\r\n\r\n" * 1000


def _noise():
    """Seeded, so that a failure can be repeated."""
    source = random.Random(20240229)
    alphabet = [b"*", b"$", b"\r\n", b"\n", b"\r", b"1", b"4", b"PING", b"-", b"\0", b" ", b'"', b"ECHO"]
    for _ in range(60):
        yield b"".join(source.choice(alphabet) for _ in range(source.randrange(1, 30)))
    for _ in range(20):
        yield source.randbytes(source.randrange(1, 200))


MALFORMED = list(dict.fromkeys(itertools.chain(
    _headers(), _types(), _truncated(), _wrong_ends(), _inline(), _large(), _noise())))
