import numpy as np
import pytest
import tensorflow as tf
from rcnns import CLASSES, networks, noise

import kvision as kv
from kvision.checks import UserError
from kvision.export.litert import Runner
from kvision.heads import BoxRidge, MinedSVM
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

BOXES = np.array([[[4, 6, 40, 50], [0, 0, 60, 46], [50, 30, 65, 47], [3, 7, 42, 47], [0, 0, 0, 0]]], "float32")


def svm(scale: float = 3.0) -> MinedSVM:
    random = np.random.default_rng(0)
    return MinedSVM.from_arrays(random.normal(0, scale, (8, len(CLASSES))), np.array([0.3, -0.2]))


def ridge(width: int, columns: int = 4) -> BoxRidge:
    kernel = np.random.default_rng(1).normal(0, 0.02, (width, len(CLASSES) * columns))
    return BoxRidge.from_arrays(kernel, np.full((len(CLASSES), columns), 0.05))


@pytest.mark.parametrize("rotated", [False, True])
def test_equals_its_parts_in_numpy(rotated):
    found, image, boxes = networks(learned=False, rotated=rotated), noise(1, 65, 47), BOXES
    if rotated:
        boxes = np.concatenate([(BOXES[..., :2] + BOXES[..., 2:]) / 2, BOXES[..., 2:] - BOXES[..., :2]], -1)
        boxes = np.concatenate([boxes, np.full((1, 5, 1), 0.3)], -1).astype("float32")
    parts = {name: np.asarray(value)[0] for name, value in found.describe({"image": image, "boxes": boxes}).items()}
    size, classifier, regression = boxes.shape[-1], svm(), ridge(parts["map"].shape[-1], boxes.shape[-1])
    model = kv.detection.detector(found, None, svm=classifier, ridge=regression, iou=0.2, limit=20)
    assert model.output_shape == (None, 20, size + 2)
    rows = np.asarray(model({"image": image, "boxes": boxes}))[0]
    scores = 1 / (1 + np.exp(-classifier.decision_function(parts["feature"]).astype("float64")))
    scores[4] = 0  # no proposal
    expected = []
    for label in range(2):
        deltas = regression.predict(parts["map"])[:, label]
        geometry = rotated_boxes if rotated else plain
        moved = np.asarray(geometry.decode(deltas, boxes[0]))
        if not rotated:
            moved = moved.clip(0, [65, 47, 65, 47])
        kept: list[int] = []
        for i in np.argsort(-scores[:, label]):
            if scores[i, label] >= 0.01 and not (np.asarray(geometry.iou(moved[i : i + 1], moved[kept])) > 0.2).any():
                kept.append(i)
        expected += [(*moved[i], scores[i, label], label) for i in kept]
    expected = np.array(sorted(expected, key=lambda row: -row[-2]))
    assert len(expected) > 2
    np.testing.assert_allclose(rows[: len(expected)], expected, atol=1e-3)
    assert (rows[len(expected) :, -1] == -1).all() and not rows[len(expected) :, :-1].any()


def test_without_svm_and_ridge_the_network_scores_the_proposals():
    found, image = networks(learned=False), noise(1, 65, 47)
    rows = np.asarray(kv.detection.detector(found, None, iou=1.0)({"image": image, "boxes": BOXES}))[0]
    logits = np.asarray(found.describe({"image": image, "boxes": BOXES})["logits"])[0]
    scores = np.asarray(tf.nn.softmax(logits))[:4, 1:]
    used = rows[rows[:, -1] >= 0]
    assert len(used) == (scores >= 0.01).sum() > 4
    for *box, score, label in used:
        i = int(np.abs(BOXES[0] - box).sum(-1).argmin())
        assert box == BOXES[0, i].tolist() and score == pytest.approx(scores[i, int(label)], abs=1e-4)


def test_an_image_without_proposals():
    found = networks(learned=False)
    width = found.describe.output["map"].shape[-1]
    for options in ({}, {"svm": svm(), "ridge": ridge(width)}):
        model = kv.detection.detector(found, None, limit=5, **options)
        rows = np.asarray(model({"image": noise(1, 64, 48), "boxes": BOXES[:, :0]}))
        assert rows.tolist() == [[[0, 0, 0, 0, 0, -1]] * 5]


def test_there_must_be_proposals():
    with pytest.raises(UserError, match="learned=True"):
        kv.detection.detector(networks(learned=False), 10)


@pytest.mark.parametrize("kind", ["plain", "rotated"])
def test_files_answer_as_keras_at_odd_sizes(kind, tmp_path):
    found = networks(rotated=kind == "rotated")
    width = found.describe.output["map"].shape[-1]
    if kind == "plain":
        model = kv.detection.detector(found, 20, svm=svm(), ridge=ridge(width), limit=30)
    else:
        grid = kv.layers.Grid([[0.3, 0.3, 0.3, 0.6, 0.5], [0.3, 0.4, 0.6, 0.3, 2.1], [0.5, 0.5, 1, 1, 0]])
        model = kv.detection.detector(found, grid, ridge=ridge(width, 5), limit=30)
    task = kv.tasks.Detection(CLASSES, longest_side=128)
    version = kv.export.write(model, tmp_path / "models", task=task)
    served, lite = (
        tf.saved_model.load(str(version)).signatures["predict"],
        Runner(version / "assets.extra/model.tflite"),
    )
    model.save(tmp_path / "x.keras")
    again = kv.load_model(tmp_path / "x.keras")
    for size in ((65, 47), (96, 128)):
        image = noise(1, *size)
        expected = np.asarray(model(image, training=False))
        assert (expected[0, :, -1] >= 0).sum() > 1
        np.testing.assert_allclose(again(image, training=False), expected, atol=1e-3)
        np.testing.assert_allclose(lite(image)["detections"], expected, atol=0.02)
        both = served(image=tf.constant(np.concatenate([image, image])))
        np.testing.assert_allclose(both["boxes"][1], expected[0, :, :-2], atol=0.02)
        assert both["labels"][0].numpy().tolist() == expected[0, :, -1].tolist()
