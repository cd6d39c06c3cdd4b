from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.scratch import learners
from paddle_mnist.scratch.gradient_check import numerical_gradient, relative_error
from paddle_mnist.scratch.mnist import load_mnist
from paddle_mnist.scratch.three_layer_net import (
    SIZES,
    ThreeLayerNet,
    accuracy,
    load_weights,
    predict,
    shapes,
    walk_through,
)


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    return ThreeLayerNet(seed=2, dtype=np.float32).params


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).random((250, 784), np.float32)


@pytest.mark.parametrize("protocol", range(6))
def test_load_weights_reads_a_pickle(tmp_path, weights, protocol):
    path = tmp_path / "sample_weight.pkl"
    path.write_bytes(pickle.dumps(weights, protocol))
    loaded = load_weights(path)
    assert list(loaded) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    for name in weights:
        np.testing.assert_array_equal(loaded[name], weights[name])
        assert loaded[name].dtype == np.float32


def test_load_weights_reads_an_npz(tmp_path, weights):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "weights.npz", **weights)
        for name, value in load_weights(str(tmp_path / "weights.npz")).items():
            np.testing.assert_array_equal(value, weights[name])


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_load_weights_does_not_run_a_pickle(tmp_path, weights):
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({**weights, "W1": Bomb()}))
    with pytest.raises(UserError, match=r"weights\.pkl.* names .*'open', which is not allowed"):
        load_weights(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("b3"), "must hold W1, b1, W2, b2, W3, b3, got W1, W2, W3, b1, b2"),
        (lambda w: w.update(W4=np.zeros(3)), "W4"),
        (
            lambda w: w.update(W1=w["W1"].T),
            r"W1 must hold floats of shape \[784, 50\], got float32 of shape \[50, 784\]",
        ),
        (lambda w: w.update(b1=w["b1"].astype(int)), "b1 must hold floats .*, got int64 of shape"),
        (lambda w: w.update(b2="b2"), "'b2' must be an array, got the type str"),
        (lambda w: w.update(b2=np.full(100, np.nan, "f4")), "'b2' has 100 of 100 values that are NaN"),
    ],
)
def test_load_weights_refuses_weights_that_do_not_fit(tmp_path, weights, change, message):
    change(weights)
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps(weights))
    with pytest.raises(UserError, match=message) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 torn", b"hello", pickle.dumps([1, 2])])
