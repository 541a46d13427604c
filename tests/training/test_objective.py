import inspect

import keras
import numpy as np
import pytest
import replicas

import kvision as kv

DECAY = 0.05


class Rotation(kv.training.Objective):
    """Which of two views was turned: looks at each example alone."""

    drops_tail = False

    def __init__(self, **options):
        super().__init__(**options)
        image = keras.Input((4,), name="image")
        inside = keras.layers.Dense(
            3, activation="tanh", kernel_regularizer=keras.regularizers.L2(DECAY), name="inside"
        )
        self.encoder = keras.Model(image, inside(image))
        self.top = keras.layers.Dense(1, name="top")
        self.top.build((None, 3))

    def call(self, views, training=False):
        features = self.encoder(views["image"], training=training)
        return {"logit": self.top(features)[:, 0], "turned": views["turned"], "feature": features}

    def objective(self, outputs):
        return keras.ops.mean(keras.ops.softplus(-outputs["logit"] * outputs["turned"]))

    def trivial(self, outputs):
        return keras.ops.log(2.0) * keras.ops.mean(keras.ops.abs(outputs["turned"]))

    def embedding(self, outputs):
        return outputs["feature"]


def made() -> Rotation:
    keras.utils.set_random_seed(0)
    model = Rotation()
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9))
    return model


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(13, 4)).astype("float32")
TURNED = np.sign(X[:, 0] + RANDOM.normal(size=13)).astype("float32")
TURNED[10:] *= 2  # so that batches of another size have another trivial loss
VIEWS = {"image": X, "turned": TURNED}


def by_hand(model: Rotation, rows: slice) -> tuple[float, float, float, list]:
    """Loss, trivial loss, spread and the gradients of both kernels, in NumPy."""
    kernel, bias, top, offset = (np.array(w, "float64") for w in model.get_weights())
    x, turned = X[rows].astype("float64"), TURNED[rows].astype("float64")
    feature = np.tanh(x @ kernel + bias)
    margin = (feature @ top + offset)[:, 0] * turned
    loss = np.log1p(np.exp(-margin)).mean() + DECAY * (kernel**2).sum()
    slope = -turned / (1 + np.exp(margin)) / len(x)
    inside = x.T @ (slope[:, None] * top.T * (1 - feature**2)) + 2 * DECAY * kernel
    unit = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    return loss, np.log(2) * np.abs(turned).mean(), unit.std(axis=0).mean(), [inside, feature.T @ slope[:, None]]


def source() -> kv.training.Source:
    spec = ({"image": keras.KerasTensor((None, 4)), "turned": keras.KerasTensor((None,))},)
    return kv.training.Source(lambda rows: ({name: view[rows] for name, view in VIEWS.items()},), 13, 5, spec)


def test_loss_logs_and_step_are_those_by_hand():
    model = made()
    expected, before = [by_hand(model, slice(i, i + 5)) for i in (0, 5, 10)], model.get_weights()
    measured = kv.training.evaluate(model, source(), verbose=0)
    rows = np.array([5, 5, 3]) / 13
    for name, column in (("loss", 0), ("trivial", 1), ("embedding_std", 2)):
        assert measured[name] == pytest.approx(
            sum(w * e[column] for w, e in zip(rows, expected, strict=True)), rel=1e-5
        )
    assert set(measured) == {"loss", "trivial", "embedding_std"}
    views = {name: view[:5] for name, view in VIEWS.items()}
    model.train_on_batch(views)
    for index, gradient in zip((0, 2), expected[0][3], strict=True):
        np.testing.assert_allclose(before[index] - model.get_weights()[index], 0.5 * gradient, atol=1e-6)


def test_control_without_the_added_losses_the_step_is_another():
    model = made()
    gradient = by_hand(model, slice(0, 5))[3][0] - 2 * DECAY * np.array(model.get_weights()[0])
    before = model.get_weights()[0]
    model.train_on_batch({name: view[:5] for name, view in VIEWS.items()})
    assert np.abs(before - model.get_weights()[0] - 0.5 * gradient).max() > 1e-3


TWO = """
import contextlib

class Undivided(Rotation):
    def compute_loss(self, *args, **options):
        return kv.distribute.replica_count() * super().compute_loss(*args, **options)

def trained(kind, scope):
    keras.utils.set_random_seed(0)
    with strategy.scope() if scope else contextlib.nullcontext():
        model = kind()
        model.compile(keras.optimizers.SGD(0.5, momentum=0.9))
    logs = kv.training.fit(model, source(), epochs=2, verbose=0).history
    return [kv.distribute.values.read(v).tolist() for v in model.weights], logs

answer(two=trained(Rotation, True), one=trained(Rotation, False), undivided=trained(Undivided, True))
"""


def test_two_devices_end_where_one_does_and_count_each_row_once():
    parts = [f"DECAY = {DECAY}", inspect.getsource(Rotation), inspect.getsource(source), data()]
    (found,) = replicas.run("\n".join(parts) + TWO, devices=2)
    (two, logs), (one, expected), (undivided, _) = found["two"], found["one"], found["undivided"]
    for a, b in zip(two, one, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for name in ("loss", "trivial"):
        np.testing.assert_allclose(logs[name], expected[name], atol=1e-5)
    assert 0 < logs["embedding_std"][0] < 1, "of a replica's batch"
    assert max(np.abs(np.array(a) - b).max() for a, b in zip(undivided, one, strict=True)) > 1e-2, "control"


def data() -> str:
    views = {name: view.tolist() for name, view in VIEWS.items()}
    return f"VIEWS = {{name: np.array(view, 'float32') for name, view in {views!r}.items()}}\n"


def test_a_single_image_has_no_spread_which_is_no_collapse():
    """A last batch of one does not count, and an epoch of such batches gives NaN, on which nothing is stopped."""
    from kvision.training.objective import _Spread

    spread = _Spread()
    spread.update_state(0.5, sample_weight=8)
    spread.update_state(0.0, sample_weight=0)
    assert float(spread.result()) == 0.5
    spread.reset_state()
    assert np.isnan(float(spread.result()))
    guard = kv.selfsup.CollapseGuard(patience=1)
    guard.on_epoch_end(0, {"embedding_std": float(spread.result())})
    assert guard.count == 0
