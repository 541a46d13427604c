"""The test images that a classifier answers wrongly: a list, and the worst of them as a picture."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kvision.data import Images

__all__ = ["Answers", "draw", "wrong", "write"]

_HEADER = ("path", "true_class", "answered_class", "probability")
_SHOWN = 12


@dataclass(frozen=True)
class Answers:
    """What a classifier says of the test images, in their order."""

    labels: Sequence[int]
    """The class of each image."""
    probabilities: Sequence[float]
    """The probability of that class."""


def wrong(answers: Answers, images: "Images") -> np.ndarray:
    """Returns the indices of wrongly answered images, the surest answer first."""
    found = np.flatnonzero(np.asarray(answers.labels) != images.labels)
    return found[np.argsort(-np.asarray(answers.probabilities)[found], kind="stable")]


def write(path: Path, answers: Answers, images: "Images") -> int:
    """Writes a CSV with a line for each wrongly answered image; returns their number.

    The columns are `path` (the file, or the index in an array), `true_class`, `answered_class` and `probability` (of
    the answered class). The worst, those with the highest probability, come first.
    """
    found = wrong(answers, images)
    rows = [
        (
            images.path(i) or images.names[i],
            images.class_names[images.labels[i]],
            images.class_names[answers.labels[i]],
            f"{answers.probabilities[i]:.4f}",
        )
        for i in found
    ]
    # a file name that is not UTF-8 is written as the bytes that it has
    options = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with atomic.file(path) as temporary, temporary.open("w", **options) as stream:
        csv.writer(stream).writerows([_HEADER, *rows])
    return len(rows)


def draw(axes: "Axes", answers: Answers, images: "Images") -> "Axes":
    """Draws the worst of them, each with its true class, the answered one and its probability."""
    from kvision import plots

    found = wrong(answers, images)[:_SHOWN]
    names = images.class_names
    captions = [
        f"{names[images.labels[i]]}\nas {names[answers.labels[i]]} ({answers.probabilities[i]:.2f})" for i in found
    ]
    return plots.captioned_images(axes, [images.image(i) for i in found], captions)
