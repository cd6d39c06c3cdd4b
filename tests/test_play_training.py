"""Trainings that are started on the page: the form, the queue, stop, resume, and what the pages are told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from play_client import Client, serving, wait_for

from paddle_mnist import console, train
from paddle_mnist.errors import UserError
from paddle_mnist.play import playground
from paddle_mnist.play.__main__ import main
from paddle_mnist.play.form import form, read_order
from paddle_mnist.recipes import NETS, settings_for
from paddle_mnist.runs.run import RunOptions, open_run
from paddle_mnist.runs.session import train as train_session

LONG = {"net": "two-layer", "epochs": 3000, "log_every": 1}  # several minutes, were it not stopped


def environment(data_file):
    return {**os.environ, "PADDLE_MNIST_DATA": str(data_file)}


@pytest.fixture
def client(own_folder, data_file):
    with serving(own_folder / "work", environment=environment(data_file)) as client:
        yield client


def test_form_has_a_meaning_for_every_field_and_the_defaults_of_every_net():
    fields = {field["name"]: field for field in form()["fields"]}
    assert all(len(field["meaning"]) > 10 for field in fields.values())
    assert fields["lr"]["type"] == "number" and fields["hidden"]["optional"] and fields["plain"]["type"] == "boolean"
    assert fields["optimizer"]["choices"] and fields["device"]["choices"] == ("cpu", "gpu")
    for net, tasks in form()["defaults"].items():
        for task, values in tasks.items():
            assert values == settings_for(net, task).as_dict()


@pytest.mark.parametrize("net", NETS)
def test_form_that_is_filled_in_becomes_the_command_with_the_same_settings(net):
    defaults = {name: value for name, value in settings_for(net).as_dict().items() if value is not None}
    order = read_order({**defaults, "save_every": 7, "plain": True, "data": "sample"})
    given = vars(train.parser().parse_args(order.arguments()))
    assert {name: given[name] for name in defaults} == defaults
    assert (given["save_every"], given["plain"], given["data"]) == (7, True, "sample")
    everything = read_order({**defaults, **RunOptions().as_dict(), "data": "auto"})
    assert vars(train.parser().parse_args(everything.arguments()))["keep"] == RunOptions().keep
    assert order.settings == settings_for(net)


@pytest.mark.parametrize(
    ("filled", "said"),
    [
        ({"lr": -1}, "lr must be"),
        ({"lr": "0.1"}, "lr must be"),
        ({"lr": 10**400}, "lr must be"),
        ({"epochs": 1.5}, "epochs must be"),
        ({"epochs": True}, "epochs must be"),
        ({"epochs": 10**12}, "epochs must be"),
        ({"net": "resnet"}, "net must be"),
        ({"net": "nielsen", "task": "regress"}, "task must be"),
        ({"plain": 1}, "plain must be"),
        ({"device": "tpu"}, "device must be"),
        ({"data": "/etc/passwd"}, "data must be"),
        ({"out": "/tmp/x"}, "unknown field"),
        ({"quiet": True}, "unknown field"),
        ({"resume": "x"}, "unknown field"),
        ({"keep": 0}, "keep must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_form_refuses_what_train_would_refuse(filled, said):
    with pytest.raises(UserError, match=said):
        read_order(filled)


def test_training_is_followed_stopped_resumed_and_others_wait(client, own_folder):
    first = client.post("/api/training", json=LONG)
    assert first.status_code == 202
    assert first.json() == {"model": "run:two-layer", "state": "running", "position": 0}
    second = client.post("/api/training", json={"net": "nielsen", "epochs": 1}).json()
    assert second == {"model": "run:nielsen", "state": "queued", "position": 1}
    assert client.state("run:nielsen") == "queued"
    assert client.post("/api/models/run:nielsen/stop", json={}).json()["state"] == "removed"
    assert client.state("run:nielsen") is None
    assert client.post("/api/models/run:nielsen/stop", json={}).status_code == 404

    stream, seen, news = client.events("run:two-layer"), [], 0
    for name, data in stream:
        if name == "history":
            seen = data["records"] if data["from"] == 0 else seen + data["records"]
            news += 1
        if len(seen) > 40 and news > 4:
            break
    stream.close()
    assert [record["step"] for record in seen if "batch" in record] == list(
        range(len([r for r in seen if "batch" in r]))
    )
    wait_for(lambda: client.state("run:two-layer") == "running")
    assert client.post("/api/models/run:two-layer/resume", json={}).status_code == 409

    assert client.post("/api/models/run:two-layer/stop", json={}).json()["state"] == "stopping"
    wait_for(lambda: client.state("run:two-layer") == "stopped")
    done = client.json("/api/models/run:two-layer/history")["total"]
    assert client.post("/api/models/run:two-layer/resume", json={"epochs": 1}).status_code == 400
    assert client.post("/api/models/run:two-layer/resume", json={"epochs": 4000}).status_code == 202
    wait_for(lambda: client.json("/api/models/run:two-layer/history")["total"] > done)
    client.post("/api/models/run:two-layer/stop", json={})
    wait_for(lambda: client.state("run:two-layer") == "stopped")
    assert open_run(own_folder / "work" / "runs" / "two-layer").settings.epochs == 4000


def test_training_that_fails_says_why_and_the_next_one_starts(client):
    # The history of so many epochs could not be read back, which the command finds out.
    client.post("/api/training", json={"net": "two-layer", "epochs": 999_999_999})
    client.post("/api/training", json={"net": "nielsen", "epochs": 1})
    for name, data in client.events("run:two-layer"):
        if name == "state" and data["state"] == "failed":
            assert "epochs must be at most" in data["message"]
            break
    wait_for(lambda: client.state("run:nielsen") in ("running", "complete"))
    client.post("/api/models/run:nielsen/stop", json={})
    wait_for(lambda: client.state("run:nielsen") in (None, "stopped", "complete"))


def test_pages_that_have_gone_are_told_no_more(client, capfd):
    streams = [client.events() for _ in range(3)]
    for stream in streams:
        assert next(stream)[0] == "models"
    assert len(client.playground.hub.subscribers) == 3
    for stream in streams:
        stream.close()
    wait_for(lambda: not client.playground.hub.subscribers)
    assert capfd.readouterr().err == ""


def test_pages_that_connect_at_once_take_turns_and_get_the_whole_history_each(
    client, own_folder, data_file, monkeypatch
):
    monkeypatch.setattr(playground, "JOIN_SECONDS", 0.1)
    settings = settings_for("two-layer", epochs=2)
    train_session(settings, data_file, own_folder / "work" / "runs" / "two-layer", RunOptions(quiet=True, log_every=1))
    whole = client.json("/api/models/run:two-layer/history")["records"]
    told = []

    def connect():
        stream = client.events("run:two-layer")
        history = next(data for name, data in stream if name == "history")
        told.append((time.monotonic(), history["from"], history["records"]))
        stream.close()

    pages = [threading.Thread(target=connect) for _ in range(8)]
    began = time.monotonic()
    for page in pages:
        page.start()
    for page in pages:
        page.join(60)
    assert len(told) == 8
    assert all(first == 0 and records == whole for _, first, records in told)
    assert max(moment for moment, *_ in told) - began >= 0.7


def test_queue_is_bounded(client):
    client.post("/api/training", json=LONG)
    replies = [client.post("/api/training", json={"net": "nielsen"}) for _ in range(11)]
    assert [reply.status_code for reply in replies] == [202] * 10 + [409]
    assert [reply.json().get("position") for reply in replies[:2]] == [1, 2]
    for reply in replies[:10]:
        client.post(f"/api/models/{reply.json()['model']}/stop", json={})
    client.post("/api/models/run:two-layer/stop", json={})
    wait_for(lambda: client.state("run:two-layer") in (None, "stopped"))


def test_server_ends_at_ctrl_c_while_its_training_goes_on(own_folder, data_file, capfd):
    def start():
        command = [sys.executable, "-m", "paddle_mnist.play", "--no-browser", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(data_file), text=True)
        address = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        return process, Client(address[0], int(address[1]))

    def end(process):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        process.stdout.close()

    process, client = start()
    with client:
        assert client.post("/api/training", json=LONG).status_code == 202
        run = own_folder / "work" / "runs" / "two-layer"
        wait_for(lambda: (run / "checkpoints").exists())
        stream = client.events("run:two-layer")
        next(stream)
        end(process)  # with a page that listens
        stream.close()
    done = len((run / "history.jsonl").read_text().splitlines())
    wait_for(lambda: len((run / "history.jsonl").read_text().splitlines()) > done)
    process, client = start()
    with client:
        assert client.state("run:two-layer") == "running"
        waiting = client.post("/api/training", json={"net": "nielsen", "epochs": 1}).json()
        assert waiting["state"] == "queued"
        client.post("/api/models/run:nielsen/stop", json={})
        if sys.platform == "linux":
            assert client.post("/api/models/run:two-layer/stop", json={}).json()["state"] == "stopping"
            wait_for(lambda: client.state("run:two-layer") == "stopped")
        process.send_signal(signal.SIGINT)  # pressed twice
        end(process)
    state = json.loads((run / "run.json").read_text())
    assert state["settings"]["epochs"] == 3000
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "many"])
def test_play_refuses_a_port_that_is_none(port, capsys):
    assert console.run(main, ["--port", port, "--no-browser"]) == 2
    assert "--port" in capsys.readouterr().err


def test_play_takes_a_free_port_when_the_usual_one_is_taken(monkeypatch):
    from paddle_mnist.play import server

    with server.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(server, "PORT", port)
        with server.bind("127.0.0.1", None) as other:
            assert other.getsockname()[1] not in (0, port)
        with pytest.raises(UserError, match=f"port {port} is taken"):
            server.bind("127.0.0.1", port)
    with pytest.raises(UserError, match=r"cannot listen at 203\.0\.113\.7"):
        server.bind("203.0.113.7", None)
