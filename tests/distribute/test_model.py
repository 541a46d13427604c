import keras
import numpy as np
import pytest
import replicas

import kvision as kv
from kvision.distribute.model import extended, overriding

CODE = """
import contextlib
from kvision.checks import UserError

random = np.random.default_rng(0)
x = random.normal(size=(45, 6)).astype("float32")
y = (x[:, 0] + random.normal(size=45) > 0).astype("int32") + (x[:, 1] > 1)
weight = random.uniform(0.5, 2, 45).astype("float32")

class Own(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.inside, self.norm = keras.layers.Dense(8, activation="tanh"), keras.layers.BatchNormalization()
        self.top = keras.layers.Dense(3, activation="softmax")
    def call(self, x, training=False):
        return self.top(self.norm(self.inside(x), training=training))

def layers():
    return [
        keras.layers.Dense(8, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.01)),
        keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(3, activation="softmax"),
    ]

MAKE = {"sequential": lambda: keras.Sequential([keras.Input((6,)), *layers()]), "own": Own}

def made(kind, scope, **options):
    keras.utils.set_random_seed(0)
    with strategy.scope() if scope else contextlib.nullcontext():
        model = MAKE[kind]()
        options = {"optimizer": keras.optimizers.SGD(0.1, momentum=0.9), **options}
        intersection = keras.metrics.MeanIoU(3, sparse_y_pred=False, name="iou")  # counts in integers
        metrics = {"metrics": ["accuracy", intersection], "weighted_metrics": ["accuracy"]}
        # one device is asked for numbers alone: a trace takes longer than its few steps
        model.compile(loss="sparse_categorical_crossentropy", run_eagerly=not scope, **metrics, **options)
    return model

def weights(model):
    return [kv.distribute.values.read(v).tolist() for v in [*model.weights, *model.optimizer.variables]]

def dataset(rows):
    return tf.data.Dataset.from_tensor_slices((x[:rows], y[:rows])).batch(20)

def trained(kind, scope, data, **options):
    model = made(kind, scope)
    history = kv.training.fit(model, data, epochs=3, batch_size=20, verbose=0, **options).history
    return weights(model), history

def stock(kind, scope, rows):
    model = made(kind, scope)
    try:
        history = model.fit(dataset(rows), epochs=3, verbose=0, shuffle=False, validation_data=dataset(rows)).history
    except Exception as problem:
        return type(problem).__name__
    return weights(model), history

def refused(optimizer=None, **options):
    if optimizer is not None:
        with strategy.scope():
            options["optimizer"] = keras.optimizers.SGD(**optimizer)
    model = made("sequential", True, **options)
    try:
        kv.training.fit(model, (x, y), epochs=1, verbose=0)
    except UserError as problem:
        return str(problem), int(kv.distribute.values.read(model.optimizer.iterations))

def outside(what):
    try:
        with strategy.scope():
            model, optimizer = MAKE["sequential"](), keras.optimizers.SGD()
        if what == "optimizer":
            model.compile(keras.optimizers.SGD(), "mse")
        if what == "compile":
            model.compile(optimizer, "mse")
        if what == "metrics":
            metric = keras.metrics.MeanAbsoluteError()
            with strategy.scope():
                model.compile(optimizer, "mse", metrics=[metric])
        with contextlib.ExitStack() as stack:
            if what == "model":
                model = MAKE["sequential"]()
                stack.enter_context(strategy.scope())
                model.compile(optimizer, "mse")
            kv.training.fit(model, (x, x[:, :3]), epochs=1, verbose=0)
    except UserError as problem:
        return str(problem)
"""
TRAIN = """
found = {}
# of the last row one device gets none
one = stock("sequential", False, 41)
found["sequential"] = [trained("sequential", True, dataset(41), validation_data=dataset(41)), one]
data = x, y, weight  # of the last five one device gets three, the other two
held_out = {"validation_data": tuple(part[:27] for part in data)}
found["own"] = [trained("own", scope, data, **held_out) for scope in (True, False)]

images, labels = random.normal(size=(21, 8, 8, 3)).astype("float32"), random.integers(0, 3, (21, 8, 8))
labels[:, :3][random.random((21, 3, 8)) < 0.5] = 255  # do not count, in some images more than in others

def pixels(scope):
    keras.utils.set_random_seed(0)
    with strategy.scope() if scope else contextlib.nullcontext():
        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, padding="same"),
                                  keras.layers.BatchNormalization(), keras.layers.Conv2D(3, 1)])
        loss = kv.losses.PixelLoss(("cross_entropy", "dice"), class_weights=(1, 2, 0.5))
        iou = keras.metrics.MeanIoU(3, ignore_class=255, sparse_y_pred=False, name="iou")
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=[iou], run_eagerly=not scope)
    pair = images, labels.astype("int32")
    history = kv.training.fit(model, pair, epochs=2, batch_size=8, verbose=0, validation_data=pair).history
    return weights(model), history

found["pixels"] = [pixels(scope) for scope in (True, False)]
answer(found=found)
"""
REST = """
model = made("sequential", True)
before = type(model)
history = kv.training.fit(model, (x, y), epochs=1, batch_size=20, verbose=0).history
plain = model(x).numpy()
after = [type(model) is before, model.get_layer("norm").synchronized, "train_step" in vars(model)]
predicted = kv.training.predict(model, x, batch_size=20, verbose=0)
pairs = kv.training.predict(model, (x, y), batch_size=7, verbose=0)
measured = kv.training.evaluate(model, (x, y), batch_size=20, verbose=0)
with strategy.scope():
    raw = Own()  # was never called
unbuilt = kv.training.predict(raw, x, batch_size=20, verbose=0) - raw(x).numpy()

single = made("sequential", False)
single.set_weights(model.get_weights())
expected = single.evaluate(x, y, batch_size=20, verbose=0, return_dict=True)
saver = keras.callbacks.ModelCheckpoint(sys.argv[1] + "/model.keras")
with strategy.scope():
    model.compile(kv.training.Adam(), "sparse_categorical_crossentropy")
kv.training.fit(model, (x, y), epochs=1, verbose=0, callbacks=[saver])
loaded = keras.models.load_model(sys.argv[1] + "/model.keras")
answer(
    after=after, predicted=[float(abs(p - plain).max()) for p in (predicted, pairs, unbuilt + plain)],
    shapes=[predicted.shape, pairs.shape], on_batch=float(abs(model.predict_on_batch(x)[:45] - model(x).numpy()).max()),
    measured=measured, expected=expected, loaded=[type(loaded).__name__, type(loaded.optimizer).__module__],
    same=float(abs(loaded(x).numpy() - model(x).numpy()).max()),
    refusals={
        "steps_per_execution": refused(steps_per_execution=2), "jit_compile": refused(jit_compile=True),
        "gradient_accumulation_steps": refused({"gradient_accumulation_steps": 2}),
        "ema_overwrite_frequency": refused({"use_ema": True, "ema_overwrite_frequency": 1}),
    },
    outside={what: outside(what) for what in ("optimizer", "metrics", "compile", "model")},
)
"""
CLIP = """
def clipped(scope, rows=25, scaled=False, stock=False, **options):
    keras.utils.set_random_seed(0)
    with strategy.scope() if scope else contextlib.nullcontext():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3, "softmax")])
        optimizer = keras.optimizers.SGD(1.0, **options)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=128)
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=not scope)
    if stock:
        model.fit(dataset(rows), epochs=1, verbose=0)
    else:
        kv.training.fit(model, dataset(rows), epochs=1, verbose=0)
    return [kv.distribute.values.read(v) for v in model.weights]

def apart(one, other):
    return max(float(abs(a - b).max()) for a, b in zip(one, other))

ways = {"clipnorm": {"clipnorm": 0.05}, "global_clipnorm": {"global_clipnorm": 0.1}, "clipvalue": {"clipvalue": 0.02},
        "scaled": {"clipnorm": 0.05, "scaled": True}}
plain, single = clipped(False), {name: clipped(False, **way) for name, way in ways.items()}
answer(
    ours={name: apart(clipped(True, **way), single[name]) for name, way in ways.items()},
    bites={name: apart(plain, single[name]) for name in ways},
)
"""
STOCK = """
answer(
    trained=[stock("sequential", scope, 41) for scope in (True, False)],
    clipped=apart(*(clipped(scope, rows=20, stock=True, clipnorm=0.05) for scope in (True, False))),
    unclipped=apart(*(clipped(scope, rows=20, stock=True) for scope in (True, False))),
)
"""


