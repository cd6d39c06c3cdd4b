from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


# An installation that copies the files, unlike one that links to them, takes only what is named.


def named(section, key):
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings[section][key].split()


def test_every_package_is_installed():
    packages = named("options", "packages")
    assert packages == sorted(
        ".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "paddle_mnist").rglob("__init__.py")
    )


def test_every_other_file_is_installed():
    files = named("options.package_data", "paddle_mnist")
    assert files == sorted(
        file.name
        for file in (ROOT / "paddle_mnist").iterdir()
        if file.is_file() and file.suffix not in (".py", ".c", ".so", ".pyd") and not file.name.startswith(".")
    )
