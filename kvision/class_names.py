"""Checks names of classes, so that every file and picture can tell the classes apart."""

import unicodedata
from collections.abc import Sequence

from kvision import checks

__all__ = ["check"]


def check(argument: str, names: Sequence[str], *, hint: str = "Give each class a name of its own") -> tuple[str, ...]:
    """Checks that names are distinct, readable words.

    Two names that look the same count as one name. Unicode can write "é" in two ways, and macOS and Linux write folder
    names in different ways.

    Args:
        argument: Name of the argument that the names come from, for errors.
        names: Class names in the order of their labels.
        hint: What the user can do to fix the names, for errors.

    Returns:
        The names.

    Raises:
        UserError: If a name occurs twice, is empty, contains a line break or a control character, or is not valid
            Unicode. The message lists these names.
    """
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    if twice := [one for one, same in seen.items() if len(same) > 1]:
        raise checks.UserError(
            argument, problem="has two classes of one name", expected="each name once", received=twice[:10], hint=hint
        )
    if bad := [name for name in names if not _readable(name)]:
        raise checks.UserError(
            argument,
            problem="has class names that cannot be written",
            expected="names in valid Unicode, without line breaks or control characters",
            received=bad[:10],
            hint=hint,
        )
    return tuple(names)


def _readable(name: str) -> bool:
    # Cc: control characters. Cs: bytes of a file name that are not UTF-8. Zl and Zp: line breaks of Unicode.
    return bool(name.strip()) and not {unicodedata.category(c) for c in name} & {"Cc", "Cs", "Zl", "Zp"}
