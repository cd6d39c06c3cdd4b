"""``tools/train_reader.py`` on few digits: the same file each time, and a file that the bundled reader can use."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist.pictures import reader

SCRIPT = Path(__file__).parents[1] / "tools" / "train_reader.py"


def trained(data: Path, folder: Path) -> Path:
    """Train into a folder, and return it."""
    folder.mkdir()
    arguments = ["--data", str(data), "--out", str(folder), "--epochs", "1", "--share", "0.005"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return folder


@pytest.fixture(scope="module")
def first(written_digits, tmp_path_factory):
    """Return the folder of a training."""
    return trained(written_digits, tmp_path_factory.mktemp("reader") / "first")


def test_train_reader_writes_the_same_bytes_each_time(first, written_digits, tmp_path):
    second = trained(written_digits, tmp_path / "second")
    for name in ("reader.npz", "reader.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    document = json.loads((first / "reader.json").read_text())
    assert document["recipe"]["seed"] == 1 and 0 <= document["test"]["accuracy"] <= 1


def test_train_reader_writes_the_arrays_of_the_bundled_reader(first):
    with np.load(first / "reader.npz") as new, np.load(reader.WEIGHTS) as bundled:
        assert sorted(new.files) == sorted(bundled.files)
        assert {name: new[name].shape for name in new.files} == {name: bundled[name].shape for name in bundled.files}
        assert all(new[name].dtype == np.float16 for name in new.files)


def test_folded_gives_what_the_net_gives(tmp_path, monkeypatch):
    script = runpy.run_path(str(SCRIPT))
    net = script["make_net"](0)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    rng = np.random.default_rng(1)
    for name, value in net.state_dict().items():
        if name.endswith(("_mean", "_variance")):
            value.set_value(rng.uniform(0.5, 2, value.shape).astype(np.float32))
    state = script["folded"](net) | {"temperature": np.float16(1)}
    np.savez(tmp_path / "reader.npz", **state)
    monkeypatch.setattr(reader, "WEIGHTS", tmp_path / "reader.npz")
    reader.weights.cache_clear()
    try:
        shares = reader.bundled_reader(images).probabilities
    finally:
        reader.weights.cache_clear()
    expected = script["probabilities"](script["outputs_for"](net, images), 1.0)
    np.testing.assert_allclose(shares, expected[:, :10], atol=5e-3)
