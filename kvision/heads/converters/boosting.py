"""Boosted trees of scikit-learn become a `DecisionForest` whose leaves are added."""

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from kvision.heads.converters.contract import Converter, Layers, refused
from kvision.heads.converters.trees import forest_layer, joined, rounded_down, tree_arrays
from kvision.layers import ColumnScaling, Decision

__all__ = ["CONVERTERS"]


def _added(trees: list[dict], base: np.ndarray, *, side_by_side: int, factor: float = 1.0) -> Layers:
    """Softmax of `factor` times the sum of the trees' leaves, plus `base` `(scores,)`."""
    forest = forest_layer(joined(trees), side_by_side=side_by_side, total=True)
    return [forest, ColumnScaling.of(len(base), factor=factor, offset=base), Decision("softmax")]


def _gradient(estimator: GradientBoostingClassifier) -> Layers:
    if estimator.init not in (None, "zero"):
        raise refused(estimator, f"starts from init={estimator.init!r}", expected="init=None or 'zero'")
    stages = estimator.estimators_  # (rounds, scores)
    rate = estimator.learning_rate
    trees = [tree_arrays(tree.tree_, rate * tree.tree_.value[:, 0, :]) for stage in stages for tree in stage]
    anywhere = np.zeros((1, estimator.n_features_in_), "float32")
    said = [[tree.predict(anywhere)[0] for tree in stage] for stage in stages]
    base = np.ravel(estimator.decision_function(anywhere)) - rate * np.sum(said, axis=0)
    factor = 2.0 if estimator.loss == "exponential" else 1.0  # its probability is the sigmoid of twice the score
    return _added(trees, factor * base, side_by_side=stages.shape[1], factor=factor)


def _histogram(estimator: HistGradientBoostingClassifier) -> Layers:
    rounds = estimator._predictors
    trees = [predictor.nodes for stage in rounds for predictor in stage]
    if any(nodes["is_categorical"].any() for nodes in trees) or estimator.is_categorical_ is not None:
        raise refused(estimator, "splits by categories", expected="categorical_features=None")
    scores = len(rounds[0])
    base = np.broadcast_to(np.ravel(estimator._baseline_prediction), scores)
    return _added([_histogram_arrays(nodes) for nodes in trees], base, side_by_side=scores)


def _histogram_arrays(nodes: np.ndarray) -> dict[str, np.ndarray]:
    is_leaf = nodes["is_leaf"].astype(bool)
    here = np.arange(len(nodes))
    return {
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]),
        "threshold": rounded_down(np.where(is_leaf, 0.0, nodes["num_threshold"])),
        "left": np.where(is_leaf, here, nodes["left"]),
        "right": np.where(is_leaf, here, nodes["right"]),
        "leaf": np.where(is_leaf, np.cumsum(is_leaf) - 1, 0),
        "values": nodes["value"][is_leaf, None],
        "depth": nodes["depth"].max(),
    }


def _adaptive(estimator: AdaBoostClassifier) -> Layers:
    kind = type(estimator.estimator_)
    if kind not in (DecisionTreeClassifier, ExtraTreeClassifier):
        raise refused(
            estimator,
            f"boosts {kind.__name__}",
            expected="trees",
        )
    classes, weights = len(estimator.classes_), np.asarray(estimator.estimator_weights_)
    trees = []
    for tree, share in zip(estimator.estimators_, weights / weights.sum(), strict=False):
        chosen = tree.tree_.value[:, 0, :].argmax(axis=1)
        trees.append(tree_arrays(tree.tree_, share * np.eye(classes)[chosen]))
    # A tree gives its class its share w and every other class -w / (classes - 1); probabilities are the softmax of the
    # sum over classes - 1. What all classes get does not change them.
    return _added(trees, np.zeros(classes), side_by_side=1, factor=classes / (classes - 1) ** 2)


CONVERTERS: dict[type, Converter] = {
    GradientBoostingClassifier: _gradient,
    HistGradientBoostingClassifier: _histogram,
    AdaBoostClassifier: _adaptive,
}
