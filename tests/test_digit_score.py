"""The small net that scores how likely a component is one whole digit."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures import digit_score
from paddle_mnist.pictures.components import Component
from paddle_mnist.pictures.digit_score import log_probability, views


@pytest.fixture(scope="module")
def digits():
    """Return a hundred digits at four times their size, bool [100, 112, 112]."""
    return np.array(open_dataset("sample").eval.images[:100] > 100).repeat(4, axis=1).repeat(4, axis=2)


def likely(inks, components):
    height = 80
    return np.concatenate(
        [log_probability(views([component], ink, height)) for ink, component in zip(inks, components, strict=True)]
    )


def test_digit_score_separates_whole_digits_from_parts_and_pairs(digits):
    whole = [Component(*np.nonzero(ink)) for ink in digits]
    halves = [component.subset(component.x > np.median(component.x)) for component in whole]
    pairs = [
        np.concatenate([left[:, 14:98], right[:, 14:98]], axis=1)
        for left, right in zip(digits[::2], digits[1::2], strict=True)
    ]
    assert np.mean(likely(digits, whole) > np.log(0.5)) > 0.95
    assert np.mean(likely(digits, halves) > np.log(0.5)) < 0.05
    assert np.mean(likely(pairs, [Component(*np.nonzero(ink)) for ink in pairs]) > np.log(0.5)) < 0.15


def test_digit_score_hardly_depends_on_the_size_of_the_page(digits):
    component = Component(*np.nonzero(digits[0]))
    larger = digits[0].repeat(3, axis=0).repeat(3, axis=1)
    small, large = views([component], digits[0], 80), views([Component(*np.nonzero(larger))], larger, 240)
    assert np.abs(small.astype(int) - large).mean() < 2


def test_views_show_the_component_and_the_ink_around():
    ink = np.zeros((40, 60), bool)
    ink[10:30, 20:24] = ink[10:30, 28:30] = True
    bar = Component(*np.nonzero(ink & (np.arange(60) < 26)))
    ((own, around),) = views([bar], ink, 20)
    assert own.dtype == np.uint8 and own.shape == (28, 28)
    assert np.array_equal(np.argwhere(own > 200).min(axis=0), [4, 12]) and (own > 0).sum() == 20 * 4
    assert (around > 0).sum() == 20 * 2 and not (own[around > 0]).any()


def test_views_of_components_at_the_edge_and_larger_than_the_view():
    ink = np.ones((30, 300), bool)
    component = Component(*np.nonzero(ink))
    ((own, around),) = views([component], ink, 30)
    assert own[14].all() and not around.any()
    corner = Component(np.array([0, 29]), np.array([0, 0]))
    assert views([corner], ink, 30).shape == (1, 2, 28, 28)
    assert views([], ink, 30).shape[0] == 0


def test_digit_score_equals_paddles_layers():
    net = digit_score._weights()
    images = np.random.default_rng(0).integers(0, 256, (150, 2, 28, 28), dtype=np.uint8)
    x = paddle.to_tensor(images / np.float32(255))
    for layer in ("first", "second"):
        weight, bias = (paddle.to_tensor(net[f"{layer}.{name}"]) for name in ("weight", "bias"))
        x = paddle.nn.functional.max_pool2d(paddle.nn.functional.relu(paddle.nn.functional.conv2d(x, weight, bias)), 2)
    x = x.flatten(1).numpy()
    hidden = np.maximum(x @ net["hidden.weight"] + net["hidden.bias"], 0)
    logits = (hidden @ net["output.weight"] + net["output.bias"])[:, 0]
    np.testing.assert_allclose(
        log_probability(images), -np.log1p(np.exp(-logits.astype(np.float64))), rtol=1e-4, atol=1e-4
    )
