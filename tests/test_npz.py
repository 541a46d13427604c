import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest

from kvision import npz

GB100 = (100 << 30,)


def header(shape, descr="|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def write(path, *members: tuple[str, bytes], method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_writes(tmp_path, save):
    arrays = {
        "number": np.array(3),
        "empty": np.zeros((0, 7), "float32"),
        "fortran": np.arange(12.0).reshape(3, 4).T,
        "text": np.array(["a", "ü", ""]),
        "flags": np.array([True, False]),
        "big": np.arange(500_000, dtype=">i4"),
    }
    save(tmp_path / "x.npz", **arrays)
    found = npz.read(tmp_path / "x.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert list(npz.read(tmp_path / "x.npz", names=["text"])) == ["text"]
    with pytest.raises(npz.BadArrays, match=r"lacks x, y \(it holds big, empty"):
        npz.read(tmp_path / "x.npz", names=["x", "text", "y"])


def test_compressed_members_where_kvision_wrote_none(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(npz.BadArrays, match=r"'a.npy' is compressed"):
        npz.read(tmp_path / "x.npz", stored=True)
    write(tmp_path / "x.npz", ("a.npy", header((0,))), method=zipfile.ZIP_LZMA)
    with pytest.raises(npz.BadArrays, match="is compressed"):
        npz.read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(GB100), r"declares the shape \(107374182400,\)"),
        (header((3,)) + b"12", "not what it holds"),
        (header((1,)) + b"12", "not what it holds"),
        (header((-2, -1)) + b"12", "not what it holds"),
        (header((0, 1 << 62)), "not what it holds"),
        (header((0, 1 << 39, 1 << 39)), "too big|too large|maximum"),
        (header((1 << 63, 1 << 63, 2), "<f8"), "not what it holds"),
        (header((9,), "<U0"), "of the type <U0"),
        (header((1,), "<M8[s]") + bytes(8), "of the type"),
        (header((1,), [("a", "<f4")]) + bytes(4), "of the type"),
        (header((1,), "|O") + pickle.dumps([1]), "Python objects, which are not loaded"),
        (header((2,))[:30], "EOF|reading"),
        (b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 31), "version of the format"),
        (b"\x93NUMPY\x01\0" + struct.pack("<H", 9000) + b"[" * 9000, "max_header_size"),
        (b"\x93NUMPY\x01\0" + struct.pack("<H", 40) + b"__import__('os').abort()".ljust(40), "malformed"),
        (b"", "EOF|reading|magic"),
        (b"text", "EOF|reading|magic"),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_headers_that_lie(tmp_path, content, message, method):
    path = write(tmp_path / "x.npz", ("a.npy", content), method=method)
    with pytest.raises(npz.BadArrays, match=message):
        npz.read(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names(tmp_path):
    good = header((1,)) + b"1"
    with pytest.raises(npz.BadArrays, match="'a' twice"):
        npz.read(write(tmp_path / "x.npz", ("a.npy", good), ("a.npy", good)))
    with pytest.raises(npz.BadArrays, match=r"'a.txt', which is not an array"):
        npz.read(write(tmp_path / "x.npz", ("a.txt", good)))


def test_torn_changed_and_foreign_files(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(1000))
    data = path.read_bytes()
    cuts = [data[:cut] for cut in (0, 10, 21, 22, len(data) // 2, len(data) - 1)]
    changed = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    encrypted = data.replace(b"PK\1\2\x2d\3\x2d\0\0\0", b"PK\1\2\x2d\3\x2d\0\1\0")
    assert encrypted != data
    for content in (*cuts, changed, encrypted, b"hello", data + b"x", pickle.dumps(1), zlib.compress(data)):
        path.write_bytes(content)
        with pytest.raises(npz.BadArrays):
            npz.read(path)
    for absent in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(npz.BadArrays):
            npz.read(absent)


def test_every_changed_byte_of_a_small_file_is_answered(tmp_path):
    """Refused, or read as arrays: no other exception leaves the reader."""
    path = tmp_path / "x.npz"
    for save in (np.savez, np.savez_compressed):
        save(path, a=np.arange(3), b=np.array("text"))
        data = path.read_bytes()
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
            try:
                npz.read(path)
            except npz.BadArrays as reason:
                assert str(reason)


def bombs(folder) -> list:
    """Small files that would take gigabytes: a header that lies, deflated zeros, a directory that lies, its entries."""
    folder.mkdir()
    write(folder / "header.npz", ("a.npy", header(GB100)))
    np.savez(folder / "stored.npz", a=np.zeros(9))
    data = bytearray((folder / "stored.npz").read_bytes())
    at = data.rindex(b"PK\1\2") + 20
    data[at : at + 8] = struct.pack("<2I", 0xF0000000, 0xF0000000)  # the directory's sizes, packed and unpacked
    (folder / "stored.npz").write_bytes(data)
    with (
        zipfile.ZipFile(folder / "deflated.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(header((2 << 30,)))
        for _ in range(256):
            stream.write(bytes(8 << 20))
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    count = 1_000_000
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(entry) * count, 1)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(entry) * count, 0)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (folder / "entries.npz").write_bytes(entry * count + end64 + locator + end)
    return sorted(folder.iterdir())


def test_bombs_are_refused_without_memory(tmp_path):
    paths = bombs(tmp_path / "bombs")
    code = (
        "import resource, sys\n"
        "from kvision import npz\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "for path in sys.argv[1:]:\n"
        "    try: npz.read(path); print('read')\n"
        "    except npz.BadArrays as reason: print(reason)\n"
        "print(peak() - before)"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    deflated, entries, lied, stored, growth = result.stdout.splitlines()
    assert "would grow from" in deflated and "more than 100 times" in deflated
    assert "its list of contents takes 51,000,000 bytes" in entries
    assert "declares the shape (107374182400,)" in lied
    assert "in a file of" in stored
    assert int(growth) < 100
