"""The exception for errors that a user can fix, and how text from outside is shown."""

from __future__ import annotations


class UserError(ValueError):
    """An argument, a file or a setting is not valid, which the user can fix.

    The message is one sentence that names the place (file, argument, sample), says what must hold and what was found,
    and how to fix it. Command lines print it after ``paddle_mnist: error:`` and exit with status 2; notebooks see an
    ordinary ``ValueError``.

    The message is always shown as one line without control characters, so file names and values from a file can be put
    into it directly. Long ones are shortened with ``quote``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Escape everything that is not visible text: control characters, line breaks, bidi overrides, lone surrogates.

    A terminal obeys escape codes, and bidi overrides change how a text reads; no file or file name may inject them.
    A text without them is returned unchanged.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def quote(value: object, longest: int = 80) -> str:
    """Show a value that comes from a file or an argument: escaped, on one line, and cut to a length.

    Args:
        value: a text or bytes, which are shown in quotes; anything else is shown as ``str`` has it.
        longest: characters at most; a longer text ends in ``…``.
    """
    if isinstance(value, (str, bytes)):
        value = value[: longest + 1]  # before it is copied and escaped
    text = printable(repr(value) if isinstance(value, (str, bytes)) else " ".join(str(value).split()))
    return text if len(text) <= longest else text[: longest - 1] + "…"
