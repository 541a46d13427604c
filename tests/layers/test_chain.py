import keras
import numpy as np

import kvision as kv


def chain() -> kv.layers.Chain:
    steps = [
        kv.layers.ColumnScaling.of(3, center=1.0, factor=2.0),
        keras.layers.Dense(4),
        kv.layers.Decision("softmax"),
    ]
    return kv.layers.Chain(steps, note="A note.")


def test_is_one_layer_of_a_model_and_survives_a_file(tmp_path):
    inputs = keras.Input((3,), name="feature")
    model = keras.Model(inputs, chain()(inputs))
    assert model.layers[-1].input is model.layers[0].output, "what the head reads is a tensor of the model around it"
    assert len(model.trainable_weights) == 2 and len(model.weights) == 5
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
    assert loaded.layers[-1].note == "A note."


def test_calls_its_steps_in_order():
    layer = chain()
    x = np.array([[1, 2, 3]], "float32")
    found = layer(x)
    scaled, kernel = (x - 1) * 2, np.asarray(layer.steps[1].kernel)
    expected = np.exp(scaled @ kernel) / np.exp(scaled @ kernel).sum()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert layer.compute_output_shape((None, 3)) == (None, 4)
