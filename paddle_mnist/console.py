"""What every command line shares: one sentence for an error, an exit status, and where notes go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from paddle_mnist.errors import UserError, printable


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run a command line and turn what a user can mend into one sentence on standard error.

    Args:
        main: takes the arguments (``None`` for the process's own) and returns the exit status.
        argv: passed to ``main``.

    Returns:
        ``main``'s status; 2 for a ``UserError`` or an operating-system error; 130 after Ctrl-C.
    """
    try:
        status = main(argv)
        sys.stdout.flush()
        return status
    except UserError as error:
        return fail(str(error))
    except BrokenPipeError:
        # The reader of our output (``head``, a pager) has left. Python would complain once more when it
        # flushes at exit, so standard output is pointed at nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return fail(describe(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def fail(message: str) -> int:
    """Print ``paddle_mnist: error: message`` on standard error and return the exit status 2."""
    print(f"paddle_mnist: error: {printable(message)}", file=sys.stderr)
    return 2


def note(message: str) -> None:
    """Print a remark on standard error, where it stays out of a command's result."""
    print(f"paddle_mnist: {printable(message)}", file=sys.stderr)


def describe(error: OSError) -> str:
    """Say in one sentence what the operating system refused, and on which file."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
