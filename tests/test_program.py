from __future__ import annotations

import random
import warnings

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from paddle_mnist.nets import CNN, FC, MLP
from paddle_mnist.program import OPERATIONS, NotCoveredError, capture, rewrite


class Layer(nn.Layer):
    """A net with a linear layer, whose ``forward`` is given."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        self.count = 0
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.function = forward

    def forward(self, images):
        return self.function(self, images)


def operations(graph) -> list[str]:
    return [node.operation for node in graph.nodes]


def captured(forward, **layers):
    return capture(Layer(lambda net, x: net.fc(forward(net, x.flatten(1))), **layers))


def test_capture_of_the_cnn_names_its_operations_shapes_and_parameters():
    graph = rewrite(capture(CNN(10)))
    half = ["convolution", "max_pool", "relu"]
    assert operations(graph) == [*half, *half, "reshape", "linear"]
    assert [node.shape for node in graph.nodes] == [
        *((20, 28, 28), (20, 14, 14), (20, 14, 14)),
        *((20, 14, 14), (20, 7, 7), (20, 7, 7)),
        *((980,), (10,)),
    ]
    assert graph.nodes[0].parameters == {"weight": "conv1.weight", "bias": "conv1.bias"}
    assert graph.nodes[0].attributes == {
        "strides": (1, 1),
        "paddings": (2, 2, 2, 2),
        "dilations": (1, 1),
        "groups": 1,
    }
    assert graph.parameters == {name: tuple(value.shape) for name, value in CNN(10).state_dict().items()}
    assert graph.output == "linear_1"


@pytest.mark.parametrize("net_type", [FC, MLP, CNN])
def test_capture_gives_pure_data(net_type):
    graph = rewrite(capture(net_type()))
    for node in graph.nodes:
        assert tuple(node.attributes) == OPERATIONS[node.operation]
        for value in node.attributes.values():
            assert isinstance(value, (int, float, bool, tuple))
        assert str(node) in str(graph)


def test_capture_knows_training_from_evaluation():
    net = Layer(
        lambda net, x: net.fc(net.drop(net.norm(x.flatten(1)))), norm=nn.BatchNorm1D(784), drop=nn.Dropout(0.25)
    )
    training = capture(net)
    assert operations(training)[:3] == ["reshape", "batch_norm", "dropout"]
    assert training.nodes[1].attributes["training"] and training.nodes[2].attributes == {"p": 0.25, "upscale": True}
    assert training.nodes[1].parameters["mean"] == "norm._mean"
    net.eval()
    evaluation = capture(net)
    assert "dropout" not in operations(evaluation) and not evaluation.nodes[1].attributes["training"]


def test_capture_leaves_the_net_and_all_generators_as_they_were():
    net = Layer(
        lambda net, x: net.fc(net.drop(net.norm(x.flatten(1)))), norm=nn.BatchNorm1D(784), drop=nn.Dropout(0.25)
    )
    net.drop.eval()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    attributes = {name: value for name, value in vars(net).items() if name != "_built"}
    states = random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]
    name = paddle.utils.unique_name.generate("linear")
    paddle.seed(5)
    wanted = paddle.rand([3]).numpy()
    paddle.seed(5)
    capture(net)
    assert (paddle.rand([3]).numpy() == wanted).all()
    assert (random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]) == states
    assert all(vars(net)[name] is value for name, value in attributes.items())
    assert [layer.training for layer in (net, net.norm, net.drop)] == [True, True, False]
    assert all((net.state_dict()[name].numpy() == value).all() for name, value in before.items())
    assert paddle.utils.unique_name.generate("linear") == f"linear_{int(name.split('_')[1]) + 1}"
    assert paddle.in_dynamic_mode()


def test_capture_shows_no_warning_of_paddle_s():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        capture(Layer(lambda net, x: net.fc(net.norm(x.flatten(1))), norm=nn.BatchNorm1D(784)))


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda net, x: x * 2 if x.shape[0] > 3 else x, "batch size"),
        (lambda net, x: x.reshape([x.shape[0] * 2, 392]).reshape([-1, 784]), "batch size"),
        (lambda net, x: x * 2 if x.mean() > 3 else x, "cannot be captured"),
        (lambda net, x: x * float(x.numpy().mean()), "cannot be captured"),
        (lambda net, x: x * random.random(), "random"),
        (lambda net, x: x * np.random.rand(), "random"),
        (lambda net, x: setattr(net, "count", net.count + 1) or x, "attributes"),
        (lambda net, x: x * paddle.rand([784]), "pd_op"),
        (lambda net, x: paddle.cumsum(x, axis=1), "pd_op.cumsum"),
        (lambda net, x: x.reshape([-1, 392]).reshape([-1, 784]), "across images"),
        (lambda net, x: x - x.mean(0), "not covered"),
        (lambda net, x: F.softmax(x, axis=0), "over the batch"),
        (lambda net, x: x * paddle.to_tensor(np.ones(784, np.float32)), "not covered|neither"),
    ],
)
def test_capture_refuses(forward, reason):
    with pytest.raises(NotCoveredError, match=reason):
        captured(forward)


def test_capture_refuses_more_than_one_result():
    with pytest.raises(NotCoveredError, match="one tensor"):
        capture(Layer(lambda net, x: (x, net.fc(x.flatten(1)))))


def test_capture_restores_attributes_that_forward_changes():
    net = Layer(lambda net, x: setattr(net, "count", net.count + 1) or net.fc(x.flatten(1)))
    with pytest.raises(NotCoveredError):
        capture(net)
    assert net.count == 0


def test_capture_accepts_the_batch_size_where_it_is_passed_on():
    assert operations(rewrite(captured(lambda net, x: x.reshape([x.shape[0], 16, 49]).reshape([x.shape[0], 784])))) == [
        "reshape",
        "linear",
    ]


def test_capture_resolves_paddings_and_windows():
    convolution = nn.Conv2D(1, 3, 5, stride=2, padding="same")
    nets = [
        (lambda x: convolution(x), (3, 14, 14), {"paddings": (1, 2, 1, 2)}),
        (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), (1, 14, 14), {"kernel": (3, 3)}),
        (lambda x: F.adaptive_avg_pool2d(x, 7), (1, 7, 7), {"kernel": (4, 4), "strides": (4, 4)}),
        (lambda x: F.adaptive_avg_pool2d(x, 5), (1, 5, 5), {"output_size": (5, 5)}),
        (lambda x: F.adaptive_max_pool2d(x, 1), (1, 1, 1), {"kernel": (28, 28)}),
        (lambda x: x.mean([2, 3], keepdim=True), (1, 1, 1), {"kernel": (28, 28)}),
    ]
    for function, shape, attributes in nets:
        net = Layer(lambda net, x, function=function: function(x), convolution=convolution)
        node = capture(net).nodes[0]
        assert node.shape == shape
        assert attributes.items() <= node.attributes.items()


def test_rewrite_keeps_relu_before_max_pool_where_it_has_another_use():
    def forward(net, x):
        x = F.relu(x)
        return net.fc((F.max_pool2d(x, 1, 1) + x).flatten(1))

    assert operations(rewrite(capture(Layer(forward))))[:2] == ["relu", "max_pool"]
