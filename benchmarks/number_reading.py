"""Read synthetic pages of numbers, and count what is found and read.

    python benchmarks/number_reading.py

The bundled reader reads, or what ``--model`` names. Pages are composed from test digits, on which it was not trained;
``--pages`` of each kind: digits apart, one touching pair, pairs as the data set TDTS has them (``tdts_pair``), and
pages as a phone would photograph them (``synthetic.phone_page``). A box is found if it and the true one share at least
half of their union. A page is read whole if all its lines are there, every digit of them is right and there is none too
many; it is read for sure if the reader says so. Figures go to ``benchmarks/results/number_reading.json``, and
``number_reading.png`` shows the first pages with what was found and read: green where the whole page is right. With 300
pages it takes ten minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.pictures.picture import from_pixels
from paddle_mnist.pictures.reader import Predictor
from paddle_mnist.pictures.recognize import Recognition, recognize
from paddle_mnist.pictures.synthetic import PHONE_KINDS, SyntheticPage, phone_page, synthetic_page
from paddle_mnist.predict import load_predictor
from paddle_mnist.storage.files import atomic_write

RESULTS = Path(__file__).parent / "results"
SHOWN = 6  # pages of each kind


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how numbers are read on synthetic pages.")
    parser.add_argument("--model", help="a run folder or a file of weights (the bundled reader)")
    parser.add_argument("--pages", type=int, default=300, help="pages of each kind (300)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the pages (0)")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    args = parser.parse_args()
    cpu.tune()
    predictor = load_predictor(args.model)
    digits = open_dataset(args.data, log=print).eval
    images, labels = np.array(digits.images), np.array(digits.labels)
    single = float((predictor(images).digits == labels).mean())
    figures: dict = {"single digits read": single}
    shown = []
    for kind in ("digits apart", "one pair touches", "TDTS pairs", *PHONE_KINDS):
        rng = np.random.default_rng(args.seed)
        pages = [make(kind, images, labels, rng) for _ in range(args.pages)]
        figures[kind] = measure(pages, predictor, single)
        print(kind, json.dumps(figures[kind]), flush=True)
        shown.append(pages[:SHOWN])
    phone = [figures[kind]["pages read whole"] for kind in PHONE_KINDS]
    allowed = [figures[kind]["pages that single digits would allow"] for kind in PHONE_KINDS]
    figures["phone pages"] = {"pages read whole": float(np.mean(phone)), "allowed": float(np.mean(allowed))}
    print(json.dumps(figures, indent=2))
    with atomic_write(RESULTS / "number_reading.json", "w") as file:
        json.dump({"pages": args.pages, "seed": args.seed, **figures}, file, indent=2)
        file.write("\n")
    draw(shown, predictor, RESULTS / "number_reading.png")
    return 0


def tdts_pair(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> SyntheticPage:
    """Return two digits that touch, as the data set TDTS is made, with noise, on a margin of eight pixels.

    A field 40 wide and 32 high: the left digit's inner 20×20 at (0, 6), the right one's at x 14 to 19 and y 0 to 11,
    merged by the maximum; 20 to 120 pixels of noise from 12 to 255.
    """
    chosen = rng.integers(0, len(labels), 2)
    places = (0, 6), (int(rng.integers(14, 20)), int(rng.integers(0, 12)))
    field, masks, boxes = np.zeros((48, 56), np.uint8), np.zeros((2, 48, 56), bool), []
    for mask, index, (x, y) in zip(masks, chosen, places, strict=True):
        here = field[8 + y : 28 + y, 8 + x : 28 + x]
        np.maximum(here, images[index, 4:24, 4:24], out=here)
        mask[8 + y : 28 + y, 8 + x : 28 + x] = images[index, 4:24, 4:24] > 90
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    count = int(rng.integers(20, 121))
    y, x = rng.integers(8, 40, count), rng.integers(8, 48, count)
    field[y, x] = rng.integers(12, 256, count)
    return SyntheticPage(field, (int(labels[chosen[0]]), int(labels[chosen[1]])), tuple(boxes), masks, (0, 0))


def make(kind: str, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> SyntheticPage:
    """Return a page of some kind."""
    if kind == "TDTS pairs":
        return tdts_pair(images, labels, rng)
    if kind in PHONE_KINDS:
        return phone_page(images, labels, rng, kind)
    return synthetic_page(images, labels, rng, touching=kind == "one pair touches")


def read_page(page: SyntheticPage, predictor: Predictor) -> Recognition:
    """Read a page; nothing is found on one that is refused."""
    try:
        return recognize(from_pixels(page.image), predictor=predictor)
    except UserError:
        return Recognition(())


def measure(pages: list[SyntheticPage], predictor: Predictor, single: float) -> dict:
    """Read every page and count."""
    boxes = found = read_right = whole = extra = sure = sure_wrong = 0
    began = time.thread_time()
    for page in pages:
        seen = read_page(page, predictor)
        pairs = match(page.boxes, [digit.box for digit in seen.digits])
        boxes += len(page.boxes)
        found += len(pairs)
        extra += len(seen.digits) - len(pairs)
        read_right += sum(seen.digits[theirs].digit == page.labels[ours] for ours, theirs in pairs)
        whole += seen.text == page.text
        sure += seen.sure
        sure_wrong += seen.sure and seen.text != page.text
    return {
        "boxes found": found / boxes,
        "boxes without a digit": extra / boxes,
        "digits read": read_right / boxes,
        "pages read whole": whole / len(pages),
        "pages that single digits would allow": float(np.mean([single ** len(page.labels) for page in pages])),
        "pages read for sure": sure / len(pages),
        "pages read for sure but wrong": sure_wrong,
        "ms of processor time a page": 1000 * (time.thread_time() - began) / len(pages),
    }


def draw(columns: list[list[SyntheticPage]], predictor: Predictor, path: Path) -> None:
    """Draw pages, those of a kind below each other, with the boxes found and what was read."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(4.2 * len(columns), 1.25 * SHOWN), layout="constrained")
    for row in zip(figure.subplots(SHOWN, len(columns)), *columns, strict=True):
        for axes, page in zip(row[0], row[1:], strict=True):
            seen = read_page(page, predictor)
            axes.imshow(page.image, cmap="gray", vmin=0, vmax=255)
            for digit in seen.digits:
                left, top, right, bottom = digit.box
                axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="tab:orange"))
            right = seen.text == page.text
            axes.set_title(seen.text.replace("\n", " / "), color="tab:green" if right else "tab:red", fontsize=9)
            axes.set_axis_off()
    figure.savefig(path, dpi=60)


def match(true, found) -> list[tuple[int, int]]:
    """Pair true boxes with found ones, each at most once, that share at least half of their union."""
    pairs, left = [], set(range(len(found)))
    for index, box in enumerate(true):
        best = max(left, key=lambda other: overlap(box, found[other]), default=None)
        if best is not None and overlap(box, found[best]) >= 0.5:
            pairs.append((index, best))
            left.remove(best)
    return pairs


def overlap(a, b) -> float:
    """Return the intersection of two boxes over their union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


if __name__ == "__main__":
    sys.exit(main())
