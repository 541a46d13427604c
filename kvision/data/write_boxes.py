"""Writes images with boxes in the layout of Pascal VOC, COCO, YOLO or DOTA."""

from collections import Counter
from pathlib import Path

from kvision import checks
from kvision.data.boxed_images import LAYOUTS, BoxedImages

__all__ = ["write_boxes"]


def write_boxes(dataset: BoxedImages, folder: str | Path, *, layout: str) -> Path:
    """Writes copies of images, their annotations, and their parts (if they have parts) into a new folder.

    Args:
        dataset: The result of `kv.data.from_boxes`, or a subset of it.
        folder: The new folder.
        layout: `"voc"`, `"coco"`, `"yolo"` or `"dota"`. `"voc"` rounds to whole pixels. `"yolo"` leaves out difficult
            objects. `"dota"` is for rotated boxes, and also writes axis-aligned boxes as corners.

    Returns:
        The folder.

    Raises:
        UserError: If the folder exists, or if `layout` is unknown. Also if boxes are rotated and `layout` is not
            `"dota"`, if a class name contains a space and `layout` is `"dota"`, or if the names of two images differ
            only in their suffix.

    Example:
        >>> dataset = kv.data.from_boxes("cells")  # doctest: +SKIP
        >>> kv.data.write_boxes(dataset, "cells-yolo", layout="yolo")  # doctest: +SKIP
    """
    checks.one_of("layout", layout, LAYOUTS)
    folder = Path(folder)
    if folder.exists():
        raise checks.UserError("folder", expected="a new folder", received=str(folder))
    if dataset.rotated and layout != "dota":
        raise checks.UserError("layout", problem="cannot store rotated boxes", expected="dota", received=layout)
    if layout == "dota" and (spaced := [name for name in dataset.class_names if len(name.split()) != 1]):
        raise checks.UserError("dataset", expected="class names without spaces", received=spaced)
    stems = Counter(Path(name).with_suffix("").as_posix().replace("/", "_") for name in dataset.names)
    if twice := [stem for stem, count in stems.items() if count > 1]:
        raise checks.UserError("dataset", expected="images with different names without their suffixes", received=twice)
    LAYOUTS[layout].write(dataset, folder)
    return folder
