"""Faster equivalents of the nets and of their training step, for the CPU.

Paddle's layers, taken one by one, leave most of a processor idle: each one goes over the whole batch, far larger than
the caches, in memory that is new each time, and convolutions go image by image. Here a step takes a few images at a
time through the whole net, forward and backward, in buffers that stay in a core's own cache, one such *block* per
thread; what is left is nearly all matrix product. Nothing is approximated: parameters are the net's own, and outputs,
gradients and updates equal those of ``nets`` to rounding.

What is done differently, and why the result is the same:

- **oneDNN.** Paddle's wheel brings this library, whose convolutions and poolings are several times faster, but the
  layers do not use it. Here its C interface is called directly, on memory that is ours, channels last.
- **ReLU after pooling.** Clipping at zero keeps the order of values, so it commutes with the maximum, and is done on a
  quarter of the elements.
- **Ties.** Where several pixels of a pooling window share the maximum, the gradient goes to the first one in reading
  order, as in Paddle. It matters, since blank paper is full of ties.
- **Masks as bits.** ``(0 - x) >> 31``, on the bits of float32, is all ones where x > 0 and zero elsewhere; ``and``
  with it stops a gradient exactly, at the speed of the cache, where multiplying by a boolean would convert it.
- **The fully connected nets** are a handful of products in NumPy: Paddle needs longer to find its way to them than
  they take.

A block has the same images in it however many threads there are, and the blocks' gradients are added in order: the
results do not depend on the number of threads or on chance.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import paddle

from paddle_mnist import cpu
from paddle_mnist.errors import UserError
from paddle_mnist.nets import CNN, FC, MLP

# Images in a block of the convolutional net: their maps fit into the cache of one core.
CNN_BLOCK = 10
# The gradients of at most so many blocks are kept before they are added up.
GROUP = 32
# Workspaces for so many different sizes are kept: the usual batch, the last one of an epoch, those of an evaluation.
SIZES_KEPT = 4

# From a block's outputs and its place in the batch to the gradient with respect to those outputs.
OutputGradient = Callable[[np.ndarray, slice], np.ndarray]


def accelerate(net: paddle.nn.Layer) -> Callable[[paddle.Tensor], paddle.Tensor]:
    """Return a function that gives what ``net`` gives, faster; ``net`` itself where there is nothing to gain.

    The function works on the net's own parameters, whatever their values are when it is called. Gradients reach
    ``Parameter.grad`` as through the net. It knows no gradient with respect to the images and does not run hooks:
    asked for either, it calls the net.

    Args:
        net: an ``FC``, ``CNN`` or ``MLP`` in float32 on the CPU. Anything else comes back as it is.
    """
    if not _applies(net):
        return net
    runner = _Runner(net)
    layers = net.sublayers(include_self=True)

    def forward(images: paddle.Tensor) -> paddle.Tensor:
        hooked = any(layer._forward_pre_hooks or layer._forward_post_hooks for layer in layers)
        if hooked or not _is_batch(images) or not images.stop_gradient:
            return net(images)
        if not paddle.is_grad_enabled() or all(p.stop_gradient for p in runner.parameters):
            return paddle.to_tensor(runner.outputs(images.numpy()))
        return _Differentiable.apply(images, runner, *runner.parameters)

    return forward


def train_step(
    net: paddle.nn.Layer, task: str, optimizer: paddle.optimizer.Optimizer
) -> Callable[[np.ndarray, np.ndarray], float] | None:
    """Return a function that does one whole step of gradient descent, or ``None`` where there is nothing to gain.

    The function takes images float32 [n, 1, 28, 28] and labels [n, 1], as the loader yields them, and does what

        loss = F.square_error_cost(net(images), labels).mean()      # or F.cross_entropy
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()

    does; it returns the loss before the step. Plain SGD, with or without clipping by global norm, is applied to the
    parameters directly, since calling the optimizer costs more than the whole of a small net; any other optimizer is
    called, with the gradients where it looks for them.

    Args:
        net: as ``accelerate`` takes it.
        task: ``"regress"`` or ``"classify"``, which decides the loss.
        optimizer: one of Paddle's, made for the net's parameters. Its learning rate is read at each step.
    """
    if not _applies(net) or any(parameter.stop_gradient for parameter in net.parameters()):
        return None
    runner = _Runner(net)
    loss_and_gradient = {"regress": _squared_error, "classify": _cross_entropy}[task]
    descend = _descend_directly if _is_plain_sgd(optimizer, runner) else _descend_by_optimizer

    def step(images: np.ndarray, labels: np.ndarray) -> float:
        images, labels = _as_batch(images), np.asarray(labels)
        if labels.shape != (len(images), 1):
            raise UserError(f"labels have the shape {list(labels.shape)}, where [{len(images)}, 1] is needed")
        losses = np.zeros(len(images))

        def output_gradient(outputs: np.ndarray, where: slice) -> np.ndarray:
            losses[where], gradient = loss_and_gradient(outputs, labels[where])
            gradient /= np.float32(len(images))
            return gradient

        with np.errstate(all="ignore"):  # a loss that is not finite is reported by whoever trains
            gradients = runner.gradients(images, output_gradient)
            descend(optimizer, runner, gradients)
            return float(losses.mean())

    return step


def _applies(net: paddle.nn.Layer) -> bool:
    """Whether ``net`` is one of those known here, in float32 on the CPU, and the library that it needs is there."""
    if type(net) not in _MODELS or (type(net) is CNN and _onednn() is None):
        return False
    return all(parameter.dtype == paddle.float32 and parameter.place.is_cpu_place() for parameter in net.parameters())


def _is_batch(images: paddle.Tensor) -> bool:
    return (
        images.dtype == paddle.float32
        and images.place.is_cpu_place()
        and list(images.shape[1:]) == [1, 28, 28]
        and images.shape[0] > 0
    )


def _as_batch(images: np.ndarray) -> np.ndarray:
    images = np.ascontiguousarray(images, np.float32)
    if images.shape[1:] != (1, 28, 28) or not len(images):
        raise UserError(f"images have the shape {list(images.shape)}, where [n, 1, 28, 28] is needed, n at least 1")
    return images


class _Differentiable(paddle.autograd.PyLayer):
    """The faster forward pass as one operator of Paddle's autograd."""

    @staticmethod
    def forward(ctx, images, runner, *parameters):
        ctx.images, ctx.runner = images.numpy(), runner
        return paddle.to_tensor(runner.outputs(ctx.images))

    @staticmethod
    def backward(ctx, output_gradient):
        # The forward pass is done again, block by block: cheaper than keeping what it left of the whole batch.
        given = output_gradient.numpy()
        with np.errstate(all="ignore"):
            gradients = ctx.runner.gradients(ctx.images, lambda outputs, where: given[where])
        wanted = zip(ctx.runner.parameters, gradients, strict=True)
        return (None, *(None if p.stop_gradient else paddle.to_tensor(g) for p, g in wanted))


