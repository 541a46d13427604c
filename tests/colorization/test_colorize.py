import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision import luma_chroma
from kvision.checks import UserError


def model(*, hints: bool = False) -> keras.Model:
    """Colors everything in one color, and where there are hints in theirs."""
    image = keras.Input((None, None, 3), name="image")
    gray = kv.layers.Gray()(image)
    inputs, chroma = image, keras.layers.Concatenate()([0 * gray + 0.2, 0 * gray - 0.1])
    if hints:
        given = keras.Input((None, None, 3), name="hints")
        inputs, chroma = {"image": image, "hints": given}, given[..., :2]
    return keras.Model(inputs, kv.layers.Recolor()(gray, chroma))


def test_brightness_of_the_original_and_colors_of_the_small_one():
    image = np.repeat(np.random.default_rng(0).integers(90, 160, (60, 80, 1)), 3, 2).astype("uint8")
    whole = kv.colorization.colorize(model(), image)
    small = kv.colorization.colorize(model(), image, longest_side=40)
    assert whole.shape == small.shape == image.shape and whole.dtype == np.uint8
    assert np.abs(whole.astype(int) - small).max() <= 1
    found = kv.ops.color_spaces.luma_chroma(whole)
    assert np.abs(found[..., 0] - image[..., 0]).max() <= 1
    np.testing.assert_allclose(found[..., 1:].mean((0, 1)), [25.5, -12.75], atol=0.5)


def test_hints_are_placed_in_pixels_of_the_original():
    image = np.full((60, 80, 3), 120, "uint8")
    for side in (None, 40):
        found = kv.colorization.colorize(model(hints=True), image, hints=[(50, 70, 200, 40, 40)], longest_side=side)
        red = found[..., 0].astype(int) - found[..., 2]
        y, x = np.argwhere(red == red.max()).mean(0)
        assert red.max() > 80 and abs(y - 50) < 2 and abs(x - 70) < 2
    hints = [(50, 70, 200, 40, 40)]
    found = [
        kv.colorization.colorize(model(hints=True), image, hints=given)
        for given in (kv.colorization.hint_map(hints, (60, 80)), hints, None)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.ptp(found[2]) == 0, "control: no hints"


def test_wrong_calls_are_told():
    image = np.full((8, 8, 3), 90, "uint8")
    for call, name in [
        (lambda: kv.colorization.colorize(model(), image[..., 0]), "`image`"),
        (lambda: kv.colorization.colorize(model(), image / 255), "image"),
        (lambda: kv.colorization.colorize(model(), image, hints=[(0, 0, 1, 2, 3)]), "`hints`"),
        (lambda: kv.colorization.colorize(model(hints=True), image, hints=[(9, 0, 1, 2, 3)]), "`hints`"),
        (lambda: kv.colorization.colorize(model(hints=True), image, hints=np.zeros((4, 4, 3))), "`hints`"),
    ]:
        with pytest.raises(UserError, match=name):
            call()


def test_neighbors_are_used_and_the_picture_itself_replaces_them():
    backbone = kv.backbones.create("ResNet20", image_size=32, channels=5)
    network = kv.colorization.network(backbone, neighbors=2, widths=(16, 8))
    trained_like(network)
    model = kv.colorization.colorizer(network)
    random = np.random.default_rng(0)
    image, beside = random.integers(60, 200, (40, 48, 3)).astype("uint8"), random.uniform(0, 255, (40, 48, 2))
    own = luma_chroma.luma(image).repeat(2, axis=2)
    alone = kv.colorization.colorize(model, image)
    np.testing.assert_array_equal(kv.colorization.colorize(model, image, neighbors=own), alone)
    assert np.abs(kv.colorization.colorize(model, image, neighbors=beside).astype(int) - alone).max() > 2
    assert kv.colorization.colorize(model, image, neighbors=beside, longest_side=32).shape == image.shape
    with pytest.raises(UserError, match="`neighbors`"):
        kv.colorization.colorize(model, image, neighbors=beside[:8])
    with pytest.raises(UserError, match="`hints`"):
        kv.colorization.colorize(model, image, hints=[(1, 1, 255, 0, 0)])
