"""Confidence intervals of accuracies."""

from scipy.stats import binomtest

from kvision import checks

__all__ = ["accuracy_interval"]


def accuracy_interval(correct: int, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Computes Wilson's score interval of an accuracy.

    Args:
        correct: Number of right predictions, 0 to `count`.
        count: Number of predictions, at least 1. Without predictions there is no interval.
        confidence: Probability in (0, 1) with which the interval covers the true accuracy.

    Returns:
        `(low, high)` in [0, 1].

    Raises:
        UserError: If `count` is below 1, or `correct` is not in 0 to `count`.

    Example:
        >>> low, high = kv.metrics.accuracy_interval(90, 100)
        >>> round(low, 3), round(high, 3)
        (0.826, 0.945)

    References:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if count < 1:
        raise checks.UserError("count", expected="at least 1 answer", received=count)
    if not 0 <= correct <= count:
        raise checks.UserError("correct", expected=f"0 to {count}, which is `count`", received=correct)
    interval = binomtest(int(correct), int(count)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
