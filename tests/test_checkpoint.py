"""Checkpoints: complete or absent, verified, pruned by rule, one writer at a time."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.runs import checkpoint

POSIX = pytest.mark.skipif(os.name == "nt", reason="forks, signals and resource limits are POSIX")
CRASH = Path(__file__).with_name("crash_checkpoints.py")


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


def model(value=1.0):
    return {"fc.weight": np.full((3, 2), value, np.float32), "fc.bias": np.zeros(2, np.float32)}


def save(run, epoch, batch=0, best=None, value=None, **options):
    state = {"epoch": epoch, "batch": batch, "best": best and {"epoch": best - 1, "valid_loss": 0.5}, "seed": 2**63}
    weights = model(epoch if value is None else value)
    return checkpoint.save(run, weights, {"v": weights["fc.bias"]}, state, **options)


def names(run):
    return [path.name for path in checkpoint.checkpoints(run)]


def refused(folder, message, *arguments, **options):
    with pytest.raises(UserError, match=message) as caught:
        save(folder, *arguments, **options)
    assert "\n" not in str(caught.value)


def test_load_returns_what_was_saved(run):
    folder = save(run, 3)
    assert folder == run / "checkpoints" / "epoch-003"
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.pdparams",
        "optimizer.pdopt",
        "state.json",
    ]
    weights, optimizer, state = checkpoint.load(folder)
    np.testing.assert_array_equal(weights["fc.weight"], model(3)["fc.weight"])
    np.testing.assert_array_equal(optimizer["v"], np.zeros(2, np.float32))
    assert state == {"epoch": 3, "batch": 0, "best": None, "seed": 2**63}


def test_save_writes_the_sha256_of_every_part(run):
    folder = save(run, 1)
    digests = json.loads((folder / "state.json").read_text())["sha256"]
    assert digests.keys() == {path.name for path in folder.iterdir()}
    for part in digests.keys() - {"state.json"}:
        assert digests[part] == hashlib.sha256((folder / part).read_bytes()).hexdigest()


def test_save_writes_an_npz_for_a_net_in_numpy(run):
    folder = save(run, 1, weights=checkpoint.NUMPY_WEIGHTS)
    assert sorted(path.name for path in folder.iterdir()) == ["model.npz", "optimizer.pdopt", "state.json"]
    np.testing.assert_array_equal(checkpoint.load(folder)[0]["fc.weight"], model()["fc.weight"])


def test_save_writes_the_same_bytes_for_the_same_state(run, tmp_path):
    first, second = save(run, 1), save(tmp_path / "other", 1)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_checkpoints_are_listed_in_the_order_of_training(run):
    for epoch, batch in ((10, 0), (2, 200), (2, 0), (2, 10000), (1, 0)):
        save(run, epoch, batch, keep=None)
    (run / "checkpoints" / "notes").mkdir()
    (run / "checkpoints" / "epoch-3").mkdir()
    assert names(run) == ["epoch-001", "epoch-002", "epoch-002-batch-0200", "epoch-002-batch-10000", "epoch-010"]


def test_latest_takes_the_newest_or_none(run):
    assert checkpoint.latest(run) is None
    save(run, 1)
    save(run, 1, 5)
    assert checkpoint.latest(run, log=pytest.fail)[2]["batch"] == 5


@pytest.mark.parametrize("part", ["model.pdparams", "optimizer.pdopt", "state.json"])
@pytest.mark.parametrize("how", ["flip", "truncate", "remove", "empty"])
def test_latest_names_a_damaged_checkpoint_and_takes_the_one_before(run, part, how):
    save(run, 1)
    path = save(run, 2) / part
    data = bytearray(path.read_bytes())
    # A digit of the state, or of a number: JSON and pickle alike would read the flipped one without complaint.
    data[data.index(b"2") if part == "state.json" else len(data) // 2] ^= 1
    damage = {"flip": bytes(data), "truncate": bytes(data[:-20]), "empty": b""}
    path.unlink() if how == "remove" else path.write_bytes(damage[how])
    with pytest.raises(UserError, match=part.replace(".", r"\.")):
        checkpoint.load(path.parent)
    said = []
    assert checkpoint.latest(run, log=said.append)[2]["epoch"] == 1
    assert len(said) == 1 and str(path) in said[0]


def test_load_notices_every_flipped_bit(run):
    folder = save(run, 1)
    expected = checkpoint.load(folder)[2]
    generator = np.random.default_rng(3)
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for _ in range(60):
            flipped = bytearray(data)
            flipped[generator.integers(len(data))] ^= 1 << generator.integers(8)
            path.write_bytes(flipped)
            if path.name == "state.json" and json.loads(data) == _json_or_none(flipped):
                continue  # a space became another white space
            with pytest.raises(UserError, match=re.escape(str(folder))):
                checkpoint.load(folder)
        path.write_bytes(data)
    assert checkpoint.load(folder)[2] == expected


def _json_or_none(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_latest_refuses_when_all_are_damaged(run):
    for epoch in (1, 2):
        (save(run, epoch) / "model.pdparams").write_bytes(b"")
    said = []
    with pytest.raises(UserError, match=r"every checkpoint in .* is damaged"):
        checkpoint.latest(run, log=said.append)
    assert len(said) == 2


@pytest.mark.parametrize(
    "digests", [None, {}, 5, {"../../secret": "0" * 64}, {"state.json": 1}, {"state.json": "0", "optimizer.pdopt": "0"}]
)
def test_load_refuses_a_state_that_lists_other_parts(run, digests):
    folder = save(run, 1)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "sha256": digests}))
    with pytest.raises(UserError, match=r"state\.json .*damaged"):
        checkpoint.load(folder)


@pytest.mark.parametrize("epoch", [-1, 1.5, "3", True, None, 10**9, [1]])
def test_load_refuses_an_epoch_that_is_not_a_count(run, monkeypatch, epoch):
    monkeypatch.setattr(checkpoint, "checkpoint_name", lambda epoch, batch: "epoch-001")
    folder = save(run, epoch, value=1.0)
    with pytest.raises(UserError, match="epoch must be an integer from 0 to 999,999,999"):
        checkpoint.load(folder)


def test_save_leaves_nothing_of_weights_that_are_not_finite(run):
    save(run, 1)
    refused(run, r"'fc\.weight' has 6 of 6 values that are NaN", 2, value=np.nan)
    assert names(run) == ["epoch-001"]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, 10**100, b"bytes"])
def test_save_leaves_nothing_of_a_state_that_json_cannot_hold(run, value):
    with pytest.raises(UserError, match=r"state\.json"):
        checkpoint.save(run, model(), {}, {"epoch": 1, "value": value})
    assert names(run) == []


# Saving the same point again.


def test_save_replaces_the_same_point(run):
    save(run, 1)
    save(run, 2, value=5.0)
    save(run, 2, value=7.0)
    assert names(run) == ["epoch-001", "epoch-002"]
    assert checkpoint.latest(run)[0]["fc.weight"][0, 0] == 7
    assert len(os.listdir(run / "checkpoints")) == 2


def test_save_replaces_a_damaged_checkpoint(run):
    folder = save(run, 1)
    (folder / "optimizer.pdopt").write_bytes(b"")
    save(run, 1)
    assert checkpoint.latest(run, log=pytest.fail)[2]["epoch"] == 1


def test_checkpoints_list_one_that_was_moved_aside(run):
    folder = save(run, 1)
    aside = folder.with_name(".old-epoch-001-0123abcd")
    folder.rename(aside)
    assert checkpoint.checkpoints(run) == [aside]
    assert checkpoint.latest(run, log=pytest.fail)[2]["epoch"] == 1
    save(run, 2)
    assert names(run) == ["epoch-001", "epoch-002"] and not aside.exists()


def test_save_removes_leftovers_of_killed_writers(run):
    folder = save(run, 1).parent
    for name in (".new-epoch-002-0123abcd", ".del-epoch-000-0123abcd", ".old-epoch-001-0123abcd"):
        shutil.copytree(folder / "epoch-001", folder / name)
    (folder / ".mine").mkdir()
    save(run, 2)
    assert sorted(os.listdir(folder)) == [".mine", "epoch-001", "epoch-002"]


# Pruning.


def test_prune_keeps_the_newest_and_the_best(run):
    for epoch in range(1, 7):
        save(run, epoch, best=min(epoch, 2), keep=2)
    assert names(run) == ["epoch-002", "epoch-005", "epoch-006"]
    save(run, 7, best=7, keep=2)
    assert names(run) == ["epoch-006", "epoch-007"]


def test_prune_keeps_the_only_one(run):
    save(run, 1, keep=1)
    save(run, 2, keep=1)
    assert names(run) == ["epoch-002"]
    with pytest.raises(UserError, match="keep must be at least 1, got 0"):
        checkpoint.prune(run, 0)
    assert names(run) == ["epoch-002"]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_prune_keeps_what_was_saved_last_although_damaged_ones_are_later(run, keep):
    for epoch in (1, 2, 3, 4):
        save(run, epoch, keep=None)
    for epoch in (3, 4):
        (run / "checkpoints" / f"epoch-00{epoch}" / "model.pdparams").write_bytes(b"")
    assert checkpoint.latest(run, log=lambda sentence: None)[2]["epoch"] == 2
    save(run, 2, batch=7, keep=keep)
    assert names(run) == ["epoch-001", "epoch-002", "epoch-002-batch-0007", "epoch-003", "epoch-004"][3 - keep :]
    found = checkpoint.latest(run, log=lambda sentence: None)[2]
    assert (found["epoch"], found["batch"]) == (2, 7)
    for epoch in (3, 4):
        save(run, epoch, keep=keep)
    assert checkpoint.latest(run, log=pytest.fail)[2]["epoch"] == 4 and len(names(run)) == keep


# What the operating system refuses.


@pytest.mark.parametrize("call", ["open", "mkdir", "rename", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_save_reports_a_refusal_and_leaves_what_was_there(run, monkeypatch, call, code):
    save(run, 1)

    def refuse(path, *arguments, **options):
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open" if call == "open" else f"os.{call}", refuse)
        refused(run, f"cannot save the checkpoint .*epoch-002.*intact.*{os.strerror(code)}", 2)
    assert os.listdir(run / "checkpoints") == ["epoch-001"]
    assert checkpoint.latest(run, log=pytest.fail)[2]["epoch"] == 1


def test_save_leaves_the_old_one_on_a_full_disk(run, monkeypatch):
    save(run, 1, value=5.0)
    rename = os.rename

    def refuse(source, target):
        if ".new-" in str(source):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        refused(run, "No space left", 1, value=7.0)
    assert os.listdir(run / "checkpoints") == ["epoch-001"]
    assert checkpoint.latest(run)[0]["fc.weight"][0, 0] == 5


@contextlib.contextmanager
def nobody():
    """Be an ordinary user for a moment: nothing is read-only for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@POSIX
