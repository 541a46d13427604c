import pytest

from kvision.checks import UserError
from kvision.data import class_layout, scan


@pytest.fixture
def laid_out(tmp_path):
    """Makes files without content, by their paths, and returns their folder."""

    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        return tmp_path

    return make


def classes(folder):
    """Class names and notes, every folder with a file that is named like an image counted as one."""
    layout = class_layout.read(folder)
    holding = [place for place in layout.places if any(map(class_layout.named_image, (folder / place).rglob("*")))]
    return class_layout.classes(layout, holding)


def test_folders_of_a_system_and_folders_without_images_stop_nothing(laid_out):
    folder = laid_out("cat/a.png", "dog/a.png", "__MACOSX/cat/._a.png", ".git/x.png", "@eaDir/a.png", "xml/a.xml")
    (folder / "bird").mkdir()
    names, notes = classes(folder)
    assert names == ("cat", "dog")
    assert [note.partition(":")[0] for note in notes] == [
        "the folder bird is not a class",
        "the folder xml is not a class",
    ]
    assert notes[1].endswith("but 1 of .xml")


def test_folders_beside_train_and_test_are_no_classes(laid_out):
    folder = laid_out("train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png", "unlabeled/x.png", "loose.png")
    laid_out("train/3.png")
    (folder / "train/c").mkdir()
    (folder / "test/d").symlink_to(folder / "unlabeled")
    names, notes = classes(folder)
    assert names == ("a", "b")
    assert [note.partition(":")[0] for note in notes] == [
        "the folder unlabeled beside train/ and test/ is not read",
        "1 images lie outside of class folders in train/ and are not read",
        "the folder test/d is a link, which is not followed",
        "the folder train/c is not a class",
    ]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("a/1.png", "b/1.png", "test/1.png"), r"parts of a dataset and not like classes.*\['test'\].*class_test"),
        (("a/1.png", "b/1.png", "unlabeled/1.png"), "Move these folders elsewhere"),
        (("train/a/1.png", "train/b/1.png"), r"none for the test.*Read .*/train instead"),
        (("train/a/1.png", "train/b/1.png", "unlabeled/1.png"), "none for the test"),
        (("train/a/1.png", "Train/b/1.png", "test/a/1.png"), "has two folders for one part"),
        (("train/a/1.png", "val/b/1.png", "valid/a/1.png"), r"has two folders for one part.*\['val', 'valid'\]"),
        (
            ("train/a/1.png", "train/b/1.png", "test/a/1.png"),
            r"lack images in one of train/ and test/.*\['b'\].*Put images",
        ),
        (("data/a/1.png", "data/b/1.png"), r"has 1 class folder with images.*Read .*/data instead"),
        (("1.png", "2.png"), r"has 0 class folders.*folder of its own \(2 images lie outside"),
        (("caf\u00e9/1.png", "cafe\u0301/1.png"), "two classes of one name.*put their images into one"),
    ],
)
def test_a_refusal_names_the_folders_and_the_next_step(laid_out, paths, message):
    with pytest.raises(UserError, match=message):
        classes(laid_out(*paths))


def test_three_parts(laid_out):
    folder = laid_out(*(f"{part}/{name}/1.png" for part in ("train", "valid", "test") for name in "ab"))
    assert class_layout.read(folder).sides == {"train/": "train", "valid/": "validation", "test/": "test"}
    assert classes(folder) == (("a", "b"), ())
    laid_out("train/c/1.png", "test/c/1.png")
    with pytest.raises(UserError, match=r"lack images in one of train/ and valid/ and test/.*\['c'\]"):
        classes(folder)


def test_a_folder_for_validation_alone_is_the_test(laid_out):
    folder = laid_out(*(f"{part}/{name}/1.png" for part in ("train", "VAL") for name in "ab"))
    assert class_layout.read(folder).sides == {"train/": "train", "VAL/": "test"}


def test_a_class_may_be_called_train(laid_out):
    assert classes(laid_out("plane/1.png", "train/1.png"))[0] == ("plane", "train")


def test_a_scan_tells_what_it_did_not_read(pictures):
    (pictures / "bird").mkdir()
    found = scan(pictures, progress=False)
    assert found.class_names == ("cat", "dog") and len(found.notes) == 1
