from __future__ import annotations

import itertools
import sys
import tracemalloc

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
import random_nets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paddle import nn

from paddle_mnist import cpu, fast
from paddle_mnist.fast import onednn
from paddle_mnist.fast.compiled.library import LANES, library, loaded

SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True, "database": None}


# Paddle says so whenever a batch norm is trained.
pytestmark = pytest.mark.filterwarnings("ignore:When training, we now always track")


@pytest.fixture
def without_onednn(monkeypatch):
    """A Paddle whose wheel brings no oneDNN."""
    monkeypatch.setattr(onednn, "library", lambda: None)


@settings(max_examples=90, **SLOW)
@given(st.data())
def test_random_nets_equal_plain_paddle(data):
    random_nets.compare(lambda options: data.draw(st.sampled_from(options)))


@settings(max_examples=30, **SLOW)
@given(st.data())
def test_random_nets_without_onednn_equal_plain_paddle(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "library", lambda: None)
        random_nets.compare(lambda options: data.draw(st.sampled_from(options)))


@pytest.mark.skipif(library() is None, reason="needs the compiled kernels")
@settings(max_examples=30, **SLOW)
@given(st.data())
def test_random_nets_on_older_processors_equal_plain_paddle(data):
    with random_nets.older_processor(data.draw(st.sampled_from([0, 1]))):
        random_nets.compare(lambda options: data.draw(st.sampled_from(options)))


class Net(nn.Layer):
    """Convolutions with batch norm and dropout, a residual, and two linear layers."""

    def __init__(self, p: float = 0.3) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2D(1, 8, 3, padding=1, stride=2, bias_attr=False), nn.BatchNorm2D(8)
        self.conv2, self.norm2 = nn.Conv2D(8, 8, 3, padding=1, bias_attr=False), nn.BatchNorm2D(8)
        self.drop = nn.Dropout(p)
        self.fc1, self.fc2 = nn.Linear(8 * 49, 600), nn.Linear(600, 10)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = x + F.relu(self.norm2(self.conv2(x)))
        x = F.max_pool2d(x, 2).flatten(1)
        return self.fc2(self.drop(F.relu(self.fc1(x))))


