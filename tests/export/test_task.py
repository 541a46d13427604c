"""A task that kvision does not know, image in and image out, is exported, checked, predicted and served."""

import doctest
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from PIL import Image
from processes import within

import kvision as kv
from kvision import tasks
from kvision.checks import UserError
from kvision.commands import predict
from kvision.export import Answer, CardText, Case
from kvision.export.litert import Runner
from kvision.pixels import graph, pillow
from kvision.tasks.opened import open_model
from kvision.tasks.parts import Picture, png

FILES = {"float32": "model", "float16": "model_float16"}


@dataclass(frozen=True)
class Recoloring:
    """A picture of the size that the model takes, with other colors."""

    name: ClassVar[str] = "recoloring"
    tflite: ClassVar[tuple[str, ...]] = ("float32", "float16")
    score: ClassVar[str] = "mean_error"
    draws: ClassVar[bool] = True
    labels: ClassVar[None] = None
    default_size: ClassVar[None] = None

    strength: float = 1.0

    @classmethod
    def from_facts(cls, facts, labels):
        return cls(float(facts["strength"]))

    def facts(self, model):
        return {"strength": self.strength}

    def check(self, model):
        if model.output_shape != model.input_shape:
            raise kv.UserError("`model` changes the size")
        return model

    def functions(self, model) -> dict[str, Callable]:
        import tensorflow as tf

        spec = tf.TensorSpec(model.input_shape, tf.float32, name="image")
        return {
            "predict": tf.function(lambda image: {"picture": model(image, training=False)}, [spec], autograph=False)
        }

    def signatures(self, model, functions: Mapping[str, Callable]) -> dict[str, Callable]:
        import tensorflow as tf

        def serve_bytes(image_bytes):
            image, valid = graph.try_load(image_bytes, model.input_shape[1])
            found = functions["predict"](tf.cast(image, tf.float32))["picture"]
            pictures = tf.cast(tf.round(found), tf.uint8)
            return {
                "picture_bytes": tf.map_fn(tf.io.encode_png, pictures, fn_output_signature=tf.string),
                "valid": valid,
            }

        spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
        predict = functions["predict"]
        served = tf.function(serve_bytes, [spec], autograph=False)
        return {"serving_default": predict, "predict": predict, "serve_bytes": served}

    def cases(self, model, images=None) -> list[Case]:
        images = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:])).astype("uint8")
        picture = {"picture": model.predict_on_batch(images.astype("float32"))}
        files = np.array([png(image) for image in images], dtype=object)
        image = {"image": images.astype("float32")}
        return [Case("predict", image, picture), Case("serve_bytes", {"image_bytes": files}, picture)]

    def differences(self, outputs, expected, *, kind) -> list[str]:
        found = outputs["picture"] if "picture" in outputs else self._pictures(outputs["picture_bytes"])
        error = np.abs(found - expected["picture"]).max()
        return [] if error <= 0.6 else [f"picture differs by {error}"]

    @staticmethod
    def _pictures(files) -> np.ndarray:
        return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files]).astype("float32")

    def read(self, content, size):
        return pillow.load(content, size)

    def decode(self, outputs, content) -> Answer:
        found = outputs["picture"] if "picture" in outputs else self._pictures([outputs["picture_bytes"]])[0]
        return Answer({"mean": float(found.mean())}, [Picture(found.round().clip(0, 255).astype("uint8"))])

    def measure(self, predicts, dataset):
        raise NotImplementedError

    def card(self, model) -> CardText:
        return CardText(f"A recoloring of strength {self.strength}.", "Mean error:", "Give it an image.")


@pytest.fixture(scope="module")
def recolored(tmp_path_factory):
    """A model that exchanges red and blue, its version, and a photograph."""
    image = keras.Input((16, 16, 3), name="image")
    exchange = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(image, exchange(image), name="exchange")
    exchange.set_weights([np.eye(3)[::-1]])
    folder = tmp_path_factory.mktemp("models")
    task, numbers = Recoloring(0.5), {"exchange": {"mean_error": 1.5, "interval": [1.0, 2.0]}}
    facts = {"data": "photographs", "command": "recolor", "results": numbers, "best": "exchange"}
    card = kv.export.model_card(model, task, **facts)
    version = kv.export.write(model, folder, task=task, card=card, tflite=("float16",))
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype("uint8")
    (folder / "photo.png").write_bytes(png(pixels))
    return model, version, pixels


