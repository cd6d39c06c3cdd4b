"""What the hand-written nets demand of what they are given, each refusal one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError


def check_rows(x: np.ndarray, width: int, name: str = "x") -> None:
    """Refuse what is not a batch of rows, numbers [n, width]."""
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.shape[1] != width or x.dtype.kind not in "biuf":
        raise UserError(f"{name} is {describe(x)}, where an array of numbers of shape [n, {width}] is needed")


def check_not_empty(x: np.ndarray, name: str = "x") -> None:
    """Refuse a batch without samples, of which no mean can be taken."""
    if len(x) == 0:
        raise UserError(f"{name} holds no samples, where at least one is needed")


def class_indices(labels: np.ndarray, n: int, classes: int) -> np.ndarray:
    """Return each sample's class, int64 [n].

    Args:
        labels: integers [n], or one-hot rows [n, classes] with a single 1 in each.
        n: how many samples there are.
        classes: how many classes there are.

    Raises:
        UserError: the labels have another shape, or one of them is no class.
    """
    if not isinstance(labels, np.ndarray) or labels.shape not in ((n,), (n, classes)):
        raise UserError(
            f"the labels are {describe(labels)}, where integers of shape [{n}] or one-hot rows of shape "
            f"[{n}, {classes}] are needed"
        )
    if labels.ndim == 2:
        return _from_one_hot(labels)
    if labels.dtype.kind not in "iu":
        raise UserError(f"the labels are of dtype {labels.dtype}, where integers are needed; convert them with astype")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise UserError(f"label {wrong[0]} is {labels[wrong[0]]}, where a class from 0 to {classes - 1} is needed")
    return labels.astype(np.int64)


def _from_one_hot(rows: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero((rows.max(axis=1) != 1) | (np.count_nonzero(rows, axis=1) != 1))
    if len(wrong):
        raise UserError(f"label {wrong[0]} is not one-hot: a single 1 among zeros is needed")
    return rows.argmax(axis=1)


def check_sizes(sizes: Sequence[Any], at_least: int = 2) -> None:
    """Refuse layer sizes that make no net."""
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Sequence) or len(sizes) < at_least:
        raise UserError(f"sizes is {sizes!r}, where a list of at least {at_least} layer sizes is needed")
    for layer, size in enumerate(sizes):
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise UserError(f"layer {layer} has size {size!r}, where an integer of at least 1 is needed")


def check_positive(name: str, value: Any, *, integer: bool = False) -> None:
    """Refuse a setting that is not a finite number above 0, or not an integer where one is needed."""
    kinds = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < float("inf"):
        raise UserError(f"{name} is {value!r}, where {'an integer' if integer else 'a number'} above 0 is needed")


def check_weights(
    found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], where: str = "the weights"
) -> None:
    """Refuse weights that don't fit a net.

    Args:
        found: what was given, by name.
        expected: the shape of each parameter, by name.
        where: what the message calls them, such as the path of their file.
    """
    if not isinstance(found, Mapping):
        raise UserError(f"{where}: a {type(found).__name__}, where a dict of arrays is needed")
    if found.keys() != expected.keys():
        names = ", ".join(sorted(map(str, found))[:12]) or "nothing"
        raise UserError(f"{where}: there is {names}, where {', '.join(expected)} are needed")
    for name, shape in expected.items():
        value = found[name]
        if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind != "f":
            raise UserError(f"{where}: {name} is {describe(value)}, where floats of shape {list(shape)} are needed")
        if not np.isfinite(value).all():
            raise UserError(
                f"{where}: {name} holds values that are infinite or not a number; the net that left them diverged"
            )


def describe(value: Any) -> str:
    """Say in a few words what a value is: an array's dtype and shape, or a type."""
    if isinstance(value, np.ndarray):
        return f"of dtype {value.dtype} and shape {list(value.shape)}"
    return f"a {type(value).__name__}"
