import contextlib

import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf

from kvision.distribute import values
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
    return [[part.numpy().tolist() for part in parts], kv.distribute.values.read(flags).tolist()]

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
    assert float(values.read(weight)) == -2 and values.read(flags).tolist() == [9, 9]
    for bad in (np.nan, np.inf, -np.inf):
        run(tf.constant(bad, tf.float32))
        assert float(values.read(weight)) == -2 and values.read(flags).tolist() == [0, 1]


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


SCALED = """
keras.config.set_dtype_policy("mixed_float16")
with strategy.scope():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=1024), "mse")

def after(*targets):
    '''One step of four equal rows: each replica has two. -> all copies of the weights, the scale.'''
    rows = np.ones((4, 3), "float32"), np.repeat(np.array(targets, "float32")[:, None], 2, axis=1)
    kv.training.fit(model, tf.data.Dataset.from_tensor_slices(rows).batch(4), epochs=1, verbose=0)
    copies = [strategy.experimental_local_results(v.value) for v in model.trainable_variables]
    return [np.concatenate([part.numpy().ravel() for part in parts]).tolist() for parts in zip(*copies)], float(
        kv.distribute.values.read(model.optimizer.dynamic_scale))

start = after(0, 0, 0, 0)
# of 2 * 1000 / 4 * 1024 float16 makes infinity
answer(start=start, second=after(0, 0, 1000, 1000), first=after(1000, 1000, 0, 0), end=after(1, 1, 1, 1))
"""


def test_replicas_leave_a_step_out_together_where_float16_of_one_overflows():
    (found,) = replicas.run(SCALED, devices=2)
    (weights, other), scale = found["start"]
    assert weights == other and scale == 1024
    assert found["second"] == [[weights] * 2, 512], "stock Keras asks the first replica, and adds infinity to all"
    assert found["first"] == [[weights] * 2, 256]
    (moved, other), scale = found["end"]
    assert moved == other and scale == 256 and moved != weights and np.isfinite(moved).all()
