from __future__ import annotations

import json

import pytest

from paddle_mnist import runs
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import settings_for


def document():
    digits = {"name": "sample", "source": "sample", "sha256": "0" * 64}
    return {"settings": settings_for("fc").as_dict(), "data": digits}


def test_a_run_is_found_as_it_was_written(tmp_path):
    run = runs.create(None, "fc", document(), tmp_path)
    run.append([{"epoch": 0, "batch": 0, "step": 0, "loss": 1.5}])
    run.append([{"epoch": 0, "step": 0, "loss": 1.4, "valid_loss": 0.5}])
    found = runs.open_run(run.path)
    assert found.settings == settings_for("fc")
    assert [record.get("loss") for record in found.history()] == [1.5, 1.4]


def test_names_are_never_taken_twice(tmp_path):
    names = [runs.create(None, "fc", document(), tmp_path).path.name for _ in range(3)]
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
        runs.open_run(tmp_path)


def test_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        runs.open_run(tmp_path)
