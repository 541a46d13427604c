import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def oracle(gradients, births, *, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> np.ndarray:
    """Adam, Kingma & Ba 2015, algorithm 1, in float64; each variable counts from its own birth, a row of `births`."""
    w, m, v = (np.zeros(len(births)) for _ in range(3))
    for step, row in enumerate(gradients):
        for i, birth in enumerate(births):
            if step < birth:
                continue
            m[i] = beta_1 * m[i] + (1 - beta_1) * row[i]
            v[i] = beta_2 * v[i] + (1 - beta_2) * row[i] ** 2
            t = step - birth + 1
            # Keras' form: epsilon beside the uncorrected root
            w[i] -= rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m[i] / (np.sqrt(v[i]) + epsilon)
    return w


def steps(optimizer, gradients, births) -> np.ndarray:
    variables = [keras.Variable(0.0, name=f"w{i}") for i in range(len(births))]
    optimizer.build(variables)
    active: list[int] = []
    for step, row in enumerate(gradients):
        now = [i for i, birth in enumerate(births) if birth <= step]
        if now != active:
            active = now
            optimizer.activate([variables[i] for i in active])
        optimizer.apply([keras.ops.convert_to_tensor(row[i]) for i in active], [variables[i] for i in active])
    return np.array([float(v.value) for v in variables])


def test_bias_correction_counts_from_each_variables_first_step():
    gradients = np.random.default_rng(0).normal(1, 0.5, (120, 3)).astype("float32")
    births = [0, 40, 100]
    expected = oracle(gradients, births, rate=1e-2)
    np.testing.assert_allclose(steps(kv.training.Adam(1e-2), gradients, births), expected, rtol=2e-3)


def test_control_without_birth_a_late_layer_moves_too_fast():
    class Stock(kv.training.Adam):
        def update_step(self, gradient, variable, learning_rate):
            keras.optimizers.Adam.update_step(self, gradient, variable, learning_rate)

    gradients = np.ones((210, 2), "float32")
    ours, stock = steps(kv.training.Adam(1e-2), gradients, [0, 200]), steps(Stock(1e-2), gradients, [0, 200])
    assert ours[0] == pytest.approx(stock[0], rel=1e-3)
    assert ours[1] == pytest.approx(-0.1, rel=1e-2), "ten steps of 1e-2 against a constant gradient"
    assert abs(stock[1]) > 2 * abs(ours[1])


@pytest.mark.parametrize(
    ("ours", "stock"), [(kv.training.Adam, keras.optimizers.Adam), (kv.training.SGD, keras.optimizers.SGD)]
)
def test_one_phase_is_the_stock_optimizer(ours, stock):
    gradients = np.random.default_rng(1).normal(size=(30, 2)).astype("float32")
    plain = stock(1e-2)
    variables = [keras.Variable(0.0) for _ in range(2)]
    for row in gradients:
        plain.apply([keras.ops.convert_to_tensor(g) for g in row], variables)
    np.testing.assert_allclose(steps(ours(1e-2), gradients, [0, 0]), [float(v.value) for v in variables], rtol=1e-4)


def test_foreign_variable_and_config():
    optimizer = kv.training.Adam(3e-4)
    optimizer.build([keras.Variable(0.0)])
    with pytest.raises(UserError, match="not built on"):
        optimizer.activate([keras.Variable(0.0)])
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is kv.training.Adam and float(copy.learning_rate) == pytest.approx(3e-4)
