import keras
import numpy as np
import pytest
import tensorflow as tf
import trainings

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
        def _ages(self):
            return keras.ops.cast(self.iterations + 1, "float32") * keras.ops.ones(len(self._momentums))

    gradients = np.ones((210, 2), "float32")
    ours, stock = steps(kv.training.Adam(1e-2), gradients, [0, 200]), steps(Stock(1e-2), gradients, [0, 200])
    assert ours[0] == pytest.approx(stock[0], rel=1e-3)
    assert ours[1] == pytest.approx(-0.1, rel=1e-2), "ten steps of 1e-2 against a constant gradient"
    assert abs(stock[1]) > 2 * abs(ours[1])


@pytest.mark.parametrize(
    ("ours", "stock"),
    [
        (kv.training.Adam, keras.optimizers.Adam),
        (lambda rate: kv.training.Adam(rate, amsgrad=True), lambda rate: keras.optimizers.Adam(rate, amsgrad=True)),
        (kv.training.AdamW, lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.004)),
        (kv.training.Lamb, keras.optimizers.Lamb),
        (kv.training.SGD, keras.optimizers.SGD),
    ],
)
def test_one_phase_is_the_stock_optimizer(ours, stock):
    gradients = np.random.default_rng(1).normal(size=(30, 2)).astype("float32")
    plain = stock(1e-2)
    variables = [keras.Variable(0.0) for _ in range(2)]
    for row in gradients:
        plain.apply([keras.ops.convert_to_tensor(g) for g in row], variables)
    expected = [float(v.value) for v in variables]
    np.testing.assert_allclose(steps(ours(1e-2), gradients, [0, 0]), expected, rtol=1e-4)
    unphased, variables = ours(1e-2), [keras.Variable(0.0) for _ in range(2)]
    for row in gradients:
        unphased.apply([keras.ops.convert_to_tensor(g) for g in row], variables)
    np.testing.assert_allclose([float(v.value) for v in variables], expected, rtol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_adam_is_the_stock_one_on_matrices_halves_and_rows_of_a_table(compiled):
    """In a graph, with XLA and without: by one kernel for dense gradients, and by Keras' operations for a table's."""

    def trained(optimizer):
        keras.utils.set_random_seed(0)
        policy = "float32" if compiled else "mixed_bfloat16"  # halves are rounded as XLA likes
        parts = [keras.layers.Embedding(7, 4), keras.layers.Dense(5, dtype=policy), keras.layers.Dense(2)]
        model = keras.Sequential([keras.Input((3,), dtype="int32"), *parts])
        model.compile(optimizer, "mse", jit_compile=compiled)
        random = np.random.default_rng(0)
        for _ in range(4):
            model.train_on_batch(random.integers(0, 7, (8, 3)), random.normal(size=(8, 3, 2)))
        return model

    ours, stock = (trained(kind(1e-2, epsilon=1e-4)) for kind in (kv.training.Adam, keras.optimizers.Adam))
    for a, b in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # of moves of 0.04
    for name in ("_momentums", "_velocities"):
        for a, b in zip(getattr(ours.optimizer, name), getattr(stock.optimizer, name), strict=True):
            np.testing.assert_allclose(kv.distribute.values.read(a), kv.distribute.values.read(b), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
def test_adam_in_another_type_is_the_stock_one_in_the_finest(kind):
    """Stock Adam does not move a bfloat16 at all: beta_2 is 1 there."""
    gradients = np.random.default_rng(5).normal(size=(10, 3))
    found = []
    for optimizer, own in ((kv.training.Adam, kind), (keras.optimizers.Adam, "float64")):
        variable, made = keras.Variable(np.ones(3), dtype=own), optimizer(1e-2, epsilon=1e-3)
        for row in gradients:
            made.apply([keras.ops.convert_to_tensor(row, own)], [variable])
        found.append(np.asarray(keras.ops.cast(variable, "float64")))
    np.testing.assert_allclose(*found, rtol={"bfloat16": 0.02, "float16": 2e-3, "float64": 1e-5}[kind])
    assert np.abs(found[0] - 1).max() > 0.01


def test_adams_step_of_a_variable_is_few_operations():
    """Tracing takes as long as there are operations, seconds for a hundred variables."""

    def operations(optimizer, count: int) -> list[str]:
        variables = [keras.Variable(np.zeros(3), name=f"w{i}") for i in range(count)]
        optimizer.build(variables)
        step = tf.function(lambda: optimizer.apply([tf.ones(3)] * count, variables))
        return [operation.type for operation in step.get_concrete_function().graph.get_operations()]

    def each(kind) -> float:
        return (len(operations(kind(), 12)) - len(operations(kind(), 2))) / 10

    assert operations(kv.training.Adam(), 3).count("ResourceApplyAdam") == 3
    assert each(kv.training.Adam) <= 25 < each(keras.optimizers.Adam)


@pytest.mark.parametrize(
    ("ours", "stock"),
    [
        (kv.training.Adam, keras.optimizers.Adam),
        (kv.training.AdamW, keras.optimizers.AdamW),
        (kv.training.SGD, keras.optimizers.SGD),
    ],
)
def test_weight_decay_is_the_stock_one_and_follows_each_variables_rate(ours, stock):
    """A variable at half the rate moves as in a stock optimizer at half the rate, decay included."""
    gradients = np.random.default_rng(2).normal(size=(20, 3)).astype("float32")
    expected = []
    for column, rate in enumerate((1e-2, 5e-3)):
        plain, variable = stock(rate, weight_decay=0.1), keras.Variable(1.0)
        for row in gradients:
            plain.apply([keras.ops.convert_to_tensor(row[column])], [variable])
        expected.append(float(variable.value))
    optimizer, variables = ours(1e-2, weight_decay=0.1), [keras.Variable(1.0, name=f"w{i}") for i in range(3)]
    optimizer.exclude_from_weight_decay([variables[2]])
    optimizer.build(variables)
    optimizer.activate(variables, [1.0, 0.5, 0.0])
    for row in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in row], variables)
    np.testing.assert_allclose([float(v.value) for v in variables], [*expected, 1.0], rtol=2e-5)


