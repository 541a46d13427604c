"""Code that the recipes with a label for each pixel share: data, measurement of a network, and pictures."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.crf_parameters import CRFParameters
from kvision.pixels import pillow
from kvision.runs import limits
from kvision.runs.parts import fingerprint, held_out, large_enough, parted
from kvision.runs.result import Result, Split
from kvision.runs.settings import Settings, setting

if TYPE_CHECKING:
    import keras

    from kvision.data import MaskedImages

__all__ = ["MaskSettings", "exportable", "load", "result", "score"]

_SHOWN, _SHOWN_SIDE = 4, 512  # examples in a picture, and their longest side (photographs in full size fill the memory)


@dataclasses.dataclass(frozen=True)
class MaskSettings(Settings):
    """The settings of every recipe that trains on images with masks."""

    tflite_kinds = ("float32",)

    data: str | None = setting(
        None, "images and masks (default: scenes of digits)", group="data", place=limits.folder, metavar="FOLDER"
    )
    classes: str | None = setting(
        None,
        "camvid, cityscapes, voc, or a text file with one class name per line (default: classes.txt in the folder)",
        group="data",
        metavar="FILE",
    )
    longest_side: int = setting(
        512, "reduce larger images to this longest side, in pixels", group="data", check=limits.positive
    )
    train_images: int | None = setting(None, "use only N training images", group="data", check=limits.positive)
    test_images: int | None = setting(None, "use only N test images", group="data", check=limits.positive)

    def check(self) -> None:
        """Checks all settings without importing Keras.

        Raises:
            UserError: For the first setting that is not valid, or if the names of the classes are missing.
        """
        super().check()
        if self.data is None:
            return
        from kvision.data.label_maps import label_map

        names = Path(self.data, "classes.txt")
        if self.classes is None and not names.is_file():
            raise checks.UserError(
                "classes",
                problem="is needed: the folder holds no classes.txt",
                expected="camvid, cityscapes, voc, or a text file with one class name per line",
                received=None,
            )
        label_map(self.classes or names)


def load(
    config: MaskSettings,
    *,
    weights: str | None = None,
    smallest: int = 1,
    cache: Path | None = None,
    chooses: bool = False,
) -> Split:
    """Reads the images with masks (`kv.data.MaskedImages`) of a run, and splits them into parts.

    Args:
        config: The recipe's settings, already checked. `data` is a folder in a layout that `kv.data.from_masks` reads.
            If None, scenes of scikit-learn's digits are used.
        weights: The recipe's setting `weights`. If it is a file, the file's content is part of the fingerprint.
        smallest: Smallest side in pixels that the network accepts. Images with a smaller side are bad images.
        cache: A folder for the scenes. If None, a temporary folder is used.
        chooses: Whether the recipe chooses something on validation images. If True and there are none, a tenth of the
            training images is taken (`runs.parts.held_out`).

    Returns:
        The data of the run.

    Raises:
        UserError: If there are too few images, or fewer than two classes in the training masks.
    """
    from kvision import data

    if config.data is None:
        place = Path(tempfile.mkdtemp()) if cache is None else cache
        folder, name = data.digit_scenes(place / "digit-scenes"), "scenes of scikit-learn digits"
    else:
        folder, name = Path(config.data), Path(config.data).resolve().name
    label_map = data.label_map(config.classes or folder / "classes.txt")
    images = data.from_masks(folder, label_map, longest_side=config.longest_side, argument="data")
    images = large_enough(images, smallest)
    if images.part is None and len(set(images.pixel_hashes)) < 2:
        expected = "two different images or more, or folders train and val"
        raise checks.UserError("data", problem="has too few images", expected=expected, received=len(images))
    labels = np.zeros(len(images), int)
    train, validation, test, copies = parted(images, images.part, labels, seed=config.seed)
    train = train if config.train_images is None else train.some(config.train_images, seed=config.seed)
    test = test if config.test_images is None else test.some(config.test_images, seed=config.seed)
    notes = [*images.notes, *copies, *_notes(images, train)]
    if chooses and validation is None:
        train, validation = held_out(train, seed=config.seed)
        notes.append(f"{len(validation)} training images are used for validation, not for training")
    elif validation is not None and not chooses:
        notes.append(f"{len(validation)} validation images are not used: this recipe chooses nothing by them")
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=images.class_names,
        bad_images=images.bad,
        name=f"{name}: {len(train)} training, {len(test)} test images, {len(images.class_names)} classes of pixels",
        fingerprint=fingerprint(train, test, weights, validation if chooses else None),
        notes=tuple(notes),
    )


def _notes(images: "MaskedImages", train: "MaskedImages") -> Iterator[str]:
    """Yields notes on the masks for the user. Fewer than two classes in the training masks raise an error."""
    seen = {label for present in train.present for label in present}
    absent = [name for label, name in enumerate(train.class_names) if label not in seen]
    if len(seen) < 2:
        raise checks.UserError(
            "data",
            problem="has one class or none in its training masks",
            expected="two classes or more",
            received=f"without {', '.join(absent[:10])}",
            hint="The number 255 does not count: masks of 0 and 255 must be saved as 0 and 1",
        )
    if any(images.turned):
        count = sum(images.turned)
        yield f"EXIF data turn or mirror {count} images; their masks are taken as drawn on the turned images"
    if absent:
        yield f"classes that occur in no training mask, and cannot be learned: {', '.join(absent)}"


def score(
    model: "keras.Model",
    test: "MaskedImages",
    *,
    seed: int,
    refine: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> dict:
    """Measures a network on the test images.

    The probabilities are enlarged to the size of each image, not the logits. The exported model does the same.

    Args:
        model: A network from images `(batch, height, width, 3)` to logits or probabilities `(batch, height, width,
            classes)`, which `exportable` takes.
        test: The test images.
        seed: Seed of the bootstrap that gives the interval.
        refine: A function of probabilities and image that returns probabilities, such as a dense CRF.

    Returns:
        The measurements for the report, ready for JSON.

    Raises:
        UserError: If all pixels of the test masks are ignored.
    """
    from kvision import segmentation

    if not any(test.present):
        problem = "has no pixel that counts in its test masks"
        raise checks.UserError("data", problem=problem, expected="labels", received=test.names)
    started = time.monotonic()
    found = segmentation.evaluate(exportable(model), test, seed=seed, refine=refine)
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
    """Replaces NaN by None, because JSON has no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]


