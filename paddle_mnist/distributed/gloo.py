"""Exchanges arrays among workers by Paddle's own collective operations, on the CPU (gloo)."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import socket
import struct
import time
from typing import Any

import numpy as np

from paddle_mnist.distributed.launch import Address, Launch
from paddle_mnist.errors import UserError

STORE_SECONDS = 60.0  # for rank 0 to have imported Paddle and opened its store
SIOCGIFADDR = 0x8915  # Linux, <linux/sockios.h>


class Gloo:
    """Paddle's process group of all workers."""

    def __init__(self, launch: Launch) -> None:
        import paddle
        import paddle.distributed as dist

        os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"
        if interface := interface_to(launch.store):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        if launch.rank:
            _wait_for(launch)  # otherwise Paddle tries once, then sleeps for seconds
        with contextlib.redirect_stderr(io.StringIO()):  # it lists its flags there
            group = dist.init_parallel_env()
        self._paddle, self._group = paddle, group.process_group
        self._size = launch.size
        self._buffers: dict[int, tuple[Any, Any, np.ndarray, np.ndarray]] = {}
        self.seconds = 0.0  # spent in exchanges

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Return every worker's array: float32 [n] of each, [size, n] in all, valid until the next call.

        Raises:
            RuntimeError: a worker is gone.
        """
        began = time.perf_counter()
        given, received, own, found = self._buffers_for(array.size)
        np.copyto(own, array.view(np.int32))
        self._group.all_gather_into_tensor(received, given, True).wait()
        self.seconds += time.perf_counter() - began
        return found.view(np.float32).reshape(self._size, -1)

    def broadcast(self, data: bytes, size: int) -> bytes:
        """Return rank 0's ``data``, of which every worker knows the size in bytes."""
        padded = np.zeros(-(-size // 4) * 4, np.uint8)
        padded[: len(data)] = np.frombuffer(data, np.uint8)
        tensor = self._paddle.to_tensor(padded.view(np.int32))
        self._group.broadcast(tensor, 0, True).wait()
        return tensor.numpy().tobytes()[:size]

    def _buffers_for(self, n: int) -> tuple[Any, Any, np.ndarray, np.ndarray]:
        """Return tensors that are kept, and their memory as arrays."""
        if n not in self._buffers:
            if len(self._buffers) >= 16:
                self._buffers.clear()
            # As integers: no operation may change the bits of a NaN.
            given, received = (self._paddle.zeros([k], dtype="int32") for k in (n, n * self._size))
            self._buffers[n] = given, received, _memory(given, n), _memory(received, n * self._size)
        return self._buffers[n]


def interface_to(address: Address) -> str | None:
    """Return the name of the network interface from which an address is reached, ``None`` if unknown.

    Gloo would take the one that the host's name leads to, which on many machines is the loopback.
    """
    with contextlib.suppress(ImportError, OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        import fcntl  # not on Windows

        probe.connect(address)
        own = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode()[:15])
                if fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)[20:24] == own:
                    return name
    return None


def _wait_for(launch: Launch) -> None:
    until = time.monotonic() + STORE_SECONDS
    while True:
        try:
            socket.create_connection(launch.store, timeout=2.0).close()
            return
        except OSError as error:
            if time.monotonic() >= until:
                raise UserError(
                    f"rank {launch.rank} of {launch.size} cannot reach Paddle's store at "
                    f"{launch.store[0]}:{launch.store[1]} ({error.strerror or error}): open this port"
                ) from None
            time.sleep(0.02)


def _memory(tensor: Any, n: int) -> np.ndarray:
    """Return a tensor's own memory as an array, int32 [n]."""
    return np.ctypeslib.as_array(ctypes.cast(tensor.data_ptr(), ctypes.POINTER(ctypes.c_int32)), (n,))
