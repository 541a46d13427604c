import contextlib
import io

import numpy as np
import pytest
from detections import CLASSES, scenes

from kvision import checks
from kvision.metrics import average_precision, match
from kvision.objects import Objects


def pycocotools(drawn: list[Objects], found: list[Objects]) -> np.ndarray:
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")

    def rows(objects):
        for image, one in enumerate(objects):
            for i, (top, left, bottom, right) in enumerate(one.boxes.astype(float)):
                box = [left, top, right - left, bottom - top]
                row = {"image_id": image, "category_id": int(one.labels[i]), "bbox": box, "area": box[2] * box[3]}
                yield row | ({"iscrowd": 0} if one.scores is None else {"score": float(one.scores[i])})

    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(len(drawn))],
            "categories": [{"id": i} for i in range(CLASSES)],
            "annotations": [{"id": i + 1, **row} for i, row in enumerate(rows(drawn))],
        }
        truth.createIndex()
        run = evaluation.COCOeval(truth, truth.loadRes(list(rows(found))), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


def test_equals_pycocotools():
    drawn, found = scenes(60)
    ours = average_precision(found, drawn, CLASSES)
    stats = pycocotools(drawn, found)
    assert abs(ours.mean - stats[0]) < 1e-6
    assert abs(ours.at(0.5) - stats[1]) < 1e-6
    assert abs(ours.at(0.75) - stats[2]) < 1e-6
    assert 0.1 < ours.mean < 0.9


def boxes(*lefts: float) -> np.ndarray:
    return np.array([[0, left, 10, left + 10] for left in lefts], "float32").reshape(-1, 4)


def objects(*lefts: float, scores=None, difficult=None) -> Objects:
    return Objects(boxes(*lefts), np.zeros(len(lefts), int), scores, difficult)


def test_three_boxes_worked_by_hand():
    # ranks: right, wrong, right; of 3 objects. Precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
    drawn, found = [objects(0, 50, 100)], [objects(0, 200, 51, scores=np.array([0.9, 0.8, 0.7]))]
    values = {m: average_precision(found, drawn, 1, ious=[0.5], method=m).mean for m in ("voc07", "voc10", "coco")}
    assert np.isclose(values["voc07"], (4 * 1 + 3 * 2 / 3) / 11)
    assert np.isclose(values["voc10"], 1 / 3 + (1 / 3) * (2 / 3))
    assert np.isclose(values["coco"], (34 * 1 + 33 * 2 / 3) / 101)


@pytest.mark.parametrize("method", ["voc07", "voc10", "coco"])
def test_perfect_is_one_and_every_detection_twice_is_not(method):
    drawn = [objects(0, 50), objects(0)]
    found = [one._replace(scores=np.linspace(0.5, 0.9, len(one.labels))) for one in drawn]
    assert average_precision(found, drawn, 1, method=method).mean == 1
    twice = [Objects(*(np.concatenate([part, part]) for part in one[:3])) for one in found]
    assert average_precision(twice, drawn, 1, method=method).mean < 0.9


def test_voc_gives_a_second_detection_no_other_object():
    drawn = [objects(0, 3)]
    found = [objects(1, 1.2, scores=np.array([0.9, 0.8]))]  # both overlap the first object most
    assert match(found, drawn, 0, method="voc10").found.tolist() == [True, False]
    assert match(found, drawn, 0, method="coco").found.tolist() == [True, True]


def test_difficult_objects_count_neither_way():
    drawn = [objects(0, 50, difficult=np.array([True, False]))]
    found = [objects(0, 50, scores=np.array([0.9, 0.8]))]
    for method in ("voc10", "coco"):
        assert average_precision(found, drawn, 1, ious=[0.5], method=method).mean == 1
        one = match(found, drawn, 0, method=method)
        assert one.ignored.tolist() == [True, False] and one.objects.tolist() == [1]


def test_no_objects_no_detections_and_an_unknown_class():
    none = [objects()], [objects(scores=np.zeros(0))]
    assert np.isnan(average_precision(none[1], none[0], 2).mean)
    assert average_precision(none[1], [objects(0)], 1).mean == 0
    only_wrong = average_precision([objects(0, scores=np.ones(1))], none[0], 1)
    assert np.isnan(only_wrong.mean)


def test_order_of_images_and_of_equal_scores_does_not_matter_much():
    drawn, found = scenes(30)
    order = np.random.default_rng(1).permutation(30)
    shuffled = average_precision([found[i] for i in order], [drawn[i] for i in order], CLASSES).mean
    assert abs(shuffled - average_precision(found, drawn, CLASSES).mean) < 0.02


def test_resampled_values_lie_around_the_value_and_weights_are_copies():
    drawn, found = scenes(40)
    whole = average_precision(found, drawn, CLASSES)
    draws = whole.resampled(200)
    assert draws.shape == (200, 10)
    assert abs(np.median(draws.mean(1)) - whole.mean) < 0.05
    weights = np.random.default_rng(0).integers(0, 3, 40)
    copies = [i for i, times in enumerate(weights) for _ in range(times)]
    for label, (matches, *_) in enumerate(whole.matches):
        repeated = match([found[i] for i in copies], [drawn[i] for i in copies], label)
        assert abs(repeated.value("coco") - matches.value("coco", weights.astype(float))) < 0.03


def test_rotated_boxes_are_compared_as_such():
    drawn = [Objects(np.array([[50, 50, 10, 40, 0.5]], "float32"), np.array([0]))]
    right = [drawn[0]._replace(scores=np.ones(1))]
    assert average_precision(right, drawn, 1).mean == 1
    turned = [right[0]._replace(boxes=right[0].boxes + np.array([0, 0, 0, 0, 1.2], "float32"))]
    assert average_precision(turned, drawn, 1).mean == 0


def test_wrong_arguments():
    with pytest.raises(checks.UserError, match="`method`"):
        match([], [], 0, method="voc12")
    with pytest.raises(checks.UserError, match="`found`"):
        average_precision([], [objects(0)], 1)
