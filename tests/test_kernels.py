"""`import kvision` before TensorFlow's: oneDNN's operations, on every x86 CPU, unless the user says otherwise."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="TensorFlow is built with oneDNN's operations for x86 only"
)


@pytest.mark.parametrize(
    "said, on",
    [pytest.param(None, True, id="by-itself"), pytest.param("0", False, id="switched-off", marks=pytest.mark.slow)],
)
def test_tensorflow_says_whether_it_takes_them(said, on):
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "0"} | ({} if said is None else {"TF_ENABLE_ONEDNN_OPTS": said})
    command = [sys.executable, "-c", "import kvision, tensorflow"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ("oneDNN custom operations are on" in result.stderr) == on, result.stderr
