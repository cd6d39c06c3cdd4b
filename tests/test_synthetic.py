from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.pictures.synthetic import PHONE_KINDS, phone_page, synthetic_page


@pytest.mark.parametrize("touching", [False, True])
def test_synthetic_page_depends_on_the_seed_alone(splits, touching):
    first, second, other = (synthetic_page(*splits.eval, np.random.default_rng(seed), touching) for seed in (1, 1, 2))
    assert (first.image == second.image).all() and first.boxes == second.boxes and first.labels == second.labels
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


def test_synthetic_pages_vary_as_intended(splits):
    rng = np.random.default_rng(0)
    pages = [synthetic_page(*splits.eval, rng) for _ in range(60)]
    assert {len(page.labels) for page in pages} == {3, 4, 5, 6, 7, 8}
    assert len({np.median(page.image) > 127 for page in pages}) == 2  # dark on light, and light on dark
    for page in pages:
        height, width = page.image.shape
        assert page.image.dtype == np.uint8 and len(page.boxes) == len(page.labels)
        assert all(
            0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in page.boxes
        )
        assert [box[0] for box in page.boxes] == sorted(box[0] for box in page.boxes)


def gaps(page):
    return [following[0] - box[2] for box, following in zip(page.boxes, page.boxes[1:], strict=False)]


def test_synthetic_page_with_a_touching_pair(splits):
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert min(gaps(synthetic_page(*splits.eval, rng))) > 0
        assert sum(gap <= 0 for gap in gaps(synthetic_page(*splits.eval, rng, touching=True))) == 1


@pytest.mark.parametrize("kind", PHONE_KINDS)
def test_phone_page_gives_colours_and_the_box_of_each_digit(splits, kind):
    first, second = (phone_page(*splits.eval, np.random.default_rng(1), kind) for _ in range(2))
    assert (first.image == second.image).all() and first.text == second.text
    height, width, channels = first.image.shape
    assert channels == 3 and first.image.dtype == np.uint8
    assert len(first.boxes) == len(first.labels) == len(first.lines)
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in first.boxes)
    assert len(first.text.split("\n")) == max(first.lines) + 1
