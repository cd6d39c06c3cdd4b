from __future__ import annotations

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.recipes import NETS, Settings, settings_for


def test_settings_for_gives_the_courses_recipe_with_clipping():
    for net in ("fc", "cnn"):
        settings = settings_for(net)
        assert (settings.task, settings.optimizer, settings.lr) == ("regress", "sgd", 0.01)
        assert (settings.batch_size, settings.epochs, settings.pixel_range) == (100, 10, "01")
        assert settings.clip_norm == 5.0


def test_settings_for_every_net_and_task():
    for name, net in NETS.items():
        for task in net.defaults:
            assert settings_for(name, task).net == name and settings_for(name, task).task == task
        assert settings_for(name).task == next(iter(net.defaults))


def test_settings_for_ignores_changes_of_none():
    assert settings_for("cnn", lr=None, epochs=3) == settings_for("cnn", epochs=3)
    assert settings_for("cnn", epochs=3).epochs == 3


def test_settings_round_trip_as_dict():
    settings = settings_for("nielsen", hidden=30, seed=5)
    assert Settings(**settings.as_dict()) == settings


def test_lr_of_decays_by_epoch():
    settings = settings_for("fc", lr=0.5, lr_decay=0.1)
    assert [settings.lr_of(epoch) for epoch in range(3)] == pytest.approx([0.5, 0.05, 0.005])


def test_lr_at_rises_and_falls_over_the_whole_run():
    settings = settings_for("fc", lr=0.5, schedule="one-cycle", epochs=10)
    rates = [settings.lr_at(step, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 * (0.1 + 0.9 * 0.005 / 0.2)) and rates[-1] == pytest.approx(0.5 * 0.005 / 0.8)
    assert 18 <= rates.index(max(rates)) <= 20 and max(rates) == pytest.approx(0.5, rel=0.03)
    assert rates[:19] == sorted(rates[:19]) and rates[20:] == sorted(rates[20:], reverse=True)


def test_lr_at_follows_the_decay_by_epoch():
    settings = settings_for("fc", lr=0.5, lr_decay=0.1)
    assert [settings.lr_at(step, 2) for step in range(4)] == pytest.approx([0.5, 0.5, 0.05, 0.05])


@pytest.mark.parametrize(
    ("net", "changes", "words"),
    [
        ("lenet", {}, "net must be one of fc, cnn, .*, got 'lenet'"),
        ("cnn", {"optimizer": "lion"}, "optimizer must be one of sgd, .*, got 'lion'"),
        ("cnn", {"epochs": 0}, "epochs must be an integer from 1 to 999,999,999, got 0"),
        ("cnn", {"epochs": 10**9}, "epochs must be an integer"),
        ("cnn", {"batch_size": 2**64}, "batch_size must be an integer"),
        ("cnn", {"batch_size": True}, "batch_size must be an integer"),
        ("cnn", {"lr": float("nan")}, "lr must be a finite number above 0, got nan"),
        ("cnn", {"lr": -0.1}, "lr must be a finite number above 0, got -0.1"),
        ("cnn", {"lr": "0.1"}, "lr must be a finite number above 0, got '0.1'"),
        ("cnn", {"lr": 1e39}, "lr .* must be a positive float32 number in every epoch, got 1e[+]39 in epoch 1"),
        ("cnn", {"lr": 1e30, "lr_decay": 1e9}, "got 1e[+]111 in epoch 10"),
        ("cnn", {"lr_decay": 1e300}, "got inf in epoch 10"),
        ("cnn", {"lr_decay": 1e-9}, "got 1e-83 in epoch 10"),
        ("cnn", {"clip_norm": -1.0}, "clip_norm must be a finite number of at least 0, got -1.0"),
        ("cnn", {"label_smoothing": 0.1}, "label_smoothing must be 0 for task regress, got 0.1"),
        ("mlp", {"label_smoothing": 1.0}, "label_smoothing must be below 1, got 1"),
        ("cnn", {"seed": -1}, "seed must be an integer from 0 to 9,223,372,036,854,775,807, got -1"),
        ("cnn", {"seed": 99999999999999999999}, "seed must be an integer"),
        ("cnn", {"hidden": 20}, "only two-layer and nielsen take it"),
        ("cnn", {"augment": "wild"}, "augment must be one of none, .*, got 'wild'"),
        ("cnn", {"schedule": "one-cycle", "lr_decay": 0.5}, "lr_decay must be 1 with a one-cycle schedule, got 0.5"),
        ("cnn", {"warmup": 3}, "unknown setting: warmup"),
        ("mlp", {"task": "regress"}, "task must be classify for net mlp, got regress: use --net fc or cnn"),
        ("two-layer", {"optimizer": "adam"}, "plain SGD"),
        ("two-layer", {"label_smoothing": 0.1}, "plain SGD"),
        ("nielsen", {"hidden": 0}, "hidden must be an integer from 1 to 4,096, got 0"),
        ("two-layer", {"hidden": 5000}, "got 5000"),
    ],
)
def test_settings_for_refuses_what_cannot_be_trained(net, changes, words):
    with pytest.raises(UserError, match=words):
        settings_for(net, **changes)
