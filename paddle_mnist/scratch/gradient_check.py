"""Numerical gradients, to check backward passes against.

The partial derivative of a function f in one coordinate is approximated by the central difference

    (f(x + h) - f(x - h)) / 2h

Its truncation error is proportional to h², its rounding error to 1/h. In float64 the two balance near the cube root of
the machine epsilon, h = 6e-6 (W. H. Press et al., *Numerical Recipes*, section 5.7). In float32 the rounding error is
as large as the difference itself, so a check in float32 proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.errors import UserError

STEP = float(np.cbrt(np.finfo(np.float64).eps))


def numerical_gradient(f: Callable[[np.ndarray], float], x: np.ndarray, h: float = STEP) -> np.ndarray:
    """Return the gradient of f at x, of x's shape, from two evaluations of f for each element of x.

    Args:
        f: takes an array of x's shape and returns one number.
        x: float64, of any shape. It is not changed: f gets a copy of it.
        h: the step to either side.

    Raises:
        UserError: x is not float64.
    """
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        raise UserError(
            f"x must be a float64 array, got {getattr(x, 'dtype', type(x).__name__)}: "
            "in a smaller type, rounding errors are as large as the differences"
        )
    gradient = np.empty_like(x)
    moved = x.copy()
    for index in np.ndindex(x.shape):
        moved[index] = x[index] + h
        above = f(moved)
        moved[index] = x[index] - h
        below = f(moved)
        moved[index] = x[index]
        gradient[index] = (above - below) / (2 * h)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return ‖a - b‖ / (‖a‖ + ‖b‖): 0 for equal arrays, 1 for opposite ones, and 0 where both are all zeros.

    The norms are those of the entire arrays. Element by element, an entry near 0 would show its rounding as a large
    relative error.
    """
    total = np.linalg.norm(a) + np.linalg.norm(b)
    return float(np.linalg.norm(a - b) / total) if total else 0.0
