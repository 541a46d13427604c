import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.selfsup import MomentumTwin

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")


def network(norm: bool = True) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((3,), name="image")
    x = keras.layers.Dense(4, name="dense")(image)
    return keras.Model(image, keras.layers.BatchNormalization(name="bn")(x) if norm else x)


def test_it_is_the_moving_average_of_what_trains():
    model = network()
    twin = MomentumTwin(model, momentum=0.9)
    slow = [read(v) for v in model.trainable_variables]
    for step in range(4):
        for variable in model.trainable_variables:
            variable.assign(variable + 0.1 * (step + 1))
        slow = [0.9 * k + 0.1 * read(q) for k, q in zip(slow, model.trainable_variables, strict=True)]
        twin(X, training=True)
    for found, expected in zip(twin.slow.get_weights()[: len(slow)], slow, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert twin.trainable_variables == []


def test_it_averages_before_it_runs_and_keeps_its_own_statistics():
    model = network()
    twin = MomentumTwin(model, momentum=0.0)
    model.get_layer("dense").kernel.assign(model.get_layer("dense").kernel * 3)
    np.testing.assert_allclose(twin(X, training=True), model(X, training=True), atol=1e-5)
    # both have seen one batch; another for the model alone does not reach the twin
    statistics = read(twin.slow.get_layer("bn").moving_mean)
    model(X + 5, training=True)
    np.testing.assert_array_equal(read(twin.slow.get_layer("bn").moving_mean), statistics)
    assert np.abs(statistics).max() > 0


def test_momentum_one_and_evaluation_leave_it_bit_for_bit():
    model = network()
    twin = MomentumTwin(model, momentum=1.0)
    before = [read(v) for v in twin.slow.trainable_weights or twin.slow.weights[:4]]
    for variable in model.trainable_variables:
        variable.assign(variable + 1)
    twin(X, training=True)
    twin.momentum.assign(0.0)
    twin(X)
    for old, new in zip(before, twin.slow.weights, strict=False):
        np.testing.assert_array_equal(old, read(new))


def test_a_parents_trainable_neither_opens_nor_stops_it():
    class Parent(keras.Model):
        def __init__(self):
            super().__init__()
            self.fast = network()
            self.twin = MomentumTwin(self.fast)

    parent = Parent()
    count = len(parent.trainable_variables)
    parent.trainable = False
    parent.trainable = True
    assert len(parent.trainable_variables) == count == 4
    parent.trainable = False
    before = read(parent.twin.slow.get_layer("bn").moving_mean)
    parent.twin(X, training=True)
    assert np.abs(read(parent.twin.slow.get_layer("bn").moving_mean) - before).max() > 0


@pytest.mark.parametrize("groups", [1, 3])
def test_in_groups_no_key_shares_statistics_with_the_whole_batch(groups):
    """Rows of another group may change as they like: a key's value comes from its own group of four."""
    twin = MomentumTwin(network(), momentum=1.0, groups=groups, seed=7)

    def keys(x):
        twin.order.state.assign([7, 0])  # the same draw
        return np.array(twin(x, training=True))

    before, moved = keys(X), X.copy()
    moved[0] += 10
    changed = np.abs(keys(moved) - before).max(axis=1) > 1e-6
    assert changed.sum() == (12 if groups == 1 else 4) and changed[0]


def test_groups_keep_the_order_of_rows_and_draw_anew():
    twin = MomentumTwin(network(norm=False), momentum=1.0, groups=3)
    np.testing.assert_allclose(twin(X, training=True), twin.slow(X), atol=1e-6)
    twin = MomentumTwin(network(), momentum=1.0, groups=3)
    first, second = np.array(twin(X, training=True)), np.array(twin(X, training=True))
    assert np.abs(first - second).max() > 1e-3


def test_an_adapted_normalization_normalizes_in_the_twin_too():
    norm = keras.layers.Normalization()
    norm.adapt(X * 3 + 5)
    image = keras.Input(X.shape[1:])
    model = keras.Model(image, keras.layers.Dense(2)(norm(image)))
    np.testing.assert_allclose(MomentumTwin(model, momentum=1.0)(X), model(X), atol=1e-6)


def test_no_gradient_goes_through():
    import tensorflow as tf

    twin, x = MomentumTwin(network()), tf.Variable(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(twin(x, training=True) ** 2)
    assert tape.gradient(loss, [x, *(v.value for v in twin.slow.variables[:4])]) == [None] * 5


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match=r"`batch_size` .*a multiple of `groups`, 5"):
        MomentumTwin(network(), groups=5)(X, training=True)
    with pytest.raises(UserError, match="`momentum`"):
        MomentumTwin(network(), momentum=1.5)
    with pytest.raises(UserError, match="`groups`"):
        MomentumTwin(network(), groups=0)


def test_a_batch_of_an_unknown_size_that_does_not_divide_keeps_its_rows():
    model = network(norm=False)
    twin = MomentumTwin(model, groups=8, seed=0)
    step = tf.function(lambda x: twin(x, training=True), input_signature=[tf.TensorSpec((None, 3))])
    np.testing.assert_allclose(step(X[:10]), model(X[:10]), atol=1e-6)
