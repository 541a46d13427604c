import pytest
import scenes
from PIL import Image

from kvision.checks import UserError
from kvision.data.mask_layouts import pairs, unread


def told(folder) -> list[tuple]:
    def short(path):
        return path and path.relative_to(folder).as_posix()

    return [(short(pair.image), short(pair.mask), pair.part) for pair in pairs(folder)]


def touch(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2)).save(path)


def test_flat(tmp_path):
    scenes.write(tmp_path, 2, masks="labels")
    touch(tmp_path / "images/deep/x.jpg")
    touch(tmp_path / "labels/deep/x_mask.png")
    touch(tmp_path / "images/alone.bmp")
    touch(tmp_path / "labels/nobodys.png")
    (tmp_path / "images/.hidden.png").write_bytes(b"")
    assert told(tmp_path) == [
        ("images/00.png", "labels/00.png", None),
        ("images/01.png", "labels/01.png", None),
        ("images/alone.bmp", None, None),
        ("images/deep/x.jpg", "labels/deep/x_mask.png", None),
        (None, "labels/nobodys.png", None),
    ]


def test_sides(tmp_path):
    scenes.split(tmp_path, train=2, val=1)
    assert told(tmp_path)[1:] == [
        ("train/images/01.png", "train/masks/01.png", "train"),
        ("val/images/02.png", "val/masks/02.png", "test"),
    ]


def test_two_files_of_one_name_are_a_problem_and_not_one_of_them(tmp_path):
    scenes.write(tmp_path, 2)
    touch(tmp_path / "images/00.jpg")
    first, second = pairs(tmp_path)
    assert first.problem == "2 images and 1 masks have its name" and second.problem == ""


def test_camvid_as_segnet_has_it(tmp_path):
    for name in ("train", "trainannot", "val", "valannot", "test", "testannot"):
        touch(tmp_path / name / "0001TP_006690.png")
    assert told(tmp_path) == [
        ("train/0001TP_006690.png", "trainannot/0001TP_006690.png", "train"),
        ("val/0001TP_006690.png", "valannot/0001TP_006690.png", "validation"),
        ("test/0001TP_006690.png", "testannot/0001TP_006690.png", "test"),
    ]


def test_voc(tmp_path):
    for name in ("a", "b"):
        touch(tmp_path / f"JPEGImages/{name}.jpg")
    touch(tmp_path / "SegmentationClass/a.png")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    with pytest.raises(UserError, match=r"no list of a split.*val.txt"):
        pairs(tmp_path)
    (lists / "val.txt").write_text("b\n")
    assert told(tmp_path) == [
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", "train"),
        ("JPEGImages/b.jpg", None, "test"),
    ]


def test_names_of_a_list_do_not_lead_out(tmp_path):
    touch(tmp_path / "JPEGImages/a.jpg")
    touch(tmp_path / "SegmentationClass/a.png")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("a\n")
    for name in ("/etc/passwd", "../a", "deep\\a"):
        (lists / "train.txt").write_text(name)
        with pytest.raises(UserError, match="names without folders"):
            pairs(tmp_path)
    (lists / "train.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="a list that is not text"):
        pairs(tmp_path)


def test_cityscapes(tmp_path):
    for split in ("train", "val"):
        touch(tmp_path / f"leftImg8bit/{split}/bonn/bonn_0_leftImg8bit.png")
        touch(tmp_path / f"gtFine/{split}/bonn/bonn_0_gtFine_labelIds.png")
        touch(tmp_path / f"gtFine/{split}/bonn/bonn_0_gtFine_color.png")
    touch(tmp_path / "gtFine/val/bonn/bonn_1_gtFine_labelIds.png")
    assert told(tmp_path) == [
        *(
            (
                f"leftImg8bit/{s}/bonn/bonn_0_leftImg8bit.png",
                f"gtFine/{s}/bonn/bonn_0_gtFine_labelIds.png",
                "test" if s == "val" else s,
            )
            for s in ("train", "val")
        ),
        (None, "gtFine/val/bonn/bonn_1_gtFine_labelIds.png", "test"),
    ]


def test_others_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"`folder` names no folder.*JPEGImages"):
        pairs(tmp_path / "nowhere")
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=r"unknown layout.*with the folders photos"):
        pairs(tmp_path)
    (tmp_path / "train/images").mkdir(parents=True)
    with pytest.raises(UserError, match="unknown layout"):
        pairs(tmp_path)


def test_what_a_system_left_is_passed_over_and_other_folders_are_named(tmp_path):
    scenes.split(tmp_path, train=1, val=1)
    before = told(tmp_path)
    for name in ("__MACOSX/train/images/._00.png", "train/images/.cache/00.png", "train/images/@eaDir/00.png"):
        touch(tmp_path / name)
    for name in (".git/x.png", "unlabeled/a.png", "others/images/00.png"):
        touch(tmp_path / name)
    assert told(tmp_path) == before
    assert unread(tmp_path, pairs(tmp_path)) == ["others", "unlabeled"]


def test_a_refusal_says_where_files_belong(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=r"Put images into images and their masks, under the same names, into masks\.$"):
        pairs(tmp_path)
    (tmp_path / "train/images").mkdir(parents=True)
    with pytest.raises(UserError, match=r"train/masks, and images into val/images and .*val/masks\.$"):
        pairs(tmp_path)
