"""How a learning rate changes through a phase: each curve is data, `factor(progress)` times the phase's rate.

progress: of the phase, in [0, 1]; factor: in [0, 1], 1 at the peak. `over` makes a Keras schedule of a curve for any
Keras optimizer, and `kv.training.PhaseRate(lambda p: 1e-3 * curve.factor(p), epochs=5)` is a callback for it.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks

__all__ = [
    "Constant",
    "Cosine",
    "Curve",
    "CurveSchedule",
    "FlatCosine",
    "OneCycle",
    "SlantedTriangular",
    "Steps",
    "Triangular2",
]


class Curve(ABC):
    """A learning rate in shares of its peak."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Returns the share of the peak in [0, 1], for a progress in [0, 1]."""

    def over(self, steps: int, *, learning_rate: float) -> "CurveSchedule":
        """Returns the curve as a schedule that any Keras optimizer takes.

        Args:
            steps: The number of optimizer updates in the whole training.
            learning_rate: The learning rate at the peak.

        Example:
            >>> optimizer = keras.optimizers.SGD(kv.schedules.OneCycle().over(1000, learning_rate=0.1))
        """
        return CurveSchedule(self, learning_rate, steps)


@keras.saving.register_keras_serializable("kvision")
class CurveSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A curve over a number of steps; its last value holds after them.

    Args:
        curve: A curve, or its configuration.
        learning_rate: The learning rate at the peak. Must be positive.
        steps: The number of steps, at least 1.
    """

    def __init__(self, curve: "Curve | dict", learning_rate: float, steps: int):
        checks.positive({"learning_rate": learning_rate})
        if not isinstance(steps, int) or steps < 1:
            raise checks.error("steps", expected="a count of at least 1", received=steps)
        if isinstance(curve, dict):
            curve = _CURVES[curve["name"]](**{k: v for k, v in curve.items() if k != "name"})
        self.curve, self.learning_rate, self.steps = curve, learning_rate, steps
        # A table of all steps is exact, and needs no second formula in operations of the backend.
        self._values = np.array([learning_rate * curve.factor(step / steps) for step in range(steps + 1)], "float32")

    def __call__(self, step):
        """Returns the learning rate of a step."""
        ops = keras.ops
        index = ops.cast(ops.minimum(ops.cast(step, "int32"), self.steps), "int32")
        return ops.take(self._values, index)

    def get_config(self) -> dict:
        """Returns what `__init__` needs."""
        settings = {"name": type(self.curve).__name__, **dataclasses.asdict(self.curve)}
        return {"curve": settings, "learning_rate": self.learning_rate, "steps": self.steps}


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise checks.error(name, expected="a share of the phase in [0, 1)", received=value)


def _ratio(name: str, value: float) -> None:
    if not 1 <= value < math.inf:
        raise checks.error(name, expected="a ratio of at least 1", received=value)


def _eased(start: float, end: float, progress: float) -> float:
    """Half a cosine wave from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Constant(Curve):
    """1 all along, after a linear rise over the share `warmup`."""

    warmup: float = 0.0

    def __post_init__(self):
        _share("warmup", self.warmup)

    def factor(self, progress: float) -> float:
        return progress / self.warmup if progress < self.warmup else 1.0


@dataclass(frozen=True)
class Cosine(Curve):
    """A linear rise from `start` over the share `warmup` (Goyal et al. 2017, arXiv 1706.02677, section 2.2), then half
    a cosine wave down to `end` (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5, one cycle)."""

    warmup: float = 0.0
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self):
        _share("warmup", self.warmup)
        for name, value in {"start": self.start, "end": self.end}.items():
            if not 0 <= value <= 1:
                raise checks.error(name, expected="a share of the peak in [0, 1]", received=value)

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return self.start + (1 - self.start) * progress / self.warmup
        return _eased(1.0, self.end, (progress - self.warmup) / (1 - self.warmup))


@dataclass(frozen=True)
class OneCycle(Curve):
    """From 1 / `div` up to 1 over the share `rise`, then down to 1 / `div_final`, both by half a cosine wave: the
    one-cycle policy (Smith & Topin 2018, arXiv 1708.07120) as fastai's `fit_one_cycle` has it, with its values. The
    paper's opposite cycle of momentum is left out: Keras' optimizers hold momentum as a constant of the traced step.
    """

    rise: float = 0.25
    div: float = 25.0
    div_final: float = 1e5

    def __post_init__(self):
        _share("rise", self.rise)
        _ratio("div", self.div)
        _ratio("div_final", self.div_final)

    def factor(self, progress: float) -> float:
        if progress < self.rise:
            return _eased(1 / self.div, 1.0, progress / self.rise)
        return _eased(1.0, 1 / self.div_final, (progress - self.rise) / (1 - self.rise))


@dataclass(frozen=True)
class FlatCosine(Curve):
    """1 over the share `flat`, then half a cosine wave to 0: fastai's `fit_flat_cos`, with its value."""

    flat: float = 0.75

    def __post_init__(self):
        _share("flat", self.flat)

    def factor(self, progress: float) -> float:
        return 1.0 if progress < self.flat else _eased(1.0, 0.0, (progress - self.flat) / (1 - self.flat))


@dataclass(frozen=True)
class Steps(Curve):
    """A linear rise over the share `warmup`, then times `by` at each of the shares `at`. The values are those of the
    BiT-HyperRule for under 20,000 images: 100 steps of rise, times .1 at 200, 300 and 400 of 500 (Kolesnikov et al.
    2020, arXiv 1912.11370, section 3.3 and the published code)."""

    at: tuple[float, ...] = (0.4, 0.6, 0.8)
    by: float = 0.1
    warmup: float = 0.2

    def __post_init__(self):
        _share("warmup", self.warmup)
        for share in self.at:
            _share("at", share)
        if not 0 < self.by <= 1:
            raise checks.error("by", expected="a factor in (0, 1]", received=self.by)

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        return self.by ** sum(progress >= share for share in self.at)


@dataclass(frozen=True)
class SlantedTriangular(Curve):
    """A linear rise from 1 / `ratio` over the share `cut`, then a linear fall back to it (Howard & Ruder 2018, arXiv
    1801.06146, eq. 3, with its values)."""

    cut: float = 0.1
    ratio: float = 32.0

    def __post_init__(self):
        _share("cut", self.cut)
        _ratio("ratio", self.ratio)

    def factor(self, progress: float) -> float:
        p = progress / self.cut if progress < self.cut else 1 - (progress - self.cut) / (1 - self.cut)
        return (1 + p * (self.ratio - 1)) / self.ratio


@dataclass(frozen=True)
class Triangular2(Curve):
    """`cycles` triangles between `low` and 1, the height above `low` halved after each (Smith 2017, arXiv 1506.01186,
    section 3.2, "triangular2"; equals tensorflow-addons' `Triangular2CyclicalLearningRate`)."""

    cycles: int = 3
    low: float = 0.01

    def __post_init__(self):
        if self.cycles < 1:
            raise checks.error("cycles", expected="a count of at least 1", received=self.cycles)
        _share("low", self.low)

    def factor(self, progress: float) -> float:
        cycle, place = divmod(progress * self.cycles, 1.0)
        return self.low + (1 - self.low) * (1 - abs(2 * place - 1)) * 0.5**cycle


_CURVES: dict[str, type] = {
    curve.__name__: curve for curve in (Constant, Cosine, FlatCosine, OneCycle, SlantedTriangular, Steps, Triangular2)
}
