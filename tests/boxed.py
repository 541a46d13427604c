"""Small data sets with boxes, as files."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kvision.data import BoxedImages, from_boxes, write_boxes
from kvision.objects import Objects
from kvision.ops import rotated_boxes

XML = "<annotation><size><width>60</width><height>40</height><depth>3</depth></size>{objects}</annotation>"
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


def picture(path: Path, size=(40, 60), value: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, "uint8")).save(path)


def voc(folder: Path, annotations: dict[str, list[tuple]]) -> Path:
    """Writes images of 40 x 60 pixels, and rows of (class, difficult, xmin, ymin, xmax, ymax) for each."""
    (folder / "Annotations").mkdir(parents=True)
    for i, (name, rows) in enumerate(annotations.items()):
        picture(folder / "JPEGImages" / f"{name}.png", value=50 + i)
        text = XML.format(objects="".join(OBJECT.format(*row) for row in rows))
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    return folder


def plain_set(folder: Path) -> BoxedImages:
    """Three images a, b and c; the second object of a is difficult, and c has none."""
    rows = {"a": [("cat", 0, 1, 1, 10, 20), ("dog", 1, 11, 21, 60, 40)], "b": [("cat", 0, 5, 6, 30, 31)], "c": []}
    return from_boxes(voc(folder, rows), progress=False)


def check_round_trip(folder: Path, layout: str, *, keeps_difficult: bool = True) -> None:
    """What is written in a layout is read again, with and without parts."""
    dataset = plain_set(folder / "first")
    for parts in (None, np.array(["train", "validation", "test"])):
        written = BoxedImages(**{**vars(dataset), "part": parts})
        again = from_boxes(write_boxes(written, folder / f"again{parts is None}", layout=layout), progress=False)
        order = [next(i for i, n in enumerate(again.names) if n.endswith(f"{name}.png")) for name in "abc"]
        assert again.class_names == ("cat", "dog") and not again.bad
        assert (again.part is None) == (parts is None)
        if parts is not None:
            assert [again.part[i] for i in order] == parts.tolist()
        for i, objects in zip(order, dataset.objects, strict=True):
            found = again.objects[i]
            boxes = np.asarray(rotated_boxes.around(found.boxes)) if again.rotated else found.boxes
            kept = ~objects.difficult if not keeps_difficult else np.ones(len(objects.labels), bool)
            assert np.allclose(boxes, objects.boxes[kept], atol=0.01)
            assert found.labels.tolist() == objects.labels[kept].tolist()
            assert found.difficult.tolist() == objects.difficult[kept].tolist()


SHAPES = ("dark", "light")


def shapes(folder: Path, *, train: int = 12, test: int = 4, size: int = 64, rotated: bool = False) -> Path:
    """Writes gray images with one to three rectangles, dark or light, in the layout of Pascal VOC or DOTA."""
    random = np.random.default_rng(0)
    raw = folder.parent / f"{folder.name}-raw"
    found, names, parts = [], [], ["train"] * train + ["test"] * test
    for number in range(train + test):
        image = Image.fromarray(random.integers(110, 140, (size, size, 3)).astype("uint8"))
        boxes, labels = [], []
        for place in range(int(random.integers(1, 4))):
            label = int(random.integers(2))
            high, wide = random.integers(10, 15), random.integers(16, 22)
            y, x = size * (place // 2 + 0.5) / 2 + random.uniform(-3, 3), size * (place % 2 + 0.5) / 2
            box = np.array([[y, x, high, wide, random.uniform(-1.5, 1.5) if rotated else 0.0]], "float32")
            corners = np.asarray(rotated_boxes.corners(box))[0]
            color = (20 if label == 0 else 235,) * 3
            ImageDraw.Draw(image).polygon([(float(b), float(a)) for a, b in corners], fill=color)
            boxes.append(np.asarray(rotated_boxes.canonical(box) if rotated else rotated_boxes.around(box))[0])
            labels.append(label)
        name = f"{number:02d}.png"
        raw.mkdir(parents=True, exist_ok=True)
        image.save(raw / name)
        names.append(name)
        found.append(Objects(np.array(boxes), np.array(labels, "int32"), difficult=np.zeros(len(labels), bool)))
    rows = {"names": tuple(names), "objects": tuple(found), "sizes": ((size, size),) * len(names)}
    hashes = {"pixel_hashes": tuple(names), "file_hashes": tuple(file_hash(raw / name) for name in names)}
    dataset = BoxedImages(folder=raw, class_names=SHAPES, part=np.array(parts), rotated=rotated, **rows, **hashes)
    return write_boxes(dataset, folder, layout="dota" if rotated else "voc")


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