@pytest.mark.parametrize("name", ["weights.npz", "weights.pkl"])
def test_load_weights_names_a_file_without_weights(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        load_weights(tmp_path / name)


def test_predict_gives_probabilities(weights, images):
    p = predict(weights, images)
    assert p.shape == (250, 10)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(predict(weights, images[3]), p[3], rtol=1e-5)


def test_predict_agrees_with_paddle(weights, images):
    import paddle
    import paddle.nn.functional as F

    w = {name: paddle.to_tensor(value) for name, value in weights.items()}
    x = paddle.to_tensor(images)
    for layer in "12":
        x = F.sigmoid(F.linear(x, w["W" + layer], w["b" + layer]))
    expected = F.softmax(F.linear(x, w["W3"], w["b3"]))
    np.testing.assert_allclose(predict(weights, images), expected.numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("batch_size", [1, 100, 249, 250, 1000])
def test_accuracy_counts_the_last_batch_too(weights, images, batch_size):
    labels = predict(weights, images).argmax(axis=1)
    labels[[0, 120, 249]] += 1  # one wrong in each hundred, the incomplete one included
    labels %= 10
    assert accuracy(weights, images, labels, batch_size) == 247 / 250
    assert accuracy(weights, images, np.eye(10)[labels], batch_size) == 247 / 250


def test_accuracy_refuses_wrong_arguments(weights, images):
    labels = np.zeros(250, int)
    for arguments, message in (
        ((images[:, 1:], labels), r"images must be .*\[250, 783\]"),
        ((images, labels[1:]), r"shape \[249\]"),
        ((images, labels + 10), "label 0 must be a class from 0 to 9, got 10"),
        ((images[:0], labels[:0]), "images must hold at least one sample"),
        ((images, labels, 0), "batch_size must be an integer above 0, got 0"),
        ((images, labels, 2.5), "batch_size must be an integer above 0, got 2.5"),
    ):
        with pytest.raises(UserError, match=message):
            accuracy(weights, *arguments)


def test_walk_through_shows_every_shape(weights, images):
    way = walk_through(weights, images[0].reshape(28, 28))
    assert [shape for _, shape in way.shapes] == [
        *((784,), (784, 50), (50,), (50,)),
        *((50, 100), (100,), (100,)),
        *((100, 10), (10,), (10,)),
    ]
    np.testing.assert_allclose(way.probabilities, predict(weights, images[0]), rtol=1e-5)
    assert way.digit == way.probabilities.argmax()
    text = str(way)
    assert "784 by 50" in text and f"{way.digit}: " in text and text.count("%") == 10
    with pytest.raises(UserError, match=r"image must be .*\[1, 783\]"):
        walk_through(weights, images[0, 1:])


def test_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    net = ThreeLayerNet((6, 5, 4, 3), seed=0)
    x, t = rng.normal(size=(7, 6)), rng.integers(0, 3, 7)
    gradient = net.gradient(x, t)
    assert gradient.keys() == net.params.keys()
    for name in gradient:

        def loss(value, name=name):
            other = ThreeLayerNet((6, 5, 4, 3))
            other.params = {**net.params, name: value}
            return other.loss(x, t)

        assert relative_error(gradient[name], numerical_gradient(loss, net.params[name])) < 1e-6, name


def test_three_layer_net_learns(splits):
    x = splits.train.images.reshape(-1, 784).astype(np.float32) / 255
    t = splits.train.labels.astype(np.int64)
    net = learners.build("three-layer", seed=0)
    for first in [0, 60, 120] * 30:
        net.train_step(x[first : first + 60], t[first : first + 60], 0.5)
    valid = splits.valid.images.reshape(-1, 784).astype(np.float32) / 255
    assert accuracy(net.state_dict(), valid, splits.valid.labels.astype(np.int64)) > 0.9


@pytest.mark.parametrize("sizes", [(784, 50, 10), (784, 50, 100, 20, 10), (784, 50, 100, 0), 784])
def test_three_layer_net_refuses_wrong_sizes(sizes):
    with pytest.raises(UserError, match=r"^(sizes|the size of layer \d) must be "):
        ThreeLayerNet(sizes)


def test_load_mnist_gives_the_forms_of_the_book(data_file, splits):
    (x, t), (x_test, t_test) = load_mnist(data=data_file)
    assert x.shape == (280, 784) and x.dtype == np.float32 and x.min() >= 0 and 0.5 < x.max() <= 1
    assert t.shape == (280,) and t.dtype == np.uint8
    np.testing.assert_array_equal(t, np.concatenate([splits.train.labels, splits.valid.labels]))
    np.testing.assert_array_equal(t_test, splits.eval.labels)
    np.testing.assert_allclose(x_test * 255, splits.eval.images.reshape(50, 784), rtol=1e-6)

    (raw, rows), (raw_test, rows_test) = load_mnist(normalize=False, flatten=False, one_hot_label=True, data=data_file)
    assert raw.shape == (280, 1, 28, 28) and raw.dtype == np.uint8
    np.testing.assert_array_equal(raw_test[:, 0], splits.eval.images)
    assert rows.shape == (280, 10) and (rows.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(rows_test.argmax(axis=1), t_test)


def test_scratch_does_not_import_paddle(weights, tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(weights))
    program = (
        "import sys; from paddle_mnist.scratch import learners, three_layer_net, gradient_check\n"
        "three_layer_net.load_weights('w.pkl'); learners.build('nielsen')\n"
        "sys.exit(bool({'paddle', 'matplotlib', 'scipy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


def test_shapes_gives_the_shape_of_each_parameter():
    assert list(shapes(SIZES).values()) == [(784, 50), (50,), (50, 100), (100,), (100, 10), (10,)]
