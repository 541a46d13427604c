"""Backend-neutral parts run on JAX in a process where TensorFlow cannot be imported."""

import json
import sys

import forks
import pytest

ALONE = """
import sys

class NoTensorFlow:  # Keras imports it on every backend where it can, to serialize a layer, so looking is not enough
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("no TensorFlow here")

sys.meta_path.insert(0, NoTensorFlow())
"""
CODE = (
    ALONE
    + """
import numpy as np, keras
import kvision as kv

assert keras.backend.backend() == "jax"
random = np.random.default_rng(0)
images = random.integers(0, 256, (24, 32, 32, 3), dtype="uint8")
labels = (images.mean(axis=(1, 2, 3)) > 127.5).astype("int32")
images[labels == 1] //= 2
backbone = kv.backbones.create("ResNet20", image_size=32, pooling="avg")
features = kv.features.embed(backbone, images, progress=False)
for head in (kv.heads.KNNHead(3), kv.heads.ForestHead(5), kv.heads.LogisticHead()):
    head.fit(features, labels)
    attached = kv.transfer.attach(backbone, head).predict_on_batch(images)
    np.testing.assert_allclose(attached, head.predict_proba(features), atol=1e-4)
model = kv.transfer.attach(backbone, 2)
steps = [kv.schedules.Phase(0, "top", 1e-2), kv.schedules.Phase(1, "stage3", 1e-3, norm="train")]
optimizer = kv.training.Adam()
history = kv.schedules.fit(model, (images, labels), steps, epochs=3, optimizer=optimizer, verbose=0).history
assert len(history["loss"]) == 3 and np.isfinite(history["loss"]).all()
births = np.asarray(optimizer.birth)
assert set(births.tolist()) == {-1, 0, 1}, births
assert int(optimizer.iterations) == 3
kv.features.embed(backbone, images, cache=sys.argv[1], progress=False)

try:
    kv.distribute.pick_strategy("mirrored")
except kv.checks.UserError as problem:
    assert "'auto' or 'single' on this backend" in str(problem) and "'mirrored' on jax" in str(problem), problem
with kv.distribute.pick_strategy().scope():
    assert kv.distribute.replica_count() == kv.distribute.strategy.worker_count() == 1 and kv.distribute.is_chief()

flat = images.reshape(24, -1)[:, :8] / 255

def made():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

class Strike(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise KeyboardInterrupt

def fit(model, folder=None, callbacks=()):
    resume = folder and kv.training.Resume(folder, every=2)
    options = {"validation_data": (flat[:9], labels[:9]), "callbacks": callbacks, "checkpoints": resume}
    return kv.training.fit(model, (flat, labels), epochs=2, batch_size=5, verbose=0, **options).history

whole, again = made(), made()
expected = fit(whole)
try:
    fit(made(), sys.argv[1] + "/fit", [Strike()])
except KeyboardInterrupt:
    pass
assert fit(again, sys.argv[1] + "/fit") == expected
for ours, theirs in zip([*again.variables, *again.optimizer.variables], [*whole.variables, *whole.optimizer.variables]):
    np.testing.assert_array_equal(np.asarray(ours.value), np.asarray(theirs.value))
steps = [kv.schedules.Phase(0, "top", 1e-2), kv.schedules.Phase(1, "all", 1e-2, norm="train")]
averaged = kv.transfer.attach(backbone, 2)
still = [np.array(v) for v in averaged.get_layer("body").backbone.get_weights()]
optimizer = kv.training.SGD(momentum=0.9, use_ema=True, ema_momentum=0.5)
kv.schedules.fit(averaged, (images, labels), steps[:1], epochs=1, batch_size=8, optimizer=optimizer, verbose=0)
for old, new in zip(still, averaged.get_layer("body").backbone.get_weights()):
    np.testing.assert_array_equal(old, new)  # the averages of what has not trained are what it was
optimizer = kv.training.SGD(momentum=0.9, use_ema=True, ema_momentum=0.5)
kv.schedules.fit(averaged, (images, labels), steps, epochs=2, batch_size=8, optimizer=optimizer, verbose=0)
moved = [np.abs(old - new).max() for old, new in zip(still, averaged.get_layer("body").backbone.get_weights())]
assert np.isfinite(moved).all() and max(moved) > 0

assert kv.training.predict(whole, flat, batch_size=5, verbose=0).shape == (24, 2)
assert kv.training.evaluate(whole, (flat, labels), verbose=0)["accuracy"] >= 0
bad = flat.copy()
bad[3] = np.nan
try:
    kv.training.fit(made(), (bad, labels), epochs=1, batch_size=5, verbose=0)
except kv.training.NonFinite as problem:
    assert "the input itself. The weights have taken this step" in str(problem), problem
else:
    raise AssertionError("not noticed")

class Pull(kv.training.Objective):
    def __init__(self):
        super().__init__()
        image = keras.Input((8,))
        self.encoder = keras.Model(image, keras.layers.Dense(3, kernel_regularizer="l2")(image))
    def call(self, views, training=False):
        return {name: self.encoder(views[name]) for name in ("a", "b")}
    def objective(self, outputs):
        return keras.ops.mean(keras.ops.square(outputs["a"] - outputs["b"]))
    def trivial(self, outputs):
        return keras.ops.mean(keras.ops.square(outputs["a"]))
    def embedding(self, outputs):
        return outputs["a"]

method = Pull()
method.compile("sgd")
rows = lambda numbers: ({"a": flat[numbers].astype("float32"), "b": flat[numbers, ::-1].astype("float32")},)
spec = ({name: keras.KerasTensor((None, 8)) for name in ("a", "b")},)
logs = kv.training.fit(method, kv.training.Source(rows, 24, 6, spec, seed=0), epochs=2, verbose=0).history
assert set(logs) == {"loss", "trivial", "embedding_std"} and logs["loss"][1] < logs["loss"][0], logs
print("ok")
"""
)


