import functools
import itertools

import corpus
import keras
import numpy as np
import pytest

import kvision as kv
from kvision.pixels import pillow
from kvision.tasks import signatures


def lite0() -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = kv.backbones.create("EfficientNetLite0", weights=None, image_size=64, pooling="avg")
    return keras.Model(backbone.input, keras.layers.Dense(3, activation="softmax")(backbone.output), name="lite0")


@pytest.fixture(scope="module")
def loaded(model, tmp_path_factory):
    """A function from a name to a Keras model and its reloaded SavedModel."""
    import tensorflow as tf

    @functools.cache
    def pair(name: str):
        made, folder = model if name == "small" else lite0(), str(tmp_path_factory.mktemp(name))
        module = tf.Module()
        module.weights = [variable.value for variable in made.variables]
        tf.saved_model.save(module, folder, signatures=signatures.served(made, signatures.functions(made)))
        return made, tf.saved_model.load(folder)

    return pair


NAMES = ["small", pytest.param("lite0", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_in_no_rows_out(loaded, name):
    """A convolution with batch normalization behind it, as most networks begin."""
    import tensorflow as tf

    model, reloaded = loaded(name)
    image, width = tf.zeros((0, *model.input_shape[1:])), model.layers[-1].input.shape[1]
    for signature in ("predict", "serving_default"):
        outputs = reloaded.signatures[signature](image=image)
        assert outputs["probabilities"].shape == (0, 3) and outputs["label"].shape == (0,)
    assert reloaded.signatures["embed"](image=image)["feature"].shape == (0, width)
    outputs = reloaded.signatures["serve_bytes"](image_bytes=tf.constant([], tf.string))
    assert {key: value.shape.as_list() for key, value in outputs.items()} == {
        "probabilities": [0, 3],
        "label": [0],
        "valid": [0],
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 4])
def test_other_batches_are_as_the_model_gives_them(loaded, name, count):
    model, reloaded = loaded(name)
    image = np.random.default_rng(0).uniform(0, 255, (count, *model.input_shape[1:])).astype("float32")
    outputs = reloaded.signatures["predict"](image=image)
    np.testing.assert_allclose(outputs["probabilities"], model.predict_on_batch(image), atol=1e-5)
    feature = reloaded.signatures["embed"](image=image)["feature"]
    expected = keras.Model(model.input, model.layers[-1].input).predict_on_batch(image)
    np.testing.assert_allclose(feature, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_the_size_of_the_images_stays_known(loaded):
    """Padding by a computed count would forget it, and a server could not tell clients."""
    _, reloaded = loaded("small")
    (spec,) = reloaded.signatures["predict"].structured_input_signature[1].values()
    assert spec.shape.as_list() == [None, 32, 32, 3] and spec.name == "image"
    assert reloaded.signatures["predict"].structured_outputs["probabilities"].shape.as_list() == [None, 3]


def test_every_kind_of_file_goes_through_the_reloaded_model(loaded):
    """Row by row against Pillow's half, good and bad files mixed, in one batch and alone."""
    import tensorflow as tf

    model, reloaded = loaded("small")
    good, bad = corpus.decoded(), corpus.refused()
    assert len(good) + len(bad) >= 70
    names = [name for pair in itertools.zip_longest(good, bad) for name in pair if name]
    serve = reloaded.signatures["serve_bytes"]
    answers = serve(image_bytes=tf.constant([{**good, **bad}[name] for name in names]))
    assert dict(zip(names, answers["valid"].numpy().tolist(), strict=True)) == {name: name in good for name in names}
    for name, row in zip(names, answers["probabilities"].numpy(), strict=True):
        if name in good:
            pixels = pillow.load(good[name], model.input_shape[1])
            np.testing.assert_allclose(row, model.predict_on_batch(pixels[None])[0], atol=0.02, err_msg=name)
    for name in ("jpeg", "empty", "animated webp"):
        alone = serve(image_bytes=tf.constant([{**good, **bad}[name]]))
        np.testing.assert_allclose(alone["probabilities"][0], answers["probabilities"][names.index(name)], atol=1e-6)
    empty = serve(image_bytes=tf.constant([], tf.string))
    assert empty["valid"].shape == (0,) and empty["probabilities"].shape == (0, 3)
