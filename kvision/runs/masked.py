"""What the recipes with a label for each pixel share: their data, what a network is worth on them, and pictures."""

import dataclasses
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.pixels import pillow
from kvision.runs import limits
from kvision.runs.parts import parted
from kvision.runs.result import Split
from kvision.runs.settings import Settings, setting

if TYPE_CHECKING:
    import keras

    from kvision.data import MaskedImages

__all__ = ["MaskSettings", "check", "exportable", "load", "masked", "pictures", "score"]

_DATA_HELP = "folder of images and masks; default: scenes of handwritten digits"
_SHOWN, _SHOWN_SIDE = 4, 512  # examples, and the pixels of their longest side: a photograph's own would fill memory


@dataclasses.dataclass(frozen=True)
class MaskSettings(Settings):
    """The settings of every recipe that trains on images with masks."""

    tflite_kinds = ("float32",)

    data: str | None = setting(None, _DATA_HELP)
    classes: str | None = setting(
        None, "camvid, cityscapes, voc, or a text file, a class name a line; default: classes.txt in the folder"
    )
    longest_side: int = setting(512, "pixels; larger images are made smaller for the network", check=limits.positive)
    train_images: int | None = setting(None, "use only so many training images", check=limits.positive)
    test_images: int | None = setting(None, "use only so many test images", check=limits.positive)

    def check_together(self) -> None:
        """Checks the data."""
        check(self.data, self.classes)


def load(config: MaskSettings, *, weights: str | None = None, smallest: int = 1, cache: Path | None = None) -> Split:
    """Checks the settings, and reads the images and masks, see `masked`."""
    config.check()
    return masked(
        config.data,
        config.classes,
        longest_side=config.longest_side,
        seed=config.seed,
        train_images=config.train_images,
        test_images=config.test_images,
        weights=weights,
        smallest=smallest,
        cache=cache,
    )


def check(data: str | Path | None, classes: str | Path | None) -> None:
    """Raises UserError where the folder of images and masks, or the names of their classes, cannot be had."""
    if data is None:
        return
    from kvision.data.label_maps import label_map

    if not Path(data).is_dir():
        raise checks.error("--data", problem="names no folder", expected=_DATA_HELP, received=str(data))
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
) -> Split:
    """Reads images with masks (`kv.data.MaskedImages`), and splits them without copies in several parts.

    Args:
        path: A folder as `kv.data.from_masks` reads it. If None, scenes of scikit-learn's digits.
        classes: As `kv.data.label_map` takes it. If None, `classes.txt` in the folder.
        longest_side: Longest side in pixels of what the network sees.
        seed: Seed of the split, where the data names no parts, and of `train_images` and `test_images`.
        train_images: Number of training images. `None` takes all.
        test_images: Number of test images. `None` takes all.
        weights: A file that belongs to the run. Its content is part of the fingerprint.
        smallest: Smallest side in pixels for the network. Smaller images are bad images.
        cache: A folder for the scenes. If None, a temporary one.
    """
    from kvision import data

    if path is None:
        place = Path(tempfile.mkdtemp()) if cache is None else cache
        folder, name = data.digit_scenes(place / "digit-scenes"), "scenes of scikit-learn digits"
    else:
        folder, name = Path(path), Path(path).resolve().name
    check(folder, classes)
    images = data.from_masks(folder, data.label_map(classes or folder / "classes.txt"), longest_side=longest_side)
    images = _large_enough(images, smallest)
    train, validation, test, copies = _parted(images, seed)
    train = train if train_images is None else train.some(train_images, seed=seed)
    test = test if test_images is None else test.some(test_images, seed=seed)
    absent = _absent(train)
    parts = [train.fingerprint, test.fingerprint, train.names, test.names]
    if weights is not None and Path(weights).is_file():
        parts.append(hashlib.sha256(Path(weights).read_bytes()).hexdigest())
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=images.class_names,
        bad_images=images.bad,
        name=f"{name}: {len(train)} training, {len(test)} test images, {len(images.class_names)} classes of pixels",
        fingerprint=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        notes=(*images.notes, *copies, *_notes(images, validation, absent)),
    )


def _parted(images: "MaskedImages", seed: int):
    """Returns the training, validation and test images, and notes."""
    if images.part is None and len(set(images.pixel_hashes)) < 2:
        raise checks.error(
            "--data",
            problem="has too few images to take some for the test",
            expected="two different images or more, or folders train and val",
            received=len(images),
        )
    train, validation, test, notes = parted(images, images.part, np.zeros(len(images), int), seed=seed)
    if not len(train) or not len(test):
        raise checks.error(
            "--data",
            problem="leaves nothing to train on, or nothing for the test",
            expected="images with masks in both parts",
            received=f"{len(train)} and {len(test)}",
        )
    return train, validation, test, notes


def _absent(train: "MaskedImages") -> list[str]:
    """Returns the classes that occur in no training mask; an error if there are not two that do."""
    seen = {label for present in train.present for label in present}
    absent = [name for label, name in enumerate(train.class_names) if label not in seen]
    if len(seen) < 2:
        raise checks.error(
            "--data",
            problem="has one class or none in its training masks",
            expected="two classes or more",
            received=f"without {', '.join(absent[:10])}",
            hint="The number 255 does not count: masks of 0 and 255 must be saved as 0 and 1",
        )
    return absent


def _notes(images: "MaskedImages", validation: "MaskedImages | None", absent: list[str]) -> Iterator[str]:
    if any(images.turned):
        count = sum(images.turned)
        yield f"EXIF data turn or mirror {count} images; their masks are taken as drawn on what is shown"
    if absent:
        yield f"classes that occur in no training mask, and cannot be learned: {', '.join(absent)}"
    if validation is not None:
        yield f"{len(validation)} images for validation are not used: this recipe makes no choice by them"


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


def score(model: "keras.Model", test: "MaskedImages", *, seed: int) -> dict:
    """What a network (B, H, W, 3) -> logits (B, H, W, K) is worth on held-out images, as a report holds it; its
    probabilities are what is enlarged to the images' sizes, as in the export."""
    from kvision import segmentation

    if not any(test.present):
        raise checks.error(
            "--data", problem="has no pixel that counts in its held-out masks", expected="labels", received=test.names
        )
    started = time.monotonic()
    found = segmentation.evaluate(exportable(model), test, seed=seed)
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
    model: "keras.Model", test: "MaskedImages", ious: Sequence[float | None], history: dict[str, list[float]]
) -> dict[str, Callable]:
    """Examples (image, prediction, reference), the IoU of each class, and the loss."""
    from kvision import plots, segmentation

    def examples(axes):
        network, rows = exportable(model), []
        for i in np.linspace(0, len(test) - 1, min(_SHOWN, len(test))).astype(int):
            image = test.original(i)
            found = segmentation.predict(network, image, longest_side=test.longest_side)
            small = pillow.fit(image, _SHOWN_SIDE)
            rows.append((small, *(pillow.fit_labels(labels, small.shape[:2]) for labels in (found, test.mask(i)))))
        return plots.label_maps(axes, *zip(*rows, strict=True), test.class_names, test.label_map.colors)

    def bars(axes):
        values = [float("nan") if value is None else value for value in ious]
        return plots.class_bars(axes, values, test.class_names, label="intersection over union")

    return {
        "examples.png": examples,
        "ious.png": bars,
        "loss.png": lambda axes: plots.training_curve(axes, history),
    }
