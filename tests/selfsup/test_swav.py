import itertools
import math

import by_hand
import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.selfsup import SwAV
from kvision.selfsup.presets import lars

RANDOM = np.random.default_rng(0)
SIDES = {"a": 8, "b": 8, "c": 4, "d": 4}
# the small ones are darker, so that statistics of their own would show
STEPS = [
    {n: RANDOM.uniform(0, 255 if s == 8 else 90, (4, s, s, 3)).astype("float32") for n, s in SIDES.items()}
    for _ in range(6)
]
K, TEMPERATURE, EPSILON, ITERATIONS = 5, 0.2, 0.1, 4


def made(*, small: int = 2, sizes=(7, 4), **options) -> SwAV:
    keras.utils.set_random_seed(0)
    crops = dict(list(SIDES.items())[2 : 2 + small])
    given = {"prototypes": K, "temperature": TEMPERATURE, "epsilon": EPSILON, "iterations": ITERATIONS, **options}
    method = SwAV(by_hand.encoder(), crop_sizes=crops, sizes=sizes, **given)
    for part, seed in ((method.encoder, 0), (method.projector, 1)):
        by_hand.scattered(part, seed)
    return method


def rows(method: SwAV, views: dict) -> dict[str, np.ndarray]:
    """Unit features of each view; one projector pass, so one batch of statistics, for all."""
    names = [name for name in SIDES if name in ("a", "b", *method.crops)]
    conv = method.encoder.get_layer("conv").get_weights()
    found = np.concatenate([by_hand.features(conv, views[name]) for name in names])
    parts = np.split(by_hand.unit(by_hand.projected(method.projector.get_weights(), found)), len(names))
    return dict(zip(names, parts, strict=True))


def codes(scores: np.ndarray) -> np.ndarray:
    """The published loop: prototypes by samples, whose sums are made equal in turns."""
    q = np.exp(scores / EPSILON).T
    q /= q.sum()
    for _ in range(ITERATIONS):
        q /= q.sum(axis=1, keepdims=True) * len(q)
        q /= q.sum(axis=0, keepdims=True) * q.shape[1]
    return (q * q.shape[1]).T


def loss_by_hand(z: dict[str, np.ndarray], prototypes: np.ndarray, queues: tuple = ()) -> float:
    total = 0.0
    for t, name in enumerate(("a", "b")):
        others = [z[other] for other in z if other != name]
        pool = np.concatenate([z[name], queues[t]]) if queues else z[name]
        q = codes(pool @ prototypes)[: len(z[name])]
        terms = [-(q * by_hand.log_softmax(v @ prototypes / TEMPERATURE)).sum(axis=1).mean() for v in others]
        total += np.mean(terms) / 2
    return float(total)


@pytest.mark.parametrize("small", [0, 1, 2])
@pytest.mark.parametrize("sizes", [(4,), (7, 4)])
def test_the_whole_method_is_algorithm_1(small, sizes):
    method = made(small=small, sizes=sizes)
    z, prototypes = rows(method, STEPS[0]), read(method.prototypes.kernel).astype("float64")
    outputs = method(STEPS[0], training=True)
    for name in z:
        np.testing.assert_allclose(outputs[f"score_{name}"], z[name] @ prototypes, atol=1e-4)
    for name in ("a", "b"):
        np.testing.assert_allclose(outputs[f"code_{name}"], codes(z[name] @ prototypes), atol=1e-4)
        np.testing.assert_allclose(np.sum(outputs[f"code_{name}"], axis=1), 1, atol=1e-5)
    assert {key for key in outputs if key.startswith("code_")} == {"code_a", "code_b"}, "small views only predict"
    expected = loss_by_hand(z, prototypes)
    assert float(method.objective(outputs)) == pytest.approx(expected, rel=1e-5)
    assert abs(loss_by_hand({**z, "a": z["b"], "b": z["b"]}, prototypes) - expected) > 1e-4, "control: one view"
    assert float(method.trivial(outputs)) == pytest.approx(math.log(K))
    np.testing.assert_allclose(method.embedding(outputs), z["a"], atol=1e-5)


@pytest.mark.parametrize(("start", "first"), [(0, 2), (1, 2), (4, 4)])
def test_the_queue_is_used_when_it_is_full_and_from_its_start_on(start, first):
    """A queue of two batches: full in the third step, number 2."""
    method = made(small=1, queue_size=8, queue_start=start)
    held: list[list[np.ndarray]] = [[], []]
    prototypes = read(method.prototypes.kernel).astype("float64")
    for step, views in enumerate(STEPS):
        z = rows(method, views)
        alone, expected = loss_by_hand(z, prototypes), loss_by_hand(z, prototypes)
        if step >= first:
            expected = loss_by_hand(z, prototypes, tuple(np.concatenate(queue[-2:]) for queue in held))
            assert abs(expected - alone) > 5e-4, "control: the queue shows, ten times as much as may differ"
        assert float(method.objective(method(views, training=True))) == pytest.approx(expected, rel=1e-5), step
        for queue, name in zip(held, ("a", "b"), strict=True):
            queue.append(z[name])
    for queue, expected in zip(method.queues, held, strict=True):
        np.testing.assert_allclose(read(queue.rows), np.concatenate(expected[-2:]), atol=1e-5)


