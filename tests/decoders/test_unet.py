import itertools

import dense_networks
import keras
import numpy as np
import pytest
from dense_networks import noise, numbers
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError

# the smallest of each family with a pyramid; ViT has none, NASNet takes one size
FAMILIES = {
    "EfficientNetLite0": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "ResNet50": 64,
    "ResNet20": 32,
    "DenseNet121": 64,
    "EfficientNetV2B0": 64,
    "ConvNeXtTiny": 64,
    "VGG16": 64,
    "GoogLeNet": 64,
}
QUICK = ("MobileNetV3Small", "ResNet20")
_WIDTHS = (16, 16, 8, 8, 8)


def tiny() -> keras.Model:
    """Three strides, of which the coarser cut odd sizes."""
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, -2)(image)
    for width in (4, 6, 8):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, x, name="tiny")


@pytest.mark.parametrize("up", kv.decoders.UPSCALINGS)
@pytest.mark.parametrize("merge", ["concat", "add"])
def test_any_size_by_every_way_up(up, merge):
    model = trained_like(kv.decoders.unet(tiny(), 5, widths=(8, 8, 4), up=up, merge=merge))
    dense_networks.any_size(model, 5)
    assert min(dense_networks.reaches_the_output(model)) > 1e-6, "every level counts"


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FAMILIES])
def test_every_family_with_a_pyramid(name):
    backbone = kv.backbones.create(name, image_size=FAMILIES[name])
    model = trained_like(kv.decoders.unet(backbone, 3, widths=_WIDTHS))
    dense_networks.any_size(model, 3, sizes=((65, 97),))
    assert min(dense_networks.reaches_the_output(model)) > 1e-7


def test_every_odd_size():
    model = kv.decoders.unet(tiny(), 3, widths=(4, 4, 4))
    for height, width in itertools.product((33, 47, 65, 97, 101, 129), repeat=2):
        assert model(noise(height, width), training=False).shape == (1, height, width, 3)


@pytest.mark.parametrize("up", ["bilinear", "transposed"])
def test_half_precision_says_the_same_in_float32(up):
    whole = trained_like(kv.decoders.unet(tiny(), 3, widths=(8, 8, 4), up=up))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = kv.decoders.unet(tiny(), 3, widths=(8, 8, 4), up=up)
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(whole.get_weights())
    expected, found = (model(noise(65, 47), training=False) for model in (whole, half))
    assert half.get_layer("up4_1_conv").compute_dtype == "float16"
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert 0 < np.abs(numbers(found) - numbers(expected)).max() < 2e-2 * np.abs(numbers(expected)).max()


def test_a_corner_pixel_reaches_its_own_place():
    model = trained_like(kv.decoders.unet(tiny(), 3, widths=(8, 8, 4)))
    image = noise(40, 56)
    other = image.copy()
    other[0, 0, 0] += 100
    changed = np.abs(numbers(model(other, training=False)) - numbers(model(image, training=False))).max(axis=-1)[0]
    assert changed[0, 0] > 1e-4 and changed[-1, -1] == 0


def test_each_width_is_a_level_and_the_image_is_the_last():
    def of(widths, strides=None):
        model = kv.decoders.unet(tiny(), 5, widths=widths, strides=strides)
        return {layer.name: layer.filters for layer in model.layers if layer.name.endswith("1_conv")}

    assert of((8, 7, 6)) == {"up4_1_conv": 8, "up2_1_conv": 7, "up1_1_conv": 6}
    assert of((8, 7)) == {"up4_1_conv": 8, "up2_1_conv": 7}
    assert of((8, 7, 6, 5)) == of((8, 7, 6)), "more than needed"
    assert of((8,), strides=(4, 8)) == {"up4_1_conv": 8}
    with pytest.raises(UserError, match=r"`widths`.*at least 2"):
        of((8,))


def test_the_original_has_its_up_convolutions():
    """Ronneberger et al. 2015, figure 1: halved channels on the way up, two 3x3 convolutions a level."""
    model = kv.decoders.unet(tiny(), 2, widths=(8, 8, 4), up="transposed", norm=None)
    names = [layer.name for layer in model.layers]
    assert not [name for name in names if name.endswith(("bn", "gn"))]
    assert {"up4_transposed", "up4_concat", "up4_1_conv", "up4_2_conv"} <= {*names}
    add = kv.decoders.unet(tiny(), 2, widths=(8, 8, 4), merge="add")
    assert "up4_add" in [layer.name for layer in add.layers]
    assert add.count_params() < kv.decoders.unet(tiny(), 2, widths=(8, 8, 4)).count_params()


def test_the_backbone_is_a_body_that_schedules_freeze():
    model = kv.decoders.unet(kv.backbones.create("EfficientNetLite0", image_size=64), 3, widths=(8, 8, 8, 8))
    decoder = [v for layer in model.layers if layer.name != "body" for v in layer.trainable_variables]
    assert {id(v) for v in kv.schedules.freeze(model, above="top")} == {id(v) for v in decoder}
    some, everything = (len(kv.schedules.freeze(model, above=above, norm="train")) for above in ("stage4", "all"))
    assert len(decoder) < some < everything
    backbone = model.get_layer("body").backbone
    assert backbone.channels == (16, 24, 40, 112, 320), "without the convolution that only a classifier needs"
    stages = kv.backbones.stages(backbone)
    assert list(stages.values()) == list(kv.backbones.stages(kv.backbones.create("EfficientNetLite0")).values())


def test_it_is_the_same_after_saving(tmp_path):
    model = trained_like(kv.decoders.unet(tiny(), 3, widths=(8, 8, 4), up="subpixel", norm="group"))
    model.save(tmp_path / "unet.keras")
    again = keras.models.load_model(tmp_path / "unet.keras")
    np.testing.assert_array_equal(again.predict_on_batch(noise(33, 47)), model.predict_on_batch(noise(33, 47)))


def test_plain_concatenation_fails_at_odd_sizes():
    """The control: what others do, twice the size and joined."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)
    joined = keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), image])
    with pytest.raises(Exception, match=r"(?i)dimension|shape"):
        keras.Model(image, joined).predict_on_batch(noise(33, 47))


def test_refusals():
    for options, text in {
        ("merge", "sum"): "`merge`.*concat, add",
        ("up", "bilinaer"): "Did you mean 'bilinear'",
        ("norm", "layer"): "`norm`.*batch, group",
        ("classes", 1): "`classes`.*at least 2",
    }.items():
        with pytest.raises(UserError, match=text):
            kv.decoders.unet(tiny(), **{"classes": 5, "widths": (8, 8, 4), **dict([options])})
    with pytest.raises(UserError, match=r"`backbone` has no pyramid.*\(16,\)"):
        kv.decoders.unet(kv.backbones.create("ViTTiny16"), 3)
