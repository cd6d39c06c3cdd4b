"""Folds batch norms into the convolution or linear layer before them: fewer numbers to store, fewer to compute."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from paddle_mnist.program import Graph, Node

Weights = dict[str, np.ndarray]


def fold_batch_norms(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Return a graph and its weights without the batch norms that follow a layer with weights of its own.

    In evaluation a batch norm multiplies each channel by a constant and adds another, which the weights and the bias of
    the layer before it can do as well: the same result but for rounding. A max pooling may stand between them, if no
    constant is negative: then the maximum stays the maximum.

    Args:
        graph: in evaluation mode.
        weights: float32 arrays for all of the graph's parameters.
    """
    nodes, weights, uses = {node.name: node for node in graph.nodes}, dict(weights), graph.uses
    owners = Counter(name for node in graph.nodes for name in node.parameters.values())
    for norm in [node for node in graph.nodes if node.operation == "batch_norm"]:
        previous = nodes.get(norm.inputs[0])
        layer = nodes.get(previous.inputs[0]) if previous and previous.operation == "max_pool" else previous
        if previous is None or layer is None or not _is_foldable(layer):
            continue
        if uses[previous.name] != 1 or uses[layer.name] != 1 or any(owners[n] != 1 for n in layer.parameters.values()):
            continue
        if layer is not previous and (weights[norm.parameters["weight"]] < 0).any():
            continue
        nodes[layer.name] = _folded(layer, norm, weights)
        last = nodes.pop(previous.name)
        nodes[norm.name] = dataclasses.replace(last, name=norm.name)
    named = [name for node in nodes.values() for name in node.parameters.values()]
    shapes = {name: weights[name].shape for name in dict.fromkeys(named)}
    folded = dataclasses.replace(graph, nodes=tuple(nodes.values()), parameters=shapes)
    return folded, {name: weights[name] for name in shapes}


def _is_foldable(layer: Node) -> bool:
    """Return whether the channels of a batch norm after this node are the node's outputs."""
    return layer.operation == "convolution" or (layer.operation == "linear" and len(layer.shape) == 1)


def _folded(layer: Node, norm: Node, weights: Weights) -> Node:
    """Return the layer with the batch norm's work in its weights, which this replaces, and in its bias."""
    scale, shift, mean, variance = (
        weights[norm.parameters[role]].astype(np.float64) for role in ("weight", "bias", "mean", "variance")
    )
    scale = scale / np.sqrt(variance + norm.attributes["epsilon"])
    name = layer.parameters["weight"]
    bias = weights[layer.parameters["bias"]].astype(np.float64) if "bias" in layer.parameters else 0.0
    bias_name = layer.parameters.get("bias", norm.parameters["bias"])
    outputs_first = layer.operation == "convolution" or layer.attributes["transposed"]
    weight = weights[name].astype(np.float64)
    factors = scale.reshape(-1, *[1] * (weight.ndim - 1)) if outputs_first else scale
    weights[name] = (weight * factors).astype(np.float32)
    weights[bias_name] = ((bias - mean) * scale + shift).astype(np.float32)
    return dataclasses.replace(layer, parameters={**layer.parameters, "bias": bias_name})
