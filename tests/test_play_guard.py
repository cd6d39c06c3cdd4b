"""Who may ask the playground's server, how much, and how slowly: hostile requests."""

from __future__ import annotations

import socket
import time

import httpx
import pytest
from play_client import serving

from paddle_mnist.play import guard, server
from paddle_mnist.play.guard import Access

POST = "POST /api/training HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("work")) as client:
        yield client


STRANGE_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "localhost.evil.example:{port}",
    "127.0.0.1:{port}x",
    "127.0.0.1:{port}, evil.example",
    "[::1]",
    "",
    "10.0.0.1:{port}",
    "127.0.0.1:{port}@evil.example",
    "0x7f000001:{port}",
)


@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_host_must_be_this_server(client, host):
    reply = client.get("/api/models", headers={"host": host.format(port=client.port)})
    assert reply.status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST:{port}"])
def test_host_may_be_any_name_of_this_machine(client, host):
    host = host.format(port=client.port)
    headers = {"host": host, "origin": f"http://{host}"}
    assert client.get("/api/models", headers=headers).status_code == 200


def test_host_must_be_given(client):
    assert b" 400 " in client.raw("GET / HTTP/1.1\r\n\r\n").split(b"\r\n")[0]
    assert b" 403 " in client.raw("GET / HTTP/1.0\r\n\r\n").split(b"\r\n")[0]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://localhost:{port}", ""]
)
def test_origin_of_posts_must_be_this_server(client, origin):
    headers = {"origin": origin.format(port=client.port)}
    reply = client.post("/api/training", json={"net": "nielsen", "epochs": 1}, headers=headers)
    assert reply.status_code == 403 and "Origin" in reply.json()["error"]


def test_origin_of_posts_must_be_given(client):
    reply = httpx.post(f"{client.base}/api/training", json={"net": "nielsen"})
    assert reply.status_code == 403


def test_other_sites_may_not_read_what_they_embed(client):
    for site in ("cross-site", "same-site"):
        reply = client.get("/api/models", headers={"sec-fetch-site": site})
        assert reply.status_code == 403
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code in (200, 404)  # a link from elsewhere


def test_answers_forbid_scripts_frames_and_guesses(client):
    for path in ("/api/models", "/api/nothing", "/"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers and "access-control-allow-origin" not in headers


def test_bodies_are_bounded_by_what_they_claim(client):
    host = f"127.0.0.1:{client.port}"
    head = POST.format(host=host) + "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    for length in (guard.MAX_JSON + 1, 10**15):
        assert b" 413 " in client.raw(head.format(length)).split(b"\r\n")[0]
    for length in (10**30, "-1", "many", "1e3"):
        assert b" 400 " in client.raw(head.format(length)).split(b"\r\n")[0]


def test_bodies_are_bounded_as_they_come(client):
    def endless():
        for _ in range(100):
            yield b" " * 4096

    reply = client.post("/api/training", content=endless(), headers={"content-type": "application/json"})
    assert reply.status_code == 413
    big = b"\x89PNG" + bytes(guard.MAX_PICTURE)
    assert client.post("/api/answers", content=big, headers={"content-type": "image/png"}).status_code == 413


def test_slow_bodies_are_cut_off(client, monkeypatch):
    monkeypatch.setitem(guard.SECONDS, "other", 0.3)
    head = (
        POST.format(host=f"127.0.0.1:{client.port}") + "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    start = time.monotonic()
    assert b" 408 " in client.raw(head).split(b"\r\n")[0]
    assert time.monotonic() - start < 4


def test_slow_heads_are_cut_off(client, monkeypatch):
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    start = time.monotonic()
    assert client.raw("GET / HT") == b"" and client.raw("") == b""
    assert time.monotonic() - start < 4


def test_clients_that_take_no_answer_are_cut_off(client, monkeypatch):
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.3)
    assert client.get("/api/digits?count=200").status_code == 200  # the digits are open now, and answers come at once
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", client.port))
        ask = f"GET /api/digits?count=200 HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n"
        connection.sendall(ask.encode() * 40)
        time.sleep(1)
        assert client.get("/api/models").status_code == 200
        received, connection_ends = 0, False
        connection.settimeout(5)
        try:
            while part := connection.recv(1 << 20):
                received += len(part)
            connection_ends = True
        except ConnectionError:
            connection_ends = True
    assert connection_ends and received < 40 * 200 * 784


MALFORMED = (
    "\x00\x01\x02\r\n\r\n",
    "GET\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "A" * 100_000,
    "GET /" + "a" * 70_000 + " HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 20_000 + "\r\n",
    "GET /%ff%fe%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
)


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_requests_get_a_4xx_and_harm_nobody(client, text):
    reply = client.raw(text, wait=1)
    assert reply == b"" or reply.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert client.get("/api/models").status_code == 200


def test_long_queries_are_refused(client):
    assert client.get("/api/models?x=" + "a" * 9000).status_code == 400


def test_many_idle_connections_do_not_keep_others_out(client):
    idle = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(100)]
    try:
        assert client.get("/api/models").status_code == 200
    finally:
        for connection in idle:
            connection.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("work"), host="0.0.0.0") as client:
        yield client


def test_token_is_in_the_address_and_in_the_cookie_that_the_page_sets(guarded):
    token = guarded.address.partition("?token=")[2]
    assert len(token) >= 20
    assert httpx.get(f"{guarded.base}/api/models").status_code == 403
    assert httpx.get(f"{guarded.base}/api/models?token={token}").status_code == 200
    page = httpx.get(f"{guarded.base}/?token={token}")
    cookie = page.headers.get("set-cookie", "")
    if page.status_code == 200:
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and token in cookie
    name = f"paddle_mnist_{guarded.port}"
    assert httpx.get(f"{guarded.base}/api/models", headers={"cookie": f"{name}={token}"}).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "?", "%00", "\u00e9", "a" * 200])
def test_token_must_be_right(guarded, token):
    assert httpx.get(f"{guarded.base}/?token={token}").status_code == 403
    headers = {"cookie": f"paddle_mnist_{guarded.port}={token.encode().hex()}"}
    assert httpx.get(f"{guarded.base}/api/models", headers=headers).status_code == 403


def test_token_does_not_replace_host_and_origin(guarded):
    token = guarded.address.partition("?token=")[2]
    path = f"{guarded.base}/api/models?token={token}"
    assert httpx.get(path, headers={"host": f"evil.example:{guarded.port}"}).status_code == 403
    reply = httpx.post(
        f"{guarded.base}/api/training?token={token}", json={"net": "nielsen"}, headers={"origin": "http://evil.example"}
    )
    assert reply.status_code == 403


def test_access_to_this_machine_alone_needs_no_token():
    with server.bind("127.0.0.1", 0) as listener:
        assert server.access_to("127.0.0.1", listener).token is None
        assert server.access_to("localhost", listener).token is None
        assert server.access_to("0.0.0.0", listener).token
    assert Access("127.0.0.1", 80).is_own("localhost") and not Access("127.0.0.1", 81).is_own("localhost")
