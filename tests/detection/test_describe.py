import sys

import numpy as np
import pytest
from rcnns import CLASSES, drawn, networks

import kvision as kv
from kvision.detection import describe, learn_boxes, learn_classes
from kvision.objects import Objects
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

ROWS: list[list[tuple]] = [
    [(10, 10, 40, 50, 1), (12, 20, 44, 60, 0)],
    [],
    [(5, 5, 30, 30, 0), (30, 40, 60, 70, 1)],
]
IMAGES = drawn(*ROWS)


def proposals(seed: int = 0, count: int = 40) -> list[np.ndarray]:
    """Boxes near the objects and elsewhere; the last image has none."""
    random, found = np.random.default_rng(seed), []
    for objects in IMAGES.objects:
        centers = np.concatenate([objects.boxes, [[0, 0, 20, 30]]])
        boxes = centers[random.integers(0, len(centers), count)] + random.uniform(-9, 9, (count, 4))
        found.append(boxes.clip(0, 63).astype("float32"))
    found[2] = np.zeros((0, 4), "float32")
    return found


@pytest.mark.parametrize("difficult", [False, True])
def test_labels_and_pairs_equal_brute_force(difficult):
    images, given = drawn(*ROWS, difficult=difficult), proposals()
    found = describe(networks(), images, given, progress=False)
    assert len(found) == 3
    for i, element in enumerate(found):
        objects = images.objects[i]
        own = [j for j in range(len(objects.labels)) if not objects.difficult[j]]
        boxes = np.concatenate([objects.boxes[own], given[i]])
        answer = networks().describe({"image": images.images[i][None].astype("float32"), "boxes": boxes[None]})
        np.testing.assert_allclose(element["feature"], answer["feature"][0], atol=1e-4)
        overlap = np.asarray(plain.iou(boxes, objects.boxes)).reshape(len(boxes), len(objects.labels))
        pairs = []
        for row in range(len(boxes)):
            for label in range(len(CLASSES)):
                shares = [overlap[row, j] for j in range(len(objects.labels)) if objects.labels[j] == label]
                expected = -1 if max(shares, default=0) < 0.3 else 0
                if row < len(own) and objects.labels[own[row]] == label:
                    expected = 1
                assert element["labels"][row, label] == expected
            best = max(own, key=lambda j: overlap[row, j], default=None)
            if row >= len(own) and best is not None and overlap[row, best] > 0.6:
                pairs.append((row, best))
        assert len(element["deltas"]) == len(pairs) and (i > 0 or len(pairs) > 3)
        for place, (row, j) in enumerate(pairs):
            np.testing.assert_allclose(element["deltas"][place], plain.encode(objects.boxes[j], boxes[row]), atol=1e-5)
            np.testing.assert_allclose(element["map"][place], answer["map"][0, row], atol=0.02)
            assert element["classes"][place] == objects.labels[j]
    assert {-1, 0, 1} == set(np.unique(found[0]["labels"])) and set(np.unique(found[1]["labels"])) == {-1}


class Counted:
    """Counts the calls of the network."""

    def __init__(self, stops_at: int | None = None):
        self.calls, self.stops_at, self.crop = 0, stops_at, "roi"
        self.describe, self.output = self, networks().describe.output

    def predict_on_batch(self, inputs):
        self.calls += 1
        if self.calls == self.stops_at:
            raise KeyboardInterrupt
        return networks().describe.predict_on_batch(inputs)


def test_files_are_reused_and_a_killed_run_leaves_no_half_file(tmp_path):
    expected = describe(networks(), IMAGES, proposals(), progress=False)
    killed, rest, none = Counted(2), Counted(), Counted()
    with pytest.raises(KeyboardInterrupt):
        describe(killed, IMAGES, proposals(), folder=tmp_path / "new", progress=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["0.npz"]
    for counted, calls in ((rest, 2), (none, 0)):
        found = describe(counted, IMAGES, proposals(), folder=tmp_path / "new", progress=False)
        assert counted.calls == calls
        for ours, theirs in zip(found, expected, strict=True):
            assert set(ours) == set(theirs)
            for name, values in theirs.items():
                np.testing.assert_allclose(ours[name], values, atol=1e-5)
                assert ours[name].dtype == values.dtype


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def half(stream, **arrays):
        stream.write(b"PK")
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="full"):
        describe(networks(), IMAGES, proposals(), folder=tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.npz"))


def test_many_boxes_are_described_in_blocks(monkeypatch):
    expected = describe(networks(), IMAGES, proposals(), progress=False)
    monkeypatch.setitem(sys.modules["kvision.detection.describe"]._BLOCK, "roi", 7)
    found = describe(networks(), IMAGES, proposals(), progress=False)
    for ours, theirs in zip(found, expected, strict=True):
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], atol=2e-3)


def test_an_image_without_objects_and_proposals():
    (element,) = describe(networks(), drawn([]), [np.zeros((0, 4), "float32")], progress=False)
    width = networks().describe.output["map"].shape[-1]
    shapes = {"feature": (0, 8), "labels": (0, 2), "map": (0, width), "deltas": (0, 4), "classes": (0,)}
    assert {name: values.shape for name, values in element.items()} == shapes


def test_rotated_boxes():
    images, box = drawn([]), np.array([[30.0, 40.0, 20.0, 40.0, 0.4]], "float32")
    images.objects = [Objects(box, np.array([1], "int32"))]
    given = np.concatenate([box + np.array([1, 1, 1, 2, 0.05]), [[10, 10, 8, 8, 0]]]).astype("float32")
    (element,) = describe(networks(rotated=True), images, [given], progress=False)
    assert element["labels"].tolist() == [[-1, 1], [-1, 0], [-1, -1]] and element["classes"].tolist() == [1]
    np.testing.assert_allclose(element["deltas"], rotated_boxes.encode(box, given[:1]), atol=1e-5)


def test_svm_and_box_regression_learn_from_it():
    found = describe(networks(), IMAGES, proposals(), progress=False)
    svm, ridge = learn_classes(found, progress=False), learn_boxes(found, len(CLASSES))
    assert svm.kernel_.shape == (8, 2) and ridge.bias_.shape == (2, 4) and (svm.bias_ > -1e4).all()
    features, labels = (np.concatenate([one[name] for one in found]) for name in ("feature", "labels"))
    scores = svm.decision_function(features)
    for label in range(2):
        positive, negative = (scores[labels[:, label] == sign, label].mean() for sign in (1, -1))
        assert positive > negative


def test_proposals_have_an_area():
    found = kv.detection.propose(networks(), IMAGES, 20, progress=False)
    expected = np.asarray(networks().proposals(20)(IMAGES.images[0][None].astype("float32")))[0]
    assert len(found) == 3 and 0 < len(found[0]) <= 20
    assert all((boxes[:, 2:] > boxes[:, :2]).all() for boxes in found)
    np.testing.assert_allclose(found[0], expected[(expected[:, 2:] > expected[:, :2]).all(1)], atol=1e-2)
