"""ReLU, sigmoid and sums."""

from __future__ import annotations

from collections.abc import Callable

from paddle_mnist.fast import elementwise
from paddle_mnist.fast.compiled.library import loaded
from paddle_mnist.fast.workspace import Workspace
from paddle_mnist.program import Node


class Relu(elementwise.Unary):
    """max(x, 0)."""

    keeps_output = True

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.forward = loaded().step("relu_forward", self.x, self.y, self.y.size)

    def prepare(self, workspace: Workspace) -> None:
        super().prepare(workspace)
        self.backward = loaded().step("relu_backward", self.y, self.gradient, self.y.size)


class Sigmoid(elementwise.Unary):
    """1 / (1 + exp(-x))."""

    keeps_output = True

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.forward = loaded().step("sigmoid_forward", self.x, self.y, self.y.size)

    def prepare(self, workspace: Workspace) -> None:
        super().prepare(workspace)
        self.backward = loaded().step("sigmoid_backward", self.y, self.gradient, self.y.size)


class Add(elementwise.Add):
    """a + b, and max(a + b, 0) where a ReLU follows."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.relu = None
        if self.summed:
            return
        self.relu = workspace.follower(node, "relu")
        if self.relu is not None:
            workspace.absorb(self.relu)
            workspace.keep(node.name)
        self.forward = loaded().step("add", self.a, self.b, self.y, self.y.size, int(self.relu is not None))

    def backward_calls(self) -> list[Callable[[], None]]:
        calls: list[Callable[[], None]] = []
        if self.relu is not None:
            calls.append(loaded().step("relu_backward", self.y, self.gradient, self.y.size))
        if self.copy is not None:
            if self.summed:
                calls.append(self.backward)
            else:
                calls.append(loaded().step("copy", self.gradient, self.copy, self.gradient.size))
        return calls
