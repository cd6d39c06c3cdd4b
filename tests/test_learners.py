from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist import learners
from paddle_mnist.errors import UserError
from paddle_mnist.loader import batches
from paddle_mnist.recipes import settings_for

NETS = ["fc", "cnn", "mlp", "two-layer", "three-layer", "nielsen"]


def trained(settings, splits, state=None, plain=False):
    """Train 5 batches, or the last 2 of them from a state; return weights, optimizer state and the state after 3."""
    learner = learners.build(settings, plain=plain)
    shown = list(batches(splits.train, 40, settings.task, settings.pixel_range))[:5]
    if state is not None:
        learner.load_state_dict(state[0], "the test")
        learner.load_optimizer_state(state[1], "the test")
        shown = shown[3:]
    middle = None
    for number, (images, labels) in enumerate(shown):
        if number == 3:
            middle = learner.state_dict(), learner.optimizer_state()
        learner.train_step(images, labels)
    return learner.state_dict(), learner.optimizer_state(), middle


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("net", NETS)
def test_build_with_a_seed_is_deterministic(splits, net):
    first, second = (trained(settings_for(net, seed=3), splits) for _ in range(2))
    assert same(first[0], second[0])
    assert not same(first[0], trained(settings_for(net, seed=4), splits)[0])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam"])
@pytest.mark.parametrize(("net", "task"), [("fc", "regress"), ("cnn", "classify")])
def test_load_state_dict_and_optimizer_state_resume_exactly(splits, net, task, optimizer):
    settings = settings_for(net, task, optimizer=optimizer, lr=0.01)
    weights, optimizer_state, middle = trained(settings, splits)
    resumed_weights, resumed_optimizer_state, _ = trained(settings, splits, middle)
    assert same(weights, resumed_weights)
    assert same(optimizer_state, resumed_optimizer_state)
    assert (optimizer == "sgd") or len(optimizer_state) >= len(weights)


@pytest.mark.parametrize("net", ["two-layer", "three-layer", "nielsen"])
def test_load_state_dict_resumes_numpy_nets_exactly(splits, net):
    weights, _, middle = trained(settings_for(net), splits)
    assert same(weights, trained(settings_for(net), splits, middle)[0])


@pytest.mark.parametrize("net", NETS)
def test_state_dict_returns_copies(splits, net):
    learner = learners.build(settings_for(net))
    before = learner.state_dict()
    kept = {name: array.copy() for name, array in before.items()}
    images, labels = next(batches(splits.train, 50, settings_for(net).task, settings_for(net).pixel_range))
    learner.train_step(images, labels)
    assert same(before, kept)


@pytest.mark.parametrize("net", NETS)
def test_load_state_dict_assigns_nothing_if_a_weight_does_not_fit(net):
    learner = learners.build(settings_for(net))
    before = learner.state_dict()
    wrong = learner.state_dict()
    name = sorted(wrong)[-1]
    wrong[name] = wrong[name][..., :-1]
    with pytest.raises(UserError, match=rf"the file.*{name}"):
        learner.load_state_dict(wrong, "the file")
    assert same(before, learner.state_dict())


def test_clip_norm_bounds_the_step(splits):
    images, labels = next(batches(splits.train, 100))
    moved = {}
    for clip in (0.0, 0.5):
        learner = learners.build(settings_for("cnn", lr=1.0, clip_norm=clip))
        before = learner.state_dict()
        learner.train_step(images, labels)
        moved[clip] = np.sqrt(sum(((learner.state_dict()[n] - before[n]) ** 2).sum() for n in before))
    assert moved[0.5] == pytest.approx(0.5, rel=1e-4) and moved[0.0] > 1


def test_weight_decay_is_the_gradient_of_half_the_square(splits):
    images, labels = next(batches(splits.train, 100))
    after = {}
    for decay in (0.0, 0.25):
        learner = learners.build(settings_for("fc", lr=0.1, weight_decay=decay, clip_norm=0.0))
        before = learner.state_dict()
        learner.train_step(images, labels)
        after[decay] = learner.state_dict()
    for name in before:
        np.testing.assert_allclose(after[0.25][name], after[0.0][name] - 0.1 * 0.25 * before[name], atol=1e-6)


def test_label_smoothing_spreads_a_share_of_the_target_over_all_digits(splits):
    """The smoothed loss is a mixture of cross-entropies, so its gradient is the mixture of theirs."""
    images, labels = next(batches(splits.train, 20, "classify"))
    share, rate = 0.3, 0.5

    def update(smoothing, labels):
        learner = learners.build(settings_for("cnn", "classify", lr=rate, clip_norm=0.0, label_smoothing=smoothing))
        before = learner.state_dict()
        learner.train_step(images, labels)
        return {name: value - before[name] for name, value in learner.state_dict().items()}

    spread = [update(0.0, np.full_like(labels, digit)) for digit in range(10)]
    true, smooth = update(0.0, labels), update(share, labels)
    for name, found in smooth.items():
        mixture = (1 - share) * true[name] + share * np.mean([own[name] for own in spread], axis=0)
        np.testing.assert_allclose(found, mixture, atol=1e-6)


@pytest.mark.parametrize("plain", [False, True])
def test_label_smoothing_leaves_the_measured_loss_alone(splits, plain):
    images, labels = next(batches(splits.train, 20, "classify"))
    plain_loss, smoothed = (
        learners.build(settings_for("cnn", "classify", label_smoothing=share), plain=plain) for share in (0.0, 0.3)
    )
    outputs = plain_loss.outputs(images)
    np.testing.assert_array_equal(plain_loss.loss(outputs, labels), smoothed.loss(outputs, labels))
    assert plain_loss.train_step(images, labels) != smoothed.train_step(images, labels)


def test_build_refuses_a_gpu_without_cuda():
    import paddle

    if paddle.device.is_compiled_with_cuda():
        pytest.skip("this Paddle has a GPU")
    with pytest.raises(UserError, match="device must be cpu"):
        learners.build(settings_for("fc"), device="gpu")
