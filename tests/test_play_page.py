"""The page of the playground, in a real browser: draw, look inside, train, lose the server and find it again."""

from __future__ import annotations

import base64
import io
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import chromium
import numpy as np
import pytest
from PIL import Image, ImageDraw

from paddle_mnist.exports.model import Model, load_model
from paddle_mnist.metrics import predicted_digits
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs.session import RunOptions, train

SEVEN = [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]  # in shares of the pad
START_SECONDS = 60
PATIENCE = 90  # seconds, for a machine that is busy with other tests


class Server:
    """``python -m paddle_mnist.play`` in a folder; it can be stopped and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "paddle_mnist.play", "--no-browser", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert self.address.rstrip("/") in line, line + self.process.stdout.read()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=START_SECONDS)
        assert "Traceback" not in output, output


class Place(NamedTuple):
    """What the tests share.

    Attributes:
        server: running.
        models: the nets of its runs by name.
        browser: Chromium.
    """

    server: Server
    models: dict[str, Model]
    browser: Any


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, written_digits: Path) -> Iterator[Place]:
    browsers = chromium.start_chromium()
    browser = next(browsers)
    folder = tmp_path_factory.mktemp("playground")
    (folder / "work" / "runs").mkdir(parents=True)
    models = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PADDLE_MNIST_DATA", str(written_digits))
        patch.setenv("PADDLE_MNIST_OFFLINE", "1")
        patch.chdir(folder)
        for net, task in (("cnn", "classify"), ("fc", "regress")):
            settings = settings_for(net, task, epochs=2, batch_size=50)
            run = train(settings, out=f"work/runs/{net}", options=RunOptions(quiet=True))
            models[net] = load_model(run.path)
        server = Server(folder)
        server.start()
        yield Place(server, models, browser)
        server.stop()
    next(browsers, None)


class Visit:
    """A page that is open, with the gestures of a reader."""

    def __init__(self, place: Place, fragment: str = "", **options: Any) -> None:
        self.place = place
        self.context = place.browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.context.set_default_timeout(1000 * PATIENCE)
        self.complaints = chromium.watch(self.context, (place.server.address, "blob:", "data:"))
        self.page = self.context.new_page()
        self.page.goto(f"{place.server.address}{fragment}")
        self.page.wait_for_selector("#answers output", state="attached")

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator("#pad").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def draw(self, *points: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=4)
        mouse.up()

    def digit(self) -> np.ndarray:
        """Return the picture that the nets got, as the button saves it."""
        self.page.evaluate("new Promise(requestAnimationFrame)")  # what was drawn last is seen with the next frame
        with self.page.expect_download() as download:
            self.page.click("#save-digit")
        return np.asarray(Image.open(download.value.path()).convert("L"))

    def shown(self) -> dict[str, str]:
        """Return the digit on each card, by the name of its net."""
        return dict(
            self.page.evaluate(
                """[...document.querySelectorAll("#answers .answer")]
                    .filter((card) => card.offsetParent !== null && card.querySelector("output"))
                    .map((card) => [card.querySelector("h2").textContent, card.querySelector("output").textContent])"""
            )
        )

    def wait_until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"still shown: {self.shown()}"
            self.page.wait_for_timeout(30)

    def until(self, expression: str, argument: Any = None) -> None:
        """Wait until an expression of JavaScript holds; playwright's own wait needs eval, which the page forbids."""
        self.wait_until(lambda: self.page.evaluate(expression, argument))

    def wait_for_answers(self) -> None:
        self.wait_until(lambda: all(self.shown().get(name, "–") != "–" for name in self.place.models))

    def wait_for_blank(self) -> None:
        self.wait_until(lambda: set(self.shown().values()) == {"–"})

    def assert_answers_of_python(self) -> None:
        self.wait_for_answers()
        digit = self.digit()[np.newaxis]
        wanted = {name: str(predicted_digits(model.raw_outputs(digit))[0]) for name, model in self.place.models.items()}
        self.wait_until(lambda: wanted.items() <= self.shown().items())

    def look_inside(self, net: str) -> None:
        self.page.click("#tab-inside")
        self.page.select_option("#inside-net", net)
        self.page.wait_for_selector("#layers:not([inert])")

    def start_over(self) -> None:
        """Show what the page shows at first, without loading it again."""
        self.page.set_viewport_size({"width": 1280, "height": 800})
        self.page.emulate_media(color_scheme="null", reduced_motion="null")
        self.page.evaluate(
            """() => {
                history.replaceState(null, "", location.pathname);
                dispatchEvent(new HashChangeEvent("hashchange")); // at once, before the page writes an address again
                document.activeElement.blur();
                scrollTo(0, 0);
            }"""
        )
        self.page.wait_for_selector("#tab-answers[aria-selected=true]")
        self.wait_for_blank()

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture(scope="module")
def open_page(place: Place) -> Iterator[Visit]:
    visit = Visit(place)
    yield visit
    visit.close()


