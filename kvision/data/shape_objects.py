"""Renders images with one object of 100 classes, to try detection without a dataset."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from kvision import checks
from kvision.data import rendered, shapes
from kvision.objects import Objects

__all__ = ["shape_objects"]

_SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "crescent", "arrow", "hexagon", "heart")
_COLORS = {
    "red": (215, 25, 30),
    "orange": (250, 140, 10),
    "yellow": (250, 235, 50),
    "green": (30, 150, 50),
    "cyan": (30, 215, 225),
    "blue": (35, 60, 215),
    "purple": (125, 30, 160),
    "pink": (250, 130, 190),
    "white": (248, 248, 248),
    "black": (12, 12, 12),
}
_NAMES = tuple(f"{color} {shape}" for color, shape in product(_COLORS, _SHAPES))
_SIDES, _TURN = (0.2, 0.6), 0.35  # range of the longer side, as a share of the image; largest angle in radians
_APART = 90  # least distance of the color from every color of the ground


def shape_objects(folder: str | Path, *, train: int = 2000, val: int = 400, seed: int = 0, size: int = 128) -> Path:
    """Writes a folder of images with one object each for `kv.data.from_boxes`. An existing folder is not changed.

    The 100 classes are 10 shapes in 10 colors, such as "red star". All classes occur equally often, if the number of
    images is a multiple of 100. Objects have random sizes (0.2 to 0.6 of the image), places and small angles. They are
    fully inside the image. The ground is a random texture in different colors. The layout is COCO's.

    Args:
        folder: The folder to write.
        train: Number of images in `train`.
        val: Number of images in `val`. `kv.data.from_boxes` uses them as the test part.
        seed: Seed of the images.
        size: Height and width of the images in pixels, at least 32.

    Returns:
        The folder, as a Path.

    Raises:
        UserError: If a number of images is below 1, or `size` is below 32.
    """
    folder = Path(folder)
    if folder.is_dir():
        return folder
    checks.positive({"train": train, "val": val})
    if size < 32:
        raise checks.UserError("size", expected="at least 32 pixels", received=size)

    def scenes() -> Iterator[tuple[str, np.ndarray, Objects]]:
        for number, (part, count) in enumerate({"train": train, "val": val}.items()):
            for i in range(count):
                yield part, *_scene(i % len(_NAMES), size, np.random.default_rng([seed, number, i]))

    rendered.write(folder, "coco", _NAMES, scenes())
    return folder


def _scene(label: int, size: int, random: np.random.Generator) -> tuple[np.ndarray, Objects]:
    color_name, shape = _NAMES[label].split()
    color = np.array(_COLORS[color_name]) + random.normal(0, 5, 3)
    ends = random.integers(0, 256, (2, 3))
    while shapes.distance(color, ends) < _APART:
        ends = random.integers(0, 256, (2, 3))
    half, angle = random.uniform(*_SIDES) * size / 2, random.uniform(-_TURN, _TURN)
    reach = half * np.hypot(*shapes.extent(shape))
    covered, box = shapes.coverage(shape, random.uniform(reach, size - reach, 2), half, angle, size)
    picture = shapes.ground(random, ends, size)
    shapes.paint(picture, covered, color)
    return rendered.finished(picture, random), Objects(box[None].astype("float32"), np.array([label], "int32"))
