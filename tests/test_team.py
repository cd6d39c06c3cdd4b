"""``distributed.team``: a batch divided among the members of a team gives the bits that one process gives."""

from __future__ import annotations

import threading

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from paddle_mnist import fast, nets
from paddle_mnist.distributed.team import ALONE, Division, OrderedSum, gather_rows

BATCHES = (100, 64, 37, 32, 64, 100, 23)


class Members:
    """Teams of threads instead of processes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.exchanged = 0
        self._barrier = threading.Barrier(size)
        self._arrays: list = [None] * size

    def run(self, work) -> list:
        """Return ``work(member)`` for every member, all at the same time."""
        results: list = [None] * self.size

        def one(rank: int) -> None:
            try:
                results[rank] = work(Member(self, rank))
            except BaseException:
                self._barrier.abort()
                raise

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def gather(self, rank: int, array: np.ndarray) -> np.ndarray:
        self._arrays[rank] = array
        self._barrier.wait(60)
        found = np.array(self._arrays)
        self._barrier.wait(60)
        self.exchanged += array.nbytes
        return found


class Member:
    def __init__(self, members: Members, rank: int) -> None:
        self.rank, self.size, self._members = rank, members.size, members
        self._last = np.empty(0)

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Overwrite what the call before has returned, as it is allowed to."""
        found = self._members.gather(self.rank, array)
        self._last[:] = np.nan
        self._last = found
        return found


class Normalized(paddle.nn.Layer):
    """A student's net: batch norm twice, dropout, a weight that is large enough for a gradient of its own."""

    def __init__(self, num_outputs: int = 10) -> None:
        super().__init__()
        self.conv = paddle.nn.Conv2D(1, 6, 5, stride=2, bias_attr=False)
        self.norm = paddle.nn.BatchNorm2D(6)
        self.hidden = paddle.nn.Linear(864, 40)
        self.norm2 = paddle.nn.BatchNorm1D(40)
        self.dropout = paddle.nn.Dropout(0.3)
        self.out = paddle.nn.Linear(40, num_outputs)

    def forward(self, images):
        x = F.relu(self.norm(self.conv(images)))
        x = F.relu(self.norm2(self.hidden(paddle.flatten(x, start_axis=1))))
        return self.out(self.dropout(x))


def batches(task: str) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.random((n, 1, 28, 28), np.float32),
            rng.integers(0, 10, (n, 1)).astype("float32" if task == "regress" else "int64"),
        )
        for n in BATCHES
    ]


def make_step(net_type: type, task: str, optimizer_type: type, team=ALONE) -> fast.TrainStep:
    """Return a new net's step; the net is captured here, since threads share Paddle's static program."""
    paddle.seed(3)
    with paddle.utils.unique_name.guard():
        net = net_type(num_outputs=1 if task == "regress" else 10)
        clip = paddle.nn.ClipGradByGlobalNorm(0.5)
        optimizer = optimizer_type(learning_rate=0.01, parameters=net.parameters(), grad_clip=clip)
        step = fast.train_step(net, task, optimizer, seed=5, team=team)
    net.train()
    assert step.engine.startswith("fast")
    return step


def train(step: fast.TrainStep) -> list[bytes]:
    """Return the losses and all weights and statistics after some steps, as bytes."""
    losses = []
    for images, labels in batches(step.task):
        rows = step.rows(len(images))
        own = np.zeros_like(images)
        own[rows] = images[rows]
        losses.append(step(own, labels))
    return [np.array(losses).tobytes(), *(value.numpy().tobytes() for value in step.net.state_dict().values())]


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize(
    ("net_type", "task", "optimizer_type"),
    [
        (nets.FC, "regress", paddle.optimizer.SGD),
        (nets.CNN, "classify", paddle.optimizer.SGD),
        (nets.MLP, "classify", paddle.optimizer.Momentum),
        (Normalized, "classify", paddle.optimizer.Adam),
    ],
    ids=["fc", "cnn", "mlp", "batch norm"],
)
def test_train_step_gives_the_same_bits_in_a_team(net_type, task, optimizer_type, size):
    wanted = train(make_step(net_type, task, optimizer_type))
    members = Members(size)
    steps = [make_step(net_type, task, optimizer_type, Member(members, rank)) for rank in range(size)]
    for found in members.run(lambda member: train(steps[member.rank])):
        assert found == wanted
    assert (members.exchanged > 0) == (net_type not in (nets.FC, nets.MLP)), "a batch of one block is not divided"


def test_train_step_in_a_team_follows_paddle_where_a_gradient_is_not_finite():
    images, labels = batches("regress")[0]
    labels[50] = 1e30  # its squared error is finite in float64, its gradient's square is not in float32
    results = []
    for size in (1, 2):
        members = Members(size)
        steps = [make_step(nets.CNN, "regress", paddle.optimizer.SGD, Member(members, rank)) for rank in range(size)]

        def one_step(member: Member, steps=steps) -> bytes:
            step, own = steps[member.rank], np.zeros_like(images)
            rows = step.rows(len(images))
            own[rows] = images[rows]
            step(own, labels)
            return b"".join(value.numpy().tobytes() for value in step.net.state_dict().values())

        results += members.run(one_step)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("count", [1, 2, 5, 10, 33])
def test_division_adds_up_in_the_same_order_for_any_team(count):
    rng = np.random.default_rng(count)
    # Sums of numbers of very different sizes depend on the order.
    arrays = (rng.standard_normal((count, 50)) * 10.0 ** rng.integers(-4, 5, (count, 50))).astype(np.float32)
    pieces = [slice(3 * i, 3 * i + 3) for i in range(count)]
    values = rng.random(3 * count)

    def total(team) -> tuple[bytes, bytes]:
        division, sums = Division(team, pieces), OrderedSum(count)
        for i in division.blocks:
            sums.add((i, i + 1), arrays[i].copy())
        samples = np.zeros(3 * count)
        samples[division.rows] = values[division.rows]
        result = division.total(sums, 50, samples).tobytes()
        return result, samples.tobytes() if division.team.size > 1 else values.tobytes()

    wanted = total(ALONE)
    for size in (2, 3, 4, 7, 40):
        assert Members(size).run(total) == [wanted] * size


def test_gather_rows_keeps_the_order_of_ranks():
    members = Members(3)
    rows = [np.arange(8.0).reshape(4, 2), np.zeros((0, 2)), np.full((1, 2), np.nan)]
    found = members.run(lambda member: gather_rows(member, rows[member.rank], [4, 0, 1]))
    for each in found:
        np.testing.assert_array_equal(each, np.concatenate(rows))
