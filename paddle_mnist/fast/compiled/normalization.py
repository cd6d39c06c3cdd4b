"""Batch norm in two passes over memory each way, with the max pooling and the ReLU that follow it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np

from paddle_mnist.distributed.team import Division
from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import Step, Steps, loaded
from paddle_mnist.fast.compiled.pooling import halves
from paddle_mnist.fast.workspace import BatchKernel, Kernel, Workspace
from paddle_mnist.program import Node

# Rows in the kernels' inner loops have about so many floats.
WIDE = 512


class _Numbers:
    """Numbers per channel, repeated to wide rows and the same for all blocks: y = (x - mean) * factor + offset.

    On the way back, gradient of x = gradient of y * factor + (x - mean) * slope + constant.
    """

    def __init__(self, wide: int, channels: int, epsilon: float) -> None:
        self.sizes, self.epsilon = (wide, channels), np.array([epsilon])
        self.arrays = [aligned(wide) for _ in range(5)]
        self.mean, self.factor, self.offset, self.slope, self.constant = self.arrays
        # What float32 leaves of the mean counts where the mean is much larger than the deviations from it.
        self.rest, self.inverse = np.zeros(channels), np.zeros(channels)
        self.gradients = np.zeros((2, channels))  # of weight and bias

    def step(self, mean: np.ndarray, variance: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Step:
        """Return a step that takes over mean and variance, float64, and the parameters."""
        given, results = (mean, variance, weight, bias, self.epsilon), (self.rest, self.inverse)
        return loaded().step("norm_numbers", *given, *results, self.mean, self.factor, self.offset, *self.sizes)

    def sums_step(self, sums: np.ndarray, count: np.ndarray) -> Step:
        """Return a step that takes over the sums of ``norm_sums`` [blocks, 2, channels], of ``count`` values in all."""
        results = *self.gradients, self.factor, self.slope, self.constant
        arrays = sums, self.rest, self.inverse, *results, count
        return loaded().step("norm_combine_backward", *arrays, len(sums), *self.sizes)


class _BatchNorm:
    """What both kinds of batch norm share."""

    def _setup(self, node: Node, workspace: Workspace) -> None:
        plan, self.compiled = workspace.plan, loaded()
        pool = workspace.follower(node, "max_pool") if len(node.shape) == 3 else None
        self.pool = pool if pool is not None and halves(pool, plan) else None
        relu = workspace.follower(self.pool or node, "relu")
        self.x = workspace.value(node.inputs[0])
        self.y = workspace.new_output(node, shape=(self.pool or node).shape)
        workspace.absorb(*[other for other in (self.pool, relu) if other is not None])
        if self.pool is not None:
            workspace.keep(node.name)
        self.relu, self.channels = int(relu is not None), self.x.shape[-1]
        self.count = self.x.size // self.channels
        self.images = len(self.x) if self.x.ndim == 4 else 1
        pixels = self.count // self.images
        self.wide = self.channels * max(r for r in _divisors(pixels) if r * self.channels <= WIDE or r == 1)
        self.rows = self.x.size // self.wide
        self.values, self.names, self.epsilon = plan.values, node.parameters, node.attributes["epsilon"]
        self.numbers = plan.shared(
            (node.name, "numbers", self.wide), lambda: _Numbers(self.wide, self.channels, self.epsilon), loads=False
        )
        self.sums = np.zeros((2, self.channels))
        self.scratch = aligned(3 * self.wide)
        numbers, step = self.numbers, self.compiled.step
        parameters = numbers.mean, numbers.factor, numbers.offset
        if self.pool is None:
            self.forward = step("norm_forward", self.x, self.y, *parameters, self.rows, self.wide, self.relu)
        else:
            self.places = np.zeros(self.y.shape, np.uint8)
            self.sizes = (*self.x.shape, self.relu)
            self.forward = step("norm_pool_forward", self.x, self.y, self.places, *parameters, *self.sizes)

    def _prepare(self, node: Node, workspace: Workspace) -> None:
        gradient, numbers, step = workspace.output_gradient_of(node), self.numbers, self.compiled.step
        self.slots = [workspace.parameter_gradient(self.names[role]) for role in ("weight", "bias")]
        sums, shape = (self.sums, self.scratch), (self.rows, self.wide)
        if self.pool is None:
            parameters = numbers.mean, numbers.factor, numbers.offset
            self.add_up = step("norm_sums", self.x, gradient, *parameters, *sums, *shape, self.channels, self.relu)
            x_gradient = workspace.input_gradient(node, shared=gradient)
            to = x_gradient if x_gradient is not None else gradient
            self.go_back = step("norm_backward", self.x, gradient, to, *numbers.arrays, *shape, self.relu)
        else:
            arrays = self.x, self.y, self.places, gradient
            self.add_up = step("norm_pool_sums", *arrays, numbers.mean, *sums, *self.sizes)
            x_gradient = workspace.input_gradient(node)
            if x_gradient is None:
                x_gradient = np.empty_like(self.x)
            more = numbers.mean, numbers.factor, numbers.slope, numbers.constant
            self.go_back = step("norm_pool_backward", *arrays, x_gradient, *more, *self.sizes)

    def _store(self, gradients: Sequence[np.ndarray | float]) -> None:
        for slot, gradient in zip(self.slots, gradients, strict=True):
            slot[:] = gradient


class BatchNormInference(_BatchNorm, Kernel):
    """Batch norm by the running statistics."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._setup(node, workspace)
        workspace.plan.shared((node.name, "loaded", self.wide), lambda: self)

    def load(self) -> None:
        values = {role: self.values[name] for role, name in self.names.items()}
        mean, variance = (values[role].astype(np.float64) for role in ("mean", "variance"))
        self.numbers.step(mean, variance, values["weight"], values["bias"])()

    def prepare(self, workspace: Workspace) -> None:
        self._prepare(self.node, workspace)

    def backward_calls(self) -> list[Callable[[], None]]:
        return [self.add_up, self._store_sums, self.go_back]

    def _store_sums(self) -> None:
        bias, products = self.sums
        self._store(((products - self.numbers.rest * bias) * self.numbers.inverse, bias))


