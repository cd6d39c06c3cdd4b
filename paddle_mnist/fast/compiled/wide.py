"""Linear layers with many outputs (panels.h), with the ReLU that follows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from paddle_mnist.fast import products
from paddle_mnist.fast.compiled.dense import MOST_OUTPUTS
from paddle_mnist.fast.compiled.library import Lists, Step, Steps, library, loaded
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# Columns that a thread computes together, about: what is done with them stays in a core's cache.
SLICE_COLUMNS = 64
# Rows of a tile of a result, at most, by the floats in a vector; as in panels.h.
TALL = {16: 14, 8: 6, 4: 6}
MOST_ROWS = max(TALL.values())
# Products are added up in chunks of at most so many; as in panels.h.
CHUNK = 512


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a linear layer, and its columns fill panels."""
    rows = len(node.shape) == 1 and not node.attributes["transposed"]
    return library() is not None and rows and node.shape[0] > MOST_OUTPUTS


def slices(columns: int) -> list[tuple[int, int]]:
    """Return an even number of ranges of columns, for threads to share; all but the last one are whole panels."""
    panel = 2 * loaded().lanes
    panels = -(-columns // panel)
    count = 2 * max(1, round(columns / (2 * SLICE_COLUMNS)))
    return [*pairwise([min(columns, panel * (i * panels // count)) for i in range(count + 1)])]


class Counted:
    """Which steps of products with rows x count, since zeros need not be added (panels.h); found when ``step`` is done.

    Args:
        x: float32 [n, inputs].
        backward: whether products with the transpose of x are wanted, too.
    """

    def __init__(self, x: np.ndarray, backward: bool) -> None:
        (n, inputs), tall = x.shape, TALL[loaded().lanes]
        groups, across = -(-n // tall), -(-inputs // tall)
        self.forward = np.empty((groups, inputs), np.int32), np.empty((groups, -(-inputs // CHUNK)), np.int32)
        self.backward = (np.empty((across, n), np.int32), np.empty(across, np.int32)) if backward else (None, None)
        self.step = loaded().step("wide_steps", x, n, inputs, *self.forward, *self.backward)


class Linear(Kernel):
    """x @ weight + bias for rows x."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.values, self.names = workspace.plan.values, node.parameters
        self.relu = workspace.follower(node, "relu") is not None
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        if self.relu:
            workspace.absorb(*workspace.plan.readers[node.name])
            workspace.keep(node.name)
        self.weight, self.bias = self._parameters()
        (self.n, self.inputs), self.outputs = self.x.shape, self.y.shape[1]
        self._place = np.array([self.x.ctypes.data])
        self.counted = Counted(self.x, workspace.train)
        self._reading_x = [self.counted.step]  # as their first argument
        self._reading_weight: list[Step] = []  # as their second one
        self._forward = [self._forward_step(*columns) for columns in self._columns(self.outputs)]
        workspace.reads(node, self.read)

    def _columns(self, count: int) -> list[tuple[int, int]]:
        """Return the ranges in which columns of a result are computed."""
        return [(0, count)]

    def _parameters(self) -> tuple[np.ndarray, np.ndarray | None]:
        return self.values[self.names["weight"]], self.values.get(self.names.get("bias", ""))

    def _forward_step(self, first: int, last: int) -> Step:
        arrays = self.x, self.weight, self.bias, self.y
        sizes = self.n, self.inputs, self.outputs
        step = loaded().step("wide_forward", *arrays, *sizes, first, last, int(self.relu), *self.counted.forward)
        self._reading_x.append(step)
        self._reading_weight.append(step)
        return step

    def read(self, x: np.ndarray) -> None:
        """Take the inputs from another array."""
        self.x = x.reshape(self.x.shape)
        self._place[0] = self.x.ctypes.data
        for step in self._reading_x:
            step.move(0, self.x)

    def load(self) -> None:
        weight, bias = self._parameters()
        if weight is not self.weight:  # Paddle has moved it
            self.weight = weight
            for step in self._reading_weight:
                step.move(1, weight)
        if bias is not self.bias and bias is not None:
            self.bias = bias
            for step in self._forward:
                step.move(2, bias)

    def prepare(self, workspace: Workspace) -> None:
        gradient, step = workspace.output_gradient_of(self.node), loaded().step
        self._backward: list[Callable[[], None]] = []
        if self.relu:
            self._backward.append(step("relu_backward", self.y, gradient, self.y.size))
        if self.bias is not None:
            slot = workspace.parameter_gradient(self.names["bias"])
            self._backward.append(step("sum_rows", gradient, slot, self.n, self.outputs))
        self._backward += self._to_weight(workspace, gradient)
        x_gradient = workspace.input_gradient(self.node)
        if x_gradient is not None:
            arrays, sizes = (gradient, self.weight, x_gradient), (self.n, self.inputs, self.outputs)
            to_x = [step("wide_to_x", *arrays, *sizes, *columns) for columns in self._columns(self.inputs)]
            self._reading_weight += to_x
            self._backward += self._shared(workspace, to_x)

    def _shared(self, workspace: Workspace, steps: list[Step]) -> Sequence[Callable[[], None]]:
        """Return calls that do steps of which each one computes some columns."""
        return steps

    def _to_weight(self, workspace: Workspace, gradient: np.ndarray) -> Sequence[Callable[[], None]]:
        """Return what computes the weight's gradient, or keeps what it is computed from once all blocks are done."""
        step, name = loaded().step, self.names["weight"]
        if name in workspace.plan.whole_batch:
            copies = [step("copy", array, array, array.size) for array in (self.x, gradient)]
            workspace.stores_rows(name, copies)
            self._reading_x.append(copies[0])
            return copies
        columns = -(-self.outputs // (2 * loaded().lanes)) * 2 * loaded().lanes
        arrays = self._place, gradient, self.n + (self.n + MOST_ROWS) * columns
        sizes, slot = (self.n, self.inputs, self.outputs), workspace.parameter_gradient(name)
        return [step("wide_to_weight", *arrays, *sizes, 0, self.outputs, slot, *self.counted.backward, 0, 0)]

    def forward_calls(self) -> list[Callable[[], None]]:
        return [self.counted.step, *self._forward]

    def backward_calls(self) -> list[Callable[[], None]]:
        return self._backward


class SlicedLinear(Linear):
    """A linear layer on a whole batch, whose products threads divide among them, by slices of the results' columns.

    The same thread takes the same columns of the weight for all that is done with them, optimizer's step included. The
    weight's gradient is left to whoever uses it.
    """

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._calls = self._shared(workspace, self._forward)
        self._product: Product | None = None

    def _columns(self, count: int) -> list[tuple[int, int]]:
        return slices(count)

    def _shared(self, workspace: Workspace, steps: list[Step]) -> Sequence[Callable[[], None]]:
        lists = Lists([Steps([step]) for step in steps])
        return [lambda: workspace.do_steps(lists)]

    def read(self, x: np.ndarray) -> None:
        """Take the inputs from another array."""
        super().read(x)
        if self._product is not None:
            self._product.read(self.x)

    def _to_weight(self, workspace: Workspace, gradient: np.ndarray) -> Sequence[Callable[[], None]]:
        self._product = workspace.products[self.names["weight"]] = Product(self.x, gradient, self.counted)
        return []

    def forward_calls(self) -> list[Callable[[], None]]:
        return [self.counted.step, *self._calls]


class Product(products.Product):
    """The gradient of a linear layer's weight, each slice of its columns by one thread, row by row.

    Args:
        inputs, gradient: as of ``products.Product``.
        counted: which steps of the product count.
    """

    def __init__(self, inputs: np.ndarray, gradient: np.ndarray, counted: Counted) -> None:
        super().__init__(inputs, gradient)
        self._counted = counted
        self.columns = slices(self.shape[1])
        panel = 2 * loaded().lanes
        widths = [-(-(last - first) // panel) * panel for first, last in self.columns]
        self._scratch = [len(inputs) + (len(inputs) + MOST_ROWS) * width for width in widths]
        self._place = np.array([inputs.ctypes.data])

    def read(self, inputs: np.ndarray) -> None:
        """Take the inputs from another array."""
        self.inputs, self._place[0] = inputs, inputs.ctypes.data

    def into(self, result: np.ndarray) -> list[Steps]:
        """Return what computes it, for threads to share."""
        return self._lists(result, 0, ([], []))

    def update(
        self, kernel: str, parameter: np.ndarray, numbers: np.ndarray, state: Sequence[np.ndarray]
    ) -> list[Steps]:
        """Return an optimizer's steps, for threads to share, that use each row as soon as it is computed.

        Args:
            kernel: the optimizer's.
            parameter, numbers, state: its arguments; those of the parameter's shape are taken row by row.
        """
        compiled = loaded()

        def of(first: int, last: int) -> tuple[list[int], list[int]]:
            arrays: list[np.ndarray | None] = [parameter, None, None, numbers, *state]
            matrices = [array is not None and array.ndim == 2 for array in arrays]
            places = [
                0 if array is None else array.ctypes.data + 4 * first * matrix
                for array, matrix in zip(arrays, matrices, strict=True)
            ]
            places[2] = last - first
            return places, [4 * self.shape[1] * matrix for matrix in matrices]

        calls = [of(*columns) for columns in self.columns]
        return self._lists(None, compiled.address(kernel), *calls, keep=(parameter, numbers, *state))

    def _lists(
        self,
        result: np.ndarray | None,
        function: int,
        *calls: tuple[list[int], list[int]],
        keep: Sequence[np.ndarray] = (),
    ) -> list[Steps]:
        """Return a list for each slice: rows go to ``result``, or to a function, given arguments and their strides."""
        lists = []
        for i, (columns, scratch) in enumerate(zip(self.columns, self._scratch, strict=True)):
            arguments, strides = calls[i % len(calls)]
            sizes = len(self.inputs), *self.shape, *columns
            arrays = self._place, self.gradient, scratch
            rest = *self._counted.backward, function, len(arguments), *arguments, *strides
            lists.append(Steps([loaded().step("wide_to_weight", *arrays, *sizes, result, *rest, keep=keep)]))
        return lists


def linear(node: Node, workspace: Workspace) -> Kernel:
    """Return the kernel for a linear layer."""
    sliced = workspace.train and node.parameters["weight"] in workspace.plan.sliced
    return (SlicedLinear if sliced else Linear)(node, workspace)