def test_the_version_says_which_task_it_is(recolored):
    _, version, _ = recolored
    facts = {"task": "recoloring", "strength": 0.5}
    assert json.loads((version / "assets.extra/task.json").read_text()) == facts
    assert json.loads(Runner(version / "assets.extra/model.tflite").facts) == facts
    assert "A recoloring of strength 0.5." in (version / "assets.extra/model_card.md").read_text()
    assert (version / "assets.extra/model_float16.tflite").is_file()


@pytest.mark.parametrize("engine", [(), ("--engine", "tensorflow")])
def test_predict_draws_its_answers(recolored, engine, tmp_path, monkeypatch):
    _, version, pixels = recolored
    photograph = version.parent / "photo.png"
    unknown = within(predict.main, version, photograph, "--out", tmp_path, *engine)
    assert unknown.returncode == 2 and "task.json that cannot be used" in unknown.stderr
    monkeypatch.setitem(tasks.TASKS, "recoloring", Recoloring)
    result = within(predict.main, version, photograph, "--json", "--out", tmp_path, *engine)
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert row["mean"] == pytest.approx(pixels.mean(), abs=1)
    found = np.asarray(Image.open(row["picture"])).astype(int)
    assert np.abs(found - pixels[..., ::-1]).max() <= 1


def test_it_is_served(recolored):
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving")
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    from kvision.serving import server, service

    _, version, pixels = recolored
    running, port = server.start(service.Service(version, "recolor"), "127.0.0.1", 0)
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "recolor", "serve_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([png(pixels), b"no image"]))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        outputs = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30).outputs
    running.stop(0).wait()
    assert tf.make_ndarray(outputs["valid"]).tolist() == [True, False]
    found = Recoloring._pictures(tf.make_ndarray(outputs["picture_bytes"])[:1])[0]
    np.testing.assert_allclose(found, pixels[..., ::-1], atol=1)


def test_what_the_model_does_not_answer_is_not_exported(recolored, tmp_path):
    model, _, _ = recolored

    class Wrong(Recoloring):
        def cases(self, model, images=None):
            return [Case(c.signature, c.inputs, {"picture": c.expected["picture"] + 9}) for c in super().cases(model)]

    with pytest.raises(RuntimeError, match=r"predict: picture differs by 9[\s\S]*model.tflite: picture"):
        kv.export.write(model, tmp_path, task=Wrong())
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="`tflite` is not available for recoloring"):
        kv.export.write(model, tmp_path, task=Recoloring(), tflite=("int8",))


def test_the_documented_example_is_a_whole_task(tmp_path, monkeypatch):
    space = {"kv": kv, "np": np, "keras": keras}
    exec("".join(example.source for example in doctest.DocTestParser().get_examples(kv.export.Task.__doc__)), space)
    model, task = space["model"], space["task"]
    model.layers[-1].set_weights([np.full((3, 1), 1 / 3), np.zeros(1)])
    version = kv.export.write(model, tmp_path, task=task, tflite=("float16",))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    monkeypatch.setitem(tasks.TASKS, "brightness", space["Brightness"])
    for engine in ("tflite", "tensorflow"):
        for answer, image in zip(open_model(version, engine=engine).answers([*map(png, images)]), images, strict=True):
            assert answer.row["brightness"] == pytest.approx(image.mean(), abs=0.01)
    files = {kind: Runner(version / f"assets.extra/{name}.tflite") for kind, name in FILES.items()}
    table = task.measure(files, [(images, images.mean(axis=(1, 2, 3)) + 2)])
    assert table["float32"]["mean_error"] == pytest.approx(2, abs=0.01) and table["float16"]["agreement"] == 1
    facts = {"data": "noise", "command": "", "best": "mean", "results": {"mean": table["float32"]}}
    assert "The brightness of an image." in kv.export.model_card(model, task, **facts)