def batch(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return random_nets.digits(n, seed), np.random.default_rng(seed).integers(0, 10, (n, 1))


def net_and_step(optimizer=None, p: float = 0.3, seed: int = 1):
    paddle.seed(3)
    net = Net(p)
    make = optimizer or (lambda parameters: paddle.optimizer.SGD(0.05, parameters=parameters))
    return net, fast.train_step(net, "classify", make(net.parameters()), seed=seed)


def test_train_step_with_batch_norm_gives_the_same_bits_for_any_number_of_threads(monkeypatch):
    ends = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(cpu, "threads", lambda threads=threads: threads)
        net, step = net_and_step()
        found = [step(*batch(n, seed=n)) for n in (64, 64, 37)]
        ends.append((found, random_nets.state(net)))
    for found, state in ends[1:]:
        assert found == ends[0][0]
        assert all((state[name] == value).all() for name, value in ends[0][1].items())


def test_train_step_without_onednn_gives_the_same_bits_for_any_number_of_threads(monkeypatch, without_onednn):
    ends = []
    for threads in (1, 2):
        monkeypatch.setattr(cpu, "threads", lambda threads=threads: threads)
        net, step = net_and_step()
        assert step.engine.startswith("fast: NumPy")
        step(*batch(64))
        ends.append(random_nets.state(net))
    assert all((ends[1][name] == value).all() for name, value in ends[0].items())


def test_dropout_depends_on_seed_and_step_alone():
    images, labels = batch(40)

    def two_losses(seed: int, first: int) -> list[float]:
        _, step = net_and_step(lambda parameters: paddle.optimizer.SGD(0.0, parameters=parameters), p=0.5, seed=seed)
        step.number = first
        return [step(images, labels) for _ in range(2)]

    one = two_losses(1, 0)
    assert one == two_losses(1, 0)
    assert one[0] != one[1]
    assert two_losses(1, 1)[0] == one[1]
    assert two_losses(2, 0) != one


def test_dropout_follows_paddle_s_seed_where_none_is_given():
    def loss(seed: int) -> float:
        net, _ = net_and_step()
        paddle.seed(seed)
        optimizer = paddle.optimizer.SGD(0.0, parameters=net.parameters())
        return fast.train_step(net, "classify", optimizer)(*batch(40))

    assert loss(1) == loss(1) != loss(2)


def test_accelerate_goes_back_through_the_masks_of_the_way_forward():
    net, _ = net_and_step(p=0.5)
    net.fc2.bias.set_value(net.fc2.bias * 0)
    forward = fast.accelerate(net)
    outputs = forward(paddle.to_tensor(batch(6)[0]))
    outputs.sum().backward()
    # Outputs are linear in the last weights, so their product with the gradient is the sum of the outputs.
    assert float((net.fc2.weight * net.fc2.weight.grad).sum()) == pytest.approx(float(outputs.sum()), rel=1e-4)


OPTIMIZERS = {
    "momentum": lambda p, **more: paddle.optimizer.Momentum(0.02, 0.9, parameters=p, **more),
    "nesterov": lambda p, **more: paddle.optimizer.Momentum(0.02, 0.9, parameters=p, use_nesterov=True, **more),
    "rmsprop": lambda p, **more: paddle.optimizer.RMSProp(0.001, epsilon=1e-2, parameters=p, **more),
    "adam": lambda p, **more: paddle.optimizer.Adam(0.001, epsilon=1e-2, parameters=p, **more),
    "adamw": lambda p, **more: paddle.optimizer.AdamW(0.001, epsilon=1e-2, parameters=p, weight_decay=0.1, **more),
    "sgd with decay": lambda p, **more: paddle.optimizer.SGD(
        0.02, parameters=p, weight_decay=paddle.regularizer.L2Decay(0.1), **more
    ),
    "momentum with decay": lambda p, **more: paddle.optimizer.Momentum(
        0.02, 0.9, parameters=p, weight_decay=0.1, **more
    ),
    "centered rmsprop with decay": lambda p, **more: paddle.optimizer.RMSProp(
        0.001, epsilon=1e-2, momentum=0.5, centered=True, parameters=p, weight_decay=0.1, **more
    ),
    "adam with decay": lambda p, **more: paddle.optimizer.Adam(
        0.001, epsilon=1e-2, parameters=p, weight_decay=paddle.regularizer.L2Decay(0.1), **more
    ),
    "sgd": lambda p, **more: paddle.optimizer.SGD(0.02, parameters=p, **more),
}
CLIPS = {
    "none": lambda: None,
    "global norm": lambda: nn.ClipGradByGlobalNorm(0.1),
    "norm": lambda: nn.ClipGradByNorm(0.1),
    "value": lambda: nn.ClipGradByValue(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", CLIPS)
def test_train_step_equals_the_plain_step_with_every_optimizer(name, clip):
    ends = []
    for plain in (False, True):
        paddle.seed(3)
        net = Net(p=0.0)
        optimizer = OPTIMIZERS[name](net.parameters(), grad_clip=CLIPS[clip]())
        step = fast.train_step(net, "classify", optimizer, label_smoothing=0.1)
        run = step.plain if plain else step
        if not plain:
            assert step.engine.startswith("fast")
        found = [run(*batch(n, seed=n)) for n in (20, 20, 7)]
        ends.append({"losses": np.array(found), **random_nets.state(net)})
    assert max(random_nets.differences(*ends).values()) < 1e-4


def dense_net() -> nn.Layer:
    """Return a net whose products are divided among threads."""
    paddle.seed(3)
    hidden = [nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 130, bias_attr=False), nn.Sigmoid()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(130, 10))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", ["none", "global norm"])
def test_train_step_of_a_dense_net_equals_the_plain_step_with_every_optimizer(name, clip):
    ends = []
    for plain in (False, True):
        net = dense_net()
        step = fast.train_step(net, "classify", OPTIMIZERS[name](net.parameters(), grad_clip=CLIPS[clip]()))
        run = step.plain if plain else step
        found = [run(*batch(n, seed=n)) for n in (20, 20, 7)]
        ends.append({"losses": np.array(found), **random_nets.state(net)})
    assert max(random_nets.differences(*ends).values()) < 1e-4


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_train_step_of_a_dense_net_gives_the_same_bits_for_any_number_of_threads(name, monkeypatch):
    ends = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(cpu, "threads", lambda threads=threads: threads)
        net = dense_net()
        step = fast.train_step(net, "classify", OPTIMIZERS[name](net.parameters()))
        found = [step(*batch(n, seed=n)) for n in (64, 64, 37)]
        assert step.engine.endswith(f"{threads} thread{'s' if threads > 1 else ''}")
        ends.append((found, random_nets.state(net)))
    for found, state in ends[1:]:
        assert found == ends[0][0]
        assert all((state[name] == value).all() for name, value in ends[0][1].items())


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_train_step_of_a_dense_net_leaves_values_that_are_not_finite_to_paddle(value):
    images, labels = batch(20)
    images[3, 0, 14, 14] = value
    ends = []
    for plain in (False, True):
        net = dense_net()
        net[1].weight.set_value(net[1].weight * 100)
        step = fast.train_step(net, "classify", OPTIMIZERS["sgd"](net.parameters()))
        loss = (step.plain if plain else step)(images, labels)
        ends.append({"loss": np.array(loss), **random_nets.state(net)})
    for name, found in ends[0].items():
        np.testing.assert_array_equal(found, ends[1][name], err_msg=name)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if "sgd" not in name])
