"""TLS for tests: certificates, good ones and others, connections, daemons with a TLS port, servers with faults."""

import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading

from lib.daemon import Fanfared, Redis, free_port
from lib.resp import Closed, Connection
from lib.wait import seconds

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tls" / "make-certificates"


def knows_tls():
    """True if the daemon under test supports TLS."""
    path = os.environ.get("FANFARED")
    if not path:
        return False
    done = subprocess.run([path, "--show-config"], capture_output=True, check=False)
    return b"tls-port" in done.stdout


class Certificates:
    """A folder of certificates, NAME.pem and NAME.key, created once per session.

    server      for localhost, 127.0.0.1, ::1 and fan.example.org
    renewed     for the same names, to replace it
    sni         only for sni.example.org
    elsewhere   only for elsewhere.example.org: a wrong name for all tests
    expired     of a server, expired long ago
    soon        of a server, expires in five days
    alice, bob  of clients, with these common names
    mallory     of a client, revoked by crl.pem
    late        of a client, expired long ago
    other/...   server and alice, signed by another authority
    """

    SERVER = "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:fan.example.org"

    def __init__(self, folder):
        self.folder = folder
        self.other = folder / "other"
        self._run(folder, "server", "fan.example.org")
        self._run(folder, "client", "alice", "bob", "mallory")
        self._run(folder, "revoke", "mallory")
        self._run(self.other, "server", "fan.example.org")
        self._run(self.other, "client", "alice")
        self.issue("renewed", "renewed", "serverAuth", self.SERVER)
        self.issue("sni", "sni.example.org", "serverAuth", "DNS:sni.example.org")
        self.issue("elsewhere", "elsewhere.example.org", "serverAuth", "DNS:elsewhere.example.org")
        self.issue("expired", "localhost", "serverAuth", self.SERVER, "-startdate", "20200101000000Z", "-enddate",
                   "20200102000000Z")
        self.issue("soon", "localhost", "serverAuth", self.SERVER, "-days", "5")
        self.issue("late", "late", "clientAuth", "DNS:late", "-startdate", "20200101000000Z", "-enddate",
                   "20200102000000Z")

    @staticmethod
    def _run(folder, *words):
        subprocess.run(["sh", str(SCRIPT), "-f", str(folder), *words], check=True, capture_output=True)

    def issue(self, name, common_name, usage, names, *dates):
        """NAME.pem and NAME.key, signed by the authority of the script, with these dates."""
        (self.folder / "names.cnf").write_text(
            f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\nauthorityKeyIdentifier=keyid\n"
            f"subjectAltName={names}\n")
        for words in (["req", "-config", "openssl.cnf", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                       "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={common_name}", "-out", "names.csr"],
                      ["ca", "-config", "openssl.cnf", "-batch", "-notext", *(dates or ("-days", "30")), "-extfile",
                       "names.cnf", "-in", "names.csr", "-out", f"{name}.pem"]):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    @property
    def ca(self):
        return self.folder / "ca.pem"

    @property
    def crl(self):
        return self.folder / "crl.pem"

    def cert(self, name):
        return self.folder / f"{name}.pem"

    def key(self, name):
        return self.folder / f"{name}.key"

    def serial(self, name):
        """In the notation of ssl and openssl."""
        return ssl._ssl._test_decode_cert(str(self.cert(name)))["serialNumber"]

    def server_options(self, name="server"):
        """The directives of the daemon for a certificate."""
        return ["--tls-cert-file", self.cert(name), "--tls-key-file", self.key(name), "--tls-ca-cert-file", self.ca]

    def client_options(self, name=None):
        """The options of fanfare and redis-cli for a certificate."""
        own = ["--cert", self.cert(name), "--key", self.key(name)] if name else []
        return ["--tls", "--cacert", self.ca, *own]

    def server_context(self, name="server"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert(name), self.key(name))
        return context

    def client_context(self, name=None, verify=True):
        context = ssl.create_default_context(cafile=str(self.ca))
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if name is not None:
            context.load_cert_chain(self.cert(name), self.key(name))
        return context

    def copy_pair(self, name, folder, as_name="live"):
        """NAME under another name, for what is going to be replaced. Each file is renamed into place."""
        for suffix in ("key", "pem"):
            new = folder / f"{as_name}.{suffix}.new"
            shutil.copy(self.folder / f"{name}.{suffix}", new)
            new.rename(folder / f"{as_name}.{suffix}")
        return folder / f"{as_name}.pem", folder / f"{as_name}.key"


class TlsConnection(Connection):
    """RESP over TLS. The server's certificate must be for `name`, unless the context accepts any."""

    def __init__(self, address, context, name="localhost", session=None, **options):
        super().__init__(address, **options)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=name, session=session)
        except OSError:
            self.socket.close()
            raise

    def _receive(self):
        try:
            super()._receive()
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise Closed("connection closed by the daemon") from error

    def peer_serial(self):
        return self.socket.getpeercert()["serialNumber"]


class TlsServer:
    """Mixed into a kind of daemon: a TLS port beside the plain one."""

    def __init__(self, folder, *options, certificates, certificate="server", **more):
        self.certificates = certificates
        self.tls_port = free_port()
        auth = () if "--tls-auth-clients" in options else ("--tls-auth-clients", "no")
        pair = () if "--tls-cert-file" in options else certificates.server_options(certificate)
        super().__init__(folder, "--tls-port", self.tls_port, *pair, *auth, *options, **more)

    @property
    def tls_address(self):
        return (self.host, self.tls_port)

    def tls(self, name=None, verify=True, context=None, server_name="localhost", **options):
        """A connection over TLS that presents the certificate `name`."""
        context = context or self.certificates.client_context(name, verify)
        connection = TlsConnection(self.tls_address, context, server_name, **options)
        self.connections.append(connection)
        return connection


class TlsRedis(TlsServer, Redis):
    pass


class TlsFanfared(TlsServer, Fanfared):
    pass


class Listener:
    """A server in a thread: each connection goes to `serve`, which gets the plain socket and may end in any way."""

    def __init__(self, serve):
        self.serve = serve
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A close alone would leave accept() waiting.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(seconds(10))
        self.socket.close()
        for connection in self.open:
            connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.settimeout(seconds(10))
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass  # only the client is tested


def pong_over_tls(context, seen=None):
    """For a Listener: replies to each read with a PONG, and records the names requested by SNI."""
    if seen is not None:
        context.sni_callback = lambda _socket, name, _context: seen.append(name)

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as stream:
            while stream.recv(65536):
                stream.sendall(b"+PONG\r\n")
    return serve
