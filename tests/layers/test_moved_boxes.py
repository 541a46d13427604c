import keras
import numpy as np

import kvision as kv
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

IMAGES = np.zeros((2, 50, 60, 3), "float32")


def some(columns: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    first, last = random.uniform(0, 20, (2, 5, 3, 2)), random.uniform(22, 45, (2, 5, 3, 2))
    return np.concatenate([first, last, random.uniform(-1.5, 1.5, (2, 5, 3, 1))], -1).astype("float32")[..., :columns]


def test_it_undoes_encode():
    for columns, geometry in ((4, plain), (5, rotated_boxes)):
        proposals, objects = some(columns, 1)[:, :, 0], some(columns, 2)
        deltas = geometry.encode(objects, np.repeat(proposals[:, :, None], 3, 2))
        moved = kv.layers.MovedBoxes()(proposals, deltas, IMAGES)
        np.testing.assert_allclose(moved, objects, atol=1e-3)
        assert np.abs(np.asarray(moved) - proposals[:, :, None]).max() > 5, "control"


def test_without_deltas_boxes_stay_and_are_cut_at_the_image():
    boxes = np.array([[[-5.0, 10.0, 70.0, 20.0]]], "float32")
    moved = np.asarray(kv.layers.MovedBoxes()(boxes, np.zeros((1, 1, 2, 4), "float32"), IMAGES[:1]))
    np.testing.assert_allclose(moved, [[[[0, 10, 50, 20]] * 2]], atol=1e-5)
    turned = np.array([[[-5.0, 10.0, 70.0, 20.0, 0.2]]], "float32")
    moved = np.asarray(kv.layers.MovedBoxes()(turned, np.zeros((1, 1, 1, 5), "float32"), IMAGES[:1]))
    np.testing.assert_allclose(moved[:, :, 0], turned, atol=1e-5)


def test_large_deltas_stay_finite():
    for columns in (4, 5):
        deltas = np.full((2, 5, 3, columns), 1e4, "float32")
        assert np.isfinite(kv.layers.MovedBoxes()(some(columns, 1)[:, :, 0], deltas, IMAGES)).all()


def test_a_model_with_it_is_saved(tmp_path):
    inputs = keras.Input((None, 4)), keras.Input((None, 3, 4)), keras.Input((None, None, 3))
    model = keras.Model(inputs, kv.layers.MovedBoxes()(*inputs))
    assert model.output_shape == (None, None, 3, 4)
    model.save(tmp_path / "x.keras")
    values = [some(4, 1)[:, :, 0], 0.01 * some(4, 2), IMAGES]
    np.testing.assert_array_equal(kv.load_model(tmp_path / "x.keras")(values), model(values))