DENSE = (
    ALONE
    + """
import numpy as np, keras
import kvision as kv
from keras import layers

assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((20, 24, 3)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2), layers.Conv2D(6, 3),
    layers.Flatten(), layers.Dense(5)])
image = np.random.default_rng(0).uniform(0, 1, (33, 41, 3)).astype("float32")
convolutional = kv.segmentation.convolutionalize(model)
assert kv.segmentation.equivalence_report(model, convolutional, image).exact
grid = kv.segmentation.window_grid(model, convolutional)
dense = kv.segmentation.shift_and_stitch(convolutional, image, grid)
fine = kv.segmentation.to_output_stride(convolutional, 1).predict_on_batch(image[None])[0]
np.testing.assert_allclose(fine[: dense.shape[0], : dense.shape[1]], dense, atol=1e-5)

x = np.random.default_rng(0).normal(size=(2, 9, 12, 3)).astype("float32")
values, switches = kv.layers.SwitchedMaxPooling(2)(x)
assert kv.layers.MaxUnpooling(2)(values, switches, x).shape == x.shape
up = kv.layers.ResizeLike()(values, x)
source = np.clip((np.arange(9) + 0.5) * 5 / 9 - 0.5, 0, 4)
low = np.minimum(source.astype(int), 3)
values = np.asarray(values)[:, :, :1]  # one column: rows are interpolated alone
rows = values[:, low] * (1 - (source - low))[:, None, None] + values[:, low + 1] * (source - low)[:, None, None]
alone = kv.layers.ResizeLike()(values, np.zeros((2, 9, 1, 1), "float32"))
np.testing.assert_allclose(alone, rows, atol=1e-5)
assert kv.layers.BedOfNails(2)(x).shape == (2, 18, 24, 3)
assert kv.layers.SubPixelConvolution(4, 2)(x).shape == (2, 18, 24, 4)
soft = np.full((2, 9, 12, 4), 0.25, "float32")
np.testing.assert_allclose(kv.layers.WindowedCRF(size=3)(soft, 50 * x), soft, atol=1e-5)
assert kv.segmentation.dense_crf(soft[0], np.zeros((9, 12, 3), "uint8")).shape == (9, 12, 4)
assert kv.layers.TransposedConvolution(4, 4, 2)(np.asarray(switches, "float32"), x).shape == (2, 9, 12, 4)

entrance = keras.Input((32, 32, 3), name="image")
tensor = entrance
for width in (4, 6):
    tensor = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(tensor)
backbone = keras.Model(entrance, tensor, name="two")
for up in kv.decoders.UPSCALINGS:
    model = kv.decoders.unet(backbone, 3, widths=(4, 4), up=up)
    assert model.predict_on_batch(x).shape == (2, 9, 12, 3), up
pictures = np.random.default_rng(1).uniform(0, 1, (8, 17, 22, 3)).astype("float32")
masks = (pictures.mean(axis=-1) * 3).astype("int32")
masks[:, :3] = 255
steps = [kv.schedules.Phase(0, "top", 1e-2), kv.schedules.Phase(1, "all", 1e-2, norm="train")]
loss = kv.losses.PixelLoss(("cross_entropy", "dice", "lovasz"), class_weights=(1, 2, 3))
metrics = [keras.metrics.MeanIoU(3, ignore_class=255, sparse_y_pred=False)]
options = {"loss": loss, "metrics": metrics, "batch_size": 4, "verbose": 0}
logs = kv.schedules.fit(model, (pictures, masks), steps, epochs=6, **options).history
assert logs["loss"][-1] < logs["loss"][0], logs
edged = kv.decoders.with_edges(kv.decoders.unet(backbone, 3, widths=(4, 4)), width=4)
options |= {"loss": kv.losses.EdgedLoss(("cross_entropy", "dice")), "metrics": [kv.metrics.ClassMeanIoU(3)]}
logs = kv.schedules.fit(edged, (pictures, masks), steps, epochs=4, **options).history
assert logs["loss"][-1] < logs["loss"][0], logs
assert kv.segmentation.fuse_edges(edged, steps=2).predict_on_batch(pictures[:1]).shape == (1, 17, 22, 3)
photograph = (pictures[0] * 255).astype("uint8")
assert kv.segmentation.predict(model, photograph, longest_side=16).shape == (17, 22)
assert kv.segmentation.tiled(model, photograph, tile=64, overlap=0, progress=False).shape == (17, 22)
print("ok")
"""
)


