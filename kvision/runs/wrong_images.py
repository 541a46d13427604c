"""Writes the test images with wrong answers to a CSV file, and draws the most confident mistakes."""

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
    """A classifier's answers for the test images.

    Attributes:
        labels: The answered class of each image.
        probabilities: The probability of the answered class.
    """

    labels: Sequence[int]
    probabilities: Sequence[float]


def wrong(answers: Answers, images: "Images") -> np.ndarray:
    """Returns the indices of the images with a wrong answer, the most confident one first."""
    found = np.flatnonzero(np.asarray(answers.labels) != images.labels)
    return found[np.argsort(-np.asarray(answers.probabilities)[found], kind="stable")]


def write(path: Path, answers: Answers, images: "Images") -> int:
    """Writes a CSV file with one line for each image with a wrong answer, the most confident answer first.

    The columns are `path` (the file, or the index in an array), `true_class`, `answered_class` and `probability` (of
    the answered class).

    Args:
        path: The CSV file.
        answers: The answers.
        images: The test images.

    Returns:
        The number of images with a wrong answer.
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
    # A file name that is not UTF-8 is written as its own bytes.
    options = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with atomic.file(path) as temporary, temporary.open("w", **options) as stream:
        csv.writer(stream).writerows([_HEADER, *rows])
    return len(rows)


def draw(axes: "Axes", answers: Answers, images: "Images") -> "Axes":
    """Draws the images with the most confident wrong answers, with both classes and the probability."""
    from kvision import plots

    found = wrong(answers, images)[:_SHOWN]
    names = images.class_names
    captions = [
        f"{names[images.labels[i]]}\nas {names[answers.labels[i]]} ({answers.probabilities[i]:.2f})" for i in found
    ]
    return plots.captioned_images(axes, [images.image(i) for i in found], captions)
