import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.data import PixelStore, from_folder, scan
from kvision.pixels import pillow

SIZE = 12
ROW = 32 + 4 + 3 * SIZE**2
HEAD = 64


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def noise(seed: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "pixels.bin"


@pytest.fixture
def full(path):
    """A store of ten images, as a process left it."""
    store = PixelStore(path, SIZE)
    for i in range(10):
        store.put(sha(str(i)), noise(i))
    return path


@pytest.fixture
def decoded(monkeypatch):
    """Counts what is decoded."""
    calls, decode = [], pillow.decode
    monkeypatch.setattr(pillow, "decode", lambda data: (calls.append(1), decode(data))[1])
    return calls


def test_what_was_put_comes_back_in_another_process_too(full):
    store = PixelStore(full, SIZE)
    assert len(store) == 10
    for i in range(10):
        np.testing.assert_array_equal(store.get(sha(str(i))), noise(i))
    assert store.get(sha("10")) is None
    assert full.stat().st_size == HEAD + 10 * ROW


def test_threads_write_and_read(path):
    store = PixelStore(path, SIZE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.put(sha(str(i)), noise(i)), range(200)))
        found = list(pool.map(lambda i: store.get(sha(str(i))), range(200)))
    for i, image in enumerate(found):
        np.testing.assert_array_equal(image, noise(i))


@pytest.mark.parametrize("place", [0, 31, 32, 35, 36, ROW - 1], ids=lambda place: f"byte {place}")
def test_one_flipped_bit_anywhere_in_a_row_is_no_image(full, capsys, place):
    with full.open("r+b") as stream:
        stream.seek(HEAD + 3 * ROW + place)
        (byte,) = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    store = PixelStore(full, SIZE)
    assert store.get(sha("3")) is None
    in_key = place < 32
    assert ("a row of pixels.bin is damaged" in capsys.readouterr().err.lower()) != in_key, "else nobody asks for it"
    for i in {*range(10)} - {3}:
        np.testing.assert_array_equal(store.get(sha(str(i))), noise(i))
    store.put(sha("3"), noise(3))
    np.testing.assert_array_equal(PixelStore(full, SIZE).get(sha("3")), noise(3))
    if not in_key:
        assert full.stat().st_size == HEAD + 10 * ROW, "the row is written over"


def test_a_row_under_another_images_key_is_no_image(full):
    """The checksum covers the key: pixels cannot come back as another image's, though both are whole."""
    with full.open("r+b") as stream:
        stream.seek(HEAD + 5 * ROW)
        stream.write(bytes.fromhex(sha("5, changed")))
    assert PixelStore(full, SIZE).get(sha("5, changed")) is None


def test_a_file_cut_off_anywhere_keeps_the_whole_rows(full):
    data = full.read_bytes()
    for cut in (HEAD + 7 * ROW, HEAD + 7 * ROW + 1, HEAD + 8 * ROW - 1):
        full.write_bytes(data[:cut])
        store = PixelStore(full, SIZE)
        assert len(store) == 7
        store.put(sha("new"), noise(77))
        again = PixelStore(full, SIZE)
        for i in range(7):
            np.testing.assert_array_equal(again.get(sha(str(i))), noise(i))
        np.testing.assert_array_equal(again.get(sha("new")), noise(77))
        assert again.get(sha("7")) is None


@pytest.mark.parametrize("other", ["size", "pixel path", "foreign", "shorter than its head"])
def test_another_size_or_pixel_path_or_a_foreign_file_is_made_anew(full, capsys, monkeypatch, other):
    size = SIZE
    if other == "size":
        size = SIZE + 1
    elif other == "pixel path":
        monkeypatch.setitem(PixelStore.__init__.__globals__, "PIXEL_PATH", "kvision pixels 99")
    else:
        full.write_bytes(b"hello" * (100 if other == "foreign" else 1))
    store = PixelStore(full, size)
    assert "created again" in capsys.readouterr().err
    assert len(store) == 0 and store.get(sha("1")) is None
    store.put(sha("1"), noise(1, size))
    np.testing.assert_array_equal(PixelStore(full, size).get(sha("1")), noise(1, size))


def test_rows_of_images_that_are_gone_are_used_again(full):
    store = PixelStore(full, SIZE)
    store.reserve(10, {sha(str(i)) for i in range(5)})
    assert len(store) == 5 and store.get(sha("7")) is None
    for i in range(5):
        store.put(sha(f"new {i}"), noise(100 + i))
    assert full.stat().st_size == HEAD + 10 * ROW
    again = PixelStore(full, SIZE)
    for i in range(5):
        np.testing.assert_array_equal(again.get(sha(str(i))), noise(i))
        np.testing.assert_array_equal(again.get(sha(f"new {i}")), noise(100 + i))


def test_no_more_than_a_quarter_of_the_free_disk(path, capsys, monkeypatch):
    store = PixelStore(path, SIZE)
    shutil = PixelStore.reserve.__globals__["shutil"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4 * 100 * ROW))
    store.reserve(100, set())
    store.put(sha("in"), noise(0))
    assert capsys.readouterr().err == ""
    store.reserve(102, set())
    store.reserve(102, set())
    store.put(sha("out"), noise(1))
    assert store.get(sha("out")) is None
    assert capsys.readouterr().err.count("over a quarter of the free disk") == 1


