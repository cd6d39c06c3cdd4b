"""Which node of a ``Graph`` each operation of Paddle's programs becomes, or why it is refused."""

from __future__ import annotations

import math

from paddle_mnist.program.translate import Constant, Operation, Parameter, Tensor, Translator, translates

# --- constants and lists ----------------------------------------------------------------------------------------------


@translates("full", "full_int_array")
def _constant(graph: Translator, op: Operation) -> Constant:
    value = op.attributes["value"]
    if op.name == "pd_op.full" and tuple(op.attributes["shape"]) not in ((), (1,)):
        op.refuse("with a shape")
    return Constant(tuple(value) if isinstance(value, (list, tuple)) else value)


@translates("builtin.combine")
def _combine(graph: Translator, op: Operation) -> tuple[object, ...]:
    return tuple(op.operands)


# --- layers with parameters -------------------------------------------------------------------------------------------


@translates("conv2d", "depthwise_conv2d")
def _convolution(graph: Translator, op: Operation) -> Tensor:
    x, weight = op.tensor(0), op.parameter(1)
    if op.attributes["data_format"] != "NCHW" or len(x.shape) != 3:
        op.refuse("with channels last")
    strides, dilations = tuple(op.attributes["strides"]), tuple(op.attributes["dilations"])
    kernel = weight.shape[2:]
    paddings = _paddings(op, x.shape[1:], kernel, strides)
    if op.attributes["padding_algorithm"] == "SAME" and dilations != (1, 1):
        op.refuse("with dilation and padding 'same'")
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel, dilations, strict=True)]
    sides = [_windows(x.shape[1 + i], reach[i], strides[i], paddings[2 * i : 2 * i + 2]) for i in (0, 1)]
    return graph.node(
        "convolution",
        [x],
        (weight.shape[0], *sides),
        {"weight": weight},
        strides=strides,
        paddings=paddings,
        dilations=dilations,
        groups=int(op.attributes["groups"]),
    )


