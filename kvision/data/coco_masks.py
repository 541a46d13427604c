"""COCO's instances as a label for each pixel: PNG masks that `kv.data.masks` reads (extra `detection`)."""

import contextlib
import importlib.util
import io
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kvision import atomic, checks
from kvision.data.label_maps import IGNORE
from kvision.pixels import MAX_PIXELS
from kvision.pixels.label_colors import palette, to_png

__all__ = ["coco_masks"]

BACKGROUND = "background"


def coco_masks(annotations: str | Path, images: str | Path, folder: str | Path, *, progress: bool = True) -> list[str]:
    """Writes `folder/masks` (a PNG for each image of an `instances_*.json`), `folder/images`, a link to `images`, and
    `classes.txt` -> names of images that are listed and not there.

    Class 0 is background, then the categories in the order of their ids. Where instances overlap, the smaller one is in
    front; crowds are 255, which does not count. A mask that is there already is kept: a killed run goes on.
    Raises UserError without pycocotools, and for a file that is no COCO annotation.
    """
    if importlib.util.find_spec("pycocotools") is None:
        raise checks.error(
            "annotations",
            problem="need a package that is not installed",
            expected="the extra `detection`",
            received=str(annotations),
            hint="pip install 'kvision[detection]'",
        )
    coco = _read(Path(annotations))
    folder, images = Path(folder), Path(images)
    if not images.is_dir():
        raise checks.error("images", problem="names no folder", expected="a folder of images", received=str(images))
    categories = sorted(coco.cats.values(), key=lambda category: category["id"])
    if len(categories) > 254:
        raise checks.error("annotations", expected="at most 254 categories", received=len(categories))
    labels = {category["id"]: number for number, category in enumerate(categories, 1)}
    atomic.write_text(
        folder / "classes.txt", "\n".join([BACKGROUND, *(category["name"] for category in categories)]) + "\n"
    )
    link, missing, colors = folder / "images", [], palette(len(categories) + 1)
    if not link.is_symlink() and not link.exists():
        link.symlink_to(os.path.relpath(images.resolve(), folder.resolve()), target_is_directory=True)
    elif link.resolve() != images.resolve():
        raise checks.error(
            "folder", problem="has other images", expected=f"{link} to be {images}", received=str(link.resolve())
        )
    for image in tqdm(coco.imgs.values(), "masks", unit=" images", disable=not progress):
        name = Path(str(image.get("file_name")))
        if name.is_absolute() or ".." in name.parts:
            raise checks.error("annotations", expected="file names below the folder", received=str(name))
        if not (images / name).is_file():
            missing.append(str(name))
            continue
        target = folder / "masks" / name.with_suffix(".png")
        if not target.is_file():
            with atomic.file(target) as temporary:
                temporary.write_bytes(to_png(_mask(coco, image, labels), colors))
    return missing


def _read(path: Path):
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
            coco = COCO(str(path))
        if not coco.imgs or not coco.cats:
            raise KeyError("images or categories")
        return coco
    except (OSError, ValueError, KeyError, AssertionError, TypeError, AttributeError) as reason:
        raise checks.error(
            "annotations",
            problem=f"cannot be read ({type(reason).__name__}: {reason})",
            expected="a COCO file such as instances_val2017.json",
            received=str(path),
        ) from reason


def _mask(coco, image: dict, labels: dict[int, int]) -> np.ndarray:
    try:
        height, width = int(image["height"]), int(image["width"])
        if not 0 < height * width <= MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels")
        mask = np.zeros((height, width), "uint8")
        found = coco.imgToAnns.get(image["id"], [])
        for one in sorted(found, key=lambda one: (not one.get("iscrowd", 0), -one["area"])):
            mask[_covered(coco, one, (height, width))] = IGNORE if one.get("iscrowd") else labels[one["category_id"]]
        return mask
    except Exception as reason:  # pycocotools raises what it likes
        raise checks.error(
            "annotations",
            problem=f"of {image.get('file_name')!r} cannot be drawn ({type(reason).__name__}: {reason})",
            expected="polygons or run lengths of the image's size, as COCO has them",
            received=image.get("id"),
        ) from reason


def _covered(coco, one: dict, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool; nothing where only a box was drawn."""
    outline = one.get("segmentation") or []
    if isinstance(outline, dict) and tuple(outline["size"]) != size:  # it would be allocated
        raise ValueError(f"run lengths of {outline['size']}, the image has {size}")
    if isinstance(outline, list) and not (outline := [part for part in outline if len(part) >= 6]):
        return np.zeros(size, bool)
    return coco.annToMask({**one, "segmentation": outline}) > 0
