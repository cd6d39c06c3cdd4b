"""How well does the bundled reader read digits by other people, corrupted digits, and pages without a digit?

    python benchmarks/strangers.py --against work/runs/cnn-classify

None of these pictures was used to train the reader. Early results on them did show which changes of the training
pictures were still missing (denser specks, paler ink, stronger blur, outlines, inverted borders), so they are no
independent test of the reader:

    test        MNIST's test digits
    usps        zip.test.gz and zip.train.gz: 16×16, from envelopes of the U.S. Postal Service
    semeion     semeion.data: 16×16 in black and white, by some 80 people in Italy
    corrupted   the test digits under the fifteen corruptions of MNIST-C (``_corruptions.py``), seed 0
    no digit    letters, words, scribbles and empty pages (``_no_digits.py``)

The files of USPS and Semeion are not part of this repository. Put them into ``--folder`` (default ``work/strangers``):
the first two from the folder data/zipcode of the GitHub repository
dgkim5360/the-elements-of-statistical-learning-notebooks, the third from iamb2/Semion-Digits. Without them the other
kinds are measured.

Each picture of a digit is given to ``recognize`` with ``kind="digit"``, as ``predict --digit`` does; digits of 16×16
fill their picture, so that they get a margin of eight pixels. A page without a digit is given to ``recognize`` as it
is. Printed are the share read correctly, the count of sure answers that are wrong (probability at least 0.9), and the
expected calibration error in 15 bins. ``--against`` measures another net in the same way, and on corrupted digits also
without any preparation, as MNIST-C's authors do. Figures go to ``results/strangers.json``, the reliability diagram to
``strangers.png``. Takes ten minutes of processor time.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

import numpy as np
from _corruptions import CORRUPTIONS, corrupted
from _measure import RESULTS, save
from _no_digits import KINDS, page_without_digit

from paddle_mnist.dataset import open_dataset, work_folder
from paddle_mnist.errors import UserError
from paddle_mnist.pictures.reader import Predictor, averaged_reader
from paddle_mnist.pictures.recognize import SURE, recognize
from paddle_mnist.predict import load_predictor

MARGIN = 8  # pixels around a digit of 16×16
BINS = 15
Answers = tuple[np.ndarray, np.ndarray]  # for each picture whether the answer is right, and its probability


def main() -> int:
    parser = argparse.ArgumentParser(description="Read other people's digits, corrupted digits, and no digits.")
    parser.add_argument("--folder", type=Path, help="where the files of USPS and Semeion are (work/strangers)")
    parser.add_argument("--against", metavar="RUN_OR_FILE", help="another net to compare with: cnn-classify")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    parser.add_argument("--count", type=int, help="digits of each set, at most (all; of each corruption 1,000)")
    args = parser.parse_args()
    test = open_dataset(args.data, log=print).eval
    images, labels = np.array(test.images), np.array(test.labels)
    sets = {"test": (images, labels), **strangers(args.folder or work_folder() / "strangers")}
    count = args.count or 1000
    sets |= {name: (corrupted(images[:count], name, 0), labels[:count]) for name in CORRUPTIONS}
    sets = {name: (pictures[: args.count], true[: args.count]) for name, (pictures, true) in sets.items()}
    figures, answers = measure(averaged_reader, sets)
    result = {"seed": 0, "digits of each corruption": count, "reader": figures}
    if args.against:
        other = load_predictor(args.against)
        result["against"], _ = measure(other, sets)
        raw = {name: 1 - float((other(sets[name][0]).digits == sets[name][1]).mean()) for name in CORRUPTIONS}
        result["against"]["corrupted, not prepared"] = {"mean error": float(np.mean(list(raw.values()))), **raw}
        report("corrupted, not prepared", result["against"]["corrupted, not prepared"])
    result["no digit"] = without_digits(300)
    for kind, counts in result["no digit"].items():
        report(kind, counts)
    save("strangers", result)
    draw(answers, RESULTS / "strangers.png")
    return 0


def strangers(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the images and labels of each set whose file is in a folder; say which file is missing."""
    found = {}
    for name, file, read in (
        ("usps test", "zip.test.gz", usps),
        ("usps train", "zip.train.gz", usps),
        ("semeion", "semeion.data", semeion),
    ):
        if (folder / file).is_file():
            found[name] = read(folder / file)
        else:
            print(f"{name} is not measured: {folder / file} does not exist; the docstring says where to get it")
    return found


