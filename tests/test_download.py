"""The download, against a server on this machine that misbehaves as mirrors do."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.sources import download, idx

CONTENT = {name: name.encode() * 3000 for name in idx.NAMES}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in CONTENT.items()}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}


class Mirror:
    """A server; ``answer`` gets the request's handler, the file's packed bytes, and how often it was asked for."""

    def __init__(self, answer):
        self.asked = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
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


def busy_once(handler, body, times):
    if times == 1:
        handler.send_error(503)
    else:
        good(handler, body, times)


def whole_at_second_try(handler, body, times):
    (truncated if times == 1 else good)(handler, body, times)


def without_length(handler, body, times):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def fetch(folder, *mirrors, **options):
    return download.fetch(folder, [mirror.url for mirror in mirrors], MD5, progress=False, **options)


def check(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(PACKED)
    for path in folder.iterdir():
        assert gzip.decompress(path.read_bytes()) == CONTENT[path.name.removesuffix(".gz")]


def test_files_are_fetched_once(tmp_path):
    with Mirror(good) as mirror:
        paths = fetch(tmp_path, mirror)
        check(tmp_path)
        assert [path.name for path in paths] == list(PACKED)
        paths[2].write_bytes(b"damaged since")
        fetch(tmp_path, mirror)
        check(tmp_path)
        assert mirror.asked == [*PACKED, list(PACKED)[2]]


@pytest.mark.parametrize("answer", [busy_once, whole_at_second_try, without_length])
def test_a_mirror_may_do_better_the_second_time(tmp_path, answer):
    with Mirror(answer) as mirror:
        fetch(tmp_path, mirror)
    check(tmp_path)


@pytest.mark.parametrize(
    ("answer", "reason", "times"),
    [
        (truncated, "of .* bytes|IncompleteRead", 3),
        (corrupted, "its content has the MD5", 3),
        (another, "its content has the MD5", 3),
        (absent, "it answered 404 Not Found", 1),
    ],
)
def test_a_bad_mirror_is_named_and_nothing_is_kept(tmp_path, answer, reason, times):
    lines = []
    with Mirror(answer) as mirror:
        with pytest.raises(
            UserError, match=f"train-images-idx3-ubyte could not be downloaded .*{mirror.url}: .*({reason})"
        ):
            fetch(tmp_path / "new", mirror, log=lines.append)
        assert len(mirror.asked) == len(lines) == times
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("answer", [truncated, corrupted, another, absent])
def test_the_next_mirror_is_taken(tmp_path, answer):
    with Mirror(answer) as bad, Mirror(good) as mirror:
        fetch(tmp_path, bad, mirror)
    check(tmp_path)


def test_nobody_listens(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    with pytest.raises(UserError, match=r"could not be downloaded .*refused"):
        download.fetch(tmp_path, [url], MD5, progress=False)


def test_silent_mirrors_are_not_waited_for_long(tmp_path):
    def silent(handler, body, times):
        time.sleep(0)  # the fixture's
        release.wait(20)

    release = threading.Event()
    begun = time.monotonic()
    with Mirror(silent) as one, Mirror(silent) as two, Mirror(silent) as three:
        with pytest.raises(UserError, match="no answer within"):
            fetch(tmp_path, one, two, three, connect_timeout=0.2, patience=0.5)
        took = time.monotonic() - begun
        release.set()
    assert took < 3


def test_a_slow_mirror_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_PATIENT", 0.3)
    pause = threading.Event()

    def slow(handler, body, times):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for i in range(len(body)):
            handler.wfile.write(body[i : i + 1])
            handler.wfile.flush()
            if pause.wait(0.02):
                return

    begun = time.monotonic()
    with Mirror(slow) as bad, Mirror(good) as mirror:
        fetch(tmp_path, bad, mirror)
        pause.set()
    check(tmp_path)
    assert time.monotonic() - begun < 10


def test_a_mirror_that_sends_without_end_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MAX_PACKED", 100_000)

    def endless(handler, body, times):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(65536))
        except OSError:
            handler.close_connection = True

    with Mirror(endless) as mirror, pytest.raises(UserError, match="it gave more than"):
        fetch(tmp_path, mirror, retries=0)


def test_what_is_inside_counts(monkeypatch):
    assert download._md5(gzip.compress(b"digits", 1)) == download._md5(gzip.compress(b"digits", 9))
    for wrong in (b"", b"digits", gzip.compress(b"digits")[:-1], gzip.compress(b"digits") + b"!"):
        assert download._md5(wrong).startswith("none")
    monkeypatch.setattr(download, "_MAX_CONTENT", 1000)
    assert download._md5(gzip.compress(bytes(10_000_000))).startswith("none")