def test_train_step_leaves_the_state_that_the_plain_step_leaves(name):
    ends = []
    for plain in (False, True):
        paddle.seed(3)
        with paddle.utils.unique_name.guard():
            net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
            optimizer = OPTIMIZERS[name](net.parameters())
        for i in range(4):
            if i == 2:  # resume from what was saved
                state = {key: value.clone() for key, value in optimizer.state_dict().items()}
                optimizer = OPTIMIZERS[name](net.parameters())
                optimizer.set_state_dict(state)
            step = fast.train_step(net, "classify", optimizer)
            with paddle.utils.unique_name.guard():
                (step.plain if plain else step)(*batch(20, seed=i))
        ends.append({key: value.numpy() for key, value in optimizer.state_dict().items()})
    assert list(ends[0]) == list(ends[1])
    assert max(random_nets.differences(*ends).values()) < 1e-4


def test_running_statistics_are_stored_once_per_step():
    net, step = net_and_step(p=0.0)
    before = net.norm1._mean.numpy().copy()
    images, labels = batch(30)
    maps = net.conv1(paddle.to_tensor(images)).numpy()
    step(images, labels)
    np.testing.assert_allclose(net.norm1._mean.numpy(), 0.9 * before + 0.1 * maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("place", ["images", "weight", "labels"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_give_what_plain_paddle_gives(place, value):
    ends = []
    for plain in (False, True):
        net, step = net_and_step(p=0.0)
        images, labels = random_nets.digits(8, 0), np.arange(8, dtype=np.float32)[:, np.newaxis]
        task = fast.train_step(net, "regress", step.optimizer)
        if place == "images":
            images[3, 0, 10, 10] = value
        elif place == "labels":
            labels[2] = value
        else:
            weight = net.conv1.weight.numpy()
            weight[0, 0, 0, 0] = value
            net.conv1.weight.set_value(weight)
        loss = (task.plain if plain else task)(images, labels)
        ends.append({"loss": np.array(loss), **random_nets.state(net)})
    for name, wanted in ends[1].items():
        np.testing.assert_array_equal(ends[0][name], wanted)


def test_accelerate_gives_what_plain_paddle_gives_where_values_are_not_finite():
    net, _ = net_and_step(p=0.0)
    net.eval()
    images = random_nets.digits(4, 0)
    images[1, 0, 3, 3] = np.nan
    with paddle.no_grad():
        found, wanted = (f(paddle.to_tensor(images)).numpy() for f in (fast.accelerate(net), net))
    np.testing.assert_array_equal(found, wanted)


class Changing(nn.Layer):
    """A net whose ``forward`` reads what may change between two calls."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.scale, self.options = nn.Linear(784, 3), 1.0, {"double": False}

    def forward(self, images):
        x = images.flatten(1) * self.scale * FACTOR
        return helper(self.fc(x * 2 if self.options["double"] else x))


FACTOR = 1.0


def helper(x):
    return x + OFFSET


OFFSET = 0.0


def test_accelerate_notices_that_the_net_has_changed(monkeypatch):
    net = Changing()
    forward, images = fast.accelerate(net), paddle.to_tensor(random_nets.digits(4, 0))

    def equal() -> bool:
        with paddle.no_grad():
            return bool(np.allclose(forward(images).numpy(), net(images).numpy(), rtol=1e-5, atol=1e-6))

    assert forward.engine.startswith("fast") and equal()
    net.scale = 2.0
    assert equal()
    net.options["double"] = True
    assert equal()
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert equal()
    monkeypatch.setitem(globals(), "OFFSET", 1.0)
    assert equal()
    net.fc = nn.Linear(784, 5)
    assert equal()
    net.fc.weight.set_value(net.fc.weight * 3)
    assert equal()
    net.eval()
    assert equal()
    net.fc.register_forward_post_hook(lambda layer, inputs, output: output * 2)
    assert equal() and forward.engine == "plain: layers have hooks"


def test_accelerate_returns_maps_with_channels_first():
    net = nn.Sequential(nn.Conv2D(1, 3, 5, stride=2), nn.ReLU())
    images, results = paddle.to_tensor(random_nets.digits(25, 0)), []
    for function in (fast.accelerate(net), net):
        outputs = function(images)
        (outputs * paddle.arange(12, dtype="float32")).sum().backward()
        results.append({"outputs": outputs.numpy(), "weight": net[0].weight.grad.numpy().copy()})
        net.clear_gradients()
    assert results[0]["outputs"].shape == (25, 3, 12, 12)
    assert max(random_nets.differences(*results).values()) < 1e-5


def test_accelerate_takes_other_sizes_of_images():
    net = nn.Sequential(nn.Conv2D(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2D(2), nn.Flatten(), nn.Linear(16, 2))
    forward = fast.accelerate(net)
    for side in (9, 14):
        images = paddle.rand([5, 3, side, side])
        np.testing.assert_allclose(forward(images).numpy(), net(images).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("net_type", ["shared layer", "tied weights", "unused layer"])
def test_nets_with_shared_or_unused_parameters_are_left_to_paddle(net_type):
    class Special(nn.Layer):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(784, 784), nn.Linear(784, 784)
            self.last = nn.Linear(784, 10)
            if net_type == "tied weights":
                self.two.weight = self.one.weight

        def forward(self, x):
            x = F.tanh(self.one(x.flatten(1)))
            if net_type != "unused layer":
                x = (self.one if net_type == "shared layer" else self.two)(x)
            return self.last(x)

    nets = [Special(), Special()]
    nets[1].set_state_dict(nets[0].state_dict())
    steps = [fast.train_step(net, "classify", paddle.optimizer.SGD(0.1, parameters=net.parameters())) for net in nets]
    assert steps[0].engine.startswith("plain: parameter")
    assert steps[0](*batch(4)) == steps[1].plain(*batch(4))
    assert max(random_nets.differences(random_nets.state(nets[0]), random_nets.state(nets[1])).values()) == 0


class Hiding:
    """A layer or an optimizer without one of Paddle's private attributes, as in another version of Paddle."""

    hidden = ""

    def __getattribute__(self, name):
        hide_from_the_adapter(name)
        return super().__getattribute__(name)

    def __getattr__(self, name):  # Python asks this next
        hide_from_the_adapter(name)
        return super().__getattr__(name)


def hide_from_the_adapter(name: str) -> None:
    if name == Hiding.hidden and sys._getframe(2).f_globals["__name__"] == "paddle_mnist.fast.paddle_private":
        raise AttributeError("no such attribute")


class HidingNet(Hiding, Net):
    pass


class HidingNorm(Hiding, nn.BatchNorm2D):
    pass


class HidingMomentum(Hiding, paddle.optimizer.Momentum):
    pass


@pytest.mark.parametrize("hidden", ["_forward_pre_hooks", "_forward_post_hooks", "_mean", "_variance"])
def test_nets_in_an_unknown_version_of_paddle_are_left_to_paddle(hidden, monkeypatch):
    net = HidingNet(p=0.0)
    net.norm1.__class__ = HidingNorm
    monkeypatch.setattr(Hiding, "hidden", hidden)
    assert fast.engine_name(net) == "plain: this version of Paddle is not known (no such attribute)"
    images = paddle.to_tensor(batch(8)[0])
    np.testing.assert_array_equal(fast.accelerate(net)(images).numpy(), net(images).numpy())


@pytest.mark.parametrize(
    "hidden",
    ["_grad_clip", "_parameter_list", "_rescale_grad", "_momentum", "_regularization_method", "_accumulators"],
)
def test_optimizers_in_an_unknown_version_of_paddle_do_their_own_step(hidden, monkeypatch):
    monkeypatch.setattr(paddle.optimizer, "Momentum", HidingMomentum)  # the type that is known
    ends = []
    for name in ("", hidden):
        monkeypatch.setattr(Hiding, "hidden", name)
        net, step = net_and_step(lambda parameters: HidingMomentum(0.05, 0.9, parameters=parameters), p=0.0)
        losses = [step(*batch(8)) for _ in range(3)]
        ends.append({"losses": np.array(losses), **random_nets.state(net)})
    assert max(random_nets.differences(*ends).values()) < 1e-4


def plain_step(net, optimizer, images, labels) -> float:
    loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)


@pytest.mark.parametrize("library", ["oneDNN", "NumPy"])
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_pooling_with_sizes_that_round_up(kind, padding, exclusive, library, monkeypatch):
    if library == "NumPy":
        monkeypatch.setattr(onednn, "library", lambda: None)

    class Pool(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2D(1, 3, 1)

        def forward(self, x):
            if kind == "max":
                return F.max_pool2d(self.conv(x), 3, 2, padding, ceil_mode=True)
            return F.avg_pool2d(self.conv(x), 3, 2, padding, ceil_mode=True, exclusive=exclusive)

    net, images, results = Pool(), random_nets.digits(4, 0), []
    forward = fast.accelerate(net)
    assert forward.engine.startswith(f"fast: {library}")
    for function in (forward, net):
        net.clear_gradients()
        outputs = function(paddle.to_tensor(images))
        outputs.square().sum().backward()
        results.append({"outputs": outputs.numpy(), "weight": net.conv.weight.grad.numpy().copy()})
    assert max(random_nets.differences(*results).values()) < 1e-5


@pytest.mark.parametrize("padding", [[1, 0], [2, 0]])
def test_convolutions_to_a_single_column_equal_paddle_s(padding):
    net = nn.Conv2D(1, 2, [3, 2], [1, 2], padding)  # oneDNN leaves rows of this out
    images = paddle.rand([33, 1, 4, 3])
    np.testing.assert_allclose(fast.accelerate(net)(images).numpy(), net(images).numpy(), rtol=1e-4, atol=1e-5)


def test_threads_run_primitives_that_another_thread_created(monkeypatch):
    # Gradients of uneven paddings, for one, need scratch memory, which oneDNN keeps for each thread by default.
    monkeypatch.setattr(cpu, "threads", lambda: 3)
    for padding, channels in (([1, 0, 2, 1], 6), (2, 20), (1, 3)):
        net = nn.Sequential(nn.Conv2D(1, channels, 2), nn.Conv2D(channels, 6, 2, padding=padding), nn.Flatten())
        images = random_nets.digits(60, 0)
        results = []
        for function in (fast.accelerate(net), net):
            net.clear_gradients()
            function(paddle.to_tensor(images)).square().mean().backward()
            results.append({name: value.grad.numpy().copy() for name, value in net.named_parameters()})
        assert max(random_nets.differences(*results).values()) < 1e-4


def test_train_step_of_the_cnn_needs_less_than_50_mb():
    from paddle_mnist.nets import CNN

    net = CNN()
    step = fast.train_step(net, "regress", paddle.optimizer.SGD(0.01, parameters=net.parameters()))
    images, labels = random_nets.digits(100, 0), np.ones((100, 1), np.float32)
    tracemalloc.start()
    try:
        step(images, labels)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_train_step_is_left_to_paddle_once_onednn_has_failed(monkeypatch):
    (plain_net, _), (net, step) = net_and_step(p=0.0), net_and_step(p=0.0)
    library = onednn.library().library

    class Failing:
        def __getattr__(self, name):
            return (lambda *arguments: 3) if name == "dnnl_primitive_create" else getattr(library, name)

    monkeypatch.setattr(onednn.library(), "library", Failing())
    wanted = plain_step(plain_net, paddle.optimizer.SGD(0.05, parameters=plain_net.parameters()), *batch(8))
    assert step(*batch(8)) == wanted
    assert step.engine == "plain: oneDNN returned status 3 from primitive_create"
    assert max(random_nets.differences(random_nets.state(net), random_nets.state(plain_net)).values()) == 0


def test_cnn_without_onednn_equals_the_plain_layers(without_onednn):
    from paddle_mnist.nets import CNN

    net = CNN()
    images, labels = random_nets.digits(25, 0), np.ones((25, 1), np.float32)
    forward = fast.accelerate(net)
    assert forward.engine.startswith("fast: NumPy")
    wanted = random_nets.gradients(net, net, "regress", images, labels)
    found = random_nets.gradients(net, forward, "regress", images, labels)
    assert max(random_nets.differences(found, wanted).values()) < 2e-5


@pytest.mark.parametrize("strides", [(1, 2), (2, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_strided_convolutions_write_into_their_own_memory_alone(strides, kernel, channels):
    with random_nets.guarded_memory() as buffers:
        convolution = nn.Conv2D(channels, 5, kernel, strides, kernel // 2)
        net = nn.Sequential(nn.Conv2D(1, channels, 3, padding=1), nn.Tanh(), convolution)
        fast.accelerate(net)(paddle.to_tensor(batch(4)[0])).square().sum().backward()
        assert len(buffers) > 5


AFTER_CONVOLUTION = {
    "nothing": [],
    "ReLU": [nn.ReLU()],
    "max pooling": [nn.MaxPool2D(2, 2)],
    "max pooling and ReLU": [nn.MaxPool2D(2, 2), nn.ReLU()],
}


def assert_convolution_equals_plain_paddle(kernel, channels, outputs, size, padding, n, follows):
    paddle.seed(1)
    conv = nn.Conv2D(channels, outputs, kernel, padding=padding, bias_attr=None if "ReLU" in follows else False)
    after = AFTER_CONVOLUTION[follows]
    head = [nn.AdaptiveAvgPool2D(3), nn.Flatten(), nn.Linear(9 * outputs, 10)]
    net = nn.Sequential(nn.Conv2D(1, channels, 1), nn.Tanh(), conv, *after, *head)
    rng = np.random.default_rng(0)
    images, labels = rng.random((n, 1, size, size), np.float32), rng.integers(0, 10, (n, 1))
    forward = fast.accelerate(net)
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


@pytest.mark.parametrize(
    ("channels", "outputs", "size", "padding", "n"),
    [
        (16, 16, 28, 1, 3),
        (32, 16, 27, 0, 5),
        (16, 48, 14, 2, 3),
        (64, 64, 7, 1, 20),
        (16, 32, 9, (0, 1), 33),
        (32, 16, 6, 1, 4),
    ],
)
@pytest.mark.parametrize("follows", AFTER_CONVOLUTION)
def test_convolution_with_3x3_kernels_equals_plain_paddle(channels, outputs, size, padding, n, follows):
    assert_convolution_equals_plain_paddle(3, channels, outputs, size, padding, n, follows)


@pytest.mark.parametrize(
    ("channels", "outputs", "size", "padding", "n"),
    [
        *[(16, 32, 12, 0, 9), (32, 16, 15, 2, 5), (16, 16, 8, (4, 1), 3), (48, 32, 11, 1, 1), (32, 32, 28, 2, 2)],
        *[(20, 20, 14, 2, 4), (20, 24, 28, 2, 1), (37, 21, 16, 1, 3), (21, 40, 13, (4, 3), 5)],
    ],
)
@pytest.mark.parametrize("follows", AFTER_CONVOLUTION)
def test_convolution_with_5x5_kernels_equals_plain_paddle(channels, outputs, size, padding, n, follows):
    assert_convolution_equals_plain_paddle(5, channels, outputs, size, padding, n, follows)


def paper_net(channels, outputs, kernel, norm=False):
    """Return a net as people begin with: biases are zero, so that on blank paper a ReLU meets zeros."""

    def block(ins, outs):
        norms = [nn.BatchNorm2D(outs)] if norm else []  # which make up for a bias: its gradient would be rounding
        conv = nn.Conv2D(ins, outs, kernel, padding=kernel // 2, bias_attr=False if norm else None)
        return [conv, *norms, nn.ReLU(), nn.MaxPool2D(2, 2)]

    return nn.Sequential(*block(1, channels), *block(channels, outputs), nn.Flatten(), nn.Linear(49 * outputs, 10))


def assert_gradients_on_paper_equal_plain_paddle(channels, outputs, kernel, norm=False):
    paddle.seed(1)
    net = paper_net(channels, outputs, kernel, norm)
    images, labels = random_nets.digits(8, 0), np.arange(8)[:, np.newaxis]
    forward = fast.accelerate(net)
    assert forward.engine.startswith("fast")
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("channels", "outputs"), [(16, 32), (20, 20)])
def test_gradients_on_blank_paper_with_zero_biases_equal_plain_paddle(channels, outputs, kernel, norm):
    assert_gradients_on_paper_equal_plain_paddle(channels, outputs, kernel, norm)


@pytest.mark.parametrize("name", random_nets.ACTIVATIONS)
def test_derivative_of_an_activation_at_zero_is_plain_paddles(name):
    paddle.seed(1)
    net = nn.Sequential(
        nn.Conv2D(1, 4, 3), random_nets.activation(lambda _: name), nn.Flatten(), nn.Linear(4 * 26 * 26, 10)
    )
    images, labels = (
        random_nets.digits(5, 0),
        np.arange(5)[:, np.newaxis],
    )  # biases are zero, and so are results on paper
    forward = fast.accelerate(net)
    assert forward.engine.startswith("fast")
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


@pytest.mark.skipif(library() is None, reason="needs the compiled kernels")
@pytest.mark.parametrize("instructions", [0, 1, 2])
def test_kernels_for_each_set_of_instructions_equal_plain_paddle(instructions):
    with random_nets.older_processor(instructions):
        assert loaded().lanes <= LANES[instructions]
        assert_gradients_on_paper_equal_plain_paddle(20, 20, 5)
        assert_gradients_on_paper_equal_plain_paddle(16, 32, 3)
        for size, padding, follows in itertools.product((28, 9), (0, 1), AFTER_CONVOLUTION):
            assert_convolution_equals_plain_paddle(3, 3, 5, size, padding, 2, follows)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "n"),
    [(28, 3, 1, 1, 3), (27, 3, 2, 1, 5), (14, 5, 1, 2, 3), (9, (3, 1), (1, 2), (2, 0), 4), (6, 7, 3, 3, 2)],
)
@pytest.mark.parametrize("channels", [16, 48])
def test_depthwise_convolution_equals_plain_paddle(size, kernel, stride, padding, n, channels):
    paddle.seed(1)
    bias = None if channels == 16 else False
    conv = nn.Conv2D(channels, channels, kernel, stride, padding, groups=channels, bias_attr=bias)
    head = [nn.AdaptiveAvgPool2D(2), nn.Flatten(), nn.Linear(4 * channels, 10)]
    net = nn.Sequential(nn.Conv2D(1, channels, 1), nn.Tanh(), conv, nn.ReLU(), *head)
    rng = np.random.default_rng(0)
    images, labels = rng.random((n, 1, size, size), np.float32), rng.integers(0, 10, (n, 1))
    forward = fast.accelerate(net)
    assert forward.engine.startswith("fast")
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


@pytest.mark.parametrize("outputs", [1, 2])
def test_linear_layer_with_many_inputs_and_few_outputs_equals_plain_paddle(outputs):
    paddle.seed(1)
    net = nn.Sequential(nn.Conv2D(1, 32, 3), nn.Flatten(), nn.Linear(32 * 26 * 26, outputs))
    images, labels = batch(20)
    task = "regress" if outputs == 1 else "classify"
    labels = labels.astype(np.float32) if outputs == 1 else labels % outputs
    forward = fast.accelerate(net)
    found, wanted = (random_nets.gradients(net, f, task, images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


def test_dilated_convolution_with_a_single_tap_equals_plain_paddle():
    paddle.seed(1)
    conv = nn.Conv2D(1, 4, 1, stride=(1, 2), padding=1, dilation=2)  # oneDNN 3.6 crashes with this dilation
    net = nn.Sequential(nn.AdaptiveMaxPool2D(1), conv, nn.Flatten(), nn.Linear(24, 10))
    images, labels = batch(1)
    forward = fast.accelerate(net)
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < 1e-5


@pytest.mark.parametrize("n", [1, 15, 40])
@pytest.mark.parametrize(("outputs", "more"), [(33, 65), (64, 40), (500, 100)])
@pytest.mark.parametrize("maps", [False, True])
def test_linear_layers_with_many_outputs_equal_plain_paddle(n, outputs, more, maps):
    paddle.seed(1)
    first = [nn.Conv2D(1, 3, 3, stride=3), nn.Flatten()] if maps else [nn.Flatten()]
    layers = [nn.Linear(243 if maps else 784, outputs), nn.ReLU(), nn.Linear(outputs, more, bias_attr=False)]
    net = nn.Sequential(*first, *layers, nn.Tanh(), nn.Linear(more, 10))
    images, labels = batch(n)
    forward = fast.accelerate(net)
    assert forward.engine.startswith("fast")
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


def test_train_step_and_accelerate_of_a_dense_net_read_their_own_images():
    paddle.seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    step = fast.train_step(net, "classify", paddle.optimizer.SGD(0.1, parameters=net.parameters()))
    forward = fast.accelerate(net)
    for seed in range(3):
        step(*batch(20, seed=seed))
        images, labels = batch(20, seed=10 + seed)
        found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
        assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


def test_accelerate_of_a_dense_net_takes_images_that_are_not_contiguous():
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.ReLU(), nn.Linear(40, 10))
    images = paddle.to_tensor(batch(20)[0]).transpose([0, 1, 3, 2])
    with paddle.no_grad():
        found, wanted = fast.accelerate(net)(images).numpy(), net(images).numpy()
    assert abs(found - wanted).max() < 1e-5


@pytest.mark.parametrize("hidden", [10, 100])
def test_accelerate_of_a_dense_net_gives_the_same_bits_for_any_number_of_threads(hidden, monkeypatch):
    paddle.seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.Sigmoid(), nn.Linear(hidden, 10))
    net.eval()
    images, found = paddle.to_tensor(batch(603)[0]), []
    for threads in (1, 2, 3):
        monkeypatch.setattr(cpu, "threads", lambda threads=threads: threads)
        other = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.Sigmoid(), nn.Linear(hidden, 10))
        other.set_state_dict(net.state_dict())
        other.eval()
        with paddle.no_grad():
            found.append(fast.accelerate(other)(images).numpy())
    assert all((outputs == found[0]).all() for outputs in found)
    with paddle.no_grad():
        assert abs(found[0] - net(images).numpy()).max() < 1e-5


def blank_and_written(n):
    """Return digits, most of whose pixels are blank, and the same with the least number that counts in their place."""
    images = random_nets.digits(n, 0)
    return images, np.where(images == 0, np.float32(1e-38), images)


def net_that_skips_blank_pixels(kind, activation):
    """Return a net whose first layer is linear or a convolution; no bias is zero."""
    paddle.seed(1)
    if kind == "linear":
        layers = [nn.Flatten(), nn.Linear(784, 100), activation, nn.Linear(100, 10)]
    else:
        layers = [nn.Conv2D(1, 20, 5, padding=2), activation, nn.MaxPool2D(2, 2), nn.Flatten(), nn.Linear(3920, 10)]
    net = nn.Sequential(*layers)
    first = net[1] if kind == "linear" else net[0]
    first.bias.set_value(np.linspace(-0.1, 0.1, len(first.bias), dtype=np.float32))
    return net, first


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize("n", [1, 7, 30])
def test_outputs_are_the_same_bits_whether_blank_pixels_are_left_out_or_not(n, kind):
    net, _ = net_that_skips_blank_pixels(kind, nn.ReLU())
    forward = fast.accelerate(net)
    blank, written = blank_and_written(n)
    for mode in (net.eval, net.train):
        mode()
        with paddle.no_grad():
            np.testing.assert_array_equal(forward(paddle.to_tensor(blank)), forward(paddle.to_tensor(written)))


@pytest.mark.parametrize("n", [7, 30])
def test_gradients_of_a_convolution_are_the_same_bits_whether_blank_pixels_are_left_out_or_not(n):
    net, _ = net_that_skips_blank_pixels("convolution", nn.ReLU())
    forward, labels = fast.accelerate(net), np.arange(n)[:, np.newaxis] % 10
    blank, written = (random_nets.gradients(net, forward, "classify", x, labels) for x in blank_and_written(n))
    for name, gradient in blank.items():
        np.testing.assert_array_equal(gradient, written[name])


@pytest.mark.parametrize("hidden", [40, 100, 512])
@pytest.mark.parametrize("n", [1, 30, 200])
def test_gradients_of_images_with_blank_pixels_equal_plain_paddle(n, hidden):
    paddle.seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    images, labels = blank_and_written(n)[0], np.arange(n)[:, np.newaxis] % 10
    forward = fast.accelerate(net)
    assert forward.engine.startswith("fast")
    found, wanted = (random_nets.gradients(net, f, "classify", images, labels) for f in (forward, net))
    assert max(random_nets.differences(found, wanted).values()) < random_nets.TOLERANCE


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_weight_that_is_not_finite_makes_nan_of_a_blank_pixel_too(value, kind):
    net, first = net_that_skips_blank_pixels(kind, nn.Sigmoid())
    weight = first.weight.numpy()
    weight[(3, 7) if kind == "linear" else (7, 0, 0, 0)] = value  # of a pixel that no image has; of all pixels
    first.weight.set_value(weight)
    images = paddle.to_tensor(blank_and_written(30)[0])
    with paddle.no_grad():
        assert np.isnan(net(images).numpy()).all()
        assert np.isnan(fast.accelerate(net)(images).numpy()).all()


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_gradient_that_is_not_finite_makes_nan_of_a_blank_pixel_too(value):
    net, _ = net_that_skips_blank_pixels("convolution", nn.Tanh())
    images, labels = blank_and_written(5)[0], np.ones((5, 10), np.float32)
    labels[2] = value
    forward = fast.accelerate(net)
    found, wanted = (random_nets.gradients(net, f, "regress", images, labels) for f in (forward, net))
    assert np.isnan(wanted["0.weight"]).all()
    for name, gradient in wanted.items():
        np.testing.assert_array_equal(np.isfinite(found[name]), np.isfinite(gradient))


@pytest.mark.skipif(library() is None, reason="needs the compiled kernels")
def test_compiled_sigmoid_equals_numpy_for_any_number_and_at_any_place():
    numbers = [0, -0.0, 1e-30, 1, 16.7, 88.8, -88.8, 104, -104, 3e38, -3e38, np.inf, -np.inf, np.nan]
    x = np.concatenate([np.linspace(-20, 20, 10_001), numbers]).astype(np.float32)
    y = np.empty_like(x)
    loaded().step("sigmoid_forward", x, y, x.size)()
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(y, expected, rtol=3e-7, atol=1e-37)
    for count in range(1, 40):
        part = np.empty(count, np.float32)
        loaded().step("sigmoid_forward", x[-count:], part, count)()
        np.testing.assert_array_equal(part, y[-count:])
