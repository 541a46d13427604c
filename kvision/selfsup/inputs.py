"""Checks of labeled images and labeled features, and the features of an encoder in training."""

from collections.abc import Sequence

import keras
import numpy as np

from kvision import checks, data, distribute, training
from kvision.distribute.model import scope_of
from kvision.features import embed_each

__all__ = ["Labeled", "feature_rows", "features_of", "images_and_labels", "label_rows"]

Labeled = data.Images | tuple[np.ndarray, np.ndarray]


def images_and_labels(argument: str, given: Labeled) -> tuple[data.Images | np.ndarray, np.ndarray]:
    """Returns the images and their labels, `(n,)` int32.

    Args:
        argument: Name of the caller's argument, for the error.
        given: `kv.data.Images`, or a pair of arrays: images `(n, height, width, 3)` and integer labels `(n,)` or
            `(n, 1)`.

    Raises:
        UserError: If `given` has a different form, or the labels do not fit the images.
    """
    if isinstance(given, data.Images):
        return given, label_rows(argument, given.labels, len(given))
    if isinstance(given, tuple) and len(given) == 2 and np.ndim(given[0]) == 4:
        return np.asarray(given[0]), label_rows(argument, given[1], len(given[0]))
    raise checks.UserError(
        argument,
        expected="kv.data.Images, or a pair of arrays (images, labels)",
        received=[np.shape(part) for part in given] if isinstance(given, tuple) else type(given).__name__,
    )


def feature_rows(argument: str, features: np.ndarray, width: int | None = None) -> np.ndarray:
    """Returns features `(n, width)` as float32.

    Args:
        argument: Name of the caller's argument, for the error.
        features: Numbers `(n, width)`, at least one row.
        width: Required number of features. None accepts any number.

    Raises:
        UserError: If the array has the wrong shape or type, or a value is not finite.
    """
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or 0 in rows.shape or width not in (None, rows.shape[1]):
        expected = f"an array (n, {width or 'features'}) of numbers, at least one row"
        raise checks.UserError(argument, expected=expected, received=f"{rows.dtype} {rows.shape}")
    rows = np.ascontiguousarray(rows, "float32")
    if not np.isfinite(rows).all():
        raise checks.UserError(
            argument,
            problem="has values that are not finite",
            expected="finite features",
            received=f"NaN or infinity in {(~np.isfinite(rows)).any(axis=1).sum()} of {len(rows)} rows",
            hint="Look at the weights of the encoder: its training may have diverged",
        )
    return rows


def label_rows(argument: str, labels: np.ndarray, count: int) -> np.ndarray:
    """Returns labels `(count,)` as int32.

    Args:
        argument: Name of the caller's argument, for the error.
        labels: `count` integers from 0, in any shape.
        count: Number of images or features.

    Raises:
        UserError: If the number of labels is not `count`, or a label is not an integer from 0.
    """
    found = np.asarray(labels)
    if found.dtype.kind not in "iu" or found.size != count or (count and found.min() < 0):
        expected = f"{count} integer labels from 0, one for each image"
        raise checks.UserError(argument, expected=expected, received=f"{found.dtype} {found.shape}")
    return found.reshape(-1).astype("int32")


def features_of(encoder: keras.Model, sets: Sequence, *, batch_size: int) -> list[np.ndarray]:
    """Returns the features `(n, features)` float32 of each set of images, with the current weights of the encoder.

    Keras computes the features in inference mode. For a different engine, the encoder would have to be converted again
    after each change of the weights, which takes longer than embedding a few images. On several replicas, each replica
    embeds a part of the images, and every machine gets all rows.
    """
    with scope_of(encoder):
        alone = distribute.replica_count() == 1
    if alone:
        return embed_each(encoder, sets, batch_size=batch_size, engine="keras", progress=False)
    # Under a strategy, `predict_on_batch` would give the whole batch to every replica.
    batches = [data.batches(images) if isinstance(images, data.Images) else images for images in sets]
    found = [training.predict(encoder, each, batch_size=batch_size, verbose=0) for each in batches]
    return [np.asarray(rows, "float32") for rows in found]
