"""Training by the workers of Paddle's launcher: the bits of one process, lost workers, resuming with another number."""

from __future__ import annotations

import dataclasses
import os
import re
import runpy
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import forked
import numpy as np
import pytest

from paddle_mnist import __version__, dataset, nets
from paddle_mnist.distributed import launch, local, mesh
from paddle_mnist.distributed.channel import Channel
from paddle_mnist.distributed.launch import Launch
from paddle_mnist.distributed.local import Launcher
from paddle_mnist.distributed.mesh import Mesh
from paddle_mnist.distributed.workers import Launched
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import NETS, settings_for
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import reproducible_state
from paddle_mnist.runs.session import RunOptions, resume, train
from paddle_mnist.runs.trainer import listening
from paddle_mnist.sources import mnist_json

TOOLS = Path(__file__).parents[1] / "tools"
linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")


@pytest.fixture
def forked_launchers(monkeypatch):
    """Fork Paddle's launcher: importing Paddle takes it longer than starting the workers."""
    forked.start_server()
    monkeypatch.setattr(local, "subprocess", SimpleNamespace(Popen=forked.Launch))


@linux
@pytest.mark.filterwarnings("ignore:When training, we now always track:UserWarning")  # batch norm's, by Paddle
def test_workers_train_to_the_bits_of_one_process(data_file, forked_launchers, monkeypatch, capsys):
    # What the script changes in this process, to be restored.
    monkeypatch.setattr(nets, "Student", None, raising=False)
    monkeypatch.setitem(NETS, "student", None)
    for name in ("JOIN", "SILENCE"):
        monkeypatch.setenv(f"PADDLE_MNIST_{name}_SECONDS", "120")
    compare = runpy.run_path(str(TOOLS / "compare_workers.py"))["main"]
    recipes = ["fc, SGD", "cnn, Momentum", "student, Adam", "student, Adam, plain"]
    status = compare(["--workers", "3", "--epochs", "2", "--data", str(data_file), "--recipes", *recipes])
    assert status == 0
    assert "3 workers: all 4 identical to the bit" in capsys.readouterr().out


@linux
def test_a_hanging_worker_stops_all_and_the_run_resumes_with_another_number(data_file, forked_launchers, tmp_path):
    settings = settings_for("cnn", epochs=3, batch_size=23)
    train(settings, data_file, "whole", RunOptions(quiet=True))
    command = ["-m", "paddle_mnist.train", "--net", "cnn", "--batch-size", "23", "--epochs", "3", "--save-every", "3"]
    command += ["--data", str(data_file), "--out", "run"]
    with Launcher(2, [sys.executable, *command], tmp_path / "logs") as workers:
        wait_until(lambda: checkpoint.checkpoints("run") if Path("run").exists() else [], workers)
        os.kill(workers.workers()[1], signal.SIGSTOP)
        began = time.monotonic()
        status = workers.wait(60)
        # Rank 0 stops after SILENCE_SECONDS; the launcher looks every second and gives the others three to end.
        assert status and time.monotonic() - began < launch.SILENCE_SECONDS + 10
        output = workers.output()
    sentence = re.search("paddle_mnist: error: (.*)", output)
    assert sentence, output
    assert re.match(r"rank 1 of 2 \(.*, process \d+\) has not answered for 6 seconds; continue", sentence[1])
    assert sentence[1].endswith("with any number of workers: python -m paddle_mnist.train --resume run")
    assert not workers.workers(), "processes are left"
    assert checkpoint.latest("run", pytest.fail)[2]["progress"]["epoch"] < 3
    resume("run", save_every=0, quiet=True)
    found, wanted = reproducible_state("run"), reproducible_state("whole")
    np.testing.assert_equal(found, wanted)


