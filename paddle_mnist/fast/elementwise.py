"""Kernels that work element by element: activations, sums, products, dropout."""

from __future__ import annotations

import math

import numpy as np

from paddle_mnist.fast.workspace import Kernel, Workspace, stored_shape
from paddle_mnist.program import Node


class Unary(Kernel):
    """Base of the kernels with one input, whose gradient takes the place of the output's."""

    in_place = True  # the value may be written over the input
    keeps_output = False

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x = workspace.value(node.inputs[0])
        self.y = workspace.new_output(node, over=0 if self.in_place or not workspace.train else None)
        if self.keeps_output:
            workspace.keep(node.name)

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        workspace.input_gradient(self.node, shared=self.gradient)


class Relu(Unary):
    """max(x, 0)."""

    keeps_output = True

    def prepare(self, workspace: Workspace) -> None:
        super().prepare(workspace)
        # The bits of float32 as an integer: (0 - y) >> 31 is all ones where y > 0 and zero elsewhere. ``and`` with it
        # stops a gradient exactly, at the speed of the cache; multiplying by a boolean array would convert it first.
        self.mask = np.empty_like(self.y)
        self.bits, self.gradient_bits = self.mask.view(np.int32), self.gradient.view(np.int32)

    def forward(self) -> None:
        np.maximum(self.x, 0, out=self.y)

    def backward(self) -> None:
        np.subtract(0, self.y, out=self.mask)
        np.right_shift(self.bits, 31, out=self.bits)
        np.bitwise_and(self.gradient_bits, self.bits, out=self.gradient_bits)


class LeakyRelu(Unary):
    """x where it is positive, else slope * x. Paddle takes the derivative at zero to be 1, other than that of ReLU."""

    in_place = False

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.slope = np.float32(node.attributes["slope"])

    def forward(self) -> None:
        np.multiply(self.x, np.where(self.x > 0, np.float32(1), self.slope), out=self.y)

    def backward(self) -> None:
        self.gradient *= np.where(self.x >= 0, np.float32(1), self.slope)


class Sigmoid(Unary):
    """1 / (1 + exp(-x))."""

    keeps_output = True

    def forward(self) -> None:
        y = self.y
        np.negative(self.x, out=y)
        np.exp(y, out=y)
        np.add(y, 1, out=y)
        np.reciprocal(y, out=y)

    def backward(self) -> None:
        self.gradient *= self.y
        np.subtract(1, self.y, out=self.y)
        self.gradient *= self.y


class Tanh(Unary):
    """tanh(x)."""

    keeps_output = True

    def forward(self) -> None:
        np.tanh(self.x, out=self.y)

    def backward(self) -> None:
        self.gradient *= 1 - np.square(self.y)


class Gelu(Unary):
    """x times the normal distribution's probability of being below x, or its approximation by tanh."""

    in_place = False

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.approximate = node.attributes["approximate"]
        if not self.approximate:
            from scipy.special import erf

            self.erf = erf

    def _probability(self) -> np.ndarray:
        x = self.x
        if self.approximate:
            return 0.5 * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)))
        return 0.5 * (1 + self.erf(x * np.float32(math.sqrt(0.5))))

    def forward(self) -> None:
        np.multiply(self.x, self._probability(), out=self.y)

    def backward(self) -> None:
        x, p = self.x, self._probability()
        if self.approximate:
            inner = np.float32(math.sqrt(2 / math.pi)) * (1 + np.float32(3 * 0.044715) * x * x)
            density = 2 * p * (1 - p) * inner
        else:
            density = np.exp(-0.5 * x * x) * np.float32(1 / math.sqrt(2 * math.pi))
        self.gradient *= p + x * density


class Silu(Unary):
    """x * sigmoid(x)."""

    in_place = False

    def forward(self) -> None:
        np.divide(self.x, 1 + np.exp(-self.x), out=self.y)

    def backward(self) -> None:
        s = 1 / (1 + np.exp(-self.x))
        self.gradient *= s * (1 + self.x * (1 - s))


class Relu6(Unary):
    """min(max(x, 0), 6)."""

    keeps_output = True

    def forward(self) -> None:
        np.clip(self.x, np.float32(0), np.float32(6), out=self.y)

    def backward(self) -> None:
        self.gradient *= (self.y > 0) & (self.y < 6)


class Hardswish(Unary):
    """x * min(max(x + 3, 0), 6) / 6."""

    in_place = False

    def _gate(self) -> np.ndarray:
        return np.clip(self.x + np.float32(3), np.float32(0), np.float32(6)) / np.float32(6)

    def forward(self) -> None:
        np.multiply(self.x, self._gate(), out=self.y)

    def backward(self) -> None:
        x = self.x
        self.gradient *= self._gate() + np.where(np.abs(x) < 3, x / np.float32(6), np.float32(0))


