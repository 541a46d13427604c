"""DOTA's format: one text file per image, with the corners of rotated boxes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision.data import parts
from kvision.data.annotated import CORNERS, Annotated
from kvision.data.hidden import hidden

if TYPE_CHECKING:
    from kvision.data.boxed_images import BoxedImages

__all__ = ["fits", "read", "write"]

_LABELS = "labelTxt"


def fits(folder: Path) -> bool:
    """Returns whether a folder has DOTA's layout: `images` and `labelTxt`, possibly inside folders of parts."""
    return bool(_sides(folder))


def _sides(folder: Path) -> list[tuple[Path, Path, str | None]]:
    split = parts.folders({path.name for path in folder.iterdir() if path.is_dir()}, argument="folder")
    places = {part: folder / name for part, name in split.items()} or {None: folder}
    found = [(place / "images", place / _LABELS, part) for part, place in places.items()]
    return found if all(images.is_dir() and labels.is_dir() for images, labels, _ in found) else []


def read(folder: Path) -> Iterator[Annotated]:
    """Yields all images in the order of their names. An image without a label file has no objects."""
    for images, labels, part in _sides(folder):
        for path in sorted(images.rglob("*")):
            if path.is_file() and not any(map(hidden, path.relative_to(images).parts)):
                yield _read(path, labels / f"{path.stem}.txt", part)


def _read(image: Path, file: Path, part: str | None) -> Annotated:
    boxes, names, difficult, problems = [], [], [], []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, 1):
        values = line.split()
        # The first lines of DOTA's files are the source and the resolution of the image.
        if not values or ":" in values[0]:
            continue
        try:
            box = [float(value) for value in values[:8]]
            name, hard = values[8], values[9:10] == ["1"]
        except (ValueError, IndexError):
            problems.append(f"line {number} of {file.name} is not eight numbers and a class")
            continue
        boxes.append(box)
        names.append(name)
        difficult.append(hard)
    found = np.array(boxes).reshape(-1, 8)
    return Annotated(image, CORNERS, found, tuple(names), tuple(difficult), part, problems=tuple(problems))


def write(dataset: "BoxedImages", folder: Path) -> None:
    """Writes copies of the images, and one text file of corners per image; see `kv.data.write_boxes`."""
    for i, name in enumerate(dataset.names):
        flat = Path(name.replace("/", "_"))
        place = folder if dataset.part is None else folder / str(dataset.part[i])
        for kind in ("images", _LABELS):
            (place / kind).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dataset.path(i), place / "images" / flat)
        (place / _LABELS / flat.with_suffix(".txt")).write_text("".join(_lines(dataset, i)), encoding="utf-8")


def _lines(dataset: "BoxedImages", index: int) -> Iterator[str]:
    from kvision.ops import rotated_boxes

    objects = dataset.objects[index]
    boxes = objects.boxes
    if boxes.shape[1] == 4:
        low, high = boxes[:, :2], boxes[:, 2:]
        boxes = np.concatenate([(low + high) / 2, high - low, np.zeros((len(low), 1))], 1)
    for corners, label, difficult in zip(
        np.asarray(rotated_boxes.corners(boxes)), objects.labels, np.asarray(objects.difficult), strict=True
    ):
        numbers = " ".join(f"{value:.2f}" for value in corners[:, ::-1].ravel())
        yield f"{numbers} {dataset.class_names[label]} {int(difficult)}\n"
