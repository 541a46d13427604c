"""Converts a fitted scikit-learn classifier into one Keras layer."""

from typing import Any

import keras
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from kvision.heads.converters import CLASSIFIERS, TRANSFORMERS
from kvision.heads.converters.contract import Converter, Layers, refused
from kvision.heads.head import Head
from kvision.layers import Chain

__all__ = ["from_sklearn"]


def from_sklearn(estimator: BaseEstimator) -> keras.layers.Layer:
    """Converts a fitted scikit-learn classifier into a Keras layer that computes the same numbers.

    The layer computes `predict_proba`. Some estimators have no `predict_proba`: LinearSVC, SVC, RidgeClassifier and
    most losses of SGDClassifier. For them the layer computes the softmax of `decision_function`, which has the same arg
    max.

    Args:
        estimator: A fitted classifier of one of the classes below, or a `Pipeline` of transformers and a classifier
            from the list below. A search over one of them (such as `GridSearchCV`) works if it was fitted with
            `refit=True`.

            - linear: LogisticRegression, LogisticRegressionCV, LinearDiscriminantAnalysis, SGDClassifier, LinearSVC,
              RidgeClassifier, RidgeClassifierCV, Perceptron;
            - trees: DecisionTree-, ExtraTree-, RandomForest-, ExtraTrees-, GradientBoosting-, HistGradientBoosting-
              and AdaBoostClassifier (of trees);
            - neighbors: KNeighborsClassifier, Euclidean or cosine;
            - support vectors: SVC and NuSVC with `probability=False` and a linear, rbf, poly or sigmoid kernel;
            - networks: MLPClassifier;
            - heads of kvision, such as `kv.heads.KNNHead`, at the end of a pipeline;
            - transformers: StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler, Normalizer (l2), PCA,
              TruncatedSVD, VarianceThreshold, SelectKBest, SelectPercentile, SelectFpr, SelectFdr, SelectFwe,
              SelectFromModel.

    Returns:
        A layer from features `(batch, width)` to probabilities `(batch, classes)`, float32. The columns are in the
        order of `estimator.classes_`.

    Raises:
        UserError: If an estimator, or the value of one of its parameters, cannot be converted. The message contains its
            name.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> features, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), ["cat", "cat", "dog", "dog"]
        >>> layer = kv.heads.from_sklearn(LogisticRegression().fit(features, labels))
        >>> np.asarray(layer(np.array([[0.5]], "float32"))).shape
        (1, 2)
    """
    check_is_fitted(estimator)
    layers = _classifier(estimator)
    notes = [note for layer in layers if (note := getattr(layer, "note", ""))]
    layer = layers[0] if len(layers) == 1 else Chain(layers, note=" ".join(notes))
    layer.name = "probabilities"
    return layer


def _classifier(estimator: Any) -> Layers:
    if isinstance(estimator, Pipeline):
        *front, (_, last) = estimator.steps
        return [*(layer for _, step in front for layer in _transformer(step)), *_classifier(last)]
    if isinstance(estimator, BaseSearchCV):
        if not estimator.refit:
            raise refused(estimator, "kept no best estimator", expected="a search with refit=True")
        return _classifier(estimator.best_estimator_)
    if isinstance(estimator, Head):
        return [estimator.to_layer()]
    convert = _converter(estimator, CLASSIFIERS, "classifier")
    classes, labels = estimator.classes_, getattr(estimator, "_label_binarizer", None)
    several = isinstance(classes, list) or (labels is not None and labels.y_type_.startswith("multilabel"))
    if several or len(classes) < 2:
        problem = "has several outputs" if several else "was fitted on one class"
        raise refused(estimator, problem, expected="one output of two classes or more")
    return convert(estimator)


def _transformer(step: Any) -> Layers:
    if step is None or step == "passthrough":
        return []
    if isinstance(step, Pipeline):
        return [layer for _, inner in step.steps for layer in _transformer(inner)]
    return _converter(step, TRANSFORMERS, "transformer")(step)


def _converter(estimator: Any, known: dict[type, Converter], role: str) -> Converter:
    if type(estimator) not in known:
        names = ", ".join(kind.__name__ for kind in known)
        raise refused(estimator, f"is not a {role} that can be converted", expected=f"one of {names}")
    return known[type(estimator)]
