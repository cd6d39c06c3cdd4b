from __future__ import annotations

import os
import subprocess
import sys

import pytest

from paddle_mnist import cpu

AMD = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu {}\n\nvendor_id\t: other\nflags\t\t: other\n"
AVX512 = "avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process that has not imported Paddle, on Linux with glibc and an AMD processor of four cores."""
    for name in ("MKL_DEBUG_CPU_TYPE", "OMP_NUM_THREADS", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "paddle", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cpu.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(cpu.platform, "libc_ver", lambda: ("none", ""))  # the test process keeps its allocator
    monkeypatch.setattr(cpu.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    processor = tmp_path / "cpuinfo"
    processor.write_text(AMD.format(AVX512))
    monkeypatch.setattr(cpu, "Path", lambda path: processor)
    cpu.threads.cache_clear()
    yield processor
    cpu.threads.cache_clear()


def test_tune_selects_the_kernels_of_an_amd_processor(fresh):
    assert cpu.tune() == ["kernels"]
    assert os.environ["MKL_DEBUG_CPU_TYPE"] == "7"
    assert "OMP_NUM_THREADS" not in os.environ  # Paddle would complain on standard error
    assert cpu.threads() == 4
    assert cpu.tune() == ["kernels"]  # a second call changes nothing


def test_tune_selects_avx2_kernels_without_avx512(fresh):
    fresh.write_text(AMD.format("avx2 fma avx512f"))
    cpu.tune()
    assert os.environ["MKL_DEBUG_CPU_TYPE"] == "5"


@pytest.mark.parametrize(
    "text", [AMD.format("sse2"), AMD.replace("AuthenticAMD", "GenuineIntel").format(AVX512), "", "nonsense"]
)
def test_tune_leaves_other_processors_unchanged(fresh, text):
    fresh.write_text(text)
    assert cpu.tune() == []
    assert "MKL_DEBUG_CPU_TYPE" not in os.environ


def test_tune_works_without_cpuinfo(fresh):
    fresh.unlink()
    assert cpu.tune() == []


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "aarch64")])
def test_tune_changes_nothing_on_other_systems(fresh, monkeypatch, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(cpu.platform, "machine", lambda: machine)
    before = dict(os.environ)
    assert cpu.tune() == []
    assert dict(os.environ) == before


def test_tune_leaves_another_libc_unchanged(fresh, monkeypatch):
    monkeypatch.setattr(cpu.platform, "libc_ver", lambda: ("musl", "1.2"))
    assert "memory" not in cpu.tune()


def test_tune_works_without_mallopt(fresh, monkeypatch):
    monkeypatch.setattr(cpu.platform, "libc_ver", lambda: ("glibc", "2.39"))
    monkeypatch.setattr(cpu.ctypes, "CDLL", lambda name: object())
    assert "memory" not in cpu.tune()


def test_tune_keeps_what_the_user_set(fresh, monkeypatch):
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cpu.tune() == []
    assert os.environ["MKL_DEBUG_CPU_TYPE"] == "4"
    assert cpu.threads() == 1


def test_tune_sets_no_variables_after_the_import_of_paddle(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "paddle", object())
    before = dict(os.environ)
    assert cpu.tune() == []
    assert dict(os.environ) == before


def test_threads_works_without_sched_getaffinity(fresh, monkeypatch):
    monkeypatch.delattr(cpu.os, "sched_getaffinity")
    monkeypatch.setattr(cpu.os, "cpu_count", lambda: None)
    assert cpu.threads() == 1


def test_tune_imports_nothing_heavy_and_keeps_paddle_silent():
    code = (
        "import sys; from paddle_mnist import cpu; cpu.tune();"
        "assert not {'paddle', 'numpy'} & set(sys.modules), 'heavy'; import paddle"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tune_keeps_products_correct():
    import numpy as np
    import paddle

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((300, 500), np.float32), rng.standard_normal((500, 70), np.float32)
    found = paddle.matmul(paddle.to_tensor(a), paddle.to_tensor(b)).numpy()
    np.testing.assert_allclose(found, a.astype(np.float64) @ b, rtol=1e-4, atol=1e-3)
