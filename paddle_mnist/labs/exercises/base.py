"""What an exercise is, and how an answer is compared with what it should be.

A check calls the student's function on inputs of its own and raises ``Wrong`` at the first difference. It names the
input, both values, and, where the wrong value is one that a well-known slip gives, the slip.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Answer = Callable[..., Any]
# A value that a slip gives, and what the slip is.
Slip = tuple[Any, str]


@dataclass(frozen=True)
class Exercise:
    """One thing to write.

    Attributes:
        stub: the function's source: its signature, a docstring that says what it takes and returns, no body.
        check: calls the answer and raises ``Wrong`` unless it is right.
        hints: from a nudge to nearly the answer, each in English and in Chinese.
        body: what stands below the docstring at first. It raises NotImplementedError; lines that the student is to
            correct may follow.
    """

    stub: str
    check: Callable[[Answer], None]
    hints: tuple[tuple[str, str], ...]
    body: str = "    raise NotImplementedError  # your lines go here\n"

    @property
    def name(self) -> str:
        """The name of the function that is asked for."""
        return self.stub.split("def ", 1)[1].split("(", 1)[0]


class Wrong(AssertionError):
    """An answer is not right.

    Attributes:
        what: what differs.
        on: the input on which it does.
        why: what may be the reason.
    """

    def __init__(self, what: str, on: str, why: str) -> None:
        super().__init__(f"{what}\n  on which input: {on}\n  why, perhaps: {why}")
        self.what, self.on, self.why = what, on, why


def call(answer: Answer, *arguments: Any, on: str, fails: str = "") -> Any:
    """Call the answer on copies of the arguments; refuse an answer that fails, or that changes what it was given.

    Args:
        answer: the student's function.
        arguments: what to give it.
        on: the input, said shortly.
        fails: why it may raise an exception on this input.

    Raises:
        Wrong: the answer raised an exception, or changed an argument.
        NotImplementedError: the stub is still as it was.
    """
    given = copy.deepcopy(arguments)
    try:
        found = answer(*given)
    except NotImplementedError:
        raise
    except Exception as error:
        reason = f"{fails}; {_where(error)}" if fails else _where(error)
        raise Wrong(f"it stops with {type(error).__name__}: {error}", on, reason) from error
    for before, after in zip(arguments, given, strict=True):
        if isinstance(before, (np.ndarray, list, dict)) and not same(before, after):
            raise Wrong(
                "it changes the array that it is given",
                on,
                "an operator such as -= or x[...] = works in place; the caller still needs his array: make a new one",
            )
    return found


def expect(
    found: Any, wanted: Any, on: str, slips: Iterable[Slip] = (), why: str = "", tolerance: float = 1e-6
) -> None:
    """Compare what an answer returned with what is right.

    Args:
        found: what the answer returned.
        wanted: what is right: an array, a number, a string, or a list, tuple or dict of such.
        on: the input, said shortly.
        slips: wrong values with the slip that gives each; the first that equals ``found`` is named.
        why: what to say if no slip fits.
        tolerance: how far numbers may be from ``wanted``, relative to its largest one.

    Raises:
        Wrong: the two differ.
    """
    if same(found, wanted, tolerance):
        return
    reason = next((slip for value, slip in slips if same(found, value, tolerance)), why)
    raise Wrong(_difference(found, wanted), on, reason or "follow this input through your lines by hand")


def same(found: Any, wanted: Any, tolerance: float = 1e-6) -> bool:
    """Tell whether two values are of the same kind, shape and, within the tolerance, size."""
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
    if found is None or wanted is None or isinstance(wanted, str):
        return type(found) is type(wanted) and found == wanted
    try:
        a, b = np.asarray(found), np.asarray(wanted)
    except ValueError:
        return False
    if a.shape != b.shape or a.dtype.kind not in "biuf":
        return False
    scale = max(float(np.max(np.abs(b), initial=0)), 1e-12) if b.dtype.kind != "b" else 1.0
    return bool(np.allclose(a.astype(float), b.astype(float), rtol=0, atol=tolerance * scale))


def _difference(found: Any, wanted: Any) -> str:
    """Say in a line or two what differs."""
    if found is None:
        return f"it returns nothing (None), where {_short(wanted)} is right"
    if isinstance(wanted, np.ndarray):
        if np.shape(found) != wanted.shape:
            return f"it returns {_kind(found)}, where an array of shape {list(wanted.shape)} is right"
        values = np.asarray(found)
        if wanted.size > 8 and values.dtype.kind in "biuf":
            gap = np.abs(values.astype(float) - wanted)
            place = np.unravel_index(int(np.where(np.isnan(gap), np.inf, gap).argmax()), gap.shape)
            index = ", ".join(map(str, place))
            return f"at [{index}] it returns {values[place]:.6g}, where {wanted[place]:.6g} is right"
    return f"it returns {_short(found)}, where {_short(wanted)} is right"


def _kind(value: Any) -> str:
    if isinstance(value, (np.ndarray, list, tuple)):
        return f"an array of shape {list(np.shape(value))}" if isinstance(value, np.ndarray) else _short(value)
    return f"{_short(value)}, of type {type(value).__name__}"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = np.round(value, 6).tolist() if value.dtype.kind == "f" else value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    text = repr(value)
    return text if len(text) <= 160 else text[:150] + " …"


def _where(error: Exception) -> str:
    """Say which line of the answer an exception came from."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename != __file__ and line is None:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"look at line {line} of your file; print the shapes there" if line else "look at the signature of the stub"
