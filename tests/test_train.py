"""Complete training runs from the command line, on synthetic digits."""

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
from paddle_mnist.runs import checkpoint, trainer
from paddle_mnist.runs.run import reproducible_state
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


@pytest.mark.draws
@pytest.mark.parametrize("net", ["fc", "cnn", "mlp", "two-layer", "three-layer", "nielsen"])
def test_train_leaves_every_promised_file(command, net):
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


def test_train_overwrites_nothing(command):
    assert command("--net", "fc", *QUICK)[0] == 0
    first = (Path("work/runs/fc") / "history.jsonl").read_bytes()
    assert command("--net", "fc", *QUICK, "--seed", "1")[0] == 0
    assert Path("work/runs/fc-2/best.pdparams").is_file()
    assert (Path("work/runs/fc") / "history.jsonl").read_bytes() == first
    status, _, err = command("--net", "fc", *QUICK, "--out", "work/runs/fc")
    assert status == 2 and "work/runs/fc already holds a run" in err.replace(os.sep, "/")


def test_train_names_the_run_after_net_and_task(command):
    assert command("--net", "fc", "--task", "classify", *QUICK)[0] == 0
    assert Path("work/runs/fc-classify/loss.png").is_file()


def test_train_quiet_prints_only_the_result(command):
    status, out, err = command("--net", "fc", *QUICK, "--quiet")
    assert status == 0 and len(out.splitlines()) == 1 and "test mse" in out
    assert not [line for line in err.splitlines() if "collapsed" not in line]


def test_train_dry_run_leaves_no_files(command):
    status, out, _ = command("--net", "cnn", "--dry-run")
    assert status == 0 and "dry run" in out
    assert not list(Path("work").iterdir())


@pytest.mark.parametrize("net", ["cnn", "mlp", "two-layer"])
def test_resume_for_more_epochs_equals_the_longer_run(command, net):
    assert command("--net", net, *QUICK, "--epochs", "3", "--out", "whole")[0] == 0
    assert command("--net", net, *QUICK, "--epochs", "1", "--out", "parts")[0] == 0
    status, out, _ = command("--resume", "parts", "--epochs", "3", data=None)
    assert status == 0 and "resuming after epoch 1" in out
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
def test_resume_within_an_epoch_equals_an_uninterrupted_run(command, monkeypatch, arguments):
    net, task, optimizer, *more = arguments
    given = ["--net", net, "--task", task, "--optimizer", optimizer, *QUICK, *more]
    assert command(*given, "--out", "whole")[0] == 0

    on_step = trainer.Trainer.on_step

    def interrupt(self, step):
        if step.step == 7:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        on_step(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "on_step", interrupt)
        status, _, err = command(*given, "--out", "parts")
    assert status == 130 and "paddle_mnist.train --resume parts" in err
    assert command("--resume", "parts", data=None)[0] == 0
    assert_same("parts", "whole")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_train_saves_on_a_signal_and_says_how_to_resume(command, monkeypatch, number, expected):
    on_step = trainer.Trainer.on_step

    def interrupt(self, step):
        if step.step == 3:
            signal.raise_signal(number)
        on_step(self, step)

    monkeypatch.setattr(trainer.Trainer, "on_step", interrupt)
    status, _, err = command("--net", "fc", *QUICK, "--out", "run")
    assert status == expected and "continue with python -m paddle_mnist.train --resume run" in err
    assert checkpoint.latest("run")[2]["batch"] == 4


@pytest.mark.parametrize("call", [3, 5, 9, 14, 19])
def test_train_reports_a_full_disk_and_loses_nothing_saved(command, monkeypatch, call):
    """The disk is full at one of the calls that write files; resumed with free space, the run ends the same way."""
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


