import numpy as np
import pytest
from detections import scenes

from kvision import checks
from kvision.metrics import detection_errors, match
from kvision.objects import Objects

BOX = [0.0, 0.0, 10.0, 10.0]  # the object of most tests; class 0


def beside(share: float) -> list[float]:
    """A box whose intersection over union with `BOX` is `share`."""
    overlap = 20 * share / (1 + share)
    return [0.0, 10 - overlap, 10.0, 20 - overlap]


def objects(*boxes, labels=None, **options) -> Objects:
    labels = [0] * len(boxes) if labels is None else labels
    return Objects(
        np.array(boxes, "float32").reshape(len(boxes), len(boxes[0]) if boxes else 4),
        np.array(labels, "int32"),
        **options,
    )


def outcome(box, label=0, drawn=None, **options) -> list[str]:
    """The kinds of a detection with the score .9, beside the object and a detection that is right."""
    drawn = objects(BOX) if drawn is None else drawn
    found = objects(box, labels=[label], scores=np.array([0.9]))
    total = detection_errors([found], [drawn], 2, **options).total
    return [name for name, count in total.items() for _ in range(count)]


def test_each_kind_worked_by_hand():
    assert outcome(beside(0.6)) == ["right"]
    assert outcome(beside(0.6), label=1) == ["confusion", "missed"]
    assert outcome(beside(0.4)) == ["localization", "missed"]
    assert outcome(beside(0.4), label=1) == ["both", "missed"]
    assert outcome(beside(0.05)) == ["background", "missed"]
    assert outcome([50, 50, 60, 60]) == ["background", "missed"]
    assert outcome(BOX, threshold=0.95) == ["missed"]
    assert outcome(BOX, threshold=0.9) == ["right"]


def test_the_larger_score_is_right_and_the_other_is_a_duplicate():
    found = objects(beside(0.6), BOX, BOX, labels=[0, 0, 1], scores=np.array([0.9, 0.8, 0.7]))
    counts = detection_errors([found], [objects(BOX)], 2).counts
    assert {name: count.tolist() for name, count in counts.items() if count.any()} == {
        "right": [1, 0],
        "duplicate": [1, 0],
        "confusion": [0, 1],
    }
    two = objects(BOX, beside(0.7), labels=[0, 0])
    assert detection_errors([found], [two], 2).total["right"] == 2, "the free object is taken"


def test_a_confusion_goes_before_a_localization():
    drawn = objects(BOX, beside(0.3), labels=[1, 0])
    assert outcome(BOX, drawn=drawn) == ["confusion", "missed", "missed"]


def test_difficult_objects_count_nowhere():
    hard = objects(BOX, difficult=np.array([True]))
    for share, label in ((0.6, 0), (0.6, 1), (0.4, 0), (0.4, 1)):
        assert outcome(beside(share), label, hard) == []
    assert outcome(beside(0.05), drawn=hard) == ["background"]
    sure = objects(BOX, beside(0.8), difficult=np.array([False, True]))
    assert outcome(beside(0.8), drawn=sure) == ["right"], "an object that is not difficult goes first"


def test_rotated_boxes():
    drawn = objects([50, 50, 10, 40, 0.5])
    assert outcome([50, 50, 10, 40, 0.5], drawn=drawn) == ["right"]
    assert outcome([50, 50, 10, 40, 0.5 + np.pi / 2], drawn=drawn) == ["localization", "missed"]  # IoU 1/7
    assert outcome([50, 50, 40, 10, 0.5 + np.pi / 2], drawn=drawn) == ["right"]


def test_counts_add_up_and_agree_with_the_average_precision():
    drawn, found = scenes(40, difficult=True)
    errors = detection_errors(found, drawn, 3, threshold=0.3)
    confident = [Objects(*(part[one.scores >= 0.3] for part in one[:3])) for one in found]
    for label in range(3):
        matches = match(confident, drawn, label)
        assert errors.counts["right"][label] == matches.found.sum()
        assert errors.counts["right"][label] + errors.counts["missed"][label] == matches.objects.sum()
    counted = sum(errors.total.values()) - errors.total["missed"]
    assert 0 < counted < sum(len(one.labels) for one in confident)
    everyone = detection_errors(found, [one._replace(difficult=None) for one in drawn], 3, threshold=-1)
    assert sum(everyone.total.values()) - everyone.total["missed"] == sum(len(one.labels) for one in found)
    assert all(everyone.total[name] for name in ("right", "duplicate", "confusion", "localization", "background"))


def test_no_objects_and_no_detections():
    nothing, empty = objects(), objects(scores=np.zeros(0))
    assert not any(detection_errors([empty], [nothing], 2).total.values())
    assert detection_errors([empty], [objects(BOX)], 2).counts["missed"].tolist() == [1, 0]
    assert outcome(BOX, 1, nothing) == ["background"]
    with pytest.raises(checks.UserError, match="`found`"):
        detection_errors([], [nothing], 2)
