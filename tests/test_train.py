"""Whole training runs through the command line, on made-up digits."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_mnist import console, train
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs import checkpoint, trainer
from paddle_mnist.runs.run import create, reproducible_state
from paddle_mnist.storage.bounded_json import read_history

QUICK = ["--epochs", "2", "--batch-size", "50", "--log-every", "2"]


@pytest.fixture
def command(data_file, capfd):
    """Return a function that runs ``train`` and gives its status, standard output and standard error."""

    def run(*arguments, data=data_file):
        where = ["--data", str(data)] if data else []
        status = console.run(train.main, [*map(str, arguments), *where])
        return status, *capfd.readouterr()

    return run


def assert_same(a, b):
    """Compare two runs to the bit."""
    np.testing.assert_equal(reproducible_state(a), reproducible_state(b))


@pytest.mark.parametrize("net", ["fc", "cnn", "mlp", "two-layer", "three-layer", "nielsen"])
def test_a_run_leaves_all_that_it_promises(command, net):
    status, out, _ = command("--net", net, *QUICK)
    run = Path("work/runs") / net
    assert status == 0
    document = json.loads((run / "run.json").read_text())
    assert document["settings"]["net"] == net and document["result"]["samples"] == 50
    assert len(document["data"]["sha256"]) == 64 and document["versions"]["paddle_mnist"]
    epochs = [record for record in read_history(run / "history.jsonl") if "valid_loss" in record]
    assert [record["epoch"] for record in epochs] == [0, 1]
    weights = "npz" if net in ("two-layer", "three-layer", "nielsen") else "pdparams"
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"epoch-001", "epoch-002"}
    for name in ("checkpoints/epoch-002/state.json", f"checkpoints/epoch-002/model.{weights}", f"best.{weights}"):
        assert (run / name).is_file()
    for name in ("loss.png", "predictions.png"):
        assert np.asarray(Image.open(run / name).convert("L")).std() > 10
    assert f"run folder    {run}" in out and "test result" in out and f"paddle_mnist.evaluate {run}" in out
    assert out.count("epoch ") >= 2


def test_nothing_is_overwritten(command):
    assert command("--net", "fc", *QUICK)[0] == 0
    first = (Path("work/runs/fc") / "history.jsonl").read_bytes()
    assert command("--net", "fc", *QUICK, "--seed", "1")[0] == 0
    assert Path("work/runs/fc-2/best.pdparams").is_file()
    assert (Path("work/runs/fc") / "history.jsonl").read_bytes() == first
    status, _, err = command("--net", "fc", *QUICK, "--out", "work/runs/fc")
    assert status == 2 and "work/runs/fc already holds a run" in err.replace(os.sep, "/")


def test_the_task_is_in_the_runs_name(command):
    assert command("--net", "fc", "--task", "classify", *QUICK)[0] == 0
    assert Path("work/runs/fc-classify/loss.png").is_file()


def test_quiet_prints_the_result_alone(command):
    status, out, err = command("--net", "fc", *QUICK, "--quiet")
    assert status == 0 and len(out.splitlines()) == 1 and "test mse" in out
    assert not [line for line in err.splitlines() if "collapsed" not in line]


def test_a_dry_run_does_everything_and_keeps_nothing(command):
    status, out, _ = command("--net", "cnn", "--dry-run")
    assert status == 0 and "dry run" in out
    assert not list(Path("work").iterdir())


@pytest.mark.parametrize("net", ["cnn", "mlp", "two-layer"])
def test_a_run_resumed_for_more_epochs_is_the_longer_run(command, net):
    assert command("--net", net, *QUICK, "--epochs", "3", "--out", "whole")[0] == 0
    assert command("--net", net, *QUICK, "--epochs", "1", "--out", "parts")[0] == 0
    status, out, _ = command("--resume", "parts", "--epochs", "3", data=None)
    assert status == 0 and "goes on after epoch 1" in out
    assert_same("parts", "whole")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fc", "regress", "sgd", "--lr-decay", "0.5"),
        ("fc", "classify", "momentum"),
        ("cnn", "regress", "adam", "--lr-decay", "0.7"),
        ("cnn", "classify", "rmsprop"),
        ("mlp", "classify", "rmsprop"),
        ("three-layer", "classify", "sgd"),
    ],
)
def test_a_run_stopped_inside_an_epoch_ends_as_if_it_never_was(command, monkeypatch, arguments):
    net, task, optimizer, *more = arguments
    given = ["--net", net, "--task", task, "--optimizer", optimizer, *QUICK, *more]
    assert command(*given, "--out", "whole")[0] == 0

    on_step = trainer.Trainer._on_step

    def interrupt(self, step):
        if step.step == 7:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        on_step(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_on_step", interrupt)
        status, _, err = command(*given, "--out", "parts")
    assert status == 130 and "paddle_mnist.train --resume parts" in err
    assert command("--resume", "parts", data=None)[0] == 0
    assert_same("parts", "whole")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(command, monkeypatch, number, expected):
    on_step = trainer.Trainer._on_step

    def interrupt(self, step):
        if step.step == 3:
            signal.raise_signal(number)
        on_step(self, step)

    monkeypatch.setattr(trainer.Trainer, "_on_step", interrupt)
    status, _, err = command("--net", "fc", *QUICK, "--out", "run")
    assert status == expected and "go on by python -m paddle_mnist.train --resume run" in err
    assert checkpoint.latest("run")[2]["batch"] == 4


@pytest.mark.parametrize("call", [3, 5, 9, 14, 19])
def test_a_full_disk_is_one_sentence_and_costs_nothing_that_was_saved(command, monkeypatch, call):
    """The disk is full at one of the calls that bring files to it; with room again, the run goes on to the same end."""
    given = ["--net", "three-layer", *QUICK, "--epochs", "3"]
    assert command(*given, "--out", "whole")[0] == 0
    calls, fsync = [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, _, err = command(*given, "--out", "run")
    assert status == 2 and "No space left on device" in err and err.count("error:") == 1
    if not Path("run/run.json").exists():  # then the folder is free
        assert command(*given, "--out", "run")[0] == 0
    else:
        assert command("--resume", "run", data=None)[0] == 0
    assert_same("run", "whole")


def test_a_rising_validation_loss_is_said_aloud(own_folder, capsys, splits):
    run = create("run", "", {"settings": settings_for("fc").as_dict()}, own_folder)
    watching = trainer.Trainer(run, None, splits)
    watching.best = {"epoch": 0, "valid_loss": 1.0}
    for epoch, loss in enumerate([1.0, 1.5, 1.4, 1.5, 1.6]):
        record = {"epoch": epoch, "step": epoch, "loss": 1.0, "valid_loss": loss, "constant_answer": None}
        run.append([record])
        watching._warn(record)
        assert not capsys.readouterr().err
    record = {"epoch": 5, "step": 5, "loss": 1.0, "valid_loss": 1.7, "constant_answer": None}
    run.append([record])
    watching._warn(record)
    assert "has risen for 3 epochs" in capsys.readouterr().err


def test_a_diverging_run_says_so_and_keeps_the_last_good_checkpoint(command):
    status, _, err = command("--net", "cnn", "--lr", "1e12", "--clip-norm", "0", *QUICK, "--out", "run")
    assert status == 2 and "has diverged" in err and "--clip-norm" in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "progress",
    [
        {"epoch": 0, "batch": 5, "loss_sum": 1.0, "samples": 0},
        {"epoch": 0, "batch": 1, "loss_sum": 1.0, "samples": 51},
        {"epoch": 0, "batch": "\x1b[2J\n" * 900, "loss_sum": 1.0, "samples": 0},
        {"epoch": 0, "batch": 10**18, "loss_sum": 1.0, "samples": 10**18},
        {"epoch": 0, "batch": 0, "loss_sum": None, "samples": 0},
        {"epoch": 0, "colour": 0},
        [],
    ],
)
def test_a_strangers_checkpoint_that_counts_wrongly_is_refused(command, progress):
    assert command("--net", "three-layer", *QUICK, "--out", "run")[0] == 0
    weights, optimizer, state = checkpoint.latest("run")
    state = {**state, "progress": progress}
    checkpoint.save("run", weights, optimizer, state, weights=checkpoint.NUMPY_WEIGHTS)
    status, _, err = command("--resume", "run", "--epochs", "3", data=None)
    assert status == 2 and "does not say how far the run has come" in err
    assert len(err.splitlines()) == 1 and err.strip().isprintable() and len(err) < 500


def test_a_collapsed_net_is_called_so(command):
    """A rate this large throws every unit of the last layer to where it answers nothing."""
    _, _, err = command("--net", "fc", "--lr", "1e-6", *QUICK)
    assert "for every digit" in err


def test_two_trainings_never_share_a_folder(command):
    assert command("--net", "fc", *QUICK, "--out", "run")[0] == 0
    with checkpoint.lock("run"):
        status, _, err = command("--resume", "run", "--epochs", "3", data=None)
    assert status == 2 and "run" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "0.5"], "was trained with --lr 0.01, not 0.5"),
        (["--net", "cnn"], "was trained with --net fc, not cnn"),
        (["--seed", "3"], "--seed 0, not 3"),
        (["--epochs", "1"], "may ask for more, not for fewer"),
        (["--out", "other"], "leave --out"),
        (["--data", "other.json.gz"], "other.json.gz"),
    ],
)
def test_resuming_refuses_other_settings(command, arguments, words):
    assert command("--net", "fc", *QUICK, "--out", "run")[0] == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    status, _, err = command("--resume", "run", *arguments, data=None)
    assert status == 2 and words in err and len(err.strip().splitlines()) == 1
    assert before == {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume", "nowhere"], "nowhere holds no run"),
        (["--net", "cnn", "--epochs", "-1"], "epochs is -1"),
        (["--net", "nielsen", "--task", "regress"], "only classifies"),
        (["--net", "fc", "--data", "missing.json.gz"], "missing.json.gz"),
        (["--net", "fc", "--out", "digits.json.gz"], "digits.json.gz is a file"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(command, arguments, words):
    given = arguments if "--data" in arguments or "--resume" in arguments else [*arguments, "--data", "digits.json.gz"]
    status, _, err = command(*given, data=None)
    assert status == 2 and words in err and "Traceback" not in err
    assert len([line for line in err.splitlines() if "error" in line]) == 1


def test_help_is_quick_because_nothing_heavy_is_imported():
    code = (
        "import sys; from paddle_mnist import train\n"
        "try: train.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'paddle', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--clip-norm" in done.stdout
