"""Train the reader that comes with the package, from MNIST and nothing else.

    python tools/train_reader.py [--data mnist.json.gz] [--out FOLDER]

A net of five convolutions learns eleven classes: the ten digits, and what is no single digit. It learns from MNIST's
50,000 training digits and 8,000 validation digits, as they are and as ``predict`` prepares them; from the parts that
cuts through touching digits leave, whole digits and others (``pictures/cut_parts.py``); and from letters, words,
scribbles and textures (``pictures/negatives.py``). Four fifths of the pictures are changed as other hands, pens, papers
and cameras would change them (``pictures/nuisance.py``). The weights, with the batch norms folded into the
convolutions, go to ``reader.npz`` in float16; the recipe, the seed and what was measured to ``reader.json``. On the
same kind of machine the same bytes come out. It takes about 22 minutes of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures.reader import POOLED
from paddle_mnist.recipes import Settings, settings_for
from paddle_mnist.splits import Split
from paddle_mnist.storage.files import atomic_write
from paddle_mnist.storage.weights import save_state_dict

OUT = Path(__file__).parents[1] / "paddle_mnist" / "pictures"
FILTERS = ((32, 5), (48, 3), (48, 3), (96, 3), (96, 3))  # of each convolution: how many, and how many pixels wide
NO_DIGIT = 10
CUT, NONE, FILLED = 2500, 8000, 1000  # pieces of writing that are cut, pictures of no digit, fields of texture
LEARNED = 0.8  # of the validation digits; the rest calibrates the probabilities
SMOOTHING = 0.02
RARE = 0.15  # times as many of the pictures that are read show no digit as of those that are learned from
SURE = 0.9


def main() -> None:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Train the reader that comes with the package.")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    parser.add_argument("--out", type=Path, default=OUT, help="where to write reader.npz and reader.json (the package)")
    parser.add_argument("--epochs", type=int, default=18, help="passes over the training pictures (18)")
    parser.add_argument("--seed", type=int, default=1, help="decides everything random (1)")
    parser.add_argument("--share", type=float, default=1.0, help="of the pictures of no digit that are drawn (1)")
    args = parser.parse_args()
    cpu.tune()
    dataset = open_dataset(args.data, log=print)
    settings = settings_for("quick", epochs=args.epochs, batch_size=128, lr=0.008, seed=args.seed)
    learned, held_out = divided(dataset.train, dataset.valid)
    net = make_net(args.seed)
    train(net, pictures(learned, args.share, [args.seed, 1]), settings)
    cooling = temperature(net, pictures(held_out, args.share / 8, [args.seed, 2]), args.seed)
    bias = net[-1].bias.numpy()
    bias[NO_DIGIT] += cooling * np.log(RARE)
    net[-1].bias.set_value(bias)
    state = folded(net) | {"temperature": np.asarray(cooling, np.float16)}
    save_state_dict(args.out / "reader.npz", state)
    named = ("epochs", "batch_size", "optimizer", "lr", "schedule", "seed")
    drawn = {
        "filters": FILTERS,
        "learned of valid": LEARNED,
        "cut": CUT,
        "none": NONE,
        "filled": FILLED,
        "share": args.share,
        "rare": RARE,
    }
    recipe = {**drawn, "label_smoothing": SMOOTHING, **{name: getattr(settings, name) for name in named}}
    figures = measure(net, cooling, dataset.eval, pictures(dataset.eval, args.share / 8, [9, 3]))
    document = {"recipe": recipe, "data": dataset.sha256, "temperature": round(cooling, 2), "test": figures}
    with atomic_write(args.out / "reader.json", "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    print(json.dumps(figures))


def divided(train: Split, valid: Split) -> tuple[Split, Split]:
    """Return what to learn from, most validation digits with it, and the rest, which calibrates."""
    more = int(LEARNED * len(valid.labels))
    images, labels = (np.concatenate([getattr(train, name), getattr(valid, name)[:more]]) for name in train._fields)
    return Split(images, labels), Split(valid.images[more:], valid.labels[more:])


class Pictures(NamedTuple):
    """What the net learns from.

    Attributes:
        images: uint8 [n, 28, 28].
        prepared: the same once more; the digits of MNIST here as ``predict`` prepares them.
        labels: uint8 [n], 0 to 9 or ``NO_DIGIT``.
    """

    images: np.ndarray
    prepared: np.ndarray
    labels: np.ndarray


def pictures(split: Split, share: float, seed: list[int]) -> Pictures:
    """Return the digits of a split, parts that cuts leave of them, and pictures of no digit."""
    from paddle_mnist.pictures.cut_parts import cut_parts
    from paddle_mnist.pictures.negatives import filled_fields, no_digits
    from paddle_mnist.pictures.preprocess import prepare_digit

    rng = np.random.default_rng(seed)
    images, labels = np.array(split.images), np.array(split.labels)
    parts, shown = cut_parts(images, labels, rng, round(CUT * share))
    none, filled = no_digits(images, labels, rng, round(NONE * share)), filled_fields(rng, round(FILLED * share))
    others = np.concatenate([parts, none, filled])
    kinds = np.concatenate([shown, np.full(len(none) + len(filled), NO_DIGIT, np.uint8)])
    prepared = np.stack([prepare_digit(image / np.float32(255)) for image in images])
    print(f"{len(images):,} digits, {len(parts):,} parts, {len(none) + len(filled):,} pictures of no digit", flush=True)
    return Pictures(
        np.concatenate([images, others]), np.concatenate([prepared, others]), np.concatenate([labels, kinds])
    )


def make_net(seed: int):
    """Return the net: convolution, batch norm, ReLU and perhaps pooling five times, then dropout and eleven outputs."""
    import paddle
    from paddle import nn

    paddle.seed(seed)
    layers, inputs = [], 1
    for number, (filters, size) in enumerate(FILTERS, 1):
        conv = nn.Conv2D(inputs, filters, size, padding=size // 2, bias_attr=False)
        layers += [conv, nn.BatchNorm2D(filters), nn.ReLU()]
        layers += [nn.MaxPool2D(2, 2)] if number in POOLED else []
        inputs = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(49 * inputs, 11))


def train(net, learned: Pictures, settings: Settings) -> None:
    """Train the net on the pictures, in another variant and order in each epoch."""
    import paddle

    from paddle_mnist import fast
    from paddle_mnist.loader import shuffled, to_input
    from paddle_mnist.pictures.nuisance import Nuisance

    optimizer = paddle.optimizer.Adam(settings.lr, parameters=net.parameters())
    step = fast.train_step(net, "classify", optimizer, SMOOTHING, seed=settings.seed)
    nuisance = Nuisance(learned.images, np.random.default_rng([settings.seed, 4]))
    per_epoch, began = -(-len(learned.labels) // settings.batch_size), time.process_time()
    net.train()
    for epoch in range(settings.epochs):
        rng, losses = np.random.default_rng([settings.seed, 5, epoch]), []
        for rows in np.array_split(shuffled(len(learned.labels), settings.seed, epoch), per_epoch):
            swapped = rng.random((len(rows), 1, 1)) < 0.5
            images = nuisance(np.where(swapped, learned.prepared[rows], learned.images[rows]), rng)
            optimizer.set_lr(settings.lr_at(epoch * per_epoch + len(losses), per_epoch))
            losses.append(step(to_input(images, "01"), learned.labels[rows, np.newaxis].astype(np.int64)))
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.process_time() - began:.0f} s", flush=True)


def folded(net) -> dict[str, np.ndarray]:
    """Return the weights in float16, each batch norm folded into the convolution before it."""
    from paddle import nn

    state: dict[str, np.ndarray] = {}
    layers = list(net.children())
    norms = [(conv, norm) for conv, norm in itertools.pairwise(layers) if isinstance(norm, nn.BatchNorm2D)]
    for number, (conv, norm) in enumerate(norms, 1):
        scale = norm.weight.numpy() / np.sqrt(norm._variance.numpy() + np.float32(1e-5))
        state[f"conv{number}.weight"] = conv.weight.numpy() * scale[:, np.newaxis, np.newaxis, np.newaxis]
        state[f"conv{number}.bias"] = norm.bias.numpy() - norm._mean.numpy() * scale
    state |= {"output.weight": layers[-1].weight.numpy(), "output.bias": layers[-1].bias.numpy()}
    return {name: array.astype(np.float16) for name, array in state.items()}


def outputs_for(net, images: np.ndarray) -> np.ndarray:
    """Return raw outputs, float64 [n, 11], for images [n, 28, 28], 0 to 255."""
    import paddle

    from paddle_mnist import fast
    from paddle_mnist.loader import to_input

    net.eval()
    forward = fast.accelerate(net)
    with paddle.no_grad():
        parts = [
            forward(paddle.to_tensor(to_input(images[i : i + 500], "01"))).numpy() for i in range(0, len(images), 500)
        ]
    return np.concatenate(parts).astype(np.float64)


def temperature(net, held_out: Pictures, seed: int) -> float:
    """Return what outputs must be divided by for calibrated probabilities (Guo et al. 2017).

    Half of the held-out pictures are as they are, half changed: other people's digits lie between the two.
    """
    from paddle_mnist.pictures.nuisance import Nuisance

    images, samples = held_out.prepared.copy(), np.arange(len(held_out.labels))
    rng = np.random.default_rng([seed, 6])
    images[::2] = Nuisance(images, rng)(images[::2], rng)
    outputs = outputs_for(net, images)
    candidates = np.arange(0.5, 3, 0.02)
    losses = [-np.log(probabilities(outputs, t)[samples, held_out.labels] + 1e-12).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def probabilities(outputs: np.ndarray, temperature: float) -> np.ndarray:
    """Return the softmax of outputs over a temperature."""
    scaled = outputs / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def measure(net, temperature: float, test: Split, drawn: Pictures) -> dict[str, float]:
    """Return what the reader does on test digits, and on parts and pictures of no digit that were drawn from them."""
    images, labels = np.array(test.images), np.array(test.labels)
    shares = probabilities(outputs_for(net, images), temperature)
    right, best = shares.argmax(axis=1) == labels, shares.max(axis=1)
    bins = np.minimum((10 * best).astype(int), 9)
    gaps = [abs((right - best)[bins == number].sum()) for number in range(10)]
    none = drawn.images[drawn.labels == NO_DIGIT]
    false = probabilities(outputs_for(net, none), temperature)[:, :NO_DIGIT].max(axis=1, initial=0) >= SURE
    return {
        "accuracy": round(float(right.mean()), 5),
        "called no digit": round(float((shares.argmax(axis=1) == NO_DIGIT).mean()), 5),
        "sure and wrong": int(((best >= SURE) & ~right & (shares.argmax(axis=1) != NO_DIGIT)).sum()),
        "calibration error": round(float(sum(gaps) / len(labels)), 5),
        "no digits called a digit surely": round(float(false.mean()), 5),
    }


if __name__ == "__main__":
    main()
