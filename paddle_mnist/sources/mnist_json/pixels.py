"""A buffer for the pixels of a file whose number of digits is known only at its end."""

from __future__ import annotations

import numpy as np


class PixelBuffer:
    """Collects pixels in one large array.

    The operating system supplies such an array in pages of 2 MB where it can, and copying into it lets other threads
    run; an ``io.BytesIO`` takes eight times as long, during which they wait. What was not written takes no memory.
    """

    def __init__(self) -> None:
        self._array = np.empty(1 << 26, np.uint8)
        self._size = 0

    def append(self, pixels: np.ndarray) -> None:
        """Append pixels, uint8 of any shape."""
        size = self._size + pixels.size
        if size > len(self._array):
            larger = np.empty(2 * size, np.uint8)
            larger[: self._size] = self.pixels()
            self._array = larger
        self._array[self._size : size] = pixels.reshape(-1)
        self._size = size

    def pixels(self) -> np.ndarray:
        """Return what was appended, uint8 [n], to be changed in place."""
        return self._array[: self._size]
