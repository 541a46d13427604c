import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def test_known_ones():
    camvid, city, voc = (kv.data.label_map(name) for name in ("camvid", "cityscapes", "voc"))
    assert len(camvid.names) == 11 and camvid.names[3] == "road" and camvid.ids[11] == kv.data.IGNORE
    assert len(voc.names) == 21 and voc.names[15] == "person" and voc.colors[15] == (192, 128, 128)
    assert len(city.names) == 19 and city.names[city.ids[26]] == "car" and city.ids[9] == kv.data.IGNORE
    for known in (camvid, city, voc):
        assert len(known.colors) == len(known.names) == len(set(known.colors))


def test_numbers_become_classes_and_unknown_ones_are_named():
    city = kv.data.label_map("cityscapes")
    np.testing.assert_array_equal(
        city.classes(np.array([[7, 33, 0], [255, 24, 11]], "uint8")), [[0, 18, 255], [255, 11, 2]]
    )
    with pytest.raises(ValueError, match="it holds 34, 77"):
        city.classes(np.array([[77, 34, 7]], "uint8"))


def test_a_file_of_names(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("Straße\nvoid\nhouse\n\n", encoding="utf-8")
    known = kv.data.label_map(path)
    assert known.names == ("Straße", "house") and dict(known.ids) == {0: 0, 1: 255, 2: 1}
    assert known.colors == ((0, 0, 0), (128, 0, 0)), "Pascal VOC's"
    path.write_text("a\nb\n", encoding="utf-8-sig")
    assert kv.data.label_map(path).names == ("a", "b")
    for text, problem in {
        "one\n": "list of classes",
        "a\nb\na\n": "two classes of one name",
        "a\n\nb\n": "one on each line",
    }.items():
        path.write_text(text)
        with pytest.raises(UserError, match=problem):
            kv.data.label_map(path)
    path.write_bytes(b"\xff\xfe\x00b")
    with pytest.raises(UserError, match="text file"):
        kv.data.label_map(path)
    with pytest.raises(UserError, match=r"`classes` names no file.*camvid, cityscapes, voc"):
        kv.data.label_map("camvit")


def test_refusals():
    with pytest.raises(UserError, match="`names`"):
        kv.data.LabelMap(("a",), {0: 0})
    with pytest.raises(UserError, match=r"`names`.*two to 255"):
        kv.data.LabelMap(tuple(map(str, range(256))), {number: number for number in range(256)})
    with pytest.raises(UserError, match="`ids`"):
        kv.data.LabelMap(("a", "b"), {0: 0})
    with pytest.raises(UserError, match="`ids`"):
        kv.data.LabelMap(("a", "b"), {0: 0, 1: 1, 300: 1})
