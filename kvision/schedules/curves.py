"""Curves of the learning rate over a phase. A curve gives the learning rate as a share of its peak.

A phase takes a curve. `Curve.over` converts a curve to a schedule for any Keras optimizer. The callback
`kv.training.PhaseRate(lambda progress: 1e-3 * curve.factor(progress), epochs=5)` applies a curve, too.
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
    """A learning rate as a share of its peak, over the progress of a phase."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, in [0, 1], for a progress in [0, 1]."""

    def over(self, steps: int, *, learning_rate: float) -> "CurveSchedule":
        """Returns the curve as a schedule that any Keras optimizer takes.

        Args:
            steps: Number of optimizer updates in the whole training.
            learning_rate: The learning rate at the peak.

        Returns:
            The schedule.

        Example:
            >>> optimizer = keras.optimizers.SGD(kv.schedules.OneCycle().over(1000, learning_rate=0.1))
        """
        return CurveSchedule(self, learning_rate, steps)


@keras.saving.register_keras_serializable("kvision")
class CurveSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A curve over a number of steps, for any Keras optimizer. After the last step the learning rate stays constant.

    Args:
        curve: A curve, or the configuration of a curve in the form that `get_config` returns.
        learning_rate: The learning rate at the peak. Must be positive.
        steps: Number of steps, at least 1.

    Raises:
        UserError: If `learning_rate` or `steps` is out of range.
    """

    def __init__(self, curve: "Curve | dict", learning_rate: float, steps: int):
        checks.positive({"learning_rate": learning_rate})
        if not isinstance(steps, int) or steps < 1:
            raise checks.UserError("steps", expected="a number of at least 1", received=steps)
        if isinstance(curve, dict):
            curve = _CURVES[curve["name"]](**{name: value for name, value in curve.items() if name != "name"})
        self.curve, self.learning_rate, self.steps = curve, learning_rate, steps
        # A table of all steps is exact. It also avoids a second version of the formula in operations of the backend.
        self._values = np.array([learning_rate * curve.factor(step / steps) for step in range(steps + 1)], "float32")

    def __call__(self, step):
        """Returns the learning rate of a step."""
        ops = keras.ops
        index = ops.cast(ops.minimum(ops.cast(step, "int32"), self.steps), "int32")
        return ops.take(self._values, index)

    def get_config(self) -> dict:
        """Returns the arguments of the constructor, with the curve as a dictionary."""
        settings = {"name": type(self.curve).__name__, **dataclasses.asdict(self.curve)}
        return {"curve": settings, "learning_rate": self.learning_rate, "steps": self.steps}


def _share(argument: str, value: float) -> None:
    if not 0 <= value < 1:
        raise checks.UserError(argument, expected="a number in [0, 1)", received=value)


def _ratio(argument: str, value: float) -> None:
    if not 1 <= value < math.inf:
        raise checks.UserError(argument, expected="a number of at least 1", received=value)


def _eased(start: float, end: float, progress: float) -> float:
    """Returns the value of half a cosine wave from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Constant(Curve):
    """Stays at the peak after a linear rise.

    Attributes:
        warmup: Share of the phase in which the learning rate rises from 0, in [0, 1).

    Raises:
        UserError: If `warmup` is out of range.
    """

    warmup: float = 0.0

    def __post_init__(self):
        _share("warmup", self.warmup)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        return progress / self.warmup if progress < self.warmup else 1.0


@dataclass(frozen=True)
class Cosine(Curve):
    """Rises linearly to the peak, then falls along half a cosine wave.

    Attributes:
        warmup: Share of the phase in which the learning rate rises, in [0, 1).
        start: Share of the peak at the beginning of the warm-up, in [0, 1].
        end: Share of the peak at the end, in [0, 1].

    Raises:
        UserError: If a value is out of range.

    Example:
        >>> curve = kv.schedules.Cosine(warmup=0.1)
        >>> [round(curve.factor(progress), 3) for progress in (0, 0.1, 0.55, 1)]
        [0.0, 1.0, 0.5, 0.0]

    References:
        Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5, one cycle. Warm-up: Goyal et al. 2017, arXiv
        1706.02677, section 2.2.
    """

    warmup: float = 0.0
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self):
        _share("warmup", self.warmup)
        for name, value in {"start": self.start, "end": self.end}.items():
            if not 0 <= value <= 1:
                raise checks.UserError(name, expected="a number in [0, 1]", received=value)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        if progress < self.warmup:
            return self.start + (1 - self.start) * progress / self.warmup
        return _eased(1.0, self.end, (progress - self.warmup) / (1 - self.warmup))


