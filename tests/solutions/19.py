"""Right answers to lab 19."""

import numpy as np


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def quantize(weights, bits):
    largest = np.abs(weights).max(axis=0)
    scales = np.where(largest > 0, largest / (2 ** (bits - 1) - 1), 1)
    return np.rint(weights / scales).astype(np.int8), scales


def uint8_range(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return scale, round(-low / scale)