REGIONS = (
    ALONE
    + """
import numpy as np, keras
import kvision as kv

assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
entrance = keras.Input((32, 32, 3), name="image")
tensor = entrance
for width in (4, 6):
    tensor = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(tensor)
found = kv.detection.rcnn(keras.Model(entrance, tensor, name="two"), 2, width=4, features=4)
images = np.random.default_rng(0).uniform(0, 255, (2, 32, 48, 3)).astype("float32")
objects = np.array([[[4, 4, 20, 30, 1]], [[0, 0, 0, 0, -1]]], "float32")
loss = {"regions": kv.losses.RegionLoss(), "candidates": kv.losses.CandidateLoss(side=found.side, stride=found.stride)}
options = {"loss": loss, "metrics": (), "batch_size": 2, "verbose": 0}
steps = [kv.schedules.Phase(0, "all", 1e-2)]
logs = kv.schedules.fit(
    found.training, ({"image": images}, {"regions": objects, "candidates": objects}), steps, epochs=3, **options
).history
assert np.isfinite(logs["loss"]).all() and logs["loss"][-1] < logs["loss"][0], logs
rows = np.asarray(kv.detection.detector(found, 10, limit=5)(images[:1]))
assert rows.shape == (1, 5, 6) and (rows[0, :, -1] >= 0).any(), rows
print("ok")
"""
)


def on_jax(code: str, folder) -> None:
    result = forks.run(
        [sys.executable, "-c", code, str(folder)], env=forks.jax_environment(), capture_output=True, text=True
    )
    assert result.stdout.splitlines()[-1:] == ["ok"], result.stderr[-3000:]


def test_jax_embeds_attaches_trains_through_phases_and_resumes(tmp_path):
    on_jax(CODE, tmp_path)


def test_jax_slides_windows_in_one_pass_and_upscales_and_trains_a_unet(tmp_path):
    on_jax(DENSE, tmp_path)


def test_jax_trains_an_rcnn_and_finds_objects(tmp_path):
    on_jax(REGIONS, tmp_path)


@pytest.mark.slow
def test_jax_makes_the_table_of_methods(tmp_path):
    arguments = ["ssl-table", "--smoke", "--methods", "npid,mae", "--image-size", "16", "--out", str(tmp_path)]
    on_jax(f"{ALONE}from kvision.cli import main\nassert main({arguments!r}) == 0\nprint('ok')", tmp_path)
    (table,) = tmp_path.glob("runs/*/table.json")
    assert set(json.loads(table.read_text())["rows"]) == {"untrained ResNet18", "untrained ViT", "npid", "mae"}


def test_jax_does_not_promise_determinism(tmp_path):
    environment = forks.jax_environment()
    command = [sys.executable, "-m", "kvision", "ssl-table", "--smoke", "--deterministic", "--out", str(tmp_path)]
    result = forks.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2 and "`KERAS_BACKEND` does not support --deterministic" in result.stderr
