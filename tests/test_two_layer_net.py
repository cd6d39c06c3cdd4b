from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.scratch import learners
from paddle_mnist.scratch.gradient_check import numerical_gradient, relative_error
from paddle_mnist.scratch.mnist import as_text
from paddle_mnist.scratch.two_layer_net import TwoLayerNet, predict_random_digit


def small_net() -> tuple[TwoLayerNet, np.ndarray, np.ndarray]:
    """A net, some of whose ReLUs are on and some off for its samples."""
    rng = np.random.default_rng(5)
    return (
        TwoLayerNet(6, 5, 3, weight_init_std=0.8, seed=1, last_bias=0.1),
        rng.normal(size=(7, 6)),
        rng.integers(0, 3, 7),
    )


def test_gradient_equals_finite_differences():
    net, x, t = small_net()
    scores = net.predict(x)
    assert 0 < (scores == 0).mean() < 1  # both sides of the last ReLU occur
    gradient = net.gradient(x, t)
    assert gradient.keys() == net.params.keys()
    for name in gradient:

        def loss(value, name=name):
            other = TwoLayerNet(6, 5, 3)
            other.params = {**net.params, name: value}
            return other.loss(x, t)

        assert relative_error(gradient[name], numerical_gradient(loss, net.params[name])) < 1e-6, name


def test_gradient_equals_paddle():
    import paddle
    import paddle.nn.functional as F

    net, x, t = small_net()
    p = {name: paddle.to_tensor(value, stop_gradient=False) for name, value in net.params.items()}
    scores = F.relu(F.linear(F.relu(F.linear(paddle.to_tensor(x), p["W1"], p["b1"])), p["W2"], p["b2"]))
    loss = F.cross_entropy(scores, paddle.to_tensor(t))
    loss.backward()
    np.testing.assert_allclose(net.predict(x), scores.numpy(), rtol=1e-12, atol=1e-15)
    assert net.loss(x, t) == pytest.approx(float(loss), rel=1e-12)
    for name, gradient in net.gradient(x, t).items():
        np.testing.assert_allclose(gradient, p[name].grad.numpy(), rtol=1e-9, atol=1e-14, err_msg=name)


def test_loss_and_accuracy_take_one_hot_labels():
    net, x, t = small_net()
    assert net.loss(x, np.eye(3)[t]) == net.loss(x, t)
    assert net.accuracy(x, np.eye(3)[t]) == net.accuracy(x, t)


def test_accuracy_is_the_share_of_correct_predictions():
    net, x, _ = small_net()
    predicted = net.predict(x).argmax(axis=1)
    assert net.accuracy(x, predicted) == 1
    predicted[0] = (predicted[0] + 1) % 3
    assert net.accuracy(x, predicted) == pytest.approx(6 / 7)


def test_predict_uses_replaced_parameters():
    net, x, _ = small_net()
    net.params["W2"] = np.zeros_like(net.params["W2"])
    np.testing.assert_allclose(net.predict(x), 0.1)


def test_seed_fixes_the_initial_weights():
    first, again, other = (TwoLayerNet(784, 50, 10, seed=seed) for seed in (4, 4, 5))
    for name in first.params:
        np.testing.assert_array_equal(first.params[name], again.params[name])
    assert not np.array_equal(first.params["W1"], other.params["W1"])
    assert first.params["W1"].std() == pytest.approx(0.01, rel=0.02)


def test_two_layer_net_learns_raw_pixels_with_the_recipe(splits):
    x = splits.train.images.reshape(-1, 784).astype(np.float32)
    t = splits.train.labels.astype(np.int64)
    net = learners.build("two-layer", seed=0)
    before = net.train_step(x[:100], t[:100], 0.001)
    for _ in range(60):
        after = net.train_step(x[:100], t[:100], 0.001)
    assert after < before / 5
    assert (net.outputs(x).argmax(axis=1) == t).mean() > 0.9


@pytest.mark.parametrize("seed", range(10))
def test_initial_scores_let_every_class_learn(seed, splits):
    x = splits.train.images.reshape(-1, 784).astype(np.float64)
    scores = TwoLayerNet(784, 50, 10, seed=seed).predict(x)
    t = splits.train.labels
    reached = [(scores[t == digit, digit] > 0).any() for digit in range(10)]
    assert all(reached)


@pytest.mark.parametrize("sizes", [(0, 5, 3), (6, -1, 3), (6, 5, 2.5), (6, "5", 3), (True, 5, 3), (6, 5, None)])
def test_two_layer_net_refuses_wrong_sizes(sizes):
    with pytest.raises(UserError, match=r"the size of layer \d must be an integer of at least 1, got "):
        TwoLayerNet(*sizes)


@pytest.mark.parametrize("std", [0, -1, float("nan"), float("inf"), "0.01", None])
def test_two_layer_net_refuses_a_wrong_standard_deviation(std):
    with pytest.raises(UserError, match="weight_init_std must be a number above 0, got "):
        TwoLayerNet(6, 5, 3, weight_init_std=std)


def test_two_layer_net_refuses_wrong_samples():
    net, x, t = small_net()
    with pytest.raises(UserError, match=r"x must be .* of shape \[n, 6\], got float64 of shape \[7, 5\]"):
        net.predict(x[:, :5])
    with pytest.raises(UserError, match="label 0 must be a class from 0 to 2, got 3"):
        net.loss(x, t * 0 + 3)
    with pytest.raises(UserError, match=r"shape \[6\]"):
        net.gradient(x, t[:6])
    for of in (net.loss, net.gradient, net.accuracy):
        with pytest.raises(UserError, match="at least one sample, got none"):
            of(x[:0], t[:0])


def test_predict_random_digit_shows_the_digit_and_the_prediction(splits):
    x = splits.eval.images.reshape(-1, 784).astype(np.float64)
    t = splits.eval.labels
    net = TwoLayerNet(784, 50, 10, seed=0)
    predictions = [predict_random_digit(net, x, t, np.random.default_rng(seed)) for seed in range(5)]
    assert len({prediction.index for prediction in predictions}) > 1
    for prediction in predictions:
        scores = net.predict(x[[prediction.index]])[0]
        assert prediction.digit == scores.argmax() and prediction.label == t[prediction.index]
        assert prediction.probability == pytest.approx(
            np.exp(scores - scores.max()).max() / np.exp(scores - scores.max()).sum()
        )
        *picture, verdict = str(prediction).splitlines()
        assert "\n".join(picture) == as_text(x[prediction.index])
        assert verdict.startswith(f"digit {prediction.index}: {prediction.label}, predicted {prediction.digit} (")


def test_as_text_draws_ink_in_dense_characters():
    image = np.zeros((28, 28), np.uint8)
    image[2:4, 5] = 255
    lines = as_text(image).split("\n")
    assert len(lines) == 14 and {len(line) for line in lines} == {28}
    assert lines[1] == " " * 5 + "@" + " " * 22 and "".join(lines).strip() == "@"
    assert as_text(image / 255) == as_text(image) == as_text(image.ravel() / 127.5 - 1)
    assert not as_text(0 * image).strip()
    with pytest.raises(UserError, match="image must be "):
        as_text(image[1:])