def test_a_traced_step_obeys_new_rates_and_a_saved_optimizer_keeps_them(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    optimizer = kv.training.SGD(0.1)
    model.compile(optimizer, "mse")
    optimizer.build(model.trainable_variables)
    x, y = np.eye(2, dtype="float32")[:1], np.zeros((1, 1), "float32")
    optimizer.activate(model.trainable_variables, [0.0])
    model.train_on_batch(x, y)
    assert model.get_weights()[0][0, 0] == 1.0
    traced = model.train_function
    optimizer.activate(model.trainable_variables, [0.5])
    model.train_on_batch(x, y)
    assert model.get_weights()[0][0, 0] == pytest.approx(0.9) and model.train_function is traced
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    assert keras.ops.convert_to_numpy(reloaded.optimizer.rates).tolist() == [0.5]
    reloaded.train_on_batch(x, y)
    assert reloaded.get_weights()[0][0, 0] == pytest.approx(0.81)


def lamb_trajectory(data, optimizer) -> np.ndarray:
    w, b = keras.Variable(data["lamb_w0"], name="w"), keras.Variable(data["lamb_b0"], name="b")
    optimizer.exclude_from_weight_decay([b])
    optimizer.build([w, b])
    found = []
    for gw, gb in zip(data["lamb_gw"], data["lamb_gb"], strict=True):
        optimizer.apply([keras.ops.convert_to_tensor(gw), keras.ops.convert_to_tensor(gb)], [w, b])
        found.append(np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)) for v in (w, b)]))
    return np.array(found)


def test_lamb_follows_tensorflow_addons(shared):
    """10 steps at .05 with decay .01, the bias excluded from decay and adaptation. Keras' own is the control."""
    data = np.load(shared / "reference" / "addons_parity.npz", allow_pickle=False)
    expected = data["lamb_traj"]
    np.testing.assert_allclose(lamb_trajectory(data, kv.training.Lamb(0.05, weight_decay=0.01)), expected, atol=1e-5)
    stock = np.abs(lamb_trajectory(data, keras.optimizers.Lamb(0.05, weight_decay=0.01)) - expected)
    assert stock[-1, :20].max() > 1e-3 and stock[-1, 20:].max() > 1e-1


def test_lambs_bias_correction_counts_from_each_variables_first_step():
    """Two equal variables, the second 50 steps later: the same way from its own beginning."""
    gradients = np.ones((60, 2), "float32")
    late = steps(kv.training.Lamb(1e-2), gradients, [0, 50])
    early = steps(kv.training.Lamb(1e-2), gradients[:10], [0, 0])
    assert late[1] == pytest.approx(early[0], rel=1e-5)


LARS = {"w": (3, 4), "empty": (2, 2), "still": (2, 3), "bias": (4,), "named": (2, 2)}
RATES = [0.5, 0.5, 0.4, 0.3, 0.3, 0.9, 0.1, 0.1, 0.05, 0.01]


