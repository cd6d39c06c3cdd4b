"""One net on the fast path: whether it is covered, its graphs and plans, and its parameters' memory."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle

from paddle_mnist.distributed.team import ALONE, Team
from paddle_mnist.fast import paddle_private
from paddle_mnist.fast.arrays import TensorMemory
from paddle_mnist.fast.blocks import MOST_IMAGES_AT_BARRIERS, OutputGradient, Runner, Seed
from paddle_mnist.fast.plan import Plan
from paddle_mnist.fast.products import Gradient, Product
from paddle_mnist.fast.watch import Watch
from paddle_mnist.program import NotCoveredError, capture, rewrite

# Graphs are kept for so many states of a net: training and evaluation, and some more.
STATES_KEPT = 4


@dataclass
class _State:
    """A net as it was captured once."""

    watch: Watch
    input_shape: tuple[int, ...]
    runner: Runner | None
    reason: str  # why there is no runner


class Engine:
    """See the module. Holds the net weakly.

    Attributes:
        parameters: the net's parameters, without running statistics, in its own order; empty before the first capture.
    """

    def __init__(self, net: paddle.nn.Layer) -> None:
        self._net = weakref.ref(net)
        self._states: list[_State] = []
        self._memory = TensorMemory([])
        self.parameters: list[paddle.Tensor] = []
        self._names: list[str] = []

    def plain_reason(self) -> str:
        """Return why the net is left to Paddle whatever it computes, or an empty text. Nothing is captured."""
        net: Any = self._net()
        tensors = [*net.parameters(), *net.buffers()]
        try:
            if not paddle_private.trained_parameters(net):
                return "the net has no parameters"
        except AttributeError as error:
            return f"this version of Paddle is not known ({error})"
        if not all(tensor.place.is_cpu_place() for tensor in tensors):
            return "the net is not on the CPU"
        if not all(tensor.dtype == paddle.float32 for tensor in tensors):
            return "the net is not in float32"
        if len({tensor.data_ptr() for tensor in net.parameters()}) != len(net.parameters()):
            return "parameters share memory"
        return ""

    def is_frozen(self) -> bool:
        """Whether some parameters are not to be trained."""
        return any(parameter.stop_gradient for parameter in paddle_private.trained_parameters(self._net()).values())

    def state(self, input_shape: tuple[int, ...]) -> _State:
        """Return the plan for the net as it is now, captured if need be."""
        for state in reversed(self._states):
            if state.input_shape == input_shape and state.watch.unchanged():
                return state
        runner, reason = None, self.plain_reason()
        net: Any = self._net()
        if not reason:
            try:
                if any(map(paddle_private.has_hooks, net.sublayers(include_self=True))):
                    raise NotCoveredError("layers have hooks")
                runner = Runner(self._plan(net, input_shape))
            except NotCoveredError as error:
                reason = str(error)
            except AttributeError as error:
                reason = f"this version of Paddle is not known ({error})"
        state = _State(Watch(net), input_shape, runner, reason)
        self._states = [*self._states[1 - STATES_KEPT :], state]
        return state

    def _plan(self, net: paddle.nn.Layer, input_shape: tuple[int, ...]) -> Plan:
        graph = rewrite(capture(net, input_shape))
        trained = paddle_private.trained_parameters(net)
        self.parameters = list(trained.values())
        tensors = dict(net.named_parameters()) | dict(net.named_buffers())
        self._names = list(tensors)
        self._memory = TensorMemory(list(tensors.values()))
        return Plan(graph, list(trained))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the memory of parameters and buffers, by name: to write into it is to write into the net."""
        return dict(zip(self._names, self._memory.arrays(), strict=True))

    def outputs(self, runner: Runner, images: np.ndarray, seed: Seed = (0, 0)) -> np.ndarray | None:
        """Return raw outputs, or ``None`` if any value is not finite; running statistics are updated."""
        arrays = self.arrays()
        if not self._may_compute(runner, images, arrays):
            return None
        try:
            outputs = runner.outputs(arrays, images, seed)
        except (OSError, RuntimeError) as error:
            self._give_up(runner, error)
            return None
        if not all_finite([outputs]):
            return None
        self.store_statistics(runner, arrays)
        return outputs

    def gradients(
        self,
        runner: Runner,
        images: np.ndarray,
        output_gradient: OutputGradient,
        seed: Seed = (0, 0),
        team: Team = ALONE,
        samples: np.ndarray | None = None,
    ) -> tuple[dict[str, np.ndarray], list[Gradient]] | None:
        """Return the net's memory and all gradients, or ``None`` if any value is not finite; change nothing.

        The last arguments are those of ``Runner.gradients``. What decides for ``None`` is the same for a whole team.
        """
        arrays = self.arrays()
        if not self._may_compute(runner, images, arrays):
            return None
        try:
            gradients = runner.gradients(arrays, images, output_gradient, seed, team, samples)
        except (OSError, RuntimeError) as error:
            if team.size > 1:
                raise
            self._give_up(runner, error)
            return None
        return (arrays, gradients) if all_finite(runner.plan.as_computed(gradients)) else None

    def _give_up(self, runner: Runner, error: Exception) -> None:
        """Leave the net to Paddle from now on, since a library has refused to work."""
        for state in self._states:
            if state.runner is runner:
                state.runner, state.reason = None, str(error)

    @staticmethod
    def _may_compute(runner: Runner, images: np.ndarray, arrays: dict[str, np.ndarray]) -> bool:
        """Whether the outputs will tell if a value is not finite.

        In products by NumPy such values spread. A maximum by oneDNN may drop a NaN, so everything is looked at before.
        """
        return runner.plan.block_size is None or all_finite([images, *arrays.values()])

    def store_statistics(self, runner: Runner, arrays: dict[str, np.ndarray]) -> None:
        """Write what the last forward pass found into the running statistics."""
        for name, value in runner.plan.statistics.items():
            np.copyto(arrays[name], value)
        runner.plan.statistics.clear()


def suits(runner: Runner, n: int) -> bool:
    """Whether the plan can take ``n`` images.

    A batch norm in training mode needs memory for the whole batch, and Paddle's leaves x as it is where a channel has a
    single value.
    """
    if not runner.plan.barriers:
        return True
    return (n > 1 or not runner.plan.normalizes_single_values) and n <= MOST_IMAGES_AT_BARRIERS


def all_finite(arrays: Iterable[Gradient]) -> bool:
    """Whether all elements, and the sums of their squares, are finite: far faster than looking at each element."""
    with np.errstate(all="ignore"):
        return all(array.is_bounded() if isinstance(array, Product) else _is_bounded(array) for array in arrays)


def _is_bounded(array: np.ndarray) -> bool:
    return math.isfinite(np.vdot(array, array))


_engines: weakref.WeakKeyDictionary[paddle.nn.Layer, Engine] = weakref.WeakKeyDictionary()


def engine_of(net: paddle.nn.Layer) -> Engine:
    """Return the net's engine."""
    if net not in _engines:
        _engines[net] = Engine(net)
    return _engines[net]
