import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision import selfsup
from kvision.backbones import vit_tokens
from kvision.checks import UserError
from kvision.selfsup import SimMIM, simmim

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 24, 24, 3)).astype("float32")
IMAGES[0] *= 0.4  # an image of its own mean color
P, LENGTH = 4 * 4 * 3, 36
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def made(*, channels: int = 3, **options) -> SimMIM:
    keras.utils.set_random_seed(0)
    vit = kv.backbones.vit(depth=1, width=16, heads=2, patch_size=4, image_size=24, channels=channels)
    return SimMIM(vit, **{"unit": 8, "seed": 1, **options})


def run(method: SimMIM, images: np.ndarray, draw: int = 0) -> dict[str, np.ndarray]:
    """The outputs with the squares that a number draws, the same ones each time."""
    method.order.state.assign([draw, 0])
    return {name: np.array(value) for name, value in method({"a": images}, training=True).items()}


def painted(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    where = np.kron(mask.reshape(-1, 6, 6), np.ones((4, 4)))[..., None] > 0
    return np.where(where, 255 - images[::-1, ::-1], images).astype("float32")


def test_pixels_that_are_hidden_do_not_reach_the_prediction():
    method = made()
    before = run(method, IMAGES)
    hidden = run(method, painted(IMAGES, before["mask"]))
    for name in ("feature", "prediction", "mask"):
        np.testing.assert_array_equal(hidden[name], before[name])
    off, masked = np.abs(hidden["target"] - before["target"]).max(axis=-1), before["mask"] == 1
    assert off[masked].min() > 0.1 and off[~masked].max() == 0
    seen = run(method, painted(IMAGES, 1 - before["mask"]))
    assert np.abs(seen["feature"] - before["feature"]).max(axis=1).min() > 1e-3, "control: what is seen shows"


@pytest.mark.parametrize(("unit", "ratio"), [(8, 0.6), (8, 0.5), (4, 0.6), (12, 0.3), (12, 0.5)])
def test_so_many_whole_squares_are_hidden(unit, ratio):
    method = made(unit=unit, ratio=ratio)
    side, each = 24 // unit, unit // 4
    rows = set()
    for draw in range(5):
        for mask in run(method, IMAGES, draw)["mask"].reshape(3, 6, 6):
            squares = mask.reshape(side, each, side, each)
            assert (squares == squares[:, :1, :, :1]).all(), "a square is hidden whole or not at all"
            assert squares[:, 0, :, 0].sum() == math.ceil(ratio * side * side) and set(mask.ravel()) == {0, 1}
            rows.add(tuple(mask.ravel()))
    assert len(rows) > 2, "drawn anew for each image and step"


def test_each_square_is_hidden_as_often_as_another():
    method = made()
    many = run(method, np.tile(IMAGES, (100, 1, 1, 1)))["mask"].reshape(300, 6, 6)[:, ::2, ::2]
    assert np.abs(many.mean(axis=0) - 6 / 9).max() < 0.12


def test_the_prediction_is_that_of_all_tokens_with_one_vector_at_the_hidden(monkeypatch):
    method, shapes = made(), []

    def spy(vit, tokens, **options):
        shapes.append(tuple(tokens.shape))
        return vit_tokens(vit, tokens, **options)

    monkeypatch.setattr(simmim, "vit_tokens", spy)
    method.hidden.assign(np.linspace(-2, 2, 16))
    found = run(method, IMAGES)
    assert shapes == [(3, 6, 6, 16)], "the encoder sees all tokens"
    tokens = np.array(method.patches(IMAGES)).reshape(3, LENGTH, 16)
    for image, number in zip(*np.nonzero(found["mask"]), strict=True):
        tokens[image, number] = np.linspace(-2, 2, 16)
    placed = method.vit.get_layer("positions")(tokens.reshape(3, 6, 6, 16))  # after the vector is put in
    coded = np.array(vit_tokens(method.vit, placed))
    kernel, bias = method.pixels.get_weights()
    expected = (coded @ kernel + bias).reshape(3, LENGTH, P)
    np.testing.assert_allclose(found["prediction"], expected, atol=1e-5)
    np.testing.assert_allclose(found["feature"], coded.mean(axis=(1, 2)), atol=1e-5)


def test_targets_are_standardized_pixels_by_rows():
    found = run(made(), IMAGES)["target"]
    for number in range(LENGTH):
        row, column = divmod(number, 6)
        patch = (IMAGES[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] / 255 - MEAN) / STD
        np.testing.assert_allclose(found[:, number], patch.reshape(3, P), atol=1e-5)


def test_the_loss_is_the_absolute_error_at_hidden_pixels_alone():
    method = made()
    outputs = run(method, IMAGES)
    error = np.abs((outputs["prediction"] - outputs["target"]).astype("float64"))
    mask = np.repeat(outputs["mask"], P).reshape(error.shape)  # of pixels and channels
    loss = float(method.objective(outputs))
    assert loss == pytest.approx((error * mask).sum() / mask.sum(), rel=1e-5)
    other = {**outputs, "prediction": np.where(mask > 0, outputs["prediction"], 99).astype("float32")}
    assert float(method.objective(other)) == loss
    other = {**outputs, "prediction": np.where(mask > 0, 99, outputs["prediction"]).astype("float32")}
    assert float(method.objective(other)) > 90, "control"
    zero = {**outputs, "prediction": np.zeros_like(outputs["prediction"])}
    expected = np.abs(outputs["target"].astype("float64"))[mask > 0].mean()
    assert float(method.objective(zero)) == pytest.approx(expected, rel=1e-5)


def test_the_trivial_value_is_that_of_the_mean_color_of_what_is_seen():
    method = made()
    outputs = run(method, IMAGES)
    errors = []
    for image, mask in zip((IMAGES / 255 - MEAN) / STD, outputs["mask"], strict=True):
        hidden = np.kron(mask.reshape(6, 6), np.ones((4, 4))) > 0
        errors.append(np.abs(image[hidden] - image[~hidden].mean(axis=0)).mean())
    assert float(method.trivial(outputs)) == pytest.approx(np.mean(errors), rel=1e-4)


def test_all_that_trains_has_a_gradient():
    method = made()
    with tf.GradientTape() as tape:
        loss = method.objective(method({"a": IMAGES}, training=True))
    gradients = tape.gradient(loss, [v.value for v in method.trainable_variables])
    # a shift of all keys changes no attention
    flat = [v.path for v, g in zip(method.trainable_variables, gradients, strict=True) if np.abs(g).max() < 1e-7]
    assert all(path.endswith("key/bias") for path in flat)


def test_gray_images():
    method = made(channels=1)
    outputs = run(method, IMAGES[..., :1])
    assert outputs["prediction"].shape == outputs["target"].shape
    loss, trivial = float(method.objective(outputs)), float(method.trivial(outputs))
    assert 0 < trivial < loss


@pytest.mark.parametrize("unit", [0, 2, 6, 16, 28, -4])
def test_a_unit_that_does_not_fit_is_refused(unit):
    with pytest.raises(UserError, match=r"`unit` .*a multiple of the patch size, 4"):
        made(unit=unit)


@pytest.mark.parametrize(
    ("patch_size", "size", "unit"),
    [(4, 32, 8), (2, 16, 4), (12, 96, 24), (16, 224, 32), (16, 96, 16), (4, 36, 12), (16, 32, 16)],
)
def test_the_small_preset_hides_about_quarters_whatever_the_encoder(patch_size, size, unit):
    vit = kv.backbones.vit(depth=1, width=16, heads=2, patch_size=patch_size, image_size=size)
    method = selfsup.preset("simmim").method(vit, None, seed=0)
    assert method.each * method.patch_size == unit and math.prod(method.squares) == (size // unit) ** 2


def test_the_norm_of_all_gradients_together_is_clipped():
    """As in the published code: one that is long leaves the others short."""
    optimizer = selfsup.preset("simmim").optimizer()
    assert (optimizer.global_clipnorm, optimizer.clipnorm) == (5.0, None)
    long, short = optimizer._clip_gradients([keras.ops.full((4,), 50.0), keras.ops.full((4,), 1.0)])
    norm = math.hypot(100, 2)
    np.testing.assert_allclose(long, 50 * 5 / norm, rtol=1e-5)
    np.testing.assert_allclose(short, 5 / norm, rtol=1e-5)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 0.95, -0.5])
def test_a_ratio_that_hides_all_or_nothing_is_refused(ratio):
    with pytest.raises(UserError, match=r"`ratio` .*a share that hides some of the 9 squares"):
        made(ratio=ratio)
