"""A photo or drawing of a digit, prepared as MNIST's digits were: 28×28, white ink on black.

The way has three steps, each a function:

    open_picture   any picture file                 -> grey values, at a size that is quick to work on
    find_ink       paper and ink of any shade       -> how much ink there is at each pixel, 0 to 1
    prepare_digit  the ink of one digit             -> uint8 [28, 28]: fitted into 20×20, centred by its mass

MNIST was made so: each digit was scaled, keeping its proportions, to fit a box of 20×20 pixels, and then moved so that
its centre of mass lies in the centre of 28×28 (Y. LeCun et al., *The MNIST database of handwritten digits*).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.storage.files import read_bytes

if TYPE_CHECKING:
    from PIL import Image

MAX_FILE_BYTES = 128 << 20
MAX_PIXELS = 50_000_000  # decoded at once; a larger JPEG is decoded at a fraction of its size
# Fewer where the decoder holds several copies of the pixels, or is slow, so that none takes more memory or time.
MAX_PIXELS_OF = {"WEBP": 12_000_000, "AVIF": 12_000_000, "JPEG2000": 4_000_000}
# What a decoder may hold at once where that hangs on the file: a TIFF may have all of its pixels in one strip, which is
# unpacked beside the image, and of a JPEG in several scans every coefficient is kept, however small it is decoded.
MAX_BYTES = 245_000_000
MAX_PIXELS_IN_PYTHON = 1_000_000
MAX_READS = 600_000  # pieces that are taken of a file; one of 128 MB in chunks of 8 kB needs a tenth
WORKING_SIDE = 1200  # pixels of the longer side that pictures are reduced to; strokes stay several pixels wide
STRIP_PIXELS = 1 << 20  # converted and reduced at a time, so that memory holds little beside the decoded picture
# Pillow hands EPS to another program, which would run what the file says, and WMF to Windows; it unpacks what is in
# ICNS and FITS before it knows how large that is.
REFUSED = {"EPS", "WMF", "ICNS", "FITS"}

FIELD, BOX = 28, 20
ORIENTATION = 0x0112  # the number of this entry in a camera's notes
BITS_PER_SAMPLE = 0x0102  # and of this one in a TIFF's
MIN_CONTRAST = 24  # grey levels of 255 by which ink must differ from paper
MIN_CONTRAST_TO_NOISE = 5  # how far ink must stand out of what else varies on the page
EDGE = 0.25  # of full ink: where a stroke ends
SPECK_AREA = 0.02  # of the largest stroke's area: what is smaller is none
MAX_SPOTS = 400  # more than any line of writing has: a texture
MAX_INK_SHARE = 0.5  # of a page; there is more paper than ink where somebody wrote


class Picture(NamedTuple):
    """A picture ready to be worked on.

    Attributes:
        gray: uint8 [h, w], reduced in size if the file was large.
        scale: how many of the file's pixels a pixel stands for, across and down alike.
        name: what to call it in a message.
    """

    gray: np.ndarray
    scale: float
    name: str


def open_picture(path: str | os.PathLike[str]) -> Picture:
    """Open a picture file of any format that Pillow decodes, upright; of several frames the first.

    Raises:
        UserError: it is no picture, is damaged, or is larger than ``MAX_PIXELS``; the file is named.
    """
    from PIL import Image, UnidentifiedImageError

    data, limit = read_bytes(path, MAX_FILE_BYTES), MAX_PIXELS
    try:
        with _quiet():
            image = Image.open(_Metered(data))
            if image.format in REFUSED:
                raise UserError(f"{path} is in the format {image.format}, which is not read: save it as PNG or JPEG")
            width, height = image.size
            if image.format in ("JPEG", "MPO") and _has_several_scans(data):
                limit = MAX_BYTES // (2 * len(image.getbands()))
                if width * height > limit:
                    raise Image.DecompressionBombError
            image.draft(None, (WORKING_SIDE, WORKING_SIDE))  # a JPEG can be decoded at a fraction of its size
            limit = _max_pixels(image)
            if image.width * image.height > limit:
                raise Image.DecompressionBombError
            gray = _upright(_to_gray(image), image.getexif().get(ORIENTATION, 1))
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(
            f"{path} has more than the {limit:,} pixels that are read of its kind: reduce it first"
        ) from None
    except _TooMuchWorkError:
        raise UserError(f"{path} takes more work to read than a picture should: save it as PNG or JPEG") from None
    except UnidentifiedImageError:
        raise UserError(f"{path} is no picture, or of a kind that cannot be read: save it as PNG or JPEG") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"{path} is damaged and cannot be read as a picture ({reason}): save it anew") from error
    return Picture(gray, max(width, height) / max(gray.shape), str(path))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow from remarks of its own: sizes are checked here, and what is wrong is said in one sentence."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _TooMuchWorkError(Exception):
    """More was read of a file than any honest picture needs."""


class _Metered(io.BytesIO):
    """A file in memory of which so many pieces are read and no more.

    The formats' readers take a file apart in Python, often byte by byte and wherever it points them, so that a small
    damage or some malice can keep them busy for minutes. They read no honest file over and over.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = MAX_READS
        self.bytes = 8 * len(data) + (1 << 20)

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, as every file does."""
        return self._spent(super().read(size))

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line, as every file does."""
        return self._spent(super().readline(size))

    def _spent(self, piece: bytes) -> bytes:
        self.reads -= 1
        self.bytes -= len(piece)
        if self.reads < 0 or self.bytes < 0:
            raise _TooMuchWorkError
        return piece


