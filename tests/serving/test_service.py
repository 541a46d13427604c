import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.serving.service import NotFound, Service

predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason="extra `serving`")


@pytest.fixture(scope="module")
def service(version):
    return Service(version, "tiny")


def request(signature="predict", *, name="tiny", **arrays):
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = name, signature
    for key, array in arrays.items():
        message.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    return message


IMAGE = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")


@pytest.mark.parametrize("signature", ["predict", ""])
def test_answers_as_the_model_and_says_who_it_is(service, model, signature):
    response = service.predict(request(signature, image=IMAGE))
    np.testing.assert_allclose(
        tf.make_ndarray(response.outputs["probabilities"]), model.predict_on_batch(IMAGE), atol=1e-6
    )
    assert response.model_spec.version.value == 7 and response.model_spec.name == "tiny"
    assert response.model_spec.signature_name == (signature or "serving_default")


def test_only_the_outputs_asked_for(service):
    message = request(image=IMAGE)
    message.output_filter.append("label")
    assert list(service.predict(message).outputs) == ["label"]
    message.output_filter.append("lable")
    with pytest.raises(UserError, match=r"`request.output_filter` is not known.*Did you mean 'label'"):
        service.predict(message)


def test_what_is_not_here(service):
    with pytest.raises(NotFound, match=r"`model_spec.name`.*one of: tiny.*'tinny'.*Did you mean 'tiny'"):
        service.predict(request(name="tinny", image=IMAGE))
    with pytest.raises(NotFound, match=r"`signature_name`.*predict.*'predcit'"):
        service.predict(request("predcit", image=IMAGE))
    message = request(image=IMAGE)
    message.model_spec.version.value = 7
    assert service.predict(message).outputs
    message.model_spec.version.value = 8
    with pytest.raises(NotFound, match=r"`model_spec.version`.*one of: 7"):
        service.predict(message)
    message.model_spec.version_label = "stable"
    with pytest.raises(NotFound, match=r"'stable'"):
        service.predict(message)


def test_a_folder_without_a_number_is_version_1(version, tmp_path):
    (tmp_path / "copy").symlink_to(version)
    assert Service(tmp_path / "copy", "x").version == 1


def test_what_cannot_be_loaded(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(UserError, match="`folder` cannot be loaded"):
        Service(tmp_path, "x")
