import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.training.class_weight import table_of, weighted, weighted_dataset
from kvision.training.source import from_arrays

X, Y = np.arange(6.0).reshape(6, 1), np.array([0, 1, 2, 3, 1, 0])
WEIGHTS = {0: 2.0, 1: 0.5, 2: 3.0}  # class 3 has none
EXPECTED = [2, 0.5, 3, 1, 0.5, 2]
LABELS = {
    "numbers": (Y, EXPECTED),
    "column": (Y[:, None].astype("float32"), EXPECTED),
    "one-hot": (np.eye(4)[Y], EXPECTED),
    "maps": (np.stack([Y.reshape(2, 3)] * 2), np.stack([np.reshape(EXPECTED, (2, 3))] * 2)),
}


@pytest.mark.parametrize("kind", ["numbers", "column", "one-hot", "maps"])
@pytest.mark.parametrize("own", [False, True])
def test_samples_weigh_what_their_class_does(kind, own):
    """By NumPy and in TensorFlow's graph alike; beside weights that are there."""
    labels, expected = LABELS[kind]
    x, expected = X[: len(labels)], np.asarray(expected)
    if own:
        expected = expected * 10
    arrays = (x, labels, np.full(expected.shape, 10.0)) if own else (x, labels)
    table = table_of(WEIGHTS)
    source = weighted(from_arrays(arrays, batch_size=6, seed=None), table)
    *_, found = source.read(np.arange(len(x)))
    np.testing.assert_allclose(found, expected)
    assert len(source.spec) == 3 and source.spec[2].shape == (None, *expected.shape[1:])
    dataset = weighted_dataset(tf.data.Dataset.from_tensor_slices(arrays).batch(6), table)
    assert dataset.element_spec[2].shape == source.spec[2].shape
    *_, found = next(iter(dataset))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [({}, "class numbers"), ({"cat": 1.0}, "places in class_names"), ({0: -1.0}, "at least 0"), ({-1: 1.0}, "numbers")],
)
def test_weights_that_are_none(class_weight, match):
    with pytest.raises(UserError, match=f"`class_weight`.*{match}"):
        table_of(class_weight)


def test_classes_need_labels():
    table = table_of(WEIGHTS)
    with pytest.raises(UserError, match="`class_weight` needs a label"):
        weighted(from_arrays((X,), batch_size=2, seed=None), table)
    with pytest.raises(UserError, match="`class_weight` needs a label"):
        weighted_dataset(tf.data.Dataset.from_tensor_slices(X).batch(2), table)
