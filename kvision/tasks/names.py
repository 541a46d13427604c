"""Texts about exported models: class names, and the kinds of image files that the models take."""

from collections import Counter
from collections.abc import Sequence

from kvision import checks, class_names
from kvision.pixels import MAX_PIXELS

__all__ = ["IMAGE_BYTES", "check", "distinct"]

IMAGE_BYTES = (
    "encoded JPEG, PNG, GIF, BMP or WebP\n"
    f"(EXIF orientation applied, alpha over white, the first frame of an animation, at most {MAX_PIXELS:,} pixels)"
)
"""What exported models take as `image_bytes`, for model cards."""


def check(labels: Sequence[str] | None, classes: int) -> None:
    """Checks class names before an export.

    Args:
        labels: The class names, or None.
        classes: Number of classes of the model.

    Raises:
        UserError: If there is not one name for each class, or if two names cannot be distinguished.
    """
    if labels is None:
        return
    if len(labels) != classes:
        raise checks.UserError("labels", expected=f"{classes} names", received=list(labels))
    class_names.check("labels", labels)


def distinct(labels: Sequence[str] | None, count: int) -> list[str]:
    """Returns a different name for each class of an exported model.

    Args:
        labels: The class names of the file. If None, classes have numbers. If names are equal, their numbers are added.
        count: Number of classes.

    Returns:
        `count` names.

    Raises:
        UserError: If the number of names in the file is not `count`.
    """
    if labels is None:
        return [str(i) for i in range(count)]
    if len(labels) != count:
        raise checks.UserError(
            "labels",
            problem="gives another number of class names than the model has classes",
            expected=f"{count} names, in the labels.txt of the model",
            received=len(labels),
            hint="Export the model again",
        )
    alike = Counter(labels)
    return [f"{label} ({i})" if alike[label] > 1 else label for i, label in enumerate(labels)]
