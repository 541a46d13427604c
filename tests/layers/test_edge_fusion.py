import keras
import numpy as np
import pytest
from scipy.special import expit, softmax

from kvision.checks import UserError
from kvision.export import litert
from kvision.layers import EdgeFusion
from kvision.ops import diffuse

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.normal(0, 2, (2, 9, 11, 4)).astype("float32")


def numbers(value) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_it_spreads_the_probabilities_between_the_edges(power):
    edges = 1 - (1 - expit(OUTPUTS[..., 3:])) ** power
    expected = numbers(diffuse(softmax(OUTPUTS[..., :3], axis=-1), edges, steps=4))
    found = numbers(EdgeFusion(4, power=power)(OUTPUTS))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert np.abs(found - numbers(EdgeFusion(4, power=2.0)(OUTPUTS))).max() > 1e-3


def test_no_step_is_the_softmax_of_the_classes():
    np.testing.assert_allclose(numbers(EdgeFusion(0)(OUTPUTS)), softmax(OUTPUTS[..., :3], axis=-1), atol=1e-6)


def test_certain_edges_and_none_are_finite():
    for logit in (-1e4, 1e4):
        outputs = OUTPUTS.copy()
        outputs[..., 3] = logit
        assert np.isfinite(numbers(EdgeFusion(3, power=4.0)(outputs))).all()


def test_it_is_the_same_after_saving_and_in_tflite_at_a_size_of_its_own(tmp_path):
    outputs = keras.Input((None, None, 4), name="image")
    model = keras.Model(outputs, EdgeFusion(5, power=2.0, name="probabilities")(outputs))
    assert model.output_shape == (None, None, None, 3)
    expected = numbers(model(OUTPUTS))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(OUTPUTS)
    np.testing.assert_allclose(again, expected, atol=1e-6)
    lite = litert.interpreter(litert.convert(model), threads=1)  # built-in operations only
    place = lite.get_input_details()[0]["index"]
    lite.resize_tensor_input(place, OUTPUTS.shape)
    lite.allocate_tensors()
    lite.set_tensor(place, OUTPUTS)
    lite.invoke()
    np.testing.assert_allclose(lite.get_tensor(lite.get_output_details()[0]["index"]), expected, atol=1e-5)


def test_half_precision_answers_in_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert keras.backend.standardize_dtype(EdgeFusion(2)(OUTPUTS).dtype) == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_refusals():
    for options, name in [({"steps": -1}, "steps"), ({"steps": 1.5}, "steps"), ({"power": 0}, "power")]:
        with pytest.raises(UserError, match=f"`{name}`"):
            EdgeFusion(**options)
