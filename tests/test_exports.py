"""Exports: every net here in every format gives what the net gives, and one that does not is not written."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import paddle
import pytest
import random_nets

from paddle_mnist import console, export, exports, learners, nets
from paddle_mnist.errors import UserError
from paddle_mnist.exports import DifferentError, quantize, to_onnx, to_paddle, verify
from paddle_mnist.exports import export as write
from paddle_mnist.exports.model import load_model
from paddle_mnist.loader import to_input
from paddle_mnist.metrics import predicted_digits
from paddle_mnist.recipes import NETS, settings_for
from paddle_mnist.runs.session import RunOptions, train
from paddle_mnist.storage.weights import save_state_dict

ALL = [(net, task) for net, entry in NETS.items() for task in entry.defaults]
PIXELS = np.random.default_rng(0).integers(0, 256, (1000, 28, 28), dtype=np.uint8)


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime, which is not installed")
    return pytest.importorskip("onnx", reason="ONNX files are written by onnx, which is not installed")


def weights_of(net: str, task: str | None = None) -> Path:
    """Write the untrained weights of a net and return their file."""
    settings = settings_for(net, task)
    path = Path(f"{net}-{settings.task}.{'npz' if settings.is_numpy else 'pdparams'}")
    save_state_dict(path, learners.build(settings).state_dict())
    return path


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("net", "task"), ALL)
def test_onnx_files_of_every_net_give_its_answers(onnx, data_file, net, task):
    path = weights_of(net, task)
    settings = settings_for(net, task)
    exported = write(path, "onnx", data=data_file, pixel_range=settings.pixel_range)
    assert exported.paths == [path.with_suffix(".onnx")]
    assert exported.comparisons["ONNX Runtime"].changed == 0
    model = load_model(path, settings.pixel_range)
    run = to_onnx.runner(exported.paths[0].read_bytes())
    for n in (0, 1, 7, 1000):
        answers = run(PIXELS[:n])
        outputs = model.raw_outputs(PIXELS[:n]) if n else np.zeros((0, model.num_outputs))
        assert answers.digits.dtype == np.int64
        assert (answers.digits == predicted_digits(outputs)).all()
        assert close(answers.outputs, verify.expected(model.answer, outputs) if n else answers.outputs[:0])


@pytest.mark.parametrize(("net", "task"), [("cnn", "regress"), ("mlp", "classify"), ("nielsen", "classify")])
def test_paddle_programs_give_the_answers_of_their_net(data_file, net, task):
    path = weights_of(net, task)
    exported = write(path, "paddle", out="deep/program", data=data_file)
    assert [file.name for file in exported.paths] == ["program.json", "program.pdiparams", "program.metadata.txt"]
    model = load_model(path)
    for run in (to_paddle.jit_runner(Path("deep/program")), to_paddle.inference_runner(Path("deep/program"))):
        for n in (0, 1, 7, 1000):
            answers = run(PIXELS[:n])
            outputs = model.raw_outputs(PIXELS[:n]) if n else np.zeros((0, model.num_outputs))
            assert (answers.digits == predicted_digits(outputs)).all()
            assert close(answers.outputs, verify.expected(model.answer, outputs) if n else answers.outputs[:0])
        with pytest.raises(ValueError, match="InvalidArgument"):
            run(PIXELS[:2, :27])


@pytest.mark.parametrize("to", ["onnx", "paddle"])
def test_raw_exports_give_raw_outputs(request, data_file, to):
    if to == "onnx":
        request.getfixturevalue("onnx")
    path = weights_of("cnn", "classify")
    write(path, to, out="raw", raw=True, data=data_file)
    run = to_onnx.runner(Path("raw").read_bytes()) if to == "onnx" else to_paddle.jit_runner(Path("raw"))
    images = to_input(PIXELS[:7], "01")
    assert close(run(images).outputs, load_model(path).reference(images))


class Brightest(paddle.nn.Layer):
    """Gives scale times the brightest pixel plus bias, exactly."""

    def __init__(self, scale: float, bias: float) -> None:
        super().__init__()
        self.fc = paddle.nn.Linear(1, 1)
        self.fc.weight.set_value(np.full((1, 1), scale, np.float32))
        self.fc.bias.set_value(np.full(1, bias, np.float32))

    def forward(self, images):
        return self.fc(paddle.nn.functional.max_pool2d(images, 28).flatten(1))


def brightnesses(n: int) -> np.ndarray:
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, np.newaxis, np.newaxis], (n, 28, 28)).copy()


@pytest.mark.parametrize("pixel_range", ["01", "pm1", "raw"])
def test_pixels_are_scaled_to_the_bit(onnx, pixel_range):
    model = load_model(Brightest(1, 0), pixel_range)
    to_paddle.write_paddle(model, Path("same"))
    wanted = to_input(brightnesses(256), pixel_range)[:, 0, 0, 0]
    for run in (to_onnx.runner(to_onnx.onnx_model(model)), to_paddle.jit_runner(Path("same"))):
        assert (run(brightnesses(256)).outputs == wanted).all()


def test_numbers_are_rounded_half_to_even_and_clipped(onnx):
    model = load_model(Brightest(0.5, -4), "raw")
    to_paddle.write_paddle(model, Path("number"))
    wanted = np.clip(np.rint(np.arange(64) * 0.5 - 4), 0, 9)
    for run in (to_onnx.runner(to_onnx.onnx_model(model)), to_paddle.jit_runner(Path("number"))):
        assert (run(brightnesses(64)).digits == wanted).all()


@pytest.mark.parametrize("seed", range(6))
def test_onnx_files_of_random_nets_give_what_paddle_gives(onnx, seed):
    choices = random.Random(seed)
    paddle.seed(seed)
    net = random_nets.random_net(lambda options: choices.choice(list(options)), 10)
    model = load_model(net)
    images = random_nets.digits(5, seed)
    outputs = to_onnx.runner(to_onnx.onnx_model(model, raw=True))(images).outputs
    wanted = model.reference(images)
    assert np.abs(outputs - wanted).max() <= 3e-5 * np.abs(wanted).max(), str(net)


def test_adaptive_pools_and_layer_norms_are_written(onnx):
    net = paddle.nn.Sequential(
        paddle.nn.AdaptiveAvgPool2D(9),
        paddle.nn.AdaptiveMaxPool2D((5, 4)),
        paddle.nn.LayerNorm([1, 5, 4], weight_attr=False),
        paddle.nn.LayerNorm(4),
        paddle.nn.Flatten(),
        paddle.nn.Linear(20, 10),
    )
    net[3].weight.set_value(np.arange(1, 5, dtype=np.float32))
    model = load_model(net)
    images = random_nets.digits(5, 0)
    assert close(to_onnx.runner(to_onnx.onnx_model(model, raw=True))(images).outputs, model.reference(images))


@pytest.mark.parametrize("task", ["regress", "classify"])
def test_onnx_file_gives_what_that_of_paddle2onnx_gives(onnx, task):
    paddle2onnx = pytest.importorskip("paddle2onnx", reason="the other exporter, paddle2onnx, is not installed")
    model = load_model(weights_of("cnn", task))
    to_paddle.write_paddle(model, Path("net"), raw=True)
    paddle2onnx.export("net.json", "net.pdiparams", "net.onnx", opset_version=17)
    images = to_input(PIXELS[:7], "01")
    ours, theirs = (
        to_onnx.runner(data)(images) for data in (to_onnx.onnx_model(model, True), Path("net.onnx").read_bytes())
    )
    assert np.abs(ours.outputs - theirs.outputs).max() <= 1e-5 * np.abs(theirs.outputs).max()


def test_onnx_files_refuse_other_shapes_and_dtypes(onnx):
    run = to_onnx.runner(to_onnx.onnx_model(load_model(nets.CNN(10))))
    for wrong in (PIXELS[:2].astype(np.float32), PIXELS[:2, :27], PIXELS[:2, np.newaxis], PIXELS[:2].astype(np.int64)):
        with pytest.raises(Exception, match=r"Unexpected input data type|Invalid rank|invalid dimensions"):
            run(wrong)


@pytest.fixture(scope="module")
def trained(written_digits, tmp_path_factory) -> Path:
    """Return the folder of a run on the synthetic digits."""
    out = tmp_path_factory.mktemp("run") / "cnn"
    settings = settings_for("cnn", "classify", epochs=2, lr=0.1, clip_norm=0.0)
    train(settings, data=written_digits, out=out, options=RunOptions(quiet=True))
    return out


def test_onnx_file_of_a_run_holds_its_settings_figures_and_data(onnx, trained):
    exported = write(trained, "onnx")
    assert exported.paths == [trained / "model.onnx"]
    made = onnx.load(exported.paths[0])
    metadata = {entry.key: entry.value for entry in made.metadata_props}
    manifest = json.loads((trained / "run.json").read_text())
    assert json.loads(metadata["settings"]) == manifest["settings"]
    assert json.loads(metadata["result"]) == manifest["result"]
    assert metadata["data_sha256"] == metadata["verified_on_sha256"] == manifest["data"]["sha256"]
    assert [value.name for value in made.graph.input] == ["images"]
    assert [value.name for value in made.graph.output] == ["digit", "probabilities"]
    assert [dim.dim_param or dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim] == ["n", 28, 28]


def test_int8_file_is_a_third_of_the_size_and_keeps_the_answers(onnx, trained):
    exported = write(trained, "onnx", int8=True)
    assert exported.paths == [trained / "model-int8.onnx"]
    assert exported.size < 27_000
    comparison = exported.comparisons["ONNX Runtime"]
    assert comparison.changed <= 1
    assert 0 < comparison.difference < 0.05
    assert exported.remarks == ("cnn, classification: int8 weights, uint8 activations",)
    run = to_onnx.runner(exported.paths[0].read_bytes())
    assert [run(PIXELS[:n]).digits.shape for n in (0, 1, 7, 1000)] == [(0,), (1,), (7,), (1000,)]


@pytest.mark.parametrize("scheme", quantize.SCHEMES, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize(("net", "task"), [("fc", "regress"), ("cnn", "classify"), ("nielsen", "classify")])
def test_int8_files_compute_what_the_quantized_net_computes(onnx, splits, net, task, scheme):
    model = load_model(weights_of(net, task))
    images = np.ascontiguousarray(splits.train.images)
    net = quantize.quantize(model, images, scheme)
    outputs = to_onnx.runner(to_onnx.onnx_model(net, raw=True))(to_input(images, "01")).outputs
    wanted = model.raw_outputs(images)
    assert np.abs(outputs - wanted).max() <= (1e-4 if scheme.parts == 2 else 0.02) * np.abs(wanted).max()


@pytest.mark.parametrize("scheme", quantize.SCHEMES, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("seed", [0, 1, 2, 8])  # nets of layers with fewer than 1,000 inputs
def test_random_nets_in_int8_stay_close(onnx, seed, scheme):
    choices = random.Random(seed)
    paddle.seed(seed)
    model = load_model(random_nets.random_net(lambda options: choices.choice(list(options)), 10))
    images = np.rint(255 * random_nets.digits(20, seed)[:, 0]).astype(np.uint8)
    net = quantize.quantize(model, images, scheme)
    outputs = to_onnx.runner(to_onnx.onnx_model(net, raw=True))(to_input(images, "01")).outputs
    wanted = model.raw_outputs(images)
    spread = np.abs(wanted - wanted.mean(axis=0)).max()
    assert np.abs(outputs - wanted).max() <= (0.01 if scheme.parts == 2 else 0.3) * spread, str(model.graph)


def test_layers_that_compute_in_integers_have_unsigned_weights(onnx, splits):
    net = quantize.quantize(load_model(nets.CNN(10)), np.ascontiguousarray(splits.train.images), quantize.SCHEMES[0])
    graph = onnx.load_from_string(to_onnx.onnx_model(net)).graph
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    large = [array for array in stored.values() if array.ndim > 1]
    assert [array.dtype for array in large] == [np.uint8] * 3
    assert all(array.min() >= 1 for array in large)
    middles = [stored[one.input[2]] for one in graph.node if one.op_type == "DequantizeLinear" and len(one.input) == 3]
    assert [int(middle.max()) for middle in middles if middle.ndim == 1] == [128] * 3


def test_rounded_weights_make_up_for_each_other():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 40)) + 0.1 * rng.normal(size=(500, 40))  # 40 inputs, related
    rows = rng.normal(size=(3, 40))
    scales = np.abs(rows).max(axis=1) / quantize.LEVELS
    q = quantize.round_rows(rows, scales, x.T @ x / len(x))
    steps = scales[:, np.newaxis]
    error, of_nearest = (np.square(x @ (values * steps - rows).T).mean() for values in (q, np.rint(rows / steps)))
    assert (q == np.rint(q)).all()
    assert np.abs(q).max() <= quantize.LEVELS
    assert error < 0.5 * of_nearest


def test_range_clips_rare_values_to_round_the_others_better():
    x = np.random.default_rng(0).random(10_000, dtype=np.float32)
    whole = quantize.best_range(x)
    assert (whole.scale, whole.zero_point) == (pytest.approx(x.max() / 255), 0)
    x = np.append(np.random.default_rng(0).normal(size=100_000), 20).astype(np.float32)
    assert quantize.best_range(x).scale < 0.95 * (20 - x.min()) / 255


def test_net_that_int8_changes_is_stored_more_exactly(onnx, data_file):
    exported = write(Brightest(0.5, -4), "onnx", out="exact.onnx", int8=True, data=data_file, pixel_range="raw")
    assert exported.comparisons["ONNX Runtime"].changed == 0


def test_int8_that_changes_too_many_answers_is_refused_in_every_scheme(onnx, trained, monkeypatch):
    def damaged(model, images, scheme):
        weights = {**model.weights, "fc.bias": np.eye(10, dtype=np.float32)[3] * 100}
        return quantize.Int8Net(dataclasses.replace(model, weights=weights), scheme, {}, {})

    monkeypatch.setattr(exports.write, "quantize", damaged)
    with pytest.raises(DifferentError, match=r"in int8, \d+ of 50 answers change .* evaluation digit \d+ is 3 instead"):
        write(trained, "onnx", out="damaged.onnx", int8=True)
    assert not Path("damaged.onnx").exists()


@pytest.mark.parametrize(
    ("negative", "operations"),
    [
        (False, ["convolution", "max_pool", "relu", "batch_norm", "convolution", "max_pool", "reshape", "linear"]),
        # a pooling keeps the largest value, which a negative factor makes the smallest
        (
            True,
            [
                "convolution",
                "max_pool",
                "relu",
                "batch_norm",
                "convolution",
                "max_pool",
                "batch_norm",
                "reshape",
                "linear",
            ],
        ),
    ],
)
def test_batch_norms_are_folded_into_the_layer_before_them(onnx, negative, operations):
    paddle.seed(0)
    layers = paddle.nn
    net = layers.Sequential(
        layers.Conv2D(1, 4, 3, bias_attr=False),
        layers.BatchNorm2D(4),
        layers.ReLU(),
        layers.MaxPool2D(4),
        layers.BatchNorm2D(4),
        layers.Conv2D(4, 4, 3),
        layers.MaxPool2D(2),
        layers.BatchNorm2D(4),
        layers.Flatten(),
        layers.Linear(16, 10),
        layers.BatchNorm1D(10),
    )
    rng = np.random.default_rng(0)
    for norm in (net[1], net[4], net[7], net[10]):
        for tensor in (norm.weight, norm.bias, norm._mean, norm._variance):
            tensor.set_value(rng.uniform(0.5, 2, tensor.shape).astype(np.float32))
    if negative:
        net[7].weight.set_value(-net[7].weight)
    model = load_model(net)
    assert [node.operation for node in model.graph.nodes] == operations
    images = random_nets.digits(5, 0)
    assert close(to_onnx.runner(to_onnx.onnx_model(model, raw=True))(images).outputs, model.reference(images))


def test_different_export_is_refused_and_not_written(onnx, trained, monkeypatch):
    whole = to_onnx.onnx_model

    def damaged(model, raw=False):
        weights = {**model.weights, "fc.bias": model.weights["fc.bias"] + np.eye(10, dtype=np.float32)[3] * 100}
        return whole(dataclasses.replace(model, weights=weights), raw)

    monkeypatch.setattr(to_onnx, "onnx_model", damaged)
    with pytest.raises(
        DifferentError, match=r"answers 3 instead of \d for evaluation digit \d+ .* of 50 answers differ"
    ):
        write(trained, "onnx", out="damaged.onnx")
    assert not Path("damaged.onnx").exists()


def test_slightly_different_outputs_are_refused(onnx, trained, splits):
    model = load_model(trained)
    run = to_onnx.runner(to_onnx.onnx_model(model, raw=True))

    def slightly(images):
        return verify.Answers(None, run(images).outputs * np.float32(1.0001))

    with pytest.raises(DifferentError, match=r"differ by 1\.0e-04 of the largest output, more than 1e-05"):
        verify.compare(model, slightly, splits.eval, raw=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nets.CNN(3), "onnx", "x.onnx"), r"must have the shape \[n, 1\] or \[n, 10\], got \['n', 3\]"),
        ((nets.CNN(10), "onnx"), "out must name a file"),
        ((nets.CNN(10), "coreml", "x"), "to must be one of"),
        (("nowhere.pdparams", "paddle"), "nowhere.pdparams"),
    ],
)
def test_wrong_arguments_are_refused(onnx, data_file, arguments, message):
    with pytest.raises(UserError, match=message):
        write(*arguments, data=data_file)


def test_int8_needs_onnx_or_html(data_file):
    with pytest.raises(UserError, match="int8 must be used with onnx or html, got paddle"):
        write(weights_of("fc"), "paddle", int8=True, data=data_file)


def test_command_says_what_was_written_and_verified(onnx, data_file, capfd):
    arguments = [str(weights_of("fc")), "--to", "onnx", "--data", str(data_file)]
    assert console.run(export.main, arguments) == 0
    out, _ = capfd.readouterr()
    assert out.splitlines()[1].startswith("ONNX Runtime: 0 of 50 answers differ")
    assert console.run(export.main, [*arguments, "--out", "other.onnx", "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["files"], answer["verified"]["ONNX Runtime"]["samples"]) == (["other.onnx"], 50)
