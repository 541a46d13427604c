"""Measures the speed of the engines on a network and chooses the fastest engine."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from kvision.export import litert
from kvision.features import engines

__all__ = ["Chosen", "fastest"]

# Conversion and timing cost about ten batches and 4 to 10 s, and the best engine saves up to 45 % of the time. They are
# worth this cost only if there are more than ten batches and Keras would need longer than this.
_BATCHES = 10
_WORTH = 30.0  # seconds
_TIMING, _ROUNDS = 2.0, 5  # timing ends after this number of seconds or rounds
_TOLERANCE = 1e-4  # as a share of the largest feature


@dataclass(frozen=True, eq=False)
class Chosen:
    """A started engine.

    Attributes:
        engine: The name of the engine.
        run: The function that `engines.start` returned.
        speeds: Images per second of each engine that was timed. Empty if nothing was timed.
        refused: The reason why an engine was left out, by the name of the engine.
    """

    engine: str
    run: Callable
    speeds: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        speeds = ", ".join(f"{name} {speed:.0f}" for name, speed in self.speeds.items())
        reasons = "".join(f"; without {name}: {reason}" for name, reason in self.refused.items())
        return f"engine {self.engine} ({speeds} images a second{reasons})"


def fastest(
    model: keras.Model, batch: np.ndarray, batches: float, *, clock: Callable[[], float] = time.perf_counter
) -> Chosen:
    """Starts the fastest engine for a number of batches.

    If Keras would finish before the model is converted for the other engines, Keras is used without timing. Otherwise
    each of `engines.candidates()` runs the batch several times in turn. An engine is left out if it cannot be started
    on this model, or if its features differ from the features of Keras.

    Args:
        model: A model from images to features.
        batch: Images `(n, height, width, channels)` in [0, 255].
        batches: Total number of batches, or infinity if it is unknown.
        clock: A function that returns the time in seconds.

    Returns:
        The engine and the measured speeds.
    """
    runs, others = {"keras": engines.start(model, "keras", batch_size=len(batch))}, engines.candidates()[1:]

    def timed(name: str) -> float:
        started = clock()
        runs[name](batch)
        return clock() - started

    if not others or batches <= _BATCHES:
        return Chosen("keras", runs["keras"])
    expected = runs["keras"](batch)  # this call traces the network, so that the next call can be timed
    if timed("keras") * (batches - _BATCHES) <= _WORTH:
        return Chosen("keras", runs["keras"])
    flatbuffer, refused = None, {}
    for name in others:
        try:
            flatbuffer = flatbuffer or litert.convert(model, batch_size=len(batch))
            run = engines.start(model, name, batch_size=len(batch), flatbuffer=flatbuffer)
            difference = np.abs(run(batch) - expected).max()
        except Exception as reason:
            # Conversion raises errors of many types. The run continues without this engine.
            refused[name] = " ".join(str(reason).split())[:200]
            continue
        if difference <= _TOLERANCE * np.abs(expected).max():
            runs[name] = run
        else:
            refused[name] = f"its features differ from those of Keras by {difference:.1e}"
    times, end = {name: [] for name in runs}, clock() + _TIMING
    for _ in range(_ROUNDS):  # in turn, so that other work on the machine slows down all engines equally
        for name in runs:
            times[name].append(timed(name))
        if clock() > end:
            break
    speeds = {name: len(batch) / min(found) for name, found in times.items()}
    best = max(speeds, key=lambda name: speeds[name])
    return Chosen(best, runs[best], speeds, refused)
