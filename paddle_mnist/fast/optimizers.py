"""From gradients to updated parameters: directly where that is known to be the same, else by Paddle's optimizer.

A direct step works on the parameters and on the optimizer's own state (moments, velocities) in Paddle's memory, so the
optimizer's ``state_dict`` is at all times what Paddle would have made of it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import paddle

from paddle_mnist.fast import paddle_private
from paddle_mnist.fast.arrays import TensorMemory
from paddle_mnist.fast.compiled import wide
from paddle_mnist.fast.compiled.library import Library, Lists, Steps, library
from paddle_mnist.fast.paddle_private import OptimizerState
from paddle_mnist.fast.products import Gradient
from paddle_mnist.fast.threads import Work


class Helper(Protocol):
    """What computes gradients, and does work for every item by several threads."""

    def computed(self, gradients: Sequence[Gradient]) -> list[np.ndarray]:
        """Return gradients of which none is a product."""

    def do(self, work: Work, items: int) -> None:
        """Do work for every item."""

    def do_steps(self, lists: Lists) -> None:
        """Do lists of compiled steps."""


# Takes the parameters' memory, their gradients, which it may change, and who helps.
Update = Callable[[Sequence[np.ndarray], Sequence[Gradient], Helper], None]


def update_for(optimizer: paddle.optimizer.Optimizer, parameters: Sequence[paddle.Tensor]) -> Update:
    """Return a function that does what ``optimizer.step()`` does.

    Args:
        optimizer: any of Paddle's. Its learning rate is read at each step.
        parameters: those whose memory and gradients the function will be given.
    """
    by_paddle, compiled = _ByPaddle(optimizer, parameters), library()
    try:
        state = paddle_private.state_of(optimizer)
        if state.rule is None or not _is_covered(state, parameters):
            return by_paddle
        paddle_private.accumulators(optimizer, state.rule.state, parameters)
    except AttributeError:  # another version of Paddle
        return by_paddle
    if compiled is not None:
        return _Direct(optimizer, parameters, state, compiled)
    is_plain = type(optimizer) is paddle.optimizer.SGD and not state.decay
    return _Sgd(optimizer, state) if is_plain else by_paddle


def _is_covered(state: OptimizerState, parameters: Sequence[paddle.Tensor]) -> bool:
    """Whether the optimizer updates these parameters, all alike, after a clipping that is known."""
    clips = (type(None), paddle.nn.ClipGradByGlobalNorm, paddle.nn.ClipGradByNorm, paddle.nn.ClipGradByValue)
    return (
        type(state.clip) in clips
        and [id(p) for p in state.parameters if not p.stop_gradient] == [id(p) for p in parameters]
        and not any(map(paddle_private.has_settings_of_its_own, parameters))
    )


class _Sgd:
    """Plain gradient descent in NumPy."""

    def __init__(self, optimizer: paddle.optimizer.SGD, state: OptimizerState) -> None:
        self.optimizer, self.clip = optimizer, state.clip

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[Gradient], helper: Helper) -> None:
        arrays = helper.computed(gradients)
        scale = clip(self.clip, arrays)
        factor = np.float32(self.optimizer.get_lr()) * scale
        for parameter, gradient in zip(parameters, arrays, strict=True):
            gradient *= factor
            parameter -= gradient


class _Direct:
    """A step in one compiled pass over each parameter.

    Where a gradient is a product and is not clipped, each row of it is used as soon as it is computed.
    """

    def __init__(
        self,
        optimizer: paddle.optimizer.Optimizer,
        parameters: Sequence[paddle.Tensor],
        state: OptimizerState,
        compiled: Library,
    ) -> None:
        assert state.rule is not None
        self.optimizer, self.tensors, self.rule, self.clip = optimizer, list(parameters), state.rule, state.clip
        self.compiled = compiled
        self.numbers = np.array([0, 1, state.decay, *state.rule.numbers], np.float32)
        self._memory: TensorMemory | None = None
        self._arrays: Sequence[object] = []
        self._lists = Lists([])
        self._after: list[Steps] = []

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[Gradient], helper: Helper) -> None:
        kept = paddle_private.accumulators(self.optimizer, self.rule.state, self.tensors)
        if self._memory is None or any(a is not b for a, b in zip(self._memory.tensors, kept, strict=True)):
            self._memory = TensorMemory(kept)
        self.numbers[0], self.numbers[1] = self.optimizer.get_lr(), 1
        if self.clip is not None:
            gradients = computed = helper.computed(gradients)
            self.numbers[1] = clip(self.clip, computed)
        state = self._memory.arrays()
        arrays = [*parameters, *state, *gradients]
        if len(arrays) != len(self._arrays) or any(map(operator.is_not, arrays, self._arrays)):
            self._arrays = arrays
            self._prepare(parameters, gradients, state)
        helper.do_steps(self._lists)
        for steps in self._after:
            steps()

    def _prepare(
        self, parameters: Sequence[np.ndarray], gradients: Sequence[Gradient], state: Sequence[np.ndarray]
    ) -> None:
        width, small, after = len(self.rule.state), [], []
        lists: list[Steps] = []
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            own = state[i * width : (i + 1) * width]
            if isinstance(gradient, wide.Product):
                lists += gradient.update(self.rule.kernel, parameter, self.numbers, own)
            else:
                assert isinstance(gradient, np.ndarray)
                arrays = parameter, gradient, parameter.size, self.numbers
                small.append(self.compiled.step(self.rule.kernel, *arrays, *own))
            if self.rule.after:
                after.append(self.compiled.step(self.rule.after, self.numbers, *own))
        self._lists = Lists([*lists, Steps(small)] if small else lists)
        self._after = [Steps(after)] if after else []


def clip(how: object, gradients: Sequence[np.ndarray]) -> np.float32:
    """Clip gradients as one of Paddle's ``ClipGradBy...`` does.

    Returns:
        a factor that still has to be applied to all of them; the others were changed in place.
    """
    if isinstance(how, paddle.nn.ClipGradByValue):
        for gradient in gradients:
            np.clip(gradient, np.float32(how.min), np.float32(how.max), out=gradient)
    elif isinstance(how, paddle.nn.ClipGradByNorm):
        for gradient in gradients:
            gradient *= _scale([gradient], how.clip_norm)
    elif isinstance(how, paddle.nn.ClipGradByGlobalNorm):
        return _scale(gradients, how.clip_norm)
    return np.float32(1)


def _scale(gradients: Sequence[np.ndarray], largest: float) -> np.float32:
    """Return the factor that makes the norm of all gradients together at most ``largest``."""
    norm = math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients))
    # Not ``if norm > largest``: a norm that is not a number has to reach the weights, as it does in Paddle.
    return np.float32(largest / max(largest, norm)) if norm <= math.inf else np.float32(norm)


class _ByPaddle:
    """Gives the gradients to Paddle's optimizer."""

    def __init__(self, optimizer: paddle.optimizer.Optimizer, parameters: Sequence[paddle.Tensor]) -> None:
        self.optimizer, self.parameters = optimizer, list(parameters)

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[Gradient], helper: Helper) -> None:
        for parameter, gradient in zip(self.parameters, helper.computed(gradients), strict=True):
            parameter.grad = paddle.to_tensor(gradient)
        self.optimizer.step()
        self.optimizer.clear_grad()
