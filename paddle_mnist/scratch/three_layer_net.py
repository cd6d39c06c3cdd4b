"""A three-layer net that classifies digits with given weights.

From chapter 3 of *Deep Learning from Scratch* (Koki Saitoh, O'Reilly Japan, 2016), where the weights come in a file:

    pixels [784] → Affine → sigmoid → [50] → Affine → sigmoid → [100] → Affine → softmax → ten probabilities

The functions take the weights as a dict of arrays W1 b1 W2 b2 W3 b3. ``ThreeLayerNet`` trains such weights by
backpropagation, which the book introduces in chapter 5.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.scratch.checks import (
    check_not_empty,
    check_positive,
    check_rows,
    check_sizes,
    check_weights,
    class_indices,
)
from paddle_mnist.scratch.layers import Affine, Sigmoid, SoftmaxWithLoss, sigmoid, softmax
from paddle_mnist.scratch.mnist import load_mnist
from paddle_mnist.storage.weights import load_state_dict

__all__ = ["ThreeLayerNet", "WalkThrough", "accuracy", "load_mnist", "load_weights", "predict", "walk_through"]

Weights = Mapping[str, np.ndarray]

SIZES = (784, 50, 100, 10)


def load_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the weights of a 784-50-100-10 net.

    Args:
        path: a ``.npz``, or a ``.pkl`` such as the book's ``sample_weight.pkl``: a pickled dict of arrays. The pickle
            is parsed as data; none of its code is run.

    Returns:
        ``W1`` [784, 50], ``b1`` [50], ``W2`` [50, 100], ``b2`` [100], ``W3`` [100, 10], ``b3`` [10], in the float
        dtype of the file.

    Raises:
        UserError: the file cannot be read, or does not hold finite floats of exactly these names and shapes.
    """
    found = load_state_dict(path)
    check_weights(found, shapes(SIZES), str(path))
    return {name: found[name] for name in shapes(SIZES)}


