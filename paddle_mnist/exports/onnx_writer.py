"""Writes the operations of a graph as nodes of ONNX.

The operations are those of opset 17, which every runtime of the last years knows. Reshapes copy the batch axis (size 0
in ``Reshape``), so that the batch size stays free, 0 included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from paddle_mnist.exports.model import Model
from paddle_mnist.exports.quantize import FINER, Int8Net
from paddle_mnist.program import IMAGES, Node

SHORT = {"QuantizeLinear": "q", "DequantizeLinear": "dq"}  # each name is stored two or three times


class Writer:
    """Collects the nodes and the initializers of an ONNX graph.

    Args:
        net: what is written.
    """

    def __init__(self, net: Model | Int8Net) -> None:
        self.int8 = net if isinstance(net, Int8Net) else None
        self.model = net.model if isinstance(net, Int8Net) else net
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._names = {IMAGES, "pixels", "outputs", "digit", "probabilities", "value", *self.model.graph.shapes}
        self._ranges: dict[str, list[str]] = {}  # a step and a zero point
        self._in_uint8: dict[str, str] = {}
        self._parameters: dict[tuple[str, tuple[int, ...]], str] = {}

    def add(self, operation: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        from onnx import helper

        output = output or self._unused(SHORT.get(operation, operation.lower()))
        self.nodes.append(helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any, dtype: type = np.float32, name: str = "c") -> str:
        """Add an initializer and return its name."""
        from onnx import numpy_helper

        name = self._unused(name)
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype=dtype, order="C"), name))
        return name

    def parameter(self, node: Node, role: str, shape: Sequence[int] | None = None) -> str:
        """Return the initializer of a parameter, viewed in another shape if one is given."""
        name = node.parameters[role]
        array = self.model.weights[name]
        array = array.reshape(array.shape if shape is None else tuple(shape))
        key = name, array.shape
        if key not in self._parameters:
            self._parameters[key] = self.constant(array, name=name)
        return self._parameters[key]

    def weight(self, node: Node, transpose: bool = False) -> str:
        """Return the tensor of a layer's weight, which is computed from int8 if the net is written so."""
        name = node.parameters["weight"]
        stored = self.int8.weights.get(name) if self.int8 else None
        if stored is None:
            array = self.model.weights[name]
            return self.constant(array.T, name=name) if transpose else self.parameter(node, "weight")
        axis = 1 - stored.axis if transpose else stored.axis
        total = ""
        for number, part in enumerate(stored.parts):
            values, steps = part.T if transpose else part, stored.scales / np.float32(FINER**number)
            if self._computes_in_integers(node):
                # Unsigned: without VNNI, processors add products of an unsigned and a signed byte in 16 bits, which
                # saturate.
                unsigned, middle = values.astype(np.int16) + 128, np.full(len(steps), 128)
                inputs = [self.constant(unsigned, np.uint8), self.constant(steps), self.constant(middle, np.uint8)]
            else:
                inputs = [self.constant(values, np.int8), self.constant(steps)]
            x = self.add("DequantizeLinear", inputs, axis=axis)
            total = self.add("Add", [total, x]) if total else x
        return total

    def bias(self, node: Node) -> list[str]:
        """Return the tensor of a layer's bias, if it has one; int32, if the layer computes in integers."""
        if "bias" not in node.parameters:
            return []
        if not self._computes_in_integers(node):
            return [self.parameter(node, "bias")]
        assert self.int8 is not None
        steps = self.int8.weights[node.parameters["weight"]].scales * self.int8.ranges[node.inputs[0]].scale
        values = np.rint(self.model.weights[node.parameters["bias"]].astype(np.float64) / steps)
        return [self.add("DequantizeLinear", [self.constant(values, np.int32), self.constant(steps)], axis=0)]

    def _computes_in_integers(self, node: Node) -> bool:
        int8 = self.int8
        return bool(int8 and int8.scheme.activations and node.parameters.get("weight") in int8.weights)

    def _unused(self, name: str) -> str:
        number, candidate = 1, name
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate

    def pixels(self, images: str, output: str) -> None:
        """Scale pixels as ``loader.to_input`` does."""
        from onnx import TensorProto

        x = self.add("Unsqueeze", [images, self.constant([1], np.int64)])
        pixel_range = self.model.pixel_range
        x = self.add("Cast", [x], output if pixel_range == "raw" else None, to=TensorProto.FLOAT)
        if pixel_range == "raw":
            return
        x = self.add("Div", [x, self.constant(255)], output if pixel_range == "01" else None)
        if pixel_range == "pm1":
            x = self.add("Mul", [x, self.constant(2)])
            self.add("Sub", [x, self.constant(1)], output)

    def net(self, images: str, output: str) -> None:
        """Add the nodes of the net."""
        names = {IMAGES: images, self.model.graph.output: output}
        ranges = self._early_ranges()
        for node in self.model.graph.nodes:
            inputs = [names.get(name, name) for name in node.inputs]
            if node.operation == "relu" and node.inputs[0] in ranges:
                names[node.name] = inputs[0]  # uint8 has no numbers below 0
                continue
            if self._computes_in_integers(node) and node.inputs[0] not in ranges:
                inputs = [self._rounded(node.inputs[0], inputs[0])]
            WRITERS[node.operation](self, node, inputs, names.get(node.name, node.name))
            if node.name in ranges and node.operation != "reshape":
                names[node.name] = self._rounded(ranges[node.name], node.name)

    def _early_ranges(self) -> dict[str, str]:
        """Return the tensors that are rounded to uint8 before they get to the layer that reads them.

        Rounding a layer's outputs, before the ReLU and the pooling, gives the same numbers, and runtimes need it to
        compute the layer in integers.

        Returns:
            For each such tensor the name of the one, read by a layer, that it is rounded as.
        """
        nodes, uses = {node.name: node for node in self.model.graph.nodes}, self.model.graph.uses
        found: dict[str, str] = {}
        for source in self.int8.ranges if self.int8 else ():
            chain, name = [source], source
            while name in nodes and nodes[name].operation in ("relu", "max_pool", "reshape"):
                name = nodes[name].inputs[0]
                if uses[name] != 1:
                    break
                chain.append(name)
            if name in nodes and self._computes_in_integers(nodes[name]):
                found.update(dict.fromkeys(chain, source))
        return found

    def _rounded(self, name: str, x: str) -> str:
        """Return x as uint8 can hold it, in the range of the tensor of this name."""
        assert self.int8 is not None
        if name not in self._ranges:
            found = self.int8.ranges[name]
            self._ranges[name] = [self.constant(found.scale), self.constant(found.zero_point, np.uint8)]
        if x not in self._in_uint8:
            q = self.add("QuantizeLinear", [x, *self._ranges[name]])
            self._in_uint8[x] = self.add("DequantizeLinear", [q, *self._ranges[name]])
        return self._in_uint8[x]

    def answer(self, outputs: str) -> None:
        """Add what turns raw outputs into a digit and its probabilities or value, as ``metrics.predicted_digits``."""
        from onnx import TensorProto

        if self.model.num_outputs == 1:
            self.add("Squeeze", [outputs, self.constant([1], np.int64)], "value")
            x = self.add("Clip", [self.add("Round", ["value"]), self.constant(0), self.constant(9)])
            self.add("Cast", [x], "digit", to=TensorProto.INT64)
            return
        self.add("ArgMax", [outputs], "digit", axis=1, keepdims=0)
        if self.model.answer == "probabilities":
            self.add("Softmax", [outputs], "probabilities", axis=1)
        else:
            self.add("ReduceMax", [outputs], "value", axes=[1], keepdims=0)

    def reshape(self, x: str, shape: Sequence[int], output: str | None = None) -> str:
        """Give every image another shape."""
        return self.add("Reshape", [x, self.constant([0, *shape], np.int64)], output)


