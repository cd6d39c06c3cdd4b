"""Writes a graph as an ONNX model, operation by operation, and runs such models by ONNX Runtime.

The operations are those of opset 17, which every runtime of the last years knows. Reshapes copy the batch axis (size 0
in ``Reshape``), so that the batch size stays free, 0 included.
"""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.exports.model import Model
from paddle_mnist.exports.verify import Answers, Run
from paddle_mnist.loader import to_input
from paddle_mnist.program import IMAGES, Node

OPSET, IR_VERSION = 17, 8
BATCH = "n"  # the name of the free axis
MISSING = 'ONNX export needs the packages onnx and onnxruntime: pip install "paddle-mnist[export]"'


def check_installed() -> None:
    """Raise ``UserError`` unless the packages that write and run ONNX models are installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(MISSING) from error


def onnx_model(model: Model, raw: bool = False) -> bytes:
    """Return a net as the bytes of an ONNX file, checked by ``onnx.checker``.

    Its input is ``images``, uint8 [n, 28, 28]; its outputs are ``digit``, int64 [n], and ``probabilities``, float32
    [n, 10], or ``value``, float32 [n]. Raw, ``images`` is float32 [n, 1, 28, 28] and the output is ``outputs``, float32
    [n, k].
    """
    import onnx
    from onnx import TensorProto, helper

    writer = _Writer(model)
    if raw:
        images = helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, [BATCH, *model.graph.input_shape])
        writer.net(IMAGES, "outputs")
        outputs = [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, [BATCH, model.num_outputs])]
    else:
        images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, [BATCH, 28, 28])
        writer.pixels(IMAGES, "pixels")
        writer.net("pixels", "outputs")
        outputs = [helper.make_tensor_value_info("digit", TensorProto.INT64, [BATCH])]
        shape: list[str | int] = [BATCH, 10] if model.answer == "probabilities" else [BATCH]
        outputs.append(helper.make_tensor_value_info(model.answer, TensorProto.FLOAT, shape))
        writer.answer("outputs")
    graph = helper.make_graph(writer.nodes, "paddle_mnist", [images], outputs, writer.initializers)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="paddle_mnist"
    )
    helper.set_model_props(made, model.metadata)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def quantized(model: Model, images: np.ndarray, raw: bool = False) -> bytes:
    """Return a net as the bytes of an ONNX file in int8, with ranges measured on some digits.

    Args:
        images: uint8 [n, 28, 28], training digits.
    """
    from onnxruntime import quantization

    rows = [
        {IMAGES: to_input(images[i : i + 1], model.pixel_range) if raw else images[i : i + 1]}
        for i in range(len(images))
    ]

    class Rows(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.rows = iter(rows)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rows, None)

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(onnx_model(model, raw))
        with _quiet():
            quantization.quantize_static(
                before,
                after,
                Rows(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Gemm", "MatMul", "MaxPool", "Relu"],
                # Sums stay in float where no further sum reads them: 256 levels would blur close scores into ties.
                extra_options={"OpTypesToExcludeOutputQuantization": ["Conv", "Gemm", "MatMul", "MaxPool"]},
                per_channel=True,
                # Unsigned weights: without VNNI, processors add products of unsigned and signed bytes in 16 bits, which
                # saturate.
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QUInt8,
            )
        return after.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence ONNX Runtime's advice about graphs that it would rather see optimized."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def runner(data: bytes, threads: int = 0) -> Run:
    """Return the function that runs the bytes of an ONNX file by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> Answers:
        results = session.run(None, {IMAGES: images})
        return Answers(None, results[0]) if len(results) == 1 else Answers(*results)

    return run


