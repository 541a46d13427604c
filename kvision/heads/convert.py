"""A fitted scikit-learn classifier becomes one Keras layer that computes the same numbers."""

from typing import Any

import keras
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from kvision.checks import UserError
from kvision.heads.converters import CLASSIFIERS, TRANSFORMERS
from kvision.heads.converters.contract import Layers, refused
from kvision.layers import Chain

__all__ = ["from_sklearn"]


def from_sklearn(estimator: BaseEstimator) -> keras.layers.Layer:
    """Converts a fitted scikit-learn classifier into a Keras layer.

    The layer computes `predict_proba`. Where the estimator has none (LinearSVC, SVC, RidgeClassifier, most losses of
    SGDClassifier), it computes the softmax of `decision_function`, which has the same arg max.

    Args:
        estimator: A fitted classifier of one of the classes below, a `Pipeline` of one behind transformers below, or a
            search (`GridSearchCV` ...) over one of them, fitted with `refit=True`.

            - linear: LogisticRegression, LogisticRegressionCV, LinearDiscriminantAnalysis, SGDClassifier, LinearSVC,
              RidgeClassifier, RidgeClassifierCV, Perceptron;
            - trees: DecisionTree-, ExtraTree-, RandomForest-, ExtraTrees-, GradientBoosting-, HistGradientBoosting-
              and AdaBoostClassifier (of trees);
            - neighbors: KNeighborsClassifier, Euclidean or cosine;
            - support vectors: SVC and NuSVC with `probability=False`, kernels linear, rbf, poly and sigmoid;
            - networks: MLPClassifier;
            - transformers: StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler, Normalizer (l2), PCA,
              TruncatedSVD, VarianceThreshold, SelectKBest and its kin, SelectFromModel.

    Returns:
        A layer from features `(batch, width)` to probabilities `(batch, classes)` float32, columns as `classes_`.

    Raises:
        kvision.UserError: If an estimator, or the value of one of its parameters, cannot be converted; it is named.
        sklearn.exceptions.NotFittedError: If the estimator is not fitted.
    """
    check_is_fitted(estimator)
    layers = _classifier(estimator)
    layer = layers[0] if len(layers) == 1 else Chain(layers, note=" ".join(filter(None, map(_note, layers))))
    layer.name = "probabilities"
    return layer


def _note(layer: keras.layers.Layer) -> str:
    return getattr(layer, "note", "")


def _classifier(estimator: Any) -> Layers:
    if isinstance(estimator, Pipeline):
        *front, (_, last) = estimator.steps
        return [*(layer for _, step in front for layer in _transformer(step)), *_classifier(last)]
    if isinstance(estimator, BaseSearchCV):
        if not estimator.refit:
            raise refused(estimator, "kept no best estimator", expected="a search with refit=True")
        return _classifier(estimator.best_estimator_)
    if type(estimator) not in CLASSIFIERS:
        raise _unknown(estimator, "classifier", CLASSIFIERS)
    classes = estimator.classes_
    if isinstance(classes, list) or len(classes) < 2:
        raise refused(estimator, "has not one output of two classes or more", expected="labels `(rows,)` of 2 classes")
    return CLASSIFIERS[type(estimator)](estimator)


def _transformer(step: Any) -> Layers:
    if step is None or step == "passthrough":
        return []
    if isinstance(step, Pipeline):
        return [layer for _, inner in step.steps for layer in _transformer(inner)]
    if type(step) not in TRANSFORMERS:
        raise _unknown(step, "transformer", TRANSFORMERS)
    return TRANSFORMERS[type(step)](step)


def _unknown(estimator: Any, role: str, known: dict[type, Any]) -> UserError:
    names = ", ".join(kind.__name__ for kind in known)
    return refused(estimator, f"is no {role} that has a layer", expected=f"one of {names}")