def usps(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a file of USPS: on each line the digit and 256 levels from -1 to 1. Returns uint8 [n, 16, 16] and [n]."""
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, dtype=np.float32)
    return np.rint(127.5 * (rows[:, 1:] + 1)).astype(np.uint8).reshape(-1, 16, 16), rows[:, 0].astype(int)


def semeion(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read Semeion: for each digit 256 pixels, ten labels of which one is 1, and in this copy another number."""
    rows = np.array(path.read_text().split(), np.float32).reshape(-1, 267)
    return (255 * rows[:, :256]).astype(np.uint8).reshape(-1, 16, 16), rows[:, 256:266].argmax(axis=1)


def measure(predictor: Predictor, sets: dict) -> tuple[dict, dict[str, Answers]]:
    """Read every picture of every set; return the figures, and the answers of all corruptions together."""
    figures, answers = {}, {}
    for name, (images, labels) in sets.items():
        answers[name] = read_all(predictor, images, labels)
        figures[name] = summary(*answers[name])
        report(name, figures[name])
    parts = [answers.pop(name) for name in CORRUPTIONS]
    answers["corrupted"] = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    figures["corrupted"] = summary(*answers["corrupted"])
    report("corrupted", figures["corrupted"])
    return figures, answers


def read_all(predictor: Predictor, images: np.ndarray, labels: np.ndarray) -> Answers:
    """Read pictures of one digit each; one that is refused counts as wrong, with probability 0."""
    right, probability = np.zeros(len(images), bool), np.zeros(len(images))
    for index, image in enumerate(images):
        try:
            picture = image if len(image) == 28 else np.pad(image, MARGIN)
            (digit,) = recognize(picture, "digit", predictor).digits
        except UserError:
            continue
        right[index], probability[index] = digit.digit == labels[index], digit.probability
    return right, probability


def summary(right: np.ndarray, probability: np.ndarray) -> dict:
    """Return the figures of a set."""
    return {
        "pictures": len(right),
        "read correctly": float(right.mean()),
        "sure": float((probability >= SURE).mean()),
        "sure but wrong": int(((probability >= SURE) & ~right).sum()),
        "calibration error": calibration_error(right, probability),
    }


def calibration_error(right: np.ndarray, probability: np.ndarray) -> float:
    """Return the expected calibration error: the mean gap between probability and accuracy over bins of both."""
    bins = np.minimum((BINS * probability).astype(int), BINS - 1)
    gaps = [abs((right[bins == b].astype(float) - probability[bins == b]).sum()) for b in range(BINS)]
    return float(sum(gaps) / len(right))


def without_digits(count: int) -> dict:
    """Read pages without a digit; return for each kind how many are sure digits."""
    result = {}
    for kind in KINDS:
        rng = np.random.default_rng([0, KINDS.index(kind)])
        sure = refused = 0
        for _ in range(count):
            try:
                found = recognize(page_without_digit(kind, rng))
            except UserError:
                refused += 1
                continue
            sure += found.sure
        result[kind] = {"pages": count, "refused as without ink": refused, "sure digits": sure}
    total = sum(counts["sure digits"] for counts in result.values())
    result["no digit"] = {"pages": count * len(KINDS), "sure digits": total, "share": total / count / len(KINDS)}
    return result


def report(name: str, figures: dict) -> None:
    """Print the figures of a set on one line."""
    shown = [f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items()]
    print(f"{name}: {', '.join(shown)}", flush=True)


def draw(answers: dict[str, Answers], path: Path) -> None:
    """Draw the reliability diagram: accuracy against probability, for the sets of digits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    for name, (right, probability) in answers.items():
        bins = np.minimum((BINS * probability).astype(int), BINS - 1)
        kept = [b for b in range(BINS) if (bins == b).sum() >= 20]
        x, y = ([values[bins == b].mean() for b in kept] for values in (probability, right))
        axes.plot(x, y, marker="o", markersize=4, label=f"{name}: error {calibration_error(right, probability):.1%}")
    axes.set(xlabel="probability of the answer", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Reliability of the bundled reader, bins of at least 20 digits")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
