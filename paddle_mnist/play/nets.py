"""Trained nets in memory: loaded once, and again when their weights change. Only the worker's thread uses them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.errors import UserError
from paddle_mnist.play.models import Model
from paddle_mnist.play.replies import RefusedError
from paddle_mnist.recipes import Settings

if TYPE_CHECKING:
    from paddle_mnist.engine import Learner
    from paddle_mnist.inspection.activations import Inside

MAX_LOADED = 40  # nets that are kept
WHICH = ("best", "newest")  # weights of a run


class Net:
    """A trained net.

    Attributes:
        mark: of the weights that it has.
        learner: answers; see ``engine.Learner``.
        settings: of its run.
        kept: what was computed with these weights, by name; cleared when they change.
    """

    def __init__(self, learner: Learner, settings: Settings) -> None:
        self.learner, self.settings = learner, settings
        self.mark: str | None = None
        self.kept: dict[str, Any] = {}
        self._inside: Inside | None = None

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the raw outputs [n, 1] or [n, 10] for images uint8 [n, 28, 28]."""
        from paddle_mnist.loader import to_input

        return self.learner.outputs(to_input(images, self.settings.pixel_range))

    @property
    def inside(self) -> Inside:
        """What the net computes, read once."""
        if self._inside is None:
            from paddle_mnist.inspection.activations import inside

            self._inside = inside(self.learner, self.settings)
        return self._inside

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights by the names in ``inside.graph``."""
        if "weights" not in self.kept:
            self.kept["weights"] = self.inside.weights(self.learner)
        return self.kept["weights"]


class Nets:
    """The nets in memory, the latest used last."""

    def __init__(self) -> None:
        self._nets: OrderedDict[tuple[str, str], Net] = OrderedDict()

    def get(self, model: Model, which: str = "best") -> Net:
        """Return a model's net with its present weights.

        Args:
            model: a run that is listed.
            which: ``"best"`` for the best weights of a run, ``"newest"`` for those of its newest checkpoint. Either
                stands in where the other is missing.

        Raises:
            RefusedError: the model has no weights, or none that can be looked into.
            UserError: the weights are damaged.
        """
        run = model.run
        if run is None or not model.trained:
            raise RefusedError(409, f"{model.id} has no weights yet: wait for its first epoch.")
        if which == "best" and model.best is None:
            which = "newest"
        mark = model.best if which == "best" else model.newest
        key = (model.id, which)
        net = self._nets.get(key)
        if net is None or net.settings != run.settings:
            net = Net(_build(run.settings), run.settings)
        if net.mark != mark:
            _load(net, model, which)
            net.mark, net.kept = mark, {}
        self._nets[key] = net
        self._nets.move_to_end(key)
        while len(self._nets) > MAX_LOADED:
            self._nets.popitem(last=False)
        return net


def _build(settings: Settings) -> Learner:
    cpu.tune()
    from paddle_mnist import learners

    return learners.build(settings)


def _load(net: Net, model: Model, which: str) -> None:
    from paddle_mnist.runs.restore import newest_state

    run = model.run
    assert run is not None
    try:
        state, source = (run.best_state(), str(run.best_path)) if which == "best" else newest_state(run)
    except OSError as error:  # a checkpoint that was removed meanwhile
        raise UserError(f"the weights of {model.id} cannot be read: {error.strerror or error}") from error
    net.learner.load_state_dict(state, source)
