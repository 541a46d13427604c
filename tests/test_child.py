import subprocess

import kvision
from kvision import child


def test_the_current_folder_hides_nothing(tmp_path):
    """A checkout called kvision is a namespace package to Python, and a script of that name is a module."""
    (tmp_path / "kvision" / "kvision").mkdir(parents=True)
    (tmp_path / "kvision.py").write_text("raise RuntimeError('the wrong kvision')")
    command = child.command("kvision", "--version")
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout == f"kvision {kvision.__version__}\n", result.stderr
