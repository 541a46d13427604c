import json
import os
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli
from kvision.commands import predict as command

SIZE, LABELS = 32, ["dark", "hell", "größer"]


def in_a_process(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "kvision", "predict", *map(str, arguments)], capture_output=True, text=True
    )


def predict(*arguments) -> subprocess.CompletedProcess:
    return within(command.main, *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """models/1, models/2 (the newer answers otherwise), and photographs of several kinds and sizes."""
    root = tmp_path_factory.mktemp("predict")
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(kv.layers.Preprocess("tf")(image))
    dense = keras.layers.Dense(3, activation="softmax", name="probabilities")
    model = keras.Model(image, dense(x), name="brightness")
    for sign in (-1, 1):
        dense.set_weights([sign * np.array([[-2, 2, 0]] * 3, "float32"), np.zeros(3, "float32")])
        kv.export.write(model, root / "models", task=kv.tasks.Classification(LABELS))
    random = np.random.default_rng(0)
    for name, level, size in (("night.png", 20, (50, 40)), ("day.jpg", 235, (90, 120)), ("grey ö.JPEG", 128, (33, 7))):
        pixels = np.clip(random.normal(level, 10, (*size, 3)), 0, 255).astype("uint8")
        Image.fromarray(pixels).save(root / name)
    (root / "broken.jpg").write_bytes((root / "day.jpg").read_bytes()[:300])
    return root


SAVED_MODEL = ("--engine", "tensorflow")


@pytest.mark.parametrize(
    ("predict", "model", "engine"),
    [
        (predict, "models/2/assets.extra/model.tflite", ()),
        (predict, "models/2", ()),
        (in_a_process, "models", ()),
        (in_a_process, "models", SAVED_MODEL),
    ],
    ids=["tflite", "version", "newest", "SavedModel"],
)
def test_every_kind_of_model_gives_the_same_answer(folder, predict, model, engine):
    images = [
        folder / "night.png",
        folder / "broken.jpg",
        folder / "day.jpg",
        folder / "absent.jpg",
        folder / "grey ö.JPEG",
    ]
    result = predict(folder / model, *images, "--json", *engine)
    assert result.returncode == 1, result.stderr
    rows = json.loads(result.stdout)
    assert [row["image"] for row in rows] == list(map(str, images))
    assert [row.get("label") for row in rows] == ["dark", None, "hell", None, rows[4]["label"]]
    assert "error" in rows[1] and rows[3]["error"] == "No such file or directory"
    for row in (rows[0], rows[2], rows[4]):
        assert list(row["probabilities"]) == LABELS
        pixels = np.asarray(Image.open(row["image"]).resize((SIZE, SIZE), Image.Resampling.BILINEAR), "float64")
        logit = 2 * (pixels.mean(axis=(0, 1)) / 127.5 - 1).sum()
        weights = np.exp([-logit, logit, 0])
        np.testing.assert_allclose(list(row["probabilities"].values()), weights / weights.sum(), atol=0.02)


def test_an_older_version_answers_otherwise(folder):
    rows = json.loads(predict(folder / "models/1", folder / "day.jpg", "--json").stdout)
    assert rows[0]["label"] == "dark"


def test_table(folder):
    model = folder / "models/2/assets.extra/model.tflite"
    result = predict(model, folder / "night.png", folder / "day.jpg", "--top", "2")
    lines = result.stdout.splitlines()
    assert result.returncode == 0 and len(lines) == 2
    assert lines[0].split()[1] == "dark" and lines[1].split()[1] == "hell" and len(lines[0].split()) == 5


def test_a_tflite_imports_no_tensorflow(folder):
    model, image = folder / "models/2/assets.extra/model.tflite", folder / "day.jpg"
    code = (
        "import sys; from kvision import cli\n"
        f"assert cli.main(['predict', {str(model)!r}, {str(image)!r}]) == 0\n"
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_more_images_than_a_batch_keep_their_order(folder):
    names = ["night.png", "day.jpg"] * 40
    result = predict(folder / "models/2/assets.extra/model.tflite", *(folder / name for name in names), "--json")
    labels = [row["label"] for row in json.loads(result.stdout)]
    assert labels == ["dark", "hell"] * 40 and "80/80" in result.stderr


def test_wrong_calls_say_what_to_do(folder, tmp_path):
    image = folder / "day.jpg"
    (tmp_path / "x.tflite").write_bytes(b"no model")
    for model, text in [
        (folder / "nowhere", "does not exist"),
        (tmp_path, "holds no model"),
        (tmp_path / "x.tflite", "no TFLite model"),
        (image, "holds no model"),
    ]:
        result = predict(model, image)
        assert result.returncode == 2 and text in result.stderr and "Traceback" not in result.stderr
    assert "--top" in predict(folder / "models", image, "--top", "0").stderr
    assert "`--tile`" in predict(folder / "models", image, "--tile", "0").stderr
    tiled = predict(folder / "models", image, "--tile", "64")
    assert tiled.returncode == 2 and "`--tile` is not supported by classification" in tiled.stderr
    wrong = predict(folder / "models", image, "--engine", "tensorfow")
    lite = predict(folder / "models/2/assets.extra/model.tflite", image, *SAVED_MODEL)
    assert lite.returncode == 2 and "`--engine` tensorflow runs a SavedModel" in lite.stderr
    assert wrong.returncode == 2 and "`--engine` is not known" in wrong.stderr and "'tensorflow'" in wrong.stderr


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Someone's SavedModel: its graph writes a file."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("foreign")
    called = str(folder / "called")

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
        def serve(self, image_bytes):
            with tf.control_dependencies([tf.io.write_file(called, "x")]):
                count = tf.shape(image_bytes)[0]
            return {"probabilities": tf.tile([[0.25, 0.75]], [count, 1]), "valid": tf.fill([count], True)}

    module = Writes()
    tf.saved_model.save(module, str(folder / "model"), signatures={"serve_bytes": module.serve})
    return folder


def test_a_foreign_saved_model_runs_nothing_unless_it_is_asked_for(folder, foreign):
    result = predict(foreign / "model", folder / "day.jpg")
    assert result.returncode == 2 and result.stdout == "" and "Traceback" not in result.stderr
    for part in ("`MODEL` has no assets.extra/model.tflite", "engine tensorflow", "code that can read and write"):
        assert part in result.stderr
    assert not (foreign / "called").exists()
    result = predict(foreign / "model", folder / "day.jpg", *SAVED_MODEL, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["probabilities"] == {"0": 0.25, "1": 0.75}
    assert (foreign / "called").read_text() == "x", "the control: it is code"


def test_a_saved_model_with_other_labels_is_refused(folder, tmp_path):
    shutil.copytree(folder / "models/2", tmp_path / "moved")
    (tmp_path / "moved/assets.extra/labels.txt").write_text("a\nb\n")
    result = predict(tmp_path / "moved", folder / "day.jpg", *SAVED_MODEL)
    assert result.returncode == 2 and "`MODEL` gives another number of class names" in result.stderr


def test_a_tflite_with_other_labels_is_refused(folder, tmp_path):
    """Without the zip at the end the classes have numbers; with another one it is said."""
    whole = (folder / "models/2/assets.extra/model.tflite").read_bytes()
    path = tmp_path / "x.tflite"
    path.write_bytes(whole[: whole.rindex(b"PK\3\4")])
    assert list(json.loads(predict(path, folder / "day.jpg", "--json").stdout)[0]["probabilities"]) == ["0", "1", "2"]
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("labels.txt", "a\nb")
    result = predict(path, folder / "day.jpg")
    assert result.returncode == 2 and "`MODEL` gives another number of class names" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_name_that_is_not_utf8_loses_no_answer(folder, tmp_path, capsysbinary):
    model = folder / "models/2/assets.extra/model.tflite"
    name = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(folder / "day.jpg", name)
    assert cli.main(["predict", str(model), str(name), str(folder / "night.png"), "--json"]) == 0
    rows = json.loads(capsysbinary.readouterr().out)
    assert [row["image"] for row in rows] == [str(name), str(folder / "night.png")], "the very name"
    assert cli.main(["predict", str(model), str(name)]) == 0
    assert rb"caf\udce9.jpg" in capsysbinary.readouterr().out


def test_two_classes_of_one_name_are_told_apart(folder, tmp_path):
    whole = (folder / "models/2/assets.extra/model.tflite").read_bytes()
    path = tmp_path / "x.tflite"
    path.write_bytes(whole[: whole.rindex(b"PK\3\4")])
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("labels.txt", "a\nb\na")
    row = json.loads(predict(path, folder / "night.png", "--json").stdout)[0]
    assert list(row["probabilities"]) == ["a (0)", "b", "a (2)"] and row["label"] == "a (0)"
