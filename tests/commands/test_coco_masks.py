import subprocess
import sys


def test_help_says_how_to_make_two_parts():
    result = subprocess.run([sys.executable, "-m", "kvision", "coco-masks", "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and "coco/train" in result.stdout and "coco/val" in result.stdout
