"""The one exception for whatever a user can fix, and the one way to show text that comes from outside."""

from __future__ import annotations


class UserError(ValueError):
    """Something that was given is not what it must be.

    The message is one sentence that names the place (file, argument, sample), says what must hold and what was found,
    and how to fix it. Command lines print it after ``paddle_mnist: error:`` and exit with status 2; notebooks see an
    ordinary ``ValueError``.

    Whatever the message was made of, it is one line without control characters: file names, names inside a file and
    values that a file holds may be put into it as they are. Long ones are shortened with ``quote``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Escape whatever is not visible text: control characters, line breaks, bidi overrides, lone surrogates.

    A terminal obeys escape codes, and bidi overrides make a text read as another; neither may come out of a file name
    or a file. A text without them is returned as it is.
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
