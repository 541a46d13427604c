"""What the recipes with a label for each pixel share: their data, what a network is worth on them, and pictures."""

import dataclasses
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.pixels import pillow
from kvision.runs.result import Data

if TYPE_CHECKING:
    import keras

    from kvision.data import MaskedImages

__all__ = ["CLASSES_HELP", "DATA_HELP", "check", "exportable", "masked", "pictures", "score"]

DATA_HELP = "folder of images and masks; default: scenes of handwritten digits"
CLASSES_HELP = "camvid, cityscapes, voc, or a text file, a class name a line; default: classes.txt in the folder"
_HELD_OUT_FRACTION = 0.2  # where the data itself names no held-out images
_SHOWN, _SHOWN_SIDE = 4, 512  # examples, and the pixels of their longest side: a photograph's own would fill memory


def check(data: str | Path | None, classes: str | Path | None) -> None:
    """Raises UserError where the folder of images and masks, or the names of their classes, cannot be had."""
    if data is None:
        return
    from kvision.data.label_maps import label_map

    if not Path(data).is_dir():
        raise checks.error("--data", problem="names no folder", expected=DATA_HELP, received=str(data))
    if classes is None and not Path(data, "classes.txt").is_file():
        raise checks.error(
            "--classes",
            problem="is needed: the folder holds no classes.txt",
            expected="camvid, cityscapes, voc, or a text file with a class name a line",
            received=None,
        )
    label_map(classes or Path(data, "classes.txt"))


def masked(
    path: str | Path | None,
    classes: str | Path | None,
    *,
    longest_side: int | None,
    seed: int,
    train_images: int | None = None,
    test_images: int | None = None,
    weights: str | None = None,
    smallest: int = 1,
    cache: Path | None = None,
) -> Data:
    """Training and held-out images with masks (`kv.data.MaskedImages`), without those that are in both.

    path: a folder as `kv.data.masks` reads it; None: scenes of scikit-learn's digits, made in `cache` (None: in a
    temporary folder). classes: as `kv.data.label_map` takes it; None: `classes.txt` in the folder. longest_side: of
    what the network sees. seed: of the split, where the data has none, and of `train_images`, `test_images`: so many
    of them. weights: a file that belongs to the run, whose content the fingerprint then holds. smallest: side that the
    network needs; smaller images are listed with those that cannot be used.
    """
    from kvision import data

    if path is None:
        place = Path(tempfile.mkdtemp()) if cache is None else cache
        folder, name = data.digit_scenes(place / "digit-scenes"), "scenes of scikit-learn digits"
    else:
        folder, name = Path(path), Path(path).resolve().name
    check(folder, classes)
    images = data.masks(folder, data.label_map(classes or folder / "classes.txt"), longest_side=longest_side)
    images = _large_enough(images, smallest)
    train, val, found = _split(images, seed)
    notes = [*images.notes, *found]
    if any(images.turned):
        count = sum(images.turned)
        notes.append(f"EXIF data turn or mirror {count} images; their masks are taken as drawn on what is shown")
    train = train if train_images is None else train.some(train_images, seed=seed)
    val = val if test_images is None else val.some(test_images, seed=seed)
    if not len(train) or not len(val):
        raise checks.error(
            "--data",
            problem="leaves nothing to train on, or nothing held out",
            expected="images with masks on both sides",
            received=f"{len(train)} and {len(val)}",
        )
    seen = {label for present in train.present for label in present}
    absent = [name for label, name in enumerate(images.class_names) if label not in seen]
    if len(seen) < 2:
        raise checks.error(
            "--data",
            problem="has one class or none in its training masks",
            expected="two classes or more",
            received=f"without {', '.join(absent[:10])}",
            hint="The number 255 does not count: masks of 0 and 255 must be saved as 0 and 1",
        )
    if absent:
        notes.append(f"classes that occur in no training mask, and cannot be learned: {', '.join(absent)}")
    parts = [train.fingerprint, val.fingerprint, train.names, val.names]
    if weights is not None and Path(weights).is_file():
        parts.append(hashlib.sha256(Path(weights).read_bytes()).hexdigest())
    return Data(
        train=train,
        val=val,
        class_names=images.class_names,
        bad_images=images.bad,
        name=f"{name}: {len(train)} training, {len(val)} held-out images, {len(images.class_names)} classes of pixels",
        fingerprint=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        notes=tuple(notes),
    )