Function = Callable[[Writer, Node, list[str], str], Any]
WRITERS: dict[str, Function] = {}


def _writes(*operations: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        WRITERS.update(dict.fromkeys(operations, function))
        return function

    return register


@_writes("convolution")
def _convolution(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    top, bottom, left, right = node.attributes["paddings"]
    writer.add(
        "Conv",
        [*inputs, writer.weight(node), *writer.bias(node)],
        output,
        strides=node.attributes["strides"],
        pads=[top, left, bottom, right],
        dilations=node.attributes["dilations"],
        group=node.attributes["groups"],
    )


@_writes("linear")
def _linear(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    transposed = node.attributes["transposed"]
    bias = writer.bias(node)
    if len(node.shape) == 1:
        writer.add("Gemm", [*inputs, writer.weight(node), *bias], output, transB=int(transposed))
        return
    weight = writer.weight(node, transpose=transposed)
    x = writer.add("MatMul", [*inputs, weight], None if bias else output)
    if bias:
        writer.add("Add", [x, *bias], output)


@_writes("max_pool", "average_pool")
def _pool(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    kernel, strides = node.attributes["kernel"], node.attributes["strides"]
    sides = writer.model.graph.shapes[node.inputs[0]][1:]
    begin = node.attributes["paddings"][::2]
    # ONNX rounds the number of windows down; padding to the end of the last window gives the number that is wanted.
    end = [max(0, (node.shape[1 + i] - 1) * strides[i] + kernel[i] - begin[i] - sides[i]) for i in (0, 1)]
    average = node.operation == "average_pool"
    more = {"count_include_pad": int(not node.attributes["exclusive"])} if average else {}
    writer.add(
        "AveragePool" if average else "MaxPool",
        inputs,
        output,
        kernel_shape=kernel,
        strides=strides,
        pads=[*begin, *end],
        **more,
    )


@_writes("adaptive_max_pool", "adaptive_average_pool")
def _adaptive_pool(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    """Pool along rows, then along columns: each window is a slice of its own."""
    if node.shape[1:] == (1, 1):
        writer.add("GlobalMaxPool" if node.operation == "adaptive_max_pool" else "GlobalAveragePool", inputs, output)
        return
    operation = "ReduceMax" if node.operation == "adaptive_max_pool" else "ReduceMean"
    x = inputs[0]
    for i, last in ((0, False), (1, True)):
        size, count, axis = writer.model.graph.shapes[node.inputs[0]][1 + i], node.shape[1 + i], 2 + i
        windows = []
        for window in range(count):
            bounds = [window * size // count, -(-(window + 1) * size // count)]
            begin, end = (writer.constant([bound], np.int64) for bound in bounds)
            part = writer.add("Slice", [x, begin, end, writer.constant([axis], np.int64)])
            windows.append(writer.add(operation, [part], axes=[axis], keepdims=1))
        x = writer.add("Concat", windows, output if last else None, axis=axis)


@_writes("relu", "sigmoid", "tanh")
def _activation(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add(node.operation.capitalize(), inputs, output)


@_writes("leaky_relu")
def _leaky_relu(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("LeakyRelu", inputs, output, alpha=float(node.attributes["slope"]))


@_writes("gelu")
def _gelu(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    """x / 2 · (1 + erf(x / √2)), or with tanh(√(2 / π) · (x + 0.044715 x³)) in place of erf."""
    (x,) = inputs
    if node.attributes["approximate"]:
        cube = writer.add("Mul", [writer.add("Mul", [x, x]), x])
        inner = writer.add("Add", [x, writer.add("Mul", [cube, writer.constant(0.044715)])])
        curve = writer.add("Tanh", [writer.add("Mul", [inner, writer.constant(math.sqrt(2 / math.pi))])])
    else:
        curve = writer.add("Erf", [writer.add("Mul", [x, writer.constant(math.sqrt(0.5))])])
    half = writer.add("Mul", [x, writer.constant(0.5)])
    writer.add("Mul", [half, writer.add("Add", [curve, writer.constant(1)])], output)


@_writes("silu")
def _silu(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("Mul", [*inputs, writer.add("Sigmoid", inputs)], output)


@_writes("relu6")
def _relu6(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("Clip", [*inputs, writer.constant(0), writer.constant(6)], output)


@_writes("hardswish")
def _hardswish(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("HardSwish", inputs, output)


@_writes("elu")
def _elu(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("Elu", inputs, output, alpha=float(node.attributes["alpha"]))


@_writes("softmax", "log_softmax")
def _softmax(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    operation = "Softmax" if node.operation == "softmax" else "LogSoftmax"
    writer.add(operation, inputs, output, axis=node.attributes["axis"])


@_writes("batch_norm")
def _batch_norm(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    roles = [writer.parameter(node, role) for role in ("weight", "bias", "mean", "variance")]
    writer.add("BatchNormalization", [*inputs, *roles], output, epsilon=node.attributes["epsilon"])


@_writes("layer_norm")
def _layer_norm(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    axis = node.attributes["axis"]
    shape = node.shape[axis - 1 :]
    given = [
        writer.parameter(node, role, shape) if role in node.parameters else writer.constant(np.full(shape, value))
        for role, value in (("weight", 1), ("bias", 0))
    ]
    writer.add("LayerNormalization", [*inputs, *given], output, axis=axis, epsilon=node.attributes["epsilon"])


@_writes("affine")
def _affine(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    x = writer.add("Mul", [*inputs, writer.constant(node.attributes["scale"])])
    writer.add("Add", [x, writer.constant(node.attributes["bias"])], output)


@_writes("add", "multiply", "subtract")
def _arithmetic(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add({"add": "Add", "multiply": "Mul", "subtract": "Sub"}[node.operation], inputs, output)


@_writes("add_parameter", "multiply_parameter")
def _with_parameter(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    operation = "Add" if node.operation == "add_parameter" else "Mul"
    writer.add(operation, [*inputs, writer.parameter(node, "weight", node.attributes["shape"])], output)


@_writes("concat")
def _concat(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("Concat", inputs, output, axis=node.attributes["axis"])


@_writes("reshape")
def _reshape(writer: Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.reshape(inputs[0], node.shape, output)
