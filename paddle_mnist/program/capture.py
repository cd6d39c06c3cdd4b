"""From a ``paddle.nn.Layer`` to a ``Graph``, by way of Paddle's static program.

Paddle runs the net's ``forward`` once on symbols in place of images and writes down every operation. This takes tens of
milliseconds, needs no data and leaves the net, its mode and all random generators as they were.

What ``forward`` decides in Python (a loop over layers, ``if self.training``) is decided at that moment. A decision that
the next batch could change is refused: on values, on the batch size, by random numbers from Python's or NumPy's
global generators, or by attributes that ``forward`` itself changes.
"""

from __future__ import annotations

import contextlib
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import paddle
from paddle.static import InputSpec

from paddle_mnist.program.graph import Graph
from paddle_mnist.program.translate import NotCoveredError, Translator

__all__ = ["capture"]

BATCH_SIZE = "forward computes with the batch size"


def capture(net: paddle.nn.Layer, input_shape: tuple[int, ...] = (1, 28, 28)) -> Graph:
    """Return what ``net`` computes, in the mode (training or evaluation) that it is in.

    Args:
        net: any layer whose ``forward`` takes one float32 tensor [n, *input_shape] and returns one tensor [n, ...].
        input_shape: of one image.

    Raises:
        NotCoveredError: the net does something that a ``Graph`` cannot express; the message says what.
    """
    names = _names(net)
    attributes = {layer: _attributes(layer) for layer in _own_layers(net)}
    with _undisturbed():
        program, outputs = _static_program(net, input_shape)
    changed = [layer for layer, before in attributes.items() if _changed(before, _attributes(layer))]
    for layer in changed:
        vars(layer).update(attributes[layer])
    if changed:
        raise NotCoveredError("forward changes attributes of the net")
    return Translator(names, input_shape).translate(program, outputs)


def _names(net: paddle.nn.Layer) -> dict[str, str]:
    """Return the names in ``state_dict`` by the names of Paddle's tensors."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    names = {tensor.name: name for name, tensor in tensors}
    if len(names) != len(tensors):
        raise NotCoveredError("two parameters or buffers bear the same name")
    return names


def _own_layers(net: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    """Return the layers whose ``forward`` is not Paddle's own (which may note a data format on its first call)."""
    layers = net.sublayers(include_self=True)
    return [layer for layer in layers if type(layer).__module__.partition(".")[0] != "paddle"]


def _attributes(layer: paddle.nn.Layer) -> dict[str, object]:
    """Return a layer's attributes, but for the one in which Paddle notes that a layer was called."""
    return {name: value for name, value in vars(layer).items() if name != "_built"}


def _changed(before: dict[str, object], after: dict[str, object]) -> bool:
    """Whether attributes differ: numbers and texts by value, all else (tensors, for instance) by identity."""
    simple = (bool, int, float, str)

    def same(one: object, other: object) -> bool:
        return one is other or (isinstance(one, simple) and type(one) is type(other) and one == other)

    return before.keys() != after.keys() or not all(same(before[name], after[name]) for name in before)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Restore the global random generators, and refuse what drew from those of Python or NumPy."""
    python, numpy, ours = random.getstate(), np.random.get_state(legacy=False), paddle.get_rng_state()
    drawn = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Paddle's advice about static programs
            yield
    finally:
        now = np.random.get_state(legacy=False)
        drawn = random.getstate() != python or not _same_state(now, numpy)
        random.setstate(python)
        np.random.set_state(numpy)
        paddle.set_rng_state(ours)
    if drawn:
        raise NotCoveredError("forward draws random numbers")


def _same_state(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["state"]["pos"] == other["state"]["pos"] and (one["state"]["key"] == other["state"]["key"]).all()


def _static_program(net: paddle.nn.Layer, input_shape: tuple[int, ...]) -> tuple[Any, list[Any]]:
    """Return Paddle's program and its outputs."""

    def forward(images: Any) -> Any:
        return net.forward(images)

    # ``not_to_static``: run ``forward`` as the Python code that it is, instead of translating its source.
    function = paddle.jit.to_static(
        paddle.jit.not_to_static(forward),
        input_spec=[InputSpec([None, *input_shape], "float32")],
        full_graph=True,
    )
    try:
        with paddle.utils.unique_name.guard(), _symbolic_batch_size():
            program = function.concrete_program
            return program.main_program, list(program.outputs or [])
    except Exception as error:  # whatever the net's own code raises when it meets symbols; Paddle wraps it
        reason = BATCH_SIZE if BATCH_SIZE in str(error) else f"forward cannot be captured ({type(error).__name__})"
        raise NotCoveredError(reason) from error


class _BatchSize(int):
    """The batch size as code outside Paddle sees it: may be passed on, as in ``reshape``, but decides nothing."""

    __hash__ = int.__hash__


def _guarded(name: str) -> Callable[..., Any]:
    def method(self: Any, *others: object) -> Any:
        if not _called_by_paddle():
            raise NotCoveredError(BATCH_SIZE)
        return getattr(int, name)(self, *others)

    return method


for _name in (
    *("eq", "ne", "lt", "le", "gt", "ge", "bool", "float", "neg", "abs", "add", "radd", "sub", "rsub", "mul", "rmul"),
    *("floordiv", "rfloordiv", "truediv", "rtruediv", "mod", "rmod", "pow", "rpow", "divmod"),
):
    setattr(_BatchSize, f"__{_name}__", _guarded(f"__{_name}__"))


def _called_by_paddle() -> bool:
    """Whether the function that asks was called from Paddle's own code."""
    return sys._getframe(2).f_globals.get("__name__", "").partition(".")[0] == "paddle"


@contextlib.contextmanager
def _symbolic_batch_size() -> Iterator[None]:
    """Let code outside Paddle that reads ``x.shape`` find a ``_BatchSize`` where the batch is."""
    value_type = paddle.pir.Value
    original = value_type.shape

    def shape(value: Any) -> Any:
        sizes = original.__get__(value)
        if _called_by_paddle():
            return sizes
        return [_BatchSize(-1) if size == -1 else size for size in sizes]

    value_type.shape = property(shape)
    try:
        yield
    finally:
        value_type.shape = original
