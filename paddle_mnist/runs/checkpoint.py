"""A run's state on disk: complete or absent, verified when read, safe to load from strangers.

A checkpoint is a folder of its own under ``checkpoints/`` in the run folder:

    epoch-003/                after three epochs (epoch-003-batch-0200: and 200 batches of the next)
      model.pdparams          the weights, for ``paddle.load``; a net written in NumPy has model.npz instead
      optimizer.pdopt         the optimizer's state
      state.json              the run's state, and the sha256 of every file, itself included

It is built under a temporary name, flushed to the disk, and then renamed into place in one step. A process that is
killed at any moment therefore leaves every earlier checkpoint, and of the one it was writing either all or nothing:

    .new-epoch-003-1f2e…      being built, or left by a writer that was killed: removed by the next save
    .old-epoch-003-1f2e…      the previous one, when the same point is saved again: used until the new one is in place
    .del-epoch-001-1f2e…      pruned, and being removed

Nothing outside the run folder is created, changed or deleted, whatever links it holds: ``checkpoints`` must not be a
link, a link is never taken for a checkpoint, and a folder is removed only if it holds nothing but the files above.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist import console
from paddle_mnist.errors import UserError, quote
from paddle_mnist.storage import bounded_json
from paddle_mnist.storage.files import PathLike, is_link, os_errors_as, read_bytes, sync_folder
from paddle_mnist.storage.weights import (
    MAX_FILE_BYTES,
    StateDict,
    dump_optimizer_state,
    dump_state_dict,
    parse_optimizer_state,
    parse_state_dict,
)

# Imported here: a process that may open no further files could not import it when it is needed.
if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FOLDER = "checkpoints"
OPTIMIZER = "optimizer.pdopt"
STATE = "state.json"
# Folder names have up to nine digits.
MAX_COUNT = 10**9
# The file of a net's weights.
PADDLE_WEIGHTS = "model.pdparams"
NUMPY_WEIGHTS = "model.npz"
PARTS = frozenset((PADDLE_WEIGHTS, NUMPY_WEIGHTS, OPTIMIZER, STATE))

Log = Callable[[str], None]


_NAME = re.compile(r"(\.old-)?(epoch-(\d{3,9})(?:-batch-(\d{4,9}))?)(?(1)-[0-9a-f]{8})")
_LEFTOVER = re.compile(r"\.(new|del)-epoch-.*-[0-9a-f]{8}")
# Folders that were reported as not removed; each is reported once.
_REPORTED: set[Path] = set()


def save(
    run_folder: PathLike,
    model: Mapping[str, np.ndarray],
    optimizer: Mapping[str, Any],
    state: Mapping[str, Any],
    *,
    keep: int | None = 3,
    weights: str = PADDLE_WEIGHTS,
    log: Log = console.note,
) -> Path:
    """Write a checkpoint, then prune the older ones.

    One process at a time may save into a run folder: hold ``lock`` meanwhile.

    Args:
        run_folder: the run; the checkpoint goes into its ``checkpoints/``.
        model: the net's parameters by name.
        optimizer: the optimizer's state; may be empty.
        state: what else the run needs to resume, in JSON values. ``state["epoch"]`` epochs are done and
            ``state["batch"]`` (0 if missing) batches of the next; the folder is named after them.
        keep: how many checkpoints remain, as ``prune`` has it; ``None`` for all.
        weights: the file of the weights, ``PADDLE_WEIGHTS`` or ``NUMPY_WEIGHTS``.
        log: called with one sentence for each folder that is not removed because it holds files of somebody else.

    Returns:
        The checkpoint's folder.

    Raises:
        UserError: a value is not finite, ``checkpoints`` is a link, or the operating system refused (no space, no
            permission). The earlier checkpoints are intact and nothing of this one is left.
    """
    name = checkpoint_name(state["epoch"], state.get("batch", 0))
    folder = Path(run_folder) / FOLDER
    place = folder / name
    parts = {
        weights: dump_state_dict(model, place / weights),
        OPTIMIZER: dump_optimizer_state(optimizer, place / OPTIMIZER),
    }
    parts[STATE] = _sealed_state(state, parts, place / STATE)
    with os_errors_as(f"cannot save the checkpoint {place} (the earlier ones are intact)"):
        _make_folder(folder)
        _remove_leftovers(folder, log)
        new = folder / f".new-{name}-{secrets.token_hex(4)}"
        try:
            _write_parts(new, parts)
            _move_into_place(new, place, log)
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(new, log)
            raise
    if keep is not None:
        prune(run_folder, keep, best=_best_name(state), newest=name, log=log)
    return place


def load(folder: PathLike) -> tuple[StateDict, dict[str, Any], dict[str, Any]]:
    """Read a checkpoint and verify every part of it.

    Args:
        folder: the checkpoint's own folder, such as ``work/runs/cnn/checkpoints/epoch-003``.

    Returns:
        The weights by parameter name, the optimizer's state, and the run's state as it was saved.

    Raises:
        UserError: a part is missing, differs from its sha256, or is not what its name says; it is named.
    """
    folder = Path(folder)
    state = bounded_json.read_json(folder / STATE)
    digests = state.pop("sha256", None)
    _check_digests(digests, folder)
    if digests[STATE] != _digest(bounded_json.dump(state).encode()):
        raise UserError(f"{folder / STATE} is damaged: it does not match its own sha256")
    for name in ("epoch", "batch"):
        if type(state.get(name, 0)) is not int or not 0 <= state.get(name, 0) < MAX_COUNT:
            raise UserError(
                f"{folder / STATE}: {name} must be an integer from 0 to {MAX_COUNT - 1:,}, got {quote(state.get(name))}"
            )
    parts = {}
    for part in digests.keys() - {STATE}:
        parts[part] = read_bytes(folder / part, MAX_FILE_BYTES)
        if _digest(parts[part]) != digests[part]:
            raise UserError(f"{folder / part} is damaged: it does not match its sha256 in state.json")
    weights = PADDLE_WEIGHTS if PADDLE_WEIGHTS in parts else NUMPY_WEIGHTS
    model = parse_state_dict(parts[weights], folder / weights)
    return model, parse_optimizer_state(parts[OPTIMIZER], folder / OPTIMIZER), state


def latest(run_folder: PathLike, log: Log = console.note) -> tuple[StateDict, dict[str, Any], dict[str, Any]] | None:
    """Read the newest undamaged checkpoint of a run.

    Args:
        run_folder: the run.
        log: called with one sentence for each damaged checkpoint that is skipped.

    Returns:
        What ``load`` returns, or ``None`` when the run has no checkpoint.

    Raises:
        UserError: there are checkpoints, and every one of them is damaged; or ``checkpoints`` is a link.
    """
    found = checkpoints(run_folder)
    for folder in reversed(found):
        try:
            return load(folder)
        except UserError as error:
            log(f"{error}; trying the checkpoint before it")
    if found:
        raise UserError(
            f"every checkpoint in {Path(run_folder) / FOLDER} is damaged: restore one of them, or train a new run"
        )
    return None


def checkpoints(run_folder: PathLike) -> list[Path]:
    """List a run's checkpoint folders, oldest first, without opening them.

    Raises:
        UserError: ``checkpoints`` is a link, or cannot be read.
    """
    folder = Path(run_folder) / FOLDER
    _check_no_link(folder)
    if not folder.is_dir():
        return []
    with os_errors_as(f"cannot read {folder}"):
        entries = [folder / name for name in sorted(os.listdir(folder)) if _NAME.fullmatch(name)]
    found: dict[str, tuple[tuple[int, int], Path]] = {}
    # Sorted, a folder that stands in for a missing one comes first, and gives way to the one in place.
    for path in entries:
        match = _NAME.fullmatch(path.name)
        if match and path.is_dir() and not is_link(path):
            found[match[2]] = ((int(match[3]), int(match[4] or 0)), path)
    return [path for _, path in sorted(found.values())]


def prune(
    run_folder: PathLike,
    keep: int,
    best: str | None = None,
    newest: str | None = None,
    log: Log = console.note,
) -> None:
    """Remove old checkpoints.

    What stays: the newest ``keep`` of them, so never none, and the one named ``best``. Checkpoints of a later point
    than ``newest`` stay too, and do not count: a run that writes ``newest`` after them has skipped them because they
    are damaged. A folder that holds anything but a checkpoint's files stays as well.

    Args:
        run_folder: the run.
        keep: at least 1.
        best: the folder name of the checkpoint with the best validation loss, as ``checkpoint_name`` gives it.
        newest: the folder name of the checkpoint that was saved last; by default the one of the latest point.
        log: called with one sentence for each folder that is not removed because it holds files of somebody else.

    Raises:
        UserError: ``keep`` is below 1, ``checkpoints`` is a link, or the operating system refused.
    """
    if keep < 1:
        raise UserError(f"keep must be at least 1, got {keep}")
    found = checkpoints(run_folder)
    last = next((number for number, path in enumerate(found, start=1) if path.name == newest), len(found))
    for path in found[: max(0, last - keep)]:
        if path.name != best:
            with os_errors_as(f"cannot remove the old checkpoint {path}"):
                _remove(path, log)


def is_locked(run_folder: PathLike) -> bool:
    """Tell whether a process is training in a run folder."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(Path(run_folder) / ".lock", flags)
    except OSError:
        return False
    try:
        _lock_descriptor(descriptor)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def lock(run_folder: PathLike) -> Iterator[None]:
    """Keep other processes from training in the same run folder.

    The operating system releases the lock when the process ends, however it ends, so none is ever left over. The
    file ``.lock`` stays; it means nothing by itself.

    Raises:
        UserError: another process holds the lock, or the folder cannot be written.
    """
    folder = Path(run_folder)
    with os_errors_as(f"cannot lock the run folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        # A link in a stranger's folder would make this a file somewhere else.
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        try:
            _lock_patiently(descriptor)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise UserError(
                    f"another process is training in {folder}: wait until it ends, or choose another --out"
                ) from error
            raise UserError(f"cannot lock the run folder {folder}: {error.strerror or error}") from error
        yield
    finally:
        os.close(descriptor)


def checkpoint_name(epoch: int, batch: int = 0) -> str:
    """Name the checkpoint of a point in a run: so many epochs done, and so many batches of the next."""
    return f"epoch-{epoch:03d}" + (f"-batch-{batch:04d}" if batch else "")


# Writing.


def _sealed_state(state: Mapping[str, Any], parts: Mapping[str, bytes], place: Path) -> bytes:
    """Return ``state.json``: the state, and the sha256 of every part and of the state itself."""
    try:
        # As it will be read back, so that keys and numbers are what the digest is taken of.
        plain = bounded_json.parse_object(bounded_json.dump(dict(state)).encode(), str(place))
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"{place} cannot hold the run's state: {error}") from error
    plain.pop("sha256", None)
    digests = {part: _digest(data) for part, data in parts.items()}
    digests[STATE] = _digest(bounded_json.dump(plain).encode())
    return (bounded_json.dump({**plain, "sha256": digests}, indent=2) + "\n").encode()