def lars_start() -> tuple[dict, dict]:
    """Weights and the gradients of ten steps: "empty" begins at 0, "still" has no gradient at first."""
    random = np.random.default_rng(0)
    start = {name: random.normal(size=shape).astype("float32") for name, shape in LARS.items()}
    start["empty"] *= 0
    gradients = {name: random.normal(size=(10, *shape)).astype("float32") for name, shape in LARS.items()}
    gradients["still"][:4] = 0
    return start, gradients


def lars_by_hand(
    *, decay: float, trust: float = 0.02, momentum: float = 0.8, plain=("bias", "named"), undecayed=()
) -> dict:
    """google-research/simclr, tf2/lars_optimizer.py with classic momentum, in float64, one variable after another."""
    start, gradients = lars_start()
    found = {}
    for name, w in start.items():
        w, v = w.astype("float64"), np.zeros(w.shape)
        for rate, g in zip(RATES, gradients[name].astype("float64"), strict=True):
            ratio = 1.0
            if name not in plain:
                g = g + decay * w * (name not in undecayed)
                w_norm, g_norm = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
                if w_norm > 0 and g_norm > 0:
                    ratio = trust * w_norm / g_norm
            v = momentum * v + ratio * rate * g
            w = w - v
        found[name] = w
    return found


def lars_run(optimizer) -> dict:
    start, gradients = lars_start()
    variables = {name: keras.Variable(w, name=name) for name, w in start.items()}
    optimizer.exclude_from_weight_decay([variables["named"]])
    optimizer.build(list(variables.values()))
    for step, rate in enumerate(RATES):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradients[n][step]) for n in variables], list(variables.values()))
    return {name: kv.distribute.values.read(variable) for name, variable in variables.items()}


@pytest.mark.parametrize("decay", [0.1, 0.0, None])
def test_lars_is_the_rule_of_simclrs_code(decay):
    found = lars_run(kv.training.Lars(0.5, momentum=0.8, trust=0.02, weight_decay=decay))
    expected = lars_by_hand(decay=decay or 0.0)
    for name, w in expected.items():
        np.testing.assert_allclose(found[name], w, rtol=1e-4, atol=1e-5, err_msg=name)
    if decay:
        scaled = lars_by_hand(decay=decay, plain=())
        for name in ("bias", "named"):
            assert np.abs(scaled[name] - expected[name]).max() > 0.1, "control: these were neither decayed nor scaled"


def test_lars_scales_what_does_not_decay_where_it_is_told_to():
    found = lars_run(kv.training.Lars(0.5, momentum=0.8, trust=0.02, weight_decay=0.1, scales_undecayed=True))
    expected = lars_by_hand(decay=0.1, plain=("bias",), undecayed=("named",))
    for name, w in expected.items():
        np.testing.assert_allclose(found[name], w, rtol=1e-4, atol=1e-5, err_msg=name)
    for other in (lars_by_hand(decay=0.1), lars_by_hand(decay=0.1, plain=("bias",))):
        assert np.abs(other["named"] - expected["named"]).max() > 1e-3, "control: not scaled; decayed as well"


def test_lars_is_not_scaled_where_a_length_is_zero_and_then_is():
    """The first step from weights of 0 is the rate itself; without decay one without a gradient does not move."""
    for start, gradient, moved in ((0.0, 2.0, 0.5 * 2.0), (3.0, 0.0, 0.0), (3.0, 2.0, 0.5 * 0.02 * 3.0)):
        variable, optimizer = keras.Variable([[start]]), kv.training.Lars(0.5, trust=0.02, weight_decay=0.0)
        optimizer.apply([keras.ops.convert_to_tensor([[gradient]])], [variable])
        assert float(variable[0, 0]) == pytest.approx(start - moved, rel=1e-6)


def test_lars_remembers_the_rate_of_each_step():
    """The rate multiplies before the momentum: at a rate of 0 it moves on."""
    variable, optimizer = keras.Variable([1.0]), kv.training.Lars(0.5, momentum=0.8)
    optimizer.apply([keras.ops.convert_to_tensor([1.0])], [variable])
    optimizer.learning_rate = 0.0
    optimizer.apply([keras.ops.convert_to_tensor([1.0])], [variable])
    assert float(variable[0]) == pytest.approx(1 - 0.5 - 0.8 * 0.5)


