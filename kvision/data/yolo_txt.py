"""YOLO's format: one text file of boxes per image, with numbers as shares of the sides of the image."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks, installation
from kvision.data import parts
from kvision.data.annotated import Annotated
from kvision.data.hidden import hidden

if TYPE_CHECKING:
    from kvision.data.boxed_images import BoxedImages

__all__ = ["class_names", "fits", "read", "write"]

_NAMES = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")


def fits(folder: Path) -> bool:
    """Returns whether a folder has YOLO's layout: `images` and `labels`, with parts inside or around them."""
    return bool(_sides(folder))


def _sides(folder: Path) -> list[tuple[Path, Path, str | None]]:
    """Returns the folder of images, the folder of labels and the part, for each part."""
    inner = {path.name for path in folder.iterdir() if path.is_dir()}
    split = parts.folders(inner, argument="folder")
    found: list[tuple[Path, Path, str | None]] = [
        (folder / name / "images", folder / name / "labels", part) for part, name in split.items()
    ]
    if not split and {"images", "labels"} <= inner:
        split = parts.folders({path.name for path in (folder / "images").iterdir() if path.is_dir()}, argument="folder")
        found = [(folder / "images" / name, folder / "labels" / name, part) for part, name in split.items()]
        found = found or [(folder / "images", folder / "labels", None)]
    return found if all(images.is_dir() and labels.is_dir() for images, labels, _ in found) else []


def class_names(folder: Path) -> tuple[str, ...]:
    """Returns the names in `classes.txt`, `obj.names` or `data.yaml`.

    Raises:
        UserError: If none of these files exists.
    """
    for name in _NAMES:
        path = folder / name
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            return _of_yaml(text) if path.suffix == ".yaml" else tuple(filter(None, map(str.strip, text.splitlines())))
    raise checks.UserError(
        "folder",
        problem="says nothing of the classes",
        expected=f"one of the files {', '.join(_NAMES)}",
        received=str(folder),
        hint="Write classes.txt with a name a line, in the order of the numbers",
    )


def _of_yaml(text: str) -> tuple[str, ...]:
    try:
        import yaml
    except ImportError:
        raise checks.UserError(
            "folder",
            problem="has its class names in a YAML file",
            expected="PyYAML",
            received="no module yaml",
            hint=f"Run: {installation.extra('detection')}, or write classes.txt with one name per line",
        ) from None
    names = (yaml.safe_load(text) or {}).get("names", [])
    return tuple(str(names[key]) for key in sorted(names)) if isinstance(names, dict) else tuple(map(str, names))


def read(folder: Path) -> Iterator[Annotated]:
    """Yields all images in the order of their names. An image without a label file has no objects."""
    names = class_names(folder)
    for images, labels, part in _sides(folder):
        for path in sorted(images.rglob("*")):
            inner = path.relative_to(images)
            if path.is_file() and not any(map(hidden, inner.parts)):
                yield _read(path, (labels / inner).with_suffix(".txt"), names, part)


def _read(image: Path, file: Path, names: tuple[str, ...], part: str | None) -> Annotated:
    boxes, found, problems = [], [], []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, 1):
        values = line.split()
        if not values:
            continue
        try:
            label, box = int(values[0]), [float(value) for value in values[1:5]]
            if len(values) != 5:
                raise ValueError(line)
        except ValueError:
            problems.append(f"line {number} of {file.name} is not a class and four numbers")
            continue
        found.append(names[label] if 0 <= label < len(names) else f"class {label}")
        boxes.append(box)
    no = (False,) * len(found)
    return Annotated(image, "yolo", np.array(boxes).reshape(-1, 4), tuple(found), no, part, problems=tuple(problems))


def write(dataset: "BoxedImages", folder: Path) -> None:
    """Writes copies of the images, one text file per image, and `classes.txt`; see `kv.data.write_boxes`."""
    from kvision.ops import boxes as plain

    for i, name in enumerate(dataset.names):
        flat = Path(name.replace("/", "_"))
        place = folder if dataset.part is None else folder / str(dataset.part[i])
        for kind in ("images", "labels"):
            (place / kind).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dataset.path(i), place / "images" / flat)
        objects = dataset.objects[i]
        rows = np.asarray(plain.convert(objects.boxes, "yxyx", "yolo", size=dataset.sizes[i]))
        lines = [
            " ".join([str(label), *(f"{x:.6f}" for x in row)])
            for label, row, difficult in zip(objects.labels, rows, np.asarray(objects.difficult), strict=True)
            if not difficult
        ]
        (place / "labels" / flat.with_suffix(".txt")).write_text("".join(f"{line}\n" for line in lines))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in dataset.class_names), encoding="utf-8")
