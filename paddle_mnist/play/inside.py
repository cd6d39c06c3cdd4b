"""What the page shows of the inside of a net, from ``inspection``. All of it runs in the worker's thread."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np

from paddle_mnist.play.models import Model
from paddle_mnist.play.nets import Net, Nets
from paddle_mnist.play.replies import RefusedError, array
from paddle_mnist.splits import Splits

SEARCHED = 10_000  # training digits among which the nearest are looked for, or fewer
AT_ONCE = 64  # of them, before quick work has its turn
MAX_NUMBERS = 16 << 20  # if their features are more than this together: 64 MB
NEAREST = 10
MAX_EXPORTED = 8  # nets in one page


def weights(nets: Nets, model: Model, which: str, names: list[str] | None) -> dict[str, Any]:
    """Return a net's parameters by name: all, or those that are asked for."""
    net = nets.get(model, which)
    chosen = net.weights if names is None else {name: _weight(net, name) for name in names}
    return {
        "model": model.id,
        "weights": net.mark,
        "parameters": {name: array(values) for name, values in chosen.items()},
    }


def _weight(net: Net, name: str) -> np.ndarray:
    if name not in net.weights:
        raise RefusedError(404, f"names must be among {', '.join(net.weights)}, got {name[:80]!r}.")
    return net.weights[name]


def layers(nets: Nets, model: Model, which: str, image: np.ndarray) -> dict[str, Any]:
    """Return the operations of a net in order, each with what it makes of a digit."""
    from paddle_mnist.loader import to_input

    net = nets.get(model, which)
    pixels = to_input(image[np.newaxis], net.pixel_range)
    found = net.inside.activations(net.weights, pixels)
    return {
        "model": model.id,
        "weights": net.mark,
        "pixel_range": net.pixel_range,
        "input": array(pixels[0]),
        "layers": [
            {
                "name": node.name,
                "layer": net.inside.layers.get(node.name),
                "operation": node.operation,
                "inputs": list(node.inputs),
                "attributes": dict(node.attributes),
                "parameters": dict(node.parameters),
                "values": array(found[node.name][0]),
            }
            for node in net.inside.graph.nodes
        ],
    }


def saliency(nets: Nets, model: Model, which: str, image: np.ndarray, method: str, digit: int | None) -> dict[str, Any]:
    """Return which pixels of a digit the answer depends on."""
    from paddle_mnist.inspection.saliency import gradient, occlusion

    net = nets.get(model, which)
    outputs = net.outputs(image[np.newaxis])[0]
    if len(outputs) == 1:
        digit = None  # there is one output, the number itself
    elif digit is None:
        digit = int(outputs.argmax())
    number, pixels = digit or 0, net.pixel_range
    if method == "gradient":
        values = gradient(net.inside, net.weights, image, number, pixels)
    else:
        values = occlusion(net.outputs, image, number)
    return {"model": model.id, "digit": digit, "method": method, "values": array(values)}


def neighbours(nets: Nets, model: Model, image: np.ndarray, splits: Splits) -> Generator[None, None, dict[str, Any]]:
    """Return the training digits that look most alike to a net. Its features are computed once."""
    from paddle_mnist.inspection.neighbours import nearest

    net, train = nets.get(model), splits.train
    size = math.prod(net.inside.graph.shapes[net.inside.last_layer.inputs[0]])
    images = train.images[: min(SEARCHED, MAX_NUMBERS // size)]
    if "features" not in net.kept:
        nets.forget("features")  # of the net that was asked before
        parts = []
        for first in range(0, len(images), AT_ONCE):
            parts.append(net.features(images[first : first + AT_ONCE]))
            yield
        net.kept["features"] = np.concatenate(parts)
    (own,) = net.features(image[np.newaxis])
    found = nearest(net.kept["features"], own, NEAREST)
    node = net.inside.last_layer
    return {
        "model": model.id,
        "layer": node.inputs[0],
        "layer_label": net.inside.layers.get(node.name),
        "features": len(own),
        "searched": len(images),
        "of": len(train.labels),
        "neighbours": [
            {"index": int(index), "label": int(train.labels[index]), "distance": float(distance)}
            for index, distance in zip(found.indices, found.distances, strict=True)
        ],
        "images": array(images[found.indices]),
    }


def predicted(nets: Nets, model: Model, splits: Splits) -> Generator[None, None, np.ndarray]:
    """Return what a net takes the test digits for, int64 [n]. They are computed once."""
    from paddle_mnist.inspection.confusion import predictions

    net = nets.get(model)
    if "predictions" not in net.kept:
        parts = []
        for part in predictions(net.outputs, splits.eval.images):
            parts.append(part)
            yield
        net.kept["predictions"] = np.concatenate(parts)
    return net.kept["predictions"]


def confusion(model: Model, labels: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Return the table of true against predicted digits."""
    from paddle_mnist.inspection.confusion import confusion_matrix

    matrix = confusion_matrix(labels, found)
    return {"model": model.id, "split": "eval", "samples": len(labels), "matrix": matrix.tolist()}


def exported(models: list[Model]) -> Generator[None, None, str]:
    """Return the page that runs nets without a server.

    Raises:
        RefusedError: none is named, too many are, or one is no run with weights.
    """
    from paddle_mnist.exports.model import load_model
    from paddle_mnist.exports.to_html import html_page

    if not 1 <= len(models) <= MAX_EXPORTED:
        raise RefusedError(400, f"models must name 1 to {MAX_EXPORTED} nets, got {len(models)}.")
    loaded = []
    for model in models:
        if model.run is None or model.best is None:
            raise RefusedError(409, f"{model.id} has no best weights that could be exported.")
        loaded.append(load_model(model.run.path))
        yield
    return html_page(loaded)


def some(images: np.ndarray, labels: np.ndarray, which: np.ndarray, start: int, count: int) -> dict[str, Any]:
    """Return some of the digits that ``which`` numbers, from ``start`` on."""
    indices = which[start : start + count]
    return {
        "total": len(which),
        "start": start,
        "indices": indices.tolist(),
        "labels": labels[indices].tolist(),
        "images": array(np.asarray(images[indices])),
    }


def data_of(model: Model) -> str:
    """Return where the digits are that a run was trained on; those of the bundled reader are all of MNIST."""
    return "auto" if model.run is None else str(model.run.manifest["data"]["source"])
