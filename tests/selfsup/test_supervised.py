import math

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.checks import UserError
from kvision.selfsup import Supervised

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(0, 255, (6, 8, 8, 3)).astype("float32")
BATCH = {"a": IMAGES, "label": np.array([0, 3, 1, 2, 2, 0], "int32")}


def made(**options) -> Supervised:
    keras.utils.set_random_seed(0)
    return by_hand.scattered(Supervised(by_hand.encoder(), **{"classes": 4, **options}))


def logits(method: Supervised) -> np.ndarray:
    kernel, bias = method.head.get_weights()
    return by_hand.features(method.encoder.get_layer("conv").get_weights(), IMAGES) @ kernel.astype("float64") + bias


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_cross_entropy_of_smoothed_labels(smoothing):
    method = made(smoothing=smoothing)
    outputs, expected = method(BATCH), 0.0
    for row, label in zip(by_hand.log_softmax(logits(method)), BATCH["label"], strict=True):
        target = [smoothing / 4 + (1 - smoothing) * (k == label) for k in range(4)]
        assert sum(target) == pytest.approx(1)
        expected -= sum(t * log for t, log in zip(target, row, strict=True)) / 6
    assert float(method.objective(outputs)) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(outputs["logits"], logits(method), atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_head_of_zeros_gives_the_trivial_value(smoothing):
    method = made(smoothing=smoothing)
    outputs = method(BATCH)
    assert abs(float(method.objective(outputs)) - math.log(4)) > 1e-2
    method.head.set_weights([np.zeros((by_hand.WIDTH, 4)), np.zeros(4)])
    outputs = method(BATCH)
    assert float(method.objective(outputs)) == pytest.approx(math.log(4), rel=1e-6)
    assert float(method.trivial(outputs)) == pytest.approx(math.log(4), rel=1e-6)


def test_the_encoder_has_a_gradient():
    method = made()
    with tf.GradientTape() as tape:
        loss = method.objective(method(BATCH, training=True))
    gradients = tape.gradient(loss, [v.value for v in method.encoder.trainable_variables])
    assert len(gradients) == 2 and all(np.abs(g).max() > 1e-4 for g in gradients)


def test_it_learns_a_few_images_by_heart():
    method = made()
    method.compile(keras.optimizers.Adam(0.2))
    for _ in range(150):
        loss = method.train_on_batch(BATCH, return_dict=True)["loss"]
    assert float(loss) < 0.05 and np.argmax(method(BATCH)["logits"], axis=1).tolist() == BATCH["label"].tolist()


def test_a_column_of_labels_is_as_good_as_a_row():
    """As `keras.datasets.cifar10` has them, uint8 too."""
    method = made()
    column = {**BATCH, "label": BATCH["label"][:, None].astype("uint8")}
    assert float(method.objective(method(column))) == float(method.objective(method(BATCH)))
    with pytest.raises(Exception, match="reshape"):
        method({**BATCH, "label": np.eye(4, dtype="int32")[BATCH["label"]]})


@pytest.mark.parametrize("label", [4, -1])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_label_of_no_class_makes_the_loss_nan_and_stops_a_training(label, smoothing):
    method = made(smoothing=smoothing)
    method.compile(kv.training.SGD(0.1))
    kv.training.fit(method, BATCH, batch_size=3, epochs=1, verbose=0)
    before = method.get_weights()
    wrong = {**BATCH, "label": np.array([0, 3, 1, 2, 2, label], "int32")}
    assert math.isnan(method.objective(method(wrong)))
    with pytest.raises(kv.training.NonFinite):
        kv.training.fit(method, {name: rows[3:] for name, rows in wrong.items()}, batch_size=3, epochs=1, verbose=0)
    for ours, old in zip(method.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, old)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match=r"`classes` .*at least 2.*Received: 1"):
        made(classes=1)
    for smoothing in (-0.1, 1.0):
        with pytest.raises(UserError, match="`smoothing`"):
            made(smoothing=smoothing)
