import keras
import numpy as np
import pytest
from keras import layers
from trained_like import trained_like
from windowed import IMAGE, crops, valid

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation import convolutionalize, to_output_stride

PHOTO = np.random.default_rng(0).uniform(0, 1, (120, 131, 3)).astype("float32")


def answer(model, image=IMAGE) -> np.ndarray:
    return np.asarray(model(image[None], training=False))[0]


@pytest.mark.parametrize("head", ["flatten", "average", "max"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_finer_map_holds_the_windows_between(head, stride):
    model = valid(head)
    expected = crops(model, IMAGE, stride)
    found = answer(to_output_stride(convolutionalize(model), stride))
    np.testing.assert_allclose(found[: expected.shape[0], : expected.shape[1]], expected, atol=1e-5)


def deep() -> keras.Model:
    """Stride 16, nothing padded, a depthwise and a separable convolution, one that strides, average and max pools."""
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(image)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.DepthwiseConv2D(3, strides=2, name="depthwise")(x)
    x = layers.SeparableConv2D(5, 3, activation="relu")(layers.Conv2D(5, 1)(x))
    x = layers.Conv2D(6, 3, strides=2, name="last_stride")(x)
    return trained_like(keras.Model(image, layers.Conv2D(4, 2, name="end")(x), name="deep"))


@pytest.mark.parametrize("stride", [8, 4, 2])
def test_every_nth_cell_is_the_coarse_network(stride):
    model = deep()
    coarse, fine = answer(model, PHOTO), answer(to_output_stride(model, stride), PHOTO)
    step = 16 // stride
    sampled = fine[::step, ::step][: coarse.shape[0], : coarse.shape[1]]
    assert sampled.shape == coarse.shape and coarse.std() > 0.05
    np.testing.assert_allclose(sampled, coarse, atol=1e-5)
    assert fine.shape[0] > coarse.shape[0]


def test_a_kernel_that_is_not_spread_out_is_found():
    model = deep()
    fine = to_output_stride(model, 4)
    assert fine.get_layer("end").dilation_rate == (4, 4) and fine.get_layer("last_stride").dilation_rate == (2, 2)
    fine.get_layer("end").dilation_rate = (2, 2)
    coarse = answer(model, PHOTO)
    wrong = np.asarray(fine(PHOTO[None]))[0, ::4, ::4][: coarse.shape[0], : coarse.shape[1]]
    assert np.abs(wrong - coarse).max() > 1e-2


def test_its_own_stride_changes_nothing():
    model = deep()
    expected = answer(model, PHOTO)
    for stride in (16, 64):
        np.testing.assert_array_equal(answer(to_output_stride(model, stride), PHOTO), expected)


@pytest.mark.parametrize(
    "name",
    ["ResNet20", "Xception", "VGG16", *(pytest.param(n, marks=pytest.mark.slow) for n in ("DenseNet121", "ResNet50"))],
)
def test_the_zoo_gets_finer_and_says_the_same_inside(name):
    """Padding is spread out with the kernels, so that only the rim differs; the control is a cell beside it."""
    size = {"ResNet20": 96, "Xception": 320}.get(name, 256)
    backbone = trained_like(kv.backbones.create(name, image_size=size))
    own = size // backbone.output_shape[1] if name != "Xception" else 32
    fine = to_output_stride(backbone, own // 2)
    assert fine.count_params() == backbone.count_params()
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype("float32")
    coarse, found = answer(backbone, image), answer(fine, image)
    middle = slice(coarse.shape[0] // 2 - 1, coarse.shape[0] // 2 + 1)
    expected, sampled = coarse[middle, middle], found[::2, ::2][middle, middle]
    beside = found[1::2, ::2][middle, middle]
    scale = np.abs(expected).max()
    error, control = np.abs(sampled - expected).max() / scale, np.abs(beside - expected).max() / scale
    assert error < 0.02 + 0.1 * control and control > 0.05, (error, control)


@pytest.mark.parametrize("strides", [(2, 2), (2, 3)])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_same_padding_is_where_it_was(strides, kernel):
    """On sides that the strides divide, as even ones: inside, every nth cell is the coarse one."""
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, kernel, strides=strides[0], padding="same", activation="relu")(image)
    y = layers.Conv2D(4, kernel, strides=strides[1], padding="same")(x)
    x = layers.Add()([y, layers.Conv2D(4, 1, strides=strides[1])(x)])
    x = layers.MaxPooling2D(2, 2, padding="same")(x)
    x = layers.AveragePooling2D(kernel, 1, padding="same")(x)
    model = trained_like(keras.Model(image, layers.Conv2D(3, kernel, padding="same")(x)))
    total = 2 * strides[0] * strides[1]
    photo = np.random.default_rng(0).uniform(0, 1, (12 * total, 14 * total, 3)).astype("float32")
    coarse, fine = answer(model, photo), answer(to_output_stride(model, strides[0]), photo)
    step = total // strides[0]
    assert fine.shape[:2] == (12 * step, 14 * step)
    np.testing.assert_allclose(fine[::step, ::step][4:-4, 4:-4], coarse[4:-4, 4:-4], atol=1e-5)


def test_a_layer_at_two_dilations_becomes_two():
    image = keras.Input((None, None, 3), name="image")
    shared = layers.Conv2D(3, 3, name="shared")
    model = trained_like(keras.Model(image, shared(layers.Conv2D(3, 3, strides=2)(shared(image)))))
    fine = to_output_stride(model, 1)
    assert {"shared", "shared_1"} <= {layer.name for layer in fine.layers}
    coarse = answer(model)
    np.testing.assert_allclose(answer(fine)[::2, ::2][: coarse.shape[0], : coarse.shape[1]], coarse, atol=1e-5)


def test_half_precision_and_patches():
    image = keras.Input((None, None, 3), name="image")
    x = layers.MaxPooling2D(2, 2, dtype="mixed_float16")(layers.Conv2D(4, 3)(image))
    fine = to_output_stride(keras.Model(image, x), 1)
    assert fine.output.dtype == "float16"
    patches = trained_like(keras.Model(image, layers.Conv2D(2, 4, strides=4)(image)))
    found = answer(to_output_stride(patches, 2))
    np.testing.assert_allclose(found[::2, ::2][:14, :16], answer(patches)[:14, :16], atol=1e-5)
    pools = keras.Model(image, layers.MaxPooling2D(4)(image))
    np.testing.assert_array_equal(answer(to_output_stride(pools, 2))[::2, ::2][:14, :16], answer(pools))


def branched() -> keras.Model:
    image = keras.Input((36, 36, 3), name="image")
    two = layers.MaxPooling2D(2)(layers.MaxPooling2D(3)(image))
    return keras.Model(image, layers.Add(name="join")([layers.MaxPooling2D(6)(image), two]))


def sliced(make) -> keras.Model:
    image = keras.Input((32, 32, 3), name="image")
    return keras.Model(image, make(layers.Conv2D(3, 3, strides=2, padding="same")(image)))


@pytest.mark.parametrize(
    ("model", "stride", "text"),
    [
        (valid(), 8, r"`model`.*\(batch, h, w, features\)"),
        (deep(), 0, "`stride`.*at least 1"),
        (
            keras.Sequential(
                [keras.Input((32, 32, 3)), layers.Conv2D(2, 3, strides=2), layers.UpSampling2D(name="up")]
            ),
            1,
            r"'up' \(UpSampling2D\) cannot be dilated",
        ),
        ("x", 8, "`model`"),
        (branched(), 4, r"'join' \(Add\) joins maps"),
        (sliced(lambda x: layers.Conv2D(2, 3, strides=3)(x)), 4, r"`stride`.*pass through, such as 2"),
        (sliced(lambda x: x[:, ::2, ::2]), 1, r"\(GetItem\) cannot be dilated"),
        (sliced(lambda x: keras.ops.max_pool(x, 3, 1)), 1, r"\(MaxPool\) cannot be dilated"),
        (sliced(lambda x: layers.AdaptiveAveragePooling2D(4, name="ad")(x)), 1, "'ad'"),
        (sliced(lambda x: kv.layers.SubPixelConvolution(2, name="sub")(x)), 1, "'sub'"),
        (sliced(lambda x: layers.Conv2DTranspose(2, 3, 2, name="t")(x)), 1, "'t'"),
    ],
)
def test_what_cannot_be_spread_out_is_named(model, stride, text):
    with pytest.raises(UserError, match=text):
        to_output_stride(model, stride)