# --- losses and updates -----------------------------------------------------------------------------------------------


def _squared_error(outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses [n] of outputs [n, 1], and their sum's gradient with respect to the outputs."""
    difference = outputs - labels
    return np.square(difference)[:, 0], difference * np.float32(2)


def _cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses [n] of scores [n, k], and their sum's gradient with respect to the scores."""
    if labels.min() < 0 or labels.max() >= outputs.shape[1]:
        raise UserError(
            f"labels run from {labels.min()} to {labels.max()}, where 0 to {outputs.shape[1] - 1} is needed"
        )
    rows = np.arange(len(outputs)), labels[:, 0]
    scores = outputs - outputs.max(axis=1, keepdims=True)
    powers = np.exp(scores)
    sums = powers.sum(axis=1, keepdims=True)
    losses = np.log(sums[:, 0]) - scores[rows]
    powers /= sums
    powers[rows] -= 1
    return losses, powers


def _is_plain_sgd(optimizer: paddle.optimizer.Optimizer, runner: _Runner) -> bool:
    """Whether a step of the optimizer is ``parameter -= lr * gradient``, perhaps clipped by the global norm."""
    clip = optimizer._grad_clip
    return (
        type(optimizer) is paddle.optimizer.SGD
        and optimizer.regularization is None
        and (clip is None or type(clip) is paddle.nn.ClipGradByGlobalNorm)
        and [id(p) for p in optimizer._parameter_list] == [id(p) for p in runner.parameters]
        and all(
            p.regularizer is None and p.need_clip and p.optimize_attr == {"learning_rate": 1.0}
            for p in runner.parameters
        )
    )


def _descend_directly(optimizer: paddle.optimizer.Optimizer, runner: _Runner, gradients: list[np.ndarray]) -> None:
    clip = optimizer._grad_clip
    if clip is not None:
        norm = math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients))
        # Not ``if norm > clip_norm``: a norm that is not a number has to reach the weights, as it does in Paddle.
        scale = np.float32(clip.clip_norm / max(clip.clip_norm, norm)) if norm <= math.inf else np.float32(norm)
        if scale != 1:
            for gradient in gradients:
                gradient *= scale
    lr = np.float32(optimizer.get_lr())
    for parameter, gradient in zip(runner.arrays(), gradients, strict=True):
        gradient *= lr
        parameter -= gradient


