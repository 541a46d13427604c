import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.augment import GaussianBlur, RandomGray, RandomResizedCrop, Solarize, View, fold, simclr
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3), dtype="uint8")
KEY = np.array([7, 3])


def test_runs_its_layers_in_order_each_with_its_own_key():
    layers = [RandomResizedCrop(12), Solarize(0.5), GaussianBlur(0.5, kernel_share=0.5)]
    expected = IMAGES
    for index, layer in enumerate(layers):
        expected = layer(expected, key=fold(KEY, index))
    np.testing.assert_allclose(View(layers)(IMAGES, key=KEY), expected, atol=1e-4)
    twice = np.asarray(View([RandomGray(0.5), RandomGray(0.5)])(IMAGES.repeat(1000, axis=0)[:, :2, :2], key=KEY))
    share = (twice == twice[..., :1]).all(axis=(1, 2, 3)).mean()
    assert abs(share - 0.75) < 0.03, "two draws, not one twice"


def test_eager_and_graph_agree_at_any_batch_size():
    view = simclr(16)
    eager = np.asarray(view(IMAGES, key=KEY))
    assert eager.shape == (6, 16, 16, 3) and eager.dtype == np.float32 and eager.min() >= 0 and eager.max() <= 255
    np.testing.assert_array_equal(view(IMAGES, key=KEY), eager)
    np.testing.assert_allclose(view(IMAGES.astype("float32"), key=KEY), eager, atol=1e-3)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int64)])
    def graph(images, key):
        return view(images, key=key)

    for count in (6, 1):
        np.testing.assert_allclose(graph(IMAGES[:count], KEY), view(IMAGES[:count], key=KEY), atol=0.05)


def test_tf_data_agrees_with_eager():
    view = simclr(16)
    data = tf.data.Dataset.from_tensor_slices(IMAGES).batch(6).map(lambda x: view(x, key=KEY))
    np.testing.assert_allclose(next(iter(data)), view(IMAGES, key=KEY), atol=0.05)


def test_in_training_and_in_inference_alike():
    view = simclr(16)
    np.testing.assert_array_equal(view(IMAGES, key=KEY, training=True), view(IMAGES, key=KEY, training=False))


def test_saved_in_a_model(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, View([RandomResizedCrop((8, 9)), RandomGray()], seed=5, name="view")(image))
    assert model.output_shape == (None, 8, 9, 3) and model.output.dtype == "float32"
    first = model.predict_on_batch(IMAGES)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("view").get_config() == model.get_layer("view").get_config()
    np.testing.assert_array_equal(again.predict_on_batch(IMAGES), first)  # from the seed
    second = model.predict_on_batch(IMAGES)
    assert np.abs(first - second).mean() > 1
    np.testing.assert_array_equal(again.predict_on_batch(IMAGES), second)


@pytest.mark.parametrize("layers", [[], [keras.layers.RandomFlip()]])
def test_other_layers_are_refused(layers):
    with pytest.raises(UserError, match=r"`layers` .*layers of kv.augment"):
        View(layers)
