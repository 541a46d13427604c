"""Small data sets with boxes, as files."""

from pathlib import Path

import numpy as np
from PIL import Image

from kvision.data import BoxedImages, from_boxes, write_boxes
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
