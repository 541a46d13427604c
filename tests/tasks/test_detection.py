"""Detectors: as SavedModel and TFLite, at sizes that they were not made with, with boxes in the original image."""

import io
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from detectors import CELL, LIMIT, detector, scene
from PIL import Image
from processes import within

import kvision as kv
from kvision.checks import UserError
from kvision.commands import predict as command
from kvision.export import reloaded
from kvision.export.litert import Runner
from kvision.objects import Objects
from kvision.ops import rotated_boxes
from kvision.tasks.opened import open_model
from kvision.tasks.parts import png

LABELS = ["blau", "rötlich"]
TASK = kv.tasks.Detection(LABELS, longest_side=128)
ENGINES = ("tflite", "tensorflow")
# shown to the network as 128 x 85 pixels, with squares of 8 pixels at (16, 32) and (84, 8)
PHOTOGRAPH = scene((300, 200), [(38, 75, "red"), (197, 19, "blue")], side=19)
SQUARES = {"rötlich": (37.5, 75.3, 56.25, 94.1), "blau": (196.9, 18.8, 215.6, 37.6)}


class Exported:
    """A model and its version, which is opened once."""

    def __init__(self, model: keras.Model, version: Path):
        import tensorflow as tf

        self.model, self.version = model, version
        self.loaded, self.lite = tf.saved_model.load(str(version)), open_model(version)

    def answer(self, engine: str, content: bytes) -> kv.export.Answer:
        import tensorflow as tf

        if engine == "tflite":
            answer = next(self.lite.answers([content]))
            assert isinstance(answer, kv.export.Answer)
            return answer
        outputs = self.loaded.signatures["serve_bytes"](image_bytes=tf.constant([content]))
        return self.lite.task.decode({name: value.numpy()[0] for name, value in outputs.items()}, content)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Exported:
    """A detector of any size."""
    model = detector()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reloaded, "subprocess", subprocess)  # checked in a process that is really fresh
        return Exported(model, kv.export.write(model, tmp_path_factory.mktemp("any") / "models", task=TASK))


@pytest.fixture(scope="module")
def square(tmp_path_factory) -> Exported:
    """A detector of rotated boxes for images of 64 x 64 pixels."""
    model, task = detector(64, rotated=True), kv.tasks.Detection(LABELS, image_size=64)
    return Exported(model, kv.export.write(model, tmp_path_factory.mktemp("square") / "models", task=task))


