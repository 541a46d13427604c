import sys

import forks
import keras
import numpy as np
import pytest
from contracts import same_in_tflite
from scipy.special import erf

import kvision as kv
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3)).astype("float32")


def small(**options) -> keras.Model:
    model = kv.backbones.vit(**{"depth": 1, "width": 16, "heads": 2, "patch_size": 8, "image_size": 24, **options})
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=w.shape, scale=0.3) for w in model.get_weights()])  # biases and gains too
    return model


@pytest.mark.parametrize(("name", "width", "known"), [("ViTTiny16", 192, 5_486_400), ("ViTSmall16", 384, 21_589_632)])
def test_parameters(name, width, known):
    """DeiT-Ti has 5,717,416 and DeiT-S 22,050,664: less a class token, 197 positions and a head of 1000 classes."""
    model = kv.backbones.create(name)
    assert model.count_params() == known == {192: 5_717_416, 384: 22_050_664}[width] - (1 + 197 + 1000) * width - 1000
    assert known == (3 * 16**2 + 1) * width + 12 * (12 * width**2 + 13 * width) + 2 * width
    assert model.output_shape == (None, 14, 14, width)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_patch_kernel_starts_as_that_of_a_linear_layer(channels):
    """Glorot's uniform values of 768 inputs and 384 outputs deviate by .0416, as in MAE's code."""
    keras.utils.set_random_seed(0)
    model = kv.backbones.vit(depth=1, width=384, heads=6, image_size=16, channels=channels)
    kernel, bias = model.get_layer("patches").get_weights()
    inputs = 256 * max(channels, 3)
    assert abs(kernel.std() / np.sqrt(2 / (inputs + 384)) - 1) < 0.01 and not bias.any()
    assert channels == 4 or abs(kernel.std() - 0.0416) < 0.0004


def normalized(x, gain, shift):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * gain + shift


def slowly(images: np.ndarray, model: keras.Model) -> np.ndarray:
    """Token by token and head by head, in float64 (Dosovitskiy et al. 2021, eq. 1-4)."""
    weights = {layer.name: [w.astype("float64") for w in layer.get_weights()] for layer in model.layers}
    kernel, bias = weights["patches"]
    answers = []
    for image in images / 127.5 - 1:
        patches = [image[r : r + 8, c : c + 8] for r in range(0, 24, 8) for c in range(0, 24, 8)]
        x = np.stack([np.tensordot(patch, kernel, 3) + bias for patch in patches])
        frequencies = 1 / 10000 ** (np.arange(4) / 3)
        for token in range(9):
            row, column = token // 3, token % 3
            code = [np.sin(column * frequencies), np.cos(column * frequencies)]
            x[token] += np.concatenate([*code, np.sin(row * frequencies), np.cos(row * frequencies)])
        y = normalized(x, *weights["block1_norm1"])
        wq, bq, wk, bk, wv, bv, wo, bo = weights["block1_attention"]
        total = np.zeros_like(x)
        for head in range(2):
            q, k, v = (y @ w[:, head] + b[head] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
            scores = np.exp(q @ k.T / np.sqrt(8))
            total += scores / scores.sum(1, keepdims=True) @ v @ wo[head]
        x = x + total + bo
        (w1, b1), (w2, b2) = weights["block1_dense1"], weights["block1_dense2"]
        y = normalized(x, *weights["block1_norm2"]) @ w1 + b1
        x = x + y * (1 + erf(y / np.sqrt(2))) / 2 @ w2 + b2
        answers.append(normalized(x, *weights["norm"]).reshape(3, 3, 16))
    return np.stack(answers)


def test_a_block_equals_the_equations():
    model = small()
    np.testing.assert_allclose(model(IMAGES, training=False), slowly(IMAGES, model), atol=2e-4)


def on_tokens(tokens: np.ndarray, model: keras.Model) -> np.ndarray:
    """The blocks on the tokens (n, D) of one image alone, head by head, in float64."""
    weights = {layer.name: [w.astype("float64") for w in layer.get_weights()] for layer in model.layers}
    x = tokens.astype("float64")
    for block in range(1, 1 + sum(name.endswith("_attention") for name in weights)):
        part = {name[7:]: each for name, each in weights.items() if name.startswith(f"block{block}_")}
        y = normalized(x, *part["norm1"])
        wq, bq, wk, bk, wv, bv, wo, bo = part["attention"]
        total = np.zeros_like(x)
        for head in range(wq.shape[1]):
            q, k, v = (y @ w[:, head] + b[head] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
            scores = np.exp(q @ k.T / np.sqrt(wq.shape[2]))
            total += scores / scores.sum(1, keepdims=True) @ v @ wo[head]
        x = x + total + bo
        y = normalized(x, *part["norm2"]) @ part["dense1"][0] + part["dense1"][1]
        x = x + y * (1 + erf(y / np.sqrt(2))) / 2 @ part["dense2"][0] + part["dense2"][1]
    return normalized(x, *weights["norm"])


def test_picked_tokens_attend_to_each_other_alone():
    model = small(depth=2)
    positions = keras.Model(model.input, model.get_layer("positions").output)
    tokens = np.asarray(positions(IMAGES)).reshape(2, 9, 16)
    picked = np.array([[4, 0, 7], [8, 2, 1]])
    some = np.take_along_axis(tokens, picked[..., None], axis=1)
    found = np.asarray(kv.backbones.vit_tokens(model, some[:, :, None]))
    assert found.shape == (2, 3, 1, 16)
    for image in range(2):
        np.testing.assert_allclose(found[image, :, 0], on_tokens(some[image], model), atol=2e-4)
    whole = np.take_along_axis(np.asarray(model(IMAGES)).reshape(2, 9, 16), picked[..., None], axis=1)
    assert np.abs(found[:, :, 0] - whole).max() > 1e-2, "control: among all tokens they are others"


def test_all_tokens_give_the_model():
    model = small(depth=2)
    positions = keras.Model(model.input, model.get_layer("positions").output)
    np.testing.assert_allclose(kv.backbones.vit_tokens(model, positions(IMAGES)), model(IMAGES), atol=1e-5)
    flat = np.asarray(positions(IMAGES)).reshape(2, 9, 1, 16)
    found = np.asarray(kv.backbones.vit_tokens(model, flat)).reshape(2, 3, 3, 16)
    np.testing.assert_allclose(found, model(IMAGES), atol=1e-5)


def test_transformer_is_the_blocks_on_tokens_of_any_width():
    tokens = keras.Input((2, 3, 12), name="tokens")
    model = keras.Model(tokens, kv.backbones.transformer(tokens, depth=2, heads=3))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=w.shape, scale=0.3) for w in model.get_weights()])
    x = random.normal(size=(2, 2, 3, 12)).astype("float32")
    expected = np.stack([on_tokens(each.reshape(6, 12), model).reshape(2, 3, 12) for each in x])
    np.testing.assert_allclose(model(x), expected, atol=2e-4)
    known = {layer.name for layer in small(depth=2).layers} - {"image", "preprocess", "patches", "positions"}
    assert {layer.name for layer in model.layers} - {"tokens"} == known, "layers are named as in `vit`"


