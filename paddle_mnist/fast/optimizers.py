"""From gradients to updated parameters: directly where that is known to be the same, else by Paddle's optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import paddle

from paddle_mnist.fast import paddle_private

# Takes the parameters' memory and their gradients, which it may change.
Update = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], None]


def update_for(optimizer: paddle.optimizer.Optimizer, parameters: Sequence[paddle.Tensor]) -> Update:
    """Return a function that does what ``optimizer.step()`` does.

    Args:
        optimizer: any of Paddle's. Its learning rate is read at each step.
        parameters: those whose memory and gradients the function will be given.
    """
    try:
        if _is_plain_sgd(optimizer, parameters):
            return _Sgd(optimizer)
    except AttributeError:  # another version of Paddle
        pass
    return _ByPaddle(optimizer, parameters)


def _is_plain_sgd(optimizer: paddle.optimizer.Optimizer, parameters: Sequence[paddle.Tensor]) -> bool:
    """Whether a step of the optimizer is ``parameter -= lr * gradient``, perhaps clipped by the global norm."""
    state = paddle_private.state_of(optimizer)
    return (
        type(optimizer) is paddle.optimizer.SGD
        and state.regularization is None
        and (state.clip is None or type(state.clip) is paddle.nn.ClipGradByGlobalNorm)
        and [id(p) for p in state.parameters if not p.stop_gradient] == [id(p) for p in parameters]
        and not any(map(paddle_private.has_settings_of_its_own, parameters))
    )


class _Sgd:
    """Plain gradient descent."""

    def __init__(self, optimizer: paddle.optimizer.SGD) -> None:
        self.optimizer, self.clip = optimizer, paddle_private.state_of(optimizer).clip

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        if self.clip is not None:
            clip_by_global_norm(gradients, self.clip.clip_norm)
        lr = np.float32(self.optimizer.get_lr())
        for parameter, gradient in zip(parameters, gradients, strict=True):
            gradient *= lr
            parameter -= gradient


def clip_by_global_norm(gradients: Sequence[np.ndarray], largest: float) -> None:
    """Scale gradients down, in place, so that the norm of all of them together is at most ``largest``."""
    norm = math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients))
    # Not ``if norm > largest``: a norm that is not a number has to reach the weights, as it does in Paddle.
    scale = np.float32(largest / max(largest, norm)) if norm <= math.inf else np.float32(norm)
    if scale != 1:
        for gradient in gradients:
            gradient *= scale


class _ByPaddle:
    """Gives the gradients to Paddle's optimizer."""

    def __init__(self, optimizer: paddle.optimizer.Optimizer, parameters: Sequence[paddle.Tensor]) -> None:
        self.optimizer, self.parameters = optimizer, list(parameters)

    def __call__(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = paddle.to_tensor(gradient)
        self.optimizer.step()
        self.optimizer.clear_grad()
