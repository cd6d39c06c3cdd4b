"""A picture file as grey values: opened safely, decoded in bounded time and memory, turned upright, reduced."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from paddle_mnist.errors import UserError, quote
from paddle_mnist.storage.files import read_bytes

if TYPE_CHECKING:
    from PIL import Image

# The formats that are read, and how many pixels of each are decoded. With these figures no file takes more than 3 s or
# 300 MB (``tools/fuzz_files.py``): TIFF, WebP and AVIF hold their pixels two or three times while they are decoded.
# Pillow's other formats stay closed: some run a program (EPS), most are decoded in Python or unpacked without a bound.
MAX_PIXELS = {
    "PNG": 50_000_000,
    "JPEG": 50_000_000,
    "GIF": 50_000_000,
    "BMP": 50_000_000,
    "PPM": 50_000_000,
    "TIFF": 20_000_000,
    "WEBP": 12_000_000,
    "AVIF": 12_000_000,
}
MAX_PIXELS_IN_PYTHON = 1_000_000  # of a kind that Pillow decodes in Python: BMP with run lengths, PPM in words
MAX_PIXELS_IN_SCANS = 40_000_000  # of a JPEG in several scans: libjpeg holds all of it at any decoding size
MAX_FILE_BYTES = 64 << 20
WORKING_SIDE = 1200  # pixels of the longer side that pictures are reduced to; strokes stay several pixels wide
STRIP_PIXELS = 1 << 20  # converted and reduced at a time, so that memory holds little beside the decoded picture
FAX = ("group3", "group4", "tiff_ccitt")  # compressions of TIFF
ORIENTATION = 0x0112  # the number of this entry in a camera's notes


class Picture(NamedTuple):
    """A picture, decoded and reduced.

    Attributes:
        gray: uint8 [h, w], reduced in size if the file was large.
        scale: how many of the file's pixels a pixel stands for, across and down alike.
        name: what to call it in a message.
    """

    gray: np.ndarray
    scale: float
    name: str


def open_picture(path: str | os.PathLike[str]) -> Picture:
    """Open a picture file in one of the formats of ``MAX_PIXELS``, upright; of several frames the first.

    Raises:
        UserError: it is not a picture, is damaged, or is larger than ``MAX_PIXELS``; the file is named.
    """
    return decode_picture(read_bytes(path, MAX_FILE_BYTES), str(path))


def decode_picture(data: bytes, name: str = "the picture") -> Picture:
    """Decode the bytes of a picture file; ``name`` is what an error calls it. Otherwise as ``open_picture``."""
    from PIL import Image, UnidentifiedImageError

    file, limit = _BoundedReads(data), max(MAX_PIXELS.values())
    try:
        with _quiet():
            image = Image.open(file, formats=list(MAX_PIXELS))
            width, height = image.size
            if image.info.get("compression") in FAX and image.mode != "1":  # libtiff would print a line of its own
                raise ValueError("fax compression is for black and white alone")
            limit = _max_pixels(image, file)
            if limit != MAX_PIXELS_IN_SCANS or width * height <= limit:
                image.draft(None, (WORKING_SIDE, WORKING_SIDE))  # a JPEG can be decoded at a fraction of its size
            if image.width * image.height > limit:
                raise Image.DecompressionBombError
            gray = _upright(_to_gray(image), image.getexif().get(ORIENTATION, 1))
    except Image.DecompressionBombError:
        raise UserError(f"{name} has more than the {limit:,} pixels that are read of its format: reduce it") from None
    except _TooManyReadsError:
        raise UserError(f"{name} takes more work to read than a picture should: save it as PNG or JPEG") from None
    except UnidentifiedImageError:
        raise UserError(f"{name} is not a picture, or its format is not read: save it as PNG or JPEG") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = quote(Exception(error), 100) if str(error) else type(error).__name__
        raise UserError(f"{name} is damaged and cannot be read as a picture ({reason}): save it again") from error
    return Picture(gray, max(width, height) / max(gray.shape), name)


def from_pixels(pixels: np.ndarray, name: str = "the picture") -> Picture:
    """Return grey values uint8 [h, w], or colours uint8 [h, w, 3], as a ``Picture``."""
    from PIL import Image

    gray = _to_gray(Image.fromarray(pixels))
    return Picture(gray, max(pixels.shape) / max(gray.shape), name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's own warnings and log lines: sizes are checked here, and errors are one sentence."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _TooManyReadsError(Exception):
    """More was read of a file than a valid picture needs."""


class _BoundedReads(io.BytesIO):
    """A file in memory of which a bounded number of pieces and bytes is read.

    Pillow parses files in Python, often byte by byte and wherever they point, so that a small file of a million
    empty chunks, or of entries that all point at the same bytes, would keep it busy for minutes.
    """

    budget = 160_000_000  # bytes, where each piece counts as 256 more: 600,000 pieces, which take a second

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes, as every file does."""
        piece = super().read(size)
        self.budget -= len(piece) + 256
        if self.budget < 0:
            raise _TooManyReadsError
        return piece


def _max_pixels(image: Image.Image, file: io.BytesIO) -> int:
    """Return how many pixels are decoded of an image that Pillow has just opened."""
    from PIL import Image, ImageFile

    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    if any(tile[0] in Image.DECODERS for tile in tiles):  # those registered by name are written in Python
        return MAX_PIXELS_IN_PYTHON
    if image.format in ("JPEG", "MPO"):  # an MPO is a JPEG with further pictures behind it
        return MAX_PIXELS_IN_SCANS if _has_several_scans(image, file) else MAX_PIXELS["JPEG"]
    return MAX_PIXELS[image.format or ""]


def _has_several_scans(image: Image.Image, file: io.BytesIO) -> bool:
    """Tell whether a JPEG holds its image in several scans; Pillow has just read the header of the first one.

    That header ends, for a scan of n components, in the number n, two bytes for each, and three more (ITU-T T.81). A
    JPEG in one scan has all components in it.
    """
    count = len(image.getbands())
    return "progressive" in image.info or file.getbuffer()[file.tell() - 2 * count - 4] != count


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
        # If everything visible is light, it is ink, and the paper must be dark.
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
    """Return a strip of deep pixels as floats, with 0 for NaN and infinity."""
    from PIL import Image

    values = np.array(strip, dtype=np.float32)
    return Image.fromarray(np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0))


def _most_contrast(colours: np.ndarray) -> np.ndarray:
    """Return the brightness of colours uint8 [h, w, 3], or the one channel that has far more contrast.

    Red ink on a green board can be as bright as the board.
    """
    channels = [colours[..., index] for index in range(3)]  # one at a time: floats take four times the memory
    red, green, blue = channels
    brightness = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    spread = [channel.std(dtype=np.float32) for channel in channels]
    widest = int(np.argmax(spread))
    return channels[widest] if spread[widest] > 2 * brightness.std() else brightness


def _upright(gray: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror grey values upright, by the orientation 1 to 8 that the camera recorded."""
    if orientation in (5, 6, 7, 8):
        gray = gray.T
    if orientation in (3, 4, 7, 8):
        gray = gray[::-1]
    if orientation in (2, 3, 6, 7):
        gray = gray[:, ::-1]
    return np.ascontiguousarray(gray)
