"""Draw, look inside the nets, and watch one being trained, in the browser: python -m paddle_mnist.play.

The server is reached from this machine only. ``--host 0.0.0.0`` lets a class in, by the address that is printed: its
token is needed.
"""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Sequence

from paddle_mnist import console
from paddle_mnist.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = console.Parser(
        prog="python -m paddle_mnist.play",
        description="Open a local page to draw digits, look inside the nets, and watch one being trained.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="listen at this address (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, metavar="N", help="listen at this port (8765, or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    args = parser.parse_args(argv)
    if args.port is not None and not 0 <= args.port < 1 << 16:
        raise UserError(f"--port must be from 0 to 65535, got {args.port}")

    environment = dict(os.environ)  # for trainings; Paddle changes it when it is imported
    # Before NumPy is imported: one digit is too little for two threads, and trainings need the other cores.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from paddle_mnist.dataset import work_folder
    from paddle_mnist.play.playground import Playground
    from paddle_mnist.play.server import access_to, address_of, bind, server_for

    listener = bind(args.host, args.port)
    access = access_to(args.host, listener)
    address = address_of(access)
    playground = Playground(work_folder().resolve(), access, environment)

    def on_start() -> None:
        console.show(f"{address}  (Ctrl-C stops)")
        sys.stdout.flush()
        playground.prepare()
        if not args.no_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with listener:
        server_for(playground, on_start).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(console.run(main))