DIFFERENT = """
import os
from paddle_mnist import console, train
from paddle_mnist.distributed.workers import joined
from paddle_mnist.runs import session

rank = os.environ["PADDLE_TRAINER_ID"]
arguments = ["--net", "fc", "--quiet", "--out", "run"]
with joined():
    if rank == "1":
        session.__version__ = "0.0.1"
    print(console.run(train.main, [*arguments, "--data", "digits.json.gz"]))
    session.__version__ = "0.1.0"
    print(console.run(train.main, [*arguments, "--data", ["digits.json.gz", "others.json.gz"][int(rank)]]))
    print(console.run(train.main, [*arguments, "--data", "digits.json.gz", "--lr", ["0.1", "0.2"][int(rank)]]))
"""


@linux
def test_workers_with_other_versions_digits_or_settings_are_refused_by_name(
    data_file, splits, forked_launchers, tmp_path
):
    mnist_json.write(Path("others.json.gz"), dataclasses.replace(splits, train=splits.valid))
    script = tmp_path / "different.py"
    script.write_text(DIFFERENT)
    with Launcher(2, [str(script)], tmp_path / "logs") as workers:
        assert workers.wait(120) == 0, workers.output()
    shas = [dataset.open_dataset(name, log=str).sha256 for name in ("digits.json.gz", "others.json.gz")]
    differences = {
        "the version of paddle_mnist": (__version__, "0.0.1"),
        "the sha256 of the digits' file": shas,
        "--lr": (0.1, 0.2),
    }
    for rank in (0, 1):
        told = (tmp_path / "logs" / f"workerlog.{rank}").read_text()
        assert re.findall("error: (.*)", told) == [
            f"{name} must be the same for all workers, got {mine} in rank 0 and {others} in rank 1"
            for name, (mine, others) in differences.items()
        ]
    assert not Path("run").exists()


def wait_until(condition, workers, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert workers.process.poll() is None and time.monotonic() < until, workers.output()
        time.sleep(0.02)


# The launcher's variables.

ENVIRONMENT = {
    "PADDLE_TRAINERS_NUM": "4",
    "PADDLE_TRAINER_ID": "3",
    "PADDLE_LOCAL_SIZE": "2",
    "PADDLE_LOCAL_RANK": "1",
    "PADDLE_TRAINER_ENDPOINTS": "10.0.0.1:5000,10.0.0.1:5001,10.0.0.2:5000,10.0.0.2:5001",
}


def test_from_environment_reads_what_the_launcher_sets():
    found = launch.from_environment(ENVIRONMENT)
    assert found == Launch(3, 4, 1, 2, hub=("10.0.0.1", 5000), host="10.0.0.2")
    assert launch.threads_share(8, ENVIRONMENT) == 4 and launch.threads_share(1, ENVIRONMENT) == 1


@pytest.mark.parametrize("environment", [{}, {"PADDLE_TRAINERS_NUM": "1"}])
def test_from_environment_is_none_for_one_process(environment):
    assert launch.from_environment(environment) is None and launch.threads_share(8, environment) == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PADDLE_TRAINER_ID": "4"}, "PADDLE_TRAINER_ID must be an integer from 0 to 3, got '4'"),
        ({"PADDLE_TRAINERS_NUM": "many"}, "PADDLE_TRAINERS_NUM must be an integer"),
        ({"PADDLE_TRAINER_ENDPOINTS": ""}, "PADDLE_TRAINER_ENDPOINTS must be set"),
        ({"PADDLE_TRAINER_ENDPOINTS": "10.0.0.1"}, "address must be HOST:PORT, got '10.0.0.1'"),
        ({"PADDLE_TRAINER_ENDPOINTS": "10.0.0.1:5000"}, "PADDLE_TRAINER_ENDPOINTS must have 4 addresses, got 1"),
    ],
)
def test_from_environment_refuses_damaged_variables(change, words):
    with pytest.raises(UserError, match=words):
        launch.from_environment({**ENVIRONMENT, **change})


