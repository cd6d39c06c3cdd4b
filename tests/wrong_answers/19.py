"""Wrong answers to lab 19, each with a slip that its name tells."""

import numpy as np


def _groups(value):
    groups = [value % 128]
    while value := value // 128:
        groups.append(value % 128)
    return groups


def varint__without_top_bits(value):
    """set the top bit (add 128) of every byte but the last"""
    return bytes(_groups(value))


def varint__top_bit_everywhere(value):
    """the last byte has no top bit"""
    return bytes(group + 128 for group in _groups(value))


def varint__highest_first(value):
    """the lowest 7 bits come first"""
    groups = _groups(value)[::-1]
    return bytes([group + 128 for group in groups[:-1]] + groups[-1:])


def varint__nothing_for_zero(value):
    """0 takes one byte too"""
    groups = _groups(value) if value else []
    return bytes([group + 128 for group in groups[:-1]] + groups[-1:])


def varint__in_whole_bytes(value):
    """a byte holds 7 bits of the value, not 8"""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "little")


def varint__returns_a_list(value):
    """return bytes(...), not a list of numbers"""
    groups = _groups(value)
    return [group + 128 for group in groups[:-1]] + groups[-1:]


def varint__stops_too_late(value):
    """stop when nothing is left"""
    out = b""
    while value >= 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def _quantize(weights, levels, axis=0):
    largest = np.abs(weights).max(axis=axis)
    scales = np.where(largest > 0, largest / levels, 1)
    return np.rint(weights / (scales if axis == 0 else scales[:, np.newaxis])).astype(np.int8), scales


def quantize__one_level_too_many(weights, bits):
    """divide by 2 ** (bits - 1) - 1"""
    return _quantize(weights, 2 ** (bits - 1))


def quantize__without_a_sign(weights, bits):
    """half of the integers are negative"""
    return _quantize(weights, 2**bits - 1)


def quantize__a_scale_for_each_row(weights, bits):
    """a scale for each column (axis=0), not for each row"""
    return _quantize(weights, 2 ** (bits - 1) - 1, axis=1)


def quantize__one_scale_for_all(weights, bits):
    """each column has a scale of its own"""
    scales = np.full(weights.shape[1], np.abs(weights).max() / (2 ** (bits - 1) - 1))
    return np.rint(weights / scales).astype(np.int8), scales


def quantize__forgets_negative_weights(weights, bits):
    """the largest absolute value"""
    scales = np.where(weights.any(axis=0), weights.max(axis=0), 1) / (2 ** (bits - 1) - 1)
    return np.rint(weights / scales).astype(np.int8), scales


def quantize__divides_by_zero(weights, bits):
    """a column of zeros has the scale 1"""
    scales = np.abs(weights).max(axis=0) / (2 ** (bits - 1) - 1)
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.rint(weights / scales)).astype(np.int8), scales


def quantize__cuts_off(weights, bits):
    """round to the nearest integer"""
    _, scales = _quantize(weights, 2 ** (bits - 1) - 1)
    return (weights / scales).astype(np.int8), scales


def quantize__keeps_floats(weights, bits):
    """end with .astype(np.int8)"""
    _, scales = _quantize(weights, 2 ** (bits - 1) - 1)
    return np.rint(weights / scales), scales


def quantize__returns_integers_alone(weights, bits):
    """return q, scales"""
    return _quantize(weights, 2 ** (bits - 1) - 1)[0]


def quantize__inverse_scale(weights, bits):
    """this is the inverse"""
    q, scales = _quantize(weights, 2 ** (bits - 1) - 1)
    return q, 1 / scales


def uint8_range__without_zero(low, high):
    """the range has to include 0"""
    scale = (high - low) / 255
    return scale, min(max(round(-low / scale), 0), 255)


def _range(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    return low, high, (high - low) / 255


def uint8_range__256_steps(low, high):
    """0 to 255 are 255 steps, not 256"""
    low, high, _ = _range(low, high)
    scale = (high - low) / 256
    return scale, round(-low / scale)


def uint8_range__symmetric(low, high):
    """this is the symmetric range of int8"""
    return max(abs(low), abs(high)) / 127, 128


def uint8_range__wrong_sign(low, high):
    """the sign"""
    low, _, scale = _range(low, high)
    return scale, round(low / scale)


def uint8_range__from_the_wrong_end(low, high):
    """q = 0 stands for the low end"""
    low, _, scale = _range(low, high)
    return scale, 255 - round(-low / scale)


def uint8_range__without_rounding(low, high):
    """round it to an integer"""
    low, _, scale = _range(low, high)
    return scale, -low / scale


def uint8_range__rounds_down(low, high):
    """round to the nearest integer, not down"""
    low, _, scale = _range(low, high)
    return scale, int(-low / scale)


def uint8_range__a_float(low, high):
    """end with int(round(...))"""
    low, _, scale = _range(low, high)
    return scale, float(round(-low / scale))


def uint8_range__inverse(low, high):
    """this is the inverse"""
    low, _, scale = _range(low, high)
    return 1 / scale, round(-low / scale)
