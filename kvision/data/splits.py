"""Splits that are stratified, seeded, and never part two copies of an image."""

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
) -> tuple[np.ndarray, np.ndarray]:
    """Parts images into (rest, part): two sorted int arrays of indices.

    `part` holds about `fraction` of each class, of what is under that label alone. Images of equal digest (exact
    copies) stay together, in whatever classes they are. Copies under several labels go to `rest`, since no answer to
    them could be right. The same images in another order are parted alike.

    Args:
        labels: `(N,)` integers.
        pixel_hashes: `(N,)` pixel_hashes of the images' pixels.
        fraction: Share of the images that go to `part`, in (0, 1).
        seed: Seed of the choice.
        class_names: Names for the error message. `None` shows labels.
        least: So many distinct images of each class stay in `rest` at least, 2 if `rest` is to be parted once more.
            Each class has at least one image in `part`.

    Raises:
        kvision.UserError: If a class has fewer than `least + 1` distinct images. One of them may be under other labels
            too. The message names every such class.
    """
    if not 0 < fraction < 1:
        raise checks.error("fraction", expected="a number between 0 and 1", received=fraction)
    labels = np.asarray(labels)
    # a group: all copies of one image, in the order of the pixel_hashes
    _, first, group, size = np.unique(
        np.asarray(pixel_hashes), return_index=True, return_inverse=True, return_counts=True
    )
    owner = labels[first]
    torn = np.zeros(len(first), bool)  # under several labels
    torn[group[labels != owner[group]]] = True
    classes = np.unique(labels) if class_names is None else np.arange(len(class_names))
    random, chosen, few = np.random.default_rng(seed), np.zeros(len(first), bool), {}
    for c in classes:
        members = np.flatnonzero((owner == c) & ~torn)
        spare = bool(torn[group[labels == c]].any())  # `rest` has images of this class anyway
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
        raise checks.error(
            "data",
            problem="has classes with too few images to split",
            expected=f"at least {least + 1} distinct images of each class",
            received=received,
            hint="Add images to these classes, or move their folders out of the data",
        )
    part = chosen[group]
    return np.flatnonzero(~part), np.flatnonzero(part)


def sample(labels: np.ndarray, per_class: int | None, *, seed: int) -> np.ndarray:
    """Sorted indices of `per_class` seeded random images of each class, all where a class has fewer; None takes all."""
    labels = np.asarray(labels)
    if per_class is None:
        return np.arange(len(labels))
    if per_class < 1:
        raise checks.error("per_class", expected="a count of at least 1", received=per_class)
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(labels == c))[:per_class] for c in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def leaks(pixel_hashes: Sequence[str], held_out: Sequence[str]) -> np.ndarray:
    """Indices into `pixel_hashes` of training images that are also among the held-out ones."""
    return np.flatnonzero(np.isin(np.asarray(pixel_hashes), np.asarray(held_out)))


def write_manifest(
    path: str | Path,
    *,
    names: Sequence[str],
    labels: np.ndarray,
    class_names: Sequence[str],
    file_hashes: Sequence[str],
    parts: Mapping[str, np.ndarray],
) -> None:
    """Writes who is where as CSV, `path,label,split,sha256`, one row for each image, in order.

    names, labels, file_hashes: (N,), as an `Images` or a `Scan` has them. parts: name of a split -> its indices; an
    image in none of them has an empty `split`.
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
