import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kvision import checks
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes, suppression


def brute_force(overlap: np.ndarray, scores: np.ndarray) -> list[bool]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if not any(overlap[i, j] for j in kept):
            kept.append(int(i))
    return [i in kept for i in range(len(scores))]


def cases(count: int):
    """Boxes on a coarse grid with few different scores: ties, equal boxes, empty boxes, overlaps of exactly iou."""
    random = np.random.default_rng(0)
    for _ in range(count):
        n = int(random.integers(0, 30))
        start = random.integers(0, 60, (n, 2))
        boxes = np.concatenate([start, start + random.integers(0, 40, (n, 2))], 1).astype("float32")
        yield boxes, (random.integers(0, 10, n) / 10).astype("float32"), float(random.choice([0, 0.25, 0.5, 1 / 3]))


def test_nms_equals_brute_force_on_both_paths():
    for boxes, scores, iou in cases(60):
        overlap = np.asarray(plain.iou(boxes, boxes)).reshape(len(boxes), len(boxes)) > np.float32(iou)
        expected = brute_force(overlap, scores)
        assert np.asarray(suppression.nms(boxes, scores, iou=iou)).tolist() == expected
        assert np.asarray(suppression._greedy(tf.constant(overlap), tf.constant(scores))).tolist() == expected


def test_each_class_is_treated_by_itself():
    random = np.random.default_rng(0)
    start = random.uniform(0, 50, (40, 3, 2))
    boxes = np.concatenate([start, start + 20], 2).astype("float32")
    scores = random.uniform(0, 1, (40, 3)).astype("float32")
    own, shared = suppression.nms(boxes, scores), suppression.nms(boxes[:, 0], scores)
    for i in range(3):
        assert np.array_equal(own[:, i], suppression.nms(boxes[:, i], scores[:, i]))
        assert np.array_equal(shared[:, i], suppression.nms(boxes[:, 0], scores[:, i]))


def test_order_of_the_boxes_does_not_matter():
    boxes, scores, _ = next(case for case in cases(50) if len(case[1]) > 20)
    scores = np.random.default_rng(1).permutation(len(scores)).astype("float32")
    order = np.random.default_rng(2).permutation(len(scores))
    kept = np.asarray(suppression.nms(boxes, scores, iou=0.3))
    assert np.array_equal(suppression.nms(boxes[order], scores[order], iou=0.3), kept[order])


def test_rotated_nms_equals_brute_force():
    random = np.random.default_rng(0)
    boxes = np.stack([random.uniform(low, high, 60) for low, high in ((0, 50), (0, 50), (5, 30), (5, 30), (-3, 3))], 1)
    scores = random.uniform(0, 1, 60)
    expected = brute_force(np.asarray(rotated_boxes.iou(boxes, boxes)) > 0.3, scores)
    assert np.asarray(suppression.rotated_nms(boxes, scores, iou=0.3)).tolist() == expected
    assert not all(expected)


def test_soft_nms_against_its_algorithm():
    random = np.random.default_rng(0)
    start = random.uniform(0, 30, (25, 2))
    boxes, scores = np.concatenate([start, start + 20], 1), random.uniform(0, 1, 25)
    overlap, expected, waiting = np.asarray(plain.iou(boxes, boxes)), scores.copy(), list(range(25))
    while waiting:
        best = max(waiting, key=lambda i: expected[i])
        waiting.remove(best)
        for i in waiting:
            expected[i] *= np.exp(-(overlap[best, i] ** 2) / 0.5)
    assert np.allclose(suppression.soft_nms(boxes, scores), expected, atol=1e-5)
    assert len(np.asarray(suppression.soft_nms(np.zeros((0, 4)), np.zeros(0)))) == 0


def test_all_become_tflite_models_of_built_in_operations():
    from ai_edge_litert.interpreter import Interpreter

    def all_three(boxes, scores):
        turned = tf.concat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2] + 1, scores[:, None]], 1)
        kept = suppression.nms(boxes, scores), suppression.rotated_nms(turned, scores)
        return [*(tf.cast(mask, tf.float32) for mask in kept), suppression.soft_nms(boxes, scores)]

    specs = [tf.TensorSpec((30, 4), tf.float32), tf.TensorSpec((30,), tf.float32)]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([tf.function(all_three).get_concrete_function(*specs)])
    interpreter = Interpreter(model_content=converter.convert())
    random = np.random.default_rng(0)
    start = random.uniform(0, 40, (30, 2))
    boxes = np.concatenate([start, start + 15], 1).astype("float32")
    scores = random.uniform(0, 1, 30).astype("float32")
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], scores if len(detail["shape"]) == 1 else boxes)
    interpreter.invoke()
    found = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
    for expected in all_three(tf.constant(boxes), tf.constant(scores)):
        assert any(np.allclose(one, expected, atol=1e-5) for one in found)


def test_iou_and_sigma_are_checked():
    with pytest.raises(checks.UserError, match="`iou`"):
        suppression.nms(np.zeros((1, 4)), np.zeros(1), iou=1.5)
    with pytest.raises(checks.UserError, match="`sigma`"):
        suppression.soft_nms(np.zeros((1, 4)), np.zeros(1), sigma=0)


def test_on_jax():
    code = (
        "import numpy as np; from kvision.ops import suppression as s;"
        "b = np.array([[0, 0, 9, 9], [0, 0, 9, 10], [20, 20, 30, 30]], 'float32'); x = np.array([.7, .9, .1]);"
        "assert np.asarray(s.nms(b, x)).tolist() == [False, True, True];"
        "assert np.asarray(s.soft_nms(b, x))[0] < .2"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})


def test_nms_keeps_boxes_without_area_also_in_tflite():
    import tensorflow as tf

    from kvision.export import litert

    boxes = np.array([[0, 0, 9, 9], [5, 5, 5, 8], [5, 5, 5, 8], [0, 0, 9, 8], [20, 20, 29, 29]], "float32")
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], "float32")
    expected = [True, True, True, False, True]
    assert np.asarray(suppression.nms(boxes, scores, iou=0.5)).tolist() == expected

    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float32, name="rows")], autograph=False)
    def predict(rows):
        return suppression.nms(rows[:, :4], rows[:, 4], iou=0.5)

    lite = litert.interpreter(litert.run_converter(litert.converter(predict)))
    rows = np.concatenate([boxes, scores[:, None], scores[:, None]], 1)
    lite.resize_tensor_input(lite.get_input_details()[0]["index"], rows.shape)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], rows)
    lite.invoke()
    assert lite.get_tensor(lite.get_output_details()[0]["index"]).tolist() == expected
