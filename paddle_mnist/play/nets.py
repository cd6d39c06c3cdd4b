"""Trained nets in memory: loaded once, and again when their weights change. Only the worker's thread uses them."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Generator
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.errors import UserError
from paddle_mnist.play.models import BUNDLED, READER, Model, answer_kind
from paddle_mnist.play.replies import RefusedError
from paddle_mnist.recipes import NETS, Settings, settings_for
from paddle_mnist.runs.run import Run

if TYPE_CHECKING:
    from paddle_mnist.engine import Learner
    from paddle_mnist.inspection.activations import Inside

State = dict[str, np.ndarray]  # weights by name

MAX_LOADED = 40  # nets that are kept
WHICH = ("best", "newest")  # weights of a run


class Net:
    """A net with weights, whichever way it is evaluated.

    Attributes:
        mark: of the weights that it has.
        pixel_range: what it was trained on.
        kept: what was computed with these weights, by name; cleared when they change.
    """

    def __init__(self, pixel_range: str) -> None:
        self.pixel_range = pixel_range
        self.mark: str | None = None
        self.kept: dict[str, Any] = {}

    @property
    def inside(self) -> Inside:
        """What the net computes.

        Raises:
            UserError: it cannot be looked into.
        """
        raise NotImplementedError

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights by the names in ``inside.graph``."""
        raise NotImplementedError

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the raw outputs [n, 1] or [n, 10] for images uint8 [n, 28, 28]."""
        from paddle_mnist.fast.frozen import Frozen
        from paddle_mnist.loader import to_input

        if "frozen" not in self.kept:
            self.kept["frozen"] = Frozen(self.inside.graph, self.weights)
        return self.kept["frozen"](to_input(images, self.pixel_range))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return what the last layer is given, float32 [n, features], for images uint8 [n, 28, 28]."""
        from paddle_mnist.inspection.neighbours import feature_extractor

        if "extractor" not in self.kept:
            self.kept["extractor"] = feature_extractor(self.inside, self.weights, self.pixel_range)
        return self.kept["extractor"](images)

    def answer(self, images: np.ndarray) -> dict[str, Any]:
        """Return what the page is told about images uint8 [n, 28, 28]."""
        raise NotImplementedError


class Architecture:
    """What the runs of one architecture share: building a net, and reading its graph, takes as long as 100 answers.

    Attributes:
        learner: checks the weights of every run, and computes what a graph cannot express.
    """

    def __init__(self, settings: Settings) -> None:
        cpu.tune()
        from paddle_mnist import learners

        self.learner: Learner = learners.build(settings)
        self._settings = settings
        self._inside: Inside | UserError | None = None
        self._state: State | None = None  # the weights that the learner has

    @property
    def inside(self) -> Inside:
        """What the net computes, whatever its weights; read once.

        Raises:
            UserError: it cannot be looked into.
        """
        if self._inside is None:
            from paddle_mnist.inspection.activations import inside

            try:
                self._inside = inside(self.learner, self._settings)
            except UserError as error:
                self._inside = error
        if isinstance(self._inside, UserError):
            raise self._inside
        return self._inside

    def load(self, state: State, source: str) -> Learner:
        """Return the learner with the weights of a run.

        Raises:
            UserError: they are damaged; ``source`` names their file.
        """
        if state is not self._state:
            self.learner.load_state_dict(state, source)
            self._state = state
        return self.learner


class RunNet(Net):
    """The net of a run.

    Attributes:
        architecture: of the net.
        settings: of its run.
    """

    def __init__(self, architecture: Architecture, settings: Settings) -> None:
        super().__init__(settings.pixel_range)
        self.architecture, self.settings = architecture, settings
        self._has_probabilities = answer_kind(settings) == "probabilities"
        self._state: State = {}
        self._source = ""

    def load(self, state: State, source: str, mark: str | None) -> None:
        """Take new weights.

        Raises:
            UserError: they are damaged; the net keeps those that it has.
        """
        self.architecture.load(state, source)
        self._state, self._source, self.mark, self.kept = state, source, mark, {}

    @property
    def inside(self) -> Inside:
        """What the net computes."""
        return self.architecture.inside

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights by the names in ``inside.graph``."""
        if "weights" not in self.kept:
            self.kept["weights"] = self.inside.weights(self._learner)
        return self.kept["weights"]

    @property
    def _learner(self) -> Learner:
        """The architecture's, with this run's weights until another run needs it."""
        return self.architecture.load(self._state, self._source)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the raw outputs [n, 1] or [n, 10] for images uint8 [n, 28, 28]."""
        from paddle_mnist.loader import to_input

        try:
            return super().outputs(images)
        except UserError:  # it cannot be looked into
            return self._learner.outputs(to_input(images, self.pixel_range))

    def answer(self, images: np.ndarray) -> dict[str, Any]:
        """Return digits, winning outputs, probabilities and scores."""
        from paddle_mnist.metrics import predicted_digits
        from paddle_mnist.scratch.layers import softmax

        outputs = self.outputs(images)
        probabilities = softmax(outputs.astype(np.float64)) if self._has_probabilities else None
        return {
            "digits": predicted_digits(outputs).tolist(),
            "values": outputs.max(axis=1).tolist(),
            "probabilities": None if probabilities is None else probabilities.tolist(),
            "scores": None if outputs.shape[1] == 1 else outputs.tolist(),
        }


