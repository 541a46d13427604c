"""Images per second of `embed`'s engines beside a bare `tf.function` loop, and the engine that "auto" chooses.

Run: python tests/benchmarks/bench_embed.py [--models EfficientNetLite0 ResNet50 MobileNetV2] [--size 224] [--batches 8]
[--rounds 5]. EfficientNetLite0 has ImageNet weights, the others random ones.
"""

import argparse
import statistics
import time

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import numpy as np
import tensorflow as tf

from kvision.features import engines
from kvision.features.fastest import fastest

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["EfficientNetLite0", "ResNet50", "MobileNetV2"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    shape = (arguments.batches * BATCH, arguments.size, arguments.size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    for name in arguments.models:
        weights = "imagenet" if name == "EfficientNetLite0" else None
        model = kv.backbones.create(name, weights=weights, image_size=arguments.size, pooling="avg")
        print(f"{name}, {arguments.size} px")
        measure(model, [images[i : i + BATCH] for i in range(0, len(images), BATCH)], arguments.rounds)


def measure(model, batches: list[np.ndarray], rounds: int) -> None:
    started = time.perf_counter()
    choice = fastest(model, batches[0], float("inf"))
    seconds = time.perf_counter() - started
    bare = tf.function(lambda x: model(x, training=False))
    ways = {"bare": lambda x: bare(tf.cast(x, tf.float32)).numpy()}
    for name in engines.candidates():
        started = time.perf_counter()
        ways[name] = engines.start(model, name, batch_size=BATCH)
        print(f"  {name}: started in {time.perf_counter() - started:.1f} s")
    answers = {name: np.concatenate([way(batch) for batch in batches]) for name, way in ways.items()}
    rates = {name: [] for name in ways}
    for _ in range(rounds):  # interleaved: whatever else the machine does, it does to all
        for name, way in ways.items():
            started = time.perf_counter()
            for batch in batches:
                way(batch)
            rates[name].append(len(batches) * BATCH / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in medians.items():
        error = np.abs(answers[name] - answers["bare"]).max() / np.abs(answers["bare"]).max()
        print(
            f"  {name:<8} {rate:7.1f} images/s   {rate / medians['bare']:.2f}x bare   relative difference {error:.1e}"
        )
    best = max(rate for name, rate in medians.items() if name != "bare")
    print(
        f"  auto: {choice}, decided in {seconds:.1f} s; {medians[choice.engine] / best:.3f} of the best rate\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
