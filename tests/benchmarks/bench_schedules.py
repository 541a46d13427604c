"""A phase against a hand-written Keras `fit`; a frozen body against full fine-tuning; presets against each other.

Run: python tests/benchmarks/bench_schedules.py phase
     python tests/benchmarks/bench_schedules.py frozen
     python tests/benchmarks/bench_schedules.py presets cifar10_subset.npz OUT lp_ft two_phase          (an hour)
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import keras
import numpy as np

from kvision import runs
from kvision.recipes import transfer

PAIRS, CLASSES, SEEDS = 7, 10, (0, 1, 2)


def images(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, size, size, 3), dtype="uint8"), random.integers(0, CLASSES, count)


class Epochs(keras.callbacks.Callback):
    """When epochs began."""

    def on_epoch_begin(self, epoch, logs=None):
        self.times = [*getattr(self, "times", []), time.perf_counter()]


def second_epoch(train: Callable[[Epochs], object]) -> float:
    """Seconds of the second of three epochs: traced already, and with a whole epoch behind it."""
    epochs = Epochs()
    train(epochs)
    return epochs.times[2] - epochs.times[1]


def by_kvision(name: str, size: int, above: str, data) -> Callable[[Epochs], object]:
    model = kv.transfer.attach(kv.backbones.create(name, image_size=size, pooling="avg"), CLASSES)
    steps = [kv.schedules.Phase(0, above, 1e-4)]
    return lambda epochs: kv.schedules.fit(model, data, steps, epochs=3, callbacks=[epochs], verbose=0)


def by_hand(name: str, size: int, above: str, data) -> Callable[[Epochs], object]:
    """As tutorials write it: the same trainable variables."""
    backbone = kv.backbones.create(name, image_size=size, pooling="avg")
    backbone.trainable = above == "all"
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    image = keras.Input((size, size, 3))
    model = keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax")(backbone(image, training=False)))
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda epochs: model.fit(*data, epochs=3, callbacks=[epochs], verbose=0)


def phase() -> None:
    """Lite0 at 96 px, 16 steps of 32 an epoch, the head alone and everything."""
    data = images(512, 96)
    for above in ("top", "all"):
        ours, bare = (make("EfficientNetLite0", 96, above, data) for make in (by_kvision, by_hand))
        ratios = []
        for pair in range(PAIRS):
            order = (ours, bare) if pair % 2 else (bare, ours)
            seconds = {train: second_epoch(train) for train in order}
            ratios.append(seconds[ours] / seconds[bare])
        print(
            f"{above}: a phase's step over Keras' {statistics.median(ratios):.3f}x, of {[f'{r:.3f}' for r in ratios]}"
        )


def frozen() -> None:
    """ResNet50 at 96 px, 16 steps of 32 an epoch."""
    data = images(512, 96)
    head, everything = (by_kvision("ResNet50", 96, above, data) for above in ("top", "all"))
    ratios = [second_epoch(everything) / second_epoch(head) for _ in range(PAIRS)]
    print(f"frozen body: {statistics.median(ratios):.2f}x faster steps, of {[f'{r:.2f}' for r in ratios]}")


def presets(path: str, out: str, *names: str) -> None:
    """Lite0 at 96 px on the recipe's own split: held-out accuracy by seed, then the first named minus the last.

    out: a folder for what is finished; a killed run goes on.
    """
    answers: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for seed in SEEDS:
        for name in names:
            config = transfer.Config(data=path, image_size=96, heads=("finetune",), schedule=name, seed=seed)
            folder = Path(out, f"{name}-{seed}")
            folder.mkdir(parents=True, exist_ok=True)
            data, started = transfer.load(config), time.monotonic()
            transfer.run(data, config, records=runs.Records(folder), cache=Path(out, "features"))
            record = json.loads((folder / "finetune.json").read_text(encoding="utf-8"))
            answers[name].append(np.array(record["predicted"]) == data.test.labels)
            accuracy, seconds = answers[name][-1].mean(), time.monotonic() - started
            print(f"{name}, seed {seed}: {accuracy:.4f} ({record['chosen']}, {seconds:.0f} s)", flush=True)
    gain = np.mean([a.astype(float) - b for a, b in zip(answers[names[0]], answers[names[-1]], strict=True)], axis=0)
    error = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))  # over held-out images, each answered once by every seed
    print(f"{names[0]} - {names[-1]}: {100 * gain.mean():.2f} points (95 % interval +- {100 * error:.2f})")


def main() -> None:
    parts = {"phase": phase, "frozen": frozen, "presets": presets}
    parts[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
