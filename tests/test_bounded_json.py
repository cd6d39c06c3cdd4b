"""JSON files and histories: read whole or refused in one sentence, cut back to a checkpoint to the byte."""

import errno
import json
import os

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.storage import bounded_json
from paddle_mnist.storage.bounded_json import append_history, read_history, read_json, truncate_history


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.jsonl"


def history(epochs, batches):
    lines = []
    for epoch in range(epochs):
        for batch in range(batches):
            lines.append({"epoch": epoch, "batch": batch, "step": epoch * batches + batch, "loss": 1 / (batch + 3)})
        lines.append({"epoch": epoch, "step": (epoch + 1) * batches, "valid_loss": 0.1, "mse": None})
    return lines


def test_read_json_reads_an_object(tmp_path):
    value = {"a": [1, 2.5, None, True, "é"], "seed": 2**64 - 1, "nested": {"b": -1e-300}}
    (tmp_path / "run.json").write_text(json.dumps(value), encoding="utf-8")
    assert read_json(tmp_path / "run.json") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": "\xed\xa0\x80"}', "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b'{"a": 1} {"b": 2}', "not valid JSON"),
        (b"[1, 2]", "must hold a JSON object, got a list"),
        (b'"text"', "must hold a JSON object, got a string"),
        (b"null", "must hold a JSON object, got null"),
        (b"true", "must hold a JSON object, got true or false"),
        (b"12", "must hold a JSON object, got a number"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": -Infinity}', "not valid JSON"),
        (b'{"a": 1e999}', "number is infinity"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number is infinity"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "must nest at most 32 levels deep"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40, "must nest at most 32 levels deep"),
        (b'{"a": ' + b"[" * 200_000, "nests deeper|not valid JSON"),
        (b"\xff\xfe{\x00}\x00", "not valid JSON"),
        (b"\x1f\x8b\x08\x00", "not valid JSON"),
        (b"\x00" * 100, "not valid JSON"),
        (b" " * (1 << 20) + b"{}", r"must have at most 1,048,576 bytes, got 1,048,578"),
    ],
)
def test_read_json_refuses_anything_else_in_one_sentence(tmp_path, data, message):
    (tmp_path / "run.json").write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read_json(tmp_path / "run.json")
    assert str(tmp_path / "run.json") in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_read_json_names_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"run\.json cannot be read: No such file"):
        read_json(tmp_path / "run.json")
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UserError, match=r"run\.json must be a regular file, got a folder"):
        read_json(tmp_path / "run.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_read_json_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(UserError, match="must be a regular file, got a pipe"):
        read_json(tmp_path / "run.json")


def test_read_json_survives_mutated_files(tmp_path):
    """Flipped bits, bytes put in or taken out, pieces doubled: as a disk, a network or an editor leaves them."""
    value = {"epoch": 3, "batch": 0, "best": {"epoch": 1, "valid_loss": 0.25}, "name": "é\n", "list": [1.5e-7, None]}
    data = bounded_json.dump(value, indent=1).encode()
    generator = np.random.default_rng(2)
    path = tmp_path / "state.json"
    refused = 0
    for _ in range(400):
        mutated = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            begin, length = generator.integers(len(mutated)), generator.integers(1, 12)
            piece = mutated[begin : begin + length]
            way = generator.integers(4)
            if way == 0:
                mutated[begin] ^= 1 << generator.integers(8)
            else:
                mutated[begin : begin + length] = [b"", piece * 3, generator.bytes(length)][way - 1]
        path.write_bytes(mutated)
        try:
            assert isinstance(read_json(path), dict)
        except UserError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
    assert refused > 200


# Histories.


def test_append_history_adds_what_read_history_returns(path):
    assert read_history(path) == []
    append_history(path, history(1, 3))
    append_history(path, [{"epoch": 1, "batch": 0, "loss": np.float32(0.5), "step": np.int64(3)}])
    assert read_history(path) == [*history(1, 3), {"epoch": 1, "batch": 0, "loss": 0.5, "step": 3}]
    assert path.read_bytes().count(b"\n") == 5


def test_append_history_refuses_a_number_that_is_not_finite(path):
    append_history(path, history(1, 2))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        append_history(path, [{"loss": 1.0}, {"loss": float("nan")}])
    assert path.read_bytes() == before


def test_read_history_skips_an_incomplete_last_line(path):
    append_history(path, history(1, 3))
    data = path.read_bytes()
    for torn in range(1, len(data.splitlines(keepends=True)[-1])):
        path.write_bytes(data[:-torn])
        assert read_history(path) == history(1, 3)[:-1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"garbage", "line 2 is not valid JSON"),
        (b"[1]", "line 2 must hold a JSON object, got a list"),
        (b'{"epoch": [1]}', "line 2 must hold plain values, got a list or an object"),
        (b'{"loss": 1e999}', "line 2 is not valid JSON: number is infinity"),
        (b"\xff", "line 2 is not valid JSON"),
        (b"", "line 2 is not valid JSON"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "line 2 must have at most 4,096 bytes, got 5,010"),
        (b'{"a": ' + b"[" * 3000 + b"]" * 3000 + b"}", "line 2 must have at most 4,096 bytes"),
    ],
)
def test_read_history_names_any_other_damaged_line(path, line, message):
    path.write_bytes(b'{"epoch": 0}\n' + line + b'\n{"epoch": 1}\n')
    with pytest.raises(UserError, match=message):
        read_history(path)
    with pytest.raises(UserError, match=message):
        truncate_history(path, 1, 0)


