import collections
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from kvision.backbones import torch_file

MAGIC = 0x1950A86A20F9469CFC6C


def pickled_tensor(name: str, storage: str, key: str, count: int, offset: int, shape, stride) -> bytes:
    """A state dictionary of one tensor, written with the instructions that PyTorch's pickler uses."""

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def numbers(values) -> bytes:
        return b"(" + b"".join(map(integer, values)) + b"t"

    pid = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + integer(count) + b"Nt"
    ordered = b"ccollections\nOrderedDict\n)R"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    tensor = call + pid + b"Q" + integer(offset) + numbers(shape) + numbers(stride) + b"\x89" + ordered + b"tR"
    return b"\x80\x02" + ordered + text(name) + tensor + b"s."


def legacy_file(state: bytes, storages: dict[str, np.ndarray]) -> bytes:
    head = b"".join(pickle.dumps(value, protocol=2) for value in (MAGIC, 1001, {"little_endian": True}))
    body = head + state + pickle.dumps(list(storages), protocol=2)
    return body + b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())


def zipped_file(
    path, state: bytes, storages: dict[str, bytes], *, byteorder: bytes = b"little", compress: bool = False
):
    """What `torch.save` writes since PyTorch 1.6."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as file:
        file.writestr("net/data.pkl", state)
        file.writestr("net/byteorder", byteorder)
        for key, content in storages.items():
            file.writestr(f"net/data/{key}", content)
    return path


def read(tmp_path, content: bytes):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return torch_file.read(path)


def test_reads_values_offset_and_strides(tmp_path):
    values = np.arange(10, dtype="<f4")
    plain = read(tmp_path, legacy_file(pickled_tensor("w", "FloatStorage", "7", 10, 1, (2, 3), (3, 1)), {"7": values}))
    np.testing.assert_array_equal(plain["w"], values[1:7].reshape(2, 3))
    turned = read(tmp_path, legacy_file(pickled_tensor("w", "FloatStorage", "7", 10, 1, (3, 2), (1, 3)), {"7": values}))
    np.testing.assert_array_equal(turned["w"], values[1:7].reshape(2, 3).T)
    whole = np.array([5, -6], "<i8")
    counts = read(tmp_path, legacy_file(pickled_tensor("n", "LongStorage", "k", 2, 0, (2,), (1,)), {"k": whole}))
    np.testing.assert_array_equal(counts["n"], whole)


def test_reads_zipped_files(tmp_path):
    values, state = np.arange(10, dtype="<f4"), pickled_tensor("w", "FloatStorage", "7", 10, 1, (3, 2), (1, 3))
    path = zipped_file(tmp_path / "a.pth", state, {"7": values.tobytes()})
    np.testing.assert_array_equal(torch_file.read(path)["w"], values[1:7].reshape(2, 3).T)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"byteorder": b"big"}, "little-endian"),
        ({"compress": True}, "compressed"),
        ({"storages": {}}, "lacks 'net/data/7'"),
        ({"storages": {"7": bytes(8)}}, "beyond its storage"),
        ({"storages": {"7": bytes(7)}}, "buffer size"),
        ({"state": b"\x80\x02cbuiltins\neval\nX\x03\x00\x00\x001+1\x85R."}, "builtins.eval"),
        ({"state": pickle.dumps([1, 2], protocol=2)}, "not a dictionary"),
    ],
)
def test_zipped_files_that_are_not_as_they_should_be_are_refused(tmp_path, options, text):
    state = pickled_tensor("w", "FloatStorage", "7", 10, 1, (2, 3), (3, 1))
    made = {"state": state, "storages": {"7": bytes(40)}, **options}
    with pytest.raises(ValueError, match=text):
        torch_file.read(zipped_file(tmp_path / "a.pth", **made))
    whole = zipped_file(tmp_path / "b.pth", state, {"7": bytes(40)}).read_bytes()
    (tmp_path / "b.pth").write_bytes(whole[:-30])
    with pytest.raises(ValueError, match=r"torn|zip|list of contents"):
        torch_file.read(tmp_path / "b.pth")


class _Runs:
    """Pickles to a call of os.mkdir: whoever unpickles it, runs it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("position", range(5))
def test_a_malicious_file_runs_nothing_and_is_refused(tmp_path, position):
    trap = tmp_path / "trap"
    control = pickle.dumps(_Runs(trap), protocol=2)
    parts = [pickle.dumps(value, protocol=2) for value in (MAGIC, 1001, {}, collections.OrderedDict(), [])]
    parts[position] = control
    with pytest.raises(ValueError, match="mkdir"):
        read(tmp_path, b"".join(parts))
    assert not trap.exists()
    pickle.loads(control)
    assert trap.exists(), "the control must do harm where it is unpickled"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (b"\x80\x02cbuiltins\neval\nX\x03\x00\x00\x001+1\x85R.", "builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "SHORT_BINUNICODE"),
        (b"\x80\x02ctorch._utils\n_rebuild_from_type\n.", "_rebuild_from_type"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "memo"),
        (b"\x80\x02(ios\nsystem\n.", "os.system"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x00.", "bytearray8"),
        (b"\x80\x02]Q.", "not enough values"),
        (b"\x80\x02}p2147483647\n.", "memo"),
        (b"", "checkpoint|STOP"),
    ],
)
def test_crafted_pickles_are_refused(tmp_path, state, text):
    with pytest.raises(ValueError, match=text):
        read(tmp_path, legacy_file(state, {}))


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(0, (11,), (1,)), (5, (6,), (1,)), (-1, (2,), (1,)), (0, (2, 2), (9, 2)), (0, (10**9,), (0,)), (9, (2,), (-1,))],
)
def test_tensors_that_reach_beyond_their_storage_are_refused(tmp_path, offset, shape, stride):
    state = pickled_tensor("w", "FloatStorage", "7", 10, offset, shape, stride)
    with pytest.raises(ValueError, match="beyond its storage"):
        read(tmp_path, legacy_file(state, {"7": np.arange(10, dtype="<f4")}))


def test_every_truncation_is_an_error(tmp_path):
    state = pickled_tensor("w", "FloatStorage", "7", 10, 0, (10,), (1,))
    content = legacy_file(state, {"7": np.arange(10, dtype="<f4")})
    for size in range(len(content)):
        with pytest.raises(ValueError):
            read(tmp_path, content[:size])
