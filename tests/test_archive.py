import struct
import zipfile

import pytest

from kvision import archive


def write(path, *members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def test_reads_a_zip_and_one_behind_something_else(tmp_path):
    path = write(tmp_path / "x.zip", ("a", b"1"), ("b", b"22"))
    with archive.opened(path) as file:
        assert file.namelist() == ["a", "b"] and file.read(archive.stored_member(file, "b")) == b"22"
    (tmp_path / "y").write_bytes(b"something else")
    with zipfile.ZipFile(tmp_path / "y", "a") as file:
        file.writestr("c", b"3")
    with archive.opened(tmp_path / "y") as file:
        assert file.read("c") == b"3"


def test_a_large_file_has_a_list_of_another_form(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    path = write(tmp_path / "x.zip", ("a", b"1" * 100), ("b", b"2"))
    assert b"PK\6\6" in path.read_bytes()
    with archive.opened(path) as file:
        assert file.read("a") == b"1" * 100
    path.write_bytes(b"prefix" + path.read_bytes())
    with pytest.raises(archive.BadArchive, match="damaged"), archive.opened(path):
        pass


def test_what_is_wrong_is_one_exception(tmp_path):
    path = write(tmp_path / "x.zip", ("a", b"1" * 100))
    data = path.read_bytes()
    for content in (b"", b"text", data[:-1], data + b"x", data.replace(b"1" * 100, b"1" * 99 + b"2")):
        path.write_bytes(content)
        with pytest.raises(archive.BadArchive), archive.opened(path) as file:
            file.read("a")
    with pytest.raises(archive.BadArchive, match="No such file"), archive.opened(tmp_path / "absent"):
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_stored_once(tmp_path):
    for members, method, text in [
        ([], zipfile.ZIP_STORED, "lacks 'a'"),
        ([("a", b"")] * 2, zipfile.ZIP_STORED, "holds 'a' twice"),
        ([("a", bytes(9))], zipfile.ZIP_DEFLATED, "'a' in it is compressed"),
    ]:
        path = write(tmp_path / "x.zip", *members, method=method)
        with pytest.raises(archive.BadArchive, match=text), archive.opened(path) as file:
            archive.stored_member(file, "a")


def test_a_list_of_contents_beyond_the_bound_is_not_read(tmp_path):
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    for count in (10, 30_000):
        path = tmp_path / "x.zip"
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(entry) * count, 0, 0)
        path.write_bytes(entry * count + end)
        if count == 10:
            with archive.opened(path) as file:
                assert len(file.infolist()) == 10
        else:
            with pytest.raises(archive.BadArchive, match="list of contents takes 1,530,000"), archive.opened(path):
                pass
