import math

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.selfsup import MoCo

RANDOM = np.random.default_rng(0)
BATCHES = [{n: RANDOM.uniform(0, 255, (4, 8, 8, 3)).astype("float32") for n in ("a", "b")} for _ in range(5)]
MOMENTUM, TEMPERATURE, SIZE = 0.7, 0.2, 12


def made(*, sizes=(7, 4), momentum: float = MOMENTUM, groups: int = 1, **options) -> MoCo:
    keras.utils.set_random_seed(0)
    options = {"queue_size": SIZE, "temperature": TEMPERATURE, **options}
    return MoCo(by_hand.encoder(), sizes=sizes, momentum=momentum, groups=groups, **options)


def fast(method: MoCo) -> list[np.ndarray]:
    """The query network's weights: of the encoder, then of the head."""
    return [read(v) for model in (method.encoder, method.projector) for v in model.weights]


def rows(weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
    return by_hand.unit(by_hand.projected(weights[2:], by_hand.features(weights[:2], images), norm=False))


@pytest.mark.parametrize("sizes", [(4,), (7, 4)])
def test_three_steps_are_algorithm_1_with_the_twins_closed_form(sizes):
    """k after n steps: m^n k_0 + (1 - m) sum m^(n - t) q_t, for weights q_t that a script sets."""
    method = made(sizes=sizes)
    script, queue = [fast(method)], read(method.queue.rows)
    begun = queue.copy()
    for step in range(3):
        by_hand.scattered(method.encoder, 2 * step)
        by_hand.scattered(method.projector, 2 * step + 1)
        script.append(fast(method))
        outputs = method(BATCHES[step], training=True)
        slow = [MOMENTUM ** (step + 1) * w for w in script[0]]
        for t in range(1, step + 2):
            slow = [k + (1 - MOMENTUM) * MOMENTUM ** (step + 1 - t) * w for k, w in zip(slow, script[t], strict=True)]
        query, key = rows(script[-1], BATCHES[step]["a"]), rows(slow, BATCHES[step]["b"])
        logits = np.concatenate([(query * key).sum(axis=1, keepdims=True), query @ queue.T], axis=1) / TEMPERATURE
        assert logits.shape == (4, 1 + SIZE)
        expected = -by_hand.log_softmax(logits)[:, 0].mean()
        assert float(method.objective(outputs)) == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(method.embedding(outputs), query, atol=1e-5)
        queue[4 * step : 4 * step + 4] = key  # after the logits
        np.testing.assert_allclose(read(method.queue.rows), queue, atol=1e-5)
    assert float(method.trivial(outputs)) == pytest.approx(math.log(SIZE + 1))
    assert np.abs(queue - begun).max(axis=1).min() > 1e-3, "all of the queue is new"


def test_a_key_is_no_negative_in_its_own_step_and_is_one_in_the_next():
    method = made()
    first = method(BATCHES[0], training=True)
    taken = read(method.queue.rows)[:4]
    own = np.array(first["query"]) @ taken.T
    assert np.abs(np.array(first["negatives"])[:, :4] - own).max() > 1e-2
    second = method(BATCHES[1], training=True)
    np.testing.assert_allclose(second["negatives"][:, :4], np.array(second["query"]) @ taken.T, atol=1e-6)


def test_after_a_round_the_oldest_batch_is_gone_and_the_order_is_kept():
    method = made(momentum=1.0)  # a twin that stays, so that keys can be had again
    keys = []
    for batch in BATCHES:
        method(batch, training=True)
        keys.append(by_hand.unit(np.array(method.twin(batch["b"]))))
    held = read(method.queue.rows)
    np.testing.assert_allclose(held, np.concatenate([keys[3], keys[4], keys[2]]), atol=1e-5)
    for gone in keys[:2]:
        assert np.abs(held[:, None] - gone[None]).max(axis=-1).min() > 1e-4


def test_no_gradient_reaches_the_twin_and_nothing_but_query_encoder_and_head_trains():
    method = made()
    trained, slow = method.trainable_variables, [v.value for v in method.twin.slow.weights]
    assert {id(v) for v in trained} == {id(v) for m in (method.encoder, method.projector) for v in m.weights}
    with tf.GradientTape() as tape:
        tape.watch(slow)
        loss = method.objective(method(BATCHES[0], training=True))
    gradients = tape.gradient(loss, [*slow, *(v.value for v in trained)])
    assert gradients[: len(slow)] == [None] * len(slow)
    assert len(trained) == 6 and all(np.abs(g).max() > 0 for g in gradients[len(slow) :])


@pytest.mark.parametrize("momentum", [1.0, 0.9])
def test_with_momentum_one_the_twin_stays_bit_for_bit_in_a_training(momentum):
    method = made(momentum=momentum)
    method.compile(keras.optimizers.SGD(0.5))
    before = [read(v) for v in method.twin.slow.weights]
    views = {name: np.concatenate([batch[name] for batch in BATCHES]) for name in ("a", "b")}
    kv.training.fit(method, views, epochs=1, batch_size=4, verbose=0)
    same = [np.array_equal(old, read(v)) for old, v in zip(before, method.twin.slow.weights, strict=True)]
    assert all(same) if momentum == 1.0 else not any(same)


def test_a_new_momentum_reaches_a_step_that_is_traced():
    method = made(momentum=1.0)
    method.compile(keras.optimizers.SGD(0.0))
    by_hand.scattered(method.encoder, 3)
    method.train_on_batch(BATCHES[0])
    traced, kernel = method.train_function, lambda model: read(model.get_layer("conv").kernel)
    assert np.abs(kernel(method.twin.slow) - kernel(method.encoder)).max() > 0.1
    method.twin.momentum.assign(0.0)
    method.train_on_batch(BATCHES[1])
    np.testing.assert_array_equal(kernel(method.twin.slow), kernel(method.encoder))
    assert method.train_function is traced


def test_versions_differ_in_the_head_and_temperature_alone():
    assert [type(layer).__name__ for layer in made(sizes=(4,)).projector.layers] == ["Dense"]
    assert [type(layer).__name__ for layer in made(sizes=(7, 4)).projector.layers] == ["Dense", "ReLU", "Dense"]


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match=r"`batch_size` .*queue.*divisor of 10. Received: 4"):
        made(queue_size=10)(BATCHES[0], training=True)
    with pytest.raises(UserError, match=r"`batch_size` .*`groups`, 3. Received: 4"):
        made(groups=3)(BATCHES[0], training=True)
    with pytest.raises(UserError, match="`queue_size`"):
        made(queue_size=0)
    with pytest.raises(UserError, match="`momentum`"):
        made(momentum=-0.1)
    with pytest.raises(UserError, match="`sizes`"):
        made(sizes=(0,))
    with pytest.raises(UserError, match="`temperature`"):
        method = made(temperature=0.0)
        method.objective(method(BATCHES[0]))
