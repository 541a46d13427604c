"""OpenVINO reads the version folder as it is."""

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="extra `openvino`")


@pytest.fixture(scope="module")
def compiled(exported):
    # without the hint, processors with bfloat16 compute in it, and the third digit differs
    return openvino.Core().compile_model(str(exported), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@pytest.mark.parametrize("count", [1, 4])
def test_equal_to_keras(compiled, images, expected, count):
    outputs = compiled({"image": images[:count].astype("float32")})
    np.testing.assert_allclose(outputs["probabilities"], expected[:count], atol=1e-4)
    np.testing.assert_array_equal(outputs["label"], expected[:count].argmax(axis=1))


def test_inputs_and_outputs_have_our_names(compiled):
    assert [port.get_any_name() for port in compiled.inputs] == ["image"]
    assert sorted(port.get_any_name() for port in compiled.outputs) == ["label", "probabilities"]
