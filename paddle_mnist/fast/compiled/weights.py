"""A convolution's weights, packed in the orders that its kernels want."""

from __future__ import annotations

import numpy as np

from paddle_mnist.fast.compiled.library import Step
from paddle_mnist.fast.workspace import Workspace
from paddle_mnist.program import Node


class PackedWeights:
    """A convolution's weights, packed once for all blocks. Subclasses make the attributes.

    Attributes:
        weight: float32 of the parameter's shape, [outputs, channels, kh, kw]; what ``steps`` pack.
        bias: float32 [outputs], 0 where the convolution has none.
        steps: the calls that pack ``weight``.
    """

    weight: np.ndarray
    bias: np.ndarray
    steps: list[Step]

    def __init__(self, node: Node, workspace: Workspace) -> None:
        self.values, self.names = workspace.plan.values, node.parameters

    def load(self) -> None:
        """Take over new values."""
        np.copyto(self.weight, self.values[self.names["weight"]].reshape(self.weight.shape))
        if "bias" in self.names:
            np.copyto(self.bias, self.values[self.names["bias"]].reshape(-1))
        for step in self.steps:
            step()