def test_train_warns_of_a_rising_validation_loss():
    losses = []
    for epoch, loss in enumerate([1.0, 1.5, 1.4, 1.5, 1.6, 1.7]):
        losses.append(loss)
        found = trainer.warnings_for({"epoch": epoch, "constant_answer": None}, losses, best_epoch=0)
        assert bool(found) == (epoch == 5)
    assert "has risen for 3 epochs" in found[0] and "after epoch 1" in found[0]


def test_train_reports_divergence_and_keeps_the_last_good_checkpoint(command):
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
def test_resume_refuses_a_checkpoint_with_wrong_counts(command, progress):
    assert command("--net", "three-layer", *QUICK, "--out", "run")[0] == 0
    weights, optimizer, state = checkpoint.latest("run")
    state = {**state, "progress": progress}
    checkpoint.save("run", weights, optimizer, state, weights=checkpoint.NUMPY_WEIGHTS)
    status, _, err = command("--resume", "run", "--epochs", "3", data=None)
    assert status == 2 and "does not say how far the run has come" in err
    assert len(err.splitlines()) == 1 and err.strip().isprintable() and len(err) < 500


def test_train_warns_of_a_collapsed_net(command):
    """At this learning rate every unit of the last layer ends up inactive."""
    _, _, err = command("--net", "fc", "--lr", "1e-6", *QUICK)
    assert "for every digit" in err


def test_resume_refuses_a_folder_in_use(command):
    assert command("--net", "fc", *QUICK, "--out", "run")[0] == 0
    with checkpoint.lock("run"):
        status, _, err = command("--resume", "run", "--epochs", "3", data=None)
    assert status == 2 and "run" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "0.5"], "was trained with --lr 0.01, got --lr 0.5"),
        (["--net", "cnn"], "was trained with --net fc, got --net cnn"),
        (["--seed", "3"], "--seed 0, got --seed 3"),
        (["--epochs", "1"], "epochs must be at least the 2 of run, got 1"),
        (["--out", "other"], "--out cannot be combined with --resume"),
        (["--dry-run"], "--dry-run cannot be combined with --resume"),
        (["--plain"], "was trained with plain False and cannot be resumed with plain True"),
        (["--device", "gpu"], "was trained with device cpu and cannot be resumed with device gpu"),
        (["--keep", "0"], "keep must be"),
        (["--save-every", "-1"], "save_every must be"),
        (["--log-every", "0"], "log_every must be"),
        (["--data", "other.json.gz"], "other.json.gz"),
    ],
)
def test_resume_refuses_what_would_change_the_result(command, arguments, words):
    assert command("--net", "fc", *QUICK, "--out", "run")[0] == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    status, _, err = command("--resume", "run", *arguments, data=None)
    assert status == 2 and words in err and len(err.strip().splitlines()) == 1
    assert before == {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume", "nowhere"], "nowhere holds no run"),
        (["--net", "cnn", "--epochs", "-1"], "epochs must be"),
        (["--net", "cnn", "--seed", "99999999999999999999"], "seed must be"),
        (["--net", "cnn", "--batch-size", "99999999999999999999"], "batch_size must be"),
        (["--net", "cnn", "--lr-decay", "1e300"], "lr_decay"),
        (["--net", "cnn", "--keep", "0"], "keep must be"),
        (["--net", "nielsen", "--task", "regress"], "task must be classify"),
        (["--net", "fc", "--data", "missing.json.gz"], "missing.json.gz"),
        (["--net", "fc", "--out", "digits.json.gz"], "digits.json.gz must be a folder"),
    ],
)
def test_train_refuses_in_one_sentence(command, arguments, words):
    given = arguments if "--data" in arguments or "--resume" in arguments else [*arguments, "--data", "digits.json.gz"]
    status, _, err = command(*given, data=None)
    assert status == 2 and words in err and "Traceback" not in err
    assert len([line for line in err.splitlines() if "error" in line]) == 1
    assert not Path("work/runs").exists(), "a run that never began leaves no folder"


def test_help_imports_nothing_heavy():
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
