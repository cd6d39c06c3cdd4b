"""The buffers for one block of images, and the kernels of a graph that work in them.

Arrays are channels last: a map (c, h, w) of n images is stored as [n, h, w, c]; tensors of any other rank are stored as
they are. An array of values or of gradients is shared by two tensors where that cannot be noticed:

- An operation may write its result over its input if nobody else reads that input, later or on the way back.
- Every gradient has one reader, the kernel of the operation that computed the tensor. That kernel may pass the array on
  as the gradient of its input, after changing it in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from paddle_mnist.distributed.team import Division
from paddle_mnist.fast.arrays import aligned, split
from paddle_mnist.fast.compiled.library import Lists, Step, library, merged
from paddle_mnist.fast.onednn import Library, Primitives
from paddle_mnist.fast.products import Product
from paddle_mnist.fast.threads import Work
from paddle_mnist.program import IMAGES, Graph, Node


class Decisions(Protocol):
    """What workspaces and kernels read of a ``plan.Plan``, where it is described."""

    graph: Graph
    shapes: dict[str, tuple[int, ...]]
    uses: Counter[str]
    readers: dict[str, list[Node]]
    onednn: Library | None
    block_size: int | None
    kernels: dict[str, Callable[[Node, Workspace], Kernel]]
    sliced: dict[str, tuple[int, int]]
    whole_batch: dict[str, tuple[int, int]]
    block_sizes: dict[str, int]
    differentiable: set[str]
    channels_last_rows: set[str]
    values: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    version: int

    def shared(self, key: object, make: Callable[[], Any], loads: bool = True) -> Any:
        """Return what all blocks use, made when the first one asks for it."""


class Kernel:
    """Computes a node, and on the way back the gradients of its inputs and parameters.

    ``__init__(node, workspace)`` takes or creates the arrays of the forward pass; ``prepare(workspace)``, called from
    the last node to the first and only for training, those of the way back.
    """

    def __init__(self, node: Node, workspace: Workspace) -> None:
        self.node = node

    def load(self) -> None:
        """Take over new values of the parameters, where the kernel needs them in a layout of its own."""

    def forward(self) -> None:
        """Compute the node's value."""

    def prepare(self, workspace: Workspace) -> None:
        """Create the arrays of the way back."""

    def backward(self) -> None:
        """Compute the gradients of inputs and parameters from that of the node."""

    def forward_calls(self) -> list[Callable[[], None]]:
        """Return what ``forward`` does, perhaps in parts; compiled ones are run without Python in between."""
        return [self.forward]

    def backward_calls(self) -> list[Callable[[], None]]:
        """Return what ``backward`` does; called after ``prepare``."""
        return [self.backward]


class Within(Kernel):
    """A node that the kernel of its input computes, both ways."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        workspace.view_output(node, workspace.value(node.inputs[0]))

    def prepare(self, workspace: Workspace) -> None:
        workspace.input_gradient(self.node, shared=workspace.output_gradient_of(self.node))

    def forward_calls(self) -> list[Callable[[], None]]:
        return []

    def backward_calls(self) -> list[Callable[[], None]]:
        return []


class BatchKernel(Kernel):
    """A kernel that needs sums over the whole batch, in both directions.

    A pass is interrupted there: every block has called ``collect`` before ``combine`` is called with the kernels of
    this process's blocks, in order, and then every block continues with ``forward``. On the way back likewise.
    """

    def collect(self) -> None:
        """Compute this block's sums."""

    def combine(self, kernels: list[Any], division: Division) -> None:
        """Give every kernel the sums over the batch; ``division`` gathers those of other processes' blocks."""

    def collect_backward(self) -> None:
        """Compute this block's sums for the way back."""

    def combine_backward(self, kernels: list[Any], division: Division) -> None:
        """Give every kernel the sums over the batch for the way back."""


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    value: np.ndarray
    exclusive: bool  # one operation reads the value, and no other tensor shares it
    kept: bool = False  # the value is read on the way back by the kernel that computed it
    gradient: np.ndarray | None = None


@dataclass
class Phase:
    """Calls that a block does without waiting for others, and what all blocks then wait for."""

    calls: list[Callable[[], None]] = field(default_factory=list)
    barrier: BatchKernel | None = None

    def run(self) -> None:
        """Do the calls."""
        for call in self.calls:
            call()


