from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from paddle_mnist import plots


def history(epochs=2, steps=40, loss=3.0):
    records = []
    for epoch in range(epochs):
        for batch in range(0, steps, 4):
            step = epoch * steps + batch
            records.append({"epoch": epoch, "batch": batch, "step": step, "loss": loss / (1 + step)})
        records.append(
            {"epoch": epoch, "step": (epoch + 1) * steps - 1, "loss": loss, "valid_loss": loss / (2 + epoch)}
        )
    return records


def colours(path):
    return {tuple(pixel) for pixel in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)}


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("records", [history(), history(epochs=1, steps=4), history()[:3], []])
def test_the_loss_curve_shows_what_there_is(tmp_path, records):
    plots.loss_curve(records, tmp_path / "loss.png", "a title", "squared error")
    drawn = colours(tmp_path / "loss.png")
    assert (rgb(plots.COLOURS[1]) in drawn) == any("valid_loss" in record for record in records)
    assert (rgb(plots.COLOURS[0]) in drawn) == (len(records) > 10)


def test_runs_are_told_apart(tmp_path):
    plots.compare_runs({"fc": history(loss=5.0), "cnn": history()}, tmp_path / "both.png", "squared error")
    assert {rgb(plots.COLOURS[0]), rgb(plots.COLOURS[1])} <= colours(tmp_path / "both.png")


def test_a_misread_digit_is_marked(tmp_path, splits):
    images, labels = splits.eval.images[:9], splits.eval.labels[:9]
    plots.predictions(images, labels, labels, ["ok"] * 9, tmp_path / "right.png", "title")
    plots.predictions(images, labels, (labels + 1) % 10, ["no"] * 9, tmp_path / "wrong.png", "title")
    mark = rgb(plots.COLOURS[1])
    assert mark in colours(tmp_path / "wrong.png") and mark not in colours(tmp_path / "right.png")


def test_drawing_leaves_no_window_open(tmp_path):
    import matplotlib.pyplot as plt

    plots.loss_curve(history(), tmp_path / "loss.png", "a title", "squared error")
    assert not plt.get_fignums()


def test_the_running_mean_of_a_constant_is_the_constant():
    np.testing.assert_allclose(plots._running_mean(np.full(37, 2.5)), 2.5)
