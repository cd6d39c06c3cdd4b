from __future__ import annotations

import gc

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from paddle_mnist import cpu, fast, learners
from paddle_mnist.errors import UserError
from paddle_mnist.fast.blocks import BLOCKS_PER_SUM
from paddle_mnist.loader import batches
from paddle_mnist.nets import CNN, FC, MLP
from paddle_mnist.recipes import settings_for

NETS = [(FC, "regress"), (FC, "classify"), (CNN, "regress"), (CNN, "classify"), (MLP, "classify")]
# A large epsilon, since Adam and RMSProp otherwise blow the rounding of a vanishing gradient up to a whole step.
OPTIMIZERS = {
    "sgd": lambda **more: paddle.optimizer.SGD(0.01, **more),
    "momentum": lambda **more: paddle.optimizer.Momentum(0.01, 0.9, **more),
    "adam": lambda **more: paddle.optimizer.Adam(0.001, epsilon=1e-2, **more),
    "rmsprop": lambda **more: paddle.optimizer.RMSProp(0.001, epsilon=1e-2, **more),
}


def digits(n: int, task: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return strokes on blank paper, as MNIST has them: pooling windows full of ties are part of the test."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 1, 28, 28), np.float32)
    images[:, :, 5:20, 7:17] = rng.random((n, 1, 15, 10)) * (rng.random((n, 1, 15, 10)) < 0.5)
    labels = rng.integers(0, 10, (n, 1))
    return images, labels.astype(np.float32 if task == "regress" else np.int64)


def make(net_type: type, task: str, seed: int = 0) -> paddle.nn.Layer:
    paddle.seed(seed)
    return net_type(num_outputs=1 if task == "regress" else 10)


def loss_of(task: str, outputs: paddle.Tensor, labels: np.ndarray) -> paddle.Tensor:
    labels = paddle.to_tensor(labels)
    return F.square_error_cost(outputs, labels).mean() if task == "regress" else F.cross_entropy(outputs, labels)


def gradients(net, forward, task, images, labels) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return outputs and the parameters' gradients, by Paddle's own autograd through ``forward``."""
    net.clear_gradients()
    outputs = forward(paddle.to_tensor(images))
    loss_of(task, outputs, labels).backward()
    found = [parameter.grad.numpy().copy() for parameter in net.parameters()]
    net.clear_gradients()
    return outputs.numpy(), found


def plain_step(net, task, optimizer, images, labels) -> float:
    loss = loss_of(task, net(paddle.to_tensor(images)), labels)
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)


def values(net) -> list[np.ndarray]:
    return [parameter.numpy().copy() for parameter in net.parameters()]


def assert_close(found, wanted, tolerance=2e-5):
    """Each array, relative to its own largest element."""
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(np.abs(other).max(), 1e-6))


@pytest.mark.parametrize(("net_type", "task"), NETS)
@pytest.mark.parametrize("n", [1, 3, 10, 33, 100])
def test_accelerate_equals_the_plain_layers(net_type, task, n):
    net = make(net_type, task, seed=n)
    forward = fast.accelerate(net)
    assert forward is not net
    images, labels = digits(n, task, seed=n)
    wanted, wanted_gradients = gradients(net, net, task, images, labels)
    found, found_gradients = gradients(net, forward, task, images, labels)
    assert_close([found], [wanted])
    assert_close(found_gradients, wanted_gradients)


@pytest.mark.parametrize(("net_type", "task"), NETS)
@pytest.mark.parametrize("n", [1, 25, 130])
def test_accelerate_without_gradients(net_type, task, n):
    net = make(net_type, task)
    net.eval()
    images = paddle.to_tensor(digits(n, task)[0])
    with paddle.no_grad():
        found, wanted = fast.accelerate(net)(images), net(images)
    assert found.stop_gradient and found.shape == wanted.shape and found.dtype == wanted.dtype
    assert_close([found.numpy()], [wanted.numpy()])


@pytest.mark.parametrize(("net_type", "task"), NETS)
@pytest.mark.parametrize("clip_norm", [None, 0.5, 1e6])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_train_step_follows_the_plain_trajectory(net_type, task, clip_norm, name):
    clip = paddle.nn.ClipGradByGlobalNorm(clip_norm) if clip_norm else None
    nets = [make(net_type, task), make(net_type, task)]
    nets[1].set_state_dict(nets[0].state_dict())
    plain, quick = (OPTIMIZERS[name](parameters=net.parameters(), grad_clip=clip) for net in nets)
    step = fast.train_step(nets[1], task, quick)
    for i, n in enumerate((20, 20, 7, 20)):  # an odd last batch in between
        images, labels = digits(n, task, seed=i)
        wanted = plain_step(nets[0], task, plain, images, labels)
        assert step(images, labels) == pytest.approx(wanted, rel=1e-4)
        if i == 1:
            plain.set_lr(0.005)
            quick.set_lr(0.005)
    assert_close(values(nets[1]), values(nets[0]), tolerance=1e-4)


@pytest.mark.parametrize(("net_type", "task"), NETS)
def test_train_step_gives_the_same_bits_for_any_number_of_threads(net_type, task, monkeypatch):
    ends = []
    for threads in (1, 2, 2, 3):
        monkeypatch.setattr(cpu, "threads", lambda threads=threads: threads)
        net = make(net_type, task)
        optimizer = paddle.optimizer.SGD(0.01, parameters=net.parameters())
        step = fast.train_step(net, task, optimizer)
        losses = [step(*digits(35, task, seed=i)) for i in range(10)]
        ends.append([np.array(losses), *values(net)])
        gc.collect()
    for other in ends[1:]:
        assert all((a == b).all() for a, b in zip(ends[0], other, strict=True))


def test_accelerate_adds_large_batches_up_in_groups():
    net = make(CNN, "regress")
    images, labels = digits(11 * BLOCKS_PER_SUM, "regress")  # a block has at most 10 images
    wanted = gradients(net, net, "regress", images, labels)
    found = gradients(net, fast.accelerate(net), "regress", images, labels)
    assert_close([found[0], *found[1]], [wanted[0], *wanted[1]], tolerance=1e-4)


def test_max_pool_gives_ties_to_the_first_pixel_as_paddle_does():
    net = make(CNN, "regress")
    images = np.zeros((6, 1, 28, 28), np.float32)
    images[3:, 0, 8:20, 13] = 1  # a stroke; all else ties
    labels = np.arange(6, dtype=np.float32)[:, np.newaxis]
    wanted = gradients(net, net, "regress", images, labels)[1]
    assert_close(gradients(net, fast.accelerate(net), "regress", images, labels)[1], wanted)


@pytest.mark.parametrize("net_type", [FC, CNN])
def test_train_step_works_on_the_net_s_own_parameters(net_type):
    net = make(net_type, "regress")
    optimizer = paddle.optimizer.SGD(0.01, parameters=net.parameters())
    names, parameters = list(net.state_dict()), net.parameters()
    forward, step = fast.accelerate(net), fast.train_step(net, "regress", optimizer)
    images, labels = digits(12, "regress")
    before = values(net)
    step(images, labels)
    assert list(net.state_dict()) == names and all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert any((a != b).any() for a, b in zip(before, values(net), strict=True))
    # Loading a state between steps is seen at once.
    other = make(net_type, "regress", seed=5)
    net.set_state_dict(other.state_dict())
    with paddle.no_grad():
        assert_close([forward(paddle.to_tensor(images)).numpy()], [other(paddle.to_tensor(images)).numpy()])


def test_train_step_with_weight_decay():
    nets = [make(FC, "regress"), make(FC, "regress")]
    nets[1].set_state_dict(nets[0].state_dict())
    decay = paddle.regularizer.L2Decay(0.1)
    plain, quick = (paddle.optimizer.SGD(0.1, parameters=n.parameters(), weight_decay=decay) for n in nets)
    images, labels = digits(9, "regress")
    plain_step(nets[0], "regress", plain, images, labels)
    fast.train_step(nets[1], "regress", quick)(images, labels)
    assert_close(values(nets[1]), values(nets[0]))


def test_train_step_returns_a_loss_that_is_not_finite():
    net = make(CNN, "regress")
    clip = paddle.nn.ClipGradByGlobalNorm(5.0)
    step = fast.train_step(net, "regress", paddle.optimizer.SGD(0.1, parameters=net.parameters(), grad_clip=clip))
    images, labels = digits(4, "regress")
    labels[2] = np.nan
    assert np.isnan(step(images, labels))
    assert all(np.isnan(value).all() for value in values(net))  # as clipping by a norm that is no number does


def test_accelerate_leaves_hooks_and_gradients_of_images_to_the_net():
    net = make(FC, "regress")
    forward = fast.accelerate(net)
    images = paddle.to_tensor(digits(4, "regress")[0])
    seen = []
    hook = net.fc2.register_forward_post_hook(lambda layer, inputs, output: seen.append(output.shape))
    forward(images)
    hook.remove()
    forward(images)
    assert seen == [[4, 10]]
    images.stop_gradient = False
    forward(images).sum().backward()
    assert images.grad.shape == [4, 1, 28, 28]


class Odd(CNN):
    """A net with an operation that is not covered."""

    def forward(self, images):
        return paddle.cumsum(super().forward(images), axis=1)


def test_nets_that_are_not_covered_are_left_to_paddle():
    nets = [make(Odd, "classify"), make(Odd, "classify")]
    nets[1].set_state_dict(nets[0].state_dict())
    images, labels = digits(5, "classify")
    optimizers = [paddle.optimizer.SGD(0.1, parameters=net.parameters()) for net in nets]
    step = fast.train_step(nets[1], "classify", optimizers[1])
    assert step.engine == "plain: operation pd_op.cumsum is not covered"
    assert fast.engine_name(nets[1]) == fast.accelerate(nets[1]).engine == step.engine
    assert step(images, labels) == plain_step(nets[0], "classify", optimizers[0], images, labels)
    assert_close(values(nets[1]), values(nets[0]), tolerance=0)
    forward = fast.accelerate(nets[1])
    assert (forward(paddle.to_tensor(images)).numpy() == nets[1](paddle.to_tensor(images)).numpy()).all()


def test_nets_in_float64_stay_as_they_are():
    net = FC().to(dtype="float64")
    assert fast.accelerate(net) is net
    assert fast.train_step(net, "regress", paddle.optimizer.SGD(0.1, parameters=net.parameters())) is None
    assert fast.engine_name(net) == "plain: the net is not in float32"


def test_engine_name_tells_what_runs_the_net():
    net = make(CNN, "regress")
    assert fast.engine_name(net) == f"fast: oneDNN, {cpu.threads()} thread{'s' if cpu.threads() > 1 else ''}"
    net.fc.weight.stop_gradient = True
    optimizer = paddle.optimizer.SGD(0.1, parameters=net.parameters())
    assert fast.engine_name(net, optimizer) == "plain: some parameters are frozen"


def test_accelerate_gives_frozen_parameters_no_gradient():
    net = make(FC, "regress")
    net.fc1.weight.stop_gradient = True
    assert fast.train_step(net, "regress", paddle.optimizer.SGD(0.1, parameters=net.parameters())) is None
    forward = fast.accelerate(net)
    forward(paddle.to_tensor(digits(4, "regress")[0])).sum().backward()
    assert net.fc1.weight.grad is None and net.fc2.weight.grad is not None


@pytest.mark.parametrize(
    ("images", "labels", "task", "words"),
    [
        (np.zeros((3, 784)), np.zeros((3, 1)), "regress", "images must have the shape"),
        (np.zeros((0, 1, 28, 28)), np.zeros((0, 1)), "regress", "n at least 1"),
        (np.zeros((3, 1, 28, 28)), np.zeros(3), "regress", "labels must have the shape"),
        (np.zeros((3, 1, 28, 28)), np.full((3, 1), 10), "classify", "got 10 to 10"),
        (np.zeros((3, 1, 28, 28)), np.full((3, 1), -1), "classify", "got -1 to -1"),
    ],
)
def test_train_step_refuses_wrong_batches(images, labels, task, words):
    net = make(FC, task)
    step = fast.train_step(net, task, paddle.optimizer.SGD(0.1, parameters=net.parameters()))
    before = values(net)
    with pytest.raises(UserError, match=words):
        step(images, labels)
    assert_close(values(net), before, tolerance=0)


def test_train_step_of_a_large_dense_net_gives_the_same_bits_every_time(splits):
    """Two threads store into arrays that exist once for each size of batch; sizes alternate, so that they are new."""
    found = set()
    for _ in range(12):
        learner = learners.build(settings_for("mlp"))
        for size in (128, 60, 128):
            learner.train_step(*next(batches(splits.train, size, "classify")))
        found.add(b"".join(value.tobytes() for value in learner.state_dict().values()))
    assert len(found) == 1
