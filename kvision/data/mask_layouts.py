"""How folders of images with masks are laid out: which mask belongs to which image, and what is held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kvision import checks

__all__ = ["LAYOUTS", "Pair", "pairs"]

_IMAGES, _MASKS = ("images",), ("masks", "labels", "annotations")
_MASK_ENDINGS = ("", "_mask", "_label", "_L")  # the last is CamVid's own
_HELD_OUT = ("val", "valid", "validation", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MASK_SUFFIXES = (".png", ".bmp", ".gif", ".jpg", ".jpeg")  # the last two to be refused by name
LAYOUTS = (
    "images/ and masks/ (or labels/, annotations/) with equal file names; train/ and val/ (or test/) laid out so; "
    "Pascal VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation); Cityscapes (leftImg8bit, gtFine)"
)


@dataclass(frozen=True)
class Pair:
    """image, mask: paths; None for what is missing. held_out: None where the layout names no held-out images."""

    image: Path | None
    mask: Path | None
    held_out: bool | None = None


def pairs(folder: Path) -> list[Pair]:
    """Every image and every mask of a folder, in the order of their names; UserError for an unknown layout."""
    if not folder.is_dir():
        raise checks.error("data", problem="names no folder", expected=f"a folder: {LAYOUTS}", received=str(folder))
    inner = {path.name for path in folder.iterdir() if path.is_dir()}
    if {"JPEGImages", "SegmentationClass"} <= inner:
        return list(_voc(folder))
    if {"leftImg8bit", "gtFine"} <= inner:
        return list(_cityscapes(folder))
    if "train" in inner:
        other = [name for name in _HELD_OUT if name in inner]
        sides = {"train": False, **({other[0]: True} if other else {})}
        if not other or not all(_side(folder / name) for name in sides):
            raise _unknown(folder, inner)
        return [pair for name, held_out in sides.items() for pair in _matched(*_required(folder / name), held_out)]
    if _side(folder):
        return list(_matched(*_required(folder), None))
    raise _unknown(folder, inner)


def _unknown(folder: Path, inner: set[str]) -> checks.UserError:
    received = f"{folder}, with the folders {', '.join(sorted(inner)[:10]) or '(none)'}"
    return checks.error("data", problem="is laid out in no known way", expected=LAYOUTS, received=received)


def _side(folder: Path) -> tuple[Path, Path] | None:
    images, masks = (
        next((folder / name for name in names if (folder / name).is_dir()), None) for names in (_IMAGES, _MASKS)
    )
    return (images, masks) if images and masks else None


def _required(folder: Path) -> tuple[Path, Path]:
    found = _side(folder)
    if found is None:
        raise _unknown(folder, {path.name for path in folder.iterdir() if path.is_dir()})
    return found


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """{path without suffix, relative to the folder: file}, sub-folders included, hidden files left out."""
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found if path.is_file()}


def _matched(images: Path, masks: Path, held_out: bool | None) -> Iterator[Pair]:
    photographs, labels = _files(images, IMAGE_SUFFIXES), _files(masks, MASK_SUFFIXES)
    used = set()
    for name, path in photographs.items():
        key = next((name + ending for ending in _MASK_ENDINGS if name + ending in labels), None)
        used.add(key)
        yield Pair(path, labels.get(key or ""), held_out)
    for name, path in labels.items():
        if name not in used:
            yield Pair(None, path, held_out)


def _voc(folder: Path) -> Iterator[Pair]:
    images, masks = _files(folder / "JPEGImages", IMAGE_SUFFIXES), _files(folder / "SegmentationClass", MASK_SUFFIXES)
    for split, held_out in {"train": False, "val": True}.items():
        listed = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
        if not listed.is_file():
            raise checks.error(
                "data", problem="has no list of a split", expected=f"the file {listed.name}", received=str(listed)
            )
        for name in listed.read_text(encoding="utf-8").split():
            image, mask = images.get(name), masks.get(name)
            yield Pair(image or folder / "JPEGImages" / f"{name}.jpg", mask, held_out)


def _cityscapes(folder: Path) -> Iterator[Pair]:
    for split, held_out in {"train": False, "val": True}.items():
        images = _files(folder / "leftImg8bit" / split, (".png",))
        masks = _files(folder / "gtFine" / split, (".png",))
        for name, path in images.items():
            yield Pair(path, masks.get(name.removesuffix("_leftImg8bit") + "_gtFine_labelIds"), held_out)
