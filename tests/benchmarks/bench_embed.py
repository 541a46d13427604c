"""Images per second of `embed`'s engines over a bare `tf.function` loop, side by side in one process.

Run: python tests/benchmarks/bench_embed.py [--size 224] [--batches 8] [--rounds 5]
"""

import argparse
import statistics
import time

import numpy as np
import tensorflow as tf

import kvision as kv
from kvision.export import engines

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=arguments.size, pooling="avg")
    shape = (arguments.batches * BATCH, arguments.size, arguments.size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]

    bare = tf.function(lambda x: model(x, training=False))
    started = time.perf_counter()
    litert = engines.start(model, "litert", batch_size=BATCH)
    print(f"conversion to LiteRT: {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    openvino = engines.start(model, engines.choose("openvino", None), batch_size=BATCH)
    print(f"conversion to OpenVINO: {time.perf_counter() - started:.1f} s")
    ways = {
        "bare": lambda x: bare(tf.cast(x, tf.float32)).numpy(),
        "keras": engines.start(model, "keras", batch_size=BATCH),
        "litert": litert,
        "openvino": openvino,
    }
    answers = {name: np.concatenate([way(batch) for batch in batches]) for name, way in ways.items()}
    for way in ways.values():
        for _ in range(3):
            way(batches[0])
    rates = {name: [] for name in ways}
    for _ in range(arguments.rounds):  # interleaved: whatever else the machine does, it does to all
        for name, way in ways.items():
            started = time.perf_counter()
            for batch in batches:
                way(batch)
            rates[name].append(len(images) / (time.perf_counter() - started))
    base = statistics.median(rates["bare"])
    for name, values in rates.items():
        error = np.abs(answers[name] - answers["bare"]).max()
        rate = statistics.median(values)
        print(f"{name:<8} {rate:7.1f} images/s   {rate / base:.2f}x bare   largest difference {error:.1e}")


if __name__ == "__main__":
    main()
