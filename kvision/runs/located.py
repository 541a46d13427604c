"""Measurement and pictures of a network that finds the one object in each image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kvision.export.task import CardText
from kvision.objects import Objects
from kvision.tasks import Detection

if TYPE_CHECKING:
    import keras

    from kvision.data import BoxedImages

__all__ = ["Location", "answers", "baselines", "drawn", "pictures", "score"]

_SHOWN = 8  # examples in a picture
_OVERLAP = 0.5  # smallest intersection over union of a right box
_BATCH = 32


@dataclass(frozen=True)
class Location(Detection):
    """The task of a detector of one object. Its score is the share of images with the right class and box."""

    score: ClassVar[str] = "both_right"

    def card(self, model: "keras.Model") -> CardText:
        """Returns the text of the model card."""
        names = "" if self.labels is None else f" of {len(self.labels)} classes: {', '.join(self.labels)}"
        return replace(
            super().card(model),
            summary=f"A detector of the one object in an image{names}.",
            score="Share of the test images with the right class and an intersection over union of at least 0.5. The "
            "test images were\nused once. With 95 % interval (Wilson):",
        )


def drawn(images: "BoxedImages") -> np.ndarray:
    """Returns the object of each image as a row of the box in shares of the image, and the label, `(n, 5)`."""
    sizes = np.tile(np.array(images.sizes, "float32"), 2)
    boxes = np.concatenate([one.boxes for one in images.objects]) / sizes
    return np.concatenate([boxes, np.concatenate([one.labels for one in images.objects])[:, None]], 1)


def answers(model: "keras.Model", images: "BoxedImages") -> np.ndarray:
    """Finds the object in each image.

    Args:
        model: A model of `kv.detection.located`.
        images: Images with one object each.

    Returns:
        Rows of the box in shares of the image, the score and the label, `(n, 6)`.
    """
    from kvision.detection import SingleObjects
    from kvision.progress import Bar

    size = model.input_shape[1]
    single, found = SingleObjects(images, size), []
    for start in Bar(range(0, len(single), _BATCH), "test", unit=" batches"):
        examples = [single.example(i) for i in range(start, min(start + _BATCH, len(single)))]
        found.append(np.asarray(model.predict_on_batch(single.stack(examples)[0].astype("float32")))[:, 0])
    return np.concatenate(found) / np.array([size] * 4 + [1, 1], "float32")


def score(found: np.ndarray, truth: np.ndarray) -> dict:
    """Measures answers.

    Args:
        found: `(n, 5 or 6)`: the box of each image in the first columns, and the label in the last column.
        truth: `(n, 5)`: the box that people have drawn, and the label.

    Returns:
        The measurements for the report, ready for JSON: `accuracy` of the class, `mean_iou` of the box, and
        `both_right`, the share of images with the right class and an intersection over union of at least 0.5, with
        Wilson's 95 % `interval`.
    """
    from kvision.metrics import accuracy_interval
    from kvision.ops import boxes

    overlap = np.asarray(boxes.iou(found[:, None, :4], truth[:, None, :4]))[:, 0, 0]
    right = found[:, -1] == truth[:, -1]
    both = right & (overlap >= _OVERLAP)
    accuracy, mean_iou = float(right.mean()), float(overlap.mean())
    return {
        "both_right": float(both.mean()),
        "interval": list(accuracy_interval(int(both.sum()), len(both))),
        "accuracy": accuracy,
        "mean_iou": mean_iou,
        "box_right": float((overlap >= _OVERLAP).mean()),
        "chosen": f"{accuracy:.4f}; {mean_iou:.4f}",
    }


def baselines(train: np.ndarray, test: np.ndarray) -> dict[str, dict]:
    """Measures two answers that do not depend on the image, with the most frequent class of the training images.

    Args:
        train: The result of `drawn` for the training images.
        test: The same for the test images.

    Returns:
        The measurements of `mean box`, the mean of the training boxes in shares of the image, and of `center box`, the
        middle half of the height and of the width.
    """
    label = np.bincount(train[:, 4].astype(int)).argmax()
    boxes = {"mean box": train[:, :4].mean(0), "center box": np.array([0.25, 0.25, 0.75, 0.75])}
    rows = {name: np.tile(np.append(box, label), (len(test), 1)) for name, box in boxes.items()}
    return {name: {**score(row, test), "seconds": 0.0} for name, row in rows.items()}


def pictures(model: "keras.Model", test: "BoxedImages", history: dict[str, list[float]]) -> dict[str, Callable]:
    """Returns functions that draw examples with found and drawn boxes, and the loss.

    Args:
        model: A model of `kv.detection.located`.
        test: The test images, with one object each.
        history: The logs of the training.
    """
    from kvision import plots

    def examples(axes):
        shown = test.subset(np.linspace(0, len(test) - 1, min(_SHOWN, len(test))).astype(int))
        found = []
        for row, size in zip(answers(model, shown), shown.sizes, strict=True):
            box, label = row[:4] * np.tile(np.array(size, "float32"), 2), row[5].astype("int32")
            found.append(Objects(box[None], label[None], row[4:5]))
        images = [shown.original(i) for i in range(len(shown))]
        return plots.boxes(axes, images, found, shown.objects, test.class_names)

    return {"examples.png": examples, "loss.png": lambda axes: plots.training_curve(axes, history)}
