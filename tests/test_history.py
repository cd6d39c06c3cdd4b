"""Histories are followed while they are written, and the runs of a folder are listed."""

from __future__ import annotations

import os
import time

import pytest
from tqdm import tqdm

from paddle_mnist.engine import Step
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs import checkpoint, listing
from paddle_mnist.runs.history import Tail, thinned
from paddle_mnist.runs.run import RunOptions, create
from paddle_mnist.runs.trainer import WRITE_EVERY, Trainer
from paddle_mnist.scratch.learners import NumpyLearner
from paddle_mnist.storage.bounded_json import append_history, truncate_history

DATA = {"data": {"name": "digits", "source": "digits", "sha256": "0" * 64}}


def step(number, epoch=0):
    return {"epoch": epoch, "batch": number, "step": number, "loss": 1.0}


@pytest.fixture
def run(tmp_path):
    settings = settings_for("two-layer")
    return create(tmp_path / "runs" / "net", "net", settings, RunOptions(log_every=1), dict(DATA), tmp_path)


def test_tail_tells_what_was_added_since_the_last_time(tmp_path):
    path = tmp_path / "history.jsonl"
    tail = Tail(path)
    assert tail.poll() is None and tail.records == []
    append_history(path, [step(0), step(1)])
    assert tail.poll() == 0 and tail.records == [step(0), step(1)]
    assert tail.poll() is None
    append_history(path, [step(2)], sync=False)
    assert tail.poll() == 2 and tail.records[2:] == [step(2)]


def test_tail_waits_until_a_line_is_complete(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"epoch": 0}\n{"epo')
    tail = Tail(path)
    assert tail.poll() == 0 and len(tail.records) == 1
    with open(path, "ab") as file:
        file.write(b'ch": 1}\n')
    assert tail.poll() == 1 and tail.records[1] == {"epoch": 1}


def test_tail_begins_again_when_a_resumed_run_has_cut_the_history_back(tmp_path):
    path = tmp_path / "history.jsonl"
    append_history(path, [step(0), step(1), step(2)])
    tail = Tail(path)
    tail.poll()
    truncate_history(path, epoch=0, batch=1)
    assert tail.poll() == 0 and tail.records == [step(0)]


def test_tail_stops_at_a_damaged_line_and_opens_no_links_and_pipes(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"epoch": 0}\n[[[\n{"epoch": 1}\n')
    tail = Tail(path)
    assert tail.poll() == 0 and tail.records == [{"epoch": 0}] and tail.poll() is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to(path)
        assert Tail(tmp_path / "pipe").poll() is None and Tail(tmp_path / "link").poll() is None


def test_thinned_keeps_every_epoch_and_evenly_spaced_steps():
    records = [step(number) for number in range(100)] + [{"epoch": 0, "step": 99, "valid_loss": 1.0}]
    assert [record["step"] for record in thinned(records, 10)] == [*range(0, 100, 10), 99]
    assert thinned(records, 1000) == records


def test_trainer_writes_its_history_between_checkpoints(run, splits):
    trainer = Trainer(run, NumpyLearner(run.settings), splits, quiet=True)
    trainer.bar = tqdm(disable=True)
    trainer.on_step(Step(epoch=0, batch=0, step=0, loss=1.0, lr=0.1, ms=1.0))
    assert run.history() == []
    time.sleep(WRITE_EVERY + 0.05)
    trainer.on_step(Step(epoch=0, batch=1, step=1, loss=1.0, lr=0.1, ms=1.0))
    assert [record["step"] for record in run.history()] == [0, 1]


def test_run_folders_are_listed_by_name_without_links(run, tmp_path):
    runs = tmp_path / "runs"
    (runs / "empty").mkdir()
    (runs / "link").symlink_to(run.path)
    (runs / "odd\n").mkdir()
    (runs / "odd\n" / "run.json").write_text("{}")
    assert listing.run_folders(runs) == [run.path] and listing.run_folders(tmp_path / "nothing") == []


def test_free_name_counts_from_two():
    assert listing.free_name("cnn", set()) == "cnn"
    assert listing.free_name("cnn", {"cnn", "cnn-2"}) == "cnn-3"


def test_epochs_done_are_those_of_the_newest_checkpoint(run):
    assert listing.newest_checkpoint(run) is None and listing.epochs_done(None) == 0
    checkpoint.save(run.path, {}, {}, {"epoch": 12, "batch": 3})
    newest = listing.newest_checkpoint(run)
    assert newest.name == "epoch-012-batch-0003" and listing.epochs_done(newest) == 12


def test_is_locked_while_somebody_trains(run):
    assert not checkpoint.is_locked(run.path)
    with checkpoint.lock(run.path):
        assert checkpoint.is_locked(run.path)
    assert not checkpoint.is_locked(run.path) and not checkpoint.is_locked(run.path / "nothing")
