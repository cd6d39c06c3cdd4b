"""Rewrites of a graph that leave what it computes as it is, but for the order of rounding.

- A parameter that is added to the result of a convolution or a linear layer, one number a channel, is its bias.
- ``max_pool(relu(x))`` becomes ``relu(max_pool(x))``: clipping at zero keeps the order of values, so the maximum is the
  same, and fewer elements are clipped. Gradients are the same too: where the maximum is positive it has the same place
  in both, and where it is not, both gradients are zero.
- A reshape of a reshape is one reshape.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

from paddle_mnist.program.graph import IMAGES, Graph, Node


def rewrite(graph: Graph) -> Graph:
    """Return the graph after all rewrites."""
    for rule in (_bias, _relu_after_max_pool, _reshape_once):
        graph = _apply(graph, rule)
    return _renamed(graph)


def join_biases(graph: Graph) -> Graph:
    """Return the graph with each bias in its layer, and otherwise in the order that ``forward`` has."""
    return _renamed(_apply(graph, _bias))


def _renamed(graph: Graph) -> Graph:
    """Return the graph with nodes named after their operations, in order."""
    names, nodes = {IMAGES: IMAGES}, []
    counts: Counter[str] = Counter()
    for node in graph.nodes:
        counts[node.operation] += 1
        names[node.name] = f"{node.operation}_{counts[node.operation]}"
        inputs = tuple(names[name] for name in node.inputs)
        nodes.append(dataclasses.replace(node, name=names[node.name], inputs=inputs))
    return dataclasses.replace(graph, nodes=tuple(nodes))


# A rule takes a node and the node that computes its only input, if that input has no other use. It returns the nodes
# that replace the two, or ``None``. The last of them keeps the name that later nodes know.
Rule = Callable[[Node, Node], "list[Node] | None"]


def _apply(graph: Graph, rule: Rule) -> Graph:
    nodes, uses = {node.name: node for node in graph.nodes}, graph.uses
    for name in [node.name for node in graph.nodes]:
        node = nodes[name]
        previous = nodes.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if previous is None or uses[previous.name] != 1:
            continue
        replaced = rule(node, previous)
        if replaced is not None:
            position = {}
            for other in nodes.values():
                if other is node:
                    position.update({new.name: new for new in replaced})
                elif other is not previous:
                    position[other.name] = other
            nodes = position
    return dataclasses.replace(graph, nodes=tuple(nodes.values()))


def _bias(node: Node, previous: Node) -> list[Node] | None:
    if node.operation != "add_parameter" or previous.operation not in ("convolution", "linear"):
        return None
    shape, channels = node.attributes["shape"], previous.shape[0 if previous.operation == "convolution" else -1]
    wanted = (channels, 1, 1) if previous.operation == "convolution" else (channels,)
    if shape != wanted or "bias" in previous.parameters:
        return None
    parameters = {**previous.parameters, "bias": node.parameters["weight"]}
    return [dataclasses.replace(previous, name=node.name, parameters=parameters)]


def _relu_after_max_pool(node: Node, previous: Node) -> list[Node] | None:
    if node.operation not in ("max_pool", "adaptive_max_pool") or previous.operation != "relu":
        return None
    pool = dataclasses.replace(node, name=previous.name, inputs=previous.inputs)
    relu = dataclasses.replace(previous, name=node.name, inputs=(previous.name,), shape=node.shape)
    return [pool, relu]


def _reshape_once(node: Node, previous: Node) -> list[Node] | None:
    if node.operation != "reshape" or previous.operation != "reshape":
        return None
    return [dataclasses.replace(node, inputs=previous.inputs)]
