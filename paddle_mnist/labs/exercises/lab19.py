"""Exercises of lab 19: integers in 7 bits a byte, weights in few bits, and the range of uint8 activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_VARINT = '''
def varint(value):
    """Return a non-negative integer as protobuf writes it: 7 bits a byte, the lowest first.

    A byte's top bit (128) is set if more bytes follow.
    value: an integer of at least 0.
    Returns: bytes; at least one.
    """
'''

_QUANTIZE = '''
def quantize(weights, bits):
    """Return weights as integers, with a scale for each column: q * scales is close to weights.

    The largest absolute value of a column becomes 2 ** (bits - 1) - 1, so 127 for 8 bits. The others are rounded to
    the nearest integer. A column of zeros has the scale 1.
    weights: float [inputs, outputs].  bits: 2 to 8.
    Returns: (q, scales); q of dtype int8 [inputs, outputs], scales [outputs].
    """
'''

_RANGE = '''
def uint8_range(low, high):
    """Return the scale and the zero point with which uint8 numbers q stand for x = scale * (q - zero_point).

    The numbers 0 to 255 cover low to high, and 0 as well, even where it lies outside: padding and ReLU need an exact 0.
    The zero point is the number that stands for 0, rounded to an integer.
    low, high: the smallest and the largest activation; low < high.
    Returns: (scale, zero_point); zero_point an int from 0 to 255.
    """
'''


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def _check_varint(answer: Answer) -> None:
    for value in (1, 0, 127, 128, 300, 16_383, 16_384, 2**35 + 5):
        wanted, on = _varint(value), f"value = {value:,}"
        found = call(answer, value, on=on)
        if isinstance(found, bytearray):
            found = bytes(found)
        slips: list[tuple[Any, str]] = [
            (b"", "0 takes one byte too"),
            (bytes(byte & 127 for byte in wanted), "set the top bit (add 128) of every byte but the last"),
            (bytes(byte | 128 for byte in wanted), "the last byte has no top bit: nothing follows it"),
            (wanted[::-1], "the lowest 7 bits come first"),
            (_top_bit_last(wanted), "the lowest 7 bits come first, and the top bit says that more bytes follow"),
            (
                wanted[:-1] + bytes([wanted[-1] | 128, 0]),
                "stop when nothing is left: 127 fits into one byte, 128 does not",
            ),
            (
                value.to_bytes(max(1, (value.bit_length() + 7) // 8), "little"),
                "a byte holds 7 bits of the value, not 8",
            ),
        ]
        if not isinstance(found, bytes):
            slips = [
                (list(wanted), "return bytes(...), not a list of numbers"),
                (wanted.hex(), "return bytes, not text"),
            ]
        expect(found, wanted, on, slips, "write down the value in bits, in groups of 7 from the right")


def _top_bit_last(data: bytes) -> bytes:
    """Return the groups with the highest first, and top bits as if they were in the right order."""
    groups = [byte & 127 for byte in data[::-1]]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def _check_quantize(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    first = np.array([[0.5, -2.0], [-1.0, 1.0], [0.26, 0.3]])
    zeros = np.array([[0.0, 1.0], [0.0, -0.4]])
    for weights, bits in ((first, 8), (first, 3), (rng.normal(size=(6, 3)) * [1, 10, 0.1], 4), (zeros, 8)):
        on = f"weights of shape {list(weights.shape)}, bits = {bits}"
        on += ", the first column all zero" if weights is zeros else ""
        wanted = _quantize(weights, bits)
        found = call(answer, weights, bits, on=on, fails="divide by the largest value only where it is not 0")
        if not (isinstance(found, (tuple, list)) and len(found) == 2):
            raise Wrong("it does not return two things", on, "return q, scales")
        q, scales = found
        slips = [
            (
                _quantize(weights, bits, levels=2 ** (bits - 1))[1],
                "divide by 2 ** (bits - 1) - 1: there is no +128 in int8",
            ),
            (_quantize(weights, bits, levels=2**bits - 1)[1], "half of the integers are negative: 2 ** (bits - 1) - 1"),
            (_quantize(weights, bits, axis=1)[1], "a scale for each column (axis=0), not for each row"),
            (
                np.full(weights.shape[1], np.abs(weights).max() / (2 ** (bits - 1) - 1)),
                "each column has a scale of its own",
            ),
            (
                np.where(weights.any(axis=0), weights.max(axis=0), 1) / (2 ** (bits - 1) - 1),
                "the largest absolute value",
            ),
            (np.where(weights.any(axis=0), wanted[1], 0), "a column of zeros has the scale 1"),
            (1 / wanted[1], "this is the inverse: q * scales gives the weights"),
            (wanted[1][np.newaxis], "scales has the shape [outputs]"),
        ]
        expect(
            scales, wanted[1], f"{on}: scales", slips, "the column's largest absolute value over the largest integer"
        )
        slips = [
            (np.trunc(weights / wanted[1]), "round to the nearest integer: astype alone cuts off"),
            (np.floor(weights / wanted[1]), "round to the nearest integer, not down"),
            (weights / wanted[1], "q must be integers: round"),
        ]
        expect(q, wanted[0], f"{on}: q", slips, "weights / scales, rounded", tolerance=1e-9)
        if np.asarray(q).dtype != np.int8:
            raise Wrong(f"q has the dtype {np.asarray(q).dtype}; expected int8", on, "end with .astype(np.int8)")


def _quantize(weights, bits, levels=None, axis=0):
    levels = levels or 2 ** (bits - 1) - 1
    largest = np.abs(weights).max(axis=axis)
    scales = np.where(largest > 0, largest / levels, 1)
    rows = scales if axis == 0 else scales[:, np.newaxis]
    return np.rint(weights / rows).astype(np.int8), scales


def _check_range(answer: Answer) -> None:
    for low, high in ((-2.0, 1.3), (0.0, 1.0), (2.0, 5.1), (-4.0, -1.0), (-0.7, 0.2)):
        on = f"low = {low:g}, high = {high:g}"
        wanted = _range(low, high)
        found = call(answer, low, high, on=on)
        if not (isinstance(found, (tuple, list)) and len(found) == 2):
            raise Wrong("it does not return two things", on, "return scale, zero_point")
        bottom, top = min(low, 0.0), max(high, 0.0)
        slips = [
            ((high - low) / 255, "the range has to include 0, even where low and high lie on one side of it"),
            ((top - bottom) / 256, "0 to 255 are 255 steps, not 256"),
            (max(abs(low), abs(high)) / 127, "uint8 covers low to high; this is the symmetric range of int8"),
            (max(abs(low), abs(high)) / 255, "the range is as long as from low to high"),
            (255 / (top - bottom), "this is the inverse: a step of q is worth scale"),
        ]
        expect(found[0], wanted[0], f"{on}: scale", slips, "the length of the range over 255")
        slips = [
            (-wanted[1], "the sign: q = zero_point must give 0 where x = scale * (q - zero_point)"),
            (255 - wanted[1], "q = 0 stands for the low end, so that zero_point = -low / scale"),
            (bottom, "in steps: divide by scale"),
            (-bottom / wanted[0], "round it to an integer"),
            (float(np.trunc(-bottom / wanted[0])), "round to the nearest integer, not down"),
            (128, "zero_point depends on where 0 lies between low and high"),
        ]
        expect(found[1], wanted[1], f"{on}: zero_point", slips, "solve 0 - low = scale * zero_point", tolerance=1e-9)
        if not isinstance(found[1], (int, np.integer)):
            raise Wrong(f"zero_point is a {type(found[1]).__name__}; expected an int", on, "end with int(round(...))")


def _range(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return scale, round(-low / scale)


EXERCISES = (
    Exercise(
        _VARINT,
        _check_varint,
        (
            (
                "value % 128 are the lowest 7 bits, value // 128 is what is left.",
                "value % 128 是最低的 7 位，value // 128 是剩下的部分。",
            ),
            (
                "While value >= 128: append value % 128 + 128 and divide. At the end append what is left.",
                "当 value >= 128 时：追加 value % 128 + 128，再整除。最后追加剩下的部分。",
            ),
        ),
    ),
    Exercise(
        _QUANTIZE,
        _check_quantize,
        (
            (
                "np.abs(weights).max(axis=0) is the largest of each column; np.where takes care of zeros.",
                "np.abs(weights).max(axis=0) 是每列的最大值；np.where 处理全零的列。",
            ),
            (
                "scales = largest / (2 ** (bits - 1) - 1), 1 where largest is 0; q = np.rint(weights / scales).",
                "scales = largest / (2 ** (bits - 1) - 1)，largest 为 0 处取 1；q = np.rint(weights / scales)。",
            ),
        ),
    ),
    Exercise(
        _RANGE,
        _check_range,
        (
            (
                "First extend the range: low = min(low, 0), high = max(high, 0).",
                "先扩展范围：low = min(low, 0)，high = max(high, 0)。",
            ),
            (
                "scale = (high - low) / 255; q = 0 stands for low, so zero_point = round(-low / scale).",
                "scale = (high - low) / 255；q = 0 代表 low，所以 zero_point = round(-low / scale)。",
            ),
        ),
    ),
)
