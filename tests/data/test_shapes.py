import numpy as np
import pytest

from kvision.data import shapes


def test_every_shape_fills_its_frame():
    for name, (outline, *holes) in shapes.SHAPES.items():
        np.testing.assert_allclose(outline.max(0), -outline.min(0), atol=1e-9, err_msg=name)
        assert shapes.extent(name).max() == pytest.approx(1)
        for hole in holes:
            assert (np.abs(hole).max(0) < shapes.extent(name)).all()


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_boxes_are_tight(name):
    y, x = np.mgrid[:64, :64] + 0.5
    center = np.array([33.3, 30.6])
    for angle in (0.0, 0.3, -2.0):
        covered, box = shapes.coverage(name, center, 20, angle, 64)
        rows, columns = np.nonzero(covered > 0.05)
        around = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box, around, atol=1)
        # Along its own axes, the shape ends at its extent.
        along = (x - center[0]) * np.cos(angle) + (y - center[1]) * np.sin(angle)
        across = (y - center[1]) * np.cos(angle) - (x - center[0]) * np.sin(angle)
        for distance, half in zip((along, across), 20 * shapes.extent(name), strict=True):
            inside = distance[covered > 0.5]
            tip = (
                2.5 if name in ("star", "arrow", "crescent", "triangle", "hexagon", "heart") else 1
            )  # thin ends are faint
            assert -half - 0.6 < inside.min() < -half + tip and half - tip < inside.max() < half + 0.6


def test_areas():
    area = {name: shapes.coverage(name, np.array([40, 40]), 30, 0.2, 80)[0].sum() / 900 for name in shapes.SHAPES}
    expected = {
        "circle": np.pi,
        "square": 4,
        "ring": np.pi * (1 - 0.36),
        "cross": 4 * 5 / 9,
        "bar": 0.6,
        "star": 10 * 0.2 * np.sin(np.pi / 5) / np.sin(0.4 * np.pi) ** 2,
    }
    for name, value in expected.items():
        assert area[name] == pytest.approx(value, rel=0.03)
    assert 2 < area["heart"] < 3 and 0.8 < area["crescent"] < 1.8


def test_distance_of_colors():
    ends = np.array([[0, 0, 0], [100, 0, 0]])
    for color, expected in {(50, 30, 40): 50, (130, 40, 0): 50, (-3, 4, 0): 5, (70, 0, 0): 0}.items():
        assert shapes.distance(np.array(color), ends) == pytest.approx(expected)
    assert shapes.distance(np.array([3, 4, 0]), np.zeros((2, 3), int)) == 5


def test_the_ground_mixes_two_colors_and_paint_covers_it():
    ends = np.array([[10, 200, 30], [90, 20, 60]])
    picture = shapes.ground(np.random.default_rng(0), ends, 40)
    share = (picture - ends[0]) / (ends[1] - ends[0])
    np.testing.assert_allclose(share, share[..., :1].repeat(3, -1), atol=1e-9)
    assert picture.shape == (40, 40, 3) and share.min() >= 0 and share.max() <= 1 and np.ptp(share) > 0.3
    before, covered = picture.copy(), np.zeros((40, 40))
    covered[5, 6], covered[7, 8] = 1, 0.5
    shapes.paint(picture, covered, np.array([1, 2, 3]))
    np.testing.assert_allclose(picture[5, 6], [1, 2, 3])
    np.testing.assert_allclose(picture[7, 8], (before[7, 8] + [1, 2, 3]) / 2)
    assert (picture != before).any(-1).sum() == 2
