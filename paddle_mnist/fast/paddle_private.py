"""Everything here that Paddle does not promise: private attributes of its layers and optimizers.

Each function answers a question, or raises ``AttributeError`` where this Paddle has no such attribute: the caller goes
on without the fast path then.
"""

from __future__ import annotations

from dataclasses import dataclass

import paddle


def has_hooks(layer: paddle.nn.Layer) -> bool:
    """Whether functions are registered that run before or after ``forward``."""
    return bool(layer._forward_pre_hooks or layer._forward_post_hooks)


def trained_parameters(net: paddle.nn.Layer) -> dict[str, paddle.Tensor]:
    """Return a net's parameters by name, without the running statistics that Paddle counts among them."""
    statistics: set[int] = set()
    for layer in net.sublayers(include_self=True):
        if isinstance(layer, paddle.nn.layer.norm._BatchNormBase):
            statistics |= {id(layer._mean), id(layer._variance)}
    return {name: tensor for name, tensor in net.named_parameters() if id(tensor) not in statistics}


@dataclass(frozen=True)
class OptimizerState:
    """What decides how an optimizer turns gradients into a step.

    Attributes:
        parameters: the tensors that it updates.
        clip: a ``ClipGradBy...``, or ``None``.
        regularization: a ``paddle.regularizer``, or ``None``.
    """

    parameters: list
    clip: object
    regularization: object


def state_of(optimizer: paddle.optimizer.Optimizer) -> OptimizerState:
    """Return how the optimizer is set up."""
    return OptimizerState(list(optimizer._parameter_list), optimizer._grad_clip, optimizer.regularization)


def has_settings_of_its_own(parameter: paddle.Tensor) -> bool:
    """Whether a parameter has a regularizer, a learning rate or an exemption from clipping of its own."""
    return (
        parameter.regularizer is not None
        or not parameter.need_clip
        or parameter.optimize_attr != {"learning_rate": 1.0}
    )
