"""The form that starts a training: its fields, their meaning and their defaults, read from ``Settings`` and
``RunOptions`` themselves, and the check of what was filled in.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.recipes import NETS, Settings, check_choice, choices, settings_for
from paddle_mnist.runs.run import RunOptions

DATA = ("auto", "sample")
KINDS = {bool: "boolean", int: "integer", float: "number", str: "text"}
NOT_ASKED = ("quiet",)  # belongs to a terminal
OPTION_CHOICES = {"device": ("cpu", "gpu")}
DATA_MEANING = "where the digits come from: all of MNIST if it is there, or the bundled sample."


@dataclasses.dataclass(frozen=True)
class Order:
    """A training that was asked for.

    Attributes:
        settings: what is trained and how.
        given: the fields that were filled in; the others take their defaults.
    """

    settings: Settings
    given: dict[str, Any]

    def arguments(self) -> list[str]:
        """Return the arguments of ``python -m paddle_mnist.train``."""
        found = []
        for name, value in self.given.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                found.append(flag)
            elif value is not False:
                found.append(f"{flag}={value!r}" if isinstance(value, float) else f"{flag}={value}")
        return found


def form() -> dict[str, Any]:
    """Return what the page needs to ask for a training."""
    data = {"name": "data", "group": "data", "type": "choice", "choices": DATA, "optional": False}
    return {
        "fields": [*_fields(Settings, "settings"), *_fields(RunOptions, "options"), {**data, "meaning": DATA_MEANING}],
        "nets": {name: {"tasks": list(net.defaults), "numpy": net.layer is None} for name, net in NETS.items()},
        "defaults": {
            name: {task: settings_for(name, task).as_dict() for task in net.defaults} for name, net in NETS.items()
        },
        "options": RunOptions().as_dict(),
        "data": {"name": "data", "choices": DATA},
    }


def read_order(filled: dict[str, Any]) -> Order:
    """Check a form that was filled in.

    Raises:
        UserError: a field is unknown, or a value has the wrong type or is outside its range.
    """
    known = {field["name"]: field for field in form()["fields"]}
    unknown = sorted(filled.keys() - known)
    if unknown:
        raise UserError(f"unknown field: {unknown[0]}")
    given = {name: _typed(known[name], value) for name, value in filled.items() if value is not None}
    changes = {name: value for name, value in given.items() if known[name]["group"] == "settings"}
    net, task = changes.pop("net", "cnn"), changes.pop("task", None)
    settings = settings_for(net, task, **changes)
    RunOptions(**{name: value for name, value in given.items() if known[name]["group"] == "options"})
    check_choice("data", given.get("data", "auto"), DATA)
    return Order(settings, {"net": net, "task": settings.task, **given})


def _typed(field: dict[str, Any], value: Any) -> Any:
    """Return a value of a field; an integer may stand where a number is asked for."""
    kind, name = field["type"], field["name"]
    if kind == "number" and type(value) is int and abs(value) < 2**53:
        return float(value)
    wanted = {"boolean": bool, "integer": int, "number": float, "choice": str, "text": str}[kind]
    if type(value) is not wanted:
        raise UserError(f"{name} must be {'text' if wanted is str else f'of type {kind}'}, got {value!r:.80}")
    if kind == "choice":
        check_choice(name, value, tuple(field["choices"]))
    elif kind == "text" and not (str(value).isprintable() and len(str(value)) <= 200):
        raise UserError(f"{name} must be at most 200 visible characters")
    return value


def _fields(kind: type, group: str) -> list[dict[str, Any]]:
    """Return the fields of a dataclass, with their meaning from its docstring."""
    words = {**choices(), **OPTION_CHOICES} if group == "options" else choices()
    meanings, hints = _meanings(kind), typing.get_type_hints(kind)
    found = []
    for field in dataclasses.fields(kind):
        if field.name in NOT_ASKED:
            continue
        plain, optional = _without_none(hints[field.name])
        found.append(
            {
                "name": field.name,
                "group": group,
                "type": "choice" if field.name in words else KINDS[plain],
                "choices": words.get(field.name),
                "optional": optional,
                "meaning": meanings.get(field.name, ""),
            }
        )
    return found


def _without_none(hint: Any) -> tuple[type, bool]:
    """Return the type in ``type | None``, and whether ``None`` is allowed."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (plain,) = (argument for argument in typing.get_args(hint) if argument is not type(None))
        return plain, True
    return hint, False


def _meanings(kind: type) -> dict[str, str]:
    """Return the attributes in a docstring: ``name: meaning``, which may go on in lines that are further indented."""
    section = re.search(r"^Attributes:\n(.*?)(?:^\S|\Z)", _dedented(kind.__doc__ or ""), re.DOTALL | re.MULTILINE)
    found, name = {}, ""
    for line in (section[1] if section else "").splitlines():
        if begin := re.fullmatch(r" {4}(\w+): (.+)", line):
            name = begin[1]
            found[name] = begin[2]
        elif name and line.startswith(" " * 8):
            found[name] += " " + line.strip()
    return {name: text.replace("``", "").replace('"', "") for name, text in found.items()}


def _dedented(text: str) -> str:
    import inspect

    return inspect.cleandoc(text)
