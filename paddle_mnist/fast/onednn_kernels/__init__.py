"""Kernels by oneDNN, one module for each subject; each falls back to NumPy's where oneDNN has none."""
