"""Renders scenes of long shapes at any angle, to try detection with rotated boxes without a dataset."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kvision import checks
from kvision.data import rendered, shapes
from kvision.objects import Objects

__all__ = ["rotated_scenes"]

_NAMES = ("bar", "ellipse", "arrow", "car")
# Side of a scene in pixels; range of the length of a shape in pixels; range of the number of shapes per scene.
_SIDE, _LENGTHS, _COUNT = 256, (36, 90), (3, 9)
_OVERLAP = 0.03  # largest share of a shape that lies on earlier shapes
_APART = 90  # least distance of a color from every color of the ground


def rotated_scenes(folder: str | Path, *, train: int = 200, val: int = 50, seed: int = 0) -> Path:
    """Writes a folder of scenes with rotated boxes for `kv.data.from_boxes`. An existing folder is not changed.

    A scene has 256 x 256 pixels. It shows 3 to 8 bars, ellipses, arrows and cars at any angle, in random colors, places
    and sizes on a textured ground. The boxes are tight. The layout is DOTA's.

    Args:
        folder: The folder to write.
        train: Number of scenes in `train`.
        val: Number of scenes in `val`. `kv.data.from_boxes` uses them as the test part.
        seed: Seed of the scenes.

    Returns:
        The folder, as a Path.

    Raises:
        UserError: If a number of scenes is below 1.
    """
    folder = Path(folder)
    if folder.is_dir():
        return folder
    checks.positive({"train": train, "val": val})

    def scenes() -> Iterator[tuple[str, np.ndarray, Objects]]:
        for number, (part, count) in enumerate({"train": train, "val": val}.items()):
            for i in range(count):
                yield part, *_scene(np.random.default_rng([seed, number, i]))

    rendered.write(folder, "dota", _NAMES, scenes())
    return folder


def _scene(random: np.random.Generator) -> tuple[np.ndarray, Objects]:
    ends = random.integers(40, 216, (2, 3))
    picture, taken = shapes.ground(random, ends, _SIDE), np.zeros((_SIDE, _SIDE), bool)
    boxes, labels, count = [], [], random.integers(*_COUNT)
    while len(boxes) < count:
        label, half, angle = int(random.integers(4)), random.uniform(*_LENGTHS) / 2, random.uniform(-np.pi, np.pi)
        long, wide = half * shapes.extent(_NAMES[label])
        reach = np.hypot(long, wide)
        x, y = random.uniform(reach, _SIDE - reach, 2)
        covered, _ = shapes.coverage(_NAMES[label], np.array([x, y]), half, angle, _SIDE)
        color = random.integers(0, 256, 3)
        if (taken & (covered > 0)).sum() > _OVERLAP * covered.sum() or shapes.distance(color, ends) < _APART:
            continue
        shapes.paint(picture, covered, color)
        taken |= covered > 0
        boxes.append([y, x, 2 * wide, 2 * long, angle])
        labels.append(label)
    return rendered.finished(picture, random), Objects(np.array(boxes, "float32"), np.array(labels, "int32"))
