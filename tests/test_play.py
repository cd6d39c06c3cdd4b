"""What the playground's server answers about models, drawings and the inside of nets."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from play_client import RAW, decoded, lateness, serving, wait_for

from paddle_mnist import learners
from paddle_mnist.dataset import Dataset, open_dataset
from paddle_mnist.pictures.negatives import no_digits
from paddle_mnist.pictures.reader import bundled_reader
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs.restore import restore
from paddle_mnist.runs.run import RunOptions, create
from paddle_mnist.runs.session import train
from paddle_mnist.sources import mnist_json

NETS = {"cnn": "classify", "fc": "regress", "nielsen": "classify", "two-layer": "classify"}


@pytest.fixture(scope="module")
def work(splits, tmp_path_factory):
    """Return a work folder with a run of each kind of net; one of them was trained."""
    folder = tmp_path_factory.mktemp("play")
    mnist_json.write(folder / "digits.json.gz", splits)
    data = Dataset(splits.train, splits.valid, splits.eval, name=str(folder / "digits.json.gz"), sha256="0" * 64)
    settings = settings_for("cnn", "classify", epochs=1, batch_size=50)
    trained = train(settings, data, folder / "runs" / "cnn", RunOptions(quiet=True, log_every=1))
    for net, task in NETS.items():
        if net != "cnn":
            settings, manifest = settings_for(net, task), {"data": trained.manifest["data"]}
            run = create(folder / "runs" / net, net, settings, RunOptions(), manifest, folder)
            run.save_best(learners.build(settings).state_dict())
    return folder


@pytest.fixture(scope="module")
def client(work):
    with serving(work) as client:
        yield client


@pytest.fixture
def digit(splits):
    image = splits.eval.images[0].copy()
    image[image < 60] = 0
    return image


def drawing(digit, side=280):
    """Return a digit as a pad draws it: large, white on black."""
    return np.kron(digit, np.ones((side // 28, side // 28), np.uint8))


def test_models_lists_every_run_with_its_settings_and_result(client):
    listed = client.json("/api/models")
    models = {model["id"]: model for model in listed["models"] if model["kind"] == "run"}
    assert models.keys() == {f"run:{net}" for net in NETS} and listed["note"] is None
    cnn = models["run:cnn"]
    assert (cnn["state"], cnn["trained"], cnn["answer"]) == ("complete", True, "probabilities")
    assert cnn["settings"]["lr"] == 0.1 and cnn["result"]["samples"] == 50 and cnn["data"]["samples"] == [230, 50, 50]
    assert models["run:fc"]["answer"] == "value" and models["run:nielsen"]["answer"] == "scores"
    assert models["run:nielsen"]["numpy"] and not cnn["numpy"]


def test_models_says_what_to_do_when_nothing_is_trained(tmp_path):
    with serving(tmp_path) as client:
        listed = client.json("/api/models")
    assert [model["id"] for model in listed["models"]] == ["reader"] and listed["default"] == "reader"
    assert "paddle_mnist.train" in listed["note"]


def test_models_leaves_out_damaged_runs(work, client):
    broken = work / "runs" / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    try:
        assert client.post("/api/models/run:broken/stop", json={}).status_code == 404
    finally:
        (broken / "run.json").unlink()
        broken.rmdir()


def test_answers_are_those_of_the_nets(client, work, digit):
    reply = client.bytes("/api/answers?kind=prepared&models=run:cnn,run:fc,run:nielsen", digit)
    assert not reply["empty"] and [answer["model"] for answer in reply["answers"]] == [
        "run:cnn",
        "run:fc",
        "run:nielsen",
    ]
    cnn, fc, nielsen = reply["answers"]
    learner, _ = restore(work / "runs" / "cnn")
    outputs = learner.outputs(digit[None, None].astype(np.float32) / 255)
    np.testing.assert_allclose(cnn["scores"], outputs, atol=1e-5)
    assert cnn["digits"] == [outputs.argmax()] and cnn["read"] == str(outputs.argmax())
    assert sum(cnn["probabilities"][0]) == pytest.approx(1)
    assert fc["probabilities"] is None and fc["scores"] is None and len(fc["values"]) == 1
    assert nielsen["probabilities"] is None and len(nielsen["scores"][0]) == 10


def test_answers_show_the_digit_that_the_nets_get(client, digit):
    reply = client.bytes("/api/answers?width=280&height=280", drawing(digit))
    (found,) = reply["digits"]
    image = decoded(found["image"])
    assert image.shape == (28, 28) and image.max() == 255 and reply["picture"] == {"width": 280, "height": 280}
    left, top, right, bottom = found["image_box"]
    rows, columns = np.nonzero(image)
    assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.array(found["centre"]) - 14).max() < 1


def test_answers_take_picture_files(client, digit):
    file = io.BytesIO()
    Image.fromarray(255 - np.pad(drawing(digit), 60)).save(file, "PNG")
    reply = client.post("/api/answers", content=file.getvalue(), headers={"content-type": "image/png"}).json()
    assert reply["picture"] == {"width": 400, "height": 400} and len(reply["digits"]) == 1
    assert all(len(answer["digits"]) == 1 for answer in reply["answers"])


def test_answers_split_numbers_and_tell_the_cuts(client):
    page = np.zeros((120, 240), np.uint8)
    page[20:100, 40:48] = page[20:100, 120:128] = page[20:100, 180:188] = 255
    page[60:68, 120:188] = 255  # joins two strokes
    reply = client.bytes("/api/answers?kind=number&width=240&height=120", page)
    assert len(reply["digits"]) >= 2 and reply["digits"][0]["box"][0] < reply["digits"][1]["box"][0]
    assert all(len(answer["read"]) == len(reply["digits"]) for answer in reply["answers"])
    (joined,) = [cut for cut in reply["cuts"] if cut["box"][0] >= 110]
    assert joined["candidates"] and {"left", "right", "score"} == joined["candidates"][0].keys()
    assert joined["chosen"] is None or 0 <= joined["chosen"] < len(joined["candidates"])


@pytest.mark.parametrize("query", ["kind=digit&width=100&height=100", "kind=number&width=100&height=100"])
def test_answers_say_so_when_the_pad_is_blank(client, query):
    reply = client.bytes(f"/api/answers?{query}", np.zeros((100, 100), np.uint8))
    assert reply["empty"] and "no ink" in reply["reason"] and reply["digits"] == reply["answers"] == []


def test_answers_say_so_when_the_prepared_digit_is_blank(client):
    assert client.bytes("/api/answers?kind=prepared", np.zeros((28, 28), np.uint8))["empty"]


def test_answers_of_the_reader_tell_what_is_no_digit(client):
    true_digit = open_dataset("sample").eval
    reply = client.bytes("/api/answers?kind=prepared&models=reader", true_digit.images[0])
    (answer,) = reply["answers"]
    assert answer["read"] == str(true_digit.labels[0]) and sum(answer["probabilities"][0]) > 0.9
    shown = no_digits(true_digit.images, true_digit.labels, np.random.default_rng(0), 20)
    scribble = shown[bundled_reader(shown)[2].sum(axis=1).argmin()]  # the least like a digit
    (answer,) = client.bytes("/api/answers?kind=prepared&models=reader", scribble)["answers"]
    assert answer["read"] == "?" and answer["digits"] == [None] and sum(answer["probabilities"][0]) < 0.5


def test_reader_can_be_looked_into(client, work, digit, monkeypatch):
    monkeypatch.setenv("PADDLE_MNIST_DATA", str(work / "digits.json.gz"))
    layers = client.bytes("/api/models/reader/layers", digit)["layers"]
    assert layers[0]["layer"] == "conv1" and layers[-1]["values"]["shape"] == [11]
    assert decoded(client.bytes("/api/models/reader/saliency?method=gradient", digit)["values"]).any()
    assert len(client.bytes("/api/models/reader/neighbours", digit)["neighbours"]) == 10
    assert client.get("/api/page?models=reader").status_code == 409


@pytest.mark.parametrize("net", NETS)
def test_layers_hold_what_the_formulas_say(client, digit, net):
    reply = client.bytes(f"/api/models/run:{net}/layers", digit)
    weights = {k: decoded(v) for k, v in client.json(f"/api/models/run:{net}/weights")["parameters"].items()}
    values = {"images": decoded(reply["input"])} | {
        layer["name"]: decoded(layer["values"]) for layer in reply["layers"]
    }
    linear = [layer for layer in reply["layers"] if layer["operation"] == "linear"]
    assert linear and reply["answer"]["model"] == f"run:{net}"
    for layer in linear:
        weight = weights[layer["parameters"]["weight"]]
        weight = weight.T if layer["attributes"]["transposed"] else weight
        expected = values[layer["inputs"][0]].ravel() @ weight + weights[layer["parameters"]["bias"]]
        np.testing.assert_allclose(values[layer["name"]], expected, atol=2e-3)


def test_layers_are_named_as_in_nets(client, digit):
    layers = client.bytes("/api/models/run:cnn/layers", digit)["layers"]
    names = [layer["layer"] for layer in layers if layer["layer"]]
    assert names == ["conv1", "max_pool1", "conv2", "max_pool2", "fc"]
    assert [layer["operation"] for layer in layers][:3] == ["convolution", "relu", "max_pool"]


def test_weights_gives_those_that_are_named(client):
    found = client.json("/api/models/run:cnn/weights?names=conv1.weight")["parameters"]
    assert {name: array["shape"] for name, array in found.items()} == {"conv1.weight": [20, 1, 5, 5]}
    assert client.get("/api/models/run:cnn/weights?names=nothing").status_code == 404


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
@pytest.mark.parametrize("net", ["cnn", "fc", "two-layer"])
def test_saliency_covers_the_digit(client, digit, net, method):
    reply = client.bytes(f"/api/models/run:{net}/saliency?method={method}", digit)
    values = decoded(reply["values"])
    assert values.shape == (28, 28) and np.isfinite(values).all()
    assert reply["digit"] is None if net == "fc" else reply["digit"] in range(10)


def test_neighbours_of_a_training_digit_begin_with_itself(client, splits):
    reply = client.bytes("/api/models/run:cnn/neighbours", splits.train.images[7])
    assert reply["neighbours"][0] == {"index": 7, "label": int(splits.train.labels[7]), "distance": 0}
    assert reply["features"] == 980 and reply["searched"] == 230 and reply["layer_label"] == "fc"
    assert decoded(reply["images"]).shape == (10, 28, 28)


def test_confusion_counts_every_test_digit_and_shows_those_of_a_cell(client, splits):
    reply = client.json("/api/models/run:cnn/confusion")
    matrix = np.array(reply["matrix"])
    assert matrix.sum() == reply["samples"] == 50
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(splits.eval.labels, minlength=10))
    true, predicted = np.unravel_index(matrix.argmax(), matrix.shape)
    cell = client.json(f"/api/models/run:cnn/confusion/{true}/{predicted}?count=3")
    assert cell["total"] == matrix.max() and set(cell["labels"]) == {true} and len(cell["indices"]) <= 3
    np.testing.assert_array_equal(decoded(cell["images"]), splits.eval.images[cell["indices"]])


def test_digits_come_by_label(client, work, splits, monkeypatch):
    monkeypatch.setenv("PADDLE_MNIST_DATA", str(work / "digits.json.gz"))
    reply = client.json("/api/digits?split=valid&label=3&start=1&count=2")
    which = np.flatnonzero(splits.valid.labels == 3)
    assert reply["indices"] == which[1:3].tolist() and reply["total"] == len(which)
    np.testing.assert_array_equal(decoded(reply["images"]), splits.valid.images[which[1:3]])


def test_page_is_one_file_with_the_nets(client):
    reply = client.get("/api/page?models=run:cnn,run:nielsen")
    assert reply.status_code == 200 and "attachment" in reply.headers["content-disposition"]
    assert "cnn, classification" in reply.text and "nielsen" in reply.text


def test_history_is_thinned_but_for_epochs(client):
    full = client.json("/api/models/run:cnn/history")
    thin = client.json("/api/models/run:cnn/history?points=10")
    assert full["total"] == len(full["records"]) == 6 and "valid_loss" in full["records"][-1]
    assert thin["records"][-1] == full["records"][-1]


def test_files_are_served_with_a_mark_that_saves_sending_them_again(client):
    reply = client.get("/shared/net.js")
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/javascript")
    assert client.get("/shared/net.js", headers={"if-none-match": reply.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/models/run:nothing/weights", 404),
        ("/api/models/..%2F..%2Fetc/weights", 404),
        ("/api/models/run:cnn%00/weights", 404),
        ("/api/models/run:..%2Fruns%2Fcnn/weights", 404),
        ("/api/models/run:cnn/weights?weights=oldest", 400),
        ("/api/models/run:cnn/confusion/x/1", 404),
        ("/api/models/run:cnn/confusion/1/22", 404),
        ("/api/digits?count=1e9", 400),
        ("/api/digits?count=201", 400),
        ("/api/digits?start=-1", 400),
        ("/api/digits?split=secret", 400),
        ("/api/digits?label=NaN", 400),
        ("/api/events?runs=run:nothing", 404),
        ("/api/page", 400),
        ("/api/nothing", 404),
        ("/shared/../__main__.py", 404),
        ("/web/..%2f..%2fsetup.cfg", 404),
        ("/shared/%2e%2e/model.py", 404),
        ("/etc/passwd", 404),
    ],
)
def test_get_refuses_what_is_not_offered(client, path, status):
    reply = client.get(path)
    assert reply.status_code == status
    assert reply.json()["error"].endswith(".")


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/api/answers?width=10&height=10", bytes(99), "application/octet-stream", 400),
        ("/api/answers", bytes(100), "application/octet-stream", 400),
        ("/api/answers?width=3&height=9", bytes(27), "application/octet-stream", 400),
        ("/api/answers?kind=prepared", bytes(783), "application/octet-stream", 400),
        ("/api/answers?kind=poem", bytes(784), "application/octet-stream", 400),
        ("/api/answers?models=run:nothing&kind=prepared", bytes(784), "application/octet-stream", 404),
        ("/api/answers", b"no picture", "image/png", 400),
        ("/api/answers", b"GIF89a", "image/gif", 400),
        ("/api/answers", b"{}", "text/html", 415),
        ("/api/models/run:cnn/layers", bytes(785), "application/octet-stream", 400),
        ("/api/models/run:cnn/saliency?digit=10", bytes(784), "application/octet-stream", 400),
        ("/api/training", b"{", "application/json", 400),
        ("/api/training", b"[]", "application/json", 400),
        ("/api/training", b'{"lr": NaN}', "application/json", 400),
        ("/api/training", b"\xff\xfe", "application/json", 400),
        ("/api/training", b"[" * 5000, "application/json", 400),
        ("/api/training", bytes(784), "application/octet-stream", 415),
        ("/api/models/run:cnn/resume", b'{"epochs": "many"}', "application/json", 400),
        ("/api/models/run:cnn/resume", b'{"epochs": 1e300}', "application/json", 400),
        ("/api/models/run:cnn/resume", b'{"out": "/tmp"}', "application/json", 400),
        ("/api/models/run:cnn/stop", b"{}", "application/json", 409),
    ],
)
def test_post_refuses_what_is_wrong(client, path, body, kind, status):
    reply = client.post(path, content=body, headers={"content-type": kind})
    assert reply.status_code == status, reply.text
    assert reply.json()["error"].endswith(".")


def test_answers_come_from_each_runs_own_weights(client, work, digit):
    path = "/api/answers?kind=prepared&models=run:fc,run:other"
    settings, manifest = settings_for("fc", seed=9), json.loads((work / "runs" / "fc" / "run.json").read_text())
    run = create(work / "runs" / "other", "other", settings, RunOptions(), {"data": manifest["data"]}, work)
    try:
        for seed in (9, 10):  # two runs of one architecture, the second with new weights after an epoch
            run.save_best(learners.build(dataclasses.replace(settings, seed=seed)).state_dict())
            nets = [restore(work / "runs" / name)[0] for name in ("fc", "other")]
            values = [pytest.approx(net.outputs(digit[None, None] / np.float32(255))[0], abs=1e-5) for net in nets]
            wait_for(lambda: client.state("run:other") is not None)
            wait_for(lambda: [one["values"] for one in client.bytes(path, digit)["answers"]] == values)  # noqa: B023
    finally:
        shutil.rmtree(run.path)


def test_answers_of_many_pages_at_once_are_those_of_each(client, splits):
    images = np.where(splits.eval.images < 60, 0, splits.eval.images)
    prepared = "/api/answers?kind=prepared&models={}"
    number = "/api/answers?kind=number&width=100&height=40&models=reader,run:cnn"
    two = np.zeros((40, 100), np.uint8)
    two[6:34, 20:24] = two[6:34, 70:74] = 255
    models = ["run:cnn", "reader,run:fc", "run:fc,run:cnn"] * 8
    asked = [(prepared.format(names), image) for names, image in zip(models, images, strict=False)] + [
        (number, two)
    ] * 2
    alone = [client.bytes(*one) for one in asked]
    with ThreadPoolExecutor(len(asked)) as pages:
        together = list(pages.map(lambda one: client.bytes(*one), asked))
    for one, other in zip(together, alone, strict=True):
        assert [answer["model"] for answer in one["answers"]] == [answer["model"] for answer in other["answers"]]
        assert [answer["read"] for answer in one["answers"]] == [answer["read"] for answer in other["answers"]]
        for answer, expected in zip(one["answers"], other["answers"], strict=True):
            assert answer["values"] == pytest.approx(expected["values"], abs=1e-4)


def test_prepared_nets_are_not_built_for_an_answer(client, monkeypatch):
    nets = client.playground.nets
    for _ in nets.prepare():
        pass
    monkeypatch.setattr(learners, "build", lambda settings: pytest.fail("built for an answer"))
    fresh = dataclasses.replace(client.playground.catalog.models()["run:fc"], id="run:new")
    assert len(nets.get(fresh).answer(np.zeros((1, 28, 28), np.uint8))["values"]) == 1


def test_events_are_under_half_a_second_behind(client, work):
    path = work / "runs" / "two-layer" / "history.jsonl"
    stream, delays = client.events("run:two-layer"), []
    with lateness() as late:
        for step in range(6):
            with open(path, "a") as history:
                history.write(json.dumps({"epoch": 0, "batch": step, "step": step, "loss": 1.0, "lr": 0.1}) + "\n")
            written = time.monotonic()
            next(data for name, data in stream if name == "history" and data["records"][-1]["step"] == step)
            delays.append(time.monotonic() - written)
    stream.close()
    # Where the whole machine is late, the events may be as late.
    assert max(delays) < 0.5 + max(late), f"delays {delays}, the machine's own {max(late)}"


def test_answers_of_damaged_weights_do_not_hide_the_others(client, work, digit):
    best = work / "runs" / "nielsen" / "best.npz"
    kept = best.read_bytes()
    best.write_bytes(b"damaged")
    try:
        path = "/api/answers?kind=prepared&models=run:two-layer,run:nielsen"
        wait_for(lambda: client.bytes(path, digit)["answers"][1]["error"] is not None)
        two_layer, nielsen = client.bytes(path, digit)["answers"]
    finally:
        best.write_bytes(kept)
    assert two_layer["error"] is None and "best.npz" in nielsen["error"]


def test_head_and_other_methods(client):
    assert client.head("/api/models").status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, "/api/models").status_code == 405
    assert client.get("/api/answers").status_code == 405
    assert client.post("/api/models", content=b"{}", headers=RAW).status_code == 405
