"""The functions before they are exported; tests/tasks/test_detection.py has the files."""

import keras
import numpy as np
import pytest
from detectors import CELL, LIMIT, detector, scene

from kvision.export import saved_model
from kvision.pixels import graph
from kvision.tasks import detection_signatures
from kvision.tasks.parts import png


def half(image):
    import tensorflow as tf

    assert image.dtype == tf.uint8
    return graph.fit(image, 64)


@pytest.mark.parametrize("rotated", [False, True])
def test_boxes_of_files_are_in_their_pixels(rotated):
    import tensorflow as tf

    model = detector(rotated=rotated)
    functions = detection_signatures.functions(model)
    found = detection_signatures.served(model, functions, half)
    assert list(found) == ["serving_default", "predict", "serve_bytes"] and found["predict"] is found["serving_default"]
    image = scene((128, 96), [(32, 16, "red")], side=16)
    rows = {name: value.numpy() for name, value in found["serve_bytes"](tf.constant([png(image), b""])).items()}
    box = [40, 24, 16, 12, 0.5] if rotated else [32, 16, 48, 32]
    np.testing.assert_allclose(rows["boxes"][0, 0], box, rtol=1e-5)
    assert rows["labels"][:, 0].tolist() == [1, -1] and rows["valid"].tolist() == [True, False]
    assert rows["labels"].dtype == np.int32 and rows["scores"].shape == (2, LIMIT) and not rows["scores"][1].any()
    small = functions["predict"](tf.constant(image[None, ::2, ::2], tf.float32))
    direct = found["predict"](tf.constant(image[None, ::2, ::2], tf.float32))
    np.testing.assert_array_equal(small["detections"][..., :-2], direct["boxes"])
    np.testing.assert_allclose(direct["boxes"][0, 0], np.multiply(box, 0.5 if not rotated else [0.5] * 4 + [1]))


def test_the_weights_are_held_once(tmp_path):
    import tensorflow as tf

    image = keras.Input((None, None, 3), name="image")
    wide = keras.layers.Conv2D(3, 1, name="last")(keras.layers.Conv2D(3, 301, padding="same", name="wide")(image))
    rows = detector().get_layer("rows")(keras.layers.AveragePooling2D(CELL, CELL // 2)(wide))
    model = keras.Model(image, rows)
    functions = detection_signatures.functions(model)
    saved_model._write_saved_model(model, detection_signatures.served(model, functions, half), tmp_path)
    shapes = [shape for _, shape in tf.train.list_variables(str(tmp_path / "variables/variables"))]
    assert shapes.count([301, 301, 3, 3]) == 1
    assert (tmp_path / "saved_model.pb").stat().st_size < 301 * 301 * 9 * 4 / 3, "no copy in the graph"
