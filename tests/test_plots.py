from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from paddle_mnist import plots
from paddle_mnist.errors import UserError

pytestmark = pytest.mark.draws


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
    image = Image.open(path).convert("RGB")
    return {colour for _, colour in image.getcolors(image.width * image.height)}


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("records", [history(), history(epochs=1, steps=4), history()[:3], []])
def test_loss_curve_shows_what_the_history_has(tmp_path, records):
    plots.loss_curve(records, tmp_path / "loss.png", "a title", "squared error")
    drawn = colours(tmp_path / "loss.png")
    assert (rgb(plots.COLOURS[1]) in drawn) == any("valid_loss" in record for record in records)
    assert (rgb(plots.COLOURS[0]) in drawn) == (len(records) > 10)


def test_compare_runs_draws_each_run_in_its_colour(tmp_path):
    plots.compare_runs([("fc", history(loss=5.0)), ("cnn", history())], tmp_path / "both.png", "squared error")
    assert {rgb(plots.COLOURS[0]), rgb(plots.COLOURS[1])} <= colours(tmp_path / "both.png")


def test_predictions_mark_a_wrong_one(tmp_path, splits):
    images, labels = splits.eval.images[:9], splits.eval.labels[:9]
    plots.predictions(images, labels, labels, ["ok"] * 9, tmp_path / "right.png", "title")
    plots.predictions(images, labels, (labels + 1) % 10, ["no"] * 9, tmp_path / "wrong.png", "title")
    mark = rgb(plots.COLOURS[1])
    assert mark in colours(tmp_path / "wrong.png") and mark not in colours(tmp_path / "right.png")


def test_plots_leave_no_window_open(tmp_path):
    import matplotlib.pyplot as plt

    plots.loss_curve(history(), tmp_path / "loss.png", "a title", "squared error")
    assert not plt.get_fignums()


def test_running_mean_of_a_constant_is_the_constant():
    np.testing.assert_allclose(plots.running_mean(np.full(37, 2.5)), 2.5)


@pytest.mark.parametrize("draw", ["one", "two"])
def test_plots_thin_out_long_histories(tmp_path, draw):
    records = history(epochs=400, steps=2000)
    tracemalloc.start()
    began = time.process_time()
    if draw == "one":
        plots.loss_curve(records, tmp_path / "loss.svg", "a title", "squared error")
    else:
        plots.compare_runs([("a", records), ("b", records)], tmp_path / "loss.svg", "squared error")
    seconds, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 10 and most < 60e6
    text = (tmp_path / "loss.svg").read_text("utf-8")
    assert len(text) < 2e6
    assert ("extremes of each 100 logged batches" in text) == (draw == "one")


def test_plots_keep_a_spike_when_thinning(tmp_path):
    calm = [{"epoch": 0, "step": step, "loss": 1.0} for step in range(9000)]
    spiked = [{**record, "loss": 1.2} if record["step"] == 4321 else record for record in calm]
    for name, records in (("calm", calm), ("spiked", spiked)):
        plots.loss_curve(records, tmp_path / f"{name}.png", "a title", "squared error")
    calm, spiked = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("calm", "spiked"))
    assert (calm != spiked).any()


@pytest.mark.parametrize("extreme", [9e99, -9e99, 1e-300, -1.0, 0])
@pytest.mark.parametrize("everywhere", [True, False])
def test_plots_draw_extreme_losses(tmp_path, extreme, everywhere):
    records = history()
    for record in records if everywhere else records[5:6] + records[-1:]:
        record["loss"] = extreme
        if "valid_loss" in record:
            record["valid_loss"] = extreme
    plots.loss_curve(records, tmp_path / "loss.png", "a title", "squared error")
    plots.compare_runs([("a", records), ("b", history())], tmp_path / "both.png", "squared error")
    assert (tmp_path / "loss.png").stat().st_size > 10_000 < (tmp_path / "both.png").stat().st_size


def test_plots_draw_far_steps(tmp_path):
    records = [{"epoch": 0, "step": step, "loss": 1.0} for step in (0, 10**9 - 2, 10**9 - 1)]
    records.append({"epoch": 10**9 - 1, "step": 10**9 - 1, "loss": 1.0, "valid_loss": 1.0})
    plots.loss_curve(records, tmp_path / "loss.png", "a title", "squared error")
    assert (tmp_path / "loss.png").stat().st_size > 10_000


NAMES = [r"runs/$\bad{$", "$x$", "a\x1b]0;title\x07b", "\udcff", "数字", "two\nlines"]


@pytest.mark.parametrize("name", NAMES)
def test_plots_show_names_literally_in_titles(tmp_path, splits, name):
    image = splits.eval.images[:1]
    plots.loss_curve(history(), tmp_path / "loss.png", name, "squared error")
    plots.predictions(image, splits.eval.labels[:1], splits.eval.labels[:1], ["1"], tmp_path / "grid.png", name)
    plots.segmentation(image[0], [(1, 1, 9, 9)], image, ["1"], tmp_path / "number.png", name)
    assert all(path.stat().st_size > 3000 for path in tmp_path.iterdir())


def test_compare_runs_shows_names_literally_in_its_title_and_legend(tmp_path):
    plots.compare_runs([(name, history()) for name in NAMES], tmp_path / "all.png", "squared error")
    assert (tmp_path / "all.png").stat().st_size > 3000


def test_plots_do_not_read_dollars_in_names_as_mathematics(tmp_path):
    plots.loss_curve(history(), tmp_path / "loss.svg", "$x$", "squared error")
    assert "<!-- $x$ -->" in (tmp_path / "loss.svg").read_text("utf-8")


@pytest.mark.parametrize("name", ["x.foo", "x.pgf"])
def test_check_format_refuses_unknown_formats(tmp_path, name):
    with pytest.raises(UserError, match=r"must end in \.png, \.svg"):
        plots.loss_curve(history(), tmp_path / name, "a title", "squared error")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x", "x.PNG", "x.svg", "x.pdf", "x.jpg", "x.webp"])
def test_save_writes_known_formats(tmp_path, name):
    plots.loss_curve(history(), tmp_path / name, "a title", "squared error")
    assert (tmp_path / name).stat().st_size > 3000
