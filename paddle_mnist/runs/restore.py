"""A trained net, from a run folder or from a bare file of weights."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from paddle_mnist import learners
from paddle_mnist.errors import UserError, quote
from paddle_mnist.recipes import NET_NAMES, Settings, settings_for
from paddle_mnist.runs import trainer
from paddle_mnist.runs.run import open_run
from paddle_mnist.storage.weights import load_state_dict

# The parameter whose last axis is as wide as the net's output, for each net; the other names and shapes
# are checked against the net itself once this has told which net it is.
PADDLE_NETS = {
    "cnn": {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"},
    "fc": {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"},
    "mlp": {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"},
}
HEADS = {"cnn": "fc.weight", "fc": "fc3.weight"}


def restore(
    path: str | os.PathLike[str], pixel_range: str | None = None, plain: bool = False
) -> tuple[learners.PaddleLearner | learners.NumpyLearner, Settings]:
    """Load a trained net, ready to be asked.

    Args:
        path: a run folder, or a file of weights (``.pdparams``, ``.safetensors``, ``.npz``, or the
            three-layer net's ``.pkl``).
        pixel_range: what the net was trained on, ``"01"``, ``"pm1"`` or ``"raw"``; ``None`` takes the run's own, and
            for a bare file [0, 1].
        plain: run Paddle's layers as they come.

    Returns:
        The learner, and the settings that it goes by (net, task, pixel range).

    Raises:
        UserError: there is no net in ``path``, or its weights fit none of ours.
    """
    path = Path(path)
    if path.is_dir():
        run = open_run(path)
        settings, state, where = run.settings, trainer.best_state(run), str(run.best_path)
    else:
        state, where = load_state_dict(path), str(path)
        settings = recognise(state, where)
    if pixel_range is not None:
        settings = dataclasses.replace(settings, pixel_range=pixel_range)
    learner = learners.build(settings, plain=plain)
    learner.load_state_dict(state, where)
    return learner, settings


def recognise(state: dict[str, np.ndarray], where: str) -> Settings:
    """Tell which net and head weights belong to, from their names and shapes.

    Raises:
        UserError: they are no net's of ours; the sentence lists what was found.
    """
    for net, names in PADDLE_NETS.items():
        if state.keys() == names:
            head = HEADS.get(net)
            width = state[head].shape[-1] if head and state[head].ndim else 10
            if width not in (1, 10):
                raise UserError(
                    f"{where}: {head} has {width} outputs, where 1 (regression) or 10 (classes) are expected"
                )
            return settings_for(net, "regress" if width == 1 else "classify")
    numpy_net = _numpy_net(state)
    if numpy_net is not None:
        return numpy_net
    names = ", ".join(f"{quote(name, 40)} {list(array.shape)}" for name, array in list(state.items())[:12])
    raise UserError(f"{where}: these weights belong to none of the nets {', '.join(NET_NAMES)}: {names}")


def _numpy_net(state: dict[str, np.ndarray]) -> Settings | None:
    """Tell which net written by hand has these weights; W1 of Nielsen's stands the other way round."""
    shape = state["W1"].shape if "W1" in state else ()
    if state.keys() == {"W1", "b1", "W2", "b2", "W3", "b3"}:
        return settings_for("three-layer")
    if state.keys() == {"W1", "b1", "W2", "b2"} and len(shape) == 2 and 784 in shape:
        return (
            settings_for("two-layer", hidden=shape[1]) if shape[0] == 784 else settings_for("nielsen", hidden=shape[0])
        )
    return None
