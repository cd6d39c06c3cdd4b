"""Writes a net as a Paddle program by ``paddle.jit.save``, and runs such programs in two ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.static import InputSpec

from paddle_mnist.exports.model import INPUT_SHAPE, Model
from paddle_mnist.exports.verify import Answers, Run
from paddle_mnist.program import IMAGES

# The metadata is JSON too, but ``paddle.jit.load`` takes every .json under the name for a program.
SUFFIXES = (".json", ".pdiparams", ".metadata.txt")


class PixelsToAnswer(paddle.nn.Layer):
    """A net with the scaling of pixels before it and the answer after it.

    Args:
        model: the net.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.net, self.pixel_range, self.kind, self.num_outputs = (
            model.layer,
            model.pixel_range,
            model.answer,
            model.num_outputs,
        )

    def forward(self, images: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Map pixels uint8 [n, 28, 28] to digits int64 [n], and probabilities float32 [n, 10] or values [n]."""
        x = paddle.cast(images, "float32").unsqueeze(1)
        if self.pixel_range != "raw":
            x = x / paddle.full([1], 255.0)  # a scalar would become a multiplication by its inverse
        if self.pixel_range == "pm1":
            x = x * 2.0 - 1.0
        outputs = self.net(x)
        if self.num_outputs == 1:
            value = outputs.squeeze(1)
            return paddle.cast(paddle.clip(_round_half_to_even(value), 0.0, 9.0), "int64"), value
        digit = outputs.argmax(axis=1)
        return digit, F.softmax(outputs, axis=1) if self.kind == "probabilities" else outputs.max(axis=1)


def _round_half_to_even(x: paddle.Tensor) -> paddle.Tensor:
    """Round as NumPy and ONNX do; ``paddle.round`` rounds halves away from zero."""
    below = paddle.floor(x)
    odd = below - 2.0 * paddle.floor(below / 2.0)
    rest = x - below
    up = paddle.logical_or(rest > 0.5, paddle.logical_and(rest == 0.5, odd == 1.0))
    return below + paddle.cast(up, "float32")


def write_paddle(model: Model, prefix: Path, raw: bool = False) -> list[Path]:
    """Write a net as files whose names begin with ``prefix``, and return their paths.

    Input and outputs are those of ``to_onnx.onnx_model``, in the same order.
    """
    layer = model.layer if raw else PixelsToAnswer(model)
    spec = InputSpec([None, *INPUT_SHAPE], "float32", IMAGES) if raw else InputSpec([None, 28, 28], "uint8", IMAGES)
    if raw:
        layer = paddle.nn.Sequential(layer)  # saving converts the layer in place, which must not be the caller's own
    layer.eval()
    paddle.jit.save(layer, str(prefix), input_spec=[spec])
    paths = [prefix.with_name(prefix.name + suffix) for suffix in SUFFIXES]
    paths[2].write_text(json.dumps(model.metadata, indent=2) + "\n", encoding="utf-8")
    return paths


def jit_runner(prefix: Path) -> Run:
    """Return the function that runs a saved program by ``paddle.jit.load``."""
    layer = paddle.jit.load(str(prefix))
    layer.eval()

    def run(images: np.ndarray) -> Answers:
        with paddle.no_grad():
            results = layer(paddle.to_tensor(images))
        results = results if isinstance(results, (list, tuple)) else [results]
        arrays = [result.numpy() for result in results]
        return Answers(None, arrays[0]) if len(arrays) == 1 else Answers(*arrays)

    return run


def inference_runner(prefix: Path, onednn: bool = False, threads: int = 1) -> Run:
    """Return the function that runs a saved program by Paddle Inference, with oneDNN's kernels or without."""
    from paddle import inference

    config = inference.Config(f"{prefix}.json", f"{prefix}.pdiparams")
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(threads)
    if onednn:
        config.enable_mkldnn()
    else:
        config.disable_mkldnn()
    predictor = inference.create_predictor(config)

    def run(images: np.ndarray) -> Answers:
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(np.ascontiguousarray(images))
        predictor.run()
        arrays = [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
        return Answers(None, arrays[0]) if len(arrays) == 1 else Answers(*arrays)

    return run
