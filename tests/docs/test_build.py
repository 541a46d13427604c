"""`docs/build` builds every page without a warning."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="needs the extra `docs`")
def test_the_documentation_builds():
    result = subprocess.run([str(DOCS / "build")], capture_output=True, text=True)
    lines = (result.stdout + result.stderr).splitlines()
    assert result.returncode == 0, "\n".join(line for line in lines if "WARNING: " in line or "ERROR: " in line)
    assert (DOCS / "_build/api/data.html").is_file()
    assert "kvision.data.from_folder" in (DOCS / "_build/api/data.html").read_text(encoding="utf-8")


def test_pictures_are_small_and_shown_with_a_caption():
    pictures = [path for path in (DOCS / "pictures").iterdir() if path.suffix in (".png", ".jpg")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    assert sum(path.stat().st_size for path in pictures) <= 4_000_000
    for path in pictures:
        assert path.stat().st_size <= 80_000, path.name
        assert f"](pictures/{path.name})\n\n*" in text, f"{path.name}: show it with a caption in italics below"
