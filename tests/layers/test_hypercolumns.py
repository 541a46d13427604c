"""The two ways to compute hypercolumns, against the joined maps themselves."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError

SIZES = ((12, 20, 5), (6, 10, 7), (3, 5, 9))


def maps(seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(1, 10.0**i, (2, *size)).astype("float32") for i, size in enumerate(SIZES)]


def layer(**options) -> kv.layers.Hypercolumns:
    made = kv.layers.Hypercolumns(**{"hidden": 11, "outputs": 3, **options})
    made(maps())
    random = np.random.default_rng(1)
    for weight in made.weights:
        weight.assign(random.normal(0, 0.5, weight.shape))
    return made


def joined(given: list[np.ndarray]) -> np.ndarray:
    """The blob that never exists: all maps resized and concatenated, each divided by its root mean square."""
    import tensorflow as tf

    parts = [one / np.sqrt((one**2).mean(axis=(1, 2, 3), keepdims=True)) for one in given]
    return np.concatenate([tf.image.resize(part, SIZES[0][:2]).numpy() for part in parts], -1)


def network(made, columns: np.ndarray) -> np.ndarray:
    weights = {weight.path.partition("/")[2]: weight.numpy() for weight in made.weights}
    kernel = np.concatenate([weights[f"project{i}/kernel"] for i in range(len(SIZES))])
    hidden = np.maximum(columns @ kernel + weights["project0/bias"], 0)
    return hidden @ weights["predict/kernel"] + weights["predict/bias"]


def test_the_sum_of_resized_convolutions_is_the_convolution_of_the_joined_maps():
    made, given = layer(), maps()
    np.testing.assert_allclose(np.asarray(made(given)), network(made, joined(given)), atol=1e-4)


def test_points_have_the_values_of_their_pixels():
    made, given = layer(), maps()
    whole = np.asarray(made(given))
    rows, columns = np.meshgrid(np.arange(12), np.arange(20), indexing="ij")
    places = np.stack([(rows + 0.5) / 12, (columns + 0.5) / 20], -1).reshape(1, -1, 2).repeat(2, 0)
    found = np.asarray(made(given, points=places.astype("float32")))
    np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=1e-5 * np.abs(whole).max())
    corners = np.stack([rows / 11, columns / 19], -1).reshape(1, -1, 2).repeat(2, 0)
    wrong = np.asarray(made(given, points=corners.astype("float32"))).reshape(whole.shape)
    assert np.abs(wrong - whole).max() > 0.01 * np.abs(whole).max(), "control: sampling aligned at the corners"


def test_no_map_dominates():
    """A map that is a thousand times as large changes nothing, but its content does."""
    made, given = layer(), maps()
    expected = np.asarray(made(given))
    np.testing.assert_allclose(np.asarray(made([given[0], 1000 * given[1], given[2]])), expected, atol=1e-3)
    assert np.abs(np.asarray(made([given[0], given[1][:, ::-1], given[2]])) - expected).max() > 0.1


def test_export_and_reload(tmp_path):
    inputs = [keras.Input(size) for size in SIZES]
    model = keras.Model(inputs, layer()(inputs))
    model.save(tmp_path / "model.keras")
    again = kv.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(again(maps())), np.asarray(model(maps())))
    assert model.output_shape == (None, 12, 20, 3)
    with pytest.raises(UserError, match="`hidden`"):
        kv.layers.Hypercolumns(0, 2)
