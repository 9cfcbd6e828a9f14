"""Subscribers for measurements."""

import select
import socket
import threading

from lib.resp import Connection


class Readers:
    """Subscribers that read and forget everything, in a thread of their own."""

    def __init__(self, port, count, channel):
        self.poll = select.epoll()
        self.connections = {}
        for _ in range(count):
            connection = Connection(("127.0.0.1", port))
            connection.call("SUBSCRIBE", channel)
            self.connections[connection.socket.fileno()] = connection
            self.poll.register(connection.socket.fileno(), select.EPOLLIN)
        self.end, self.ended = socket.socketpair()
        self.poll.register(self.ended.fileno(), select.EPOLLIN)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        room = bytearray(1 << 20)
        while True:
            for handle, _ in self.poll.poll():
                if handle == self.ended.fileno():
                    return
                self.connections[handle].socket.recv_into(room)

    def close(self):
        self.end.send(b".")
        self.thread.join()
        for connection in (*self.connections.values(), self.end, self.ended):
            connection.close()
        self.poll.close()
