"""Reads tensors out of PyTorch's checkpoint files without PyTorch and without running anything in them.

A file of PyTorch 1.6 and later is a zip: `data.pkl` is the pickled object, `data/KEY` the raw elements of a storage.
An older one (torch/serialization.py, `_legacy_save`) is five pickles (magic number, protocol, system, object, storage
keys), then for each key its element count (int64) and its raw little-endian elements. This is the only file of
kvision that unpickles. Two fences stand before the interpreter: every opcode is looked at first, and only those that
a state dictionary needs are admitted; names resolve only to the stand-ins below, never to an import.
"""

import collections
import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kvision import archive, checks

__all__ = ["read"]

_MAGIC = 0x1950A86A20F9469CFC6C
_OPCODES = {
    "PROTO",
    "STOP",
    "MARK",
    "GLOBAL",
    "REDUCE",
    "BUILD",
    "BINPERSID",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINUNICODE",
    "BINPUT",
    "LONG_BINPUT",
    "BINGET",
    "LONG_BINGET",
    "EMPTY_DICT",
    "EMPTY_LIST",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "APPEND",
    "APPENDS",
    "SETITEM",
    "SETITEMS",
}
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def rebuild(cls, storage, offset, shape, strides, *_ignored):
        return cls(storage, offset, tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # strings and a bound method: the BUILD instruction can change none of them
        admitted: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
            **{("torch", storage): dtype for storage, dtype in _STORAGES.items()},
        }
        if (module, name) not in admitted:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no tensor needs")
        return admitted[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, count, *view = pid  # only old files have a view
        known = kind == "storage" and dtype in _STORAGES.values() and isinstance(count, int)
        if not known or view not in ([], [None]):
            raise pickle.UnpicklingError(f"it holds a storage of an unknown kind: {pid!r}")
        return _Storage(np.dtype(dtype), str(key), count)


def _unpickle(stream: io.BytesIO) -> Any:
    start, size = stream.tell(), stream.getbuffer().nbytes
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"it uses the pickle instruction {opcode.name}, which no tensor needs")
        if (
            opcode.name.endswith("BINPUT") and int(argument or 0) > size
        ):  # the memo is an array: an index reserves its memory
            raise pickle.UnpicklingError(f"it asks for a memo of {argument} entries")
    stream.seek(start)
    return _Reader(stream).load()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dictionary that PyTorch saved.

    Nothing in the file is run, and no array is larger than the file.

    Args:
        path: A file of `torch.save(model.state_dict(), path)`.

    Returns:
        {name: array}, read-only arrays.

    Raises:
        kvision.UserError: If the file has another format, is cut short, or names anything but tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            zipped = stream.read(4) == b"PK\3\4"
        state, storages = _zipped(path) if zipped else _legacy(io.BytesIO(path.read_bytes()))
        return {name: _array(tensor, storages) for name, tensor in state.items()}
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError) as reason:
        raise checks.error(
            "weights",
            problem=f"cannot be read from '{path.name}': {reason}",
            expected="a PyTorch checkpoint that holds tensors only",
            received=str(path),
            hint="Nothing in the file was run. Is it complete, and from where you think it is?",
        ) from None


def _tensors(state: Any) -> dict[str, _Tensor]:
    if not isinstance(state, dict):
        raise pickle.UnpicklingError("it is not a dictionary of tensors")
    return {str(name): value for name, value in state.items() if isinstance(value, _Tensor)}


def _legacy(stream: io.BytesIO) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    """The tensors of a file of before PyTorch 1.6, and its storages."""
    if _unpickle(stream) != _MAGIC:
        raise pickle.UnpicklingError("its magic number is not PyTorch's")
    _protocol, _system, state, keys = (_unpickle(stream) for _ in range(4))
    if not isinstance(keys, list):
        raise pickle.UnpicklingError("it is not a dictionary of tensors")
    tensors = _tensors(state)
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {}
    for key in keys:
        dtype = dtypes.get(key)
        if dtype is None:
            raise pickle.UnpicklingError(f"it lists a storage {key!r} that no tensor uses")
        count = int.from_bytes(stream.read(8), "little", signed=True)
        if not 0 <= count * dtype.itemsize <= stream.getbuffer().nbytes - stream.tell():
            raise pickle.UnpicklingError("it is cut short")
        storages[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return tensors, storages


def _zipped(path: Path) -> tuple[dict[str, _Tensor], dict[str, np.ndarray]]:
    """The tensors of a file of PyTorch 1.6 and later, and its storages."""
    with archive.opened(path) as file:

        def content(name: str) -> bytes:
            return file.read(archive.stored_member(file, f"{folder}/{name}"))

        folder = file.namelist()[0].partition("/")[0]
        if f"{folder}/byteorder" in file.namelist() and content("byteorder") != b"little":
            raise pickle.UnpicklingError("its numbers are not little-endian")
        tensors = _tensors(_unpickle(io.BytesIO(content("data.pkl"))))
        used = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
        return tensors, {key: np.frombuffer(content(f"data/{key}"), dtype) for key, dtype in used.items()}


def _array(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    values = storages[tensor.storage.key]
    inside = all(n >= 0 and s >= 0 for n, s in zip(tensor.shape, tensor.strides, strict=True)) and tensor.offset >= 0
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # a stride of 0 may repeat one element without end: no tensor is larger than its storage
    if not inside or last >= values.size or math.prod(tensor.shape) > values.size:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    strides = [s * values.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)
