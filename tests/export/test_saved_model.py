import io
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.checks import UserError
from kvision.export import reloaded, saved_model


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def signatures(exported):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported))
    yield loaded.signatures
    del loaded


def test_folder_is_tf_servings_layout(exported):
    assert exported.name == "8", "versions count up"
    files = {str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file()}
    extra = {"model.tflite", "labels.txt", "task.json", "model_card.md", "tf_serving_warmup_requests"}
    assert {file.removeprefix("assets.extra/") for file in files if file.startswith("assets.extra/")} == extra
    assert {"saved_model.pb", "variables/variables.index"} <= files
    assert (exported / "assets.extra/labels.txt").read_text(encoding="utf-8") == "Hund\n猫\no l w\n"
    assert (exported / "assets.extra/model_card.md").read_text() == "# card"
    assert not [file for file in files if "probe" in file]
    assert {path.name for path in exported.parent.iterdir()} == {"7", "8", "runs"}


def test_weights_are_written_once(exported, model):
    data = sum(path.stat().st_size for path in (exported / "variables").glob("*.data*"))
    assert data < 1.2 * sum(weight.nbytes for weight in model.get_weights()) + 20_000


def test_signatures_and_outputs(signatures, images, expected):
    assert set(signatures) == {"predict", "serving_default", "serve_bytes", "embed"}
    for name in ("predict", "serving_default"):
        outputs = signatures[name](image=images.astype("float32"))
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
        assert outputs["label"].dtype == "int32"
        np.testing.assert_array_equal(outputs["label"], expected.argmax(axis=1))
    assert signatures["embed"](image=images.astype("float32"))["feature"].shape == (5, 8 * 15 * 15)


def test_two_calls_are_equal_where_keras_own_export_is_not(signatures, model, images, tmp_path):
    image = images.astype("float32")
    first, second = (signatures["predict"](image=image)["probabilities"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    model.export(tmp_path / "keras", verbose=False)
    control = keras.layers.TFSMLayer(tmp_path / "keras", call_endpoint="serve")
    assert np.abs(np.asarray(control(image)) - first).max() > 1e-2, "the control: Random layers are on"


def test_bytes_of_any_size_and_a_corrupt_row(signatures, images, expected):
    import tensorflow as tf

    large = np.repeat(np.repeat(images[0], 3, axis=0), 2, axis=1)
    good = [png(images[0]), png(large), jpeg(images[2]), png(images[3])]
    rows = [good[0], good[1], b"", good[0][:50], b"text", good[3]]
    outputs = signatures["serve_bytes"](image_bytes=tf.constant(rows))
    assert outputs["valid"].numpy().tolist() == [True, True, False, False, False, True]
    np.testing.assert_allclose(outputs["probabilities"][0], expected[0], atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"][5], expected[3], atol=1e-5)
    alone = signatures["serve_bytes"](image_bytes=tf.constant([good[1]]))
    np.testing.assert_allclose(outputs["probabilities"][1], alone["probabilities"][0], atol=1e-6)


def test_artefact_needs_neither_kvision_nor_keras(exported, images, expected, tmp_path):
    np.save(tmp_path / "image.npy", images.astype("float32"))
    code = (
        "import sys, json; sys.modules['kvision'] = sys.modules['keras'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"predict = tf.saved_model.load({str(exported)!r}).signatures['predict']\n"
        f"print(json.dumps(predict(image=np.load({str(tmp_path / 'image.npy')!r}))['probabilities'].numpy().tolist()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(json.loads(result.stdout), expected, atol=1e-5)


def test_a_failed_verification_leaves_no_version(model, other, images, tmp_path, monkeypatch):
    class OfAnother(kv.tasks.Classification):
        def cases(self, model, images=None):
            return super().cases(other, images)

    with pytest.raises(RuntimeError, match=r"no version was written[\s\S]*predict: probabilities differs"):
        kv.export.write(model, tmp_path / "models", task=OfAnother(), probe=images)
    assert list((tmp_path / "models").iterdir()) == []


def test_an_export_that_fails_half_way_leaves_no_version_and_no_process(model, images, tmp_path, monkeypatch):
    started, popen = [], reloaded.subprocess.Popen

    def start(*command, **options):
        started.append(popen(*command, **options))
        return started[-1]

    monkeypatch.setattr(reloaded.subprocess, "Popen", start)
    monkeypatch.setattr(saved_model, "write_tflite", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kv.export.write(model, tmp_path / "models", task=kv.tasks.Classification(), probe=images)
    assert list((tmp_path / "models").iterdir()) == []
    assert [process.poll() for process in started] == [-9]


def test_a_checking_process_that_cannot_start_is_no_success(model, images, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="no version was written"):
        kv.export.write(model, tmp_path / "models", task=kv.tasks.Classification(), probe=images)
    assert list((tmp_path / "models").iterdir()) == []


def test_other_models_and_labels_are_refused(model, tmp_path):
    image = keras.Input((8, 8, 3), name="photo")
    unnamed = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    image = keras.Input((None, None, 3), name="image")
    open_size = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    image = keras.Input((8, 8, 3), name="image")
    maps = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
    for other in (unnamed, open_size, maps):
        with pytest.raises(UserError, match="one input `image`"):
            kv.export.write(other, tmp_path, task=kv.tasks.Classification())
    for labels in (["a", "b"], ["a", "b", "c\nd"], ["a", "b", "a"]):
        with pytest.raises(UserError, match="`labels`"):
            kv.export.write(model, tmp_path, task=kv.tasks.Classification(labels))
    assert not list(tmp_path.iterdir())


def test_what_an_export_cannot_hold_is_said_before(tmp_path):
    image = keras.Input((16, 16, 1), name="image")
    backbone = keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(image), name="gray")
    with pytest.raises(UserError, match=r"\(batch, size, size, 3\)"):
        kv.export.write(kv.transfer.attach(backbone, 2), tmp_path, task=kv.tasks.Classification())
    model = kv.transfer.attach(kv.backbones.create("ResNet20", image_size=16), 2)
    kv.training.mixed(model.get_layer("body"), "mixed_bfloat16")
    with pytest.raises(UserError, match=r"half precision.*mixed\(model.get_layer"):
        kv.export.write(model, tmp_path, task=kv.tasks.Classification())
    assert not list(tmp_path.iterdir())
