"""The inside of a trained net: its operations in order, its weights, and what each operation makes of some digits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import paddle

from paddle_mnist.engine import Learner
from paddle_mnist.errors import UserError
from paddle_mnist.exports.model import numpy_net_as_layer
from paddle_mnist.learners import PaddleLearner
from paddle_mnist.program import Graph, Node, NotCoveredError, capture, join_biases
from paddle_mnist.program.evaluate import run
from paddle_mnist.recipes import Settings

# Paddle's layers without parameters, and the operations that they become.
OPERATION_OF = {
    "MaxPool2D": "max_pool",
    "AvgPool2D": "average_pool",
    "AdaptiveAvgPool2D": "adaptive_average_pool",
    "AdaptiveMaxPool2D": "adaptive_max_pool",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "GELU": "gelu",
    "Silu": "silu",
    "Softmax": "softmax",
    "Flatten": "reshape",
}


@dataclasses.dataclass(frozen=True)
class Inside:
    """What a net computes, in the order of its ``forward``. It does not depend on the weights.

    Attributes:
        graph: the operations. A bias belongs to its convolution or linear layer. Parameters are named as in
            ``Learner.state_dict``.
        layers: from the name of a node to the name in ``nets`` of the layer that computes it, such as ``"conv1"``.
            Functions, such as ``F.relu``, have none.
        transposed: the parameters that ``state_dict`` has the other way round: [outputs, inputs].
    """

    graph: Graph
    layers: dict[str, str]
    transposed: frozenset[str] = frozenset()

    @property
    def last_layer(self) -> Node:
        """The last layer with weights, whose inputs are the net's features.

        Raises:
            UserError: no operation has weights.
        """
        for node in reversed(self.graph.nodes):
            if node.operation in ("linear", "convolution"):
                return node
        raise UserError("the net has no layer with weights")

    def weights(self, learner: Learner) -> dict[str, np.ndarray]:
        """Return the parameters that the graph names, float32, in the graph's shapes."""
        state = learner.state_dict()
        found = {}
        for name, shape in self.graph.parameters.items():
            array = state[name].T if name in self.transposed else state[name]
            found[name] = np.ascontiguousarray(array, np.float32).reshape(shape)
        return found

    def activations(self, weights: dict[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the result of every operation by the name of its node, float32 [n, *node.shape].

        Args:
            weights: as ``weights`` returns them.
            images: float32 [n, 1, 28, 28], in the net's own range of pixels.
        """
        with paddle.no_grad():
            return {name: value.numpy() for name, value in self.run(weights, paddle.to_tensor(images)).items()}

    def run(self, weights: dict[str, np.ndarray], images: Any) -> dict[str, Any]:
        """Return the result of every operation as tensors, through which Paddle can compute gradients."""
        return run(self.graph, {name: paddle.to_tensor(array) for name, array in weights.items()}, images)


def inside(learner: Learner, settings: Settings) -> Inside:
    """Return what a net computes.

    Raises:
        UserError: the net does something that a ``Graph`` cannot express.
    """
    layer = learner.net if isinstance(learner, PaddleLearner) else numpy_net_as_layer(learner, settings.net)
    layer.eval()
    try:
        graph = join_biases(capture(layer))
    except NotCoveredError as error:
        raise UserError(f"net {settings.net} cannot be looked into: {error}") from error
    if isinstance(learner, PaddleLearner):
        return Inside(graph, _layer_names(layer, graph))
    names = {f"layer{number}.{role}": f"{letter}{number}" for number in range(1, 10) for role, letter in ROLES}
    graph = dataclasses.replace(
        graph,
        nodes=tuple(_with_names(node, names) for node in graph.nodes),
        parameters={names[name]: shape for name, shape in graph.parameters.items()},
    )
    # Only the sigmoid net keeps a row of weights for each unit.
    other_way = [name for name in graph.parameters if name.startswith("W") and settings.net == "nielsen"]
    return Inside(graph, {}, frozenset(other_way))


ROLES = (("weight", "W"), ("bias", "b"))  # of a layer's parameters, and their letters in the nets written by hand


def _with_names(node: Node, names: dict[str, str]) -> Node:
    return dataclasses.replace(node, parameters={role: names[name] for role, name in node.parameters.items()})


def _layer_names(net: paddle.nn.Layer, graph: Graph) -> dict[str, str]:
    """Return the attribute of the net that each node belongs to: by its parameters, else by the order of the calls."""
    called = _calls(net, graph)
    names = {}
    for node in graph.nodes:
        if node.parameters:
            names[node.name] = next(iter(node.parameters.values())).rpartition(".")[0]
        elif called and called[0][1] == node.operation:
            names[node.name] = called.pop(0)[0]
    return {node: layer for node, layer in names.items() if layer}


def _calls(net: paddle.nn.Layer, graph: Graph) -> list[tuple[str, str]]:
    """Return the layers without parameters in the order in which ``forward`` calls them, with their operations."""
    calls: list[tuple[str, str]] = []
    hooks = []
    for name, layer in net.named_sublayers():
        operation = OPERATION_OF.get(type(layer).__name__)
        if operation:
            note = lambda layer, inputs, call=(name, operation): calls.append(call)  # noqa: E731
            hooks.append(layer.register_forward_pre_hook(note))
    try:
        with paddle.no_grad():
            net(paddle.zeros([1, *graph.input_shape]))
    finally:
        for hook in hooks:
            hook.remove()
    return calls