def _descend_by_optimizer(optimizer: paddle.optimizer.Optimizer, runner: _Runner, gradients: list[np.ndarray]) -> None:
    for parameter, gradient in zip(runner.parameters, gradients, strict=True):
        parameter.grad = paddle.to_tensor(gradient)
    optimizer.step()
    optimizer.clear_grad()


# --- blocks over threads ----------------------------------------------------------------------------------------------


class _Block(Protocol):
    """The buffers for a fixed number of images, and what is done in them."""

    flat: np.ndarray  # every parameter's gradient, one after the other

    def forward(self, images: np.ndarray, train: bool) -> np.ndarray:
        """Return outputs [n, k] for images [n, 784], in a buffer of the block's own; ``train`` readies ``backward``."""

    def backward(self, output_gradient: np.ndarray) -> None:
        """Fill ``flat`` from the gradient with respect to the last outputs, [n, k]."""


class _Model(Protocol):
    """A net's parameters in the layout that its blocks work with."""

    block_size: int | None  # ``None``: a batch is one block
    threads: int

    def load(self, arrays: list[np.ndarray]) -> None:
        """Take over the parameters' present values."""

    def block(self, n: int) -> _Block:
        """Make the buffers for ``n`` images."""

    def on_one_thread(self) -> contextlib.AbstractContextManager[None]:
        """Keep libraries from dividing up, within the block, the work of the calling thread."""

    def gradients(self, flat: np.ndarray) -> list[np.ndarray]:
        """Return each parameter's gradient, in the parameters' own order and shape, from a block's layout."""


