"""A trained net, loaded from a run folder or from a bare weight file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from paddle_mnist import learners
from paddle_mnist.engine import Learner
from paddle_mnist.errors import UserError, quote
from paddle_mnist.recipes import NETS, Settings, settings_for
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import Run, open_run
from paddle_mnist.storage.weights import load_state_dict

Shapes = dict[str, tuple[int, ...]]


def restore(
    path: str | os.PathLike[str], pixel_range: str | None = None, plain: bool = False
) -> tuple[Learner, Settings]:
    """Load a trained net, ready to predict.

    Args:
        path: a run folder, or a weight file (``.pdparams``, ``.safetensors``, ``.npz``, or a ``.pkl`` of the
            three-layer net).
        pixel_range: what the net was trained on, ``"01"``, ``"pm1"`` or ``"raw"``; ``None`` takes the run's own, and
            [0, 1] for a bare file.
        plain: use Paddle's own layers.

    Returns:
        The learner, and its settings (net, task, pixel range).

    Raises:
        UserError: there is no net in ``path``, or its weights fit none of ours.
    """
    path = Path(path)
    if path.is_dir():
        run = open_run(path)
        settings, state, source = run.settings, run.best_state(), str(run.best_path)
    else:
        state, source = load_state_dict(path), str(path)
        settings = recognise(state, source)
    if pixel_range is not None:
        settings = dataclasses.replace(settings, pixel_range=pixel_range)
    learner = learners.build(settings, plain=plain)
    learner.load_state_dict(state, source)
    return learner, settings


def newest_state(run: Run) -> tuple[dict[str, np.ndarray], str]:
    """Return the weights of a run's newest checkpoint, or its best ones if it has none, and where they were found.

    Raises:
        UserError: there are none yet, or they are damaged.
    """
    found = checkpoint.latest(run.path, lambda message: None)
    if found is None:
        return run.best_state(), str(run.best_path)
    return found[0], f"the newest checkpoint of {run.path}"


def recognise(state: dict[str, np.ndarray], source: str) -> Settings:
    """Return the default settings of the net that has parameters of these names and shapes.

    Raises:
        UserError: no net has; the sentence lists what was found.
    """
    if not state:
        raise UserError(f"{source} holds no arrays: give a file with the weights of a net")
    found = {name: array.shape for name, array in state.items()}
    same_names = None
    for settings, shapes in _candidates(found):
        if shapes == found:
            return settings
        if shapes.keys() == found.keys():
            same_names = same_names or (settings, shapes)
    if same_names:
        settings, shapes = same_names
        name = next(name for name in shapes if shapes[name] != found[name])
        raise UserError(
            f"{source}: {name} of net {settings.net} must have shape {list(shapes[name])}, got {list(found[name])}"
        )
    listed = ", ".join(f"{quote(name, 40)} {list(shape)}" for name, shape in list(found.items())[:12])
    raise UserError(f"{source}: these weights fit none of the nets {', '.join(NETS)}: {listed}")


def _candidates(found: Shapes) -> Iterator[tuple[Settings, Shapes]]:
    """Yield the default settings of every net and task with the shapes of its parameters."""
    for name, net in NETS.items():
        for task in net.defaults:
            settings = settings_for(name, task, hidden=_hidden(name, found))
            state = learners.build(settings, plain=True).state_dict()
            yield settings, {key: array.shape for key, array in state.items()}


def _hidden(name: str, found: Shapes) -> int | None:
    """Return the size of the hidden layer that weights have, for a net that leaves it open."""
    if NETS[name].hidden is None or len(found.get("b1", ())) == 0:
        return None
    return max(found["b1"]) if 1 <= max(found["b1"]) <= 4096 else None
