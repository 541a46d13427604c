import inspect

import keras
import numpy as np
import pytest
import replicas

import kvision as kv
from kvision.checks import UserError
from kvision.training import NonFinite
from kvision.training.guard import first_broken_layers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 4)).astype("float32")
Y = RANDOM.normal(size=(24, 1)).astype("float32")
BAD = X.copy()
BAD[9, 2] = np.nan  # in the third batch of four


def root(x):
    return keras.ops.sqrt(keras.ops.abs(x))


def made(optimizer=None, activation="tanh", **options):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(6, activation=activation, name="inside"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.2, seed=1),
        keras.layers.Dense(1, name="top"),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer or keras.optimizers.Adam(0.01), "mse", metrics=["mae"], **options)
    return model


def state(model):
    return [
        kv.distribute.values.read(v) for v in [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    ]


def fit(model, x=X, y=Y, **options):
    dataset = kv.training.Source(
        lambda rows: (x[rows], y[rows]), len(x), 4, (keras.KerasTensor((None, 4)), keras.KerasTensor((None, 1)))
    )
    return kv.training.fit(model, dataset, epochs=1, verbose=0, **options)


def test_a_bad_row_is_found_in_the_input_and_nothing_of_its_step_is_kept(tmp_path):
    model, before = made(), made()
    fit(before, X[:8])
    resume = kv.training.Resume(tmp_path, every=1, keep=9)
    with pytest.raises(NonFinite) as problem:
        fit(model, BAD, checkpoints=resume)
    text = str(problem.value)
    assert text.startswith("Epoch 1, step 3 (learning rate 0.01): the loss is nan or a gradient is not finite;")
    assert "first not finite: the input itself." in text and "The weights are as before this step" in text
    assert f"is in {tmp_path}" in text and isinstance(problem.value, UserError)
    assert [path.name for path in resume.checkpoints.files()] == [f"000-000000-0000000{n}.npz" for n in (1, 2)]
    for ours, theirs in zip(model.trainable_variables, before.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(model.optimizer.iterations) == 2


def test_targets_and_layers_and_gradients_are_named():
    bad = Y.copy()
    bad[9] = np.inf
    with pytest.raises(
        NonFinite, match=r"step 3 .*first not finite: the targets or weights of the samples themselves\."
    ):
        fit(made(), y=bad)
    with pytest.raises(
        NonFinite, match=r"step [2-6] \(learning rate 1e\+20\).*first not finite: the output of (inside|norm|top)"
    ):
        fit(made(keras.optimizers.SGD(1e20), activation="relu"))
    model = made(activation=root)
    model.get_layer("inside").kernel.assign(np.zeros((4, 6)))  # the root is 0 there, its slope infinite
    with pytest.raises(
        NonFinite,
        match=r"step 1 .*loss is [\d.]+ or .*the gradient of \S*inside/bias, the gradient of \S*inside/kernel\.",
    ):
        fit(model)


def test_skipped_steps_leave_everything_as_without_their_batch(capsys):
    skipped, without = made(), made()
    history = fit(skipped, BAD, non_finite="skip").history
    assert capsys.readouterr().err == "Epoch 1, step 3 (learning rate 0.01): not finite, left out (1 so far)\n"
    rows = [*range(8), *range(12, 24)]
    expected = fit(without, X[rows], Y[rows]).history
    for ours, theirs in zip(state(skipped), state(without), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert history == expected and np.isfinite(history["loss"]).all()


def test_what_float16s_scaling_leaves_out_leaves_statistics_and_metrics_too():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:  # the scale with which Keras begins leaves steps out that are finite
        scaled = [keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), 128) for _ in range(2)]
        model, without = map(made, scaled)
    finally:
        keras.config.set_dtype_policy(before)
    history = fit(model, BAD, non_finite="skip").history
    rows = [*range(8), *range(12, 24)]
    assert fit(without, X[rows], Y[rows]).history == history and np.isfinite(history["loss"]).all()
    for ours, theirs in zip(model.variables, without.variables, strict=True):
        np.testing.assert_array_equal(kv.distribute.values.read(ours), kv.distribute.values.read(theirs))
    assert [float(kv.distribute.values.read(each.dynamic_scale)) for each in scaled] == [64, 128]


def test_control_stock_keras_keeps_what_is_not_finite():
    model = made()
    model.fit(BAD, Y, batch_size=4, shuffle=False, verbose=0)
    assert not np.isfinite(model.get_layer("norm").moving_mean.numpy()).all()


def test_a_loss_that_overflows_is_left_out_though_its_gradient_is_finite():
    far = Y.copy()
    far[9] = 1e25
    model = made(keras.optimizers.SGD(1e-2))
    history = fit(model, y=far, non_finite="skip").history
    assert int(model.optimizer.iterations) == 5 and np.isfinite(history["loss"]).all()
    with pytest.raises(NonFinite, match=r"step 3 .*the loss is inf"):
        fit(made(), y=far)


def test_each_fit_is_guarded_anew_and_leaves_the_model_as_it_was():
    model = made(activation=root)
    optimizer, kind = model.optimizer, type(model)
    fit(model)
    model.get_layer("inside").kernel.assign(np.zeros((4, 6)))
    model.get_layer("inside").bias.assign(np.zeros(6))
    with pytest.raises(NonFinite):
        fit(model)
    assert type(model) is kind and not {"train_step"} & set(vars(model))
    assert not {"apply", "scale_loss"} & set(vars(optimizer)) and int(optimizer.iterations) == 6
    model.fit(BAD, Y, batch_size=4, verbose=0, shuffle=False)
    assert int(optimizer.iterations) == 12, "plain fit is Keras' own again"


def test_a_model_saved_within_fit_can_be_loaded(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Saved(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.top = keras.layers.Dense(1)

        def call(self, x):
            return self.top(x)

    model = Saved()
    model.compile(kv.training.Adam(), "mse")
    fit(model, non_finite="skip", callbacks=[keras.callbacks.ModelCheckpoint(str(tmp_path / "m.keras"))])
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded) is Saved and type(loaded.optimizer) is kv.training.Adam


def test_wrong_policies_are_refused():
    with pytest.raises(ValueError, match=r"`non_finite` is not known. Expected one of: stop, skip"):
        fit(made(), non_finite="ignore")


def test_float16s_own_scaling_is_left_to_itself():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = made()
        fit(model)
        with pytest.raises(NonFinite, match=r"the input itself. The weights are as before this step"):
            fit(model, BAD)
    finally:
        keras.config.set_dtype_policy("float32")


def test_layers_are_named_in_the_order_of_the_data_and_left_as_they_were():
    class Breaks(keras.layers.Layer):
        def call(self, x):
            return x / 0.0 if x.shape[-1] == 6 else x

    shared = keras.layers.ReLU(name="shared")
    layers = [keras.layers.Dense(6, name="fine"), Breaks(name="first"), shared, keras.layers.Dense(2, name="last")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    calls = [vars(layer).get("call") for layer in layers]
    names = [f"the output of {name}" for name in ("first", "shared", "last")]
    assert first_broken_layers(model, X) == names
    assert [vars(layer).get("call") for layer in layers] == calls == [None] * 4
    mine = lambda x: keras.ops.zeros_like(x)  # noqa: E731
    object.__setattr__(shared, "call", mine)
    assert first_broken_layers(model, X) == names[:1] and vars(shared)["call"] is mine
    assert first_broken_layers(model, BAD) == ["the input itself"]
    assert first_broken_layers(made(), X) == []


def test_bfloat16_is_looked_at_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x / 0.0, name="breaks")])
        assert first_broken_layers(model, X) == ["the output of breaks"]
    finally:
        keras.config.set_dtype_policy("float32")


