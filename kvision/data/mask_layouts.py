"""The layouts of folders with images and masks. Finds the mask and the part of each image."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from kvision import checks
from kvision.data import parts
from kvision.data.hidden import hidden

__all__ = ["LAYOUTS", "Pair", "pairs", "unread"]

_IMAGES, _MASKS = ("images",), ("masks", "labels", "annotations")
_MASK_ENDINGS = ("", "_mask", "_label")
_CITYSCAPES = "_gtFine_labelIds"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")  # TIFF files are reported as bad
MASK_SUFFIXES = (".png", ".bmp", ".gif", ".jpg", ".jpeg")  # JPEG files are included so that they are reported as bad
LAYOUTS = (
    "images/ and masks/ (or labels/, annotations/) with equal file names; train/ with val/, test/ or both laid out so, "
    "or with their masks in trainannot/ and valannot/ (CamVid as SegNet has it); "
    "Pascal VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation); Cityscapes (leftImg8bit, gtFine)"
)


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Attributes:
        image: Path of the image, or None if the image is missing.
        mask: Path of the mask, or None if the mask is missing.
        part: The part of the dataset (see `parts`), or None if the layout has no parts.
        problem: The reason why the pair cannot be used, if it is known before the files are read.
    """

    image: Path | None
    mask: Path | None
    part: str | None = None
    problem: str = ""


def pairs(folder: Path, *, argument: str = "folder") -> list[Pair]:
    """Finds every image and every mask of a folder.

    Hidden files and folders are skipped, and folders that an operating system creates (`__MACOSX`, `@eaDir`).

    Args:
        folder: The folder of the dataset.
        argument: Name of the argument with the folder, for errors.

    Returns:
        Pairs of images and masks, in the order of their names.

    Raises:
        UserError: If the folder does not exist, or if its layout is unknown.
    """
    if not folder.is_dir():
        raise checks.UserError(
            argument,
            problem="names no folder",
            expected=f"a folder: {LAYOUTS}",
            received=str(folder),
            hint="Look at the spelling; a path that does not begin with / starts at the current folder",
        )
    inner = _folders(folder)
    if {"JPEGImages", "SegmentationClass"} <= inner:
        return list(_voc(folder, argument))
    if {"leftImg8bit", "gtFine"} <= inner:
        return list(_cityscapes(folder))
    if "train" in inner:
        sides = {part: _side(folder, name, inner) for part, name in parts.folders(inner, argument=argument).items()}
        if not sides or None in sides.values():
            _unknown(folder, inner, argument)
        return [pair for part, side in sides.items() if side for pair in _matched(*side, part)]
    side = _side(folder)
    if side is None:
        _unknown(folder, inner, argument)
    return list(_matched(*side, None))


def unread(folder: Path, found: list[Pair]) -> list[str]:
    """Returns the names of the folders in `folder` that do not contain any file of the pairs."""
    files = [path for pair in found for path in (pair.image, pair.mask) if path is not None]
    return sorted(_folders(folder) - {path.relative_to(folder).parts[0] for path in files} - {"ImageSets"})


def _folders(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir() and not hidden(path.name)}


def _unknown(folder: Path, inner: set[str], argument: str) -> NoReturn:
    received = f"{folder}, with the folders {', '.join(sorted(inner)[:10]) or '(none)'}"
    sides = ("train/", "val/") if "train" in inner else ("",)
    steps = [f"images into {side}images and their masks, under the same names, into {side}masks" for side in sides]
    raise checks.UserError(
        argument,
        problem="has an unknown layout",
        expected=LAYOUTS,
        received=received,
        hint=f"Put {', and '.join(steps)}",
    )


def _side(folder: Path, name: str = ".", inner: set[str] | frozenset = frozenset()) -> tuple[Path, Path] | None:
    """Returns the folders of images and of masks."""
    if f"{name}annot" in inner:
        return folder / name, folder / f"{name}annot"
    images, masks = (
        next((folder / name / each for each in names if (folder / name / each).is_dir()), None)
        for names in (_IMAGES, _MASKS)
    )
    return (images, masks) if images and masks else None


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[Path]]:
    """Returns the files at any depth by relative path without suffix. Hidden files are left out."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.suffix.lower() in suffixes and not any(map(hidden, inner.parts)) and path.is_file():
            found.setdefault(inner.with_suffix("").as_posix(), []).append(path)
    return found


def _matched(images: Path, masks: Path, part: str | None) -> Iterator[Pair]:
    photographs, labels = _files(images, IMAGE_SUFFIXES), _files(masks, MASK_SUFFIXES)
    used = set()
    for name, paths in photographs.items():
        key = next((name + ending for ending in _MASK_ENDINGS if name + ending in labels), None)
        used.add(key)
        yield _pair(paths, labels.get(key or "", []), part)
    for name, paths in labels.items():
        if name not in used:
            yield _pair([], paths, part)


def _pair(images: list[Path], masks: list[Path], part: str | None) -> Pair:
    problem = ""
    if len(images) > 1 or len(masks) > 1:
        problem = f"{len(images)} images and {len(masks)} masks have its name"
    return Pair(images[0] if images else None, masks[0] if masks else None, part, problem)


def _voc(folder: Path, argument: str) -> Iterator[Pair]:
    images, masks = _files(folder / "JPEGImages", IMAGE_SUFFIXES), _files(folder / "SegmentationClass", MASK_SUFFIXES)
    for split, part in {"train": parts.TRAIN, "val": parts.TEST}.items():
        listed = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
        if not listed.is_file():
            raise checks.UserError(
                argument,
                problem="has no list of a split",
                expected=f"the file {listed.name}",
                received=str(listed),
                hint="Write one: names of images without suffix, one on each line",
            )
        try:
            names = listed.read_text(encoding="utf-8").split()
        except UnicodeDecodeError as reason:
            raise checks.UserError(
                argument, problem="has a list that is not text", expected="a name a line", received=str(listed)
            ) from reason
        for name in names:
            if "/" in name or "\\" in name or ".." in name:
                raise checks.UserError(argument, expected=f"names without folders in {listed.name}", received=name)
            found = _pair(images.get(name, []), masks.get(name, []), part)
            yield found if found.image else replace(found, image=folder / "JPEGImages" / f"{name}.jpg")


def _cityscapes(folder: Path) -> Iterator[Pair]:
    for split, part in {"train": parts.TRAIN, "val": parts.TEST}.items():
        images = _files(folder / "leftImg8bit" / split, (".png",))
        masks = _files(folder / "gtFine" / split, (".png",))
        masks = {name: paths for name, paths in masks.items() if name.endswith(_CITYSCAPES)}
        for name, paths in images.items():
            yield _pair(paths, masks.pop(name.removesuffix("_leftImg8bit") + _CITYSCAPES, []), part)
        for paths in masks.values():
            yield _pair([], paths, part)
