"""Code that the detection recipes share: data, measurement of a detector, and pictures."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kvision import atomic, checks, npz
from kvision.runs import limits
from kvision.runs.parts import TEST_FRACTION, fingerprint, large_enough, parted
from kvision.runs.result import Split
from kvision.runs.settings import Settings, setting

if TYPE_CHECKING:
    from kvision.data import BoxedImages
    from kvision.objects import Objects

__all__ = [
    "BoxSettings",
    "ObjectSettings",
    "gain",
    "load",
    "load_objects",
    "pictures",
    "save_objects",
    "score",
    "upright",
]

_SHOWN, _SURE = 6, 0.5  # examples in a picture, and the smallest score of the boxes in it
_DRAWS, _LEVELS = 1000, (2.5, 97.5)  # of the bootstrap


@dataclasses.dataclass(frozen=True)
class ObjectSettings(Settings):
    """The settings of every recipe that trains on images with boxes."""

    tflite_kinds = ("float32",)
    longest_side: ClassVar[int | None] = None  # a recipe with images of any size has a setting

    data: str | None = setting(
        None, "images with boxes (default: rendered shapes)", group="data", place=limits.folder, metavar="FOLDER"
    )
    test_fraction: float = setting(
        TEST_FRACTION, "share of test images, if the folder has no parts", group="data", check=limits.share
    )
    train_images: int | None = setting(None, "use only N training images", group="data", check=limits.positive)
    test_images: int | None = setting(None, "use only N test images", group="data", check=limits.positive)


@dataclasses.dataclass(frozen=True)
class BoxSettings(ObjectSettings):
    """The settings of every recipe that trains on images with boxes and of any size."""

    longest_side: int = setting(
        640, "reduce larger images to this longest side, in pixels", group="data", check=limits.positive
    )


def load(
    config: ObjectSettings,
    folder: Path,
    name: str,
    *,
    weights: str | None = None,
    smallest: int = 1,
    change: "Callable[[BoxedImages], BoxedImages] | None" = None,
) -> Split:
    """Reads the images with boxes (`kv.data.BoxedImages`) of a run, and splits them into parts.

    Args:
        config: The recipe's settings, already checked.
        folder: The folder, in a layout that `kv.data.from_boxes` reads.
        name: The name of the data in the report.
        weights: The recipe's setting `weights`. If it is a file, the file's content is part of the fingerprint.
        smallest: Smallest side in pixels that the network accepts. Images with a smaller side are bad images.
        change: Changes the images with their boxes before they are split. Its errors are about `images`.

    Returns:
        The data of the run.

    Raises:
        UserError: If there are too few images, or no object in the training images.
    """
    from kvision import data

    images = data.from_boxes(folder, longest_side=config.longest_side, argument="data")
    images = large_enough(images, smallest)
    if change is not None:
        try:
            images = change(images)
        except checks.UserError as problem:
            raise problem.renamed("data") from None
    if images.part is None and len(set(images.pixel_hashes)) < 2:
        expected = "two different images or more, or parts for training and test"
        raise checks.UserError("data", problem="has too few images", expected=expected, received=len(images))
    labels = np.zeros(len(images), int)
    train, validation, test, copies = parted(
        images, images.part, labels, seed=config.seed, fraction=config.test_fraction
    )
    train = train if config.train_images is None else train.some(config.train_images, seed=config.seed)
    test = test if config.test_images is None else test.some(config.test_images, seed=config.seed)
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=images.class_names,
        bad_images=images.bad,
        name=f"{name}: {len(train)} training, {len(test)} test images, {len(images.class_names)} classes of objects",
        fingerprint=fingerprint(train, test, weights),
        notes=(*images.notes, *copies, *_notes(train, validation)),
    )


def _notes(train: "BoxedImages", validation: "BoxedImages | None") -> Iterator[str]:
    """Yields notes on the boxes for the user. No object in the training images raises an error."""
    counts = np.zeros(len(train.class_names), int)
    for one in train.objects:
        counts += np.bincount(one.labels, minlength=len(counts))
    if not counts.sum():
        raise checks.UserError(
            "data", problem="has no object in its training images", expected="boxes", received=train.names[:3]
        )
    empty = sum(not len(one.labels) for one in train.objects)
    if empty:
        yield f"{empty} training images have no object: they are background images"
    if not counts.all():
        absent = ", ".join(name for name, count in zip(train.class_names, counts, strict=True) if not count)
        yield f"no training image has an object of the class {absent}, so the network cannot find it"
    if validation is not None:
        yield f"the {len(validation)} validation images are not used: this recipe chooses nothing"


def upright(images: "BoxedImages") -> "BoxedImages":
    """Replaces rotated boxes by the axis-aligned boxes around them."""
    from kvision.ops import rotated_boxes

    objects = tuple(one._replace(boxes=np.asarray(rotated_boxes.around(one.boxes))) for one in images.objects)
    return dataclasses.replace(images, objects=objects, rotated=False)


def score(found: Sequence["Objects"], test: "BoxedImages", *, seed: int) -> dict:
    """Measures the detections in the test images.

    Args:
        found: The detections of each image, in pixels of the image. Axis-aligned boxes count as rotated boxes without
            an angle if the objects are rotated.
        test: The test images.
        seed: Seed of the bootstrap that gives the interval.

    Returns:
        The measurements for the report, ready for JSON: `map_50` with its `interval`, `map` (the mean over the
        intersections over union .5 to .95), the average precision of each class at .5, COCO's numbers if the extra
        `detection` is installed, and the counts of errors by kind.
    """
    from kvision import metrics
    from kvision.metrics import coco

    classes, found = len(test.class_names), _comparable(found, test)
    result = metrics.average_precision(found, test.objects, classes)
    draws = result.resampled(_DRAWS, seed=seed)[:, 0]
    errors = metrics.detection_errors(found, test.objects, classes, threshold=_SURE).total
    row = {
        "map_50": _known(result.at(0.5)),
        "interval": _interval(draws),
        "map": _known(result.mean),
        "average_precision_50": [_known(value) for value in result.values[:, 0]],
        "errors": errors,
    }
    if not test.rotated and coco.installed():
        summary = coco.coco_summary(found, test.objects, classes)
        row["coco"] = {name: _known(value) for name, value in summary.items()}
    return row


def gain(found: Sequence["Objects"], before: Sequence["Objects"], test: "BoxedImages", *, seed: int) -> dict:
    """Measures what a change of the detector adds to `map`, with an interval from the same draws of images for both.

    Args:
        found: The detections with the change.
        before: The detections without the change.
        test: The test images.
        seed: Seed of the bootstrap.

    Returns:
        `gain` and `gain_interval`.
    """
    from kvision import metrics

    both = [_comparable(one, test) for one in (found, before)]
    pair = [metrics.average_precision(one, test.objects, len(test.class_names)) for one in both]
    draws = [one.resampled(_DRAWS, seed=seed).mean(axis=1) for one in pair]
    return {
        "gain": _known(pair[0].mean - pair[1].mean),
        "gain_interval": _interval(draws[0] - draws[1]),
    }


def _interval(draws: np.ndarray) -> list[float]:
    """Returns the 95 % interval. A draw without objects is NaN and does not count."""
    known = draws[np.isfinite(draws)]
    return np.percentile(known, _LEVELS).tolist() if len(known) else [0.0, 1.0]


def _comparable(found: Sequence["Objects"], test: "BoxedImages") -> list["Objects"]:
    """Returns the detections as rotated boxes if the objects are rotated."""
    if not test.rotated:
        return list(found)
    turned = []
    for one in found:
        boxes = one.boxes
        if boxes.shape[1] == 4:
            center, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
            boxes = np.column_stack([center, sides, np.zeros(len(boxes), "float32")])
        turned.append(one._replace(boxes=boxes))
    return turned


def _known(value: float) -> float | None:
    """Replaces NaN by None, because JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def save_objects(found: Sequence["Objects"], path: Path | None) -> None:
    """Writes the detections of all images to an `.npz` file, unless the path is None."""
    if path is None:
        return
    counts = np.array([len(one.labels) for one in found])
    columns = (np.concatenate([getattr(one, name) for one in found]) for name in ("boxes", "labels", "scores"))
    with atomic.file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, counts=counts, **dict(zip(("boxes", "labels", "scores"), columns, strict=True)))


