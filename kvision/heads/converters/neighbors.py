"""The nearest neighbors of scikit-learn become a `NearestNeighbors` layer."""

from typing import Any

import keras
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from kvision.heads.converters.contract import Converter, refused
from kvision.layers import ColumnScaling, NearestNeighbors

__all__ = ["CONVERTERS", "neighbors_layer"]

_EXPECTED = "metric 'euclidean', 'minkowski' with p=2 (columns may have weights `w`) or 'cosine'"


def neighbors_layer(
    bank: np.ndarray, targets: np.ndarray, *, classes: int, k: int, weights: str, metric: str
) -> NearestNeighbors:
    """The layer for a bank `(rows, width)` of features and targets `(rows,)` in [0, classes)."""
    bank = np.asarray(bank, "float32")
    layer = NearestNeighbors(count=len(bank), width=bank.shape[1], classes=classes, k=k, weights=weights, metric=metric)
    center = np.zeros(bank.shape[1], "float32")
    if metric == "cosine":
        bank = bank / np.maximum(np.linalg.norm(bank, axis=1, keepdims=True), 1e-12)
    else:
        center = bank.mean(axis=0)
    layer.center.assign(center)
    layer.bank.assign(bank - center)
    layer.targets.assign(targets)
    return layer


def _neighbors(estimator: KNeighborsClassifier) -> list[keras.layers.Layer]:
    metric, settings, bank = estimator.effective_metric_, dict(estimator.effective_metric_params_), estimator._fit_X
    weights = estimator.weights or "uniform"
    importance = None
    if metric == "minkowski" and settings.pop("p", 2) == 2:
        metric, importance = "euclidean", settings.pop("w", None)
    metric = "euclidean" if metric == "l2" else metric
    if metric not in ("euclidean", "cosine") or settings:
        raise refused(
            estimator,
            f"measures by metric={estimator.metric!r}, p={estimator.p!r}, metric_params={estimator.metric_params!r}",
            expected=_EXPECTED,
        )
    if not isinstance(weights, str):
        raise refused(estimator, "weights neighbors by a function", expected="weights 'uniform' or 'distance'")
    if not isinstance(bank, np.ndarray):
        raise refused(estimator, f"was fitted on {type(bank).__name__}", expected="a dense array of features")
    options = {"classes": len(estimator.classes_), "k": estimator.n_neighbors, "weights": weights, "metric": metric}
    if importance is None:
        return [neighbors_layer(bank, estimator._y, **options)]
    factor = np.sqrt(np.asarray(importance, "float64"))  # sum of w (x - b)^2
    return [ColumnScaling.of(len(factor), factor=factor), neighbors_layer(bank * factor, estimator._y, **options)]


CONVERTERS: dict[type, Converter] = {KNeighborsClassifier: _neighbors}
