"""What does augmentation make of a digit, and what does it cost?

    python benchmarks/augmentation.py

Draws some digits of the bundled sample as each strength changes them in five epochs, to ``results/augmentation.png``,
and measures processor time for an image, beside a training step of ``strong``, ``results/augmentation.json``. Takes
half a minute.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _measure import RESULTS, machine, save

from paddle_mnist import cpu
from paddle_mnist.augment import Augmentation
from paddle_mnist.dataset import open_dataset
from paddle_mnist.recipes import AUGMENTATIONS, settings_for

SHOWN, EPOCHS, BATCH, BATCHES = 16, 5, 128, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="sample", help="the digits, as train takes it (sample)")
    images = open_dataset(parser.parse_args().data).train.images
    cpu.tune()
    figures = {name: cost(name, images) for name in AUGMENTATIONS if name != "none"}
    figures["training step of strong"] = step_cost(images)
    for name, microseconds in figures.items():
        print(f"{name:<24} {microseconds:6.1f} µs of processor time for an image")
    print(save("augmentation", {"machine": machine(), "microseconds_per_image": figures}))
    print(draw(images[:SHOWN]))


def cost(name: str, images: np.ndarray) -> float:
    """Return the processor time for an image, in microseconds, drawing included."""
    samples = np.arange(BATCH * BATCHES) % len(images)
    began = time.process_time()
    augment = Augmentation(name, len(images), 0, 0)
    for first in range(0, len(samples), BATCH):
        rows = samples[first : first + BATCH]
        augment(images[rows], rows)
    return 1e6 * (time.process_time() - began) / len(samples)


def step_cost(images: np.ndarray) -> float:
    """Return the processor time of a training step for an image, in microseconds, of all threads together."""
    from paddle_mnist import learners
    from paddle_mnist.loader import to_input

    learner = learners.build(settings_for("strong"))
    batch, labels = to_input(images[:BATCH], "01"), np.zeros((BATCH, 1), np.int64)
    learner.train_step(batch, labels)
    began = time.process_time()
    for _ in range(BATCHES):
        learner.train_step(batch, labels)
    return 1e6 * (time.process_time() - began) / (BATCH * BATCHES)


def draw(images: np.ndarray):
    """Draw the images, and for each strength a row of their variants in each epoch."""
    from matplotlib.figure import Figure

    samples = np.arange(len(images))
    names = [name for name in AUGMENTATIONS if name != "none"]
    figure = Figure(figsize=(8, 0.5 + 2.5 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), 1), names, strict=True):
        rows = [images, *(Augmentation(name, len(images), 0, epoch)(images, samples) for epoch in range(EPOCHS))]
        axes.imshow(np.vstack([np.hstack(row) for row in rows]), cmap="gray_r", vmin=0, vmax=255)
        axes.axhline(27.5, color="C0", linewidth=1)
        axes.set(xticks=[], yticks=[14 + 28 * row for row in range(EPOCHS + 1)])
        axes.set_yticklabels(["original", *(f"epoch {epoch + 1}" for epoch in range(EPOCHS))], size=8)
        axes.set_title(f"--augment {name}", size=10)
    path = RESULTS / "augmentation.png"
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    main()
