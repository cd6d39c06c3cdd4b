"""From grey values to a digit as MNIST has it: 28×28, white ink on black.

    find_ink       paper and ink of any shade  -> how much ink there is at each pixel, 0 to 1
    prepare_digit  the ink of one digit        -> uint8 [28, 28]: fitted into 20×20, centred by its mass

MNIST was made so: each digit was scaled, keeping its proportions, to fit a box of 20×20 pixels, and then moved so that
its centre of mass lies in the centre of 28×28 (Y. LeCun et al., *The MNIST database of handwritten digits*).
"""

from __future__ import annotations

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.pictures.components import Component
from paddle_mnist.pictures.picture import Picture
from paddle_mnist.pictures.rules import without_rules

FIELD, BOX = 28, 20
PAPER_SIDE = 128  # pixels of the longer side on which the paper's brightness is estimated
PAPER_WINDOW = 0.4  # of the longer side: the window that it is the median of
MAX_GAIN = 3.0  # of the contrast in a shadow
MIN_CONTRAST = 24  # grey levels of 255 by which ink must differ from paper
MIN_CONTRAST_TO_NOISE = 5  # of the ink to the rest of the page
EDGE = 0.25  # of full ink: where a stroke ends
SPECK_AREA = 0.02  # of the largest stroke's area: what is smaller is dust
MAX_SPOTS = 1000  # more than any page of writing has: a texture
MAX_INK_SHARE = 0.5  # of a page: a written page has more paper than ink


def find_ink(picture: Picture | np.ndarray, fine: bool = False) -> np.ndarray:
    """Separate ink from paper, whichever is darker, under light that may vary over the page.

    Args:
        picture: what ``open_picture`` returned, or grey values uint8 [h, w].
        fine: smooth less, for writing that is small in a large picture.

    Returns:
        float32 [h, w], from 0 (paper) to 1 (full ink).

    Raises:
        UserError: nothing stands out of the page.
    """
    gray, name = (picture.gray, picture.name) if isinstance(picture, Picture) else (picture, "the picture")
    if min(gray.shape) < 4:
        raise UserError(f"no ink found: {name} must be at least 4 × 4 pixels, got {gray.shape[1]} × {gray.shape[0]}")
    light = _smooth(gray.astype(np.float32), fine)
    difference = _difference(light, paper_of(light))
    # Wide strokes have pulled the estimate towards their own brightness: a second one leaves them out.
    difference = _difference(light, paper_of(light, difference > _ink_level(difference) / 3))
    noise = 1.4826 * float(np.median(np.abs(difference - np.median(difference))))
    difference = without_rules(difference, noise)
    level = _ink_level(difference)
    if level < MIN_CONTRAST:
        raise UserError(f"no ink found: {name} has almost no contrast: write dark on light or light on dark")
    share = float((difference > level / 2).mean())
    if level < MIN_CONTRAST_TO_NOISE * noise or share > MAX_INK_SHARE:
        raise UserError(
            f"no ink found: {name} is too noisy or too full of detail: photograph dark writing on plain light paper, "
            "or the other way round"
        )
    floor = max(2.5 * noise, 0.06 * level)
    return _without_specks(np.clip((difference - floor) / (level - floor), 0, 1), name)


