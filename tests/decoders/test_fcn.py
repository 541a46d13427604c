import dense_networks
import keras
import numpy as np
import pytest
from dense_networks import noise, numbers
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError


def deep() -> keras.Model:
    """Strides 2 to 32."""
    image = keras.Input((64, 64, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, -2)(image)
    for width in (4, 6, 8, 10, 12):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, x, name="deep")


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_any_size_and_every_stride_down_to_its_own(stride):
    model = trained_like(kv.decoders.fcn(deep(), 5, stride=stride, hidden=16))
    dense_networks.any_size(model, 5)
    scores = {layer.name for layer in model.layers if layer.name.startswith("score")}
    assert scores == {f"score{s}" for s in (8, 16, 32) if s >= stride}
    if stride < 32:
        assert min(dense_networks.reaches_the_output(model)) > 1e-6


def test_every_size_from_33_to_97():
    model = kv.decoders.fcn(deep(), 3, hidden=0)
    for height, width in zip(range(33, 98, 3), range(97, 32, -3), strict=True):
        assert model(noise(height, width), training=False).shape == (1, height, width, 3)


def test_finer_scores_begin_at_zero():
    """Section 4.2: a new skip changes nothing before it learns; with a score, it does."""
    model = trained_like(kv.decoders.fcn(deep(), 5, hidden=0, trainable_upscaling=False))
    for layer in ("score8", "score16"):
        fresh = kv.decoders.fcn(deep(), 5).get_layer(layer)
        assert not any(np.any(weight) for weight in fresh.get_weights())
        model.get_layer(layer).set_weights([np.zeros_like(weight) for weight in model.get_layer(layer).get_weights()])
    coarse = keras.Model(model.input, model.get_layer("score32").output)
    x = coarse(noise(64, 96), training=False)
    for size in ((4, 6), (8, 12), (64, 96)):  # the same way up, without any finer score
        x = keras.ops.image.resize(x, size, "bilinear", data_format="channels_last")
    np.testing.assert_allclose(numbers(model(noise(64, 96), training=False)), numbers(x), atol=1e-5)
    trained_like(model)
    assert np.abs(numbers(model(noise(64, 96), training=False)) - numbers(x)).max() > 1e-3, "the control"


def test_learned_upscaling_begins_as_bilinear():
    """Of what is inside; at the rim a transposed convolution sees zeros."""
    learned, fixed = (
        kv.decoders.fcn(deep(), 3, stride=16, hidden=0, trainable_upscaling=flag) for flag in (True, False)
    )
    kernel = learned.get_layer("up16").get_weights()[0]
    trained_like(learned)
    learned.get_layer("up16").set_weights([kernel])
    fixed.set_weights([w for w in learned.get_weights() if w.shape != kernel.shape])
    a, b = (numbers(model(noise(192, 192), training=False))[0, 64:-64, 64:-64] for model in (learned, fixed))
    assert np.abs(a).max() > 0.1
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_what_moves_by_the_stride_moves_the_map():
    model = trained_like(kv.decoders.fcn(deep(), 3, stride=8, hidden=0))
    image = np.zeros((1, 256, 256, 3), "float32")
    there, moved = image.copy(), image.copy()
    there[:, 100:110, 100:110], moved[:, 132:142, 132:142] = 255, 255
    a, b = (numbers(model(x, training=False))[0] for x in (there, moved))
    np.testing.assert_allclose(a[64:160, 64:160], b[96:192, 96:192], atol=1e-4)
    assert np.abs(a[64:160, 64:160] - b[97:193, 96:192]).max() > 1e-3, "the control: a row off"


def test_refusals():
    with pytest.raises(UserError, match=r"`stride`.*8, 16 or 32.*4"):
        kv.decoders.fcn(deep(), 3, stride=4)
    with pytest.raises(UserError, match=r"`strides`.*\(1, 2, 4\)"):
        kv.decoders.fcn(kv.backbones.create("ResNet20"), 3)
    with pytest.raises(UserError, match="`dropout`"):
        kv.decoders.fcn(deep(), 3, dropout=1.0)
    with pytest.raises(UserError, match="`hidden`"):
        kv.decoders.fcn(deep(), 3, hidden=-1)