@pytest.fixture
def visit(open_page: Visit) -> Iterator[Visit]:
    """Return a page as it is at first; loading it for each test would take longer than most of them."""
    open_page.start_over()
    yield open_page
    complaints = [*open_page.complaints]
    open_page.complaints.clear()
    assert complaints == []


@pytest.fixture
def fresh_visit(place: Place) -> Iterator[Visit]:
    visit = Visit(place)
    yield visit
    visit.close()


def test_drawings_by_mouse_and_keyboard_get_the_answers_of_python(visit):
    visit.draw(*SEVEN)
    visit.assert_answers_of_python()
    visit.page.click("#clear")
    visit.wait_for_blank()
    visit.page.focus("#pad")
    for key in [" ", *["ArrowDown"] * 6, *["ArrowRight"] * 4, " "]:
        visit.page.keyboard.press(key)
    visit.assert_answers_of_python()
    visit.page.keyboard.press("Control+z")
    visit.wait_for_blank()


def test_drawings_by_finger_do_not_scroll_the_page(place):
    visit = Visit(place, viewport={"width": 360, "height": 500}, has_touch=True, is_mobile=True)
    touch = visit.context.new_cdp_session(visit.page)
    for kind, points in [
        ("touchStart", [(0.5, 0.8)]),
        *(("touchMove", [(0.5, y / 10)]) for y in range(7, 1, -1)),
        ("touchEnd", []),
    ]:
        spots = [dict(zip("xy", visit.at(*point), strict=True)) for point in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})
    visit.wait_for_answers()
    assert visit.page.evaluate("scrollY") == 0
    visit.assert_answers_of_python()
    visit.close()


def test_cleared_pads_show_no_late_answer(visit):
    def slow(route):
        time.sleep(0.4)
        route.continue_()

    visit.page.route("**/api/answers*", slow)
    visit.draw(*SEVEN)
    visit.wait_for_answers()
    visit.page.click("#clear")
    visit.wait_for_blank()
    visit.page.wait_for_timeout(1000)
    assert set(visit.shown().values()) == {"–"}
    visit.page.unroute("**/api/answers*")


def test_addresses_restore_the_page(visit, place):
    visit.draw(*SEVEN)
    visit.look_inside("run:cnn")
    conv1 = visit.page.get_by_role("application", name=re.compile("^conv1"))
    conv1.focus()
    for key in ("Home", "PageDown", "ArrowDown", "ArrowRight"):
        conv1.press(key)
    unit = "conv1, map 1, row 1, column 1"
    visit.page.wait_for_selector(f"#unit h2:has-text('{unit}')")
    visit.until("location.hash.includes('drawing=')")
    value, digit = visit.page.locator("#unit output").text_content(), visit.digit()
    other = Visit(place, visit.page.url.split("/")[-1])
    other.page.wait_for_selector(f"#unit h2:has-text('{unit}')")
    other.until("(value) => document.querySelector('#unit output').textContent === value", value)
    assert (other.digit() == digit).all()
    other.page.reload()
    other.page.wait_for_selector(f"#unit h2:has-text('{unit}')")
    other.close()


