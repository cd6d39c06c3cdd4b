"""Writes a net as an ONNX model, and runs such models by ONNX Runtime."""

from __future__ import annotations

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.exports.model import Model
from paddle_mnist.exports.onnx_writer import Writer
from paddle_mnist.exports.quantize import Int8Net
from paddle_mnist.exports.verify import Answers, Run
from paddle_mnist.program import IMAGES

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


def onnx_model(net: Model | Int8Net, raw: bool = False) -> bytes:
    """Return a net as the bytes of an ONNX file, checked by ``onnx.checker``.

    Its input is ``images``, uint8 [n, 28, 28]; its outputs are ``digit``, int64 [n], and ``probabilities``, float32
    [n, 10], or ``value``, float32 [n]. Raw, ``images`` is float32 [n, 1, 28, 28] and the output is ``outputs``, float32
    [n, k].
    """
    import onnx
    from onnx import TensorProto, helper

    writer = Writer(net)
    model = writer.model
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
