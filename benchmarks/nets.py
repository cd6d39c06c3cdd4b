"""Nine nets against PyTorch: a training step and an evaluation, in turns.

    python benchmarks/nets.py [--nets cnn lenet] [--no-compile] [--no-evaluation] [--threads 1]
    python benchmarks/nets.py --hide-onednn --nets cnn

The first line takes some six minutes on two idle cores; compiling for ``torch.compile`` is a third of that.

Batches of 100, float32, cross entropy, SGD (for ``quick``, Adam); evaluation of 10,000 images in batches of 1,000, from
tensors of each framework to arrays of NumPy. The images are digits of the bundled sample, again and again in another
order: our products leave out pixels that are blank (``--noise`` gives random images to all instead). The peers are
PyTorch as it comes, with ``channels_last``, and with ``torch.compile`` (warm); for FC also JAX. Beside each net stand
the time to capture it, the memory of a step beyond the parameters, and the share of the machine's own peak that the
step reaches: the multiplications of its convolutions and products as they are written down, against those of a large
float32 matrix product by PyTorch on the same cores, in the same run.
``--hide-onednn`` measures what serves where Paddle brings no oneDNN, beside plain Paddle; ``--hide-compiled``, what
serves where there was no compiler at installation. Figures go to ``results/nets.json``, to ``nets-avx2.json`` on a
processor without AVX-512, or to ``nets-without-onednn.json``, and the steps to a picture beside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.dataset import open_dataset

NETS = ("fc", "cnn", "mlp", "lenet", "batch-norm", "resnet", "vgg", "depthwise", "quick")
ADAM = ("quick",)
DENSE = ("fc", "mlp")  # a turn has more of their short calls: threads and clocks need milliseconds to wake up
PEAK_SIZE = 2048


class Layers:
    """The building blocks of one framework, under common names."""

    def __init__(self, framework: str) -> None:
        if framework == "paddle":
            from paddle import nn

            self.nn, self.conv, self.norm = nn, nn.Conv2D, nn.BatchNorm2D
            self.max_pool, self.mean, self.linear = nn.MaxPool2D, nn.AdaptiveAvgPool2D, nn.Linear
            self.base = nn.Layer
        else:
            from torch import nn

            self.nn, self.conv, self.norm = nn, nn.Conv2d, nn.BatchNorm2d
            self.max_pool, self.mean, self.linear = nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Linear
            self.base = nn.Module

    def chain(self, *layers):
        """Return layers one after the other."""
        return self.nn.Sequential(*layers)

    def block(
        self,
        channels: int,
        outputs: int,
        stride: int = 1,
        kernel: int = 3,
        groups: int = 1,
        padding: int | None = None,
        pool: bool = False,
    ) -> list:
        """Return a convolution without bias, perhaps 2×2 max pooling, batch norm and ReLU."""
        padding = kernel // 2 if padding is None else padding
        if self.base.__module__.startswith("paddle"):
            conv = self.conv(channels, outputs, kernel, stride, padding, groups=groups, bias_attr=False)
        else:
            conv = self.conv(channels, outputs, kernel, stride, padding, groups=groups, bias=False)
        return [conv, *([self.max_pool(2)] if pool else []), self.norm(outputs), self.nn.ReLU()]

    def residual(self, channels: int, outputs: int, stride: int):
        """Return two convolutions with batch norm and a shortcut (He et al. 2015)."""
        layers = self

        class Residual(layers.base):
            def __init__(self) -> None:
                super().__init__()
                self.body = layers.chain(*layers.block(channels, outputs, stride), *layers.block(outputs, outputs)[:2])
                self.shortcut = None
                if stride > 1 or channels != outputs:
                    self.shortcut = layers.chain(*layers.block(channels, outputs, stride, kernel=1)[:2])
                self.relu = layers.nn.ReLU()

            def forward(self, x):
                return self.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))

        return Residual()


def make_net(name: str, layers: Layers):
    """Return one of the nets with ten outputs."""
    nn, conv, linear, pool = layers.nn, layers.conv, layers.linear, layers.max_pool
    if name == "fc":
        hidden = [linear(784, 10), nn.Sigmoid(), linear(10, 10), nn.Sigmoid(), linear(10, 10)]
        return layers.chain(nn.Flatten(), *hidden)
    if name == "cnn":
        first = [conv(1, 20, 5, padding=2), nn.ReLU(), pool(2)]
        return layers.chain(*first, conv(20, 20, 5, padding=2), nn.ReLU(), pool(2), nn.Flatten(), linear(980, 10))
    if name == "mlp":
        return layers.chain(nn.Flatten(), linear(784, 512), nn.ReLU(), linear(512, 10))
    if name == "lenet":
        maps = [conv(1, 6, 5, padding=2), nn.ReLU(), pool(2), conv(6, 16, 5), nn.ReLU(), pool(2)]
        rows = [linear(400, 120), nn.ReLU(), linear(120, 84), nn.ReLU(), linear(84, 10)]
        return layers.chain(*maps, nn.Flatten(), *rows)
    if name == "batch-norm":
        maps = [*layers.block(1, 16), pool(2), *layers.block(16, 32), pool(2), *layers.block(32, 64)]
        return layers.chain(*maps, layers.mean(1), nn.Flatten(), linear(64, 10))
    if name == "resnet":
        stages = [layers.residual(16, 16, 1), layers.residual(16, 32, 2), layers.residual(32, 64, 2)]
        return layers.chain(*layers.block(1, 16), *stages, layers.mean(1), nn.Flatten(), linear(64, 10))
    if name == "vgg":
        first = [conv(1, 32, 3, padding=1), nn.ReLU(), conv(32, 32, 3, padding=1), nn.ReLU(), pool(2)]
        second = [conv(32, 64, 3, padding=1), nn.ReLU(), conv(64, 64, 3, padding=1), nn.ReLU(), pool(2)]
        return layers.chain(*first, *second, nn.Flatten(), linear(3136, 128), nn.ReLU(), linear(128, 10))
    if name == "quick":
        maps = [
            *layers.block(1, 16, kernel=5, padding=0, pool=True),
            *layers.block(16, 32, kernel=5, padding=0, pool=True),
        ]
        return layers.chain(*maps, nn.Flatten(), linear(512, 10))
    separable = []
    for channels, outputs, stride in ((16, 32, 2), (32, 64, 1), (64, 64, 2)):
        separable += [
            *layers.block(channels, channels, stride, groups=channels),
            *layers.block(channels, outputs, kernel=1),
        ]
    return layers.chain(*layers.block(1, 16), *separable, layers.mean(1), nn.Flatten(), linear(64, 10))


def multiplications(net) -> int:
    """Return how many multiplications one image costs in convolutions and linear layers, forward."""
    from paddle_mnist.program import capture

    total = 0
    graph = capture(net)
    for node in graph.nodes:
        if node.operation == "convolution":
            total += math.prod(node.shape) * math.prod(graph.parameters[node.parameters["weight"]][1:])
        elif node.operation == "linear":
            total += math.prod(graph.parameters[node.parameters["weight"]])
    return total


def paddle_candidates(name: str, images: np.ndarray, labels: np.ndarray, many: np.ndarray, plain: bool) -> tuple:
    """Return our step and evaluation (and plain Paddle's), and facts about the step."""
    import paddle

    from paddle_mnist import fast

    batches = [paddle.to_tensor(many[i : i + 1000]) for i in range(0, len(many), 1000)]

    def evaluation(net, forward):
        def run() -> None:
            net.eval()
            with paddle.no_grad():
                for batch in batches:
                    forward(batch).numpy()

        return run

    def training(net, step):
        def run() -> float:
            if not net.training:
                net.train()
            return step(images, labels)

        return run

    def optimizer_of(net):
        kind = paddle.optimizer.Adam if name in ADAM else paddle.optimizer.SGD
        return kind(0.001, parameters=net.parameters())

    net = make_net(name, Layers("paddle"))
    step = fast.train_step(net, "classify", optimizer_of(net))
    steps = {"ours": training(net, step)}
    evaluations = {"ours": evaluation(net, fast.accelerate(net))}
    if plain:
        other = make_net(name, Layers("paddle"))
        steps["plain Paddle, tuned"] = training(other, fast.train_step(other, "classify", optimizer_of(other)).plain)
    begun = time.perf_counter()
    engine = step.engine
    facts = {"engine": engine, "capture_s": time.perf_counter() - begun, "memory_mb": step_memory(steps["ours"])}
    facts["multiplications"] = 3 * multiplications(net) * len(images)
    print(f"{name}: {engine}; captured in {facts['capture_s']:.2f} s, {facts['memory_mb']:.0f} MB", flush=True)
    return steps, evaluations, facts


def step_memory(step: Callable[[], float]) -> float:
    """Return how many megabytes the first step and the second one take at most, beyond what there was before."""
    tracemalloc.start()
    try:
        step()
        step()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def hide(onednn: bool, compiled: bool) -> None:
    """Let our engine do without oneDNN or the compiled kernels."""
    from paddle_mnist.fast import onednn as libraries
    from paddle_mnist.fast.compiled import library

    if onednn:
        libraries.library = lambda: None
    if compiled:
        library.MODULE = "paddle_mnist.fast.compiled.hidden"


def torch_candidates(name: str, images: np.ndarray, labels: np.ndarray, many: np.ndarray, compiled: bool) -> tuple:
    """Return the steps and evaluations of PyTorch."""
    import torch
    import torch.nn.functional as F

    def make(kind: str) -> tuple:
        net = make_net(name, Layers("torch"))
        x, y, all_images = torch.from_numpy(images.copy()), torch.from_numpy(labels[:, 0]), torch.from_numpy(many)
        if kind == "channels_last":
            net, x, all_images = (what.to(memory_format=torch.channels_last) for what in (net, x, all_images))
        optimizer = (torch.optim.Adam if name in ADAM else torch.optim.SGD)(net.parameters(), lr=0.001)
        run = torch.compile(net) if kind == "compile" else net

        def step() -> float:
            if not net.training:
                net.train()
            optimizer.zero_grad()
            loss = F.cross_entropy(run(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        def evaluate() -> None:
            net.eval()
            with torch.no_grad():
                for i in range(0, len(all_images), 1000):
                    run(all_images[i : i + 1000]).numpy()

        return step, evaluate

    kinds = ["eager", "compile"] if name in DENSE else ["eager", "channels_last", "compile"]
    pairs = {f"PyTorch {kind}": make(kind) for kind in kinds if compiled or kind != "compile"}
    return tuple({kind: pair[i] for kind, pair in pairs.items()} for i in (0, 1))


def peak(clock: Callable[[], float], calls: int = 5) -> float:
    """Return how many billion multiplications and additions a second a large matrix product reaches."""
    import torch
    from _measure import in_turns

    a = torch.rand(PEAK_SIZE, PEAK_SIZE)
    least = in_turns({"product": lambda: a @ a}, 2, calls, clock)["product"]["min_ms"]
    return 2 * PEAK_SIZE**3 / least / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--rounds", type=int, default=8, help="turns of each candidate")
    parser.add_argument("--threads", type=int, help="for all of them; by default the cores that may be used")
    parser.add_argument("--noise", action="store_true", help="random images instead of digits")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--no-evaluation", action="store_true", help="only training steps")
    parser.add_argument("--plain", action="store_true", help="measure plain Paddle as well")
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine; sensible with --threads 1")
    parser.add_argument("--hide-onednn", action="store_true", help="as where Paddle brings no oneDNN; implies --plain")
    parser.add_argument("--hide-compiled", action="store_true", help="as where there was no compiler")
    arguments = parser.parse_args()
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    cpu.tune()
    import torch
    from _measure import draw, in_turns, machine, ratio, save, show

    torch.set_num_threads(cpu.threads())
    hide(arguments.hide_onednn, arguments.hide_compiled)
    clock = time.process_time if arguments.processor_time else time.perf_counter
    figures: dict = {"machine": machine(), "threads": cpu.threads(), "peak_gflops": peak(clock), "nets": {}}
    print(f"a {PEAK_SIZE}³ product: {figures['peak_gflops']:.0f} GFLOP/s on {cpu.threads()} threads")
    rng = np.random.default_rng(0)
    digits, labels = open_dataset("sample").train
    order = np.concatenate([rng.permutation(len(digits)) for _ in range(-(-10_000 // len(digits)))])[:10_000]
    many = np.asarray(digits)[order, np.newaxis] / np.float32(255)
    if arguments.noise:
        many = rng.random(many.shape, np.float32)
    images, labels = many[:100], np.asarray(labels)[order[:100], np.newaxis].astype(np.int64)
    for name in arguments.nets:
        ours = paddle_candidates(name, images, labels, many, arguments.plain or arguments.hide_onednn)
        theirs = torch_candidates(name, images, labels, many, not arguments.no_compile)
        entry = figures["nets"][name] = dict(ours[2])
        for i, question in enumerate(("step of 100", "evaluation of 10,000")):
            if i == 1 and arguments.no_evaluation:
                continue
            candidates = {**ours[i], **theirs[i]}
            if i == 0 and name == "fc" and importlib.util.find_spec("jax"):
                from _peers import jax_fc_step

                candidates["JAX, jitted"] = jax_fc_step(images, labels.astype(np.float32), clip=False)
            peers = [candidate for candidate in candidates if candidate.startswith(("PyTorch", "JAX"))]
            rounds = 2 if i == 1 and name not in DENSE else arguments.rounds
            calls = (25, 5) if name in DENSE else (5, 1)
            times = in_turns(candidates, rounds, calls[i], clock)
            found = ratio(times, "ours", peers)
            show(f"{name}, {question}", times, found)
            entry[question] = {"times": times, "ours_over_best_peer": found}
        flops = 2 * entry["multiplications"] / entry["step of 100"]["times"]["ours"]["min_ms"] / 1e6
        entry["share_of_peak"] = flops / figures["peak_gflops"]
        print(f"  {flops:.0f} GFLOP/s, {entry['share_of_peak']:.0%} of the peak", flush=True)
    for question in ("step of 100", "evaluation of 10,000"):
        ratios = [
            entry[question]["ours_over_best_peer"]["min_ms"] for entry in figures["nets"].values() if question in entry
        ]
        if ratios:
            figures[f"geometric mean, {question}"] = float(np.exp(np.mean(np.log(ratios))))
            print(f"geometric mean, {question}: {figures[f'geometric mean, {question}']:.2f}")
    from paddle_mnist.fast.compiled.library import library

    hidden = [what for what in ("onednn", "compiled") if getattr(arguments, f"hide_{what}")]
    kernels = library()
    narrow = f"-{kernels.instructions}" if kernels is not None and kernels.lanes < 16 else ""
    file = "-without-".join([f"nets{narrow}", *hidden])
    print(save(file, figures))
    panels = {name: entry["step of 100"]["times"] for name, entry in figures["nets"].items()}
    print(draw(file, panels))


if __name__ == "__main__":
    main()