def test_units_are_the_sums_that_are_written_out(visit, place):
    visit.draw(*SEVEN)
    digit = visit.digit()
    visit.look_inside("run:cnn")
    conv1 = visit.page.get_by_role("application", name=re.compile("^conv1"))
    conv1.click(position={"x": 30, "y": 30})
    visit.page.wait_for_selector("#unit h2:has-text('conv1, map')")
    weights = place.models["cnn"].weights

    def is_its_sum() -> bool:
        name, value = visit.page.evaluate(
            "['h2', 'output'].map((tag) => document.querySelector(`#unit ${tag}`).textContent)"
        )
        channel, row, column = map(int, re.findall(r"\d+", name)[1:])
        window = np.pad(digit / np.float32(255), 2)[row : row + 5, column : column + 5]
        wanted = float((window * weights["conv1.weight"][channel, 0]).sum() + weights["conv1.bias"][channel])
        return float(value.replace("−", "-")) == pytest.approx(wanted, rel=0.01, abs=0.002)

    visit.wait_until(is_its_sum)
    visit.page.wait_for_selector("#influence canvas:visible")
    visit.page.wait_for_selector(".neighbours li:nth-child(10)")


def test_layers_of_a_net_are_not_clicked_after_another_is_chosen(visit):
    visit.look_inside("run:cnn")
    is_inert = visit.page.evaluate(
        """() => {
            const select = document.getElementById("inside-net");
            select.value = "run:fc";
            select.dispatchEvent(new Event("change"));
            return document.getElementById("layers").inert;
        }"""
    )
    assert is_inert
    visit.page.wait_for_selector("#layers:not([inert]) [aria-label^='fc1']")


def test_nets_are_chosen_and_kept_in_the_address(fresh_visit):
    fresh_visit.draw(*SEVEN)
    fresh_visit.wait_for_answers()
    fresh_visit.page.click("#choose summary")
    box = fresh_visit.page.get_by_role("checkbox", name="fc", exact=True)
    box.focus()
    box.press("Space")
    fresh_visit.wait_until(lambda: "fc" not in fresh_visit.shown() and "cnn" in fresh_visit.shown())
    assert box.evaluate("(element) => element === document.activeElement")
    assert "nets=" in fresh_visit.page.url
    fresh_visit.page.reload()
    fresh_visit.wait_until(lambda: "cnn" in fresh_visit.shown())
    assert "fc" not in fresh_visit.shown()


