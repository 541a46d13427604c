from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops
from rcnns import drawn, networks

import kvision as kv


def model(columns: int) -> keras.Model:
    """Returns the boxes that it is given, and a row that is not used."""
    inputs = {"image": keras.Input((None, None, 3), name="image"), "boxes": keras.Input((None, columns), name="boxes")}
    boxes = inputs["boxes"]
    rows = ops.concatenate([boxes, 0 * boxes[..., :1] + 0.75, 0 * boxes[..., :1] + 1], -1)
    unused = ops.concatenate([0 * rows[:, :1, :-1], 0 * rows[:, :1, -1:] - 1], -1)
    return keras.Model(inputs, ops.concatenate([rows, unused], 1))


@pytest.mark.parametrize("columns", [4, 5])
def test_boxes_are_in_pixels_of_the_original_image(columns):
    images = drawn([], [])
    images.scale = lambda index: 0.5 if index else 1.0
    boxes = [np.full((2, columns), 8.0, "float32"), np.full((1, columns), 3.0, "float32")]
    first, second = kv.detection.detect(model(columns), images, boxes=boxes, progress=False)
    assert first.boxes.tolist() == boxes[0].tolist() and first.labels.tolist() == [1, 1]
    assert second.boxes.tolist() == [[6] * 4 + [3] * (columns - 4)]  # the angle stays
    assert second.scores.tolist() == [0.75] and second.labels.dtype == "int32"


def test_images_reach_the_model_one_by_one():
    seen = []

    def predict_on_batch(image):
        seen.append(image)
        return np.array([[[0, 0, 0, 0, 0, -1]]], "float32")

    images = drawn([(1, 2, 30, 40, 1)], [])
    found = kv.detection.detect(SimpleNamespace(predict_on_batch=predict_on_batch), images, progress=False)
    assert [len(one.labels) for one in found] == [0, 0] and found[0].boxes.shape == (0, 4)
    for i in range(2):
        np.testing.assert_array_equal(seen[i][0], images.images[i])


@pytest.mark.parametrize("crop", ["roi", "warp"])
def test_images_without_proposals_have_no_objects(crop):
    detector = kv.detection.detector(networks(crop, learned=False), None)
    boxes = [np.zeros((0, 4), "float32"), np.array([[1.0, 2.0, 30.0, 40.0]], "float32")]
    found = kv.detection.detect(detector, drawn([], []), boxes=boxes, progress=False)
    assert len(found[0].labels) == 0 < len(found[1].labels)
