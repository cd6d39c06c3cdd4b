"""Random nets over everything that the fast path covers, and the comparison of the fast path with plain Paddle."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from paddle_mnist import fast
from paddle_mnist.fast import arrays
from paddle_mnist.fast.compiled.library import Library, library

Choose = Callable[[Sequence[Any]], Any]
# What a net may differ by from plain Paddle, relative to the largest element of each array.
TOLERANCE = 3e-5
GUARD, UNTOUCHED = 1024, 7.0  # numbers on either side of a guarded buffer, and what they are


class Step(nn.Layer):
    """A function of x and of layers or parameters of its own."""

    def __init__(self, text: str, function: Callable, **layers: object) -> None:
        super().__init__()
        self.text, self.function = text, function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.function(self, x)

    def extra_repr(self) -> str:
        return self.text


class Net(nn.Layer):
    """Steps one after the other."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = nn.LayerList(steps)

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x

    def __str__(self) -> str:
        return " | ".join(step.text for step in self.steps)


ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate=True),
    "silu": F.silu,
    "scale": lambda x: x * 0.5 + 0.25,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "elu": lambda x: F.elu(x, 0.5),
}


def activation(choose: Choose) -> Step:
    name = choose(["relu", *ACTIVATIONS])
    return Step(name, lambda net, x: ACTIVATIONS[name](x))


def convolution(choose: Choose, shape, same: bool = False) -> nn.Layer | None:
    channels, height, width = shape
    outputs = channels if same else choose([1, 3, 4, 6, 8, 16, 32])
    groups = choose([1, 1, 1, *(g for g in (2, 3, 4, channels) if channels % g == 0)])
    if outputs % groups:
        outputs = groups * choose([1, 2])
    kernel, dilation = choose([1, 2, 3, 3, 5, (3, 1), (1, 4)]), choose([1, 1, 1, 2])
    sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
    if same:
        padding, stride, dilation = "same", 1, 1
    else:
        padding, stride = choose([0, 1, 2, "same", "valid", [1, 0], [1, 0, 2, 1]]), choose([1, 1, 2, 3, (1, 2)])
    if padding in ("same", "valid"):
        dilation = 1
    reach = [(size - 1) * dilation + 1 for size in sizes]
    if reach[0] > height or reach[1] > width:
        return None
    bias = None if choose([True, True, False]) else False
    return nn.Conv2D(channels, outputs, kernel, stride, padding, dilation, groups, bias_attr=bias)


