"""Checks of the numbers that layers take as arguments."""

import math
from collections.abc import Sequence

from kvision import checks

__all__ = ["interval", "number", "size"]


def number(argument: str, value: float, low: float, high: float, *, open_low: bool = False) -> float:
    """Returns the value as a float.

    Raises:
        UserError: If the value is not a number in [low, high], or in (low, high] if `open_low` is True.
    """
    if not _real(value) or not low <= value <= high or (open_low and value == low):
        raise checks.UserError(argument, expected=_expected("a number", low, high, open_low), received=value)
    return float(value)


def interval(
    argument: str, value: Sequence[float], low: float, high: float, *, open_low: bool = False
) -> tuple[float, float]:
    """Returns the value as two floats.

    Raises:
        UserError: If the value is not two numbers in ascending order in [low, high], or in (low, high] if `open_low` is
            True.
    """
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(pair) == 2 and all(_real(x) for x in pair):
        first, second = pair
        if low <= first <= second <= high and not (open_low and first == low):
            return float(first), float(second)
    raise checks.UserError(
        argument, expected=_expected("two numbers in ascending order,", low, high, open_low), received=value
    )


def size(argument: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Returns height and width in pixels from one number or two numbers.

    Raises:
        UserError: If the value is not one integer or two integers, or a number is below 1.
    """
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, Sequence) else ()
    if len(pair) != 2 or not all(isinstance(x, int) and not isinstance(x, bool) and x > 0 for x in pair):
        raise checks.UserError(
            argument, expected="a number of pixels above 0, or a pair (height, width)", received=value
        )
    return pair[0], pair[1]


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _expected(what: str, low: float, high: float, open_low: bool) -> str:
    above = f"above {low:g}" if open_low else f"from {low:g}"
    return f"{what} {above}" + ("" if high == math.inf else f" to {high:g}")
