"""Errors for users: which argument, what was expected, what was received, and the next step."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["UserError", "one_of", "positive"]


class UserError(ValueError):
    """Invalid input that the user can fix.

    Commands print the text of this error without a traceback, and exit with status 2.

    Args:
        argument: Name of the argument as the caller wrote it. If `expected` is empty, `argument` is the whole text of
            the error.
        expected: Description of a valid value, as a phrase without a full stop.
        received: The value that was received. The error shows the first 200 characters of its `repr`.
        problem: What is wrong with the argument, as a phrase without a full stop.
        hint: What to do next, as a sentence.

    Example:
        >>> raise kv.UserError("width", expected="a positive number", received=-1, hint="Leave it out for the default")
        Traceback (most recent call last):
        kvision.checks.UserError: `width` is not valid. Expected a positive number. Received: -1. Leave it out ...
    """

    def __init__(
        self, argument: str, *, expected: str = "", received: object = None, problem: str = "", hint: str = ""
    ):
        self.argument = argument if expected else ""
        self._parts = {"expected": expected, "received": received, "problem": problem, "hint": hint}
        super().__init__(self._text() if expected else argument)

    def _text(self) -> str:
        shown = repr(self._parts["received"])
        shown = shown if len(shown) <= 200 else shown[:197] + "..."
        sentences = (
            f"`{self.argument}` {self._parts['problem'] or 'is not valid'}",
            f"Expected {self._parts['expected']}",
            f"Received: {shown}",
            self._parts["hint"],
        )
        return " ".join(s if s[-1] in ".?!" else s + "." for s in map(str, sentences) if s)

    def renamed(self, argument: str) -> "UserError":
        """Returns the same error with a different argument name, such as the flag that the user wrote."""
        return UserError(argument, **self._parts) if self.argument else self


def one_of(argument: str, value: object, choices: Iterable[str], *, problem: str = "", hint: str = "") -> str:
    """Checks that a value is one of several texts.

    Args:
        argument: Name of the argument as the caller wrote it.
        value: The value.
        choices: The texts that are valid.
        problem: What is wrong with an invalid value; see `UserError`. Defaults to "is not known".
        hint: What to do next, if no choice is similar to the value. If a choice is similar, the error suggests this
            choice.

    Returns:
        The value.

    Raises:
        UserError: If the value is not one of the choices.
    """
    known: Sequence[str] = list(choices)
    if isinstance(value, str) and value in known:
        return value
    lowered = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(str(value).lower(), lowered, n=1)
    suggestion = f"Did you mean {lowered[near[0]]!r}?" if near else hint
    raise UserError(
        argument,
        problem=problem or "is not known",
        expected=f"one of: {', '.join(known)}",
        received=value,
        hint=suggestion,
    )


def positive(values: Mapping[str, float | None]) -> None:
    """Checks that numbers are positive and finite.

    Args:
        values: Dict from the name of each argument, as the caller wrote it, to its value. None is a valid value.

    Raises:
        UserError: If a value is not positive or not finite. The message contains the name of the first such argument.
    """
    for argument, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise UserError(argument, expected="a positive number", received=value)
