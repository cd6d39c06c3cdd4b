"""The playground: one local page to draw on, to look inside the nets, and to watch one being trained.

The browser's side lies in ``web``. Here is the server: it answers with what ``pictures``, ``runs``, ``inspection`` and
``exports`` offer, and computes nothing of its own.
"""
