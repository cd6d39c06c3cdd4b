"""The course's nets in PyTorch and JAX, with the same step, for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def torch_net(name: str, channels_last: bool = False):
    """Return FC or CNN as PyTorch's documentation would write it."""
    from torch import nn

    if name == "fc":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 10), nn.Sigmoid(), nn.Linear(10, 10), nn.Sigmoid(), nn.Linear(10, 1)
        )
    net = nn.Sequential(
        *(nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(980, 1)),
    )
    return _channels_last(net) if channels_last else net


def torch_step(name: str, images: np.ndarray, labels: np.ndarray, clip: bool, channels_last: bool = False):
    """Return a function that does one step of SGD and returns the loss as a float."""
    import torch
    import torch.nn.functional as F

    net = torch_net(name, channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
    x, y = torch.from_numpy(images.copy()), torch.from_numpy(labels.copy())
    if channels_last:
        x = _channels_last(x)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        return loss.item()

    return step


def _channels_last(what):
    import torch

    return what.to(memory_format=torch.channels_last)


def jax_fc_step(images: np.ndarray, labels: np.ndarray, clip: bool) -> Callable[[], float]:
    """Return the FC net's step, compiled by JAX as a whole."""
    from itertools import pairwise

    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    sizes = (784, 10, 10, 1)
    weights = [
        (jnp.asarray(rng.normal(0, 0.1, pair).astype(np.float32)), jnp.zeros(pair[1])) for pair in pairwise(sizes)
    ]

    def loss_of(weights, x, y):
        for w, b in weights[:-1]:
            x = jax.nn.sigmoid(x @ w + b)
        w, b = weights[-1]
        return jnp.mean((x @ w + b - y) ** 2)

    @jax.jit
    def update(weights, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
        if clip:
            norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradients)))
            gradients = jax.tree.map(lambda g: g * 5.0 / jnp.maximum(norm, 5.0), gradients)
        return loss, jax.tree.map(lambda w, g: w - 0.001 * g, weights, gradients)

    x, y = images.reshape(len(images), 784), labels
    state = [weights]

    def step() -> float:
        loss, state[0] = update(state[0], x, y)
        return float(loss)

    return step
