"""oneDNN's C interface, version 3, through ctypes, on memory that is ours.

Paddle's Linux wheel brings the library. Its documentation and ``dnnl_types.h`` define the constants below.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import paddle

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import Step
from paddle_mnist.fast.compiled.library import library as compiled_library

dnnl_cpu = 1
dnnl_stream_in_order = 1
dnnl_f32 = 3
dnnl_format_tag_any = 1

dnnl_forward_training = 64
dnnl_forward_inference = 96

dnnl_convolution_direct = 1
dnnl_pooling_max = 0x1FF
dnnl_pooling_avg_exclude_padding = 0x3FF


dnnl_query_weights_md = 131
dnnl_query_diff_weights_md = 132
dnnl_query_workspace_md = 135
dnnl_query_scratchpad_md = 136
dnnl_scratchpad_mode_user = 1

DNNL_ARG_SRC = 1
DNNL_ARG_DST = 17
DNNL_ARG_WEIGHTS = 33
DNNL_ARG_BIAS = 41
DNNL_ARG_WORKSPACE = 64
DNNL_ARG_SCRATCHPAD = 80
DNNL_ARG_DIFF_SRC = 129
DNNL_ARG_DIFF_DST = 145
DNNL_ARG_DIFF_WEIGHTS = 161
DNNL_ARG_DIFF_BIAS = 169

Handle = ctypes.c_void_p


class _Argument(ctypes.Structure):
    _fields_ = (("index", ctypes.c_int), ("memory", Handle))


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int))


class Library:
    """The library as a whole.

    Raises:
        OSError: it does not exist, or cannot be used.
        AttributeError: it lacks a function of version 3.
    """

    def __init__(self, folder: Path) -> None:
        self.library = ctypes.CDLL(str(folder / "libdnnl.so.3"))
        self.library.dnnl_version.restype = ctypes.POINTER(_Version)
        if self.library.dnnl_version().contents.major != 3:
            raise OSError("oneDNN must be version 3")
        self.library.dnnl_primitive_desc_query_md.restype = Handle
        self.library.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        self.engine = Handle()
        if self.library.dnnl_engine_create(ctypes.byref(self.engine), dnnl_cpu, ctypes.c_size_t(0)):
            raise OSError("oneDNN finds no CPU")
        # Its threads come from OpenMP, GNU's or Intel's, whichever of the two Paddle loaded first.
        self.openmp = [self.library, ctypes.CDLL(str(folder / "libiomp5.so"))]

    @contextlib.contextmanager
    def on_one_thread(self) -> Iterator[None]:
        """Keep its work to the calling thread: the other threads have blocks of their own."""
        before = [openmp.omp_get_max_threads() for openmp in self.openmp]
        for openmp in self.openmp:
            openmp.omp_set_num_threads(1)
        try:
            yield
        finally:
            for openmp, threads in zip(self.openmp, before, strict=True):
                openmp.omp_set_num_threads(threads)


@functools.lru_cache(maxsize=1)
def library() -> Library | None:
    """Return oneDNN if Paddle brings it, else ``None``."""
    try:
        return Library(Path(paddle.__file__).parent / "libs")
    except (OSError, AttributeError):
        return None


class Primitives:
    """Creates primitives over our own buffers, and destroys them when it is collected itself.

    One thread at a time may run them, whichever created them. (oneDNN's own scratchpads belong to the thread that
    creates a primitive and do not exist in others, so each primitive is given one of ours.)
    """

    def __init__(self, library: Library) -> None:
        self.engine, self.library = library.engine, library.library
        self.handles: list[tuple[str, Handle]] = []
        self.buffers: list[np.ndarray] = []
        weakref.finalize(self, _destroy, self.library, self.handles)
        self.stream = self._create("stream", "stream_create", self.engine, dnnl_stream_in_order)
        self.attributes = self._attributes()
        self._scratchpad = aligned(0)  # the largest one; primitives run one after the other

    def _create(self, kind: str, function: str, *arguments: object) -> Handle:
        handle = Handle()
        self._check(function, ctypes.byref(handle), *arguments)
        self.handles.append((kind, handle))
        return handle

    def rows(self, *shape: int) -> Handle:
        """Return the layout of a contiguous array."""
        return self.strided(shape, [math.prod(shape[i + 1 :]) for i in range(len(shape))])

    def channels_last(self, n: int, height: int, width: int, channels: int) -> Handle:
        """Return the layout of [n, height, width, channels], which oneDNN calls [n, c, h, w] with strides."""
        return self.strided((n, channels, height, width), (height * width * channels, 1, width * channels, channels))

    def strided(self, shape: Sequence[int], strides: Sequence[int]) -> Handle:
        """Return the layout of an array with the given strides, counted in elements."""
        function = "memory_desc_create_with_strides"
        return self._create("memory_desc", function, len(shape), integers(shape), dnnl_f32, integers(strides))

    def any_layout(self, *shape: int) -> Handle:
        """Return a layout that the library may choose."""
        function = "memory_desc_create_with_tag"
        return self._create("memory_desc", function, len(shape), integers(shape), dnnl_f32, dnnl_format_tag_any)

    def chosen_layout(self, descriptor: Handle, query: int) -> Handle:
        """Return a layout that the library chose for a primitive."""
        return Handle(self.library.dnnl_primitive_desc_query_md(descriptor, query, 0))

    def memory(self, layout: Handle, buffer: np.ndarray | None = None) -> Handle:
        """Return memory of the given layout, in ``buffer`` or, without one, in a new one."""
        if buffer is None:
            buffer = self.buffer(layout)
        self.buffers.append(buffer)
        return self._create("memory", "memory_create", layout, self.engine, Handle(buffer.ctypes.data))

    def move(self, memory: Handle, buffer: np.ndarray) -> None:
        """Let memory be where ``buffer`` is."""
        self.buffers.append(buffer)
        self._check("memory_set_data_handle", memory, Handle(buffer.ctypes.data))

    def buffer(self, layout: Handle) -> np.ndarray:
        """Return zeros for memory of the given layout."""
        return aligned(-(-self.library.dnnl_memory_desc_get_size(layout) // 4))

    def bytes_of(self, layout: Handle) -> bytes:
        """Return what tells a layout from others."""
        size = ctypes.c_size_t()
        self._check("memory_desc_get_blob", None, ctypes.byref(size), layout)
        blob = (ctypes.c_uint8 * size.value)()
        self._check("memory_desc_get_blob", blob, ctypes.byref(size), layout)
        return bytes(blob)

    def descriptor(self, primitive: str, *arguments: object) -> Handle:
        """Return the descriptor of a primitive, whose last argument has to be attributes of ours."""
        return self._create("primitive_desc", f"{primitive}_primitive_desc_create", self.engine, *arguments)

    def _attributes(self) -> Handle:
        attributes = self._create("primitive_attr", "primitive_attr_create")
        self._check("primitive_attr_set_scratchpad_mode", attributes, dnnl_scratchpad_mode_user)
        return attributes

    def _scratchpad_memory(self, descriptor: Handle) -> dict[int, Handle]:
        layout = self.chosen_layout(descriptor, dnnl_query_scratchpad_md)
        size = -(-self.library.dnnl_memory_desc_get_size(layout) // 4)
        if not size:
            return {}
        if size > len(self._scratchpad):
            self._scratchpad = aligned(size)
        return {DNNL_ARG_SCRATCHPAD: self.memory(layout, self._scratchpad)}

    def _check(self, function: str, *arguments: object) -> None:
        status = getattr(self.library, f"dnnl_{function}")(*arguments)
        if status:
            raise OSError(f"oneDNN returned status {status} from {function}")

    def reorder(self, source: Handle, source_memory: Handle, to: Handle, to_memory: Handle) -> Callable[[], None]:
        """Return a function that copies from one layout to another."""
        function = "reorder_primitive_desc_create"
        descriptor = self._create("primitive_desc", function, source, self.engine, to, self.engine, self.attributes)
        return self.function(descriptor, {DNNL_ARG_SRC: source_memory, DNNL_ARG_DST: to_memory})

    def function(self, descriptor: Handle, memories: dict[int, Handle]) -> Callable[[], None]:
        """Return a function that runs the described primitive on the given memories."""
        memories = memories | self._scratchpad_memory(descriptor)
        primitive = self._create("primitive", "primitive_create", descriptor)
        arguments = (_Argument * len(memories))(*[_Argument(i, memory) for i, memory in memories.items()])
        execute, stream, count = self.library.dnnl_primitive_execute, self.stream, len(memories)
        compiled = compiled_library()
        if compiled is not None:
            address = ctypes.cast(execute, ctypes.c_void_p).value
            numbers = address, primitive.value, stream.value, count, ctypes.addressof(arguments)
            return Step(compiled, compiled.primitive, numbers, keep=arguments)

        def call() -> None:
            status = execute(primitive, stream, count, arguments)
            if status:
                raise RuntimeError(f"oneDNN returned status {status} from a primitive")

        return call


def _destroy(library: ctypes.CDLL, handles: list[tuple[str, Handle]]) -> None:
    for kind, handle in reversed(handles):
        getattr(library, f"dnnl_{kind}_destroy")(handle)


def integers(values: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    """Return an array of int64 for C."""
    return (ctypes.c_int64 * len(values))(*values)