def _make_folder(folder: Path) -> None:
    _check_no_link(folder)
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def _remove_leftovers(folder: Path, log: Log) -> None:
    """Finish what killed writers left: half-built folders go, and a checkpoint without its successor comes back."""
    for entry in sorted(os.listdir(folder)):
        path = folder / entry
        match = _NAME.fullmatch(entry)
        if match and match[1] and not os.path.lexists(folder / match[2]):
            os.rename(path, folder / match[2])
        elif (match and match[1]) or _LEFTOVER.fullmatch(entry):
            _remove(path, log)


def _remove(folder: Path, log: Log) -> None:
    """Remove a checkpoint's folder, if it holds nothing but files that are written here."""
    if not os.path.lexists(folder):
        return
    foreign = _first_foreign(folder)
    if foreign is not None:
        if folder not in _REPORTED:
            _REPORTED.add(folder)
            log(f"{folder} is not removed because {foreign} is not part of a checkpoint: move it elsewhere")
        return
    doomed = folder
    if not folder.name.startswith("."):
        # Renamed first: a folder with a checkpoint's name is never incomplete.
        doomed = folder.with_name(f".del-{folder.name}-{secrets.token_hex(4)}")
        os.rename(folder, doomed)
    for name in os.listdir(doomed):
        os.unlink(doomed / name)
    os.rmdir(doomed)


