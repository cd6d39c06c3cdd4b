"""A playground's server in a thread, and a client that asks it as its own page does."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np

from paddle_mnist.play.playground import Playground
from paddle_mnist.play.server import access_to, address_of, bind, server_for

RAW = {"content-type": "application/octet-stream"}


class Client(httpx.Client):
    """Asks a server that is running."""

    def __init__(self, address: str, port: int) -> None:
        self.base, self.port = f"http://127.0.0.1:{port}", port
        self.address = address
        self.playground: Playground | None = None
        # Without certificates, which would be read for each client.
        super().__init__(base_url=self.base, headers={"origin": self.base}, timeout=60, verify=False)

    def bytes(self, path: str, image: np.ndarray) -> dict:
        reply = self.post(path, content=np.ascontiguousarray(image).tobytes(), headers=RAW)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def json(self, path: str) -> dict:
        reply = self.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def state(self, model_id: str) -> str | None:
        models = {model["id"]: model for model in self.json("/api/models")["models"]}
        return models[model_id]["state"] if model_id in models else None

    def events(self, *runs: str) -> Iterator[tuple[str, dict]]:
        """Yield the events of a stream, for two minutes at most."""
        end = time.monotonic() + 120
        with httpx.stream("GET", f"{self.base}/api/events?runs={','.join(runs)}", timeout=60) as stream:
            name = ""
            for line in stream.iter_lines():
                assert time.monotonic() < end, "the events did not come in time"
                if line.startswith("event: "):
                    name = line[len("event: ") :]
                elif line.startswith("data: "):
                    yield name, json.loads(line[len("data: ") :])

    def raw(self, text: str | bytes, wait: float = 5) -> bytes:
        """Send bytes as they are, and return what comes until the server closes or is silent for ``wait`` seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(text.encode("latin-1") if isinstance(text, str) else text)
            found = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while part := connection.recv(65536):
                    found += part
            return found


@contextlib.contextmanager
def serving(work: Path, host: str = "127.0.0.1", environment: dict[str, str] | None = None) -> Iterator[Client]:
    """Run a server for a work folder."""
    listener = bind(host, 0)
    access = access_to(host, listener)
    playground = Playground(work, access, environment or dict(os.environ))
    started = threading.Event()
    server = server_for(playground, started.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert started.wait(60)
        with Client(address_of(access), access.port) as client:
            client.playground = playground
            yield client
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


@contextlib.contextmanager
def lateness() -> Iterator[list[float]]:
    """Collect meanwhile by how many seconds a thread that does nothing is late: what the machine's other work costs."""
    late, done = [0.0], threading.Event()

    def wake() -> None:
        while not done.is_set():
            begun = time.monotonic()
            time.sleep(0.01)
            late.append(time.monotonic() - begun - 0.01)

    thread = threading.Thread(target=wake)
    thread.start()
    try:
        yield late
    finally:
        done.set()
        thread.join()


def decoded(described: dict) -> np.ndarray:
    """Return an array that came in JSON."""
    data = base64.b64decode(described["data"])
    return np.frombuffer(data, np.dtype(described["dtype"]).newbyteorder("<")).reshape(described["shape"])