def _paddings(
    op: Operation, sides: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...]:
    """Return (top, bottom, left, right)."""
    how = op.attributes["padding_algorithm"]
    if how == "VALID":
        return (0, 0, 0, 0)
    if how == "SAME":
        paddings: list[int] = []
        for side, size, stride in zip(sides, kernel, strides, strict=True):
            total = max((-(-side // stride) - 1) * stride + size - side, 0)
            paddings += [total // 2, total - total // 2]
        return tuple(paddings)
    given = tuple(op.attributes["paddings"])
    return (given[0], given[0], given[1], given[1]) if len(given) == 2 else given


def _windows(side: int, kernel: int, stride: int, paddings: tuple[int, ...], ceil: bool = False) -> int:
    """Return how many windows fit along an axis."""
    room = side + sum(paddings) - kernel
    return (-(-room // stride) if ceil else room // stride) + 1


@translates("matmul")
def _matmul(graph: Translator, op: Operation) -> Tensor:
    x, weight = op.tensor(0), op.parameter(1)
    if op.attributes["transpose_x"] or len(weight.shape) != 2:
        op.refuse("of this form")
    transposed = bool(op.attributes["transpose_y"])
    outputs = weight.shape[0 if transposed else 1]
    return graph.node("linear", [x], (*x.shape[:-1], outputs), {"weight": weight}, transposed=transposed)


@translates("batch_norm_", "batch_norm")
def _batch_norm(graph: Translator, op: Operation) -> Tensor:
    x, (mean, variance, weight, bias) = op.tensor(0), (op.parameter(i) for i in (1, 2, 3, 4))
    attributes = op.attributes
    if (
        attributes["trainable_statistics"]
        or len(x.shape) not in (1, 3)
        or not attributes["data_format"].startswith("NC")
    ):
        op.refuse("of this form")
    return graph.node(
        "batch_norm",
        [x],
        x.shape,
        {"weight": weight, "bias": bias, "mean": mean, "variance": variance},
        epsilon=float(attributes["epsilon"]),
        momentum=float(attributes["momentum"]),
        training=not (attributes["is_test"] or attributes["use_global_stats"]),
    )


@translates("layer_norm")
def _layer_norm(graph: Translator, op: Operation) -> Tensor:
    x = op.tensor(0)
    parameters = {role: op.operands[i] and op.parameter(i) for role, i in (("weight", 1), ("bias", 2))}
    axis = int(op.attributes["begin_norm_axis"])
    if axis < 1:
        op.refuse("over the batch")
    return graph.node("layer_norm", [x], x.shape, parameters, epsilon=float(op.attributes["epsilon"]), axis=axis)


# --- pooling ----------------------------------------------------------------------------------------------------------


@translates("pool2d")
def _pool(graph: Translator, op: Operation) -> Tensor:
    if op.attributes["data_format"] != "NCHW":
        op.refuse("with channels last")
    return _pooling(graph, op, op.attributes["pooling_type"], op.constant(1))


@translates("max_pool2d_with_index")
def _max_pool_with_index(graph: Translator, op: Operation) -> Tensor:
    return _pooling(graph, op, "max", op.attributes["kernel_size"])


def _pooling(graph: Translator, op: Operation, kind: str, size: tuple[int, ...]) -> Tensor:
    x, attributes = op.tensor(0), op.attributes
    (channels, *sides), name = x.shape, {"max": "max_pool", "avg": "average_pool"}[kind]
    size = (size, size) if isinstance(size, int) else tuple(size)
    if attributes["adaptive"]:
        if any(side % outputs for side, outputs in zip(sides, size, strict=True)):
            return graph.node(f"adaptive_{name}", [x], (channels, *size), output_size=size)
        kernel = strides = tuple(side // outputs for side, outputs in zip(sides, size, strict=True))
        paddings = (0, 0, 0, 0)
    elif attributes["global_pooling"]:
        kernel, strides, paddings = tuple(sides), (1, 1), (0, 0, 0, 0)
    else:
        kernel, strides = size, tuple(attributes["strides"])
        algorithm = attributes.get("padding_algorithm", "EXPLICIT")
        if algorithm == "SAME":
            op.refuse("with padding 'same'")
        given = tuple(attributes["paddings"]) if algorithm == "EXPLICIT" else (0, 0)
        paddings = (given[0], given[0], given[1], given[1]) if len(given) == 2 else given
        if kind == "avg" and not attributes["exclusive"] and (paddings[0], paddings[2]) != (paddings[1], paddings[3]):
            op.refuse("with uneven padding")
    ceil = bool(attributes["ceil_mode"]) and not attributes["adaptive"]
    outputs = [_windows(sides[i], kernel[i], strides[i], paddings[2 * i : 2 * i + 2], ceil) for i in (0, 1)]
    for i in (0, 1):  # every window must have a pixel of the image in it
        if (outputs[i] - 1) * strides[i] - paddings[2 * i] >= sides[i] or paddings[2 * i] >= kernel[i]:
            op.refuse("with windows outside the image")
    more = {"exclusive": bool(attributes["exclusive"])} if kind == "avg" else {}
    return graph.node(name, [x], (channels, *outputs), kernel=kernel, strides=strides, paddings=paddings, **more)


@translates("mean")
def _mean(graph: Translator, op: Operation) -> Tensor:
    x = op.tensor(0)
    axes = op.constant(1)
    if len(x.shape) != 3 or {axis % 4 for axis in axes} != {2, 3}:
        op.refuse("over these axes")
    channels, *sides = x.shape
    window = {"kernel": tuple(sides), "strides": (1, 1), "paddings": (0, 0, 0, 0), "exclusive": True}
    pooled = graph.node("average_pool", [x], (channels, 1, 1), **window)
    return pooled if op.attributes["keepdim"] else graph.node("reshape", [pooled], (channels,))


# --- activations ------------------------------------------------------------------------------------------------------


@translates("relu", "sigmoid", "tanh", "silu", "relu6", "hardswish")
def _activation(graph: Translator, op: Operation) -> Tensor:
    return graph.node(op.name.removeprefix("pd_op."), [op.tensor(0)], op.tensor(0).shape)


@translates("leaky_relu")
def _leaky_relu(graph: Translator, op: Operation) -> Tensor:
    x = op.tensor(0)
    return graph.node("leaky_relu", [x], x.shape, slope=float(op.attributes["negative_slope"]))


@translates("elu")
def _elu(graph: Translator, op: Operation) -> Tensor:
    x = op.tensor(0)
    return graph.node("elu", [x], x.shape, alpha=float(op.attributes["alpha"]))


@translates("gelu")
def _gelu(graph: Translator, op: Operation) -> Tensor:
    x = op.tensor(0)
    return graph.node("gelu", [x], x.shape, approximate=bool(op.attributes["approximate"]))


@translates("softmax", "log_softmax")
def _softmax(graph: Translator, op: Operation) -> Tensor:
    x = op.tensor(0)
    axis = int(op.attributes["axis"]) % (len(x.shape) + 1)
    if axis == 0:
        op.refuse("over the batch")
    return graph.node(op.name.removeprefix("pd_op."), [x], x.shape, axis=axis)


@translates("dropout")
def _dropout(graph: Translator, op: Operation) -> Tensor:
    x, p = op.tensor(0), float(op.constant(2))
    upscale = op.attributes["mode"] == "upscale_in_train"
    if op.operands[1] is not None or op.attributes["fix_seed"]:
        op.refuse("with a fixed seed")
    if op.attributes["is_test"]:
        return x if upscale else graph.node("affine", [x], x.shape, scale=1 - p, bias=0.0)
    return graph.node("dropout", [x], x.shape, p=p, upscale=upscale) if p else x


# --- arithmetic and shapes --------------------------------------------------------------------------------------------


@translates("scale")
def _scale(graph: Translator, op: Operation) -> Tensor:
    x, scale, bias = op.tensor(0), float(op.constant(1)), float(op.attributes["bias"])
    if not op.attributes["bias_after_scale"]:
        bias *= scale
    return graph.node("affine", [x], x.shape, scale=scale, bias=bias)


@translates("add", "add_", "multiply", "multiply_", "subtract")
def _arithmetic(graph: Translator, op: Operation) -> Tensor:
    name = op.name.removeprefix("pd_op.").rstrip("_")
    first, second = op.operands
    if not isinstance(first, Tensor) and name != "subtract":
        first, second = second, first
    if not isinstance(first, Tensor):
        op.refuse("without the images in it")
    if isinstance(second, Parameter) and name != "subtract":
        batched = len(second.shape) > len(first.shape)
        if len(second.shape) > len(first.shape) + 1 or (batched and second.shape[0] != 1):
            op.refuse("with a parameter of this shape")
        view = second.shape[1:] if batched else second.shape
        return graph.node(f"{name}_parameter", [first], first.shape, {"weight": second}, shape=view)
    if not isinstance(second, Tensor):
        op.refuse("with such an operand")
    broadcasts = name != "subtract"
    if broadcasts and math.prod(first.shape) < math.prod(second.shape):
        first, second = second, first
    ones = broadcasts and len(first.shape) == len(second.shape)
    if first.shape != second.shape and not (
        ones and all(b in (a, 1) for a, b in zip(first.shape, second.shape, strict=True))
    ):
        op.refuse("of these shapes")
    return graph.node(name, [first, second], first.shape)


@translates("concat")
def _concat(graph: Translator, op: Operation) -> Tensor:
    tensors = op.operands[0]
    if not isinstance(tensors, tuple) or not all(isinstance(tensor, Tensor) for tensor in tensors):
        op.refuse("of something else than tensors")
    shape = list(tensors[0].shape)
    axis = int(op.constant(1)) % (len(shape) + 1)
    if axis == 0:
        op.refuse("along the batch")
    shape[axis - 1] = sum(tensor.shape[axis - 1] for tensor in tensors)
    return graph.node("concat", list(tensors), tuple(shape), axis=axis)


@translates("reshape", "reshape_", "flatten", "flatten_", "squeeze", "unsqueeze", "squeeze_", "unsqueeze_")
def _reshape(graph: Translator, op: Operation) -> Tensor | Parameter:
    x = op.operands[0]
    if isinstance(x, Parameter):
        return Parameter(x.name, op.shape)
    x, (batch, *shape) = op.tensor(0), op.shape
    if batch != -1 or any(size < 0 for size in shape) or math.prod(shape) != math.prod(x.shape):
        op.refuse("across images")
    return x if tuple(shape) == x.shape else graph.node("reshape", [x], tuple(shape))
