"""A raw WebSocket client: it sends any frame, valid or not, in any pieces, and reads the server's frames."""

import base64
import hashlib
import os
import socket
import struct

from lib.wait import seconds

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocket:
    """After the handshake. `headers` are those of the server's response, with names in lower case."""

    def __init__(self, address, path="/ws", extra=(), tls=None):
        self.socket = socket.create_connection(address, timeout=seconds(10))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=address[0])
        self.received = b""
        self.status, self.headers = self._shake_hands(address, path, extra)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _shake_hands(self, address, path, extra):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key.decode()}", *extra, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self.received:
            more = self.socket.recv(65536)
            assert more, f"closed in the handshake: {self.received!r}"
            self.received += more
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        status = int(first.split()[1])
        if status == 101:
            expected = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
            assert headers["sec-websocket-accept"] == expected
        return status, headers

    # Sending

    def send_bytes(self, data, chopsize=None):
        """In writes of chopsize bytes. A server that has closed already is no error."""
        try:
            for at in range(0, len(data), chopsize or len(data) or 1):
                self.socket.sendall(data[at:at + (chopsize or len(data))])
        except OSError:
            pass

    def send_frame(self, opcode, payload=b"", fin=True, rsv=0, mask=b"\xa1\x02\x7f\xf3", payload_len=None, chopsize=None):
        """mask None: not masked. payload_len: another length in the head than that of the payload."""
        if isinstance(payload, str):
            payload = payload.encode()
        count = len(payload) if payload_len is None else payload_len
        masked = 0x80 if mask else 0
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        if count < 126:
            head += bytes([masked | count])
        elif count < 65536:
            head += struct.pack(">BH", masked | 126, count)
        else:
            head += struct.pack(">BQ", masked | 127, count)
        if mask:
            head += mask
            repeated = mask * (len(payload) // 4 + 1)
            payload = bytes(a ^ b for a, b in zip(payload, repeated))
        self.send_bytes(head + payload, chopsize)

    # Receiving

    def _read(self, count):
        while len(self.received) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"the server closed the connection inside a frame: {self.received!r}")
            self.received += more
        data, self.received = self.received[:count], self.received[count:]
        return data

    def read_frame(self):
        """(opcode, rsv1, payload) of a frame, which must be whole, unmasked and as short as it can be."""
        first, second = self._read(2)
        assert first & 0x80 and not first & 0x30 and not second & 0x80
        count = second
        if second == 126:
            count, = struct.unpack(">H", self._read(2))
            assert count > 125
        elif second == 127:
            count, = struct.unpack(">Q", self._read(8))
            assert count > 65535
        return first & 0x0f, bool(first & 0x40), self._read(count)

    def read_close(self):
        """The code of the close frame, which is next; the connection must end behind it. None: it has no code."""
        opcode, _, payload = self.read_frame()
        assert opcode == CLOSE, (opcode, payload)
        assert self.read_to_end() == b""
        payload[2:].decode()
        return struct.unpack(">H", payload[:2])[0] if payload else None

    def read_to_end(self):
        data, self.received = self.received, b""
        try:
            while more := self.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data
