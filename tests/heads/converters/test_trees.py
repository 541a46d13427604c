import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

import kvision as kv
from kvision.checks import UserError
from kvision.heads.converters.trees import forest_arrays


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(9, min_samples_leaf=4, random_state=0),
        RandomForestClassifier(9, max_depth=2, max_samples=0.3, class_weight={0: 1, 1: 7, 2: 1, 3: 1}, random_state=0),
        ExtraTreesClassifier(9, bootstrap=True, ccp_alpha=0.01, random_state=0),
        DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=7, random_state=0),
    ],
    ids=repr,
)
def test_mixed_leaves(converted, estimator):
    converted(estimator, atol=1e-6)


def test_monotonic_trees(converted):
    converted(RandomForestClassifier(9, monotonic_cst=[1, -1] + [0] * 22, random_state=0), classes=2, atol=1e-6)


def test_pure_leaves_share_a_row_for_each_class(converted, blobs):
    """A forest of 300 trees on 200 classes was 345 MB for a row of 200 numbers a leaf, though all leaves are pure."""
    forest = RandomForestClassifier(12, random_state=0)
    layer = converted(forest, atol=1e-6)
    leaves = sum(tree.get_n_leaves() for tree in forest.estimators_)
    assert leaves > 100 and layer.values.shape == (4, 4)
    single = converted(RandomForestClassifier(5, max_depth=2, random_state=0))
    assert single.values.shape[0] > 4, "mixed leaves keep rows of their own"


def test_several_outputs_are_refused(blobs):
    (features, labels), _ = blobs
    several = DecisionTreeClassifier().fit(features, np.stack([labels, labels % 2], axis=1))
    with pytest.raises(UserError, match=r"DecisionTreeClassifier.*several outputs"):
        kv.heads.from_sklearn(several)
    with pytest.raises(UserError, match="one class"):
        kv.heads.from_sklearn(DecisionTreeClassifier().fit(features, 0 * labels))


def test_a_threshold_between_two_floats_keeps_its_side():
    """scikit-learn compares float32 features with float64 thresholds; rounding to nearest sends one the other way."""
    low = np.nextafter(np.float32(100), np.float32(200))
    high = np.nextafter(low, np.float32(200))
    features = np.array([[low], [high]], "float32")
    tree = DecisionTreeClassifier().fit(features, [0, 1])
    threshold = tree.tree_.threshold[0]
    assert low < threshold < high and np.float32(threshold) == high, "the control: rounding to nearest is wrong here"
    assert forest_arrays([tree])["threshold"][0] == low
    np.testing.assert_array_equal(np.asarray(kv.heads.from_sklearn(tree)(features)).argmax(1), [0, 1])