def test_numpy_nets_are_refused_under_the_launcher(data_file, monkeypatch):
    """Rank 0 of two, whose other worker is a thread here."""
    places = launches(2)
    endpoints = f"127.0.0.1:{places[0].hub[1]},127.0.0.1:1"
    numbers = {"TRAINERS_NUM": "2", "TRAINER_ID": "0", "LOCAL_SIZE": "2", "LOCAL_RANK": "0"}
    for name, value in {**numbers, "TRAINER_ENDPOINTS": endpoints}.items():
        monkeypatch.setenv(f"PADDLE_{name}", value)
    heard = []
    other = threading.Thread(target=lambda: heard.append(last_words(places[1])))
    other.start()
    with pytest.raises(UserError, match="net three-layer is trained by one process: start it without"):
        train(settings_for("three-layer"), data_file, "run", RunOptions(quiet=True))
    other.join(30)
    assert heard == ["rank 0 of 2 has stopped: net three-layer is trained by one process: start it without "
                     "paddle.distributed.launch"]  # fmt: skip
    assert not Path("run").exists()


# Connections between workers, as threads of this process.


def launches(size: int) -> list[Launch]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        hub = probe.getsockname()
    return [Launch(rank, size, rank, size, hub, "127.0.0.1") for rank in range(size)]


def last_words(place: Launch) -> str:
    """Connect, and return the sentence with which another worker stops."""
    heard: list[str] = []
    connections = Channel(place, heard.append)
    connections.wait_for_failure(8)
    connections.close()
    return heard[0]


def together(size: int, work, seconds: float = 20.0) -> list:
    """Return what ``work(channel, heard)`` returns or raises for each worker; ``heard`` lists reported failures."""
    places, results = launches(size), [None] * size

    def one(rank: int) -> None:
        heard: list[str] = []
        connections = Channel(places[rank], heard.append)
        try:
            results[rank] = work(connections, heard)
        except Exception as error:
            results[rank] = error
        finally:
            connections.close()

    in_threads(one, size, seconds)
    return results


def in_threads(work, size: int, seconds: float = 20.0) -> None:
    """Call ``work(rank)`` for each rank, all at the same time."""
    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive()


def test_channel_exchanges_values_in_the_order_of_ranks():
    def work(channel, heard):
        first = channel.exchange({"rank": channel.launch.rank})
        second = channel.exchange("x" * 100_000 if channel.launch.rank == 2 else None, last=True)
        return first, [len(value or "") for value in second], heard

    wanted = ([{"rank": rank} for rank in range(4)], [0, 0, 100_000, 0], [])
    assert together(4, work) == [wanted] * 4


@pytest.mark.parametrize("gone", [0, 2])
def test_channel_names_a_worker_whose_connection_closes(gone):
    def work(channel, heard):
        channel.exchange(None)
        if channel.launch.rank == gone:
            channel._ending = True  # a process that has died tells nobody what it sees of its closed connections
            for connection in channel._connections:
                connection.socket.shutdown(socket.SHUT_RDWR)
            return None
        channel.wait_for_failure(8)
        return heard[0]

    results = together(3, work)
    assert all(re.match(rf"rank {gone} of 3.* has stopped", result) for result in results if result is not None)
    assert results.count(None) == 1


@pytest.mark.parametrize("silent", [0, 1])
def test_channel_names_a_worker_that_is_silent(silent, monkeypatch):
    monkeypatch.setenv("PADDLE_MNIST_SILENCE_SECONDS", "1")
    release = threading.Event()

    def work(connections, heard):
        connections.exchange(None)
        connections.watch_closely()
        if connections.launch.rank == silent:
            connections._stopped.set()  # neither listens nor speaks, but its connection stays open
            release.wait(20)
            return None
        connections.wait_for_failure(8)
        release.set()
        return heard[0]

    results = together(2, work)
    assert re.match(rf"rank {silent} of 2.* has not answered for 1 second", results[1 - silent])


