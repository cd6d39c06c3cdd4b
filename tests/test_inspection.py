"""What is seen of the inside of a net agrees with the net."""

from __future__ import annotations

import random

import numpy as np
import paddle
import pytest
from random_nets import digits, random_net

from paddle_mnist import learners
from paddle_mnist.inspection.activations import inside
from paddle_mnist.inspection.bundled import reader_inside
from paddle_mnist.inspection.confusion import confusion_matrix, predictions
from paddle_mnist.inspection.neighbours import feature_extractor, nearest
from paddle_mnist.inspection.saliency import gradient, occlusion
from paddle_mnist.loader import to_input
from paddle_mnist.pictures.reader import bundled_reader
from paddle_mnist.program import NotCoveredError, capture, join_biases
from paddle_mnist.program.evaluate import run
from paddle_mnist.recipes import NETS, settings_for


@pytest.fixture
def images(splits):
    return splits.eval.images[:5]


def looked_into(net):
    settings = settings_for(net)
    learner = learners.build(settings)
    found = inside(learner, settings)
    return learner, settings, found, found.weights(learner)


@pytest.mark.parametrize("net", NETS)
def test_activations_end_in_the_outputs_of_the_net(net, images):
    learner, settings, found, weights = looked_into(net)
    pixels = to_input(images, settings.pixel_range)
    activations = found.activations(weights, pixels)
    np.testing.assert_allclose(activations[found.graph.output], learner.outputs(pixels), rtol=1e-4, atol=1e-3)
    assert all(activations[node.name].shape == (5, *node.shape) for node in found.graph.nodes)


@pytest.mark.parametrize("net", NETS)
def test_weights_have_the_names_of_the_nets_own(net):
    learner, _, _, weights = looked_into(net)
    assert weights.keys() == learner.state_dict().keys()


def test_layers_are_named_by_the_attributes_of_the_net():
    _, _, found, _ = looked_into("cnn")
    assert list(found.layers.values()) == ["conv1", "max_pool1", "conv2", "max_pool2", "fc"]


@pytest.mark.parametrize("seed", range(30))
def test_run_gives_what_random_nets_give(seed):
    paddle.seed(seed)
    generator = random.Random(seed)
    net = random_net(generator.choice, 10)
    net.eval()
    try:
        graph = join_biases(capture(net))
    except NotCoveredError:
        return
    images = paddle.to_tensor(digits(2, seed))
    weights = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    with paddle.no_grad():
        found, wanted = run(graph, weights, images)[graph.output].numpy(), net(images).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * (1 + np.abs(wanted).max()))


def test_gradient_is_the_slope_of_the_output(images):
    learner, settings, found, weights = looked_into("mlp")
    image = images[0].copy()
    image[10, 10] = 100
    slope = gradient(found, weights, image, 3, settings.pixel_range)
    more, less = image.copy(), image.copy()
    more[10, 10], less[10, 10] = 101, 99
    outputs = learner.outputs(to_input(np.stack([more, less]), settings.pixel_range))[:, 3]
    assert slope.shape == (28, 28) and slope[10, 10] == pytest.approx((outputs[0] - outputs[1]) / 2 * 255, rel=0.05)


def test_occlusion_is_the_fall_of_the_output_without_the_patch():
    image = np.zeros((28, 28), np.uint8)
    image[4, 4] = 200

    def outputs(images):  # of a net that adds up its ink
        return images.reshape(len(images), -1).sum(axis=1, keepdims=True).astype(np.float32)

    fall = occlusion(outputs, image, 0)
    expected = np.zeros((28, 28))
    expected[2:7, 2:7] = 200
    np.testing.assert_array_equal(fall, expected)
    assert not occlusion(outputs, np.zeros((28, 28), np.uint8), 0).any()


def test_nearest_comes_in_order_of_distance():
    known = np.array([[0, 0], [3, 4], [1, 0], [0, 1]], np.float32)
    found = nearest(known, np.zeros(2, np.float32), 3)
    assert found.indices.tolist() == [0, 2, 3] and found.distances.tolist() == [0, 1, 1]


def test_features_are_what_the_last_layer_gets(images):
    _, settings, found, weights = looked_into("fc")
    rows = feature_extractor(found, weights, settings.pixel_range)(images)
    last = rows @ weights["fc3.weight"] + weights["fc3.bias"]
    activations = found.activations(weights, to_input(images, settings.pixel_range))
    np.testing.assert_allclose(activations[found.graph.output], last, atol=1e-5)


def test_confusion_matrix_counts_by_true_and_predicted_digit():
    matrix = confusion_matrix(np.array([1, 1, 2, 9], np.uint8), np.array([1, 7, 2, 9]))
    assert matrix[1, 1] == matrix[1, 7] == matrix[2, 2] == matrix[9, 9] == 1 and matrix.sum() == 4


def test_predictions_come_in_batches(splits):
    found = list(predictions(lambda images: np.eye(10)[images[:, 0, 0] % 10], splits.train.images))
    assert [len(part) for part in found] == [100, 100, 30]
    np.testing.assert_array_equal(np.concatenate(found), splits.train.images[:, 0, 0] % 10)


def test_reader_inside_ends_in_the_outputs_of_the_reader(images):
    found, weights = reader_inside()
    outputs = found.activations(weights, to_input(images, "01"))[found.graph.output]
    expected = bundled_reader(images)
    np.testing.assert_allclose(outputs.max(axis=1), expected.values, atol=1e-3)
    assert found.last_layer.name == found.graph.output and outputs.shape == (5, 11)
    last = feature_extractor(found, weights)(images) @ weights["output.weight"] + weights["output.bias"]
    np.testing.assert_allclose(last, outputs, atol=1e-3)
