"""What a setting may be: functions of a flag and its value that raise `UserError`, without Keras."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kvision import checks

__all__ = ["Check", "among", "between", "data", "folder", "positive", "two_per_class", "weights"]

Check = Callable[[str, Any], None]


def among(names: Iterable[str]) -> Check:
    """One of `names`; of a setting that is a tuple one or more of them."""

    def check(flag: str, value: Any) -> None:
        for one in (value or ("",)) if isinstance(value, tuple) else (value,):
            checks.one_of(flag, one, names)

    return check


def between(least: int, most: int) -> Check:
    """A number from `least` to `most`, both included."""

    def check(flag: str, value: Any) -> None:
        if not least <= value <= most:
            raise checks.error(flag, expected=f"a number from {least} to {most}", received=value)

    return check


def two_per_class(flag: str, value: int) -> None:
    """A number of at least 2."""
    positive(flag, value)
    if value < 2:
        raise checks.error(
            flag,
            problem="leaves too few images",
            expected="at least 2 of each class: one to train on and one to choose by",
            received=value,
        )


def positive(flag: str, value: Any) -> None:
    """A finite number above 0."""
    checks.positive({flag: value})


def folder(flag: str, value: str) -> None:
    """A folder that exists."""
    if not Path(value).is_dir():
        raise checks.error(flag, problem="names no folder", expected="a folder", received=value)


def data(flag: str, value: str) -> None:
    """A folder, or an `.npz` or `.csv` file, that exists."""
    suffix = Path(value).suffix
    if suffix not in (".npz", ".csv"):
        if not Path(value).is_dir():
            expected = "a folder with one sub-folder per class, an .npz file or a .csv file"
            raise checks.error(flag, problem="names no folder", expected=expected, received=value)
    elif not Path(value).is_file():
        raise checks.error(
            flag, problem="cannot be read: there is no such file", expected=f"a {suffix} file", received=value
        )


def weights(flag: str, value: str) -> None:
    """`imagenet`, `none`, or a file that exists."""
    if value not in ("imagenet", "none") and not Path(value).is_file():
        expected = "imagenet, none, or a file saved from the same backbone"
        raise checks.error(flag, problem="names no file", expected=expected, received=value)