def test_channel_does_not_count_a_time_in_which_nobody_ran(monkeypatch):
    clock, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead[0])

    def work(channel, heard):
        channel.exchange(None)
        channel.watch_closely()
        time.sleep(0.2)
        if channel.launch.rank == 0:
            ahead[0] = 100.0  # as after a suspension of the machine
        time.sleep(1)
        channel.exchange(None, last=True)
        return heard

    assert together(2, work) == [[], []]


def test_channel_passes_on_why_a_worker_stops():
    def work(channel, heard):
        channel.exchange(None)
        if channel.launch.rank == 1:
            channel.fail("rank 1 of 3 has stopped: the disk is full")
            return heard
        channel.wait_for_failure(8)
        return heard

    told = ["rank 1 of 3 has stopped: the disk is full"]
    assert together(3, work) == [told, [], told]


def test_channel_says_who_has_not_connected(monkeypatch):
    monkeypatch.setenv("PADDLE_MNIST_JOIN_SECONDS", "0.3")
    places = launches(3)
    with pytest.raises(UserError, match=r"rank 1, 2 of 3 has not connected to rank 0 at 127.0.0.1:\d+ within 0.3 sec"):
        Channel(places[0], pytest.fail)
    with pytest.raises(UserError, match=r"rank 2 of 3 cannot reach rank 0 at 127.0.0.1:\d+ \(Connection refused\)"):
        Channel(places[2], pytest.fail)


def test_workers_refuse_differences_by_name():
    facts = [{"the version of paddle": "3.3.1", "--lr": 0.1}, {"the version of paddle": "3.3.1", "--lr": 0.2}]
    places, told = launches(2), [""] * 2

    def one(rank: int) -> None:
        workers = Launched(places[rank])
        with pytest.raises(UserError) as error:
            workers.agree_on(facts[rank])
        told[rank] = str(error.value)
        workers.channel.exchange(None, last=True)
        workers.channel.close()

    in_threads(one, 2)
    assert told == ["--lr must be the same for all workers, got 0.1 in rank 0 and 0.2 in rank 1"] * 2


def test_channel_ignores_strangers():
    places = launches(2)
    results: list = []

    def take_part(rank: int) -> None:
        connections = Channel(places[rank], pytest.fail)
        results.append(connections.exchange(rank, last=True))
        connections.close()

    first = threading.Thread(target=take_part, args=(0,))
    first.start()
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            stranger = socket.create_connection(places[0].hub)
            break
        except OSError:
            time.sleep(0.01)
    with stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        take_part(1)
        first.join(10)
    assert results == [[0, 1]] * 2


# Connections that carry arrays.


@pytest.mark.parametrize(("size", "cores"), [(2, 2), (3, 2)], ids=["a core each", "more workers than cores"])
def test_mesh_gathers_arrays_larger_than_a_connection_holds(size, cores, monkeypatch):
    monkeypatch.setattr(mesh, "cores", lambda: cores)

    def work(channel, heard):
        connections = Mesh(channel.launch, channel.exchange)
        arrays = [np.full(n, channel.launch.rank, np.float32) for n in (1, 2_000_000, 1, 3)]
        found = [connections.gather(array)[:, -1].tolist() for array in arrays]
        channel.exchange(None, last=True)
        connections.close()
        return found

    assert together(size, work) == [[[*range(size)]] * 4] * size


@pytest.mark.parametrize("size", [0, 5_000_001])
def test_mesh_gives_all_workers_the_bytes_of_rank_0(size):
    def work(channel, heard):
        connections = Mesh(channel.launch, channel.exchange)
        data = bytes([7]) * size if channel.launch.rank == 0 else b""
        found = connections.broadcast(data, size)
        channel.exchange(None, last=True)
        connections.close()
        return found.count(7), len(found)

    assert together(3, work) == [(size, size)] * 3


