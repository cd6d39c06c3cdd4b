"""The handwritten-digit course as a project to run, read and change.

Importing this package imports neither Paddle nor anything else that is heavy; each module imports what it needs.
"""

__version__ = "0.1.0"
