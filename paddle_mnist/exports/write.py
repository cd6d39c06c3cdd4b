"""``export``: writes a trained net in another format, once it has been verified."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import paddle

from paddle_mnist.dataset import Dataset, open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.exports import page_twin, to_html, to_onnx
from paddle_mnist.exports.model import Model, load_model
from paddle_mnist.exports.quantize import SCHEMES, SCHEMES_OF_WEIGHTS, Int8Net, Scheme, quantize
from paddle_mnist.exports.verify import Comparison, DifferentError, Run, compare
from paddle_mnist.recipes import check_choice
from paddle_mnist.splits import Split
from paddle_mnist.storage.files import atomic_write, os_errors_as

FORMATS = ("paddle", "onnx", "html")
CALIBRATION = 500  # training digits that int8 is measured on
UNSEEN = 5000  # further training digits that it must get right

Log = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        paths: the files.
        comparisons: with the net, by what ran the export.
        remarks: what could not be verified, and why.
    """

    paths: list[Path]
    comparisons: dict[str, Comparison]
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for path in self.paths)


def export(
    source: str | os.PathLike[str] | paddle.nn.Layer,
    to: str,
    out: str | os.PathLike[str] | None = None,
    *,
    int8: bool = False,
    raw: bool = False,
    data: str | os.PathLike[str] | None = None,
    pixel_range: str | None = None,
    beside: Sequence[str | os.PathLike[str] | paddle.nn.Layer] = (),
    log: Log | None = None,
) -> Exported:
    """Write a trained net for use elsewhere, after comparing it with the net on every evaluation digit.

    Args:
        source: a run folder, a file of weights, or a ``paddle.nn.Layer``; see ``model.load_model``.
        to: ``"paddle"`` (``paddle.jit.save``), ``"onnx"`` or ``"html"`` (a page with a pad to draw on).
        out: the file to write; for ``"paddle"``, what the names of the files begin with. ``None`` writes
            ``model.onnx``, ``model.html``, or ``model.json`` and ``model.pdiparams``, into the run folder, or beside a
            file of weights under its name.
        int8: store weights in 8 bits, in the first way of ``quantize.SCHEMES`` that keeps the answers. What is measured
            for that is measured on 500 training digits.
        raw: write the net alone: float32 [n, 1, 28, 28] in the net's own pixel range in, raw outputs [n, k] out.
            Otherwise pixels uint8 [n, 28, 28] go in, and digits and probabilities or values come out.
        data: the digits to verify with, as ``open_dataset`` takes them; ``None`` takes those of the run.
        pixel_range: what the net was trained on, where the source does not say so.
        beside: further nets, each like ``source``, that answer beside it on a page.
        log: takes lines about the data that was opened.

    Raises:
        DifferentError: the export does not give what the net gives; nothing was written.
        UserError: an argument is not one of the above, or the net computes something that cannot be exported.
    """
    check_choice("to", to, FORMATS)
    if int8 and to == "paddle":
        raise UserError("int8 must be used with onnx or html, got paddle")
    if raw and to == "html":
        raise UserError("raw must be used with onnx or paddle, got html")
    if beside and to != "html":
        raise UserError(f"several nets must be used with html, got {to}")
    if to == "onnx":
        to_onnx.check_installed()
    models = [load_model(one, pixel_range) for one in (source, *beside)]
    path = _path(source, to, out, int8)
    dataset = open_dataset(data or models[0].data or "auto", log)
    models = [replace(one, metadata={**one.metadata, "verified_on_sha256": dataset.sha256}) for one in models]
    with os_errors_as(f"cannot write {path}"):
        if to == "html":
            return _write_html(models, path, dataset, int8)
        if to == "onnx":
            return _write_onnx(models[0], path, dataset, raw, int8)
        return _write_paddle(models[0], path, dataset, raw)


