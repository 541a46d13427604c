"""Pascal VOC's format: one XML file of boxes per image."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from kvision.data import parts
from kvision.data.annotated import Annotated

if TYPE_CHECKING:
    from kvision.data.boxed_images import BoxedImages

__all__ = ["fits", "read", "write"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LARGEST = 10_000_000  # largest annotation, in bytes


def fits(folder: Path) -> bool:
    """Returns whether a folder has Pascal VOC's layout: `JPEGImages` and `Annotations`."""
    return (folder / "JPEGImages").is_dir() and (folder / "Annotations").is_dir()


def read(folder: Path) -> Iterator[Annotated]:
    """Yields all images, with and without an annotation, in the order of their names.

    The parts come from `ImageSets/Main/train.txt`, `val.txt` and `test.txt`, if these files exist.
    """
    listed = _listed(folder)
    images: dict[str, Path] = {}
    for path in sorted((folder / "JPEGImages").iterdir()):
        if path.name[0] != "." and images.setdefault(path.stem, path) != path:
            yield _nothing(path, None, f"{images[path.stem].name} has the same name, and its annotation is used for it")
    files = {path.stem: path for path in sorted((folder / "Annotations").glob("*.xml"))}
    for name in sorted({*images, *files} if listed is None else listed):
        part = None if listed is None else listed[name]
        image = images.get(name, folder / "JPEGImages" / f"{name}.jpg")
        if name not in files:
            yield _nothing(image, part, "it has no annotation; for an image without objects write one without objects")
            continue
        try:
            yield _read(files[name], image, part)
        except (OSError, ValueError, ElementTree.ParseError) as reason:
            yield _nothing(image, part, f"its annotation {files[name].name} cannot be read: {reason}")


def _nothing(image: Path, part: str | None, problem: str) -> Annotated:
    return Annotated(image, "voc", np.zeros((0, 4)), (), (), part, problem=problem)


def _listed(folder: Path) -> dict[str, str] | None:
    """Returns the part of each name in the lists, or None if there are no lists."""
    lists = {path.stem: path for path in (folder / "ImageSets" / "Main").glob("*.txt")}
    found = parts.folders(lists, argument="folder")
    if not found:
        return None
    return {line.split()[0]: part for part, name in found.items() for line in _lines(lists[name])}


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _read(path: Path, image: Path, part: str | None) -> Annotated:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST:,} bytes")
    root = ElementTree.fromstring(path.read_bytes())
    boxes, names, difficult, problems = [], [], [], []
    for number, one in enumerate(root.iter("object"), 1):
        name = (one.findtext("name") or "").strip()
        try:
            boxes.append([float(one.findtext(f"bndbox/{side}") or "") for side in _SIDES])
        except ValueError:
            problems.append(f"object {number} ({name}) has no box of {', '.join(_SIDES)}")
            continue
        names.append(name)
        difficult.append((one.findtext("difficult") or "0").strip() == "1")
    stated = [root.findtext(f"size/{side}") or "" for side in ("height", "width")]
    size = tuple(map(int, stated)) if all(text.strip().isdigit() for text in stated) else None
    return Annotated(
        image, "voc", np.array(boxes).reshape(-1, 4), tuple(names), tuple(difficult), part, size, "", tuple(problems)
    )


def write(dataset: "BoxedImages", folder: Path) -> None:
    """Writes copies of the images, one XML file per image, and lists of the parts; see `kv.data.write_boxes`."""
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    listed: dict[str, list[str]] = {}
    for i, name in enumerate(dataset.names):
        stem = Path(name).with_suffix("").as_posix().replace("/", "_")
        shutil.copyfile(dataset.path(i), folder / "JPEGImages" / f"{stem}{Path(name).suffix}")
        ElementTree.ElementTree(_tree(dataset, i, stem)).write(folder / "Annotations" / f"{stem}.xml")
        if dataset.part is not None:
            listed.setdefault(str(dataset.part[i]), []).append(stem)
    for part, names in listed.items():
        lists = folder / "ImageSets" / "Main"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _tree(dataset: "BoxedImages", index: int, stem: str) -> ElementTree.Element:
    from kvision.ops import boxes as plain

    objects, (height, width) = dataset.objects[index], dataset.sizes[index]
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{stem}{Path(dataset.names[index]).suffix}"
    size = ElementTree.SubElement(root, "size")
    for side, value in {"width": width, "height": height, "depth": 3}.items():
        ElementTree.SubElement(size, side).text = str(value)
    corners = np.rint(np.asarray(plain.convert(objects.boxes, "yxyx", "voc"))).astype(int)
    for label, box, difficult in zip(objects.labels, corners, np.asarray(objects.difficult), strict=True):
        one = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(one, "name").text = dataset.class_names[label]
        ElementTree.SubElement(one, "difficult").text = str(int(difficult))
        inner = ElementTree.SubElement(one, "bndbox")
        for side, value in zip(_SIDES, box, strict=True):
            ElementTree.SubElement(inner, side).text = str(value)
    return root
