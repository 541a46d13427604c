import math
from pathlib import Path

import numpy as np
import pytest

from kvision.ops import rotated_boxes
from kvision.pixels import drawn_boxes

RED = (255, 0, 0)


def changed(size: tuple[int, int], *boxes, captions=None) -> np.ndarray:
    image = np.full((*size, 3), 90, "uint8")
    texts = captions or ["x"] * len(boxes)
    picture = drawn_boxes.draw(image, np.array(boxes, "float32"), texts, [RED] * len(boxes))
    assert picture.dtype == np.uint8 and picture.shape == image.shape and (image == 90).all()
    return (picture != 90).any(-1)


def test_an_outline_is_inside_of_its_half_open_box():
    mask = changed((200, 200), (100, 50, 140, 120))
    assert mask[100, 50:120].all() and mask[139, 50:120].all(), "first and last row"
    assert mask[100:140, 50].all() and mask[100:140, 119].all(), "first and last column"
    assert not mask[140:].any() and not mask[:, 120:].any() and not mask[101:139, 51:119].any()
    assert mask[:100].any() and not mask[:80].any(), "the caption is just above the box"


def test_a_box_of_the_whole_image_and_a_box_of_one_pixel_are_seen():
    mask = changed((200, 300), (0, 0, 200, 300))
    assert mask[199].all() and mask[:, 0].all() and mask[:, 299].all()
    mask = changed((200, 300), (150, 77, 151, 78))
    assert mask[150, 77] and not mask[152:].any(), "Pillow draws at least two pixels"


def test_lines_and_letters_grow_with_the_image():
    small, large = (changed((side, side), (side // 2, 0, side, side)) for side in (200, 1600))
    assert small[-3:, 100].sum() == 1 and large[-9:, 800].sum() == 6
    letters = [mask[: len(mask) // 2].any(1).sum() for mask in (small, large)]
    assert letters[1] > 2 * letters[0] > 16


def test_rotated_boxes_are_polygons():
    box = np.array([100, 100, 40, 80, 0.5])
    assert np.allclose(drawn_boxes._corners(box), np.asarray(rotated_boxes.corners(box)), atol=1e-4)
    mask = changed((200, 200), box)
    for corner in drawn_boxes._corners(box).round().astype(int):
        assert mask[corner[0] - 1 : corner[0] + 2, corner[1] - 1 : corner[1] + 2].any()
    assert not mask[100, 100], "it is not filled"
    upright, turned = changed((200, 200), (80, 60, 120, 140)), changed((200, 200), (100, 100, 40, 80, math.pi))
    assert (upright ^ turned)[60:].mean() < 0.01


@pytest.mark.parametrize("text", ["größer 0.5", "猫 0.9", "🙂", "a\nb\0c", "", "long " * 1000, "שלום"])
def test_any_caption_can_be_drawn(text):
    assert changed((40, 60), (5, 5, 30, 30), captions=[text]).any()


def test_letters_that_are_not_ascii_are_drawn():
    pytest.importorskip("matplotlib", reason="has a font with these letters")
    drawn = [changed((60, 90), (30, 5, 50, 60), captions=[text]) for text in ("öö", "ßß", "oo")]
    assert (drawn[0] != drawn[1]).any() and (drawn[0] != drawn[2]).any(), "no two empty squares"


def test_without_a_font_of_the_system(monkeypatch):
    truetype = drawn_boxes.ImageFont.truetype

    def missing(font, *rest, **options):
        if isinstance(font, str | Path):
            raise OSError
        return truetype(font, *rest, **options)  # the font inside Pillow

    monkeypatch.setattr(drawn_boxes.ImageFont, "truetype", missing)
    assert changed((60, 90), (30, 5, 50, 60), captions=["größer 猫"]).any()


def test_boxes_far_outside_do_no_harm():
    far = 1e30
    assert changed((50, 60), (-far, -far, far, far))[:, 0].all()
    changed((50, 60), (far, far, far, far), (9, 9, 3, 3))
    changed((50, 60), (far, 0, far, far, 0.3), (25, 30, far, far, 1.0))


def test_the_first_box_is_on_top():
    picture = drawn_boxes.draw(
        np.zeros((100, 100, 3), "uint8"), np.array([[50, 0, 99, 50]] * 2), ["", ""], [RED, (0, 0, 255)]
    )
    assert picture[98, 25].tolist() == list(RED)


def test_no_boxes_leave_the_image_unchanged():
    assert not changed((9, 9)).any()
