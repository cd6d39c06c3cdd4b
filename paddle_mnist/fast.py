"""Faster equivalents of the nets and of their training step, for the CPU.

Paddle's layers, taken one by one, leave most of a processor idle: each one goes over the whole batch, far larger than
the caches, in memory that is new each time, and convolutions go image by image. Here a step takes a few images at a
time through the whole net, forward and backward, in buffers that stay in a core's own cache, one such *block* per
thread; what is left is nearly all matrix product. Nothing is approximated: parameters are the net's own, and outputs,
gradients and updates equal those of ``nets`` to rounding.

How the convolutional net is rearranged, and why the result is the same:

- **Phases.** The output pixels of a convolution are computed in four groups, by the parity of row and column. A 2×2
  pooling window has one pixel in each group, so pooling is the elementwise maximum of four plain arrays.
- **Bias and ReLU after pooling.** Adding a constant to a channel and clipping at zero keep the order of values, so
  they commute with the maximum, and are done on a quarter of the elements.
- **Ties.** Where several pixels of a window share the maximum, Paddle sends the gradient to the first one in reading
  order. So does this: the phases are compared in that order. It matters, since blank paper is full of ties.
- **Convolution as one product.** Channels are kept last, so that the five pixels of a patch's row are 100 numbers
  side by side, and gathering patches is copying long runs. The backward pass gathers the patches of the *gradient*
  once, and gets from them both the gradient of the weights and, with the kernel turned by half a turn, that of the input.
- **Masks as bits.** ``(a - b) >> 31``, on the bits of float32, is all ones where a < b and zero elsewhere; ``and`` and
  ``xor`` with it route a gradient exactly, at the speed of the cache, where multiplying by a boolean would convert it.

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import paddle
from numpy.lib.stride_tricks import as_strided

from paddle_mnist import cpu
from paddle_mnist.errors import UserError
from paddle_mnist.nets import CNN, FC, MLP

# Images in a block of the convolutional net: its patches, 2 MB, and all else it touches stay near the core.
CNN_BLOCK = 5
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
    """Whether ``net`` is one of those known here, as it was built, in float32 on the CPU."""
    return type(net) in _MODELS and all(
        parameter.dtype == paddle.float32 and parameter.place.is_cpu_place() for parameter in net.parameters()
    )


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
            with np.errstate(all="ignore"), _one_blas_thread(self._model.threads > 1):
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


# --- matrix products --------------------------------------------------------------------------------------------------


class _Mkl:
    """The matrix library that Paddle's Linux wheel brings, called without Paddle in between.

    One call from here costs a microsecond, releases Python's lock, and writes where it is told to.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        number, real, pointer = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
        self.sgemm = library.cblas_sgemm
        self.sgemm.argtypes = [*[number] * 6, real, pointer, number, pointer, number, real, pointer, number]
        self.sgemm.restype = None
        self.set_threads = library.MKL_Set_Num_Threads_Local  # of the calling thread; returns what was set before
        self.set_threads.argtypes, self.set_threads.restype = [number], number

    def product(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[], None]:
        """Return a function that computes ``out = a @ b`` anew from what the three buffers hold."""
        row_major = 101
        (flip_a, step_a), (flip_b, step_b), (_, step_out) = map(_leading_dimension, (a, b, out))
        (m, k), n = a.shape, b.shape[1]
        addresses = [array.ctypes.data for array in (a, b, out)]
        numbers = (
            *(row_major, flip_a, flip_b, m, n, k, 1.0, addresses[0], step_a),
            *(addresses[1], step_b, 0.0, addresses[2], step_out),
        )
        sgemm, buffers = self.sgemm, (a, b, out)

        def multiply(keep_alive: tuple = buffers) -> None:
            sgemm(*numbers)

        return multiply