def _max_pixels(image: Image.Image) -> int:
    """Return how many pixels are decoded of an image that Pillow has opened."""
    from PIL import Image

    if any(tile[0] in Image.DECODERS for tile in image.tile):  # those registered by name are written in Python
        return MAX_PIXELS_IN_PYTHON
    if image.format == "TIFF":
        bits = sum(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
        return min(MAX_PIXELS, int(MAX_BYTES / (4 + bits / 8)))
    return MAX_PIXELS_OF.get(image.format, MAX_PIXELS)


def _has_several_scans(data: bytes) -> bool:
    """Tell whether a JPEG holds its image in several passes; where that cannot be told, it is taken for one.

    The markers are those of ITU-T T.81, annex B: 0xFF, a kind, and, before the first scan, a length.
    """
    at, components = 2, 0
    while at + 10 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind == 0xDA:  # the first scan, with the components that it holds
            return data[at + 4] < components
        if kind in (0xC2, 0xC6, 0xCA, 0xCE):  # a progressive frame
            return True
        if kind in (0xC0, 0xC1, 0xC3, 0xC5, 0xC7, 0xC9, 0xCB, 0xCD, 0xCF):
            components = data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


def _to_gray(image: Image.Image) -> np.ndarray:
    """Return a Pillow image as uint8 [h, w], at most ``WORKING_SIDE`` high and wide, over plain paper."""
    from PIL import Image

    has_transparency = image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits, or floats: stretched to what they hold
        values = _reduced(image, _finite)
        low, high = float(values.min()), float(values.max())
        levels = (values - low) * (255 / max(high - low, 1e-9))
    elif has_transparency:
        layers = _reduced(image, lambda strip: strip.convert("RGBA").convert("LA"))
        light, alpha = layers[..., 0], layers[..., 1] / np.float32(255)
        # Where all that is to be seen is light, it is ink, and its paper must be dark.
        seen = light[alpha > 0.5]
        paper = 0 if seen.size and np.quantile(seen, 0.01) > 128 else 255
        levels = light * alpha + paper * (1 - alpha)
    elif image.mode in ("1", "L"):
        levels = _reduced(image, lambda strip: strip.convert("L"))
    else:
        levels = _most_contrast(_reduced(image, lambda strip: strip.convert("RGB")))
    gray = Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    gray.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return np.asarray(gray)


def _reduced(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Convert an image strip by strip, each averaged over whole blocks of pixels to about the working size."""
    factor = max(1, max(image.size) // WORKING_SIDE)
    rows = max(1, STRIP_PIXELS // (image.width * factor)) * factor
    strips = []
    for top in range(0, image.height, rows):
        strip = convert(image.crop((0, top, image.width, min(top + rows, image.height))))
        strips.append(np.asarray(strip.reduce((min(factor, strip.width), min(factor, strip.height)))))
    return np.concatenate(strips)


def _finite(strip: Image.Image) -> Image.Image:
    """Return a strip of deep pixels as floats, what is no number as 0."""
    from PIL import Image

    values = np.array(strip, dtype=np.float32)
    return Image.fromarray(np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0))


def _most_contrast(colours: np.ndarray) -> np.ndarray:
    """Return the brightness of colours uint8 [h, w, 3], or the one channel that tells far more apart.

    Red ink on a green board can be as bright as the board.
    """
    channels = [colours[..., index] for index in range(3)]  # one at a time: floats take four times the memory
    brightness = sum(
        np.float32(share) * channel for share, channel in zip((0.299, 0.587, 0.114), channels, strict=True)
    )
    spread = [channel.std(dtype=np.float32) for channel in channels]
    widest = int(np.argmax(spread))
    return channels[widest] if spread[widest] > 2 * brightness.std() else brightness


def _upright(gray: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror grey values as the camera's note on its orientation, 1 to 8, says they were taken."""
    if orientation in (5, 6, 7, 8):
        gray = gray.T
    if orientation in (3, 4, 7, 8):
        gray = gray[::-1]
    if orientation in (2, 3, 6, 7):
        gray = gray[:, ::-1]
    return np.ascontiguousarray(gray)


def find_ink(picture: Picture | np.ndarray) -> np.ndarray:
    """Tell ink from paper, whichever is the darker, under light that may vary over the page.

    Args:
        picture: what ``open_picture`` returned, or grey values uint8 [h, w].

    Returns:
        float32 [h, w], from 0 (paper) to 1 (full ink).

    Raises:
        UserError: nothing stands out of the page.
    """
    gray, name = (picture.gray, picture.name) if isinstance(picture, Picture) else (picture, "the picture")
    if min(gray.shape) < 4:
        raise UserError(f"no ink found: {name} has {gray.shape[1]} × {gray.shape[0]} pixels, where a digit needs more")
    light = _smooth(gray.astype(np.float32))
    difference = light - paper_of(light)
    # Ink is the rarer of the two: it makes one tail of the histogram, and the third moment tells which.
    if (difference.astype(np.float64) ** 3).sum() < 0:
        difference = -difference
    noise = 1.4826 * float(np.median(np.abs(difference - np.median(difference))))
    level = _ink_level(difference)
    if level < MIN_CONTRAST:
        raise UserError(f"no ink found: {name} is nearly even, where a digit should stand out from the paper")
    share = float((difference > level / 2).mean())
    if level < MIN_CONTRAST_TO_NOISE * noise or share > MAX_INK_SHARE:
        raise UserError(
            f"no ink found: {name} is too noisy or too full of detail: photograph dark writing on plain light paper, "
            "or the other way round"
        )
    floor = max(2.5 * noise, 0.06 * level)
    return _without_specks(np.clip((difference - floor) / (level - floor), 0, 1), name)


def _without_specks(ink: np.ndarray, name: str) -> np.ndarray:
    """Take off what is far smaller than the writing: dust, dead pixels, the grain of the paper."""
    from scipy import ndimage

    labels, count = ndimage.label(ink > EDGE, structure=np.ones((3, 3)))
    if count > MAX_SPOTS:
        raise UserError(f"no ink found: {name} shows {count:,} separate spots, where writing has a few strokes")
    areas = np.bincount(labels.ravel(), minlength=2)
    areas[0] = 0
    small = areas < SPECK_AREA * areas.max()
    small[0] = False
    # Their soft edges go with them.
    return np.where(ndimage.binary_dilation(small[labels], iterations=2), np.float32(0), ink)


def paper_of(light: np.ndarray) -> np.ndarray:
    """Estimate the paper's own brightness at each pixel: the smooth surface that most pixels lie near.

    A polynomial of second degree is fitted to a reduced picture, then fitted again without the pixels that lie far
    from it, which are ink.

    Args:
        light: brightness, float [h, w].

    Returns:
        float32 [h, w].
    """
    height, width = light.shape
    step = max(1, max(height, width) // 120)
    sample = light[::step, ::step]
    terms = _polynomial(np.arange(0, height, step) / height, np.arange(0, width, step) / width)
    values = sample.ravel()
    kept = np.abs(values - np.median(values)) <= np.quantile(np.abs(values - np.median(values)), 0.8)
    for _ in range(5):
        coefficients = np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        distance = np.abs(values - terms @ coefficients)
        kept = distance <= max(2.5 * float(np.median(distance)), 2.0)
    return (_polynomial(np.arange(height) / height, np.arange(width) / width) @ coefficients).reshape(height, width)


def _polynomial(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return 1, x, y, x², xy, y² at each point of a grid, float32 [len(y) · len(x), 6]."""
    y, x = (axis.astype(np.float32).ravel() for axis in np.meshgrid(y, x, indexing="ij"))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _smooth(light: np.ndarray) -> np.ndarray:
    """Take fine noise off a large picture; a small one has no pixels to spare."""
    from scipy import ndimage

    if max(light.shape) < 100:
        return light
    return ndimage.gaussian_filter(light, 0.8 if max(light.shape) < 400 else 1.2)


def _ink_level(difference: np.ndarray) -> float:
    """Return how far full ink lies from paper: the 90th percentile of what lies above Otsu's threshold."""
    above = difference[difference > _otsu(difference)]
    return float(np.quantile(above, 0.9)) if above.size else 0.0


def _otsu(values: np.ndarray) -> float:
    """Return the threshold that parts values into two classes with the most distant means (N. Otsu, 1979)."""
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
