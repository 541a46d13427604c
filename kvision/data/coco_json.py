"""COCO's JSON format, with all boxes of a part in one file."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision.data import parts
from kvision.data.annotated import Annotated

if TYPE_CHECKING:
    from kvision.data.boxed_images import BoxedImages

__all__ = ["class_names", "fits", "read", "write"]

_ROBOFLOW = "_annotations.coco.json"
_LARGEST = 2_000_000_000  # bytes; COCO's own training file has 470 million bytes


def fits(folder: Path) -> bool:
    """Returns whether a folder has COCO's files: `annotations/*.json`, `annotations.json`, or one file per part."""
    return bool(_files(folder))


def _files(folder: Path) -> dict[Path, str | None]:
    """Returns the annotation files, with the part of each file."""
    if (folder / "annotations.json").is_file():
        return {folder / "annotations.json": None}
    inner = {path.name for path in folder.iterdir() if path.is_dir()}
    found = {part: folder / name / _ROBOFLOW for part, name in parts.folders(inner, argument="folder").items()}
    if found and all(path.is_file() for path in found.values()):
        return {path: part for part, path in found.items()}
    files = {path.stem: path for path in sorted((folder / "annotations").glob("*.json"))}
    named = {
        stem: next((name for name in stem.replace("20", "_20").split("_") if _is_part(name)), "") for stem in files
    }
    boxes = {stem: name for stem, name in named.items() if stem.split("_")[0] not in ("captions", "person", "stuff")}
    by_name = {name: files[stem] for stem, name in boxes.items() if name}
    if len(by_name) > 1:
        return {by_name[name]: part for part, name in parts.folders(by_name, argument="folder").items()}
    return dict.fromkeys(files.values()) if len(files) == 1 else {}


def _is_part(name: str) -> bool:
    return any(name in known for known in parts.NAMES.values())


def class_names(folder: Path) -> tuple[str, ...]:
    """Returns the names of the categories in the order of their ids."""
    found: dict[int, str] = {}
    for path in _files(folder):
        found |= {int(row["id"]): str(row["name"]) for row in _content(path)["categories"]}
    return tuple(dict.fromkeys(name for _, name in sorted(found.items())))


def _content(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path.name} is larger than {_LARGEST:,} bytes")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= set(content):
        raise ValueError(f"{path.name} lacks images, annotations or categories")
    return content


def read(folder: Path) -> Iterator[Annotated]:
    """Yields every image of the annotation files. Crowd objects are marked as difficult."""
    for path, part in _files(folder).items():
        content = _content(path)
        categories = {row["id"]: str(row["name"]) for row in content["categories"]}
        rows: dict[int, list[dict]] = {}
        for row in content["annotations"]:
            rows.setdefault(row.get("image_id"), []).append(row)
        for image in sorted(content["images"], key=lambda row: str(row["file_name"])):
            file = _image(folder, path, str(image["file_name"]))
            yield _read(file, image, rows.get(image["id"], []), categories, part)


def _image(folder: Path, path: Path, name: str) -> Path:
    """Returns the path of an image that the annotation file `path` lists.

    It can be in the folder of the annotation file, in a folder whose name is part of the name of the annotation file
    (`train2017` for `instances_train2017.json`), in `images`, or in the data folder. Images of different parts may have
    equal names, so only these places are searched.

    Raises:
        ValueError: If the name leads out of the folder.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"the file name {name!r} leads out of the folder")
    inner = [place for place in (folder, folder / "images") if place.is_dir()]
    own = [place for top in inner for place in sorted(top.iterdir()) if place.is_dir() and place.name in path.stem]
    places = [place / name for place in (path.parent, *own, folder / "images", folder)]
    return next((place for place in places if place.is_file()), places[0])


def _read(file: Path, image: dict, rows: list[dict], categories: dict, part: str | None) -> Annotated:
    boxes, names, difficult, problems = [], [], [], []
    for row in rows:
        box = row.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(x, int | float) for x in box):
            problems.append(f"annotation {row.get('id')} has no box of four numbers")
            continue
        boxes.append(box)
        names.append(categories.get(row.get("category_id"), f"category {row.get('category_id')}"))
        difficult.append(bool(row.get("iscrowd") or row.get("ignore")))
    size = (image["height"], image["width"]) if image.get("height") and image.get("width") else None
    found = np.array(boxes, float).reshape(-1, 4)
    return Annotated(file, "coco", found, tuple(names), tuple(difficult), part, size, "", tuple(problems))


def write(dataset: "BoxedImages", folder: Path) -> None:
    """Writes copies of the images, and one JSON file per part; see `kv.data.write_boxes`."""
    labels = [None] * len(dataset) if dataset.part is None else [str(part) for part in dataset.part]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(dataset.class_names)]
    (folder / "annotations").mkdir(parents=True)
    for part in dict.fromkeys(labels):
        images, annotations = [], []
        place = folder / (part or "images")
        place.mkdir()
        for i in (i for i, label in enumerate(labels) if label == part):
            name = dataset.names[i].replace("/", "_")
            shutil.copyfile(dataset.path(i), place / name)
            height, width = dataset.sizes[i]
            images.append({"id": i + 1, "file_name": name, "height": height, "width": width})
            annotations += list(_rows(dataset, i, len(annotations)))
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"{part or 'all'}.json").write_text(json.dumps(content), encoding="utf-8")


def _rows(dataset: "BoxedImages", index: int, before: int) -> Iterator[dict]:
    from kvision.ops import boxes as plain

    objects = dataset.objects[index]
    boxes, hard = np.asarray(plain.convert(objects.boxes, "yxyx", "coco")).tolist(), np.asarray(objects.difficult)
    for number, (box, label, difficult) in enumerate(zip(boxes, objects.labels, hard, strict=True), before + 1):
        yield {
            "id": number,
            "image_id": index + 1,
            "category_id": int(label) + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(difficult),
        }
