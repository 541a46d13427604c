"""Splits a data set into training, validation and test parts, without copies of one image in two parts."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from kvision import checks
from kvision.data import parts
from kvision.pixels import pillow

__all__ = ["TEST_FRACTION", "fingerprint", "held_out", "large_enough", "parted", "without_copies"]

TEST_FRACTION = 0.2  # if the data is not split already
_HELD_OUT = 0.1  # share of the training images for validation, if there are no validation images


def parted(
    images: Any,
    part: np.ndarray | None,
    labels: np.ndarray,
    *,
    seed: int,
    class_names: tuple[str, ...] | None = None,
    fraction: float = TEST_FRACTION,
) -> tuple[Any, Any, Any, list[str]]:
    """Splits a data set by its own parts. If it has no parts, a share of each class becomes the test part.

    Training images that equal a validation or test image are left out. Validation images that equal a test image are
    left out too.

    Args:
        images: A data set.
        part: `(N,)` "train", "validation" or "test". If None, the test part is chosen here.
        labels: `(N,)` integers. The test part is balanced by these labels.
        seed: Seed of the choice of test images.
        class_names: Names of the classes, for error messages.
        fraction: Share of the images in the test part.

    Returns:
        The training images, the validation images or None, the test images, and notes.

    Raises:
        UserError: If a part has no usable images, or a class has too few images.
    """
    from kvision import data

    if part is None:
        options = {"fraction": fraction, "seed": seed, "class_names": class_names, "argument": "data"}
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


def large_enough(images: Any, smallest: int) -> Any:
    """Moves the images that are too small for a network to the bad images.

    Args:
        images: Images with `sizes` and `longest_side`.
        smallest: Smallest side that the network accepts, in pixels.

    Returns:
        The remaining images.

    Raises:
        UserError: If no image is large enough.
    """
    from kvision.data.scan import BadFile

    sides = np.array([min(pillow.fitted(size, images.longest_side)) for size in images.sizes])
    small = [
        BadFile(images.names[i], f"a side of {sides[i]} pixels; the network needs {smallest}")
        for i in np.flatnonzero(sides < smallest)
    ]
    if len(small) == len(images):
        raise checks.UserError(
            "data",
            problem="has no image that is large enough",
            expected=f"sides of {smallest} pixels or more as the network sees them",
            received=f"{small[0].path}: {small[0].reason}",
        )
    kept = images.subset(np.flatnonzero(sides >= smallest))
    return dataclasses.replace(kept, bad=(*kept.bad, *small))


def held_out(train: Any, *, seed: int) -> tuple[Any, Any]:
    """Takes a tenth of the training images for validation.

    They are neighbors in the order of the images. Frames of a video are almost equal to their neighbors, so single
    frames would tell little about new images.

    Args:
        train: The training images, at least 2.
        seed: Seed of the choice of the first validation image.

    Returns:
        The remaining training images, and the validation images.

    Raises:
        UserError: If there are fewer than 2 training images.
    """
    if len(train) < 2:
        expected = "two training images or more: one is needed for validation"
        raise checks.UserError("data", problem="has too few images", expected=expected, received=len(train))
    count = max(1, round(_HELD_OUT * len(train)))
    first = int(np.random.default_rng(seed).integers(len(train) - count + 1))
    chosen = np.arange(first, first + count)
    return train.subset(np.setdiff1d(np.arange(len(train)), chosen)), train.subset(chosen)


def fingerprint(train: Any, test: Any, weights: str | None, validation: Any = None) -> str:
    """Returns a hash of the training images, the test images, a file of weights and the validation images.

    Args:
        train: The training images.
        test: The test images.
        weights: The recipe's setting `weights`. Only a file changes the hash.
        validation: The validation images, if the recipe uses them.
    """
    facts = [train.fingerprint, test.fingerprint, train.names, test.names]
    facts += [] if validation is None else [validation.fingerprint, validation.names]
    if weights is not None and Path(weights).is_file():
        facts.append(hashlib.sha256(Path(weights).read_bytes()).hexdigest())
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
