from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_file_beside_the_code_is_installed():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packaged = {
        ROOT / package.replace(".", "/") / name
        for package, names in settings["options.package_data"].items()
        for name in names.split()
    }
    built = (".py", ".pyc", ".c", ".so", ".pyd")
    found = {file for file in (ROOT / "paddle_mnist").rglob("*") if file.is_file() and file.suffix not in built}
    assert packaged == found
