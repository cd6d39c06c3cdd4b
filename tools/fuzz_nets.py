"""Compares the fast path with plain Paddle on random nets.

    python tools/fuzz_nets.py [--nets 3000] [--seed 0] [--without-onednn] [--without-compiled] [--instructions any]

Each net is drawn from the grammar in ``tests/random_nets.py``. Outputs, gradients, a training step and running
statistics must equal plain Paddle's to rounding, and no kernel may write beyond the buffers that it is given. It prints
every net that does not, with its seed, and exits with 1 if there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> int:
    """Run the comparison and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0, help="of the first net; the others follow")
    parser.add_argument("--without-onednn", action="store_true", help="as where Paddle brings no oneDNN")
    parser.add_argument("--without-compiled", action="store_true", help="as where there was no compiler")
    parser.add_argument("--instructions", choices=("any", "avx2"), help="as on a processor without better ones")
    arguments = parser.parse_args()

    from paddle_mnist import cpu

    cpu.tune()
    import random_nets

    from paddle_mnist.fast import onednn
    from paddle_mnist.fast.compiled import library

    if arguments.without_onednn:
        onednn.library = lambda: None
    if arguments.without_compiled:
        library.MODULE = "paddle_mnist.fast.compiled.nothing"
    older: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if arguments.instructions:
        older = random_nets.older_processor(library.INSTRUCTIONS.index(arguments.instructions))
    begun, failed = time.monotonic(), 0
    with older:
        for seed in range(arguments.seed, arguments.seed + arguments.nets):
            if seed % 100 == 0:
                print(f"seed {seed} …", flush=True)  # where to look after a crash
            try:
                random_nets.compare(random.Random(seed).choice)
            except Exception as error:
                failed += 1
                text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
                print(f"seed {seed}: {text}", flush=True)
    print(f"{arguments.nets} nets, {failed} differ, {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
