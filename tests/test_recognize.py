"""What is written in a picture, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures.picture import from_pixels
from paddle_mnist.pictures.reader import Prediction, averaged_reader, bundled_reader
from paddle_mnist.pictures.recognize import recognize
from paddle_mnist.pictures.synthetic import synthetic_page


@pytest.fixture(scope="module")
def digits():
    split = open_dataset("sample").eval
    return np.array(split.images), np.array(split.labels)


def test_bundled_reader_reads_digits(digits):
    images, labels = digits
    prediction = bundled_reader(images[:200])
    assert np.mean(prediction.digits == labels[:200]) > 0.97
    assert prediction.probabilities.shape == (200, 10)
    assert (prediction.probabilities.sum(axis=1) <= 1 + 1e-9).all()


def test_bundled_reader_calls_an_empty_field_no_digit():
    assert bundled_reader(np.zeros((1, 28, 28), np.uint8)).digits == [-1]
    assert len(bundled_reader(np.zeros((0, 28, 28), np.uint8)).digits) == 0


def test_averaged_reader_is_the_mean_over_moved_copies(digits):
    images = digits[0][:20]
    found = averaged_reader(images)
    moves = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))
    logits = [np.log(bundled_reader(np.roll(images, move, axis=(1, 2))).probabilities) for move in moves]
    mean = np.exp(np.mean(logits, axis=0))
    np.testing.assert_allclose(
        found.probabilities / found.probabilities.sum(1, keepdims=True), mean / mean.sum(1, keepdims=True), atol=1e-5
    )
    assert len(averaged_reader(images[:0]).digits) == 0


def test_recognize_reads_arrays_of_pixels(digits):
    page = synthetic_page(*digits, np.random.default_rng(1), digits=4)
    found = recognize(page.image)
    assert found.text == page.text and recognize(from_pixels(page.image)).text == page.text
    assert found.probability == pytest.approx(np.prod([digit.probability for digit in found.digits]))
    assert all(digit.image28.shape == (28, 28) for digit in found.digits)


def always(digit, probability):
    row = np.full(10, probability / 100)
    row[digit] = probability
    return lambda images: Prediction(
        np.full(len(images), digit if probability > 0.5 else -1), np.zeros(len(images)), np.tile(row, (len(images), 1))
    )


def test_recognize_is_sure_of_what_is_likely_as_a_whole(digits):
    page = synthetic_page(*digits, np.random.default_rng(1), digits=4)
    assert recognize(page.image, predictor=always(3, 0.99)).sure
    found = recognize(page.image, predictor=always(3, 0.95))
    assert found.probability == pytest.approx(0.95**4) and not found.sure


def test_recognize_marks_what_is_no_digit(digits):
    page = synthetic_page(*digits, np.random.default_rng(1), digits=4)
    found = recognize(page.image, predictor=always(3, 0.1))
    assert found.text == "????" and not found.has_digits and not found.sure
    found = recognize(page.image, predictor=always(3, 0.4))
    assert found.text == "3333" and not found.sure


def test_recognize_gives_the_likeliest_digit_of_a_picture_that_is_said_to_show_one(digits):
    images, _ = digits
    (digit,) = recognize(np.pad(images[0], 10), "digit", always(3, 0.1)).digits
    assert (digit.digit, digit.probability) == (3, pytest.approx(0.1 / (0.109 + 0.1 * 0.891)))
    (digit,) = recognize(np.pad(images[0], 10), "digit", always(3, 0.001)).digits
    assert digit.digit == 3 and digit.probability < 0.1