def exportable(model: "keras.Model") -> "keras.Model":
    """Returns a network that gives probabilities. It shares the weights of `model`.

    Args:
        model: A network that gives logits, or one that this function returned, maybe with more layers after it.

    Returns:
        The network. If `model` has a layer `probabilities` already, `model` itself.
    """
    import keras

    if any(layer.name == "probabilities" for layer in model.layers):
        return model
    softmax = keras.layers.Softmax(name="probabilities", dtype="float32")
    return keras.Model(model.input, softmax(model.output), name=model.name)


def result(
    model: "keras.Model",
    records: dict[str, dict],
    best: str,
    test: "MaskedImages",
    *,
    column: str,
    edges: Callable[[np.ndarray], np.ndarray] | None = None,
    crf: CRFParameters | None = None,
) -> Result:
    """Returns the result of a recipe.

    Args:
        model: The network to export. It gives logits or probabilities, as for `exportable`.
        records: The record of each trained network, with its `history` and the result of `score`.
        best: The name of `model` in `records`.
        test: The test images.
        column: Heading of the column of names in the printed table.
        edges: A function from an image to the edge probabilities `(h, w)` of its pixels, for the picture of examples.
            If None, the picture shows no edges.
        crf: Parameters of the CRF inside `model`, or None if there is no CRF.

    Returns:
        The result, with pictures of examples, of the IoU of each class, and of the loss.
    """
    from kvision import tasks

    history, ious = records[best]["history"], records[best]["ious"]
    return Result(
        model=exportable(model),
        history=history,
        metrics={name: {k: v for k, v in record.items() if k != "history"} for name, record in records.items()},
        best=best,
        columns=(column, "pixels right; boundary F1"),
        pictures=_pictures(model, test, ious, history, edges),
        probe=[test.example(0)[0]],
        task=tasks.Segmentation(test.class_names, test.longest_side, test.label_map.colors, crf, crf is not None),
    )


def _pictures(
    model: "keras.Model",
    test: "MaskedImages",
    ious: Sequence[float | None],
    history: dict[str, list[float]],
    edges: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, Callable]:
    """Returns functions that draw examples (image, prediction, mask), the IoU of each class, and the loss."""
    from kvision import plots, segmentation

    def examples(axes):
        network, rows, lines = exportable(model), [], []
        for i in np.linspace(0, len(test) - 1, min(_SHOWN, len(test))).astype(int):
            image = test.original(i)
            found = segmentation.predict(network, image, longest_side=test.longest_side)
            small = pillow.fit(image, _SHOWN_SIDE)
            rows.append((small, *(pillow.fit_labels(labels, small.shape[:2]) for labels in (found, test.mask(i)))))
            if edges is not None:
                lines.append(pillow.fit_labels((255 * edges(image)).astype("uint8"), small.shape[:2]))
        columns = zip(*rows, strict=True)
        return plots.label_maps(axes, *columns, test.class_names, test.label_map.colors, edges=lines or None)

    def bars(axes):
        values = [float("nan") if value is None else value for value in ious]
        return plots.class_bars(axes, values, test.class_names, label="intersection over union")

    return {
        "examples.png": examples,
        "ious.png": bars,
        "loss.png": lambda axes: plots.training_curve(axes, history),
    }
