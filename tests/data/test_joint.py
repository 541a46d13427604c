import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def ramp(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image that says where a pixel stood, and labels that say the same, coarsely."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([y, x, np.full_like(y, 128)], axis=-1).astype("uint8")
    return image, (y // 16 * 8 + x // 16).astype("uint8")


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.4, 0.4), (2.5, 2.5), (0.5, 2.0)])
def test_image_and_labels_stay_together(scale):
    image, labels = ramp(96, 128)
    augment = kv.data.JointAugment(64, 80, scale=scale, stretch=0.3, color=0.0)
    for seed in range(20):
        picture, found = augment(image, labels, np.random.default_rng(seed))
        assert picture.shape == (64, 80, 3) and found.shape == (64, 80)
        inside = found != kv.data.IGNORE
        assert inside.any() and not picture[~inside].any(), "black outside, where no label counts"
        y, x = picture[inside, 0].astype(int), picture[inside, 1].astype(int)
        blurred = 2 if scale[0] < 1 else 1
        near = {
            (dy, dx): (y + dy) // 16 * 8 + (x + dx) // 16 for dy in (-blurred, blurred) for dx in (-blurred, blurred)
        }
        agrees = np.any([found[inside] == value for value in near.values()], axis=0)
        assert agrees.mean() > 0.97, "labels lie on the image's grid"


def test_scale_one_is_a_cut_out():
    image, labels = ramp(96, 128)
    augment = kv.data.JointAugment(96, 128, scale=(1, 1), flip=False, color=0)
    picture, found = augment(image, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(picture, image)
    np.testing.assert_array_equal(found, labels)


def test_both_are_flipped_and_only_the_image_changes_its_colors():
    image, labels = ramp(96, 128)
    plain = {"height": 96, "width": 128, "scale": (1, 1)}
    results = [kv.data.JointAugment(**plain, color=0)(image, labels, np.random.default_rng(s)) for s in range(40)]
    flipped = [np.array_equal(found, labels[:, ::-1]) for _, found in results]
    assert 8 < sum(flipped) < 32
    for (picture, found), flip in zip(results, flipped, strict=True):
        np.testing.assert_array_equal(picture, image[:, ::-1] if flip else image)
        np.testing.assert_array_equal(found, labels[:, ::-1] if flip else labels)
    picture, found = kv.data.JointAugment(**plain, flip=False, color=0.4)(image, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(found, labels)
    assert np.abs(picture.astype(int) - image).max() > 10


def test_scales_are_drawn_from_the_whole_range():
    labels = np.zeros((64, 64), "uint8")
    labels[24:40, 24:40] = 1
    augment = kv.data.JointAugment(192, 192, scale=(0.5, 2.0), flip=False, color=0)
    image = np.repeat(labels[..., None] * 255, 3, axis=2)
    sides = [np.sqrt((augment(image, labels, np.random.default_rng(s))[1] == 1).sum()) / 16 for s in range(300)]
    assert min(sides) < 0.56 and max(sides) > 1.85 and 0.9 < np.median(sides) < 1.1, "log-uniform"


def test_the_same_numbers_give_the_same_pair():
    image, labels = ramp(50, 70)
    augment = kv.data.JointAugment(32, 48)
    first, second, third = (augment(image, labels, np.random.default_rng([1, 2, row])) for row in (3, 3, 4))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], third[0])


def test_refusals():
    for options, name in [
        ({"height": 0}, "height, width"),
        ({"scale": (2, 1)}, "scale"),
        ({"scale": (0, 1)}, "scale"),
        ({"stretch": 1.0}, "stretch"),
        ({"color": -0.1}, "color"),
    ]:
        with pytest.raises(UserError, match=f"`{name}`"):
            kv.data.JointAugment(**{"height": 8, "width": 8, **options})
