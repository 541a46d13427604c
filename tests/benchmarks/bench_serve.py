"""`serve_bytes` of an exported model against decoding in Python and `predict`; `kvision predict` of 100 photographs.

Run: python tests/benchmarks/bench_serve.py PHOTOS [--rounds 5]      (PHOTOS: a folder of at least 100 JPEG files)
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import numpy as np
import tensorflow as tf

from kvision.pixels import pillow

BATCH, SIZE, CLASSES = 32, 224, 10


def command_seconds(model: Path, photos: list[Path]) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "kvision", "predict", str(model), *map(str, photos), "--json"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.rglob("*.jpg"))[:100]
    contents = [path.read_bytes() for path in photos]
    batches = [contents[i : i + BATCH] for i in range(0, len(contents) - BATCH + 1, BATCH)]
    model = kv.transfer.attach(
        kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=SIZE, pooling="avg"), CLASSES
    )
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        version = kv.export.write(model, Path(temporary, "model"), task=kv.tasks.Classification())
        signatures = tf.saved_model.load(str(version)).signatures

        def in_python(batch: list[bytes]) -> None:
            pixels = np.stack(list(pool.map(lambda data: pillow.load(data, SIZE), batch))).astype("float32")
            signatures["predict"](image=tf.constant(pixels))

        calls = {
            "serve_bytes": lambda batch: signatures["serve_bytes"](image_bytes=tf.constant(batch)),
            "decode in Python, predict": in_python,
        }
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for round in range(arguments.rounds + 1):
            for name, call in calls.items():
                started = time.perf_counter()
                for batch in batches:
                    call(batch)
                if round:  # the first warms up
                    rates[name].append(len(batches) * BATCH / (time.perf_counter() - started))
        ours, python = (statistics.median(found) for found in rates.values())
        print(f"serve_bytes {ours:.0f} images/s, decode in Python and predict {python:.0f}: {ours / python:.2f}x")
        lite = version / "assets.extra" / "model.tflite"
        one = min(command_seconds(lite, photos[:1]) for _ in range(3))
        many = statistics.median(command_seconds(lite, photos) for _ in range(3))
        rate = (len(photos) - 1) / (many - one)
        print(f"kvision predict by .tflite: {one:.2f} s for one photograph, {rate:.0f} images/s after that")


if __name__ == "__main__":
    main()
