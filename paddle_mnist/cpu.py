"""Sets a process up for fast Paddle on a CPU, before Paddle is imported.

Command lines call ``tune()`` first thing; a notebook does the same in its first cell:

    from paddle_mnist import cpu
    cpu.tune()
    import paddle

Each setting is applied only where it is known to help, and never overrides a variable that the user has set. None of
them changes what is computed.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import sys
import warnings
from pathlib import Path

from paddle_mnist.distributed import launch

# The codes by which Intel's matrix library (MKL 2020 and before) calls the kernels of a processor.
MKL_AVX2, MKL_AVX512 = "5", "7"
AVX2_NEEDS = {"avx2", "fma"}
AVX512_NEEDS = {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}

# glibc's mallopt, from malloc.h; the threshold is the largest that it accepts.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024


def tune() -> list[str]:
    """Apply every setting that helps here, and return the names of those that this call applied.

    Call it before Paddle is imported; afterwards only ``"memory"`` still applies. A second call does no harm.

    - ``"kernels"``: Paddle's Linux wheel contains Intel's matrix library MKL, which uses code older than AVX2 on an
      AMD processor. A variable selects the code for the processor's own instructions.
    - ``"memory"``: by default glibc returns each large block to the system and requests it again, page by page. With
      this setting it keeps blocks of up to 32 MB and reuses them.

    The number of threads of Paddle's own layers is not among them: the layers synchronize after every small product,
    and on a busy machine most of the time would go into waiting. ``fast`` divides the batch instead.

    It also suppresses a warning about ccache on the import of Paddle, which concerns only those who compile extensions.
    """
    warnings.filterwarnings("ignore", "No ccache found", UserWarning)
    threads()  # Paddle overwrites the variable that this reads
    applied = []
    if "paddle" not in sys.modules:
        kernels = _mkl_kernels()
        if kernels and os.environ.setdefault("MKL_DEBUG_CPU_TYPE", kernels) == kernels:
            applied.append("kernels")
    if _keep_memory():
        applied.append("memory")
    return applied


@functools.cache
def threads() -> int:
    """Return how many threads to use: ``OMP_NUM_THREADS`` if the user set it, else the cores that we may run on.

    Workers on one machine share its cores. Paddle's launcher sets the variable to 1 for each of them.
    """
    launched = launch.from_environment() is not None
    chosen = os.environ.get("OMP_NUM_THREADS", "") if "paddle" not in sys.modules else ""
    if chosen.isdecimal() and int(chosen) > (1 if launched else 0):
        return int(chosen)
    return launch.threads_share(launch.cores())


def _has_mkl() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _mkl_kernels() -> str | None:
    """Return the code of the kernels that an AMD processor should be given, or ``None`` to leave the choice alone."""
    if not _has_mkl():
        return None
    vendor, features = _processor()
    if vendor != "AuthenticAMD" or not features >= AVX2_NEEDS:
        return None
    return MKL_AVX512 if features >= AVX512_NEEDS else MKL_AVX2


def _processor() -> tuple[str, set[str]]:
    """Return the first processor's vendor and features as Linux lists them; both empty where it does not."""
    vendor, features = "", set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "vendor_id":
                vendor = value.strip()
            elif name.strip() == "flags":
                features = set(value.split())
            elif not name.strip() and features:
                break  # the next processor begins
    return vendor, features


def _keep_memory() -> bool:
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
