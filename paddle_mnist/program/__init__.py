"""A net as a small graph: captured once from Paddle's own static program, rewritten, and read by whoever runs it.

print(rewrite(capture(CNN())))

images: [1, 28, 28]
convolution_1: [20, 28, 28] = convolution(images) weight=conv1.weight bias=conv1.bias strides=(1, 1) …
…
"""

from paddle_mnist.program import operations  # registers its functions
from paddle_mnist.program.capture import capture
from paddle_mnist.program.graph import IMAGES, OPERATIONS, Graph, Node
from paddle_mnist.program.rewrite import join_biases, rewrite
from paddle_mnist.program.translate import NotCoveredError

__all__ = [
    "IMAGES",
    "OPERATIONS",
    "Graph",
    "Node",
    "NotCoveredError",
    "capture",
    "join_biases",
    "operations",
    "rewrite",
]
