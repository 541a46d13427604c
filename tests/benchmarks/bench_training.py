"""`kv.training.fit` against bare Keras; what checkpoints cost; two workers against one process with two threads.

Run: python tests/benchmarks/bench_training.py [fit] [checkpoints] [workers]      (all three without a name)
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import keras
import numpy as np

PAIRS, CLASSES = 7, 10


def images(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, size, size, 3), dtype="uint8"), random.integers(0, CLASSES, count)


def network(size: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = kv.backbones.create("EfficientNetLite0", image_size=size, pooling="avg")
    model = kv.transfer.attach(backbone, CLASSES)
    kv.schedules.freeze(model, above="all", norm="train")
    return model


def fit() -> None:
    """Two epochs of 32 steps at 64 px, tracing in it; the same model, data, optimizer and rate."""
    x, y = images(512, 64)
    model, seconds = network(64), {"kvision": [], "Keras": []}
    for pair in range(PAIRS):
        for name in ("kvision", "Keras") if pair % 2 else ("Keras", "kvision"):
            model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
            started = time.perf_counter()
            if name == "Keras":
                model.fit(x, y, batch_size=16, epochs=2, verbose=0)
            else:
                kv.training.fit(model, (x, y), batch_size=16, epochs=2, verbose=0)
            seconds[name].append(time.perf_counter() - started)
    ratios = [ours / bare for ours, bare in zip(seconds["kvision"], seconds["Keras"], strict=True)]
    print(f"training.fit over Keras' fit: {statistics.median(ratios):.3f}x, of {[f'{r:.3f}' for r in ratios]}")


def checkpoints() -> None:
    """A checkpoint of Lite0 with Adam's moments, against an epoch of 10,000 images at 96 px (80 steps measured)."""
    count, size = 2560, 96
    x, y = images(count, size)
    model = network(size)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    times = []

    class Times(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        kv.training.fit(model, (x, y), epochs=3, verbose=0, callbacks=[Times()])
        epoch = (times[2] - times[1]) * 10_000 / count
        from kvision.training import resume
        from kvision.training.feed import feed

        run, seconds = resume.Run(kv.training.Resume(folder)), []
        run.set_model(model)
        run.begin(0, feed((x, y), batch_size=32, seed=0), [])
        for number in range(PAIRS):
            started = time.perf_counter()
            path = run.write(number, 0)
            seconds.append(time.perf_counter() - started)
        one, size_mb = statistics.median(seconds), path.stat().st_size / 1e6
    print(f"a checkpoint ({size_mb:.0f} MB) {one:.2f} s, an epoch {epoch:.0f} s: {one / epoch:.2%}")


WORKER = """
import os, sys, time
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, sys.argv[1])
import kvision as kv, keras
strategy = kv.distribute.pick_strategy("auto")
from bench_training import images, network
times = []
class Times(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        times.append(time.perf_counter())
    def on_train_end(self, logs=None):
        times.append(time.perf_counter())
x, y = images(1024, 128)
with strategy.scope():
    model = network(128)
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
kv.training.fit(model, (x, y), epochs=3, batch_size=128, verbose=0, callbacks=[Times()])
print("RATE", 2 * 1024 / (times[3] - times[1]), flush=True)
"""


def rate(workers: int) -> float:
    """Images per second over epochs two and three."""
    ports, processes = [23_400 + os.getpid() % 500 * 2 + i for i in range(workers)], []
    for index in range(workers):
        environment = dict(os.environ)
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            environment[name] = str(2 // workers)
        if workers > 1:
            cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        command = [sys.executable, "-c", WORKER, str(Path(__file__).parent)]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in processes]
    return float(outputs[0].split("RATE")[1])


def workers() -> None:
    """Lite0 at 128 px, global batch 128, two cores."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for count, rates in found.items():
            rates.append(rate(count))
    ratios = [two / one for one, two in zip(*found.values(), strict=True)]
    text = ", ".join(f"{two:.0f} / {one:.0f}" for one, two in zip(*found.values(), strict=True))
    print(f"two workers over one process with two threads: {statistics.median(ratios):.2f}x (images/s: {text})")


def main() -> None:
    parts = {"fit": fit, "checkpoints": checkpoints, "workers": workers}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
