"""Which k, metric or C a classifier on features should have."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kvision import checks, heads, metrics
from kvision.heads.head import Head
from kvision.progress import Bar

__all__ = ["HEADS", "Choice", "choose_head"]

HEADS = ("knn", "forest", "logistic")
_METRICS = ("euclidean", "cosine")
_NEIGHBORS = (1, 3, 5, 10, 20)
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
# accuracy with 32 bins and without, 300 trees: CIFAR-10 subset at 224 px .724 and .724 (another seed: .730, .724)
_BINS = 32


class Choice(NamedTuple):
    """What `choose_head` found."""

    head: Head
    """The head, not fitted."""
    chosen: str
    """Its settings in words, as `"k=5, cosine"`."""
    accuracy: float
    """Its accuracy on the rows `tune`, fitted on the rows `fit`."""
    log_loss: float
    """Its `kv.metrics.log_loss` there."""


def choose_head(
    name: str, features: np.ndarray, labels: np.ndarray, *, fit: Sequence[int], tune: Sequence[int]
) -> Choice:
    """Chooses the settings of a classifier on features by its accuracy on rows that it was not fitted on.

    Among equal accuracies the first candidate is taken: the smallest k, Euclidean before cosine, the smallest C (which
    regularizes most).

    Args:
        name: `"knn"` (k of 1, 3, 5, 10, 20, Euclidean or cosine), `"logistic"` (C of 1e-4, 1e-3, 1e-2, 1e-1) or
            `"forest"` (300 trees, nothing to choose).
        features: `(n, features)`, float32.
        labels: `(n,)`, integers.
        fit: The rows to fit on.
        tune: The rows to judge by.

    Returns:
        The head, not fitted. Fit it on all rows, or on `fit` where `tune` is to judge what comes after.

    Raises:
        kvision.UserError: If the name is unknown.
    """
    checks.one_of("name", name, HEADS)
    candidates = _candidates(name, len(fit))
    scores: dict[str, float] = {}
    best, fitted = -1.0, None
    if name == "knn":
        counts = _counts(len(fit))
        for metric in _METRICS:
            head = heads.KNNHead(max(counts), metric=metric).fit(features[fit], labels[fit])
            found = head.scores(features[tune], labels[tune], counts)
            scores |= {f"k={k}, {metric}": score for k, score in found.items()}
    else:
        for text, make in Bar(candidates.items(), name, unit=" fits", leave=False, disable=len(candidates) == 1):
            head = make().fit(features[fit], labels[fit])
            scores[text] = head.score(features[tune], labels[tune])
            if scores[text] > best:
                best, fitted = scores[text], head
    chosen = max(scores, key=lambda text: scores[text])
    if fitted is None:  # the search of all k leaves no head with this one
        fitted = candidates[chosen]().fit(features[fit], labels[fit])
    truth = np.searchsorted(fitted.classes_, labels[tune])
    loss = metrics.log_loss(fitted.predict_proba(features[tune]), truth)
    return Choice(candidates[chosen](), chosen, float(scores[chosen]), loss)


def _candidates(name: str, images: int) -> dict[str, Callable[[], Head]]:
    """What to choose from: {description: unfitted head}."""
    if name == "knn":
        return {
            f"k={k}, {metric}": lambda k=k, metric=metric: heads.KNNHead(k, metric=metric)
            for metric in _METRICS
            for k in _counts(images)
        }
    if name == "forest":
        return {"300 trees": lambda: heads.ForestHead(bins=_BINS, verbose=True)}
    return {f"C={C:g}": lambda C=C: heads.LogisticHead(C) for C in _STRENGTHS}


def _counts(images: int) -> list[int]:
    return [k for k in _NEIGHBORS if k <= images]