class _Runner:
    """Takes batches through a net, block by block, over the threads.

    Attributes:
        parameters: the net's own.
    """

    def __init__(self, net: paddle.nn.Layer) -> None:
        self.parameters = net.parameters()
        self._views: list[tuple[int, np.ndarray]] = [(0, np.empty(0))] * len(self.parameters)
        self._model: _Model = _MODELS[type(net)](net)
        self._blocks: dict[int, list[_Block]] = {}
        self._lock = threading.Lock()

    def arrays(self) -> list[np.ndarray]:
        """Return the parameters' memory as arrays: to write into one is to write into the parameter."""
        for i, parameter in enumerate(self.parameters):
            address = parameter.data_ptr()
            if address != self._views[i][0]:  # Paddle may have moved it, for instance when a state was loaded
                self._views[i] = address, _memory(parameter)
        return [array for _, array in self._views]

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return raw outputs [n, k] for images float32 [n, 1, 28, 28]."""
        parts: dict[int, np.ndarray] = {}

        def work(block: _Block, pixels: np.ndarray, where: slice, i: int) -> None:
            parts[i] = block.forward(pixels, train=False).copy()

        with self._lock, np.errstate(all="ignore"):
            self._model.load(self.arrays())
            pieces = self._pieces(len(images))
            self._run(images.reshape(len(images), 784), pieces, work)
        return np.concatenate([parts[i] for i in range(len(pieces))])

    def gradients(self, images: np.ndarray, output_gradient: OutputGradient) -> list[np.ndarray]:
        """Return each parameter's gradient; the arrays are the caller's until the next call."""

        def work(block: _Block, pixels: np.ndarray, where: slice, i: int) -> None:
            block.backward(output_gradient(block.forward(pixels, train=True), where))
            rows[i] = block.flat if alone else block.flat.copy()

        pixels, total = images.reshape(len(images), 784), None
        with self._lock:
            self._model.load(self.arrays())
            pieces = self._pieces(len(images))
            alone = len(pieces) == 1
            for first in range(0, len(pieces), GROUP):
                rows: dict[int, np.ndarray] = {}
                self._run(pixels, pieces[first : first + GROUP], work)
                for i in range(len(rows)):  # in order, so that rounding is the same each time
                    if total is None:
                        total = rows[i]
                    else:
                        total += rows[i]
            return self._model.gradients(total)

    def _pieces(self, n: int) -> list[slice]:
        size = self._model.block_size or n
        edges = [*range(0, n, size), n]
        return [slice(*edge) for edge in pairwise(edges)]

    def _run(self, pixels: np.ndarray, pieces: list[slice], work: Callable[..., None]) -> None:
        """Call ``work(block, pixels of the piece, piece, number of the piece)`` for every piece, over the threads."""
        threads = min(self._model.threads, len(pieces))
        # Each thread takes the next piece when it has time for it; what comes out does not depend on who does what.
        todo = iter(enumerate(pieces))
        spare = self._spare_blocks({piece.stop - piece.start for piece in pieces}, threads)

        def take_pieces(mine: dict[int, _Block]) -> None:
            with np.errstate(all="ignore"), self._model.on_one_thread():
                for i, piece in todo:
                    work(mine[piece.stop - piece.start], pixels[piece], piece, i)

        if threads == 1:
            take_pieces(spare[0])
            return
        helpers = [_pool(os.getpid()).submit(take_pieces, mine) for mine in spare[1:]]
        try:
            take_pieces(spare[0])
        finally:
            for helper in helpers:
                helper.result()

    def _spare_blocks(self, sizes: set[int], threads: int) -> list[dict[int, _Block]]:
        """Return, for each thread, a block of each size."""
        for size in sizes:
            blocks = self._blocks.pop(size, [])
            blocks += [self._model.block(size) for _ in range(threads - len(blocks))]
            self._blocks[size] = blocks  # the latest last
        while len(self._blocks) > max(SIZES_KEPT, len(sizes)):
            del self._blocks[next(iter(self._blocks))]
        return [{size: self._blocks[size][i] for size in sizes} for i in range(threads)]


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that help; a forked process has lost its parent's and gets its own."""
    return ThreadPoolExecutor(cpu.threads(), thread_name_prefix="paddle_mnist")


