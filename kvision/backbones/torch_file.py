"""Reads the tensors of a PyTorch checkpoint without PyTorch, and without running code from the file.

A file of PyTorch 1.6 or later is a zip archive: `data.pkl` is the pickled object, and `data/KEY` holds the raw elements
of one storage. An older file (torch/serialization.py, `_legacy_save`) holds five pickles: magic number, protocol,
system, object and the keys of the storages. The number of elements (int64) and the raw elements of each storage follow.

This is the only module of kvision that unpickles data. It restricts unpickling in two ways. First, a name in the file
can only refer to one of the few objects in `_NAMES`, and nothing is imported. Second, every instruction is checked
before the first one runs. Only the instructions of protocol 2, which PyTorch writes, are allowed, because the
instructions of later protocols could reserve more memory than the size of the file.
"""

import collections
import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kvision import archive

__all__ = ["read"]

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def rebuild(cls, storage, offset, shape, strides, *_ignored):
        return cls(storage, offset, tuple(shape), tuple(strides))


# The values are strings, a bound method and a class that is written in C. The instruction BUILD cannot change the state
# of any of them.
_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
    **{("torch", storage): dtype for storage, dtype in _DTYPES.items()},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise ValueError(f"it uses {module}.{name}, which no tensor needs")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, _count, *view = pid  # only old files have a view
        if kind != "storage" or dtype not in _DTYPES.values() or view not in ([], [None]):
            raise ValueError("it holds a storage of an unknown kind")
        return _Storage(np.dtype(dtype), str(key))


def _unpickle(stream: io.BytesIO) -> Any:
    start, size = stream.tell(), stream.getbuffer().nbytes
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.proto > 2:
            raise ValueError(f"it uses the pickle instruction {opcode.name}, which PyTorch does not write")
        # The memo is an array, so one instruction with a large index would reserve much memory.
        if opcode.name.endswith("PUT") and int(argument or 0) > size:
            raise ValueError(f"it asks for a memo of {argument} entries")
    stream.seek(start)
    return _Reader(stream).load()


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads a state dictionary that PyTorch saved.

    No code in the file is run, and no array is larger than the file.

    Args:
        path: A file that `torch.save(model.state_dict(), path)` wrote.

    Returns:
        A dictionary from names to read-only arrays.

    Raises:
        ValueError: If the file has a different format, is incomplete, or contains anything other than tensors. The
            message is one phrase.
    """
    try:
        with path.open("rb") as stream:
            zipped = stream.read(4) == b"PK\3\4"
        state, storages = _zipped(path) if zipped else _legacy(io.BytesIO(path.read_bytes()))
        return {name: _array(tensor, storages) for name, tensor in state.items()}
    except (pickle.UnpicklingError, TypeError, KeyError, IndexError, AttributeError, EOFError) as reason:
        raise ValueError(f"it is no PyTorch checkpoint of tensors, or incomplete ({reason})") from None


def _tensors(state: Any) -> dict[str, _Tensor]:
    if not isinstance(state, dict):
        raise ValueError("it is not a dictionary of tensors")
    return {str(name): value for name, value in state.items() if isinstance(value, _Tensor)}


def _legacy(stream: io.BytesIO) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    """Returns the tensors and storages of a file of PyTorch before 1.6."""
    if _unpickle(stream) != _MAGIC:
        raise ValueError("its magic number is not PyTorch's")
    _protocol, _system, state, keys = (_unpickle(stream) for _ in range(4))
    tensors = _tensors(state)
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {}
    for key in keys:
        dtype = dtypes[key]
        count = int.from_bytes(stream.read(8), "little", signed=True)
        if not 0 <= count * dtype.itemsize <= stream.getbuffer().nbytes - stream.tell():
            raise ValueError("it is incomplete")
        storages[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return tensors, storages


def _zipped(path: Path) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    """Returns the tensors and storages of a file of PyTorch 1.6 or later."""
    with archive.opened(path) as file:

        def content(name: str) -> bytes:
            return file.read(archive.stored_member(file, f"{folder}/{name}"))

        folder = file.namelist()[0].partition("/")[0]
        if f"{folder}/byteorder" in file.namelist() and content("byteorder") != b"little":
            raise ValueError("its numbers are not little-endian")
        tensors = _tensors(_unpickle(io.BytesIO(content("data.pkl"))))
        used = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
        return tensors, {key: np.frombuffer(content(f"data/{key}"), dtype) for key, dtype in used.items()}


def _array(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    values = storages[tensor.storage.key]
    inside = all(n >= 0 and s >= 0 for n, s in zip(tensor.shape, tensor.strides, strict=True)) and tensor.offset >= 0
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # A stride of 0 could repeat one element without limit, so the number of elements is limited too.
    if not inside or last >= values.size or math.prod(tensor.shape) > values.size:
        raise ValueError("a tensor reaches beyond its storage")
    strides = [s * values.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)