def _difference(light: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Return by how much each pixel differs from the paper, positive for ink, whichever of the two is darker."""
    difference = light - paper
    # There is less ink than paper: ink makes one tail of the histogram, and the sign of the third moment tells which.
    precise = difference.astype(np.float64)
    if (precise * precise * precise).sum() < 0:  # a power would take ten times as long
        # Ink takes a share of the light, so that it differs less from the paper in a shadow.
        difference = -difference * np.clip(np.median(paper) / np.maximum(paper, 1), 1, MAX_GAIN)
    return difference


def _without_specks(ink: np.ndarray, name: str) -> np.ndarray:
    """Remove what is far smaller than the writing: dust, dead pixels, the grain of the paper."""
    from scipy import ndimage

    labels, count = ndimage.label(ink > EDGE, structure=np.ones((3, 3)))
    if count > MAX_SPOTS:
        raise UserError(f"no ink found: {name} must have at most {MAX_SPOTS:,} separate spots, got {count:,}")
    areas = np.bincount(labels.ravel(), minlength=2)
    areas[0] = 0
    small = areas < SPECK_AREA * areas.max()
    small[0] = False
    # Their soft edges go with them.
    return np.where(ndimage.binary_dilation(small[labels], iterations=2), np.float32(0), ink)


def paper_of(light: np.ndarray, ink: np.ndarray | None = None) -> np.ndarray:
    """Estimate the paper's own brightness at each pixel: the median of a wide window, first along rows, then columns.

    A median follows slopes and the edges of shadows, and ignores ink that covers less than half of the window.

    Args:
        light: brightness, float [h, w].
        ink: where it is ink that is bright or dark, bool [h, w], as far as that is known.

    Returns:
        float32 [h, w].
    """
    from PIL import Image
    from scipy import ndimage

    height, width = light.shape
    factor = max(1, max(height, width) // PAPER_SIDE)
    small = np.asarray(Image.fromarray(light).reduce(factor))
    if ink is not None:
        small = _without_ink(small, np.asarray(Image.fromarray(ink.astype(np.float32)).reduce(factor)) > 0)
    half = max(2, round(PAPER_WINDOW * max(small.shape) / 2))
    small = _row_medians(_row_medians(small, half).T, half).T
    small = ndimage.gaussian_filter(small, 1)
    box = (0, 0, width / factor, height / factor)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR, box=box))


def _row_medians(values: np.ndarray, half: int) -> np.ndarray:
    """Return the median of ``2 * half + 1`` values around each, along rows, which are continued by their last value."""
    from scipy import ndimage

    padded = np.pad(values, [(0, 0), (half, half)], mode="edge")
    # SciPy updates the median from one place to the next only in one dimension, so all rows are one line. What reaches
    # from one row into another is cut off.
    return ndimage.median_filter(padded.ravel(), 2 * half + 1).reshape(padded.shape)[:, half:-half]


def _without_ink(light: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Return the brightness with ink, and its soft edges, replaced by the mean of the paper around it."""
    from scipy import ndimage

    paper = (~ndimage.binary_dilation(ink)).astype(np.float32)
    reach = PAPER_WINDOW * max(light.shape) / 4
    around = ndimage.gaussian_filter(light * paper, reach)
    share = np.maximum(ndimage.gaussian_filter(paper, reach), np.float32(1e-6))
    return np.where(paper > 0, light, around / share)


def _smooth(light: np.ndarray, fine: bool) -> np.ndarray:
    """Remove fine noise from a large picture, and lone pixels from a small one, which has none to spare."""
    from scipy import ndimage

    if max(light.shape) < 100:
        around = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
        darker, lighter = (ndimage.rank_filter(light, rank, footprint=around) for rank in (1, 6))
        return light.clip(darker, lighter)  # strokes have at least two pixels beside each of theirs
    return ndimage.gaussian_filter(light, 0.4 if fine else 0.8 if max(light.shape) < 400 else 1.2)


def _ink_level(difference: np.ndarray) -> float:
    """Return how far full ink lies from paper: the 90th percentile of what lies above Otsu's threshold."""
    above = difference[difference > _otsu(difference)]
    return float(np.quantile(above, 0.9)) if above.size else 0.0


def _otsu(values: np.ndarray) -> float:
    """Return the threshold that separates values into two classes with the most distant means (N. Otsu, 1979)."""
    if values.max() <= 0:
        return np.inf  # an even page
    counts, edges = np.histogram(np.maximum(values, 0), bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(centres[np.nanargmax(between)])


def ink_box(ink: np.ndarray, threshold: float = EDGE) -> tuple[int, int, int, int]:
    """Return the box of ink [h, w] above a threshold: left, top, right, bottom in pixels, the last two exclusive."""
    rows, columns = np.flatnonzero((ink > threshold).any(axis=1)), np.flatnonzero((ink > threshold).any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def prepare_digit(ink: np.ndarray) -> np.ndarray:
    """Make ink into a digit as MNIST has them.

    Args:
        ink: float [h, w], 0 to 1, of one digit and nothing else.

    Returns:
        uint8 [28, 28]: the digit fitted into 20×20, its centre of mass in the centre of the field.
    """
    from PIL import Image

    left, top, right, bottom = ink_box(ink)
    crop = ink[top:bottom, left:right].astype(np.float32)
    factor = BOX / max(crop.shape)
    size = max(1, round(crop.shape[1] * factor)), max(1, round(crop.shape[0] * factor))
    small = np.clip(np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BICUBIC)), 0, None)
    small = small / small.max()
    field = np.zeros((FIELD, FIELD))
    total, (height, width) = small.sum(), small.shape
    centre_y = (small.sum(axis=1) @ np.arange(height)) / total
    centre_x = (small.sum(axis=0) @ np.arange(width)) / total
    y = int(np.clip(round(FIELD / 2 - centre_y), 0, FIELD - height))
    x = int(np.clip(round(FIELD / 2 - centre_x), 0, FIELD - width))
    field[y : y + height, x : x + width] = small
    return np.rint(255 * field).astype(np.uint8)


def prepare_component(ink: np.ndarray, component: Component) -> np.ndarray:
    """Cut a component's ink out with its soft edge, and prepare it as a digit."""
    from scipy import ndimage

    margin = 3
    left, top, right, bottom = component.box
    around = np.pad(ink[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin], margin)
    y, x = min(top, margin), min(left, margin)  # where the box begins inside what was cut out, padding aside
    field = around[y : y + bottom - top + 2 * margin, x : x + right - left + 2 * margin]
    return prepare_digit(np.where(ndimage.binary_dilation(component.mask(margin), iterations=2), field, 0))
