"""What Paddle's launcher tells each worker in environment variables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from paddle_mnist.errors import UserError, quote

Address = tuple[str, int]

JOIN_SECONDS = 10.0  # for all workers to connect; PADDLE_MNIST_JOIN_SECONDS changes it


@dataclass(frozen=True)
class Launch:
    """One worker's place among all.

    Attributes:
        rank: its number among all workers, from 0.
        size: the number of workers, at least 2.
        local_rank: its number among the workers on its machine, from 0.
        local_size: the number of workers on its machine.
        hub: where rank 0 listens for the other workers' connections.
        host: the address at which other machines reach this worker's.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    hub: Address
    host: str


def from_environment(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Return this process's place, or ``None`` if it works alone.

    Raises:
        UserError: a variable that the launcher sets is missing or damaged.
    """
    if environment.get("PADDLE_TRAINERS_NUM", "1") == "1":
        return None
    size = _number(environment, "PADDLE_TRAINERS_NUM", 2, 1 << 16)
    rank = _number(environment, "PADDLE_TRAINER_ID", 0, size)
    endpoints = [_address(text) for text in _text(environment, "PADDLE_TRAINER_ENDPOINTS").split(",")]
    if len(endpoints) != size:
        raise UserError(f"PADDLE_TRAINER_ENDPOINTS must have {size} addresses, got {len(endpoints)}")
    return Launch(
        rank=rank,
        size=size,
        local_rank=_number(environment, "PADDLE_LOCAL_RANK", 0, size) if "PADDLE_LOCAL_RANK" in environment else 0,
        local_size=_number(environment, "PADDLE_LOCAL_SIZE", 1, size + 1) if "PADDLE_LOCAL_SIZE" in environment else 1,
        hub=endpoints[0],
        host=endpoints[rank][0],
    )


def join_seconds() -> float:
    """Return for how long workers wait for one another at the start."""
    text = os.environ.get("PADDLE_MNIST_JOIN_SECONDS", "")
    if not text:
        return JOIN_SECONDS
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e5:
            return float(text)
    raise UserError(f"PADDLE_MNIST_JOIN_SECONDS must be a number of seconds, got {text!r}")


def cores() -> int:
    """Return how many processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_share(cores: int, environment: Mapping[str, str] = os.environ) -> int:
    """Return how many of a machine's ``cores`` a worker should use."""
    launch = from_environment(environment)
    return cores if launch is None else max(1, cores // launch.local_size)


def _text(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise UserError(f"{name} must be set where PADDLE_TRAINERS_NUM is: start workers by paddle.distributed.launch")
    return environment[name]


def _number(environment: Mapping[str, str], name: str, first: int, stop: int) -> int:
    text = _text(environment, name)
    if not text.isdecimal() or not first <= int(text) < stop:
        raise UserError(f"{name} must be an integer from {first} to {stop - 1}, got {quote(text)}")
    return int(text)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UserError(f"a worker's address must be HOST:PORT, got {quote(text)}: start workers by the launcher")
    return host, int(port)