def test_photos_and_test_digits_are_answered(visit):
    photo = Image.new("RGB", (400, 300), (225, 220, 210))
    ImageDraw.Draw(photo).line([(160, 60), (240, 60), (190, 240)], fill=(30, 30, 60), width=18)
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    visit.page.set_input_files("#file", {"name": "photo.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    visit.page.wait_for_selector("#boxes rect", state="attached")
    visit.assert_answers_of_python()
    visit.page.click("#clear")
    visit.wait_for_blank()
    visit.page.evaluate(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "photo.png", { type: "image/png" }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(buffer.getvalue()).decode(),
    )
    visit.assert_answers_of_python()
    visit.page.click("#digits")
    visit.page.select_option("#picker-label", "3")
    visit.page.click(".thumb[title^='3,']")
    visit.until("location.hash.includes('digit=eval-')")
    visit.assert_answers_of_python()


def test_numbers_show_boxes_and_readings(visit):
    visit.page.check("[name=mode][value=number]")
    for left in (0.1, 0.4, 0.7):
        visit.draw((left, 0.2), (left + 0.1, 0.2), (left + 0.04, 0.85))
    visit.page.wait_for_selector(".readings li:nth-child(3)")
    assert visit.page.locator("#boxes rect").count() == 3
    assert len(visit.shown()["cnn"]) == 3
    visit.until("location.hash.includes('drawing=')")
    visit.page.reload()
    visit.page.wait_for_selector(".readings li:nth-child(3)")
    visit.page.click(".readings li:nth-child(2) button")
    assert visit.page.locator(".readings [aria-pressed=true]").count() >= 1
    visit.page.click("#clear")
    visit.wait_for_blank()
    assert visit.page.locator("#boxes rect").count() == 0


def epochs_done(page: Any) -> int:
    return int(re.match(r"\d+", page.locator("#run-facts").text_content())[0])


def test_trainings_start_grow_stop_and_resume(visit):
    page = visit.page
    visit.draw(*SEVEN)
    page.click("#tab-train")
    page.wait_for_selector("#training")
    page.select_option("#field-net", "fc")
    page.select_option("#field-task", "classify")
    page.fill("#field-epochs", "5000")
    page.click("#training [type=submit]")
    page.wait_for_selector("#run-state[data-state=running]")
    page.wait_for_selector("#loss-chart .dot.series-1")
    visit.until("/\\d/.test(document.querySelector('#live-answer output')?.textContent)")
    before = page.locator("#run-facts").text_content()
    visit.until("(before) => document.getElementById('run-facts').textContent !== before", before)
    page.reload()
    page.wait_for_selector("#run-state[data-state=running]")
    page.click("#stop-run")
    page.wait_for_selector("#run-state[data-state=stopped]")
    done = epochs_done(page)
    assert 0 < done < 5000
    page.click("#resume-run")
    page.wait_for_selector("#run-state[data-state=running]")
    while epochs_done(page) <= done:
        page.wait_for_timeout(50)
    page.click("#stop-run")
    page.wait_for_selector("#run-state[data-state=stopped]")
    page.fill("#field-lr", "-1")
    page.click("#training [type=submit]")
    page.wait_for_selector("#form-error:has-text('lr')")
    visit.complaints[:] = [one for one in visit.complaints if "400" not in one]


def test_runs_are_compared(visit):
    visit.page.click("#tab-runs")
    visit.page.wait_for_selector("#compared-chart .dot")
    assert visit.page.locator("#settings-table tbody tr").count() >= 2
    visit.page.click("#confusion-table button >> nth=0")
    visit.page.wait_for_selector("#confusion .thumb")
    visit.page.click("#confusion .thumb >> nth=0")
    visit.until("location.hash.includes('digit=eval-')")


def test_lost_servers_are_found_again(visit, place):
    visit.draw(*SEVEN)
    visit.wait_for_answers()
    place.server.stop()
    visit.page.wait_for_selector("#connection:has-text('Connection lost')")
    visit.page.click("#clear")
    visit.draw((0.5, 0.2), (0.5, 0.8))
    visit.assert_answers_of_python()
    place.server.start()
    visit.page.wait_for_selector("#connection:has-text('Connected again')")
    visit.draw((0.5, 0.5), (0.6, 0.6))
    visit.assert_answers_of_python()
    lost = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
    visit.complaints[:] = [one for one in visit.complaints if not any(text in one for text in lost)]


def test_pages_can_be_kept(visit, place):
    visit.page.wait_for_selector("#keep:visible")
    with visit.page.expect_download() as download:
        visit.page.click("#keep")
    kept = Path("kept.html")
    download.value.save_as(kept)
    context = place.browser.new_context(offline=True)
    complaints = chromium.watch(context, ("file:",))
    page = context.new_page()
    page.goto(kept.absolute().as_uri())
    assert page.locator("#answers h2").count() >= 2
    context.close()
    assert complaints == []


def test_pages_fit_at_twice_their_size(visit):
    visit.page.set_viewport_size({"width": 640, "height": 400})  # what 1280 × 800 pixels show at 200 %
    for tab in ("inside", "train", "runs", "answers"):
        visit.page.click(f"#tab-{tab}")
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 640


def test_the_page_speaks_chinese(visit):
    visit.draw(*SEVEN)
    visit.until("location.hash.includes('drawing=')")
    visit.page.click("#language")
    visit.page.wait_for_selector("html[lang=zh-CN]")
    visit.wait_for_answers()
    assert visit.page.locator("#tab-inside").text_content() == "看内部"
    visit.page.click("#language")
    visit.page.wait_for_selector("html[lang=en]")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_tab_is_accessible(visit, width, scheme):
    try:
        import axe_playwright_python as axe
    except ImportError:
        chromium.skip("axe-core comes with axe-playwright-python, which is not installed")
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visit.draw(*SEVEN)
    visit.wait_for_answers()
    visit.page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text("utf-8"))
    for tab, ready in (
        ("answers", "#answers .best"),
        ("inside", ".neighbours li"),
        ("train", "#field-lr"),
        ("runs", "#confusion-table td"),
    ):
        visit.page.click(f"#tab-{tab}")
        visit.page.wait_for_selector(ready)
        found = visit.page.evaluate("axe.run({ resultTypes: ['violations'] })")
        violations = [(one["id"], one["nodes"][0]["target"]) for one in found["violations"]]
        assert violations == [], f"{tab}: {violations}"
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
