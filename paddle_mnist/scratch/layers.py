"""The layers of a network, each with its forward pass and its backward pass side by side.

A net is a chain of layers, and the loss L is one number at its end. Going forward, a layer turns its input x into its
output y. Going backward, it is given dy, the gradient of L with respect to its output, and returns dx, the gradient
with respect to its input, by the chain rule:

    dx[i] = dL/dx[i] = sum over j of  dL/dy[j] · dy[j]/dx[i]

An array called ``dz`` has the shape of ``z`` and holds dL/dz. All arrays are batches: n samples in n rows. A layer
stores in its forward pass what its backward pass needs, and never changes its arguments.
"""

from __future__ import annotations

import numpy as np

from paddle_mnist.scratch.checks import check_not_empty, check_rows, class_indices


class Affine:
    """A weighted sum for each output: y = x W + b.

    Shapes: x [n, i], W [i, o], b [o], y [n, o].

    Backward: y[s, k] = sum over j of x[s, j] W[j, k], plus b[k]. So

        dL/dx[s, j] = sum over k of  dy[s, k] W[j, k]       dx = dy Wᵀ
        dL/dW[j, k] = sum over s of  x[s, j] dy[s, k]       dW = xᵀ dy
        dL/db[k]    = sum over s of  dy[s, k]               db = the column sums of dy

    Attributes:
        W, b: the parameters.
        dW, db: their gradients, set by ``backward``.
    """

    def __init__(self, W: np.ndarray, b: np.ndarray) -> None:
        self.W = W
        self.b = b

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y [n, o] for x [n, i].

        Raises:
            UserError: x is not a batch of rows [n, i] of numbers.
        """
        check_rows(x, self.W.shape[0])
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dx [n, i] for dy [n, o], and set dW and db."""
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class ReLU:
    """The rectifier, element by element: y = max(x, 0).

    Backward: dy/dx is 1 where x > 0 and 0 elsewhere. (At x = 0 the derivative is undefined; 0 is the usual choice.)
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y for x, of any shape."""
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dx for dy, of the shape that ``forward`` was given."""
        return dy * self.positive


class Sigmoid:
    """The logistic function, element by element: y = 1 / (1 + exp(-x)), between 0 and 1.

    Backward: dy/dx = exp(-x) / (1 + exp(-x))² = y (1 - y), so keeping y is enough.
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y for x, of any shape."""
        self.y = sigmoid(x)
        return self.y.copy()  # a change of the returned array must not change the derivative

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dx for dy, of the shape that ``forward`` was given."""
        return dy * self.y * (1 - self.y)


class SoftmaxWithLoss:
    """Softmax and cross entropy: the loss of a classifier.

    Shapes: x [n, k] (a score for each class), labels [n] (or one-hot [n, k]), p [n, k], L a single number.

        p[s, c] = exp(x[s, c]) / sum over d of exp(x[s, d])
        L       = the mean over s of  -log p[s, label of s]

    Backward: for one sample with label t, L = -x[t] + log(sum over d of exp(x[d])), hence

        dL/dx[c] = p[c] - (1 if c is t, else 0)

    The mean over the batch divides this by n.
    """

    def forward(self, x: np.ndarray, labels: np.ndarray) -> float:
        """Return the mean loss of scores x [n, k].

        Raises:
            UserError: the labels don't match x, one of them is not a class, or the batch is empty.
        """
        check_not_empty(x)
        self.labels = class_indices(labels, *x.shape)
        self.p = softmax(x)
        return float(cross_entropy(x, self.labels).mean())

    def backward(self) -> np.ndarray:
        """Return dx [n, k]. It takes no argument, since the backward pass starts here: dL/dL = 1."""
        dx = self.p.copy()
        rows = np.arange(len(dx))
        dx[rows, self.labels] -= 1
        return dx / len(dx)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) for any x.

    Computed as (1 + tanh(x / 2)) / 2, which is the same function: exp(-x) overflows for large negative x, tanh never
    does, and it takes half the time.
    """
    return 0.5 * np.tanh(0.5 * x) + 0.5


def softmax(x: np.ndarray) -> np.ndarray:
    """Return the probabilities [n, k] for scores x [n, k]; each row sums to 1.

    The largest score of each row is subtracted first. That divides numerator and denominator by the same number, and
    no exponent is positive, so nothing overflows.
    """
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return -log softmax(x)[label] of each sample [n], for scores x [n, k] and labels, integers [n].

    Computed as log(sum of exp) - x[label], which stays finite even where a probability rounds to 0.
    """
    above = x - x.max(axis=1, keepdims=True)
    return np.log(np.exp(above).sum(axis=1)) - above[np.arange(len(x)), labels]
