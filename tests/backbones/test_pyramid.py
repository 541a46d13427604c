import contextlib
import functools
import os
import sys

import forks
import keras
import numpy as np
import pytest
from graphs import without_weights
from keras import layers, ops

import kvision as kv
from kvision.checks import UserError

# {constructor: channels by stride}; one of each family
CHANNELS = {
    "VGG16": {1: 64, 2: 128, 4: 256, 8: 512, 16: 512, 32: 512},
    "ResNet50": {2: 64, 4: 256, 8: 512, 16: 1024, 32: 2048},
    "ResNet50V2": {2: 64, 4: 256, 8: 512, 16: 1024, 32: 2048},
    "DenseNet121": {2: 64, 4: 128, 8: 256, 16: 512, 32: 1024},
    "MobileNet": {2: 64, 4: 128, 8: 256, 16: 512, 32: 1024},
    "MobileNetV2": {2: 96, 4: 144, 8: 192, 16: 576, 32: 1280},
    "MobileNetV3Small": {2: 16, 4: 72, 8: 96, 16: 288, 32: 576},
    "MobileNetV3Large": {2: 64, 4: 72, 8: 240, 16: 672, 32: 960},
    "EfficientNetB0": {2: 96, 4: 144, 8: 240, 16: 672, 32: 1280},
    "EfficientNetV2B0": {2: 16, 4: 32, 8: 192, 16: 672, 32: 1280},
    "EfficientNetV2S": {2: 24, 4: 48, 8: 256, 16: 960, 32: 1280},
    "ConvNeXtTiny": {4: 96, 8: 192, 16: 384, 32: 768},
    "InceptionV3": {2: 64, 4: 192, 8: 288, 16: 768, 32: 2048},
    "InceptionResNetV2": {2: 64, 4: 192, 8: 320, 16: 1088, 32: 1536},
    "Xception": {2: 128, 4: 256, 8: 728, 16: 1024, 32: 2048},
    "NASNetMobile": {2: 32, 4: 44, 8: 264, 16: 528, 32: 1056},
}
# in CI: every way in which a trunk halves its size
FAMILIES = ("VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0")
FAMILIES += ("ConvNeXtTiny", "InceptionV3", "Xception")
SIZES = {  # of an image of 97 x 129, strides 4 to 32
    "ResNet50": [(25, 33), (13, 17), (7, 9), (4, 5)],
    "EfficientNetB0": [(24, 32), (12, 16), (6, 8), (3, 4)],
    "DenseNet121": [(25, 33), (12, 16), (6, 8), (3, 4)],
    "Xception": [(23, 31), (12, 16), (6, 8), (3, 4)],
    "InceptionV3": [(20, 28), (9, 13), (4, 6), (1, 2)],
}
CONSTRUCTORS = [name for name in dir(keras.applications) if name[0].isupper()]


@functools.cache
def application(name: str, *, weights: bool = False) -> keras.Model:
    """weights: whether it is called: its graph alone takes half of the time."""
    size = 224 if "NASNet" in name else None  # its padding is decided when it is built
    with contextlib.nullcontext() if weights else without_weights():
        return getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))


@pytest.mark.parametrize(
    "name",
    [n if n in FAMILIES else pytest.param(n, marks=pytest.mark.slow) for n in CHANNELS],
)
def test_strides_and_channels_of_each_family(name):
    model = kv.backbones.pyramid(application(name))
    assert dict(zip(model.strides, model.channels, strict=True)) == CHANNELS[name]
    assert not [output for output in model.outputs if "pad" in output._keras_history.operation.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_every_constructor(name):
    """Of the size that it is made for (331 of NASNetLarge has other paddings than 256) and with pooling at the end."""
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=None, pooling="avg")
    if "NASNet" in name:
        side = 331 if name == "NASNetLarge" else 224
        model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(side, side, 3))
    found = kv.backbones.pyramid(model, (4, 8, 16, 32))
    assert found.strides == (4, 8, 16, 32)
    assert found.channels[-1] == model.output_shape[-1]
    everything = kv.backbones.pyramid(model)
    first = 4 if "ConvNeXt" in name else 1 if "VGG" in name else 2
    assert everything.strides[0] == first and everything.strides[-4:] == (4, 8, 16, 32)


def test_the_list_of_constructors_is_all_of_keras():
    assert len(CONSTRUCTORS) >= 38 and {*CHANNELS} <= {*CONSTRUCTORS}


@pytest.mark.parametrize(
    "name", [n if n in ("EfficientNetB0", "Xception") else pytest.param(n, marks=pytest.mark.slow) for n in SIZES]
)
def test_sizes_are_those_of_the_forward_at_odd_sizes(name):
    model = kv.backbones.pyramid(application(name, weights=True), (4, 8, 16, 32))
    images = np.random.default_rng(0).integers(0, 256, (1, 97, 129, 3)).astype("float32")
    maps = model(images, training=False)
    assert [tuple(x.shape[1:3]) for x in maps] == list(model.sizes(97, 129)) == SIZES[name]
    assert [x.shape[3] for x in maps] == list(model.channels)


