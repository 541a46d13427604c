"""Splits that are stratified, seeded, and never part two copies of an image."""

from collections.abc import Sequence

import numpy as np

from kvision import checks

__all__ = ["leaks", "sample", "split"]


def split(
    labels: np.ndarray,
    digests: Sequence[str],
    *,
    fraction: float,
    seed: int,
    class_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Parts images into (rest, part): two sorted int arrays of indices; `part` holds about `fraction` of each class.

    Images of equal digest (exact copies) stay together, in whatever classes they are; each class has at least one
    image on either side. labels: (N,) int; digests: (N,). fraction: in (0, 1).
    Raises UserError that names every class with fewer than two distinct images.
    """
    if not 0 < fraction < 1:
        raise checks.error("fraction", expected="a number between 0 and 1", received=fraction)
    labels = np.asarray(labels)
    # a group: all copies of one image; it counts for the class of its first copy
    _, first, group = np.unique(np.asarray(digests), return_index=True, return_inverse=True)
    owner = labels[first]
    few = {int(c): int((owner == c).sum()) for c in np.unique(labels) if (owner == c).sum() < 2}
    if few:
        names = {c: class_names[c] if class_names is not None else str(c) for c in few}
        raise checks.error(
            "data",
            problem="has classes with too few images to split",
            expected="at least two distinct images of each class",
            received=", ".join(f"{names[c]}: {count}" for c, count in few.items()),
            hint="Add images to these classes, or take their folders away",
        )
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(first), bool)
    for c in np.unique(owner):
        members = random.permutation(np.flatnonzero(owner == c))
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        chosen[members[:count]] = True
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


def leaks(digests: Sequence[str], held_out: Sequence[str]) -> np.ndarray:
    """Indices into `digests` of training images that are also among the held-out ones."""
    return np.flatnonzero(np.isin(np.asarray(digests), np.asarray(held_out)))
