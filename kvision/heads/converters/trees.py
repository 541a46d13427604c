"""Decision trees and forests of scikit-learn become a `DecisionForest`."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from kvision.heads.converters.contract import Converter, Layers
from kvision.layers import DecisionForest

__all__ = ["CONVERTERS", "Tree", "forest_arrays", "forest_layer", "joined", "tree_of"]

_VECTORS = ("roots", "feature", "threshold", "left", "right", "leaf", "values")


class Tree(NamedTuple):
    """One decision tree.

    Attributes:
        feature: `(nodes,)`, the column of the feature that a node compares.
        threshold: `(nodes,)`. A row goes to the left child if the feature is at most the threshold.
        left: `(nodes,)`, the left child; negative for a leaf.
        right: `(nodes,)`, the right child.
        values: `(leaves, columns)` float32, the output of each leaf in the order of the nodes.
        depth: Number of comparisons on the way to the lowest leaf.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    depth: int


def tree_of(tree: Any, values: np.ndarray) -> Tree:
    """Returns a `Tree` from an estimator's `tree_` and the output of every node `(nodes, columns)`."""
    leaves = values[tree.children_left < 0].astype("float32")
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, leaves, tree.max_depth)


def joined(trees: Sequence[Tree]) -> dict[str, np.ndarray]:
    """Returns the arrays of a `DecisionForest` and its `depth`. Equal leaves share a row of `values`."""
    feature, threshold, left, right, values = (np.concatenate(part) for part in list(zip(*trees, strict=True))[:5])
    sizes = [len(tree.left) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    first = np.repeat(roots, sizes)  # the root of each node's tree
    is_leaf, here = left < 0, np.arange(len(left))
    rows: dict[bytes, int] = {}
    leaf = np.zeros(len(left), "int32")
    leaf[is_leaf] = [rows.setdefault(row.tobytes(), len(rows)) for row in values]
    return {
        "roots": roots.astype("int32"),
        "feature": np.where(is_leaf, 0, feature).astype("int32"),
        "threshold": _rounded_down(np.where(is_leaf, 0.0, threshold)),
        "left": np.where(is_leaf, here, first + left).astype("int32"),
        "right": np.where(is_leaf, here, first + right).astype("int32"),
        "leaf": leaf,
        "values": np.frombuffer(b"".join(rows), "float32").reshape(len(rows), -1),
        "depth": np.array(max(tree.depth for tree in trees), "int32"),
    }


def _rounded_down(threshold: np.ndarray) -> np.ndarray:
    """Returns float32 thresholds that split float32 features exactly as the float64 thresholds do."""
    with np.errstate(over="ignore"):
        near = threshold.astype("float32")
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def forest_arrays(estimators: Iterable) -> dict[str, np.ndarray]:
    """Returns the arrays and `depth` of a `DecisionForest` that averages fitted decision trees of scikit-learn."""
    trees = []
    for tree in (estimator.tree_ for estimator in estimators):
        value = tree.value[:, 0, :]
        trees.append(tree_of(tree, value / value.sum(axis=1, keepdims=True)))
    return joined(trees)


def forest_layer(arrays: dict[str, np.ndarray], *, side_by_side: int = 1, total: bool = False) -> DecisionForest:
    """Returns a `DecisionForest` with the given arrays and options."""
    layer = DecisionForest(
        trees=len(arrays["roots"]),
        nodes=len(arrays["feature"]),
        leaves=len(arrays["values"]),
        classes=arrays["values"].shape[1],
        depth=int(arrays["depth"]),
        side_by_side=side_by_side,
        total=total,
    )
    for name in _VECTORS:
        getattr(layer, name).assign(arrays[name])
    return layer


def _forest(estimator: Any) -> Layers:
    return [forest_layer(forest_arrays(getattr(estimator, "estimators_", [estimator])))]


CONVERTERS: dict[type, Converter] = dict.fromkeys(
    (DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier), _forest
)
