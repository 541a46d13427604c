import numpy as np
import replicas

from kvision.distribute import gather_replicas

CODE = """
random = np.random.default_rng(0)
x, w = random.normal(size=(8, 5)).astype("float32"), random.normal(size=(5, 3)).astype("float32")

def gradient(gather, distributed):
    def loss(rows, weights):
        z = tf.math.l2_normalize(rows @ weights, axis=1)
        own = gather(z)
        logits = own @ tf.transpose(own) / 0.2 - 1e9 * tf.eye(tf.shape(own)[0])
        pairs = tf.range(tf.shape(own)[0]) ^ 1  # rows 2i and 2i + 1 are one image's views
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(pairs, logits))

    def step(rows):
        weights = tf.constant(w)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss(rows, weights) / kv.distribute.replica_count()
        return tape.gradient(value, weights), gather(rows)

    if not distributed:
        return [part.numpy().tolist() for part in step(tf.constant(x))]

    @tf.function
    def both():
        halves = tf.split(x, 2)
        rows = strategy.experimental_distribute_values_from_function(lambda c: halves[c.replica_id_in_sync_group])
        parts, gathered = strategy.run(step, args=(rows,))
        return strategy.reduce("SUM", parts, axis=None), strategy.experimental_local_results(gathered)

    total, gathered = both()
    return [total.numpy().tolist(), [part.numpy().tolist() for part in gathered]]

gathers = kv.distribute.gather_replicas
with strategy.scope():
    symbolic = keras.ops.shape(gathers(keras.KerasTensor((4, 2))))
    two, alone = gradient(gathers, True), gradient(lambda z: z, True)
answer(one=gradient(gathers, False), two=two, alone=alone, x=x.tolist(), symbolic=list(symbolic))
"""


def test_gathered_rows_and_gradients_are_those_of_one_device():
    (found,) = replicas.run(CODE, devices=2)
    one, two, alone = (np.array(found[name][0]) for name in ("one", "two", "alone"))
    np.testing.assert_allclose(two, one, atol=1e-6)
    assert np.abs(alone - one).max() > 1e-2, "control: negatives of the own replica alone"
    for rows in found["two"][1]:
        np.testing.assert_array_equal(rows, found["x"])
    assert found["symbolic"] == [4, 2]


def test_one_replica_keeps_its_own():
    x = np.ones(3)
    assert gather_replicas(x) is x
