"""The one error style: which argument, what was expected, what came, and the next step."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["UserError", "error", "one_of", "positive"]


class UserError(ValueError):
    """An input that the user can mend. Commands print its text without a traceback and exit with 2."""


def error(argument: str, *, expected: str, received: object, problem: str = "", hint: str = "") -> UserError:
    """Builds the exception for a bad argument; the caller raises it.

    argument: the name as the user writes it. expected, problem, hint: phrases without a full stop.
    received: shown by `repr`, at most 200 characters.
    """
    shown = repr(received)
    shown = shown if len(shown) <= 200 else shown[:197] + "..."
    sentences = [f"`{argument}` {problem or 'is not valid'}", f"Expected {expected}", f"Received: {shown}", hint]
    return UserError(" ".join(s if s[-1] in ".?!" else s + "." for s in sentences if s))


def one_of(argument: str, value: object, choices: Iterable[str], *, problem: str = "", hint: str = "") -> str:
    """Returns `value` if it is one of `choices`; else raises, with the nearest choice as a suggestion."""
    known: Sequence[str] = list(choices)
    if isinstance(value, str) and value in known:
        return value
    lowered = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(str(value).lower(), lowered, n=1)
    suggestion = f"Did you mean {lowered[near[0]]!r}?" if near else hint
    raise error(
        argument,
        problem=problem or "is not known",
        expected=f"one of: {', '.join(known)}",
        received=value,
        hint=suggestion,
    )


def positive(values: Mapping[str, float | None]) -> None:
    """Raises for the first argument, by name, whose value is not above 0 and finite. None: not given."""
    for argument, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise error(argument, expected="a positive number", received=value)
