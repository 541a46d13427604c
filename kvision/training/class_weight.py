"""Weights of classes in the loss, as weights of samples."""

import math
from collections.abc import Mapping
from dataclasses import replace

import keras
import numpy as np

from kvision import checks
from kvision.training.source import Source

__all__ = ["table_of", "weighted"]


def table_of(class_weight: Mapping[int, float]) -> np.ndarray:
    """Returns the weights by class number; the last one, 1, is for all classes beyond, which have none."""
    numbers = [*class_weight]
    if not numbers or not all(isinstance(number, int | np.integer) and number >= 0 for number in numbers):
        raise checks.error(
            "class_weight",
            expected="a dict from class numbers to weights",
            received=class_weight,
            hint="Class numbers are places in class_names, from 0",
        )
    if not all(0 <= weight < math.inf for weight in class_weight.values()):
        raise checks.error("class_weight", expected="weights of at least 0", received=class_weight)
    table = np.ones(max(numbers) + 2, keras.config.floatx())
    table[numbers] = [*class_weight.values()]
    return table


def weighted(source: Source, table: np.ndarray) -> Source:
    """The same batches, each sample weighted by the class of its label, beside the weight that it has."""
    spec = source.spec
    if not isinstance(spec, tuple) or len(spec) < 2 or keras.tree.is_nested(spec[1]) or source.look is not None:
        raise checks.error(
            "class_weight",
            problem="needs a label for each image, as one array",
            expected="batches (x, y) or (x, y, sample_weight)",
            received=spec,
        )

    def read(rows: np.ndarray) -> tuple:
        x, y, *weights = source.read(rows)
        of_classes = _of_labels(np.asarray(y), table)
        return x, y, of_classes * np.asarray(weights[0], table.dtype) if weights else of_classes

    few = np.zeros([size or 2 for size in spec[1].shape], spec[1].dtype)
    shape = spec[1].shape[: _of_labels(few, table).ndim]
    return replace(source, read=read, spec=(*spec[:2], keras.KerasTensor(shape, str(table.dtype))))


def _of_labels(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """As Keras reads labels: class numbers, also in a last axis of 1, or one-hot rows; and maps of class numbers."""
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    elif labels.ndim == 2 or (labels.ndim > 2 and labels.dtype.kind == "f"):
        labels = labels.argmax(axis=-1)
    numbers = np.rint(labels).astype("int64")
    return table[np.clip(numbers, 0, len(table) - 1)]
