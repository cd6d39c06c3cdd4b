from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from paddle_mnist import console, reproduce
from paddle_mnist.recipes import RECIPES, settings_for


def row(recipe, seed, measured):
    return {"recipe": recipe, "seed": seed, "metric": RECIPES[recipe].metric, "measured": measured, "seconds": 1.0}


def test_reproduce_compares_the_mean_over_seeds_with_the_threshold():
    (good,) = reproduce.judge([row("mlp", 0, 0.9801), row("mlp", 1, 0.9785)], quick=False)
    (short,) = reproduce.judge([row("mlp", 0, 0.9801), row("mlp", 1, 0.9765)], quick=False)
    assert good["reached"] and not short["reached"]
    assert good["best"] == 0.9801 and good["seeds"] == [0, 1]


def test_reproduce_takes_a_smaller_error_for_better():
    low, high = (reproduce.judge([row("cnn", 0, mse)], quick=False)[0] for mse in (0.9, 1.2))
    assert low["reached"] and not high["reached"]


@pytest.mark.parametrize(("threshold", "status"), [(0.0, 0), (1.01, 1)])
def test_reproduce_marks_a_missed_threshold_and_exits_with_1(data_file, capfd, monkeypatch, threshold, status):
    monkeypatch.setitem(RECIPES, "three-layer", dataclasses.replace(RECIPES["three-layer"], threshold=threshold))
    assert console.run(reproduce.main, ["three-layer", "--data", str(data_file), "--seeds", "0", "1"]) == status
    out = capfd.readouterr().out
    assert "| three-layer |" in out and ("**missed**" in out) == bool(status)
    document = json.loads(Path("work/reproduce.json").read_text())
    assert [made["seed"] for made in document["rows"]] == [0, 1]
    assert Path("work/reproduce.md").read_text().startswith("| recipe |")


def test_reproduce_takes_the_best_epoch_if_the_source_does(splits, monkeypatch):
    monkeypatch.setitem(
        RECIPES, "nielsen", dataclasses.replace(RECIPES["nielsen"], settings=settings_for("nielsen", epochs=4))
    )
    watched = []
    monkeypatch.setattr(console, "note", watched.append)
    made = reproduce.train_recipe("nielsen", 0, splits)
    assert f"{made['measured']:.2%}" == max((line.split()[-1] for line in watched), key=lambda text: float(text[:-1]))


def test_reproduce_trains_long_recipes_only_when_they_are_named(data_file, monkeypatch):
    trained = []
    monkeypatch.setattr(reproduce, "train_recipe", lambda name, *_, **__: trained.append(name) or row(name, 0, 1.0))
    reproduce.main(["--data", str(data_file)])
    assert "strong" in trained and "stronger" not in trained
    reproduce.main(["stronger", "--data", str(data_file)])
    assert trained[-1] == "stronger"