@pytest.mark.parametrize("kind", [kv.training.Lars, kv.training.AdamW, kv.training.Lamb])
def test_each_variable_has_its_own_rate(kind):
    """At half the rate a variable moves as under an optimizer of half the rate; at 0 not at all."""
    gradients = np.random.default_rng(2).normal(size=(10, 2, 2)).astype("float32")

    def alone(rate: float) -> np.ndarray:
        variable, optimizer = keras.Variable(np.ones((2, 2))), kind(rate, weight_decay=0.1)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        return kv.distribute.values.read(variable)

    variables = [keras.Variable(np.ones((2, 2)), name=f"w{i}") for i in range(3)]
    optimizer = kind(0.1, weight_decay=0.1)
    optimizer.build(variables)
    optimizer.activate(variables, [1.0, 0.5, 0.0])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)] * 3, variables)
    for variable, expected in zip(variables, (alone(0.1), alone(0.05), np.ones((2, 2))), strict=True):
        np.testing.assert_allclose(kv.distribute.values.read(variable), expected, rtol=2e-5)


def test_lars_lives_through_phases():
    """What joins late moves as from its own beginning; what was there keeps its momentum."""
    gradients = np.random.default_rng(3).normal(size=(6, 2, 2)).astype("float32")
    variables, optimizer = [keras.Variable(np.ones((2, 2)), name=n) for n in "ab"], kv.training.Lars(0.5, trust=0.1)
    optimizer.build(variables)
    tensors = [keras.ops.convert_to_tensor(g) for g in gradients]
    optimizer.activate(variables[:1])
    for g in tensors[:3]:
        optimizer.apply([g], variables[:1])
    np.testing.assert_array_equal(kv.distribute.values.read(variables[1]), 1)
    optimizer.activate(variables)
    for g in tensors[3:]:
        optimizer.apply([g, g], variables)
    for variable, given in zip(variables, (tensors, tensors[3:]), strict=True):
        alone, plain = keras.Variable(np.ones((2, 2))), kv.training.Lars(0.5, trust=0.1)
        for g in given:
            plain.apply([g], [alone])
        np.testing.assert_allclose(kv.distribute.values.read(variable), kv.distribute.values.read(alone), rtol=1e-5)


@pytest.mark.parametrize("kind", [kv.training.Lars, kv.training.AdamW])
def test_a_fit_of_two_phases_takes_it(kind, eager):
    """Six steps of the head, six of all: the other moments begin with the second phase."""
    optimizer = kind(weight_decay=0.01)
    model = trainings.fine_tuned(optimizer, epochs=2)
    assert model.optimizer is optimizer and int(kv.distribute.values.read(optimizer.iterations)) == 12
    births = kv.distribute.values.read(optimizer.birth).tolist()
    head = {id(v) for v in model.layers[-1].variables}
    assert births == [0 if id(v) in head else 6 for v in optimizer._trainable_variables]
    assert {0, 6} == set(births) and all(np.abs(kv.distribute.values.read(m)).max() > 0 for m in optimizer._momentums)


