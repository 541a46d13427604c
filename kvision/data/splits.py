"""Stratified, seeded splits that keep all copies of an image together."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kvision import atomic, checks

__all__ = ["leaks", "sample", "split", "write_manifest"]


def split(
    labels: np.ndarray,
    pixel_hashes: Sequence[str],
    *,
    fraction: float,
    seed: int,
    class_names: Sequence[str] | None = None,
    least: int = 1,
    argument: str = "labels",
) -> tuple[np.ndarray, np.ndarray]:
    """Splits images into a large and a small part, such as training and validation images.

    The small part contains about `fraction` of each class. Images with equal hashes (exact copies) stay together. If
    copies have different labels, they go to the large part, because no prediction for them could be right. The split
    does not depend on the order of the images.

    Args:
        labels: Labels `(n,)`, integers.
        pixel_hashes: Hashes `(n,)` of the images' pixels.
        fraction: Share of the images that go to the small part, in (0, 1). Each class has at least one image in the
            small part.
        seed: Seed of the choice.
        class_names: Class names for errors. If None, errors show labels.
        least: Smallest number of distinct images of each class in the large part. Use 2 if the large part will be split
            again.
        argument: Name of the argument with the images, for errors.

    Returns:
        Two sorted integer arrays of indices: the large part and the small part.

    Raises:
        UserError: If `fraction` is not in (0, 1), or if a class has fewer than `least + 1` distinct images. The message
            lists all such classes.

    Example:
        >>> hashes = [str(number) for number in range(10)]
        >>> train, validation = kv.data.split(np.arange(10) % 2, hashes, fraction=0.2, seed=0)
        >>> len(train), len(validation)
        (8, 2)
    """
    if not 0 < fraction < 1:
        raise checks.UserError("fraction", expected="a number between 0 and 1", received=fraction)
    labels = np.asarray(labels)
    # A group contains all copies of one image. Groups are in the order of the hashes.
    _, first, group, size = np.unique(
        np.asarray(pixel_hashes), return_index=True, return_inverse=True, return_counts=True
    )
    owner = labels[first]
    torn = np.zeros(len(first), bool)  # groups with several labels
    torn[group[labels != owner[group]]] = True
    classes = np.unique(labels) if class_names is None else np.arange(len(class_names))
    random, chosen, few = np.random.default_rng(seed), np.zeros(len(first), bool), {}
    for c in classes:
        members = np.flatnonzero((owner == c) & ~torn)
        spare = bool(torn[group[labels == c]].any())  # True if the large part has an image of this class in any case
        if len(members) + spare < least + 1:
            few[c] = len(members) + spare
            continue
        members = random.permutation(members)
        room, picked = round(fraction * int(size[members].sum())), []
        for member in members:
            if size[member] <= room:
                picked.append(member)
                room -= size[member]
        picked = picked or [members[np.argmin(size[members])]]
        chosen[picked[: len(members) - (least - spare)]] = True
    if few:
        received = ", ".join(f"{c if class_names is None else class_names[c]}: {count}" for c, count in few.items())
        raise checks.UserError(
            argument,
            problem="has classes with too few images to split",
            expected=f"at least {least + 1} distinct images of each class",
            received=received,
            hint="Add images to these classes, or leave these classes out",
        )
    part = chosen[group]
    return np.flatnonzero(~part), np.flatnonzero(part)


def sample(labels: np.ndarray, per_class: int | None, *, seed: int) -> np.ndarray:
    """Chooses random images of each class.

    Args:
        labels: Labels `(n,)`, integers.
        per_class: Number of images of each class. A class with fewer images gives all of them. If None, all images are
            chosen.
        seed: Seed of the choice.

    Returns:
        The sorted indices of the images.

    Raises:
        UserError: If `per_class` is below 1.
    """
    labels = np.asarray(labels)
    if per_class is None:
        return np.arange(len(labels))
    if per_class < 1:
        raise checks.UserError("per_class", expected="a count of at least 1", received=per_class)
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(labels == c))[:per_class] for c in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def leaks(pixel_hashes: Sequence[str], test: Sequence[str]) -> np.ndarray:
    """Finds training images that are also test images.

    Args:
        pixel_hashes: Pixel hashes of the training images.
        test: Pixel hashes of the test (or validation) images.

    Returns:
        The indices of these images in `pixel_hashes`.

    Example:
        >>> kv.data.leaks(["a", "b", "c"], test=["c", "d"])
        array([2])
    """
    return np.flatnonzero(np.isin(np.asarray(pixel_hashes), np.asarray(test)))


def write_manifest(
    path: str | Path,
    *,
    names: Sequence[str],
    labels: np.ndarray,
    class_names: Sequence[str],
    file_hashes: Sequence[str],
    parts: Mapping[str, np.ndarray],
) -> None:
    """Writes a CSV file with the columns path, label, split and sha256, which lists the part of each image.

    Args:
        path: The file.
        names: Paths or names `(n,)` of the images.
        labels: Labels `(n,)`, integers.
        class_names: Names of the classes.
        file_hashes: SHA-256 `(n,)` of the files.
        parts: Dict from the name of each part to the indices of its images. If an image is not in any part, its split
            is empty.
    """
    splits = [""] * len(labels)
    for name, indices in parts.items():
        for i in indices:
            splits[i] = name
    rows = zip(names, (class_names[label] for label in labels), splits, file_hashes, strict=True)
    with (
        atomic.file(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        csv.writer(stream).writerows([("path", "label", "split", "sha256"), *rows])
