"""``runs.session``: training and resuming from Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs import history
from paddle_mnist.runs.run import open_run, reproducible_state
from paddle_mnist.runs.session import RunOptions, resume, train
from paddle_mnist.storage.bounded_json import dump

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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow these names")
@pytest.mark.parametrize(("odd", "shown"), [(b"\xff", r"\\udcff"), (b"\n", r"\\n")])
def test_train_and_resume_with_names_that_are_not_visible_text(data_file, odd, shown):
    name = os.fsdecode(odd + b".json.gz")
    shutil.copy(data_file, name)
    run = train(SETTINGS, name, os.fsdecode(b"run" + odd), QUIET)
    assert open_run(run.path).result == run.result
    with pytest.raises(UserError, match=rf"was trained on .*{shown}.json.gz, which does not exist: give .* --data"):
        resume(run.path, epochs=3, quiet=True)
    assert resume(run.path, epochs=3, data=name, quiet=True).settings.epochs == 3


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


@pytest.fixture
def short_history(monkeypatch):
    """Read no history that is longer than two epochs and 38 logged steps."""
    monkeypatch.setattr(history, "MAX_HISTORY_BYTES", 2 * history.EPOCH_BYTES + 38 * history.STEP_BYTES)


def test_train_refuses_a_history_that_it_could_not_read_back(data_file, short_history):
    settings = settings_for("three-layer", epochs=2, batch_size=6)  # 47 steps an epoch
    with pytest.raises(UserError, match="--log-every must be at least 3 for 94 steps, got 2"):
        train(settings, data_file, "run", RunOptions(log_every=2, quiet=True))
    assert not Path("run").exists()
    assert len(train(settings, data_file, "run", RunOptions(log_every=3, quiet=True)).history()) == 32 + 2


def test_train_refuses_more_epochs_than_a_history_holds(data_file, short_history):
    with pytest.raises(UserError, match="epochs must be at most 19, got 1,000,000"):
        train(settings_for("three-layer", epochs=10**6), data_file, "run", QUIET)
    assert not Path("run").exists()


def test_resume_refuses_a_history_that_it_could_not_read_back(data_file, short_history):
    run = train(
        settings_for("three-layer", epochs=1, batch_size=6), data_file, "run", RunOptions(log_every=2, quiet=True)
    )
    before = (run.path / "run.json").read_bytes()
    with pytest.raises(UserError, match="--log-every must be at least 4 for 47 steps, got 2"):
        resume("run", epochs=2)
    assert (run.path / "run.json").read_bytes() == before
    assert len(resume("run", epochs=2, log_every=4, quiet=True).history()) == 24 + 12 + 2


def test_check_length_counts_enough_bytes_for_the_longest_records():
    floats = {"loss": -2.2250738585072014e-100, "lr": 1.2345678901234567e-05, "ms_per_step": 123_456.789}
    step = {"epoch": 99_999, "batch": 12_345, "step": 123_456_789, **floats}
    assert len(dump(step) + "\n") <= history.STEP_BYTES
    epoch = {"epoch": 99_999, "step": 123_456_789, **floats, "valid_loss": 2.2250738585072014e-100}
    epoch |= {
        "mse": 2.2250738585072014e-100,
        "accuracy": 0.12345678901234567,
        "constant_answer": None,
        "seconds": 99_999.123,
    }
    assert len(dump(epoch) + "\n") <= history.EPOCH_BYTES


def test_resume_refuses_more_epochs_with_a_one_cycle_schedule(data_file):
    settings = settings_for("three-layer", epochs=1, batch_size=50, schedule="one-cycle")
    train(settings, data_file, "run", QUIET)
    with pytest.raises(UserError, match="epochs must stay 1 for run, got 3: its one-cycle schedule"):
        resume("run", epochs=3, quiet=True)
