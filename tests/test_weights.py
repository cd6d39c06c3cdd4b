"""Bare weight files: what goes in comes out, Paddle reads it too, and nothing that does not fit gets through."""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.storage.weights import (
    check_optimizer_state,
    check_state_dict,
    dump_optimizer_state,
    load_state_dict,
    parse_optimizer_state,
    save_state_dict,
)

PDOPT = "o.pdopt"
SUFFIXES = (".pdparams", ".safetensors", ".npz")


@pytest.fixture
def weights():
    generator = np.random.default_rng(0)
    return {
        "fc.weight": generator.standard_normal((4, 3)).astype(np.float32),
        "fc.bias": np.zeros(3, np.float32),
        "steps": np.array(7, np.int64),
        "double": generator.standard_normal((2, 0, 5)),
        "mask": np.array([True, False]),
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].flags.c_contiguous and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_state_dict_returns_what_was_saved(tmp_path, weights, suffix):
    path = tmp_path / f"model{suffix}"
    save_state_dict(path, weights)
    assert_same(load_state_dict(path), weights)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_save_state_dict_hides_the_layout_in_memory(tmp_path, weights, suffix):
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    save_state_dict(first, weights)
    shared = np.zeros(3, np.float32)
    disguised = {
        "".join(list(name)): np.asfortranarray(array).astype(array.dtype.newbyteorder(">"))
        if array.ndim > 1
        else array.copy()
        for name, array in weights.items()
    }
    disguised["fc.bias"] = shared
    save_state_dict(second, disguised)
    assert first.read_bytes() == second.read_bytes()


def test_save_state_dict_writes_an_array_once_per_name(tmp_path):
    array = np.ones(3, np.float32)
    save_state_dict(tmp_path / "shared.pdparams", {"a": array, "b": array})
    save_state_dict(tmp_path / "apart.pdparams", {"a": array, "b": array.copy()})
    assert (tmp_path / "shared.pdparams").read_bytes() == (tmp_path / "apart.pdparams").read_bytes()


def test_save_state_dict_writes_an_npz_for_numpy(tmp_path, weights):
    save_state_dict(tmp_path / "model.npz", weights)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        assert_same({name: archive[name].copy() for name in archive.files}, weights)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_load_state_dict_reads_an_npz_of_numpy(tmp_path, weights, save):
    save(tmp_path / "model.npz", **weights, fortran=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = load_state_dict(tmp_path / "model.npz")
    np.testing.assert_array_equal(found.pop("fortran"), np.arange(6.0).reshape(2, 3))
    assert_same(found, weights)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_save_state_dict_refuses_numbers_that_are_not_finite(tmp_path, suffix, value):
    with pytest.raises(UserError, match=r"'fc\.weight' has 1 of 4 values that are NaN"):
        save_state_dict(tmp_path / f"model{suffix}", {"fc.weight": np.array([0, 1, value, 2], np.float32)})
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_load_state_dict_refuses_numbers_that_are_not_finite(tmp_path):
    bad = {"fc.bias": np.array([np.nan, np.inf, 0.0], np.float32)}
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps(bad, protocol=2))
    np.savez(tmp_path / "m.npz", **bad)
    from safetensors.numpy import save_file

    save_file(bad, tmp_path / "m.safetensors")
    for suffix in SUFFIXES:
        with pytest.raises(UserError, match=r"m\..*'fc\.bias' has 2 of 3 values that are NaN"):
            load_state_dict(tmp_path / f"m{suffix}")


