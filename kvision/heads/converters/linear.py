"""Linear classifiers of scikit-learn become Dense layers."""

from typing import Any

import keras
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from kvision.heads.converters.contract import Converter, Layers, decided, dense, refused
from kvision.layers import Chain, ColumnScaling, Decision

__all__ = ["CONVERTERS", "linear_arrays", "linear_layer", "standardizer"]

# The largest product of mean and weight that is folded into the bias. At this limit float32 loses 5e-7 of the score.
_LARGEST = 8


def standardizer(features: np.ndarray) -> StandardScaler:
    """Returns a fitted scaler with means that are exact in float32, so that folding them loses no digits."""
    scaler = StandardScaler().fit(features)
    scaler.mean_ = scaler.mean_.astype("float32").astype("float64")
    return scaler


def linear_arrays(coef, intercept, scaler: StandardScaler | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the arrays of a linear classifier on raw features, with the scaler in front of it folded in.

    Args:
        coef: `(classes, width)`. If there is one row, it gives the score of the second of two classes, and the first
            class gets the score 0.
        intercept: `(classes,)`.
        scaler: The scaler that `standardizer` returned. If None, the classifier was fitted on raw features.

    Returns:
        Kernel `(width, classes)`, bias `(classes,)` and center `(width,)`, all float32. The scores are
        `(x - center) @ kernel + bias`. The center is 0 except in columns that are so far from 0 that folding the mean
        into the bias would lose digits.
    """
    coef, intercept = np.atleast_2d(coef).astype("float64"), np.atleast_1d(intercept).astype("float64")
    center = np.zeros(coef.shape[1], "float32")
    if scaler is not None:
        coef = coef / scaler.scale_
        far = np.abs(scaler.mean_ * coef).max(axis=0) > _LARGEST
        center = np.where(far, scaler.mean_, 0).astype("float32")
        intercept = intercept - coef @ (scaler.mean_ - center)
    if len(coef) == 1:
        coef = np.concatenate([np.zeros_like(coef), coef])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return coef.T.astype("float32"), intercept.astype("float32"), center


def linear_layer(kernel: np.ndarray, bias: np.ndarray, center: np.ndarray) -> keras.layers.Layer:
    """Returns a built layer that computes the softmax of `(x - center) @ kernel + bias` and can be trained further.

    Args:
        kernel: `(width, classes)`.
        bias: `(classes,)`.
        center: `(width,)`.

    Returns:
        A plain Dense layer if the center is 0, otherwise a `kvision.layers.Chain` that ends in a Dense layer.
    """
    if not center.any():
        return dense(kernel, bias, "softmax", "probabilities")
    chain = Chain([ColumnScaling.of(len(kernel), center=center), dense(kernel, bias, "softmax")])
    chain.build((None, len(kernel)))
    return chain


def _coefficients(estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights `(scores, width)` and biases `(scores,)` of the decision function: one score for two classes."""
    # The matrix is sparse after a call of scikit-learn's `sparsify()`.
    coef = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else estimator.coef_
    coef = np.atleast_2d(coef)
    return coef, np.broadcast_to(estimator.intercept_, len(coef))


def _scores(estimator: Any) -> keras.layers.Layer:
    coef, intercept = _coefficients(estimator)
    return dense(coef.T.astype("float32"), intercept.astype("float32"))


def _softmax(estimator: Any) -> Layers:
    classes = len(estimator.classes_)
    rule = getattr(estimator, "multi_class", "auto")  # the parameter exists until scikit-learn 1.7
    one_against_rest = rule == "ovr" or getattr(estimator, "solver", None) == "liblinear"
    if (classes > 2 and one_against_rest) or (classes == 2 and rule == "multinomial"):
        raise refused(
            estimator,
            f"with solver={estimator.solver!r} and multi_class={rule!r} is not a softmax of its scores",
            expected="the default multi_class, and for more than two classes another solver than 'liblinear'",
        )
    return [linear_layer(*linear_arrays(*_coefficients(estimator)))]


def _stochastic(estimator: SGDClassifier) -> Layers:
    rule = {"log_loss": "sigmoids", "modified_huber": "clipped"}.get(estimator.loss)
    scores = [_scores(estimator)]
    return decided(estimator, scores) if rule is None else [*scores, Decision(rule)]


def _margins(estimator: Any) -> Layers:
    return decided(estimator, [_scores(estimator)])


CONVERTERS: dict[type, Converter] = {
    **dict.fromkeys((LogisticRegression, LogisticRegressionCV, LinearDiscriminantAnalysis), _softmax),
    **dict.fromkeys((LinearSVC, RidgeClassifier, RidgeClassifierCV, Perceptron), _margins),
    SGDClassifier: _stochastic,
}
