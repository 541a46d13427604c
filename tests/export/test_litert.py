import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.export import litert


def test_runner_answers_for_any_batch_with_the_labels_of_a_moved_file(exported, images, expected, tmp_path):
    moved = tmp_path / "mein modell.tflite"
    shutil.copy(exported / "assets.extra/model.tflite", moved)
    runner = litert.Runner(moved)
    assert runner.labels == ["Hund", "猫", "o l w"] and runner.image_size == 32
    for count in (1, 3, 5):
        outputs = runner(images[:count])
        np.testing.assert_allclose(outputs["probabilities"], expected[:count], atol=1e-5)
        np.testing.assert_array_equal(outputs["label"], expected[:count].argmax(axis=1))
    assert runner(images, signature="embed")["feature"].shape == (5, 1800)


def test_labels_are_an_associated_file_of_the_format(exported):
    with zipfile.ZipFile(exported / "assets.extra/model.tflite") as archive:
        assert archive.namelist() == ["labels.txt"]


def test_only_built_in_operations(exported):
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
        f"i = Interpreter({str(exported / 'assets.extra/model.tflite')!r}); i.allocate_tensors()\n"
        "print(sorted({d['op_name'] for d in i._get_ops_details()}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and "CONV_2D" in result.stdout and "Flex" not in result.stdout, result.stderr


def test_an_operation_without_a_built_in_is_an_error_not_a_file():
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.ops.erfinv(image / 300))
    with pytest.raises(Exception, match=r"(?i)erfinv|custom|flex"):
        litert.convert(model)


@pytest.mark.parametrize("content", [b"", b"TFL3" * 100, b"\x1c\x00\x00\x00TFL3" + bytes(64)])
def test_files_that_are_no_model(tmp_path, content):
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match="no TFLite model"):
        litert.Runner(path)


def test_a_model_of_others_without_our_signature_is_refused(model, tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(litert.convert(model))
    with pytest.raises(UserError, match="signature `predict`"):
        litert.Runner(path)
