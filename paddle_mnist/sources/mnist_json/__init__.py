"""The course's ``mnist.json.gz``: read as a stream in bounded memory, and written."""

from paddle_mnist.sources.mnist_json.levels import ENCODINGS, pixel_values
from paddle_mnist.sources.mnist_json.reader import read
from paddle_mnist.sources.mnist_json.writer import write

__all__ = ["ENCODINGS", "pixel_values", "read", "write"]