def test_save_reports_a_read_only_folder():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        run = Path(folder) / "run"
        save(run, 1)
        (run / "checkpoints").chmod(0o555)
        with nobody():
            refused(run, "cannot save the checkpoint .*Permission denied", 2)
        (run / "checkpoints").chmod(0o755)
        assert os.listdir(run / "checkpoints") == ["epoch-001"]
        assert checkpoint.latest(run, log=pytest.fail)[2]["epoch"] == 1


@POSIX
def test_latest_names_a_checkpoint_that_may_not_be_read():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        run = Path(folder) / "run"
        save(run, 1)
        (save(run, 2) / "model.pdparams").chmod(0)
        said = []
        with nobody():
            assert checkpoint.latest(run, log=said.append)[2]["epoch"] == 1
        assert len(said) == 1 and "model.pdparams cannot be read: Permission denied" in said[0]


def test_save_reports_a_file_in_the_way(tmp_path):
    (tmp_path / "run").write_text("")
    refused(tmp_path / "run", "cannot save the checkpoint", 1)


@POSIX
def test_save_reports_a_real_limit_on_file_size(run):
    """The system itself cuts a write short: no simulation knows better what happens then."""
    save(run, 1)
    program = f"""
import resource, signal, sys
import numpy as np
from paddle_mnist.runs import checkpoint
from paddle_mnist.errors import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    checkpoint.save({str(run)!r}, {{"w": np.ones(10000, np.float32)}}, {{}}, {{"epoch": 2}})
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and "cannot save the checkpoint" in done.stdout and "File too large" in done.stdout
    assert os.listdir(run / "checkpoints") == ["epoch-001"]


# Processes that are killed.


@POSIX
@pytest.mark.parametrize("arguments", [("--kills", "30", "--seed", "1"), ("--every",), ("--refuse",)])
def test_save_leaves_a_complete_checkpoint_when_killed_or_refused(arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(CRASH), *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "survived" in done.stdout


# One run at a time.

HOLDER = """
import sys, time
from paddle_mnist.runs import checkpoint
with checkpoint.lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_lock_refuses_a_second_process_until_the_first_ends(run):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=r"another process is training in .*run"), checkpoint.lock(run):
            pytest.fail("two hold the lock")
        holder.kill()
        holder.wait()
    with checkpoint.lock(run):
        pass
    with checkpoint.lock(run):
        pass


@POSIX
def test_lock_makes_no_file_through_a_link(run, tmp_path):
    run.mkdir()
    (run / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="cannot lock the run folder"), checkpoint.lock(run):
        pytest.fail("locked")
    assert not (tmp_path / "elsewhere").exists()


def test_lock_reports_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="cannot lock the run folder"), checkpoint.lock(tmp_path / "run"):
        pytest.fail("locked")
