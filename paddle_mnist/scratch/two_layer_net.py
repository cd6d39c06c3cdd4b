"""A two-layer net, trained by backpropagation through its layers.

From chapter 5 of *Deep Learning from Scratch* (Koki Saitoh, O'Reilly Japan, 2016), in the variant of the course, which
also has a ReLU after the last layer:

    pixels [784] → Affine → ReLU → [50] → Affine → ReLU → ten scores → softmax and cross entropy
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddle_mnist.scratch.checks import check_not_empty, check_positive, check_sizes, class_indices
from paddle_mnist.scratch.layers import Affine, ReLU, SoftmaxWithLoss, softmax
from paddle_mnist.scratch.mnist import as_text


class TwoLayerNet:
    """Affine, ReLU, Affine, ReLU: a score for each class, never below 0.

    The last ReLU is a risk. If the score of a class is 0 for every digit of that class, no gradient passes back through
    it, and the class is never learned. With biases that begin at 0, as in the book, this happens to one seed in four:
    of seeds 0 to 39, trained on raw pixels by the course's recipe, ten end between 75 and 87 % on the test digits.
    Initial scores vary by about 1 around their bias, so the biases of the last layer begin at 5, which puts 99.9 % of
    the scores above 0. The same forty seeds then end between 95.8 and 96.8 %, 96.3 % on average.

    Args:
        input_size: numbers per sample, 784 for a digit.
        hidden_size: units of the hidden layer.
        output_size: classes.
        weight_init_std: the standard deviation of the initial weights.
        seed: fixes the initial weights; ``None`` gives different ones each time.
        dtype: of the parameters; float64 to check gradients, float32 to train fast.
        last_bias: the initial biases of the last layer; those of the first begin at 0.

    Attributes:
        params: ``W1`` [input_size, hidden_size], ``b1`` [hidden_size], ``W2`` [hidden_size, output_size], ``b2``
            [output_size]. Training changes them, in place or by setting new arrays.

    Raises:
        UserError: a size is not an integer of at least 1, or the standard deviation is not a number above 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        seed: int | np.random.SeedSequence | None = None,
        dtype: type[np.floating] = np.float64,
        last_bias: float = 5.0,
    ) -> None:
        check_sizes([input_size, hidden_size, output_size])
        check_positive("weight_init_std", weight_init_std)
        rng = np.random.default_rng(seed)
        self.params = {
            "W1": (weight_init_std * rng.standard_normal((input_size, hidden_size))).astype(dtype),
            "b1": np.zeros(hidden_size, dtype),
            "W2": (weight_init_std * rng.standard_normal((hidden_size, output_size))).astype(dtype),
            "b2": np.full(output_size, last_bias, dtype),
        }

    def layers(self) -> list[Affine | ReLU]:
        """Return new layers, in their order.

        The net holds the parameters; a layer holds the intermediate values of one pass. With new layers for each pass,
        none can use weights that were replaced since, or mix up two passes.
        """
        p = self.params
        return [Affine(p["W1"], p["b1"]), ReLU(), Affine(p["W2"], p["b2"]), ReLU()]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the scores [n, output_size] for samples x [n, input_size]; the largest is the net's prediction."""
        for layer in self.layers():
            x = layer.forward(x)
        return x

    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the mean cross entropy of samples x with their labels t, integers [n] or one-hot rows."""
        return SoftmaxWithLoss().forward(self.predict(x), t)

    def accuracy(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the share of samples x whose label in t is the net's prediction."""
        scores = self.predict(x)
        check_not_empty(x)
        return float((scores.argmax(axis=1) == class_indices(t, *scores.shape)).mean())

    def gradient(self, x: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradient of ``loss(x, t)`` with respect to each parameter, by the parameter's name."""
        return self.loss_and_gradient(x, t)[1]

    def loss_and_gradient(self, x: np.ndarray, t: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Return ``loss(x, t)`` and ``gradient(x, t)`` from one forward and one backward pass."""
        layers = self.layers()
        for layer in layers:
            x = layer.forward(x)
        last = SoftmaxWithLoss()
        loss = last.forward(x, t)

        dy = last.backward()
        for layer in reversed(layers):
            dy = layer.backward(dy)
        first, second = (layer for layer in layers if isinstance(layer, Affine))
        return loss, {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}


@dataclass(frozen=True)
class Prediction:
    """A net's prediction for one digit; ``str`` draws the digit too.

    Attributes:
        index: its place among the digits.
        image: its pixels [784].
        label: the digit that it shows.
        digit: the digit with the largest score.
        probability: the softmax probability of that digit.
    """

    index: int
    image: np.ndarray
    label: int
    digit: int
    probability: float

    def __str__(self) -> str:
        verdict = f"digit {self.index}: {self.label}, predicted {self.digit} ({self.probability:.1%})"
        return f"{as_text(self.image)}\n{verdict}"


def predict_random_digit(net: TwoLayerNet, x: np.ndarray, t: np.ndarray, rng: np.random.Generator) -> Prediction:
    """Classify a random one of the digits x [n, 784] with labels t, integers [n]."""
    check_not_empty(x)
    index = int(rng.integers(len(x)))
    scores = net.predict(x[[index]])
    label = class_indices(t[[index]], *scores.shape)[0]
    digit = int(scores.argmax())
    return Prediction(index, x[index], int(label), digit, float(softmax(scores)[0, digit]))
