import hashlib

import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.objects import Objects


def ramp(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image that says where a pixel stood, and labels that say the same, coarsely."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([y, x, np.full_like(y, 128)], axis=-1).astype("uint8")
    return image, (y // 16 * 8 + x // 16).astype("uint8")


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.4, 0.4), (2.5, 2.5), (0.5, 2.0)])
def test_image_and_labels_stay_together(scale):
    image, labels = ramp(96, 128)
    augment = kv.augment.JointAugment(64, 80, scale=scale, stretch=0.3, color=0.0)
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
    augment = kv.augment.JointAugment(96, 128, scale=(1, 1), flip=False, color=0)
    picture, found = augment(image, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(picture, image)
    np.testing.assert_array_equal(found, labels)


def test_both_are_flipped_and_only_the_image_changes_its_colors():
    image, labels = ramp(96, 128)
    plain = {"height": 96, "width": 128, "scale": (1, 1)}
    results = [kv.augment.JointAugment(**plain, color=0)(image, labels, np.random.default_rng(s)) for s in range(40)]
    flipped = [np.array_equal(found, labels[:, ::-1]) for _, found in results]
    assert 8 < sum(flipped) < 32
    for (picture, found), flip in zip(results, flipped, strict=True):
        np.testing.assert_array_equal(picture, image[:, ::-1] if flip else image)
        np.testing.assert_array_equal(found, labels[:, ::-1] if flip else labels)
    picture, found = kv.augment.JointAugment(**plain, flip=False, color=0.4)(image, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(found, labels)
    assert np.abs(picture.astype(int) - image).max() > 10


def test_scales_are_drawn_from_the_whole_range():
    labels = np.zeros((64, 64), "uint8")
    labels[24:40, 24:40] = 1
    augment = kv.augment.JointAugment(192, 192, scale=(0.5, 2.0), flip=False, color=0)
    image = np.repeat(labels[..., None] * 255, 3, axis=2)
    sides = [np.sqrt((augment(image, labels, np.random.default_rng(s))[1] == 1).sum()) / 16 for s in range(300)]
    assert min(sides) < 0.56 and max(sides) > 1.85 and 0.9 < np.median(sides) < 1.1, "log-uniform"


def test_the_same_numbers_give_the_same_pair():
    image, labels = ramp(50, 70)
    augment = kv.augment.JointAugment(32, 48)
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
        ({"rotate": 4.0}, "rotate"),
        ({"shear": 1.0}, "shear"),
        ({"perspective": 0.5}, "perspective"),
        ({"visible": 1.1}, "visible"),
    ]:
        with pytest.raises(UserError, match=f"`{name}`"):
            kv.augment.JointAugment(**{"height": 8, "width": 8, **options})


BENT = [{"rotate": 0.8}, {"shear": 0.5}, {"perspective": 0.2}, {"rotate": np.pi, "shear": 0.2, "perspective": 0.1}]


def test_windows_and_flips_are_those_of_published_models():
    y, x = np.mgrid[:96, :128]
    image = np.stack([y, x, (y * x) % 251], axis=-1).astype("uint8")
    labels, found = (y // 16 * 8 + x // 16).astype("uint8"), hashlib.sha256()
    for seed in range(6):
        for options in (
            {},
            {"scale": (0.3, 0.6), "stretch": 0.3, "color": 0.4},
            {"scale": (2, 3), "flip": False, "color": 0},
        ):
            random = np.random.default_rng(seed)
            for part in kv.augment.JointAugment(48, 64, **options)(image, labels, random):
                found.update(part.tobytes())
            found.update(random.bytes(4))
    assert found.hexdigest() == "771ea5abc74b8857d7a3ab127b7360c69661351e58df1dc45ab97ad4d57880ae", (
        "a change of the random numbers or pixels changes the results of earlier trainings"
    )
    assert kv.data.IGNORE == 255


def bright(size=(96, 128), box=(30, 40, 62, 90)):
    """A black image with a white rectangle, its mask, and its box."""
    labels = np.zeros(size, "uint8")
    labels[box[0] : box[2], box[1] : box[3]] = 1
    objects = Objects(np.array([box], "float32"), np.array([1], "int32"))
    return np.repeat(labels[..., None] * 255, 3, axis=2), labels, objects


@pytest.mark.parametrize("options", [{}, {"stretch": 0.4}, *BENT])
def test_boxes_lie_around_the_pixels_of_their_object(options):
    image, labels, objects = bright()
    augment = kv.augment.JointAugment(120, 120, scale=(0.6, 0.9), fit=True, color=0, **options)
    boxes = []
    for seed in range(20):
        picture, moved = augment(image, objects, np.random.default_rng(seed))
        again, mask = augment(image, labels, np.random.default_rng(seed))
        np.testing.assert_array_equal(picture, again)
        assert moved.labels.tolist() == [1]
        if (moved.boxes > 1).all() and (moved.boxes < 119).all():
            for inside in (picture[..., 0] > 127, mask == 1):
                y, x = np.nonzero(inside)
                np.testing.assert_allclose(moved.boxes[0], [y.min(), x.min(), y.max() + 1, x.max() + 1], atol=1.5)
            assert (mask[picture[..., 0] > 250] == 1).mean() > 0.98
            boxes.append(moved.boxes[0])
    assert len(boxes) > 10 and np.std(boxes, axis=0).min() > 1


def test_a_box_is_clipped_to_its_window():
    image, _, objects = bright()
    augment = kv.augment.JointAugment(40, 40, scale=(0.8, 1.5), color=0, visible=0)
    clipped = 0
    for seed in range(30):
        picture, moved = augment(image, objects, np.random.default_rng(seed))
        y, x = np.nonzero(picture[..., 0] > 127)
        if len(moved.labels):
            np.testing.assert_allclose(moved.boxes[0], [y.min(), x.min(), y.max() + 1, x.max() + 1], atol=1)
            clipped += (moved.boxes == 0).any() or (moved.boxes == 40).any()
        else:
            assert len(y) == 0 or np.ptp(y) < 2 or np.ptp(x) < 2
    assert clipped > 15


@pytest.mark.parametrize("options", BENT)
def test_bent_images_and_masks_stay_together(options):
    image, labels = ramp(96, 128)
    augment = kv.augment.JointAugment(64, 80, scale=(0.8, 1.5), color=0, **options)
    for seed in range(10):
        picture, found = augment(image, labels, np.random.default_rng(seed))
        inside = found != kv.data.IGNORE
        assert inside.mean() > 0.3 and not picture[~inside].any()
        y, x = np.rint(picture[inside][:, :2].astype(float)).astype(int).T
        near = [(y + dy) // 16 * 8 + (x + dx) // 16 for dy in (-1, 1) for dx in (-1, 1)]
        assert np.any([found[inside] == value for value in near], axis=0).mean() > 0.97


@pytest.mark.parametrize("size", [(50, 200), (200, 50), (30, 30)])
@pytest.mark.parametrize("options", [{}, {"rotate": 1e-6}])
def test_the_whole_image_fits(size, options):
    objects = Objects(np.array([[0, 0, *size]], "float32"), np.array([3]))
    augment = kv.augment.JointAugment(100, 100, scale=(1, 1), fit=True, **options)
    picture, moved = augment(np.full((*size, 3), 200, "uint8"), objects, np.random.default_rng(0))
    sides = moved.boxes[0, 2:] - moved.boxes[0, :2]
    np.testing.assert_allclose(sides, np.array(size) * 100 / max(size), atol=1e-3)
    shown = picture.any(-1)
    np.testing.assert_allclose([shown.any(1).sum(), shown.any(0).sum()], sides, atol=1)


@pytest.mark.parametrize("options", [{}, BENT[0]])
def test_images_without_objects(options):
    augment = kv.augment.JointAugment(32, 32, **options)
    none = Objects(np.zeros((0, 4), "float32"), np.zeros(0, "int32"), difficult=np.zeros(0, bool))
    picture, moved = augment(ramp(40, 50)[0], none, np.random.default_rng(0))
    assert picture.shape == (32, 32, 3) and moved.boxes.shape == (0, 4) and moved.difficult.shape == (0,)
