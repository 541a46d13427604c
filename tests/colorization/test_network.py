"""Networks that color pictures: what they see, what they keep, and what they learn."""

import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision import luma_chroma, sepia
from kvision.checks import UserError

pytestmark = pytest.mark.usefixtures("in_the_zoo")
EVERY = [(decoder, head) for decoder in kv.colorization.DECODERS for head in kv.colorization.HEADS]


def network(decoder: str = "unet", head: str = "regression", **options) -> keras.Model:
    channels = 3 + 3 * options.get("hints", False) + options.get("neighbors", 0)
    backbone = kv.backbones.create("Small", channels=channels)
    return kv.colorization.network(backbone, decoder=decoder, head=head, **{"widths": (16, 12, 8, 8), **options})


def spread(model: keras.Model) -> keras.Model:
    """Weights as after a training, with chroma of the size of a photograph's."""
    trained_like(model)
    last = [weight for weight in model.weights if weight.path.endswith(("logits/kernel", "predict/kernel"))]
    found = np.asarray(kv.colorization.chroma(model)(inputs(model)))
    last[0].assign(last[0] * 0.1 / found.std())
    return model


def inputs(model: keras.Model, size=(48, 64), seed: int = 0):
    """What a colorizer of the network takes: a picture, or all inputs by name."""
    random = np.random.default_rng(seed)
    given = {"image": random.integers(0, 256, (1, *size, 3)), "hints": np.zeros((1, *size, 3))}
    given["neighbors"] = random.uniform(0, 255, (1, *size, 2))
    given = {t.name: given[t.name].astype("float32") for t in model.inputs if t.name in given}
    return given["image"] if len(given) == 1 else given


@pytest.mark.parametrize(("decoder", "head"), EVERY)
def test_the_luma_is_kept_and_only_the_gray_is_seen(decoder, head):
    model = spread(network(decoder, head, points=decoder == "hypercolumn"))
    image = inputs(model, (49, 63))
    gray = np.repeat(luma_chroma.luma(image), 3, -1)
    raw = kv.colorization.colorizer(model, clip=False)
    colored = np.asarray(raw(image))
    assert colored.shape == image.shape and raw.output_shape == (None, None, None, 3)
    gray_layer = next(layer for layer in raw.layers if isinstance(layer, kv.layers.Gray))
    seen = keras.Model(raw.input, gray_layer.output)
    np.testing.assert_array_equal(np.asarray(seen(image)), gray[..., :1], "what is joined is the luma of the image")
    np.testing.assert_allclose(luma_chroma.luma(colored), gray[..., :1], atol=2e-3)
    assert np.abs(luma_chroma.luma_chroma(colored)[..., 1:]).max() > 1, "control: it is not gray"
    np.testing.assert_allclose(np.asarray(raw(gray)), colored, atol=0.02)
    toned = sepia.sepia(np.repeat(luma_chroma.luma(image), 3, -1)).astype("float32")
    assert np.abs(np.asarray(raw(toned)) - colored).mean() < 2, "a sepia picture gets the colors of its gray"
    found = np.asarray(kv.colorization.colorizer(model)(image))
    np.testing.assert_array_equal(found, colored.clip(0, 255))


def test_a_new_network_is_gray():
    for decoder in kv.colorization.DECODERS:
        model = network(decoder)
        image = inputs(model)
        np.testing.assert_array_equal(
            np.asarray(kv.colorization.colorizer(model)(image)), np.repeat(luma_chroma.luma(image), 3, -1)
        )


@pytest.mark.parametrize("head", kv.colorization.HEADS)
def test_points_are_pixels_of_the_whole(head):
    model = spread(network("hypercolumn", head, points=True))
    image = inputs(model)
    places = np.array([[[(2 * y + 1) / 48, (2 * x + 1) / 64] for y, x in ((0, 0), (7, 13), (23, 31))]], "float32")
    found = np.asarray(model({"image": image, "points": places}))[0]
    whole = keras.Model(*_whole(model))
    expected = np.asarray(whole(image))[0][[0, 7, 23], [0, 13, 31]]
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def _whole(model):
    made = kv.colorization.chroma(model)
    name = "chroma" if model.output_shape[-1] == 2 else "bins"
    layer = made.get_layer(name)
    node = next(n for n in layer._inbound_nodes if len(n.output_tensors[0].shape) == 4)
    return made.input, node.output_tensors[0]


