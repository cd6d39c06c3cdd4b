"""Faster equivalents of nets and of their training step, for the CPU.

Figures: see benchmarks/README.md (two cores of an AMD EPYC; paddlepaddle 3.3.1, NumPy 2.4, PyTorch 2.13.0).

Paddle's layers, taken one by one, leave most of a processor idle: each one goes over the whole batch, far larger than
the caches, in memory that is new each time, and convolutions go image by image. Here a net is captured once as a graph
(``paddle_mnist.program``), and a step takes a few images at a time through the whole net, forward and backward, in
buffers that stay in a core's own cache, one such *block* per thread. Nothing is approximated: parameters are the net's
own, and outputs, gradients and updates equal Paddle's to rounding. Whatever is not surely covered goes to Paddle.

Values that are not finite (NaN, infinity) in images, parameters, outputs or gradients: Paddle itself does the step, so
that both agree. The exception is ``backward`` through ``accelerate``, where a gradient that is not finite may be so in
other places than Paddle's.

    __init__      accelerate, train_step, engine_name
    frozen        a net whose weights no longer change
    engine        whether a net is covered; its graphs, plans and memory
    watch         notices when a net is no longer what was captured
    plan, choice  size of blocks, layout of parameters; which kernel computes a node
    workspace     the buffers of one block
    blocks, threads     blocks over threads, sums in a fixed order
    products      the gradients of large weights, computed where they are used
    compiled/     kernels in C, and how threads share them, where the package was installed with a compiler
    onednn_kernels/, onednn     kernels in oneDNN, which Paddle's Linux wheel brings
    elementwise, normalization, dense, convolution, shapes     kernels in NumPy
    losses, optimizers, dropout                                the rest of a training step
    paddle_private, arrays, blas                               private parts of Paddle, memory, NumPy's matrix library
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from paddle_mnist.distributed.team import ALONE, Team
from paddle_mnist.errors import UserError
from paddle_mnist.fast import losses
from paddle_mnist.fast.arrays import memory_of
from paddle_mnist.fast.blocks import Runner
from paddle_mnist.fast.engine import Engine, engine_of, suits
from paddle_mnist.fast.optimizers import Update, update_for

__all__ = ["Forward", "TrainStep", "accelerate", "engine_name", "train_step"]

INPUT_SHAPE = (1, 28, 28)


def accelerate(net: paddle.nn.Layer) -> Forward | paddle.nn.Layer:
    """Return a function that gives what ``net`` gives, faster; ``net`` itself where it is not in float32 on the CPU.

    The function works on the net's own parameters, in the mode that it is in, whatever their values are when it is
    called. Gradients reach ``Parameter.grad`` as through the net. It calls the net where the fast path does not cover
    it, and for images that need a gradient. ``engine`` says which of the two it is.
    """
    return net if engine_of(net).plain_reason() else Forward(net)


def train_step(
    net: paddle.nn.Layer,
    task: str,
    optimizer: paddle.optimizer.Optimizer,
    label_smoothing: float = 0.0,
    seed: int | None = None,
    team: Team = ALONE,
) -> TrainStep | None:
    """Return a function that does one whole step of gradient descent, or ``None`` where there is nothing to gain.

    Args:
        net: any layer in float32 on the CPU, all of whose parameters are trained. What the fast path does not cover is
            trained by Paddle, by the same function; its ``engine`` says so.
        task: ``"regress"`` or ``"classify"``, which decides the loss.
        optimizer: one of Paddle's, made for the net's parameters. Its learning rate is read at each step.
        label_smoothing: for ``"classify"``, the share of each target that is spread evenly over all classes.
        seed: decides the masks of dropout, together with the number of the step; by default from Paddle's generator.
        team: processes that train the net together; see ``distributed.team``. They need the same seed.
    """
    if task not in ("regress", "classify"):
        raise UserError(f"task must be regress or classify, got {task}")
    engine = engine_of(net)
    if engine.plain_reason() or engine.is_frozen():
        return None
    return TrainStep(net, task, optimizer, label_smoothing, seed, team)


def engine_name(net: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer | None = None) -> str:
    """Return what runs the net in its present mode: "fast: oneDNN, 2 threads", or "plain: " and the reason.

    Args:
        net: any layer. It is captured if it was not yet.
        optimizer: the one that will train it, if any.
    """
    engine = engine_of(net)
    state = engine.state(INPUT_SHAPE)
    if state.runner is None:
        return f"plain: {state.reason}"
    if optimizer is not None and engine.is_frozen():
        return "plain: some parameters are frozen"
    plan = state.runner.plan
    threads = state.runner.threads if plan.block_size or plan.sliced else 1  # which serve for large batches alone
    return f"fast: {plan.library}, {threads} thread{'' if threads == 1 else 's'}"


class Forward:
    """See ``accelerate``."""

    def __init__(self, net: paddle.nn.Layer) -> None:
        self.net = net
        self._engine = engine_of(net)

    @property
    def engine(self) -> str:
        """See ``engine_name``."""
        return engine_name(self.net)

    def __call__(self, images: paddle.Tensor) -> paddle.Tensor:
        """Return the net's raw outputs."""
        runner = self._runner(images)
        if runner is None:
            return self.net(images)
        seed = _draw_seed() if runner.plan.dropouts else 0
        array = memory_of(images) if images.is_contiguous() else images.numpy()
        outputs = self._engine.outputs(runner, array, (seed, 0))
        if outputs is None:
            return self.net(images)
        parameters = self._engine.parameters
        if not paddle.is_grad_enabled() or all(parameter.stop_gradient for parameter in parameters):
            return paddle.to_tensor(outputs)
        return _Differentiable.apply(images, outputs, self._engine, runner, seed, *parameters)

    def _runner(self, images: paddle.Tensor) -> Runner | None:
        if (
            not isinstance(images, paddle.Tensor)
            or images.dtype != paddle.float32
            or not images.place.is_cpu_place()
            or not images.stop_gradient
            or len(images.shape) < 2
            or images.shape[0] == 0
        ):
            return None
        runner = self._engine.state(tuple(images.shape[1:])).runner
        return runner if runner is not None and suits(runner, images.shape[0]) else None


