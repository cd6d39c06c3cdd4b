from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_installed():
    """An installation that copies the files, unlike one that links to them, takes only the packages that are named."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    named = settings["options"]["packages"].split()
    assert named == sorted(
        ".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "paddle_mnist").rglob("__init__.py")
    )
