"""Random tasks with few images of each class."""

from typing import NamedTuple

import numpy as np

from kvision import checks

__all__ = ["Episode", "episodes"]


class Episode(NamedTuple):
    """One task: learn some classes from a few images, then classify other images.

    Attributes:
        classes: Labels of the classes, `(ways,)`, sorted.
        support: Indices of the images to learn from, `(ways * shots,)`.
        queries: Indices of the images to classify, none of them in `support`.
    """

    classes: np.ndarray
    support: np.ndarray
    queries: np.ndarray


def episodes(
    labels: np.ndarray, *, ways: int, shots: int, queries: int = 15, count: int = 600, seed: int = 0
) -> list[Episode]:
    """Draws episodes: random classes, and random images of each class.

    The result depends on the arguments only. Remove exact copies of images first, so that no query equals a support
    image.

    Args:
        labels: Labels of all images, `(n,)` integers.
        ways: Classes of an episode, at least 2.
        shots: Support images of each class, at least 1.
        queries: Query images of each class. A class with fewer images left gives all of them.
        count: Number of episodes.
        seed: Seed of the choices.

    Returns:
        The episodes.

    Raises:
        UserError: If fewer than `ways` classes have `shots + 1` images, or a number is too small.

    Example:
        >>> labels = np.repeat(np.arange(5), 4)
        >>> first, *rest = kv.transfer.episodes(labels, ways=3, shots=1, count=10)
        >>> first.support.shape, first.queries.shape
        ((3,), (9,))

    References:
        Vinyals et al. 2016, arXiv 1606.04080, section 4.1; 15 queries and 600 episodes as in Snell et al. 2017.
    """
    checks.positive({"shots": shots, "queries": queries, "count": count})
    if ways < 2:
        raise checks.UserError("ways", expected="at least 2 classes", received=ways)
    places = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    usable = np.array([label for label, rows in places.items() if len(rows) > shots])
    if len(usable) < ways:
        raise checks.UserError(
            "ways",
            expected=f"at most the number of classes with {shots + 1} images or more ({shots} to learn, one to test)",
            received=f"{ways}, of {len(usable)} such classes",
            hint="Use fewer ways or shots, or add images",
        )
    random, found = np.random.default_rng(seed), []
    for _ in range(count):
        classes = np.sort(random.choice(usable, ways, replace=False))
        drawn = [random.permutation(places[label])[: shots + queries] for label in classes]
        support, asked = ([rows[part] for rows in drawn] for part in (slice(shots), slice(shots, None)))
        found.append(Episode(classes, np.concatenate(support), np.concatenate(asked)))
    return found
