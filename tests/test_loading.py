import subprocess
import sys

import forks
import keras
import pytest

import kvision as kv


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(kv.layers.Preprocess("tf")(image)))
    model.compile(kv.training.Adam())
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


def in_a_new_process(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=forks.jax_environment(), capture_output=True, text=True)  # JAX starts sooner


def test_our_classes_are_found_though_nothing_of_them_was_imported(saved):
    result = in_a_new_process(
        "import kvision as kv, sys; assert 'keras' not in sys.modules\n"
        f"m = kv.load_model({str(saved)!r}); print(type(m.optimizer).__module__, type(m.layers[1]).__module__)"
    )
    assert result.stdout.split() == ["kvision.training.optimizers", "kvision.layers.preprocess"], result.stderr


def test_control_keras_alone_does_not_find_them(saved):
    result = in_a_new_process(f"import keras; keras.models.load_model({str(saved)!r})")
    assert result.returncode != 0 and "Could not locate class" in result.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(kv.UserError, match=r"`path` names no file.*model\.keras"):
        kv.load_model(tmp_path / "model.keras")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    image = keras.Input((2,))
    keras.Model(image, keras.layers.Lambda(lambda x: x + 1)(image)).save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="Lambda"):
        kv.load_model(tmp_path / "lambda.keras")
