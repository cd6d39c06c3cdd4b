"""What the labs share: how much to compute, where pictures go, what was run and solved."""

from __future__ import annotations

import builtins
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from paddle_mnist import dataset
from paddle_mnist.errors import UserError
from paddle_mnist.plots import COLOURS as COLOURS  # so that a lab finds all plumbing in one place
from paddle_mnist.storage.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


class Lab:
    """One run of a lab: its folder for pictures and its clock.

    Args:
        name: the file's name without ``.py``, ``"01_read_the_data"``.

    Attributes:
        folder: ``work/labs/<name>``, where the pictures go; made if it is missing.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = notes_folder(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._began = time.perf_counter()

    def budget(self, full: T, small: T) -> T:
        """Return ``full``, or ``small`` where the environment variable PADDLE_MNIST_LAB_BUDGET is ``small``."""
        return small if is_small() else full

    def section(self, title: str) -> None:
        """Print a heading above the output that follows, so that a lab run as a whole can be read beside its text.

        A notebook shows the text itself, so nothing is printed there.
        """
        if not _in_notebook():
            print(f"\n== {title} ==")

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure into the lab's folder and return the path; print it, except in a notebook.

        The figure stays open, so that a notebook shows it, and ``finish`` where there is a screen.
        """
        path = self.folder / name
        with atomic_write(path) as file:
            figure.savefig(file, format="png", **({"dpi": 40} if is_small() else {"dpi": 100, "bbox_inches": "tight"}))
        if not _in_notebook():
            print(f"picture: {path}")
        return path

    def finish(self, **figures: Any) -> None:
        """Record that the lab reached its end, print how long it took, and show its pictures if there is a screen.

        Args:
            figures: what the lab measured, kept beside its pictures in ``run.json``.
        """
        import matplotlib
        from matplotlib import pyplot

        seconds = round(time.perf_counter() - self._began, 1)
        note = {"finished": time.strftime("%Y-%m-%d %H:%M"), "seconds": seconds, "small": is_small(), **figures}
        _write_note(self.folder / "run.json", note)
        print(f"lab {self.name[:2]} done in {seconds} s; all assertions hold")
        if matplotlib.get_backend().lower() in {name.lower() for name in _screen_backends()}:
            pyplot.show()
        pyplot.close("all")


def _in_notebook() -> bool:
    return hasattr(builtins, "get_ipython")


def is_small() -> bool:
    """Return whether the labs shall compute little, as the tests ask."""
    return os.environ.get("PADDLE_MNIST_LAB_BUDGET", "") == "small"


def labs_folder() -> Path:
    """Return the folder of the labs: ``labs`` in the current folder if there is one, else the source checkout's."""
    here = Path("labs")
    return here if here.is_dir() else source_folder()


def source_folder() -> Path:
    """Return the folder of the lab scripts in the clone that the package is installed from.

    Raises:
        UserError: the package is not installed from a clone.
    """
    folder = Path(__file__).resolve().parents[2] / "labs"
    if not folder.is_dir():
        raise UserError(
            f"{folder} does not exist: the labs need a clone of the project (git clone, then pip install -e . in it)"
        )
    return folder


def names() -> list[str]:
    """Return the labs' names in their order, such as ``"01_read_the_data"``."""
    return sorted(path.stem for path in source_folder().glob("[0-9][0-9]_*.py"))


def numbers() -> list[str]:
    """Return the labs' numbers, ``"01"`` and so on."""
    return [name[:2] for name in names()]


def name_of(number: str) -> str:
    """Return the name of the lab with this number."""
    return next(name for name in names() if name.startswith(number))


def notes_folder(name: str) -> Path:
    """Return where a lab's pictures are, and the notes of its run and of the exercises solved."""
    return dataset.work_folder() / "labs" / name


def notes(name: str, kind: str) -> dict[str, Any]:
    """Return a note of a lab, empty if there is none that can be read.

    Args:
        name: the lab's.
        kind: ``"run"``, ``"solved"`` or ``"hints"``.
    """
    try:
        found = json.loads((notes_folder(name) / f"{kind}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note_solved(name: str, exercises: list[str]) -> None:
    """Note which exercises of a lab are solved now; those that were solved before stay solved."""
    before = notes(name, "solved").get("solved", [])
    kept = [exercise for exercise in before if isinstance(exercise, str)] if isinstance(before, list) else []
    _write_note(notes_folder(name) / "solved.json", {"solved": list(dict.fromkeys([*kept, *exercises]))})


def note_hints(name: str, given: dict[str, int]) -> None:
    """Note how many hints were given for each exercise of a lab."""
    _write_note(notes_folder(name) / "hints.json", given)


def _write_note(path: Path, note: dict[str, Any]) -> None:
    with atomic_write(path, "w") as file:
        json.dump(note, file, indent=1)


def _screen_backends() -> list[str]:
    """Return the names of matplotlib's backends that open windows."""
    try:
        from matplotlib.backends import BackendFilter, backend_registry  # type: ignore[attr-defined]
    except ImportError:  # before matplotlib 3.9
        from matplotlib import rcsetup

        return list(rcsetup.interactive_bk)  # type: ignore[attr-defined]
    return backend_registry.list_builtin(BackendFilter.INTERACTIVE)
