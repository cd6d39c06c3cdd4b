"""Read made-up pictures of numbers, and count what was found and read.

    python benchmarks/number_reading.py work/runs/cnn-classify

The run is a classifier (``train --net cnn --task classify``). Pages are composed from test digits, which it has not
learnt from; ``--pages`` of them where digits stand apart, and as many where one pair touches. A box is found right if
it and the true one share at least half of their union. The figures are printed and written as JSON.

"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.compose import compose
from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.files import atomic_write
from paddle_mnist.segment import split_digits

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how numbers are read in made-up pictures.")
    parser.add_argument("run", help="the run folder of a classifier")
    parser.add_argument("--pages", type=int, default=300, help="pages of each kind (300)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the pages (0)")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    parser.add_argument("--plain-cuts", action="store_true", help="cut without asking the classifier")
    args = parser.parse_args()
    cpu.tune()
    from paddle_mnist.predict import reader, scorer

    read = reader(args.run)
    digits = open_dataset(args.data, say=print).eval
    images, labels = np.array(digits.images), np.array(digits.labels)
    single = float((read(images).digits == labels).mean())
    score = None if args.plain_cuts else scorer(read)
    figures = {"single digits read": single}
    for touching in (False, True):
        rng = np.random.default_rng(args.seed)
        pages = [compose(images, labels, rng, touching) for _ in range(args.pages)]
        figures["one pair touches" if touching else "digits apart"] = measure(pages, read, score, single)
    print(json.dumps(figures, indent=2))
    with atomic_write(RESULTS / "number_reading.json", "w") as file:
        json.dump({"pages": args.pages, "seed": args.seed, "plain_cuts": args.plain_cuts, **figures}, file, indent=2)
    return 0


def measure(pages, read, score, single: float) -> dict:
    """Read every page and count."""
    boxes = found = read_right = whole = extra = 0
    began = time.perf_counter()
    for page in pages:
        try:
            digits = split_digits(page.image, score)
        except UserError:
            digits = []
        answers = read(np.stack([digit.image28 for digit in digits])).digits if digits else []
        pairs = match(page.boxes, [digit.box for digit in digits])
        boxes += len(page.boxes)
        found += len(pairs)
        extra += len(digits) - len(pairs)
        read_right += sum(answers[theirs] == page.labels[ours] for ours, theirs in pairs)
        whole += list(answers) == list(page.labels)
    return {
        "boxes found": found / boxes,
        "boxes that are none": extra / boxes,
        "digits read": read_right / boxes,
        "numbers read whole": whole / len(pages),
        "numbers that the classifier would read in single digits": float(
            np.mean([single ** len(page.labels) for page in pages])
        ),
        "ms a page": 1000 * (time.perf_counter() - began) / len(pages),
    }


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
