"""Pictures read through the command line, by a net trained for a moment on the bundled sample."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_mnist import console, dataset, predict, train
from paddle_mnist.errors import UserError
from paddle_mnist.pictures import synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return the run folder of a classifier."""
    folder = tmp_path_factory.mktemp("runs") / "cnn"
    given = ["--net", "cnn", "--task", "classify", "--epochs", "3", "--data", "sample", "--quiet", "--out", str(folder)]
    assert console.run(train.main, given) == 0
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Return five pictures of test digits, with the digits that they show."""
    split = dataset.open_dataset("sample").eval
    paths = []
    for index in range(5):
        ink = np.asarray(Image.fromarray(np.array(split.images[index])).resize((280, 280)))
        gray = 230 - 0.8 * np.pad(ink, 40).astype(float)
        paths.append(tmp_path / f"digit-{index}.jpg")
        Image.fromarray(gray.astype(np.uint8)).save(paths[-1])
    return paths, split.labels[:5].tolist()


def asked(capfd, *arguments):
    capfd.readouterr()
    status = console.run(predict.main, list(map(str, arguments)))
    return status, *capfd.readouterr()


def test_digits_are_read(run, pictures, capfd):
    paths, labels = pictures
    status, out, _ = asked(capfd, run, *paths, "--json")
    answers = json.loads(out)
    assert status == 0 and [answer["file"] for answer in answers] == list(map(str, paths))
    assert sum(answer["digit"] == label for answer, label in zip(answers, labels, strict=True)) >= 4
    for answer in answers:
        assert answer.keys() == {"file", "digit", "value", "probabilities", "boxes"}
        assert sum(answer["probabilities"]) == pytest.approx(1)
        assert np.argmax(answer["probabilities"]) == answer["digit"]
        ((left, top, right, bottom),) = answer["boxes"]
        assert 40 <= left < right <= 320 and 40 <= top < bottom <= 320


def test_a_number_is_read(run, tmp_path, capfd):
    split = dataset.open_dataset("sample").eval
    rng = np.random.default_rng(0)
    right = total = 0
    for index in range(6):
        page = synthetic.compose(np.array(split.images), np.array(split.labels), rng, digits=4)
        Image.fromarray(page.image).save(tmp_path / f"{index}.png")
        _, out, _ = asked(capfd, run, tmp_path / f"{index}.png", "--number", "--json")
        (answer,) = json.loads(out)
        assert len(answer["boxes"]) == len(answer["number"]) == len(answer["value"])
        right += sum(a == str(b) for a, b in zip(answer["number"], page.labels, strict=False))
        total += 4
    assert right / total > 0.7


@pytest.mark.parametrize("number", [False, True])
def test_what_was_seen_is_drawn(run, pictures, capfd, number):
    (path, *_), _ = pictures
    status, *_ = asked(capfd, run, path, "--save", "seen", *(["--number"] if number else []))
    assert status == 0
    assert np.asarray(Image.open("seen/digit-0-read.png").convert("L")).std() > 10


def test_a_picture_that_cannot_be_read_does_not_keep_the_others(run, pictures, capfd):
    (path, *_), _ = pictures
    Image.new("L", (100, 100), 255).save("empty.png")
    status, out, err = asked(capfd, run, "empty.png", "missing.png", path)
    assert status == 2 and len(out.splitlines()) == 1 and str(path) in out
    first, second = (line for line in err.splitlines() if "error" in line)
    assert "no ink found" in first and "empty.png" in first and "missing.png" in second


def forty_megapixels(digit: np.ndarray) -> Image.Image:
    """Return a photo of a digit of 7300 × 5480 pixels, in colours."""
    small = Image.fromarray((220 - 0.7 * np.pad(digit, 8).astype(float)).astype(np.uint8))
    return Image.merge("RGB", [small, small, small.point(lambda value: value * 3 // 4)]).resize((7300, 5480))


def landscape(digit: np.ndarray) -> Image.Image:
    """Return colours as a photo of a meadow has them, and no digit."""
    y, x = np.mgrid[0:600, 0:800] / 100
    waves = np.stack([np.sin(x * k + np.cos(y * 2 * k)) + np.sin(3 * k * y) for k in (1, 2, 3)], axis=2)
    grain = np.random.default_rng(0).normal(0, 25, waves.shape)
    return Image.fromarray(np.clip(128 + 50 * waves + grain, 0, 255).astype(np.uint8))


PICTURES = {
    "an empty page": (lambda digit: Image.new("L", (2000, 3000), 250), False),
    "noise": (lambda digit: Image.effect_noise((1500, 1500), 80), False),
    "a landscape": (landscape, False),
    "one pixel": (lambda digit: Image.new("RGB", (1, 1)), False),
    "a line of pixels": (lambda digit: Image.linear_gradient("L").resize((5000, 1)), False),
    "40 megapixels": (forty_megapixels, True),
}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_gets_a_clear_answer_soon(run, capfd, name, suffix):
    make, is_digit = PICTURES[name]
    split = dataset.open_dataset("sample").eval
    make(np.array(split.images[0])).save(f"picture.{suffix}", **({"compress_level": 1} if suffix == "png" else {}))
    read = predict.reader(str(run))
    began = time.process_time()
    if is_digit:
        assert predict.read_digit(f"picture.{suffix}", read)["digit"] == split.labels[0]
    else:
        with pytest.raises(UserError, match=rf"no ink found: picture\.{suffix}"):
            predict.read_digit(f"picture.{suffix}", read)
    assert time.process_time() - began < 2


def test_a_regression_gives_its_number(pictures, capfd, data_file):
    (path, *_), _ = pictures
    given = ["--net", "fc", "--epochs", "1", "--data", str(data_file), "--quiet", "--out", "fc"]
    assert console.run(train.main, given) == 0
    _, out, _ = asked(capfd, "fc", path, "--json")
    (answer,) = json.loads(out)
    assert answer["probabilities"] is None and answer["digit"] == int(np.clip(np.rint(answer["value"]), 0, 9))
