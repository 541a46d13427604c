"""Turns weights of classes in the loss into weights of samples."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kvision import checks
from kvision.distribute import inputs
from kvision.training.source import Source

__all__ = ["table_of", "weighted", "weighted_dataset"]


def table_of(class_weight: Mapping[int, float]) -> np.ndarray:
    """Returns the weights by class number. The last weight is 1, for all higher class numbers.

    Raises:
        UserError: If a key is not a class number, or a weight is negative or not finite.
    """
    numbers = [*class_weight]
    if not numbers or not all(isinstance(number, int | np.integer) and number >= 0 for number in numbers):
        raise checks.UserError(
            "class_weight",
            expected="a dict from class numbers to weights",
            received=class_weight,
            hint="Class numbers are places in class_names, from 0",
        )
    if not all(0 <= weight < math.inf for weight in class_weight.values()):
        raise checks.UserError("class_weight", expected="weights of at least 0", received=class_weight)
    table = np.ones(max(numbers) + 2, keras.config.floatx())
    table[numbers] = [*class_weight.values()]
    return table


def weighted(source: Source, table: np.ndarray) -> Source:
    """Returns a source of the same batches, with the weight of each sample multiplied by the weight of its class."""
    spec = _weights_spec(source.spec if source.look is None else None, table)

    def read(rows: np.ndarray) -> tuple:
        x, y, *weights = source.read(rows)
        of_classes = _of_labels(np.asarray(y), table)
        return x, y, of_classes * np.asarray(weights[0], table.dtype) if weights else of_classes

    return replace(source, read=read, spec=(*source.spec[:2], spec))


def weighted_dataset(dataset: Any, table: np.ndarray) -> Any:
    """Returns the weighted batches of a `tf.data.Dataset`, like `weighted`."""
    spec = _weights_spec(dataset.element_spec, table)
    return inputs.weighted(dataset, lambda labels: _of_labels(labels, table), spec)


def _weights_spec(batch: Any, table: np.ndarray) -> keras.KerasTensor:
    """Returns the shape and type of the sample weights of a batch."""
    if not isinstance(batch, tuple) or len(batch) < 2 or not hasattr(batch[1], "shape"):
        raise checks.UserError(
            "class_weight",
            problem="needs a label for each image, as one array",
            expected="batches (x, y) or (x, y, sample_weight)",
            received=batch,
        )
    labels = batch[1]
    few = np.zeros([size or 2 for size in labels.shape], keras.backend.standardize_dtype(labels.dtype))
    return keras.KerasTensor(tuple(labels.shape)[: _of_labels(few, table).ndim], str(table.dtype))


def _of_labels(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns weights for labels: class numbers (also with a last axis of 1), one-hot rows, or class maps."""
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    elif labels.ndim == 2 or (labels.ndim > 2 and labels.dtype.kind == "f"):
        labels = labels.argmax(axis=-1)
    numbers = np.rint(labels).astype("int64")
    return table[np.clip(numbers, 0, len(table) - 1)]
