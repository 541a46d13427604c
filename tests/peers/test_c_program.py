"""A C program on TensorFlow's own libraries: the loader that TF Serving uses, and no Python."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    spec = importlib.util.find_spec("tensorflow")
    assert spec is not None and spec.submodule_search_locations
    wheel = spec.submodule_search_locations[0]
    path = tmp_path_factory.mktemp("program") / "saved_model"
    source = Path(__file__).with_name("saved_model.c")
    command = ["gcc", "-Wall", "-o", str(path), str(source), f"-I{wheel}/include", f"-L{wheel}"]
    command += ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{wheel}"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def definitions(exported):
    """The signatures of saved_model.pb: which tensor of the graph is which input and output."""
    from tensorflow.core.protobuf import saved_model_pb2

    file = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    return file.meta_graphs[0].signature_def


@pytest.fixture(scope="module")
def run(program, exported, definitions):
    def call(signature: str, output: str, *words: object) -> np.ndarray:
        definition = definitions[signature]
        (tensor,) = definition.inputs.values()
        command = [program, exported, tensor.name, definition.outputs[output].name, *words]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stderr
        return np.array([float(line) for line in result.stdout.split()])

    return call


def test_floats(run, images, expected, tmp_path):
    images.astype("float32").tofile(tmp_path / "images.bin")
    words = ("floats", 32, tmp_path / "images.bin")
    np.testing.assert_allclose(run("predict", "probabilities", *words).reshape(4, 3), expected, atol=1e-5)


@pytest.mark.slow  # in Python: tests/export/test_signatures.py
def test_no_rows(run, tmp_path):
    (tmp_path / "none.bin").touch()
    assert run("predict", "probabilities", "floats", 32, tmp_path / "none.bin").size == 0


def test_bytes_good_and_corrupt(run, files, expected):
    assert run("serve_bytes", "valid", "bytes", *files).tolist() == [1, 0, 0, 1]
    rows = run("serve_bytes", "probabilities", "bytes", *files).reshape(4, 3)
    np.testing.assert_allclose(rows[[0, 3]], expected[[0, 3]], atol=1e-5)
