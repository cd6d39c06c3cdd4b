"""Everything here that Paddle does not promise: private attributes of its layers and optimizers.

Each function answers a question, or raises ``AttributeError`` where this Paddle has no such attribute: the caller goes
on without the fast path then.
"""

from __future__ import annotations

from collections.abc import Sequence
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
class Rule:
    """How a compiled kernel does an optimizer's step.

    Attributes:
        kernel: its name in updates.h.
        numbers: the optimizer's own, in the kernel's order.
        state: the names of what Paddle keeps for each parameter, in the kernel's order.
        after: the kernel for what follows once a parameter is updated as a whole, if any.
    """

    kernel: str
    numbers: tuple[float, ...] = ()
    state: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True)
class OptimizerState:
    """What decides how an optimizer turns gradients into a step.

    Attributes:
        parameters: the tensors that it updates.
        clip: a ``ClipGradBy...``, or ``None``.
        decay: the coefficient of an L2 penalty, which is added to the gradient after clipping.
        rule: the step itself; ``None`` where no kernel is known to do the same.
    """

    parameters: list[paddle.Tensor]
    clip: object
    decay: float
    rule: Rule | None


def state_of(optimizer: paddle.optimizer.Optimizer) -> OptimizerState:
    """Return how the optimizer is set up."""
    regularization, decay, rule = optimizer.regularization, 0.0, _rule_of(optimizer)
    if type(regularization) is paddle.regularizer.L2Decay:
        decay = float(regularization._coeff)
    elif regularization is not None:
        rule = None
    elif type(optimizer) is paddle.optimizer.Momentum and optimizer._regularization_method == "l2_decay":
        decay = float(optimizer._regularization_coeff)
    if isinstance(optimizer._parameter_list[0], dict):
        return OptimizerState([], optimizer._grad_clip, decay, None)
    return OptimizerState(list(optimizer._parameter_list), optimizer._grad_clip, decay, rule)


def _rule_of(optimizer: paddle.optimizer.Optimizer) -> Rule | None:
    kinds = paddle.optimizer
    if type(optimizer) is kinds.SGD:
        return Rule("sgd")
    if type(optimizer) is kinds.Momentum and optimizer._rescale_grad == 1 and not optimizer._use_multi_tensor:
        numbers = float(optimizer._momentum), float(optimizer._use_nesterov)
        return Rule("momentum", numbers, ("velocity",))
    if type(optimizer) is kinds.RMSProp:
        settings = optimizer._rho, optimizer._epsilon, optimizer._momentum, optimizer._centered
        return Rule("rmsprop", tuple(map(float, settings)), ("mean_square", "momentum", "mean_grad"))
    if type(optimizer) in (kinds.Adam, kinds.AdamW) and not optimizer._amsgrad:
        betas = optimizer._beta1, optimizer._beta2, optimizer._epsilon
        decoupled = 0.0
        if type(optimizer) is kinds.AdamW:
            if optimizer._apply_decay_param_fun is not None or optimizer._lr_ratio is not None:
                return None
            decoupled = optimizer._weight_decay
        elif optimizer._use_multi_tensor:
            return None
        if not all(isinstance(number, (int, float)) for number in (*betas, decoupled)):
            return None
        state = "moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"
        return Rule("adam", (*map(float, betas), float(decoupled)), state, "adam_powers")
    return None


def accumulators(
    optimizer: paddle.optimizer.Optimizer, names: Sequence[str], parameters: Sequence[paddle.Tensor]
) -> list[paddle.Tensor]:
    """Return what the optimizer keeps for the parameters, one parameter's after the other's; made before a first step.

    A state that was loaded before is taken over as it is made.
    """
    kept = optimizer._accumulators
    if not all(parameter.name in kept.get(name, ()) for parameter in parameters for name in names):
        program = paddle.static.default_main_program()
        optimizer.helper = paddle.base.layer_helper.LayerHelper(type(optimizer).__name__)
        optimizer._create_accumulators(program.global_block(), list(parameters))
    return [kept[name][parameter.name] for parameter in parameters for name in names]


def has_settings_of_its_own(parameter: paddle.Tensor) -> bool:
    """Whether a parameter has a regularizer, a learning rate or an exemption from clipping of its own."""
    return (
        parameter.regularizer is not None
        or not parameter.need_clip
        or parameter.optimize_attr != {"learning_rate": 1.0}
    )
