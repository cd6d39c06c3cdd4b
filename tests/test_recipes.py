from __future__ import annotations

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.recipes import NET_NAMES, Settings, settings_for


def test_the_courses_recipe_is_the_default_and_clipping_makes_it_sound():
    for net in ("fc", "cnn"):
        settings = settings_for(net)
        assert (settings.task, settings.optimizer, settings.lr) == ("regress", "sgd", 0.01)
        assert (settings.batch_size, settings.epochs, settings.pixel_range) == (100, 10, "01")
        assert settings.clip_norm == 5.0


def test_every_net_has_a_recipe():
    assert {settings_for(net).net for net in NET_NAMES} == set(NET_NAMES)


def test_a_change_of_none_leaves_the_default():
    assert settings_for("cnn", lr=None, epochs=3) == settings_for("cnn", epochs=3)
    assert settings_for("cnn", epochs=3).epochs == 3


def test_settings_survive_their_plain_form():
    settings = settings_for("nielsen", hidden=30, seed=5)
    assert Settings(**settings.as_dict()) == settings


def test_the_rate_decays_by_epoch():
    settings = settings_for("fc", lr=0.5, lr_decay=0.1)
    assert [settings.lr_of(epoch) for epoch in range(3)] == pytest.approx([0.5, 0.05, 0.005])


@pytest.mark.parametrize(
    ("net", "changes", "words"),
    [
        ("lenet", {}, "net is 'lenet', where one of fc, cnn"),
        ("cnn", {"optimizer": "lion"}, "optimizer is 'lion'"),
        ("cnn", {"epochs": 0}, "epochs is 0, where a number above 0"),
        ("cnn", {"lr": float("nan")}, "lr is nan"),
        ("cnn", {"lr": -0.1}, "lr is -0.1"),
        ("cnn", {"clip_norm": -1.0}, "clip_norm is -1.0"),
        ("cnn", {"seed": -1}, "seed is -1"),
        ("cnn", {"hidden": 20}, "two-layer and nielsen alone"),
        ("cnn", {"warmup": 3}, "no setting named warmup"),
        ("mlp", {"task": "regress"}, "mlp has ten outputs and only classifies"),
        ("two-layer", {"optimizer": "adam"}, "plain SGD"),
        ("nielsen", {"hidden": 0}, "hidden is 0"),
        ("two-layer", {"hidden": 5000}, "1 to 4,096"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(net, changes, words):
    with pytest.raises(UserError, match=words):
        settings_for(net, **changes)
