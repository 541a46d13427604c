"""Which k, metric or C a classifier on features should have."""

from collections.abc import Callable, Sequence

import numpy as np

from kvision import checks, heads
from kvision.heads.head import Head
from kvision.progress import Bar

__all__ = ["HEADS", "choose_head"]

HEADS = ("knn", "forest", "logistic")
_METRICS = ("euclidean", "cosine")
_NEIGHBORS = (1, 3, 5, 10, 20)
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
# accuracy with 32 bins and without, 300 trees: CIFAR-10 subset at 224 px .724 and .724 (another seed: .730, .724)
_BINS = 32


def choose_head(
    name: str, features: np.ndarray, labels: np.ndarray, *, fit: Sequence[int], tune: Sequence[int]
) -> tuple[Head, str, float]:
    """-> an unfitted head, what was chosen in words, and its accuracy on the rows `tune` after fitting on `fit`.

    name: "knn" (k of 1, 3, 5, 10, 20, Euclidean or cosine, by one search a metric), "logistic" (C of 1e-4 ... 1e-1) or
    "forest" (300 trees, nothing to choose). features: (N, D) float32, labels: (N,). Fit the head on all rows, or on
    `fit` where `tune` is to judge what comes after. Ties go to the first.
    """
    checks.one_of("name", name, HEADS)
    candidates = _candidates(name, len(fit))
    scores: dict[str, float] = {}
    if name == "knn":
        counts = _counts(len(fit))
        for metric in _METRICS:
            head = heads.KNNHead(max(counts), metric=metric).fit(features[fit], labels[fit])
            found = head.scores(features[tune], labels[tune], counts)
            scores |= {f"k={k}, {metric}": score for k, score in found.items()}
    else:
        for text, make in Bar(candidates.items(), name, unit=" fits", leave=False, disable=len(candidates) == 1):
            scores[text] = make().fit(features[fit], labels[fit]).score(features[tune], labels[tune])
    chosen = max(scores, key=lambda text: scores[text])
    return candidates[chosen](), chosen, float(scores[chosen])


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
