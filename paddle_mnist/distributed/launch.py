"""What Paddle's launcher tells each worker in environment variables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from paddle_mnist.errors import UserError, quote

Address = tuple[str, int]

JOIN_SECONDS = 10.0  # for all workers to connect
SILENCE_SECONDS = 6.0  # of a worker that trains, before it is lost


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
    size = _number(environment, "PADDLE_TRAINERS_NUM", range(2, 1 << 16))
    rank = _number(environment, "PADDLE_TRAINER_ID", range(size))
    endpoints = [_address(text) for text in _text(environment, "PADDLE_TRAINER_ENDPOINTS").split(",")]
    if len(endpoints) != size:
        raise UserError(f"PADDLE_TRAINER_ENDPOINTS must have {size} addresses, got {len(endpoints)}")
    return Launch(
        rank=rank,
        size=size,
        local_rank=_number(environment, "PADDLE_LOCAL_RANK", range(size)),
        local_size=_number(environment, "PADDLE_LOCAL_SIZE", range(1, size + 1)),
        hub=endpoints[0],
        host=endpoints[rank][0],
    )


def join_seconds() -> float:
    """Return for how long workers wait for one another at the start."""
    return _seconds("PADDLE_MNIST_JOIN_SECONDS", JOIN_SECONDS)


def silence_seconds() -> float:
    """Return for how long a worker that trains may be silent."""
    return _seconds("PADDLE_MNIST_SILENCE_SECONDS", SILENCE_SECONDS)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e5:
            return float(text)
    raise UserError(f"{name} must be a number of seconds, got {quote(text)}")


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


def _number(environment: Mapping[str, str], name: str, allowed: range) -> int:
    text = _text(environment, name)
    if not text.isdecimal() or int(text) not in allowed:
        raise UserError(f"{name} must be an integer from {allowed[0]} to {allowed[-1]}, got {quote(text)}")
    return int(text)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UserError(f"a worker's address must be HOST:PORT, got {quote(text)}: start workers by the launcher")
    return host, int(port)
