"""What is exported: a trained net as a layer, as a graph and as arrays, and how pixels go in and answers come out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from paddle_mnist import __version__
from paddle_mnist.engine import Learner
from paddle_mnist.errors import UserError
from paddle_mnist.exports.fold import fold_batch_norms
from paddle_mnist.learners import PaddleLearner
from paddle_mnist.loader import to_input
from paddle_mnist.program import Graph, NotCoveredError, capture, rewrite
from paddle_mnist.recipes import PIXEL_RANGES, check_choice
from paddle_mnist.runs.restore import restore
from paddle_mnist.runs.run import open_run

INPUT_SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Model:
    """A trained net, ready to be written in any format.

    Attributes:
        name: of the net, for people.
        layer: the net as a ``paddle.nn.Layer`` in evaluation mode: float32 [n, 1, 28, 28] in, raw outputs [n, k] out.
        graph: what the layer computes, with batch norms folded into the layers before them.
        weights: the parameters and buffers that the graph names, float32.
        pixel_range: what the net was trained on: ``"01"``, ``"pm1"`` or ``"raw"``.
        answer: ``"probabilities"``: the softmax of the raw outputs; or ``"value"``: the largest raw output, where a net
            has no probabilities. A single raw output is the digit as a number.
        reference: gives the raw outputs [n, k] of the net that the export is compared with, for float32
            [n, 1, 28, 28].
        metadata: text by key, to be kept in the exported file.
        data: where the run's own digits are, or ``None`` if that is not known.
    """

    name: str
    layer: paddle.nn.Layer
    graph: Graph
    weights: dict[str, np.ndarray]
    pixel_range: str
    answer: str
    reference: Callable[[np.ndarray], np.ndarray]
    metadata: dict[str, str]
    data: str | None = None

    @property
    def num_outputs(self) -> int:
        """The number of raw outputs of an image: 1 or 10."""
        return self.graph.shapes[self.graph.output][0]

    def raw_outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the reference's raw outputs [n, k] for images uint8 [n, 28, 28]."""
        return self.reference(to_input(images, self.pixel_range))


def load_model(source: str | os.PathLike[str] | paddle.nn.Layer, pixel_range: str | None = None) -> Model:
    """Return a trained net as a ``Model``.

    Args:
        source: a run folder, a file of weights as ``restore`` takes it, or any ``paddle.nn.Layer`` that maps float32
            [n, 1, 28, 28] to [n, 1] (the digit as a number) or [n, 10] (a score for each digit).
        pixel_range: as for ``restore``; [0, 1] for a layer unless given.

    Raises:
        UserError: there is no net in ``source``, or it computes something that cannot be exported.
    """
    if isinstance(source, paddle.nn.Layer):
        check_choice("pixel_range", pixel_range or "01", PIXEL_RANGES)
        return _model(type(source).__name__, source, pixel_range or "01", True, _outputs_of(source), {}, None)
    learner, settings = restore(source, pixel_range)
    facts: dict[str, Any] = {"settings": settings.as_dict()}
    data = None
    if Path(source).is_dir():
        manifest = open_run(source).manifest
        facts |= {"result": manifest.get("result"), "data_sha256": manifest["data"]["sha256"]}
        data = manifest["data"]["source"]
    layer = learner.net if isinstance(learner, PaddleLearner) else numpy_net_as_layer(learner, settings.net)
    name = f"{settings.net}, {'regression' if settings.task == 'regress' else 'classification'}"
    softmax = settings.net != "nielsen"  # its outputs are activations between 0 and 1, which do not sum to 1
    return _model(name, layer, settings.pixel_range, softmax, learner.outputs, facts, data)


def _model(
    name: str,
    layer: paddle.nn.Layer,
    pixel_range: str,
    softmax: bool,
    reference: Callable[[np.ndarray], np.ndarray],
    facts: dict[str, Any],
    data: str | None,
) -> Model:
    layer.eval()
    try:
        graph = rewrite(capture(layer, INPUT_SHAPE))
    except NotCoveredError as error:
        raise UserError(f"{name} cannot be exported: {error}") from error
    if graph.shapes[graph.output] not in ((1,), (10,)):
        raise UserError(
            f"{name} cannot be exported: its output must have the shape [n, 1] or [n, 10], got "
            f"{['n', *graph.shapes[graph.output]]}"
        )
    tensors = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    weights = {key: np.ascontiguousarray(tensors[key].numpy(), dtype=np.float32) for key in graph.parameters}
    graph, weights = fold_batch_norms(graph, weights)
    for key, array in weights.items():
        if not np.isfinite(array).all():
            raise UserError(f"{name} cannot be exported: {key} must be finite, got NaN or infinity")
    answer = "probabilities" if softmax and graph.shapes[graph.output] == (10,) else "value"
    facts = {"paddle_mnist": __version__, "net": name, "pixel_range": pixel_range, **facts}
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    return Model(name, layer, graph, weights, pixel_range, answer, reference, metadata, data)


def _outputs_of(layer: paddle.nn.Layer) -> Callable[[np.ndarray], np.ndarray]:
    def outputs(images: np.ndarray) -> np.ndarray:
        layer.eval()
        with paddle.no_grad():
            return layer(paddle.to_tensor(images)).numpy()

    return outputs


def numpy_net_as_layer(learner: Learner, name: str) -> paddle.nn.Layer:
    """Return one of the nets written by hand in NumPy as a layer with the same weights, in float32."""
    state = learner.state_dict()
    count = len(state) // 2
    layers: list[tuple[str, paddle.nn.Layer]] = [("flatten", paddle.nn.Flatten())]
    for number in range(1, count + 1):
        weight, bias = state[f"W{number}"], state[f"b{number}"].ravel()
        weight = weight.T if name == "nielsen" else weight  # [outputs, inputs] there
        linear = paddle.nn.Linear(*weight.shape)
        linear.weight.set_value(np.ascontiguousarray(weight, dtype=np.float32))
        linear.bias.set_value(bias.astype(np.float32))
        layers.append((f"layer{number}", linear))
        if name == "two-layer":
            layers.append((f"relu{number}", paddle.nn.ReLU()))  # of the scores too
        elif name == "nielsen" or number < count:
            layers.append((f"sigmoid{number}", paddle.nn.Sigmoid()))
    return paddle.nn.Sequential(*layers)
