import keras
import numpy as np
import pytest
from contracts import same_in_tflite

import kvision as kv
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3)).astype("float32")


def run(model, x) -> np.ndarray:
    return np.asarray(model(x, training=False))


def scattered(model: keras.Model) -> keras.Model:
    """Gains, offsets and statistics of their own in every normalization."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return model


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 11_186_112),  # torchvision's 11,176,512 without its head, and 4800 means and variances
        ({"small_stem": True}, 11_178_432),
        ({"width": 16, "image_size": 32}, 702_576),
        ({"width": 16, "small_stem": False}, 704_496),
    ],
)
def test_parameters(options, count):
    model = kv.backbones.resnet18(**options)
    assert model.count_params() == count
    width = options.get("width", 64)
    small = options.get("small_stem", options.get("image_size", 224) <= 64)
    # by hand, for widths w 2w 4w 8w: two blocks of two 3x3 each, a 1x1 where the width changes, 4 per normalized plane
    expected = (9 if small else 49) * 3 * width + 4 * width
    for stage in range(4):
        w, entry = width << stage, width << max(stage - 1, 0)
        expected += 9 * w * (entry + 3 * w) + 4 * 4 * w + (entry * w + 4 * w if stage else 0)
    assert expected == count
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len([c for c in convolutions if "shortcut" not in c.name]) == 17, "and a head: 18"
    assert len(convolutions) == 20


@pytest.mark.parametrize(
    ("image_size", "small_stem", "strides"),
    [
        (64, None, (1, 2, 4, 8)),
        (65, None, (4, 8, 16, 32)),
        (96, None, (4, 8, 16, 32)),
        (96, True, (1, 2, 4, 8)),
        (32, False, (4, 8, 16, 32)),
    ],
)
def test_the_stem_follows_the_images(image_size, small_stem, strides):
    """Sizes of what really comes out of each stage, and growth with 32 pixels more."""
    sizes = []
    for size in (image_size, image_size + 32):
        stem = (image_size <= 64) if small_stem is None else small_stem
        model = kv.backbones.resnet18(width=2, image_size=size, small_stem=stem)
        if size == image_size and small_stem is None:
            by_size = kv.backbones.resnet18(width=2, image_size=size)
            assert [w.shape for w in by_size.weights] == [w.shape for w in model.weights]
        ends = [model.get_layer(f"stage{n}_block2_relu2").output for n in (1, 2, 3, 4)]
        maps = keras.Model(model.input, ends)(np.zeros((1, size, size, 3), "float32"), training=False)
        sizes.append([m.shape[1] for m in maps])
        assert [m.shape[3] for m in maps] == [2, 4, 8, 16]
    assert sizes[0] == [-(-image_size // stride) for stride in strides]
    assert [b - a for a, b in zip(*sizes, strict=True)] == [32 // stride for stride in strides]


def convolution(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """As torch counts pixels: the same padding on either side."""
    around = kernel.shape[0] // 2
    padded = np.pad(x, [(0, 0), (around, around), (around, around), (0, 0)])
    size = (x.shape[1] + 2 * around - kernel.shape[0]) // stride + 1
    out = np.zeros((len(x), size, size, kernel.shape[-1]))
    for row in range(size):
        for column in range(size):
            r, c = row * stride, column * stride
            out[:, row, column] = np.tensordot(padded[:, r : r + len(kernel), c : c + len(kernel)], kernel, 3)
    return out


def through(x: np.ndarray, model: keras.Model, name: str, stride: int = 1) -> np.ndarray:
    """A convolution and its normalization, of moving statistics."""
    assert len(model.get_layer(name).get_weights()) == 1, "no offset before a normalization"
    gamma, beta, mean, variance = model.get_layer(f"{name}_bn").get_weights()
    x = convolution(x, model.get_layer(name).get_weights()[0], stride)
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


@pytest.mark.parametrize(
    ("block", "before", "stride", "shortcut"),
    [
        ("stage1_block1", "conv1_relu", 1, False),
        ("stage2_block1", "stage1_block2_relu2", 2, True),
        ("stage2_block2", "stage2_block1_relu2", 1, False),
        ("stage4_block1", "stage3_block2_relu2", 2, True),
    ],
)
def test_a_block_is_the_formula(block, before, stride, shortcut):
    """relu(F(x) + x), x through a 1x1 convolution where size and width change (option B)."""
    model = scattered(kv.backbones.resnet18(width=3, image_size=12))
    ends = [model.get_layer(name).output for name in (before, f"{block}_relu2")]
    x, out = keras.Model(model.input, ends)(IMAGES, training=False)
    x = np.asarray(x, "float64")
    y = through(np.maximum(through(x, model, f"{block}_conv1", stride), 0), model, f"{block}_conv2")
    names = {layer.name for layer in model.layers}
    assert (f"{block}_shortcut" in names) == shortcut
    y += through(x, model, f"{block}_shortcut", stride) if shortcut else x
    np.testing.assert_allclose(out, np.maximum(y, 0), rtol=1e-4, atol=1e-4 * y.max())


@pytest.mark.parametrize("small", [True, False])
def test_the_stem_is_the_formula(small):
    model = scattered(kv.backbones.resnet18(width=3, image_size=12, small_stem=small))
    out = keras.Model(model.input, model.get_layer("stage1_block1_conv1").input)(IMAGES, training=False)
    x = (IMAGES / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    y = np.maximum(through(x, model, "conv1", 1 if small else 2), 0)
    if not small:
        padded = np.pad(y, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)  # torch's max-pool
        y = np.zeros((2, 3, 3, 3))
        for r in range(3):
            for c in range(3):
                y[:, r, c] = padded[:, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].max(axis=(1, 2))
    np.testing.assert_allclose(out, y, rtol=1e-4, atol=1e-4 * y.max())


def test_names_and_what_comes_out():
    model = kv.backbones.resnet18(width=2, image_size=16, pooling="avg")
    assert model.name == "ResNet18" and [tensor.name for tensor in model.inputs] == ["image"]
    assert model.output_shape == (None, 16) and kv.backbones.resnet18(width=2).output_shape == (None, 7, 7, 16)
    maps = keras.Model(model.input, model.get_layer("stage4_block2_relu2").output)
    images = np.resize(IMAGES, (2, 16, 16, 3))
    np.testing.assert_allclose(run(model, images), run(maps, images).mean(axis=(1, 2)), rtol=1e-5)
    weighted = [layer.name for layer in model.layers if layer.weights]
    blocks = [f"stage{s}_block{b}" for s in (1, 2, 3, 4) for b in (1, 2)]
    for block in blocks:
        assert {f"{block}_conv1", f"{block}_conv1_bn", f"{block}_conv2", f"{block}_conv2_bn"} <= set(weighted)
    assert all(name.startswith(("conv1", *blocks)) for name in weighted)
    np.testing.assert_allclose(run(model, images), run(model, images.astype("uint8")), atol=1e-5)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = scattered(kv.backbones.resnet18(width=2, image_size=12, pooling="avg"))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(again, IMAGES), run(model, IMAGES))
    assert np.abs(run(model, IMAGES)[0] - run(model, IMAGES)[1]).max() > 1e-3


@pytest.mark.parametrize("small", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_tflite_equals_keras(small):
    same_in_tflite(scattered(kv.backbones.resnet18(width=4, image_size=32, pooling="avg", small_stem=small)))


def test_its_stages_can_be_frozen():
    model = kv.transfer.attach(kv.backbones.resnet18(width=2, image_size=16, pooling="avg"), 3)
    variables = kv.schedules.freeze(model, above="stage4", norm="train")
    assert {v.path.split("_")[0] for v in variables} == {"stage4", "probabilities/kernel", "probabilities/bias"}
    assert len(variables) == 5 * 3 + 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"width": 0}, "`width`"),
        ({"width": 1.5}, "`width`"),
        ({"pooling": "max"}, r"`pooling` is not known. Expected one of: avg"),
    ],
)
def test_errors(options, text):
    with pytest.raises(UserError, match=text):
        kv.backbones.resnet18(**options)


def test_its_stride_becomes_holes():
    """The pooling of one pixel in its shortcuts is spread out like every other layer that strides."""
    model = scattered(kv.backbones.resnet18(width=2, image_size=32))
    finer = kv.segmentation.to_output_stride(model, 4)
    images = np.resize(IMAGES, (2, 32, 32, 3))
    found = run(finer, images)
    assert found.shape == (2, 8, 8, 16)
    np.testing.assert_allclose(found[:, ::2, ::2], run(model, images), rtol=1e-4, atol=1e-5)