def test_positions_tell_patches_apart():
    """An image of equal patches: without positions all features would be one."""
    maps = np.asarray(small()(np.full((1, 24, 24, 3), 90.0), training=False)).reshape(9, 16)
    assert min(np.abs(a - b).max() for i, a in enumerate(maps) for b in maps[:i]) > 1e-2


def test_tflite_with_builtin_operations():
    same_in_tflite(small(depth=2))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"image_size": 20}, r"`image_size`.*a multiple of 8 .pixels.*Received: 20"),
        ({"image_size": 0}, "`image_size`"),
        ({"heads": 3}, r"`heads`.*a divisor of width 16"),
        ({"depth": 0}, "`depth`"),
        ({"width": 18}, r"`width`.*multiple of 4"),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(UserError, match=text):
        small(**arguments)
    with pytest.raises(UserError, match=r"`image_size`.*a multiple of 16"):
        kv.backbones.create("ViTTiny16", image_size=100)


JAX = """
import sys, numpy as np, keras, kvision as kv
assert keras.backend.backend() == "jax"
model = kv.backbones.vit(depth=1, width=16, heads=2, patch_size=8, image_size=24)
model.load_weights(sys.argv[1] + "/vit.weights.h5")
np.save(sys.argv[1] + "/maps.npy", model(np.load(sys.argv[1] + "/images.npy"), training=False))
print(kv.backbones.pyramid(model).strides)
"""


def test_jax_gives_the_numbers_of_tensorflow(tmp_path):
    model = small()
    model.save_weights(tmp_path / "vit.weights.h5")
    np.save(tmp_path / "images.npy", IMAGES)
    result = forks.run(
        [sys.executable, "-c", JAX, tmp_path], env=forks.jax_environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.splitlines()[-1] == "(8,)"
    np.testing.assert_allclose(np.load(tmp_path / "maps.npy"), model(IMAGES, training=False), atol=1e-4)
