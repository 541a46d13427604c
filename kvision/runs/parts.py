"""Splits a data set into training, validation and test parts, without copies of one image in two parts."""

from typing import Any

import numpy as np

from kvision import checks
from kvision.data import parts

__all__ = ["parted", "without_copies"]

TEST_FRACTION = 0.2  # if the data is not split already


def parted(
    images: Any, part: np.ndarray | None, labels: np.ndarray, *, seed: int, class_names: tuple[str, ...] | None = None
) -> tuple[Any, Any, Any, list[str]]:
    """Splits a data set by its own parts. If it has no parts, a fifth of each class becomes the test part.

    Training images that equal a validation or test image are left out. Validation images that equal a test image are
    left out too.

    Args:
        images: A data set.
        part: `(N,)` "train", "validation" or "test". If None, the test part is chosen here.
        labels: `(N,)` integers. The test part is balanced by these labels.
        seed: Seed of the choice of test images.
        class_names: Names of the classes, for error messages.

    Returns:
        The training images, the validation images or None, the test images, and notes.

    Raises:
        UserError: If a part has no usable images, or a class has too few images.
    """
    from kvision import data

    if part is None:
        options = {"fraction": TEST_FRACTION, "seed": seed, "class_names": class_names, "argument": "data"}
        # Recipes fit on some training images and choose on the rest, so each class needs two training images.
        rest, chosen = data.split(labels, images.pixel_hashes, least=1 if class_names is None else 2, **options)
        return images.subset(rest), None, images.subset(chosen), []
    found = {name: images.subset(np.flatnonzero(part == name)) for name in parts.NAMES if (part == name).any()}
    if missing := [name for name in (parts.TRAIN, parts.TEST) if name not in found]:
        raise checks.UserError(
            "data",
            problem=f"has no usable image in the part {missing[0]}",
            expected="training images and test images",
            received=f"{len(images)} images of the part {', '.join(found)}",
        )
    return without_copies(found)


def without_copies(found: dict[str, Any]) -> tuple[Any, Any, Any, list[str]]:
    """Leaves out the images that equal an image of a later part.

    Args:
        found: The images of each part. The keys are the names of parts in `kvision.data.parts`.

    Returns:
        The training images, the validation images or None, the test images, and notes.

    Raises:
        UserError: If no training image is left.
    """
    from kvision import data

    notes = []
    for name, later in ((parts.TRAIN, (parts.VALIDATION, parts.TEST)), (parts.VALIDATION, (parts.TEST,))):
        for other in later:
            if name not in found or other not in found:
                continue
            leaks = data.leaks(found[name].pixel_hashes, found[other].pixel_hashes)
            if len(leaks) == len(found[name]):
                raise checks.UserError(
                    "data",
                    problem=f"has only {name} images that equal a {other} image",
                    expected="different images in each part",
                    received=f"{len(leaks)} {name} images",
                )
            if len(leaks):
                notes.append(f"{len(leaks)} {name} images equal a {other} image and are left out")
                found[name] = found[name].subset(np.setdiff1d(np.arange(len(found[name])), leaks))
    return found[parts.TRAIN], found.get(parts.VALIDATION), found[parts.TEST], notes
