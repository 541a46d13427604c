"""Attention to hints against a slow loop over pixels and hints."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.ops import chroma_bins

SIZE = (16, 24)


def given(seed: int = 0, channels: int = 2) -> dict:
    random = np.random.default_rng(seed)
    hints = np.zeros((1, *SIZE, 3), "float32")
    for y, x in ((0, 0), (4, 12), (12, 20)):  # each fills one cell of 4 x 4 pixels
        hints[0, y : y + 4, x : x + 4] = (*random.uniform(-0.5, 0.5, 2), 1)
    return {
        "predicted": random.normal(0, 0.2, (1, 8, 12, channels)).astype("float32"),
        "gray": random.uniform(0, 255, (1, *SIZE, 1)).astype("float32"),
        "hints": hints,
        "maps": [random.normal(0, 3, size).astype("float32") for size in ((1, 2, 3, 5), (1, 4, 6, 7))],
    }


def layer(**options) -> kv.layers.HintAttention:
    made = kv.layers.HintAttention(features=4, **options)
    inputs = given(channels=329 if options.get("bins") else 2)
    made(**inputs)
    random = np.random.default_rng(1)
    for weight in made.weights:
        if weight.path.endswith("kernel"):
            weight.assign(random.normal(0, 0.4, weight.shape))
    return made


def by_hand(made, inputs) -> np.ndarray:
    """The mixture at each pixel of the prediction that is not known."""
    import tensorflow as tf

    place, luma, own = (next(float(w) for w in made.weights if w.path.endswith(n)) for n in ("/place", "/luma", "/own"))
    kernels = [w.numpy() for w in made.weights if w.path.endswith("kernel")]
    maps = [one / np.sqrt((one**2).mean()) @ kernel for one, kernel in zip(inputs["maps"], kernels, strict=True)]
    gray = inputs["gray"] / 255
    fine, cells = (sum(tf.image.resize(one, size).numpy()[0] for one in maps) for size in ((8, 12), (4, 6)))
    small = tf.image.resize(gray, (8, 12)).numpy()[0, ..., 0]
    found = np.zeros((8, 12, 2))
    for y, x in np.ndindex(8, 12):
        total, mass = np.exp(own) * inputs["predicted"][0, y, x], np.exp(own)
        for top, left in ((0, 0), (4, 12), (12, 20)):
            square = (0, slice(top, top + 4), slice(left, left + 4))
            apart = np.array([2 * y + 1 - (top + 2), 2 * x + 1 - (left + 2)]) / 24 * np.exp(place)
            dark = (small[y, x] - gray[square].mean()) * np.exp(luma)
            learned = fine[y, x] - cells[top // 4, left // 4]
            weight = 16 / 25 * np.exp(-(apart**2).sum() - dark**2 - (learned**2).sum())
            total, mass = total + weight * inputs["hints"][square][0, 0, :2], mass + weight
        found[y, x] = total / mass
    return found


def test_the_mixture_is_a_sum_of_gaussians():
    made, inputs = layer(), given()
    found = np.asarray(made(**inputs))[0]
    known = inputs["hints"][0, ::2, ::2, 2] == 1
    near = np.pad(known, 1)  # resizing reads no pixel beside a known one, as sizes differ by two
    free = ~near[1:-1, 1:-1]
    np.testing.assert_allclose(found[free], by_hand(made, inputs)[free], atol=2e-4)
    np.testing.assert_allclose(found[known], inputs["hints"][0, ::2, ::2, :2][known], atol=1e-5)


@pytest.mark.parametrize("bins", [False, True])
def test_without_hints_nothing_changes_and_all_hints_are_copied(bins):
    made, inputs = layer(bins=bins), given(channels=329 if bins else 2)
    without = np.asarray(made(**{**inputs, "hints": 0 * inputs["hints"]}))
    expected = inputs["predicted"]
    if bins:
        expected = np.asarray(keras.ops.log_softmax(expected, axis=-1))
    np.testing.assert_allclose(without, expected, atol=1e-3)
    whole = np.concatenate([np.full((1, *SIZE, 2), 0.25), np.ones((1, *SIZE, 1))], -1).astype("float32")
    copied = np.asarray(made(**{**inputs, "hints": whole}))
    if bins:
        copied = np.asarray(keras.ops.softmax(copied, axis=-1)) @ chroma_bins.centers()
    np.testing.assert_allclose(copied, np.full((1, 8, 12, 2), 0.25), atol=0.02)


def test_bins_mix_as_colors_do():
    scores, colors = layer(bins=True), layer()
    inputs = given(channels=329)
    centers = chroma_bins.centers()
    inputs["predicted"] = 8 * inputs["predicted"]
    share = np.asarray(keras.ops.softmax(inputs["predicted"], axis=-1))
    mixed = np.asarray(keras.ops.softmax(scores(**inputs), axis=-1)) @ centers
    expected = np.asarray(colors(**{**inputs, "predicted": (share @ centers).astype("float32")}))
    np.testing.assert_allclose(mixed, expected, atol=0.02)
    assert np.abs(mixed - share @ centers).max() > 0.1, "control: the hints count"


def test_points_have_the_values_of_their_pixels():
    made, inputs = layer(), given()
    whole = np.asarray(made(**inputs))[0]
    places = np.array([[[(2 * y + 1) / 16, (2 * x + 1) / 24] for y, x in ((5, 1), (3, 9))]], "float32")
    predicted = inputs["predicted"][:, [5, 3], [1, 9]]
    found = np.asarray(made(**{**inputs, "predicted": predicted}, points=places))[0]
    np.testing.assert_allclose(found, whole[[5, 3], [1, 9]], atol=1e-4)


def test_reload_and_wrong_numbers(tmp_path):
    inputs = given()
    tensors = keras.tree.map_structure(lambda value: keras.Input((None, None, value.shape[-1])), inputs)
    model = keras.Model(keras.tree.flatten(tensors), layer()(**tensors))
    flat = keras.tree.flatten(inputs)
    expected = np.asarray(model(flat))
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(kv.load_model(tmp_path / "model.keras")(flat)), expected)
    with pytest.raises(UserError, match="`features`"):
        kv.layers.HintAttention(features=0)
