"""What the commands share: one sentence for an error, an exit status, output, and common options."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

from paddle_mnist.errors import UserError, printable
from paddle_mnist.recipes import choices


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors look like every other error of a command."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a ``UserError`` that names the command's help."""
        raise UserError(f"{message}; see {self.prog} --help")


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run a command and report what a user can fix in one sentence on standard error.

    Args:
        main: takes the arguments (``None`` for the process's own) and returns the exit status.
        argv: passed to ``main``.

    Returns:
        ``main``'s status; 2 for a ``UserError`` or an operating-system error; 130 after Ctrl-C; 1, silently, when
        the reader of the output has gone (``| head``).
    """
    _prepare_streams()
    try:
        return _status(main, argv)
    except BrokenPipeError:
        _discard(sys.stdout)
        _discard(sys.stderr)
        return 1
    finally:
        if argv is None:  # the process ends: Python need not look through all of Paddle for garbage, which takes 0.2 s
            gc.freeze()


def fail(message: str) -> int:
    """Print ``paddle_mnist: error: message`` on standard error and return the exit status 2."""
    print(f"paddle_mnist: error: {printable(message)}", file=sys.stderr)
    return 2


def note(message: str) -> None:
    """Print a remark on standard error, so that it does not mix with a command's result."""
    print(f"paddle_mnist: {printable(message)}", file=sys.stderr)


def show(text: str) -> None:
    """Print a result of one line or several on standard output, with control characters escaped."""
    try:
        print("\n".join(printable(line) for line in text.split("\n")))
    except OSError as error:  # an output that is not buffered
        if not isinstance(error, BrokenPipeError):
            error.filename = "standard output"
        raise


def describe(error: OSError) -> str:
    """Return in one sentence what the operating system refused, and for which file."""
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that runs a trained net."""
    parser.add_argument(
        "--pixel-range", choices=choices()["pixel_range"], help="what the net was trained on (the run's own; files: 01)"
    )
    parser.add_argument(
        "--plain", action="store_true", help="run Paddle's layers themselves, not the faster equivalents"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value and nothing else")


def prepare(args: argparse.Namespace) -> None:
    """Set the process up for Paddle's CPU kernels; must come before Paddle is imported."""
    if not args.plain:
        from paddle_mnist import cpu

        cpu.tune()


def _status(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None) -> int:
    try:
        status = main(argv)
        _flush()
        return status
    except UserError as error:
        return fail(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(describe(error))
    except MemoryError:
        return fail("out of memory: close other programs, or give this one more memory")
    except KeyboardInterrupt as stopped:  # a run that was stopped and saved says how to continue
        note(str(stopped)) if str(stopped) else print(file=sys.stderr)
        return getattr(stopped, "status", 130)


def _prepare_streams() -> None:
    """Make printing safe: into a closed stream (``>&-``), and of characters that the encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, open(nowhere, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - until exit
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # Python would report the failure once more when it flushes at exit.
        _discard(sys.stdout)
        error.filename = "standard output"
        raise


def _discard(stream: TextIO) -> None:
    """Discard a stream's buffered output, and all that is written to it later."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
