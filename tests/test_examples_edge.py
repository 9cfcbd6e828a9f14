"""The files of examples/edge: what the backends issue, and whether the proxies and Prometheus accept their configurations."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from conftest import TESTS, missing
from lib.daemon import free_port
from lib.page import PageServer
from lib.program import Program
from lib.wait import seconds, wait_until

EDGE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "edge"
SECRET = "0123456789abcdef0123456789abcdef"
BACKENDS = {"node": ["node", EDGE / "backend.js"], "python": [sys.executable, EDGE / "backend.py"]}


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The URL of a running backend, without a slash at the end."""
    if not shutil.which(str(BACKENDS[request.param][0])):
        missing(request.param)
    with Program(*BACKENDS[request.param], env=dict(os.environ, TOKEN_SECRET=SECRET, PORT="0")) as program:
        yield program.line().decode().removesuffix("/sse.html?user=ann")


def get(url, **headers):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=seconds(10))


def test_a_backend_issues_a_token_that_is_signed_and_expires(backend):
    with get(backend + "/token?user=ann") as response:
        answer = json.load(response)
        cookie = response.headers["Set-Cookie"]
    header, claims, signature = answer["token"].split(".")
    expected = hmac.new(SECRET.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert decoded(signature) == expected
    assert json.loads(decoded(header)) == {"alg": "HS256", "typ": "JWT"}
    claims = json.loads(decoded(claims))
    assert claims["sub"] == "ann" and claims["aud"] == "fanfare"
    assert 0 < claims["exp"] - time.time() <= answer["expires_in"]
    assert claims["caps"][0] == {"channels": ["news", "user.ann"], "allow": ["sub", "hst"]}
    assert cookie.startswith(f"fanfare_token={answer['token']}; ")
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie


def test_behind_tls_the_cookie_is_secure(backend):
    with get(backend + "/token?user=ann", **{"X-Forwarded-Proto": "https"}) as response:
        assert response.headers["Set-Cookie"].endswith("; Secure")


@pytest.mark.parametrize("user", ["", "*", "ann.*", "a%0ab", "a" * 65])
def test_a_name_that_would_be_a_pattern_gets_no_token(backend, user):
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(backend + "/token?user=" + user)
    assert refused.value.code == 403


@pytest.mark.parametrize("page", ["sse.html", "centrifuge.html"])
def test_a_backend_serves_the_pages_and_nothing_else(backend, page):
    with get(f"{backend}/{page}") as response:
        assert response.read() == (EDGE / page).read_bytes()
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    for other in ("backend.py", "../fanfared.conf", "fanfared.conf", ""):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{backend}/{other}")
        assert refused.value.code == 404


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_refuses_a_short_secret(name):
    if not shutil.which(str(BACKENDS[name][0])):
        missing(name)
    done = subprocess.run([str(word) for word in BACKENDS[name]], env=dict(os.environ, TOKEN_SECRET="short", PORT="0"),
                          capture_output=True, text=True, timeout=seconds(20), check=False)
    assert done.returncode == 1 and "32 bytes" in done.stderr


def tool(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    return path or missing(name)


def accepted(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds(30), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"\[(warn|WARNING)\]", done.stderr, re.I), done.stderr


def nginx_files(folder, certificates):
    """The command to run nginx with the example's configuration, which is in the file fanfare.conf."""
    text = (EDGE / "nginx.conf").read_text()
    text = text.replace("/etc/ssl/certs/app.example.com.pem", str(certificates.folder / "server.pem"))
    text = text.replace("/etc/ssl/private/app.example.com.key", str(certificates.folder / "server.key"))
    (folder / "fanfare.conf").write_text(text)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid;\nerror_log stderr;\ndaemon off;\nmaster_process off;\nevents {{}}\nhttp {{\naccess_log off;\n"
        f"{temporary}include {folder}/fanfare.conf;\n}}\n")
    return [tool("nginx"), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]


def haproxy_files(folder, certificates):
    both = (certificates.folder / "server.pem").read_text() + (certificates.folder / "server.key").read_text()
    (folder / "both.pem").write_text(both)
    text = (EDGE / "haproxy.cfg").read_text().replace("/etc/ssl/private/app.example.com.pem", str(folder / "both.pem"))
    (folder / "fanfare.conf").write_text(text)
    return [tool("haproxy"), "-db", "-f", folder / "fanfare.conf"]


def test_nginx_accepts_its_configuration(certificates, tmp_path):
    accepted(*nginx_files(tmp_path, certificates), "-t")


def test_haproxy_accepts_its_configuration(certificates, tmp_path):
    accepted(*haproxy_files(tmp_path, certificates), "-c")


def test_prometheus_accepts_its_configuration():
    accepted(tool("promtool"), "check", "config", EDGE / "prometheus.yml")


def test_the_daemon_accepts_its_configuration():
    accepted(os.environ["FANFARED"], EDGE / "fanfared.conf", "--token-hmac-secret", SECRET, "--show-config")


# The pages, in Chromium


def copied(folder, node_modules):
    """The folder of the examples with the package centrifuge, as `npm install centrifuge` makes it."""
    copy = folder / "edge"
    shutil.copytree(EDGE, copy)
    (copy / "node_modules").symlink_to(node_modules)
    return copy


@pytest.fixture
def site(start_fanfared, node_modules, folder):
    """site(page) gives a daemon with the example's configuration, and the URL of a page that its backend serves."""
    port, http_port = free_port(), free_port()
    environment = dict(os.environ, TOKEN_SECRET=SECRET, PORT=str(port))
    copy = copied(folder, node_modules)
    with Program(sys.executable, copy / "backend.py", env=environment) as backend:
        backend.line()
        lines = (copy / "fanfared.conf").read_text()

        def start(page):
            server = start_fanfared(*options_of(lines, {"http-port": http_port}), "--token-hmac-secret", SECRET,
                                    "--http-allowed-origins", f"http://127.0.0.1:{port}")
            return server, f"http://127.0.0.1:{port}/{page}?user=ann&server=http://127.0.0.1:{http_port}"

        yield start


def options_of(text, changes):
    """The lines of a configuration as arguments, without the address and port of RESP."""
    options = []
    for line in text.splitlines():
        words = line.split()
        if words and not line.startswith("#") and words[0] not in ("bind", "port"):
            words[1:] = [changes[words[0]]] if words[0] in changes else words[1:]
            options += ["--" + words[0], *words[1:]] if words[0] == "channel" else ["--" + words[0], " ".join(map(str, words[1:]))]
    return options


def publish(server, channel, text):
    with server.connect() as client:
        return client.call("PUBLISH", channel, text)


def test_the_page_with_event_source_shows_messages_and_resumes(site, page):
    server, url = site("sse.html")
    page.open(url)
    page("wait", "#state", "connected", 1, seconds(20) * 1000)
    assert publish(server, "user.ann", '{"text":"hello"}') == 1
    page.wait('user.ann: {"text":"hello"}', selectors=["#messages li"])
    with server.connect() as client:
        assert client.call("CLIENT", "KILL", "USER", "edge") == 1
    publish(server, "news", '{"n":1}')
    page.wait('news: {"n":1}', selectors=["#messages li"])
    assert page.texts("#messages li") == ['user.ann: {"text":"hello"}', 'news: {"n":1}']


def test_the_page_with_centrifuge_shows_messages_and_publishes(site, page):
    server, url = site("centrifuge.html")
    page.open(url)
    page("wait", "#state", "connected", 1, seconds(20) * 1000)
    wait_until(lambda: publish(server, "user.ann", '{"text":"hello"}') == 1, "a subscription")
    page.wait('user.ann: {"text":"hello"}', selectors=["#messages li"])
    page("fill", "#text", "good morning")
    page("press", "Enter")
    page.wait('chat: {"from":"ann","text":"good morning"}', selectors=["#messages li"])


@pytest.mark.parametrize("page_name", ["sse.html", "centrifuge.html"])
def test_a_page_goes_on_over_a_restart_of_the_daemon(site, page, page_name):
    server, url = site(page_name)
    page.open(url)
    page("wait", "#state", "connected", 1, seconds(20) * 1000)
    wait_until(lambda: publish(server, "user.ann", "1") == 1, "a subscription")
    server.stop()
    server.start(server.port)
    wait_until(lambda: publish(server, "user.ann", "2") == 1, "a subscription", 30)
    page.wait("user.ann: 2", selectors=["#messages li"])


# The proxies, between Chromium and the daemon


@pytest.fixture(params=["nginx", "haproxy"])
def proxied(request, start_fanfared, certificates, tmp_path):
    """proxied() gives the daemon and the URL of the proxy in front of it and of a server of pages."""
    port, http_port = free_port(), free_port()
    command = {"nginx": nginx_files, "haproxy": haproxy_files}[request.param](tmp_path, certificates)
    with PageServer({"/stream.html": TESTS / "pages" / "stream.html"}) as pages:
        text = (tmp_path / "fanfare.conf").read_text()
        for old, new in (("127.0.0.1:8000", f"127.0.0.1:{http_port}"), ("127.0.0.1:3000", f"127.0.0.1:{pages.port}"),
                         ("listen 443", f"listen 127.0.0.1:{port}"), ("bind :443", f"bind 127.0.0.1:{port}")):
            text = text.replace(old, new)
        (tmp_path / "fanfare.conf").write_text(text)
        server = start_fanfared("--http-port", http_port, "--edge-anonymous", "yes", "--user", "edge", "on", "resetchannels", "&*",
                                "+subscribe", "+publish", "--channel", "news", "history-size", 100, "history-ttl", 600,
                                "--history-save", "yes", "--http-forwarded-from", "127.0.0.1")
        with Program(*command):
            wait_until(lambda: answer_of(port, "/healthz") is not None, "the proxy")
            yield server, port


def answer_of(port, path, method="GET"):
    """Status, type and body, or None."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=seconds(10), context=context)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()
    except OSError:
        return None
    finally:
        connection.close()


def test_a_browser_goes_on_when_the_daemon_behind_a_proxy_is_restarted(proxied, page):
    server, port = proxied
    page.open(f"https://127.0.0.1:{port}/stream.html?url=/sse%3Fchannel=news")
    page.wait("open")
    publish(server, "news", "before")
    page.wait("message before")
    server.stop()
    page.wait("lost")
    wait_until(lambda: answer_of(port, "/sse?channel=news") == (200, "text/event-stream", b"retry: 3000\n\n"), "an answer")
    assert answer_of(port, "/pub/news", "POST")[0] == 503
    opened = len([text for text in page.texts() if text == "open"])
    page.wait("open", opened + 1)
    server.start(server.port)
    publish(server, "news", "after")
    page.wait("message after", within=40)
    assert [text for text in page.texts() if text.startswith(("message", "lagged"))] == ["message before", "message after"]
