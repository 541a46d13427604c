import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.selfsup import FeatureQueue


def test_first_in_first_out_and_what_comes_back_is_from_before():
    queue = FeatureQueue(6, 2)
    expected = [list(row) for row in read(queue.rows)]
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)
    place = 0
    for step in range(7):
        keys = step + np.array([[0.0, 0.0], [0.5, 0.5]], "float32")
        np.testing.assert_allclose(queue(keys, training=True), expected)
        for key in keys:
            expected[place % 6] = list(key)
            place += 1
        np.testing.assert_allclose(read(queue.rows), expected)
    assert int(queue.count) >= 6, "it is full"


def test_count_tells_when_it_is_full_and_never_ends():
    queue, counts = FeatureQueue(4, 1), []
    for _ in range(9):
        queue(np.zeros((2, 1), "float32"), training=True)
        counts.append(int(queue.count))
    assert counts[0] == 2 and min(counts[1:]) >= 4 and max(counts) < 8


def test_batches_of_a_size_that_nobody_knew_leave_in_their_order_too():
    queue, seen = FeatureQueue(5, 1), []
    call = tf.function(lambda keys: queue(keys, training=True), [tf.TensorSpec((None, 1))])
    for step in range(12):
        seen += [2 * step, 2 * step + 1]
        call(np.array(seen[-2:], "float32")[:, None])
        assert step < 2 or sorted(read(queue.rows)[:, 0]) == seen[-5:]


def test_evaluation_leaves_it_alone():
    queue = FeatureQueue(4, 2)
    before = read(queue.rows)
    queue(np.ones((2, 2), "float32"))
    np.testing.assert_array_equal(read(queue.rows), before)
    assert int(queue.count) == 0


def test_it_stays_float32_in_half_precision():
    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="mixed_float16")
            self.queue = FeatureQueue(4, 3)

        def call(self, x):
            return self.queue(keras.ops.normalize(keras.ops.cast(x, "float32")), training=True)

    outer, x = Outer(), np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    assert outer(x).dtype == "float32"
    found = read(outer.queue.rows)
    assert found.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_batch_that_does_not_divide_it_is_refused():
    with pytest.raises(UserError, match=r"`batch_size` .*a divisor of 4"):
        FeatureQueue(4, 2)(np.zeros((3, 2), "float32"), training=True)
    with pytest.raises(UserError, match="`width`"):
        FeatureQueue(4, 0)
