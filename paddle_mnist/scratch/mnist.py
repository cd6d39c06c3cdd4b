"""MNIST as two pairs of arrays, as in the book *Deep Learning from Scratch*, and digits drawn as text."""

from __future__ import annotations

import os

import numpy as np

from paddle_mnist.scratch.checks import check_rows

Pair = tuple[np.ndarray, np.ndarray]


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    data: str | os.PathLike[str] = "auto",
) -> tuple[Pair, Pair]:
    """Return ``(x_train, t_train), (x_test, t_test)``.

    The training set joins the data's training and validation sets: for MNIST 60,000 digits, with 10,000 to test.

    Args:
        normalize: pixels as float32 in [0, 1]; otherwise as uint8, 0 to 255.
        flatten: images [n, 784]; otherwise [n, 1, 28, 28].
        one_hot_label: labels as rows [n, 10], float64, a single 1 in each; otherwise as uint8 [n], 0 to 9.
        data: the source of the digits, as for ``dataset.open_dataset``.

    Raises:
        UserError: the data cannot be read.
    """
    from paddle_mnist.dataset import open_dataset

    digits = open_dataset(data)

    def pair(images: np.ndarray, labels: np.ndarray) -> Pair:
        x = images.reshape((len(images), -1) if flatten else (len(images), 1, *images.shape[1:]))
        return x.astype(np.float32) / 255 if normalize else x, np.eye(10)[labels] if one_hot_label else labels

    train, valid = digits.train, digits.valid
    return (
        pair(np.concatenate([train.images, valid.images]), np.concatenate([train.labels, valid.labels])),
        pair(digits.eval.images, digits.eval.labels),
    )


def as_text(image: np.ndarray) -> str:
    """Draw an image [784] or [28, 28] in characters for a terminal; more ink gives a denser character.

    A character is about twice as high as it is wide, so each stands for two pixels: 14 lines of 28 characters.
    """
    pixels = np.reshape(image, (1, -1))
    check_rows(pixels, 784, "image")
    ink = pixels.astype(np.float64) - pixels.min()
    ink = ink.reshape(14, 2, 28).mean(axis=1) / max(ink.max(), np.finfo(np.float64).tiny)
    shades = np.array(list(" .:+*#@"))
    return "\n".join("".join(line) for line in shades[np.rint(ink * (len(shades) - 1)).astype(int)])
