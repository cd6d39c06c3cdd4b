"""How fast does the playground answer 50 open pages while a net is trained, and how much does the training slow down?

    python benchmarks/play.py                 about three minutes
    python benchmarks/play.py --pages 10 --epochs 4

A server of its own, in a temporary folder, trains the classifying CNN on the sample three times: alone,
with open pages, alone. Each page holds a stream of events that follows the training, and asks once a second for every
net's answer to a digit. The pages run on the same machine, as simple as they can be; browsers would run on
others. The training's speed is the sum of its own epochs' seconds. The processor time of the server and of the pages
shows what they cost on a machine that is not idle, too. A bare process beside them wakes every 10 ms and
notes how late it was: where that is more than a few milliseconds, something else used the machine, and the answers
were late with it. Figures go to ``benchmarks/results/play.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from _measure import machine, save

LIMIT_MS, LEAST_SPEED = 100, 0.8
WAKE_S, QUIET_MS = 0.01, 20  # of the bare process: how often it wakes, and how late it is at most on an idle machine


async def request(port: int, head: str, body: bytes = b"") -> bytes:
    """Ask once, over a connection of its own, and return the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.format(host=f"127.0.0.1:{port}", length=len(body)).encode() + body)
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


GET = "GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n"
POST = (
    "POST {path} HTTP/1.1\r\nHost: {{host}}\r\nOrigin: http://{{host}}\r\nConnection: close\r\nContent-Type: {kind}\r\n"
    "Content-Length: {{length}}\r\n\r\n"
)


async def ask(port: int, path: str, value: dict | None = None) -> dict:
    """Return what the server says in JSON."""
    body = b"" if value is None else json.dumps(value).encode()
    head = GET.format(path=path) if value is None else POST.format(path=path, kind="application/json")
    return json.loads(await request(port, head, body))


async def page(port: int, model: str, digit: bytes, delays: list[float], events: list[int]) -> None:
    """Act as one page until cancelled: a stream of events, and a connection for its questions, as browsers keep one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET.format(path=f"/api/events?runs={model}").format(host=f"127.0.0.1:{port}").encode())

    async def listen() -> None:
        while line := await reader.readline():
            events[0] += line.startswith(b"event: history")

    listening = asyncio.create_task(listen())
    head = POST.format(path="/api/answers?kind=prepared", kind="application/octet-stream")
    question = head.format(host=f"127.0.0.1:{port}", length=len(digit)).replace("close", "keep-alive").encode() + digit
    answers, asking = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.sleep(random.random())
        while True:
            begun = time.perf_counter()
            asking.write(question)
            headers = (await answers.readuntil(b"\r\n\r\n")).lower()
            await answers.readexactly(int(headers.partition(b"content-length:")[2].split()[0]))
            delays.append(time.perf_counter() - begun)
            await asyncio.sleep(1)
    finally:
        listening.cancel()
        writer.close()
        asking.close()


def note_delays(pipe: Connection) -> None:
    """Wake every 10 ms until told to stop, then send how late that was, in seconds."""
    delays = []
    while not pipe.poll():
        begun = time.perf_counter()
        time.sleep(WAKE_S)
        delays.append(time.perf_counter() - begun - WAKE_S)
    pipe.send(delays)


@contextlib.contextmanager
def waking(delays: list[float]) -> Iterator[None]:
    """Let a bare process wake meanwhile, and add to ``delays`` how late it was."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=note_delays, args=(there,))
    process.start()
    try:
        yield
    finally:
        here.send(None)
        delays += here.recv()
        process.join()


async def training(port: int, epochs: int, pages: int, digit: bytes) -> tuple[float, list[float], int]:
    """Train once with open pages; return the seconds of its epochs, the delays of answers, and the events that came."""
    settings = {"net": "cnn", "task": "classify", "epochs": epochs, "data": "sample", "log_every": 1}
    model = (await ask(port, "/api/training", settings))["model"]
    while not (await ask(port, f"/api/models/{model}/history"))["records"]:
        await asyncio.sleep(0.2)
    delays: list[float] = []
    events = [0]
    tasks = [asyncio.create_task(page(port, model, digit, delays, events)) for _ in range(pages)]
    while (await ask(port, f"/api/models/{model}/history"))["state"] == "running":
        await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    records = (await ask(port, f"/api/models/{model}/history"))["records"]
    seconds = [record["seconds"] for record in records if "valid_loss" in record]
    return sum(seconds[1:]), delays, events[0]  # the first epoch comes before the pages


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has taken."""
    with open(f"/proc/{process}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def measure(server: int, port: int, epochs: int, pages: int, digit: bytes) -> dict:
    """Train alone, with pages, and alone, at the server of a process and a port."""
    await training(port, 1, 0, digit)  # gives the pages a net that answers
    before, _, _ = await training(port, epochs, 0, digit)
    late: list[float] = []
    taken = {name: -processor_seconds(process) for name, process in (("server", server), ("pages", os.getpid()))}
    begun = time.perf_counter()
    with waking(late):
        busy, delays, events = await training(port, epochs, pages, digit)
    for name, process in (("server", server), ("pages", os.getpid())):
        taken[name] = (taken[name] + processor_seconds(process)) / (time.perf_counter() - begun)
    after, _, _ = await training(port, epochs, 0, digit)
    ordered, late = sorted(1000 * delay for delay in delays), sorted(1000 * delay for delay in late)
    return {
        "pages": pages,
        "answers": len(ordered),
        "events": events,
        "median_ms": statistics.median(ordered),
        "p95_ms": ordered[int(0.95 * len(ordered))],
        "max_ms": ordered[-1],
        "over_limit": sum(delay > LIMIT_MS for delay in ordered),
        "bare_p95_ms": late[int(0.95 * len(late))],
        "bare_max_ms": late[-1],
        "server_cores": taken["server"],
        "pages_cores": taken["pages"],
        "training_alone_s": [before, after],
        "training_with_pages_s": busy,
        "speed": statistics.mean([before, after]) / busy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=40)
    args = parser.parse_args()
    before = machine()
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "work").mkdir()
        command = [sys.executable, "-m", "paddle_mnist.play", "--no-browser", "--port", "0"]
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline()
            port = int(address.split(":")[2].split("/")[0])
            digit = bytes(28 * 8) + bytes([0] * 12 + [255] * 4 + [0] * 12) * 12 + bytes(28 * 8)
            figures = asyncio.run(measure(server.pid, port, args.epochs, args.pages, digit))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()
    print(
        f"{figures['pages']} pages, {figures['answers']} answers: median {figures['median_ms']:.1f} ms, 95 % within "
        f"{figures['p95_ms']:.1f} ms, the slowest {figures['max_ms']:.1f} ms (wanted: {LIMIT_MS} ms)"
    )
    disturbed = figures["bare_max_ms"] > QUIET_MS
    print(
        f"a bare process woke {figures['bare_p95_ms']:.1f} ms late (95 %), {figures['bare_max_ms']:.1f} ms at most"
        + (": the machine was disturbed, repeat this when it is idle" if disturbed else "")
    )
    print(f"the server takes {figures['server_cores']:.2f} of a core, the pages {figures['pages_cores']:.2f}")
    print(f"the training runs at {figures['speed']:.2f} of its speed alone (wanted: {LEAST_SPEED})")
    print(save("play", {"machine": before, **figures}))


if __name__ == "__main__":
    main()
