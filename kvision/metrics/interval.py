"""How sure an accuracy is."""

from scipy.stats import binomtest

__all__ = ["accuracy_interval"]


def accuracy_interval(correct: int, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (Wilson 1927) of `correct` out of `count`, (low, high) in [0, 1]; ValueError if none."""
    interval = binomtest(int(correct), int(count)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
