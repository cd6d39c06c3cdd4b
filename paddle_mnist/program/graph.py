"""The graph of a net: pure data, without kernels and without Paddle's objects.

A ``Graph`` is a list of ``Node``s in the order of their computation. Each node computes one tensor from earlier ones;
node and tensor share a name. The images are the tensor ``"images"``. Shapes leave out the first axis, the batch, which
no operation may change, and are channels first: a map is (channels, height, width), a row of features (features,).
Parameters and buffers (the running statistics of a batch norm) are named as in the net's ``state_dict``.

``OPERATIONS`` lists every operation with its attributes. All attributes are numbers, booleans or tuples of integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

IMAGES = "images"

# Each operation and the names of its attributes. Sizes, strides and dilations are (vertical, horizontal); paddings are
# (top, bottom, left, right). In training mode a graph has "dropout" nodes and batch norms with ``training`` true.
OPERATIONS: dict[str, tuple[str, ...]] = {
    # parameters weight [out, in / groups, kh, kw] and perhaps bias [out]
    "convolution": ("strides", "paddings", "dilations", "groups"),
    # over the last axis; weight [in, out], or [out, in] if transposed; perhaps bias [out]
    "linear": ("transposed",),
    # windows are clipped at the border; a maximum never comes from the padding
    "max_pool": ("kernel", "strides", "paddings"),
    # divides by the number of pixels inside the image if exclusive, else inside the image and its padding
    "average_pool": ("kernel", "strides", "paddings", "exclusive"),
    # window i of an axis runs from floor(i * size / output) to ceil((i + 1) * size / output)
    "adaptive_max_pool": ("output_size",),
    "adaptive_average_pool": ("output_size",),
    "relu": (),
    "leaky_relu": ("slope",),
    "sigmoid": (),
    "tanh": (),
    "gelu": ("approximate",),  # approximate: by tanh
    "silu": (),
    "relu6": (),  # min(max(x, 0), 6)
    "hardswish": (),  # x * min(max(x + 3, 0), 6) / 6
    "elu": ("alpha",),  # x where it is positive, else alpha * (exp(x) - 1)
    "softmax": ("axis",),  # axes count the batch: 1 is the first axis of a shape
    "log_softmax": ("axis",),
    # per channel: (x - mean) / sqrt(variance + epsilon) * weight + bias; parameters weight, bias, mean, variance.
    # training: by the batch's own statistics, with running = momentum * running + (1 - momentum) * batch afterwards
    "batch_norm": ("epsilon", "momentum", "training"),
    "layer_norm": ("epsilon", "axis"),  # over all axes from ``axis`` on; weight and bias, if any, are flat
    "dropout": ("p", "upscale"),  # zero with probability p; the others times 1 / (1 - p) if upscale
    "affine": ("scale", "bias"),  # scale * x + bias
    "add": (),  # of two tensors; the second may have ones where it is broadcast
    "multiply": (),  # likewise
    "subtract": (),  # of two tensors of one shape
    "add_parameter": ("shape",),  # parameter weight, viewed in the given shape, broadcast as NumPy does
    "multiply_parameter": ("shape",),
    "concat": ("axis",),
    "reshape": (),  # to the node's shape
}


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: of the node and of the tensor that it computes.
        operation: a key of ``OPERATIONS``.
        inputs: names of earlier nodes, or ``"images"``.
        shape: of the result for one image, without the batch axis.
        parameters: from a role (``"weight"``, ``"bias"``, ``"mean"``, ``"variance"``) to a name in ``state_dict``.
        attributes: see ``OPERATIONS``.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = [f"{role}={name}" for role, name in self.parameters.items()]
        details += [f"{name}={value}" for name, value in self.attributes.items()]
        text = f"{self.name}: {list(self.shape)} = {self.operation}({', '.join(self.inputs)})"
        return f"{text} {' '.join(details)}".rstrip()


@dataclass(frozen=True)
class Graph:
    """A net's computation in one mode.

    Attributes:
        nodes: in the order of computation; the last one is the net's output.
        input_shape: of one image, usually (1, 28, 28).
        parameters: the shape of every parameter and buffer that the nodes name.
    """

    nodes: tuple[Node, ...]
    input_shape: tuple[int, ...]
    parameters: Mapping[str, tuple[int, ...]]

    @property
    def output(self) -> str:
        """The name of the tensor that the net returns."""
        return self.nodes[-1].name

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, without the batch axis."""
        return {IMAGES: self.input_shape, **{node.name: node.shape for node in self.nodes}}

    @property
    def uses(self) -> Counter[str]:
        """How many inputs of nodes each tensor is; the net's output counts as one more use."""
        return Counter([name for node in self.nodes for name in node.inputs] + [self.output])

    def until(self, name: str) -> Graph:
        """Return the part up to a node, whose tensor is its output."""
        count = 1 + [node.name for node in self.nodes].index(name)
        nodes = self.nodes[:count]
        named = {parameter for node in nodes for parameter in node.parameters.values()}
        parameters = {parameter: shape for parameter, shape in self.parameters.items() if parameter in named}
        return Graph(nodes, self.input_shape, parameters)

    def __str__(self) -> str:
        return "\n".join([f"{IMAGES}: {list(self.input_shape)}", *map(str, self.nodes)])