class Elu(Unary):
    """x where it is positive, else alpha * (exp(x) - 1)."""

    in_place = False

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.alpha = np.float32(node.attributes["alpha"])

    def forward(self) -> None:
        np.copyto(self.y, np.where(self.x > 0, self.x, self.alpha * np.expm1(np.minimum(self.x, 0))))

    def backward(self) -> None:
        self.gradient *= np.where(self.x > 0, np.float32(1), self.alpha * np.exp(np.minimum(self.x, 0)))


class Affine(Unary):
    """scale * x + bias."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.scale, self.bias = (np.float32(node.attributes[name]) for name in ("scale", "bias"))

    def forward(self) -> None:
        np.multiply(self.x, self.scale, out=self.y)
        if self.bias:
            self.y += self.bias

    def backward(self) -> None:
        self.gradient *= self.scale


class Dropout(Unary):
    """x times a mask of zeros and one other number, which the workspace is given for every step."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.mask = workspace.masks[node.name] = workspace.array(node.shape)

    def forward(self) -> None:
        np.multiply(self.x, self.mask, out=self.y)

    def backward(self) -> None:
        self.gradient *= self.mask


class _Binary(Kernel):
    """Base of the kernels with two inputs; the second may have ones where it is broadcast."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.a, self.b = (workspace.value(name) for name in node.inputs)
        self.y = workspace.new_output(node)
        shapes = [workspace.plan.shapes[name] for name in node.inputs]
        one, other = (stored_shape(workspace.n, shape) for shape in shapes)
        self.summed = tuple(i for i in range(1, len(one)) if one[i] != other[i])

    def _sum(self, gradient: np.ndarray, out: np.ndarray) -> None:
        """Write the gradient of the second input, before broadcasting, to ``out``."""
        np.sum(gradient, axis=self.summed, keepdims=True, out=out)


class Add(_Binary):
    """a + b."""

    sign = 1

    def forward(self) -> None:
        np.add(self.a, self.b, out=self.y)

    def prepare(self, workspace: Workspace) -> None:
        gradient = workspace.output_gradient_of(self.node)
        self.gradient, self.copy = gradient, None
        # The second input's gradient first: it is added to, or copied, before the first input's kernel changes it.
        share = self.sign == 1 and not self.summed and workspace.has_gradient(self.node.inputs[1])
        given = workspace.input_gradient(self.node, 1, shared=gradient if share else None)
        self.copy = None if share else given
        workspace.input_gradient(self.node, 0, shared=gradient)

    def backward(self) -> None:
        if self.copy is None:
            return
        if self.summed:
            self._sum(self.gradient, self.copy)
        elif self.sign == 1:
            np.copyto(self.copy, self.gradient)
        if self.sign == -1:
            np.negative(self.gradient, out=self.copy)


class Subtract(Add):
    """a - b."""

    sign = -1

    def forward(self) -> None:
        np.subtract(self.a, self.b, out=self.y)


class Multiply(_Binary):
    """a * b."""

    def forward(self) -> None:
        np.multiply(self.a, self.b, out=self.y)

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.b_gradient = workspace.input_gradient(self.node, 1)
        workspace.input_gradient(self.node, 0, shared=self.gradient)

    def backward(self) -> None:
        if self.b_gradient is not None:
            if self.summed:
                self._sum(self.gradient * self.a, self.b_gradient)
            else:
                np.multiply(self.gradient, self.a, out=self.b_gradient)
        self.gradient *= self.b


class _WithParameter(Kernel):
    """Base of the kernels of a tensor and a parameter that is broadcast over it."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.values, self.name = workspace.plan.values, node.parameters["weight"]
        shape = node.attributes["shape"]
        self.shape = (1,) * (len(node.shape) - len(shape)) + tuple(shape)  # as many axes as one image
        stored = stored_shape(1, self.shape)
        self.summed = tuple(i for i, size in enumerate(stored) if size == 1)

    def _parameter(self) -> np.ndarray:
        value = self.values[self.name].reshape(1, *self.shape)
        return value.transpose(0, 2, 3, 1) if len(self.shape) == 3 else value

    def _store_gradient(self, gradient: np.ndarray) -> None:
        total = gradient.sum(axis=self.summed, keepdims=True)
        total = total.transpose(0, 3, 1, 2) if len(self.shape) == 3 else total
        self.slot[:] = total.reshape(-1)

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.slot = workspace.parameter_gradient(self.name)
        workspace.input_gradient(self.node, shared=self.gradient)


class AddParameter(_WithParameter):
    """x + parameter."""

    def forward(self) -> None:
        np.add(self.x, self._parameter(), out=self.y)

    def backward(self) -> None:
        self._store_gradient(self.gradient)


class MultiplyParameter(_WithParameter):
    """x * parameter."""

    def forward(self) -> None:
        np.multiply(self.x, self._parameter(), out=self.y)

    def backward(self) -> None:
        self._store_gradient(self.gradient * self.x)
        self.gradient *= self._parameter()