@pytest.mark.parametrize("decay", [None, 0.0, "the preset's"])
def test_frozen_prototypes_stay_bit_for_bit_in_a_training_and_then_are_units(decay):
    method = made(small=0, frozen_steps=3)
    optimizer = lars(0.1)() if decay == "the preset's" else kv.training.Lars(0.5, weight_decay=decay, trust=0.1)
    method.compile(optimizer)
    longest = float(optimizer.learning_rate) * optimizer.trust * K**0.5 / (1 - optimizer.momentum)
    views = {name: np.concatenate([step[name] for step in STEPS]) for name in ("a", "b")}
    before, seen = read(method.prototypes.kernel), []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(read(method.prototypes.kernel))
    )
    kv.training.fit(method, views, epochs=1, batch_size=4, verbose=0, callbacks=[record])
    assert len(seen) == 6
    for kernel in seen[:3]:
        np.testing.assert_array_equal(kernel, before)
    for old, new in itertools.pairwise(seen[2:]):
        assert np.abs(new - old).max() > 1e-4 and np.linalg.norm(new - old) < longest, "their steps are scaled"
        np.testing.assert_allclose(np.linalg.norm(new, axis=0), 1, atol=1e-6)


def test_a_step_counts_once_toward_the_frozen_steps_and_the_start():
    method = made(frozen_steps=5, queue_size=8, queue_start=4)
    for step in range(3):
        method(STEPS[step], training=True)
        method(STEPS[step])  # evaluation does not count
        assert (int(method.prototypes.frozen.left), int(method.start.left)) == (4 - step, 3 - step)


def test_a_collapsed_encoder_does_not_get_below_the_trivial_value():
    method = made()
    for variable in method.encoder.trainable_variables:
        variable.assign(0 * variable + 0.3 * (len(variable.shape) == 1))
    outputs = method(STEPS[0], training=True)
    np.testing.assert_allclose(outputs["code_a"], 1 / K, atol=1e-5)
    assert float(method.objective(outputs)) >= math.log(K) - 1e-5
    kernel = read(method.prototypes.kernel)
    method.prototypes.kernel.assign(np.repeat(kernel[:, :1], K, axis=1))  # equality: all scores the same
    assert float(method.objective(method(STEPS[0], training=True))) == pytest.approx(math.log(K), rel=1e-6)


def test_the_encoder_at_another_size_has_the_same_weights():
    method = made()
    (size, small) = next(iter(method.small.items()))
    assert list(method.small) == [size] == [4] and small.input_shape == (None, 4, 4, 3)
    assert [id(v) for v in small.variables] == [id(v) for v in method.encoder.variables]
    conv = method.encoder.get_layer("conv").get_weights()
    np.testing.assert_allclose(small(STEPS[0]["c"]), by_hand.features(conv, STEPS[0]["c"]), atol=1e-5)
    method.encoder.get_layer("conv").kernel.assign(conv[0] + 1)
    assert np.abs(small(STEPS[0]["c"]) - by_hand.features(conv, STEPS[0]["c"])).max() > 1e-2


def test_an_encoder_around_another_runs_on_small_crops_and_one_of_a_single_size_is_refused():
    body, image = by_hand.encoder(), keras.Input((8, 8, 3), name="image")
    method = SwAV(keras.Model(image, keras.layers.Dense(5)(body(image))), crop_sizes={"c": 4}, sizes=(4,), prototypes=K)
    outputs = method(STEPS[0], training=True)
    assert outputs["score_c"].shape == (4, K) and math.isfinite(method.objective(outputs))
    flat = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(image)))
    with pytest.raises(UserError, match=r"takes images of one size.*Expected a network of convolutions and pooling"):
        SwAV(flat, crop_sizes={"c": 4})


def test_views_of_several_sizes_are_told_apart_by_name():
    """Views named against the order of their sizes: each goes through the encoder of its own size."""
    keras.utils.set_random_seed(0)
    method = SwAV(by_hand.encoder(), crop_sizes={"c": 6, "d": 4, "e": 6}, sizes=(4,), prototypes=K)
    views = {**STEPS[0], "c": STEPS[1]["a"][:, :6, :6], "e": STEPS[2]["a"][:, 2:, 2:]}
    outputs = method(views, training=True)
    conv, head = method.encoder.get_layer("conv").get_weights(), method.projector.get_weights()
    for name in "abcde":
        z = by_hand.unit(by_hand.projected(head, by_hand.features(conv, views[name])))
        np.testing.assert_allclose(outputs[f"score_{name}"], z @ read(method.prototypes.kernel), atol=1e-4)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match=r"`crop_sizes` .*views other than 'a' and 'b'"):
        SwAV(by_hand.encoder(), crop_sizes={"b": 4})
    more = kv.augment.MultiView(dict.fromkeys("abcd", kv.augment.swav(8)))
    for crops in ({}, {"c": 8}, {"c": 8, "d": 8, "e": 8}):
        with pytest.raises(UserError, match=r"`crop_sizes` .*sizes of all views .*\['c', 'd'\]"):
            SwAV(by_hand.encoder(), more, crop_sizes=crops)
    for name, value in (("frozen_steps", -1), ("queue_start", -1)):
        with pytest.raises(UserError, match=f"`{name}`"):
            made(**{name: value})
    for name, value in (("prototypes", 0), ("queue_size", 6)):
        with pytest.raises(UserError, match=r"`prototypes`|a divisor of 6"):
            made(**{name: value})(STEPS[0], training=True)
    for name in ("epsilon", "iterations"):
        with pytest.raises(UserError, match=f"`{name}`"):
            made(**{name: 0})(STEPS[0])
    with pytest.raises(UserError, match="`temperature`"):
        method = made(temperature=0.0)
        method.objective(method(STEPS[0]))
