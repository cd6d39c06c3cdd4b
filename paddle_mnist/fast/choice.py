"""Which kernel computes a node: a compiled one where it is the fastest, else oneDNN's, else NumPy's."""

from __future__ import annotations

from collections.abc import Callable

from paddle_mnist.fast import convolution, dense, elementwise, normalization, shapes
from paddle_mnist.fast.compiled import convolution as compiled_convolution
from paddle_mnist.fast.compiled import dense as compiled_dense
from paddle_mnist.fast.compiled import depthwise, filtering, tiles, wide
from paddle_mnist.fast.compiled import elementwise as compiled_elementwise
from paddle_mnist.fast.compiled import normalization as compiled_normalization
from paddle_mnist.fast.compiled import pooling as compiled_pooling
from paddle_mnist.fast.compiled.library import library
from paddle_mnist.fast.onednn_kernels import convolution as onednn_convolution
from paddle_mnist.fast.onednn_kernels import dense as onednn_dense
from paddle_mnist.fast.onednn_kernels import pooling as onednn_pooling
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

Builder = Callable[[Node, Workspace], Kernel]

BUILDERS: dict[str, Builder] = {
    "convolution": convolution.Convolution,
    "linear": dense.linear,
    "max_pool": convolution.MaxPool,
    "average_pool": convolution.average_pool,
    "adaptive_max_pool": convolution.AdaptiveMaxPool,
    "adaptive_average_pool": convolution.AdaptiveAveragePool,
    "relu": elementwise.Relu,
    "leaky_relu": elementwise.LeakyRelu,
    "sigmoid": elementwise.Sigmoid,
    "tanh": elementwise.Tanh,
    "gelu": elementwise.Gelu,
    "silu": elementwise.Silu,
    "relu6": elementwise.Relu6,
    "hardswish": elementwise.Hardswish,
    "elu": elementwise.Elu,
    "softmax": normalization.Softmax,
    "log_softmax": normalization.LogSoftmax,
    "batch_norm": normalization.batch_norm,
    "layer_norm": normalization.LayerNorm,
    "dropout": elementwise.Dropout,
    "affine": elementwise.Affine,
    "add": elementwise.Add,
    "subtract": elementwise.Subtract,
    "multiply": elementwise.Multiply,
    "add_parameter": elementwise.AddParameter,
    "multiply_parameter": elementwise.MultiplyParameter,
    "concat": shapes.Concat,
    "reshape": shapes.Reshape,
}

ONEDNN_BUILDERS: dict[str, Builder] = {
    "convolution": onednn_convolution.Convolution,
    "max_pool": onednn_pooling.max_pool,
    "average_pool": onednn_pooling.average_pool,
    "linear": onednn_dense.linear,
}

COMPILED_BUILDERS: dict[str, Builder] = {
    "relu": compiled_elementwise.Relu,
    "sigmoid": compiled_elementwise.Sigmoid,
    "add": compiled_elementwise.Add,
    "batch_norm": compiled_normalization.batch_norm,
}


def builder(node: Node, plan: Decisions) -> Builder:
    """Return what makes the kernel of a node."""
    compiled = _compiled(node, plan) if library() is not None else None
    if compiled is not None:
        return compiled
    if plan.onednn and node.operation in ONEDNN_BUILDERS and not _is_wrong_in_onednn(node, plan):
        return ONEDNN_BUILDERS[node.operation]
    return BUILDERS[node.operation]


def _is_wrong_in_onednn(node: Node, plan: Decisions) -> bool:
    """Whether it is a convolution that oneDNN 3.6 computes wrongly on some processors.

    It leaves rows out of results one pixel wide, with a horizontal stride and padded rows. On processors with AVX2 it
    writes beyond its scratchpad for 1×1 kernels with unequal strides.
    """
    if node.operation != "convolution":
        return False
    _, _, *kernel = plan.graph.parameters[node.parameters["weight"]]
    down, across = node.attributes["strides"]
    return (node.shape[2] == 1 < node.shape[1] and across > 1) or (kernel == [1, 1] and down != across)


def _compiled(node: Node, plan: Decisions) -> Builder | None:
    if node.operation == "convolution" and filtering.suits(node, plan):
        return filtering.Convolution
    if node.operation == "convolution" and depthwise.suits(node, plan):
        return depthwise.Convolution
    if node.operation == "convolution" and tiles.suits(node, plan):
        return tiles.Convolution
    if node.operation == "convolution" and compiled_convolution.suits(node, plan):
        return compiled_convolution.Convolution
    if node.operation == "linear" and compiled_dense.suits(node, plan):
        return compiled_dense.Linear
    if node.operation == "linear" and wide.suits(node, plan):
        return wide.linear
    if node.operation == "max_pool" and compiled_pooling.halves(node, plan):
        return compiled_pooling.MaxPool
    if node.operation == "average_pool" and convolution.is_global(node, plan):
        return compiled_pooling.GlobalAveragePool
    return COMPILED_BUILDERS.get(node.operation)