@pytest.mark.parametrize("array", [np.array([None]), np.array(["a"]), np.array([1j]), np.array([1], "M8[s]")])
def test_state_dicts_hold_real_numbers_only(tmp_path, array):
    for suffix in SUFFIXES:
        with pytest.raises(UserError, match=r"'x' must hold real numbers, got the dtype"):
            save_state_dict(tmp_path / f"m{suffix}", {"x": array})
    np.savez(tmp_path / "m.npz", x=array, allow_pickle=True)
    with pytest.raises(UserError, match=r"'x\.npy' must hold real numbers"):
        load_state_dict(tmp_path / "m.npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\3\4" + bytes(90), "torch.save"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "Keras"),
        (b"\x1f\x8b\x08" + bytes(90), "gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"),
        (b"<!doctype html>", "web page"),
    ],
)
def test_load_state_dict_names_the_files_of_other_programs(tmp_path, suffix, data, kind):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(data)
    words = "not a complete .npz file" if (suffix, kind) == (".npz", "torch.save") else kind
    with pytest.raises(UserError, match=words) as refusal:
        load_state_dict(path)
    assert str(refusal.value).startswith(str(path))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_load_state_dict_names_what_a_nested_dict_holds_beside_arrays(tmp_path, weights, protocol):
    path = tmp_path / "saved.pdparams"
    path.write_bytes(pickle.dumps({"epoch": 3, "model": weights}, protocol))
    with pytest.raises(UserError, match="'epoch' must be an array, got the type int"):
        load_state_dict(path)


def test_load_state_dict_reads_safetensors_with_metadata(tmp_path, weights):
    from safetensors.numpy import save_file

    save_file(weights, tmp_path / "net.safetensors", metadata={"format": "pd", "note": "x" * 2000})
    assert_same(load_state_dict(tmp_path / "net.safetensors"), weights)


def test_load_state_dict_names_an_unknown_suffix(tmp_path, weights):
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(UserError, match=r"one of \.pdparams, \.pkl, \.safetensors, \.npz, got '\.onnx'"):
        load_state_dict(tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"must end in one of \.pdparams, \.safetensors, \.npz, got ''"):
        save_state_dict(tmp_path / "model", weights)


def test_load_state_dict_names_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"gone\.npz cannot be read: No such file"):
        load_state_dict(tmp_path / "gone.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError, match=r"folder\.npz must be a regular file, got a folder"):
        load_state_dict(tmp_path / "folder.npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_state_dict_refuses_every_truncation(tmp_path, weights, suffix):
    path = tmp_path / f"model{suffix}"
    save_state_dict(path, weights)
    data = path.read_bytes()
    for length in [*range(0, len(data), 7), *range(len(data) - 40, len(data))]:
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match="model"):
            load_state_dict(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_state_dict_survives_flipped_bits(tmp_path, weights, suffix):
    path = tmp_path / f"model{suffix}"
    save_state_dict(path, weights)
    data = path.read_bytes()
    generator = np.random.default_rng(1)
    for _ in range(150):
        flipped = bytearray(data)
        flipped[generator.integers(len(data))] ^= 1 << generator.integers(8)
        path.write_bytes(flipped)
        try:
            found = load_state_dict(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert all(np.isfinite(array).all() for array in found.values())


def test_load_state_dict_refuses_booleans_that_are_neither_0_nor_1(tmp_path, weights):
    for suffix in (".npz", ".safetensors"):
        path = tmp_path / f"m{suffix}"
        save_state_dict(path, {"mask": np.array([True] * 40)})
        path.write_bytes(path.read_bytes().replace(b"\1" * 40, b"\2" * 40))
        with pytest.raises(UserError, match=r"m.*('mask' has a boolean that is neither 0 nor 1|Bad CRC-32)"):
            load_state_dict(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}},
            "'w' must hold real numbers that NumPy has, got 'BF16'",
        ),
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, "'w' has no shape and place"),
        ({"w": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, "'w' has no shape and place"),
        ({"w": {"dtype": "F32", "shape": [1]}}, "'w' has no shape and place"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "the numbers of 'w' are missing"),
        ({"w": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}, "has 2 bytes that belong to no array"),
        ({"w": {"dtype": "F32", "shape": [0, 1 << 39, 1 << 39], "data_offsets": [0, 0]}}, "'w' has no shape and place"),
        ({"w": 7}, "'w' has no shape and place"),
    ],
)
def test_load_state_dict_compares_a_safetensors_header_with_the_file(tmp_path, header, message):
    data = json.dumps(header).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(data)) + data + bytes(4))
    with pytest.raises(UserError, match=message):
        load_state_dict(tmp_path / "m.safetensors")


