import subprocess
import sys


def test_help_says_how_to_hold_images_out():
    result = subprocess.run([sys.executable, "-m", "kvision", "coco-masks", "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and "OUT/train and OUT/val" in result.stdout
