import os
import sys

import forks


def test_another_backend_is_refused_before_any_work(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "kvision", "transfer", "--out", str(tmp_path / "out")]
    result = forks.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2 and "`KERAS_BACKEND` cannot export" in result.stderr
    assert not (tmp_path / "out").exists()
