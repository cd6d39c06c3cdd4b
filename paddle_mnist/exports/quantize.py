"""Int8 weights and uint8 activations for a net, measured on training digits.

A weight becomes ``scale * q`` with q in int8 and one scale for each output of its layer. Each could be rounded to the
nearest q, but the error that counts is that of the layer's outputs. So the weights of an output are rounded one
after the other, and what one was rounded by is made up for by those that follow, as far as their inputs vary together
(Frantar et al., "GPTQ", 2022: https://arxiv.org/abs/2210.17323). That halves the error of the nets here.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import paddle
from numpy.lib.stride_tricks import sliding_window_view

from paddle_mnist.exports.model import Model
from paddle_mnist.loader import to_input
from paddle_mnist.program import IMAGES, Node
from paddle_mnist.program.evaluate import FUNCTIONS

LEVELS = 127  # q is between -127 and 127
FINER = 254  # how many steps of a second part make one of the first
SMALLEST = 256  # layers with fewer weights stay in float32: there is nothing to gain
MAX_ROWS = 20_000  # of inputs that the rounding looks at
DAMPING = 0.01  # of the mean square of an input, added to all: inputs that are always 0 in training may not be later


@dataclass(frozen=True)
class Scheme:
    """A way to store a net in 8 bits.

    Attributes:
        name: for people.
        activations: whether the inputs of layers are uint8 too, so that layers compute with integers.
        parts: 1 for one int8 number a weight, 2 for a coarse and a fine one.
    """

    name: str
    activations: bool
    parts: int


# From the fastest to the most exact. A net that regresses needs the last: its number is rounded to a digit, so that one
# digit in 10,000 changes with every 0.0003 that outputs are off.
SCHEMES = (
    Scheme("int8 weights, uint8 activations", activations=True, parts=1),
    Scheme("int8 weights", activations=False, parts=1),
    Scheme("weights of two int8 parts", activations=False, parts=2),
)
SCHEMES_OF_WEIGHTS = tuple(scheme for scheme in SCHEMES if not scheme.activations)


@dataclass(frozen=True)
class Int8Weight:
    """A weight of a layer in int8.

    Attributes:
        parts: int8 arrays in the weight's shape; a step of the second one is 1/254 of one of the first.
        scales: float32 [outputs], the first part's step for each output of the layer.
        axis: the axis of the outputs.
    """

    parts: tuple[np.ndarray, ...]
    scales: np.ndarray
    axis: int

    def values(self) -> np.ndarray:
        """Return the weight, float32."""
        shape = [-1 if axis == self.axis else 1 for axis in range(self.parts[0].ndim)]
        total = np.zeros(self.parts[0].shape, np.float32)
        for number, part in enumerate(self.parts):
            total += part * (self.scales / np.float32(FINER**number)).reshape(shape)
        return total


@dataclass(frozen=True)
class Range:
    """What uint8 stands for in a tensor: x = scale * (q - zero_point)."""

    scale: np.float32
    zero_point: int

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """Return x as uint8 can hold it, float32."""
        q = np.clip(np.rint(x / self.scale) + np.float32(self.zero_point), 0, 255)
        return (q - np.float32(self.zero_point)) * self.scale


@dataclass(frozen=True)
class Int8Net:
    """A net with weights in int8.

    Attributes:
        model: the net with the weights that int8 can hold, as float32.
        scheme: how it is stored.
        weights: those in int8, by their names in ``model.weights``; the others are float32.
        ranges: of the tensors that layers read as uint8, by name.
    """

    model: Model
    scheme: Scheme
    weights: dict[str, Int8Weight]
    ranges: dict[str, Range]


def quantize(model: Model, images: np.ndarray, scheme: Scheme) -> Int8Net:
    """Return a net in 8 bits.

    Args:
        model: the net.
        images: training digits, uint8 [n, 28, 28], on which ranges and the rounding of weights are measured.
        scheme: how the net is to be stored.
    """
    weights = dict(model.weights)
    int8: dict[str, Int8Weight] = {}
    ranges: dict[str, Range] = {}
    quantizable = {node.name for node in _quantizable(model)}
    with paddle.no_grad():
        results = {IMAGES: to_input(images, model.pixel_range)}
        for node in model.graph.nodes:
            inputs = [results[name] for name in node.inputs]
            if node.name in quantizable:
                source, name = node.inputs[0], node.parameters["weight"]
                if scheme.activations:
                    ranges.setdefault(source, best_range(inputs[0]))
                    inputs = [ranges[source].rounded(inputs[0])]
                int8[name] = _int8_weight(node, weights[name], inputs[0], scheme.parts)
                weights[name] = int8[name].values()
            parameters = {role: paddle.to_tensor(weights[name]) for role, name in node.parameters.items()}
            tensors = [paddle.to_tensor(np.ascontiguousarray(x)) for x in inputs]
            results[node.name] = FUNCTIONS[node.operation](node, tensors, parameters).numpy()
    stored = dataclasses.replace(model, weights=weights, metadata={**model.metadata, "int8": scheme.name})
    return Int8Net(stored, scheme, int8, ranges)


def _quantizable(model: Model) -> Iterator[Node]:
    """Yield the nodes whose weights are worth storing in int8."""
    uses = Counter(name for node in model.graph.nodes for name in node.parameters.values())
    for node in model.graph.nodes:
        name = node.parameters.get("weight", "")
        if node.operation in ("convolution", "linear") and uses[name] == 1 and model.weights[name].size >= SMALLEST:
            yield node


def best_range(x: np.ndarray) -> Range:
    """Return the range that rounds x with the least squared error: the whole of it, or one that clips a little."""
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 1e-9)
    candidates = []
    for share in np.linspace(1, 0.3, 36):
        scale = np.float32((high - low) * share / 255)
        candidate = Range(scale, int(np.clip(np.rint(-low * share / scale), 0, 255)))
        candidates.append((float(np.square(candidate.rounded(x) - x).mean()), candidate))
    return min(candidates, key=lambda one: one[0])[1]


def _int8_weight(node: Node, weight: np.ndarray, x: np.ndarray, parts: int) -> Int8Weight:
    """Return a layer's weight in int8, given its inputs x, float32 [n, ...]."""
    outputs_last = node.operation == "linear" and not node.attributes["transposed"]
    rows = (weight.T if outputs_last else weight.reshape(len(weight), -1)).astype(np.float64)
    scales = np.abs(rows).max(axis=1) / LEVELS
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    if parts == 1:
        moments = _moments(node, weight.shape[2:], x)
        groups = np.array_split(np.arange(len(rows)), node.attributes.get("groups", 1))
        rounded = [round_rows(rows[own], scales[own], of_x) for own, of_x in zip(groups, moments, strict=True)]
        found = [np.concatenate(rounded)]
    else:
        steps = scales[:, np.newaxis].astype(np.float64)
        coarse = np.rint(rows / steps)
        found = [coarse, np.rint((rows / steps - coarse) * FINER)]
    arrays = (part.astype(np.int8) for part in found)
    shaped = tuple(np.ascontiguousarray(part.T if outputs_last else part.reshape(weight.shape)) for part in arrays)
    return Int8Weight(shaped, scales, weight.ndim - 1 if outputs_last else 0)


