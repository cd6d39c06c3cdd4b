"""A run folder from a stranger: whatever links and names it holds, resuming it changes nothing outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist import console, train
from paddle_mnist.errors import UserError
from paddle_mnist.runs import checkpoint
from paddle_mnist.storage.files import is_link

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")


def save(run: Path, epoch: int, **options: object) -> Path:
    weights = {"w": np.full(3, epoch, np.float32)}
    return checkpoint.save(run, weights, {}, {"epoch": epoch}, weights=checkpoint.NUMPY_WEIGHTS, **options)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a run of the user, outside the stranger's folder, with a file of the user in a checkpoint."""
    run = tmp_path / "victim"
    for epoch in (1, 2, 3):
        save(run, epoch, keep=None)
    (run / "checkpoints" / "epoch-001" / "notes.txt").write_text("mine")
    (run / "file").write_text("mine")
    return run


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def link_checkpoints(run: Path, victim: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to(victim / "checkpoints")


def link_checkpoints_to_nothing(run: Path, victim: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to(victim / "new")


def link_old_checkpoints(run: Path, victim: Path) -> None:
    for name in ("epoch-000", ".del-epoch-000-0123abcd", ".new-epoch-009-0123abcd", ".old-epoch-001-0123abcd"):
        (run / "checkpoints" / name).symlink_to(victim / "checkpoints" / "epoch-002")


def link_the_next_checkpoint(run: Path, victim: Path) -> None:
    for epoch in range(2, 6):
        shutil.rmtree(run / "checkpoints" / f"epoch-{epoch:03d}", ignore_errors=True)
        (run / "checkpoints" / f"epoch-{epoch:03d}").symlink_to(victim / "checkpoints" / "epoch-001")


def link_parts(run: Path, victim: Path) -> None:
    for folder in (run / "checkpoints").iterdir():
        for part in folder.iterdir():
            target = victim / "checkpoints" / "epoch-001" / part.name
            part.unlink()
            part.symlink_to(target)


def link_folders_as_parts(run: Path, victim: Path) -> None:
    folder = run / "checkpoints" / "epoch-000"
    folder.mkdir()
    for part in ("model.npz", "optimizer.pdopt", "state.json"):
        (folder / part).symlink_to(victim / "checkpoints")


HARMS = [
    link_checkpoints,
    link_checkpoints_to_nothing,
    link_old_checkpoints,
    link_the_next_checkpoint,
    link_parts,
    link_folders_as_parts,
]


@pytest.mark.parametrize("harm", HARMS)
def test_saving_and_pruning_change_nothing_outside(tmp_path, victim, harm):
    run = tmp_path / "stranger"
    save(run, 1)
    harm(run, victim)
    before = content(victim)
    for epoch in (2, 3, 4, 5, 6):
        try:
            save(run, epoch, keep=1, log=lambda sentence: None)
        except UserError as error:
            assert str(run / "checkpoints") in str(error)
    assert content(victim) == before
    assert sorted(os.listdir(victim)) == ["checkpoints", "file"]


@pytest.mark.parametrize("harm", HARMS)
def test_reading_names_what_leads_out_or_ignores_it(tmp_path, victim, harm):
    run = tmp_path / "stranger"
    save(run, 1)
    harm(run, victim)
    if harm in (link_checkpoints, link_checkpoints_to_nothing):
        for action in (checkpoint.checkpoints, checkpoint.latest, lambda run: checkpoint.prune(run, 1)):
            with pytest.raises(UserError, match="checkpoints must be a folder in the run folder, got a link"):
                action(run)
    else:
        assert not any(is_link(path) for path in checkpoint.checkpoints(run))


def test_prune_leaves_a_folder_with_a_file_of_somebody_else_and_says_so_once(tmp_path):
    run = tmp_path / "run"
    for epoch in (1, 2):
        save(run, epoch)
    (run / "checkpoints" / "epoch-001" / "notes.txt").write_text("mine")
    lines: list[str] = []
    for epoch in (3, 4, 5):
        save(run, epoch, keep=1, log=lines.append)
    assert sorted(os.listdir(run / "checkpoints")) == ["epoch-001", "epoch-005"]
    assert (run / "checkpoints" / "epoch-001" / "notes.txt").read_text() == "mine"
    assert len(lines) == 1 and lines[0].startswith(f"{run / 'checkpoints' / 'epoch-001'} is not removed because")
    assert "notes.txt is not part of a checkpoint" in lines[0]


def test_save_keeps_a_file_of_somebody_else_when_the_same_point_is_saved_again(tmp_path):
    run = tmp_path / "run"
    (save(run, 1) / "notes.txt").write_text("mine")
    lines: list[str] = []
    save(run, 1, log=lines.append)
    assert checkpoint.load(run / "checkpoints" / "epoch-001")[2]["epoch"] == 1
    assert [path.read_text() for path in run.rglob("notes.txt")] == ["mine"] and "notes.txt" in lines[0]


@pytest.mark.parametrize("name", ["Checkpoints", "EPOCH-001", "Model.npz"])
def test_names_in_other_letters_are_not_taken_for_ours(tmp_path, name):
    """Such names can come from a file system that ignores case; on such a file system they are ours."""
    run = tmp_path / "run"
    save(run, 1)
    place = {"Checkpoints": run, "EPOCH-001": run / "checkpoints"}.get(name, run / "checkpoints" / "epoch-001") / name
    if place.exists():
        pytest.skip("this file system ignores case")
    place.write_text("mine")
    for epoch in (2, 3):
        save(run, epoch, keep=1, log=lambda sentence: None)
    assert place.read_text() == "mine"


def link_every_file(run: Path, victim: Path) -> None:
    for name in ("best.npz", "loss.png", "predictions.png"):
        (run / name).unlink()
        (run / name).symlink_to(victim / "file")


def link_history(run: Path, victim: Path) -> None:
    (run / "history.jsonl").rename(victim / "history.jsonl")
    (run / "history.jsonl").symlink_to(victim / "history.jsonl")


def link_history_by_a_second_name(run: Path, victim: Path) -> None:
    os.link(run / "history.jsonl", victim / "history.jsonl")


def link_lock(run: Path, victim: Path) -> None:
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(victim / "lock")


@pytest.mark.parametrize(
    "harm",
    [link_every_file, link_history, link_history_by_a_second_name, link_lock, link_checkpoints],
)
def test_train_resume_changes_nothing_outside(
    tmp_path: Path, victim: Path, data_file: Path, capsys: pytest.CaptureFixture, harm: Callable
):
    run = tmp_path / "stranger"
    given = ["--net", "two-layer", "--batch-size", "50", "--data", str(data_file), "--out", str(run), "--quiet"]
    assert console.run(train.main, [*given, "--epochs", "1"]) == 0
    harm(run, victim)
    before = content(victim)
    capsys.readouterr()
    status = console.run(train.main, ["--resume", str(run), "--epochs", "3", "--quiet"])
    err = capsys.readouterr().err
    assert content(victim) == before and sorted(os.listdir(victim / "checkpoints"))[0] == "epoch-001"
    assert status == 0 or (status == 2 and str(run) in err and len(err.splitlines()) == 1)
