"""Gradients by measuring: what backward passes are checked against.

The derivative of a function f along one coordinate is approximated by the central difference

    (f(x + h) - f(x - h)) / 2h

whose error shrinks with h², while rounding adds an error that grows as 1/h. In float64 the two balance near the cube
root of the machine epsilon, h = 6e-6 (W. H. Press et al., *Numerical Recipes*, section 5.7). In float32 rounding
swallows the difference, so that a check there says nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.errors import UserError

STEP = float(np.cbrt(np.finfo(np.float64).eps))


def numerical_gradient(f: Callable[[np.ndarray], float], x: np.ndarray, h: float = STEP) -> np.ndarray:
    """Return the gradient of f at x, of x's shape, by two evaluations of f for each element of x.

    Args:
        f: takes an array of x's shape and returns one number.
        x: float64, of any shape. It is left as it is: f is given changed copies.
        h: how far to step to either side.

    Raises:
        UserError: x is not float64, in which alone the differences mean something.
    """
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        raise UserError(
            f"x is {getattr(x, 'dtype', type(x).__name__)}, where a float64 array is needed: "
            "finite differences drown in the rounding of anything smaller"
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

    Norms are taken over whole arrays. Element by element, entries near 0 would count their rounding as an error.
    """
    total = np.linalg.norm(a) + np.linalg.norm(b)
    return float(np.linalg.norm(a - b) / total) if total else 0.0
