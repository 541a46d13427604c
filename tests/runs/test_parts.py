import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.runs.parts import held_out, parted


def images(count: int = 40) -> kv.data.Images:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3)).astype("uint8")
    pixels[1] = pixels[count - 1]  # a copy in the last part
    pixels[2] = pixels[count // 2]  # and one in the middle part
    pixels[count // 2 + 1] = pixels[count - 2]
    return kv.data.from_arrays(pixels, np.arange(count) % 2, image_size=4)


def test_without_parts_a_fifth_of_each_class_is_the_test():
    data = images()
    train, validation, test, notes = parted(data, None, data.labels, seed=0, class_names=data.class_names)
    assert validation is None and notes == [] and len(train) + len(test) == 40
    assert np.bincount(test.labels).tolist() == [4, 4] and not set(train.pixel_hashes) & set(test.pixel_hashes)


def test_parts_lose_copies_of_later_parts():
    data = images()
    part = np.array(["train"] * 20 + ["validation"] * 10 + ["test"] * 10)
    train, validation, test, notes = parted(data, part, data.labels, seed=0)
    assert (len(train), len(validation), len(test)) == (18, 9, 10)
    assert notes == [
        "1 train images equal a validation image and are left out",
        "1 train images equal a test image and are left out",
        "1 validation images equal a test image and are left out",
    ]
    train, validation, test, _ = parted(data, np.where(part == "validation", "train", part), data.labels, seed=0)
    assert validation is None and len(test) == 10


def test_training_images_that_are_all_test_images_are_told():
    data = images(4)
    twice = data.subset(np.array([0, 3, 0, 3]))
    with pytest.raises(UserError, match="`data` has only train images that equal a test image"):
        parted(twice, np.array(["train", "train", "test", "test"]), twice.labels, seed=0)


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_part_of_which_nothing_can_be_used_is_named(missing):
    data = images()
    part = np.array(["validation"] * 20 + ["train" if missing == "test" else "test"] * 20)
    with pytest.raises(UserError, match=f"`data` has no usable image in the part {missing}"):
        parted(data, part, data.labels, seed=0)


def test_a_tenth_of_neighbors_is_held_out():
    data = images()
    found = [held_out(data, seed=seed) for seed in range(4)]
    for train, validation in found:
        assert len(train) == 36 and len(validation) == 4 and not {*train.names} & {*validation.names}
        places = [[*data.names].index(name) for name in validation.names]
        assert places == [*range(places[0], places[0] + 4)], "neighbors in a video are almost equal"
    assert len({validation.names[0] for _, validation in found}) > 1
    assert [*found[0][1].names] == [*held_out(data, seed=0)[1].names]
    with pytest.raises(UserError, match="`data` has too few images"):
        held_out(data.subset(np.array([0])), seed=0)
