import math

import by_hand
import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.selfsup import SimCLR

RANDOM = np.random.default_rng(0)
# the second view is darker, so that statistics of its own would show
VIEWS = {name: RANDOM.uniform(0, top, (6, 8, 8, 3)).astype("float32") for name, top in (("a", 255), ("b", 90))}


def made(**options) -> SimCLR:
    keras.utils.set_random_seed(0)
    return by_hand.scattered(SimCLR(by_hand.encoder(), sizes=(7, 4), **options))


def by_pairs(a: np.ndarray, b: np.ndarray, temperature: float) -> float:
    """Algorithm 1, one pair after the other: the mean over 2N views."""
    z = by_hand.unit(np.concatenate([a, b]))
    total = 0.0
    for i in range(len(z)):
        similar = {k: math.exp(z[i] @ z[k] / temperature) for k in range(len(z)) if k != i}
        total -= math.log(similar[(i + len(a)) % len(z)] / sum(similar.values()))
    return total / len(z)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_whole_method_is_algorithm_1(temperature):
    method = made(temperature=temperature)
    conv, head = method.encoder.get_layer("conv").get_weights(), method.projector.get_weights()
    outputs = method(VIEWS, training=True)
    a, b = (by_hand.features(conv, VIEWS[name]) for name in ("a", "b"))
    together = np.split(by_hand.projected(head, np.concatenate([a, b])), 2)
    for name, expected in zip(("a", "b"), together, strict=True):
        np.testing.assert_allclose(outputs[name], expected, atol=1e-4)
    loss = float(method.objective(outputs))
    assert loss == pytest.approx(by_pairs(*together, temperature), rel=1e-4)
    apart = [by_hand.projected(head, each) for each in (a, b)]
    assert abs(by_pairs(*apart, temperature) - loss) > 1e-2, "control: views with statistics of their own"
    assert float(method.trivial(outputs)) == pytest.approx(math.log(2 * 6 - 1))
    np.testing.assert_array_equal(method.embedding(outputs), outputs["a"])


def test_swapped_views_have_the_same_loss():
    method = made(temperature=0.5)
    swapped = {"a": VIEWS["b"], "b": VIEWS["a"]}
    one, other = (float(method.objective(method(views, training=True))) for views in (VIEWS, swapped))
    assert one == pytest.approx(other, rel=1e-5)


def test_the_loss_that_is_logged_is_the_mean_not_twice_it():
    method = made(temperature=0.5)
    method.compile(keras.optimizers.SGD(0.0))
    conv, head = method.encoder.get_layer("conv").get_weights(), method.projector.get_weights()
    rows = by_hand.projected(head, by_hand.features(conv, np.concatenate([VIEWS["a"], VIEWS["b"]])))
    logged = method.train_on_batch(VIEWS, return_dict=True)["loss"]
    assert float(logged) == pytest.approx(by_pairs(*np.split(rows, 2), 0.5), rel=1e-4)


def test_views_are_made_inside_of_the_step():
    crop = kv.augment.RandomResizedCrop(8)
    method = made(views=kv.augment.MultiView({"a": crop, "b": crop}, seed=1))
    outputs = method({"image": VIEWS["a"]}, training=True)
    assert np.abs(np.array(outputs["a"]) - outputs["b"]).max(axis=1).min() > 1e-3, "two views differ for each image"
    again = method({"image": VIEWS["a"]}, training=True)
    assert np.abs(np.array(outputs["a"]) - again["a"]).max() > 1e-3, "and from step to step"


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="`sizes`"):
        SimCLR(by_hand.encoder(), sizes=())
    with pytest.raises(UserError, match="`temperature`"):
        method = made(temperature=0.0)
        method.objective(method(VIEWS))