def test_sizes_of_a_model_of_one_size_are_those_that_it_would_have():
    model = kv.backbones.pyramid(kv.backbones.create("EfficientNetLite0", image_size=64), (4, 32))
    assert model.sizes(64, 64) == ((16, 16), (2, 2)) and model.sizes(97, 129) == ((25, 33), (4, 5))


def separates(tensor, model: keras.Model) -> bool:
    """Whether no path from the output reaches the input but through `tensor`: by walking back, by another hand."""
    seen, todo = {id(tensor)}, list(model.outputs)
    while todo:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        operation, index, _ = x._keras_history
        todo += operation._inbound_nodes[index].input_tensors
    return id(model.inputs[0]) not in seen


@pytest.mark.parametrize(
    "name", ["VGG16", "ResNet50V2", "MobileNetV2", "DenseNet121", "EfficientNetB0", "ConvNeXtTiny"]
)
def test_every_path_crosses_the_taps(name):
    model = application(name)
    assert all(separates(tap, model) for tap in kv.backbones.pyramid(model).outputs)


def test_xception_has_no_such_tensor_and_gives_the_widest():
    """The control of the walk, too: its blocks begin with two paths, of which the wider is tapped."""
    model = application("Xception")
    outputs = kv.backbones.pyramid(model).outputs
    assert [separates(tap, model) for tap in outputs] == [False] * 4 + [True]
    names = [tap._keras_history.operation.name for tap in outputs]
    assert names == [*(f"block{i}_sepconv2_bn" for i in (2, 3, 4, 13)), "block14_sepconv2_act"]


QUICK = ("AlexNet", "ConvNeXtTiny", "EfficientNetLite0", "ResNet20", "VGG16", "ViTTiny16")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in kv.backbones.available()]
)
def test_zoo_whatever_the_image_size_and_the_pooling(name):
    """At their smallest size deep maps are single pixels: the taps are the same."""
    with without_weights():
        small = kv.backbones.create(name, image_size=kv.backbones.info(name).smallest_size, pooling="avg")
        model = kv.backbones.pyramid(small)
        large = kv.backbones.pyramid(kv.backbones.create(name))
    assert model.strides == large.strides and model.channels == large.channels
    first = {"Alex": 4, "Conv": 4, "ViTT": 16, "ViTS": 16, "VGG1": 1}.get(name[:4], 2)
    expected = tuple(stride for stride in (1, 2, 4, 8, 16, 32) if stride >= first)
    if name.startswith("ViT") or kv.backbones.info(name).image_size == 32:
        expected = (16,) if name.startswith("ViT") else (1, 2, 4)
    assert model.strides == expected
    assert model.channels[-1] == small.output_shape[1]


def test_the_numbers_are_the_backbones():
    backbone = kv.backbones.create("ResNet50", image_size=64)
    model = kv.backbones.pyramid(backbone, (8, 32))
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    middle, last = model(images, training=False)
    np.testing.assert_array_equal(last, backbone(images, training=False))
    inner = keras.Model(backbone.input, backbone.get_layer("conv3_block4_out").output)
    np.testing.assert_array_equal(middle, inner(images, training=False))
    assert model.name == "ResNet50" and model.inputs[0].name == "image"


def own(size=None) -> keras.Model:
    """Convolutions at 1, 2 and 4; padding by an operation, a gate of one pixel, and a head."""
    image = keras.Input((size, size, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="full")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(16, 3, 2, name="half")(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))
    gate = layers.Conv2D(16, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply(name="gated")([x, gate])
    x = layers.Conv2D(24, 3, 2, padding="same", name="quarter")(x)
    return keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)), name="mine")


def test_own_functional_model():
    model = kv.backbones.pyramid(own())
    assert (model.strides, model.channels) == ((1, 2, 4), (8, 16, 24))
    names = [output._keras_history.operation.name for output in model.outputs]
    assert names == ["full", "gated", "quarter"]
    assert model.sizes(33, 7) == ((33, 7), (17, 4), (9, 2))


def test_own_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((20, 20, 3)),
            layers.Conv2D(4, 3),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3),
            layers.MaxPooling2D(),
        ]
    )
    model.add(layers.Flatten())
    model.add(layers.Dense(3))
    found = kv.backbones.pyramid(model)
    assert (found.strides, found.channels, found.sizes(20, 20)) == ((1, 2, 4), (4, 6, 6), ((18, 18), (7, 7), (3, 3)))


