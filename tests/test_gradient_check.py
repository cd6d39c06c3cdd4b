from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.scratch.gradient_check import numerical_gradient, relative_error


def test_numerical_gradient_of_a_known_function():
    x = np.array([[0.3, -1.2], [2.0, 0.7]])
    x.flags.writeable = False  # x itself is not changed
    gradient = numerical_gradient(lambda x: (np.sin(x) * x[0, 0]).sum(), x)
    expected = np.cos(x) * x[0, 0]
    expected[0, 0] += np.sin(x).sum()
    assert relative_error(gradient, expected) < 1e-9


def test_numerical_gradient_takes_scalars_and_empty_arrays():
    assert numerical_gradient(lambda x: float(x**3), np.array(2.0)) == pytest.approx(12)
    assert numerical_gradient(lambda x: 0.0, np.zeros((0, 3))).shape == (0, 3)


def test_relative_error_shows_a_wrong_gradient():
    x = np.linspace(1, 2, 5)
    right = numerical_gradient(lambda x: (x**2).sum(), x)
    assert relative_error(right, 2 * x) < 1e-9
    assert relative_error(right, 2.001 * x) > 1e-4


def test_relative_error_of_equal_opposite_and_zero_arrays():
    a = np.array([1.0, -2.0])
    assert relative_error(a, a) == 0
    assert relative_error(a, -a) == 1
    assert relative_error(0 * a, 0 * a) == 0


def test_numerical_gradient_refuses_other_types_than_float64():
    with pytest.raises(UserError, match="x must be a float64 array, got float32"):
        numerical_gradient(lambda x: 0.0, np.zeros(2, np.float32))
    with pytest.raises(UserError, match="x must be a float64 array, got list"):
        numerical_gradient(lambda x: 0.0, [1.0])