class _Differentiable(paddle.autograd.PyLayer):
    """The faster forward pass as one operator of Paddle's autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        images: paddle.Tensor,
        outputs: np.ndarray,
        engine: Engine,
        runner: Runner,
        seed: int,
        *parameters: paddle.Tensor,
    ) -> paddle.Tensor:
        ctx.images, ctx.engine, ctx.runner, ctx.seed = images.numpy(), engine, runner, seed
        return paddle.to_tensor(outputs)

    @staticmethod
    def backward(ctx: Any, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        # The forward pass is done again, block by block: cheaper than keeping what it left of the whole batch.
        given = gradient.numpy()
        engine: Engine = ctx.engine
        arrays = engine.arrays()

        def copy(outputs: np.ndarray, rows: slice, to: np.ndarray) -> None:
            np.copyto(to, given[rows])

        found = ctx.runner.gradients(arrays, ctx.images, copy, (ctx.seed, 0))
        gradients = ctx.runner.computed(found)
        ctx.runner.plan.statistics.clear()  # the forward pass has stored them
        pairs = zip(engine.parameters, gradients, strict=True)
        return (None, *(None if p.stop_gradient else paddle.to_tensor(gradient) for p, gradient in pairs))


class TrainStep:
    """One whole step of gradient descent. Takes images float32 [n, 1, 28, 28] and labels [n, 1], as the loader yields
    them, does what

        loss = F.square_error_cost(net(images), labels).mean()      # or F.cross_entropy
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()

    does, and returns the loss before the step.

    Attributes:
        seed, number: what decides the masks of dropout; ``number`` counts the steps done. Both may be set, for instance
            when training is resumed.
    """

    def __init__(
        self,
        net: paddle.nn.Layer,
        task: str,
        optimizer: paddle.optimizer.Optimizer,
        label_smoothing: float,
        seed: int | None,
        team: Team = ALONE,
    ) -> None:
        self.net, self.task, self.optimizer, self.smoothing = net, task, optimizer, label_smoothing
        self.seed, self.number, self.team = seed, 0, team
        self._engine = engine_of(net)
        self._update: Update | None = None
        self._updated: list[paddle.Tensor] = []

    @property
    def engine(self) -> str:
        """See ``engine_name``."""
        return engine_name(self.net, self.optimizer)

    def rows(self, n: int) -> slice:
        """Return the rows of a batch of ``n`` that this member of the team computes: all, if it is not divided."""
        runner = self._runner(n)
        return slice(0, n) if runner is None else runner.division(n, self.team).rows

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Do the step and return the batch's mean loss before it.

        Args:
            images: float32 [n, 1, 28, 28], finite; in a team, zeros outside ``rows``.
            labels: [n, 1], all of them.
        """
        images = np.ascontiguousarray(images, np.float32)
        if images.shape[1:] != INPUT_SHAPE or not len(images):
            raise UserError(f"images must have the shape [n, 1, 28, 28], n at least 1, got {list(images.shape)}")
        runner = self._runner(len(images))
        loss = None if runner is None else self._fast(runner, images, labels)
        self.number += 1
        if loss is None:
            if runner is not None:
                runner.division(len(images), self.team).complete(images)
            loss = self.plain(images, labels)
        return loss

    def _runner(self, n: int) -> Runner | None:
        if not paddle.is_grad_enabled():
            return None
        runner = self._engine.state(INPUT_SHAPE).runner
        if runner is None or not suits(runner, n) or len(runner.plan.graph.nodes[-1].shape) != 1:
            return None
        return None if any(parameter.stop_gradient for parameter in self._engine.parameters) else runner

    def _fast(self, runner: Runner, images: np.ndarray, labels: np.ndarray) -> float | None:
        """Do the step, or nothing if any value is not finite."""
        n, (classes,) = len(images), runner.plan.graph.nodes[-1].shape
        labels = losses.check_labels(labels, n, self.task, classes)
        sample_losses = np.zeros(n)

        def output_gradient(outputs: np.ndarray, rows: slice, gradient: np.ndarray) -> None:
            arrays = outputs, labels[rows], sample_losses[rows], gradient
            if self.task == "regress":
                losses.squared_error(*arrays, 1 / n)
            else:
                losses.cross_entropy(*arrays, 1 / n, self.smoothing)

        if runner.plan.dropouts and self.seed is None:
            self.seed = _draw_seed()
        seed = self.seed or 0, self.number
        with runner.working(n):
            result = self._engine.gradients(runner, images, output_gradient, seed, self.team, sample_losses)
            loss = float(np.add.reduce(sample_losses)) / n
            if result is None or not np.isfinite(loss):
                runner.plan.statistics.clear()
                return None
            arrays, gradients = result
            self._engine.store_statistics(runner, arrays)
            parameters = self._engine.parameters
            if self._update is None or self._updated is not parameters:
                self._update, self._updated = update_for(self.optimizer, parameters), parameters
            self._update([arrays[name] for name in runner.plan.sizes], gradients, runner)
        return loss

    def plain(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Do the step by Paddle itself, whether the net is covered or not."""
        outputs = self.net(paddle.to_tensor(images))
        labels = losses.check_labels(labels, len(images), self.task, outputs.shape[-1])
        loss = losses.plain_loss(self.task, outputs, paddle.to_tensor(labels), self.smoothing)
        loss.backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        return float(loss)


def _draw_seed() -> int:
    """Draw a seed from Paddle's global generator, as its own dropout would."""
    return paddle.randint(0, 2**31 - 1, [1]).item()