class ReaderNet(Net):
    """The bundled reader, which may answer that an image shows no single digit."""

    def __init__(self) -> None:
        super().__init__("01")
        self.mark = BUNDLED

    @property
    def inside(self) -> Inside:
        """What the reader computes."""
        return self._looked_into()[0]

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Its weights."""
        return self._looked_into()[1]

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the raw outputs of the ten digits, without that of no digit."""
        return super().outputs(images)[:, :10]

    def answer(self, images: np.ndarray) -> dict[str, Any]:
        """Return digits, ``None`` for what is none, and probabilities that sum to less than 1 by that of no digit."""
        from paddle_mnist.pictures.reader import prediction

        found = prediction(super().outputs(images))
        return {
            "digits": [digit if digit >= 0 else None for digit in found.digits.tolist()],
            "values": found.values.tolist(),
            "probabilities": None if found.probabilities is None else found.probabilities.tolist(),
        }

    def _looked_into(self) -> tuple[Inside, dict[str, np.ndarray]]:
        if "inside" not in self.kept:
            from paddle_mnist.inspection.bundled import reader_inside

            self.kept["inside"] = reader_inside()
        return self.kept["inside"]


class Nets:
    """The nets in memory, the latest used last."""

    def __init__(self) -> None:
        self._nets: OrderedDict[tuple[str, str], RunNet] = OrderedDict()
        self._architectures: WeakValueDictionary[tuple[str, str, int | None], Architecture] = WeakValueDictionary()
        self._prepared: list[Architecture] = []
        self._reader = ReaderNet()

    def prepare(self) -> Generator[None, None, None]:
        """Build a net of every architecture, so that no answer waits for it."""
        cpu.tune()
        from paddle_mnist.inspection import saliency  # noqa: F401 - takes long to import

        for name, recipe in NETS.items():
            for task in recipe.defaults:
                yield
                architecture = self._architecture(settings_for(name, task))
                self._prepared.append(architecture)
                yield
                architecture.learner.outputs(np.zeros((1, 1, 28, 28), np.float32))
                yield
                with contextlib.suppress(UserError):  # what cannot be looked into says so when it is asked
                    _ = architecture.inside

    def get(self, model: Model, which: str = "best") -> Net:
        """Return a model's net with its present weights.

        Args:
            model: the reader, or a run that is listed.
            which: ``"best"`` for the best weights of a run, ``"newest"`` for those of its newest checkpoint. Either
                stands in where the other is missing.

        Raises:
            RefusedError: the model has no weights, or none that can be looked into.
            UserError: the weights are damaged.
        """
        if model.id == READER:
            return self._reader
        run = model.run
        if run is None or not model.trained:
            raise RefusedError(409, f"{model.id} has no weights yet: wait for its first epoch.")
        if which == "best" and model.best is None:
            which = "newest"
        mark = model.best if which == "best" else model.newest
        key = (model.id, which)
        net = self._nets.get(key)
        if net is None or net.settings != run.settings:
            net = RunNet(self._architecture(run.settings), run.settings)
        if net.mark != mark:
            net.load(*_read(model, run, which), mark)
        self._nets[key] = net
        self._nets.move_to_end(key)
        while len(self._nets) > MAX_LOADED:
            self._nets.popitem(last=False)
        return net

    def forget(self, name: str) -> None:
        """Drop what nets have kept by a name."""
        for net in (self._reader, *self._nets.values()):
            net.kept.pop(name, None)

    def _architecture(self, settings: Settings) -> Architecture:
        key = settings.net, settings.task, settings.hidden
        found = self._architectures.get(key)
        if found is None:
            found = self._architectures[key] = Architecture(settings)
        return found


def _read(model: Model, run: Run, which: str) -> tuple[State, str]:
    """Return the weights of a run, and where they were found."""
    from paddle_mnist.runs.restore import newest_state

    try:
        return (run.best_state(), str(run.best_path)) if which == "best" else newest_state(run)
    except OSError as error:  # a checkpoint that was removed meanwhile
        raise UserError(f"the weights of {model.id} cannot be read: {error.strerror or error}") from error
