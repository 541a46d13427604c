"""Finds likely mistakes in labeled images from their features: wrong labels, outliers, and what to label next."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from kvision import checks, heads

__all__ = ["LabelCheck", "check_labels", "label_next", "neighbor_distances", "outliers"]

_STRENGTH = 10.0  # C of the logistic regression times the number of images; a weak fit follows wrong labels less
_FAR = 3.0  # quartile ranges above the third quartile: Tukey's limit for far outliers


class LabelCheck(NamedTuple):
    """The result of `check_labels`, one entry per image.

    Attributes:
        suspicion: `(n,)` in [0, 1]: 1 minus the probability of the given class.
        suggested: `(n,)` the most probable class other than the given one.
        disagrees: `(n,)` whether the suggested class is more probable than the given one.
        likely_wrong: `(n,)` whether confident learning counts the label as wrong.
        probabilities: `(n, classes)` of models that have not seen the image.
    """

    suspicion: np.ndarray
    suggested: np.ndarray
    disagrees: np.ndarray
    likely_wrong: np.ndarray
    probabilities: np.ndarray


def check_labels(features: np.ndarray, labels: np.ndarray, *, folds: int = 5, seed: int = 0) -> LabelCheck:
    """Compares each label with the answer of a classifier that was trained on other images.

    The classifier is logistic regression on standardized features. Its probabilities come from cross-validation. A
    label is likely wrong if another class is more probable than the given one, and as probable as this other class is
    on average for images that carry its label (confident learning).

    Args:
        features: `(n, width)`, such as those of `kv.features.embed`.
        labels: `(n,)` integers from 0 to classes - 1, each class at least twice.
        folds: Number of parts of the cross-validation, at least 2. Fewer if a class has fewer images.
        seed: Seed of the parts.

    Returns:
        The suspicion of each label. Sort by it: the most suspicious labels are wrong most often.

    Raises:
        UserError: If a class has fewer than two images, or the numbers of rows differ.

    Example:
        >>> labels = np.arange(60) % 3
        >>> features = np.eye(3)[labels] + np.random.default_rng(0).normal(0, 0.1, (60, 3))
        >>> labels[4] = 2
        >>> int(kv.transfer.check_labels(features, labels).suspicion.argmax())
        4

    References:
        Northcutt, Jiang and Chuang 2021, arXiv 1911.00068, sections 3.1 and 3.3.
    """
    labels = np.asarray(labels)
    if len(features) != len(labels):
        received = f"{len(features)} features and {len(labels)} labels"
        raise checks.UserError("features", expected="one row for each label", received=received)
    counts = np.bincount(labels)
    if counts.min() < 2:
        few = np.flatnonzero(counts < 2).tolist()
        raise checks.UserError("labels", expected="two images of each class or more", received=f"fewer of {few}")
    parts = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=seed)
    found = np.zeros((len(labels), len(counts)))
    for train, rest in parts.split(features, labels):
        head = heads.LogisticHead(_STRENGTH / len(train)).fit(features[train], labels[train])
        found[rest] = head.predict_proba(features[rest])
    rows = np.arange(len(labels))
    given = found[rows, labels]
    others = found.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    best = found[rows, suggested]
    usual = np.array([given[labels == label].mean() for label in range(len(counts))])
    disagrees = best > given
    # Wrong labels at random come first by the probability of the given class. By the margin to the suggested class, as
    # many mistakes between similar classes come before them: of 500 changed labels of CIFAR-10, .87 and .76 were among
    # the first tenth.
    return LabelCheck(1 - given, suggested, disagrees, disagrees & (best >= usual[suggested]), found)


def neighbor_distances(features: np.ndarray, others: np.ndarray | None = None, *, neighbors: int = 10) -> np.ndarray:
    """Computes the mean cosine distance of each image to its nearest neighbors.

    Args:
        features: `(n, width)`.
        others: `(m, width)` features of the images among which the neighbors are. If None, these are all other rows of
            `features`.
        neighbors: Number of neighbors. Fewer if there are fewer images.

    Returns:
        `(n,)` distances in [0, 2].

    Raises:
        UserError: If there is no image that can be a neighbor.

    Example:
        >>> features = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]])
        >>> int(kv.transfer.neighbor_distances(features, neighbors=2).argmax())
        3
    """
    own = others is None
    bank = features if own else others
    count = min(neighbors, len(bank) - own)
    if count < 1:
        raise checks.UserError("features", expected="at least one other image", received=np.shape(bank))
    search = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(bank)
    distances, _ = search.kneighbors() if own else search.kneighbors(features)
    return distances.mean(axis=1)


def outliers(distances: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """Finds distances that are far above the usual ones: more than 3 quartile ranges above the third quartile.

    Args:
        distances: `(n,)` distances of `neighbor_distances`.
        usual: `(m,)` distances that count as usual, such as those of the training images among themselves. If None,
            `distances`.

    Returns:
        `(n,)` scores: 0 for usual distances, and the share of the distance beyond the limit, in (0, 1), for outliers.

    Example:
        >>> kv.transfer.outliers(np.array([1.0, 1.1, 0.9, 1.0, 9.0])).round(2).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.84]

    References:
        Tukey 1977, Exploratory data analysis, section 2D (outer fences).
    """
    low, high = np.quantile(distances if usual is None else usual, [0.25, 0.75])
    limit = high + _FAR * (high - low)
    return np.where(distances > limit, 1 - limit / np.maximum(distances, 1e-12), 0.0)


def label_next(probabilities: np.ndarray, features: np.ndarray, count: int) -> np.ndarray:
    """Chooses the unlabeled images that would teach a classifier most: uncertain, and different from each other.

    First the images with the smallest margin between the two most probable classes are taken, ten times as many as
    asked for. Then one image after the other is chosen among them, always the one farthest from those already chosen.

    Args:
        probabilities: `(n, classes)` of a classifier for the unlabeled images.
        features: `(n, width)` of the same images.
        count: Number of images to choose, at least 1.

    Returns:
        Indices `(count,)`, or fewer if there are fewer images. The first one is the least certain image.

    Raises:
        UserError: If the count is below 1 or the numbers of rows differ.

    Example:
        >>> probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1], [0.45, 0.55]])
        >>> features = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> kv.transfer.label_next(probabilities, features, 2).tolist()
        [0, 3]

    References:
        Scheffer et al. 2001 (margin); Sener and Savarese 2018, arXiv 1708.00489, algorithm 1 (k-center greedy).
    """
    checks.positive({"count": count})
    if len(probabilities) != len(features):
        received = f"{len(probabilities)} and {len(features)}"
        raise checks.UserError("features", expected="one row for each row of probabilities", received=received)
    top = np.sort(probabilities, axis=1)
    candidates = np.argsort(top[:, -1] - top[:, -2], kind="stable")[: 10 * count]
    unit = features[candidates] / np.maximum(np.linalg.norm(features[candidates], axis=1, keepdims=True), 1e-12)
    chosen = [0]
    nearest = 1 - unit @ unit[0]
    while len(chosen) < min(count, len(candidates)):
        nearest[chosen] = -np.inf
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, 1 - unit @ unit[chosen[-1]])
    return candidates[chosen]