def _leading_dimension(matrix: np.ndarray) -> tuple[int, int]:
    """Return BLAS's code for how a float32 matrix lies (111 by rows, 112 by columns) and the step to the next."""
    rows, columns = matrix.shape
    if matrix.strides[1] == matrix.itemsize or columns == 1 == rows:
        return 111, max(matrix.strides[0] // matrix.itemsize, columns)
    return 112, max(matrix.strides[1] // matrix.itemsize, rows)


@functools.lru_cache(maxsize=1)
def _mkl() -> _Mkl | None:
    """Return Paddle's matrix library where it is there and fast, else ``None``: NumPy's is used then."""
    path = Path(paddle.__file__).parent / "libs" / "libmklml_intel.so"
    if not cpu.mkl_is_fast() or not path.is_file():
        return None
    try:
        return _Mkl(path)
    except (OSError, AttributeError):
        return None


def _product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    mkl = _mkl()
    return mkl.product(a, b, out) if mkl else functools.partial(np.matmul, a, b, out=out)


@contextlib.contextmanager
def _one_blas_thread(wanted: bool) -> Iterator[None]:
    """Keep the matrix library to the calling thread, whose neighbours have blocks of their own to work on."""
    mkl = _mkl() if wanted else None
    before = mkl.set_threads(1) if mkl else 0
    try:
        yield
    finally:
        if mkl:
            mkl.set_threads(before)


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


# --- the convolutional net --------------------------------------------------------------------------------------------

# Names of lengths: 28 and 14 are the sides of the maps before the first and the second pooling, 7 after it; a 5×5
# kernel reaches 2 beyond the border; 6×6 is what the four 5×5 patches of a pooling window cover together.
_SIDE, _HALF, _QUARTER, _KERNEL = 28, 14, 7, 5


class _Convolutional:
    """``CNN``: its weights as the matrices that patches are multiplied by."""

    block_size = CNN_BLOCK

    def __init__(self, net: CNN) -> None:
        c1, c2, k = net.conv1.weight.shape[0], net.conv2.weight.shape[0], net.fc.weight.shape[1]
        self.c1, self.c2, self.k = c1, c2, k
        self.threads = cpu.threads() if _mkl() else 1  # NumPy's own matrix library uses every core by itself
        # For each phase: 36 rows, one for each pixel that a pooling window's patches cover, and one for the bias.
        self.first = _buffer(4, 37, c1)
        self.second = _buffer(25 * c1, c2)
        self.second_turned = _buffer(25 * c2, c1)
        self.second_bias = _buffer(49 * c2)
        self.dense, self.dense_bias = _buffer(49 * c2, k), _buffer(k)
        self.layout = [(4, 37, c1), (c1, 25 * c2), (49 * c2,), (49 * c2, k), (k,)]

    def load(self, arrays: list[np.ndarray]) -> None:
        conv1, bias1, conv2, bias2, dense, bias3 = arrays
        for phase in range(4):
            self._window(self.first, phase)[:] = conv1[:, 0].transpose(1, 2, 0)
        self.first[:, 36] = bias1
        self.second.reshape(5, 5, self.c1, self.c2)[:] = conv2.transpose(2, 3, 1, 0)
        self.second_turned.reshape(5, 5, self.c2, self.c1)[:] = conv2[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
        self.second_bias.reshape(49, self.c2)[:] = bias2
        # The net flattens [c, 7, 7]; here channels are last.
        self.dense.reshape(49, self.c2, self.k)[:] = dense.reshape(self.c2, 49, self.k).transpose(1, 0, 2)
        self.dense_bias[:] = bias3

    @staticmethod
    def _window(first: np.ndarray, phase: int) -> np.ndarray:
        """Return the 5×5 of the 6×6 rows that the phase's pixel of a pooling window sees."""
        row, column = divmod(phase, 2)
        return first[phase, :36].reshape(6, 6, -1)[row : row + 5, column : column + 5]

    def block(self, n: int) -> _ConvolutionalBlock:
        return _ConvolutionalBlock(n, self)

    def gradients(self, flat: np.ndarray) -> list[np.ndarray]:
        c1, c2, k = self.c1, self.c2, self.k
        first, second, second_bias, dense, dense_bias = _carve(flat, self.layout)
        conv1 = sum(self._window(first, phase) for phase in range(4))
        conv2 = second.reshape(c1, 5, 5, c2)[:, ::-1, ::-1]
        return [
            np.ascontiguousarray(conv1.transpose(2, 0, 1))[:, np.newaxis],
            first[:, 36].sum(axis=0),
            np.ascontiguousarray(conv2.transpose(3, 0, 1, 2)),
            second_bias.reshape(49, c2).sum(axis=0),
            np.ascontiguousarray(dense.reshape(49, c2, k).transpose(1, 0, 2)).reshape(49 * c2, k),
            dense_bias,
        ]


class _ConvolutionalBlock:
    """See ``_Block``. In shapes, *pixels* are n·14·14 after the first pooling; arrays are channels last."""

    def __init__(self, n: int, model: _Convolutional) -> None:
        c1, c2, k = model.c1, model.c2, model.k
        self.n, self.model = n, model
        pixels = n * 14 * 14
        # The image with its border of 2, as four planes by the parity of row and column: [2, 2, n, 16, 16].
        self.planes = _buffer(2, 2, n, 16, 16)
        # The pixel at (a, b) of each pooling window's 6×6, for all windows, is a shifted plane: [36, pixels].
        self.shifted = _buffer(37, pixels)
        self.shifted[36] = 1  # meets the bias
        parity_row, parity_column, image, row, column = self.planes.strides
        self.shifts = as_strided(
            self.planes, (3, 2, 3, 2, n, 14, 14), (row, parity_row, column, parity_column, image, row, column)
        )
        self.conv1 = _buffer(4, pixels * c1)  # a phase each, then the same for its gradient
        self.masks1 = _buffer(3, pixels * c1)
        self.hidden1 = _buffer(pixels, c1)  # pooled, rectified
        self.bordered1 = _buffer(n, 18, 18, c1)
        # One buffer holds the patches of the second convolution's input, and then those of its output's gradient.
        self.patches = _buffer(pixels * 25 * max(c1, c2))
        self.conv2 = _buffer(4, n * 49 * c2)
        self.masks2 = _buffer(3, n * 49 * c2)
        self.hidden2 = _buffer(n, 49 * c2)
        self.outputs = _buffer(n, k)
        self.bordered2 = _buffer(n, 18, 18, c2)
        self.output_gradient = _buffer(n, k)
        self.hidden2_gradient = _buffer(n, 49 * c2)
        self.hidden1_gradient = _buffer(pixels, c1)
        self.flat = _buffer(sum(map(math.prod, model.layout)))
        first, second, self.bias2, dense, self.bias3 = _carve(self.flat, model.layout)

        image, row, column, channel = self.bordered1.strides
        self.patches1 = self.patches[: pixels * 25 * c1].reshape(2, 2, n, 7, 7, 5, 5 * c1)
        self.patches1_from = as_strided(
            self.bordered1, (2, 2, n, 7, 7, 5, 5 * c1), (row, column, image, 2 * row, 2 * column, row, channel)
        )
        image, row, column, channel = self.bordered2.strides
        self.patches2 = self.patches[: pixels * 25 * c2].reshape(n, 14, 14, 5, 5 * c2)
        self.patches2_from = as_strided(self.bordered2, (n, 14, 14, 5, 5 * c2), (image, row, column, row, channel))
        self.inner2 = as_strided(
            self.bordered2[:, 2:, 2:], (2, 2, n, 7, 7, c2), (row, column, image, 2 * row, 2 * column, channel)
        )

        phases1 = [self.conv1[phase].reshape(pixels, c1) for phase in range(4)]
        patches1, patches2 = self.patches1.reshape(pixels, -1), self.patches2.reshape(pixels, -1)
        self.convolve1 = [_product(self.shifted.T, model.first[i], phases1[i]) for i in range(4)]
        self.convolve2 = _product(patches1, model.second, self.conv2.reshape(pixels, c2))
        self.dense = _product(self.hidden2, model.dense, self.outputs)
        self.dense_weights = _product(self.hidden2.T, self.output_gradient, dense)
        self.dense_inputs = _product(self.output_gradient, model.dense.T, self.hidden2_gradient)
        self.convolve2_inputs = _product(patches2, model.second_turned, self.hidden1_gradient)
        self.convolve2_weights = _product(self.hidden1.T, patches2, second)
        self.convolve1_weights = [_product(self.shifted, phases1[i], first[i]) for i in range(4)]

    def forward(self, images: np.ndarray, train: bool) -> np.ndarray:
        n = self.n
        self.planes[:, :, :, 1:15, 1:15] = images.reshape(n, 14, 2, 14, 2).transpose(2, 4, 0, 1, 3)
        np.copyto(self.shifted[:36].reshape(3, 2, 3, 2, n, 14, 14), self.shifts)
        for convolve in self.convolve1:
            convolve()
        hidden1 = self.hidden1.reshape(-1)
        _pool_phases(self.conv1, self.masks1 if train else None, hidden1)
        np.maximum(hidden1, 0, out=hidden1)
        self.bordered1[:, 2:16, 2:16] = self.hidden1.reshape(n, 14, 14, -1)
        np.copyto(self.patches1, self.patches1_from)
        self.convolve2()
        _pool_phases(self.conv2, self.masks2 if train else None, self.hidden2.reshape(-1))
        self.hidden2 += self.model.second_bias
        np.maximum(self.hidden2, 0, out=self.hidden2)
        self.dense()
        self.outputs += self.model.dense_bias
        return self.outputs

    def backward(self, output_gradient: np.ndarray) -> None:
        self.output_gradient[:] = output_gradient
        self.dense_weights()
        np.add.reduce(self.output_gradient, axis=0, out=self.bias3)
        self.dense_inputs()
        _rectify_backward(self.hidden2_gradient, self.hidden2, self.conv2)
        np.add.reduce(self.hidden2_gradient, axis=0, out=self.bias2)
        _unpool_phases(self.hidden2_gradient, self.masks2, self.conv2)
        self.inner2[:] = self.conv2.reshape(self.inner2.shape)
        np.copyto(self.patches2, self.patches2_from)
        self.convolve2_inputs()
        self.convolve2_weights()
        _rectify_backward(self.hidden1_gradient, self.hidden1, self.conv1)
        _unpool_phases(self.hidden1_gradient, self.masks1, self.conv1)
        for weights in self.convolve1_weights:
            weights()


def _pool_phases(phases: np.ndarray, masks: np.ndarray | None, out: np.ndarray) -> None:
    """Write the elementwise maximum of four phases [4, m] to ``out`` [m]; the phases are used up.

    ``masks`` [3, m] get all bits set where the later one is strictly larger: of the first two phases, of the last two,
    and of the larger ones of either.
    """
    a, b, c, d = phases
    if masks is None:
        np.maximum(a, b, out=a)
        np.maximum(c, d, out=c)
    else:
        np.subtract(a, b, out=masks[0])
        np.subtract(c, d, out=masks[1])
        np.maximum(a, b, out=a)
        np.maximum(c, d, out=c)
        np.subtract(a, c, out=masks[2])
        bits = masks.view(np.int32)
        np.right_shift(bits, 31, out=bits)  # spreads the sign
    np.maximum(a, c, out=out)


def _rectify_backward(gradient: np.ndarray, rectified: np.ndarray, scratch: np.ndarray) -> None:
    """Set the gradient to zero, in place, where the rectified value is zero; any buffer as large serves as scratch."""
    mask = scratch.reshape(-1)[: rectified.size].reshape(rectified.shape)
    np.subtract(0, rectified, out=mask)
    bits, gradient_bits = mask.view(np.int32), gradient.view(np.int32)
    np.right_shift(bits, 31, out=bits)
    np.bitwise_and(gradient_bits, bits, out=gradient_bits)


def _unpool_phases(gradient: np.ndarray, masks: np.ndarray, phases: np.ndarray) -> None:
    """Give each pooled value's gradient to the phase that it came from, and zero to the other three."""
    whole = gradient.reshape(-1).view(np.int32)
    (a, b, c, d), (b_over_a, d_over_c, later) = phases.view(np.int32), masks.view(np.int32)
    np.bitwise_and(whole, later, out=c)
    np.bitwise_xor(whole, c, out=a)
    np.bitwise_and(a, b_over_a, out=b)
    np.bitwise_xor(a, b, out=a)
    np.bitwise_and(c, d_over_c, out=d)
    np.bitwise_xor(c, d, out=c)


_MODELS: dict[type, Callable[..., _Model]] = {FC: _Dense, MLP: _Dense, CNN: _Convolutional}
