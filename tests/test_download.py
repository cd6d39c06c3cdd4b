"""The download from a local server that misbehaves as mirrors do."""

from __future__ import annotations

import gzip
import hashlib
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.sources import download, idx

PACKED = {f"{name}.gz": gzip.compress(random.Random(name).randbytes(40_000), 1) for name in idx.NAMES}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in PACKED.items()}


class Mirror:
    """A server; ``answer`` gets the request's handler, the file's packed bytes, and how often it was asked for."""

    def __init__(self, answer, head=None):
        self.asked = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                (head or good)(self, b"", 1)

            def do_GET(self):
                name = self.path.rpartition("/")[2]
                mirror.asked.append(name)
                answer(self, PACKED[name], mirror.asked.count(name))

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/mnist/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def good(handler, body, times):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def truncated(handler, body, times):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def corrupted(handler, body, times):
    good(handler, body[:40] + bytes([body[40] ^ 1]) + body[41:], times)


def another(handler, body, times):
    good(handler, gzip.compress(b"<html>Please log in to this network</html>"), times)


def absent(handler, body, times):
    handler.send_error(404)


def without_length(handler, body, times):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(body)


def fetch(folder, *mirrors, **options):
    return download.fetch(folder, [mirror.url for mirror in mirrors], MD5, progress=False, **options)


def check(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(PACKED)
    for path in folder.iterdir():
        assert path.read_bytes() == PACKED[path.name]


def test_fetch_downloads_each_file_once(tmp_path):
    with Mirror(good) as mirror:
        paths = fetch(tmp_path, mirror)
        check(tmp_path)
        assert [path.name for path in paths] == list(PACKED)
        paths[2].write_bytes(b"damaged since")
        fetch(tmp_path, mirror)
        check(tmp_path)
        assert mirror.asked == [*PACKED, list(PACKED)[2]]


def test_fetch_needs_no_length(tmp_path):
    with Mirror(without_length) as mirror:
        fetch(tmp_path, mirror)
    check(tmp_path)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (truncated, "damaged or incomplete|ChunkedEncodingError"),
        (corrupted, "damaged or incomplete"),
        (another, "damaged or incomplete"),
        (absent, "HTTP status 404"),
    ],
)
def test_fetch_names_a_bad_mirror_and_keeps_nothing(tmp_path, answer, reason):
    lines = []
    with Mirror(answer) as mirror:
        with pytest.raises(UserError, match=f"train-images-idx3-ubyte.gz could not be .*{mirror.url}: ({reason})"):
            fetch(tmp_path / "new", mirror, log=lines.append)
        assert len(mirror.asked) == 1
        assert len(lines) == 2
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("answer", [truncated, corrupted, another, absent])
def test_fetch_takes_the_next_mirror(tmp_path, answer):
    with Mirror(answer) as bad, Mirror(good) as mirror:
        fetch(tmp_path, bad, mirror)
    check(tmp_path)


def test_fetch_says_that_no_mirror_answers(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(download.NoMirrorError, match=r"MNIST could not be downloaded \(no answer from .*, not a url"):
        download.fetch(tmp_path, [url, "not a url"], MD5, progress=False)


def test_fetch_does_not_wait_long_for_silent_mirrors_or_name_servers(tmp_path, monkeypatch):
    def silent(handler, body, times):
        release.wait(20)
        handler.close_connection = True

    def stuck(host, *rest):
        if host != "127.0.0.1":
            release.wait(20)
        return look_up("127.0.0.1", *rest)

    release, look_up = threading.Event(), socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    begun = time.monotonic()
    with Mirror(good, silent) as one, Mirror(good, silent) as two:
        with pytest.raises(download.NoMirrorError):
            download.fetch(tmp_path, [one.url, two.url, "http://a.test/"], MD5, progress=False, timeout=0.4)
        took = time.monotonic() - begun
        release.set()
    assert took < 3


def test_fetch_gives_up_a_slow_mirror(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.3)
    monkeypatch.setattr(download, "MIN_RATE", 1_000_000)
    pause = threading.Event()

    def slow(handler, body, times):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for i in range(0, len(body), 1000):
            handler.wfile.write(body[i : i + 1000])
            handler.wfile.flush()
            if pause.wait(0.03):
                return

    begun = time.monotonic()
    with Mirror(slow) as bad, Mirror(good) as mirror:
        fetch(tmp_path, bad, mirror)
        pause.set()
    check(tmp_path)
    assert time.monotonic() - begun < 10


def test_fetch_stops_a_mirror_that_sends_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)

    def endless(handler, body, times):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(65536))
        except OSError:
            handler.close_connection = True

    with Mirror(endless) as mirror, pytest.raises(UserError, match="it sent more than"):
        fetch(tmp_path, mirror)