def _first_foreign(folder: Path) -> Path | None:
    """Return what keeps a folder from being removed: the folder itself, or something in it that no save writes."""
    if is_link(folder) or not folder.is_dir():
        return folder
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name not in PARTS or not stat.S_ISREG(os.lstat(path).st_mode):
            return path
    return None


def _write_parts(folder: Path, parts: Mapping[str, bytes]) -> None:
    os.mkdir(folder)
    for part, data in parts.items():
        with open(folder / part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(folder)


def _move_into_place(new: Path, place: Path, log: Log) -> None:
    """Rename a complete folder to its final name; an existing one is kept until that is done."""
    old = None
    if os.path.lexists(place):
        old = place.with_name(f".old-{place.name}-{secrets.token_hex(4)}")
        os.rename(place, old)
    try:
        os.rename(new, place)
        sync_folder(place.parent)
    except BaseException:
        if old is not None and not os.path.lexists(place):
            os.rename(old, place)
        raise
    if old is not None:
        _remove(old, log)


def _best_name(state: Mapping[str, Any]) -> str | None:
    """Name the checkpoint of the best epoch; ``state["best"]["epoch"]`` counts epochs from 0."""
    best = state.get("best")
    epoch = best.get("epoch") if isinstance(best, Mapping) else None
    return checkpoint_name(epoch + 1) if isinstance(epoch, int) else None


# Reading.


def _check_no_link(folder: Path) -> None:
    if is_link(folder):
        raise UserError(f"{folder} must be a folder in the run folder, got a link to elsewhere: remove the link")


def _check_digests(digests: Any, folder: Path) -> None:
    """Make sure that ``state.json`` lists the files of a checkpoint, each with its digest, and no others."""
    if not isinstance(digests, dict) or not all(isinstance(digest, str) for digest in digests.values()):
        raise UserError(f"{folder / STATE} has no sha256 of the checkpoint's files, so it is damaged")
    if set(digests) not in [{weights, OPTIMIZER, STATE} for weights in (PADDLE_WEIGHTS, NUMPY_WEIGHTS)]:
        raise UserError(f"{folder / STATE} lists other files than a checkpoint has, so it is damaged")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _lock_patiently(descriptor: int) -> None:
    """Try for a tenth of a second: somebody may only have asked whether the folder is locked."""
    for pause in (0.02, 0.08):
        try:
            return _lock_descriptor(descriptor)
        except OSError:
            time.sleep(pause)
    _lock_descriptor(descriptor)


def _lock_descriptor(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
