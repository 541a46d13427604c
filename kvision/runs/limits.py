"""Functions that check the value of a setting and raise `kvision.UserError`. They do not need Keras."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kvision import checks

__all__ = [
    "Check",
    "among",
    "between",
    "data",
    "factors",
    "folder",
    "fractions",
    "pictures",
    "positive",
    "share",
    "two_per_class",
    "weights",
]

Check = Callable[[str, Any], None]


def among(names: Iterable[str]) -> Check:
    """Returns a check that a value is one of `names`. A tuple must hold one or more of these names."""

    def check(name: str, value: Any) -> None:
        for one in (value or ("",)) if isinstance(value, tuple) else (value,):
            checks.one_of(name, one, names)

    return check


def between(least: int, most: int) -> Check:
    """Returns a check that a number lies between `least` and `most`, both included."""

    def check(name: str, value: Any) -> None:
        if not least <= value <= most:
            raise checks.UserError(name, expected=f"a number from {least} to {most}", received=value)

    return check


def two_per_class(name: str, value: int) -> None:
    """Checks that a number is at least 2."""
    if value < 2:
        expected = "at least 2 of each class: one to train on and one for validation"
        raise checks.UserError(name, problem="leaves too few images", expected=expected, received=value)


def positive(name: str, value: Any) -> None:
    """Checks that a number is finite and above 0."""
    checks.positive({name: value})


def share(name: str, value: float) -> None:
    """Checks that a number is between 0 and 1, without both ends."""
    if not 0 < value < 1:
        raise checks.UserError(name, expected="a number between 0 and 1", received=value)


def factors(name: str, values: tuple[str, ...]) -> None:
    """Checks that a value holds two factors, such as 0.8 and 1.25."""
    try:
        low, high = map(float, values)
        if not 0 < low <= high < 100:
            raise ValueError
    except ValueError:
        raise checks.UserError(name, expected="two factors, as 0.75,1.5", received=values) from None


def fractions(name: str, values: tuple[str, ...]) -> None:
    """Checks that a value holds shares such as 0.01 and 1, each above 0 and at most 1."""
    try:
        found = [float(value) for value in values]
    except ValueError:
        found = []
    if not found or not all(0 < value <= 1 for value in found):
        raise checks.UserError(name, expected="shares above 0 and at most 1, as 0.01,0.1,1", received=values)


def folder(name: str, value: str) -> None:
    """Checks that a value is the path of an existing folder."""
    if not Path(value).is_dir():
        raise checks.UserError(name, problem="names no folder", expected="a folder", received=value)


def data(name: str, value: str) -> None:
    """Checks that a value is the path of an existing folder, `.npz` file or `.csv` file."""
    suffix = Path(value).suffix
    if suffix in (".npz", ".csv"):
        if not Path(value).is_file():
            problem = "cannot be read: there is no such file"
            raise checks.UserError(name, problem=problem, expected=f"a {suffix} file", received=value)
    elif not Path(value).is_dir():
        expected = "a folder with one sub-folder per class, an .npz file or a .csv file"
        raise checks.UserError(name, problem="names no folder", expected=expected, received=value)


def pictures(name: str, value: str) -> None:
    """Checks that a value is the path of an existing folder or `.npz` file."""
    if not (Path(value).is_file() if Path(value).suffix == ".npz" else Path(value).is_dir()):
        expected = "a folder of pictures, or an .npz file"
        raise checks.UserError(name, problem="does not exist", expected=expected, received=value)


def weights(name: str, value: str) -> None:
    """Checks that a value is `imagenet`, `none`, or the path of an existing file."""
    if value not in ("imagenet", "none") and not Path(value).is_file():
        expected = "imagenet, none, or a file saved from the same backbone"
        raise checks.UserError(name, problem="names no file", expected=expected, received=value)