# What a net expects.


def test_check_state_dict_accepts_arrays_and_pairs_that_fit(weights):
    pairs = {name: (array.shape, array.dtype.name) for name, array in weights.items()}
    for expected in (weights, pairs):
        assert check_state_dict(weights, expected) is None
        for name in weights:
            with pytest.raises(UserError, match=f"lacks '{name}'"):
                check_state_dict({other: weights[other] for other in weights if other != name}, expected)


def test_check_state_dict_names_weights_of_another_net(weights):
    expected = {"fc.weight": ((4, 3), "float32"), "fc1.bias": ((3,), "float32")}
    with pytest.raises(UserError, match=r"^model lacks 'fc1\.bias' and has the unknown 'fc\.bias', "):
        check_state_dict(weights, expected, "model")


def test_check_state_dict_names_another_shape_or_dtype(weights):
    for change, message in (
        (np.zeros((3, 4), np.float32), r"'fc\.weight' must have the shape \[3, 4\], got \[4, 3\]"),
        (np.zeros((4, 3), np.float64), r"'fc\.weight' must be float64, got float32"),
    ):
        with pytest.raises(UserError, match=message):
            check_state_dict(weights, {**weights, "fc.weight": change})


# What Paddle wrote over the years, built by hand.


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_load_state_dict_drops_the_name_table_of_paddle_2(tmp_path, weights, protocol):
    saved = {**weights, "StructuredToParameterName@@": {"fc.weight": "linear_0.w_0", "fc.bias": "linear_0.b_0"}}
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps(saved, protocol=protocol))
    assert_same(load_state_dict(tmp_path / "m.pdparams"), weights)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_load_state_dict_reads_tensors_of_paddle_2_1(tmp_path, weights, protocol):
    saved = OrderedDict((name, (f"linear_0.{name}", array)) for name, array in weights.items())
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps(saved, protocol=protocol))
    assert_same(load_state_dict(tmp_path / "m.pdparams"), weights)


