import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import corpus
import numpy as np
import pytest
from PIL import Image

from kvision.checks import UserError
from kvision.data import BadFile, scan
from kvision.pixels import pillow

PATHS = ("cat/a.png", "cat/b.png", "cat/deep/er/c.png", "cat/z.png", "dog/a.PNG", "dog/b.jpg", "dog/ü c.png")


def quietly(folder, **options):
    return scan(folder, progress=False, **options)


def test_what_lies_in_a_folder(pictures):
    found = quietly(pictures)
    assert found.class_names == ("cat", "dog")
    assert found.paths == PATHS
    assert found.labels.dtype == np.int32
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert found.part is None
    assert found.bad == ()
    for path, file_hash, digest in zip(found.paths, found.file_hashes, found.pixel_hashes, strict=True):
        data = (pictures / path).read_bytes()
        pixels = pillow.decode(data)
        assert file_hash == hashlib.sha256(data).hexdigest()
        assert digest == hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    assert found.pixel_hashes[0] == found.pixel_hashes[3]
    assert len(set(found.pixel_hashes)) == 6


def test_digests_are_of_pixels_and_shape(tmp_path):
    for name, height, width in (("a/1.png", 4, 6), ("a/2.bmp", 4, 6), ("b/3.png", 6, 4)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / name)
    found = quietly(tmp_path)
    assert found.pixel_hashes[0] == found.pixel_hashes[1] != found.pixel_hashes[2]
    assert len(set(found.file_hashes)) == 3


