from __future__ import annotations

import math

import numpy as np
import pytest

from paddle_mnist import engine, learners
from paddle_mnist.distributed.team import ALONE
from paddle_mnist.engine import NotFiniteError, Progress
from paddle_mnist.loader import batches
from paddle_mnist.metrics import measure
from paddle_mnist.recipes import settings_for
from paddle_mnist.scratch import layers


def squared_error(outputs, labels):
    return ((outputs.astype(np.float64) - labels) ** 2)[:, 0]


def cross_entropy(outputs, labels):
    return layers.cross_entropy(outputs.astype(np.float64), labels[:, 0])


class Counting:
    """A learner that records its batches and predicts a constant."""

    lr = 0.0
    team = ALONE

    def __init__(self, loss=1.0):
        self.seen, self.rates, self.step_loss = [], [], loss

    def train_step(self, images, labels):
        self.seen.append(labels[:, 0].tolist())
        self.rates.append(self.lr)
        return self.step_loss

    def outputs(self, images):
        return np.full((len(images), 1), 4.4, np.float32)

    loss = staticmethod(squared_error)


SETTINGS = settings_for("fc", epochs=3, batch_size=100, lr=0.5, lr_decay=0.5)


def test_fit_shows_each_epoch_complete_at_its_own_rate(splits):
    learner = Counting()
    history = engine.fit(learner, splits.train, splits.valid, SETTINGS)
    assert [len(labels) for labels in learner.seen] == [100, 100, 30] * 3
    assert learner.rates == [0.5] * 3 + [0.25] * 3 + [0.125] * 3
    assert [record["epoch"] for record in history] == [0, 1, 2]
    assert [record["step"] for record in history] == [2, 5, 8]


def test_fit_calls_on_step_with_every_step_and_its_position(splits):
    steps = []
    engine.fit(Counting(), splits.train, splits.valid, SETTINGS, on_step=steps.append)
    assert [(step.epoch, step.batch, step.step) for step in steps] == [(n // 3, n % 3, n) for n in range(9)]


def test_fit_averages_the_loss_over_samples_not_batches(splits):
    class Uneven(Counting):
        def train_step(self, images, labels):
            return float(len(images))

    (record, *_) = engine.fit(Uneven(), splits.train, splits.valid, SETTINGS)
    assert record["loss"] == pytest.approx((100 * 100 + 100 * 100 + 30 * 30) / 230)


def test_fit_resumes_with_the_remaining_batches_and_the_loss_so_far(splits):
    whole = Counting()
    history = engine.fit(whole, splits.train, splits.valid, SETTINGS)
    rest = Counting()
    progress = Progress(epoch=1, batch=2, loss_sum=200.0, samples=200)
    left = engine.fit(rest, splits.train, splits.valid, SETTINGS, progress)
    assert rest.seen == whole.seen[5:]
    assert [record["loss"] for record in left] == [record["loss"] for record in history[1:]]
    assert progress == Progress(epoch=3)


def test_fit_resumes_augmentation_and_one_cycle_schedule_exactly(splits):
    class Watching(Counting):
        def train_step(self, images, labels):
            self.seen.append(images.copy())
            self.rates.append(self.lr)
            return 1.0

    settings = settings_for("fc", epochs=3, schedule="one-cycle", augment="strong")
    whole, rest = Watching(), Watching()
    engine.fit(whole, splits.train, splits.valid, settings)
    engine.fit(rest, splits.train, splits.valid, settings, Progress(epoch=1, batch=2, loss_sum=200.0, samples=200))
    assert all(np.array_equal(a, b) for a, b in zip(rest.seen, whole.seen[5:], strict=True))
    assert rest.rates == whole.rates[5:]
    assert not np.array_equal(np.sort(whole.seen[0], axis=0), np.sort(whole.seen[3], axis=0))


@pytest.mark.parametrize("batch", [0, 2, 3])
def test_fit_records_the_same_rates_wherever_it_resumes(splits, batch):
    settings = settings_for("fc", epochs=3, lr_decay=0.5)
    history = engine.fit(Counting(), splits.train, splits.valid, settings)
    progress = Progress(epoch=1, batch=batch, loss_sum=100.0 * batch, samples=min(100 * batch, 230))
    left = engine.fit(Counting(), splits.train, splits.valid, settings, progress)
    assert [record["lr"] for record in left] == [record["lr"] for record in history[1:]]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_fit_stops_at_a_loss_that_is_not_finite(splits, loss):
    with pytest.raises(NotFiniteError, match="batch 0 in epoch 0"):
        engine.fit(Counting(loss), splits.train, splits.valid, SETTINGS)


def test_measure_gives_the_metrics_of_a_regression():
    outputs = np.array([[2.4], [7.6], [-3.0], [12.0]], np.float32)
    labels = np.array([[2], [7], [0], [9]], np.float32)
    found = measure(outputs, labels, squared_error)
    assert found.accuracy == 0.75  # 2, 8, 0 and 9 are predicted
    assert found.mse == pytest.approx((0.16 + 0.36 + 9 + 9) / 4, rel=1e-5)
    assert found.loss == found.mse and found.samples == 4 and found.constant_answer is None


def test_measure_gives_the_metrics_of_a_classification():
    outputs = np.eye(10, dtype=np.float32)[[3, 5, 5]] * 4
    labels = np.array([[3], [5], [9]])
    found = measure(outputs, labels, cross_entropy)
    assert found.accuracy == pytest.approx(2 / 3) and found.mse is None
    assert found.loss == pytest.approx(np.mean([np.log(math.e**4 + 9) - 4] * 2 + [np.log(math.e**4 + 9)]))


@pytest.mark.parametrize("spread", [0.0, 0.001])
def test_measure_reports_a_constant_answer(spread):
    outputs = 4.5 + spread * np.arange(-2, 3, dtype=np.float32)[:, np.newaxis]  # rounding separates 4 from 5
    found = measure(outputs, np.zeros((5, 1), np.float32), squared_error)
    assert found.constant_answer in (4, 5)
    one = measure(outputs[:1], np.zeros((1, 1), np.float32), squared_error)
    assert one.constant_answer is None


@pytest.mark.parametrize("net", ["fc", "cnn"])
@pytest.mark.parametrize("task", ["regress", "classify"])
def test_evaluate_does_not_change_training(splits, net, task):
    def weights(measure):
        learner = learners.build(settings_for(net, task))
        for images, labels in batches(splits.train, 50, task):
            learner.train_step(images, labels)
            if measure:
                engine.evaluate(learner, batches(splits.valid, 20, task))
        return learner.state_dict()

    quiet, measured = weights(False), weights(True)
    assert all((quiet[name] == measured[name]).all() for name in quiet)


@pytest.mark.parametrize(("net", "task"), [("cnn", "regress"), ("cnn", "classify"), ("mlp", "classify")])
def test_fit_learns_synthetic_digits(splits, net, task):
    settings = settings_for(net, task, epochs=12, batch_size=10, lr=0.001, optimizer="adam", train_on="train")
    learner = learners.build(settings)
    history = engine.fit(learner, splits.train, splits.valid, settings)
    assert history[-1]["accuracy"] > (0.6 if task == "regress" else 0.9)
    assert history[-1]["loss"] < history[0]["loss"] / 10
