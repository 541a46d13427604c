import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.selfsup import Prototypes
from kvision.selfsup.prototypes import UnitColumns

X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")


def trained(prototypes: Prototypes, steps: int) -> list[np.ndarray]:
    """The kernel after each step that pulls scores up."""
    optimizer, found = keras.optimizers.SGD(0.5, momentum=0.9), []
    import tensorflow as tf

    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prototypes(X, training=True))
        optimizer.apply(tape.gradient(loss, [prototypes.kernel.value]), [prototypes.kernel])
        found.append(read(prototypes.kernel))
    return found


def test_scores_are_cosines_of_unit_vectors_and_stay_so_after_steps():
    prototypes = Prototypes(7, 5)
    np.testing.assert_allclose(prototypes(X), X @ read(prototypes.kernel), rtol=1e-5)
    for kernel in [read(prototypes.kernel), *trained(prototypes, 3)]:
        np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1, atol=1e-5)


def test_frozen_steps_leave_them_bit_for_bit_and_then_they_move():
    prototypes = Prototypes(7, 5, frozen_steps=2)
    before = read(prototypes.kernel)
    first, second, third = trained(prototypes, 3)
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(second, before)
    assert np.abs(third - before).max() > 1e-2


def test_evaluation_does_not_count():
    prototypes = Prototypes(7, 5, frozen_steps=1)
    prototypes(X)
    np.testing.assert_array_equal(*trained(prototypes, 1), read(prototypes.kernel))
    assert int(prototypes.frozen.left) == 0


def test_units_stay_as_they_are_and_others_become_units():
    columns = np.array([[3.0, 1.0, 0.0], [4.0, 0.0, 0.0]], "float32")
    np.testing.assert_allclose(UnitColumns()(columns), [[0.6, 1, 0], [0.8, 0, 0]], atol=1e-6)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="`count`"):
        Prototypes(0, 5)
    with pytest.raises(UserError, match="`frozen_steps`"):
        Prototypes(3, 5, frozen_steps=-1)
