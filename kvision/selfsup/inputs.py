"""Labeled images and labeled features, as the evaluation of an encoder takes them."""

from collections.abc import Sequence

import keras
import numpy as np

from kvision import checks, data, distribute, training
from kvision.features import embed_each

__all__ = ["Labeled", "feature_rows", "features_of", "images_and_labels", "label_rows"]

Labeled = data.Images | tuple[np.ndarray, np.ndarray]


def images_and_labels(argument: str, given: Labeled) -> tuple[data.Images | np.ndarray, np.ndarray]:
    """`kv.data.Images`, or a pair of arrays (N, H, W, 3) and (N,) or (N, 1) int -> images, labels (N,) int32."""
    if isinstance(given, data.Images):
        return given, label_rows(f"{argument} labels", given.labels, len(given))
    if isinstance(given, tuple) and len(given) == 2 and np.ndim(given[0]) == 4:
        return np.asarray(given[0]), label_rows(f"{argument} labels", given[1], len(given[0]))
    raise checks.error(
        argument,
        expected="kv.data.Images, or a pair of arrays (images, labels)",
        received=type(given).__name__ if not isinstance(given, tuple) else [np.shape(part) for part in given],
    )


def feature_rows(argument: str, features: np.ndarray, width: int | None = None) -> np.ndarray:
    """-> (N, D) float32. UserError for none, for another width than `width`, and for numbers that are not finite."""
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or 0 in rows.shape or width not in (None, rows.shape[1]):
        raise checks.error(
            argument, expected=f"features (N, {width or 'D'}), N at least 1", received=f"{rows.dtype} {rows.shape}"
        )
    rows = np.ascontiguousarray(rows, "float32")
    if not np.isfinite(rows).all():
        raise checks.error(
            argument,
            problem="are not finite",
            expected="finite features",
            received=f"{(~np.isfinite(rows)).any(axis=1).sum()} of {len(rows)} rows with NaN or infinity",
            hint="Look at the encoder's weights: training may have diverged",
        )
    return rows


def label_rows(argument: str, labels: np.ndarray, count: int) -> np.ndarray:
    """-> (count,) int32. UserError for another number of labels, and for any that is no integer from 0."""
    found = np.asarray(labels)
    if found.dtype.kind not in "iu" or found.size != count or (count and found.min() < 0):
        raise checks.error(argument, expected=f"{count} integers from 0", received=f"{found.dtype} {found.shape}")
    return found.reshape(-1).astype("int32")


def features_of(encoder: keras.Model, sets: Sequence, *, batch_size: int) -> list[np.ndarray]:
    """Features (N, D) float32 of each set of images by the weights of this moment, in inference mode, without a bar.

    By Keras itself: an engine is converted anew for new weights, which takes longer than an epoch's few images do. On
    several replicas each of them embeds its part, and every machine gets all rows.
    """
    with distribute.scope_of(encoder):
        alone = distribute.replica_count() == 1
    if alone:
        return embed_each(encoder, sets, batch_size=batch_size, engine="keras", progress=False)
    # `predict_on_batch` under a strategy gives every replica the whole batch
    batches = [data.pipeline(images) if isinstance(images, data.Images) else images for images in sets]
    found = [training.predict(encoder, each, batch_size=batch_size, verbose=0) for each in batches]
    return [np.asarray(rows, "float32") for rows in found]