class _Writer:
    """Collects the nodes and the initializers of an ONNX graph."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._names = {IMAGES, "pixels", "outputs", "digit", "probabilities", "value", *model.graph.shapes}
        self._parameters: dict[tuple[str, tuple[int, ...]], str] = {}

    def add(self, operation: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        from onnx import helper

        output = output or self._unused(operation.lower())
        self.nodes.append(helper.make_node(operation, list(inputs), [output], output, **attributes))
        return output

    def constant(self, values: Any, dtype: type = np.float32, name: str = "constant") -> str:
        """Add an initializer and return its name."""
        from onnx import numpy_helper

        name = self._unused(name)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
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
        for node in self.model.graph.nodes:
            inputs = [names.get(name, name) for name in node.inputs]
            WRITERS[node.operation](self, node, inputs, names.get(node.name, node.name))

    def answer(self, outputs: str) -> None:
        """Add what turns raw outputs into a digit and its probabilities or value, as ``engine.predicted_digits``."""
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


Function = Callable[[_Writer, Node, list[str], str], Any]
WRITERS: dict[str, Function] = {}


def _writes(*operations: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        WRITERS.update(dict.fromkeys(operations, function))
        return function

    return register


@_writes("convolution")
def _convolution(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    top, bottom, left, right = node.attributes["paddings"]
    writer.add(
        "Conv",
        [*inputs, *(writer.parameter(node, role) for role in ("weight", "bias") if role in node.parameters)],
        output,
        strides=node.attributes["strides"],
        pads=[top, left, bottom, right],
        dilations=node.attributes["dilations"],
        group=node.attributes["groups"],
    )


@_writes("linear")
def _linear(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    transposed = node.attributes["transposed"]
    bias = [writer.parameter(node, "bias")] if "bias" in node.parameters else []
    if len(node.shape) == 1:
        weight = writer.parameter(node, "weight")
        writer.add("Gemm", [*inputs, weight, *bias], output, transB=int(transposed))
        return
    array = writer.model.weights[node.parameters["weight"]]
    weight = writer.constant(array.T if transposed else array, name=node.parameters["weight"])
    x = writer.add("MatMul", [*inputs, weight], None if bias else output)
    if bias:
        writer.add("Add", [x, *bias], output)


@_writes("max_pool", "average_pool")
def _pool(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
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
def _adaptive_pool(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    """Pool along rows, then along columns: each window is a slice of its own."""
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
def _activation(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add(node.operation.capitalize(), inputs, output)


@_writes("leaky_relu")
def _leaky_relu(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("LeakyRelu", inputs, output, alpha=float(node.attributes["slope"]))


@_writes("gelu")
def _gelu(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
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
def _silu(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("Mul", [*inputs, writer.add("Sigmoid", inputs)], output)


@_writes("softmax", "log_softmax")
def _softmax(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    operation = "Softmax" if node.operation == "softmax" else "LogSoftmax"
    writer.add(operation, inputs, output, axis=node.attributes["axis"])


@_writes("batch_norm")
def _batch_norm(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    roles = [writer.parameter(node, role) for role in ("weight", "bias", "mean", "variance")]
    writer.add("BatchNormalization", [*inputs, *roles], output, epsilon=node.attributes["epsilon"])


@_writes("layer_norm")
def _layer_norm(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    axis = node.attributes["axis"]
    shape = node.shape[axis - 1 :]
    given = [
        writer.parameter(node, role, shape) if role in node.parameters else writer.constant(np.full(shape, value))
        for role, value in (("weight", 1), ("bias", 0))
    ]
    writer.add("LayerNormalization", [*inputs, *given], output, axis=axis, epsilon=node.attributes["epsilon"])


@_writes("affine")
def _affine(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    x = writer.add("Mul", [*inputs, writer.constant(node.attributes["scale"])])
    writer.add("Add", [x, writer.constant(node.attributes["bias"])], output)


@_writes("add", "multiply", "subtract")
def _arithmetic(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add({"add": "Add", "multiply": "Mul", "subtract": "Sub"}[node.operation], inputs, output)


@_writes("add_parameter", "multiply_parameter")
def _with_parameter(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    operation = "Add" if node.operation == "add_parameter" else "Mul"
    writer.add(operation, [*inputs, writer.parameter(node, "weight", node.attributes["shape"])], output)


@_writes("concat")
def _concat(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.add("Concat", inputs, output, axis=node.attributes["axis"])


@_writes("reshape")
def _reshape(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.reshape(inputs[0], node.shape, output)
