"""Backend-neutral parts run on JAX in a process where TensorFlow cannot be imported."""

import os
import subprocess
import sys

CODE = """
import sys

class NoTensorFlow:  # Keras imports it on every backend where it can, to serialize a layer, so looking is not enough
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("no TensorFlow here")

sys.meta_path.insert(0, NoTensorFlow())
import numpy as np, keras
import kvision as kv

assert keras.backend.backend() == "jax"
random = np.random.default_rng(0)
images = random.integers(0, 256, (24, 32, 32, 3), dtype="uint8")
labels = (images.mean(axis=(1, 2, 3)) > 127.5).astype("int32")
images[labels == 1] //= 2
backbone = kv.backbones.create("EfficientNetLite0", image_size=32, pooling="avg")
features = kv.backbones.embed(backbone, images, progress=False)
for head in (kv.heads.KNNHead(3), kv.heads.ForestHead(5), kv.heads.LogisticHead()):
    head.fit(features, labels)
    attached = kv.transfer.attach(backbone, head).predict_on_batch(images)
    np.testing.assert_allclose(attached, head.predict_proba(features), atol=1e-4)
model = kv.transfer.attach(backbone, 2)
steps = [kv.schedules.Unfreeze(0, "top", 1e-2), kv.schedules.Unfreeze(1, "stage5", 1e-3, norm="train")]
optimizer = kv.training.Adam()
history = kv.schedules.fit(model, (images, labels), steps, epochs=3, optimizer=optimizer, verbose=0)
assert len(history["loss"]) == 3 and np.isfinite(history["loss"]).all()
births = np.asarray(optimizer.birth)
assert set(births.tolist()) == {-1, 0, 1}, births
assert int(optimizer.iterations) == 3
kv.backbones.embed(backbone, images, cache=sys.argv[1], progress=False)
print("ok")
"""


def test_jax_embeds_attaches_and_trains_through_phases(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert result.stdout.strip() == "ok", result.stderr[-3000:]
