"""How long one training step takes: ours against plain Paddle, PyTorch and JAX, in turns.

    python benchmarks/training_step.py

Batches of 100, float32, square error, SGD; gradients, clipping where it is said, and the update included. Needs the
``bench`` extra. Figures go to ``benchmarks/results/training_step.json`` and ``training_step.png``.
"""

from __future__ import annotations

import argparse
import importlib.util

import numpy as np
from _measure import draw, in_turns, machine, ratio, save, show

from paddle_mnist import cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="turns of each candidate")
    rounds = parser.parse_args().rounds
    figures = {"machine": machine(), "levers": cpu.tune(), "questions": {}}
    panels = {}
    for name, calls in (("cnn", 6), ("fc", 100)):
        for clip in (False, True):
            candidates = make_candidates(name, clip)
            peers = [candidate for candidate in candidates if candidate.startswith(("PyTorch", "JAX"))]
            times = in_turns(candidates, rounds, calls)
            torch = ratio(times, "ours", [peer for peer in peers if peer.startswith("PyTorch")])
            title = f"{name.upper()}, a step{', clipped' if clip else ''}"
            show(title, times, ratio(times, "ours", peers))
            figures["questions"][title] = {"times": times, "ours_over_best_pytorch": torch}
            figures["questions"][title]["ours_over_best_peer"] = ratio(times, "ours", peers)
            panels[title] = times
    print(save("training_step", figures))
    print(draw("training_step", {title: panels[title] for title in panels if "clipped" in title}))


def make_candidates(name: str, clip: bool) -> dict:
    """Return the step of each candidate, all on the same batch."""
    import paddle
    from _peers import jax_fc_step, torch_step

    from paddle_mnist import fast, nets

    rng = np.random.default_rng(0)
    images = rng.random((100, 1, 28, 28), np.float32)
    labels = rng.integers(0, 10, (100, 1)).astype(np.float32)

    def make():
        net = getattr(nets, name.upper())()
        norm = paddle.nn.ClipGradByGlobalNorm(5.0) if clip else None
        return net, paddle.optimizer.SGD(0.001, parameters=net.parameters(), grad_clip=norm)

    net, optimizer = make()
    step = fast.train_step(net, "regress", optimizer)
    plain_net, plain_optimizer = make()

    def plain() -> float:
        outputs = plain_net(paddle.to_tensor(images))
        loss = paddle.nn.functional.square_error_cost(outputs, paddle.to_tensor(labels)).mean()
        loss.backward()
        plain_optimizer.step()
        plain_optimizer.clear_grad()
        return float(loss)

    candidates = {
        "ours": lambda: step(images, labels),
        "plain Paddle, tuned": plain,
        "PyTorch": torch_step(name, images, labels, clip),
    }
    if name == "cnn":
        candidates["PyTorch channels_last"] = torch_step(name, images, labels, clip, channels_last=True)
    elif importlib.util.find_spec("jax"):
        candidates["JAX, jitted"] = jax_fc_step(images, labels, clip)
    return candidates


if __name__ == "__main__":
    main()
