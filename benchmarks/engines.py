"""How large, how fast and how right is an exported net, by each engine that can run it?

    OMP_NUM_THREADS=1 python benchmarks/engines.py RUN_OR_FILE --data mnist.json.gz

Exports the run in every format, runs each export on the whole evaluation split, and times calls from pixels to digits.
With all of MNIST and the course's CNN it takes about three minutes on two idle cores. Needs the ``export`` extra;
Chromium is measured where it and the package playwright are installed. With the variable, each engine has one thread.
Figures go to ``benchmarks/results/engines.json``.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _measure import machine, save

from paddle_mnist import cpu

BATCHES = (1, 100)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# In the page: runs all images one by one, and returns the digits and the milliseconds that each took.
IN_CHROMIUM = """(text) => {
    const all = Uint8Array.from(atob(text), (character) => character.charCodeAt(0)), digits = [], times = [];
    for (let start = 0; start < all.length; start += 784) {
        const begun = performance.now();
        digits.push(paddleMnist.models[0].run(all.subarray(start, start + 784)).digit);
        times.push(performance.now() - begun);
    }
    return { digits, times };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN_OR_FILE", help="a trained net that classifies")
    parser.add_argument("--data", default="auto", help="the digits, as train takes them (auto)")
    parser.add_argument("--calls", type=int, default=200, help="timed calls of each engine and batch size")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "settings": cpu.tune(), "engines": {}}

    from paddle_mnist.dataset import open_dataset

    split = open_dataset(args.data, print).eval
    print("| engine | files | batch of 1, ms | batch of 100, ms | accuracy |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, (size, predict) in engines(args.run, args.data, Path(folder)).items():
            figures["engines"][name] = {"bytes": size, **measured(predict, split, args.calls)}
            print(row(name, figures["engines"][name]), flush=True)
        if found := in_chromium(Path(folder) / "page.html", split):
            figures["engines"]["Chromium, the page"] = found
            print(row("Chromium, the page", found))
    print(save("engines", figures))


def engines(run: str, data: str, folder: Path) -> dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]]:
    """Return for each engine the size of its files and its function from pixels uint8 [n, 28, 28] to digits."""
    import paddle

    from paddle_mnist import fast
    from paddle_mnist.exports import export, to_onnx, to_paddle
    from paddle_mnist.exports.model import load_model
    from paddle_mnist.loader import to_input
    from paddle_mnist.metrics import predicted_digits

    model = load_model(run)

    def by(forward: Callable) -> Callable[[np.ndarray], np.ndarray]:
        def predict(images: np.ndarray) -> np.ndarray:
            with paddle.no_grad():
                return predicted_digits(forward(paddle.to_tensor(to_input(images, model.pixel_range))).numpy())

        return predict

    weights = sum(array.nbytes for array in model.weights.values())
    program = export(run, "paddle", folder / "program", data=data)
    onnx = export(run, "onnx", folder / "net.onnx", data=data)
    int8 = export(run, "onnx", folder / "int8.onnx", int8=True, data=data)
    export(run, "html", folder / "page.html", data=data)
    print("int8:", *int8.remarks)
    found = {
        "Paddle eager": (weights, by(model.layer)),
        "our engine (fast)": (weights, by(fast.accelerate(model.layer))),
        "paddle.jit.load": (program.size, to_paddle.jit_runner(folder / "program")),
        "Paddle Inference": (program.size, to_paddle.inference_runner(folder / "program")),
        "Paddle Inference, oneDNN": (program.size, to_paddle.inference_runner(folder / "program", onednn=True)),
        "ONNX Runtime": (onnx.size, to_onnx.runner(onnx.paths[0].read_bytes(), threads=1)),
        "ONNX Runtime, int8": (int8.size, to_onnx.runner(int8.paths[0].read_bytes(), threads=1)),
    }
    return {name: (size, _digits(predict)) for name, (size, predict) in found.items()}


def _digits(predict: Callable) -> Callable[[np.ndarray], np.ndarray]:
    def digits(images: np.ndarray) -> np.ndarray:
        result = predict(images)
        return result if isinstance(result, np.ndarray) else result.digits

    return digits


def measured(predict: Callable[[np.ndarray], np.ndarray], split: Any, calls: int) -> dict[str, Any]:
    """Return the accuracy and, for each batch size, median, 95th percentile and least milliseconds of a call."""
    images = np.ascontiguousarray(split.images)
    digits = np.concatenate([predict(images[first : first + 500]) for first in range(0, len(images), 500)])
    found: dict[str, Any] = {"accuracy": float((digits == split.labels).mean())}
    for size in BATCHES:
        times = []
        for call in range(-3, calls):
            first = abs(call) * size % (len(images) - size + 1)
            begun = time.perf_counter()
            predict(images[first : first + size])
            times.append(1000 * (time.perf_counter() - begun))
        found[f"batch_{size}"] = _summary(times[3:])
    return found


def in_chromium(page: Path, split: Any) -> dict[str, Any] | None:
    """Return the same of the page, which runs one image at a time, in Chromium without a network."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("Chromium or the package playwright is not installed: the page is not measured")
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        tab = browser.new_context(offline=True).new_page()
        tab.goto(page.as_uri())
        images = base64.b64encode(np.ascontiguousarray(split.images).tobytes()).decode()
        found = tab.evaluate(IN_CHROMIUM, images)
        browser.close()
    accuracy = float((np.array(found["digits"]) == split.labels).mean())
    return {"bytes": page.stat().st_size, "accuracy": accuracy, "batch_1": _summary(found["times"])}


def _summary(times: list[float]) -> dict[str, float]:
    return {"median_ms": float(np.median(times)), "p95_ms": float(np.quantile(times, 0.95)), "min_ms": min(times)}


def row(name: str, found: dict[str, Any]) -> str:
    """Return a row of the table in README.md."""
    times = [found.get(f"batch_{size}") for size in BATCHES]
    cells = [f"{time['median_ms']:.2f} / {time['p95_ms']:.2f}" if time else "–" for time in times]
    return f"| {name} | {found['bytes'] / 1000:,.0f} kB | {' | '.join(cells)} | {found['accuracy']:.2%} |"


if __name__ == "__main__":
    main()
