"""Which module may import which, read from the syntax trees: imports point downward and form no circles."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "paddle_mnist"

# From bottom to top. A member is a module or a folder of the package; it may import members of its own line and of
# the lines above it here.
LAYERS = (
    ("__init__", "errors", "splits", "nets", "cpu", "metrics", "distributed"),
    ("storage",),
    ("sources", "pictures", "plots", "fast", "program", "recipes", "console", "augment"),
    ("dataset",),
    ("loader", "scratch"),
    ("learners", "engine"),
    ("runs",),
    ("exports",),
    ("inspection",),
    ("labs",),
    ("train", "evaluate", "predict", "plot", "data", "reproduce", "export", "play", "check"),
)
COMMANDS = LAYERS[-1]


def module_name(path: Path) -> str:
    """Return a module's name below the package: ``runs.run``; ``__init__`` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
COMPILED = {"sources.mnist_json._lookup"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


@cache
def imports(module: str) -> set[tuple[str, str | None]]:
    """Return the package's names that a module imports, at any level: pairs of a module and a name, or ``None``."""
    found: set[tuple[str, str | None]] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names if alias.name.split(".")[0] == "paddle_mnist"]
            found |= {(name.partition(".")[2] or "__init__", None) for name in dotted}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import in line {node.lineno}"
            head, _, base = (node.module or "").partition(".")
            if head == "paddle_mnist":
                for alias in node.names:
                    inner = f"{base}.{alias.name}" if base else alias.name
                    found.add((inner, None) if is_module(inner) else (base or "__init__", alias.name))
    return found


def is_module(name: str) -> bool:
    return name in MODULES or name in COMPILED


def edges() -> set[tuple[str, str]]:
    return {(module, target) for module in MODULES for target, _ in imports(module)}


def member(module: str) -> str:
    return module.split(".")[0]


def layer(module: str) -> int:
    (found,) = (number for number, members in enumerate(LAYERS) if member(module) in members)
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of a graph; an empty list if there is none."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for target in sorted(graph.get(node, ())):
                if found := visit(target, [*path, node]):
                    return found
            done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])


def graph_of(pairs: set[tuple[str, str]]) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for source, target in pairs:
        if source != target:
            graph.setdefault(source, set()).add(target)
    return graph


def test_every_module_has_a_layer():
    known = {name for members in LAYERS for name in members}
    assert {member(module) for module in MODULES} <= known


def test_imports_point_downward():
    upward = {(source, target) for source, target in edges() if layer(target) > layer(source)}
    sideways = {
        (source, target)
        for source, target in edges()
        if member(target) in COMMANDS and member(target) != member(source)
    }
    assert upward | sideways == set()


def test_labs_are_imported_by_check_only():
    users = {member(source) for source, target in edges() if member(target) == "labs"}
    assert users <= {"labs", "check"}


def test_no_modules_import_each_other_in_a_circle():
    assert circle(graph_of(edges())) == []


def test_no_folders_import_each_other_in_a_circle():
    assert circle(graph_of({(member(a), member(b)) for a, b in edges()})) == []


def test_import_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_the_root_of_the_package_holds_at_most_twenty_modules():
    root = [module for module in MODULES if MODULES[module].parent == PACKAGE and module != "__init__"]
    assert len(root) <= 20, root


@pytest.mark.parametrize("module", [name for name in MODULES if MODULES[name].name != "__init__.py"])
def test_no_module_is_an_alias(module):
    own = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr)
    body = [node for node in tree(module).body if isinstance(node, own)]
    statements = [node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    assert statements, f"{module} defines nothing of its own"


def test_names_are_imported_from_where_they_are_defined():
    """A folder's ``__init__`` may re-export names of its modules; no other module re-exports."""
    passed_on = set()
    for module in MODULES:
        for target, name in imports(module):
            plain = target in MODULES and MODULES[target].name != "__init__.py"
            if plain and name and name in {imported for _, imported in imports(target)}:
                passed_on.add((target, name))
    assert passed_on == set()
