"""Draws the computation graphs of labs 3 and 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist.plots import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[float, float]


def draw_steps(
    axes: Axes, nodes: Mapping[str, Place], edges: Sequence[tuple[str, str, float, float]], title: str
) -> None:
    """Draw a graph of named steps, with the value that goes along each edge and the gradient that comes back.

    Args:
        axes: where to draw.
        nodes: the place of each step.
        edges: (from, to, value, gradient) of each edge; the value is written in blue, the gradient in orange.
        title: of the picture.
    """
    axes.set(xlim=(-0.4, max(x for x, _ in nodes.values()) + 0.4), ylim=(-1.5, 1.9), title=title)
    axes.set_axis_off()
    box = {"boxstyle": "round,pad=0.4", "fc": "white"}
    texts = {
        name: axes.text(*place, name, ha="center", va="center", bbox=box, fontsize=12) for name, place in nodes.items()
    }
    axes.figure.canvas.draw()  # only now do the boxes have a size, at which the arrows end
    for start, end, value, gradient in edges:
        boxes = {"patchA": texts[start].get_bbox_patch(), "patchB": texts[end].get_bbox_patch()}
        arrow = {"arrowstyle": "-|>", "fc": "black", "shrinkA": 2, "shrinkB": 2, **boxes}
        axes.annotate("", nodes[end], nodes[start], arrowprops=arrow)
        along = np.subtract(nodes[end], nodes[start])
        aside = 0.25 * np.array([-along[1], along[0]]) / np.hypot(*along)
        middle = np.add(nodes[start], nodes[end]) / 2
        for number, place, colour in ((value, middle + aside, COLOURS[0]), (gradient, middle - aside, COLOURS[1])):
            axes.text(place[0], place[1], f"{number:g}", color=colour, ha="center", va="center", fontsize=12)


def draw_record(axes: Axes, ordered: Sequence[Any], names: Mapping[int, str]) -> None:
    """Draw what an autograd engine recorded: each value with its shape and its place in the backward pass.

    Args:
        axes: where to draw.
        ordered: the values, each after all that it used. A value has ``data``, an array, ``made_by``, the name of the
            operation that made it, and ``uses``, whose items begin with a value that it used.
        names: what to write for some values instead of ``made_by``, by the value's ``id``.
    """
    depths = _depths(ordered)
    places = _places(ordered, depths)
    for value in ordered:
        for used, *_ in value.uses:
            arrow = {"arrowstyle": "-|>", "fc": "0.4", "ec": "0.4", "shrinkA": 16, "shrinkB": 16}
            axes.annotate("", places[id(value)], places[id(used)], arrowprops=arrow)
    for number, value in enumerate(reversed(ordered), start=1):
        x, y = places[id(value)]
        constant = f"{value.data.item():g}" if value.data.size == 1 else "constant"
        box = {"boxstyle": "round,pad=0.3", "fc": "white" if value.uses else "#fff2dd", "ec": "0.3"}
        centred: dict[str, Any] = {"ha": "center", "va": "center"}
        axes.text(x, y, names.get(id(value), value.made_by or constant), fontsize=10, bbox=box, **centred)
        axes.text(x, y - 0.5, "×".join(map(str, value.data.shape)) or "1", fontsize=8, color="0.4", **centred)
        axes.text(x, y + 0.52, str(number), fontsize=9, color=COLOURS[0], weight="bold", **centred)
    heights = [y for _, y in places.values()]
    axes.set(xlim=(-0.6, max(depths.values()) + 0.6), ylim=(min(heights) - 0.8, max(heights) + 0.8))
    axes.set_axis_off()


def _depths(ordered: Sequence[Any]) -> dict[int, int]:
    """Return how many steps lead to each value at most; a given value stands just before its first use."""
    depths: dict[int, int] = {}
    for value in ordered:
        depths[id(value)] = max((depths[id(used)] + 1 for used, *_ in value.uses), default=0)
    for value in ordered:
        if not value.uses:
            users = [user for user in ordered if any(used is value for used, *_ in user.uses)]
            depths[id(value)] = min((depths[id(user)] for user in users), default=1) - 1
    return depths


def _places(ordered: Sequence[Any], depths: Mapping[int, int]) -> dict[int, Place]:
    """Return where each value stands: computed ones on and above the middle line, given ones below it."""
    places: dict[int, Place] = {}
    counts: dict[tuple[int, bool], int] = {}
    for value in ordered:
        column = depths[id(value)], bool(value.uses)
        counts[column] = counts.get(column, 0) + 1
        places[id(value)] = (column[0], 1.4 * (counts[column] - 1) if value.uses else -1.4 * counts[column])
    return places
