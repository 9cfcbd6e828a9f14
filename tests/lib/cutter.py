"""A proxy for TCP that can cut its connections."""

import socket
import struct
import threading


class Cutter:
    """Forwards connections to its port to `address`."""

    def __init__(self, address):
        self.address = address
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.lock = threading.Lock()
        self.is_over = self.is_cut = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.cut()

    def _accept(self):
        while not self.is_over:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.is_cut:
                    raise OSError
                server = self._connect()
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, server))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _connect(self):
        return socket.create_connection(self.address)

    @staticmethod
    def _forward(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def forward_again(self):
        self.is_cut = False

    def cut(self, for_good=False):
        """Resets all connections; for_good: later ones, too, until forward_again()."""
        with self.lock:
            self.is_cut = for_good
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                try:
                    end.shutdown(socket.SHUT_RD)  # wakes the thread that reads
                except OSError:
                    pass
                end.close()
