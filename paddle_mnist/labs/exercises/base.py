"""What an exercise is, and how an answer is compared with the expected value.

A check calls the student's function on its own inputs and raises ``Wrong`` at the first difference. ``Wrong`` names the
input, both values and, where the wrong value is the one that a common slip produces, the slip.
"""

from __future__ import annotations

import copy
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Answer = Callable[..., Any]
# A value that a slip produces, and a description of the slip.
Slip = tuple[Any, str]

NOT_ANSWERED = "    raise NotImplementedError  # your lines go here\n"

# Bound here, so that an answer that replaces them in numpy does not reach the comparison.
_asarray, _abs, _max = np.asarray, np.abs, np.max


@dataclass(frozen=True)
class Exercise:
    """One function to write, or to repair.

    Attributes:
        stub: the function's source: its signature and a docstring that says what it takes and returns.
        check: calls the answer and raises ``Wrong`` unless it is right.
        hints: from a nudge to nearly the answer, each in English and in Chinese.
        body: what stands below the docstring at first. It raises NotImplementedError; lines that the student is to
            correct may follow.
        seconds: how long all calls of the answer together may take.
    """

    stub: str
    check: Callable[[Answer], None]
    hints: tuple[tuple[str, str], ...]
    body: str = NOT_ANSWERED
    seconds: float = 20.0

    @property
    def name(self) -> str:
        """The name of the function to write."""
        return self.stub.split("def ", 1)[1].split("(", 1)[0]

    @property
    def source(self) -> str:
        """The function as the student's file begins with it."""
        return self.stub.strip("\n") + "\n" + self.body.strip("\n") + "\n"


class Wrong(AssertionError):
    """An answer is not right.

    Attributes:
        what: what differs.
        on: the input on which it differs.
        why: a possible reason.
    """

    def __init__(self, what: str, on: str, why: str) -> None:
        super().__init__(f"{what}\n   input: {on}\n   possible reason: {why}")
        self.what, self.on, self.why = what, on, why


_input = ""


def current_input() -> str:
    """Return the input of the latest call, for a message about an answer that does not return."""
    return _input


def call(answer: Answer, *arguments: Any, on: str, fails: str | Mapping[Any, str] = "") -> Any:
    """Call the answer on copies of the arguments; refuse an answer that raises or that changes its arguments.

    Args:
        answer: the student's function.
        arguments: what to pass to it.
        on: a short description of the input.
        fails: why it may overflow on this input; or, for each type of exception, why it may raise it.

    Raises:
        Wrong: the answer raised an exception, or changed an argument.
        NotImplementedError: the stub is still as it was.
    """
    global _input
    _input = on
    given = copy.deepcopy(arguments)
    try:
        found = answer(*given)
    except (NotImplementedError, Wrong):
        raise
    except BaseException as error:
        raise Wrong(_raised(error), on, _reason(error, fails)) from error
    for before, after in zip(arguments, given, strict=True):
        if isinstance(before, (np.ndarray, list, dict)) and not same(after, before):
            kind = {np.ndarray: "array", list: "list", dict: "dict"}.get(type(before), "array")
            raise Wrong(
                f"it changes the {kind} that it is given",
                on,
                f"an operator such as -= or x[...] = works in place; the caller still needs its {kind}: make a new one",
            )
    return found


def expect(
    found: Any, wanted: Any, on: str, slips: Iterable[Slip] = (), why: str = "", tolerance: float = 1e-6
) -> None:
    """Compare what an answer returned with the expected value.

    Args:
        found: what the answer returned.
        wanted: the expected value: an array, a number, a string, or a list, tuple or dict of such.
        on: a short description of the input.
        slips: wrong values, each with the slip that produces it; the first that equals ``found`` is named.
        why: the reason to give if no slip fits.
        tolerance: how far numbers may be from ``wanted``, relative to its largest one.

    Raises:
        Wrong: the two differ.
    """
    try:
        if same(found, wanted, tolerance):
            return
        slips = list(slips)
        reason = (
            _slip(found, slips, tolerance)
            or _precision(found, wanted, tolerance)
            or _slip(found, slips, max(tolerance, 1e-4))
            or _relation(found, wanted, tolerance)
        )
        what = difference(found, wanted)
    except Exception as error:
        raise Wrong(
            f"it returns an object of type {type(found).__name__} that cannot be compared",
            on,
            f"return plain numbers, arrays, lists or tuples; looking at it raises {type(error).__name__}",
        ) from error
    raise Wrong(what, on, reason or why or _order(found, wanted) or "follow this input through your lines by hand")


