"""What the TFLite files of an export weigh, take and lose, measured on held-out images."""

import statistics
import time
from pathlib import Path

import numpy as np

from kvision import metrics
from kvision.data import Images, sample
from kvision.export import quantize
from kvision.export.litert import Runner
from kvision.progress import Bar

__all__ = ["lines", "measure", "representatives"]

HELD_OUT, REPRESENTATIVES = 2000, 200
_THREADS, _WARMUP, _TIMES = 2, 5, 40


def representatives(images: Images, *, count: int = REPRESENTATIVES, seed: int = 0) -> np.ndarray:
    """About `count` images, as many of each class: (N, S, S, 3) uint8, to calibrate int8."""
    return np.concatenate([batch for batch, _ in _some(images, count, seed)])


def measure(folder: Path, kinds: tuple[str, ...], images: Images, *, limit: int = HELD_OUT) -> dict[str, dict]:
    """{kind: {"megabytes", "milliseconds", "accuracy", "interval", "agreement", "images"}}, in the order of `kinds`.

    folder: `assets.extra` of a version. milliseconds: median of single images on 2 threads. accuracy, with Wilson's
    95 % interval, and agreement (the share answered as the first kind answers) on at most `limit` of `images`, as many
    of each class.
    """
    paths = {kind: folder / quantize.file_name(kind) for kind in kinds}
    held_out = _some(images, limit, seed=0)
    image = held_out.image(0)[None]
    times = {kind: _milliseconds(path, image) for kind, path in paths.items()}
    runners = {kind: Runner(path) for kind, path in paths.items()}
    answers: dict[str, list] = {kind: [] for kind in kinds}
    with Bar(total=len(held_out), desc=f"tflite: {', '.join(kinds)}", unit=" images", leave=False) as bar:
        for batch, _ in held_out:
            for kind, runner in runners.items():
                answers[kind].extend(runner(batch)["probabilities"].argmax(axis=1))
            bar.update(len(batch))
    table = {}
    for kind, path in paths.items():
        correct = int((np.array(answers[kind]) == held_out.labels).sum())
        table[kind] = {
            "megabytes": path.stat().st_size / 1e6,
            "milliseconds": times[kind],
            "accuracy": correct / len(held_out),
            "interval": list(metrics.accuracy_interval(correct, len(held_out))),
            "agreement": float(np.mean(np.array(answers[kind]) == np.array(answers[kinds[0]]))),
            "images": len(held_out),
        }
    return table


def lines(table: dict[str, dict]) -> list[str]:
    """The table for a terminal; none for an empty one."""
    if not table:
        return []
    count = next(iter(table.values()))["images"]
    found = [
        f"{'.tflite':<12}{'accuracy':>10}{'95 % interval':>18}{'as float32':>12}{'MB':>8}{'ms':>8}   "
        f"of {count} held-out images; one image on {_THREADS} threads"
    ]
    for kind, row in table.items():
        interval = "{:.3f} - {:.3f}".format(*row["interval"])
        found.append(
            f"{kind:<12}{row['accuracy']:>10.4f}{interval:>18}{row['agreement']:>12.4f}{row['megabytes']:>8.2f}"
            f"{row['milliseconds']:>8.2f}   {quantize.file_name(kind)}"
        )
    return found


def _some(images: Images, count: int, seed: int) -> Images:
    """About `count` images, as many of each class; of more classes than `count`, one of each of so many."""
    if len(images) <= count:
        return images
    chosen = sample(images.labels, max(1, count // len(np.unique(images.labels))), seed=seed)
    if len(chosen) > count:
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:count])
    return images.subset(chosen)


def _milliseconds(path: Path, image: np.ndarray) -> float:
    runner, seconds = Runner(path, threads=_THREADS), []
    for _ in range(_WARMUP + _TIMES):
        started = time.perf_counter()
        runner(image)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[_WARMUP:])
