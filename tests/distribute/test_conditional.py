import contextlib

import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf

from kvision import distribute
from kvision.distribute.conditional import if_finite

BOTH = """
from kvision.distribute.conditional import if_finite

with strategy.scope():
    options = {"trainable": False, "aggregation": "only_first_replica", "dtype": "int32"}
    flags = keras.Variable([9, 9, 9], **options)
    total = keras.Variable([0.0, 0.0], name="total")
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([total])

def step(numbers):
    own = tf.identity(numbers)[tf.distribute.get_replica_context().replica_id_in_sync_group]
    first, second = own[0], own[1]
    def then(values):
        optimizer.apply([tf.stack([values[0], values[1]])], [total])
    def otherwise(found):
        flags.assign(found)
    if_finite([first, second, None], then, otherwise)

@tf.function(autograph=False)
def both(numbers):
    strategy.run(step, args=(numbers,))

def after(*numbers):
    both(tf.constant(numbers, "float32"))
    parts = strategy.experimental_local_results(total.value)
    return [[part.numpy().tolist() for part in parts], kv.distribute.read(flags).tolist()]

answer(
    finite=after([1, 2], [3, 4]), nan=after([1, 2], [3, np.nan]), inf=after([-np.inf, 2], [3, 4]),
    again=after([1, 1], [1, 1]),
)
"""


def test_two_replicas_decide_together():
    (found,) = replicas.run(BOTH, devices=2)
    assert found["finite"] == [[[-4, -6]] * 2, [9, 9, 9]], "the gradients of both are added"
    assert found["nan"] == [[[-4, -6]] * 2, [0, 1, 0]], "nobody updates, though one replica's values are finite"
    assert found["inf"] == [[[-4, -6]] * 2, [1, 0, 0]]
    assert found["again"][0] == [[-6, -8]] * 2


@pytest.mark.parametrize("strategy", [None, tf.distribute.OneDeviceStrategy, tf.distribute.MirroredStrategy])
def test_one_replica_under_any_strategy(strategy):
    own = None if strategy is None else strategy("CPU:0" if "One" in strategy.__name__ else ["CPU:0"])
    with contextlib.nullcontext() if own is None else own.scope():
        weight, flags = keras.Variable(1.0), keras.Variable([9, 9], dtype="int32", trainable=False)
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build([weight])

    def step(gradient):
        gradient = 1.0 * gradient  # on the replica's device

        def then(values):
            optimizer.apply(values[1:], [weight])

        def otherwise(found):
            flags.assign(found)

        if_finite([None, gradient], then, otherwise)

    @tf.function(autograph=False)
    def run(gradient):
        step(gradient) if own is None else own.run(step, args=(gradient,))

    run(tf.constant(3.0))
    assert float(distribute.read(weight)) == -2 and distribute.read(flags).tolist() == [9, 9]
    for bad in (np.nan, np.inf, -np.inf):
        run(tf.constant(bad, tf.float32))
        assert float(distribute.read(weight)) == -2 and distribute.read(flags).tolist() == [0, 1]


def test_rows_of_an_embedding_count_too():
    table = keras.Variable(np.zeros((4, 2), "float32"))
    seen = []

    def step(scale):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table.value, [1, 1, 3]) * scale)
        gradient = tape.gradient(loss, table.value)
        assert isinstance(gradient, tf.IndexedSlices)
        if_finite([gradient], lambda values: seen.append("update"), lambda flags: seen.append(flags.numpy().tolist()))

    step(1.0)
    step(np.nan)
    assert seen == ["update", [1]]
