"""SimCLR's step against PyTorch's, itself without oneDNN or with Keras' norms; views, reading; masked pre-training.

Run: python tests/benchmarks/bench_selfsup.py step TORCH/bin/python      (see torch_simclr.py)
     python tests/benchmarks/bench_selfsup.py views
     python tests/benchmarks/bench_selfsup.py kernels
     python tests/benchmarks/bench_selfsup.py norm
     python tests/benchmarks/bench_selfsup.py read
     python tests/benchmarks/bench_selfsup.py finetune cifar10_subset.npz OUT EPOCHS mae simmim   (hours; goes on)
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import kvision as kv
from kvision import runs
from kvision.runs import pretraining

ROUNDS, BATCH, STEPS, SIZE = 5, 64, 12, 32
SEEDS, LABELED, EPOCHS = (0, 1, 2), 100, 30  # images of a class, epochs of fine-tuning


def views() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {n: random.uniform(0, 255, (STEPS * BATCH, SIZE, SIZE, 3)).astype("float32") for n in ("a", "b")}


def rate(make_views: bool, width: str = "64", norm: str = "kvision") -> float:
    """Images a second of the second epoch of `kv.training.fit`, with views at hand or made in the step."""
    import keras

    if norm == "keras":
        del kv.layers.BatchNormalization.call  # what it inherits

    keras.utils.set_random_seed(0)
    encoder = kv.backbones.resnet18(width=int(width), image_size=SIZE, pooling="avg")
    view = kv.augment.simclr(SIZE, strength=0.5, blur=False)
    made = kv.augment.MultiView({"a": view, "b": view}) if make_views else None
    method = kv.selfsup.SimCLR(encoder, made, temperature=0.5)
    method.compile(kv.training.SGD(0.03, momentum=0.9))
    times = []

    class Epochs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            times.append(time.perf_counter())

        def on_train_end(self, logs=None):
            times.append(time.perf_counter())

    data = {"image": views()["a"].astype("uint8")} if make_views else views()
    kv.training.fit(method, data, epochs=2, batch_size=BATCH, callbacks=[Epochs()], verbose=0)
    return STEPS * BATCH / (times[2] - times[1])


def alone(*arguments: str, **environment: str) -> float:
    """A rate measured in a process of its own."""
    result = subprocess.run(arguments, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def step(torch: str) -> None:
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "views.npz")
        np.savez(path, **views())
        for _ in range(ROUNDS):
            ours = alone(sys.executable, __file__, "rate", "given")
            theirs = alone(torch, str(Path(__file__).with_name("torch_simclr.py")), path, str(STEPS))
            ratios.append(ours / theirs)
            print(f"kvision {ours:.1f}, PyTorch {theirs:.1f} images/s: {ratios[-1]:.2f}", flush=True)
    print(f"median {statistics.median(ratios):.3f} of PyTorch's rate, {sorted(round(r, 2) for r in ratios)}")


def cost() -> None:
    ratios = []
    for _ in range(ROUNDS):
        given, made = (alone(sys.executable, __file__, "rate", kind) for kind in ("given", "made"))
        ratios.append(given / made - 1)
        print(f"views at hand {given:.1f}, made in the step {made:.1f} images/s: {ratios[-1]:+.1%}", flush=True)
    print(f"median {statistics.median(ratios):+.1%} of the step, {sorted(round(r, 3) for r in ratios)}")


def kernels() -> None:
    ratios = []
    for _ in range(ROUNDS):
        with_them, without = (
            alone(sys.executable, __file__, "rate", "given", TF_ENABLE_ONEDNN_OPTS=said) for said in "10"
        )
        ratios.append(with_them / without)
        print(f"with oneDNN {with_them:.1f}, without {without:.1f} images/s: {ratios[-1]:.2f}", flush=True)
    print(f"median {statistics.median(ratios):.2f} times the rate, {sorted(round(r, 2) for r in ratios)}")


def norm() -> None:
    for width in (16, 64):
        ratios = []
        for _ in range(ROUNDS):
            ours, theirs = (
                alone(sys.executable, __file__, "rate", "given", str(width), kind) for kind in ("kvision", "keras")
            )
            ratios.append(ours / theirs)
            print(f"width {width}: fused {ours:.1f}, Keras' {theirs:.1f} images/s: {ratios[-1]:.2f}", flush=True)
        print(f"width {width}: median {statistics.median(ratios):.2f}, {sorted(round(r, 2) for r in ratios)}")


def read() -> None:
    """A batch of 256 images in memory by one copy, against one by one on all cores."""
    pixels = np.random.default_rng(0).integers(0, 256, (10_000, SIZE, SIZE, 3), dtype=np.uint8)
    images = kv.data.from_arrays(pixels, image_size=SIZE)
    rows, times = np.random.default_rng(1).permutation(len(images))[:256], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ways = (lambda: np.stack(list(pool.map(images.image, rows))), lambda: images.take(rows))
        for _ in range(20):
            for way in ways:
                started = time.perf_counter()
                way()
                times.append(time.perf_counter() - started)
    each, once = statistics.median(times[::2]), statistics.median(times[1::2])
    print(f"one by one {1e3 * each:.2f} ms, at once {1e3 * once:.2f} ms: {each / once:.0f} times as fast")


def finetune(path: str, out: str, epochs: int, methods: list[str]) -> None:
    """The gain of a ViT that was pre-trained for `epochs` over a fresh one on 1,000 labels, by seed."""
    import keras

    gains: dict[str, list[float]] = {}
    for seed in SEEDS:
        for name in methods:
            config = pretraining.Pretraining(data=path, seed=seed, epochs=epochs)
            data = pretraining.load(config)
            folder = Path(out) / f"{name}-{seed}-{epochs}"
            folder.mkdir(parents=True, exist_ok=True)
            records = runs.Records(folder)
            encoder, record = pretraining.pretrain(name, data.train, config, records)
            loss = record["history"]["loss"][-1] / record["history"]["trivial"][-1]
            few = data.train.subset(kv.data.sample(data.train.labels, LABELED, seed=seed))
            found = records.done("gain", scratch=float, tuned=float)
            if found is None:
                found = {}
                for kind, body in (("scratch", kv.selfsup.untrained(encoder, seed)), ("tuned", encoder)):
                    keras.utils.set_random_seed(seed)
                    model = kv.transfer.attach(body, len(data.class_names))
                    steps = [kv.schedules.Phase(0, "all", 1e-3, curve=kv.schedules.Cosine(0.1))]
                    batches = kv.data.batches(few, seed=seed, batch_size=64)
                    kv.schedules.fit(
                        model, batches, steps, epochs=EPOCHS, optimizer=kv.training.AdamW(weight_decay=0.05), verbose=0
                    )
                    guess = kv.features.embed(model, data.test, progress=False).argmax(axis=1)
                    found[kind] = float((guess == data.test.labels).mean())
                records.finish("gain", found)
            gains.setdefault(name, []).append(found["tuned"] - found["scratch"])
            print(json.dumps({"method": name, "seed": seed, "loss / trivial": round(loss, 3), **found}), flush=True)
    for name, values in gains.items():
        half = (
            4.303 * statistics.stdev(values) / len(values) ** 0.5 if len(values) == 3 else float("nan")
        )  # t, 2 degrees
        print(f"{name}: {statistics.mean(values):+.4f} +- {half:.4f}")


if __name__ == "__main__":
    {
        "step": lambda: step(sys.argv[2]),
        "views": cost,
        "kernels": kernels,
        "norm": norm,
        "rate": lambda: print(rate(sys.argv[2] == "made", *sys.argv[3:])),
        "read": read,
        "finetune": lambda: finetune(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:]),
    }[sys.argv[1]]()