def test_read_history_refuses_more_lines_values_and_bytes_than_a_run_writes(path):
    path.write_bytes(b"{}\n" * 250_000)
    assert len(read_history(path)) == 250_000
    path.write_bytes(b"{}\n" * 250_001)
    with pytest.raises(UserError, match=r"history\.jsonl must have at most 250,000 lines"):
        read_history(path)
    line = b"{" + b",".join(b'"%d":0' % number for number in range(400)) + b"}\n"
    path.write_bytes(line * 5001)
    with pytest.raises(UserError, match=r"must have at most 2,000,000 values, passed in line 5001"):
        read_history(path)
    with open(path, "wb") as file:
        file.truncate((32 << 20) + 1)
    with pytest.raises(UserError, match=r"must have at most 33,554,432 bytes"):
        read_history(path)


@pytest.mark.parametrize(("epoch", "batch"), [(0, 0), (0, 2), (1, 0), (1, 1), (2, 0), (3, 0), (9, 9)])
def test_truncate_history_cuts_back_to_a_checkpoint(path, epoch, batch):
    append_history(path, history(3, 4))
    whole = path.read_bytes()
    with open(path, "ab") as file:
        file.write(b'{"epoch": 2, "ba')
    truncate_history(path, epoch, batch)
    expected = [
        record
        for record in history(3, 4)
        if record["epoch"] < epoch or (record["epoch"] == epoch and record.get("batch", 99) < batch)
    ]
    assert read_history(path) == expected
    assert whole.startswith(path.read_bytes())
    # Written on from there, it is as if nothing had happened.
    append_history(path, history(3, 4)[len(expected) :])
    assert path.read_bytes() == whole


def test_truncate_history_ignores_a_missing_file(path):
    truncate_history(path, 1, 0)
    assert not path.exists()


def test_append_history_leaves_the_history_unchanged_on_a_full_disk(path, monkeypatch):
    append_history(path, history(1, 2))
    before = path.read_bytes()
    write = os.write

    def partly(descriptor, data):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(os, "write", partly)
    with pytest.raises(UserError, match=r"cannot add to .*history\.jsonl, which is unchanged: No space left"):
        append_history(path, history(2, 2))
    assert path.read_bytes() == before
    monkeypatch.undo()
    append_history(path, [{"epoch": 5}])
    assert read_history(path)[-1] == {"epoch": 5}


@pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")
def test_append_history_adds_nothing_through_a_link(path, tmp_path):
    (tmp_path / "elsewhere").write_text("")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"cannot add to .*history\.jsonl"):
        append_history(path, [{"epoch": 0}])
    assert (tmp_path / "elsewhere").read_text() == ""


@pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")
def test_append_history_adds_nothing_to_a_hard_link(path, tmp_path):
    (tmp_path / "elsewhere").write_text("")
    os.link(tmp_path / "elsewhere", path)
    with pytest.raises(UserError, match=r"history\.jsonl must have one name, got a hard link"):
        append_history(path, [{"epoch": 0}])
    assert (tmp_path / "elsewhere").read_text() == ""


# Writing.


def test_dump_escapes_bytes_of_names_that_are_not_utf_8():
    text = bounded_json.dump({"command": ["--out", "runs/x\udcff", "é"]})
    assert bounded_json.parse_object(text.encode(), "run.json") == {"command": ["--out", "runs/x\\udcff", "é"]}


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**100])
def test_dump_refuses_integers_that_would_come_back_as_floats(value):
    with pytest.raises(ValueError, match="does not fit into 64 bits"):
        bounded_json.dump({"seed": value})
    assert bounded_json.parse_object(bounded_json.dump({"a": 2**64 - 1, "b": -(2**63)}).encode(), "x")["b"] == -(2**63)
