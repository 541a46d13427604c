"""The nearest-neighbor classifier of scikit-learn becomes a `NearestNeighbors` layer."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from kvision.heads.converters.contract import Converter, Layers, refused
from kvision.layers import ColumnScaling, NearestNeighbors

__all__ = ["CONVERTERS", "neighbors_layer"]

_FAR = 4  # a mean is far from 0 beyond this many standard deviations: most differences are then exact
_QUERIES = 64  # rows of the bank that are used to find the number of candidates
_ROUNDINGS = 4  # largest error of a matrix product, in roundings of float32
_OFTEN = 0.05  # share of the queries: so few have two neighbors at nearly the same distance by chance
_MOST = 256  # candidates: their differences to 256 queries, (256, 256, 1280) float32, take 335 MB
_EXPECTED = "metric 'euclidean', 'minkowski' with p=2 (with or without weights `w` of the columns) or 'cosine'"


def neighbors_layer(
    bank: np.ndarray, targets: np.ndarray, *, classes: int, k: int, weights: str, metric: str, **options
) -> NearestNeighbors:
    """Returns the layer for features `(rows, width)` and their classes `(rows,)` in [0, classes)."""
    bank = np.asarray(bank, "float64")
    empty = np.zeros(len(bank))
    if metric == "cosine":
        norms = np.linalg.norm(bank, axis=1, keepdims=True)
        empty = norms[:, 0] == 0
        bank = bank / np.where(norms == 0, 1, norms)
    center = _center(bank)
    sizes = {"count": len(bank), "width": bank.shape[1], "classes": classes, "k": k}
    layer = NearestNeighbors(
        **sizes, weights=weights, metric=metric, candidates=_candidates(bank - center, k), **options
    )
    for name, value in {"center": center, "bank": bank - center, "targets": targets, "empty": empty}.items():
        getattr(layer, name).assign(value)
    return layer


def _center(bank: np.ndarray) -> np.ndarray:
    """Returns the number to subtract from each column, so that float32 keeps the digits of the squared distances.

    The number is 0 for a column near 0. For the other columns it is the mean, rounded to a multiple of a power of two.
    Most differences are then exact in float32. Differences of integers are integers, so that equal distances stay
    equal.
    """
    mean, spread = bank.mean(axis=0), bank.std(axis=0)
    step = 2.0 ** np.ceil(np.log2(np.maximum(spread, np.finfo("float32").tiny)))
    return np.where(np.abs(mean) > _FAR * spread, np.round(mean / step) * step, 0.0)


def _candidates(bank: np.ndarray, k: int) -> int:
    """Returns the number of rows that `NearestNeighbors` compares by differences, found with rows of the bank.

    A matrix product in float32 has an error of some roundings of the squared features. A row that is farther than the
    last neighbor by less than this error can take the place of that neighbor.
    """
    queries = bank[np.linspace(0, len(bank) - 1, min(_QUERIES, len(bank))).astype(int)]
    lengths = np.square(bank).sum(axis=1)
    squares = np.square(queries).sum(axis=1)[:, None] - 2 * queries @ bank.T + lengths
    last = np.partition(squares, min(k, len(bank)) - 1, axis=1)[:, min(k, len(bank)) - 1, None]
    slack = _ROUNDINGS * np.finfo("float32").eps * (np.square(queries).sum(axis=1)[:, None] + lengths)
    equal = squares <= last + np.finfo("float32").eps * np.abs(last)
    confused = ((squares <= last + slack) & ~equal).sum(axis=1)
    if np.mean(confused > 0) < _OFTEN:
        return k
    most = k + 2 * int(confused.max())
    return most if most <= min(_MOST, len(bank) // 2) else len(bank)


def _neighbors(estimator: KNeighborsClassifier) -> Layers:
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
    factor = np.sqrt(np.asarray(importance, "float64"))  # The distance is the sum of w (x - b)^2.
    return [ColumnScaling.of(len(factor), factor=factor), neighbors_layer(bank * factor, estimator._y, **options)]


CONVERTERS: dict[type, Converter] = {KNeighborsClassifier: _neighbors}
