"""Numbers that the layers' arguments may be; what is not raises UserError with the argument's name."""

import math
from collections.abc import Sequence

from kvision import checks

__all__ = ["interval", "number", "size"]


def number(argument: str, value: float, low: float, high: float, *, open_low: bool = False) -> float:
    """The value as a float if it is within [low, high], or (low, high]."""
    if not _real(value) or not low <= value <= high or (open_low and value == low):
        raise checks.error(argument, expected=_expected("a number", low, high, open_low), received=value)
    return float(value)


def interval(
    argument: str, value: Sequence[float], low: float, high: float, *, open_low: bool = False
) -> tuple[float, float]:
    """The value as two floats if they are in order, within [low, high], or (low, high]."""
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(pair) == 2 and all(_real(x) for x in pair):
        first, second = pair
        if low <= first <= second <= high and not (open_low and first == low):
            return float(first), float(second)
    raise checks.error(argument, expected=_expected("two numbers in order,", low, high, open_low), received=value)


def size(argument: str, value: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from one number or two."""
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, Sequence) else ()
    if len(pair) != 2 or not all(isinstance(x, int) and not isinstance(x, bool) and x > 0 for x in pair):
        raise checks.error(argument, expected="pixels: a number above 0, or (height, width)", received=value)
    return pair[0], pair[1]


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _expected(what: str, low: float, high: float, open_low: bool) -> str:
    above = f"above {low:g}" if open_low else f"from {low:g}"
    return f"{what} {above}" + ("" if high == math.inf else f" to {high:g}")
