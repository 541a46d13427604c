"""Support vector machines of scikit-learn become matrix products and votes."""

from typing import Any

import keras
import numpy as np
from sklearn.svm import SVC, NuSVC

from kvision.heads.converters.contract import Converter, Layers, decided, dense, refused
from kvision.layers import Chain, Decision, SupportVectors
from kvision.layers.support_vectors import KERNELS

__all__ = ["CONVERTERS"]

_NOTE = (
    "{name} of scikit-learn computes no probabilities: `probabilities` is the softmax of its decision function of shape"
    " 'ovr'. The values are not calibrated. If classes have equally many votes, the summed scores decide, as with"
    " break_ties=True."
)


def _machine(estimator: Any) -> Layers:
    kernel = estimator.kernel
    if kernel not in ("linear", *KERNELS):
        shown = kernel if isinstance(kernel, str) else "a function"
        raise refused(estimator, f"has the kernel {shown}", expected="kernel 'linear', 'rbf', 'poly' or 'sigmoid'")
    if estimator.probability not in (False, "deprecated"):
        raise refused(
            estimator,
            "with probability=True computes probabilities by an iteration that no layer repeats",
            expected="probability=False",
            hint="Fit it with probability=False: the layer then computes the softmax of its decision function",
        )
    if not isinstance(estimator.support_vectors_, np.ndarray):
        raise refused(estimator, "was fitted on a sparse matrix", expected="a dense array of features")
    scores = _linear(estimator) if kernel == "linear" else _vectors(estimator)
    if len(estimator.classes_) == 2:
        return decided(estimator, [scores])
    return [Chain([scores, Decision("votes")], note=_NOTE.format(name=type(estimator).__name__))]


def _linear(estimator: Any) -> keras.layers.Layer:
    return dense(estimator.coef_.T.astype("float32"), np.asarray(estimator.intercept_, "float32"))


def _vectors(estimator: Any) -> SupportVectors:
    vectors, dual, counts = estimator.support_vectors_, estimator.dual_coef_, estimator.n_support_
    layer = SupportVectors(
        counts=counts,
        width=vectors.shape[1],
        kernel=estimator.kernel,
        gamma=estimator._gamma,
        coef0=estimator.coef0,
        degree=estimator.degree,
    )
    # Distances do not depend on the origin (inner products do), and float32 keeps more of their digits near the origin.
    center = vectors.mean(axis=0).astype("float32") if estimator.kernel == "rbf" else np.zeros(vectors.shape[1])
    layer.center.assign(center)
    layer.bank.assign(vectors - center)
    layer.coefficients.assign(dual.T if len(counts) == 2 else _against_each_class(dual, counts))
    layer.intercept.assign(estimator.intercept_)
    return layer


def _against_each_class(dual: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns coefficients `(vectors, classes)` from `dual` `(classes - 1, vectors)`: 0 for the class of the vector."""
    own = np.repeat(np.arange(len(counts)), counts)
    return np.stack([np.insert(column, place, 0.0) for column, place in zip(dual.T, own, strict=True)])


CONVERTERS: dict[type, Converter] = {SVC: _machine, NuSVC: _machine}
