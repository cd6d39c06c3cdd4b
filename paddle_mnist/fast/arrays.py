"""Arrays over memory that is aligned, shared with Paddle, or part of a larger array."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import paddle


def aligned(*shape: int) -> np.ndarray:
    """Return zeros, float32, 64-byte aligned: vector instructions are fastest there, and round alike in every run."""
    size, line = 4 * math.prod(shape), 64
    memory = np.zeros(size + line, np.uint8)
    start = -memory.ctypes.data % line
    return memory[start : start + size].view(np.float32).reshape(shape)


def aligned_at(place: int, size: int) -> np.ndarray:
    """Return ``size`` zeros, float32, of which the one at ``place`` is 64-byte aligned."""
    memory = aligned(size + 16)
    start = -place % 16
    return memory[start : start + size]


def memory_of(tensor: paddle.Tensor) -> np.ndarray:
    """Return the tensor's own memory as an array. Writing into it changes the tensor, which must outlive it."""
    pointer = ctypes.cast(tensor.data_ptr(), ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(pointer, tuple(tensor.shape))


def split(flat: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Return views of consecutive parts of ``flat`` in the given shapes."""
    edges = np.cumsum([0, *map(math.prod, shapes)]).tolist()
    return [flat[i:j].reshape(shape) for (i, j), shape in zip(pairwise(edges), shapes, strict=True)]


class TensorMemory:
    """The memory of Paddle's tensors as arrays, looked up again where Paddle has moved it.

    Attributes:
        tensors: in the order in which ``arrays`` returns their memory.
    """

    def __init__(self, tensors: Sequence[paddle.Tensor]) -> None:
        self.tensors = list(tensors)
        self._addresses = [0] * len(self.tensors)
        self._arrays = [np.empty(0, np.float32)] * len(self.tensors)

    def arrays(self) -> list[np.ndarray]:
        """Return each tensor's memory."""
        for i, tensor in enumerate(self.tensors):
            address = tensor.data_ptr()
            if address != self._addresses[i]:  # for instance when a state was loaded
                self._addresses[i], self._arrays[i] = address, memory_of(tensor)
        return self._arrays
