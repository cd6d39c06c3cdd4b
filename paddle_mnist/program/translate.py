"""From the operations of Paddle's static program to those of ``Graph``.

Each operation has a function of its own in ``operations``, found by its name in Paddle. After every translation the
shape that ``Graph`` gives to the result is compared with Paddle's: where the two disagree, the net is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from paddle_mnist.program.graph import IMAGES, Graph, Node


class NotCoveredError(Exception):
    """A net does something that a ``Graph`` cannot express. The message completes the sentence "plain: …"."""


@dataclass(frozen=True)
class Tensor:
    """A tensor that depends on the images; its shape leaves out the batch."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter or buffer, perhaps viewed in another shape."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A number, or a tuple of them."""

    value: object


class Operation:
    """One operation of Paddle's program, its operands replaced by ours.

    Attributes:
        operands: a ``Tensor``, ``Parameter``, ``Constant``, a tuple of these, or ``None`` for each.
        shape: Paddle's shape of the first result, -1 where the batch is.
    """

    def __init__(self, operation: Any, operands: list[Any]) -> None:
        self.name = operation.name()
        self.attributes = operation.attrs()
        self.operands = operands
        results = operation.results()
        self.shape = declared_shape(results[0]) if results else ()

    def tensor(self, i: int) -> Tensor:
        """Return operand ``i``, which has to depend on the images."""
        return self._operand(i, Tensor)

    def parameter(self, i: int) -> Parameter:
        """Return operand ``i``, which has to be a parameter."""
        return self._operand(i, Parameter)

    def constant(self, i: int) -> Any:
        """Return the value of operand ``i``, which has to be constant."""
        return self._operand(i, Constant).value

    def _operand(self, i: int, kind: type) -> Any:
        operand = self.operands[i]
        if not isinstance(operand, kind):
            self.refuse(f"of operand {i} that is not a {kind.__name__.lower()}")
        return operand

    def refuse(self, why: str = "") -> NoReturn:
        """Raise that this operation is not covered."""
        raise NotCoveredError(f"operation {self.name} {why}".rstrip() + " is not covered")


class Translator:
    """Collects the nodes of a graph."""

    def __init__(self, names: dict[str, str], input_shape: tuple[int, ...]) -> None:
        self.names, self.input_shape = names, input_shape
        self.nodes: list[Node] = []
        self.parameters: dict[str, tuple[int, ...]] = {}
        self.values: dict[object, object] = {}  # by the identity of Paddle's value

    def translate(self, program: Any, outputs: list[Any]) -> Graph:
        """Return the graph of Paddle's program."""
        for operation in program.global_block().ops:
            self._add(operation)
        result = self.values.get(outputs[0].id) if len(outputs) == 1 else None
        if not isinstance(result, Tensor):
            raise NotCoveredError("forward must return one tensor that depends on the images")
        needed = {result.name}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        nodes = [node for node in self.nodes if node.name in needed]
        if not nodes or nodes[-1].name != result.name:
            raise NotCoveredError("forward returns the images themselves")
        used = {name for node in nodes for name in node.parameters.values()}
        if any(
            node.operation == "batch_norm" and node.attributes["training"] for node in self.nodes if node not in nodes
        ):
            raise NotCoveredError("a batch norm whose result is not used")
        parameters = {name: shape for name, shape in self.parameters.items() if name in used}
        return Graph(tuple(nodes), self.input_shape, parameters)

    def _add(self, operation: Any) -> None:
        name, results = operation.name(), operation.results()
        if name == "builtin.parameter":
            value: object = self._parameter(operation, results[0])
        elif name == "pd_op.data":
            value = Tensor(IMAGES, self.input_shape)
        else:
            operands = [self._value(operand) for operand in operation.operands_source()]
            function = TRANSLATIONS.get(name)
            if function is None:
                raise NotCoveredError(f"operation {name} is not covered")
            value = function(self, Operation(operation, operands))
        self.values[results[0].id] = value
        if isinstance(value, Tensor) and declared_shape(results[0]) != (-1, *value.shape):
            raise NotCoveredError(
                f"operation {name} gives the shape {list(declared_shape(results[0]))}, which is not covered"
            )

    def _parameter(self, operation: Any, result: Any) -> Parameter:
        name = self.names.get(operation.attrs()["parameter_name"])
        if name is None:
            raise NotCoveredError("forward uses a tensor that is neither a parameter nor a buffer of the net")
        self.parameters[name] = declared_shape(result)
        return Parameter(name, declared_shape(result))

    def _value(self, operand: Any) -> object:
        if operand is None or not operand.initialized():
            return None
        if operand.id not in self.values:
            raise NotCoveredError("a second result of an operation is not covered")
        return self.values[operand.id]

    def node(
        self,
        operation: str,
        inputs: list[Tensor],
        shape: tuple[int, ...],
        parameters: dict[str, Parameter] | None = None,
        /,
        **attributes: object,
    ) -> Tensor:
        """Add a node and return its result."""
        name = f"{operation}_{1 + sum(node.operation == operation for node in self.nodes)}"
        given = {role: parameter.name for role, parameter in (parameters or {}).items() if parameter is not None}
        inputs_names = tuple(tensor.name for tensor in inputs)
        self.nodes.append(Node(name, operation, inputs_names, tuple(shape), given, attributes))
        return Tensor(name, tuple(shape))


Function = Callable[[Translator, Operation], object]
TRANSLATIONS: dict[str, Function] = {}


def translates(*names: str) -> Callable[[Function], Function]:
    """Register a function for operations of Paddle."""

    def register(function: Function) -> Function:
        TRANSLATIONS.update(dict.fromkeys([f"pd_op.{name}" if "." not in name else name for name in names], function))
        return function

    return register


def declared_shape(value: Any) -> tuple[int, ...]:
    """Return Paddle's shape of a value, -1 where the batch is; () for a list of tensors."""
    try:
        return tuple(int(size) for size in value.shape)
    except ValueError:
        return ()
