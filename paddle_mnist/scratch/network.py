"""A network of sigmoid units of any depth, trained by stochastic gradient descent on the quadratic cost.

After chapters 1 and 2 of *Neural Networks and Deep Learning* (Michael Nielsen, 2015,
http://neuralnetworksanddeeplearning.com), and in its notation. A sample is a column: its activation in layer l is

    z[l] = W[l] a[l-1] + b[l]        a[l] = σ(z[l])

where W[l][j, k] is the weight from unit k of the previous layer to unit j of this one. A mini-batch is a matrix with a
column for each sample, so each layer is one matrix product: the same sums as sample by sample, but computed by one
fast library call in place of a loop in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.scratch.checks import check_positive, check_sizes, class_indices, describe
from paddle_mnist.scratch.layers import sigmoid

# Samples are either (image, target) pairs, or a tuple of two arrays: images and labels.
Samples = Iterable[tuple[np.ndarray, Any]] | tuple[np.ndarray, np.ndarray]


class Network:
    """A feedforward net of sigmoid layers.

    Weights from N(0, 1) saturate the units: with 784 inputs, most hidden units begin near 0 or 1, where σ' is almost 0
    and with it the gradient of the quadratic cost. Sometimes an output unit never learns, and its digit is never
    predicted: of ten seeds of 784-30-10 at eta 3.0, nine reach about 95 % and one 86 %. Chapter 3 of the book removes
    both causes, by smaller initial weights and by the cross-entropy cost.

    Args:
        sizes: the number of units of each layer, input first: ``[784, 15, 10]`` for digits.
        seed: fixes the initial weights and the order of the samples; ``None`` gives different ones each time.
        dtype: of weights and activations; float64, or float32 to train faster.

    Attributes:
        weights: W[1], W[2], …: arrays [sizes[l], sizes[l-1]], drawn from N(0, 1).
        biases: b[1], b[2], …: columns [sizes[l], 1], drawn from N(0, 1).

    Raises:
        UserError: the sizes are not at least two integers of at least 1.
    """

    def __init__(
        self,
        sizes: Sequence[int] = (784, 15, 10),
        seed: int | np.random.SeedSequence | None = None,
        dtype: type[np.floating] = np.float64,
    ) -> None:
        check_sizes(sizes)
        self.sizes = [int(size) for size in sizes]
        self.num_layers = len(self.sizes)
        self.dtype = np.dtype(dtype)
        self.rng = np.random.default_rng(seed)
        self.biases = [self.rng.standard_normal((y, 1)).astype(dtype) for y in self.sizes[1:]]
        self.weights = [
            self.rng.standard_normal((y, x)).astype(dtype) for x, y in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]

    def feedforward(self, a: np.ndarray) -> np.ndarray:
        """Return the output activations [sizes[-1], n] for input columns a [sizes[0], n]."""
        a = self._columns(a, self.sizes[0], "the input")
        for w, b in zip(self.weights, self.biases, strict=True):
            a = sigmoid(w @ a + b)
        return a

    def SGD(
        self,
        training_data: Samples,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Samples | None = None,
        report: Callable[[str], None] = print,
    ) -> list[int]:
        """Train by stochastic gradient descent, in a new random order each epoch.

        Args:
            training_data: the training samples, which are not changed. Either (x, y) pairs of columns
                x [sizes[0], 1] and targets y [sizes[-1], 1], or a tuple of two arrays: images
                [n, sizes[0]] (or [n, rows, columns]) and labels, integers [n] or one-hot [n, sizes[-1]].
            epochs: the number of passes over the training samples.
            mini_batch_size: samples per step; the last step of an epoch takes the rest.
            eta: the learning rate.
            test_data: samples to classify after each epoch: (x, label) pairs, or two arrays as above.
            report: is called with a line after each epoch, ``Epoch 3: 9123 / 10000``, or ``Epoch 3 complete`` without
                test data.

        Returns:
            The number of correctly classified test samples after each epoch; empty without test data.

        Raises:
            UserError: a setting is out of range, or the data are empty or don't fit the net.
        """
        check_positive("epochs", epochs, integer=True)
        check_positive("mini_batch_size", mini_batch_size, integer=True)
        check_positive("eta", eta)
        x, y = self._training_rows(training_data)
        test = None if test_data is None else self._test_rows(test_data)
        counts = []
        for epoch in range(epochs):
            order = self.rng.permutation(len(x))
            for first in range(0, len(x), mini_batch_size):
                chosen = order[first : first + mini_batch_size]
                self._descend(x[chosen].T, y[chosen].T, eta)
            if test is None:
                report(f"Epoch {epoch} complete")
            else:
                counts.append(self._count_right(*test))
                report(f"Epoch {epoch}: {counts[-1]} / {len(test[0])}")
        return counts

    def update_mini_batch(self, mini_batch: Samples, eta: float) -> np.ndarray:
        """Take one step of gradient descent, with all samples of the mini-batch at once.

        Args:
            mini_batch: samples, as the training data of ``SGD``.
            eta: the learning rate; the step is eta times the mean of the samples' gradients.

        Returns:
            The output activations before the step, columns [sizes[-1], n].
        """
        check_positive("eta", eta)
        x, y = self._training_rows(mini_batch)
        return self._descend(x.T, y.T, eta)

    def _descend(self, x: np.ndarray, y: np.ndarray, eta: float) -> np.ndarray:
        """Take one step on columns x with targets y, and return the output activations before it."""
        nabla_b, nabla_w, output = self._backprop(x, y)
        rate = self.dtype.type(eta / x.shape[1])
        for parameters, gradients in ((self.weights, nabla_w), (self.biases, nabla_b)):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                gradient *= rate
                parameter -= gradient
        return output

    def backprop(self, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the gradient of the quadratic cost, ½‖a - y‖² summed over the samples.

        With δ[l] = dC/dz[l], one column for each sample, the four equations of the book's chapter 2 are

            δ[L] = (a[L] - y) ∘ σ'(z[L])
            δ[l] = (W[l+1]ᵀ δ[l+1]) ∘ σ'(z[l])
            dC/db[l] = the sum of δ[l]'s columns
            dC/dW[l] = δ[l] a[l-1]ᵀ

        where ∘ is the product element by element, and σ'(z) = a (1 - a). The last product also sums over the samples,
        since its inner index is the sample: one product for the entire mini-batch.

        Args:
            x: input columns [sizes[0], n].
            y: target columns [sizes[-1], n].

        Returns:
            ``(nabla_b, nabla_w)``, lists of arrays shaped as ``biases`` and ``weights``.
        """
        x = self._columns(x, self.sizes[0], "x")
        y = self._columns(y, self.sizes[-1], "y")
        if x.shape != (self.sizes[0], y.shape[1]):
            raise UserError(f"x and y must have the same number of columns, got {x.shape[1]} and {y.shape[1]}")
        return self._backprop(x, y)[:2]

    def _backprop(self, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        activations = [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            activations.append(sigmoid(w @ activations[-1] + b))

        nabla_b, nabla_w = [], []
        output = activations[-1]
        delta = self.cost_derivative(output, y) * output * (1 - output)
        # From the last layer to the first: ``below`` is the input of the layer with the weights ``w``.
        for w, below in zip(reversed(self.weights), reversed(activations[:-1]), strict=True):
            nabla_b.append(delta.sum(axis=1, keepdims=True))
            nabla_w.append(delta @ below.T)
            if below is not x:
                delta = (w.T @ delta) * below * (1 - below)
        return nabla_b[::-1], nabla_w[::-1], output

    def evaluate(self, test_data: Samples) -> int:
        """Return the number of samples whose most active output unit is that of the label.

        Args:
            test_data: (x, label) pairs, x a column [sizes[0], 1] and the label an integer, or a tuple of two
                arrays as ``SGD`` takes them.
        """
        return self._count_right(*self._test_rows(test_data))

    def cost_derivative(self, output_activations: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dC/da = a - y, the derivative of the quadratic cost ½‖a - y‖² in the output activations a."""
        return output_activations - y

    def _count_right(self, x: np.ndarray, labels: np.ndarray) -> int:
        right = 0
        for first in range(0, len(x), 1000):  # the activations of a thousand samples fit in the processor's cache
            rows = slice(first, first + 1000)
            right += int((self.feedforward(x[rows].T).argmax(axis=0) == labels[rows]).sum())
        return right

    # Both forms of samples are converted to one: x as rows, because a row is contiguous in memory and quick to select.

    def _training_rows(self, data: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return samples as rows x [n, sizes[0]] and targets y [n, sizes[-1]]."""
        x, targets = self._rows(data)
        if targets.ndim == 1 or targets.shape[1] != self.sizes[-1] or targets.dtype.kind in "iu":
            classes = class_indices(targets, len(x), self.sizes[-1])
            targets = np.eye(self.sizes[-1])[classes]
        return x, targets.astype(self.dtype, copy=False)

    def _test_rows(self, data: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return samples as rows x [n, sizes[0]] and labels, integers [n]."""
        x, labels = self._rows(data)
        return x, class_indices(labels, len(x), self.sizes[-1])

    def _rows(self, data: Samples) -> tuple[np.ndarray, np.ndarray]:
        x: np.ndarray
        targets: np.ndarray
        if isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, np.ndarray) for part in data):
            x, targets = data  # type: ignore[assignment]
            if x.ndim == 0 or targets.shape[:1] != x.shape[:1]:
                raise UserError(
                    f"images and labels must have the same length, got {describe(x)} and {describe(targets)}"
                )
        else:
            x, targets = self._stack_pairs(data)
        if len(x) == 0:
            raise UserError("the data must hold at least one sample, got none")
        x = x.reshape(len(x), -1)
        if x.shape[1] != self.sizes[0] or x.dtype.kind not in "biuf":
            raise UserError(f"the samples must be numbers of shape [n, {self.sizes[0]}], got {describe(x)}")
        return x.astype(self.dtype, copy=False), targets

    def _stack_pairs(self, pairs: Any) -> tuple[np.ndarray, np.ndarray]:
        """Stack (x, y) pairs: columns become rows; integer labels stay labels."""
        if not isinstance(pairs, Iterable):
            raise UserError(f"the data must be (x, y) pairs or two arrays, got a {type(pairs).__name__}")
        pairs = list(pairs)
        for place, pair in enumerate(pairs):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2 or np.size(pair[0]) != self.sizes[0]:
                raise UserError(
                    f"sample {place} must be a pair of an array [{self.sizes[0]}, 1] and its target, got "
                    f"{describe(pair[0] if isinstance(pair, (tuple, list)) and pair else pair)}"
                )
        try:
            x = np.array([np.ravel(x) for x, _ in pairs])
            targets = np.array([np.ravel(y) if np.ndim(y) else y for _, y in pairs])
        except ValueError:
            raise UserError("the targets must all have the same length, got different lengths") from None
        return x, targets

    def _columns(self, a: np.ndarray, height: int, name: str) -> np.ndarray:
        if not isinstance(a, np.ndarray) or a.ndim != 2 or a.shape[0] != height or a.dtype.kind not in "biuf":
            raise UserError(f"{name} must be columns of numbers of shape [{height}, n], got {describe(a)}")
        return a.astype(self.dtype, copy=False)
