"""Notices when a net is no longer what was captured.

``forward`` is Python code that may decide by anything. What it can see without arguments is remembered: the attributes
of every layer (its mode, parameters, hooks and sublayers among them), and the global names and closures that its own
code, and functions that it calls by name, refer to. Lists and dictionaries among these are compared element by element,
one level deep.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Iterator
from typing import Any

import paddle


class Watch:
    """What a net looked like when this was created."""

    def __init__(self, net: paddle.nn.Layer) -> None:
        self._containers: list[object] = []
        self._copies: list[object] = []
        self._names: list[tuple[dict[str, Any], str, object]] = []
        self._cells: list[tuple[types.CellType, object]] = []
        seen: set[int] = set()
        for layer in net.sublayers(include_self=True):
            self._remember(vars(layer))
            for value in vars(layer).values():
                self._remember(value)
            if not _is_paddle(type(layer).__module__):
                self._watch_code(type(layer).forward, seen)

    def _remember(self, value: object) -> None:
        if isinstance(value, dict):
            self._containers.append(value)
            self._copies.append(dict(value))
        elif isinstance(value, (list, set)):
            self._containers.append(value)
            self._copies.append(value.copy())

    def _watch_code(self, function: object, seen: set[int]) -> None:
        if not isinstance(function, types.FunctionType) or id(function) in seen or _is_paddle(function.__module__):
            return
        seen.add(id(function))
        for cell in function.__closure__ or ():
            self._cells.append((cell, _contents(cell)))
            self._watch_value(_contents(cell), seen)
        for name in _names(function.__code__):
            if name in function.__globals__:
                value = function.__globals__[name]
                self._names.append((function.__globals__, name, value))
                self._watch_value(value, seen)

    def _watch_value(self, value: object, seen: set[int]) -> None:
        self._remember(value)
        self._watch_code(value, seen)

    def unchanged(self) -> bool:
        """Whether all of it is as it was."""
        try:
            return (
                all(map(operator.eq, self._containers, self._copies))
                and all(names.get(name) is value for names, name, value in self._names)
                and all(_contents(cell) is value for cell, value in self._cells)
            )
        except Exception:  # values that cannot be compared have been replaced
            return False


def _contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _is_paddle(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "paddle"


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the names that code refers to, and the code of functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
