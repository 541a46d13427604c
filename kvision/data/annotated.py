"""The annotations of one image, before the image file is read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvision.objects import Objects

__all__ = ["CORNERS", "Annotated", "checked"]

CORNERS = "corners"  # x and y of the four corners of a rotated box, in order


@dataclass(frozen=True)
class Annotated:
    """An image file and the objects in its annotation.

    Attributes:
        image: Path of the image.
        format: The format of `boxes`: one of `kv.detection.boxes.FORMATS`, or `CORNERS`.
        boxes: `(n, 4)`, or `(n, 8)` corners, float64, as written in the annotation.
        names: The class of each object.
        difficult: Whether each object counts neither as found nor as missed.
        part: "train", "validation" or "test". None if the layout has no parts.
        size: Height and width in the annotation, or None.
        problem: The reason why the image cannot be used, if the annotation contains one.
        problems: Annotations that could not be read, with the reasons.
    """

    image: Path
    format: str
    boxes: np.ndarray
    names: tuple[str, ...]
    difficult: tuple[bool, ...]
    part: str | None = None
    size: tuple[int, int] | None = None
    problem: str = ""
    problems: tuple[str, ...] = ()


def checked(found: Annotated, size: tuple[int, int], class_names: tuple[str, ...]) -> tuple[Objects, list[str], int]:
    """Converts the objects of an image to kvision's boxes.

    Args:
        found: The annotation.
        size: Height and width of the image in pixels.
        class_names: All classes.

    Returns:
        The objects that can be used, cut at the border of the image. Then the reasons why the remaining objects cannot
        be used, and the number of objects that were cut.
    """
    from kvision.ops import boxes as plain
    from kvision.ops import rotated_boxes

    problems, kept = list(found.problems), []
    boxes = _pixels(found, size)
    flat = np.asarray(rotated_boxes.around(boxes)) if boxes.shape[1] == 5 else boxes
    for i, (top, left, bottom, right) in enumerate(flat):
        what = f"object {i + 1} ({found.names[i]})"
        if not np.isfinite(boxes[i]).all():
            problems.append(f"{what} has a coordinate that is no finite number")
        elif bottom < top or right < left:
            problems.append(f"{what} has its minimum and maximum swapped")
        elif bottom - top < 1e-3 or right - left < 1e-3:
            problems.append(f"{what} is empty")
        elif bottom <= 0 or right <= 0 or top >= size[0] or left >= size[1]:
            problems.append(f"{what} lies outside of the image")
        elif found.names[i] not in class_names:
            problems.append(f"{what} is of no known class")
        else:
            kept.append(i)
    boxes, cut = boxes[kept], 0
    if boxes.shape[1] == 4:
        inside = np.asarray(plain.clip(boxes, size))
        boxes, cut = inside, int((np.abs(inside - boxes) > 0.5).any(1).sum())
    labels = np.array([class_names.index(found.names[i]) for i in kept], "int32")
    difficult = np.array([found.difficult[i] for i in kept], bool)
    return Objects(boxes.astype("float32"), labels, difficult=difficult), problems, cut


def _pixels(found: Annotated, size: tuple[int, int]) -> np.ndarray:
    from kvision.ops import boxes as plain
    from kvision.ops import rotated_boxes

    if found.format == CORNERS:
        points = found.boxes.reshape(-1, 4, 2)[..., ::-1]
        return np.asarray(rotated_boxes.canonical(rotated_boxes.from_corners(points))).reshape(-1, 5)
    return np.asarray(plain.convert(found.boxes.reshape(-1, 4), found.format, "yxyx", size=size))
