from __future__ import annotations

import copy

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.scratch import learners
from paddle_mnist.scratch.gradient_check import numerical_gradient, relative_error
from paddle_mnist.scratch.network import Network

SIZES = [[784, 15, 10], [6, 5], [6, 5, 4, 3], [2, 1], [3, 7, 1]]


def samples(sizes: list[int], n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Columns of inputs and of targets."""
    rng = np.random.default_rng(8)
    return rng.random((sizes[0], n)), rng.random((sizes[-1], n))


def as_pairs(x: np.ndarray, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x[:, [i]], y[:, [i]]) for i in range(x.shape[1])]


@pytest.mark.parametrize("sizes", SIZES)
def test_backprop_of_a_mini_batch_is_the_sum_over_its_samples(sizes):
    net = Network(sizes, seed=0)
    x, y = samples(sizes)
    nabla_b, nabla_w = net.backprop(x, y)
    single = [net.backprop(*pair) for pair in as_pairs(x, y)]
    for layer in range(len(sizes) - 1):
        np.testing.assert_allclose(nabla_b[layer], sum(b[layer] for b, _ in single), rtol=0, atol=1e-12)
        np.testing.assert_allclose(nabla_w[layer], sum(w[layer] for _, w in single), rtol=0, atol=1e-12)
        assert nabla_b[layer].shape == net.biases[layer].shape
        assert nabla_w[layer].shape == net.weights[layer].shape


@pytest.mark.parametrize("sizes", SIZES)
def test_update_mini_batch_steps_by_the_mean_gradient(sizes):
    net = Network(sizes, seed=0)
    before = copy.deepcopy(net)
    x, y = samples(sizes, n=5)
    net.update_mini_batch(as_pairs(x, y), eta=0.7)
    single = [before.backprop(*pair) for pair in as_pairs(x, y)]
    for layer in range(len(sizes) - 1):
        step_b, step_w = (0.7 / 5 * sum(g[kind][layer] for g in single) for kind in (0, 1))
        np.testing.assert_allclose(net.biases[layer], before.biases[layer] - step_b, rtol=0, atol=1e-12)
        np.testing.assert_allclose(net.weights[layer], before.weights[layer] - step_w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", [[6, 5], [6, 5, 4, 3], [3, 7, 1]])
def test_backprop_equals_finite_differences(sizes):
    net = Network(sizes, seed=0)
    x, y = samples(sizes)
    nabla_b, nabla_w = net.backprop(x, y)

    def cost(parameters: list[np.ndarray], layer: int, value: np.ndarray) -> float:
        kept, parameters[layer] = parameters[layer], value
        result = 0.5 * ((net.feedforward(x) - y) ** 2).sum()
        parameters[layer] = kept
        return result

    for parameters, gradients in ((net.biases, nabla_b), (net.weights, nabla_w)):
        for layer, parameter in enumerate(parameters):
            measured = numerical_gradient(lambda v, p=parameters, i=layer: cost(p, i, v), parameter)
            assert relative_error(gradients[layer], measured) < 1e-6


def test_backprop_equals_paddle():
    import paddle
    import paddle.nn.functional as F

    net = Network([6, 5, 3], seed=0)
    x, y = samples(net.sizes)
    tensors = [paddle.to_tensor(p, stop_gradient=False) for p in (*net.weights, *net.biases)]
    W1, W2, b1, b2 = tensors
    a = F.sigmoid(W2 @ F.sigmoid(W1 @ paddle.to_tensor(x) + b1) + b2)
    (0.5 * ((a - paddle.to_tensor(y)) ** 2).sum()).backward()
    nabla_b, nabla_w = net.backprop(x, y)
    for ours, tensor in zip([*nabla_w, *nabla_b], tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-9, atol=1e-14)


def test_cost_derivative_is_that_of_the_quadratic_cost():
    net = Network([2, 1], seed=0)
    np.testing.assert_array_equal(net.cost_derivative(np.array([[0.75]]), np.array([[1.0]])), [[-0.25]])


def test_network_has_normal_weights_by_default():
    net = Network()
    assert net.sizes == [784, 15, 10]
    assert [w.shape for w in net.weights] == [(15, 784), (10, 15)]
    assert [b.shape for b in net.biases] == [(15, 1), (10, 1)]
    assert net.weights[0].std() == pytest.approx(1, abs=0.03)
    assert net.weights[0].mean() == pytest.approx(0, abs=0.03)


def test_seed_fixes_weights_and_order():
    x, y = samples([6, 3])
    nets = [Network([6, 4, 3], seed=seed) for seed in (1, 1, 2)]
    for net in nets:
        net.SGD(as_pairs(x, y), 2, 5, 1.0, report=lambda line: None)
    np.testing.assert_array_equal(nets[0].weights[0], nets[1].weights[0])
    assert not np.array_equal(nets[0].weights[0], nets[2].weights[0])


def test_sgd_reports_a_line_for_each_epoch(splits, capsys):
    images = splits.train.images / 255
    test = (splits.eval.images / 255, splits.eval.labels)
    net = Network([784, 15, 10], seed=0)
    counts = net.SGD((images, splits.train.labels), 3, 10, 3.0, test_data=test)
    assert capsys.readouterr().out.splitlines() == [f"Epoch {i}: {counts[i]} / 50" for i in range(3)]
    assert counts[-1] == net.evaluate(test) > 25  # ten classes of synthetic digits, after 69 steps
    assert net.SGD((images, splits.train.labels), 1, 10, 3.0) == []
    assert capsys.readouterr().out == "Epoch 0 complete\n"


def test_sgd_takes_pairs_and_arrays_alike(splits):
    images, labels = splits.train.images.reshape(-1, 784) / 255, splits.train.labels.astype(int)
    pairs = [(x[:, np.newaxis], np.eye(10)[label][:, np.newaxis]) for x, label in zip(images, labels, strict=True)]
    test_pairs = [(x[:, np.newaxis], label) for x, label in zip(images, labels, strict=True)]
    results = []
    for training, test in (
        (pairs, test_pairs),
        (zip(*zip(*pairs, strict=True), strict=True), iter(test_pairs)),
        ((images, labels), (images, labels)),
        ((splits.train.images / 255, np.eye(10)[labels]), (images, np.eye(10, dtype=int)[labels])),
    ):
        net = Network([784, 15, 10], seed=0)
        counts = net.SGD(training, 2, 10, 3.0, test_data=test, report=lambda line: None)
        results.append((counts, net.weights[0]))
    for counts, weights in results[1:]:
        assert counts == results[0][0]
        np.testing.assert_array_equal(weights, results[0][1])


def test_sgd_does_not_change_its_data():
    x, y = samples([6, 3])
    pairs = as_pairs(x, y)
    kept = list(pairs)
    for array in (x, y, *(array for pair in pairs for array in pair)):
        array.flags.writeable = False
    Network([6, 4, 3], seed=0).SGD(pairs, 2, 5, 1.0, report=lambda line: None)
    assert all(now is then for now, then in zip(pairs, kept, strict=True))
    rows, targets = np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)
    rows.flags.writeable = targets.flags.writeable = False
    Network([6, 4, 3], seed=0).SGD((rows, targets), 2, 5, 1.0, report=lambda line: None)


def test_sgd_takes_the_rest_in_the_last_mini_batch():
    steps = []

    class Watched(Network):
        def cost_derivative(self, output_activations, y):
            steps.append(y.shape[1])
            return super().cost_derivative(output_activations, y)

    x, y = samples([6, 3], n=12)
    Watched([6, 3], seed=0).SGD(as_pairs(x, y), 1, 5, 1.0, report=lambda line: None)
    assert steps == [5, 5, 2]


def test_sgd_trains_a_single_output_unit():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    y = np.array([[0.0], [1], [1], [0]])
    net = Network([2, 4, 1], seed=1)
    pairs = [(a[:, np.newaxis], b[:, np.newaxis]) for a, b in zip(x, y, strict=True)]
    net.SGD(pairs, 1500, 4, 5.0, report=lambda line: None)
    np.testing.assert_array_equal(net.feedforward(x.T).round().T, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_network_keeps_the_dtype(dtype):
    net = Network([6, 4, 3], seed=0, dtype=dtype)
    x, y = samples([6, 3])
    net.update_mini_batch((x.T, y.T), 1.0)
    assert net.feedforward(x).dtype == dtype
    assert {array.dtype for array in (*net.weights, *net.biases)} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "sizes", [[], [784], [784, 0, 10], [784, -3], [784, 2.5, 10], [784, "15"], "784", 784, [True, 2]]
)
def test_network_refuses_wrong_sizes(sizes):
    with pytest.raises(UserError, match=r"^(sizes|the size of layer \d) must be "):
        Network(sizes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one sample, got none"),
        ((np.zeros((0, 6)), np.zeros(0, int)), "at least one sample, got none"),
        ((np.zeros((4, 5)), np.zeros(4, int)), r"numbers of shape \[n, 6\], got float64 of shape \[4, 5\]"),
        ((np.zeros((4, 6)), np.zeros(3, int)), "must have the same length"),
        ((np.zeros((4, 6)), np.array([0, 1, 3, 2])), "label 2 must be a class from 0 to 2, got 3"),
        ((np.zeros((4, 6)), np.array([0, -1, 2, 2])), "label 1 must be a class from 0 to 2, got -1"),
        ((np.array([["a"] * 6]), np.array([0])), "numbers"),
        ([(np.zeros((6, 1)), np.zeros((3, 1))), (np.zeros((5, 1)), np.zeros((3, 1)))], r"sample 1 must .*\[5, 1\]"),
        ([np.zeros((6, 1))], "sample 0 must be a pair"),
        ([(np.zeros((6, 1)), np.zeros((3, 1))), (np.zeros((6, 1)), np.zeros((2, 1)))], "have the same length"),
        ([(np.zeros((6, 1)), np.zeros((4, 1)))], r"got float64 of shape \[1, 4\]"),
        ([(np.zeros((6, 1)), "three")], "labels must be integers"),
        ([(np.array([["a"]] * 6), 1)], "numbers"),
        (None, "the data must be .*, got a NoneType"),
        (7, "the data must be .*, got a int"),
    ],
)
def test_network_refuses_wrong_samples(data, message):
    net = Network([6, 4, 3], seed=0)
    for use in (lambda: net.SGD(data, 1, 2, 1.0), lambda: net.update_mini_batch(data, 1.0)):
        with pytest.raises(UserError, match=message):
            use()


def test_sgd_refuses_wrong_test_data_before_training():
    net = Network([6, 4, 3], seed=0)
    before = net.weights[0].copy()
    x, y = samples([6, 3])
    with pytest.raises(UserError, match="label 0 must be a class from 0 to 2, got 9"):
        net.SGD(as_pairs(x, y), 1, 5, 1.0, test_data=[(x[:, :1], 9)])
    np.testing.assert_array_equal(net.weights[0], before)


@pytest.mark.parametrize(
    "setting", [{"epochs": 0}, {"epochs": 1.5}, {"mini_batch_size": 0}, {"eta": 0}, {"eta": -1}, {"eta": float("nan")}]
)
def test_sgd_refuses_settings_out_of_range(setting):
    x, y = samples([6, 3])
    arguments = {"epochs": 1, "mini_batch_size": 5, "eta": 1.0} | setting
    (name,) = setting
    with pytest.raises(UserError, match=f"{name} must be "):
        Network([6, 3], seed=0).SGD(as_pairs(x, y), **arguments)


def test_network_refuses_columns_that_do_not_fit():
    net = Network([6, 3], seed=0)
    with pytest.raises(UserError, match=r"the input must be columns of numbers of shape \[6, n\], got .*\[5, 2\]"):
        net.feedforward(np.zeros((5, 2)))
    with pytest.raises(UserError, match="must have the same number of columns, got 2 and 3"):
        net.backprop(np.zeros((6, 2)), np.zeros((3, 3)))
    with pytest.raises(UserError, match="y must be columns"):
        net.backprop(np.zeros((6, 2)), np.zeros((2, 2)))


# The three nets behind the interface of the training loop.


@pytest.mark.parametrize("name", ["two-layer", "three-layer", "nielsen"])
def test_learners_train_and_restore_weights(name):
    rng = np.random.default_rng(0)
    images, labels = rng.random((9, 784), np.float32), rng.integers(0, 10, 9)
    learner = learners.build(name, seed=3)
    state = learner.state_dict()
    outputs = learner.outputs(images)
    losses = learner.loss(outputs, labels)
    assert outputs.shape == (9, 10) and losses.shape == (9,) and losses.dtype == np.float64
    assert all(np.array_equal(state[k], v) for k, v in learner.state_dict().items())

    assert learner.train_step(images, labels, 0.01) == pytest.approx(losses.mean(), rel=1e-5)
    assert learner.loss(learner.outputs(images), labels).mean() < losses.mean()
    assert not np.array_equal(state["W1"], learner.state_dict()["W1"])

    learner.load_state_dict(state)
    np.testing.assert_array_equal(learner.outputs(images), outputs)
    state["W1"][:] = 0  # the caller's own copy
    np.testing.assert_array_equal(learner.outputs(images), outputs)


@pytest.mark.parametrize("name", ["two-layer", "three-layer", "nielsen"])
def test_learners_refuse_weights_that_do_not_fit(name):
    learner = learners.build(name, seed=3)
    state = learner.state_dict()
    for wrong, message in (
        ({k: v for k, v in state.items() if k != "b1"}, "b1"),
        ({**state, "W1": state["W1"].T}, "W1 must hold floats of shape .*, got float32 of shape"),
        ({**state, "b2": state["b2"] * np.float32("nan")}, "b2 must hold finite values"),
    ):
        with pytest.raises(UserError, match=message):
            learner.load_state_dict(wrong)
    for key, value in learner.state_dict().items():
        np.testing.assert_array_equal(value, state[key])


def test_build_takes_a_net_by_name():
    with pytest.raises(UserError, match="net must be one of two-layer, three-layer, nielsen, got 'cnn'"):
        learners.build("cnn")
    assert learners.build("nielsen", hidden=30).state_dict()["W1"].shape == (30, 784)
    first, again = (learners.build("two-layer", seed=1).state_dict()["W1"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
