"""The inside of the bundled reader, which is evaluated with NumPy alone and so has no layer to be captured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from paddle_mnist.inspection.activations import Inside
from paddle_mnist.pictures import reader
from paddle_mnist.program import IMAGES, Graph, Node

CONVOLUTION = {"strides": (1, 1), "dilations": (1, 1), "groups": 1}
POOL = {"kernel": (2, 2), "strides": (2, 2), "paddings": (0, 0, 0, 0)}


def reader_inside() -> tuple[Inside, dict[str, np.ndarray]]:
    """Return what the bundled reader computes, and its weights, float32.

    The outputs are eleven raw outputs: the ten digits, and what is no single digit.
    """
    weights = {name: array for name, array in reader.weights().items() if "." in name}
    nodes: list[Node] = []
    name, shape = IMAGES, (1, 28, 28)
    for index in range(1, 1 + sum(key.startswith("conv") and key.endswith("weight") for key in weights)):
        layer = f"conv{index}"
        shape = (len(weights[f"{layer}.bias"]), *shape[1:])
        around = (weights[f"{layer}.weight"].shape[2] // 2,) * 4  # the field keeps its size
        nodes.append(_node("convolution", index, name, shape, layer, CONVOLUTION | {"paddings": around}))
        nodes.append(_node("relu", index, nodes[-1].name, shape))
        if index in reader.POOLED:
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
            nodes.append(_node("max_pool", 1 + reader.POOLED.index(index), nodes[-1].name, shape, attributes=POOL))
        name = nodes[-1].name
    nodes.append(_node("reshape", 1, name, (int(np.prod(shape)),)))
    nodes.append(_node("linear", 1, nodes[-1].name, weights["output.bias"].shape, "output", {"transposed": False}))
    layers = {node.name: next(iter(node.parameters.values())).partition(".")[0] for node in nodes if node.parameters}
    graph = Graph(tuple(nodes), (1, 28, 28), {key: array.shape for key, array in weights.items()})
    return Inside(graph, layers), weights


def _node(
    operation: str,
    number: int,
    source: str,
    shape: tuple[int, ...],
    layer: str | None = None,
    attributes: Mapping[str, object] | None = None,
) -> Node:
    parameters = {role: f"{layer}.{role}" for role in ("weight", "bias")} if layer else {}
    return Node(f"{operation}_{number}", operation, (source,), shape, parameters, attributes or {})