def map_step(choose: Choose, shape) -> Step | None:
    channels, height, width = shape
    kinds = "conv conv conv activation activation norm max avg adaptive dropout residual gate concat parameter subtract"
    kind = choose([*kinds.split(), "global", "layer norm", "softmax", "rows"])
    if kind == "conv":
        conv = convolution(choose, shape)
        return conv and Step(f"conv {conv.extra_repr()}", lambda net, x: net.conv(x), conv=conv)
    if kind == "activation":
        return activation(choose)
    if kind == "norm":
        norm = nn.BatchNorm2D(channels, momentum=choose([0.9, 0.5]))
        return Step("batch norm", lambda net, x: net.norm(x), norm=norm)
    if kind in ("max", "avg"):
        kernel, stride, padding = choose([2, 2, 3, (3, 2)]), choose([2, 2, 1, 3]), choose([0, 0, 1])
        ceil, exclusive = choose([False, True]), choose([True, False])
        if min(height, width) < 3:
            return None
        text = f"{kind} pool {kernel} {stride} {padding} {ceil} {exclusive}"
        if kind == "max":
            return Step(text, lambda net, x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil))
        return Step(text, lambda net, x: F.avg_pool2d(x, kernel, stride, padding, ceil, exclusive))
    if kind == "adaptive":
        size, pool = choose([1, 2, 3, 5]), choose([F.adaptive_avg_pool2d, F.adaptive_max_pool2d])
        if size > min(height, width):
            return None
        return Step(f"{pool.__name__} {size}", lambda net, x: pool(x, size))
    if kind == "dropout":
        p, mode = choose([0.1, 0.5]), choose(["upscale_in_train", "downscale_in_infer"])
        return Step(f"dropout {p} {mode}", lambda net, x: net.drop(x), drop=nn.Dropout(p, mode=mode))
    if kind in ("residual", "concat", "subtract"):
        conv, act = convolution(choose, shape, same=True), activation(choose)
        if conv is None:
            return None
        join = {
            "residual": lambda net, x: x + net.act(net.conv(x)),
            "subtract": lambda net, x: net.act(net.conv(x)) - x,
            "concat": lambda net, x: paddle.concat([x, net.act(net.conv(x))], axis=1),
        }[kind]
        return Step(f"{kind} conv {conv.extra_repr()} {act.text}", join, conv=conv, act=act)
    if kind == "gate":
        fc = nn.Conv2D(channels, channels, 1)
        add = choose([True, False])
        join = (lambda x, g: x + g) if add else (lambda x, g: x * F.sigmoid(g))
        return Step(f"gate {add}", lambda net, x: join(x, net.fc(F.adaptive_avg_pool2d(x, 1))), fc=fc)
    if kind == "parameter":
        view = choose([[1, channels, 1, 1], [channels, height, width], [width], [1, 1, height, 1]])
        weight = paddle.create_parameter(view, "float32", default_initializer=nn.initializer.Uniform(0.5, 1.5))
        if choose([True, False]):
            return Step(f"add parameter {view}", lambda net, x: x + net.weight, weight=weight)
        return Step(f"multiply parameter {view}", lambda net, x: x * net.weight, weight=weight)
    if kind == "layer norm":
        return Step("layer norm", lambda net, x: net.norm(x), norm=nn.LayerNorm(list(shape)))
    if kind == "softmax":
        axis = choose([1, 2, 3, -1])
        return Step(f"softmax {axis}", lambda net, x: F.softmax(x, axis=axis))
    if kind == "rows":
        return Step("reshape", lambda net, x: x.reshape([-1, channels * height, width]).reshape([-1, *shape]))
    return Step("global mean", lambda net, x: x.mean([2, 3], keepdim=True) + x)