@pytest.mark.parametrize(
    ("optimizer", "shrinks"),
    [
        (lambda: kv.training.SGD(0.1, weight_decay=0.0), lambda decay: 1 - 0.1 * decay),
        (lambda: kv.training.AdamW(0.1, weight_decay=0.0), lambda decay: 1 - 0.1 * decay),
        (lambda: kv.training.Lamb(0.1, weight_decay=0.0), lambda decay: 1 - 0.1 * (decay > 0)),  # |w| / |decay * w|
        (lambda: kv.training.Lars(0.1, momentum=0, trust=0.5, weight_decay=0), lambda decay: 1 - 0.05 * (decay > 0)),
    ],
)
def test_a_traced_step_obeys_a_schedule_of_weight_decay(optimizer, shrinks):
    """Without a gradient the decay is all that moves a weight."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizer(), "mse")
    x, y, expected, traced = np.zeros((1, 2)), np.zeros((1, 2)), 1.0, None
    for decay in (0.0, 0.5, 0.25, 0.0):
        if traced is not None:
            model.optimizer.decay.assign(decay)
        model.train_on_batch(x, y)
        assert traced in (None, model.train_function)
        traced, expected = model.train_function, expected * shrinks(decay)
        np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5)


def test_a_saved_optimizer_keeps_its_decay_and_momentum(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")])
    model.compile(kv.training.Lars(0.1, momentum=0.7, trust=0.3, weight_decay=0.2), "mse")
    x, y = np.eye(2), np.zeros((2, 2))
    model.train_on_batch(x, y)
    model.optimizer.decay.assign(0.05)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert float(kv.distribute.values.read(again.optimizer.decay)) == pytest.approx(0.05)
    for each in (model, again):
        each.train_on_batch(x, y)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (kv.training.Lars, {"momentum": 0.7, "trust": 0.02, "weight_decay": 0.1}),
        (kv.training.Lars, {"weight_decay": None, "scales_undecayed": True}),
        (kv.training.AdamW, {"beta_2": 0.95, "weight_decay": 0.05}),
        (kv.training.Lamb, {"epsilon": 1e-5, "weight_decay": 0.05}),
        (kv.training.SGD, {"momentum": 0.7, "nesterov": True}),
    ],
)
def test_config_round_trip(optimizer, options):
    made = optimizer(0.25, **options)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(copy) is optimizer and copy.get_config() == made.get_config()
    assert {name: copy.get_config()[name] for name in options} == options
    assert float(copy.learning_rate) == 0.25


@pytest.mark.parametrize("kind", [kv.training.SGD, kv.training.Adam, kv.training.Lamb, kv.training.Lars])
def test_no_state_is_an_int32_which_xla_refuses_on_a_gpu(kind):
    optimizer = kind(0.1)
    optimizer.build([keras.Variable(np.ones((2, 2), "float32"))])
    assert {v.dtype for v in optimizer.variables} == {"float32", "int64"}


def test_adamw_decays_by_default_as_keras_does():
    assert kv.training.AdamW().weight_decay == keras.optimizers.AdamW().weight_decay == 0.004
    assert kv.training.Adam().weight_decay is None


def test_foreign_variable_and_config():
    optimizer = kv.training.Adam(3e-4)
    optimizer.build([keras.Variable(0.0)])
    with pytest.raises(UserError, match="not built on"):
        optimizer.activate([keras.Variable(0.0)])
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is kv.training.Adam and float(copy.learning_rate) == pytest.approx(3e-4)


@pytest.mark.parametrize(
    "kind", ["Adam", *(pytest.param(k, marks=pytest.mark.slow) for k in ("SGD", "Lars", "float16"))]
)
def test_a_saved_model_with_frozen_layers_keeps_the_whole_state(eager, tmp_path, kind):
    """Keras builds a loaded optimizer on what trains alone. Here Keras' own fit goes on, and so do later phases."""
    images, labels = np.random.default_rng(0).uniform(0, 255, (6, 16, 16, 3)), np.arange(6) % 3
    constant = kv.schedules.Constant()
    phases = [kv.schedules.Phase(0, "all", 1e-3, "train", constant), kv.schedules.Phase(1, "top", 1e-3)]
    make = {"SGD": lambda: kv.training.SGD(momentum=0.9), "Lars": kv.training.Lars}.get(kind, kv.training.Adam)
    model = trainings.attached()
    if kind == "float16":
        kv.training.mixed(model.get_layer("body"), "mixed_float16")
    kv.schedules.fit(model, (images, labels), phases, epochs=2, optimizer=make(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")

    def alike(within: float = 0.0) -> None:
        assert len(loaded.trainable_variables) == len(model.trainable_variables)
        for ours, its in zip(trainings.arrays(model), trainings.arrays(loaded), strict=True):
            np.testing.assert_allclose(its, ours, rtol=0, atol=within)

    alike()
    for each in (model, loaded):
        each.fit(images, labels, shuffle=False, verbose=0)
    alike(1e-6)
    for each in (model, loaded):
        kv.schedules.fit(each, (images, labels), phases, epochs=2, optimizer=each.optimizer, verbose=0)
    alike(1e-5)


def test_kernels_only_decay_and_a_file_keeps_that():
    """ConvNeXt's layer scales are vectors called `variable`."""
    optimizer = kv.training.SGD(0.5, weight_decay=0.5)
    optimizer.decay_kernels_only()
    for each in (optimizer, keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))):
        variables = [keras.Variable(np.ones(shape), name=f"w{len(shape)}") for shape in [(), (3,), (3, 2), (1, 1, 2)]]
        each.build(variables)
        each.apply([keras.ops.zeros_like(v) for v in variables], variables)
        assert [float(np.ravel(v)[0]) for v in variables] == [1, 1, 0.75, 0.75]


def test_sgd_remembers_the_rate_of_each_gradient():
    """As Keras, not as PyTorch: after a drop of the rate, earlier gradients still move by the rate that they had."""
    optimizer, variable = kv.training.SGD(1.0, momentum=0.5), keras.Variable(np.zeros(1))
    for rate in (1.0, 0.1):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.ones((1,))], [variable])
    assert float(variable[0]) == pytest.approx(-1 - (0.5 + 0.1))  # PyTorch: -1 - 0.1 * (0.5 + 1)
