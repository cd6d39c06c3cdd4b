"""How long 10,000 digits take through the CNN: ours against plain Paddle and PyTorch, in turns.

    python benchmarks/evaluation.py

Needs the ``bench`` extra. Figures go to ``benchmarks/results/evaluation.json`` and ``evaluation.png``.
"""

from __future__ import annotations

import argparse

import numpy as np
from _measure import draw, in_turns, machine, ratio, save, show

from paddle_mnist import cpu

BATCHES = (100, 500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="turns of each candidate")
    rounds = parser.parse_args().rounds
    figures = {"machine": machine(), "levers": cpu.tune()}
    times = in_turns(make_candidates(), rounds, calls=1)
    # The best batch size of each side.
    ours = min((name for name in times if name.startswith("ours")), key=lambda name: times[name]["median_ms"])
    found = ratio(times, ours, [name for name in times if name.startswith("PyTorch")])
    title = "10,000 digits through the CNN"
    show(title, times, found)
    print(save("evaluation", {**figures, "times": times, "ours_over_best_pytorch": found}))
    print(draw("evaluation", {title: times}))


def make_candidates() -> dict:
    """Return the evaluation by each candidate, images in NumPy's memory and outputs too."""
    import paddle
    import torch
    from _peers import torch_net

    from paddle_mnist import fast
    from paddle_mnist.nets import CNN

    images = np.random.default_rng(0).random((10_000, 1, 28, 28), np.float32)
    net = CNN()
    net.eval()
    forward = fast.accelerate(net)

    def by_paddle(forward, size: int):
        def evaluate() -> None:
            with paddle.no_grad():
                for i in range(0, len(images), size):
                    forward(paddle.to_tensor(images[i : i + size])).numpy()

        return evaluate

    def by_torch(net, size: int, channels_last: bool):
        layout = torch.channels_last if channels_last else torch.contiguous_format

        def evaluate() -> None:
            with torch.inference_mode():
                for i in range(0, len(images), size):
                    net(torch.from_numpy(images[i : i + size]).to(memory_format=layout)).numpy()

        return evaluate

    candidates = {}
    for size in BATCHES:
        candidates[f"ours, by {size}"] = by_paddle(forward, size)
        candidates[f"PyTorch, by {size}"] = by_torch(torch_net("cnn").eval(), size, False)
        candidates[f"PyTorch channels_last, by {size}"] = by_torch(torch_net("cnn", True).eval(), size, True)
    candidates["plain Paddle, tuned, by 100"] = by_paddle(net, 100)
    return candidates


if __name__ == "__main__":
    main()
