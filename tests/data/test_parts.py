import pytest

from kvision.checks import UserError
from kvision.data import parts


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train", "test"], {"train": "train", "test": "test"}),
        (["Train", "valid"], {"train": "Train", "test": "valid"}),
        (["train", "val", "TEST", "x"], {"train": "train", "validation": "val", "test": "TEST"}),
        (["train"], {}),
        (["val", "test"], {}),
        (["cat", "dog"], {}),
    ],
)
def test_folders_of_the_parts(names, found):
    assert parts.folders(names, argument="folder") == found


def test_two_folders_of_one_part_are_refused():
    with pytest.raises(UserError, match=r"two folders for one part.*\['val', 'validation'\]"):
        parts.folders(["train", "val", "validation"], argument="folder")
