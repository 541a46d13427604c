import numpy as np
import pytest

from kvision import checks
from kvision.ops import boxes as ops_boxes


def some(count: int, *, seed: int = 0, size: float = 100.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    start = random.uniform(0, size, (count, 2))
    return np.concatenate([start, start + random.uniform(0.5, size, (count, 2))], 1).astype("float32")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("yxyx", (20, 10, 60, 40)),
        ("xyxy", (10, 20, 40, 60)),
        ("voc", (11, 21, 40, 60)),
        ("coco", (10, 20, 30, 40)),
        ("yolo", (0.125, 0.4, 0.15, 0.4)),
        ("normalized", (0.2, 0.05, 0.6, 0.2)),
        ("center", (40, 25, 40, 30)),
    ],
)
def test_every_format_describes_the_same_box(name, values):
    ours = np.array([[20.0, 10.0, 60.0, 40.0]])
    assert np.allclose(ops_boxes.convert([values], name, "yxyx", size=(100, 200)), ours, atol=1e-4)
    assert np.allclose(ops_boxes.convert(ours, "yxyx", name, size=(100, 200)), [values], atol=1e-4)


def test_every_pair_of_formats_goes_there_and_back():
    found = some(20)
    for source in ops_boxes.FORMATS:
        start = ops_boxes.convert(found, "yxyx", source, size=(300, 250))
        for target in ops_boxes.FORMATS:
            there = ops_boxes.convert(start, source, target, size=(300, 250))
            assert np.allclose(ops_boxes.convert(there, target, "yxyx", size=(300, 250)), found, atol=1e-3)


def test_shares_need_the_size():
    with pytest.raises(checks.UserError, match="`size`"):
        ops_boxes.convert(some(1), "yxyx", "yolo")
    with pytest.raises(checks.UserError, match="Did you mean 'coco'"):
        ops_boxes.convert(some(1), "coc", "yxyx")


def test_iou_is_the_share_of_random_points():
    a, b = some(6, seed=1), some(5, seed=2)
    points = np.random.default_rng(3).uniform(0, 200, (400_000, 1, 2))
    in_a, in_b = (((points >= x[:, :2]) & (points < x[:, 2:])).all(-1) for x in (a, b))
    both = (in_a[:, :, None] & in_b[:, None]).mean(0)
    either = (in_a[:, :, None] | in_b[:, None]).mean(0)
    share = both / either
    error = np.sqrt(share * (1 - share) / (either * len(points)))
    assert (np.abs(np.asarray(ops_boxes.iou(a, b)) - share) <= 4 * error + 1e-4).all()


def test_iou_of_nested_disjoint_and_empty_boxes():
    outer, inner, far, empty = [[0, 0, 10, 10]], [[2, 2, 7, 6]], [[20, 20, 30, 30]], [[3, 3, 3, 3]]
    assert np.allclose(ops_boxes.iou(outer, inner), 0.2)
    assert np.asarray(ops_boxes.iou(outer, far)) == 0 == np.asarray(ops_boxes.iou(empty, empty))
    batched = np.asarray(ops_boxes.iou(np.stack([some(3), some(3, seed=1)]), np.stack([some(4), some(4, seed=2)])))
    assert np.allclose(batched[1], ops_boxes.iou(some(3, seed=1), some(4, seed=2)))


def test_giou_and_ciou_against_their_equations():
    for a, b in zip(some(40, seed=1), some(40, seed=2), strict=True):
        low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
        common = np.prod(np.maximum(high - low, 0))
        sides = [x[2:] - x[:2] for x in (a, b)]
        union = np.prod(sides[0]) + np.prod(sides[1]) - common
        hull = np.maximum(a[2:], b[2:]) - np.minimum(a[:2], b[:2])
        assert np.allclose(ops_boxes.giou(a, b), common / union - (np.prod(hull) - union) / np.prod(hull), atol=1e-5)
        centers = [(x[2:] + x[:2]) / 2 for x in (a, b)]
        shape = 4 / np.pi**2 * (np.arctan(sides[1][1] / sides[1][0]) - np.arctan(sides[0][1] / sides[0][0])) ** 2
        weight = shape / (1 - common / union + shape)
        distance = ((centers[0] - centers[1]) ** 2).sum() / (hull**2).sum()
        assert np.allclose(ops_boxes.ciou(a, b), common / union - distance - weight * shape, atol=1e-5)


def test_encode_and_decode_are_inverse_and_flips_commute():
    boxes, references = some(200, seed=1), some(200, seed=2)
    boxes[:50], references[50:60] = boxes[:50] * 50, boxes[50:60]
    deltas = np.asarray(ops_boxes.encode(boxes, references))
    assert np.allclose(ops_boxes.decode(deltas, references), boxes, rtol=1e-4, atol=1e-3)
    assert np.allclose(deltas[50:60], 0, atol=1e-6)
    height, width = (references[:, i + 2] - references[:, i] for i in range(2))
    center = (boxes[:, 0] + boxes[:, 2] - references[:, 0] - references[:, 2]) / 2
    assert np.allclose(deltas[:, 0], center / height, rtol=1e-4, atol=1e-4)
    assert np.allclose(deltas[:, 3], np.log((boxes[:, 3] - boxes[:, 1]) / width), rtol=1e-4, atol=1e-4)
    mirrored = ops_boxes.encode(ops_boxes.flip(boxes, 640), ops_boxes.flip(references, 640))
    assert np.allclose(mirrored, deltas * [1, -1, 1, 1], rtol=1e-3, atol=1e-3)


def test_clip_and_transform():
    assert np.allclose(ops_boxes.clip([[-5, 2, 50, 300]], (40, 200)), [[0, 2, 40, 200]])
    box = np.array([[10.0, 20.0, 30.0, 60.0]])
    mirror = [[-1, 0, 100], [0, 1, 0], [0, 0, 1]]
    assert np.allclose(ops_boxes.transform(box, mirror), ops_boxes.flip(box, 100))
    quarter = [[0, -1, 50], [1, 0, 0], [0, 0, 1]]  # x' = 50 - y, y' = x
    assert np.allclose(ops_boxes.transform(box, quarter), [[20, 20, 60, 40]])
    far = [[1, 0, 0], [0, 1, 0], [0.01, 0, 1]]
    corners = np.array([[x / (1 + 0.01 * x), y / (1 + 0.01 * x)] for x in (20, 60) for y in (10, 30)])
    expected = [*corners.min(0)[::-1], *corners.max(0)[::-1]]
    assert np.allclose(ops_boxes.transform(box, far), [expected], atol=1e-4)


def test_area():
    assert np.asarray(ops_boxes.area(np.array([[0, 0, 2, 3], [2, 2, 1, 5]], "float32"))).tolist() == [6, 0]
