"""Take pictures of the playground: python tools/screenshots.py FOLDER [--docs] [--address http://127.0.0.1:8765/].

Starts the playground on the runs in ``work/runs`` unless an address is given, draws a digit, and opens every tab at
three widths, in light and dark colours. Needs Chromium and playwright. ``--docs`` also writes the two pictures of the
README.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

WIDTHS = {1440: 900, 820: 1180, 360: 740}  # and the heights that go with them
SCHEMES = ("light", "dark")
TABS = {
    "answers": "#answers .best",
    "inside": ".neighbours li:nth-child(10)",
    "train": "#loss-chart .dot",
    "runs": "#confusion-table button",
}
THREE = [
    (0.3, 0.22),
    (0.45, 0.15),
    (0.66, 0.24),
    (0.62, 0.42),
    (0.46, 0.48),
    (0.68, 0.6),
    (0.66, 0.8),
    (0.42, 0.86),
    (0.27, 0.76),
]
RUN = "cnn-classify"  # looked into and shown as it trained, if there is one
SELECTS = {"inside": "#inside-net", "train": "#shown-run"}
DOCS = Path(__file__).parents[1] / "docs"
IN_README = {"play-inside.png": "inside-1440-light.png", "play-train.png": "train-1440-dark.png"}
MAX_BYTES = 200_000


def main() -> None:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Take pictures of the playground.")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--docs", action="store_true", help="also write the two pictures of the README")
    parser.add_argument("--address", help="of a playground that runs already")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        address = args.address or stack.enter_context(playground())
        browser = stack.enter_context(chromium())
        for width, height in WIDTHS.items():
            for scheme in SCHEMES:
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                take(context.new_page(), address, args.folder, f"{width}-{scheme}", whole=width < 1000)
                context.close()
    if args.docs:
        for name, source in IN_README.items():
            compress(args.folder / source, DOCS / name)


@contextlib.contextmanager
def playground() -> Iterator[str]:
    """Start the playground and yield its address."""
    command = [sys.executable, "-m", "paddle_mnist.play", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the playground did not start")
        try:
            yield found[0]
        finally:
            process.terminate()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium and yield it."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("Chromium was not found: install it and add it to PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def take(page: Any, address: str, folder: Path, suffix: str, whole: bool) -> None:
    """Draw a three and take a picture of every tab; ``whole`` takes what lies below the window as well."""
    page.goto(address)
    page.wait_for_selector("#answers output")
    box = page.locator("#pad").bounding_box()
    for i, (x, y) in enumerate(THREE):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=6)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    for tab, ready in TABS.items():
        page.click(f"#tab-{tab}")
        page.wait_for_selector(ready)
        if tab in SELECTS and page.locator(f"{SELECTS[tab]} option:text-is('{RUN}')").count():
            page.select_option(SELECTS[tab], label=RUN)
            page.wait_for_selector(ready)
        page.wait_for_timeout(1500)
        page.screenshot(path=folder / f"{tab}-{suffix}.png", full_page=whole)


def compress(source: Path, target: Path) -> None:
    """Write a picture with as many colours as keep it under ``MAX_BYTES``."""
    picture = Image.open(source).convert("RGB")
    for colours in (None, 256, 128, 64):
        reduced = picture.quantize(colours, dither=Image.Dither.NONE) if colours else picture
        reduced.save(target, optimize=True)
        if target.stat().st_size < MAX_BYTES:
            return
    raise SystemExit(f"{target} must be smaller than {MAX_BYTES:,} bytes, got {target.stat().st_size:,}")


if __name__ == "__main__":
    main()