class DenseTensor:
    """Pickles as ``paddle.save`` pickles a dense tensor of a static program."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        return eval, ("data", {"data": self.array})


def test_load_state_dict_reads_dense_tensors_without_eval(tmp_path, weights):
    saved = {name: DenseTensor(array) for name, array in weights.items()}
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps(saved, protocol=2))
    assert_same(load_state_dict(tmp_path / "m.pdparams"), weights)


def test_load_state_dict_refuses_a_training_state(tmp_path, weights):
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps({"model": weights, "epoch": 3}))
    with pytest.raises(UserError, match="'model' must be an array, got the type dict"):
        load_state_dict(tmp_path / "m.pdparams")
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UserError, match="must hold a dict of named arrays, got an object of type list"):
        load_state_dict(tmp_path / "m.pdparams")


# The optimizer's state.


def test_parse_optimizer_state_returns_what_was_dumped(weights):
    state = {
        "fc.w_0_moment1_0": weights["fc.weight"],
        "LR_Scheduler": {"last_epoch": 3, "last_lr": 0.1, "milestones": [1, 2], "verbose": False, "best": None},
        "master_weights": {"fc.w_0": weights["double"]},
    }
    data = dump_optimizer_state(state, PDOPT)
    found = parse_optimizer_state(data, PDOPT)
    assert found["LR_Scheduler"] == state["LR_Scheduler"]
    assert_same(found["master_weights"], state["master_weights"])
    assert_same({"a": found["fc.w_0_moment1_0"]}, {"a": weights["fc.weight"]})
    assert dump_optimizer_state(found, PDOPT) == data


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"LR_Scheduler": {"last_lr": float("nan")}}, r"'LR_Scheduler\.last_lr' must be a finite number, got nan"),
        ({"moment": np.array([np.inf])}, "'moment' has 1 of 1 values that are NaN"),
        ({"function": print}, "'function' must be an array, got the type builtin_function_or_method"),
        ({1: 2}, "an entry's name must be a text of 1 to 256 characters, got 1"),
        ({"deep": [[[[[[[[[[1]]]]]]]]]]}, "nests more than 8 levels deep"),
    ],
)
def test_dump_optimizer_state_refuses_what_no_optimizer_has(state, message):
    with pytest.raises(UserError, match=message):
        dump_optimizer_state(state, PDOPT)


ADAM = ("moment1_0", "moment2_0", "beta1_pow_acc_0")


def adam_state(**changes):
    state = {
        "linear_0.w_0_moment1_0": np.zeros((4, 3), np.float32),
        "linear_0.w_0_moment2_0": np.zeros((4, 3), np.float32),
        "linear_0.w_0_beta1_pow_acc_0": np.ones(1, np.float32),
        "LR_Scheduler": {"last_epoch": 1},
    }
    return {name: value for name, value in (state | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("state", "accumulators", "unfit"),
    [
        (adam_state(), ADAM, {"linear_0.w_0_velocity_0": np.zeros((4, 3), np.float32)}),
        ({}, ADAM, {"linear_0.w_0_moment1_0": np.zeros((4, 3), np.float32)}),
        ({"LR_Scheduler": {"last_lr": 0.1}}, (), {"linear_0.w_0_moment1_0": np.zeros((4, 3), np.float32)}),
    ],
)
def test_check_optimizer_state_accepts_what_fits_and_nothing_more(state, accumulators, unfit):
    parameters = {"linear_0.w_0": ((4, 3), "float32")}
    assert check_optimizer_state(state, parameters, accumulators) is None
    with pytest.raises(UserError, match="so it belongs to another net"):
        check_optimizer_state({**state, **unfit}, parameters, accumulators)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"linear_0.w_0_moment2_0": None}, r"o\.pdopt lacks 'linear_0\.w_0_moment2_0'"),
        ({"linear_1.w_0_moment1_0": np.zeros(1)}, r"has the unknown 'linear_1\.w_0_moment1_0'"),
        ({"linear_0.w_0_moment1_0": np.zeros((3, 4), np.float32)}, r"must have the shape \[4, 3\], got \[3, 4\]"),
        ({"linear_0.w_0_moment1_0": np.zeros(1, np.float32)}, r"must have the shape \[4, 3\], got \[1\]"),
        ({"linear_0.w_0_moment1_0": np.zeros((4, 3))}, "must be float32, got float64"),
        ({"linear_0.w_0_beta1_pow_acc_0": np.ones(1, np.int64)}, "must be float32, got int64"),
        ({"master_weights": {"linear_0.w_0": np.zeros(1)}}, "has 'master_weights', which this optimizer does not keep"),
        ({"LR_Scheduler": np.zeros(1)}, "'LR_Scheduler' must be a dict of plain values"),
        ({"LR_Scheduler": {"last_lr": np.zeros(1)}}, "'LR_Scheduler' must be a dict of plain values"),
    ],
)
def test_check_optimizer_state_names_a_state_of_another_net(changes, message):
    with pytest.raises(UserError, match=message):
        check_optimizer_state(adam_state(**changes), {"linear_0.w_0": ((4, 3), "float32")}, ADAM, "o.pdopt")


# Paddle itself.


def optimizer_of(name, parameters):
    import paddle

    schedule = paddle.optimizer.lr.StepDecay(0.05, step_size=2, gamma=0.5)
    classes = {"sgd": paddle.optimizer.SGD, "momentum": paddle.optimizer.Momentum, "adam": paddle.optimizer.Adam}
    return classes[name](schedule, parameters=parameters), schedule


def steps(net, optimizer, schedule, count):
    import paddle

    images = paddle.to_tensor(np.random.default_rng(0).random((8, 1, 28, 28), dtype=np.float32))
    losses = []
    for _ in range(count):
        loss = (net(images) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        schedule.step()
        losses.append(float(loss))
    return losses


def as_numpy(state):
    return {name: value.numpy() if hasattr(value, "numpy") else value for name, value in state.items()}


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_load_state_dict_reads_what_paddle_saves(tmp_path, name, protocol):
    import paddle

    from paddle_mnist.nets import FC

    net = FC()
    optimizer, schedule = optimizer_of(name, net.parameters())
    steps(net, optimizer, schedule, 3)
    paddle.save(net.state_dict(), str(tmp_path / "m.pdparams"), protocol=protocol)
    paddle.save(optimizer.state_dict(), str(tmp_path / "o.pdopt"), protocol=protocol)
    assert_same(load_state_dict(tmp_path / "m.pdparams"), as_numpy(net.state_dict()))
    found, expected = parse_optimizer_state((tmp_path / PDOPT).read_bytes(), PDOPT), as_numpy(optimizer.state_dict())
    assert found.pop("LR_Scheduler") == expected.pop("LR_Scheduler")
    assert_same(found, expected)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_parse_optimizer_state_reads_tensors_saved_one_by_one(tmp_path, protocol):
    import paddle

    # A tuple keeps Paddle from seeing a state dict, and it writes each tensor as a pair.
    paddle.save({"a": paddle.ones([2, 3]), "extra": ()}, str(tmp_path / "m.pdopt"), protocol=protocol)
    paddle.save({"a": paddle.ones([2, 3]), "b": [paddle.zeros([1])]}, str(tmp_path / "o.pdopt"), protocol=protocol)
    np.testing.assert_array_equal(
        parse_optimizer_state((tmp_path / PDOPT).read_bytes(), PDOPT)["a"], np.ones((2, 3), np.float32)
    )
    with pytest.raises(UserError, match="'extra' must be an array, got the type tuple"):
        parse_optimizer_state((tmp_path / "m.pdopt").read_bytes(), PDOPT)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_save_state_dict_writes_what_paddle_resumes_from(tmp_path, name):
    import paddle

    from paddle_mnist.nets import FC

    with paddle.utils.unique_name.guard():
        net = FC()
        optimizer, schedule = optimizer_of(name, net.parameters())
        steps(net, optimizer, schedule, 3)
        save_state_dict(tmp_path / "m.pdparams", as_numpy(net.state_dict()))
        save_state_dict(tmp_path / "m.safetensors", as_numpy(net.state_dict()))
        (tmp_path / PDOPT).write_bytes(dump_optimizer_state(as_numpy(optimizer.state_dict()), PDOPT))
        uninterrupted = steps(net, optimizer, schedule, 3)
    with paddle.utils.unique_name.guard():
        net = FC()
        optimizer, schedule = optimizer_of(name, net.parameters())
        assert net.set_state_dict(paddle.load(str(tmp_path / "m.pdparams"))) == ([], [])
        optimizer.set_state_dict(paddle.load(str(tmp_path / "o.pdopt")))
        assert steps(net, optimizer, schedule, 3) == uninterrupted
    from safetensors.paddle import load_file

    assert FC().set_state_dict(load_file(tmp_path / "m.safetensors")) == ([], [])


# Sizes that are claimed and not there.


def npy(shape, dtype="<f4", body=b""):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    "member",
    [
        npy("(1000000000000,)"),
        npy("(-1,)"),
        npy("(4,)", body=b"\0" * 15),
        npy("(0, 9223372036854775807, 9223372036854775807)"),
        npy("(1,)", "|O", pickle.dumps(1)),
        npy("(1,)", "<U4", b"\0" * 16),
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        b"\x93NUMPY\x09\x00\x00\x00",
        b"nothing of the kind",
        b"",
    ],
)
def test_load_state_dict_refuses_arrays_that_claim_what_they_do_not_have(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("x.npy", member)
    with pytest.raises(UserError, match=r"m\.npz"):
        load_state_dict(tmp_path / "m.npz")


def test_load_state_dict_escapes_names(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, **{"\x1b[2J\n" + "x" * 500: np.zeros(1)})
    (tmp_path / "m.npz").write_bytes(stream.getvalue())
    with pytest.raises(UserError) as caught:
        load_state_dict(tmp_path / "m.npz")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400 + len(str(tmp_path))