@pytest.fixture(scope="module")
def trained() -> dict:
    (found,) = replicas.run(CODE + TRAIN, devices=2)
    return found["found"]


def apart(pair) -> float:
    arrays = zip(pair[0][0], pair[1][0], strict=True)
    return max(float(np.abs(np.array(a) - np.array(b)).max()) for a, b in arrays)


@pytest.mark.parametrize("name", ["sequential", "own"])
def test_two_devices_end_at_the_weights_and_logs_of_one(trained, name):
    two, one = trained[name]
    assert apart([two, one]) < 1e-5
    names = {"loss", "accuracy", "iou", "weighted_accuracy"}
    assert set(two[1]) == set(one[1]) == names | {f"val_{log}" for log in names}
    for log, values in one[1].items():
        assert len(values) == 3
        np.testing.assert_allclose(two[1][log], values, atol=1e-5, err_msg=log)


def test_labels_of_pixels_too(trained):
    two, one = trained["pixels"]
    assert apart([two, one]) < 1e-5
    for log in ("loss", "iou", "val_loss", "val_iou"):
        np.testing.assert_allclose(two[1][log], one[1][log], atol=1e-5, err_msg=log)


@pytest.mark.slow
def test_control_stock_keras_on_two_devices_does_not():
    """Statistics and clipping of each device alone, shares of a tail that count too much, a device without a row."""
    (found,) = replicas.run(CODE + CLIP.partition("ways =")[0] + STOCK, devices=2)
    two, one = found["trained"]
    assert isinstance(two, str) or not apart([two, one]) < 1e-4, "an error, other weights, or NaN"
    assert found["clipped"] > 1e-2 > 1e-6 > found["unclipped"]


