import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.objects import Objects
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

SIZE = (90, 120)
STRONG = {"zoom": (1.2, 0.9), "rotate": 0.5, "shear": 0.3, "perspective": (0.1, -0.2), "flip": True}


def objects(*boxes, columns: int = 4) -> Objects:
    rows = np.array(boxes, "float32").reshape(-1, columns)
    return Objects(rows, np.arange(len(rows), dtype="int32"), difficult=np.arange(len(rows)) % 2 == 1)


def test_steps_worked_by_hand():
    def moved(y, x, **options):
        matrix = kv.augment.projective((50, 60), SIZE, **options)
        return kv.augment.move_points(np.array([y, x], float), matrix)

    middle = np.array([45, 60])
    for options in ({}, STRONG):
        np.testing.assert_allclose(moved(50, 60, **options), middle, atol=1e-9)
    np.testing.assert_allclose(moved(50, 70), middle + np.array([0, 10]))
    np.testing.assert_allclose(moved(53, 70, zoom=(2, 3)), middle + np.array([6, 30]))
    np.testing.assert_allclose(moved(53, 70, flip=True), middle + np.array([3, -10]))
    np.testing.assert_allclose(
        moved(50, 70, rotate=np.pi / 2), middle + np.array([10, 0]), atol=1e-9, err_msg="clockwise"
    )
    np.testing.assert_allclose(moved(54, 70, shear=0.5), middle + np.array([4, 12]))
    np.testing.assert_allclose(moved(50, 120, perspective=(0, 0.25)), middle + np.array([0, 60 / 1.25]))
    np.testing.assert_allclose(moved(5, 60, perspective=(0.25, 0)), middle + np.array([-45 / 0.75, 0]))
    np.testing.assert_allclose(
        moved(54, 70, shear=0.5, rotate=np.pi / 2, flip=True), middle + np.array([12, 4]), atol=1e-9
    )
    assert np.isnan(moved(50, -400, perspective=(0, 0.25))).all(), "beyond the horizon"


def test_boxes_are_those_of_the_tensor_functions():
    random = np.random.default_rng(0)
    low = random.uniform(20, 60, (5, 2))
    drawn = objects(*np.concatenate([low, low + random.uniform(5, 20, (5, 2))], 1))
    turned = objects(*np.concatenate([low, random.uniform(5, 20, (5, 2)), random.uniform(-3, 3, (5, 1))], 1), columns=5)
    for options in ({}, {"rotate": 1.0, "flip": True}, STRONG):
        matrix = kv.augment.projective((50, 50), (300, 300), **options)
        found = kv.augment.move_objects(drawn, matrix, (300, 300))
        np.testing.assert_allclose(found.boxes, plain.transform(drawn.boxes, matrix), atol=1e-3)
        assert found.boxes.dtype == np.float32 and found.labels.tolist() == list(range(5)) and found.scores is None
        found = kv.augment.move_objects(turned, matrix, (300, 300))
        corners = kv.augment.move_points(np.asarray(rotated_boxes.corners(turned.boxes), float), matrix)
        expected = np.asarray(rotated_boxes.canonical(rotated_boxes.from_corners(corners)))
        np.testing.assert_allclose(found.boxes, expected, atol=1e-3)