class Workspace:
    """See the module.

    Args:
        plan: what is the same for all blocks.
        n: the number of images in the block.
        train: whether the way back is needed.

    Attributes:
        images: [n, ...], to be given by ``take`` before ``forward``.
        outputs: [n, ...], the net's result.
        output_gradient: its gradient, to be filled before the way back.
        flat: the gradients of the parameters in ``plan.block_sizes``, one after the other.
        rows: by the names in ``plan.whole_batch``, where the way back has to store the layer's input and the gradient
            of its result, for these images; to be given by ``store_rows`` before.
        products: by the names in ``plan.sliced``, the weights' gradients after the way back.
        do, do_steps: do work for every item, or lists of compiled steps, by several threads where set to that.
        forward, backward: phases.
        masks: by the dropout nodes' names, arrays to be filled with 0 and the factor of what is kept.
    """

    def __init__(self, plan: Decisions, n: int, train: bool) -> None:
        self.plan, self.n, self.train = plan, n, train
        self._primitives = Primitives(plan.onednn) if plan.onednn else None
        sizes = plan.block_sizes if train else {}
        self.flat = aligned(sum(sizes.values()))
        self._slots = dict(zip(sizes, split(self.flat, [(size,) for size in sizes.values()]), strict=True))
        self.rows: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.products: dict[str, Product] = {}
        self.do: Callable[[Work, int], None] = _one_after_the_other
        self.do_steps: Callable[[Lists], None] = Lists.__call__
        self.masks: dict[str, np.ndarray] = {}
        self._readers: dict[str, Callable[[np.ndarray], None]] = {}
        self._row_copies: dict[str, Sequence[Step]] = {}
        self.done_before: set[str] = set()  # nodes that the kernel of their input computes too
        shape = plan.graph.input_shape
        images = self.array(shape)
        self.images = images.reshape(n, *shape) if len(shape) != 3 or shape[0] == 1 else images.transpose(0, 3, 1, 2)
        self._tensors = {IMAGES: _Tensor(shape, images, exclusive=False)}
        self._pending: list[Callable[[], None]] = []
        self.kernels: list[Kernel] = []
        for node in plan.graph.nodes:
            builder = Within if node.name in self.done_before else plan.kernels[node.name]
            self.kernels.append(builder(node, self))
        self.outputs = channels_first(self._tensors[plan.graph.output].value)
        self.forward, self.backward = [Phase()], [Phase()]
        for kernel in self.kernels:
            if isinstance(kernel, BatchKernel):
                self._wait(self.forward, kernel.collect, kernel)
            self.forward[-1].calls += kernel.forward_calls()
        if train:
            gradient = self._tensors[plan.graph.output].gradient = self.array(plan.graph.nodes[-1].shape)
            self.output_gradient = channels_first(gradient)
            for kernel in reversed(self.kernels):
                if kernel.node.name in plan.differentiable:
                    self._prepare(kernel)
        for phase in [*self.forward, *self.backward]:
            phase.calls = merged(phase.calls)
        self._version = -1
        self._images_in_place = self._are_images_read_in_place()

    def _are_images_read_in_place(self) -> bool:
        """Whether all that reads the images can read them anywhere, be it as rows."""
        names = {IMAGES}
        for kernel in self.kernels:
            node = kernel.node
            if node.inputs[0] in names and node.name not in self._readers:
                if node.operation != "reshape" or kernel.forward_calls() or node.name == self.plan.graph.output:
                    return False
                names.add(node.name)
        return not any(names & set(kernel.node.inputs[1:]) for kernel in self.kernels)

    def take(self, images: np.ndarray) -> None:
        """Read images [n, ...] on the next pass; they must stay as they are until its end."""
        if self._images_in_place and images.flags.c_contiguous:
            for read in self._readers.values():
                read(images)
        else:
            np.copyto(self.images, images)

    def store_rows(self, rows: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Set ``rows``."""
        self.rows = rows
        for name, copies in self._row_copies.items():
            for step, array in zip(copies, rows[name], strict=True):
                step.move(1, array)

    def _wait(self, phases: list[Phase], collect: Callable[[], None], kernel: BatchKernel) -> None:
        phases[-1].calls.append(collect)
        phases[-1].barrier = kernel
        phases.append(Phase())

    def _prepare(self, kernel: Kernel) -> None:
        self._pending = []
        kernel.prepare(self)
        if isinstance(kernel, BatchKernel):
            self._wait(self.backward, kernel.collect_backward, kernel)
        self.backward[-1].calls += [*kernel.backward_calls(), *self._pending]

    def load(self) -> None:
        """Take over the plan's parameter values if they are new."""
        if self._version != self.plan.version:
            self._version = self.plan.version
            for kernel in self.kernels:
                kernel.load()

    @property
    def primitives(self) -> Primitives:
        """What creates oneDNN's, for a plan with oneDNN."""
        assert self._primitives is not None
        return self._primitives

    # --- for kernels --------------------------------------------------------------------------------------------------

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return a new array for a tensor of the given shape."""
        return aligned(*stored_shape(self.n, shape))

    def value(self, name: str) -> np.ndarray:
        """Return the array that holds a tensor's value after its kernel's ``forward``."""
        return self._tensors[name].value

    def follower(self, node: Node, operation: str) -> Node | None:
        """Return the only node that reads the given one's value, if it is such an operation with no other input."""
        readers = self.plan.readers[node.name]
        if self.plan.uses[node.name] != 1 or not readers:
            return None
        return readers[0] if readers[0].operation == operation and len(readers[0].inputs) == 1 else None

    def absorb(self, *nodes: Node) -> None:
        """Let the kernel of the first one's input compute these nodes too."""
        self.done_before |= {node.name for node in nodes}

    def new_output(self, node: Node, over: int | None = None, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Return an array for the node's value; that of input ``over`` where it may be overwritten.

        Args:
            node: the kernel's.
            over: which input, if any.
            shape: of the last node that is absorbed, if it differs from the node's.
        """
        source = self._tensors[node.inputs[over]] if over is not None else None
        if (
            source is not None
            and source.exclusive
            and not source.kept
            and source.value.shape[1:] == stored_shape(self.n, node.shape)[1:]
        ):
            return self._set_output(node, source.value, exclusive=True)
        return self._set_output(node, self.array(shape or node.shape), exclusive=True)

    def view_output(self, node: Node, value: np.ndarray) -> None:
        """Let the node's value be a view of its only input's."""
        source = self._tensors[node.inputs[0]]
        self._set_output(node, value, exclusive=source.exclusive)
        self._tensors[node.name].kept = source.kept

    def _set_output(self, node: Node, value: np.ndarray, exclusive: bool) -> np.ndarray:
        exclusive = exclusive and self.plan.uses[node.name] == 1
        self._tensors[node.name] = _Tensor(node.shape, value, exclusive)
        return value

    def keep(self, name: str) -> None:
        """Let nobody overwrite a tensor, since its kernel reads it on the way back."""
        self._tensors[name].kept = self.train

    def reads(self, node: Node, read: Callable[[np.ndarray], None]) -> None:
        """Call ``read`` with the images where the node's kernel can read them anywhere, instead of from ``value``."""
        if self.value(node.inputs[0]).base is self._tensors[IMAGES].value.base:
            self._readers[node.name] = read

    def stores_rows(self, name: str, copies: Sequence[Step]) -> None:
        """Let two steps copy, to their second argument, what ``rows`` has to receive for a weight."""
        self._row_copies[name] = copies

    def output_gradient_of(self, node: Node) -> Any:
        """Return the gradient of the node's value, which its kernel may change."""
        return self._tensors[node.name].gradient

    def needs_gradient(self, name: str) -> bool:
        """Whether a tensor's gradient is needed for that of any parameter."""
        return name in self.plan.differentiable

    def has_gradient(self, name: str) -> bool:
        """Whether a reader later in the net has already given the tensor a gradient, to which others are added."""
        return self._tensors[name].gradient is not None

    def input_gradient(self, node: Node, i: int = 0, shared: np.ndarray | None = None) -> Any:
        """Return the array that the kernel's ``backward`` has to fill, or ``None`` if nobody needs this gradient.

        Args:
            node: the kernel's.
            i: which of its inputs.
            shared: an array that is to serve, since it holds the gradient after ``backward`` anyway.
        """
        name = node.inputs[i]
        if not self.needs_gradient(name):
            return None
        tensor = self._tensors[name]
        array = self.array(tensor.shape) if shared is None else shared
        if tensor.gradient is None:
            tensor.gradient = array
        else:
            total = tensor.gradient
            compiled = library()
            if compiled is None:
                self._pending.append(lambda: np.add(total, array, out=total))
            else:
                self._pending.append(compiled.step("add", total, array, total, total.size, 0))
        return array

    def parameter_gradient(self, name: str) -> np.ndarray:
        """Return the flat array for a parameter's gradient."""
        return self._slots[name]


def _one_after_the_other(work: Work, items: int) -> None:
    for item in range(items):
        work(0, item)


def stored_shape(n: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the array for a tensor: channels last."""
    return (n, *shape[1:], shape[0]) if len(shape) == 3 else (n, *shape)


def stored_axis(shape: tuple[int, ...], axis: int) -> int:
    """Return where an axis of a tensor (0 is the batch) is in its array."""
    return {0: 0, 1: 3, 2: 1, 3: 2}[axis] if len(shape) == 3 else axis


def channels_first(array: np.ndarray) -> np.ndarray:
    """Return a view of a tensor's array with the axes in the order of its shape."""
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
