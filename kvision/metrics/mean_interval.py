"""The confidence interval of a mean."""

import numpy as np
from scipy.stats import t

from kvision import checks

__all__ = ["mean_interval"]


def mean_interval(values: np.ndarray, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Computes the mean of values with the confidence interval of Student's t distribution.

    For many values it is the mean +- 1.96 standard errors. For three values it is the mean +- 4.3 standard errors.

    Give it the differences of two methods on the same episodes for a paired comparison.

    Args:
        values: `(n,)` independent values, at least 2.
        confidence: Probability in (0, 1) with which the interval covers the true mean.

    Returns:
        `(mean, low, high)`.

    Raises:
        UserError: If there are fewer than 2 values, or they are not a vector.

    Example:
        >>> mean, low, high = kv.metrics.mean_interval(np.array([0.4, 0.5, 0.6, 0.5]))
        >>> round(mean, 3), round(low, 3), round(high, 3)
        (0.5, 0.37, 0.63)
    """
    values = np.asarray(values, "float64")
    if values.ndim != 1 or len(values) < 2:
        raise checks.UserError("values", expected="a vector of at least 2 numbers", received=values.shape)
    mean = float(values.mean())
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
