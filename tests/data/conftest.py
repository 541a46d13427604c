"""A folder of class folders, with little pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def paint() -> Callable[..., np.ndarray]:
    """Writes a picture of seeded noise and returns its pixels."""

    def write(path: Path, seed: int, height: int = 20, width: int = 30) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        with path.open("wb") as stream:
            Image.fromarray(image).save(stream, "PNG")
        return image

    return write


@pytest.fixture
def pictures(tmp_path: Path, paint) -> Path:
    """cat: 4 images, two of them equal, one in a sub-folder; dog: 3, one named like a JPEG, one in capitals."""
    for i, name in enumerate(("cat/a.png", "cat/b.png", "cat/deep/er/c.png", "dog/a.PNG", "dog/b.jpg", "dog/ü c.png")):
        paint(tmp_path / "pictures" / name, i)
    paint(tmp_path / "pictures/cat/z.png", 0)
    return tmp_path / "pictures"