def round_rows(rows: np.ndarray, scales: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return integers q, float64 [outputs, k], so that (scales * q) @ x is close to rows @ x for the inputs x.

    Args:
        rows: float64 [outputs, k], the weights of each output.
        scales: [outputs].
        moments: float64 [k, k], the mean of x xᵀ.
    """
    order = np.argsort(-np.diag(moments), kind="stable")  # the inputs that count most come first
    rest = rows[:, order]
    damping = DAMPING * np.trace(moments) / len(moments) + 1e-12
    inverse = np.linalg.inv(moments[np.ix_(order, order)] + damping * np.eye(len(order)))
    # Row i says what the later weights must change by when weight i changes, for the outputs to change the least.
    factor = np.linalg.cholesky((inverse + inverse.T) / 2).T
    q = np.empty_like(rest)
    for i in range(len(order)):
        q[:, order[i]] = np.clip(np.rint(rest[:, i] / scales), -LEVELS, LEVELS)
        error = (rest[:, i] - q[:, order[i]] * scales) / factor[i, i]
        rest[:, i + 1 :] -= np.outer(error, factor[i, i + 1 :])
    return q


def _moments(node: Node, kernel: tuple[int, ...], x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield, for each group of a layer's outputs, the mean of v vᵀ over vectors v that it multiplies by its weights."""
    if node.operation == "linear":
        vectors = x.reshape(-1, x.shape[-1])[:MAX_ROWS].astype(np.float64)
        yield vectors.T @ vectors / len(vectors)
        return
    groups = node.attributes["groups"]
    patches = _patches(node, kernel, x)
    channels = patches.shape[1] // groups
    for first in range(0, patches.shape[1], channels):
        vectors = patches[:, first : first + channels].reshape(len(patches), -1).astype(np.float64)
        yield vectors.T @ vectors / len(vectors)


def _patches(node: Node, kernel: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    """Return patches under a kernel at random places of images x, [rows, channels, kernel height, kernel width]."""
    attributes = node.attributes
    top, bottom, left, right = attributes["paddings"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (down, across), (stride_down, stride_across) = attributes["dilations"], attributes["strides"]
    reach = (down * (kernel[0] - 1) + 1, across * (kernel[1] - 1) + 1)
    windows = sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::stride_down, ::stride_across, ::down, ::across]
    n, _, height, width = windows.shape[:4]
    places = np.random.default_rng(0).choice(n * height * width, min(MAX_ROWS, n * height * width), replace=False)
    return windows[places // (height * width), :, places // width % height, places % width]