def sideways(image: np.ndarray) -> bytes:
    """A JPEG that has to be turned to be shown as `image`."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(np.rot90(image)).save(buffer, "JPEG", quality=100, subsampling=0, exif=exif)
    return buffer.getvalue()


def rows_of(outputs: dict) -> np.ndarray:
    parts = {name: np.asarray(value) for name, value in outputs.items()}
    return np.concatenate([parts["boxes"], parts["scores"][..., None], parts["labels"][..., None]], -1)


@pytest.mark.parametrize("size", [(97, 129), (33, 200), (64, 64)])
def test_files_answer_as_keras_at_odd_sizes(exported, size):
    import tensorflow as tf

    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype("float32")
    image[0, :CELL, 3 * CELL : 4 * CELL] = 255
    expected = np.asarray(exported.model(image, training=False))
    assert (expected[0, :, 5] >= 0).sum() > 5 and expected[0, 0, :4].tolist() == [0, 24, 8, 32]
    lite = Runner(exported.version / "assets.extra/model.tflite")(image)
    np.testing.assert_allclose(lite["detections"], expected, atol=1e-4)
    found = exported.loaded.signatures["predict"](image=tf.constant(image))
    np.testing.assert_allclose(rows_of(found), expected, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize(("name", "side"), [("exported", 72), ("square", 64)])
def test_batches_of_any_size(name, side, count, request):
    import tensorflow as tf

    one = request.getfixturevalue(name)
    images = np.stack([scene((side, side), [(8 * i, 16, "red")] * (i != 1)) for i in range(3)])[:count]
    columns, signatures = one.model.output_shape[2] - 2, one.loaded.signatures
    found = signatures["predict"](image=tf.constant(images, tf.float32))
    served = signatures["serve_bytes"](image_bytes=tf.constant([png(image) for image in images], tf.string, (count,)))
    assert set(served) == {*found, "valid"} and served["valid"].shape == (count,)
    for outputs in (found, served):
        assert outputs["boxes"].shape == (count, LIMIT, columns) and outputs["labels"].dtype == tf.int32
        assert outputs["labels"].shape == outputs["scores"].shape == (count, LIMIT)
    if count:
        expected = np.asarray(one.model(images.astype("float32"), training=False))
        np.testing.assert_allclose(rows_of(found), expected, atol=1e-4)
        np.testing.assert_allclose(rows_of(served), expected, atol=1e-4)
        lite = Runner(one.version / "assets.extra/model.tflite")(images)["detections"]
        np.testing.assert_allclose(lite, expected, atol=1e-4)


def test_a_file_that_cannot_be_decoded_has_unused_rows(exported):
    import tensorflow as tf

    found = exported.loaded.signatures["serve_bytes"](image_bytes=tf.constant([b"no image", png(PHOTOGRAPH)]))
    assert found["valid"].numpy().tolist() == [False, True]
    assert (rows_of(found)[0] == [0, 0, 0, 0, 0, -1]).all() and found["scores"].numpy()[1, 0] > 0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_boxes_are_in_pixels_of_the_photograph_as_it_is_shown(exported, engine):
    for content in (png(PHOTOGRAPH), sideways(PHOTOGRAPH)):
        answer = exported.answer(engine, content)
        found = {one["label"]: one["box"] for one in answer.row["objects"]}
        assert len(answer.row["objects"]) == 2 and set(found) == set(LABELS)
        for label, box in SQUARES.items():
            np.testing.assert_allclose(found[label], box, atol=0.1)
        scores = [one["score"] for one in answer.row["objects"]]
        assert scores == sorted(scores, reverse=True) and min(scores) >= 0.5
        (picture,) = answer.parts[0].pictures().values()
        assert np.asarray(Image.open(io.BytesIO(picture))).shape == PHOTOGRAPH.shape


@pytest.mark.parametrize("engine", ENGINES)
def test_rotated_boxes_of_a_square_model(square, engine):
    """The network sees 64 x 64 pixels of a photograph of 320 x 128."""
    image = scene((320, 128), [])
    image[160:200, 32:48] = 250  # 8 x 8 pixels at (32, 16) for the network
    answer = square.answer(engine, png(image))
    (found,) = [one for one in answer.row["objects"] if one["score"] > 0.9]
    np.testing.assert_allclose(found["box"], [180, 40, 8 * 10**0.5, 6 * 10**0.5, 0.5], rtol=1e-4)
    outline = np.asarray(rotated_boxes.corners(np.array([found["box"]])))[0].round().astype(int)
    (picture,) = answer.parts[0].pictures().values()
    drawn = (np.asarray(Image.open(io.BytesIO(picture))) != image).any(-1)
    assert all(drawn[y - 2 : y + 3, x - 2 : x + 3].any() for y, x in outline)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_without_objects(exported, square, engine):
    for one in (exported, square):
        answer = one.answer(engine, png(scene((70, 90), [])))
        assert answer.row == {"objects": []} and answer.parts[0].text(3) == "no objects"


def test_the_command_draws_the_same_boxes_from_both_files(exported, tmp_path):
    (tmp_path / "großes photo.jpg").write_bytes(sideways(PHOTOGRAPH))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    images, pictures = (tmp_path / "großes photo.jpg", tmp_path / "broken.jpg"), []
    for engine in ENGINES:
        out = tmp_path / engine
        result = within(command.main, exported.version.parent, *images, "--json", "--engine", engine, "--out", out)
        assert result.returncode == 1, result.stderr
        row, broken = json.loads(result.stdout)
        assert "error" in broken and {one["label"] for one in row["objects"]} == set(LABELS)
        assert row["boxes"] == str(out / "großes photo.boxes.png")
        pictures.append(np.asarray(Image.open(io.BytesIO(Path(row["boxes"]).read_bytes()))).astype(int))
    assert np.mean(np.abs(pictures[0] - pictures[1]) > 2) < 0.01, "a score may be rounded otherwise"
    result = within(command.main, exported.version, images[0], "--out", tmp_path)
    assert f"1 blau, 1 rötlich   -> {tmp_path / 'großes photo.boxes.png'}" in result.stdout


def test_a_tflite_is_read_without_tensorflow(exported, square, tmp_path):
    (tmp_path / "x.png").write_bytes(png(PHOTOGRAPH))
    paths = [str(one.version / "assets.extra/model.tflite") for one in (exported, square)]
    code = (
        "import sys; from kvision import cli\n"
        f"for path in {paths}:\n"
        f"    assert cli.main(['predict', path, {str(tmp_path / 'x.png')!r}, '--out', {str(tmp_path)!r}]) == 0\n"
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_facts_and_card(exported, square):
    extra = exported.version / "assets.extra"
    facts = {"task": "detection", "longest_side": 128, "image_size": None, "threshold": 0.5, "rotated": False}
    assert json.loads((extra / "task.json").read_text()) == json.loads(Runner(extra / "model.tflite").facts) == facts
    assert exported.lite.task == TASK and square.lite.task == kv.tasks.Detection(LABELS, image_size=64)
    card = TASK.card(exported.model)
    assert "2 classes: blau, rötlich" in card.summary
    assert "ymin, xmin, ymax, xmax" in card.use and f"(1, {LIMIT}," in card.use
    assert "angle (radians)" in square.lite.task.card(square.model).use


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"threshold": None},
        {"threshold": True},
        {"threshold": "0.5"},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"threshold": 0.5, "longest_side": 0},
        {"threshold": 0.5, "longest_side": 1e3},
        {"threshold": 0.5, "image_size": -8},
        {"threshold": 0.5, "image_size": True},
    ],
)
def test_facts_of_a_stranger_are_not_believed(facts):
    with pytest.raises(ValueError, match=r"is no (score|number of pixels)"):
        kv.tasks.Detection.from_facts(facts, None)


def test_outputs_of_a_stranger_are_not_believed():
    content, box = png(scene((20, 30), [])), np.array([[1.0, 2, 3, 4]])
    for label, task in ((2, kv.tasks.Detection(LABELS)), (np.nan, kv.tasks.Detection())):
        with pytest.raises(UserError, match="`outputs`"):
            task.decode({"boxes": box, "scores": np.array([0.9]), "labels": np.array([label])}, content)
    outputs = {"boxes": box, "scores": np.array([0.9]), "labels": np.array([10**9])}
    assert kv.tasks.Detection().decode(outputs, content).row["objects"][0]["label"] == "1000000000"
    low = {**outputs, "scores": np.array([0.49])}
    assert kv.tasks.Detection(LABELS).decode(low, content).row == {"objects": []}
    same = kv.tasks.Detection(["a", "a"]).decode({**outputs, "labels": np.array([1])}, content)
    assert same.row["objects"][0]["label"] == "a (1)"


def test_the_size_of_a_file_must_be_that_of_its_facts():
    with pytest.raises(UserError, match=r"`size`.*64"):
        kv.tasks.Detection(image_size=64).read(png(PHOTOGRAPH), 32)
    assert kv.tasks.Detection(image_size=64).read(png(PHOTOGRAPH), 64).shape == (64, 64, 3)
    assert TASK.read(png(PHOTOGRAPH), None).shape == (128, 85, 3)


def network(shape=(None, None, 3), rows=(5, 6), name="image") -> keras.Model:
    image = keras.Input(shape, name=name)
    x = keras.layers.Dense(int(np.prod(rows)))(keras.layers.GlobalAveragePooling2D()(image))
    return keras.Model(image, keras.layers.Reshape(rows)(x))


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (network(name="picture"), {}, r"`model` is no detector.*`image`"),
        (network((64, 32, 3)), {}, r"`model` is no detector"),
        (network((64, 64, 1)), {"image_size": 64}, r"`model` is no detector"),
        (network(rows=(5, 5)), {}, r"`model` is no detector.*\(batch, limit, 6\)"),
        (network(rows=(30,)), {}, r"`model` is no detector"),
        (network((64, 64, 3)), {}, r"`image_size`.*64"),
        (network((64, 64, 3)), {"image_size": 32}, r"`image_size`.*64"),
        (network(), {"image_size": 32}, r"`image_size`.*None"),
        (network((64, 64, 3)), {"image_size": 64, "longest_side": 9}, r"`longest_side`.*None"),
        (network(), {"longest_side": 0}, r"`longest_side`.*positive"),
        (network(), {"threshold": 1.5}, r"`threshold`"),
        (network(), {"labels": ["a", "a"]}, r"`labels`"),
    ],
)
def test_refusals(model, options, words):
    with pytest.raises(UserError, match=words):
        kv.tasks.Detection(**options).check(model)


def test_models_that_are_detectors_are_taken():
    for shape, side in (((None, None, 3), None), ((64, 64, 3), 64)):
        for columns in (6, 7):
            kv.tasks.Detection(image_size=side).check(network(shape, (1, columns)))


def test_rows_that_are_not_as_documented_are_not_exported():
    with pytest.raises(UserError, match=r"`model`.*has (scores|labels|values|unused)"):
        kv.tasks.Detection().cases(network())


def test_what_differs_is_said(exported):
    image = scene((96, 96), [(8 * i, 16 * i % 64, "red") for i in range(0, 10, 2)])
    rows = np.asarray(exported.model(image[None].astype("float32")))
    assert (rows[0, :, 4] > 0.5).sum() == 5
    expected = {"detections": rows}
    served = {"boxes": rows[..., :4], "scores": rows[..., 4], "labels": rows[..., 5].astype("int32")}
    assert TASK.differences({"detections": rows}, expected) == TASK.differences(served, expected) == []
    assert TASK.differences({**served, "valid": np.array([True])}, expected) == []
    assert TASK.differences({**served, "valid": np.array([False])}, expected) == ["an image was not decoded"]
    for name, change in (("boxes", 3), ("scores", -0.1), ("labels", 1)):
        (problem,) = TASK.differences({**served, name: served[name] + change}, expected)
        assert "objects of the model are missing" in problem
    for wrong in ({"detections": rows[:, :3]}, {}, {"scores": served["scores"]}, {"detections": rows * np.nan}):
        assert TASK.differences(wrong, expected)


def test_what_differs_is_not_written(tmp_path):
    class Wrong(kv.tasks.Detection):
        def functions(self, model):
            import tensorflow as tf

            functions = super().functions(model)
            spec = tf.TensorSpec((1, None, None, 3), tf.float32, name="image")
            return {"predict": tf.function(lambda image: functions["predict"](image[:, 3:]), [spec], autograph=False)}

    problems = reloaded.differences(task := Wrong(LABELS), task.cases(detector()), _answers(task, detector()))
    assert any(problem.startswith("model.tflite") for problem in problems)
    right = kv.tasks.Detection(LABELS)
    assert not reloaded.differences(right, right.cases(detector()), _answers(right, detector()))


def _answers(task, model) -> dict[str, np.ndarray]:
    """What the function for TFLite returns, in the form of the fresh process."""
    function, found = task.functions(model)["predict"], {}
    for number, case in enumerate(task.cases(model)):
        if case.signature == "predict":
            rows = function(**case.inputs)["detections"].numpy()
            found[f"float32|{number}|predict|model.tflite|detections"] = rows
    return found


class Drawn:
    """Two images with drawn boxes, of which the model finds the first exactly."""

    class_names, objects = (
        tuple(LABELS),
        (
            Objects(np.array([[40.0, 80, 80, 120]], "float32"), np.array([1])),
            Objects(np.array([[10.0, 20, 30, 40]], "float32"), np.array([1])),
        ),
    )

    def __len__(self):
        return 2

    def original(self, i):
        return PHOTOGRAPH


def test_measure():
    def answer(box, score=0.8, label=1):
        small = np.array(box) * 0.5  # the network sees half of each side
        rows = np.array([[*small, score, label], [0, 0, 0, 0, 0, -1]], "float32")
        return lambda images: {"detections": rows[None]}

    predicts = {
        "float32": answer((40, 80, 80, 120)),
        "same": answer((41, 80, 80, 120), 0.6),
        "low": answer((40, 80, 80, 120), 0.4),
        "other": answer((10, 20, 30, 40)),
        "wrong": answer((10, 20, 30, 40), label=0),
    }
    table = kv.tasks.Detection(LABELS, longest_side=150).measure(predicts, Drawn())
    found = {name: row["map_50"] for name, row in table.items()}
    half = 51 / 101  # one of two objects at 51 of 101 recalls; a wrong box of equal score comes later, or first
    assert found == pytest.approx({"float32": half, "same": half, "low": half, "other": half / 2, "wrong": 0})
    agreement = {name: row["agreement"] for name, row in table.items()}
    assert agreement == {"float32": 1, "same": 1, "low": 0, "other": 0, "wrong": 0}
    for row in table.values():
        assert row["images"] == 2 and row["interval"][0] <= row["map_50"] <= row["interval"][1]


def test_it_is_served(exported):
    pytest.importorskip("tensorflow_serving")
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    from kvision.serving import service

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "squares", "serve_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([sideways(PHOTOGRAPH), b"no image"]))
    outputs = service.Service(exported.version, "squares").predict(request).outputs
    found = {name: tf.make_ndarray(value) for name, value in outputs.items()}
    assert found["valid"].tolist() == [True, False]
    answer = TASK.decode({name: value[0] for name, value in found.items()}, sideways(PHOTOGRAPH))
    expected = exported.answer("tensorflow", sideways(PHOTOGRAPH))
    assert answer.row == expected.row and answer.row["objects"]


@pytest.mark.parametrize("engine", ENGINES)
def test_tiles_find_what_the_whole_image_misses(exported, engine, tmp_path):
    places = [(0, 512), (60, 72), (248, 400)]
    image = scene((300, 520), [(*place, "red") for place in places])
    (tmp_path / "aerial.png").write_bytes(png(image))
    arguments = (exported.version, tmp_path / "aerial.png", "--json", "--out", tmp_path, "--engine", engine)
    (whole,) = json.loads(within(command.main, *arguments).stdout)
    result = within(command.main, *arguments, "--tile", 100)
    assert result.returncode == 0, result.stderr
    (tiled,) = json.loads(result.stdout)
    assert whole["objects"] == [] and len(tiled["objects"]) == 3
    for one, (top, left) in zip(sorted(tiled["objects"], key=lambda one: one["box"]), places, strict=True):
        np.testing.assert_allclose(one["box"], [top, left, top + 8, left + 8], atol=0.01)
    assert Path(tiled["boxes"]).is_file()
