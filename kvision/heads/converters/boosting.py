"""Boosted trees of scikit-learn become a `DecisionForest` that adds its leaves."""

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from kvision.heads.converters.contract import Converter, Layers, refused
from kvision.heads.converters.trees import Tree, forest_layer, joined, tree_of
from kvision.layers import ColumnScaling, Decision

__all__ = ["CONVERTERS"]


def _added(trees: list[Tree], base: np.ndarray, *, side_by_side: int, factor: float = 1.0) -> Layers:
    """Returns the softmax of `factor` times the sum of the leaves, plus `base` `(scores,)`."""
    forest = forest_layer(joined(trees), side_by_side=side_by_side, total=True)
    return [forest, ColumnScaling.of(len(base), factor=factor, offset=base), Decision("softmax")]


def _gradient(estimator: GradientBoostingClassifier) -> Layers:
    if estimator.init not in (None, "zero"):
        raise refused(estimator, f"starts from init={estimator.init!r}", expected="init=None or 'zero'")
    rounds, rate = estimator.estimators_, estimator.learning_rate  # `rounds` is (rounds, scores)
    trees = [tree_of(tree.tree_, rate * tree.tree_.value[:, 0, :]) for each in rounds for tree in each]
    # Boosting starts from a base score: the score of any row after the outputs of the trees are subtracted.
    row = np.zeros((1, estimator.n_features_in_), "float32")
    added = [[tree.predict(row)[0] for tree in each] for each in rounds]
    base = np.ravel(estimator.decision_function(row)) - rate * np.sum(added, axis=0)
    factor = 2.0 if estimator.loss == "exponential" else 1.0  # the probability is the sigmoid of twice the score
    return _added(trees, factor * base, side_by_side=rounds.shape[1], factor=factor)


def _histogram(estimator: HistGradientBoostingClassifier) -> Layers:
    rounds = estimator._predictors
    trees = [predictor.nodes for each in rounds for predictor in each]
    if estimator.is_categorical_ is not None:
        raise refused(estimator, "splits by categories", expected="categorical_features=None")
    scores = len(rounds[0])
    base = np.broadcast_to(np.ravel(estimator._baseline_prediction), scores)
    return _added([_histogram_tree(nodes) for nodes in trees], base, side_by_side=scores)


def _histogram_tree(nodes: np.ndarray) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    left = np.where(is_leaf, -1, nodes["left"].astype(int))
    values = nodes["value"][is_leaf, None].astype("float32")
    return Tree(nodes["feature_idx"], nodes["num_threshold"], left, nodes["right"], values, nodes["depth"].max())


def _adaptive(estimator: AdaBoostClassifier) -> Layers:
    kind = type(estimator.estimator_)
    if kind not in (DecisionTreeClassifier, ExtraTreeClassifier):
        raise refused(estimator, f"boosts {kind.__name__}", expected="trees")
    classes, weights = len(estimator.classes_), np.asarray(estimator.estimator_weights_)
    trees = []
    for tree, share in zip(estimator.estimators_, weights / weights.sum(), strict=False):
        chosen = tree.tree_.value[:, 0, :].argmax(axis=1)
        trees.append(tree_of(tree.tree_, share * np.eye(classes)[chosen]))
    # A tree with weight w adds w to the score of the class that it chooses and -w / (classes - 1) to the score of every
    # other class. Probabilities are the softmax of these sums divided by (classes - 1). The softmax does not change
    # when the same number is added to all classes.
    return _added(trees, np.zeros(classes), side_by_side=1, factor=classes / (classes - 1) ** 2)


CONVERTERS: dict[type, Converter] = {
    GradientBoostingClassifier: _gradient,
    HistGradientBoostingClassifier: _histogram,
    AdaBoostClassifier: _adaptive,
}
