"""The fences around the answers of a class: no file outside their folder, no program, no network, no other process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from paddle_mnist.labs import runner, tools
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.sandbox import Fence
from paddle_mnist.labs.verdicts import RIGHT, WRONG

LAB, NAME = "15", "newest_whole"
EXERCISES = [exercise for exercise in catalog.load(LAB, tools.numbers()) if exercise.name == NAME]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "secret.txt").write_text("another's answer")
    return tmp_path / "own"


def attempt(own: Path, lines: str) -> str:
    """Return the message about an answer that runs these lines and then returns something wrong."""
    body = "\n".join(f"    {line}" for line in lines.splitlines())
    source = f"def {NAME}(checkpoints):\n    import os, sys\n{body}\n    return 'done'\n"
    limits = runner.Limits(10.0)
    (verdict,) = runner.verdicts(LAB, EXERCISES, "15.py", source.encode(), limits=limits, folder=str(own))
    assert verdict.kind == WRONG
    return verdict.message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("open('../secret.txt').read()", "must not read"),
        ("open('../secret.txt', 'w')", "must write in its own folder only"),
        ("open('../new.txt', 'x')", "must write in its own folder only"),
        ("os.open('../secret.txt', os.O_WRONLY | os.O_TRUNC)", "must write in its own folder only"),
        ("os.remove('../secret.txt')", "must write in its own folder only"),
        ("os.rename('../secret.txt', 'mine.txt')", "must write in its own folder only"),
        ("os.link('../secret.txt', 'mine.txt')", "must write in its own folder only"),
        ("os.symlink('../secret.txt', 'mine.txt')\nopen('mine.txt').read()", "must not read|own folder only"),
        ("os.mkdir('../folder')", "must write in its own folder only"),
        ("os.listdir('..')", "must not read"),
        ("os.chdir('..')", "must not call os.chdir"),
        ("os.system('echo')", "must not call os.system"),
        ("os.fork()", "must not call os.fork"),
        ("os.execv('/bin/sh', ['sh'])", "must not call os.exec"),
        ("os.kill(os.getppid(), 9)", "must not call os.kill"),
        ("import subprocess", "must not import subprocess"),
        ("import _posixsubprocess", "must not import _posixsubprocess"),
        ("import socket", "must not import socket"),
        ("import urllib.request", "must not import"),
        ("import ctypes", "must not import ctypes"),
        ("import gc\ngc.get_objects()", "must not call gc.get_objects"),
        ("sys._current_frames()", "must not call sys._current_frames"),
        ("import numpy\nnumpy.save('../secret.npy', numpy.zeros(3))", "must write in its own folder only"),
        ("import numpy\nnumpy.zeros(3).tofile('../secret.npy')", "must write in its own folder only"),
    ],
)
def test_enclose_refuses_what_leads_outside(lines, message, own):
    before = sorted(path.name for path in own.parent.iterdir())
    found = attempt(own, lines)
    assert "'done'" not in found
    assert any(part in found for part in message.split("|")), found
    assert (own.parent / "secret.txt").read_text() == "another's answer"
    assert sorted(path.name for path in own.parent.iterdir()) == before


@pytest.mark.parametrize(
    "lines",
    [
        "open('mine.txt', 'w').close()\nopen('mine.txt').read()\nos.remove('mine.txt')",
        "import tempfile\nwith tempfile.TemporaryFile() as file: file.write(b'x')",
        "open(os.devnull, 'w').close()",
        "assert os.environ['HOME'] == os.getcwd() == os.path.realpath(os.environ['TMPDIR'])",
        "import json, random, itertools, collections, statistics, fractions",
    ],
)
def test_enclose_permits_what_stays_inside(lines, own):
    assert "it returns 'done'; expected 300" in attempt(own, lines)


def test_enclose_lets_right_answers_pass(own):
    source = (Path(__file__).parent / "solutions" / f"{LAB}.py").read_bytes()
    exercises = catalog.load(LAB, tools.numbers())
    verdicts = list(runner.verdicts(LAB, exercises, "15.py", source, folder=str(own)))
    assert [verdict.kind for verdict in verdicts] == [RIGHT] * len(exercises)


def test_environment_of_an_enclosed_answer_is_not_the_callers(own, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    assert "'done'" in attempt(own, "assert 'SECRET_TOKEN' not in os.environ")


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
def test_landlock_stops_native_code():
    code = f"""
import ctypes, os, sys, tempfile
from paddle_mnist.labs import landlock
folder, other = tempfile.mkdtemp(), tempfile.mkdtemp()
libc = ctypes.CDLL(None, use_errno=True)
if not landlock.restrict([folder], [{os.fspath(sys.prefix)!r}]):
    sys.exit(77)
assert libc.open(os.path.join(folder, "a").encode(), os.O_CREAT | os.O_WRONLY, 0o600) >= 0
assert libc.open(os.path.join(other, "a").encode(), os.O_CREAT | os.O_WRONLY, 0o600) < 0
assert libc.open(b"/etc/passwd", os.O_RDONLY) < 0
assert libc.system(b"true") != 0
"""
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("this kernel has no Landlock")
    assert done.returncode == 0, done.stderr


def test_fence_follows_links_and_relative_names(own, monkeypatch):
    monkeypatch.chdir(own)
    fence = Fence(str(own))
    (own / "link").symlink_to("../secret.txt")
    assert not fence.reason("open", ("a.txt", "w", 0))
    assert not fence.reason("open", (b"sub/../a.txt", "wb", 0))
    assert not fence.reason("open", (3, "w", 0))
    assert "own folder only" in fence.reason("open", ("link", "w", 0))
    assert "must not read" in fence.reason("open", ("link", "r", 0))
    assert "own folder only" in fence.reason("os.rename", ("a.txt", "../b.txt", -1, -1))
    assert not fence.reason("os.rename", ("a.txt", "b.txt", -1, -1))
    assert not fence.reason("open", (os.__file__, "r", 0))
    assert not fence.reason("object.__getattr__", (fence, "x"))
