"""Creates masks for `kv.data.from_masks` from COCO's instances (extra `detection`)."""

import contextlib
import hashlib
import importlib.util
import io
import os
from pathlib import Path

import numpy as np

from kvision import atomic, checks, installation
from kvision.data.label_maps import IGNORE
from kvision.pixels import MAX_PIXELS
from kvision.pixels.label_colors import palette, to_png
from kvision.progress import Bar

__all__ = ["coco_masks"]

BACKGROUND = "background"


def coco_masks(annotations: str | Path, images: str | Path, folder: str | Path, *, progress: bool = True) -> list[str]:
    """Converts COCO's instances to masks that `kv.data.from_masks` reads.

    Class 0 is background. A category with the name "background" also becomes class 0. The remaining categories follow
    in the order of their ids. If instances overlap, the smaller instance is in front. Crowds, and boxes of objects
    without an outline, get the label 255, which does not count. Existing masks are kept, so a killed call can be
    repeated.

    Args:
        annotations: COCO's `instances_*.json`.
        images: The folder of the images.
        folder: The folder to write. It gets `masks` with one PNG per image, `images` as a link to the images, and
            `classes.txt`.
        progress: Whether to show a progress bar on standard error.

    Returns:
        Names of images that are listed in the file but do not exist.

    Raises:
        UserError: If pycocotools is not installed, or if `annotations` is not a COCO file. Also if the folder already
            contains different images, different classes, or masks of different annotations.
    """
    if importlib.util.find_spec("pycocotools") is None:
        raise checks.UserError(
            "annotations",
            problem="need a package that is not installed",
            expected="the extra `detection`",
            received=str(annotations),
            hint=f"Run: {installation.extra('detection')}",
        )
    coco = _read(Path(annotations))
    folder, images = Path(folder), Path(images)
    if not images.is_dir():
        raise checks.UserError("images", problem="names no folder", expected="a folder of images", received=str(images))
    named = {category["id"]: category["name"] for category in coco.cats.values() if category["name"] != BACKGROUND}
    names = [BACKGROUND, *(named[number] for number in sorted(named))]
    if len(names) > 255 or len(set(names)) != len(names):
        raise checks.UserError("annotations", expected="at most 254 categories, no name twice", received=names)
    labels = {**dict.fromkeys(coco.cats, 0), **{number: names.index(name) for number, name in named.items()}}
    link, missing, colors = folder / "images", [], palette(len(names))
    if (link.is_symlink() or link.exists()) and link.resolve() != images.resolve():
        raise checks.UserError(
            "folder", problem="has other images", expected=f"{link} to be {images}", received=str(link.resolve())
        )
    _own(folder / "classes.txt", "\n".join(names) + "\n", "other classes")
    _own(folder / "annotations.sha256", _sha256(Path(annotations)) + "\n", "masks of other annotations")
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(images.resolve(), folder.resolve()), target_is_directory=True)
    for image in Bar(coco.imgs.values(), "masks", unit=" images", disable=not progress):
        name = Path(str(image.get("file_name")))
        if name.is_absolute() or ".." in name.parts:
            raise checks.UserError("annotations", expected="file names below the folder", received=str(name))
        if not (images / name).is_file():
            missing.append(str(name))
            continue
        target = folder / "masks" / name.with_suffix(".png")
        if not target.is_file():
            with atomic.file(target) as temporary:
                temporary.write_bytes(to_png(_mask(coco, image, labels), colors))
    return missing


def _own(path: Path, text: str, problem: str) -> None:
    """Writes a file, or raises if the file exists with a different content."""
    if not path.exists():
        atomic.write_text(path, text)
    elif path.read_bytes() != text.encode():
        raise checks.UserError(
            "folder", problem=f"has {problem}", expected="another folder, or an empty one", received=str(path)
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(path: Path):
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            coco = COCO(str(path))
        if not coco.imgs or not coco.cats:
            raise KeyError("images or categories")
        return coco
    except (OSError, ValueError, KeyError, AssertionError, TypeError, AttributeError) as reason:
        raise checks.UserError(
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
        found = [(one, _outline(one, mask.shape)) for one in coco.imgToAnns.get(image["id"], [])]
        # Crowds and boxes are painted first, then instances from large to small, so that small instances are in front.
        parts = [(bool(outline) and not one.get("iscrowd"), one, outline) for one, outline in found]
        for sure, one, outline in sorted(parts, key=lambda part: (part[0], -part[1]["area"])):
            mask[_covered(coco, one, outline, mask.shape)] = labels[one["category_id"]] if sure else IGNORE
        return mask
    except Exception as reason:  # pycocotools may raise any exception
        raise checks.UserError(
            "annotations",
            problem=f"of {image.get('file_name')!r} cannot be drawn ({type(reason).__name__}: {reason})",
            expected="polygons or run lengths of the image's size, as COCO has them",
            received=image.get("id"),
        ) from reason


def _outline(one: dict, size: tuple[int, ...]) -> list | dict:
    """Returns polygons or run lengths. The result is empty if there is only a box."""
    outline = one.get("segmentation") or []
    if isinstance(outline, dict) and tuple(outline["size"]) != size:  # pycocotools would allocate memory for this size
        raise ValueError(f"run lengths of {outline['size']}, the image has {size}")
    return outline if isinstance(outline, dict) else [part for part in outline if len(part) >= 6]


def _covered(coco, one: dict, outline: list | dict, size: tuple[int, ...]) -> np.ndarray:
    """Returns the pixels (H, W) bool of the outline, or of the box if there is none."""
    if outline:
        return coco.annToMask({**one, "segmentation": outline}) > 0
    left, top, width, height = one.get("bbox") or (0, 0, 0, 0)
    rows, columns = (np.arange(side) + 0.5 for side in size)
    return ((rows >= top) & (rows < top + height))[:, None] & ((columns >= left) & (columns < left + width))
