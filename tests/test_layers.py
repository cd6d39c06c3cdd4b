from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.scratch.gradient_check import numerical_gradient, relative_error
from paddle_mnist.scratch.layers import Affine, ReLU, Sigmoid, SoftmaxWithLoss, cross_entropy, sigmoid, softmax

LIMIT = 1e-6


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def away_from_zero(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers so far from 0, where ReLU has its kink, that a finite difference does not cross it."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.1, 2, shape)


def test_affine_backward_is_the_gradient(rng):
    x, W, b = rng.normal(size=(4, 5)), rng.normal(size=(5, 3)), rng.normal(size=3)
    dy = rng.normal(size=(4, 3))  # for any dy, the loss is sum(dy * y)
    layer = Affine(W, b)
    layer.forward(x)
    dx = layer.backward(dy)
    assert relative_error(dx, numerical_gradient(lambda x: (dy * Affine(W, b).forward(x)).sum(), x)) < LIMIT
    assert relative_error(layer.dW, numerical_gradient(lambda W: (dy * Affine(W, b).forward(x)).sum(), W)) < LIMIT
    assert relative_error(layer.db, numerical_gradient(lambda b: (dy * Affine(W, b).forward(x)).sum(), b)) < LIMIT


@pytest.mark.parametrize("kind", [ReLU, Sigmoid])
def test_activation_backward_is_the_gradient(kind, rng):
    x, dy = away_from_zero(rng, 4, 5), rng.normal(size=(4, 5))
    layer = kind()
    layer.forward(x)
    assert relative_error(layer.backward(dy), numerical_gradient(lambda x: (dy * kind().forward(x)).sum(), x)) < LIMIT


@pytest.mark.parametrize("one_hot", [False, True])
def test_softmax_with_loss_backward_is_the_gradient(one_hot, rng):
    x, labels = rng.normal(size=(4, 5)), np.array([0, 4, 2, 2])
    if one_hot:
        labels = np.eye(5)[labels]
    layer = SoftmaxWithLoss()
    layer.forward(x, labels)
    assert (
        relative_error(layer.backward(), numerical_gradient(lambda x: SoftmaxWithLoss().forward(x, labels), x)) < LIMIT
    )


def test_layers_agree_with_paddle(rng):
    import paddle
    import paddle.nn.functional as F

    x, labels = rng.normal(size=(6, 5)), rng.integers(0, 3, 6)
    parameters = [rng.normal(size=shape) for shape in ((5, 4), (4,), (4, 4), (4,), (4, 3), (3,))]
    W1, b1, W2, b2, W3, b3 = tensors = [paddle.to_tensor(p, stop_gradient=False) for p in parameters]
    image = paddle.to_tensor(x, stop_gradient=False)
    hidden = F.sigmoid(F.linear(F.relu(F.linear(image, W1, b1)), W2, b2))
    expected = F.cross_entropy(F.linear(hidden, W3, b3), paddle.to_tensor(labels))
    expected.backward()

    affines = [Affine(*parameters[i : i + 2]) for i in (0, 2, 4)]
    layers = [affines[0], ReLU(), affines[1], Sigmoid(), affines[2]]
    y = x
    for layer in layers:
        y = layer.forward(y)
    last = SoftmaxWithLoss()
    assert last.forward(y, labels) == pytest.approx(float(expected), rel=1e-12)
    dy = last.backward()
    for layer in reversed(layers):
        dy = layer.backward(dy)
    gradients = [gradient for affine in affines for gradient in (affine.dW, affine.db)]
    for ours, tensor in zip([*gradients, dy], [*tensors, image], strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("make", [lambda: Affine(np.ones((5, 5)), np.ones(5)), ReLU, Sigmoid])
def test_layers_do_not_change_their_arguments(make, rng):
    x, dy = away_from_zero(rng, 4, 5), rng.normal(size=(4, 5))
    for array in (x, dy):
        array.flags.writeable = False
    layer = make()
    y = layer.forward(x)
    assert not np.shares_memory(x, y)
    first = layer.backward(dy)
    y[...] = 0  # a change of the returned output must not change the derivative
    first[...] = 0
    assert np.abs(layer.backward(dy)).sum() > 0


def test_softmax_with_loss_does_not_change_its_arguments(rng):
    x, labels = rng.normal(size=(4, 5)), np.array([0, 1, 2, 3])
    for array in (x, labels):
        array.flags.writeable = False
    layer = SoftmaxWithLoss()
    layer.forward(x, labels)
    np.testing.assert_array_equal(layer.backward(), layer.backward())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_cross_entropy_and_sigmoid_take_huge_scores(dtype):
    x = np.array([[1e4, 0, -1e4], [-1e4, -1e4, 1e4]], dtype)
    np.testing.assert_allclose(softmax(x), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(cross_entropy(x, np.array([1, 0])), [1e4, 2e4])
    np.testing.assert_array_equal(sigmoid(x[0]), [1, 0.5, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_keep_the_dtype(dtype, rng):
    x = rng.normal(size=(2, 3)).astype(dtype)
    for layer in (Affine(np.ones((3, 3), dtype), np.ones(3, dtype)), ReLU(), Sigmoid()):
        assert layer.forward(x).dtype == dtype
        assert layer.backward(x).dtype == dtype
    last = SoftmaxWithLoss()
    last.forward(x, np.array([0, 1]))
    assert last.backward().dtype == dtype


def test_sigmoid_is_the_logistic_function():
    x = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(sigmoid(x), 1 / (1 + np.exp(-x)), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 3]), "label 1 must be a class from 0 to 2, got 3"),
        (np.array([-1, 0]), "label 0 must be a class from 0 to 2, got -1"),
        (np.array([0.0, 1.0]), "labels must be integers, got float64"),
        (
            np.array([0, 1, 2]),
            "labels must be integers of shape [2] or one-hot rows of shape [2, 3], got int64 of shape [3]",
        ),
        (np.array([[0], [1]]), "got int64 of shape [2, 1]"),
        (np.array([[0.0, 0, 1], [1, 1, 0]]), "label 1 must be one-hot"),
        (np.array([[0.0, 0, 1], [0, 2, 0]]), "label 1 must be one-hot"),
        (np.array([[0.0, 0, 1], [0, 0, np.nan]]), "label 1 must be one-hot"),
        ([0, 1], "got a list"),
    ],
)
def test_softmax_with_loss_refuses_wrong_labels(labels, message):
    with pytest.raises(UserError) as caught:
        SoftmaxWithLoss().forward(np.zeros((2, 3)), labels)
    assert message in str(caught.value)


@pytest.mark.parametrize("x", [np.zeros((2, 4)), np.zeros(3), [[1, 2, 3]], np.array([["a", "b", "c"]]), None])
def test_affine_refuses_other_input_than_a_batch_of_its_width(x):
    with pytest.raises(UserError, match=r"x must be an array of numbers of shape \[n, 3\], got "):
        Affine(np.ones((3, 2)), np.zeros(2)).forward(x)


def test_softmax_with_loss_refuses_an_empty_batch():
    with pytest.raises(UserError, match="x must hold at least one sample, got none"):
        SoftmaxWithLoss().forward(np.zeros((0, 3)), np.zeros(0, int))
