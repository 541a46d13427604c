import numpy as np
import pytest
import tensorflow as tf

from kvision import losses
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
PREDICTION, TARGET = RANDOM.normal(size=(2, 3, 5, 4)).astype("float32")
MASK = np.array([[1, 0, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], "float32")


@pytest.mark.parametrize("power", [1, 2])
def test_the_mean_over_masked_patches_alone(power):
    found = losses.masked_error(PREDICTION, TARGET, MASK, power=power)
    for b in range(2):
        parts = [(np.abs(PREDICTION[b, i] - TARGET[b, i]) ** power).mean() for i in range(5) if MASK[b, i]]
        assert float(found[b]) == pytest.approx(np.mean(parts), rel=1e-5)
    assert float(found[2]) == 0, "nothing masked"


def test_predictions_of_patches_that_are_seen_have_no_gradient():
    prediction = tf.Variable(PREDICTION)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses.masked_error(prediction, TARGET, MASK))
    gradient = np.array(tape.gradient(loss, prediction))
    assert (gradient[MASK == 0] == 0).all() and (gradient[MASK == 1] != 0).all()


def test_another_power_is_refused():
    with pytest.raises(UserError, match=r"`power` is not valid. Expected 1 or 2. Received: 3"):
        losses.masked_error(PREDICTION, TARGET, MASK, power=3)
