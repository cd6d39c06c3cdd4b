from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from paddle_mnist import dataset
from paddle_mnist.errors import UserError
from paddle_mnist.pictures.picture import from_pixels
from paddle_mnist.pictures.segment import split_digits
from paddle_mnist.pictures.synthetic import PHONE_KINDS, phone_page, synthetic_page


@pytest.fixture(scope="module")
def held():
    """Return the sample's training digits and their labels."""
    train = dataset.open_dataset("sample").train
    return np.array(train.images), np.array(train.labels)


def overlap(a, b):
    """Return the intersection of two boxes over their union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def share_found(held, touching, pages):
    rng = np.random.default_rng(0)
    found = total = 0
    for _ in range(pages):
        page = synthetic_page(*held, rng, touching=touching)
        boxes = [digit.box for digit in split_digits(page.image)]
        found += sum(max(overlap(box, other) for other in boxes) >= 0.5 for box in page.boxes)
        total += len(page.boxes)
    return found / total


def test_split_digits_finds_boxes_of_separate_digits(held):
    assert share_found(held, touching=False, pages=15) >= 0.97


def test_split_digits_finds_boxes_of_a_touching_pair(held):
    assert share_found(held, touching=True, pages=15) >= 0.85


def drawn(*strokes, shape=(200, 500)):
    """Return black strokes (left, top, right, bottom) on white paper."""
    page = np.full(shape, 255, np.uint8)
    for left, top, right, bottom in strokes:
        page[top:bottom, left:right] = 0
    return page


def boxes_of(page):
    return [digit.box for digit in split_digits(page)]


ONE, OTHER = (100, 50, 112, 150), (200, 50, 212, 150)


def test_find_digits_gives_reading_order():
    assert [box[0] // 100 for box in boxes_of(drawn(OTHER, ONE, (300, 52, 312, 148)))] == [1, 2, 3]


def test_find_digits_ignores_specks():
    assert len(boxes_of(drawn(ONE, OTHER, (150, 100, 154, 104), (400, 20, 405, 24)))) == 2


def test_find_digits_joins_a_broken_stroke():
    (_, box) = boxes_of(drawn(ONE, (200, 50, 212, 98), (200, 103, 212, 150)))
    assert box[1] <= 52 and box[3] >= 148


def test_find_digits_joins_the_halves_of_a_leaning_stroke():
    assert len(boxes_of(drawn(ONE, (214, 50, 222, 95), (202, 103, 210, 150), (300, 50, 312, 150)))) == 3


def test_find_digits_keeps_a_low_digit():
    assert len(boxes_of(drawn(ONE, (200, 80, 280, 120), (350, 50, 362, 150)))) == 3


def test_split_digits_keeps_the_hole_of_a_zero():
    y, x = np.mgrid[:200, :500]
    ring = np.hypot((y - 100) / 50, (x - 200) / 35)
    (digit,) = split_digits(np.where((ring > 0.7) & (ring < 1), 0, 255).astype(np.uint8))
    assert digit.image28[14, 14] < 60 and digit.image28.max() == 255
    assert digit.image28[14].max() > 150


def test_split_digits_gives_boxes_in_pixels_of_the_file(tmp_path):
    from paddle_mnist.pictures.picture import open_picture

    Image.fromarray(drawn(ONE, OTHER)).resize((3000, 1200)).save(tmp_path / "large.png")
    (box, _) = boxes_of(open_picture(tmp_path / "large.png"))
    assert box == pytest.approx([600, 300, 672, 900], abs=12)


H = (100, 50, 112, 150), (180, 50, 192, 150), (110, 97, 182, 103)  # or two touching ones


def bridged(images):
    return np.where((images[:, 14] > 100).sum(axis=1) > 10, 1.0, 0.01)  # a bridge through the middle row


def test_split_digits_follows_the_classifiers_confidence():
    page = drawn(*H, (300, 50, 312, 150))
    assert len(split_digits(page, bridged)) == 2
    assert len(split_digits(page, lambda images: 1.01 - bridged(images))) == 3


def test_find_digits_keeps_a_lone_component_no_wider_than_high():
    assert len(split_digits(drawn(*H), lambda images: 1.01 - bridged(images))) == 1


def test_find_digits_gives_lines_from_top_to_bottom():
    bars = [(x, y, x + 12, y + 100) for y in (180, 20) for x in (300, 100, 200)]
    digits = split_digits(drawn(*bars, shape=(300, 500)))
    assert [(digit.line, digit.box[0] // 100) for digit in digits] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_find_digits_follows_several_rising_lines():
    bars = [(100 * i, y - 12 * i, 100 * i + 12, y - 12 * i + 80) for y in (150, 300, 450) for i in range(1, 7)]
    assert [digit.line for digit in split_digits(drawn(*bars, shape=(600, 800)))] == [0] * 6 + [1] * 6 + [2] * 6


def test_find_digits_refuses_shapes_that_form_no_lines():
    rng = np.random.default_rng(0)
    corners = [(60 * column, int(rng.integers(0, 500))) for column in range(1, 12) for _ in range(3)]
    with pytest.raises(UserError, match="do not stand on lines"):
        split_digits(drawn(*((x, y, x + 10, y + 60) for x, y in corners), shape=(600, 800)))


@pytest.mark.parametrize("kind", PHONE_KINDS)
def test_split_digits_finds_digits_on_phone_pages(held, kind):
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(4):
        page = phone_page(*held, rng, kind)
        found, true = Counter(digit.line for digit in split_digits(from_pixels(page.image))), Counter(page.lines)
        right += found.keys() == true.keys() and (found - true).total() + (true - found).total() <= len(page.lines) / 20
    assert right >= 3


def test_find_digits_follows_a_rising_line():
    assert (
        len(
            boxes_of(
                drawn(*((100 * i, 300 - 40 * i, 100 * i + 12, 400 - 40 * i) for i in range(1, 7)), shape=(500, 700))
            )
        )
        == 6
    )


@pytest.mark.parametrize(
    "page",
    [
        np.full((400, 600), 240, np.uint8),
        np.random.default_rng(0).integers(0, 256, (400, 600), dtype=np.uint8),
        np.zeros((1, 1), np.uint8),
        np.random.default_rng(0).integers(0, 255, (4, 4), dtype=np.uint8),
        np.where(np.arange(600) % 40 == 0, 60, 240).astype(np.uint8)[:, np.newaxis].repeat(800, axis=1),
    ],
    ids=["empty", "noise", "one pixel", "sixteen pixels", "ruled"],
)
def test_split_digits_refuses_a_page_without_digits(page):
    with pytest.raises(UserError, match="found"):
        split_digits(page)


def ruled() -> np.ndarray:
    """Return ruled paper without writing."""
    page = np.full((600, 800), 255, np.uint8)
    page[::40] = 0
    return page


@pytest.mark.parametrize("page", [ruled(), np.random.default_rng(0).integers(0, 255, (4, 4), dtype=np.uint8)])
def test_split_digits_refuses_odd_pages_in_one_sentence(page):
    with pytest.raises(UserError, match="found"):
        split_digits(page)
