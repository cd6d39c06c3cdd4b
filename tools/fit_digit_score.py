"""Train the net that scores whether a component is one whole digit; write ``paddle_mnist/pictures/digit_score.npz``.

    python tools/fit_digit_score.py --data work/mnist.json.gz

Synthetic pages are composed from the training digits; on most of them one pair touches. Every component is taken whole
and cut as ``segment`` and ``touching`` do it, and the parts are shown to the net as ``digit_score.views`` draws them.
The target follows from the page: the overlap (intersection over union) of a part with the digit that it overlaps most.
From ``WHOLE`` on it is 1, below ``PART`` 0, and linear in between.

Takes half an hour on two cores. The same seed gives the same pages, and the same weights to rounding.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.pictures import digit_score
from paddle_mnist.pictures.components import INK, Component
from paddle_mnist.pictures.preprocess import find_ink
from paddle_mnist.pictures.segment import find_pieces
from paddle_mnist.pictures.synthetic import SyntheticPage, synthetic_page
from paddle_mnist.pictures.touching import find_cuts
from paddle_mnist.storage.files import atomic_write

PART, WHOLE = 0.65, 0.9
TOUCHING = 0.8  # of the pages have a pair that touches
RIGHT_CUTS, ANY_CUTS = 4, 10  # of each piece, where it has so many
PAGES_AT_ONCE = 100
BATCH = 256
FILTERS, HIDDEN = (12, 24), 64


def overlap(part: Component, page: SyntheticPage) -> float:
    """Return the largest intersection over union of a component with the page's digits."""
    common = page.masks[:, part.y, part.x].sum(axis=1)
    return float((common / (page.masks.sum(axis=(1, 2)) + len(part.y) - common)).max())


def examples(data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compose pages; return views of what is on them, uint8 [n, 2, 28, 28], and each one's overlap, float32 [n]."""
    train = open_dataset(data).train
    rng = np.random.default_rng(seed)
    seen, shares = [], []
    for _ in range(PAGES_AT_ONCE):
        page = synthetic_page(train.images, train.labels, rng, bool(rng.random() < TOUCHING))
        ink = find_ink(page.image)
        try:
            lines, slant, height = find_pieces(ink)
        except UserError:  # too small, or all noise
            continue
        parts = [part for line in lines for piece in line for part in candidates(piece, page, slant, height, rng)]
        seen.append(digit_score.views(parts, ink > INK, height))
        shares += [overlap(part, page) for part in parts]
    return np.concatenate(seen), np.array(shares, np.float32)


def candidates(
    piece: Component, page: SyntheticPage, slant: float, height: float, rng: np.random.Generator
) -> list[Component]:
    """Return a component and the parts of some of its cuts, right ones among them where there are any."""
    cuts = find_cuts(piece, slant, height)
    right = [cut for cut in cuts if min(overlap(part, page) for part in cut) > 0.8][:RIGHT_CUTS]
    chosen = right + [cuts[i] for i in rng.permutation(len(cuts))[:ANY_CUTS]]
    return [piece, *(part for cut in chosen for part in cut)]


def fit(views: np.ndarray, shares: np.ndarray, held_back: int, epochs: int, seed: int) -> dict[str, np.ndarray]:
    """Train the net; return its arrays.

    Args:
        views: uint8 [n, 2, 28, 28].
        shares: the overlap of each with a digit, float32 [n].
        held_back: how many of the first ones are kept for validation.
        epochs: passes over the others.
        seed: of the initial weights and the order.
    """
    import paddle
    from paddle import nn

    paddle.seed(seed)
    rng = np.random.default_rng(seed)
    targets = np.clip((shares - PART) / (WHOLE - PART), 0, 1)[:, np.newaxis].astype(np.float32)
    first, second = FILTERS
    net = nn.Sequential(
        ("first", nn.Conv2D(2, first, 5)),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool2D(2)),
        ("second", nn.Conv2D(first, second, 5)),
        ("relu2", nn.ReLU()),
        ("pool2", nn.MaxPool2D(2)),
        ("flat", nn.Flatten()),
        ("hidden", nn.Linear(16 * second, HIDDEN)),
        ("relu3", nn.ReLU()),
        ("output", nn.Linear(HIDDEN, 1)),
    )
    cost = nn.BCEWithLogitsLoss()
    steps = epochs * ((len(views) - held_back) // BATCH)
    rate = paddle.optimizer.lr.OneCycleLR(4e-3, steps + 1)
    optimizer = paddle.optimizer.AdamW(rate, parameters=net.parameters(), weight_decay=1e-3)

    def outputs(rows: np.ndarray | slice) -> paddle.Tensor:
        return net(paddle.to_tensor(views[rows] / np.float32(255)))

    began = time.perf_counter()
    for epoch in range(epochs):
        order = rng.permutation(np.arange(held_back, len(views)))
        losses = []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            loss = cost(outputs(rows), paddle.to_tensor(targets[rows]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            rate.step()
            losses.append(float(loss))
        with paddle.no_grad():
            logits = np.concatenate([outputs(slice(i, i + 1000)).numpy() for i in range(0, held_back, 1000)])
        logits, wanted = logits[:held_back], targets[:held_back]
        entropy = np.mean(np.logaddexp(0, logits) - logits * wanted)
        right = np.mean((logits > 0) == (wanted > 0.5))
        seconds = time.perf_counter() - began
        print(
            f"epoch {epoch}: loss {np.mean(losses):.4f}; held back {entropy:.4f}, {right:.2%} right; {seconds:.0f} s",
            flush=True,
        )
    return {name: value.numpy() for name, value in net.state_dict().items()}


def main() -> int:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="auto", help="digits to compose pages from, as train takes them (auto)")
    parser.add_argument("--pages", type=int, default=6000, help="pages to compose (6000)")
    parser.add_argument("--epochs", type=int, default=10, help="times through what is on them (10)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the pages, the initial weights and the order (0)")
    parser.add_argument("--workers", type=int, default=2, help="processes that compose pages (2)")
    args = parser.parse_args()
    cpu.tune()
    open_dataset(args.data, log=print)  # so that the workers find it in the cache
    began = time.perf_counter()
    seeds = [1000 * args.seed + i for i in range(max(2, args.pages // PAGES_AT_ONCE))]
    with ProcessPoolExecutor(args.workers) as pool:
        found = list(pool.map(examples, [args.data] * len(seeds), seeds))
    views, shares = (np.concatenate(part) for part in zip(*found, strict=True))
    held_back = len(found[0][0]) + len(found[1][0]) if len(found) > 20 else len(found[0][0])
    print(
        f"{len(views):,} views on {PAGES_AT_ONCE * len(seeds):,} pages, {np.mean(shares > 0.8):.0%} of them digits",
        end="; ",
    )
    print(f"{time.perf_counter() - began:.0f} s", flush=True)
    net = fit(views, shares, held_back, args.epochs, args.seed)
    with atomic_write(digit_score.WEIGHTS) as file:
        np.savez_compressed(file, **{name: value.astype(np.float16) for name, value in net.items()})
    print(f"written: {digit_score.WEIGHTS}, {digit_score.WEIGHTS.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
