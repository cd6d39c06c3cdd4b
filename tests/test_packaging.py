"""The installed package, tested without the clone: an unpacked wheel, run from an empty folder."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = "paddle_mnist/sources/mnist-5k.json.gz"


def test_every_file_beside_the_code_is_installed():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packaged = {
        file
        for package, names in settings["options.package_data"].items()
        for name in names.split()
        for file in (ROOT / package.replace(".", "/")).glob(name)
        if file.is_file()
    }
    built = (".py", ".pyc", ".c", ".h", ".so", ".pyd")
    found = {file for file in (ROOT / "paddle_mnist").rglob("*") if file.is_file() and file.suffix not in built}
    assert packaged == found


def test_pre_commit_has_the_pinned_ruff():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    (version,) = re.findall(r"^ruff==(.+)$", settings["options.extras_require"]["dev"], re.MULTILINE)
    assert f"rev: v{version} " in (ROOT / ".pre-commit-config.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source that packages are built from, so that building leaves no files in the clone."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(ROOT / "paddle_mnist", folder / "paddle_mnist", ignore=ignored)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "work").mkdir()
    shutil.copy(ROOT / "work" / "mnist-5k.json.gz", folder / "work")
    return folder


@pytest.fixture(scope="module")
def installed(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an unpacked wheel, as pip installs it."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(copy / build("wheel", copy)) as wheel:
        wheel.extractall(folder)
    return folder


def build(kind: str, copy: Path) -> str:
    """Build a ``wheel`` or an ``sdist`` of the copy by setuptools itself; return its name."""
    code = f"from setuptools import build_meta; print('built', build_meta.build_{kind}('.'))"
    # The C modules are optional, and compiled where the clone is installed: here no compiler is found.
    environment = {**os.environ, "CC": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("built ")


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the current folder, which is empty, with the unpacked wheel before everything else."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:No ccache found:UserWarning", *arguments],
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_wheel_holds_the_sample_and_the_marker_of_types(installed):
    assert (installed / SAMPLE).read_bytes() == (ROOT / "work" / "mnist-5k.json.gz").read_bytes()
    assert (installed / "paddle_mnist" / "py.typed").is_file()
    assert not (installed / "work").exists()


def test_installed_package_trains_on_the_sample(installed, empty_folder):
    done = run(installed, "-m", "paddle_mnist.train", "--net", "cnn", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert str(installed / SAMPLE) in done.stdout


def test_labs_of_an_installed_package_ask_for_the_clone(installed, empty_folder):
    done = run(installed, "-m", "paddle_mnist.labs")
    assert done.returncode == 2 and "the labs need a clone of the project" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_sdist_holds_what_a_wheel_is_built_from(copy):
    with tarfile.open(copy / build("sdist", copy)) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {"work/mnist-5k.json.gz", "paddle_mnist/sources/mnist_json/lookup.c", "paddle_mnist/py.typed"} <= files
