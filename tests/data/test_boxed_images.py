import pytest
from boxed import picture, plain_set

from kvision import checks
from kvision.data import BoxedImages, from_boxes


@pytest.fixture
def three(tmp_path) -> BoxedImages:
    return plain_set(tmp_path / "voc")


def test_images_and_objects(three):
    assert three.class_names == ("cat", "dog") and three.names == tuple(f"JPEGImages/{n}.png" for n in "abc")
    assert three.objects[0].labels.tolist() == [0, 1] and three.objects[0].difficult.tolist() == [False, True]
    assert len(three.objects[2].boxes) == 0 and not three.bad and three.part is None
    assert three.original(1).shape == (40, 60, 3) and three.sizes[1] == (40, 60)
    assert len(three) == 3 and three.some(2).names == three.subset([0, 2]).names


def test_longest_side_scales_image_and_boxes(three):
    small = BoxedImages(**{**vars(three), "longest_side": 30})
    image, objects = small.example(0)
    assert image.shape == (20, 30, 3) and objects.boxes.tolist() == [[0, 0, 10, 5], [10, 5, 20, 30]]
    assert small.fingerprint != three.fingerprint != three.subset([1, 0, 2]).fingerprint


def test_a_file_that_has_changed_is_refused(three):
    picture(three.folder / three.names[0], value=7)
    with pytest.raises(checks.UserError, match="has changed"):
        three.original(0)


def test_an_unknown_layout_and_a_folder_without_a_usable_image_are_refused(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(checks.UserError, match=r"`folder`.*Pascal VOC"):
        from_boxes(tmp_path, progress=False)
    with pytest.raises(checks.UserError, match="`data` is laid out"):
        from_boxes(tmp_path, progress=False, argument="data")
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(checks.UserError, match="`data` has no image"):
        from_boxes(tmp_path, progress=False, argument="data")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    for name in ("train", "val", "valid"):
        (tmp_path / "ImageSets" / "Main" / f"{name}.txt").touch()
    with pytest.raises(checks.UserError, match="`data` has two folders for one part"):
        from_boxes(tmp_path, progress=False, argument="data")