class _Sums:
    """The sums of all blocks of a batch, and steps that combine them.

    Attributes:
        blocks: float64 [blocks of the batch, ...]; those of other processes too.
        kept: what the running statistics become.
    """

    def __init__(
        self,
        kernels: list[BatchNormTraining],
        division: Division,
        given: list[np.ndarray],
        own: list[np.ndarray],
        shape: tuple[int, ...],
    ) -> None:
        self.kernels, self.division, self.given = kernels, division, given
        self.own = np.zeros((len(own), *shape))
        self.blocks = self.own if division.team.size == 1 else np.zeros((division.count, *shape))
        self.kept = np.zeros(0, np.float32)
        self._gather = loaded().gather_step(own, self.own)

    def serve(self, kernels: list[BatchNormTraining], division: Division, given: list[np.ndarray]) -> bool:
        """Whether they are for the same blocks and arrays."""
        same = division is self.division and kernels == self.kernels
        return same and not any(map(operator.is_not, given, self.given))

    def then(self, steps: Sequence[Step]) -> None:
        """Set what is done with ``blocks``."""
        self._together, self._after = Steps([self._gather, *steps]), Steps(steps)

    def run(self) -> None:
        """Collect the sums and combine them."""
        if self.blocks is self.own:
            self._together()
        else:
            self._gather()
            np.copyto(self.blocks, self.division.gather_blocks(self.own))
            self._after()


class BatchNormTraining(_BatchNorm, BatchKernel):
    """Batch norm by the statistics of the batch."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._setup(node, workspace)
        self.momentum, self.statistics = node.attributes["momentum"], workspace.plan.statistics
        self.own = np.zeros((3, self.channels))  # count, mean and sum of squared deviations
        self.own[0] = self.count
        more = np.zeros(2 * self.channels)
        sizes = self.images, self.rows // self.images, self.wide, self.channels
        results = self.own[1], self.own[2], self.scratch, more
        self.collect = self.compiled.step("norm_statistics", self.x, *results, *sizes)
        self.batch_count = np.zeros(1)
        self._forward_sums: _Sums | None = None
        self._backward_sums: _Sums | None = None

    def combine(self, kernels: list[BatchNormTraining], division: Division) -> None:
        names = [self.names[role] for role in ("mean", "variance")]
        given = [self.values[self.names[role]] for role in ("mean", "variance", "weight", "bias")]
        sums = self._forward_sums
        if sums is None or not sums.serve(kernels, division, given):
            sums = _Sums(kernels, division, given, [kernel.own for kernel in kernels], self.own.shape)
            sums.kept = np.zeros((2, self.channels), np.float32)
            mean, variance = np.zeros((2, self.channels))
            results = mean, variance, *given[:2], *sums.kept, np.array([self.momentum], np.float32), self.batch_count
            first = self.compiled.step("norm_combine", sums.blocks, *results, len(sums.blocks), self.channels)
            sums.then([first, *(numbers.step(mean, variance, *given[2:]) for numbers in self._all_numbers(kernels))])
            self._forward_sums = sums
        sums.run()
        self.statistics.update(zip(names, sums.kept, strict=True))

    def _all_numbers(self, kernels: list[BatchNormTraining]) -> list[_Numbers]:
        return list({id(kernel.numbers): kernel.numbers for kernel in (self, *kernels)}.values())

    def prepare(self, workspace: Workspace) -> None:
        self._prepare(self.node, workspace)
        self.collect_backward, self.backward = self.add_up, self.go_back

    def combine_backward(self, kernels: list[BatchNormTraining], division: Division) -> None:
        sums = self._backward_sums
        if sums is None or not sums.serve(kernels, division, []):
            sums = _Sums(kernels, division, [], [kernel.sums for kernel in kernels], self.sums.shape)
            steps = [numbers.sums_step(sums.blocks, self.batch_count) for numbers in self._all_numbers(kernels)]
            # The first block of all has the whole batch's gradients, the others have nothing.
            slots = [slot for kernel in kernels for slot in kernel.slots]
            places = np.array([slot.ctypes.data for slot in slots], np.int64)
            numbers = places, len(kernels), self.channels, 0 if division.blocks.start == 0 else -1
            steps.append(self.compiled.step("norm_store", self.numbers.gradients, *numbers, keep=slots))
            sums.then(steps)
            self._backward_sums = sums
        sums.run()


def batch_norm(node: Node, workspace: Workspace) -> Kernel:
    """Return the kernel for a batch norm."""
    return (BatchNormTraining if node.attributes["training"] else BatchNormInference)(node, workspace)


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
