import keras
import numpy as np

from kvision.layers import CropLike


def test_the_corner_remains_whatever_the_size(tmp_path):
    features, reference = keras.Input((None, None, 2)), keras.Input((None, None, 5))
    model = keras.Model([features, reference], CropLike()(features, reference))
    assert model.output_shape == (None, None, None, 2)
    x = np.random.default_rng(0).normal(size=(1, 9, 8, 2)).astype("float32")
    model.save(tmp_path / "model.keras")
    for size in ((9, 8), (7, 3)):
        found = keras.models.load_model(tmp_path / "model.keras").predict_on_batch([x, np.zeros((1, *size, 5))])
        np.testing.assert_array_equal(found, x[:, : size[0], : size[1]])