def shapes(sizes: tuple[int, int, int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter, by name, of a net with these layer sizes, input first."""
    result: dict[str, tuple[int, ...]] = {}
    for layer in (1, 2, 3):
        result[f"W{layer}"] = (sizes[layer - 1], sizes[layer])
        result[f"b{layer}"] = (sizes[layer],)
    return result


def scores(weights: Weights, x: np.ndarray) -> np.ndarray:
    """Return the raw scores [n, 10], before the softmax, for images x [n, 784] with pixels in [0, 1]."""
    check_rows(x, len(weights["W1"]))
    a1 = sigmoid(x @ weights["W1"] + weights["b1"])
    a2 = sigmoid(a1 @ weights["W2"] + weights["b2"])
    return a2 @ weights["W3"] + weights["b3"]


def predict(weights: Weights, x: np.ndarray) -> np.ndarray:
    """Return the probabilities of the ten digits, [n, 10], or [10] for a single image.

    Args:
        weights: as ``load_weights`` returns them.
        x: images [n, 784] or [784], pixels in [0, 1].

    Raises:
        UserError: x has another shape.
    """
    if isinstance(x, np.ndarray) and x.ndim == 1:
        return predict(weights, x[np.newaxis])[0]
    return softmax(scores(weights, x))


def accuracy(weights: Weights, images: np.ndarray, labels: np.ndarray, batch_size: int = 100) -> float:
    """Return the share of images that are classified correctly, computed batch by batch.

    Args:
        weights: as ``load_weights`` returns them.
        images: [n, 784], pixels in [0, 1].
        labels: integers [n], or one-hot rows [n, 10].
        batch_size: images per forward pass. The last batch takes the rest, so that every image is counted.

    Raises:
        UserError: the arrays don't match, are empty, or hold a label that is not a digit.
    """
    check_positive("batch_size", batch_size, integer=True)
    check_rows(images, len(weights["W1"]), "images")
    check_not_empty(images, "images")
    labels = class_indices(labels, len(images), weights["b3"].size)
    right = 0
    for first in range(0, len(images), batch_size):
        batch = slice(first, first + batch_size)
        right += int((predict(weights, images[batch]).argmax(axis=1) == labels[batch]).sum())
    return right / len(images)


@dataclass(frozen=True)
class WalkThrough:
    """The forward pass of one image, as ``walk_through`` records it; ``str`` gives it as a table.

    Attributes:
        shapes: the name and the shape of each array, in the order of the forward pass.
        probabilities: of the ten digits, [10].
        digit: the most probable one.
    """

    shapes: list[tuple[str, tuple[int, ...]]]
    probabilities: np.ndarray
    digit: int

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.shapes)
        lines = [f"{name:<{width}}  {' by '.join(map(str, shape))}" for name, shape in self.shapes]
        lines += [
            f"{digit}: {p:7.2%}{'  ←' if digit == self.digit else ''}" for digit, p in enumerate(self.probabilities)
        ]
        return "\n".join(lines)


def walk_through(weights: Weights, image: np.ndarray) -> WalkThrough:
    """Classify one image [784] or [28, 28], pixels in [0, 1], and record each array's shape in the forward pass."""
    x = np.ravel(image)
    check_rows(x[np.newaxis], len(weights["W1"]), "image")
    seen: list[tuple[str, tuple[int, ...]]] = [("x", x.shape)]
    for layer in "123":
        W, b = weights["W" + layer], weights["b" + layer]
        z = x @ W + b
        x = sigmoid(z) if layer != "3" else softmax(z[np.newaxis])[0]
        name = f"sigmoid(· W{layer} + b{layer})" if layer != "3" else "softmax(· W3 + b3)"
        seen += [(f"W{layer}", W.shape), (f"b{layer}", b.shape), (name, x.shape)]
    return WalkThrough(seen, x, int(x.argmax()))


class ThreeLayerNet:
    """The same net, with weights that can be trained.

    Args:
        sizes: units of each layer, input first.
        seed: fixes the initial weights; ``None`` gives different ones each time.
        dtype: of the parameters.

    Attributes:
        params: the weights by name, as the functions above take them. Weights begin at N(0, 1 / inputs), after Xavier
            Glorot and Yoshua Bengio (2010) in the form of the book's chapter 6: sigmoids then start unsaturated,
            whatever the width of a layer. Biases begin at 0.

    Raises:
        UserError: the sizes are not four integers of at least 1.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int, int] = SIZES,
        seed: int | np.random.SeedSequence | None = None,
        dtype: type[np.floating] = np.float64,
    ) -> None:
        check_sizes(sizes, at_least=4)
        if len(sizes) != 4:
            raise UserError(f"sizes must be four layer sizes, input first, got {sizes!r}")
        rng = np.random.default_rng(seed)
        self.params: dict[str, np.ndarray] = {}
        for name, shape in shapes(sizes).items():
            drawn = rng.standard_normal(shape) / np.sqrt(shape[0]) if name[0] == "W" else np.zeros(shape)
            self.params[name] = drawn.astype(dtype)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities [n, 10] for images x [n, 784]."""
        return predict(self.params, x)

    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the mean cross entropy of images x with their labels t, integers [n] or one-hot rows."""
        return SoftmaxWithLoss().forward(scores(self.params, x), t)

    def accuracy(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the share of images x whose label in t is the net's prediction."""
        return accuracy(self.params, x, t)

    def gradient(self, x: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradient of ``loss(x, t)`` with respect to each parameter, by the parameter's name."""
        return self.loss_and_gradient(x, t)[1]

    def loss_and_gradient(self, x: np.ndarray, t: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Return ``loss(x, t)`` and ``gradient(x, t)`` from one forward and one backward pass."""
        p = self.params
        affines = [Affine(p[f"W{layer}"], p[f"b{layer}"]) for layer in (1, 2, 3)]
        layers: list[Affine | Sigmoid] = [affines[0], Sigmoid(), affines[1], Sigmoid(), affines[2]]
        for layer in layers:
            x = layer.forward(x)
        last = SoftmaxWithLoss()
        loss = last.forward(x, t)

        dy = last.backward()
        for layer in reversed(layers):
            dy = layer.backward(dy)
        gradients = {f"W{number}": affine.dW for number, affine in enumerate(affines, start=1)}
        gradients |= {f"b{number}": affine.db for number, affine in enumerate(affines, start=1)}
        return loss, gradients