def _memory(tensor: paddle.Tensor) -> np.ndarray:
    """Return the tensor's own memory as an array; the tensor has to outlive it."""
    pointer = ctypes.cast(tensor.data_ptr(), ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(pointer, tuple(tensor.shape))


def _buffer(*shape: int) -> np.ndarray:
    """Return zeros, float32, at an address that vector instructions like: the same to the bit in every run."""
    size, line = 4 * math.prod(shape), 64
    memory = np.zeros(size + line, np.uint8)
    start = -memory.ctypes.data % line
    return memory[start : start + size].view(np.float32).reshape(shape)


def _carve(flat: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return views of consecutive pieces of ``flat`` in the given shapes."""
    edges = np.cumsum([0, *map(math.prod, shapes)]).tolist()
    return [flat[i:j].reshape(shape) for (i, j), shape in zip(pairwise(edges), shapes, strict=True)]


# --- the fully connected nets -----------------------------------------------------------------------------------------


class _Dense:
    """``FC`` and ``MLP``: matrix products with an activation after each but the last."""

    block_size = None
    threads = 1  # the products of a small net are too small to share, and NumPy shares out large ones itself

    def __init__(self, net: FC | MLP) -> None:
        self.sigmoid = isinstance(net, FC)
        self.shapes = [tuple(parameter.shape) for parameter in net.parameters()]

    def load(self, arrays: list[np.ndarray]) -> None:
        self.weights, self.biases = arrays[::2], arrays[1::2]

    def block(self, n: int) -> _DenseBlock:
        return _DenseBlock(n, self)

    def on_one_thread(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def gradients(self, flat: np.ndarray) -> list[np.ndarray]:
        return _carve(flat, self.shapes)


class _DenseBlock:
    """See ``_Block``."""

    def __init__(self, n: int, model: _Dense) -> None:
        self.model = model
        self.inputs = [np.empty(0)] + [_buffer(n, size) for (size,) in model.shapes[1:-1:2]]  # of each layer
        self.outputs = _buffer(n, *model.shapes[-1])
        self.gradients = [_buffer(*array.shape) for array in self.inputs[1:]]  # with respect to the same
        self.flat = _buffer(sum(map(math.prod, model.shapes)))
        self.slots = _carve(self.flat, model.shapes)

    def forward(self, images: np.ndarray, train: bool) -> np.ndarray:
        self.inputs[0] = x = images
        results = [*self.inputs[1:], self.outputs]
        for weight, bias, y in zip(self.model.weights, self.model.biases, results, strict=True):
            np.matmul(x, weight, out=y)
            y += bias
            if y is not self.outputs:
                self._activate(y)
            x = y
        return x

    def _activate(self, x: np.ndarray) -> None:
        if self.model.sigmoid:
            np.negative(x, out=x)
            np.exp(x, out=x)
            x += 1
            np.reciprocal(x, out=x)
        else:
            np.maximum(x, 0, out=x)

    def backward(self, output_gradient: np.ndarray) -> None:
        gradient = output_gradient
        for i in reversed(range(len(self.inputs))):
            np.matmul(self.inputs[i].T, gradient, out=self.slots[2 * i])
            np.add.reduce(gradient, axis=0, out=self.slots[2 * i + 1])
            if i:
                np.matmul(gradient, self.model.weights[i].T, out=self.gradients[i - 1])
                gradient = self.gradients[i - 1]
                self._activate_backward(gradient, self.inputs[i])

    def _activate_backward(self, gradient: np.ndarray, y: np.ndarray) -> None:
        if self.model.sigmoid:
            gradient *= y
            np.subtract(1, y, out=y)
            gradient *= y
        else:
            gradient *= y > 0


# --- oneDNN -----------------------------------------------------------------------------------------------------------

# Numbers from oneDNN's C interface, version 3 (dnnl_types.h).
_CPU, _IN_ORDER, _F32, _ANY, _TRAINING, _DIRECT, _MAX = 1, 1, 3, 1, 64, 1, 0x1FF
_WEIGHTS_LAYOUT, _WEIGHTS_GRADIENT_LAYOUT, _WORKSPACE_LAYOUT = 131, 132, 135
_SRC, _DST, _WEIGHTS, _BIAS, _WORKSPACE, _GRADIENT = 1, 17, 33, 41, 64, 128  # a gradient's number is 128 higher


class _Argument(ctypes.Structure):
    _fields_ = (("index", ctypes.c_int), ("memory", ctypes.c_void_p))


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int))


class _OneDnn:
    """The library that Paddle's Linux wheel brings.

    Raises:
        OSError: it is not there, or cannot be used.
        AttributeError: it is not the version that this was written for.
    """

    def __init__(self, folder: Path) -> None:
        self.library = ctypes.CDLL(str(folder / "libdnnl.so.3"))
        self.library.dnnl_version.restype = ctypes.POINTER(_Version)
        if self.library.dnnl_version().contents.major != 3:
            raise OSError("not version 3 of oneDNN")
        self.library.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
        self.library.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        self.engine = ctypes.c_void_p()
        if self.library.dnnl_engine_create(ctypes.byref(self.engine), _CPU, ctypes.c_size_t(0)):
            raise OSError("oneDNN finds no CPU")
        # Its threads come from OpenMP, GNU's or Intel's, whichever of the two Paddle brought up first.
        self.openmp = [self.library, ctypes.CDLL(str(folder / "libiomp5.so"))]

    @contextlib.contextmanager
    def on_one_thread(self) -> Iterator[None]:
        """Keep its work to the calling thread, whose neighbours have blocks of their own."""
        before = [openmp.omp_get_max_threads() for openmp in self.openmp]
        for openmp in self.openmp:
            openmp.omp_set_num_threads(1)
        try:
            yield
        finally:
            for openmp, threads in zip(self.openmp, before, strict=True):
                openmp.omp_set_num_threads(threads)


@functools.lru_cache(maxsize=1)
def _onednn() -> _OneDnn | None:
    """Return oneDNN where Paddle brings it, else ``None``."""
    try:
        return _OneDnn(Path(paddle.__file__).parent / "libs")
    except (OSError, AttributeError):
        return None


class _Primitives:
    """Makes oneDNN's primitives over our own buffers; gives back what the library lent when it is collected."""

    def __init__(self, onednn: _OneDnn) -> None:
        self.engine, self.library = onednn.engine, onednn.library
        self.lent: list[tuple[str, ctypes.c_void_p]] = []
        self.buffers: list[np.ndarray] = []
        weakref.finalize(self, _give_back, self.library, self.lent)
        self.stream = self._new("stream", "stream_create", self.engine, _IN_ORDER)

    def _new(self, kind: str, function: str, *arguments: object) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        status = getattr(self.library, f"dnnl_{function}")(ctypes.byref(handle), *arguments)
        if status:
            raise OSError(f"oneDNN answers {status} to {function}")
        self.lent.append((kind, handle))
        return handle

    def rows(self, *shape: int) -> ctypes.c_void_p:
        """Return the layout of an array as NumPy has it."""
        steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
        return self._layout(shape, steps)

    def channels_last(self, n: int, c: int, side: int) -> ctypes.c_void_p:
        """Return the layout of [n, side, side, c], which oneDNN calls [n, c, side, side] with steps."""
        return self._layout((n, c, side, side), (side * side * c, 1, side * c, c))

    def _layout(self, shape: Sequence[int], steps: Sequence[int]) -> ctypes.c_void_p:
        rank = len(shape)
        return self._new(
            *("memory_desc", "memory_desc_create_with_strides", rank, _longs(*shape), _F32, _longs(*steps))
        )

    def any_layout(self, *shape: int) -> ctypes.c_void_p:
        """Return a layout that the library may choose."""
        return self._new(*("memory_desc", "memory_desc_create_with_tag", len(shape), _longs(*shape), _F32, _ANY))

    def chosen_layout(self, description: ctypes.c_void_p, which: int) -> ctypes.c_void_p:
        """Return a layout that the library chose for a primitive."""
        return ctypes.c_void_p(self.library.dnnl_primitive_desc_query_md(description, which, 0))

    def memory(self, layout: ctypes.c_void_p, buffer: np.ndarray | None = None) -> ctypes.c_void_p:
        """Return memory of the given layout, in ``buffer`` or, without one, in a new one."""
        if buffer is None:
            buffer = _buffer(-(-self.library.dnnl_memory_desc_get_size(layout) // 4))
        self.buffers.append(buffer)
        return self._new("memory", "memory_create", layout, self.engine, ctypes.c_void_p(buffer.ctypes.data))

    def describe(self, function: str, *arguments: object) -> ctypes.c_void_p:
        """Return the description of a primitive."""
        return self._new("primitive_desc", f"{function}_primitive_desc_create", self.engine, *arguments)

    def reorder(
        self, source: ctypes.c_void_p, source_memory: ctypes.c_void_p, to: ctypes.c_void_p, to_memory: ctypes.c_void_p
    ) -> Callable[[], None]:
        """Return a function that copies from one layout to another."""
        description = self._new(
            *("primitive_desc", "reorder_primitive_desc_create", source, self.engine, to, self.engine, None)
        )
        return self.function(description, {_SRC: source_memory, _DST: to_memory})

    def function(self, description: ctypes.c_void_p, memories: dict[int, ctypes.c_void_p]) -> Callable[[], None]:
        """Return a function that does the described work on the given memories."""
        primitive = self._new("primitive", "primitive_create", description)
        arguments = (_Argument * len(memories))(*[_Argument(i, memory) for i, memory in memories.items()])
        execute, stream, count = self.library.dnnl_primitive_execute, self.stream, len(memories)

        def call() -> None:
            status = execute(primitive, stream, count, arguments)
            if status:
                raise RuntimeError(f"oneDNN answers {status} to a primitive")

        return call


def _give_back(library: ctypes.CDLL, lent: list[tuple[str, ctypes.c_void_p]]) -> None:
    for kind, handle in reversed(lent):
        getattr(library, f"dnnl_{kind}_destroy")(handle)


def _longs(*values: int) -> ctypes.Array:
    return (ctypes.c_int64 * len(values))(*values)


# --- the convolutional net --------------------------------------------------------------------------------------------


class _Convolutional:
    """``CNN``: two 5×5 convolutions, each with 2×2 pooling and ReLU, and a dense layer."""

    block_size = CNN_BLOCK

    def __init__(self, net: CNN) -> None:
        self.threads = cpu.threads()
        self.shapes = [tuple(parameter.shape) for parameter in net.parameters()]
        self.values = [_buffer(*shape) for shape in self.shapes]
        self.version = 0  # rises with each load

    def load(self, arrays: list[np.ndarray]) -> None:
        for value, array in zip(self.values[:4], arrays, strict=False):
            value[:] = array
        # The net flattens [c, 7, 7]; here channels are last.
        dense, bias = arrays[4:]
        c, k = self.shapes[2][0], self.shapes[4][1]
        self.values[4].reshape(49, c, k)[:] = dense.reshape(c, 49, k).transpose(1, 0, 2)
        self.values[5][:] = bias
        self.version += 1

    def block(self, n: int) -> _ConvolutionalBlock:
        with self.on_one_thread():
            return _ConvolutionalBlock(n, self)

    def on_one_thread(self) -> contextlib.AbstractContextManager[None]:
        return _onednn().on_one_thread()

    def gradients(self, flat: np.ndarray) -> list[np.ndarray]:
        *others, dense, bias = _carve(flat, self.shapes)
        c, k = self.shapes[2][0], self.shapes[4][1]
        dense = np.ascontiguousarray(dense.reshape(49, c, k).transpose(1, 0, 2)).reshape(49 * c, k)
        return [*others, dense, bias]


class _ConvolutionalBlock:
    """See ``_Block``. Arrays are channels last."""

    def __init__(self, n: int, model: _Convolutional) -> None:
        self.model, self.version = model, -1
        c1, c2, k = model.shapes[0][0], model.shapes[2][0], model.shapes[4][1]
        self.flat = _buffer(sum(map(math.prod, model.shapes)))
        slots = _carve(self.flat, model.shapes)
        make = _Primitives(_onednn())
        images = _buffer(n, 28, 28, 1)
        self.first = _ConvolutionAndPooling(make, images, c1, model.values[0:2], slots[0:2], input_gradient=False)
        self.second = _ConvolutionAndPooling(make, self.first.pooled, c2, model.values[2:4], slots[2:4])
        self.images = images.reshape(n, 784)
        self.features = self.second.pooled.reshape(n, 49 * c2)
        self.features_gradient = self.second.pooled_gradient.reshape(n, 49 * c2)
        self.outputs = _buffer(n, k)
        self.dense, self.bias = model.values[4:]
        self.dense_gradient, self.bias_gradient = slots[4:]

    def forward(self, images: np.ndarray, train: bool) -> np.ndarray:
        self.images[:] = images
        new = self.version != self.model.version
        self.version = self.model.version
        self.first.forward(new)
        self.second.forward(new)
        np.matmul(self.features, self.dense, out=self.outputs)
        self.outputs += self.bias
        return self.outputs

    def backward(self, output_gradient: np.ndarray) -> None:
        np.matmul(self.features.T, output_gradient, out=self.dense_gradient)
        np.add.reduce(output_gradient, axis=0, out=self.bias_gradient)
        np.matmul(output_gradient, self.dense.T, out=self.features_gradient)
        self.second.backward()
        self.first.pooled_gradient[:] = self.second.source_gradient
        self.first.backward()


class _ConvolutionAndPooling:
    """A 5×5 convolution that keeps the size, 2×2 pooling, ReLU, and the way back.

    Attributes:
        pooled: the result, [n, side / 2, side / 2, channels].
        pooled_gradient: its gradient, to be filled before ``backward``, which changes it.
        source_gradient: the gradient of what came in, filled by ``backward`` if it was asked for.
    """

    def __init__(
        self,
        make: _Primitives,
        source: np.ndarray,
        channels: int,
        parameters: list[np.ndarray],
        gradients: list[np.ndarray],
        input_gradient: bool = True,
    ) -> None:
        n, side, _, source_channels = source.shape
        maps, maps_gradient = _buffer(n, side, side, channels), _buffer(n, side, side, channels)
        self.pooled = _buffer(n, side // 2, side // 2, channels)
        self.pooled_gradient, self.mask = _buffer(*self.pooled.shape), _buffer(*self.pooled.shape)

        source_layout = make.channels_last(n, source_channels, side)
        maps_layout = make.channels_last(n, channels, side)
        pooled_layout = make.channels_last(n, channels, side // 2)
        plain, bias = make.rows(*parameters[0].shape), make.rows(channels)
        free = make.any_layout(*parameters[0].shape)
        source_memory = make.memory(source_layout, source)
        maps_memory, maps_gradient_memory = make.memory(maps_layout, maps), make.memory(maps_layout, maps_gradient)
        parameters_memory = make.memory(plain, parameters[0])

        one, none, border = _longs(1, 1), _longs(0, 0), _longs(2, 2)
        how = (one, none, border, border)  # steps, gaps in the kernel, borders
        convolution = make.describe(
            *("convolution_forward", _TRAINING, _DIRECT, source_layout, free, bias, maps_layout, *how, None)
        )
        layout = make.chosen_layout(convolution, _WEIGHTS_LAYOUT)
        weights = make.memory(layout)
        self.take_weights = [make.reorder(plain, parameters_memory, layout, weights)]
        self.convolve = make.function(
            convolution,
            {
                _SRC: source_memory,
                _WEIGHTS: weights,
                _BIAS: make.memory(bias, parameters[1]),
                _DST: maps_memory,
            },
        )

        two = _longs(2, 2)
        windows = (two, two, none, none, none)  # steps, size, gaps, borders
        pooling = make.describe("pooling_forward", _TRAINING, _MAX, maps_layout, pooled_layout, *windows, None)
        workspace = make.memory(make.chosen_layout(pooling, _WORKSPACE_LAYOUT))  # which pixel was taken
        self.pool = make.function(
            pooling,
            {_SRC: maps_memory, _DST: make.memory(pooled_layout, self.pooled), _WORKSPACE: workspace},
        )
        unpooling = make.describe(*("pooling_backward", _MAX, maps_layout, pooled_layout, *windows, pooling, None))
        self.unpool = make.function(
            unpooling,
            {
                _GRADIENT + _DST: make.memory(pooled_layout, self.pooled_gradient),
                _GRADIENT + _SRC: maps_gradient_memory,
                _WORKSPACE: workspace,
            },
        )

        to_weights = make.describe(
            *("convolution_backward_weights", _DIRECT, source_layout, free, bias, maps_layout, *how),
            *(convolution, None),
        )
        layout = make.chosen_layout(to_weights, _WEIGHTS_GRADIENT_LAYOUT)
        weights_gradient = make.memory(layout)
        self.to_weights = make.function(
            to_weights,
            {
                _SRC: source_memory,
                _GRADIENT + _DST: maps_gradient_memory,
                _GRADIENT + _WEIGHTS: weights_gradient,
                _GRADIENT + _BIAS: make.memory(bias, gradients[1]),
            },
        )
        self.give_gradient = make.reorder(layout, weights_gradient, plain, make.memory(plain, gradients[0]))
        self.to_source = None
        if input_gradient:
            self.source_gradient = _buffer(*source.shape)
            to_source = make.describe(
                *("convolution_backward_data", _DIRECT, source_layout, free, maps_layout, *how),
                *(convolution, None),
            )
            layout = make.chosen_layout(to_source, _WEIGHTS_LAYOUT)
            weights = make.memory(layout)
            self.take_weights.append(make.reorder(plain, parameters_memory, layout, weights))
            self.to_source = make.function(
                to_source,
                {
                    _GRADIENT + _DST: maps_gradient_memory,
                    _WEIGHTS: weights,
                    _GRADIENT + _SRC: make.memory(source_layout, self.source_gradient),
                },
            )
        self.make = make  # owns the primitives

    def forward(self, weights_are_new: bool) -> None:
        if weights_are_new:
            for take in self.take_weights:
                take()
        self.convolve()
        self.pool()
        np.maximum(self.pooled, 0, out=self.pooled)

    def backward(self) -> None:
        np.subtract(0, self.pooled, out=self.mask)
        bits, gradient = self.mask.view(np.int32), self.pooled_gradient.view(np.int32)
        np.right_shift(bits, 31, out=bits)  # spreads the sign
        np.bitwise_and(gradient, bits, out=gradient)
        self.unpool()
        self.to_weights()
        self.give_gradient()
        if self.to_source:
            self.to_source()


_MODELS: dict[type, Callable[..., _Model]] = {FC: _Dense, MLP: _Dense, CNN: _Convolutional}
