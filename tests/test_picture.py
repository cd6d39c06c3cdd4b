"""Picture files: every format that is read, and what must be refused in bounded time and memory."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from paddle_mnist import dataset
from paddle_mnist.errors import UserError
from paddle_mnist.pictures.picture import WORKING_SIDE, open_picture
from paddle_mnist.pictures.preprocess import find_ink, prepare_digit


@pytest.fixture(scope="module")
def digit() -> np.ndarray:
    """Return a real test digit, uint8 [28, 28]."""
    return np.array(dataset.open_dataset("sample").eval.images[3])


def page(digit) -> Image.Image:
    """Return a photo of a digit: enlarged, on unevenly lit paper."""
    large = np.asarray(Image.fromarray(digit).resize((252, 252), Image.Resampling.BICUBIC)) / 255
    large = np.pad(large, ((20, 60), (50, 30)))
    light = 190 + 40 * np.linspace(-0.5, 0.5, large.shape[1])
    noise = np.random.default_rng(2).normal(0, 4, large.shape)
    return Image.fromarray(np.clip(light - 120 * large + noise, 0, 255).astype(np.uint8))


def correlation(path, digit) -> float:
    """Return the correlation of a digit with the one prepared from its picture."""
    prepared = prepare_digit(find_ink(open_picture(path)))
    return np.corrcoef(prepared.ravel(), digit.ravel())[0, 1]


def saved(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def transparent(image: Image.Image, shade: int) -> Image.Image:
    """Return ink of some shade on a transparent background."""
    layers = np.full((image.height, image.width, 4), shade, np.uint8)
    layers[..., 3] = np.rint(255 * find_ink(np.asarray(image)))
    return Image.fromarray(layers)


def with_no_number(image: Image.Image) -> Image.Image:
    """Return floats, one of them infinite and one not a number."""
    values = np.array(image, np.float32) / 100
    values[0, :2] = np.inf, np.nan
    return Image.fromarray(values)


def red_on_green(image: Image.Image) -> Image.Image:
    """Return a picture in which ink and paper differ in colour alone."""
    ink = find_ink(np.asarray(image))
    return Image.fromarray(np.stack([200 * ink, 102 * (1 - ink), 0 * ink], axis=2).astype(np.uint8))


FORMS = {
    "png": lambda image: saved(image, format="PNG"),
    "jpeg": lambda image: saved(image.convert("RGB"), format="JPEG", quality=90),
    "cmyk": lambda image: saved(image.convert("CMYK"), format="JPEG"),
    "palette": lambda image: saved(image.convert("P"), format="PNG"),
    "gif": lambda image: saved(image, format="GIF", save_all=True, append_images=[image]),
    "bmp": lambda image: saved(image, format="BMP"),
    "tiff": lambda image: saved(image, format="TIFF"),
    "webp": lambda image: saved(image.convert("RGB"), format="WEBP"),
    "16 bits": lambda image: saved(Image.fromarray(np.asarray(image).astype(np.uint16) * 100), format="PNG"),
    "one bit": lambda image: saved(image.point(lambda value: 255 * (value > 120)).convert("1"), format="PNG"),
    "colour": lambda image: saved(Image.merge("RGB", [image, image, image.point(lambda v: v // 2)]), format="PNG"),
    "transparent": lambda image: saved(transparent(image, 0), format="PNG"),
    "white on transparent": lambda image: saved(transparent(image, 255), format="PNG"),
    "floats": lambda image: saved(with_no_number(image), format="TIFF"),
    "as bright as the paper": lambda image: saved(red_on_green(image), format="PNG"),
}


@pytest.mark.parametrize("form", FORMS)
def test_open_picture_reads_every_form(tmp_path, digit, form):
    (tmp_path / "picture").write_bytes(FORMS[form](page(digit)))
    assert correlation(tmp_path / "picture", digit) > 0.8


def test_open_picture_turns_upright(tmp_path, digit):
    image = page(digit)
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera on its side
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    assert correlation(tmp_path / "turned.jpg", digit) > 0.8


def test_open_picture_reduces_a_large_picture_and_gives_the_scale(tmp_path, digit):
    image = page(digit).resize((3000, 2600))
    image.save(tmp_path / "large.png")
    picture = open_picture(tmp_path / "large.png")
    assert max(picture.gray.shape) <= WORKING_SIDE
    assert picture.scale == pytest.approx(3000 / picture.gray.shape[1], rel=0.01)


@pytest.mark.parametrize("form", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16", "CMYK"])
def test_open_picture_keeps_the_digit_of_a_large_picture(tmp_path, digit, form):
    pixels = np.asarray(page(digit).resize((2600, 2600)))
    deep = Image.fromarray(pixels.astype(np.uint16) * 200)
    (deep if form == "I;16" else Image.fromarray(pixels).convert(form)).save(tmp_path / "large.tif")
    assert correlation(tmp_path / "large.tif", digit) > 0.8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_pillow(tmp_path, digit, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    page(digit).save(tmp_path / "turned.png", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "turned.png")))
    assert (open_picture(tmp_path / "turned.png").gray == upright).all()


def claiming(width: int, height: int) -> bytes:
    """Return a small PNG whose header claims this size."""
    data = bytearray(saved(Image.new("L", (8, 8)), format="PNG"))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a picture"),
        (b"not a picture at all", "is not a picture"),
        (lambda: FORMS["png"](Image.new("L", (50, 50)))[:60], "damaged|not a picture"),
        (lambda: FORMS["jpeg"](Image.effect_noise((200, 200), 50))[:2000], "damaged"),
        (claiming(8_100, 8_000), "more than the 50,000,000"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n%%EOF\n",
            "its format is not read",
        ),
        (claiming(60_000, 60_000), "more than the 50,000,000"),
    ],
    ids=["empty", "text", "cut PNG", "cut JPEG", "large", "drawing", "bomb"],
)
def test_open_picture_refuses_in_one_sentence(tmp_path, content, words):
    (tmp_path / "file").write_bytes(content() if callable(content) else content)
    with pytest.raises(UserError, match=words) as caught:
        open_picture(tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value) and "\n" not in str(caught.value)


def chunks(count: int) -> bytes:
    """Return a PNG of very many empty chunks, and no pixels."""
    head = saved(Image.new("L", (8, 8)), format="PNG")[:33]
    return head + (bytes(4) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))) * count


def claiming_jpeg(width: int, height: int, progressive: bool, components_of_scan: int = 3) -> bytes:
    """Return a small JPEG whose header claims this size and this number of components in its first scan."""
    data = bytearray(saved(Image.new("RGB", (16, 16)), format="JPEG", progressive=progressive))
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    data[data.index(b"\xff\xda") + 4] = components_of_scan
    return bytes(data)


BOMBS = {
    "progressive jpeg": (lambda: claiming_jpeg(9000, 9000, progressive=True), "more than the 40,000,000 pixels"),
    "jpeg in scans": (lambda: claiming_jpeg(9000, 9000, progressive=False, components_of_scan=1), "40,000,000 pixels"),
    "png chunks": (lambda: chunks(1_000_000), "more work"),
    "jpeg markers": (lambda: b"\xff\xd8" + b"\xff\xe5\0\2" * 1_000_000, "more work"),
    "jpeg of nothing": (lambda: b"\xff\xd8" + b"\xff" * 2_000_000, "more work"),
    "gif remarks": (lambda: b"GIF89a\x08\0\x08\0\0\0\0" + b"!\xfe\x01x\0" * 1_000_000, "more work"),
    "eps lines": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%%x: y\n" * 1_000_000, "not read"),
    "pgm of any depth": (lambda: b"P5\n4000 4000\n100\n" + bytes(16_000_000), "more than the 1,000,000 pixels"),
    "pgm in words": (lambda: b"P2\n4000 4000\n255\n" + b"1 " * 1_000_000, "more than the 1,000,000 pixels"),
    "webp": (lambda: saved(Image.new("RGB", (9000, 4000)), format="WEBP", method=0), "more than the 12,000,000 pixels"),
    "jpeg 2000": (
        lambda: b"\xff\x4f\xff\x51" + struct.pack(">HH8IH", 41, 0, 9000, 9000, *[0] * 6, 1) + b"\7\1\1",
        "not read",
    ),
    "icns": (lambda: b"icns" + struct.pack(">I4sI", 1016, b"ic10", 1008) + bytes(1000), "not read"),
    "fits": (lambda: b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800), "not read"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_open_picture_refuses_what_would_keep_the_decoder_busy(tmp_path, name):
    content, words = BOMBS[name]
    (tmp_path / "file").write_bytes(content())
    began = time.process_time()
    with pytest.raises(UserError, match=words) as caught:
        open_picture(tmp_path / "file")
    assert time.process_time() - began < 3
    assert str(tmp_path / "file") in str(caught.value) and "\n" not in str(caught.value)


def test_open_picture_reads_a_larger_jpeg_in_one_scan(tmp_path):
    (tmp_path / "file").write_bytes(claiming_jpeg(9000, 9000, progressive=False))
    picture = open_picture(tmp_path / "file")
    assert max(picture.gray.shape) <= WORKING_SIDE and picture.scale == 9000 / max(picture.gray.shape)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["TIFF", "WEBP"])
def test_open_picture_turns_tiff_and_webp_upright_once(tmp_path, orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    gray = np.arange(200, 200 + 12 * 4, 4, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(gray)
    image.convert("L" if form == "TIFF" else "RGB").save(tmp_path / "turned", format=form, exif=exif, lossless=True)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert (open_picture(tmp_path / "turned").gray == upright).all()


def test_open_picture_shows_no_output_of_pillow(tmp_path, capfd):
    data = bytearray(saved(Image.new("RGB", (8, 8)), format="TIFF"))
    entry = data.index(struct.pack("<HHI", 277, 3, 1))  # samples per pixel
    data[entry + 8 : entry + 10] = struct.pack("<H", 512)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(UserError):
        open_picture(tmp_path / "file")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_open_picture_names_what_is_not_a_file(name):
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        open_picture(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and devices")
@pytest.mark.parametrize("kind", ["pipe", "device", "link to an endless file"])
def test_open_picture_refuses_endless_files(tmp_path, kind):
    path = tmp_path / "photo.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "/proc/self/pagemap")
    with pytest.raises(UserError, match=r"regular file|cannot be read"):
        open_picture(path)


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_open_picture_prints_nothing_about_a_fax_in_grey(tmp_path, capfd, compression):
    file = io.BytesIO()
    Image.new("1", (60, 60), 1).save(file, "TIFF", compression=compression)
    one_bit, eight_bits = (struct.pack("<HHII", 258, 3, 1, bits) for bits in (1, 8))
    assert one_bit in file.getvalue()
    path = tmp_path / "fax.tif"
    path.write_bytes(file.getvalue().replace(one_bit, eight_bits))
    with pytest.raises(UserError, match="fax compression is for black and white alone"):
        open_picture(path)
    assert capfd.readouterr() == ("", "")