def load_objects(path: Path) -> list["Objects"]:
    """Reads the detections that `save_objects` wrote."""
    from kvision.objects import Objects

    arrays = npz.read(path, stored=True)
    cuts = np.cumsum(arrays["counts"])[:-1]
    columns = (np.split(arrays[name], cuts) for name in ("boxes", "labels", "scores"))
    return [Objects(*one) for one in zip(*columns, strict=True)]


def pictures(
    found: Sequence["Objects"],
    test: "BoxedImages",
    recalls: dict[str, dict[str, float]],
    history: dict[str, list[float]],
) -> dict[str, Callable]:
    """Returns functions that draw examples, precision and recall, the errors, the recall of proposals, and the loss.

    Args:
        found: The detections of each test image.
        test: The test images.
        recalls: The recall of each kind of proposals, by number of proposals.
        history: The logs of the training.
    """
    from kvision import metrics, plots

    classes, found = len(test.class_names), _comparable(found, test)

    def examples(axes):
        images, shown, drawn = [], [], []
        for i in np.linspace(0, len(test) - 1, min(_SHOWN, len(test))).astype(int):
            sure = found[i].scores >= _SURE
            factors = np.ones(test.objects[i].boxes.shape[1], "float32")
            factors[:4] = test.scale(i)
            images.append(test.example(i)[0])
            shown.append(
                found[i]._replace(
                    boxes=(found[i].boxes * factors)[sure], labels=found[i].labels[sure], scores=found[i].scores[sure]
                )
            )
            drawn.append(test.objects[i]._replace(boxes=test.objects[i].boxes * factors))
        return plots.boxes(axes, images, shown, drawn, test.class_names)

    def curves(axes):
        return plots.precision_recall(axes, metrics.average_precision(found, test.objects, classes), test.class_names)

    def errors(axes):
        return plots.error_split(axes, metrics.detection_errors(found, test.objects, classes, threshold=_SURE))

    def recall(axes):
        counts = [int(count) for count in next(iter(recalls.values()))]
        return plots.recall_curve(axes, counts, {name: list(row.values()) for name, row in recalls.items()})

    return {
        "examples.png": examples,
        "precision_recall.png": curves,
        "errors.png": errors,
        "recall.png": recall,
        "loss.png": lambda axes: plots.training_curve(axes, history),
    }
