"""Writes nets into one HTML page that works offline: a pad to draw on, and the nets in plain JavaScript.

The page is ``web/page.html`` with the style, the modules of ``web/`` joined to one script, and the nets in place of its
three marks.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError, quote
from paddle_mnist.exports.model import Model
from paddle_mnist.exports.quantize import Int8Net, Int8Weight
from paddle_mnist.exports.verify import Answers, Run
from paddle_mnist.program import Graph, Node

# A module comes after those that it imports.
MODULES = ("net.js", "prepare.js", "pad.js", "photo.js", "seen.js", "answer.js", "page.js")
STYLES = ("base.css", "page.css")
SECONDS_PER_IMAGE = 0.5  # after which Node.js is stopped


def html_page(nets: Sequence[Model | Int8Net]) -> str:
    """Return the page of some nets, which answer side by side."""
    described = json.dumps([_describe(net) for net in nets], separators=(",", ":"))
    page = _web("page.html").replace("/*STYLE*/", "".join(map(_web, STYLES)))
    page = page.replace("/*PROGRAM*/", f'"use strict";\n(() => {{\n{_program()}}})();\n')
    return page.replace("/*MODELS*/", described.replace("<", "\\u003c"))  # no text in it can end the element


def find_node() -> str | None:
    """Return the path of Node.js, or ``None``."""
    return shutil.which("node")


def node_runner(page: str, model: Model, index: int = 0) -> Run:
    """Return the function that runs net ``index`` of a page, which is ``model``, by Node.js."""
    node = find_node()
    if node is None:
        raise UserError("pages are run by Node.js, which was not found: install it and add it to PATH")

    def run(images: np.ndarray) -> Answers:
        size = 10 if model.answer == "probabilities" else 1
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("node.js", "page.html", "images", "results")]
            paths[0].write_text(_web("node.js"), "utf-8")
            paths[1].write_text(page, "utf-8")
            paths[2].write_bytes(np.ascontiguousarray(images, dtype=np.uint8).tobytes())
            done = subprocess.run(
                [node, *map(str, paths), str(index)],
                capture_output=True,
                timeout=30 + SECONDS_PER_IMAGE * len(images),
                check=False,
            )
            if done.returncode:
                raise UserError(f"Node.js cannot run the page: {quote(done.stderr.decode(errors='replace'), 200)}")
            values = np.frombuffer(paths[3].read_bytes()).reshape(len(images), 1 + size)
        return Answers(values[:, 0].astype(np.int64), values[:, 1:] if size == 10 else values[:, 1])

    return run


def _describe(net: Model | Int8Net) -> dict[str, Any]:
    """Return a net as JSON can hold it."""
    model, int8 = (net.model, net.weights) if isinstance(net, Int8Net) else (net, {})
    parameters: list[tuple[str | int, ...]] = []
    arrays: list[np.ndarray] = []
    for name in model.graph.parameters:
        size = int(model.weights[name].size)
        if name not in int8:
            parameters.append((name, size))
            arrays.append(model.weights[name].astype("<f4"))
            continue
        stored = int8[name]
        parameters.append((name, size, len(stored.scales), len(stored.parts)))
        arrays += [stored.scales.astype("<f4"), *(np.moveaxis(part, stored.axis, 0) for part in stored.parts)]
    return {
        "name": model.name,
        "metadata": model.metadata,
        "pixelRange": model.pixel_range,
        "answer": model.answer,
        "graph": {
            "inputShape": model.graph.input_shape,
            "parameters": parameters,
            "nodes": [_describe_node(node, model.graph, int8) for node in model.graph.nodes],
        },
        "weights": base64.b64encode(b"".join(array.tobytes() for array in arrays)).decode(),
    }


def _describe_node(node: Node, graph: Graph, int8: Mapping[str, Int8Weight]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": node.name,
        "operation": node.operation,
        "inputs": node.inputs,
        "shape": node.shape,
        "parameters": dict(node.parameters),
        "attributes": dict(node.attributes),
    }
    if node.operation == "convolution":
        described["kernel"] = graph.parameters[node.parameters["weight"]][2:]
    if node.operation == "linear" and node.parameters["weight"] in int8:
        described["attributes"]["transposed"] = True  # int8 is stored output by output
    return described


def _program() -> str:
    """Return the modules joined to one script: without imports, and with nothing exported."""
    lines = [line for name in MODULES for line in _web(name).splitlines(keepends=True)]
    return "".join(line.removeprefix("export ") for line in lines if not line.startswith("import "))


def _web(name: str) -> str:
    return files("paddle_mnist.exports").joinpath("web", name).read_text("utf-8")
