"""The hand-written nets behind one interface, so that one training loop can train them all.

``LayeredLearner`` and ``SigmoidLearner`` take images as rows [n, 784] and labels as integers [n]:

    net.train_step(images, labels, lr) -> float     one step of gradient descent; the mean loss before the step
    net.outputs(images) -> [n, 10]                  scores; the largest one is the prediction
    net.loss(outputs, labels) -> [n]                the loss of each sample
    net.state_dict(), net.load_state_dict(state)    the weights by name

``NumpyLearner`` wraps either for ``engine.fit``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from paddle_mnist.distributed.team import ALONE, Team
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import Settings
from paddle_mnist.scratch.checks import check_weights, class_indices
from paddle_mnist.scratch.layers import cross_entropy, softmax
from paddle_mnist.scratch.network import Network
from paddle_mnist.scratch.three_layer_net import ThreeLayerNet, scores
from paddle_mnist.scratch.two_layer_net import TwoLayerNet
from paddle_mnist.storage.weights import check_optimizer_state, check_state_dict


class NumpyLearner:
    """One of the hand-written nets, trained by plain SGD; a learner as ``engine.Learner`` describes."""

    engine = "NumPy"
    step = 0
    team: Team = ALONE

    def __init__(self, settings: Settings) -> None:
        self.net = build(settings.net, hidden=settings.hidden, seed=settings.seed)
        self.name, self.lr = settings.net, settings.lr

    def rows(self, n: int) -> slice:
        """Return the rows of a batch of ``n`` samples whose images are needed: all."""
        return slice(0, n)

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Take one gradient step on a batch and return its mean loss before the step."""
        return self.net.train_step(_rows(images), labels[:, 0], self.lr)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the scores [n, 10] for images [n, 1, 28, 28]."""
        return self.net.outputs(_rows(images))

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the loss of each sample, float64 [n], for scores and labels [n, 1]."""
        return self.net.loss(outputs, labels[:, 0])

    def probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of each digit, float64 [n, 10], or ``None`` for sigmoid outputs."""
        return None if self.name == "nielsen" else softmax(outputs.astype(np.float64))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name."""
        return self.net.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray], source: str) -> None:
        """Load weights after checking every name, shape and dtype; ``source`` names their file in an error."""
        check_state_dict(state, self.state_dict(), source)
        self.net.load_state_dict(state)

    def optimizer_state(self) -> dict[str, Any]:
        """Return an empty dict: plain SGD has no state."""
        return {}

    def load_optimizer_state(self, state: dict[str, Any], source: str) -> None:
        """Raise ``UserError`` unless the state is empty."""
        check_optimizer_state(state, {}, (), source)


def build(
    net: str, hidden: int | None = None, seed: int | None = None, dtype: type[np.floating] = np.float32
) -> LayeredLearner | SigmoidLearner:
    """Build the net of a recipe.

    Args:
        net: ``"two-layer"``, ``"three-layer"`` or ``"nielsen"``.
        hidden: units of the hidden layer of ``"two-layer"`` (50 by default) and of ``"nielsen"`` (15).
        seed: fixes the initial weights.
        dtype: of weights and activations. float32 takes half the time of float64, for the same accuracy.

    Raises:
        UserError: there is no net of that name.
    """
    # A spawned stream, because ``seed`` itself begins with the same numbers as ``[seed, 0]``, from which the training
    # loop draws its first order.
    (own,) = np.random.SeedSequence(seed).spawn(1)
    if net == "two-layer":
        return LayeredLearner(TwoLayerNet(784, hidden or 50, 10, seed=own, dtype=dtype))
    if net == "three-layer":
        return LayeredLearner(ThreeLayerNet(seed=own, dtype=dtype))
    if net == "nielsen":
        return SigmoidLearner(Network([784, hidden or 15, 10], seed=own, dtype=dtype))
    raise UserError(f"net must be one of two-layer, three-layer, nielsen, got {net!r}")


class LayeredLearner:
    """A net with ``params`` and ``loss_and_gradient``, trained on softmax and cross entropy."""

    def __init__(self, net: TwoLayerNet | ThreeLayerNet) -> None:
        self.net = net

    def train_step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> float:
        """Take one gradient step on a batch and return its mean loss before the step."""
        loss, gradient = self.net.loss_and_gradient(images, labels)
        for name, parameter in self.net.params.items():
            parameter -= parameter.dtype.type(lr) * gradient[name]
        return loss

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the raw scores [n, 10]; their softmax gives the probabilities."""
        return self.net.predict(images) if isinstance(self.net, TwoLayerNet) else scores(self.net.params, images)

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return each sample's cross entropy, float64 [n]."""
        return cross_entropy(outputs.astype(np.float64), class_indices(labels, *outputs.shape))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name."""
        return {name: value.copy() for name, value in self.net.params.items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Load weights.

        Raises:
            UserError: a name, a shape or a dtype is not the net's, or a value is not finite. The net is unchanged.
        """
        check_weights(state, {name: value.shape for name, value in self.net.params.items()})
        for name, parameter in self.net.params.items():
            parameter[...] = state[name]


class SigmoidLearner:
    """A ``Network``, trained on the quadratic cost; its outputs are activations between 0 and 1."""

    def __init__(self, net: Network) -> None:
        self.net = net

    def train_step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> float:
        """Take one gradient step on a batch and return its mean cost before the step."""
        outputs = self.net.update_mini_batch((images, labels), lr).T
        return float(self.loss(outputs, labels).mean())

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the activations of the output units [n, 10]."""
        return self.net.feedforward(images.T).T

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return each sample's quadratic cost ½‖a - y‖², float64 [n], where y is the one-hot label."""
        difference = outputs.astype(np.float64)
        difference[np.arange(len(outputs)), class_indices(labels, *outputs.shape)] -= 1
        return 0.5 * (difference**2).sum(axis=1)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name: W1 [hidden, 784], b1 [hidden, 1], W2, …"""
        return {name: value.copy() for name, value in self._params().items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Load weights; errors as in ``LayeredLearner``."""
        params = self._params()
        check_weights(state, {name: value.shape for name, value in params.items()})
        for name, parameter in params.items():
            parameter[...] = state[name]

    def _params(self) -> dict[str, np.ndarray]:
        pairs = zip(self.net.weights, self.net.biases, strict=True)
        return {
            f"{kind}{layer}": value
            for layer, pair in enumerate(pairs, start=1)
            for kind, value in zip("Wb", pair, strict=True)
        }


def _rows(images: np.ndarray) -> np.ndarray:
    """Reshape images [n, 1, 28, 28] to rows [n, 784]."""
    return images.reshape(len(images), -1)
