"""The files of examples/edge: what the backends issue, and whether the proxies and Prometheus accept their configurations."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from conftest import missing
from lib.daemon import free_port
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


def test_nginx_accepts_its_configuration(certificates, tmp_path):
    text = (EDGE / "nginx.conf").read_text()
    text = text.replace("/etc/ssl/certs/app.example.com.pem", str(certificates.folder / "server.pem"))
    text = text.replace("/etc/ssl/private/app.example.com.key", str(certificates.folder / "server.key"))
    (tmp_path / "fanfare.conf").write_text(text)
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}"
        f"include {tmp_path}/fanfare.conf;\n}}\n")
    accepted(tool("nginx"), "-t", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf")


def test_haproxy_accepts_its_configuration(certificates, tmp_path):
    both = (certificates.folder / "server.pem").read_text() + (certificates.folder / "server.key").read_text()
    (tmp_path / "both.pem").write_text(both)
    text = (EDGE / "haproxy.cfg").read_text().replace("/etc/ssl/private/app.example.com.pem", str(tmp_path / "both.pem"))
    (tmp_path / "haproxy.cfg").write_text(text)
    accepted(tool("haproxy"), "-c", "-f", tmp_path / "haproxy.cfg")


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
