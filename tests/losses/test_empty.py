"""Every loss on what can be empty, alone or all alike: values and gradients stay finite."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from kvision import losses

RANDOM = np.random.default_rng(0)
VOID, ONE_CLASS = np.full((2, 3, 4), 255), np.ones((2, 3, 4), int)
LABELS = RANDOM.integers(0, 3, (2, 3, 4))


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("float32")


def equal(*shape: int) -> np.ndarray:
    return np.full(shape, 0.5, "float32")


CERTAIN = 200 * np.eye(3, dtype="float32")[LABELS]  # probabilities of 0 and 1: e^-200 is none in float32
PIXELS = {
    "some void": (np.where(LABELS == 0, 255, LABELS), drawn(2, 3, 4, 3)),
    "all void": (VOID, drawn(2, 3, 4, 3)),
    "all void, certain": (VOID, CERTAIN),
    "one class": (ONE_CLASS, drawn(2, 3, 4, 3)),
    "one class, others underflow": (ONE_CLASS, 200 * np.eye(3, dtype="float32")[ONE_CLASS]),
    "certain and right": (LABELS, CERTAIN),
    "certain and wrong": (LABELS, np.roll(CERTAIN, 1, axis=-1)),
    "all equal": (LABELS, equal(2, 3, 4, 3)),
    "one pixel": (LABELS[:1, :1, :1], drawn(1, 1, 1, 3)),
    "no pixels": (LABELS[:, :0], drawn(2, 0, 4, 3)),
    "no images": (LABELS[:0], drawn(0, 3, 4, 3)),
}
PIXEL_LOSSES = {
    "cross entropy": losses.pixel_cross_entropy,
    "weights of 0": lambda y, x: losses.pixel_cross_entropy(y, x, class_weights=[0.0] * x.shape[-1]),
    "focal": losses.focal,
    "focal, power .5": functools.partial(losses.focal, gamma=0.5),
    "dice": losses.dice,
    "dice, not smoothed": functools.partial(losses.dice, smooth=0.0),
    "lovasz": losses.lovasz_softmax,
}
PAIRS = {
    "one image": (drawn(1, 4), drawn(1, 4)),
    "all equal": (equal(3, 4), equal(3, 4)),
    "zeros": (np.zeros((3, 4), "float32"), np.zeros((3, 4), "float32")),
    "no images": (drawn(0, 4), drawn(0, 4)),
}
SCORES = {"one other": drawn(2, 1), "none": drawn(2, 0), "all equal": equal(2, 5), "no images": drawn(0, 5)}
CASES = {
    **{
        (name, case): (functools.partial(loss, labels), [logits], len(labels))
        for name, loss in PIXEL_LOSSES.items()
        for case, (labels, logits) in PIXELS.items()
    },
    **{("nt_xent", case): (losses.nt_xent, list(pair), 2 * len(pair[0])) for case, pair in PAIRS.items()},
    **{
        ("swapped_prediction", case): (
            lambda a, b: losses.swapped_prediction([np.ones(a.shape, "float32") / a.shape[-1]], [a, b]),
            list(pair),
            len(pair[0]),
        )
        for case, pair in {**PAIRS, "one prototype": (drawn(3, 1), drawn(3, 1))}.items()
    },
    **{("info_nce", case): (losses.info_nce, [equal(len(x)), x], len(x)) for case, x in SCORES.items()},
    **{
        ("non_parametric_softmax", case): (losses.non_parametric_softmax, [x[:, 0], x], len(x))
        for case, x in SCORES.items()
        if case != "none"  # an image's own row is among them
    },
    **{
        ("noise_contrastive", case): (
            functools.partial(losses.noise_contrastive, log_partition=0.0, count=1),
            [equal(len(x)), x],
            len(x),
        )
        for case, x in SCORES.items()
        if case != "none"
    },
    **{
        (f"masked_error {power}", case): (
            functools.partial(
                losses.masked_error, target=equal(2, patches, 3), mask=np.full((2, patches), hidden), power=power
            ),
            [prediction(2, patches, 3)],
            2,
        )
        for power in (1, 2)
        for case, (patches, hidden, prediction) in {
            "nothing hidden": (4, 0, drawn),
            "right": (4, 1, equal),
            "no patches": (0, 1, drawn),
        }.items()
    },
}


@pytest.mark.parametrize("case", CASES, ids=", ".join)
def test_values_and_gradients_are_finite(case):
    loss, arguments, count = CASES[case]
    variables = [tf.Variable(argument) for argument in arguments]
    with tf.GradientTape() as tape:
        values = loss(*variables)
        total = tf.reduce_sum(values)
    assert values.shape == (count,) and np.isfinite(values).all()
    gradients = tape.gradient(total, variables, unconnected_gradients="zero")
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    if ("void" in case[1] and "all" in case[1]) or "no pixels" in case[1]:
        assert not np.any(values) and not np.any(gradients[0])
