import math

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.schedules import Constant, Cosine, FlatCosine, OneCycle, SlantedTriangular, Steps, Triangular2

CURVES = (Constant(0.1), Cosine(0.2), FlatCosine(), OneCycle(), SlantedTriangular(), Steps(), Triangular2())


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_every_curve_peaks_at_one_and_stays_within_zero_and_one(curve):
    factors = np.array([curve.factor(p) for p in np.linspace(0, 1, 2001)])
    assert factors.min() >= 0 and factors.max() == pytest.approx(1, abs=2e-3)


def test_cosine_after_a_linear_rise():
    """Loshchilov & Hutter 2017, eq. 5, with eta_min = 0, after Goyal et al.'s warm-up."""
    curve = Cosine(warmup=0.25)
    for p in (0.0, 0.1, 0.2, 0.25, 0.5, 0.9, 1.0):
        expected = p / 0.25 if p < 0.25 else 0.5 * (1 + math.cos((p - 0.25) / 0.75 * math.pi))
        assert curve.factor(p) == pytest.approx(expected, abs=1e-12)
    assert Cosine().factor(0) == 1


def test_cosine_from_one_share_of_the_peak_to_another():
    curve = Cosine(0.2, start=0.5, end=0.1)
    found = [curve.factor(p) for p in (0, 0.1, 0.2, 0.6, 1)]
    assert found == pytest.approx([0.5, 0.75, 1, 0.55, 0.1])


def test_one_cycle_is_fastais():
    """combined_cos(pct, start=lr/div, middle=lr, end=lr/div_final), annealing by (1 + cos(pi (1 - p))) / 2."""
    lr, pct, div, div_final = 1.0, 0.25, 25.0, 1e5

    def sched_cos(start, end, p):
        return start + (1 + math.cos(math.pi * (1 - p))) * (end - start) / 2

    for p in np.linspace(0, 1, 41):
        expected = sched_cos(lr / div, lr, p / pct) if p < pct else sched_cos(lr, lr / div_final, (p - pct) / (1 - pct))
        assert OneCycle().factor(p) == pytest.approx(expected, abs=1e-9)


def test_flat_then_cosine():
    assert {FlatCosine().factor(p) for p in (0, 0.3, 0.7499)} == {1.0}
    assert FlatCosine().factor(0.875) == pytest.approx(0.5) and FlatCosine().factor(1) == pytest.approx(0)


def test_steps_are_bits_for_small_data():
    """The rule's own steps: 100 of rise, then 200, 300, 400, end 500."""
    expected = {0: 0, 50: 0.5, 100: 1, 199: 1, 200: 0.1, 299: 0.1, 300: 0.01, 400: 1e-3, 499: 1e-3}
    assert {step: pytest.approx(Steps().factor(step / 500)) for step in expected} == expected


def test_slanted_triangular_is_the_papers_equation():
    """Howard & Ruder 2018, eq. 3, over T = 1000 steps."""
    steps, cut_fraction, ratio = 1000, 0.1, 32
    cut = math.floor(steps * cut_fraction)
    for t in (0, 1, 50, 99, 100, 500, 999):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_fraction - 1))
        assert SlantedTriangular().factor(t / steps) == pytest.approx((1 + p * (ratio - 1)) / ratio)


def test_triangular2_is_tensorflow_addons(shared):
    """120 steps of 1e-4 .. 1e-2, a half cycle of 20 steps: three cycles."""
    expected = np.load(shared / "reference" / "addons_parity.npz", allow_pickle=False)["triangular2_lr"]
    curve = Triangular2(cycles=3, low=1e-2)
    found = [1e-2 * curve.factor(step / 120) for step in range(120)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    control = [1e-2 * Triangular2(cycles=4, low=1e-2).factor(step / 120) for step in range(120)]
    assert np.abs(np.array(control) - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Cosine(warmup=1.0), "warmup"),
        (lambda: Constant(warmup=-0.1), "warmup"),
        (lambda: Cosine(start=1.5), "start"),
        (lambda: Cosine(end=-0.5), "end"),
        (lambda: OneCycle(rise=2), "rise"),
        (lambda: OneCycle(div=0.5), "div"),
        (lambda: FlatCosine(flat=1.5), "flat"),
        (lambda: Steps(at=(0.5, 1.5)), "at"),
        (lambda: Steps(by=0), "by"),
        (lambda: SlantedTriangular(ratio=0), "ratio"),
        (lambda: Triangular2(cycles=0), "cycles"),
        (lambda: Triangular2(low=1.0), "low"),
    ],
)
def test_values_are_checked_where_they_are_written(make, argument):
    with pytest.raises(UserError, match=f"`{argument}`"):
        make()


def test_a_curve_drives_plain_keras():
    """As the module's docstring shows it."""
    import keras

    rates = []
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [
        kv.training.PhaseRate(lambda p: 0.5 * Triangular2(cycles=1, low=0).factor(p), epochs=2),
        keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda b, logs: rates.append(float(model.optimizer.learning_rate))
        ),
    ]
    model.fit(np.ones((4, 1)), np.ones((4, 1)), batch_size=2, epochs=2, callbacks=callbacks, verbose=0)
    np.testing.assert_allclose(rates, [0, 0.25, 0.5, 0.25])


@pytest.mark.parametrize("curve", [Constant(0.1), Cosine(warmup=0.2), OneCycle(), Steps(), Triangular2()])
def test_any_keras_optimizer_takes_a_curve(curve):
    schedule = curve.over(50, learning_rate=0.02)
    found = [float(schedule(step)) for step in range(60)]
    expected = [0.02 * curve.factor(min(step, 50) / 50) for step in range(60)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    optimizer = keras.optimizers.SGD(schedule)
    variable = keras.Variable([1.0])
    for _ in range(3):
        optimizer.apply([keras.ops.ones(1)], [variable])
    np.testing.assert_allclose(1 - float(variable[0]), sum(expected[:3]), rtol=1e-5, atol=1e-7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again.curve == curve and again.get_config() == schedule.get_config()
