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

_LARGEST = 8  # of mean times weight: float32 loses 5e-7 of the score where a larger one is folded into the bias


def standardizer(features: np.ndarray) -> StandardScaler:
    """Fits a scaler whose means are float32 numbers, so that `linear_arrays` folds exactly what it subtracts."""
    scaler = StandardScaler().fit(features)
    scaler.mean_ = scaler.mean_.astype("float32").astype("float64")
    return scaler


def linear_arrays(coef, intercept, scaler: StandardScaler | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel, bias and center of a linear classifier on raw features.

    Args:
        coef: `(classes, width)`, or one row for two classes, of which the first then gets 0.
        intercept: `(classes,)`.
        scaler: The standardization in front of the classifier, folded in.

    Returns:
        Kernel `(width, classes)`, bias `(classes,)` and center `(width,)`, float32: the scores are
        `(x - center) @ kernel + bias`. The center is 0 but for columns so far from 0 that float32 would notice.
    """
    coef, intercept = np.atleast_2d(coef).astype("float64"), np.atleast_1d(intercept).astype("float64")
    center = np.zeros(coef.shape[1], "float32")
    if scaler is not None:  # (x - mean) / scale is linear too
        scale = scaler.scale_ if scaler.with_std else np.ones(coef.shape[1])
        coef = coef / scale
        if scaler.with_mean:
            far = np.abs(scaler.mean_ * coef).max(axis=0) > _LARGEST
            center = np.where(far, scaler.mean_, 0).astype("float32")
            intercept = intercept - coef @ (scaler.mean_ - center)
    if len(coef) == 1:
        coef = np.concatenate([np.zeros_like(coef), coef])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return coef.T.astype("float32"), intercept.astype("float32"), center


def linear_layer(kernel: np.ndarray, bias: np.ndarray, center: np.ndarray) -> keras.layers.Layer:
    """Softmax of `(x - center) @ kernel + bias`, built and ready to train on.

    Returns:
        A plain Dense layer where the center is 0, else a `kvision.layers.Chain` that ends in one.
    """
    if not center.any():
        return dense(kernel, bias, "softmax", "probabilities")
    chain = Chain([ColumnScaling.of(len(kernel), center=center), dense(kernel, bias, "softmax")])
    chain.build((None, len(kernel)))
    return chain


def _coefficients(estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of the decision function: `(scores, width)` and `(scores,)`; one score for two classes."""
    # `sparsify` leaves a sparse matrix
    coef = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else estimator.coef_
    coef = np.atleast_2d(coef)
    return coef, np.broadcast_to(estimator.intercept_, len(coef))


def _scores(estimator: Any) -> keras.layers.Layer:
    coef, intercept = _coefficients(estimator)
    return dense(coef.T.astype("float32"), intercept.astype("float32"))


def _softmax(estimator: Any) -> Layers:
    classes = len(estimator.classes_)
    rule = getattr(estimator, "multi_class", "auto")  # until scikit-learn 1.7
    apart = rule == "ovr" or getattr(estimator, "solver", None) == "liblinear"
    if (classes > 2 and apart) or (classes == 2 and rule == "multinomial"):
        raise refused(
            estimator,
            f"with solver={estimator.solver!r}, multi_class={rule!r} for {classes} classes is no softmax of its scores",
            expected="the default multi_class, and another solver than 'liblinear' for more than two classes",
        )
    return [linear_layer(*linear_arrays(*_coefficients(estimator)))]


def _stochastic(estimator: SGDClassifier) -> Layers:
    rule = {"log_loss": "sigmoids", "modified_huber": "clipped"}.get(estimator.loss)
    scores = [_scores(estimator)]
    return decided(estimator, scores) if rule is None else [*scores, Decision(rule)]


def _margins(estimator: Any) -> Layers:
    labels = getattr(estimator, "_label_binarizer", None)
    if labels is not None and labels.y_type_.startswith("multilabel"):
        raise refused(estimator, "was fitted on several labels for each row", expected="one label for each row")
    return decided(estimator, [_scores(estimator)])


CONVERTERS: dict[type, Converter] = {
    LogisticRegression: _softmax,
    LogisticRegressionCV: _softmax,
    LinearDiscriminantAnalysis: _softmax,
    SGDClassifier: _stochastic,
    LinearSVC: _margins,
    RidgeClassifier: _margins,
    RidgeClassifierCV: _margins,
    Perceptron: _margins,
}
