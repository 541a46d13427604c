"""What scikit-learn learned -> Keras layers that compute the same numbers."""

from collections.abc import Callable

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from sklearn.utils.validation import check_is_fitted

from kvision import checks
from kvision.layers import DecisionForest, NearestNeighbors

__all__ = ["forest_arrays", "forest_layer", "from_sklearn", "linear_arrays", "linear_layer", "neighbors_layer"]


def from_sklearn(estimator: BaseEstimator) -> keras.layers.Layer:
    """A fitted scikit-learn classifier -> a layer (B, D) float32 -> probabilities (B, C), columns as `classes_`.

    Linear (LogisticRegression, LogisticRegressionCV, LinearDiscriminantAnalysis, alone or behind a StandardScaler in a
    Pipeline), trees (DecisionTree, ExtraTree, RandomForest, ExtraTrees), KNeighborsClassifier (euclidean or cosine).
    Raises UserError, by name, for every other one (LinearSVC and RidgeClassifier have no probabilities), and
    sklearn's NotFittedError.
    """
    check_is_fitted(estimator)
    scaler, last = None, estimator
    if isinstance(estimator, Pipeline) and len(estimator) == 2 and isinstance(estimator[0], StandardScaler):
        scaler, last = estimator[0], estimator[1]
    convert = _CONVERTERS.get(type(last))
    if convert is None or (scaler is not None and convert is not _linear):
        raise _refusal(estimator, "has no layer")
    return _linear(last, scaler) if convert is _linear else convert(last)


def _refusal(estimator, problem: str) -> checks.UserError:
    name = type(estimator).__name__
    if isinstance(estimator, Pipeline):
        name = f"Pipeline({', '.join(type(step).__name__ for _, step in estimator.steps)})"
    names = ", ".join(kind.__name__ for kind in _CONVERTERS)
    return checks.error(
        "head", problem=problem, expected=f"one of {names}, or a linear one behind a StandardScaler", received=name
    )


def linear_arrays(coef, intercept, scaler: StandardScaler | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients as scikit-learn holds them -> kernel (D, C), bias (C,) float32; of two classes the first gets 0."""
    coef, intercept = np.atleast_2d(coef).astype("float64"), np.atleast_1d(intercept).astype("float64")
    if scaler is not None:  # (x - mean) / scale is linear too
        scale = scaler.scale_ if scaler.with_std else np.ones(coef.shape[1])
        coef = coef / scale
        if scaler.with_mean:
            intercept = intercept - coef @ scaler.mean_
    if len(coef) == 1:
        coef = np.concatenate([np.zeros_like(coef), coef])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return coef.T.astype("float32"), intercept.astype("float32")


def linear_layer(kernel: np.ndarray, bias: np.ndarray) -> keras.layers.Dense:
    """Softmax of x @ kernel + bias as a plain Dense layer, built and ready to train on."""
    layer = keras.layers.Dense(len(bias), activation="softmax", dtype="float32", name="probabilities")
    layer.build((None, len(kernel)))
    layer.set_weights([kernel, bias])
    return layer


def _linear(estimator, scaler: StandardScaler | None) -> keras.layers.Layer:
    if getattr(estimator, "solver", None) == "liblinear" and len(estimator.classes_) > 2:
        raise _refusal(estimator, "with solver='liblinear' normalizes one-against-rest scores, which is no softmax")
    return linear_layer(*linear_arrays(estimator.coef_, estimator.intercept_, scaler))


def forest_arrays(trees: list) -> dict[str, np.ndarray]:
    """Fitted scikit-learn decision trees -> the flat vectors of `kvision.layers.DecisionForest`, and `depth`."""
    flat: dict[str, list] = {name: [] for name in ("roots", "feature", "threshold", "left", "right", "leaf", "values")}
    start = rows = 0
    for tree in (t.tree_ for t in trees):
        here = np.arange(tree.node_count)
        is_leaf = tree.children_left < 0
        flat["roots"].append([start])
        flat["feature"].append(np.where(is_leaf, 0, tree.feature))
        flat["threshold"].append(_round_down(np.where(is_leaf, 0.0, tree.threshold)))
        flat["left"].append(start + np.where(is_leaf, here, tree.children_left))
        flat["right"].append(start + np.where(is_leaf, here, tree.children_right))
        flat["leaf"].append(rows + np.where(is_leaf, np.cumsum(is_leaf) - 1, 0))
        value = tree.value[is_leaf, 0, :]
        flat["values"].append(value / value.sum(axis=1, keepdims=True))
        start, rows = start + tree.node_count, rows + int(is_leaf.sum())
    real = {"threshold", "values"}
    arrays = {k: np.concatenate(v).astype("float32" if k in real else "int32") for k, v in flat.items()}
    return {**arrays, "depth": np.array(max(t.get_depth() for t in trees), "int32")}


def _round_down(threshold: np.ndarray) -> np.ndarray:
    # scikit-learn compares a float32 feature with a float64 threshold: x <= t exactly where x <= t rounded down
    near = threshold.astype("float32")
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def forest_layer(arrays: dict[str, np.ndarray]) -> DecisionForest:
    """The arrays of `forest_arrays` -> the layer."""
    layer = DecisionForest(
        trees=len(arrays["roots"]),
        nodes=len(arrays["feature"]),
        leaves=len(arrays["values"]),
        classes=arrays["values"].shape[1],
        depth=int(arrays["depth"]),
    )
    for name in ("roots", "feature", "threshold", "left", "right", "leaf", "values"):
        getattr(layer, name).assign(arrays[name])
    return layer


def _trees(estimator) -> keras.layers.Layer:
    if estimator.n_outputs_ != 1:
        raise _refusal(estimator, "with several outputs has no layer")
    return forest_layer(forest_arrays(getattr(estimator, "estimators_", [estimator])))


def neighbors_layer(
    bank: np.ndarray, targets: np.ndarray, *, classes: int, k: int, weights: str, metric: str
) -> NearestNeighbors:
    """bank (N, D), targets (N,) in [0, classes) -> the layer."""
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


def _neighbors(estimator: KNeighborsClassifier) -> keras.layers.Layer:
    metric = (
        "euclidean" if estimator.effective_metric_ == "minkowski" and estimator.p == 2 else estimator.effective_metric_
    )
    weights, bank = estimator.weights or "uniform", estimator._fit_X
    plain = isinstance(bank, np.ndarray) and estimator._y.ndim == 1 and isinstance(weights, str)
    if metric not in ("euclidean", "cosine") or not plain:
        raise _refusal(estimator, f"with metric={metric!r}, weights={weights!r} on {type(bank).__name__} has no layer")
    return neighbors_layer(
        bank, estimator._y, classes=len(estimator.classes_), k=estimator.n_neighbors, weights=weights, metric=metric
    )


_CONVERTERS: dict[type, Callable] = {
    LogisticRegression: _linear,
    LogisticRegressionCV: _linear,
    LinearDiscriminantAnalysis: _linear,
    DecisionTreeClassifier: _trees,
    ExtraTreeClassifier: _trees,
    RandomForestClassifier: _trees,
    ExtraTreesClassifier: _trees,
    KNeighborsClassifier: _neighbors,
}