def test_what_is_hardly_visible_is_left_out():
    shift = kv.augment.projective((25, 20), SIZE)  # by 20 down and by 40 to the right
    right = 80  # of the result in the image
    drawn = objects(
        (0, right - 3, 10, right + 7), (0, right - 4, 10, right + 6), (0, 90, 9, 99), (0, 0, 1, 1), (5, 5, 5.9, 30)
    )
    found = kv.augment.move_objects(drawn, shift, SIZE, visible=0.35)
    assert found.labels.tolist() == [1, 3] and found.difficult.tolist() == [True, True]
    assert found.boxes.tolist() == [[20, 116, 30, 120], [20, 40, 21, 41]]
    assert kv.augment.move_objects(drawn, shift, SIZE).labels.tolist() == [0, 1, 3], "the limit is 0.3"
    assert kv.augment.move_objects(drawn, shift, SIZE, visible=0).labels.tolist() == [0, 1, 3]
    far = kv.augment.projective((45, 60), SIZE, perspective=(0, 0.4))
    assert len(kv.augment.move_objects(objects((40, -200, 50, 60)), far, SIZE).labels) == 0, "beyond the horizon"
    turned = objects((10, right - 1, 30, 40, 0.5), (10, right + 1, 30, 40, 0.5), (10, 10, 0.5, 40, 0), columns=5)
    found = kv.augment.move_objects(turned, shift, SIZE)
    assert found.labels.tolist() == [0]
    np.testing.assert_allclose(found.boxes, [[30, 119, 30, 40, 0.5]], atol=1e-5)  # not clipped


@pytest.mark.parametrize("columns", [4, 5])
def test_no_objects(columns):
    found = kv.augment.move_objects(objects(columns=columns), kv.augment.projective((5, 5), SIZE), SIZE)
    assert found.boxes.shape == (0, columns) and found.labels.shape == (0,) and found.boxes.dtype == np.float32


@pytest.mark.parametrize("columns", [4, 5])
def test_two_flips_are_no_flip(columns):
    drawn = objects((10, 20, 30, 50) if columns == 4 else (40, 50, 10, 30, 0.4), columns=columns)
    matrix = kv.augment.projective((45, 60), SIZE, flip=True)
    once = kv.augment.move_objects(drawn, matrix, SIZE)
    np.testing.assert_allclose(kv.augment.move_objects(once, matrix, SIZE).boxes, drawn.boxes, atol=1e-4)
    assert not np.allclose(once.boxes, drawn.boxes)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype("uint8")
    flipped = kv.augment.warp(Image.fromarray(image), matrix, SIZE, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(flipped, image[:, ::-1])


def test_a_rotated_box_fits_its_pixels():
    cv2 = pytest.importorskip("cv2")
    box = (50, 60, 20, 44, 0.3)
    y, x = np.mgrid[:100, :120] + 0.5 - np.array(box[:2])[:, None, None]
    down, along = y * np.cos(0.3) - x * np.sin(0.3), y * np.sin(0.3) + x * np.cos(0.3)
    mask = np.where((abs(down) < 10) & (abs(along) < 22), 255, 0).astype("uint8")
    for options in ({}, {"rotate": 0.9}, {"rotate": -1.2, "flip": True}, {"zoom": (1.5, 1.5), "rotate": 2.5}):
        matrix = kv.augment.projective((50, 62), SIZE, **options)
        pixels = kv.augment.warp(Image.fromarray(mask), matrix, SIZE, Image.Resampling.NEAREST)
        (x, y), (width, height), degrees = cv2.minAreaRect(np.argwhere(pixels > 127)[:, ::-1].astype("float32"))
        # OpenCV counts the centers of pixels from 0, so its box is up to one pixel smaller.
        around = np.array([[y + 0.5, x + 0.5, height + 0.5, width + 0.5, np.deg2rad(degrees)]], "float32")
        found = kv.augment.move_objects(objects(box, columns=5), matrix, SIZE).boxes
        assert float(rotated_boxes.iou(found, around)[0, 0]) > 0.88
        np.testing.assert_allclose(found[0, :4], np.asarray(rotated_boxes.canonical(around))[0, :4], atol=2)


def test_a_much_smaller_image_is_averaged():
    checkers = np.indices((400, 400)).sum(0) % 2 * 255
    matrix = kv.augment.projective((200, 200), (40, 40), zoom=(0.1, 0.1), rotate=0.3)
    for how, averaged in {Image.Resampling.BILINEAR: True, Image.Resampling.NEAREST: False}.items():
        found = kv.augment.warp(Image.fromarray(checkers.astype("uint8")), matrix, (40, 40), how)[12:28, 12:28]
        assert (np.ptp(found) < 3) == averaged