@pytest.fixture(scope="module")
def rest(tmp_path_factory) -> dict:
    (found,) = replicas.run(CODE + REST, devices=2, arguments=[str(tmp_path_factory.mktemp("model"))])
    return found


def test_predictions_come_in_order_and_measures_equal(rest):
    assert max(rest["predicted"]) < 1e-6 and rest["shapes"] == [[45, 3], [45, 3]]
    for name, value in rest["expected"].items():
        assert rest["measured"][name] == pytest.approx(value, abs=1e-5), name


def test_afterwards_the_model_is_keras_own(rest):
    assert rest["after"] == [True, False, False] and rest["on_batch"] < 1e-6


def test_a_model_saved_within_fit_can_be_loaded(rest):
    assert rest["loaded"] == ["Sequential", "kvision.training.optimizers"] and rest["same"] < 1e-6


def test_what_replicas_cannot_run_is_refused_before_the_first_step(rest):
    for name, (text, iterations) in rest["refusals"].items():
        assert f"`{name}` does not work on several replicas" in text and iterations == 0
    assert "`model` was not created under the strategy" in rest["outside"]["model"]
    assert "`model` has an optimizer that was not created under the strategy" in rest["outside"]["optimizer"]
    for what in ("metrics", "compile"):
        assert "`model` has metrics (" in rest["outside"][what]


def test_what_is_clipped_is_the_gradient_of_the_global_batch():
    (found,) = replicas.run(CODE + CLIP, devices=2)
    assert max(found["ours"].values()) < 1e-6 and min(found["bites"].values()) > 1e-2, found


def test_overriding_stands_on_the_instance_and_goes():
    class Thing:
        def name(self):
            return "class"

    thing = Thing()
    with overriding(thing, name=lambda: "first"):
        with overriding(thing, name=lambda: "second"):
            assert thing.name() == "second"
        assert thing.name() == "first" and Thing().name() == "class"
    assert thing.name() == "class" and not vars(thing)


def test_one_replica_is_left_alone():
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
    with extended(model) as same:
        assert same is model and not model.layers[0].synchronized and "train_step" not in vars(model)
    with kv.distribute.model.scope_of(model):
        pass