def test_workers_name_the_connection_that_breaks():
    places, told = launches(2), [""] * 2

    def one(rank: int) -> None:
        workers = Launched(places[rank])
        workers.resume_with = "python -m paddle_mnist.train --resume run"
        workers.connect()
        if rank == 1:
            workers.mesh.close()
        with pytest.raises(UserError) as error:
            workers.gather(np.zeros(5_000_000, np.float32))
        told[rank] = str(error.value)
        workers.leave()

    began = time.monotonic()
    in_threads(one, 2)
    assert time.monotonic() - began < 10
    for rank, sentence in enumerate(told):
        assert re.fullmatch(
            rf"the connection between rank {rank} and rank {1 - rank} is broken \(.*\); continue with any number of "
            "workers: python -m paddle_mnist.train --resume run",
            sentence,
        )


def test_mesh_ignores_strangers():
    def work(channel, heard):
        def exchange(value):
            places = channel.exchange(value)
            if channel.launch.rank == 1:
                socket.create_connection(places[0][:2]).close()  # says nothing
                with socket.create_connection(places[0][:2]) as stranger:
                    stranger.sendall(bytes(16) + (1).to_bytes(4, "big"))  # does not know the key
            return places

        connections = Mesh(channel.launch, exchange)
        found = connections.gather(np.array([channel.launch.rank], np.float32)).tolist()
        channel.exchange(None, last=True)
        connections.close()
        return found

    assert together(2, work) == [[[0], [1]]] * 2


# Two nodes: network namespaces with addresses of their own, on a slow link.


@pytest.fixture(scope="module")
def whole(tmp_path_factory, written_digits):
    """Return a run that nothing interrupts."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    settings = settings_for("cnn", epochs=20, batch_size=50)
    return train(settings, written_digits, out, RunOptions(quiet=True)).path


@linux
@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("cut", "rank [01] of 2.* has not answered for 3 seconds"),
        (
            "break_connections",
            r"(rank [01] of 2.* has stopped \(.*\)|the connection between rank . and rank . is broken.*)",
        ),
    ],
    ids=["cut off", "connections broken"],
)
def test_nodes_that_lose_each_other_stop_and_the_run_resumes_alone(
    event, told, whole, data_file, forked_launchers, monkeypatch, tmp_path, namespaces
):
    monkeypatch.setenv("PADDLE_MNIST_JOIN_SECONDS", "60")
    monkeypatch.setenv("PADDLE_MNIST_SILENCE_SECONDS", "3")
    command = [sys.executable, "-m", "paddle_mnist.train", "--net", "cnn", "--batch-size", "50", "--epochs", "20"]
    command += ["--save-every", "3", "--data", str(data_file), "--out", "run"]
    with namespaces.nodes() as two:
        two.limit(20)
        with (
            Launcher(1, command, tmp_path / "logs-0", two.options(0), two.prefix(0)) as first,
            Launcher(1, command, tmp_path / "logs-1", two.options(1), two.prefix(1)) as second,
        ):
            wait_until(lambda: checkpoint.checkpoints("run") if Path("run").exists() else [], first)
            getattr(two, event)()
            began = time.monotonic()
            assert first.wait(60) and second.wait(60)
            assert time.monotonic() - began < 3 + 10
    for launcher in (first, second):
        assert re.search(f"error: {told}; continue with any number of workers: ", launcher.output()), launcher.output()
        assert not launcher.workers(), "processes are left"
    resume("run", quiet=True)
    np.testing.assert_equal(reproducible_state("run"), reproducible_state(whole))


def test_a_worker_that_has_stopped_ignores_repeated_signals():
    """Paddle's launcher sends SIGTERM up to three times; the default action would end the worker without a word."""
    workers = SimpleNamespace(stop=0, size=2, request_stop=lambda number: setattr(workers, "stop", number))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with listening(workers):
            os.kill(os.getpid(), signal.SIGTERM)
        assert workers.stop == signal.SIGTERM
        assert [signal.getsignal(number) for number in before] == [signal.SIG_IGN, signal.SIG_IGN]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
