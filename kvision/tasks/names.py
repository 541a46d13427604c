"""The names of an exported model's classes."""

from collections import Counter
from collections.abc import Sequence

from kvision import checks, class_names

__all__ = ["check", "distinct"]


def check(labels: Sequence[str] | None, classes: int) -> None:
    """Checks the names before an export.

    Raises:
        kvision.UserError: If there is not one name for each class, or an answer could not tell the classes apart.
    """
    if labels is None:
        return
    if len(labels) != classes:
        raise checks.error("labels", expected=f"{classes} names", received=list(labels))
    class_names.check("labels", labels)


def distinct(labels: Sequence[str] | None, count: int) -> list[str]:
    """Returns `count` different names: numbers if there are none, numbered names where a file has two alike.

    Raises:
        kvision.UserError: If the file has another number of names.
    """
    if labels is None:
        return [str(i) for i in range(count)]
    if len(labels) != count:
        raise checks.error(
            "MODEL",
            problem="has another number of class names than of classes",
            expected=f"{count} names in its labels.txt",
            received=len(labels),
            hint="Export it again",
        )
    alike = Counter(labels)
    return [f"{label} ({i})" if alike[label] > 1 else label for i, label in enumerate(labels)]
