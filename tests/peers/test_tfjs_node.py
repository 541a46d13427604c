"""Node: @tensorflow/tfjs-node, built from the C++ source it ships against the libraries of the TensorFlow wheel.

Its own install script fetches a library of TensorFlow from a file host; this takes the package alone, from npm.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

missing = [program for program in ("node", "npm", "g++") if shutil.which(program) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")]

PACKAGE = "@tensorflow/tfjs-node"


def node_headers() -> Path:
    node = Path(subprocess.run(["node", "-p", "process.execPath"], capture_output=True, text=True).stdout.strip())
    return node.parents[1] / "include" / "node"


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    """A folder `node_modules` with the package in it, built."""
    if not node_headers().is_dir():
        pytest.skip(f"needs Node's headers in {node_headers()}")
    folder = tmp_path_factory.mktemp("node")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", f"{PACKAGE}@4.22.0"]
    if subprocess.run(install, cwd=folder, capture_output=True).returncode != 0:
        pytest.skip("needs an npm registry")
    spec = importlib.util.find_spec("tensorflow")
    assert spec is not None and spec.submodule_search_locations
    wheel = spec.submodule_search_locations[0]
    package = folder / "node_modules" / PACKAGE
    binding = package / "lib" / "napi-v8" / "tfjs_binding.node"
    binding.parent.mkdir(parents=True)
    command = ["g++", "-O1", "-std=c++17", "-shared", "-fPIC", "-DNAPI_VERSION=8", "-I.", f"-I{node_headers()}"]
    command += [f"-I{wheel}/include", "binding/tfjs_backend.cc", "binding/tfjs_binding.cc", "-o", str(binding)]
    command += [f"-L{wheel}", "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{wheel}"]
    result = subprocess.run(command, cwd=package, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder / "node_modules"


def test_signatures_by_name_on_floats_and_bytes(modules, exported, images, files, expected, tmp_path):
    images.astype("float32").tofile(tmp_path / "images.bin")
    script = Path(__file__).with_name("saved_model.js")
    command = ["node", script, exported, tmp_path / "images.bin", images.shape[1], *files]
    environment = {**os.environ, "NODE_PATH": str(modules), "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout.splitlines()[-1])
    assert {"predict", "serve_bytes", "embed", "serving_default"} <= set(answer["signatures"])
    np.testing.assert_allclose(answer["predict"]["probabilities"], expected, atol=1e-5)
    assert answer["predict"]["label"] == expected.argmax(axis=1).tolist()
    assert [bool(valid) for valid in answer["serve_bytes"]["valid"]] == [True, False, False, True]
    rows = np.array(answer["serve_bytes"]["probabilities"])
    np.testing.assert_allclose(rows[[0, 3]], expected[[0, 3]], atol=1e-5)
