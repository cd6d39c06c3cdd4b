from __future__ import annotations

import json
import os

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs.run import RunOptions, create, open_run

DATA = {"name": "sample", "source": "sample", "sha256": "0" * 64}


def make(tmp_path, out=None, options=RunOptions()):  # noqa: B008 - frozen
    return create(out, "fc", settings_for("fc"), options, {"data": DATA}, tmp_path)


def manifest(**changes):
    return {"settings": settings_for("fc").as_dict(), "options": RunOptions().as_dict(), "data": DATA, **changes}


def test_open_run_finds_what_create_and_append_wrote(tmp_path):
    run = make(tmp_path, options=RunOptions(keep=7, plain=True))
    run.append([{"epoch": 0, "batch": 0, "step": 0, "loss": 1.5}])
    run.append([{"epoch": 0, "step": 0, "loss": 1.4, "valid_loss": 0.5}])
    found = open_run(run.path)
    assert found.settings == settings_for("fc") and found.options == RunOptions(keep=7, plain=True)
    assert found.result is None
    assert [record.get("loss") for record in found.history()] == [1.5, 1.4]


def test_create_never_takes_a_name_twice(tmp_path):
    names = [make(tmp_path).path.name for _ in range(3)]
    assert names == ["fc", "fc-2", "fc-3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "run.json"),
        ("[]", "run.json"),
        ("{}", "settings"),
        (json.dumps({"settings": {"net": "fc", "colour": 1}}), "colour"),
        (json.dumps({"settings": {"net": "fc", "epochs": -1}}), "epochs must be .* got -1"),
        (json.dumps({"settings": {"net": "fc", "epochs": "ten"}}), "epochs"),
        (json.dumps({"settings": 5}), "settings"),
        ("[" * 5000, "run.json"),
    ],
)
def test_open_run_refuses_a_damaged_manifest(tmp_path, text, words):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=words):
        open_run(tmp_path)


def test_open_run_says_that_there_is_no_run(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {**settings_for("nielsen").as_dict(), "hidden": 10**9}}, "hidden must be .* got 1000000000"),
        ({"settings": {**settings_for("nielsen").as_dict(), "hidden": 1.5}}, "hidden must be .* got 1.5"),
        ({"settings": {**settings_for("fc").as_dict(), "seed": 1 << 70}}, "seed must be"),
        ({"settings": {**settings_for("fc").as_dict(), "epochs": 10**12}}, "epochs must be"),
        ({"settings": {**settings_for("fc").as_dict(), "batch_size": True}}, "batch_size must be .* got True"),
        ({"settings": {**settings_for("fc").as_dict(), "net": "\x1b[2J\n"}}, "net must be one of"),
        ({"settings": {**settings_for("fc").as_dict(), "net": "\ud800"}}, "run.json"),
        ({"settings": {**settings_for("fc").as_dict(), "net": "x" * 5000}}, "net must be one of"),
        ({"data": None}, "which digits"),
        ({"data": {"name": "sample", "source": 5, "sha256": ""}}, "which digits"),
        ({"data": {"name": "sample", "source": "a\0b", "sha256": ""}}, "in visible text"),
        ({"options": {"keep": 0}}, "keep must be an integer from 1 .* got 0"),
        ({"options": {"log_every": "often"}}, "log_every must be .* got 'often'"),
        ({"options": {"plain": 1}}, "plain must be true or false, got 1"),
        ({"options": {"device": ["cpu"]}}, "device must be cpu or gpu, got"),
        ({"options": {"colour": 1}}, "colour"),
        ({"options": None}, "run.json"),
    ],
)
def test_open_run_checks_the_manifest(tmp_path, changes, words):
    (tmp_path / "run.json").write_text(json.dumps(manifest(**changes)))
    with pytest.raises(UserError, match=words) as caught:
        open_run(tmp_path)
    assert str(tmp_path / "run.json") in str(caught.value) and str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "its epoch is None"),
        ({"epoch": 0, "loss": 1.0}, "its step is None"),
        ({"epoch": 5, "step": 4, "loss": 1.0}, "step 4 cannot be in epoch 5"),
        ({"epoch": 0, "step": 0}, "its loss is None"),
        ({"epoch": 0, "step": 10**12, "loss": 1.0}, "its step is"),
        ({"epoch": 0, "step": 1, "loss": 1e200}, r"its loss is 1e\+200"),
        ({"epoch": 0, "step": 1, "loss": 1.0, "valid_loss": "low"}, "its valid_loss is 'low'"),
        ({"epoch": 0, "step": 1, "loss": 1.0, "valid_loss": 1.0, "mse": True}, "its mse is True"),
    ],
)
def test_history_names_a_line_that_is_not_a_record(tmp_path, record, words):
    run = make(tmp_path)
    run.append([{"epoch": 0, "batch": 0, "step": 0, "loss": 1.5}, record])
    with pytest.raises(UserError, match=rf"history\.jsonl, line 2 .*{words}"):
        run.history()


def test_remove_leftovers_removes_only_unfinished_files(tmp_path):
    run = make(tmp_path)
    (run.path / ".history.jsonl.0123abcd.tmp").write_bytes(b"{")
    for name in (".notes.tmp", "history.jsonl.0123abcd.tmp"):
        (run.path / name).write_bytes(b"mine")
    run.remove_leftovers()
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock",
        ".notes.tmp",
        "history.jsonl.0123abcd.tmp",
        "run.json",
    ]


def test_create_leaves_no_folder_if_the_manifest_cannot_be_written(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for out in (None, tmp_path / "mine"):
        with pytest.raises(UserError, match="No space left"):
            make(tmp_path / "runs", out)
    assert not list((tmp_path / "runs").iterdir()) and not (tmp_path / "mine").exists()


def test_create_refuses_a_file_and_a_folder_with_a_run(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="must be a folder"):
        make(tmp_path, tmp_path / "file")
    make(tmp_path, tmp_path / "run")
    with pytest.raises(UserError, match="already holds a run"):
        make(tmp_path, tmp_path / "run")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_open_run_names_a_manifest_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(UserError, match=r"run\.json must be a regular file, got a pipe"):
        open_run(tmp_path)
