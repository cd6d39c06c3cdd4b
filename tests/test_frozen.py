"""Graphs whose weights no longer change give what their nets give."""

from __future__ import annotations

import random

import numpy as np
import paddle
import pytest
from random_nets import digits, random_net

from paddle_mnist.fast.frozen import Frozen
from paddle_mnist.inspection.bundled import reader_inside
from paddle_mnist.nets import CNN
from paddle_mnist.pictures.reader import bundled_reader
from paddle_mnist.program import NotCoveredError, capture, join_biases


def frozen(net):
    net.eval()
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    graph = join_biases(capture(net))
    return graph, {name: tensors[name].numpy() for name in graph.parameters}


def plain(net, images):
    net.eval()
    with paddle.no_grad():
        return net(paddle.to_tensor(images)).numpy()


@pytest.mark.parametrize("seed", range(20))
def test_frozen_gives_what_random_nets_give(seed):
    paddle.seed(seed)
    choose = random.Random(seed).choice
    net, images = random_net(choose, 10), digits(5, seed)
    try:
        computed = Frozen(*frozen(net))(images)
    except NotCoveredError:
        return
    expected = plain(net, images)
    np.testing.assert_allclose(computed, expected, atol=3e-5 * max(1, abs(expected).max()), rtol=0)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 130])
def test_frozen_takes_batches_of_any_size(n):
    net, images = CNN(10), digits(n, n)
    computed = Frozen(*frozen(net))(images)
    assert computed.shape == (n, 10)
    np.testing.assert_allclose(computed, plain(net, images), atol=1e-5)


def test_frozen_keeps_its_weights_when_the_net_learns_on():
    net, images = CNN(10), digits(2, 0)
    before, computing = plain(net, images), Frozen(*frozen(net))
    net.fc.weight.set_value(net.fc.weight.numpy() * 2)
    np.testing.assert_allclose(computing(images), before, atol=1e-5)


def test_frozen_gives_what_is_not_finite_as_paddle_does():
    net, images = CNN(10), digits(2, 0)
    weight = net.fc.weight.numpy()
    weight[0, 0] = np.nan
    net.fc.weight.set_value(weight)
    computed, expected = Frozen(*frozen(net))(images), plain(net, images)
    np.testing.assert_array_equal(np.isnan(computed), np.isnan(expected))
    assert np.isnan(expected).any()


def test_until_computes_a_tensor_on_the_way():
    net, images = CNN(10), digits(3, 0)
    graph, weights = frozen(net)
    last = graph.nodes[-1]
    features = Frozen(graph.until(last.inputs[0]), weights)(images)
    outputs = features @ net.fc.weight.numpy() + net.fc.bias.numpy()
    np.testing.assert_allclose(outputs, plain(net, images), atol=1e-5)


def test_frozen_reader_gives_what_the_reader_gives(splits):
    inside, weights = reader_inside()
    images = splits.eval.images[:20]
    outputs = Frozen(inside.graph, weights)(images[:, np.newaxis] / np.float32(255))
    np.testing.assert_allclose(outputs.max(axis=1), bundled_reader(images).values, atol=1e-3)
