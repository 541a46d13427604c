import math

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.augment import Key, next_key
from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.selfsup import NPID

RANDOM = np.random.default_rng(0)
COUNT, TEMPERATURE = 12, 0.2
IMAGES = RANDOM.uniform(0, 255, (COUNT, 8, 8, 3)).astype("float32")
INDEX = np.array([7, 0, 11, 3], "int32")
BATCH = {"a": IMAGES[INDEX], "index": INDEX}


def made(**options) -> NPID:
    keras.utils.set_random_seed(0)
    method = NPID(by_hand.encoder(), **{"count": COUNT, "width": 4, "temperature": TEMPERATURE, "seed": 5, **options})
    return by_hand.scattered(method)


def feature(method: NPID) -> np.ndarray:
    conv, head = method.encoder.get_layer("conv").get_weights(), method.projector.get_weights()
    return by_hand.unit(by_hand.projected(head, by_hand.features(conv, BATCH["a"])))


def test_the_softmax_over_all_images_is_the_equation_and_the_bank_moves_only_at_index():
    method = made()
    bank, v = read(method.bank.rows), feature(method)
    outputs = method(BATCH, training=True)
    logits = v @ bank.T / TEMPERATURE
    expected = -np.mean([by_hand.log_softmax(logits)[row, image] for row, image in enumerate(INDEX)])
    assert float(method.objective(outputs)) == pytest.approx(expected, rel=1e-4)
    wrong = -np.mean([by_hand.log_softmax(logits)[row, image] for row, image in enumerate(INDEX[::-1])])
    assert abs(wrong - expected) > 1e-2, "control: the index of another image"
    after, others = read(method.bank.rows), np.setdiff1d(np.arange(COUNT), INDEX)
    np.testing.assert_array_equal(after[others], bank[others])
    np.testing.assert_allclose(after[INDEX], by_hand.unit(0.5 * bank[INDEX] + 0.5 * v), atol=1e-5)
    assert float(method.trivial(outputs)) == pytest.approx(math.log(COUNT))
    np.testing.assert_allclose(method.embedding(outputs), v, atol=1e-5)


def test_noise_contrastive_estimation_with_the_drawn_rows_replayed():
    method, m = made(negatives=6), 6
    bank, v = read(method.bank.rows), feature(method)
    state = read(method.noise.state)
    key = Key(next_key(method.noise))
    drawn = np.array(keras.random.randint((4, m), 0, COUNT, seed=key))
    method.noise.state.assign(state)
    outputs = method(BATCH, training=True)
    noise = np.exp((v[:, None] * bank[drawn]).sum(axis=-1) / TEMPERATURE)
    z = COUNT * noise.mean()
    own, noise = np.exp((v * bank[INDEX]).sum(axis=-1) / TEMPERATURE) / z, noise / z
    expected = 0.0
    for b in range(4):
        expected -= math.log(own[b] / (own[b] + m / COUNT)) / 4
        expected -= sum(math.log(1 - p / (p + m / COUNT)) for p in noise[b]) / 4
    assert float(method.objective(outputs)) == pytest.approx(expected, rel=1e-4)
    assert float(outputs["log_partition"][0]) == pytest.approx(math.log(z), rel=1e-5)
    assert float(method.trivial(outputs)) == pytest.approx(math.log(1 + m) + m * math.log(1 + 1 / m), rel=1e-6)
    np.testing.assert_allclose(read(method.bank.rows)[INDEX], by_hand.unit(bank[INDEX] + v), atol=1e-5)


def test_noise_is_drawn_anew_for_each_image_and_step_from_all_rows():
    method = made(negatives=64)
    method.bank.rows.assign(np.eye(COUNT, 4))  # a cosine tells which row it is, or that it is none of the first four
    found = [np.array(method(BATCH)["noise"]) for _ in range(2)]
    assert np.abs(found[0] - found[1]).max() > 1e-2
    v = np.array(method(BATCH)["feature"])
    for row in range(4):
        assert {round(float(c), 4) for c in v[row]} <= {round(float(c), 4) for c in found[0][row]}
    picks = [[bool(abs(c) < 1e-7) for c in found[0][row]] for row in range(4)]
    assert len({tuple(pick) for pick in picks}) == 4, "other rows for each image"


def test_z_is_estimated_once_and_kept():
    method, z = made(negatives=6), []
    evaluated = [float(method(BATCH)["log_partition"][0]) for _ in range(2)]
    assert int(method.partition.known) == 0 and evaluated[0] != evaluated[1], "evaluation estimates, and keeps nothing"
    for step in range(3):
        z.append(float(method(BATCH, training=True)["log_partition"][0]))
        by_hand.scattered(method.encoder, step + 1)
    assert z[0] == z[1] == z[2] == float(read(method.partition.log_z))
    assert float(method(BATCH)["log_partition"][0]) == z[0], "evaluation takes it"


def test_the_bank_and_the_estimate_do_not_train():
    for negatives in (None, 6):
        method = made(negatives=negatives)
        trained = method.trainable_variables
        assert {id(v) for v in trained} == {id(v) for m in (method.encoder, method.projector) for v in m.weights}
        with tf.GradientTape() as tape:
            loss = method.objective(method(BATCH, training=True))
        gradients = tape.gradient(loss, [v.value for v in trained])
        assert len(trained) == 4 and all(np.abs(g).max() > 0 for g in gradients)


def test_in_a_training_each_row_comes_near_its_own_image():
    method = made(momentum=0.0)
    method.compile(keras.optimizers.SGD(0.0))
    before = read(method.bank.rows)
    views = {"a": IMAGES, "index": np.arange(COUNT, dtype="int32")}
    kv.training.fit(method, views, epochs=1, batch_size=4, seed=3, verbose=0)
    conv, head = method.encoder.get_layer("conv").get_weights(), method.projector.get_weights()
    expected = by_hand.unit(by_hand.projected(head, by_hand.features(conv, IMAGES)))
    np.testing.assert_allclose(read(method.bank.rows), expected, atol=1e-5)
    assert np.abs(before - expected).max() > 0.1


def test_what_does_not_fit_is_said():
    for name, value in (("count", 0), ("width", 0), ("momentum", 1.0), ("negatives", 0)):
        with pytest.raises(UserError, match=f"`{name}`"):
            made(**{name: value})
    for negatives in (None, 3):
        with pytest.raises(UserError, match="`temperature`"):
            method = made(temperature=-1.0, negatives=negatives)
            method.objective(method(BATCH))
