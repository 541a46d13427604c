"""Chooses the engine that runs a network fastest on this machine, by timing it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from kvision.export import litert
from kvision.features import engines

__all__ = ["Choice", "fastest"]

# Conversion and timing cost as much as some ten batches and 4 to 10 s. The best engine saves up to 45 % of the time.
_WORTH = 30.0  # seconds that Keras would still need
_BATCHES = 10
_TIMING, _ROUNDS = 2.0, 5  # timing ends after so many seconds or rounds
_TOLERANCE = 1e-4  # of the largest feature


@dataclass(frozen=True, eq=False)
class Choice:
    """A started engine.

    Attributes:
        engine: Its name.
        run: What `engines.start` returned.
        rates: Images per second of each engine that was timed. Empty where timing was not worth its time.
        refused: Why an engine was left out, by its name.
        features: Features of the batch by Keras, if Keras was chosen and has run it.
    """

    engine: str
    run: Callable
    rates: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    features: np.ndarray | None = None

    def __str__(self) -> str:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in self.rates.items())
        reasons = "".join(f"; without {name}: {reason}" for name, reason in self.refused.items())
        return f"engine {self.engine} ({rates} images a second{reasons})"


def fastest(
    model: keras.Model, batch: np.ndarray, batches: float, *, clock: Callable[[], float] = time.perf_counter
) -> Choice:
    """Starts the engine that runs `batches` batches like `batch` fastest.

    Keras is taken without timing the others where it would be done before they are converted. Elsewhere each of
    `engines.candidates()` runs the batch several times in turn. An engine is left out if it cannot be started on this
    model, or if its features are not those of Keras.

    Args:
        model: A model from images to features.
        batch: Images `(n, height, width, channels)` in [0, 255].
        batches: Number of batches in all. Infinite if it is unknown.
        clock: Returns the time in seconds.

    Returns:
        The engine, with the rates that were measured.
    """
    runs, others = {"keras": engines.start(model, "keras", batch_size=len(batch))}, engines.candidates()[1:]

    def timed(name: str) -> float:
        started = clock()
        runs[name](batch)
        return clock() - started

    if not others or batches <= _BATCHES:
        return Choice("keras", runs["keras"])
    expected = runs["keras"](batch)  # traces the network, so that the next call can be timed
    if timed("keras") * (batches - _BATCHES) <= _WORTH:
        return Choice("keras", runs["keras"], features=expected)
    flatbuffer, refused = None, {}
    for name in others:
        try:
            flatbuffer = flatbuffer or litert.convert(model, batch_size=len(batch))
            run = engines.start(model, name, batch_size=len(batch), flatbuffer=flatbuffer)
            difference = np.abs(run(batch) - expected).max()
        except Exception as reason:  # of many types. What nobody asked for must not stop the run
            refused[name] = " ".join(str(reason).split())[:200]
            continue
        if difference <= _TOLERANCE * np.abs(expected).max():
            runs[name] = run
        else:
            refused[name] = f"its features differ from those of Keras by {difference:.1e}"
    times, end = {name: [] for name in runs}, clock() + _TIMING
    for _ in range(_ROUNDS):  # in turn: whatever else the machine does, it does to all
        for name in runs:
            times[name].append(timed(name))
        if clock() > end:
            break
    rates = {name: len(batch) / min(found) for name, found in times.items()}
    best = max(rates, key=lambda name: rates[name])
    return Choice(best, runs[best], rates, refused, expected if best == "keras" else None)