def test_bad_files_are_listed_with_the_reason(pictures, tmp_path, paint):
    whole = (pictures / "cat/a.png").read_bytes()
    (pictures / "cat/torn.png").write_bytes(whole[:-20])
    (pictures / "cat/empty.JPG").write_bytes(b"")
    (pictures / "dog/text.gif").write_text("hello")
    (pictures / "dog/notes.txt").write_text("not an image, not bad either")
    (pictures / "dog/.hidden.png").write_bytes(b"")
    (pictures / ".cache").mkdir()
    (pictures / "loose.png").write_bytes(whole)
    paint(tmp_path / "elsewhere/x.png", 9)
    (pictures / "dog/out.png").symlink_to(tmp_path / "elsewhere/x.png")
    (pictures / "dog/within.png").symlink_to(pictures / "cat/b.png")
    (pictures / "dog/broken.png").symlink_to(pictures / "nothing.png")
    (pictures / "dog/folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(pictures / "dog/pipe.png")
    found = quietly(pictures)
    assert sorted({*found.paths} - {*PATHS}) == ["dog/within.png"]
    reasons = {file.path: file.reason for file in found.bad}
    assert reasons.pop("cat/torn.png").startswith("the PNG data are damaged")
    assert reasons == {
        "cat/empty.JPG": "the file is empty",
        "dog/text.gif": "not a JPEG, PNG, GIF, BMP or WebP image",
        "dog/out.png": "it is a link to a file outside of the folder",
        "dog/broken.png": "No such file or directory",
        "dog/folder": "it is a link to a folder",
        "dog/pipe.png": "it is not a regular file",
    }


@pytest.mark.parametrize("other", ["test", "VAL", "Valid", "validation"])
def test_train_and_test_folders(tmp_path, paint, other):
    for i, name in enumerate(("Train/a/1.png", "Train/b/2.png", f"{other}/a/3.png", f"{other}/b/4.png")):
        paint(tmp_path / name, i)
    found = quietly(tmp_path)
    assert found.class_names == ("a", "b")
    assert found.part is not None
    for path, label, part in zip(found.paths, found.labels, found.part, strict=True):
        assert part == ("test" if path.startswith(other) else "train")
        assert found.class_names[label] == path.split("/")[1]
    paint(tmp_path / other / "c/5.png", 5)
    with pytest.raises(UserError, match=r"lack images in one of Train/ and .*'c'.*Put images"):
        quietly(tmp_path)


def test_layouts_that_are_refused(tmp_path, paint):
    with pytest.raises(UserError, match="names no folder"):
        quietly(tmp_path / "nowhere")
    paint(tmp_path / "flat/a.png", 0)
    with pytest.raises(UserError, match=r"has 0 class folders.*one sub-folder per class.*1 images lie outside"):
        quietly(tmp_path / "flat")
    paint(tmp_path / "flat/one/a.png", 0)
    with pytest.raises(UserError, match="has 1 class folder with images where two"):
        quietly(tmp_path / "flat")
    for name in ("a", "b"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"no image that can be used, out of 2.*a/1.png: the file is empty"):
        quietly(tmp_path / "bad")


def test_cache_reads_only_what_changed(pictures, tmp_path, paint, monkeypatch):
    cache, read = tmp_path / "scan.csv", []
    look = scan.__globals__["look"]
    monkeypatch.setitem(scan.__globals__, "look", lambda path: (read.append(path.name), look(path))[1])
    (pictures / "cat/bad.png").write_bytes(b"bad")
    first = quietly(pictures, cache=cache)
    assert len(read) == 8
    again = quietly(pictures, cache=cache)
    assert len(read) == 8
    for field in ("paths", "class_names", "file_hashes", "pixel_hashes", "bad"):
        assert getattr(first, field) == getattr(again, field)
    assert again.bad == (BadFile("cat/bad.png", "not a JPEG, PNG, GIF, BMP or WebP image"),)
    paint(pictures / "cat/b.png", 77)
    (pictures / "cat/bad.png").unlink()
    changed = quietly(pictures, cache=cache)
    assert read[8:] == ["b.png"]
    assert changed.pixel_hashes[1] != first.pixel_hashes[1]
    fresh = quietly(pictures)
    assert changed.pixel_hashes == fresh.pixel_hashes
    assert changed.file_hashes == fresh.file_hashes


@pytest.mark.parametrize("damage", ["torn", "edited", "foreign", "binary"])
def test_a_damaged_cache_is_made_anew(pictures, tmp_path, capsys, damage):
    cache = tmp_path / "scan.csv"
    first = quietly(pictures, cache=cache)
    text = cache.read_text(encoding="utf-8")
    cache.write_bytes(
        {
            "torn": text[: len(text) // 2].encode(),
            "edited": text.replace(first.pixel_hashes[1], first.pixel_hashes[0]).encode(),
            "foreign": b"a,b\n1,2\n",
            "binary": bytes(range(256)),
        }[damage]
    )
    assert quietly(pictures, cache=cache).pixel_hashes == first.pixel_hashes
    out, err = capsys.readouterr()
    assert "scan.csv cannot be used" in err
    assert out == ""
    assert cache.read_text(encoding="utf-8") == text


def test_what_could_not_be_read_is_tried_again(pictures, tmp_path, monkeypatch):
    cache = tmp_path / "scan.csv"
    look = scan.__globals__["look"]
    monkeypatch.setitem(scan.__globals__, "look", lambda path: ("", "", "Permission denied"))
    with pytest.raises(UserError, match="Permission denied"):
        quietly(pictures, cache=cache)
    monkeypatch.setitem(scan.__globals__, "look", look)
    assert len(quietly(pictures, cache=cache).paths) == 7


def test_progress_goes_to_standard_error(pictures, capsys):
    scan(pictures)
    out, err = capsys.readouterr()
    assert out == ""
    assert "scan" in err
    assert "7/7" in err


def test_every_kind_of_file_is_used_or_listed(tmp_path):
    for kind, files in (("good", corpus.decoded()), ("bad", corpus.refused())):
        for label in ("a", "b"):
            (tmp_path / label).mkdir(exist_ok=True)
            for name, data in files.items():
                (tmp_path / label / f"{kind} {name} 写真.jpg").write_bytes(data)
    found = quietly(tmp_path)
    assert {path.split("/")[1].split(" ")[0] for path in found.paths} == {"good"}
    assert len(found.paths) == 2 * len(corpus.decoded())
    assert [bad.path.split("/")[1].split(" ")[0] for bad in found.bad] == ["bad"] * 2 * len(corpus.refused())
    assert all(bad.reason and "\n" not in bad.reason for bad in found.bad)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read_is_listed(pictures):
    with tempfile.TemporaryDirectory() as temporary:  # pytest's own folders are closed to others
        Path(temporary).chmod(0o755)
        folder = Path(temporary, "pictures")
        shutil.copytree(pictures, folder)
        (folder / "dog/locked").mkdir()
        (folder / "dog/a.PNG").rename(folder / "dog/locked/inner.png")
        (folder / "cat/b.png").chmod(0)
        (folder / "dog/locked").chmod(0)
        os.seteuid(65534)
        try:
            found = quietly(folder)
        finally:
            os.seteuid(0)
    assert found.bad == (
        BadFile("cat/b.png", "Permission denied"),
        BadFile("dog/locked", "the folder cannot be read: Permission denied"),
    )
    assert len(found.paths) == len(PATHS) - 2


def _growth(folder: str, others: str) -> int:
    """MB by which the scan of `others`, after one of `folder`, raises a process's peak."""
    code = (
        "import resource, sys; from kvision.data import scan\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "scan(sys.argv[1], progress=False); before = peak(); found = scan(sys.argv[2], progress=False)\n"
        "print(peak() - before, len(found.paths), len(found.bad))"
    )
    result = subprocess.run([sys.executable, "-c", code, folder, others], capture_output=True, text=True, check=True)
    return int(result.stdout.split()[0])


def test_a_small_file_that_declares_196_million_pixels_takes_no_memory(pictures, tmp_path):
    bomb = corpus.png(14_000, 14_000, 8, 2, [b"\0" * 42_000] * 14_000)
    assert len(bomb) < 800_000
    shutil.copytree(pictures, tmp_path / "bombs")
    for i in range(4):
        (tmp_path / f"bombs/cat/bomb{i}.png").write_bytes(bomb)
    reasons = [bad.reason for bad in quietly(tmp_path / "bombs").bad]
    assert reasons == ["14000 x 14000 pixels are more than the 100,000,000 allowed"] * 4
    assert _growth(str(pictures), str(tmp_path / "bombs")) < 200


@pytest.mark.slow
def test_a_hundred_thousand_files_in_flat_memory(pictures, tmp_path):
    data = corpus.encode(Image.new("RGB", (8, 8)), "PNG")
    for label in ("a", "b"):
        for group in range(50):
            (tmp_path / "many" / label / str(group)).mkdir(parents=True)
            for i in range(1000):
                (tmp_path / "many" / label / str(group) / f"{i}.png").write_bytes(data)
    assert _growth(str(pictures), str(tmp_path / "many")) < 150


def test_without_labels_any_layout_will_do(pictures, paint):
    paint(pictures / "loose.png", 3)
    paint(pictures / "cat/test/deep.png", 4)
    (pictures / "dog/torn.png").write_bytes(b"")
    found = quietly(pictures, labeled=False)
    assert found.paths == tuple(sorted([*PATHS, "loose.png", "cat/test/deep.png"]))
    assert found.class_names == ("unlabeled",) and not found.labels.any() and found.part is None
    assert found.bad == (BadFile("dog/torn.png", "the file is empty"),)


def test_without_labels_a_folder_without_images_is_said(tmp_path):
    with pytest.raises(UserError, match="`folder` names no folder"):
        quietly(tmp_path / "none", labeled=False)
    with pytest.raises(UserError, match="`folder` has no image that can be used"):
        quietly(tmp_path, labeled=False)