def test_a_full_disk_is_told_once_and_no_error(path, capsys):
    code = (
        "import resource, sys, signal, numpy as np\n"
        "from kvision.data import PixelStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"store = PixelStore({str(path)!r}, {SIZE})\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({HEAD + 2 * ROW + 9},) * 2)\n"
        f"image = np.full(({SIZE}, {SIZE}, 3), 9, np.uint8)\n"
        "for i in range(5): store.put(f'{i + 1:064}', image)\n"
        "print([store.get(f'{i + 1:064}') is not None for i in range(5)])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[True, True, False, False, False]", result.stderr
    assert result.stderr.count("not stored") == 1
    assert len(PixelStore(path, SIZE)) == 2


def test_a_killed_scan_leaves_nothing_that_lies(pictures, path):
    code = (
        "import os, signal, sys\n"
        "from kvision.data import PixelStore, scan\n"
        f"store = PixelStore({str(path)!r}, {SIZE})\n"
        "put, count = store.put, []\n"
        "def then_die(*what):\n"
        "    put(*what); count.append(1)\n"
        "    if len(count) == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.put = then_die\n"
        f"scan({str(pictures)!r}, pixels=store, workers=1, progress=False)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    store = PixelStore(path, SIZE)
    assert 0 < len(store) <= 3
    _same_as_without(pictures, store)


def _same_as_without(pictures, store):
    plain = from_folder(scan(pictures, progress=False), image_size=SIZE, batch_size=3)
    stored = from_folder(scan(pictures, pixels=store, progress=False), image_size=SIZE, batch_size=3, pixels=store)
    assert stored.fingerprint == plain.fingerprint
    for (a, la), (b, lb) in zip(stored, plain, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(la, lb)
    return stored


def test_a_scan_keeps_what_every_pass_reads(pictures, path, decoded):
    store = PixelStore(path, SIZE)
    images = _same_as_without(pictures, store)
    del decoded[:]
    one = [image for batch, _ in images for image in batch]
    two = [image for batch, _ in images.subset(np.arange(7)[::-1]).batches().as_numpy_iterator() for image in batch]
    np.testing.assert_array_equal(one, two[::-1])
    assert decoded == []
    list(from_folder(scan(pictures, progress=False), image_size=SIZE))
    assert len(decoded) == 14, "the control: without a store each pass decodes"


def test_a_store_that_is_lost_fills_again(pictures, path, tmp_path, decoded):
    known = tmp_path / "scan.csv"
    scan(pictures, cache=known, progress=False)
    del decoded[:]
    store = PixelStore(path, SIZE)  # new, and the scan, which is known, decodes nothing
    images = from_folder(scan(pictures, cache=known, pixels=store, progress=False), image_size=SIZE, pixels=store)
    assert decoded == []
    list(images)
    assert len(decoded) in (6, 7)  # two are copies, decoded at once or one after the other
    del decoded[:]
    list(images)
    assert decoded == [] and len(store) == 6


def test_what_changed_since_the_scan(pictures, path):
    store = PixelStore(path, SIZE)
    images = from_folder(scan(pictures, pixels=store, progress=False), image_size=SIZE, pixels=store)
    before = np.concatenate([batch for batch, _ in images])
    (pictures / "dog/a.PNG").write_bytes((pictures / "cat/b.png").read_bytes())
    (pictures / "cat/a.png").unlink()
    (pictures / "cat/z.png").unlink()
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in images]), before)  # their pixels are stored
    store.reserve(7, set())  # and where they are not, other bytes do not take their place
    with pytest.raises(UserError, match="changed since it was scanned: No such file"):
        list(images)
    with pytest.raises(UserError, match=r"dog/a.PNG has changed since it was scanned: it holds other bytes"):
        list(images.subset(np.array([4])))
    with pytest.raises(tf.errors.OpError, match="other bytes"):
        list(images.subset(np.array([4])).batches())
    assert store.get(images.file_hashes[4]) is None


def test_a_damaged_row_is_decoded_again(pictures, path, capsys, decoded):
    store = PixelStore(path, SIZE)
    images = from_folder(scan(pictures, pixels=store, progress=False), image_size=SIZE, pixels=store)
    before = np.concatenate([batch for batch, _ in images])
    with path.open("r+b") as stream:
        stream.seek(HEAD + 2 * ROW + 100)
        stream.write(b"damage")
    del decoded[:]
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([batch for batch, _ in images]), before)
    assert len(decoded) in (1, 2)  # the row may be that of the two copies
    assert 1 <= capsys.readouterr().err.count("is damaged") <= 2


def test_sizes_are_checked(pictures, path):
    with pytest.raises(UserError, match="`image_size`"):
        PixelStore(path, 0)
    with pytest.raises(UserError, match=r"`pixels`.*store of 13 px.*12 px"):
        from_folder(scan(pictures, progress=False), image_size=13, pixels=PixelStore(path, SIZE))
