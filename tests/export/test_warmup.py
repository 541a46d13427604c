import numpy as np
import pytest

from kvision.export import warmup

prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="extra `serving`")


def requests(folder) -> list:
    """The file's requests, read by TF Serving's own messages."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset(str(folder / warmup.FILE)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def test_every_signature_answers_its_request(exported, model, images):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported))
    answers = {}
    for request in requests(exported):
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        answers[request.model_spec.signature_name] = loaded.signatures[request.model_spec.signature_name](**inputs)
    assert list(answers) == ["predict", "serve_bytes", "embed"]
    row = model.predict_on_batch(images[:1].astype("float32"))
    np.testing.assert_allclose(answers["predict"]["probabilities"], row, atol=1e-5)
    np.testing.assert_allclose(answers["serve_bytes"]["probabilities"], row, atol=1e-5)
    assert answers["serve_bytes"]["valid"].numpy().tolist() == [True]
    assert answers["embed"]["feature"].shape == (1, 1800)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_lengths_of_one_to_four_bytes(tmp_path, size):
    content = np.random.default_rng(size).bytes(size)
    warmup.write(tmp_path, {"größe": {"image_bytes": np.array([content], dtype=object)}})
    (request,) = requests(tmp_path)
    assert request.model_spec.signature_name == "größe" and request.model_spec.name == ""
    assert list(request.inputs["image_bytes"].string_val) == [content]


def test_the_bytes_are_those_of_the_official_messages(tmp_path):
    import tensorflow as tf

    image = np.arange(12, dtype="float32").reshape(1, 2, 2, 3)
    warmup.write(tmp_path, {"predict": {"image": image}})
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "predict"
    log.predict_log.request.inputs["image"].CopyFrom(tf.make_tensor_proto(image))
    (record,) = tf.data.TFRecordDataset(str(tmp_path / warmup.FILE)).as_numpy_iterator()
    assert record == log.SerializeToString(deterministic=True)
