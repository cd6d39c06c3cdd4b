"""A new net takes a class in ``nets.py`` and an entry in ``recipes.NETS``: everything else follows."""

from __future__ import annotations

import json

import numpy as np
import paddle
import pytest
from PIL import Image, ImageDraw

from paddle_mnist import console, evaluate, nets, predict, recipes, train
from paddle_mnist.runs.run import reproducible_state


class Tiny(paddle.nn.Layer):
    def __init__(self, num_outputs: int = 10) -> None:
        super().__init__()
        self.hidden = paddle.nn.Linear(784, 16)
        self.norm = paddle.nn.BatchNorm1D(16)
        self.dropout = paddle.nn.Dropout(0.2)
        self.out = paddle.nn.Linear(16, num_outputs)

    def forward(self, images):
        return self.out(self.dropout(paddle.tanh(self.norm(self.hidden(paddle.flatten(images, start_axis=1))))))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(nets, "Tiny", Tiny, raising=False)
    monkeypatch.setitem(
        recipes.NETS, "tiny", recipes.Net("Tiny", {"classify": {"optimizer": "adam", "lr": 0.01, "epochs": 3}})
    )


def run(main, *arguments):
    assert console.run(main, [str(argument) for argument in arguments]) == 0


@pytest.mark.filterwarnings("ignore:When training, we now always track global mean:UserWarning")
@pytest.mark.parametrize("way", [[], ["--plain"]], ids=["fast", "plain"])
def test_new_net_trains_resumes_evaluates_and_predicts(tiny, way, data_file, tmp_path, capfd):
    common = ("--net", "tiny", "--batch-size", 50, "--data", data_file, "--quiet", *way)
    run(train.main, *common, "--epochs", 2, "--out", "whole")
    run(train.main, *common, "--epochs", 1, "--out", "parts")
    run(train.main, "--resume", "parts", "--epochs", 2, "--quiet")
    np.testing.assert_equal(reproducible_state("parts"), reproducible_state("whole"))

    picture = tmp_path / "digit.png"
    drawing = Image.new("L", (84, 84), 255)
    ImageDraw.Draw(drawing).line([(42, 14), (42, 70)], fill=0, width=8)
    drawing.save(picture)
    for model in ("whole", "whole/best.pdparams"):
        capfd.readouterr()
        run(evaluate.main, model, "--data", data_file, "--json")
        answer = json.loads(capfd.readouterr().out)
        assert (answer["net"], answer["task"], answer["samples"]) == ("tiny", "classify", 50)
        run(predict.main, picture, "--model", model, "--json")
        (answer,) = json.loads(capfd.readouterr().out)
        assert 0 <= answer["digit"] <= 9 and len(answer["probabilities"]) == 10
