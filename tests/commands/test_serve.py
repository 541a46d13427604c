import io
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.export import warmup

grpc = pytest.importorskip("grpc", reason="extra `serving`")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason="extra `serving`")

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("uint8")
COMMAND = [sys.executable, "-m", "kvision", "serve"]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2)(kv.layers.Preprocess("tf")(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probabilities")(x), name="small")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve") / "flowers"
    kv.export.write(model, folder, task=kv.tasks.Classification())
    return folder


@pytest.fixture(scope="module")
def address(folder):
    """Of the command as a user starts it."""
    command = [*COMMAND, str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        port = re.fullmatch(r"Serving flowers version 1 on 127.0.0.1:(\d+) \(gRPC\): (.*)\n", line)[1]
        yield f"127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, ""), "one line when ready, and no other"


@pytest.fixture(scope="module")
def stub(address):
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def call(stub, signature, *, name="flowers", **arrays) -> dict[str, np.ndarray]:
    import tensorflow as tf

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, array in arrays.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    outputs = stub.Predict(request, timeout=60).outputs
    return {key: tf.make_ndarray(tensor) for key, tensor in outputs.items()}


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_images(stub, model):
    image = IMAGES.astype("float32")
    outputs = call(stub, "predict", image=image)
    np.testing.assert_allclose(outputs["probabilities"], model.predict_on_batch(image), atol=1e-5)
    np.testing.assert_array_equal(outputs["label"], outputs["probabilities"].argmax(axis=1))
    assert call(stub, "embed", image=image)["feature"].shape == (4, 4)
    assert call(stub, "predict", image=image[:0])["probabilities"].shape == (0, 3)


def test_encoded_images_good_and_corrupt(stub, model):
    rows = [png(IMAGES[0]), b"", png(IMAGES[1])[:70], png(IMAGES[2])]
    outputs = call(stub, "serve_bytes", image_bytes=np.array(rows, dtype=object))
    assert outputs["valid"].tolist() == [True, False, False, True]
    expected = model.predict_on_batch(IMAGES[[0, 2]].astype("float32"))
    np.testing.assert_allclose(outputs["probabilities"][[0, 3]], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("signature", "change", "code", "words"),
    [
        ("predict", {"name": "flower"}, "NOT_FOUND", ["model_spec.name", "flowers", "flower"]),
        ("predictt", {}, "NOT_FOUND", ["signature_name", "serve_bytes", "Did you mean 'predict'"]),
        ("predict", {"image": None}, "INVALID_ARGUMENT", ["`image` is missing", "float32 (?, 32, 32, 3)"]),
        ("predict", {"x": 1.0}, "INVALID_ARGUMENT", ["`x` is not an input", "`image` float32 (?, 32, 32, 3)"]),
        ("predict", {"image": IMAGES}, "INVALID_ARGUMENT", ["`image`", "dtype", "float32", "uint8"]),
        ("predict", {"image": IMAGES[0].astype("float32")}, "INVALID_ARGUMENT", ["`image`", "shape", "(32, 32, 3)"]),
        ("predict", {"image": np.zeros((1, 40, 32, 3), "float32")}, "INVALID_ARGUMENT", ["`image`", "(1, 40, 32, 3)"]),
    ],
)
def test_bad_requests_are_answered_with_what_was_expected(stub, signature, change, code, words):
    arguments = {"image": IMAGES.astype("float32"), **change}
    with pytest.raises(grpc.RpcError) as caught:
        call(stub, signature, **{key: value for key, value in arguments.items() if value is not None})
    assert caught.value.code().name == code
    for word in words:
        assert word in caught.value.details()


def test_requests_over_grpcs_own_limit(stub):
    image = np.zeros((600, 32, 32, 3), "float32")
    assert image.nbytes > 4 * 2**20
    assert call(stub, "predict", image=image)["label"].shape == (600,)


def test_several_clients_at_once(stub, model):
    expected = model.predict_on_batch(IMAGES.astype("float32"))

    def client(i):
        return call(stub, "predict", image=IMAGES[i % 4 : i % 4 + 1].astype("float32"))["probabilities"][0]

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(client, range(64)))
    np.testing.assert_allclose(rows, expected[np.arange(64) % 4], atol=1e-5)


def test_metadata(stub):
    from tensorflow_serving.apis import get_model_metadata_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "flowers"
    response = stub.GetModelMetadata(request, timeout=60)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found) and response.model_spec.version.value == 1
    assert {"predict", "serve_bytes", "embed", "serving_default"} <= set(found.signature_def)
    image = found.signature_def["predict"].inputs["image"]
    assert [dimension.size for dimension in image.tensor_shape.dim] == [-1, 32, 32, 3]
    request.metadata_field[0] = "weights"
    with pytest.raises(grpc.RpcError, match="metadata_field"):
        stub.GetModelMetadata(request, timeout=60)


def test_the_warm_up_requests_are_answered(stub, folder):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    count = 0
    for record in tf.data.TFRecordDataset(str(folder / "1" / warmup.FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        request.model_spec.name = "flowers"  # left open in the file: TF Serving does not look at it there
        assert stub.Predict(request, timeout=60).outputs
        count += 1
    assert count == 3


def test_the_documented_client(address, tmp_path, capsys):
    page = (Path(__file__).resolve().parents[2] / "docs/serve.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from pathlib.*?)```", page, re.DOTALL)
    (tmp_path / "photo.jpg").write_bytes(png(IMAGES[0]))
    for old, new in (
        ('"transfer"', '"flowers"'),
        ("127.0.0.1:8500", address),
        ("photo.jpg", str(tmp_path / "photo.jpg")),
    ):
        assert old in code
        code = code.replace(old, new)
    exec(code, {})
    assert re.fullmatch(r"\[\[[\d. e-]+\]\] \[ True\]\n", capsys.readouterr().out)


def test_ctrl_c_stops_it_and_other_names_and_ports_are_taken(folder):
    command = [*COMMAND, str(folder / "1"), "--name", "n", "--host", "localhost", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Serving n version 1 on localhost:")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "") and "Traceback" not in err


def test_wrong_calls_say_what_to_do(tmp_path):
    for model, text in ((tmp_path, "holds no model"), (tmp_path / "nowhere", "does not exist")):
        result = subprocess.run([*COMMAND, str(model)], capture_output=True, text=True)
        assert result.returncode == 2 and text in result.stderr and "Traceback" not in result.stderr


def test_without_the_extra_it_names_it(folder):
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        f"from kvision import cli; sys.exit(cli.main(['serve', {str(folder)!r}]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2 and '[serving]"' in result.stderr and "pip install" in result.stderr
