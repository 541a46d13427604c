"""What every method keeps, one function a contract."""

import json
import sys
from pathlib import Path

import forks
import keras
import methods
import numpy as np
import pytest
import replicas
import tensorflow as tf
import trainings

import kvision as kv
from kvision.checks import UserError
from kvision.distribute.values import read

NAMES = list(methods.METHODS)
KINDS = ["moco_v2", "npid_noise", "swav_queue", "mae"]  # of state: the other methods' are among them
SOME = ["simclr", *KINDS]
PARTS = [SOME, pytest.param(sorted({*NAMES} - {*SOME}), marks=pytest.mark.slow)]
WHOLE = [name for name in NAMES if name not in ("moco", "swav")]  # the rest holds more: MoCo v2, SwAV with a queue


def same(one, other) -> bool:
    pairs = zip(trainings.arrays(one), trainings.arrays(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_logs_are_the_contracts_and_training_moves_what_trains(name):
    method = methods.made(name, eager=True)  # in a graph: on two devices and on JAX, below
    before = [read(v) for v in method.trainable_variables]
    logs = kv.training.fit(method, methods.VIEWS, epochs=2, batch_size=8, verbose=0).history
    assert set(logs) == {"loss", "trivial", "embedding_std"} and np.isfinite([*logs.values()]).all()
    assert 0 < logs["embedding_std"][-1] < 1
    moved = [not np.array_equal(old, read(v)) for old, v in zip(before, method.trainable_variables, strict=True)]
    assert all(moved), [v.path for v, m in zip(method.trainable_variables, moved, strict=True) if not m]


def swav(**options) -> kv.training.Objective:
    return kv.selfsup.SwAV(trainings.encoder(), sizes=(8,), prototypes=6, **options)


def moco(**options) -> kv.training.Objective:
    return kv.selfsup.MoCo(trainings.encoder(), sizes=(8,), **options)


def as_dataset(rows: int, **options):
    views = {key: value[:rows] for key, value in methods.VIEWS.items()}
    return tf.data.Dataset.from_tensor_slices(views).batch(8, **options)


@pytest.mark.parametrize(
    ("method", "data", "text"),
    [
        (lambda: moco(queue_size=40, groups=8), methods.VIEWS, "a multiple of `groups`, 8. Received: 10"),
        (lambda: moco(queue_size=32, groups=1), methods.VIEWS, "a divisor of 32. Received: 10"),
        (lambda: swav(queue_size=32), methods.VIEWS, "a divisor of 32. Received: 10"),
        (lambda: moco(queue_size=30, groups=1), as_dataset(24, drop_remainder=True), "a divisor of 30. Received: 8"),
        (lambda: methods.METHODS["simclr"](), as_dataset(20), "another size.*of one size: .batch.SIZE, drop_remainder"),
    ],
)
def test_a_batch_that_does_not_suit_a_method_is_refused_before_anything_trains(method, data, text):
    made = method()
    made.compile("sgd")
    with pytest.raises(UserError, match=text):
        kv.training.fit(made, data, epochs=1, batch_size=10, verbose=0)
    assert not made.optimizer.built


@pytest.mark.parametrize(
    ("method", "data", "text"),
    [
        (
            "simclr",
            {"image": methods.IMAGES},
            r"`views` is None, and the data brings no 'a'.*Received: \['image'\].*views=",
        ),
        ("npid", {"a": methods.IMAGES}, "`views` is None, and the data brings no 'index'.*fields="),
        ("mae", methods.IMAGES, "`views` is None, and the data brings no dictionary"),
    ],
)
def test_what_a_batch_lacks_is_named(method, data, text):
    with pytest.raises(UserError, match=text):
        kv.training.fit(methods.made(method), data, epochs=1, batch_size=8, verbose=0)


def test_a_view_alone_is_no_views_of_a_batch():
    method = kv.selfsup.MAE(methods.vit(), kv.augment.mae(16), decoder_width=8, decoder_depth=1, decoder_heads=2)
    method.compile("sgd")
    with pytest.raises(UserError, match=r"`images` .*MultiView"):
        kv.training.fit(method, {"image": methods.IMAGES}, epochs=1, batch_size=8, verbose=0)


def test_views_are_not_rounded_to_half_precision_before_they_are_looked_at():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        method = methods.made("mae", eager=True)
        fine = methods.VIEWS["a"][:8] + 0.3  # bfloat16 has steps of 1 from 128 on
        rounded = np.asarray(keras.ops.cast(keras.ops.cast(fine, "bfloat16"), "float32"))
        targets = [np.asarray(method({"a": images}, training=False)["target"]) for images in (fine, rounded)]
    finally:
        keras.config.set_dtype_policy("float32")
    expected = methods.made("mae", eager=True)({"a": fine}, training=False)["target"]
    np.testing.assert_allclose(targets[0], expected, atol=1e-5)
    assert np.abs(targets[1] - targets[0]).max() > 1e-3, "the control"


def test_control_one_that_suits_trains():
    made = moco(queue_size=40, groups=8)
    made.compile("sgd")
    kv.training.fit(made, as_dataset(20, drop_remainder=True), epochs=1, verbose=0)
    assert read(made.optimizer.iterations) == 2 and read(made.queue.count) == 16, "the last four are left out"


class Strike(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 4:
            raise KeyboardInterrupt


RESUME = """
import methods, numpy as np, tempfile
from test_methods import Strike, same
import tensorflow as tf
tf.config.experimental.enable_op_determinism()
apart = []
for name in names:
    whole = methods.trained(name, eager=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            resume = kv.training.Resume(folder, every=1)
            methods.trained(name, eager=True, checkpoints=resume, callbacks=[Strike()])
        except KeyboardInterrupt:
            pass
        keras.utils.set_random_seed(7)
        again = methods.METHODS[name]()  # other weights, queues, banks, draws
        again.compile(keras.optimizers.SGD(0.05, momentum=0.9), run_eagerly=True)
        if same(whole, again):
            apart.append(name + ": control")
        kv.training.fit(again, methods.VIEWS, epochs=2, batch_size=8, verbose=0, checkpoints=folder)
    if not same(whole, again):
        apart.append(name)
answer(apart=apart)
"""


@pytest.mark.parametrize("names", [KINDS, pytest.param(sorted({*NAMES} - {*KINDS}), marks=pytest.mark.slow)], ids=len)
def test_a_killed_training_goes_on_bit_for_bit(names):
    (found,) = replicas.run(f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nnames = {names}\n" + RESUME)
    assert found["apart"] == []


TWO = """
import contextlib, methods, trainings

# one draw for all images and steps, so that it does not matter which device draws
def drawn(values):
    return lambda shape, *_, **__: keras.ops.broadcast_to(values(np.random.default_rng(0), shape[1]), shape)

keras.random.uniform = drawn(lambda random, n: random.uniform(size=n).astype("float32"))
keras.random.randint = drawn(lambda random, n: random.integers(0, methods.ROWS, n).astype("int32"))
methods.METHODS["moco_v2"] = lambda: kv.selfsup.MoCo(
    trainings.encoder(), sizes=(16, 8), queue_size=16, momentum=0.9, groups=1)  # several are for one device

def trained(name, scope):
    with strategy.scope() if scope else contextlib.nullcontext():
        method = methods.trained(name, eager=not scope)
    return [kv.distribute.values.read(v) for v in method.variables]

far = {}
for name in sys.argv[1:]:
    pairs = zip(trained(name, True), trained(name, False))
    far[name] = float(np.max([np.abs(a.astype("float64") - b).max() for a, b in pairs]))  # a NaN stays one
answer(far=far)
"""


@pytest.mark.parametrize("names", PARTS, ids=len)
def test_two_devices_equal_one(names):
    """Negatives, codes, queues, banks and masks of the global batch, and gradients through the gathered rows."""
    (found,) = replicas.run(TWO, devices=2, arguments=names)
    # The Sinkhorn iteration divides by 0.05 before it exponentiates, which enlarges rounding errors. SwAV with a queue
    # is 1.1e-5 off on CPUs with AVX-512, all other methods less than 1e-5.
    limits = {name: 3e-5 if name.startswith("swav") else 1e-5 for name in names}
    assert set(found["far"]) == set(names) and all(off < limits[name] for name, off in found["far"].items()), found


@pytest.mark.parametrize("name", WHOLE)
def test_half_precision_is_near_and_state_stays_whole(name):
    batch = {key: value[:8] for key, value in methods.VIEWS.items()}
    expected = methods.made(name, eager=True).evaluate(batch, batch_size=8, verbose=0, return_dict=True)["loss"]
    keras.config.set_dtype_policy("mixed_float16")
    try:
        method = methods.made(name, eager=True)
        found = method.evaluate(batch, batch_size=8, verbose=0, return_dict=True)["loss"]
        outputs = method(batch, training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert found == pytest.approx(expected, rel=1e-2)
    kinds = {keras.backend.standardize_dtype(value.dtype) for key, value in outputs.items() if key != "label"}
    assert kinds == {"float32"}
    assert {v.dtype for v in method.variables} <= {"float32", "uint32", "int64"}, "XLA takes no int32 on a GPU"


@pytest.mark.parametrize("name", WHOLE)
def test_a_collapsed_encoder_is_seen_in_the_logs(name):
    method = methods.made(name, eager=True)
    spread = [method.evaluate(methods.VIEWS, batch_size=8, verbose=0, return_dict=True)["embedding_std"]]
    for variable in method.encoder.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    spread += [method.evaluate(methods.VIEWS, batch_size=8, verbose=0, return_dict=True)["embedding_std"]]
    assert spread[0] > 0.01 and spread[1] < 1e-4, "the same for each image"


@pytest.mark.parametrize("name", WHOLE)
def test_evaluation_leaves_all_state_alone(name):
    method = methods.made(name, eager=True)
    kv.training.evaluate(method, methods.VIEWS, batch_size=8, verbose=0)  # builds the metrics
    draws = {v.path for layer in method._flatten_layers() for v in layer.variables if "seed_generator" in v.path}
    kept = [v for v in method.non_trainable_variables if v.path not in draws]
    before = [read(v) for v in kept]
    kv.training.evaluate(method, methods.VIEWS, batch_size=8, verbose=0)
    for variable, old in zip(kept, before, strict=True):
        np.testing.assert_array_equal(read(variable), old, err_msg=variable.path)


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "supervised"])
def test_labels_are_not_looked_at(name):
    other = {**methods.VIEWS, "label": methods.VIEWS["label"][::-1].copy()}
    one, two = (methods.trained(name, epochs=1, views=views, eager=True) for views in (methods.VIEWS, other))
    assert same(one, two)


def test_control_the_baseline_looks_at_them():
    other = {**methods.VIEWS, "label": methods.VIEWS["label"][::-1].copy()}
    one, two = (methods.trained("supervised", epochs=1, views=v, eager=True) for v in (methods.VIEWS, other))
    assert not same(one, two)


@pytest.mark.parametrize("name", WHOLE)
def test_the_encoder_is_the_product_and_holds_nothing_else(name, tmp_path):
    method = methods.trained(name, epochs=1, eager=True)
    encoder = method.encoder
    assert [tensor.name for tensor in encoder.inputs] == ["image"]
    assert {id(v) for v in encoder.variables} < {id(v) for v in method.variables}
    fresh = methods.vit() if hasattr(method, "vit") else trainings.encoder()
    assert [(v.name, v.shape) for v in encoder.variables] == [(v.name, v.shape) for v in fresh.variables]
    features = encoder.predict(methods.IMAGES, verbose=0)
    assert features.ndim == 2
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(again.predict(methods.IMAGES, verbose=0), features)


@pytest.mark.parametrize("name", ["simclr", "mae"])
def test_the_encoder_is_exported(name):
    import contracts

    contracts.same_in_tflite(methods.trained(name, epochs=1, eager=True).encoder)


FIRST = """
import json, sys, warnings
warnings.simplefilter("ignore")

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("no TensorFlow here")

sys.meta_path.insert(0, NoTensorFlow())
sys.path.insert(0, sys.argv[1])
import methods, keras, numpy as np
import kvision as kv
assert keras.backend.backend() == "jax"
found = {}
for name in sys.argv[3:]:
    method = methods.made(name)
    with np.load(f"{sys.argv[2]}/{name}.npz") as file:
        for number, variable in enumerate(method.weights):
            variable.assign(file[str(number)])
    loss = []
    for _ in range(2):
        batch = {k: v[:8] for k, v in methods.VIEWS.items()}
        loss.append(float(method.train_on_batch(batch, return_dict=True)["loss"]))
    logs = kv.training.fit(method, methods.VIEWS, epochs=1, batch_size=8, verbose=0).history
    assert np.isfinite(logs["loss"]).all(), name
    found[name] = loss
print(json.dumps(found))
"""


@pytest.mark.parametrize("names", PARTS, ids=len)
def test_jax_trains_each_without_tensorflow_and_begins_with_the_same_loss(names, tmp_path):
    expected = {}
    for name in names:
        method = methods.made(name, eager=True)
        np.savez(tmp_path / f"{name}.npz", **{str(i): read(v) for i, v in enumerate(method.weights)})
        batch = {key: value[:8] for key, value in methods.VIEWS.items()}
        expected[name] = [float(method.train_on_batch(batch, return_dict=True)["loss"]) for _ in range(2)]
    command = [sys.executable, "-c", FIRST, str(Path(methods.__file__).parent), str(tmp_path), *names]
    result = forks.run(command, env=forks.jax_environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    for name in {*names} & {*methods.DRAWLESS}:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)
