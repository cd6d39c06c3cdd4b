"""From gradients to updated parameters: directly where that is known to be the same, else by Paddle's optimizer.

A direct step works on the parameters and on the optimizer's own state (moments, velocities) in Paddle's memory, so the
optimizer's ``state_dict`` is at all times what Paddle would have made of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import paddle

from paddle_mnist.fast import paddle_private
from paddle_mnist.fast.arrays import TensorMemory
from paddle_mnist.fast.compiled.library import Library, Steps, library
from paddle_mnist.fast.paddle_private import OptimizerState

# Takes the parameters' memory and their gradients, which it may change.
Update = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], None]


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

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        scale = clip(self.clip, gradients)
        factor = np.float32(self.optimizer.get_lr()) * scale
        for parameter, gradient in zip(parameters, gradients, strict=True):
            gradient *= factor
            parameter -= gradient


class _Direct:
    """A step in one compiled pass over each parameter."""

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
        self._addresses: list[int] = []
        self._steps: Steps | None = None

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        kept = paddle_private.accumulators(self.optimizer, self.rule.state, self.tensors)
        if self._memory is None or any(a is not b for a, b in zip(self._memory.tensors, kept, strict=True)):
            self._memory = TensorMemory(kept)
        arrays = [*parameters, *gradients, *self._memory.arrays()]
        addresses = [array.ctypes.data for array in arrays]
        if self._steps is None or addresses != self._addresses:
            self._addresses, self._steps = addresses, self._prepared(arrays)
        self.numbers[0], self.numbers[1] = self.optimizer.get_lr(), clip(self.clip, gradients)
        self._steps()

    def _prepared(self, arrays: Sequence[np.ndarray]) -> Steps:
        count, width = len(self.tensors), len(self.rule.state)
        steps = []
        for i in range(count):
            state = arrays[2 * count + i * width : 2 * count + (i + 1) * width]
            pair = arrays[i], arrays[count + i]
            steps.append(self.compiled.step(self.rule.kernel, *pair, pair[0].size, self.numbers, *state))
        return Steps(steps)


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

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = paddle.to_tensor(gradient)
        self.optimizer.step()
        self.optimizer.clear_grad()
