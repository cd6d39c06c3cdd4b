"""Kernels in C, compiled where the package is installed with a compiler of the GNU or LLVM family.

Without them NumPy and oneDNN do their work, more slowly. ``library`` finds them; each other module holds the kernels of
one subject.
"""