def test_pixels_that_no_kernel_has_seen_are_no_feature():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, 2, padding="same")(layers.AveragePooling2D(2)(layers.Rescaling(1 / 255)(image)))
    assert kv.backbones.pyramid(keras.Model(image, x)).strides == (4,)


def test_a_model_that_knows_one_size_only():
    """Positions learned for 8 x 8 patches cannot be traced at 256 pixels: its own size has to do."""
    image = keras.Input((64, 64, 3))
    x = layers.Reshape((64, 6))(layers.Conv2D(6, 8, 8)(image))
    x = layers.Reshape((8, 8, 6))(layers.Dense(6)(layers.Permute((2, 1))(layers.Dense(64)(layers.Permute((2, 1))(x)))))
    model = kv.backbones.pyramid(keras.Model(image, layers.Conv2D(7, 3, 2, padding="same")(x), name="one"))
    assert (model.strides, model.channels, model.sizes(64, 64)) == ((8, 16), (6, 7), ((8, 8), (4, 4)))
    with pytest.raises(UserError, match=r"`height, width` do not fit 'one': .*\(96, 64\)"):
        model.sizes(96, 64)


def nested() -> keras.Model:
    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(3, 3, 2, padding="same")(image)
    return keras.Model(image, layers.Dense(2)(kv.backbones.create("ResNet20", image_size=32)(x)), name="outer")


@pytest.mark.parametrize(
    ("model", "strides", "text"),
    [
        (own, (2, 8), r"not all exist in 'mine'.* out of \(1, 2, 4\).*Received: \(2, 8\)"),
        (own, (4, 2), r"`strides` is not valid.* out of \(1, 2, 4\)"),
        (own, (2, 2), "`strides` is not valid"),
        (own, (), "`strides` is not valid"),
        (nested, None, r"in 'outer'.* out of \(2, 8\).*'ResNet20' is a nested model.*Pass that model"),
        (nested, (2, 4, 8), r"in 'outer'.* out of \(2, 8\).*'ResNet20' is a nested model"),
        (
            lambda: keras.Sequential([layers.Conv2D(3, 3)]),
            None,
            r"`backbone`.*Begin a Sequential model with keras.Input",
        ),
        (lambda: "ResNet50", None, "`backbone`.*functional.*Received: 'ResNet50'"),
        (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2)]), None, "`backbone`.*one image"),
    ],
)
def test_errors(model, strides, text):
    with pytest.raises(UserError, match=text):
        kv.backbones.pyramid(model(), strides)


def test_what_a_nested_model_shows_can_be_asked_for():
    model = kv.backbones.pyramid(nested(), (2, 8))
    assert (model.strides, model.channels) == ((2, 8), (3, 2))


ELSEWHERE = """
import sys, kvision, keras, numpy as np
model = kvision.load_model(sys.argv[1] + "/model.keras")
print(keras.backend.backend(), type(model).__name__, model.strides, model.channels, model.sizes(33, 7))
np.save(sys.argv[1] + "/maps.npy", model(np.load(sys.argv[1] + "/images.npy"), training=False)[-1])
"""


@pytest.mark.parametrize("backend", [pytest.param("tensorflow", marks=pytest.mark.slow), "jax"])
def test_a_saved_pyramid_keeps_its_attributes_in_another_process(backend, tmp_path):
    model = kv.backbones.pyramid(own(), (2, 4))
    images = np.random.default_rng(2).integers(0, 256, (2, 20, 28, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    model.save(tmp_path / "model.keras")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ELSEWHERE, tmp_path]
    result = forks.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines()[-1] == f"{backend} Pyramid (2, 4) (16, 24) ((17, 4), (9, 2))"
    np.testing.assert_allclose(np.load(tmp_path / "maps.npy"), model(images, training=False)[-1], atol=1e-5)


NARROW = {  # {constructor: channels of the narrow maps}; of networks without inverted residual blocks they are the same
    "MobileNetV2": (16, 24, 32, 96, 320),
    "MobileNetV3Small": (16, 16, 24, 48, 96),
    "EfficientNetB0": (16, 24, 40, 112, 320),
    "EfficientNetV2B0": (16, 32, 48, 112, 192),
    "ResNet50": tuple(CHANNELS["ResNet50"].values()),
    "DenseNet121": tuple(CHANNELS["DenseNet121"].values()),
}


@pytest.mark.parametrize(
    "name",
    [n if n in ("EfficientNetB0", "MobileNetV3Small") else pytest.param(n, marks=pytest.mark.slow) for n in NARROW],
)
def test_narrow_maps_are_those_before_the_expansions(name):
    model = application(name)
    found = kv.backbones.pyramid(model, narrow=True)
    assert found.channels == NARROW[name] and found.strides == tuple(CHANNELS[name])
    assert all(separates(tap, model) for tap in found.outputs)
    assert list(kv.backbones.stages(found).values())[1:] == list(kv.backbones.stages(model).values())[1:]
