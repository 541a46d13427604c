"""Decision trees and forests of scikit-learn become a `DecisionForest`."""

from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from kvision.heads.converters.contract import Converter, Layers
from kvision.layers import DecisionForest

__all__ = ["CONVERTERS", "forest_arrays", "forest_layer", "joined", "rounded_down", "tree_arrays"]

_VECTORS = ("roots", "feature", "threshold", "left", "right", "leaf", "values")


def tree_arrays(tree: Any, values: np.ndarray) -> dict[str, np.ndarray]:
    """The vectors of one tree for `joined`.

    Args:
        tree: The `tree_` of a scikit-learn tree.
        values: `(nodes, columns)`: what each leaf says; rows of other nodes are ignored.
    """
    is_leaf = tree.children_left < 0
    here = np.arange(tree.node_count)
    return {
        "feature": np.where(is_leaf, 0, tree.feature),
        "threshold": rounded_down(np.where(is_leaf, 0.0, tree.threshold)),
        "left": np.where(is_leaf, here, tree.children_left),
        "right": np.where(is_leaf, here, tree.children_right),
        "leaf": np.where(is_leaf, np.cumsum(is_leaf) - 1, 0),
        "values": values[is_leaf],
        "depth": np.array(tree.max_depth),
    }


def joined(trees: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of `DecisionForest` for the vectors of its trees, and `depth`; equal leaves share a row."""
    nodes = np.cumsum([0, *(len(tree["feature"]) for tree in trees)])
    rows, place = _shared_rows([tree["values"] for tree in trees])
    leaves = np.cumsum([0, *(len(tree["values"]) for tree in trees)])
    flat = {
        "roots": nodes[:-1],
        "feature": np.concatenate([tree["feature"] for tree in trees]),
        "threshold": np.concatenate([tree["threshold"] for tree in trees]),
        "left": np.concatenate([start + tree["left"] for start, tree in zip(nodes, trees, strict=False)]),
        "right": np.concatenate([start + tree["right"] for start, tree in zip(nodes, trees, strict=False)]),
        "leaf": place[np.concatenate([start + tree["leaf"] for start, tree in zip(leaves, trees, strict=False)])],
        "values": rows,
        "depth": np.array(max(int(tree["depth"]) for tree in trees)),
    }
    real = {"threshold", "values"}
    return {name: array.astype("float32" if name in real else "int32") for name, array in flat.items()}


def _shared_rows(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows without repetition, float32, and for each row of the parts its place among them."""
    values = np.concatenate([part.astype("float32") for part in parts])
    pure = np.count_nonzero(values, axis=1) == 1  # nearly all leaves of a forest: a class and a number say the same
    column = values[pure].argmax(axis=1)
    number = values[pure, column]
    keys, first, pure_place = np.unique(
        column.astype("uint64") << 32 | number.view("uint32"), return_index=True, return_inverse=True
    )
    mixed, mixed_place = np.unique(values[~pure], axis=0, return_inverse=True)
    rows = np.zeros((len(keys) + len(mixed), values.shape[1]), "float32")
    rows[np.arange(len(keys)), column[first]] = number[first]
    rows[len(keys) :] = mixed
    place = np.empty(len(values), int)
    place[pure], place[~pure] = pure_place, len(keys) + mixed_place.ravel()
    return rows, place


def rounded_down(threshold: np.ndarray) -> np.ndarray:
    """Thresholds in float32 that send each float32 feature to the side to which those in float64 send it."""
    with np.errstate(over="ignore"):
        near = threshold.astype("float32")
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def forest_arrays(trees: list) -> dict[str, np.ndarray]:
    """The arrays of `DecisionForest` for fitted decision trees of scikit-learn, and `depth`."""
    parts = []
    for tree in (each.tree_ for each in trees):
        value = tree.value[:, 0, :]
        parts.append(tree_arrays(tree, value / value.sum(axis=1, keepdims=True)))
    return joined(parts)


def forest_layer(arrays: dict[str, np.ndarray], *, side_by_side: int = 1, total: bool = False) -> DecisionForest:
    """The layer with the given arrays; the options are those of `DecisionForest`."""
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


CONVERTERS: dict[type, Converter] = {
    DecisionTreeClassifier: _forest,
    ExtraTreeClassifier: _forest,
    RandomForestClassifier: _forest,
    ExtraTreesClassifier: _forest,
}