def same(found: Any, wanted: Any, tolerance: float = 1e-6) -> bool:
    """Return whether two values have the same kind and shape and, within the tolerance, the same numbers."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(same(found[key], value, tolerance) for key, value in wanted.items())
        )
    if isinstance(wanted, (list, tuple)):
        if isinstance(found, np.ndarray) and found.ndim:
            found = list(found)
        return (
            isinstance(found, (list, tuple))
            and len(found) == len(wanted)
            and all(same(*pair, tolerance) for pair in zip(found, wanted, strict=True))
        )
    if found is None or wanted is None or isinstance(wanted, (str, bytes)):
        return type(found) is type(wanted) and bool(found == wanted)
    a, b = _array(found), _array(wanted)
    if a is None or b is None or a.shape != b.shape:
        return False
    if b.dtype.kind not in "biuf":
        return a.dtype.kind == b.dtype.kind and bool((a == b).all())
    if a.dtype.kind not in "biuf":
        return False
    scale = max(float(_max(_abs(b.astype(float)), initial=0)), 1e-12) if b.dtype.kind != "b" else 1.0
    x, y = a.astype(float), b.astype(float)
    with np.errstate(invalid="ignore"):
        return bool(((x == y) | (_abs(x - y) <= tolerance * scale)).all())


def difference(found: Any, wanted: Any) -> str:
    """Return a sentence that says what differs between a returned value and the expected one."""
    if found is None:
        return f"it returns nothing (None); expected {_short(wanted)}"
    if wanted is None:
        return f"it returns {_short(found)}; expected None"
    for kind in (tuple, list, dict):
        if isinstance(wanted, kind) and isinstance(found, kind) and (part := _differing_part(found, wanted)):
            return part
    if isinstance(wanted, np.ndarray):
        values = _array(found)
        if values is None or values.dtype.kind not in "biuf" or values.shape != wanted.shape:
            return f"it returns {_kind(found)}; expected an array of shape {list(wanted.shape)}"
        if wanted.size > 8:
            gap = _abs(values.astype(float) - wanted.astype(float))
            place = np.unravel_index(int(np.where(np.isnan(gap), np.inf, gap).argmax()), gap.shape)
            index = ", ".join(map(str, place))
            return f"at [{index}] it returns {values[place]:.6g}; expected {wanted[place]:.6g}"
    return f"it returns {_short(found)}; expected {_short(wanted)}"


def plural(count: int, noun: str) -> str:
    """Return ``"1 sample"``, ``"2 samples"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _array(value: Any) -> np.ndarray | None:
    """Return a plain array, or ``None`` for what is none: rows of different lengths, an object."""
    try:
        return _asarray(value)
    except Exception:
        return None


def _slip(found: Any, slips: Iterable[Slip], tolerance: float) -> str:
    return next((slip for value, slip in slips if same(found, value, tolerance)), "")


def _precision(found: Any, wanted: Any, tolerance: float) -> str:
    """Return the reason for numbers that are nearly right, or an empty string."""
    if tolerance >= 1e-4 or not same(found, wanted, 1e-4):
        return ""
    if _has_float32(found):
        return "it is computed in float32, which holds 7 digits: compute in float64"
    return "it is nearly right: is something rounded, or a small number added that is not asked for?"


def _relation(found: Any, wanted: Any, tolerance: float) -> str:
    """Return the reason if a wrong value is the expected one in another form; else an empty string."""
    if isinstance(wanted, tuple) and len(wanted) > 1:
        if same(found, wanted[0], tolerance):
            return f"this is the first of {len(wanted)} values: return all of them"
        if isinstance(found, (tuple, list)) and same(found[::-1], wanted, tolerance):
            return "the values are returned in the reverse order"
    both_lists = isinstance(found, (list, tuple)) and isinstance(wanted, (list, tuple))
    if both_lists and len(found) > 0 and all(isinstance(part, (bool, np.bool_)) for part in found):
        return "these are truth values, one for each element: return the indices of those that are true"
    a, b = _array(found), _array(wanted)
    if a is None or b is None or a.dtype.kind not in "iuf" or b.dtype.kind not in "iuf":
        return ""
    if a.ndim and not b.ndim:
        return "return one number, not several"
    if b.ndim and not a.ndim:
        return "return all the numbers, not one"
    if a.ndim > 1 and same(a.T, b, tolerance):
        return "rows and columns are exchanged: this is the transpose"
    return _factor(a, b, tolerance)