def _path(
    source: str | os.PathLike[str] | paddle.nn.Layer, to: str, out: str | os.PathLike[str] | None, int8: bool
) -> Path:
    """Return the file to write, or what the names of the files begin with."""
    suffix = "" if to == "paddle" else f"{'-int8' if int8 else ''}.{to}"
    if out is not None:
        path = Path(out)
        if path.is_dir():
            raise UserError(f"out must name a file, got the folder {path}")
        return path.with_suffix("") if to == "paddle" and path.suffix in (".json", ".pdiparams") else path
    if isinstance(source, paddle.nn.Layer):
        raise UserError("out must name a file, got none: a layer has no folder of its own")
    path = Path(source)
    return (path / f"model{suffix}") if path.is_dir() else path.with_name(path.stem + suffix)


def _write_onnx(model: Model, path: Path, dataset: Dataset, raw: bool, int8: bool) -> Exported:
    def run(net: Model | Int8Net) -> Run:
        return to_onnx.runner(to_onnx.onnx_model(net, raw))

    net = _in_int8(model, dataset, run, SCHEMES, raw) if int8 else model
    comparison = compare(model, run(net), dataset.eval, raw, int8)
    with atomic_write(path) as file:
        file.write(to_onnx.onnx_model(net, raw))
    return Exported([path], {"ONNX Runtime": comparison}, _stored_as([net]))


def _in_int8(
    model: Model, dataset: Dataset, run: Callable[[Int8Net], Run], schemes: Sequence[Scheme], raw: bool = False
) -> Int8Net:
    """Return a net in the first of some schemes that keeps its answers, or in the last one if none does.

    Args:
        model: the net.
        dataset: the digits.
        run: returns what runs the export of a net in int8.
        schemes: to choose from.
        raw: whether the export is.
    """
    images = np.ascontiguousarray(dataset.train.images[:CALIBRATION])
    first = CALIBRATION if len(dataset.train.labels) > CALIBRATION else 0
    unseen = Split(*(array[first : first + UNSEEN] for array in dataset.train))
    for scheme in schemes:
        net = quantize(model, images, scheme)
        try:
            for split in (unseen, dataset.eval):
                compare(model, run(net), split, raw, int8=True)
        except DifferentError:
            continue
        break
    return net


def _stored_as(nets: Sequence[Model | Int8Net]) -> tuple[str, ...]:
    return tuple(f"{net.model.name}: {net.scheme.name}" for net in nets if isinstance(net, Int8Net))


def _write_paddle(model: Model, path: Path, dataset: Dataset, raw: bool) -> Exported:
    from paddle_mnist.exports import to_paddle

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        prefix = Path(folder) / path.name
        written = to_paddle.write_paddle(model, prefix, raw)
        comparisons = {"paddle.jit.load": compare(model, to_paddle.jit_runner(prefix), dataset.eval, raw)}
        comparisons["Paddle Inference"] = compare(model, to_paddle.inference_runner(prefix), dataset.eval, raw)
        paths = [Path(shutil.move(one, path.parent / one.name)) for one in written]
    return Exported(paths, comparisons)


def _write_html(models: list[Model], path: Path, dataset: Dataset, int8: bool) -> Exported:
    def run(net: Model | Int8Net) -> Run:
        return page_twin.runner(to_html.html_page([net]))

    by_node = to_html.find_node() is not None
    verified_by = "Node.js" if by_node else "the page's twin in Python"
    models = [replace(model, metadata={**model.metadata, "verified_by": verified_by}) for model in models]
    nets = [_in_int8(model, dataset, run, SCHEMES_OF_WEIGHTS) if int8 else model for model in models]
    page = to_html.html_page(nets)
    comparisons: dict[str, Comparison] = {}
    for index, model in enumerate(models):
        name = verified_by if len(models) == 1 else f"{verified_by}, net {index + 1} ({model.name})"
        runner = to_html.node_runner(page, model, index) if by_node else page_twin.runner(page, index)
        comparisons[name] = compare(model, runner, dataset.eval, int8=int8)
    remarks = _stored_as(nets)
    if not by_node:
        remarks += ("Node.js was not found: the nets in the page were run in Python, its JavaScript was not run",)
    with atomic_write(path, "w") as file:
        file.write(page)
    return Exported([path], comparisons, remarks)