def _large_enough(images: "MaskedImages", smallest: int) -> "MaskedImages":
    from kvision.data import BadFile

    sides = np.array([min(pillow.fitted(size, images.longest_side)) for size in images.sizes])
    small = [
        BadFile(images.names[i], f"a side of {sides[i]} pixels; the network needs {smallest}")
        for i in np.flatnonzero(sides < smallest)
    ]
    if len(small) == len(images):
        raise checks.error(
            "--data",
            problem="has no image that is large enough",
            expected=f"sides of {smallest} pixels or more as the network sees them",
            received=f"{small[0].path}: {small[0].reason}",
        )
    kept = images.subset(np.flatnonzero(sides >= smallest))
    return dataclasses.replace(kept, bad=(*kept.bad, *small))


def _split(images: "MaskedImages", seed: int) -> tuple["MaskedImages", "MaskedImages", list[str]]:
    from kvision import data

    if images.held_out is None:
        if len(set(images.digests)) < 2:
            raise checks.error(
                "--data",
                problem="has too few images to hold some out",
                expected="two different images or more, or folders train and val",
                received=len(images),
            )
        alike = np.zeros(len(images), int)
        rest, part = data.split(alike, images.digests, fraction=_HELD_OUT_FRACTION, seed=seed)
    else:
        rest, part = np.flatnonzero(~images.held_out), np.flatnonzero(images.held_out)
    train, val = images.subset(rest), images.subset(part)
    leaks = data.leaks(train.digests, val.digests)
    if not len(leaks):
        return train, val, []
    note = f"{len(leaks)} training images equal a held-out one and are left out of training"
    return train.subset(np.setdiff1d(np.arange(len(train)), leaks)), val, [note]


def score(model: "keras.Model", val: "MaskedImages", *, seed: int) -> dict:
    """What a network (B, H, W, 3) -> logits (B, H, W, K) is worth on held-out images, as a report holds it; its
    probabilities are what is enlarged to the images' sizes, as in the export."""
    from kvision import segmentation

    if not any(val.present):
        raise checks.error(
            "--data", problem="has no pixel that counts in its held-out masks", expected="labels", received=val.names
        )
    started = time.monotonic()
    found = segmentation.evaluate(exportable(model), val, seed=seed)
    total = found.confusion
    return {
        "mean_iou": total.mean_iou,
        "interval": list(found.interval),
        "ious": _known(total.ious),
        "pixel_accuracy": total.pixel_accuracy,
        "mean_accuracy": total.mean_accuracy,
        "boundary_f1": _known([found.mean_boundary_f1])[0],
        "boundary_f1_of_classes": _known(found.boundary_f1),
        "trimap": {str(width): share for width, share in found.trimap.items()},
        "parameters": model.count_params(),
        "chosen": f"{total.pixel_accuracy:.4f}; {found.mean_boundary_f1:.4f}",
        "evaluation_seconds": round(time.monotonic() - started, 1),
    }


def _known(values: np.ndarray | Sequence[float]) -> list[float | None]:
    """JSON has no nan."""
    return [None if np.isnan(value) else float(value) for value in values]


def exportable(model: "keras.Model") -> "keras.Model":
    """A network of logits as one of probabilities, the same weights."""
    import keras

    softmax = keras.layers.Softmax(name="probabilities", dtype="float32")
    return keras.Model(model.input, softmax(model.output), name=model.name)


def pictures(
    model: "keras.Model", val: "MaskedImages", ious: Sequence[float | None], history: dict[str, list[float]]
) -> dict[str, Callable]:
    """Examples (image, prediction, reference), the IoU of each class, and the loss."""
    from kvision import plots, segmentation

    def examples(axes):
        network, rows = exportable(model), []
        for i in np.linspace(0, len(val) - 1, min(_SHOWN, len(val))).astype(int):
            image = val.original(i)
            found = segmentation.label_image(network, image, longest_side=val.longest_side)
            small = pillow.fit(image, _SHOWN_SIDE)
            rows.append((small, *(pillow.fit_labels(labels, small.shape[:2]) for labels in (found, val.mask(i)))))
        return plots.label_maps(axes, *zip(*rows, strict=True), val.class_names, val.label_map.colors)

    def bars(axes):
        values = [float("nan") if value is None else value for value in ious]
        return plots.class_bars(axes, values, val.class_names, label="intersection over union")

    return {
        "examples.png": examples,
        "ious.png": bars,
        "loss.png": lambda axes: plots.training_curve(axes, history),
    }
