from __future__ import annotations

import json

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs.run import create, open_run


def document():
    digits = {"name": "sample", "source": "sample", "sha256": "0" * 64}
    return {"settings": settings_for("fc").as_dict(), "data": digits}


def test_a_run_is_found_as_it_was_written(tmp_path):
    run = create(None, "fc", document(), tmp_path)
    run.append([{"epoch": 0, "batch": 0, "step": 0, "loss": 1.5}])
    run.append([{"epoch": 0, "step": 0, "loss": 1.4, "valid_loss": 0.5}])
    found = open_run(run.path)
    assert found.settings == settings_for("fc")
    assert [record.get("loss") for record in found.history()] == [1.5, 1.4]


def test_names_are_never_taken_twice(tmp_path):
    names = [create(None, "fc", document(), tmp_path).path.name for _ in range(3)]
    assert names == ["fc", "fc-2", "fc-3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "run.json"),
        ("[]", "run.json"),
        ("{}", "settings"),
        (json.dumps({"settings": {"net": "fc", "colour": 1}}), "colour"),
        (json.dumps({"settings": {"net": "fc", "epochs": -1}}), "epochs is -1"),
        (json.dumps({"settings": {"net": "fc", "epochs": "ten"}}), "epochs"),
        (json.dumps({"settings": 5}), "settings"),
        ("[" * 5000, "run.json"),
    ],
)
def test_a_damaged_run_is_refused_in_one_sentence(tmp_path, text, words):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=words):
        open_run(tmp_path)


def test_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {**settings_for("nielsen").as_dict(), "hidden": 10**9}}, "1 to 4,096"),
        ({"settings": {**settings_for("nielsen").as_dict(), "hidden": 1.5}}, "hidden is 1.5"),
        ({"settings": {**document()["settings"], "seed": 1 << 70}}, "seed is 1.18059162"),
        ({"settings": {**document()["settings"], "epochs": 10**12}}, "epochs is 1000000000000"),
        ({"settings": {**document()["settings"], "batch_size": True}}, "batch_size is True"),
        ({"settings": {**document()["settings"], "net": "\x1b[2J\n"}}, r"net is '\\x1b"),
        ({"settings": {**document()["settings"], "net": "\ud800"}}, "not valid JSON"),
        ({"data": None}, "which digits"),
        ({"data": {"name": "sample", "source": 5, "sha256": ""}}, "which digits"),
        ({"data": {"name": "sample", "source": "a\0b", "sha256": ""}}, "no path"),
        ({"keep": 0}, "keep is 0"),
        ({"log_every": "often"}, "log_every is 'often'"),
        ({"plain": 1}, "plain is 1"),
        ({"device": ["cpu"]}, r"device is \['cpu'\]"),
    ],
)
def test_what_run_json_says_is_checked_before_anything_is_done_with_it(tmp_path, changes, words):
    (tmp_path / "run.json").write_text(json.dumps({**document(), **changes}))
    with pytest.raises(UserError, match=words) as caught:
        open_run(tmp_path)
    assert str(tmp_path / "run.json") in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "its epoch is None"),
        ({"epoch": 0, "loss": 1.0}, "its step is None"),
        ({"epoch": 5, "step": 4, "loss": 1.0}, "step 4 cannot be of epoch 5"),
        ({"epoch": 0, "step": 0}, "its loss is None"),
        ({"epoch": 0, "step": 10**12, "loss": 1.0}, "its step is"),
        ({"epoch": 0, "step": 1, "loss": 1e200}, r"its loss is 1e\+200"),
        ({"epoch": 0, "step": 1, "loss": 1.0, "valid_loss": "low"}, "its valid_loss is 'low'"),
        ({"epoch": 0, "step": 1, "loss": 1.0, "valid_loss": 1.0, "mse": True}, "its mse is True"),
    ],
)
def test_a_line_of_a_history_that_is_no_record_is_named(tmp_path, record, words):
    run = create(None, "fc", document(), tmp_path)
    run.append([{"epoch": 0, "batch": 0, "step": 0, "loss": 1.5}, record])
    with pytest.raises(UserError, match=rf"history\.jsonl, line 2 .*{words}"):
        run.history()


def test_half_written_files_of_a_killed_process_are_swept(tmp_path):
    run = create(None, "fc", document(), tmp_path)
    (run.path / ".history.jsonl.0123abcd.tmp").write_bytes(b"{")
    for name in (".notes.tmp", "history.jsonl.0123abcd.tmp"):
        (run.path / name).write_bytes(b"mine")
    run.sweep()
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock",
        ".notes.tmp",
        "history.jsonl.0123abcd.tmp",
        "run.json",
    ]
