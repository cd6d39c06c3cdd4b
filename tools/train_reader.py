"""Train the reader that comes with the package, from MNIST and nothing else.

    python tools/train_reader.py [--data mnist.json.gz] [--out FOLDER]

A net of five 3×3 convolutions learns eleven classes: the ten digits, and pictures that show no single digit
(``pictures.negatives``). Everything it sees is augmented as photos and other hands would change it. Its weights, with
the batch norms folded into the convolutions, go to ``reader.npz`` in float16; the recipe, the seed and what was
measured to ``reader.json``. On the same kind of machine the same bytes come out. It takes about five minutes of two
idle cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures.reader import POOLED
from paddle_mnist.recipes import Settings, settings_for
from paddle_mnist.splits import Split
from paddle_mnist.storage.files import atomic_write
from paddle_mnist.storage.weights import save_state_dict

OUT = Path(__file__).parents[1] / "paddle_mnist" / "pictures"
CHANNELS = (16, 16, 32, 32, 64)
NO_DIGIT = 10
NEGATIVES = 16_000
SURE = 0.9


def main() -> None:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Train the reader that comes with the package.")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    parser.add_argument("--out", type=Path, default=OUT, help="where to write reader.npz and reader.json (the package)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training pictures (10)")
    parser.add_argument("--seed", type=int, default=0, help="decides everything random (0)")
    parser.add_argument("--negatives", type=int, default=NEGATIVES, help="pictures of no digit to learn from (16000)")
    args = parser.parse_args()
    cpu.tune()
    dataset = open_dataset(args.data, log=print)
    settings = settings_for("quick", epochs=args.epochs, batch_size=128, lr=0.008, augment="photo", seed=args.seed)
    net = make_net(args.seed)
    train(net, with_negatives(dataset.train, args.negatives, [args.seed, 1]), settings)
    state = folded(net)
    held_out = with_negatives(dataset.valid, args.negatives // 8, [args.seed, 2])
    state["temperature"] = np.asarray(temperature(net, held_out, args.seed), np.float16)
    save_state_dict(args.out / "reader.npz", state)
    named = ("epochs", "batch_size", "optimizer", "lr", "schedule", "augment", "seed")
    recipe = {"channels": CHANNELS, "negatives": args.negatives, **{name: getattr(settings, name) for name in named}}
    test = with_negatives(dataset.eval, args.negatives // 8, [args.seed, 3])
    figures = measure(net, float(state["temperature"]), test)
    document = {"recipe": recipe, "data": dataset.sha256, "temperature": float(state["temperature"]), "test": figures}
    with atomic_write(args.out / "reader.json", "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    print(json.dumps(figures))


def with_negatives(split: Split, count: int, seed: list[int]) -> Split:
    """Return the digits of a split and ``count`` pictures of no digit, made of them, as class 10."""
    from paddle_mnist.pictures.negatives import no_digits

    negatives = no_digits(split.images, split.labels, np.random.default_rng(seed), count)
    return Split(
        np.concatenate([split.images, negatives]), np.concatenate([split.labels, np.full(count, NO_DIGIT, np.uint8)])
    )


def make_net(seed: int):
    """Return the net: convolution, batch norm, ReLU and perhaps pooling five times, then dropout and eleven outputs."""
    import paddle
    from paddle import nn

    paddle.seed(seed)
    layers, inputs = [], 1
    for number, channels in enumerate(CHANNELS, 1):
        conv = nn.Conv2D(inputs, channels, 3, padding=1, bias_attr=False)
        layers += [conv, nn.BatchNorm2D(channels), nn.ReLU()]
        layers += [nn.MaxPool2D(2, 2)] if number in POOLED else []
        inputs = channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(49 * inputs, 11))


def train(net, pictures: Split, settings: Settings) -> None:
    """Train the net on the pictures, digits and others, in a new variant and order in each epoch."""
    import paddle

    from paddle_mnist import engine, fast

    optimizer = paddle.optimizer.Adam(settings.lr, parameters=net.parameters())
    step = fast.train_step(net, "classify", optimizer, seed=settings.seed)
    per_epoch, began = engine.steps_per_epoch(pictures, settings), time.perf_counter()
    net.train()
    for epoch in range(settings.epochs):
        losses = []
        for images, labels in engine.epoch_batches(pictures, settings, engine.Progress(epoch)):
            optimizer.set_lr(settings.lr_at(epoch * per_epoch + len(losses), per_epoch))
            losses.append(step(images, labels))
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.perf_counter() - began:.0f} s", flush=True)


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


def temperature(net, held_out: Split, seed: int) -> float:
    """Return what outputs must be divided by for calibrated probabilities (Guo et al. 2017).

    Half of the held-out pictures are as they are, half augmented: other people's digits lie between the two.
    """
    from paddle_mnist.augment import Augmentation

    images, samples = held_out.images.astype(np.float32), np.arange(len(held_out.labels))
    images[::2] = Augmentation("photo", len(images), seed, 0)(images, samples)[::2]
    outputs = outputs_for(net, images)
    candidates = np.arange(0.5, 3, 0.02)
    losses = [-np.log(probabilities(outputs, t)[samples, held_out.labels] + 1e-12).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def probabilities(outputs: np.ndarray, temperature: float) -> np.ndarray:
    """Return the softmax of outputs over a temperature."""
    scaled = outputs / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def measure(net, temperature: float, test: Split) -> dict[str, float]:
    """Return what the reader does on test digits and on pictures of no digit that it has not seen."""
    shares = probabilities(outputs_for(net, test.images), temperature)
    digits = test.labels != NO_DIGIT
    right, best = shares.argmax(axis=1) == test.labels, shares.max(axis=1)
    sure = (best >= SURE) & (shares.argmax(axis=1) != NO_DIGIT)
    bins = np.minimum((10 * best[digits]).astype(int), 9)
    gaps = [abs((right[digits] - best[digits])[bins == number].sum()) for number in range(10)]
    return {
        "accuracy": round(float(right[digits].mean()), 5),
        "called no digit": round(float((shares[digits].argmax(axis=1) == NO_DIGIT).mean()), 5),
        "sure and wrong": int((sure & ~right)[digits].sum()),
        "calibration error": round(float(sum(gaps) / digits.sum()), 5),
        "no digits called a digit surely": round(float(sure[~digits].mean()), 5),
    }


if __name__ == "__main__":
    main()
