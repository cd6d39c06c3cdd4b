"""Checks of the arguments of the hand-written nets; each error is one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError


def check_rows(x: np.ndarray, width: int, name: str = "x") -> None:
    """Raise ``UserError`` unless x is a batch of rows, numbers [n, width]."""
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.shape[1] != width or x.dtype.kind not in "biuf":
        raise UserError(f"{name} must be an array of numbers of shape [n, {width}], got {describe(x)}")


def check_not_empty(x: np.ndarray, name: str = "x") -> None:
    """Raise ``UserError`` if a batch has no samples, since their mean is undefined."""
    if len(x) == 0:
        raise UserError(f"{name} must hold at least one sample, got none")


def class_indices(labels: np.ndarray, n: int, classes: int) -> np.ndarray:
    """Return each sample's class, int64 [n].

    Args:
        labels: integers [n], or one-hot rows [n, classes] with a single 1 in each.
        n: how many samples there are.
        classes: how many classes there are.

    Raises:
        UserError: the labels have another shape, or one of them is not a class.
    """
    if not isinstance(labels, np.ndarray) or labels.shape not in ((n,), (n, classes)):
        raise UserError(
            f"labels must be integers of shape [{n}] or one-hot rows of shape [{n}, {classes}], got {describe(labels)}"
        )
    if labels.ndim == 2:
        return _from_one_hot(labels)
    if labels.dtype.kind not in "iu":
        raise UserError(f"labels must be integers, got {labels.dtype}: convert them with astype")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise UserError(f"label {wrong[0]} must be a class from 0 to {classes - 1}, got {labels[wrong[0]]}")
    return labels.astype(np.int64)


def _from_one_hot(rows: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero((rows.max(axis=1) != 1) | (np.count_nonzero(rows, axis=1) != 1))
    if len(wrong):
        raise UserError(f"label {wrong[0]} must be one-hot: a single 1 among zeros")
    return rows.argmax(axis=1)


def check_sizes(sizes: Sequence[Any], at_least: int = 2) -> None:
    """Raise ``UserError`` unless the sizes are integers of at least 1, at least ``at_least`` of them."""
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Sequence) or len(sizes) < at_least:
        raise UserError(f"sizes must be a list of at least {at_least} layer sizes, got {sizes!r}")
    for layer, size in enumerate(sizes):
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise UserError(f"the size of layer {layer} must be an integer of at least 1, got {size!r}")


def check_positive(name: str, value: Any, *, integer: bool = False) -> None:
    """Raise ``UserError`` unless a setting is a finite number above 0 and, with ``integer``, an integer."""
    kinds = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < float("inf"):
        raise UserError(f"{name} must be {'an integer' if integer else 'a number'} above 0, got {value!r}")


def check_weights(
    found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], source: str = "the weights"
) -> None:
    """Raise ``UserError`` unless the weights fit a net.

    Args:
        found: the arrays given, by name.
        expected: the shape of each parameter, by name.
        source: names them in the error, such as the path of their file.
    """
    if not isinstance(found, Mapping):
        raise UserError(f"{source} must hold a dict of arrays, got a {type(found).__name__}")
    if found.keys() != expected.keys():
        names = ", ".join(sorted(map(str, found))[:12]) or "nothing"
        raise UserError(f"{source} must hold {', '.join(expected)}, got {names}")
    for name, shape in expected.items():
        value = found[name]
        if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind != "f":
            raise UserError(f"{source}: {name} must hold floats of shape {list(shape)}, got {describe(value)}")
        if not np.isfinite(value).all():
            raise UserError(
                f"{source}: {name} must hold finite values, got infinite ones or NaN: the training diverged"
            )


def describe(value: Any) -> str:
    """Describe a value in an error: an array by its dtype and shape, anything else by its type."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {list(value.shape)}"
    return f"a {type(value).__name__}"
