"""What all pictures have in common: colours, figures without a window, and files.

Matplotlib is imported only when a picture is drawn, and draws into memory: no screen is needed. The colours are those
of Okabe and Ito, which colour-blind readers can tell apart; lines differ in style as well.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_mnist.errors import UserError, printable
from paddle_mnist.storage.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FORMATS = ("png", "svg", "pdf", "jpg", "jpeg", "webp")


def check_format(path: Path) -> None:
    """Raise ``UserError`` unless a picture's name ends in one of ``FORMATS`` or has no ending, which gives a PNG.

    Raises:
        UserError: the ending is another one.
    """
    if path.suffix and path.suffix[1:].lower() not in FORMATS:
        raise UserError(f"{path}: a picture's name must end in {', '.join('.' + name for name in FORMATS)}")


def save(figure: Figure, path: Path) -> None:
    """Write a picture in the format that its name's ending says.

    Raises:
        UserError: the format is not one of ``FORMATS``.
    """
    check_format(path)
    with warnings.catch_warnings(), atomic_write(path) as file:
        # A name in a script that the font lacks is drawn as boxes; the file and the messages still spell it out.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format=path.suffix[1:].lower() or "png", dpi=120)


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """Make a figure with one pair of axes, sized in inches."""
    figure = empty_figure(width, height)
    return figure, figure.subplots()


def empty_figure(width: float, height: float) -> Figure:
    """Make a figure, sized in inches, that is not in pyplot's list of open windows."""
    # Paddle sets the root logger to INFO, and matplotlib would report its fonts.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def show_literally(text: Text) -> None:
    """Show a text literally: no mathematics between ``$``, control characters escaped."""
    text.set_parse_math(False)
    text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
