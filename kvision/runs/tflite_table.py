"""Size, latency and accuracy of the exported TFLite models."""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from kvision.export import Task, quantize
from kvision.export.litert import Runner

__all__ = ["lines", "measure", "representatives"]

TEST_IMAGES, REPRESENTATIVES = 2000, 200
_THREADS, _WARMUP, _TIMES = 2, 5, 40


def representatives(images: Any, *, count: int = REPRESENTATIVES, seed: int = 0) -> np.ndarray:
    """Returns about `count` images `(count, size, size, 3)` uint8 to calibrate int8, balanced by class."""
    some = images.some(count, seed=seed)
    return np.stack([some.example(i)[0] for i in range(len(some))])


def measure(
    task: Task, folder: Path, kinds: tuple[str, ...], images: Any, *, limit: int = TEST_IMAGES
) -> dict[str, dict]:
    """Measures TFLite models on the same test images.

    Args:
        task: The task of the models.
        folder: The folder `assets.extra` of an exported version.
        kinds: Kinds of TFLite models. All models are compared with the first one.
        images: Test images. At most `limit` of them are used, balanced by class.
        limit: The largest number of test images.

    Returns:
        A dictionary for each kind, with `megabytes`, `milliseconds` (median time of one image on 2 threads), and the
        values that `task.measure` returns.
    """
    paths = {kind: folder / quantize.file_name(kind) for kind in kinds}
    some = images.some(limit)
    times = {kind: _milliseconds(path, some.example(0)[0][None]) for kind, path in paths.items()}
    measured = task.measure({kind: Runner(path) for kind, path in paths.items()}, some)
    sizes = {kind: path.stat().st_size / 1e6 for kind, path in paths.items()}
    return {kind: {"megabytes": sizes[kind], "milliseconds": times[kind], **measured[kind]} for kind in kinds}


def lines(table: dict[str, dict], score: str) -> list[str]:
    """Returns the lines of the printed table, or an empty list if the table is empty."""
    if not table:
        return []
    count = next(iter(table.values()))["images"]
    found = [
        f"{'.tflite':<12}{score.replace('_', ' '):>10}{'95 % interval':>18}{'as float32':>12}{'MB':>8}{'ms':>8}   "
        f"of {count} test images; one image on {_THREADS} threads"
    ]
    for kind, row in table.items():
        interval = "{:.3f} - {:.3f}".format(*row["interval"])
        found.append(
            f"{kind:<12}{row[score]:>10.4f}{interval:>18}{row['agreement']:>12.4f}{row['megabytes']:>8.2f}"
            f"{row['milliseconds']:>8.2f}   {quantize.file_name(kind)}"
        )
    return found


def _milliseconds(path: Path, image: np.ndarray) -> float:
    runner, seconds = Runner(path, threads=_THREADS), []
    for _ in range(_WARMUP + _TIMES):
        started = time.perf_counter()
        runner(image)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[_WARMUP:])