def row_step(choose: Choose, shape) -> Step | None:
    (features,) = shape
    kind = choose(
        ["linear", "linear", "activation", "norm", "layer norm", "dropout", "residual", "concat", "softmax", "tokens"]
    )
    if kind == "linear":
        return Step("linear", lambda net, x: net.fc(x), fc=nn.Linear(features, choose([1, 5, 16])))
    if kind == "activation":
        return activation(choose)
    if kind == "norm":
        return Step("batch norm", lambda net, x: net.norm(x), norm=nn.BatchNorm1D(features))
    if kind == "layer norm":
        return Step("layer norm", lambda net, x: net.norm(x), norm=nn.LayerNorm(features))
    if kind == "dropout":
        return Step("dropout", lambda net, x: F.dropout(x, 0.3, training=net.training))
    if kind in ("residual", "concat"):
        if features > 500:
            return None
        fc, act = nn.Linear(features, features), activation(choose)
        if kind == "residual":
            return Step(f"residual {act.text}", lambda net, x: net.act(net.fc(x)) + x, fc=fc, act=act)
        return Step(f"concat {act.text}", lambda net, x: paddle.concat([net.fc(x), x, net.act(x)], 1), fc=fc, act=act)
    if kind == "softmax":
        function = choose([F.softmax, F.log_softmax])
        return Step(function.__name__, lambda net, x: function(x))
    if features % 4:
        return None
    fc = nn.Linear(features // 4, 6)
    return Step("tokens", lambda net, x: net.fc(x.reshape([-1, 4, features // 4])).flatten(1), fc=fc)


def random_net(choose: Choose, outputs: int) -> Net:
    """Return a net with the given number of outputs; its weights come from Paddle's global generator."""
    steps: list[Step] = []
    fresh = choose([False, False, True])  # biases are zero, so that on blank paper a ReLU meets zeros

    def grow(make: Callable, most: int) -> None:
        for _ in range(choose(range(most + 1))):
            shape = tuple(_shape(steps))
            if step := make(choose, shape):
                steps.append(step)
                if not fresh:
                    _add_noise(step)

    grow(map_step, 5)
    steps.append(Step("flatten", lambda net, x: x.flatten(1)))
    grow(row_step, 3)
    fc = nn.Linear(*_shape(steps), outputs)
    steps.append(Step("linear", lambda net, x: net.fc(x), fc=fc))
    return Net(steps)


def _add_noise(step: Step) -> None:
    """Move parameters away from zeros and ones, which would hide mistakes."""
    for parameter in step.parameters():
        parameter.set_value(parameter + 0.1 * paddle.randn(parameter.shape))


def _shape(steps: list[Step]) -> list[int]:
    net = Net(steps)
    with paddle.no_grad():
        net.eval()
        shape = net(paddle.zeros([2, 1, 28, 28])).shape[1:]
        net.train()
    return shape


def digits(n: int, seed: int) -> np.ndarray:
    """Return strokes on blank paper, as MNIST has them: pooling windows full of ties are part of the test."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 1, 28, 28), np.float32)
    images[:, :, 5:20, 7:17] = rng.random((n, 1, 15, 10)) * (rng.random((n, 1, 15, 10)) < 0.5)
    return images


class Masks:
    """Gives plain Paddle the masks of dropout that the fast path draws.

    ``with Masks() as masks:`` replaces both; after a fast step, ``masks.replay()`` readies them for a plain one.
    """

    def __enter__(self) -> Masks:
        self.blocks: dict[int, list[np.ndarray]] = {}
        self._fill, self._dropout = fast.dropout.fill, F.dropout
        fast.dropout.fill = self._record
        for module in (F, nn.layer.common.F):
            module.dropout = self._replay
        self._queue: list[np.ndarray] | None = None  # until there is something to replay
        return self

    def __exit__(self, *error: object) -> None:
        fast.dropout.fill = self._fill
        for module in (F, nn.layer.common.F):
            module.dropout = self._dropout

    def _record(self, masks, nodes, seed) -> None:
        self._fill(masks, nodes, seed)
        arrays = [masks[node.name] for node in nodes]
        self.blocks[seed[-1]] = [a.transpose(0, 3, 1, 2).copy() if a.ndim == 4 else a.copy() for a in arrays]

    def replay(self) -> None:
        """Give the masks of the last pass to Paddle, or nothing if there was no fast pass."""
        blocks = [self.blocks[i] for i in sorted(self.blocks)]
        self._queue = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        self.blocks = {}

    def _replay(self, x, p=0.5, axis=None, training=True, mode="upscale_in_train", **others):
        if not training or not paddle.in_dynamic_mode() or self._queue is None:
            return self._dropout(x, p=p, axis=axis, training=training, mode=mode)
        mask = self._queue.pop(0)
        assert set(np.unique(mask)) <= {0, np.float32(1 / (1 - p) if mode == "upscale_in_train" else 1)}
        return x * paddle.to_tensor(mask).astype(x.dtype)


def loss_of(task: str, outputs: paddle.Tensor, labels: np.ndarray, smoothing: float = 0.0) -> paddle.Tensor:
    labels = paddle.to_tensor(labels)
    if task == "regress":
        return F.square_error_cost(outputs, labels.astype(outputs.dtype)).mean()
    return F.cross_entropy(outputs, labels.flatten(), label_smoothing=smoothing)


def gradients(net, forward, task, images, labels) -> dict[str, np.ndarray]:
    """Return outputs and gradients by name."""
    net.clear_gradients()
    outputs = forward(paddle.to_tensor(images))
    loss_of(task, outputs, labels).backward()
    trained = [(name, parameter) for name, parameter in net.named_parameters() if not parameter.stop_gradient]
    found = {name: parameter.grad.numpy().copy() for name, parameter in trained}
    net.clear_gradients()
    return {"outputs": outputs.numpy(), **found}


OTHERS = ("outputs", "loss", "losses", "statistics")  # what is compared beside gradients


def differences(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> dict[str, float]:
    """Return by name how much arrays differ, relative to their largest element.

    A gradient may vanish but for the rounding of sums that cancel (that of a bias before a batch norm, for instance):
    one of less than a thousandth of the largest gradient is compared with the largest.
    """
    largest = max((np.abs(value).max() for name, value in wanted.items() if name not in OTHERS), default=0)

    def scale(name: str, value: np.ndarray) -> float:
        own = np.abs(value).max()
        return max(own if name in OTHERS or own >= 1e-3 * largest else 0.3 * largest, 1e-9)

    return {name: float(np.abs(found[name] - value).max() / scale(name, value)) for name, value in wanted.items()}


def state(net) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def excess(net, found, wanted, again: Callable[[np.ndarray], dict[str, np.ndarray]], images: np.ndarray) -> dict:
    """Return what differs by more than rounding.

    Where sums cancel (a batch norm of almost equal values), float32 leaves few digits, plain Paddle's as well as ours:
    float64 decides then, from which ours may differ four times as much as plain Paddle. A gradient may differ four
    times as much as the worst of plain Paddle's, since gradients of one net share what was lost before them. A maximum,
    or a ReLU at zero, may turn on the last bit: plain Paddle's own results then jump when weights and images change by
    a millionth.

    Args:
        again: returns what plain Paddle gives for images.
    """
    far = {name: value for name, value in differences(found, wanted).items() if not value <= TOLERANCE}
    if not far:
        return {}
    before = state(net)
    net.to(dtype="float64")
    net.set_state_dict({name: value.astype(np.float64) for name, value in before.items()})
    exact = again(images.astype(np.float64))
    net.to(dtype="float32")
    ours, plain = differences(found, exact), differences(wanted, exact)
    lost = max((np.abs(value - exact[name]).max() for name, value in wanted.items() if name not in OTHERS), default=0)
    shared = {name for name in far if name not in OTHERS and np.abs(found[name] - exact[name]).max() <= 4 * lost}
    far = {name: value for name, value in far.items() if not ours[name] <= 4 * plain[name] + TOLERANCE}
    far = {name: value for name, value in far.items() if name not in shared}
    rng = np.random.default_rng(0)
    for _ in range(4 if far else 0):
        net.set_state_dict({name: _nudge(value, rng) for name, value in before.items()})
        for name, value in differences(again(_nudge(images, rng)), wanted).items():
            if name in far and far[name] <= 4 * value + TOLERANCE:
                del far[name]
    net.set_state_dict(before)
    return far


@contextlib.contextmanager
def guarded_memory() -> Iterator[list[np.ndarray]]:
    """Surround every buffer that the fast path asks for by known numbers, and fail if they have changed at the end.

    A kernel that writes beyond its buffers gives right results, and makes the process crash later. Yields the list of
    the buffers.
    """
    buffers: list[np.ndarray] = []
    aligned = arrays.aligned

    def guarded(*shape: int) -> np.ndarray:
        size = math.prod(shape)
        buffer = aligned(size + 2 * GUARD)
        buffer[:GUARD] = buffer[GUARD + size :] = UNTOUCHED
        buffers.append(buffer)
        return buffer[GUARD : GUARD + size].reshape(shape)

    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("paddle_mnist.fast.") and hasattr(module, "aligned"):
                patch.setattr(module, "aligned", guarded)
        yield buffers
    for buffer in buffers:
        around = buffer[:GUARD], buffer[-GUARD:]
        assert all((numbers == UNTOUCHED).all() for numbers in around), "a kernel wrote beyond a buffer"


@contextlib.contextmanager
def older_processor(number: int) -> Iterator[None]:
    """Use the compiled kernels of a processor whose best set of instructions is this one of ``INSTRUCTIONS``."""
    function = Library.function

    def older(self: Library, name: str) -> Any:
        found = function(self, name)
        return (lambda: min(number, found())) if name == "instructions" else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Library, "function", older)
        library.cache_clear()
        try:
            yield
        finally:
            library.cache_clear()


def _nudge(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (array * (1 + 1e-6 * rng.uniform(-1, 1, array.shape))).astype(np.float32)


def compare(choose: Choose) -> str:
    """Draw a net, compare the fast path with plain Paddle, and return the net in words.

    Raises:
        AssertionError: they differ by more than rounding, the net is not covered, or a kernel wrote beyond a buffer.
    """
    with guarded_memory():
        return _compare(choose)


def _compare(choose: Choose) -> str:
    task = choose(["regress", "classify"])
    n, smoothing = choose([1, 2, 7, 20, 33]), choose([0.0, 0.1]) if task == "classify" else 0.0
    seed = choose(range(1000))
    paddle.seed(seed)
    outputs = 1 if task == "regress" else 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = random_net(choose, outputs)
        images = digits(n, seed)
        labels = np.random.default_rng(seed).integers(0, 10, (n, 1))
        labels = labels.astype(np.float32 if task == "regress" else np.int64)
        forward = fast.accelerate(net)
        if "windows outside the image" in forward.engine:  # refused on purpose
            return ""
        assert forward.engine.startswith("fast"), f"{net}: {forward.engine}"
        with Masks() as masks:
            _compare_evaluation(net, forward, images)
            net.train()
            _compare_training(net, forward, task, images, labels, masks)
            _compare_step(net, task, images, labels, smoothing, masks)
    return str(net)


def _compare_evaluation(net, forward, images) -> None:
    net.eval()
    with paddle.no_grad():
        run = lambda function, images=images: {"outputs": function(paddle.to_tensor(images)).numpy()}  # noqa: E731
        run(forward)
        net.set_state_dict({name: value * 0.9 for name, value in state(net).items()})  # loaded after the capture
        far = excess(net, run(forward), run(net), lambda images: run(net, images), images)
    assert not far, f"evaluation of {net}: {far}"


def _compare_training(net, forward, task, images, labels, masks) -> None:
    before = state(net)
    found = gradients(net, forward, task, images, labels) | _all_statistics(net)
    if "dropout" in str(net) and not masks.blocks:  # left to Paddle: one image, and one value per channel of a norm
        assert len(images) == 1
        return
    masks.replay()
    queue = list(masks._queue)

    def plain(images: np.ndarray) -> dict[str, np.ndarray]:
        masks._queue = list(queue)
        buffers = {name: before[name].astype(value.dtype) for name, value in _statistics(net).items()}
        net.set_state_dict(state(net) | buffers)
        return gradients(net, net, task, images, labels) | _all_statistics(net)

    far = excess(net, found, plain(images), plain, images)
    assert not far, f"training of {net} with {len(images)} images: {far}"
    net.set_state_dict(before)
    masks._queue = None


def _statistics(net) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in net.named_parameters() if value.stop_gradient}


def _all_statistics(net) -> dict[str, np.ndarray]:
    """Return all running statistics as one array, if there are any: small ones are compared with the largest."""
    values = list(_statistics(net).values())
    return {"statistics": np.concatenate(values)} if values else {}


def _compare_step(net, task, images, labels, smoothing, masks) -> None:
    before = state(net)
    optimizer = paddle.optimizer.SGD(0.01, parameters=net.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0))
    step = fast.train_step(net, task, optimizer, label_smoothing=smoothing, seed=3)
    assert step.engine.startswith("fast"), step.engine
    loss = step(images, labels)
    found = {"loss": np.array(loss)} | {name: value - before[name] for name, value in state(net).items()}
    if "dropout" in str(net) and not masks.blocks:
        assert len(images) == 1
        return
    masks.replay()
    queue = list(masks._queue)

    def plain(images: np.ndarray) -> dict[str, np.ndarray]:
        masks._queue, start = list(queue), state(net)
        value = loss_of(task, net(paddle.to_tensor(images)), labels, smoothing)
        value.backward()
        optimizer.step()
        optimizer.clear_grad()
        changes = {name: value - start[name] for name, value in state(net).items()}
        net.set_state_dict(start)
        return {"loss": value.numpy()} | changes

    net.set_state_dict(before)
    far = excess(net, found, plain(images), plain, images)
    # Updates are differences of weights, whose own rounding counts.
    far = {name: value for name, value in far.items() if name == "loss" or value > 1e-3}
    assert not far, f"step of {net} with {len(images)} images: {far}"
