import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.export import litert

SIZE = 64


def backbone(size: int | None = SIZE, pooled: bool = False) -> keras.Model:
    """Sums of brightness in cells of 8 x 8 pixels, without a border that would tell where a cell is."""
    image = keras.Input((size, size, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.AveragePooling2D(8)(x)
    if pooled:
        x = keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.Reshape((1, 1, 3))(x)
    return keras.Model(image, x, name="cells")


def spot(top: int, left: int) -> np.ndarray:
    image = np.zeros((1, SIZE, SIZE, 3), "float32")
    image[0, top : top + 16, left : left + 16] = 255
    return image


def box(model: keras.Model, image: np.ndarray) -> np.ndarray:
    return np.asarray(model(image, training=False)["box"])[0, 0]


def sharp(model: keras.Model) -> keras.Model:
    """Heat maps that follow the brightness."""
    places, maps = model.get_layer("places"), model.get_layer("heat_maps")
    kernel, bias = map(np.zeros_like, places.get_weights())
    kernel[1, 1] = 1  # the middle of 3 x 3
    places.set_weights([kernel, bias])
    maps.set_weights([np.full_like(maps.get_weights()[0], 4.0), np.zeros_like(maps.get_weights()[1])])
    return model


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("head", kv.detection.HEADS)
def test_outputs(head, per_class):
    keras.utils.set_random_seed(0)
    model = kv.detection.locator(backbone(), 3, head=head, per_class=per_class, width=8)
    found = model(spot(8, 24), training=False)
    assert found["class"].shape == (1, 3) and found["box"].shape == (1, 3 if per_class else 1, 4)
    values = np.asarray(found["box"])
    assert values.dtype == np.float32 and values.min() >= 0 and values.max() <= SIZE
    assert isinstance(model.get_layer("body"), kv.layers.Body)


def test_the_box_moves_with_the_object_and_cannot_without_places():
    model = sharp(kv.detection.locator(backbone(), 3, width=8))
    here, down, across = (box(model, spot(*place)) for place in ((8, 8), (40, 8), (8, 40)))
    shift = 32 * 15 / 14  # a heat map of 16 points spans the image, and 2 of them belong to each cell
    np.testing.assert_allclose(down - here, [shift, 0, shift, 0], atol=1.5)
    np.testing.assert_allclose(across - here, [0, shift, 0, shift], atol=1.5)
    blind = sharp(kv.detection.locator(backbone(pooled=True), 3, width=8))
    np.testing.assert_allclose(box(blind, spot(8, 8)), box(blind, spot(40, 40)), atol=1e-3)


def test_flatten_keeps_places():
    keras.utils.set_random_seed(0)
    model = kv.detection.locator(backbone(), 3, head="flatten", width=8)
    assert np.abs(box(model, spot(8, 8)) - box(model, spot(40, 40))).max() > 0.5


@pytest.mark.parametrize(("head", "per_class"), [("soft_argmax", True), ("flatten", False)])
def test_the_detector_is_the_same_in_all_formats(head, per_class, tmp_path):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    network = kv.detection.locator(backbone(), 3, head=head, per_class=per_class, width=8)
    model = kv.detection.located(network)
    images = np.concatenate([spot(8, 8), spot(40, 16), spot(0, 48)])
    expected = np.asarray(model(images, training=False))
    parts = network(images, training=False)
    label = np.argmax(parts["class"], -1)
    chosen = np.asarray(parts["box"])[np.arange(3), label if per_class else 0]
    ordered = np.concatenate([np.minimum(*np.split(chosen, 2, 1)), np.maximum(*np.split(chosen, 2, 1))], 1)
    np.testing.assert_allclose(expected[:, 0, :4], ordered, rtol=1e-5)
    assert expected[:, 0, 5].tolist() == label.tolist()
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(kv.load_model(tmp_path / "model.keras")(images, training=False)), expected)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.serve(images), expected, atol=1e-4)
    lite = litert.interpreter(litert.convert(model), threads=1)
    lite.resize_tensor_input(lite.get_input_details()[0]["index"], images.shape)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], images)
    lite.invoke()
    np.testing.assert_allclose(lite.get_tensor(lite.get_output_details()[0]["index"]), expected, atol=1e-4)
    checked = kv.tasks.Detection(["a", "b", "c"], image_size=SIZE)
    assert checked.check(model) is model and checked.cases(model)


def test_wrong_calls():
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    for call, text in [
        (lambda: kv.detection.locator(backbone(), 3, head="dense"), "`head` is not known"),
        (lambda: kv.detection.locator(backbone(), 0), "`classes`"),
        (lambda: kv.detection.locator(backbone(), 3, width=0), "`width`"),
        (lambda: kv.detection.locator(backbone(None), 3), "`backbone` cannot locate"),
        (lambda: kv.detection.locator(flat, 3), "`backbone` cannot locate"),
    ]:
        with pytest.raises(UserError, match=text):
            call()
