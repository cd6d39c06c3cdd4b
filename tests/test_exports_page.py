"""The page with the pad: its nets give Python's answers, and a drawing becomes the same digit as in Python."""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
from pathlib import Path

import chromium
import drawings
import numpy as np
import paddle
import pytest
import random_nets
from PIL import Image, ImageDraw

from paddle_mnist import nets
from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.exports import export, page_twin, quantize, to_html, verify
from paddle_mnist.exports.model import load_model
from paddle_mnist.metrics import predicted_digits
from paddle_mnist.pictures.preprocess import find_ink, prepare_digit

WEB = Path(to_html.__file__).parent / "web"
PICTURE, MARGIN = 196, 14  # of web/pad.js

needs_node = pytest.mark.skipif(to_html.find_node() is None, reason="pages are run by Node.js, which is not installed")


def drawing(rng: np.random.Generator) -> np.ndarray:
    """Return grey values of some strokes as the pad has them: curves, some from edge to edge, perhaps a speck."""
    side = 2 * (PICTURE - 2 * MARGIN)
    image = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(image)
    pen = int(rng.integers(12, 40))
    t = np.linspace(0, 1, 60)[:, np.newaxis]
    for _ in range(rng.integers(1, 4)):
        a, b, c, d = points = rng.uniform(-0.02, 1.02, (4, 2)) * side
        if rng.random() < 0.2:
            points[:, 1], points[0, 0], points[3, 0] = a[1], -10, side + 10
        for x, y in (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d:
            draw.ellipse([x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2], fill=0)
    if rng.random() < 0.2:
        x, y = rng.uniform(0, side, 2)
        draw.ellipse([x, y, x + 6, y + 6], fill=0)
    gray = np.pad(np.asarray(image.reduce(2)), MARGIN, constant_values=255)
    return 255 - gray if rng.random() < 0.3 else gray


def prepared_in_python(gray: np.ndarray) -> np.ndarray | None:
    try:
        return prepare_digit(find_ink(gray))
    except UserError:
        return None


@needs_node
def test_drawings_become_the_same_digit_as_in_python():
    rng = np.random.default_rng(0)
    drawings = [drawing(rng) for _ in range(12)] + [np.full((PICTURE, PICTURE), 255, np.uint8)]
    Path("drawings").write_bytes(np.stack(drawings).tobytes())
    Path("prepare.mjs").write_text(
        f"""import fs from "fs";
import {{ prepare }} from "{(WEB / "prepare.js").as_uri()}";
const all = fs.readFileSync("drawings"), size = {PICTURE}, digits = [];
for (let i = 0; i < all.length; i += size * size) {{
  const digit = prepare(all.subarray(i, i + size * size), size, size);
  digits.push(digit && [...digit]);
}}
fs.writeFileSync("digits.json", JSON.stringify(digits));
""",
        "utf-8",
    )
    subprocess.run([to_html.find_node(), "prepare.mjs"], check=True, capture_output=True, timeout=120)
    found = json.loads(Path("digits.json").read_text("utf-8"))
    for gray, digit in zip(drawings, found, strict=True):
        wanted = prepared_in_python(gray)
        assert (digit is None) == (wanted is None)
        assert wanted is None or digit == wanted.ravel().tolist()
    assert found[-1] is None


@needs_node
@pytest.mark.parametrize("seed", range(4))
def test_random_nets_give_what_paddle_gives(seed):
    choices = random.Random(100 + seed)
    paddle.seed(seed)
    model = load_model(random_nets.random_net(lambda options: choices.choice(list(options)), 10))
    images = np.rint(255 * random_nets.digits(5, seed)[:, 0]).astype(np.uint8)
    answers = to_html.node_runner(to_html.html_page([model]), model)(images)
    raw_outputs = model.raw_outputs(images)
    tolerance = 3e-5 * max(1, np.abs(raw_outputs).max())
    assert np.abs(answers.outputs - verify.expected(model.answer, raw_outputs)).max() <= tolerance, str(model.graph)


@needs_node
@pytest.mark.parametrize("scheme", [None, *quantize.SCHEMES_OF_WEIGHTS], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_twin_of_a_page_gives_what_its_javascript_gives(seed, scheme):
    choices = random.Random(200 + seed)
    paddle.seed(seed)
    model = load_model(random_nets.random_net(lambda options: choices.choice(list(options)), 10))
    images = np.rint(255 * random_nets.digits(5, seed)[:, 0]).astype(np.uint8)
    page = to_html.html_page([quantize.quantize(model, images, scheme) if scheme else model])
    found, wanted = page_twin.runner(page)(images), to_html.node_runner(page, model)(images)
    assert (found.digits == wanted.digits).all()
    assert np.abs(found.outputs - wanted.outputs).max() <= 3e-5, str(model.graph)


def test_page_without_node_is_checked_by_its_twin_and_says_so(data_file, monkeypatch):
    monkeypatch.setattr(to_html, "find_node", lambda: None)
    exported = export(nets.CNN(1), "html", "page.html", data=data_file)
    assert exported.comparisons["the page's twin in Python"].changed == 0
    assert "its JavaScript was not run" in exported.remarks[0]
    assert "the page's twin in Python" in exported.paths[0].read_text("utf-8")


def test_page_in_int8_is_below_100_kb(data_file):
    exported = export(nets.CNN(10), "html", "page.html", int8=True, data=data_file)
    assert exported.size < 100_000
    assert all(comparison.changed <= 1 for comparison in exported.comparisons.values())
    assert exported.remarks[0].startswith("CNN: ")


def test_page_is_one_file_without_addresses_and_below_300_kb(data_file):
    exported = export(nets.CNN(10), "html", "deep/page.html", data=data_file)
    assert exported.size < 300_000
    page = exported.paths[0].read_text("utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert "import " not in page.split('id="program"')[1]
    assert len(exported.comparisons) == 1


def test_names_cannot_end_the_data_of_a_page():
    model = load_model(type("</script><b>", (nets.FC,), {})())
    page = to_html.html_page([model])
    data = page.split(' id="models">')[1].split("</script>")[0]
    assert json.loads(data)[0]["name"] == "</script><b>"


def test_several_nets_are_written_to_one_page_and_verified_each(data_file):
    exported = export(nets.CNN(10), "html", "page.html", beside=[nets.FC()], data=data_file)
    page = exported.paths[0].read_text("utf-8")
    data = json.loads(page.split(' id="models">')[1].split("</script>")[0])
    assert [one["name"] for one in data] == ["CNN", "FC"]
    assert len(exported.comparisons) in (0, 2)
    with pytest.raises(UserError, match="several nets must be used with html, got onnx"):
        export(nets.CNN(10), "onnx", "x.onnx", beside=[nets.FC()], data=data_file)


def test_raw_pages_are_refused(data_file):
    with pytest.raises(UserError, match="raw must be used with onnx or paddle"):
        export(nets.FC(), "html", "page.html", raw=True, data=data_file)


@pytest.fixture(scope="module")
def browser():
    yield from chromium.start_chromium()


def opened(browser, models):
    """Return a page in the browser, offline, that was opened from a file, and the list of its complaints."""
    Path("page.html").write_text(to_html.html_page(models), "utf-8")
    context = browser.new_context(offline=True)
    complaints = chromium.watch(context, ("file:", "blob:"))
    page = context.new_page()
    page.goto(Path("page.html").absolute().as_uri())
    return page, complaints


def test_nets_in_chromium_give_the_answers_of_python(browser):
    images = open_dataset("sample").eval.images
    models = [load_model(nets.CNN(10)), load_model(nets.FC())]
    page, complaints = opened(browser, models)
    found = page.evaluate(
        """(text) => {
            const all = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
            return paddleMnist.models.map(({ run }) => Array.from({ length: all.length / 784 }, (_, i) => {
                const { digit, outputs } = run(all.subarray(784 * i, 784 * (i + 1)));
                return [digit, ...outputs];
            }));
        }""",
        base64.b64encode(images.tobytes()).decode(),
    )
    for model, rows in zip(models, found, strict=True):
        rows, wanted = np.array(rows), model.raw_outputs(np.ascontiguousarray(images))
        assert (rows[:, 0] == predicted_digits(wanted)).all()
        assert np.abs(rows[:, 1:] - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert complaints == []


def test_pad_takes_mouse_finger_and_keyboard(browser):
    model = load_model(nets.CNN(10))
    page, complaints = opened(browser, [model, load_model(nets.FC())])
    assert page.locator("output").all_text_contents() == ["–", "–"]
    box = page.locator("#pad").bounding_box()

    def at(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def answers_as_in_python():
        page.wait_for_selector("body:not([data-digits=''])")
        gray = np.array(page.evaluate("[...paddleMnist.pad.picture().gray]"), np.uint8).reshape(PICTURE, PICTURE)
        digit = int(predicted_digits(model.raw_outputs(prepared_in_python(gray)[np.newaxis]))[0])
        assert page.locator("output").all_text_contents()[0] == str(digit)

    def clear():
        page.click("#clear")
        page.wait_for_selector("body[data-digits='']")

    page.mouse.move(*at(0.3, 0.2))
    page.mouse.down()
    page.mouse.move(*at(0.7, 0.2), steps=4)
    page.mouse.move(*at(0.4, 0.9), steps=4)
    page.mouse.up()
    answers_as_in_python()
    clear()
    for kind in ("pen", "touch"):
        page.evaluate(
            """([kind, points]) => {
                const pad = document.getElementById("pad");
                pad.setPointerCapture = () => {};
                const common = { pointerId: 7, pointerType: kind, button: 0 };
                points.forEach(([clientX, clientY], i) => pad.dispatchEvent(
                    new PointerEvent(i ? "pointermove" : "pointerdown", { ...common, clientX, clientY })));
                pad.dispatchEvent(new PointerEvent("pointerup", { pointerId: 7 }));
            }""",
            [kind, [at(0.5, 0.2), at(0.45, 0.5), at(0.5, 0.8)]],
        )
        answers_as_in_python()
        clear()
    page.focus("#pad")
    for key in [" ", *["ArrowDown"] * 6, *["ArrowRight"] * 4, " "]:
        page.keyboard.press(key)
    answers_as_in_python()
    page.keyboard.press("Delete")
    page.wait_for_selector("body[data-digits='']")
    assert complaints == []


def test_drawings_keep_their_answer_at_other_places_in_other_sizes_and_with_other_pens(browser, sample_run):
    page, complaints = opened(browser, [load_model(sample_run)])
    answers, _ = drawings.replay(page, [2, 4, 7])
    assert [row[0] for row in answers] == [2, 4, 7]
    kept = np.mean([[answer == row[0] for answer in row[1:]] for row in answers])
    assert kept >= 0.99
    assert complaints == []


def test_photos_are_answered_on_the_page(browser):
    model = load_model(nets.CNN(10))
    page, complaints = opened(browser, [model])
    photo = Image.new("L", (300, 400), 220)
    ImageDraw.Draw(photo).line([(100, 100), (200, 100), (140, 320)], fill=30, width=20)
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    page.set_input_files("#file", {"name": "photo.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_selector("body:not([data-digits=''])")
    digit = prepared_in_python(np.asarray(photo))
    assert page.locator("output").text_content() == str(predicted_digits(model.raw_outputs(digit[np.newaxis]))[0])
    page.click("#clear")
    page.wait_for_selector("body[data-digits='']")
    assert complaints == []
