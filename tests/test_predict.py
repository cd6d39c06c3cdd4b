"""Pictures read from the command line, by a net trained briefly on the bundled sample."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from paddle_mnist import console, dataset, predict, train
from paddle_mnist.errors import UserError
from paddle_mnist.pictures import synthetic


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


def test_predict_reads_digits(sample_run, pictures, capfd):
    paths, labels = pictures
    status, out, _ = asked(capfd, *paths, "--model", sample_run, "--json")
    answers = json.loads(out)
    assert status == 0 and [answer["file"] for answer in answers] == list(map(str, paths))
    assert sum(answer["digit"] == label for answer, label in zip(answers, labels, strict=True)) >= 4
    for answer in answers:
        assert answer.keys() == {"file", "digit", "probability", "sure", "value", "probabilities", "boxes"}
        assert answer["probability"] == max(answer["probabilities"]) and answer["sure"] == (answer["probability"] > 0.9)
        assert sum(answer["probabilities"]) == pytest.approx(1)
        assert np.argmax(answer["probabilities"]) == answer["digit"]
        ((left, top, right, bottom),) = answer["boxes"]
        assert 40 <= left < right <= 320 and 40 <= top < bottom <= 320


def test_predict_reads_a_number_where_there_are_several_digits(sample_run, tmp_path, capfd):
    split = dataset.open_dataset("sample").eval
    rng = np.random.default_rng(0)
    right = total = 0
    for index in range(6):
        page = synthetic.synthetic_page(np.array(split.images), np.array(split.labels), rng, digits=4)
        Image.fromarray(page.image).save(tmp_path / f"{index}.png")
        _, out, _ = asked(capfd, tmp_path / f"{index}.png", "--model", sample_run, "--json")
        (answer,) = json.loads(out)
        assert len(answer["boxes"]) == len(answer["number"]) == len(answer["value"])
        right += sum(a == str(b) for a, b in zip(answer["number"], page.labels, strict=False))
        total += 4
    assert right / total > 0.7


def test_predict_without_a_model_reads_with_the_bundled_reader(pictures, capfd):
    paths, labels = pictures
    status, out, err = asked(capfd, *paths, "--json")
    answers = json.loads(out)
    assert status == 0 and err == "" and [answer["digit"] for answer in answers] == labels


def test_predict_without_a_model_loads_no_paddle(pictures):
    (path, *_), _ = pictures
    code = "import sys; from paddle_mnist import predict; predict.main(sys.argv[1:]); print('paddle' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("option", [["--plain"], ["--pixel-range", "01"]])
def test_predict_refuses_options_of_a_model_without_one(capfd, option):
    status, out, err = asked(capfd, "picture.png", *option)
    assert status == 2 and out == "" and f"{option[0]} needs --model" in err


def test_predict_is_not_sure_of_a_word(capfd):
    image = Image.new("L", (400, 140), 240)
    ImageDraw.Draw(image).text((30, 30), "RANK", fill=20, font=ImageFont.load_default(80))
    image.save("word.png")
    _, out, _ = asked(capfd, "word.png", "--json")
    (answer,) = json.loads(out)
    assert answer["probability"] < 0.1 and answer["sure"] is False
    status, out, _ = asked(capfd, "word.png")
    assert status == 0 and ("no digits" in out or "not sure" in out)


@pytest.mark.parametrize(("option", "key"), [("--digit", "digit"), ("--number", "number")])
def test_predict_with_digit_or_number_overrides_the_picture(sample_run, tmp_path, capfd, option, key):
    split = dataset.open_dataset("sample").eval
    page = synthetic.synthetic_page(split.images, split.labels, np.random.default_rng(0), digits=3)
    Image.fromarray(page.image).save("page.png")
    _, out, _ = asked(capfd, "page.png", "--model", sample_run, "--json", option)
    (answer,) = json.loads(out)
    assert key in answer and len(answer["boxes"]) == (1 if key == "digit" else 3)


@pytest.mark.draws
@pytest.mark.parametrize("number", [False, True])
def test_predict_save_draws_the_segmentation(sample_run, pictures, capfd, number):
    (path, *_), _ = pictures
    status, *_ = asked(capfd, path, "--model", sample_run, "--save", "seen", *(["--number"] if number else []))
    assert status == 0
    assert np.asarray(Image.open("seen/digit-0-read.png").convert("L")).std() > 10


def test_predict_reads_the_others_where_one_picture_fails(sample_run, pictures, capfd):
    (path, *_), _ = pictures
    Image.new("L", (100, 100), 255).save("empty.png")
    status, out, err = asked(capfd, "empty.png", "missing.png", path, "--model", sample_run)
    assert status == 2 and len(out.splitlines()) == 1 and str(path) in out
    first, second = (line for line in err.splitlines() if "error" in line)
    assert "no ink found" in first and "empty.png" in first and "missing.png" in second


def forty_megapixels(digit: np.ndarray) -> Image.Image:
    """Return a colour photo of a digit, 7300 × 5480 pixels."""
    small = Image.fromarray((220 - 0.7 * np.pad(digit, 8).astype(float)).astype(np.uint8))
    return Image.merge("RGB", [small, small, small.point(lambda value: value * 3 // 4)]).resize((7300, 5480))


def landscape(digit: np.ndarray) -> Image.Image:
    """Return the colours of a photo of a meadow, without a digit."""
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
def test_predict_answers_every_picture_in_bounded_time(sample_run, capfd, name, suffix):
    make, is_digit = PICTURES[name]
    split = dataset.open_dataset("sample").eval
    make(np.array(split.images[0])).save(f"picture.{suffix}", **({"compress_level": 1} if suffix == "png" else {}))
    read = predict.load_predictor(str(sample_run))
    began = time.process_time()
    if is_digit:
        assert predict.read_picture(f"picture.{suffix}", read, "digit")["digit"] == split.labels[0]
    else:
        with pytest.raises(UserError, match=rf"no ink found: picture\.{suffix}"):
            predict.read_picture(f"picture.{suffix}", read, "digit")
    assert time.process_time() - began < 2


def test_predict_gives_the_number_of_a_regression(pictures, capfd, data_file):
    (path, *_), _ = pictures
    given = ["--net", "fc", "--epochs", "1", "--data", str(data_file), "--quiet", "--out", "fc"]
    assert console.run(train.main, given) == 0
    _, out, _ = asked(capfd, path, "--model", "fc", "--json")
    (answer,) = json.loads(out)
    assert answer["probabilities"] is None and answer["digit"] == int(np.clip(np.rint(answer["value"]), 0, 9))
