from __future__ import annotations

import collections
import io
import pickle
import pickletools
import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from paddle_mnist.errors import UserError
from paddle_mnist.storage import unpickle


def same(ours: object, theirs: object) -> bool:
    """Whether two values are alike down to types, dtypes, order of keys and memory layout."""
    if isinstance(theirs, bytearray):
        return ours == bytes(theirs) and type(ours) is bytes
    if type(ours) is not type(theirs):
        return False
    if isinstance(theirs, np.ndarray):
        layout = ours.flags.f_contiguous == theirs.flags.f_contiguous and ours.flags.writeable
        return (
            layout and ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()
        )
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, np.generic):
        return ours.tobytes() == theirs.tobytes()
    return ours == theirs or ours != ours  # a NaN is like a NaN


# What comes back.

numbers = npst.boolean_dtypes() | npst.integer_dtypes(endianness="?") | npst.unsigned_integer_dtypes(endianness="?")
numbers |= npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)) | npst.complex_number_dtypes(sizes=(64, 128))
arrays = npst.arrays(numbers, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
arrays |= arrays.map(np.asfortranarray)
integers = st.integers(-(2**250), 2**250)
plain = st.none() | st.booleans() | integers | st.floats() | st.complex_numbers() | st.text() | st.binary()
leaves = plain | arrays | arrays.filter(lambda a: a.size).map(lambda a: a.ravel()[0])
keys = st.text() | st.binary() | st.integers(-100, 100)
values = st.recursive(
    leaves,
    lambda part: (
        st.lists(part, max_size=4)
        | st.lists(part, max_size=4).map(tuple)
        | st.dictionaries(keys, part, max_size=4)
        | st.dictionaries(keys, part, max_size=4).map(collections.OrderedDict)
    ),
    max_leaves=12,
)
often = settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@often
@given(values, st.integers(0, 5))
def test_load_returns_what_pickle_wrote(value, protocol):
    assert same(unpickle.load(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", range(6))
def test_load_reads_state_dicts_as_paddle_saves_them(protocol):
    state = collections.OrderedDict(
        [("fc1.weight", np.arange(6, dtype=np.float32).reshape(2, 3)), ("fc1.bias", np.zeros(3, np.float32))]
    )
    state["StructuredToParameterName@@"] = {"fc1.weight": "linear_0.w_0", "fc1.bias": "linear_0.b_0"}
    state["LR_Scheduler"] = {"last_epoch": 3, "last_lr": 0.01, "step": np.int64(7)}
    assert same(unpickle.load(pickle.dumps(state, protocol)), state)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_load_reads_what_paddle_saves(protocol, tmp_path):
    import paddle

    layer = paddle.nn.Linear(3, 2)
    for what in (layer.state_dict(), [layer.weight], {"a": {"b": layer.bias}, "n": [1, 2.5, "x"]}):
        path = str(tmp_path / "saved.pdparams")
        paddle.save(what, path, protocol=protocol)
        data = Path(path).read_bytes()
        assert same(unpickle.load(data), pickle.loads(data))


class TensorOf:
    """Pickled as paddle.save pickles a tensor (a parameter of a list, say) and a dense tensor."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_load_reads_tensors_as_paddle_pickles_them(protocol):
    array = np.ones((2, 2), np.float32)
    loaded = unpickle.load(pickle.dumps({"w": TensorOf(tuple, ("w_0", array))}, protocol))
    assert same(loaded, {"w": ("w_0", array)})
    loaded = unpickle.load(pickle.dumps([TensorOf(eval, "data", {"data": array})], protocol))
    assert same(loaded, [array])


OLD_ARRAY = (  # numpy.array([[1, 2], [3, 4]], "<i2"), as Python 2.7 and NumPy 1.16 write it with protocol 0
    b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
    b"(I1\n(I2\nI2\ntp6\ncnumpy\ndtype\np7\n(S'i2'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\nNNNI-1\nI-1\nI0\ntp12\nb"
    b"I00\nS'\\x01\\x00\\x02\\x00\\x03\\x00\\x04\\x00'\np13\ntp14\nb."
)
OLD_ARRAY_2 = (  # numpy.array([1.5, -1], "<f4"), the same with protocol 2
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02"
    b"(K\x01K\x02\x85cnumpy\ndtype\nq\x03U\x02f4K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x08\x00\x00\xc0\x3f\x00\x00\x80\xbftb."
)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (OLD_ARRAY, np.array([[1, 2], [3, 4]], "<i2")),
        (OLD_ARRAY_2, np.array([1.5, -1], "<f4")),
        (
            b"(dp0\nS'it\\'s'\np1\nL12345678901234567890L\nsV\\u00e9\np2\nF1.5\ns.",
            {"it's": 12345678901234567890, "é": 1.5},
        ),
        (b"(lp0\nI01\naI00\naNa(I1\nI2\nta.", [True, False, None, (1, 2)]),
        (b"\x80\x02U\x03a\xe9\x00.", "aé\x00"),
        (b'S"\\\\ \\n\\t\\r\\x00\\\'"\n.', "\\ \n\t\r\0'"),
        (
            b"ccollections\nOrderedDict\np0\n((lp1\n(lp2\nS'a'\np3\naI1\naa(lp4\nS'b'\np5\naI2\naatp6\nRp7\n.",
            collections.OrderedDict(a=1, b=2),
        ),
    ],
)
def test_load_reads_python_2(data, value):
    assert same(unpickle.load(data), value)
    assert same(unpickle.load(data), pickle.loads(data, encoding="latin1"))


def test_load_keeps_shared_arrays_shared():
    array = np.ones(3)
    first, second = unpickle.load(pickle.dumps([array, array]))
    assert first is second


def test_load_knows_old_and_new_names_of_numpy():
    data = pickle.dumps([np.arange(3.0), np.float32(2)], 2)
    old = data.replace(b"numpy._core.", b"numpy.core.")
    new = old.replace(b"numpy.core.", b"numpy._core.")
    assert old != new
    for written in (old, new):
        assert same(unpickle.load(written), [np.arange(3.0), np.float32(2)])


# What is refused. ``test_hostile_files`` reads many more, each with 100 MB and a second to spend.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(np.array([None])), "a call for a dtype has unknown arguments"),
        (pickle.dumps(np.array(["text"])), "a call for a dtype has unknown arguments"),
        (pickle.dumps(np.zeros(2, [("a", "f4")])), "a call for a dtype has unknown arguments"),
        (pickle.dumps({1, 2}), "the instruction EMPTY_SET is not allowed"),
        (pickle.dumps(io.StringIO), "it names '_io' 'StringIO', which is not allowed"),
        (pickle.dumps({(1, 2): 3}), "a small integer, got a tuple"),
        (pickle.dumps({1.5: 3}), "a small integer, got a float"),
        (pickle.dumps(1 << 300), "an integer must have at most 256 bits, got 301"),
        (pickle.dumps(np.dtype("f4")), "is unfinished"),
        (pickle.dumps([np.ndarray]), "is unfinished"),
        (pickle.dumps([1]) + b"x", "more follows"),
        (b"\x80\x06N.", "its protocol must be 0 to 5, got 6"),
        (b"N", "it ends before its last instruction"),
        (b"", "it ends before its last instruction, at byte 0"),
        (b"X\xff\xff\xff\xff.", "expected 4294967295 bytes in a unicodestring4, but only 1 remain"),
        (b"T\xff\xff\xff\xff.", "the instruction BINSTRING is damaged"),
        (b"h\x05.", "the value 5 is used before it is stored"),
        (b".", "a value is missing"),
        (b"(.", "a value is missing"),
        (b"t.", "a mark is missing"),
        (b"NNs.", "a dict was expected"),
        (b"}Nu.", "a mark is missing"),
        (b"}(Nu.", "a key has no value"),
        (b"N(Nu.", "a dict was expected"),
        (b"NNa.", "a list was expected"),
        (b"NNb.", "a state that no array of numbers has"),
        (b"N)R.", "something other than a known name is called"),
        (b"Ia\n.", "the instruction INT is damaged"),
        (b"I" + b"1" * 300 + b"\n.", "a number or a name is cut off"),
        (b"Sa\n.", "a string without quotes"),
        (b"S'\\q'\n.", "an unknown escape"),
        (b"X\x01\0\0\0\xff.", "the instruction BINUNICODE is damaged"),
        (b"NN\x93.", "a name is not a string"),
        (b"cnumpy\nload\n.", "it names 'numpy' 'load', which is not allowed"),
        (b"]q\0h\0a.", "or contains itself"),
        (b"N" + b"\x85" * 101 + b".", "nested more than 100 deep"),
        (b"N" + b"2\x86" * 40 + b".", "unfolds to more than 500000 values"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.", "is unfinished"),
        (OLD_ARRAY.replace(b"(I2\nI2\n", b"(I2\nI3\n"), r"an array of shape (2, 3) and dtype int16 has 8 bytes"),
        (OLD_ARRAY.replace(b"(I2\nI2\n", b"(I-2\nI-2\n"), "not a short tuple of lengths"),
        (OLD_ARRAY.replace(b"S'i2'", b"S'O8'"), "a call for a dtype has unknown arguments"),
        (OLD_ARRAY.replace(b"S'i2'", b"S'b1'"), "(2, 2) and dtype bool has 8 bytes"),
        (OLD_ARRAY.replace(b"S'i2'", b"S'b1'").replace(b"(I2\nI2\n", b"(I2\nI4\n"), "a boolean is neither 0 nor 1"),
        (OLD_ARRAY.replace(b"cnumpy\nndarray", b"cnumpy\nmemmap"), "'numpy' 'memmap'"),
    ],
)
def test_load_refuses_anything_else(data, message):
    with pytest.raises(UserError) as caught:
        unpickle.load(data, "weights.pkl")
    assert message in str(caught.value)
    assert str(caught.value).startswith("weights.pkl: ")


@often
@given(values, st.integers(0, 5), st.data())
def test_load_reads_or_refuses_a_damaged_pickle(value, protocol, data):
    octets = bytearray(pickle.dumps(value, protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(octets)))
        octets[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            unpickle.load(bytes(octets))
        except UserError as error:
            assert "\n" not in str(error)


# Every instruction there is, with arguments of the right form, in any order.
codes = st.sampled_from([opcode.code.encode("latin-1") for opcode in pickletools.opcodes])
names = st.sampled_from(
    [
        *("numpy ndarray", "numpy dtype", "numpy.core.multiarray _reconstruct", "numpy._core.multiarray scalar"),
        *("numpy.core.numeric _frombuffer", "collections OrderedDict", "_codecs encode", "builtins bytes"),
        *("builtins bytearray", "builtins complex", "__builtin__ tuple", "builtins eval", "os system"),
    ]
).map(lambda name: name.replace(" ", "\n").encode() + b"\n")
pieces = st.sampled_from(
    b"c|K\0|K\1|K\3|N|}|]|)|U\1b|U\2f4|U\1<|U\6latin1|U\4data|C\4abcd|J\xff\xff\xff\xff|(|t|R|b|q\0|h\0".split(b"|")
)
pieces |= st.sampled_from([b"\x85", b"\x86", b"\x87", b"\x88", b"\x89", OLD_ARRAY_2[2:-1]])
programs = st.lists(codes | pieces | names.map(lambda name: b"c" + name), max_size=40).map(b"".join)


@settings(max_examples=400, deadline=None, database=None)
@given(programs)
def test_load_reads_or_refuses_any_program(program):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            unpickle.load(program + b".")
        except UserError as error:
            assert "\n" not in str(error)


def test_load_takes_no_memory_for_a_claim():
    claims = [
        b"\x96" + struct.pack("<Q", 1 << 40),
        b"\x8e" + struct.pack("<Q", 1 << 33),
        b"B" + struct.pack("<I", (1 << 32) - 1),
        b"\x8b" + struct.pack("<I", (1 << 31) - 1),
        b"Nr\xff\xff\xff\xff.",
        # A shape of 2^40 numbers with four bytes for them.
        OLD_ARRAY_2.replace(b"K\x02\x85", b"\x8a\x06\0\0\0\0\0\x01\x85"),
    ]
    tracemalloc.start()
    try:
        for claim in claims[:4] + claims[5:]:
            with pytest.raises(UserError):
                unpickle.load(claim)
        unpickle.load(claims[4])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
