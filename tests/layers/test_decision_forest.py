import keras
import numpy as np

import kvision as kv


def stump_and_leaf() -> kv.layers.DecisionForest:
    """Two trees: feature 1 <= .5 -> class 0, else class 1; and a single leaf of (.2, .8)."""
    forest = kv.layers.DecisionForest(trees=2, nodes=4, leaves=3, classes=2, depth=1)
    forest.roots.assign([0, 3])
    forest.feature.assign([1, 0, 0, 0])
    forest.threshold.assign([0.5, 0, 0, 0])
    forest.left.assign([1, 1, 2, 3])
    forest.right.assign([2, 1, 2, 3])
    forest.leaf.assign([0, 0, 1, 2])
    forest.values.assign([[1, 0], [0, 1], [0.2, 0.8]])
    return forest


def test_walk_by_hand():
    above = np.nextafter(np.float32(0.5), np.float32(1))
    features = np.array([[9, 0.4], [9, 0.5], [-9, above]], "float32")
    np.testing.assert_allclose(stump_and_leaf()(features), [[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]], atol=1e-7)


def test_state_is_saved_and_never_trained(tmp_path):
    features = keras.Input((2,))
    model = keras.Model(features, stump_and_leaf()(features))
    assert not model.trainable_weights
    model.save(tmp_path / "forest.keras")
    reloaded = keras.models.load_model(tmp_path / "forest.keras")
    queries = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    np.testing.assert_array_equal(reloaded.predict_on_batch(queries), model.predict_on_batch(queries))


def test_trees_side_by_side_are_added_by_column():
    forest = kv.layers.DecisionForest(trees=4, nodes=4, leaves=4, classes=1, depth=0, side_by_side=2, total=True)
    forest.roots.assign([0, 1, 2, 3])
    forest.left.assign([0, 1, 2, 3])
    forest.right.assign([0, 1, 2, 3])
    forest.leaf.assign([0, 1, 2, 3])
    forest.values.assign([[1], [10], [2], [20]])
    np.testing.assert_array_equal(forest(np.zeros((1, 2), "float32")), [[3, 30]])
    assert forest.compute_output_shape((None, 2)) == (None, 2)
