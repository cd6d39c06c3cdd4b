"""``evaluate``, ``plot`` and what they restore: run folders and bare weight files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist import console, evaluate, learners, plot, train
from paddle_mnist.engine import evaluate as measure
from paddle_mnist.loader import batches, to_input
from paddle_mnist.recipes import settings_for
from paddle_mnist.storage.weights import save_state_dict


@pytest.fixture
def asked(data_file, capfd):
    """Return a function that runs ``evaluate --json`` and returns the parsed output."""

    def run(*arguments):
        capfd.readouterr()  # drop earlier output
        status = console.run(evaluate.main, [*map(str, arguments), "--json", "--data", str(data_file)])
        out, err = capfd.readouterr()
        assert status == 0, err
        return json.loads(out)

    return run


@pytest.mark.parametrize("net", ["fc", "mlp", "nielsen"])
def test_evaluate_gives_a_run_the_result_of_its_training(asked, data_file, net):
    assert console.run(train.main, ["--net", net, "--epochs", "1", "--data", str(data_file), "--quiet"]) == 0
    run = Path("work/runs") / net
    result = json.loads((run / "run.json").read_text())["result"]
    answer = asked(run)
    assert answer.keys() == {"net", "task", "split", "samples", "loss", "mse", "accuracy"}
    assert (answer["net"], answer["split"], answer["samples"]) == (net, "eval", 50)
    assert {key: answer[key] for key in ("loss", "mse", "accuracy")} == {
        key: pytest.approx(result[key]) for key in ("loss", "mse", "accuracy")
    }
    assert (answer["mse"] is None) == (net != "fc")


def test_evaluate_averages_over_moved_copies_if_asked(asked, splits):
    learner = learners.build(settings_for("fc"))
    save_state_dict("weights.pdparams", learner.state_dict())
    images, labels = to_input(splits.eval.images, "01"), splits.eval.labels
    moved = [np.roll(images, move, axis=(2, 3)) for move in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
    expected = np.mean((np.mean([learner.outputs(copy) for copy in moved], axis=0)[:, 0] - labels) ** 2)
    assert asked("weights.pdparams", "--average")["mse"] == pytest.approx(expected, rel=1e-5)
    assert asked("weights.pdparams")["mse"] != pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("suffix", ["pdparams", "safetensors"])
@pytest.mark.parametrize(
    ("net", "task"), [("fc", "regress"), ("cnn", "regress"), ("cnn", "classify"), ("mlp", "classify")]
)
def test_evaluate_recognises_the_net_and_the_task_of_a_bare_file(asked, splits, net, task, suffix):
    settings = settings_for(net, task, seed=5)
    learner = learners.build(settings)
    save_state_dict(f"weights.{suffix}", learner.state_dict())
    answer = asked(f"weights.{suffix}", "--split", "valid")
    expected = measure(learner, batches(splits.valid, 100, task))
    assert (answer["net"], answer["task"], answer["loss"]) == (net, task, pytest.approx(expected.loss, rel=1e-5))


def test_evaluate_reads_weights_that_paddle_saved(asked, splits):
    import paddle

    from paddle_mnist.nets import CNN

    paddle.seed(9)
    net = CNN()
    paddle.save(net.state_dict(), "mnist.pdparams")
    answer = asked("mnist.pdparams", "--pixel-range", "pm1")
    ((images, labels),) = batches(splits.eval, 50, pixel_range="pm1")
    outputs = net(paddle.to_tensor(images)).numpy()
    assert answer["mse"] == pytest.approx(float(((outputs - labels) ** 2).mean()), rel=1e-4)


@pytest.mark.parametrize("net", ["two-layer", "three-layer", "nielsen"])
def test_evaluate_recognises_the_file_of_a_numpy_net(asked, net):
    save_state_dict("weights.npz", learners.build(settings_for(net)).state_dict())
    assert asked("weights.npz")["net"] == net


def wrong_head():
    state = learners.build(settings_for("cnn")).state_dict()
    return {**state, "fc.weight": np.zeros((980, 7), np.float32), "fc.bias": np.zeros(7, np.float32)}


def wrong_shape():
    return {**learners.build(settings_for("fc")).state_dict(), "fc2.weight": np.zeros((10, 9), np.float32)}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (wrong_head, "fc.weight of net cnn must have shape [980, 1], got [980, 7]"),
        (wrong_shape, "fc2.weight"),
        (lambda: {"linear.weight": np.zeros((784, 10), np.float32)}, "'linear.weight' [784, 10]"),
    ],
)
def test_evaluate_refuses_weights_of_no_known_net(data_file, capfd, state, words):
    save_state_dict("weights.pdparams", state())
    assert console.run(evaluate.main, ["weights.pdparams", "--data", str(data_file)]) == 2
    err = capfd.readouterr().err
    assert words in err and "weights.pdparams" in err


@pytest.mark.draws
def test_plot_overlays_runs(data_file, capfd):
    for seed in (0, 1):
        assert (
            console.run(train.main, ["--net", "fc", "--epochs", "1", "--data", str(data_file), "--seed", str(seed)])
            == 0
        )
    capfd.readouterr()
    assert console.run(plot.main, ["work/runs/fc", "work/runs/fc-2"]) == 0
    path = Path(capfd.readouterr().out.strip())
    assert path.name == "loss-fc-fc-2.png" and path.stat().st_size > 10_000


def test_plot_refuses_losses_of_different_kinds(data_file, capfd):
    for task in ("regress", "classify"):
        given = ["--net", "fc", "--task", task, "--epochs", "1", "--data", str(data_file), "--out", task]
        assert console.run(train.main, given) == 0
    assert console.run(plot.main, ["regress", "classify"]) == 2
    assert "the runs must have the same loss, got cross-entropy, squared error" in capfd.readouterr().err
