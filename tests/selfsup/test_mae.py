import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.backbones import vit_tokens
from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.ops import to_patches
from kvision.selfsup import MAE, mae

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype("float32")
P = 4 * 4 * 3
STANDARD = (IMAGES / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]  # by ImageNet's statistics


def made(*, image_size: int = 16, channels: int = 3, **options) -> MAE:
    keras.utils.set_random_seed(0)
    shape = {"patch_size": 4, "image_size": image_size, "channels": channels}
    vit = kv.backbones.vit(depth=1, width=16, heads=2, **shape)
    return MAE(vit, **{"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2, "seed": 1, **options})


def run(method: MAE, images: np.ndarray, draw: int = 0) -> dict[str, np.ndarray]:
    """The outputs with the patches that a number draws, the same ones each time."""
    method.order.state.assign([draw, 0])
    return {name: np.array(value) for name, value in method({"a": images}, training=True).items()}


def painted(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Other pixels wherever the mask is 1."""
    side = round(mask.shape[1] ** 0.5)
    where = np.kron(mask.reshape(-1, side, side), np.ones((images.shape[1] // side,) * 2))[..., None] > 0
    return np.where(where, 255 - images[::-1, ::-1], images).astype("float32")


def test_pixels_that_are_hidden_do_not_reach_encoder_or_decoder():
    method = made()
    before = run(method, IMAGES)
    hidden = run(method, painted(IMAGES, before["mask"]))
    for name in ("feature", "prediction", "mask"):
        np.testing.assert_array_equal(hidden[name], before[name])
    off, masked = np.abs(hidden["target"] - before["target"]).max(axis=-1), before["mask"] == 1
    assert off[masked].min() > 0.1 and off[~masked].max() == 0
    seen = run(method, painted(IMAGES, 1 - before["mask"]))
    assert np.abs(seen["feature"] - before["feature"]).max(axis=1).min() > 1e-3, "control: what is seen shows"
    off = np.abs(seen["target"] - before["target"]).max(axis=-1)
    assert off[masked].max() == 0 and off[~masked].min() > 0.1


def test_patches_are_drawn_anew_for_each_image_and_step():
    method = made(ratio=0.5)
    masks = [np.array(method({"a": IMAGES}, training=True)["mask"]) for _ in range(2)]
    rows = {tuple(row) for mask in masks for row in mask}
    assert len(rows) == 6
    many = run(method, np.tile(IMAGES, (100, 1, 1, 1)))["mask"]
    assert np.abs(many.mean(axis=0) - 0.5).max() < 0.13, "each place alike: four standard deviations"


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("ratio", "image_size"), [(0.75, 16), (0.6, 16), (0.5, 12), (0.3, 20)])
def test_so_many_tokens_are_seen_and_no_more(monkeypatch, ratio, image_size, training):
    method, shapes = made(ratio=ratio, image_size=image_size), []

    def spy(vit, tokens, **options):
        shapes.append(tuple(tokens.shape))
        return vit_tokens(vit, tokens, **options)

    monkeypatch.setattr(mae, "vit_tokens", spy)
    images = np.resize(IMAGES, (3, image_size, image_size, 3))
    mask = np.array(method({"a": images}, training=training)["mask"])
    length = (image_size // 4) ** 2
    assert shapes == [(3, int(length * (1 - ratio)), 1, 16)]
    assert (mask.sum(axis=1) == length - int(length * (1 - ratio))).all() and set(mask.ravel()) == {0, 1}


@pytest.mark.parametrize("draw", [0, 1, 2])
def test_the_prediction_is_that_of_the_tokens_put_back_in_their_places(draw):
    """Without any shuffle: the patches that are seen in their order, each returned by its number."""
    method = made(ratio=0.6)
    method.narrow.bias.assign(np.linspace(-1, 1, 8))
    found = run(method, IMAGES, draw)
    tokens = np.array(method.vit.get_layer("positions")(method.patches(IMAGES))).reshape(3, 16, 16)
    full = np.tile(read(method.hidden), (3, 16, 1))
    for image in range(3):
        seen = np.flatnonzero(found["mask"][image] == 0)
        coded = np.array(vit_tokens(method.vit, tokens[image, seen][None, :, None]))[0, :, 0]
        np.testing.assert_allclose(found["feature"][image], coded.mean(axis=0), atol=1e-5)
        full[image, seen] = np.array(method.narrow(coded[None]))[0]
    expected = np.array(method.decoder(full.reshape(3, 4, 4, 8))).reshape(3, 16, P)
    np.testing.assert_allclose(found["prediction"], expected, atol=1e-5)
    wrong = np.array(method.decoder(full[:, ::-1].reshape(3, 4, 4, 8))).reshape(3, 16, P)
    assert np.abs(wrong - expected).max() > 1e-2, "control: other places"


@pytest.mark.parametrize("normalized", [True, False])
def test_targets_are_patches_by_rows_less_their_own_statistics(normalized):
    method = made(normalized=normalized)
    found = run(method, IMAGES)["target"]
    for number in range(16):
        row, column = divmod(number, 4)
        patch = STANDARD[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].reshape(3, P)
        if normalized:
            patch -= patch.mean(axis=1, keepdims=True)
            patch /= np.sqrt((patch**2).sum(axis=1, keepdims=True) / (P - 1) + 1e-6)
        np.testing.assert_allclose(found[:, number], patch, atol=1e-4)
    if not normalized:
        np.testing.assert_allclose(found.reshape(3, 4, 4, P), to_patches(STANDARD, 4), atol=1e-5)


def test_a_prediction_of_zeros_has_the_loss_of_the_unbiased_variance():
    method = made()
    before = run(method, IMAGES)
    pixels = method.decoder.get_layer("pixels")
    pixels.set_weights([0 * w for w in pixels.get_weights()])
    outputs = run(method, IMAGES)
    assert not outputs["prediction"].any() and before["prediction"].any()
    assert float(method.objective(outputs)) == pytest.approx(1 - 1 / P, abs=1e-4)
    assert abs(float(method.objective(outputs)) - 1) > 0.02, "control: not that of the biased one"
    assert float(method.trivial(outputs)) == pytest.approx(1 - 1 / P, abs=1e-4)


def test_the_trivial_value_without_normalization_is_that_of_imagenets_mean():
    method = made(normalized=False)
    outputs = run(method, IMAGES)
    target = np.stack([outputs["target"][b][outputs["mask"][b] == 1] for b in range(3)])
    assert float(method.trivial(outputs)) == pytest.approx((target**2).mean(), rel=1e-5)


def test_the_decoders_positions_are_the_papers_and_the_encoders_the_vits():
    method = made()
    assert (method.decoder.get_layer("positions").endpoint, method.vit.get_layer("positions").endpoint) == (False, True)


def test_the_loss_is_of_hidden_patches_alone():
    method = made()
    outputs = run(method, IMAGES)
    error = ((outputs["prediction"] - outputs["target"]).astype("float64") ** 2).mean(axis=-1)
    expected = (error * outputs["mask"]).sum() / outputs["mask"].sum()
    assert float(method.objective(outputs)) == pytest.approx(expected, rel=1e-5)
    prediction = tf.Variable(outputs["prediction"])
    with tf.GradientTape() as tape:
        loss = method.objective({**outputs, "prediction": prediction})
    gradient = np.abs(tape.gradient(loss, prediction)).max(axis=-1)
    assert (gradient[outputs["mask"] == 0] == 0).all() and (gradient[outputs["mask"] == 1] > 0).all()


def test_all_that_trains_has_a_gradient():
    method = made()
    with tf.GradientTape() as tape:
        loss = method.objective(method({"a": IMAGES}, training=True))
    gradients = tape.gradient(loss, [v.value for v in method.trainable_variables])
    # a shift of all keys changes no attention
    flat = [v.path for v, g in zip(method.trainable_variables, gradients, strict=True) if np.abs(g).max() < 1e-7]
    assert all(path.endswith("key/bias") for path in flat)


def test_gray_images_and_the_encoder_of_a_model_that_pools():
    gray = IMAGES[..., :1]
    method = made(channels=1)
    outputs = run(method, gray)
    assert outputs["prediction"].shape == outputs["target"].shape == (3, 16, P)
    vit = method.encoder
    again = MAE(vit, decoder_width=8, decoder_depth=1, decoder_heads=2)
    assert again.encoder is vit
    np.testing.assert_array_equal(again.vit(gray), vit(gray))


@pytest.mark.parametrize("ratio", [0.0, 1.0, 0.95, -0.5])
def test_a_ratio_that_hides_all_or_nothing_is_refused(ratio):
    with pytest.raises(UserError, match=r"`ratio` .*a share that hides some of the 16 patches"):
        made(ratio=ratio)


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_that_do_not_share_the_decoders_width_are_refused(heads):
    with pytest.raises(UserError, match=r"`decoder_heads` .*divisor of `decoder_width`, 8"):
        made(decoder_width=8, decoder_heads=heads)