BOTH = """
random = np.random.default_rng(0)
x, y = random.normal(size=(45, 4)).astype("float32"), random.normal(size=(45, 1)).astype("float32")
bad = x.copy()
bad[13] = np.nan  # of the second replica's part of the first batch, which is skipped there alone
rows = [*range(20, 45)]

def fit(model, x, y, **options):
    source = kv.training.Source(
        lambda rows: (x[rows], y[rows]), len(x), 20, (keras.KerasTensor((None, 4)), keras.KerasTensor((None, 1)))
    )
    return kv.training.fit(model, source, epochs=1, verbose=0, **options).history

with strategy.scope():
    skipped, without = made(), made()
    stopped = made(keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)))
logs = fit(skipped, bad, y, non_finite="skip")
expected = fit(without, x[rows], y[rows])
same = all((a == b).all() for a, b in zip(state(skipped), state(without), strict=True))
try:
    fit(stopped, bad, y)
except kv.training.NonFinite as problem:
    text = str(problem)
iterations = [int(kv.distribute.values.read(model.optimizer.iterations)) for model in (skipped, stopped)]
answer(logs=logs, expected=expected, same=same, text=text, iterations=iterations)
"""


def test_two_devices_skip_and_stop_together():
    (found,) = replicas.run("\n".join(map(inspect.getsource, (root, made, state))) + BOTH, devices=2)
    assert found["same"] and found["logs"] == found["expected"] and found["iterations"] == [2, 0]
    assert "Epoch 1, step 1 (learning rate 0.5): the loss is nan" in found["text"]
    assert "first not finite: the input itself" in found["text"]