def _factor(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> str:
    """Return the reason if all numbers are off by the same factor."""
    if found.shape != wanted.shape or not np.any(wanted):
        return ""
    if same(-found.astype(float), wanted, tolerance):
        return "the sign is reversed"
    if len(np.unique(wanted)) < 3:
        return ""  # too few numbers to tell a factor from chance
    factor = float((found.astype(float) * wanted).sum() / (wanted.astype(float) ** 2).sum())
    if factor and same(found, factor * wanted, tolerance):
        return f"every number is {factor:.6g} times the expected one"
    return ""


def _order(found: Any, wanted: Any) -> str:
    try:
        right = isinstance(found, (list, tuple)) and sorted(found) == sorted(wanted)
    except (TypeError, ValueError):  # what cannot be sorted
        return ""
    return "the elements are right, but in another order" if right else ""


def _has_float32(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(_has_float32(part) for part in value)
    return getattr(value, "dtype", None) == np.float32


def _differing_part(found: Any, wanted: Any) -> str:
    """Say which part of a tuple, list or dict differs; an empty string where the whole is better shown."""
    if len(found) != len(wanted) or (isinstance(wanted, dict) and found.keys() != wanted.keys()):
        if isinstance(wanted, dict):
            return f"it returns a dict with the keys {_short(list(found))}; expected {_short(list(wanted))}"
        if any(isinstance(part, np.ndarray) for part in wanted):
            kind = type(found).__name__
            return f"it returns a {kind} of {plural(len(found), 'element')}; expected {len(wanted)}"
        return ""
    parts = wanted.items() if isinstance(wanted, dict) else enumerate(wanted)
    if not isinstance(wanted, dict) and not any(isinstance(part, (np.ndarray, dict, tuple)) for part in wanted):
        return ""
    for key, value in parts:
        if not same(found[key], value, 1e-9):
            name = f"for {key!r}" if isinstance(wanted, dict) else f"in element {key} of the {type(found).__name__}"
            return f"{name}, {difference(found[key], value)}"
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {list(value.shape)}"
    if isinstance(value, (list, tuple)):
        array = _array(value)
        if array is None or array.dtype.kind == "O":
            return f"rows of different lengths, {_short(value)}"
        return f"{_short(value)}, of shape {list(array.shape)}"
    return f"{_short(value)}, of type {type(value).__name__}"


def _short(value: Any) -> str:
    text = repr(_plain(value))
    return text if len(text) <= 160 else text[:150] + " …"


def _plain(value: Any) -> Any:
    """Return a value with its arrays as lists, rounded and cut to what fits into a message."""
    if isinstance(value, np.ndarray):
        value = value if value.size <= 1000 else value.ravel()[:100]
        return np.round(value, 6).tolist() if value.dtype.kind == "f" else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        parts = [_plain(part) for part in value[:100]]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def _raised(error: BaseException) -> str:
    """Say what an answer raised."""
    if isinstance(error, SystemExit):
        return "it ends the program instead of returning"
    message = " ".join(str(error).split())
    message = message if len(message) <= 200 else message[:190] + " …"
    return f"it raises {type(error).__name__}: {message}" if message else f"it raises {type(error).__name__}"


# What to look for after the exceptions that students meet most.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (SystemExit, "exit() and quit() end Python: use return"),
    (ModuleNotFoundError, "this module is not installed: the exercises need NumPy and Paddle only"),
    (ImportError, "the module has no such name"),
    (UnboundLocalError, "the variable is read before it is assigned in the function"),
    (NameError, "this name is not defined: a typing mistake, or a missing import"),
    (AttributeError, "the object has no such attribute: print its type"),
    (RecursionError, "the function calls itself without end"),
    (MemoryError, "it asks for more memory than there is: print the shapes"),
    (ZeroDivisionError, "a divisor is 0 for this input"),
    (IndexError, "an index lies outside: print it and the shape"),
    (KeyError, "the dict has no such key: print its keys"),
)


def _reason(error: BaseException, fails: str | Mapping[Any, str]) -> str:
    line = _line(error)
    if isinstance(fails, str):
        fails = {OverflowError: fails, FloatingPointError: fails} if fails else {}
    given = next((reason for kind, reason in fails.items() if isinstance(error, kind)), "")
    general = given or next((reason for kind, reason in _REASONS if isinstance(error, kind)), "")
    if not line:
        return general or "does the function take the arguments of the stub?"
    if not general and isinstance(error, TypeError):
        one_number = "only" in str(error) and "converted" in str(error)
        general = "functions of math take one number: use those of numpy" if one_number else "print the types there"
    if not general and isinstance(error, ValueError):
        general = "print the shapes there"
    return f"{general}; see line {line} of your file" if general else f"see line {line} of your file"


_HERE = os.path.dirname(__file__)


def _line(error: BaseException) -> int | None:
    """Return the line of the student's file that an exception came from, or ``None`` if it came before any."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if os.path.dirname(frame.filename) != _HERE]
    return next((frame.lineno for frame in reversed(frames) if frame.filename == frames[0].filename), None)
