"""The command line that shows, fetches and converts data."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from paddle_mnist import console, dataset
from paddle_mnist.data import main
from paddle_mnist.sources import download, idx, mnist_json
from paddle_mnist.splits import Split, Splits

SAMPLE = Path(__file__).resolve().parent.parent / "work" / "mnist-5k.json.gz"


def make_splits(counts):
    chance = np.random.default_rng(6)
    return Splits(
        *(Split(chance.integers(0, 256, (n, 28, 28), np.uint8), chance.integers(0, 10, n, np.uint8)) for n in counts)
    )


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PADDLE_MNIST_OFFLINE", "1")
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "cache"))


def run(*argv):
    return console.run(main, [str(argument) for argument in argv])


def test_info_on_the_bundled_sample(capsys):
    assert run("info", SAMPLE, "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["sha256"] == hashlib.sha256(SAMPLE.read_bytes()).hexdigest()
    assert found["encoding"] == "uint8"
    assert {name: split["samples"] for name, split in found["splits"].items()} == {
        "train": 4000,
        "valid": 500,
        "eval": 500,
    }
    for split in found["splits"].values():
        assert split["classes"] == [split["samples"] // 10] * 10
        assert 0.12 < split["mean_ink"] < 0.14  # MNIST's is 0.1307
    assert "digits from" in err

    assert run("info", SAMPLE) == 0
    assert "400   400" in capsys.readouterr().out


def test_work_readme_states_the_checksum_of_the_sample():
    text = (SAMPLE.parent / "README.md").read_text(encoding="utf-8")
    packed = SAMPLE.read_bytes()
    assert hashlib.sha256(packed).hexdigest() in text
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() in text
    assert len(packed) < 2_000_000


@pytest.mark.parametrize("encoding", mnist_json.ENCODINGS)
def test_convert_to_idx_and_back_is_lossless(tmp_path, capsys, encoding):
    idx.write_folder(tmp_path / "idx", make_splits((50, 10, 6)))
    before = {path.name: path.read_bytes() for path in (tmp_path / "idx").iterdir()}
    assert run("convert", "idx", "digits.json.gz", "--encoding", encoding) == 0
    assert "digits.json.gz: 50 + 10 + 6 digits" in capsys.readouterr().out
    assert run("convert", "digits.json.gz", "back") == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == before
    assert "--valid" not in capsys.readouterr().err


def test_convert_names_an_unusual_validation_set(tmp_path, capsys):
    mnist_json.write("digits.json", make_splits((50, 3, 6)))
    assert run("convert", "digits.json", "idx") == 0
    assert "convert back with --valid 3" in capsys.readouterr().err
    assert run("convert", "idx", "back.json", "--valid", 3, "--encoding", "uint8") == 0
    assert Path("back.json").read_bytes() == Path("digits.json").read_bytes()


def test_convert_and_fetch_replace_no_file_without_force(tmp_path, capsys):
    idx.write_folder("idx", make_splits((50, 10, 6)))
    Path("digits.json").write_text("mine")
    assert run("convert", "idx", "digits.json") == 2
    assert "digits.json exists already" in capsys.readouterr().err
    assert Path("digits.json").read_text() == "mine"
    assert run("convert", "idx", "digits.json", "--force") == 0
    assert run("convert", "digits.json", "idx") == 2
    assert run("fetch", "--out", "digits.json") == 2


def test_data_refuses_wrong_arguments_in_one_sentence(tmp_path, capsys):
    idx.write_folder("idx", make_splits((50, 10, 6)))
    for argv in (("info", "absent"), ("convert", "absent", "x.json"), ("convert", "idx", "x.txt")):
        assert run(*argv) == 2
        err = capsys.readouterr().err
        assert err.startswith("paddle_mnist: error: ")
        assert err.count("\n") == 1
    mnist_json.write("digits.json", make_splits((5, 3, 6)))
    assert run("convert", "digits.json", "out", "--valid", 3) == 2


def test_fetch_writes_the_courses_format(tmp_path, monkeypatch, capsys):
    splits = make_splits((50, 10, 6))
    paths = idx.write_folder("served", splits)
    md5 = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in paths}
    monkeypatch.setattr(download, "MD5", md5)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory="served"))
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        assert run("fetch", "--mirror", f"http://127.0.0.1:{server.server_port}", "--quiet") == 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    out, err = capsys.readouterr()
    assert "mnist.json.gz: 50 + 10 + 6 digits" in out
    assert "Traceback" not in err
    found = dataset.open_dataset()
    assert found.name == str(Path("work", "mnist.json.gz"))
    assert found.encoding == "pm1"
    assert np.array_equal(found.train.images, splits.train.images)


def test_fetch_without_a_mirror_fails_in_one_sentence(capsys):
    assert run("fetch", "--mirror", "http://127.0.0.1:9/", "--quiet") == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("paddle_mnist: error: MNIST could not be downloaded (no answer from http://127.0.0.1:9/)")
    assert not Path("work", "mnist.json.gz").exists()
