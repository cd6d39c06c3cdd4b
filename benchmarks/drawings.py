"""How fast does an exported page answer a drawing, and does it answer the same wherever and however it is drawn?

    python benchmarks/drawings.py work/runs/cnn-classify

Exports the run as a page, opens it in Chromium, and replays ten digits at nine places, in three sizes, with two pens:
540 drawings. Prints the share that keep the answer given in the middle, and the milliseconds from a stroke to its
answer. Takes half a minute. Needs Chromium and the package playwright. Figures go to
``benchmarks/results/drawings.json``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from _measure import machine, save

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import chromium
import drawings

WARM_UP = 54  # drawings that are not timed: until then the browser compiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN_OR_FILE", help="a trained net that classifies")
    args = parser.parse_args()

    from paddle_mnist.exports.model import load_model
    from paddle_mnist.exports.to_html import html_page

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(html_page([load_model(args.run)]), "utf-8")
        answers, times = replayed(page)
    kept = float(np.mean([[answer == row[0] for answer in row[1:]] for row in answers]))
    median, late = (round(float(value), 1) for value in np.percentile(times[WARM_UP:], [50, 95]))
    print(f"in the middle: {[row[0] for row in answers]}")
    print(f"{kept:.1%} of {len(answers) * (len(answers[0]) - 1)} drawings keep their answer")
    print(f"an answer takes {median} ms, 95th percentile {late} ms")
    print(save("drawings", {"machine": machine(), "kept": kept, "median_ms": median, "95th_percentile_ms": late}))


def replayed(path: Path) -> tuple[list[list[int]], list[float]]:
    """Return the answers and times of ``drawings.replay`` on a page."""
    found: tuple[list[list[int]], list[float]] = ([], [])
    for browser in chromium.start_chromium():
        page = browser.new_context(offline=True).new_page()
        page.goto(path.as_uri())
        found = drawings.replay(page, list(range(10)))
    return found


if __name__ == "__main__":
    main()
