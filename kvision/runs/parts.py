"""The images to train on, to choose by and for the report, without copies of one another."""

from typing import Any

import numpy as np

from kvision import checks
from kvision.data import parts

__all__ = ["parted", "without_copies"]

TEST_FRACTION = 0.2  # where the data names no parts


def parted(
    images: Any, part: np.ndarray | None, labels: np.ndarray, *, seed: int, class_names: tuple[str, ...] | None = None
) -> tuple[Any, Any, Any, list[str]]:
    """Splits a data set by the parts that it names, or takes a fifth of each class for the test.

    Training images that equal one for validation or the test are left out, and so are images for validation that equal
    one for the test.

    Args:
        images: A data set.
        part: `(N,)` "train", "validation" or "test", or None.
        labels: `(N,)` integers, by which a part for the test is balanced.
        seed: Seed of that choice.
        class_names: Names for its errors.

    Returns:
        The images to train on, those for validation or None, those for the test, and notes.

    Raises:
        kvision.UserError: If nothing can be used in a part, or a class has too few images.
    """
    from kvision import data

    if part is None:
        options = {"fraction": TEST_FRACTION, "seed": seed, "class_names": class_names}
        # Recipes choose on one part of the training images what they fit on the other, so each class needs two.
        rest, chosen = data.split(labels, images.pixel_hashes, least=1 if class_names is None else 2, **options)
        return images.subset(rest), None, images.subset(chosen), []
    found = {name: images.subset(np.flatnonzero(part == name)) for name in parts.NAMES if (part == name).any()}
    if missing := [name for name in (parts.TRAIN, parts.TEST) if name not in found]:
        raise checks.error(
            "--data",
            problem=f"has no image that can be used in the part {missing[0]}",
            expected="images to train on, and images for the test",
            received=f"{len(images)} images of the part {', '.join(found)}",
        )
    return without_copies(found)


def without_copies(found: dict[str, Any]) -> tuple[Any, Any, Any, list[str]]:
    """Leaves out copies of images of a later part; returns the three parts and notes."""
    from kvision import data

    notes = []
    for name, later in ((parts.TRAIN, (parts.VALIDATION, parts.TEST)), (parts.VALIDATION, (parts.TEST,))):
        for other in later:
            if name not in found or other not in found:
                continue
            leaks = data.leaks(found[name].pixel_hashes, found[other].pixel_hashes)
            if len(leaks):
                notes.append(f"{len(leaks)} {name} images equal a {other} image and are left out")
                found[name] = found[name].subset(np.setdiff1d(np.arange(len(found[name])), leaks))
    return found[parts.TRAIN], found.get(parts.VALIDATION), found[parts.TEST], notes