@dataclass(frozen=True)
class OneCycle(Curve):
    """Rises to the peak and falls again, both along half a cosine wave, as `fit_one_cycle` of fastai does.

    The paper also moves the momentum in the opposite direction. kvision leaves this out, because Keras' optimizers hold
    the momentum as a constant of the traced step.

    Attributes:
        rise: Share of the phase in which the learning rate rises, in [0, 1). The default is that of fastai.
        div: The learning rate begins at the peak divided by this. The default is that of fastai.
        div_final: The learning rate ends at the peak divided by this. The default is that of fastai.

    Raises:
        UserError: If a value is out of range.

    References:
        Smith and Topin 2018, arXiv 1708.07120.
    """

    rise: float = 0.25
    div: float = 25.0
    div_final: float = 1e5

    def __post_init__(self):
        _share("rise", self.rise)
        _ratio("div", self.div)
        _ratio("div_final", self.div_final)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        if progress < self.rise:
            return _eased(1 / self.div, 1.0, progress / self.rise)
        return _eased(1.0, 1 / self.div_final, (progress - self.rise) / (1 - self.rise))


@dataclass(frozen=True)
class FlatCosine(Curve):
    """Stays at the peak, then falls to 0 along half a cosine wave, as `fit_flat_cos` of fastai does.

    Attributes:
        flat: Share of the phase at the peak, in [0, 1). The default is that of fastai.

    Raises:
        UserError: If `flat` is out of range.
    """

    flat: float = 0.75

    def __post_init__(self):
        _share("flat", self.flat)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        return 1.0 if progress < self.flat else _eased(1.0, 0.0, (progress - self.flat) / (1 - self.flat))


@dataclass(frozen=True)
class Steps(Curve):
    """Rises linearly to the peak, then falls in steps.

    The defaults are those of the BiT-HyperRule for fewer than 20,000 images. There the training has 500 steps: the
    learning rate rises for 100 steps, and is divided by 10 at steps 200, 300 and 400.

    Attributes:
        at: Progress of the phase at each fall, in [0, 1).
        by: The learning rate is multiplied by this at each fall, in (0, 1].
        warmup: Share of the phase in which the learning rate rises from 0, in [0, 1).

    Raises:
        UserError: If a value is out of range.

    References:
        Kolesnikov et al. 2020, arXiv 1912.11370, section 3.3, and the published code.
    """

    at: tuple[float, ...] = (0.4, 0.6, 0.8)
    by: float = 0.1
    warmup: float = 0.2

    def __post_init__(self):
        _share("warmup", self.warmup)
        for share in self.at:
            _share("at", share)
        if not 0 < self.by <= 1:
            raise checks.UserError("by", expected="a factor in (0, 1]", received=self.by)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        if progress < self.warmup:
            return progress / self.warmup
        return self.by ** sum(progress >= share for share in self.at)


@dataclass(frozen=True)
class SlantedTriangular(Curve):
    """Rises linearly in a short time, then falls linearly to the value at the beginning.

    Attributes:
        cut: Share of the phase in which the learning rate rises, in [0, 1). The default is that of the paper.
        ratio: The learning rate begins and ends at the peak divided by this. The default is that of the paper.

    Raises:
        UserError: If a value is out of range.

    References:
        Howard and Ruder 2018, arXiv 1801.06146, equation 3.
    """

    cut: float = 0.1
    ratio: float = 32.0

    def __post_init__(self):
        _share("cut", self.cut)
        _ratio("ratio", self.ratio)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        p = progress / self.cut if progress < self.cut else 1 - (progress - self.cut) / (1 - self.cut)
        return (1 + p * (self.ratio - 1)) / self.ratio


@dataclass(frozen=True)
class Triangular2(Curve):
    """Rises and falls linearly several times. The height above `low` is halved after each cycle.

    It equals `Triangular2CyclicalLearningRate` of tensorflow-addons.

    Attributes:
        cycles: Number of cycles, at least 1.
        low: Share of the peak at the beginning and the end of each cycle, in [0, 1).

    Raises:
        UserError: If a value is out of range.

    References:
        Smith 2017, arXiv 1506.01186, section 3.2, "triangular2".
    """

    cycles: int = 3
    low: float = 0.01

    def __post_init__(self):
        if self.cycles < 1:
            raise checks.UserError("cycles", expected="a number of at least 1", received=self.cycles)
        _share("low", self.low)

    def factor(self, progress: float) -> float:
        """Returns the learning rate as a share of its peak, for a progress in [0, 1]."""
        cycle, place = divmod(progress * self.cycles, 1.0)
        return self.low + (1 - self.low) * (1 - abs(2 * place - 1)) * 0.5**cycle


_CURVES: dict[str, type] = {
    curve.__name__: curve for curve in (Constant, Cosine, FlatCosine, OneCycle, SlantedTriangular, Steps, Triangular2)
}