def test_hints_and_neighbors_reach_the_colors():
    model = spread(network(hints=True, neighbors=2))
    colorizer = kv.colorization.colorizer(model)
    assert {tensor.name for tensor in colorizer.inputs} == {"image", "hints", "neighbors"}
    given = inputs(model)
    before = np.asarray(colorizer(given))
    hinted = {**given, "hints": kv.colorization.hint_map([(20, 30, 255, 0, 0)], (48, 64))[None]}
    moved = {**given, "neighbors": given["neighbors"][:, ::-1]}
    for other in (hinted, moved):
        assert np.abs(np.asarray(colorizer(other)) - before).max() > 0.5
    only = network(neighbors=1)
    assert {tensor.name for tensor in only.inputs} == {"image", "neighbors"}


@pytest.mark.parametrize("head", kv.colorization.HEADS)
def test_save_and_reload(head, tmp_path):
    model = spread(network("hypercolumn", head, points=True, hints=True))
    given = inputs(model)
    expected = np.asarray(kv.colorization.colorizer(model)(given))
    model.save(tmp_path / "model.keras")
    again = kv.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(kv.colorization.colorizer(again)(given)), expected, atol=1e-3)


def stripes(count: int, *, shuffled: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose hue is told by the direction of their stripes: across is orange, along is blue."""
    random = np.random.default_rng(0)
    images = np.zeros((count, 32, 32, 3), "float32")
    truth = np.ones((count, 32, 32, 3), "float32")
    for i in range(count):
        wave = 100 + 50 * np.sin(np.arange(32) * random.uniform(0.7, 1.1) + random.uniform(0, 6))[:, None]
        gray = np.broadcast_to(wave if i % 2 else wave.T, (32, 32))
        images[i] = gray[..., None]
        truth[i, ..., :2] = (-0.3, 0.25) if i % 2 else (0.3, -0.25)
    return images, truth[random.permutation(count)] if shuffled else truth


@pytest.mark.parametrize("decoder", ["hypercolumn", "unet", pytest.param("residual", marks=pytest.mark.slow)])
def test_colors_that_follow_from_texture_are_learned_and_shuffled_ones_are_not(decoder):
    def left(shuffled: bool) -> float:
        """The squared error on new pictures, as a share of that of the best constant chroma."""
        keras.utils.set_random_seed(0)
        model = network(decoder)
        model.compile(keras.optimizers.Adam(0.01), kv.losses.ChromaLoss(delta=None))
        model.fit(*stripes(32, shuffled=shuffled), batch_size=8, epochs=10, verbose=0)
        images, truth = stripes(40)
        found = np.asarray(kv.colorization.chroma(model).predict(images[32:], verbose=0))
        wanted = truth[32:, ..., :2]
        return float(((found - wanted) ** 2).mean() / ((wanted - wanted.mean((0, 1, 2))) ** 2).mean())

    assert left(shuffled=False) < 0.4
    if decoder == "hypercolumn":
        assert left(shuffled=True) > 0.8, "control: shuffled pairs of luma and chroma"


def test_wrong_calls_are_told():
    backbone = kv.backbones.create("Small")
    for options, text in [
        ({"decoder": "fcn"}, "`decoder`"),
        ({"head": "lab"}, "`head`"),
        ({"points": True}, "`points`"),
        ({"neighbors": -1}, "`neighbors`"),
        ({"hints": True}, r"`backbone` has the wrong number.*channels=6"),
        ({"hints": True, "neighbors": 2}, r"channels=8"),
        ({"standard": "lab"}, "`standard`"),
    ]:
        with pytest.raises(UserError, match=text):
            kv.colorization.network(backbone, **options)
    with pytest.raises(UserError, match="`network`"):
        kv.colorization.colorizer(backbone)
