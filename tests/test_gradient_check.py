from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.scratch.gradient_check import numerical_gradient, relative_error


def test_a_known_gradient():
    x = np.array([[0.3, -1.2], [2.0, 0.7]])
    x.flags.writeable = False  # and x itself is left alone
    gradient = numerical_gradient(lambda x: (np.sin(x) * x[0, 0]).sum(), x)
    expected = np.cos(x) * x[0, 0]
    expected[0, 0] += np.sin(x).sum()
    assert relative_error(gradient, expected) < 1e-9


def test_every_shape():
    assert numerical_gradient(lambda x: float(x**3), np.array(2.0)) == pytest.approx(12)
    assert numerical_gradient(lambda x: 0.0, np.zeros((0, 3))).shape == (0, 3)


def test_a_wrong_gradient_is_told():
    x = np.linspace(1, 2, 5)
    right = numerical_gradient(lambda x: (x**2).sum(), x)
    assert relative_error(right, 2 * x) < 1e-9
    assert relative_error(right, 2.001 * x) > 1e-4


def test_relative_error_ends():
    a = np.array([1.0, -2.0])
    assert relative_error(a, a) == 0
    assert relative_error(a, -a) == 1
    assert relative_error(0 * a, 0 * a) == 0


def test_float32_is_refused():
    with pytest.raises(UserError, match="x is float32, where a float64 array is needed"):
        numerical_gradient(lambda x: 0.0, np.zeros(2, np.float32))
    with pytest.raises(UserError, match="x is list"):
        numerical_gradient(lambda x: 0.0, [1.0])
