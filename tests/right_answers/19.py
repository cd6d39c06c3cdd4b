"""Right answers to lab 19 in other styles."""

import numpy as np


def varint__by_bits(value):
    groups = [value & 127]
    while value := value >> 7:
        groups.append(value & 127)
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def varint__in_a_bytearray(value):
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return out


def quantize__column_by_column(weights, bits):
    q, scales = np.zeros(weights.shape, np.int8), []
    for column in range(weights.shape[1]):
        scale = max(abs(value) for value in weights[:, column]) / (2 ** (bits - 1) - 1) or 1.0
        q[:, column] = np.round(weights[:, column] / scale)
        scales.append(scale)
    return q, np.array(scales)


def quantize__clips(weights, bits):
    levels = (1 << (bits - 1)) - 1
    scales = np.max(np.abs(weights), axis=0) / levels
    scales[scales == 0] = 1
    return np.clip(np.round(weights / scales), -levels, levels).astype("int8"), scales


def uint8_range__with_numpy(low, high):
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = (high - low) / 255
    return scale, int(np.rint(-low / scale))


def uint8_range__from_the_top(low, high):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / 255
    return [scale, 255 - round(high / scale)]
