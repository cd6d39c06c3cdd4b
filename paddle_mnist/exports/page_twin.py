"""Runs the nets that are stored in a page in Python, as ``web/net.js`` runs them in JavaScript.

It checks a page's data where its JavaScript cannot be run. The tests compare the two on the same pages.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import paddle

from paddle_mnist.exports.quantize import FINER
from paddle_mnist.exports.verify import Answers, Run, expected
from paddle_mnist.loader import to_input
from paddle_mnist.metrics import predicted_digits
from paddle_mnist.program import IMAGES, Graph, Node, evaluate


def runner(page: str, index: int = 0) -> Run:
    """Return the function that runs net ``index`` of a page."""
    stored = json.loads(page.split(' id="models">')[1].split("</script>")[0])[index]
    graph = _graph(stored["graph"])
    values = _values(stored["graph"]["parameters"], base64.b64decode(stored["weights"]))
    weights = {name: paddle.to_tensor(values[name].reshape(shape)) for name, shape in graph.parameters.items()}

    def run(images: np.ndarray) -> Answers:
        with paddle.no_grad():
            pixels = paddle.to_tensor(to_input(images, stored["pixelRange"]))
            outputs = evaluate.run(graph, weights, pixels)[graph.output].numpy()
        return Answers(predicted_digits(outputs), expected(stored["answer"], outputs))

    return run


def _graph(stored: dict[str, Any]) -> Graph:
    nodes, shapes = [], {IMAGES: tuple(stored["inputShape"])}
    parameters: dict[str, tuple[int, ...]] = {name: (-1,) for name, *_ in stored["parameters"]}
    for one in stored["nodes"]:
        attributes = {
            name: tuple(value) if isinstance(value, list) else value for name, value in one["attributes"].items()
        }
        node = Node(
            one["name"], one["operation"], tuple(one["inputs"]), tuple(one["shape"]), one["parameters"], attributes
        )
        if node.operation == "convolution":
            channels = shapes[node.inputs[0]][0] // attributes["groups"]
            parameters[node.parameters["weight"]] = (node.shape[0], channels, *one["kernel"])
        if node.operation == "linear":
            sides = (shapes[node.inputs[0]][-1], node.shape[-1])
            parameters[node.parameters["weight"]] = sides[::-1] if attributes["transposed"] else sides
        nodes.append(node)
        shapes[node.name] = node.shape
    return Graph(tuple(nodes), shapes[IMAGES], parameters)


def _values(described: list[list[Any]], data: bytes) -> dict[str, np.ndarray]:
    """Return the parameters, float32 [size], from their descriptions, as in ``web/net.js``."""
    found, place = {}, 0

    def take(count: int, dtype: str) -> np.ndarray:
        nonlocal place
        array = np.frombuffer(data, dtype, count, place).astype(np.float32)
        place += array.size * np.dtype(dtype).itemsize
        return array

    for name, size, *in_int8 in described:
        if not in_int8:
            found[name] = take(size, "<f4")
            continue
        rows, parts = in_int8
        scales = np.repeat(take(rows, "<f4"), size // rows)
        found[name] = np.zeros(size, np.float32)
        for part in range(parts):
            found[name] += take(size, "i1") * (scales / np.float32(FINER**part))
    return found
