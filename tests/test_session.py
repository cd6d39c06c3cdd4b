"""``runs.session``: training and resuming from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs.run import open_run, reproducible_state
from paddle_mnist.runs.session import RunOptions, resume, train

QUIET = RunOptions(quiet=True)
SETTINGS = settings_for("three-layer", epochs=2, batch_size=50)


def checkpoints(run):
    return sorted(path.name for path in (run.path / "checkpoints").iterdir())


def test_train_returns_the_finished_run(data_file, own_folder):
    run = train(SETTINGS, data_file, options=QUIET)
    assert run.path == Path("work/runs/three-layer")
    assert run.result["samples"] == 50 and run.result["split"] == "eval"
    assert open_run(run.path).result == run.result
    manifest = json.loads((run.path / "run.json").read_text())
    assert manifest["engine"] == "NumPy" and manifest["settings"] == SETTINGS.as_dict()


def test_train_takes_an_open_data_set_and_a_folder(data_file, own_folder):
    run = train(SETTINGS, open_dataset(data_file), own_folder / "mine", QUIET)
    assert run.path == own_folder / "mine" and run.manifest["data"]["samples"] == [230, 50, 50]


def test_resume_to_more_epochs_equals_the_longer_run(data_file):
    whole = train(settings_for("three-layer", epochs=3, batch_size=50), data_file, "whole", QUIET)
    train(SETTINGS, data_file, "parts", QUIET)
    run = resume("parts", epochs=3, quiet=True)
    np.testing.assert_equal(reproducible_state(run.path), reproducible_state(whole.path))
    assert run.result == whole.result


def test_resume_honours_keep(data_file):
    run = train(SETTINGS, data_file, "run", RunOptions(keep=1, quiet=True))
    assert checkpoints(run) == ["epoch-002"]
    run = resume("run", epochs=5, keep=2, quiet=True)
    assert checkpoints(run) == ["epoch-004", "epoch-005"]
    assert open_run("run").options.keep == 2


def test_resume_honours_save_every(data_file):
    train(SETTINGS, data_file, "run", QUIET)
    run = resume("run", epochs=3, save_every=2, keep=10, quiet=True)
    assert checkpoints(run)[2:] == [*(f"epoch-002-batch-000{n}" for n in (2, 4, 6)), "epoch-003"]


def test_resume_honours_log_every(data_file):
    train(SETTINGS, data_file, "run", QUIET)
    run = resume("run", epochs=3, log_every=1, quiet=True)
    steps = [record["step"] for record in run.history() if "batch" in record]
    assert steps == [0, 10, *range(12, 18)], "every tenth step before, every step after"


@pytest.mark.parametrize("change", [{"plain": True}, {"device": "gpu"}])
def test_resume_refuses_another_engine_by_name(data_file, change):
    train(SETTINGS, data_file, "run", QUIET)
    (name,) = change
    before = open_run("run")
    with pytest.raises(UserError, match=f"was trained with {name} .*: leave --{name} out"):
        resume("run", epochs=3, **change)
    assert open_run("run") == before


def test_resume_accepts_the_runs_own_engine(data_file):
    train(SETTINGS, data_file, "run", QUIET)
    assert resume("run", epochs=3, plain=False, device="cpu", quiet=True).settings.epochs == 3


def test_train_leaves_no_folder_if_the_learner_cannot_be_built(data_file, own_folder):
    import paddle

    if paddle.device.is_compiled_with_cuda():
        pytest.skip("this Paddle has CUDA")
    with pytest.raises(UserError, match="no CUDA"):
        train(settings_for("fc"), data_file, options=RunOptions(device="gpu", quiet=True))
    assert not Path("work/runs").exists()


def test_session_trains_a_numpy_net_without_importing_paddle(data_file):
    program = (
        "import sys; from paddle_mnist.recipes import settings_for; from paddle_mnist.runs.session import train\n"
        f"train(settings_for('three-layer', epochs=1), {str(data_file)!r})\n"
        "sys.exit('paddle' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
