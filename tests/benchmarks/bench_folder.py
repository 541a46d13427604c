"""`kvision transfer` from a folder of JPEG photographs against its two parts: decoding alone, and the network alone.

Run: python tests/benchmarks/bench_folder.py PHOTOS [--count 10000]      (PHOTOS: any folder of JPEG files to crop)
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, CLASSES, SIZE, SAMPLE = 640, 480, 10, 224, 1000


def write(photos: Path, folder: Path, count: int) -> None:
    """`count` random crops, scaled to 640 x 480; a class is a tenth of the photographs."""
    random = np.random.default_rng(0)
    sources = sorted(photos.rglob("*.jpg"))
    for i in range(count):
        which = i % min(len(sources), 200)
        with Image.open(sources[which]) as image:
            share = random.uniform(0.5, 1)
            width, height = int(image.width * share), int(image.height * share)
            left, top = random.integers(image.width - width + 1), random.integers(image.height - height + 1)
            crop = image.convert("RGB").crop((left, top, left + width, top + height)).resize((WIDTH, HEIGHT))
        path = folder / f"class{which % CLASSES}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop.save(path, quality=90)


def rates(folder: Path) -> dict[str, float]:
    """Images per second of the network on pixels in memory, and of files to pixels; the better of two passes.

    Measured before and after the run: where the two differ, the machine was not equally free, and the ratio says less.
    """
    import kvision as kv
    from kvision.features import engines

    scan = kv.data.scan(folder, progress=False)
    images = kv.data.from_folder(scan, image_size=SIZE).subset(np.arange(SAMPLE))
    model = kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=SIZE, pooling="avg")
    run = engines.start(model, "litert", batch_size=32)
    seconds: dict[str, list[float]] = {"decode": [], "engine": []}
    for _ in range(2):
        started = time.perf_counter()
        batches = [batch for batch, _ in images]
        seconds["decode"].append(time.perf_counter() - started)
        started = time.perf_counter()
        for batch in batches:
            run(batch)
        seconds["engine"].append(time.perf_counter() - started)
    return {name: len(images) / min(times) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "photos")
        write(arguments.photos, folder, arguments.count)
        command = [sys.executable, "-m", "kvision", "transfer", "--data", str(folder), "--out", f"{temporary}/out"]
        command += ["--image-size", str(SIZE), "--heads", "knn,forest,logistic"]
        before = rates(folder)
        started = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        seconds = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        report = json.loads(next(Path(temporary, "out", "runs").glob("*/report.json")).read_text())
        after = rates(folder)
    for name in before:
        print(f"{name}: {before[name]:.0f} images/s before the run, {after[name]:.0f} after it")
    found = {name: max(before[name], after[name]) for name in before}
    both = 1 / (1 / found["engine"] + 1 / found["decode"])
    end = arguments.count / seconds
    print(f"engine {found['engine']:.0f} images/s, decode {found['decode']:.0f}, one after the other {both:.0f}")
    each = {name: row["seconds"] for name, row in report["results"].items()}
    heads = sum(each.values())
    print(f"end to end {end:.0f} images/s ({seconds:.0f} s): {end / both:.2f} of that; heads {heads:.0f} s, {each}")
    print(f"without the heads {arguments.count / (seconds - heads) / both:.2f} of that; peak memory {memory:.2f} GiB")


if __name__ == "__main__":
    main()
