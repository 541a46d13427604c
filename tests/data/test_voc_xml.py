from boxed import XML, check_round_trip, picture, plain_set, voc

from kvision.data import from_boxes


def test_pixels_count_from_1_and_the_last_one_belongs_to_the_box(tmp_path):
    assert plain_set(tmp_path).objects[0].boxes.tolist() == [[0, 0, 20, 10], [20, 10, 40, 60]]


def test_round_trip(tmp_path):
    check_round_trip(tmp_path, "voc")


def test_bad_files_are_listed(tmp_path):
    folder = voc(tmp_path, {"a": [("cat", 0, "x", 10, 20, 20)], "b": [("cat", 0, 1, 1, 9, 9)], "c": []})
    (folder / "Annotations" / "b.xml").write_text("<annotation>")
    (folder / "Annotations" / "c.xml").write_text(XML.format(objects="").replace("<width>60", "<width>61"))
    picture(folder / "JPEGImages" / "d.png")
    (folder / "Annotations" / "e.xml").write_text(XML.format(objects=""))
    found = from_boxes(folder, class_names=["cat"], progress=False)
    assert found.names == ("JPEGImages/a.png",)
    assert {bad.path.split("/")[-1][0] for bad in found.bad} == {"a", "b", "c", "d", "e"}


def test_lists_name_the_parts(tmp_path):
    folder = voc(tmp_path, {name: [("cat", 0, 1, 1, 9, 9)] for name in "abc"})
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b 1\n")
    (lists / "cat_train.txt").write_text("c 1\n")
    assert from_boxes(folder, progress=False).part.tolist() == ["train", "test"]


def test_two_images_of_one_name_are_not_mixed_up(tmp_path):
    folder = voc(tmp_path, {"a": [("cat", 0, 1, 1, 9, 9)]})
    picture(folder / "JPEGImages" / "a.jpg", value=9)
    found = from_boxes(folder, progress=False)
    assert len(found) == 1 and [bad.path for bad in found.bad] == ["JPEGImages/a.png"]
