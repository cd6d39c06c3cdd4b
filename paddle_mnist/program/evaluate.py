"""Evaluates a graph with Paddle's functions, one operation at a time, so that every result can be looked at.

Slower than ``fast``, which keeps no results, and differentiable, since Paddle records each call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import paddle
import paddle.nn.functional as F

from paddle_mnist.program import IMAGES, Graph, Node

Tensors = Mapping[str, Any]  # of Paddle, whose annotations are not used here


def run(graph: Graph, weights: Tensors, images: Any) -> dict[str, Any]:
    """Return the result of every operation by the name of its node, ``"images"`` included.

    Args:
        graph: a net in evaluation mode.
        weights: a tensor for each of the graph's parameters.
        images: a tensor float32 [n, *input_shape].
    """
    results = {IMAGES: images}
    for node in graph.nodes:
        parameters = {role: weights[name] for role, name in node.parameters.items()}
        results[node.name] = FUNCTIONS[node.operation](node, [results[name] for name in node.inputs], parameters)
    return results


Function = Callable[[Node, list[Any], dict[str, Any]], Any]
FUNCTIONS: dict[str, Function] = {}


def _computes(name: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        FUNCTIONS[name] = function
        return function

    return register


def _of_one(name: str, function: Callable[..., Any], *attributes: str) -> None:
    """Register a function of one tensor and some of the node's attributes."""
    FUNCTIONS[name] = lambda node, inputs, _: function(inputs[0], *(node.attributes[key] for key in attributes))


_of_one("relu", F.relu)
_of_one("leaky_relu", F.leaky_relu, "slope")
_of_one("sigmoid", F.sigmoid)
_of_one("tanh", paddle.tanh)
_of_one("gelu", F.gelu, "approximate")
_of_one("silu", F.silu)
_of_one("relu6", F.relu6)
_of_one("hardswish", F.hardswish)
_of_one("elu", F.elu, "alpha")
_of_one("softmax", F.softmax, "axis")
_of_one("log_softmax", F.log_softmax, "axis")
_of_one("affine", paddle.scale, "scale", "bias")
_of_one("adaptive_max_pool", F.adaptive_max_pool2d, "output_size")
_of_one("adaptive_average_pool", F.adaptive_avg_pool2d, "output_size")
_of_one("dropout", lambda x: x)


@_computes("convolution")
def _convolution(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    attributes = node.attributes
    return F.conv2d(
        inputs[0],
        parameters["weight"],
        parameters.get("bias"),
        stride=list(attributes["strides"]),
        padding=list(attributes["paddings"]),
        dilation=list(attributes["dilations"]),
        groups=attributes["groups"],
    )


@_computes("linear")
def _linear(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    product = paddle.matmul(inputs[0], parameters["weight"], transpose_y=node.attributes["transposed"])
    return product + parameters["bias"] if "bias" in parameters else product


@_computes("max_pool")
def _max_pool(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    padded = F.pad(inputs[0], _around(node, inputs[0], node.attributes["paddings"]), value=-math.inf)
    return F.max_pool2d(padded, list(node.attributes["kernel"]), stride=list(node.attributes["strides"]))


@_computes("average_pool")
def _average_pool(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    """Average windows that are filled up with zeros, and divide by the share of pixels that count in each."""
    top, bottom, left, right = node.attributes["paddings"]
    counted = paddle.ones_like(inputs[0])
    if not node.attributes["exclusive"]:
        counted = F.pad(counted, [left, right, top, bottom], value=1.0)
    sums, shares = (
        F.avg_pool2d(
            F.pad(x, _around(node, x, paddings)),
            list(node.attributes["kernel"]),
            stride=list(node.attributes["strides"]),
        )
        for x, paddings in (
            (inputs[0], node.attributes["paddings"]),
            (counted, node.attributes["paddings"] if node.attributes["exclusive"] else (0, 0, 0, 0)),
        )
    )
    return sums / shares


def _around(node: Node, x: Any, paddings: tuple[int, ...]) -> list[int]:
    """Return how far to pad (left, right, top, bottom) so that every window of a pool is complete."""
    padding = []
    for axis in (1, 0):
        kernel, stride = node.attributes["kernel"][axis], node.attributes["strides"][axis]
        before = paddings[2 * axis]
        reach = (node.shape[1 + axis] - 1) * stride + kernel
        padding += [before, max(0, reach - before - x.shape[2 + axis])]
    return padding


@_computes("batch_norm")
def _batch_norm(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return F.batch_norm(
        inputs[0],
        parameters["mean"],
        parameters["variance"],
        parameters.get("weight"),
        parameters.get("bias"),
        epsilon=node.attributes["epsilon"],
    )


@_computes("layer_norm")
def _layer_norm(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    shape = list(node.shape[node.attributes["axis"] - 1 :])
    return F.layer_norm(
        inputs[0], shape, parameters.get("weight"), parameters.get("bias"), epsilon=node.attributes["epsilon"]
    )


@_computes("add_parameter")
def _add_parameter(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return inputs[0] + parameters["weight"].reshape(list(node.attributes["shape"]))


@_computes("multiply_parameter")
def _multiply_parameter(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return inputs[0] * parameters["weight"].reshape(list(node.attributes["shape"]))


@_computes("add")
def _add(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return inputs[0] + inputs[1]


@_computes("multiply")
def _multiply(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return inputs[0] * inputs[1]


@_computes("subtract")
def _subtract(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return inputs[0] - inputs[1]


@_computes("concat")
def _concat(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return paddle.concat(inputs, axis=node.attributes["axis"])


@_computes("reshape")
def _reshape(node: Node, inputs: list[Any], parameters: dict[str, Any]) -> Any:
    return inputs[0].reshape([len(inputs[0]), *node.shape])
