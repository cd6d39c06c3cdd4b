from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.recipes import NETS

PARAMETERS = {
    "fc": {
        "fc1.weight": [784, 10],
        "fc1.bias": [10],
        "fc2.weight": [10, 10],
        "fc2.bias": [10],
        "fc3.weight": [10, 1],
        "fc3.bias": [1],
    },
    "cnn": {
        "conv1.weight": [20, 1, 5, 5],
        "conv1.bias": [20],
        "conv2.weight": [20, 20, 5, 5],
        "conv2.bias": [20],
        "fc.weight": [980, 1],
        "fc.bias": [1],
    },
}


def net_class(name):
    from paddle_mnist import nets

    return getattr(nets, NETS[name].layer)


@pytest.mark.parametrize("name", ["fc", "cnn"])
def test_nets_have_the_courses_parameters(name):
    state = net_class(name)().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("fc", 1),
        ("fc", 10),
        ("cnn", 1),
        ("cnn", 10),
        ("mlp", 10),
        ("quick", 10),
        ("strong", 10),
        ("stronger", 10),
        ("tiny", 10),
    ],
)
def test_nets_have_the_outputs_of_their_head(name, outputs):
    import paddle

    net = net_class(name)(num_outputs=outputs)
    net.eval()
    assert list(net(paddle.zeros([3, 1, 28, 28])).shape) == [3, outputs]


def test_tiny_has_fewer_than_six_thousand_parameters():
    assert sum(value.size for value in net_class("tiny")().state_dict().values()) < 6000


@pytest.mark.parametrize("name", ["quick", "strong", "stronger", "tiny"])
def test_nets_of_normalized_convolutions_run_on_the_fast_engine(name):
    from paddle_mnist import fast

    assert fast.engine_name(net_class(name)()).startswith("fast: ")


@pytest.mark.parametrize("name", ["fc", "cnn", "mlp", "quick", "strong", "stronger", "tiny"])
def test_nets_return_raw_outputs(name):
    """Doubling the last layer doubles the outputs, which a softmax or sigmoid at the end would prevent."""
    import paddle

    net = net_class(name)(num_outputs=10)
    net.eval()
    images = paddle.to_tensor(np.random.default_rng(0).random((4, 1, 28, 28), np.float32))
    before = net(images).numpy()
    *_, weight, bias = net.parameters()
    weight.set_value(weight * 2)
    bias.set_value(bias * 2)
    np.testing.assert_allclose(net(images).numpy(), 2 * before, rtol=1e-5, atol=1e-6)


def test_cnn_equals_its_formula_in_loops():
    """Convolution, rectifier and pooling written out with loops, on one image."""
    import paddle

    from paddle_mnist.nets import CNN

    paddle.seed(0)
    net = CNN(num_outputs=10)
    state = {name: value.numpy().astype(np.float64) for name, value in net.state_dict().items()}
    image = np.random.default_rng(1).random((1, 28, 28))
    x = image
    for layer in ("conv1", "conv2"):
        weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
        height = x.shape[1]
        padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
        convolved = np.zeros((20, height, height))
        for row in range(height):
            for column in range(height):
                window = padded[:, row : row + 5, column : column + 5]
                convolved[:, row, column] = (weight * window).sum(axis=(1, 2, 3)) + bias
        x = np.maximum(convolved, 0).reshape(20, height // 2, 2, height // 2, 2).max(axis=(2, 4))
    expected = x.reshape(-1) @ state["fc.weight"] + state["fc.bias"]
    outputs = net(paddle.to_tensor(image[np.newaxis].astype(np.float32))).numpy()[0]
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
